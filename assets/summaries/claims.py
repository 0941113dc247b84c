"""The claims of a summary's sentences, each held against the facts: values, changes, products, what is unusual."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from assets.summaries.facts import AGAINST, DayFacts, Fact
from assets.summaries.lexicon import Lexicon
from assets.summaries.reading import Item, Sentence


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
class Context:
    """What a sentence takes from those before it."""

    subjects: list[Item] = field(default_factory=list)
    mentions: list[Item] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    product: Item | None = None


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
class Reader:
    """Reads the claims of a sentence, clause by clause, and holds them against the facts."""

    facts: DayFacts
    lexicon: Lexicon
    context: Context
    clause: list[Item] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    sentence: list[Item] = field(default_factory=list)

    def read(self, sentence: Sentence) -> list[Fault]:
        self.sentence = list(sentence.items)
        for clause in sentence.clauses:
            self.clause = clause
            self._dates()
            self._labels()
            self._countries()
            self._directions()
            self._levels()
            self._anomalies()
            self._nothing()
            self._remember()
        self._remember_sentence()
        return self.faults

    def _fault(self, kind: str, said: str, *items: Item) -> None:
        start = min((item.start for item in items), default=0)
        self.faults.append(Fault(kind, said, " ".join(item.said for item in items) if start >= 0 else ""))

    def _dates(self) -> None:
        """A date beside a reference in words is the same day: `the day before, {day_before_date}`."""
        for at, item in enumerate(self.clause):
            place = self._previous(at, ("comma", "article", "of", "weak"))
            other = None if place is None else self.clause[place]
            if other is None or not (item.date or other.date) or not (item.reference or other.reference):
                continue
            named = {(each.reference or each.date) for each in (item, other)}
            if len(named) > 1 and None not in named and "day" not in named:
                self._fault("reference", "The date is not that of the day that stands beside it.", other, item)

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
        return bool(item.metrics) or item.is_product or (item.fact is not None and item.fact.id == "top_country")

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
            after = self._next(at, ("article", "word", "of"))
            if after is not None and self.clause[after].tag == "metric":
                return self._group(after, 1)
        if item.tag == "rise":
            if at > 0 and self.clause[at - 1].tag == "metric":
                return self._group(at - 1, -1)
            for place in range(at + 1, len(self.clause)):
                other = self.clause[place]
                if (other.is_direction and other.tag != "place") or other.tag == "comma":
                    break
                if other.tag == "metric":
                    before = self._previous(place, ("article", "word"))
                    if before is not None and (
                        self.clause[before].tag == "time" or self.clause[before].value in ("of", "weak")
                    ):
                        return self._group(place, 1)
                    break
        for place in range(at - 1, -1, -1):
            if self._is_mention(self.clause[place]) and not self.clause[place].is_change:
                return self._group(place, -1)
        for place in range(at + 1, len(self.clause)):
            if self._is_mention(self.clause[place]) and not self.clause[place].is_change:
                return self._group(place, 1)
        words = [other for other in self.clause[:at] if other.tag == "word"]
        return self.context.subjects if all(other.value in self.lexicon.pronouns for other in words) else []

    def _is_bare(self, at: int) -> bool:
        """Whether a reference stands as a time or as what is spoken of, not as what is compared with."""
        if re.search(
            r"\b(day|week)[- ](on|over|to)[- ]|dia a dia|dia contra|contra semana", self.clause[at].said.lower()
        ):
            return False
        before = self._previous(at, ("article", "and") if self.lexicon.language == "en" else ("article",))
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
            further = self._previous(before)
            if further is None:
                return True
            last = self.clause[further]
            figures = ("level", "levels", "figure", "figures", "number", "numbers", "value", "total", "count", "result")
            return not (last.tag in ("verb", "rise") or last.is_change or last.value in figures)
        if other.tag == "comparator" or other.tag in ("level", "place", "verb", "reach", "band", "bound"):
            return False
        return other.value not in ("of", "weak")

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

    def _metrics(self, subjects: Sequence[Item]) -> list[str]:
        """The metrics that are meant by what is spoken of; of ambiguous words those that the clause has facts of."""
        made: list[str] = []
        here = {name for other in self.clause if other.fact is not None for name in other.metrics}
        for subject in subjects:
            meant = [name for name in sorted(subject.metrics) if name in self.facts.facts]
            made += [name for name in meant if name in here] or meant
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
        return earlier or later or list(self.context.references), False

    def _named(self, start: int, end: int) -> list[str]:
        """The references that are named between two places, by words, dates or values of then."""
        made = []
        for item in self.clause[start:end]:
            if item.reference:
                made.append(str(item.reference))
            elif item.is_then and item.fact is not None:
                made.append(str(item.fact.against))
        return list(dict.fromkeys(made))

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

    def _labels(self) -> None:
        """Each value against the noun and the reference that stand with it."""
        for at, item in enumerate(self.clause):
            if item.role is not None:
                self._product_label(at, item)
            elif item.is_value or item.is_then or item.is_band:
                self._value_label(at, item)
            if item.is_then:
                self._then(at, item)
            if item.is_value:
                self._value_time(at, item)

    def _noun_after(self, at: int) -> Item | None:
        """The noun of a value that stands right behind it, or that it is said to be: `{orders} was the number of`."""
        first = self._next(at)
        if first is not None and self.clause[first].value == "auxiliary":
            beyond = self._next(first, ("article",))
            if beyond is not None and self.clause[beyond].tag == "metric":
                return self.clause[beyond]
        after = self._next(at, ("word", "time", "of", "weak", "more", "article"))
        if after is None or after - at > 3:
            return None
        item = self.clause[after]
        between = self.clause[at + 1 : after]
        if any(other.value == "article" for other in between) and not any(
            other.value in ("of", "weak") or other.tag == "time" for other in between
        ):
            return None
        return item if item.tag == "metric" else None

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
            held = other.metrics
            if other.is_band and other.fact is not None:
                held = frozenset({other.fact.id.split("_band_")[0]})
            if not held:
                continue
            if metric in held:
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
        nouns = [other for other in self.clause[at + 1 :] if other.metrics and other.tag == "metric"]
        if any(metric in other.metrics for other in nouns):
            return
        if metric == "revenue" and (not nouns or self._is_taken(self.clause.index(nouns[0]))):
            return
        if metric == "products_sold" and any(_is_product(other) for other in self.clause):
            return
        if any(metric in other.metrics for other in (*self.context.subjects, *self.context.mentions)):
            return
        self._fault("metric", f"Say what {{{item.fact.id}}} is: its noun stands nowhere near.", item)

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
        before = self._previous(at, ("word", "time", "of", "weak", "more", "article"))
        return before is not None and at - before <= 3 and (self.clause[before].is_value or self.clause[before].is_then)

    def _then(self, at: int, item: Item) -> None:
        """A value of another day has to be told as one, and of the right one."""
        assert item.fact is not None
        own = str(item.fact.against)
        named = self._own_reference(at)
        if named is not None and named.reference != own and named.date != own:
            self._fault("reference", f"{{{item.fact.id}}} is of {_told(item)}.", item, named)
            return
        before = self._previous(at, ("article", "metric"))
        introduced = named is not None
        if before is not None:
            other = self.clause[before]
            introduced = introduced or (other.tag == "comparator" and other.value != "weak")
            introduced = introduced or other.is_direction or other.tag in ("reach", "level")
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

    def _value_time(self, at: int, item: Item) -> None:
        """A value of the day may not be told as another day's."""
        assert item.fact is not None
        before = self._previous(at, ("article",))
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

    def _direction_of(self, at: int) -> Item | None:
        """The direction that stands with a change."""
        skipped = ("article", "of", "word", "auxiliary")
        before = self._previous(at, (*skipped, "time") if self.lexicon.language == "pt" else skipped)
        after = self._next(at, ("word", "article", "auxiliary"))
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

    def _directions(self) -> None:
        held: dict[int, list[Item]] = {}
        changes = [place for place, item in enumerate(self.clause) if item.is_change]
        for at in changes:
            change = self.clause[at]
            assert change.fact is not None
            direction = self._direction_of(at)
            self._change_reference(at, changes)
            word = {1: "up", -1: "down", 0: "unchanged"}[change.fact.sign]
            if direction is None or direction.value == "?":
                said = f"Say by one clear word that {{{change.fact.id}}} is {word}."
                self._fault("direction", said, change, *([direction] if direction else []))
                continue
            if direction in self.clause:
                held.setdefault(self.clause.index(direction), []).append(change)
            if direction.sign != change.fact.sign:
                self._fault("direction", f"{{{change.fact.id}}} is {word}, not {direction.said!r}.", direction, change)
        for at, item in enumerate(self.clause):
            if item.date == "day":
                before = self._previous(at, ("article", "of", "weak"))
                other = None if before is None else self.clause[before]
                against = other is not None and (
                    other.tag in ("verb", "place") or (other.tag == "comparator" and other.value != "weak")
                )
                if other is not None and against and not _named(self.clause[:at]):
                    self._fault("reference", "{date} is the day itself.", other, item)
            if item.is_direction:
                self._direction(at, item, held.get(at, []))
            elif item.tag == "reach":
                after = self._next(at, ("article", "of", "weak", "level"))
                if after is not None and self.clause[after].tag == "reference":
                    self._fault("direction", "Say whether it was above or below.", item, self.clause[after])

    def _direction(self, at: int, item: Item, changes: Sequence[Item]) -> None:
        """A direction: of the changes that it stands with, else against each reference that is meant."""
        if changes:
            self._change_subject(at, changes)
            return
        if self._is_product_word(at) or self._is_of_band(at, item):
            return
        if self._compares(at, item):
            self._fault("comparison", "Compare a metric only with itself on the days of the facts.", item)
            return
        subjects = self._subjects(at)
        products = [subject for subject in subjects if subject.is_product]
        metrics = self._metrics(subjects)
        if products or not metrics:
            self._fault("direction", "Say what changed, and by which fact.", *products, item)
            return
        references, is_flipped = self._references(at)
        sign = item.sign * (-1 if is_flipped != self._is_turned(at) else 1)
        if not references:
            self._fault("reference", "Say what it is compared with.", item)
        for metric in metrics:
            for against in references:
                change = self._change(metric, against)
                if change is None:
                    self._fault("direction", f"No fact says how {metric} changed in that way.", item)
                elif (change > 0) - (change < 0) != sign:
                    said = f"{item.said!r} is wrong of {metric} against {AGAINST[against]}."  # type: ignore[index]
                    self._fault("direction", said, item)

    def _compares(self, at: int, item: Item) -> bool:
        """Whether a metric is held against another one: `more sessions than purchases`, `orders above sessions`."""
        place: int | None = at
        if item.tag == "more":
            than = [
                p for p in range(at + 1, len(self.clause)) if self.clause[p].said.lower() in ("than", "que", "do que")
            ]
            place = than[0] if than else None
        elif item.tag not in ("verb", "place"):
            return False
        place = None if place is None else self._next(place, ("article",))
        if place is None:
            return False
        if item.tag == "verb" and self.clause[place].is_value:
            return True
        if self.clause[place].tag != "metric":
            return False
        return any(other.metrics and not other.is_change for other in self.clause[: place - 1])

    def _is_turned(self, at: int) -> bool:
        """Whether it is said of the value then: `a higher {orders_day_before}`."""
        after = self._next(at, ("article",))
        if after is None:
            return False
        if self.clause[at].tag == "more" and self.clause[after].is_then and after == at + 1:
            return True
        value = self.clause[after]
        return value.is_value and any(item.is_then and item.metrics == value.metrics for item in self.clause[:at])

    def _is_of_band(self, at: int, item: Item) -> bool:
        """Whether a direction is said of a band, by which it is judged: `above its usual range of {low} to {high}`."""
        after = self._next(at, ("article", "of", "weak", "comparator"))
        return after is not None and (self.clause[after].tag == "band" or self.clause[after].is_band)

    def _change(self, metric: str, against: str) -> float | None:
        """By how much a metric changed, 0 where that is shown as none; None where no fact says it."""
        fact = self.facts.facts.get(f"{metric}_vs_{against}")
        if fact is not None:
            return _number(fact) if fact.sign else 0.0
        now, then = self.facts.facts.get(metric), self.facts.facts.get(f"{metric}_{against}")
        return None if now is None or then is None else _number(now) - _number(then)

    def _levels(self) -> None:
        """That something did not change."""
        for at, item in enumerate(self.clause):
            if item.tag != "level":
                continue
            metrics = self._metrics([subject for subject in self._subjects(at) if not subject.is_product])
            references, _ = self._references(at)
            if not metrics or not references:
                self._fault("level", "Say what was unchanged, and against what.", item)
            for metric in metrics:
                for against in references:
                    if self._change(metric, against) != 0:
                        said = f"The facts do not say that {metric} was the same as {AGAINST[against]}."  # type: ignore[index]
                        self._fault("direction", said, item)

    def _change_subject(self, at: int, changes: Sequence[Item]) -> None:
        """Each change against what it is said of: its own noun, else the subject of the direction."""
        shared = [subject for subject in self._subjects(at) if subject.metrics and subject not in changes]
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
            told = shared or [item for item in self.clause[:place][::-1] if item.metrics and item is not change][:1]
            if not any(item in self.clause for item in told):
                told = [*told, *self.context.mentions]
            if told and not any(subject.metrics & change.metrics for subject in told):
                self._no_change_of(told[-1], change)

    def _no_change_of(self, subject: Item, change: Item) -> None:
        assert change.fact is not None
        self._fault("metric", f"{{{change.fact.id}}} is no change of {subject.said}.", subject, change)

    def _own_noun(self, at: int) -> Item | None:
        """The noun that stands with one change of several: `{a} in orders`, `orders {a}`."""
        after = self._next(at, ("article", "word", "more", "rise"))
        if after is not None and (self.clause[after].tag == "time" or self.clause[after].value in ("of", "weak")):
            beyond = self._next(after, ("article",))
            if beyond is not None and self.clause[beyond].tag == "metric":
                return self.clause[beyond]
        if after is not None and after <= at + 2 and self.clause[after].tag == "metric":
            return self.clause[after]
        for place in range(at - 1, -1, -1):
            item = self.clause[place]
            if item.tag == "metric":
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
        near = self._previous(at, ("of",) if self.lexicon.language == "en" else ("of", "time"))
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
            other.tag == "metric" and not self._is_taken(place) for place, other in enumerate(self.clause[:at])
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

    def _countries(self) -> None:
        for at, item in enumerate(self.clause):
            if item.fact is None or not item.fact.id.startswith("top_country_"):
                continue
            if not any(other.fact is not None and other.fact.id == "top_country" for other in self.sentence):
                self._fault("name", f"{{{item.fact.id}}} must stand with {{top_country}}.", item)
            noun = self._noun_after(at)
            if noun is not None and "revenue" not in noun.metrics:
                self._fault("metric", f"{{{item.fact.id}}} is of revenue, not of {noun.said}.", item, noun)

    def _anomalies(self) -> None:
        """What is called unusual, or held against its usual range, has to be so by the facts, and in that way."""
        for at, item in enumerate(self.clause):
            if item.tag == "height":
                near = self.clause[max(0, at - 2) : at + 3]
                if not any(other.tag == "anomaly" for other in near):
                    self._fault("strength", "Leave out words that judge how large a figure is.", item)
            if item.tag not in ("anomaly", "band") and not item.is_band:
                continue
            if item.is_band:
                assert item.fact is not None
                metrics = [item.fact.id.split("_band_")[0]]
                if not any(each.tag == "band" for each in self.clause[:at]):
                    self._fault("anomaly", f"{{{item.fact.id}}} is an end of the usual range: say so.", item)
            else:
                metrics = self._metrics(self._subjects(at))
            near = self.clause[max(0, at - 3) : at] if item.tag == "band" else self.clause[max(0, at - 2) : at + 3]
            if item.tag == "band" and not any(each.is_direction for each in near):
                # `Its usual range is {low} to {high}, and it was above it.`
                is_ranged = any(each.is_band for each in self.clause[at:])
                near = [each for each in self.sentence if each.start > item.start] if is_ranged else []
                if not any(each.tag == "place" for each in near):
                    self._fault("anomaly", "Say whether it was above or below its usual range.", item)
            signs = [each.sign for each in near if each.is_direction or each.tag == "height"]
            wanted = {1: "high", -1: "low"}.get(signs[-1] if signs and not item.is_band else 0)
            found = [self.facts.facts[metric].anomaly for metric in metrics if metric in self.facts.facts]
            if not found or None in found or (wanted and set(found) != {wanted}):
                said = "Call a metric unusual only where the facts say so, and in the way that they say."
                self._fault("anomaly", said, item)

    def _nothing(self) -> None:
        """`No orders` says that there were none; nothing else may be denied."""
        for at, item in enumerate(self.clause):
            if item.tag != "none":
                continue
            after = self._next(at, ("article", "word"))
            noun = None if after is None else self.clause[after]
            further = None if after is None or after + 1 == len(self.clause) else self.clause[after + 1]
            if noun is None or noun.tag != "metric" or (further is not None and further.tag == "rise"):
                self._fault("negation", "Say what was so, not what was not.", item)
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
        mentions = [item for item in self.sentence if item.metrics]
        if mentions:
            self.context.mentions = mentions
