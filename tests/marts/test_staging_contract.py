"""A staging model that is not what the contract reads is refused before anything runs: file, line and remedy."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest

from assets.marts.project import entities, read_manifest, staging_problems
from resources.settings import PROJECT_ROOT, get_settings
from resources.shops import Shop, load_shops
from tests.conftest import ALL_SHOPS
from tests.orchestration.command import cartograph

MODELS = Path("models") / "staging" / "online_retail"


@pytest.fixture(scope="module")
def shops() -> dict[str, Shop]:
    return load_shops(get_settings().shops_file)


@pytest.fixture
def manifest(shops: dict[str, Shop]) -> dict[str, Any]:
    return copy.deepcopy(read_manifest(shops))


def columns_of(manifest: dict[str, Any], model: str) -> dict[str, Any]:
    return manifest["nodes"][f"model.cartograph.{model}"]["columns"]


def test_the_macro_is_read_as_dbt_reads_it() -> None:
    assert entities()["reviews"]["columns"]["score"] == "integer"
    assert entities()["orders"]["day"] == "order_date"


def test_every_shop_of_the_project_keeps_to_the_contract() -> None:
    shops = load_shops(ALL_SHOPS)
    assert staging_problems(shops, read_manifest(shops)) == []


def test_a_column_of_another_type_is_named_with_its_line(shops: dict[str, Shop], manifest: dict[str, Any]) -> None:
    columns_of(manifest, "stg_online_retail__orders")["status"]["data_type"] = "integer"
    [problem] = staging_problems(shops, manifest)
    file, line, rest = problem.split(":", 2)
    assert "status: data_type integer; the contract reads text" in rest
    assert Path(file).read_text().splitlines()[int(line) - 1].strip() == "- name: status"


def test_missing_and_surplus_columns_and_disabled_models(shops: dict[str, Shop], manifest: dict[str, Any]) -> None:
    columns_of(manifest, "stg_online_retail__orders").pop("country")
    columns_of(manifest, "stg_online_retail__customers")["email"] = {"data_type": "text"}
    manifest["nodes"].pop("model.cartograph.stg_online_retail__products")
    text = "\n".join(staging_problems(shops, manifest))
    assert "stg_online_retail__orders: the contract reads the column 'country' of it. Add it" in text
    assert "stg_online_retail__customers: the contract has no column 'email'. Remove it" in text
    assert "stg_online_retail__products.sql:1: the model is disabled" in text


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "dbt_project"
    shutil.copytree(PROJECT_ROOT / "dbt_project", folder, ignore=shutil.ignore_patterns("target", "logs"))
    return folder


def test_the_command_says_it_before_anything_runs(project: Path, tmp_path: Path) -> None:
    (project / MODELS / "stg_online_retail__customers.sql").rename(tmp_path / "away.sql")
    result = cartograph(tmp_path / "home", "materialize", CARTOGRAPH_DBT_PROJECT=str(project))
    assert result.returncode == 2
    assert "stg_online_retail__customers.sql: there is no such model, and shop 'online_retail'" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "home" / "lake").exists()
