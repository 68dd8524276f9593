//! Python applications in a Rust program.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use enfilade::Application;
use enfilade::middleware::{Compression, Mounts, Router};
use enfilade_python::Wsgi;
use enfilade_testing::{Client, Lint};

fn import(target: &str) -> Result<Application, enfilade_python::Error> {
    let apps = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/apps");
    Wsgi::new(target).search_path(apps).threads(2).application()
}

fn client(target: &str) -> Client {
    Client::new(import(target).unwrap().wrap(Lint::new()))
}

#[test]
fn a_callable_is_mounted_like_any_other() {
    let app = Mounts::new()
        .at("/shop", import("plain:application").unwrap())
        .unwrap();
    let client = Client::new(Application::new(app).wrap(Compression::new()));
    let response = client.get("/shop/caf%C3%A9").send();
    // The bytes of "é" are the characters of WSGI's string, and the application wrote them as bytes again.
    assert_eq!(response.text(), "/shop|/café|True");
}

#[test]
fn a_target_may_be_a_path_a_factory_or_a_module() {
    assert_eq!(client("plain").get("/a").send().text(), "|/a|True");
    assert_eq!(
        client("plain:Holder.room").get("/a").send().text(),
        "|/a|True"
    );
    let response = client("plain:create_app()").post("/").body("four").send();
    assert_eq!(response.status(), 201);
    assert_eq!(response.header("x-length"), Some("4"));
    assert!(
        response.text().starts_with("made enfilade-"),
        "{}",
        response.text()
    );
}

#[test]
fn a_load_error_has_the_traceback() {
    for (target, expected) in [
        (
            "broken:app",
            "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
        ),
        (
            "plain:nothing",
            "AttributeError: module 'plain' has no attribute 'nothing'",
        ),
        (
            "plain:number",
            "TypeError: a WSGI application must be callable, and an object of type int is not",
        ),
        (
            "nowhere:app",
            "ModuleNotFoundError: No module named 'nowhere'",
        ),
        ("plain:", "is not a valid target"),
        ("plain:create_app('x')", "is not a valid target"),
        ("", "is not a valid target"),
    ] {
        let error = import(target).unwrap_err();
        assert!(error.to_string().contains(expected), "{target}: {error}");
    }
    let text = import("broken:app").unwrap_err().to_string();
    assert!(text.contains("Traceback (most recent call last)"), "{text}");
    assert!(text.contains("broken.py\", line 3"), "{text}");
}

#[test]
fn another_virtual_environment_is_rejected() {
    import("plain").unwrap();
    let error = Wsgi::new("plain")
        .virtual_env("/nowhere")
        .application()
        .unwrap_err();
    assert!(
        error.to_string().contains("cannot use /nowhere: use one"),
        "{error}"
    );
}

#[test]
fn an_exception_is_a_500_and_later_aborts_the_response() {
    assert_eq!(client("plain:fails").get("/").send().status(), 500);
    let response = Client::new(import("plain:aborts").unwrap()).get("/").send();
    assert_eq!(
        (response.status().as_u16(), response.text().as_ref()),
        (200, "begun")
    );
    assert!(response.body_error().is_some());
}

#[test]
fn the_captures_of_the_router_are_in_the_environ() {
    let router = Router::new().any("/users/{id:int}/{part}", import("plain:captured").unwrap());
    let response = Client::new(router.build().unwrap())
        .get("/users/7/caf%C3%A9")
        .send();
    assert_eq!(response.text(), "((), {'id': '7', 'part': 'café'})");
}
