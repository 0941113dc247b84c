"""The raw table of API events, which every shop has without naming it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from assets.extracts.declared import Declared, declared_table
from resources.events import EVENTS
from resources.shops import API, API_EVENTS, Shop, Table


def with_api(shop: Shop) -> Shop:
    """The shop with the table of its API events beside those that `config/shops.yaml` names."""
    return shop.model_copy(update={"tables": {**shop.tables, API_EVENTS: Table(stream=EVENTS, cursor="occurred_at")}})


def declared_events(shop: Shop, dbt_project: Path | None = None) -> Declared:
    """The columns of a shop's API events: declared once, for all shops."""
    return replace(declared_table(API, "events", dbt_project), shop=shop.name, table=API_EVENTS)
