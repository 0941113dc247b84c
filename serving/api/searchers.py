"""The collections that a process searches: looked for in a thread, opened, tried and swapped in while requests run."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from resources.settings import Settings
from serving.api.champions import pause_after, reason_of
from serving.api.metrics import FAILED_SEARCH_LOADS, IS_SEARCH_LOAD_FAILING, SEARCH_VERSION

if TYPE_CHECKING:
    from assets.search.retrieve import Searcher
    from resources.embedder import Embedder
    from resources.vectors.collection import Manifest
    from resources.vectors.store import Store

_log = logging.getLogger("cartograph.api")
_TRIED = "what is there?"


class BrokenCollectionError(RuntimeError):
    """A version could be opened, but what it answers cannot be served."""


@dataclass
class Served:
    """An opened version of a shop's collection, with the embedder that made it."""

    manifest: Manifest
    searcher: Searcher
    loaded_at: datetime
    users: int = 1
    """The requests that borrow it, and the process as long as it serves it."""


@dataclass(frozen=True)
class FailedOpening:
    """What is published for a shop and could not be opened."""

    manifest: Manifest | None
    """None where not even that could be read."""
    at: datetime
    reason: str
    failures: int
    again_at: float
    """When it is tried again, on the monotonic clock."""


class Searchers:
    """The searched version of each shop. One thread opens them; requests borrow them, each in its own thread."""

    def __init__(self, settings: Settings, shops: Iterable[str]) -> None:
        """
        Args:
            shops: those whose products have text.
        """
        self.settings = settings
        self.shops = tuple(shops)
        self.loaded: dict[str, Served] = {}
        self.failed: dict[str, FailedOpening] = {}
        self.unpublished: frozenset[str] = frozenset()
        """The shops for which nothing was published yet, as the last round found."""
        self._store: Store | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        # A daemon: a server or a hub that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="searchers", daemon=True)

    def start(self) -> None:
        for shop in self.shops:
            SEARCH_VERSION.labels(shop).set(0)
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end, wait a moment for it, and let go of all versions."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)
        for shop in tuple(self.loaded):
            with self._lock:
                served = self.loaded.pop(shop)
            self._release(served)

    @contextmanager
    def borrowed(self, shop: str) -> Iterator[Served]:
        """The version that is served now; it stays open as long as the block runs.

        Raises:
            KeyError: none is loaded.
        """
        with self._lock:
            served = self.loaded[shop]
            served.users += 1
        try:
            yield served
        finally:
            self._release(served)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.poll()
            except Exception:  # a fault of ours must be seen, and must not end the thread
                _log.exception("the collections could not be looked for")
            # Processes that were started together do not ask together.
            self._stopping.wait(self.settings.api_poll_seconds * random.uniform(0.75, 1.25))

    def poll(self) -> None:
        """Look once at what is published for each shop, and open what is not the version served."""
        from resources.vectors.store import open_store

        if self._store is None:
            self._store = open_store(self.settings)
        for shop in self.shops:
            if self._stopping.is_set():
                return
            try:
                manifest = self._store.manifest(shop)
            except Exception as error:  # a server that is away, a file that is cut: any class
                self._fail(shop, None, error)
            else:
                self._follow(self._store, shop, manifest)

    def _follow(self, store: Store, shop: str, manifest: Manifest | None) -> None:
        """Serve what is published, where it is not what is served."""
        self.unpublished = self.unpublished | {shop} if manifest is None else self.unpublished - {shop}
        served = self.loaded.get(shop)
        if manifest is None or (served is not None and served.manifest == manifest):
            self._forgive(shop)
            return
        failed = self.failed.get(shop)
        if failed is not None and failed.manifest == manifest and time.monotonic() < failed.again_at:
            return
        try:
            opened = self._open(store, shop)
        except Exception as error:  # a version that is cut short, an embedder that cannot be had: any class
            self._fail(shop, manifest, error)
            return
        with self._lock:
            before, self.loaded[shop] = self.loaded.get(shop), opened
        if before is not None:
            self._release(before)
        self._forgive(shop)
        SEARCH_VERSION.labels(shop).set(opened.manifest.version)
        _log.warning(f"{opened.manifest.name} is searched: {opened.manifest.points:,} products")

    def _open(self, store: Store, shop: str) -> Served:
        """Open the published version, load its embedder, and let it answer once.

        Raises:
            BrokenCollectionError: what it answers cannot be served.
            Exception: it cannot be opened.
        """
        from assets.search.config import load_search_config
        from assets.search.retrieve import Searcher
        from resources.vectors.collection import BM25, DENSE

        reader = store.reader(shop)
        try:
            config = load_search_config(shop)
            embedder = self._embedder(reader.manifest.embedder)
            searcher = Searcher(reader, embedder, config.candidates)
            # By meaning something is found for any text, whatever the collection's own weights are.
            found = searcher.search(_TRIED, top=5, weights={DENSE: 1.0, BM25: 1.0})
            if reader.manifest.points and not found:
                raise BrokenCollectionError(f"{reader.manifest.name} finds none of its {reader.manifest.points} points")
            for hit in found:
                if not math.isfinite(hit.score):
                    raise BrokenCollectionError(
                        f"{reader.manifest.name} gives product {hit.product_id!r} the score {hit.score}"
                    )
        except BaseException:
            reader.close()
            raise
        return Served(reader.manifest, searcher, datetime.now(UTC))

    def _embedder(self, identity: str) -> Embedder:
        """One for all collections that it made: a model takes some 100 MB."""
        from resources.embedder import Embedder

        for served in self.loaded.values():
            if served.searcher.embedder.identity == identity:
                return served.searcher.embedder
        return Embedder.of(identity, self.settings)

    def _release(self, served: Served) -> None:
        """Close it, or leave that to the last who uses it. While it is open, the publisher cannot remove its files."""
        with self._lock:
            served.users -= 1
            is_due = not served.users
        if is_due:
            served.searcher.reader.close()

    def _fail(self, shop: str, manifest: Manifest | None, error: Exception) -> None:
        before = self.failed.get(shop)
        is_known = before is not None and before.manifest == manifest
        failures = before.failures + 1 if before is not None and is_known else 1
        pause = pause_after(failures, isinstance(error, OSError))
        reason = reason_of(error)
        self.failed[shop] = FailedOpening(manifest, datetime.now(UTC), reason, failures, time.monotonic() + pause)
        FAILED_SEARCH_LOADS.labels(shop).inc()
        IS_SEARCH_LOAD_FAILING.labels(shop).set(1)
        if before is None or not is_known or before.reason != reason:
            served = self.loaded.get(shop)
            _log.error(
                f"{shop}: {'what is published' if manifest is None else manifest.name} cannot be searched, "
                f"{f'{served.manifest.name} is searched on' if served else 'nothing is'}",
                exc_info=error,
            )

    def _forgive(self, shop: str) -> None:
        """What is published is searched, or there is nothing: what failed before is no longer asked for."""
        if self.failed.pop(shop, None) is not None:
            IS_SEARCH_LOAD_FAILING.labels(shop).set(0)
