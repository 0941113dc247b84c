"""Interactions: read from the contract, cut, decayed, saved and loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from assets.marts.frames import FrameError
from assets.recommender.interactions import (
    Interactions,
    InteractionsError,
    load_interactions,
    read_interactions,
    save_interactions,
)
from resources.lake import Lake
from resources.warehouse import Warehouse
from tests.recommender.made import day, made

SHOP = "recommending"


def same(one: Interactions, other: Interactions) -> bool:
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if not (a.equals(b) if isinstance(a, pa.Array) else np.array_equal(a, b) and a.dtype == b.dtype):
            return False
    return True


@pytest.fixture
def contract(warehouse: Warehouse) -> Iterator[Warehouse]:
    """The two tables of the contract, with the columns that are read, in a warehouse that has no others."""
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("create schema if not exists contract")
        connection.execute(
            "create table contract.fct_interactions (shop text, actor_id text, product_id text, kind text,"
            " occurred_at timestamptz, quantity bigint)"
        )
        connection.execute(
            "create table contract.dim_product (shop text, product_id text, is_merchandise bool, is_inferred bool)"
        )
    yield warehouse
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("drop table contract.fct_interactions, contract.dim_product")


def put(warehouse: Warehouse, rows: list[tuple[Any, ...]], products: list[tuple[Any, ...]]) -> None:
    with warehouse.connect() as connection:
        cursor = connection.cursor()
        cursor.executemany("insert into contract.fct_interactions values (%s, %s, %s, %s, %s, %s)", rows)
        cursor.executemany("insert into contract.dim_product values (%s, %s, %s, %s)", products)


def test_reads_merchandise_of_one_shop_before_an_instant(contract: Warehouse) -> None:
    put(
        contract,
        [
            (SHOP, "z", "p2", "purchase", day(1), 3),
            (SHOP, "a", "p1", "view", day(2), 1),
            (SHOP, "a", "POST", "purchase", day(2), 1),
            (SHOP, "a", "inferred", "view", day(0), 1),
            (SHOP, "a", "gone", "cart", day(0.5), 1),
            (SHOP, "a", "p1", "view", day(3), 1),
            ("another", "a", "p1", "view", day(1), 1),
        ],
        [
            (SHOP, "p1", True, False),
            (SHOP, "p2", True, False),
            (SHOP, "POST", False, False),
            (SHOP, "inferred", True, True),
            ("another", "gone", True, False),
        ],
    )
    got = read_interactions(contract, SHOP, day(3))
    assert got.actor_ids.to_pylist() == ["a", "z"]
    assert dict(zip(got.product_ids.to_pylist(), got.is_listed.tolist(), strict=True)) == {
        "gone": False,
        "inferred": False,
        "p1": True,
        "p2": True,
    }
    assert [got.product_ids[place].as_py() for place in got.product] == ["inferred", "gone", "p1", "p2"]
    assert got.kind.tolist() == [0, 1, 0, 2] and got.quantity.tolist() == [1, 1, 1, 3]
    assert got.occurred_at[-1] == int(day(1).timestamp() * 1e6)


def test_a_shop_that_states_no_product_may_recommend_all(contract: Warehouse) -> None:
    put(contract, [(SHOP, "a", "p1", "view", day(1), 1)], [(SHOP, "p1", True, True)])
    assert read_interactions(contract, SHOP, day(3)).is_listed.tolist() == [True]


def test_no_interaction_gives_empty_arrays(contract: Warehouse) -> None:
    got = read_interactions(contract, SHOP, day(3))
    assert (len(got), len(got.actor_ids), len(got.product_ids)) == (0, 0, 0)
    assert len(got.until(day(1))) == 0 and got.matrix({"view": 1, "cart": 1, "purchase": 1}, 30, day(3)).nnz == 0


def test_a_contract_that_is_not_built_is_an_error_with_its_name(warehouse: Warehouse) -> None:
    with pytest.raises(FrameError, match="fct_interactions"):
        read_interactions(warehouse, SHOP, day(1))


def test_an_instant_without_a_timezone_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(InteractionsError, match="2026-01-01 00:00:00 has no timezone"):
        read_interactions(warehouse, SHOP, datetime(2026, 1, 1))


def test_the_order_of_the_rows_changes_nothing() -> None:
    rows = [("b", "p", "view", 1.0), ("a", "q", "cart", 1.0), ("a", "p", "view", 1.0), ("a", "q", "view", 1.0)]
    assert same(made(rows), made(rows[::-1]))


def test_until_and_since_part_the_rows_and_keep_only_what_occurs() -> None:
    whole = made([("a", "p", "view", 1), ("a", "q", "view", 2), ("b", "r", "view", 3)])
    before, after = whole.until(day(2)), whole.since(day(2))
    assert before.product_ids.to_pylist() == ["p"] and before.actor_ids.to_pylist() == ["a"]
    assert after.product_ids.to_pylist() == ["q", "r"] and after.actor.tolist() == [0, 1]
    assert len(before) + len(after) == len(whole)


def test_a_weight_is_halved_with_each_half_life_and_pairs_are_summed() -> None:
    whole = made([("a", "p", "purchase", 0), ("a", "p", "view", 10), ("b", "q", "cart", 10)])
    got = whole.matrix({"view": 1, "cart": 3, "purchase": 5}, 10, day(20)).toarray()
    assert got == pytest.approx(np.array([[5 / 4 + 1 / 2, 0], [0, 3 / 2]]))


def test_a_decay_never_looks_ahead() -> None:
    with pytest.raises(InteractionsError, match="is not before"):
        made([("a", "p", "view", 5)]).matrix({"view": 1, "cart": 1, "purchase": 1}, 10, day(5))


def test_saved_and_loaded_they_are_the_same(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    for name, whole in (
        ("some", made([("é", "p", "view", 1.5), ("b", "q", "cart", 2)], unlisted=["q"])),
        ("none", made([])),
        ("unlisted", made([("a", "p", "view", 1)], unlisted=["p"])),
    ):
        save_interactions(whole, lake, f"{name}.parquet")
        assert same(load_interactions(lake, f"{name}.parquet"), whole)


def test_a_newer_format_a_missing_column_and_a_strange_kind_are_named() -> None:
    table = made([("a", "p", "view", 1)]).to_table()
    with pytest.raises(InteractionsError, match="format 9 and this version reads 1"):
        Interactions.from_table(table.replace_schema_metadata({"cartograph": '{"format": 9}'}))
    with pytest.raises(InteractionsError, match="no column kind"):
        Interactions.from_table(table.drop_columns(["kind"]))
    odd = table.set_column(2, "kind", pa.array(["stare"]))
    with pytest.raises(InteractionsError, match="kind stare: use view, cart, purchase"):
        Interactions.from_table(odd)


def test_instants_of_another_zone_are_the_same_instants() -> None:
    whole = made([("a", "p", "view", 1)])
    from zoneinfo import ZoneInfo

    assert len(whole.until(day(1).astimezone(ZoneInfo("Asia/Tokyo")))) == 0
    assert datetime.fromtimestamp(whole.occurred_at[0] / 1e6, UTC) == day(1)
