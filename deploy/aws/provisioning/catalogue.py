"""The lake in the Glue catalogue: a table over each raw table's Parquet files, so that Athena can read them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from assets.extracts.declared import Declared, declared_table
from assets.extracts.digest import DAY
from assets.extracts.rows import LINE
from resources.shops import Shop

PARQUET_INPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
PARQUET_OUTPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
PARQUET_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"


@dataclass(frozen=True)
class LakeTable:
    """One raw table as the catalogue has it."""

    name: str
    folder: str
    """Where its files are, below the lake's root."""
    columns: tuple[tuple[str, str], ...]
    """Names and Hive types."""
    description: str


def hive_type(data_type: str) -> str:
    """The Hive type in which Athena reads what the lake holds for a declared type."""
    numeric = re.fullmatch(r"numeric\((\d+),\s*(\d+)\)", data_type)
    if numeric:
        return f"decimal({numeric[1]},{numeric[2]})"
    return {
        "text": "string",
        "integer": "int",
        "bigint": "bigint",
        "double precision": "double",
        "boolean": "boolean",
        "date": "date",
        # Both are microseconds in Parquet; Athena shows an instant by the clock of UTC.
        "timestamp": "timestamp",
        "timestamptz": "timestamp",
    }[data_type]


def lake_tables(shops: dict[str, Shop]) -> list[LakeTable]:
    """The raw tables of all shops as the catalogue has them.

    Raises:
        DeclarationError: a table of a shop is not declared, or cannot be loaded.
    """
    return [lake_table(shop, declared_table(shop.name, table)) for shop in shops.values() for table in shop.tables]


def lake_table(shop: Shop, declared: Declared) -> LakeTable:
    """One raw table. Personal columns are left out: Athena reads Parquet by name, and cannot select what it lacks."""
    columns = {column.name: hive_type(column.data_type) for column in declared.columns if not column.is_personal}
    columns.setdefault(LINE, "bigint")
    if shop.source.kind != "objects" and shop.tables[declared.table].stream is None:
        columns[DAY] = "date"
    return LakeTable(
        name=f"{shop.name}__{declared.table}",
        folder=f"raw/{shop.name}/{declared.table}/",
        columns=tuple(columns.items()),
        description=f"Every extract of raw_{shop.name}.{declared.table}, also those replaced since.",
    )
