"""Flask, Django and Bottle, with common clients, in each mode and inside `wsgiref.validate`."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import requests
from support import sites
from support.raw import Client
from support.servers import Server

FRAMEWORKS = ("flask", "django", "bottle")
MODES = ("inline", "pool", "wrapped-pool")
# The validator forbids more than PEP 3333: with it, no complaint may be printed.
CASES = [f"{framework}-{mode}" for framework in FRAMEWORKS for mode in MODES] + [
    f"checked_{framework}-{mode}" for framework in FRAMEWORKS for mode in ("inline", "pool")]


def of(*cases: str) -> Any:
    """Selects the sites whose names begin with these, for a test that is not for all."""
    chosen = [case for case in CASES if case.startswith(cases)]
    return pytest.mark.parametrize("site", chosen, indirect=True, scope="module")


@pytest.fixture(scope="module", params=CASES)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    name, mode = request.param.split("-", 1)
    database = tmp_path_factory.mktemp("site") / "site.sqlite"
    with Server(mode, f"support.sites:{name}", environment={"SITE_DATABASE": str(database)}) as server:
        yield server
        log = server.log()
        server.stop()
    complaints = [line for line in log.splitlines() if "AssertionError" in line or "garbage collected" in line]
    assert complaints == [], log[-3000:]


@pytest.fixture
def base(site: Server) -> str:
    return f"http://127.0.0.1:{site.address[1]}"


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = False
        yield opened


def test_a_page(site: Server, base: str, session: requests.Session) -> None:
    response = session.get(base + "/")
    assert (response.status_code, response.text) == (200, f"hello from {framework(site)}")
    assert response.headers["Content-Type"].startswith("text/html")


def framework(site: Server) -> str:
    return str(site.name).removeprefix("checked_")


def test_routes_and_queries(site: Server, base: str, session: requests.Session) -> None:
    response = session.get(base + "/user/caf\u00e9%20au%20lait", params={"q": ["a&b", "\u2603"]})
    assert response.json()["name"] == "caf\u00e9 au lait"
    assert response.json()["query"] == ["a&b", "\u2603"]
    assert response.json()["url"].startswith(base + "/user/caf")


def test_a_missing_page(base: str, session: requests.Session) -> None:
    response = session.get(base + "/nothing")
    assert response.status_code == 404
    assert session.get(base + "/up").text == "up"


def test_forms(base: str, session: requests.Session) -> None:
    response = session.post(base + "/form", data={"a": ["1", "2"], "name": "caf\u00e9 & co"})
    assert response.status_code == 200, response.text
    assert response.json() == {"a": ["1", "2"], "name": ["caf\u00e9 & co"]}


def test_json(base: str, session: requests.Session) -> None:
    value = {"list": [1, 2.5, None, "\u2603"], "text": "x" * 20_000}
    assert session.post(base + "/json", json=value).json() == {"got": value}


@pytest.mark.parametrize("length", [0, 1, 70_000, 3_000_000])
def test_uploads(base: str, session: requests.Session, length: int) -> None:
    data = os.urandom(length)
    response = session.post(base + "/upload", files={"file": ("a \u00e9.bin", data)}, data={"other": "field"})
    assert response.json() == {"name": "a \u00e9.bin", "length": length, "sha256": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("length", [0, 10, 1_000_000])
def test_bodies_of_their_own(base: str, session: requests.Session, length: int) -> None:
    data = os.urandom(length)
    response = session.post(base + "/raw", data=data, headers={"Content-Type": "application/octet-stream"})
    assert response.json() == {"length": length, "sha256": hashlib.sha256(data).hexdigest()}


def test_a_chunked_body(site: Server, base: str, session: requests.Session) -> None:
    parts = [b"one", b"two" * 10_000, b"three"]
    response = session.post(base + "/raw", data=iter(parts), headers={"Content-Type": "application/octet-stream"})
    assert response.json()["length"] == sum(map(len, parts))


def test_a_stream_arrives_as_it_is_made(base: str) -> None:
    times, body = [], b""
    with httpx.Client(trust_env=False) as client, client.stream("GET", base + "/stream?prefix=now") as response:
        for part in response.iter_bytes():
            times.append(time.monotonic())
            body += part
    assert body == b"now\ntick 0\ntick 1\ntick 2\n"
    # The application takes 0.4 s from the first part to the last; a buffered response would come all at once.
    assert times[-1] - times[0] > 0.2, times


def test_sessions(base: str, session: requests.Session) -> None:
    assert [session.get(base + "/count").text for _ in range(3)] == ["1", "2", "3"]
    assert requests.get(base + "/count").text == "1"


def test_an_error_page(site: Server, base: str, session: requests.Session) -> None:
    response = session.get(base + "/broken")
    assert response.status_code == 500
    assert "planned" not in response.text
    site.wait_for_log(f"RuntimeError: planned {framework(site)}")
    assert session.get(base + "/up").text == "up"


def test_redirects(base: str, session: requests.Session) -> None:
    response = session.get(base + "/go")
    assert (response.json()["name"], response.history[0].status_code) == ("moved", response.history[0].status_code)
    assert response.history[0].status_code in (302, 303)


def test_a_file(base: str, session: requests.Session) -> None:
    with open(sites.__file__, "rb") as file:
        content = file.read()
    response = session.get(base + "/download", headers={"Accept-Encoding": "identity"})
    assert (response.status_code, response.content) == (200, content)
    assert response.headers["Content-Type"].startswith("text/x-python")
    assert session.head(base + "/download", headers={"Accept-Encoding": "identity"}).headers["Content-Length"] == str(len(content))


def test_a_part_of_a_file(site: Server, base: str, session: requests.Session) -> None:
    response = session.get(base + "/download", headers={"Range": "bytes=10-19", "Accept-Encoding": "identity"})
    with open(sites.__file__, "rb") as file:
        content = file.read()
    expected = (200, content) if framework(site) == "django" else (206, content[10:20])
    assert (response.status_code, response.content) == expected


def test_a_file_that_has_not_changed(site: Server, base: str, session: requests.Session) -> None:
    first = session.get(base + "/download")
    known = {name: first.headers[name] for name in ("Last-Modified", "ETag") if name in first.headers}
    if framework(site) == "django":
        assert known == {}
        return
    conditions = {"If-None-Match": known["ETag"]} if "ETag" in known else {"If-Modified-Since": known["Last-Modified"]}
    response = session.get(base + "/download", headers=conditions)
    assert (response.status_code, response.content) == (304, b"")


def test_many_clients_at_once(base: str) -> None:
    with httpx.Client(trust_env=False) as client, ThreadPoolExecutor(8) as threads:
        names = list(threads.map(lambda number: client.get(f"{base}/user/{number}").json()["name"], range(100)))
    assert names == [str(number) for number in range(100)]


def test_gzip_if_it_is_wrapped(site: Server, base: str) -> None:
    with Client(site.address) as client:
        response = client.get("/download", [("Accept-Encoding", "gzip")])
    with open(sites.__file__, "rb") as file:
        content = file.read()
    if site.mode.startswith("wrapped"):
        assert response.value("content-encoding") == "gzip"
        assert gzip.decompress(response.body) == content
    else:
        assert (response.value("content-encoding"), response.body) == (None, content)


@of(*(f"{framework}-wrapped" for framework in FRAMEWORKS))
def test_the_access_log_if_it_is_wrapped(site: Server, base: str, session: requests.Session) -> None:
    session.get(base + "/user/logged", headers={"User-Agent": "tester"})
    log = site.wait_for_log("/user/logged")
    line = next(line for line in log.splitlines() if "/user/logged" in line)
    assert re.fullmatch(r'127\.0\.0\.1 - - \[[^\]]+\] "GET /user/logged HTTP/1\.1" 200 \d+ "-" "tester"', line), line


@of("django-", "checked_django-")
def test_django_keeps_one_database_connection_a_thread(site: Server, base: str, session: requests.Session) -> None:
    results = [session.get(base + "/query").json() for _ in range(12)]
    assert {each["value"] for each in results} == {42}
    connections = {each["connection"] for each in results}
    assert len(connections) == 1 if site.mode == "inline" else len(connections) <= 4


def test_a_body_byte_by_byte(base: str) -> None:
    # A body that arrives in pieces is the same body.
    with Client(("127.0.0.1", int(base.rpartition(":")[2]))) as client:
        body = json.dumps({"a": "b"}).encode()
        client.send(b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
        for byte in body:
            client.send(bytes([byte]))
            time.sleep(0.002)
        body: dict[str, Any] = json.loads(client.response().body)
        assert body == {"got": {"a": "b"}}


