//! Calls `rustc` on a program that uses the libraries of this build.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// An error of the compiler.
#[derive(Debug)]
pub(crate) struct CompileError {
    pub(crate) line: usize,
    pub(crate) message: String,
    pub(crate) notes: Vec<String>,
}

/// Returns the errors of a program that uses these crates.
///
/// The folder of a build may hold several builds of a crate, with other features or from another day. This uses those
/// with which `right`, a program without errors, compiles.
pub(crate) fn errors_of(program: &str, crates: &[&str], right: &str) -> Vec<CompileError> {
    let mut externs = vec![Vec::new()];
    for name in crates {
        let builds = builds_of(name);
        assert!(
            !builds.is_empty(),
            "there is no build of {name} in {:?}",
            folder()
        );
        let with = |externs: &Vec<String>, build: &PathBuf| {
            let next = format!("{name}={}", build.display());
            externs.iter().cloned().chain([next]).collect()
        };
        let all = externs
            .iter()
            .flat_map(|externs| builds.iter().map(move |build| with(externs, build)));
        externs = all.collect();
    }
    let mut said = Vec::new();
    for externs in &externs {
        said = compile(right, externs);
        if said.is_empty() {
            return compile(program, externs);
        }
    }
    panic!("no build of {crates:?} compiles the correct program: {said:#?}");
}

/// The folder in which cargo puts the libraries that this test is linked with.
fn folder() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows where it is");
    program.parent().expect("it is in a folder").to_owned()
}

/// Returns the newest first.
fn builds_of(name: &str) -> Vec<PathBuf> {
    let start = format!("lib{name}-");
    let files = std::fs::read_dir(folder()).expect("the folder is there");
    let files = files.map(|file| file.expect("the folder can be read").path());
    let is_build = |file: &PathBuf| {
        let name = file.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&start) && name.ends_with(".rlib"))
    };
    let mut builds: Vec<_> = files.filter(is_build).collect();
    let age = |file: &PathBuf| file.metadata().and_then(|facts| facts.modified()).ok();
    builds.sort_by_key(|build| std::cmp::Reverse(age(build)));
    builds
}

fn compile(program: &str, externs: &[String]) -> Vec<CompileError> {
    let scratch =
        std::env::temp_dir().join(format!("enfilade-compile-errors-{}", std::process::id()));
    std::fs::create_dir_all(&scratch).expect("a folder for the program");
    let source = scratch.join("program.rs");
    std::fs::write(&source, program).expect("the program is written");
    let mut command = Command::new(rustc());
    command.args([
        "--edition",
        "2024",
        "--emit",
        "metadata",
        "--error-format",
        "json",
        "-L",
    ]);
    command.arg(format!("dependency={}", folder().display()));
    for library in externs {
        command.args(["--extern", library]);
    }
    let output = command
        .arg(&source)
        .current_dir(&scratch)
        .output()
        .expect("rustc runs");
    std::fs::remove_dir_all(&scratch).expect("the folder is removed");
    let lines = String::from_utf8(output.stderr).expect("JSON is UTF-8");
    let messages = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"));
    messages
        .filter_map(|message: Value| error(&message))
        .collect()
}

/// The compiler beside the cargo that built this test.
fn rustc() -> PathBuf {
    let beside = Path::new(env!("CARGO")).with_file_name("rustc");
    match beside.exists() {
        true => beside,
        false => PathBuf::from("rustc"),
    }
}

/// Returns an error with a place; the last one only counts the others.
fn error(message: &Value) -> Option<CompileError> {
    if message["level"] != "error" || message["message"].as_str()?.starts_with("aborting due to") {
        return None;
    }
    let texts = |values: &Value, key: &str| -> Vec<String> {
        let values = values.as_array().into_iter().flatten();
        values
            .filter_map(|value| Some(value[key].as_str()?.to_owned()))
            .collect()
    };
    let mut notes = texts(&message["children"], "message");
    notes.extend(texts(&message["spans"], "label"));
    let spans = message["spans"].as_array()?;
    let primary = spans.iter().find(|span| span["is_primary"] == true);
    let line = primary.and_then(|span| span["line_start"].as_u64());
    Some(CompileError {
        line: line
            .and_then(|line| usize::try_from(line).ok())
            .unwrap_or(0),
        message: message["message"].as_str()?.to_owned(),
        notes,
    })
}
