"""The Dagster layer of the extracts: one raw asset per shop and table, made from `config/shops.yaml`."""

from typing import Any

import dagster as dg

from assets.extracts.days import check_days_of
from assets.extracts.declared import Declared, declared_table
from assets.extracts.errors import ExtractError
from assets.extracts.extract import Report, extract_table
from assets.extracts.tables import extract_source_table
from resources.dagster_resources import LakeResource, ObjectsResource, TablesResource, WarehouseResource
from resources.shops import Shop

OWNER = "team:data"


def build_extract_assets(shops: dict[str, Shop]) -> list[dg.AssetsDefinition]:
    """One asset per shop and table, with the key `[raw, shop, table]`."""
    return [_raw_asset(shop, table) for shop in shops.values() for table in shop.tables]


def raw_key(shop: str, table: str) -> dg.AssetKey:
    return dg.AssetKey(["raw", shop, table])


def _raw_asset(shop: Shop, table: str) -> dg.AssetsDefinition:
    declared = declared_table(shop.name, table)
    check_days_of(shop, declared)

    @dg.asset(
        key=raw_key(shop.name, table),
        group_name="raw",
        owners=[OWNER],
        kinds={"postgres", "parquet", *({"bigquery"} if shop.source.kind == "bigquery" else ())},
        description=f"{declared.description} Extracted from {shop.title}, each source record once.",
        tags={"shop": shop.name},
        metadata={
            "dagster/table_name": f"{shop.raw_schema}.{table}",
            "dagster/column_schema": _column_schema(declared),
            **_source(shop, table),
        },
        check_specs=[
            dg.AssetCheckSpec(
                "every_object_taken",
                asset=raw_key(shop.name, table),
                description="Every object of the source was read; one that was refused left nothing behind.",
            ),
            dg.AssetCheckSpec(
                "every_row_readable",
                asset=raw_key(shop.name, table),
                description="No row of the source was set aside in the shop's table of rejects.",
            ),
        ],
        pool=f"extract_{shop.name}",
    )
    def raw(
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        lake: LakeResource,
        objects: ObjectsResource,
        tables: TablesResource,
    ) -> dg.MaterializeResult:
        held, files, say = warehouse.client(), lake.client(), context.log.info
        try:
            if shop.source.kind == "objects":
                report = extract_table(held, files, objects.client(shop), shop, table, say=say)
            else:
                report = extract_source_table(held, files, tables.client(shop), shop, table, say=say)
        except ExtractError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        for refused in report.failed:
            context.log.error(str(refused))
        return dg.MaterializeResult(
            metadata=_metadata(report), data_version=dg.DataVersion(report.data_version), check_results=_checks(report)
        )

    return raw


def _source(shop: Shop, table: str) -> dict[str, str]:
    """Where a raw table comes from, and how it is read."""
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
    return [
        dg.AssetCheckResult(
            check_name="every_object_taken",
            passed=not report.failed,
            metadata={
                "shop": report.shop,
                "objects": report.objects,
                "refused": len(report.failed),
                "expected": 0,
                **refused,
            },
        ),
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
        "objects in the source": report.objects,
        "bytes": totals["bytes"],
        "seconds": round(report.seconds, 2),
        "source": report.uri,
    }
    if report.slices:
        metadata |= {"slices read": report.slices, "days changed": report.days_changed}
        metadata |= {"rows not due yet": report.later}
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
