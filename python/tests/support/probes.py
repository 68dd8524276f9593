"""The application with probes: `/name/...` calls the probe of that name; `/record/key` returns its records under a key.

It is plain WSGI, so that any server can run it. The tests in `test_*.py` show what each probe is for.
"""

from __future__ import annotations

import gc
import io
import json
import signal
import sys
import tempfile
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import demo_app
from wsgiref.validate import validator

Environ = dict[str, Any]
Start = Callable[..., Callable[[bytes], object]]
Probe = Callable[[Environ, Start], Any]

PROBES: dict[str, Probe] = {}
RECORDS: dict[str, list[Any]] = {}
KEPT: dict[str, Any] = {}
LOCAL = threading.local()
LOCK = threading.Lock()
RUNNING = [0, 0]


def probe(function: Probe) -> Probe:
    PROBES[function.__name__] = function
    return function


def application(*arguments: Any, **keywords: Any) -> Any:
    environ, start_response = arguments
    environ["test.called_with"] = (len(arguments), sorted(keywords))
    name = environ["PATH_INFO"].split("/")[1]
    return PROBES.get(name, missing)(environ, start_response)


def query(environ: Environ, name: str, default: str = "") -> str:
    values: list[str] = parse_qs(environ.get("QUERY_STRING", ""), encoding="utf-8").get(name, [default])
    return values[0]


def record(environ: Environ, value: Any) -> None:
    RECORDS.setdefault(query(environ, "key"), []).append(value)


def text(start: Start, value: Any, status: str = "200 OK") -> list[bytes]:
    body = (value if isinstance(value, str) else json.dumps(value)).encode()
    start(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def failure(error: BaseException) -> list[str]:
    """Returns the names of an exception's classes, the most specific first."""
    return [kind.__name__ for kind in type(error).__mro__]


def missing(environ: Environ, start: Start) -> list[bytes]:
    return text(start, "no such probe", "404 Not Found")


@probe
def up(environ: Environ, start: Start) -> list[bytes]:
    return text(start, "up")


@probe
def record_of(environ: Environ, start: Start) -> list[bytes]:
    gc.collect()
    return text(start, RECORDS.get(query(environ, "key"), []))


# E: environ

@probe
def dump(environ: Environ, start: Start) -> list[bytes]:
    """Returns the environ and its types."""
    shown = {key: value if isinstance(value, (str, int, bool, type(None))) else list(value) if isinstance(value, tuple)
             else repr(value) for key, value in environ.items()}
    shown["test.type"] = type(environ).__name__
    shown["test.not_str"] = sorted(key for key, value in environ.items() if "." not in key and type(value) is not str)
    shown["test.keys_not_str"] = sum(type(key) is not str for key in environ)
    return text(start, shown)


@probe
def keep_environ(environ: Environ, start: Start) -> list[bytes]:
    """Changes its environ, which must not affect another request."""
    environ["HTTP_X_LEAKED"] = environ["wsgi.url_scheme"] = "leaked"
    del environ["SERVER_NAME"]
    return text(start, "kept")


# I: wsgi.input

@probe
def calls(environ: Environ, start: Start) -> list[bytes]:
    """Calls the methods of the input that the query names, and returns all results."""
    results = []
    for name, *arguments in json.loads(query(environ, "calls")):
        source = environ["wsgi.input"]
        value = list(source) if name == "iterate" else getattr(source, name)(*arguments)
        results.append(value.decode("latin-1") if isinstance(value, bytes) else [each.decode("latin-1") for each in value])
    return text(start, results)


@probe
def echo_lines(environ: Environ, start: Start) -> Iterator[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    for line in environ["wsgi.input"]:
        yield b"<" + line + b">"


@probe
def echo(environ: Environ, start: Start) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or -1))
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


@probe
def count(environ: Environ, start: Start) -> Iterable[bytes]:
    """Returns the number of bytes, read in blocks."""
    total = 0
    while block := environ["wsgi.input"].read(65536):
        total += len(block)
    return text(start, total)


@probe
def read_noted(environ: Environ, start: Start) -> list[bytes]:
    """Reads all, and records the result."""
    record(environ, "began")
    try:
        data = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    except BaseException as error:
        record(environ, failure(error))
        raise
    record(environ, len(data))
    return text(start, len(data))


@probe
def refuse(environ: Environ, start: Start) -> list[bytes]:
    """Responds at once without reading, and keeps the input."""
    KEPT[query(environ, "key")] = environ["wsgi.input"]
    return text(start, "refused", "500 Internal Server Error")


@probe
def read_held(environ: Environ, start: Start) -> list[bytes]:
    """Reads the input that an earlier request kept."""
    try:
        return text(start, ["bytes", KEPT[query(environ, "key")].read(10).decode("latin-1")])
    except Exception as error:
        return text(start, ["raised", type(error).__name__])


@probe
def late_read(environ: Environ, start: Start) -> list[bytes]:
    time.sleep(float(query(environ, "delay")))
    return echo(environ, start)  # type: ignore[return-value]


# S: start_response

@probe
def start_twice(environ: Environ, start: Start) -> list[bytes]:
    write = start("200 OK", [("Content-Type", "text/plain")])
    record(environ, callable(write))
    try:
        start("200 OK", [("Content-Type", "text/plain")])
        record(environ, "accepted")
    except Exception:
        record(environ, "raised")
    return [b"once"]


@probe
def start_again(environ: Environ, start: Start) -> list[bytes]:
    start("200 OK", [("X-Old", "1"), ("Content-Type", "text/html"), ("Content-Length", "99")])
    try:
        raise ValueError("planned")
    except ValueError:
        start("503 Sorry", [("X-New", "1"), ("Content-Type", "text/plain")], sys.exc_info())
    return [b"sorry"]


class Planned(Exception):
    """The exception that a probe raises."""


@probe
def start_after_output(environ: Environ, start: Start) -> Iterator[bytes]:
    start("200 OK", [("Content-Type", "text/plain")])
    yield b"output"
    try:
        raise Planned("kept")
    except Planned as planned:
        KEPT["alive " + query(environ, "key")] = weakref.ref(planned)
        try:
            start("500 Late", [("Content-Type", "text/plain")], sys.exc_info())
            record(environ, "accepted")
        except Planned as error:
            record(environ, [error is planned, "start_after_output" in "".join(traceback.format_tb(error.__traceback__))])
            raise


@probe
def alive(environ: Environ, start: Start) -> list[bytes]:
    gc.collect()
    return text(start, KEPT["alive " + query(environ, "key")]() is not None)


@probe
def error_in_first_block(environ: Environ, start: Start) -> Iterator[bytes]:
    start("200 OK", [("X-Never", "sent"), ("Content-Type", "text/plain")])
    if query(environ, "empty"):
        yield b""
    raise Planned("in the first block")


@probe
def start_late(environ: Environ, start: Start) -> Iterator[bytes]:
    for _ in range(int(query(environ, "empty", "0"))):
        yield b""
    start("200 OK", [("Content-Type", "text/plain"), ("X-Late", "yes")])
    yield b"late"
    yield b"r"


@probe
def status(environ: Environ, start: Start) -> list[bytes]:
    """Starts with the status of the query, as JSON. The server gets the exception of an invalid one."""
    start(json.loads(query(environ, "status")), [("Content-Type", "text/plain")])
    return [b"started"]


@probe
def headers(environ: Environ, start: Start) -> list[bytes]:
    """Starts with the headers of the query, as JSON. The server gets the exception of an invalid one."""
    pairs = [(decoded(name), decoded(value)) for name, value in json.loads(query(environ, "headers"))]
    start("200 OK", pairs)
    return [b"started"]


def decoded(value: Any) -> Any:
    """Converts a list of one string to bytes, which JSON does not have."""
    return value[0].encode() if isinstance(value, list) else value


# B: bodies

@probe
def blocks(environ: Environ, start: Start) -> Iterable[Any]:
    """Returns a body of the query's blocks: `kind` is its type, `length` the Content-Length."""
    fields = [("Content-Type", "text/plain")]
    if length := query(environ, "length"):
        fields.append(("Content-Length", length))
    start(query(environ, "status", "200 OK"), fields)
    parts = json.loads(query(environ, "blocks", "[]"))
    body = [part if query(environ, "raw") else part.encode() for part in parts]
    kind = query(environ, "kind", "list")
    if kind == "iterator":
        return Counted(environ, body, int(query(environ, "fail", "-1")))
    return tuple(body) if kind == "tuple" else body


class Counted:
    """An iterable that records each of its steps under the request's key."""

    def __init__(self, environ: Environ, body: list[Any], fail: int = -1) -> None:
        self.environ, self.body, self.fail, self.at = environ, body, fail, 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self.at += 1
        record(self.environ, "next")
        if self.at - 1 == self.fail:
            raise Planned("in a block")
        if self.at > len(self.body):
            raise StopIteration
        return self.body[self.at - 1]

    def close(self) -> None:
        record(self.environ, "close")
        if query(self.environ, "close_fails"):
            raise Planned("in close")


@probe
def endless(environ: Environ, start: Start) -> Iterable[bytes]:
    """Goes on until it is closed, or until it has produced more than any connection buffers."""
    start("200 OK", [("Content-Type", "text/plain")])
    return Counted(environ, [b"x" * 65536] * 20_000)


def passed(environ: Environ, name: str) -> bool:
    """Waits until the test has made this file in its folder `gate`: it does so once it has what was sent before.

    A test that waits in turn for what the server keeps back gets a response that says so, after a time that no machine
    needs.
    """
    path = Path(query(environ, "gate")) / name
    limit = time.monotonic() + 15
    while not path.exists() and time.monotonic() < limit:
        time.sleep(0.005)
    return path.exists()


@probe
def numbered(environ: Environ, start: Start) -> Iterator[bytes]:
    """Yields `count` blocks of `size` bytes, each full of its number."""
    start("200 OK", [("Content-Type", "text/plain")])
    for number in range(int(query(environ, "count"))):
        yield b"%08d" % number * (int(query(environ, "size")) // 8)


@probe
def gated(environ: Environ, start: Start) -> Iterator[bytes]:
    """Yields four blocks. Each waits until the test has the one before, and so does the end."""
    fields = [("Content-Type", "text/plain")]
    if query(environ, "length"):
        fields.append(("Content-Length", "8"))
    start("200 OK", fields)
    for number in range(4):
        yield b"%d," % number
        if not passed(environ, str(number)):
            yield b"no"


@probe
def writes(environ: Environ, start: Start) -> Iterable[bytes]:
    write = start("200 OK", [("Content-Type", "text/plain")])
    write(b"a")
    write(b"b" if passed(environ, "a") else b"no")
    return [b"c", b"d"]


@probe
def write_too_much(environ: Environ, start: Start) -> Iterable[bytes]:
    write = start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    write(b"hello")
    try:
        write(b"more")
        record(environ, "accepted")
    except Exception:
        record(environ, "raised")
    return []


@probe
def fails(environ: Environ, start: Start) -> Any:
    """Fails as the query says."""
    how = query(environ, "how")
    if how == "no start":
        return [b"never started"]
    if how == "none":
        start("200 OK", [("Content-Type", "text/plain")])
        return None
    if how == "number":
        start("200 OK", [("Content-Type", "text/plain")])
        return 5
    if how == "after start":
        start("200 OK", [("X-Never", "sent")])
    raise {"exit": SystemExit("planned exit"), "interrupt": KeyboardInterrupt()}.get(how, Planned("secret detail"))


# X: the rest

@probe
def errors(environ: Environ, start: Start) -> list[bytes]:
    stream = environ["wsgi.errors"]
    stream.write(f"one é ☃ {query(environ, 'key')}\n")
    stream.writelines(["two ", "three\n"])
    stream.flush()
    return text(start, "noted")


@probe
def busy(environ: Environ, start: Start) -> list[bytes]:
    """Returns how many requests ran here at once."""
    with LOCK:
        RUNNING[0] += 1
        RUNNING[1] = max(RUNNING)
    time.sleep(0.3)
    with LOCK:
        RUNNING[0] -= 1
    return text(start, RUNNING[1])


@probe
def local_count(environ: Environ, start: Start) -> list[bytes]:
    LOCAL.count = getattr(LOCAL, "count", 0) + 1
    return text(start, [threading.get_ident(), LOCAL.count])


class Noted(io.BytesIO):
    """A file in memory whose closing is recorded."""

    environ: Environ

    def close(self) -> None:
        if not self.closed:
            record(self.environ, "closed")
        super().close()


@probe
def file(environ: Environ, start: Start) -> Any:
    """Returns 300,000 bytes of a file in the server's `wsgi.file_wrapper`, from `offset` on."""
    content = bytes(range(256)) * 1172
    if query(environ, "real"):
        source: Any = tempfile.TemporaryFile()
        source.write(content)
    else:
        source = Noted(content)
        source.environ = environ
    source.seek(int(query(environ, "offset", "0")))
    fields = [("Content-Type", "application/octet-stream")]
    if length := query(environ, "length"):
        fields.append(("Content-Length", length))
    write = start("200 OK", fields)
    if written := query(environ, "written"):
        write(written.encode())
    KEPT[query(environ, "key")] = source
    return environ["wsgi.file_wrapper"](source, 8192)


@probe
def file_is_closed(environ: Environ, start: Start) -> list[bytes]:
    """Whether the file of `file` is closed."""
    return text(start, KEPT[query(environ, "key")].closed)


@probe
def shrinking(environ: Environ, start: Start) -> Any:
    """Returns 64 MiB of a file, with its path in a header, so that the client can truncate it."""
    with tempfile.NamedTemporaryFile(delete=False) as source:
        source.truncate(64 << 20)
    start("200 OK", [("Content-Type", "application/octet-stream"), ("X-Path", source.name)])
    return environ["wsgi.file_wrapper"](open(source.name, "rb"), 8192)


# Tests of the standard library for its own server


@probe
def interrupted(environ: Environ, start: Start) -> Iterator[bytes]:
    """Returns 25 MiB, while a signal comes every two milliseconds. Must run on the main thread."""
    count = [0]
    before = signal.signal(signal.SIGALRM, lambda number, frame: count.__setitem__(0, count[0] + 1))
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    try:
        start("200 OK", [("Content-Type", "application/octet-stream")])
        for _ in range(400):
            yield b"x" * 65536
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        record(environ, count[0])


def with_tuple(environ: Environ, start: Start) -> list[bytes]:
    start("200 OK", (("Content-Type", "text/plain"),))
    return [b"never"]


def routed(environ: Environ, start: Start) -> Any:
    """Runs applications inside the validator, by their path."""
    applications = {"/demo": demo_app, "/tuple": with_tuple}
    return validator(applications.get(environ["PATH_INFO"], path_of))(environ, start)


def path_of(environ: Environ, start: Start) -> list[bytes]:
    return text(start, environ["PATH_INFO"])
