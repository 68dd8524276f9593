//! What stands at one pattern: handlers by method, and what is mounted there.

use enfilade_core::{Application, Description, Reply, Request};
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode};

use super::pattern::{Captures, Pattern, prefix_length};
use super::route;
use crate::Error;

/// The handlers of one pattern.
pub(super) struct Node {
    pattern: String,
    captures: Captures,
    methods: Vec<(Method, Application)>,
    any: Option<Application>,
    mount: Option<Mount>,
    /// The methods of this path, made when the last of them was added.
    allow: HeaderValue,
}

/// An application under a prefix.
#[derive(Clone)]
pub(super) struct Mount {
    app: Application,
    captures: Captures,
    segments: usize,
}

/// What answers a request.
pub(super) enum Choice<'a> {
    Handler {
        app: &'a Application,
        captures: &'a Captures,
    },
    Mount(&'a Mount),
    Answer(Reply),
}

impl Node {
    pub(super) fn new(pattern: &Pattern) -> Node {
        Node {
            pattern: pattern.text.clone(),
            captures: pattern.captures.clone(),
            methods: Vec::new(),
            any: None,
            mount: None,
            allow: HeaderValue::from_static(""),
        }
    }

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
        // A mount may have made this node for the path of its own.
        self.captures = pattern.captures.clone();
        self.pattern.clone_from(text);
        self.allow = self
            .allowed()
            .map_err(|_| route(format!("{text:?} has a method that no header can name")))?;
        Ok(())
    }

    /// Where a mount goes; `None` where one is there.
    pub(super) fn mount_place(&mut self) -> Option<&mut Option<Mount>> {
        self.mount.is_none().then_some(&mut self.mount)
    }

    pub(super) fn choose(&self, method: &Method) -> Choice<'_> {
        let get = || {
            (method == Method::HEAD)
                .then(|| self.handler(&Method::GET))
                .flatten()
        };
        match self.handler(method).or_else(get).or(self.any.as_ref()) {
            Some(app) => Choice::Handler {
                app,
                captures: &self.captures,
            },
            None => match &self.mount {
                Some(mount) => Choice::Mount(mount),
                None => Choice::Answer(self.refuse(method)),
            },
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
        let allow = [(ALLOW, self.allow.clone())];
        if method == Method::OPTIONS {
            return Reply::new((StatusCode::NO_CONTENT, allow, ()));
        }
        Reply::new((StatusCode::METHOD_NOT_ALLOWED, allow, "Method Not Allowed"))
    }

    fn allowed(&self) -> Result<HeaderValue, http::header::InvalidHeaderValue> {
        let own = self.methods.iter().map(|(method, _)| method.as_str());
        let head = self.handler(&Method::GET).map(|_| "HEAD");
        let mut names: Vec<&str> = Vec::new();
        for name in own.chain(head).chain(["OPTIONS"]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        HeaderValue::try_from(names.join(", "))
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
    pub(super) fn new(app: Application, pattern: &Pattern) -> Mount {
        Mount {
            app,
            captures: pattern.captures.clone(),
            segments: pattern.segments,
        }
    }

    pub(super) fn call(&self, mut request: Request) -> Reply {
        if self.captures.take_from(&mut request).is_err() {
            return Reply::new(enfilade_core::HttpError::new(StatusCode::BAD_REQUEST));
        }
        let length = prefix_length(request.path(), self.segments);
        request.advance(length);
        self.app.call(request)
    }
}
