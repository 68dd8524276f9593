"""gunicorn's hooks: functions of a configuration that the server calls when processes start and end."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

log = logging.getLogger("enfilade")

HOOKS = ("on_starting", "on_reload", "when_ready", "pre_fork", "post_fork", "post_worker_init", "worker_exit", "child_exit", "on_exit")


@dataclass
class Process:
    """The first process or a worker, as hooks get it."""

    pid: int | str = field(default_factory=os.getpid)
    log: logging.Logger = log


SERVER = Process()
"""The first process."""


class Hooks:
    """The hooks of a configuration, by their names."""

    def __init__(self, functions: Mapping[str, Callable[..., object]] | None = None) -> None:
        self._functions = dict(functions or {})

    def call(self, name: str, *processes: Process) -> None:
        """Calls a hook if there is one."""
        if function := self._functions.get(name):
            function(*processes)

    def try_call(self, name: str, *processes: Process) -> None:
        """Calls a hook of the first process, which outlives its errors."""
        try:
            self.call(name, *processes)
        except Exception:
            log.exception("the hook %s failed", name)
