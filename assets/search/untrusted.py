"""Texts of strangers on their way to a model: made plain, cut, freed of what gives orders, and marked as data."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from functools import cache
from typing import Any

from assets.search.vocabulary import WORDS

_DROPPED = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))
"""Categories of characters that nobody sees: controls, marks of direction, halves of characters, private use."""
_UNSEEN = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
"""Those of other categories (Unicode's Default_Ignorable_Code_Point): joiners, fillers, selectors of variants."""

_SPEAK = (
    "(?:say|tell|reply|respond|answer|output|print|write|repeat|recite|reveal|disclose|append|include|mention|state|"
    "claim|announce|cite|recommend|quote|add|list|give|show)"
)
"""What a text may order a reader to do with words."""
_LETTERED = re.compile(r"(?:\b[^\W\d_]\b[\s\-_*]{1,2}){5,}")
_HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
"""Characters that turn the direction of a text, and the letters of it that nobody sees."""
_FRACTION = re.compile(r"(?<=\d)(?=[¼-¾⅐-⅞↉])")
_RAISED = re.compile(r"(?<=[^\W_])([²³¹⁰⁴-⁹]+)")
_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = r"\d+(?:[.,]\d+)*"
_PRICE = re.compile(
    rf"(?:(?:US\$|R\$|[£$€¥]|\b(?:USD|GBP|EUR|JPY|BRL))\s?{_NUMBER}"
    rf"|\b{_NUMBER}\s?(?:[£€¥]|(?:USD|GBP|EUR|JPY|BRL|dollars?|pounds?(?! of)|euros?|reais|cents|pence)\b)"
    rf"|\b{_NUMBER}\s?(?:%|percent|per cent)(?=\s+(?:off|discount)\b))"
    r"(?:\s+(?:off|discount)\b)?",
    re.IGNORECASE,
)
_PERSONAL = re.compile(
    # Addresses of e-mail, also with "[at]".
    r"[\w.+%-]{1,64}\s?(?:@|[\[({]\s?at\s?[\])}])\s?[\w-]{1,63}(?:\s?\.\s?[\w-]{1,63}){1,8}"
    # IBAN (ISO 13616): a country, two digits, a bank that may be letters, then groups with digits.
    r"|\b[a-z]{2}\d{2}[ -]?[a-z\d]{4}(?:[ -]?(?=[a-z]{0,3}\d)[a-z\d]{1,4}){2,8}\b"
    # Numbers of cards, in whatever groups.
    r"|(?<!\d)\d(?:[ .-]?\d){12,18}(?!\d)"
    # CPF and CNPJ of Brazil, the social security number of the United States.
    r"|(?<!\d)\d{2,3}[. ]\d{3}[. ]\d{3}[-/ .](?:\d{4}[- ])?\d{2}(?!\d)"
    r"|(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)"
    # Telephone numbers: international; with the 0 of national ones; of North America; of Brazil; in three or four
    # groups, as in Spain, Portugal and Poland; and shorter ones where it is said what they are.
    r"|(?<!\w)\+\s?\d(?:[\s().\-/]{0,3}\d){7,14}"
    r"|(?<![\w.,])\(?0(?:[\s().\-/]{0,2}\d){8,12}(?!\d)"
    r"|(?<![\w.,])(?:1[ .-]?)?(?:\([2-9]\d{2}\)\s?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]?\d{4}(?!\d)"
    r"|(?<![\w.,])(?:\([1-9]\d\)\s?9?\d{4}[ -]?|[1-9]\d[ -]9?\d{4}-|9\d{4}-)\d{4}(?!\d)"
    r"|(?<![\w.,])[26-9]\d{2}(?:([ .-])\d{3}\1|([ .-])\d{2}\2\d{2}\2)(?:\d{3}|\d{2})(?!\d)"
    r"|\b(?:tel|telephone|telefone|fone|phone|mobile|cell|celular|fax|whats ?app|zap|call|ring|ligue|my number)\b"
    r"(?:[\s:.=-]|\b(?:me|us|my|number|no|nr|is|on|at|para|o|é)\b){0,8}\d(?:[\s().\-/]{0,2}\d){5,14}"
    # Any other number of so many digits is one of a telephone, a person or an account.
    r"|\d{9,}",
    re.IGNORECASE,
)


def plain(text: str, longest: int) -> str:
    """Text as people see it, on one line: compatible characters are the same (NFKC), unseen ones are gone.

    A number stays what it is: "2½" is not 21 halves, and "10²" not 102.

    Args:
        longest: characters; what is more is cut off behind a word.
    """
    # An expanded text can be many times as long as it was, so it is cut twice.
    words = visible(_compatible(text[: 4 * longest]))
    if len(words) <= longest:
        return words
    return words[:longest].rsplit(" ", 1)[0]


def _compatible(text: str) -> str:
    parts = _RAISED.split(_FRACTION.sub(" ", text))
    # Each second one is raised.
    return "".join(part if place % 2 else unicodedata.normalize("NFKC", part) for place, part in enumerate(parts))


def visible(text: str) -> str:
    """A text without characters that nobody sees, on one line: "w\u200barm" is "warm"."""
    kept = (
        " " if mark.isspace() else mark
        for mark in _UNSEEN.sub("", text)
        if mark.isspace() or unicodedata.category(mark) not in _DROPPED
    )
    return " ".join("".join(kept).split())


@cache
def _orders() -> re.Pattern[str]:
    """One pattern of those in `words/orders.txt`."""
    lines = WORDS.joinpath("orders.txt").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("# ")]
    return re.compile("|".join(patterns).replace("{speak}", _SPEAK), re.IGNORECASE)


def gives_orders(text: str) -> bool:
    """Whether a text speaks to whoever reads it rather than of a product: orders, roles, addresses, markup, codes.

    It errs on the side of yes: what it finds is left out of what a model is shown, and is no evidence. What it misses
    is held back by the check of each sentence that a model writes (`assets/search/grounding.py`).
    """
    return bool(_orders().search(text) or _LETTERED.search(text)) or any(
        _is_mixed(word) for word in _WORD.findall(text) if not word.isascii()
    )


def _is_mixed(word: str) -> bool:
    """Whether a word takes its letters from several alphabets, as one does that shall be read and not be found."""
    scripts = {unicodedata.name(mark, "?").split(" ")[0] for mark in word}
    return len(scripts & {"LATIN", "CYRILLIC", "GREEK"}) > 1


def harmless(text: str | None, longest: int) -> str:
    """A text of a catalogue made plain; empty where it gives orders: with one such sentence none of it is trusted."""
    # What stands behind the cut is not shown, but tells of the rest.
    told = text or ""
    return "" if _HIDDEN.search(told) or gives_orders(plain(told, 10 * longest)) else plain(told, longest)


def priceless(title: str) -> str:
    """A title without the prices in it: "MUG £2 OFF" is a mug, and what it costs is read from the shop itself."""
    return " ".join(_PRICE.sub(" ", title).split()).strip(" ,;:-–")


def impersonal(text: str) -> str:
    """A text, as people see it, without what names a person in a known form.

    These are addresses of e-mail; telephone numbers; numbers of cards, bank accounts and taxpayers. It errs on the side
    of taking out. A name or a street has no form to know it by, and stays.
    """
    return _PERSONAL.sub("…", visible(unicodedata.normalize("NFKC", text)))


def data(name: str, value: Any) -> str:
    """A value for a prompt: JSON between two lines with a hash of it, which no text in it can hold."""
    written = json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")
    mark = f"{name} {hashlib.sha256(written.encode()).hexdigest()[:16]}"
    return f"<{mark}>\n{written}\n</{mark}>"
