"""Runs the cases of `tests/conformance/gateway.json` through this gateway over sockets.

`tests/conformance/README.md` says what a case is; a key that this runner does not know fails its case.
"""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from support.conformance_apps import CASES, FILES
from support.raw import Client, Closed, Response, head
from support.servers import Server, wait_until

# Cases that are not run here, and why.
LEFT_OUT = {
    "gateway/proxy-header-is-no-variable": "one process serves all cases, so a case has no environment of its own",
    "gateway/env-path-latin-1": "`wsgi.input_terminated` is for bodies that say no length; paths are tried by path-bytes-are-kept",
    "gateway/expect-100-over-the-limit": "it is about a wrapper, which the cases in Rust try",
    "gateway/connection-names-hop-by-hop": "a hop-by-hop header of an application is an error (PEP 3333)",
}
EXCHANGES = [name for name, case in CASES.items() if case["kind"] == "exchange" and name not in LEFT_OUT]
FUNCTIONS = [name for name, case in CASES.items() if case["kind"] == "function"]


@pytest.fixture(scope="module", params=["inline", "pool", "wrapped"])
def gateway(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param, "support.conformance_apps:application") as server:
        yield server


def test_every_case_is_run() -> None:
    assert sorted([*EXCHANGES, *FUNCTIONS, *LEFT_OUT]) == sorted(CASES)
    assert {CASES[name]["function"] for name in FUNCTIONS} == {"reconstruct_url(env, with_query) -> url"}


@pytest.mark.parametrize("name", EXCHANGES)
def test_exchange(gateway: Server, name: str) -> None:
    case = CASES[name]
    known(case, "id source component kind level config app request expect note")
    request = case["request"]
    known(request, "method target headers body version abort_after_first_chunk")
    before = len(gateway.log())
    with Client(gateway.address) as client:
        fields = [("X-Case", name), *(tuple(pair) for pair in request["headers"])]
        body = request["body"].encode()
        client.send(head(request["method"], request["target"], fields, len(body) or None, request.get("version", "HTTP/1.1")))
        interim = case["expect"].get("interim_100")
        if interim:
            assert client.response_head().status == 100
        if interim is not False:
            client.send(body)
        if request.get("abort_after_first_chunk"):
            response: Response = client.response_head()
            client.exactly(1000)
            client.reset()
        else:
            response = client.response(request["method"])
    judge(gateway, name, case["expect"], response, before)


def known(value: dict[str, Any], keys: str) -> None:
    assert set(value) <= set(keys.split()), sorted(set(value) - set(keys.split()))


def judge(gateway: Server, name: str, expect: dict[str, Any], response: Response, before: int) -> None:
    if "any_of" in expect:
        known(expect, "any_of")
        # An invalid status cannot fail earlier here: it is known when the application is called.
        wholes = [each for each in expect["any_of"] if "config_error" not in each]
        assert len(wholes) == 1
        expect = wholes[0]
    known(expect, "status headers body app_saw app_body_closed stream log interim_100")
    matches(response.status, expect.get("status", 200), response)
    assert not response.interim
    for header, wanted in expect.get("headers", {}).items():
        matches(response.value(header), wanted, response)
    if "body" in expect:
        matches(response.text, expect["body"], response)
    if "stream" in expect:
        assert expect["stream"] == {"ends": "error"}
        assert not response.complete
    if "log" in expect:
        matches(gateway.log()[before:], expect["log"], response)
    if "app_body_closed" in expect:
        wait_until(lambda: saw(gateway, name).get("closed") == 1, what=lambda: str(saw(gateway, name)))
    if "app_saw" in expect:
        judge_environ(saw(gateway, name), expect["app_saw"], response)


def saw(gateway: Server, name: str) -> dict[str, Any]:
    with Client(gateway.address) as client:
        value: dict[str, Any] = json.loads(client.get(f"/saw-of?{name}").body)
        return value


def judge_environ(environ: dict[str, Any], wanted: dict[str, Any], response: Response) -> None:
    known(wanted, "path_info path_info_bytes_hex query header_joined cgi")
    if "path_info_bytes_hex" in wanted:
        assert environ["PATH_INFO"].encode("latin-1").hex() == wanted["path_info_bytes_hex"]
    for key, variable in (("path_info", "PATH_INFO"), ("query", "QUERY_STRING")):
        if key in wanted:
            matches(environ.get(variable), wanted[key], response)
    for header, value in wanted.get("header_joined", {}).items():
        matches(environ.get("HTTP_" + header.upper().replace("-", "_")), value, response)
    for variable, value in wanted.get("cgi", {}).items():
        matches(environ.get(variable), value, response)


def matches(value: Any, wanted: Any, response: Response) -> None:
    """Compares plain values, and the matchers that these cases use."""
    if not isinstance(wanted, dict):
        assert value == wanted
        return
    for matcher, operand in wanted.items():
        if matcher.startswith("absent_or_") and value is None:
            continue
        held = {
            "equals": lambda: value == operand,
            "equals_file": lambda: response.body == FILES[operand],
            "any_of": lambda: value in operand,
            "absent": lambda: (value is None) is operand,
            "empty": lambda: (value == "") is operand,
            "not_contains": lambda: operand not in value,
            "matches_body": lambda: (int(value) == len(response.body)) is operand,
        }[matcher.removeprefix("absent_or_")]()
        assert held, (value, wanted)


@pytest.mark.parametrize("mode", ["inline", "pool"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_url(urls: dict[str, Server], certificate: tuple[str, str], name: str, mode: str) -> None:
    """Returns the URL by PEP 3333's algorithm, as `wsgiref.util.request_uri` does."""
    env = CASES[name]["input"]["env"]
    assert CASES[name]["input"]["with_query"] is True
    known(env, "scheme host script_name path_info query server_name server_port")
    target = quote(env["script_name"] + env["path_info"], safe="/;=,") + (f"?{env['query']}" if env["query"] else "")
    fields = [("Host", env["host"])] if env["host"] else []
    server = urls[f"{mode}-{env['scheme']}"] if env["host"] is None else urls[mode]
    with Client(server.address) as client:
        if env["scheme"] == "https":
            context = ssl.create_default_context(cafile=certificate[0])
            client.socket = context.wrap_socket(client.socket, server_hostname="localhost")
        response = client.request("GET", target, fields, version="HTTP/1.0" if env["host"] is None else "HTTP/1.1")
    assert response.text == CASES[name]["expect"]["output"]


@pytest.fixture(scope="module")
def urls(certificate: tuple[str, str]) -> Iterator[dict[str, Server]]:
    """Servers by their mode, and servers with a name of their own, for requests without a host."""
    servers: dict[str, Server] = {}
    try:
        for mode in ("inline", "pool"):
            servers[mode] = Server(mode, "support.conformance_apps:mounted")
            servers[f"{mode}-http"] = Server(mode, "support.conformance_apps:mounted", 'server_name="127.0.0.1"', "server_port=8000")
            servers[f"{mode}-https"] = Server(mode, "support.conformance_apps:mounted", 'server_name="example.org"', "server_port=443",
                                              f"tls={json.dumps(certificate)}", certificate=certificate[0])
        yield servers
    finally:
        for server in servers.values():
            server.stop()
            server.output.close()


@pytest.mark.parametrize("mode", ["inline", "pool", "wrapped"])
def test_a_broken_pipe_is_not_logged(mode: str) -> None:
    # A server of its own, so that its log has only this case.
    with Server(mode, "support.conformance_apps:application") as gateway:
        with Client(gateway.address) as client:
            client.send(head("GET", "/", [("X-Case", "gateway/client-gone-is-quiet")]))
            client.exactly(1000)
            client.reset()
        wait_until(lambda: saw(gateway, "gateway/client-gone-is-quiet").get("closed") == 1)
        with pytest.raises((Closed, OSError)), Client(gateway.address) as client:
            client.socket.shutdown(socket.SHUT_WR)
            client.response()
        assert "Traceback" not in gateway.log() and "panicked" not in gateway.log(), gateway.log()
