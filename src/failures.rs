//! What is done when a request fails.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::mem;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::thread::Thread;

use enfilade_core::{
    BodyError, BodyErrorKind, HttpError, Panic, RequestIdValue, Response, unpoisoned,
};
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

    #[cfg(any(feature = "server", feature = "tower"))]
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
            (Some(hook), id) => guarded(|| hook(id)),
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
            Some(hook) => guarded(|| hook(error, id)),
            // Others, such as a 503 of a limit, are no surprise.
            None if error.status() == StatusCode::INTERNAL_SERVER_ERROR
                && error.source().is_some() =>
            {
                guarded(|| tell(line_of(error, id)));
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

/// Runs what a program has written: its panic, which is told as any other, takes no response with it.
fn guarded(run: impl FnOnce()) {
    let _ = Panic::catch(run);
}

/// The beginning of a text, which may be as long as it wants.
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

/// The error with its causes, as one line; what a client may have chosen is escaped.
fn line_of(error: &HttpError, id: Option<&RequestIdValue>) -> String {
    let mut text = Beginning(String::new());
    // Writing fails when there is enough, and a cause that cannot be written says nothing.
    let _ = write!(text, "error: {error}");
    let first = error
        .source()
        .map(|source| source as &(dyn std::error::Error + 'static));
    for cause in std::iter::successors(first, |cause| cause.source()).take(MAX_CAUSES) {
        let _ = write!(text, ": {cause}");
    }
    let mut text = text.0;
    // It is what the error is found by, so it comes behind a text of any length.
    if let Some(id) = id {
        let _ = write!(text, " (request {id})");
    }
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        // Those that end a line or turn the direction of what follows.
        let is_harmful = matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        );
        match character.is_control() || is_harmful {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line
}

/// Lines for standard error, which may block whoever writes to it.
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

/// Tells standard error, without waiting for it.
fn tell(line: String) {
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
            // Nobody is left to tell that this failed.
            let _ = writeln!(io::stderr(), "{line}");
        }
        if dropped > 0 {
            let _ = writeln!(io::stderr(), "{dropped} errors were not told");
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
    fn an_odd_error_is_cut_and_harms_nobody() {
        let line = line_of(&HttpError::from(Odd::Endless), None);
        assert_eq!(line.len(), MAX_TEXT);
        assert!(line.starts_with("error: 500 Internal Server Error: on and on and "));
        FailureHooks::default().look_at(&HttpError::from(Odd::Panics).into_response());
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_hook_that_panics_takes_no_response_with_it() {
        let mut hooks = FailureHooks::default();
        hooks.on_error(|_, _| panic!("no hook"));
        hooks.on_panic(|_| panic!("no hook"));
        hooks.look_at(&HttpError::from(BoxError::from("x")).into_response());
        hooks.panicked(None);
    }

    #[cfg(feature = "server")]
    #[test]
    fn a_hook_is_told_of_errors_of_the_server() {
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
