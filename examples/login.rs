//! Sign up, log in, log out, a page for members and a form, in a browser: sessions, flash messages, CSRF and rules.
//!
//! ```sh
//! cargo run --example login --features htpasswd,form,sessions    # and http://localhost:8000 in a browser
//! ```

#![expect(clippy::print_stdout, reason = "a program prints its address")]

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::sync::{Arc, Mutex};

use enfilade::http::StatusCode;
use enfilade::middleware::{
    AccessLog, Authorize, Csrf, CsrfToken, Flash, Guard, Htpasswd, Identity, MemorySessions,
    Router, SecurityHeaders, Session, Sessions, Who,
};
use enfilade::{
    Application, Cookie, Html, HttpError, IntoResponse, Pipeline, Redirect, Request, Response,
    Server, around_async, unpoisoned,
};
use serde::Deserialize;
use tokio::task::spawn_blocking;

/// Names, and the hashes of their passwords: a database, in a real site.
type Users = Arc<Mutex<HashMap<String, String>>>;

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: String,
    next: Option<String>,
}

fn escaped(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    text.replace('"', "&quot;")
}

/// A page with the messages that wait, and a form whose token belongs to the session.
async fn page(request: &Request, title: &str, body: &str) -> Result<Html<String>, HttpError> {
    let session = Session::load(request).await?;
    let token = CsrfToken::of(&session)?.field();
    let mut shown = String::new();
    for flash in Flash::take(&session)? {
        shown += &format!(
            "<p class={}>{}</p>",
            escaped(flash.kind()),
            escaped(flash.text())
        );
    }
    let user = match Identity::of(request) {
        Some(user) => format!(
            "{} <form method=post action=/logout>{token}<button>Log out</button></form>",
            escaped(user.name())
        ),
        None => "<a href=/login>Log in</a> <a href=/signup>Sign up</a>".into(),
    };
    let body = body.replace("{token}", &token);
    Ok(Html(format!(
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>\
         <title>{title}</title><body><header><a href=/>Home</a> <a href=/members>Members</a> {user}</header>\
         <h1>{title}</h1>{shown}{body}</body></html>"
    )))
}

/// The form of both pages. After a login, the browser goes on to the page that it wanted.
async fn credentials_page(request: Request) -> Result<Html<String>, HttpError> {
    let next = request.query_pairs().find(|(name, _)| name == "next");
    let next = next.map_or(String::new(), |(_, next)| escaped(&next));
    let form = format!(
        "<form method=post>{{token}}<input type=hidden name=next value=\"{next}\">\
         <label>Name <input name=name required></label>\
         <label>Password <input name=password type=password required></label><button>Go</button></form>"
    );
    let title = if request.path() == "/login" {
        "Log in"
    } else {
        "Sign up"
    };
    page(&request, title, &form).await
}

/// Puts the user into the session, under a new ID.
fn begin_session(
    request: &Request,
    session: &Session,
    form: &Credentials,
) -> Result<Response, HttpError> {
    session.renew()?;
    session.insert("user", &form.name)?;
    Flash::new("success", format!("Welcome, {}.", form.name)).add_to(session)?;
    let next = form.next.as_deref().filter(|next| !next.is_empty());
    Ok(Redirect::see_other(request, next.unwrap_or("/members")).into_response())
}

async fn sign_up(users: Users, mut request: Request) -> Result<Response, HttpError> {
    let form: Credentials = request.form().await?;
    let session = Session::load(&request).await?;
    let password = form.password.clone();
    let hash = spawn_blocking(move || Htpasswd::hash(&password)).await?;
    let is_free = !form.name.is_empty() && {
        let mut users = unpoisoned(users.lock());
        let is_free = !users.contains_key(&form.name);
        users.entry(form.name.clone()).or_insert(hash);
        is_free
    };
    if is_free {
        return begin_session(&request, &session, &form);
    }
    Flash::new("error", "This name is taken.").add_to(&session)?;
    Ok(Redirect::see_other(&request, "/signup").into_response())
}

async fn log_in(users: Users, mut request: Request) -> Result<Response, HttpError> {
    let form: Credentials = request.form().await?;
    let session = Session::load(&request).await?;
    let known = unpoisoned(users.lock()).get(&form.name).cloned();
    let password = form.password.clone();
    // A name that is not there takes as long as a wrong password.
    let compare = move || match known {
        Some(hash) => Htpasswd::verify(&password, &hash),
        None => Htpasswd::hash(&password).is_empty(),
    };
    if spawn_blocking(compare).await? {
        return begin_session(&request, &session, &form);
    }
    Flash::new("error", "Wrong name or password.").add_to(&session)?;
    Ok((
        StatusCode::UNPROCESSABLE_ENTITY,
        credentials_page(request).await?,
    )
        .into_response())
}

async fn log_out(request: Request) -> Result<Redirect, HttpError> {
    let session = Session::load(&request).await?;
    session.destroy()?;
    Flash::new("success", "Goodbye.").add_to(&session)?;
    Ok(Redirect::see_other(&request, "/"))
}

async fn know_user(inner: Application, mut request: Request) -> Result<Response, HttpError> {
    let user = Session::load(&request).await?.get::<String>("user")?;
    if let Some(user) = user {
        request.extensions_mut().insert(Identity::new(user));
    }
    Ok(inner.call(request).await)
}

fn app() -> Result<Application, Box<dyn Error>> {
    let users = Users::default();
    let (joining, returning) = (users.clone(), users);
    let site = Router::new()
        .get("/", async |request: Request| {
            page(&request, "Home", "<p>Everybody sees this page.</p>").await
        })
        .get("/members", async |request: Request| {
            page(&request, "Members", "<p>Only members see this page.</p>").await
        })
        .get("/login", credentials_page)
        .get("/signup", credentials_page)
        .post("/login", async move |request: Request| {
            log_in(returning, request).await
        })
        .post("/signup", async move |request: Request| {
            sign_up(joining, request).await
        })
        .post("/logout", log_out)
        .build()?;
    let rules = Authorize::new()
        .rule(Guard::below("/members")?, Who::authenticated())
        .rule(Guard::new("all", |_| true), Who::anyone())
        .login_at("/login")?;
    // A cookie of this name needs TLS; browsers count `localhost` as secure, and 127.0.0.1 not always.
    let cookie = Cookie::new("session", "").insecure_without_tls();
    Ok(Pipeline::new()
        .with(AccessLog::combined())
        .with(SecurityHeaders::new())
        .with(Sessions::new(MemorySessions::new(100_000)).cookie(cookie)?)
        .with(Csrf::new().require_token())
        .with(around_async("KnowUser", know_user))
        .with(rules)
        .wrap(site))
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    server.serve_forever(app()?)?;
    Ok(())
}
