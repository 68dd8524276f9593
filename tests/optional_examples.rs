//! The examples of optional features, run as programs, respond as documented.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "clippy does not count helpers of tests as tests"
)]

mod support {
    pub(crate) mod example;
    pub(crate) mod process;
    #[expect(dead_code, reason = "other tests use the rest of it")]
    pub(crate) mod wire;
}

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use self::support::example::{ask, start, stop};
use self::support::process::Process;
use self::support::wire::{PATIENCE, Wire, WireResponse};

#[test]
fn tower() {
    let process = start("tower");
    let mut wire = Wire::connect(process.address);
    for (line, status, text) in [
        ("GET /", "200 OK", "The street\n"),
        ("GET /house", "200 OK", "The hall, at /house\n"),
        ("GET /house/library/shelves/3", "200 OK", "Shelf 3\n"),
        ("GET /house/cellar?x", "404 Not Found", "No such room\n"),
    ] {
        let response = ask(&mut wire, line, "");
        assert_eq!(
            (response.status(), response.text()),
            (status, text),
            "{line}"
        );
        let house = line.contains("/house").then(|| "enfilade".to_owned());
        assert_eq!(response.header("x-house"), house, "{line}");
    }
    process.signal("INT");
    let mut process = process;
    drop(wire);
    assert!(process.end().0.success());
}

/// Sends a request with a body, and returns the response.
fn send(wire: &mut Wire, line: &str, headers: &str, body: &str) -> WireResponse {
    let length = body.len();
    let head = format!("{line} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{headers}\r\n");
    wire.send(head + body);
    wire.response()
}

#[test]
fn api() {
    let process = start("api");
    let mut wire = Wire::connect(process.address);
    let json = "Content-Type: application/json\r\n";
    let room = r#"{"id":1,"name":"salon","seats":12}"#;
    for (line, headers, body, status, text) in [
        (
            "POST /rooms",
            json,
            r#"{"name":"salon","seats":12}"#,
            "201 Created",
            room,
        ),
        (
            "POST /rooms",
            json,
            r#"{"name":"salon","seats":1}"#,
            "409 Conflict",
            r#"{"detail":"the name is taken","status":409,"title":"Conflict","type":"https://example.com/problems/name-taken","name":"salon"}"#,
        ),
        (
            "POST /rooms",
            json,
            r#"{"name":"hall","seats":"many"}"#,
            "422 Unprocessable Entity",
            r#"{"detail":"seats: invalid type: string \"many\", expected u32 at line 1 column 29","status":422,"title":"Unprocessable Entity","type":"about:blank","field":"seats"}"#,
        ),
        (
            "POST /rooms",
            "",
            "{}",
            "415 Unsupported Media Type",
            r#"{"detail":"the content type must be application/json","status":415,"title":"Unsupported Media Type","type":"about:blank"}"#,
        ),
        (
            "GET /rooms?min_seats=12",
            "",
            "",
            "200 OK",
            &format!("[{room}]"),
        ),
        ("GET /rooms?min_seats=13", "", "", "200 OK", "[]"),
        (
            "PATCH /rooms/1",
            json,
            r#"{"seats":7}"#,
            "200 OK",
            r#"{"id":1,"name":"salon","seats":7}"#,
        ),
        ("DELETE /rooms/1", "", "", "204 No Content", ""),
        (
            "GET /rooms/1",
            "",
            "",
            "404 Not Found",
            r#"{"detail":"there is no room 1","status":404,"title":"Not Found","type":"about:blank"}"#,
        ),
    ] {
        let response = send(&mut wire, line, headers, body);
        assert_eq!(
            (response.status(), response.text()),
            (status, text),
            "{line} {body}"
        );
    }
    drop(wire);
    stop(process);
}

#[test]
fn forms() {
    let process = start("forms");
    let mut wire = Wire::connect(process.address);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    assert!(
        send(&mut wire, "GET /", "", "")
            .text()
            .contains("<form method=post action=/login>")
    );
    let login = send(&mut wire, "POST /login", form, "name=Ada+%3CL%3E");
    assert_eq!(login.status(), "303 See Other");
    let cookie = login.header("set-cookie").unwrap();
    assert_eq!(
        cookie,
        "name=Ada%20<L>; Path=/; Secure; HttpOnly; SameSite=Lax"
    );
    let cookie = "Cookie: name=Ada%20<L>\r\n";
    assert!(
        send(&mut wire, "GET /", cookie, "")
            .text()
            .contains("<p>Hello, Ada &lt;L&gt;.</p>")
    );
    let upload = "Content-Type: multipart/form-data; boundary=edge\r\n";
    // Each run has a name of its own, as the example keeps what it gets.
    let name = format!("door-{}.txt", std::process::id());
    let body = format!(
        "--edge\r\ncontent-disposition: form-data; name=\"file\"; filename=\"../{name}\"\r\n\r\nopen\r\n--edge--\r\n"
    );
    assert_eq!(
        send(&mut wire, "POST /files", upload, &body).status(),
        "303 See Other"
    );
    let again = send(&mut wire, "POST /files", upload, &body);
    assert_eq!(
        (again.status(), again.text()),
        ("409 Conflict", &*format!("{name} is there already"))
    );
    assert!(
        send(&mut wire, "GET /", cookie, "")
            .text()
            .contains(&format!("<li>{name}</li>"))
    );
    let kept = std::env::temp_dir().join("enfilade-uploads").join(name);
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "open");
    std::fs::remove_file(kept).unwrap();
    let report = send(&mut wire, "GET /report", "", "");
    assert_eq!(
        report.header("content-disposition").unwrap(),
        "attachment; filename=\"report.csv\""
    );
    drop(wire);
    stop(process);
}

#[test]
fn login() {
    let process = start("login");
    let mut wire = Wire::connect(process.address);
    let mut cookie = String::new();
    // A response, with the cookie that a browser has by then.
    let mut ask = |line: &str, body: &str| {
        let form = "Content-Type: application/x-www-form-urlencoded\r\nAccept: text/html\r\n";
        let response = send(&mut wire, line, &format!("{form}{cookie}"), body);
        if let Some(set) = response.header("set-cookie") {
            cookie = format!("Cookie: {}\r\n", set.split(';').next().unwrap());
        }
        response
    };
    let token_of = |page: &WireResponse| {
        let text = page.text().to_owned();
        let token = text.split("csrf_token\" value=\"").nth(1).unwrap();
        token.split('"').next().unwrap().to_owned()
    };
    let location = |response: &WireResponse| response.header("location").unwrap();

    let refused = ask("GET /members", "");
    assert_eq!(location(&refused), "/login?next=%2Fmembers");
    let token = token_of(&ask("GET /signup", ""));
    assert_eq!(
        ask("POST /signup", "name=ada&password=engine").status(),
        "403 Forbidden"
    );
    let joined = ask(
        "POST /signup",
        &format!("csrf_token={token}&name=ada&password=engine"),
    );
    assert_eq!(location(&joined), "/members");
    let page = ask("GET /members", "");
    assert!(
        page.text().contains("<p class=success>Welcome, ada.</p>"),
        "{}",
        page.text()
    );
    assert!(!ask("GET /members", "").text().contains("Welcome"));
    // The token from before the login is worth nothing.
    assert_eq!(
        ask("POST /logout", &format!("csrf_token={token}")).status(),
        "403 Forbidden"
    );
    let token = token_of(&page);
    let left = ask("POST /logout", &format!("csrf_token={token}"));
    assert_eq!(location(&left), "/");
    assert!(ask("GET /", "").text().contains("Goodbye."));
    assert_eq!(location(&ask("GET /members", "")), "/login?next=%2Fmembers");

    let token = token_of(&ask("GET /login?next=/members%3Fa%22b", ""));
    for (name, password) in [("ada", "wrong"), ("eve", "engine")] {
        let body = format!("csrf_token={token}&name={name}&password={password}");
        let wrong = ask("POST /login", &body);
        assert_eq!(wrong.status(), "422 Unprocessable Entity");
        assert!(wrong.text().contains("Wrong name or password."));
    }
    let body = format!("csrf_token={token}&name=ada&password=engine&next=//evil.example/");
    assert_eq!(location(&ask("POST /login", &body)), "/.//evil.example/");
    drop(wire);
    stop(process);
}

/// The body of a form with a name, a text and a picture.
fn guest(name: &str, text: &str, picture: &str) -> String {
    let fields = [("name", name), ("text", text)].map(|(field, value)| {
        format!("--edge\r\ncontent-disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n")
    });
    let file = "content-disposition: form-data; name=\"picture\"; filename=\"../../x.svg\"";
    format!(
        "{}--edge\r\n{file}\r\n\r\n{picture}\r\n--edge--\r\n",
        fields.concat()
    )
}

#[test]
fn site() {
    let process = start("site");
    let pictures = format!("enfilade-site-{}", process.child.id());
    let pictures = std::env::temp_dir().join(pictures);
    let mut wire = Wire::connect(process.address);
    for (target, status, media_type, part) in [
        (
            "/",
            "200 OK",
            "text/html; charset=utf-8",
            "aria-current=\"page\">The house</a>",
        ),
        ("/rooms", "200 OK", "text/html; charset=utf-8", "No windows"),
        ("/style.css", "200 OK", "text/css; charset=utf-8", "--paper"),
        (
            "/robots.txt",
            "200 OK",
            "text/plain; charset=utf-8",
            "Disallow",
        ),
        ("/cellar/<", "400 Bad Request", "", ""),
        (
            "/cellar/%3C?%3C",
            "404 Not Found",
            "text/html; charset=utf-8",
            "Behind <code>&#x2f;cellar&#x2f;%3C</code> there",
        ),
    ] {
        let response = ask(&mut wire, &format!("GET {target}"), "Accept: text/html\r\n");
        assert_eq!(response.status(), status, "{target}");
        if media_type.is_empty() {
            wire = Wire::connect(process.address);
            continue;
        }
        assert_eq!(response.header("content-type").unwrap(), media_type);
        assert!(response.text().contains(part), "{}", response.text());
        assert!(response.header("content-security-policy").is_some());
    }
    let page = ask(&mut wire, "GET /style.css", "Accept-Encoding: gzip\r\n");
    assert_eq!(page.header("content-encoding").unwrap(), "gzip");
    let missing = ask(&mut wire, "GET /cellar", "Accept: application/json\r\n");
    assert_eq!(
        missing.text(),
        r#"{"status":404,"title":"Not Found","type":"about:blank"}"#
    );

    let form = "Content-Type: multipart/form-data; boundary=edge\r\nAccept: text/html\r\n";
    let png = "\u{89}PNG";
    let mistaken = send(&mut wire, "POST /guests", form, &guest(" ", "<i>", png));
    assert_eq!(mistaken.status(), "422 Unprocessable Entity");
    for part in [
        "Please write your name.",
        "This is not a PNG or a JPEG.",
        "\n&lt;i&gt;</textarea>",
        "The book is empty.",
    ] {
        assert!(mistaken.text().contains(part), "{}", mistaken.text());
    }
    let long = guest("Ada", "x", &"x".repeat((2 << 20) + 1));
    let long = send(&mut wire, "POST /guests", form, &long);
    assert_eq!(long.status(), "413 Payload Too Large");
    assert!(long.text().contains("Villa Enfilade"), "{}", long.text());

    // 0xff 0xd8 0xff, the beginning of a JPEG, is not UTF-8.
    let mut wire = Wire::connect(process.address);
    let body = guest("<b>", "</p>", "JPEG").into_bytes();
    let at = body.windows(4).position(|bytes| bytes == b"JPEG").unwrap();
    let body = [&body[..at], b"\xff\xd8\xff", &body[at + 4..]].concat();
    let length = body.len();
    wire.send(format!(
        "POST /guests HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{form}\r\n"
    ));
    wire.send(&body);
    let signed = wire.response();
    assert_eq!((signed.status(), signed.text()), ("303 See Other", ""));
    assert_eq!(signed.header("location").unwrap(), "/guests?signed");
    let book = ask(&mut wire, "GET /guests?signed", "");
    for part in [
        "<h2>&lt;b&gt;</h2>",
        "<p>&lt;&#x2f;p&gt;</p>",
        "src=\"/pictures/0.jpg\"",
        "role=\"status\"",
    ] {
        assert!(book.text().contains(part), "{}", book.text());
    }
    let picture = ask(&mut wire, "GET /pictures/0.jpg", "");
    assert_eq!(picture.header("content-type").unwrap(), "image/jpeg");
    assert_eq!(picture.body, b"\xff\xd8\xff");
    assert!(pictures.join("0.jpg").exists());

    // The book has a hundred pages.
    for number in 1..100 {
        let entry = guest(&number.to_string(), "x", "");
        let entry = send(
            &mut wire,
            "POST /guests",
            form,
            &entry.replace("../../x.svg", ""),
        );
        assert_eq!(entry.status(), "303 See Other", "{number}");
    }
    let full = send(
        &mut wire,
        "POST /guests",
        form,
        &guest("Ada", "x", "").replace("../../x.svg", ""),
    );
    assert_eq!(full.status(), "409 Conflict");
    assert!(full.text().contains("<p>The guest book is full.</p>"));
    drop(wire);
    let lines = stop(process);
    assert!(
        lines
            .iter()
            .any(|line| line.contains("\"GET /cellar/%3C?%3C HTTP/1.1\" 404 "))
    );
    assert!(!pictures.exists());
}

/// A record of FastCGI for request 1.
fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = [1, kind, 0, 1, length[0], length[1], 0, 0];
    [&head[..], content].concat()
}

/// The response of a FastCGI responder to a GET, as a web server gets it.
fn ask_as_web_server(address: SocketAddr, target: &str) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = [
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", target),
        ("SCRIPT_NAME", path),
        ("QUERY_STRING", query),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("HTTP_HOST", "h"),
    ];
    let pairs = pairs.map(|(name, value)| {
        let lengths = [name.len(), value.len()].map(|length| u8::try_from(length).unwrap());
        [&lengths[..], name.as_bytes(), value.as_bytes()].concat()
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (begin, params, stdin) = (1, 4, 5);
    let request = [
        record(begin, &[0, 1, 0, 0, 0, 0, 0, 0]),
        record(params, &pairs.concat()),
        record(params, b""),
        record(stdin, b""),
    ];
    stream.write_all(&request.concat()).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let (mut output, mut rest) = (Vec::new(), &all[..]);
    while let [_, kind, _, _, high, low, padding, _, content @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind == 6 {
            output.extend_from_slice(&content[..length]);
        }
        rest = &content[length + usize::from(*padding)..];
    }
    String::from_utf8(output).unwrap()
}

/// Sends a request to the example `fastcgi` at this address.
fn ask_for_guests(address: SocketAddr) {
    let response = ask_as_web_server(address, "/guests/Ada?x");
    assert!(
        response.ends_with("\r\n\r\nGood evening, Ada\n"),
        "{response}"
    );
    let response = ask_as_web_server(address, "/cellar");
    assert!(response.starts_with("Status: 404 "), "{response}");
}

#[test]
fn fastcgi() {
    let process = start("fastcgi");
    ask_for_guests(process.address);
    let lines = stop(process);
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].contains("\"GET /guests/Ada?x HTTP/1.1\" 200 18"),
        "{lines:?}"
    );
}

#[test]
fn fastcgi_on_the_inherited_socket() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut child = std::process::Command::new(Process::path("fastcgi"))
        .stdin(std::os::fd::OwnedFd::from(listener))
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let asked = std::panic::catch_unwind(|| ask_for_guests(address));
    child.kill().unwrap();
    child.wait().unwrap();
    asked.unwrap();
}

#[test]
fn tls() {
    use std::sync::Arc;

    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("enfilade-example-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let chain = file("cert.pem", own.cert.pem());
    let key = file("key.pem", own.signing_key.serialize_pem());
    let process = Process::example("tls", &[&chain, &key, "127.0.0.1:0"]);
    let mut roots = RootCertStore::empty();
    roots.add(own.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = std::net::TcpStream::connect(process.address).unwrap();
    let mut stream = StreamOwned::new(client, stream);
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(
        response.ends_with("\r\n\r\nHello over HTTP/1.1 and TLSv1.3\n"),
        "{response}"
    );
    std::fs::remove_dir_all(folder).unwrap();
    drop(stop(process));
}
