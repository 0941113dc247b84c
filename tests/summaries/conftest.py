"""A shop of the tests' own, to summarise."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from resources.warehouse import Warehouse
from tests.summaries.made import Books, books


@pytest.fixture
def shop(warehouse: Warehouse) -> Iterator[Books]:
    """An English shop with empty tables."""
    with books(warehouse) as made:
        yield made


@pytest.fixture
def portuguese_shop(warehouse: Warehouse) -> Iterator[Books]:
    """A Portuguese one."""
    with books(warehouse, "olist") as made:
        yield made
