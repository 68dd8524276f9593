"""A configuration of gunicorn: what is understood, and what is refused with its name."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from enfilade.gunicorn_conf import HOOKS, OPTIONS, REFUSED, WITHOUT_EFFECT
from gunicorn.config import KNOWN_SETTINGS
from support.command import Command, run
from support.servers import wait_until

APPLICATION = '''
import os

def app(environ, start_response):
    body = f"{os.environ.get('OF_TESTS')} {environ['wsgi.multithread']} {environ['wsgi.multiprocess']}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
'''

HOOKED = '''
import os
wsgi_app = "site_app:app"
bind = ["127.0.0.1:0"]
workers = 2
threads = 3
worker_class = "gthread"
raw_env = ["OF_TESTS=from the file"]
loglevel = "INFO"
accesslog = "access"
access_log_format = '%(m)s %(U)s %(s)s'
timeout = 5
keepalive = 2
umask = 0o22
preload_app = False
limit_request_line = 4094
worker_tmp_dir = "/dev/shm"
my_own_name = 5

def note(*words):
    with open("hooks", "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")

def on_starting(server): note("on_starting")
def when_ready(server): note("when_ready", server.pid == os.getpid())
def pre_fork(server, worker): note("pre_fork", worker.pid)
def post_fork(server, worker):
    note("post_fork", worker.pid == os.getpid(), server.pid == os.getppid())
    server.log.info("forked %s", worker.pid)
def post_worker_init(worker): note("post_worker_init", worker.pid == os.getpid())
def worker_exit(server, worker): note("worker_exit", worker.pid == os.getpid())
def child_exit(server, worker): note("child_exit", type(worker.pid).__name__)
def on_reload(server): note("on_reload")
def on_exit(server): note("on_exit")
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site_app.py").write_text(APPLICATION)
    return tmp_path


def test_every_setting_of_gunicorn_is_understood_or_refused() -> None:
    known = {setting.name for setting in KNOWN_SETTINGS} - {"config", "wsgi_app"}
    groups = [set(OPTIONS), set(REFUSED), set(WITHOUT_EFFECT), set(HOOKS)]
    assert known - set().union(*groups) == set()
    assert set().union(*groups) - known == set()
    assert sum(map(len, groups)) == len(set().union(*groups)), "a setting is in two groups"


def test_the_page_for_migrating_has_every_setting() -> None:
    page = (Path(__file__).resolve().parent.parent / "MIGRATING.md").read_text()
    assert [setting.name for setting in KNOWN_SETTINGS if f"`{setting.name}`" not in page] == []


def test_a_file_with_hooks(folder: Path) -> None:
    (folder / "gunicorn.conf.py").write_text(HOOKED)
    with Command(folder, "", "-c", "gunicorn.conf.py") as command:
        command.wait_until_up(2)
        command.wait_for_log("forked ", times=2)
        assert "-k gthread has no effect: each worker has 3 threads (--threads)" in command.log()
        assert command.get("/x").text == "from the file True True"
        wait_until(lambda: (folder / "access").exists() and (folder / "access").read_text() == "GET /x 200\n")
        assert command.stop(signal.SIGTERM) == 0
    lines = (folder / "hooks").read_text().splitlines()
    assert lines[:3] == ["on_starting", "when_ready True", "pre_fork [booting]"]
    assert lines[-1] == "on_exit"
    counts = {line: lines.count(line) for line in set(lines)}
    assert counts == {"on_starting": 1, "when_ready True": 1, "pre_fork [booting]": 2, "post_fork True True": 2,
                      "post_worker_init True": 2, "worker_exit True": 2, "child_exit int": 2, "on_exit": 1}


def test_the_command_comes_before_the_file(folder: Path) -> None:
    (folder / "conf.py").write_text("bind = '/nowhere:1'\nworkers = 4\nthreads = 4\nraw_env = ['OF_TESTS=file']\n"
                                    .replace("/nowhere:1", "127.0.0.1:1"))
    with Command(folder, "site_app:app", "--config", "file:conf.py", "--workers", "1", "--env", "OF_TESTS=command") as command:
        command.wait_until_up()
        assert len(command.workers()) == 1
        assert command.get().text == "command True False"


@pytest.mark.parametrize(("text", "message"), [
    ("daemon = True", "gunicorn.conf.py: daemon is not supported: run the server under systemd, or another supervisor"),
    ("user = 'www-data'", "gunicorn.conf.py: user is not supported: start the server as this user: User= of systemd"),
    ("def pre_request(worker, request): pass", "gunicorn.conf.py: pre_request is not supported: write a WSGI middleware"),
    ("worker_class = 'gevent'", "gunicorn.conf.py: argument -k/--worker-class: 'gevent' runs requests on greenlets"),
    ("workers = 0.5", "gunicorn.conf.py: argument -w/--workers: '0.5' is not a whole number"),
    ("access_log_format = '%(L)s'", "'%(L)s' cannot be logged"),
    ("1 / 0", "argument -c/--config: gunicorn.conf.py failed: ZeroDivisionError: division by zero"),
    ("workers =", "argument -c/--config: gunicorn.conf.py failed: SyntaxError: "),
    (None, "argument -c/--config: cannot read gunicorn.conf.py: No such file or directory"),
], ids=lambda value: str(value)[:20])
def test_what_is_not_supported_is_named(folder: Path, text: str | None, message: str) -> None:
    if text is not None:
        (folder / "gunicorn.conf.py").write_text(text + "\n")
    ended = run("serve", "site_app:app", "-c", "gunicorn.conf.py", folder=folder)
    assert ended.returncode == 2
    _, error = ended.stderr.splitlines()
    assert message in error


@pytest.mark.parametrize("text", ["", "daemon = False", "header_map = 'drop'", "limit_request_fields = 100", "umask = '0022'", "timeout = 0",
                                  "max_requests = 0", "keepalive = 0", "statsd_host = None", "forwarded_allow_ips = '127.0.0.1'"])
def test_what_changes_nothing_is_accepted(folder: Path, text: str) -> None:
    text = text.replace("'0022'", "0o22")
    (folder / "gunicorn.conf.py").write_text(text + "\n")
    ended = run("serve", "site_app:app", "-c", "gunicorn.conf.py", "--check-config", folder=folder)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("hook", ["post_fork(server, worker)", "post_worker_init(worker)", "on_starting(server)"])
def test_a_hook_that_fails_is_named(folder: Path, hook: str) -> None:
    (folder / "conf.py").write_text(f"def {hook}:\n    1 / 0\n")
    ended = run("serve", "site_app:app", "--bind", "127.0.0.1:0", "-c", "conf.py", folder=folder)
    assert ended.returncode == 3
    assert f"the hook {hook.partition('(')[0]} failed" in ended.stderr and "ZeroDivisionError" in ended.stderr


def test_no_keep_alive(folder: Path) -> None:
    from support.raw import Client

    for threads in ("1", "4"):
        with Command(folder, "site_app:app", "--keep-alive", "0", "--threads", threads) as command:
            command.wait_until_up()
            with Client(command.address) as client:
                assert client.get("/").value("connection") == "close"


def test_gunicorn_itself_accepts_the_same_file(folder: Path) -> None:
    """The file of these tests is one of gunicorn's."""
    import subprocess
    import sys

    (folder / "gunicorn.conf.py").write_text(HOOKED)
    ended = subprocess.run([sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "--check-config"], cwd=folder,
                           capture_output=True, text=True, timeout=30)
    assert (ended.returncode, re.sub(r"\s", "", ended.stderr)) == (0, "")


