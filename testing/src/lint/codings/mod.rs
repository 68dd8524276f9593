//! Laws 7 and 9 over several responses: `ETag` and `Vary` for one target.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};

use enfilade_core::Request;
use enfilade_core::headers::{has_token, members, tokens};
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, ETAG, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::lint::finding::Law;
use crate::lint::vary::{SeenVary, is_condition};

/// How many targets are remembered; a new one replaces the oldest.
const TARGETS: usize = 1_024;
/// How many codings are remembered for each target.
const CODINGS: usize = 4;
/// How many codings a request may list and still be checked.
const ACCEPTED: usize = 16;
/// The maximum length of a coding's name.
const LONGEST_CODING: usize = 32;

const IDENTITY: &str = "identity";

/// The codings that one boundary has seen, by method and target.
///
/// Everything except the names of codings is kept as hashes with a key of this process, so that an entry has a known
/// size. If another thread holds the lock, a response is skipped: no request waits here.
#[derive(Default)]
pub(in crate::lint) struct CodingMemory {
    hashes: RandomState,
    targets: Mutex<TargetRing>,
    /// A target should have been forgotten while another thread held the lock: all of them will be.
    is_stale: AtomicBool,
}

/// What has to be kept of a request to judge its response.
pub(in crate::lint) struct RequestCodings {
    target: u64,
    method_class: MethodClass,
    accepts: Vec<u64>,
    others: u64,
    /// All headers except conditions.
    unconditional: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MethodClass {
    Get,
    Head,
    /// It may change the target, as caches see it (RFC 9111, section 4.4).
    Unsafe,
}

impl CodingMemory {
    pub(in crate::lint) fn read_request(&self, request: &Request) -> RequestCodings {
        let method_class = match *request.method() {
            Method::GET => MethodClass::Get,
            Method::HEAD => MethodClass::Head,
            _ => MethodClass::Unsafe,
        };
        let (scheme, headers) = (request.scheme().as_str(), request.headers());
        RequestCodings {
            target: self.hash((scheme, request.host(), request.uri())),
            method_class,
            accepts: accepted(headers)
                .take(ACCEPTED + 1)
                .map(|coding| self.hash(coding))
                .collect(),
            others: self.sum(headers, |name| *name != ACCEPT_ENCODING),
            unconditional: self.sum(headers, |name| !is_condition(name)),
        }
    }

    /// All values of these headers, as a sum, because their order does not matter.
    fn sum(&self, headers: &HeaderMap, is_counted: fn(&HeaderName) -> bool) -> u64 {
        let counted = headers.iter().filter(|(name, _)| is_counted(name));
        counted.fold(0, |sum, (name, value)| {
            sum.wrapping_add(self.hash((name, value.as_bytes())))
        })
    }

    fn hash(&self, value: impl Hash) -> u64 {
        self.hashes.hash_one(value)
    }

    /// Remembers a response, and returns what is wrong between it and earlier ones.
    pub(in crate::lint) fn record_response(
        &self,
        asked: RequestCodings,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Vec<(Law, String)> {
        if asked.method_class == MethodClass::Unsafe {
            match self.try_lock() {
                Some(mut targets) => targets.forget(asked.target),
                None => self.is_stale.store(true, Ordering::Relaxed),
            }
            return Vec::new();
        }
        let is_compared = [
            StatusCode::OK,
            StatusCode::PARTIAL_CONTENT,
            StatusCode::NOT_MODIFIED,
        ];
        let Some(mut targets) = is_compared
            .contains(&status)
            .then(|| self.try_lock())
            .flatten()
        else {
            return Vec::new();
        };
        let target = targets.at(asked.target, asked.method_class);
        let missing = target.compare_vary(asked.unconditional, status, headers);
        let mut wrong: Vec<_> = missing
            .map(|wrong| (Law::Required, wrong))
            .into_iter()
            .collect();
        let coding = coding(headers).filter(|coding| coding.len() <= LONGEST_CODING);
        if let (Some(coding), StatusCode::OK, 0..=ACCEPTED) = (coding, status, asked.accepts.len())
        {
            let values = target.add(self.seen(asked, coding, headers), headers);
            wrong.extend(values.into_iter().map(|wrong| (Law::Values, wrong)));
        }
        wrong
    }

    fn seen(&self, asked: RequestCodings, coding: String, headers: &HeaderMap) -> SeenCoding {
        SeenCoding {
            hash: self.hash(&coding),
            coding,
            strong_etag: strong_etag(headers).map(|etag| self.hash(etag.as_bytes())),
            varies: varies(headers),
            any: asked.accepts.contains(&self.hash("*")),
            accepts: asked.accepts,
            others: asked.others,
        }
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, TargetRing>> {
        let mut targets = match self.targets.try_lock() {
            Ok(targets) => targets,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        if self.is_stale.swap(false, Ordering::Relaxed) {
            *targets = TargetRing::default();
        }
        Some(targets)
    }
}

/// A ring once it is full.
#[derive(Default)]
struct TargetRing {
    list: Vec<TargetCodings>,
    oldest: usize,
}

impl TargetRing {
    fn at(&mut self, hash: u64, method_class: MethodClass) -> &mut TargetCodings {
        let known = self
            .list
            .iter()
            .position(|target| target.hash == hash && target.method_class == method_class);
        let at = known.unwrap_or_else(|| {
            let new = TargetCodings::new(hash, method_class);
            if self.list.len() < TARGETS {
                self.list.push(new);
                return self.list.len() - 1;
            }
            let at = self.oldest;
            self.list[at] = new;
            self.oldest = (at + 1) % TARGETS;
            at
        });
        &mut self.list[at]
    }

    fn forget(&mut self, hash: u64) {
        let known = self.list.iter_mut().filter(|target| target.hash == hash);
        known.for_each(|target| {
            target.seen.clear();
            target.vary = None;
        });
    }
}

struct TargetCodings {
    hash: u64,
    method_class: MethodClass,
    seen: Vec<SeenCoding>,
    vary: Option<SeenVary>,
    // A fault of a target is reported once.
    reported_etag: bool,
    reported_vary: bool,
    reported_missing: bool,
}

impl TargetCodings {
    fn new(hash: u64, method_class: MethodClass) -> TargetCodings {
        TargetCodings {
            hash,
            method_class,
            seen: Vec::new(),
            reported_etag: false,
            reported_vary: false,
            vary: None,
            reported_missing: false,
        }
    }

    fn compare_vary(
        &mut self,
        request: u64,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<String> {
        if status == StatusCode::OK {
            self.vary = SeenVary::new(request, headers);
            return None;
        }
        let missing = self.vary.as_ref()?.missing(request, status, headers);
        let missing = missing.filter(|_| !self.reported_missing);
        self.reported_missing |= missing.is_some();
        missing
    }

    fn add(&mut self, new: SeenCoding, headers: &HeaderMap) -> Vec<String> {
        let earlier = || self.seen.iter().filter(|seen| seen.coding != new.coding);
        let shares = earlier().find(|seen| seen.shares_etag(&new));
        let shares = shares.filter(|_| !self.reported_etag);
        let unsaid = earlier().find(|seen| seen.is_chosen_unsaid(&new));
        let unsaid = unsaid.filter(|_| !self.reported_vary);
        let message = shares.map(|seen| {
            let etag = headers.get(ETAG).map(crate::lint::values::shown);
            format!(
                "the strong validator {} stands for two codings of one target, {} and {} (RFC 9110, section 8.8.1)",
                etag.unwrap_or_default(),
                seen.coding,
                new.coding
            )
        });
        let second = unsaid.map(|seen| {
            format!(
                "one target has the codings {} and {} by Accept-Encoding, and neither response names that header in Vary \
                 (RFC 9110, section 12.5.5)",
                seen.coding, new.coding
            )
        });
        self.reported_etag |= message.is_some();
        self.reported_vary |= second.is_some();
        self.remember(new);
        message.into_iter().chain(second).collect()
    }

    fn remember(&mut self, new: SeenCoding) {
        self.seen.retain(|seen| seen.coding != new.coding);
        if self.seen.len() == CODINGS {
            self.seen.remove(0);
        }
        self.seen.push(new);
    }
}

/// One coding of a target.
struct SeenCoding {
    coding: String,
    hash: u64,
    strong_etag: Option<u64>,
    varies: Varies,
    /// The codings that the request accepts, and whether it accepts any.
    accepts: Vec<u64>,
    any: bool,
    /// All other headers of the request.
    others: u64,
}

/// The headers on which a response's coding depends, as the response declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Varies {
    /// On `Accept-Encoding`; or no cache may store it.
    Said,
    Nothing,
    /// On other headers only.
    Others,
}

impl SeenCoding {
    fn shares_etag(&self, other: &SeenCoding) -> bool {
        self.strong_etag.is_some() && self.strong_etag == other.strong_etag
    }

    fn accepts(&self, coding: &SeenCoding) -> bool {
        self.any || coding.coding == IDENTITY || self.accepts.contains(&coding.hash)
    }

    /// Whether the two codings were chosen by `Accept-Encoding` and neither response declares it.
    ///
    /// They were certainly chosen if each request accepted the coding that it got, and one of them would not have
    /// accepted the other's. A target that merely changed does not look like that.
    fn is_chosen_unsaid(&self, other: &SeenCoding) -> bool {
        let is_chosen = self.accepts(self)
            && other.accepts(other)
            && !(self.accepts(other) && other.accepts(self));
        let is_unsaid = match (self.varies, other.varies) {
            (Varies::Said, _) | (_, Varies::Said) => false,
            (Varies::Nothing, Varies::Nothing) => true,
            // The headers on which they depend may have made the difference.
            _ => self.others == other.others,
        };
        is_chosen && is_unsaid
    }
}

/// The codings of a message, normalized; `None` if the header is not text.
fn coding(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(CONTENT_ENCODING).iter();
    if lines.any(|line| line.to_str().is_err()) {
        return None;
    }
    let codings: Vec<_> = members(headers, &CONTENT_ENCODING)
        .map(canonical)
        .filter(|coding| coding != IDENTITY)
        .collect();
    Some(match codings.is_empty() {
        true => IDENTITY.to_owned(),
        false => codings.join(", "),
    })
}

/// In lower case and without the `x-` of old names (RFC 9110, section 8.4.1).
fn canonical(coding: &str) -> String {
    let coding = coding.to_ascii_lowercase();
    match coding.as_str() {
        "x-gzip" | "x-compress" => coding.trim_start_matches("x-").to_owned(),
        _ => coding,
    }
}

/// The codings that a request accepts, normalized.
fn accepted(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let is_refused = |parameters: &str| {
        let weight = parameters.trim().trim_start_matches(['q', 'Q', '=']);
        !weight.is_empty() && weight.bytes().all(|byte| byte == b'0' || byte == b'.')
    };
    members(headers, &ACCEPT_ENCODING).filter_map(move |member| {
        let (coding, parameters) = member.split_once(';').unwrap_or((member, ""));
        (!is_refused(parameters)).then(|| canonical(coding.trim()))
    })
}

fn strong_etag(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers
        .get(ETAG)
        .filter(|etag| etag.as_bytes().starts_with(b"\""))
}

fn varies(headers: &HeaderMap) -> Varies {
    let mut names = tokens(headers, &VARY).peekable();
    if names.peek().is_none() && !headers.contains_key(VARY) {
        // A cache that stores nothing cannot mix responses up.
        return match has_token(headers, &CACHE_CONTROL, "no-store") {
            true => Varies::Said,
            false => Varies::Nothing,
        };
    }
    let says = |name: &str| name == "*" || name.eq_ignore_ascii_case("accept-encoding");
    match names.any(says) || has_token(headers, &CACHE_CONTROL, "no-store") {
        true => Varies::Said,
        false => Varies::Others,
    }
}

#[cfg(test)]
mod tests;
