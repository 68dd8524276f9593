"""The wrappers as Python classes: their arguments, and the errors for wrong ones."""

from __future__ import annotations

import inspect
import itertools
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

import enfilade
import pytest
from enfilade import _native
from support.inside import serving
from support.raw import Client


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(environ.get("wsgiorg.routing_args")).encode()]


def status_of(application: Any) -> str:
    """Calls an application as any WSGI server does."""
    seen: list[str] = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.url_scheme": "http",
               "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "x"}
    list(application(environ=environ, start_response=lambda status, headers, error=None: seen.append(status)))
    return seen[0]


@pytest.mark.parametrize("make", [
    lambda: enfilade.Application(app=app), lambda: enfilade.Compression(app=app, level=9),
    lambda: enfilade.Mounts(mounts={"/": app}), lambda: enfilade.Mounts(mounts={}, default=app),
    lambda: enfilade.Router(routes={"/": app}), lambda: enfilade.NotFound(app=app, fallback=app),
    lambda: enfilade.CanonicalHost(app=app, host="x"), lambda: enfilade.CacheControl(app=app, rules={"/**": "no-store"}),
    lambda: enfilade.Timeout(app=app, head=5), lambda: enfilade.BodyLimit(app=app, limit=10),
    lambda: enfilade.RateLimit(app=app, requests=5), lambda: enfilade.ConcurrencyLimit(app=app, limit=5),
    lambda: enfilade.TrustedHosts(app=app, hosts=["x"]), lambda: enfilade.CatchPanic(app=app),
])
def test_arguments_have_names(make: Callable[[], Any]) -> None:
    assert status_of(make()) == "200 OK"


@pytest.mark.parametrize(("make", "message"), [
    (lambda: enfilade.Compression(app, level=99), "level must be from 1 to 9, not 99"),
    (lambda: enfilade.Compression(app, level=0), "level must be from 1 to 9, not 0"),
    (lambda: enfilade.Compression(app, level=10, codings=["zstd", "br"]), None),
    (lambda: enfilade.Compression(app, level=12, codings=["zstd", "br"]), "level must be from 1 to 11, not 12"),
    (lambda: enfilade.Compression(app, level=0, codings=["br"]), None),
    (lambda: enfilade.Compression(app, level=20, codings=["zstd"]), "level must be from 1 to 19, not 20"),
    (lambda: enfilade.Compression(app, level=-1), "level must be from 1 to 9, not -1"),
    (lambda: enfilade.Compression(app, min_size=-1), "min_size must be 0 or more, not -1"),
    (lambda: enfilade.Decompression(app, limit=-5), "limit must be 0 or more, not -5"),
    (lambda: enfilade.RateLimit(app, 0), "requests must be 1 or more, not 0"),
    (lambda: enfilade.RateLimit(app, 2**64), "requests must be 1 or more, not 18446744073709551616"),
    (lambda: enfilade.RateLimit(app, 5, burst=0), "burst must be 1 or more, not 0"),
    (lambda: enfilade.RateLimit(app, 5, period=0), "period must be a number of seconds above 0, and at most 366 days, not 0"),
    (lambda: enfilade.RateLimit(app, 5, period=float("nan")), "period must be a number of seconds above 0, and at most 366 days, not nan"),
    (lambda: enfilade.RateLimit(app, 5, period=1e9), "period must be a number of seconds above 0, and at most 366 days, not 1000000000.0"),
    (lambda: enfilade.ConcurrencyLimit(app, 0), "limit must be 1 or more, not 0"),
    (lambda: enfilade.ConcurrencyLimit(app, 1, backlog=-1), "backlog must be 0 or more, not -1"),
    (lambda: enfilade.ConcurrencyLimit(app, 1, wait=-1), "wait must be a number of seconds above 0, and at most 366 days, not -1"),
    (lambda: enfilade.Timeout(app, 0), "head must be a number of seconds above 0, and at most 366 days, not 0"),
    (lambda: enfilade.BodyLimit(app, -1), "limit must be 0 or more, not -1"),
    (lambda: enfilade.BodyLimit(app, 0), None),
    (lambda: enfilade.Cors(app, origins=["*"], max_age=-1), "max_age must be from 0 to 2147483648, not -1"),
    (lambda: enfilade.Maintenance(app, retry_after=-1), "retry_after must be from 0 to 2147483648, not -1"),
    (lambda: enfilade.HttpsRedirect(app, port=0), "port must be from 1 to 65535, not 0"),
    (lambda: enfilade.HttpsRedirect(app, port=65536), "port must be from 1 to 65535, not 65536"),
    (lambda: enfilade.Slashes(app, mode="odd"), '"odd" is not one of trim, append, merge'),  # type: ignore[arg-type]
])
def test_limits_are_checked(make: Callable[[], Any], message: str | None) -> None:
    if message is None:
        make()
        return
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()


@pytest.mark.parametrize("make", [
    lambda: enfilade.RateLimit(app, "5"), lambda: enfilade.BodyLimit(app, 1.5), lambda: enfilade.Compression(app, level="9"),
])
def test_another_type_is_an_error_that_names_the_argument(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match=r"^(requests|limit|level) must be a whole number, not ('5'|1\.5|'9')$"):
        make()


def served(**options: Any) -> enfilade.Server:
    return enfilade.Server(app, **{"sockets": [0], **options})


ABOVE_0 = "must be a number of seconds above 0, and at most 366 days, not"
FROM_0 = "must be a number of seconds from 0 to 366 days, not"
LIST = "must be a list of strings, not"


@pytest.mark.parametrize(("make", "error", "message"), [
    (lambda: served(threads=-1), ValueError, "threads must be 1 or more, not -1"),
    (lambda: served(threads=0), ValueError, "threads must be 1 or more, not 0"),
    (lambda: served(threads=2**70), ValueError, f"threads must be 1 or more, not {2**70}"),
    (lambda: served(threads="4"), TypeError, "threads must be a whole number, not '4'"),
    (lambda: served(threads=1.0), TypeError, "threads must be a whole number, not 1.0"),
    (lambda: served(backlog=-1), ValueError, "backlog must be 0 or more, not -1"),
    (lambda: served(server_port=70000), ValueError, "server_port must be from 1 to 65535, not 70000"),
    (lambda: served(server_port="80"), TypeError, "server_port must be a whole number, not '80'"),
    (lambda: served(max_requests=0), ValueError, "max_requests must be 1 or more, not 0"),
    (lambda: served(chunked_limit=-1), ValueError, "chunked_limit must be 0 or more, not -1"),
    (lambda: served(sockets=[-1]), ValueError, "sockets must be a list of descriptors, which are 0 or more, not [-1]"),
    (lambda: served(sockets=["a"]), TypeError, "sockets must be a list of descriptors, which are 0 or more, not ['a']"),
    (lambda: served(sockets="3"), TypeError, "sockets must be a list of descriptors, which are 0 or more, not '3'"),
    *[(lambda name=name: served(**{name: 0}), ValueError, f"{name} {ABOVE_0} 0")
      for name in ("header_timeout", "body_timeout", "write_timeout")],
    *[(lambda name=name: served(**{name: -1}), ValueError, f"{name} {FROM_0} -1") for name in ("keep_alive", "graceful_timeout")],
    (lambda: served(keep_alive=float("inf")), ValueError, f"keep_alive {FROM_0} inf"),
    (lambda: served(keep_alive=None), None, ""),
    (lambda: served(body_timeout="1"), TypeError, "body_timeout must be a number of seconds, not '1'"),
    (lambda: served().handle_request(-0.5), ValueError, f"timeout {FROM_0} -0.5"),
    (lambda: served().handle_request("1"), TypeError, "timeout must be a number of seconds, not '1'"),  # type: ignore[arg-type]
    (lambda: _native.Activity(0), ValueError, "threads must be 1 or more, not 0"),
    (lambda: _native.Activity("1"), TypeError, "threads must be a whole number, not '1'"),  # type: ignore[arg-type]
    (lambda: enfilade.FileWrapper(sys.stdin.buffer, -1), ValueError, "blksize must be 1 or more, not -1"),
    (lambda: enfilade.FileWrapper(sys.stdin.buffer, 1.5), TypeError, "blksize must be a whole number, not 1.5"),  # type: ignore[arg-type]
    (lambda: enfilade.Timeout(app, "x"), TypeError, "head must be a number of seconds, not 'x'"),  # type: ignore[arg-type]
    (lambda: enfilade.Timeout(app, 10**400), ValueError, f"head {ABOVE_0} {10**400}"),
    (lambda: enfilade.RateLimit(app, 1, period="x"), TypeError, "period must be a number of seconds, not 'x'"),  # type: ignore[arg-type]
    # A string alone would be a list of its letters.
    (lambda: enfilade.TrustedHosts(app, "a.example"), TypeError, f"hosts {LIST} 'a.example'"),
    (lambda: enfilade.ProxyFix(app, trusted="*"), TypeError, f"trusted {LIST} '*'"),
    (lambda: enfilade.Cors(app, origins="*"), TypeError, f"origins {LIST} '*'"),
    (lambda: enfilade.Compression(app, codings="br"), TypeError, f"codings {LIST} 'br'"),  # type: ignore[arg-type]
    (lambda: enfilade.HttpsRedirect(app, exclude="/a"), TypeError, f"exclude {LIST} '/a'"),
    (lambda: enfilade.MethodOverride(app, allow="PUT"), TypeError, f"allow {LIST} 'PUT'"),
    (lambda: enfilade.Headers(app, request_remove="A"), TypeError, f"request_remove {LIST} 'A'"),
    (lambda: enfilade.Headers(app, set={"A": 1}), TypeError,  # type: ignore[dict-item]
     "set must be a dictionary of strings or a list of pairs, not {'A': 1}"),
    (lambda: enfilade.CacheControl(app, "no-store"), TypeError,  # type: ignore[arg-type]
     "rules must be a dictionary of strings or a list of pairs, not 'no-store'"),
])
def test_errors_name_the_argument_and_what_is_allowed(make: Callable[[], Any], error: type[Exception] | None, message: str) -> None:
    if error is None:
        make()
        return
    with pytest.raises(error) as raised:
        make()
    assert str(raised.value) == message


WRONG: list[Any] = [-1, 1.5, 10**400, float("nan"), "str", b"x", object(), [object()], {1: 2}, (1, 2, 3)]
RUST = re.compile(r"unsigned|Vec|usize|[iu](8|16|32|64)\b|integral|PyAny|extract|os error|panicked|C long|too big to convert")


def test_no_message_has_words_of_rust() -> None:
    """Every argument of every class, with values of all kinds."""
    needed: dict[str, Any] = {
        "app": app, "fallback": app, "routes": {}, "mounts": {}, "trusted": ["unix"], "host": "x", "rules": {}, "origins": ["*"],
        "head": 1.0, "limit": 1, "requests": 1, "hosts": ["x"], "sockets": [0], "threads": 1, "filelike": None, "directory": "."}
    tried = 0
    for name in _native.__all__:
        kind = getattr(_native, name)
        if not isinstance(kind, type):
            continue
        parameters = inspect.signature(kind).parameters
        given = {each: needed[each] for each, about in parameters.items() if about.default is inspect.Parameter.empty}
        for parameter, value in itertools.product(parameters, WRONG):
            if (name, parameter) == ("AccessLog", "output"):
                continue
            try:
                kind(**{**given, parameter: value})
            except (TypeError, ValueError, OSError) as error:
                tried += 1
                assert not RUST.search(str(error)), f"{name}({parameter}={value!r}): {error}"
    assert tried > 500


def test_a_log_that_cannot_be_opened_is_an_error_of_python() -> None:
    with pytest.raises(FileNotFoundError) as raised:
        enfilade.AccessLog(app, output="/missing/access.log")
    assert str(raised.value) == "[Errno 2] No such file or directory: '/missing/access.log'"


@pytest.mark.parametrize("threads", [1, 4])
def test_whole_numbers_of_a_route_are_numbers(threads: int) -> None:
    inner = enfilade.Router({"/b/{page:int}/{word}": app})
    router = enfilade.Router({"/a/{id:int}/{name}": app, "GET /n/{id}": app}, mounts={"/m/{shop:int}": inner})
    digits = "9" * 5000
    with serving(router, threads=threads) as address, Client(address) as client:
        assert client.get("/a/-42/x7").text == "((), {'id': -42, 'name': 'x7'})"
        assert client.get("/n/42").text == "((), {'id': '42'})"
        assert client.get("/m/5/b/6/7").text == "((), {'shop': 5, 'page': 6, 'word': '7'})"
        # Python converts no more than 4300 digits.
        assert client.get(f"/a/{digits}/x").text == f"((), {{'id': '{digits}', 'name': 'x'}})"


def test_whole_numbers_of_a_route_under_another_server() -> None:
    seen: list[Any] = []

    def record(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        seen.append(environ["wsgiorg.routing_args"])
        return app(environ, start_response)

    assert status_of(enfilade.Router({"/": app})) == "200 OK"
    router = enfilade.Router({"/{id:int}": record})
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/7", "SERVER_NAME": "x", "SERVER_PORT": "80", "wsgi.url_scheme": "http",
               "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "x"}
    list(router(environ, lambda status, headers, error=None: lambda block: None))
    assert seen == [((), {"id": 7})]
