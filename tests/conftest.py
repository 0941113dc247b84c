"""What all tests share: isolated settings, one embedded warehouse per test process, and the real data where it is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from resources.settings import PROJECT_ROOT, Settings, load_settings
from resources.warehouse import Warehouse
from tests.rig import Rig

ALL_SHOPS = PROJECT_ROOT / "config" / "shops.yaml"
ONE_SHOP = Path(tempfile.mkdtemp(prefix="cg-shops-")) / "shops.yaml"
"""The shops file of every test that does not name another: Online Retail alone, as `config/shops.yaml` has it."""


def pytest_configure() -> None:
    """No test sees what the developer has in the environment or in .env; what any shop can show is shown by one."""
    Settings.model_config["env_file"] = None
    # A Qdrant server is named for the tests of the vectors alone.
    for name in ("QDRANT_URL", "QDRANT_API_KEY"):
        if name in os.environ:
            os.environ.setdefault(f"CARTOGRAPH_TEST_{name}", os.environ[name])
    for field in Settings.model_fields.values():
        os.environ.pop(str(field.validation_alias), None)
    os.environ.pop("CARTOGRAPH_FAILPOINT", None)
    os.environ["CARTOGRAPH_SHOPS_FILE"] = str(ONE_SHOP)
    entry = yaml.safe_load(ALL_SHOPS.read_text(encoding="utf-8"))["shops"]["online_retail"]
    ONE_SHOP.write_text(yaml.safe_dump({"shops": {"online_retail": entry}}, sort_keys=False), encoding="utf-8")


def pytest_unconfigure() -> None:
    shutil.rmtree(ONE_SHOP.parent, ignore_errors=True)


def real_data() -> Path:
    return Path(os.environ.get("CARTOGRAPH_REAL_DATA") or PROJECT_ROOT.parent / "shared" / "data").expanduser()


LONGEST_FIRST = (
    "world/test_contract.py",
    "loop/test_round.py",
    "orchestration/test_cli.py",
    "world/test_far.py",
    "test_real_shops.py",
    "test_dbt_project.py",
    "test_known_truth.py",
    "loop/test_events_marts.py",
    "orchestration/test_shop_ready.py",
    "orchestration/test_warehouse_url.py",
    "orchestration/test_materialize.py",
    "marts/test_changes.py",
    "faults/test_kill_tables.py",
    "faults/test_kill_stream.py",
    "faults/test_kill_bigquery.py",
    "search/test_embedder.py",
    "search/test_injection.py",
    "serving/test_chat.py",
    "llm/test_bad_answers.py",
    "llm/test_records.py",
    "llm/test_fallback.py",
    "vectors/test_killed.py",
    "far/test_s3.py",
    "far/test_bigquery.py",
    "faults/test_kill_s3.py",
    "far/test_bigquery_faults.py",
    "far/test_stream_kinesis.py",
    "far/test_stream.py",
    "deploy/test_aws.py",
    "promotion/test_promote.py",
    "recommender/test_assets.py",
    "orchestration/test_specs.py",
    "search/test_assets.py",
    "serving/test_search.py",
    "serving/test_outage.py",
    "serving/test_recommendations.py",
    "tracking/test_registry.py",
    "monitoring/test_simulated.py",
    "notebooks/test_notebooks.py",
    "faults/test_kill.py",
    "ui/test_screenshots.py",
    "orchestration/test_up.py",
    "test_embedded_postgres.py",
)
"""Modules under `tests` that take half a minute and more, the others behind them: so that test processes, to which
`make test` hands whole modules in this order, come to their ends together. Two that make the same shared home are kept
apart at the beginning, for one would wait for the other."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
    folder = real_data()
    if folder.is_dir():
        return
    skip = pytest.mark.skip(reason=f"no real data in {folder}; set CARTOGRAPH_REAL_DATA")
    for item in items:
        if item.get_closest_marker("real_data"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def real_data_folder() -> Path:
    """The folder of the real data sets; only for tests marked `real_data`."""
    return real_data()


@pytest.fixture(scope="session")
def warehouse() -> Iterator[Warehouse]:
    """The embedded warehouse of this test process, which all its tests share."""
    from resources.embedded_postgres import release

    # Short, for the path of a Unix socket is; readable, for root's server runs as another user.
    home = Path(tempfile.mkdtemp(prefix="cg-"))
    home.chmod(0o755)
    made = Warehouse(load_settings(home=home, environment="test"))
    try:
        with made.connect(autocommit=True) as connection:
            # No test here cuts the power of the server, and a disk that is waited for is most of a small commit.
            connection.execute("alter database cartograph set synchronous_commit = off")
        yield made
    finally:
        release(home)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def rig(warehouse: Warehouse, tmp_path: Path) -> Iterator[Rig]:
    """A shop of one raw table with the columns of Online Retail, an empty inbox and an empty lake."""
    made = Rig(warehouse, tmp_path)
    yield made
    made.clear()
