"""The Dagster instance of a home: its `dagster.yaml`, and a storage that brings the warehouse up before it is used."""

import os
from pathlib import Path
from typing import Any

import yaml
from dagster import DagsterInstance
from dagster_postgres import DagsterPostgresStorage

from resources.settings import Settings, load_settings
from resources.warehouse import Warehouse


class WarehouseStorage(DagsterPostgresStorage):
    """Dagster's runs, events and schedules in the warehouse's `dagster` database.

    Each process that loads the instance (web server, daemon, code server, run) takes its own lease on the embedded
    server by it, so that `dagster dev` typed by hand works and no process loses the server under its feet.
    """

    @classmethod
    def config_type(cls) -> Any:
        return {"home": str}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "WarehouseStorage":
        warehouse = Warehouse(load_settings(home=Path(config_value["home"])))
        return cls(postgres_url=warehouse.sqlalchemy_url("dagster"), should_autocreate_tables=True, inst_data=inst_data)


def dagster_yaml(settings: Settings) -> dict[str, Any]:
    """The instance's configuration."""
    folder = settings.dagster_home
    return {
        "storage": {
            "custom": {"module": __name__, "class": "WarehouseStorage", "config": {"home": str(settings.home)}},
        },
        "local_artifact_storage": {
            "module": "dagster.core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": str(folder)},
        },
        "compute_logs": {
            "module": "dagster.core.storage.local_compute_log_manager",
            "class": "LocalComputeLogManager",
            "config": {"base_dir": str(folder / "logs")},
        },
        "concurrency": {
            "runs": {"max_concurrent_runs": 4},
            # One extract of a shop and one dbt run at a time; a run that waits starts its other steps meanwhile.
            "pools": {"default_limit": 1, "granularity": "op"},
        },
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": 300,
            "cancel_timeout_seconds": 180,
            "max_runtime_seconds": 4 * 3600,
            "poll_interval_seconds": 60,
            # Without it, a cancelled run keeps its slots for ever.
            "free_slots_after_run_end_seconds": 120,
        },
        # A failed step is judged by its own retry policy; a run is repeated only where its process died.
        "run_retries": {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False},
        "retention": {
            "schedule": {"purge_after_days": 90},
            "sensor": {"purge_after_days": {"skipped": 7, "failure": 30, "success": 90}},
        },
        "telemetry": {"enabled": False},
        # The welcome of the UI asks for an e-mail address.
        "nux": {"enabled": False},
    }


def prepare_instance(settings: Settings) -> Path:
    """Write the home's `dagster.yaml` where it is missing or differs, and return the folder for DAGSTER_HOME."""
    folder = settings.dagster_home
    folder.mkdir(parents=True, exist_ok=True)
    text = "# Written by `cartograph`; orchestration/instance.py says why each value is what it is.\n" + yaml.safe_dump(
        dagster_yaml(settings), sort_keys=False
    )
    file = folder / "dagster.yaml"
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
    return folder


def open_instance(settings: Settings) -> DagsterInstance:
    """The instance of a home. Sets DAGSTER_HOME for this process and for those that it starts."""
    os.environ["DAGSTER_HOME"] = str(prepare_instance(settings))
    return DagsterInstance.get()
