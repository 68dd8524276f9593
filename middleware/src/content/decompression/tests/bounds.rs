//! How much may come out, and how much work it may be.

use std::iter;
use std::sync::atomic::AtomicUsize;

use super::*;

#[test]
fn the_limit_counts_what_comes_out() {
    let noise = noise(40_000);
    for codings in all() {
        for content in [&noise[..], &vec![b'a'; 40_000], b"", b"a"] {
            let length = content.len() as u64;
            let body = coded_by(&codings, content);
            for size in [1, 100, 1 << 20] {
                let allowed = client(Decompression::new().limit(length));
                let (status, found) = post(&allowed, &names(&codings), in_chunks(&body, size));
                assert_eq!((status, &found[..]), (200, content), "{codings:?} {size}");
                let Some(less) = length.checked_sub(1) else {
                    continue;
                };
                let forbidden = client(Decompression::new().limit(less));
                let (status, _) = post(&forbidden, &names(&codings), in_chunks(&body, size));
                assert_eq!(status, 413, "{codings:?} {size}");
            }
        }
    }
}

/// Bytes of a xorshift generator, which no encoder can compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some(state.to_le_bytes())
    };
    iter::from_fn(next).flatten().take(length).collect()
}

#[test]
fn the_ratio_counts_from_the_first_mebibyte_on() {
    let zeros = |length: usize| compressed(Coding::Gzip, &vec![0; length]);
    let mixed = compressed(Coding::Gzip, &[noise(100_000), vec![0; 5 << 20]].concat());
    let wrapper = || Decompression::new().limit(64 << 20);
    for (wrapper, body, status) in [
        (wrapper(), zeros(1 << 20), 200),
        (wrapper(), zeros(2 << 20), 413),
        (wrapper().ratio(2_000), zeros(2 << 20), 200),
        (wrapper(), mixed, 200),
        (wrapper().ratio(0), zeros(1 << 20), 200),
        (wrapper().ratio(u32::MAX), zeros(2 << 20), 200),
    ] {
        assert_eq!(post(&client(wrapper), "gzip", body).0, status);
    }
}

#[test]
fn a_bomb_is_not_read_to_its_end() {
    let consumed = Arc::new(AtomicUsize::new(0));
    let body = compressed(Coding::Gzip, &vec![0; 16 << 20]);
    let pieces: Vec<_> = body.chunks(100).map(Bytes::copy_from_slice).collect();
    let count = consumed.clone();
    let pieces = pieces.into_iter().inspect(move |_| {
        count.fetch_add(100, Ordering::SeqCst);
    });
    let response = post(
        &client(Decompression::new()),
        "gzip",
        Body::from_iterator(pieces),
    );
    assert_eq!(response, (413, "Payload Too Large".into()));
    // The first MiB and a ratio of 200 allow about 1 kB of compressed zeros.
    assert_eq!(consumed.load(Ordering::SeqCst), 1_100);
}

#[test]
fn a_bomb_in_a_bomb_is_stopped_too() {
    // Of the inner one nothing comes out: its members are empty.
    let empty = compressed(Coding::Gzip, b"").repeat(1 << 18);
    let body = compressed(Coding::Gzip, &empty);
    let wrapper = Decompression::new().limit(1 << 30).ratio(100);
    assert_eq!(post(&client(wrapper.clone()), "gzip, gzip", body).0, 413);
    let body = compressed(Coding::Gzip, &compressed(Coding::Gzip, &vec![0; 32 << 20]));
    assert_eq!(post(&client(wrapper), "gzip, gzip", body).0, 413);
}

#[test]
fn work_of_which_nothing_comes_out_has_a_limit_too() {
    let wrapper = || Decompression::new().limit(1_000);
    // 2 x 1,000 bytes and 64 KiB.
    let limit = 2_000 + 64 * 1024;
    let member = compressed(Coding::Gzip, b"");
    for (coding, unit) in [
        ("gzip", member.clone()),
        ("x-gzip, identity", member),
        #[cfg(feature = "zstd")]
        ("zstd", b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc".to_vec()),
    ] {
        let number = limit / unit.len();
        assert_eq!(post(&client(wrapper()), coding, unit.repeat(number)).0, 200);
        let more = unit.repeat(number + 1);
        assert_eq!(post(&client(wrapper()), coding, more).0, 413, "{coding}");
    }
}
