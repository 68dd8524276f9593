"""Checks responses, and transfers large bodies faster than the servers do."""

from __future__ import annotations

import http.client
import socket
import time

BUFFER = bytearray(2**20)


def fetch(port: int, path: str, length: int = 0) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST" if length else "GET", path, b"x" * length if length else None)
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"{path}: status {response.status} and not 200: {body[:200]!r}")
        return body
    finally:
        connection.close()


def check(port: int, path: str, length: int, expected: bytes) -> None:
    body = fetch(port, path, length)
    if body != expected:
        raise RuntimeError(f"{path}: got {body[:100]!r} and not {expected[:100]!r}")


def requests_in_a_row(port: int, path: str, count: int, expected: bytes) -> None:
    """Sends requests on one connection, as long as the server keeps it, and checks each response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(count):
        connection.request("GET", path)
        assert connection.getresponse().read() == expected
    connection.close()


def transfer_down(port: int, total: int) -> float:
    """Returns the seconds until `total` bytes of a response have arrived, with head and framing."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        started = time.perf_counter()
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = 0
        # Not to the end of the connection: some servers keep it for a while, even with Connection: close.
        while received < total and (count := connection.recv_into(BUFFER)):
            received += count
        elapsed = time.perf_counter() - started
    if received < total:
        raise RuntimeError(f"{received} bytes came of {total}")
    return elapsed


def transfer_up(port: int, total: int) -> float:
    """Returns the seconds from the first byte of a body to the response, which has its length."""
    block = b"x" * 2**20
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        started = time.perf_counter()
        connection.sendall(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(total // len(block)):
            connection.sendall(block)
        received = b""
        while not received.endswith(str(total).encode()):
            data = connection.recv(65536)
            if not data:
                raise RuntimeError(f"upload: got {received!r}")
            received += data
        return time.perf_counter() - started
