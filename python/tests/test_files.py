"""`Files`: a directory, alone, in mounts and around an application, with one thread and with several."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import enfilade
import pytest
from support.inside import serving
from support.raw import Client, Response

LONG = bytes(range(251)) * 40_000
"""About 10 MB: more than is read at once."""


def inner(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    body = f"app {environ['REQUEST_METHOD']} {environ['SCRIPT_NAME']} {environ['PATH_INFO']}".encode("latin-1")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outside = tmp_path_factory.mktemp("files")
    root = outside / "root"
    (root / "sub").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / ".git").mkdir()
    (root / ".well-known").mkdir()
    (root / "hello.txt").write_bytes(b"0123456789")
    (root / "sub" / "index.html").write_text("<p>index</p>")
    (root / "caf\u00e9.svg").write_text("<svg/>")
    (root / "a@b.txt").write_text("at")
    (root / "none").write_bytes(b"")
    (root / "long.bin").write_bytes(LONG)
    (root / "app.3f2a9c1b.js").write_text("start()")
    (root / "app.3f2a9c1b.js.br").write_bytes(b"brotli")
    (root / ".env").write_text("secret")
    (root / ".git" / "config").write_text("secret")
    (root / ".well-known" / "security.txt").write_text("Contact: a@b.example")
    (outside / "secret.txt").write_text("secret")
    (root / "out").symlink_to(outside / "secret.txt")
    (root / "up").symlink_to("../secret.txt")
    (root / "above").symlink_to("..")
    (root / "within").symlink_to("hello.txt")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture(scope="module", params=[1, 4])
def client(request: pytest.FixtureRequest, folder: Path) -> Iterator[Client]:
    app = enfilade.Mounts({"/static": enfilade.Files(folder), "/root": enfilade.Files(folder, inner)}, default=inner)
    with serving(app, threads=request.param) as address, Client(address) as client:
        yield client


def test_a_file(client: Client, folder: Path) -> None:
    response = client.get("/static/hello.txt")
    about = (folder / "hello.txt").stat()
    assert (response.status, response.body) == (200, b"0123456789")
    assert response.value("last-modified") == formatdate(about.st_mtime, usegmt=True)
    assert (response.value("content-type"), response.value("content-length")) == ("text/plain; charset=utf-8", "10")
    assert (response.value("accept-ranges"), response.value("x-content-type-options")) == ("bytes", "nosniff")


def test_the_head_of_a_file(client: Client) -> None:
    response = client.request("HEAD", "/static/hello.txt")
    assert (response.status, response.value("content-length"), response.body) == (200, "10", b"")
    assert client.get("/static/hello.txt").body == b"0123456789"


@pytest.mark.parametrize(("path", "kind"), [
    ("/sub/index.html", "text/html; charset=utf-8"), ("/sub/", "text/html; charset=utf-8"), ("/caf%C3%A9.svg", "image/svg+xml; charset=utf-8"),
    ("/none", "application/octet-stream"), ("/within", "application/octet-stream"),
    ("/.well-known/security.txt", "text/plain; charset=utf-8"),
])
def test_types(client: Client, path: str, kind: str) -> None:
    response = client.get(f"/static{path}")
    assert (response.status, response.value("content-type")) == (200, kind)


@pytest.mark.parametrize("path", [
    "/nothing", "/out", "/up", "/above/secret.txt", "/loop", "/.env", "/%2Eenv", "/.git/config", "/empty/", "/empty", "/pipe",
    "/hello.txt/", "/hello.txt/x", "/%00", "/hello.txt%00", "/" + "x" * 5000, "/" + "x/" * 3000, "/%FF%FE", "/..%2fsecret.txt",
    "/..%5csecret.txt", "/sub%2Findex.html", "//hello.txt", "/sub/..%2f..%2fsecret.txt",
])
def test_paths_that_are_not_found(client: Client, path: str) -> None:
    response = client.get(f"/static{path}")
    assert (response.status, b"secret" in response.body) == (404, False)


@pytest.mark.parametrize("dots", ["..", "%2e%2e", "%2E.", ".%2e"])
def test_dots_do_not_lead_out_of_the_mount(client: Client, dots: str) -> None:
    # The path is made canonical before the mounts see it.
    assert client.get(f"/static/{dots}/secret.txt").text == "app GET  /secret.txt"
    assert client.get(f"/static/sub/{dots}/hello.txt").body == b"0123456789"
    assert client.get(f"/static/{dots}/{dots}/{dots}/secret.txt").text == "app GET  /secret.txt"


@pytest.mark.parametrize(("path", "location"), [
    ("/static/sub", "/static/sub/"), ("/static/sub?a=b", "/static/sub/?a=b"), ("/root/sub", "/root/sub/"),
    ("/static/a%40b.txt", "/static/a@b.txt"),
])
def test_redirects_have_the_prefix_of_the_mount(client: Client, path: str, location: str) -> None:
    response = client.get(path)
    assert (response.status, response.value("location")) == (308, location)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods(client: Client, method: str) -> None:
    response = client.request(method, "/static/hello.txt")
    assert (response.status, response.value("allow")) == (405, "GET, HEAD")
    # Around an application the file decides.
    assert client.request(method, "/root/hello.txt").status == 405
    assert client.request(method, "/root/nothing").text == f"app {method} /root /nothing"


@pytest.mark.parametrize(("value", "status", "content", "body"), [
    ("bytes=0-0", 206, "bytes 0-0/10", b"0"), ("bytes=2-4", 206, "bytes 2-4/10", b"234"), ("bytes=7-", 206, "bytes 7-9/10", b"789"),
    ("bytes=-3", 206, "bytes 7-9/10", b"789"), ("bytes=-99", 206, "bytes 0-9/10", b"0123456789"),
    ("bytes=5-999", 206, "bytes 5-9/10", b"56789"), ("bytes=10-", 416, "bytes */10", None), ("bytes=-0", 416, "bytes */10", None),
    ("bytes=4-2", 200, None, b"0123456789"), ("bytes=a-b", 200, None, b"0123456789"), ("lines=1-2", 200, None, b"0123456789"),
    ("bytes=", 200, None, b"0123456789"), ("bytes=-", 200, None, b"0123456789"),
])
def test_ranges(client: Client, value: str, status: int, content: str | None, body: bytes | None) -> None:
    response = client.get("/static/hello.txt", [("Range", value)])
    assert (response.status, response.value("content-range")) == (status, content)
    assert body is None or response.body == body


def test_several_ranges(client: Client) -> None:
    response = client.get("/static/hello.txt", [("Range", "bytes=1-2,5-6")])
    kind = response.value("content-type") or ""
    assert (response.status, kind.startswith("multipart/byteranges; boundary=")) == (206, True)
    parts = response.body.split(b"--" + kind.partition("boundary=")[2].encode())
    assert [part.partition(b"\r\n\r\n")[2] for part in parts[1:-1]] == [b"12\r\n", b"56\r\n"]


def test_conditions(client: Client) -> None:
    fields = client.get("/static/hello.txt")
    etag, modified = fields.value("etag") or "", fields.value("last-modified") or ""
    assert etag and modified
    for conditions in ([("If-None-Match", etag)], [("If-None-Match", f'"x", {etag}')], [("If-None-Match", "*")],
                       [("If-Modified-Since", modified)]):
        response = client.get("/static/hello.txt", conditions)
        assert (response.status, response.body) == (304, b""), conditions
        assert response.value("etag") == etag
    for conditions in ([("If-None-Match", '"x"')], [("If-None-Match", '"x"'), ("If-Modified-Since", modified)],
                       [("If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")], [("If-Modified-Since", "nonsense")]):
        assert client.get("/static/hello.txt", conditions).status == 200, conditions
    for conditions in ([("If-Match", '"x"')], [("If-Unmodified-Since", "Thu, 01 Jan 1970 00:00:00 GMT")]):
        assert client.get("/static/hello.txt", conditions).status == 412, conditions


def test_a_range_applies_if_the_file_has_not_changed(client: Client) -> None:
    def status(condition: str) -> int:
        return client.get("/static/hello.txt", [("Range", "bytes=1-2"), ("If-Range", condition)]).status

    tag = client.get("/static/hello.txt").value("etag") or ""
    # A weak tag does not compare as strong (RFC 9110, section 13.1.5).
    assert (tag.startswith("W/"), status(tag)) == (True, 200)
    assert status('"other"') == status("Thu, 01 Jan 1970 00:00:00 GMT") == 200


def test_a_long_file_and_its_parts(client: Client) -> None:
    response = client.get("/static/long.bin")
    assert (response.status, response.complete, response.body == LONG) == (200, True, True)
    part = client.get("/static/long.bin", [("Range", f"bytes=5-{len(LONG) - 7}")])
    assert (part.status, part.body == LONG[5:-6]) == (206, True)
    assert client.get("/static/hello.txt").body == b"0123456789"


def test_around_an_application(client: Client) -> None:
    assert client.get("/root/hello.txt").body == b"0123456789"
    assert client.get("/root/orders/7").text == "app GET /root /orders/7"
    # A hidden file is not there either, and the application sees the path.
    assert client.get("/root/.env").text == "app GET /root /.env"
    assert client.post("/root/orders", b"x=1").text == "app POST /root /orders"


@pytest.mark.parametrize("threads", [1, 4])
def test_options(folder: Path, threads: int) -> None:
    def get(target: str, *headers: tuple[str, str], **options: Any) -> Response:
        app = enfilade.Files(folder, **options)
        with serving(app, threads=threads) as address, Client(address) as client:
            return client.get(target, list(headers))

    script = "/app.3f2a9c1b.js"
    assert get("/sub/", index=["hello.txt"]).status == 404
    assert get("/", index=["hello.txt"]).body == b"0123456789"
    assert get("/sub/index.html", canonical=True).value("location") == "/sub/"
    assert get("/sub/index", html_extension=True).text == "<p>index</p>"
    page = {"single_page": "sub/index.html", "single_page_except": ["/api"]}
    assert get("/users/7", ("Accept", "text/html"), **page).text == "<p>index</p>"
    assert get("/api/7", ("Accept", "text/html"), **page).status == get("/users/7", ("Accept", "text/css"), **page).status == 404
    assert get(script, ("Accept-Encoding", "br"), precompressed=["br"]).body == b"brotli"
    assert get(script, precompressed=["br"]).value("vary") == "accept-encoding"
    assert get(f"{script}.br", precompressed=["br"]).status == 404
    assert get(f"{script}.br", precompressed=["br"], serve_siblings=True).body == b"brotli"
    names = get("/", ("Accept", "application/json"), listing=True).text
    assert '"name":"hello.txt"' in names and "secret" not in names and ".env" not in names
    assert get("/", ("Accept", "application/json"), listing=True, listing_limit=1).text.count('"name"') <= 1
    assert get("/caf%C3%A9.svg", untrusted=True).value("content-disposition") == "attachment"
    assert get("/none", content_types={"none": "x/y"}).value("content-type") == "application/octet-stream"
    assert get("/hello.txt", content_types={"txt": "text/x"}).value("content-type") == "text/x"
    assert get("/hello.txt", max_age=60).value("cache-control") == "public, max-age=60"
    assert get("/hello.txt").value("cache-control") is None
    assert get(script, hashed_names=True).value("cache-control") == "public, max-age=31536000, immutable"
    assert get("/.env", insecure_show_hidden=True).body == b"secret"
    assert get("/within", links="refuse").status == 404
    assert get("/out", links="insecure_follow").body == b"secret"
    assert get("/hello.txt", cache_size=0).body == get("/hello.txt", check_after=0).body == b"0123456789"
    assert get("/hello.txt", ("Range", "bytes=1-2,5-6"), max_ranges=1).status == 200


@pytest.mark.parametrize("threads", [1, 4])
def test_a_changed_file_is_seen(tmp_path: Path, threads: int) -> None:
    (tmp_path / "page").write_text("before")
    with serving(enfilade.Files(tmp_path, check_after=0), threads=threads) as address, Client(address) as client:
        assert client.get("/page").text == "before"
        (tmp_path / "new").write_text("after it")
        (tmp_path / "new").rename(tmp_path / "page")
        assert client.get("/page").text == "after it"
        (tmp_path / "page").unlink()
        assert client.get("/page").status == 404


@pytest.mark.parametrize("threads", [1, 4])
def test_around_flask(folder: Path, threads: int) -> None:
    flask = pytest.importorskip("flask")
    site = flask.Flask("site", static_folder=None)
    site.add_url_rule("/", "home", lambda: "home")
    site.add_url_rule("/hello.txt", "posted", lambda: "posted", methods=["POST"])
    site.add_url_rule("/.env", "env", lambda: "the route")
    site.wsgi_app = enfilade.Files(folder, site.wsgi_app, pass_methods=True)
    with serving(enfilade.Compression(site), threads=threads) as address, Client(address) as client:
        assert client.get("/").text == "home"
        assert client.get("/hello.txt").body == b"0123456789"
        assert client.post("/hello.txt", b"a=b").text == "posted"
        assert client.get("/.env").text == "the route"
        assert client.get("/sub").value("location") == "/sub/"
        assert client.get("/nothing").status == 404
        assert client.get("/long.bin").body == LONG


def call(app: Any, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Calls an application as any WSGI server does."""
    environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SCRIPT_NAME": "/static", "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    environ.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
    started: list[Any] = []

    def start(status: str, fields: list[tuple[str, str]], error: Any = None) -> Any:
        started.append((int(status[:3]), {name.lower(): value for name, value in fields}))
        return lambda block: None

    result = app(environ, start)
    try:
        body = b"".join(result)
    finally:
        if hasattr(result, "close"):
            result.close()
    return (*started[0], body)


@pytest.mark.parametrize("around", [False, True])
def test_under_another_server(folder: Path, around: bool) -> None:
    app = enfilade.Files(folder, inner) if around else enfilade.Files(folder)
    # It requires a type of each response, and so it is not around those without content.
    checked = validator(app)
    assert call(checked, "/hello.txt")[::2] == (200, b"0123456789")
    assert call(checked, "/long.bin")[::2] == (200, LONG)
    assert call(checked, "/hello.txt", RANGE="bytes=2-4")[::2] == (206, b"234")
    status, fields, _ = call(app, "/sub")
    assert (status, fields["location"]) == (308, "/static/sub/")
    for path in ("/.env", "/../secret.txt", "/sub/../../secret.txt", "/out", "/\0"):
        status, _, body = call(app, path)
        assert (status, b"secret" == body) == (200 if around else 404, False), path


@pytest.mark.parametrize(("arguments", "options", "error", "message"), [
    (["/missing/folder"], {}, FileNotFoundError, "[Errno 2] No such file or directory: '/missing/folder'"),
    (["/dev/null"], {}, NotADirectoryError, "[Errno 20] Not a directory: '/dev/null'"),
    ([7], {}, TypeError, "expected str, bytes or os.PathLike object, not int"),
    (["."], {"links": "all"}, ValueError, '"all" is not one of inside, refuse, insecure_follow'),
    (["."], {"precompressed": ["lzma"]}, ValueError, '"lzma" is not one of br, gzip, zstd'),
    (["."], {"precompressed": "br"}, TypeError, "precompressed must be a list of strings, not 'br'"),
    (["."], {"index": "index.html"}, TypeError, "index must be a list of strings, not 'index.html'"),
    (["."], {"single_page": "/index.html"}, ValueError, '"/index.html" is not the path of a file, such as `index.html`'),
    (["."], {"max_age": -1}, ValueError, "max_age must be from 0 to 2147483648, not -1"),
    (["."], {"cache_size": "1M"}, TypeError, "cache_size must be a whole number, not '1M'"),
    (["."], {"check_after": -1}, ValueError, "check_after must be a number of seconds from 0 to 366 days, not -1"),
    (["."], {"content_types": {"txt": "text"}}, ValueError, None),
    (["."], {"listing_limit": -1, "listing": True}, ValueError, "listing_limit must be 0 or more, not -1"),
    ([".", "app"], {}, TypeError, "a WSGI application must be callable, and an object of type str is not"),
])
def test_wrong_options(arguments: list[Any], options: Any, error: type[Exception], message: str | None) -> None:
    with pytest.raises(error) as raised:
        enfilade.Files(*arguments, **options)
    assert message is None or str(raised.value) == message
