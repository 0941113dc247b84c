"""The whole round with the real daemon: simulate, materialize, serve; tastes drift, the sensor fires, the shop's model
is trained again and promoted, and the API serves the new version. Nothing is stood in for."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from assets.monitoring.drift import Past, past_windows
from assets.recommender.assets import CHAMPION, MODEL
from assets.recommender.config import load_recommender_config
from assets.recommender.features import read
from assets.recommender.interactions import Interactions
from assets.recommender.model import Recommender
from assets.recommender.training import register, window_of
from orchestration.instance import open_instance
from resources.embedded_postgres import release
from resources.lake import Lake
from resources.settings import load_settings
from resources.tracking import Tracking, model_name
from resources.warehouse import Warehouse
from tests.orchestration.command import cartograph
from tests.orchestration.running import START_SECONDS, Up
from tests.serving.rig import Answer, Client, event, stored, write_shops

SHOP = "retailrocket"
NAME = model_name("recommender", SHOP)
QUIET, DRIFTED, LATER = "2026-10-31", "2026-11-08", "2026-11-12"
"""The last days of what is simulated: sixty quiet days, eight of other tastes, and four more. Dates are given, so that
the same happens on every day on which this is run."""
LONGEST = 900
"""Seconds that the daemon may take: on a busy machine it is slow, and a wait that ends early tells nothing."""


class Shop:
    """A home with one shop: what a person does with it, and what stands in it."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.shops_file = write_shops(folder / "shops.yaml", [SHOP])
        self.settings = load_settings(home=self.home, environment="test")
        self.warehouse, self.tracking = Warehouse(self.settings), Tracking(self.settings)

    def command(self, *arguments: str) -> str:
        result = cartograph(self.home, *arguments, timeout=LONGEST, CARTOGRAPH_SHOPS_FILE=str(self.shops_file))
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as connection:
            return connection.execute(statement, values or None).fetchall()

    def champion(self) -> int | None:
        held = self.tracking.champion(NAME)
        return held.version if held else None

    def windows(self) -> dict[str, Past]:
        """The recorded windows of the first champion, by day."""
        with self.warehouse.connect() as connection:
            return {str(window.as_of): window for window in past_windows(connection, SHOP, NAME, 1)}

    def decisions(self) -> list[tuple[Any, ...]]:
        return self.query(
            "select action, from_version, to_version, figures ->> 'code', (figures ->> 'is_drifted')::int, reason, at"
            " from monitoring.promotions where model = %s order by id",
            NAME,
        )

    def told(self, key: dg.AssetKey) -> dict[str, Any]:
        """The metadata of an asset as it was made last."""
        with open_instance(self.settings) as instance:
            records = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[SHOP])
            (record,) = instance.fetch_materializations(records, limit=1).records
        assert record.asset_materialization is not None
        return {name: value.value for name, value in record.asset_materialization.metadata.items()}

    def runs(self, **tags: str) -> list[dg.DagsterRun]:
        with open_instance(self.settings) as instance:
            return [record.dagster_run for record in instance.get_run_records(dg.RunsFilter(tags=tags))]


def asked(port: int, method: str, path: str, body: Any = None) -> Answer:
    """An answer over a connection of its own: a kept one is closed by the server where nobody asks for a while."""
    client = Client(port)
    try:
        return client.ask(method, path, body)
    finally:
        client.connection.close()


class Visitor:
    """Somebody who asks the API for recommendations all the time, and remembers each answer."""

    def __init__(self, port: int, actor: str) -> None:
        self.port, self.actor = port, actor
        self.versions: list[int] = []
        self.failed: list[str] = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self.stopping.wait(0.2):
            answer = asked(self.port, "POST", "/recommendations", {"shop": SHOP, "actor": self.actor})
            if answer.status == 200:
                self.versions.append(answer.json["model_version"])
            else:
                self.failed.append(f"{answer.status} {answer.content!r}")

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture
def shop() -> Iterator[Shop]:
    folder = Path(tempfile.mkdtemp(prefix="cgr-"))
    folder.chmod(0o755)
    made = Shop(folder)
    yield made
    release(made.home)
    shutil.rmtree(folder, ignore_errors=True)


def wait_for(up: Up, condition: Callable[[], Any], what: str, shop: Shop) -> None:
    deadline = time.monotonic() + LONGEST
    while not condition():
        assert up.process.poll() is None, "".join(up.lines)
        if time.monotonic() > deadline:
            log = (shop.home / "logs" / "dagster.log").read_text(errors="replace")
            raise AssertionError(f"{what}: not in {LONGEST} s; {shop.windows()}; {shop.decisions()}\n{log[-20_000:]}")
        time.sleep(1)


def test_tastes_drift_and_the_api_serves_a_model_that_knows_it_and_none_that_is_worse(shop: Shop) -> None:
    shop.command("simulate", SHOP, "--days", "60", "--scale", "0.02", "--until", QUIET)
    shop.command("materialize")
    ((action, held, version, code, *_),) = shop.decisions()
    assert (action, held, version, code) == ("promote", None, 1, "first_champion")
    assert not shop.windows()[QUIET].is_drifted and shop.windows()[QUIET].is_enough
    ((actor,),) = shop.query("select min(actor_id) from predictions.recommendations where shop = %s", SHOP)
    ((product,),) = shop.query("select min(product_id) from contract.dim_product where shop = %s", SHOP)

    # Their clock is that of the shop's data, so that only the daemon's sensors bring anything.
    up = Up(shop.home, CARTOGRAPH_SHOPS_FILE=str(shop.shops_file), CARTOGRAPH_ENV="local")
    visitor: Visitor | None = None
    try:
        up.wait_for("All are up", START_SECONDS)
        port = int(up.addresses["API"].rsplit(":", 1)[1])

        def recommended(**question: Any) -> int:
            return int(asked(port, "POST", "/recommendations", {"shop": SHOP, **question}).json["model_version"])

        def served() -> dict[str, Any]:
            return dict(asked(port, "GET", "/health").json["shops"][SHOP]["champion"])

        assert recommended(actor=actor) == 1
        visitor = Visitor(port, actor)
        sent = [event(f"round-{number}", product_id=product) for number in range(20)]
        for _ in range(2):
            assert asked(port, "POST", "/events", {"shop": SHOP, "events": sent}).status == 200
        assert len(stored(shop.warehouse, "round-")) == 20

        shop.command("simulate", SHOP, "--drift", "tastes", "--from", "2026-11-01", "--until", DRIFTED)
        wait_for(up, lambda: DRIFTED in shop.windows(), "the drifted days are looked at", shop)
        assert shop.windows()[DRIFTED].is_drifted
        # One window is not two: so far the model was trained again only because a week had passed.
        assert shop.runs(cause="drift") == [] and shop.champion() == 1
        assert "drift" not in str(shop.told(MODEL)["reason"])

        shop.command("simulate", SHOP, "--until", LATER)
        wait_for(up, lambda: shop.champion() != 1, "another champion", shop)
        (run,) = shop.runs(cause="drift")
        assert run.tags["shop"] == SHOP and run.tags["dagster/partition"] == SHOP
        assert run.tags["dagster/sensor_name"] == "drift"
        action, held, promoted, code, is_drifted, _, decided_at = shop.decisions()[-1]
        assert (action, held, is_drifted) == ("promote", 1, 1)
        assert code in ("better", "not_worse_after_drift")
        assert f"drift fired on the champion on {LATER}" in shop.told(MODEL)["reason"]

        wait_for(up, lambda: recommended(actor=actor) == promoted, "the new champion's recommendations", shop)
        assert served()["version"] == promoted
        assert datetime.fromisoformat(served()["loaded_at"]) - decided_at < timedelta(seconds=30)
        # What visitors did comes back into the facts, each once, though it was sent twice.
        events = "select count(*) from contract.fct_events where shop = %s and origin = 'api'"
        wait_for(up, lambda: shop.query(events, SHOP) == [(20,)], "the visitors' events", shop)

        # Products dealt out anew: what a challenger learns of them is noise.
        config = load_recommender_config(SHOP)
        snapshot, rows = read(shop.warehouse, Lake(shop.settings.lake_location), SHOP)
        shuffled = np.random.default_rng(1).permutation(rows.product).astype(np.int32)
        noise = Interactions(**{**vars(rows), "product": shuffled})
        worse = Recommender.fit(noise, config, window_of(snapshot, rows, config))
        with shop.tracking.client() as client:
            noted = client.create_run(shop.tracking.experiment("recommender"))
        tracked = type("Run", (), {"run_id": noted.info.run_id})()
        challenger = register(shop.tracking, tracked, worse, snapshot, config)
        shop.command("materialize", "recommender/champion", "--shop", SHOP)
        refused = shop.told(CHAMPION)
        assert (refused["promoted"], refused["champion"]) == (False, f"version {promoted}")
        assert refused["challenger"] == f"version {challenger.version}"
        assert "the baseline is not beaten" in refused["reason"]
        assert refused["challenger (NDCG@10)"] < refused["champion (NDCG@10)"]
        assert shop.decisions()[-1][:3] == ("refuse", promoted, challenger.version)
        time.sleep(10)  # twice as long as the API takes to look again
        assert served()["version"] == promoted

        visitor.stop()
        assert visitor.failed == []
        assert visitor.versions == sorted(visitor.versions) and set(visitor.versions) == {1, promoted}

        # Somebody thinks otherwise: both what is computed now and what was computed beforehand are the first model's.
        shop.command("rollback", "recommender", "--shop", SHOP)
        assert ("rollback", promoted, 1) in [decision[:3] for decision in shop.decisions()]

        def is_back() -> bool:
            return recommended(actor=actor) == recommended(session=[product]) == served()["version"] == 1

        wait_for(up, is_back, "the first champion again", shop)
        os.killpg(up.process.pid, signal.SIGINT)
        assert up.process.wait(timeout=180) == 0
    finally:
        if visitor is not None:
            visitor.stopping.set()
        up.stop()
