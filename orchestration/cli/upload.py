"""`cartograph upload`: raw files into a shop's inbox, after a look at whether they are that shop's."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

from assets.extracts.declared import declared_table
from assets.extracts.errors import ExtractError
from assets.extracts.formats import read_object
from assets.extracts.rows import match_headers
from orchestration.cli.session import REAL, CommandError, claim_home, console, shop_named, shown
from resources.objects import matches
from resources.settings import Settings, get_settings
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
    tables = {}
    for file in files:
        try:
            tables[file] = looks_like(shop, file)
        except (ExtractError, CommandError) as error:
            refused.append(str(error))
    if refused:
        raise CommandError("nothing was uploaded.\n" + "\n".join(f"  {line}" for line in refused))
    claim_home(settings, REAL)
    for file in files:
        place = put(settings, shop, file, tables[file])
        console().print(
            f"{file.name} -> {shown(place)} ({file.stat().st_size / 1e6:,.1f} MB, table {tables[file]})", soft_wrap=True
        )
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
    patterns = "; ".join(f"{name}: {', '.join(table.objects)}" for name, table in shop.tables.items())
    raise CommandError(
        f"{file}: no table of {shop.name} takes a file of this name. Rename it to match one of: {patterns}."
    )


def _by_name_or_columns(shop: Shop, file: Path) -> str:
    """The table of a table source that a file is named after, else the one whose columns it has."""
    words = re.sub(r"[^a-z0-9]+", "_", file.name.lower()).strip("_")
    named = [name for name in shop.tables if re.match(rf"(.*_)?{re.escape(name)}(_|\d|$)", words)]
    if named:
        return max(named, key=len)  # order_items_2024.parquet is for order_items, though it begins as orders might
    fitting: dict[str, int] = {}
    for name, table in shop.tables.items():
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
        f"{best[0] if best else next(iter(shop.tables))}{file.suffix}; there are: {', '.join(shop.tables)}."
    )


def put(settings: Settings, shop: Shop, file: Path, table: str) -> Path:
    """Copy a file into a shop's inbox, of a table source into the table's folder; it appears only when it is whole."""
    inbox = settings.inbox / shop.name
    if shop.source.kind != "objects":
        inbox /= table
    inbox.mkdir(parents=True, exist_ok=True)
    place = inbox / file.name
    writing = place.with_name(place.name + ".part")
    shutil.copyfile(file, writing)
    os.replace(writing, place)
    return place
