"""What an operator meets with `enfilade serve`: certificates that go bad, stuck workers, moved logs, forks, greenlets."""

from __future__ import annotations

import os
import re
import shutil
import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command import Command, run
from support.raw import Client, Closed
from support.servers import wait_until

APPLICATION = '''
import os, signal, socket, subprocess, sys, threading, time

def sleep_in_a_function_with_a_name(seconds):
    time.sleep(seconds)

def forked(environ, start_response):
    """A child that lives on, and tells what it has."""
    pid = os.fork()
    if pid == 0:
        handlers = [str(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)]
        def listening(number):
            try:
                return socket.socket(fileno=os.dup(number)).getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            except OSError:
                return 0
        sockets = sum(listening(int(name)) for name in os.listdir("/proc/self/fd"))
        with open("child.new", "w") as file:
            file.write(f"{os.getpid()} {sockets} {handlers}")
        os.rename("child.new", "child")
        time.sleep(60)
        os._exit(0)
    start_response("200 OK", [("Content-Length", "1")])
    return [b"f"]

def child_of(path, environ, start_response):
    """The same request in a forked process, which does not end by itself."""
    if path == "/exits":
        sys.exit(7)
    if path == "/exits-well":
        sys.exit()
    if path == "/raises":
        raise ValueError("planned in the child")
    if path == "/reads":
        environ["wsgi.input"].read()
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/writes":
        write(b"of the child")
    if path == "/streams":
        return iter([b"of ", b"the child"])
    return [b"of the child"]

def forks(path, environ, start_response):
    pid = os.fork()
    if pid == 0:
        return child_of(path, environ, start_response)
    body = b"status %d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

def forks_in_the_stream(start_response):
    start_response("200 OK", [])
    yield b"a"
    pid = os.fork()
    yield b"b"
    if pid:
        yield b"status %d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def blocks(environ):
    for number in range(8):
        time.sleep(0.25)
        yield b"x"

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fork":
        return forked(environ, start_response)
    if path.startswith("/forks"):
        return forks(path[6:], environ, start_response)
    if path == "/stream-forks":
        return forks_in_the_stream(start_response)
    if path == "/ignored":
        code = "import signal; print(*[signal.getsignal(n) == signal.SIG_DFL for n in (signal.SIGHUP, signal.SIGUSR1)])"
        body = subprocess.run([sys.executable, "-c", code], capture_output=True).stdout
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    if path == "/blocks":
        start_response("200 OK", [])
        return blocks(environ)
    if path == "/read":
        size = len(environ["wsgi.input"].read())
        start_response("200 OK", [])
        return [str(size).encode()]
    if path.startswith("/sleep"):
        sleep_in_a_function_with_a_name(float(path[6:]))
    print("served", path, file=environ["wsgi.errors"], flush=True)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
'''

THREADS = pytest.mark.parametrize("threads", ["1", "4"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site_app.py").write_text(APPLICATION)
    return tmp_path


def order(log: str, *texts: str) -> None:
    """Fails if these texts are not in the log in this order."""
    place = 0
    for text in texts:
        found = log.find(text, place)
        assert found >= 0, f"{text!r} is not after the text before it:\n{log}"
        place = found + len(text)


# Certificates


@pytest.fixture
def pair(tmp_path: Path, certificate: tuple[str, str]) -> tuple[Path, Path]:
    copies = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for source, copy in zip(certificate, copies):
        shutil.copy(source, copy)
    return copies


def fetched(command: Command, pair: tuple[Path, Path]) -> bytes:
    import socket

    context = ssl.create_default_context(cafile=str(pair[0]))
    with socket.create_connection(command.address, 10) as plain:  # type: ignore[arg-type]
        with context.wrap_socket(plain, server_hostname="localhost") as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            received = b""
            while block := connection.recv(4096):
                received += block
            return received


@THREADS
@pytest.mark.parametrize("damage", ["empty", "missing", "of another key"])
def test_a_bad_certificate_at_a_reload_ends_nothing(folder: Path, pair: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory,
                                                   threads: str, damage: str) -> None:
    from support.certificates import self_signed

    good = pair[0].read_bytes()
    with Command(folder, "site_app:app", "--tls", f"{pair[0]},{pair[1]}", "--threads", threads, "--workers", "2") as command:
        command.wait_until_up(2)
        before = set(command.workers())
        if damage == "missing":
            pair[0].unlink()
        else:
            other = Path(self_signed(tmp_path_factory.mktemp("other"))[0]).read_bytes()
            pair[0].write_bytes(b"" if damage == "empty" else other)
        command.send(signal.SIGHUP)
        log = command.wait_for_log("the workers cannot serve: the old workers keep serving")
        assert log.count(" serves") == 2, log
        wait_until(lambda: set(command.workers()) == before)
        pair[0].write_bytes(good)
        assert fetched(command, pair).endswith(b"ok")
        command.send(signal.SIGHUP)
        command.wait_until_up(4)
        wait_until(lambda: not set(command.workers()) & before)
        assert fetched(command, pair).endswith(b"ok")


def test_a_bad_certificate_at_the_start_is_one_error(folder: Path, pair: tuple[Path, Path]) -> None:
    pair[0].write_text("")
    ended = run("serve", "site_app:app", "--bind", "127.0.0.1:0", "--tls", f"{pair[0]},{pair[1]}", folder=folder)
    assert ended.returncode == 2
    _, error = ended.stderr.splitlines()
    assert error.startswith(f"enfilade serve: error: argument --tls: {pair[0]}: "), error


def test_an_access_log_that_cannot_be_opened_at_a_reload_ends_nothing(folder: Path) -> None:
    with Command(folder, "site_app:app", "--access-log", "access.log") as command:
        command.wait_until_up()
        before = command.workers()
        (folder / "access.log").unlink()
        (folder / "access.log").mkdir()
        command.send(signal.SIGHUP)
        command.wait_for_log("the old workers keep serving")
        assert command.get("/").status == 200
        wait_until(lambda: command.workers() == before)


# Stuck workers


def stuck_request(command: Command, target: str = "/sleep60") -> Client:
    client = Client(command.address)
    client.send(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


@THREADS
def test_a_stuck_worker_is_replaced_with_a_stack_in_the_log(folder: Path, threads: str) -> None:
    with Command(folder, "site_app:app", "--threads", threads, "--timeout", "1") as command:
        command.wait_until_up()
        old, = command.workers()
        clients = [stuck_request(command) for _ in range(int(threads))]
        log = command.wait_for_log(" serves", 20, times=2)
        order(log, f"worker {old} is stuck: no thread of it made progress for 1 seconds (--timeout)", " serves")
        wait_until(lambda: old not in command.workers())
        assert command.log().count("in sleep_in_a_function_with_a_name") == int(threads), command.log()
        assert command.get("/").status == 200
        for client in clients:
            with client, pytest.raises((Closed, OSError)):
                client.response()


def test_a_worker_with_a_free_thread_is_not_stuck(folder: Path) -> None:
    with Command(folder, "site_app:app", "--threads", "2", "--timeout", "0.5") as command:
        command.wait_until_up()
        with stuck_request(command, "/sleep3") as client:
            assert client.response().status == 200
        assert "stuck" not in command.log()


@THREADS
def test_a_response_that_makes_progress_is_not_stuck(folder: Path, threads: str) -> None:
    """Each block takes a quarter of a second, all of them twice the timeout."""
    with Command(folder, "site_app:app", "--threads", threads, "--timeout", "1") as command:
        command.wait_until_up()
        clients = [stuck_request(command, "/blocks") for _ in range(int(threads))]
        for client in clients:
            with client:
                assert client.response().body == b"x" * 8
        assert "stuck" not in command.log()


@THREADS
def test_a_client_that_does_not_send_its_body_does_not_make_a_worker_stuck(folder: Path, threads: str) -> None:
    with Command(folder, "site_app:app", "--threads", threads, "--timeout", "0.5") as command:
        command.wait_until_up()
        clients = [Client(command.address) for _ in range(int(threads))]
        for client in clients:
            # Too large to be received before the application is called.
            client.send(b"POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100000)
        # Four times the timeout.
        time.sleep(2)
        for client in clients:
            with client:
                client.send(b"x" * 100000)
                assert client.response().body == b"200000"
        assert "stuck" not in command.log()


def test_an_application_that_does_not_load_in_time_is_stuck(folder: Path) -> None:
    (folder / "slow.py").write_text("import time\ndef connect_to_the_database():\n    time.sleep(60)\nconnect_to_the_database()\n")
    with Command(folder, "slow:app", "--timeout", "0.5") as command:
        log = command.wait_for_log(" starts", 20, times=2)
        order(log, "is stuck: its application did not load for 0.5 seconds")
        command.wait_for_log("in connect_to_the_database")
        command.stop(signal.SIGTERM)


def test_no_timeout(folder: Path) -> None:
    with Command(folder, "site_app:app", "--timeout", "0") as command:
        command.wait_until_up()
        with stuck_request(command, "/sleep1.5") as client:
            assert client.response().status == 200
        assert "stuck" not in command.log()


# Logs


@THREADS
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGHUP])
def test_moved_logs_are_made_again(folder: Path, threads: str, number: int) -> None:
    arguments = ["--access-log", "access", "--access-log-format", "%(m)s %(U)s", "--error-log", str(folder / "errors"), "--threads", threads]
    with Command(folder, "site_app:app", *arguments) as command:
        errors, access = folder / "errors", folder / "access"
        wait_until(lambda: " serves" in errors.read_text(), 8)
        assert command.get("/before").status == 200
        wait_until(lambda: access.read_text() == "GET /before\n")
        access.rename(folder / "access.1")
        errors.rename(folder / "errors.1")
        command.send(number)
        wait_until(lambda: errors.exists() and access.exists(), 8)
        if number == signal.SIGHUP:
            wait_until(lambda: " ended" in errors.read_text(), 8)
        wait_until(lambda: command.get("/after").status == 200 and "served /after" in errors.read_text())
        wait_until(lambda: access.read_text().startswith("GET /after\n"))
        assert (folder / "access.1").read_text() == "GET /before\n"
        assert "served /after" not in (folder / "errors.1").read_text()


def test_a_log_that_cannot_be_reopened_keeps_its_file(folder: Path) -> None:
    with Command(folder, "site_app:app", "--access-log", "access", "--error-log", str(folder / "errors")) as command:
        errors = folder / "errors"
        wait_until(lambda: " serves" in errors.read_text(), 8)
        for name in ("access", "errors"):
            (folder / name).rename(folder / f"{name}.1")
            (folder / name).mkdir()
        command.send(signal.SIGUSR1)
        moved = folder / "errors.1"
        wait_until(lambda: "cannot reopen the access log: " in moved.read_text() and moved.read_text().count("cannot reopen the error log: ") == 2)
        assert command.get("/after").status == 200
        wait_until(lambda: '"GET /after HTTP/1.1" 200' in (folder / "access.1").read_text())


GUNICORN = '%(h)s %(l)s %(u)s "%(r)s" %(m)s %(U)s?%(q)s %(H)s %(s)s %(b)s %(B)s "%(f)s" "%(a)s" %(p)s %({X-In}i)s %({X-Out}o)s %({wsgi.url_scheme}e)s 100%%'


def test_a_format_of_gunicorn(folder: Path) -> None:
    """gunicorn itself writes the same line, but for the process."""
    (folder / "logged.py").write_text(
        "def app(environ, start_response):\n    start_response('200 OK', [('Content-Length', '2'), ('X-Out', 'out')])\n    return [b'ok']\n")
    with Command(folder, "logged:app", "--access-log", "access", "--access-log-format", GUNICORN) as command:
        command.wait_until_up()
        with Client(command.address) as client:
            client.get("/a?b=c", [("Referer", "http://r/"), ("User-Agent", "me"), ("X-In", "in")])
        wait_until(lambda: (folder / "access").exists() and (folder / "access").read_text().endswith("\n"))
        line = (folder / "access").read_text()
    assert re.sub("<[0-9]+>", "<1>", line) == (
        '127.0.0.1 - - "GET /a?b=c HTTP/1.1" GET /a?b=c HTTP/1.1 200 2 2 "http://r/" "me" <1> in out http 100%\n')


# Processes that the application starts


@THREADS
def test_a_forked_child_of_a_handler_is_a_plain_process(folder: Path, threads: str) -> None:
    with Command(folder, "site_app:app", "--threads", threads) as command:
        command.wait_until_up()
        with Client(command.address) as client:
            # The child has the connection too, and the client must see its end all the same.
            assert client.get("/fork", [("Connection", "close")]).body == b"f"
        wait_until((folder / "child").exists)
        pid, sockets, handlers = (folder / "child").read_text().split(" ", 2)
        assert (sockets, handlers) == ("0", str([str(signal.SIG_DFL)] * 3)), handlers
        assert command.get("/").status == 200
        assert command.stop(signal.SIGTERM) == 0
        os.kill(int(pid), signal.SIGTERM)
        wait_until(lambda: not alive(int(pid)))


@THREADS
def test_a_forked_child_that_returns_from_a_handler_ends(folder: Path, threads: str) -> None:
    # Without its end it would go on as a second server, on the connections of its parent.
    with Command(folder, "site_app:app", "--threads", threads) as command:
        command.wait_until_up()
        with Client(command.address) as client, Client(command.address) as other:
            assert other.get("/").body == b"ok"
            for path, status in [("/returns", 1), ("/streams", 1), ("/writes", 1), ("/raises", 1), ("/exits", 7), ("/exits-well", 0)]:
                assert client.get(f"/forks{path}").body == b"status %d" % status, path
            # More than is received before the application is called.
            assert client.post("/forks/reads", b"x" * 200_000).body == b"status 1"
            assert client.get("/stream-forks").body == b"abstatus 1"
            assert client.get("/").body == other.get("/").body == b"ok"
            assert client.quiet() == other.quiet() == b""
        log = command.log()
        reason = "RuntimeError: the application forked this process: only its parent may read the request and respond; end it with os._exit"
        assert log.count(reason) == 5 and log.count("ValueError: planned in the child") == 1, log
        assert command.get("/").status == 200
        assert command.stop(signal.SIGTERM) == 0


def test_a_forked_child_may_serve_by_itself(tmp_path: Path) -> None:
    (tmp_path / "nested.py").write_text(NESTED)
    with Command(tmp_path, "nested:app") as command:
        command.wait_until_up()
        port = int(command.get("/").body)
        with Client(("127.0.0.1", port)) as client:
            assert client.get("/").body == b"of the child"
            assert client.post("/", b"x" * 200_000).body == b"of the child"
        assert command.get("/up").body == b"up"


NESTED = '''
import enfilade, os, signal, socket

def inner(environ, start_response):
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", "12")])
    return [b"of the child"]

def app(environ, start_response):
    body = b"up"
    if environ["PATH_INFO"] == "/":
        listener = socket.create_server(("127.0.0.1", 0))
        if os.fork() == 0:
            signal.alarm(20)
            enfilade.Server(inner, sockets=[listener.fileno()], max_requests=2).serve_forever()
            os._exit(0)
        body = str(listener.getsockname()[1]).encode()
        listener.close()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
'''


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@THREADS
def test_a_program_that_a_handler_starts_has_the_signals_of_a_shell(folder: Path, threads: str) -> None:
    with Command(folder, "site_app:app", "--threads", threads) as command:
        command.wait_until_up()
        assert command.get("/ignored").text == "True True\n"


# Greenlets

PATCHED = '''
import gevent.monkey
gevent.monkey.patch_all()
import threading, time

def app(environ, start_response):
    thread = threading.Thread(target=time.sleep, args=(0.01,))
    thread.start()
    thread.join()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [type(thread.ident).__name__.encode(), b" ", gevent.monkey.is_module_patched("threading").__repr__().encode()]
'''


@pytest.mark.parametrize("arguments", [[], ["--workers", "2"], ["--preload", "--workers", "2"], ["--reload"]], ids=" ".join)
def test_an_application_that_gevent_patches(folder: Path, arguments: list[str]) -> None:
    (folder / "patched.py").write_text(PATCHED)
    workers = 2 if "2" in arguments else 1
    with Command(folder, "patched:app", *arguments) as command:
        command.wait_until_up(workers)
        assert command.get("/").text == "int True"
        victim = command.workers()[0]
        if "--reload" in arguments:
            (folder / "patched.py").write_text(PATCHED + "# and changed\n")
        else:
            os.kill(victim, signal.SIGKILL)
        command.wait_until_up(workers + 1)
        assert command.get("/").text == "int True"
        assert "Warning" not in command.log() and "Traceback" not in command.log(), command.log()
        assert command.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize(("arguments", "advice"), [(["--threads", "4"], "use --threads 1, with more --workers")], ids=["threads"])
def test_greenlets_with_threads_are_an_error(folder: Path, arguments: list[str], advice: str) -> None:
    (folder / "patched.py").write_text(PATCHED)
    ended = run("serve", "patched:app", "--bind", "127.0.0.1:0", *arguments, folder=folder)
    assert ended.returncode == 3
    assert "gevent.monkey.patch_all()" in ended.stderr and advice in ended.stderr and "Traceback" not in ended.stderr


def test_greenlets_without_a_patch_need_nothing(folder: Path) -> None:
    (folder / "green.py").write_text(
        "import greenlet\n\ndef app(environ, start_response):\n    body = greenlet.greenlet(lambda: b'green').switch()\n"
        "    start_response('200 OK', [])\n    return [body]\n")
    with Command(folder, "green:app", "--threads", "4") as command:
        command.wait_until_up()
        assert command.get("/").body == b"green"
