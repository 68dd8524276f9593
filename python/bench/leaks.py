"""Many kinds of requests behind one path, to find leaks."""

from __future__ import annotations

import gc
import itertools
import sys
from collections.abc import Iterable, Iterator
from typing import Any

NUMBERS = itertools.count()


def counts(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Returns the number of allocated blocks, and of objects that the collector tracks."""
    gc.collect()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{sys.getallocatedblocks()} {len(gc.get_objects())}".encode()]


def mixed(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Runs a list, a generator, write(), exc_info, the input, and a closed iterable, in turn."""
    kind = next(NUMBERS) % 6
    headers = [("Content-Type", "text/plain"), ("X-Number", str(kind))]
    if kind == 0:
        start_response("200 OK", headers)
        return [b"list"]
    if kind == 1:
        return generated(start_response, headers)
    if kind == 2:
        start_response("200 OK", headers)(b"written")
        return []
    if kind == 3:
        try:
            raise ValueError(environ)
        except ValueError:
            start_response("200 OK", headers, sys.exc_info())
        return [b"after an error"]
    if kind == 4:
        start_response("200 OK", headers)
        return [environ["wsgi.input"].read(), *environ["wsgi.input"], b"read"]
    start_response("200 OK", headers)
    return Closed()


def generated(start_response: Any, headers: list[tuple[str, str]]) -> Iterator[bytes]:
    start_response("200 OK", headers)
    yield b"a"
    yield b"b" * 1000


class Closed:
    def __iter__(self) -> Iterator[bytes]:
        return iter((b"one", b"two"))

    def close(self) -> None:
        pass


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return (counts if environ["PATH_INFO"] == "/counts" else mixed)(environ, start_response)
