"""The checker of summaries: true sentences pass, each kind of false one is refused, and the texts written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

import pytest

from assets.summaries.checker import check
from assets.summaries.facts import AGAINST, BY_NAME, DayFacts, Fact, Kind
from assets.summaries.narration import narrate
from assets.summaries.vocabulary import Names
from benchmarks.summary_faults import written

NAMES = Names.of(["RISER MUG 1", "TOP BAG 1", "Kitchen > Table linen"], ["United Kingdom"])
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
    "en": "On {date}, orders were up {orders_vs_day_before} on the day before. ",
    "pt": "Em {date}, os pedidos subiram {orders_vs_day_before} frente ao dia anterior. ",
}
"""Each sentence stands behind one, for a text begins with its day, and many need what they are compared with."""


TRUE_ENGLISH = """
With {orders} orders, the shop sold {orders_vs_day_before} more than on the day before.
The order count climbed from {orders_day_before} to {orders}.
Order numbers rose for the shop, reaching {orders} after {orders_week_before} a week earlier.
Turnover came in at {revenue}, which is {revenue_vs_day_before} up on the previous day.
It took {revenue} in total, against {revenue_day_before} on {day_before_date}.
At {basket}, the average order was smaller than on the day before, when it had been {basket_day_before}.
Although the average basket shrank by {basket_vs_day_before}, revenue still rose by {revenue_vs_day_before}.
Despite a {basket_vs_day_before} smaller basket, revenue was up {revenue_vs_day_before} on the day before.
Customers numbered {customers}; a week earlier there had been {customers_week_before}.
The number of customers rose to {customers} from {customers_day_before}.
With {reviews} reviews, feedback was unusually high.
The average rating slipped by {rating_vs_day_before} to {rating}.
{riser_1} added {riser_1_change} and {riser_2} added {riser_2_change} compared with the same weekday a week before.
Buyers from {top_country} brought in {top_country_revenue}, which is {top_country_share} of revenue.
Compared with the trend, orders were {orders_vs_trend} ahead and revenue {revenue_vs_trend} ahead.
Revenue beat the trend by {revenue_vs_trend} and the day before by {revenue_vs_day_before}.
Orders exceeded expectations by {orders_vs_trend}.
Orders, customers and revenue all increased against the day before.
Page views, by contrast, dropped {views_vs_day_before}.
The cart-to-purchase rate, however, lost {cart_to_purchase_vs_day_before} and stood at {cart_to_purchase}.
The shop counted {purchases} purchases, a rise of {purchases_vs_week_before} on a week earlier.
That was {orders_vs_week_before} more than a week earlier and {orders_vs_trend} more than expected.
The increase in orders against the same weekday a week earlier amounted to {orders_vs_week_before}.
Measured against the same weekday last week, revenue grew by {revenue_vs_week_before}.
{orders} orders were placed by {customers} customers, with an average value of {basket}.
The day's revenue of {revenue} was {revenue_vs_day_before} higher than the previous day's {revenue_day_before}.
The {orders_vs_day_before} increase in orders lifted the total to {orders}.
On {day_before_date} the shop had taken {revenue_day_before}; on {date} it took {revenue}.
{revenue} in sales were booked, an improvement of {revenue_vs_week_before} on the same weekday a week before.
Sales rose to {revenue}.
At {customers}, the customer count was {customers_vs_trend} above what was expected.
Shoppers spent {basket} per order, down from {basket_day_before} the day before.
Compared to the day before, {basket_vs_day_before} less was spent per order.
A total of {units} units left the shop, {units_vs_week_before} more than on {week_before_date}.
Revenue from {riser_1} rose by {riser_1_change} to {riser_1_revenue}.
{top_country} contributed {top_country_revenue} ({top_country_share} of revenue).
Fewer sessions were recorded than the day before ({sessions} versus {sessions_day_before}).
Fewer sessions and fewer views, yet more purchases: that was the day on the site compared with the day before.
The view-to-cart rate rose by {view_to_cart_vs_day_before} to {view_to_cart}.
{view_to_cart} of views became cart additions and {cart_to_purchase} of carts became purchases.
Conversion from view to cart improved, while conversion from cart to purchase weakened compared with the day before.
The reviews gave an average score of {rating}, {rating_vs_day_before} lower than the day before.
Customer satisfaction, at {rating}, was below the previous day's {rating_day_before}.
In short, more orders and more revenue than the day before.
All in all, the shop did better than the day before in orders and revenue.
Orders stayed {orders_vs_trend} ahead of trend.
That is {orders_vs_day_before} more than the previous day.
This is an increase of {orders_vs_day_before} on the day before and of {orders_vs_week_before} on the week before.
The gain against the day before was {orders_vs_day_before}, against the week before {orders_vs_week_before}.
The day-on-day change in orders was an increase of {orders_vs_day_before}.
Week on week, orders were up {orders_vs_week_before} and revenue up {revenue_vs_week_before}.
It sold {units} units, compared with {units_day_before} the day before and {units_week_before} a week earlier.
Where {orders_trend} orders were expected, {orders} arrived.
Revenue was expected to be {revenue_trend} but came to {revenue}.
The number of buyers went from {customers_day_before} to {customers}, that is {customers_vs_day_before} more.
Orders totalled {orders}: more than the day before, more than a week earlier and more than the trend.
"""
TRUE_PORTUGUESE = """
Com {orders} pedidos, a loja ficou {orders_vs_day_before} acima do dia anterior.
O número de pedidos passou de {orders_day_before} para {orders}.
O faturamento foi de {revenue}, {revenue_vs_day_before} a mais que no dia anterior.
A receita chegou a {revenue}, contra {revenue_day_before} em {day_before_date}.
Embora o ticket médio tenha caído {basket_vs_day_before}, a receita subiu {revenue_vs_day_before}.
Apesar da queda de {basket_vs_day_before} no ticket médio, a receita cresceu {revenue_vs_day_before} frente à véspera.
Foram {customers} clientes, ante {customers_week_before} na semana anterior.
As visualizações ficaram abaixo do dia anterior e da semana anterior.
As avaliações, com {reviews}, ficaram acima da faixa habitual.
A nota média caiu {rating_vs_day_before}, para {rating}.
{top_country} concentrou {top_country_share} da receita.
Em relação à tendência, os pedidos ficaram {orders_vs_trend} acima e a receita, {revenue_vs_trend} acima.
A receita superou a tendência em {revenue_vs_trend} e o dia anterior em {revenue_vs_day_before}.
Pedidos, clientes e receita aumentaram em relação ao dia anterior.
A taxa de carrinho para compra, porém, perdeu {cart_to_purchase_vs_day_before} e ficou em {cart_to_purchase}.
Foram registradas {purchases} compras, alta de {purchases_vs_week_before} sobre a semana anterior.
Isso representa {orders_vs_week_before} a mais do que na semana anterior.
Em {day_before_date} a loja havia faturado {revenue_day_before}; em {date}, faturou {revenue}.
Na comparação semanal, os pedidos avançaram {orders_vs_week_before}.
Tanto os pedidos quanto a receita terminaram acima da véspera.
O dia rendeu {revenue} em {orders} pedidos.
As vendas chegaram a {revenue}, {revenue_vs_week_before} acima do mesmo dia da semana anterior.
Em comparação com a véspera, o valor médio caiu de {basket_day_before} para {basket}.
O volume de pedidos subiu para {orders}.
Os compradores somaram {customers}, uma alta de {customers_vs_day_before} em relação à véspera.
A loja vendeu {units} unidades, {units_vs_week_before} mais do que na semana anterior.
{top_country} foi responsável por {top_country_share} da receita.
Menos sessões e menos visualizações do que no dia anterior.
Dos carrinhos, {cart_to_purchase} viraram compras.
A conversão de visualização para carrinho melhorou {view_to_cart_vs_day_before}.
As avaliações ficaram excepcionalmente altas, com {reviews}.
A nota média foi de {rating}, abaixo da do dia anterior.
Foram {orders} pedidos, contra {orders_day_before} na véspera e {orders_week_before} uma semana antes.
Esperavam-se {orders_trend} pedidos e houve {orders}.
A receita ficou {revenue_vs_trend} acima do que se esperava.
Comparados com a véspera, os pedidos cresceram {orders_vs_day_before}.
Houve mais pedidos e mais clientes do que no dia anterior.
"""
FALSE_ENGLISH = """
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
    refused = {line: faults for line in lines(block) if (faults := check(BEFORE[language] + line, day, NAMES))}
    assert refused == {}


@pytest.mark.parametrize(("language", "block"), [("en", FALSE_ENGLISH), ("pt", FALSE_PORTUGUESE)], ids=["en", "pt"])
def test_false_sentences_are_refused(language: str, block: str) -> None:
    day = a_day(language)
    assert check(BEFORE[language], day, NAMES) == []
    assert [line for line in lines(block) if not check(BEFORE[language] + line, day, NAMES)] == []


@pytest.mark.parametrize(
    ("text", "kind", "at"),
    [
        ("Orders fell by {orders_vs_day_before} against the day before.", "direction", "fell"),
        ("Orders rose {orders_vs_week_before} on the day before.", "reference", "{orders_vs_week_before}"),
        ("Revenue came to {orders} on {date}.", "metric", "Revenue"),
        ("There were {orders} orders and 12 returns.", "digit", "1"),
        ("There were twelve orders, with {revenue} of revenue.", "number_word", "twelve"),
        ("There were {ordres} orders on the day.", "unknown_id", "{ordres}"),
        ("The {orders} orders were helped by the weather.", "cause", "helped by"),
        ("There were {orders} orders and more will come.", "forecast", "will"),
        ("There were {orders} orders, a record.", "superlative", "record"),
        ("There were {orders} orders, and Germany did well.", "name", "germany"),
        ("There were {orders} orders, also for table linen.", "name", "table linen"),
        ("There were {orders} orders, as on Friday.", "wrong_date", "Friday"),
        ("There were {orders} **orders** on the day.", "markup", "*"),
        ("Revenue soared by {revenue_vs_day_before} on the day before.", "strength", "soared"),
        ("Reviews, at {reviews}, were within the usual range.", "anomaly", "usual range"),
        ("{riser_1} gained {riser_2_change} in revenue.", "product", "{riser_1}"),
        ("There were {orders} orders for scented candles.", "unknown_word", "scented"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.islower() and " " not in value else "",
)
def test_a_fault_names_its_kind_and_its_words(text: str, kind: str, at: str) -> None:
    faults = check(BEFORE["en"] + text, a_day(), NAMES)
    assert any(fault.kind == kind and at.lower() in fault.at.lower() for fault in faults), faults


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "{orders}",
        "Orders rose.",
        "The day was as it was, and that is all there is to say.",
        "Orders came to {orders}. " * 13,
        "Orders came to {orders}" + " and that was the number" * 200 + ".",
        "Les commandes ont atteint {orders} et le chiffre {revenue}.",
        "Заказов было {orders} за день.",
        "Orders came to {orders}\u00b2 on the day.",
        "Orders came to {{orders}} on the day.",
        "Orders came to {orders on the day.",
        "<think>Orders came to {orders}.</think> Orders came to {orders}.",
        "Orders came to {orders} \u2705 on the day.",
        "Orders came to {orders}\u202e on the day.",
    ],
    ids=range(15),
)
def test_what_is_no_summary_is_refused(text: str) -> None:
    assert check(text, a_day(), NAMES)


def test_a_direction_says_what_it_is_against() -> None:
    mixed = a_day(changes={**CHANGES, "orders": (0.12, -0.2, 0.08)})
    assert check("On {date}, orders rose to {orders}.", a_day(), NAMES)
    assert check("On {date}, orders rose to {orders} from {orders_week_before} a week earlier.", mixed, NAMES)
    assert check("On {date}, orders rose to {orders} from {orders_day_before} the day before.", mixed, NAMES) == []


def test_a_change_that_is_shown_as_zero_has_no_direction() -> None:
    level = a_day(changes={**CHANGES, "customers": (0.0, 0.05, 0.04)})
    assert check("On {date}, customers rose by {customers_vs_day_before} on the day before.", level, NAMES)
    assert (
        check("On {date}, the number of customers, {customers}, was unchanged from the day before.", level, NAMES) == []
    )


def test_the_same_product_may_be_named_by_each_of_its_facts() -> None:
    day = a_day()
    text = "On {date}, {top_product_1} gained {riser_1_change} on the same weekday a week before."
    assert check(text, day, NAMES)
    same = {**day.facts, "riser_1": day.facts["riser_1"], "top_product_1": day.facts["top_product_1"]}
    for identifier in [each for each in same if each.startswith("riser_1")]:
        fact = same[identifier]
        same[identifier] = Fact(
            fact.id, fact.kind, fact.value, fact.metric, fact.against, None, fact.said, "top_product 1"
        )
    assert check(text, DayFacts("shop", day.day, "en", "GBP", "Shop", same), NAMES) == []


@pytest.mark.parametrize("language", ["en", "pt", "de"])
def test_the_narrators_text_passes(language: str) -> None:
    day = a_day(language)
    assert check(narrate(day), day, NAMES) == []


def test_in_a_language_without_words_only_the_narrator_passes() -> None:
    day = a_day("de")
    assert [fault.kind for fault in check("Orders came to {orders} on {date}.", day, NAMES)] == ["language"]


@pytest.mark.parametrize("half", ["tuned", "kept"])
def test_texts_written_by_hand(half: Literal["tuned", "kept"]) -> None:
    """No false one passes of those that were looked at; the half that was not is held to what was measured of it."""
    counts = written(half)
    published = sum(rows[kind][0] for rows in counts.values() for kind in rows if kind != "true")
    planted = sum(rows[kind][1] for rows in counts.values() for kind in rows if kind != "true")
    refused, true = (sum(rows["true"][place] for rows in counts.values()) for place in (0, 1))
    assert published <= (0 if half == "tuned" else BOUNDS[0] * planted)
    assert refused <= BOUNDS[1] * true


BOUNDS = (0.0, 0.06)
"""Faults published and true texts refused, as shares a little above what was measured: a guard, no aims."""
