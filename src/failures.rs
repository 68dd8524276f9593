//! What is done when a request fails.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, LazyLock};

use enfilade_core::{BodyError, BodyErrorKind, HttpError, RequestIdValue, Response};
use http::StatusCode;

/// How many characters of an error are shown.
const MAX_TEXT: usize = 2_000;
/// How many causes of an error are shown: one may be its own.
const MAX_CAUSES: usize = 16;
/// How many lines wait until standard error takes them; those beyond are counted.
const MAX_LINES: usize = 256;

/// The hooks of a server, which without them writes lines to standard error.
#[derive(Clone, Default)]
pub(crate) struct FailureHooks(Option<Arc<Hooks>>);

#[derive(Clone, Default)]
struct Hooks {
    on_panic: Option<Arc<dyn Fn(Option<&RequestIdValue>) + Send + Sync>>,
    on_error: Option<Arc<dyn Fn(&HttpError, Option<&RequestIdValue>) + Send + Sync>>,
}

impl FailureHooks {
    #[cfg(feature = "server")]
    pub(crate) fn on_panic(
        &mut self,
        hook: impl Fn(Option<&RequestIdValue>) + Send + Sync + 'static,
    ) {
        Arc::make_mut(self.0.get_or_insert_default()).on_panic = Some(Arc::new(hook));
    }

    #[cfg(feature = "server")]
    pub(crate) fn on_error(
        &mut self,
        hook: impl Fn(&HttpError, Option<&RequestIdValue>) + Send + Sync + 'static,
    ) {
        Arc::make_mut(self.0.get_or_insert_default()).on_error = Some(Arc::new(hook));
    }

    /// The request panicked; by default its ID is told, as the text of the panic was already.
    #[cold]
    pub(crate) fn panicked(&self, id: Option<&RequestIdValue>) {
        let hook = self.0.as_ref().and_then(|hooks| hooks.on_panic.as_ref());
        match (hook, id) {
            (Some(hook), id) => hook(id),
            (None, Some(id)) => tell(format!("request {id} panicked")),
            (None, None) => {}
        }
    }

    /// The body of the response failed.
    #[cold]
    pub(crate) fn body_failed(&self, error: &BodyError, id: Option<&RequestIdValue>) {
        if error.kind() == BodyErrorKind::Panicked {
            self.panicked(id);
        }
    }

    /// This is the response to a request that did not panic.
    #[inline]
    pub(crate) fn look_at(&self, response: &Response) {
        if response.status().is_server_error() {
            self.failed(response);
        }
    }

    #[cold]
    fn failed(&self, response: &Response) {
        let Some(error) = response.extensions().get::<Arc<HttpError>>() else {
            return;
        };
        let id = response.extensions().get();
        let hook = self.0.as_ref().and_then(|hooks| hooks.on_error.as_ref());
        match hook {
            Some(hook) => hook(error, id),
            // Others, such as a 503 of a limit, are no surprise.
            None if error.status() == StatusCode::INTERNAL_SERVER_ERROR
                && error.source().is_some() =>
            {
                tell(line_of(error, id));
            }
            None => {}
        }
    }
}

impl fmt::Debug for FailureHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FailureHooks")
    }
}

/// The error with its causes, as one line; what a client may have chosen is escaped.
fn line_of(error: &HttpError, id: Option<&RequestIdValue>) -> String {
    let mut text = format!("error: {error}");
    let first = error
        .source()
        .map(|source| source as &(dyn std::error::Error + 'static));
    for cause in std::iter::successors(first, |cause| cause.source()).take(MAX_CAUSES) {
        // Writing to a string does not fail, and a cause that cannot be written says nothing.
        let _ = write!(text, ": {cause}");
    }
    if let Some(id) = id {
        let _ = write!(text, " (request {id})");
    }
    let mut line = String::with_capacity(text.len());
    for character in text.chars().take(MAX_TEXT) {
        match character.is_control() || matches!(character, '\u{2028}'..='\u{202e}') {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line
}

/// Lines for standard error, which may block whoever writes to it.
static LINES: LazyLock<Option<SyncSender<String>>> = LazyLock::new(|| {
    let (sender, lines) = sync_channel(MAX_LINES);
    let thread = std::thread::Builder::new().name("enfilade-errors".into());
    thread.spawn(move || write_lines(&lines)).ok()?;
    Some(sender)
});
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Tells standard error, without waiting for it.
fn tell(line: String) {
    let sent = LINES.as_ref().map(|lines| lines.try_send(line));
    if let Some(Err(TrySendError::Full(_))) = sent {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

fn write_lines(lines: &Receiver<String>) {
    for line in lines {
        // Nobody is left to tell that this failed.
        let _ = writeln!(io::stderr(), "{line}");
        match DROPPED.swap(0, Ordering::Relaxed) {
            0 => {}
            dropped => {
                let _ = writeln!(io::stderr(), "{dropped} errors were not told");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use enfilade_core::{BoxError, IntoResponse};

    use super::*;

    #[test]
    fn a_line_has_the_causes_and_nothing_that_could_forge_another() {
        let inner = io::Error::other("no \u{1b}[31m such\nline\u{2028}");
        let error = HttpError::from(io::Error::other(inner)).message("sorry");
        let id = RequestIdValue::new("an-id");
        assert_eq!(
            line_of(&error, id.as_ref()),
            "error: 500 sorry: no \\u{1b}[31m such\\nline\\u{2028} (request an-id)"
        );
        let long = HttpError::from(BoxError::from("x".repeat(5_000)));
        assert_eq!(line_of(&long, None).len(), MAX_TEXT);
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_hook_is_told_of_errors_of_the_server() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (mut hooks, told) = (FailureHooks::default(), seen.clone());
        hooks.on_error(move |error, _| told.lock().unwrap().push(error.status().as_u16()));
        for status in [200, 404, 500, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            hooks.look_at(&HttpError::new(status).into_response());
            hooks.look_at(&status.into_response());
        }
        assert_eq!(*seen.lock().unwrap(), [500, 503]);
    }
}
