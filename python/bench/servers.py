"""The servers of the benchmark, started as their users start them, but with one process and no log."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
WSGIREF = """
import sys
from importlib import import_module
from wsgiref.simple_server import WSGIRequestHandler, make_server
class Quiet(WSGIRequestHandler):
    def log_request(self, *_): pass
module, _, name = sys.argv[1].partition(":")
make_server("127.0.0.1", int(sys.argv[2]), getattr(import_module(module), name), handler_class=Quiet).serve_forever()
"""
BJOERN = """
import sys
from importlib import import_module
import bjoern
module, _, name = sys.argv[1].partition(":")
bjoern.run(getattr(import_module(module), name), "127.0.0.1", int(sys.argv[2]))
"""


def command(server: str, application: str, port: str) -> list[str]:
    """How to start a server. The number in a name is the number of threads; `x2` after it means two workers."""
    name, _, numbers = server.partition(" ")
    threads, _, workers = numbers.partition("x")
    threads, workers = threads.strip() or "1", workers or "1"
    address = f"127.0.0.1:{port}"
    return {
        "enfilade": [str(BIN / "enfilade"), "serve", application, "--bind", address, "--threads", threads,
                     "--workers", workers],
        "granian": [str(BIN / "granian"), "--interface", "wsgi", "--port", port, "--workers", "1", "--blocking-threads", threads,
                    "--no-log", application],
        "gunicorn-sync": [str(BIN / "gunicorn"), application, "-b", address, "-w", workers, "-k", "sync"],
        "gunicorn-gthread": [str(BIN / "gunicorn"), application, "-b", address, "-w", workers, "-k", "gthread", "--threads",
                             threads],
        "waitress": [str(BIN / "waitress-serve"), f"--listen={address}", f"--threads={threads}", application],
        "uwsgi": [str(BIN / "uwsgi"), "--http11-socket", address, "--module", application, "--processes", "1", "--need-app",
                  "--disable-logging", "--die-on-term", "--master"],
        "wsgiref": [sys.executable, "-c", WSGIREF, application, port],
        "bjoern": [sys.executable, "-c", BJOERN, application, port],
    }[name]


SERVERS = ("enfilade 1", "enfilade 4", "granian 1", "granian 4", "bjoern", "uwsgi", "waitress 4", "gunicorn-sync",
           "gunicorn-gthread 4", "wsgiref")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Running:
    """A server that runs on one core, or on those that are named. As a context manager it ends the server."""

    def __init__(self, server: str, application: str, before: list[str] | None = None, seconds: float = 20,
                 cores: str = "0") -> None:
        self.name = server
        self.port = free_port()
        # With a fixed seed, every run of a server takes the same steps.
        environment = {**os.environ, "PYTHONPATH": str(HERE), "PYTHONHASHSEED": "0"}
        self.process = subprocess.Popen(["taskset", "--cpu-list", cores, *(before or []), *command(server, application, str(self.port))],
                                        cwd=HERE, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        limit = time.monotonic() + seconds
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return
            except OSError:
                if time.monotonic() > limit or self.process.poll() is not None:
                    self.stop()
                    raise RuntimeError(f"{server} does not start") from None
                time.sleep(0.05)

    def processes(self) -> list[int]:
        """Returns this process and all that it started."""
        found, left = [], [self.process.pid]
        while left:
            pid = left.pop()
            found.append(pid)
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    left += [int(each) for each in Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
            except FileNotFoundError:
                continue
        return found

    def cpu(self) -> int:
        """Returns the CPU time of all threads so far, in nanoseconds."""
        total = 0
        for pid in self.processes():
            for task in os.listdir(f"/proc/{pid}/task"):
                try:
                    total += int(Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
                except FileNotFoundError:
                    continue
        return total

    def memory(self) -> int:
        """Returns the resident memory of all processes, in KiB."""
        total = 0
        for pid in self.processes():
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
        return total

    def stop(self, seconds: float = 10) -> None:
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            for pid in self.processes():
                os.kill(pid, 9)
            self.process.wait()

    def __enter__(self) -> Running:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
