"""How workers with one thread share connections: a worker takes one only if no request waits for it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter
from pathlib import Path

import pytest
from support.command import Command
from support.raw import Client, head
from support.servers import wait_until

APPLICATION = '''
import os, time

FOLDER = os.environ["OF_TESTS"]

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/hold"):
        open(FOLDER + path[1:], "w").close()
        while not os.path.exists(FOLDER + "go"):
            time.sleep(0.005)
    elif path == "/sleep":
        time.sleep(0.02)
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "shared.py").write_text(APPLICATION)
    (tmp_path / "begun").mkdir()
    return tmp_path


def start(folder: Path, workers: int, *options: str) -> Command:
    command = Command(folder, "shared", "--workers", str(workers), "--threads", "1", *options,
                      environment={"OF_TESTS": f"{folder}/begun/"})
    command.wait_until_up(workers)
    return command


def begun(folder: Path) -> list[str]:
    return sorted(os.listdir(folder / "begun"))


@pytest.mark.parametrize("place", ["TCP", "Unix"])
def test_each_request_of_a_burst_gets_a_worker_of_its_own(folder: Path, place: str) -> None:
    bind = f"unix:{folder}/socket" if place == "Unix" else None
    with Command(folder, "shared", "--workers", "4", "--threads", "1", bind=bind,
                 environment={"OF_TESTS": f"{folder}/begun/"}) as command, contextlib.ExitStack() as stack:
        command.wait_until_up(4)
        clients = []
        for number in range(4):
            clients.append(stack.enter_context(Client(command.address)))
            clients[-1].send(head("GET", f"/hold{number}"))
        # Each of them runs while all others do.
        wait_until(lambda: len(begun(folder)) == 4, what=lambda: f"only these run: {begun(folder)}")
        (folder / "begun/go").touch()
        assert len({client.response().text for client in clients}) == 4


def test_a_connection_without_a_request_keeps_no_worker_from_others(folder: Path) -> None:
    with start(folder, 1) as command:
        silent = [Client(command.address) for _ in range(100)]
        assert command.get("/").status == 200
        assert silent[0].get("/").status == silent[-1].get("/").status == 200
        for client in silent:
            client.socket.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_kept_connections_in_a_tight_loop_starve_no_new_one(folder: Path, workers: int) -> None:
    with start(folder, workers) as command:
        over = threading.Event()
        served = Counter[int]()

        def loop(number: int) -> None:
            client = Client(command.address)
            while not over.is_set():
                response = client.get("/")
                served[number] += 1
                if response.value("connection") == "close":
                    client.socket.close()
                    client = Client(command.address)
            client.socket.close()

        threads = [threading.Thread(target=loop, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        try:
            before = served.copy()
            for _ in range(50):
                assert command.get("/").status == 200
            # The new ones starve nobody either.
            wait_until(lambda: all(served[number] > before[number] for number in range(4)))
        finally:
            over.set()
            for thread in threads:
                thread.join()


def test_kept_connections_move_to_a_worker_that_has_none(folder: Path) -> None:
    with start(folder, 2) as command:
        # All connections are with one worker, because the other is busy when they come.
        holder = Client(command.address)
        holder.send(head("GET", "/hold"))
        wait_until(lambda: begun(folder) == ["hold"])
        clients = [Client(command.address) for _ in range(4)]
        first = {client.get("/").text for client in clients}
        assert len(first) == 1
        (folder / "begun/go").touch()
        assert holder.response().text not in first
        seen = set()
        while len(seen) < 2:
            for client in clients:
                client.send(head("GET", "/sleep"))
            for number, client in enumerate(clients):
                response = client.response()
                assert response.status == 200
                seen.add(response.text)
                if response.value("connection") == "close":
                    client.socket.close()
                    clients[number] = Client(command.address)
        for client in [holder, *clients]:
            client.socket.close()


def test_one_worker_keeps_its_connections_however_long_requests_wait(folder: Path) -> None:
    with start(folder, 1) as command:
        clients = [Client(command.address) for _ in range(4)]
        for _ in range(5):
            for client in clients:
                client.send(head("GET", "/sleep"))
            for client in clients:
                assert client.response().values("connection") == []
        for client in clients:
            client.socket.close()
