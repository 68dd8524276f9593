//! Names and passwords in a header.

use std::sync::{Arc, Mutex};

use enfilade::middleware::Basic;
use enfilade::{Application, Request};
use enfilade_testing::Client;
use serde_json::{Value, json};

use super::Output;
use crate::case::{known, required};
use crate::verdict::{Check, refused};

/// What a client sends for a name and a password.
pub(super) fn encode_basic(input: &Value) -> Check<Output> {
    known(input, "input", &["user", "password"])?;
    let (user, password) = (required(input, "user")?, required(input, "password")?);
    let app = Application::new(|request: Request| {
        let sent = request.headers().get("authorization");
        sent.and_then(|sent| sent.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    });
    let sent = Client::new(app).get("/").basic_auth(user, password).send();
    Ok(Ok(Value::from(&*sent.text())))
}

/// What a password check gets.
pub(super) fn parse_basic(input: &Value) -> Check<Output> {
    known(input, "input", &["value"])?;
    let seen = Arc::new(Mutex::new(Value::Null));
    let seer = seen.clone();
    let basic = Basic::new("realm", move |user: &str, password: &str| {
        *seer.lock().unwrap() = json!({"user": user, "password": password});
        true
    });
    let app = Application::new(|_: Request| "").wrap(basic.or_else(refused)?);
    let request = Client::new(app).get("/");
    request
        .header("authorization", required(input, "value")?)
        .send();
    let seen = seen.lock().unwrap().take();
    Ok(Ok(seen))
}
