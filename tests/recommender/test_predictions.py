"""The table of recommendations: swapped whole, read as one generation."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest

from assets.recommender.predictions import ensure_predictions, lookup, publish
from resources.warehouse import Warehouse

SHOP = "publishing"
DAY = date(2026, 1, 31)


@pytest.fixture
def connection(warehouse: Warehouse) -> Iterator[psycopg.Connection]:
    with warehouse.connect() as made:
        ensure_predictions(made)
        made.commit()
        yield made
        made.rollback()
        made.execute("drop schema predictions cascade")
        made.commit()


def put(connection: psycopg.Connection, version: int, actors: int = 3, shop: str = SHOP, **over: Any) -> None:
    values: dict[str, Any] = {
        "model": f"recommender-{shop}",
        "model_version": version,
        "as_of": DAY,
        "actor_ids": pa.array([f"a{number}" for number in range(actors)], pa.string()),
        "product_ids": pa.array(["p0", "p1", "é"]),
        "chosen": np.tile(np.array([[2, version % 2, -1]], np.int32), (actors, 1)),
        "scores": np.tile(np.array([[0.9, 0.5, -np.inf]], np.float32), (actors, 1)),
        "fallback": [("p1", 1.0), ("p0", 0.25)],
    }
    publish(connection, shop, **(values | over))


def test_what_is_published_is_looked_up(connection: psycopg.Connection) -> None:
    assert lookup(connection, SHOP, "a1") is None
    connection.rollback()
    put(connection, 4)
    found = lookup(connection, SHOP, "a1")
    assert found is not None and not found.is_fallback
    assert (found.product_ids, found.scores) == (["é", "p0"], pytest.approx([0.9, 0.5]))
    assert (found.model_version, found.as_of) == (4, DAY)
    for nobody in ("a9", None):
        popular = lookup(connection, SHOP, nobody)
        assert popular is not None and popular.is_fallback
        assert (popular.product_ids, popular.scores) == (["p1", "p0"], [1.0, 0.25])
    assert lookup(connection, "another", "a1") is None


def test_the_next_generation_takes_the_place_of_the_last_and_of_no_other_shop(connection: psycopg.Connection) -> None:
    put(connection, 1, actors=5)
    put(connection, 1, shop="another")
    put(connection, 2, actors=2)
    rows = connection.execute(
        "select shop, actor_id, model_version from predictions.recommendations order by 1, 2"
    ).fetchall()
    assert rows == [("another", f"a{n}", 1) for n in range(3)] + [(SHOP, f"a{n}", 2) for n in range(2)]
    assert connection.execute(
        "select model_version, actors from predictions.generations where shop = %s", [SHOP]
    ).fetchone() == (2, 2)
    gone = lookup(connection, SHOP, "a4")
    assert gone is not None and gone.is_fallback
    connection.rollback()
    put(connection, 3, actors=0)
    assert connection.execute(
        "select count(*) from predictions.recommendations where shop = %s", [SHOP]
    ).fetchone() == (0,)


def test_a_publication_that_fails_leaves_the_last_one(connection: psycopg.Connection) -> None:
    put(connection, 1)
    twice = pa.array(["same", "same", "other"])
    with pytest.raises(psycopg.errors.UniqueViolation):
        put(connection, 2, actor_ids=twice)
    found = lookup(connection, SHOP, "a1")
    assert found is not None and found.model_version == 1 and not found.is_fallback
    connection.rollback()
    with pytest.raises(ValueError, match="one row of both for each actor"):
        put(connection, 2, scores=np.zeros((1, 3), np.float32))


def test_a_reader_sees_the_old_or_the_new_and_nothing_between(
    connection: psycopg.Connection, warehouse: Warehouse
) -> None:
    put(connection, 0, actors=2000)
    seen: list[tuple[int, str, bool]] = []
    stop = threading.Event()

    def read() -> None:
        with warehouse.connect(autocommit=True) as reader:
            while not stop.is_set():
                found = lookup(reader, SHOP, "a1999")
                assert found is not None
                seen.append((found.model_version, found.product_ids[1], found.is_fallback))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for version in range(1, 12):
            put(connection, version, actors=2000)
    finally:
        stop.set()
        thread.join()
    assert not any(is_fallback for _, _, is_fallback in seen)
    assert all(product == f"p{version % 2}" for version, product, _ in seen)
    versions = [version for version, _, _ in seen]
    assert versions == sorted(versions) and len(set(versions)) > 2


def test_two_publications_at_once_leave_one_whole(connection: psycopg.Connection, warehouse: Warehouse) -> None:
    def other() -> None:
        with warehouse.connect() as second:
            put(second, 8, actors=500)

    thread = threading.Thread(target=other)
    thread.start()
    put(connection, 7, actors=500)
    thread.join()
    got = connection.execute(
        "select array_agg(distinct r.model_version), count(*), min(g.model_version) from predictions.recommendations r"
        " join predictions.generations g using (shop) where shop = %s",
        [SHOP],
    ).fetchone()
    assert got is not None and got[0] == [got[2]] and got[1] == 500
