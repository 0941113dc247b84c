"""The declared columns of raw tables, read from each shop's `_sources.yml`, and what they are in Arrow and Postgres."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from resources.settings import get_settings

if TYPE_CHECKING:
    import pyarrow as pa

EXTRACT_ID = "_extract_id"
EPOCH_MS = "epoch_ms"
"""Among the formats of a timestamptz: whole milliseconds since 1970-01-01 00:00 UTC."""


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
    """Further `strptime` formats of its dates, after ISO 8601; or `epoch_ms`."""
    not_null: bool = False
    optional: bool = False
    is_personal: bool = False
    """Tagged `pii`: its values are shown nowhere and go no further than staging."""
    description: str = ""

    @property
    def arrow_type(self) -> pa.DataType:
        return arrow_type(self.data_type)


@dataclass(frozen=True)
class DaysOf:
    """A table whose rows tell under which days the contract files the rows of this one."""

    table: str
    by: tuple[tuple[str, str], ...]
    """Pairs of a column of that table and the column of this table that has the same value."""


@dataclass(frozen=True)
class Declared:
    """One declared raw table."""

    shop: str
    table: str
    columns: tuple[Column, ...]
    path: Path = field(compare=False)
    description: str = ""
    days_of: tuple[DaysOf, ...] = ()
    """Where the days of this table's rows stand, beside its own cursor."""
    own_day: bool = True
    """False where the contract files no row of this table under the day of its own cursor."""

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


@cache
def _document(text: str) -> Any:
    """A YAML document; kept, for a file is asked for once for each of its tables."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def declared_tables(shop: str, dbt_project: Path | None = None) -> dict[str, Declared]:
    """The declared raw tables of a shop by name.

    Raises:
        DeclarationError: the file is missing or declares something that cannot be loaded.
    """
    path = sources_file(shop, dbt_project)
    try:
        document = _document(path.read_text(encoding="utf-8"))
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
            **_days_meta(path, table),
        )
        for table in source.get("tables", [])
    }
    for name, table in tables.items():
        _check_days_of(table, tables)
        claimed = Counter(
            folded for column in table.columns for folded in {fold(n) for n in (column.name, *column.names)}
        )
        twice = [folded for folded, count in claimed.items() if count > 1]
        if twice:
            raise DeclarationError(
                f"{path}: {name}: two columns claim the header {twice[0]!r}. Take it from one's `names`."
            )
    return tables


def _days_meta(path: Path, table: dict[str, Any]) -> dict[str, Any]:
    """`days_of` and `own_day` of a table's meta."""
    meta = (table.get("config") or {}).get("meta") or {}
    where = f"{path}: {table['name']}"
    own_day = meta.get("own_day", True)
    if not isinstance(own_day, bool):
        raise DeclarationError(f"{where}: own_day is {own_day!r}; write true or false.")
    links = meta.get("days_of", [])
    form = "write a list of `{table: orders, by: {user_id: id}}`: columns of that table, and those of this one"
    if not isinstance(links, list):
        raise DeclarationError(f"{where}: days_of is {links!r}; {form}.")
    found = []
    for link in links:
        if not isinstance(link, dict) or set(link) != {"table", "by"} or not isinstance(link["by"], dict):
            raise DeclarationError(f"{where}: days_of holds {link!r}; {form}.")
        if not link["by"]:
            raise DeclarationError(f"{where}: days_of names no column of {link['table']}; {form}.")
        found.append(DaysOf(str(link["table"]), tuple((str(a), str(b)) for a, b in link["by"].items())))
    return {"days_of": tuple(found), "own_day": own_day}


def _check_days_of(table: Declared, tables: dict[str, Declared]) -> None:
    for link in table.days_of:
        where = f"{table.path}: {table.table}: days_of"
        if link.table not in tables:
            near = difflib.get_close_matches(link.table, tables, n=1)
            raise DeclarationError(
                f"{where}: no table {link.table!r} is declared; "
                + (f"did you mean {near[0]!r}?" if near else f"declared are: {', '.join(tables)}.")
            )
        types = []
        for owner, name in [(tables[link.table], pair[0]) for pair in link.by] + [(table, b) for _, b in link.by]:
            column = owner.column(name)
            if column is None:
                names = [item.name for item in owner.columns]
                near = difflib.get_close_matches(name, names, n=1)
                raise DeclarationError(
                    f"{where}: table {owner.table} has no column {name!r}; "
                    + (f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names)}.")
                )
            types.append(column.data_type)
        for (theirs, ours), a, b in zip(link.by, types[: len(link.by)], types[len(link.by) :], strict=True):
            if a != b:
                raise DeclarationError(
                    f"{where}: {link.table}.{theirs} is {a} and {table.table}.{ours} is {b}; "
                    "declare both with one data_type."
                )


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
    if EPOCH_MS in meta.get("formats", ()) and data_type != "timestamptz":
        raise DeclarationError(
            f"{path}: {table}.{entry['name']}: the format {EPOCH_MS} tells an instant, and {data_type} is declared; "
            "declare timestamptz."
        )
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
