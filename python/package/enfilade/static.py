"""Serves the files of one folder, for `enfilade serve --static`."""

from __future__ import annotations

import mimetypes
import os
import stat
from collections.abc import Iterable, Iterator
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote
from wsgiref.util import FileWrapper

if TYPE_CHECKING:
    # `wsgiref.types` is not in Python 3.10.
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Headers = list[tuple[str, str]]
Range = tuple[int, int]


class StaticFiles:
    """A WSGI application that serves the regular files below `folder`.

    Returns 404 for a path that leads out of the folder, and for names that begin with a dot. For a folder it serves its
    `index.html`. Responses have `Last-Modified` and `ETag`. It honours `If-None-Match`, `If-Modified-Since`, `If-Range` and a
    single byte range (RFC 9110, 13 and 14). For several ranges it returns the whole file.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._root = Path(folder).resolve()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if method not in ("GET", "HEAD"):
            return _plain(start_response, "405 Method Not Allowed", [("Allow", "GET, HEAD")])
        path = self._resolve(environ.get("PATH_INFO", ""))
        if path is not None and os.path.isdir(path):
            if not environ.get("PATH_INFO", "").endswith("/"):
                location = quote(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), encoding="latin-1") + "/"
                # With two slashes at the start the location would name a host.
                return _plain(start_response, "301 Moved Permanently", [("Location", "/" + location.lstrip("/"))])
            path = self._resolve(environ.get("PATH_INFO", "") + "index.html")
        if path is None:
            return _plain(start_response, "404 Not Found", [])
        try:
            file = _open(path)
        except OSError:
            return _plain(start_response, "404 Not Found", [])
        if file is None:
            return _plain(start_response, "404 Not Found", [])
        try:
            return _respond(environ, start_response, file, path, method == "HEAD")
        except BaseException:
            file.close()
            raise

    def _resolve(self, path_info: str) -> Path | None:
        """Returns the file of a path with links followed, or None if it is outside the folder or hidden."""
        name = path_info.encode("latin-1").decode("utf-8", "surrogateescape").strip("/")
        parts = name.split("/") if name else []
        if "\0" in name or any(part.startswith(".") for part in parts):
            return None
        try:
            path = self._root.joinpath(*parts).resolve()
        except (OSError, RuntimeError, ValueError):
            return None
        return path if path == self._root or self._root in path.parents else None


def _open(path: Path) -> BinaryIO | None:
    """Opens a regular file, or returns None for another kind; non-blocking, as opening a named pipe waits for its writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def _respond(environ: WSGIEnvironment, start_response: StartResponse, file: BinaryIO, path: Path, head: bool) -> Iterable[bytes]:
    about = os.fstat(file.fileno())
    etag = f'"{about.st_mtime_ns:x}-{about.st_size:x}"'
    headers: Headers = [("Last-Modified", formatdate(about.st_mtime, usegmt=True)), ("ETag", etag)]
    if _unchanged(environ, etag, about.st_mtime):
        file.close()
        start_response("304 Not Modified", headers)
        return []
    kind, coding = mimetypes.guess_type(path.name)
    headers += [("Content-Type", _content_type(kind)), ("Accept-Ranges", "bytes")]
    if coding:
        headers.append(("Content-Encoding", coding))
    part = None if head else _range(environ, etag, about.st_mtime, about.st_size)
    if part == (0, 0):
        file.close()
        return _plain(start_response, "416 Range Not Satisfiable", [("Content-Range", f"bytes */{about.st_size}")])
    first, end = part or (0, about.st_size)
    if part:
        headers.append(("Content-Range", f"bytes {first}-{end - 1}/{about.st_size}"))
    headers.append(("Content-Length", str(end - first)))
    start_response("206 Partial Content" if part else "200 OK", headers)
    if head:
        file.close()
        return []
    if part:
        return _Part(file, first, end - first)
    wrapper: Any = environ.get("wsgi.file_wrapper", FileWrapper)
    result: Iterable[bytes] = wrapper(file, 65536)
    return result


class _Part:
    """Part of a file, in blocks."""

    def __init__(self, file: BinaryIO, first: int, length: int) -> None:
        self._file, self._left = file, length
        file.seek(first)

    def __iter__(self) -> Iterator[bytes]:
        while self._left and (block := self._file.read(min(self._left, 65536))):
            self._left -= len(block)
            yield block

    def close(self) -> None:
        self._file.close()


def _content_type(kind: str | None) -> str:
    if kind is None:
        return "application/octet-stream"
    text = kind.startswith("text/") or kind in ("application/javascript", "application/json", "image/svg+xml")
    return f"{kind}; charset=utf-8" if text else kind


def _unchanged(environ: WSGIEnvironment, etag: str, modified: float) -> bool:
    """RFC 9110, 13.2.2: If-None-Match decides if it is present, else If-Modified-Since."""
    if (tags := environ.get("HTTP_IF_NONE_MATCH")) is not None:
        return tags.strip() == "*" or any(tag.strip().removeprefix("W/") == etag for tag in tags.split(","))
    since = _time(environ.get("HTTP_IF_MODIFIED_SINCE"))
    return since is not None and int(modified) <= since


def _time(value: str | None) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp() if value else None
    except (ValueError, TypeError, OverflowError):
        return None


def _range(environ: WSGIEnvironment, etag: str, modified: float, size: int) -> Range | None:
    """Returns the requested bytes, from the first to past the last; (0, 0) if none exist, None for the whole file."""
    unit, separator, value = environ.get("HTTP_RANGE", "").partition("=")
    first, dash, last = value.strip().partition("-")
    if unit.strip().lower() != "bytes" or not separator or not dash or not _digits(first) or not _digits(last):
        return None
    condition = environ.get("HTTP_IF_RANGE")
    if condition is not None and condition.strip() != etag and _time(condition) != int(modified):
        return None
    if not first:
        length = min(int(last), size) if last else 0
        return ((size - length, size) if length else (0, 0)) if last else None
    if last and int(last) < int(first):
        return None
    start, end = int(first), min(int(last) + 1, size) if last else size
    return (start, end) if start < size else (0, 0)


def _digits(text: str) -> bool:
    """Allows at most 18 digits: no file is larger, and `int` is slow for a long text."""
    return text == "" or (text.isascii() and text.isdigit() and len(text) <= 18)


def _plain(start_response: StartResponse, status: str, headers: Headers) -> Iterable[bytes]:
    body = f"{status[4:]}\n".encode("latin-1")
    start_response(status, [*headers, ("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
