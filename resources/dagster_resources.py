"""The one place where the plain clients of `resources/` become Dagster resources."""

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource
from packaging.version import Version

from resources.embedder import Embedder
from resources.far import Say
from resources.lake import Lake
from resources.llm.client import Llm
from resources.llm.prompts import PROMPTS_DIR
from resources.models import MODELS_FILE
from resources.objects import ObjectStore, object_store
from resources.s3 import announce
from resources.settings import Settings, load_settings
from resources.shops import Shop
from resources.streams import Stream, open_stream
from resources.tables import TableSource, table_source
from resources.tracking import (
    ASSET_TAG,
    CODE_TAG,
    PARTITION_TAG,
    RETRY_TAG,
    RUN_TAG,
    TrackedRun,
    Tracking,
    TrackingError,
)
from resources.vectors.store import Store, open_store
from resources.warehouse import Warehouse


class WarehouseResource(dg.ConfigurableResource):
    """The Postgres warehouse of a home. A URL that is set is read when it is needed and is never in run config."""

    home: str

    def client(self) -> Warehouse:
        return Warehouse(load_settings(home=Path(self.home)))


class LakeResource(dg.ConfigurableResource):
    """The lake of Parquet files."""

    location: str

    def client(self, say: Say = announce) -> Lake:
        return Lake(self.location, say)


class ObjectsResource(dg.ConfigurableResource):
    """The object sources of the shops: folders and prefixes."""

    home: str

    def client(self, shop: Shop, say: Say = announce) -> ObjectStore:
        return object_store(load_settings(home=Path(self.home)), shop, say)


class TablesResource(dg.ConfigurableResource):
    """The table sources of the shops: BigQuery, or folders in its place."""

    home: str

    def client(self, shop: Shop, say: Say) -> TableSource:
        return table_source(load_settings(home=Path(self.home)), shop, say)


class StreamsResource(dg.ConfigurableResource):
    """The streams of the shops: Kinesis, or folders in its place."""

    home: str

    def client(self, name: str, say: Say) -> Stream:
        return open_stream(load_settings(home=Path(self.home)), name, say)


class TrackingResource(dg.ConfigurableResource):
    """MLflow: the registry through `client()`, and a run for each attempt at an asset through `run()`."""

    home: str

    def client(self) -> Tracking:
        return Tracking(load_settings(home=Path(self.home)))

    @contextmanager
    def run(
        self,
        context: dg.AssetExecutionContext,
        domain: str,
        tags: Mapping[str, str] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Iterator[TrackedRun]:
        """One MLflow run for this attempt at an asset and partition, ended as FINISHED, FAILED or KILLED.

        It is named `<asset key>[<partition>]`, lies in the experiment of the domain and carries the Dagster run, asset,
        partition, retry and code version as tags. It is tagged, not nested: under several processes no process owns a
        parent. Runs of the same asset and partition that a killed process left open are ended first.

        Raises:
            TrackingError: the store is away or refuses.
        """
        tracking, run_id = self.client(), context.run.run_id
        asset = context.asset_key.to_user_string()
        partition = context.partition_key if context.has_partition_key else None
        code = context.assets_def.get_asset_spec(context.asset_key).code_version
        held = {
            **(tags or {}),
            RUN_TAG: run_id,
            ASSET_TAG: asset,
            RETRY_TAG: str(context.retry_number),
            # MLflow would name the script by its path on this machine.
            "mlflow.source.name": asset,
            **({PARTITION_TAG: partition} if partition is not None else {}),
            **({CODE_TAG: code} if code is not None else {}),
        }
        with tracking.at_work(run_id, asset, partition):
            left = tracking.end_abandoned(
                domain, asset, partition, run_id, lambda run: context.instance.get_run_by_id(run) is not None
            )
            if left:
                context.log.warning(f"ended as KILLED what a killed process left open in MLflow: {', '.join(left)}")
            with tracking.client():
                import mlflow

                with warnings.catch_warnings():
                    # dagster-mlflow says at import that it is beta.
                    warnings.simplefilter("ignore", dg.BetaWarning)
                    from dagster_mlflow.resources import MlFlow

                class AttemptRun(MlFlow):
                    """dagster-mlflow's run, which is looked up by the Dagster run, made one for each attempt."""

                    def _get_current_run_id(self, *_: Any, **__: Any) -> None:
                        return None

                while mlflow.active_run() is not None:  # what other code in this process has left open
                    mlflow.end_run("KILLED")
                attempt: Any = AttemptRun
                opened = attempt(
                    SimpleNamespace(
                        log=context.log,
                        run_id=run_id,
                        dagster_run=SimpleNamespace(job_name=asset if partition is None else f"{asset}[{partition}]"),
                        resource_config={
                            "mlflow_tracking_uri": tracking.uri,
                            "experiment_name": domain,
                            "env": {},
                            "extra_tags": held,
                        },
                    )
                )
                active = opened.active_run().info
            run = TrackedRun(tracking, active.run_id, active.experiment_id)
            try:
                run.log_params(parameters or {})
                yield run
            except BaseException as error:
                is_killed = isinstance(error, KeyboardInterrupt | dg.DagsterExecutionInterruptedError | GeneratorExit)
                try:
                    with tracking.client():
                        mlflow.end_run("KILLED" if is_killed else "FAILED")
                except TrackingError as second:
                    # Of the two errors, the first tells more; the next attempt ends the run.
                    context.log.warning(f"the MLflow run {run.run_id} could not be ended: {second}")
                raise
            with tracking.client():
                mlflow.end_run("FINISHED")


class VectorsResource(dg.ConfigurableResource):
    """The collections of vectors: folders of a home, or a Qdrant server."""

    home: str

    @property
    def settings(self) -> Settings:
        return load_settings(home=Path(self.home))

    def client(self) -> Store:
        return open_store(self.settings)


class EmbedderResource(dg.ConfigurableResource):
    """What makes vectors of texts."""

    home: str

    def client(self, model: str) -> Embedder:
        return Embedder(model, settings=load_settings(home=Path(self.home)))


class LLMResource(dg.ConfigurableResource):
    """The language models of models.yaml. Keys are read when they are needed and are never in run config."""

    home: str
    models_file: str = str(MODELS_FILE)
    prompts_dir: str = str(PROMPTS_DIR)

    def client(self) -> Llm:
        settings = load_settings(home=Path(self.home))
        return Llm(settings, Path(self.models_file), Path(self.prompts_dir), Warehouse(settings))


class QuickDbtCliResource(DbtCliResource):
    """dbt as a resource, without what DbtCliResource does before each call and nothing here uses.

    It starts `dbt --version` once in every process, and loads dbt into this process at each call, for an adapter that
    counts rows and reads columns: together more time than dbt needs for a day of new rows.
    """

    @cached_property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        return None


def build_resources(settings: Settings) -> dict[str, object]:
    """The resources of all assets, by key."""
    return {
        "warehouse": WarehouseResource(home=str(settings.home)),
        "lake": LakeResource(location=settings.lake_location),
        "objects": ObjectsResource(home=str(settings.home)),
        "tables": TablesResource(home=str(settings.home)),
        "streams": StreamsResource(home=str(settings.home)),
        "vectors": VectorsResource(home=str(settings.home)),
        "embedder": EmbedderResource(home=str(settings.home)),
        "llm": LLMResource(home=str(settings.home)),
        "tracking": TrackingResource(home=str(settings.home)),
        "dbt": QuickDbtCliResource(
            project_dir=str(settings.dbt_project),
            profiles_dir=str(settings.dbt_project),
            # Found beside this interpreter, so that no environment needs to be activated.
            dbt_executable=str(Path(sys.executable).parent / "dbt"),
            global_config_flags=["--no-use-colors"],
        ),
    }
