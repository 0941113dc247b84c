"""The settings: what they default to, and that a value which cannot be used is refused by its variable's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.settings import PROJECT_ROOT, Environment, Settings, SettingsError, load_settings
from resources.warehouse import Warehouse, WarehouseError


def test_defaults() -> None:
    settings = load_settings()
    assert settings.environment is Environment.LOCAL and settings.home == PROJECT_ROOT / ".cartograph"
    assert settings.lake_location == str(settings.home / "lake") and settings.warehouse_url is None


def test_only_variables_of_ours_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "ENVIRONMENT", "SHOPS_FILE", "DBT_THREADS"):
        monkeypatch.setenv(name, "/elsewhere")
    assert load_settings() == load_settings(home=PROJECT_ROOT / ".cartograph")


def test_the_developers_environment_does_not_reach_the_tests() -> None:
    assert Settings.model_config["env_file"] is None


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {"CARTOGRAPH_ENV": "staging", "CARTOGRAPH_HOME": "here", "LAKE_URL": "s3://bucket/lake"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WAREHOUSE_URL", "")  # empty counts as not set
    settings = load_settings()
    assert settings.environment is Environment.STAGING and settings.home == tmp_path / "here"
    assert settings.lake_location == "s3://bucket/lake" and settings.warehouse_url is None
    assert load_settings(home=tmp_path).inbox == tmp_path / "inbox"


@pytest.mark.parametrize(
    ("name", "value"),
    [("CARTOGRAPH_ENV", "produktion"), ("CARTOGRAPH_DBT_THREADS", "many"), ("CARTOGRAPH_DBT_THREADS", "0")],
)
def test_a_bad_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert message.startswith(f"{name}='{value}': ") and "Correct it in the environment or in .env" in message
    if name == "CARTOGRAPH_ENV":
        assert all(environment.value in message for environment in Environment)


def test_all_bad_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARTOGRAPH_ENV", "x")
    monkeypatch.setenv("CARTOGRAPH_DBT_THREADS", "x")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert len(str(caught.value).splitlines()) == 2


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", "mysql://me:secret@host/x")
    settings = load_settings()
    assert "secret" not in repr(settings)
    with pytest.raises(WarehouseError, match="begins with 'mysql': write postgresql://") as caught:
        Warehouse(settings).url()
    assert "secret" not in str(caught.value)


def test_a_warehouse_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", "postgresql://me:secret@127.0.0.1:1/x")
    with pytest.raises(WarehouseError, match="WAREHOUSE_URL, database cartograph: ") as caught:
        Warehouse(load_settings()).connect()
    assert "secret" not in str(caught.value)
