//! Responses that change the protocol of the connection, and responses that must not.

use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, UPGRADE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};

use crate::message::body::Body;
use crate::message::http_error::HttpError;
use crate::message::request::Request;
use crate::message::response::{IntoResponse, Response};
use crate::message::upgrade::Offer;
use crate::rules::gateway::remove_hop_by_hop;
use crate::rules::headers::{has_token, is_token, members};

/// Whether a gateway can upgrade the connection of a request, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Upgradable<'a> {
    /// It cannot.
    Never,
    /// By a 101 (RFC 9110, section 7.8), if the request is HTTP/1.1 and has `Upgrade`.
    Switching,
    /// By a 200: the request is an extended CONNECT with this `:protocol` (RFC 8441, section 4; RFC 9220).
    ExtendedConnect(&'a str),
}

impl Upgradable<'_> {
    /// Offers the application the protocols that the client lists.
    pub(super) fn offer(self, request: &mut Request) -> Upgradable<'static> {
        match self {
            Upgradable::Switching if request.version() == Version::HTTP_11 => {
                let headers = request.headers();
                if !has_token(headers, &CONNECTION, "upgrade") {
                    return Upgradable::Never;
                }
                let protocols: Arc<[Box<str>]> =
                    members(headers, &UPGRADE).map(Box::from).collect();
                let offer = Offer::behind(request.body_mut(), protocols);
                request.extensions_mut().insert(offer);
                Upgradable::Switching
            }
            Upgradable::ExtendedConnect(protocol) => {
                // Written as in HTTP/1.1, so that components further in need not know both forms.
                *request.method_mut() = Method::GET;
                if let (true, Ok(name)) = (is_token(protocol), HeaderValue::from_str(protocol)) {
                    name_upgrade(request.headers_mut(), name);
                    let protocols = Arc::from([Box::from(protocol)]);
                    let offer = Offer::behind(request.body_mut(), protocols);
                    request.extensions_mut().insert(offer);
                }
                Upgradable::ExtendedConnect("")
            }
            Upgradable::Never | Upgradable::Switching => Upgradable::Never,
        }
    }
}

/// Sets the headers of an upgrade in HTTP/1.1.
pub(super) fn name_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Makes three kinds of response valid for sending: interim ones, upgrades, and responses to an extended CONNECT.
///
/// An interim response is not a final one (RFC 9110, section 15.2), so it becomes a 500; so does a 101 without an
/// upgrade. A successful response to CONNECT would start a tunnel (RFC 9110, section 9.3.6), so without an upgrade it
/// becomes a 501 (RFC 9220, section 3).
pub(super) fn switch(mut response: Response, upgradable: Upgradable<'_>) -> Response {
    let status = response.status();
    let is_switching = status == StatusCode::SWITCHING_PROTOCOLS && response.body().is_upgrade();
    if is_switching && upgradable != Upgradable::Never {
        let protocol = response.body().upgrade_protocol().unwrap_or_default();
        let protocol = HeaderValue::from_str(protocol);
        let headers = response.headers_mut();
        remove_hop_by_hop(headers);
        headers.remove(CONTENT_LENGTH);
        match upgradable {
            Upgradable::ExtendedConnect(_) => *response.status_mut() = StatusCode::OK,
            _ => protocol
                .into_iter()
                .for_each(|protocol| name_upgrade(headers, protocol)),
        }
        return response;
    }
    if status.is_informational() {
        let cause = format!(
            "{status} is not a final response, and its body is not from `Upgrade::respond`: a wrapper may have replaced the body"
        );
        return HttpError::new(StatusCode::INTERNAL_SERVER_ERROR)
            .caused_by(cause)
            .into_response();
    }
    if response.body().is_upgrade() {
        // A wrapper further out has replaced the status.
        *response.body_mut() = Body::empty();
    }
    if status.is_success() && matches!(upgradable, Upgradable::ExtendedConnect(_)) {
        return HttpError::new(StatusCode::NOT_IMPLEMENTED)
            .message("The protocol is not known here")
            .into_response();
    }
    response
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use http::HeaderName;

    use super::*;
    use crate::message::body::Outcome;
    use crate::rules::gateway::{respond, respond_upgradable};
    use crate::{Application, Upgraded};

    fn request(version: Version, headers: &[(&'static str, &'static str)]) -> Request {
        let mut request = Request::get("http://h/chat");
        *request.version_mut() = version;
        for (name, value) in [("host", "h")].iter().chain(headers) {
            let value = HeaderValue::from_static(value);
            request.headers_mut().append(*name, value);
        }
        request
    }

    const ASKS: [(&str, &str); 2] = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "h2c, WebSocket"),
    ];

    fn chat() -> Application {
        Application::new(|request: Request| match request.upgrade("websocket") {
            Some(upgrade) => upgrade.respond(async |_: Upgraded| Ok(())),
            None => format!(
                "{} {:?}",
                request.method(),
                request.headers().get("upgrade")
            )
            .into_response(),
        })
    }

    fn names(response: &Response) -> Vec<&str> {
        response.headers().keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn a_gateway_that_can_switches_if_the_client_asks() {
        let switched = |request| {
            let future = respond_upgradable(&chat(), request, Upgradable::Switching);
            let response = pollster::block_on(future);
            (response.status().as_u16(), response.body().is_upgrade())
        };
        assert_eq!(switched(request(Version::HTTP_11, &ASKS)), (101, true));
        assert_eq!(
            switched(request(Version::HTTP_11, &ASKS[..1])),
            (200, false)
        );
        // Without the connection option, and in HTTP/1.0, `Upgrade` has no effect (RFC 9110, section 7.8).
        assert_eq!(
            switched(request(Version::HTTP_11, &ASKS[1..])),
            (200, false)
        );
        assert_eq!(switched(request(Version::HTTP_10, &ASKS)), (200, false));
        // The body comes first.
        let mut with_body = request(Version::HTTP_11, &ASKS);
        *with_body.body_mut() = Body::from_iterator(["x"]);
        assert_eq!(switched(with_body), (200, false));
        let response = pollster::block_on(respond(&chat(), request(Version::HTTP_11, &ASKS)));
        assert_eq!(response.status(), 200);
    }

    #[test]
    fn a_body_is_read_to_its_end_before_and_not_dropped() {
        let statuses = |what: &'static str| {
            let app = Application::new(async move |mut request: Request| {
                let mut body = request.take_body();
                match what {
                    "all" => drop(body.collect(10).await),
                    "part" => drop(body.frame().await),
                    // As a wrapper does that stores the body for later.
                    "replayed" => {
                        let bytes = body.collect(10).await.unwrap_or_default();
                        *request.body_mut() = Body::from(bytes);
                        assert!(request.upgrade("websocket").is_none());
                        drop(request.take_body());
                    }
                    _ => drop(body),
                }
                assert_eq!(
                    request.upgrades().count(),
                    request.upgrade("h2c").iter().count() * 2
                );
                match request.upgrade("websocket") {
                    Some(upgrade) => upgrade.respond(async |_: Upgraded| Ok(())),
                    None => StatusCode::UPGRADE_REQUIRED.into_response(),
                }
            });
            let mut asked = request(Version::HTTP_11, &ASKS);
            *asked.body_mut() = Body::from_iterator(["x", "y"]);
            let future = respond_upgradable(&app, asked, Upgradable::Switching);
            pollster::block_on(future).status().as_u16()
        };
        for (what, expected) in [
            ("all", 101),
            ("replayed", 101),
            ("part", 426),
            ("none", 426),
        ] {
            assert_eq!(statuses(what), expected, "{what}");
        }
    }

    #[test]
    fn the_gateway_names_the_protocol() {
        let app = chat();
        let app = Application::new(move |request: Request| {
            app.call(request).map(|mut response: Response| {
                let headers = response.headers_mut();
                for (name, value) in [
                    ("upgrade", "x"),
                    ("content-length", "3"),
                    ("x-a", "1"),
                    ("connection", "x-b"),
                    ("x-b", "2"),
                ] {
                    headers.append(name, HeaderValue::from_static(value));
                }
                response
            })
        });
        let asked = request(Version::HTTP_11, &ASKS);
        let future = respond_upgradable(&app, asked, Upgradable::Switching);
        let response = pollster::block_on(future);
        assert_eq!(names(&response), ["x-a", "connection", "upgrade"]);
        assert_eq!(response.headers()["connection"], "upgrade");
        assert_eq!(response.headers()["upgrade"], "WebSocket");
    }

    #[test]
    fn an_extended_connect_is_a_get_inside_and_a_200_outside() {
        let connect = |protocol: &str, app: &Application| {
            let mut request = request(Version::HTTP_2, &[]);
            *request.method_mut() = Method::CONNECT;
            let future = respond_upgradable(app, request, Upgradable::ExtendedConnect(protocol));
            pollster::block_on(future)
        };
        let response = connect("websocket", &chat());
        assert!(response.body().is_upgrade());
        assert_eq!(
            (response.status().as_u16(), names(&response).len()),
            (200, 0)
        );
        // A success would start a tunnel.
        assert_eq!(connect("other", &chat()).status(), 501);
        assert_eq!(connect("not a token", &chat()).status(), 501);
        for status in [StatusCode::NOT_FOUND, StatusCode::SEE_OTHER] {
            let app = Application::new(move |_: Request| (status, "x"));
            assert_eq!(connect("websocket", &app).status(), status);
        }
        let seen = Application::new(|request: Request| {
            (
                StatusCode::FORBIDDEN,
                format!("{} {:?}", request.method(), request.headers()["upgrade"]),
            )
        });
        let response = connect("websocket", &seen);
        assert_eq!(response.body().as_bytes().unwrap(), "GET \"websocket\"");
    }

    #[test]
    fn a_replaced_upgrade_is_dropped_and_reported() {
        let (sender, ends) = mpsc::channel();
        let changed = Application::new(move |request: Request| {
            let sender = sender.clone();
            chat().call(request).map(move |mut response: Response| {
                *response.status_mut() = StatusCode::FORBIDDEN;
                response.map(|body| body.on_end(move |end| sender.send(end.outcome()).unwrap()))
            })
        });
        let asked = request(Version::HTTP_11, &ASKS);
        let future = respond_upgradable(&changed, asked, Upgradable::Switching);
        let response = pollster::block_on(future);
        assert_eq!(
            (response.status().as_u16(), response.body().is_upgrade()),
            (403, false)
        );
        assert_eq!(response.headers()["content-length"], "0");
        assert_eq!(ends.recv(), Ok(Outcome::Dropped));
    }

    #[test]
    fn what_is_required_is_named_over_http_1() {
        let app = Application::new(|_: Request| {
            (StatusCode::UPGRADE_REQUIRED, [("upgrade", "websocket")], "")
        });
        let response = pollster::block_on(respond(&app, request(Version::HTTP_11, &[])));
        assert_eq!(
            names(&response),
            ["content-type", "content-length", "connection", "upgrade"]
        );
        assert_eq!(response.headers()["connection"], "upgrade");
        let response = pollster::block_on(respond(&app, request(Version::HTTP_2, &[])));
        assert_eq!(names(&response), ["content-type", "content-length"]);
    }
}
