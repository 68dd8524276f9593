//! Weak tags.

use enfilade_core::conditional::EntityTag;

use crate::shared::xxh64;

/// The hash of each block, which needs eight bytes for 64 KiB of content, and their lengths together.
#[derive(Default)]
pub(super) struct Hash {
    blocks: Vec<u8>,
    length: u64,
}

impl Hash {
    pub(super) fn add(&mut self, block: &[u8]) {
        self.blocks.extend(xxh64::hash(block).to_le_bytes());
        self.length += block.len() as u64;
    }

    pub(super) fn finish(self) -> EntityTag {
        let hash = xxh64::hash(&self.blocks);
        let text = format!("{hash:016x}-{:x}", self.length);
        EntityTag::weak(text).expect("hexadecimal digits")
    }
}

#[cfg(test)]
mod tests {
    use super::super::BLOCK;
    use super::*;

    fn tag(content: &[u8]) -> EntityTag {
        let mut hash = Hash::default();
        content.chunks(BLOCK).for_each(|block| hash.add(block));
        hash.finish()
    }

    #[test]
    fn a_tag_is_the_same_on_each_machine_and_changes_with_each_byte() {
        assert_eq!(tag(b"").as_header_value(), "W/\"ef46db3751d8e999-0\"");
        let mut content = vec![7; 2 * BLOCK + 1];
        let all = tag(&content);
        for at in [0, BLOCK - 1, BLOCK, 2 * BLOCK] {
            content[at] = 8;
            assert!(!all.weak_eq(&tag(&content)), "{at}");
            content[at] = 7;
        }
        assert!(all.weak_eq(&tag(&content)));
        assert!(!all.weak_eq(&tag(&content[..2 * BLOCK])));
        // Blocks in another order.
        let mut parts = vec![1; BLOCK];
        parts.extend([2; BLOCK]);
        let one = tag(&parts);
        parts.rotate_left(BLOCK);
        assert!(!one.weak_eq(&tag(&parts)));
    }
}
