//! Strong tags.

use enfilade_core::conditional::EntityTag;
use sha2::{Digest, Sha256};

#[derive(Default)]
pub(super) struct Hash(Sha256);

impl Hash {
    pub(super) fn add(&mut self, block: &[u8]) {
        self.0.update(block);
    }

    /// The first 128 bits as a strong tag.
    pub(super) fn finish(self) -> EntityTag {
        let hash = self.0.finalize();
        let digits = hash.iter().take(16).map(|byte| format!("{byte:02x}"));
        EntityTag::strong(digits.collect::<String>()).expect("hexadecimal digits")
    }
}
