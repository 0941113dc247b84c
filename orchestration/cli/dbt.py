"""`cartograph dbt`: dbt on this home's warehouse, with the variables that the project needs."""

from __future__ import annotations

import os
import subprocess

from assets.extracts.raw import ensure_raw
from assets.marts.project import dbt_command, dbt_executable
from resources.settings import get_settings
from resources.shops import load_shops
from resources.warehouse import Warehouse


def run_dbt(arguments: list[str]) -> int:
    """Run dbt with the given arguments; returns its exit status."""
    settings = get_settings()
    shops = load_shops(settings.shops_file)
    warehouse = Warehouse(settings)
    ensure_raw(warehouse, shops)
    is_command = arguments and not arguments[0].startswith("-")
    command = dbt_command(*arguments, shops=shops) if is_command else [dbt_executable(), *arguments]
    return subprocess.run(command, env=dbt_environment(warehouse)).returncode


def dbt_environment(warehouse: Warehouse) -> dict[str, str]:
    """This process's environment with what dbt must know of a warehouse."""
    settings = warehouse.settings
    folders = {"DBT_TARGET_PATH": str(settings.dbt_target), "DBT_LOG_PATH": str(settings.home / "logs")}
    return {**os.environ, **warehouse.dbt_environment(), **folders, "DO_NOT_TRACK": "1"}
