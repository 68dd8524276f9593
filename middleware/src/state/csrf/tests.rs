//! What is rejected, and what is not.

use enfilade_core::{Application, Connection, Middleware, Pipeline, Request, Scheme};
use enfilade_testing::Client;
use http::Method;

use super::Csrf;
use crate::matching::guard::Guard;
use crate::matching::origin_policy::OriginPolicy;
use crate::{CsrfToken, MemorySessions, ProxyFix, Session, Sessions, XForwarded};

const OWN: &str = "https://shop.example";

fn client(csrf: Csrf) -> Client {
    Client::new(Application::new(|_: Request| "done").wrap(csrf))
}

/// The status of a request with these headers.
fn status(client: &Client, method: &Method, target: &str, headers: &[(&str, &str)]) -> u16 {
    let secure = Connection::default().with_scheme(Scheme::Https);
    let mut request = client.request(method.clone(), target).connection(secure);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().status().as_u16()
}

#[test]
fn who_made_a_request_decides() {
    let policy =
        OriginPolicy::same_origin().and(["https://app.example", "https://*.partner.example"]);
    let client = client(Csrf::new().policy(policy.unwrap()));
    let site = |site: &'static str| ("sec-fetch-site", site);
    let origin = |origin: &'static str| ("origin", origin);
    for (headers, expected) in [
        (vec![], 200),
        (vec![site("same-origin")], 200),
        (vec![site("none")], 200),
        (vec![site("same-site")], 403),
        (vec![site("cross-site")], 403),
        (vec![site("Same-Origin")], 403),
        (vec![site("")], 403),
        (vec![site("same-origin"), site("cross-site")], 403),
        (vec![site("cross-site"), site("same-origin")], 403),
        (
            vec![site("same-origin"), origin("https://evil.example")],
            200,
        ),
        (vec![origin("https://shop.example")], 200),
        (vec![origin("https://shop.example:443")], 200),
        (vec![origin("https://SHOP.example")], 200),
        // gorilla/csrf, CVE-2025-24358 and -47909: another scheme is another origin.
        (vec![origin("http://shop.example")], 403),
        (vec![origin("https://shop.example:8443")], 403),
        (vec![origin("https://shop.example.evil.example")], 403),
        (vec![origin("https://evil.example")], 403),
        (vec![origin("null")], 403),
        (vec![origin("")], 403),
        (
            vec![origin("https://shop.example, https://evil.example")],
            403,
        ),
        (
            vec![
                origin("https://shop.example"),
                origin("https://shop.example"),
            ],
            403,
        ),
        (vec![origin("https://app.example"), site("cross-site")], 200),
        (
            vec![origin("https://a.partner.example"), site("cross-site")],
            200,
        ),
        (
            vec![origin("https://partner.example"), site("cross-site")],
            403,
        ),
        (
            vec![
                origin("https://app.example.evil.example"),
                site("cross-site"),
            ],
            403,
        ),
    ] {
        for method in [
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::TRACE,
        ] {
            let target = format!("{OWN}/pay");
            assert_eq!(
                status(&client, &method, &target, &headers),
                expected,
                "{method} {headers:?}"
            );
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert_eq!(
                status(&client, &method, OWN, &headers),
                200,
                "{method} {headers:?}"
            );
        }
    }
}

#[test]
fn the_scheme_is_that_of_the_client_behind_a_proxy() {
    let headers = [XForwarded::For, XForwarded::Proto];
    let fix = ProxyFix::trust_x_forwarded(["127.0.0.1/32"], headers).unwrap();
    let app = Pipeline::new().with(fix).with(Csrf::new());
    let client = Client::new(app.wrap(|_: Request| "done"));
    let proxied = |origin| {
        let request = client.post("http://shop.example/").header("origin", origin);
        let request = request.header("x-forwarded-for", "192.0.2.1");
        let request = request.header("x-forwarded-proto", "https");
        let response = request.peer("127.0.0.1:5000".parse().unwrap()).send();
        response.status().as_u16()
    };
    assert_eq!(proxied("https://shop.example"), 200);
    assert_eq!(proxied("http://shop.example"), 403);
}

#[test]
fn exemptions_are_for_a_path_however_it_is_written_and_for_nothing_near_it() {
    // Go, CVE-2025-47910: the pattern `/hello/` exempted `/hello` too.
    let exempt = Csrf::new()
        .exempt(Guard::path("/hooks/*").unwrap())
        .exempt(Guard::path("/hello/").unwrap());
    let client = client(exempt);
    for (path, expected) in [
        ("/hooks/a", 200),
        ("/%68ooks/a", 200),
        ("/x/../hooks/a", 200),
        ("/hello/", 200),
        ("/hello", 403),
        ("/hooks", 403),
        ("/hooks/a/b", 403),
        ("/hooks/%2e%2e/pay", 403),
        ("/hooks/../pay", 403),
        ("/hooks%2fa", 403),
    ] {
        let headers = [("sec-fetch-site", "cross-site")];
        assert_eq!(
            status(&client, &Method::POST, path, &headers),
            expected,
            "{path}"
        );
    }
}

#[test]
fn an_upgrade_is_checked_although_it_is_a_get() {
    let app = Application::new(|request: Request| match request.upgrade("websocket") {
        Some(_) => "upgraded",
        None => "no upgrade",
    });
    let client = Client::new(app.wrap(Csrf::new()));
    let upgrade = |origin| {
        let request = client.get("http://shop.example/ws");
        let request = request
            .header("upgrade", "websocket")
            .header("connection", "upgrade");
        request.header("origin", origin).send()
    };
    assert_eq!(upgrade("http://shop.example").text(), "upgraded");
    let refused = upgrade("https://evil.example");
    assert_eq!(
        (refused.status().as_u16(), refused.header("vary")),
        (403, Some("origin"))
    );
}

/// A site with a token in its page.
fn site() -> Client {
    let app = Pipeline::new()
        .with(Sessions::new(MemorySessions::new(100)))
        .with(Csrf::new().require_token())
        .wrap(
            async |mut request: Request| -> Result<String, enfilade_core::HttpError> {
                let session = Session::load(&request).await?;
                if request.path() == "/renew" {
                    session.renew()?;
                }
                if request.method() == Method::GET {
                    return Ok(CsrfToken::of(&session)?.to_string());
                }
                let body = request.take_body().collect(1 << 20).await?;
                Ok(format!("{} bytes", body.len()))
            },
        );
    Client::new(app)
}

fn cookie_of(response: &enfilade_testing::TestResponse) -> String {
    let set = response.header("set-cookie").expect("a cookie");
    set.split(';').next().unwrap_or_default().to_owned()
}

#[test]
fn a_token_belongs_to_its_session() {
    let client = site();
    let (ours, theirs) = (client.get("/").send(), client.get("/").send());
    let cookie = cookie_of(&ours);
    let post = |token: &str| {
        let request = client.post("/").header("cookie", &cookie);
        request
            .header("x-csrf-token", token)
            .send()
            .status()
            .as_u16()
    };
    let token = ours.text();
    assert_eq!(post(&token), 200);
    assert_eq!(post(&theirs.text()), 403);
    for wrong in [
        "",
        "x",
        "AAAA",
        token.get(1..).unwrap_or_default(),
        &format!("{token}A"),
        &token.to_lowercase(),
    ] {
        assert_eq!(post(wrong), 403, "{wrong:?}");
    }
    // Another text for each page, and all are good.
    let again = client.get("/").header("cookie", &cookie).send();
    assert_eq!(again.header("set-cookie"), None);
    assert_ne!(again.text(), token);
    assert_eq!([post(&again.text()), post(&token)], [200, 200]);
    // Without a session, and without a token.
    assert_eq!(
        client
            .post("/")
            .header("x-csrf-token", &*token)
            .send()
            .status(),
        403
    );
    assert_eq!(
        client.post("/").header("cookie", &cookie).send().status(),
        403
    );
    // A login makes it worthless.
    let renewed = client
        .post("/renew")
        .header("cookie", &cookie)
        .header("x-csrf-token", &*token);
    let cookie = cookie_of(&renewed.send());
    let late = client
        .post("/")
        .header("cookie", &cookie)
        .header("x-csrf-token", &*token);
    assert_eq!(late.send().status(), 403);
}

#[test]
fn a_token_is_found_in_forms_which_stay_whole() {
    let client = site();
    let page = client.get("/").send();
    let (cookie, token) = (cookie_of(&page), page.text().into_owned());
    let post = |content_type: &str, body: String| {
        let request = client
            .post("/")
            .header("cookie", &cookie)
            .header("content-type", content_type);
        let length = body.len();
        let response = request.body(body).send();
        assert!(response.status() == 403 || response.text() == format!("{length} bytes"));
        response.status().as_u16()
    };
    let form = "application/x-www-form-urlencoded";
    assert_eq!(post(form, format!("a=b&csrf_token={token}")), 200);
    assert_eq!(
        post(
            &format!("{form}; charset=utf-8"),
            format!("csrf%5Ftoken={token}")
        ),
        200
    );
    assert_eq!(post(form, "a=b".into()), 403);
    assert_eq!(
        post(form, format!("{}&csrf_token={token}", "x".repeat(70_000))),
        403
    );
    assert_eq!(post("text/plain", format!("csrf_token={token}")), 403);
    let part = |name: &str, content: &str| {
        format!("--e\r\ncontent-disposition: form-data; name={name}\r\n\r\n{content}\r\n")
    };
    let file = format!(
        "--e\r\ncontent-disposition: form-data; name=f; filename=a\r\n\r\n{}\r\n--e--\r\n",
        "x".repeat(100_000)
    );
    let multipart = "multipart/form-data; boundary=e";
    let first = part("a", "b") + &part("csrf_token", &token) + &file;
    assert_eq!(post(multipart, first), 200);
    assert_eq!(post(multipart, part("csrf_token", "x") + &file), 403);
    // A file of that name is no token.
    let named = part("csrf_token; filename=x", &token) + &file;
    assert_eq!(post(multipart, named), 403);
}

#[test]
fn a_stack_shows_what_is_exempt() {
    let csrf = Csrf::new()
        .policy(
            OriginPolicy::same_origin()
                .and(["https://app.example"])
                .unwrap(),
        )
        .exempt(Guard::path("/hooks/*").unwrap())
        .require_token();
    let tree = csrf
        .wrap(Application::new(|_: Request| "done"))
        .describe()
        .to_string();
    assert!(
        tree.starts_with("Csrf (origins: [https://app.example], exempt: [/hooks/*], token: true)"),
        "{tree}"
    );
    assert!(
        OriginPolicy::same_origin()
            .and(["https://app.example/"])
            .is_err()
    );
}
