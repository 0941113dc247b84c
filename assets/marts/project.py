"""The dbt project as Cartograph runs it: its variables, its manifest, and the hash of the code behind a shop."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from resources.settings import get_settings
from resources.shops import Shop

_SHARED = ("dbt_project.yml", "macros", "models/contract", "models/marts")
_PARSED = ("dbt_project.yml", "profiles.yml", "macros", "models", "tests")


class DbtProjectError(RuntimeError):
    """The dbt project cannot be parsed; the message is dbt's own."""


def dbt_variables(shops: dict[str, Shop]) -> str:
    """The `--vars` of every dbt call: what the models must know of the shops, as JSON."""
    return json.dumps(
        {
            "shops": {
                shop.name: {
                    "timezone": shop.timezone,
                    "currency": shop.currency,
                    "language": shop.language,
                    "provides": list(shop.provides),
                    "code": code_hash(shop),
                }
                for shop in shops.values()
            }
        },
        sort_keys=True,
    )


def code_hash(shop: Shop) -> str:
    """A hash of all code that makes a shop's tables: its staging, the contract, the marts, the macros, its settings.

    When it changes, the shop is made again; other shops are not. It is of the code that this process began with.
    """
    settings = shop.model_dump(include={"name", "timezone", "currency", "language", "provides"})
    return _code_hash(shop.name, json.dumps(settings, sort_keys=True))


@cache
def _code_hash(shop: str, settings: str) -> str:
    return _hash_files((*_SHARED, f"models/staging/{shop}"), settings)


def _hash_files(parts: tuple[str, ...], more: str = "") -> str:
    folder = get_settings().dbt_project
    digest = hashlib.sha256(more.encode())
    for part in parts:
        path = folder / part
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(f"\0{file.relative_to(folder)}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def dbt_executable() -> str:
    """dbt beside this interpreter, so that no environment needs to be activated."""
    return str(Path(sys.executable).parent / "dbt")


def dbt_command(*arguments: str, shops: dict[str, Shop]) -> list[str]:
    """A dbt command line with everything that this project needs."""
    folder = str(get_settings().dbt_project)
    where = ["--project-dir", folder, "--profiles-dir", folder, "--vars", dbt_variables(shops)]
    return [dbt_executable(), *arguments, *where]


def read_manifest(shops: dict[str, Shop]) -> dict[str, Any]:
    """The manifest of the project as it stands, parsed anew where a file or a shop changed since. Needs no database.

    Raises:
        DbtProjectError: dbt cannot parse the project.
    """
    folder = get_settings().dbt_project
    target = folder / "target"
    stamp, manifest = target / "manifest.hash", target / "manifest.json"
    wanted = _hash_files(_PARSED, dbt_variables(shops))
    if not (folder / "dbt_project.yml").is_file():
        raise DbtProjectError(f"{folder} holds no dbt project. Set CARTOGRAPH_DBT_PROJECT, or restore dbt_project/.")
    target.mkdir(exist_ok=True)
    # Read under the lock too: another process may be about to parse the project for other shops.
    with (target / "manifest.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (manifest.exists() and stamp.exists() and stamp.read_text() == wanted):
            stamp.unlink(missing_ok=True)
            # The profile must render, though nothing connects.
            environment = {"CARTOGRAPH_PGHOST": "localhost", **os.environ, "DO_NOT_TRACK": "1"}
            result = subprocess.run(
                [*dbt_command("--no-use-colors", "--quiet", "parse", shops=shops), "--target-path", str(target)],
                capture_output=True,
                text=True,
                env=environment,
            )
            if result.returncode != 0:
                raise DbtProjectError(f"dbt cannot parse {folder}:\n{(result.stdout + result.stderr).strip()}")
            stamp.write_text(wanted)
        project: dict[str, Any] = json.loads(manifest.read_text())
    return project


def error_tests(manifest: dict[str, Any]) -> dict[str, str]:
    """The data tests that must not fail: name -> name of the table that stores their failures."""
    return {
        node["name"]: node.get("alias") or node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["config"]["severity"].lower() == "error"
    }
