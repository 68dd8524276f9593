"""Checks what the options name, before the first worker starts: files, addresses of proxies, certificates."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from enfilade import _native
from enfilade.options import Options
from enfilade.serving import failed


class OptionError(Exception):
    """An option has a value that cannot be used; the text names both."""


def check(options: Options) -> None:
    """Raises OptionError for the first option that cannot be used. The folder is that of `--chdir` by now."""
    if options.pid:
        checked("-p/--pid", lambda: writable(options.pid or ""))
    if options.error_log and options.error_log != "-":
        checked("--error-log", lambda: writable(options.error_log or ""))
    if options.access_log and options.access_log not in ("-", "stdout", "stderr"):
        checked("--access-log", lambda: writable(options.access_log or ""))
    if options.access_log:
        checked("--access-log-format", lambda: _native.AccessLog(failed, format=options.access_log_format))
    if options.forwarded_allow_ips:
        checked("--forwarded-allow-ips", lambda: _native.ProxyFix(failed, trusted=options.forwarded_allow_ips))
    if options.tls:
        chain, key = options.tls
        checked("--tls", lambda: _native.check_certificate(chain, key))


def checked(option: str, check: Callable[[], object]) -> None:
    try:
        check()
    except (OSError, ValueError) as error:
        # Rust adds the number of a system's error to its text.
        text = re.sub(r" \(os error \d+\)", "", str(error))
        raise OptionError(f"argument {option}: {text}") from error


def writable(path: str) -> None:
    """Raises OSError if this file cannot be written. It does not make the file, which another user may have to own."""
    folder = os.path.dirname(path) or "."
    try:
        if os.path.exists(path):
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK))
        elif not os.path.isdir(folder):
            raise OSError(f"cannot write {path}: {folder} is not a folder")
        elif not os.access(folder, os.W_OK | os.X_OK):
            raise OSError(f"cannot write {path}: the folder {folder} is not writable")
    except OSError as error:
        if error.strerror is None:
            raise
        raise OSError(f"cannot write {path}: {error.strerror}") from error
