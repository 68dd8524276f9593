"""X: errors, threads, files and exits."""

from __future__ import annotations

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.raw import Client, Closed, head
from support.servers import Server, wait_until

OURS = pytest.mark.modes("inline", "pool", "wrapped", "wrapped-pool")
CONTENT = bytes(range(256)) * 1172


def test_x1_errors_take_any_text(client: Client, server: Server, key: str) -> None:
    assert client.get(f"/errors?key={key}").body == b"noted"
    server.wait_for_log(f"one é ☃ {key}\ntwo three\n")


def test_x2_threads_run_as_many_requests_as_there_are(server: Server) -> None:
    def one(_: int) -> int:
        with Client(server.address) as client:
            return int(client.get("/busy").body)

    with Client(server.address) as client:
        said = json.loads(client.get("/dump").body)["wsgi.multithread"]
    with ThreadPoolExecutor(4) as clients:
        most = max(clients.map(one, range(4)))
    serial = server.mode in ("inline", "wrapped", "gunicorn-sync", "wsgiref", "bjoern", "uwsgi")
    assert (said, most) == ((False, 1) if serial else (True, 4))


@pytest.mark.parametrize("options", ["", "&offset=1000", "&length=300032"])
def test_x3_a_file_is_sent_completely_and_closed(client: Client, server: Server, key: str, options: str) -> None:
    response = client.get(f"/file?key={key}{options}")
    offset = 1000 if "offset" in options else 0
    assert (response.status, response.complete) == (200, True)
    assert response.body == CONTENT[offset:]
    with Client(server.address) as another:
        wait_until(lambda: another.get(f"/record_of?key={key}").body == b'["closed"]')


# From an offset of 200,000 on the rest is small enough for one read.
FILES = pytest.mark.parametrize("options", ["", "&offset=1000", "&offset=200000", "&offset=300032", "&length=300032", "&length=1000"])


@FILES
def test_x3_a_real_file(client: Client, key: str, options: str) -> None:
    response = client.get(f"/file?real=1&key={key}{options}")
    offset = int(options.partition("&offset=")[2] or 0)
    body = CONTENT[:1000] if "length=1000" in options else CONTENT[offset:]
    assert (response.status, response.body) == (200, body)
    assert client.follow().body == b"up"


@FILES
def test_x3_no_file_for_head(client: Client, key: str, options: str) -> None:
    response = client.request("HEAD", f"/file?real=1&key={key}{options}")
    assert (response.status, client.quiet()) == (200, b"")
    assert client.follow().body == b"up"


@OURS
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("offset", [1000, 200000])
def test_x3_a_real_file_has_its_length_and_is_closed(client: Client, key: str, method: str, offset: int) -> None:
    response = client.request(method, f"/file?real=1&offset={offset}&key={key}")
    assert response.value("content-length") == str(len(CONTENT) - offset)
    wait_until(lambda: client.get(f"/file_is_closed?key={key}").body == b"true")


@OURS
def test_x3_a_real_file_after_a_write(client: Client, key: str) -> None:
    response = client.get(f"/file?real=1&written=first&key={key}")
    assert (response.status, response.body) == (200, b"first" + CONTENT)


@OURS
def test_x3_a_real_file_that_is_too_short_is_an_error(client: Client, server: Server, key: str) -> None:
    client.send(head("GET", f"/file?real=1&length={len(CONTENT) + 1}&key={key}"))
    try:
        response = client.response()
    except Closed:
        response = None
    assert response is None or response.status == 500 or not response.complete
    server.wait_for_log("the body is shorter than its Content-Length")


@pytest.mark.modes("inline", "pool")
def test_x3_a_truncated_file_aborts_the_response(client: Client, server: Server) -> None:
    client.send(head("GET", "/shrinking"))
    response = client.response_head()
    path = response.value("x-path")
    assert (response.value("content-length"), path is None) == (str(64 << 20), False)
    os.truncate(path or "", 1 << 20)
    os.unlink(path or "")
    assert len(client.rest()) < 64 << 20
    server.wait_for_log("the file could not be read to its end while it was sent")
    with Client(server.address) as another:
        assert another.get("/up").body == b"up"


def test_x4_system_exit_ends_only_the_request(server: Server) -> None:
    with Client(server.address) as client:
        assert client.get("/fails?how=exit").status == 500
    server.wait_for_log("planned exit")
    with Client(server.address) as client:
        assert client.follow().body == b"up"




@OURS
def test_x4_keyboard_interrupt_in_the_application_stops_the_server(server: Server) -> None:
    with Server(server.mode) as alone:
        with Client(alone.address) as client:
            client.send(b"GET /fails?how=interrupt HTTP/1.1\r\nHost: x\r\n\r\n")
            assert alone.process.wait(5) != 0
    assert server.process.poll() is None


@OURS
@pytest.mark.parametrize("target", ["", "/busy", "/late_read?delay=30"], ids=["idle", "soon done", "in a long request"])
def test_x4_ctrl_c_stops_at_once(server: Server, target: str) -> None:
    with Server(server.mode) as alone, Client(alone.address) as client:
        if target:
            client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            time.sleep(0.15)
        started = time.monotonic()
        alone.process.send_signal(signal.SIGINT)
        assert alone.process.wait(5) != 0
        assert time.monotonic() - started < 15
        assert "KeyboardInterrupt" in alone.log()


@OURS
def test_x4_shutdown_finishes_requests_in_flight(server: Server) -> None:
    with Server(server.mode) as alone, Client(alone.address) as client, Client(alone.address) as idle:
        assert idle.get("/up").body == b"up"
        client.send(b"GET /busy HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.1)
        alone.process.send_signal(signal.SIGTERM)
        assert client.response().status == 200
        assert alone.process.wait(5) == 0, alone.log()


def test_x5_a_thread_keeps_its_locals(server: Server) -> None:
    counts: dict[int, list[int]] = {}
    for _ in range(12):
        with Client(server.address) as client:
            for _ in range(2):
                thread, count = json.loads(client.get("/local_count").body)
                counts.setdefault(thread, []).append(count)
                if server.mode in ("gunicorn-sync", "wsgiref", "uwsgi"):
                    break
    assert len(counts) <= (4 if server.mode not in ("inline", "wrapped") else 1)
    for each in counts.values():
        assert each == list(range(each[0], each[0] + len(each)))
