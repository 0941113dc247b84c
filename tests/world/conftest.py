"""The world of all five shops that these tests share, over all test processes: written, loaded, grown, loaded again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from resources.embedded_postgres import release
from resources.settings import load_settings
from resources.shops import load_shops
from resources.warehouse import Warehouse
from tests.conftest import ALL_SHOPS
from tests.orchestration.command import SPINE, cartograph
from tests.shared_home import copy_home, server_is_gone, shared_home
from tests.world import faults, recount

SCALES = {"thelook": 0.04, "retailrocket": 0.004, "online_retail": 0.009, "olist": 0.014, "anime": 0.005}
"""Shares of the public sizes: as small as lets the planted truth be seen."""
AWAY = timedelta(days=8)
"""What the shops grow by between the two loads, which follow each other at once: as when one tries it out."""
LAST_ZONE = ZoneInfo("America/Sao_Paulo")
"""Of the shops' zones the one in which a day ends last."""


def command(home: Path, *arguments: str, sound: bool = True) -> str:
    """Run the command over all five shops; gives what it said.

    Args:
        home: the folder of the home.
        arguments: as a person types them.
        sound: whether it must succeed; otherwise it must fail.
    """
    result = cartograph(home, *arguments, timeout=1200, CARTOGRAPH_SHOPS_FILE=str(ALL_SHOPS), COLUMNS="200")
    assert (result.returncode == 0) == sound, result.stdout + result.stderr
    return result.stdout


class Home:
    """A home with all five shops."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.shops = load_shops(ALL_SHOPS)
        self.warehouse = Warehouse(load_settings(home=path, environment="test"))
        self._facts: dict[str, recount.Facts] = {}

    def source(self, shop: str) -> Path:
        return self.path / "inbox" / shop

    def truth(self, shop: str) -> Path:
        return self.path / "simulated" / shop

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.warehouse.connect() as connection:
            return connection.execute(statement, values or None).fetchall()

    def facts(self, shop: str) -> recount.Facts:
        """A shop as its files have it, read once."""
        if shop not in self._facts:
            self._facts[shop] = recount.SHOPS[shop](self.source(shop), self.shops[shop].zone)
        return self._facts[shop]

    def mart(self, name: str, shop: str) -> recount.Rows:
        """A mart's rows of a shop."""
        mart = recount.MARTS[name]
        width = len(mart.key.split(","))
        rows = self.query(f"select {mart.key}, {mart.columns} from marts.{name} where shop = %s", shop)
        found = {row[:width]: row[width:] for row in rows}
        assert len(found) == len(rows), f"{name} has several rows of {shop} with the same {mart.key}"
        return found


class Load(NamedTuple):
    """What stood after a call of `materialize`."""

    said: str
    versions: dict[str, str]
    """The data version with which each shop was declared last."""
    passed: dict[str, bool]
    """Whether each shop was sound then."""


def declared(home: Path, shops: Iterable[str]) -> tuple[dict[str, str], dict[str, bool]]:
    """What the latest declaration of each shop has: its data version, and whether it passed."""
    import dagster as dg

    from assets.marts.assets import SHOP_READY
    from orchestration.instance import open_instance
    from orchestration.sensors import ready_version

    passed: dict[str, bool] = {}
    with open_instance(load_settings(home=home, environment="test")) as instance:
        versions = {shop: str(ready_version(instance, shop)) for shop in shops}
        check = dg.AssetCheckKey(SHOP_READY, "no_stored_failures")
        for record in instance.event_log_storage.get_asset_check_execution_history(check, limit=50):
            passed.setdefault(str(record.partition), record.status.value == "SUCCEEDED")
    return versions, passed


class World:
    """The shared home, which no test changes, and what stood after each load of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home, self.pristine = folder, folder / "home", folder / "pristine"

    def make(self) -> None:
        """Load three times: the shops up to a day a week ago, what came since, a correction. With the last come models.

        One shop is at fault in the first load, another one in the second. In the end none is.
        """
        inbox, last_day = self.home / "inbox", datetime.now(LAST_ZONE).date() - timedelta(days=1)
        for shop, scale in SCALES.items():
            command(self.home, "simulate", shop, "--scale", str(scale), "--until", str(last_day - AWAY))
        price = faults.put_price(inbox, -5.0)
        loads = [self._load(SPINE, sound=False)]
        between = datetime.now(UTC)
        command(self.home, "simulate", "--until", str(last_day))
        faults.put_price(inbox, price)
        faults.add_title(inbox)
        faults.add_lines_without_order(inbox, last_day)
        faults.put_score(inbox, last_day, 1, 9)
        loads.append(self._load(SPINE, sound=False))
        faults.put_score(inbox, last_day, 2, 4)
        loads.append(self._load(sound=True))
        release(self.home)
        assert server_is_gone(self.home)
        copy_home(self.home, self.pristine)
        made = {"last_day": str(last_day), "between": between.isoformat(), "loads": loads}
        (self.folder / "made.json").write_text(json.dumps(made))

    def copy_to(self, place: Path) -> Path:
        """A copy of the home, to change."""
        return copy_home(self.pristine, place)

    def _load(self, *selection: str, sound: bool) -> Load:
        said = command(self.home, "materialize", *selection, sound=sound)
        return Load(said, *declared(self.home, SCALES))

    def _made(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "made.json").read_text()))

    @property
    def last_day(self) -> date:
        """The last day that was simulated."""
        return date.fromisoformat(self._made()["last_day"])

    @property
    def between(self) -> datetime:
        """An instant between the first and the second load."""
        return datetime.fromisoformat(self._made()["between"])

    @property
    def loads(self) -> list[Load]:
        return [Load(*load) for load in self._made()["loads"]]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world, made by the first test process that asks and removed by the last that is done with it."""
    with shared_home("world", tmp_path_factory, lambda folder: World(folder).make()) as folder:
        yield World(folder)


@pytest.fixture(scope="session")
def home(world: World) -> Home:
    """The shared home, to read."""
    return Home(world.home)
