//! An application that sets cookies.

use enfilade::{Application, Cookie, IntoResponse, Request};
use http::StatusCode;
use serde_json::Value;

use super::header_map;
use crate::case::{number, pairs, text};
use crate::verdict::{Check, unsupported};

/// The keys of such an application.
pub(super) const KEYS: [&str; 3] = ["status", "headers", "cookies"];

pub(super) fn setting(spec: &Value) -> Check<Application> {
    let status = number(spec, "status").unwrap_or(200);
    let Some(status) = u16::try_from(status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok())
    else {
        return unsupported(format!("the status {status}"));
    };
    let headers = header_map(&pairs(spec, "headers")?)?;
    let cookies = spec["cookies"].as_array().into_iter().flatten();
    let cookies = cookies.map(cookie).collect::<Check<Vec<_>>>()?;
    Ok(Application::new(move |_: Request| {
        let mut response = status.into_response();
        response.headers_mut().extend(headers.clone());
        for cookie in &cookies {
            cookie.set_on(&mut response).unwrap();
        }
        response
    }))
}

/// Makes a cookie of the form `[name, value, {"domain": ..}]`.
fn cookie(spec: &Value) -> Check<Cookie> {
    let (Some(name), Some(value)) = (spec[0].as_str(), spec[1].as_str()) else {
        return unsupported(format!("the cookie {spec}"));
    };
    let cookie = Cookie::new(name, value);
    Ok(match text(&spec[2], "domain") {
        Some(domain) => cookie.domain(domain),
        None => cookie,
    })
}
