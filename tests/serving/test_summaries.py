"""`GET /summaries/{shop}/{date}`: what is stored of a day, and what is said where there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from fastapi import HTTPException

from assets.summaries.facts import DayFacts, Fact, Snapshot
from assets.summaries.formatting import render
from assets.summaries.store import ensure_facts, ensure_summaries, keep_facts, keep_summaries
from assets.summaries.writing import Written
from resources.days import FORM
from resources.settings import Settings, load_settings
from resources.shops import load_shops
from resources.warehouse import Warehouse
from serving.api.scoring import Scoring
from serving.api.shops import Shops
from serving.api.summaries import Summaries
from serving.api.warehouse import Connections
from tests.conftest import ALL_SHOPS
from tests.serving.rig import Api, Client

SHOP = "thelook"
FIRST, LAST = date(2026, 3, 1), date(2026, 3, 5)
MISSING = date(2026, 3, 3)
TEXT = "Revenue came to {revenue}, {revenue_vs_day_before} below the day before. {riser_1} gained most."


def facts_of(day: date) -> DayFacts:
    facts = [
        Fact("date", "date", day, None, None, None, "the day"),
        Fact("orders", "count", 1234, "orders", None, None, "orders with a sale"),
        Fact("revenue", "money", Decimal("9876.50"), "revenue", None, "USD", "revenue", anomaly="low"),
        Fact(
            "revenue_vs_day_before", "percent", -0.0425, "revenue", "day_before", None,
            "change of revenue against the day before",
        ),
        Fact("riser_1", "product", "Lamp {orders}", None, None, None, "product that rose most", "L0r"),
    ]  # fmt: skip
    shop = load_shops(ALL_SHOPS)[SHOP]
    return DayFacts(SHOP, day, shop.language, shop.currency, shop.title, {fact.id: fact for fact in facts})


def written(facts: DayFacts) -> Written:
    return Written(
        facts=facts,
        text=TEXT,
        rendered=render(TEXT, facts),
        language="en",
        entry="stand-in",
        model="openai/stand-in",
        asked="openai/stand-in",
        prompt_version="0123456789ab",
        rules_version="ba9876543210",
        tokens_in=200,
        tokens_out=50,
        cost=0.0125,
        seconds=1.5,
        attempts=2,
        is_cached=False,
        is_grounded=True,
        refused=(),
        failure=None,
    )


@pytest.fixture(scope="module")
def told(api: Api, home_warehouse: Warehouse) -> Iterator[dict[date, DayFacts]]:
    """Five days of a shop, of which one has facts alone."""
    days = {FIRST + timedelta(number): facts_of(FIRST + timedelta(number)) for number in range(5)}
    with home_warehouse.connect() as connection:
        ensure_facts(connection)
        ensure_summaries(connection)
        keep_facts(connection, Snapshot(SHOP, FIRST, LAST, tuple(days.values()), {}))
        keep_summaries(connection, [written(one) for day, one in days.items() if day != MISSING])
    yield days
    with home_warehouse.connect() as connection:
        connection.execute("drop table serving.daily_summaries, monitoring.summary_faults, features.daily_facts")


def test_before_the_first_summary_it_says_how_they_come(client: Client) -> None:
    answer = client.get(f"/summaries/{SHOP}/latest")
    assert answer.status == 404
    assert answer.detail == f"shop {SHOP} has no summaries yet: `cartograph materialize` or the daemon writes them."


def test_a_day_is_told_with_the_facts_that_it_stands_on(client: Client, told: dict[date, DayFacts]) -> None:
    answer = client.get(f"/summaries/{SHOP}/{FIRST}")
    assert answer.status == 200, answer
    summary = answer.json
    assert summary["text"] == "Revenue came to $9,876.50, 4.2% below the day before. Lamp {orders} gained most."
    assert (summary["shop"], summary["day"], summary["language"]) == (SHOP, "2026-03-01", "en")
    assert (summary["model"], summary["prompt_version"]) == ("openai/stand-in", "0123456789ab")
    assert (summary["tokens_in"], summary["tokens_out"], summary["cost"]) == (200, 50, 0.0125)
    assert summary["is_grounded"] and summary["is_current"]
    assert summary["facts_hash"] == told[FIRST].hash
    by_id = {fact["id"]: fact for fact in summary["facts"]}
    assert list(by_id) == list(told[FIRST].facts)
    assert {name for name, fact in by_id.items() if fact["is_named"]} == {"revenue", "revenue_vs_day_before", "riser_1"}
    assert (by_id["orders"]["value"], by_id["orders"]["shown"]) == (1234, "1,234")
    assert (by_id["revenue"]["value"], by_id["revenue"]["anomaly"]) == (9876.5, "low")
    # The sign is in the value; the text has a word for it.
    assert (by_id["revenue_vs_day_before"]["value"], by_id["revenue_vs_day_before"]["shown"]) == (-0.0425, "4.2%")
    assert (by_id["date"]["value"], by_id["date"]["shown"]) == ("2026-03-01", "Sunday, March 1, 2026")
    assert by_id["riser_1"]["product_id"] == "L0r"


def test_the_last_day_is_found_without_knowing_it(client: Client, told: dict[date, DayFacts]) -> None:
    assert client.get(f"/summaries/{SHOP}/latest").json == client.get(f"/summaries/{SHOP}/{LAST}").json


def test_a_day_whose_facts_changed_says_so(
    client: Client, told: dict[date, DayFacts], home_warehouse: Warehouse
) -> None:
    day = FIRST + timedelta(1)
    late = dict(told[day].facts)
    late["orders"] = replace(late["orders"], value=1300)
    with home_warehouse.connect() as connection:
        keep_facts(connection, Snapshot(SHOP, day, day, (replace(told[day], facts=late),), {}))
    answer = client.get(f"/summaries/{SHOP}/{day}").json
    assert not answer["is_current"] and answer["facts_hash"] == told[day].hash
    assert answer["text"].startswith("Revenue came to $9,876.50")


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        (f"{SHOP}/{MISSING}", 404, f"shop {SHOP} has no summary of 2026-03-03: there are some from {FIRST} to {LAST}."),
        (f"{SHOP}/2011-12-09", 404, f"there are some from {FIRST} to {LAST}."),
        (f"{SHOP}/9999-12-31", 404, f"there are some from {FIRST} to {LAST}."),
        ("olist/2026-03-01", 404, "shop olist has no summaries yet"),
        ("anime/latest", 404, "shop anime has no summaries: it provides neither orders, events nor reviews."),
        ("theloook/latest", 404, "did you mean 'thelook'?"),
        (f"{SHOP}/yesterday", 422, f"{FORM}, or latest"),
        (f"{SHOP}/2026-02-30", 422, f"no such day (day is out of range for month); {FORM}"),
        (f"{SHOP}/2026-W09-7", 422, f"{FORM}, or latest"),
        (f"{SHOP}/20260301", 422, f"{FORM}, or latest"),
        (f"{SHOP}/1", 422, f"{FORM}, or latest"),
        (f"{SHOP}/2026-03-01%00", 422, f"{FORM}, or latest"),
        (f"{SHOP}/{'9' * 5000}", 422, f"{FORM}, or latest"),
        (f"{'x' * 42}/latest", 422, "at most 41 characters"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_there_is_not_is_explained(
    path: str, status: int, detail: str, client: Client, told: dict[date, DayFacts]
) -> None:
    answer = client.get(f"/summaries/{path}")
    assert answer.status == status and detail in str(answer.detail), answer


def test_every_answer_is_described(client: Client, told: dict[date, DayFacts]) -> None:
    described = client.get("/openapi.json").json
    route = described["paths"]["/summaries/{shop}/{date}"]["get"]
    assert set(route["responses"]) == {"200", "404", "422", "503"}
    schemas = described["components"]["schemas"]
    answer = client.get(f"/summaries/{SHOP}/latest").json
    assert set(answer) == set(schemas["DailySummary"]["properties"])
    assert set(answer["facts"][0]) == set(schemas["StatedFact"]["properties"])


def test_without_the_warehouse_it_is_not_now(settings: Settings) -> None:
    away = load_settings(
        home=settings.home, shops_file=settings.shops_file, warehouse_url="postgresql://nobody@127.0.0.1:1/cartograph"
    )
    connections, threads = Connections(away), Scoring("summaries")
    summaries = Summaries(Shops(away), connections, threads)
    try:
        # What the watch knows, and what it does not know yet.
        for problem in ("it is being opened", None):
            connections.note(problem)
            with pytest.raises(HTTPException) as caught:
                asyncio.run(summaries.answer(SHOP, None))
            assert (caught.value.status_code, caught.value.detail) == (503, "the warehouse does not answer now.")
            assert int((caught.value.headers or {})["Retry-After"]) > 0
    finally:
        threads.close()
