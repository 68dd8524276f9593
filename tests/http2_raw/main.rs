//! Sends HTTP/2 frames given as data to a real server and judges the frames that come back.
//!
//! The cases are in `tests/conformance/http2_raw.json`; `tests/conformance/README.md` has their schema. The run prints
//! how many cases each section of the RFC has, the cases in which the server makes a choice that the RFC allows and
//! does not name first, and the departures of the library `h2` that we accept.

#[cfg(test)]
mod app;
#[cfg(test)]
mod case;
#[cfg(test)]
mod encode;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod expect;
#[cfg(test)]
mod names;
#[cfg(test)]
mod object;
#[cfg(test)]
mod observed;
#[cfg(test)]
mod runner;
#[cfg(test)]
mod wire;

#[cfg(test)]
#[path = "../support/running.rs"]
mod running;
