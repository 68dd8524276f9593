//! The wrappers of Enfilade: each takes an application and returns an application.
//!
//! One file a wrapper; none of them knows a gateway, a runtime or another wrapper. Application authors find all of this
//! in `enfilade::middleware`.

mod access_log;
mod compression;
mod error;
mod headers;
mod not_found;
mod router;

pub use access_log::{AccessLog, DroppedLines};
pub use compression::{Coding, Compression, Flush, Negotiated, negotiate_coding};
pub use error::{Error, ErrorKind};
pub use headers::Headers;
pub use not_found::{NotFound, Pass};
pub use router::{MatchedPattern, RouteInfo, RouteWanted, Router, UrlError, Urls};

#[cfg(test)]
mod tests {
    use enfilade_core::{Application, Request, around};

    use super::{AccessLog, Compression, Headers, NotFound, Router};

    #[test]
    fn every_boundary_of_a_stack_can_be_reached() {
        fn marked(app: Application) -> Application {
            let app = app.map_inner(&mut marked);
            app.wrap(around("boundary", Application::call))
        }
        let leaf = || Application::new(|_: Request| "x");
        let router = Router::new()
            .get("/a", leaf())
            .any("/a", leaf())
            .get("/{*rest}", leaf())
            .mount("/m", leaf())
            .fallback(leaf());
        let app = router
            .build()
            .unwrap()
            .wrap(NotFound::new(leaf()))
            .wrap(Compression::new())
            .wrap(Headers::new())
            .wrap(AccessLog::common().writer(std::io::sink()));
        let components = app.describe().to_string().lines().count();
        let marked = marked(app).describe().to_string();
        assert_eq!(components, 11);
        assert_eq!(marked.matches("boundary\n").count(), components, "{marked}");
    }
}
