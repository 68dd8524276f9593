//! Who passes, and who does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use enfilade_core::{
    Application, Connection, HttpError, IntoResponse, Pipeline, RemoteUser, Request, Response,
    Scheme,
};
use enfilade_testing::laws::Check;
use enfilade_testing::{Client, RequestBuilder};
use http::header::{AUTHORIZATION, SET_COOKIE};
use http::{HeaderName, Method, StatusCode};

use super::allow_addresses::AllowAddresses;
use super::api_keys::ApiKeys;
use super::authorize::{Authorize, Who};
use super::basic::{Basic, PasswordCheck};
use super::bearer::Bearer;
use super::forward_auth::ForwardAuth;
use super::htpasswd::Htpasswd;
use super::identity::Identity;
use super::passwords::Passwords;
use crate::Slashes;
use crate::matching::guard::Guard;

/// The name of the identity, the groups, and what is in the headers that a gate sets.
fn whoami(request: Request) -> String {
    let name = Identity::of(&request).map_or("nobody", Identity::name);
    let user = request.extensions().get::<RemoteUser>();
    assert_eq!(user.is_some(), name != "nobody");
    let header = |name| {
        let values = request.headers().get_all(name).iter();
        let values: Vec<&str> = values.map(|value| value.to_str().unwrap()).collect();
        values.join("+")
    };
    format!("{name} {}{}", header("remote-user"), header("remote_user"))
}

fn basic_of(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
}

fn status(request: RequestBuilder) -> u16 {
    request.send().status().as_u16()
}

fn cave() -> Basic {
    let users = Passwords::new()
        .user("Aladdin", "open sesame")
        .user("hello", "long:world")
        .user("用户", "密码")
        .user("", "nameless");
    Basic::new("Cave \"40\"", users).unwrap()
}

#[test]
fn a_password_is_asked_for_and_checked() {
    let client = Client::new(Application::new(whoami).wrap(cave()));
    let refused = client.get("/").send();
    assert_eq!(
        (
            refused.status().as_u16(),
            refused.header("www-authenticate")
        ),
        (
            401,
            Some("Basic realm=\"Cave \\\"40\\\"\", charset=\"UTF-8\"")
        )
    );
    for (user, password, is_right) in [
        ("Aladdin", "open sesame", true),
        ("aladdin", "open sesame", false),
        ("Aladdin", "open sesame ", false),
        ("Aladdin", "", false),
        ("hello", "long:world", true),
        ("用户", "密码", true),
        ("", "nameless", true),
        ("nobody", "x", false),
    ] {
        let response = client
            .get("/")
            .header("authorization", basic_of(user, password))
            .send();
        assert_eq!(response.status() == 200, is_right, "{user}");
        if is_right {
            assert_eq!(response.text().trim(), user);
            assert_eq!(response.header("cache-control"), Some("private"));
            assert_eq!(
                response.extensions().get::<Identity>().unwrap().name(),
                user
            );
        }
    }
}

#[test]
fn nothing_but_one_line_of_credentials_passes() {
    let client = Client::new(Application::new(whoami).wrap(cave()));
    let right = basic_of("Aladdin", "open sesame");
    let token = right.strip_prefix("Basic ").unwrap();
    for wrong in [
        format!("BasicX {token}"),
        format!("Bearer {token}"),
        format!("Basic{token}"),
        format!("Basic {token}, x=y"),
        format!("Basic {}", token.trim_end_matches('=')),
        format!("Basic {}", BASE64.encode("Aladdin")),
        format!("Basic {}", BASE64.encode(b"Aladdin:\xff")),
        "Basic".into(),
        "Basic ".into(),
        String::new(),
    ] {
        assert_eq!(
            status(client.get("/").header("authorization", &wrong)),
            401,
            "{wrong:?}"
        );
    }
    let twice = client.get("/").header("authorization", &right);
    assert_eq!(status(twice.header("authorization", &right)), 401);
    assert_eq!(
        status(
            client
                .get("/")
                .header("authorization", format!("bAsIc   {token}"))
        ),
        200
    );
}

#[test]
fn passwords_do_not_cross_a_network_in_the_clear() {
    let request = |client: &Client, peer: &str, scheme| {
        let connection = Connection::new(scheme).with_peer(peer.parse().unwrap());
        let right = basic_of("Aladdin", "open sesame");
        let request = client.get("/").connection(connection);
        (
            status(request.header("authorization", right)),
            status(
                client
                    .get("/")
                    .connection(Connection::new(scheme).with_peer(peer.parse().unwrap())),
            ),
        )
    };
    let client = Client::new(Application::new(whoami).wrap(cave()));
    assert_eq!(request(&client, "192.0.2.1:80", Scheme::Http), (403, 403));
    assert_eq!(request(&client, "192.0.2.1:80", Scheme::Https), (200, 401));
    assert_eq!(request(&client, "127.0.0.1:80", Scheme::Http), (200, 401));
    assert_eq!(
        request(&client, "[::ffff:127.0.0.1]:80", Scheme::Http),
        (200, 401)
    );
    let client = Client::new(Application::new(whoami).wrap(cave().insecure_without_tls()));
    assert_eq!(request(&client, "192.0.2.1:80", Scheme::Http), (200, 401));
}

/// Cheap parameters, so that tests take no time: 8 KiB, one pass.
const HASHES: &str = "# users\n\
    ada:$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$zdpcIzCPWPVqWhcjqx6f1tVMSjBjTgeIOOFGLkKSzLs\n\n";

#[test]
fn a_file_of_hashes_is_read_line_by_line() {
    for (line, why) in [
        ("ada", "has no colon"),
        ("ada:", "has a hash that is not of Argon2id"),
        ("ada:secret", "has a hash that is not of Argon2id"),
        (
            "ada:$2y$10$abcdefghijklmnopqrstuv",
            "has a hash that is not of Argon2id",
        ),
        (
            "ada:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
            "has a hash that is not of Argon2id",
        ),
        ("ada:$apr1$x$y", "has a hash that is not of Argon2id"),
        (
            "ada:$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$zdpcIzCPWPVqWhcjqx6f1tVMSjBjTgeIOOFGLkKSzLs",
            "has a hash that is not of Argon2id",
        ),
        (
            "ada:$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ",
            "has parameters that Argon2id does not have",
        ),
    ] {
        let error = Htpasswd::parse(&format!("\n{line}\n"))
            .unwrap_err()
            .to_string();
        assert_eq!(error, format!("line 2 of the passwords {why}"));
    }
    let twice = HASHES.replace("\n\n", "\n").repeat(2);
    assert!(
        Htpasswd::parse(&twice)
            .unwrap_err()
            .to_string()
            .contains("line 4")
    );
    assert!(
        Htpasswd::open("/nowhere/htpasswd")
            .unwrap_err()
            .to_string()
            .contains("/nowhere/htpasswd")
    );
    assert_eq!(
        format!("{:?}", Htpasswd::parse(HASHES).unwrap()),
        "Htpasswd { users: 1, .. }"
    );
}

#[test]
fn a_right_password_is_remembered_and_a_wrong_one_is_not() {
    // The hash of a password with these parameters, as the tool `argon2` makes it.
    let salt = argon2::password_hash::phc::Salt::new(b"somesalt").unwrap();
    let cheap = argon2::Params::new(8, 1, 1, None).unwrap();
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, cheap);
    let hash = argon2::PasswordHasher::hash_password_with_salt(&hasher, b"secret", &salt).unwrap();
    let time = Arc::new(AtomicU64::new(0));
    let clock = time.clone();
    let file = Htpasswd::parse(&format!("ada:{hash}")).unwrap();
    let file = file.clock(move || Duration::from_secs(clock.load(Ordering::Relaxed)));
    let check = |user: &str, password: &str| {
        let checked = file.check(user, password);
        match checked.try_into_ready() {
            Ok(ready) => (true, ready.unwrap().is_some()),
            Err(later) => (false, pollster::block_on(later.wait()).unwrap().is_some()),
        }
    };
    for _ in 0..2 {
        assert_eq!(check("ada", "wrong"), (false, false));
        assert_eq!(check("bob", "secret"), (false, false));
    }
    assert_eq!(check("ada", "secret"), (false, true));
    assert_eq!(check("ada", "secret"), (true, true));
    assert_eq!(check("ada:secret", ""), (false, false));
    time.store(299, Ordering::Relaxed);
    assert_eq!(check("ada", "secret"), (true, true));
    time.store(300, Ordering::Relaxed);
    assert_eq!(check("ada", "secret"), (false, true));

    let none = file.clone().at_a_time(0);
    let refused = Client::new(Application::new(whoami).wrap(Basic::new("x", none).unwrap()));
    let refused = refused
        .get("/")
        .header("authorization", basic_of("bob", "x"))
        .send();
    assert_eq!(
        (refused.status().as_u16(), refused.header("retry-after")),
        (503, Some("1"))
    );
}

#[test]
fn a_token_is_verified() {
    let bearer = Bearer::new("shop", |token| {
        (token == "a.b-c_d~e+f/g==").then(|| Identity::new("ada").claim("scope", "read list"))
    });
    let bearer = bearer.unwrap();
    let client =
        Client::new(Application::new(whoami).wrap(bearer.clone().scope("read").scope("list")));
    let challenge = |header: &str| {
        let request = client.get("/");
        let request = if header.is_empty() {
            request
        } else {
            request.header("authorization", header)
        };
        let response = request.send();
        (
            response.status().as_u16(),
            response.header("www-authenticate").map(str::to_owned),
        )
    };
    assert_eq!(challenge("Bearer a.b-c_d~e+f/g=="), (200, None));
    assert_eq!(challenge("bearer a.b-c_d~e+f/g=="), (200, None));
    assert_eq!(challenge(""), (401, Some("Bearer realm=\"shop\"".into())));
    let invalid = (
        401,
        Some("Bearer realm=\"shop\", error=\"invalid_token\"".to_owned()),
    );
    for wrong in [
        "Bearer",
        "Bearer x",
        "Bearer a b",
        "Bearer ==",
        "Basic eDp4",
        "Bearer a.b-c_d~e+f/g==, x=y",
    ] {
        assert_eq!(challenge(wrong), invalid, "{wrong}");
    }
    assert_eq!(challenge(&format!("Bearer {}", "x".repeat(8_193))), invalid);
    let narrow = Client::new(Application::new(whoami).wrap(bearer.scope("write")));
    let refused = narrow
        .get("/")
        .header("authorization", "Bearer a.b-c_d~e+f/g==")
        .send();
    assert_eq!(
        (
            refused.status().as_u16(),
            refused.header("www-authenticate")
        ),
        (
            403,
            Some("Bearer realm=\"shop\", error=\"insufficient_scope\", scope=\"write\"")
        )
    );
}

#[test]
fn optional_components_leave_other_schemes_to_each_other() {
    let bearer = Bearer::new("api", |token| {
        (token == "tok").then(|| Identity::new("robot"))
    });
    let app = Pipeline::new()
        .with(cave().optional())
        .with(bearer.unwrap().optional())
        .wrap(whoami);
    let client = Client::new(app);
    let ask = |line: &str| {
        let response = client.get("/").header("authorization", line).send();
        (
            response.status().as_u16(),
            response.text().trim().to_owned(),
        )
    };
    assert_eq!(ask("Bearer tok"), (200, "robot".into()));
    assert_eq!(
        ask(&basic_of("Aladdin", "open sesame")),
        (200, "Aladdin".into())
    );
    assert_eq!(ask("Digest x"), (200, "nobody".into()));
    for wrong in ["Bearer x", "Basic x", "Basic", "bearer", ""] {
        assert_eq!(ask(wrong).0, 401, "{wrong:?}");
    }
    let twice = client.get("/").header("authorization", "Bearer tok");
    assert_eq!(status(twice.header("authorization", "Digest x")), 401);
}

#[test]
fn keys_of_a_program_can_be_several() {
    let (first, second) = (ApiKeys::generate("shop"), ApiKeys::generate("shop"));
    assert!(first.starts_with("shop_") && first.len() == 48 && first != second);
    let keys = ApiKeys::new("shop").unwrap();
    let keys = keys
        .key(Identity::new("billing"), &first)
        .key(Identity::new("billing"), &second);
    let client = Client::new(Application::new(whoami).wrap(keys));
    for key in [&first, &second] {
        assert_eq!(
            client.get("/").header("x-api-key", key).send().text(),
            "billing "
        );
    }
    assert_eq!(status(client.get("/")), 401);
    assert_eq!(
        status(client.get("/").header("x-api-key", first.to_uppercase())),
        401
    );
    assert_eq!(
        status(
            client
                .get("/")
                .header("x-api-key", &first)
                .header("x-api-key", &first)
        ),
        401
    );
}

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

#[test]
fn credentials_are_marked_for_logs() {
    let app = Application::new(|request: Request| {
        request.headers()[AUTHORIZATION].is_sensitive().to_string()
    });
    let client = Client::new(app.wrap(cave()));
    let right = basic_of("Aladdin", "open sesame");
    assert_eq!(
        client.get("/").header("authorization", right).send().text(),
        "true"
    );
}

#[test]
fn all_keep_the_laws() {
    let known = |request: &mut Request| {
        request.set_client("192.0.2.1".parse().unwrap(), None);
        request.headers_mut().remove(AUTHORIZATION);
    };
    Check::new(cave().optional()).request(known).run();
    let bearer = Bearer::new("x", |_| Some(Identity::new("ada"))).unwrap();
    Check::new(bearer.optional()).request(known).run();
    let keys = ApiKeys::new("x").unwrap();
    Check::new(keys.clone().optional()).request(known).run();
    let all = AllowAddresses::new(["0.0.0.0/0", "::/0"]).unwrap();
    Check::new(all).request(known).run();
    let anyone = Authorize::new().rule(Guard::new("all", |_| true), Who::anyone());
    Check::new(anyone).request(known).run();
    Check::new(ForwardAuth::new(|_: Request| ""))
        .request(known)
        .run();

    Check::new(cave()).request(known).never_calls().run();
    Check::new(keys).never_calls().run();
    Check::new(AllowAddresses::new([""; 0]).unwrap())
        .never_calls()
        .run();
    Check::new(Authorize::new()).never_calls().run();
    let closed = |_: Request| HttpError::new(StatusCode::FORBIDDEN);
    Check::new(ForwardAuth::new(closed)).never_calls().run();
}
