"""What a worker's process sets up before it loads the application. It starts no thread: see `loading.check_threads`."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import socket
from collections.abc import Callable, Iterable
# The original, also if `--preload` loaded an application that replaces it with that of gevent.
from signal import signal as set_handler
from types import FrameType

from enfilade.logs import log, reopen_error_log
from enfilade.options import Options

OURS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
"""Signals with handlers of the server, which a process that the application forks must not keep."""


def set_up(options: Options, parent: int, listeners: Iterable[socket.socket], pipes: Iterable[int], first: Iterable[int]) -> None:
    """Makes this forked process a worker.

    It ends with its parent, and has none of the signal handlers of the first process, which handled the signals `first`.
    Processes that the application forks get the handlers of a plain Python program, and neither the listening sockets nor
    the worker's `pipes`.
    """
    signal.set_wakeup_fd(-1)
    for number in first:
        set_handler(number, signal.SIG_DFL)
    # A terminal sends SIGHUP to all processes, and only the first one handles it. A program that the application starts
    # would inherit SIG_IGN, but not a handler.
    set_handler(signal.SIGHUP, nothing)
    set_handler(signal.SIGUSR1, lambda number, frame: reopen_error_log(options))
    set_handler(signal.SIGINT, signal.default_int_handler)
    # SIGABRT, and a crash in C, then write the stack of each thread, even if no thread reacts to anything.
    faulthandler.enable(file=2, all_threads=True)
    end_with(parent)
    inherited = [each.fileno() for each in listeners] + list(pipes)
    os.register_at_fork(after_in_child=lambda: leave(inherited))


def nothing(number: int, frame: FrameType | None) -> None:
    pass


def end_with(parent: int) -> None:
    """Lets the system end this process with SIGTERM when its parent ends, for whatever reason (Linux only)."""
    set_death_signal = 1
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(set_death_signal, int(signal.SIGTERM))
    if os.getppid() != parent:
        # It ended before.
        os.kill(os.getpid(), signal.SIGTERM)


def leave(inherited: Iterable[int]) -> None:
    """Makes a process that the application forked a plain one: the server's signal handlers and descriptors are gone."""
    signal.set_wakeup_fd(-1)
    for number in OURS:
        if callable(signal.getsignal(number)):
            set_handler(number, signal.SIG_DFL)
    release(inherited)


def release(descriptors: Iterable[int]) -> None:
    """Replaces these descriptors, and all duplicates of them, with one of /dev/null.

    A number that is merely closed would be used for the next file, while an object of the server still has it.
    """
    files = set(filter(None, map(identity, descriptors)))
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in opened():
        if identity(descriptor) in files:
            os.dup2(null, descriptor, inheritable=False)
    os.close(null)


def opened() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/dev/fd") if name.isdecimal()]
    except OSError:
        return list(range(4096))


def identity(descriptor: int) -> tuple[int, int] | None:
    """Returns what is equal for two descriptors of one socket or pipe; None if it is not open."""
    try:
        about = os.fstat(descriptor)
    except OSError:
        return None
    return about.st_dev, about.st_ino


def on_reopen(reopen: Callable[[], None], options: Options) -> None:
    """Lets SIGUSR1 reopen the error log and another log of this worker."""

    def handle(number: int, frame: FrameType | None) -> None:
        reopen_error_log(options)
        try:
            reopen()
        except OSError as error:
            log.error("cannot reopen the access log: %s", error)

    set_handler(signal.SIGUSR1, handle)
