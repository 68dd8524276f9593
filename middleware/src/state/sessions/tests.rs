//! Sessions of all kinds, through a client.

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
    let client = Client::new(Application::new(app).wrap(Sessions::new(MemorySessions::new(9))));
    let mut user = Browser::new(&client);
    user.get("/set?a");
    for under_way in ["/set?b", "/count", "/renew", "/remove"] {
        let store = MemorySessions::new(9);
        let other = Application::new(app).wrap(Sessions::new(store.clone()));
        let session = Arc::new(Mutex::new(None));
        let cookie = Arc::new(Mutex::new(String::new()));
        let (slow_cookie, slow_session) = (cookie.clone(), session.clone());
        let slow = Application::new(move |request: Request| -> Result<Response, HttpError> {
            let found = Session::load_now(&request)?;
            *slow_session.lock().unwrap() = Some(found.clone());
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
fn a_session_ends_if_it_is_not_used_and_after_its_lifetime() {
    for at in 0..3 {
        let clock = Clock::new();
        let (kind, sessions) = kinds(&clock).remove(at);
        let mut user = browser(sessions);
        user.get("/set?a");
        // Used each week: its cookie and its time start anew.
        for week in 1..=12 {
            clock.wait(7 * DAY);
            let (text, set) = user.get("/get");
            assert_eq!(text, "a", "{kind}");
            // In the last week there is no more time to begin anew.
            assert_eq!(set.is_some(), week < 12, "{kind} {week}");
        }
        // Day 84 of 90: it has less than 14 days.
        clock.wait(5 * DAY);
        assert_eq!(user.text("/get"), "a", "{kind}");
        clock.wait(DAY);
        assert_eq!(user.text("/get"), "none", "{kind}");

        let (kind, sessions) = kinds(&clock).remove(at);
        let mut user = browser(sessions);
        user.get("/set?a");
        clock.wait(14 * DAY - 1);
        let mut copy = Browser::new(&user.client);
        copy.cookie = user.cookie.clone();
        assert_eq!(copy.text("/get"), "a", "{kind}");
        let mut user = Browser::new(&user.client);
        user.get("/set?b");
        clock.wait(14 * DAY);
        assert_eq!(user.text("/get"), "none", "{kind}");
    }
}

#[test]
fn a_session_that_is_renewed_lives_anew() {
    for at in 0..3 {
        let clock = Clock::new();
        let (kind, sessions) = kinds(&clock).remove(at);
        let mut user = browser(sessions.idle(Duration::MAX));
        user.get("/set?a");
        clock.wait(89 * DAY);
        assert_eq!(user.text("/renew"), "a", "{kind}");
        clock.wait(89 * DAY);
        assert_eq!(user.text("/get"), "a", "{kind}");
        clock.wait(DAY);
        assert_eq!(user.text("/get"), "none", "{kind}");
    }
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

/// A store that needs time, and fails if a test wants that.
struct Slow(MemorySessions, Arc<Mutex<bool>>);

impl Slow {
    fn later<T: Send + 'static>(&self, reply: StoreReply<T>) -> StoreReply<T> {
        let fails = *self.1.lock().unwrap();
        Eventual::from_future(async move {
            let mut is_over = false;
            std::future::poll_fn(|context| match std::mem::replace(&mut is_over, true) {
                true => std::task::Poll::Ready(()),
                false => {
                    context.waker().wake_by_ref();
                    std::task::Poll::Pending
                }
            })
            .await;
            match fails {
                true => Err("no route to the store".into()),
                false => reply.wait().await,
            }
        })
    }
}

impl SessionStore for Slow {
    fn load(&self, key: &SessionKey) -> StoreReply<Option<StoredSession>> {
        self.later(self.0.load(key))
    }

    fn create(&self, key: &SessionKey, content: Bytes, time: Duration) -> StoreReply<bool> {
        self.later(self.0.create(key, content, time))
    }

    fn update(
        &self,
        key: &SessionKey,
        version: u64,
        content: Bytes,
        time: Duration,
    ) -> StoreReply<Updated> {
        self.later(self.0.update(key, version, content, time))
    }

    fn touch(&self, key: &SessionKey, time: Duration) -> StoreReply<bool> {
        self.later(self.0.touch(key, time))
    }

    fn remove(&self, key: &SessionKey) -> StoreReply<bool> {
        self.later(self.0.remove(key))
    }

    fn describe(&self) -> Description {
        Description::new("Slow")
    }
}

#[test]
fn a_store_that_needs_time_and_one_that_fails() {
    let fails = Arc::new(Mutex::new(false));
    let store = Arc::new(Slow(MemorySessions::new(9), fails.clone()));
    let count = async |request: Request| -> Result<String, HttpError> {
        let session = Session::load(&request).await?;
        Ok(session
            .update("count", |count: Option<u64>| count.unwrap_or(0) + 1)?
            .to_string())
    };
    let mut user = Browser::new(&Client::new(
        Application::new(count).wrap(Sessions::new(store.clone())),
    ));
    assert_eq!([user.text("/"), user.text("/")], ["1", "2"]);

    let reported = Arc::new(AtomicU64::new(0));
    let report = reported.clone();
    let lenient = Sessions::new(store.clone()).ignore_failures(move |error: &BoxError| {
        assert_eq!(error.to_string(), "no route to the store");
        report.fetch_add(1, Ordering::Relaxed);
    });
    let mut lenient = Browser::new(&Client::new(Application::new(count).wrap(lenient)));
    *fails.lock().unwrap() = true;
    let cookie = user.cookie.clone().expect("a cookie");
    let response = user.client.get("/").header("cookie", &cookie).send();
    assert_eq!(
        (response.status().as_u16(), response.header("set-cookie")),
        (503, None)
    );
    lenient.cookie = user.cookie.clone();
    assert_eq!(lenient.get("/"), ("1".into(), None));
    // Loading and creating.
    assert_eq!(reported.load(Ordering::Relaxed), 2);
    *fails.lock().unwrap() = false;
    assert_eq!(user.text("/"), "3");

    // A closure that is not async cannot wait.
    let client = Client::new(Application::new(app).wrap(Sessions::new(store)));
    let response = client.get("/get").header("cookie", &cookie).send();
    assert_eq!(response.status(), 500);
}

#[test]
fn stores_keep_their_laws() {
    let slow = Slow(MemorySessions::new(100), Arc::default());
    pollster::block_on(async {
        super::laws::check_session_store(MemorySessions::new(100))
            .await
            .unwrap();
        super::laws::check_session_store(slow).await.unwrap();
    });
    /// Adopts what was removed.
    struct Resurrects(MemorySessions);
    impl SessionStore for Resurrects {
        fn load(&self, key: &SessionKey) -> StoreReply<Option<StoredSession>> {
            self.0.load(key)
        }
        fn create(&self, key: &SessionKey, content: Bytes, time: Duration) -> StoreReply<bool> {
            self.0.create(key, content, time)
        }
        fn update(
            &self,
            key: &SessionKey,
            version: u64,
            content: Bytes,
            time: Duration,
        ) -> StoreReply<Updated> {
            let store = self.0.clone();
            let key = *key;
            self.0
                .update(&key, version, content.clone(), time)
                .map(move |updated| {
                    if let Ok(Updated::Missing) = updated {
                        drop(store.create(&key, content, time));
                        return Ok(Updated::Saved);
                    }
                    updated
                })
        }
        fn touch(&self, key: &SessionKey, time: Duration) -> StoreReply<bool> {
            self.0.touch(key, time)
        }
        fn remove(&self, key: &SessionKey) -> StoreReply<bool> {
            self.0.remove(key)
        }
        fn describe(&self) -> Description {
            Description::new("Resurrects")
        }
    }
    let store = Resurrects(MemorySessions::new(100));
    let error = pollster::block_on(super::laws::check_session_store(store)).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("does not bring a removed session back"),
        "{error}"
    );
}

#[test]
fn memory_is_bounded_and_the_oldest_make_room() {
    let clock = Clock::new();
    let timer = clock.clone();
    let store = MemorySessions::new(1_000).clock(move || timer.since());
    let keys: Vec<_> = (0..20_000_u32)
        .map(|id| SessionKey::of_id(&id.to_be_bytes()))
        .collect();
    let hour = Duration::from_secs(3_600);
    let create = |key: &SessionKey| {
        assert!(
            store
                .create(key, Bytes::from_static(b"x"), hour)
                .try_into_ready()
                .unwrap()
                .unwrap()
        );
    };
    let is_there = |key: &SessionKey| store.load(key).try_into_ready().unwrap().unwrap().is_some();
    keys[..500].iter().for_each(create);
    clock.wait(60);
    for (at, key) in keys[500..].iter().enumerate() {
        create(key);
        // These are used all the time.
        if at % 50 == 0 {
            for used in &keys[..10] {
                drop(store.touch(used, hour * 2));
            }
        }
        assert!(store.len() <= 1_000 + 16);
    }
    assert!(keys[..10].iter().all(is_there));
    assert!(!keys[10..500].iter().any(is_there));
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

#[test]
fn a_message_is_shown_once_by_the_next_page_that_is_seen() {
    use crate::Flash;
    let app = |request: Request| -> Result<Response, HttpError> {
        let session = Session::load_now(&request)?;
        if let Some(text) = request.path().strip_prefix("/add/") {
            Flash::new("info", text).add_to(&session)?;
            return Ok(http::StatusCode::SEE_OTHER.into_response());
        }
        let messages = Flash::take(&session)?;
        let texts: Vec<_> = messages.iter().map(Flash::text).collect();
        let status: u16 = request.path().trim_start_matches('/').parse().unwrap();
        let status = http::StatusCode::from_u16(status).unwrap();
        Ok((status, texts.join("+")).into_response())
    };
    for (kind, sessions) in kinds(&Clock::new()) {
        let client = Client::new(Application::new(app).wrap(sessions));
        let mut user = Browser::new(&client);
        user.get("/add/a");
        user.get("/add/b");
        for status in ["/302", "/500", "/503"] {
            assert_eq!(user.get(status), ("a+b".into(), None), "{kind} {status}");
        }
        let cookie = user.cookie.clone().expect("a cookie");
        let ahead = client
            .get("/200")
            .header("cookie", &cookie)
            .header("sec-purpose", "prefetch;prerender");
        assert_eq!(ahead.send().header("set-cookie"), None, "{kind}");
        let head = client
            .request(http::Method::HEAD, "/200")
            .header("cookie", &cookie);
        assert_eq!(head.send().header("set-cookie"), None, "{kind}");
        assert_eq!(user.text("/200"), "a+b", "{kind}");
        assert_eq!(user.text("/200"), "", "{kind}");
        user.get("/add/c");
        assert_eq!([user.text("/422"), user.text("/200")], ["c", ""], "{kind}");
        for text in 0..20 {
            user.get(&format!("/add/{text}"));
        }
        let shown = user.text("/200");
        assert!(
            shown.starts_with("4+") && shown.ends_with("+19"),
            "{kind} {shown}"
        );
    }
}

#[test]
fn a_message_that_was_added_while_a_page_was_made_is_not_lost() {
    use crate::Flash;
    let texts = |session: &Session| {
        let messages = Flash::take(session).unwrap();
        let texts: Vec<_> = messages
            .iter()
            .map(|flash| flash.text().to_owned())
            .collect();
        texts.join("+")
    };
    let store = MemorySessions::new(9);
    let add = |session: &Session, text: &str| Flash::new("info", text).add_to(session).unwrap();
    let simple = Application::new(move |request: Request| -> Result<String, HttpError> {
        let session = Session::load_now(&request)?;
        if let Some(text) = request.query_string() {
            add(&session, text);
            return Ok("added".into());
        }
        Ok(texts(&session))
    });
    let simple = simple.wrap(Sessions::new(store.clone()));
    let mut user = Browser::new(&Client::new(simple.clone()));
    user.get("/?a");
    let cookie = user.cookie.clone().expect("a cookie");
    // Two pages are made at the same time, and a message is added meanwhile.
    let meanwhile = Application::new(move |request: Request| -> Result<String, HttpError> {
        let session = Session::load_now(&request)?;
        let shown = texts(&session);
        for target in ["/", "/?b"] {
            let mut other = Request::get(target);
            other
                .headers_mut()
                .insert("cookie", cookie.parse().unwrap());
            pollster::block_on(simple.call(other));
        }
        // A layout that asks again shows nothing twice.
        Ok(format!("{shown}|{}", texts(&session)))
    });
    let mut late = Browser::new(&Client::new(meanwhile.wrap(Sessions::new(store))));
    late.cookie = user.cookie.clone();
    assert_eq!(late.text("/"), "a|");
    assert_eq!([user.text("/"), user.text("/")], ["b", ""]);
}
