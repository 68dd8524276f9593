//! Tries applications in turn until one handles the request.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade_core::{
    Application, Body, BodyError, Description, Handler, IntoHandler, OptionValue, Reply, Request,
    Response, unpoisoned,
};
use http::StatusCode;
use http_body::{Body as HttpBody, Frame};

use crate::error::Error;
use crate::shared::valid_status::ValidStatus;
use enfilade_core::Pass;

/// Tries applications in turn until a response is neither 404 nor 405 and has no [`Pass`].
///
/// If all pass, the last response is returned as it is. The body of a response that is passed over is dropped before
/// the next application is called. Without applications, the response is a 404 without a body.
///
/// Each application gets the original request. If the request body is in memory, all of them get it. A streamed body is
/// read once: an application that reads it after another one did gets an error, because half a body must not be taken
/// for a whole one. Put applications that read bodies last, or [keep bodies](Cascade::replay_bodies) up to a limit.
///
/// # Order
///
/// It is an application. Put it inside logs, compression and header wrappers. Unlike [`NotFound`](crate::NotFound), it
/// also passes over responses with content.
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::StatusCode;
/// use enfilade::middleware::Cascade;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let one = Application::new(|request: Request| match request.path() {
///     "/one" => Ok("from the first"),
///     _ => Err(enfilade::HttpError::new(StatusCode::NOT_FOUND)),
/// });
/// let two = Application::new(|_: Request| "from the second");
/// let client = Client::new(Cascade::new([one, two]));
/// assert_eq!(client.get("/one").send().text(), "from the first");
/// assert_eq!(client.get("/two").send().text(), "from the second");
/// ```
#[derive(Clone, Debug)]
pub struct Cascade(Arc<CascadeOptions>);

#[derive(Clone, Debug)]
struct CascadeOptions {
    apps: Vec<Application>,
    pass_on: Vec<StatusCode>,
    replay_limit: usize,
}

impl Cascade {
    /// Tries these applications, in this order.
    ///
    /// Closures have different types, so add each with its own [`or`](Cascade::or).
    pub fn new<M>(apps: impl IntoIterator<Item: IntoHandler<M>>) -> Self {
        let pass_on = vec![StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
        Cascade(Arc::new(CascadeOptions {
            apps: apps
                .into_iter()
                .map(IntoHandler::into_application)
                .collect(),
            pass_on,
            replay_limit: 0,
        }))
    }

    /// Adds an application after the others.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::Request;
    /// use enfilade::middleware::{Cascade, Pass};
    /// use enfilade_testing::Client;
    ///
    /// let cascade = Cascade::new([|_: Request| Pass]).or(async |_: Request| "second");
    /// assert_eq!(Client::new(cascade).get("/").send().text(), "second");
    /// ```
    #[must_use]
    pub fn or<M>(mut self, app: impl IntoHandler<M>) -> Self {
        Arc::make_mut(&mut self.0).apps.push(app.into_application());
        self
    }

    /// Sets the statuses that are passed over; 404 and 405 by default.
    ///
    /// # Errors
    ///
    /// If a status is not between 400 and 599.
    pub fn pass_on(
        mut self,
        statuses: impl IntoIterator<Item = StatusCode>,
    ) -> Result<Self, Error> {
        let statuses = statuses.into_iter();
        let statuses = statuses.map(|status| ValidStatus::Error.check(status));
        Arc::make_mut(&mut self.0).pass_on = statuses.collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Keeps request bodies of up to this many bytes, so that every application can read them; 0 by default.
    ///
    /// The first application is called when the whole body has arrived. Only the first application that reads a longer
    /// body gets it.
    #[must_use]
    pub fn replay_bodies(mut self, bytes: usize) -> Self {
        Arc::make_mut(&mut self.0).replay_limit = bytes;
        self
    }

    /// Calls the applications from `at` on; a pending reply continues by itself.
    fn call_from(&self, mut at: usize, request: Request, body: SharedBody) -> Reply {
        loop {
            let Some(app) = self.0.apps.get(at) else {
                return Reply::new(StatusCode::NOT_FOUND);
            };
            let is_last = at + 1 == self.0.apps.len();
            let mut head = request.clone_head();
            *head.body_mut() = body.body();
            let reply = app.call(head);
            if is_last {
                return reply;
            }
            match reply.try_into_response() {
                Ok(response) if !self.passes(&response) => return response.into(),
                Ok(response) => response.into_body().discard(),
                Err(pending) => return self.clone().wait(pending, at + 1, request, body),
            }
            at += 1;
        }
    }

    fn wait(self, pending: Reply, at: usize, request: Request, body: SharedBody) -> Reply {
        Reply::from_future(async move {
            let response = pending.await;
            if !self.passes(&response) {
                return response;
            }
            // The client is still connected, so the body reports a successful end.
            response.into_body().discard();
            self.call_from(at, request, body).await
        })
    }

    fn passes(&self, response: &Response) -> bool {
        self.0.pass_on.contains(&response.status()) || response.extensions().get::<Pass>().is_some()
    }
}

impl Handler for Cascade {
    fn call(&self, mut request: Request) -> Reply {
        let mut body = request.take_body();
        let limit = self.0.replay_limit;
        if limit == 0 || body.as_bytes().is_some() {
            return self.call_from(0, request, SharedBody::new(body));
        }
        let cascade = self.clone();
        Reply::from_future(async move {
            body.peek(limit).await;
            cascade.call_from(0, request, SharedBody::new(body)).await
        })
    }

    fn describe(&self) -> Description {
        let statuses = self.0.pass_on.iter().collect::<OptionValue>();
        let description = Description::new("Cascade").option("pass_on", statuses);
        self.0
            .apps
            .iter()
            .fold(description, |all, app| all.child("", app.describe()))
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let apps = self.0.apps.iter().cloned().map(change).collect();
        let inner = CascadeOptions {
            apps,
            ..CascadeOptions::clone(&self.0)
        };
        Some(Application::from_handler(Cascade(Arc::new(inner))))
    }
}

/// A request body that several applications may read.
enum SharedBody {
    Memory(Bytes),
    /// Taken by the first application that reads it.
    Stream(Arc<Mutex<Option<Body>>>),
}

impl SharedBody {
    fn new(body: Body) -> SharedBody {
        match body.as_bytes().cloned() {
            Some(bytes) => SharedBody::Memory(bytes),
            None => SharedBody::Stream(Arc::new(Mutex::new(Some(body)))),
        }
    }

    fn body(&self) -> Body {
        match self {
            SharedBody::Memory(bytes) => Body::from(bytes.clone()),
            SharedBody::Stream(slot) => Body::new(LentBody {
                slot: slot.clone(),
                mine: None,
            }),
        }
    }
}

/// The body while one application has it.
struct LentBody {
    slot: Arc<Mutex<Option<Body>>>,
    mine: Option<Body>,
}

impl HttpBody for LentBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.mine.is_none() {
            let mut slot = unpoisoned(this.slot.lock());
            this.mine = slot.take();
        }
        match &mut this.mine {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(Some(Err(BodyError::new(
                "an application before this one has read the body",
            )))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use enfilade_core::{HttpError, IntoResponse};
    use enfilade_testing::{Client, Lint, laws};

    use super::*;

    /// The `Allow` header that a 405 must have.
    const ALLOW: [(&str, &str); 1] = [("allow", "GET")];

    fn fixed(status: u16, text: &'static str) -> Application {
        let status = StatusCode::from_u16(status).unwrap();
        Application::new(move |_: Request| (status, ALLOW, text))
    }

    fn later(status: u16, text: &'static str) -> Application {
        let status = StatusCode::from_u16(status).unwrap();
        Application::new(move |_: Request| async move { (status, ALLOW, text) })
    }

    fn client(cascade: Cascade) -> Client {
        Client::new(Application::new(cascade).wrap(Lint::new()))
    }

    #[test]
    fn only_errors_are_passed_over() {
        let pass_on = |status: u16| {
            let statuses = [404, status].map(|status| StatusCode::from_u16(status).unwrap());
            Cascade::new([fixed(404, "a")]).pass_on(statuses)
        };
        assert!(pass_on(410).is_ok());
        let error = pass_on(200).unwrap_err();
        assert_eq!(
            error.to_string(),
            "200 is not a valid status here: use 400 to 599"
        );
    }

    #[test]
    fn returns_the_first_response_that_does_not_pass() {
        let defaults = |apps: Vec<Application>| Cascade::new(apps);
        let cases = [
            (defaults(vec![fixed(404, "a"), fixed(200, "b")]), 200, "b"),
            (
                defaults(vec![later(404, "a"), fixed(405, "b"), later(200, "c")]),
                200,
                "c",
            ),
            (defaults(vec![fixed(500, "a"), fixed(200, "b")]), 500, "a"),
            (defaults(vec![later(403, "a"), fixed(200, "b")]), 403, "a"),
            (
                defaults(vec![fixed(404, "a"), later(404, "last")]),
                404,
                "last",
            ),
            (defaults(vec![]), 404, ""),
            (
                defaults(vec![fixed(405, "a"), fixed(200, "b")])
                    .pass_on([StatusCode::NOT_FOUND])
                    .unwrap(),
                405,
                "a",
            ),
            (
                defaults(vec![Application::new(|_: Request| Pass), fixed(200, "b")])
                    .pass_on([])
                    .unwrap(),
                200,
                "b",
            ),
        ];
        for (cascade, status, text) in cases {
            let name = format!("{cascade:?}");
            let response = client(cascade).get("/").send();
            assert_eq!(
                (response.status().as_u16(), response.text().as_ref()),
                (status, text),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_passed_over_is_dropped_before_the_next_is_called() {
        let ended = Arc::new(AtomicUsize::new(0));
        let (counts, seen) = (ended.clone(), ended.clone());
        let first = Application::new(move |_: Request| {
            let counts = counts.clone();
            let mut response = (StatusCode::NOT_FOUND, "not sent").into_response();
            let body = std::mem::take(response.body_mut());
            *response.body_mut() = body.on_end(move |_| {
                let _ = counts.fetch_add(1, Ordering::SeqCst);
            });
            response
        });
        let second = Application::new(move |_: Request| seen.load(Ordering::SeqCst).to_string());
        assert_eq!(
            client(Cascade::new([first, second])).get("/").send().text(),
            "1"
        );
    }

    fn reading(status: u16) -> Application {
        let status = StatusCode::from_u16(status).unwrap();
        Application::new(move |mut request: Request| async move {
            let body = request.take_body().collect(1_000).await?;
            Ok::<_, HttpError>((status, body))
        })
    }

    #[test]
    fn a_body_in_memory_is_for_all_and_a_stream_for_the_first_reader() {
        let stream = || Body::from_iterator(["ab", "cd"]);
        let both = client(Cascade::new([reading(404), reading(200)]));
        assert_eq!(both.post("/").body("abcd").send().text(), "abcd");
        assert_eq!(both.post("/").body(stream()).send().status(), 400);
        let second = client(Cascade::new([fixed(404, ""), reading(200)]));
        assert_eq!(second.post("/").body(stream()).send().text(), "abcd");
    }

    #[test]
    fn bodies_up_to_a_size_can_be_kept_for_all() {
        let both = client(Cascade::new([reading(404), reading(200)]).replay_bodies(4));
        let post =
            |chunks: [&'static str; 2]| both.post("/").body(Body::from_iterator(chunks)).send();
        assert_eq!(post(["ab", "cd"]).text(), "abcd");
        assert_eq!(post(["abc", "de"]).status(), 400);
        let second = client(Cascade::new([fixed(404, ""), reading(200)]).replay_bodies(4));
        let long = second
            .post("/")
            .body(Body::from_iterator(["abc", "def", "ghi"]))
            .send();
        assert_eq!(long.text(), "abcdefghi");
    }

    #[test]
    fn keeps_the_laws() {
        laws::check(|app: Application| {
            Application::new(Cascade::new([fixed(404, "miss"), app]).replay_bodies(1_000))
        });
        laws::check(|app: Application| Application::new(Cascade::new([fixed(404, "miss"), app])));
    }
}
