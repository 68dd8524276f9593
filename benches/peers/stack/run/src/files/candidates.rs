//! The servers, each with one worker.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tree::Tree;
use crate::Result;
use crate::process::{Server, beside};

/// A server; the others are compared with the first two.
#[derive(Clone)]
pub struct Candidate {
    /// The name in the tables.
    pub name: &'static str,
    /// Whether it is our constant route, and no file.
    pub is_constant: bool,
    program: &'static str,
}

const fn candidate(name: &'static str, program: &'static str) -> Candidate {
    Candidate {
        name,
        is_constant: false,
        program,
    }
}

const ALL: [Candidate; 9] = [
    candidate("nginx, `sendfile off`", "nginx off"),
    candidate("nginx, `sendfile on`", "nginx on"),
    Candidate {
        is_constant: true,
        ..candidate("Enfilade, a constant route", "files-ours")
    },
    candidate("Enfilade, `Files`", "files-ours"),
    candidate("tower-http, `ServeDir`", "files-axum"),
    candidate("actix-files", "files-actix"),
    candidate("salvo, `StaticDir`", "files-salvo"),
    candidate("Caddy", "caddy"),
    candidate("static-web-server", "static-web-server"),
];

/// Returns those that are there; all but the last one must be.
pub fn all() -> Vec<Candidate> {
    let is_there = |candidate: &Candidate| {
        candidate.program != "static-web-server"
            || Command::new(candidate.program)
                .arg("--version")
                .output()
                .is_ok()
    };
    ALL.into_iter().filter(is_there).collect()
}

impl Candidate {
    /// Returns the program.
    pub fn program(&self) -> Result<PathBuf> {
        match self.program.split(' ').next() {
            // Its one worker is a thread of the runtime of Go.
            Some("caddy") => Ok("env".into()),
            Some(name @ ("nginx" | "static-web-server")) => Ok(name.into()),
            _ => beside(self.program),
        }
    }

    /// Returns the arguments to serve the tree at an address; writes the configuration that they name.
    pub fn arguments(&self, tree: &Tree, address: &str) -> Result<Vec<String>> {
        let root = tree.folder.to_string_lossy().into_owned();
        let configured = |text: &str, sendfile: &str| {
            text.replace("ADDRESS", address)
                .replace("ROOT", &root)
                .replace("SENDFILE", sendfile)
        };
        let own = |name: &str| -> Result<PathBuf> {
            let folder = beside("files-configurations")?.join(name);
            std::fs::create_dir_all(&folder)?;
            Ok(folder)
        };
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (host, port) = address.split_once(':').ok_or("an address with a port")?;
        Ok(match self.program {
            "nginx off" | "nginx on" => {
                let sendfile = self.program.trim_start_matches("nginx ");
                let folder = own(sendfile)?;
                let configuration = include_str!("../../../../files/nginx.conf");
                std::fs::write(
                    folder.join("nginx.conf"),
                    configured(configuration, sendfile),
                )?;
                let folder = text(&folder);
                let arguments = ["-p", &folder, "-c", "nginx.conf", "-e", "stderr"];
                arguments.map(str::to_owned).into()
            }
            "caddy" => {
                let folder = own("caddy")?;
                let file = folder.join("Caddyfile");
                let configuration = include_str!("../../../../files/Caddyfile");
                std::fs::write(&file, configured(configuration, ""))?;
                let home = format!("HOME={}", text(&folder));
                let file = text(&file);
                let arguments = [
                    "GOMAXPROCS=1",
                    &home,
                    "caddy",
                    "run",
                    "--adapter",
                    "caddyfile",
                    "--config",
                    &file,
                ];
                arguments.map(str::to_owned).into()
            }
            "static-web-server" => {
                let arguments = [
                    "--host",
                    host,
                    "--port",
                    port,
                    "--root",
                    &root,
                    "--threads-multiplier",
                    "1",
                    "--log-level",
                    "error",
                ];
                arguments.map(str::to_owned).into()
            }
            _ => vec![address.to_owned(), root],
        })
    }

    /// Starts it on its core.
    pub fn start(&self, tree: &Tree) -> Result<Server> {
        Server::start(&self.program()?, |address| self.arguments(tree, address))
    }
}
