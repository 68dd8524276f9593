"""The types of the extension module. Import its names from the package `enfilade`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Protocol, final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from typing_extensions import disjoint_base

__all__ = [
    "AccessLog",
    "Activity",
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
    "check_certificate",
]

__version__: str

_Pairs = Mapping[str, str] | Sequence[tuple[str, str]]

class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...

@disjoint_base
class Application:
    """An application of Enfilade, which is a WSGI callable too."""

    def __new__(cls, app: WSGIApplication) -> Application: ...
    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]: ...
    def describe(self) -> str: ...
    def __repr__(self) -> str: ...

@final
class FileWrapper:
    """`wsgi.file_wrapper`: an iterable of a file's blocks. The server sends a real file without calling Python."""

    def __new__(cls, filelike: _Readable, blksize: int = 8192) -> FileWrapper: ...
    @property
    def filelike(self) -> Any: ...
    @property
    def blksize(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def __next__(self) -> bytes: ...
    def close(self) -> None: ...

@final
class Activity:
    """Counts what the threads of a server do, for the process that forked it: odd while a thread runs the application."""

    def __new__(cls, threads: int) -> Activity: ...
    def counts(self) -> list[int]: ...

def check_certificate(chain: str | PathLike[str], key: str | PathLike[str]) -> None:
    """Raises an error if a server cannot use this certificate chain with this key."""

@final
class Server:
    """An HTTP server for a WSGI application, on sockets that already listen.

    With `threads=1` the application runs on the calling thread, otherwise on that many threads of `threading`. Times are in
    seconds.
    """

    def __new__(
        cls,
        app: WSGIApplication,
        *,
        sockets: Sequence[int],
        threads: int = 1,
        backlog: int = 1024,
        multiprocess: bool = False,
        multithread: bool | None = None,
        server_name: str | None = None,
        server_port: int | None = None,
        keep_alive: float = 75.0,
        header_timeout: float = 30.0,
        body_timeout: float = 30.0,
        write_timeout: float = 60.0,
        graceful_timeout: float = 30.0,
        max_requests: int | None = None,
        tls: tuple[str | PathLike[str], str | PathLike[str]] | None = None,
        base_environ: dict[str, Any] | None = None,
        title_case_headers: bool = False,
        access_hook: Callable[[tuple[str, int], str, int, int], object] | None = None,
        close_connections: bool = False,
        on_start: Callable[[], object] | None = None,
        activity: Activity | None = None,
        chunked_limit: int = 1073741824,
        stream_chunked: bool = False,
    ) -> Server: ...
    def serve_forever(self) -> None: ...
    def handle_request(self, timeout: float | None = None) -> bool: ...
    def shutdown(self) -> None: ...

@final
class Router(Application):
    """Chooses an application by patterns such as `/users/{id:int}` or `GET,HEAD /users`.

    Captures are in `wsgiorg.routing_args`.
    """

    def __new__(
        cls,
        routes: Mapping[str, WSGIApplication],
        *,
        mounts: Mapping[str, WSGIApplication] | None = None,
        fallback: WSGIApplication | None = None,
    ) -> Router: ...

@final
class Mounts(Application):
    """Chooses an application by the longest prefix of the path that matches; `default`, or `/`, takes all other paths."""

    def __new__(cls, mounts: Mapping[str, WSGIApplication], default: WSGIApplication | None = None) -> Mounts: ...

@final
class NotFound(Application):
    """Calls `fallback` if the application responds with 404."""

    def __new__(cls, app: WSGIApplication, fallback: WSGIApplication, *, pages_only: bool = False) -> NotFound: ...

@final
class ProxyFix(Application):
    """Trusts what named proxies report about the client: networks, addresses, `unix`, or `*` for any peer."""

    def __new__(
        cls,
        app: WSGIApplication,
        *,
        trusted: Sequence[str],
        forwarded: bool = False,
        headers: Sequence[str] | None = None,
    ) -> ProxyFix: ...

@final
class Slashes(Application):
    """Removes or appends the slash at the end of paths."""

    def __new__(
        cls,
        app: WSGIApplication,
        *,
        mode: Literal["trim", "append", "merge"] = "trim",
        merge: bool = False,
        redirect: bool = False,
    ) -> Slashes: ...

@final
class MethodOverride(Application):
    """Lets a POST request override its method with PUT, PATCH or DELETE."""

    def __new__(
        cls,
        app: WSGIApplication,
        *,
        query: str | None = None,
        form_field: str | None = None,
        allow: Sequence[str] | None = None,
    ) -> MethodOverride: ...

@final
class HttpsRedirect(Application):
    """Redirects to HTTPS."""

    def __new__(cls, app: WSGIApplication, *, port: int | None = None, exclude: Sequence[str] | None = None) -> HttpsRedirect: ...

@final
class CanonicalHost(Application):
    """Redirects from all other hosts to one."""

    def __new__(cls, app: WSGIApplication, host: str, *, exclude: Sequence[str] | None = None) -> CanonicalHost: ...

@final
class Compression(Application):
    """Compresses responses if the client's `Accept-Encoding` allows it; `min_size` is in bytes."""

    def __new__(
        cls,
        app: WSGIApplication,
        *,
        level: int | None = None,
        min_size: int | None = None,
        codings: Sequence[Literal["gzip", "deflate", "br", "zstd"]] | None = None,
        content_types: Sequence[str] | None = None,
    ) -> Compression: ...

@final
class Decompression(Application):
    """Decompresses request bodies, up to a limit in bytes."""

    def __new__(cls, app: WSGIApplication, *, limit: int | None = None) -> Decompression: ...

@final
class Files(Application):
    """Serves the files of a directory; around an application, it calls that for paths without a file.

    `index` is `["index.html"]` by default; `max_age` is in seconds and `cache_size` in bytes. With a `cache_size` of 0 nothing is kept, else a changed file is served
    as it was for up to `check_after` seconds.
    """

    def __new__(
        cls,
        directory: str | PathLike[str],
        app: WSGIApplication | None = None,
        *,
        index: Sequence[str] = ...,
        canonical: bool = False,
        html_extension: bool = False,
        single_page: str | None = None,
        single_page_except: Sequence[str] = (),
        precompressed: Sequence[Literal["br", "gzip", "zstd"]] = (),
        serve_siblings: bool = False,
        listing: bool = False,
        listing_limit: int = 1000,
        pass_methods: bool = False,
        untrusted: bool = False,
        content_types: _Pairs | None = None,
        max_age: int | None = None,
        hashed_names: bool = False,
        insecure_show_hidden: bool = False,
        links: Literal["inside", "refuse", "insecure_follow"] = "inside",
        cache_size: int = 33554432,
        check_after: float = 1.0,
        max_ranges: int = 16,
    ) -> Files: ...

@final
class Headers(Application):
    """Sets, appends, defaults and removes headers of responses and of requests."""

    def __new__(
        cls,
        app: WSGIApplication,
        *,
        set: _Pairs | None = None,
        append: _Pairs | None = None,
        default: _Pairs | None = None,
        remove: Sequence[str] | None = None,
        request_set: _Pairs | None = None,
        request_append: _Pairs | None = None,
        request_default: _Pairs | None = None,
        request_remove: Sequence[str] | None = None,
    ) -> Headers: ...

@final
class SecurityHeaders(Application):
    """Sets security headers that suit most sites, such as CSP, and HSTS over TLS."""

    def __new__(
        cls,
        app: WSGIApplication,
        *,
        set: _Pairs | None = None,
        remove: Sequence[str] | None = None,
        report_only: bool = False,
    ) -> SecurityHeaders: ...

@final
class CacheControl(Application):
    """Sets how long caches may keep responses: directives by path pattern. The first pattern that matches applies."""

    def __new__(cls, app: WSGIApplication, rules: _Pairs) -> CacheControl: ...

@final
class Cors(Application):
    """Lets pages of other origins read responses, and responds to preflight requests."""

    def __new__(
        cls,
        app: WSGIApplication,
        *,
        origins: Sequence[str],
        methods: Sequence[str] | None = None,
        headers: Sequence[str] | None = None,
        expose: Sequence[str] | None = None,
        credentials: bool = False,
        max_age: int | None = None,
    ) -> Cors: ...

@final
class ErrorPages(Application):
    """Fills error responses with HTML, JSON problem details or text, as the client prefers."""

    def __new__(cls, app: WSGIApplication, *, replace_content: bool = False) -> ErrorPages: ...

@final
class Timeout(Application):
    """Returns 503 if there is no response within `head` seconds. The Python code runs on; its response is dropped."""

    def __new__(cls, app: WSGIApplication, head: float) -> Timeout: ...

@final
class BodyLimit(Application):
    """Returns 413 if a request body is longer than `limit` bytes."""

    def __new__(cls, app: WSGIApplication, limit: int) -> BodyLimit: ...

@final
class RateLimit(Application):
    """Limits each client to `requests` in `period` seconds, and returns 429 to further requests."""

    def __new__(cls, app: WSGIApplication, requests: int, *, period: float = 60.0, burst: int | None = None) -> RateLimit: ...

@final
class ConcurrencyLimit(Application):
    """Limits concurrent requests. `backlog` more requests wait up to `wait` seconds; all others get 503."""

    def __new__(
        cls,
        app: WSGIApplication,
        limit: int,
        *,
        backlog: int | None = None,
        wait: float | None = None,
    ) -> ConcurrencyLimit: ...

@final
class CatchPanic(Application):
    """Returns 500 if a component in Rust panics."""

    def __new__(cls, app: WSGIApplication) -> CatchPanic: ...

@final
class Maintenance(Application):
    """Returns 503 while it is closed."""

    def __new__(
        cls,
        app: WSGIApplication,
        *,
        closed: bool = False,
        retry_after: int | None = None,
        page: WSGIApplication | None = None,
    ) -> Maintenance: ...
    def close(self) -> None: ...
    def open(self) -> None: ...
    @property
    def closed(self) -> bool: ...

@final
class TrustedHosts(Application):
    """Rejects requests for hosts that are not in the list."""

    def __new__(cls, app: WSGIApplication, hosts: Sequence[str]) -> TrustedHosts: ...

@final
class AccessLog(Application):
    """Logs requests: `common`, `combined`, `vhost_combined`, `json`, or a format in Apache's syntax."""

    def __new__(cls, app: WSGIApplication, *, format: str = "combined", output: str = "-") -> AccessLog: ...
    def reopen(self) -> None: ...

@final
class RequestId(Application):
    """Gives each request an ID: the client's ID, if valid, or a new one."""

    def __new__(cls, app: WSGIApplication, *, header: str | None = None, ignore_inbound: bool = False) -> RequestId: ...

@final
class Timing(Application):
    """Reports how long responses took, in `Server-Timing` and `X-Runtime`."""

    def __new__(cls, app: WSGIApplication, *, server_timing: bool = True, x_runtime: bool = True) -> Timing: ...
