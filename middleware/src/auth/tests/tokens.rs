//! Tokens and keys.

use super::*;

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
