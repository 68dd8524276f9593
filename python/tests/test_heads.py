"""Heads of requests as raw bytes: each has one outcome, with one thread and with several."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from support.inside import serving
from support.raw import Address, Client, Closed

CHUNKED = "Transfer-Encoding: chunked"


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", "0")])
    return []


@pytest.fixture(scope="module")
def addresses() -> Iterator[list[Address]]:
    options = {"keep_alive": 0.5, "header_timeout": 0.5, "body_timeout": 0.5}
    with serving(application, threads=1, **options) as inline, serving(application, threads=4, **options) as pool:
        yield [inline, pool]


def head(line: str, *fields: str, host: str | None = "Host: h", body: str = "") -> bytes:
    lines = [line, *([host] if host is not None else []), *fields]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1")


def post(*fields: str, body: str = "", version: str = "HTTP/1.1") -> bytes:
    return head(f"POST / {version}", *fields, body=body)


def outcome(address: Address, data: bytes) -> list[int]:
    """Returns the statuses of all responses until the server closes the connection."""
    statuses: list[int] = []
    with Client(address) as client:
        client.send(data)
        while True:
            try:
                response = client.response(data.partition(b" ")[0].decode("latin-1"))
            except (Closed, ConnectionResetError):
                return statuses
            statuses.append(response.status)


OK, BAD = [200], [400]

CASES: list[tuple[str, bytes, list[int]]] = [
    # Targets (RFC 9112, section 3.2): a fragment is no part of one.
    ("a path", head("GET / HTTP/1.1"), OK), ("a fragment", head("GET /a#b HTTP/1.1"), BAD),
    ("a fragment after a query", head("GET /a?q#b HTTP/1.1"), BAD), ("only a fragment", head("GET # HTTP/1.1"), BAD),
    ("a fragment of a URL", head("GET http://h/a#b HTTP/1.1"), BAD), ("a fragment in CONNECT", head("CONNECT h:1#x HTTP/1.1"), BAD),
    ("a number sign in the method", head("G#T / HTTP/1.1"), OK), ("a number sign in a header", head("GET / HTTP/1.1", "A: #"), OK),
    ("a fragment behind a request", head("GET / HTTP/1.1") + head("GET /a#b HTTP/1.1"), [200, 400]),
    ("a fragment behind a body", post("Content-Length: 1", body="x") + head("GET /a#b HTTP/1.1"), [200, 400]),
    ("a fragment behind chunks", post(CHUNKED, body="1\r\nx\r\n0\r\n\r\n"), OK),
    ("three requests at once", head("GET / HTTP/1.1") * 3, [200] * 3),
    ("a space in it", head("GET /a b HTTP/1.1"), BAD), ("two spaces", head("GET  / HTTP/1.1"), BAD), ("none", head("GET  HTTP/1.1"), BAD),
    ("tabs", head("GET\t/\tHTTP/1.1"), BAD), ("bytes above ASCII", head("GET /\u00e4 HTTP/1.1"), BAD), ("a NUL", head("GET /\0 HTTP/1.1"), BAD),
    ("no slash", head("GET a HTTP/1.1"), BAD), ("a star", head("GET * HTTP/1.1"), BAD), ("OPTIONS *", head("OPTIONS * HTTP/1.1"), OK),
    ("a URL", head("GET http://h/a HTTP/1.1"), OK), ("a user", head("GET http://u@h/ HTTP/1.1"), BAD), ("a host", head("GET h:80 HTTP/1.1"), BAD),
    ("CONNECT", head("CONNECT h:80 HTTP/1.1"), [501]), ("dots", head("GET /../a HTTP/1.1"), OK), ("two slashes", head("GET //a HTTP/1.1"), OK),
    ("half an encoding", head("GET /% HTTP/1.1"), OK),
    # First lines.
    ("no version", head("GET /"), BAD), ("version 1.0", head("GET / HTTP/1.0", host=None), OK), ("version 2.0", head("GET / HTTP/2.0"), BAD),
    ("version 1.2", head("GET / HTTP/1.2"), BAD), ("a version in lower case", head("GET / http/1.1"), BAD),
    ("an unknown method", head("BREW / HTTP/1.1"), OK), ("a bad method", head("G(T / HTTP/1.1"), BAD), ("no method", head(" / HTTP/1.1"), BAD),
    ("an empty line before", b"\r\n" + head("GET / HTTP/1.1"), OK), ("bare line feeds", b"GET / HTTP/1.1\nHost: h\n\n", OK),
    ("a line of 16 KiB", head(f"GET /{'a' * (16 * 1024 - 15)} HTTP/1.1"), OK), ("a longer line", head(f"GET /{'a' * 16 * 1024} HTTP/1.1"), [414]),
    ("a line of 1 MB", head(f"GET /{'a' * 1_000_000} HTTP/1.1"), [414]), ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", BAD),
    # Headers.
    ("no host", head("GET / HTTP/1.1", host=None), BAD), ("two hosts", head("GET / HTTP/1.1", "Host: h"), BAD),
    ("a bad host", head("GET / HTTP/1.1", host="Host: a b"), BAD), ("an empty host", head("GET / HTTP/1.1", host="Host:"), OK),
    ("a fold", head("GET / HTTP/1.1", "A: b\r\n c"), BAD), ("a space before the colon", head("GET / HTTP/1.1", "A : b"), BAD),
    ("no colon", head("GET / HTTP/1.1", "A"), BAD), ("no name", head("GET / HTTP/1.1", ": b"), BAD), ("a NUL in a value", head("GET / HTTP/1.1", "A: \0"), BAD),
    ("bytes above ASCII in a value", head("GET / HTTP/1.1", "A: \u00ff"), OK), ("a bad name", head("GET / HTTP/1.1", "A(b): c"), BAD),
    ("100 headers", head("GET / HTTP/1.1", *[f"A{number}: b" for number in range(99)]), OK),
    ("101 headers", head("GET / HTTP/1.1", *[f"A{number}: b" for number in range(100)]), [431]),
    ("60 KB", head("GET / HTTP/1.1", f"A: {'a' * 60_000}"), OK), ("70 KB", head("GET / HTTP/1.1", f"A: {'a' * 70_000}"), [431]),
    # Bodies.
    ("a negative length", post("Content-Length: -1"), BAD), ("a sign", post("Content-Length: +1", body="x"), BAD),
    ("two lengths", post("Content-Length: 1", "Content-Length: 2", body="xx"), BAD), ("an empty length", post("Content-Length:"), BAD),
    ("a huge length", post("Content-Length: 99999999999999999999"), BAD), ("chunks", post(CHUNKED, body="0\r\n\r\n"), OK),
    ("a length and chunks", post("Content-Length: 1", CHUNKED, body="0\r\n\r\n"), OK), ("another coding", post("Transfer-Encoding: gzip"), BAD),
    ("a coding below", post("Transfer-Encoding: gzip, chunked", body="0\r\n\r\n"), [501]),
    ("chunks twice", post(CHUNKED, CHUNKED, body="0\r\n\r\n"), BAD), ("chunks of HTTP/1.0", post(CHUNKED, body="0\r\n\r\n", version="HTTP/1.0"), BAD),
    ("a bad size", post(CHUNKED, body="z\r\n"), BAD), ("a bad chunk", post(CHUNKED, body="1\r\nxx\r\n0\r\n\r\n"), BAD),
    ("trailers", post(CHUNKED, body="0\r\nA: b\r\n\r\n"), OK), ("a bad trailer", post(CHUNKED, body="0\r\nA b\r\n\r\n"), BAD),
]


@pytest.mark.parametrize(("data", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_head_has_one_outcome(addresses: list[Address], data: bytes, expected: list[int]) -> None:
    assert [outcome(address, data) for address in addresses] == [expected, expected]


def test_a_head_in_parts_is_checked_too(addresses: list[Address]) -> None:
    for address in addresses:
        with Client(address) as client:
            for part in (b"GET /", b"a"):
                client.send(part)
                assert client.quiet(0.05) == b""
            client.send(b"#b HTTP/1.1\r\n")
            assert client.response().status == 400


def test_a_chunked_body_needs_content(addresses: list[Address]) -> None:
    # Ten million bytes of extensions of chunks, which have no content.
    for address in addresses:
        with Client(address) as client:
            client.send(post(CHUNKED))
            with pytest.raises(ConnectionError):
                for _ in range(1_000):
                    client.send(b"1;" + b"a" * 10_000 + b"\r\nx\r\n")


def test_bytes_behind_a_request_that_is_running_wait(addresses: list[Address]) -> None:
    """More requests than are read at once: none is lost, and the last one is refused."""
    count = 3_000
    data = head("GET / HTTP/1.1", f"A: {'a' * 200}") * count + head("GET /#x HTTP/1.1")
    for address in addresses:
        with Client(address) as client:
            sending = threading.Thread(target=client.send, args=(data,))
            sending.start()
            statuses = [client.response().status for _ in range(count + 1)]
            sending.join()
            assert statuses == [200] * count + [400]
            assert client.rest() == b""


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(("target", "path"), [
    ("/a/../b", "/b"), ("/a/%2e%2e/b", "/b"), ("/../../b", "/b"), ("/%61", "/a"), ("//a", "//a"), ("/a%2Fb", "/a/b"), ("/b?x", "/b"),
    ("/./b?y", "/b"),
])
def test_the_path_is_canonical_and_the_target_is_kept(threads: int, target: str, path: str) -> None:
    def seen(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = f"{environ['PATH_INFO']} {environ['REQUEST_URI']}".encode("latin-1")
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    with serving(seen, threads=threads) as address, Client(address) as client:
        assert client.get(target).text == f"{path} {target}"
