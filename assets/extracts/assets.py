"""The Dagster layer of the extracts: one raw asset per shop and table, made from `config/shops.yaml`."""

from collections.abc import Callable
from typing import Any

import dagster as dg
from pydantic import Field

from assets.extracts.days import check_days_of
from assets.extracts.declared import Declared, declared_table
from assets.extracts.errors import ExtractError
from assets.extracts.extract import Report, extract_table
from assets.extracts.stream import StreamReport, extract_stream
from assets.extracts.tables import extract_source_table
from resources.dagster_resources import (
    LakeResource,
    ObjectsResource,
    StreamsResource,
    TablesResource,
    WarehouseResource,
)
from resources.far import SourceError
from resources.shops import Shop

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
    """One asset per shop and table, with the key `[raw, shop, table]`."""
    return [
        _raw_asset(shop, name) if table.stream is None else _stream_asset(shop, name, table.stream)
        for shop in shops.values()
        for name, table in shop.tables.items()
    ]


def raw_key(shop: str, table: str) -> dg.AssetKey:
    return dg.AssetKey(["raw", shop, table])


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


def _raw(shop: Shop, table: str, pool: str, kinds: set[str]) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """What all raw assets have in common."""
    declared = declared_table(shop.name, table)
    check_days_of(shop, declared)
    if shop.tables[table].stream is None:
        whole = dg.AssetCheckSpec(
            "every_object_taken",
            asset=raw_key(shop.name, table),
            description="Every object of the source was read; one that was refused left nothing behind.",
        )
    else:
        whole = dg.AssetCheckSpec(
            "no_gaps",
            asset=raw_key(shop.name, table),
            description="The stream lost no record before it was read; a gap that somebody accepted stays a gap.",
        )
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
        check_specs=[
            whole,
            dg.AssetCheckSpec(
                "every_row_readable",
                asset=raw_key(shop.name, table),
                description="No row of the source was set aside in the shop's table of rejects.",
            ),
        ],
        pool=pool,
    )


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
        metadata["sample"] = dg.MetadataValue.md(_markdown_table(report.sample))
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
        metadata["positions"] = dg.MetadataValue.md(_markdown_table(rows[-50:]))
    metadata["gaps"] = len(report.gaps)
    if report.gaps:
        metadata["accepted gaps"] = dg.MetadataValue.md(_markdown_table(report.gaps[-50:]))
    return metadata


def _loaded_table(report: Report) -> str:
    return _markdown_table(
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


def _markdown_table(rows: list[dict[str, Any]]) -> str:
    def cell(value: Any) -> str:
        return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")[:80]

    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([cell(row[name]) for name in head] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
