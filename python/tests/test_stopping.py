"""What happens to requests when a worker ends: none is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command import Command
from support.raw import Client, Closed, head
from support.servers import wait_until

APPLICATION = '''
import os, time

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/begin":
        open(os.environ["OF_TESTS"] + str(time.monotonic()), "w").close()
        time.sleep(0.3)
        environ["wsgi.input"].read()
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
'''

MODES = {"one thread": ["--threads", "1"], "four threads": ["--threads", "4"],
         "two workers": ["--threads", "1", "--workers", "2"], "two workers with threads": ["--threads", "4", "--workers", "2"]}
in_each_mode = pytest.mark.parametrize("mode", MODES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stops.py").write_text(APPLICATION)
    (tmp_path / "begun").mkdir()
    return tmp_path


def start(folder: Path, mode: str, *options: str) -> Command:
    command = Command(folder, "stops", *MODES[mode], *options, environment={"OF_TESTS": f"{folder}/begun/"})
    command.wait_until_up(2 if "workers" in mode else 1)
    return command


def begun(folder: Path) -> int:
    return len(os.listdir(folder / "begun"))


@in_each_mode
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_requests_that_were_sent_on_kept_connections_are_served(folder: Path, mode: str, number: int) -> None:
    with start(folder, mode) as command:
        clients = [Client(command.address) for _ in range(4)]
        for client in clients:
            assert client.get("/").status == 200
        for client in clients:
            client.send(head("POST", "/begin", length=4) + b"body")
        wait_until(lambda: begun(folder) > 0)
        command.send(number)
        responses = [client.response() for client in clients]
        assert [response.status for response in responses] == [200] * 4
        # With one thread a response may be sent before the worker is told to stop.
        kept = [client for client, response in zip(clients, responses) if response.value("connection") != "close"]
        assert len(kept) <= 2 or "four" in mode or "threads" in mode
        for client in clients:
            assert client.closed(), "the connection ends with its worker"
            client.socket.close()


@in_each_mode
def test_the_last_response_of_a_kept_connection_says_so(folder: Path, mode: str) -> None:
    with start(folder, mode) as command, Client(command.address) as client, Client(command.address) as other:
        assert client.get("/").values("connection") == []
        other.send(head("POST", "/begin", length=4) + b"body")
        wait_until(lambda: begun(folder) > 0)
        command.send(signal.SIGTERM)
        # The worker learns of it a moment later. Until then the connection is kept.
        while (response := client.get("/")).values("connection") == []:
            assert response.status == 200
        assert (response.status, response.value("connection")) == (200, "close")
        assert client.closed()
        assert other.response().status == 200


def hammer(command: Command, clients: int, act: Callable[[], None]) -> tuple[int, list[str]]:
    """Sends requests in a tight loop on kept connections while `act` runs; returns the responses and what was lost."""
    over, served, lost = threading.Event(), [0] * clients, []

    def loop(number: int) -> None:
        client = None
        while not over.is_set():
            client = client or Client(command.address, 20)
            try:
                response = client.get("/")
                assert (response.status, response.complete) == (200, True)
            except (AssertionError, Closed, OSError) as error:
                lost.append(f"{type(error).__name__} {error} after {served[number]}")
                client.socket.close()
                client = None
                continue
            served[number] += 1
            if response.value("connection") == "close":
                client.socket.close()
                client = None
        if client:
            client.socket.close()

    threads = [threading.Thread(target=loop, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        act()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    return sum(served), lost


@in_each_mode
def test_no_request_of_a_tight_loop_is_lost_over_reloads(folder: Path, mode: str) -> None:
    with start(folder, mode) as command:
        workers = 2 if "workers" in mode else 1

        def reload() -> None:
            for count in range(2, 6):
                command.send(signal.SIGHUP)
                command.wait_for_log(" serves", 20, workers * count)
            command.wait_for_log(" ended", 20, workers * 4)

        served, lost = hammer(command, 4, reload)
        assert lost == []
        assert served > 100


@in_each_mode
def test_no_request_of_a_tight_loop_is_lost_over_max_requests(folder: Path, mode: str) -> None:
    with start(folder, mode, "--max-requests", "200") as command:
        served, lost = hammer(command, 4, lambda: command.wait_for_log("ended after its last request", 30, 3) and None)
        assert lost == []
        assert served >= 600


@in_each_mode
def test_a_request_that_waits_to_be_accepted_is_served_before_the_end(folder: Path, mode: str) -> None:
    with start(folder, mode) as command:
        workers = command.workers()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        clients = [Client(command.address) for _ in range(4)]
        for client in clients:
            client.send(head("GET", "/"))
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)
        assert [client.response().status for client in clients] == [200] * 4
        for client in clients:
            client.socket.close()


@in_each_mode
def test_idle_connections_do_not_delay_the_end(folder: Path, mode: str) -> None:
    with start(folder, mode) as command:
        clients = [Client(command.address) for _ in range(4)]
        for client in clients[:2]:
            client.get("/")
        time.sleep(1.1)
        begin = time.monotonic()
        assert command.stop(signal.SIGTERM) == 0
        assert time.monotonic() - begin < 10
        for client in clients:
            assert client.closed()
            client.socket.close()
