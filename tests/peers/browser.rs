//! Chromium.

use std::process::Command;

/// Returns the page at `url`, as HTML, after its scripts ran for so many milliseconds.
pub(crate) fn dom(url: &str, milliseconds: u32) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/chromium");
    let output = Command::new("bash")
        .args([script, url, &milliseconds.to_string()])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "chromium, which `tests/peers/run` installs: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}
