"""`cartograph upload`: raw files into a shop's inbox, after a look at whether they are that shop's."""

from __future__ import annotations

import os
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
        place = put(settings, shop, file)
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
    candidates = [name for name, table in shop.tables.items() if matches(table, file.name)]
    if not candidates:
        patterns = "; ".join(f"{name}: {', '.join(table.objects)}" for name, table in shop.tables.items())
        raise CommandError(
            f"{file}: no table of {shop.name} takes a file of this name. Rename it to match one of: {patterns}."
        )
    table_name = candidates[0]
    try:
        with file.open("rb") as stream:
            reading = read_object(stream, file.name, shop.tables[table_name])
            match_headers(reading, declared_table(shop.name, table_name), {})
    except ExtractError as error:
        raise error.at(shop=shop.name, table=table_name, uri=str(file)) from None
    return table_name


def put(settings: Settings, shop: Shop, file: Path) -> Path:
    """Copy a file into a shop's inbox; it appears there only when it is whole."""
    inbox = settings.inbox / shop.name
    inbox.mkdir(parents=True, exist_ok=True)
    place = inbox / file.name
    writing = place.with_name(place.name + ".part")
    shutil.copyfile(file, writing)
    os.replace(writing, place)
    return place
