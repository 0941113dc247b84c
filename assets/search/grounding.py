"""What an answer may say: each sentence held against the products that it cites, word by word and number by number.

A sentence is published where its words are those of the products that it cites, or claim nothing; where it denies only
what they deny; where its numbers and prices are theirs; and where it names and cites no other product. So what a text
in the catalogue or a question makes a model say is held back like what the model invents by itself.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache, lru_cache

from assets.search.material import Shown
from assets.search.untrusted import plain
from assets.search.vocabulary import SYMBOLS, vocabulary_of
from resources.vectors.bm25 import Bm25

LONGEST_SENTENCE = 600
"""Characters."""
RUN = 6
"""So many words in a row of the prompt are a piece of it."""
REACH = 4
"""A negation denies so many words behind it."""

REMEMBERED = 20_000
"""So many words keep their stems."""

OPENING = 8
"""An opening before a list, with a colon at its end, may have so many words that say nothing of a product."""

Stems = Callable[[str], frozenset[int]]
"""The stems of the words of a text; none of stop words."""

_CITED = re.compile(r"\[([^\[\]]*)\]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_WORD_OR_PAUSE = re.compile(_WORD.pattern + r"|[,;:()\[\]]")
_ONLY = re.compile(r"\W+(?:only|just|só|apenas)\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![^\W_])[^\W_]*\d(?:[^\W_]|[.,/](?=\d))*")
_UNIT = re.compile(r"(?<=\d)(?:mm|cm|m|km|in|inch|ft|ml|cl|l|g|kg|oz|lb|w|v|pcs?|pack|s|st|nd|rd|th)$", re.IGNORECASE)
_DECIMAL = re.compile(r"\d+(?:[.,]\d+)*")
_MASK = "\ue000{}\ue001"
_MASKED = re.compile("\ue000(\\d+)\ue001")
_PAUSE = re.compile("\ue000\\d+\ue001|\\[[^\\[\\]]*\\]")
"""A masked title, or a citation."""
_NAMED = re.compile(_MASKED.pattern + r"[\s\"'’”:,.!?(]*$")
"""A title right before a citation."""
_CURRENCY_BEFORE = re.compile(r"(?:(US\$|R\$|[£$€¥])|\b([A-Z]{3}))\s?$")
_CURRENCY_BEHIND = re.compile(r"^\s?(?:([£$€¥])|([^\W\d_]+))")
_MARKUP = re.compile(
    r"[<>{}\\^~|\ufffd]|https?|www\.|://|\S@\S|\]\s*\(|\b[\w-]+\.(?:com|net|org|io|ru|cn|info|biz|xyz|shop|example|test|link|site|top|app|dev|evil)\b",
    re.IGNORECASE,
)
_EMPHASIS = re.compile(r"[*_`#]+")
_MARKER = re.compile(r"^\s*(?:[-•–·+]\s+|\d{1,2}[.)]\s+)")
_ENDED = re.compile(r"\n+|[.!?…][\"'’”)]*(?=\s)")
_BEHIND = re.compile(r"\s+(?:(\[[^\[\]]*\][.]?)(\s+)(?=(\S))|(?=[^\s\[]))|[ \t]*(?=\n)")
_CITED_ON = re.compile(r"\s+\[[^\[\]]*\][.]?(?=[^\s.])")
"""A citation with which a sentence goes on."""
_PUNCTUATION = frozenset(" .,;:!?()[]'\"’‘“”„«»-–—…/&%+£$€¥°=×\ue000\ue001\n")


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


@dataclass(frozen=True, eq=False)
class _Known:
    """What is known of one product."""

    shown: Shown
    stems: dict[int, frozenset[bool]]
    """Each stem of its texts, with whether it is denied there, or not, or both."""
    words: dict[str, frozenset[bool]]
    """The same for its longer words, by their beginnings."""
    numbers: frozenset[str]
    """Its numbers, and its words with digits in them."""


class _Sentence:
    """A sentence in which the titles of products are masked, and where it cites."""

    def __init__(self, text: str, cited: list[tuple[int, int, tuple[_Known, ...]]], named: list[_Known]) -> None:
        self.text, self.cited, self.named = text, cited, named


class Grounding:
    """Checks the sentences of one answer, in their order."""

    def __init__(
        self,
        products: Sequence[Shown],
        stems: Stems,
        language: str,
        question: str = "",
        prompt: str = "",
        titles_like: Callable[[str], Iterable[tuple[str, str]]] = lambda text: (),
    ) -> None:
        """
        Args:
            products: those that the answer may speak of.
            language: of the shop.
            question: its words may stand in a sentence that says that something is not known.
            prompt: no piece of it is published.
            titles_like: ids and titles of the shop's products that share words with a text.
        """
        self.cited: list[str] = []
        self._vocabulary = vocabulary_of(language)
        self._stems, self._titles_like = stems, titles_like
        self._plain = frozenset(stem for word in self._vocabulary.plain for stem in stems(word))
        self._known = [self._read(product) for product in products]
        self._by_id = {one.shown.product_id: one for one in self._known}
        self._titles = self._patterns()
        self._question = stems(question) if question else frozenset()
        words = _folded(prompt)
        self._prompt = {tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)}
        self._last: tuple[_Known, ...] = ()

    def check(self, sentence: str) -> list[Fault]:
        """What is wrong with a sentence; nothing where it may be published. It remembers what the sentence cites.

        Args:
            sentence: as `cleaned` gives it.
        """
        if len(sentence) > LONGEST_SENTENCE:
            return [Fault("too long", sentence[:80], True)]
        read = self._parsed(sentence)
        if isinstance(read, Fault):
            return [read]
        is_unsure = bool(self._vocabulary.unsure.search(read.text))
        faults = [
            *self._marks(read),
            *self._pieces_of_the_prompt(sentence),
            *self._promises(read, is_unsure),
            *self._others(read, sentence),
            *self._numbers(read, is_unsure),
            *self._comparisons(read),
            *self._words(read, is_unsure),
        ]
        if not faults:
            products = [one for _, _, group in read.cited for one in group]
            self.cited += [one.shown.product_id for one in products if one.shown.product_id not in self.cited]
            self._last = tuple(dict.fromkeys(products)) or tuple(read.named) or self._last
        return faults

    # What is known

    def _read(self, product: Shown) -> _Known:
        denied: dict[int, set[bool]] = defaultdict(set)
        beginnings: dict[str, set[bool]] = defaultdict(set)
        for sentence in re.split(r"[.;!?]", product.text):
            for word, is_denied in self._polar(sentence):
                for stem in self._stems(word[0]):
                    denied[stem].add(is_denied)
                for beginning in _beginnings(word[0]):
                    beginnings[beginning].add(is_denied)
        numbers = {number for text in (product.text, product.product_id) for number in _numbers_of(text)}
        numbers |= {
            str(value)
            for word in _WORD.findall(product.text.casefold())
            if (value := self._vocabulary.numbers.get(word, 0)) > 0
        }
        return _Known(
            product,
            {stem: frozenset(found) for stem, found in denied.items()},
            {word: frozenset(found) for word, found in beginnings.items()},
            frozenset(numbers),
        )

    def _polar(self, text: str) -> Iterator[tuple[re.Match[str], bool]]:
        """The words of a text, each with whether it is denied there."""
        left = 0
        for found in _WORD_OR_PAUSE.finditer(text):
            if not found[0][0].isalpha():
                left = 0
            elif self._vocabulary.negation.fullmatch(found[0]):
                # "Not only" denies nothing.
                left = 0 if _ONLY.match(text, found.end()) else REACH
            else:
                yield found, left > 0
                left -= 1

    def _patterns(self) -> list[tuple[re.Pattern[str], tuple[int, ...]]]:
        """Patterns of the titles, the longest first, each with the products that have it."""
        titles: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, one in enumerate(self._known):
            titles[tuple(_tokens(one.shown.title))].append(place)
        return [
            (
                re.compile(r"(?<!\w)" + r"[\W_]+".join(map(re.escape, words)) + r"(?!\w)", re.IGNORECASE),
                tuple(places),
            )
            for words, places in sorted(titles.items(), key=lambda pair: -len("".join(pair[0])))
            # Of one letter or two, a title is a word like any other.
            if len("".join(words)) > 2
        ]

    # What is said

    def _parsed(self, sentence: str) -> _Sentence | Fault:
        spans: list[tuple[int, ...]] = []

        def mask(found: re.Match[str], places: tuple[int, ...]) -> str:
            spans.append(places)
            return _MASK.format(len(spans) - 1)

        cited = {found[0]: self._resolved(found[1]) for found in _CITED.finditer(sentence)}
        text = sentence
        # What stands in brackets is an id first, even where it is a word of a title too.
        kept = {found: f"[{chr(0xE100 + place)}]" for place, (found, known) in enumerate(cited.items()) if known}
        for found, short in kept.items():
            text = text.replace(found, short)
        for pattern, places in self._titles:
            text = pattern.sub(lambda found, places=places: mask(found, places), text)  # type: ignore[misc]
        named, groups = [self._known[place] for places in spans for place in places], []
        back = {short: cited[found] or () for found, short in kept.items()}
        for bracket in _CITED.finditer(text):
            known = back.get(bracket[0])
            if not known:
                return Fault("cites what was not found", bracket[0], True)
            groups.append((bracket.start(), bracket.end(), tuple(known)))
        for bracket_start, _, products in groups:
            before = _NAMED.search(text, 0, bracket_start)
            if before and not any(self._known[place] in products for place in spans[int(before[1])]):
                return Fault("cites another product than it names", sentence[:80], True)
        # A title that several products have means the one that is cited.
        sure = [one for _, _, group in groups for one in group]
        named = [one for one in named if one in sure] or named
        return _Sentence(text, groups, named)

    def _resolved(self, inside: str) -> tuple[_Known, ...] | None:
        """The products of a citation, which may hold several ids; None where one of them was not found."""
        # In some shops case alone tells two products apart.
        whole = self._by_id.get(inside.strip())
        if whole:
            return (whole,)
        parts = [self._by_id.get(part.strip()) for part in re.split(r"[,;]", inside)]
        return tuple(part for part in parts if part) if all(parts) else None

    def _owners(self, read: _Sentence, start: int) -> tuple[tuple[_Known, ...], bool]:
        """The products that what stands at a place must be true of, and whether of all of them or of any."""
        groups = _joined(read)
        if not groups:
            if read.named:
                return tuple(read.named), False
            if self._last:
                return self._last, len(self._last) > 1 and bool(self._vocabulary.plural.search(read.text))
            return tuple(self._known), False
        behind = [group for group in groups if group[0] >= start]
        before = [group for group in groups if group[1] <= start]
        if not before:
            together = len(groups) > 1 and bool(self._vocabulary.together.search(read.text[: groups[0][0]]))
            return (_all(groups), True) if together else (groups[0][2], True)
        if not behind:
            tail = _WORD.search(read.text, before[-1][1])
            together = len(groups) > 1 and tail is not None and bool(self._vocabulary.plural.fullmatch(tail[0]))
            return (_all(groups), True) if together else (before[-1][2], True)
        between = list(self._vocabulary.splitters.finditer(read.text, before[-1][1], behind[0][0]))
        if not between:
            return (*before[-1][2], *behind[0][2]), False
        return (before[-1][2] if start < between[-1].start() else behind[0][2]), True

    # What may be wrong

    def _marks(self, read: _Sentence) -> Iterable[Fault]:
        found = _MARKUP.search(read.text)
        if found:
            yield Fault("markup or an address", found[0], True)
        for mark in read.text:
            if not (mark.isalnum() or mark in _PUNCTUATION or "\ue100" <= mark <= "\uf8ff"):
                yield Fault("a sign that is none of a sentence", mark, False)
                return

    def _pieces_of_the_prompt(self, sentence: str) -> Iterable[Fault]:
        words = _folded(sentence)
        for at in range(len(words) - RUN + 1):
            if tuple(words[at : at + RUN]) in self._prompt:
                yield Fault("a piece of the prompt", " ".join(words[at : at + RUN]), True)
                return

    def _promises(self, read: _Sentence, is_unsure: bool) -> Iterable[Fault]:
        found = self._vocabulary.promises.search(read.text)
        if found and not (is_unsure and self._stems(found[0]) <= self._question):
            yield Fault("a promise", found[0], True)
        found = self._vocabulary.praise.search(read.text)
        if found:
            yield Fault("praise", found[0], False)

    def _others(self, read: _Sentence, sentence: str) -> Iterable[Fault]:
        """Titles of products that were not found, written out, be it around one that was found."""
        known = [f" {' '.join(_folded(one.shown.title))} " for one in self._known]
        for told, is_around in ((read.text, False), *([(sentence, True)] if _MASKED.search(read.text) else [])):
            parts = [_tokens(part) for part in _PAUSE.sub("\n", told).split("\n")]
            if sum(map(len, parts)) < 2:
                continue
            # No title goes on over a citation.
            words = [word for part in parts for word in (*part, "|")]
            text = f" {' '.join(words)} ".casefold()
            for product, title in self._titles_like(_PAUSE.sub(" ", told)):
                own = _tokens(plain(title, LONGEST_SENTENCE))
                name = f" {' '.join(own)} ".casefold()
                if product in self._by_id or len(own) < 2 or name not in text:
                    continue
                if is_around and not any(short in name for short in known):
                    continue
                # A product may be called by a part of its title, which another product has as the whole of its own.
                if any(self._stems(title) <= one.stems.keys() for one in self._known):
                    continue
                place = text[: text.index(name)].count(" ")
                is_name = any(word[0].isupper() for word in words[max(1, place) : place + len(own)])
                if is_name or len(own) > 2:
                    yield Fault("names a product that was not found", title[:80], True)
                    return

    def _numbers(self, read: _Sentence, is_unsure: bool) -> Iterable[Fault]:
        for found in _NUMBER.finditer(read.text):
            start, end = found.span()
            if _is_inside(_MASKED, read.text, start):
                continue
            owners, all_of_them = self._owners(read, start)
            quantifier = all if all_of_them else any
            behind, before = read.text[end:], read.text[:start]
            currency, value = self._currency(before, behind), _value(found[0])
            before = _CURRENCY_BEFORE.sub("", before)
            bound = -1 if self._vocabulary.below.search(before) else 1 if self._vocabulary.above.search(before) else 0
            is_price = currency is not None or bool(self._vocabulary.price.search(before))
            if value is not None and (is_price or bound):
                if quantifier(_fits(one.shown, value, currency, bound) for one in owners):
                    continue
                if is_price:
                    yield Fault("a price that is not so", before[-20:] + found[0] + behind[:8], True)
                    continue
            own = _numbers_of(found[0])
            if quantifier(own <= one.numbers or (value is not None and one.shown.price == value) for one in owners):
                continue
            if is_unsure and self._stems(found[0]) <= self._question:
                continue
            yield Fault("a number that is not so", found[0], True)
        for word in _WORD.finditer(read.text):
            value_of = self._vocabulary.numbers.get(word[0].casefold())
            if value_of is None:
                continue
            owners, all_of_them = self._owners(read, word.start())
            stems = self._stems(word[0])
            quantifier = all if all_of_them else any
            if quantifier(
                (bool(stems) and stems <= one.stems.keys()) or str(value_of) in one.numbers for one in owners
            ):
                continue
            cited = {one.shown.product_id for _, _, group in read.cited for one in group}
            if value_of > 0 and (value_of == len(cited) if cited else value_of <= len(self._known)):
                continue
            yield Fault("a number that is not so", word[0], True)

    def _currency(self, before: str, behind: str) -> str | None:
        """The currency that stands beside a number."""
        found = _CURRENCY_BEFORE.search(before)
        if found:
            return SYMBOLS.get(found[1]) if found[1] else self._code(found[2])
        found = _CURRENCY_BEHIND.search(behind)
        if found is None:
            return None
        return (
            SYMBOLS[found[1]] if found[1] else self._vocabulary.money.get(found[2].casefold()) or self._code(found[2])
        )

    def _code(self, word: str) -> str | None:
        known = {*SYMBOLS.values(), *(one.shown.currency for one in self._known)}
        return word if word in known else None

    def _comparisons(self, read: _Sentence) -> Iterable[Fault]:
        """Who is cheapest, and who is cheaper than whom."""
        words = self._vocabulary
        for pattern, is_low in ((words.cheapest, True), (words.dearest, False)):
            found = pattern.search(read.text)
            if found and not self._is_extreme(self._owners(read, found.start())[0], is_low):
                yield Fault("a comparison that is not so", found[0], True)
                return
            if found:
                return
        for pattern, is_low in ((words.cheaper, True), (words.dearer, False)):
            found = pattern.search(read.text)
            if found is None:
                continue
            groups = _joined(read)
            one = self._owners(read, found.start())[0] if groups else self._last
            other = _all(group for group in groups if group[2] != one) or (self._last if groups else ())
            mine, theirs = _prices(one), _prices(other)
            if mine and theirs and len({each.shown.currency for each in (*one, *other)}) == 1:
                low, high = (mine, theirs) if is_low else (theirs, mine)
                if max(low) < min(high):
                    continue
            yield Fault("a comparison that is not so", found[0], True)

    def _is_extreme(self, owners: Sequence[_Known], is_low: bool) -> bool:
        prices = _prices(self._known)
        if not prices or len({one.shown.currency for one in self._known}) > 1:
            return False
        best = min(prices) if is_low else max(prices)
        return any(one.shown.price == best for one in owners)

    def _words(self, read: _Sentence, is_unsure: bool) -> Iterable[Fault]:
        wish = self._vocabulary.wish.match(read.text)
        opening = wish.end() if wish and read.cited and wish.end() <= read.cited[0][0] else 0
        needed: dict[tuple[tuple[_Known, ...], bool], list[tuple[str, frozenset[int], bool]]] = defaultdict(list)
        for found, is_denied in self._polar(read.text):
            word = found[0]
            stems = self._stems(word) - self._plain
            is_number = word.casefold() in self._vocabulary.numbers
            is_money = word.casefold() in self._vocabulary.money or self._code(word) is not None
            is_money |= read.text[found.end() : found.end() + 1] == "$"
            if not stems or is_number or is_money or self._is_of_prices(read.text, found):
                continue
            # What was wished for may be said again, but not with a name in it.
            if (is_unsure or found.end() <= opening) and stems <= self._question:
                continue
            needed[self._owners(read, found.start())].append((word, stems, is_denied))
        is_opening = read.text.endswith(":") and len(read.text.split()) <= OPENING
        if not (needed or read.named or is_unsure or is_opening or self._has_figures(read.text)):
            # Plain words alone can say what is no answer, too.
            yield Fault("nothing of a product", read.text[:80], False)
        for (owners, all_of_them), words in needed.items():
            missing = [
                [
                    word
                    for word, stems, is_denied in words
                    if not self._is_said(one, word, stems, None if is_unsure else is_denied)
                ]
                for one in owners
            ]
            is_fine = all(not each for each in missing) if all_of_them else any(not each for each in missing)
            if not is_fine:
                yield Fault(
                    "words that no product has", " ".join(sorted((each for each in missing if each), key=len)[0]), False
                )

    def _is_said(self, one: _Known, word: str, stems: frozenset[int], is_denied: bool | None) -> bool:
        """Whether a product's texts have a word, denied or not; None: whichever."""
        told = [one.stems.get(stem, frozenset()) for stem in stems]
        if not all(told):
            # Romantic is what is a romance.
            told = [found for beginning in _beginnings(word) if (found := one.words.get(beginning))][:1]
        return bool(told) and all(each and (is_denied is None or is_denied in each) for each in told)

    def _has_figures(self, text: str) -> bool:
        """Whether it tells a number or compares prices, which are judged by themselves."""
        return bool(_NUMBER.search(_MASKED.sub(" ", text))) or any(
            pattern.search(text) for pattern in self._vocabulary.comparisons
        )

    def _is_of_prices(self, text: str, word: re.Match[str]) -> bool:
        """Whether a word belongs to a comparison of prices, which is judged by itself."""
        return any(
            found.start() <= word.start() < found.end()
            for pattern in self._vocabulary.comparisons
            for found in pattern.finditer(text)
        )


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
    made = _MARKER.sub("", plain(sentence, 4 * LONGEST_SENTENCE))
    # In brackets stand ids, which may hold any sign.
    parts = re.split(r"(\[[^\[\]]*\])", made)
    return " ".join("".join(part if part.startswith("[") else _EMPHASIS.sub("", part) for part in parts).split())


@cache
def stems_of(language: str) -> Stems:
    """The stems of a language, as `Bm25` has them."""
    words = Bm25(language, 1.0)

    @lru_cache(maxsize=REMEMBERED)
    def stems(text: str) -> frozenset[int]:
        return frozenset(words.document(text)[0])

    return stems


def _beginnings(word: str) -> list[str]:
    """What a longer word has in common with those that are made of the same: five letters and more, all but three."""
    word = word.casefold()
    return [word[:size] for size in range(len(word), max(len(word) - 4, 4), -1)] if len(word) >= 6 else []


def _joined(read: _Sentence) -> list[tuple[int, int, tuple[_Known, ...]]]:
    """The citations of a sentence; those with nothing but a comma or an "and" between them are one."""
    made: list[tuple[int, int, tuple[_Known, ...]]] = []
    for start, end, products in read.cited:
        between = read.text[made[-1][1] : start] if made else "-"
        if made and not re.sub(r"\b(?:and|or|e|ou)\b|[,;&\s]", "", between):
            made[-1] = (made[-1][0], end, (*made[-1][2], *products))
        else:
            made.append((start, end, products))
    return made


def _all(groups: Iterable[tuple[int, int, tuple[_Known, ...]]]) -> tuple[_Known, ...]:
    return tuple(one for _, _, group in groups for one in group)


def _prices(products: Sequence[_Known]) -> list[Decimal]:
    """The prices of products; none where one of them has none."""
    prices = [one.shown.price for one in products if one.shown.price is not None]
    return prices if len(prices) == len(products) else []


def _tokens(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def _folded(text: str) -> list[str]:
    return [word.casefold() for word in _tokens(text)]


def _numbers_of(text: str) -> set[str]:
    """The numbers of a text by their values, those with a unit too, and its words with digits as they are."""
    made = set()
    for found in _NUMBER.findall(text):
        value = _value(_UNIT.sub("", found))
        made.add(found.casefold() if value is None else f"{value.normalize():f}")
    return made


def _value(written: str) -> Decimal | None:
    """The value of a number, as it is written in English or with a comma for the point."""
    found = _DECIMAL.fullmatch(written)
    if found is None:
        return None
    whole = written
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", written):
        whole = written.replace(",", "")
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+", written):
        whole = written.replace(".", "").replace(",", ".")
    elif written.count(",") == 1 and "." not in written:
        whole = written.replace(",", ".")
    try:
        return Decimal(whole)
    except InvalidOperation:
        return None


def _fits(product: Shown, value: Decimal, currency: str | None, bound: int) -> bool:
    """Whether a product has this price, or one below (-1) or above (1) it."""
    if product.price is None or (currency is not None and currency != product.currency):
        return False
    if bound:
        return product.price <= value if bound < 0 else product.price >= value
    return product.price == value


def _is_inside(pattern: re.Pattern[str], text: str, place: int) -> bool:
    return any(found.start() <= place < found.end() for found in pattern.finditer(text))
