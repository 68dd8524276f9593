//! The types of other crates in the public API: we cannot replace a dependency that the API shows.
//!
//! rustdoc writes the API as JSON for tools. Stable Rust does so if it runs as if it were nightly.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn only_the_contract_s_crates_show_in_the_api() {
    let cases: [(&str, &[&str]); 4] = [
        (
            "enfilade-core",
            &[
                "bytes",
                "futures_core",
                "futures_io",
                "http",
                "http_body",
                "serde_core",
                // `Value` is a response.
                "serde_json",
                "time",
            ],
        ),
        (
            "enfilade-middleware",
            &[
                "bytes",
                "enfilade_core",
                "http",
                "prometheus_client",
                // Values of sessions.
                "serde_core",
                "time",
                "tracing",
            ],
        ),
        (
            "enfilade-testing",
            &["bytes", "enfilade_core", "http", "serde_core"],
        ),
        (
            "enfilade",
            &[
                "bytes",
                "enfilade_core",
                "http",
                "http_body",
                "tokio",
                "tower_layer",
                "tower_service",
            ],
        ),
    ];
    for (package, expected) in cases {
        let shown = crates_in_api(package);
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        assert_eq!(shown, expected, "{package}");
    }
}

/// A program names the facade alone. The examples of the other crates do not show what is missing there: they see those crates.
#[test]
fn the_facade_has_the_whole_contract() {
    let exported = |text: &str| -> BTreeSet<String> {
        let uses = text.split("pub use ").skip(1);
        let uses = uses.filter_map(|rest| rest.split(';').next());
        let names = uses.flat_map(|list| {
            list.split(['{', '}', ','])
                .map(str::trim)
                .collect::<Vec<_>>()
        });
        let names = names.filter_map(|path| path.rsplit("::").next());
        let names = names.filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    };
    let core = exported(include_str!("../core/src/lib.rs"));
    let facade = exported(include_str!("../src/lib.rs"));
    assert!(core.len() > 60 && core.contains("Application"));
    let missing: Vec<_> = core.difference(&facade).collect();
    assert_eq!(missing, [""; 0]);
}

fn crates_in_api(package: &str) -> BTreeSet<String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("api");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args([
            "rustdoc",
            "--quiet",
            "--locked",
            "--lib",
            "--all-features",
            "--package",
            package,
            "--target-dir",
        ])
        .arg(&target);
    cargo.args([
        "--",
        "-Z",
        "unstable-options",
        "--output-format",
        "json",
        "--cap-lints",
        "allow",
    ]);
    // The flags of this test's build do not concern rustdoc, and would make it build everything anew each time.
    cargo
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTFLAGS")
        .env_remove("RUSTDOCFLAGS");
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo
        .output()
        .expect("cargo is there, as it runs this test");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let file = target
        .join("doc")
        .join(format!("{}.json", package.replace('-', "_")));
    let text = std::fs::read(file).expect("rustdoc has written it");
    let api: Value = serde_json::from_slice(&text).expect("rustdoc writes JSON");
    let mut crates = BTreeSet::new();
    let items = api["index"].as_object().into_iter().flatten();
    for (_, item) in items.filter(|(_, item)| item["crate_id"] == 0 && !is_blanket(item)) {
        note_crates(&item["inner"], &api, &mut crates);
    }
    crates
}

/// Whether this is another crate's `impl<T> Trait for T`, which every type has.
fn is_blanket(item: &Value) -> bool {
    !item["inner"]["impl"]["blanket_impl"].is_null()
}

/// Notes the crate of every type and trait that occurs inside `value`.
fn note_crates(value: &Value, api: &Value, crates: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let (Some(id), Some(_)) =
                (fields.get("id").and_then(Value::as_u64), fields.get("path"))
            {
                crates.extend(crate_of(id, api));
            }
            fields
                .values()
                .for_each(|field| note_crates(field, api, crates));
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| note_crates(value, api, crates)),
        _ => {}
    }
}

/// The name of the crate that has this item, unless it is the crate itself or the standard library.
fn crate_of(id: u64, api: &Value) -> Option<String> {
    let number = api["paths"][id.to_string()]["crate_id"].as_u64()?;
    let name = api["external_crates"][number.to_string()]["name"].as_str()?;
    (!["alloc", "core", "std"].contains(&name)).then(|| name.to_owned())
}
