//! The same requests through every gateway: an application answers the same behind each of them.
//!
//! The web servers are real ones, nginx and lighttpd, which `.ci/web-servers` takes from Debian's packages.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests, and their helpers"
)]

mod client;
#[path = "../support/every_answer.rs"]
mod every_answer;
#[expect(dead_code, reason = "web servers start the programs of this test")]
#[path = "../support/process.rs"]
mod process;
mod servers;
mod suite;
#[expect(dead_code, reason = "the patience of all tests is there")]
#[path = "../support/wire.rs"]
mod wire;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use enfilade::cgi::Variables;
use enfilade::tower::{AppService, application, layer};
use enfilade::{Application, Connection, Listener, Request, Scheme, Server, fastcgi, scgi};
use tokio::sync::oneshot;
use tower_http::trace::TraceLayer;

use self::client::{Asked, Seen, Sent};
use self::process::Process;
use self::servers::{folder, free, lighttpd, nginx};
use self::suite::{DIFFERENCES, suite};

/// Something that serves on a thread until it is dropped.
struct Running(
    Option<oneshot::Sender<()>>,
    Option<JoinHandle<std::io::Result<()>>>,
);

impl Running {
    fn start<F>(serve: impl FnOnce(oneshot::Receiver<()>) -> F + Send + 'static) -> Running
    where
        F: Future<Output = std::io::Result<()>>,
    {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            runtime.block_on(serve(stopped))
        });
        Running(Some(stop), Some(thread))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.take());
        let ended = self.1.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

fn app() -> Application {
    every_answer::app()
}

/// What a request is answered with where there is no socket.
fn in_process(asked: &Asked) -> Seen {
    let client = enfilade_testing::Client::new(app());
    let mut request = client
        .request(asked.method.parse().unwrap(), asked.target)
        .peer("127.0.0.1:1".parse().unwrap());
    for (name, value) in asked.headers {
        request = request.header(name, value);
    }
    let answer = match &asked.body {
        Sent::None => request,
        Sent::Measured(body) | Sent::Chunked(body) => request.body(body.clone()),
    }
    .send();
    let headers = answer
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Seen {
        is_whole: answer.body_error().is_none(),
        ..Seen::new(
            answer.status().as_u16(),
            headers.collect(),
            answer.bytes().to_vec(),
        )
    }
}

/// Asks everything at one door.
fn compare(door: &str, address: SocketAddr, prefix: &str) {
    let mut failures = Vec::new();
    for asked in suite() {
        let mut expected = in_process(&asked);
        let mut found = asked.send(address, prefix);
        for difference in DIFFERENCES
            .iter()
            .filter(|difference| difference.doors.contains(&door))
        {
            (difference.level)(&asked, &mut expected, &mut found);
        }
        if found != expected {
            failures.push(format!(
                "{} {}\n  expected {}\n  found    {}",
                asked.method,
                asked.target,
                brief(&expected),
                brief(&found)
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{door}: {}\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn brief(seen: &Seen) -> String {
    let headers: Vec<_> = seen
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
        .collect();
    let body = String::from_utf8_lossy(&seen.body);
    let body: String = body.chars().take(300).collect();
    format!(
        "{} {headers:?} {} bytes, whole: {}, {body:?}",
        seen.status,
        seen.body.len(),
        seen.is_whole
    )
}

#[test]
fn the_built_in_server() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr();
    let _running =
        Running::start(|stopped| server.serve_until(app(), async { drop(stopped.await) }));
    compare("server", address, "");
}

fn axum_router() -> axum::Router {
    let service = AppService::new(app()).connection(|parts| {
        let peer = parts
            .extensions
            .get::<axum::extract::ConnectInfo<SocketAddr>>()?;
        Some(Connection::new(Scheme::Http).with_peer(peer.0))
    });
    axum::Router::new().fallback_service(service)
}

#[test]
fn a_service_under_axum() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _running = Running::start(async move |stopped| {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let service = axum_router().into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service)
            .with_graceful_shutdown(async { drop(stopped.await) })
            .await
    });
    compare("axum", address, "");
}

#[test]
fn an_axum_router_and_a_layer_under_the_built_in_server() {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr();
    let inside = application(axum::Router::new().fallback_service(AppService::new(app())));
    let stack = inside.wrap(layer(TraceLayer::new_for_http()));
    let _running =
        Running::start(|stopped| server.serve_until(stack, async { drop(stopped.await) }));
    compare("axum inside", address, "");
}

fn fastcgi_server(server: fastcgi::Server) -> Running {
    Running::start(|stopped| server.serve_until(app(), async { drop(stopped.await) }))
}

#[test]
fn fastcgi_behind_nginx() {
    let server = fastcgi::Server::bind("127.0.0.1:0").unwrap().at_root();
    let backend = server.local_addr().unwrap();
    let _running = fastcgi_server(server);
    let address = free();
    let _nginx = nginx(
        folder("fastcgi"),
        address,
        &format!(
            "server {{ listen {address}; location / {{ include /etc/nginx/fastcgi_params; fastcgi_pass {backend}; }} }}"
        ),
    );
    compare("fastcgi", address, "");
}

#[test]
fn fastcgi_on_kept_unix_connections_without_buffers_behind_nginx() {
    let folder = folder("kept");
    let socket = folder.join("socket");
    let _running = fastcgi_server(fastcgi::Server::new(
        Listener::unix(&socket, 0o666).unwrap(),
    ));
    let address = free();
    let _nginx = nginx(
        folder,
        address,
        &format!(
            "upstream app {{ server unix:{}; keepalive 2; }}\n\
         server {{ listen {address}; location / {{ include /etc/nginx/fastcgi_params; fastcgi_pass app;\n\
         fastcgi_param SCRIPT_NAME ''; fastcgi_param PATH_INFO $uri; fastcgi_keep_conn on;\n\
         fastcgi_buffering off; fastcgi_request_buffering off; }} }}",
            socket.display()
        ),
    );
    compare("kept", address, "");
}

#[test]
fn scgi_behind_nginx() {
    let server = scgi::Server::bind("127.0.0.1:0").unwrap();
    let backend = server.local_addr().unwrap();
    let _running =
        Running::start(|stopped| server.serve_until(app(), async { drop(stopped.await) }));
    let address = free();
    let _nginx = nginx(
        folder("scgi"),
        address,
        &format!(
            "server {{ listen {address}; location / {{ include /etc/nginx/scgi_params; scgi_pass {backend}; }} }}"
        ),
    );
    compare("scgi", address, "");
}

/// What an application says of where it is, with the connection's facts.
fn place() -> Application {
    Application::new(|request: Request| {
        let user = request.environ().get("REMOTE_USER").map(Cow::into_owned);
        let own = request
            .extensions()
            .get::<Variables>()
            .and_then(|all| Some(all.get("HOUSE")?.into_owned()));
        format!(
            "{} | {} | {} | {user:?} | {own:?} | {}",
            request.script_name(),
            request.path(),
            request.uri(),
            request.url_for_path("/x")
        )
    })
}

#[test]
fn a_script_name_is_what_is_mounted_and_a_rewritten_path_is_the_path() {
    let fastcgi = fastcgi::Server::bind("127.0.0.1:0").unwrap();
    let scgi = scgi::Server::bind("127.0.0.1:0").unwrap();
    let (first, second) = (fastcgi.local_addr().unwrap(), scgi.local_addr().unwrap());
    let _fastcgi =
        Running::start(|stopped| fastcgi.serve_until(place(), async { drop(stopped.await) }));
    let _scgi = Running::start(|stopped| scgi.serve_until(place(), async { drop(stopped.await) }));
    let address = free();
    let locations = [("fastcgi", first), ("scgi", second)].map(|(kind, backend)| {
        format!(
            "location /{kind}/ {{ include /etc/nginx/{kind}_params; {kind}_param SCRIPT_NAME /{kind};\n\
             set $rest $uri; if ($uri ~ ^/{kind}(/.*)$) {{ set $rest $1; }}\n\
             {kind}_param PATH_INFO $rest; {kind}_param REMOTE_USER ada; {kind}_param HOUSE 7; {kind}_pass {backend}; }}\n\
             location /pretty/{kind}/ {{ rewrite ^/pretty/(.*)$ /$1?page=1 last; }}\n"
        )
    });
    let block = format!("server {{ listen {address}; {} }}", locations.concat());
    let _nginx = nginx(folder("place"), address, &block);
    for kind in ["fastcgi", "scgi"] {
        for (target, expected) in [
            (
                format!("/{kind}/a%2Fb?q"),
                format!("/{kind} | /a%2Fb | /{kind}/a%2Fb?q"),
            ),
            (
                format!("/{kind}//a/../b"),
                format!("/{kind} | //a/../b | /{kind}//a/../b"),
            ),
            (format!("/{kind}/"), format!("/{kind} | / | /{kind}/")),
            (
                format!("/pretty/{kind}/ab"),
                format!("/{kind} | /ab | /{kind}/ab?page=1"),
            ),
        ] {
            let asked = Asked {
                method: "GET",
                target: target.leak(),
                headers: &[],
                body: Sent::None,
            };
            let found = String::from_utf8(asked.send(address, "").body).unwrap();
            assert_eq!(
                found,
                format!("{expected} | Some(\"ada\") | Some(\"7\") | /{kind}/x")
            );
        }
    }
}

#[test]
fn a_cgi_program_behind_lighttpd() {
    let folder = folder("cgi");
    std::os::unix::fs::symlink(Process::path("cgi_program"), folder.join("app.cgi")).unwrap();
    let address = free();
    let modules = "server.modules = (\"mod_cgi\")\ncgi.assign = (\".cgi\" => \"\")";
    let _lighttpd = lighttpd(folder, address, modules);
    compare("cgi", address, "/app.cgi");
}

#[test]
fn every_difference_is_argued() {
    for difference in DIFFERENCES {
        assert!(difference.reason.ends_with('.'));
        assert!(!difference.doors.is_empty());
    }
}
