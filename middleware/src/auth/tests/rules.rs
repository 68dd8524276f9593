//! Rules, by address and by identity.

use super::*;

#[test]
fn addresses_are_those_of_the_networks() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "# office\n10.0.0.0/8 # all\n\n2001:db8::/32\n").unwrap();
    let allow = AllowAddresses::from_file(file.path()).unwrap();
    let allow = allow.deny(["10.6.6.0/24", "2001:db8:666::/48"]).unwrap();
    let client = Client::new(Application::new(whoami).wrap(allow));
    for (peer, expected) in [
        ("10.0.0.1:1", 200),
        ("[::ffff:10.0.0.1]:1", 200),
        ("10.255.255.255:1", 200),
        ("10.6.6.6:1", 403),
        ("11.0.0.0:1", 403),
        ("9.255.255.255:1", 403),
        ("[2001:db8::1]:1", 200),
        ("[2001:db8:666::1]:1", 403),
        ("[2001:db9::]:1", 403),
        ("[::1]:1", 403),
    ] {
        assert_eq!(
            status(client.get("/").peer(peer.parse().unwrap())),
            expected,
            "{peer}"
        );
    }
    assert_eq!(status(client.get("/")), 403);
    assert!(AllowAddresses::new(["10.0.0.1/8"]).is_err());
    let many: Vec<String> = (0..10_000)
        .map(|at| format!("10.{}.{}.0/24", at / 256, at % 256))
        .collect();
    let many = AllowAddresses::new(&many).unwrap();
    let client = Client::new(Application::new(whoami).wrap(many));
    assert_eq!(
        status(client.get("/").peer("10.39.15.9:1".parse().unwrap())),
        200
    );
    assert_eq!(
        status(client.get("/").peer("10.39.16.0:1".parse().unwrap())),
        403
    );
}

#[test]
fn rules_see_the_path_as_the_router_does() {
    let rules = Authorize::new()
        .rule(Guard::below("/admin").unwrap(), Who::group("admins"))
        .rule(
            Guard::path("/mine").unwrap(),
            Who::any([Who::user("ada"), Who::user("eve")]),
        )
        .rule(Guard::path("/login").unwrap(), Who::anyone())
        .rule(Guard::method([Method::GET]), Who::authenticated());
    let tokens = Bearer::new("shop", |token| match token {
        "root" => Some(Identity::new("root").group("admins")),
        name => Some(Identity::new(name)),
    });
    let app = Pipeline::new()
        .with(Slashes::trim())
        .with(tokens.unwrap().optional())
        .with(rules.clone())
        .wrap(whoami);
    let client = Client::new(app);
    let ask = |method: Method, path: &str, token: &str| {
        let request = client.request(method, path);
        match token {
            "" => status(request),
            _ => status(request.header("authorization", format!("Bearer {token}"))),
        }
    };
    // Caddy GHSA and Traefik GHSA-6jwx-7vp4-9847, -5m6w: another spelling of the path must not be another rule.
    for path in [
        "/admin",
        "/%61dmin",
        "/admin/x",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "/./admin",
        "/admin/%2e/x",
    ] {
        assert_eq!(ask(Method::GET, path, "root"), 200, "{path}");
        assert_eq!(ask(Method::GET, path, "bob"), 403, "{path}");
        assert_eq!(ask(Method::GET, path, ""), 401, "{path}");
    }
    assert_eq!(ask(Method::GET, "/administrator", "bob"), 200);
    assert_eq!(
        [
            ask(Method::GET, "/mine", "eve"),
            ask(Method::GET, "/mine", "bob")
        ],
        [200, 403]
    );
    assert_eq!(
        [
            ask(Method::GET, "/login", ""),
            ask(Method::POST, "/login", "")
        ],
        [200, 200]
    );
    assert_eq!(
        [ask(Method::POST, "/", ""), ask(Method::POST, "/", "root")],
        [401, 403]
    );
    assert_eq!(
        [ask(Method::GET, "/", ""), ask(Method::GET, "/", "bob")],
        [401, 200]
    );

    // Without a component that can ask, and with a page that can.
    let alone = Client::new(Application::new(whoami).wrap(rules.clone()));
    assert_eq!(status(alone.get("/")), 403);
    let pages =
        Client::new(Application::new(whoami).wrap(rules.clone().login_at("/login").unwrap()));
    let sent = pages
        .get("/a%20b?c=d&e")
        .header("accept", "text/html")
        .send();
    assert_eq!(
        (
            sent.status().as_u16(),
            sent.header("location"),
            sent.header("cache-control")
        ),
        (
            303,
            Some("/login?next=%2Fa%2520b%3Fc%3Dd%26e"),
            Some("no-store")
        )
    );
    assert_eq!(status(pages.post("/")), 403);
    assert_eq!(
        status(pages.get("/").header("accept", "application/json")),
        403
    );
    assert!(rules.login_at("login").is_err());
}
