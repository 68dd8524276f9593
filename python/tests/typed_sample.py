"""Code of a user with types; `python/test` checks it with mypy's strict rules. It is never run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import enfilade
from enfilade.simple_server import WSGIRequestHandler, WSGIServer, demo_app, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"hello")
    return []


wrapped: enfilade.Application = enfilade.Compression(enfilade.AccessLog(application))
either_order: enfilade.Application = enfilade.NotFound(enfilade.Mounts({"/site": wrapped}, default=demo_app), application)
tree: str = either_order.describe()
files: enfilade.Application = enfilade.Files("public", application, precompressed=["br"], links="refuse", max_age=60)
blocks: Iterable[bytes] = wrapped({}, lambda status, headers, error=None: lambda block: None)


class Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    with make_server("", 8000, application, handler_class=Handler) as httpd:
        server: WSGIServer = httpd
        reason: str | None = server.fallback_reason()
        print(reason)
        httpd.handle_request()
        httpd.serve_forever()
    native = enfilade.Server(wrapped, sockets=[3], threads=4)
    native.serve_forever()
    native.shutdown()
    served: bool = native.handle_request(timeout=1.5)
    print(served)
