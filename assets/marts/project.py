"""The dbt project as Cartograph runs it: its variables, its manifest, and the hash of the code behind a shop."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from resources.settings import get_settings
from resources.shops import API, Shop

_SHARED = ("dbt_project.yml", "macros", "models/contract", "models/marts", f"models/staging/{API}")
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


def tests_hash(shop: Shop) -> str:
    """A hash of the code that makes a shop's tables and of that which tests them: where it changed, all is tested."""
    return _tests_hash(code_hash(shop))


@cache
def _tests_hash(code: str) -> str:
    return _hash_files(("tests",), code)


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
        DbtProjectError: dbt cannot parse the project, or a shop's staging models are not what the contract reads.
    """
    folder = get_settings().dbt_project
    target = _parsed_folder(shops)
    stamp, manifest = target / "manifest.hash", target / "manifest.json"
    wanted = _hash_files(_PARSED, dbt_variables(shops))
    if not (folder / "dbt_project.yml").is_file():
        raise DbtProjectError(f"{folder} holds no dbt project. Set CARTOGRAPH_DBT_PROJECT, or restore dbt_project/.")
    if missing := missing_models(shops):
        raise DbtProjectError("\n".join(missing))
    target.mkdir(parents=True, exist_ok=True)
    # Read under the lock too: another process may be about to parse the project for other shops.
    with (target / "manifest.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (manifest.exists() and stamp.exists() and stamp.read_text() == wanted):
            stamp.unlink(missing_ok=True)
            environment = {**os.environ, "DO_NOT_TRACK": "1"}
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
    problems = staging_problems(shops, project)
    if problems:
        raise DbtProjectError("\n".join(problems))
    return project


def _parsed_folder(shops: dict[str, Shop]) -> Path:
    """Where the parsed project stands, for each set of shops: two of them in turn would have it parsed each time."""
    names = hashlib.sha256("\n".join(shops).encode()).hexdigest()[:8]
    return get_settings().dbt_project / "target" / f"shops-{names}"


def reuse_parsed(shops: dict[str, Shop], target: Path) -> None:
    """Let dbt begin in a home's target folder with what is parsed; it parses by itself what is not as it was."""
    parsed, own = _parsed_folder(shops) / "partial_parse.msgpack", target / "partial_parse.msgpack"
    if parsed.exists() and not (own.exists() and own.stat().st_mtime >= parsed.stat().st_mtime):
        target.mkdir(parents=True, exist_ok=True)
        part = target / f"partial_parse.{os.getpid()}.part"
        shutil.copyfile(parsed, part)
        part.replace(own)


def entities() -> dict[str, dict[str, Any]]:
    """What a shop's staging models must be, from the one place that says so: the macro of this name."""
    return _entities((get_settings().dbt_project / "macros" / "entities.sql").read_text(encoding="utf-8"))


@cache
def _entities(text: str) -> dict[str, dict[str, Any]]:
    import jinja2

    found: list[dict[str, dict[str, Any]]] = []
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    environment.globals["return"] = found.append
    environment.from_string(text).module.entities()  # type: ignore[attr-defined]
    return found[0]


def required_models(shops: dict[str, Shop]) -> Iterator[tuple[Shop, str, dict[str, Any]]]:
    """The staging models that `provides` asks for: shop, model and what the contract reads of it."""
    for shop in shops.values():
        provided = set(shop.provides)
        for entity, spec in entities().items():
            if provided.issuperset(spec["needs"]) and provided.intersection(spec.get("any") or provided):
                yield shop, f"stg_{shop.name}__{entity}", spec


def missing_models(shops: dict[str, Shop]) -> list[str]:
    """The staging models that are not there, a line for each; dbt would only say who misses them."""
    staging = get_settings().dbt_project / "models" / "staging"
    return [
        f"{staging / shop.name / name}.sql: there is no such model, and shop {shop.name!r} provides "
        f"{', '.join(spec['needs'])}. Add it, with the columns {', '.join(spec['columns'])}; or take "
        f"{spec['needs'][0]!r} from the shop's `provides` in {get_settings().shops_file.name}."
        for shop, name, spec in required_models(shops)
        if not next((staging / shop.name).rglob(f"{name}.sql"), None)
    ]


def staging_problems(shops: dict[str, Shop], manifest: dict[str, Any]) -> list[str]:
    """What the staging models of the shops declare otherwise than the contract reads it, a line for each.

    That their SQL gives what they declare is enforced by dbt, model by model.
    """
    folder = get_settings().dbt_project
    models = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    problems = []
    for shop, name, spec in required_models(shops):
        if name not in models:
            problems.append(
                f"{folder / 'models' / 'staging' / shop.name / name}.sql:1: the model is disabled, and shop "
                f"{shop.name!r} provides {', '.join(spec['needs'])}. Begin it with config(enabled=shop in shops())."
            )
            continue
        declared = {column: told["data_type"] for column, told in models[name]["columns"].items()}
        file = folder / str(models[name]["patch_path"] or models[name]["original_file_path"]).split("://")[-1]
        for column, wanted in spec["columns"].items():
            if column not in declared:
                remedy = f"the contract reads the column {column!r} of it. Add it, with data_type {wanted}."
            elif declared[column] != wanted:
                remedy = f"{column}: data_type {declared[column]}; the contract reads {wanted}. Make it that."
            else:
                continue
            problems.append(f"{file}:{_line_of(file, name, column)}: {name}: {remedy}")
        for column in sorted(declared.keys() - spec["columns"].keys() - {"shop"}):
            problems.append(
                f"{file}:{_line_of(file, name, column)}: {name}: the contract has no column {column!r}. Remove it; "
                f"it has {', '.join(spec['columns'])}."
            )
    return problems


_MISMATCH = re.compile(r"^\s*\| (\w+) +\| (\S*) *\| (\S*) *\| (missing in \w+|data type mismatch) *\|", re.MULTILINE)


def broken_staging(manifest: dict[str, Any], results: list[dict[str, Any]]) -> list[str]:
    """What the SQL of staging models gives otherwise than they declare, a line for each.

    Args:
        results: those of dbt's `run_results.json`.
    """
    folder = get_settings().dbt_project
    problems = []
    for result in results:
        node = manifest["nodes"].get(result["unique_id"])
        if result["status"] != "error" or node is None or node["fqn"][1] != "staging":
            continue
        name, sql = node["name"], folder / node["original_file_path"]
        declared = folder / str(node["patch_path"]).split("://")[-1]
        found = _MISMATCH.findall(result["message"])
        for column, *_, reason in found:
            wanted = node["columns"].get(column, {}).get("data_type")
            remedy = {
                "missing in definition": f"the SQL gives no column {column!r}. Select it, as {wanted}.",
                "missing in contract": f"the SQL gives a column {column!r} that is not declared. Remove it.",
                "data type mismatch": f"the SQL gives {column!r} with another type. Cast it: {column}::{wanted}.",
            }[reason]
            problems.append(f"{sql}: {name}: {remedy} It is declared in {declared}:{_line_of(declared, name, column)}.")
        if not found:
            problems.append(f"{sql}: {name}: {result['message'].strip()}")
    return problems


def _line_of(file: Path, model: str, column: str) -> int:
    """The line in which a YAML file declares a model's column; else that of the model."""
    found = 1
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.replace("-", " ", 1).split("#")[0].split()
        if words[:1] == ["name:"] and len(words) == 2:
            if words[1] == model:
                found = number
            elif found > 1 and words[1].startswith("stg_"):
                break
            elif found > 1 and words[1] == column:
                return number
    return found


def data_tests(manifest: dict[str, Any], severity: str | None = None) -> dict[str, str]:
    """The data tests, or those of a severity (error, warn): name -> name of the table that stores their failures."""
    return {
        node["name"]: node.get("alias") or node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and severity in (None, node["config"]["severity"].lower())
        # Tests of the models of shops that are not configured stay in the manifest.
        and node["config"]["enabled"]
    }
