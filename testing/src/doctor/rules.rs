//! Orders that are known to be wrong.

use std::borrow::Cow;

/// Components that respond to some requests themselves.
const RESPONDING: &[&str] = &[
    "AllowAddresses",
    "ApiKeys",
    "Authorize",
    "Basic",
    "Bearer",
    "BodyLimit",
    "CatchPanic",
    "ClientCertificates",
    "ConcurrencyLimit",
    "Csrf",
    "DebugErrors",
    "ForwardAuth",
    "Maintenance",
    "NotFound",
    "RateLimit",
    "Timeout",
];

/// Components that find out who the client is.
const IDENTIFYING: &[&str] = &[
    "ApiKeys",
    "Basic",
    "Bearer",
    "ClientCertificates",
    "ForwardAuth",
];

/// Known rules, by the names of components: any of the first must not be outside any of the second.
pub(super) const KNOWN: [(&[&str], &[&str], &str); 41] = [
    (
        &["Compression"],
        &["AccessLog"],
        "the log counts the bytes before compression, not the bytes sent",
    ),
    (
        &["Compression"],
        &["Compression"],
        "both decide what to compress, so neither's settings are reliable",
    ),
    (
        &["AccessLog"],
        &["AccessLog"],
        "each request is logged twice",
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
        "the less detailed page of the outer one replaces that of the inner one",
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
        "the bytes before compression are counted, not the bytes sent",
    ),
    (&["Metrics"], &["Metrics"], "each request is counted twice"),
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
    (&["Trace"], &["Trace"], "each request has two server spans"),
    (
        &["CanonicalHost", "TrustedHosts"],
        &["ProxyFix"],
        "the checked host is not the one that the proxy forwards",
    ),
    (
        &["HttpsRedirect"],
        &["ProxyFix"],
        "behind a proxy that terminates TLS, every request is redirected to itself",
    ),
    (
        &["ProxyFix"],
        &["ProxyFix"],
        "the outer one removes the headers that the inner one needs",
    ),
    (
        &["RateLimit"],
        &["ProxyFix"],
        "all clients behind a proxy share one limit",
    ),
    (
        RESPONDING,
        &["Cors"],
        "pages of other origins cannot read the responses that the outer one makes itself, including those to preflights",
    ),
    (
        &["BodyLimit"],
        &["Decompression"],
        "the limit counts compressed bytes, and a short request may decompress to a long one",
    ),
    (
        &["HttpsRedirect"],
        &["TrustedHosts"],
        "the redirect leads to any host that a client sends",
    ),
    (
        RESPONDING,
        &["SecurityHeaders"],
        "the responses that the outer one makes itself lack the headers",
    ),
    (
        &["ErrorPages"],
        &["Compression"],
        "error pages are not compressed",
    ),
    (
        &["ContentType"],
        &["Compression"],
        "the content type is not known yet when compression decides",
    ),
    (
        &["SendFile"],
        &["Compression", "Inspect", "Trace"],
        "the inner one turns files into streams, which the web server cannot send itself",
    ),
    (
        &["AccessLog", "Trace"],
        &["Sensitive"],
        "request headers are shown before they are marked as sensitive",
    ),
    (
        &["Maintenance"],
        &["ProxyFix"],
        "access is decided by the proxy's address, not the client's",
    ),
    (
        &["Etag"],
        &["Compression"],
        "the tag is that of compressed content, so each coding and each release of an encoder has its own",
    ),
    (
        &["Conditional"],
        &["Compression"],
        "content that the client has is compressed before it is dropped",
    ),
    (
        &["Ranges"],
        &["Compression"],
        "the parts are those of compressed content, which may differ the next time",
    ),
    (
        &["Etag"],
        &["Conditional"],
        "the conditions are compared before there is a tag",
    ),
    (
        &["Conditional", "Etag"],
        &["Ranges"],
        "the part is taken before the conditions are compared",
    ),
    (
        &["Csrf"],
        &["ProxyFix"],
        "the origin of a page is compared with the proxy's scheme and host, not the client's",
    ),
    (
        &["MethodOverride"],
        &["Csrf"],
        "a POST of another site is checked as the method that it names",
    ),
    (
        &["Authorize"],
        IDENTIFYING,
        "rules are applied before it is known who the client is",
    ),
    (
        &["Authorize"],
        &["MethodOverride", "Rewrite", "Slashes"],
        "rules see another path or method than the router",
    ),
    (
        &["AllowAddresses"],
        &["ProxyFix"],
        "access is decided by the proxy's address, not the client's",
    ),
    (
        &["Basic", "Bearer", "ApiKeys"],
        &["ProxyFix"],
        "behind a proxy that terminates TLS, credentials are rejected as if they came without TLS",
    ),
    (
        &["Basic", "ForwardAuth"],
        &["RateLimit"],
        "passwords can be guessed without a limit",
    ),
    (
        &["Sessions"],
        &["Sessions"],
        "each sets its cookie, and applications see only the inner one",
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
