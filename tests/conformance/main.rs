//! Runs the conformance cases: facts about HTTP as data, in this folder or in `ENFILADE_CONFORMANCE`.
//!
//! It prints every failed case with the expected and the actual result, the components that cases need and that do not
//! exist yet, and a line for each file. It fails if a `must` or `should` fails, or if a case of an existing component
//! cannot be judged; a `policy` is only listed.

#[cfg(test)]
mod apps;
#[cfg(test)]
mod body;
#[cfg(test)]
mod case;
#[cfg(test)]
mod child;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod expect;
#[cfg(test)]
mod facts;
#[cfg(test)]
mod function;
#[cfg(test)]
mod http1;
#[cfg(test)]
mod http2;
#[cfg(test)]
mod in_process;
#[cfg(test)]
mod lint;
#[cfg(test)]
mod matchers;
#[cfg(test)]
mod observed;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod quotas;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod report;
#[cfg(test)]
mod request;
#[cfg(test)]
mod runner;
#[cfg(test)]
mod said;
#[cfg(test)]
mod sequence;
#[cfg(test)]
mod server;
#[cfg(test)]
mod socket;
#[cfg(test)]
mod stack;
#[cfg(test)]
mod transport;
#[cfg(test)]
mod verdict;
#[cfg(test)]
mod wire;
