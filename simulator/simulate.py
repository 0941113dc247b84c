"""Writing shops: their sizes and spans, and the memory that lets a later call grow the same world.

What was written stands in `<truths>/<shop>/plan.json`. It is written last. A write that has begun stands in
`begun.json` beside it until then; the next call ends that write first, so that one broken off in the middle leaves
nothing half or twice.
"""

from __future__ import annotations

import difflib
import fcntl
import importlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, cast
from zoneinfo import ZoneInfo

from simulator.plan import DRIFT_KINDS, Drift, DriftKind, Plan, Say, Writer, Written
from simulator.world import whole

DEFAULT_SEED = 7
_MOST_DAYS = 3_650


class SimulationError(ValueError):
    """What was asked for cannot be simulated; the message says why and what to do."""


class Profile(NamedTuple):
    """How a shop is simulated unless the caller says otherwise."""

    timezone: str
    """Its clock: the last day that is simulated is yesterday by it."""
    scale: float
    """Share of the public set's size: at most 60,000 events and 25,000 orders, and enough of them to tell by the last
    months whether a recommender beats what is popular. Olist needs most: few of its customers come back."""
    days: int | None
    """Length of the first write; None where the shop has no days."""
    drifts: tuple[str, ...]
    """The kinds of drift that it can show."""


SHOPS: dict[str, Profile] = {
    # Of 2,500 days the first 730, when the shop is still small.
    "thelook": Profile("UTC", 0.2, 730, ("tastes", "prices", "volume")),
    "retailrocket": Profile("UTC", 0.01, 138, ("tastes", "prices", "volume")),
    "online_retail": Profile("Europe/London", 24_000 / 541_909, 373, ("tastes", "prices", "volume")),
    "olist": Profile("America/Sao_Paulo", 0.25, 760, ("tastes", "prices", "wording", "volume")),
    "anime": Profile("UTC", 300 / 16_214, None, ()),
}


@dataclass(frozen=True)
class Simulated:
    """What one call wrote of one shop."""

    shop: str
    plan: Plan
    """The world as it stands now."""
    files: tuple[Written, ...]
    """Empty where nothing was new."""
    seconds: float

    @property
    def rows(self) -> int:
        """Rows in all files that were written."""
        return sum(file.rows for file in self.files)

    @property
    def size(self) -> int:
        """Bytes of all files that were written."""
        return sum(file.path.stat().st_size for file in self.files)

    @property
    def rows_per_second(self) -> float:
        """How fast they were written; 0 where none was."""
        return self.rows / self.seconds if self.rows else 0.0


@dataclass(frozen=True)
class _Memory:
    """A plan on the disk: what was written, or what a write that has begun is to reach."""

    plan: Plan
    days: int | None
    files: tuple[str, ...]
    """Paths under the shop's folder, of its first write."""
    after: date | None = None

    def save(self, path: Path) -> None:
        plan = self.plan
        content = {
            "seed": plan.seed,
            "scale": plan.scale,
            "days": self.days,
            "start": plan.start.isoformat(),
            "until": plan.until.isoformat(),
            "after": self.after.isoformat() if self.after else None,
            "drifts": [{"kind": drift.kind, "start": drift.start.isoformat()} for drift in plan.drifts],
            "files": list(self.files),
        }
        with whole(path) as part:
            part.write_text(json.dumps(content, indent=1) + "\n")

    @staticmethod
    def load(path: Path) -> _Memory | None:
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text())
            plan = Plan(
                int(content["seed"]),
                float(content["scale"]),
                date.fromisoformat(content["start"]),
                date.fromisoformat(content["until"]),
                tuple(Drift(_kind(each["kind"]), date.fromisoformat(each["start"])) for each in content["drifts"]),
            )
            after = date.fromisoformat(content["after"]) if content["after"] else None
            return _Memory(plan, content["days"], tuple(content["files"]), after)
        except (KeyError, TypeError, ValueError) as error:
            raise SimulationError(
                f"{path} is not as a simulation writes it ({error}). Remove {path.parent} and the shop's files, "
                "and simulate the shop anew."
            ) from error


def simulate(
    shops: Sequence[str],
    inbox: Path,
    truths: Path,
    days: int | None = None,
    scale: float | None = None,
    seed: int | None = None,
    until: date | None = None,
    drifts: Iterable[Drift] = (),
    say: Say = lambda _: None,
    today: date | None = None,
) -> list[Simulated]:
    """Write shops, or grow those that are there to `until` in the same world.

    Args:
        shops: names out of `SHOPS`.
        inbox: holds a folder of files for each shop.
        truths: holds a folder for each shop with its planted truth and its memory.
        days: length of the first write, in days that end with `until`. Default: the shop's own.
        scale: share of the public set's size, above 0 and at most 1. Default: the shop's own.
        seed: of the world; 7 where none was given.
        until: the last day. Default: yesterday by the shop's clock.
        drifts: to inject, besides those already there. Their days must come after all that is written.
        say: told about progress.
        today: the day in place of the clock's, for all shops.

    Returns:
        For each shop, in the order asked for, what was written.

    Raises:
        SimulationError: anything asked for that cannot be, before the first file is written.
    """
    for shop in shops:
        _check_shop(shop)
    if scale is not None and not 0.0 < scale <= 1.0:
        raise SimulationError(f"the scale {scale} is not above 0 and at most 1, where 1 is the size of the public set")
    if days is not None and not 1 <= days <= _MOST_DAYS:
        raise SimulationError(f"{days} days cannot be simulated: ask for 1 to {_MOST_DAYS:,}")
    wanted = tuple(drifts)
    tasks = [_task(shop, inbox, truths, days, scale, seed, until, wanted, today) for shop in dict.fromkeys(shops)]
    return [_run(task, say) for task in tasks]


@dataclass(frozen=True)
class _Task:
    """One shop's part of a call, checked."""

    shop: str
    folder: Path
    truth: Path
    begun: _Memory | None
    known: _Memory | None
    goal: _Memory


def _task(
    shop: str,
    inbox: Path,
    truths: Path,
    days: int | None,
    scale: float | None,
    seed: int | None,
    until: date | None,
    drifts: tuple[Drift, ...],
    today: date | None,
) -> _Task:
    profile = SHOPS[shop]
    folder, truth = inbox / shop, truths / shop
    yesterday = (today or datetime.now(ZoneInfo(profile.timezone)).date()) - timedelta(days=1)
    if until is not None and until > yesterday:
        raise SimulationError(
            f"{shop}: {until} has not ended by the shop's clock ({profile.timezone}). The last day that can be "
            f"simulated is {yesterday}: ask for that, or leave --until out."
        )
    for drift in drifts:
        if drift.kind not in profile.drifts:
            can = f"it can show {', '.join(profile.drifts)}" if profile.drifts else "it can show none"
            raise SimulationError(f"{shop} cannot show the drift {drift.kind!r}: {can}.")
    begun, known = _Memory.load(truth / "begun.json"), _Memory.load(truth / "plan.json")
    there = begun or known
    if there is None:
        length = days if days is not None and profile.days is not None else profile.days
        last = until or yesterday
        start = last - timedelta(days=length - 1) if length else last
        plan = Plan(DEFAULT_SEED if seed is None else seed, scale or profile.scale, start, last)
        goal = _Memory(plan, length, ())
    else:
        _check_same_world(shop, truth, there, days, scale, seed)
        plan = there.plan
        if until is not None and until < plan.until:
            raise SimulationError(
                f"{shop} is written up to {plan.until} already and cannot go back to {until}. "
                "Leave --until out, or use another home."
            )
        if known is not None and known.files and not any((folder / name).exists() for name in known.files):
            raise SimulationError(
                f"{shop} was written up to {known.plan.until}, but none of its files is in {folder}. "
                f"Remove {truth} to write it anew, or put the files back."
            )
        goal = replace(there, plan=replace(plan, until=max(until or yesterday, plan.until)), after=None)
    fresh = tuple(drift for drift in drifts if drift not in plan.drifts)
    _check_new_drifts(shop, fresh, goal.plan, there.plan.until if there else None)
    return _Task(shop, folder, truth, begun, known, replace(goal, plan=replace(goal.plan, drifts=plan.drifts + fresh)))


def _check_shop(shop: str) -> None:
    if shop not in SHOPS:
        near = difflib.get_close_matches(shop, SHOPS, n=1)
        raise SimulationError(
            f"no shop that can be simulated is named {shop!r}"
            + (f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(SHOPS)}.")
        )


def _check_same_world(
    shop: str, truth: Path, there: _Memory, days: int | None, scale: float | None, seed: int | None
) -> None:
    for name, asked, is_there in (
        ("seed", seed, there.plan.seed),
        ("scale", scale, there.plan.scale),
        ("days", days if SHOPS[shop].days else None, there.days),
    ):
        if asked is not None and asked != is_there:
            raise SimulationError(
                f"{shop} was simulated with --{name} {is_there}, and cannot be grown with --{name} {asked} "
                f"(it is remembered in {truth}). Leave --{name} out, or use another home."
            )


def _check_new_drifts(shop: str, fresh: tuple[Drift, ...], plan: Plan, written: date | None) -> None:
    for drift in fresh:
        if written is not None and drift.start <= written:
            raise SimulationError(
                f"{shop} is written up to {written} already, and the drift {drift.kind!r} from {drift.start} would "
                "change days that are there. Let it begin on a later day, or use another home."
            )
        if drift.start <= plan.start:
            raise SimulationError(
                f"{shop} begins on {plan.start}: the drift {drift.kind!r} from {drift.start} would leave no day "
                "before it. Let it begin on a later day."
            )
        if drift.start > plan.until:
            raise SimulationError(
                f"{shop} is simulated up to {plan.until}: the drift {drift.kind!r} from {drift.start} would not "
                "show. Let it begin on that day or before."
            )


def _kind(name: str) -> DriftKind:
    if name not in DRIFT_KINDS:
        raise ValueError(f"no drift is named {name!r}")
    return cast(DriftKind, name)


def _run(task: _Task, say: Say) -> Simulated:
    """End what was begun, then write what is new."""
    began = time.monotonic()
    task.truth.mkdir(parents=True, exist_ok=True)
    files: list[Written] = []
    with _alone(task.truth, task.shop):
        for part in (*task.folder.rglob(".*.part"), *task.truth.rglob(".*.part")):
            part.unlink()  # of a process that was killed
        known = task.known
        if task.begun is not None:
            say(f"{task.shop}: ending a write up to {task.begun.plan.until} that was broken off")
            known = _write(task, task.begun, known, files, say)
        if known is None or task.goal.plan.until > known.plan.until:
            goal = replace(task.goal, after=known.plan.until if known else None)
            goal.save(task.truth / "begun.json")
            _write(task, goal, known, files, say)
    # A file that the end of a broken write and the growth after it both wrote counts once.
    last = {file.path: file for file in files}
    return Simulated(task.shop, task.goal.plan, tuple(last.values()), time.monotonic() - began)


def _write(task: _Task, goal: _Memory, known: _Memory | None, files: list[Written], say: Say) -> _Memory:
    module = importlib.import_module(f"simulator.{task.shop}")
    write: Writer = module.write
    written = write(task.folder, task.truth, goal.plan, goal.after, say)
    files += written
    first = known.files if known else tuple(file.path.relative_to(task.folder).as_posix() for file in written)
    done = replace(goal, files=first, after=None)
    done.save(task.truth / "plan.json")
    (task.truth / "begun.json").unlink()
    return done


@contextmanager
def _alone(truth: Path, shop: str) -> Iterator[None]:
    """Hold the shop against a second simulation at the same time; a process that dies lets it go."""
    with (truth / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SimulationError(f"{shop} is being simulated by another process. Wait until it has ended.") from error
        yield
