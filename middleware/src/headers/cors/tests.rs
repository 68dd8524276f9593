use enfilade_testing::{Client, Lint, TestResponse};

use super::*;

fn app() -> Application {
    Application::new(|request: Request| match request.path() {
        "/star" => ([("access-control-allow-origin", "*")], "star").into_response(),
        "/error" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => "content".into_response(),
    })
}

fn client(cors: Cors) -> Client {
    Client::new(app().wrap(Lint::new()).wrap(cors).wrap(Lint::new()))
}

fn site() -> Cors {
    Cors::origins(["https://example.org"]).unwrap()
}

fn preflight(cors: Cors, headers: &[(&str, &str)]) -> TestResponse {
    let client = client(cors);
    let request = client.options("/").header("origin", "https://example.org");
    let add = |request: enfilade_testing::RequestBuilder, (name, value): &(&str, &str)| {
        request.header(*name, *value)
    };
    headers.iter().fold(request, add).send()
}

#[test]
fn a_preflight_gets_the_allowed_values() {
    let cors = site()
        .methods([Method::GET, Method::PUT])
        .headers([
            HeaderName::from_static("x-a"),
            HeaderName::from_static("x-b"),
        ])
        .credentials()
        .unwrap()
        .max_age(std::time::Duration::from_secs(60));
    let response = preflight(cors, &[("access-control-request-method", "PUT")]);
    assert_eq!(response.status(), 204);
    assert!(response.bytes().is_empty());
    for (name, value) in [
        ("access-control-allow-origin", "https://example.org"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "GET, PUT"),
        ("access-control-allow-headers", "x-a, x-b"),
        ("access-control-max-age", "60"),
        (
            "vary",
            "origin, access-control-request-method, access-control-request-headers",
        ),
    ] {
        assert_eq!(response.header(name), Some(value), "{name}");
    }
}

#[test]
fn what_is_asked_for_is_named_where_everything_is_allowed() {
    let asked: &[_] = &[
        ("access-control-request-method", "BREW"),
        ("access-control-request-headers", "x-a, authorization"),
    ];
    let cases = [
        (site().any_method().any_header(), Some("*"), Some("*")),
        (
            site().any_method().any_header().credentials().unwrap(),
            Some("BREW"),
            Some("x-a, authorization"),
        ),
        (
            site().asked_method().asked_headers(),
            Some("BREW"),
            Some("x-a, authorization"),
        ),
        (site(), Some("GET, HEAD, POST"), None),
    ];
    for (cors, methods, headers) in cases {
        let response = preflight(cors.clone(), asked);
        assert_eq!(
            response.header("access-control-allow-methods"),
            methods,
            "{cors:?}"
        );
        assert_eq!(
            response.header("access-control-allow-headers"),
            headers,
            "{cors:?}"
        );
    }
    // What is no list is not given back.
    let odd = [
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x=\"1\""),
    ];
    let response = preflight(site().asked_headers(), &odd);
    assert_eq!(response.header("access-control-allow-headers"), None);
}

#[test]
fn a_private_network_is_opened_where_that_is_asked_for() {
    let asked = ("access-control-request-private-network", "true");
    let method = ("access-control-request-method", "GET");
    for (cors, headers, expected) in [
        (site().private_network(), &[method, asked][..], Some("true")),
        (site().private_network(), &[method], None),
        (site(), &[method, asked], None),
    ] {
        let response = preflight(cors, headers);
        assert_eq!(
            response.header("access-control-allow-private-network"),
            expected
        );
    }
}

#[test]
fn a_preflight_varies_on_all_that_it_reads() {
    let method = [("access-control-request-method", "GET")];
    let read = "origin, access-control-request-method, access-control-request-headers";
    let network = format!("{read}, access-control-request-private-network");
    for (cors, expected) in [
        (site(), read),
        (Cors::any_origin(), read),
        (Cors::origin_test(|_| false), read),
        (site().private_network(), &network),
        (Cors::any_origin().private_network(), &network),
    ] {
        let response = preflight(cors.clone(), &method);
        assert_eq!(response.header("vary"), Some(expected), "{cors:?}");
    }
}

#[test]
fn a_test_sees_no_origin_that_is_read_in_two_ways() {
    let cors = Cors::origin_test(|origin| origin.ends_with(".example.org"));
    let client = client(cors);
    for (origin, is_allowed) in [
        ("https://a.example.org", true),
        ("https://evil.test%2f.example.org", false),
        ("https://evil.test,.example.org", false),
        ("https://..example.org", false),
    ] {
        let response = client.get("/").header("origin", origin).send();
        let allowed = response.header("access-control-allow-origin");
        assert_eq!(allowed, is_allowed.then_some(origin), "{origin}");
    }
}

#[test]
fn only_a_preflight_is_kept_from_the_application() {
    let client = client(site());
    let plain = client
        .options("/")
        .header("origin", "https://example.org")
        .send();
    assert_eq!((plain.status().as_u16(), &*plain.text()), (200, "content"));
    assert_eq!(
        plain.header("access-control-allow-origin"),
        Some("https://example.org")
    );
    let no_origin = client
        .options("/")
        .header("access-control-request-method", "GET")
        .send();
    assert_eq!(no_origin.text(), "content");
    let refused = client
        .options("/")
        .header("origin", "https://evil.net")
        .header("access-control-request-method", "GET")
        .send();
    assert_eq!(
        (
            refused.status().as_u16(),
            refused.header("access-control-allow-methods")
        ),
        (204, None)
    );
}

#[test]
fn responses_name_one_origin_or_none() {
    let credentials = || site().credentials().unwrap();
    let ask = |cors: Cors, target: &str, origins: &[&str]| {
        let client = client(cors);
        let request = origins.iter().fold(client.get(target), |request, origin| {
            request.header("origin", *origin)
        });
        let response = request.send();
        let text = |name: &str| response.header(name).map(str::to_owned);
        (
            text("access-control-allow-origin"),
            text("access-control-allow-credentials"),
            text("vary"),
        )
    };
    let same = "https://example.org";
    let found = |origin: Option<&str>, credentials: Option<&str>, vary: Option<&str>| {
        (
            origin.map(str::to_owned),
            credentials.map(str::to_owned),
            vary.map(str::to_owned),
        )
    };
    let cases = [
        (
            ask(credentials(), "/", &[same]),
            found(Some(same), Some("true"), Some("origin")),
        ),
        (
            ask(site(), "/error", &[same]),
            found(Some(same), None, Some("origin")),
        ),
        (ask(site(), "/", &[]), found(None, None, Some("origin"))),
        (
            ask(site(), "/", &["https://evil.net"]),
            found(None, None, Some("origin")),
        ),
        (
            ask(site(), "/", &[same, same]),
            found(None, None, Some("origin")),
        ),
        (
            ask(site(), "/", &["null"]),
            found(None, None, Some("origin")),
        ),
        (
            ask(credentials(), "/star", &[same]),
            found(Some(same), Some("true"), Some("origin")),
        ),
        (
            ask(site(), "/star", &["https://evil.net"]),
            found(None, None, Some("origin")),
        ),
        (
            ask(Cors::any_origin(), "/", &[same]),
            found(Some("*"), None, None),
        ),
        (
            ask(
                Cors::origin_test(|origin| origin.ends_with(".org")),
                "/",
                &[same],
            ),
            found(Some(same), None, Some("origin")),
        ),
        (
            ask(Cors::origin_test(|_| true), "/", &["null"]),
            found(None, None, Some("origin")),
        ),
    ];
    for (number, (response, expected)) in cases.into_iter().enumerate() {
        assert_eq!(response, expected, "{number}");
    }
}

#[test]
fn headers_are_exposed_to_those_who_may_read() {
    let names = || {
        [
            HeaderName::from_static("x-a"),
            HeaderName::from_static("x-b"),
        ]
    };
    for (cors, origin, expected) in [
        (
            site().expose(names()),
            "https://example.org",
            Some("x-a, x-b"),
        ),
        (site().expose(names()), "https://evil.net", None),
        (site().expose_any(), "https://example.org", Some("*")),
        (
            site().expose_any().credentials().unwrap(),
            "https://example.org",
            None,
        ),
    ] {
        let response = client(cors).get("/").header("origin", origin).send();
        assert_eq!(response.header("access-control-expose-headers"), expected);
    }
}

#[test]
fn credentials_for_everybody_are_an_error() {
    let error = Cors::any_origin().credentials().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Origin);
    assert_eq!(
        error.to_string(),
        "credentials cannot be allowed for every origin: list the origins"
    );
}

#[test]
fn keeps_the_laws() {
    use http::header::VARY;
    for cors in [
        site().credentials().unwrap(),
        Cors::any_origin().expose_any(),
    ] {
        let check = enfilade_testing::laws::Check::new(cors);
        let touched = [
            VARY,
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            ACCESS_CONTROL_EXPOSE_HEADERS,
        ];
        check.touches(touched).run();
    }
}
