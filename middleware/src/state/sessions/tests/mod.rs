//! Sessions of all kinds, through a client.

mod flash;
mod stores;
mod time;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use enfilade_core::{
    Application, BoxError, Description, Eventual, HttpError, IntoResponse, Pipeline, Request,
    Response,
};
use enfilade_testing::Client;

use super::memory::MemorySessions;
use super::session::Session;
use super::store::{SessionKey, SessionStore, StoreReply, StoredSession, Updated};
use super::{Sessions, open};
use crate::state::cookie_keys::CookieKeys;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const DAY: u64 = 86_400;

/// Seconds since 1970 that tests move.
#[derive(Clone)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn new() -> Clock {
        Clock(Arc::new(AtomicU64::new(1_000_000)))
    }

    fn wait(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    fn since(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// What each kind of session does alike, with the same clock.
fn kinds(clock: &Clock) -> Vec<(&'static str, Sessions)> {
    let keys = || {
        let clock = clock.clone();
        let keys = CookieKeys::new(SECRET).unwrap();
        keys.clock(move || UNIX_EPOCH + clock.since())
    };
    let timer = clock.clone();
    let memory = MemorySessions::new(100).clock(move || timer.since());
    let kinds = [
        ("memory", Sessions::new(memory)),
        ("encrypted", Sessions::encrypted(keys())),
        ("signed", Sessions::signed(keys())),
    ];
    let kinds = kinds.into_iter();
    let kinds = kinds.map(|(name, sessions)| {
        let clock = clock.clone();
        (name, sessions.clock(move || UNIX_EPOCH + clock.since()))
    });
    kinds.collect()
}

/// `/set?x`, `/get`, `/count`, `/remove`, `/clear`, `/renew`, `/destroy`, `/again?x`; everything else looks at nothing.
fn app(request: Request) -> Result<Response, HttpError> {
    if request.path() == "/nothing" {
        return Ok("nothing".into_response());
    }
    let session = Session::load_now(&request)?;
    let query = request.query_string().unwrap_or_default();
    match request.path() {
        "/set" => session.insert("foo", query)?,
        "/count" => {
            let count = session.update("count", |count: Option<u64>| count.unwrap_or(0) + 1)?;
            return Ok(count.to_string().into_response());
        }
        "/remove" => session.remove("foo")?,
        "/clear" => session.clear()?,
        "/renew" => session.renew()?,
        "/destroy" => session.destroy()?,
        "/again" => {
            session.destroy()?;
            session.insert("foo", query)?;
        }
        _ => {}
    }
    let found = session.get::<String>("foo")?;
    Ok(found.unwrap_or("none".into()).into_response())
}

/// A browser with one cookie.
struct Browser {
    client: Client,
    cookie: Option<String>,
}

impl Browser {
    fn new(client: &Client) -> Browser {
        Browser {
            client: client.clone(),
            cookie: None,
        }
    }

    /// The text of the response, and its cookie.
    fn get(&mut self, target: &str) -> (String, Option<String>) {
        let mut request = self.client.get(target);
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let response = request.send();
        let set = response.header("set-cookie").map(str::to_owned);
        if let Some(set) = &set {
            let pair = set.split(';').next().unwrap_or_default();
            self.cookie = (!set.contains("Max-Age=0")).then(|| pair.to_owned());
            assert_eq!(response.header("cache-control"), Some("private"));
        }
        let is_looked_at = target != "/nothing";
        assert_eq!(response.header("vary").is_some(), is_looked_at, "{target}");
        (response.text().into_owned(), set)
    }

    fn text(&mut self, target: &str) -> String {
        self.get(target).0
    }
}

fn browser(sessions: Sessions) -> Browser {
    Browser::new(&Client::new(Application::new(app).wrap(sessions)))
}

#[test]
fn values_stay_from_one_request_to_the_next() {
    for (kind, sessions) in kinds(&Clock::new()) {
        let mut browser = browser(sessions);
        for (target, text) in [
            ("/get", "none"),
            ("/set?a", "a"),
            ("/get", "a"),
            ("/set?b", "b"),
            ("/count", "1"),
            ("/count", "2"),
            ("/renew", "b"),
            ("/get", "b"),
            ("/remove", "none"),
            ("/count", "3"),
            ("/set?c", "c"),
            ("/clear", "none"),
            ("/count", "1"),
            ("/set?d", "d"),
            ("/again?e", "e"),
            ("/count", "1"),
            ("/destroy", "none"),
            ("/get", "none"),
            ("/count", "1"),
        ] {
            assert_eq!(browser.text(target), text, "{kind} {target}");
        }
    }
}

#[test]
fn a_cookie_is_set_only_if_something_changed() {
    for (kind, sessions) in kinds(&Clock::new()) {
        let mut browser = browser(sessions);
        for target in [
            "/nothing", "/get", "/remove", "/clear", "/destroy", "/renew",
        ] {
            assert_eq!(browser.get(target).1, None, "{kind} {target}");
        }
        let set = browser.get("/set?a").1.expect("a cookie");
        assert!(set.starts_with("__Host-session="), "{set}");
        assert!(
            set.ends_with("; Path=/; Max-Age=1209600; Secure; HttpOnly; SameSite=Lax"),
            "{set}"
        );
        for target in ["/nothing", "/get", "/set?a"] {
            assert_eq!(browser.get(target).1, None, "{kind} {target}");
        }
        let gone = browser.get("/destroy").1.expect("a cookie");
        assert!(gone.starts_with("__Host-session=; Path=/; "), "{gone}");
        assert!(gone.contains("Max-Age=0"), "{gone}");
    }
}

#[test]
fn another_id_after_renew_and_nothing_under_the_old_one() {
    let mut user = browser(Sessions::new(MemorySessions::new(100)));
    user.get("/set?a");
    let old = user.cookie.clone();
    let mut attacker = Browser::new(&user.client);
    attacker.cookie = old.clone();
    user.get("/renew");
    assert_ne!(user.cookie, old);
    assert_eq!(user.text("/get"), "a");
    assert_eq!(attacker.text("/get"), "none");
}

#[test]
fn an_id_that_the_server_did_not_make_is_never_used() {
    for (kind, sessions) in kinds(&Clock::new()) {
        let mut user = browser(sessions);
        for made_up in [
            "",
            "faked",
            "AAAAAAAAAAAAAAAAAAAAAA",
            "e1.AAAA",
            "s1.AAAA.AAAA",
        ] {
            user.cookie = Some(format!("__Host-session={made_up}"));
            assert_eq!(user.text("/get"), "none", "{kind} {made_up}");
            user.get("/set?a");
            let cookie = user.cookie.clone().expect("a cookie");
            assert!(
                made_up.is_empty() || !cookie.contains(made_up),
                "{kind} {cookie}"
            );
        }
    }
}

#[test]
fn a_session_that_was_removed_is_not_brought_back() {
    // The second request begins before the first one logs out, and ends afterwards.
    for under_way in ["/set?b", "/count", "/renew", "/remove"] {
        let store = MemorySessions::new(9);
        let other = Application::new(app).wrap(Sessions::new(store.clone()));
        let cookie = Arc::new(Mutex::new(String::new()));
        let slow_cookie = cookie.clone();
        let slow = Application::new(move |request: Request| -> Result<Response, HttpError> {
            let found = Session::load_now(&request)?;
            // Meanwhile, in another tab.
            let mut log_out = Request::get("/destroy");
            let header = slow_cookie.lock().unwrap().parse().unwrap();
            log_out.headers_mut().insert("cookie", header);
            pollster::block_on(other.call(log_out));
            match request.path() {
                "/set" => found.insert("foo", "b")?,
                "/count" => drop(found.update("count", |count: Option<u64>| count.unwrap_or(0))?),
                "/renew" => found.renew()?,
                _ => found.remove("foo")?,
            }
            Ok("done".into_response())
        });
        let make = Application::new(app).wrap(Sessions::new(store.clone()));
        let mut user = Browser::new(&Client::new(make));
        user.get("/set?a");
        *cookie.lock().unwrap() = user.cookie.clone().expect("a cookie");
        let mut late = Browser::new(&Client::new(slow.wrap(Sessions::new(store.clone()))));
        late.cookie = user.cookie.clone();
        let (text, set) = late.get(under_way);
        assert_eq!((text.as_str(), set), ("done", None), "{under_way}");
        assert_eq!(user.text("/get"), "none", "{under_way}");
        assert!(store.is_empty(), "{under_way}");
    }
}

#[test]
fn what_two_requests_change_at_a_time_is_merged() {
    let store = MemorySessions::new(9);
    let app = Application::new(app).wrap(Sessions::new(store));
    let mut user = Browser::new(&Client::new(app.clone()));
    user.get("/set?a");
    let cookie = user.cookie.clone().expect("a cookie");
    std::thread::scope(|scope| {
        for at in 0..64 {
            let (app, cookie) = (app.clone(), &cookie);
            scope.spawn(move || {
                let target = if at % 8 == 7 { "/set?z" } else { "/count" };
                let mut request = Request::get(target);
                request
                    .headers_mut()
                    .insert("cookie", cookie.parse().unwrap());
                let response = pollster::block_on(app.call(request));
                assert_eq!(response.status(), 200);
            });
        }
    });
    assert_eq!(user.text("/count"), "57");
    assert_eq!(user.text("/get"), "z");
}

#[test]
fn too_long_a_session_is_an_error_and_the_old_one_stays() {
    for (kind, sessions) in kinds(&Clock::new()) {
        let limit = sessions.limit();
        let mut user = browser(sessions);
        user.get("/set?a");
        // A name, its length, a value with quotes, its length.
        let longest = "x".repeat(limit - 3 - 2 - 2 - 4);
        assert_eq!(user.text(&format!("/set?{longest}")), longest, "{kind}");
        let response = user.client.get(&format!("/set?{longest}y"));
        assert_eq!(response.send().status(), 500, "{kind}");
        assert_eq!(user.text("/get"), longest, "{kind}");
    }
}

#[test]
fn the_cookie_is_the_one_that_was_asked_for() {
    let cookie = enfilade_core::Cookie::new("sid", "")
        .path("/app")
        .domain("example.com")
        .insecure_without_tls();
    let sessions = || {
        Sessions::new(MemorySessions::new(9))
            .cookie(cookie.clone())
            .unwrap()
    };
    let mut user = browser(sessions().idle(Duration::from_secs(5)));
    let set = user.get("/set?a").1.expect("a cookie");
    assert!(set.starts_with("sid="), "{set}");
    let attributes = "; Path=/app; Domain=example.com; Max-Age=5; HttpOnly; SameSite=Lax";
    assert!(set.ends_with(attributes), "{set}");
    let gone = user.get("/destroy").1.expect("a cookie");
    assert!(gone.contains("Path=/app; Domain=example.com"), "{gone}");
    let set = browser(sessions().until_browser_closes()).get("/set?a").1;
    assert!(!set.expect("a cookie").contains("Max-Age"));

    let wrong = enfilade_core::Cookie::new("a b", "");
    let error = Sessions::new(MemorySessions::new(9))
        .cookie(wrong)
        .unwrap_err();
    assert!(error.to_string().contains("is not a token"), "{error}");
}

#[test]
fn mistakes_of_an_application_are_500s_that_say_what_to_do() {
    let client = Client::new(Application::new(app));
    let cause = |client: &Client, target: &str| {
        let response = client.get(target).send();
        assert_eq!(response.status(), 500);
        let error = response.extensions().get::<Arc<HttpError>>().cloned();
        format!("{error:?}")
    };
    assert!(cause(&client, "/get").contains("no Sessions is around"));

    // A change after the response was returned.
    let kept = Arc::new(Mutex::new(None));
    let keep = kept.clone();
    let app = Application::new(move |request: Request| -> Result<&str, HttpError> {
        *keep.lock().unwrap() = Some(Session::load_now(&request)?);
        Ok("done")
    });
    let client = Client::new(app.wrap(Sessions::new(MemorySessions::new(9))));
    client.get("/").send();
    let session = kept.lock().unwrap().take().expect("a session");
    let error = session.insert("late", "x").unwrap_err();
    assert!(format!("{error:?}").contains("head of the response was sent"));

    // A value of another type.
    let app = Application::new(|request: Request| -> Result<String, HttpError> {
        let session = Session::load_now(&request)?;
        session.insert("foo", "text")?;
        Ok(session.get::<u64>("foo")?.unwrap_or_default().to_string())
    });
    let client = Client::new(app.wrap(Sessions::new(MemorySessions::new(9))));
    assert!(cause(&client, "/").contains("invalid type"));
}

#[test]
fn a_function_may_use_the_session_that_it_updates() {
    let app = Application::new(|request: Request| -> Result<String, HttpError> {
        let session = Session::load_now(&request)?;
        session.insert("step", &5)?;
        let inner = session.clone();
        let sum = session.update("sum", move |sum: Option<u64>| {
            sum.unwrap_or(0) + inner.get::<u64>("step").ok().flatten().unwrap_or(1)
        })?;
        Ok(sum.to_string())
    });
    let client = Client::new(app.wrap(Sessions::new(MemorySessions::new(9))));
    assert_eq!(client.get("/").send().text(), "5");
}

#[test]
fn a_stack_shows_its_sessions() {
    let app = Pipeline::new()
        .with(Sessions::new(MemorySessions::new(96)))
        .wrap(app);
    let tree = app.describe().to_string();
    assert!(
        tree.starts_with("Sessions (cookie: __Host-session, idle: 1209600s, lifetime: 7776000s"),
        "{tree}"
    );
    assert!(tree.contains("MemorySessions"), "{tree}");
    assert!(open::Record::parse(&Bytes::from_static(b"short")).is_none());
}
