"""Packages that use `wsgiref.simple_server`, with Enfilade's drop-in instead."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from enfilade import simple_server as ours
from support.raw import Client
from support.servers import wait_until


@pytest.fixture(autouse=True)
def in_its_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Makes `import wsgiref.simple_server` find the drop-in. Lists the servers that run Enfilade's loop."""
    import wsgiref

    monkeypatch.setitem(sys.modules, "wsgiref.simple_server", ours)
    monkeypatch.setattr(wsgiref, "simple_server", ours)
    made: list[Any] = []
    before = ours.WSGIServer.server_activate

    def activate(self: ours.WSGIServer) -> None:
        before(self)
        assert self.fallback_reason() is None
        made.append(self)

    monkeypatch.setattr(ours.WSGIServer, "server_activate", activate)
    yield made
    # Not all packages close their server.
    for server in made:
        server.server_close()


def test_bottle(in_its_place: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    import bottle

    application = bottle.Bottle()
    application.get("/hello/<name>")(lambda name: f"hello {name}")
    thread = threading.Thread(target=bottle.run, daemon=True,
                              kwargs={"app": application, "server": "wsgiref", "host": "127.0.0.1", "port": 0})
    thread.start()
    wait_until(lambda: len(in_its_place) == 1)
    port = in_its_place[0].server_port
    with Client(("127.0.0.1", port)) as client:
        assert client.get("/hello/bottle").body == b"hello bottle"
        assert client.get("/nothing").status == 404
    in_its_place[0].shutdown()
    thread.join(5)
    assert not thread.is_alive()
    assert '"GET /hello/bottle HTTP/1.1" 200 12' in capsys.readouterr().err


def test_prometheus_client(in_its_place: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "prometheus_client.exposition", raising=False)
    for name in [name for name in sys.modules if name.startswith("prometheus_client")]:
        monkeypatch.delitem(sys.modules, name)
    import prometheus_client

    registry = prometheus_client.CollectorRegistry()
    counter = prometheus_client.Counter("doors", "Doors that were opened.", registry=registry)
    counter.inc(3)
    server, thread = prometheus_client.start_http_server(0, "127.0.0.1", registry)
    port = server.server_port
    with Client(("127.0.0.1", port)) as client:
        response = client.get("/metrics")
        assert (response.status, b"\ndoors_total 3.0\n" in response.body) == (200, True)
        assert client.get("/metrics", [("Accept-Encoding", "gzip")]).value("content-encoding") == "gzip"
    server.shutdown()
    thread.join(5)
    server.server_close()
    assert not thread.is_alive()


def test_google_auth_oauthlib(in_its_place: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("google_auth_oauthlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    from google_auth_oauthlib import flow as of

    flow = of.InstalledAppFlow.from_client_config({"installed": {
        "client_id": "id", "client_secret": "secret", "auth_uri": "http://localhost/auth", "token_uri": "http://localhost/token",
        "redirect_uris": ["http://localhost"]}}, scopes=["email"])
    fetched = []
    monkeypatch.setattr(flow, "fetch_token", lambda **arguments: fetched.append(arguments["authorization_response"]))
    monkeypatch.setattr(type(flow), "credentials", property(lambda self: "credentials"))
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(flow.run_local_server(
        host="localhost", bind_addr="127.0.0.1", port=0, open_browser=False, authorization_prompt_message="")))
    thread.start()
    wait_until(lambda: len(in_its_place) == 1)
    with Client(("127.0.0.1", in_its_place[0].server_port)) as client:
        response = client.get("/?code=abc&state=xyz")
        assert (response.status, b"authentication flow has completed" in response.body) == (200, True)
    thread.join(5)
    assert results == ["credentials"]
    assert fetched[0].endswith("/?code=abc&state=xyz")


def test_google_auth_oauthlib_gives_up(in_its_place: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("google_auth_oauthlib")]:
        monkeypatch.delitem(sys.modules, name)
    from google_auth_oauthlib import flow as of

    flow = of.InstalledAppFlow.from_client_config({"installed": {
        "client_id": "id", "client_secret": "secret", "auth_uri": "http://localhost/auth", "token_uri": "http://localhost/token",
        "redirect_uris": ["http://localhost"]}}, scopes=["email"])
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    started = time.monotonic()
    with pytest.raises(Exception, match="[Tt]imed out|NoneType"):
        flow.run_local_server(host="localhost", bind_addr="127.0.0.1", port=0, open_browser=False, timeout_seconds=1)
    assert 0.9 < time.monotonic() - started < 20
