"""Makes the sockets that all workers share, before the first worker starts."""

from __future__ import annotations

import os
import socket
import stat


class BindError(Exception):
    """Listening on an address failed; the text has the address and the reason."""


def listen(address: str, backlog: int) -> socket.socket:
    """Returns a listening socket for `host:port`, `[ipv6]:port`, `unix:path` or `fd://N`; raises BindError.

    The socket is non-blocking from the start. All processes share this setting of the socket, so a worker that ends must not
    restore the previous setting.
    """
    listener = opened(address, backlog)
    listener.setblocking(False)
    return listener


def opened(address: str, backlog: int) -> socket.socket:
    try:
        if address.startswith("unix:"):
            return listen_unix(address[5:], backlog)
        if address.startswith("fd://"):
            return inherited(int(address[5:]), backlog)
        return listen_tcp(address, backlog)
    except OSError as error:
        raise BindError(f"cannot listen on {address}: {error.strerror or error}") from error


def listen_tcp(address: str, backlog: int) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    found = socket.getaddrinfo(host or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # `:8000` is IPv4, as in gunicorn; for IPv6 write [::]:8000.
    family, kind, protocol, _, where = next((each for each in found if each[0] == socket.AF_INET), found[0])
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(where)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def listen_unix(path: str, backlog: int) -> socket.socket:
    """Replaces the socket of a dead server, but not a socket that a server listens on or a file of another kind."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        remove_stale(path)
        listener.bind(path)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise FileExistsError(0, "the path exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        else:
            raise OSError(0, "a server already listens there")


def inherited(descriptor: int, backlog: int) -> socket.socket:
    listener = socket.socket(fileno=os.dup(descriptor))
    listener.listen(backlog)
    return listener


def name_of(listener: socket.socket, tls: bool) -> str:
    """Returns the address for messages, such as http://127.0.0.1:8000 or unix:/run/app.sock."""
    address = listener.getsockname()
    if isinstance(address, (str, bytes)):
        return f"unix:{os.fsdecode(address)}"
    host = f"[{address[0]}]" if listener.family == socket.AF_INET6 else address[0]
    return f"{'https' if tls else 'http'}://{host}:{address[1]}"
