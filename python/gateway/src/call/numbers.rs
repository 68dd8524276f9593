//! Captures of a path that the application gets as numbers.

use std::sync::Arc;

use enfilade::{Application, Middleware, Request, around};

/// The names of the captures that are numbers.
#[derive(Clone)]
pub(crate) struct NumberCaptures(Arc<[String]>);

impl NumberCaptures {
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|each| each == name)
    }
}

/// Lets an application get these captures of its route as numbers in `wsgiorg.routing_args`.
#[must_use]
pub fn with_numbers(app: Application, names: Vec<String>) -> Application {
    let names: Arc<[String]> = names.into();
    let mark = move |inner: &Application, mut request: Request| {
        let extensions = request.extensions_mut();
        let all = match extensions.get::<NumberCaptures>() {
            Some(outer) => outer.0.iter().chain(names.iter()).cloned().collect(),
            None => names.clone(),
        };
        extensions.insert(NumberCaptures(all));
        inner.call(request)
    };
    around("numbers", mark).wrap(app)
}
