//! Sessions, CSRF and logins: `state KIND 0` measures calls; `store`, `memory`, `lost` and `auth` print figures.
//!
//! | kind | |
//! |---|---|
//! | `bare`, `untouched` | a short response, without and with `Sessions` around that nothing reads |
//! | `get-bare`, `get-csrf` | a GET, without and with `Csrf` |
//! | `post-bare`, `post-csrf` | a POST of the site's own page, without and with `Csrf` |
//! | `sealed`, `memory-touched` | a session of 200 bytes that is read and changed: in an encrypted cookie, in memory |
//! | `read` | the same in memory, only read |
//! | `store` | a load of `MemorySessions`, in nanoseconds |
//! | `memory` | bytes of a session in memory, beside its content |
//! | `auth` | logins: known and unknown names, a password that is remembered, a list of networks |
//! | `lost` | increments that are lost if 64 requests of one session run at the same time: ours, tower-sessions, salvo |

mod auth;
mod lost;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use enfilade::bytes::Bytes;
use enfilade::middleware::{
    CookieKeys, Csrf, MemorySessions, Session, SessionKey, SessionStore, Sessions,
};
use enfilade::{Application, HttpError, IntoResponse, Request, Response};
use http::{HeaderValue, Method};

const HOUR: Duration = Duration::from_secs(3_600);

/// Reads a value of 200 bytes and changes another.
fn touches(request: Request) -> Result<Response, HttpError> {
    let session = Session::load_now(&request)?;
    let text: Option<String> = session.get("text")?;
    if text.is_none() {
        session.insert("text", &"x".repeat(200))?;
    }
    let count = session.update("count", |count: Option<u64>| count.unwrap_or(0) + 1)?;
    Ok(count.to_string().into_response())
}

fn reads(request: Request) -> Result<Response, HttpError> {
    let session = Session::load_now(&request)?;
    let text: Option<String> = session.get("text")?;
    if text.is_none() {
        session.insert("text", &"x".repeat(200))?;
    }
    Ok(layers::TEXT.into_response())
}

fn keys() -> CookieKeys {
    CookieKeys::new(&[7; 32]).expect("a secret")
}

/// The time that a load takes.
fn store() {
    let store = MemorySessions::new(1_000_000);
    let keys: Vec<SessionKey> = (0..100_000_u32)
        .map(|id| SessionKey::of_id(&id.to_be_bytes()))
        .collect();
    for key in &keys {
        drop(store.create(key, Bytes::from(vec![b'x'; 200]), HOUR));
    }
    let mut times: Vec<u128> = (0..11)
        .map(|_| {
            let start = Instant::now();
            for key in &keys {
                let found = store.load(key).try_into_ready().expect("at once");
                assert!(found.expect("a store").is_some());
            }
            start.elapsed().as_nanos() / keys.len() as u128
        })
        .collect();
    times.sort_unstable();
    println!("{} ns for a load among 100,000", times[times.len() / 2]);
}

/// The bytes that a session takes beside its content.
fn memory() {
    const SESSIONS: u32 = 1_000_000;
    const CONTENT: usize = 200;
    let before = resident();
    let store = MemorySessions::new(SESSIONS as usize * 2);
    for id in 0..SESSIONS {
        let key = SessionKey::of_id(&id.to_be_bytes());
        drop(store.create(&key, Bytes::from(vec![b'x'; CONTENT]), HOUR));
    }
    let each = (resident() - before) / SESSIONS as usize;
    println!(
        "{each} bytes for each of {} sessions, {} beside its content",
        store.len(),
        each - CONTENT
    );
}

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number
        .and_then(|number| number.parse::<usize>().ok())
        .expect("a number")
        * 1024
}

fn main() {
    let (kind, _) = layers::arguments();
    let text = || Application::new(|_: Request| Response::new(layers::TEXT.into()));
    let app = match &*kind {
        "store" => return store(),
        "memory" => return memory(),
        "lost" => return lost::compare(),
        "auth" => return auth::print(),
        "bare" | "get-bare" | "post-bare" => text(),
        "untouched" => text().wrap(Sessions::new(MemorySessions::new(1_000))),
        "get-csrf" | "post-csrf" => text().wrap(Csrf::new()),
        "sealed" => Application::new(touches).wrap(Sessions::encrypted(keys())),
        "memory-touched" => {
            Application::new(touches).wrap(Sessions::new(MemorySessions::new(1_000)))
        }
        "read" => Application::new(reads).wrap(Sessions::new(MemorySessions::new(1_000))),
        _ => panic!("no such kind: {kind}"),
    };
    static COOKIE: OnceLock<HeaderValue> = OnceLock::new();
    let cookie = COOKIE.get_or_init(|| {
        let response = pollster::block_on(app.call(Request::get("/")));
        let set = response
            .headers()
            .get("set-cookie")
            .and_then(|set| set.to_str().ok());
        let pair = set.and_then(|set| set.split(';').next()).unwrap_or("a=b");
        HeaderValue::from_str(pair).expect("a cookie")
    });
    layers::measure(0, || {
        let mut request = Request::get("/");
        if kind.starts_with("post") {
            *request.method_mut() = Method::POST;
        }
        let headers = request.headers_mut();
        headers.insert("host", HeaderValue::from_static("example.org"));
        headers.insert("cookie", cookie.clone());
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        let response = pollster::block_on(app.call(request));
        assert_eq!(response.status(), 200);
        0
    });
}
