"""The server's messages and the files that they go to."""

from __future__ import annotations

import contextlib
import logging
import os
import sys

from enfilade.options import Options

log = logging.getLogger("enfilade")


def set_up_log(options: Options) -> None:
    """Sends messages to standard error, or sends standard error and the messages to `--error-log`."""
    open_error_log(options)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("[%(asctime)s] [%(process)d] [%(levelname)s] %(message)s", "%Y-%m-%d %H:%M:%S %z"))
    log.addHandler(handler)
    log.setLevel(options.log_level.upper())
    log.propagate = False


def open_error_log(options: Options) -> None:
    """Makes `--error-log` the standard error of this process; opens it again if it was moved."""
    if not options.error_log or options.error_log == "-":
        return
    # Replaces the descriptor itself, so that the file also gets what the application writes to it.
    file = os.open(options.error_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    with contextlib.suppress(ValueError):
        sys.stderr.flush()
    os.dup2(file, 2)
    os.close(file)


def reopen_error_log(options: Options) -> None:
    """Opens `--error-log` again. If that fails, messages go where they went before."""
    try:
        open_error_log(options)
    except OSError as error:
        log.error("cannot reopen the error log: %s", error)
