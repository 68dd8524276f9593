//! Messages for the next page.

use super::*;
use crate::Flash;

#[test]
fn a_message_is_shown_once_by_the_next_page_that_is_seen() {
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
