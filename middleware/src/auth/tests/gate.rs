//! A gate that is an application.

use super::*;

/// Lets `user=NAME` in the cookie pass.
fn gate(request: Request) -> Response {
    assert_eq!(
        (request.method(), request.path()),
        (&Method::GET, "/verify")
    );
    assert!(!request.headers().contains_key("content-length"));
    match request.cookies().get("user") {
        Some("none") => ([("set-cookie", "seen=1")], "").into_response(),
        Some(user) => {
            let about = ["method", "proto", "host", "uri", "for"].map(|name| {
                let name = HeaderName::try_from(format!("x-forwarded-{name}")).unwrap();
                request
                    .headers()
                    .get(name)
                    .map_or("", |value| value.to_str().unwrap())
            });
            let mut response = about.join(" ").into_response();
            let headers = response.headers_mut();
            headers.insert("remote-user", user.parse().unwrap());
            headers.insert("remote-groups", "members, staff".parse().unwrap());
            headers.insert("remote-name", about.join(" ").parse().unwrap());
            headers.insert("x-internal", "secret".parse().unwrap());
            headers.append(SET_COOKIE, "a=1".parse().unwrap());
            headers.append(SET_COOKIE, "b=2".parse().unwrap());
            response
        }
        None => {
            let login = [
                ("location", "https://login.example/"),
                ("set-cookie", "csrf=x"),
            ];
            (StatusCode::FOUND, login, "Log in").into_response()
        }
    }
}

#[test]
fn a_gate_decides_and_only_the_gate_says_who_it_is() {
    let app = Application::new(|request: Request| {
        let about = Identity::of(&request)
            .and_then(|user| user.get("remote-name"))
            .unwrap_or_default();
        let groups: Vec<&str> = Identity::of(&request)
            .into_iter()
            .flat_map(Identity::groups)
            .collect();
        let (about, groups) = (about.to_owned(), groups.join("+"));
        assert!(!request.headers().contains_key("x-internal"));
        (
            [("set-cookie", "own=3")],
            format!("{about}|{groups}|{}", whoami(request)),
        )
    });
    let client = Client::new(app.wrap(ForwardAuth::new(gate).target("/verify").unwrap()));
    let request = client
        .post("http://shop.example/pay?x=1")
        .header("cookie", "user=ada")
        .body("content");
    let response = request.peer("192.0.2.1:80".parse().unwrap()).send();
    assert_eq!(
        response.text(),
        "POST http shop.example /pay?x=1 192.0.2.1|members+staff|ada ada"
    );
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["own=3", "a=1", "b=2"]);

    // The gate's own response, with its headers and cookies.
    let refused = client.get("/").send();
    assert_eq!(
        (
            refused.status().as_u16(),
            refused.header("location"),
            refused.header("set-cookie"),
            &*refused.text()
        ),
        (
            302,
            Some("https://login.example/"),
            Some("csrf=x"),
            "Log in"
        )
    );

    // Caddy GHSA-7r4p-vjf4-gxv4, Traefik GHSA-5m6w-wvh7-57vm: the client's identity is removed in every spelling, also if the
    // gate says none.
    for name in ["remote-user", "Remote-User", "remote_user", "REMOTE_USER"] {
        let request = client
            .get("/")
            .header("cookie", "user=none")
            .header(name, "root");
        assert_eq!(request.send().text(), "||nobody ", "{name}");
        let request = client
            .get("/")
            .header("cookie", "user=ada")
            .header(name, "root");
        assert!(request.send().text().ends_with("|ada ada"), "{name}");
    }
    // The gate sees the path that the router sees.
    let spelled = client
        .get("/free/%2e%2e/%61dmin?q=%2e%2e")
        .header("cookie", "user=ada")
        .send();
    assert!(
        spelled
            .text()
            .starts_with("GET http localhost /admin?q=%2e%2e "),
        "{}",
        spelled.text()
    );
    // Traefik GHSA-6384-m2mw-rf54: what is forwarded is made anew.
    let forged = client
        .get("/")
        .header("cookie", "user=ada")
        .header("x-forwarded-uri", "/free");
    assert!(forged.send().text().starts_with("GET http localhost / |"));
    assert!(ForwardAuth::new(gate).target("verify").is_err());
}
