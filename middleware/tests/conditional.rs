//! Entity tags, conditions, ranges and compression around one application.

use enfilade_core::{Application, IntoResponse, Pipeline, Request, Response};
use enfilade_middleware::{Compression, Conditional, Etag, Etags, Ranges};
use enfilade_testing::{Client, Lint, RequestBuilder, TestResponse, doctor, laws};
use http::header::{ACCEPT_RANGES, ETAG};

const PAGE: &str = "The garden is seen through the open doors. ";

fn page(_: &Request) -> Response {
    let lines = [
        ("cache-control", "max-age=60"),
        ("content-type", "text/plain"),
    ];
    (lines, PAGE.repeat(50)).into_response()
}

/// The documented order.
fn client(compression: Compression, etag: Etag) -> Client {
    let app = Pipeline::new()
        .with(Lint::new())
        .with(compression)
        .with(Ranges::new())
        .with(Conditional::new())
        .with(etag)
        .with(Lint::new())
        .wrap(|request: Request| page(&request));
    assert_eq!(doctor(&app), []);
    Client::new(app)
}

fn gzip(request: RequestBuilder) -> RequestBuilder {
    request.header("accept-encoding", "gzip")
}

fn facts(response: &TestResponse) -> (u16, Option<&str>, Option<&str>, Option<&str>) {
    (
        response.status().as_u16(),
        response.header("etag"),
        response.header("content-encoding"),
        response.header("vary"),
    )
}

const VARY: Option<&str> = Some("accept-encoding");

#[test]
fn a_weak_tag_stands_for_every_coding() {
    let client = client(Compression::new(), Etag::new());
    let plain = client.get("/").send();
    let tag = plain.header("etag").unwrap();
    assert!(tag.starts_with("W/\""));
    assert_eq!(facts(&plain), (200, Some(tag), None, VARY));
    let compressed = gzip(client.get("/")).send();
    assert_eq!(facts(&compressed), (200, Some(tag), Some("gzip"), VARY));
    let again = gzip(client.get("/").header("if-none-match", tag)).send();
    assert_eq!(facts(&again), (304, Some(tag), None, VARY));
    assert_eq!(again.header("cache-control"), Some("max-age=60"));
}

#[test]
fn a_tag_for_each_coding_is_compared_with_its_own() {
    let client = client(
        Compression::new().etags(Etags::PerCoding),
        Etag::new().strong(),
    );
    let plain = client.get("/").send();
    let tag = plain.header("etag").unwrap().to_owned();
    let of_gzip = format!("{}-gzip\"", tag.strip_suffix('"').unwrap());
    let compressed = gzip(client.get("/")).send();
    assert_eq!(
        facts(&compressed),
        (200, Some(&*of_gzip), Some("gzip"), VARY)
    );

    // The client has this coding, the plain content, and another coding.
    let own = gzip(client.get("/").header("if-none-match", &of_gzip)).send();
    assert_eq!(facts(&own), (304, Some(&*of_gzip), None, VARY));
    let plain = gzip(client.get("/").header("if-none-match", &tag)).send();
    assert_eq!(facts(&plain), (304, Some(&*tag), None, VARY));
    let other = client.get("/").header("if-none-match", &of_gzip).send();
    assert_eq!(facts(&other), (200, Some(&*tag), None, VARY));

    for (name, value, status) in [
        ("if-match", of_gzip.as_str(), 200),
        ("if-match", tag.as_str(), 200),
        ("if-match", "\"other\"", 412),
    ] {
        let response = gzip(client.get("/").header(name, value)).send();
        assert_eq!(response.status(), status, "{name}: {value}");
    }
}

#[test]
fn a_weakened_tag_is_that_of_the_304_too() {
    let client = client(Compression::new(), Etag::new().strong());
    let plain = client.get("/").send();
    let tag = plain.header("etag").unwrap().to_owned();
    let weak = format!("W/{tag}");
    let compressed = gzip(client.get("/")).send();
    assert_eq!(facts(&compressed), (200, Some(&*weak), Some("gzip"), VARY));
    let own = gzip(client.get("/").header("if-none-match", &weak)).send();
    assert_eq!(facts(&own), (304, Some(&*weak), None, VARY));
    let plain = client.get("/").header("if-none-match", &tag).send();
    assert_eq!(facts(&plain), (304, Some(&*tag), None, VARY));
}

#[test]
fn a_part_is_plain_and_has_the_vary_of_its_whole() {
    let client = client(
        Compression::new().etags(Etags::PerCoding),
        Etag::new().strong(),
    );
    let tag = client.get("/").send().header("etag").unwrap().to_owned();
    let of_gzip = format!("{}-gzip\"", tag.strip_suffix('"').unwrap());
    let part = gzip(client.get("/").header("range", "bytes=4-9")).send();
    assert_eq!(facts(&part), (206, Some(&*tag), None, VARY));
    assert_eq!(part.text(), "garden");
    let parts = gzip(client.get("/").header("range", "bytes=4-9,0-2")).send();
    assert_eq!(facts(&parts), (206, Some(&*tag), None, VARY));

    // A part of the compressed content cannot be continued with plain bytes.
    let condition = |tag: &str| {
        let request = client.get("/").header("range", "bytes=4-9");
        gzip(request.header("if-range", tag)).send()
    };
    assert_eq!(facts(&condition(&tag)), (206, Some(&*tag), None, VARY));
    assert_eq!(
        facts(&condition(&of_gzip)),
        (200, Some(&*of_gzip), Some("gzip"), VARY)
    );
    assert_eq!(condition(&of_gzip).header("accept-ranges"), None);
}

#[test]
fn conditions_come_before_ranges() {
    let client = client(Compression::new(), Etag::new().strong());
    let tag = client.get("/").send().header("etag").unwrap().to_owned();
    for (name, value, range, status) in [
        ("if-none-match", tag.as_str(), "bytes=0-1", 304),
        ("if-none-match", tag.as_str(), "bytes=9999-", 304),
        ("if-match", "\"other\"", "bytes=9999-", 412),
        ("if-match", tag.as_str(), "bytes=0-1", 206),
        ("if-match", tag.as_str(), "bytes=9999-", 416),
    ] {
        let request = client.get("/").header("range", range);
        let response = request.header(name, value).send();
        assert_eq!(response.status(), status, "{name}: {value}, {range}");
    }
}

#[test]
fn the_three_together_keep_the_laws() {
    let three = |app: Application| {
        app.wrap(Etag::new().strong())
            .wrap(Conditional::new())
            .wrap(Ranges::new().skip_streams(1 << 20))
    };
    // They add these, and a 206, 304, 412 or 416 is checked as what it is.
    laws::Check::new(three).touches([ETAG, ACCEPT_RANGES]).run();
}
