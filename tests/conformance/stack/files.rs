//! `static`: the files of a tree.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use enfilade::Application;
use enfilade::middleware::{Files, Mounts, Precompressed};
use http::{HeaderName, HeaderValue};
use serde_json::Value;

use super::Parts;
use crate::case::{self, known, number, object, required, text, texts};
use crate::matchers::text_of;
use crate::verdict::{Check, refused, unsupported};

pub(super) fn files(_: &Parts<'_>, layer: &Value, app: Application) -> Check<Application> {
    let keys = [
        "middleware",
        "content_types",
        "default_extension",
        "fixture",
        "header_rules",
        "headers",
        "hidden_files",
        "index",
        "max_age",
        "mount",
        "on_method",
        "on_miss",
        "precompressed",
        "root",
        "root_located_under",
    ];
    known(layer, "config", &keys)?;
    let mut root = match text(layer, "fixture") {
        Some("tree") => tree()?,
        other => return unsupported(format!("the fixture {other:?}")),
    };
    match text(layer, "root_located_under") {
        None => root.push(required(layer, "root")?),
        Some(place) => root.push(place),
    }
    let mut files = Files::directory(root).or_else(refused)?;
    files = match &layer["index"] {
        Value::Null => files.index::<String>([]),
        index => files.index([text_of(index)?]),
    };
    match text(layer, "hidden_files") {
        // It is the default.
        None | Some("deny") => {}
        Some(other) => return unsupported(format!("hidden files: {other}")),
    }
    match text(layer, "default_extension") {
        None => {}
        Some("html") => files = files.html_extension(),
        Some(other) => return unsupported(format!("the default extension {other:?}")),
    }
    if let Some(names) = layer.get("precompressed") {
        files = files.precompressed(
            texts(names)?
                .into_iter()
                .map(coding)
                .collect::<Check<Vec<_>>>()?,
        );
    }
    if let Some(seconds) = number(layer, "max_age") {
        files = files.max_age(Duration::from_secs(seconds));
    }
    let files = with_headers(with_types(files, layer)?, layer)?;
    mounted(files, layer, app)
}

fn with_types(mut files: Files, layer: &Value) -> Check<Files> {
    if let Some(types) = layer.get("content_types") {
        for (extension, media_type) in object(types)? {
            let media_type = text_of(media_type)?;
            files = files.content_type(extension, media_type).or_else(refused)?;
        }
    }
    Ok(files)
}

fn with_headers(mut files: Files, layer: &Value) -> Check<Files> {
    for (name, value) in layer
        .get("headers")
        .map(object)
        .transpose()?
        .into_iter()
        .flatten()
    {
        let (name, value) = header(name, value)?;
        files = files.header(name, value);
    }
    for rule in layer
        .get("header_rules")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let pattern = pattern(&rule[0])?;
        for (name, value) in object(&rule[1])? {
            let (name, value) = header(name, value)?;
            files = match &pattern {
                None => files.header(name, value),
                Some(pattern) => files.header_for(pattern, name, value).or_else(refused)?,
            };
        }
    }
    Ok(files)
}

/// The pattern of a rule: of all files, those with some extensions, those below a path, or those that a regular
/// expression matches, of which ours says the same in another way.
fn pattern(rule: &Value) -> Check<Option<String>> {
    Ok(match rule {
        Value::Array(_) => Some(format!("**/*.{{{}}}", texts(rule)?.join(","))),
        Value::String(text) if text == "all" => None,
        Value::String(text) if text == r"regex:\.(css|erb)$" => Some("**/*.{css,erb}".to_owned()),
        Value::String(path) if path.starts_with('/') => Some(format!("{path}**")),
        other => return unsupported(format!("the header rule {other}")),
    })
}

fn header(name: &str, value: &Value) -> Check<(HeaderName, HeaderValue)> {
    let header = name.parse().ok().zip(text_of(value)?.parse().ok());
    header.map_or_else(|| unsupported(format!("the header {name}: {value}")), Ok)
}

fn coding(name: &str) -> Check<Precompressed> {
    match name {
        "zstd" => Ok(Precompressed::Zstd),
        "br" => Ok(Precompressed::Brotli),
        "gzip" => Ok(Precompressed::Gzip),
        other => unsupported(format!("files precompressed with {other:?}")),
    }
}

/// The files alone, or around the application of the case.
fn mounted(mut files: Files, layer: &Value, app: Application) -> Check<Application> {
    let (on_miss, on_method) = (text(layer, "on_miss"), text(layer, "on_method"));
    match on_method {
        None => {}
        Some("inner app") => files = files.pass_methods(),
        Some(other) => return unsupported(format!("on_method {other:?}")),
    }
    let is_around = match on_miss {
        Some("404") => false,
        Some("inner app") => true,
        other => return unsupported(format!("on_miss {other:?}")),
    };
    let served = match is_around {
        true => app.clone().wrap(files),
        false => Application::new(files),
    };
    match text(layer, "mount") {
        None => Ok(served),
        Some(prefix) => {
            let mounts = Mounts::new().at(prefix, served).or_else(refused)?;
            Ok(mounts.otherwise(app).into())
        }
    }
}

/// The folder with the files that `fixtures.json` describes; it is made once.
fn tree() -> Check<PathBuf> {
    static MADE: OnceLock<Check<PathBuf>> = OnceLock::new();
    MADE.get_or_init(make).clone()
}

fn make() -> Check<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("conformance-files");
    let _ = fs::remove_dir_all(&folder);
    let made = || -> std::io::Result<()> {
        for entry in case::fixtures().map_err(|_| std::io::ErrorKind::InvalidData)? {
            let path = folder.join(text(&entry, "path").unwrap_or_default());
            fs::create_dir_all(path.parent().unwrap_or(&folder))?;
            if let Some(target) = text(&entry, "symlink_to") {
                symlink(target, path)?;
            } else if entry["directory"] == true {
                fs::create_dir_all(path)?;
            } else {
                let content = case::content(&entry).map_err(|_| std::io::ErrorKind::InvalidData)?;
                fs::write(&path, content)?;
                let time = number(&entry, "mtime").unwrap_or_default();
                let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time);
                File::options()
                    .write(true)
                    .open(&path)?
                    .set_modified(time)?;
            }
        }
        // A POSIX tool, because the standard library cannot make one.
        Command::new("mkfifo")
            .arg(folder.join("root/dev-null-like"))
            .status()?;
        let hidden = folder.join(".hidden-parent/root");
        fs::create_dir_all(&hidden)?;
        fs::write(hidden.join("hello.txt"), "Hello, World!")
    };
    match made() {
        Ok(()) => Ok(folder),
        Err(error) => unsupported(format!("the files of the tree: {error}")),
    }
}
