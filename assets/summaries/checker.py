"""Whether a text about a day may be published: every word that claims something is held against the facts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from assets.summaries.facts import AGAINST, METRICS, DayFacts, Fact
from assets.summaries.formatting import PLACEHOLDER
from assets.summaries.lexicon import Lexicon, lexicon_of
from assets.summaries.reading import Item, Sentence, read, sentences
from assets.summaries.vocabulary import Names, countries

LONGEST = 2_000
"""So many characters a text may have."""
MOST_SENTENCES = 12
FEWEST_WORDS = 4
SMALL, LARGE = 0.10, 0.15
"""A change of at most SMALL is slight, one of at least LARGE is sharp."""
SMALL_POINTS, LARGE_POINTS = 0.03, 0.03
SMALL_DIFFERENCE, LARGE_DIFFERENCE = 0.3, 0.3
EXACT, NEAR = 0.005, 0.03
"""A change below EXACT is none; within NEAR a figure is steady."""

_MARKUP = re.compile(
    r"https?:|www\.|\b[\w-]+\.(?:com|net|org|io|html?|example|br|shop)\b|[\w.]+@\w|[<>`*#|\[\]\\^~=_$€£¥%@§]"
    r"|^\s*[-•+]\s",
    re.IGNORECASE | re.MULTILINE,
)
_ELSEWHEN = {
    "last",
    "previous",
    "before",
    "earlier",
    "every",
    "each",
    "next",
    "passada",
    "passado",
    "anterior",
    "toda",
    "todo",
    "cada",
}
"""Beside a weekday they say that it is not the day's."""
_ORDINALS = {"second": 2, "third": 3, "terceiro": 3, "terceira": 3}
_ALONE = {"only", "just", "solely", "exclusively", "só", "apenas", "somente", "exclusivamente"}
_LETTERS = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Fault:
    """What is wrong in a text.

    Attributes:
        kind: direction, reference, metric, number, product, name, date, anomaly, strength and so on.
        said: one sentence to who wrote it.
        at: the words.
    """

    kind: str
    said: str
    at: str


def check(text: str, facts: DayFacts, names: Names) -> list[Fault]:
    """What is wrong in a text with `{id}`s; empty where it may be published.

    English and Portuguese are judged. In other languages only the narrator's own text passes, for no word of
    them is understood here.
    """
    lexicon = lexicon_of(facts.language)
    if lexicon is None:
        return _only_the_narrator(text, facts)
    faults = list(_form(text, facts))
    if faults:
        return faults
    faults += _names(text, names, lexicon)
    read_sentences = read(text, facts, lexicon)
    named = [item for sentence in read_sentences for item in sentence.items]
    context = _Context(told=_named(named))
    for sentence in read_sentences:
        faults += _words(sentence, facts)
        faults += _unknown(sentence, lexicon)
        faults += _Reader(facts, lexicon, context).read(sentence)
    return faults


def _only_the_narrator(text: str, facts: DayFacts) -> list[Fault]:
    from assets.summaries.narration import narrate

    if text == narrate(facts):
        return []
    return [Fault("language", f"No text in {facts.language!r} can be judged: the narrator writes it.", text[:60])]


def _form(text: str, facts: DayFacts) -> Iterator[Fault]:
    """What needs no understanding: length, digits, ids, markup."""
    if not _LETTERS.search(PLACEHOLDER.sub(" ", text)) or len(PLACEHOLDER.sub("x", text).split()) < FEWEST_WORDS:
        yield Fault("length", "Write whole sentences about the day.", text[:60])
        return
    if len(text) > LONGEST or len(sentences(text)) > MOST_SENTENCES:
        yield Fault("length", "Write 3 to 6 sentences.", text[-60:])
        return
    found = PLACEHOLDER.findall(text)
    for identifier in found:
        if identifier not in facts.facts:
            said = f"{{{identifier}}} is no fact of this day: use only the ids that are listed."
            yield Fault("unknown_id", said, f"{{{identifier}}}")
    if not found:
        yield Fault("length", "Write the figures of the day by their ids in braces.", text[:60])
    bare = PLACEHOLDER.sub(" ", text)
    if re.search(r"[{}]", bare):
        yield Fault("unknown_id", "Write an id in one pair of braces and nothing else in braces.", text[:60])
    if markup := _MARKUP.search(bare):
        yield Fault("markup", "Write plain text without markup, symbols or addresses.", markup[0])
    for letter in bare:
        category = unicodedata.category(letter)
        if category[0] == "N":
            yield Fault("digit", "Write no digits: every number stands as its id in braces.", letter)
            return
        if category in ("Cc", "Cf", "Co", "Cs", "Cn", "So") and letter not in "\n\u200b":
            yield Fault("markup", "Write plain letters and punctuation.", repr(letter))
            return
        if category[0] == "L" and not unicodedata.name(letter, "").startswith(("LATIN", "FEMININE", "MASCULINE")):
            yield Fault("language", f"Write in the language {facts.language!r} with Latin letters.", letter)
            return


def _unknown(sentence: Sentence, lexicon: Lexicon) -> Iterator[Fault]:
    """Words of which nothing is known: they may name a product or a circumstance, or say a direction."""
    for item in sentence.items:
        if item.tag == "word" and not lexicon.is_plain(item.value):
            yield Fault("unknown_word", "Write plain words about the figures of the facts alone.", item.said)


def _names(text: str, names: Names, lexicon: Lexicon) -> Iterator[Fault]:
    """Products, categories and countries in clear text, and words with a large letter that begin no sentence."""
    for sentence in sentences(text):
        bare = PLACEHOLDER.sub(" . ", sentence)
        if place := countries(lexicon.language).found(bare):
            yield Fault("name", "Write a country only by its id in braces, and none that has no id.", place)
        if name := names.found(bare):
            yield Fault("name", "Write a product or category only by its id in braces, and none that has no id.", name)
        for found in re.finditer(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", sentence):
            word = found[0]
            if PLACEHOLDER.search(sentence, max(0, found.start() - 1)) and _in_braces(sentence, found.start()):
                continue
            is_first = not _LETTERS.search(sentence[: found.start()]) and "{" not in sentence[: found.start()]
            if (word[0].isupper() and word not in ("I",) and not is_first and not _is_dated(word, lexicon)) or (
                is_first and len(word) > 1 and word[1:].isupper()
            ):
                yield Fault("name", "Write no names of your own; products and countries stand as ids.", word)


def _in_braces(sentence: str, at: int) -> bool:
    return sentence.rfind("{", 0, at) > sentence.rfind("}", 0, at)


def _is_dated(word: str, lexicon: Lexicon) -> bool:
    """Whether it is a weekday or a month, which are judged as such."""
    entry = lexicon.longest(word.lower(), 0)
    return entry is not None and entry[0] in ("weekday", "month")


def _words(sentence: Sentence, facts: DayFacts) -> Iterator[Fault]:
    """Words that a summary may not have whatever the facts, and dates that are not the day's."""
    said = {
        "cause": "State no causes and no assumptions: the facts do not hold them.",
        "circumstance": "Speak only of what the facts hold, not of circumstances around them.",
        "forecast": "State nothing about the future.",
        "advice": "Give no advice and no judgement of what matters.",
        "superlative": "Compare the day only with the references of the facts, not with other times.",
        "other_shops": "Speak of no other shops.",
        "number_word": "Write no numbers or quantities in words: every number stands as its id in braces.",
        "wrong_date": "Name no times but those of the facts, as their ids.",
        "instruction": "Write the summary alone.",
    }
    for at, item in enumerate(sentence.items):
        near = {other.said.lower() for other in sentence.items[max(0, at - 1) : at + 2]}
        if item.tag == "weekday" and near & _ELSEWHEN:
            yield Fault("wrong_date", said["wrong_date"], item.said)
        rank = _ORDINALS.get(item.said.lower())
        if rank is not None:
            held = [(abs(other.start - item.start), other) for other in sentence.items if other.is_product]
            earlier = [other for _, other in held if other.start < item.start]
            nearest = earlier[-1] if earlier else min(held, key=lambda pair: pair[0])[1] if held else None
            if nearest is None or nearest.role is None or nearest.role[1] != rank:
                yield Fault("number_word", said["number_word"], item.said)
        after = sentence.items[at + 1] if at + 1 < len(sentence.items) else None
        is_named = after is not None and after.fact is not None and after.fact.kind in ("product", "country")
        if item.said.lower() in _ALONE and is_named:
            yield Fault("superlative", "Do not say that it was the only one.", item.said)
        if item.tag == "forbidden":
            yield Fault(item.value, said[item.value], item.said)
        elif (item.tag == "month" and int(item.value) != facts.day.month) or (
            item.tag == "weekday" and int(item.value) != facts.day.weekday()
        ):
            yield Fault("wrong_date", said["wrong_date"], item.said)


def _is_product(item: Item) -> bool:
    """Whether it is the word product."""
    return item.value in ("product", "products", "produto", "produtos", "seller", "one")


def _number(fact: Fact | None) -> float:
    return 0.0 if fact is None or isinstance(fact.value, str | date) else float(fact.value)


def _told(item: Item) -> str:
    """What a fact is held against, or of which day it is, in words."""
    assert item.fact is not None and item.fact.against is not None
    return AGAINST[item.fact.against]


def _brings(noun: Item, between: Sequence[Item]) -> bool:
    """Whether money is what a count of something brought in: `{orders} orders worth {revenue}`."""
    counted = noun.metrics & {"orders", "customers", "sessions", "purchases", "units", "views", "carts"}
    words = ("at", "on", "of", "em", "de")
    return bool(counted) and any(each.tag == "yields" and each.said.lower() not in words for each in between)


@dataclass
class _Context:
    """What a sentence takes from those before it."""

    subjects: list[Item] = field(default_factory=list)
    mentions: list[Item] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    product: Item | None = None
    told: Sequence[str] = ()
    """The references that the text names anywhere."""


def _named(items: Iterable[Item]) -> list[str]:
    """The references that are named, by words, dates or facts."""
    made = []
    for item in items:
        if item.reference:
            made.append(str(item.reference))
        elif item.fact is not None and item.fact.against is not None and item.fact.metric is not None:
            made.append(str(item.fact.against))
    return list(dict.fromkeys(made))


@dataclass
class _Reader:
    """Reads the claims of a sentence, clause by clause, and holds them against the facts."""

    facts: DayFacts
    lexicon: Lexicon
    context: _Context
    clause: list[Item] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    sentence: list[Item] = field(default_factory=list)

    def read(self, sentence: Sentence) -> list[Fault]:
        self.sentence = list(sentence.items)
        for clause in sentence.clauses:
            self.clause = clause
            self._labels()
            self._products()
            self._countries()
            self._directions()
            self._levels()
            self._paces()
            self._grades()
            self._anomalies()
            self._nothing()
            self._remember()
        self._superlatives(sentence)
        self._remember_sentence()
        return self.faults

    def _fault(self, kind: str, said: str, *items: Item) -> None:
        start = min((item.start for item in items), default=0)
        self.faults.append(Fault(kind, said, " ".join(item.said for item in items) if start >= 0 else ""))

    # Where a word belongs

    def _next(self, at: int, skip: Sequence[str] = ()) -> int | None:
        """The place of the next item whose tag or value is not skipped; None at the end."""
        for place in range(at + 1, len(self.clause)):
            if self.clause[place].tag not in skip and self.clause[place].value not in skip:
                return place
        return None

    def _previous(self, at: int, skip: Sequence[str] = ()) -> int | None:
        for place in range(at - 1, -1, -1):
            if self.clause[place].tag not in skip and self.clause[place].value not in skip:
                return place
        return None

    def _is_mention(self, item: Item) -> bool:
        """Whether something is said of it: a metric, a product."""
        return (
            bool(item.metrics - {"day"}) or item.is_product or (item.fact is not None and item.fact.id == "top_country")
        )

    def _group(self, at: int, step: int) -> list[Item]:
        """The mention at a place and those that stand beside it in a list, in the order of the text."""
        held = [self.clause[at]]
        place = at
        while True:
            between = place + step
            joined = False
            while 0 <= between < len(self.clause) and (
                self.clause[between].tag == "and"
                or self.clause[between].said == ","
                or self.clause[between].value == "article"
            ):
                joined = joined or self.clause[between].value != "article"
                between += step
            if not joined or not 0 <= between < len(self.clause):
                break
            other = self.clause[between]
            if (
                other.tag != self.clause[at].tag
                or not self._is_mention(other)
                or other.is_product != held[0].is_product
            ):
                break
            beside = [self.clause[each] for each in (between - 1, between + 1) if 0 <= each < len(self.clause)]
            if any(each.tag == "more" and self.clause[at] is not each for each in beside):
                # It has a direction of its own: `more orders and a smaller basket`.
                break
            held.append(other)
            place = between
        return held if step > 0 else held[::-1]

    def _subjects(self, at: int) -> list[Item]:
        """What a direction is said of."""
        item = self.clause[at]
        if item.tag == "more":
            after = self._next(at, ("strength", "article", "word", "of"))
            if after is not None and self.clause[after].tag == "metric" and "day" not in self.clause[after].metrics:
                return self._group(after, 1)
        if item.tag == "rise":
            if at > 0 and self.clause[at - 1].tag == "metric" and "day" not in self.clause[at - 1].metrics:
                return self._group(at - 1, -1)
            for place in range(at + 1, len(self.clause)):
                other = self.clause[place]
                if (other.is_direction and other.tag != "place") or other.tag == "comma":
                    break
                if other.tag == "metric" and "day" not in other.metrics:
                    before = self._previous(place, ("article", "word", "all"))
                    if before is not None and (
                        self.clause[before].tag in ("time",) or self.clause[before].value in ("of", "weak")
                    ):
                        return self._group(place, 1)
                    break
        for place in range(at - 1, -1, -1):
            other = self.clause[place]
            if other.tag == "all":
                return [other]
            if self._is_mention(other) and not other.is_change:
                return self._group(place, -1)
        for place in range(at + 1, len(self.clause)):
            other = self.clause[place]
            if (self._is_mention(other) and not other.is_change) or other.tag == "all":
                return self._group(place, 1)
        if self.context.product is not None and any(_is_product(other) for other in self.clause):
            return [self.context.product]
        for other in [*self.clause[:at][::-1], *self.clause[at + 1 :]]:
            if other.metrics == {"day"}:
                return [other]
        words = [other for other in self.clause[:at] if other.tag == "word"]
        return self.context.subjects if all(other.value in self.lexicon.pronouns for other in words) else []

    def _is_bare(self, at: int) -> bool:
        """Whether a reference stands as a time or as what is spoken of, not as what is compared with."""
        if re.search(
            r"\b(day|week)[- ](on|over|to)[- ]|dia a dia|dia contra|contra semana", self.clause[at].said.lower()
        ):
            return False
        before = self._previous(at, ("article", "weekday", "and") if self.lexicon.language == "en" else ("article",))
        if before is None:
            return True
        other = self.clause[before]
        if other.tag == "comma" or (other.reference and before == at - 1):
            further = self._previous(before, ("comma",))
            return further is None or self.clause[further].reference is None or self._is_bare(further)
        if other.tag == "and":
            further = self._previous(before, ("article",))
            return further is None or self.clause[further].reference is None or self._is_bare(further)
        if other.tag == "time":
            if self.lexicon.language != "en":
                return True
            further = self._previous(before, ("strength",))
            if further is None:
                return True
            last = self.clause[further]
            figures = ("level", "levels", "figure", "figures", "number", "numbers", "value", "total", "count", "result")
            return not (last.tag in ("verb", "rise") or last.is_change or last.value in figures)
        if other.tag == "comparator" or other.tag in ("level", "place", "verb", "reach", "pace", "negation", "band"):
            return False
        if other.tag == "bound":
            return False
        return other.value not in ("of", "weak")

    # What is said of a number

    def _labels(self) -> None:
        """Each value against the noun and the reference that stand with it."""
        for at, item in enumerate(self.clause):
            if item.role is not None:
                self._product_label(at, item)
            elif item.is_value or item.is_then or item.is_band:
                self._value_label(at, item)
            if item.fact is not None and item.fact.kind not in ("product", "country", "date"):
                self._bounds(at, item)
            if item.is_then:
                self._then(at, item)
            if item.is_value:
                self._value_time(at, item)

    def _bounds(self, at: int, item: Item) -> None:
        if at == 0 or item.is_then or item.is_band:
            return
        near = self._previous(at, ("article",))
        if near is None:
            return
        before = self.clause[near]
        bounds = before.tag == "bound" or (before.tag == "more" and item.is_value)
        if bounds and before.said.lower() not in ("up to", "close to"):
            self._fault(
                "bound", "The facts are exact: do not write over, under, nearly or more than before them.", before, item
            )

    def _noun_after(self, at: int) -> Item | None:
        """The noun of a value that stands right behind it, or that it is said to be: `{orders} was the number of`."""
        first = self._next(at)
        if first is not None and self.clause[first].value == "auxiliary":
            beyond = self._next(first, ("article",))
            if beyond is not None and self.clause[beyond].tag == "metric" and "day" not in self.clause[beyond].metrics:
                return self.clause[beyond]
        after = self._next(at, ("word", "time", "of", "weak", "more", "article", "strength"))
        if after is None or after - at > 3:
            return None
        item = self.clause[after]
        between = self.clause[at + 1 : after]
        if any(other.value == "article" for other in between) and not any(
            other.value in ("of", "weak") or other.tag == "time" for other in between
        ):
            return None
        return item if item.tag == "metric" and "day" not in item.metrics else None

    def _value_label(self, at: int, item: Item) -> None:
        assert item.fact is not None
        metric = str(item.fact.metric) if item.fact.metric else item.fact.id.split("_band_")[0]
        noun = self._noun_after(at)
        shares = {"view_to_cart": {"views", "carts"}, "cart_to_purchase": {"carts", "purchases"}}
        whole = {"view_to_cart": "views", "cart_to_purchase": "carts"}.get(metric)
        if whole is not None and self._is_of_another(at, whole):
            self._fault("metric", f"{{{item.fact.id}}} is a share of the {whole}.", item)
            return
        if noun is not None and not item.is_band:
            if metric not in noun.metrics and not noun.metrics & shares.get(metric, set()):
                self._fault("metric", f"{{{item.fact.id}}} is not the number of {noun.said}.", item, noun)
            return
        if self._is_respective(at, item):
            return
        if metric in shares and any(other.tag == "metric" and other.metrics & shares[metric] for other in self.clause):
            rates = [other for other in self.clause[:at] if other.tag == "metric" and other.metrics & shares.keys()]
            later = any(other.tag == "metric" and other.metrics & shares[metric] for other in self.clause[at + 1 :])
            of = any(
                other.tag == "metric" and other.metrics & shares[metric] and place > 0 and self._is_of(place)
                for place, other in enumerate(self.clause[:at])
            )
            if (later or of) and (not rates or metric in rates[-1].metrics):
                return
        for place in range(at - 1, -1, -1):
            other = self.clause[place]
            held = other.metrics - {"day"}
            if other.is_band and other.fact is not None:
                held = frozenset({other.fact.id.split("_band_")[0]})
            if not held:
                continue
            if metric in held:
                spoken = self._speaks_of("reviews", "rating") or self._spoke_of("reviews", "rating")
                if other.value == "rating basket" and (metric == "rating") != spoken:
                    self._fault("metric", f"{{{item.fact.id}}} is not that average.", other, item)
                return
            if other.tag == "metric" and not self._is_taken(place):
                between = self.clause[place + 1 : at]
                if metric == "revenue" and _brings(other, between):
                    return
                if any(metric in each.metrics for each in self.clause[:place]):
                    return
                self._fault("metric", f"{{{item.fact.id}}} is not {other.said}.", other, item)
                return
            if metric == "revenue":
                return
        nouns = [other for other in self.clause[at + 1 :] if other.metrics - {"day"} and other.tag == "metric"]
        if any(metric in other.metrics for other in nouns):
            return
        if metric == "revenue" and (not nouns or self._is_taken(self.clause.index(nouns[0]))):
            return
        if metric == "products_sold" and any(_is_product(other) for other in self.clause):
            return
        if any(metric in other.metrics for other in (*self.context.subjects, *self.context.mentions)):
            return
        self._fault("metric", f"Say what {{{item.fact.id}}} is: its noun stands nowhere near.", item)

    def _speaks_of(self, *metrics: str) -> bool:
        """Whether the clause has a noun of one of the metrics alone."""
        return any(
            item.tag == "metric" and len(item.metrics) == 1 and item.metrics & set(metrics) for item in self.clause
        )

    def _spoke_of(self, *metrics: str) -> bool:
        """Whether the clause has no nouns of its own and the sentence before had one of the metrics."""
        own = any(item.tag == "metric" and len(item.metrics) == 1 and "day" not in item.metrics for item in self.clause)
        return not own and any(item.metrics & set(metrics) for item in self.context.mentions)

    def _is_of_another(self, at: int, whole: str) -> bool:
        """Whether a share is said to be of something else than what it is of."""
        for place, other in enumerate(self.clause):
            between = self.clause[min(place, at) + 1 : max(place, at)]
            if place > at:
                is_near = len(between) <= 2 and bool(between) and between[0].value in ("of", "weak")
            else:
                is_near = not any(each.fact is not None or each.tag == "and" for each in between)
            if other.tag == "metric" and is_near and self._is_of(place) and len(other.metrics) == 1:
                counted = other.metrics & {
                    "orders",
                    "customers",
                    "units",
                    "sessions",
                    "views",
                    "carts",
                    "purchases",
                    "reviews",
                }
                if counted and whole not in counted:
                    return True
        return False

    def _is_of(self, at: int) -> bool:
        """Whether a noun stands as what something is a part of: `of the carts`, `of {carts} carts`."""
        before = self._previous(at, ("article", "fact"))
        return before is not None and self.clause[before].said.lower() in ("of", "de", "dos", "das", "do", "da")

    def _is_taken(self, at: int) -> bool:
        """Whether a noun has its value right before it: `{orders} orders`."""
        before = self._previous(at, ("word", "time", "of", "weak", "more", "article", "strength"))
        return before is not None and at - before <= 3 and (self.clause[before].is_value or self.clause[before].is_then)

    def _is_respective(self, at: int, item: Item) -> bool:
        """Whether values in a list stand for the nouns of a list before them, one for one."""
        values = [place for place, other in enumerate(self.clause) if other.is_value]
        if at not in values or len(values) < 2:
            return False
        nouns = [
            other
            for place, other in enumerate(self.clause)
            if place < values[0] and other.tag == "metric" and "day" not in other.metrics
        ]
        if len(nouns) != len(values) or len(nouns) < 2:
            return False
        return bool(item.metrics & nouns[values.index(at)].metrics)

    def _then(self, at: int, item: Item) -> None:
        """A value of another day has to be told as one, and of the right one."""
        assert item.fact is not None
        own = str(item.fact.against)
        named = self._own_reference(at)
        if named is not None and named.reference != own and named.date != own:
            self._fault("reference", f"{{{item.fact.id}}} is of {_told(item)}.", item, named)
            return
        before = self._previous(at, ("article", "bound", "metric", "strength"))
        introduced = named is not None
        if before is not None:
            other = self.clause[before]
            introduced = introduced or (other.tag == "comparator" and other.value != "weak")
            introduced = introduced or other.is_direction or other.tag in ("reach", "level", "pace")
            introduced = introduced or (other.is_then and own == str(other.fact.against if other.fact else ""))
            introduced = introduced or (other.tag == "and" and any(each.is_then for each in self.clause[:before]))
            if other.value == "weak":
                rest = self.clause[at + 1 :]
                introduced = introduced or any(each.said.lower() in ("para", "a") for each in rest)
        introduced = introduced or any(
            each.said.lower() in ("had", "been", "sido", "tinha", "tinham", "havia", "era", "eram")
            for each in self.clause[:at]
        )
        when = [place for place in range(at) if self.clause[place].said.lower() in ("when", "where", "quando", "onde")]
        introduced = introduced or any(each.reference == own for place in when for each in self.clause[:place])
        introduced = introduced or any(
            each.is_then and each.fact and each.fact.against == own for each in self.clause[:at]
        )
        if not introduced:
            self._fault("reference", f"Say that {{{item.fact.id}}} is of {_told(item)}.", item)

    def _own_reference(self, at: int) -> Item | None:
        """The reference that stands with a value or a change: behind it, else before it, with no number between."""
        near = self._previous(at, ("article", "s"))
        if near is not None and self.clause[near].tag == "reference":
            return self.clause[near]
        for place in range(at + 1, len(self.clause)):
            other = self.clause[place]
            if other.reference or other.date:
                return other
            if (
                (other.fact is not None and other.fact.kind not in ("product", "country"))
                or other.tag == "comma"
                or other.is_direction
            ):
                break
        for place in range(at - 1, -1, -1):
            other = self.clause[place]
            if other.reference or other.date == "day":
                return other if self._is_bare(place) and other.reference else None
            if other.fact is not None or other.is_direction:
                break
        return None

    def _value_time(self, at: int, item: Item) -> None:
        """A value of the day may not be told as another day's."""
        assert item.fact is not None
        before = self._previous(at, ("article", "bound"))
        if before is not None:
            other = self.clause[before]
            later = next((each for each in self.clause[at + 1 :] if each.date == "day"), None)
            same = [
                each
                for each in self.clause[:before]
                if item.metrics & each.metrics and (each.is_then or each.is_change)
            ]
            noun = self._noun_after(at)
            held = any(item.metrics & each.metrics for each in self.clause[:before] if each.fact is not None)
            if other.tag == "comparator" and other.value != "weak" and later is None:
                plain = other.said.lower() in ("from", "over", "after", "as", "sobre", "após", "que")
                if same or held or not plain or (noun is None and plain and other.said.lower() != "as"):
                    self._fault(
                        "comparison",
                        f"{{{item.fact.id}}} is of the day itself, not what it is compared with.",
                        other,
                        item,
                    )
                    return
            if (
                other.value == "weak"
                and other.said.lower() == "de"
                and any(each.is_then and each.metrics == item.metrics for each in self.clause[at + 1 :])
            ):
                after = next(each for each in range(at + 1, len(self.clause)) if self.clause[each].is_then)
                if any(each.said.lower() in ("para",) for each in self.clause[at:after]):
                    self._fault(
                        "comparison", f"{{{item.fact.id}}} is of the day itself, not what it is compared with.", item
                    )
                    return
        for place in range(at + 1, len(self.clause)):
            other = self.clause[place]
            if other.reference:
                self._fault("reference", f"{{{item.fact.id}}} is of the day itself.", item, other)
                return
            if (
                (other.tag in ("comparator", "comma", "and", "level") and other.value != "weak")
                or other.is_direction
                or other.fact is not None
            ):
                break
        for place in range(at - 1, -1, -1):
            other = self.clause[place]
            if other.reference:
                taken = any(self.clause[each].is_then and self._own_reference(each) is other for each in range(at))
                if (self._is_bare(place) or self._is_owner(place)) and not taken:
                    self._fault("reference", f"{{{item.fact.id}}} is of the day itself.", other, item)
                return
            if other.tag == "comma" and place > 0 and any(each.reference for each in self.clause[:place]):
                continue
            if other.fact is not None or other.is_direction:
                break

    # Changes

    def _direction_of(self, at: int) -> Item | None:
        """The direction that stands with a change."""
        skipped = ("article", "of", "strength", "word", "bound", "auxiliary")
        before = self._previous(at, (*skipped, "time") if self.lexicon.language == "pt" else skipped)
        after = self._next(at, ("strength", "word", "article", "auxiliary"))
        first = self.clause[before] if before is not None and self.clause[before].is_direction else None
        second = self.clause[after] if after is not None and self.clause[after].is_direction else None
        if first is not None and second is not None:
            if first.sign == second.sign:
                return first
            # The word right behind counts where the one before has a number already.
            taken = any(other.is_change for other in self.clause[before or 0 : at])
            return second if taken else Item("verb", "?", f"{first.said} {second.said}", first.start)
        if first or second:
            return first or second
        for place in range(at - 1, -1, -1):
            if self.clause[place].is_direction:
                return self.clause[place]
        for place in range(at + 1, len(self.clause)):
            if self.clause[place].is_direction:
                return self.clause[place]
        here = self.sentence.index(self.clause[at])
        for other in reversed(self.sentence[:here]):
            if other.is_direction:
                return other
        return None

    def _is_negated(self, at: int) -> bool:
        """Whether a negation stands before a direction, in its part of the clause."""
        for place in range(at - 1, max(-1, at - 8), -1):
            other = self.clause[place]
            if other.tag in ("negation", "none"):
                return True
            if (other.is_direction and other.tag != "place") or other.tag == "comma" or other.fact is not None:
                break
        after = self._next(at, ("comparator", "of", "weak", "time"))
        return after is not None and self.clause[after].said.lower() in (
            "neither",
            "none",
            "no",
            "nem",
            "nenhum",
            "nenhuma",
        )

    def _directions(self) -> None:
        held: dict[int, list[Item]] = {}
        changes = [place for place, item in enumerate(self.clause) if item.is_change]
        for at in changes:
            change = self.clause[at]
            assert change.fact is not None
            direction = self._direction_of(at)
            self._change_reference(at, changes)
            if direction is None or direction.value == "?":
                level = any(item.tag == "level" for item in self.clause)
                if not (level and change.fact.sign == 0):
                    said = f"Say by one clear word whether {{{change.fact.id}}} is up or down."
                    self._fault("direction", said, change, *([direction] if direction else []))
                continue
            if direction in self.clause:
                held.setdefault(self.clause.index(direction), []).append(change)
                if self._is_negated(self.clause.index(direction)):
                    self._fault("negation", f"Do not negate the direction of {{{change.fact.id}}}.", direction, change)
            if direction.sign != change.fact.sign:
                word = {1: "up", -1: "down", 0: "unchanged"}[change.fact.sign]
                self._fault("direction", f"{{{change.fact.id}}} is {word}, not {direction.said!r}.", direction, change)
        judged = any(
            item.is_direction or item.tag in ("reach", "level", "anomaly", "normal", "band") for item in self.clause
        )
        for at, item in enumerate(self.clause):
            after = self._next(at, ("article",))
            is_compared = after is not None and (self.clause[after].tag == "comparator" or self.clause[after].reference)
            if item.tag == "negation" and is_compared and not judged:
                self._fault("negation", "Say in words what did not change, and how.", item)
            if item.date == "day":
                before = self._previous(at, ("article", "of", "weak"))
                other = None if before is None else self.clause[before]
                against = other is not None and (
                    other.tag in ("verb", "place") or (other.tag == "comparator" and other.value != "weak")
                )
                if against and not _named(self.clause[:at]):
                    self._fault("reference", "{date} is the day itself.", *([other] if other else []), item)
        for at, item in enumerate(self.clause):
            if item.is_direction or item.tag == "reach":
                self._direction(at, item, held.get(at, []))

    def _direction(self, at: int, item: Item, changes: Sequence[Item]) -> None:
        if item.tag == "reach" and not self._is_negated(at):
            self._reached(at, item)
            return
        strength = item.strength or self._strength(at)
        if changes:
            self._change_subject(at, changes)
            for change in changes:
                assert change.fact is not None
                amount = abs(float(change.fact.value))  # type: ignore[arg-type]
                self._judge_strength(strength, amount, change.fact.kind, item, change)
            return
        if self._is_product_word(at):
            return
        if self._compares(at, item):
            return
        sign = item.sign * (-1 if self._is_negated(at) else 1)
        subjects = self._subjects(at)
        if self._is_plain(at, item, subjects):
            return
        products = [subject for subject in subjects if subject.is_product]
        if products:
            self._product_direction(item, sign, products)
            return
        if any(subject.fact is not None and subject.fact.id == "top_country" for subject in subjects):
            self._fault("direction", "No fact says how a country changed.", item)
            return
        metrics = self._metrics(subjects)
        if not metrics:
            self._fault("direction", "Say what it is that changed.", item)
            return
        references, flipped = self._references(at)
        flipped = flipped != self._is_turned(at)
        if flipped:
            sign = -sign
        for metric in metrics:
            self._judge(item, metric, references, sign, strength, is_negated=self._is_negated(at))

    def _reached(self, at: int, item: Item) -> None:
        """`Reached the level of the day before`: it may not lie below it."""
        after = self._next(at, ("article", "of", "weak", "level", "word", "bound"))
        if after is None or not (self.clause[after].reference or self.clause[after].is_then):
            return
        for metric in self._metrics([subject for subject in self._subjects(at) if not subject.is_product]):
            for against in _named([self.clause[after]]):
                change = self._change(metric, against)
                if change is None or change[0] < -EXACT:
                    self._fault("direction", f"{metric} did not get there by the facts.", item, self.clause[after])

    def _compares(self, at: int, item: Item) -> bool:
        """Judges a metric beside another one: `more sessions than purchases`, `revenue outpaced orders`."""
        place = self._next(at, ("article", "strength", "word"))
        if item.tag == "more":
            place = next(
                (
                    p
                    for p in range(at + 1, len(self.clause))
                    if self.clause[p].said.lower() in ("than", "que", "do que")
                ),
                None,
            )
            place = None if place is None else self._next(place, ("article",))
        elif item.tag not in ("verb", "place"):
            return False
        other = None if place is None else self.clause[place]
        if other is None or (other.fact is not None and not other.is_value) or not other.metrics - {"day"}:
            return False
        subjects = [subject for subject in self._subjects(at) if subject is not other and subject.metrics - {"day"}]
        mine = self._metrics(subjects)
        theirs = [name for name in self._metrics([other]) if name not in mine]
        if not mine:
            return False
        if not theirs:
            if other.is_value and not self._is_turned(at):
                self._fault("comparison", f"{other.said} is the value of the day itself.", item, other)
                return True
            return False
        if other.tag != "metric" or self._is_taken(self.clause.index(other)):
            return False
        negated = -1 if self._is_negated(at) else 1
        for name in mine:
            for second in theirs:
                first, last = self.facts.facts.get(name), self.facts.facts.get(second)
                if item.tag == "more":
                    known = first is not None and last is not None and first.kind == last.kind == "count"
                    fits = known and (_number(first) - _number(last)) * item.sign * negated > 0
                else:
                    fits = item.tag == "verb" and self._is_faster(at, name, second, item.sign * negated, is_signed=True)
                if not fits:
                    self._fault("comparison", f"The facts do not say that of {name} and {second}.", item, other)
        return True

    def _is_faster(self, at: int, first: str, second: str, sign: int, *, is_signed: bool) -> bool:
        """Whether one metric changed by more than another, against all that is meant."""
        references, _ = self._references(at)
        pairs = [(self._change(first, against), self._change(second, against)) for against in references or AGAINST]
        gaps = [
            one[0] - other[0] if is_signed else abs(one[0]) - abs(other[0])
            for one, other in pairs
            if one is not None and other is not None and one[1] == other[1]
        ]
        return bool(gaps) and all(gap * sign > 0 for gap in gaps)

    def _paces(self) -> None:
        """`Faster than`, `more slowly than`, between two metrics."""
        for at, item in enumerate(self.clause):
            if item.tag != "pace":
                continue
            after = self._next(at, ("article",))
            subjects = [subject for subject in self._subjects(at) if subject.metrics - {"day"}]
            other = None if after is None else self.clause[after]
            if other is None or other.tag != "metric" or not subjects:
                self._fault("comparison", "Compare only with the references of the facts.", item)
                continue
            sign = 1 if item.value == "+" else -1
            for first in self._metrics(subjects):
                for second in self._metrics([other]):
                    if not self._is_faster(at, first, second, sign, is_signed=False):
                        self._fault("comparison", f"The facts do not say that of {first} and {second}.", item, other)

    def _grades(self) -> None:
        """`Strong` and `weak` are wrong where the facts say the contrary against all that is meant."""
        for at, item in enumerate(self.clause):
            if item.tag != "grade" or any(other.tag == "anomaly" for other in self.clause):
                continue
            sign = (1 if item.value == "+" else -1) * (-1 if self._is_negated(at) else 1)
            subjects = [subject for subject in self._subjects(at) if subject.metrics]
            references, _ = self._references(at)
            for metric in self._metrics(subjects)[:1] or ["revenue"]:
                changes = [self._change(metric, against) for against in references or AGAINST]
                known = [change[0] for change in changes if change is not None]
                fact = self.facts.facts.get(metric)
                marked = None if fact is None else fact.anomaly
                if not any(change * sign > 0 for change in known) and marked != ("high" if sign > 0 else "low"):
                    self._fault("direction", f"The facts do not say that {metric} was {item.said!r}.", item)

    def _is_turned(self, at: int) -> bool:
        """Whether it is said of the value then: `a higher {orders_day_before}`."""
        after = self._next(at, ("article",))
        if after is None:
            return False
        if self.clause[at].tag == "more" and self.clause[after].is_then and after == at + 1:
            return True
        value = self.clause[after]
        return value.is_value and any(item.is_then and item.metrics == value.metrics for item in self.clause[:at])

    def _is_plain(self, at: int, item: Item, subjects: Sequence[Item]) -> bool:
        """Whether a word that may be a direction is none here: places of bands, `more` that counts nothing."""
        if item.tag == "place" or item.tag == "verb":
            after = self._next(at, ("article", "of", "strength", "word", "comparator"))
            if after is not None and self.clause[after].tag == "band":
                return True
            band = None if after is None or not self.clause[after].is_band else self.clause[after].fact
            if band is not None and item.tag == "place":
                value = self.facts.facts.get(band.id.split("_band_")[0])
                if value is not None:
                    above = float(value.value) - float(band.value)  # type: ignore[arg-type]
                    sign = item.sign * (-1 if self._is_negated(at) else 1)
                    if above * sign <= 0:
                        self._fault("anomaly", f"{item.said!r} is wrong of {{{band.id}}}.", item)
                return True
        return False

    def _metrics(self, subjects: Sequence[Item]) -> list[str]:
        """The metrics that are meant by what is spoken of; of ambiguous words those that the clause has facts of."""
        made: list[str] = []
        for subject in subjects:
            if subject.tag == "all" or subject.metrics == {"day"}:
                known = [metric.name for metric in METRICS if metric.name in self.facts.facts]
                main = [name for name in known if name in ("orders", "revenue")] or known[:1]
                made += known if subject.tag == "all" else main
                continue
            meant = list(subject.value.split()) if subject.tag == "metric" else sorted(subject.metrics)
            here = {name for other in self.clause if other.fact is not None for name in other.metrics}
            chosen = [name for name in meant if name in here] or [name for name in meant if name in self.facts.facts]
            made += chosen[:1] if len(meant) > 1 and here & set(meant) else chosen
        return list(dict.fromkeys(made))

    def _references(self, at: int) -> tuple[list[str], bool]:
        """What a direction is against, and whether it is told from the other side: `the day before had more`."""
        behind: list[int] = []
        for place in range(at + 1, len(self.clause)):
            other = self.clause[place]
            if ((other.is_direction or other.tag == "level") and place > at + 2) or other.is_change:
                break
            if other.reference or other.is_then:
                behind.append(place)
        chosen = behind
        if not chosen:
            chosen = [place for place in range(at) if self.clause[place].reference or self.clause[place].is_then]
        if chosen:
            named = [place for place in chosen if self.clause[place].reference]
            labels = [place for place in named if not any(self.clause[other].is_then for other in chosen)]
            flipped = bool(labels) and all(self._is_bare(place) and not self._is_over(at, place) for place in labels)
            return _named(self.clause[place] for place in chosen), flipped
        own = [item.fact.against for item in self.clause if item.is_change and item.fact is not None]
        if own:
            return list(dict.fromkeys(str(each) for each in own)), False
        start = self.clause[at].start
        earlier = _named(item for item in self.sentence if item.start < start)
        later = _named(item for item in self.sentence if item.start > start)
        return earlier or later or list(self.context.references) or list(self.context.told), False

    def _is_owner(self, at: int) -> bool:
        """Whether what is spoken of is a reference's: `revenue of the day before`."""
        before = self._previous(at, ("article",))
        if before is None or before == 0 or self.clause[before].value not in ("of", "weak"):
            return False
        return self.clause[before - 1].tag == "metric"

    def _is_over(self, at: int, place: int) -> bool:
        """Whether `on` says what a change is against: `a rise in orders on the day before`, not `higher on`."""
        before = self._previous(place, ("article",))
        is_on = before is not None and self.clause[before].said.lower() == "on"
        return is_on and place > at and self.clause[at].tag in ("verb", "rise")

    def _strength(self, at: int) -> str:
        """The strength that an adverb beside a direction says."""
        for place in (at - 1, at + 1, at - 2, at + 2):
            if 0 <= place < len(self.clause) and self.clause[place].tag == "strength":
                between = self.clause[min(place, at) + 1 : max(place, at)]
                if all(
                    other.value in ("article", "of") or other.tag == "metric" or other.tag == "time"
                    for other in between
                ):
                    return self.clause[place].value
        return ""

    def _change_subject(self, at: int, changes: Sequence[Item]) -> None:
        """Each change against what it is said of: its own noun, else the subject of the direction."""
        shared = [subject for subject in self._subjects(at) if subject.metrics - {"day"} and subject not in changes]
        pending = []
        for change in changes:
            place = self.clause.index(change)
            own = self._own_noun(place)
            if own is None:
                pending.append(change)
            elif not own.metrics & change.metrics:
                self._no_change_of(own, change)
        if shared and len(shared) == len(pending) > 1:
            for subject, change in zip(shared, pending, strict=True):
                if not subject.metrics & change.metrics:
                    self._no_change_of(subject, change)
            return
        for change in pending:
            place = self.clause.index(change)
            told = (
                shared
                or [item for item in self.clause[:place][::-1] if item.metrics - {"day"} and item is not change][:1]
            )
            if not any(item in self.clause for item in told):
                told = [*told, *self.context.mentions]
            if told and not any(subject.metrics & change.metrics for subject in told):
                self._no_change_of(told[-1], change)

    def _no_change_of(self, subject: Item, change: Item) -> None:
        assert change.fact is not None
        self._fault("metric", f"{{{change.fact.id}}} is no change of {subject.said}.", subject, change)

    def _own_noun(self, at: int) -> Item | None:
        """The noun that stands with one change of several: `{a} in orders`, `orders {a}`."""
        after = self._next(at, ("article", "strength", "word", "more", "rise"))
        if after is not None and (self.clause[after].tag == "time" or self.clause[after].value in ("of", "weak")):
            beyond = self._next(after, ("article",))
            if beyond is not None and self.clause[beyond].tag == "metric" and "day" not in self.clause[beyond].metrics:
                return self.clause[beyond]
        if (
            after is not None
            and after <= at + 2
            and self.clause[after].tag == "metric"
            and "day" not in self.clause[after].metrics
        ):
            return self.clause[after]
        for place in range(at - 1, -1, -1):
            item = self.clause[place]
            if item.tag == "metric" and "day" not in item.metrics:
                group = self._group(place, -1)
                return item if len(group) == 1 else None
            if item.fact is not None and (item.is_change or item.is_product):
                return None
            if item.is_value or item.is_then:
                return item if not self._noun_after(place) and len(self._group(place, -1)) == 1 else None
        return None

    def _change_reference(self, at: int, changes: Sequence[int]) -> None:
        change = self.clause[at]
        assert change.fact is not None
        own = str(change.fact.against)
        following = next((place for place in changes if place > at), len(self.clause))
        if len(changes) > 1 and not self._named(changes[-1] + 1, len(self.clause)) and self._named(0, changes[0]):
            # Each is told before its change: `against the day before it was {a}, against a week earlier {b}`.
            earlier = max((place for place in changes if place < at), default=-1)
            told = self._named(earlier + 1, at) or self._named(0, at)
            if told and own not in told:
                said = f"{{{change.fact.id}}} is against {_told(change)}."
                self._fault("reference", said, change)
            return
        for place in range(at + 1, following):
            if self.clause[place].date == "day" and self.clause[place - 1].tag == "comparator":
                self._fault("reference", f"{{{change.fact.id}}} is against {_told(change)}.", change)
                return
        near = self._previous(at, ("of", "strength") if self.lexicon.language == "en" else ("of", "strength", "time"))
        behind = self._named(near, near + 1) if near is not None and near < at - 1 else []
        behind = behind or self._named(at + 1, following)
        if not behind:
            run = [at, *(place for place in changes if place > at)]
            behind = self._named(run[-1] + 1, len(self.clause))
            if len(behind) == len(run) > 1:
                behind = behind[:1]
        if not behind:
            earlier = max((place for place in changes if place < at), default=-1)
            behind = self._named(earlier + 1, at) or self._named(0, at)
            if len(behind) > 1 and len(changes) == len(behind):
                behind = [behind[list(changes).index(at)]]
        if not behind:
            behind = [str(item.reference) for item in self.sentence if item.reference] or self.context.references
        if behind and own not in behind:
            said = f"{{{change.fact.id}}} is against {_told(change)}."
            self._fault("reference", said, change)
        first = next((place for place in range(at + 1, following) if self.clause[place].reference), None)
        if first is not None and self._is_bare(first) and own in behind:
            between = self.clause[at + 1 : first]
            is_of_next = following < len(self.clause) and following - first <= 2
            has_then = any(item.is_then for item in self.clause)
            if not is_of_next and not has_then and not any(item.tag == "comma" for item in between):
                self._fault(
                    "reference",
                    f"Write that {{{change.fact.id}}} is against it, not of it.",
                    change,
                    self.clause[first],
                )

    def _named(self, start: int, end: int) -> list[str]:
        """The references that are named between two places, by words, dates or values of then."""
        made = []
        for item in self.clause[start:end]:
            if item.reference:
                made.append(str(item.reference))
            elif item.is_then and item.fact is not None:
                made.append(str(item.fact.against))
        return list(dict.fromkeys(made))

    def _judge(
        self, item: Item, metric: str, references: Sequence[str], sign: int, strength: str, *, is_negated: bool
    ) -> None:
        """A direction of a metric against each reference that is meant: all that are known, where none is named."""
        judged = 0
        for against in references or AGAINST:
            change = self._change(metric, against)
            if change is None:
                continue
            judged += 1
            amount, kind = change
            actual = (amount > 0) - (amount < 0)
            fits = actual == sign or (is_negated and actual == 0)
            if not fits and not self._names_one(against) and self._fits_before(metric, sign):
                return
            if not fits:
                said = f"{item.said!r} is wrong of {metric} against {AGAINST[against]}."  # type: ignore[index]
                self._fault("direction", said, item)
                return
            self._judge_strength(strength if not is_negated else "", abs(amount), kind, item)
        if not judged:
            self._fault("direction", f"No fact says how {metric} changed in that way.", item)

    def _names_one(self, against: str) -> bool:
        """Whether the clause itself names a reference."""
        return against in _named(self.clause)

    def _fits_before(self, metric: str, sign: int) -> bool:
        """Whether a direction without a reference of its own is right against what the sentence before named."""
        start = self.clause[0].start
        if not self.context.references or _named(item for item in self.sentence if item.start < start):
            return False
        changes = [self._change(metric, against) for against in self.context.references]
        return all(change is not None and (change[0] > 0) - (change[0] < 0) == sign for change in changes)

    def _change(self, metric: str, against: str) -> tuple[float, str] | None:
        """How a metric changed, and in what that is measured; None where no fact says it."""
        fact = self.facts.facts.get(f"{metric}_vs_{against}")
        if fact is not None:
            return float(fact.value) if fact.sign else 0.0, fact.kind  # type: ignore[arg-type]
        now, then = self.facts.facts.get(metric), self.facts.facts.get(f"{metric}_{against}")
        if now is None or then is None:
            return None
        first, second = Decimal(str(now.value)), Decimal(str(then.value))
        if now.kind == "percent":
            return float(first - second), "points"
        if now.kind == "rating":
            return float(first - second), "difference"
        return (float(first / second - 1) if second else float((first > 0) - (first < 0))), "percent"

    def _judge_strength(self, strength: str, amount: float, kind: str, *items: Item) -> None:
        small, large = {
            "points": (SMALL_POINTS, LARGE_POINTS),
            "difference": (SMALL_DIFFERENCE, LARGE_DIFFERENCE),
        }.get(kind, (SMALL, LARGE))
        if (strength == "small" and amount > small) or (strength == "large" and amount < large):
            self._fault("strength", "Leave out words for the size of a change, or choose one that fits.", *items)

    def _levels(self) -> None:
        """That something did not change."""
        for at, item in enumerate(self.clause):
            if item.tag != "level":
                continue
            subjects = [subject for subject in self._subjects(at) if not subject.is_product]
            metrics = self._metrics(subjects)
            references, _ = self._references(at)
            bound = {"exact": EXACT, "near": NEAR}[item.value]
            before = self._previous(at, ("auxiliary", "article", "strength"))
            if before is not None and self.clause[before].tag == "negation":
                self._fault("level", "Say the direction in words.", self.clause[before], item)
                continue
            judged = 0
            for metric in metrics:
                for against in references or AGAINST:
                    change = self._change(metric, against)
                    if change is None:
                        continue
                    judged += 1
                    if abs(change[0]) > (bound if change[1] != "difference" else 5 * bound):
                        said = f"{metric} was not {item.said!r} against {AGAINST[against]}."  # type: ignore[index]
                        self._fault("strength", said, item)
                        break
            if not judged:
                self._fault("level", "No fact says what that was equal to.", item)

    # Products and countries

    def _same(self, first: Item, second: Item) -> bool:
        """Whether two facts are of one product."""
        one, other = first.role, second.role
        assert one is not None and other is not None and first.fact is not None and second.fact is not None
        if one[:2] == other[:2]:
            return True
        return first.fact.product_id is not None and first.fact.product_id == second.fact.product_id

    def _product_label(self, at: int, item: Item) -> None:
        role = item.role
        assert role is not None and item.fact is not None
        if item.is_product:
            return
        noun = self._noun_after(at)
        if noun is not None:
            wanted = {"units": {"units", "products_sold"}, "revenue": {"revenue"}, "change": {"revenue"}}[role[2]]
            if not noun.metrics & wanted:
                self._fault("metric", f"{{{item.fact.id}}} is not the number of {noun.said}.", item, noun)
        before = next((other for other in reversed(self.clause[:at]) if other.is_product), None)
        after = next((other for other in self.clause[at + 1 :] if other.is_product), None)
        holder = before or after or self.context.product
        if holder is before and after is not None and before is not None:
            # `{a} of {product}` belongs to what comes right behind it.
            place = self._next(at, ("article",))
            if place is not None and (
                self.clause[place].value in ("of", "weak")
                or self.clause[place].tag in ("time",)
                or self.clause[place].said.lower() == "from"
            ):
                beyond = self._next(place, ("article",))
                if beyond is not None and self.clause[beyond].is_product:
                    holder = self.clause[beyond]
        listed = [other for other in self.clause[:at] if other.is_product]
        figures = [
            other
            for other in self.clause
            if other.role is not None and not other.is_product and other.role[2] == role[2]
        ]
        if len(listed) == len(figures) > 1:
            holder = listed[figures.index(item)]
        is_near = holder in self.clause or not any(
            other.tag == "metric" and "day" not in other.metrics and not self._is_taken(place)
            for place, other in enumerate(self.clause[:at])
        )
        if holder is None or not self._same(holder, item) or not is_near:
            said = f"{{{item.fact.id}}} must stand with {{{role[0]}_{role[1]}}}."
            self._fault("product", said, *([holder] if holder else []), item)
        if role[2] == "change":
            direction = self._direction_of(at)
            sign = 1 if role[0] == "riser" else -1
            if direction is None or direction.sign != sign:
                self._fault("direction", f"{{{item.fact.id}}} is {'a gain' if sign > 0 else 'a loss'}.", item)
            named = self._own_reference(at)
            if named is not None and (named.reference or named.date) != "week_before":
                self._fault("reference", f"{{{item.fact.id}}} is against {AGAINST['week_before']}.", item, named)

    def _is_product_word(self, at: int) -> bool:
        """Whether a direction stands with a product's change, by which it is judged."""
        for place, item in enumerate(self.clause):
            if item.role is not None and item.role[2] == "change" and self._direction_of(place) is self.clause[at]:
                return True
        return False

    def _product_direction(self, item: Item, sign: int, products: Sequence[Item]) -> None:
        at = self.clause.index(item)
        after = self._next(at, ("article", "of"))
        beaten = self.clause[after] if after is not None and self.clause[after].is_product else None
        if item.tag == "place" and after is None and at + 1 < len(self.clause):
            # `behind it`: the first that was named.
            beaten = next((other for other in self.clause if other.is_product), None)
        for product in products:
            assert product.role is not None and product.fact is not None
            if beaten is not None and beaten is not product and beaten.role is not None:
                ranks = product.role[0] == beaten.role[0] and (beaten.role[1] - product.role[1]) * sign > 0
                if not ranks:
                    self._fault("product", "The order of the products is not that of the facts.", product, item, beaten)
                continue
            signs = {
                1 if other.id.startswith("riser") else -1
                for other in self.facts.facts.values()
                if other.kind == "product"
                and not other.id.startswith("top_product")
                and (
                    other.id == product.fact.id
                    or (other.product_id is not None and other.product_id == product.fact.product_id)
                )
            }
            if signs != {sign}:
                self._fault("product", f"No fact says that {{{product.fact.id}}} was {item.said!r}.", product, item)

    def _products(self) -> None:
        """Who leads and who follows."""
        for at, item in enumerate(self.clause):
            if item.tag == "seller":
                self._seller(at, item)
            if item.tag == "followed":
                self._followed(at, item)

    def _followed(self, at: int, item: Item) -> None:
        before = next((other for other in reversed(self.clause[:at]) if other.is_product), None)
        after = next((other for other in self.clause[at + 1 :] if other.is_product), None)
        if before is None or after is None or before.role is None or after.role is None:
            return
        gap = after.role[1] - before.role[1]
        is_next = item.said.lower().startswith(("followed", "seguid", "next", "then", "just"))
        if before.role[0] != after.role[0] or gap < 1 or (is_next and gap != 1):
            self._fault("product", "The order of the products is not that of the facts.", before, item, after)

    def _seller(self, at: int, item: Item) -> None:
        held = [(abs(place - at), place) for place, other in enumerate(self.clause) if other.is_product]
        if any(other.fact is not None and other.fact.id == "top_country" for other in self.clause):
            return
        if not held:
            if self.context.product is None and not any(other.is_direction for other in self.clause):
                self._fault("product", "Name what sold best by its id.", item)
            return
        products = [self.clause[place] for place in range(len(self.clause)) if self.clause[place].is_product]
        movers = [other for other in self.clause if other.is_direction]
        leading = products[0] if products else None
        assert leading is not None and leading.role is not None and leading.fact is not None
        after = self._next(at, ("article",))
        led = self.clause[after] if after is not None and self.clause[after].is_direction else None
        if led is not None:
            family = "riser" if led.sign > 0 else "faller"
            if not self._is_first(leading, family):
                self._fault("product", f"That is said of {{{family}_1}} by the facts.", leading, item)
        elif leading.role[0] != "top_product":
            tops = [
                other
                for other in self.facts.facts.values()
                if other.id.startswith("top_product_")
                and other.kind == "product"
                and other.product_id == leading.fact.product_id
                and other.product_id
            ]
            if not tops and not movers:
                self._fault("product", f"{{{leading.fact.id}}} is not said to sell most by the facts.", leading, item)
        elif leading.role[1] != 1:
            self._fault("product", "{top_product_1} sold most.", leading, item)

    def _superlatives(self, sentence: Sentence) -> None:
        """What is called the most, the best or the first is the first of its kind."""
        for clause in sentence.clauses:
            for item in clause:
                if item.tag == "most":
                    self._superlative(item, clause)

    def _superlative(self, item: Item, clause: Sequence[Item]) -> None:
        products = [other for other in clause if other.is_product]
        if not products and any(other.fact is not None and other.fact.id == "top_country" for other in self.sentence):
            return
        if not products and self.context.product is not None and any(_is_product(other) for other in clause):
            products = [self.context.product]
        if not products:
            said = "Say nothing of most or best but of the products and countries of the facts."
            self._fault("superlative", said, item)
            return
        signs = {other.sign for other in clause if other.is_direction}
        if len(signs) > 1:
            families = {product.role[0] for product in products if product.role}
            if not all(any(self._is_first(product, family) for product in products) for family in families):
                self._fault("product", "What is called the first of its kind is not by the facts.", item, products[0])
            return
        family = {frozenset({1}): "riser", frozenset({-1}): "faller"}.get(frozenset(signs), "top_product")
        if not self._is_first(products[0], family):
            self._fault("product", f"That is said of {{{family}_1}} by the facts.", item, products[0])

    def _is_first(self, product: Item, family: str) -> bool:
        first = self.facts.facts.get(f"{family}_1")
        if first is None or product.fact is None:
            return False
        return first.id == product.fact.id or (
            first.product_id is not None and first.product_id == product.fact.product_id
        )

    def _countries(self) -> None:
        for at, item in enumerate(self.clause):
            if item.fact is None or not item.fact.id.startswith("top_country_"):
                continue
            if not any(other.fact is not None and other.fact.id == "top_country" for other in self.sentence):
                self._fault("name", f"{{{item.fact.id}}} must stand with {{top_country}}.", item)
            noun = self._noun_after(at)
            if noun is not None and "revenue" not in noun.metrics:
                self._fault("metric", f"{{{item.fact.id}}} is of revenue, not of {noun.said}.", item, noun)

    # What is usual

    def _anomalies(self) -> None:
        for at, item in enumerate(self.clause):
            if item.tag == "band":
                self._band(at, item)
            elif item.tag in ("anomaly", "normal"):
                is_claimed = (item.tag == "anomaly") != self._is_negated(at)
                if (
                    item.tag == "normal"
                    and is_claimed
                    and not any(self._is_mention(other) for other in self.clause[:at])
                ):
                    self._fault("anomaly", "Say which metric was out of its usual range.", item)
                    continue
                near = [
                    other
                    for other in self.clause[max(0, at - 2) : at + 3]
                    if other.is_direction or other.tag == "grade"
                ]
                sign = {"+": 1, "-": -1}[near[-1].value[:1]] if near else 0
                self._judge_anomaly(at, item, is_claimed, sign)

    def _band(self, at: int, item: Item) -> None:
        before = list(self.clause[max(0, at - 4) : at])
        words = {other.said.lower() for other in before} | {
            word for other in before for word in other.said.lower().split()
        }
        sign = next((other.sign for other in reversed(before) if other.is_direction), 0)
        outside = bool(
            words
            & {
                "outside",
                "out",
                "left",
                "leaving",
                "broke",
                "leave",
                "leaves",
                "fora",
                "saiu",
                "saíram",
                "sair",
                "sai",
                "saem",
                "deixou",
                "escapou",
            }
        )
        negated = any(other.tag in ("negation",) for other in before)
        if sign or outside:
            self._judge_anomaly(at, item, not negated, sign)
        elif words & {"within", "inside", "dentro", "in", "na", "no", "em", "at", "of", "to"}:
            self._judge_anomaly(at, item, negated, 0)
        elif not any(other.is_band for other in self.clause):
            self._fault("anomaly", "Say of a range only that a metric lies above or below it, as the facts say.", item)

    def _judge_anomaly(self, at: int, item: Item, is_claimed: bool, sign: int) -> None:
        subjects = [
            other
            for other in self._subjects(at)
            if other.metrics - {"day"}
            or other.tag == "all"
            or (other.metrics and not re.search(r"\b(day|dia)\b", other.said))
        ]
        if not is_claimed and not any(other in self.clause for other in subjects):
            subjects = []
        if not is_claimed:
            for other in self.clause[at + 1 :]:
                if other.is_direction or other.tag == "anomaly":
                    break
                subjects += [other] if other.tag == "metric" and "day" not in other.metrics else []
        named = self._metrics([other for other in subjects if other.tag != "all"])
        if not named:
            named = [metric.name for metric in METRICS if metric.name in self.facts.facts]
            if is_claimed:
                named = [name for name in named if self.facts.facts[name].anomaly] or named[:1]
        for metric in named:
            fact = self.facts.facts.get(metric)
            anomaly = None if fact is None else fact.anomaly
            wanted = {1: "high", -1: "low"}.get(sign)
            if is_claimed and (anomaly is None or (wanted and anomaly != wanted)):
                self._fault(
                    "anomaly", f"The facts do not say that {metric} was out of its usual range in that way.", item
                )
                return
            if not is_claimed and anomaly is not None:
                self._fault("anomaly", f"By the facts {metric} was out of its usual range: {anomaly}.", item)
                return

    def _nothing(self) -> None:
        """`No orders` says that there were none."""
        for at, item in enumerate(self.clause):
            if item.tag not in ("none", "negation") or self.lexicon.value_of("none", item.said.lower()) is None:
                continue
            after = self._next(at, ("article", "word"))
            if after is None or self.clause[after].tag != "metric" or "day" in self.clause[after].metrics:
                continue
            noun = self.clause[after]
            further = self._next(after)
            if further is not None and self.clause[further].is_direction and self.clause[further].tag == "rise":
                continue
            bare = [place for place, other in enumerate(self.clause) if other.reference and self._is_bare(place)]
            suffix = "" if not bare else f"_{self.clause[bare[0]].reference}"
            values = [self.facts.facts.get(f"{metric}{suffix}") for metric in self._metrics([noun])]
            if not values or any(fact is None or fact.value != 0 for fact in values):
                self._fault("number", f"The facts do not say that there were no {noun.said}.", item, noun)

    def _remember(self) -> None:
        mentions = [item for item in self.clause if self._is_mention(item)]
        if mentions:
            nouns = [item for item in mentions if item.metrics]
            self.context.subjects = nouns[:1] if nouns else mentions[:1]
            group = self._group(self.clause.index(self.context.subjects[0]), 1)
            self.context.subjects = group
        products = [item for item in self.clause if item.is_product]
        if products:
            self.context.product = products[-1]

    def _remember_sentence(self) -> None:
        """What it was held against, and what was spoken of: the next sentence may leave both out."""
        named = [str(item.reference) for item in self.sentence if item.reference]
        named += [str(item.fact.against) for item in self.sentence if item.fact is not None and item.fact.against]
        if named:
            self.context.references = list(dict.fromkeys(named))
        mentions = [item for item in self.sentence if item.metrics - {"day"}]
        if mentions:
            self.context.mentions = mentions
