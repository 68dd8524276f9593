"""Runs a server in its process: `child.py mode module:application descriptor [option=value ...]`."""

from __future__ import annotations

import importlib
import json
import signal
import socket
import sys
from types import FrameType
from typing import TYPE_CHECKING, Any
if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def load(name: str) -> WSGIApplication:
    module, _, attribute = name.partition(":")
    application: WSGIApplication = getattr(importlib.import_module(module), attribute)
    return application


def ours(mode: str, application: Any, listener: socket.socket, options: dict[str, Any]) -> None:
    import enfilade

    if mode.startswith("wrapped"):
        application = enfilade.Compression(enfilade.AccessLog(application))
    options.setdefault("threads", 4 if mode.endswith("pool") else 1)
    server = enfilade.Server(application, sockets=[listener.fileno()], **options)

    def stop(number: int, frame: FrameType | None) -> None:
        server.shutdown()

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever()


def under_waitress(application: Any, listener: socket.socket) -> None:
    import enfilade
    import waitress

    wrapped = enfilade.Compression(enfilade.AccessLog(application))
    waitress.serve(wrapped, sockets=[listener], threads=4)


def waitress_alone(application: WSGIApplication, listener: socket.socket) -> None:
    import waitress

    waitress.serve(application, sockets=[listener], threads=4)


def wsgiref_alone(application: WSGIApplication, listener: socket.socket) -> None:
    from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

    server = WSGIServer(listener.getsockname()[:2], WSGIRequestHandler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.server_address = listener.getsockname()[:2]
    server.server_name, server.server_port = "localhost", listener.getsockname()[1]
    server.setup_environ()
    server.set_app(application)
    server.serve_forever()


def bjoern_alone(application: WSGIApplication, listener: socket.socket) -> None:
    import bjoern

    bjoern.server_run(listener, application)


OTHERS = {"under-waitress": under_waitress, "waitress": waitress_alone, "wsgiref": wsgiref_alone, "bjoern": bjoern_alone}


def main(mode: str, name: str, descriptor: str, *options: str) -> None:
    listener = socket.socket(fileno=int(descriptor))
    application = load(name)
    if run := OTHERS.get(mode):
        run(application, listener)
    else:
        pairs = (option.split("=", 1) for option in options)
        values = {key: json.loads(value) for key, value in pairs}
        ours(mode, application, listener, {key: tuple(each) if isinstance(each, list) else each for key, each in values.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
