//! Entity tags, conditions and ranges: `conditional KIND NUMBER` measures calls, `conditional serve 0` is a server.
//!
//! | kind | number | |
//! |---|---|---|
//! | `bare`, `conditional` | - | a short response without validators, without and with `Conditional` |
//! | `bare-asked`, `conditional-asked` | - | the same with `If-None-Match` in the request |
//! | `untagged`, `weak`, `strong` | bytes | a page in memory, without and with `Etag` |
//! | `page-200`, `page-304` | bytes | the same with `Conditional`; its 304 |
//! | `rendered-200`, `rendered-304` | bytes | a page that is rendered, whose handler checks the version first |
//! | `gzip-200`, `gzip-304` | bytes | the page with `Compression` and `Ranges` too |
//! | `whole`, `part` | bytes | a file that long, whole without wrapper, and 100 bytes of its middle by `Ranges` |

use std::fmt::Write as _;
use std::fs::File;
use std::sync::OnceLock;

use enfilade::bytes::Bytes;
use enfilade::conditional::{EntityTag, Validators};
use enfilade::middleware::{Compression, Conditional, Etag, FileSource, Ranges};
use enfilade::{Application, Body, IntoResponse, Pipeline, Request, Response, Server};
use http::HeaderValue;

const PAGE: usize = 30 * 1024;

fn page(length: usize) -> Application {
    let page = Bytes::from(b"The garden is seen through the open doors. ".repeat(length / 43 + 1));
    let page = page.slice(..length);
    Application::new(move |_: Request| ([("content-type", "text/html")], Body::from(page.clone())))
}

/// A page of some length with a version, as a template would write it.
fn rendered(length: usize) -> Application {
    Application::new(move |request: Request| {
        let current = Validators::new().entity_tag(EntityTag::strong("v7").expect("a tag"));
        if let Some(response) = Conditional::check(&request, &current) {
            return response;
        }
        let mut page = String::new();
        let mut row = 0;
        while page.len() < length {
            row += 1;
            writeln!(page, "<tr><td>{row}</td><td>{}</td></tr>", row * row).expect("a text");
        }
        let mut response = page.into_response();
        current.set_on(response.headers_mut());
        response
    })
}

/// A file of this length that takes no space.
fn file(length: usize) -> Application {
    let path = std::env::temp_dir().join(format!("enfilade-conditional-{}", std::process::id()));
    let file = File::create_new(&path).expect("a new file");
    file.set_len(length as u64).expect("a file of that length");
    let source = pollster::block_on(FileSource::open(&path)).expect("the file");
    std::fs::remove_file(path).expect("the file");
    Application::new(move |_: Request| Response::new(Body::from(source.clone())))
}

fn tagged(length: usize) -> Application {
    Pipeline::new()
        .with(Conditional::new())
        .with(Etag::new())
        .wrap(page(length))
}

fn serve() {
    let server = Server::bind("127.0.0.1:0").expect("a free port");
    println!("{}", server.local_addr().port());
    server.serve_forever(tagged(PAGE)).expect("a server");
}

fn main() {
    let (kind, number) = layers::arguments();
    let text = || Application::new(|_: Request| Response::new(layers::TEXT.into()));
    let app = match &*kind {
        "serve" => return serve(),
        "bare" | "bare-asked" => text(),
        "conditional" | "conditional-asked" => text().wrap(Conditional::new()),
        "untagged" => page(number),
        "weak" => page(number).wrap(Etag::new()),
        "strong" => page(number).wrap(Etag::new().strong()),
        "page-200" | "page-304" => tagged(number),
        "gzip-200" | "gzip-304" => tagged(number).wrap(Ranges::new()).wrap(Compression::new()),
        "rendered-200" | "rendered-304" => rendered(number),
        "whole" => file(number),
        "part" => file(number).wrap(Ranges::new()),
        _ => panic!("no such kind: {kind}"),
    };
    static TAG: OnceLock<HeaderValue> = OnceLock::new();
    let tag = TAG.get_or_init(|| {
        let response = pollster::block_on(app.call(Request::get("/")));
        let own = response.headers().get("etag").cloned();
        own.unwrap_or(HeaderValue::from_static("\"v1\""))
    });
    let middle = HeaderValue::try_from(format!("bytes={}-{}", number / 2, number / 2 + 99));
    let middle = middle.expect("a range");
    layers::measure(0, || {
        let mut request = Request::get("/");
        let headers = request.headers_mut();
        headers.insert("host", HeaderValue::from_static("example.org"));
        headers.insert("accept", HeaderValue::from_static("text/html"));
        headers.insert("user-agent", HeaderValue::from_static("bench"));
        if kind.starts_with("gzip") {
            headers.insert("accept-encoding", HeaderValue::from_static("gzip"));
        }
        if kind.ends_with("-asked") || kind.ends_with("-304") {
            headers.insert("if-none-match", tag.clone());
        }
        if kind == "part" {
            headers.insert("range", middle.clone());
        }
        let response = pollster::block_on(app.call(request));
        assert_eq!(response.status() == 206, kind == "part");
        assert_eq!(response.status() == 304, kind.ends_with("-304"));
        match &*kind {
            "part" => {
                let content = pollster::block_on(response.into_body().collect(100));
                content.expect("100 bytes").len() - 100
            }
            _ => 0,
        }
    });
}
