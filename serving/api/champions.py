"""The champions that a process serves: polled for in a thread, loaded, tried and swapped in while requests run."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from resources.settings import Settings
from serving.api.metrics import CHAMPION, FAILED_LOADS, IS_LOAD_FAILING, IS_REACHABLE

if TYPE_CHECKING:
    from assets.recommender.model import Recommender
    from resources.tracking import ModelVersion, Tracking

_log = logging.getLogger("cartograph.api")
_FIRST_PAUSE, _LONGEST_PAUSE = 10.0, 600.0
"""Seconds until a version that could not be loaded is tried again: doubled at each failure."""
_LONGEST_PAUSE_AWAY = 15.0
"""The same where its files could not be had, which may be otherwise any moment."""
_SILENT_SECONDS = 30.0
"""A registry that has not told all champions for so long hangs."""
_TRIED_TOP = 5


class BrokenModelError(RuntimeError):
    """A version could be read, but what it answers cannot be served."""


@dataclass(frozen=True)
class Champion:
    """A loaded version of a shop's model."""

    shop: str
    name: str
    version: int
    run_id: str
    """Tells it from the version of the same number in a registry that was made anew."""
    trained_to: str | None
    loaded_at: datetime
    recommender: Recommender
    products: frozenset[str]
    """What the model knows."""


@dataclass(frozen=True)
class FailedLoad:
    """The last version of a shop's model that could not be loaded."""

    version: int
    run_id: str
    at: datetime
    reason: str
    failures: int
    again_at: float
    """When it is tried again, on the monotonic clock."""


class Champions:
    """The champion of each shop. One thread writes; readers take one reference, which is whole at any moment."""

    def __init__(self, settings: Settings, shops: Iterable[str]) -> None:
        self.settings = settings
        self.shops = tuple(shops)
        self.loaded: dict[str, Champion] = {}
        self.failed: dict[str, FailedLoad] = {}
        self.problem: str | None = "it is being opened"
        """Why the registry is away, as the last round found; None while it answers."""
        self._round_at = time.monotonic()
        """When the last round ended."""
        self._stopping = threading.Event()
        # A daemon: a registry that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="champions", daemon=True)

    def problem_now(self) -> str | None:
        """As `problem`, but also of a round that does not end."""
        seconds = time.monotonic() - self._round_at
        # Between rounds there is a pause.
        if self.problem is None and seconds > _SILENT_SECONDS + 1.25 * self.settings.api_poll_seconds:
            return f"it was last asked with success {seconds:.0f} s ago"
        return self.problem

    def start(self) -> None:
        from resources.tracking import model_name

        for shop in self.shops:
            CHAMPION.labels(shop, model_name("recommender", shop)).set(0)
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end, and wait a moment for it."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def _run(self) -> None:
        tracking: Tracking | None = None
        while not self._stopping.is_set():
            try:
                if tracking is None:
                    from resources.tracking import Tracking  # MLflow takes seconds; requests are answered meanwhile

                    tracking = Tracking(self.settings)
                self.poll(tracking)
                self._note(None)
            except Exception as error:  # whatever a registry fails with, what is loaded is served on
                self._note(reason_of(error))
            self._round_at = time.monotonic()
            # Processes that were started together do not ask together.
            self._stopping.wait(self.settings.api_poll_seconds * random.uniform(0.75, 1.25))

    def poll(self, tracking: Tracking) -> None:
        """Ask for each shop's champion once, and load those that are not the ones served.

        Raises:
            TrackingError: the registry does not tell a shop's champion; all the others were asked for as well.
        """
        from resources.tracking import model_name

        first: Exception | None = None
        for shop in self.shops:
            if self._stopping.is_set():
                return
            try:
                version = tracking.champion(model_name("recommender", shop))
            except Exception as error:
                first = first or error
            else:
                self._follow(tracking, shop, version)
        if first is not None:
            raise first

    def _follow(self, tracking: Tracking, shop: str, version: ModelVersion | None) -> None:
        """Serve what the registry calls champion, where it is not what is served."""
        if version is None or _is_same(self.loaded.get(shop), version):
            self._forgive(shop)
            return
        failed = self.failed.get(shop)
        if failed is not None and _is_same(failed, version) and time.monotonic() < failed.again_at:
            return
        try:
            champion = load(tracking, shop, version)
        except Exception as error:  # a file that is missing, cut or of another format: any class
            self._fail(shop, version, error)
        else:
            self.loaded[shop] = champion
            self._forgive(shop)
            CHAMPION.labels(shop, champion.name).set(champion.version)
            _log.warning(f"{champion.name}: version {champion.version} is served")

    def _fail(self, shop: str, version: ModelVersion, error: Exception) -> None:
        from resources.far import SourceError
        from resources.tracking import TrackingError

        before = self.failed.get(shop)
        failures = before.failures + 1 if before is not None and _is_same(before, version) else 1
        is_away = isinstance(error, TrackingError | SourceError | OSError)
        pause = pause_after(failures, is_away)
        again_at = time.monotonic() + pause
        self.failed[shop] = FailedLoad(
            version.version, version.run_id, datetime.now(UTC), reason_of(error), failures, again_at
        )
        FAILED_LOADS.labels(shop).inc()
        IS_LOAD_FAILING.labels(shop).set(1)
        served = self.loaded.get(shop)
        _log.error(
            f"{shop}: version {version.version} cannot be served, "
            f"{f'version {served.version} is served on' if served else 'none is'}; again in {pause:.0f} s",
            exc_info=error,
        )

    def _forgive(self, shop: str) -> None:
        """The registry names a version that is served, or none: what failed before is no longer asked for."""
        if self.failed.pop(shop, None) is not None:
            IS_LOAD_FAILING.labels(shop).set(0)

    def _note(self, problem: str | None) -> None:
        if (problem is None) != (self.problem is None):
            _log.warning("the registry answers" if problem is None else f"the registry is away: {problem}")
        self.problem = problem
        IS_REACHABLE.labels("registry").set(problem is None)


def load(tracking: Tracking, shop: str, version: ModelVersion) -> Champion:
    """Download a version, read it, and let it answer once.

    Raises:
        BrokenModelError: it is another shop's, or what it answers cannot be served.
        Exception: its files cannot be had or read.
    """
    from assets.recommender.model import Recommender

    owner = version.tags.get("shop")
    if owner != shop:
        raise BrokenModelError(f"{version.name} version {version.version} is tagged with shop {owner!r}, not {shop!r}")
    recommender = Recommender.load(tracking.download(version))
    popular = recommender.recommend([], _TRIED_TOP)
    answers = [popular, recommender.recommend([product for product, _ in popular], _TRIED_TOP)]
    if not popular:
        raise BrokenModelError(f"{version.name} version {version.version} recommends nothing to a new visitor")
    for answer in answers:
        for product, score in answer:
            if not math.isfinite(score):
                raise BrokenModelError(
                    f"{version.name} version {version.version} gives product {product!r} the score {score}"
                )
    return Champion(
        shop,
        version.name,
        version.version,
        version.run_id,
        version.tags.get("trained_to"),
        datetime.now(UTC),
        recommender,
        frozenset(recommender.product_ids.to_pylist()),
    )


def _is_same(known: Champion | FailedLoad | None, version: ModelVersion) -> bool:
    return known is not None and (known.version, known.run_id) == (version.version, version.run_id)


def pause_after(failures: int, is_away: bool) -> float:
    """Seconds until what failed so often in a row is tried again.

    Args:
        is_away: it could not be had; otherwise it is broken.
    """
    return min(_FIRST_PAUSE * 2.0 ** min(failures - 1, 10), _LONGEST_PAUSE_AWAY if is_away else _LONGEST_PAUSE)


def reason_of(error: Exception) -> str:
    """An error in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:500] if lines else 'no message'}"
