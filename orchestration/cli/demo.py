"""`cartograph demo`: simulated shops, loaded, modelled and tested, and what came of it on one screen."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table as RichTable

from orchestration.cli.session import SIMULATED, CommandError, claim_home, console, shown
from orchestration.cli.simulate import refuse_other_inbox
from resources.settings import PROJECT_ROOT, Settings, get_settings
from resources.shops import Shop, load_shops
from resources.warehouse import Warehouse

if TYPE_CHECKING:
    import psycopg

_STYLE: dict[str, Any] = {"title_justify": "left", "box": None, "header_style": "bold", "padding": (0, 2, 0, 0)}
_WEEKS = 40
QUERIES = {
    "thelook": "something warm for cold winter nights",
    "online_retail": "gift for somebody who loves gardening",
    "anime": "a detective who hunts a killer",
}
"""What is looked for in the demo's shops."""
QUESTIONS = {
    "thelook": "Do you have a warm coat?",
    "online_retail": "Do you have a lantern for the garden?",
    "anime": "Is there a story about a detective who hunts a killer?",
}
OFF_TOPIC = "Which train goes to Lisbon tomorrow morning?"
"""What is asked in the first of the demo's shops that can answer, and what none of them can."""
_LEVELS = " ▁▂▃▄▅▆▇█"


def run_demo(size: float, seed: int) -> int:
    """Simulate, materialize, show."""
    os.environ.setdefault("CARTOGRAPH_HOME", str(PROJECT_ROOT / ".cartograph" / "demo"))
    from orchestration.cli.materialize import materialize, print_totals

    settings = get_settings()
    refuse_other_inbox(settings)
    claim_home(settings, SIMULATED)
    shops = load_shops(settings.shops_file)
    began = time.monotonic()
    _simulate(settings, shops, size, seed)
    outcome = materialize()
    print_totals(outcome, time.monotonic() - began)
    if outcome.is_sound:
        _show(shops, settings.home == PROJECT_ROOT / ".cartograph" / "demo")
    return 0 if outcome.is_sound else 1


def _simulate(settings: Settings, shops: dict[str, Shop], size: float, seed: int) -> None:
    """Write the shops that can be simulated, or grow those that are there to yesterday."""
    from simulator.simulate import SHOPS, SimulationError, simulate

    out = console()
    out.print("[bold]Simulate[/bold]")
    try:
        for name in (name for name in shops if name in SHOPS):
            scale = min(1.0, SHOPS[name].scale * size)
            [done] = simulate([name], settings.inbox, settings.home / "simulated", scale=scale, seed=seed)
            out.print(
                f"  {name:<14} {shops[name].title:<20} {done.rows:>9,} rows in {len(done.files)} "
                + ("file" if len(done.files) == 1 else "files")
                + (f", up to {done.plan.until}" if SHOPS[name].days else ""),
                soft_wrap=True,
            )
    except SimulationError as error:
        raise CommandError(str(error)) from error


def _show(shops: dict[str, Shop], is_default_home: bool) -> None:
    """A look at the marts of every shop, and where to go next."""
    out = console()
    with Warehouse(get_settings()).connect() as connection:
        out.print()
        out.print(_overview(connection, shops))
        out.print()
        out.print(_rhythm(connection, shops))
        out.print()
        out.print(_recommenders(connection))
        out.print()
        for line in _findings(connection):
            out.print(f"  {line}", markup=False)
        asked = _customer_to_ask_for(connection)
    if asked is not None:
        out.print()
        _ask_the_api(asked)
    for name in (name for name, shop in shops.items() if shop.has_text and name in QUERIES):
        out.print()
        _search(name)
    _summary(shops)
    asked_shop = next((shop for name, shop in shops.items() if shop.has_text and name in QUESTIONS), None)
    if asked_shop is not None:
        _ask(asked_shop, [QUESTIONS[asked_shop.name], OFF_TOPIC])
    home = get_settings().home
    command = f"{_typed(Path(sys.executable).parent / 'cartograph')}"
    there = f"{command} --home {_typed(home)}"
    opening = "make up" if is_default_home else f"{there} up"
    out.print()
    out.print(f"Look around: `{opening}` opens the Dagster UI, the docs site, MLflow and the API.", soft_wrap=True)
    out.print(f'Ask: {there} sql "select * from mart_country_sales order by sales desc limit 5"', soft_wrap=True)
    out.print(f'Search: {there} search "checked jacket for men" --shop thelook --where "price<80"', soft_wrap=True)
    out.print(f'Ask in words: {there} ask "Do you have a warm coat?" --shop thelook', soft_wrap=True)
    out.print(f"Read what happened: {there} summary --shop {next(iter(shops))}", soft_wrap=True)
    out.print("Look closer: the notebooks in notebooks/ read the same tables.", soft_wrap=True)
    first = next(iter(shops))
    out.print(f"Your own data: {command} upload {first} FILE, then {command} materialize", soft_wrap=True)


def _overview(connection: psycopg.Connection, shops: dict[str, Shop]) -> RichTable:
    """One line a shop: how far it goes, and how much there is of what it provides."""
    rows = connection.execute(
        """
        with sales as (
            select shop, sum(orders) as orders, sum(gross_sales) as sales, max(currency) as currency
            from marts.mart_daily_sales group by shop
        ),
        funnel as (select shop, sum(views + carts + purchases) as events from marts.mart_daily_funnel group by shop),
        reviews as (
            select shop, sum(reviews) as reviews, sum(average_score * reviews) / sum(reviews) as score
            from marts.mart_daily_reviews group by shop
        ),
        products as (select shop, count(*) as products from contract.dim_product group by shop)
        select shop, as_of, products, orders, sales, sales.currency, events, reviews, score
        from contract.shop_clock
        left join sales using (shop) left join funnel using (shop) left join reviews using (shop)
        left join products using (shop)
        """
    ).fetchall()
    found = {row[0]: row[1:] for row in rows}
    # Seven columns of shops with millions in sales go on a screen of 80 characters only when they stand closely.
    table = RichTable(title="The shops", **{**_STYLE, "padding": (0, 1, 0, 0)})
    for name in ("shop", "as of", "products", "orders", "sales", "events", "reviews"):
        table.add_column(name, justify="left" if name in ("shop", "as of") else "right")
    for name in shops:
        as_of, products, orders, sales, currency, events, reviews, score = found.get(name, (None,) * 8)
        table.add_row(
            name,
            str(as_of or "no dates"),
            _number(products),
            _number(orders),
            "" if sales is None else f"{sales:,.0f} {currency}",
            _number(events),
            "" if reviews is None else f"{reviews:,} ({score:.1f})",
        )
    return table


def _rhythm(connection: psycopg.Connection, shops: dict[str, Shop]) -> RichTable:
    """The last weeks of each shop as a line: orders where it has them, else views."""
    rows = connection.execute(
        """
        select shop, order_date as day, orders as happened, 'orders' as what from marts.mart_daily_sales
        union all
        select shop, event_date, views, 'views' from marts.mart_daily_funnel
        """
    ).fetchall()
    table = RichTable(title="The last weeks", **_STYLE)
    for name in ("shop", "a week", "", "most"):
        table.add_column(name, justify="right" if name == "most" else "left", no_wrap=True)
    for name in shops:
        for what in ("orders", "views"):
            days = [(day, int(count)) for shop, day, count, kind in rows if (shop, kind) == (name, what)]
            if days:
                weeks = weekly(days, _WEEKS)
                table.add_row(name, what, sparkline(weeks), f"{max(weeks):,}")
    return table


def weekly(days: Iterable[tuple[date, int]], weeks: int) -> list[int]:
    """The sums of the last whole weeks, oldest first; they end on the last day that there is."""
    counts = list(days)
    last = max(day for day, _ in counts)
    sums = [0] * weeks
    for day, count in counts:
        back = (last - day) // timedelta(weeks=1)
        if back < weeks:
            sums[weeks - 1 - back] += count
    return sums


def sparkline(values: list[int]) -> str:
    """A line of bars, as high as the values."""
    top = max(values, default=0) or 1
    return "".join(_LEVELS[-(-value * (len(_LEVELS) - 1) // top)] for value in values)


def _recommenders(connection: psycopg.Connection) -> RichTable:
    """One line a shop with interactions: its champion beside the baseline, or why there is none."""
    from assets.promotion.promote import ensure_promotions
    from assets.recommender.champion import over_all_shops
    from assets.recommender.predictions import ensure_predictions

    ensure_predictions(connection)
    ensure_promotions(connection)
    table = RichTable(title="The recommenders", **_STYLE)
    for name in ("shop", "champion", "NDCG@10", "of popular", "actors", ""):
        table.add_column(name, justify="right" if name in ("NDCG@10", "of popular", "actors") else "left")
    for row in over_all_shops(connection):
        ours, baseline = (
            "" if row[name] is None else f"{float(row[name]):.3f}" for name in ("NDCG@10", "of the baseline")
        )
        has_champion = bool(row["version"])
        why = "" if has_champion else str(row["reason"] or "nothing was trained").partition(":")[0]
        champion = f"version {row['version']}" if has_champion else "none yet"
        table.add_row(row["shop"], champion, ours, baseline, f"{row['actors']:,}" if has_champion else "", why)
    return table


def _search(shop: str) -> None:
    """One search of a shop's products."""
    from orchestration.cli.search import find, hits_table

    hits, _, seconds = find(shop, QUERIES[shop], {}, top=3)
    said = f'Searched {shop} for "{QUERIES[shop]}" in {seconds * 1000:.0f} ms'
    console().print(said, markup=False, soft_wrap=True)
    console().print(hits_table(hits))


def _summary(shops: dict[str, Shop]) -> None:
    """The last day of the first shop that has a summary."""
    from assets.summaries.store import facts_of, summary_of
    from orchestration.cli.summary import show

    with Warehouse(get_settings()).connect() as connection:
        for shop in shops.values():
            summary = summary_of(connection, shop.name)
            if summary is not None:
                console().print()
                show(shop, summary, facts_of(connection, shop, summary.day), shows_all=False)
                return


def _ask(shop: Shop, questions: Iterable[str]) -> None:
    """Questions about a shop's products, with their answers."""
    from assets.search.answer import Done
    from orchestration.cli.ask import answerer, said_of

    out = console()
    with answerer(shop) as asked:
        for question in questions:
            began = time.monotonic()
            *_, last = asked.answer(question)
            assert isinstance(last, Done)
            out.print(f'\nAsked {shop.name}: "{question}"', markup=False)
            out.print(last.answer.text, markup=False)
            out.print(f"({said_of(last.answer, time.monotonic() - began)})", markup=False)


def _customer_to_ask_for(connection: psycopg.Connection) -> tuple[str, str] | None:
    """A shop and one of its customers with recommendations; None where there is none."""
    return connection.execute(
        "select shop, actor_id from predictions.recommendations order by shop, actor_id limit 1"
    ).fetchone()


def _ask_the_api(asked: tuple[str, str]) -> None:
    """Start the API, put one question to it over HTTP, and show question and answer as they are typed and read."""
    import json
    import threading
    import urllib.request

    import uvicorn

    from orchestration.cli.up import free_ports
    from serving.api.app import create_app

    [port] = free_ports(8000, 1)
    server = uvicorn.Server(
        uvicorn.Config(create_app(get_settings()), port=port, log_level="error", access_log=False, ws="none")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    question = {"shop": asked[0], "actor": asked[1], "top": 3}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/recommendations",
        data=json.dumps(question).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    told = json.load(answer)
                break
            except OSError as error:  # it is starting: it refuses, or says 503
                if time.monotonic() > deadline:
                    raise CommandError(f"the API did not answer within a minute: {error}") from error
                time.sleep(0.2)
    finally:
        server.should_exit = True
        thread.join(timeout=15)
    items = ", ".join(f"{item['product_id']} ({item['score']:.2f})" for item in told["items"])
    out = console()
    out.print(f"Asked the API: POST /recommendations {json.dumps(question)}", markup=False, soft_wrap=True)
    out.print(f"  {told['model']} version {told['model_version']}: {items}", markup=False, soft_wrap=True)


def _findings(connection: psycopg.Connection) -> list[str]:
    """A sentence each about what a person would ask first."""
    found: list[tuple[str, str]] = []
    for shop, title, orders in connection.execute(
        "select distinct on (shop) shop, coalesce(title, product_id), orders from marts.mart_product_sales"
        " where is_merchandise order by shop, orders desc, units desc, product_id"
    ):
        found.append((shop, f"in most orders ({orders:,}) is {title}"))
    for shop, carts, purchases in connection.execute(
        "select shop, sum(carts)::numeric / nullif(sum(views), 0), sum(purchases)::numeric / nullif(sum(carts), 0)"
        " from marts.mart_daily_funnel group by shop"
    ):
        if carts is not None and purchases is not None:
            found.append(
                (shop, f"of 100 views {100 * carts:.0f} become carts, of 100 carts {100 * purchases:.0f} purchases")
            )
    for shop, share in connection.execute(
        "select shop, sum(low_scores)::numeric / sum(reviews) from marts.mart_daily_reviews group by shop"
    ):
        found.append((shop, f"{share:.0%} of the reviews give one star or two"))
    return [
        f"{shop}: {'; '.join(text for name, text in found if name == shop)}." for shop in dict.fromkeys(dict(found))
    ]


def _number(value: Any) -> str:
    return "" if value is None else f"{value:,}"


def _typed(path: Path) -> str:
    """A path as it is typed in a shell here."""
    return shlex.quote(shown(path))
