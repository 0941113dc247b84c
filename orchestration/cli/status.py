"""`cartograph status`: each shop, champion and asset with its age, rows, checks; from the warehouse and Dagster."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.markup import escape
from rich.table import Table as RichTable

from orchestration.cli.session import console, shown
from resources.settings import Settings, get_settings
from resources.shops import Shop, load_shops

ALL_SHOPS = "(all)"
_HISTORY = 20


def run_status(as_json: bool) -> int:
    """Print the status; 1 where a check that must pass fails or a shop is not ready though it has data."""
    settings = get_settings()
    shops = load_shops(settings.shops_file)
    state = collect(settings, shops)
    if as_json:
        json.dump(state, sys.stdout, indent=2, default=str)
        sys.stdout.write("\n")
    else:
        _print(settings, state)
    return 0 if state["is_sound"] else 1


def collect(settings: Settings, shops: dict[str, Shop]) -> dict[str, Any]:
    """The status as data: `{"home", "is_sound", "shops": {shop: {...}}, "champions": [{...}], "assets": [{...}]}`."""
    import dagster as dg

    from assets.extracts.api import with_api
    from assets.extracts.ledger import active_extracts, ensure_ledger, totals
    from assets.marts import readiness
    from assets.marts.project import data_tests, read_manifest
    from assets.promotion.promote import standings
    from orchestration.definitions import defs
    from orchestration.instance import open_instance
    from orchestration.sensors import ready_version
    from resources.far import SourceError
    from resources.objects import object_store, table_of
    from resources.warehouse import Warehouse

    manifest = read_manifest(shops)
    models, tests = readiness.tracked_models(manifest), data_tests(manifest, severity="error")
    now = datetime.now(UTC)
    assets: list[dict[str, Any]] = []
    by_shop: dict[str, Any] = {}
    with Warehouse(settings).connect() as connection, open_instance(settings) as instance:
        ensure_ledger(connection)
        graph = defs.resolve_asset_graph()
        keys = sorted(graph.executable_asset_keys)
        records = {record.asset_entry.asset_key: record.asset_entry for record in instance.get_asset_records(keys)}
        storage = instance.event_log_storage
        for key in keys:
            partitions = graph.get(key).partitions_def
            names = (
                list(partitions.get_partition_keys())
                if partitions is not None
                else [key.path[1] if key.path[0] == "raw" else ALL_SHOPS]
            )
            for name in names:
                partition = name if partitions is not None else None
                checks = graph.get_check_keys_for_assets({key})
                if partition is None:
                    entry = records.get(key)
                    made = entry.last_materialization_record if entry else None
                    evaluations = {check: _latest(storage, check, None) for check in checks}
                else:
                    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition])
                    made = next(iter(instance.fetch_materializations(wanted, limit=1).records), None)
                    evaluations = {check: _latest(storage, check, partition) for check in checks}
                assets.append(_asset(key, name, partition, made, evaluations, now))
        for name, shop in shops.items():
            store, away = object_store(settings, shop), ""
            try:
                listing = store.list()
            except SourceError as error:
                listing, away = [], str(error)
            tables = {}
            for table, settings_of in with_api(shop).tables.items():
                held = totals(active_extracts(connection, name, table))
                objects = [item for item in listing if table_of(shop, item.name) == table]
                tables[table] = {
                    **held,
                    "objects": len(objects),
                    "state": _state(held["rows"], len(objects), settings_of.stream),
                }
            late = readiness.unbuilt(connection, shop, models)
            has_data = any(held["rows"] for held in tables.values())
            failures = readiness.stored_failures(connection, shop, tests)
            version = readiness.data_version(connection, shop)
            ready = not late and not failures and ready_version(instance, name) == version
            clock = None if late else readiness.describe(connection, shop, {"shop_clock": "contract"}).as_of
            by_shop[name] = {
                "title": shop.title,
                "state": "no data" if not has_data else "ready" if ready else "not ready",
                "as_of": clock,
                "models_to_build": len(late),
                "failing_tests": failures,
                "source": store.location,
                "source_error": away,
                "tables": tables,
            }
        champions = [asdict(standing) for standing in standings(connection)]
    errors = [item for item in assets if item["failed_checks"]]
    sound = not errors and all(item["state"] != "not ready" for item in by_shop.values())
    inbox = settings.inbox_url or str(settings.inbox)
    return {
        "home": str(settings.home),
        "inbox": inbox,
        "is_sound": sound,
        "shops": by_shop,
        "champions": champions,
        "assets": assets,
    }


def _state(rows: int, objects: int, stream: str | None) -> str:
    """What is to be said of a raw table. Of a stream it is not asked here what it has."""
    if rows:
        return "loaded"
    return "no records" if stream is not None else "to load" if objects else "missing"


def _latest(storage: Any, check: Any, partition: str | None) -> Any:
    """The latest evaluation of a check, for one partition where there are any; None if it never was evaluated.

    A run that planned a check and then had nothing to do leaves a later execution without an evaluation.
    """
    cursor = None
    while history := storage.get_asset_check_execution_history(check, limit=_HISTORY, cursor=cursor):
        for item in history:
            event = item.event.dagster_event if item.event is not None else None
            if event is not None and event.event_type_value == "ASSET_CHECK_EVALUATION" and item.partition == partition:
                return event.asset_check_evaluation_data
        cursor = history[-1].id
    return None


def _asset(
    key: Any, shop: str, partition: str | None, made: Any, evaluations: dict[Any, Any], now: datetime
) -> dict[str, Any]:
    """The status of one asset, or of one partition of it, from its last materialization and check executions."""
    import dagster as dg

    when = rows = None
    if made is not None:
        when = datetime.fromtimestamp(made.timestamp, UTC)
        metadata = made.asset_materialization.metadata
        count = metadata.get("dagster/row_count") or metadata.get("dagster/partition_row_count")
        rows = None if count is None else count.value
    checks = {"passed": 0, "failed": 0, "warned": 0, "never run": 0}
    failed = []
    for check, evaluation in sorted(evaluations.items()):
        if evaluation is None:
            # Of what was never made there is nothing to check.
            checks["never run"] += made is not None
        elif evaluation.passed:
            checks["passed"] += 1
        elif evaluation.severity == dg.AssetCheckSeverity.WARN:
            checks["warned"] += 1
        else:
            checks["failed"] += 1
            failed.append(check.name)
    return {
        "shop": shop,
        "asset": key.to_user_string(),
        "partition": partition,
        "made_at": when,
        "age_seconds": None if when is None else round((now - when).total_seconds()),
        "rows": rows,
        "checks": checks,
        "failed_checks": failed,
    }


def _print(settings: Settings, state: dict[str, Any]) -> None:
    out = console()
    out.print(f"Home {shown(settings.home)}, inbox {settings.inbox_url or shown(settings.inbox)}", soft_wrap=True)
    for name, shop in state["shops"].items():
        color = {"ready": "green", "not ready": "red"}.get(shop["state"], "yellow")
        more = [f"as of {shop['as_of']}"] if shop["as_of"] else []
        more += (
            [f"{shop['models_to_build']} models to build: run `cartograph materialize`"]
            if shop["state"] == "not ready" and shop["models_to_build"]
            else []
        )
        more += (
            [f"{len(shop['failing_tests'])} failing tests: {', '.join(shop['failing_tests'])}"]
            if shop["failing_tests"]
            else []
        )
        more += [f"its source cannot be listed: {escape(shop['source_error'])}"] if shop["source_error"] else []
        missing = [table for table, held in shop["tables"].items() if held["state"] == "missing"]
        more += (
            [f"nothing in the source for {', '.join(missing)}: `cartograph upload {name} FILE`"]
            if missing and not shop["source_error"]
            else []
        )
        waiting = [table for table, held in shop["tables"].items() if held["state"] == "to load"]
        more += [f"to load: {', '.join(waiting)}"] if waiting else []
        out.print(f"[bold]{name}[/bold] [{color}]{shop['state']}[/{color}]  {'; '.join(more)}", soft_wrap=True)
    for item in state["champions"]:
        champion = (
            f"[green]version {item['champion']}[/green] since {item['since']:%Y-%m-%d %H:%M}"
            if item["champion"] is not None
            else "[yellow]no champion yet[/yellow]"
        )
        last = "" if item["decision"] == "promote" else f"; last: {item['decision']}, {escape(item['reason'])}"
        out.print(f"[bold]{item['model']}[/bold] {champion}{last}")
    table = RichTable(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title, justify in (("asset", "left"), ("age", "right"), ("rows", "right"), ("checks", "left")):
        table.add_column(title, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for item in state["assets"]:
        checks = item["checks"]
        parts = [f"[green]{checks['passed']} passed[/green]"] if checks["passed"] else []
        parts += (
            [f"[red]{checks['failed']} failed: {', '.join(item['failed_checks'])}[/red]"] if checks["failed"] else []
        )
        parts += [f"[yellow]{checks['warned']} warned[/yellow]"] if checks["warned"] else []
        parts += [f"[dim]{checks['never run']} never run[/dim]"] if checks["never run"] else []
        rows = "" if item["rows"] is None else f"{item['rows']:,}"
        table.add_row(
            item["asset"] + (f" \\[{item['partition']}]" if item["partition"] else ""),
            age_text(item["age_seconds"]),
            rows,
            ", ".join(parts),
        )
    out.print(table)


def age_text(seconds: int | None) -> str:
    """An age in its largest fitting unit."""
    if seconds is None:
        return "never"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds} s"
