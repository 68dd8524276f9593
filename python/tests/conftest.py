"""Chooses the servers for the tests of the clauses, and reports the rows at the end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rows import ROWS, UP_TO_WAITRESS, row_of  # noqa: E402
from support.raw import Client  # noqa: E402
from support.servers import MODES, PEERS, Server  # noqa: E402

FAILED: dict[str, set[str]] = {}
PASSED: dict[str, set[str]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--peer", choices=PEERS, help="run the clauses against another server, and tell which rows it keeps")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "modes(*names): the modes in which a test holds, where it does not in all")


def modes_for(metafunc: pytest.Metafunc) -> list[str]:
    """Returns all modes, or those of the test's marker; such a test does not run with another server."""
    marker = metafunc.definition.get_closest_marker("modes")
    if peer := metafunc.config.getoption("--peer"):
        return [] if marker else [peer]
    modes = list(marker.args if marker else MODES)
    return [mode for mode in modes if mode != "under-waitress" or metafunc.function.__name__ not in UP_TO_WAITRESS]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With another server, runs only the tests of rows. Otherwise an empty list of modes would make a skipped test."""
    if config.getoption("--peer"):
        items[:] = [item for item in items if row_of(item.name) and not item.get_closest_marker("modes")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        metafunc.parametrize("server", modes_for(metafunc), indirect=True, scope="session")


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server with the probes, one for all the tests of a mode."""
    with Server(request.param) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    assert server.process.poll() is None, f"the server ended: {server.log()[-3000:]}"
    with Client(server.address) as connected:
        connected.may_close = server.mode in PEERS or server.mode == "under-waitress"
        yield connected


@pytest.fixture
def key() -> str:
    """Returns a unique key for the records of a probe."""
    return uuid4().hex


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    row = row_of(report.nodeid.split("::")[-1].split("[")[0])
    if row and (report.when == "call" or report.failed):
        (FAILED if report.failed else PASSED).setdefault(row, set()).add(report.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if peer := config.getoption("--peer"):
        failed = [row for row in ROWS if row in FAILED]
        expected = [row for row in ROWS if peer in ROWS[row].fails]
        terminalreporter.write_line(f"{peer} fails in {' '.join(failed) or 'no row'}")
        terminalreporter.write_line(f"rows.py says        {' '.join(expected) or 'none'}")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A self-signed certificate for localhost, and its key, as PEM files."""
    from support.certificates import self_signed

    return self_signed(tmp_path_factory.mktemp("tls"))
