//! Who passes, and who does not.

mod gate;
mod passwords;
mod rules;
mod tokens;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use enfilade_core::{
    Application, Connection, HttpError, IntoResponse, Pipeline, RemoteUser, Request, Response,
    Scheme,
};
use enfilade_testing::laws::Check;
use enfilade_testing::{Client, RequestBuilder};
use http::header::{AUTHORIZATION, SET_COOKIE};
use http::{HeaderName, Method, StatusCode};

use super::allow_addresses::AllowAddresses;
use super::api_keys::ApiKeys;
use super::authorize::{Authorize, Who};
use super::basic::{Basic, PasswordCheck};
use super::bearer::Bearer;
use super::forward_auth::ForwardAuth;
use super::htpasswd::Htpasswd;
use super::identity::Identity;
use super::passwords::Passwords;
use crate::Slashes;
use crate::matching::guard::Guard;

/// The name of the identity, the groups, and what is in the headers that a gate sets.
fn whoami(request: Request) -> String {
    let name = Identity::of(&request).map_or("nobody", Identity::name);
    let user = request.extensions().get::<RemoteUser>();
    assert_eq!(user.is_some(), name != "nobody");
    let header = |name| {
        let values = request.headers().get_all(name).iter();
        let values: Vec<&str> = values.map(|value| value.to_str().unwrap()).collect();
        values.join("+")
    };
    format!("{name} {}{}", header("remote-user"), header("remote_user"))
}

fn basic_of(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64.encode(format!("{user}:{password}")))
}

fn status(request: RequestBuilder) -> u16 {
    request.send().status().as_u16()
}

fn cave() -> Basic {
    let users = Passwords::new()
        .user("Aladdin", "open sesame")
        .user("hello", "long:world")
        .user("用户", "密码")
        .user("", "nameless");
    Basic::new("Cave \"40\"", users).unwrap()
}

#[test]
fn all_keep_the_laws() {
    let known = |request: &mut Request| {
        request.set_client("192.0.2.1".parse().unwrap(), None);
        request.headers_mut().remove(AUTHORIZATION);
    };
    Check::new(cave().optional()).request(known).run();
    let bearer = Bearer::new("x", |_| Some(Identity::new("ada"))).unwrap();
    Check::new(bearer.optional()).request(known).run();
    let keys = ApiKeys::new("x").unwrap();
    Check::new(keys.clone().optional()).request(known).run();
    let all = AllowAddresses::new(["0.0.0.0/0", "::/0"]).unwrap();
    Check::new(all).request(known).run();
    let anyone = Authorize::new().rule(Guard::new("all", |_| true), Who::anyone());
    Check::new(anyone).request(known).run();
    Check::new(ForwardAuth::new(|_: Request| ""))
        .request(known)
        .run();

    Check::new(cave()).request(known).never_calls().run();
    Check::new(keys).never_calls().run();
    Check::new(AllowAddresses::new([""; 0]).unwrap())
        .never_calls()
        .run();
    Check::new(Authorize::new()).never_calls().run();
    let closed = |_: Request| HttpError::new(StatusCode::FORBIDDEN);
    Check::new(ForwardAuth::new(closed)).never_calls().run();
}
