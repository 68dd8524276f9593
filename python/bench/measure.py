"""Measures the servers in turn; `run` calls this, and its README explains the tables."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import apps
import operation
from client import check, requests_in_a_row, transfer_down, transfer_up
from servers import SERVERS, Running

HERE = Path(__file__).resolve().parent
BASE = "enfilade 1"
MEGABYTE = 2**20

# The requests: the application, the path, and the body if it is a POST.
CASES: dict[str, tuple[str, str, int]] = {
    "plain hello": ("apps:plain", "/hello", 0),
    "Flask hello": ("flask_site:site", "/flask", 0),
    "10 KB JSON": ("apps:plain", "/json", 0),
    "1 MB upload": ("apps:plain", "/upload", MEGABYTE),
}
# Not granian: it works while it waits, so the difference of two runs does not show the cost of a request.
COUNTED = ("enfilade 1", "enfilade 4", "bjoern", "waitress 1", "gunicorn-gthread 1")

Sample = tuple[float, float]


def expected(path: str, length: int) -> bytes:
    return {"/hello": apps.HELLO, "/flask": apps.HELLO, "/json": apps.JSON, "/upload": str(length).encode()}[path]


def load(server: Running, path: str, length: int, seconds: float) -> Sample:
    """Returns requests per second, and nanoseconds of CPU of the server for each."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f'wrk.method = "POST"\nwrk.body = string.rep("x", {length})\n' if length else "")
        script.flush()
        before, started = server.cpu(), time.monotonic()
        output = subprocess.run(["taskset", "--cpu-list", "1", "wrk", "-t1", "-c16", f"-d{seconds:g}s", "-s", script.name,
                                 f"http://127.0.0.1:{server.port}{path}"], capture_output=True, text=True, check=True).stdout
        elapsed, used = time.monotonic() - started, server.cpu() - before
    if "Non-2xx" in output:
        raise RuntimeError(f"{server.name} does not respond with 200:\n{output}")
    found = re.search(r"(\d+) requests in", output)
    count = int(found[1]) if found else 0
    if not count:
        raise RuntimeError(f"{server.name} does not respond:\n{output}")
    return count / elapsed, used / count


def rounds(case: str, names: list[str], count: int, seconds: float) -> dict[str, list[Sample]]:
    """Takes samples of all servers in turn, so that a disturbance of the machine affects all of them."""
    application, path, length = CASES[case]
    samples: dict[str, list[Sample]] = {}
    with contextlib.ExitStack() as stack:
        running = []
        for name in names:
            try:
                server = stack.enter_context(Running(name, application))
            except (RuntimeError, OSError) as error:
                print(f"{case}: left out: {error}", file=sys.stderr)
                continue
            check(server.port, path, length, expected(path, length))
            load(server, path, length, 1)
            running.append(server)
            samples[name] = []
        for number in range(count):
            # Every other round goes backwards, so that no server always follows the same one.
            for server in running if number % 2 == 0 else reversed(running):
                samples[server.name].append(load(server, path, length, seconds))
    return samples


def spread(values: list[float], form: str = "{:.2f}") -> str:
    """Returns the text: median (smallest, largest)."""
    return f"{form} ({form}, {form})".format(statistics.median(values), min(values), max(values))


def table(samples: dict[str, list[Sample]]) -> str:
    lines = ["| server, threads | requests/s, best | requests/s, ratio | CPU a request, µs, best | CPU a request, ratio |", "|---|---|---|---|---|"]
    base = samples[BASE]
    for name, taken in samples.items():
        speed = [each[0] / ours[0] for each, ours in zip(taken, base)]
        cost = [each[1] / ours[1] for each, ours in zip(taken, base)]
        lines.append(f"| {name} | {max(each[0] for each in taken):,.0f} | {spread(speed)} | "
                     f"{min(each[1] for each in taken) / 1000:.1f} | {spread(cost)} |")
    return "\n".join(lines)


def transfers(names: list[str], count: int) -> str:
    """Measures 100 MiB down and up by one client, in MiB/s."""
    results: dict[str, tuple[list[float], list[float]]] = {}
    total = len(apps.BLOCK) * apps.BLOCKS
    with contextlib.ExitStack() as stack:
        running = []
        for name in names:
            with contextlib.suppress(RuntimeError, OSError):
                running.append(stack.enter_context(Running(name, "apps:plain")))
                results[name] = ([], [])
        os.sched_setaffinity(0, {1})
        for _ in range(count):
            for server in running:
                for values, move in zip(results[server.name], (transfer_down, transfer_up)):
                    values.append(total / MEGABYTE / move(server.port, total))
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)))
    lines = ["| server, threads | down, MiB/s, best | down, ratio | up, MiB/s, best | up, ratio |", "|---|---|---|---|---|"]
    for name, taken in results.items():
        ratios = [[each / ours for each, ours in zip(values, base)] for values, base in zip(taken, results[BASE])]
        lines.append(f"| {name} | {max(taken[0]):,.0f} | {spread(ratios[0])} | {max(taken[1]):,.0f} | {spread(ratios[1])} |")
    return "\n".join(lines)


def instructions(name: str, case: str, few: int = 1000, many: int = 6000) -> float | None:
    """Returns user-mode instructions per request: the difference of two runs, so that the start does not count."""
    application, path, _ = CASES[case]
    totals = []
    for count in (few, many):
        with tempfile.TemporaryDirectory() as folder:
            before = ["valgrind", "--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={folder}/%p"]
            try:
                with Running(name, application, before, 120) as server:
                    requests_in_a_row(server.port, path, count, expected(path, 0))
                    server.stop(60)
            except (RuntimeError, OSError, AssertionError) as error:
                print(f"instructions of {name}: {error}", file=sys.stderr)
                return None
            totals.append(sum(int(found[1]) for file in os.listdir(folder)
                              if (found := re.search(r"^(?:totals|summary): (\d+)", Path(folder, file).read_text(errors="replace"), re.M))))
    return (totals[1] - totals[0]) / (many - few)


def counted() -> str:
    lines = ["| server, threads | plain hello | Flask hello |", "|---|---|---|"]
    for name in COUNTED:
        values = [instructions(name, case) for case in ("plain hello", "Flask hello")]
        lines.append(f"| {name} | " + " | ".join(f"{value:,.0f}" if value else "-" for value in values) + " |")
        print(lines[-1], flush=True)
    return "\n".join(lines)


def leaks(seconds: float, case: str = "plain hello") -> str:
    """Measures memory and live objects of our server at the start, and after each quarter of a long load."""
    application, path, length = "leaks:application", "/mixed", 0
    lines = ["| server, threads | requests so far | memory, KiB | Python's blocks | Python's objects |", "|---|---|---|---|---|"]
    for name in ("enfilade 1", "enfilade 4"):
        with Running(name, application) as server:
            load(server, path, length, 3)
            total = 0.0
            for quarter in range(5):
                blocks, objects = fetch_counts(server.port)
                lines.append(f"| {name} | {total:,.0f} | {server.memory():,} | {blocks:,} | {objects:,} |")
                print(lines[-1], flush=True)
                if quarter < 4:
                    total += load(server, path, length, seconds / 4)[0] * seconds / 4
    return "\n".join(lines)


def fetch_counts(port: int) -> tuple[int, int]:
    from client import fetch

    blocks, objects = fetch(port, "/counts").split()
    return int(blocks), int(objects)


def written(title: str, make: Callable[[], str], write: bool) -> None:
    """Prints a table, and writes it to the README between its marks."""
    text = make()
    print(f"\n{title}\n\n{text}\n", flush=True)
    if write:
        readme = HERE / "README.md"
        pattern = re.compile(rf"(<!-- {re.escape(title)} -->\n).*?(<!-- end -->)", re.S)
        readme.write_text(pattern.sub(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", readme.read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a first look of a few minutes, which writes nothing")
    parser.add_argument("--only", action="append", help="one of the tables, by its title; can be repeated")
    parser.add_argument("--servers", default=",".join(SERVERS), help="these servers, by commas")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--leak-seconds", type=float, default=240)
    options = parser.parse_args()
    for tool in ("wrk", "taskset", "valgrind"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is missing")
    count = 3 if options.quick else options.rounds
    names = options.servers.split(",")
    tables: dict[str, Callable[[], str]] = {
        case: lambda case=case: table(rounds(case, names, count, 1)) for case in CASES}  # type: ignore[misc]
    tables["100 MiB"] = lambda: transfers(names, count)
    for title, make in operation.TABLES.items():
        tables[title] = lambda make=make: make(count)  # type: ignore[misc]
    if not options.quick:
        tables["instructions"] = counted
        tables["leaks"] = lambda: leaks(options.leak_seconds)
    for title, make in tables.items():
        if not options.only or title in options.only:
            written(title, make, not options.quick)


if __name__ == "__main__":
    main()
