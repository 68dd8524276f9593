use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

type Lines<'a> = &'a [&'a [u8]];

fn headers(traceparent: &[&str], tracestate: Lines<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in traceparent {
        headers.append(TRACEPARENT, HeaderValue::from_str(line).unwrap());
    }
    for line in tracestate {
        headers.append(TRACESTATE, HeaderValue::from_bytes(line).unwrap());
    }
    headers
}

#[test]
fn a_traceparent_is_read_strictly() {
    let zeros = ["0".repeat(32), "0".repeat(16)];
    let [no_trace, no_span] = &zeros;
    let cases = [
        (format!("00-{TRACE}-{SPAN}-01"), Some("01")),
        (format!("00-{TRACE}-{SPAN}-00"), Some("00")),
        (format!("00-{TRACE}-{SPAN}-03"), Some("03")),
        // Unknown flags.
        (format!("00-{TRACE}-{SPAN}-ff"), Some("03")),
        (format!("00-{TRACE}-{SPAN}-08"), Some("00")),
        // Later versions.
        (format!("cc-{TRACE}-{SPAN}-01"), Some("01")),
        (
            format!("cc-{TRACE}-{SPAN}-01-what-the-future-brings"),
            Some("01"),
        ),
        (format!("cc-{TRACE}-{SPAN}-01-"), Some("01")),
        (format!("cc-{TRACE}-{SPAN}-01.x"), None),
        (format!("cc-{TRACE}-{SPAN}-0"), None),
        (format!("ff-{TRACE}-{SPAN}-01"), None),
        (format!("00-{TRACE}-{SPAN}-01-"), None),
        (format!("00-{TRACE}-{SPAN}-01 "), None),
        (format!(" 00-{TRACE}-{SPAN}-01"), None),
        (format!("00-{no_trace}-{SPAN}-01"), None),
        (format!("00-{TRACE}-{no_span}-01"), None),
        (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None),
        (format!("00-{TRACE}-{SPAN}-0A"), None),
        (format!("00-{TRACE}-{SPAN}-0g"), None),
        (format!("0-{TRACE}-{SPAN}-001"), None),
        (format!("00-{TRACE}x{SPAN}-01"), None),
        (
            format!("00-{}-{SPAN}-01", TRACE.trim_start_matches('0')),
            None,
        ),
        (
            format!("00-{TRACE}--{}-01", SPAN.trim_start_matches('b')),
            None,
        ),
        (format!("00_{TRACE}_{SPAN}_01"), None),
        ("00".to_owned(), None),
        (String::new(), None),
    ];
    for (line, flags) in cases {
        let found = TraceContext::from_headers(&headers(&[&line], &[]));
        let written = found.map(|context| context.traceparent());
        let expected = flags.map(|flags| format!("00-{TRACE}-{SPAN}-{flags}"));
        assert_eq!(
            written.as_ref().map(|value| value.to_str().unwrap()),
            expected.as_deref(),
            "{line}"
        );
    }
    let line = format!("00-{TRACE}-{SPAN}-01");
    assert_eq!(TraceContext::from_headers(&headers(&[], &[])), None);
    assert_eq!(
        TraceContext::from_headers(&headers(&[&line, &line], &[])),
        None
    );
}

#[test]
fn a_tracestate_is_kept_where_it_is_well_formed() {
    let members = |number: usize| {
        let members = (0..number).map(|at| format!("k{at}=1"));
        members.collect::<Vec<_>>().join(",").into_bytes()
    };
    let (full, too_many) = (members(32), members(33));
    let (long, too_long) = (
        [b"a=", &b"x".repeat(256)[..]].concat(),
        [b"a=", &b"x".repeat(257)[..]].concat(),
    );
    let long_key = [&b"k".repeat(257)[..], b"=1"].concat();
    let commas = b",".repeat(100);
    let cases: [(Lines<'_>, Option<&[u8]>); 26] = [
        (&[b"congo=t61rcWkgMzE"], Some(b"congo=t61rcWkgMzE")),
        (&[b"a=1,b=2", b"c=3"], Some(b"a=1,b=2,c=3")),
        (&[b"a=1 \t , \t b=2"], Some(b"a=1 \t , \t b=2")),
        (&[b"a=1,,b=2,"], Some(b"a=1,,b=2,")),
        (&[b"a=1,a=2"], Some(b"a=1,a=2")),
        (
            &[b"tenant@system=1,0a_-*/=~!"],
            Some(b"tenant@system=1,0a_-*/=~!"),
        ),
        (&[b"a= x y"], Some(b"a= x y")),
        (&[&full], Some(&full)),
        (&[&long], Some(&long)),
        (&[&too_many], None),
        (&[&full, b"b=1"], None),
        (&[&too_long], None),
        (&[&long_key], None),
        (&[&commas, b"a=1"], None),
        (&[b""], None),
        (&[b",,"], None),
        (&[b"a"], None),
        (&[b"a="], None),
        (&[b"=1"], None),
        (&[b"A=1"], None),
        (&[b"a =1"], None),
        (&[b"_a=1"], None),
        (&[b"a=b=c"], None),
        (&[b"a=\xe9"], None),
        (&[b"a=1\tb"], None),
        (&[b"a=1;b"], Some(b"a=1;b")),
    ];
    let line = format!("00-{TRACE}-{SPAN}-01");
    for (lines, expected) in cases {
        let found = TraceContext::from_headers(&headers(&[&line], lines)).unwrap();
        let state = found.tracestate().map(HeaderValue::as_bytes);
        assert_eq!(state, expected, "{lines:?}");
    }
    let alone = headers(&[], &[b"a=1"]);
    assert_eq!(TraceContext::from_headers(&alone), None);
}

#[test]
fn a_child_is_written_in_place_of_its_parent() {
    let line = format!("00-{TRACE}-{SPAN}-00");
    let mut both = headers(&[&line, &line], &[b"a=1", b"b=2"]);
    let context = TraceContext::from_headers(&headers(&[&line], &[b"c=3"])).unwrap();
    let child = context.child(NonZeroU64::MIN).sampled(true);
    assert_eq!(child.parent_id(), Some(context.span_id()));
    assert_eq!(child.trace_id(), context.trace_id());
    child.write_to(&mut both);
    let written = format!("00-{TRACE}-0000000000000001-01");
    assert_eq!(both, headers(&[&written], &[b"c=3"]));
    let root = TraceContext::root(NonZeroU128::MAX, NonZeroU64::MAX);
    assert!(root.is_random() && !root.is_sampled());
    root.write_to(&mut both);
    let written = format!("00-{}-{}-02", "f".repeat(32), "f".repeat(16));
    assert_eq!(both, headers(&[&written], &[]));
    TraceContext::remove_from(&mut both);
    assert!(both.is_empty());
}
