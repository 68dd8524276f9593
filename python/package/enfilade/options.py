"""The options of `enfilade serve`, with the names that gunicorn and granian use, and their parsed values."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from enfilade.access_format import translated
from enfilade.hooks import Hooks

LONGEST = 366 * 86400.0
"""The limit of times, in seconds: that of the server."""


@dataclass
class Options:
    """The parsed options of `enfilade serve`."""

    app: str
    bind: list[str] = field(default_factory=lambda: ["127.0.0.1:8000"])
    workers: int = 1
    threads: int = 1
    worker_class: str | None = None
    backlog: int = 2048
    queue: int = 1024
    keep_alive: float = 75.0
    header_timeout: float = 30.0
    body_timeout: float = 30.0
    chunked_limit: int = 1 << 30
    stream_chunked: bool = False
    graceful_timeout: float = 30.0
    timeout: float = 30.0
    max_requests: int | None = None
    max_requests_jitter: int = 0
    factory: bool = False
    preload: bool = False
    check_config: bool = False
    reload: bool = False
    reload_extra_file: list[str] = field(default_factory=list)
    access_log: str | None = None
    access_log_format: str = "combined"
    error_log: str | None = None
    log_level: str = "info"
    gzip: bool = False
    static: list[tuple[str, Path]] = field(default_factory=list)
    tls: tuple[str, str] | None = None
    forwarded_allow_ips: list[str] = field(default_factory=list)
    chdir: str | None = None
    pythonpath: list[str] = field(default_factory=list)
    pid: str | None = None
    umask: int | None = None
    hooks: Hooks = field(default_factory=Hooks)


def whole(least: int) -> Any:
    """Returns a parser of whole numbers that are `least` or more."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is too small: the minimum is {least}")
        return value

    return number


def seconds(text: str) -> float:
    value = number_of(text)
    # Not `value <= 0`: NaN must be rejected too.
    if not 0 < value <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0, of at most 366 days")
    return value


def seconds_or_never(text: str) -> float:
    """Returns 0 for "0", which turns a timeout off."""
    return 0.0 if number_of(text) == 0 else seconds(text)


def number_of(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None


def mask(text: str) -> int:
    try:
        value = int(text, 8)
    except ValueError:
        value = -1
    if not 0 <= value <= 0o777:
        raise argparse.ArgumentTypeError(f"{text!r} is not an octal number from 0 to 777, such as 022")
    return value


def log_format(text: str) -> str:
    try:
        return translated(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def worker_class(text: str) -> str:
    if text in ("sync", "gthread"):
        return text
    if "uvicorn" in text or text == "asgi":
        raise argparse.ArgumentTypeError(f"{text!r} runs ASGI applications, and this server runs WSGI: keep that server for it")
    if "gevent" in text or "eventlet" in text:
        raise argparse.ArgumentTypeError(f"{text!r} runs requests on greenlets, and this server on threads: use --threads N, and "
                                         "remove the monkey patch from the application")
    raise argparse.ArgumentTypeError(f"{text!r} is not known: sync and gthread are accepted, and --threads decides")


def static(text: str) -> tuple[str, Path]:
    url, separator, folder = text.partition("=")
    if not separator or not url.startswith("/") or not folder:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid: write it as /url=folder")
    if not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"{folder} is not a folder")
    return url.rstrip("/"), Path(folder).resolve()


def certificate_and_key(text: str) -> tuple[str, str]:
    certificate, separator, key = text.partition(",")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not valid: write it as certificate.pem,key.pem")
    return certificate, key


def address(text: str) -> str:
    """Checks an address to listen on: `host:port`, `:port`, `[ipv6]:port`, `unix:path` or `fd://3`."""
    if text.startswith("unix:") and len(text) > 5:
        return text
    if text.startswith("fd://") and text[5:].isdecimal():
        return text
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535 or (":" in host and not host.startswith("[")):
        raise argparse.ArgumentTypeError(f"{text!r} is not an address: write 127.0.0.1:8000, [::1]:8000, unix:path or fd://3")
    return text


def listening(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-b", "--bind", action="append", type=address, metavar="ADDRESS",
                       help="listen on this address: host:port, [ipv6]:port, unix:path or fd://N; can be repeated "
                            "(default: 127.0.0.1:8000)")
    group.add_argument("--host", metavar="HOST", help="listen on this host, at --port; the same as --bind HOST:PORT")
    group.add_argument("--port", type=whole(0), metavar="PORT", help="the port of --host (default: 8000)")
    group.add_argument("--unix", "--uds", action="append", metavar="PATH", help="the same as --bind unix:PATH")
    group.add_argument("--umask", type=mask, metavar="MODE",
                       help="the mode mask for files and Unix sockets, octal")
    group.add_argument("--backlog", type=whole(1), default=2048, metavar="N",
                       help="limit of connections that wait in the system's queue to be accepted (default: %(default)s)")
    group.add_argument("--tls", type=certificate_and_key, metavar="CERT,KEY",
                       help="serve TLS with this certificate chain and key (PEM files)")
    group.add_argument("--certfile", "--ssl-certificate", metavar="FILE",
                       help="the certificate chain; with --keyfile the same as --tls CERT,KEY")
    group.add_argument("--keyfile", "--ssl-keyfile", metavar="FILE", help="the key of --certfile")
    group.add_argument("--forwarded-allow-ips", metavar="IPS", default="",
                       help="trust the X-Forwarded-* headers of these proxies: addresses or networks, separated by commas "
                            "(default: none)")


def processes(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-w", "--workers", type=whole(1), metavar="N",
                       help="the number of processes that serve (default: $WEB_CONCURRENCY, or 1)")
    group.add_argument("--threads", "--blocking-threads", type=whole(1), default=1, metavar="N",
                       help="threads of each process that run the application; 1 runs it on the thread that reads the "
                            "connections, which is fastest (default: %(default)s)")
    group.add_argument("-k", "--worker-class", type=worker_class, metavar="NAME",
                       help="sync or gthread, for commands written for gunicorn; it has no effect: --threads decides")
    group.add_argument("--queue", "--backpressure", type=whole(0), default=1024, metavar="N",
                       help="limit of requests that wait for a thread; more requests get status 503 (default: %(default)s)")
    group.add_argument("--max-requests", type=whole(0), default=0, metavar="N",
                       help="replace a worker after this many requests (default: 0, never)")
    group.add_argument("--max-requests-jitter", type=whole(0), default=0, metavar="N",
                       help="raise --max-requests by a random number up to this one (default: %(default)s)")
    group.add_argument("--preload", "--preload-app", action="store_true", help="import the application before the workers fork; "
                       "a reload does not import it again then")
    group.add_argument("--reload", action="store_true", help="reload when a file of the application changes")
    group.add_argument("--reload-extra-file", action="append", default=[], metavar="PATH",
                       help="also watch this file or folder with --reload; can be repeated")
    group.add_argument("-p", "--pid", "--pid-file", metavar="FILE", help="write the process ID of the first process to this file")


def times(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--keep-alive", type=seconds_or_never, default=75.0, metavar="SECONDS",
                       help="timeout for the next request on an open connection; 0 closes connections after each response "
                            "(default: %(default)s)")
    for name, default, text in (
        ("--header-timeout", 30.0, "for the head of a request"),
        ("--body-timeout", 30.0, "for the next byte of a request body"),
        ("--graceful-timeout", 30.0, "for the requests in flight on a stop or a reload"),
    ):
        group.add_argument(name, type=seconds, default=default, metavar="SECONDS",
                           help=f"timeout {text} (default: %(default)s)")
    group.add_argument("-t", "--timeout", type=seconds_or_never, default=30.0, metavar="SECONDS",
                       help="replace a worker if none of its threads makes progress for this time, or if the application does not "
                            "load within it; 0 turns this off (default: %(default)s)")


def behaviour(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--gzip", action="store_true", help="compress responses with gzip if the client accepts it")
    group.add_argument("--chunked-limit", type=whole(0), default=1 << 30, metavar="BYTES",
                       help="limit of a chunked request body, which is received before the application is called; longer ones get "
                            "status 413 (default: %(default)s)")
    group.add_argument("--stream-chunked", action="store_true",
                       help="pass chunked request bodies on while they arrive, without a CONTENT_LENGTH and with "
                            "wsgi.input_terminated")
    group.add_argument("--static", action="append", type=static, default=[], metavar="/URL=FOLDER",
                       help="serve the files of a folder below a path; with / as the path, the application gets all paths without "
                            "a file; can be repeated")
    group.add_argument("--access-log", "--access-logfile", metavar="FILE", help="log requests to a file; - is standard output")
    group.add_argument("--access-log-format", "--access-logformat", "--access-log-fmt", type=log_format,
                       default="combined", metavar="FORMAT",
                       help="combined, common, vhost_combined, json, or a format in the syntax of Apache or of gunicorn "
                            "(default: %(default)s)")
    group.add_argument("--error-log", "--error-logfile", "--log-file", metavar="FILE",
                       help="write messages and wsgi.errors to this file (default: standard error)")
    group.add_argument("--log-level", type=str.lower, choices=("debug", "info", "warning", "error", "critical"), default="info",
                       metavar="LEVEL", help="write messages of this level and above (default: %(default)s)")


def loading(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--factory", action="store_true", help="APP is a factory: call it to get the application")
    group.add_argument("--chdir", "--working-dir", metavar="FOLDER", help="change to this folder first")
    group.add_argument("--pythonpath", action="append", default=[], metavar="FOLDERS",
                       help="also search these folders for modules; separated by commas, can be repeated")
    group.add_argument("-e", "--env", action="append", default=[], metavar="NAME=VALUE",
                       help="set an environment variable; can be repeated")
    group.add_argument("-c", "--config", metavar="FILE",
                       help="read settings and hooks of gunicorn from this Python file; the options of the command come first")
    group.add_argument("--check-config", action="store_true", help="import the application and exit: status 0 if it loads")


def add_to(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `serve` to its parser."""
    parser.add_argument("app", metavar="APP", nargs="?", help="module:callable, module:factory() or module (its `application` or `app`)")
    for title, add in (("listening", listening), ("processes and threads", processes), ("timeouts", times),
                       ("behaviour", behaviour), ("the application", loading)):
        add(parser.add_argument_group(title))


def binds(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> list[str]:
    addresses = list(parsed.bind or []) + [f"unix:{path}" for path in parsed.unix or []]
    if parsed.host is not None or parsed.port is not None:
        host = parsed.host or "127.0.0.1"
        host = f"[{host}]" if ":" in host and not host.startswith("[") else host
        port = 8000 if parsed.port is None else parsed.port
        try:
            addresses.append(address(f"{host}:{port}"))
        except argparse.ArgumentTypeError as error:
            parser.error(str(error))
    return addresses or ["127.0.0.1:8000"]


def concurrency(parser: argparse.ArgumentParser) -> int:
    """Returns $WEB_CONCURRENCY, or 1."""
    try:
        return int(whole(1)(os.environ.get("WEB_CONCURRENCY", "1")))
    except argparse.ArgumentTypeError as error:
        parser.error(f"the variable WEB_CONCURRENCY, for --workers: {error}")


def options(parser: argparse.ArgumentParser, parsed: argparse.Namespace, hooks: Hooks) -> Options:
    """Returns the options as one value; options that conflict exit with status 2."""
    if parsed.app is None:
        parser.error("the following arguments are required: APP")
    if bool(parsed.certfile) != bool(parsed.keyfile) or (parsed.tls and parsed.certfile):
        parser.error("--certfile and --keyfile need each other and cannot be combined with --tls")
    if parsed.preload and parsed.reload:
        parser.error("--preload and --reload cannot be combined: a module imported before the fork cannot be reloaded")
    for pair in parsed.env:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            parser.error(f"argument -e/--env: {pair!r} is not valid: write it as NAME=VALUE")
        os.environ[name] = value
    names = {name for name in Options.__dataclass_fields__ if hasattr(parsed, name)}
    values: dict[str, Any] = {name: getattr(parsed, name) for name in names}
    values["workers"] = parsed.workers or concurrency(parser)
    values["bind"] = binds(parser, parsed)
    values["tls"] = parsed.tls or ((parsed.certfile, parsed.keyfile) if parsed.certfile else None)
    values["max_requests"] = parsed.max_requests or None
    values["forwarded_allow_ips"] = [each.strip() for each in parsed.forwarded_allow_ips.split(",") if each.strip()]
    values["pythonpath"] = [each for folders in parsed.pythonpath for each in folders.split(",") if each]
    return Options(**values, hooks=hooks)
