//! Names and passwords.

use super::*;

/// Cheap parameters, so that tests take no time: 8 KiB, one pass.
const HASHES: &str = "# users\n\
    ada:$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$zdpcIzCPWPVqWhcjqx6f1tVMSjBjTgeIOOFGLkKSzLs\n\n";

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
