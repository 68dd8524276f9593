"""The applications of the benchmark."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from typing import Any

HELLO = b"Hello, World!"
JSON = json.dumps({"items": [{"id": number, "name": f"item {number}", "tags": ["a", "b"]} for number in range(199)]}).encode()
BLOCK = b"x" * 65536
BLOCKS = 1600


def hello(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [HELLO]


def as_json(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(JSON)))])
    return [JSON]


def upload(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Returns the number of bytes, read in blocks."""
    left = length = int(environ["CONTENT_LENGTH"])
    source = environ["wsgi.input"]
    while left and (block := source.read(min(left, 65536))):
        left -= len(block)
    body = str(length - left).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def stream(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Returns 100 MiB without a length."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    for _ in range(BLOCKS):
        yield BLOCK


def sleep(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Waits for 20 ms, as for a database."""
    time.sleep(0.02)
    return hello(environ, start_response)


def spin(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Computes for 5 ms of CPU."""
    end = time.thread_time() + 0.005
    while time.thread_time() < end:
        pass
    return hello(environ, start_response)


def half(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    """Returns 512 KiB without a length, in blocks."""
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    for _ in range(8):
        yield BLOCK


def large_file(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Returns a file of 64 MiB."""
    file = tempfile.TemporaryFile()
    file.truncate(64 << 20)
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(64 << 20))])
    iterable: Iterable[bytes] = environ["wsgi.file_wrapper"](file, 65536)
    return iterable


PATHS = {"/sleep": sleep, "/spin": spin, "/half": half, "/file": large_file, "/hello": hello, "/json": as_json, "/upload": upload, "/stream": stream}


def plain(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return PATHS[environ["PATH_INFO"]](environ, start_response)
