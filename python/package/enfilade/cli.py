"""The command `enfilade`."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from enfilade import options as of
from enfilade.listeners import BindError, listen, name_of
from enfilade.loading import LoadError, load
from enfilade.options import Options
from enfilade.serving import BOOT_FAILED, prepare_path
from enfilade.workers import Workers

log = logging.getLogger("enfilade")

EPILOG = """\
signals: TERM stops after the requests in flight, INT and QUIT stop at once; HUP reloads the application in new workers
and then ends the old ones; TTIN starts one more worker, TTOU ends one.
exit status: 0 after a stop, 1 if an address cannot be used, 2 for wrong options, 3 if the application does not load.
"""


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="enfilade", description="Serves WSGI applications.")
    result.add_argument("--version", action="version", version=f"enfilade {release()}")
    commands = result.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve an application", epilog=EPILOG,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    of.add_to(serve)
    serve.set_defaults(parser=serve)
    return result


def release() -> str:
    try:
        return version("enfilade")
    except PackageNotFoundError:
        return "(not installed)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status. Wrong options exit with status 2."""
    parsed = parser().parse_args(arguments)
    return serve(of.options(parsed.parser, parsed))


def serve(options: Options) -> int:
    try:
        prepare_path(options)
        set_up_log(options)
    except OSError as error:
        print(f"enfilade: {error}", file=sys.stderr)
        return 1
    try:
        application = load(options.app, options.factory) if options.preload or options.check_config else None
    except LoadError as error:
        print(f"enfilade: {error}", file=sys.stderr)
        return BOOT_FAILED
    if options.check_config:
        return 0
    if options.umask is not None:
        os.umask(options.umask)
    try:
        listeners = [listen(each, options.backlog) for each in options.bind]
    except BindError as error:
        print(f"enfilade: {error}", file=sys.stderr)
        return 1
    with contextlib.ExitStack() as cleaning:
        clean_up(cleaning, options, listeners)
        for listener in listeners:
            log.info("listening on %s", name_of(listener, bool(options.tls)))
        return Workers(options, listeners, application).run()


def clean_up(cleaning: contextlib.ExitStack, options: Options, listeners: list[socket.socket]) -> None:
    """Removes the PID file and the paths of Unix sockets when the first process ends."""
    for address, listener in zip(options.bind, listeners):
        cleaning.callback(listener.close)
        if address.startswith("unix:"):
            cleaning.callback(remove, address[5:])
    if options.pid:
        with open(options.pid, "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
        cleaning.callback(remove, options.pid)


def remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def set_up_log(options: Options) -> None:
    """Sends messages to standard error, or sends standard error and the messages to `--error-log`."""
    if options.error_log and options.error_log != "-":
        # Replaces the descriptor itself, so that the file also gets what workers and the application write to it.
        file = os.open(options.error_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(file, 2)
        os.close(file)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s", "%Y-%m-%d %H:%M:%S %z"))
    log.addHandler(handler)
    log.setLevel(options.log_level.upper())
    log.propagate = False
