"""`cartograph materialize`: extract, build, declare ready; in this process, with progress and a summary at the end."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.table import Table as RichTable

from orchestration.cli.session import CommandError, console, shop_named, shown
from resources.settings import get_settings
from resources.shops import Shop, load_shops

if TYPE_CHECKING:
    import dagster as dg


@dataclass
class Outcome:
    """What became of the assets in one call."""

    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Asset (and partition) -> its metadata."""
    checks: list[Any] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """Steps that failed, in words."""
    unready: dict[str, str] = field(default_factory=dict)
    """Shop -> why it is not ready, where nothing was run to say so."""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def failed_checks(self) -> list[Any]:
        return [check for check in self.checks if not check.passed]

    @property
    def is_sound(self) -> bool:
        import dagster as dg

        errors = [check for check in self.failed_checks if check.severity == dg.AssetCheckSeverity.ERROR]
        return not (self.failures or errors or self.unready)


def run_materialize(selection: str | None, shop_name: str | None) -> int:
    """Materialize and print; 0 only if every step succeeded and every check that must pass passed."""
    if shop_name is not None:
        shop_named(shop_name)
    began = time.monotonic()
    outcome = materialize(selection, shop_name)
    print_summary(outcome, time.monotonic() - began)
    return 0 if outcome.is_sound else 1


def materialize(selection: str | None = None, shop_name: str | None = None) -> Outcome:
    """Extract, then build, then declare ready: each stage goes on where another shop's part of the one before failed.

    Raises:
        CommandError: the selection names no asset.
    """
    import dagster as dg

    from orchestration.definitions import defs
    from orchestration.instance import open_instance

    settings = get_settings()
    shops = load_shops(settings.shops_file)
    outcome = Outcome()
    with quiet_dagster(settings.home / "logs"), open_instance(settings) as instance:
        graph = defs.resolve_asset_graph()
        selected = _select(selection, graph, shop_name)
        raw = sorted(key for key in selected if key.path[0] == "raw")
        partitioned = sorted(key for key in selected if graph.get(key).partitions_def is not None)
        built = sorted(key for key in selected if key not in raw and key not in partitioned)
        for title, keys in (("Extract", raw), ("Build and test", built)):
            if keys:
                _run(title, defs, instance, keys, None, outcome)
        for name, shop in shops.items():
            if partitioned and shop_name in (None, name) and not outcome.failures:
                reason = None if selection else _why_not_again(instance, shop)
                if reason is None:
                    _run(f"Declare {name} ready", defs, instance, partitioned, name, outcome)
                elif reason:
                    outcome.unready[name] = reason
    return outcome


def _select(selection: str | None, graph: Any, shop_name: str | None) -> set[dg.AssetKey]:
    import dagster as dg

    chosen = dg.AssetSelection.all() if selection is None else dg.AssetSelection.from_string(selection)
    try:
        keys = {key for key in chosen.resolve(graph) if key in graph.executable_asset_keys}
    except dg.DagsterInvalidSubsetError as error:
        raise CommandError(str(error)) from error
    if shop_name is not None:
        keys = {key for key in keys if key.path[0] != "raw" or key.path[1] == shop_name}
    if not keys:
        groups = sorted({graph.get(key).group_name for key in graph.executable_asset_keys})
        raise CommandError(
            f"the selection {selection!r} names no asset. Try `group:GROUP` (groups: {', '.join(groups)}) or "
            '`key:"contract/fct_orders"`; `+` before or after takes in what is upstream or downstream.'
        )
    return keys


def _why_not_again(instance: dg.DagsterInstance, shop: Shop) -> str | None:
    """None where a shop has to be declared ready anew; else nothing, or why it is not ready although nothing changed."""
    from assets.marts import readiness
    from assets.marts.project import error_tests, read_manifest
    from orchestration.sensors import ready_version
    from resources.warehouse import Warehouse

    with Warehouse(get_settings()).connect() as connection:
        if readiness.data_version(connection, shop) != ready_version(instance, shop.name):
            return None
        failures = readiness.stored_failures(connection, shop, error_tests(read_manifest(load_shops(get_settings().shops_file))))
    return f"{len(failures)} tests fail as before: {', '.join(sorted(failures)[:3])}" if failures else ""


@contextlib.contextmanager
def quiet_dagster(folder: Any) -> Iterator[None]:
    """Send what Dagster and dbt print to a log file: the console shows progress in its own words."""
    folder.mkdir(parents=True, exist_ok=True)
    console()
    with (folder / "materialize.log").open("a", buffering=1) as log:
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            yield


def _run(title: str, defs: dg.Definitions, instance: dg.DagsterInstance, keys: list[Any], partition: str | None, outcome: Outcome) -> None:
    run_id = str(uuid.uuid4())
    job = defs.resolve_implicit_global_asset_job_def()
    began = time.monotonic()
    with Progress(title, instance, run_id):
        result = job.execute_in_process(
            instance=instance, asset_selection=keys, partition_key=partition, run_id=run_id, raise_on_error=False
        )
    outcome.seconds[title] = time.monotonic() - began
    for event in result.all_events:
        if event.is_step_failure:
            outcome.failures.append(_failure(event))
        elif event.event_type_value == "ASSET_MATERIALIZATION":
            made = event.step_materialization_data.materialization
            name = made.asset_key.to_user_string() + (f" [{partition}]" if partition else "")
            outcome.made[name] = {key: value.value for key, value in made.metadata.items()}
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            outcome.checks.append(event.asset_check_evaluation_data)
    # A blocking check that fails fails its step too; it is reported once, as a check.
    failed = {check.asset_check_key.name for check in outcome.failed_checks}
    outcome.failures = [text for text in outcome.failures if not any(name in text.splitlines()[0] for name in failed)]


def _failure(event: Any) -> str:
    error = event.step_failure_data.error
    user = event.step_failure_data.user_failure_data
    if user is not None and user.description:
        return f"{event.step_key}: {user.description}"
    while error is not None and error.cause is not None:
        error = error.cause
    return f"{event.step_key}: {error.message.strip() if error else event.message}"


class Progress:
    """Shows what a run is doing: a line that changes on a terminal, plain lines elsewhere."""

    def __init__(self, title: str, instance: dg.DagsterInstance, run_id: str) -> None:
        self.title, self.instance, self.run_id = title, instance, run_id
        self.console = console()
        self.status = self.console.status(f"{title} ...") if self.console.is_terminal else None
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Progress:
        self.began = time.monotonic()
        self.console.print(f"[bold]{self.title}[/bold]")
        if self.status:
            self.status.start()
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join(timeout=10)
        if self.status:
            self.status.stop()

    def _watch(self) -> None:
        cursor = None
        made = checked = 0
        while True:
            last = self.done.wait(0.4)
            page = self.instance.get_records_for_run(self.run_id, cursor=cursor)
            cursor = page.cursor or cursor
            for record in page.records:
                entry = record.event_log_entry
                event = entry.dagster_event
                if event is None:
                    self._say(entry.user_message)
                elif event.event_type_value == "ASSET_MATERIALIZATION":
                    made += 1
                    key = event.step_materialization_data.materialization.asset_key.to_user_string()
                    self._say(f"made {key}", f"{self.title}: {made} assets made, {checked} checks done ({key})")
                elif event.event_type_value == "ASSET_CHECK_EVALUATION":
                    checked += 1
                    result = event.asset_check_evaluation_data
                    if not result.passed:
                        self._say(f"[red]check failed[/red] {result.asset_key.to_user_string()}: {result.check_name}")
                    elif self.status:
                        self.status.update(f"{self.title}: {made} assets made, {checked} checks done")
            if last and not page.has_more:
                return

    def _say(self, line: str, short: str | None = None) -> None:
        if self.status and short:
            self.status.update(short)
        else:
            self.console.print(f"  [dim]{time.monotonic() - self.began:6.1f} s[/dim]  {line}", soft_wrap=True)


def print_summary(outcome: Outcome, seconds: float) -> None:
    """The table at the end: what was made, its rows, its checks; then what went wrong and what to do about it."""
    out = console()
    if outcome.made:
        table = RichTable(title=None, box=None, header_style="bold", padding=(0, 2, 0, 0))
        for name, justify in (("asset", "left"), ("rows", "right"), ("checks", "right"), ("", "left")):
            table.add_column(name, justify=justify)  # type: ignore[arg-type]
        for name, metadata in outcome.made.items():
            mine = [check for check in outcome.checks if check.asset_key.to_user_string() == name.split(" [")[0]]
            passed = sum(check.passed for check in mine)
            rows = metadata.get("dagster/row_count", metadata.get("dagster/partition_row_count"))
            note = [f"+{metadata['rows added']:,} new"] if metadata.get("rows added") else []
            note += [f"{metadata['rejected rows']:,} rejected"] if metadata.get("rejected rows") else []
            color = "green" if passed == len(mine) else "red"
            table.add_row(
                name,
                "" if rows is None else f"{rows:,}",
                f"[{color}]{passed}/{len(mine)}[/{color}]" if mine else "",
                ", ".join(note),
            )
        out.print(table)
    for check in outcome.failed_checks:
        out.print(f"[red]{check.severity.value.lower()}[/red] {check.asset_key.to_user_string()}: {check.check_name}", soft_wrap=True)
        for key, value in check.metadata.items():
            if key not in ("shop", "expected") and str(value.value):
                out.print(f"    {key}: {value.value}", soft_wrap=True, markup=False)
    for shop, reason in outcome.unready.items():
        out.print(f"[red]not ready[/red] {shop}: {reason}", soft_wrap=True)
    for failure in outcome.failures:
        out.print("[red]failed[/red]", end=" ")
        out.print(failure, soft_wrap=True, markup=False)
    if not outcome.made and outcome.is_sound:
        out.print("Nothing was new: everything is up to date.")
    spent = ", ".join(f"{title.lower()} {took:.1f} s" for title, took in outcome.seconds.items())
    verdict = "[green]All is well[/green]" if outcome.is_sound else "[red]Not all is well[/red]"
    out.print(f"{verdict}: {len(outcome.made)} assets made, {len(outcome.checks)} checks, {seconds:.1f} s ({spent}).", soft_wrap=True)
    if not outcome.is_sound:
        out.print(f"The log of every step: {shown(get_settings().home / 'logs' / 'materialize.log')}", soft_wrap=True)

