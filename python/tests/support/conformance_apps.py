"""The applications of the conformance cases, as WSGI: the header `X-Case` chooses a case."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import request_uri

import enfilade

CASES_FILE = Path(__file__).resolve().parents[3] / "tests" / "conformance" / "gateway.json"
CASES: dict[str, Any] = {case["id"]: case for case in json.loads(CASES_FILE.read_text())}
FIXTURES = CASES_FILE.with_name("fixtures.json")
FILES: dict[str, bytes] = {
    entry["path"]: entry["content"].encode()
    for entry in json.loads(FIXTURES.read_text())["tree"]["entries"] if "content" in entry
}
SAW: dict[str, dict[str, Any]] = {}
LOCK = threading.Lock()


class Blocks:
    """A body whose end is recorded."""

    def __init__(self, name: str, blocks: Iterator[bytes]) -> None:
        self.name, self.blocks = name, blocks

    def __iter__(self) -> Iterator[bytes]:
        return self.blocks

    def close(self) -> None:
        SAW[self.name]["closed"] = SAW[self.name].get("closed", 0) + 1


def blocks(app: dict[str, Any]) -> Iterator[bytes]:
    if repeat := app.get("body_repeat"):
        for _ in range(repeat["times"]):
            yield repeat["text"].encode()
        return
    for number, block in enumerate(app.get("body_chunks", [])):
        yield block.encode()
        if number + 1 == app.get("body_error_after"):
            raise RuntimeError("the body fails, as the case says")


def application(environ: dict[str, Any], start_response: Any) -> Any:
    if environ["PATH_INFO"] == "/saw-of":
        body = json.dumps(SAW.get(environ["QUERY_STRING"], {})).encode()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [body]
    name = environ.get("HTTP_X_CASE", "")
    if name not in CASES:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [request_uri(environ).encode("latin-1")]
    app = CASES[name]["app"]
    with LOCK:
        SAW[name] = {key: value for key, value in environ.items() if isinstance(value, str)}
        SAW[name] |= {key: str(value).lower() for key, value in environ.items() if isinstance(value, bool)}
    if app["kind"] == "error":
        raise RuntimeError(app["message"])
    status = app.get("status", 200)
    start_response(f"{status} Of the case" if status >= 100 else f"{status} x", [tuple(pair) for pair in app.get("headers", [])])
    if app["kind"] == "echo":
        return [b"echo"]
    if app["kind"] == "read_body":
        return [environ["wsgi.input"].read()]
    if "body_file" in app:
        return [FILES[app["body_file"]]]
    return [app["body"].encode()] if app.get("body") is not None else Blocks(name, blocks(app))


# Cases such as `url-script-and-path` need a mounted application.
mounted = enfilade.Mounts({"/spammity": application}, default=application)
