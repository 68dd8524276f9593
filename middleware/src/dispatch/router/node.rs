//! What stands at one pattern: handlers by method, or what is mounted there.

use enfilade_core::{Application, IntoResponse, Reply, Request, Response};
use http::header::ALLOW;
use http::{HeaderValue, Method, StatusCode};

use super::pattern::{Form, NotCaptured, Pattern, prefix_length};

/// What stands for the path that a mounted application sees.
pub(super) const MOUNTED: &str = "/...";

/// A pattern and what answers there.
#[derive(Clone)]
pub(super) struct Leaf {
    pub(super) pattern: Pattern,
    pub(super) name: Option<String>,
    pub(super) answers: Answers,
    /// The numbers of the leaves whose patterns have this one's shape, at the first of them.
    pub(super) others: Vec<usize>,
}

/// What answers at a pattern.
#[derive(Clone)]
pub(super) enum Answers {
    Methods(Methods),
    Mount(Application),
}

/// A leaf whose pattern a path has, and what answers there.
pub(super) struct Hit<'a> {
    pub(super) leaf: &'a Leaf,
    pub(super) app: &'a Application,
    pub(super) form: Form,
    /// How much of the path a mount takes, where that is known.
    pub(super) taken: Option<usize>,
}

/// Handlers by method; `any` is for those that are not listed.
#[derive(Clone, Default)]
pub(super) struct Methods {
    pub(super) listed: Vec<(Method, Application)>,
    pub(super) any: Option<Application>,
    /// What is listed at another pattern of the same shape, where this one leaves it to.
    pub(super) elsewhere: Vec<Method>,
}

impl Answers {
    /// Adds handlers that are not there yet.
    pub(super) fn add(&mut self, new: Answers) {
        if let (Answers::Methods(known), Answers::Methods(new)) = (self, new) {
            known.listed.extend(new.listed);
            known.any = known.any.take().or(new.any);
        }
    }

    /// The methods that are listed; with GET, HEAD is too.
    pub(super) fn listed(&self) -> Vec<Method> {
        let Answers::Methods(methods) = self else {
            return Vec::new();
        };
        let listed = methods.listed.iter().map(|(method, _)| method.clone());
        let head = methods.has(&Method::GET).then_some(Method::HEAD);
        listed.chain(head).collect()
    }

    /// Leaves these methods to others, but for those that it lists itself.
    pub(super) fn leave(&mut self, elsewhere: Vec<Method>) {
        if let Answers::Methods(methods) = self {
            methods.elsewhere = elsewhere;
        }
    }

    /// What answers this method; a mounted application answers all.
    #[inline]
    pub(super) fn to(&self, method: &Method) -> Option<&Application> {
        match self {
            Answers::Mount(app) => Some(app),
            Answers::Methods(methods) => methods.handler(method),
        }
    }
}

impl Methods {
    /// What is in both, where something is.
    fn clash(&self, new: &Methods) -> Option<String> {
        let mut listed = new.listed.iter().map(|(method, _)| method);
        let twice = listed.find(|method| self.has(method));
        let any = || (self.any.is_some() && new.any.is_some()).then_some("every other method of");
        twice
            .map(Method::to_string)
            .or_else(|| any().map(str::to_owned))
    }

    /// The handler of a method; HEAD has that of GET where it has none of its own.
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

impl Hit<'_> {
    /// Notes in the request what its path has for the captures.
    #[inline]
    pub(super) fn capture(&self, request: &mut Request) -> Result<(), NotCaptured> {
        self.leaf.pattern.capture(request, self.form)
    }

    /// Answers the request, in which everything is noted.
    #[inline]
    pub(super) fn call(&self, mut request: Request) -> Reply {
        if self.leaf.is_mount() {
            let segments = self.leaf.pattern.segments.len();
            let length = || prefix_length(request.path(), segments);
            let length = self.taken.or_else(length);
            request.advance(length.unwrap_or_default());
        }
        self.app.call(request)
    }
}

impl Leaf {
    pub(super) fn is_mount(&self) -> bool {
        matches!(self.answers, Answers::Mount(_))
    }

    /// Why another leaf of the same shape cannot be beside this one, if it cannot.
    pub(super) fn conflict(&self, new: &Leaf) -> Option<String> {
        let (text, there) = (&new.pattern.text, &self.pattern.text);
        let clash = match (&self.answers, &new.answers) {
            (Answers::Methods(known), Answers::Methods(new)) => Some(known.clash(new)?),
            _ => None,
        };
        Some(match clash {
            _ if !new.pattern.names().eq(self.pattern.names()) => {
                format!("{text:?} cannot be told from {there:?}, which is there already")
            }
            Some(twice) => format!("{twice} {text:?} is there already"),
            None => format!("something is mounted at {text:?} already"),
        })
    }

    /// Shows every application to `replace`.
    pub(super) fn for_each_app(&mut self, replace: &mut dyn FnMut(&mut Application)) {
        match &mut self.answers {
            Answers::Mount(app) => replace(app),
            Answers::Methods(methods) => {
                methods.listed.iter_mut().for_each(|(_, app)| replace(app));
                methods.any.iter_mut().for_each(replace);
            }
        }
    }

    /// Every application, with what leads to it: `GET /users/{id}`, `/any`, `/mounted/...`.
    pub(super) fn apps(&self) -> Vec<(String, &Application)> {
        let text = &self.pattern.text;
        match &self.answers {
            Answers::Mount(app) => vec![(format!("{}{MOUNTED}", text.trim_end_matches('/')), app)],
            Answers::Methods(methods) => {
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

/// The answer where patterns have the path, but none has the method.
///
/// OPTIONS is answered with what there is (RFC 9110, section 9.3.7), anything else refused with it (section 15.5.6).
pub(super) fn refuse(method: &Method, found: &[&Methods]) -> Response {
    let allow = [(ALLOW, allowed(found))];
    if method == Method::OPTIONS {
        return (StatusCode::NO_CONTENT, allow, ()).into_response();
    }
    (StatusCode::METHOD_NOT_ALLOWED, allow, "Method Not Allowed").into_response()
}

/// The methods of all of them, each once.
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
