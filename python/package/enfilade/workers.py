"""The first process: it holds the sockets, forks the workers that serve, and replaces workers that end.

SIGTERM stops after the requests in flight, SIGINT and SIGQUIT stop at once, SIGHUP reloads the application in new workers
before the old ones end, SIGUSR1 reopens the logs, SIGTTIN starts one more worker, SIGTTOU ends one: the same signals as
gunicorn's.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass, field
# The originals, also if `--preload` loads an application that replaces them with those of gevent.
from os import fork, waitpid
from select import select
from signal import signal as set_handler
from types import FrameType
from typing import TYPE_CHECKING

from enfilade import forked
from enfilade.hooks import SERVER, Process
from enfilade.logs import reopen_error_log
from enfilade.options import Options
from enfilade.progress import Progress
from enfilade.serving import BOOT_FAILED, CANNOT_SERVE, serve

if TYPE_CHECKING:
    # `wsgiref.types` is not in Python 3.10.
    from _typeshed.wsgi import WSGIApplication

log = logging.getLogger("enfilade")

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD,
           signal.SIGUSR1, signal.SIGUSR2)

LIVED_LONG = 10.0
"""After a worker that lived this many seconds, the next one starts without delay."""
LONGEST_DELAY = 30.0
AT_ONCE = 2.0
"""Seconds that workers have for a stop at once, before they are killed."""


FAILURES = {BOOT_FAILED: ("the application does not load", BOOT_FAILED), CANNOT_SERVE: ("the workers cannot serve", 1)}
"""What a worker's exit status says before it was ready, and the exit status of the command if it is the first one."""


@dataclass
class Worker:
    """A process that serves or is starting."""

    pid: int
    generation: int
    status: int
    """The descriptor on which the worker reports: "ready", and the files that changed."""
    progress: Progress
    started: float = field(default_factory=time.monotonic)
    ready: bool = False
    kill_at: float | None = None
    """When this worker is killed, if it was asked to end."""
    text: str = ""
    silent: bool = False
    """Whether the worker closed its end: it is ending, or its application closed descriptors that it does not know."""


class Stop(Exception):
    """Ends the first process with this exit status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def backoff(failures: int) -> float:
    """Returns the seconds to wait before the next worker, after this many early ends in a row."""
    return 0.0 if failures == 0 else min(0.1 * 2.0 ** (failures - 1), LONGEST_DELAY)


class Workers:
    """The workers, and the loop of the first process that keeps them running."""

    def __init__(self, options: Options, listeners: list[socket.socket], preloaded: WSGIApplication | None = None) -> None:
        self._options = options
        self._listeners = listeners
        self._preloaded = preloaded
        self._wanted = options.workers
        self._generation = 0
        self._workers: dict[int, Worker] = {}
        self._served = False
        self._failures = 0
        self._next_start = 0.0
        self._next_look = 0.0
        self._pending: list[int] = []
        self._reading, self._writing = os.pipe()
        self._interval = min(1.0, options.timeout / 4) if options.timeout else None
        """How often to look for stuck workers."""

    def run(self) -> int:
        """Serves until a signal stops it, and returns the exit status."""
        for descriptor in (self._reading, self._writing):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in SIGNALS:
            set_handler(number, self._received)
        try:
            while True:
                self._keep()
                self._wait()
                self._handle_signals()
                self._end_stuck()
                self._kill_overdue()
        except Stop as stop:
            return stop.status

    def _received(self, number: int, frame: FrameType | None) -> None:
        self._pending.append(number)

    # Starting workers

    def _current(self) -> list[Worker]:
        return [each for each in self._workers.values() if each.generation == self._generation and each.kill_at is None]

    def _keep(self) -> None:
        """Starts the missing workers, with a delay if the last ones ended too soon."""
        while len(self._current()) < self._wanted and time.monotonic() >= self._next_start:
            self._start()
            if self._failures:
                self._next_start = time.monotonic() + backoff(self._failures)

    def _start(self) -> None:
        reading, writing = os.pipe()
        progress = Progress(self._options.threads, time.monotonic())
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self._options.hooks.try_call("pre_fork", SERVER, Process("[booting]"))
        # A signal that comes before the worker has its own handlers waits for them.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        pid = fork()
        if pid == 0:
            os.close(reading)
            self._become_worker(parent, writing, progress)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        os.close(writing)
        self._workers[pid] = Worker(pid, self._generation, reading, progress)
        log.info("worker %d starts", pid)

    def _become_worker(self, parent: int, writing: int, progress: Progress) -> None:
        """Serves in the forked process, and never returns."""
        status = 1
        try:
            for descriptor in [self._reading, self._writing, *(each.status for each in self._workers.values())]:
                os.close(descriptor)
            forked.set_up(self._options, parent, self._listeners, [writing], SIGNALS)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

            def report(text: str) -> None:
                with contextlib.suppress(OSError):
                    os.write(writing, text.encode("utf-8", "surrogateescape") + b"\n")

            status = serve(self._options, self._listeners, self._wanted > 1, report, progress.activity, self._preloaded)
        except KeyboardInterrupt:
            status = 130
        except SystemExit as exit:
            status = exit.code if isinstance(exit.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            # Not `sys.exit`, which would run the exit handlers of the first process in the worker.
            os._exit(status)

    # Reports and ends of workers

    def _wait(self) -> None:
        """Waits for a signal, a report, or the next deadline."""
        now = time.monotonic()
        times = [each.kill_at for each in self._workers.values() if each.kill_at is not None]
        if len(self._current()) < self._wanted:
            times.append(self._next_start)
        if self._interval is not None and self._workers:
            times.append(self._next_look)
        timeout = max(0.0, min(times) - now) if times else None
        statuses = {each.status: each for each in self._workers.values() if not each.silent}
        readable, _, _ = select([self._reading, *statuses], [], [], timeout)
        if self._reading in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reading, 4096)
        for descriptor in readable:
            if descriptor in statuses:
                self._read_report(statuses[descriptor])
        self._reap()

    def _read_report(self, worker: Worker) -> None:
        data = os.read(worker.status, 4096)
        if not data:
            worker.silent = True
            return
        worker.text += data.decode("utf-8", "surrogateescape")
        *lines, worker.text = worker.text.split("\n")
        for line in lines:
            if line == "ready":
                self._became_ready(worker)
            elif line.startswith("changed ") and worker.generation == self._generation:
                log.info("%s changed", line[8:])
                self._reload()

    def _became_ready(self, worker: Worker) -> None:
        worker.ready = self._served = True
        worker.progress.restart(time.monotonic())
        log.info("worker %d serves", worker.pid)
        if worker.generation == self._generation and all(each.ready for each in self._current()):
            for old in [each for each in self._workers.values() if each.generation != self._generation]:
                self._end(old)

    def _reap(self) -> None:
        """Handles the workers that ended."""
        while True:
            try:
                pid, status = waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if worker := self._workers.pop(pid, None):
                os.close(worker.status)
                self._options.hooks.try_call("child_exit", SERVER, Process(pid))
                self._ended(worker, os.waitstatus_to_exitcode(status))

    def _ended(self, worker: Worker, code: int) -> None:
        if worker.kill_at is not None or worker.generation != self._generation:
            log.info("worker %d ended", worker.pid)
            return
        if not worker.ready and code in FAILURES:
            self._failed_to_start(code)
            return
        if code == 0 and worker.ready:
            log.info("worker %d ended after its last request", worker.pid)
            return
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        log.error("worker %d ended %s", worker.pid, how)
        lived = time.monotonic() - worker.started
        self._failures = 1 if lived >= LIVED_LONG else self._failures + 1
        self._next_start = time.monotonic() + (0.0 if lived >= LIVED_LONG else backoff(self._failures))

    def _failed_to_start(self, code: int) -> None:
        """Ends the command if nothing was served yet; on a reload the old workers keep serving."""
        old = [each for each in self._workers.values() if each.generation != self._generation and each.kill_at is None]
        what, status = FAILURES[code]
        if not self._served:
            log.error("%s", what)
            self._stop_at_once(status)
        if old:
            log.error("%s: the old workers keep serving", what)
            for each in self._current():
                self._end(each)
            self._generation = old[0].generation
            return
        self._failures += 1
        self._next_start = time.monotonic() + backoff(self._failures)

    # Signals

    def _handle_signals(self) -> None:
        while self._pending:
            number = self._pending.pop(0)
            if number == signal.SIGTERM:
                log.info("stopping after the requests in flight")
                self._stop_gracefully()
            elif number in (signal.SIGINT, signal.SIGQUIT):
                log.info("stopping at once")
                self._stop_at_once(0)
            elif number == signal.SIGHUP:
                self._reopen_logs()
                self._reload()
            elif number == signal.SIGUSR1:
                log.info("reopening the logs")
                self._reopen_logs()
            elif number == signal.SIGTTIN:
                self._wanted += 1
            elif number == signal.SIGTTOU and self._wanted > 1:
                self._wanted -= 1
                self._end(self._current()[0]) if len(self._current()) > self._wanted else None

    def _reopen_logs(self) -> None:
        reopen_error_log(self._options)
        for each in self._workers.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGUSR1)

    def _reload(self) -> None:
        """Starts new workers, which load the application again; the old ones end when all new ones are ready."""
        log.info("reloading")
        self._options.hooks.try_call("on_reload", SERVER)
        for each in self._current():
            if not each.ready:
                self._end(each)
        self._generation += 1
        self._failures = 0
        self._next_start = 0.0

    def _end(self, worker: Worker) -> None:
        """Asks a worker to finish the requests in flight, and kills it after the timeout."""
        if worker.kill_at is None:
            worker.kill_at = time.monotonic() + self._options.graceful_timeout + AT_ONCE
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGTERM if worker.ready else signal.SIGKILL)

    def _end_stuck(self) -> None:
        """Replaces the workers that made no progress within the timeout."""
        if self._interval is None or (now := time.monotonic()) < self._next_look:
            return
        self._next_look = now + self._interval
        for each in self._workers.values():
            each.progress.look(each.ready, now, self._interval)
            if each.kill_at is None and each.progress.stuck >= self._options.timeout:
                doing = "no thread of it made progress" if each.ready else "its application did not load"
                log.critical("worker %d is stuck: %s for %g seconds (--timeout); its threads:", each.pid, doing, self._options.timeout)
                each.kill_at = now + AT_ONCE
                with contextlib.suppress(ProcessLookupError):
                    # The worker writes the stacks and ends: `forked.set_up`.
                    os.kill(each.pid, signal.SIGABRT)

    def _kill_overdue(self) -> None:
        for each in self._workers.values():
            if each.kill_at is not None and time.monotonic() >= each.kill_at:
                log.error("worker %d did not end in time: killing it", each.pid)
                each.kill_at = time.monotonic() + AT_ONCE
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each.pid, signal.SIGKILL)

    def _stop_gracefully(self) -> None:
        self._wanted, self._interval = 0, None
        for each in list(self._workers.values()):
            self._end(each)
        while self._workers:
            self._wait()
            self._kill_overdue()
            if any(number in (signal.SIGINT, signal.SIGQUIT) for number in self._pending):
                self._stop_at_once(0)
        raise Stop(0)

    def _stop_at_once(self, status: int) -> None:
        self._wanted, self._interval = 0, None
        for each in self._workers.values():
            each.kill_at = time.monotonic() + AT_ONCE
            with contextlib.suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGINT if each.ready else signal.SIGKILL)
        while self._workers:
            self._wait()
            self._kill_overdue()
        raise Stop(status)
