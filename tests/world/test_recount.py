"""Ten marts of every shop, row by row, beside a recount in plain Python from the shops' files."""

from __future__ import annotations

import pytest

from tests.world import recount
from tests.world.conftest import Home


@pytest.mark.parametrize("shop", recount.SHOPS)
@pytest.mark.parametrize("name", recount.MARTS)
def test_the_mart_is_as_recounted(home: Home, shop: str, name: str) -> None:
    mart, facts = recount.MARTS[name], home.facts(shop)
    expected = mart.recount(facts, max(facts.days)) if facts.days else {}
    is_provided = bool(mart.needs & set(home.shops[shop].provides))
    assert bool(expected) == is_provided, f"the recount of {name} has {len(expected)} rows of {shop}"
    found = home.mart(name, shop)
    wrong = recount.differences(expected, found, mart)
    assert not wrong, f"{name} of {shop} is not as recounted from {home.source(shop)}.\n{wrong}"
