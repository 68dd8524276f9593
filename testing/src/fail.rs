//! How a test fails.

/// Stops a test that asks for what cannot be, or in which a law was broken.
#[track_caller]
#[expect(
    clippy::panic,
    reason = "a test's mistake is told to the test's author, and this crate runs in tests only"
)]
pub(crate) fn fail(message: &str) -> ! {
    panic!("{message}")
}
