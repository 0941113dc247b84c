"""The narrator: a day's summary made from its facts by fixed sentences, without a language model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from assets.summaries.facts import AGAINST, METRICS, Against, DayFacts

MOST_SENTENCES = 6
_ANOMALIES = 2
"""At most so many metrics outside their band are told."""


@dataclass(frozen=True)
class Words:
    """What the narrator says in one language.

    Attributes:
        note: that no language model wrote the text; `{language}` is the shop's.
        name: a metric -> what it is called at the beginning of a sentence.
        noun: a count -> its noun for one and for another number.
        against: what a day is compared with -> how it is named after a change, and at the beginning of a sentence.
        up, down, same: a change and what it is against.
    """

    note: str
    both: str
    name: Mapping[str, str]
    noun: Mapping[str, tuple[str, str]]
    against: Mapping[Against, str]
    up: str
    down: str
    same: str
    changed: str
    orders: str
    orders_of_customers: str
    events: str
    reviews: str
    reviews_too: str
    rated: str
    none: str
    before: str
    none_before: str
    alone: str
    high: str
    low: str
    both_movers: str
    riser: str
    faller: str
    top: str
    country: str
    funnel: str


ENGLISH = Words(
    note="Written by fixed sentences from the facts, without a language model.",
    both="and",
    name={
        "orders": "The number of orders",
        "revenue": "Revenue",
        "customers": "The number of customers",
        "basket": "The average order value",
        "units": "The number of units sold",
        "products_sold": "The number of different products sold",
        "sessions": "The number of sessions",
        "views": "The number of views",
        "carts": "The number of additions to a cart",
        "purchases": "The number of purchases on the site",
        "view_to_cart": "The share of views that went on to a cart",
        "cart_to_purchase": "The share of carts that went on to a purchase",
        "reviews": "The number of reviews",
        "rating": "The average rating",
    },
    noun={
        "orders": ("order", "orders"),
        "customers": ("customer", "customers"),
        "sessions": ("session", "sessions"),
        "views": ("view", "views"),
        "reviews": ("review", "reviews"),
    },
    against={
        "day_before": "the day before",
        "week_before": "the same weekday a week before",
        "trend": "what was to be expected",
    },
    up="{{{change}}} above {against}",
    down="{{{change}}} below {against}",
    same="unchanged from {against}",
    changed="{name} was {changes}.",
    orders="On {{date}} there {were} {{orders}} {orders}, with revenue of {{revenue}}.",
    orders_of_customers=(
        "On {{date}} there {were} {{orders}} {orders} from {{customers}} {customers}, with revenue of {{revenue}}."
    ),
    events="On {{date}} there {were} {{sessions}} {sessions} with {{views}} {views}.",
    reviews="On {{date}} there {were} {{reviews}} {reviews}.",
    reviews_too="There {were} {{reviews}} {reviews}, with an average rating of {{rating}}.",
    rated="The average rating was {{rating}}.",
    none="On {{date}} there were no {nouns}.",
    before="On {against} there {were} {{{count}_{day}}} {nouns}.",
    none_before="On {against} there were no {nouns}.",
    alone="There is no earlier day to compare with.",
    high="{name} was above its usual range of {{{metric}_band_low}} to {{{metric}_band_high}}.",
    low="{name} was below its usual range of {{{metric}_band_low}} to {{{metric}_band_high}}.",
    both_movers=(
        "Compared with the same weekday a week before, {{riser_1}} gained {{riser_1_change}} in revenue and "
        "{{faller_1}} lost {{faller_1_change}}."
    ),
    riser="Compared with the same weekday a week before, {{riser_1}} gained {{riser_1_change}} in revenue.",
    faller="Compared with the same weekday a week before, {{faller_1}} lost {{faller_1_change}} in revenue.",
    top="{{top_product_1}} brought in {{top_product_1_revenue}}.",
    country="{{top_country}} accounted for {{top_country_share}} of the revenue.",
    funnel="The site had {{sessions}} {sessions} with {{views}} {views}.",
)
PORTUGUESE = Words(
    note="Escrito com frases fixas a partir dos fatos, sem modelo de linguagem.",
    both="e",
    name={
        "orders": "O número de pedidos",
        "revenue": "A receita",
        "customers": "O número de clientes",
        "basket": "O valor médio do pedido",
        "units": "O número de unidades vendidas",
        "products_sold": "O número de produtos diferentes vendidos",
        "sessions": "O número de sessões",
        "views": "O número de visualizações",
        "carts": "O número de adições ao carrinho",
        "purchases": "O número de compras no site",
        "view_to_cart": "A parcela das visualizações que chegou ao carrinho",
        "cart_to_purchase": "A parcela dos carrinhos que chegou à compra",
        "reviews": "O número de avaliações",
        "rating": "A nota média",
    },
    noun={
        "orders": ("pedido", "pedidos"),
        "customers": ("cliente", "clientes"),
        "sessions": ("sessão", "sessões"),
        "views": ("visualização", "visualizações"),
        "reviews": ("avaliação", "avaliações"),
    },
    against={"day_before": "dia anterior", "week_before": "mesmo dia da semana anterior", "trend": "esperado"},
    up="{{{change}}} acima do {against}",
    down="{{{change}}} abaixo do {against}",
    same="sem alteração em relação ao {against}",
    changed="{name} ficou {changes}.",
    orders="Em {{date}} houve {{orders}} {orders}, com receita de {{revenue}}.",
    orders_of_customers=(
        "Em {{date}} houve {{orders}} {orders} de {{customers}} {customers}, com receita de {{revenue}}."
    ),
    events="Em {{date}} houve {{sessions}} {sessions} com {{views}} {views}.",
    reviews="Em {{date}} houve {{reviews}} {reviews}.",
    reviews_too="Houve {{reviews}} {reviews}, com nota média de {{rating}}.",
    rated="A nota média foi {{rating}}.",
    none="Em {{date}} não houve {nouns}.",
    before="No {against} houve {{{count}_{day}}} {nouns}.",
    none_before="No {against} não houve {nouns}.",
    alone="Não há dia anterior para comparação.",
    high="{name} ficou acima da faixa habitual de {{{metric}_band_low}} a {{{metric}_band_high}}.",
    low="{name} ficou abaixo da faixa habitual de {{{metric}_band_low}} a {{{metric}_band_high}}.",
    both_movers=(
        "Em comparação com o mesmo dia da semana anterior, {{riser_1}} ganhou {{riser_1_change}} em receita e "
        "{{faller_1}} perdeu {{faller_1_change}}."
    ),
    riser="Em comparação com o mesmo dia da semana anterior, {{riser_1}} ganhou {{riser_1_change}} em receita.",
    faller="Em comparação com o mesmo dia da semana anterior, {{faller_1}} perdeu {{faller_1_change}} em receita.",
    top="{{top_product_1}} rendeu {{top_product_1_revenue}}.",
    country="{{top_country}} respondeu por {{top_country_share}} da receita.",
    funnel="O site teve {{sessions}} {sessions} com {{views}} {views}.",
)
LANGUAGES: dict[str, Words] = {"en": ENGLISH, "pt": PORTUGUESE}


def written_in(language: str) -> str:
    """The language in which the narrator writes for a shop: the shop's where it has words for it, else English."""
    return language if language in LANGUAGES else "en"


def note(language: str) -> str:
    """What is said beside the narrator's texts for shops of a language: that no language model wrote them."""
    words = LANGUAGES[written_in(language)]
    return words.note if language in LANGUAGES else f"{words.note} The narrator has no words for {language!r}."


def narrate(facts: DayFacts) -> str:
    """A summary with `{id}`s in the language of `written_in`.

    Raises:
        ValueError: no metric of the day is known.
    """
    if facts.main is None:
        raise ValueError(f"nothing is known of {facts.shop} on {facts.day}: no orders, no events and no reviews")
    words = LANGUAGES[written_in(facts.language)]
    return " ".join(list(_sentences(facts, words))[:MOST_SENTENCES])


def _sentences(facts: DayFacts, words: Words) -> Iterator[str]:
    main = str(facts.main)
    count = "orders" if main == "revenue" else main
    if _number(facts, count):
        template = {"orders": words.orders, "sessions": words.events, "reviews": words.reviews}[count]
        if count == "orders" and _number(facts, "customers"):
            template = words.orders_of_customers
        yield _filled(template, facts, words, count)
        if count == "reviews" and "rating" in facts.facts:
            yield words.rated.format()
        before = list(_changes(facts, words, main))
        yield from before
    else:
        before = []
        yield words.none.format(nouns=words.noun[count][1])
    yield from _anomalies(facts, words)
    yield from _products(facts, words)
    if count == "orders":
        if _number(facts, "sessions"):
            yield _filled(words.funnel, facts, words, "sessions")
        if _number(facts, "reviews") and "rating" in facts.facts:
            yield _filled(words.reviews_too, facts, words, "reviews")
        if "top_country" in facts.facts:
            yield words.country.format()
    if not before:
        # At the end: what is said behind it would be taken for that of the earlier day.
        yield from _before(facts, words, count)


def _changes(facts: DayFacts, words: Words, metric: str) -> Iterator[str]:
    """How a metric changed against all that it can be compared with; nothing where there is nothing."""
    patterns = {1: words.up, -1: words.down, 0: words.same}
    moved: list[str] = []
    stayed: list[str] = []
    for against in AGAINST:
        change = facts.change(metric, against)
        if change is not None:
            said = patterns[change.sign].format(change=change.id, against=words.against[against])
            (moved if change.sign else stayed).append(said)
    for part in (moved, stayed):
        if part:
            yield words.changed.format(name=words.name[metric], changes=_listed(part, words.both))


def _before(facts: DayFacts, words: Words, count: str) -> Iterator[str]:
    """How many there were on days before one with or after none: a change from or to none needs no percentage."""
    compared: tuple[Against, ...] = ("day_before", "week_before")
    known = [against for against in compared if f"{count}_{against}" in facts.facts]
    if not known:
        yield words.alone
    for against in known:
        number = _number(facts, f"{count}_{against}")
        template = words.before if number else words.none_before
        yield template.format(
            against=words.against[against],
            count=count,
            day=against,
            were=_were(number),
            nouns=_noun(words, count, number),
        )


def _anomalies(facts: DayFacts, words: Words) -> Iterator[str]:
    found = [fact for metric in METRICS if (fact := facts.of(metric.name)) is not None and fact.anomaly is not None]
    for fact in found[:_ANOMALIES]:
        template = words.high if fact.anomaly == "high" else words.low
        yield template.format(name=words.name[fact.id], metric=fact.id)


def _products(facts: DayFacts, words: Words) -> Iterator[str]:
    """What moved most, or where nothing can be compared, what led."""
    rose, fell = "riser_1" in facts.facts, "faller_1" in facts.facts
    if rose or fell:
        yield (words.both_movers if rose and fell else words.riser if rose else words.faller).format()
    elif "top_product_1" in facts.facts:
        yield words.top.format()


def _filled(template: str, facts: DayFacts, words: Words, count: str) -> str:
    """A template with the nouns of the counts in it, as their numbers ask."""
    nouns = {name: _noun(words, name, _number(facts, name)) for name in words.noun}
    return template.format(were=_were(_number(facts, count)), **nouns)


def _noun(words: Words, count: str, number: float) -> str:
    one, many = words.noun[count]
    return one if number == 1 else many


def _were(number: float) -> str:
    return "was" if number == 1 else "were"


def _number(facts: DayFacts, fact_id: str) -> float:
    """The value of a count; 0 where it is not known."""
    fact = facts.facts.get(fact_id)
    return 0 if fact is None or not isinstance(fact.value, int | float) else fact.value


def _listed(parts: Sequence[str], both: str) -> str:
    """Parts as a list in words: a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {both} {parts[-1]}"
