//! Law 10, requests that pass a guard, and law 9.

use enfilade_core::headers::has_token;
use enfilade_core::{Application, Connection, IntoResponse, Reply, Request, Scheme, around};
use http::header::{IF_NONE_MATCH, RANGE, VARY};

use super::*;

const UNREACHED: &str = "the wrapper never called the application, so nothing was tested: let requests pass \
                         with `Check::request`, or call `Check::never_calls`";

fn wall() -> impl Middleware + Clone + Send {
    around("wall", |_: &Application, _: Request| Reply::new("x"))
}

#[test]
fn a_wrapper_that_never_calls_the_application_is_found() {
    let found = found(wall());
    assert_eq!((found.law(), found.message()), (Law::Tested, UNREACHED));
    let expected =
        format!("law 10 is broken (a law that was never tested counts as broken): {UNREACHED}");
    assert_eq!(found.to_string(), expected);
    Check::new(wall()).never_calls().run();
    let calls = Check::new(around("nothing", Application::call)).never_calls();
    let found = calls.counter_example().expect("it calls");
    let message = "the wrapper called the application, but `Check::never_calls` is set";
    assert_eq!((found.law(), found.message()), (Law::Tested, message));
}

/// Lets requests pass that use TLS and PUT, are below `/vault`, and have the key; breaks the response of the
/// application.
fn vault() -> impl Middleware + Clone + Send {
    around("vault", |inner: &Application, request: Request| {
        let is_open = request.scheme() == Scheme::Https
            && request.method() == Method::PUT
            && request.path().starts_with("/vault")
            && request.headers().get("x-key").is_some_and(|key| key == "7");
        match is_open {
            true => inner.call(request).map(|response| {
                let (parts, body) = response.into_parts();
                (parts.status, body).into_response()
            }),
            false => Reply::new(StatusCode::FORBIDDEN),
        }
    })
}

#[test]
fn requests_reach_what_is_guarded() {
    let found = found(vault());
    assert_eq!((found.law(), found.message()), (Law::Tested, UNREACHED));
    let check = Check::new(vault())
        .request(|request| request.set_connection(Connection::new(Scheme::Https)))
        .request(|request| {
            *request.method_mut() = Method::PUT;
            request.set_uri(Uri::from_static("/vault/gold"));
            let key = HeaderValue::from_static("7");
            request.headers_mut().insert("x-key", key);
        });
    let found = check.counter_example().expect("it loses the head");
    assert_eq!(
        (found.law(), found.message()),
        (
            Law::Unchanged,
            "the response's extensions are lost on the way out"
        )
    );
}

#[test]
fn what_the_author_does_to_a_request_is_not_held_against_the_wrapper() {
    Check::new(around("nothing", Application::call))
        .request(|request| {
            *request.method_mut() = Method::PUT;
            request.set_uri(Uri::from_static("/vault/gold"));
            request.headers_mut().clear();
            *request.body_mut() = Body::from("another");
        })
        .run();
}

#[test]
fn an_upgrade_that_is_lost_is_found() {
    let found = found(changing(|response| {
        let is_upgrade = response.body().is_upgrade();
        response.map(|body| match is_upgrade {
            true => Body::empty(),
            false => body,
        })
    }));
    let message =
        "the body of a 101 is not an upgrade, so no gateway can send it: use `Upgrade::respond`";
    assert_eq!((found.law(), found.message()), (Law::HopByHop, message));
}

#[test]
fn an_upgrade_in_the_place_of_another_status_is_found() {
    let found = found(changing(|mut response| {
        if response.body().is_upgrade() {
            *response.status_mut() = StatusCode::OK;
            *response.body_mut() = Body::empty();
        }
        response
    }));
    assert_eq!(
        (found.law(), found.message()),
        (Law::Unchanged, "the status 101 became 200")
    );
}

#[test]
fn a_304_without_the_vary_of_its_200_is_found() {
    let found = Check::new(changing(|mut response| {
        if response.status() == StatusCode::OK {
            vary_add(response.headers_mut(), &ACCEPT_ENCODING);
        }
        response
    }))
    .touches([VARY])
    .counter_example()
    .expect("a 304 and a 206 have no Vary");
    let message = "the Vary of a 304 lacks accept-encoding, which the 200 to the same request has (RFC 9110, \
                   section 15.4.5)";
    assert_eq!((found.law(), found.message()), (Law::Required, message));
}

#[test]
fn a_206_that_a_wrapper_makes_is_compared_with_the_200() {
    let ranges = around("ranges", |inner: &Application, request: Request| {
        let headers = request.headers();
        let is_range = headers.contains_key(RANGE) && !headers.contains_key(IF_NONE_MATCH);
        inner.call(request).update(move |response| {
            if is_range && response.status() == StatusCode::PARTIAL_CONTENT {
                response.headers_mut().remove(VARY);
            }
        })
    });
    let found = Check::new(ranges).touches([VARY]).counter_example();
    let found = found.expect("a 206 has no Vary");
    assert_eq!(found.law(), Law::Required);
    assert!(
        found.message().starts_with("the Vary of a 206 lacks "),
        "{found}"
    );
    assert!(
        found.message().ends_with("(RFC 9110, section 15.3.7)"),
        "{found}"
    );
}

#[test]
fn a_refusal_without_the_header_that_it_requires_is_found() {
    let closed = around(
        "closed",
        |inner: &Application, request: Request| match has_token(
            request.headers(),
            &http::header::CACHE_CONTROL,
            "no-cache",
        ) {
            true => Reply::new(StatusCode::UNAUTHORIZED),
            false => inner.call(request),
        },
    );
    let found = found(closed);
    let message = "a 401 must have the header www-authenticate (RFC 9110, section 15.5.2)";
    assert_eq!((found.law(), found.message()), (Law::Required, message));
}
