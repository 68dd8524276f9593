"""Measures what an operator sees: workers that share load, reloads under load, and clients that do not read."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable

from servers import Running

BOTH = "0-1"
CLIENTS = 8
SHARING = ("enfilade 1", "enfilade 4", "gunicorn-sync 1", "gunicorn-gthread 4")


def loop(port: int, path: str, over: threading.Event, counts: list[int], lost: list[str], at: int) -> None:
    """Sends requests on a kept connection until it is over. A new connection is only for a response that says so."""
    client: http.client.HTTPConnection | None = None
    while not over.is_set():
        client = client or http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            client.request("GET", path)
            response = client.getresponse()
            if response.status != 200 or response.read() != b"Hello, World!":
                raise OSError(f"status {response.status}")
            counts[at] += 1
            if not response.will_close:
                continue
        except (OSError, http.client.HTTPException) as error:
            lost.append(repr(error))
        client.close()
        client = None
    if client:
        client.close()


def under_load(port: int, path: str, clients: int, act: Callable[[], None]) -> tuple[float, int, list[str]]:
    """Returns the seconds, the responses, and what was lost while `act` ran."""
    over, counts, lost = threading.Event(), [0] * clients, list[str]()
    threads = [threading.Thread(target=loop, args=(port, path, over, counts, lost, at)) for at in range(clients)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        act()
    finally:
        over.set()
        elapsed = time.monotonic() - started
        for thread in threads:
            thread.join()
    return elapsed, sum(counts), lost


def workers(count: int) -> str:
    """Throughput of 8 clients on kept connections, with 1, 2 and 4 workers."""
    lines = ["| server, threads | handler | 1 worker | 2 workers | 4 workers |", "|---|---|---|---|---|"]
    for path in ("/sleep", "/spin"):
        for name in SHARING:
            medians = []
            for number in (1, 2, 4):
                with Running(f"{name}x{number}", "apps:plain", cores=BOTH) as server:
                    time.sleep(1)
                    rates = []
                    for _ in range(count):
                        elapsed, served, lost = under_load(server.port, path, CLIENTS, lambda: time.sleep(2))
                        assert not lost, lost
                        rates.append(served / elapsed)
                    medians.append(f"{statistics.median(rates):,.0f}/s")
            lines.append(f"| {name} | {path[1:]} | {' | '.join(medians)} |")
    return "\n".join(lines)


def reloads(count: int) -> str:
    """Requests that four clients in a tight loop lose over SIGHUPs."""
    lines = ["| server, threads, workers | requests | lost |", "|---|---|---|"]
    for name in ("enfilade 1x1", "enfilade 4x1", "enfilade 1x2", "gunicorn-sync 1x2", "gunicorn-gthread 4x1"):
        with Running(name, "apps:plain", cores=BOTH) as server:
            def reload() -> None:
                for _ in range(count):
                    time.sleep(1)
                    os.kill(server.process.pid, signal.SIGHUP)
                time.sleep(2)

            time.sleep(1)
            _, served, lost = under_load(server.port, "/hello", 4, reload)
        lines.append(f"| {name} | {served:,} | {len(lost)} |")
    return "\n".join(lines)


def stuck(count: int) -> str:
    """How long a request takes beside eight clients that read nothing: the worst of some, or more than 5 s."""
    lines = ["| server, threads | beside files of 64 MiB | beside generators of 512 KiB | of 100 MiB |", "|---|---|---|---|"]
    for name in SHARING:
        cells = []
        for path in ("/file", "/half", "/stream"):
            with Running(f"{name}x1", "apps:plain", cores=BOTH) as server, contextlib.ExitStack() as stack:
                time.sleep(1)
                for _ in range(8):
                    client = stack.enter_context(socket.socket())
                    # It takes little, as over a slow network.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
                    client.connect(("127.0.0.1", server.port))
                    client.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                time.sleep(0.5)
                cells.append(worst(server.port, count))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def worst(port: int, count: int) -> str:
    slowest = 0.0
    for _ in range(count):
        started = time.monotonic()
        try:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            client.request("GET", "/hello")
            client.getresponse().read()
            client.close()
        except OSError:
            return "> 5 s"
        slowest = max(slowest, time.monotonic() - started)
    return f"{slowest * 1000:,.0f} ms"


TABLES: dict[str, Callable[[int], str]] = {"workers": workers, "reload under load": reloads, "a stuck client": stuck}
