"""The drop-in for `wsgiref.simple_server`: programs can rely on the same for the standard library and for it.

Servers run in this process, as programs run them; each is stopped by its test.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import socket
import socketserver
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
import wsgiref.simple_server as standard
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import enfilade
import pytest
from enfilade import simple_server as ours
from support.raw import Client, Response
from support.servers import start, wait_until

both = pytest.mark.parametrize("module", [standard, ours], ids=["wsgiref", "enfilade"])


def hello(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "6")])
    return [b"hello\n"]


@contextlib.contextmanager
def serving(server: Any) -> Iterator[Any]:
    """Serves in a thread until the end of the `with` block; then the thread must end."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
        assert not thread.is_alive()


def get(server: Any, target: str = "/", headers: list[tuple[str, str]] | None = None) -> Response:
    host = "127.0.0.1" if server.socket.family == socket.AF_INET else "::1"
    with Client((host, server.server_port)) as client:
        return client.get(target, [("Connection", "close"), *(headers or [])])


@pytest.fixture
def errors(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Reads standard error."""
    return lambda: capsys.readouterr().err


@both
def test_the_names_that_programs_import(module: ModuleType) -> None:
    for name in ("WSGIServer", "WSGIRequestHandler", "ServerHandler", "demo_app", "make_server", "server_version"):
        assert hasattr(module, name)
    assert issubclass(module.WSGIServer, standard.WSGIServer)
    assert issubclass(module.WSGIRequestHandler, standard.WSGIRequestHandler)


@both
def test_make_server_on_a_free_port(module: ModuleType) -> None:
    with module.make_server("127.0.0.1", 0, hello) as server:
        assert server.server_port == server.socket.getsockname()[1] == server.server_address[1] > 0
        assert server.server_address[0] == "127.0.0.1"
        assert server.get_app() is hello
        assert isinstance(server.socket, socket.socket)
        assert server.fileno() == server.socket.fileno()
    assert server.socket.fileno() == -1


@both
def test_serve_forever_in_a_thread_and_shutdown(module: ModuleType) -> None:
    with serving(module.make_server("127.0.0.1", 0, hello)) as server:
        for _ in range(3):
            response = get(server)
            assert (response.status, response.body) == (200, b"hello\n")


@both
def test_it_can_serve_again_after_a_shutdown(module: ModuleType) -> None:
    server = module.make_server("127.0.0.1", 0, hello)
    for _ in range(2):
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        assert get(server).status == 200
        server.shutdown()
        thread.join(5)
        assert not thread.is_alive()
    server.server_close()


@both
def test_a_shutdown_right_after_the_start_of_the_thread(module: ModuleType) -> None:
    for _ in range(10):
        with serving(module.make_server("127.0.0.1", 0, hello)):
            pass


def test_a_request_can_shut_the_server_down() -> None:
    # The standard library's server waits for itself here.
    def last(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        server.shutdown()
        return hello(environ, start_response)

    server = ours.make_server("127.0.0.1", 0, last)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    assert get(server).body == b"hello\n"
    thread.join(5)
    server.server_close()
    assert not thread.is_alive()


@both
def test_handle_request_serves_exactly_one(module: ModuleType) -> None:
    with module.make_server("127.0.0.1", 0, hello) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with Client(("127.0.0.1", server.server_port)) as client:
            assert client.get("/").body == b"hello\n"
            assert client.closed()
        thread.join(5)
        assert not thread.is_alive()
        with Client(("127.0.0.1", server.server_port), timeout=0.3) as client, pytest.raises(TimeoutError):
            client.get("/")


@both
def test_handle_request_gives_up_after_its_timeout(module: ModuleType) -> None:
    timeouts = []

    class Impatient(module.WSGIServer):  # type: ignore[name-defined, misc]
        timeout = 0.2

        def handle_timeout(self) -> None:
            timeouts.append(True)

    with module.make_server("127.0.0.1", 0, hello, server_class=Impatient) as server:
        started = time.monotonic()
        server.handle_request()
        assert time.monotonic() - started >= 0.15
        assert timeouts == [True]
        server.timeout = None
        server.socket.settimeout(0.1)
        server.handle_request()
        assert timeouts == [True, True]


@both
def test_the_application_runs_on_the_thread_that_serves(module: ModuleType) -> None:
    seen = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(threading.current_thread())
        return hello(environ, start_response)

    server = module.make_server("127.0.0.1", 0, application)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    get(server)
    server.shutdown()
    thread.join(5)
    server.server_close()
    assert seen == [thread]


@both
def test_a_database_connection_of_the_calling_thread_works(module: ModuleType) -> None:
    database = sqlite3.connect(":memory:")

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        hello(environ, start_response)
        return [b"six: %d" % database.execute("select 6").fetchone()[0]][:1]

    with module.make_server("127.0.0.1", 0, application) as server:
        client = threading.Thread(target=lambda: responses.append(get(server)))
        responses: list[Response] = []
        client.start()
        server.handle_request()
        client.join(5)
    assert responses[0].body == b"six: 6"
    database.close()


@both
def test_threading_mixin_serves_in_parallel(module: ModuleType) -> None:
    class Threading(socketserver.ThreadingMixIn, module.WSGIServer):  # type: ignore[name-defined, misc]
        daemon_threads = True

    barrier = threading.Barrier(3, timeout=5)

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        barrier.wait()
        return hello(environ, start_response)

    with serving(module.make_server("127.0.0.1", 0, application, server_class=Threading)) as server:
        statuses: list[int] = []
        clients = [threading.Thread(target=lambda: statuses.append(get(server).status)) for _ in range(3)]
        for each in clients:
            each.start()
        for each in clients:
            each.join(6)
        assert statuses == [200, 200, 200]


@both
def test_requests_are_logged_to_standard_error(module: ModuleType, errors: Callable[[], str]) -> None:
    with serving(module.make_server("127.0.0.1", 0, hello)) as server:
        get(server, "/a?b=c")
    line = r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4} \d\d:\d\d:\d\d\] "GET /a\?b=c HTTP/1\.1" 200 6\n'
    written = errors()
    assert re.fullmatch(line, written), written


@both
def test_log_message_is_called(module: ModuleType, errors: Callable[[], str]) -> None:
    lines = []

    class Handler(module.WSGIRequestHandler):  # type: ignore[name-defined, misc]
        def log_message(self, format: str, *arguments: Any) -> None:
            lines.append((self.client_address[0], self.command, self.path, format % arguments))

    server = module.make_server("127.0.0.1", 0, hello, handler_class=Handler)
    assert server.fallback_reason() is None if module is ours else True
    with serving(server):
        get(server, "/x")
    assert lines == [("127.0.0.1", "GET", "/x", '"GET /x HTTP/1.1" 200 6')]
    assert errors() == ""


@both
def test_log_request_is_called(module: ModuleType) -> None:
    calls = []

    class Handler(module.WSGIRequestHandler):  # type: ignore[name-defined, misc]
        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            calls.append((self.requestline, int(code), size, self.address_string(), self.server is server))

    server = module.make_server("127.0.0.1", 0, hello, handler_class=Handler)
    with serving(server):
        get(server, "/y")
    assert calls == [("GET /y HTTP/1.1", 200, 6, "127.0.0.1", True)]


def test_ctrl_c_while_a_request_is_logged_stops_the_server() -> None:
    class Handler(ours.WSGIRequestHandler):
        def log_message(self, format: str, *arguments: Any) -> None:
            raise KeyboardInterrupt

    with ours.make_server("127.0.0.1", 0, hello, handler_class=Handler) as server:
        client = threading.Thread(target=get, args=(server,))
        client.start()
        late = threading.Timer(3, server.shutdown)
        late.start()
        with pytest.raises(KeyboardInterrupt):
            server.serve_forever()
        late.cancel()
        client.join(5)


@both
def test_an_overridden_get_environ_is_used(module: ModuleType) -> None:
    class Handler(module.WSGIRequestHandler):  # type: ignore[name-defined, misc]
        def get_environ(self) -> dict[str, Any]:
            return {**super().get_environ(), "my.key": "mine"}

    server = module.make_server("127.0.0.1", 0, shown("my.key"), handler_class=Handler)
    if module is ours:
        assert server.fallback_reason() == "its handler overrides get_environ in Handler"
    with serving(server):
        assert get(server).body == b"mine"


def shown(*keys: str) -> Any:
    """Returns an application that responds with some values of its environ."""

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return ["|".join(str(environ.get(key)) for key in keys).encode()]

    return application


@pytest.mark.parametrize("name", ["verify_request", "get_request", "finish_request", "handle_error", "service_actions"])
def test_an_unknown_override_runs_the_standard_server(name: str) -> None:
    calls = []

    def override(self: Any, *arguments: Any) -> Any:
        calls.append(name)
        return getattr(standard.WSGIServer, name)(self, *arguments)

    own = type("Own", (ours.WSGIServer,), {name: override})
    server = ours.make_server("127.0.0.1", 0, hello, server_class=own)
    assert server.fallback_reason() == f"its class overrides {name} in Own"
    with serving(server):
        assert get(server).body == b"hello\n"
        time.sleep(0.05)
    assert name in calls or name == "handle_error"


def test_a_method_replaced_on_the_server_is_noticed() -> None:
    with ours.make_server("127.0.0.1", 0, hello) as server:
        server.verify_request = lambda request, address: False
        assert server.fallback_reason() == "verify_request was replaced"


@pytest.mark.parametrize(("attributes", "reason"), [
    ({}, None), ({"log_message": lambda *_: None}, None), ({"protocol_version": "HTTP/1.1"}, None),
    ({"address_string": lambda self: "me"}, None), ({"extra": 5}, None),
    ({"handle": lambda self: None}, "its handler overrides handle in Own"),
    ({"__init__": lambda self, *_: None}, "its handler overrides __init__ in Own"),
    ({"server_version": "Mine/1"}, "its handler overrides server_version in Own"),
])
def test_which_handlers_are_served_natively(attributes: dict[str, Any], reason: str | None) -> None:
    handler = type("Own", (standard.WSGIRequestHandler,), attributes)
    with ours.make_server("127.0.0.1", 0, hello, handler_class=handler) as server:
        assert server.fallback_reason() == reason


def test_a_handler_that_is_not_a_class_runs_the_standard_server() -> None:
    handler: Any = functools.partial(ours.WSGIRequestHandler)
    server = ours.make_server("127.0.0.1", 0, hello, handler_class=handler)
    assert server.fallback_reason() == "its handler is not a subclass of WSGIRequestHandler"
    with serving(server):
        assert get(server).body == b"hello\n"


def test_a_socket_in_tls_runs_the_standard_server(certificate: tuple[str, str]) -> None:
    server = ours.make_server("127.0.0.1", 0, hello)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    assert server.fallback_reason() == "its socket was wrapped in TLS"
    with serving(server):
        trust = ssl.create_default_context(cafile=certificate[0])
        with socket.create_connection(("127.0.0.1", server.server_port), 5) as plain:
            with trust.wrap_socket(plain, server_hostname="localhost") as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                received = b""
                while data := connection.recv(4096):
                    received += data
    assert received.endswith(b"\r\n\r\nhello\n")


@both
def test_ipv6_by_address_family(module: ModuleType) -> None:
    class Six(module.WSGIServer):  # type: ignore[name-defined, misc]
        address_family = socket.AF_INET6

    with serving(module.make_server("::1", 0, shown("REMOTE_ADDR"), server_class=Six)) as server:
        assert get(server).body == b"::1"


@both
def test_the_demo_application(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(module.make_server("127.0.0.1", 0, module.demo_app)) as server:
        response = get(server, "/path?query")
    assert (response.status, response.value("content-type")) == (200, "text/plain; charset=utf-8")
    assert response.body.startswith(b"Hello world!\n\n")
    assert b"\nPATH_INFO = '/path'\n" in response.body and b"\nQUERY_STRING = 'query'\n" in response.body


@both
def test_base_environ_can_be_changed(module: ModuleType) -> None:
    server = module.make_server("127.0.0.1", 0, shown("my.key", "SERVER_NAME", "SERVER_PORT", "GATEWAY_INTERFACE", "SCRIPT_NAME"))
    server.base_environ["my.key"] = "mine"
    with serving(server):
        expected = f"mine|{server.server_name}|{server.server_port}|CGI/1.1|"
        assert get(server).text == expected


@both
def test_the_environment_and_empty_keys_are_in_environ(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    if module is ours:
        # The standard library reads the value when it is imported.
        monkeypatch.setenv("ENFILADE_VARIABLE", "caf\u00e9")
        monkeypatch.setenv("HTTP_PROXY", "http://evil")
    with serving(module.make_server("127.0.0.1", 0, shown("REMOTE_HOST", "CONTENT_LENGTH", "CONTENT_TYPE", "PATH"))) as server:
        assert get(server).text == f"||text/plain|{os.environ['PATH']}"
    if module is ours:
        with serving(module.make_server("127.0.0.1", 0, shown("ENFILADE_VARIABLE", "HTTP_PROXY"))) as server:
            assert get(server).body == "caf\u00e9|None".encode()


@both
def test_headers_of_the_client_override_the_base(module: ModuleType) -> None:
    with serving(module.make_server("127.0.0.1", 0, shown("CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_X_A"))) as server:
        with Client(("127.0.0.1", server.server_port)) as client:
            assert client.post("/", b"abc", [("Content-Type", "text/x"), ("X-A", "1")]).body == b"text/x|3|1"


@both
def test_names_of_headers_are_in_title_case(module: ModuleType) -> None:
    with serving(module.make_server("127.0.0.1", 0, hello)) as server:
        response = get(server)
    assert {"Date", "Server", "Content-Type", "Content-Length"} <= set(response.raw_names)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_connection_may_end_with_its_first_response(threads: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = enfilade.Server(
            hello, sockets=[listening.fileno()], threads=threads, title_case_headers=True, close_connections=True
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with Client(listening.getsockname()) as client:
                response = client.get("/")
                assert {"Content-Type", "Connection"} <= set(response.raw_names)
                assert ("connection", "close") in response.headers
                assert client.closed()
        finally:
            server.shutdown()
            thread.join(10)


@both
def test_set_app_holds_for_the_next_request(module: ModuleType) -> None:
    with serving(module.make_server("127.0.0.1", 0, hello)) as server:
        assert get(server).body == b"hello\n"
        server.set_app(shown("REQUEST_METHOD"))
        assert get(server).body == b"GET"


@both
def test_an_error_is_a_500_and_a_traceback(module: ModuleType, errors: Callable[[], str]) -> None:
    def broken(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise RuntimeError("planned")

    with serving(module.make_server("127.0.0.1", 0, broken)) as server:
        response = get(server)
        assert (response.status, b"planned" in response.body) == (500, False)
    written = errors()
    assert "RuntimeError: planned" in written and "Traceback (most recent call last)" in written


def test_wrapped_applications_are_served() -> None:
    application = enfilade.Compression(enfilade.NotFound(shown("PATH_INFO"), hello))
    with serving(ours.make_server("127.0.0.1", 0, application)) as server:
        assert get(server, "/x").body == b"/x"


PROGRAM = """
from {module} import make_server

def application(environ, start_response):
    if environ["PATH_INFO"] == "/":
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b"<h1>Welcome to WSGI!</h1>"]
    start_response("404 Not Found", [("Content-Type", "text/html")])
    return [b"<h1>404 Not Found</h1>"]

with make_server("", 0, application) as httpd:
    print(httpd.server_port, flush=True)
    httpd.serve_forever()
"""


@both
def test_the_classic_program(module: ModuleType) -> None:
    program = start([sys.executable, "-c", PROGRAM.format(module=module.__name__)], stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, text=True)
    assert program.stdout
    # The server listens since it was made.
    port = int(program.stdout.readline())
    with Client(("127.0.0.1", port)) as client:
        assert client.get("/", [("Connection", "close")]).body == b"<h1>Welcome to WSGI!</h1>"
    with Client(("127.0.0.1", port)) as client:
        response = client.get("/other", [("Connection", "close")])
        assert (response.status, response.body) == (404, b"<h1>404 Not Found</h1>")
    # The log is written after the response; the standard library's server loses a Ctrl-C in between.
    time.sleep(0.2)
    program.send_signal(2)
    _, written = program.communicate(timeout=5)
    assert program.returncode != 0
    lines = written.splitlines()
    assert lines[0].endswith('"GET / HTTP/1.1" 200 25') and lines[1].endswith('"GET /other HTTP/1.1" 404 22')
    assert lines[-1] == "KeyboardInterrupt"
