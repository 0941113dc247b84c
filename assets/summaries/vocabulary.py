"""Names that a text about a shop might hold: its products, its categories, countries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

_WORDS = re.compile(r"[^\W_]+", re.UNICODE)
_SHORTEST = 2
"""A title of fewer words names nothing for sure: `lamp` is a word too."""

_CODE = 3
"""A country's code is a word of many languages, small; with large letters it is found as other names are."""

_QUERY = """
select title from contract.dim_product where shop = %(shop)s and title is not null
union
select path from contract.dim_category where shop = %(shop)s and path is not null
union
select country from marts.mart_country_sales where shop = %(shop)s
"""


@dataclass(frozen=True)
class Names:
    """The names of a shop's products, categories and countries.

    Attributes:
        phrases: each name as its words in small letters.
        starts: the first words of names -> the names, so that a text is read once.
    """

    phrases: frozenset[tuple[str, ...]]
    starts: dict[str, tuple[tuple[str, ...], ...]] = field(repr=False, compare=False)

    @classmethod
    def of(cls, titles: Iterable[str], countries: Iterable[str] = ()) -> Names:
        """The names in titles, of products or categories (whose levels stand between ` > `), and in countries."""
        made = {tuple(words(level)) for title in titles for level in title.split(" > ")}
        phrases = frozenset(phrase for phrase in made if len(phrase) >= _SHORTEST) | {
            tuple(words(country)) for country in countries if len(country) > _CODE
        }
        starts: dict[str, list[tuple[str, ...]]] = {}
        for phrase in phrases:
            starts.setdefault(phrase[0], []).append(phrase)
        ordered = {first: tuple(sorted(held, key=len, reverse=True)) for first, held in starts.items()}
        return cls(phrases, ordered)

    def found(self, text: str) -> str | None:
        """The first name that stands in a text, in small letters; None where there is none."""
        held = words(text)
        for at, word in enumerate(held):
            for phrase in self.starts.get(word, ()):
                if tuple(held[at : at + len(phrase)]) == phrase:
                    return " ".join(phrase)
        return None


def names_of(connection: psycopg.Connection, shop: str) -> Names:
    """The names of a shop by its contract as it is now."""
    return Names.of(str(row[0]) for row in connection.execute(_QUERY, {"shop": shop}))


def words(text: str) -> list[str]:
    """The words of a text in small letters."""
    return [found.casefold() for found in _WORDS.findall(text)]


@cache
def countries(language: str) -> Names:
    """The countries and continents of the world in a language and in English."""
    from babel import Locale

    made: set[str] = set()
    for code in {language, "en"}:
        # 001 is the world, which is no claim.
        made |= {name for key, name in Locale.parse(code).territories.items() if key not in ("001", "ZZ")}
    # As people say them; US and UK stand in large letters, which are looked for on their own.
    made |= {"america", "britain", "great britain", "england", "scotland", "wales", "holland", "estados unidos", "usa"}
    return Names.of((), made)
