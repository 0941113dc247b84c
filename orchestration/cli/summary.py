"""`cartograph summary`: what happened in a shop on a day, in words, and the facts that they stand on."""

from __future__ import annotations

from collections.abc import Set
from datetime import date

from rich.markup import escape
from rich.table import Table

from assets.summaries.facts import METRICS, Against, DayFacts, Fact
from assets.summaries.formatting import PLACEHOLDER, formatted
from assets.summaries.store import Summary, facts_of, span_of, summary_of
from orchestration.cli.session import CommandError, console, shop_named
from resources.days import day_of
from resources.llm.narrator import MODEL as NARRATOR
from resources.settings import get_settings
from resources.shops import Shop, load_shops
from resources.warehouse import Warehouse

_SIGNS = {1: "+", 0: "", -1: "-"}
_HEADINGS: dict[Against, str] = {"day_before": "day before", "week_before": "week before", "trend": "expected"}


def run_summary(shop_name: str | None, day: str | None, shows_all: bool) -> int:
    """Show a day's summary, the facts that it names or all of them, and who wrote it."""
    shop, wanted = _summarised(shop_name), _parsed(day)
    with Warehouse(get_settings()).connect() as connection:
        summary = summary_of(connection, shop.name, wanted)
        facts = None if summary is None else facts_of(connection, shop, summary.day)
        span = span_of(connection, shop.name)
    if summary is None:
        raise CommandError(_missing(shop.name, wanted, span))
    show(shop, summary, facts, shows_all)
    return 0


def show(shop: Shop, summary: Summary, facts: DayFacts | None, shows_all: bool) -> None:
    """A summary on the screen."""
    out = console()
    out.print(f"{shop.title}, {summary.day:%A} {summary.day}", markup=False, style="bold")
    out.print(summary.rendered, markup=False)
    if facts is not None:
        named = {facts.facts[name] for name in PLACEHOLDER.findall(summary.text) if name in facts.facts}
        shown = set(facts.facts.values()) if shows_all else named
        for table in (_metrics(facts, shown, summary.language), _others(facts, shown, summary.language)):
            if table.row_count:
                out.print()
                out.print(table)
    out.print()
    out.print(said_of(summary, facts), markup=False)


def _metrics(facts: DayFacts, shown: Set[Fact], language: str) -> Table:
    """A row for each metric of which something is shown: its value, and those that it is compared with."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("the day", justify="right")
    for heading in _HEADINGS.values():
        table.add_column(heading, justify="right")
    for metric in METRICS:
        value = facts.of(metric.name)
        if value is None or not any(fact.metric == metric.name for fact in shown):
            continue
        cells = [f"{formatted(value, language)}{f' (unusually {value.anomaly})' if value.anomaly else ''}"]
        for against in _HEADINGS:
            then, change = facts.facts.get(f"{metric.name}_{against}"), facts.change(metric.name, against)
            cells.append(
                ("" if then is None else formatted(then, language))
                + ("" if change is None else f" ({_signed(change, language)})")
            )
        table.add_row(metric.name, *map(escape, cells))
    return table


def _others(facts: DayFacts, shown: Set[Fact], language: str) -> Table:
    """A row for each product and country of which something is shown, with what is known of it."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for fact in facts.facts.values():
        if fact.kind not in ("product", "country"):
            continue
        about = [other for other in facts.facts.values() if other.id.startswith(f"{fact.id}_")]
        if fact in shown or any(other in shown for other in about):
            known = [f"{_signed(other, language)} {other.id.removeprefix(fact.id + '_')}" for other in about]
            table.add_row(fact.id, escape(formatted(fact, language)), escape(", ".join(known)))
    return table


def _signed(fact: Fact, language: str) -> str:
    """A fact as a text says it, a change with the sign for which the text has words."""
    return f"{_SIGNS[fact.sign] if fact.is_change else ''}{formatted(fact, language)}"


def said_of(summary: Summary, facts: DayFacts | None) -> str:
    """Who wrote a summary, and whether it is still what the facts say."""
    who = "fixed sentences, no language model" if summary.model == NARRATOR else summary.model
    said = f"Written by {who}, prompt {summary.prompt_version}, facts {summary.facts_hash}"
    if summary.tokens_in + summary.tokens_out:
        cost = "" if summary.cost is None else f", {summary.cost:.4f} dollars"
        said += f", {summary.tokens_in + summary.tokens_out:,} tokens{cost}"
    if summary.faults:
        said += f". Refused before: {'; '.join(summary.faults)}"
    if summary.failure is not None:
        said += f". {summary.failure}"
    if facts is None or facts.hash != summary.facts_hash:
        said += ". The facts changed since; the next run writes it anew"
    return said.removesuffix(".") + "."


def _summarised(name: str | None) -> Shop:
    """The shop that is meant.

    Raises:
        CommandError: nothing of it is dated, or none was named and several are.
    """
    settings = get_settings()
    shops = load_shops(settings.shops_file)
    able = [shop.name for shop in shops.values() if shop.has_days]
    name = name or settings.default_shop or (able[0] if len(able) == 1 else None)
    if name is None:
        raise CommandError(f"name the shop with --shop: {', '.join(able) or 'none has orders, events or reviews'}.")
    shop = shop_named(name)
    if name not in able:
        raise CommandError(
            f"{name} provides neither orders, events nor reviews, so that its days cannot be summarised. Shops whose "
            f"days are: {', '.join(able) or 'none'}."
        )
    return shop


def _parsed(day: str | None) -> date | None:
    """A day as it was typed.

    Raises:
        CommandError: it is none.
    """
    if day is None:
        return None
    try:
        return day_of(day)
    except ValueError as error:
        raise CommandError(f"--date {day!r}: {error}.") from error


def _missing(shop: str, day: date | None, span: tuple[date, date] | None) -> str:
    if span is None:
        return f"{shop} has no summaries yet: `cartograph materialize --shop {shop}` writes those of its last days."
    return f"{shop} has no summary of {day}: there are some from {span[0]} to {span[1]}."
