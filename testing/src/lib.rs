//! For tests of Enfilade components: a client without a socket, and a checker of the contract.
//!
//! [`Client`] sends requests to an application in this process, by the same rules as a gateway. [`Lint`] is a wrapper
//! that changes nothing and watches the laws of the contract on the way in and out; put it outside and inside a wrapper
//! under test, and it says which side broke which law. [`lint_all`] puts one at every boundary of a stack, so that the
//! guilty component is named; [`laws`] tries a wrapper on generated requests, applications and clients; and [`doctor`]
//! warns of wrappers in an order that is known to be wrong.
//!
//! ```
//! use enfilade_core::{Application, Request};
//! use enfilade_testing::{Client, Lint};
//!
//! let hello = Application::new(|request: Request| format!("Hello, {}!", request.path_info()));
//! let client = Client::new(hello.wrap(Lint::new()));
//!
//! let answer = client.get("/garden?season=spring").header("accept", "text/plain").send();
//! assert_eq!(answer.status(), 200);
//! assert_eq!(answer.header("content-length"), Some("15"));
//! assert_eq!(answer.text(), "Hello, /garden!");
//! ```
//!
//! What is made wrong in a test (a header name with a space in it, a target that is none) panics at the line of the test.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod client;
mod doctor;
mod fail;
pub mod laws;
mod lint;

pub use client::response::TestResponse;
pub use client::{Client, RequestBuilder};
pub use doctor::{Doctor, Warning, doctor};
pub use lint::everywhere::{lint_all, lint_all_with};
pub use lint::{Finding, Law, Lint, Side};
