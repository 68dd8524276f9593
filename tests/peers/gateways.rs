//! Web servers in front: an application responds in the same way behind each of them as without one.

#[path = "../gateways/client.rs"]
mod client;
#[path = "../gateways/compare.rs"]
pub(crate) mod compare;
#[path = "../gateways/suite.rs"]
mod suite;

use std::borrow::Cow;

use enfilade::cgi::Variables;
use enfilade::{Application, Listener, Request, fastcgi, scgi};

use self::client::{Asked, Sent};
use self::compare::{Difference, Running, app, compare};
use crate::support::process::Process;
use crate::support::{every_response, wire};
use crate::web_servers::{folder, lighttpd, listen, nginx};

const DIFFERENCES: &[Difference] = &[
    Difference {
        gateways: &["cgi"],
        reason: "lighttpd adds Accept-Ranges to responses that it has whole.",
        level: |_, _, found| found.headers.retain(|(name, _)| name != "accept-ranges"),
    },
    Difference {
        gateways: &["cgi"],
        reason: "lighttpd sends the length of a stream that has ended before the response begins.",
        level: |_, expected, found| {
            let length = (
                String::from("content-length"),
                found.body.len().to_string().into_bytes(),
            );
            if !expected.headers.iter().any(|(name, _)| *name == length.0) {
                found.headers.retain(|header| *header != length);
            }
        },
    },
    Difference {
        gateways: &["cgi"],
        reason: "lighttpd drops headers without a value.",
        level: |_, expected, _| expected.headers.retain(|(_, value)| !value.is_empty()),
    },
    Difference {
        gateways: &["cgi"],
        reason: "lighttpd requires a length for a POST, as RFC 9110, section 15.5.12, allows.",
        level: |asked, expected, found| {
            if asked.method == "POST" && matches!(asked.body, Sent::None) && found.status == 411 {
                *expected = found.clone();
            }
        },
    },
    Difference {
        gateways: &["fastcgi", "kept", "scgi"],
        reason: "nginx drops the unsent part of a response that is aborted, even the head.",
        level: |asked, expected, found| {
            if asked.target.starts_with("/broken") && !found.is_whole {
                *expected = found.clone();
            }
        },
    },
    Difference {
        gateways: &["cgi"],
        reason: "A response without a length ends with the program.",
        level: |asked, expected, _| expected.is_whole |= asked.target == "/broken",
    },
];

fn fastcgi_server(server: fastcgi::Server) -> Running {
    Running::start(|stopped| server.serve_until(app(), async { drop(stopped.await) }))
}

#[test]
fn fastcgi_behind_nginx() {
    let server = fastcgi::Server::bind("127.0.0.1:0").unwrap().at_root();
    let backend = server.local_addr().unwrap();
    let _running = fastcgi_server(server);
    let (listener, address) = listen();
    let _nginx = nginx(
        folder("fastcgi"),
        listener,
        &format!(
            "server {{ listen {address}; location / {{ include /etc/nginx/fastcgi_params; fastcgi_pass {backend}; }} }}"
        ),
    );
    compare("fastcgi", address, "", DIFFERENCES);
}

#[test]
fn fastcgi_on_kept_unix_connections_without_buffers_behind_nginx() {
    let folder = folder("kept");
    let socket = folder.join("socket");
    let _running = fastcgi_server(fastcgi::Server::new(
        Listener::unix(&socket, 0o666).unwrap(),
    ));
    let (listener, address) = listen();
    let _nginx = nginx(
        folder,
        listener,
        &format!(
            "upstream app {{ server unix:{}; keepalive 2; }}\n\
         server {{ listen {address}; location / {{ include /etc/nginx/fastcgi_params; fastcgi_pass app;\n\
         fastcgi_param SCRIPT_NAME ''; fastcgi_param PATH_INFO $uri; fastcgi_keep_conn on;\n\
         fastcgi_buffering off; fastcgi_request_buffering off; }} }}",
            socket.display()
        ),
    );
    compare("kept", address, "", DIFFERENCES);
}

#[test]
fn scgi_behind_nginx() {
    let server = scgi::Server::bind("127.0.0.1:0").unwrap();
    let backend = server.local_addr().unwrap();
    let _running =
        Running::start(|stopped| server.serve_until(app(), async { drop(stopped.await) }));
    let (listener, address) = listen();
    let _nginx = nginx(
        folder("scgi"),
        listener,
        &format!(
            "server {{ listen {address}; location / {{ include /etc/nginx/scgi_params; scgi_pass {backend}; }} }}"
        ),
    );
    compare("scgi", address, "", DIFFERENCES);
}

/// Returns the place of the application as it sees it, with the facts of the connection.
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
fn the_script_name_is_the_mount_and_a_rewritten_path_is_the_path() {
    let fastcgi = fastcgi::Server::bind("127.0.0.1:0").unwrap();
    let scgi = scgi::Server::bind("127.0.0.1:0").unwrap();
    let (first, second) = (fastcgi.local_addr().unwrap(), scgi.local_addr().unwrap());
    let _fastcgi =
        Running::start(|stopped| fastcgi.serve_until(place(), async { drop(stopped.await) }));
    let _scgi = Running::start(|stopped| scgi.serve_until(place(), async { drop(stopped.await) }));
    let (listener, address) = listen();
    let locations = [("fastcgi", first), ("scgi", second)].map(|(kind, backend)| {
        format!(
            "location /{kind}/ {{ include /etc/nginx/{kind}_params; {kind}_param SCRIPT_NAME /{kind};\n\
             set $rest $uri; if ($uri ~ ^/{kind}(/.*)$) {{ set $rest $1; }}\n\
             {kind}_param PATH_INFO $rest; {kind}_param REMOTE_USER ada; {kind}_param HOUSE 7; {kind}_pass {backend}; }}\n\
             location /pretty/{kind}/ {{ rewrite ^/pretty/(.*)$ /$1?page=1 last; }}\n"
        )
    });
    let block = format!("server {{ listen {address}; {} }}", locations.concat());
    let _nginx = nginx(folder("place"), listener, &block);
    for kind in ["fastcgi", "scgi"] {
        for (target, expected) in [
            (
                format!("/{kind}/a%2Fb?q"),
                format!("/{kind} | /a%2Fb | /{kind}/a%2Fb?q"),
            ),
            (
                format!("/{kind}//a/../b"),
                format!("/{kind} | //b | /{kind}//a/../b"),
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
    let (listener, address) = listen();
    let modules = "server.modules = (\"mod_cgi\")\ncgi.assign = (\".cgi\" => \"\")";
    let _lighttpd = lighttpd(folder, listener, modules);
    compare("cgi", address, "/app.cgi", DIFFERENCES);
}

#[test]
fn every_difference_has_a_reason() {
    for difference in DIFFERENCES {
        assert!(difference.reason.ends_with('.'));
        assert!(!difference.gateways.is_empty());
    }
}
