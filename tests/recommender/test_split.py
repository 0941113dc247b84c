"""Evaluation by time: contexts end before targets, and neither depends on the other."""

from __future__ import annotations

import numpy as np

from assets.recommender.split import Queries, split
from tests.recommender.made import day, made, small_config, two_tastes


def spelled(queries: Queries) -> list[tuple[list[str], list[str], bool]]:
    """Context, targets and whether it is a newcomer's, of each query."""
    ids, histories, targets = queries.histories.product_ids, queries.histories, queries.targets
    return [
        (
            [ids[int(p)].as_py() for p in histories.product[histories.starts[q] : histories.starts[q + 1]]],
            [ids[int(p)].as_py() for p in targets.product[targets.starts[q] : targets.starts[q + 1]]],
            bool(queries.is_newcomer[q]),
        )
        for q in range(len(queries))
    ]


ROWS = [
    ("warm", "p", "view", 1.0),
    ("warm", "q", "view", 2.0),
    ("warm", "q", "view", 11.0),
    ("warm", "r", "view", 12.0),
    ("warm", "r", "cart", 12.0),
    ("past", "p", "view", 3.0),
    ("new", "t", "view", 13.0),
    ("new", "q", "view", 12.0),
    ("new", "q", "view", 14.0),
    ("once", "p", "view", 15.0),
]


def test_warm_actors_have_their_past_and_newcomers_their_first_product() -> None:
    past, queries = split(made(ROWS), small_config(), day(10))
    assert past.product_ids.to_pylist() == ["p", "q"] and len(past) == 3
    assert spelled(queries) == [(["p", "q"], ["q", "r"], False), (["q"], ["t"], True)]
    assert spelled(queries.new_only()) == [(["p", "q"], ["r"], False), (["q"], ["t"], True)]


def test_the_window_ends_where_it_is_told_to() -> None:
    _, queries = split(made(ROWS), small_config(), day(10), day(12))
    assert spelled(queries) == [(["p", "q"], ["q"], False)]
    assert spelled(queries.new_only()) == []


def test_what_cannot_be_recommended_is_no_target() -> None:
    _, queries = split(made(ROWS, unlisted=["r", "t"]), small_config(), day(10))
    assert spelled(queries) == [(["p", "q"], ["q"], False)]


def test_a_first_basket_of_one_instant_is_one_product_and_targets() -> None:
    rows = [("new", product, "purchase", 11.0) for product in "cab"]
    _, queries = split(made(rows), small_config(), day(10))
    assert spelled(queries) == [(["a"], ["b", "c"], True)]


def test_other_targets_leave_the_contexts_as_they_are() -> None:
    whole = two_tastes()
    early = whole.until(day(40))
    swapped = made(
        [
            *(
                (early.actor_ids[int(a)].as_py(), early.product_ids[int(p)].as_py(), "view", (at / 1e6 - base) / 86400)
                for a, p, at, base in zip(
                    early.actor, early.product, early.occurred_at, [day(0).timestamp()] * len(early), strict=True
                )
            ),
            *((name, "elsewhere", "purchase", 50.0) for name in whole.actor_ids.to_pylist()),
        ]
    )
    one, other = (split(rows, small_config(), day(40))[1] for rows in (whole, swapped))
    contexts = [
        {tuple(context) for context, _, is_newcomer in spelled(queries) if not is_newcomer} for queries in (one, other)
    ]
    assert contexts[0] and contexts[0] <= contexts[1]


def test_nothing_before_nothing_after_and_nothing_at_all() -> None:
    whole = made(ROWS)
    assert len(split(whole, small_config(), day(100))[1]) == 0
    past, queries = split(whole, small_config(), day(0))
    assert len(past) == 0 and queries.is_newcomer.all() and len(queries) == 2
    assert len(split(made([]), small_config(), day(0))[1]) == 0


def test_targets_beyond_a_catalogue_stay_and_are_never_right() -> None:
    past, queries = split(made(ROWS), small_config(), day(10))
    there = queries.within(past.product_ids)
    assert (there.targets.sizes == queries.targets.sizes).all()
    assert np.sort(there.targets.product)[0] == 1 and (np.sort(there.targets.product)[1:] >= 2).all()
