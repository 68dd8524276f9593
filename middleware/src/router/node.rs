//! What stands at one pattern: handlers by method, and what is mounted there.

use enfilade_core::{Application, Description, HttpError, Reply, Request};
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode};

use super::pattern::{Captures, Pattern, prefix_length};
use super::route;
use crate::Error;

/// The handlers of one pattern; without any, the path is not there.
#[derive(Clone, Default)]
pub(super) struct Node {
    pattern: String,
    captures: Captures,
    methods: Vec<(Method, Application)>,
    any: Option<Application>,
    /// The methods of this path, made when the last of them was added.
    allow: Option<HeaderValue>,
}

/// An application under a prefix.
#[derive(Clone)]
pub(super) struct Mount {
    app: Application,
    prefix: Pattern,
}

/// What answers a request.
pub(super) enum Choice<'a> {
    Handler(&'a Application),
    Answer(Reply),
}

impl Node {
    /// Adds handlers; no methods at all means every method.
    pub(super) fn add(
        &mut self,
        methods: &[Method],
        app: &Application,
        pattern: &Pattern,
    ) -> Result<(), Error> {
        let text = &pattern.text;
        if methods.is_empty() && self.any.replace(app.clone()).is_some() {
            return Err(route(format!(
                "{text:?} is there already, for every method"
            )));
        }
        for method in methods {
            if self.methods.iter().any(|(known, _)| known == method) {
                return Err(route(format!("{method} {text:?} is there already")));
            }
            self.methods.push((method.clone(), app.clone()));
        }
        self.captures = pattern.captures.clone();
        self.pattern.clone_from(text);
        self.allow = self.allowed();
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.methods.is_empty() && self.any.is_none()
    }

    pub(super) fn captures(&self) -> &Captures {
        &self.captures
    }

    pub(super) fn choose(&self, method: &Method) -> Choice<'_> {
        let get = || {
            (method == Method::HEAD)
                .then(|| self.handler(&Method::GET))
                .flatten()
        };
        match self.handler(method).or_else(get).or(self.any.as_ref()) {
            Some(app) => Choice::Handler(app),
            None => Choice::Answer(self.refuse(method)),
        }
    }

    fn handler(&self, method: &Method) -> Option<&Application> {
        self.methods
            .iter()
            .find(|(known, _)| known == method)
            .map(|(_, app)| app)
    }

    /// OPTIONS is answered with what there is (RFC 9110, section 9.3.7), anything else refused with it.
    fn refuse(&self, method: &Method) -> Reply {
        let allow = self.allow.clone().unwrap_or(HeaderValue::from_static(""));
        let allow = [(ALLOW, allow)];
        if method == Method::OPTIONS {
            return Reply::new((StatusCode::NO_CONTENT, allow, ()));
        }
        Reply::new((StatusCode::METHOD_NOT_ALLOWED, allow, "Method Not Allowed"))
    }

    /// The value of `Allow`; methods are tokens, so it always is one.
    fn allowed(&self) -> Option<HeaderValue> {
        let own = self.methods.iter().map(|(method, _)| method.as_str());
        let head = self.handler(&Method::GET).map(|_| "HEAD");
        let mut names: Vec<&str> = Vec::new();
        for name in own.chain(head).chain(["OPTIONS"]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        HeaderValue::try_from(names.join(", ")).ok()
    }

    /// Shows every application to `replace`.
    pub(super) fn for_each_app(&mut self, replace: &mut dyn FnMut(&mut Application)) {
        self.methods.iter_mut().for_each(|(_, app)| replace(app));
        self.any.iter_mut().for_each(replace);
    }

    /// Adds this node's handlers to the description of its router.
    pub(super) fn describe_in(&self, router: Description) -> Description {
        let routes = self.methods.iter().fold(router, |all, (method, app)| {
            all.child(format!("{method} {}", self.pattern), app.describe())
        });
        match &self.any {
            Some(app) => routes.child(self.pattern.clone(), app.describe()),
            None => routes,
        }
    }
}

impl Mount {
    pub(super) fn new(app: Application, prefix: Pattern) -> Mount {
        Mount { app, prefix }
    }

    pub(super) fn app_mut(&mut self) -> &mut Application {
        &mut self.app
    }

    pub(super) fn call(&self, mut request: Request) -> Reply {
        if self.prefix.captures.take_from(&mut request).is_err() {
            return Reply::new(HttpError::new(StatusCode::BAD_REQUEST));
        }
        let length = prefix_length(request.path(), self.prefix.segments);
        request.advance(length);
        self.app.call(request)
    }

    /// Adds this mount to the description of its router.
    pub(super) fn describe_in(&self, router: Description) -> Description {
        let prefix = self.prefix.text.trim_end_matches('/');
        router.child(format!("{prefix}/..."), self.app.describe())
    }
}
