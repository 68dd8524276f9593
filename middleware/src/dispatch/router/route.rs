//! A route: a pattern, and the handlers by method or the application that is mounted there.

use std::str::Utf8Error;

use enfilade_core::{Application, HttpError, IntoResponse, Reply, Request, Response};
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode};

use super::pattern::{Pattern, prefix_length};
use crate::dispatch::route_label::MOUNTED;

/// A pattern and its target.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) pattern: Pattern,
    pub(super) name: Option<String>,
    pub(super) target: Target,
    /// The numbers of the other routes whose patterns have the same shape, at the first of them.
    pub(super) others: Vec<usize>,
}

/// What a route leads to.
#[derive(Clone)]
pub(super) enum Target {
    Methods(Methods),
    Mount(Application),
}

/// A route whose pattern matches the path, and the application for the method.
pub(super) struct Match<'a> {
    pub(super) route: &'a Route,
    pub(super) app: &'a Application,
    /// The length of what the pattern matches of the path, if that is in canonical form.
    pub(super) plain: Option<usize>,
}

/// Handlers by method; `any` is for methods that are not listed.
#[derive(Clone, Default)]
pub(super) struct Methods {
    pub(super) listed: Vec<(Method, Application)>,
    pub(super) any: Option<Application>,
    /// Methods that a route of the same shape lists: `any` is not for them.
    pub(super) elsewhere: Vec<Method>,
}

impl Target {
    /// Adds handlers that are not there yet.
    pub(super) fn add(&mut self, new: Target) {
        if let (Target::Methods(known), Target::Methods(new)) = (self, new) {
            known.listed.extend(new.listed);
            known.any = known.any.take().or(new.any);
        }
    }

    /// The methods that are listed, and HEAD if GET is.
    pub(super) fn listed(&self) -> Vec<Method> {
        let Target::Methods(methods) = self else {
            return Vec::new();
        };
        let listed = methods.listed.iter().map(|(method, _)| method.clone());
        let head = methods.has(&Method::GET).then_some(Method::HEAD);
        listed.chain(head).collect()
    }

    /// Leaves these methods to other routes, except those that this route lists.
    pub(super) fn leave(&mut self, elsewhere: Vec<Method>) {
        if let Target::Methods(methods) = self {
            methods.elsewhere = elsewhere;
        }
    }

    /// The application for this method; a mounted application is for all.
    #[inline]
    pub(super) fn to(&self, method: &Method) -> Option<&Application> {
        match self {
            Target::Mount(app) => Some(app),
            Target::Methods(methods) => methods.handler(method),
        }
    }
}

impl Methods {
    /// A method that both have, for an error message.
    fn clash(&self, new: &Methods) -> Option<String> {
        let mut listed = new.listed.iter().map(|(method, _)| method);
        let twice = listed.find(|method| self.has(method));
        let any = || (self.any.is_some() && new.any.is_some()).then_some("every other method of");
        twice
            .map(Method::to_string)
            .or_else(|| any().map(str::to_owned))
    }

    /// The handler of a method; HEAD uses that of GET if it has none of its own.
    #[inline]
    fn handler(&self, method: &Method) -> Option<&Application> {
        for (known, app) in &self.listed {
            if known == method {
                return Some(app);
            }
        }
        match *method {
            _ if self.elsewhere.contains(method) => None,
            Method::HEAD if self.has(&Method::GET) => self.handler(&Method::GET),
            _ => self.any.as_ref(),
        }
    }

    fn has(&self, method: &Method) -> bool {
        self.listed.iter().any(|(known, _)| known == method)
    }
}

impl Match<'_> {
    /// Stores the values of the captures in the request.
    #[inline]
    pub(super) fn capture(&self, request: &mut Request) -> Result<(), Utf8Error> {
        self.route.pattern.capture(request, self.plain)
    }

    /// Calls the application with a request that has the captures.
    #[inline]
    pub(super) fn call(&self, mut request: Request) -> Reply {
        if self.route.is_mount() {
            let segments = self.route.pattern.segments.len();
            let length = || prefix_length(request.path(), segments);
            let length = self.plain.or_else(length);
            // The pattern matches, so it ends with a segment.
            let _ = request.advance(length.unwrap_or_default());
        }
        self.app.call(request)
    }
}

impl Route {
    pub(super) fn is_mount(&self) -> bool {
        matches!(self.target, Target::Mount(_))
    }

    /// Returns why a route with the same shape of pattern cannot be added, or `None` if it can.
    pub(super) fn conflict(&self, new: &Route) -> Option<String> {
        let (text, there) = (&new.pattern.text, &self.pattern.text);
        let clash = match (&self.target, &new.target) {
            (Target::Methods(known), Target::Methods(new)) => Some(known.clash(new)?),
            _ => None,
        };
        Some(match clash {
            _ if !new.pattern.names().eq(self.pattern.names()) => {
                format!("{text:?} conflicts with {there:?}: both match the same paths")
            }
            Some(twice) => format!("{twice} {text:?} already exists"),
            None => format!("{text:?} already has a mounted application"),
        })
    }

    /// The only path that matches, in canonical form, if there is only one.
    pub(super) fn static_path(&self) -> Option<String> {
        if self.is_mount() {
            return None;
        }
        self.pattern.static_path()
    }

    /// Calls `replace` with every application.
    pub(super) fn for_each_app(&mut self, replace: &mut dyn FnMut(&mut Application)) {
        match &mut self.target {
            Target::Mount(app) => replace(app),
            Target::Methods(methods) => {
                methods.listed.iter_mut().for_each(|(_, app)| replace(app));
                methods.any.iter_mut().for_each(replace);
            }
        }
    }

    /// Every application with its label: `GET /users/{id}`, `/any`, `/mounted/...`.
    pub(super) fn apps(&self) -> Vec<(String, &Application)> {
        let text = &self.pattern.text;
        match &self.target {
            Target::Mount(app) => vec![(format!("{}{MOUNTED}", text.trim_end_matches('/')), app)],
            Target::Methods(methods) => {
                let listed = methods
                    .listed
                    .iter()
                    .map(|(method, app)| (format!("{method} {text}"), app));
                listed
                    .chain(methods.any.iter().map(|app| (text.to_string(), app)))
                    .collect()
            }
        }
    }
}

/// The response if patterns match the path, but no route has the method.
///
/// OPTIONS gets 204 with the methods in `Allow` (RFC 9110, section 9.3.7), other methods 405 (section 15.5.6).
pub(super) fn method_not_allowed(method: &Method, found: &[&Methods]) -> Response {
    let allow = allowed(found);
    if method == Method::OPTIONS {
        return (StatusCode::NO_CONTENT, [(ALLOW, allow)], ()).into_response();
    }
    let error = HttpError::new(StatusCode::METHOD_NOT_ALLOWED).header(ALLOW, allow);
    error.into_response()
}

/// The value of `Allow`: all methods, each once.
fn allowed(found: &[&Methods]) -> HeaderValue {
    let mut names: Vec<&str> = Vec::new();
    let listed = || {
        found
            .iter()
            .flat_map(|methods| &methods.listed)
            .map(|(method, _)| method)
    };
    let head = listed()
        .any(|method| method == Method::GET)
        .then_some("HEAD");
    for name in listed().map(Method::as_str).chain(head).chain(["OPTIONS"]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    HeaderValue::try_from(names.join(", ")).expect("methods are tokens")
}
