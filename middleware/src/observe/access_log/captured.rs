//! Fields that are captured before the line is written.

/// The captured fields: each text, followed by its length and the index of its field in the format. Most requests have
/// none, which takes no memory.
#[derive(Default)]
pub(super) struct Captured(Vec<u8>);

impl Captured {
    /// Captures the written text, if there is any.
    pub(super) fn add(&mut self, field: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.0.len();
        write(&mut self.0);
        let length = self.0.len() - before;
        if length > 0 {
            self.0.extend_from_slice(&length.to_ne_bytes());
            self.0.extend_from_slice(&field.to_ne_bytes());
        }
    }

    /// The text that was captured last for a field; empty if nothing was captured.
    pub(super) fn get(&self, field: usize) -> &[u8] {
        let mut rest = &self.0[..];
        while let Some((before, found, text)) = split_last(rest) {
            if found == field {
                return text;
            }
            rest = before;
        }
        &[]
    }
}

/// The earlier captures, the last field, and its text.
fn split_last(all: &[u8]) -> Option<(&[u8], usize, &[u8])> {
    let (rest, field) = all.split_last_chunk()?;
    let (rest, length) = rest.split_last_chunk()?;
    let at = rest.len().checked_sub(usize::from_ne_bytes(*length))?;
    let (before, text) = rest.split_at_checked(at)?;
    Some((before, usize::from_ne_bytes(*field), text))
}
