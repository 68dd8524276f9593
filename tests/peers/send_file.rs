//! `SendFile`: web servers send the files that a response names, with the same bytes, and clients reach no others.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use enfilade::middleware::{FileSource, SendFile};
use enfilade::{Application, Body, HttpError, Middleware, Outcome, Request, Server, fastcgi, scgi};
use http::HeaderName;

use crate::gateways::compare::Running as Gateway;
use crate::support::folder::Folder;
use crate::support::process::Process;
use crate::support::running::Running;
use crate::support::wire::{Wire, WireResponse};
use crate::web_servers::{folder, lighttpd, listen, nginx};

/// The outcomes of bodies, with the bytes that went through the gateway.
type Ends = Arc<Mutex<Vec<(u64, Outcome)>>>;

/// `/a b` and `/big` are files below `tree`, `/outside` is one beside it.
fn files(name: &str) -> Folder {
    let folder = Folder::new(name);
    std::fs::create_dir(folder.0.join("tree")).unwrap();
    let big: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
    for (name, content) in [
        ("tree/a b", &b"a file"[..]),
        ("tree/big", &big),
        ("outside", b"sent as bytes"),
    ] {
        std::fs::write(folder.0.join(name), content).unwrap();
    }
    folder
}

/// Sends the file that the path names, unchecked, for the tests.
fn app(root: &Path, send_file: SendFile) -> (Application, Ends) {
    let (root, ends) = (root.to_owned(), Ends::default());
    let seen = ends.clone();
    let app = Application::new(move |mut request: Request| {
        // lighttpd sends the mount prefix, and nginx what its configuration sets.
        if request.script_name().is_empty() {
            request.shift_segment();
        }
        let (root, seen) = (root.clone(), seen.clone());
        async move {
            let name = request.path_info().into_owned();
            let file = FileSource::open(root.join(name.trim_start_matches('/'))).await?;
            let body = Body::from(file).on_end(move |end| {
                seen.lock().unwrap().push((end.bytes(), end.outcome()));
            });
            let headers = [
                ("content-type", "text/x-test"),
                ("cache-control", "no-cache"),
                ("x-own", "1"),
            ];
            Ok::<_, HttpError>((headers, body))
        }
    });
    (send_file.wrap(app), ends)
}

fn get(address: SocketAddr, target: &str, header: &str) -> WireResponse {
    let mut wire = Wire::connect(address);
    wire.send(format!(
        "GET {target} HTTP/1.1\r\nhost: h\r\n{header}connection: close\r\n\r\n"
    ));
    wire.response()
}

/// Serves on a thread until it is dropped.
fn serve<F: Future<Output = std::io::Result<()>>>(
    app: Application,
    serve: impl FnOnce(Application, Stop) -> F + Send + 'static,
) -> Gateway {
    Gateway::start(move |stopped| serve(app, Box::pin(async { drop(stopped.await) })))
}

type Stop = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// The web server sends files below the tree, and the gateway sends those beside it.
///
/// `own` is the effect of a header `x-own` with a file of the web server.
fn check(address: SocketAddr, prefix: &str, root: &Path, ends: &Ends, own: Option<&str>) {
    ends.lock().unwrap().clear();
    for (target, file, through) in [
        ("/tree/a%20b", "tree/a b", 0),
        ("/tree/big", "tree/big", 0),
        ("/outside", "outside", 13),
    ] {
        let response = get(address, &format!("{prefix}{target}"), "");
        let expected = std::fs::read(root.join(file)).unwrap();
        assert_eq!(
            response.status(),
            "200 OK",
            "{prefix}{target}: {}",
            String::from_utf8_lossy(&response.body)
        );
        assert_eq!(
            response.header("content-type").as_deref(),
            Some("text/x-test")
        );
        assert_eq!(
            response.header("cache-control").as_deref(),
            Some("no-cache")
        );
        let own = own
            .filter(|_| through == 0)
            .or((through > 0).then_some("1"));
        assert_eq!(response.header("x-own").as_deref(), own, "{target}");
        assert_eq!(response.header("x-accel-redirect"), None);
        assert_eq!(response.header("x-sendfile"), None);
        assert!(response.body == expected, "{target}");
        let end = ends.lock().unwrap().pop().unwrap();
        assert_eq!(end, (through, Outcome::Complete), "{target}");
    }
    // It serves ranges, which the application does not know.
    let part = get(
        address,
        &format!("{prefix}/tree/big"),
        "range: bytes=5-9\r\n",
    );
    assert_eq!(part.status(), "206 Partial Content");
    assert_eq!(part.body, [5, 6, 7, 8, 9]);
}

#[test]
fn nginx_sends_the_files_of_fastcgi_scgi_and_http() {
    let tree = files("nginx-files");
    let send_file = SendFile::new(HeaderName::from_static("x-accel-redirect"));
    let send_file = send_file
        .directory(tree.0.join("tree"), "/protected")
        .unwrap();
    let (app, ends) = app(&tree.0, send_file);
    let fastcgi = fastcgi::Server::bind("127.0.0.1:0").unwrap();
    let scgi = scgi::Server::bind("127.0.0.1:0").unwrap();
    let http = Running::serve(Server::bind("127.0.0.1:0").unwrap(), app.clone());
    let (first, second) = (fastcgi.local_addr().unwrap(), scgi.local_addr().unwrap());
    let _fastcgi = serve(app.clone(), |app, stop| fastcgi.serve_until(app, stop));
    let _scgi = serve(app, |app, stop| scgi.serve_until(app, stop));
    let (listener, address) = listen();
    let gateways = [("fastcgi", first), ("scgi", second)].map(|(kind, backend)| {
        format!(
            "location /{kind}/ {{ include /etc/nginx/{kind}_params; {kind}_param SCRIPT_NAME '';\n\
             {kind}_param PATH_INFO $uri; {kind}_pass {backend}; }}\n"
        )
    });
    let block = format!(
        "server {{ listen {address}; {} location /http/ {{ proxy_pass http://{}; }}\n\
         location /protected/ {{ internal; alias {}/tree/; }} }}",
        gateways.concat(),
        http.address(),
        tree.0.display()
    );
    let _nginx = nginx(folder("send-file-nginx"), listener, &block);
    for prefix in ["/fastcgi", "/scgi", "/http"] {
        check(address, prefix, &tree.0, &ends, None);
    }
    assert_eq!(get(address, "/protected/big", "").status(), "404 Not Found");
}

#[test]
fn lighttpd_sends_the_files_of_fastcgi_and_scgi() {
    let tree = files("lighttpd-files");
    let root = tree.0.canonicalize().unwrap();
    let send_file = SendFile::new(HeaderName::from_static("x-sendfile"));
    let prefix = root.join("tree").display().to_string();
    let send_file = send_file.directory(root.join("tree"), &prefix).unwrap();
    let (app, ends) = app(&root, send_file);
    let fastcgi = fastcgi::Server::bind("127.0.0.1:0").unwrap();
    let scgi = scgi::Server::bind("127.0.0.1:0").unwrap();
    let backends = [
        ("fastcgi", fastcgi.local_addr().unwrap()),
        ("scgi", scgi.local_addr().unwrap()),
    ];
    let _fastcgi = serve(app.clone(), |app, stop| fastcgi.serve_until(app, stop));
    let _scgi = serve(app, |app, stop| scgi.serve_until(app, stop));
    let servers = backends.map(|(kind, address)| {
        format!(
            "{kind}.server = (\"/{kind}\" => ((\"host\" => \"{}\", \"port\" => {}, \"check-local\" => \"disable\",\n\
             \"x-sendfile\" => \"enable\", \"x-sendfile-docroot\" => (\"{prefix}\"))))\n",
            address.ip(),
            address.port()
        )
    });
    let (listener, address) = listen();
    let modules = "server.modules = (\"mod_fastcgi\", \"mod_scgi\")";
    let more = format!("{modules}\n{}", servers.concat());
    let _lighttpd = lighttpd(folder("send-file-lighttpd"), listener, &more);
    for prefix in ["/fastcgi", "/scgi"] {
        check(address, prefix, &root, &ends, Some("1"));
    }
}

#[test]
fn lighttpd_sends_the_files_of_a_cgi_program() {
    let folder = folder("send-file-cgi");
    std::os::unix::fs::symlink(Process::path("cgi_program"), folder.join("app.cgi")).unwrap();
    std::fs::write(folder.join("file.txt"), "sent by lighttpd").unwrap();
    let (listener, address) = listen();
    let more = "server.modules = (\"mod_cgi\")\ncgi.assign = (\".cgi\" => \"\")\ncgi.x-sendfile = \"enable\"";
    let _lighttpd = lighttpd(folder, listener, more);
    let response = get(address, "/app.cgi/file.txt", "");
    assert_eq!(response.status(), "200 OK");
    assert_eq!(response.header("x-sendfile"), None);
    // The program reports which bytes went through it.
    assert_eq!(
        response.header("x-file").as_deref(),
        Some("left to the web server")
    );
    assert_eq!(response.text(), "sent by lighttpd");
}
