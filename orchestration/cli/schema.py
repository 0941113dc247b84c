"""`cartograph schema`: the columns and types found in a shop's raw files, beside those declared."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from rich.table import Table as RichTable

from assets.extracts.convert import convert
from assets.extracts.declared import Column, declared_table, fold, sources_file
from assets.extracts.errors import ExtractError
from assets.extracts.formats import read_object
from orchestration.cli.session import console, shop_named, shown
from resources.objects import object_store, table_of
from resources.settings import get_settings

GUESSES = ("boolean", "bigint", "numeric(18,4)", "double precision", "date", "timestamp", "timestamptz", "text")
"""The types that text is tried as, the narrowest first."""


def run_schema(shop_name: str) -> int:
    """Print a table for each raw table of the shop; 1 where a file cannot be read or does not fit what is declared."""
    settings = get_settings()
    shop = shop_named(shop_name)
    store = object_store(settings, shop)
    listing = store.list()
    out = console()
    sound = True
    noun = "objects" if shop.source.kind == "objects" else "files"
    for table_name, table in shop.tables.items():
        declared = declared_table(shop.name, table_name)
        objects = [item for item in listing if table_of(shop, item.name) == table_name]
        where = f"{len(objects)} {noun} in {shown_location(store.location)}"
        out.print(
            f"[bold]{shop.name}.{table_name}[/bold]: {f'the stream {table.stream}' if table.stream else where}",
            soft_wrap=True,
        )
        found: dict[str, dict[str, Any]] = {}
        for item in objects:
            try:
                with store.open(item) as stream:
                    reading = read_object(cast(BinaryIO, stream), item.name, table)
                    chunk = next(reading.chunks, None)
            except ExtractError as error:
                sound = False
                out.print(f"  [red]{error.at(shop=shop.name, table=table_name, uri=item.uri)}[/red]", soft_wrap=True)
                continue
            out.print(f"  {item.name}: {reading.format}, {item.size / 1e6:,.2f} MB", soft_wrap=True)
            for header in reading.headers:
                entry = found.setdefault(fold(header), {"header": header, "types": set(), "example": "", "files": 0})
                entry["files"] += 1
                if chunk is not None:
                    entry["types"].add(guess_type(chunk.columns[header]))
                    entry["example"] = entry["example"] or _example(chunk.columns[header])
        grid = RichTable(box=None, header_style="bold", padding=(0, 2, 0, 0))
        for title in ("declared", "type", "in the files", "looks like", "example", ""):
            grid.add_column(title, overflow="fold", no_wrap=title in ("declared", "type", ""))
        for column in declared.columns:
            match = next((found.pop(fold(name)) for name in (column.name, *column.names) if fold(name) in found), None)
            note = ""
            if objects and match is None and not column.optional:
                note, sound = "[red]missing[/red]", False
            elif match and not fits(match["types"], column):
                note, sound = "[red]does not fit[/red]", False
            seen = (match["header"], ", ".join(sorted(match["types"])), match["example"]) if match else ("", "", "")
            flags = " not null" if column.not_null else " optional" if column.optional else ""
            grid.add_row(column.name, column.data_type + flags, *seen, note)
        for entry in found.values():
            types = ", ".join(sorted(entry["types"]))
            grid.add_row("", "", entry["header"], types, entry["example"], "[yellow]new[/yellow]")
        out.print(grid)
    out.print(f"Declared in {shown(sources_file(shop.name))}; types are guessed from the first rows of each file.")
    return 0 if sound else 1


def shown_location(location: str) -> str:
    from pathlib import Path

    return location if "://" in location else shown(Path(location))


def guess_type(values: Any) -> str:
    """The narrowest type that all values of a column fit."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if values.null_count == len(values):
        return "(empty)"
    if not (pa.types.is_string(values.type) or pa.types.is_binary(values.type)):
        return str(values.type)
    for name in GUESSES:
        _, bad, _ = convert(values, Column("column", name))
        if not pc.any(bad).as_py() and not (name == "date" and _has_time(values)):
            return name
    return "unreadable"


def _has_time(values: Any) -> bool:
    import pyarrow.compute as pc

    return bool(pc.any(pc.match_substring(values, ":")).as_py())


def fits(types: set[str], column: Column) -> bool:
    """Whether files with these guessed types can fill a column without most of its values being rejected."""
    wide = {
        "text": set(GUESSES),
        "numeric": {"bigint", "boolean", "numeric(18,4)", "double precision"},
        "double precision": {"bigint", "boolean", "numeric(18,4)", "double precision"},
        "bigint": {"bigint", "boolean"},
        "integer": {"bigint", "boolean"},
        "timestamp": {"timestamp", "date"},
        "boolean": {"boolean"},
        "date": {"date", "timestamp"},
        "timestamptz": {"timestamptz"},
    }[column.data_type.split("(")[0]]
    # Files with types of their own (Parquet) and formats that only the declaration knows are judged by the extract.
    return all(kind in wide or kind not in GUESSES or (kind == "text" and column.formats) for kind in types)


def _example(values: Any) -> str:
    value = next((item for item in values.slice(0, 200).to_pylist() if item is not None), "")
    return (value.decode("utf-8", errors="backslashreplace") if isinstance(value, bytes) else str(value))[:40]
