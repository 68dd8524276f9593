"""Runs servers in this process, for applications that a test makes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import enfilade


@contextlib.contextmanager
def serving(application: Any, host: str = "127.0.0.1", **options: Any) -> Iterator[tuple[str, int]]:
    """Serves in a thread until the end of the `with` block, and yields the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        server = enfilade.Server(application, sockets=[listener.fileno()], **options)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            address: tuple[str, int] = listener.getsockname()[:2]
            yield address
        finally:
            server.shutdown()
            thread.join(5)
            assert not thread.is_alive()
