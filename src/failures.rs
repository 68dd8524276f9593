//! Reports requests that fail.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::mem;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::thread::Thread;

use enfilade_core::{
    BodyError, BodyErrorKind, HttpError, Panic, RequestIdValue, Response, is_unprintable,
    unpoisoned,
};
use http::StatusCode;

/// The limit of an error's text, in characters.
const MAX_TEXT: usize = 2_000;
/// The limit of causes that are shown, because an error may be its own cause.
const MAX_CAUSES: usize = 16;
/// The limit of lines that wait for standard error; further lines are only counted.
const MAX_LINES: usize = 256;

/// The hooks of a server. Without a hook, lines are written to standard error.
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

    #[cfg(any(feature = "server", feature = "tower"))]
    pub(crate) fn on_error(
        &mut self,
        hook: impl Fn(&HttpError, Option<&RequestIdValue>) + Send + Sync + 'static,
    ) {
        Arc::make_mut(self.0.get_or_insert_default()).on_error = Some(Arc::new(hook));
    }

    /// Reports that the request panicked.
    ///
    /// By default its ID is written, because the panic hook has written the text.
    #[cold]
    pub(crate) fn panicked(&self, id: Option<&RequestIdValue>) {
        let hook = self.0.as_ref().and_then(|hooks| hooks.on_panic.as_ref());
        match (hook, id) {
            (Some(hook), id) => guarded(|| hook(id)),
            (None, Some(id)) => report(format!("request {id} panicked")),
            (None, None) => {}
        }
    }

    /// Reports that the body of the response failed.
    #[cold]
    pub(crate) fn body_failed(&self, error: &BodyError, id: Option<&RequestIdValue>) {
        if error.kind() == BodyErrorKind::Panicked {
            self.panicked(id);
        }
    }

    /// Reports the error behind the response to a request that did not panic.
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
            Some(hook) => guarded(|| hook(error, id)),
            // Other errors, such as a 503 of a limit, are expected.
            None if error.status() == StatusCode::INTERNAL_SERVER_ERROR
                && error.source().is_some() =>
            {
                guarded(|| report(line_of(error, id)));
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

/// Runs a hook of the program. Its panic is reported like any other and does not affect the response.
fn guarded(run: impl FnOnce()) {
    let _ = Panic::catch(run);
}

/// Collects the beginning of a text that may be endless.
struct Beginning(String);

impl fmt::Write for Beginning {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let left = MAX_TEXT.saturating_sub(self.0.len());
        self.0.extend(part.chars().take(left));
        match left {
            0 => Err(fmt::Error),
            _ => Ok(()),
        }
    }
}

/// Formats the error with its causes as one line. Escapes characters that a client may have chosen.
fn line_of(error: &HttpError, id: Option<&RequestIdValue>) -> String {
    let mut text = Beginning(String::new());
    // Writing fails when the text is full. A cause whose formatting fails is left out.
    let _ = write!(text, "error: {error}");
    let first = error
        .source()
        .map(|source| source as &(dyn std::error::Error + 'static));
    for cause in std::iter::successors(first, |cause| cause.source()).take(MAX_CAUSES) {
        let _ = write!(text, ": {cause}");
    }
    let mut text = text.0;
    // The ID finds the error in the log, so it comes after the text however long that is.
    if let Some(id) = id {
        let _ = write!(text, " (request {id})");
    }
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match is_unprintable(character) {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line
}

/// Lines for standard error, which may block the thread that writes to it.
static LINES: Mutex<Lines> = Mutex::new(Lines {
    waiting: Vec::new(),
    dropped: 0,
});
/// The thread that writes them.
static WRITER: LazyLock<Option<Thread>> = LazyLock::new(|| {
    let thread = std::thread::Builder::new().name("enfilade-errors".into());
    let writer = thread.spawn(write_lines).ok()?;
    Some(writer.thread().clone())
});

struct Lines {
    waiting: Vec<String>,
    dropped: u64,
}

impl Lines {
    fn lock() -> MutexGuard<'static, Lines> {
        unpoisoned(LINES.lock())
    }

    fn push(&mut self, line: String) {
        match self.waiting.len() {
            MAX_LINES => self.dropped += 1,
            _ => self.waiting.push(line),
        }
    }
}

/// Writes a line to standard error, without waiting for it.
fn report(line: String) {
    let Some(writer) = &*WRITER else { return };
    Lines::lock().push(line);
    writer.unpark();
}

fn write_lines() {
    loop {
        let (waiting, dropped) = {
            let mut lines = Lines::lock();
            (mem::take(&mut lines.waiting), mem::take(&mut lines.dropped))
        };
        if waiting.is_empty() {
            std::thread::park();
        }
        for line in waiting {
            // If this fails, there is no other place to report to.
            let _ = writeln!(io::stderr(), "{line}");
        }
        if dropped > 0 {
            let _ = writeln!(io::stderr(), "{dropped} errors were not logged");
        }
    }
}

#[cfg(test)]
mod tests {
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
        let line = line_of(&long, id.as_ref());
        assert_eq!(line.len(), MAX_TEXT + " (request an-id)".len());
        assert!(line.ends_with("x (request an-id)"));
        let turned = HttpError::from(BoxError::from("\u{2066}a\u{200f}\u{61c}"));
        let escaped = "error: 500 Internal Server Error: \\u{2066}a\\u{200f}\\u{61c}";
        assert_eq!(line_of(&turned, None), escaped);
    }

    #[test]
    fn lines_beyond_the_limit_are_counted() {
        let mut lines = Lines {
            waiting: Vec::new(),
            dropped: 0,
        };
        (0..MAX_LINES + 3).for_each(|number| lines.push(number.to_string()));
        assert_eq!((lines.waiting.len(), lines.dropped), (MAX_LINES, 3));
        assert_eq!(lines.waiting.last().unwrap(), "255");
    }

    /// An error whose text has no end, and one that panics.
    #[derive(Debug)]
    enum Odd {
        Endless,
        Panics,
    }

    impl fmt::Display for Odd {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Odd::Endless => loop {
                    f.write_str("on and ")?;
                },
                Odd::Panics => panic!("no text"),
            }
        }
    }

    impl std::error::Error for Odd {}

    #[test]
    fn an_endless_error_is_cut_and_one_that_panics_does_no_harm() {
        let line = line_of(&HttpError::from(Odd::Endless), None);
        assert_eq!(line.len(), MAX_TEXT);
        assert!(line.starts_with("error: 500 Internal Server Error: on and on and "));
        FailureHooks::default().look_at(&HttpError::from(Odd::Panics).into_response());
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_hook_that_panics_does_not_affect_the_response() {
        let mut hooks = FailureHooks::default();
        hooks.on_error(|_, _| panic!("no hook"));
        hooks.on_panic(|_| panic!("no hook"));
        hooks.look_at(&HttpError::from(BoxError::from("x")).into_response());
        hooks.panicked(None);
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_hook_gets_errors_of_the_server() {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
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
