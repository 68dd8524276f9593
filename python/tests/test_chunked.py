"""Bodies in chunks: received first, so that they have a length; or streamed, as an option."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from support.command import Command
from support.raw import Client, Response, chunks, head
from support.servers import Server, wait_until

MODES = ("inline", "pool", "wrapped", "wrapped-pool")
OURS = pytest.mark.modes(*MODES)
CHUNKED = [("Transfer-Encoding", "chunked")]


def post(client: Client, target: str, *blocks: bytes, headers: list[tuple[str, str]] | None = None) -> Response:
    client.send(head("POST", target, [*CHUNKED, *(headers or [])]) + chunks(*blocks))
    return client.response()


@pytest.fixture(params=MODES)
def small(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server with a limit of 300,000 bytes, above what is kept in memory."""
    with Server(request.param, "support.probes:application", "chunked_limit=300000") as server:
        yield server


@pytest.fixture(params=MODES)
def streaming(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param, "support.probes:application", "stream_chunked=true") as server:
        yield server


@OURS
@pytest.mark.parametrize("length", [0, 1, 256 * 1024, 256 * 1024 + 1, 3_000_000])
def test_the_application_gets_a_length_and_the_whole_body(client: Client, length: int) -> None:
    body = os.urandom(length)
    blocks = [body[at:at + 50_000] for at in range(0, length, 50_000)]
    environ = json.loads(post(client, "/dump", *blocks).body)
    assert environ["CONTENT_LENGTH"] == str(length)
    assert "wsgi.input_terminated" not in environ
    # The body is decoded already: Bottle would decode it again.
    assert "HTTP_TRANSFER_ENCODING" not in environ
    assert post(client, "/echo", *blocks).body == body


@OURS
def test_100_continue_is_sent_before_the_body_is_received(client: Client) -> None:
    client.send(head("POST", "/echo", [*CHUNKED, ("Expect", "100-continue")]))
    assert client.response_head().status == 100
    client.send(chunks(b"hello"))
    response = client.response()
    assert (response.status, response.body) == (200, b"hello")


@pytest.mark.parametrize("streams", ["false", "true"])
@pytest.mark.parametrize("mode", MODES)
def test_a_request_without_a_body_stays_without_a_length(mode: str, streams: str) -> None:
    with Server(mode, "support.probes:application", f"stream_chunked={streams}") as server, Client(server.address) as client:
        for method in ("GET", "DELETE"):
            environ = json.loads(client.request(method, "/dump").body)
            assert environ.get("CONTENT_LENGTH", "") == ""
            assert "wsgi.input_terminated" not in environ


def test_a_body_beyond_the_limit_gets_413(small: Server) -> None:
    with Client(small.address) as client:
        assert post(client, "/echo", b"x" * 300_000).body == b"x" * 300_000
    with Client(small.address) as client:
        assert post(client, "/echo", b"x" * 200_000, b"x" * 100_001).status == 413
    # The limit is for bodies without a length only.
    with Client(small.address) as client:
        assert client.post("/echo", b"x" * 400_000).body == b"x" * 400_000


def test_a_client_that_sends_too_much_reads_413(small: Server) -> None:
    with Client(small.address) as client:
        client.send(head("POST", "/echo", CHUNKED))
        try:
            for _ in range(100):
                client.send(b"c350\r\n" + b"x" * 50_000 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert client.response().status == 413
    with Client(small.address) as client:
        assert client.get("/up").body == b"up"


@pytest.mark.parametrize("mode", MODES)
def test_a_slow_body_holds_no_thread(mode: str) -> None:
    with Server(mode) as server:
        slow = [Client(server.address) for _ in range(8)]
        for client in slow:
            client.send(head("POST", "/echo", CHUNKED) + b"3\r\nabc\r\n")
        with Client(server.address) as client:
            assert client.get("/up").body == b"up"
        for client in slow:
            client.send(b"0\r\n\r\n")
            assert client.response().body == b"abc"
            client.socket.close()


@pytest.mark.parametrize("mode", MODES)
def test_an_aborted_body_does_not_reach_the_application_and_leaves_no_file(mode: str, tmp_path: Path, key: str) -> None:
    with Server(mode, environment={"TMPDIR": str(tmp_path)}) as server:
        with Client(server.address) as client:
            client.send(head("POST", f"/read_noted?key={key}", CHUNKED))
            for _ in range(20):
                client.send(b"c350\r\n" + b"x" * 50_000 + b"\r\n")
            wait_until(lambda: os.listdir(tmp_path) != [])
            client.reset()
        wait_until(lambda: os.listdir(tmp_path) == [])
        with Client(server.address) as client:
            assert json.loads(client.get(f"/record_of?key={key}").body) == []
            assert post(client, "/echo", b"x" * 1_000_000).body == b"x" * 1_000_000
        wait_until(lambda: os.listdir(tmp_path) == [])


# Streamed


def test_a_streamed_body_has_no_length_and_an_end(streaming: Server) -> None:
    with Client(streaming.address) as client:
        environ = json.loads(post(client, "/dump", b"x").body)
        assert environ["wsgi.input_terminated"] is True
        assert "HTTP_TRANSFER_ENCODING" not in environ
        assert environ.get("CONTENT_LENGTH", "") == ""
        calls = quote(json.dumps([["read"], ["read"]]))
        assert json.loads(post(client, f"/calls?calls={calls}", b"hel", b"lo\n", b"x").body) == ["hello\nx", ""]
        # If the key is set, Werkzeug reads without a size, which `wsgiref.validate` forbids: so never with a length.
        assert "wsgi.input_terminated" not in json.loads(client.post("/dump", b"x").body)


def test_a_streamed_body_is_read_while_it_is_sent(streaming: Server) -> None:
    with Client(streaming.address) as client:
        client.send(head("POST", "/echo_lines", CHUNKED))
        for number in range(3):
            client.send(b"6\r\nline%d\n\r\n" % number)
            if number == 0:
                assert client.response_head().status == 200
            assert client.chunk() == b"<line%d\n>" % number
        client.send(b"0\r\n\r\n")
        assert client.chunk() == b""


# Under another server


@pytest.mark.modes("under-waitress")
def test_a_wrapper_under_waitress_passes_the_length_on(client: Client) -> None:
    environ = json.loads(post(client, "/dump", b"hel", b"lo").body)
    assert environ["CONTENT_LENGTH"] == "5"
    assert post(client, "/echo", b"hel", b"lo").body == b"hello"


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_command_has_both_options(threads: str, tmp_path: Path) -> None:
    (tmp_path / "seen.py").write_text(
        "def application(environ, start_response):\n"
        "    body = environ['wsgi.input'].read()\n"
        "    start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "    return [f\"{environ.get('CONTENT_LENGTH')} {len(body)}\".encode()]\n"
    )
    for option, expected in (("--chunked-limit=4", b"4 4"), ("--stream-chunked", b"None 4")):
        with Command(tmp_path, "seen", "--threads", threads, option) as command, Client(command.address) as client:
            assert post(client, "/", b"fo", b"ur").body == expected
    with Command(tmp_path, "seen", "--threads", threads, "--chunked-limit=3") as command, Client(command.address) as client:
        assert post(client, "/", b"fo", b"ur").status == 413
