//! The check of a router for hidden routes, for tests.

use super::Router;
use super::shadowed::{HiddenRoute, hidden_routes};
use super::table::Table;

impl Router {
    /// Finds routes that no request reaches, because another one matches all their paths.
    ///
    /// Call it in a test, before [`build`](Router::build). Nested routers are checked with the prefixes that they have
    /// here. The result is sorted by pattern, router by router.
    ///
    /// Needs the feature `route-check`: comparing constraints takes a crate that few programs need at run time.
    ///
    /// Two routes are compared at a time: a route that only several others hide together is not found, nor one whose
    /// regular expression is too large to compare.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::Request;
    /// use enfilade::middleware::Router;
    ///
    /// fn routes() -> Router {
    ///     Router::new()
    ///         .get("/users/{name:[a-z0-9]+}", |_: Request| "by name")
    ///         .get("/users/{id:[0-9]+}", |_: Request| "by ID")
    /// }
    ///
    /// let hidden = routes().check();
    /// assert_eq!(hidden.len(), 1);
    /// assert_eq!(
    ///     hidden[0].to_string(),
    ///     "GET \"/users/{id:[0-9]+}\" is never reached: \
    ///      \"/users/{name:[a-z0-9]+}\" comes first and matches all its paths"
    /// );
    /// ```
    #[must_use]
    pub fn check(&self) -> Vec<HiddenRoute> {
        let mut table = Table::default();
        for route in &self.routes {
            // What cannot be added is an error of `build`.
            let _ = table.insert(route.clone());
        }
        let nested = self.nested.iter().flat_map(|(prefix, table)| {
            let hidden = hidden_routes(table).into_iter();
            hidden.map(|hidden| hidden.below(&prefix.text))
        });
        hidden_routes(&table).into_iter().chain(nested).collect()
    }
}

#[cfg(test)]
mod tests {
    use enfilade_core::{Application, Request};
    use enfilade_testing::doctor;

    use super::*;

    fn shown(router: &Router) -> Vec<String> {
        router.check().iter().map(ToString::to_string).collect()
    }

    fn app() -> Application {
        Application::new(|_: Request| "x")
    }

    fn line(route: &str, by: &str) -> String {
        format!("{route} is never reached: {by:?} comes first and matches all its paths")
    }

    #[test]
    fn finds_a_route_that_another_hides() {
        let hidden: [(&[&str], &[&str]); 13] = [
            (&["GET /{a:.+}", "GET /{b}"], &["GET \"/{b}\" \"/{a:.+}\""]),
            (
                &["GET /{a:[a-z]+}", "GET /{b:[a-m]{3}}"],
                &["GET \"/{b:[a-m]{3}}\" \"/{a:[a-z]+}\""],
            ),
            // The other way round each is reached.
            (&["GET /{b:[a-m]{3}}", "GET /{a:[a-z]+}"], &[]),
            (&["GET /{b}", "GET /{a:[^x]+}"], &[]),
            (
                &["GET /{a:-?\\d+}", "GET /{b:int}"],
                &["GET \"/{b:int}\" \"/{a:-?\\\\d+}\""],
            ),
            (&["GET /{a:[^.]+}", "GET /{b}.{c}"], &[]),
            (
                &["GET /{a:.+}", "GET /{b}.{c}"],
                &["GET \"/{b}.{c}\" \"/{a:.+}\""],
            ),
            // Text comes before every constraint.
            (&["GET /{a:.+}", "GET /text"], &[]),
            (
                &[
                    "GET /{a:.+}/x/{z}",
                    "GET /{b:int}/{y:slug}/1",
                    "GET /{b:int}/x/1",
                    "GET /{b:int}/x/1/2",
                ],
                &["GET \"/{b:int}/x/1\" \"/{a:.+}/x/{z}\""],
            ),
            (
                &["GET /{a:.+}", "GET /{b:int}", "POST /{b:int}"],
                &["GET \"/{b:int}\" \"/{a:.+}\""],
            ),
            (
                &["ANY /{a:.+}", "GET /{b:int}", "ANY /{b:int}"],
                &["GET \"/{b:int}\" \"/{a:.+}\"", "\"/{b:int}\" \"/{a:.+}\""],
            ),
            (&["GET /{a:.+}", "ANY /{b:int}"], &[]),
            (
                &["MOUNT /{a:.+}", "MOUNT /{b}", "MOUNT /{b}/c", "GET /{b}"],
                &["\"/{b}\" \"/{a:.+}\""],
            ),
        ];
        for (routes, expected) in hidden {
            let router = routes.iter().fold(Router::new(), |router, route| {
                match route.split_once(' ').unwrap() {
                    ("ANY", pattern) => router.any(pattern, app()),
                    ("MOUNT", prefix) => router.mount(prefix, app()),
                    (method, pattern) => router.on(&[method.parse().unwrap()], pattern, app()),
                }
            });
            let found: Vec<String> = shown(&router)
                .iter()
                .map(|line| {
                    line.replace(" is never reached:", "")
                        .replace(" comes first and matches all its paths", "")
                })
                .collect();
            assert_eq!(found, expected, "{routes:?}");
            assert!(router.build().is_ok(), "{routes:?}");
        }
    }

    #[test]
    fn finds_a_hidden_route_behind_another_of_its_shape() {
        let router = Router::new()
            .get("/{a:.+}", app())
            .post("/{b:.+}", app())
            .post("/{c}", app())
            .get("/{d}", app());
        let found = router.check();
        assert_eq!(
            shown(&router),
            [
                line("POST \"/{c}\"", "/{b:.+}"),
                line("GET \"/{d}\"", "/{a:.+}")
            ]
        );
        assert_eq!(found[0].method().map(http::Method::as_str), Some("POST"));
        assert_eq!(
            (found[0].pattern(), found[0].hidden_by()),
            ("/{c}", "/{b:.+}")
        );
    }

    #[test]
    fn nested_routers_are_checked_with_their_prefixes() {
        let inner = || {
            Router::new()
                .get("/{a:.+}", app())
                .get("/{b}", app())
                .mount("/m", app())
        };
        let router = Router::new()
            .nest("/x", Router::new().nest("/{y}", inner()))
            .merge(Router::new().nest("/z", inner()));
        assert_eq!(
            shown(&router),
            [
                line("GET \"/x/{y}/{b}\"", "/x/{y}/{a:.+}"),
                line("GET \"/z/{b}\"", "/z/{a:.+}")
            ]
        );
        assert_eq!(
            Router::new()
                .nest("/x", Router::new().get("/", app()))
                .check(),
            []
        );
    }

    #[test]
    fn the_doctor_shows_hidden_routes_of_every_router() {
        let inner = Router::new().get("/{a:.+}", app()).get("/{b}", app());
        let stack = Router::new().nest("/in", inner).build().unwrap();
        let shown: Vec<_> = doctor(&stack).iter().map(ToString::to_string).collect();
        let reason = line("GET \"/{b}\"", "/{a:.+}");
        assert_eq!(
            shown,
            [format!("Router: {reason} (Router > /in/...: Router)")]
        );
    }
}
