//! The orders that are known to be wrong.

use std::borrow::Cow;

/// Those that respond to some requests themselves.
const RESPONDING: &[&str] = &[
    "BodyLimit",
    "CatchPanic",
    "ConcurrencyLimit",
    "DebugErrors",
    "Maintenance",
    "NotFound",
    "RateLimit",
    "Timeout",
];

/// What is known, by the names of components: all of the first around any of the second.
pub(super) const KNOWN: [(&[&str], &[&str], &str); 28] = [
    (
        &["Compression"],
        &["AccessLog"],
        "the log counts the bytes before compression and not those that are sent",
    ),
    (
        &["Compression"],
        &["Compression"],
        "both choose what is compressed, so the settings of neither hold",
    ),
    (
        &["AccessLog"],
        &["AccessLog"],
        "a request has two lines in the log",
    ),
    (
        RESPONDING,
        &["AccessLog"],
        "the log does not see the responses that the outer one makes itself",
    ),
    (
        RESPONDING,
        &["RequestId"],
        "the responses that the outer one makes itself have no ID",
    ),
    (
        &["ErrorPages"],
        &["DebugErrors"],
        "the page of the outer one, which says less, replaces that of the inner one",
    ),
    (
        &["NotFound"],
        &["Compression"],
        "the pages of the fallback are not compressed",
    ),
    (
        &["NotFound"],
        &["Headers"],
        "the pages of the fallback lack the headers",
    ),
    (
        &["AccessLog"],
        &["ProxyFix"],
        "the log takes the proxy for the client",
    ),
    (
        RESPONDING,
        &["Metrics"],
        "the responses that the outer one makes itself are not counted",
    ),
    (
        &["Compression"],
        &["Metrics"],
        "the bytes before compression are counted and not those that are sent",
    ),
    (&["Metrics"], &["Metrics"], "a request is counted twice"),
    (
        RESPONDING,
        &["Trace"],
        "the responses that the outer one makes itself are not in the span",
    ),
    (
        &["Trace"],
        &["ProxyFix"],
        "the span takes the proxy for the client",
    ),
    (
        &["Trace"],
        &["Trace"],
        "a request has two spans of a server",
    ),
    (
        &["CanonicalHost", "TrustedHosts"],
        &["ProxyFix"],
        "the host that is checked is not the one that the proxy names",
    ),
    (
        &["HttpsRedirect"],
        &["ProxyFix"],
        "behind a proxy that ends TLS every request is redirected to itself",
    ),
    (
        &["ProxyFix"],
        &["ProxyFix"],
        "the outer one leaves no header to the inner one",
    ),
    (
        &["RateLimit"],
        &["ProxyFix"],
        "all clients behind a proxy are limited as one",
    ),
    (
        RESPONDING,
        &["Cors"],
        "pages of other origins cannot read the responses that the outer one makes itself, not even to a preflight",
    ),
    (
        &["BodyLimit"],
        &["Decompression"],
        "the limit counts compressed bytes, and a short request may become a long one behind it",
    ),
    (
        &["HttpsRedirect"],
        &["TrustedHosts"],
        "the redirect leads to whatever host a client names",
    ),
    (
        RESPONDING,
        &["SecurityHeaders"],
        "the responses that the outer one makes itself lack the headers",
    ),
    (
        &["ErrorPages"],
        &["Compression"],
        "the pages of errors are not compressed",
    ),
    (
        &["ContentType"],
        &["Compression"],
        "the type is not known yet when the compression decides",
    ),
    (
        &["SendFile"],
        &["Compression", "Inspect", "Trace"],
        "the inner one makes streams of the files, which the web server cannot send itself",
    ),
    (
        &["AccessLog", "Trace"],
        &["Sensitive"],
        "the headers of requests are shown before they are marked",
    ),
    (
        &["Maintenance"],
        &["ProxyFix"],
        "who may pass is decided by the proxy's address",
    ),
];

/// One component around another, and why that is wrong.
#[derive(Clone, Debug)]
pub(super) struct OrderRule {
    pub(super) outer: Cow<'static, str>,
    pub(super) inner: Cow<'static, str>,
    pub(super) reason: Cow<'static, str>,
}

/// The rules of the table, one for each pair.
pub(super) fn known() -> impl Iterator<Item = OrderRule> {
    KNOWN.iter().flat_map(|(outers, inners, reason)| {
        let pairs = outers
            .iter()
            .flat_map(|outer| inners.iter().map(move |inner| (outer, inner)));
        pairs.map(|(outer, inner)| OrderRule {
            outer: (*outer).into(),
            inner: (*inner).into(),
            reason: (*reason).into(),
        })
    })
}
