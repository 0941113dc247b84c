"""`cartograph upload`: raw files into a shop's inbox, after a look at whether they are that shop's."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from assets.extracts.declared import declared_table
from assets.extracts.errors import ExtractError
from assets.extracts.formats import read_object
from assets.extracts.rows import match_headers
from orchestration.cli.session import REAL, CommandError, claim_home, console, shop_named, shown
from resources.objects import is_left_out, matches, object_store
from resources.settings import get_settings
from resources.shops import Shop


def run_upload(shop_name: str, files: list[Path]) -> int:
    """Check all files, then copy them; none is copied where one is refused."""
    settings = get_settings()
    shop = shop_named(shop_name)
    if shop.source.location is not None:
        raise CommandError(
            f"{shop.name} reads from {shop.source.location}, not from an inbox: "
            "put the files there, or remove `location` in config/shops.yaml."
        )
    refused = []
    tables: dict[Path, str] = {}
    places: dict[str, Path] = {}
    for file in files:
        try:
            tables[file] = looks_like(shop, file)
            other = places.setdefault(place_of(shop, file, tables[file]), file)
            if other != file:
                raise CommandError(f"{file}: it would take the place of {other}. Rename one of them.")
        except (ExtractError, CommandError) as error:
            refused.append(str(error))
    if refused:
        raise CommandError("nothing was uploaded.\n" + "\n".join(f"  {line}" for line in refused))
    claim_home(settings, REAL)
    inbox = object_store(settings, shop)
    for name, file in places.items():
        place = inbox.put(file, name)
        at = place if "://" in place else shown(Path(place))
        size = f"{file.stat().st_size / 1e6:,.1f} MB"
        console().print(f"{file.name} -> {at} ({size}, table {tables[file]})", soft_wrap=True)
    console().print(f"Next: cartograph materialize --shop {shop.name}")
    return 0


def looks_like(shop: Shop, file: Path) -> str:
    """The table of a shop that a file is for, judged by its name and its headers.

    Raises:
        CommandError: there is no such file, or no table takes a file of this name.
        ExtractError: the table that takes it cannot read it.
    """
    if not file.is_file():
        decoded = Path(unquote(str(file)))
        hint = f" There is {decoded}: the name is URL-encoded; give the decoded one." if decoded.is_file() else ""
        raise CommandError(f"{file}: {'is a folder; name the files in it' if file.is_dir() else 'no such file'}.{hint}")
    table_name = _by_pattern(shop, file) if shop.source.kind == "objects" else _by_name_or_columns(shop, file)
    try:
        with file.open("rb") as stream:
            reading = read_object(stream, file.name, shop.tables[table_name])
            match_headers(reading, declared_table(shop.name, table_name), {})
    except ExtractError as error:
        raise error.at(shop=shop.name, table=table_name, uri=str(file)) from None
    return table_name


def _by_pattern(shop: Shop, file: Path) -> str:
    """The first table of an object source whose patterns match a file's name."""
    for name, table in shop.tables.items():
        if matches(table, file.name):
            return name
    patterns = "; ".join(f"{name}: {', '.join(table.objects)}" for name, table in shop.tables.items() if table.objects)
    raise CommandError(
        f"{file}: no table of {shop.name} takes a file of this name. Rename it to match one of: {patterns}."
    )


def _by_name_or_columns(shop: Shop, file: Path) -> str:
    """The table of a table source that a file is named after, else the one whose columns it has."""
    words = re.sub(r"[^a-z0-9]+", "_", file.name.lower()).strip("_")
    tables = {name: table for name, table in shop.tables.items() if table.stream is None}
    named = [name for name in tables if re.match(rf"(.*_)?{re.escape(name)}(_|\d|$)", words)]
    if named:
        return max(named, key=len)  # order_items_2024.parquet is for order_items, though it begins as orders might
    fitting: dict[str, int] = {}
    for name, table in tables.items():
        declared = declared_table(shop.name, name)
        with file.open("rb") as stream:
            try:
                reading = read_object(stream, file.name, table)
            except ExtractError as error:
                raise error.at(shop=shop.name, table=name, uri=str(file)) from None
            try:
                mapping = match_headers(reading, declared, {})
            except ExtractError:
                continue  # not the columns of this table: another may have them
        fitting[name] = len(mapping.new)
    best = [name for name, extra in fitting.items() if extra == min(fitting.values())]
    if len(best) == 1:
        return best[0]
    found = f"its columns are those of {' and of '.join(best)}" if best else "no table has its columns"
    raise CommandError(
        f"{file}: it is named after no table of {shop.name}, and {found}. Name it after its table, such as "
        f"{best[0] if best else next(iter(tables))}{file.suffix}; there are: {', '.join(tables)}."
    )


def place_of(shop: Shop, file: Path, table: str) -> str:
    """The name of a file in a shop's inbox: of a table source, in the table's folder.

    Raises:
        CommandError: no extract would look at it there.
    """
    name = file.name if shop.source.kind == "objects" else f"{table}/{file.name}"
    if is_left_out(name):
        raise CommandError(
            f"{file}: extracts leave hidden and unfinished files alone. Give it a name that neither begins with a dot "
            "nor ends in .part."
        )
    return name
