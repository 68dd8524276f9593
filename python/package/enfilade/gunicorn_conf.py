"""Reads `gunicorn.conf.py`: a Python file whose variables are gunicorn's settings."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from enfilade.hooks import HOOKS, Hooks

OPTIONS = {
    "bind": "--bind", "backlog": "--backlog", "workers": "--workers", "worker_class": "--worker-class", "threads": "--threads",
    "max_requests": "--max-requests", "max_requests_jitter": "--max-requests-jitter", "timeout": "--timeout",
    "graceful_timeout": "--graceful-timeout", "keepalive": "--keep-alive", "reload": "--reload",
    "reload_extra_files": "--reload-extra-file", "check_config": "--check-config", "preload_app": "--preload",
    "chdir": "--chdir", "raw_env": "--env", "pidfile": "--pid", "umask": "--umask", "pythonpath": "--pythonpath",
    "forwarded_allow_ips": "--forwarded-allow-ips", "accesslog": "--access-log", "access_log_format": "--access-log-format",
    "errorlog": "--error-log", "loglevel": "--log-level", "certfile": "--certfile", "keyfile": "--keyfile",
}
"""Settings with an option of the same meaning."""

WITHOUT_EFFECT = {
    "worker_connections": "connections are limited by the open files",
    "worker_tmp_dir": "no file is used as a heartbeat",
    "sendfile": "files are sent by the server in any case",
    "capture_output": "the error log has the output of the application on standard error in any case",
    "enable_stdio_inheritance": "the workers have the standard streams in any case",
    "disable_redirect_access_to_syslog": "there is no syslog",
    "control_socket": "there is no control socket", "control_socket_mode": "there is no control socket",
    "control_socket_disable": "there is no control socket",
    "reload_engine": "the server looks at the files",
    "http_parser": "there is one parser",
    "do_handshake_on_connect": "handshakes hold nothing up", "suppress_ragged_eofs": "TLS is done in Rust",
    "default_proc_name": "the process has no other name",
    "tmp_upload_dir": "gunicorn does not use it either",
}
"""Settings that change nothing here, whatever their value, with the reason."""

REFUSED = {
    "daemon": "run the server under systemd, or another supervisor",
    "user": "start the server as this user: User= of systemd", "group": "start the server as this group: Group= of systemd",
    "initgroups": "start the server as this user: User= of systemd",
    "proc_name": "the process keeps its name: look for the PID file",
    "paste": "write a module that loads the application", "raw_paste_global_conf": "write a module that loads it",
    "logger_class": "messages go to the logger \"enfilade\"", "logconfig": "messages go to the logger \"enfilade\"",
    "logconfig_dict": "messages go to the logger \"enfilade\"", "logconfig_json": "messages go to the logger \"enfilade\"",
    "syslog": "log to standard error, which systemd keeps", "syslog_addr": "log to standard error, which systemd keeps",
    "syslog_prefix": "log to standard error, which systemd keeps", "syslog_facility": "log to standard error, which systemd keeps",
    "statsd_host": "count requests from the access log", "statsd_prefix": "count requests from the access log",
    "dogstatsd_tags": "count requests from the access log", "enable_backlog_metric": "count requests from the access log",
    "limit_request_line": "the head of a request is limited as a whole", "limit_request_fields": "the head of a request is limited as a whole",
    "limit_request_field_size": "the head of a request is limited as a whole",
    "secure_scheme_headers": "only X-Forwarded-Proto and Forwarded are understood: let the proxy send them",
    "proxy_protocol": "let the proxy send X-Forwarded-For", "proxy_allow_ips": "let the proxy send X-Forwarded-For",
    "protocol": "only HTTP is served: use proxy_pass in nginx", "uwsgi_allow_ips": "only HTTP is served: use proxy_pass in nginx",
    "ssl_version": "TLS 1.2 and 1.3 are served", "ciphers": "the ciphers are those of rustls",
    "cert_reqs": "let a proxy check certificates of clients", "ca_certs": "let a proxy check certificates of clients",
    "reuse_port": "the workers share one socket",
    "spew": "use a debugger", "print_config": "use --help",
    "permit_obsolete_folding": "requests that break RFC 9112 are rejected", "strip_header_spaces": "requests that break RFC 9112 are rejected",
    "permit_unconventional_http_method": "requests that break RFC 9110 are rejected",
    "permit_unconventional_http_version": "requests that break RFC 9112 are rejected",
    "casefold_http_method": "methods are case-sensitive (RFC 9110, section 9.1)",
    "forwarder_headers": "names with underscores are dropped: use a prefix in the proxy",
    "header_map": "headers whose names have underscores are dropped", "root_path": "wrap the application in enfilade.Mounts",
    "http_protocols": "HTTP/1.1 is served", "http2_cleartext": "HTTP/1.1 is served",
    "http2_max_concurrent_streams": "HTTP/1.1 is served", "http2_initial_window_size": "HTTP/1.1 is served",
    "http2_max_frame_size": "HTTP/1.1 is served", "http2_max_header_list_size": "HTTP/1.1 is served",
    "asgi_loop": "only WSGI is served", "asgi_lifespan": "only WSGI is served", "asgi_disconnect_grace_period": "only WSGI is served",
    "websocket_max_message_size": "only WSGI is served",
    "dirty_apps": "use a task queue", "dirty_workers": "use a task queue", "dirty_timeout": "use a task queue",
    "dirty_threads": "use a task queue", "dirty_graceful_timeout": "use a task queue", "on_dirty_starting": "use a task queue",
    "dirty_post_fork": "use a task queue", "dirty_worker_init": "use a task queue", "dirty_worker_exit": "use a task queue",
    "worker_int": "use worker_exit", "worker_abort": "the stack of a stuck worker is in the error log",
    "pre_exec": "there is no upgrade by USR2: use systemd's sockets", "nworkers_changed": "use when_ready and child_exit",
    "pre_request": "write a WSGI middleware", "post_request": "write a WSGI middleware",
    "ssl_context": "the certificate and the key are all that can be set: certfile and keyfile",
}
"""Settings that would change what users rely on, with what to do instead. Their defaults in gunicorn are accepted."""

HARMLESS: dict[str, tuple[Any, ...]] = {
    "limit_request_line": (4094,), "limit_request_fields": (100,), "limit_request_field_size": (8190,), "header_map": ("drop",),
    "protocol": ("http",), "proxy_protocol": ("off",), "http_protocols": ("h1",), "http2_cleartext": ("off",), "cert_reqs": (0,),
    "logger_class": ("gunicorn.glogging.Logger",),
}


class ConfError(Exception):
    """A configuration cannot be used; the text names the file and the setting."""


def read(name: str) -> tuple[list[str], str | None, Hooks]:
    """Returns the options of a configuration as arguments of the command, its application, and its hooks. Raises ConfError."""
    settings = variables(name)
    arguments: list[str] = []
    hooks: dict[str, Callable[..., object]] = {}
    for setting, value in settings.items():
        if setting in HOOKS and callable(value):
            hooks[setting] = value
        elif option := OPTIONS.get(setting):
            arguments += written(option, value)
        elif setting in REFUSED and value and value not in HARMLESS.get(setting, ()):
            raise ConfError(f"{name}: {setting} is not supported: {REFUSED[setting]}")
    return arguments, settings.get("wsgi_app"), Hooks(hooks)


def variables(name: str) -> dict[str, Any]:
    """Returns the variables of a file (`path` or `file:path`) or of a module (`python:module`), as gunicorn does."""
    try:
        if name.startswith("python:"):
            return vars(importlib.import_module(name[7:]))
        path = os.path.abspath(name.removeprefix("file:"))
        with open(path, "rb") as file:
            code = compile(file.read(), path, "exec")
        space: dict[str, Any] = {"__name__": "__config__", "__file__": path}
        exec(code, space)
        return space
    except OSError as error:
        raise ConfError(f"argument -c/--config: cannot read {name}: {error.strerror or error}") from error
    except Exception as error:
        raise ConfError(f"argument -c/--config: {name} failed: {type(error).__name__}: {error}") from error


def written(option: str, value: Any) -> list[str]:
    """Returns a setting as it is written on the command line; nothing for a value that is off."""
    if value is None or value is False or value == "" or value == []:
        return []
    if value is True:
        return [option]
    if option in ("--max-requests", "--max-requests-jitter", "--timeout", "--keep-alive") and value == 0:
        # gunicorn has 0 for "off".
        return [f"{option}=0"]
    if option == "--umask":
        # A number here, octal digits there.
        number = int(value, 0) if isinstance(value, str) else int(value)
        return [f"{option}={number:o}"] if number else []
    if option in ("--bind", "--reload-extra-file", "--env"):
        values = value.split(",") if isinstance(value, str) and option == "--bind" else [value] if isinstance(value, str) else value
        return [f"{option}={each}" for each in values]
    if option == "--forwarded-allow-ips" and not isinstance(value, str):
        return [f"{option}={','.join(value)}"]
    if option == "--worker-class" and not isinstance(value, str):
        return [f"{option}={getattr(value, '__name__', value)}"]
    return [f"{option}={value}"]
