"""The Dagster layer of the extracts: a raw asset per shop and table of `config/shops.yaml`, and one of API events."""

import warnings
from collections.abc import Callable
from typing import Any

import dagster as dg
from pydantic import Field

from assets import markdown
from assets.extracts.api import declared_events
from assets.extracts.days import check_days_of
from assets.extracts.declared import Declared, declared_table
from assets.extracts.errors import ExtractError
from assets.extracts.extract import Report, extract_table
from assets.extracts.raw import ALL_EVENTS
from assets.extracts.stream import StreamReport, extract_events, extract_stream
from assets.extracts.tables import extract_source_table
from resources.dagster_resources import (
    LakeResource,
    ObjectsResource,
    StreamsResource,
    TablesResource,
    WarehouseResource,
)
from resources.events import EVENTS
from resources.far import SourceError
from resources.shops import API, Shop

OWNER = "team:data"


class StreamConfig(dg.Config):
    """How one run reads a stream."""

    linger_seconds: float = Field(
        0.0,
        ge=0,
        le=600,
        description="For so long to wait for more after the last record; 0: not at all. A run ends after ten minutes.",
    )


def build_extract_assets(shops: dict[str, Shop]) -> list[dg.AssetsDefinition]:
    """One asset per shop and table, with the key `[raw, shop, table]`; and for the API's events, of all shops, one."""
    return [
        *(
            _raw_asset(shop, name) if table.stream is None else _stream_asset(shop, name, table.stream)
            for shop in shops.values()
            for name, table in shop.tables.items()
        ),
        *_api_assets(shops),
    ]


def raw_key(shop: str, table: str) -> dg.AssetKey:
    return dg.AssetKey(["raw", shop, table])


SERVED_EVENTS = dg.AssetKey(EVENTS.split("."))
"""The table that the API writes."""
API_EVENTS_ASSET = raw_key(API, "events")
"""The raw table of API events, partitioned by shop."""


def _raw_asset(shop: Shop, table: str) -> dg.AssetsDefinition:
    @_raw(shop, table, f"extract_{shop.name}", {"bigquery"} if shop.source.kind == "bigquery" else set())
    def raw(
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        lake: LakeResource,
        objects: ObjectsResource,
        tables: TablesResource,
    ) -> dg.MaterializeResult:
        say = context.log.info
        held, files = warehouse.client(), lake.client(say)
        try:
            if shop.source.kind == "objects":
                report = extract_table(held, files, objects.client(shop, say), shop, table, say=say)
            else:
                report = extract_source_table(held, files, tables.client(shop, say), shop, table, say=say)
        except (ExtractError, SourceError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        for refused in report.failed:
            context.log.error(str(refused))
        return _result(report)

    return raw


def _stream_asset(shop: Shop, table: str, stream: str) -> dg.AssetsDefinition:
    # A pool of its own: a run that waits for more records must not hold back the shop's files.
    @_raw(shop, table, f"stream_{shop.name}_{table}", {"kinesis"})
    def raw(
        context: dg.AssetExecutionContext,
        config: StreamConfig,
        warehouse: WarehouseResource,
        lake: LakeResource,
        streams: StreamsResource,
    ) -> dg.MaterializeResult:
        say = context.log.info
        held, files = warehouse.client(), lake.client(say)
        try:
            client = streams.client(stream, say)
            report = extract_stream(held, files, client, shop, table, say=say, linger=config.linger_seconds)
        except (ExtractError, SourceError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        return _result(report)

    return raw


def _api_assets(shops: dict[str, Shop]) -> list[dg.AssetsDefinition]:
    """The table that the API writes, and the raw table that is extracted from it, a partition for each shop."""
    partitions = dg.StaticPartitionsDefinition(list(shops))
    declared = declared_events(next(iter(shops.values())))
    schema = _column_schema(declared)
    told = [column for column in schema.columns if not column.name.startswith("_")]
    # Without partitions on the check itself one shop's pass would clear another's failure. They are a preview.
    warnings.filterwarnings("ignore", "Specifying a partitions_def on an AssetCheckSpec", dg.PreviewWarning)

    served = dg.AssetSpec(
        SERVED_EVENTS,
        group_name=SERVED_EVENTS.path[0],
        owners=[OWNER],
        kinds={"postgres"},
        description=(
            "One row is one event that the API took in: a view, a cart or a purchase that a shop's web site told of, "
            "stored before it was acknowledged."
        ),
        metadata={"dagster/table_name": EVENTS, "dagster/column_schema": dg.TableSchema(columns=told)},
    )

    # In no pool: it would be of all shops, and a run that waits for more of one's events would hold back the others.
    @dg.asset(
        key=API_EVENTS_ASSET,
        partitions_def=partitions,
        deps=[SERVED_EVENTS],
        group_name="raw",
        owners=[OWNER],
        kinds={"postgres", "parquet"},
        description=f"{declared.description} One partition is one shop; each event once.",
        metadata={
            "dagster/table_name": ".".join(ALL_EVENTS),
            "dagster/column_schema": schema,
            "source": f"stream: {EVENTS}",
            "read": "by shops, in the order of commit, from where each was read to",
        },
        check_specs=_check_specs(API_EVENTS_ASSET, is_stream=True, partitions=partitions),
    )
    def api_events(
        context: dg.AssetExecutionContext, config: StreamConfig, warehouse: WarehouseResource, lake: LakeResource
    ) -> dg.MaterializeResult:
        say = context.log.info
        shop = shops[context.partition_key]
        try:
            report = extract_events(warehouse.client(), lake.client(say), shop, say, linger=config.linger_seconds)
        except (ExtractError, SourceError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        return _result(report)

    return [dg.AssetsDefinition(specs=[served]), api_events]


def _raw(shop: Shop, table: str, pool: str, kinds: set[str]) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """What all raw assets have in common."""
    declared = declared_table(shop.name, table)
    check_days_of(shop, declared)
    return dg.asset(
        key=raw_key(shop.name, table),
        group_name="raw",
        owners=[OWNER],
        kinds={"postgres", "parquet", *kinds},
        description=f"{declared.description} Extracted from {shop.title}, each source record once.",
        tags={"shop": shop.name},
        metadata={
            "dagster/table_name": f"{shop.raw_schema}.{table}",
            "dagster/column_schema": _column_schema(declared),
            **_source(shop, table),
        },
        check_specs=_check_specs(raw_key(shop.name, table), is_stream=shop.tables[table].stream is not None),
        pool=pool,
    )


def _check_specs(
    key: dg.AssetKey, is_stream: bool, partitions: dg.PartitionsDefinition | None = None
) -> list[dg.AssetCheckSpec]:
    """The checks of a raw asset: whether it is whole, and whether all of it could be read."""
    whole, means = (
        ("no_gaps", "The stream lost no record before it was read; a gap that somebody accepted stays a gap.")
        if is_stream
        else (
            "every_object_taken",
            "Every object of the source was read; one that was refused left nothing behind.",
        )
    )
    readable = "No row of the source was set aside in the shop's table of rejects."
    return [
        dg.AssetCheckSpec(name, asset=key, description=description, partitions_def=partitions)
        for name, description in ((whole, means), ("every_row_readable", readable))
    ]


def _result(report: Report) -> dg.MaterializeResult:
    return dg.MaterializeResult(
        metadata=_metadata(report), data_version=dg.DataVersion(report.data_version), check_results=_checks(report)
    )


def _source(shop: Shop, table: str) -> dict[str, str]:
    """Where a raw table comes from, and how it is read."""
    if shop.tables[table].stream is not None:
        return {"source": f"stream: {shop.tables[table].stream}", "read": "by shards, from where each was read to"}
    if shop.source.kind == "objects":
        return {"source": "objects", "source objects": ", ".join(shop.tables[table].objects)}
    settings = shop.tables[table]
    how = f"by slices of {settings.cursor}" if settings.cursor else f"whole, compared by {', '.join(settings.key)}"
    if settings.restate_days is not None:
        how += f"; the last {settings.restate_days} days again in each run, and all once a week"
    return {"source": f"bigquery: {shop.source.dataset}.{table}", "read": how}


def _column_schema(declared: Declared) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                column.name,
                column.data_type,
                description=column.description,
                constraints=dg.TableColumnConstraints(nullable=not column.not_null),
            )
            for column in declared.columns
        ]
    )


def _checks(report: Report) -> list[dg.AssetCheckResult]:
    """A refused object is an error of that object alone: what is committed is whole, and what stands on it goes on."""
    rejected = report.totals["rejected"]
    refused = {error.uri or "": dg.MetadataValue.text(str(error)) for error in report.failed[:20]}
    where = (
        f"select reason, count(*), min(line), min(raw) from raw_{report.shop}.rejects"
        f" where table_name = '{report.table}' group by 1"
    )
    whole = (
        dg.AssetCheckResult(
            check_name="no_gaps",
            passed=not report.gaps,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"shop": report.shop, "gaps": len(report.gaps), "expected": 0},
        )
        if isinstance(report, StreamReport)
        else dg.AssetCheckResult(
            check_name="every_object_taken",
            passed=not report.failed,
            metadata={
                "shop": report.shop,
                "objects": report.objects,
                "refused": len(report.failed),
                "expected": 0,
                **refused,
            },
        )
    )
    return [
        whole,
        dg.AssetCheckResult(
            check_name="every_row_readable",
            passed=rejected == 0,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "shop": report.shop,
                "rejected rows": rejected,
                "expected": 0,
                "look at": dg.MetadataValue.md(f'`cartograph sql "{where}"`'),
            },
        ),
    ]


def _metadata(report: Report) -> dict[str, Any]:
    """What a person wants to see of an extract; the shop comes first."""
    totals = report.totals
    metadata: dict[str, Any] = {
        "shop": report.shop,
        "dagster/row_count": totals["rows"],
        "rows added": sum(item.rows for item in report.loaded),
        "rows replaced": sum(item.removed for item in report.loaded),
        "rejected rows": totals["rejected"],
        **(_of_stream(report) if isinstance(report, StreamReport) else {"objects in the source": report.objects}),
        "bytes": totals["bytes"],
        "seconds": round(report.seconds, 2),
        "source": report.uri,
    }
    if report.slices:
        metadata |= {"slices read": report.slices, "days changed": report.days_changed}
        metadata |= {"rows not due yet": report.later}
    if report.bytes_billed is not None:
        metadata |= {"bytes estimated": report.estimated, "bytes billed": report.bytes_billed}
    if report.days_linked:
        metadata["days changed through other tables"] = report.days_linked
    if report.read_to is not None and report.lag is not None:
        metadata |= {"read to": report.read_to.isoformat(), "lag seconds": round(report.lag.total_seconds())}
        metadata["compared whole"] = report.compared_all
    if totals["cursor_high"]:
        metadata |= {"cursor from": totals["cursor_low"], "cursor to": totals["cursor_high"]}
    if report.loaded:
        metadata["rows/s"] = round(report.rows_per_second)
        metadata["objects loaded"] = dg.MetadataValue.md(_loaded_table(report))
    if report.skipped:
        metadata["objects skipped"] = dg.MetadataValue.md(
            "\n".join(f"- `{uri}`: {reason}" for uri, reason in report.skipped.items())
        )
    if report.sample:
        metadata["sample"] = dg.MetadataValue.md(markdown.table(report.sample))
    return metadata


def _of_stream(report: StreamReport) -> dict[str, Any]:
    metadata: dict[str, Any] = {"shards": len(report.positions), "records read": report.records}
    if report.behind is not None:
        metadata["seconds behind"] = round(report.behind.total_seconds(), 1)
    if report.positions:
        rows: list[dict[str, Any]] = [
            {
                "shard": shard,
                "last record": at.sequence,
                "read to": f"{at.read_to:%Y-%m-%d %H:%M:%S}",
                "ended": "yes" if at.has_ended else "",
            }
            for shard, at in report.positions.items()
        ]
        metadata["positions"] = dg.MetadataValue.md(markdown.table(rows[-50:]))
    metadata["gaps"] = len(report.gaps)
    if report.gaps:
        metadata["accepted gaps"] = dg.MetadataValue.md(markdown.table(report.gaps[-50:]))
    return metadata


def _loaded_table(report: Report) -> str:
    return markdown.table(
        [
            {
                "object": item.uri.rsplit("/", 1)[-1],
                "format": item.format,
                "rows": f"{item.rows:,}",
                "rejected": f"{item.rejected:,}",
                "replaced": f"{item.removed:,}",
                "MB": f"{item.bytes / 1e6:,.2f}",
                "seconds": f"{item.seconds:.2f}",
            }
            for item in report.loaded[:50]
        ]
    )
