"""What the commands share: consoles, shops by name, and which faults are explained rather than traced."""

from __future__ import annotations

import difflib
import sys
from functools import cache
from pathlib import Path

from rich.console import Console

from resources.settings import Settings, get_settings
from resources.shops import Shop, load_shops

SIMULATED, REAL = "simulated", "real"


class CommandError(Exception):
    """A command cannot do what it was asked; the message says why and what to do."""


@cache
def console() -> Console:
    """The console for people. It keeps the standard output of its first call, also where that is redirected later."""
    return Console(file=sys.stdout, highlight=False)


def explain(error: Exception) -> str | None:
    """The message of a fault that a person can mend; None for a fault of ours, which deserves its traceback."""
    from assets.extracts.declared import DeclarationError
    from assets.extracts.errors import ExtractError
    from assets.marts.project import DbtProjectError
    from assets.promotion.promote import PromotionError
    from assets.search.answer import AnswerError
    from assets.search.retrieve import SearchError
    from assets.search.where import WhereError
    from resources.embedded_postgres import EmbeddedPostgresError
    from resources.embedder import EmbedderError
    from resources.far import SourceError
    from resources.llm.prompts import PromptError
    from resources.models import ModelsError
    from resources.settings import SettingsError
    from resources.shops import ShopsError
    from resources.tracking import TrackingError
    from resources.vectors.collection import CollectionError
    from resources.vectors.translate import QueryError
    from resources.warehouse import WarehouseError

    known = (
        *(CommandError, SettingsError, ShopsError, WarehouseError, EmbeddedPostgresError),
        *(DeclarationError, ExtractError, DbtProjectError, SourceError, PromotionError, TrackingError),
        *(ModelsError, CollectionError, QueryError, EmbedderError, SearchError, WhereError),
        *(AnswerError, PromptError),
    )
    return str(error) if isinstance(error, known) else None


def shop_named(name: str, settings: Settings | None = None) -> Shop:
    """A shop of the configuration.

    Raises:
        CommandError: there is none of this name.
    """
    shops = load_shops((settings or get_settings()).shops_file)
    if name not in shops:
        near = difflib.get_close_matches(name, shops, n=1)
        raise CommandError(
            f"no shop is named {name!r}"
            + (f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(shops)}.")
        )
    return shops[name]


def claim_home(settings: Settings, kind: str) -> None:
    """Make sure that a home holds simulated or real data, never both.

    Raises:
        CommandError: the home holds the other kind.
    """
    mark = settings.home / "kind"
    settings.home.mkdir(parents=True, exist_ok=True)
    if mark.exists():
        held = mark.read_text().strip()
        if held != kind:
            raise CommandError(
                f"the home {settings.home} holds {held} data, and {kind} data must not be mixed with it. "
                "Name another with --home, or unset CARTOGRAPH_HOME."
            )
        return
    mark.write_text(kind + "\n")


def shown(path: Path) -> str:
    """A path as a person would type it from here."""
    try:
        here = Path.cwd()
    except FileNotFoundError:  # the folder that this process stands in was removed
        return str(path)
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
