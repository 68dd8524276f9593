//! A router that was built: finds what answers a request.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use enfilade_core::{
    Application, Description, Handler, HttpError, MatchedPattern, Reply, Request, RouteWanted, path,
};
use http::StatusCode;
use http::header::ALLOW;

use super::node::{Answers, Hit, Leaf, MOUNTED, Methods, refuse};
use super::pattern::Form;
use super::table::{First, Table};

/// The patterns that routers matched so far, for a wrapper outside that may get no response: a request extension beside
/// [`RouteWanted`].
#[derive(Clone, Default)]
pub(crate) struct RouteTrail(Arc<Mutex<Vec<Matched>>>);

/// A pattern, and how much of the path was consumed where it matched.
struct Matched {
    offset: usize,
    pattern: Arc<str>,
    is_mount: bool,
}

impl RouteTrail {
    /// A router that is not inside the last one comes in its place: that one had no answer.
    fn note(&self, offset: usize, leaf: &Leaf) {
        let mut matched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        matched.retain(|outer| outer.offset < offset);
        matched.push(Matched {
            offset,
            pattern: leaf.pattern.text.clone(),
            is_mount: leaf.is_mount(),
        });
    }

    /// All of them, one behind the other, as a [`MatchedPattern`] is.
    pub(crate) fn pattern(&self) -> Option<String> {
        let matched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, outer) = matched.split_last()?;
        let outer = outer
            .iter()
            .map(|outer| outer.pattern.trim_end_matches('/'));
        let (last, end) = match last.is_mount {
            true => (last.pattern.trim_end_matches('/'), MOUNTED),
            false => (&*last.pattern, ""),
        };
        Some(outer.chain([last, end]).collect())
    }
}

/// The handler that a router becomes.
#[derive(Clone)]
pub(super) struct Dispatch {
    table: Table,
    fallback: Option<Application>,
    not_allowed: Option<Application>,
}

/// What was found for a request.
enum Found<'a> {
    App(Hit<'a>),
    /// The path is there, and none of its patterns has the method.
    Refused(Vec<&'a Methods>),
    Nothing,
}

impl Dispatch {
    pub(super) fn new(
        table: Table,
        fallback: Option<Application>,
        not_allowed: Option<Application>,
    ) -> Dispatch {
        Dispatch {
            table,
            fallback,
            not_allowed,
        }
    }

    /// What answers most requests, by a quick look at the path as it is written.
    ///
    /// Patterns are in canonical form, so what matches their text is too; captures are looked at when they are noted.
    #[inline]
    fn first(&self, request: &Request) -> First<Hit<'_>> {
        let path = path_of(request);
        let found = match self.table.whole(path) {
            First::One(leaf) => First::One((leaf, path.len())),
            First::None if is_canonical(path) => self.table.begins(path),
            _ => First::Unsure,
        };
        match found {
            First::One((leaf, taken)) => match leaf.answers.to(request.method()) {
                Some(app) => First::One(Hit {
                    leaf,
                    app,
                    form: Form::Plain,
                    taken: Some(taken),
                }),
                None => First::Unsure,
            },
            First::None => First::None,
            First::Unsure => First::Unsure,
        }
    }

    /// Looks at every pattern that the path has.
    fn search(&self, request: &Request) -> Found<'_> {
        let path = path::canonical(path_of(request));
        let form = match &path {
            Cow::Borrowed(_) => Form::Plain,
            Cow::Owned(_) => Form::Raw,
        };
        let mut found = Found::Nothing;
        self.table.each(&path, &mut |leaf| {
            found.look_at(leaf, leaf.answers.to(request.method()), form)
        });
        found
    }

    fn miss(&self, request: Request) -> Reply {
        match &self.fallback {
            Some(fallback) => fallback.call(request),
            None => Reply::new(StatusCode::NOT_FOUND),
        }
    }

    fn refuse(&self, request: Request, found: &[&Methods]) -> Reply {
        let refused = refuse(request.method(), found);
        match &self.not_allowed {
            Some(not_allowed) if refused.status() == StatusCode::METHOD_NOT_ALLOWED => {
                let allow = refused.headers().get(ALLOW).cloned();
                not_allowed.call(request).update(move |response| {
                    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                    // One line, whatever the application says: it does not know what there is.
                    if let Some(allow) = allow {
                        response.headers_mut().insert(ALLOW, allow);
                    }
                })
            }
            _ => refused.into(),
        }
    }
}

impl<'a> Found<'a> {
    /// Considers one more leaf, and the application that answers there, if one does.
    fn look_at(
        &mut self,
        leaf: &'a Leaf,
        app: Option<&'a Application>,
        form: Form,
    ) -> ControlFlow<()> {
        match (&leaf.answers, app, &mut *self) {
            // The path is there, so a mount around it is not asked.
            (Answers::Mount(_), _, Found::Refused(_)) => return ControlFlow::Break(()),
            (_, Some(app), _) => {
                *self = Found::App(Hit {
                    leaf,
                    app,
                    form,
                    taken: None,
                });
                return ControlFlow::Break(());
            }
            (Answers::Methods(methods), None, Found::Refused(others)) => others.push(methods),
            (Answers::Methods(methods), None, _) => *self = Found::Refused(vec![methods]),
            (Answers::Mount(_), None, _) => {}
        }
        ControlFlow::Continue(())
    }
}

/// The path to look up.
#[inline]
fn path_of(request: &Request) -> &str {
    match request.path() {
        // A mount consumed the whole path: `/` is what is left to say.
        "" => "/",
        path => path,
    }
}

fn is_canonical(path: &str) -> bool {
    matches!(path::canonical(path), Cow::Borrowed(_))
}

/// Answers a request whose captures are noted, and says which pattern it had where somebody outside wants to know.
#[inline]
fn answer(hit: &Hit<'_>, request: Request) -> Reply {
    match request.extensions().get::<RouteWanted>() {
        None => hit.call(request),
        Some(_) => answer_and_tell(hit, request),
    }
}

#[cold]
fn answer_and_tell(hit: &Hit<'_>, request: Request) -> Reply {
    let (pattern, is_mount) = (hit.leaf.pattern.text.clone(), hit.leaf.is_mount());
    if let Some(trail) = request.extensions().get::<RouteTrail>() {
        trail.note(request.script_name().len(), hit.leaf);
    }
    hit.call(request).update(move |response| {
        let inner = response.extensions_mut().remove::<MatchedPattern>();
        let inner = inner.as_ref().map_or(MOUNTED, MatchedPattern::as_str);
        let whole = match is_mount {
            true => format!("{}{inner}", pattern.trim_end_matches('/')).into(),
            false => pattern,
        };
        response.extensions_mut().insert(MatchedPattern::new(whole));
    })
}

impl Handler for Dispatch {
    fn call(&self, mut request: Request) -> Reply {
        let hit = match self.first(&request) {
            First::One(hit) if hit.capture(&mut request).is_ok() => hit,
            First::None => return self.miss(request),
            First::One(_) | First::Unsure => match self.search(&request) {
                Found::App(hit) if hit.capture(&mut request).is_ok() => hit,
                Found::App(_) => return Reply::new(HttpError::new(StatusCode::BAD_REQUEST)),
                Found::Refused(found) => return self.refuse(request, &found),
                Found::Nothing => return self.miss(request),
            },
        };
        answer(&hit, request)
    }

    fn describe(&self) -> Description {
        let apps = self.table.leaves.iter().flat_map(Leaf::apps);
        let others = [
            ("fallback", &self.fallback),
            ("method not allowed", &self.not_allowed),
        ];
        let others = others
            .into_iter()
            .filter_map(|(label, app)| Some((label.to_owned(), app.as_ref()?)));
        apps.chain(others)
            .fold(Description::new("Router"), |all, (label, app)| {
                all.child(label, app.describe())
            })
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let mut router = self.clone();
        let mut replace = |app: &mut Application| *app = change(app.clone());
        router
            .table
            .leaves
            .iter_mut()
            .for_each(|leaf| leaf.for_each_app(&mut replace));
        router.fallback.iter_mut().for_each(&mut replace);
        router.not_allowed.iter_mut().for_each(replace);
        Some(Application::from_handler(router))
    }
}
