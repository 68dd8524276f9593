"""Faulty connections and clocks as a client sees them, with one thread and with several."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from support.clock import Clock
from support.inside import serving
from support.raw import Client, head
from support.servers import Server

both = pytest.mark.parametrize("threads", [1, 2])


def streamed(*blocks: bytes, fails: bool = False) -> Any:
    """Returns an application that sends no length."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield from blocks
        if fails:
            raise RuntimeError("planned")

    return application


@both
def test_a_connection_ends_with_the_response_to_connect(threads: int) -> None:
    # RFC 9931: bytes sent ahead for a tunnel are not a request.
    with serving(streamed(b"up"), threads=threads) as address, Client(address) as client:
        client.send(b"CONNECT h.example:1 HTTP/1.1\r\nHost: h.example:1\r\n\r\n" + head("GET", "/"))
        response = client.response("CONNECT")
        assert (response.status, response.value("connection")) == (501, "close")
        assert client.rest() == b""


@both
@pytest.mark.parametrize("fails", [True, False])
def test_only_a_failed_http_1_0_stream_ends_with_a_reset(threads: int, fails: bool) -> None:
    with serving(streamed(b"ab", b"cd", fails=fails), threads=threads) as address, Client(address) as client:
        client.send(head("GET", "/", version="HTTP/1.0"))
        response = client.response_head()
        assert (response.status, response.value("content-length")) == (200, None)
        assert client.exactly(4) == (b"abcd", True)
        if fails:
            with pytest.raises(ConnectionResetError):
                client.socket.recv(1)
        else:
            assert client.socket.recv(1) == b""


@pytest.mark.parametrize("mode", ["inline", "pool"])
def test_the_date_is_right_after_the_clock_was_set_back(tmp_path: Path, mode: str) -> None:
    clock = Clock(tmp_path)

    def ahead(client: Client) -> float:
        date = client.get("/up").value("date")
        assert date is not None
        return parsedate_to_datetime(date).timestamp() - time.time()

    with Server(mode, environment=clock.environment) as server, Client(server.address) as client:
        assert abs(ahead(client)) < 5
        clock.set(3600)
        assert abs(ahead(client) - 3600) < 5
        clock.set(0)
        assert abs(ahead(client)) < 5
