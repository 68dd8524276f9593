//! nginx and lighttpd, on loopback.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// A web server that is stopped when this is dropped, and its folder.
pub(crate) struct WebServer {
    child: Child,
    folder: PathBuf,
}

impl Drop for WebServer {
    fn drop(&mut self) {
        // With SIGTERM: otherwise nginx would leave its worker behind.
        let kill = format!("kill -s TERM {}", self.child.id());
        let _ = Command::new("sh").args(["-c", &kill]).status();
        let _ = self.child.wait();
        if std::thread::panicking() {
            for file in ["log", "output"] {
                let text = std::fs::read_to_string(self.folder.join(file)).unwrap_or_default();
                eprintln!("{text}");
            }
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The folder into which `tests/peers/install` unpacks a web server.
fn root(program: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/peers/.servers")
        .join(program);
    assert!(
        root.is_dir(),
        "no {program} in {}; `tests/peers/run` fetches it",
        root.display()
    );
    root
}

/// A separate folder for each server.
pub(crate) fn folder(name: &str) -> PathBuf {
    // A path of a Unix socket may have about 100 bytes, so it is not below the folder of the build.
    let folder = std::env::temp_dir().join(format!("enfilade-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A listening socket, for a web server to inherit, and its address.
pub(crate) fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Starts nginx with these servers, which are blocks of its configuration and listen on the address of `listener`.
pub(crate) fn nginx(folder: PathBuf, listener: TcpListener, servers: &str) -> WebServer {
    let temporary: String = ["client_body", "proxy", "fastcgi", "scgi", "uwsgi"]
        .map(|name| format!("{name}_temp_path {}/{name};\n", folder.display()))
        .concat();
    let root = root("nginx");
    let folder_name = folder.display();
    // A single process (`master_process off`) crashes on an inherited socket. The worker must write to the folder, so
    // it runs as our user; nginx ignores the line if that is not root.
    let configuration = format!(
        "daemon off;\nuser root;\nworker_processes 1;\npid {folder_name}/pid;\nerror_log {folder_name}/log;\n\
         events {{}}\nhttp {{\naccess_log off;\nclient_max_body_size 20m;\n{temporary}{}\n}}\n",
        servers.replace("/etc/nginx", &root.join("etc/nginx").display().to_string())
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, configuration).unwrap();
    let log = folder.join("log");
    let arguments = ["-e".as_ref(), log.as_ref(), "-c".as_ref(), file.as_ref()];
    start("nginx", &arguments, folder, listener)
}

/// Starts lighttpd with this configuration and the documents in `folder`.
pub(crate) fn lighttpd(folder: PathBuf, listener: TcpListener, more: &str) -> WebServer {
    let address = listener.local_addr().unwrap();
    let configuration = format!(
        "server.document-root = \"{0}\"\nserver.errorlog = \"{0}/log\"\nserver.upload-dirs = (\"{0}\")\n\
         server.bind = \"{1}\"\nserver.port = {2}\nserver.systemd-socket-activation = \"enable\"\n\
         server.stream-response-body = 1\n{more}\n",
        folder.display(),
        address.ip(),
        address.port()
    );
    let file = folder.join("lighttpd.conf");
    std::fs::write(&file, configuration).unwrap();
    let modules = root("lighttpd").join("usr/lib/lighttpd");
    let (f, m) = ("-f".as_ref(), "-m".as_ref());
    let arguments = ["-D".as_ref(), f, file.as_ref(), m, modules.as_ref()];
    start("lighttpd", &arguments, folder, listener)
}

/// Starts a web server with `listener` as its descriptor 3, which it takes in place of a socket of its own.
///
/// Connections wait there until it runs, and are refused if it ends, so there is no need to check whether it is up.
fn start(program: &str, arguments: &[&Path], folder: PathBuf, listener: TcpListener) -> WebServer {
    let root = root(program);
    let libraries: Vec<String> = std::fs::read_dir(root.join("usr/lib"))
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .filter(|path| path.contains("-linux-gnu"))
        .collect();
    // The names of inherited sockets for nginx and systemd.
    let script = r#"NGINX='3;' LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@" 3<&0 </dev/null"#;
    let output = std::fs::File::create(folder.join("output")).unwrap();
    let child = Command::new("sh")
        .args(["-c", script])
        .arg(root.join("usr/sbin").join(program))
        .args(arguments)
        .env("LD_LIBRARY_PATH", libraries.join(":"))
        .stdin(OwnedFd::from(listener))
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    WebServer { child, folder }
}
