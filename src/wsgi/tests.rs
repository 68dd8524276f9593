use std::io::{BufRead, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use bytes::Bytes;
use enfilade_core::Body;
use enfilade_testing::{Client, Lint};

use super::*;

fn client<F, I>(callable: F) -> Client
where
    F: Fn(Environ, StartResponse) -> Result<I, HttpError> + Send + Sync + 'static,
    I: IntoIterator<Item: IntoChunk>,
{
    Client::new(
        Options::new()
            .errors(std::io::sink())
            .application(callable)
            .wrap(Lint::new()),
    )
}

/// An iterable that counts how often it was dropped.
struct Closing<I>(I, Arc<AtomicUsize>);

impl<I: Iterator> Iterator for Closing<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }
}

impl<I> Drop for Closing<I> {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits until the call has dropped its iterable, at most five seconds.
fn closed(count: &AtomicUsize) -> usize {
    for _ in 0..500 {
        if count.load(Ordering::SeqCst) > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    count.load(Ordering::SeqCst)
}

#[test]
fn one_byte_string_has_a_length_and_more_are_streamed() {
    let one = client(|_, start_response| {
        start_response("200 OK", &[("Content-Type", "text/plain")])?;
        Ok(["only"])
    });
    let response = one.get("/").send();
    assert_eq!(
        (response.header("content-length"), response.text().as_ref()),
        (Some("4"), "only")
    );
    let many = client(|_, start_response| {
        start_response("200 OK", &[])?;
        Ok(vec!["", "a", "", "b"])
    });
    let response = many.get("/").send();
    assert_eq!(
        (response.header("content-length"), response.text().as_ref()),
        (None, "ab")
    );
    let none = client(|_, start_response| {
        start_response("200 OK", &[])?;
        Ok(Vec::<Bytes>::new())
    });
    let response = none.get("/").send();
    assert_eq!(
        (response.header("content-length"), response.text().as_ref()),
        (Some("0"), "")
    );
}

#[test]
fn a_missing_second_or_invalid_start_is_a_500() {
    let never = client(|_, _| Ok(["x"]));
    assert_eq!(never.get("/").send().status(), 500);
    let never_and_nothing = client(|_, _| Ok([""; 0]));
    assert_eq!(never_and_nothing.get("/").send().status(), 500);
    let twice = client(|_, start_response| {
        start_response("200 OK", &[])?;
        start_response("200 OK", &[])?;
        Ok(["x"])
    });
    assert_eq!(twice.get("/").send().status(), 500);
    let split = client(|_, start_response| {
        start_response("200 OK", &[("X-A", "1\r\nX-Forged: 1")])?;
        Ok(["x"])
    });
    let response = split.get("/").send();
    assert_eq!(
        (response.status().as_u16(), response.header("x-forged")),
        (500, None)
    );
    let panics = client(|_, start_response| {
        start_response("200 OK", &[])?;
        if true {
            panic!("boom");
        }
        Ok(["x"])
    });
    let response = panics.get("/").send();
    assert_eq!(
        (response.status().as_u16(), response.text().as_ref()),
        (500, "Internal Server Error")
    );
}

#[test]
fn an_error_before_the_first_byte_replaces_the_response() {
    let app = client(|_, start_response| {
        start_response("200 OK", &[("X-Old", "1")])?;
        let items: [Result<&str, HttpError>; 2] =
            [Ok(""), Err(HttpError::new(http::StatusCode::CONFLICT))];
        Ok(items)
    });
    let response = app.get("/").send();
    assert_eq!(
        (
            response.status().as_u16(),
            response.header("x-old"),
            response.text().as_ref()
        ),
        (409, None, "Conflict")
    );
    let app = client(|_, start_response| {
        start_response("200 OK", &[("X-Old", "1")])?;
        start_response.replace("503 Later", &[("X-New", "1")])?;
        Ok(["later"])
    });
    let response = app.get("/").send();
    assert_eq!(
        (
            response.status().as_u16(),
            response.header("x-old"),
            response.header("x-new")
        ),
        (503, None, Some("1"))
    );
}

#[test]
fn an_error_after_the_first_byte_aborts_the_response() {
    let closes = Arc::new(AtomicUsize::new(0));
    let count = closes.clone();
    let refused = Arc::new(Mutex::new(None));
    let seen = refused.clone();
    let app = client(move |_, start_response| {
        start_response("200 OK", &[])?;
        let seen = seen.clone();
        let items = (0..).map(move |at| match at {
            0 => Ok("sent"),
            _ => {
                *seen.lock().unwrap() = start_response.replace("500 Oops", &[]).err();
                Err(HttpError::from(std::io::Error::other("disk")))
            }
        });
        Ok(Closing(items, count.clone()))
    });
    let response = app.get("/").send();
    assert_eq!(
        (response.status().as_u16(), response.text().as_ref()),
        (200, "sent")
    );
    assert!(response.body_error().is_some());
    assert_eq!(closed(&closes), 1);
    assert_eq!(*refused.lock().unwrap(), Some(StartError::Sent));
}

#[test]
fn start_response_may_come_with_the_first_byte() {
    let app = client(|_, start_response| {
        let mut start_response = Some(start_response);
        Ok((0..3).map(move |at| -> Result<String, HttpError> {
            match at {
                0 => return Ok(String::new()),
                1 => drop(start_response.take().expect("first")("201 Created", &[])?),
                _ => {}
            }
            Ok(at.to_string())
        }))
    });
    let response = app.get("/").send();
    assert_eq!(
        (response.status().as_u16(), response.text().as_ref()),
        (201, "12")
    );
}

#[test]
fn the_iterable_is_dropped_when_the_client_disconnects() {
    let closes = Arc::new(AtomicUsize::new(0));
    let count = closes.clone();
    let app = client(move |_, start_response| {
        start_response("200 OK", &[])?;
        Ok(Closing(std::iter::repeat("endless "), count.clone()))
    });
    let mut response = app.get("/").send_head();
    assert!(
        pollster::block_on(response.body_mut().frame())
            .unwrap()
            .is_ok()
    );
    drop(response);
    assert_eq!(closed(&closes), 1);
}

#[test]
fn head_stops_the_iterable_after_its_head() {
    let closes = Arc::new(AtomicUsize::new(0));
    let count = closes.clone();
    let app = client(move |_, start_response| {
        start_response("200 OK", &[("Content-Length", "12345")])?;
        Ok(Closing(std::iter::repeat("endless "), count.clone()))
    });
    let response = app.head("/").send();
    assert_eq!(
        (response.header("content-length"), response.text().as_ref()),
        (Some("12345"), "")
    );
    assert_eq!(closed(&closes), 1);
}

#[test]
fn content_length_is_enforced() {
    let says = |length: &'static str, items: Vec<&'static str>| {
        client(move |_, start_response| {
            start_response("200 OK", &[("Content-Length", length)])?;
            Ok(items.clone())
        })
        .get("/")
        .send()
    };
    let exact = says("4", vec!["ab", "cd"]);
    assert_eq!(
        (exact.text().as_ref(), exact.body_error().is_none()),
        ("abcd", true)
    );
    let long = says("3", vec!["ab", "cd", "ef"]);
    assert_eq!(
        (long.text().as_ref(), long.body_error().is_none()),
        ("abc", true)
    );
    let long = says("3", vec!["abcd"]);
    assert_eq!(
        (long.text().as_ref(), long.header("content-length")),
        ("abc", Some("3"))
    );
    assert_eq!(says("5", vec!["abcd"]).status(), 500);
    assert_eq!(says("5", vec![]).status(), 500);
}

#[test]
fn a_short_stream_is_aborted() {
    let app = Options::new()
        .errors(std::io::sink())
        .application(|_, start_response| {
            start_response("200 OK", &[("Content-Length", "5")])?;
            Ok(["ab", "cd"].into_iter().filter(|_| true))
        });
    // Without Lint, which would report the error too, to see the same as the client.
    let response = Client::new(app).get("/").send();
    assert_eq!(response.text(), "abcd");
    assert!(response.body_error().is_some());
}

#[test]
fn write_sends_before_the_iterable() {
    let app = client(|_, start_response| {
        let mut write = start_response("200 OK", &[])?;
        write.write_all(b"first, ")?;
        write.write_all(b"second, ")?;
        Ok(["third"])
    });
    assert_eq!(app.get("/").send().text(), "first, second, third");
}

#[test]
fn input_is_read_as_it_arrives() {
    let app = client(|mut environ, start_response| {
        let mut line = String::new();
        environ.input().read_line(&mut line)?;
        let mut rest = String::new();
        environ.input().read_to_string(&mut rest)?;
        start_response("200 OK", &[])?;
        Ok([format!("{}|{}", line.trim_end(), rest.len())])
    });
    let response = app
        .post("/")
        .body(Body::from_iterator(["on", "e\ntw", "o\nthree"]))
        .send();
    assert_eq!(response.text(), "one|9");
    assert_eq!(app.get("/").send().text(), "|0");
}

#[test]
fn input_that_breaks_off_is_an_error() {
    let app = client(|mut environ, start_response| {
        let error = environ.input().read_to_end(&mut Vec::new()).unwrap_err();
        start_response("400 Bad Request", &[])?;
        Ok([format!("{:?}", error.kind())])
    });
    struct Cut;
    impl futures_core::Stream for Cut {
        type Item = Result<Bytes, &'static str>;
        fn poll_next(
            self: std::pin::Pin<&mut Self>,
            _context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            std::task::Poll::Ready(Some(Err("gone")))
        }
    }
    assert_eq!(
        app.post("/").body(Body::from_stream(Cut)).send().text(),
        "ConnectionAborted"
    );
}

#[test]
fn errors_are_reported_on_one_line() {
    let (sender, receiver) = mpsc::channel();
    struct Sink(mpsc::Sender<Vec<u8>>);
    impl Write for Sink {
        fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
            self.0.send(buffer.to_vec()).unwrap();
            Ok(buffer.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let app = Options::new().errors(Sink(sender)).application(
        |environ, _| -> Result<[&str; 1], HttpError> {
            writeln!(environ.errors(), "from the application")?;
            Err(std::io::Error::other("forged\nline").into())
        },
    );
    assert_eq!(Client::new(app).get("/").send().status(), 500);
    let text: Vec<u8> = receiver.try_iter().flatten().collect();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(
        text,
        "from the application\nenfilade::wsgi: 500 Internal Server Error: forged\\nline\n"
    );
}

#[test]
fn calls_beyond_the_backlog_get_503() {
    let (started, wait_started) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock().unwrap();
    let waits = gate.clone();
    let app = Options::new()
        .threads(1)
        .backlog(0)
        .application(move |_, start_response| {
            started.send(()).unwrap();
            drop(waits.lock());
            start_response("200 OK", &[])?;
            Ok(["done"])
        });
    let first = Client::new(app.clone());
    let first = std::thread::spawn(move || first.get("/").send().text().to_string());
    wait_started.recv().unwrap();
    let refused = Client::new(app).get("/").send();
    assert_eq!(
        (refused.status().as_u16(), refused.header("retry-after")),
        (503, Some("1"))
    );
    drop(held);
    assert_eq!(first.join().unwrap(), "done");
}

#[test]
fn describes_the_callable() {
    let app = application(|_, start_response| {
        start_response("200 OK", &[])?;
        Ok([""])
    });
    let tree = app.describe();
    assert_eq!(tree.name(), "closure in describes_the_callable");
    assert_eq!(
        tree.options().collect::<Vec<_>>(),
        [("form", &"WSGI".into()), ("threads", &64.into())]
    );
}

#[test]
fn the_environ_has_what_the_standards_name() {
    let app = client(|environ, start_response| {
        start_response("200 OK", &[("Content-Type", "text/plain; charset=utf-8")])?;
        let names = ["SERVER_NAME", "PATH_INFO", "wsgi.input_terminated"];
        let values = names.map(|name| environ.get(name).unwrap_or_default().into_owned());
        Ok([values.join(" ")])
    });
    let connection = enfilade_core::Connection::default().with_local("[::1]:80".parse().unwrap());
    let response = app.get("/a%FFb").connection(connection).send();
    assert_eq!(response.text(), "[::1] /a\u{ff}b true");
}

#[test]
fn a_response_to_head_without_a_body_has_no_length() {
    let app = client(|_, start_response| {
        start_response("200 OK", &[("Content-Type", "text/plain")])?;
        Ok([""; 0])
    });
    assert_eq!(app.head("/").send().header("content-length"), None);
    assert_eq!(app.get("/").send().header("content-length"), Some("0"));
}
