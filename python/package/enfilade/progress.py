"""Finds out whether a worker is stuck."""

from __future__ import annotations

from enfilade._native import Activity


class Progress:
    """Adds up how long a worker has made no progress.

    A worker makes progress if a thread of it is free, or if a thread began or ended a request, sent a block or read from its
    client since the last look. A worker that loads its application makes none.
    """

    def __init__(self, threads: int, now: float) -> None:
        self.activity = Activity(threads)
        self.stuck = 0.0
        """The seconds without progress."""
        self._counts: list[int] = []
        self._looked = now

    def look(self, ready: bool, now: float, interval: float) -> None:
        """Looks at the worker; expected every `interval` seconds.

        A longer break counts as two intervals: this process was stopped or the machine asleep, and the worker perhaps too.
        """
        counts = self.activity.counts()
        if ready and (counts != self._counts or any(count % 2 == 0 for count in counts)):
            self.stuck = 0.0
        else:
            self.stuck += min(now - self._looked, 2 * interval)
        self._counts, self._looked = counts, now

    def restart(self, now: float) -> None:
        """Forgets the time without progress."""
        self.stuck, self._looked = 0.0, now
