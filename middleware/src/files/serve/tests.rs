use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use enfilade_core::headers::parse_http_date;
use enfilade_testing::{Client, Lint, TestResponse};
use http::HeaderName;

use super::*;
use crate::files::tree::TreeReply;
use crate::files::tree::entry::{Entry, FileEntry, Precompressed};
use crate::files::tree::memory::MemoryTree;
use crate::files::tree::overlay::Overlay;
use crate::files::tree::path::TreePath;

fn tree() -> MemoryTree {
    let files: [(&str, &str); 14] = [
        ("index.html", "home"),
        ("a.txt", "0123456789"),
        ("dir/index.html", "dir"),
        ("dir/page.html", "page"),
        ("plain/x.txt", "x"),
        (".hidden/x", "hidden"),
        (".well-known/x.txt", "known"),
        ("app.js", "alert()"),
        ("app.js.gz", "gzip"),
        ("app.js.br", "br"),
        ("site.tar.gz", "archive"),
        ("x.svg", "<svg/>"),
        ("logo.svgz", "gzip"),
        ("app.3f2a9c1b.css", "css"),
    ];
    files
        .iter()
        .fold(MemoryTree::new(), |tree, (path, content)| {
            tree.file(path, *content).unwrap()
        })
}

fn client(files: Files) -> Client {
    Client::new(Application::new(files).wrap(Lint::new()))
}

fn inner() -> Application {
    Application::new(|request: Request| format!("inner {}", request.path()))
}

fn shown(response: &TestResponse) -> (u16, String) {
    (response.status().as_u16(), response.text().into_owned())
}

#[test]
fn a_path_is_a_file_a_directory_or_nothing() {
    let plain = client(Files::new(tree()));
    for (path, status, text) in [
        ("/a.txt", 200, "0123456789"),
        ("/", 200, "home"),
        ("/dir/", 200, "dir"),
        ("/dir", 308, ""),
        ("/dir/page", 404, ""),
        ("/plain", 404, ""),
        ("/plain/", 404, ""),
        ("/a.txt/", 404, ""),
        ("//a.txt", 404, ""),
        ("/dir//page.html", 404, ""),
        ("/dir%2Fpage.html", 404, ""),
        ("/.hidden/x", 404, ""),
        ("/.well-known/x.txt", 200, "known"),
        ("/app.js.gz", 200, "gzip"),
    ] {
        assert_eq!(
            shown(&plain.get(path).send()),
            (status, text.to_owned()),
            "{path}"
        );
    }
    let open = client(
        Files::new(tree())
            .insecure_show_hidden()
            .index(["page.html", "x.txt"]),
    );
    assert_eq!(open.get("/.hidden/x").send().text(), "hidden");
    assert_eq!(open.get("/dir/").send().text(), "page");
    assert_eq!(open.get("/plain/").send().text(), "x");
}

#[test]
fn the_root_of_a_mount_is_redirected_to_its_slash_so_that_links_lead_inside() {
    let index = MemoryTree::new()
        .file("index.html", "<a href=a.txt>")
        .unwrap();
    for files in [
        Files::new(index.clone()),
        Files::new(index).index::<String>([]).listing(),
    ] {
        let mounts = crate::Mounts::new().at("/static", files.clone()).unwrap();
        let client = Client::new(mounts.otherwise(|_: Request| "home"));
        let response = client.get("/static?x").send();
        assert_eq!(
            (response.status().as_u16(), response.header("location")),
            (308, Some("/static/?x"))
        );
        assert_eq!(client.get("/static/").send().status(), 200);
        // Without a mount the root has its slash.
        assert_eq!(
            Client::new(Application::new(files))
                .get("/")
                .send()
                .status(),
            200
        );
    }
}

#[test]
fn a_redirect_keeps_mounts_and_query_and_never_names_a_host() {
    for (script_name, target, expected) in [
        ("", "/dir?a=1&b", "/dir/?a=1&b"),
        ("/assets", "/dir", "/assets/dir/"),
        ("//evil.example", "/dir", "/evil.example/dir/"),
    ] {
        let app = Application::new(Files::new(tree()));
        let app = Application::new(move |mut request: Request| {
            request.prepend_script_name(script_name);
            app.call(request)
        });
        let client = Client::new(app.wrap(Lint::new()));
        for response in [client.get(target).send(), client.head(target).send()] {
            assert_eq!(response.status(), 308);
            assert_eq!(response.header("location"), Some(expected));
        }
    }
    let names = MemoryTree::new().file("a@b+c d.txt", "x").unwrap();
    let names = client(
        Files::new(names)
            .single_page("a@b+c d.txt", ["/api"])
            .unwrap(),
    );
    let moved = names.get("/a%40b%2Bc%20d.txt?q").send();
    assert_eq!(
        (moved.status().as_u16(), moved.header("location")),
        (308, Some("/a@b+c%20d.txt?q"))
    );
    assert_eq!(names.get("/a@b+c%20d.txt").send().text(), "x");
    // It is not the name of a file.
    assert_eq!(names.get("/user/a%40b").send().text(), "x");
    let canonical = client(Files::new(tree()).canonical().html_extension());
    for (path, expected) in [
        ("/index.html", Some("/")),
        ("/dir/index.html?x", Some("/dir/?x")),
        ("/dir/page.html", Some("/dir/page")),
        ("/dir/page", None),
        ("/a.txt", None),
    ] {
        assert_eq!(
            canonical.get(path).send().header("location"),
            expected,
            "{path}"
        );
    }
}

#[test]
fn other_methods_are_refused_or_left_to_the_application() {
    let alone = client(Files::new(tree()));
    let refused = alone.post("/a.txt").send();
    assert_eq!(
        (refused.status().as_u16(), refused.header("allow")),
        (405, Some("GET, HEAD"))
    );
    assert_eq!(alone.post("/nothing").send().status(), 405);
    let around = Client::new(inner().wrap(Files::new(tree())).wrap(Lint::new()));
    assert_eq!(around.post("/a.txt").send().status(), 405);
    assert_eq!(around.post("/form").send().text(), "inner /form");
    assert_eq!(around.get("/nothing").send().text(), "inner /nothing");
    assert_eq!(around.get("/a.txt").send().text(), "0123456789");
    let passed = Client::new(inner().wrap(Files::new(tree()).pass_methods()));
    assert_eq!(passed.post("/a.txt").send().text(), "inner /a.txt");
}

#[test]
fn pages_are_found_without_their_extension_and_a_single_page_stands_for_the_rest() {
    let pages = client(Files::new(tree()).html_extension());
    assert_eq!(pages.get("/dir/page").send().text(), "page");
    assert_eq!(
        pages.get("/dir/page").send().header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(pages.get("/dir/page/").send().status(), 404);
    let single = client(
        Files::new(tree())
            .single_page("index.html", ["/api"])
            .unwrap(),
    );
    for (path, accept, status) in [
        ("/users/7", "text/html,*/*;q=0.8", 200),
        ("/users/7/", "*/*", 200),
        ("/users/7", "application/json", 404),
        ("/nothing.js", "*/*", 404),
        ("/api", "*/*", 404),
        ("/api/x", "*/*", 404),
        ("/apis", "*/*", 200),
    ] {
        let response = single.get(path).header("accept", accept).send();
        assert_eq!(response.status(), status, "{path} {accept}");
    }
    for (page, except, text) in [
        (
            "/index.html",
            "/api",
            "\"/index.html\" is not the path of a file, such as `index.html`",
        ),
        ("index.html", "api", "\"api\" does not begin with a slash"),
    ] {
        let error = Files::new(tree()).single_page(page, [except]).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn a_sibling_is_sent_if_the_client_wants_it() {
    let codings = [
        Precompressed::Zstd,
        Precompressed::Brotli,
        Precompressed::Gzip,
    ];
    let files = client(Files::new(tree()).precompressed(codings));
    for (path, accept, status, text, coding) in [
        ("/app.js", "gzip, br, zstd", 200, "br", Some("br")),
        ("/app.js", "gzip", 200, "gzip", Some("gzip")),
        ("/app.js", "br;q=0.1, gzip", 200, "gzip", Some("gzip")),
        ("/app.js", "", 200, "alert()", None),
        ("/app.js", "br;q=0, gzip;q=0", 200, "alert()", None),
        ("/app.js", "gzip, identity;q=0", 200, "gzip", Some("gzip")),
        ("/app.js", "zstd, *;q=0", 406, "Not Acceptable", None),
        ("/a.txt", "gzip", 200, "0123456789", None),
        ("/app.js.gz", "gzip", 404, "", None),
        ("/site.tar.gz", "", 200, "archive", None),
        ("/logo.svgz", "", 200, "gzip", Some("gzip")),
    ] {
        let response = files.get(path).header("accept-encoding", accept).send();
        assert_eq!(
            shown(&response),
            (status, text.to_owned()),
            "{path} {accept}"
        );
        assert_eq!(
            response.header("content-encoding"),
            coding,
            "{path} {accept}"
        );
        let varies = (status != 404).then_some("accept-encoding");
        assert_eq!(response.header("vary"), varies, "{path} {accept}");
    }
    let tags = ["gzip", "br", ""].map(|accept| {
        let response = files
            .get("/app.js")
            .header("accept-encoding", accept)
            .send();
        response.header("etag").unwrap().to_owned()
    });
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2]);
    let again = files
        .get("/app.js")
        .header("accept-encoding", "br")
        .header("if-none-match", &tags[1])
        .send();
    assert_eq!(
        (again.status().as_u16(), again.header("vary")),
        (304, Some("accept-encoding"))
    );
    let served = client(Files::new(tree()).precompressed(codings).serve_siblings());
    assert_eq!(
        served.get("/app.js.gz").send().header("content-type"),
        Some("application/gzip")
    );
}

#[test]
fn a_sibling_of_another_tree_or_an_older_one_is_not_used() {
    let gzip = [Precompressed::Gzip];
    let theme = MemoryTree::new().file("app.js", "theme").unwrap();
    let overlay = Overlay::new().tree(theme).tree(tree());
    let files = client(Files::new(overlay).precompressed(gzip));
    let response = files
        .get("/app.js")
        .header("accept-encoding", "gzip")
        .send();
    assert_eq!(shown(&response), (200, "theme".to_owned()));
    let (old, new) = (time(784_111_776), time(784_111_777));
    for (sibling, expected) in [(old, "plain"), (new, "gzip")] {
        let plain = MemoryTree::new()
            .file("b.js", "plain")
            .unwrap()
            .modified(new);
        let sibling = MemoryTree::new()
            .file("b.js.gz", "gzip")
            .unwrap()
            .modified(sibling);
        let files = client(Files::new(Both(plain, sibling)).precompressed(gzip));
        let response = files.get("/b.js").header("accept-encoding", "gzip").send();
        assert_eq!(response.text(), expected);
    }
}

/// Two trees that are one, unlike in an overlay.
struct Both(MemoryTree, MemoryTree);

impl FileTree for Both {
    fn look_up(&self, path: &TreePath<'_>) -> TreeReply<Option<Entry>> {
        let first = path.as_str().ends_with(".js");
        if first {
            self.0.look_up(path)
        } else {
            self.1.look_up(path)
        }
    }

    fn describe(&self) -> Description {
        Description::new("Both")
    }
}

fn time(seconds: i64) -> time::OffsetDateTime {
    time::OffsetDateTime::from_unix_timestamp(seconds).unwrap()
}

#[test]
fn caches_and_headers_follow_the_path() {
    let name = |name: &'static str| HeaderName::from_static(name);
    let value = HeaderValue::from_static;
    let files = Files::new(tree())
        .max_age(Duration::from_secs(60))
        .hashed_names()
        .header(name("x-all"), value("1"))
        .header_for("/**/*.txt", name("x-all"), value("2"))
        .unwrap()
        .header_for("/dir/**", name("cache-control"), value("no-store"))
        .unwrap();
    let client = client(files);
    for (path, cache, all) in [
        (
            "/app.3f2a9c1b.css",
            "public, max-age=31536000, immutable",
            "1",
        ),
        ("/", "no-cache", "1"),
        ("/app.js", "public, max-age=60", "1"),
        ("/a.txt", "public, max-age=60", "2"),
        ("/dir/page.html", "no-store", "1"),
    ] {
        let first = client.get(path).send();
        let tag = first.header("etag").unwrap();
        let again = client.get(path).header("if-none-match", tag).send();
        assert_eq!(
            (first.status().as_u16(), again.status().as_u16()),
            (200, 304),
            "{path}"
        );
        for response in [&first, &again] {
            assert_eq!(response.header("cache-control"), Some(cache), "{path}");
            assert_eq!(response.header("x-all"), Some(all), "{path}");
        }
        assert_eq!(again.header("content-type"), None);
    }
    assert_eq!(client.get("/nothing").send().header("x-all"), None);
}

#[test]
fn a_304_has_the_headers_of_its_200_but_those_of_the_content() {
    let codings = [Precompressed::Gzip];
    let plain = || Files::new(tree()).untrusted().precompressed(codings);
    let all = [
        plain(),
        plain().max_age(Duration::from_secs(60)).hashed_names(),
        // A rule sees all headers, which takes the longer way to the same.
        plain().header(
            HeaderName::from_static("x-all"),
            HeaderValue::from_static("1"),
        ),
        plain().header(http::header::VARY, HeaderValue::from_static("origin")),
    ];
    for files in all {
        let files = client(files);
        for path in ["/", "/a.txt", "/app.js", "/app.3f2a9c1b.css", "/x.svg"] {
            let first = files.get(path).header("accept-encoding", "gzip").send();
            assert_eq!(first.status(), 200);
            for condition in ["if-none-match", "if-modified-since"] {
                let validator = match condition {
                    "if-none-match" => first.header("etag"),
                    _ => first.header("last-modified"),
                };
                let Some(validator) = validator else {
                    continue;
                };
                let again = files.get(path).header("accept-encoding", "gzip");
                let again = again.header(condition, validator).send();
                assert_eq!(again.status(), 304, "{path} {condition}");
                let mut expected = first.headers().clone();
                for name in [
                    "accept-ranges",
                    "content-disposition",
                    "content-encoding",
                    "content-length",
                    "content-type",
                    "last-modified",
                ] {
                    expected.remove(name);
                }
                assert_eq!(*again.headers(), expected, "{path} {condition}");
            }
        }
    }
}

#[test]
fn a_304_without_a_tag_has_the_time() {
    struct Untagged;
    impl FileTree for Untagged {
        fn look_up(&self, _: &TreePath<'_>) -> TreeReply<Option<Entry>> {
            let file = FileEntry::from_bytes("x").modified(time(784_111_777));
            TreeReply::new(Ok(Some(Entry::File(file))))
        }

        fn describe(&self) -> Description {
            Description::new("Untagged")
        }
    }
    for files in [
        Files::new(Untagged),
        Files::new(Untagged).header(
            HeaderName::from_static("x-all"),
            HeaderValue::from_static("1"),
        ),
    ] {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let again = client(files)
            .get("/a")
            .header("if-modified-since", date)
            .send();
        assert_eq!(again.status(), 304);
        assert_eq!(again.header("last-modified"), Some(date));
        assert_eq!(again.header("etag"), None);
    }
}

#[test]
fn uploads_that_a_browser_would_run_are_downloads() {
    let client = client(Files::new(tree()).untrusted());
    for (path, expected) in [
        ("/x.svg", Some("attachment")),
        ("/", Some("attachment")),
        ("/a.txt", None),
    ] {
        let response = client.get(path).send();
        assert_eq!(response.header("content-disposition"), expected, "{path}");
        assert_eq!(
            response.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
    }
}

#[test]
fn a_listing_is_escaped_sorted_and_limited() {
    let tree = MemoryTree::new()
        .file("z/x", "1")
        .and_then(|tree| tree.file("<b>&\".txt", "12"))
        .and_then(|tree| tree.file("a:b", "123"))
        .and_then(|tree| tree.file(".secret", "1"))
        .unwrap()
        .modified(time(784_111_777));
    let files = Files::new(tree.clone()).listing();
    let client = Client::new(Application::new(files).wrap(Lint::new()));
    let html = client.get("/").header("accept", "text/html").send();
    let rows: Vec<String> = html
        .text()
        .lines()
        .filter(|line| line.starts_with("<tr>"))
        .map(str::to_owned)
        .collect();
    let time = "1994-11-06T08:49:37Z";
    assert_eq!(
        rows,
        [
            "<tr><td><a href=\"./z/\">z/</a><td><td>".to_owned(),
            format!(
                "<tr><td><a href=\"./%3Cb%3E&amp;%22.txt\">&lt;b&gt;&amp;&quot;.txt</a><td>2<td>{time}"
            ),
            format!("<tr><td><a href=\"./a:b\">a:b</a><td>3<td>{time}"),
        ]
    );
    assert_eq!(html.header("vary"), Some("accept"));
    assert_eq!(html.header("cache-control"), Some("no-cache"));
    let json = client
        .get("/z/")
        .header("accept", "application/json")
        .send();
    let expected =
        format!("[{{\"name\":\"x\",\"type\":\"file\",\"size\":1,\"modified\":\"{time}\"}}]");
    assert_eq!(json.text(), expected);
    assert_eq!(client.get("/z").send().header("location"), Some("/z/"));
    assert_eq!(client.get("/nothing/").send().status(), 404);
    let limited = Client::new(Application::new(Files::new(tree).listing_limit(1)));
    let text = limited
        .get("/")
        .header("accept", "text/html")
        .send()
        .text()
        .into_owned();
    assert!(text.contains("<p>There are more entries.</p>"));
    // The first was a hidden one.
    assert_eq!(text.matches("<tr>").count(), 0);
}

#[test]
fn a_time_in_the_future_is_replaced_by_now() {
    let tree = MemoryTree::new()
        .file("a.txt", "x")
        .unwrap()
        .modified(time(900_000_000));
    let client = client(Files::new(tree).clock(|| time(784_111_777)));
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    assert_eq!(
        client.get("/a.txt").send().header("last-modified"),
        Some(date)
    );
    assert_eq!(parse_http_date(date), Some(time(784_111_777)));
}

/// A tree whose look-ups fail, or wait first.
struct Odd(Mutex<Vec<std::io::Error>>, AtomicUsize);

impl FileTree for Odd {
    fn look_up(&self, path: &TreePath<'_>) -> TreeReply<Option<Entry>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        if path.as_str() == "later" {
            let file = FileEntry::from_bytes("later");
            let found = async move { Ok(Some(Entry::File(file))) };
            return TreeReply::from_future(async move {
                Yield(false).await;
                found.await
            });
        }
        match self.0.lock().unwrap().pop() {
            Some(error) => TreeReply::new(Err(error)),
            None => TreeReply::new(Ok(None)),
        }
    }

    fn describe(&self) -> Description {
        Description::new("Odd")
    }
}

/// Waits once.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        context.waker().wake_by_ref();
        match std::mem::replace(&mut self.0, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

#[test]
fn a_tree_may_wait_and_fail() {
    let errors = vec![
        std::io::Error::other("disk"),
        std::io::ErrorKind::PermissionDenied.into(),
    ];
    let tree = Arc::new(Odd(Mutex::new(errors), AtomicUsize::new(0)));
    let around = Client::new(inner().wrap(Files::new(tree.clone())).wrap(Lint::new()));
    assert_eq!(around.get("/later").send().text(), "later");
    assert_eq!(around.get("/x").send().status(), 403);
    let failed = around.get("/x").send();
    assert_eq!(shown(&failed), (500, "Internal Server Error".to_owned()));
    assert_eq!(around.get("/x").send().text(), "inner /x");
    assert_eq!(client(Files::new(tree)).get("/x").send().status(), 404);
}

#[test]
fn says_what_it_serves_and_keeps_the_laws() {
    let files = Files::new(tree())
        .precompressed([Precompressed::Gzip])
        .listing();
    let described = inner().wrap(files.clone()).describe().to_string();
    assert_eq!(
        described.lines().next(),
        Some(
            "Files (tree: MemoryTree (files: 14), index: [index.html], hidden: 404, precompressed: [gzip], listing: 1000)"
        )
    );
    enfilade_testing::laws::Check::new(files).run();
}
