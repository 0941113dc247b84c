"""The checker of summaries: true sentences pass, each kind of false one is refused, and the texts written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any, Literal

import pytest

from assets.summaries.checker import LONGEST, SENTENCES, check, rules_version
from assets.summaries.claims import Claim
from assets.summaries.facts import AGAINST, BY_NAME, DayFacts, Fact, Kind
from assets.summaries.meaning import meanings
from assets.summaries.narration import narrate
from benchmarks.summary_faults import PROMPTS, counted, counted_planted, written
from resources.llm.prompts import read_prompt

VALUES = {
    "orders": 120,
    "revenue": 5400.0,
    "customers": 96,
    "basket": 45.0,
    "units": 410,
    "products_sold": 130,
    "sessions": 2600,
    "views": 9100,
    "carts": 820,
    "purchases": 230,
    "view_to_cart": 0.09,
    "cart_to_purchase": 0.28,
    "reviews": 38,
    "rating": 4.2,
}
CHANGES = {
    "orders": (0.12, 0.2, 0.08),
    "revenue": (0.06, 0.15, 0.03),
    "customers": (0.1, 0.05, 0.04),
    "basket": (-0.05, -0.04, -0.05),
    "units": (0.02, 0.3, 0.1),
    "products_sold": (0.03, 0.04, 0.02),
    "sessions": (-0.04, 0.06, 0.01),
    "views": (-0.1, -0.2, -0.05),
    "carts": (0.001, 0.05, 0.02),
    "purchases": (0.09, 0.1, 0.05),
    "view_to_cart": (0.01, 0.02, 0.01),
    "cart_to_purchase": (-0.012, -0.03, -0.02),
    "reviews": (0.3, 0.5, 0.2),
    "rating": (-0.2, -0.1, -0.15),
}
"""Against the day before, the week before and the trend."""


def a_day(language: str = "en", changes: Mapping[str, tuple[float, ...]] = CHANGES) -> DayFacts:
    """A Tuesday: orders, revenue and customers up, the basket down, the site mixed, reviews unusually high."""
    facts: dict[str, Fact] = {}

    def add(identifier: str, kind: Kind, value: Any, metric: str | None = None, **more: Any) -> None:
        facts[identifier] = Fact(
            identifier,
            kind,
            value,
            metric,
            more.get("against"),
            None,
            identifier,
            more.get("product"),
            more.get("anomaly"),
        )

    for name, now in VALUES.items():
        metric = BY_NAME[name]
        anomaly: Literal["high"] | None = "high" if name == "reviews" else None
        add(name, metric.kind, now, name, anomaly=anomaly)
        if anomaly:
            add(f"{name}_band_low", metric.kind, now * 0.6, name)
            add(f"{name}_band_high", metric.kind, now * 0.9, name)
        for against, change in zip(AGAINST, changes[name], strict=True):
            then = now / (1 + change)
            then = round(then) if metric.kind == "count" else then
            amount = now / then - 1 if metric.change_kind == "percent" else now - then
            add(f"{name}_{against}", metric.kind, then, name, against=against)
            add(f"{name}_vs_{against}", metric.change_kind, amount, name, against=against)
    for rank in (1, 2, 3):
        for family, amount in (("riser", 200 - rank), ("faller", rank - 200), ("top_product", None)):
            product = f"{family} {rank}"
            add(f"{family}_{rank}", "product", f"{family.upper()} MUG {rank}", product=product)
            add(f"{family}_{rank}_revenue", "money", 900 - rank, product=product)
            if amount is None:
                add(f"{family}_{rank}_units", "count", 90 - rank, product=product)
            else:
                add(f"{family}_{rank}_change", "money", amount, product=product, against="week_before")
    add("top_country", "country", "GB")
    add("top_country_revenue", "money", 3000)
    add("top_country_share", "percent", 0.56)
    add("date", "date", date(2024, 5, 14))
    add("day_before_date", "date", date(2024, 5, 13))
    add("week_before_date", "date", date(2024, 5, 7))
    return DayFacts("shop", date(2024, 5, 14), language, "GBP", "Shop", facts)


BEFORE = {
    "en": "On {date}, orders were up {orders_vs_day_before} from the day before. ",
    "pt": "Em {date}, os pedidos subiram {orders_vs_day_before} frente ao dia anterior. ",
}
"""Each sentence stands behind one, for a text begins with its day, and many need what they are compared with."""


TRUE_ENGLISH = """
The order count climbed from {orders_day_before} to {orders}.
The number of customers rose to {customers} from {customers_day_before}.
The average rating slipped by {rating_vs_day_before} to {rating}.
Orders exceeded expectations by {orders_vs_trend}.
The cart-to-purchase rate, however, lost {cart_to_purchase_vs_day_before} and stood at {cart_to_purchase}.
At {customers}, the customer count was {customers_vs_trend} above what was expected.
The view-to-cart rate rose by {view_to_cart_vs_day_before} to {view_to_cart}.
That is {orders_vs_day_before} more than the previous day.
Orders were above the day before and above the same weekday a week before.
Revenue, at {revenue}, was {revenue_vs_day_before} above the day before.
The shop took {orders} orders worth {revenue}.
Revenue rose by {revenue_vs_day_before} and orders rose by {orders_vs_day_before} from the day before.
Orders rose by {orders_vs_day_before} from the day before, customers by {customers_vs_day_before}.
It was {orders_vs_week_before} above the same weekday a week before.
Reviews were unusually high, above their usual range of {reviews_band_low} to {reviews_band_high}.
Meanwhile, views fell by {views_vs_day_before} from the day before.
On the day before, there were {orders_day_before} orders.
{riser_1} gained {riser_1_change} in revenue, compared with the same weekday a week before.
{top_country} accounted for {top_country_share} of revenue, or {top_country_revenue}.
"""
TRUE_PORTUGUESE = """
O número de pedidos passou de {orders_day_before} para {orders}.
As avaliações, com {reviews}, ficaram acima da faixa habitual.
A nota média caiu {rating_vs_day_before}, para {rating}.
{top_country} concentrou {top_country_share} da receita.
Pedidos, clientes e receita aumentaram em relação ao dia anterior.
A taxa de carrinho para compra, porém, perdeu {cart_to_purchase_vs_day_before} e ficou em {cart_to_purchase}.
O dia rendeu {revenue} em {orders} pedidos.
{top_country} foi responsável por {top_country_share} da receita.
Menos sessões e menos visualizações do que no dia anterior.
As avaliações ficaram excepcionalmente altas, em {reviews}.
A receita ficou {revenue_vs_trend} acima do que se esperava.
Houve mais pedidos e mais clientes do que no dia anterior.
"""
FALSE_ENGLISH = """
Revenue was {revenue_vs_trend} above the expected level. Sessions rose to {sessions}.
Sessions rose by {sessions_vs_trend} from the expected level.
Revenue came to {revenue} from {orders_day_before} orders the day before.
There were {orders_day_before} orders the day before and revenue was {revenue}.
On the day before, there were {orders_day_before} orders. The shop had {sessions} sessions and {views} views.
Orders came to {orders}, compared with {orders_day_before} the day before, with revenue of {revenue}.
Revenue rose by {revenue_vs_day_before} from the day before, while revenue had come to {revenue}.
Revenue came to {revenue} from {orders} orders. They rose by {revenue_vs_day_before} from the day before.
Compared with the day before, orders rose by {orders_vs_day_before}, with revenue of {revenue_vs_day_before}.
Customers placed {sessions} sessions.
Orders came to {orders} more than the day before.
Revenue was {revenue} above its usual range.
Orders were {orders} up from the day before.
Orders were {orders} over the day before.
There were {orders} orders from the day before.
Over the day before, there were {orders} orders and revenue of {revenue}.
{top_country} accounted for {top_country_share} of revenue from the day before.
Revenue rose by {revenue_vs_day_before} from the previous day's figure of {revenue}.
Orders were {orders_vs_trend} above the expected level of {orders}.
Reviews were above their usual range of {reviews}.
Orders rose by {orders_vs_day_before} from the day before, {orders}.
Revenue, from {revenue}, rose by {revenue_vs_day_before} from the day before.
{riser_2} gained {riser_2_change} from the same weekday a week before, and its revenue came to {revenue}.
On the day before there were {orders_day_before} orders. That day, revenue came to {revenue}.
There were {orders_day_before} orders the day before, with revenue of {revenue}.
On the day before there were {orders_day_before} orders; revenue was {revenue}.
On the day before, on {date}, there were {orders_day_before} orders.
{riser_1} rose by {riser_1_change} from {riser_1_revenue}, compared with the same weekday a week before.
Revenue came to {revenue} from {sessions} sessions.
There were {sessions} sessions, generating revenue of {revenue}.
Average rating was {rating} from {orders} orders.
{customers} customers placed {orders} orders and left {reviews} reviews.
View-to-cart rate was {view_to_cart} of {sessions} sessions.
Orders came to {orders} customers.
There were {orders} orders and revenue of {revenue}, up from the day before.
Sessions rose by {sessions_vs_week_before} from the same weekday a week before but were below it.
{top_country} accounted for {top_country_share} of revenue. It rose by {revenue_vs_day_before} from the day before.
Revenue remained at {revenue}.
There had been {orders} orders.
Orders averaged {orders}.
Customers sold {units} units.
Orders came to {orders}, over {orders_day_before} the day before.
There were {orders} orders, revenue –{revenue_vs_day_before}.
Orders went from {orders_day_before},{orders}.
Orders were equal to the day before.
Orders were {orders}?
There were {orders} orders from {top_country}.
{top_country} accounted for {top_country_share} of revenue and {sessions} sessions.
{top_country} accounted for {top_country_share} of revenue, with {units} units.
{riser_1} brought in {riser_1_revenue} and took {orders} orders.
{riser_1} brought in {revenue}.
{riser_1} had {views} views.
Revenue of {riser_1} rose by {revenue_vs_day_before} from the day before.
Orders were as expected.
The shop was closed.
All orders came from {top_country}.
Orders rose, unlike views.
There were {orders} orders from {sessions} sessions.
On the day before, revenue was {revenue}.
On the day before, the same weekday a week before, there were {orders_day_before} orders.
There were {orders_day_before} orders and revenue rose by {revenue_vs_day_before} from the day before.
At {basket}, it was above its usual range.
Views were unusual.
Revenue rose by {revenue_vs_day_before} from the same weekday a week before.
Orders languished under the day before.
Revenue could not match the day before.
Sessions were up on the day before.
Fewer orders arrived than a week earlier.
Orders had been higher the day before.
The day before brought more orders.
A week earlier the shop had seen more revenue.
{orders_day_before} orders were placed, up from {orders}.
From {orders} orders the day before, the shop went to {orders_day_before}.
Revenue moved from {revenue} to {revenue_day_before}.
The shop took {orders_day_before} orders on {date}.
On {day_before_date} the shop took {orders} orders.
Revenue was {basket}.
Customers spent {revenue} per order on average.
The shop had {customers} orders from {orders} customers.
{sessions} orders came in.
Of all carts, {view_to_cart} led to a purchase.
The average rating was {cart_to_purchase}.
Reviews averaged {basket}.
Units sold came to {products_sold}.
{riser_1} lost ground.
{faller_1} was the strongest riser.
{riser_2} gained the most.
{top_product_2} was the best seller.
{top_product_2} outsold {top_product_1}.
{riser_1} led the sales list.
{faller_1} gained {faller_1_change}.
{riser_1} gained {riser_2_change}.
{faller_1} brought in {top_product_1_revenue}.
{riser_1} rose by {riser_1_change} on the day before.
{top_country} placed {top_country_share} of orders.
{top_country} fell behind.
Revenue in {top_country} rose.
Reviews were within their usual range.
The number of reviews was nothing out of the ordinary.
Reviews were unusually low.
Orders were unusually high.
Everything was in line with the trend.
All figures rose.
Every metric improved on the day before.
Orders soared.
Revenue rose sharply by {revenue_vs_day_before} on the day before.
Orders were flat on the day before.
Orders barely changed from a week earlier.
Orders rose a little against a week earlier, by {orders_vs_week_before}.
Orders did not exceed the day before.
There was no increase in orders on the day before.
At no point did orders top the day before.
Orders never rose above the day before.
Not even revenue improved on the day before.
Orders grew more slowly than sessions.
Revenue grew faster than orders.
Revenue outpaced orders against the day before.
Sessions outpaced orders against the day before.
Orders were up {orders_vs_week_before} on the day before.
Orders were up {orders_vs_day_before} on Monday last.
Orders were up {orders_vs_day_before} on a month earlier.
Compared with {week_before_date}, orders were up {orders_vs_day_before}.
Orders were up {orders_vs_day_before} from {date}.
Orders were {orders_vs_day_before} lower than the day before.
Orders rose {basket_vs_day_before} on the day before.
Basket size grew by {basket_vs_day_before} from the day before.
No orders came in from abroad.
The day closed without reviews.
Around a dozen customers came back.
Most customers bought more than once.
Nearly everyone who came bought something.
Orders were at their best in weeks.
Never were there so many orders.
This crowned a good week.
It was a day to remember.
The holiday crowd came.
The sunny spell helped.
A viral clip did the trick.
Loyal fans returned in droves.
People had more money to spend.
Shoppers were in a good mood.
The shop keeps winning.
More growth lies ahead.
The next week looks bright.
It would pay to look at the basket.
Someone ought to fix the funnel.
The shop beat the high street.
Amazon had a slower day.
The Kitchen Aid sold well.
French customers bought more.
Paris was the main city.
Toys did best.
The home department led.
Gloves and hats sold well.
The summer dress was the best seller.
In the evening orders picked up.
By noon most orders were in.
On Sunday orders had been lower.
As on every Tuesday, orders were strong.
In May orders tend to rise.
Orders were up for the third day.
Orders rose again.
Orders kept their upward course.
Orders were just under {orders}.
Revenue exceeded {revenue}.
Orders came to almost {orders}.
Nearly {orders_vs_day_before} more orders came in than the day before.
Revenue was {revenue}, less than {revenue_day_before}.
At {orders}, orders missed the {orders_trend} that were expected.
Orders fell short of the {orders_trend} expected.
Orders beat the usual {orders_trend} by {orders_vs_week_before}.
The {orders_vs_day_before} drop in orders was notable.
Orders dipped to {orders}.
Orders were down to {orders}.
Orders, down on the day before, came to {orders}.
Revenue and orders both declined against the day before.
While orders fell, revenue rose by {revenue_vs_day_before} on the day before.
Orders rose by {orders_vs_day_before} and revenue by {basket_vs_day_before} on the day before.
Orders and revenue rose {revenue_vs_day_before} and {orders_vs_day_before} on the day before.
Sessions rose {sessions_vs_week_before} on the day before.
Rating improved to {rating}.
The rating was better than the day before.
Customers were less satisfied than the day before, as {rating} shows.
Carts jumped against the day before.
Carts doubled.
Orders withered to {orders}.
Revenue gave a better account of itself the day before.
The day before was busier, with fewer than {orders} orders.
{orders} was the number of sessions.
Sessions and views both rose on the day before.
Neither orders nor revenue beat the day before.
Orders lost {orders_vs_day_before} on the day before.
A decrease of {orders_vs_day_before} in orders was seen against the day before.
Orders had stood at {orders} the day before.
The previous day's revenue was {revenue}.
The expected {orders} orders were beaten.
Revenue, expected at {revenue}, came to {revenue_trend}.
{orders_vs_day_before} fewer customers came than the day before.
Orders were {orders_vs_day_before} ahead of the same weekday a week earlier.
Orders were {orders_vs_trend} above {day_before_date}.
The week-on-week gain in orders was {orders_vs_day_before}.
Revenue per session rose.
Margins widened.
Profit came to {revenue}.
The stock fell to {units}.
Returns were low.
New visitors made up most of the traffic.
Mobile users bought more.
The newsletter was opened often.
The basket grew against the day before.
Customers bought bigger baskets than the day before.
Shoppers spent more per order, {basket} after {basket_day_before}.
{riser_3} was the biggest riser.
{riser_1}, {riser_2} and {faller_1} rose.
{top_product_3} was second, behind {top_product_1}.
{top_product_1} made {top_product_2_revenue}.
{top_product_1_units} units of {top_product_2} were sold.
{top_product_1} sold {top_product_1_units} orders.
{faller_1} climbed back.
{riser_1} brought in {riser_1_change}.
{riser_1} gained {riser_1_change} in orders.
{top_country} made up {top_country_share} of customers.
{top_country} was one of several markets.
Only {top_country} bought anything.
Demand from overseas was strong.
Reviews were in their usual band.
Reviews fell below the usual range.
Orders were out of their usual range.
Revenue was surprisingly high.
All was normal.
Sessions were normal, reviews too.
It was business as usual.
Orders nearly tripled.
Orders rose by half.
Orders were up by a fifth on the day before.
Revenue rose in double digits.
A score of orders was missed.
Nine in ten buyers came back.
Orders rose on Thursday.
The shop reopened on {date}.
Orders have risen since the start of May.
Orders hit a peak.
It was one of the better days.
No day in recent memory was better.
Orders are climbing steadily.
Orders look healthy for the rest of the month.
We expect more.
The rise should hold.
Let's celebrate.
Keep it up.
Well done to the team!
A bigger budget would help.
It is time for a new campaign.
The change came from new customers.
It was down to the new prices.
Customers liked the new range.
The bank holiday explains it.
A strong euro played a role.
Tourists bought more.
For more, see our site.
Click here for the report.
Revenue: {revenue}%.
Orders rose ({orders_vs_day_before}%).
Sales were £{revenue}.
Orders rose from {orders_week_before} on the day before to {orders}.
Orders rose to {orders} from {orders_trend} the day before.
Views were above the day before but below the week before.
Sessions were below the week before.
Sessions missed the {sessions_week_before} of a week earlier.
Orders could have been higher.
The rating fell to {rating}, a drop of {rating_vs_week_before} on the day before.
Unlike the day before, orders rose.
"""
FALSE_PORTUGUESE = """
A receita subiu em {revenue} em relação ao dia anterior.
Os pedidos ultrapassaram o dia anterior em {orders}.
A receita ficou acima do esperado, e as sessões subiram.
A receita havia somado {revenue}.
A receita foi de {revenue} para {revenue_day_before} no dia anterior.
A receita foi de {revenue} a mais que o dia anterior.
Desde o dia anterior, houve {orders} pedidos.
A receita ficou acima do valor esperado de {revenue}.
{riser_1} ganhou {riser_1_change} de {riser_1_revenue} em relação ao mesmo dia da semana anterior.
Os pedidos somaram {orders} clientes.
Haviam sido {orders} pedidos.
A receita ficou acima no dia anterior.
{riser_1} teve {orders} pedidos.
{riser_1} teve nota média de {rating}.
Em {week_before_date}, o dia anterior, houve {orders_day_before} pedidos.
As visualizações foram incomuns, com {views}.
{top_country} respondeu por {top_country_share} da receita e registrou {orders} pedidos.
Os pedidos ficaram aquém do dia anterior.
A receita não igualou a do dia anterior.
As sessões subiram frente ao dia anterior.
No dia anterior houve mais pedidos.
Houve menos pedidos que na semana anterior.
Os pedidos tinham sido maiores no dia anterior.
Foram {orders_day_before} pedidos, acima dos {orders} da véspera.
Os pedidos passaram de {orders} para {orders_day_before}.
A loja recebeu {orders_day_before} pedidos em {date}.
Em {day_before_date} a loja recebeu {orders} pedidos.
A receita foi de {basket}.
A receita foi de {revenue_day_before}.
A loja teve {customers} pedidos de {orders} clientes.
{riser_1} perdeu espaço.
{faller_1} foi quem mais ganhou.
{top_product_2} foi o mais vendido.
{riser_1} ganhou {riser_2_change}.
{faller_1} subiu {faller_1_change}.
As avaliações ficaram dentro do normal.
Os pedidos ficaram anormalmente altos.
Tudo subiu frente ao dia anterior.
Os pedidos dispararam frente ao esperado.
Os pedidos ficaram estáveis frente à semana anterior.
Os pedidos não superaram o dia anterior.
Os pedidos subiram {orders_vs_week_before} frente ao dia anterior.
Os pedidos caíram {orders_vs_day_before} frente ao dia anterior.
Os pedidos subiram {basket_vs_day_before} frente ao dia anterior.
A loja fechou sem avaliações.
Os clientes estavam animados.
O tempo ajudou.
As flores venderam bem.
O vestido azul foi o mais vendido.
A França comprou mais.
Na terça passada foi diferente.
Na segunda-feira houve mais pedidos.
Foi o melhor dia em muito tempo.
Os pedidos voltaram a subir.
O crescimento continua.
Vem mais por aí.
É bom olhar o carrinho.
Os pedidos quase chegaram a {orders}.
A receita superou {revenue}.
A nota melhorou para {rating}.
A nota média foi melhor que na véspera.
Os pedidos, em baixa, somaram {orders}.
Os pedidos definharam para {orders}.
As sessões e as visualizações subiram frente ao dia anterior.
Nem os pedidos nem a receita superaram o dia anterior.
Houve queda de {orders_vs_day_before} nos pedidos frente ao dia anterior.
A receita da véspera foi de {revenue}.
Eram esperados {orders} pedidos.
Vieram {orders_vs_day_before} menos clientes que na véspera.
Os pedidos ficaram {orders_vs_day_before} acima da semana anterior.
O lucro foi de {revenue}.
O estoque caiu para {units}.
Os clientes gastaram mais por pedido, {basket} após {basket_day_before}.
{riser_3} foi o que mais ganhou.
{top_product_1} rendeu {top_product_2_revenue}.
{riser_1} ganhou {riser_1_change} em pedidos.
{top_country} respondeu por {top_country_share} dos pedidos.
As avaliações ficaram abaixo da faixa habitual.
Os pedidos saíram da faixa habitual.
Tudo dentro do esperado.
Os pedidos quase triplicaram.
Um em cada dez clientes voltou.
Os pedidos subiram na quinta-feira.
Foi um dos melhores dias.
Os pedidos estão em franca ascensão.
Que venham mais vendas!
Parabéns à equipe!
Os clientes gostaram da nova linha.
O feriado explica.
As luvas e os chapéus venderam bem.
Os turistas compraram mais.
A receita foi de R$ {revenue}.
As sessões ficaram abaixo da semana anterior.
Os pedidos subiram de {orders_week_before} no dia anterior para {orders}.
A cesta cresceu frente ao dia anterior.
"""


def lines(block: str) -> list[str]:
    return block.strip().splitlines()


@pytest.mark.parametrize(("language", "block"), [("en", TRUE_ENGLISH), ("pt", TRUE_PORTUGUESE)], ids=["en", "pt"])
def test_true_sentences_pass(language: str, block: str) -> None:
    day = a_day(language)
    refused = {line: faults for line in lines(block) if (faults := check(BEFORE[language] + line, day))}
    assert refused == {}


@pytest.mark.parametrize(("language", "block"), [("en", FALSE_ENGLISH), ("pt", FALSE_PORTUGUESE)], ids=["en", "pt"])
def test_false_sentences_are_refused(language: str, block: str) -> None:
    day = a_day(language)
    assert check(2 * BEFORE[language], day) == []
    assert [line for line in lines(block) if not check(BEFORE[language] + line, day)] == []


def forms(language: str) -> list[str]:
    """The forms that the prompt lists for a language."""
    text = read_prompt("summary").text
    title = {"en": "Forms in English:", "pt": "Forms in Portuguese:"}[language]
    block = text.split(title)[1].split("Forms in")[0]
    return [line.removeprefix("- ") for line in block.splitlines() if line.startswith("- ")]


def where_it_is_true(claims: tuple[Claim, ...], day: DayFacts) -> DayFacts:
    """A day whose changes, zeros and anomalies are those that claims tell of."""
    facts = dict(day.facts)
    for claim in claims:
        if claim.kind == "change":
            facts[claim.facts[0]] = replace(facts[claim.facts[0]], value=0.1 * claim.sign)
        elif claim.kind in ("moved", "same"):
            identifier = f"{claim.metric}_vs_{claim.against}"
            facts[identifier] = replace(facts[identifier], value=0.1 * claim.sign)
        elif claim.kind == "none":
            facts[str(claim.metric)] = replace(facts[str(claim.metric)], value=0)
        elif claim.kind == "anomaly":
            metric = str(claim.metric)
            facts[metric] = replace(facts[metric], anomaly="high" if claim.sign > 0 else "low")
            for end in ("low", "high"):
                facts[f"{metric}_band_{end}"] = replace(facts[metric], id=f"{metric}_band_{end}")
    return replace(day, facts=facts)


@pytest.mark.parametrize("language", ["en", "pt"])
def test_each_form_of_the_prompt_is_read_and_held_against_the_facts(language: str) -> None:
    held = forms(language)
    assert len(held) >= 18
    for form in held:
        day = a_day(language)
        for claims in meanings(form.removesuffix("."), language):
            day = where_it_is_true(claims, day)
        beginning = "" if "{date}" in form else {"en": "On {date}, ", "pt": "Em {date}, "}[language]
        text = f"{beginning}{form[0].lower() if beginning else form[0]}{form[1:]}"
        closing = {"en": "Customers were {customers}.", "pt": "Os clientes foram {customers}."}[language]
        assert check(f"{text} {closing}", day) == [], form


@pytest.mark.parametrize(
    ("text", "kind", "at"),
    [
        ("Orders fell by {orders_vs_day_before} from the day before.", "direction", "{orders_vs_day_before}"),
        ("Orders rose {orders_vs_week_before} from the day before.", "reference", "{orders_vs_week_before}"),
        ("Revenue came to {orders}.", "metric", "{orders}"),
        ("There were {orders} orders and 12 returns.", "form", "12 returns"),
        ("There were twelve orders, with {revenue} of revenue.", "form", "twelve"),
        ("There were {ordres} orders on the day.", "unknown_id", "{ordres}"),
        ("The {orders} orders were helped by the weather.", "form", "helped by"),
        ("There were {orders} orders, and Germany did well.", "form", "Germany"),
        ("There were {orders} orders, as on Friday.", "form", "Friday"),
        ("There were {orders} **orders** on the day.", "form", "**"),
        ("Revenue soared by {revenue_vs_day_before} from the day before.", "form", "soared"),
        ("Orders, at {orders}, were above their usual range.", "anomaly", ""),
        ("{riser_1} gained {riser_2_change} from the same weekday a week before.", "product", "{riser_2_change}"),
        ("Orders were {orders_vs_day_before} above the day before, {week_before_date}.", "date", "{week_before_date}"),
    ],
)
def test_a_fault_names_its_kind_and_its_words(text: str, kind: str, at: str) -> None:
    faults = check(BEFORE["en"] + text, a_day())
    assert any(fault.kind == kind and at.lower() in fault.at.lower() for fault in faults), faults


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "{orders}",
        "Orders rose.",
        "On {date}, orders came to {orders}.",
        "Orders came to {orders} on {date}. Customers were {customers}.",
        "On {date}, orders came to {orders}. " * 13,
        "On {date}, orders came to {orders}" + ", and orders came to {orders}" * 100 + ". Customers were {customers}.",
        "Les commandes ont atteint {orders} et le chiffre {revenue}.",
        "Заказов было {orders} за день.",
        "On {date}, orders came to {orders}\u00b2. Customers were {customers}.",
        "On {date}, orders came to {{orders}}. Customers were {customers}.",
        "On {date}, orders came to {orders. Customers were {customers}.",
        "<think>Orders came to {orders}.</think> On {date}, orders came to {orders}.",
        "On {date}, orders came to {orders} \u2705. Customers were {customers}.",
        "On {date}, orders came to {orders}\u202e. Customers were {customers}.",
        "On {date}, ord\u0435rs came to {orders}. Customers were {customers}.",
        "# Summary\nOn {date}, orders came to {orders}. Customers were {customers}.",
        "- On {date}, orders came to {orders}.\n- Customers were {customers}.",
    ],
    ids=range(19),
)
def test_what_is_no_summary_is_refused(text: str) -> None:
    assert check(text, a_day())


def test_a_summary_has_as_many_sentences_as_the_prompt_says() -> None:
    one = "On {date}, orders came to {orders}. "
    for number in range(1, 9):
        text = one + "Customers were {customers}. " * (number - 1)
        assert (check(text, a_day()) == []) == (number in SENTENCES), number


def test_a_direction_says_what_it_is_against() -> None:
    mixed = a_day(changes={**CHANGES, "orders": (0.12, -0.2, 0.08)})
    closing = " Customers were {customers}."
    assert check("On {date}, orders rose to {orders}." + closing, a_day())
    assert check("On {date}, orders rose from {orders_week_before} a week earlier to {orders}." + closing, mixed)
    true = "On {date}, orders rose from {orders_day_before} the day before to {orders}." + closing
    assert check(true, mixed) == []


def test_a_change_that_is_shown_as_zero_has_no_direction() -> None:
    level = a_day(changes={**CHANGES, "customers": (0.0, 0.05, 0.04)})
    closing = " There were {orders} orders."
    assert check("On {date}, customers rose by {customers_vs_day_before} from the day before." + closing, level)
    assert check("On {date}, customers, at {customers}, were unchanged from the day before." + closing, level) == []


def test_the_same_product_may_be_named_by_each_of_its_facts() -> None:
    day = a_day()
    text = (
        "On {date}, {top_product_1} gained {riser_1_change} from the same weekday a week before. Orders were {orders}."
    )
    assert [fault.kind for fault in check(text, day)] == ["product"]
    same = {
        identifier: replace(fact, product_id="top_product 1") if identifier.startswith("riser_1") else fact
        for identifier, fact in day.facts.items()
    }
    assert check(text, replace(day, facts=same)) == []


def test_it_is_of_what_the_sentence_before_speaks_of() -> None:
    day = a_day()
    begin = "On {date}, there were {sessions} sessions. "
    assert check(begin + "Revenue was {revenue}. It rose by {revenue_vs_day_before} from the day before.", day) == []
    assert check(begin + "Revenue was {revenue}. It rose by {orders_vs_day_before} from the day before.", day)
    assert check(begin + "It rose by {revenue_vs_day_before} from the day before.", day)


@pytest.mark.parametrize("language", ["en", "pt", "de"])
def test_the_narrators_text_passes(language: str) -> None:
    day = a_day(language)
    assert check(narrate(day), day) == []


def test_in_a_language_without_words_only_the_narrator_passes() -> None:
    day = a_day("de")
    assert [fault.kind for fault in check("Orders came to {orders} on {date}.", day)] == ["language"]


@pytest.mark.parametrize(
    "text",
    [
        f"On {{date}}, {' and '.join(['orders'] * 160)} rose. Customers were {{customers}}.",
        f"On {{date}}, there were {', '.join(['{orders} orders'] * 100)}. Customers were {{customers}}.",
        f"On {{date}}, there were {' with '.join(['{orders} orders'] * 90)}. Customers were {{customers}}.",
        f"On {{date}}, there were {' and with '.join(['{orders} orders'] * 75)}. Customers were {{customers}}.",
        f"On {{date}}, orders were {{orders}}{', up {orders_vs_day_before} from the day before' * 35}. No view.",
        f"On {{date}}, orders rose {' and '.join(['by {orders_vs_day_before} from the day before'] * 38)}. No view.",
        f"On {{date}}, {', and '.join(['orders were {orders_vs_day_before} above the day before'] * 32)}. No view.",
        f"On {{date}}, orders rose {' '.join(['from the day before'] * 85)}. Customers were {{customers}}.",
        f"{'On {date}, ' * 80}orders were {{orders}}. Customers were {{customers}}.",
        f"On {{date}}, {'the ' * 440}orders were {{orders}}. Customers were {{customers}}.",
        f"On {{date}}, orders{', ' * 600}rose. Customers were {{customers}}.",
    ],
    ids=range(11),
)
def test_a_text_of_many_readings_is_judged_all_the_same(text: str) -> None:
    """Each would take for ever if its readings were told one by one."""
    assert len(text) <= LONGEST
    assert len(check(text, a_day())) < 1_000


def test_languages_have_rules_of_their_own() -> None:
    assert rules_version("en") != rules_version("pt")


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("half", ["tuned", "kept"])
def test_no_false_text_that_was_written_by_hand_passes(half: str, prompt: str) -> None:
    counts = counted(text for text in written() if (text.half, text.prompt) == (half, prompt))
    assert {kind: found for kind, found in counts.items() if kind != "true" and found[0]} == {}


def test_true_texts_that_keep_to_the_prompt_pass() -> None:
    """All but few, also of those that were not looked at: a guard a little above what was measured."""
    wrong, total = counted(text for text in written() if (text.half, text.prompt) == ("kept", "forms"))["true"]
    assert total >= 200
    assert wrong <= REFUSED * total


REFUSED = 0.03
"""So large a share of true texts that keep to the prompt may be refused: 4 of 200 were."""


def test_nothing_that_is_planted_in_true_texts_passes() -> None:
    """Of each tenth text; `python -m benchmarks.summary_faults` plants in all."""
    counts = counted_planted([text for text in written() if text.fault is None][::10])
    assert set(counts) == {"id", "direction", "reference", "metric"}
    assert sum(total for _, total in counts.values()) > 1_000
    assert {kind: found for kind, found in counts.items() if found[0]} == {}
