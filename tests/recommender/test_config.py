"""The settings of models: defaults, what a shop has otherwise, and errors that name file, line, value and remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from assets.recommender.config import load_recommender_config
from resources.models import MODELS_FILE, ModelsError
from resources.shops import load_shops
from tests.conftest import ALL_SHOPS


def changed(tmp_path: Path, edit: Callable[[str], str]) -> Path:
    path = tmp_path / "models.yaml"
    text = MODELS_FILE.read_text(encoding="utf-8")
    path.write_text(edit(text), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != text
    return path


def test_every_shop_has_settings_and_its_own_come_first() -> None:
    for shop in load_shops(ALL_SHOPS):
        load_recommender_config(shop)
    own, other = load_recommender_config("online_retail"), load_recommender_config("never heard of")
    assert own.repeats and own.test_days == 30
    assert own.test_days != other.test_days and own.als == other.als


def test_mappings_are_merged_key_by_key(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda text: text.replace("  shops:\n", "  shops:\n    tiny: {als: {factors: 3}}\n"))
    tiny, other = load_recommender_config("tiny", path), load_recommender_config("other", path)
    assert tiny.als.factors == 3 and tiny.als.alpha == other.als.alpha and other.als.factors != 3


def test_only_shops_that_exist_are_named() -> None:
    named = yaml.safe_load(MODELS_FILE.read_text(encoding="utf-8"))["recommender"]["shops"]
    assert set(named) <= set(load_shops(ALL_SHOPS))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    popularity_days: 30\n", "    popularity_day: 30\n", r"unknown key; did you mean 'popularity_days'\?"),
        ("    popularity_days: 30\n", "", "recommender.defaults.popularity_days: this key is missing; add it"),
        ("factors: 64", "factors: 0", r"recommender.defaults.als.factors: 0: input should be greater than"),
        ("view: 1.0", "view: much", r"recommender.defaults.weights.view: 'much'"),
        ("    top_n: 50\n", "    top_n: 500\n", "candidates: 100 of a source cannot fill top_n: 500; raise it"),
        ("    seed: 20260101\n", "    seed: 1\n    seed: 2\n", "'seed' stands twice"),
        ("  shops:\n", "  shop:\n", "recommender.shop: unknown key; use defaults or shops"),
        ("    online_retail:\n", "    online_retail:\n      factors: 3\n", "recommender.shops.online_retail.factors"),
        ("  defaults:\n", "  default:\n", "needs a mapping `defaults`"),
        ("recommender:\n", "recommender: [\n", "not YAML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = changed(tmp_path, lambda text: text.replace(old, new, 1))
    # Another shop's entry is checked too.
    with pytest.raises(ModelsError, match=message) as caught:
        load_recommender_config("thelook", path)
    for line in str(caught.value).split("\n"):
        assert line.startswith(f"{path}:") and line.removeprefix(f"{path}:")[0].isdigit()


def test_what_a_shop_takes_over_is_told_once(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda text: text.replace("factors: 64", "factors: -1"))
    with pytest.raises(ModelsError) as caught:
        load_recommender_config("thelook", path)
    assert len(str(caught.value).split("\n")) == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelsError, match=r"none\.yaml: no such file\. Restore config/models\.yaml"):
        load_recommender_config("thelook", tmp_path / "none.yaml")
