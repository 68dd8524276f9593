//! XXH64: a fast hash with a published definition, so each machine and each release makes the same tag.
//!
//! Eighty lines replace a crate: those in the tree (foldhash) promise no stable results, and a tag that differs behind a
//! balancer is never matched. It is no protection against content that is made to collide.

const PRIME_1: u64 = 0x9e37_79b1_85eb_ca87;
const PRIME_2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const PRIME_3: u64 = 0x1656_67b1_9e37_79f9;
const PRIME_4: u64 = 0x85eb_ca77_c2b2_ae63;
const PRIME_5: u64 = 0x27d4_eb2f_1656_67c5;

/// Returns the hash of these bytes, with the seed 0.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let (stripes, rest) = bytes.as_chunks::<32>();
    let length = bytes.len() as u64;
    let mut hash = match stripes {
        [] => PRIME_5,
        stripes => of_stripes(stripes),
    };
    hash = hash.wrapping_add(length);
    let (words, rest) = rest.as_chunks::<8>();
    for word in words {
        hash = (hash ^ round(0, u64::from_le_bytes(*word)))
            .rotate_left(27)
            .wrapping_mul(PRIME_1)
            .wrapping_add(PRIME_4);
    }
    let (halves, rest) = rest.as_chunks::<4>();
    for half in halves {
        let half = u64::from(u32::from_le_bytes(*half));
        hash = (hash ^ half.wrapping_mul(PRIME_1))
            .rotate_left(23)
            .wrapping_mul(PRIME_2)
            .wrapping_add(PRIME_3);
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte).wrapping_mul(PRIME_5))
            .rotate_left(11)
            .wrapping_mul(PRIME_1);
    }
    hash = (hash ^ hash >> 33).wrapping_mul(PRIME_2);
    hash = (hash ^ hash >> 29).wrapping_mul(PRIME_3);
    hash ^ hash >> 32
}

/// Four sums, which a processor computes side by side.
fn of_stripes(stripes: &[[u8; 32]]) -> u64 {
    let mut sums = [
        PRIME_1.wrapping_add(PRIME_2),
        PRIME_2,
        0,
        0_u64.wrapping_sub(PRIME_1),
    ];
    for stripe in stripes {
        let (words, _) = stripe.as_chunks::<8>();
        for (sum, word) in sums.iter_mut().zip(words) {
            *sum = round(*sum, u64::from_le_bytes(*word));
        }
    }
    let [a, b, c, d] = sums;
    let hash = a
        .rotate_left(1)
        .wrapping_add(b.rotate_left(7))
        .wrapping_add(c.rotate_left(12))
        .wrapping_add(d.rotate_left(18));
    sums.into_iter().fold(hash, |hash, sum| {
        (hash ^ round(0, sum))
            .wrapping_mul(PRIME_1)
            .wrapping_add(PRIME_4)
    })
}

fn round(sum: u64, word: u64) -> u64 {
    sum.wrapping_add(word.wrapping_mul(PRIME_2))
        .rotate_left(31)
        .wrapping_mul(PRIME_1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_reference() {
        // Made by the reference implementation, `xxhsum -H64` of xxHash 0.8.
        let text = b"The quick brown fox jumps over the lazy dog";
        let cases: [(&[u8], u64); 4] = [
            (b"", 0xef46_db37_51d8_e999),
            (b"a", 0xd24e_c4f1_a98c_6e5b),
            (b"abc", 0x44bc_2cf5_ad77_0999),
            (text, 0x0b24_2d36_1fda_71bc),
        ];
        for (bytes, expected) in cases {
            assert_eq!(hash(bytes), expected, "{}", bytes.escape_ascii());
        }
    }
}
