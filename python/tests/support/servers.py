"""Runs servers as processes: Enfilade in each mode, and others for comparison."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
CHILD = HERE / "child.py"

# How Enfilade runs an application, by the name in a test's ID.
MODES = ("inline", "pool", "wrapped", "wrapped-pool", "under-waitress")

PEERS = ("wsgiref", "waitress", "gunicorn-sync", "gunicorn-gthread", "granian", "uwsgi", "bjoern")


def free_port() -> int:
    """Returns a port that was free a moment ago, for other servers. Enfilade gets a socket."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start(command: list[str], **options: Any) -> subprocess.Popen[Any]:
    """Starts a process that Ctrl-C ends, even if a shell runs the tests in the background and ignores it."""
    return subprocess.Popen(command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options)


def peer_command(peer: str, application: str, port: int) -> list[str]:
    """Returns the command of another server, with its defaults if they do not matter here."""
    if peer.startswith("gunicorn-"):
        command = [sys.executable, "-m", "gunicorn", application, "-b", f"127.0.0.1:{port}", "-w", "1", "-k", peer[9:]]
        return command + (["--threads", "4"] if peer == "gunicorn-gthread" else [])
    if peer == "granian":
        return [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port), "--blocking-threads", "4",
                application]
    assert peer == "uwsgi", peer
    return [str(Path(sys.executable).parent / "uwsgi"), "--http-socket", f"127.0.0.1:{port}", "--module", application,
            "--need-app", "--master", "--processes", "1", "--die-on-term", "--pythonpath", str(TESTS)]


class Server:
    """A running server. As a context manager it ends the server."""

    def __init__(self, mode: str, application: str = "support.probes:application", *options: str,
                 environment: dict[str, str] | None = None, certificate: str | None = None) -> None:
        self.mode = mode
        self.certificate = certificate
        self.name = application.rpartition(":")[2]
        self.output = tempfile.TemporaryFile()
        path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(environment or {})}
        if mode in PEERS and mode not in ("wsgiref", "waitress", "bjoern"):
            port = free_port()
            command, passed = peer_command(mode, application, port), ()
            self.address = ("127.0.0.1", port)
        else:
            listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
            command = [sys.executable, str(CHILD), mode, application, str(listener.fileno()), *options]
            passed = (listener.fileno(),)
            self.address = listener.getsockname()[:2]
        self.process = start(command, pass_fds=passed, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output,
                             env=environment, cwd=TESTS)
        if passed:
            listener.close()
        self.wait_until_up()

    def wait_until_up(self, seconds: float = 20.0) -> None:
        limit = time.monotonic() + seconds
        while time.monotonic() < limit and self.process.poll() is None:
            try:
                with self.connect() as probe:
                    probe.settimeout(seconds)
                    probe.sendall(b"GET /up HTTP/1.0\r\n\r\n")
                    if probe.recv(1):
                        return
            except OSError:
                time.sleep(0.02)
        self.stop()
        log = self.log()
        self.output.close()
        raise RuntimeError(f"{self.mode} did not start:\n{log}")

    def connect(self) -> socket.socket:
        plain = socket.create_connection(self.address, 5)
        if self.certificate is None:
            return plain
        return ssl.create_default_context(cafile=self.certificate).wrap_socket(plain, server_hostname="localhost")

    def log(self) -> str:
        """Returns all output and errors of the server so far."""
        # The server writes at this file's position, so reading must not move it.
        descriptor = self.output.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode("utf-8", "replace")

    def wait_for_log(self, text: str, seconds: float = 4.0) -> str:
        """Returns the log once it contains `text`."""
        wait_until(lambda: text in self.log(), seconds, lambda: f"{text!r} in the log:\n{self.log()[-3000:]}")
        return self.log()

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        self.output.close()


def wait_until(condition: Callable[[], bool], seconds: float = 4.0, what: Callable[[], str] | str = "") -> None:
    """Waits for a condition, and fails with `what` if it is not true in time."""
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"did not come within {seconds} s: {what if isinstance(what, str) else what()}")
        time.sleep(0.02)
