use enfilade_core::{MatchedPattern, Request, Response, RouteWanted};
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
    Client::new(router.build().unwrap().wrap(Lint::new()))
}

fn text(client: &Client, target: &str) -> String {
    let response = client.get(target).send();
    if response.status() == 200 {
        response.text().to_string()
    } else {
        response.status().to_string()
    }
}

fn check(router: Router, cases: &[(&str, &str)]) {
    let client = client(router);
    for (target, expected) in cases {
        assert_eq!(text(&client, target), *expected, "{target}");
    }
}

#[test]
fn the_most_specific_pattern_wins_and_captures_are_decoded() {
    let router = Router::new()
        .get("/", shows("home"))
        .get("/users", shows("users"))
        .get("/users/", shows("slash"))
        .get("/users/new", shows("new"))
        .get("/users/{id}", shows("user"))
        .get("/users/{id}/posts/{post}", shows("post"))
        .get("/files/{*path}", shows("files"))
        .get("/café/{name}", shows("café"))
        .get("/a@b", shows("at"));
    check(
        router,
        &[
            ("/", "home||/|"),
            ("/?q=/users", "home||/|"),
            ("/users", "users||/users|"),
            ("/users/", "slash||/users/|"),
            ("/users/new", "new||/users/new|"),
            ("/users/%6eew", "new||/users/new|"),
            ("/users/42", "user||/users/42|id=42"),
            ("/users/a%2Fb", "user||/users/a%2Fb|id=a/b"),
            (
                "/users/new/posts/1",
                "post||/users/new/posts/1|id=new&post=1",
            ),
            ("/files/a/b%20c", "files||/files/a/b%20c|path=a/b c"),
            ("/files/", "404 Not Found"),
            ("/caf%C3%A9/x", "café||/caf%C3%A9/x|name=x"),
            ("/a@b", "at||/a@b|"),
            // RFC 3986, section 2.2: a reserved character that is encoded is another one.
            ("/a%40b", "404 Not Found"),
            ("/users/%ff", "400 Bad Request"),
            ("/users/42/", "404 Not Found"),
            ("//users", "404 Not Found"),
            ("/nothing", "404 Not Found"),
        ],
    );
}

#[test]
fn a_constraint_that_does_not_take_a_segment_is_no_match() {
    let router = Router::new()
        .get("/users/{name}", shows("name"))
        .get("/users/{id:int}", shows("id"))
        .get("/users/{key:uuid}", shows("key"))
        .get("/users/me", shows("me"))
        .get("/{a:[a-z]+}/{b}", shows("letters"))
        .get("/{a}/{b:int}", shows("number"))
        .get("/files/{name}.{ext}", shows("file"))
        .get("/v{major:int}/{*rest}", shows("version"))
        .mount("/{tenant:slug}", shows("tenant"));
    check(
        router,
        &[
            ("/users/me", "me||/users/me|"),
            ("/users/42", "id||/users/42|id=42"),
            (
                "/users/01890a5d-ac96-774b-bcce-b302099a8057",
                "key||/users/01890a5d-ac96-774b-bcce-b302099a8057|key=01890a5d-ac96-774b-bcce-b302099a8057",
            ),
            ("/users/ada", "name||/users/ada|name=ada"),
            ("/users/%34%32", "id||/users/42|id=42"),
            ("/abc/5", "letters||/abc/5|a=abc&b=5"),
            ("/5/5", "number||/5/5|a=5&b=5"),
            ("/5/x", "tenant|/5|/x|tenant=5"),
            (
                "/files/a%20b.tar.gz",
                "file||/files/a%20b.tar.gz|name=a b&ext=tar.gz",
            ),
            ("/files/none", "letters||/files/none|a=files&b=none"),
            ("/v2/a/b", "version||/v2/a/b|major=2&rest=a/b"),
            ("/v2", "tenant|/v2||tenant=v2"),
            ("/a--b/x/y", "404 Not Found"),
        ],
    );
}

#[test]
fn mounts_shift_the_path_and_the_longest_prefix_wins() {
    let router = Router::new()
        .mount("/foo/bar", shows("foobar"))
        .mount("/foo", shows("foo"))
        .mount("/tenants/{tenant}", shows("tenant"))
        .get("/foo/route", shows("route"));
    check(
        router,
        &[
            ("/foo", "foo|/foo||"),
            ("/foo/", "foo|/foo|/|"),
            ("/foo/x", "foo|/foo|/x|"),
            ("/foo/bar", "foobar|/foo/bar||"),
            ("/foo/bar//quux", "foobar|/foo/bar|//quux|"),
            ("/foo/bard", "foo|/foo|/bard|"),
            ("/foo/route", "route||/foo/route|"),
            ("/foo/route/x", "foo|/foo|/route/x|"),
            ("/%66oo/x", "foo|/foo|/x|"),
            ("/foo%2Fbar/x", "404 Not Found"),
            ("/tenants/a%20b/x", "tenant|/tenants/a%20b|/x|tenant=a b"),
            ("/tenants/%ff/x", "400 Bad Request"),
            ("/foobar", "404 Not Found"),
            ("/", "404 Not Found"),
        ],
    );
}

#[test]
fn a_route_wins_over_what_takes_the_rest_and_that_over_a_mount() {
    let router = Router::new()
        .mount("/", shows("root"))
        .get("/{*rest}", shows("rest"))
        .get("/{one}", shows("one"))
        .mount("/{one}/app", shows("mount"))
        .get("/static/{*rest}", shows("static"));
    check(
        router,
        &[
            ("/", "root||/|"),
            ("/a", "one||/a|one=a"),
            ("/a/b", "rest||/a/b|rest=a/b"),
            ("/a/app/b", "mount|/a/app|/b|one=a"),
            ("/static/app", "mount|/static/app||one=static"),
            ("/static/x/y", "static||/static/x/y|rest=x/y"),
            ("/static/", "rest||/static/|rest=static/"),
        ],
    );
}

#[test]
fn routers_nest_and_respond_to_their_own_misses() {
    let inner = Router::new()
        .get("/", shows("inner"))
        .get("/{x}", shows("x"));
    let middle = Router::new().nest("/inner", inner);
    let outer = Router::new()
        .nest("/{lang}/app", middle)
        .mount("/", shows("root"))
        .fallback(|_: Request| "fallback of the outer router");
    check(
        outer,
        &[
            ("/en/app/inner", "inner|/en/app/inner||lang=en"),
            ("/en/app/inner/", "inner|/en/app/inner|/|lang=en"),
            ("/en/app/inner/1", "x|/en/app/inner|/1|lang=en&x=1"),
            ("/en/app/inner/1/2", "404 Not Found"),
            ("/en/app", "404 Not Found"),
            ("/en/other", "root||/en/other|"),
            ("/", "root||/|"),
        ],
    );
}

#[test]
fn routers_merge_and_keep_their_fallbacks() {
    let one = Router::new()
        .get("/a", shows("get"))
        .fallback(|_: Request| "one");
    let two = Router::new()
        .post("/a", shows("post"))
        .get("/b", shows("b"))
        .fallback(|_: Request| "two");
    let client = client(one.merge(two));
    assert_eq!(text(&client, "/b"), "b||/b|");
    assert_eq!(text(&client, "/c"), "one");
    assert_eq!(
        client.delete("/a").send().header("allow"),
        Some("GET, POST, HEAD, OPTIONS")
    );
}

#[test]
fn methods_are_told_apart() {
    let router = Router::new()
        .get("/x", shows("get"))
        .post("/x", shows("post"))
        .on(
            &[Method::from_bytes(b"PURGE").unwrap()],
            "/x",
            shows("purge"),
        )
        .get("/any", shows("get"))
        .any("/any", shows("any"))
        .put("/put", shows("put"))
        .patch("/put", shows("patch"))
        .delete("/put", shows("delete"))
        .get("/users/new", shows("new"))
        .post("/users/{id}", shows("user"))
        .put("/users/{id:int}", shows("put"))
        .mount("/", shows("mount"));
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
        ("POST", "/users/new", 200, None),
        (
            "DELETE",
            "/users/new",
            405,
            Some("GET, POST, HEAD, OPTIONS"),
        ),
        ("DELETE", "/users/7", 405, Some("PUT, POST, OPTIONS")),
        ("DELETE", "/elsewhere", 200, None),
        ("OPTIONS", "*", 200, None),
    ];
    for (method, target, status, allow) in cases {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let response = client.request(method.clone(), target).send();
        assert_eq!(response.status(), status, "{method} {target}");
        assert_eq!(response.header("allow"), allow, "{method} {target}");
    }
    assert!(client.get("/any").send().text().starts_with("get|"));
}

#[test]
fn an_application_can_respond_to_a_405() {
    let router = Router::new()
        .get("/x", shows("get"))
        .method_not_allowed(|request: Request| format!("no {} here", request.method()));
    let client = client(router);
    let response = client.delete("/x").send();
    assert_eq!(
        (response.status().as_u16(), response.header("allow")),
        (405, Some("GET, HEAD, OPTIONS"))
    );
    assert_eq!(response.text(), "no DELETE here");
    assert_eq!(client.options("/x").send().status(), 204);
}

#[test]
fn a_405_of_an_application_has_one_line_of_allow() {
    let router = Router::new()
        .get("/x", shows("get"))
        .method_not_allowed(|_: Request| ([("allow", "BREW"), ("allow", "PUT")], "no"));
    let response = client(router).delete("/x").send();
    let lines: Vec<_> = response.headers().get_all("allow").iter().collect();
    assert_eq!(lines, ["GET, HEAD, OPTIONS"]);
}

#[test]
fn methods_tell_patterns_of_one_shape_apart() {
    let router = || {
        Router::new()
            .post("/{name}", shows("post"))
            .delete("/{other}", shows("delete"))
            .put("/{name}", shows("put"))
            .get("/t/{a:int}/{*x}", shows("get"))
            .any("/t/{b:int}/{*y}", shows("any"))
            .any("/u/{any}", shows("any"))
            .get("/u/{get}", shows("get"))
            .on(
                &["HEAD".parse().unwrap()],
                "/u/{head}",
                |request: Request| {
                    let name = request.params().get("head").is_some();
                    ([("x-head", name.to_string())], "")
                },
            )
    };
    let client = client(router());
    let cases = [
        ("POST", "/a", "post||/a|name=a"),
        ("DELETE", "/a", "delete||/a|other=a"),
        ("PUT", "/a", "put||/a|name=a"),
        ("GET", "/t/1/b/c", "get||/t/1/b/c|a=1&x=b/c"),
        ("PATCH", "/t/1/b/c", "any||/t/1/b/c|b=1&y=b/c"),
        ("GET", "/u/a", "get||/u/a|get=a"),
        ("DELETE", "/u/a", "any||/u/a|any=a"),
    ];
    for (method, target, expected) in cases {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let response = client.request(method.clone(), target).send();
        assert_eq!(response.text(), expected, "{method} {target}");
    }
    assert_eq!(client.head("/u/a").send().header("x-head"), Some("true"));
    let refused = client.get("/a").send();
    let allow = refused.header("allow");
    let status = refused.status().as_u16();
    assert_eq!((status, allow), (405, Some("POST, PUT, DELETE, OPTIONS")));
    // One router of two is the same.
    let one = Router::new().post("/{name}", shows("post"));
    let merged = one.merge(Router::new().delete("/{other}", shows("delete")));
    assert!(merged.build().is_ok());
    let twice = router().delete("/{third}", shows("x")).build().unwrap_err();
    assert_eq!(
        twice.to_string(),
        "\"/{third}\" conflicts with \"/{other}\": both match the same paths"
    );
}

#[test]
fn patterns_of_other_routers_are_mistakes_that_name_ours() {
    let cases = [
        ("/a/:id", "write \"{id}\" to capture"),
        ("/a/:id/b", "write \"{id}\" to capture"),
        ("/a/*rest", "write \"{*rest}\" to capture"),
        ("/a/<int:id>", "write \"{id:int}\" to capture"),
        ("/a/[id]", "write \"{id}\" to capture"),
        ("/a/{id:integer}", "write {id:int}"),
        ("/{rest:path}", "write {*rest}"),
        ("/v{major:number}", "write {major:int}"),
    ];
    for (pattern, ours) in cases {
        let error = Router::new().get(pattern, shows("x")).build();
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with(ours), "{pattern}: {error}");
        let error = Router::new().mount(pattern, shows("x")).build();
        assert!(error.unwrap_err().to_string().ends_with(ours), "{pattern}");
    }
    // What is meant as text can be said.
    let router = Router::new()
        .get("/{x:[:]id}", shows("colon"))
        .get("/{lang:(?:en)}/a:b", shows("en"));
    let client = client(router);
    assert_eq!(text(&client, "/:id"), "colon||/:id|x=:id");
    assert_eq!(text(&client, "/en/a:b"), "en||/en/a:b|lang=en");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let mistakes = [
        ("", "\"\" is not a route: it does not begin with a slash"),
        (
            "users",
            "\"users\" is not a route: it does not begin with a slash",
        ),
        (
            "/{*rest}/x",
            "\"/{*rest}/x\" is not a route: nothing can follow what takes the rest",
        ),
        (
            "/{a}/{a}",
            "\"/{a}/{a}\" is not a route: \"a\" is captured twice",
        ),
        ("/{}", "\"/{}\" is not a route: \"\" is not a name"),
        (
            "/a?b",
            "\"/a?b\" is not a route: a route is a path, without query or fragment",
        ),
        (
            "/a/../b",
            "\"/a/../b\" is not a route: no path has the segment \"..\": write the path without it",
        ),
        ("/users/{id}", "GET \"/users/{id}\" already exists"),
        (
            "/users/{name}",
            "\"/users/{name}\" conflicts with \"/users/{id}\": both match the same paths",
        ),
        (
            "/t/{b:int}/{*y}",
            "\"/t/{b:int}/{*y}\" conflicts with \"/t/{a:int}/{*x}\": both match the same paths",
        ),
    ];
    let good = Router::new()
        .get("/users/{id}", shows("user"))
        .get("/t/{a:int}/{*x}", shows("t"));
    let router = mistakes
        .iter()
        .fold(good, |router, (pattern, _)| router.get(pattern, shows("x")));
    let error = router.build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Route);
    let mut told: Vec<_> = error.to_string().lines().map(str::to_owned).collect();
    let mut expected: Vec<_> = mistakes
        .iter()
        .map(|(_, message)| (*message).to_owned())
        .collect();
    told.sort_unstable();
    expected.sort_unstable();
    assert_eq!(told, expected);
}

#[test]
fn mistakes_of_mounts_and_names_are_told() {
    let wrong = |router: Router| router.build().unwrap_err().to_string();
    let cases = [
        (
            Router::new().mount("/a/", shows("x")),
            "\"/a/\" is not a prefix: write it without the slash at its end",
        ),
        (
            Router::new().mount("", shows("x")),
            "\"\" is not a prefix: it does not begin with a slash",
        ),
        (
            Router::new().mount("/{*x}", shows("x")),
            "\"/{*x}\" is not a prefix: a mount takes the rest of the path by itself",
        ),
        (
            Router::new()
                .mount("/a", shows("x"))
                .mount("/a", shows("y")),
            "\"/a\" already has a mounted application",
        ),
        (
            Router::new().any("/a", shows("x")).any("/a", shows("y")),
            "every other method of \"/a\" already exists",
        ),
        (
            Router::new().name("x"),
            "there is no route yet that could be named \"x\"",
        ),
        (
            Router::new()
                .get("/a", shows("a"))
                .name("n")
                .get("/b", shows("b"))
                .name("n"),
            "\"n\" names both \"/a\" and \"/b\"",
        ),
        (
            Router::new().nest("/in", Router::new().get("x", shows("x"))),
            "in \"/in\": \"x\" is not a route: it does not begin with a slash",
        ),
    ];
    for (router, expected) in cases {
        assert_eq!(wrong(router), expected);
    }
    let error = wrong(Router::new().get("/{x:[}", shows("x")));
    assert!(
        error.starts_with(
            "\"/{x:[}\" is not a route: \"[\" is not a regular expression for a route: "
        ),
        "{error}"
    );
}

#[test]
fn a_hidden_route_is_not_an_error() {
    let router = Router::new()
        .get("/{a:.+}", shows("a"))
        .get("/{b}", shows("b"));
    check(router, &[("/x", "a||/x|a=x")]);
}

#[test]
fn a_walk_goes_back_to_less_specific_segments() {
    let router = Router::new()
        .get("/a/b/c", shows("abc"))
        .get("/a/{x}/d", shows("axd"))
        .get("/{y:slug}/{z}/e", shows("yze"))
        .get("/a/{*rest}", shows("rest"))
        .mount("/{any}", shows("mount"));
    check(
        router,
        &[
            ("/a/b/c", "abc||/a/b/c|"),
            ("/a/b/d", "axd||/a/b/d|x=b"),
            ("/a/b/e", "yze||/a/b/e|y=a&z=b"),
            ("/a/b/f", "rest||/a/b/f|rest=b/f"),
            ("/a/b/c/", "rest||/a/b/c/|rest=b/c/"),
            ("/a/", "mount|/a|/|any=a"),
            ("/a%2Fb/c", "mount|/a%2Fb|/c|any=a/b"),
            ("/%61/b/d", "axd||/a/b/d|x=b"),
            ("/a/b/%64", "axd||/a/b/d|x=b"),
            ("/a/%ff/%zz", "400 Bad Request"),
            ("/b/c", "mount|/b|/c|any=b"),
        ],
    );
}

#[test]
fn urls_are_made_of_names() {
    let inner = Router::new()
        .get("/{year:[0-9]{4}}/{slug:slug}", shows("post"))
        .name("post");
    let router = Router::new()
        .get("/", shows("home"))
        .name("home")
        .get("/files/{name}.{ext}", shows("file"))
        .name("file")
        .get("/static/{*path}", shows("static"))
        .name("static")
        .get("/café", shows("café"))
        .name("café")
        .nest("/blog/{lang}", inner);
    let urls = router.urls();
    type Values<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Values<'_>, Result<&str, &str>); 13] = [
        ("home", &[], Ok("/")),
        ("café", &[], Ok("/caf%C3%A9")),
        (
            "file",
            &[("name", "a b"), ("ext", "gz")],
            Ok("/files/a%20b.gz"),
        ),
        ("static", &[("path", "a b/c?")], Ok("/static/a%20b/c%3F")),
        (
            "post",
            &[("lang", "en"), ("year", "2024"), ("slug", "a-b")],
            Ok("/blog/en/2024/a-b"),
        ),
        (
            "post",
            &[("lang", "en"), ("year", "24"), ("slug", "a-b")],
            Err("\"24\" cannot be the year of \"post\", /blog/{lang}/{year:[0-9]{4}}/{slug:slug}"),
        ),
        (
            "post",
            &[("lang", "en"), ("year", "2024")],
            Err("\"post\" needs a value for slug"),
        ),
        (
            "file",
            &[("name", "a.b"), ("ext", "c")],
            Err("\"a.b\" cannot be the name of \"file\", /files/{name}.{ext}"),
        ),
        (
            "static",
            &[("path", "")],
            Err("\"\" cannot be the path of \"static\", /static/{*path}"),
        ),
        ("home", &[("x", "1")], Err("\"home\" captures no x")),
        ("nowhere", &[], Err("no route is named \"nowhere\"")),
        (
            "post",
            &[("lang", ""), ("year", "2024"), ("slug", "a")],
            Err("\"\" cannot be the lang of \"post\", /blog/{lang}/{year:[0-9]{4}}/{slug:slug}"),
        ),
        (
            "post",
            &[("lang", "a/b"), ("year", "2024"), ("slug", "a")],
            Ok("/blog/a%2Fb/2024/a"),
        ),
    ];
    let client = client(router);
    for (name, params, expected) in cases {
        let found = urls.url_for(name, params);
        assert_eq!(
            found.as_deref().map_err(ToString::to_string),
            expected.map_err(str::to_owned),
            "{name}"
        );
        if let Ok(url) = found {
            assert_eq!(
                client.get(&url).send().status(),
                200,
                "{url} leads somewhere"
            );
        }
    }
}

#[test]
fn the_pattern_travels_outward_where_it_is_asked_for() {
    let inner = Router::new()
        .get("/{x:int}", shows("x"))
        .mount("/deep", shows("deep"));
    let app = Router::new()
        .nest("/a/{b}", inner)
        .get("/plain", shows("plain"))
        .build()
        .unwrap();
    let pattern = |target: &'static str, wanted: bool| {
        let mut request = Request::get(target);
        if wanted {
            request.extensions_mut().insert(RouteWanted);
        }
        let response: Response = pollster::block_on(app.call(request));
        response
            .extensions()
            .get::<MatchedPattern>()
            .map(|pattern| pattern.as_str().to_owned())
    };
    assert_eq!(pattern("/plain", true).as_deref(), Some("/plain"));
    assert_eq!(pattern("/a/1/5", true).as_deref(), Some("/a/{b}/{x:int}"));
    assert_eq!(
        pattern("/a/1/deep/er", true).as_deref(),
        Some("/a/{b}/deep/...")
    );
    // No route was found there, and the log must not show one.
    assert_eq!(pattern("/a/1/nothing", true).as_deref(), Some("/a/{b}/..."));
    assert_eq!(pattern("/nothing", true), None);
    assert_eq!(pattern("/plain", false), None);
    // Who gets no response reads the same on the way.
    for (target, expected) in [
        ("/a/1/5", "/a/{b}/{x:int}"),
        ("/a/1/deep/er", "/a/{b}/deep/..."),
        ("/a/1/nothing", "/a/{b}/..."),
    ] {
        let trail = RouteTrail::default();
        let mut request = Request::get(target);
        request.extensions_mut().insert(RouteWanted);
        request.extensions_mut().insert(trail.clone());
        drop(pollster::block_on(app.call(request)));
        assert_eq!(trail.pattern().as_deref(), Some(expected), "{target}");
    }
}

#[test]
fn routes_are_listed_and_described() {
    let router = Router::new()
        .get("/users/{id}", shows("user"))
        .name("user")
        .post("/users/{id}", shows("user"))
        .any("/ping", shows("ping"))
        .mount("/api", shows("api"))
        .fallback(shows("fallback"));
    let listed: Vec<_> = router
        .routes()
        .iter()
        .map(|route| {
            format!(
                "{:?} {} {:?}",
                route.methods(),
                route.pattern(),
                route.name()
            )
        })
        .collect();
    assert_eq!(
        listed,
        [
            "[GET] /users/{id} Some(\"user\")",
            "[POST] /users/{id} None",
            "[] /ping None",
            "[] /api/... None"
        ]
    );
    assert_eq!(router.routes()[0].handler(), "closure in shows");
    let tree = router.build().unwrap().describe();
    let labels: Vec<_> = tree.children().map(|(label, _)| label).collect();
    assert_eq!(
        labels,
        [
            "GET /users/{id}",
            "POST /users/{id}",
            "/ping",
            "/api/...",
            "fallback"
        ]
    );
}

#[test]
fn ten_thousand_routes_are_told_apart() {
    let router = (0..10_000).fold(Router::new(), |router, number| {
        let pattern = format!("/section{}/{{name}}/item{number}", number % 97);
        router.get(&pattern, move |_: Request| number.to_string())
    });
    let client = client(router);
    for number in (0..10_000).step_by(501) {
        let target = format!("/section{}/x/item{number}", number % 97);
        assert_eq!(text(&client, &target), number.to_string());
    }
    assert_eq!(text(&client, "/section1/x/item2"), "404 Not Found");
}

#[test]
fn a_mount_keeps_the_laws() {
    enfilade_testing::laws::check(|app: Application| {
        Router::new().mount("/", app).build().unwrap()
    });
}

mod reference {
    //! A matcher that tries every pattern, one segment after the other.

    use proptest::prelude::{Just, Strategy, prop_oneof};
    use proptest::test_runner::{Config, TestRunner};

    use super::*;

    const SEGMENTS: [&str; 5] = ["a", "b", "{x}", "{x:int}", "{x:[ab]}"];
    const VALUES: [&str; 5] = ["a", "b", "7", "zz", ""];

    /// Patterns with up to three segments, at times with what takes the rest; each number names its captures apart.
    fn patterns() -> impl Strategy<Value = Vec<String>> {
        let segment = proptest::sample::select(&SEGMENTS[..]);
        let one = (
            proptest::collection::vec(segment, 1..4),
            prop_oneof![3 => Just(false), 1 => Just(true)],
        );
        let one = one.prop_map(|(segments, rest)| {
            let named = segments
                .iter()
                .enumerate()
                .map(|(at, segment)| segment.replace('x', &format!("x{at}")));
            let end = if rest { "/{*rest}" } else { "" };
            named
                .map(|segment| format!("/{segment}"))
                .collect::<String>()
                + end
        });
        proptest::collection::btree_set(one, 1..8).prop_map(|set| set.into_iter().collect())
    }

    fn paths() -> impl Strategy<Value = String> {
        let value = proptest::sample::select(&VALUES[..]);
        proptest::collection::vec(value, 1..5)
            .prop_map(|values| values.iter().map(|value| format!("/{value}")).collect())
    }

    /// How specific a segment of a pattern is for this value; the least is the most specific, `None` does not match.
    fn rank(segment: &str, value: &str) -> Option<usize> {
        let name = segment
            .strip_prefix('{')
            .and_then(|inner| inner.strip_suffix('}'));
        match name.map(|name| name.split_once(':').map(|(_, constraint)| constraint)) {
            None => (segment == value).then_some(0),
            Some(Some("int")) => {
                (!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit())).then_some(1)
            }
            Some(Some(_)) => ["a", "b"].contains(&value).then_some(1),
            Some(None) => (!value.is_empty()).then_some(2),
        }
    }

    /// What the pattern is worth for the path: whole before rest, long rests before short, then segment by segment.
    fn worth(pattern: &str, path: &str) -> Option<(usize, Vec<usize>)> {
        let values: Vec<&str> = path.split('/').skip(1).collect();
        let mut segments: Vec<&str> = pattern.split('/').skip(1).collect();
        let takes_rest = segments.last() == Some(&"{*rest}");
        if takes_rest {
            segments.pop();
            let rest = values.get(segments.len()..)?.join("/");
            if rest.is_empty() {
                return None;
            }
        } else if segments.len() != values.len() {
            return None;
        }
        let ranks = segments
            .iter()
            .zip(&values)
            .map(|(segment, value)| rank(segment, value))
            .collect::<Option<Vec<_>>>()?;
        Some((if takes_rest { 100 - segments.len() } else { 0 }, ranks))
    }

    #[test]
    fn the_router_agrees_with_a_naive_matcher() {
        let config = Config {
            cases: 1_000,
            failure_persistence: None,
            ..Config::default()
        };
        let outcome = TestRunner::new(config).run(&(patterns(), paths()), |(patterns, path)| {
            let router = patterns.iter().fold(Router::new(), |router, pattern| {
                let text = pattern.clone();
                router.get(pattern, move |_: Request| text.clone())
            });
            // Two constraints at one place are tried in the order of registration, which is that of the set.
            let client = Client::new(router.build().unwrap()).without_gateway();
            let found = client.get(&path).send();
            let best = patterns
                .iter()
                .filter_map(|pattern| Some((worth(pattern, &path)?, pattern)))
                .min_by(|a, b| a.0.cmp(&b.0));
            let expected = best.map(|(worth, _)| worth);
            let answered = (found.status() == 200)
                .then(|| worth(&found.text(), &path))
                .flatten();
            proptest::prop_assert_eq!(answered, expected, "{} among {:?}", path, patterns);
            Ok(())
        });
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}
