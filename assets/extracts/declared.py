"""The declared columns of raw tables, read from each shop's `_sources.yml`, and what they are in Arrow and Postgres."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from resources.settings import get_settings

if TYPE_CHECKING:
    import pyarrow as pa

EXTRACT_ID = "_extract_id"


class DeclarationError(ValueError):
    """A `_sources.yml` cannot be used; the message names the file, the table, the column and the remedy."""


@dataclass(frozen=True)
class Column:
    """One declared column of a raw table."""

    name: str
    data_type: str
    """The Postgres type, as declared: text, integer, bigint, numeric(p,s), double precision, boolean, date, timestamp
    (the shop's local time) or timestamptz."""
    names: tuple[str, ...] = ()
    """The headers that it may have in a source, its own name aside."""
    formats: tuple[str, ...] = ()
    """Further `strptime` formats of its dates, after ISO 8601."""
    not_null: bool = False
    optional: bool = False
    is_personal: bool = False
    """Tagged `pii`: its values are shown nowhere and go no further than staging."""
    description: str = ""

    @property
    def arrow_type(self) -> pa.DataType:
        return arrow_type(self.data_type)


@dataclass(frozen=True)
class Declared:
    """One declared raw table."""

    shop: str
    table: str
    columns: tuple[Column, ...]
    path: Path = field(compare=False)
    description: str = ""

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


def arrow_type(data_type: str) -> pa.DataType:
    """The Arrow type whose bits are right for a Postgres type.

    Binary COPY checks no types, so this is the one table in which the two meet.
    """
    import pyarrow as pa

    numeric = re.fullmatch(r"numeric\((\d+),\s*(\d+)\)", data_type)
    if numeric:
        return pa.decimal128(int(numeric[1]), int(numeric[2]))
    return {
        "text": pa.string(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "double precision": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
        "timestamptz": pa.timestamp("us", tz="UTC"),
    }[data_type]


def fold(header: str) -> str:
    """What must be equal in two headers that mean the same: letters and digits, in any case."""
    return "".join(c for c in unicodedata.normalize("NFKC", header).casefold() if c.isalnum())


def sources_file(shop: str, dbt_project: Path | None = None) -> Path:
    """Where a shop's raw tables are declared: in the given dbt project, else in that of the settings."""
    return (dbt_project or get_settings().dbt_project) / "models" / "staging" / shop / "_sources.yml"


def declared_tables(shop: str, dbt_project: Path | None = None) -> dict[str, Declared]:
    """The declared raw tables of a shop by name.

    Raises:
        DeclarationError: the file is missing or declares something that cannot be loaded.
    """
    path = sources_file(shop, dbt_project)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeclarationError(
            f"{path}: no such file. Shop {shop!r} stands in config/shops.yaml, so it needs a folder of staging models "
            f"with a _sources.yml that declares its raw tables."
        ) from None
    source = next((item for item in document.get("sources", []) if item.get("name") == shop), None)
    if source is None:
        raise DeclarationError(f"{path}: no source is named {shop!r}. Name the source after its shop.")
    tables = {
        table["name"]: Declared(
            shop=shop,
            table=table["name"],
            columns=tuple(
                _column(path, table["name"], column)
                for column in table.get("columns", [])
                if column["name"] != EXTRACT_ID
            ),
            path=path,
            description=" ".join((table.get("description") or "").split()),
        )
        for table in source.get("tables", [])
    }
    for name, table in tables.items():
        claimed = Counter(
            folded for column in table.columns for folded in {fold(n) for n in (column.name, *column.names)}
        )
        twice = [folded for folded, count in claimed.items() if count > 1]
        if twice:
            raise DeclarationError(
                f"{path}: {name}: two columns claim the header {twice[0]!r}. Take it from one's `names`."
            )
    return tables


def declared_table(shop: str, table: str, dbt_project: Path | None = None) -> Declared:
    """One declared raw table.

    Raises:
        DeclarationError: it is not declared, or cannot be loaded.
    """
    tables = declared_tables(shop, dbt_project)
    if table not in tables:
        raise DeclarationError(
            f"{sources_file(shop, dbt_project)}: table {table!r} stands in config/shops.yaml but is not declared. "
            f"Declare it with its columns and their data_type; declared are: {', '.join(tables) or 'none'}."
        )
    return tables[table]


def _column(path: Path, table: str, entry: dict[str, Any]) -> Column:
    config = entry.get("config") or {}
    meta = config.get("meta") or {}
    data_type = str(entry.get("data_type", "")).lower().replace("timestamp without time zone", "timestamp")
    data_type = re.sub(r",\s+", ",", data_type.replace("timestamp with time zone", "timestamptz"))
    try:
        arrow_type(data_type)
    except (KeyError, ValueError):
        raise DeclarationError(
            f"{path}: {table}.{entry.get('name')}: data_type {entry.get('data_type')!r} cannot be loaded; use text, "
            "integer, bigint, numeric(p,s), double precision, boolean, date, timestamp or timestamptz."
        ) from None
    return Column(
        name=entry["name"],
        data_type=data_type,
        names=tuple(meta.get("names", ())),
        formats=tuple(meta.get("formats", ())),
        not_null=bool(meta.get("not_null", False)),
        optional=bool(meta.get("optional", False)),
        description=" ".join((entry.get("description") or "").split()),
        is_personal="pii" in (config.get("tags") or entry.get("tags") or ()),
    )
