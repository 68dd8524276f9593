//! Responses in the form of CGI.

use std::task::Poll;

use bytes::{BufMut, BytesMut};
use enfilade_core::{
    Application, HttpError, IntoResponse, Request, RequestIdValue, Response, gateway,
};
use http::header::TRAILER;
use http::{HeaderName, Method, StatusCode};

use crate::background::Spawner;
use crate::failures::FailureHooks;

/// Handles a request, or returns the error response for invalid variables.
pub(crate) async fn respond(
    app: &Application,
    request: Result<Request, HttpError>,
    spawner: &Spawner,
) -> Response {
    let request = match request {
        // There are no tunnels, as in the built-in server.
        Ok(request) if request.method() == Method::CONNECT => {
            Err(HttpError::new(StatusCode::NOT_IMPLEMENTED))
        }
        other => other,
    };
    match request {
        Ok(mut request) => {
            let connection = request.connection().clone();
            request.set_connection(connection.with_spawner(spawner.clone()));
            let mut response_future = gateway::respond(app, request);
            let response = (&mut response_future).await;
            if response_future.has_panicked() {
                FailureHooks::default().panicked(response.extensions().get());
            } else {
                FailureHooks::default().look_at(&response);
            }
            watch_body(response)
        }
        Err(error) => gateway::finish(&Method::GET, error.into_response()),
    }
}

/// Reports on standard error which request it was if the body panics.
fn watch_body(mut response: Response) -> Response {
    let Some(id) = response.extensions_mut().remove::<RequestIdValue>() else {
        return response;
    };
    response.map(|body| {
        body.inspect_frames(move |next| {
            let frame = next();
            if let Poll::Ready(Some(Err(error))) = &frame {
                FailureHooks::default().body_failed(error, Some(&id));
            }
            frame
        })
    })
}

/// Writes the head of a response (RFC 3875, section 6.3).
///
/// There are no trailers, so their names are left out. Headers of the connection, which belong to the web server
/// (section 6.3.4), are left out too, and so is a header named `Status`. A response without a media type gets none,
/// although section 6.3.1 requires one: a wrong type would mislead clients.
pub(crate) fn write_head(response: &Response, output: &mut BytesMut) {
    let status = response.status();
    output.put_slice(b"Status: ");
    output.put_slice(status.as_str().as_bytes());
    output.put_slice(b" ");
    output.put_slice(status.canonical_reason().unwrap_or("Unknown").as_bytes());
    output.put_slice(b"\r\n");
    for (name, value) in response.headers() {
        if is_left_out(name) {
            continue;
        }
        output.put_slice(name.as_str().as_bytes());
        output.put_slice(b": ");
        output.put_slice(value.as_bytes());
        output.put_slice(b"\r\n");
    }
    output.put_slice(b"\r\n");
}

fn is_left_out(name: &HeaderName) -> bool {
    *name == TRAILER || name == "status" || gateway::HOP_BY_HOP.contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(app: &Application, method: Method) -> String {
        let mut request = Request::get("/");
        *request.method_mut() = method;
        *request.version_mut() = http::Version::HTTP_10;
        let mut output = BytesMut::new();
        let spawner: Spawner = std::sync::Arc::new(drop);
        let response = respond(app, Ok(request), &spawner);
        write_head(&pollster::block_on(response), &mut output);
        String::from_utf8(output.to_vec()).unwrap()
    }

    #[test]
    fn the_head_is_what_rfc_3875_says() {
        let headers = [
            ("x-a", "1"),
            ("connection", "close"),
            ("status", "404"),
            ("trailer", "x-sum"),
            ("location", "/made"),
        ];
        let app = Application::new(move |_: Request| (StatusCode::CREATED, headers, "made"));
        let expected = "Status: 201 Created\r\ncontent-type: text/plain; charset=utf-8\r\nx-a: 1\r\n\
                        location: /made\r\ncontent-length: 4\r\n\r\n";
        assert_eq!(head(&app, Method::GET), expected);
        assert_eq!(head(&app, Method::HEAD), expected);
        let unnamed = Application::new(|_: Request| StatusCode::from_u16(299).unwrap());
        assert_eq!(
            head(&unnamed, Method::GET),
            "Status: 299 Unknown\r\ncontent-length: 0\r\n\r\n"
        );
    }

    #[test]
    fn the_head_has_nothing_of_another_connection_and_no_unknown_length() {
        let headers = [
            ("connection", "x-private"),
            ("x-private", "1"),
            ("x-a", "2"),
        ];
        let app = Application::new(move |_: Request| (headers, ()));
        assert_eq!(head(&app, Method::HEAD), "Status: 200 OK\r\nx-a: 2\r\n\r\n");
        assert_eq!(
            head(&app, Method::GET),
            "Status: 200 OK\r\nx-a: 2\r\ncontent-length: 0\r\n\r\n"
        );
    }

    #[test]
    fn what_has_no_place_in_cgi_is_an_error() {
        let switching = Application::new(|_: Request| StatusCode::SWITCHING_PROTOCOLS);
        assert!(head(&switching, Method::GET).starts_with("Status: 500 "));
        assert!(head(&switching, Method::CONNECT).starts_with("Status: 501 "));
    }
}
