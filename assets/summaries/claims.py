"""What a summary's sentence claims, and whether the facts say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

from assets.summaries.facts import AGAINST, BY_NAME, Against, DayFacts, Fact

Kind = Literal[
    "value",
    "then",
    "change",
    "moved",
    "same",
    "none",
    "anomaly",
    "product",
    "gain",
    "measure",
    "joined",
    "day",
    "form",
    "told",
    "shop",
    "bare",
    "today",
    "earlier",
    "country",
    "alone",
]


OF_EACH_OTHER = [
    {"orders", "customers"},
    {"orders", "revenue"},
    {"orders", "units"},
    {"orders", "products_sold"},
    {"customers", "revenue"},
    {"customers", "units"},
    {"revenue", "units"},
    {"revenue", "products_sold"},
    {"units", "products_sold"},
    {"sessions", "views"},
    {"sessions", "carts"},
    {"sessions", "purchases"},
    {"views", "carts"},
    {"views", "purchases"},
    {"carts", "purchases"},
    {"reviews", "rating"},
    {"views", "view_to_cart"},
    {"carts", "view_to_cart"},
    {"carts", "cart_to_purchase"},
    {"purchases", "cart_to_purchase"},
    {"basket", "orders"},
    {"basket", "revenue"},
    {"basket", "units"},
    {"basket", "products_sold"},
]
"""Metrics of which one may be said to be of the other: orders of customers."""


@dataclass(frozen=True)
class Claim:
    """One thing that a sentence says.

    Attributes:
        kind: what is said, and of which facts.

            - value, then, change: a fact is a metric's value on the day, on another day, or its change;
            - moved, same, none: a metric went up or down, did not, or is zero;
            - anomaly: it is outside its usual range, on a side where the claim has a sign;
            - product, gain: a fact is a figure of a product, or what it gained or lost;
            - measure: a fact is counted in a metric, as revenue or units;
            - joined: one metric is of another, as orders of customers;
            - day: a date is that of what is compared with;
            - told, shop, country: what is spoken of, as it may be;
            - bare: what comes is of what was spoken of, which has to be the shop;
            - today, earlier: of which day is spoken;
            - alone: there is no earlier day;
            - form: what no fact can say.
        metric: that it is of, or product's id.
        sign: 1 for up, above, high, gained; -1 for the other way.
        facts: the ids of the facts in it.
        against: what is compared with, or the day of `then`; None where the sentence does not say it.
    """

    kind: Kind
    metric: str | None = None
    sign: int = 0
    facts: tuple[str, ...] = ()
    against: str | None = None

    @property
    def needs_against(self) -> bool:
        """Whether it says nothing without what it is compared with."""
        return self.kind in ("then", "change", "moved", "same", "gain")


@dataclass(frozen=True)
class Fault:
    """What is wrong in a text.

    Attributes:
        kind: form, length, language, unknown_id, date, metric, reference, direction, number, product or anomaly.
        said: one sentence to who wrote it.
        at: the words.
    """

    kind: str
    said: str
    at: str


def fault_of(claim: Claim, facts: DayFacts) -> Fault | None:
    """What is wrong with a claim; None where the facts say it."""
    wrong = _JUDGES[claim.kind](claim, facts)
    return None if wrong is None else Fault(wrong[0], wrong[1], " ".join(f"{{{each}}}" for each in claim.facts))


Wrong = tuple[str, str] | None


def _value(claim: Claim, facts: DayFacts) -> Wrong:
    fact = _fact(claim, facts)
    return None if fact.metric == claim.metric else ("metric", f"{{{fact.id}}} is no value of {_name(claim)}.")


def _then(claim: Claim, facts: DayFacts) -> Wrong:
    fact = _fact(claim, facts)
    if fact.metric != claim.metric:
        return "metric", f"{{{fact.id}}} is no value of {_name(claim)}."
    return _against(claim, fact)


def _change(claim: Claim, facts: DayFacts) -> Wrong:
    fact = _fact(claim, facts)
    if fact.metric != claim.metric:
        return "metric", f"{{{fact.id}}} is no change of {_name(claim)}."
    return _against(claim, fact) or _direction(claim, fact.sign, f"{{{fact.id}}}")


def _moved(claim: Claim, facts: DayFacts) -> Wrong:
    sign = _sign(claim, facts)
    if claim.against is None or sign is None:
        return "reference", f"Say what {_name(claim)} is compared with, by facts of the list."
    return _direction(claim, sign, _name(claim))


def _against(claim: Claim, fact: Fact) -> Wrong:
    """Whether a fact is compared with what is said, or of the day that is said."""
    if claim.against == fact.against:
        return None
    told = "this day" if fact.against is None else AGAINST[fact.against]
    return "reference", f"{{{fact.id}}} is of {told}: say so in the same clause."


def _direction(claim: Claim, sign: int, of: str) -> Wrong:
    if sign == claim.sign:
        return None
    return "direction", f"The direction of {of} is {_DIRECTIONS[sign]}."


def _sign(claim: Claim, facts: DayFacts) -> int | None:
    """The direction of a metric against what is compared with; None where that is not known."""
    metric, against = str(claim.metric), cast(Against, claim.against)
    change = facts.change(metric, against)
    if change is not None:
        return change.sign
    now, then = facts.of(metric), facts.facts.get(f"{metric}_{against}")
    if now is None or then is None:
        return None
    one, other = (float(cast(float, fact.value)) for fact in (now, then))
    return (one > other) - (one < other)


def _none(claim: Claim, facts: DayFacts) -> Wrong:
    fact = facts.facts.get(f"{claim.metric}_{claim.against}" if claim.against else str(claim.metric))
    if fact is not None and fact.value == 0:
        return None
    return "number", f"The facts do not say that there were no {_name(claim)}."


def _anomaly(claim: Claim, facts: DayFacts) -> Wrong:
    fact = facts.of(str(claim.metric))
    if fact is None or fact.anomaly is None or (claim.sign and {"high": 1, "low": -1}[fact.anomaly] != claim.sign):
        return "anomaly", f"The facts do not say that {_name(claim)} was unusual in this way."
    if claim.facts and claim.facts != (f"{fact.id}_band_low", f"{fact.id}_band_high"):
        return "anomaly", f"These are not the ends of the usual range of {_name(claim)}."
    return None


def _product(claim: Claim, facts: DayFacts) -> Wrong:
    product, figure = facts.facts[str(claim.metric)], _fact(claim, facts)
    # A product may have risen most and lead as well.
    same = product.product_id is not None and product.product_id == figure.product_id
    if same or figure.id.startswith(f"{product.id}_"):
        return None
    return "product", f"{{{figure.id}}} is no figure of {{{product.id}}}."


def _gain(claim: Claim, facts: DayFacts) -> Wrong:
    fact = _fact(claim, facts)
    if claim.against != "week_before":
        return "reference", f"{{{fact.id}}} is compared with {AGAINST['week_before']}: say so in the same sentence."
    return _product(claim, facts) or _direction(claim, fact.sign, f"{{{fact.id}}}")


def _measure(claim: Claim, facts: DayFacts) -> Wrong:
    fact = _fact(claim, facts)
    wanted = "units" if fact.id.endswith("_units") else "revenue"
    return None if claim.metric == wanted else ("metric", f"{{{fact.id}}} is of {wanted}, not of {_name(claim)}.")


def _joined(claim: Claim, facts: DayFacts) -> Wrong:
    del facts
    pair = {str(claim.metric), *claim.facts}
    if len(pair) == 1 or pair in OF_EACH_OTHER:
        return None
    return "metric", f"The facts do not say that {_name(claim)} belong to those: write them in two clauses."


def _day(claim: Claim, facts: DayFacts) -> Wrong:
    fact = _fact(claim, facts)
    return None if fact.id == f"{claim.against}_date" else ("date", f"{{{fact.id}}} is {fact.said}.")


def _form(claim: Claim, facts: DayFacts) -> Wrong:
    del claim, facts
    return "form", "The facts cannot say this: keep to the forms."


def _told(claim: Claim, facts: DayFacts) -> Wrong:
    return None if str(claim.metric) in facts.facts else ("metric", f"The facts do not hold {_name(claim)}.")


def _free(claim: Claim, facts: DayFacts) -> Wrong:
    """It says nothing that could be false."""
    del claim, facts
    return None


def _alone(claim: Claim, facts: DayFacts) -> Wrong:
    del claim
    if any(fact.metric and fact.against for fact in facts.facts.values()):
        return "reference", "There are earlier days to compare with."
    return None


_JUDGES: dict[Kind, Callable[[Claim, DayFacts], Wrong]] = {
    "value": _value,
    "then": _then,
    "change": _change,
    "moved": _moved,
    "same": _moved,
    "none": _none,
    "anomaly": _anomaly,
    "product": _product,
    "gain": _gain,
    "measure": _measure,
    "joined": _joined,
    "day": _day,
    "form": _form,
    "told": _told,
    "shop": _free,
    "today": _free,
    "earlier": _free,
    "bare": _free,
    "country": _free,
    "alone": _alone,
}
_DIRECTIONS = {1: "up", 0: "unchanged", -1: "down"}


def _fact(claim: Claim, facts: DayFacts) -> Fact:
    return facts.facts[claim.facts[0]]


def _name(claim: Claim) -> str:
    """A claim's metric in words."""
    return BY_NAME[claim.metric].said if claim.metric in BY_NAME else "this"
