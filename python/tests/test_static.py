"""The application of `--static`, called without a server and inside the validator."""

from __future__ import annotations

import os
from email.utils import formatdate
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from enfilade.static import StaticFiles

Response = tuple[int, dict[str, str], bytes]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "hello.txt").write_bytes(b"0123456789")
    (root / "sub" / "index.html").write_text("<p>index</p>")
    (root / "caf\u00e9.svg").write_text("<svg/>")
    (root / "archive.tar.gz").write_bytes(b"\x1f\x8b")
    (root / "none").write_bytes(b"")
    (root / ".hidden").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (root / "out").symlink_to(tmp_path / "secret.txt")
    (root / "within").symlink_to(root / "hello.txt")
    (root / "loop").symlink_to(root / "loop")
    os.mkfifo(root / "pipe")
    return root


def ask(folder: Path, path: str, method: str = "GET", **headers: str) -> Response:
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "/static", "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    environ.pop("HTTP_HOST")
    environ.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
    started: list[Any] = []

    def start(status: str, fields: list[tuple[str, str]], error: Any = None) -> Any:
        started.append((int(status[:3]), dict(fields)))
        return lambda block: None

    result = validator(StaticFiles(folder))(environ, start)
    try:
        body = b"".join(result)
    finally:
        result.close()  # type: ignore[attr-defined]
    status, fields = started[0]
    if "Content-Length" in fields and method != "HEAD":
        assert int(fields["Content-Length"]) == len(body)
    return status, fields, body


def test_a_file(folder: Path) -> None:
    status, fields, body = ask(folder, "/hello.txt")
    about = (folder / "hello.txt").stat()
    assert (status, body) == (200, b"0123456789")
    assert fields == {
        "Last-Modified": formatdate(about.st_mtime, usegmt=True), "ETag": f'"{about.st_mtime_ns:x}-a"',
        "Content-Type": "text/plain; charset=utf-8", "Accept-Ranges": "bytes", "Content-Length": "10"}


@pytest.mark.parametrize(("path", "kind", "coding"), [
    ("/sub/index.html", "text/html; charset=utf-8", None), ("/caf\u00c3\u00a9.svg", "image/svg+xml; charset=utf-8", None),
    ("/archive.tar.gz", "application/x-tar", "gzip"), ("/none", "application/octet-stream", None),
    ("/sub/", "text/html; charset=utf-8", None), ("/within", "text/plain; charset=utf-8", None),
])
def test_types(folder: Path, path: str, kind: str, coding: str | None) -> None:
    status, fields, _ = ask(folder, path)
    # The type is that of the requested name or of its target; both are the same file.
    assert (status, fields["Content-Type"], fields.get("Content-Encoding")) == (200, kind, coding)


def test_head(folder: Path) -> None:
    status, fields, body = ask(folder, "/hello.txt", "HEAD")
    assert (status, fields["Content-Length"], body) == (200, "10", b"")


@pytest.mark.parametrize("path", [
    "/nothing", "/../secret.txt", "/sub/../../secret.txt", "//../secret.txt", "/out", "/loop", "/.hidden", "/./hello.txt", "/empty/",
    "/pipe", "/hello.txt/x", "/\0", "/hello.txt\0", "/" + "x" * 5000, "/" + "x/" * 3000, "/\u00ff\u00fe", "/..", "/..%2fsecret.txt",
])
def test_paths_that_are_not_found(folder: Path, path: str) -> None:
    assert ask(folder, path)[0] == 404


def test_a_folder_without_its_slash(folder: Path) -> None:
    status, fields, _ = ask(folder, "/sub")
    assert (status, fields["Location"]) == (301, "/static/sub/")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods(folder: Path, method: str) -> None:
    status, fields, _ = ask(folder, "/hello.txt", method)
    assert (status, fields["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(("value", "status", "content", "body"), [
    ("bytes=0-0", 206, "bytes 0-0/10", b"0"), ("bytes=2-4", 206, "bytes 2-4/10", b"234"), ("bytes=7-", 206, "bytes 7-9/10", b"789"),
    ("bytes=-3", 206, "bytes 7-9/10", b"789"), ("bytes=-99", 206, "bytes 0-9/10", b"0123456789"),
    ("bytes=5-999", 206, "bytes 5-9/10", b"56789"), ("bytes=10-", 416, "bytes */10", None), ("bytes=-0", 416, "bytes */10", None),
    ("bytes=4-2", 200, None, b"0123456789"), ("bytes=a-b", 200, None, b"0123456789"), ("lines=1-2", 200, None, b"0123456789"),
    ("bytes=1-2,4-5", 200, None, b"0123456789"), ("bytes=", 200, None, b"0123456789"), ("bytes=-", 200, None, b"0123456789"),
    ("bytes=" + "9" * 5000 + "-", 200, None, b"0123456789"), ("bytes=\u00b2-", 200, None, b"0123456789"),
])
def test_ranges(folder: Path, value: str, status: int, content: str | None, body: bytes | None) -> None:
    got, fields, received = ask(folder, "/hello.txt", RANGE=value)
    assert (got, fields.get("Content-Range")) == (status, content)
    assert body is None or received == body


def test_conditions(folder: Path) -> None:
    _, fields, _ = ask(folder, "/hello.txt")
    etag, modified = fields["ETag"], fields["Last-Modified"]
    for conditions in ({"IF_NONE_MATCH": etag}, {"IF_NONE_MATCH": f'"x", W/{etag}'}, {"IF_NONE_MATCH": "*"},
                       {"IF_MODIFIED_SINCE": modified}):
        status, fields, body = ask(folder, "/hello.txt", **conditions)
        assert (status, body, fields) == (304, b"", {"Last-Modified": modified, "ETag": etag})
    for conditions in ({"IF_NONE_MATCH": '"x"'}, {"IF_NONE_MATCH": '"x"', "IF_MODIFIED_SINCE": modified},
                       {"IF_MODIFIED_SINCE": "Thu, 01 Jan 1970 00:00:00 GMT"}, {"IF_MODIFIED_SINCE": "nonsense"}):
        assert ask(folder, "/hello.txt", **conditions)[0] == 200


def test_a_range_applies_if_the_file_has_not_changed(folder: Path) -> None:
    _, fields, _ = ask(folder, "/hello.txt")
    assert ask(folder, "/hello.txt", RANGE="bytes=1-2", IF_RANGE=fields["ETag"])[0] == 206
    assert ask(folder, "/hello.txt", RANGE="bytes=1-2", IF_RANGE=fields["Last-Modified"])[0] == 206
    assert ask(folder, "/hello.txt", RANGE="bytes=1-2", IF_RANGE='"other"')[0] == 200
    assert ask(folder, "/hello.txt", RANGE="bytes=1-2", IF_RANGE="Thu, 01 Jan 1970 00:00:00 GMT")[0] == 200
