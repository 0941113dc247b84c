"""The sensors: new objects and new records in sources, changes to build, shops that became ready, stale assets.

Each keeps a versioned JSON cursor, gives its runs deterministic keys, and says in every skip why it skipped.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg

from assets.extracts.assets import API_EVENTS_ASSET, raw_key
from assets.extracts.ledger import ensure_ledger
from assets.extracts.positions import read_positions
from assets.extracts.stream import news
from assets.marts import readiness
from assets.marts.assets import SHOP_READY
from orchestration.environments import SWITCHES, sensor_status
from orchestration.freshness import RULES_VERSION, Memory, Rule, decide, request_or_wait, rule_for
from orchestration.jobs import BUILD, EXTRACT, READY
from resources.dagster_resources import ObjectsResource, StreamsResource, WarehouseResource
from resources.events import EVENTS, shops_with_news
from resources.far import SourceError
from resources.settings import Settings
from resources.shops import API_EVENTS, Shop
from resources.streams import Stream


def read_cursor(cursor: str | None, version: int) -> dict[str, Any]:
    """What a cursor holds; empty where it is of another version, so that a changed rule starts anew."""
    state = json.loads(cursor) if cursor else {}
    return state.get("state", {}) if state.get("version") == version else {}


def write_cursor(state: dict[str, Any], version: int) -> str:
    return json.dumps({"version": version, "state": state}, sort_keys=True)


def _short_hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def build_sensors(
    settings: Settings, shops: dict[str, Shop], models: readiness.Models, keys: list[dg.AssetKey], jobs: list[Any]
) -> list[dg.SensorDefinition]:
    """All sensors, switched as `orchestration/environments.py` says.

    Args:
        models: the dbt models whose progress the ledger holds.
        keys: the assets that the freshness sensor looks at, where they have a rule.
    """
    on = SWITCHES[settings.environment]
    return [
        _inbox_sensor(shops, sensor_status(on.inbox)),
        _streams_sensor(shops, sensor_status(on.streams)),
        _build_sensor(shops, models, sensor_status(on.build)),
        _readiness_sensor(shops, models, sensor_status(on.readiness)),
        _freshness_sensor(shops, keys, jobs, sensor_status(on.freshness)),
    ]


def _inbox_sensor(shops: dict[str, Shop], status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.sensor(
        name="inbox",
        job_name=EXTRACT,
        minimum_interval_seconds=5,
        default_status=status,
        description=(
            "Requests the extraction of a shop whose objects changed: files once they are the same on two ticks, "
            "objects of S3, which are whole when they are listed, at once."
        ),
    )
    def inbox(context: dg.SensorEvaluationContext, objects: ObjectsResource) -> dg.SensorResult:
        return evaluate_inbox(context, objects, shops, datetime.now(UTC))

    return inbox


FAR_LISTING = timedelta(seconds=30)
"""So often is a source on S3 listed: each listing costs money."""


def evaluate_inbox(
    context: dg.SensorEvaluationContext, objects: ObjectsResource, shops: dict[str, Shop], now: datetime
) -> dg.SensorResult:
    """One tick of the inbox sensor at an instant."""
    state = read_cursor(context.cursor, version=1)
    requests, reasons = [], []
    for shop in shops.values():
        before = state.get(shop.name, {})
        store = objects.client(shop)
        if store.is_far:
            due = datetime.fromtimestamp(before.get("listed", 0), UTC) + FAR_LISTING
            if now < due:
                reasons.append(f"{shop.name}: listed a moment ago, again in {(due - now).total_seconds():.0f} s")
                continue
            before["listed"] = now.timestamp()
            state[shop.name] = before
        try:
            listing = store.list()
        except Exception as error:  # one source that is away must not hide the others
            shown = str(error) if isinstance(error, SourceError) else repr(error)
            context.log.error(f"{shop.name}: its source cannot be listed: {shown}")
            why = str(error) if isinstance(error, SourceError) else type(error).__name__
            reasons.append(f"{shop.name}: its source cannot be listed ({why})")
            continue
        found = _short_hash(f"{item.uri} {item.fingerprint}" for item in listing) if listing else ""
        if not listing:
            # What was taken away is no deletion; the same objects put back are looked at again.
            before["requested"] = ""
            reasons.append(f"{shop.name}: no objects")
        elif found == before.get("requested", ""):
            reasons.append(f"{shop.name}: {len(listing)} objects, nothing new")
        elif found != before.get("seen") and not store.is_far:
            # A file that is still being copied looks different on the next tick.
            reasons.append(f"{shop.name}: {len(listing)} objects changed, waiting until they are the same for one tick")
        else:
            before["requested"] = found
            requests.append(
                dg.RunRequest(
                    run_key=f"inbox:{shop.name}:{found}",
                    asset_selection=[raw_key(shop.name, name) for name in shop.tables if not shop.tables[name].stream],
                    tags={"shop": shop.name, "cause": "inbox"},
                )
            )
        before["seen"] = found
        state[shop.name] = before
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else "; ".join(reasons),
        cursor=write_cursor(state, version=1),
    )


# An extract that fails is asked for again after a while, in case the cause was passing, and then left to a person.
STREAM_RULE = Rule(timedelta(0), timedelta(0), cool_down=timedelta(minutes=5), max_requests=3)
AT_WORK = [
    *(dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING),
    *(dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING),
]
LINGER_SECONDS = 30.0
"""So long a run waits for more: while records keep coming, they land in seconds, and no run is started for each."""


def _streams_sensor(shops: dict[str, Shop], status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    @dg.sensor(
        name="streams",
        job_name=EXTRACT,
        minimum_interval_seconds=5,
        default_status=status,
        description=(
            "Requests the extraction of a stream that has records which were not read, or that was split, and of a "
            "shop's API events."
        ),
    )
    def streams_sensor(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource, streams: StreamsResource
    ) -> dg.SensorResult:
        return evaluate_streams(context, warehouse, streams, shops, datetime.now(UTC))

    return streams_sensor


def evaluate_streams(
    context: dg.SensorEvaluationContext,
    warehouse: WarehouseResource,
    streams: StreamsResource,
    shops: dict[str, Shop],
    now: datetime,
) -> dg.SensorResult:
    """One tick of the stream sensor at an instant."""
    state = read_cursor(context.cursor, version=1)
    after: dict[str, Any] = {}
    requests: list[dg.RunRequest] = []
    reasons: list[str] = []

    def ask(shop: str, table: str, stream: str, look: Callable[[], list[str] | None], partition: str | None) -> None:
        """Request an extract of one stream where it has news, as often as the rule allows.

        Args:
            look: says why the stream is worth an extract; None: there is none.
        """
        name = f"{shop}.{table}"
        tags = {"shop": shop, "cause": "stream", "stream": stream}
        at_work = dg.RunsFilter(tags=tags, statuses=AT_WORK)
        if context.instance.get_runs_count(at_work):
            reasons.append(f"{name}: being read")
            after[name] = state.get(name, {})
            return
        try:
            told = look()
        except Exception as error:  # one stream that is away must not hide the others
            context.log.error(f"{name}: its stream cannot be read: {error}")
            reasons.append(f"{name}: its stream cannot be read ({type(error).__name__})")
            after[name] = state.get(name, {})
            return
        if not told:
            reasons.append(f"{name}: nothing new" if told is not None else f"{name}: nothing was ever put there")
            return
        # Only the same state is asked for again; what was read meanwhile makes it another.
        key = _short_hash(told)
        shown = f"{name}: {told[0]}" + (f" and {len(told) - 1} more" if len(told) > 1 else "")
        decision = request_or_wait(STREAM_RULE, Memory(**state.get(name, {}).get(key, {})), shown, now)
        after[name] = {key: decision.memory.as_json()}
        if decision.alert:
            context.log.error(decision.reason)
        if not decision.request:
            reasons.append(decision.reason)
            return
        asset = raw_key(shop, table) if partition is None else API_EVENTS_ASSET
        requests.append(
            dg.RunRequest(
                run_key=f"stream:{name}:{key}:{decision.memory.requests}",
                asset_selection=[asset],
                partition_key=partition,
                run_config={"ops": {"__".join(asset.path): {"config": {"linger_seconds": LINGER_SECONDS}}}},
                tags=tags,
            )
        )

    for shop in shops.values():
        for table, settings in shop.tables.items():
            if settings.stream is not None:
                client = partial(streams.client, settings.stream, context.log.info)
                look = partial(_new_in_stream, client, warehouse, shop, table)
                ask(shop.name, table, settings.stream, look, partition=None)
    with warehouse.client().connect() as connection:
        ensure_ledger(connection)
        news = shops_with_news(connection, list(shops), API_EVENTS)
    for name, reason in news.items():
        ask(name, API_EVENTS, EVENTS, partial(list, [reason]), partition=name)
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else "; ".join(reasons) or "no shop has a stream, and the API took in nothing new",
        cursor=write_cursor(after, version=1),
    )


def _new_in_stream(
    client: Callable[[], Stream], warehouse: WarehouseResource, shop: Shop, table: str
) -> list[str] | None:
    """Why a stream is worth an extract; None where there is none."""
    stream = client()
    found = stream.describe()
    if found is None:
        return None
    with warehouse.client().connect() as connection:
        ensure_ledger(connection)
        held = read_positions(connection, shop.name, table)
    return news(stream, found, held)


def _build_sensor(
    shops: dict[str, Shop], models: readiness.Models, status: dg.DefaultSensorStatus
) -> dg.SensorDefinition:
    @dg.sensor(
        name="build",
        job_name=BUILD,
        minimum_interval_seconds=5,
        default_status=status,
        description="Requests contract and marts when the ledger or the code changed since they were made.",
    )
    def build(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SensorResult:
        return evaluate_build(context, warehouse, shops, models, datetime.now(UTC))

    return build


# A build that fails is asked for again after a while, in case the cause was passing, and then left to a person.
BUILD_RULE = Rule(timedelta(0), timedelta(0), cool_down=timedelta(minutes=30), max_requests=3)


def evaluate_build(
    context: dg.SensorEvaluationContext,
    warehouse: WarehouseResource,
    shops: dict[str, Shop],
    models: readiness.Models,
    now: datetime,
) -> dg.SensorResult:
    """One tick of the build sensor at an instant."""
    waiting = []
    with warehouse.client().connect() as connection:
        ensure_ledger(connection)
        for shop in shops.values():
            if readiness.unbuilt(connection, shop, models) or readiness.untested(connection, shop):
                waiting.append(f"{shop.name} at {readiness.data_version(connection, shop)}")
    if not waiting:
        return dg.SensorResult(
            skip_reason="contract and marts hold all changes and are tested", cursor=write_cursor({}, version=1)
        )
    # Only the same state of the same shops is asked for again; another change is another matter.
    state = read_cursor(context.cursor, version=1).get(key := _short_hash(waiting), {})
    decision = request_or_wait(BUILD_RULE, Memory(**state), f"to build: {', '.join(waiting)}", now)
    if decision.alert:
        context.log.error(decision.reason)
    requests = []
    if decision.request:
        requests = [dg.RunRequest(run_key=f"build:{key}:{decision.memory.last_request}", tags={"cause": "build"})]
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else decision.reason,
        cursor=write_cursor({key: decision.memory.as_json()}, version=1),
    )


def _readiness_sensor(
    shops: dict[str, Shop], models: readiness.Models, status: dg.DefaultSensorStatus
) -> dg.SensorDefinition:
    @dg.sensor(
        name="readiness",
        job_name=READY,
        minimum_interval_seconds=10,
        default_status=status,
        description="Requests contract/shop_ready for a shop whose data version changed, once its tables are tested.",
    )
    def readiness_sensor(context: dg.SensorEvaluationContext, warehouse: WarehouseResource) -> dg.SensorResult:
        requests, reasons = [], []
        with warehouse.client().connect() as connection:
            ensure_ledger(connection)
            for shop in shops.values():
                version = readiness.data_version(connection, shop)
                late = readiness.unbuilt(connection, shop, models)
                if not readiness.has_data(connection, shop):
                    reasons.append(f"{shop.name}: no data")
                elif late or readiness.untested(connection, shop):
                    reasons.append(
                        f"{shop.name}: {len(late)} models to build" if late else f"{shop.name}: tests to run"
                    )
                elif version == ready_version(context.instance, shop.name):
                    reasons.append(f"{shop.name}: nothing changed since version {version}")
                else:
                    requests.append(
                        dg.RunRequest(
                            run_key=f"ready:{shop.name}:{version}",
                            partition_key=shop.name,
                            tags={"shop": shop.name, "cause": "readiness"},
                        )
                    )
        return dg.SensorResult(run_requests=requests, skip_reason=None if requests else "; ".join(reasons))

    return readiness_sensor


def ready_version(instance: dg.DagsterInstance, shop: str) -> str | None:
    """The data version with which a shop was last declared ready; None if it never was."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=SHOP_READY, asset_partitions=[shop]), limit=1
    ).records
    if not records or records[0].asset_materialization is None:
        return None
    return (records[0].asset_materialization.tags or {}).get("dagster/data_version")


def _freshness_sensor(
    shops: dict[str, Shop], keys: list[dg.AssetKey], jobs: list[Any], status: dg.DefaultSensorStatus
) -> dg.SensorDefinition:
    @dg.sensor(
        name="freshness",
        jobs=[job for job in jobs if job.name in (EXTRACT, BUILD)],
        minimum_interval_seconds=60,
        default_status=status,
        description=(
            "Requests assets of live shops when they became stale, as the freshness table says, again after a "
            "cool-down while they stay stale, and alerts when that does not help."
        ),
    )
    def freshness(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        return evaluate_freshness(context, shops, keys, datetime.now(UTC))

    return freshness


def evaluate_freshness(
    context: dg.SensorEvaluationContext, shops: dict[str, Shop], keys: list[dg.AssetKey], now: datetime
) -> dg.SensorResult:
    """One tick of the freshness sensor at an instant."""
    state = read_cursor(context.cursor, RULES_VERSION)
    asked: list[dg.AssetKey] = []
    alerts, reasons, after = [], [], {}
    for key in sorted(keys):
        rule = rule_for(key, shops)
        if rule is None:
            continue
        event = context.instance.get_latest_materialization_event(key)
        built = None if event is None else datetime.fromtimestamp(event.timestamp, UTC)
        name = key.to_user_string()
        decision = decide(rule, Memory(**state.get(name, {})), built, now)
        if decision.memory != Memory():
            after[name] = decision.memory.as_json()
            reasons.append(f"{name}: {decision.reason}")
        if decision.request:
            asked.append(key)
        if decision.alert:
            context.log.error(f"{name}: {decision.reason}")
            alerts.append(dg.AssetObservation(key, metadata={"alert": decision.reason}, description="Freshness alert"))
    requests = []
    for job, wanted in (
        (EXTRACT, [key for key in asked if key.path[0] == "raw"]),
        (BUILD, [key for key in asked if key.path[0] != "raw"]),
    ):
        if wanted:
            names = [key.to_user_string() for key in wanted]
            edge = _short_hash(f"{name} {after[name]}" for name in names)
            requests.append(
                dg.RunRequest(
                    job_name=job,
                    run_key=f"freshness:{RULES_VERSION}:{edge}",
                    # dbt models are made together: the ledger says which of them have anything to do.
                    asset_selection=wanted if job == EXTRACT else None,
                    tags={"cause": "freshness", "stale": ", ".join(names)[:200]},
                )
            )
    fresh = (
        "all fresh"
        if any(shop.live for shop in shops.values())
        else "no shop is live, so no asset has a freshness rule"
    )
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else ("; ".join(reasons) or fresh),
        asset_events=alerts,
        cursor=write_cursor(after, RULES_VERSION),
    )
