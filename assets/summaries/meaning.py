"""What a sentence means: the claims of its derivations, rule by rule of `grammar.lark`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from assets.summaries.claims import Claim
from assets.summaries.reading import Word, derivations, vocabulary_of

if TYPE_CHECKING:
    from lark import Tree

Claims = tuple[Claim, ...]
_SIGNED = ("VERB", "UP", "NOUN", "PLACE", "EXCEED", "MORE", "UNUSUAL")
_SIGNS = {"+": 1, "-": -1}
OF_THE_LEAD = "lead"
"""In place of what is compared with: the day that leads the clause, `on the day before there were ...`."""
AS_BEFORE = 2
"""In place of a direction: that of the change before, `orders rose by ..., revenue by ...`."""
IT = "it"
"""In place of a metric: that of which the sentence before speaks."""


@dataclass(frozen=True)
class Part:
    """What a part of a sentence says.

    Attributes:
        rule: by which it is derived.
        claims: those without a metric are of what the sentence speaks of.
        named: what it says that something is compared with, or when it was.
        metrics: that it lists.
    """

    rule: str
    claims: Claims = ()
    named: str | None = None
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class Derived:
    """What stands in a part of a sentence: its words, and what its parts say, in the order of the text."""

    children: Sequence[Part | Word]

    @property
    def parts(self) -> list[Part]:
        return [child for child in self.children if isinstance(child, Part)]

    @property
    def words(self) -> list[Word]:
        return [child for child in self.children if isinstance(child, Word)]

    def word(self, *kinds: str) -> str | None:
        """What its first word of some kinds means."""
        return next((word.value for word in self.words if word.kind in kinds), None)

    @property
    def signs(self) -> list[int]:
        """The directions that its words name, each once."""
        return list(dict.fromkeys(_SIGNS[word.value] for word in self.words if word.kind in _SIGNED))

    @property
    def sign(self) -> int:
        """The direction that it names first; 0 where it names none."""
        return next(iter(self.signs), 0)

    @property
    def claims(self) -> Claims:
        """What its parts claim."""
        return tuple(claim for part in self.parts for claim in part.claims)

    @property
    def named(self) -> list[str]:
        """What its parts name to compare with, each once."""
        return list(dict.fromkeys(part.named for part in self.parts if part.named is not None))

    @property
    def past(self) -> str | None:
        """What its first part that names something names."""
        return next(iter(self.named), None)


@lru_cache(maxsize=1024)
def meanings(sentence: str, language: str) -> tuple[Claims, ...]:
    """What a sentence may mean: of each derivation that says something else, what it claims.

    Raises:
        UnreadError: it has no derivation.
    """
    return tuple(dict.fromkeys(part.claims for part in _parts(derivations(sentence, language), language)))


def _parts(tree: Tree[Any], language: str) -> list[Part]:
    """All that a tree may say, each once."""
    if tree.data == "_ambig":
        return list(dict.fromkeys(part for child in tree.children for part in _parts(child, language)))
    from lark import Token

    vocabulary, rule = vocabulary_of(language), _RULES.get(str(tree.data))
    choices: list[Sequence[Part | Word]] = []
    for child in tree.children:
        if isinstance(child, Token):
            choices.append([vocabulary.word(child.type, str(child))])
        else:
            choices.append(_parts(child, language))
    made = []
    for children in itertools.product(*choices):
        derived = Derived(children)
        made.append(rule(derived) if rule else Part(str(tree.data), derived.claims))
    return list(dict.fromkeys(made))


def _of(claims: Iterable[Claim], metric: str | None) -> Claims:
    """Claims whose metric is now known."""
    return tuple(replace(claim, metric=metric) if claim.metric is None else claim for claim in claims)


def _past(derived: Derived) -> Part:
    date = derived.word("PASTDATE")
    named = derived.word("REF") or str(date).removesuffix("_date")
    return Part("past", (Claim("day", "", facts=(date,), against=named),) if date else (), named)


def _level(derived: Derived) -> Part:
    named = derived.word("REF")
    return Part("past", (Claim("then", facts=(str(derived.word("THEN")),), against=named),), named)


def _named(derived: Derived) -> Part:
    """What is compared with, or when it was."""
    return Part("against", derived.claims, derived.past)


def _comparison(derived: Derived) -> Part:
    return Part("comparison", derived.claims, derived.past)


def _on_past(derived: Derived) -> Part:
    past = derived if derived.parts else Derived([_past(derived)])
    return Part("on_past", past.claims, past.past)


def _on_day(derived: Derived) -> Part:
    del derived
    return Part("on_day", (Claim("today"),))


def _value(derived: Derived) -> Part:
    return Part("value", (Claim("value", facts=(str(derived.word("VALUE")),)),))


def _then(derived: Derived) -> Part:
    """A value of then, whose day stands beside it or is that of the sentence."""
    told: list[str | None] = [each for each in (derived.word("REF"), derived.past) if each is not None]
    facts = (str(derived.word("THEN")),)
    made = [Claim("then", derived.word("METRIC"), facts=facts, against=each) for each in told or [None]]
    return Part("then", (*derived.claims, *made))


def _chunk(derived: Derived) -> Part:
    """A change, values of then and of now, and what they are compared with; the words around it say the direction."""
    told = [str(claim.against) for claim in derived.claims if claim.kind == "then" and claim.against is not None]
    named: list[str | None] = list(dict.fromkeys([*derived.named, *told])) or [None]
    change = derived.word("CHANGE")
    if change is not None:
        made = [Claim("change", facts=(change,), against=each) for each in named]
    else:
        made = [Claim("moved", against=each) for each in named]
    thens = tuple(
        replace(claim, against=named[0]) if claim.kind == "then" and claim.against is None else claim
        for claim in derived.claims
    )
    return Part("chunk", (*made, *thens))


def _chunk_alone(derived: Derived) -> Part:
    claims = _chunk(derived).claims
    return Part("moved", tuple(replace(each, sign=AS_BEFORE) if each.kind == "change" else each for each in claims))


def _moved(derived: Derived) -> Part:
    sign = derived.sign
    claims = tuple(
        replace(claim, sign=sign) if claim.kind in ("moved", "change") else claim for claim in derived.claims
    )
    # From what was expected nothing rose: it was above.
    rose = [claim for claim in claims if claim.kind in ("moved", "change") and claim.against == "trend"]
    return Part("moved", (*claims, *([Claim("form")] if rose else [])))


def _change(derived: Derived) -> Claims:
    change = derived.word("CHANGE")
    kind, facts = ("change", (change,)) if change else ("moved", ())
    return Claim(kind, sign=derived.sign, facts=facts, against=derived.past), *derived.claims  # type: ignore[arg-type]


def _place(derived: Derived) -> Part:
    return Part("place", _change(derived))


def _more(derived: Derived) -> Part:
    return Part("more", _of(_change(derived), derived.word("METRIC")))


def _beside(derived: Derived) -> Part:
    sign, then = derived.sign, derived.word("THEN")
    made = [Claim("then", facts=(then,), against=derived.past)] if then else []
    if sign:
        made += [Claim("moved", sign=sign, against=claim.against) for claim in derived.claims if claim.kind == "then"]
    return Part("beside", (*made, *derived.claims))


def _valued(derived: Derived) -> Part:
    """A value, and of what it is: `came to {revenue} from {orders} orders`."""
    belonging = _belonging(derived.parts)
    if belonging and any(claim.kind == "then" for claim in derived.claims):
        # `..., compared with {then} the day before, with ...`: of which day it is would be in doubt.
        belonging.append(Claim("form"))
    return Part("valued", (*derived.claims, *belonging))


def _belonging(parts: Iterable[Part]) -> list[Claim]:
    """That what is spoken of is of the counts in some parts, of the same day."""
    made = []
    for claims in (part.claims for part in parts if part.rule in ("count", "counts")):
        made.append(Claim("joined", facts=(str(claims[0].metric),)))
        if claims[0].kind == "then":
            made.append(Claim("form"))
    return made


def _was(derived: Derived) -> Part:
    then = derived.word("THEN")
    made = [Claim("then", facts=(then,), against=derived.past)] if then else []
    # Without a day beside it, it is of the one that leads the clause.
    claims = (replace(each, against=OF_THE_LEAD) if _is_bare_then(each) else each for each in derived.claims)
    told = (*made, *claims)
    # What was expected is of the day.
    is_earlier = any(each.against != "trend" for each in told if each.kind == "then")
    return Part("was", (*told, *([Claim("earlier")] if is_earlier else [])))


def _is_bare_then(claim: Claim) -> bool:
    return claim.kind == "then" and claim.against is None


def _same(derived: Derived) -> Part:
    named: list[str | None] = [*derived.named] or [None]
    return Part("same", (*(Claim("same", against=each) for each in named), *derived.claims))


def _range(derived: Derived) -> Part:
    low, high = derived.word("LOW"), derived.word("HIGH")
    return Part("range", (Claim("anomaly", facts=(low, high) if low and high else ()),))


def _ranged(derived: Derived) -> Part:
    found = [claim for claim in derived.claims if claim.kind == "anomaly"] or [Claim("anomaly")]
    rest = [claim for claim in derived.claims if claim.kind != "anomaly"]
    # That it is unusual names no side.
    return Part("ranged", (*(replace(claim, sign=sign) for claim in found for sign in derived.signs or [0]), *rest))


def _bounded(derived: Derived) -> Part:
    metric = derived.word("METRIC") or IT
    return Part("bounded", (Claim("told", metric), *_of(_range(derived).claims, metric)))


def _told(derived: Derived) -> Part:
    subject = next(part for part in derived.parts if part.rule == "metrics")
    rest = [part for part in derived.parts if part is not subject]
    claims = [claim for part in rest for claim in part.claims]
    # `The average rating of {reviews} reviews was ...`
    claims += _belonging(rest)
    told = (Claim("told", metric) for metric in subject.metrics)
    return Part("told", (*told, *(claim for metric in subject.metrics for claim in _of(claims, metric))))


def _metrics(derived: Derived) -> Part:
    names = tuple(word.value for word in derived.words if word.kind == "METRIC")
    return Part("metrics", metrics=names or (IT,))


def _count(derived: Derived) -> Part:
    metric, then = derived.word("METRIC"), derived.word("THEN")
    made = [Claim("then", metric, facts=(then,), against=derived.past or OF_THE_LEAD)] if then else []
    made += [Claim("earlier")] if then else []
    return Part("count", (*made, *_of(derived.claims, metric)))


def _worth(derived: Derived) -> Part:
    return Part("worth", _of(derived.claims, "revenue"))


def _nothing(derived: Derived) -> Part:
    none = [Claim("none", word.value, against=derived.past) for word in derived.words if word.kind == "METRIC"]
    return Part("count", (*none, *_of(derived.claims, none[0].metric)))


def _counts(derived: Derived) -> Part:
    """Counts in a row: a preposition between two says that one belongs to the other."""
    made: list[Claim] = []
    before: Part | None = None
    between: list[str] = []
    for child in derived.children:
        if isinstance(child, Word):
            between.append(child.kind)
            continue
        if before is not None and (child.rule == "worth" or {"LINK", "HAVE", "PLACED"} & set(between)):
            made.append(Claim("joined", before.claims[0].metric, facts=(str(child.claims[0].metric),)))
            if any(claim.kind == "then" for claim in before.claims):
                # `..., compared with {then} the day before, with ...`: of which day it is would be in doubt.
                made.append(Claim("form"))
        made += child.claims
        before, between = child, []
    is_list = sum(isinstance(child, Part) for child in derived.children) > 1
    made += _mixed(derived.parts)
    # Of one of several it is not clear which went up.
    apposed = [claim for part in derived.parts if part.rule != "more" for claim in part.claims]
    if is_list and any(claim.kind in ("moved", "same", "anomaly") and not claim.facts for claim in apposed):
        made.append(Claim("form"))
    return Part("counts", tuple(made))


def _mixed(parts: Iterable[Part]) -> list[Claim]:
    """That a list holds counts of today and of then: the day of one would be read as that of the other."""
    first = {part.claims[0].kind for part in parts if part.claims}
    return [Claim("form")] if {"then", "value"} <= first else []


def _counted(derived: Derived) -> Part:
    """What there was; with `placed` it is what customers did."""
    claims = list(derived.claims)
    if derived.word("PLACED"):
        metric = derived.word("METRIC")
        who = metric or str(derived.parts[0].claims[0].metric)
        claims.append(Claim("joined", who, facts=(str(derived.parts[-1].claims[0].metric),)))
        if who != "customers":
            claims.append(Claim("form", who))
    elif claims and derived.word("PASSIVE"):
        claims = list(_of(claims, derived.parts[0].claims[-1].metric))
    return Part("counted", (Claim("shop"), *claims))


def _bare(derived: Derived) -> Part:
    """What there was, without saying where: of the shop, where nothing else is spoken of."""
    return Part("counted", (Claim("bare"), *derived.claims))


def _gained(derived: Derived) -> Part:
    fact = str(derived.word("PCHANGE"))
    gain = Claim("gain", sign=derived.sign, facts=(fact,), against=derived.past)
    return Part("gained", (gain, *_measured(derived, fact), *derived.claims))


def _figure(derived: Derived) -> Part:
    fact = str(derived.word("PREVENUE", "PUNITS"))
    return Part("figure", (Claim("product", facts=(fact,)), *_measured(derived, fact)))


def _extra_to(derived: Derived) -> Part:
    return Part("figure", (Claim("product", facts=(str(derived.word("PREVENUE")),)),))


def _measured(derived: Derived, fact: str) -> Claims:
    metric = derived.word("METRIC")
    return (Claim("measure", metric, facts=(fact,)),) if metric else ()


def _sold(derived: Derived) -> Part:
    product, metric = derived.word("PRODUCT"), derived.word("METRIC")
    made: list[Claim] = []
    for claim in derived.claims:
        is_product = claim.kind in ("product", "gain")
        made.append(replace(claim, metric=product) if is_product else claim)
        if metric and is_product:
            made.append(Claim("measure", metric, facts=claim.facts))
    return Part("sold", tuple(made))


def _share(derived: Derived) -> Part:
    fact = str(derived.word("SHARE", "CREVENUE"))
    metric = derived.word("METRIC") or "revenue"
    return Part("share", (*_of(derived.claims, metric), Claim("measure", metric, facts=(fact,))))


def _brought(derived: Derived) -> Part:
    return Part("brought", (Claim("country", facts=(str(derived.word("COUNTRY")),)), *derived.claims))


def _group(derived: Derived) -> Part:
    """Clauses behind `on the day before` or `compared with the day before`."""
    leads = [part for part in derived.parts if part.rule in ("on_day", "on_past", "comparison")]
    days = list(dict.fromkeys(lead.named for lead in leads if lead.named))
    if len(days) > 1:
        return Part("group", (Claim("form"), *derived.claims))
    named = next(iter(days), None)
    rules = {lead.rule for lead in leads}
    if "on_past" not in rules:
        return Part("group", _against(derived.claims, named))
    if rules != {"on_past"}:
        return Part("group", (Claim("form"), *derived.claims))
    made = []
    for claim in derived.claims:
        if claim.kind in ("then", "none"):
            claim = replace(claim, against=named) if claim.against in (None, OF_THE_LEAD) else claim
        elif claim.kind not in ("day", "joined", "told", "shop", "bare", "earlier"):
            # Of an earlier day only what was then is known.
            claim = Claim("form", claim.metric, facts=claim.facts)
        made.append(claim)
    return Part("group", tuple(made))


def _against(claims: Iterable[Claim], named: str | None) -> Claims:
    """Claims, of which those that do not say what they are compared with are so with what is named for all."""
    held = tuple(claims)
    bare = [claim for claim in held if claim.needs_against and claim.against is None]
    if named is not None and not bare:
        # Nothing is compared: a reader would take it for something else.
        return (Claim("form"), *held)
    return tuple(replace(claim, against=named) if claim in bare else claim for claim in held)


def _in_a_row(claims: Claims) -> Claims:
    """Claims with what they take from those before them: of what they are, and their direction."""
    made: list[Claim] = []
    about: str | None = None
    sign = 0
    for claim in claims:
        if claim.metric == IT and about is not None:
            claim = replace(claim, metric=about)
        if claim.kind == "told":
            about = claim.metric
        elif claim.kind in ("product", "gain", "country"):
            about = None
        if claim.sign == AS_BEFORE:
            claim = replace(claim, sign=sign)
        elif claim.kind in ("change", "moved"):
            sign = claim.sign
        made.append(claim)
    return tuple(made)


def _sentence(derived: Derived) -> Part:
    """All claims; what `it` is, and what is compared with where that is not said, stands in the clauses beside."""
    if derived.word("ALONE"):
        return Part("sentence", (Claim("alone"),))
    closing = next((part.named for part in derived.parts if part.rule == "comparison"), None)
    claims = _against(derived.claims, closing)
    claims = _in_a_row(claims)
    named = [claim.against if claim.needs_against else None for claim in claims]
    made = []
    for at, claim in enumerate(claims):
        if claim.needs_against and claim.against is None:
            # What was expected is said with each.
            before = next((each for each in reversed(named[:at]) if each and each != "trend"), None)
            behind = next((each for each in named[at:] if each and each != "trend"), None)
            if before is None or behind is None or before == behind:
                claim = replace(claim, against=before or behind)
        made.append(claim)
    return Part("sentence", tuple(made))


_RULES: dict[str, Callable[[Derived], Part]] = {
    "past": _past,
    "level": _level,
    "against": _named,
    "comparison": _comparison,
    "on_day": _on_day,
    "on_past": _on_past,
    "value": _value,
    "then": _then,
    "chunk": _chunk,
    "chunk_alone": _chunk_alone,
    "moved": _moved,
    "place": _place,
    "passed": _place,
    "more": _more,
    "beside": _beside,
    "valued": _valued,
    "was": _was,
    "same": _same,
    "range": _range,
    "ranged": _ranged,
    "bounded": _bounded,
    "told": _told,
    "metrics": _metrics,
    "count": _count,
    "worth": _worth,
    "nothing": _nothing,
    "counts": _counts,
    "counted": _counted,
    "bare": _bare,
    "gained": _gained,
    "figure": _figure,
    "extra_to": _extra_to,
    "sold": _sold,
    "share": _share,
    "brought": _brought,
    "group": _group,
    "sentence": _sentence,
}
"""The rules that say more than their parts."""
