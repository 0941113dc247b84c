"""One shop's bad day is its own: the other four are fresh, whichever fails, wherever it stands in the order."""

from __future__ import annotations

import pytest

from tests.world import recount
from tests.world.conftest import Load, World
from tests.world.faults import EARLY, LATE, TEST

BAD_DAYS = [(0, EARLY), (1, LATE)]
"""Which load finds which shop at fault. Both have news for every shop; the third has some for the late one alone."""


@pytest.fixture(scope="module")
def loads(world: World) -> list[Load]:
    return world.loads


def news(loads: list[Load], number: int) -> set[str]:
    """The shops that a load declared with another data version than the load before."""
    before = loads[number - 1].versions if number else {}
    return {shop for shop, version in loads[number].versions.items() if version != before.get(shop)}


@pytest.mark.parametrize(("number", "bad"), BAD_DAYS)
def test_four_shops_are_ready_anew_and_the_fifth_is_not(loads: list[Load], number: int, bad: str) -> None:
    assert loads[number].passed == {shop: shop != bad for shop in recount.SHOPS}
    assert news(loads, number) >= set(recount.SHOPS) - {bad}


@pytest.mark.parametrize(("number", "bad"), BAD_DAYS)
def test_every_shop_is_declared_in_the_order_of_the_configuration(loads: list[Load], number: int, bad: str) -> None:
    """The first shop fails before the others are declared, the late one after most of them are."""
    said = loads[number].said
    assert [said.index(f"Declare {shop} ready") for shop in recount.SHOPS] == sorted(
        said.index(f"Declare {shop} ready") for shop in recount.SHOPS
    )
    places = {shop: place for place, shop in enumerate(recount.SHOPS)}
    assert places[EARLY] == 0 and places[LATE] >= 3


@pytest.mark.parametrize(("number", "bad"), BAD_DAYS)
def test_the_reason_is_named_and_no_other(loads: list[Load], number: int, bad: str) -> None:
    said = loads[number].said
    assert said.count("error contract/shop_ready: no_stored_failures") == 1
    assert f"{TEST[bad]}: failing rows: 1; " in said
    assert f"select * from test_failures.{TEST[bad]} where shop = '{bad}'" in said
    assert said.count("failing rows: ") == 1


def test_who_fails_first_recovers_although_another_fails_now(loads: list[Load]) -> None:
    assert not loads[0].passed[EARLY] and loads[1].passed[EARLY]
    assert EARLY in news(loads, 1)


def test_who_fails_last_recovers_and_no_other_is_declared_anew(loads: list[Load]) -> None:
    assert not loads[1].passed[LATE] and all(loads[2].passed.values())
    assert news(loads, 2) == {LATE}
    assert "All is well" in loads[2].said


@pytest.mark.parametrize("shop", [EARLY, LATE])
def test_lines_without_an_order_are_a_warning_and_stop_nobody(loads: list[Load], shop: str) -> None:
    assert f"warn staging/stg_{shop}__order_items: stg_{shop}__order_items_few_waiting" in loads[2].said
    assert loads[2].passed[shop]
