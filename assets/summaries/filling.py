"""Which of a shop's closed days have no summary, or one of other facts, and writing these, several at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date
from time import monotonic

from assets.summaries.checker import rules_version
from assets.summaries.config import SummariesConfig, load_summaries_config
from assets.summaries.facts import DayFacts, closed_days
from assets.summaries.narration import written_in
from assets.summaries.store import (
    Mark,
    ensure_facts,
    ensure_summaries,
    forget_summaries,
    keep_summaries,
    kept_facts,
    marks,
)
from assets.summaries.writing import PURPOSE, Written, asked_of, write
from resources.far import Say
from resources.llm.client import Llm
from resources.models import config_hash
from resources.shops import Shop
from resources.warehouse import Warehouse


@dataclass(frozen=True)
class Filled:
    """What a run did for a shop.

    Attributes:
        days: closed days of which something is known, the earliest first.
        written: what was written in this run, in the order in which it was done.
    """

    days: tuple[DayFacts, ...]
    written: tuple[Written, ...]
    seconds: float


def settings_hash(llm: Llm, shop: Shop) -> str:
    """A hash of what summaries are made with besides the facts: settings, prompt, model, and the checker's rules."""
    parts = [config_hash(load_summaries_config(shop.name, llm.watched.models_file)), *_made_with(llm, shop)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _made_with(llm: Llm, shop: Shop) -> tuple[str, str, str]:
    """The versions of the prompt and of the checker's rules, and the model that is to write."""
    return llm.prompt(PURPOSE).version, rules_version(written_in(shop.language)), asked_of(llm, shop.name)


def due(days: Sequence[DayFacts], there: dict[date, Mark], made_with: tuple[str, str, str]) -> list[DayFacts]:
    """The days whose summary is missing, is of other facts or made with something else, or for which no model answered;
    the last day first, for it is waited for.

    Args:
        made_with: the version of the prompt, that of the checker's rules, and the model that is to write.
    """

    def is_due(one: DayFacts) -> bool:
        mark = there.get(one.day)
        return mark is None or mark != Mark(one.hash, *made_with, None)

    return sorted(filter(is_due, days), key=lambda one: one.day, reverse=True)


def fill(
    warehouse: Warehouse, llm: Llm, shop: Shop, config: SummariesConfig, say: Say, run_id: str | None = None
) -> Filled:
    """Write the summaries that are due of a shop's last closed days, as many at once as the settings say.

    What is done is committed in batches: a run that is killed is gone on with where it stood.

    Raises:
        ModelsError, PromptError: the settings or the prompt cannot be used.
        WarehouseError: the warehouse does not answer.
    """
    began = monotonic()
    with warehouse.advisory_lock(f"summaries {shop.name}", lambda: say("waiting for another run that writes")):
        with warehouse.connect() as connection:
            ensure_facts(connection)
            ensure_summaries(connection)
        with warehouse.connect() as connection:
            span = closed_days(connection, shop.name, config.days)
            if span is None:
                return Filled((), (), monotonic() - began)
            days = kept_facts(connection, shop, *span)
            there = marks(connection, shop.name, *span)
            forget_summaries(connection, shop.name, sorted(there.keys() - {one.day for one in days}))
            wanted = due(days, there, _made_with(llm, shop))
        say(f"{len(wanted)} of {len(days)} days are to be written")
        written: list[Written] = []
        if wanted:
            with ThreadPoolExecutor(config.at_once, "summaries") as pool:
                running = {pool.submit(write, llm, one, config.attempts, run_id) for one in wanted}
                fresh: list[Written] = []
                try:
                    for done in as_completed(list(running)):
                        fresh.append(done.result())
                        running.discard(done)
                        if len(fresh) == config.at_once:
                            written += _keep(warehouse, fresh, run_id)
                            fresh = []
                finally:
                    # Where one failed, those at work are waited for: what a model has written was paid for.
                    pool.shutdown(cancel_futures=True)
                    fresh += [one.result() for one in running if not one.cancelled() and one.exception() is None]
                    written += _keep(warehouse, fresh, run_id)
    return Filled(tuple(days), tuple(written), monotonic() - began)


def _keep(warehouse: Warehouse, fresh: list[Written], run_id: str | None) -> list[Written]:
    if fresh:
        with warehouse.connect() as connection:
            keep_summaries(connection, fresh, run_id)
    return fresh
