//! How a test fails.

/// Fails a test whose set-up is invalid, or in which a law was broken.
#[track_caller]
#[expect(
    clippy::panic,
    reason = "the author of the test must see the mistake, and this crate only runs in tests"
)]
pub(crate) fn fail(message: &str) -> ! {
    panic!("{message}")
}
