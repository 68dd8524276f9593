"""A client that sends raw bytes and reports how a response ended."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass, field
from types import TracebackType

Address = tuple[str, int] | str


@dataclass
class Response:
    """One response as it was on the wire; `complete` says whether its framing was correct."""

    version: str
    status: int
    reason: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    complete: bool = True
    interim: list[int] = field(default_factory=list)
    chunked: bool = False
    raw_names: list[str] = field(default_factory=list)

    def values(self, name: str) -> list[str]:
        """Returns all values of a header, by its name in lower case."""
        return [value for each, value in self.headers if each == name]

    def value(self, name: str) -> str | None:
        """Returns the only value of a header, or None; more than one is an error."""
        values = self.values(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    @property
    def text(self) -> str:
        return self.body.decode("latin-1")


class Closed(Exception):
    """The server closed the connection before a response began."""


class Client:
    """One connection."""

    def __init__(self, address: Address, timeout: float = 8.0) -> None:
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            try:
                self.socket.connect(address)
            except OSError:
                self.socket.close()
                raise
        else:
            self.socket = socket.create_connection(address, timeout)
        self.address, self.timeout = address, timeout
        self.buffer = b""
        self.may_close = False
        """Whether the server may close the connection after a response; Enfilade never does so here."""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def reset(self) -> None:
        """Closes with RST, as a client that was killed does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def request(self, method: str, target: str, headers: list[tuple[str, str]] | None = None, body: bytes = b"",
                version: str = "HTTP/1.1") -> Response:
        """Sends a request and reads its response; `Host` and `Content-Length` are added if they are missing."""
        if self.may_close and self.buffer == b"" and self.closed(0.02):
            self.socket.close()
            self.socket = socket.create_connection(self.address, self.timeout)
        self.send(head(method, target, headers, len(body) if body else None, version) + body)
        return self.response(method)

    def get(self, target: str, headers: list[tuple[str, str]] | None = None) -> Response:
        return self.request("GET", target, headers)

    def follow(self, target: str = "/up") -> Response:
        """Sends one more request."""
        return self.get(target)

    def post(self, target: str, body: bytes, headers: list[tuple[str, str]] | None = None) -> Response:
        return self.request("POST", target, headers, body)

    def more(self) -> bool:
        """Reads more bytes. Returns False at the end of the connection, however it ended."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            return False
        self.buffer += data
        return bool(data)

    def line(self) -> bytes | None:
        while b"\n" not in self.buffer:
            if not self.more():
                return None
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def exactly(self, length: int) -> tuple[bytes, bool]:
        while len(self.buffer) < length:
            if not self.more():
                data, self.buffer = self.buffer, b""
                return data, False
        data, self.buffer = self.buffer[:length], self.buffer[length:]
        return data, True

    def rest(self) -> bytes:
        """Returns all bytes up to the end of the connection."""
        while self.more():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def quiet(self, seconds: float = 0.15) -> bytes:
        """Returns the bytes that come within `seconds`; none if the response is over."""
        limit = time.monotonic() + seconds
        before = self.socket.gettimeout()
        try:
            while (left := limit - time.monotonic()) > 0:
                self.socket.settimeout(left)
                if not self.more():
                    break
        except TimeoutError:
            pass
        finally:
            self.socket.settimeout(before)
        data, self.buffer = self.buffer, b""
        return data

    def closed(self, seconds: float = 4.0) -> bool:
        """Whether the server closes the connection within `seconds` without sending more."""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds)
        try:
            return not self.more()
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(before)

    def response_head(self) -> Response:
        """Reads one head, an interim one too."""
        start = self.line()
        if start is None:
            raise Closed
        version, status, *reason = start.decode("latin-1").split(" ", 2)
        response = Response(version, int(status), reason[0] if reason else "", [])
        while line := self.line():
            name, separator, value = line.decode("latin-1").partition(":")
            assert separator, f"a header line without a colon: {line!r}"
            response.raw_names.append(name)
            response.headers.append((name.lower(), value.strip(" \t")))
        if line is None:
            response.complete = False
        return response

    def response(self, method: str = "GET") -> Response:
        """Reads one response, after the interim ones."""
        interim = []
        response = self.response_head()
        while response.status < 200:
            interim.append(response.status)
            response = self.response_head()
        response.interim = interim
        if method == "HEAD" or response.status in (204, 304):
            return response
        if "chunked" in (response.value("transfer-encoding") or ""):
            response.chunked = True
            self.read_chunks(response)
        elif (length := response.value("content-length")) is not None:
            response.body, response.complete = self.exactly(int(length))
        else:
            response.body = self.rest()
        return response

    def chunk(self) -> bytes | None:
        """Returns one chunk: b"" for the last one, None if the connection ended before it."""
        size = self.line()
        if not size:
            return None
        data, complete = self.exactly(int(size.split(b";")[0], 16))
        if not complete or self.line() is None:
            return None
        return data

    def read_chunks(self, response: Response) -> None:
        parts = []
        while data := self.chunk():
            parts.append(data)
        response.body, response.complete = b"".join(parts), data is not None


def head(method: str, target: str, headers: list[tuple[str, str]] | None = None, length: int | None = None,
         version: str = "HTTP/1.1") -> bytes:
    """Returns a request's head; `Host` and `Content-Length` are added if they are missing."""
    fields = list(headers or [])
    names = {name.lower() for name, _ in fields}
    if "host" not in names and version == "HTTP/1.1":
        fields.insert(0, ("Host", "localhost"))
    if length is not None and not names & {"content-length", "transfer-encoding"}:
        fields.append(("Content-Length", str(length)))
    lines = [f"{method} {target} {version}"] + [f"{name}: {value}" for name, value in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunks(*blocks: bytes) -> bytes:
    """Returns a complete chunked body of these blocks."""
    return b"".join(b"%x\r\n%s\r\n" % (len(block), block) for block in blocks) + b"0\r\n\r\n"
