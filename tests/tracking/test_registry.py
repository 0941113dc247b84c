"""The registry: versions, aliases and artefacts, on the embedded warehouse and on a server; and where it is away."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from orchestration.cli.up import _mlflow, answers, free_ports, stop
from resources.settings import load_settings
from resources.tracking import ModelVersion, Tracking, TrackingError, model_name
from resources.warehouse import Warehouse
from tests.tracking.models import TAGS, example, new_run, new_version


@pytest.fixture(scope="module")
def version(tracking: Tracking) -> ModelVersion:
    return new_version(tracking, "testing-read")


def test_a_version_carries_its_run_and_tags(tracking: Tracking, version: ModelVersion) -> None:
    assert (version.name, version.version) == ("testing-read", 1)
    assert dict(version.tags) == TAGS
    assert abs(datetime.now(UTC) - version.created_at) < timedelta(minutes=5)
    with tracking.client() as client:
        assert client.get_run(version.run_id).info.experiment_id == tracking.experiment("testing")


def test_versions_come_newest_first(tracking: Tracking) -> None:
    name = model_name("testing", "many")
    made = [new_version(tracking, name).version for _ in range(3)]
    assert made == [1, 2, 3]
    assert [item.version for item in tracking.versions(name)] == [3, 2, 1]
    assert name in tracking.names()


def test_there_is_no_champion_yet(tracking: Tracking, version: ModelVersion) -> None:
    assert tracking.champion("testing-nobody") is None
    assert tracking.versions("testing-nobody") == []
    assert tracking.version_by_alias(version.name, "nothing") is None


def test_an_alias_is_set_moved_and_dropped(tracking: Tracking) -> None:
    name = model_name("testing", "aliases")
    first, second = new_version(tracking, name), new_version(tracking, name)
    tracking.set_alias(name, "champion", first.version)
    assert tracking.champion(name) == first
    tracking.set_alias(name, "champion", second.version)
    tracking.set_alias(name, "challenger", first.version)
    assert tracking.champion(name) == second
    assert tracking.version_by_alias(name, "challenger") == first
    tracking.drop_alias(name, "challenger")
    tracking.drop_alias(name, "challenger")
    assert tracking.version_by_alias(name, "challenger") is None
    assert tracking.champion(name) == second


def test_an_alias_of_a_version_that_is_none_is_refused(tracking: Tracking, version: ModelVersion) -> None:
    with pytest.raises(TrackingError, match="99") as caught:
        tracking.set_alias(version.name, "champion", 99)
    assert "\n" not in str(caught.value)
    assert tracking.champion(version.name) is None


def test_the_folder_comes_back_as_it_was_given(tracking: Tracking, version: ModelVersion) -> None:
    folder = tracking.download(version)
    assert sorted(path.name for path in folder.iterdir()) == ["about.json", "numbers.npz"]
    with np.load(folder / "numbers.npz", allow_pickle=False) as held:
        assert held["numbers"].tolist() == [1.5, 2.5, 3.5]
    assert folder.is_relative_to(Path(tracking.settings.lake_location) / "mlflow" / "testing")


def test_a_model_is_data_and_names_no_machine(tracking: Tracking, version: ModelVersion) -> None:
    """No pickle, no code, no path of this machine: neither among the files nor in MLflow's database."""
    root = tracking.download(version).parent.parent
    names = [path.name for path in root.rglob("*") if path.is_file()]
    assert "MLmodel" in names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".py"))]
    for name in ("MLmodel", "input_example.json", "requirements.txt", "registered_model_meta"):
        text = (root / name).read_text()
        assert str(tracking.settings.home) not in text and os.getcwd() not in text and "/tmp" not in text
    with Warehouse(tracking.settings).connect("mlflow") as connection:
        places = connection.execute(
            "select artifact_location from logged_models union all select artifact_uri from runs"
            " union all select storage_location from model_versions"
        ).fetchall()
    assert len(places) > 2
    assert all(place.startswith("cartograph-lake:/mlflow/") for (place,) in places)


def test_mlflow_loads_it_where_pickles_are_not_allowed(tracking: Tracking, version: ModelVersion) -> None:
    tracking.set_alias(version.name, "read", version.version)
    with tracking.client():
        import mlflow

        assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
        assert mlflow.pyfunc.load_model(f"models:/{version.name}@read").predict(example()).tolist() == [1.5, 3.5]
        signature = mlflow.models.get_model_info(f"models:/{version.name}/1").signature
    assert [column.name for column in signature.inputs.inputs] == ["row"]


def test_a_model_that_cannot_be_asked_is_not_registered(tracking: Tracking) -> None:
    with pytest.raises(TrackingError, match=r"tests\.tracking\.models") as caught:
        new_version(tracking, "testing-broken", reader="tests.tracking.models")
    assert "not registered" in str(caught.value)
    assert tracking.versions("testing-broken") == []
    with pytest.raises(TrackingError, match="cannot be asked"):
        new_version(tracking, "testing-broken", numbers=(1.0,))  # the example asks for the third
    assert tracking.versions("testing-broken") == []


def test_a_lake_that_has_moved_is_followed(tracking: Tracking, version: ModelVersion, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(tracking.settings.lake_location, moved)
    there = Tracking(load_settings(home=tracking.settings.home, lake_url=str(moved), environment="test"))
    assert there.download(version).is_relative_to(moved)
    assert tracking.download(version).is_relative_to(tracking.settings.lake_location)


def test_nothing_is_written_beside_the_home(tracking: Tracking, version: ModelVersion) -> None:
    assert not (Path.cwd() / "mlruns").exists()
    assert not (Path.cwd() / "mlflow.db").exists()


def test_mlflow_leaves_no_setting_behind(tracking: Tracking, version: ModelVersion) -> None:
    """It writes the URI that it is told into the environment, where our own settings would find it."""
    assert tracking.champion(version.name) is None
    assert not [name for name in os.environ if name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")]
    assert load_settings(home=tracking.settings.home).mlflow_tracking_uri is None


# ---- A registry that is away


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_server_that_is_away_is_said_soon(tmp_path: Path, tracking: Tracking, version: ModelVersion) -> None:
    url = f"http://somebody:secret@127.0.0.1:{closed_port()}"
    away = Tracking(load_settings(home=tmp_path, mlflow_tracking_uri=url, environment="test"))
    began = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        away.champion(version.name)
    assert time.monotonic() - began < 60
    assert "127.0.0.1" in str(caught.value) and "MLFLOW_TRACKING_URI" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert tracking.versions(version.name) == [version]  # the other store is where it was


def test_a_server_that_does_not_answer_is_said_within_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes the connection and says nothing: each attempt ends at the timeout, and there are few."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        away = Tracking(load_settings(home=tmp_path, mlflow_tracking_uri=url, environment="test"))
        began = time.monotonic()
        with pytest.raises(TrackingError, match="MLFLOW_TRACKING_URI"):
            away.names()
    assert time.monotonic() - began < 60


def test_a_warehouse_that_is_away_is_said_soon(tmp_path: Path) -> None:
    url = f"postgresql://somebody:secret@127.0.0.1:{closed_port()}/cartograph"
    away = Tracking(load_settings(home=tmp_path, warehouse_url=url, environment="test"))
    began = time.monotonic()
    for ask in (lambda: away.champion("a"), lambda: away.set_alias("a", "b", 1), lambda: away.experiment("c")):
        with pytest.raises(TrackingError, match="WAREHOUSE_URL") as caught:
            ask()
        assert "secret" not in str(caught.value)
    assert time.monotonic() - began < 60


def test_a_url_that_is_none_is_said(tmp_path: Path) -> None:
    away = Tracking(load_settings(home=tmp_path, warehouse_url="mysql://here/there", environment="test"))
    with pytest.raises(TrackingError, match="mysql"):
        _ = away.uri


def test_a_deleted_experiment_is_said(tracking: Tracking) -> None:
    gone = tracking.experiment("testing-gone")
    with tracking.client() as client:
        client.delete_experiment(gone)
    with pytest.raises(TrackingError, match=r"testing-gone.*restore"):
        tracking.experiment("testing-gone")


# ---- A server


@pytest.fixture(scope="module")
def server(tracking: Tracking, warehouse: Warehouse) -> Iterator[str]:
    """The MLflow server as `cartograph up` starts it."""
    tracking.names()  # MLflow's tables are there
    service = _mlflow(
        warehouse.settings, warehouse.sqlalchemy_url("mlflow"), free_ports(20000 + os.getpid() % 9000, 1)[0]
    )
    try:
        deadline = time.monotonic() + 120
        while not answers(f"{service.url}/health"):
            assert service.process.poll() is None and time.monotonic() < deadline, service.log.read_text()
            time.sleep(0.2)
        yield service.url
    finally:
        stop([service])


def test_the_ui_shows_artefacts_of_runs_and_models(tracking: Tracking, version: ModelVersion, server: str) -> None:
    run = new_run(tracking)
    with tracking.client() as client:
        client.log_dict(run, {"a": 1}, "figures/a.json")
        model_id = client.get_model_version(version.name, "1").source.rpartition("/")[2]

    def get(page: str, **query: str) -> bytes:
        with urllib.request.urlopen(f"{server}/{page}?{urllib.parse.urlencode(query)}", timeout=30) as answer:
            return bytes(answer.read())

    listed = json.loads(get("ajax-api/2.0/mlflow/artifacts/list", run_id=run, path="figures"))
    assert [file["path"] for file in listed["files"]] == ["figures/a.json"]
    assert json.loads(get("get-artifact", run_uuid=run, path="figures/a.json")) == {"a": 1}
    file = get(
        f"ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files", artifact_file_path="data/model/about.json"
    )
    assert json.loads(file) == {"format": 1}


def test_a_server_by_url_takes_the_place_of_the_database(server: str, tmp_path: Path, tracking: Tracking) -> None:
    far = Tracking(load_settings(home=tmp_path, mlflow_tracking_uri=server, environment="test"))
    name = model_name("served", "testshop")
    run = new_run(far, "served")
    with far.client() as client:
        assert client.get_run(run).info.artifact_uri.startswith("mlflow-artifacts:")
    made = new_version(far, name, domain="served")
    far.set_alias(name, "champion", made.version)
    assert far.champion(name) == made
    folder = far.download(made)
    assert folder.is_relative_to(tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == ["about.json", "numbers.npz"]
    marked = folder / "about.json"
    marked.write_text("kept")
    assert (far.download(made) / "about.json").read_text() == "kept"  # it is not brought twice
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert folder.name.startswith(f"{name}-1-m-")
    assert tracking.champion(name) == made  # the server is on the same database
