"""Which shop a request means."""

from __future__ import annotations

import difflib
from typing import Annotated

from fastapi import HTTPException
from pydantic import Field

from resources.settings import Settings, SettingsError
from resources.shops import load_shops
from serving.api.errors import bad_values

ShopName = Annotated[str, Field(min_length=1, max_length=41)]


class Shops:
    """The shops of the configuration, and the one that is meant where none is named."""

    def __init__(self, settings: Settings) -> None:
        self.configured = shops = load_shops(settings.shops_file)
        self.names = tuple(shops)
        self.recommending = frozenset(name for name, shop in shops.items() if shop.has_interactions)
        """The shops that have a recommender."""
        self.searchable = frozenset(name for name, shop in shops.items() if shop.has_text)
        """The shops whose products can be searched."""
        self.summarised = frozenset(name for name, shop in shops.items() if shop.has_days)
        """The shops whose days are summarised."""
        self.default = settings.default_shop or (self.names[0] if len(self.names) == 1 else None)
        if self.default is not None and self.default not in self.names:
            raise SettingsError(
                f"CARTOGRAPH_DEFAULT_SHOP={self.default!r}: no such shop in {settings.shops_file}; "
                f"there are: {', '.join(self.names)}."
            )

    def meant(self, name: str | None) -> str:
        """The shop of a request; a 404 that lists the shops where there is none of its name, a 422 without a name."""
        if name is None:
            if self.default is None:
                problem = f"name one of {', '.join(self.names)}, or set CARTOGRAPH_DEFAULT_SHOP"
                raise bad_values([(["shop"], problem)])
            return self.default
        if name not in self.names:
            near = difflib.get_close_matches(name, self.names, n=1)
            raise HTTPException(
                404,
                f"no shop is named {name!r}; {f'did you mean {near[0]!r}? ' if near else ''}"
                f"There are: {', '.join(self.names)}.",
            )
        return name
