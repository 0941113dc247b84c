"""Drift that the simulator injects into a shop of the public schema: it is told, and what it is called after."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from assets.monitoring.drift import compare_inputs
from assets.monitoring.statistics import MISSING, Rules, verdict
from assets.monitoring.windows import Span, Touches, derive, inputs
from simulator.plan import Drift
from simulator.simulate import simulate

FIRST, DAYS = date(2026, 1, 5), 84
START = FIRST + timedelta(days=70)


def events(folder: Path, kind: str | None) -> Touches:
    """Events of a small RetailRocket whose tastes or volume change on a day, with the categories that were planted."""
    import pyarrow.parquet as pq
    from pyarrow import csv

    drifts = [Drift(kind, START)] if kind else []  # type: ignore[arg-type]
    last = FIRST + timedelta(days=DAYS - 1)
    simulate(
        ["retailrocket"],
        folder / "inbox",
        folder / "truth",
        DAYS,
        0.02,
        5,
        last,
        drifts,
        today=last + timedelta(days=1),
    )
    table = csv.read_csv(folder / "inbox" / "retailrocket" / "events.csv")
    items = pq.read_table(folder / "truth" / "retailrocket" / "items.parquet")
    category = dict(zip(items["itemid"].to_pylist(), items["categoryid"].to_pylist(), strict=True))
    seconds = table["timestamp"].to_numpy() // 1000
    kinds = {"view": 0, "addtocart": 1, "transaction": 2}
    product = table["itemid"].to_numpy()
    return Touches(
        seconds // 86_400,
        table["visitorid"].to_numpy(),
        np.array([kinds[each] for each in table["event"].to_pylist()]),
        product,
        np.array([category.get(int(each), MISSING) for each in product]),
        seconds // 3_600 % 24,
        np.full(len(product), np.nan),
    )


@pytest.mark.parametrize(("kind", "feature"), [(None, None), ("tastes", "own_category"), ("volume", "volume")])
def test_what_the_simulator_injects_is_told(tmp_path: Path, kind: str | None, feature: str | None) -> None:
    rules = Rules()
    end = START + timedelta(days=rules.window_days)
    span = Span(START - timedelta(days=49), START - timedelta(days=1), end - timedelta(days=6), end, FIRST)
    found = verdict(compare_inputs(inputs(derive(events(tmp_path, kind), None, rules), span, rules), rules), rules)
    drifted = [finding.feature.name for finding in found.findings if finding.is_drifted]
    assert found.is_enough, found.reason
    assert (feature in drifted) if feature else not drifted, [
        (each.feature.name, each.reason) for each in found.findings
    ]
