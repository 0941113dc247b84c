"""Circuits: an entry that failed is left out for a while, so that a provider that is down costs its time once."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from resources.llm.config import Entry

LONGEST_SECONDS = 300.0
"""No pause is longer, however often an entry has failed."""


@dataclass
class Open:
    """An entry that failed, and has not answered since."""

    reason: str
    """Of its last failure."""
    since: datetime
    """Its first failure without an answer behind it."""
    until: float
    """By `time.monotonic`, when the entry is asked again."""
    pause: float
    is_tried: bool = False
    """Whether somebody tries it now."""


class Circuits:
    """The entries that are left out, by what they are: one that is configured anew is asked at once.

    When the pause is over, one request tries the entry, while others still leave it out (the half-open state of
    Nygard's circuit breaker, Release It!, 2007). Whoever is let in says what came of it: `failed`, `answered`, or
    `undecided`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[tuple[str, Entry], Open] = {}

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
            circuit.until, circuit.is_tried = time.monotonic() + trial_seconds, True
            return None

    def failed(self, name: str, entry: Entry, reason: str, pause: float) -> None:
        """Leave the entry out for `pause` seconds, or for twice the last pause where that is longer."""
        with self._lock:
            before = self._open.get((name, entry))
            pause = min(LONGEST_SECONDS, max(pause, 2 * before.pause if before is not None else 0.0))
            since = datetime.now(UTC) if before is None else before.since
            self._open[name, entry] = Open(reason, since, time.monotonic() + pause, pause)

    def answered(self, name: str, entry: Entry) -> None:
        """It is there: what it said may be of use or not."""
        with self._lock:
            self._open.pop((name, entry), None)

    def undecided(self, name: str, entry: Entry) -> None:
        """Whoever was let in has learnt nothing of it: where they tried it, the next one may."""
        with self._lock:
            circuit = self._open.get((name, entry))
            if circuit is not None and circuit.is_tried:
                circuit.until, circuit.is_tried = time.monotonic(), False

    def standing(self, name: str, entry: Entry) -> Open | None:
        """How long the entry has not answered, and why; None where it may be asked."""
        with self._lock:
            circuit = self._open.get((name, entry))
            return None if circuit is None else replace(circuit)
