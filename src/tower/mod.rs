//! The door to the rest of the ecosystem: services and layers of the crate `tower`, and with them axum and hyper.
//!
//! | from | to | with |
//! |---|---|---|
//! | an [`Application`](crate::Application) | a service, for axum, hyper or a test | [`AppService`] |
//! | a service, such as an axum router | an [`Application`](crate::Application) | [`application`], [`FromService`] |
//! | a layer, such as those of tower-http | a [`Middleware`](crate::Middleware) | [`layer`] |
//!
//! Bodies are streamed both ways, frame by frame, so trailers and errors pass; extensions stay on requests and
//! answers. What is mounted and captured is known again to an application that stands inside a layer or a router:
//! see [`Request::into_http`](crate::Request::into_http).
//!
//! A service that changes its connection to another protocol with `hyper::upgrade`, such as axum's WebSockets, does so
//! behind each gateway that can ([`Request::upgrade`](crate::Request::upgrade)), and an application behind a service that
//! hyper serves with upgrades, as axum does. Over HTTP/2 that takes the feature `http2`.
//!
//! # What a service inside can know
//!
//! Take [`Request::from`](crate::Request) of its request: it knows what is mounted outside of the service. axum's own
//! `OriginalUri` does not, as it sees the path that is left:
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
//! `axum::Extension<enfilade::Connection>` has the connection: `shutting_down()` says when a WebSocket should close, and
//! `spawn` runs what outlives the response.
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
//! let house: Application = Router::new()
//!     .get("/", |_: Request| "Welcome")
//!     .mount("/library", tower::application(library))
//!     .build()?
//!     .into();
//! let answer = enfilade_testing::Client::new(house.clone()).get("/library/shelves").send();
//! assert_eq!(answer.text(), "Shelves");
//!
//! let street: axum::Router = axum::Router::new().fallback_service(tower::AppService::new(house));
//! # drop(street);
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
