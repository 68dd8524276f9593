use enfilade_testing::laws::Check;
use enfilade_testing::{Client, Lint, TestResponse, laws};

use super::*;
use crate::error::ErrorKind;

type Own = &'static [(&'static str, &'static str)];

const NONCE: &str = "AAECAwQFBgcICQoLDA0ODw==";

fn fixed() -> SecurityHeaders {
    SecurityHeaders::new().nonce_source(|| [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15])
}

/// The response through the wrapper of an application that sets these headers and returns its nonce.
fn response_to(security: SecurityHeaders, scheme: Scheme, status: u16, own: Own) -> TestResponse {
    let app = Application::new(move |request: Request| {
        let nonce = request.extensions().get::<CspNonce>();
        let text = nonce.map_or("none".to_owned(), ToString::to_string);
        let mut response = text.into_response();
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in own {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        if [204, 304].contains(&status) {
            *response.body_mut() = enfilade_core::Body::empty();
        }
        response
    });
    let app = app.wrap(Lint::new()).wrap(security).wrap(Lint::new());
    let secure = enfilade_core::around("scheme", move |app, mut request| {
        request.set_scheme(scheme);
        app.call(request)
    });
    Client::new(app.wrap(secure)).get("/").send()
}

#[test]
fn responses_of_every_status_have_the_fixed() {
    let policy = PRESET[0].1.replace("{nonce}", NONCE);
    for status in [200, 204, 301, 404, 500] {
        let response = response_to(fixed(), Scheme::Https, status, &[]);
        for (name, value) in PRESET {
            let value = if name == "content-security-policy" {
                &policy
            } else {
                value
            };
            assert_eq!(response.header(name), Some(value), "{status}");
        }
        assert_eq!(response.header("cross-origin-embedder-policy"), None);
    }
}

#[test]
fn hsts_is_sent_where_the_client_came_over_tls() {
    for (scheme, expected) in [
        (Scheme::Http, None),
        (Scheme::Https, Some("max-age=31536000; includeSubDomains")),
    ] {
        let response = response_to(fixed(), scheme, 200, &[]);
        assert_eq!(response.header("strict-transport-security"), expected);
    }
}

#[test]
fn keeps_a_header_the_application_set_unless_told() {
    let own: Own = &[("x-frame-options", "SAMEORIGIN"), ("referrer-policy", "")];
    for (security, frame, referrer) in [
        (fixed(), "SAMEORIGIN", ""),
        (
            fixed().override_application(),
            "DENY",
            "strict-origin-when-cross-origin",
        ),
        (
            fixed()
                .override_application()
                .remove("x-frame-options")
                .unwrap(),
            "SAMEORIGIN",
            "strict-origin-when-cross-origin",
        ),
    ] {
        let response = response_to(security, Scheme::Http, 200, own);
        assert_eq!(response.header("x-frame-options"), Some(frame));
        assert_eq!(response.header("referrer-policy"), Some(referrer));
    }
}

#[test]
fn the_application_and_the_policy_have_the_same_nonce_where_one_is_wanted() {
    let with = |policy| fixed().set("content-security-policy", policy).unwrap();
    for (security, text, policy) in [
        (
            with("script-src 'nonce-{nonce}'"),
            NONCE,
            Some("script-src 'nonce-AAECAwQFBgcICQoLDA0ODw=='"),
        ),
        (with("script-src 'self'"), "none", Some("script-src 'self'")),
        (
            fixed().remove("content-security-policy").unwrap(),
            "none",
            None,
        ),
    ] {
        let response = response_to(security, Scheme::Http, 200, &[]);
        assert_eq!(response.text(), text);
        assert_eq!(response.header("content-security-policy"), policy);
    }
}

#[test]
fn an_inner_wrapper_keeps_the_nonce_of_the_outer_one() {
    let app = Application::new(|request: Request| {
        let nonce = request.extensions().get::<CspNonce>().unwrap();
        nonce.as_str().to_owned()
    });
    let app = app.wrap(SecurityHeaders::new()).wrap(fixed());
    assert_eq!(Client::new(app).get("/").send().text(), NONCE);
}

#[test]
fn a_nonce_is_another_one_for_each_request() {
    let nonces: Vec<String> = (0..2)
        .map(|_| response_to(SecurityHeaders::new(), Scheme::Http, 200, &[]))
        .map(|response| response.text().into_owned())
        .collect();
    assert_ne!(nonces[0], nonces[1]);
    assert_eq!(nonces[0].len(), 24);
}

#[test]
fn a_304_keeps_the_nonce_of_the_page_that_is_stored() {
    let own = fixed().set("content-security-policy", "img-src 'self'");
    for (security, expected) in [(fixed(), None), (own.unwrap(), Some("img-src 'self'"))] {
        let response = response_to(security, Scheme::Http, 304, &[]);
        assert_eq!(response.header("content-security-policy"), expected);
        assert_eq!(response.header("x-frame-options"), Some("DENY"));
    }
}

#[test]
fn a_policy_that_only_reports() {
    let reported = "content-security-policy-report-only";
    let with = |name, policy| fixed().set(name, policy).unwrap();
    let enforced = || with("content-security-policy", "img-src a");
    let both = || enforced().set(reported, "img-src b").unwrap();
    for (security, enforced, expected) in [
        (enforced(), Some("img-src a"), None),
        (enforced().report_only(), None, Some("img-src a")),
        (both(), Some("img-src a"), Some("img-src b")),
        (both().report_only(), None, Some("img-src b")),
    ] {
        let response = response_to(security, Scheme::Http, 200, &[]);
        assert_eq!(response.header("content-security-policy"), enforced);
        assert_eq!(response.header(reported), expected);
    }
}

#[test]
fn names_of_software_go_where_that_is_wanted() {
    let own: Own = &[("server", "steam/1"), ("x-powered-by", "coal")];
    for (security, server, powered) in [
        (fixed(), Some("steam/1"), Some("coal")),
        (fixed().remove_software_names(), None, None),
    ] {
        let response = response_to(security, Scheme::Http, 200, own);
        assert_eq!(response.header("server"), server);
        assert_eq!(response.header("x-powered-by"), powered);
    }
}

#[test]
fn without_random_bits_the_application_is_not_called() {
    let mut security = fixed();
    security.nonces = Arc::new(|| None);
    let response = response_to(security, Scheme::Http, 200, &[]);
    assert_eq!(
        (response.status().as_u16(), &*response.text()),
        (500, "Internal Server Error")
    );
    assert_eq!(response.header("content-security-policy"), None);
    assert_eq!(response.header("x-frame-options"), Some("DENY"));
}

#[test]
fn other_headers_are_refused() {
    for (name, message) in [
        (
            "x-xss-protection",
            "\"x-xss-protection\" is not a header of this wrapper",
        ),
        ("x y", "\"x y\" is not a header name"),
    ] {
        let set = fixed().set(name, "1").unwrap_err();
        assert_eq!(
            (set.kind(), &*set.to_string()),
            (ErrorKind::HeaderName, message)
        );
        assert_eq!(fixed().remove(name).unwrap_err(), set);
    }
}

#[test]
fn describes_what_is_sent() {
    let names = PRESET.map(|(name, _)| name);
    let security = names[1..]
        .iter()
        .fold(fixed().report_only(), |security, name| {
            security.remove(*name).unwrap()
        });
    let security = security.set("content-security-policy", "img-src 'nonce-{nonce}'");
    let app = Application::new(|_: Request| "").wrap(security.unwrap().override_application());
    let tree = app.describe();
    let options: Vec<_> = tree.options().collect();
    assert_eq!(tree.name(), "SecurityHeaders");
    assert_eq!(
        options,
        [
            (
                "content-security-policy-report-only",
                &"img-src 'nonce-{nonce}'".into()
            ),
            ("override application", &true.into()),
        ]
    );
}

#[test]
fn keeps_the_laws() {
    laws::check(fixed());
    Check::new(SecurityHeaders::new())
        .varies([CONTENT_SECURITY_POLICY])
        .run();
    let all = PRESET.map(|(name, _)| HeaderName::from_static(name));
    Check::new(fixed().override_application().remove_software_names())
        .touches(all)
        .touches([SERVER, X_POWERED_BY])
        .run();
}
