"""True texts about made-up days, and the same with one fault planted in them: what the checker is measured with."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from assets.summaries.facts import AGAINST, BY_NAME, RANKED, Against, DayFacts, Fact, Kind
from assets.summaries.formatting import formatted
from assets.summaries.phrasings import NOUNS, PLANTED, REFERENCES, TRUE, Half
from assets.summaries.vocabulary import Names

LANGUAGES = ("en", "pt")
TITLES = (
    "REGENCY CAKESTAND 3 TIER",
    "WHITE HANGING HEART T-LIGHT HOLDER",
    "JUMBO BAG RED RETROSPOT",
    "PARTY BUNTING",
    "Slim Fit Denim Jacket",
    "Merino Crew Neck Jumper",
    "SET OF 3 CAKE TINS PANTRY DESIGN",
    "Classic Leather Belt",
    "ASSORTED COLOUR BIRD ORNAMENT",
    "Striped Cotton Pyjamas",
)
COUNTRIES = ("GB", "DE", "FR", "BR", "US")
_WEEKDAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "pt": ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"),
}
_MONTHS = {
    "en": ("January", "February", "March", "April", "June", "July", "August", "September", "October", "November"),
    "pt": ("janeiro", "fevereiro", "março", "abril", "junho", "julho", "agosto", "setembro", "outubro", "novembro"),
}
_MONTH_NUMBERS = (1, 2, 3, 4, 6, 7, 8, 9, 10, 11)
_NUMBERS: dict[str, dict[Half, tuple[str, ...]]] = {
    "en": {"tuned": ("twelve", "a dozen", "forty", "a hundred"), "kept": ("seventeen", "sixty-odd", "a thousand")},
    "pt": {"tuned": ("doze", "uma dúzia de", "quarenta", "cem"), "kept": ("dezessete", "sessenta e poucos", "mil")},
}
_BEGINNINGS = {
    "en": "On {date} there were {orders} orders.",
    "pt": "Em {date} houve {orders} pedidos.",
}
"""A summary begins with its day."""
_ALTERNATIVES = re.compile(r"\[([^\]|]*)\|([^\]]*)\](?:\((\w+)\)|(b))?")
_NUMBERED = re.compile(r"<([^/<>|]+)/([^<>]+)>(b)?")
_IDS = re.compile(r"\{(\w+)\}")
_CHANGES = ("direction", "reference", "metric", "swapped", "product", "digits", "number")
_COUNTS = ("orders", "customers", "units", "sessions", "views", "carts", "purchases", "reviews")
_BASES = {
    "orders": 120,
    "revenue": 5400,
    "customers": 96,
    "basket": 45,
    "units": 410,
    "products_sold": 130,
    "sessions": 2600,
    "views": 9100,
    "carts": 820,
    "purchases": 230,
    "view_to_cart": 0.09,
    "cart_to_purchase": 0.28,
    "reviews": 38,
    "rating": 3.9,
}


@dataclass(frozen=True)
class Text:
    """A text with `{id}`s about a day.

    Attributes:
        base: the same without what was planted: a fault counts as found only where this is not refused.
        fault: the kind of what was planted; None for a true text.
        phrase: the pattern or planted phrase; no phrase of one half is in the other.
    """

    text: str
    base: str
    facts: DayFacts
    language: str
    half: Half
    fault: str | None
    phrase: str


def names() -> Names:
    """The names of the made-up shop."""
    return Names.of(TITLES, COUNTRIES)


def made_day(language: str, seed: int) -> DayFacts:
    """A day of a shop with orders, events and reviews, whose figures go up and down by the seed, by 2 % at least."""
    draw = random.Random(f"{language} {seed}")
    day = date(2024, 5, 2) + timedelta(days=seed % 29)
    facts: dict[str, Fact] = {}

    def add(identifier: str, kind: Kind, value: Any, metric: str | None = None, **more: Any) -> None:
        currency = "GBP" if kind == "money" else None
        against = more.get("against")
        facts[identifier] = Fact(
            identifier,
            kind,
            value,
            metric,
            against,
            currency,
            identifier,
            more.get("product"),
            more.get("anomaly"),
        )

    for name, base in _BASES.items():
        metric = BY_NAME[name]
        now = _rounded(metric.kind, base * draw.uniform(0.8, 1.25))
        anomaly = draw.choice((None, None, None, None, "high", "low"))
        add(name, metric.kind, now, name, anomaly=anomaly)
        if anomaly:
            low, high = (0.6, 0.9) if anomaly == "high" else (1.1, 1.4)
            add(f"{name}_band_low", metric.kind, _rounded(metric.kind, float(now) * low), name)
            add(f"{name}_band_high", metric.kind, _rounded(metric.kind, float(now) * high), name)
        for against in AGAINST:
            if anomaly and against == "trend":
                size = draw.uniform(0.2, 0.3) * (1 if anomaly == "high" else -1)
            else:
                size = draw.choice((1, -1)) * draw.choice((draw.uniform(0.025, 0.06), draw.uniform(0.2, 0.4)))
            if metric.kind == "rating":
                size = max(-0.2, min(0.2, size))
            then = _rounded(metric.kind, float(now) / (1 + size))
            change = {"percent": float(now) - float(then), "rating": float(now) - float(then)}.get(
                metric.kind, float(now) / float(then) - 1
            )
            add(f"{name}_{against}", metric.kind, then, name, against=against)
            add(f"{name}_vs_{against}", metric.change_kind, change, name, against=against)
    titles = draw.sample(TITLES, len(TITLES))
    for place, kind in enumerate(("riser", "faller", "top_product")):
        for rank in range(1, RANKED + 1):
            title = titles[place * RANKED + rank - 1]
            amount = Decimal(str(round((500 - 100 * rank) * draw.uniform(0.9, 1.1), 2)))
            product = f"p{place}{rank}"
            add(f"{kind}_{rank}", "product", title, product=product)
            if kind != "top_product":
                signed = amount if kind == "riser" else -amount
                add(f"{kind}_{rank}_change", "money", signed, product=product, against="week_before")
            else:
                add(f"{kind}_{rank}_units", "count", 80 - 10 * rank, product=product)
            add(f"{kind}_{rank}_revenue", "money", amount + 400, product=product)
    add("top_country", "country", draw.choice(COUNTRIES))
    add("top_country_revenue", "money", Decimal("3012.40"))
    add("top_country_share", "percent", 0.58)
    add("date", "date", day)
    add("day_before_date", "date", day - timedelta(days=1))
    add("week_before_date", "date", day - timedelta(days=7))
    return DayFacts("made", day, language, "GBP", "Made-up shop", facts)


def true_texts(language: str, half: Half, days: int) -> Iterator[Text]:
    """Texts without a fault: on each day each pattern once, with two others around it."""
    for number in range(days):
        facts = made_day(language, number if half == "tuned" else 1_000 + number)
        draw = random.Random(f"true {language} {half} {number}")
        maker = _Maker(facts, half, draw)
        for pattern in _lines(TRUE[language][half]):
            sentence = maker.made(pattern)
            if sentence is not None:
                text = _among(sentence, maker.others(), draw.randrange(3), language)
                yield Text(text, text, facts, language, half, None, pattern)


def planted_texts(language: str, half: Half, days: int) -> Iterator[Text]:
    """Texts with one fault each: on each day each planted phrase, and each way in which a pattern can be made false."""
    for number in range(days):
        facts = made_day(language, 100 + number if half == "tuned" else 2_000 + number)
        draw = random.Random(f"planted {language} {half} {number}")
        maker = _Maker(facts, half, draw)
        for kind, blocks in PLANTED.items():
            for line in _lines(blocks[language][half]):
                made = maker.planted(kind, line)
                if made is not None:
                    others, place = maker.others(), draw.randrange(3)
                    text, base = (_among(sentence, others, place, language) for sentence in made)
                    yield Text(text, base, facts, language, half, kind, line)
        for pattern in _lines(TRUE[language][half]):
            for kind in _CHANGES:
                made = maker.falsified(kind, pattern)
                if made is not None:
                    others, place = maker.others(), draw.randrange(3)
                    text, base = (_among(sentence, others, place, language) for sentence in made)
                    yield Text(text, base, facts, language, half, f"pattern_{kind}", pattern)


def _lines(block: str) -> list[str]:
    return [line for line in block.splitlines() if line]


def _among(sentence: str, others: Sequence[str], place: int, language: str) -> str:
    """A sentence at its place among others, behind one that names the day; an empty one is left out."""
    return " ".join(part for part in (_BEGINNINGS[language], *others[:place], sentence, *others[place:]) if part)


@dataclass(frozen=True)
class _Chosen:
    """What a pattern is filled with: two metrics, the facts' reference, the noun and the reference that are told."""

    metric: str
    second: str
    against: Against
    named: str
    told: Against


@dataclass(frozen=True)
class _Maker:
    """Fills patterns with the facts of a day."""

    facts: DayFacts
    half: Half
    draw: random.Random

    def made(self, pattern: str) -> str | None:
        """A pattern filled with a metric and a reference for which all is known; None where there is none."""
        chosen = self._chosen(pattern)
        return None if chosen is None else self._put(pattern, chosen)

    def others(self) -> list[str]:
        """Two true sentences."""
        patterns = _lines(TRUE[self.facts.language][self.half])
        held: list[str] = []
        while len(held) < 2:
            other = self.made(self.draw.choice(patterns))
            held += [other] if other else []
        return held

    def planted(self, kind: str, line: str) -> tuple[str, str] | None:
        """A planted phrase as it is false on this day, and what is left without it; None where it would be true."""
        if kind in ("invented_anomaly", "denied_anomaly"):
            known = [
                name for name in _BASES if (self.facts.facts[name].anomaly is None) == (kind == "invented_anomaly")
            ]
            if not known:
                return None
            metric = self.draw.choice(known)
            return self._put(line, _Chosen(metric, metric, "trend", metric, "trend")), ""
        sizes = {"strength_large": (0.0, 0.07), "strength_small": (0.19, 9.0)}.get(kind)
        if not line.startswith("+ "):
            chosen = self._chosen(line, sizes)
            return None if chosen is None else (self._put(line, chosen), "")
        sentence, chosen = self.others()[0], self._chosen(line[2:], sizes)
        if chosen is None:
            return None
        tail = self._put(line[2:], chosen)
        return f"{sentence.removesuffix('.')}{'' if tail.startswith(',') else ' '}{tail}.", sentence

    def falsified(self, kind: str, pattern: str) -> tuple[str, str] | None:
        """A pattern made false in one way, and as it is true; None where it cannot be."""
        chosen = self._chosen(pattern)
        if chosen is None:
            return None
        base = self._put(pattern, chosen)
        made = {
            "direction": self._turned,
            "reference": self._against_another,
            "metric": self._of_another,
            "swapped": self._swapped,
            "product": self._other_product,
            "digits": self._in_digits,
            "number": self._in_words,
        }[kind](pattern, chosen)
        return None if made is None else (made, base)

    def _turned(self, pattern: str, chosen: _Chosen) -> str | None:
        found = list(_ALTERNATIVES.finditer(pattern))
        if not found:
            return None
        one = self.draw.choice(found)
        turned = one[0].replace(f"[{one[1]}|{one[2]}]", f"[{one[2]}|{one[1]}]")
        return self._put(pattern[: one.start()] + turned + pattern[one.end() :], chosen)

    def _against_another(self, pattern: str, chosen: _Chosen) -> str | None:
        if "%" not in pattern or not re.search(r"\{[~<]\}", pattern):
            return None
        others: list[Against] = [other for other in self._references(pattern) if other != chosen.against]
        return self._put(pattern, replace(chosen, told=self.draw.choice(others)))

    def _of_another(self, pattern: str, chosen: _Chosen) -> str | None:
        if "@a" not in pattern.lower() or not re.search(r"\{[=~<]\}", pattern):
            return None
        # Orders and purchases may be called alike.
        alike = {"orders", "purchases"}
        pool = _COUNTS if pattern.startswith("c: ") else tuple(_BASES)
        named = [
            name for name in pool if name not in (chosen.metric, chosen.second) and not {name, chosen.metric} <= alike
        ]
        return self._put(pattern, replace(chosen, named=self.draw.choice(named)))

    def _swapped(self, pattern: str, chosen: _Chosen) -> str | None:
        if "{=}" not in pattern or "{<}" not in pattern:
            return None
        return self._put(pattern.replace("{=}", "{!}").replace("{<}", "{=}").replace("{!}", "{<}"), chosen)

    def _other_product(self, pattern: str, chosen: _Chosen) -> str | None:
        held = [found for found in _IDS.findall(pattern) if re.match(r"(riser|faller|top_product)_\d$", found)]
        if not held:
            return None
        one = self.draw.choice(held)
        other = {
            "riser": ("faller_1", "riser_2"),
            "faller": ("riser_1", "faller_2"),
            "top_product": ("riser_1", "top_product_3", "faller_2"),
        }[one.rsplit("_", 1)[0]]
        return self._put(pattern.replace(f"{{{one}}}", f"{{{self.draw.choice(other)}}}"), chosen)

    def _in_digits(self, pattern: str, chosen: _Chosen) -> str | None:
        sentence = self._put(pattern, chosen)
        figures = [
            found for found in _IDS.findall(sentence) if self.facts.facts[found].kind not in ("product", "country")
        ]
        if not figures:
            return None
        one = self.draw.choice(figures)
        return sentence.replace(f"{{{one}}}", formatted(self.facts.facts[one], self.facts.language), 1)

    def _in_words(self, pattern: str, chosen: _Chosen) -> str | None:
        sentence = self._put(pattern, chosen)
        counts = [found for found in _IDS.findall(sentence) if self.facts.facts[found].kind == "count"]
        if not counts:
            return None
        word = self.draw.choice(_NUMBERS[self.facts.language][self.half])
        changed = sentence.replace(f"{{{self.draw.choice(counts)}}}", word, 1)
        return changed[0].upper() + changed[1:]

    def _references(self, pattern: str) -> list[Against]:
        """What a pattern may be held against: what was expected has no value at a time."""
        is_timed = "{<}" in pattern or re.search(r"%(on|em)\b", pattern)
        return ["day_before", "week_before"] if is_timed else ["day_before", "week_before", "trend"]

    def _chosen(self, pattern: str, sizes: tuple[float, float] | None = None) -> _Chosen | None:
        """A metric, another one and a reference for a pattern; None where no metric fits.

        Args:
            sizes: within which the change lies, as a fraction of what it was.
        """
        pool = {"c: ": _COUNTS, "m: ": ("revenue",)}.get(pattern[:3], tuple(_BASES))
        has_change = "[" in pattern or "{~" in pattern or sizes is not None
        low, high = sizes or (0.0, 9.0)
        choices = [
            (metric, against)
            for metric in pool
            for against in self._references(pattern)
            if not has_change or low <= (self._size(metric, against) or -1.0) <= high
        ]
        if not choices:
            return None
        metric, against = self.draw.choice(choices)
        others = [name for name in _BASES if name != metric and self._size(name, against) is not None]
        return _Chosen(metric, self.draw.choice(others), against, metric, against)

    def _size(self, metric: str, against: Against) -> float | None:
        """How large a change is, as a fraction of what it was; None where it is shown as none."""
        fact = self.facts.facts[f"{metric}_vs_{against}"]
        if fact.sign == 0:
            return None
        return abs(float(fact.value)) / (0.3 if fact.kind == "points" else 1.0)  # type: ignore[arg-type]

    def _put(self, pattern: str, chosen: _Chosen) -> str:
        facts, language = self.facts.facts, self.facts.language
        body = pattern[3:] if pattern[1:3] == ": " else pattern
        metric, second, against = chosen.metric, chosen.second, chosen.against
        nouns = NOUNS[language][self.half]
        noun, other = nouns[chosen.named], nouns[second]

        def side(found: re.Match[str]) -> str:
            identifier = found[3] or f"{second if found[4] else metric}_vs_{against}"
            chosen = found[1] if facts[identifier].sign > 0 else found[2]
            parts = chosen.split("/")
            is_one = (other if found[4] else noun).startswith("*")
            return parts[0] if len(parts) == 1 or is_one else parts[1]

        text = _ALTERNATIVES.sub(side, body)
        text = _NUMBERED.sub(lambda found: found[1 if (other if found[3] else noun).startswith("*") else 2], text)
        for token, word in (("@de", _joined("de", noun)), ("@em", _joined("em", noun))):
            text = text.replace(token, word)
        for token, plain in (("@a", noun), ("@A", _large(noun)), ("@b", other), ("@B", _large(other))):
            text = re.sub(rf"{token}\b", plain.lstrip("*"), text)
        words = self.draw.choice(REFERENCES[language][self.half][chosen.told])
        text = text.replace("on %on", "%on").replace("%on", f"on {words}")
        for token, preposition in (("%de", "de"), ("%em", "em"), ("%a", "a")):
            text = re.sub(rf"{token}\b", _joined(preposition, words), text)
        text = re.sub(r"%[ro]\b", words, text)
        text = text.replace("{=}", f"{{{metric}}}").replace("{=b}", f"{{{second}}}")
        text = text.replace("{~}", f"{{{metric}_vs_{against}}}").replace("{~b}", f"{{{second}_vs_{against}}}")
        text = text.replace("{<}", f"{{{metric}_{against}}}")
        text = text.replace("&weekday", self._wrong_weekday()).replace("&month", self._wrong_month())
        return text if text[0] in "{,(" or _is_tail(body) else text[0].upper() + text[1:]

    def _wrong_weekday(self) -> str:
        today = self.facts.day.weekday()
        return _WEEKDAYS[self.facts.language][(today + self.draw.choice((1, 2, 3, 4, 5))) % 7]

    def _wrong_month(self) -> str:
        place = self.draw.choice([at for at, number in enumerate(_MONTH_NUMBERS) if number != self.facts.day.month])
        return _MONTHS[self.facts.language][place]


def _is_tail(body: str) -> bool:
    """Whether a phrase goes on with a sentence."""
    return body[0].islower()


def _rounded(kind: str, value: float) -> int | float | Decimal:
    """A value as a shop has it."""
    if kind == "count":
        return round(value)
    return Decimal(str(round(value, 2))) if kind == "money" else round(value, 4)


def _large(noun: str) -> str:
    plain = noun.lstrip("*")
    return plain[0].upper() + plain[1:]


def _joined(preposition: str, words: str) -> str:
    """A Portuguese preposition joined with the article behind it."""
    plain = words.lstrip("*")
    article, _, rest = plain.partition(" ")
    forms = {
        "de": {"o": "do", "a": "da", "os": "dos", "as": "das"},
        "em": {"o": "no", "a": "na", "os": "nos", "as": "nas"},
        "a": {"o": "ao", "a": "à", "os": "aos", "as": "às"},
    }[preposition]
    return f"{forms[article]} {rest}" if article in forms else f"{preposition} {plain}"
