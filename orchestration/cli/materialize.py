"""`cartograph materialize`: extract, build, declare ready, train; in this process, with progress and a summary."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from rich.markup import escape
from rich.table import Table as RichTable

from assets.extracts.raw import ensure_raw
from orchestration.cli.session import CommandError, console, shop_named, shown
from resources.settings import get_settings
from resources.shops import API, API_EVENTS, Shop, load_shops

if TYPE_CHECKING:
    import dagster as dg


_HOW_TO_SELECT = (
    'Try `group:marts` or `key:"contract/fct_orders"`; `+` before or after takes in what is upstream or downstream.'
)


RUNS = {"Models": ("recommender", "monitoring"), "Search": ("search",), "Summaries": ("summaries",)}
"""The domains that one run makes for a shop: they have the same partitions, as not every shop has all. What may wait
for a language model comes last."""


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
    """Extract, build, declare ready, make what the domains make of each shop: each stage goes on where another shop's
    part of the one before failed.

    Raises:
        CommandError: the selection names no asset.
    """
    # Python's helper for shared memory complains when Ctrl-C ends this process.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    from assets.marts.assets import SHOP_READY
    from orchestration.definitions import defs
    from orchestration.instance import open_instance

    settings = get_settings()
    shops = load_shops(settings.shops_file)
    outcome = Outcome()
    with quiet_dagster(settings.home / "logs"), open_instance(settings) as instance:
        graph = defs.resolve_asset_graph()
        selected = select(selection, graph, shop_name)
        partitioned = sorted(key for key in selected if graph.get(key).partitions_def is not None)
        raw = sorted(key for key in selected if key.path[0] == "raw" and key not in partitioned)
        events = [key for key in partitioned if key.path[0] == "raw"]
        ready = [key for key in partitioned if key == SHOP_READY]
        of_shops = [key for key in partitioned if key not in (*events, *ready)]
        built = sorted(key for key in selected if key.path[0] != "raw" and key not in partitioned)
        if raw:
            _run("Extract", defs, instance, raw, None, outcome)
        for name in _shops_with_events(shops, shop_name) if events else ():
            _run(f"Extract API events of {name}", defs, instance, events, name, outcome)
        # A run that finds nothing to do would leave its checks behind as never executed.
        if built and (selection or _is_behind(shops)):
            _run("Build and test", defs, instance, built, None, outcome)
        for name, shop in shops.items():
            if ready and shop_name in (None, name):
                state = _state(instance, shop, shops)
                if state == "to declare" or (selection and state != "no data"):
                    _run(f"Declare {name} ready", defs, instance, ready, name, outcome)
                elif state not in ("ready", "no data"):
                    outcome.unready[name] = state
        for name, what, domains in [(name, *run) for name in shops for run in RUNS.items()]:
            if shop_name not in (None, name):
                continue
            mine = [key for key in of_shops if key.path[0] in domains and _has_partition(graph.get(key), name)]
            if not mine or not (selection or _is_outdated(instance, mine, name)):
                continue
            state = _state(instance, shops[name], shops)
            if state == "ready":
                _run(f"{what} of {name}", defs, instance, mine, name, outcome)
            elif state != "no data":
                stale = "it changed since it was declared ready: run `cartograph materialize`"
                outcome.unready.setdefault(name, stale if state == "to declare" else state)
    return outcome


def select(selection: str | None, graph: Any, shop_name: str | None) -> set[dg.AssetKey]:
    """The assets that a selection names, without the raw tables of other shops than the one that is asked for.

    Raises:
        CommandError: it names none.
    """
    import dagster as dg

    try:
        chosen = dg.AssetSelection.all() if selection is None else dg.AssetSelection.from_string(selection)
        keys = {key for key in chosen.resolve(graph) if key in graph.executable_asset_keys}
    except dg.DagsterError as error:
        raise CommandError(f"{error}. {_HOW_TO_SELECT}") from error
    if shop_name is not None:
        keys = {key for key in keys if key.path[0] != "raw" or key.path[1] in (shop_name, API)}
    if not keys:
        groups = sorted({graph.get(key).group_name for key in graph.executable_asset_keys})
        raise CommandError(f"the selection {selection!r} names no asset; groups: {', '.join(groups)}. {_HOW_TO_SELECT}")
    return keys


def _shops_with_events(shops: dict[str, Shop], shop_name: str | None) -> list[str]:
    """The shops of which the API took in events that were not read: the others need no run to say so."""
    from assets.extracts.ledger import ensure_ledger
    from resources.events import shops_with_news
    from resources.warehouse import Warehouse

    wanted = [name for name in shops if shop_name in (None, name)]
    with Warehouse(get_settings()).connect() as connection:
        ensure_ledger(connection)
        return list(shops_with_news(connection, wanted, API_EVENTS))


def _is_behind(shops: dict[str, Shop]) -> bool:
    """Whether contract and marts have anything to do."""
    from assets.marts import readiness
    from assets.marts.project import read_manifest
    from resources.warehouse import Warehouse

    warehouse = Warehouse(get_settings())
    ensure_raw(warehouse, shops)
    with warehouse.connect() as connection:
        manifest = read_manifest(shops)
        late = readiness.behind(connection, shops, readiness.tracked_models(manifest))
        return bool(late or readiness.reshaped(connection, manifest))


def _state(instance: dg.DagsterInstance, shop: Shop, shops: dict[str, Shop]) -> str:
    """`no data`, `to declare` (ready anew), `ready`, or in words why it is not although nothing changed."""
    from assets.marts import readiness
    from assets.marts.project import data_tests, read_manifest
    from orchestration.sensors import ready_version
    from resources.warehouse import Warehouse

    manifest = read_manifest(shops)
    with Warehouse(get_settings()).connect() as connection:
        if not readiness.has_data(connection, shop):
            return "no data"
        late = readiness.unbuilt(connection, shop, readiness.tracked_models(manifest))
        if late:
            return f"{len(late)} models do not hold all of its changes: {_first_three(late)}"
        if readiness.data_version(connection, shop) != ready_version(instance, shop.name):
            return "to declare"
        failures = readiness.stored_failures(connection, shop, data_tests(manifest, severity="error"))
    if not failures:
        return "ready"
    return f"{len(failures)} tests fail as before: {_first_three(sorted(failures))}"


def _has_partition(node: Any, name: str) -> bool:
    return node.partitions_def is not None and node.partitions_def.has_partition_key(name)


def _is_outdated(instance: dg.DagsterInstance, keys: list[dg.AssetKey], shop: str) -> bool:
    """Whether an asset is older than the shop's declaration, was never made, or was made with other settings."""
    from assets.marts.assets import SHOP_READY
    from resources.models import SETTINGS

    declared = _made(instance, SHOP_READY, shop)
    made = {key: _made(instance, key, shop) for key in keys}
    if declared is None or any(each is None or each.timestamp < declared.timestamp for each in made.values()):
        return True
    for key, event in made.items():
        held = event.asset_materialization.metadata.get(SETTINGS) if event and event.asset_materialization else None
        if held is not None and held.value != _settings(key.path[0], shop):
            return True
    return False


def _settings(domain: str, shop: str) -> str:
    """A hash of what a domain's assets are made with now."""
    from assets.recommender.config import load_recommender_config
    from assets.search.config import load_search_config
    from assets.summaries.filling import settings_hash
    from resources.llm.client import Llm
    from resources.models import config_hash

    if domain == "summaries":
        settings = get_settings()
        return settings_hash(Llm(settings), load_shops(settings.shops_file)[shop])
    return config_hash({"recommender": load_recommender_config, "search": load_search_config}[domain](shop))


def _made(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str) -> dg.EventLogRecord | None:
    """The record of the last materialization."""
    import dagster as dg

    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition])
    records = instance.fetch_materializations(wanted, limit=1).records
    return records[0] if records else None


def _first_three(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


@contextlib.contextmanager
def quiet_dagster(folder: Any) -> Iterator[None]:
    """Send what Dagster, dbt and their helpers print to a log file: the console shows progress in its own words.

    The descriptors are redirected too, which child processes have, and the console gets one of its own: Dagster takes
    descriptor 1 for the logs of a step.
    """
    folder.mkdir(parents=True, exist_ok=True)
    out = console()
    screen_before = out.file
    sys.stdout.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with (
        (folder / "materialize.log").open("a", buffering=1) as log,
        os.fdopen(os.dup(1), "w", buffering=1, encoding=getattr(sys.stdout, "encoding", None)) as screen,
    ):
        try:
            out.file = screen
            for number in (1, 2):
                os.dup2(log.fileno(), number)
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                yield
        finally:
            out.file = screen_before
            for number, descriptor in zip((1, 2), kept, strict=True):
                os.dup2(descriptor, number)
                os.close(descriptor)


def _run(
    title: str,
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    keys: list[Any],
    partition: str | None,
    outcome: Outcome,
) -> None:
    run_id = str(uuid.uuid4())
    job = defs.resolve_implicit_global_asset_job_def()
    began = time.monotonic()
    # In a thread of its own, because Dagster takes Ctrl-C for itself in the main one and may then hang in a lock.
    with Progress(title, instance, run_id) as progress, ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            job.execute_in_process,
            instance=instance,
            asset_selection=keys,
            partition_key=partition,
            run_id=run_id,
            raise_on_error=False,
        )
        try:
            result = running.result()
        except KeyboardInterrupt:
            progress.stop()
            _leave(instance, run_id, running)
    outcome.seconds[title] = time.monotonic() - began
    for event in result.all_events:
        if event.is_step_failure:
            outcome.failures.append(_failure(event))
        elif event.event_type_value == "ASSET_MATERIALIZATION":
            made = event.step_materialization_data.materialization
            outcome.made[_asset_name(made.asset_key, partition)] = {
                key: value.value for key, value in made.metadata.items()
            }
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            outcome.checks.append(event.asset_check_evaluation_data)
    # A blocking check that fails fails its step too; it is reported once, as a check.
    failed = {check.asset_check_key.name for check in outcome.failed_checks}
    outcome.failures = [text for text in outcome.failures if not any(name in text.splitlines()[0] for name in failed)]


def _asset_name(key: dg.AssetKey, partition: str | None) -> str:
    return key.to_user_string() + (f" [{partition}]" if partition else "")


def _leave(instance: dg.DagsterInstance, run_id: str, running: Future[Any]) -> NoReturn:
    """End this process after Ctrl-C, and the tools that it started; the next call goes on from what is committed."""
    try:
        console().print("Stopping ...")
        stop_descendants(seconds=5)
        wait([running], timeout=3)
        run = instance.get_run_by_id(run_id)
        if run is not None and not run.is_finished:
            instance.report_run_canceled(run, message="Stopped by Ctrl-C.")
        console().print("Stopped. What was committed stays; the same command goes on from there.")
    finally:
        # Whatever is still at work is cut off: every step commits whole or not at all.
        os._exit(130)


def stop_descendants(seconds: float) -> None:
    """Interrupt all processes that this one has started, and kill those that are still there after some seconds."""
    deadline = time.monotonic() + seconds
    for number in (signal.SIGINT, signal.SIGKILL):
        found = _descendants()
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, number)
        while number == signal.SIGINT and time.monotonic() < deadline and _descendants() & found:
            time.sleep(0.1)


def _descendants() -> set[int]:
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True).stdout
    children: dict[int, list[int]] = {}
    for line in listing.splitlines():
        pid, parent, state, command = line.split(maxsplit=3)
        # Python's own helper ends with this process.
        if not state.startswith("Z") and not command.startswith("ps ") and "resource_tracker" not in command:
            children.setdefault(int(parent), []).append(int(pid))
    found: set[int] = set()
    ahead = [os.getpid()]
    while ahead:
        below = children.get(ahead.pop(), [])
        found.update(below)
        ahead += below
    return found


def _failure(event: Any) -> str:
    error = event.step_failure_data.error
    user = event.step_failure_data.user_failure_data
    if user is not None and user.description:
        return f"{event.step_key}: {user.description}"
    while error is not None and error.cause is not None:
        error = error.cause
    return f"{event.step_key}: {error.message.strip() if error else event.message}"


_CHATTER = (
    "A dbt subsetted execution",
    "Copying `",
    "Fetching ",
    "Finished dbt command",
    "Logging an `AssetObservation`",
    "Starting a new mlflow run",
    "op '",
)
"""How messages of Dagster and dagster-dbt begin that tell a person nothing; the run in the UI has them all."""


def said(message: str) -> str | None:
    """One line for a message of a run; None where it is not worth one."""
    if message.startswith(_CHATTER):
        return None
    command = re.match(r"Running dbt command: `\S+ (?:--\S+ )*(\w+)", message)
    return f"dbt {command[1]}" if command else message.strip().split("\n")[0]


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
        self.stop()

    def stop(self) -> None:
        """Say what is left to say, and no more."""
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
                    if line := said(entry.user_message):
                        self._say(escape(line))
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
            mine = [check for check in outcome.checks if _asset_name(check.asset_key, check.partition) == name]
            passed = sum(check.passed for check in mine)
            rows = _rows_of(metadata)
            note = [f"+{metadata['rows added']:,} new"] if metadata.get("rows added") else []
            note += [f"{metadata['rejected rows']:,} rejected"] if metadata.get("rejected rows") else []
            color = "green" if passed == len(mine) else "red"
            table.add_row(
                escape(name),
                "" if rows is None else f"{rows:,}",
                f"[{color}]{passed}/{len(mine)}[/{color}]" if mine else "",
                ", ".join(note),
            )
        out.print(table)
    _print_verdict(outcome, seconds)


def print_totals(outcome: Outcome, seconds: float) -> None:
    """The sums at the end of a run of everything: how many assets and rows of each group; then as `print_summary`."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, metadata in outcome.made.items():
        groups.setdefault(name.split("/")[0], []).append(metadata)
    for group, made in groups.items():
        # Staging holds views; a partition's rows are those of the tables behind it.
        rows = sum(metadata.get("dagster/row_count") or 0 for metadata in made)
        console().print(f"  {group:<10} {len(made):>3} assets  " + (f"{rows:>11,} rows" if rows else ""))
    _print_verdict(outcome, seconds)


def _rows_of(metadata: dict[str, Any]) -> int | None:
    return metadata.get("dagster/row_count", metadata.get("dagster/partition_row_count"))


_NOISE = ("shop", "expected", "unique_id", "invocation_id", "Execution Duration", "status")
"""Metadata of a check that a person need not read on the console; the UI has them."""


def _print_verdict(outcome: Outcome, seconds: float) -> None:
    out = console()
    for check in outcome.failed_checks:
        where = f"{check.asset_key.to_user_string()}: {check.check_name}"
        out.print(f"[red]{check.severity.value.lower()}[/red] {where}", soft_wrap=True)
        for key, value in check.metadata.items():
            if key not in _NOISE and str(value.value):
                _print_detail(key, str(value.value))
    for shop, reason in outcome.unready.items():
        out.print(f"[red]not ready[/red] {shop}: {reason}", soft_wrap=True)
    for failure in outcome.failures:
        out.print("[red]failed[/red]", end=" ")
        out.print(failure, soft_wrap=True, markup=False)
    # An extract that found nothing is made again too, with the data version that it had.
    news = [made for made in outcome.made.values() if made.get("rows added", 1) or made.get("rows replaced", 1)]
    if not news and outcome.is_sound:
        out.print("Nothing was new: everything is up to date.")
    spent = ", ".join(f"{title.lower()} {took:.1f} s" for title, took in outcome.seconds.items())
    verdict = "[green]All is well[/green]" if outcome.is_sound else "[red]Not all is well[/red]"
    counts = f"{len(outcome.made)} assets made, {len(outcome.checks)} checks"
    out.print(f"{verdict}: {counts}, {seconds:.1f} s ({spent}).", soft_wrap=True)
    if not outcome.is_sound:
        out.print(f"The log of every step: {shown(get_settings().home / 'logs' / 'materialize.log')}", soft_wrap=True)


def _print_detail(name: str, text: str) -> None:
    """One item of a check's metadata; a Markdown table, which the Dagster UI draws, becomes one line a row."""
    lines = [line for line in text.splitlines() if not re.fullmatch(r"[|\s:-]+", line)]
    if len(lines) < 2 or not all(line.startswith("|") for line in lines):
        console().print(f"    {name}: {text.strip('`')}", soft_wrap=True, markup=False)
        return
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    head, *rows = ([cell.strip().strip("`").replace("\\|", "|") for cell in line] for line in cells)
    console().print(f"    {name}:")
    for row in rows:
        more = "; ".join(f"{title}: {cell}" for title, cell in zip(head[1:], row[1:], strict=False))
        console().print(f"      {row[0]}: {more}", soft_wrap=True, markup=False)
