"""Sends the same requests to each application under waitress and under Enfilade, and compares the responses byte for byte.

Left out are what two runs of one server differ in: dates, session cookies and tokens (`RANDOM`), and what each server is free to
choose (`FREE`). `compare.py` compares all, `compare.py flask trac` these.
"""

from __future__ import annotations

import contextlib
import difflib
import gzip
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from urllib.parse import urlencode

from sites import SITES

HERE = Path(__file__).resolve().parent
FREE = {"date", "server", "connection", "transfer-encoding", "via"}
RANDOM = [
    (r"(Set-Cookie: [^=]+=)[^;]*", r"\1TOKEN"),
    (r"(?i)(expires=|last-modified: |expires: )[A-Z][a-z]{2}, \d\d[- ][A-Z][a-z]{2}[- ]\d{4} [\d:]{8} GMT", r"\1DATE"),
    (r"(?i)(csrfmiddlewaretoken\" value=\"|__FORM_TOKEN\" value=\"|form_token\": *\"|csrf_token\" value=\")[^\"]+", r"\1TOKEN"),
    (r"(?i)(etag: )\S+", r"\1TAG"),
    (r'("end_id":")[^"]+', r"\1ID"),
    (r"opaquelocktoken:[-0-9a-fx]+", "LOCK"),
    (r"\d{4}-\d\d-\d\dT[\d:]{8}(\.\d+)?(Z|[+-]\d\d:\d\d)?", "TIME"),
    (r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} (GMT|[+-]\d{4})", "DATE"),
    (r"\d\d/\d\d/\d\d \d\d:\d\d:\d\d|\d+:\d\d:\d\d [AP]M|[A-Z][a-z]{2} \d{1,2}, \d{4}", "TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+|\d{4}-\d\d-\d\dT\d\d%3A\d\d%3A\d\d|\b\d+ seconds? ago|>\d\d:\d\d<", "TIME"),
    (r"(quota-[a-z]+-bytes>)\d+", r"\1SIZE"),
    (r"getetag>[^<]*", "getetag>TAG"),
    (r"(?i)\"?[0-9a-f]{32,64}\"?", "DIGEST"),
    (r"/\S*/site-[^/\s\"<]+", "FOLDER"),
]


@contextlib.contextmanager
def serving(server: str, site: str) -> Iterator[int]:
    """Serves the site in a folder of its own, and yields the port."""
    folder = Path(tempfile.mkdtemp(prefix="site-"))
    listener = socket.create_server(("127.0.0.1", 0))
    with open(folder / "log", "w+") as log:
        process = subprocess.Popen([sys.executable, str(HERE / "serve.py"), server, site, str(folder), str(listener.fileno())], cwd=HERE,
                                   pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env={**os.environ, "PYTHONHASHSEED": "0"})
        try:
            port: int = listener.getsockname()[1]
            listener.close()
            yield port
        except OSError as error:
            log.seek(0)
            raise SystemExit(f"{site} under {server}: {error}\n{log.read()[-3000:]}") from error
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            shutil.rmtree(folder, ignore_errors=True)


def responses(server: str, site: str) -> list[str]:
    """Returns the responses of a site as text, without what is random."""
    cookies: dict[str, str] = {}
    with serving(server, site) as port:
        return [exchanged(port, cookies, request) for request in SITES[site][1]]


def exchanged(port: int, cookies: dict[str, str], request: tuple[object, ...]) -> str:
    method, path, body, headers = (*request, *(b"", {})[len(request) - 2:])
    sent = {"Host": "site.test", **headers}  # type: ignore[dict-item]
    if isinstance(body, dict):
        body = urlencode({name: value.format(**cookies) for name, value in body.items()}).encode()
        sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
    if cookies:
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    client.request(str(method), str(path), body or None, sent)  # type: ignore[arg-type]
    response = client.getresponse()
    content = response.read()
    client.close()
    for cookie in response.headers.get_all("Set-Cookie", []):
        name, _, value = cookie.partition(";")[0].partition("=")
        cookies[name] = value
    if response.headers.get("Content-Encoding") == "gzip":
        # Its head has a time.
        content = gzip.decompress(content)
    # A server may add the length if the application does not set it.
    free = FREE | ({"content-length"} if response.headers.get("Content-Length") == str(len(content)) else set())
    lines = sorted(f"{name.title()}: {value}" for name, value in response.getheaders() if name.lower() not in free)
    return plain("\n".join([f"{method} {path}", f"{response.status} {response.reason}", *lines, "", content.decode("latin-1")]))


def plain(text: str) -> str:
    for pattern, replacement in RANDOM:
        text = re.sub(pattern, replacement, text)
    return text


def litmus(server: str) -> list[str]:
    """Runs the tests of WebDAV against WsgiDAV and returns their results; some fail there under any server."""
    with serving(server, "wsgidav") as port, tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["litmus", "-k", f"http://127.0.0.1:{port}/"], cwd=folder, capture_output=True, text=True, timeout=200)
    if "summary for `http'" not in done.stdout:
        raise SystemExit(f"litmus under {server} did not come to its end:\n{done.stdout}{done.stderr}")
    # A target with a fragment is not valid (RFC 9112, section 3.2): waitress removes the fragment, and litmus warns.
    output = re.sub(r"delete_fragment.*\n.*with 1 warning.*", "delete_fragment... pass", done.stdout.replace("\r", "\n"))
    results = re.findall(r"^.*\.\.\. .+$|^.*summary.*$", output, re.MULTILINE)
    return [re.sub(r"(delete_fragment)\.+", r"\1...", result.replace(str(port), "PORT")) for result in results]


def differences(name: str, expected: list[str], found: list[str], server: str) -> int:
    """Prints and counts the responses that differ."""
    count = 0
    for one, other in zip_longest(expected, found, fillvalue=""):
        if one == other:
            continue
        count += 1
        print(f"{name} (- waitress, + Enfilade with {server} threads): {one.partition(chr(10))[0]}")
        lines = difflib.unified_diff(one.splitlines(), other.splitlines(), lineterm="", n=0)
        for line in list(lines)[3:19]:
            print(f"  {line[:300]}")
    return count


def main(names: list[str]) -> int:
    failed = 0
    for name in names or [*SITES, "litmus"]:
        started = time.monotonic()
        run = litmus if name == "litmus" else lambda server: responses(server, name)
        expected = run("waitress")
        count = sum(differences(name, expected, run(server), server) for server in ("1", "4"))
        failed += count
        print(f"{name}: {len(expected)} compared, {count} differ ({time.monotonic() - started:.1f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
