"""Facts as they stand in a text: numbers, money, percentages, dates and countries in a language."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from assets.summaries.facts import SHOWN_DECIMALS, DayFacts, Fact

if TYPE_CHECKING:
    from babel import Locale

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
"""A fact's id as a text writes it."""
LONGEST_NAME = 120
"""So many characters of a product's title are shown."""
_DATES = {"pt": "d 'de' MMMM 'de' y '('EEEE')'"}
"""Portuguese weekdays are of two genders, which the word before a date would have to know: the number comes first."""
_POINTS = {"en": ("percentage point", "percentage points"), "pt": ("ponto percentual", "pontos percentuais")}


def formatted(fact: Fact, language: str) -> str:
    """A fact in a language, changes without their sign: what is around it says the direction.

    Args:
        language: an ISO 639-1 code; English is written where Babel does not know it.
    """
    from babel.dates import format_date
    from babel.numbers import format_currency, format_decimal, format_percent

    locale = _locale(language)
    value = fact.value
    if isinstance(value, date):
        return format_date(value, _DATES.get(locale.language, "full"), locale=locale)
    if isinstance(value, str):
        return _country(value, locale) if fact.kind == "country" else _name(value)
    shown = _shown(fact)
    if fact.kind == "money":
        return format_currency(shown, fact.currency or "XXX", locale=locale)
    if fact.kind == "percent":
        return format_percent(shown, locale=locale, decimal_quantization=False)
    if fact.kind == "points":
        number = format_decimal(100 * shown, locale=locale, decimal_quantization=False)
        one, many = _POINTS.get(locale.language, ("pp", "pp"))
        return f"{number} {one if 100 * shown == 1 else many}"
    if fact.kind in ("rating", "difference"):
        return format_decimal(shown, format="0.00", locale=locale)
    return format_decimal(shown, format="#,##0", locale=locale)


def render(text: str, facts: DayFacts, language: str | None = None) -> str:
    """A text with each `{id}` replaced by its fact, in the shop's language where no other is named.

    Raises:
        ValueError: an id is no fact of the day. The checker refuses such texts.
    """

    def of(found: re.Match[str]) -> str:
        fact = facts.facts.get(found[1])
        if fact is None:
            raise ValueError(f"{{{found[1]}}} is no fact of {facts.shop} on {facts.day}: check the text first")
        return formatted(fact, language or facts.language)

    # In one pass, so that a title with braces stays as it is.
    return PLACEHOLDER.sub(of, text)


def _shown(fact: Fact) -> Decimal:
    number = Decimal(str(fact.value))
    if fact.is_change:
        number = abs(number)
    # A decimal that is rounded to nothing else must not be written as -0.
    return round(number, SHOWN_DECIMALS.get(fact.kind, 0)) + 0


def _name(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= LONGEST_NAME else words[: LONGEST_NAME - 1].rstrip() + "…"


def _country(value: str, locale: Locale) -> str:
    """A country by its ISO code, its English name or its own, in the language; else as the source has it."""
    code = value if value in locale.territories else _codes().get(value.casefold(), "")
    return _name(locale.territories.get(code, value))


@cache
def _codes() -> dict[str, str]:
    from babel import Locale, UnknownLocaleError
    from babel.languages import get_official_languages

    codes: dict[str, str] = {}
    # Two letters are countries; three digits are continents and the world.
    for code in (each for each in map(str, Locale("en").territories) if len(each) == 2):
        for language in ("en", *get_official_languages(code, regional=False, de_facto=True)):
            try:
                name = Locale.parse(language).territories.get(code)
            except (UnknownLocaleError, ValueError):
                continue
            codes.setdefault((name or code).casefold(), code)
    return codes


@cache
def _locale(language: str) -> Locale:
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(language)
    except (UnknownLocaleError, ValueError):
        return Locale("en")
