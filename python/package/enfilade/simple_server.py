"""Replaces `wsgiref.simple_server`: change the import, and Enfilade serves the program.

    from enfilade.simple_server import make_server

    with make_server("", 8000, application) as httpd:
        httpd.serve_forever()

`WSGIServer` and `WSGIRequestHandler` are subclasses of the standard library's classes. This module supports the overrides of
the logging methods, `timeout`, `address_family`, `ThreadingMixIn` and some others. If a program overrides anything else, the
server runs the standard library's own loop, so that no override is ignored. `WSGIServer.fallback_reason()` returns the reason.

The differences: HTTP/1.1 with connections that stay open, header names in title case, a `Content-Length` that the body is
checked against, and Ctrl-C, which stops the server during a request too. `HTTP_*` variables of the process do not get into
`environ`, because there they would look like headers of the client.
"""

from __future__ import annotations

import contextlib
import logging
import socketserver
import ssl
import sys
import threading
import wsgiref.simple_server as standard
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, overload
from wsgiref.handlers import read_environ
from wsgiref.simple_server import ServerHandler, demo_app, server_version, software_version, sys_version

from enfilade._native import Application, Server

if TYPE_CHECKING:
    # `wsgiref.types` is not in Python 3.10.
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["ServerHandler", "WSGIRequestHandler", "WSGIServer", "demo_app", "make_server", "server_version",
           "software_version", "sys_version"]

_log = logging.getLogger("enfilade")

# What a subclass may set or override without the fallback: this module supports it, or it does not affect serving.
_KNOWN_OF_SERVERS = frozenset({
    "__init__", "address_family", "allow_reuse_address", "allow_reuse_port", "application", "base_environ", "block_on_close",
    "daemon_threads", "fileno", "get_app", "handle_timeout", "pool_threads", "request_queue_size", "server_activate",
    "server_bind", "server_close", "set_app", "setup_environ", "socket_type", "timeout", "fallback_reason",
})
_KNOWN_OF_HANDLERS = frozenset({
    "address_string", "disable_nagle_algorithm", "log_date_time_string", "log_message", "log_request", "monthname",
    "protocol_version", "rbufsize", "wbufsize", "weekdayname",
})


class WSGIRequestHandler(standard.WSGIRequestHandler):
    """The standard library's handler; without the fallback only its logging methods are called, once per request."""


class WSGIServer(standard.WSGIServer):
    """The standard library's server with Enfilade's loop; `serve_forever` runs the application on the calling thread.

    With `socketserver.ThreadingMixIn` it runs requests on `pool_threads` threads.
    """

    pool_threads = 32
    """The number of requests that a server with `ThreadingMixIn` runs at once."""

    def __init__(self, server_address: Any, RequestHandlerClass: Callable[..., Any], bind_and_activate: bool = True) -> None:
        self._lock = threading.Lock()
        self._native: Server | None = None
        self._serving_thread: int | None = None
        self._stop = False
        self._stopped = threading.Event()
        super().__init__(server_address, RequestHandlerClass, bind_and_activate)

    def fallback_reason(self) -> str | None:
        """Returns why this server runs the standard library's loop, or None if it runs Enfilade's."""
        if isinstance(self.socket, ssl.SSLSocket):
            return "its socket was wrapped in TLS"
        if name := _overridden(type(self), WSGIServer, standard.WSGIServer, _KNOWN_OF_SERVERS):
            return f"its class overrides {name}"
        if name := next((name for name in vars(self) if callable(getattr(WSGIServer, name, None))
                         and name not in _KNOWN_OF_SERVERS), None):
            return f"{name} was replaced"
        handler = self.RequestHandlerClass
        if not (isinstance(handler, type) and issubclass(handler, standard.WSGIRequestHandler)):
            return "its handler is not a subclass of WSGIRequestHandler"
        if name := _overridden(handler, standard.WSGIRequestHandler, standard.WSGIRequestHandler, _KNOWN_OF_HANDLERS):
            return f"its handler overrides {name}"
        return None

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serves until `shutdown` is called or Ctrl-C is pressed. Only the fallback uses `poll_interval`."""
        if reason := self.fallback_reason():
            _log.info("the standard library serves: %s", reason)
            return super().serve_forever(poll_interval)
        with self._serving(self.pool_threads if isinstance(self, socketserver.ThreadingMixIn) else 1) as native:
            if native:
                native.serve_forever()
        return None

    def shutdown(self) -> None:
        """Stops `serve_forever` and waits until it has returned. On the thread that serves, it does not wait."""
        if self.fallback_reason():
            return super().shutdown()
        with self._lock:
            self._stop = True
            if self._native:
                self._native.shutdown()
            inside = self._serving_thread == threading.get_ident()
        if not inside:
            self._stopped.wait()
        return None

    def handle_request(self) -> None:
        """Serves one request and closes its connection, or calls `handle_timeout` after `timeout` seconds."""
        if self.fallback_reason():
            return super().handle_request()
        limits = [limit for limit in (self.socket.gettimeout(), self.timeout) if limit is not None]
        native = self._server(1)
        if not native.handle_request(min(limits, default=None)):
            self.handle_timeout()
        return None

    @contextlib.contextmanager
    def _serving(self, threads: int) -> Iterator[Server | None]:
        """Yields the native server to run, or None if `shutdown` was called before. Other threads can stop it meanwhile."""
        try:
            with self._lock:
                self._stopped.clear()
                self._serving_thread = threading.get_ident()
                self._native = None if self._stop else self._server(threads)
            yield self._native
        finally:
            with self._lock:
                self._native = self._serving_thread = None
                self._stop = False
                self._stopped.set()

    def _server(self, threads: int) -> Server:
        application = self.get_app()
        return Server(
            application if isinstance(application, Application) and not self._picks_applications() else self._call,
            sockets=[self.fileno()],
            threads=threads,
            server_name=self.server_name,
            server_port=self.server_port,
            base_environ=self._environ(),
            title_case_headers=True,
            access_hook=self._logged,
        )

    def _picks_applications(self) -> bool:
        return type(self).get_app is not standard.WSGIServer.get_app

    def _call(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Looks the application up for each request, so that `set_app` has effect from the next request on."""
        application = self.get_app()
        if application is None:
            raise TypeError("no application is set: call set_app first")
        return application(environ, start_response)

    def _environ(self) -> dict[str, str]:
        """Returns the start of every environ: the process's variables and `base_environ`, as the standard library does."""
        variables = {name: value for name, value in read_environ().items() if not name.startswith("HTTP_")}
        fixed = {"SERVER_SOFTWARE": standard.WSGIRequestHandler.server_version, "CONTENT_TYPE": "text/plain"}
        return {**variables, **fixed, **self.base_environ}

    def _logged(self, client: Any, request_line: str, status: int, sent: int) -> None:
        """Logs a request as the handler would, without the work of constructing one."""
        kind: Any = self.RequestHandlerClass
        handler = kind.__new__(kind)
        handler.server = self
        handler.client_address = client if isinstance(client, tuple) else (client or "", 0)
        handler.requestline = request_line
        handler.command, _, rest = request_line.partition(" ")
        handler.path, _, handler.request_version = rest.rpartition(" ")
        handler.log_request(str(status), sent)


def _overridden(subclass: type, ours: type, base: type, known: frozenset[str]) -> str | None:
    """Returns the first attribute of `base` that `subclass` or one of its mixins replaces and that is not in `known`."""
    above = set(ours.__mro__) | {socketserver.ThreadingMixIn, WSGIRequestHandler}
    for each in subclass.__mro__:
        for name in vars(each) if each not in above else ():
            inherent = name.startswith("__") and name != "__init__"
            if hasattr(base, name) and not inherent and name not in known:
                return f"{name} in {each.__name__}"
    return None


Kind = TypeVar("Kind", bound=standard.WSGIServer)


@overload
def make_server(host: str, port: int, app: WSGIApplication, *,
                handler_class: type[standard.WSGIRequestHandler] = ...) -> WSGIServer: ...
@overload
def make_server(host: str, port: int, app: WSGIApplication, server_class: type[Kind],
                handler_class: type[standard.WSGIRequestHandler] = ...) -> Kind: ...
def make_server(host: str, port: int, app: WSGIApplication, server_class: type[standard.WSGIServer] = WSGIServer,
                handler_class: type[standard.WSGIRequestHandler] = WSGIRequestHandler) -> standard.WSGIServer:
    """Returns a server of `server_class` for `app` on `host` and `port`. Port 0 chooses a free port."""
    server = server_class((host, port), handler_class)
    server.set_app(app)
    return server


if __name__ == "__main__":
    with make_server("", 8000, demo_app) as httpd:
        address = httpd.socket.getsockname()
        print("Serving HTTP on", address[0], "port", address[1], "...", file=sys.stderr)
        httpd.serve_forever()
