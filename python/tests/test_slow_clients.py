"""Clients that do not read, and more connections than the system allows: others are served."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest
from support.command import Command
from support.raw import Client, head
from support.servers import wait_until

MIB = 1 << 20
MODES = ("inline", "pool", "wrapped", "wrapped-pool")
OURS = pytest.mark.modes(*MODES)

APPLICATION = '''
import os

SMALL = b"x" * 65536

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/file":
        start_response("200 OK", [("X-Sent", "file")])
        return environ["wsgi.file_wrapper"](open(os.environ["OF_TESTS"], "rb"))
    if path.startswith("/blocks"):
        start_response("200 OK", [])
        return blocks(int(path[7:]))
    if path == "/ended":
        body = str(ended).encode()
    else:
        body = b"other"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

ended = 0

def blocks(count):
    global ended
    try:
        for _ in range(count):
            yield SMALL
    finally:
        ended += 1
'''

THREADS = pytest.mark.parametrize("threads", ["1", "4"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "slow.py").write_text(APPLICATION)
    with (tmp_path / "large").open("wb") as large:
        large.truncate(64 * MIB)
    return tmp_path


def start(folder: Path, threads: str, *options: str) -> Command:
    command = Command(folder, "slow", "--threads", threads, *options, environment={"OF_TESTS": str(folder / "large")})
    command.wait_until_up()
    return command


@THREADS
def test_files_for_clients_that_do_not_read_hold_no_thread(folder: Path, threads: str) -> None:
    with start(folder, threads) as command:
        stuck = [Client(command.address) for _ in range(6)]
        for client in stuck:
            client.send(head("GET", "/file"))
        for client in stuck:
            assert client.response_head().value("content-length") == str(64 * MIB)
        for _ in range(3):
            assert command.get("/").body == b"other"
        # They are sent to the end once the clients read.
        body, complete = stuck[0].exactly(64 * MIB)
        assert complete and not body.strip(b"\0")
        for client in stuck:
            client.socket.close()


@THREADS
def test_a_generator_ends_although_its_client_does_not_read_the_last_mebibyte(folder: Path, threads: str) -> None:
    with start(folder, threads) as command:
        stuck = [Client(command.address) for _ in range(6)]
        for client in stuck:
            client.send(head("GET", "/blocks16"))
        wait_until(lambda: command.get("/ended").body == b"6")
        for client in stuck:
            assert client.response().body == b"x" * MIB
            client.socket.close()


@OURS
def test_blocks_of_a_slow_client_arrive_whole_and_in_order(client: Client) -> None:
    count = 300
    client.send(head("GET", f"/numbered?count={count}&size=20000"))
    assert client.response_head().status == 200
    time.sleep(0.3)
    received = b""
    while block := client.chunk():
        received += block
    assert received == b"".join(b"%08d" % number * 2500 for number in range(count))


# More connections than descriptors


@THREADS
def test_new_clients_are_served_although_idle_ones_hold_all_descriptors(folder: Path, threads: str) -> None:
    with start(folder, threads) as command:
        worker, = command.workers()
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (64, 64))
        silent = [Client(command.address) for _ in range(50)]
        served = []
        for _ in range(100):
            served.append(Client(command.address))
            assert served[-1].get("/").body == b"other"
        for _ in range(20):
            assert command.get("/").body == b"other"
        # The first ones were closed, and the last ones were not.
        assert all(client.closed(0.5) for client in silent)
        assert served[0].closed(0.5)
        assert served[-1].get("/").body == b"other"
        assert command.log().count("too many open files") == 1, command.log()
        for client in silent + served:
            client.socket.close()
