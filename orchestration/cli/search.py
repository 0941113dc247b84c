"""`cartograph search`: the products of a shop that fit a text."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from assets.search.config import load_search_config
from assets.search.retrieve import Hit, Searcher
from assets.search.where import parse
from orchestration.cli.session import CommandError, console, shop_named
from resources.embedder import Embedder
from resources.settings import get_settings
from resources.shops import Shop, load_shops
from resources.vectors import connect
from resources.vectors.collection import Manifest


def run_search(text: str, shop_name: str | None, where: Sequence[str], top: int) -> int:
    """Search a shop and show what was found; 1 where nothing was."""
    shop = searchable(shop_name)
    hits, manifest, seconds = find(shop.name, text, parse(where), top)
    out = console()
    if not hits:
        out.print(f"Nothing in {shop.name} fits.")
        return 1
    out.print(hits_table(hits))
    out.print(
        f"{len(hits)} of {manifest.points:,} products of {manifest.name}, in {seconds * 1000:.1f} ms", soft_wrap=True
    )
    return 0


def find(shop: str, text: str, where: Mapping[str, Any], top: int) -> tuple[list[Hit], Manifest, float]:
    """What a search finds, in which collection, and the seconds that it took, without those for loading the model."""
    config = load_search_config(shop)
    with connect(shop) as reader:
        embedder = Embedder.of(reader.manifest.embedder)
        embedder.embed(["a text that has the model loaded"])
        searcher = Searcher(reader, embedder, config.candidates)
        begun = time.perf_counter()
        hits = searcher.search(text, where, top)
        return hits, reader.manifest, time.perf_counter() - begun


def hits_table(hits: Sequence[Hit]) -> Table:
    """What was found, for a screen."""
    table = Table(box=None)
    for name in ("product", "title", "category", "price"):
        table.add_column(name, justify="right" if name == "price" else "left")
    for hit in hits:
        table.add_row(*(escape(cell) for cell in _cells(hit.product_id, hit.payload)))
    return table


def _cells(product: str, payload: Mapping[str, Any]) -> tuple[str, str, str, str]:
    levels = payload.get("category") or [""]
    price = payload.get("price")
    return (
        product,
        str(payload.get("title", "")),
        str(levels[-1]),
        "" if price is None else f"{price:,.2f} {payload.get('currency', '')}".rstrip(),
    )


def searchable(name: str | None) -> Shop:
    """The shop that is meant, of those whose products can be searched.

    Raises:
        CommandError: it has no text, or none was named and several have.
    """
    settings = get_settings()
    shops = load_shops(settings.shops_file)
    able = [shop.name for shop in shops.values() if shop.has_text]
    name = name or settings.default_shop or (able[0] if len(able) == 1 else None)
    if name is None:
        raise CommandError(f"name the shop with --shop: {', '.join(able) or 'none has text of its products'}.")
    shop = shop_named(name)
    if not shop.has_text:
        raise CommandError(
            f"{name} provides no product_text, so that its products cannot be searched. Shops that can: "
            f"{', '.join(able) or 'none'}."
        )
    return shop
