"""Runs `enfilade serve` as a process."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from support.raw import Address, Client, Response
from support.servers import start, wait_until


def run(*arguments: str, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs the command, which ends by itself."""
    return subprocess.run([sys.executable, "-m", "enfilade", *arguments], cwd=folder, capture_output=True, text=True,
                          timeout=20, stdin=subprocess.DEVNULL, **options)


# Matches a whole line, so that the port is complete.
LISTENING = re.compile(r"listening on (?:https?://127\.0\.0\.1:(\d+)|.*)\n")


class Command:
    """`enfilade serve` on a free port. As a context manager it ends the command with all its workers."""

    def __init__(self, folder: Path, application: str, *arguments: str, bind: str | None = None,
                 environment: dict[str, str] | None = None) -> None:
        bind = bind or "127.0.0.1:0"
        # With no name, the configuration has it.
        named = [application] if application else []
        self.output = tempfile.TemporaryFile()
        command = [sys.executable, "-m", "enfilade", "serve", *named, "--bind", bind, *arguments]
        self.process = start(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output,
                             env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})})
        # With this option the messages are not in the output of the process.
        self.error_log = Path(arguments[arguments.index("--error-log") + 1]) if "--error-log" in arguments else None
        try:
            wait_until(lambda: self.process.poll() is not None or LISTENING.search(self.messages()) is not None, 10, self.messages)
        except AssertionError:
            self.stop(signal.SIGKILL)
            raise
        self.address: Address = bind[5:] if bind.startswith("unix:") else ("127.0.0.1", self.port())

    def port(self) -> int:
        """Returns the port that the system chose; 0 if the process ended before it listened."""
        found = LISTENING.search(self.messages())
        return int(found[1] or 0) if found else 0

    def messages(self) -> str:
        if self.error_log is None:
            return self.log()
        return self.error_log.read_text() if self.error_log.exists() else ""

    def log(self) -> str:
        # The server writes at this file's position, so reading must not move it.
        descriptor = self.output.fileno()
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode("utf-8", "replace")

    def wait_for_log(self, text: str, seconds: float = 8.0, times: int = 1) -> str:
        wait_until(lambda: self.log().count(text) >= times, seconds, lambda: f"{text!r} {times} times in the log:\n{self.log()}")
        return self.log()

    def wait_until_up(self, workers: int = 1) -> None:
        self.wait_for_log(" serves", times=workers)

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def get(self, target: str = "/") -> Response:
        with Client(self.address) as client:
            return client.get(target, [("Connection", "close")])

    def workers(self) -> list[int]:
        """Returns the processes that this one started."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(pid) for pid in Path(path).read_text().split()]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                for pid in [*self.workers(), self.process.pid]:
                    os.kill(pid, signal.SIGKILL)
                raise
        return self.process.wait()

    def __enter__(self) -> Command:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.stop(signal.SIGINT)
        finally:
            self.output.close()


def refused(address: Address) -> bool:
    """Whether connections to this address are refused."""
    try:
        with Client(address):
            return False
    except (ConnectionRefusedError, FileNotFoundError):
        return True
    except socket.timeout:
        return False
