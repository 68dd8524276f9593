"""A fast WSGI server and wrappers for WSGI applications, in Rust.

Everything here takes a WSGI application and returns one, or is one:

    app = Compression(AccessLog(flask_app))

The result runs on any WSGI server. Enfilade's own server runs it without leaving Rust between the wrappers.
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
    Files,
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
    "Files",
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
