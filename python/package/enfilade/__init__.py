"""A fast WSGI server and wrappers for WSGI applications, in Rust.

Everything here is a WSGI application or takes one and gives one:

    app = Compression(AccessLog(flask_app))

The result runs on any WSGI server, and on this one without leaving Rust between the wrappers.
"""

from enfilade._native import (
    AccessLog,
    Application,
    BodyLimit,
    CacheControl,
    CanonicalHost,
    CatchPanic,
    Compression,
    ConcurrencyLimit,
    Cors,
    Decompression,
    ErrorPages,
    FileWrapper,
    Headers,
    HttpsRedirect,
    Maintenance,
    MethodOverride,
    Mounts,
    NotFound,
    ProxyFix,
    RateLimit,
    RequestId,
    Router,
    SecurityHeaders,
    Server,
    Slashes,
    Timeout,
    Timing,
    TrustedHosts,
    __version__,
)

__all__ = [
    "AccessLog",
    "Application",
    "BodyLimit",
    "CacheControl",
    "CanonicalHost",
    "CatchPanic",
    "Compression",
    "ConcurrencyLimit",
    "Cors",
    "Decompression",
    "ErrorPages",
    "FileWrapper",
    "Headers",
    "HttpsRedirect",
    "Maintenance",
    "MethodOverride",
    "Mounts",
    "NotFound",
    "ProxyFix",
    "RateLimit",
    "RequestId",
    "Router",
    "SecurityHeaders",
    "Server",
    "Slashes",
    "Timeout",
    "Timing",
    "TrustedHosts",
    "__version__",
]
