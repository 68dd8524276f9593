//! Tests of ranges.
#![expect(clippy::single_range_in_vec_init, reason = "a set may have one range")]

use super::*;

fn read(value: &str, length: u64) -> ByteRanges {
    byte_ranges(&HeaderValue::from_str(value).unwrap(), length, 16)
}

#[test]
fn sets_that_are_not_valid_are_ignored() {
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes= ,\t,",
        "items=0-4",
        "bytes=5",
        "bytes=-",
        "bytes=--5",
        "bytes=5-4",
        "bytes=0-4, 5-4",
        "bytes=0-4, 900-800",
        "bytes=0-4, x",
        "bytes=+1-4",
        "bytes=1 -4",
        "bytes =1-4",
        "bytes=0-1, bytes=3-4",
        "bytes=1-2-3",
    ] {
        assert_eq!(read(value, 10), ByteRanges::Ignored, "{value}");
    }
    for value in ["bytes=0-", "bytes=5-", "bytes=-5"] {
        assert_eq!(read(value, 0), ByteRanges::Ignored, "{value} of nothing");
    }
}

#[test]
fn ranges_are_cut_merged_and_kept_in_order() {
    let cases: [(&str, &[Range<u64>]); 18] = [
        ("bytes=0-0", &[0..1]),
        ("BYTES=0-4", &[0..5]),
        ("bytes=9-", &[9..10]),
        ("bytes=0-99", &[0..10]),
        ("bytes=0-18446744073709551615", &[0..10]),
        ("bytes=0-99999999999999999999999", &[0..10]),
        ("bytes=-3", &[7..10]),
        ("bytes=-99", &[0..10]),
        ("bytes=-99999999999999999999999", &[0..10]),
        ("bytes=0-1, ,\t3-3,", &[0..2, 3..4]),
        ("bytes=8-, 0-1", &[8..10, 0..2]),
        ("bytes=0-1, 2-3", &[0..4]),
        ("bytes=5-6, 0-1, 6-7", &[5..8, 0..2]),
        ("bytes=0-1, 8-9, 1-8", &[0..10]),
        ("bytes=0-,0-,0-,0-,0-,0-", &[0..10]),
        ("bytes=2-3, 20-30", &[2..4]),
        ("bytes=2-3, -0", &[2..4]),
        ("bytes=007-7", &[7..8]),
    ];
    for (value, expected) in cases {
        let expected = ByteRanges::Satisfiable(expected.to_vec());
        assert_eq!(read(value, 10), expected, "{value}");
    }
    let whole = ByteRanges::Satisfiable(vec![0..u64::MAX]);
    assert_eq!(read("bytes=0-18446744073709551615", u64::MAX), whole);
}

#[test]
fn ranges_beyond_the_content_cannot_be_satisfied() {
    for value in [
        "bytes=10-",
        "bytes=10-20",
        "bytes=-0",
        "bytes=99999999999999999999999-",
        "bytes=10-, -0, 30-40",
    ] {
        assert_eq!(read(value, 10), ByteRanges::Unsatisfiable, "{value}");
    }
}

#[test]
fn too_many_ranges_are_ignored() {
    let set = |count: u64| {
        let members: Vec<String> = (0..count).map(|n| format!("{}-{}", n * 2, n * 2)).collect();
        format!("bytes={}", members.join(","))
    };
    let found = read(&set(16), 10_000);
    assert!(matches!(found, ByteRanges::Satisfiable(ranges) if ranges.len() == 16));
    assert_eq!(read(&set(17), 10_000), ByteRanges::Ignored);
    let repeated = |count| format!("bytes={}", vec!["0-"; count].join(","));
    assert_eq!(
        read(&repeated(256), 10),
        ByteRanges::Satisfiable(vec![0..10])
    );
    assert_eq!(read(&repeated(257), 10), ByteRanges::Ignored);
    let none = byte_ranges(&HeaderValue::from_static("bytes=0-0"), 10, 0);
    assert_eq!(none, ByteRanges::Ignored);
}

#[test]
fn if_range_needs_a_strong_tag_or_the_exact_date() {
    let changed = OffsetDateTime::from_unix_timestamp(784_111_777).unwrap();
    let current = Validators::new().last_modified(changed);
    let strong = current
        .clone()
        .entity_tag(EntityTag::strong("a,b").unwrap());
    let weak = current.clone().entity_tag(EntityTag::weak("a,b").unwrap());
    let now = changed + Duration::SECOND;
    for (value, current, now, expected) in [
        ("\"a,b\"", &strong, now, true),
        ("W/\"a,b\"", &strong, now, false),
        ("\"a,b\"", &weak, now, false),
        ("W/\"a,b\"", &weak, now, false),
        ("\"a,b\"", &current, now, false),
        ("\"a,b\", \"c\"", &strong, now, false),
        ("a,b", &strong, now, false),
        ("*", &strong, now, false),
        ("Sun, 06 Nov 1994 08:49:37 GMT", &weak, now, true),
        ("Sunday, 06-Nov-94 08:49:37 GMT", &weak, now, true),
        ("Sun, 06 Nov 1994 08:49:37 GMT", &current, changed, false),
        ("Sun, 06 Nov 1994 08:49:38 GMT", &current, now, false),
        ("Sun, 06 Nov 1994 08:49:36 GMT", &current, now, false),
        ("yesterday", &current, now, false),
        ("", &current, now, false),
    ] {
        let value = HeaderValue::from_static(value);
        let found = if_range_holds(&value, current, now);
        assert_eq!(found, expected, "{value:?} {current:?}");
    }
    let none = Validators::new();
    let date = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
    assert!(!if_range_holds(&date, &none, now));
}
