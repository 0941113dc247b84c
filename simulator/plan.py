"""What is to be simulated: seed, scale, days and injected drift of one shop, and what its writer reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, get_args

DriftKind = Literal["tastes", "prices", "wording", "volume"]
DRIFT_KINDS: tuple[str, ...] = get_args(DriftKind)

Say = Callable[[str], None]


class Drift(NamedTuple):
    """A change of the shop's world that begins on a day and stays."""

    kind: DriftKind
    start: date


class Written(NamedTuple):
    """One file that was written."""

    table: str
    path: Path
    rows: int


@dataclass(frozen=True)
class Plan:
    """One shop's world. Equal plans that differ in `until` alone agree on every day that both hold."""

    seed: int
    scale: float
    """Share of the public set's size: 1.0 is as large as it is."""
    start: date
    """The first day with orders, events or reviews."""
    until: date
    """The last day, whole."""
    drifts: tuple[Drift, ...] = ()


class Writer(Protocol):
    """What each shop's module offers under the name `write`."""

    def __call__(self, folder: Path, truth: Path, plan: Plan, after: date | None, say: Say) -> list[Written]:
        """Write the shop's files as they are at the end of `plan.until`.

        Args:
            folder: the shop's source, such as `<home>/inbox/<shop>`.
            truth: a folder for the planted truth, which tests alone read.
            plan: the world.
            after: the last day that `folder` holds already, with an equal plan; None where it holds nothing. Only what
                came or changed since is written.
            say: told about progress.
        """
        ...
