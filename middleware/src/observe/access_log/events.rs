//! Log lines as events of `tracing`.

use std::io::{self, Write};

/// Sends each line of an [`AccessLog`](crate::AccessLog) to `tracing`, as the message of an event.
///
/// The events have the target `enfilade::access_log` and the level `INFO`. They come from the log's thread, outside any
/// span, so a slow subscriber never delays a request. Needs the feature `tracing`.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{AccessLog, TracingEvents};
/// use enfilade::{Application, Request};
///
/// let log = AccessLog::json().writer(TracingEvents::new());
/// let app = Application::new(|_: Request| "x").wrap(log);
/// # let response = pollster::block_on(app.call(Request::get("/")));
/// # assert_eq!(response.status(), 200);
/// ```
#[derive(Debug, Default)]
#[must_use = "a writer that nothing is written to"]
pub struct TracingEvents {
    /// The start of an incomplete line.
    rest: Vec<u8>,
}

impl TracingEvents {
    /// Makes a writer of events.
    pub fn new() -> Self {
        TracingEvents::default()
    }
}

impl Write for TracingEvents {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.rest.extend_from_slice(part);
            if let [line @ .., b'\n'] = self.rest.as_slice() {
                let line = String::from_utf8_lossy(line);
                tracing::info!(target: "enfilade::access_log", "{line}");
                self.rest.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::*;

    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Seen {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            let metadata = event.metadata();
            assert_eq!(*metadata.level(), Level::INFO);
            assert_eq!(metadata.target(), "enfilade::access_log");
            event.record(&mut self.clone());
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    impl Visit for Seen {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            let text = format!("{}={value:?}", field.name());
            self.0.lock().unwrap().push(text);
        }
    }

    #[test]
    fn each_line_is_an_event() {
        let seen = Seen::default();
        tracing::subscriber::with_default(seen.clone(), || {
            let mut events = TracingEvents::new();
            events.write_all(b"one\ntwo {}\nthr").unwrap();
            events.write_all(b"ee\n").unwrap();
            events.write_all(b"never").unwrap();
            events.flush().unwrap();
        });
        let seen = seen.0.lock().unwrap();
        assert_eq!(*seen, ["message=one", "message=two {}", "message=three"]);
    }
}
