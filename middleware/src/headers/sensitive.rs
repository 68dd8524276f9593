//! Marks headers with secret values.

use std::sync::Arc;

use enfilade_core::{
    Application, Description, Middleware, OptionValue, Reply, Request, Wrapper, wrapped,
};
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use http::{HeaderMap, HeaderName};

/// Marks the values of some headers as sensitive, on requests and on responses.
///
/// The values do not change. [`AccessLog`](crate::AccessLog) writes `***` for a marked value, `Debug` of the `http`
/// crate writes `Sensitive`, and HTTP/2 keeps it out of its compression table (RFC 7541, section 7.1.3).
///
/// # Order
///
/// Outside everything that logs or shows request headers. A log outside it sees only the marks on responses.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::HeaderName;
/// use enfilade::middleware::Sensitive;
/// use enfilade::{Application, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(|request: Request| format!("{:?}", request.headers()["x-api-key"]));
/// let wrapped = app.wrap(Sensitive::new().header(HeaderName::from_static("x-api-key")));
/// let response = Client::new(wrapped).get("/").header("x-api-key", "secret").send();
/// assert_eq!(response.text(), "Sensitive");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Sensitive {
    names: Vec<HeaderName>,
}

impl Sensitive {
    /// Marks `Authorization`, `Proxy-Authorization`, `Cookie` and `Set-Cookie`.
    pub fn new() -> Self {
        let names = vec![AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE];
        Sensitive { names }
    }

    /// Also marks this header.
    pub fn header(mut self, name: HeaderName) -> Self {
        self.names.push(name);
        self
    }

    fn mark(&self, headers: &mut HeaderMap) {
        for name in &self.names {
            if let http::header::Entry::Occupied(mut entry) = headers.entry(name) {
                entry.iter_mut().for_each(|value| value.set_sensitive(true));
            }
        }
    }
}

impl Default for Sensitive {
    fn default() -> Self {
        Sensitive::new()
    }
}

impl Middleware for Sensitive {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for Sensitive {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        self.mark(request.headers_mut());
        let options = self.clone();
        inner.call(request).update(move |response| {
            options.mark(response.headers_mut());
        })
    }

    fn describe(&self) -> Description {
        Description::new("Sensitive").option("headers", self.names.iter().collect::<OptionValue>())
    }
}

#[cfg(feature = "time")]
#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use enfilade_testing::{Client, Lint};

    use super::*;
    use crate::observe::access_log::AccessLog;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_value_is_marked_on_the_way_in_and_out_and_stays_out_of_the_log() {
        let app = Application::new(|request: Request| {
            let headers = request.headers();
            let marked = |name: &str| {
                headers
                    .get_all(name)
                    .iter()
                    .filter(|value| value.is_sensitive())
                    .count()
            };
            let text = format!(
                "{} {} {}",
                marked("x-key"),
                marked("cookie"),
                marked("x-other")
            );
            (
                [("x-key", "one"), ("x-key", "two"), ("x-other", "three")],
                text,
            )
        });
        let memory = Memory::default();
        let log = AccessLog::format("%{X-Key}i %{X-Other}i %{X-Key}o %{X-Other}o").unwrap();
        let sensitive = Sensitive::new().header(HeaderName::from_static("x-key"));
        let app = app
            .wrap(Lint::new())
            .wrap(log.writer(memory.clone()))
            .wrap(sensitive.clone())
            .wrap(Lint::new())
            .wrap(sensitive);
        let client = Client::new(app);
        let request = client
            .get("/")
            .header("x-key", "1")
            .header("x-key", "2")
            .header("cookie", "a=b");
        let response = request.header("x-other", "3").send();
        assert_eq!(response.text(), "2 1 0");
        let values: Vec<_> = response.headers().get_all("x-key").iter().collect();
        assert!(values.iter().all(|value| value.is_sensitive()));
        assert_eq!(values, ["one", "two"]);
        drop((client, response));
        // The log is inside: it sees the marks of requests, and responses before they are marked.
        let line = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
        assert_eq!(line, "*** 3 one, two three\n");
    }

    #[test]
    fn keeps_the_laws() {
        enfilade_testing::laws::check(Sensitive::new());
    }
}
