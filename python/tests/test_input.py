"""I: wsgi.input, and bodies that are not read."""

from __future__ import annotations

import io
import json
import random
import socket
import time
from typing import Any
from urllib.parse import quote

import pytest
from support.raw import Client, Response, chunks, head
from support.servers import Server, wait_until

OURS = pytest.mark.modes("inline", "pool", "wrapped", "wrapped-pool")
BODY = b"first line\nsecond\r\n\nfourth, without an end"


def target(calls: list[list[Any]]) -> str:
    return "/calls?calls=" + quote(json.dumps(calls))


def by_the_book(calls: list[list[Any]], body: bytes) -> list[Any]:
    """Returns the results of the same calls on a file of the standard library."""
    source, results = io.BytesIO(body), []
    for name, *arguments in calls:
        value = list(source) if name == "iterate" else getattr(source, name)(*arguments)
        results.append(value.decode("latin-1") if isinstance(value, bytes) else [each.decode("latin-1") for each in value])
    return results


def noted(server: Server, key: str) -> list[Any]:
    with Client(server.address) as client:
        values: list[Any] = json.loads(client.get(f"/record_of?key={key}").body)
        return values


@pytest.mark.parametrize("calls", [
    [["read"]], [["read", -1]], [["read", None]], [["read", 0], ["read"]], [["read", 5], ["read", 1000], ["read", 1]],
    [["read"], ["read"], ["read", 5]],
], ids=lambda calls: " ".join("-".join(map(str, call)) for call in calls))
def test_i1_read(client: Client, calls: list[list[Any]]) -> None:
    assert json.loads(client.post(target(calls), BODY).body) == by_the_book(calls, BODY)


def test_i1_read_waits_for_all_requested_bytes(client: Client) -> None:
    client.send(head("POST", target([["read", 8], ["read", 3]]), length=11) + b"hel")
    time.sleep(0.1)
    client.send(b"lo wo")
    time.sleep(0.1)
    client.send(b"rld")
    assert json.loads(client.response().body) == ["hello wo", "rld"]


@pytest.mark.parametrize("calls", [
    [["readline"]] * 6, [["readline", 4], ["readline", 100], ["readline", 0], ["readline"]], [["readline", -1]],
    [["readlines"]], [["readlines", 12], ["readlines", 1], ["readlines"]], [["iterate"], ["readline"]],
    [["readline"], ["read", 3], ["readline", 2], ["iterate"], ["read"]], [["readlines"], ["readlines"]],
], ids=lambda calls: " ".join("-".join(map(str, call)) for call in calls))
def test_i2_lines(client: Client, calls: list[list[Any]]) -> None:
    assert json.loads(client.post(target(calls), BODY).body) == by_the_book(calls, BODY)


@OURS
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_i2_any_calls_return_the_same_as_a_file(client: Client, seed: int, framing: str) -> None:
    chance = random.Random(seed)
    body = b"".join(chance.choice([b"\n", b"a", b"line\n", b"x" * 9000, b"\r\n"]) for _ in range(60))
    kinds = ["read", "readline", "readlines"]
    calls: list[list[Any]] = [[chance.choice(kinds), chance.choice([0, 1, 2, 7, 100, 9001, 20000])] for _ in range(12)]
    calls.append(["iterate"])
    # `readlines(0)` returns all lines, as a file's does.
    if framing == "length":
        response = client.post(target(calls), body)
    else:
        cuts = sorted(chance.randrange(1, len(body)) for _ in range(9))
        parts = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)]) if start != end]
        client.send(head("POST", target(calls), [("Transfer-Encoding", "chunked")]) + chunks(*parts))
        response = client.response()
    assert json.loads(response.body) == by_the_book(calls, body)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_i3_without_a_body_the_input_is_at_its_end(client: Client, method: str) -> None:
    fields = [("Content-Length", "0")] if method == "POST" else []
    calls = [["read", 10], ["read"], ["readline"], ["readlines"], ["iterate"]]
    assert json.loads(client.request(method, target(calls), fields).body) == ["", "", "", [], []]


@OURS
def test_i3_the_input_ends_before_the_next_request(client: Client) -> None:
    client.send(head("POST", target([["read", 100]]), length=3) + b"abc" + head("GET", "/up"))
    assert client.response().body == b'["abc"]'
    assert client.response().body == b"up"


def test_i4_a_chunked_body(client: Client) -> None:
    client.send(head("POST", target([["read"], ["read"]]), [("Transfer-Encoding", "chunked")]) + chunks(b"hel", b"lo\n", b"x"))
    assert json.loads(client.response().body) == ["hello\nx", ""]
    assert client.follow().body == b"up"


def test_i5_a_large_body_is_read_before_it_is_complete(client: Client) -> None:
    client.send(head("POST", "/echo_lines", length=200_000) + b"hello\n")
    assert client.response_head().status == 200
    assert client.chunk() == b"<hello\n>"
    client.send(b"x" * 199_994)
    received = b""
    while chunk := client.chunk():
        received += chunk
    assert received == b"<" + b"x" * 199_994 + b">"


@pytest.mark.parametrize(("length", "sent"), [(500_000, 100_000), (1000, 10)])
def test_i6_a_client_that_disconnects_is_an_error(server: Server, key: str, length: int, sent: int) -> None:
    with Client(server.address) as client:
        client.send(head("POST", f"/read_noted?key={key}", length=length) + b"x" * sent)
        time.sleep(0.2)
    time.sleep(0.3)
    if not noted(server, key):
        assert length == 1000, "a large body should reach the application while it comes"
        return
    wait_until(lambda: len(noted(server, key)) == 2, what=lambda: str(noted(server, key)))
    began, outcome = noted(server, key)
    assert began == "began" and isinstance(outcome, list) and "OSError" in outcome, outcome


def test_i6_a_broken_chunk_is_an_error(server: Server, key: str) -> None:
    with Client(server.address) as client:
        calls = quote(json.dumps([["read"]]))
        client.send(head("POST", f"/calls?key={key}&calls={calls}", [("Transfer-Encoding", "chunked")]) + b"3\r\nabc\r\nzz\r\n")
        assert status_or_none(client) in (None, 400, 500)


def status_or_none(client: Client) -> int | None:
    try:
        return client.response().status
    except Exception:
        return None


def test_i7_a_response_before_the_body_reaches_the_client(client: Client, key: str) -> None:
    started = time.monotonic()
    client.send(head("POST", f"/refuse?key={key}", length=5_000_000))
    response = send_slowly(client, 5_000_000)
    assert (response.status, response.body, response.complete) == (500, b"refused", True)
    assert time.monotonic() - started < 4


def send_slowly(client: Client, length: int) -> Response:
    """Sends as much as the server accepts, then reads the response, as some clients do."""
    try:
        for _ in range(length // 50_000):
            client.send(b"x" * 50_000)
    except (BrokenPipeError, ConnectionResetError, socket.timeout):
        pass
    return client.response()


def test_i7_the_input_of_an_ended_request_has_no_new_bytes(server: Server, key: str) -> None:
    with Client(server.address) as client:
        assert client.post(f"/refuse?key={key}", b"y" * 1000).status == 500
    with Client(server.address) as client:
        client.send(head("POST", f"/refuse?key={key}2", length=300_000) + b"y" * 1000)
        assert client.response().status == 500
    with Client(server.address) as client:
        for each in (key, key + "2"):
            kind, value = json.loads(client.post(f"/read_held?key={each}", b"mine").body)
            assert kind == "raised" or value in ("", "y" * 10), value


@pytest.mark.parametrize("padding", [0, 200_000])
def test_i8_an_unread_body_is_not_taken_for_a_request(client: Client, key: str, padding: int) -> None:
    smuggled = head("GET", f"/up?key={key}") + b"x" * padding
    client.send(head("POST", f"/refuse?key={key}", length=len(smuggled)) + smuggled + head("GET", "/dump?real"))
    assert client.response().status == 500
    rest = client.quiet(0.5)
    assert b"\r\n\r\nup" not in rest
    assert rest == b"" or b'"QUERY_STRING": "real"' in rest


@pytest.mark.parametrize("fields", [
    [("Content-Length", "5"), ("Transfer-Encoding", "chunked")], [("Content-Length", "5"), ("Content-Length", "6")],
    [("Content-Length", "-1")], [("Content-Length", "5x")], [("Transfer-Encoding", "gzip")],
], ids=["both", "two-lengths", "negative", "letters", "other-coding"])
@OURS
def test_i8_an_ambiguous_length_smuggles_no_request(client: Client, fields: list[tuple[str, str]]) -> None:
    client.send(head("POST", "/count", fields) + b"0\r\n\r\n" + head("GET", "/dump?smuggled"))
    received = client.quiet(0.5)
    assert received == b"" or received.startswith(b"HTTP/1.1 400") or b'"QUERY_STRING": "smuggled"' not in received


# C: Expect: 100-continue


EXPECT = [("Expect", "100-continue")]


def test_c1_the_client_gets_100_continue(client: Client) -> None:
    client.send(head("POST", "/echo", EXPECT, 5))
    assert client.response_head().status == 100
    client.send(b"hello")
    response = client.response()
    assert (response.status, response.body) == (200, b"hello")


@OURS
def test_c1_only_when_the_body_is_read(client: Client) -> None:
    started = time.monotonic()
    client.send(head("POST", "/late_read?delay=0.4", EXPECT, 5))
    assert client.response_head().status == 100
    assert time.monotonic() - started >= 0.4
    client.send(b"hello")
    assert client.response().body == b"hello"


def test_c2_the_final_status_comes_first_if_nothing_is_read(client: Client, key: str) -> None:
    client.send(head("POST", f"/refuse?key={key}", EXPECT, 5))
    response = client.response()
    assert (response.status, response.interim) == (500, [])
