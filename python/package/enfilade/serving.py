"""The code of one worker: loads the application, wraps it as the options say, and serves it."""

from __future__ import annotations

import logging
import os
import random
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterable
from types import FrameType
from typing import TYPE_CHECKING, Any

from enfilade import _native
from enfilade.forked import on_reopen
from enfilade.hooks import SERVER, Hooks, Process
from enfilade.loading import LoadError, check_threads, load
from enfilade.options import Options
from enfilade.reload import Watcher

if TYPE_CHECKING:
    # `wsgiref.types` is not in Python 3.10.
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

BOOT_FAILED = 3
"""The exit status of a worker, and of the command, if the application does not load; the same as gunicorn's."""
CANNOT_SERVE = 4
"""The exit status of a worker that has an application, but cannot serve it."""

KEEP_ALIVE = 75.0
"""A value for the server that closes connections after each response, and so never waits for it."""

log = logging.getLogger("enfilade")


def prepare_path(options: Options) -> None:
    """Puts the application's folder first on the search path, as `python -m` does."""
    if options.chdir:
        try:
            os.chdir(options.chdir)
        except OSError as error:
            raise OSError(f"argument --chdir: cannot use {options.chdir}: {error.strerror}") from error
    for folder in reversed(options.pythonpath):
        sys.path.insert(0, os.path.abspath(folder))
    if sys.path[:1] != [os.getcwd()]:
        sys.path.insert(0, os.getcwd())


def failed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Replaces an application that does not load, until its file changes; the log has the reason."""
    body = b"The application does not load; see the server's log.\n"
    start_response("500 Internal Server Error", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def stack(options: Options, application: WSGIApplication) -> WSGIApplication | _native.Application:
    """Returns the application in the wrappers that the options ask for, the access log outside the rest.

    SIGUSR1 then reopens the access log.
    """
    result: Any = application
    folders = dict(options.static)
    if root := folders.pop("", None):
        # Below every path there is the application too, with its own methods.
        result = _native.Files(root, result, pass_methods=True)
    if folders:
        result = _native.Mounts({url: _native.Files(folder) for url, folder in folders.items()}, default=result)
    if options.gzip:
        result = _native.Compression(result)
    if options.access_log:
        result = _native.AccessLog(result, format=options.access_log_format, output=options.access_log)
        on_reopen(result.reopen, options)
    if options.forwarded_allow_ips:
        result = _native.ProxyFix(result, trusted=options.forwarded_allow_ips)
    checked: WSGIApplication | _native.Application = result
    return checked


def limit(options: Options) -> int | None:
    """Returns the number of requests after which this worker ends, random within the jitter so that not all end at once."""
    if options.max_requests is None:
        return None
    return options.max_requests + random.randint(0, options.max_requests_jitter)


def serve(options: Options, listeners: list[socket.socket], multiprocess: bool, report: Callable[[str], None],
          activity: _native.Activity, preloaded: WSGIApplication | None = None) -> int:
    """Serves until a signal stops it, and returns the exit status. Calls `report` with "ready" and with changed files."""
    worker = Process()
    try:
        hooked(options.hooks, "post_fork", SERVER, worker)
        application = preloaded or load(options.app, options.factory)
        check_threads(options.threads, bool(options.tls))
        hooked(options.hooks, "post_worker_init", worker)
    except LoadError as error:
        log.error("%s", str(error).rstrip())
        if not options.reload:
            return BOOT_FAILED
        application = failed

    def started() -> None:
        if options.reload:
            extra = options.reload_extra_file + (failed_files(options) if application is failed else [])
            Watcher(extra).start(lambda path: report(f"changed {path}"))
        report("ready")

    try:
        native = _native.Server(
            stack(options, application),
            sockets=[listener.fileno() for listener in listeners],
            threads=options.threads,
            backlog=options.queue,
            multiprocess=multiprocess,
            keep_alive=options.keep_alive or KEEP_ALIVE,
            close_connections=options.keep_alive == 0,
            header_timeout=options.header_timeout,
            body_timeout=options.body_timeout,
            chunked_limit=options.chunked_limit,
            stream_chunked=options.stream_chunked,
            graceful_timeout=options.graceful_timeout,
            max_requests=limit(options),
            tls=options.tls,
            on_start=started,
            activity=activity,
        )

        def stop(number: int, frame: FrameType | None) -> None:
            native.shutdown()

        signal.signal(signal.SIGTERM, stop)
        native.serve_forever()
        options.hooks.try_call("worker_exit", SERVER, worker)
    except (OSError, TypeError, ValueError) as error:
        # For example an invalid certificate, or a log that cannot be opened: the next worker would fail too.
        log.error("cannot serve: %s", error)
        return CANNOT_SERVE
    return 0


def hooked(hooks: Hooks, name: str, *processes: Process) -> None:
    """Calls a hook without which a worker must not serve."""
    try:
        hooks.call(name, *processes)
    except Exception as error:
        raise LoadError(f"the hook {name} failed:\n{traceback.format_exc()}") from error


def failed_files(options: Options) -> list[str]:
    """Returns where the module that did not load may be: it is not among the loaded modules, and may not exist yet."""
    name = options.app.partition(":")[0]
    return [os.path.join(folder or ".", *name.split(".")) + ".py" for folder in sys.path[: 1 + len(options.pythonpath)]]
