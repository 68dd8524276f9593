//! Real web servers, of Debian's packages, on loopback.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a web server may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A web server that is ended when this is dropped, and the folder that it works in.
pub(crate) struct WebServer {
    child: Child,
    folder: PathBuf,
}

impl Drop for WebServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            eprintln!("{log}");
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Where the packages are unpacked, and the folder of their libraries.
fn packages() -> &'static (PathBuf, String) {
    static PACKAGES: OnceLock<(PathBuf, String)> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("web-servers");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/web-servers");
        let output = Command::new("bash")
            .arg(script)
            .arg(&folder)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let libraries = String::from_utf8(output.stdout).unwrap();
        (folder.join("root"), libraries.trim().to_owned())
    })
}

/// A folder of its own for each server.
pub(crate) fn folder(name: &str) -> PathBuf {
    // A path of a Unix socket may have about 100 bytes, so it is not below the folder of the build.
    let folder = std::env::temp_dir().join(format!("enfilade-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// An address that nobody listens on.
pub(crate) fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// nginx with these servers, which are blocks of its configuration.
pub(crate) fn nginx(folder: PathBuf, ready: SocketAddr, servers: &str) -> WebServer {
    let temporary: String = ["client_body", "proxy", "fastcgi", "scgi", "uwsgi"]
        .map(|name| format!("{name}_temp_path {}/{name};\n", folder.display()))
        .concat();
    let (root, _) = packages();
    let folder_name = folder.display();
    let configuration = format!(
        "daemon off;\nmaster_process off;\npid {folder_name}/pid;\nerror_log {folder_name}/log;\n\
         events {{}}\nhttp {{\naccess_log off;\nclient_max_body_size 20m;\n{temporary}{}\n}}\n",
        servers.replace("/etc/nginx", &root.join("etc/nginx").display().to_string())
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, configuration).unwrap();
    let log = folder.join("log");
    start(
        "nginx",
        &["-e".as_ref(), log.as_ref(), "-c".as_ref(), file.as_ref()],
        folder,
        ready,
    )
}

/// lighttpd with this configuration, whose documents are in `folder`.
pub(crate) fn lighttpd(folder: PathBuf, ready: SocketAddr, more: &str) -> WebServer {
    let (root, _) = packages();
    let configuration = format!(
        "server.document-root = \"{0}\"\nserver.errorlog = \"{0}/log\"\nserver.upload-dirs = (\"{0}\")\n\
         server.bind = \"127.0.0.1\"\nserver.port = {1}\nserver.stream-response-body = 1\n{more}\n",
        folder.display(),
        ready.port()
    );
    let file = folder.join("lighttpd.conf");
    std::fs::write(&file, configuration).unwrap();
    let modules = root.join("usr/lib/lighttpd");
    start(
        "lighttpd",
        &[
            "-D".as_ref(),
            "-f".as_ref(),
            file.as_ref(),
            "-m".as_ref(),
            modules.as_ref(),
        ],
        folder,
        ready,
    )
}

fn start(program: &str, arguments: &[&Path], folder: PathBuf, ready: SocketAddr) -> WebServer {
    let (root, libraries) = packages();
    let output = std::fs::File::create(folder.join("output")).unwrap();
    let child = Command::new(root.join("usr/sbin").join(program))
        .args(arguments)
        .env("LD_LIBRARY_PATH", libraries)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(output)
        .spawn()
        .unwrap();
    let mut server = WebServer { child, folder };
    let start = Instant::now();
    while TcpStream::connect(ready).is_err() {
        let ended = server.child.try_wait().unwrap();
        if ended.is_some() || start.elapsed() > PATIENCE {
            let output = std::fs::read_to_string(server.folder.join("output")).unwrap();
            panic!("{program} does not serve: {ended:?} {output}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    server
}
