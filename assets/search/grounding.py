"""What an answer may say: the sentences that are true of the products that were found, in a few forms.

All that may be said is generated from the products: a title with its id, its price, whole sentences of its description,
its brand, categories and keywords, comparisons of prices; in the frames of `words/*.toml`, and with nothing else beside
it. A sentence is published where it is one of these. So what a text in the catalogue or a question makes a model say is
held back like what the model invents by itself: there is no form to say it in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache

from assets.search.material import DESCRIPTION, Shown
from assets.search.relevance import Order
from assets.search.untrusted import plain
from assets.search.vocabulary import SYMBOLS, vocabulary_of
from resources.vectors.bm25 import Bm25

LONGEST_SENTENCE = 900
"""Characters."""
REMEMBERED = 20_000
"""So many words keep their stems."""
UNCUT = DESCRIPTION - 100
"""A description of fewer characters has not been cut, for no word is so long."""

Stems = Callable[[str], frozenset[int]]
"""The stems of the words of a text; none of stop words."""

_CITED = re.compile(r"\[[^\[\]]*\]")
_MARKUP = re.compile(r"[<>{}\\^~|]|https?|www\.|://|\S@\S|\]\s*\(", re.IGNORECASE)
_EMPHASIS = re.compile(r"(?<![\w*_`])(\*{1,3}|_{1,3}|`)(?=\S)(?![^\[\]]*\])(.+?)(?<=\S)\1(?![\w*_`])(?![^\[\]]*\])")
"""Marks in pairs around words, but "10*20", "5*" and "C#" are none. In brackets stand ids, which may hold any sign."""
_HEADING = re.compile(r"^\s*#+\s+")
_MARKER = re.compile(r"^\s*(?:[-•–·+]\s+|\d{1,2}[.)]\s+)")
_ENDED = re.compile(r"\n+|[.!?…][\"'’”)]*(?=\s)")
_BEHIND = re.compile(r"\s+(?:(\[[^\[\]]*\][.]?)(\s+)(?=(\S))|(?=[^\s\[]))|[ \t]*(?=\n)")
_CITED_ON = re.compile(r"\s+\[[^\[\]]*\][.]?(?=[^\s.])")
"""A citation with which a sentence goes on."""
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d]+|\S")
_PAUSE = re.compile(
    r"[,;:.!…](?![^\W_])"  # not inside a number, an address or an abbreviation
    r"|(?<!\d)[\"'‘’“”„«»]|[()]"
    r"|(?<=\s)[-–—](?=\s)|(?<=[^\W\d_])[-–](?=[^\W\d_])"
)
"""Marks that say nothing. A sign before a number does."""
_STOP = re.compile(r"(?<=[.!?])(?<!\.\.)\s+(?![a-zß-ÿ\d])")
"""Where a sentence ends; behind an ellipsis it may go on: "Not … Waterproof"."""
_ID, _NAMED = 0xE000, 0xF000
"""Characters for private use: the id of the first product, and its title with the id behind it."""
_NEVER = "(?!)"


@dataclass(frozen=True)
class Fault:
    """Why a sentence is not published.

    Attributes:
        kind: in a word or two.
        at: the words.
        is_grave: where it is, nothing else that was written is trusted either; otherwise the sentence is left out.
    """

    kind: str
    at: str
    is_grave: bool


class Grounding:
    """Checks the sentences of one answer, in their order."""

    def __init__(
        self, products: Sequence[Shown], language: str, extremes: Sequence[Order] = ("lowest", "highest")
    ) -> None:
        """
        Args:
            products: those that the answer may speak of.
            language: of the answer; one without frames is answered in English.
            extremes: of prices, those that may be said of one of the products.
        """
        self.cited: list[str] = []
        self._products = list(products)
        self._extremes = extremes
        self._vocabulary = vocabulary_of(language)
        self._currencies = self._all_currencies()
        self._amounts = self._pattern_of_amounts()
        self._places = {f"[{one.product_id}]": chr(_ID + place) for place, one in enumerate(products)}
        self._titles = [
            (re.compile(rf"{re.escape(_spaced(one.title))} {chr(_ID + place)}"), f" {chr(_NAMED + place)}")
            for place, one in enumerate(products)
        ]
        self._quoted = [self._sentences(place) for place in range(len(products))]
        self._said = [self._said_of(place) for place in range(len(products))]
        self._true = re.compile(self._all())
        self._subject: int | None = None
        """The one product of which the last sentence spoke."""

    def check(self, sentence: str) -> list[Fault]:
        """What is wrong with a sentence; nothing where it may be published. It remembers what the sentence cites.

        Args:
            sentence: as `cleaned` gives it.
        """
        if len(sentence) > LONGEST_SENTENCE:
            return [Fault("too long", sentence[:80], True)]
        read = self._read(sentence)
        named = range(_NAMED, _NAMED + len(self._products))
        places = list(dict.fromkeys(ord(mark) - _NAMED for mark in read if ord(mark) in named))
        leans = self._leans(read)
        if not leans and not self._true.fullmatch(read):
            return [self._fault(sentence, read, places)]
        self.cited += [product for place in places if (product := self._products[place].product_id) not in self.cited]
        if not leans:
            self._subject = places[0] if len(places) == 1 else None
        elif places:  # of which of two the next "it" would speak is in doubt
            self._subject = None
        return []

    # What is read

    def _read(self, sentence: str) -> str:
        """A sentence in small letters, a space before each word, its products and amounts each one word."""
        text = _CITED.sub(lambda found: f" {self._places.get(found[0], found[0])} ", sentence)
        text = _spaced(text)
        for title, named in self._titles:
            text = title.sub(named, text)
        return self._priced(text)

    def _all_currencies(self) -> dict[str, str]:
        """What may stand beside an amount -> the currency."""
        codes = {*SYMBOLS.values(), *(one.currency for one in self._products if one.currency)}
        return {
            **self._vocabulary.money,
            **{_spaced(symbol).strip(): code for symbol, code in SYMBOLS.items()},
            **{code.casefold(): code for code in codes},
        }

    def _pattern_of_amounts(self) -> re.Pattern[str]:
        words = "|".join(map(re.escape, sorted(self._currencies, key=len, reverse=True)))
        return re.compile(rf"(?<= )(?:({words}) (\d[\d.,]*)|(\d[\d.,]*) ({words}))(?= |$)")

    def _priced(self, text: str) -> str:
        """A text with each amount of money as one word."""

        def amount(found: re.Match[str]) -> str:
            value = self._vocabulary.value(found[2] or found[3])
            return found[0] if value is None else _amount(value, self._currencies[found[1] or found[4]])

        return self._amounts.sub(amount, text)

    def _one_text_of(self, texts: Iterable[str]) -> str:
        """The pattern of those texts of the data that may be said again, of which the longest is taken."""
        read = {self._priced(_spaced(text)) for text in texts if not self._vocabulary.unsaid.search(text)} - {""}
        return f"(?>{_one_of(map(re.escape, sorted(read, key=len, reverse=True)))})"

    # What may be said

    def _all(self) -> str:
        """The pattern of the sentences that are true, but for those that lean on the one before."""
        frames, places = self._vocabulary.frames, range(len(self._products))
        full = _one_of(
            f"{self._named(place)}(?:{self._follows(place)}|{self._at(place)}{self._follows(place, is_priced=True)})"
            for place in places
        )
        bare = _one_of(map(self._named, places))
        item = _one_of(f"{self._named(place)}{self._behind(place)}" for place in places)
        low, high = self._extreme("lowest"), self._extreme("highest")
        return _one_of(
            [
                frames["openings"],
                f"{frames['among']}?(?:{frames['but']}?{full})+",
                # With one price for two titles it would be in doubt whose it is.
                *(f"{frames['lead']}?(?:{frames['and']}?{each})+" for each in (bare, item)),
                *(
                    f"{frames['description']}{self._named(place)}{frames['says']}{self._quoted[place]}"
                    for place in places
                ),
                *(
                    pattern
                    for place, before, behind in (
                        (low, frames["the_cheapest"], frames["cheapest"]),
                        (high, frames["the_dearest"], frames["dearest"]),
                    )
                    if place is not None
                    for pattern in (
                        f"{before}{self._named(place)}{self._at(place)}?",
                        f"{frames['among']}{self._named(place)}{self._at(place)}?{behind}",
                        f"{self._named(place)}{self._at(place)}?{behind}{frames['among']}",
                    )
                ),
            ]
        )

    def _leans(self, read: str) -> bool:
        """Whether a sentence goes on about the product of the last one."""
        if self._subject is None:
            return False
        return bool(re.fullmatch(f"{self._vocabulary.frames['it']}{self._follows(self._subject)}", read))

    def _follows(self, place: int, is_priced: bool = False) -> str:
        """All that may be said behind a product; a comparison last, for what comes behind it would be in doubt.

        Args:
            is_priced: the price stands before it.
        """
        compared = self._comparisons(place)
        row = f"(?>{self._facts(place)}+)" if is_priced else self._row(place)
        return f"(?:{row}(?:{self._vocabulary.frames['but']}?{compared})?|{compared})"

    def _row(self, place: int) -> str:
        """What may be said of a product, with its price once.

        Behind the price stands no sentence of the description by itself: with "Each month" it would be another price.
        """
        but, facts = self._vocabulary.frames["but"], self._facts(place)
        told = f"(?:{facts}|{but}?{self._quoted[place]})"
        priced = f"{but}?{self._vocabulary.frames['costs']}{self._price(place)}{facts}*"
        # Texts that hold one another can be parted in too many ways to try them all: the first is taken.
        return f"(?>{told}+(?:{priced})?|{priced})"

    def _facts(self, place: int) -> str:
        return f"(?:{self._vocabulary.frames['but']}?{self._said[place]})"

    def _named(self, place: int) -> str:
        return f"{self._vocabulary.frames['article']}? {chr(_NAMED + place)}"

    def _price(self, place: int) -> str:
        amount = _price_of(self._products[place])
        return _NEVER if amount is None else re.escape(f" {amount}")

    def _at(self, place: int) -> str:
        """A price beside a title."""
        return f"(?:{self._vocabulary.frames['at']}?{self._price(place)})"

    def _behind(self, place: int) -> str:
        """What stands behind a title in a list, and compares nothing: of whom would be in doubt."""
        frames = self._vocabulary.frames
        quoted = f"(?:{frames['article']}?{self._quoted[place]})"
        which = f"(?:{frames['which']}{self._row(place)})"
        return f"(?:{quoted}{self._at(place)}?{which}?|{self._at(place)}{which}?|{which})"

    def _sentences(self, place: int) -> str:
        """The sentences of a description that may be said again, each as a whole."""
        text = self._products[place].description
        parts = [part for part in _STOP.split(text) if part]
        if parts and len(text) >= UNCUT and parts[-1][-1] not in '.!?…"”':
            parts.pop()
        return self._one_text_of(parts)

    def _said_of(self, place: int) -> str:
        """What may be said of a product by itself, but for its price."""
        frames, one = self._vocabulary.frames, self._products[place]
        levels = self._one_text_of((*one.categories, " > ".join(one.categories)))
        keyword = self._one_text_of(one.keywords)
        return _one_of(
            [
                f"(?:{frames['is']}|{frames['described']}){self._quoted[place]}",
                f"{frames['brand']}{self._one_text_of([one.brand])}",
                f"{frames['category']}{levels}",
                f"{frames['keywords']}{keyword}(?:{frames['and']}?{keyword})*",
            ]
        )

    def _comparisons(self, place: int) -> str:
        """What may be said of a product's price beside the others'."""
        frames = self._vocabulary.frames
        others: dict[str, list[str]] = {"cheaper": [], "dearer": [], "equal": []}
        mine = self._products[place]
        for other, one in enumerate(self._products):
            if mine.price is not None and one.price is not None and mine.currency == one.currency and other != place:
                name = "equal" if mine.price == one.price else "cheaper" if mine.price < one.price else "dearer"
                others[name].append(self._named(other))
        return _one_of(f"{frames[name]}{_one_of(named)}" for name, named in others.items())

    def _extreme(self, kind: Order) -> int | None:
        """The one product that costs least or most of all; None where it is not one, a price is not known, or it may
        not be said."""
        if kind not in self._extremes:
            return None
        prices = [one.price for one in self._products if one.price is not None]
        if len(prices) < max(2, len(self._products)) or len({one.currency for one in self._products}) > 1:
            return None
        best = min(prices) if kind == "lowest" else max(prices)
        return prices.index(best) if prices.count(best) == 1 else None

    # What is wrong

    def _fault(self, sentence: str, read: str, places: Sequence[int]) -> Fault:
        """Why a sentence is none of those that are true."""
        if found := _MARKUP.search(sentence):
            return Fault("markup or an address", found[0], True)
        titles = [one.title.casefold() for one in self._products]
        for found in _CITED.finditer(sentence):
            if found[0] not in self._places and not any(found[0].casefold() in title for title in titles):
                return Fault("cites what was not found", found[0], True)
        for place in range(len(self._products)):
            # An id that no title of its own stands before.
            own = _spaced(self._products[place].title)
            for other, one in enumerate(self._products):
                title = _spaced(one.title)
                if other != place and title != own and f"{title} {chr(_ID + place)}" in read:
                    return Fault("cites another product than it names", one.title[:80], True)
        spoken_of = places or ([] if self._subject is None else [self._subject])
        prices = {_price_of(self._products[place]) for place in spoken_of}
        for amount in re.findall(r"¤\S+", read):
            if amount not in prices:
                return Fault("a price that is not so", amount[1:], True)
        return Fault("in no form of those that are true", sentence[:80], False)


class Sentences:
    """Cuts a stream of text into sentences. The titles of products may hold full stops."""

    def __init__(self, products: Sequence[Shown]) -> None:
        self._text = ""
        self._titles = [
            " ".join(one.title.split()).casefold() for one in products if _ENDED.search(one.title.rstrip(".!?…"))
        ]

    def feed(self, piece: str) -> list[str]:
        """The sentences that have ended."""
        self._text += piece
        return self._cut(is_whole=False)

    def end(self) -> list[str]:
        """What is left."""
        made = self._cut(is_whole=True)
        left, self._text = self._text, ""
        return [*made, left] if left.strip() else made

    def _cut(self, is_whole: bool) -> list[str]:
        made = []
        while (end := self._end(is_whole)) is not None:
            made.append(self._text[:end])
            self._text = self._text[end:]
        return made

    def _end(self, is_whole: bool) -> int | None:
        """Where the first sentence ends; None where what comes next decides it."""
        text = self._text
        for found in _ENDED.finditer(text):
            end = found.end()
            if not text[:end].strip() or (title := self._title_around(text, end, is_whole)):
                continue
            if title is None:
                return None
            if found[0].startswith("\n"):
                return end
            # A citation behind the full stop belongs to the sentence before it, unless another begins with it.
            rest = _BEHIND.match(text, end)
            if rest is None and _CITED_ON.match(text, end):
                continue
            if rest is None:
                return None
            return rest.end(1) if rest[1] is not None and not rest[3].islower() else end
        return None

    def _title_around(self, text: str, end: int, is_whole: bool) -> bool | None:
        """Whether a title goes on behind a place; None where the text may still become one."""
        for title in self._titles:
            for word in re.finditer(r"(?<!\w)\w", text[max(0, end - 2 * len(title)) : end]):
                start = max(0, end - 2 * len(title)) + word.start()
                told = " ".join(text[start:].split()).casefold()
                before = " ".join(text[start:end].split()).casefold()
                if len(before) < len(title) and told.startswith(title):
                    return True
                if not is_whole and title.startswith(told):
                    return None
        return False


def cleaned(sentence: str) -> str:
    """A sentence without what models write around it: emphasis, bullets, numbers of a list."""
    made = _HEADING.sub("", _MARKER.sub("", plain(sentence, 4 * LONGEST_SENTENCE)))
    return " ".join(_EMPHASIS.sub(r"\2", made).split())


@cache
def stems_of(language: str) -> Stems:
    """The stems of a language, as `Bm25` has them."""
    words = Bm25(language, 1.0)

    @lru_cache(maxsize=REMEMBERED)
    def stems(text: str) -> frozenset[int]:
        return frozenset(words.document(text)[0])

    return stems


def _spaced(text: str) -> str:
    """A text in small letters, a space before each word and each mark that says something."""
    said = _PAUSE.sub(" ", _EMPHASIS.sub(r"\2", text))
    return "".join(f" {token}" for token in _TOKEN.findall(said.casefold()))


def _price_of(product: Shown) -> str | None:
    return None if product.price is None or not product.currency else _amount(product.price, product.currency)


def _amount(value: Decimal, currency: str) -> str:
    """An amount as one word, which no text holds."""
    return f"¤{value.normalize():f}{currency}"


def _one_of(patterns: Iterable[str]) -> str:
    return f"(?:{'|'.join(patterns) or _NEVER})"
