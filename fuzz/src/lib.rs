//! The checks of everything that parses a peer's bytes; `tests/fuzz.rs` runs them on stable Rust.
//!
//! Each function takes any bytes, and panics if a promise is broken.

pub mod conditions;
pub mod data;
pub mod files;
pub mod identity;

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use enfilade::cgi::Variables;
use enfilade::host::Host;
use enfilade::middleware::{
    AccessLog, Decompression, ForwardedElement, HttpsRedirect, Negotiated, ProxyFix, RequestId,
    Router, ServerTiming, Timing, TraceContext, TrustedHosts, XForwarded, negotiate_coding,
    parse_forwarded,
};
use enfilade::{
    Application, Body, BodyErrorKind, Connection, HttpError, ReadAt, Request, Segment, SourceRead,
    gateway, headers, path, wsgi,
};
use enfilade_testing::Client;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, FORWARDED, HOST, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

/// A target, by the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 25] = [
    ("negotiation", negotiation),
    ("lists", lists),
    ("paths", paths),
    ("routes", routes),
    ("dates", dates),
    ("hosts", hosts),
    ("forwarded", forwarded),
    ("log", log),
    ("start_response", start_response),
    ("decompression", decompression),
    ("traces", traces),
    ("timings", timings),
    ("cgi", cgi),
    ("fastcgi", fastcgi),
    ("scgi", scgi),
    ("segments", segments),
    ("conditions", conditions::conditions),
    ("files", files::files),
    ("multipart", data::multipart),
    ("cookies", data::cookies),
    ("forms", data::forms),
    ("json", data::json),
    ("credentials", identity::credentials),
    ("htpasswd", identity::htpasswd),
    ("sessions", identity::sessions),
];

/// The bytes as fields of a header, one for each line feed, without those that no header can have.
fn lines(data: &[u8], name: &HeaderName) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n').take(100) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(name, value);
        }
    }
    headers
}

/// A negotiated coding is always one of those offered, and the same for the same header.
pub fn negotiation(data: &[u8]) {
    let headers = lines(data, &ACCEPT_ENCODING);
    let offered = ["zstd", "br", "gzip", "deflate"];
    let found = negotiate_coding(&headers, &offered);
    if let Negotiated::Coding(coding) = found {
        assert!(offered.contains(&coding));
        let lines = || headers.get_all(ACCEPT_ENCODING).iter();
        let has = |line: &HeaderValue, name: &str| {
            let line = line.as_bytes().to_ascii_lowercase();
            line.windows(name.len()).any(|part| part == name.as_bytes())
        };
        let named = |name: &str| lines().any(|line| has(line, name));
        assert!(
            named(coding) || named("*"),
            "the client does not accept {coding}"
        );
    }
    assert_eq!(found, negotiate_coding(&headers, &offered));
}

/// Members are never empty, and `Vary` has a name once, however often it is added.
pub fn lists(data: &[u8]) {
    let mut headers = lines(data, &VARY);
    assert!(
        headers::members(&headers, &VARY)
            .all(|member| !member.trim_matches([' ', '\t']).is_empty())
    );
    let before = headers::tokens(&headers, &VARY).count();
    headers::vary_add(&mut headers, &ACCEPT_ENCODING);
    assert!(
        headers::has_token(&headers, &VARY, "accept-encoding")
            || headers::has_token(&headers, &VARY, "*")
    );
    let after = headers::tokens(&headers, &VARY).count();
    assert!(after == before || after == before + 1);
    headers::vary_add(&mut headers, &ACCEPT_ENCODING);
    assert_eq!(after, headers::tokens(&headers, &VARY).count());
    // The rules of hosts cover the rest of what a client can choose.
    let _ = gateway::check(
        &http::Method::GET,
        Version::HTTP_11,
        &Uri::from_static("/"),
        &lines(data, &HOST),
    );
}

/// Paths decode to what was encoded, equal paths have one form, and a mount loses nothing.
pub fn paths(data: &[u8]) {
    let (raw, prefix) = split(data);
    assert_eq!(
        path::decode_utf8(&path::encode(&raw)).as_deref(),
        Some(&*raw)
    );
    let canonical = path::canonical(&raw);
    assert_eq!(path::canonical(&canonical), canonical);
    if raw.starts_with('/') {
        assert!(canonical.starts_with('/'));
        // A component that decodes it again finds no dot segment either.
        let mut segments = canonical.split('/').map(path::decode);
        assert!(segments.all(|segment| segment != "." && segment != ".."));
    } else {
        assert_eq!(path::decode_bytes(&canonical), path::decode_bytes(&raw));
    }
    if let Some(length) = path::match_prefix(&canonical, &prefix) {
        assert!(canonical.is_char_boundary(length));
        assert!(matches!(
            canonical.as_bytes().get(length),
            None | Some(b'/')
        ));
    }
    if let Some(mut request) = request(&raw) {
        let expected = path::canonical(request.uri().path()).into_owned();
        let _ = request.mount(&prefix);
        request.shift_segment();
        assert_eq!(
            format!("{}{}", request.script_name(), request.path()),
            expected
        );
        let environ: Vec<_> = request.environ().iter().collect();
        assert!(environ.iter().any(|(name, _)| name == "PATH_INFO"));
    }
}

/// A parsed host parses again when it is written, is trusted by a list of itself alone, and makes a URL.
pub fn hosts(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = TrustedHosts::new([&text]);
    let Some(host) = Host::parse(&text) else {
        return;
    };
    let written = host.to_string();
    assert_eq!(Host::parse(&written), Some(host));
    assert!(written.bytes().all(|byte| byte.is_ascii_graphic()));
    if let Ok(trusted) = TrustedHosts::new([&text]) {
        let app = Application::new(|_: Request| "found").wrap(trusted);
        let response = Client::new(app).get("/").header("host", &*text).send();
        // A star or a dot at the beginning makes it a pattern.
        assert!(response.status() == 200 || text.starts_with(['*', '.']));
    }
    let app = Application::new(|_: Request| "found").wrap(HttpsRedirect::new());
    let response = Client::new(app).get("//a").header("host", &*text).send();
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_byte);
    let is_name = host.address().is_some() || host.name().split('.').all(is_label);
    assert_eq!(response.status() == 308, is_name);
    if let Some(location) = response.header("location") {
        let location = Uri::try_from(location).expect("the location is a URL");
        assert_eq!(location.path(), "//a");
        assert_eq!(location.host(), Some(host.name()));
    }
}

/// Whatever a client sends, the proxy's own entry after it is used, and nothing invalid gets into a URL.
pub fn forwarded(data: &[u8]) {
    let all = [
        XForwarded::For,
        XForwarded::Proto,
        XForwarded::Host,
        XForwarded::Port,
        XForwarded::Prefix,
    ];
    let networks = ["192.0.2.0/24", "10.0.0.0/8", "::1"];
    let from_networks = [
        ProxyFix::trust_forwarded(networks),
        ProxyFix::trust_x_forwarded(networks, all),
    ];
    let counted = [
        ProxyFix::trust_forwarded_hops(1),
        ProxyFix::trust_x_forwarded_hops(all.map(|header| (header, 1))),
    ];
    let from_networks = from_networks.map(|fix| fix.expect("networks"));
    for fix in from_networks.into_iter().chain(counted) {
        let app = Application::new(|request: Request| judged(&request)).wrap(fix);
        let client = Client::new(app).without_gateway();
        let mut request = request("/").expect("a target");
        request.headers_mut().extend(forwarding(data));
        let host = HeaderValue::from_static("inside");
        request.headers_mut().insert(HOST, host);
        assert_eq!(client.prepared(request.clone_head()).send().status(), 200);
        for (name, added) in [
            ("forwarded", "for=\"203.0.113.5:80\""),
            ("x-forwarded-for", "203.0.113.5"),
        ] {
            let added = HeaderValue::from_static(added);
            request.headers_mut().append(name, added);
        }
        assert_eq!(client.prepared(request).send().text(), "203.0.113.5");
    }
    let headers = lines(data, &FORWARDED);
    for element in parse_forwarded(&headers).into_iter().flatten() {
        let again = lines(written(&element).as_bytes(), &FORWARDED);
        assert_eq!(parse_forwarded(&again), Some(vec![element]));
    }
}

/// All headers that a proxy could send, each with all of the bytes.
fn forwarding(data: &[u8]) -> HeaderMap {
    let names = ["for", "proto", "host", "port", "prefix"];
    let names = names.map(|name| HeaderName::try_from(format!("x-forwarded-{name}")));
    let names = names.map(|name| name.expect("a name")).into_iter();
    let mut all = HeaderMap::new();
    for name in names.chain([FORWARDED]) {
        all.extend(lines(data, &name));
    }
    all
}

/// Checks what an application behind a proxy may rely on; returns the client's address.
fn judged(request: &Request) -> Option<String> {
    let mut names = request.headers().keys().map(HeaderName::as_str);
    assert!(names.all(|name| !name.contains("forwarded")));
    let peer = request.connection().peer().expect("the request has a peer");
    assert_eq!(peer.to_string(), "192.0.2.7:1");
    let host = request.host().expect("the request has a host");
    assert!(Host::parse(host).is_some(), "{host:?}");
    let url = request.url_for_path("/");
    assert_eq!(path::canonical(&url), url);
    let decoded = path::decode(&url);
    assert!(decoded.starts_with('/') && !decoded.contains("//") && !decoded.contains('\\'));
    assert!(
        !decoded
            .split('/')
            .any(|segment| matches!(segment, "." | ".."))
    );
    request.client_address().map(|address| address.to_string())
}

/// An element as a proxy writes it, with quotes around all values.
fn written(element: &ForwardedElement<'_>) -> String {
    let pairs = [
        ("for", element.for_node()),
        ("by", element.by_node()),
        ("host", element.host()),
        ("proto", element.proto()),
    ];
    let pair = |(name, value): (&str, Option<&str>)| {
        let escaped = value?.replace('\\', "\\\\").replace('"', "\\\"");
        Some(format!("{name}=\"{escaped}\""))
    };
    let pairs: Vec<_> = pairs.into_iter().filter_map(pair).collect();
    // An empty element is a semicolon.
    pairs.join(";") + ";"
}

/// Any pattern is a route or an error; a route with a fixed text matches that text.
pub fn routes(data: &[u8]) {
    let (pattern, target) = split(data);
    let app = || Application::new(|_: Request| "found");
    let router = Router::new().get(&pattern, app()).mount("/mounted", app());
    let Ok(router) = router.build() else {
        return;
    };
    let client = Client::new(router);
    if !pattern.contains(['{', '}'])
        && let Some(request) = request(&path::encode(&pattern))
    {
        assert_eq!(client.prepared(request).send().status(), 200, "{pattern:?}");
    }
    if let Some(request) = request(&target) {
        let status = client.prepared(request).send().status().as_u16();
        assert!([200, 400, 404].contains(&status), "{status} for {target:?}");
    }
}

/// A parsed date is written as one that parses the same.
pub fn dates(data: &[u8]) {
    if let Some(time) = std::str::from_utf8(data)
        .ok()
        .and_then(headers::parse_http_date)
    {
        assert_eq!(
            headers::parse_http_date(&headers::format_http_date(time)),
            Some(time)
        );
    }
}

/// Every request's line is one line of characters that a terminal shows, and JSON is JSON.
pub fn log(data: &[u8]) {
    let format = "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\" \"%v\" \"%U\" \"%q\" \"%{a}C\" \
                  \"%{REQUEST_URI}e\" %{id}x";
    let text = AccessLog::format(format).expect("well formed");
    let members = [
        ("all", format),
        ("request", "%r"),
        ("agent", "%{User-Agent}i"),
    ];
    let json = AccessLog::json_of(members).expect("well formed");
    let line = |log| logged(log, data);
    if let Some(line) = line(text.clone()) {
        assert_eq!(quotes(&line), 16, "{line:?}");
    }
    if let Some(line) = line(text.redact_query("a")) {
        assert_eq!(quotes(&line), 16, "{line:?}");
    }
    if let Some(line) = line(json) {
        let read: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(read.as_object().map(serde_json::Map::len), Some(3));
    }
    if let Some(line) = line(AccessLog::json().redact_query("a")) {
        let read: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(read["status"], 200);
        let id = read["id"].as_str().expect("each request has one");
        assert!(!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}

/// The number of quotes in a line that are not escaped.
fn quotes(line: &str) -> usize {
    let (mut quotes, mut escaped) = (0, false);
    for shown in line.chars() {
        quotes += usize::from(shown == '"' && !escaped);
        escaped = shown == '\\' && !escaped;
    }
    quotes
}

/// The line of a request with these bytes, if there is such a request.
fn logged(log: AccessLog, data: &[u8]) -> Option<String> {
    let memory = Memory::default();
    let app = Application::new(|_: Request| "x").wrap(RequestId::new());
    let app = app.wrap(log.writer(memory.clone()));
    let (target, rest) = split(data);
    let mut request = request(&target)?;
    let mut values = rest.as_bytes().split(|&byte| byte == b'\n').chain([data]);
    for name in ["referer", "user-agent", "host", "cookie", "x-request-id"] {
        if let Some(value) = values
            .next()
            .and_then(|value| HeaderValue::from_bytes(value).ok())
        {
            request.headers_mut().append(name, value);
        }
    }
    if let Ok(method) = Method::from_bytes(rest.as_bytes()) {
        *request.method_mut() = method;
    }
    request
        .extensions_mut()
        .insert(enfilade::RemoteUser::new(rest.to_string()));
    drop(Client::new(app).without_gateway().prepared(request).send());
    let written = memory
        .0
        .lock()
        .expect("no test panics while it holds the lock")
        .clone();
    let line = String::from_utf8(written).expect("lines are UTF-8");
    let line = line.strip_suffix('\n').expect("a line has an end");
    assert!(!line.chars().any(char::is_control), "{line:?}");
    Some(line.to_owned())
}

/// Any status line and header is accepted or rejected; what is accepted can be sent.
pub fn start_response(data: &[u8]) {
    let data = data.to_vec();
    let app = wsgi::Options::new()
        .errors(std::io::sink())
        .application(move |_, start_response| {
            let (status, rest) = split(&data);
            let (name, value) = rest.split_once(':').unwrap_or((&rest, ""));
            start_response(&status, &[(name, value)])?;
            Ok(["x"])
        });
    let response = Client::new(app).get("/").send();
    let values = response
        .headers()
        .values()
        .all(|value| !value.as_bytes().iter().any(|byte| b"\r\n\0".contains(byte)));
    assert!(values && response.status().as_u16() >= 200);
}

/// Any body in any coding is read or rejected, in small pieces and within its limits, and the same for all chunk sizes.
pub fn decompression(data: &[u8]) {
    let (codings, body) = split_bytes(data);
    let Ok(codings) = HeaderValue::from_bytes(codings) else {
        return;
    };
    let read = |size: usize| {
        let chunks: Vec<Vec<u8>> = body.chunks(size).map(<[u8]>::to_vec).collect();
        let (status, found) = inflate(&codings, Body::from_iterator(chunks));
        assert!([200, 400, 413, 415].contains(&status), "{status}");
        assert!(found.len() as u64 <= INFLATED, "{}", found.len());
        // The ratio of the docs, which is the default.
        assert!(found.len() <= (1024 * 1024).max(200 * body.len()));
        (status, found)
    };
    let whole = read(usize::MAX);
    for size in [1, 7] {
        let (status, found) = read(size);
        if whole.0 == 200 && status == 200 {
            assert!(whole.1 == found, "the content differs by {size}");
        } else if whole.0 == 200 || status == 200 {
            // The point at which the ratio is checked depends on what came so far.
            assert_eq!(whole.0.max(status), 413, "by {size}");
        }
    }
}

/// More than what the ratio allows at the beginning.
const INFLATED: u64 = 5 * 256 * 1024;

/// The content that an application gets before the end or a failure, and the status of its response.
fn inflate(codings: &HeaderValue, body: Body) -> (u16, Vec<u8>) {
    let given = Arc::new(Mutex::new(Vec::new()));
    let to_be_given = given.clone();
    let app = Application::new(move |mut request: Request| {
        let given = to_be_given.clone();
        async move {
            let mut body = request.take_body();
            while let Some(frame) = body.frame().await {
                let data = frame?.into_data().unwrap_or_default();
                assert!(data.len() <= 16 * 1024, "a piece of {}", data.len());
                given
                    .lock()
                    .expect("no test panics while it holds the lock")
                    .extend(data);
            }
            Ok::<_, HttpError>("read")
        }
    });
    let app = app.wrap(Decompression::new().limit(INFLATED));
    let mut request = Request::new(Method::POST, Uri::from_static("/"));
    request
        .headers_mut()
        .insert(CONTENT_ENCODING, codings.clone());
    *request.body_mut() = body;
    let client = Client::new(app).without_gateway();
    let status = client.prepared(request).send().status().as_u16();
    let given = std::mem::take(
        &mut *given
            .lock()
            .expect("no test panics while it holds the lock"),
    );
    (status, given)
}

/// A parsed trace is written as one that parses the same, and is not longer than the input.
pub fn traces(data: &[u8]) {
    let (parent, states) = split_bytes(data);
    let [traceparent, tracestate] =
        ["traceparent", "tracestate"].map(|name| HeaderName::try_from(name).expect("a name"));
    let mut headers = lines(parent, &traceparent);
    headers.extend(lines(states, &tracestate));
    let Some(context) = TraceContext::from_headers(&headers) else {
        return;
    };
    let mut written = HeaderMap::new();
    context.write_to(&mut written);
    assert_eq!(TraceContext::from_headers(&written), Some(context.clone()));
    let value = written[traceparent].to_str().expect("hexadecimal digits");
    assert_eq!(value.len(), 55);
    assert!(parent.get(3..52) == value.as_bytes().get(3..52));
    if let Some(state) = context.tracestate() {
        let members = headers::members(&written, &tracestate).count();
        assert!(members <= 32 && state.len() <= states.len());
        assert!(state.to_str().is_ok());
    }
    let child = context.child(std::num::NonZeroU64::MIN);
    assert_eq!(child.trace_id(), context.trace_id());
}

/// Any name and description make a header with these two entries and no others.
pub fn timings(data: &[u8]) {
    let (name, description) = split(data);
    let (name, description) = (name.into_owned(), description.into_owned());
    let app = Application::new(move |request: Request| {
        ServerTiming::of(&request).note(&name, &description);
        name.is_empty().to_string()
    });
    let app = app.wrap(Timing::new().timer(|| std::time::Duration::ZERO));
    let response = Client::new(app).get("/").send();
    let name = HeaderName::from_static("server-timing");
    let entries: Vec<_> = headers::members(response.headers(), &name).collect();
    assert_eq!(entries[0], "total;dur=0.000");
    assert_eq!(entries.len() == 1, response.text() == "true");
    if let Some(entry) = entries.get(1) {
        let (name, rest) = entry.split_once(';').expect("a description");
        assert!(HeaderName::try_from(name).is_ok(), "{name:?}");
        let quoted = rest
            .strip_prefix("desc=\"")
            .and_then(|rest| rest.strip_suffix('"'));
        assert!(quoted.is_some(), "{rest:?}");
    }
    assert!(entries.len() <= 2, "{entries:?}");
}

/// Any variables, one on each line, get one response, and a request from them has the path of its target.
pub fn cgi(data: &[u8]) {
    let pairs = data.split(|&byte| byte == b'\n').map(|line| {
        let at = line
            .iter()
            .position(|&byte| byte == b'=')
            .unwrap_or(line.len());
        let value = line.get(at + 1..).unwrap_or_default();
        (line[..at].to_vec(), value.to_vec())
    });
    let basic = [
        (b"REQUEST_METHOD".to_vec(), b"POST".to_vec()),
        (b"REQUEST_URI".to_vec(), b"/a%2Fb".to_vec()),
    ];
    let variables: Variables = basic.into_iter().chain(pairs).collect();
    let mut output = Vec::new();
    let answered = enfilade::cgi::exchange(
        placed(),
        variables,
        std::io::repeat(b'x').take(1_000_000),
        &mut output,
    );
    answered.expect("a response in memory");
    assert!(output.starts_with(b"Status: ") && !has_failed(&output));
}

/// Any bytes of a web server get whole records, or the eight bytes of no record.
pub fn fastcgi(data: &[u8]) {
    let all = connected(data, |stream| {
        enfilade::fastcgi::serve_connection(stream, placed())
    });
    assert!(!has_failed(&all));
    let mut rest = &all[..];
    while !rest.is_empty() && rest != [0; 8] {
        assert_eq!(rest[0], 1, "{rest:?}");
        let length = usize::from(u16::from_be_bytes([rest[4], rest[5]])) + usize::from(rest[6]);
        // A connection may end in a record if the web server has closed it.
        rest = rest.get(8 + length..).unwrap_or_default();
    }
}

/// Any bytes of a web server get one response, or none.
pub fn scgi(data: &[u8]) {
    let response = connected(data, |stream| {
        enfilade::scgi::serve_connection(stream, placed())
    });
    assert!(response.is_empty() || response.starts_with(b"Status: "));
    assert!(!has_failed(&response));
}

/// Whether the application panicked, which the gateway makes a 500.
fn has_failed(output: &[u8]) -> bool {
    output.windows(11).any(|part| part == b"Status: 500")
}

/// An application that reads the whole body, and checks that the request has the path of its target.
fn placed() -> Application {
    Application::new(
        async |mut request: Request| -> Result<String, enfilade::HttpError> {
            let whole = format!("{}{}", request.script_name(), request.path());
            assert_eq!(whole, path::canonical(request.uri().path()));
            let body = request.take_body().collect(100_000).await?;
            Ok(body.len().to_string())
        },
    )
}

/// A body of segments, its slices and their slices are the same slices of the bytes, however they are read.
pub fn segments(data: &[u8]) {
    let mut numbers = data.iter().copied();
    let mut next = || usize::from(numbers.next().unwrap_or(0));
    let (limit, is_later, count) = (next() % 7 + 1, next() % 2 == 1, next() % 5);
    let (mut expected, mut parts) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let bytes: Vec<u8> = (0..next() % 20).map(|_| next() as u8).collect();
        let start = next() % (bytes.len() + 1);
        let end = start + next() % (bytes.len() - start + 1);
        expected.extend_from_slice(&bytes[start..end]);
        parts.push(match next() % 2 {
            0 => Segment::from(bytes[start..end].to_vec()),
            _ => {
                let (bytes, most) = (bytes.into(), next() % 4 + 1);
                let source = Source {
                    bytes,
                    most,
                    is_later,
                };
                Segment::new(Arc::new(source), start as u64..end as u64)
            }
        });
    }
    let mut body = Body::from_segments(parts);
    for _ in 0..3 {
        assert_eq!(body.known_length(), Some(expected.len() as u64));
        let taken: Vec<u8> = match next() % 3 {
            0 => pieces(&mut body, limit).next().unwrap_or_default().into(),
            _ => Vec::new(),
        };
        assert_eq!(expected.get(..taken.len()), Some(&*taken));
        expected.drain(..taken.len());
        let (start, end) = (next() % 30, next() % 30);
        let range = start as u64..end as u64;
        let part = expected.get(start..end).map(<[u8]>::to_vec);
        match body.segments(range.clone()) {
            Ok(_) => {
                expected = part.expect("the range is inside");
                body = body.slice(range).expect("it has these segments");
            }
            Err(error) => {
                assert_eq!((error.kind(), part), (BodyErrorKind::OutOfRange, None));
            }
        }
    }
    let rest: Vec<_> = pieces(&mut body, limit).collect();
    assert!(rest.iter().all(|piece| (1..=limit).contains(&piece.len())));
    assert_eq!(rest.concat(), expected);
    assert!(body.is_finished());
}

/// A source that returns a few bytes at a time, now or later.
struct Source {
    bytes: Bytes,
    most: usize,
    is_later: bool,
}

impl ReadAt for Source {
    fn read_at(&self, offset: u64, limit: usize) -> SourceRead {
        let read = self.bytes.read_at(offset, limit.min(self.most));
        match self.is_later {
            false => read,
            true => {
                let start = self.bytes.len().min(offset as usize);
                let end = self.bytes.len().min(start + limit.min(self.most));
                let part = self.bytes.slice(start..end);
                SourceRead::from_future(async move { Ok(part) })
            }
        }
    }
}

/// The content that a gateway gets if it takes so many bytes at a time.
fn pieces(body: &mut Body, limit: usize) -> impl Iterator<Item = Bytes> {
    let mut context = Context::from_waker(Waker::noop());
    std::iter::from_fn(move || match body.poll_piece(&mut context, limit) {
        Poll::Ready(piece) => Some(piece?.expect("nothing fails").into_data().expect("bytes")),
        Poll::Pending => unreachable!("nothing waits"),
    })
}

/// All bytes that a server writes to a web server that sends these bytes and disconnects.
fn connected<F>(data: &[u8], serve: impl FnOnce(tokio::io::DuplexStream) -> F) -> Vec<u8>
where
    F: Future<Output = std::io::Result<()>>,
{
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let (mut front, back) = tokio::io::duplex(data.len() + 1_000_000);
    runtime.expect("a runtime").block_on(async {
        front.write_all(data).await.expect("there is room");
        front.shutdown().await.expect("it is open");
        let _ = serve(back).await;
        let mut all = Vec::new();
        front.read_to_end(&mut all).await.expect("it was closed");
        all
    })
}

/// Splits the bytes at the first line feed.
fn split_bytes(data: &[u8]) -> (&[u8], &[u8]) {
    let at = data.iter().position(|&byte| byte == b'\n');
    at.map_or((data, &b""[..]), |at| (&data[..at], &data[at + 1..]))
}

/// Splits the bytes at the first line feed, as text.
fn split(data: &[u8]) -> (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>) {
    let (first, second) = split_bytes(data);
    (
        String::from_utf8_lossy(first),
        String::from_utf8_lossy(second),
    )
}

fn request(target: &str) -> Option<Request> {
    let mut request = Request::new(Method::GET, target.parse().ok()?);
    request.set_connection(
        Connection::default().with_peer("192.0.2.7:1".parse().expect("an address")),
    );
    Some(request)
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .expect("no test panics while it holds the lock")
            .write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
