//! Compares the responses of a gateway with those of the application in process.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use enfilade::Application;
use tokio::sync::oneshot;

use super::client::{Asked, Seen, Sent};
use super::every_response;
use super::suite::suite;

/// A change that a web server in front makes to a response.
pub(crate) struct Difference {
    pub(crate) gateways: &'static [&'static str],
    pub(crate) reason: &'static str,
    /// Changes the expected response, or the actual one, so that they are equal again.
    pub(crate) level: fn(&Asked, &mut Seen, &mut Seen),
}

/// A server on a thread, until it is dropped.
pub(crate) struct Running(
    Option<oneshot::Sender<()>>,
    Option<JoinHandle<std::io::Result<()>>>,
);

impl Running {
    pub(crate) fn start<F>(
        serve: impl FnOnce(oneshot::Receiver<()>) -> F + Send + 'static,
    ) -> Running
    where
        F: Future<Output = std::io::Result<()>>,
    {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            runtime.block_on(serve(stopped))
        });
        Running(Some(stop), Some(thread))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.take());
        let ended = self.1.take().unwrap().join();
        if !std::thread::panicking() {
            ended.unwrap().unwrap();
        }
    }
}

pub(crate) fn app() -> Application {
    every_response::app()
}

/// The response to a request without a socket.
fn in_process(asked: &Asked) -> Seen {
    let client = enfilade_testing::Client::new(app());
    let mut request = client
        .request(asked.method.parse().unwrap(), asked.target)
        .peer("127.0.0.1:1".parse().unwrap());
    for (name, value) in asked.headers {
        request = request.header(name, value);
    }
    let response = match &asked.body {
        Sent::None => request,
        Sent::Measured(body) | Sent::Chunked(body) => request.body(body.clone()),
    }
    .send();
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    Seen {
        is_whole: response.body_error().is_none(),
        ..Seen::new(
            response.status().as_u16(),
            headers.collect(),
            response.bytes().to_vec(),
        )
    }
}

/// Sends all requests to one address, and allows responses to differ only in these ways.
pub(crate) fn compare(
    gateway: &str,
    address: SocketAddr,
    prefix: &str,
    differences: &[Difference],
) {
    let known: Vec<_> = differences
        .iter()
        .filter(|difference| difference.gateways.contains(&gateway))
        .collect();
    let mut failures = Vec::new();
    for asked in suite() {
        let mut expected = in_process(&asked);
        let mut found = asked.send(address, prefix);
        for difference in &known {
            (difference.level)(&asked, &mut expected, &mut found);
        }
        if found != expected {
            failures.push(format!(
                "{} {}\n  expected {}\n  found    {}",
                asked.method,
                asked.target,
                brief(&expected),
                brief(&found)
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{gateway}: {}\n{}\nKnown are: {:?}",
        failures.len(),
        failures.join("\n"),
        known
            .iter()
            .map(|difference| difference.reason)
            .collect::<Vec<_>>()
    );
}

fn brief(seen: &Seen) -> String {
    let headers: Vec<_> = seen
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
        .collect();
    let body = String::from_utf8_lossy(&seen.body);
    let body: String = body.chars().take(300).collect();
    format!(
        "{} {headers:?} {} bytes, whole: {}, {body:?}",
        seen.status,
        seen.body.len(),
        seen.is_whole
    )
}
