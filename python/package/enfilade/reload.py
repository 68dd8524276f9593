"""Notices that a file of the application has changed."""

from __future__ import annotations

import os
import sys
from _thread import start_new_thread
from collections.abc import Callable, Iterable, Iterator
from time import sleep


def loaded_files() -> Iterator[str]:
    """Yields the source files of all modules that are loaded now."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            # Watches the source of a compiled module, because that is the file that is edited.
            yield file[:-1] if file.endswith((".pyc", ".pyo")) else file


def below(path: str) -> Iterator[str]:
    """Yields the path itself if it is a file, or all files below it if it is a folder."""
    if not os.path.isdir(path):
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__pycache__"]
        for name in names:
            yield os.path.join(folder, name)


def stamp(path: str) -> tuple[int, int] | None:
    """Returns a value that changes when the file does; None if there is no such file."""
    try:
        about = os.stat(path)
    except OSError:
        return None
    return about.st_mtime_ns, about.st_size


class Watcher:
    """Looks at the loaded modules' files, and at extra ones, every `interval` seconds."""

    def __init__(self, extra: Iterable[str] = (), interval: float = 0.5) -> None:
        self._extra = [os.path.abspath(path) for path in extra]
        self._interval = interval
        self._stamps: dict[str, tuple[int, int] | None] = {}
        self._listed = False
        self.changed()

    def changed(self) -> str | None:
        """Returns a file that changed or was removed since the last call, or that is new in an extra folder."""
        extra = {file for path in self._extra for file in below(path)}
        found = None
        for path in {*loaded_files(), *extra, *self._stamps}:
            now = stamp(path)
            known = path in self._stamps
            if (known and self._stamps[path] != now) or (not known and self._listed and path in extra):
                found = path
            self._stamps[path] = now
        self._listed = True
        return found

    def start(self, report: Callable[[str], None]) -> None:
        """Starts a thread that calls `report` with the first file that changes.

        It is a thread of the system, also if the application replaces the functions of `threading` and `time` with those of
        greenlets: the ones here were imported before.
        """

        def watch() -> None:
            while not (path := self.changed()):
                sleep(self._interval)
            report(path)

        start_new_thread(watch, ())
