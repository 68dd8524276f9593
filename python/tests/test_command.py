"""`enfilade serve`: its options, its workers and its signals."""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command import Command, refused, run
from support.raw import Client, Closed
from support.servers import wait_until

APPLICATION = '''
import os, threading, time

VERSION = {version!r}
TOGETHER = threading.Barrier(4)

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/die":
        os._exit(9)
    if path == "/together":
        TOGETHER.wait(20)
    if path.startswith("/sleep"):
        print("sleeping", flush=True)
        time.sleep(float(path[6:]))
    known = {{
        "/version": VERSION, "/pid": str(os.getpid()), "/big": "text " * 1000, "/thread": threading.current_thread().name,
        "/variable": os.environ.get("OF_TESTS", ""), "/folder": os.getcwd(), "/remote": environ.get("REMOTE_ADDR", ""),
        "/scheme": environ["wsgi.url_scheme"], "/processes": str(environ["wsgi.multiprocess"]),
        "/threads": str(environ["wsgi.multithread"]), "/slept": "slept",
    }}
    body = known.get(path, path).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

def make(version="made"):
    global VERSION
    VERSION = version
    return application

app = application
number = 5

class Site:
    application = staticmethod(application)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "one")
    return tmp_path


def write(folder: Path, version: str) -> None:
    """Replaces the application's file atomically, as an editor does."""
    (folder / "site.new").write_text(APPLICATION.format(version=version))
    os.replace(folder / "site.new", folder / "site_app.py")


# Starting


@pytest.mark.parametrize(("name", "version"), [
    ("site_app:application", "one"), ("site_app:app", "one"), ("site_app", "one"), ("site_app:make()", "made"),
    ("site_app:make('two')", "two"), ("site_app:make(version='three')", "three"), ("site_app:Site.application", "one"),
])
def test_an_application_by_its_name(folder: Path, name: str, version: str) -> None:
    with Command(folder, name) as command:
        assert command.get("/version").text == version


def test_a_factory_by_its_option(folder: Path) -> None:
    with Command(folder, "site_app:make", "--factory") as command:
        assert command.get("/version").text == "made"


@pytest.mark.parametrize(("name", "message"), [
    ("nothing:app", "no module 'nothing'; searched in"),
    ("site_app:ap", "module 'site_app' has no attribute 'ap'; did you mean 'app'?"),
    ("site_app:number", "'site_app:number' is not an application: an object of type int is not callable"),
    ("site_app:Site.nothing", "'Site' has no attribute 'nothing'"),
    ("site_app:make(", "'make(' is neither an attribute nor a call"),
    ("site_app:make(number)", "the arguments in 'make(number)' must be literals"),
    ("site_app:make(1, 2)", "factory 'site_app:make(1, 2)' failed:"),
    ("broken:app", "ZeroDivisionError: division by zero"),
    ("lacking:app", "ModuleNotFoundError: No module named 'not_installed'"),
    ("leaving:app", "module 'leaving' exited (7) while it was imported"),
    ("empty", "module 'empty' has neither `application` nor `app`"),
    (":app", "':app' has no module"),
])
@pytest.mark.parametrize("check", [True, False], ids=["checked", "served"])
def test_an_application_that_does_not_load_ends_with_3(folder: Path, name: str, message: str, check: bool) -> None:
    (folder / "broken.py").write_text("def app(): pass\n1 / 0\n")
    (folder / "lacking.py").write_text("import not_installed\n")
    (folder / "leaving.py").write_text("raise SystemExit(7)\n")
    (folder / "empty.py").write_text("")
    ended = run("serve", name, "--bind", "127.0.0.1:0", *(["--check-config"] if check else []), folder=folder)
    assert (ended.returncode, message in ended.stderr) == (3, True), ended.stderr
    if name.startswith("nothing"):
        assert "Traceback" not in ended.stderr
    if name.startswith(("broken", "lacking")):
        assert "Traceback (most recent call last)" in ended.stderr and f'{name.partition(":")[0]}.py", line' in ended.stderr


@pytest.mark.parametrize(("arguments", "message"), [
    (["--workers", "0"], "0 is too small: the minimum is 1"), (["--workers", "x"], "--workers: 'x' is not a whole number"),
    (["--threads", "-1"], "-1 is too small: the minimum is 1"),
    (["--bind", "nowhere"], "is not an address: write 127.0.0.1:8000"), (["--bind", "127.0.0.1:99999"], "is not an address"),
    (["--bind", "::1:80"], "is not an address"), (["--port", "99999"], "is not an address"),
    (["--static", "x=."], "is not valid: write it as /url=folder"), (["--static", "/x=/not/there"], "is not a folder"),
    (["--tls", "only.pem"], "is not valid: write it as certificate.pem,key.pem"), (["--tls", "a.pem,b.pem"], "argument --tls: a.pem: I/O error: No such file or directory"),
    (["--keep-alive", "-1"], "is not a number of seconds above 0"), (["--header-timeout", "0"], "0 is not a number of seconds above 0"),
    (["--keep-alive", "nan"], "is not a number of seconds above 0"),
    (["--env", "novalue"], "is not valid: write it as NAME=VALUE"), (["--preload", "--reload"], "cannot be combined"),
    (["--certfile", "/dev/null"], "need each other"), (["--nonsense"], "unrecognized arguments: --nonsense"),
    (["--log-level", "loud"], "invalid choice"),
    (["--umask", "9"], "argument --umask: '9' is not an octal number from 0 to 777, such as 022"),
    (["--umask", "1000"], "'1000' is not an octal number"), (["--umask", "-1"], "'-1' is not an octal number"),
    (["--pid", "missing/id"], "argument -p/--pid: cannot write missing/id: missing is not a folder"),
    (["--pid", "."], "argument -p/--pid: cannot write .: Is a directory"),
    (["--access-log", "missing/log"], "argument --access-log: cannot write missing/log: missing is not a folder"),
    (["--error-log", "."], "argument --error-log: cannot write .: Is a directory"),
    (["--chdir", "missing"], "argument --chdir: cannot use missing: No such file or directory"),
    (["--forwarded-allow-ips", "127.0.0.1,all"], 'argument --forwarded-allow-ips: "all" is neither an address nor a network'),
    (["--access-log", "-", "--access-log-format", "%Z"], 'argument --access-log-format: log format, at byte 0: "%Z" is not'),
    (["--access-log", "-", "--access-log-format", "%(L)s"], "'%(L)s' cannot be logged: write %(D)s"),
    (["--timeout", "-1"], "-1 is not a number of seconds above 0"), (["--timeout", "x"], "'x' is not a number of seconds"),
    (["-k", "gevent"], "argument -k/--worker-class: 'gevent' runs requests on greenlets"),
    (["-k", "uvicorn.workers.UvicornWorker"], "runs ASGI applications"), (["-k", "odd"], "'odd' is not known"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_wrong_options_end_with_2(folder: Path, arguments: list[str], message: str) -> None:
    ended = run("serve", "site_app:app", *arguments, folder=folder)
    assert ended.returncode == 2
    usage, error, *rest = ended.stderr.splitlines()
    assert (usage, rest) == ("usage: enfilade serve [OPTION ...] APP", []), ended.stderr
    assert error.startswith("enfilade serve: error: ") and message in error, error


@pytest.mark.parametrize(("value", "message"), [
    ("0", "0 is too small: the minimum is 1"), ("", "'' is not a whole number"), ("two", "'two' is not a whole number"),
])
def test_a_wrong_web_concurrency_ends_with_2(folder: Path, value: str, message: str) -> None:
    environment = {**os.environ, "WEB_CONCURRENCY": value}
    ended = run("serve", "site_app:app", folder=folder, env=environment)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[1:] == [f"enfilade serve: error: the variable WEB_CONCURRENCY, for --workers: {message}"]
    # The option wins.
    assert run("serve", "site_app:app", "--workers", "1", "--check-config", folder=folder, env=environment).returncode == 0


def test_a_check_makes_no_files(folder: Path) -> None:
    before = set(os.listdir(folder))
    arguments = ["--pid", "id", "--access-log", "access", "--error-log", "errors", "--check-config"]
    assert run("serve", "site_app:app", *arguments, folder=folder).returncode == 0
    assert set(os.listdir(folder)) - before - {"__pycache__"} == set()


@pytest.mark.parametrize("level", ["INFO", "Info", "info"])
def test_a_level_in_any_case(folder: Path, level: str) -> None:
    assert run("serve", "site_app:app", "--log-level", level, "--check-config", folder=folder).returncode == 0


@pytest.mark.parametrize("arguments", [["-k", "sync"], ["-k", "gthread", "--timeout", "0"]], ids=" ".join)
def test_options_of_gunicorn_that_are_accepted(folder: Path, arguments: list[str]) -> None:
    assert run("serve", "site_app:app", *arguments, "--check-config", folder=folder).returncode == 0


def test_no_command_ends_with_2(folder: Path) -> None:
    assert run(folder=folder).returncode == 2
    assert run("dance", folder=folder).returncode == 2


def test_help_and_version(folder: Path) -> None:
    assert run("--help", folder=folder).returncode == 0
    helped = run("serve", "--help", folder=folder)
    assert helped.returncode == 0 and "--workers" in helped.stdout and "SIG" not in helped.stderr
    assert run("--version", folder=folder).stdout.startswith("enfilade ")


def test_an_address_in_use_ends_with_1(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", "site_app:app", "--bind", f"127.0.0.1:{port}", folder=folder)
    assert ended.returncode == 1
    assert ended.stderr == f"enfilade: cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_good_configuration_is_checked_without_listening(folder: Path) -> None:
    ended = run("serve", "site_app:app", "--check-config", folder=folder)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_the_script_that_is_installed(folder: Path) -> None:
    script = Path(os.sys.executable).parent / "enfilade"  # type: ignore[attr-defined]
    ended = subprocess.run([str(script), "--version"], capture_output=True, text=True, timeout=10)
    assert ended.stdout.startswith("enfilade ")


# Listening


def test_a_unix_socket(folder: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    for _ in range(2):
        with Command(folder, "site_app:app", bind=f"unix:{path}") as command:
            command.wait_until_up()
            assert command.get("/version").text == "one"
            assert command.get("/remote").text == ""
            assert command.stop() == 0
        assert not os.path.exists(path)


def test_a_unix_socket_that_a_dead_server_left(folder: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.close()
    with Command(folder, "site_app:app", bind=f"unix:{path}") as command:
        command.wait_until_up()
        assert command.get("/version").text == "one"
        taken = run("serve", "site_app:app", "--unix", path, folder=folder)
        assert (taken.returncode, "a server already listens there" in taken.stderr) == (1, True)


def test_a_file_is_not_taken_for_a_socket(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    ended = run("serve", "site_app:app", "--unix", str(tmp_path / "precious"), folder=folder)
    assert (ended.returncode, "the path exists and is not a socket" in ended.stderr) == (1, True)
    assert (tmp_path / "precious").read_text() == "kept"


def test_an_inherited_descriptor(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)
        import sys

        process = subprocess.Popen([sys.executable, "-m", "enfilade", "serve", "site_app:app", "--bind", f"fd://{listener.fileno()}"],
                                   cwd=folder, pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL)
        try:
            with Client(listener.getsockname()) as client:
                assert client.get("/version").text == "one"
        finally:
            process.terminate()
            assert process.wait(10) == 0


def test_several_addresses(folder: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with Command(folder, "site_app:app", "--unix", path) as command:
        command.wait_until_up()
        assert command.get("/version").text == "one"
        with Client(path) as client:
            assert client.get("/version").text == "one"


def test_tls(folder: Path, certificate: tuple[str, str]) -> None:
    for arguments in (["--tls", ",".join(certificate)], ["--certfile", certificate[0], "--keyfile", certificate[1]]):
        with Command(folder, "site_app:app", *arguments) as command:
            command.wait_until_up()
            context = ssl.create_default_context(cafile=certificate[0])
            with socket.create_connection(command.address, 5) as plain:  # type: ignore[arg-type]
                with context.wrap_socket(plain, server_hostname="localhost") as connection:
                    connection.sendall(b"GET /scheme HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    received = b""
                    while data := connection.recv(4096):
                        received += data
            assert received.startswith(b"HTTP/1.1 200 ") and received.endswith(b"\r\n\r\nhttps")


# Behaviour


def test_gzip(folder: Path) -> None:
    with Command(folder, "site_app:app", "--gzip") as command, Client(command.address) as client:
        response = client.get("/big", [("Accept-Encoding", "gzip")])
        assert response.value("content-encoding") == "gzip"
        assert gzip.decompress(response.body) == b"text " * 1000
        assert client.get("/big").body == b"text " * 1000


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_access_log_on_standard_output(folder: Path, workers: str) -> None:
    with Command(folder, "site_app:app", "--access-log", "-", "--workers", workers) as command:
        command.get("/version?a=b")
        command.wait_for_log('"GET /version?a=b HTTP/1.1" 200 3 "-" "-"')
        for _ in range(10):
            command.get("/pid")
        command.wait_for_log('"GET /pid HTTP/1.1" 200', times=10)


def test_the_access_log_in_a_file(folder: Path) -> None:
    log = folder / "access.log"
    with Command(folder, "site_app:app", "--access-logfile", str(log), "--access-log-format", "json") as command:
        command.get("/version")
        wait_until(lambda: log.exists() and log.read_text().count("\n") == 1)
    assert json.loads(log.read_text())


def test_messages_and_errors_in_a_file(folder: Path) -> None:
    log = folder / "error.log"
    (folder / "noisy.py").write_text("def app(environ, start):\n    raise RuntimeError('planned')\n")
    with Command(folder, "noisy:app", "--error-log", str(log)) as command:
        assert command.get("/").status == 500
        wait_until(lambda: "RuntimeError: planned" in log.read_text())
        assert "listening on" in log.read_text()
    assert command.output.closed


@pytest.mark.parametrize("threads", ["1", "4"])
def test_static_files(folder: Path, threads: str) -> None:
    (folder / "files" / "more").mkdir(parents=True)
    (folder / "files" / "style.css").write_text("body {}")
    (folder / "files" / "more" / "index.html").write_text("more")
    with Command(folder, "site_app:app", "--static", "/static=files", "--gzip", "--threads", threads) as command:
        response = command.get("/static/style.css")
        assert (response.status, response.body, response.value("content-type")) == (200, b"body {}", "text/css; charset=utf-8")
        # Dots must not lead out of the folder: the application gets the request and returns its path.
        assert command.get("/static/../site_app.py").text == "/site_app.py"
        assert command.get("/static/%2e%2e/site_app.py").text == "/site_app.py"
        assert command.get("/static/..%2Fsite_app.py").status == 404
        assert command.get("/static/nothing").status == 404
        assert command.get("/static/more").value("location") == "/static/more/"
        assert command.get("/staticfile").text == "/staticfile"
        assert command.get("/version").text == "one"


def test_static_files_at_the_root(folder: Path) -> None:
    for name in ("files", "public"):
        (folder / name).mkdir()
    (folder / "files" / "style.css").write_text("body {}")
    (folder / "public" / "robots.txt").write_text("none")
    with Command(folder, "site_app:app", "--static", "/=public", "--static", "/static=files") as command:
        assert command.get("/robots.txt").text == "none"
        assert command.get("/static/style.css").text == "body {}"
        assert command.get("/static/robots.txt").status == 404
        assert command.get("/other").text == "/other"
        with Client(command.address) as client:
            assert client.request("POST", "/robots.txt").text == "/robots.txt"


def test_threads(folder: Path) -> None:
    with Command(folder, "site_app:app", "--threads", "4") as command:
        command.wait_until_up()
        # Each request waits for the three others.
        statuses: list[int] = []
        clients = [threading.Thread(target=lambda: statuses.append(command.get("/together").status)) for _ in range(4)]
        for each in clients:
            each.start()
        for each in clients:
            each.join(25)
        assert statuses == [200] * 4
        assert command.get("/threads").text == "True"


def test_a_folder_a_path_and_a_variable(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with Command(elsewhere, "site_app:app", "--chdir", str(folder), "--env", "OF_TESTS=set") as command:
        assert command.get("/folder").text == str(folder)
        assert command.get("/variable").text == "set"
    with Command(elsewhere, "site_app:app", "--pythonpath", f"/nowhere,{folder}") as command:
        assert command.get("/folder").text == str(elsewhere)


def test_trusted_proxies(folder: Path) -> None:
    forwarded = [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")]
    with Command(folder, "site_app:app", "--forwarded-allow-ips", "127.0.0.1, ::1") as command:
        with Client(command.address) as client:
            assert client.get("/remote", forwarded).text == "192.0.2.7"
            assert client.get("/scheme", forwarded).text == "https"
    with Command(folder, "site_app:app") as command, Client(command.address) as client:
        assert client.get("/remote", forwarded).text == "127.0.0.1"
        assert client.get("/scheme", forwarded).text == "http"


def test_the_pid_file_is_written_and_removed(folder: Path) -> None:
    with Command(folder, "site_app:app", "--pid", "id") as command:
        command.wait_until_up()
        assert (folder / "id").read_text() == f"{command.process.pid}\n"
        assert command.stop() == 0
    assert not (folder / "id").exists()


# Workers


def pids(command: Command, times: int = 30) -> set[int]:
    return {int(command.get("/pid").text) for _ in range(times)}


def test_workers_share_the_connections(folder: Path) -> None:
    with Command(folder, "site_app:app", "--workers", "2") as command:
        command.wait_until_up(2)
        assert len(command.workers()) == 2
        wait_until(lambda: pids(command) == set(command.workers()))
        assert command.get("/processes").text == "True"
    with Command(folder, "site_app:app") as command:
        command.wait_until_up()
        assert pids(command, 2) == set(command.workers())
        assert command.get("/processes").text == "False"


def test_a_worker_that_dies_is_replaced(folder: Path) -> None:
    with Command(folder, "site_app:app", "--workers", "2") as command:
        command.wait_until_up(2)
        before = set(command.workers())
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        command.wait_for_log(f"worker {victim} ended by SIGKILL")
        command.wait_until_up(3)
        assert len(set(command.workers()) - before) == 1
        assert command.get("/version").text == "one"


def test_workers_that_keep_dying_are_replaced_with_a_growing_delay(folder: Path) -> None:
    with Command(folder, "site_app:app") as command:
        command.wait_until_up()
        started = time.monotonic()
        for number in range(4):
            with Client(command.address) as client, pytest.raises(Closed):
                client.get("/die")
            command.wait_for_log(" ended with status 9", times=number + 1)
            command.wait_until_up(number + 2)
        # 0.1, 0.2, 0.4 and 0.8 seconds.
        assert time.monotonic() - started > 1.4
        assert command.get("/version").text == "one"


def test_workers_end_after_max_requests(folder: Path) -> None:
    with Command(folder, "site_app:app", "--max-requests", "5") as command:
        command.wait_until_up()
        seen = [command.get("/pid").text for _ in range(15)]
        assert [seen.count(pid) for pid in dict.fromkeys(seen)] == [5, 5, 5]
        assert " ended with status" not in command.log()


def test_workers_end_when_the_first_process_is_killed(folder: Path) -> None:
    with Command(folder, "site_app:app", "--workers", "2") as command:
        command.wait_until_up(2)
        workers = command.workers()
        command.process.kill()
        command.process.wait()
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), 6)


# Signals


def in_flight(command: Command, target: str = "/sleep0.8") -> Callable[[], int | None]:
    """Sends a request and returns a function that waits for its status; None if there is no response.

    An application that Ctrl-C interrupts may still respond with 500.
    """
    before = command.log().count("sleeping")
    client = Client(command.address)
    client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    command.wait_for_log("sleeping", times=before + 1)

    def status() -> int | None:
        with client:
            try:
                return client.response().status
            except (Closed, OSError):
                return None

    return status


@pytest.mark.parametrize("threads", ["1", "4"])
def test_sigterm_finishes_requests_in_flight(folder: Path, threads: str) -> None:
    with Command(folder, "site_app:app", "--workers", "2", "--threads", threads) as command:
        command.wait_until_up(2)
        status = in_flight(command)
        assert command.stop(signal.SIGTERM) == 0
        assert status() == 200
        assert refused(command.address)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("threads", ["1", "4"])
def test_sigint_and_sigquit_stop_at_once(folder: Path, number: int, threads: str) -> None:
    with Command(folder, "site_app:app", "--workers", "2", "--threads", threads) as command:
        command.wait_until_up(2)
        status = in_flight(command, "/sleep20")
        started = time.monotonic()
        command.stop(number)
        assert time.monotonic() - started < 10
        assert status() in (None, 500)
        assert refused(command.address)


def test_a_request_that_takes_longer_than_the_graceful_timeout_is_cut(folder: Path) -> None:
    with Command(folder, "site_app:app", "--graceful-timeout", "0.5") as command:
        command.wait_until_up()
        status = in_flight(command, "/sleep20")
        started = time.monotonic()
        command.stop(signal.SIGTERM)
        assert time.monotonic() - started < 15
        assert status() in (None, 500)


def test_sigterm_and_then_sigint_stops_at_once(folder: Path) -> None:
    with Command(folder, "site_app:app") as command:
        command.wait_until_up()
        status = in_flight(command, "/sleep20")
        command.send(signal.SIGTERM)
        command.wait_for_log("stopping after the requests in flight")
        started = time.monotonic()
        command.stop(signal.SIGINT)
        assert time.monotonic() - started < 10
        assert status() in (None, 500)


def test_sigttin_and_sigttou(folder: Path) -> None:
    with Command(folder, "site_app:app") as command:
        command.wait_until_up()
        command.send(signal.SIGTTIN)
        command.wait_until_up(2)
        assert len(command.workers()) == 2
        for _ in range(3):
            command.send(signal.SIGTTOU)
            time.sleep(0.1)
        wait_until(lambda: len(command.workers()) == 1)
        assert command.get("/version").text == "one"


def test_sighup_reloads_the_application(folder: Path) -> None:
    with Command(folder, "site_app:app", "--workers", "2") as command:
        command.wait_until_up(2)
        before = set(command.workers())
        write(folder, "two")
        status = in_flight(command)
        command.send(signal.SIGHUP)
        command.wait_until_up(4)
        assert command.get("/version").text == "two"
        assert status() == 200
        wait_until(lambda: len(command.workers()) == 2 and not set(command.workers()) & before)
        assert {command.get("/version").text for _ in range(20)} == {"two"}


def test_sighup_with_an_application_that_does_not_load_changes_nothing(folder: Path) -> None:
    with Command(folder, "site_app:app", "--workers", "2") as command:
        command.wait_until_up(2)
        before = set(command.workers())
        (folder / "site_app.py").write_text("1 / 0\n")
        command.send(signal.SIGHUP)
        command.wait_for_log("the application does not load: the old workers keep serving")
        time.sleep(0.3)
        assert set(command.workers()) == before
        assert command.get("/version").text == "one"
        write(folder, "three")
        command.send(signal.SIGHUP)
        wait_until(lambda: command.get("/version").text == "three", 8)
        wait_until(lambda: len(command.workers()) == 2 and not set(command.workers()) & before)


@pytest.mark.parametrize("threads", ["1", "4"])
def test_no_request_fails_during_repeated_sighups(folder: Path, threads: str) -> None:
    with Command(folder, "site_app:app", "--workers", "2", "--threads", threads) as command:
        command.wait_until_up(2)
        done = threading.Event()
        failures: list[str] = []
        counts = [0, 0, 0, 0]
        clients = [threading.Thread(target=load, args=(command, done, failures, counts, each)) for each in range(4)]
        for each in clients:
            each.start()
        for number in range(3):
            time.sleep(0.4)
            command.send(signal.SIGHUP)
            command.wait_until_up(2 * number + 4)
        time.sleep(0.3)
        done.set()
        for each in clients:
            each.join(10)
        assert failures == []
        assert min(counts) > 50, counts


def load(command: Command, done: threading.Event, failures: list[str], counts: list[int], number: int) -> None:
    """Sends requests: two clients make a connection for each request, two keep theirs.

    A kept connection may be closed between two requests, also when the second has just been sent (RFC 9112, 9.3.1): only
    then the request is sent again on a new one.
    """
    keep = number % 2 == 0
    client: Client | None = None
    used = False
    while not done.is_set():
        try:
            if client is None:
                client, used = Client(command.address), False
            response = client.get("/slept", [] if keep else [("Connection", "close")])
        except (Closed, OSError) as error:
            if not used:
                failures.append(f"{number}: {error!r}")
            if client:
                client.socket.close()
            client = None
            continue
        if (response.status, response.body, response.complete) != (200, b"slept", True):
            failures.append(f"{number}: {response}")
        counts[number] += 1
        used = True
        if not keep or response.value("connection") == "close":
            client.socket.close()
            client = None
    if client:
        client.socket.close()


# --reload


def test_reload_when_a_file_changes(folder: Path) -> None:
    with Command(folder, "site_app:app", "--reload") as command:
        command.wait_until_up()
        assert command.get("/version").text == "one"
        write(folder, "two, and longer")
        wait_until(lambda: command.get("/version").text == "two, and longer", 10)
        assert f"{folder / 'site_app.py'} changed" in command.log()


def test_reload_of_an_application_that_is_fixed(folder: Path) -> None:
    (folder / "site_app.py").write_text("1 / 0\n")
    with Command(folder, "site_app:app", "--reload") as command:
        command.wait_for_log("ZeroDivisionError")
        assert command.get("/version").status == 500
        write(folder, "mended")
        wait_until(lambda: command.get("/version").text == "mended", 10)


def test_reload_when_another_file_changes(folder: Path) -> None:
    (folder / "templates").mkdir()
    (folder / "templates" / "page.html").write_text("old")
    with Command(folder, "site_app:app", "--reload", "--reload-extra-file", "templates") as command:
        command.wait_until_up()
        (folder / "templates" / "new.html").write_text("new")
        command.wait_for_log("new.html changed")
        command.wait_until_up(2)
        assert command.get("/version").text == "one"


# --preload


def test_preload_imports_once(folder: Path) -> None:
    (folder / "once.py").write_text("import os\nprint('imported by', os.getpid(), flush=True)\nfrom site_app import app\n")
    with Command(folder, "once:app", "--preload", "--workers", "3") as command:
        command.wait_until_up(3)
        assert command.log().count("imported by") == 1
        assert f"imported by {command.process.pid}\n" in command.log()
        assert command.get("/version").text == "one"
