//! The handler that a router becomes: finds the route of a request, and calls its application.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use enfilade_core::{
    Application, Description, Handler, HttpError, MatchedPattern, Reply, Request, RouteWanted,
};
use http::StatusCode;
use http::header::ALLOW;

use super::route::{Match, Methods, Route, Target, method_not_allowed};
use super::shadowed;
use super::table::{Lookup, Table};
use crate::dispatch::route_label::{MOUNTED, add_prefix};

/// The patterns that routers matched so far, for a wrapper outside that may get no response: a request extension beside
/// [`RouteWanted`].
#[derive(Clone, Default)]
pub(crate) struct RouteTrail(Arc<Mutex<Vec<Matched>>>);

/// A pattern, and how much of the path was consumed when it matched.
struct Matched {
    offset: usize,
    pattern: Arc<str>,
    is_mount: bool,
}

impl RouteTrail {
    /// A router that is not inside the last one replaces it: that one had no response.
    fn note(&self, offset: usize, route: &Route) {
        let mut matched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        matched.retain(|outer| outer.offset < offset);
        matched.push(Matched {
            offset,
            pattern: route.pattern.text.clone(),
            is_mount: route.is_mount(),
        });
    }

    /// All patterns in one, as in a [`MatchedPattern`].
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
    table: Arc<Table>,
    fallback: Option<Application>,
    not_allowed: Option<Application>,
}

/// The outcome of the search for a request's route.
enum Found<'a> {
    Route(Match<'a>),
    /// Patterns match the path, but none has the method.
    NoMethod(Vec<&'a Methods>),
    Nothing,
}

impl Dispatch {
    pub(super) fn new(
        table: Table,
        fallback: Option<Application>,
        not_allowed: Option<Application>,
    ) -> Dispatch {
        Dispatch {
            table: table.into(),
            fallback,
            not_allowed,
        }
    }

    pub(super) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Finds the route of a request: most by a quick look at the path as the client wrote it.
    #[inline]
    fn find(&self, request: &Request) -> Found<'_> {
        match self.table.first(path_of(request)) {
            Lookup::Found(route, length) => match route.target.to(request.method()) {
                Some(app) => Found::Route(Match {
                    route,
                    app,
                    plain: Some(length),
                }),
                None => self.search(request),
            },
            Lookup::Nothing => Found::Nothing,
            Lookup::Unsure => self.search(request),
        }
    }

    /// Looks at every route whose pattern matches the path.
    #[inline(never)]
    fn search(&self, request: &Request) -> Found<'_> {
        let mut found = Found::Nothing;
        self.table.each(path_of(request), &mut |route| {
            found.look_at(route, route.target.to(request.method()))
        });
        found
    }

    fn miss(&self, request: Request) -> Reply {
        match &self.fallback {
            Some(fallback) => fallback.call(request),
            None => Reply::new(StatusCode::NOT_FOUND),
        }
    }

    fn method_not_allowed(&self, request: Request, found: &[&Methods]) -> Reply {
        let refused = method_not_allowed(request.method(), found);
        match &self.not_allowed {
            Some(not_allowed) if refused.status() == StatusCode::METHOD_NOT_ALLOWED => {
                let allow = refused.headers().get(ALLOW).cloned();
                not_allowed.call(request).update(move |response| {
                    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                    // Only this line: the application does not know the routes.
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
    /// Considers one more route, and its application for the method.
    fn look_at(&mut self, route: &'a Route, app: Option<&'a Application>) -> ControlFlow<()> {
        match (&route.target, app, &mut *self) {
            // A pattern matches the whole path, so no mount around it is tried.
            (Target::Mount(_), _, Found::NoMethod(_)) => return ControlFlow::Break(()),
            (_, Some(app), _) => {
                *self = Found::Route(Match {
                    route,
                    app,
                    plain: None,
                });
                return ControlFlow::Break(());
            }
            (Target::Methods(methods), None, Found::NoMethod(others)) => others.push(methods),
            (Target::Methods(methods), None, _) => *self = Found::NoMethod(vec![methods]),
            (Target::Mount(_), None, _) => {}
        }
        ControlFlow::Continue(())
    }
}

/// The path to look up.
#[inline]
fn path_of(request: &Request) -> &str {
    match request.path() {
        // A mount consumed the whole path.
        "" => "/",
        path => path,
    }
}

/// Calls the application of the route; the response has the pattern if a wrapper outside wants it.
#[inline]
fn call(found: &Match<'_>, request: Request) -> Reply {
    match request.extensions().get::<RouteWanted>() {
        None => found.call(request),
        Some(_) => call_with_pattern(found, request),
    }
}

#[cold]
fn call_with_pattern(found: &Match<'_>, request: Request) -> Reply {
    let (pattern, is_mount) = (found.route.pattern.text.clone(), found.route.is_mount());
    if let Some(trail) = request.extensions().get::<RouteTrail>() {
        trail.note(request.script_name().len(), found.route);
    }
    found.call(request).update(move |response| match is_mount {
        true => add_prefix(&pattern, response),
        false => {
            let pattern = MatchedPattern::new(pattern);
            response.extensions_mut().insert(pattern);
        }
    })
}

impl Handler for Dispatch {
    fn call(&self, mut request: Request) -> Reply {
        let found = match self.find(&request) {
            Found::Route(found) => found,
            Found::NoMethod(found) => return self.method_not_allowed(request, &found),
            Found::Nothing => return self.miss(request),
        };
        match found.capture(&mut request) {
            Ok(()) => call(&found, request),
            Err(_) => Reply::new(HttpError::new(StatusCode::BAD_REQUEST)),
        }
    }

    fn describe(&self) -> Description {
        let hidden = shadowed::warnings(&self.table);
        let description = hidden.fold(Description::new("Router"), Description::warning);
        let apps = self.table.routes.iter().flat_map(Route::apps);
        let others = [
            ("fallback", &self.fallback),
            ("method not allowed", &self.not_allowed),
        ];
        let others = others
            .into_iter()
            .filter_map(|(label, app)| Some((label.to_owned(), app.as_ref()?)));
        apps.chain(others).fold(description, |all, (label, app)| {
            all.child(label, app.describe())
        })
    }

    fn map_inner(&self, change: &mut dyn FnMut(Application) -> Application) -> Option<Application> {
        let mut router = self.clone();
        let mut replace = |app: &mut Application| *app = change(app.clone());
        let routes = Arc::make_mut(&mut router.table).routes.iter_mut();
        routes.for_each(|route| route.for_each_app(&mut replace));
        router.fallback.iter_mut().for_each(&mut replace);
        router.not_allowed.iter_mut().for_each(replace);
        Some(Application::from_handler(router))
    }
}
