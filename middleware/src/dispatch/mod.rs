//! Choosing which application gets a request.

pub(crate) mod cascade;
pub(crate) mod hosts;
pub(crate) mod mounts;
pub(crate) mod not_found;
pub(crate) mod only_if;
mod route_label;
pub(crate) mod router;
pub(crate) mod swap;
pub(crate) mod when;
