"""Cases of the standard library's own tests of a WSGI server; the other rows have the rest."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.raw import Client
from support.servers import Server


@pytest.fixture(scope="module", params=["inline", "pool", "wrapped"])
def checked(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(request.param, "support.probes:routed") as server:
        yield server


def test_the_demo_application_inside_the_validator(checked: Server) -> None:
    with Client(checked.address) as client:
        response = client.get("/demo?query")
    assert response.status == 200
    assert response.body.startswith(b"Hello world!\n\n")
    assert b"\nQUERY_STRING = 'query'\n" in response.body


def test_an_error_of_the_validator_is_a_500(checked: Server) -> None:
    with Client(checked.address) as client:
        assert client.get("/tuple").status == 500
    checked.wait_for_log("must be of type list: <class 'tuple'>")


def test_a_path_in_a_code_page(checked: Server) -> None:
    with Client(checked.address) as client:
        assert client.get("/%80%A0").body.decode() == "/\u0080\u00a0"


@pytest.mark.modes("inline", "wrapped")
def test_signals_do_not_cut_a_response(server: Server, key: str) -> None:
    with Client(server.address) as client:
        response = client.get(f"/interrupted?key={key}")
        assert (response.complete, len(response.body)) == (True, 400 * 65536)
        assert json.loads(client.get(f"/record_of?key={key}").body)[0] > 0
