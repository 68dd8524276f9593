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
    let answer = client.get("/shop/caf%C3%A9").send();
    // The bytes of "é" are the characters of WSGI's string, and the application wrote them as bytes again.
    assert_eq!(answer.text(), "/shop|/café|True");
}

#[test]
fn a_target_may_be_a_path_a_factory_or_a_module() {
    assert_eq!(client("plain").get("/a").send().text(), "|/a|True");
    assert_eq!(
        client("plain:House.room").get("/a").send().text(),
        "|/a|True"
    );
    let answer = client("plain:create_app()").post("/").body("four").send();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.header("x-length"), Some("4"));
    assert!(
        answer.text().starts_with("made enfilade-"),
        "{}",
        answer.text()
    );
}

#[test]
fn what_cannot_be_had_is_told_with_a_traceback() {
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
            "TypeError: a WSGI application can be called, and this int cannot",
        ),
        (
            "nowhere:app",
            "ModuleNotFoundError: No module named 'nowhere'",
        ),
        ("plain:", "is no target"),
        ("plain:create_app('x')", "is no target"),
        ("", "is no target"),
    ] {
        let error = import(target).unwrap_err();
        assert!(error.to_string().contains(expected), "{target}: {error}");
    }
    let text = import("broken:app").unwrap_err().to_string();
    assert!(text.contains("Traceback (most recent call last)"), "{text}");
    assert!(text.contains("broken.py\", line 3"), "{text}");
}

#[test]
fn another_virtual_environment_is_refused() {
    import("plain").unwrap();
    let error = Wsgi::new("plain")
        .virtual_env("/nowhere")
        .application()
        .unwrap_err();
    assert!(
        error.to_string().contains("cannot use /nowhere too"),
        "{error}"
    );
}

#[test]
fn an_exception_is_a_500_and_later_breaks_the_answer_off() {
    assert_eq!(client("plain:fails").get("/").send().status(), 500);
    let answer = Client::new(import("plain:breaks_off").unwrap())
        .get("/")
        .send();
    assert_eq!(
        (answer.status().as_u16(), answer.text().as_ref()),
        (200, "begun")
    );
    assert!(answer.body_error().is_some());
}

#[test]
fn what_the_router_captures_is_at_hand() {
    let router = Router::new().any("/users/{id:int}/{part}", import("plain:captured").unwrap());
    let answer = Client::new(router.build().unwrap())
        .get("/users/7/caf%C3%A9")
        .send();
    assert_eq!(answer.text(), "((), {'id': '7', 'part': 'café'})");
}
