//! The facts about an error, for all formats.

use std::any::type_name;
use std::error::Error as StdError;
use std::path::Path;
use std::sync::Arc;

use enfilade_core::{Description, HttpError, Request, Response};
use http::StatusCode;

use super::backtrace::{self, Frame};
use super::facts::{self, ComponentFacts, RequestFacts};
use super::hook::CaughtPanic;
use super::shown;
use super::source::{self, Excerpt};
use crate::shared::redaction::Redaction;

/// The maximum length of a message, in bytes.
const MAX_MESSAGE: usize = 8_000;
/// The maximum number of errors in a chain.
const MAX_CHAIN: usize = 50;
/// The maximum number of places whose source is shown.
const MAX_EXCERPTS: usize = 10;

/// The content of a page.
pub(super) struct Report {
    pub(super) status: StatusCode,
    /// The error in one text.
    pub(super) headline: String,
    /// The error's message for the client, if there is one.
    pub(super) detail: Option<String>,
    /// The cause, its cause, and so on.
    pub(super) causes: Vec<Cause>,
    pub(super) panic: Option<PanicReport>,
    pub(super) request: RequestFacts,
    pub(super) components: Vec<ComponentFacts>,
    pub(super) more_components: usize,
}

/// One error of a chain.
pub(super) struct Cause {
    pub(super) message: String,
    pub(super) type_name: Option<&'static str>,
    /// The `Debug` text, if it says more than the message.
    pub(super) debug: Option<String>,
}

/// The place and the backtrace of a panic.
pub(super) struct PanicReport {
    pub(super) location: Option<String>,
    pub(super) thread: Option<String>,
    pub(super) source: Option<Excerpt>,
    pub(super) frames: Vec<(Frame, Option<Excerpt>)>,
}

/// The facts for a report, besides the response.
pub(super) struct Evidence<'a> {
    pub(super) request: &'a Request,
    pub(super) redaction: &'a Redaction,
    pub(super) tree: &'a Description,
    pub(super) seen: Option<&'a CaughtPanic>,
    /// The folder in which the program runs, used to find sources.
    pub(super) folder: Option<&'a Path>,
}

impl Report {
    pub(super) fn new(response: &Response, evidence: &Evidence<'_>) -> Report {
        let error = response.extensions().get::<Arc<HttpError>>();
        let detail = error.and_then(|error| error.client_message());
        let detail = detail.map(|detail| shown::display(detail, MAX_MESSAGE));
        let causes = error.map(|error| causes(error)).unwrap_or_default();
        let (components, more_components) = facts::components(evidence.tree);
        Report {
            status: response.status(),
            headline: headline(response, &causes, detail.as_deref()),
            detail,
            causes,
            panic: evidence
                .seen
                .map(|seen| PanicReport::new(seen, evidence.folder)),
            request: RequestFacts::new(evidence.request, response, evidence.redaction),
            components,
            more_components,
        }
    }

    /// The status as number and words.
    pub(super) fn status_text(&self) -> String {
        format!("{} {}", self.status.as_str(), self.title())
    }

    pub(super) fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }
}

fn headline(response: &Response, causes: &[Cause], detail: Option<&str>) -> String {
    match (causes.first(), detail) {
        (Some(cause), _) => cause.message.clone(),
        (None, Some(detail)) => detail.to_owned(),
        (None, None) if response.extensions().get::<Arc<HttpError>>().is_some() => {
            "The application responded with an error that has no cause".to_owned()
        }
        (None, None) => "The application responded without content and without an error".to_owned(),
    }
}

fn causes(error: &HttpError) -> Vec<Cause> {
    let first = error.source();
    let first = first.map(|source| source as &(dyn StdError + 'static));
    let chain = std::iter::successors(first, |&error| error.source());
    chain
        .take(MAX_CHAIN)
        .enumerate()
        .map(|(at, cause)| Cause {
            message: shown::display(cause, MAX_MESSAGE),
            type_name: match at {
                0 => error.source_type().or_else(|| known_type(cause)),
                _ => known_type(cause),
            },
            debug: debug(cause),
        })
        .collect()
}

/// Formats with `Debug`, or returns `None` if that is only the quoted message.
fn debug(error: &(dyn StdError + 'static)) -> Option<String> {
    let debug = shown::display(format_args!("{error:?}"), MAX_MESSAGE);
    let quoted = shown::display(format_args!("{:?}", error.to_string()), MAX_MESSAGE);
    (debug != quoted).then_some(debug)
}

/// The type of an error if it is a common one; other types cannot be known.
fn known_type(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    fn is<T: StdError + 'static>(error: &(dyn StdError + 'static)) -> Option<&'static str> {
        error.is::<T>().then(type_name::<T>)
    }
    let known = [
        is::<std::io::Error>,
        is::<std::fmt::Error>,
        is::<std::num::ParseIntError>,
        is::<std::num::ParseFloatError>,
        is::<std::num::TryFromIntError>,
        is::<std::str::ParseBoolError>,
        is::<std::str::Utf8Error>,
        is::<std::string::FromUtf8Error>,
        is::<std::net::AddrParseError>,
        is::<std::env::VarError>,
        is::<std::time::SystemTimeError>,
        is::<enfilade_core::BodyError>,
        is::<http::Error>,
    ];
    known.into_iter().find_map(|is| is(error))
}

impl PanicReport {
    fn new(seen: &CaughtPanic, folder: Option<&Path>) -> PanicReport {
        let frames = backtrace::parse(&seen.backtrace.to_string(), folder);
        let mut left = MAX_EXCERPTS;
        let frames = frames.into_iter().map(|frame| {
            let place = frame.place.as_ref().filter(|_| frame.is_own);
            let place = place.filter(|_| left > 0);
            let excerpt = place.and_then(|place| source::excerpt(&place.file, place.line));
            left -= usize::from(excerpt.is_some());
            (frame, excerpt)
        });
        let frames: Vec<_> = frames.collect();
        PanicReport {
            location: seen
                .location
                .as_ref()
                .map(|(file, line, column)| format!("{file}:{line}:{column}")),
            thread: seen.thread.clone(),
            source: source_of_panic(seen, &frames),
            frames,
        }
    }
}

/// The lines around the place of a panic; the backtrace has to name the file.
fn source_of_panic(seen: &CaughtPanic, frames: &[(Frame, Option<Excerpt>)]) -> Option<Excerpt> {
    let (file, line, _) = seen.location.as_ref()?;
    let mut places = frames.iter().filter_map(|(frame, _)| frame.place.as_ref());
    let place = places.find(|place| place.is_of(file))?;
    source::excerpt(&place.file, *line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_told_with_types_where_they_are_known() {
        let number = "x".parse::<u8>().unwrap_err();
        let body = enfilade_core::BodyError::new(number);
        let error = HttpError::from(body);
        let found: Vec<_> = causes(&error)
            .into_iter()
            .map(|cause| (cause.message, cause.type_name, cause.debug))
            .collect();
        let expected = [
            (
                "the body could not be read to its end".to_owned(),
                Some("enfilade_core::message::error::BodyError"),
                Some(
                    "BodyError { kind: Failed, cause: Some(ParseIntError { kind: InvalidDigit }) }"
                        .to_owned(),
                ),
            ),
            (
                "invalid digit found in string".to_owned(),
                Some("core::num::error::ParseIntError"),
                Some("ParseIntError { kind: InvalidDigit }".to_owned()),
            ),
        ];
        assert_eq!(found, expected);
        let text = HttpError::new(StatusCode::BAD_GATEWAY).caused_by("a \"text\"");
        let cause = &causes(&text)[0];
        assert_eq!((cause.type_name, cause.debug.as_deref()), (None, None));
    }

    #[test]
    fn a_chain_without_end_is_cut() {
        #[derive(Debug)]
        struct Circle;
        impl std::fmt::Display for Circle {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("again")
            }
        }
        impl StdError for Circle {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&Circle)
            }
        }
        assert_eq!(causes(&HttpError::from(Circle)).len(), MAX_CHAIN);
    }
}
