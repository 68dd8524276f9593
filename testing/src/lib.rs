//! Tests for Enfilade components: a client without a socket, and a checker of the contract.
//!
//! [`Client`] sends requests to an application in this process, by the same rules as a gateway. [`Lint`] is a wrapper
//! that changes nothing and checks the laws of the contract in both directions. Put one outside and one inside the
//! wrapper under test, and it reports which side broke which law. [`lint_all`] puts one at every boundary of a stack,
//! so that it names the component at fault. [`laws`] tests a wrapper with generated requests, applications and clients.
//! [`doctor`] warns of wrappers in an order that is known to be wrong.
//!
//! ```
//! # use enfilade_core as enfilade;
//! use enfilade::{Application, Request};
//! use enfilade_testing::{Client, Lint};
//!
//! let hello = Application::new(|request: Request| format!("Hello, {}!", request.path_info()));
//! let client = Client::new(hello.wrap(Lint::new()));
//!
//! let response = client.get("/garden?season=spring").header("accept", "text/plain").send();
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.header("content-length"), Some("15"));
//! assert_eq!(response.text(), "Hello, /garden!");
//! ```
//!
//! An invalid value in a test (a header name with a space in it, an invalid target) panics at the line of the test.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod client;
mod doctor;
mod fail;
pub mod laws;
mod lint;

pub use client::content::MultipartForm;
pub use client::response::TestResponse;
pub use client::{Client, RequestBuilder};
pub use doctor::{Doctor, Warning, doctor};
pub use lint::everywhere::{lint_all, lint_all_with};
pub use lint::{Finding, Law, Lint, Side};
