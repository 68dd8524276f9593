"""S: start_response, the status and the headers."""

from __future__ import annotations

import json
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import pytest
from support.raw import Client
from support.servers import Server, wait_until


def noted(server: Server, key: str) -> list[Any]:
    with Client(server.address) as client:
        values: list[Any] = json.loads(client.get(f"/record_of?key={key}").body)
        return values


def test_s1_a_second_call_is_an_error(client: Client, server: Server, key: str) -> None:
    assert client.get(f"/start_twice?key={key}").body == b"once"
    assert noted(server, key) == [True, "raised"]


def test_s2_exc_info_replaces_status_and_all_headers(client: Client) -> None:
    response = client.get("/start_again")
    assert (response.status, response.reason, response.body) == (503, "Sorry", b"sorry")
    assert response.value("x-old") is None
    assert response.value("x-new") == "1"
    assert response.value("content-type") == "text/plain"


def test_s3_exc_info_after_output_is_raised_again(client: Client, server: Server, key: str) -> None:
    response = client.get(f"/start_after_output?key={key}")
    assert (response.status, response.body, response.complete) == (200, b"output", False)
    wait_until(lambda: noted(server, key) == [[True, True]], what=lambda: str(noted(server, key)))


def test_s3_exc_info_is_not_kept(client: Client, server: Server, key: str) -> None:
    client.get(f"/start_after_output?key={key}")
    with Client(server.address) as another:
        wait_until(lambda: another.get(f"/alive?key={key}").body == b"false", what="the exception to be forgotten")


@pytest.mark.parametrize("empty", ["", "1"])
def test_s4_the_head_waits_for_output(client: Client, empty: str) -> None:
    response = client.get(f"/error_in_first_block?empty={empty}")
    assert response.status == 500
    assert response.value("x-never") is None


@pytest.mark.parametrize("empty", [0, 1, 3])
def test_s5_start_response_in_the_iteration(client: Client, empty: int) -> None:
    response = client.get(f"/start_late?empty={empty}")
    assert (response.status, response.body, response.value("x-late")) == (200, b"later", "yes")


@pytest.mark.parametrize(("status", "code", "reason"), [
    ("200 OK", 200, "OK"), ("200 Froody", 200, "Froody"), ("299 Very own (really)", 299, "Very own (really)"),
    ("404 Not Here", 404, "Not Here"), ("599 Caf\u00e9", 599, "Caf\u00e9"), ("418 I'm a teapot", 418, "I'm a teapot"),
])
def test_s6_a_status_is_kept(client: Client, status: str, code: int, reason: str) -> None:
    response = client.get("/status?status=" + quote(json.dumps(status)))
    assert (response.status, response.reason, response.body) == (code, reason, b"started")


@pytest.mark.parametrize("status", [
    "20 x", "2000 x", "abc OK", "", "200 bad\r\nX-Injected: yes", "200 a\nb", "200 \u0001", "200 \u20ac", 200, None, "099 x",
    " 200 OK", "200\tOK", "\u0662\u0660\u0660 OK",
], ids=repr)
@pytest.mark.modes("inline", "pool", "wrapped", "wrapped-pool", "under-waitress")
def test_s6_an_invalid_status_is_rejected(client: Client, status: Any) -> None:
    response = client.get("/status?status=" + quote(json.dumps(status)))
    assert response.status == 500
    assert response.value("x-injected") is None
    assert b"started" not in response.body


def with_headers(client: Client, *pairs: tuple[Any, Any]) -> Any:
    return client.get("/headers?headers=" + quote(json.dumps(pairs)))


@pytest.mark.parametrize("pair", [
    ("X-A", "b\r\nX-Injected: yes"), ("X-A", "b\nX-Injected: yes"), ("X-A", "b\rc"), ("X-A", "\u0000"), ("X-A", "\u0001"),
    ("X-A\r\nX-Injected", "yes"), ("X A", "b"), ("X-A:", "b"), ("", "b"), ("X-\u00e9", "b"),
], ids=repr)
def test_s7_nothing_is_injected(client: Client, pair: tuple[str, str]) -> None:
    response = with_headers(client, pair)
    assert response.status == 500
    assert response.value("x-injected") is None


@pytest.mark.parametrize("pair", [
    ("Connection", "close"), ("Keep-Alive", "timeout=5"), ("Transfer-Encoding", "chunked"), ("TE", "trailers"),
    ("Trailer", "X-A"), ("Upgrade", "h2c"), ("Proxy-Authenticate", "Basic"), ("Proxy-Authorization", "x"),
    ("connection", "keep-alive"),
], ids=repr)
def test_s7_hop_by_hop_headers_are_rejected(client: Client, pair: tuple[str, str]) -> None:
    assert with_headers(client, pair).status == 500


@pytest.mark.parametrize("pair", [
    (["X-A"], "b"), ("X-A", ["b"]), ("X-A", 5), ("X-A", None), (5, "b"), ("X-A", "\u20ac"),
], ids=repr)
def test_s7_headers_are_latin_1_strings(client: Client, pair: tuple[Any, Any]) -> None:
    # A list of one string means bytes here.
    assert with_headers(client, pair).status == 500


def test_s7_values_of_latin_1_are_sent_as_they_are(client: Client) -> None:
    response = with_headers(client, ("X-A", "caf\u00e9\tx"), ("X-Empty", ""))
    assert (response.value("x-a"), response.value("x-empty")) == ("caf\u00e9\tx", "")


@pytest.mark.parametrize("length", ["x", "-1", "1.5", "", "5, 5", "99999999999999999999999"])
@pytest.mark.modes("inline", "pool", "wrapped", "wrapped-pool")
def test_s7_a_length_is_a_number(client: Client, length: str) -> None:
    assert with_headers(client, ("Content-Length", length)).status == 500


@pytest.mark.modes("inline", "pool", "wrapped", "wrapped-pool")
def test_s7_two_lengths_that_differ_are_rejected(client: Client) -> None:
    assert with_headers(client, ("Content-Length", "7"), ("content-length", "8")).status == 500


def test_s8_repeated_headers_stay_apart_and_in_order(client: Client) -> None:
    response = with_headers(client, ("Set-Cookie", "b=1; Path=/"), ("X-A", "1"), ("set-cookie", "a=2, x"), ("X-A", "2"))
    assert response.values("set-cookie") == ["b=1; Path=/", "a=2, x"]
    assert response.values("x-a") == ["1", "2"]


def test_s9_date_and_server_are_added(client: Client) -> None:
    response = client.get("/up")
    date = response.value("date")
    assert date and re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", date)
    assert abs(parsedate_to_datetime(date).timestamp() - time.time()) <= 2
    assert response.value("server")


def test_s9_the_applications_own_are_kept(client: Client) -> None:
    response = with_headers(client, ("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("Server", "mine"))
    assert response.value("date") == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert response.value("server") == "mine"
