"""Checks answers, and moves large bodies faster than the servers do."""

from __future__ import annotations

import http.client
import socket
import time

BUFFER = bytearray(2**20)


def fetch(port: int, path: str, length: int = 0) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST" if length else "GET", path, b"x" * length if length else None)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} is answered {answer.status}: {body[:200]!r}")
        return body
    finally:
        connection.close()


def check(port: int, path: str, length: int, expected: bytes) -> None:
    body = fetch(port, path, length)
    if body != expected:
        raise RuntimeError(f"{path} is answered with {body[:100]!r} and not {expected[:100]!r}")


def requests_in_a_row(port: int, path: str, count: int, expected: bytes) -> None:
    """On one connection, as long as the server keeps it; each answer is checked."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for _ in range(count):
        connection.request("GET", path)
        assert connection.getresponse().read() == expected
    connection.close()


def transfer_down(port: int, total: int) -> float:
    """The seconds until `total` bytes of an answer are there, its head and its framing among them."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        started = time.perf_counter()
        connection.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = 0
        # Up to here, and not to the end of the connection: some keep it for a while, whatever they are told.
        while received < total and (count := connection.recv_into(BUFFER)):
            received += count
        elapsed = time.perf_counter() - started
    if received < total:
        raise RuntimeError(f"{received} bytes came of {total}")
    return elapsed


def transfer_up(port: int, total: int) -> float:
    """The seconds from the first byte of a body to the answer, which counts them."""
    block = b"x" * 2**20
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        started = time.perf_counter()
        connection.sendall(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(total // len(block)):
            connection.sendall(block)
        answer = b""
        while not answer.endswith(str(total).encode()):
            data = connection.recv(65536)
            if not data:
                raise RuntimeError(f"the upload is answered with {answer!r}")
            answer += data
        return time.perf_counter() - started
