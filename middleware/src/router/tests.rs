use enfilade_testing::{Client, Lint};

use super::*;

/// An application that says what it sees: its name, `script_name`, `path` and captures.
fn shows(name: &'static str) -> Application {
    Application::new(move |request: Request| {
        let params: Vec<_> = request
            .params()
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        format!(
            "{name}|{}|{}|{}",
            request.script_name(),
            request.path(),
            params.join("&")
        )
    })
}

fn client(router: Router) -> Client {
    Client::new(Application::new(router).wrap(Lint::new()))
}

fn text(client: &Client, target: &str) -> String {
    let answer = client.get(target).send();
    if answer.status() == 200 {
        answer.text().to_string()
    } else {
        answer.status().to_string()
    }
}

#[test]
fn the_most_specific_pattern_wins_and_captures_are_decoded() {
    let router = Router::new()
        .get("/", shows("home"))
        .unwrap()
        .get("/users", shows("users"))
        .unwrap()
        .get("/users/", shows("slash"))
        .unwrap()
        .get("/users/new", shows("new"))
        .unwrap()
        .get("/users/{id}", shows("user"))
        .unwrap()
        .get("/users/{id}/posts/{post}", shows("post"))
        .unwrap()
        .get("/files/{*path}", shows("files"))
        .unwrap()
        .get("/café/{name}", shows("café"))
        .unwrap()
        .get("/a@b", shows("at"))
        .unwrap();
    let client = client(router);
    let cases = [
        ("/", "home||/|"),
        ("/?q=/users", "home||/|"),
        ("/users", "users||/users|"),
        ("/users/", "slash||/users/|"),
        ("/users/new", "new||/users/new|"),
        ("/users/%6eew", "new||/users/%6eew|"),
        ("/users/42", "user||/users/42|id=42"),
        ("/users/a%2Fb", "user||/users/a%2Fb|id=a/b"),
        (
            "/users/new/posts/1",
            "post||/users/new/posts/1|id=new&post=1",
        ),
        ("/files/a/b%20c", "files||/files/a/b%20c|path=a/b c"),
        ("/files/", "404 Not Found"),
        ("/caf%C3%A9/x", "café||/caf%C3%A9/x|name=x"),
        ("/a%40b", "at||/a%40b|"),
        ("/users/%ff", "400 Bad Request"),
        ("/users/42/", "404 Not Found"),
        ("//users", "404 Not Found"),
        ("/nothing", "404 Not Found"),
    ];
    for (target, expected) in cases {
        assert_eq!(text(&client, target), expected, "{target}");
    }
}

#[test]
fn mounts_shift_the_path_and_the_longest_prefix_wins() {
    let router = Router::new()
        .mount("/foo/bar", shows("foobar"))
        .unwrap()
        .mount("/foo", shows("foo"))
        .unwrap()
        .mount("/tenants/{tenant}", shows("tenant"))
        .unwrap()
        .get("/foo/route", shows("route"))
        .unwrap();
    let client = client(router);
    let cases = [
        ("/foo", "foo|/foo||"),
        ("/foo/", "foo|/foo|/|"),
        ("/foo/x", "foo|/foo|/x|"),
        ("/foo/bar", "foobar|/foo/bar||"),
        ("/foo/bar//quux", "foobar|/foo/bar|//quux|"),
        ("/foo/bard", "foo|/foo|/bard|"),
        ("/foo/route", "route||/foo/route|"),
        ("/foo/route/x", "foo|/foo|/route/x|"),
        ("/%66oo/x", "foo|/%66oo|/x|"),
        ("/foo%2Fbar/x", "404 Not Found"),
        ("/tenants/a%20b/x", "tenant|/tenants/a%20b|/x|tenant=a b"),
        ("/tenants/%ff/x", "400 Bad Request"),
        ("/foobar", "404 Not Found"),
        ("/", "404 Not Found"),
    ];
    for (target, expected) in cases {
        assert_eq!(text(&client, target), expected, "{target}");
    }
}

#[test]
fn a_route_wins_over_what_takes_the_rest_and_that_over_a_mount() {
    let router = Router::new()
        .mount("/", shows("root"))
        .unwrap()
        .get("/{*rest}", shows("rest"))
        .unwrap()
        .get("/{one}", shows("one"))
        .unwrap()
        .mount("/{one}/app", shows("mount"))
        .unwrap()
        .get("/static/{*rest}", shows("static"))
        .unwrap();
    let client = client(router);
    let cases = [
        ("/", "root||/|"),
        ("/a", "one||/a|one=a"),
        ("/a/b", "rest||/a/b|rest=a/b"),
        ("/a/app/b", "mount|/a/app|/b|one=a"),
        ("/static/app", "mount|/static/app||one=static"),
        ("/static/x/y", "static||/static/x/y|rest=x/y"),
        ("/static/", "rest||/static/|rest=static/"),
    ];
    for (target, expected) in cases {
        assert_eq!(text(&client, target), expected, "{target}");
    }
}

#[test]
fn routers_nest_and_answer_their_own_misses() {
    let inner = Router::new()
        .get("/", shows("inner"))
        .unwrap()
        .get("/{x}", shows("x"))
        .unwrap();
    let middle = Router::new().mount("/inner", inner).unwrap();
    let outer = Router::new()
        .mount("/{lang}/app", middle)
        .unwrap()
        .mount("/", shows("root"))
        .unwrap()
        .fallback(|_: Request| "fallback of the outer router");
    let client = client(outer);
    let cases = [
        ("/en/app/inner", "inner|/en/app/inner||lang=en"),
        ("/en/app/inner/", "inner|/en/app/inner|/|lang=en"),
        ("/en/app/inner/1", "x|/en/app/inner|/1|lang=en&x=1"),
        ("/en/app/inner/1/2", "404 Not Found"),
        ("/en/app", "404 Not Found"),
        ("/en/other", "root||/en/other|"),
        ("/", "root||/|"),
    ];
    for (target, expected) in cases {
        assert_eq!(text(&client, target), expected, "{target}");
    }
}

#[test]
fn methods_are_told_apart() {
    let router = Router::new()
        .get("/x", shows("get"))
        .unwrap()
        .post("/x", shows("post"))
        .unwrap()
        .on(
            &[Method::from_bytes(b"PURGE").unwrap()],
            "/x",
            shows("purge"),
        )
        .unwrap()
        .get("/any", shows("get"))
        .unwrap()
        .any("/any", shows("any"))
        .unwrap()
        .put("/put", shows("put"))
        .unwrap()
        .patch("/put", shows("patch"))
        .unwrap()
        .delete("/put", shows("delete"))
        .unwrap();
    let client = client(router);
    let cases = [
        ("GET", "/x", 200, None),
        ("HEAD", "/x", 200, None),
        ("POST", "/x", 200, None),
        ("PURGE", "/x", 200, None),
        ("DELETE", "/x", 405, Some("GET, POST, PURGE, HEAD, OPTIONS")),
        (
            "OPTIONS",
            "/x",
            204,
            Some("GET, POST, PURGE, HEAD, OPTIONS"),
        ),
        ("get", "/x", 405, Some("GET, POST, PURGE, HEAD, OPTIONS")),
        ("DELETE", "/any", 200, None),
        ("OPTIONS", "/any", 200, None),
        ("HEAD", "/put", 405, Some("PUT, PATCH, DELETE, OPTIONS")),
        ("DELETE", "/nothing", 404, None),
        ("OPTIONS", "*", 404, None),
    ];
    for (method, target, status, allow) in cases {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let answer = client.request(method.clone(), target).send();
        assert_eq!(answer.status(), status, "{method} {target}");
        assert_eq!(answer.header("allow"), allow, "{method} {target}");
    }
    assert!(client.get("/any").send().text().starts_with("get|"));
}

#[test]
fn mistakes_are_errors_that_say_what_and_where() {
    let router = || {
        let router = Router::new().get("/users/{id}", shows("user")).unwrap();
        router.mount("/api", shows("api")).unwrap()
    };
    let app = || shows("x");
    let cases = [
        (
            router().get("/users/{id}", app()),
            "GET \"/users/{id}\" is there already",
        ),
        (
            router().get("/users/{name}", app()),
            "\"/users/{name}\" cannot be told from \"/users/{id}\", which is there already",
        ),
        (
            router()
                .get("/t/{a}/{*x}", app())
                .unwrap()
                .post("/t/{b}/{*y}", app()),
            "\"/t/{b}/{*y}\" cannot be told from \"/t/{a}\", which is there already",
        ),
        (
            router().get("", app()),
            "\"\" is not a route: it does not begin with a slash",
        ),
        (
            router().get("users", app()),
            "\"users\" is not a route: it does not begin with a slash",
        ),
        (
            router().get("/{*rest}/x", app()),
            "\"/{*rest}/x\" is not a route: nothing can follow what takes the rest",
        ),
        (
            router().get("/{a}/{a}", app()),
            "\"/{a}/{a}\" is not a route: \"a\" is captured twice",
        ),
        (
            router().get("/{}", app()),
            "\"/{}\" is not a route: \"\" is not a name",
        ),
        (
            router().get("/{a b}", app()),
            "\"/{a b}\" is not a route: \"a b\" is not a name",
        ),
        (
            router().get("/x{a}", app()),
            "\"/x{a}\" is not a route: \"x{a}\" is neither text nor one capture",
        ),
        (
            router().get("/a?b", app()),
            "\"/a?b\" is not a route: a route is a path, without query or fragment",
        ),
        (
            router().get("/caf%C3%A9", app()),
            "\"/caf%C3%A9\" is not a route: \"caf%C3%A9\" is percent-encoded; write the characters themselves",
        ),
        (
            router().mount("/api", app()),
            "something is mounted at \"/api\" already",
        ),
        (
            router().mount("/api/", app()),
            "\"/api/\" is not a prefix: write it without the slash at its end",
        ),
        (
            router().mount("", app()),
            "\"\" is not a route: it does not begin with a slash",
        ),
        (
            router().mount("/{*x}", app()),
            "\"/{*x}\" is not a prefix: a mount takes the rest of the path by itself",
        ),
    ];
    for (result, expected) in cases {
        let error = result.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.kind(), ErrorKind::Route);
    }
}

#[test]
fn describes_what_is_where() {
    let router = Router::new()
        .get("/users/{id}", shows("user"))
        .unwrap()
        .any("/ping", shows("ping"))
        .unwrap()
        .mount("/api", Router::new())
        .unwrap()
        .fallback(shows("fallback"));
    let tree = Application::new(router).describe();
    let labels: Vec<_> = tree.children().map(|(label, _)| label).collect();
    assert_eq!(labels, ["GET /users/{id}", "/ping", "/api/...", "fallback"]);
}

#[test]
fn a_mount_keeps_the_laws() {
    enfilade_testing::laws::check(|app: Application| {
        Application::new(Router::new().mount("/", app).unwrap())
    });
}
