"""What the API counts for Prometheus, and `GET /metrics`, which shows it. No label holds a user or a product."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import APIRouter, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
"""The variable by which prometheus-client lets several processes count as one; it reads it when it is imported."""

REQUESTS = Histogram(
    "cartograph_request_seconds",
    "Seconds from the first byte of a request to the last of its answer, by route template and status.",
    ["method", "route", "status"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
EVENTS = Counter(
    "cartograph_events_total",
    "Events, by what became of them: accepted, duplicate or refused.",
    ["outcome"],
)
EVENTS_WAITING = Gauge(
    "cartograph_events_waiting", "Events that wait for their transaction.", multiprocess_mode="livesum"
)
COMMITS = Histogram(
    "cartograph_events_commit_seconds",
    "Seconds of a transaction that stores events, its commit included.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
FAILED_COMMITS = Counter(
    "cartograph_events_failed_commits_total",
    "Failed transactions of events. away: the warehouse did not answer; refused: it answered with an error.",
    ["reason"],
)
ANSWERS = Counter(
    "cartograph_recommendations_total",
    "Answered requests for recommendations, by where the answer comes from.",
    ["shop", "source"],
)
CACHE = Counter("cartograph_recommendations_cache_total", "Looks at the cache of rendered answers.", ["result"])
CHAMPION = Gauge(
    "cartograph_champion_version",
    "The version that this process serves of a shop's model; 0 is none.",
    ["shop", "model"],
    multiprocess_mode="livemin",
)
FAILED_LOADS = Counter("cartograph_champion_failed_loads_total", "Loads of a champion that failed.", ["shop"])
IS_LOAD_FAILING = Gauge(
    "cartograph_champion_load_failing",
    "1 where the registry's champion could not be loaded and an older version, or none, is served.",
    ["shop"],
    multiprocess_mode="livemax",
)
SEARCHES = Histogram(
    "cartograph_search_seconds",
    "Seconds of an answered search, its wait for a thread included.",
    ["shop"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SEARCH_VERSION = Gauge(
    "cartograph_search_version",
    "The version of a shop's collection that this process searches; 0 is none.",
    ["shop"],
    multiprocess_mode="livemin",
)
FAILED_SEARCH_LOADS = Counter(
    "cartograph_search_failed_loads_total", "Openings of a published collection that failed.", ["shop"]
)
IS_SEARCH_LOAD_FAILING = Gauge(
    "cartograph_search_load_failing",
    "1 where the published collection could not be opened and an older version, or none, is searched.",
    ["shop"],
    multiprocess_mode="livemax",
)
CHATS = Histogram(
    "cartograph_chat_seconds",
    "Seconds from a question to the end of its answer, by how it ended: answered, refused or failed.",
    ["shop", "outcome"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160),
)
FIRST_WORDS = Histogram(
    "cartograph_chat_first_words_seconds",
    "Seconds from a question to the first words of its answer.",
    ["shop"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160),
)
CHATS_AT_WORK = Gauge("cartograph_chats_at_work", "Questions that are being answered.", multiprocess_mode="livesum")
LLM_CALLS = Counter(
    "cartograph_llm_calls_total",
    "Requests that came to an entry of config/models.yaml, by what came of them. answered; cached; stopped: what "
    "it said was of no use; down: it does not answer anyone; unusable: what it said is no answer; paused: it failed "
    "before and is left out for a while; unasked: no key, time or budget; left: the client went away.",
    ["entry", "outcome"],
)
IS_SETTING_REFUSED = Gauge(
    "cartograph_settings_refused",
    "1 where config/models.yaml or a prompt cannot be used and what was there before is served on.",
    multiprocess_mode="livemax",
)
IS_REACHABLE = Gauge(
    "cartograph_reachable",
    "1 where the last question to the warehouse or the registry was answered.",
    ["what"],
    multiprocess_mode="livemin",
)


def exposition() -> bytes:
    """All figures in Prometheus' text format: of all workers where there are several, else of this process."""
    if MULTIPROCESS not in os.environ:
        return generate_latest(REGISTRY)
    _forget_killed(Path(os.environ[MULTIPROCESS]))
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _forget_killed(folder: Path) -> None:
    """As `forget_process`, for workers that could not do it themselves."""
    # The files of counters stay: what was counted has happened.
    for pid in {file.stem.rpartition("_")[2] for file in folder.glob("gauge_live*.db")}:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            multiprocess.mark_process_dead(int(pid))  # type: ignore[no-untyped-call]
        except PermissionError:  # it lives, as somebody else's
            pass


def forget_process() -> None:
    """Take this process's gauges out of the sums over workers, when it ends."""
    if MULTIPROCESS in os.environ:
        multiprocess.mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def router() -> APIRouter:
    routes = APIRouter(tags=["operations"])

    @routes.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def metrics() -> Response:
        """Figures for Prometheus, in its text format."""
        return Response(exposition(), media_type=CONTENT_TYPE_LATEST)

    return routes
