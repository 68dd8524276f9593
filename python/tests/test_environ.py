"""E: the arguments of the application."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.inside import serving
from support.probes import application
from support.raw import Client, Response
from support.servers import Server


def environ_of(response: Response) -> dict[str, Any]:
    assert response.status == 200, response.text
    environ: dict[str, Any] = json.loads(response.body)
    return environ


def test_e1_environ_is_a_dict_of_native_strings(client: Client) -> None:
    environ = environ_of(client.get("/dump?a=b", [("X-A", "1"), ("Cookie", "c=d")]))
    assert environ["test.type"] == "dict"
    assert environ["test.not_str"] == []
    assert environ["test.keys_not_str"] == 0


def test_e1_the_application_is_called_positionally(client: Client) -> None:
    assert environ_of(client.get("/dump"))["test.called_with"] == [2, []]


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_e2_required_keys(client: Client, server: Server, version: str) -> None:
    environ = environ_of(client.request("GET", "/dump/x?a=b", version=version))
    assert {key: environ[key] for key in ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING")} == {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/dump/x", "QUERY_STRING": "a=b"}
    assert environ["SERVER_PROTOCOL"] == version
    assert environ["SERVER_PORT"] == str(server.address[1])
    assert environ["SERVER_NAME"] != ""
    assert environ["REMOTE_ADDR"] == "127.0.0.1"


@pytest.mark.parametrize("threads", [1, 2])
def test_an_ipv6_address_as_server_name_has_brackets(threads: int) -> None:
    # RFC 3875, 4.1.14. The brackets were missing.
    with serving(application, "::1", threads=threads) as address, Client(address) as client:
        environ = environ_of(client.get("/dump"))
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("[::1]", str(address[1]))
    assert environ["REMOTE_ADDR"] == "::1"


def test_e2_required_wsgi_keys(client: Client) -> None:
    environ = environ_of(client.get("/dump"))
    assert environ["wsgi.version"] == [1, 0]
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.run_once"] is False
    assert environ["wsgi.multiprocess"] is False
    assert {"wsgi.input", "wsgi.errors", "wsgi.multithread"} <= environ.keys()


def test_e2_an_empty_query_is_an_empty_string(client: Client) -> None:
    assert environ_of(client.get("/dump"))["QUERY_STRING"] == ""


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS", "PROPFIND", "get"])
@pytest.mark.modes("inline", "pool", "wrapped", "wrapped-pool")
def test_e2_any_method_as_it_was_sent(client: Client, method: str) -> None:
    assert environ_of(client.request(method, "/dump"))["REQUEST_METHOD"] == method


def test_e2_one_request_does_not_change_the_environ_of_the_next(client: Client) -> None:
    assert client.get("/keep_environ").body == b"kept"
    environ = environ_of(client.get("/dump"))
    assert "HTTP_X_LEAKED" not in environ
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["SERVER_NAME"] != ""


def test_e3_path_is_decoded_and_the_query_is_not(client: Client) -> None:
    environ = environ_of(client.get("/dump/caf%C3%A9%2Fx%ff%20+?a=%20b&c=+%C3%A9"))
    assert environ["PATH_INFO"] == "/dump/caf\u00c3\u00a9/x\u00ff +"
    assert environ["QUERY_STRING"] == "a=%20b&c=+%C3%A9"


def test_e3_dots_are_resolved_and_double_slashes_stay(client: Client) -> None:
    """PEP 3333 does not define dots; the path is canonical (RFC 3986, section 6.2.2.3) before any component sees it."""
    environ = environ_of(client.get("/dump//a/../b/./c;d=e"))
    assert environ["PATH_INFO"] == "/dump//b/c;d=e"
    assert environ_of(client.get("/x/%2e%2e/dump/a"))["PATH_INFO"] == "/dump/a"


def test_e4_header_values_are_latin_1(client: Client) -> None:
    assert environ_of(client.get("/dump", [("X-N", "caf\u00e9 \u00ff")]))["HTTP_X_N"] == "caf\u00e9 \u00ff"


def test_e5_repeated_headers_are_joined(client: Client) -> None:
    assert environ_of(client.get("/dump", [("X-A", "1"), ("X-B", "b"), ("X-A", "2")]))["HTTP_X_A"] in ("1,2", "1, 2")


def test_e5_repeated_cookies_are_joined_by_a_semicolon(client: Client) -> None:
    assert environ_of(client.get("/dump", [("Cookie", "a=1"), ("Cookie", "b=2")]))["HTTP_COOKIE"] == "a=1; b=2"


def test_e6_content_headers(client: Client) -> None:
    environ = environ_of(client.post("/dump", b"x", [("Content-Type", "text/x; a=b")]))
    assert environ["CONTENT_TYPE"] == "text/x; a=b"
    assert environ["CONTENT_LENGTH"] == "1"
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & environ.keys()


def test_e7_underscores_cannot_forge_a_header(client: Client) -> None:
    environ = environ_of(client.get("/dump", [("X_Forwarded_User", "evil"), ("X-Forwarded-User", "real")]))
    assert environ["HTTP_X_FORWARDED_USER"] == "real"
    environ = environ_of(client.get("/dump", [("X_Forwarded_User", "evil")]))
    assert "HTTP_X_FORWARDED_USER" not in environ


def test_e8_no_header_is_invented_for_a_client_of_http_1_0(client: Client) -> None:
    environ = environ_of(client.request("GET", "/dump", version="HTTP/1.0"))
    assert [key for key in environ if key.startswith("HTTP_")] == []
    assert environ.get("CONTENT_TYPE", "") == "" and environ.get("CONTENT_LENGTH", "") == ""


def test_e9_absolute_target(client: Client) -> None:
    # RFC 9112, 3.2.2: the target's authority replaces Host, whatever its value.
    environ = environ_of(client.get("http://h.example:81/dump/a?b=c", [("Host", "other.example")]))
    assert (environ["PATH_INFO"], environ["QUERY_STRING"], environ["HTTP_HOST"]) == ("/dump/a", "b=c", "h.example:81")


def test_e10_the_environment_of_the_process_stays_out(client: Client) -> None:
    assert not {"PATH", "HOME", "PYTHONPATH"} & environ_of(client.get("/dump")).keys()
