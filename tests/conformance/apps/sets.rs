//! The changes that an application makes to its request; no other application may see them.

use enfilade::Request;
use http::HeaderMap;
use serde_json::Value;

use super::header_map;
use crate::case::{known, pairs, text};
use crate::verdict::{Check, unsupported};

#[derive(Clone, Debug, Default)]
pub(super) struct Sets {
    headers: HeaderMap,
    path: Option<String>,
}

impl Sets {
    pub(super) fn new(spec: &Value) -> Check<Sets> {
        let sets = &spec["sets"];
        known(sets, "sets", &["headers", "path"])?;
        let path = text(sets, "path").map(str::to_owned);
        let is_path = |path: &String| Request::get("/").set_path(path).is_ok();
        if path.as_ref().is_some_and(|path| !is_path(path)) {
            return unsupported(format!("sets the path {path:?}"));
        }
        Ok(Sets {
            headers: header_map(&pairs(sets, "headers")?)?,
            path,
        })
    }

    pub(super) fn apply(&self, request: &mut Request) {
        for (name, value) in &self.headers {
            request.headers_mut().insert(name, value.clone());
        }
        if let Some(path) = &self.path {
            request.set_path(path).unwrap();
        }
    }
}
