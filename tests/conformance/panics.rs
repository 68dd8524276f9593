//! Records panics by thread: a panic in a server becomes a message, not output on the terminal.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, Once};

use enfilade::unpoisoned;

use crate::observed::Log;

static LOGS: Mutex<Option<HashMap<String, Log>>> = Mutex::new(None);

/// Returns the log to which panics of the thread of this name go from now on.
pub(crate) fn of_thread(name: &str) -> Log {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| match log_of_this_thread() {
            Some(mut log) => {
                let _ = writeln!(log, "{panic}");
            }
            None => usual(panic),
        }));
    });
    let mut logs = unpoisoned(LOGS.lock());
    let logs = logs.get_or_insert_default();
    logs.entry(name.to_owned()).or_default().clone()
}

fn log_of_this_thread() -> Option<Log> {
    let thread = std::thread::current();
    let logs = unpoisoned(LOGS.lock());
    logs.as_ref()?.get(thread.name()?).cloned()
}

#[cfg(test)]
mod tests {
    use enfilade::{Application, Request};
    use serde_json::json;

    use crate::observed::Recorder;
    use crate::request;
    use crate::transport::TRANSPORTS;

    #[test]
    fn a_panic_is_seen_over_every_transport() {
        fn response(_: Request) -> &'static str {
            panic!("seen")
        }
        let wanted = request::parse(&json!({"method": "GET", "target": "/"})).unwrap();
        for transport in &TRANSPORTS {
            let app = Application::new(response);
            let mut session = (transport.open)(app, &Recorder::default()).unwrap();
            let _log_of_this_thread = session.panics();
            assert_eq!(session.send(&wanted).unwrap().status, 500);
            let text = session.panics().lines().join(" ");
            assert!(text.ends_with(" seen"), "{}: {text}", transport.name);
        }
    }
}
