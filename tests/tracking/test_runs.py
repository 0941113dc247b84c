"""Runs of Dagster in MLflow: one for each attempt at an asset and partition, ended with what became of it."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from resources.dagster_resources import TrackingResource
from resources.settings import load_settings
from resources.tracking import TrackedRun, Tracking, TrackingError

# A process forked from one that has imported MLflow starts in no time.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        *("dagster", "mlflow", "mlflow.pyfunc", "dagster_mlflow", "pandas", "psycopg", "psycopg2", __name__),
        *("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"),
    ]
)
SHOPS = dg.StaticPartitionsDefinition(["one", "two"])
DOMAIN = "runs"


def nothing(run: TrackedRun) -> None:
    pass


def materialize(
    home: Path,
    name: str,
    body: Callable[[TrackedRun], None] = nothing,
    partition: str | None = None,
    retries: int = 0,
    **more: Any,
) -> dg.ExecuteInProcessResult:
    @dg.asset(
        key=["runs", name],
        partitions_def=SHOPS if partition else None,
        code_version="7",
        retry_policy=dg.RetryPolicy(max_retries=retries) if retries else None,
    )
    def made(context: dg.AssetExecutionContext, tracking: TrackingResource) -> dg.MaterializeResult:
        with tracking.run(context, DOMAIN, **more) as run:
            body(run)
        return dg.MaterializeResult(metadata={"run": run.run_id, "url": run.url})

    return dg.materialize(
        [made],
        resources={"tracking": TrackingResource(home=str(home))},
        partition_key=partition,
        raise_on_error=False,
    )


def runs_of(tracking: Tracking, name: str) -> list[Any]:
    """The MLflow runs of an asset, the oldest first."""
    experiment = tracking.experiment(DOMAIN)
    with tracking.client() as client:
        found = client.search_runs([experiment], f"tags.`dagster.asset` = 'runs/{name}'")
    return sorted(found, key=lambda run: run.info.start_time)


def ends(tracking: Tracking, name: str) -> list[str]:
    return [run.info.status for run in runs_of(tracking, name)]


def test_a_run_that_succeeds(tracking: Tracking) -> None:
    def body(run: TrackedRun) -> None:
        run.log_metrics({f"m{number}": number / 7 for number in range(30)})
        run.log_dict({"a": [1, 2]}, "about.json")

    result = materialize(
        tracking.settings.home,
        "good",
        body,
        tags={"shop": "one"},
        parameters={f"p{number}": number for number in range(150)},
    )
    assert result.success
    (run,) = runs_of(tracking, "good")
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "runs/good"
    tags = run.data.tags
    assert tags["dagster.run_id"] == result.run_id
    assert (tags["dagster.retry"], tags["dagster.code_version"], tags["shop"]) == ("0", "7", "one")
    assert "dagster.partition" not in tags
    assert len(run.data.params) == 150
    assert run.data.metrics["m14"] == 2
    metadata = result.asset_materializations_for_node("runs__good")[0].metadata
    assert metadata["run"].value == run.info.run_id
    assert str(metadata["url"].value).endswith(f"/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}")
    lake = Path(tracking.settings.lake_location) / "mlflow" / DOMAIN
    assert (lake / run.info.run_id / "artifacts" / "about.json").exists()
    assert not [value for value in tags.values() if os.getcwd() in value]


@pytest.mark.parametrize(
    ("name", "error", "end"),
    [
        ("error", RuntimeError("no"), "FAILED"),
        ("exit", SystemExit(3), "FAILED"),
        ("interrupted", dg.DagsterExecutionInterruptedError(), "KILLED"),
    ],
)
def test_a_run_that_does_not(tracking: Tracking, name: str, error: BaseException, end: str) -> None:
    def body(run: TrackedRun) -> None:
        run.log_metrics({"before": 1.0})
        raise error

    with suppress(type(error)):  # Dagster raises what is no Exception
        assert not materialize(tracking.settings.home, name, body).success
    (run,) = runs_of(tracking, name)
    assert run.info.status == end
    assert run.data.metrics == {"before": 1.0}
    import mlflow

    assert mlflow.active_run() is None


def test_each_attempt_has_its_run(tracking: Tracking) -> None:
    attempts: list[str] = []

    def body(run: TrackedRun) -> None:
        attempts.append(run.run_id)
        run.log_metrics({"attempt": len(attempts)})
        if len(attempts) == 1:
            raise RuntimeError("the first time")

    assert materialize(tracking.settings.home, "retried", body, retries=1).success
    first, second = runs_of(tracking, "retried")
    assert [first.info.run_id, second.info.run_id] == attempts
    assert (first.info.status, second.info.status) == ("FAILED", "FINISHED")
    assert (first.data.tags["dagster.retry"], second.data.tags["dagster.retry"]) == ("0", "1")
    assert (first.data.metrics["attempt"], second.data.metrics["attempt"]) == (1, 2)


def test_each_partition_has_its_run(tracking: Tracking) -> None:
    for partition in ("one", "two"):
        assert materialize(tracking.settings.home, "parted", partition=partition).success
    found = runs_of(tracking, "parted")
    assert [run.info.run_name for run in found] == ["runs/parted[one]", "runs/parted[two]"]
    assert [run.data.tags["dagster.partition"] for run in found] == ["one", "two"]
    assert {run.info.status for run in found} == {"FINISHED"}


def test_a_run_that_other_code_left_open_is_not_written_into(tracking: Tracking) -> None:
    with tracking.client():
        import mlflow

        mlflow.set_experiment(experiment_id=tracking.experiment(DOMAIN))
        foreign = mlflow.start_run().info.run_id
    assert materialize(tracking.settings.home, "alone", lambda run: run.log_metrics({"m": 1})).success
    (run,) = runs_of(tracking, "alone")
    assert run.info.run_id != foreign
    with tracking.client() as client:
        assert client.get_run(foreign).info.status == "KILLED"
        assert client.get_run(foreign).data.metrics == {}


def test_a_store_that_is_away_fails_the_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", "postgresql://nobody@127.0.0.1:1/cartograph")
    result = materialize(tmp_path, "away")
    (failure,) = result.get_step_failure_events()
    assert "WAREHOUSE_URL" in str(failure.step_failure_data.error)
    assert TrackingError.__name__ in str(failure.step_failure_data.error)


# ---- Killed


def hang(home: Path, name: str, mark: Path, partition: str | None) -> None:
    """What the process does that is killed: it is in the middle of a run."""

    def body(run: TrackedRun) -> None:
        mark.write_text(run.run_id)
        time.sleep(600)

    materialize(home, name, body, partition=partition)


def start(home: Path, name: str, mark: Path, partition: str | None = None) -> ForkServerProcess:
    process = CONTEXT.Process(target=hang, args=(home, name, mark, partition))
    process.start()
    deadline = time.monotonic() + 120
    while not (mark.exists() and mark.read_text()):
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.05)
    return process


def kill(process: ForkServerProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)


def test_what_a_killed_process_left_open_is_ended_by_the_next_and_by_no_other(
    tracking: Tracking, tmp_path: Path
) -> None:
    home = tracking.settings.home
    process = start(home, "killed", tmp_path / "mark", "one")
    try:
        # While it is at work, nobody ends it.
        assert materialize(home, "killed", partition="one").success
        assert ends(tracking, "killed") == ["RUNNING", "FINISHED"]
    finally:
        kill(process)
    assert materialize(home, "killed", partition="two").success
    assert ends(tracking, "killed") == ["RUNNING", "FINISHED", "FINISHED"]
    assert materialize(home, "killed", partition="one").success
    assert ends(tracking, "killed") == ["KILLED", "FINISHED", "FINISHED", "FINISHED"]
    assert runs_of(tracking, "killed")[0].info.run_id == (tmp_path / "mark").read_text()


def test_what_is_over_is_told_from_what_may_be_at_work(tracking: Tracking, tmp_path: Path) -> None:
    kill(start(tracking.settings.home, "left", tmp_path / "mark"))
    (left,) = runs_of(tracking, "left")
    asset, run_id = "runs/left", left.data.tags["dagster.run_id"]
    # Of a Dagster run that this instance does not know, a server shared with others cannot tell whether it is at work.
    # To MLflow, the database by URL is as good as a server.
    server = Tracking(load_settings(home=tracking.settings.home, mlflow_tracking_uri=tracking.uri, environment="test"))
    assert server.end_abandoned(DOMAIN, asset, None, "another", lambda run: False) == []
    with tracking.at_work(run_id, asset, None):
        assert tracking.end_abandoned(DOMAIN, asset, None, "another", lambda run: True) == []
        assert server.end_abandoned(DOMAIN, asset, None, "another", lambda run: True) == []
        assert ends(tracking, "left") == ["RUNNING"]
        # A step whose process was killed is tried again by the same Dagster run, which is at work.
        assert tracking.end_abandoned(DOMAIN, asset, None, run_id, lambda run: True) == [left.info.run_id]
    assert ends(tracking, "left") == ["KILLED"]
