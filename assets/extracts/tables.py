"""Extract and load from a table source: a table with a cursor by slices, one without whole."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from assets.extracts import days, ledger
from assets.extracts.declared import Declared, declared_table
from assets.extracts.errors import ExtractError
from assets.extracts.extract import SLICE, WHOLE, Report, Say, check_cursor, refuse_other_formats, sample
from assets.extracts.raw import ensure_raw_table, raw_columns
from assets.extracts.slices import extract_slices
from assets.extracts.taking import fit_parts
from assets.extracts.whole import check_key, extract_whole
from resources.far import SourceError
from resources.lake import Lake
from resources.shops import Shop
from resources.tables import Part, TableSource
from resources.warehouse import Warehouse


def extract_source_table(
    warehouse: Warehouse,
    lake: Lake,
    source: TableSource,
    shop: Shop,
    table_name: str,
    say: Say = print,
    declared: Declared | None = None,
    now: datetime | None = None,
) -> Report:
    """Bring a raw table up to a table of its source.

    What cannot be read stops the table where it stands, and is in `Report.failed`: a file left out would look like rows
    that were deleted. A table that is not there at all is left as it is, for the same reason.

    Args:
        declared: the declared columns, where they are not those of the shop's `_sources.yml`.
        now: the instant of the snapshot, where it is not the source's.

    Raises:
        ExtractError: the raw table has other types than are declared, or was loaded in another way.
        DeclarationError: the table is not declared, or not so that it can be loaded.
    """
    began = time.monotonic()
    table = shop.tables[table_name]
    declared = declared or declared_table(shop.name, table_name)
    check_cursor(table, declared)
    check_key(shop, declared)
    days.check_days_of(shop, declared)
    others = days.linked_tables(declared)
    report = Report(shop.name, table_name, uri=source.uri(table_name))
    with warehouse.advisory_lock(
        f"extract {shop.name}.{table_name}",
        waiting=lambda: say("another extract of this table is at work; waiting for it"),
    ):
        with warehouse.connect() as connection:
            ledger.ensure_ledger(connection)
            for item in (declared, *others):
                ensure_raw_table(connection, shop, item)
            way = SLICE if table.cursor is not None else WHOLE
            refuse_other_formats(connection, shop, table_name, {way}, are_ours=True)
            in_table = raw_columns(connection, shop.raw_schema, table_name)
        parts: Sequence[Part] = []
        try:
            now = now or source.now()
            parts = source.parts(table_name, now)
            report.objects = len(parts)
            if parts:
                extract = extract_slices if table.cursor is not None else extract_whole
                fit = fit_parts(parts, table, declared, in_table)
                extract(warehouse, lake, shop, declared, others, fit, now, report, say)
            else:
                say(f"{report.uri}: not there, so nothing is read")
        except (ExtractError, SourceError) as error:
            refused = ExtractError(error.problem, error.remedy) if isinstance(error, SourceError) else error
            report.failed.append(refused.at(shop=shop.name, table=table_name, uri=report.uri))
            say(f"refused: {refused}")
        except Exception as error:
            error.add_note(f"while extracting {shop.name}.{table_name} from {report.uri}")
            raise
        costs = [part.cost for part in parts if part.cost is not None]
        if costs:
            report.estimated = sum(cost.estimated for cost in costs)
            report.bytes_billed = sum(cost.billed for cost in costs)
            say(f"{report.uri}: {report.bytes_billed / 1e9:,.3f} GB billed, {report.estimated / 1e9:,.3f} GB estimated")
    with warehouse.connect() as connection:
        extracts = ledger.active_extracts(connection, shop.name, table_name)
        report.totals = ledger.totals(extracts)
        report.data_version = ledger.data_version(extracts)
        report.sample = sample(connection, shop, declared)
    report.seconds = time.monotonic() - began
    return report
