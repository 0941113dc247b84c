"""Tracking: runs, models and their aliases in MLflow, on the warehouse's database `mlflow` or a server by URL.

MLflow takes seconds to import: it is imported inside methods, and importing this module costs nothing.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.far import SourceError
from resources.settings import Settings
from resources.warehouse import Warehouse, WarehouseError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

CHAMPION, CHALLENGER = "champion", "challenger"
RUN_TAG, ASSET_TAG, PARTITION_TAG = "dagster.run_id", "dagster.asset", "dagster.partition"
RETRY_TAG, CODE_TAG = "dagster.retry", "dagster.code_version"

_LAKE_FOLDER = "mlflow"
_FOLDER = "model"
"""The name under which a model's folder lies among its artefacts, whatever it was called before."""
_ENVIRONMENT = {
    # Usage data is sent to nobody.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Of a server that is away, MLflow would think for minutes: seven more attempts, of two minutes each.
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    # Artefacts are data: whoever loads one runs no code that came with it.
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    # Without it MLflow may wait for ever for a list of prices on the network.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
_CONNECT_SECONDS = 10
_WRITTEN = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_ID")
"""Variables that MLflow sets when its functions of the same names are called."""
_BENEATH = ("mlflow", "sqlalchemy", "requests", "psycopg", "boto3", "botocore")
"""The packages whose errors mean that the store is away or refuses."""


class TrackingError(RuntimeError):
    """The tracking server is away or refuses; the message says where, and what to do."""


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model. `tags` are those given to `Tracking.register`."""

    name: str
    version: int
    run_id: str
    tags: Mapping[str, str]
    created_at: datetime


def model_name(domain: str, shop: str) -> str:
    """The registered name of a domain's model of one shop."""
    return f"{domain}-{shop}"


class Tracking:
    """The MLflow of a home. Making one does nothing; the first use imports MLflow and reaches the store.

    Every method raises TrackingError where the store is away or refuses.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._warehouse = Warehouse(settings)
        self._opened: MlflowClient | None = None

    @property
    def uri(self) -> str:
        """The tracking URI: `MLFLOW_TRACKING_URI`, else that of the warehouse's database, which this starts.

        Raises:
            TrackingError: the warehouse cannot be started, or its URL is not one.
        """
        if self.settings.mlflow_tracking_uri is not None:
            return self.settings.mlflow_tracking_uri
        with self._explained():
            url = self._warehouse.sqlalchemy_url("mlflow")
        return f"{url}{'&' if '?' in url else '?'}connect_timeout={_CONNECT_SECONDS}"

    @property
    def where(self) -> str:
        """The store in words, without credentials."""
        if self.settings.mlflow_tracking_uri is not None:
            return f"the MLflow server {_without_credentials(self.settings.mlflow_tracking_uri)}"
        place = f"the embedded warehouse of {self.settings.home}" if self._warehouse.is_embedded else "WAREHOUSE_URL"
        return f"MLflow's database `mlflow` in {place}"

    # ---- The registry

    def version_by_alias(self, name: str, alias: str) -> ModelVersion | None:
        """The version that an alias of a model names; None where there is no such model or no such alias yet."""
        with self.client() as client:
            from mlflow.exceptions import MlflowException

            # The look-up by alias says INVALID_PARAMETER_VALUE of a missing alias, as it does of a name that is none.
            try:
                aliases = client.get_registered_model(name).aliases
                return _version(client.get_model_version(name, str(aliases[alias]))) if alias in aliases else None
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return None
                raise

    def champion(self, name: str) -> ModelVersion | None:
        """The version that is in use; None before the first promotion."""
        return self.version_by_alias(name, CHAMPION)

    def versions(self, name: str) -> list[ModelVersion]:
        """All versions of a model, the newest first; none where there is no such model."""
        found: list[ModelVersion] = []
        token: str | None = None
        with self.client() as client:
            while True:
                page = client.search_model_versions(f"name = '{name}'", max_results=1000, page_token=token)
                found += map(_version, page)
                token = page.token
                if not token:
                    return sorted(found, key=lambda item: -item.version)

    def names(self) -> list[str]:
        """The names of all registered models, sorted."""
        found: list[str] = []
        token: str | None = None
        with self.client() as client:
            while True:
                page = client.search_registered_models(max_results=1000, page_token=token)
                found += [model.name for model in page]
                token = page.token
                if not token:
                    return sorted(found)

    def set_alias(self, name: str, alias: str, version: int) -> None:
        """Let an alias of a model name a version, in place of the one that it named."""
        with self.client() as client:
            client.set_registered_model_alias(name, alias, str(version))

    def drop_alias(self, name: str, alias: str) -> None:
        """Take an alias of a model away; nothing happens where there is none."""
        with self.client() as client:
            client.delete_registered_model_alias(name, alias)

    # ---- Artefacts

    def register(
        self,
        run_id: str,
        name: str,
        folder: Path,
        *,
        loader_module: str,
        signature: Any,
        input_example: Any,
        tags: Mapping[str, str],
    ) -> ModelVersion:
        """Log a folder of data files as a model of a run, and register it as the next version of `name`.

        The model holds the files and the name of the module that reads them: no code, and no pickle.

        Args:
            run_id: the MLflow run that made it.
            folder: npz, JSON, Parquet and the like.
            loader_module: a module of this project with `_load_pyfunc(path)`, which returns an object with `predict`.
            signature: MLflow's ModelSignature.
            input_example: a small input, which the model is asked once, to see that it can be loaded.
            tags: of the version: shop, domain, trained_to, data_version, code.

        Raises:
            TrackingError: the store refuses, or the model that was logged cannot be loaded or asked.
        """
        with self.client() as client, tempfile.TemporaryDirectory() as place:
            import mlflow
            from mlflow.models import Model

            # MLflow keeps the folder's name, which is likely to be that of a temporary one.
            named = Path(place) / _FOLDER
            named.symlink_to(folder.absolute(), target_is_directory=True)
            # Else it is made in the experiment that is active in this process, which need not be the run's.
            experiment = client.get_run(run_id).info.experiment_id
            made = client.create_logged_model(experiment, name=name, source_run_id=run_id, tags=dict(tags))
            logged = Model.log(
                artifact_path=None,
                model_id=made.model_id,
                flavor=mlflow.pyfunc,
                run_id=run_id,
                loader_module=loader_module,
                data_path=str(named),
                signature=signature,
                input_example=input_example,
                # Given, for MLflow would take eight seconds to find out. The loader itself is of this project.
                pip_requirements=[f"numpy=={installed('numpy')}"],
            )
            try:
                # MLflow has asked it as well, but a model that cannot be loaded is no more than a warning to it.
                mlflow.pyfunc.load_model(logged.model_uri).predict(input_example)
            except Exception as error:
                raise TrackingError(
                    f"{name}: the model that run {run_id} logged cannot be asked ({type(error).__name__}: {error}); it"
                    f" is not registered. See to {loader_module}."
                ) from error
            registered = mlflow.register_model(logged.model_uri, name, tags=dict(tags))
            return _version(client.get_model_version(name, str(registered.version)))

    def download(self, version: ModelVersion) -> Path:
        """The folder that was given to `register`, to be read only.

        It is the folder of the lake itself where that is on this machine, else a copy that the home keeps.
        """
        with self.client() as client:
            from mlflow.artifacts import download_artifacts
            from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

            location = client.get_model_version_download_uri(version.name, str(version.version))
            inside = f"data/{_FOLDER}"
            store = get_artifact_repository(location, tracking_uri=self.uri)
            local = store.get_local_path(inside)
            if local is not None:
                return Path(local)
            # `models:/m-<id>`, which is another where the registry was made anew and counts from one again.
            source = client.get_model_version(version.name, str(version.version)).source or ""
            model_id = source.rpartition("/")[2]
            kept = self.settings.home / "models" / f"{version.name}-{version.version}-{model_id}"
            if not kept.exists():
                kept.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".downloading-") as place:
                    got = download_artifacts(artifact_uri=f"{location}/{inside}", dst_path=place)
                    # Whole or not there; who was quicker brought the same files.
                    try:
                        Path(got).rename(kept)
                    except OSError:
                        if not kept.exists():
                            raise
            return kept

    # ---- Runs

    def experiment(self, domain: str) -> str:
        """The experiment of a domain, made where it is missing; its id."""
        with self.client() as client:
            from mlflow.exceptions import MlflowException

            held = client.get_experiment_by_name(domain)
            if held is None:
                # A server by URL has a place of its own for artefacts, and the credentials for it.
                own = self.settings.mlflow_tracking_uri is None
                try:
                    return client.create_experiment(
                        domain, f"cartograph-lake:/{_LAKE_FOLDER}/{domain}" if own else None
                    )
                except MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":
                        raise
                    held = client.get_experiment_by_name(domain)
            if held is None or held.lifecycle_stage != "active":
                raise TrackingError(
                    f"{self.where}: the experiment {domain!r} was deleted; restore it in MLflow"
                    " (`mlflow experiments restore`), or delete it for good (`mlflow gc`)."
                )
            return held.experiment_id

    @contextmanager
    def at_work(self, run_id: str, asset: str, partition: str | None) -> Iterator[None]:
        """Mark a Dagster run as at work on an asset: the mark goes with the process, also where that is killed."""
        with ExitStack() as stack:
            with self._explained():
                stack.enter_context(self._warehouse.advisory_lock(_mark(run_id, asset, partition)))
            yield

    def end_abandoned(
        self, domain: str, asset: str, partition: str | None, run_id: str, is_known: Callable[[str], bool]
    ) -> list[str]:
        """End, as KILLED, the runs of an asset and partition that a killed process left RUNNING.

        Args:
            run_id: the Dagster run that asks. What it has left itself, it has left in an earlier attempt.
            is_known: whether a Dagster run is one of ours. An MLflow server may be shared with others, of whose
                processes we know nothing.

        Returns:
            The ids of the MLflow runs that were ended.
        """
        ended: list[str] = []
        experiment = self.experiment(domain)
        with self.client() as client:
            conditions = ["attributes.status = 'RUNNING'", f"tags.`{ASSET_TAG}` = '{asset}'"]
            if partition is not None:
                conditions.append(f"tags.`{PARTITION_TAG}` = '{partition}'")
            running: list[Run] = list(client.search_runs([experiment], " and ".join(conditions), max_results=1000))
            for run in running:
                owner = run.data.tags.get(RUN_TAG, "")
                if run.data.tags.get(PARTITION_TAG) != partition:
                    continue
                if owner != run_id:
                    if self.settings.mlflow_tracking_uri is not None and not is_known(owner):
                        continue
                    if self._is_marked(_mark(owner, asset, partition)):
                        continue
                client.set_terminated(run.info.run_id, "KILLED")
                ended.append(run.info.run_id)
        return ended

    def _is_marked(self, mark: str) -> bool:
        with self._warehouse.connect(autocommit=True) as connection:
            # Dropped with the connection, at the end of the block.
            row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [mark]).fetchone()
        return row is not None and not row[0]

    # ---- The connection

    @contextmanager
    def client(self) -> Iterator[MlflowClient]:
        """MLflow's client, with its errors in our words; MLflow's own functions in the block use the same store."""
        with self._explained():
            opened = self._open()
            import mlflow

            from resources import mlflow_lake

            with _environment_kept():
                # These are settings of the process, which may use several homes, as tests do.
                mlflow_lake.use_lake(self.settings.lake_location)
                mlflow.set_tracking_uri(self.uri)
                mlflow.set_registry_uri(self.uri)
                yield opened

    def _open(self) -> MlflowClient:
        if self._opened is not None:
            return self._opened
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        own = self.settings.mlflow_tracking_uri is None
        if own:
            # Asked first, for MLflow asks a database that is away ten times before it says so.
            self._warehouse.connect("mlflow").close()
        from mlflow import MlflowClient

        for noisy in ("mlflow.store.db.utils", "mlflow.pyfunc", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        uri = self.uri
        if own:
            # Two processes that make MLflow's tables at once fail on each other, and making a client makes them.
            with self._warehouse.advisory_lock("mlflow tables"):
                client = MlflowClient(tracking_uri=uri, registry_uri=uri)
                client.search_experiments(max_results=1)
                client.search_registered_models(max_results=1)
        else:
            client = MlflowClient(tracking_uri=uri, registry_uri=uri)
            client.search_experiments(max_results=1)
        self._opened = client
        return client

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """The errors of what lies beneath, as a TrackingError of one line."""
        try:
            yield
        except TrackingError:
            raise
        except (WarehouseError, SourceError) as error:
            raise TrackingError(f"{self.where}: {_line(error)}") from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in _BENEATH:
                raise
            remedy = (
                "see that it runs and that MLFLOW_TRACKING_URI is its address"
                if self.settings.mlflow_tracking_uri
                else "see that the warehouse runs: cartograph status"
            )
            raise TrackingError(f"{self.where}: {_line(error)}; {remedy}.") from error


class TrackedRun:
    """One MLflow run that is open. Every method raises TrackingError where the store is away or refuses."""

    def __init__(self, tracking: Tracking, run_id: str, experiment_id: str) -> None:
        self.run_id = run_id
        self._tracking, self._experiment_id = tracking, experiment_id

    @property
    def url(self) -> str:
        """The page of the run in the MLflow UI."""
        settings = self._tracking.settings
        root = settings.mlflow_ui_url or settings.mlflow_tracking_uri or "http://127.0.0.1:3001"
        return f"{_without_credentials(root).rstrip('/')}/#/experiments/{self._experiment_id}/runs/{self.run_id}"

    def log_params(self, values: Mapping[str, Any]) -> None:
        """Log parameters, any number of them; a value is kept as text."""
        from mlflow.entities import Param

        with self._tracking.client() as client:
            items = [Param(name, str(value)) for name, value in values.items()]
            for start in range(0, len(items), 100):  # the most that MLflow takes at once
                client.log_batch(self.run_id, params=items[start : start + 100])

    def log_metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log metrics, any number of them."""
        import time

        from mlflow.entities import Metric

        with self._tracking.client() as client:
            now = int(time.time() * 1000)
            items = [Metric(name, float(value), now, step) for name, value in values.items()]
            for start in range(0, len(items), 1000):
                client.log_batch(self.run_id, metrics=items[start : start + 1000])

    def log_figure(self, figure: Any, name: str) -> None:
        """Log a figure of matplotlib as an image; `name` ends in .png or .svg."""
        with self._tracking.client() as client:
            client.log_figure(self.run_id, figure, name)

    def log_dict(self, values: Mapping[str, Any], name: str) -> None:
        """Log a dictionary as a file; `name` ends in .json or .yaml."""
        with self._tracking.client() as client:
            client.log_dict(self.run_id, dict(values), name)

    def log_artifact(self, path: Path) -> None:
        """Log a file under its own name."""
        with self._tracking.client() as client:
            client.log_artifact(self.run_id, str(path))


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Take back what MLflow writes into the environment, where it would be taken for a setting of ours."""
    before = {name: os.environ.get(name) for name in _WRITTEN}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _version(item: MlflowVersion) -> ModelVersion:
    created = datetime.fromtimestamp(item.creation_timestamp / 1000, UTC)
    return ModelVersion(item.name, int(item.version), item.run_id or "", dict(item.tags or {}), created)


def _mark(run_id: str, asset: str, partition: str | None) -> str:
    return f"tracking {run_id} {asset} {partition or ''}"


def _without_credentials(text: str) -> str:
    return re.sub(r"(?<=://)[^/@\s]+@", "", text)


def _line(error: BaseException) -> str:
    """The first line of an error, of a length that can be read, without credentials."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return _without_credentials(lines[0])[:300].rstrip(".")
