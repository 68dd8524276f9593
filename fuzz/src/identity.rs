//! Who a request says it is from, and what its session is.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use enfilade::middleware::{
    Basic, Bearer, CookieKeys, Htpasswd, Identity, Passwords, Session, SessionKey, SessionStore,
    Sessions, StoreReply, StoredSession, Updated,
};
use enfilade::{Application, Description, HttpError, Request};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderValue, StatusCode};

use super::lines;

fn respond(app: &Application, request: Request) -> (StatusCode, Option<HeaderValue>) {
    let response = pollster::block_on(app.call(request));
    let challenge = response.headers().get("www-authenticate").cloned();
    (response.status(), challenge)
}

/// Whatever a client sends, it is the one user or gets a 401 with a challenge.
pub fn credentials(data: &[u8]) {
    static APPS: LazyLock<[Application; 2]> = LazyLock::new(|| {
        let app = Application::new(|request: Request| {
            let name = Identity::of(&request).map(Identity::name);
            assert!(matches!(name, Some("a" | "b")));
        });
        let passwords = Passwords::new().user("a", "b:c");
        let bearer = Bearer::new("realm", |token| (token == "b").then(|| Identity::new("b")));
        [
            app.clone()
                .wrap(Basic::new("realm", passwords).expect("a realm")),
            app.wrap(bearer.expect("a realm")),
        ]
    });
    for app in &*APPS {
        let mut request = Request::get("/");
        request.headers_mut().extend(lines(data, &AUTHORIZATION));
        let sent = request.headers().get_all(AUTHORIZATION).iter().count();
        let (status, challenge) = respond(app, request);
        assert_eq!(status == StatusCode::UNAUTHORIZED, challenge.is_some());
        assert!(
            status == StatusCode::UNAUTHORIZED
                || status == StatusCode::NO_CONTENT
                || status.is_success()
        );
        assert!(sent == 1 || status == StatusCode::UNAUTHORIZED);
    }
}

/// A file is read, or its error is one line that names one of its lines.
pub fn htpasswd(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Err(error) = Htpasswd::parse(&text) {
        let error = error.to_string();
        assert!(
            error.starts_with("line ") && !error.contains('\n'),
            "{error}"
        );
    }
}

/// A store that has these bytes for every session.
struct Says(Bytes);

impl SessionStore for Says {
    fn load(&self, _: &SessionKey) -> StoreReply<Option<StoredSession>> {
        let time = Duration::from_secs(60);
        StoreReply::new(Ok(Some(StoredSession::new(self.0.clone(), 1, time))))
    }

    fn create(&self, _: &SessionKey, _: Bytes, _: Duration) -> StoreReply<bool> {
        StoreReply::new(Ok(true))
    }

    fn update(&self, _: &SessionKey, _: u64, content: Bytes, _: Duration) -> StoreReply<Updated> {
        assert!(content.len() <= self.0.len() + 64);
        StoreReply::new(Ok(Updated::Saved))
    }

    fn touch(&self, _: &SessionKey, _: Duration) -> StoreReply<bool> {
        StoreReply::new(Ok(true))
    }

    fn remove(&self, _: &SessionKey) -> StoreReply<bool> {
        StoreReply::new(Ok(true))
    }

    fn describe(&self) -> Description {
        Description::new("Says")
    }
}

fn count(request: Request) -> Result<String, HttpError> {
    let session = Session::load_now(&request)?;
    let value = session.get::<serde_json::Value>("a");
    session.insert("own", &1)?;
    Ok(format!("{} {value:?}", session.is_new()?))
}

/// Any cookie, and any content of a store, is a session or none. No cookie is a session that the server did not make.
pub fn sessions(data: &[u8]) {
    static SEALED: LazyLock<Application> = LazyLock::new(|| {
        let keys = CookieKeys::new(&[7; 32]).expect("a secret");
        Application::new(count).wrap(Sessions::encrypted(keys))
    });
    let mut request = Request::get("/");
    request.headers_mut().extend(lines(data, &COOKIE));
    let response = pollster::block_on(SEALED.call(request));
    let text = pollster::block_on(response.into_body().collect(1_000)).expect("a text");
    assert!(text.starts_with(b"true "), "{text:?}");

    let app = Application::new(count).wrap(Sessions::new(Says(Bytes::copy_from_slice(data))));
    let mut request = Request::get("/");
    let cookie = HeaderValue::from_static("__Host-session=AAAAAAAAAAAAAAAAAAAAAA");
    request.headers_mut().insert(COOKIE, cookie);
    assert_eq!(respond(&app, request).0, StatusCode::OK);
}
