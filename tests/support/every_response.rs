//! An application with every kind of response, which echoes its requests; all gateways are compared with it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade::{Application, Body, HttpError, IntoResponse, Reply, Request, Response};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Frame;

/// The application.
#[expect(clippy::panic, reason = "responses to panics are compared too")]
pub(crate) fn app() -> Application {
    Application::new(|request: Request| match request.path() {
        "/large" => Reply::new("large ".repeat(200_000)),
        "/binary" => Reply::new((0..=255).collect::<Vec<u8>>().repeat(300)),
        "/stream" => Reply::new(Body::from_iterator(
            (0..100).map(|at| format!("part {at}\n")),
        )),
        "/empty-stream" => Reply::new(Body::from_iterator([""; 3])),
        "/trailers" => Reply::new(trailers()),
        "/headers" => Reply::new(headers()),
        "/moved" => Reply::new((
            StatusCode::FOUND,
            [("location", "/echo?from=moved")],
            "moved",
        )),
        "/made" => Reply::new((StatusCode::CREATED, [("location", "/made/1")], "made")),
        "/nothing" => Reply::new(StatusCode::NO_CONTENT),
        "/reset" => Reply::new(StatusCode::RESET_CONTENT),
        "/same" => Reply::new((StatusCode::NOT_MODIFIED, [("etag", "\"1\"")], ())),
        "/missing" => Reply::new((StatusCode::NOT_FOUND, "no such page")),
        "/busy" => Reply::new(HttpError::new(StatusCode::SERVICE_UNAVAILABLE).message("later")),
        "/panic" => panic!("on purpose"),
        "/broken" => Reply::new(Body::new(Broken(3))),
        "/broken-measured" => Reply::new(([("content-length", "100")], Body::new(Broken(3)))),
        "/mirror" => mirror(request),
        "/early" => Reply::new("not read"),
        _ => Reply::from_future(echo(request)),
    })
}

fn headers() -> Response {
    let mut response = "headers".into_response();
    let headers = response.headers_mut();
    for cookie in ["a=1; Path=/", "b=2; HttpOnly"] {
        headers.append("set-cookie", HeaderValue::from_static(cookie));
    }
    headers.append("x-many", HeaderValue::from_static("1"));
    headers.append("x-many", HeaderValue::from_static("2"));
    headers.insert("x-empty", HeaderValue::from_static(""));
    headers.insert(
        "x-latin",
        HeaderValue::from_bytes(b"caf\xe9").expect("visible bytes"),
    );
    headers.insert("etag", HeaderValue::from_static("\"v1\""));
    response
}

fn trailers() -> Response {
    let sum = HeaderMap::from_iter([(
        "x-sum".parse().expect("a name"),
        HeaderValue::from_static("1"),
    )]);
    Body::from_iterator(["one, ", "two"])
        .with_trailers(sum)
        .into_response()
}

/// Returns the body while it arrives.
fn mirror(mut request: Request) -> Reply {
    let kind = request.headers_mut().remove("content-type");
    let mut response = request.take_body().into_response();
    response
        .headers_mut()
        .extend(kind.map(|kind| (http::header::CONTENT_TYPE, kind)));
    Reply::new(response)
}

/// Returns the request as text.
async fn echo(mut request: Request) -> Result<String, HttpError> {
    let body = request.take_body().collect(10_000_000).await?;
    let sum = body.iter().fold(0_u32, |sum, &byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    let whole = format!("{}{}", request.script_name(), request.path());
    assert_eq!(whole, request.uri().path(), "law 1 of the contract");
    let mut lines = vec![
        format!(
            "{} {} {:?}",
            request.method(),
            request.path(),
            request.query_string()
        ),
        format!("body {} {sum:08x}", body.len()),
        format!(
            "from {:?} by {}",
            request.client_address(),
            request.scheme().as_str()
        ),
        format!("info {:?}", request.environ().get("PATH_INFO")),
    ];
    for name in [
        "HTTP_COOKIE",
        "HTTP_X_MANY",
        "HTTP_X_LATIN",
        "HTTP_PROXY",
        "HTTP_X_USER",
        "CONTENT_TYPE",
    ] {
        lines.push(format!("{name} {:?}", request.environ().get(name)));
    }
    Ok(lines.join("\n"))
}

/// So many parts, and an error.
struct Broken(u8);

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.0 == 0 {
            return Poll::Ready(Some(Err(std::io::Error::other("cable cut"))));
        }
        self.0 -= 1;
        Poll::Ready(Some(Ok(Frame::data("part\n".into()))))
    }
}
