//! Connects to services and layers of the crate `tower`, and so to axum and hyper.
//!
//! | from | to | with |
//! |---|---|---|
//! | an [`Application`](crate::Application) | a service, for axum, hyper or a test | [`AppService`] |
//! | a service, such as an axum router | an [`Application`](crate::Application) | [`application`], [`FromService`] |
//! | a layer, such as those of tower-http | a [`Middleware`](crate::Middleware) | [`layer`] |
//!
//! Bodies are streamed both ways, frame by frame, so trailers and errors pass. Extensions stay on requests and
//! responses. An application inside a layer or a router knows its mounts and captures: see
//! [`Request::into_http`](crate::Request::into_http).
//!
//! A service may upgrade its connection to another protocol with `hyper::upgrade`, as axum's WebSockets do. This works
//! behind each gateway that supports upgrades ([`Request::upgrade`](crate::Request::upgrade)). An application may do it
//! behind a service that hyper serves with upgrades, as axum does. Over HTTP/2 this needs the feature `http2`.
//!
//! # Mounts and the connection inside a service
//!
//! Call [`Request::from`](crate::Request) with the service's request: the result knows the mounts outside the service.
//! axum's own `OriginalUri` does not, because it has only the path after the mounts:
//!
//! ```
//! use axum::extract::Request as AxumRequest;
//! use axum::routing::get;
//! use enfilade::middleware::Router;
//! use enfilade::{Application, Request, tower};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let place = async |request: AxumRequest| {
//!     let request = Request::from(request);
//!     format!("{} and {}", request.script_name(), request.url_for_path("/ws"))
//! };
//! let chat = axum::Router::new().route("/place", get(place));
//! let app = Router::new().mount("/chat", tower::application(chat)).build()?;
//! let response = enfilade_testing::Client::new(app).get("/chat/place").send();
//! assert_eq!(response.text(), "/chat and /chat/ws");
//! # Ok(())
//! # }
//! ```
//!
//! `axum::Extension<enfilade::Connection>` has the connection. Its `shutting_down()` completes when a WebSocket should
//! close, and its `spawn` runs work that outlives the response.
//!
//! # Example
//!
//! An axum router inside a stack, and the stack inside another axum router; `examples/tower.rs` serves them.
//!
//! ```
//! use axum::routing::get;
//! use enfilade::middleware::Router;
//! use enfilade::{Application, Request, tower};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let library = axum::Router::new().route("/shelves", get(async || "Shelves"));
//! let site: Application = Router::new()
//!     .get("/", |_: Request| "Welcome")
//!     .mount("/library", tower::application(library))
//!     .build()?
//!     .into();
//! let response = enfilade_testing::Client::new(site.clone()).get("/library/shelves").send();
//! assert_eq!(response.text(), "Shelves");
//!
//! let outer: axum::Router = axum::Router::new().fallback_service(tower::AppService::new(site));
//! # drop(outer);
//! # Ok(())
//! # }
//! ```

mod app_service;
mod from_service;
mod layer;
mod service_upgrade;

pub use self::app_service::{AppService, AppServiceFuture};
pub use self::from_service::{FromService, application};
pub use self::layer::{InnerService, InnerServiceFuture, TowerLayer, layer};

#[cfg(test)]
mod tests;
