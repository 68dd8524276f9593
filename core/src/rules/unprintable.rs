//! Characters with special effects in a terminal.

/// Whether a character is a control character, ends a line or changes the direction of text.
///
/// For components that show text of a client: in a log line or a file name such a character forges what people read.
///
/// ```
/// # use enfilade_core as enfilade;
/// assert!("\u{1b}\n\u{202e}".chars().all(enfilade::is_unprintable));
/// assert!(!enfilade::is_unprintable('é'));
/// ```
#[must_use]
pub fn is_unprintable(character: char) -> bool {
    let ends_a_line = matches!(character, '\u{2028}' | '\u{2029}');
    let turns_direction = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    character.is_control() || ends_a_line || turns_direction
}
