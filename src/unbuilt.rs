//! Applications that are not built yet, for gateways, whose functions return an error anyway.

use std::io;

use enfilade_core::{Application, TryIntoApplication};

/// The application, or what is wrong with it.
pub(crate) fn built<M>(app: impl TryIntoApplication<M>) -> io::Result<Application> {
    app.try_into_application()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

#[cfg(test)]
mod tests {
    use enfilade_core::Request;
    use enfilade_middleware::Router;

    use super::*;

    fn text(app: io::Result<Application>) -> String {
        let app = app.expect("it can be built");
        enfilade_testing::Client::new(app)
            .get("/")
            .send()
            .text()
            .into_owned()
    }

    #[test]
    fn takes_closures_applications_and_routers() {
        assert_eq!(text(built(|_: Request| "closure")), "closure");
        assert_eq!(text(built(async |_: Request| "async")), "async");
        let app = Application::new(|_: Request| "app");
        assert_eq!(text(built(&app)), "app");
        assert_eq!(text(built(app)), "app");
        let router = Router::new().get("/", |_: Request| "router");
        assert_eq!(text(built(router)), "router");
    }

    #[test]
    fn a_router_that_cannot_be_built_is_an_error_with_its_mistakes() {
        let router = Router::new().get("/users/:id", |_: Request| "user");
        let error = built(router).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let mistake = "\"/users/:id\" is not a route: \":id\" would match only itself: write \"{id}\" to capture";
        assert_eq!(error.to_string(), mistake);
    }
}
