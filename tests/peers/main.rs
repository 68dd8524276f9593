//! The tests that need other programs: `tests/peers/run` installs those that are missing, and runs these tests.
//!
//! `cargo test` leaves this target out (`test = false` in the manifest): it needs only the Rust toolchain.
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests and their helpers"
)]

mod browser;
mod debug_errors;
mod examples;
mod gateways;
mod goaccess;
mod gzip;
mod login;
mod profile;
mod send_file;
mod site;
mod support;
mod web_servers;
