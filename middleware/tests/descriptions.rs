//! The options in descriptions of wrappers: values with their types, and no secrets.

use std::time::Duration;

use enfilade_core::{Application, Middleware, OptionValue, Request};
use enfilade_middleware::{
    BodyLimit, CanonicalHost, ConcurrencyLimit, Cors, Guard, Headers, Maintenance, OnlyIf,
    Propagate, Timeout, When,
};
use http::{HeaderName, HeaderValue};

fn hello() -> Application {
    Application::new(|_: Request| "hello")
}

fn options(wrapper: impl Middleware) -> Vec<(String, OptionValue)> {
    let tree = hello().wrap(wrapper).describe();
    let options = tree.options();
    options
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}

#[test]
fn values_have_their_types() {
    let minute = Duration::from_secs(60);
    let list = |names: &[&str]| names.iter().copied().collect::<OptionValue>();
    let cases: [(Vec<(String, OptionValue)>, &str, OptionValue); 9] = [
        (
            options(BodyLimit::new(16 << 10)),
            "bytes",
            OptionValue::Size(16_384),
        ),
        (
            options(Timeout::new(minute)),
            "head",
            OptionValue::Duration(minute),
        ),
        (options(Timeout::new(minute)), "body idle", OptionValue::Off),
        (
            options(ConcurrencyLimit::new(7)),
            "limit",
            OptionValue::Integer(7),
        ),
        (
            options(CanonicalHost::new("example.org").unwrap()),
            "status",
            OptionValue::Text("308".to_owned()),
        ),
        (
            options(Cors::origins(["https://example.org"]).unwrap()),
            "origins",
            list(&["https://example.org"]),
        ),
        (
            options(Cors::origins(["https://example.org"]).unwrap()),
            "credentials",
            OptionValue::Flag(false),
        ),
        (
            options(Propagate::new([HeaderName::from_static("x-a")]).unwrap()),
            "headers",
            list(&["x-a"]),
        ),
        (
            options(OnlyIf::new(Guard::path("/a").unwrap(), BodyLimit::new(1))),
            "guard",
            OptionValue::Opaque("/a".to_owned()),
        ),
    ];
    for (options, name, expected) in cases {
        let found = options.iter().find(|(found, _)| found == name);
        assert_eq!(
            found.map(|(_, value)| value),
            Some(&expected),
            "{options:?}"
        );
    }
}

#[test]
fn no_secret_is_shown() {
    const SECRET: &str = "s3cret";
    let key = || {
        let name = HeaderName::from_static("x-key");
        Guard::header_is(name, HeaderValue::from_static(SECRET))
    };
    let token = || Guard::query(format!("token={SECRET}"));
    let headers = Headers::request()
        .set("authorization", SECRET)
        .unwrap()
        .for_requests(key(), Headers::request().set("x-a", SECRET).unwrap());
    let app = Application::new(When::new(key().or(token()), hello()).otherwise(hello()));
    let app = app
        .wrap(OnlyIf::new(key().or(token()), BodyLimit::new(1)))
        .wrap(Maintenance::new().allow(key().and(token().not())))
        .wrap(headers)
        .wrap(Headers::new().replace("x-b", SECRET, SECRET).unwrap());
    let tree = app.describe();
    assert_eq!(tree.to_string().matches("x-key matches").count(), 4);
    for text in [
        tree.to_string(),
        tree.to_json(),
        tree.to_dot(),
        format!("{tree:?}"),
    ] {
        assert!(!text.contains(SECRET), "{text}");
    }
}
