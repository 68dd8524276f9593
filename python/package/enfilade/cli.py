"""The command `enfilade`."""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from enfilade import options as of
from enfilade.checks import OptionError, check
from enfilade.gunicorn_conf import ConfError, read
from enfilade.hooks import SERVER, Hooks
from enfilade.listeners import BindError, listen, name_of
from enfilade.loading import LoadError, load
from enfilade.logs import log, set_up_log
from enfilade.options import Options
from enfilade.serving import BOOT_FAILED, prepare_path
from enfilade.workers import Workers

EPILOG = """\
signals: TERM stops after the requests in flight, INT and QUIT stop at once; HUP reloads the application in new workers
and then ends the old ones; USR1 reopens the logs; TTIN starts one more worker, TTOU ends one.
exit status: 0 after a stop, 1 if an address cannot be served, 2 for wrong options, 3 if the application does not load.
"""


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(prog="enfilade", description="Serves WSGI applications.")
    result.add_argument("--version", action="version", version=f"enfilade {release()}")
    commands = result.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    serve = commands.add_parser("serve", help="serve an application", epilog=EPILOG,
                                usage="enfilade serve [OPTION ...] APP", formatter_class=argparse.RawDescriptionHelpFormatter)
    of.add_to(serve)
    serve.set_defaults(parser=serve)
    return result


def release() -> str:
    try:
        return version("enfilade")
    except PackageNotFoundError:
        return "(not installed)"


def parsed_options(arguments: list[str]) -> tuple[Options, Parser]:
    """Returns the options of the command and of its configuration. Wrong ones exit with status 2."""
    top = parser()
    parsed, unknown = top.parse_known_args(arguments)
    serve_parser: Parser = parsed.parser
    if unknown:
        serve_parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if parsed.config is None:
        return of.options(serve_parser, parsed, Hooks()), serve_parser
    try:
        settings, application, hooks = read(parsed.config)
    except ConfError as error:
        serve_parser.error(str(error))
    serve_parser.source = f"{parsed.config}: "
    serve_parser.parse_args(settings)
    serve_parser.source = ""
    # Of an option that can be repeated, the values of the command replace those of the file.
    given = {"--bind": parsed.bind or parsed.unix or parsed.host or parsed.port is not None, "--env": parsed.env,
             "--reload-extra-file": parsed.reload_extra_file, "--pythonpath": parsed.pythonpath}
    settings = [each for each in settings if not given.get(each.partition("=")[0])]
    parsed = serve_parser.parse_args([*settings, *arguments[arguments.index("serve") + 1:]])
    parsed.app = parsed.app or application
    return of.options(serve_parser, parsed, hooks), serve_parser


class Parser(argparse.ArgumentParser):
    """A parser whose errors name a file, while it parses the settings of that file."""

    source = ""

    def error(self, message: str) -> NoReturn:
        super().error(self.source + message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status. Wrong options exit with status 2."""
    options, serve_parser = parsed_options(list(sys.argv[1:] if arguments is None else arguments))
    try:
        prepare_path(options)
        check(options)
        if not options.check_config:
            set_up_log(options)
    except (OptionError, OSError) as error:
        serve_parser.error(str(error))
    return serve(options)


def serve(options: Options) -> int:
    try:
        application = load(options.app, options.factory) if options.preload or options.check_config else None
    except LoadError as error:
        print(f"enfilade: {error}", file=sys.stderr)
        return BOOT_FAILED
    if options.check_config:
        return 0
    try:
        options.hooks.call("on_starting", SERVER)
    except Exception:
        log.exception("the hook on_starting failed")
        return BOOT_FAILED
    if options.umask is not None:
        os.umask(options.umask)
    try:
        listeners = [listen(each, options.backlog) for each in options.bind]
    except BindError as error:
        print(f"enfilade: {error}", file=sys.stderr)
        return 1
    with contextlib.ExitStack() as cleaning:
        clean_up(cleaning, options, listeners)
        if options.worker_class:
            log.info("-k %s has no effect: each worker has %d threads (--threads)", options.worker_class, options.threads)
        for listener in listeners:
            log.info("listening on %s", name_of(listener, bool(options.tls)))
        options.hooks.try_call("when_ready", SERVER)
        cleaning.callback(options.hooks.try_call, "on_exit", SERVER)
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
