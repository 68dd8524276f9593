//! The helpers that these tests share with those of `cargo test`.

#[path = "../support/every_response.rs"]
pub(crate) mod every_response;
#[path = "../support/folder.rs"]
pub(crate) mod folder;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../support/process.rs"]
pub(crate) mod process;
#[path = "../support/running.rs"]
pub(crate) mod running;
#[expect(dead_code, reason = "other tests use the rest of it")]
#[path = "../support/wire.rs"]
pub(crate) mod wire;
