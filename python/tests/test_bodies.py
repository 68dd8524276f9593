"""B: the iterable of the application, and how it reaches the client."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.raw import Client, Closed, Response, head
from support.servers import Server, wait_until

OURS = pytest.mark.modes("inline", "pool", "wrapped", "wrapped-pool")


def noted(server: Server, key: str) -> list[Any]:
    with Client(server.address) as client:
        values: list[Any] = json.loads(client.get(f"/record_of?key={key}").body)
        return values


def blocks(*parts: Any, **options: Any) -> str:
    query = "&".join(f"{name}={quote(str(value))}" for name, value in options.items())
    return f"/blocks?blocks={quote(json.dumps(parts))}&{query}"


def closed_once(server: Server, key: str) -> list[Any]:
    """Returns the records, once the body was closed and had time to be closed again."""
    wait_until(lambda: "close" in noted(server, key), what=lambda: str(noted(server, key)))
    time.sleep(0.1)
    steps = noted(server, key)
    assert steps.count("close") == 1, steps
    assert steps[-1] == "close", steps
    return steps


def test_b1_a_str_as_first_block_is_rejected(client: Client) -> None:
    assert client.get(blocks("text", raw=1, kind="list")).status == 500


@pytest.mark.parametrize("kind", ["iterator", "list"])
def test_b1_a_str_among_blocks_is_rejected(client: Client, kind: str) -> None:
    response = client.get(blocks(5, raw=1, kind=kind))
    assert response.status == 500 or not response.complete


@pytest.mark.parametrize("length", ["", "8"])
def test_b2_each_block_arrives_before_the_next_is_made(client: Client, tmp_path: Path, length: str) -> None:
    client.send(head("GET", f"/gated?length={length}&gate={tmp_path}"))
    response = client.response_head()
    for number in range(4):
        block = client.exactly(2)[0] if length else client.chunk()
        # The last block too, before the application ends.
        assert block == b"%d," % number
        (tmp_path / str(number)).touch()
    assert response.status == 200
    if not length:
        assert client.chunk() == b""


def test_b2_many_small_blocks_arrive_whole_and_in_order(client: Client, key: str) -> None:
    parts = [f"{number:05d}" for number in range(1000)]
    response = client.get(blocks(*parts[:300], kind="iterator", key=key))
    assert (response.text, response.complete) == ("".join(parts[:300]), True)


@OURS  # A wrapper cannot send before the application has returned its iterable.
def test_b3_write_sends_at_once_and_in_order(client: Client, tmp_path: Path) -> None:
    client.send(head("GET", f"/writes?gate={tmp_path}"))
    assert client.response_head().status == 200
    assert client.chunk() == b"a"
    (tmp_path / "a").touch()
    received = b""
    while chunk := client.chunk():
        received += chunk
    assert received == b"bcd"


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_b4_close_after_a_normal_end(client: Client, server: Server, key: str, method: str, status: str) -> None:
    parts = ["a", "b"] if status == "200 OK" else []
    client.request(method, blocks(*parts, kind="iterator", key=key, status=status))
    closed_once(server, key)


@pytest.mark.parametrize("fail", [0, 1])
def test_b4_close_after_an_error(client: Client, server: Server, key: str, fail: int) -> None:
    client.get(blocks("a", "b", kind="iterator", key=key, fail=fail))
    assert closed_once(server, key) == ["next"] * (fail + 1) + ["close"]


def test_b4_close_after_an_early_stop(client: Client, server: Server, key: str) -> None:
    assert client.get(blocks("ab", "cd", "ef", "gh", kind="iterator", key=key, length=2)).body == b"ab"
    closed_once(server, key)


def test_b4_close_after_a_rejected_block(client: Client, server: Server, key: str) -> None:
    client.get(blocks("a", 5, raw=1, kind="iterator", key=key))
    closed_once(server, key)


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
def test_b4_close_after_the_client_disconnects(server: Server, key: str, reset: bool) -> None:
    with Client(server.address) as client:
        client.send(head("GET", f"/endless?key={key}"))
        assert client.response_head().status == 200
        client.exactly(100_000)
        if reset:
            client.reset()
    steps = closed_once(server, key)
    assert len(steps) < 20_000, "the body went on to its end"


def test_b4_an_error_in_close_is_only_logged(client: Client, server: Server, key: str) -> None:
    client.get(blocks("a", "b", kind="iterator", key=key, close_fails=1))
    closed_once(server, key)
    with Client(server.address) as another:
        assert another.get("/up").body == b"up"


@pytest.mark.parametrize("kind", ["list", "tuple"])
def test_b5_the_length_of_one_block_is_known(client: Client, kind: str) -> None:
    response = client.get(blocks("hello", kind=kind))
    assert (response.value("content-length"), response.body) == ("5", b"hello")


@OURS
def test_b5_an_empty_list_is_an_empty_body(client: Client) -> None:
    response = client.get(blocks(kind="list"))
    assert (response.status, response.body, response.value("content-length")) == (200, b"", "0")
    assert client.follow().body == b"up"


@pytest.mark.parametrize("parts", [("hello", "world", "more"), ("hel", "loworld", "more"), ("helloworld",)])
@pytest.mark.parametrize("kind", ["iterator", "list"])
def test_b5_more_than_the_length_is_cut(client: Client, server: Server, key: str, kind: str, parts: tuple[str, ...]) -> None:
    response = client.get(blocks(*parts, kind=kind, length=5, key=key))
    assert (response.value("content-length"), response.body) == ("5", b"hello")
    # If the connection stays open, no surplus bytes come before the next response.
    rest = client.quiet(0.05)
    assert rest == b""
    if kind == "iterator":
        # The server may call `next` once more, so that the code after the last block runs.
        steps = closed_once(server, key)
        assert steps.count("next") <= (3 if parts[0] == "hel" else 2)


def test_b5_writing_more_than_the_length_is_an_error(client: Client, server: Server, key: str) -> None:
    assert client.get(f"/write_too_much?key={key}").body == b"hello"
    assert noted(server, key) == ["raised"]


@pytest.mark.parametrize("kind", ["iterator", "list"])
def test_b5_less_than_the_length_aborts_the_connection(client: Client, key: str, kind: str) -> None:
    client.send(head("GET", blocks("hel", kind=kind, length=10, key=key)))
    try:
        response = client.response()
    except Closed:
        return
    assert response.status == 500 or not response.complete


@OURS
def test_b5_less_than_the_length_is_logged(server: Server, key: str) -> None:
    before = len(server.log())
    with Client(server.address) as client, pytest.raises(AssertionError):
        client.send(head("GET", blocks("hel", kind="iterator", length=10, key=key)))
        response = client.response()
        assert response.complete and response.status == 200
    wait_until(lambda: "ontent-" in server.log()[before:], what=lambda: server.log()[before:])


def test_b6_an_unknown_length_is_chunked(client: Client, key: str) -> None:
    response = client.get(blocks("a", "b", kind="iterator", key=key))
    assert (response.value("transfer-encoding"), response.value("content-length"), response.body) == ("chunked", None, b"ab")
    assert client.follow().body == b"up"


def test_b6_an_unknown_length_ends_an_http_1_0_connection(client: Client, key: str) -> None:
    response = client.request("GET", blocks("a", "b", kind="iterator", key=key), version="HTTP/1.0")
    assert (response.value("transfer-encoding"), response.body) == (None, b"ab")


@OURS
def test_b6_http_1_0_may_keep_a_connection_whose_length_is_known(client: Client) -> None:
    fields = [("Connection", "keep-alive")]
    assert client.request("GET", "/up", fields, version="HTTP/1.0").value("connection") == "keep-alive"
    assert client.request("GET", "/up", version="HTTP/1.0").body == b"up"
    assert client.closed()


@pytest.mark.parametrize("length", ["", "100"])
def test_b7_an_error_after_output_aborts_the_response(client: Client, key: str, length: str) -> None:
    response = client.get(blocks("a", "b", "c", kind="iterator", key=key, fail=2, length=length))
    assert (response.status, response.body[:2], response.complete) == (200, b"ab", False)


def comparable(response: Response) -> list[tuple[str, str]]:
    # RFC 9112, 6.1: Transfer-Encoding is optional in a response to HEAD.
    return sorted(pair for pair in response.headers if pair[0] not in ("date", "transfer-encoding"))


@pytest.mark.parametrize("kind", ["list", "iterator"])
@pytest.mark.parametrize("length", ["", "2"])
def test_b8_head_has_gets_headers_and_no_body(client: Client, key: str, kind: str, length: str) -> None:
    target = blocks("a", "b", kind=kind, key=key, length=length)
    without = client.request("HEAD", target)
    assert client.quiet() == b""
    with_body = client.follow(target)
    assert with_body.body == b"ab"
    assert comparable(without) == comparable(with_body)
    assert client.follow().body == b"up"


@pytest.mark.parametrize("kind", ["list", "iterator"])
@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("parts", [(), ("body",)], ids=["empty", "body"])
def test_b8_statuses_without_a_body(client: Client, key: str, status: str, parts: tuple[str, ...], kind: str) -> None:
    response = client.get(blocks(*parts, kind=kind, status=status, key=key))
    assert response.status == int(status[:3])
    assert response.value("transfer-encoding") is None
    if response.status == 204:
        # RFC 9110, 8.6: a 204 has no Content-Length.
        assert response.value("content-length") is None
    assert client.quiet() == b""
    assert client.follow().body == b"up"


@pytest.mark.parametrize("how", ["raise", "after start", "no start", "none", "number"])
def test_b9_an_error_before_output_is_a_500(client: Client, server: Server, how: str) -> None:
    before = len(server.log())
    response = client.get("/fails?how=" + quote(how))
    assert (response.status, response.complete) == (500, True)
    assert response.value("x-never") is None
    assert "secret detail" not in response.text and "Traceback" not in response.text
    if how in ("raise", "after start"):
        def has_traceback() -> bool:
            return "secret detail" in server.log()[before:].partition("Traceback (most recent call last)")[2]

        # The server's own line about the error may come first.
        wait_until(has_traceback, what=lambda: server.log()[before:])
    else:
        wait_until(lambda: "Error" in server.log()[before:], what=lambda: server.log()[before:])
    with Client(server.address) as another:
        assert another.get("/up").body == b"up"


@OURS
@pytest.mark.parametrize("kind", ["list", "tuple", "iterator"])
@pytest.mark.parametrize("parts", [[], [""], ["", ""]])
def test_b8_head_without_a_body_says_nothing_of_the_length_of_get(client: Client, kind: str, parts: list[str]) -> None:
    # An application that handles HEAD itself makes no body: GET's length is not known (RFC 9110, section 8.6).
    assert client.request("HEAD", blocks(*parts, kind=kind)).values("content-length") == []
    assert client.request("HEAD", blocks(*parts, kind=kind, length=5)).values("content-length") == ["5"]
    assert client.request("HEAD", blocks(*parts, kind=kind, length=0)).values("content-length") == ["0"]
    assert client.get(blocks(*parts, kind="list")).values("content-length") == ["0"]
    # A list that has content is GET's.
    assert client.request("HEAD", blocks("abc", kind="list")).values("content-length") == ["3"]
