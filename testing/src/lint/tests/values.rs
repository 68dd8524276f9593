//! Law 7, the names in findings, and the destinations of findings.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use enfilade_core::{Application, Body, Request, around};
use http::header::ACCEPT_ENCODING;
use http::{HeaderValue, Method};

use super::{linted, responding};
use crate::client::Client;
use crate::lint::Finding;
use crate::lint::Law;
use crate::lint::Lint;
use crate::lint::Side;

type Headers = &'static [(&'static str, &'static str)];

#[test]
fn a_wrong_value_is_reported() {
    let cases: [(Headers, &str); 9] = [
        (
            &[("x-a", "a ")],
            "the header x-a begins or ends with white space: \"a \"",
        ),
        (
            &[("content-type", "text")],
            "the header content-type is \"text\", which is not a media type",
        ),
        (
            &[("date", "Sun Nov  6 08:49:37 1994")],
            "the header date is \"Sun Nov  6 08:49:37 1994\", which is not an HTTP date (IMF-fixdate)",
        ),
        (
            &[("last-modified", "Mon, 06 Nov 1994 08:49:37 GMT")],
            "the header last-modified is \"Mon, 06 Nov 1994 08:49:37 GMT\", which is not an HTTP date (IMF-fixdate)",
        ),
        (
            &[("retry-after", "soon")],
            "the header retry-after is \"soon\", which is not a number of seconds or an HTTP date (IMF-fixdate)",
        ),
        (
            &[("etag", "v1")],
            "the header etag is \"v1\", which is not an entity tag",
        ),
        (
            &[("etag", "\"a\""), ("etag", "\"b\"")],
            "there are 2 etag headers",
        ),
        (
            &[("location", "/a b")],
            "the header location is \"/a b\", which is not a URI reference",
        ),
        (
            &[("location", "//evil.example")],
            "the header location is \"//evil.example\", which leads to another host: \
             begin a path with one slash",
        ),
    ];
    for (headers, expected) in cases {
        for method in [Method::GET, Method::HEAD, Method::POST] {
            let (client, findings) = linted(responding(200, headers, Body::empty));
            client.without_gateway().request(method, "/").send();
            let law = "responding (inside Lint) broke law 7 (header values are valid and correct)";
            assert_eq!(*findings.lock().unwrap(), [format!("{law}: {expected}")]);
        }
    }
}

#[test]
fn a_content_length_is_one_number_for_head_and_304_too() {
    let wrong: [(Headers, &str); 2] = [
        (
            &[("content-length", "4x")],
            "Content-Length is \"4x\", which is not one number",
        ),
        (
            &[("content-length", "4"), ("content-length", "4")],
            "there are 2 Content-Length headers",
        ),
    ];
    for (headers, expected) in wrong {
        for (method, status) in [(Method::HEAD, 200), (Method::GET, 304)] {
            let (client, findings) = linted(responding(status, headers, Body::empty));
            client.request(method, "/").send();
            let expected =
                format!("responding (inside Lint) broke law 2 (lengths are true): {expected}");
            assert_eq!(*findings.lock().unwrap(), [expected]);
        }
    }
}

#[test]
fn a_location_outside_the_mount_is_reported_unless_it_is_allowed() {
    let mounted = |lint: fn(Lint) -> Lint| {
        let findings = Arc::new(Mutex::new(Vec::new()));
        let list = findings.clone();
        let report = Lint::report(move |finding| list.lock().unwrap().push(finding));
        let login = responding(303, &[("location", "/login")], Body::empty);
        let app = login
            .wrap(lint(report))
            .wrap(around("mount", |inner, mut request: Request| {
                request.mount("/shop").unwrap();
                inner.call(request)
            }));
        let client = Client::new(app);
        client.get("/shop/cart").send();
        let there: Vec<Finding> = std::mem::take(&mut findings.lock().unwrap());
        client.get("/cart").send();
        assert!(findings.lock().unwrap().is_empty(), "there is no mount");
        there
    };
    let found = mounted(|lint| lint);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].law(), found[0].side()),
        (Law::Values, Side::Application)
    );
    assert_eq!(
        found[0].message(),
        "the header location is \"/login\", which leads out of the mount \"/shop\": \
         use `Request::url_for_path`"
    );
    assert!(mounted(Lint::allow_external_locations).is_empty());
}

/// An application that compresses if the client accepts it, with these headers.
fn coding(plain: Headers, coded: Headers) -> Application {
    let (plain, coded) = (
        responding(200, plain, Body::empty),
        responding(200, coded, Body::empty),
    );
    Application::new(move |request: Request| {
        let is_asked_for = request.headers().contains_key(ACCEPT_ENCODING);
        (if is_asked_for { &coded } else { &plain }).call(request)
    })
}

#[test]
fn trailers_are_judged_as_they_pass() {
    let (client, findings) = linted(responding(200, &[], || {
        let length = [(http::header::CONTENT_LENGTH, HeaderValue::from_static("7"))];
        Body::from("content").with_trailers(length.into_iter().collect())
    }));
    assert_eq!(client.get("/").send().text(), "content");
    let law = "responding (inside Lint) broke law 7 (header values are valid and correct)";
    let expected = format!("{law}: the trailers contain content-length, which belongs in the head");
    assert_eq!(*findings.lock().unwrap(), [expected]);
}

#[test]
fn two_codings_are_held_against_each_other() {
    const GZIP: (&str, &str) = ("content-encoding", "gzip");
    const TAG: (&str, &str) = ("etag", "\"1\"");
    const VARY: (&str, &str) = ("vary", "accept-encoding");
    let cases: [(Headers, Headers, &[&str]); 4] = [
        (
            &[],
            &[GZIP],
            &["one target has the codings identity and gzip by Accept-Encoding"],
        ),
        (
            &[TAG, VARY],
            &[GZIP, TAG, VARY],
            &["the strong validator \"\\\"1\\\"\" stands for two codings of one target"],
        ),
        (&[TAG, VARY], &[GZIP, ("etag", "W/\"1\""), VARY], &[]),
        (&[TAG], &[GZIP, ("etag", "\"1-gzip\""), VARY], &[]),
    ];
    for (plain, coded, expected) in cases {
        let (client, findings) = linted(coding(plain, coded));
        for _ in 0..3 {
            client.get("/a").send();
            client.get("/b").header("accept-encoding", "gzip").send();
            client.head("/a").header("accept-encoding", "gzip").send();
        }
        assert!(
            findings.lock().unwrap().is_empty(),
            "there is one coding each"
        );
        client.get("/a").header("accept-encoding", "gzip").send();
        client.get("/a").send();
        let findings = findings.lock().unwrap();
        assert_eq!(findings.len(), expected.len(), "{findings:?}");
        for (found, expected) in findings.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }
}

#[test]
fn findings_name_the_component_on_their_side() {
    let named = |lint: fn(Lint) -> Lint| {
        let names = Arc::new(Mutex::new(Vec::new()));
        let list = names.clone();
        let report = Lint::report(move |finding| {
            let name = (finding.side(), finding.component().to_owned());
            list.lock().unwrap().push(name);
        });
        let app =
            responding(200, &[("x-a", " ")], Body::empty).wrap(around("Salon", Application::call));
        let app = app.wrap(lint(report));
        let client = Client::new(app).without_gateway();
        client.post("/").header("content-length", "x").send();
        std::mem::take(&mut *names.lock().unwrap())
    };
    let by = |outside: &str, inside: &str| {
        [
            (Side::Gateway, outside.to_owned()),
            (Side::Application, inside.to_owned()),
        ]
    };
    assert_eq!(named(|lint| lint), by("the gateway", "Salon"));
    assert_eq!(
        named(|lint| lint.inside("Hall").outside("Street")),
        by("Street", "Hall")
    );
    // A component that only watches is never named in a finding.
    let app = responding(200, &[("x-a", " ")], Body::empty).wrap(Lint::report(drop));
    let (client, findings) = linted(app);
    client.get("/").send();
    assert!(findings.lock().unwrap()[0].starts_with("responding (inside Lint) broke law 7"));
}

/// A writer whose content a test can read.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn findings_are_written_as_lines() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("no room"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let memory = Memory::default();
    let app = responding(200, &[("x-a", " "), ("etag", "\"")], Body::empty);
    let app = app.wrap(Lint::write_to(memory.clone()).inside("a\nb"));
    let app = app.wrap(Lint::write_to(Full));
    assert_eq!(Client::new(app).get("/").send().status(), 200);
    let law = "a\\nb (inside Lint) broke law 7 (header values are valid and correct)";
    let lines = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
    let expected = format!(
        "{law}: the header x-a begins or ends with white space: \" \"\n\
         {law}: the header etag is \"\\\"\", which is not an entity tag\n"
    );
    assert_eq!(lines, expected);
}

#[test]
fn a_request_is_not_judged_by_its_values() {
    let (client, findings) = linted(responding(200, &[], Body::empty));
    let request = client
        .get("/")
        .header("date", "now")
        .header("location", "\\");
    request.header("x-a", " ").send();
    assert!(findings.lock().unwrap().is_empty());
    let (client, findings) = linted(Application::new(|_: Request| {
        let mut response = enfilade_core::Response::default();
        let raw = HeaderValue::from_bytes(b"caf\xe9").unwrap();
        response.headers_mut().insert("x-a", raw);
        response
    }));
    client.get("/").send();
    assert!(findings.lock().unwrap().is_empty());
}
