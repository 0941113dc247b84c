"""Circuits: an entry that failed is left out for a while, so that a provider that is down costs its time once."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from resources.llm.config import Entry

LONGEST_SECONDS = 300.0
"""No pause is longer, however often an entry has failed."""


@dataclass
class _Circuit:
    reason: str
    until: float
    """By `time.monotonic`, when the entry is asked again."""
    pause: float


class Circuits:
    """The entries that are left out, by what they are: one that is configured anew is asked at once.

    When the pause is over, one request tries the entry, while others still leave it out (the half-open state of
    Nygard's circuit breaker, Release It!, 2007).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[tuple[str, Entry], _Circuit] = {}

    def paused(self, name: str, entry: Entry, trial_seconds: float) -> str | None:
        """Why and how long the entry is left out; None where the caller may ask it.

        Args:
            trial_seconds: so long others are kept away while this caller tries an entry that failed before.
        """
        with self._lock:
            circuit = self._open.get((name, entry))
            if circuit is None:
                return None
            left = circuit.until - time.monotonic()
            if left > 0:
                return f"left out for {left:.0f} s more, for it failed: {circuit.reason}"
            circuit.until = time.monotonic() + trial_seconds
            return None

    def failed(self, name: str, entry: Entry, reason: str, pause: float) -> None:
        """Leave the entry out for `pause` seconds, or for twice the last pause where that is longer."""
        with self._lock:
            before = self._open.get((name, entry))
            pause = min(LONGEST_SECONDS, max(pause, 2 * before.pause if before is not None else 0.0))
            self._open[name, entry] = _Circuit(reason, time.monotonic() + pause, pause)

    def answered(self, name: str, entry: Entry) -> None:
        with self._lock:
            self._open.pop((name, entry), None)
