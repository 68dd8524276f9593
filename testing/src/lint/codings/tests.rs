use super::*;

/// One exchange: method and target, `Accept-Encoding`, and the headers of the response.
type Exchange = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

fn exchange(memory: &CodingMemory, (line, accepts, response): &Exchange) -> Vec<String> {
    let (method, target) = line.split_once(' ').unwrap();
    let mut request = Request::new(method.parse().unwrap(), target.parse().unwrap());
    if !accepts.is_empty() {
        let accepts = HeaderValue::from_static(accepts);
        request.headers_mut().insert(ACCEPT_ENCODING, accepts);
    }
    let agent = HeaderValue::from_str(accepts).unwrap();
    request.headers_mut().insert("user-agent", agent);
    let mut headers = HeaderMap::new();
    for (name, value) in *response {
        headers.append(*name, HeaderValue::from_static(value));
    }
    let wrong = memory.record_response(memory.read_request(&request), StatusCode::OK, &headers);
    wrong.into_iter().map(|(_, wrong)| wrong).collect()
}

fn reported(exchanges: &[Exchange]) -> Vec<String> {
    let memory = CodingMemory::default();
    let all = exchanges.iter();
    all.flat_map(|one| exchange(&memory, one)).collect()
}

const GZIP: (&str, &str) = ("content-encoding", "gzip");
const VARIES: (&str, &str) = ("vary", "Accept-Encoding");
const STRONG: (&str, &str) = ("etag", "\"v1\"");
const WEAK: (&str, &str) = ("etag", "W/\"v1\"");

#[test]
fn what_is_wrong_is_told_once() {
    let shared = |codings: &str| {
        format!(
            "the strong validator \"\\\"v1\\\"\" stands for two codings of one target, {codings} \
             (RFC 9110, section 8.8.1)"
        )
    };
    let unsaid = |codings: &str| {
        format!(
            "one target has the codings {codings} by Accept-Encoding, and neither response names that header in Vary \
             (RFC 9110, section 12.5.5)"
        )
    };
    let cases: [(&[Exchange], Vec<String>); 6] = [
        (
            &[
                ("GET /", "", &[STRONG, VARIES]),
                ("GET /", "gzip", &[GZIP, STRONG, VARIES]),
            ],
            vec![shared("identity and gzip")],
        ),
        (
            &[
                ("GET /", "gzip", &[GZIP]),
                ("GET /", "", &[]),
                ("GET /", "gzip", &[GZIP]),
            ],
            vec![unsaid("gzip and identity")],
        ),
        (
            &[
                ("HEAD /", "br", &[("content-encoding", "BR")]),
                ("HEAD /", "gzip", &[GZIP]),
            ],
            vec![unsaid("br and gzip")],
        ),
        (
            &[("GET /", "x-gzip", &[GZIP]), ("GET /", "gzip;q=0", &[])],
            vec![unsaid("gzip and identity")],
        ),
        (
            &[("GET /", "*", &[GZIP, STRONG]), ("GET /", "", &[STRONG])],
            vec![shared("gzip and identity"), unsaid("gzip and identity")],
        ),
        (
            &[
                ("GET /", "gzip", &[GZIP, ("vary", "origin")]),
                ("GET /", "identity", &[("vary", "origin")]),
            ],
            // The user agents differ too, and for all that is known origin means what it says.
            vec![],
        ),
    ];
    for (exchanges, expected) in cases {
        assert_eq!(reported(exchanges), expected, "{exchanges:?}");
    }
}

#[test]
fn what_may_be_right_is_not_told() {
    let cases: [&[Exchange]; 11] = [
        &[
            ("GET /", "gzip", &[GZIP, WEAK, VARIES]),
            ("GET /", "", &[STRONG, VARIES]),
        ],
        &[
            ("GET /", "gzip", &[GZIP, WEAK, VARIES]),
            ("GET /", "", &[WEAK, VARIES]),
        ],
        // One says it, which is what a cache needs when it was short at first.
        &[("GET /", "", &[]), ("GET /", "gzip", &[GZIP, VARIES])],
        &[("GET /", "", &[("vary", "*")]), ("GET /", "gzip", &[GZIP])],
        &[
            ("GET /", "", &[("cache-control", "no-store")]),
            ("GET /", "gzip", &[GZIP]),
        ],
        &[
            ("GET /", "gzip", &[GZIP, STRONG]),
            ("GET /", "", &[GZIP, STRONG]),
        ],
        &[
            ("GET /", "gzip", &[GZIP, STRONG]),
            ("GET /", "gzip", &[("content-encoding", "x-GZIP"), STRONG]),
        ],
        &[
            ("GET /a", "gzip", &[GZIP, STRONG]),
            ("GET /b", "", &[STRONG]),
        ],
        &[
            ("GET /", "gzip", &[GZIP, STRONG]),
            ("HEAD /", "", &[STRONG]),
        ],
        // It is compressed for a client that does not accept it: the content has changed.
        &[("GET /", "gzip", &[]), ("GET /", "", &[GZIP])],
        &[
            ("GET /", "gzip", &[GZIP, STRONG]),
            ("PUT /", "", &[]),
            ("GET /", "", &[STRONG]),
        ],
    ];
    for exchanges in cases {
        assert_eq!(reported(exchanges), [""; 0], "{exchanges:?}");
    }
}

#[test]
fn other_headers_must_be_the_same_where_they_count() {
    let memory = CodingMemory::default();
    let record_response = |accepts: &'static str, coded: bool| {
        let mut request = Request::get("/");
        let value = HeaderValue::from_static(accepts);
        request.headers_mut().insert(ACCEPT_ENCODING, value);
        let mut headers = HeaderMap::new();
        headers.insert(VARY, HeaderValue::from_static("origin"));
        if coded {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        memory.record_response(memory.read_request(&request), StatusCode::OK, &headers)
    };
    assert!(record_response("gzip", true).is_empty());
    assert_eq!(record_response("br", false).len(), 1);
}

#[test]
fn nobody_waits_and_what_could_not_be_forgotten_is_not_held_against_anyone() {
    let memory = CodingMemory::default();
    let coded: Exchange = ("GET /", "gzip", &[GZIP, STRONG]);
    let plain: Exchange = ("GET /", "", &[STRONG]);
    assert!(exchange(&memory, &coded).is_empty());
    let looking = memory.targets.lock().unwrap();
    assert!(exchange(&memory, &plain).is_empty());
    assert!(exchange(&memory, &("PUT /", "", &[])).is_empty());
    drop(looking);
    assert!(exchange(&memory, &plain).is_empty());
    assert_eq!(exchange(&memory, &coded).len(), 2);
}

#[test]
fn the_memory_has_a_bound() {
    let memory = CodingMemory::default();
    let get = |at: usize| {
        let uri = format!("/{at}").parse().unwrap();
        let asked = memory.read_request(&Request::new(Method::GET, uri));
        memory.record_response(asked, StatusCode::OK, &HeaderMap::new());
    };
    (0..3 * TARGETS / 2).for_each(get);
    let targets = memory.targets.lock().unwrap();
    assert_eq!((targets.list.len(), targets.oldest), (TARGETS, TARGETS / 2));
}
