"""A clock for a server's process that a test can set."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = syscall(SYS_clock_gettime, clock, time);
    FILE *file = clock == CLOCK_REALTIME ? fopen(getenv("TEST_CLOCK"), "r") : NULL;
    if (file) {
        long offset = 0;
        if (fscanf(file, "%ld", &offset) == 1) time->tv_sec += offset;
        fclose(file);
    }
    return result;
}
"""


class Clock:
    """The time of day for a process with this environment."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "offset"
        library = folder / "clock.so"
        # The build of the package needs a linker of this name too.
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-shared", "-fPIC", "-xc", "-", "-o", library], input=SOURCE, text=True, check=True)
        self.environment = {"LD_PRELOAD": str(library), "TEST_CLOCK": str(self.file)}
        self.set(0)

    def set(self, offset: int) -> None:
        """Sets the clock this many seconds ahead."""
        new = self.file.with_suffix(".new")
        new.write_text(str(offset))
        new.replace(self.file)
