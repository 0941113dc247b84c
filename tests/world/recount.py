"""A second derivation of the contract's facts and of ten marts, from the shops' files and the contract's words."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tests.world import files
from tests.world.files import Record

GAP = timedelta(minutes=30)
NONE, UNKNOWN = "(none)", "(unknown)"
_PLACES = Decimal("0.0001")

Key = tuple[Any, ...]
Rows = dict[Key, tuple[Any, ...]]
"""Key -> the other columns, in the order that `MARTS` names."""


class Line(NamedTuple):
    """One line of an order."""

    order_id: str
    product_id: str
    customer_id: str | None
    at: datetime
    """With zone."""
    day: date
    """Of the shop's clock."""
    hour: int
    quantity: int
    price: Decimal
    country: str | None
    is_cancelled: bool

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.price

    @property
    def is_sale(self) -> bool:
        return self.quantity > 0 and self.price > 0 and not self.is_cancelled


class Order(NamedTuple):
    """One order, without its lines."""

    customer_id: str | None
    status: str
    at: datetime
    day: date
    is_cancelled: bool


class Event(NamedTuple):
    """One thing that somebody did on the site."""

    actor_id: str
    session: Hashable
    kind: str
    product_id: str | None
    at: datetime
    day: date
    hour: int


class Review(NamedTuple):
    """One review of one order."""

    day: date
    score: int
    has_text: bool
    customer_id: str | None


class Product(NamedTuple):
    """What the shop says of a product now."""

    titles: frozenset[str | None]
    """More than one where the contract's words leave a choice."""
    category_id: str | None
    is_merchandise: bool = True


class Stated(NamedTuple):
    """What a product was at an instant."""

    product_id: str
    at: datetime
    title: str | None
    category_id: str | None
    price: Decimal | None


@dataclass
class Facts:
    """One shop, as its files and the contract's words have it."""

    name: str
    zone: ZoneInfo
    currency: str
    lines: list[Line] = field(default_factory=list)
    orders: dict[str, Order] = field(default_factory=dict)
    customers: set[str] = field(default_factory=set)
    """Those of the shop's own table of them."""
    users: set[str] = field(default_factory=set)
    """Those whom orders, sessions and reviews name."""
    events: list[Event] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    products: dict[str, Product] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    """Category -> path, as the shop states it."""
    history: list[Stated] = field(default_factory=list)
    """What the shop said of its products over time, before runs of equal values are merged."""
    waiting: Counter[str] = field(default_factory=Counter)
    """Raw table -> rows that cannot be filed yet."""
    superseded: Counter[str] = field(default_factory=Counter)
    """Raw table -> rows of which a newer version is there."""
    raw: Counter[str] = field(default_factory=Counter)
    """Raw table -> lines in the files, or rows where the source is a database."""

    @property
    def days(self) -> list[date]:
        return [fact.day for facts in (self.lines, self.events, self.reviews) for fact in facts]

    @cached_property
    def sales(self) -> list[Line]:
        return [line for line in self.lines if line.is_sale]


def local(at: datetime, zone: ZoneInfo) -> tuple[datetime, date, int]:
    """An instant in UTC, and day and hour of the shop's clock. A naive one is of the shop's clock."""
    there = at.replace(tzinfo=zone) if at.tzinfo is None else at.astimezone(zone)
    return there.astimezone(UTC), there.date(), there.hour


def ratio(over: int | Decimal, under: int | Decimal) -> Decimal | None:
    """A quotient to four places, half up; None over nothing."""
    if not under:
        return None
    scaled = Fraction(over) / Fraction(under) * 10_000
    return Decimal(int(scaled + Fraction(1, 2))) * _PLACES


def money(value: Any) -> Decimal:
    """An amount to four places."""
    return Decimal(str(value)).quantize(_PLACES, ROUND_HALF_UP)


def text(value: Any) -> str | None:
    return None if value is None or str(value) == "" else str(value)


# The shops


def thelook(folder: Path, zone: ZoneInfo) -> Facts:
    """theLook: lines stand under their order's instant, a session in which a user shows is that user's as a whole."""
    facts = Facts("thelook", zone, "USD")
    table = {path.name: files.parquet_records(path) for path in sorted(folder.iterdir())}
    facts.raw.update({name: len(rows) for name, rows in table.items()})
    countries = {row["id"]: text(row["country"]) for row in table["users"]}
    orders = {row["order_id"]: row for row in table["orders"]}
    statuses = {"Complete": "completed"}
    for number, placed in orders.items():
        at, day, _ = local(placed["created_at"], zone)
        status = statuses.get(placed["status"], placed["status"].lower())
        facts.orders[str(number)] = Order(text(placed["user_id"]), status, at, day, status == "cancelled")
    for row in table["order_items"]:
        order = orders.get(row["order_id"])
        if order is None:
            facts.waiting["order_items"] += 1
            continue
        facts.lines.append(
            Line(
                str(row["order_id"]),
                str(row["product_id"]),
                text(order["user_id"]),
                *local(order["created_at"], zone),
                1,
                money(row["sale_price"]),
                countries.get(order["user_id"]),
                "Cancelled" in (order["status"], row["status"]),
            )
        )
    users: dict[str, int] = {}
    in_order = sorted(table["events"], key=lambda row: (row["created_at"], row["sequence_number"], row["id"]))
    for row in in_order:
        if row["user_id"] is not None:
            users.setdefault(row["session_id"], row["user_id"])
    for row in table["events"]:
        session = row["session_id"]
        page = re.fullmatch(r"/product/(\d+)", row["uri"] or "")
        facts.events.append(
            Event(
                str(users[session] if row["user_id"] is None else row["user_id"]) if session in users else session,
                session,
                "view" if row["event_type"] == "product" else row["event_type"],
                page[1] if page else None,
                *local(row["created_at"], zone),
            )
        )
    for row in table["products"]:
        department, category = row["department"], row["category"]
        facts.paths |= {department: department, f"{department}/{category}": f"{department} > {category}"}
        facts.products[str(row["id"])] = Product(frozenset({text(row["name"])}), f"{department}/{category}")
    for row in sorted(table["inventory_items"], key=lambda row: (row["created_at"], row["id"])):
        department, category = row["product_department"], row["product_category"]
        facts.paths |= {department: department, f"{department}/{category}": f"{department} > {category}"}
        facts.history.append(
            Stated(
                str(row["product_id"]),
                row["created_at"],
                text(row["product_name"]),
                f"{department}/{category}",
                money(row["product_retail_price"]),
            )
        )
    facts.customers = {str(number) for number in countries}
    facts.users = {str(number) for number in users.values()}
    facts.users |= {str(order["user_id"]) for order in orders.values() if order["user_id"] is not None}
    return facts


def retailrocket(folder: Path, zone: ZoneInfo) -> Facts:
    """RetailRocket: visitors alone, sessions by a gap of 30 minutes within a visitor's day, purchases from events."""
    facts = Facts("retailrocket", zone, "USD")
    kinds = {"view": "view", "addtocart": "cart", "transaction": "purchase"}
    came = list(files.csv_records(folder, "events*"))
    facts.raw["events"] = len(came)
    by_actor_day: dict[tuple[str, date], list[tuple[datetime, Record]]] = defaultdict(list)
    for row in came:
        at = datetime.fromtimestamp(int(row["timestamp"]) // 1000, UTC)
        at += timedelta(milliseconds=int(row["timestamp"]) % 1000)
        by_actor_day[row["visitorid"], local(at, zone)[1]].append((at, row))
    for (visitor, day), rows in by_actor_day.items():
        last, session = None, 0
        for at, row in sorted(rows, key=lambda each: each[0]):
            session += last is None or at - last > GAP
            last = at
            event = Event(visitor, (visitor, day, session), kinds[row["event"]], row["itemid"], *local(at, zone))
            facts.events.append(event)
    for row in files.csv_records(folder, "item_properties*"):
        facts.raw["item_properties"] += 1
        facts.products.setdefault(row["itemid"], Product(frozenset({None}), None))
        if row["property"] == "categoryid":
            at = datetime.fromtimestamp(int(row["timestamp"]) // 1000, UTC)
            facts.history.append(Stated(row["itemid"], at, None, row["value"], None))
    facts.history.sort(key=lambda stated: stated.at)
    facts.products |= {each.product_id: Product(frozenset({None}), each.category_id) for each in facts.history}
    tree = list(files.csv_records(folder, "category_tree*"))
    facts.raw["category_tree"] = len(tree)
    parents = {number: row["parentid"] for number, row in files.newest(tree, "categoryid").items()}
    for number in parents:
        way = [number]
        while parents.get(way[-1]) is not None:
            way.append(parents[way[-1]])
        facts.paths[number] = " > ".join(reversed(way))
    return facts


SERVICES = re.compile(r"POST|DOT|C2|M|D|S|B|PADS|BANK CHARGES|AMAZONFEE|CRUK|GIFT_.*", re.IGNORECASE)
"""What Online Retail writes as a stock code where the line is postage, a fee, a correction, a voucher or their kind."""


def online_retail(folder: Path, zone: ZoneInfo) -> Facts:
    """Online Retail: every raw line is a line; an invoice with C takes back, one with A corrects."""
    facts = Facts("online_retail", zone, "GBP")
    wordings: dict[str, Counter[str]] = defaultdict(Counter)
    for row in files.invoice_records(folder):
        facts.raw["invoice_lines"] += 1
        code, customer, country = row["StockCode"], row["CustomerID"], row["Country"]
        line = Line(
            row["InvoiceNo"],
            code,
            customer,
            *local(row["InvoiceDate"], zone),
            int(row["Quantity"]),
            money(row["UnitPrice"]),
            country,
            row["InvoiceNo"].startswith("C"),
        )
        facts.lines.append(line)
        # An invoice that lasts two minutes is of its first.
        first = min(line.at, facts.orders[line.order_id].at) if line.order_id in facts.orders else line.at
        status = {"C": "cancelled", "A": "adjustment"}.get(line.order_id[0], "completed")
        facts.orders[line.order_id] = Order(customer, status, first, line.day, line.is_cancelled)
        if customer is not None:
            facts.customers.add(customer)
        wordings[code].update([row["Description"].strip()] if row["Description"] and line.is_sale else [])
    for code, counted in wordings.items():
        most = max(counted.values(), default=0)
        titles: set[str | None] = {title for title, count in counted.items() if count == most}
        facts.products[code] = Product(frozenset(titles or {None}), None, not SERVICES.fullmatch(code))
    facts.history = usual_prices(facts)
    return facts


def olist(folder: Path, zone: ZoneInfo) -> Facts:
    """Olist: of each key the version of the latest file; lines without their order wait; freight is no sale."""
    facts = Facts("olist", zone, "BRL")

    def table(name: str, *key: str) -> dict[Any, Record]:
        rows = list(files.csv_records(folder, f"{name}*"))
        versions = files.newest(rows, *key)
        facts.raw[_OLIST_TABLES[name]] = len(rows)
        facts.superseded[_OLIST_TABLES[name]] = len(rows) - len(versions)
        return versions

    orders = table("olist_orders_dataset", "order_id")
    people = table("olist_customers_dataset", "customer_id")
    items = table("olist_order_items_dataset", "order_id", "order_item_id")
    known = {number: row["customer_unique_id"] for number, row in people.items()}
    facts.customers = set(known.values())
    facts.users = {known[order["customer_id"]] for order in orders.values() if order["customer_id"] in known}
    for order_id, order in orders.items():
        at, day, _ = local(datetime.fromisoformat(order["order_purchase_timestamp"]), zone)
        status = _OLIST_STATUSES.get(order["order_status"], str(order["order_status"]))
        is_cancelled = status in ("cancelled", "unavailable")
        facts.orders[order_id] = Order(known.get(order["customer_id"]), status, at, day, is_cancelled)
    for (order_id, _), row in items.items():
        if order_id not in orders:
            facts.waiting["order_items"] += 1
            continue
        order = orders[order_id]
        facts.lines.append(
            Line(
                order_id,
                row["product_id"],
                known.get(order["customer_id"]),
                *local(datetime.fromisoformat(order["order_purchase_timestamp"]), zone),
                1,
                money(row["price"]),
                "Brazil",
                order["order_status"] in ("canceled", "unavailable"),
            )
        )
    for (_, order_id), row in table("olist_order_reviews_dataset", "review_id", "order_id").items():
        _, day, _ = local(datetime.fromisoformat(row["review_creation_date"]), zone)
        customer = known.get(orders[order_id]["customer_id"]) if order_id in orders else None
        facts.reviews.append(Review(day, int(row["review_score"]), row["review_comment_message"] is not None, customer))
    english = table("product_category_name_translation", "product_category_name")
    for number, row in table("olist_products_dataset", "product_id").items():
        category = row["product_category_name"]
        facts.products[number] = Product(frozenset({None}), category)
        if category is not None:
            facts.paths[category] = category
    facts.paths |= {name: row["product_category_name_english"] or name for name, row in english.items()}
    facts.history = usual_prices(facts)
    for name, key in (
        ("olist_order_payments_dataset", "order_id"),
        ("olist_sellers_dataset", "seller_id"),
        ("olist_geolocation_dataset", "geolocation_zip_code_prefix"),
    ):
        table(name, key)
    return facts


_OLIST_STATUSES = {
    "created": "placed",
    "approved": "processing",
    "invoiced": "processing",
    "canceled": "cancelled",
}
_OLIST_TABLES = {
    "olist_orders_dataset": "orders",
    "olist_order_items_dataset": "order_items",
    "olist_order_payments_dataset": "order_payments",
    "olist_order_reviews_dataset": "order_reviews",
    "olist_customers_dataset": "customers",
    "olist_products_dataset": "products",
    "olist_sellers_dataset": "sellers",
    "olist_geolocation_dataset": "geolocation",
    "product_category_name_translation": "category_translation",
}


def anime(folder: Path, zone: ZoneInfo) -> Facts:
    """Anime titles: a catalogue, in which a product's category is the genre named first."""
    facts = Facts("anime", zone, "JPY")
    rows = list(files.csv_records(folder, "anime*"))
    facts.raw["titles"] = len(rows)
    titles = files.newest(rows, "MAL_ID")
    facts.superseded["titles"] = len(rows) - len(titles)
    for number, row in titles.items():
        genres = [genre.strip() for genre in (row["Genres"] or "").split(",")]
        genres = [genre for genre in genres if genre and genre != "Unknown"]
        facts.paths |= {genre: genre for genre in genres}
        facts.products[number] = Product(frozenset({row["Name"]}), genres[0] if genres else None)
    return facts


def usual_prices(facts: Facts) -> list[Stated]:
    """Of each day of a product the price at which most lines sold, of several the lowest, from the day's begin on."""
    by_day: dict[tuple[str, date], Counter[Decimal]] = defaultdict(Counter)
    for line in facts.sales:
        by_day[line.product_id, line.day][line.price] += 1
    found = []
    for (product, day), prices in sorted(by_day.items()):
        usual = min(price for price, count in prices.items() if count == max(prices.values()))
        midnight = datetime(day.year, day.month, day.day, tzinfo=facts.zone).astimezone(UTC)
        found.append(Stated(product, midnight, None, None, usual))
    return found


SHOPS: dict[str, Callable[[Path, ZoneInfo], Facts]] = {
    "thelook": thelook,
    "retailrocket": retailrocket,
    "online_retail": online_retail,
    "olist": olist,
    "anime": anime,
}


# What follows from the facts


class Interaction(NamedTuple):
    """One actor viewing, carting or buying one product at one instant."""

    actor_id: str
    product_id: str
    kind: str
    at: datetime


def interactions(facts: Facts) -> Counter[Interaction]:
    """Interactions and their quantities. Purchases come from sales to known customers where there are orders."""
    found: Counter[Interaction] = Counter()
    for event in facts.events:
        is_wanted = event.kind in ("view", "cart") or (event.kind == "purchase" and not facts.orders)
        if event.product_id is not None and is_wanted:
            found[Interaction(event.actor_id, event.product_id, event.kind, event.at)] += 1
    for line in facts.sales:
        if line.customer_id is not None:
            found[Interaction(line.customer_id, line.product_id, "purchase", line.at)] += line.quantity
    return found


def spans(history: Iterable[Stated]) -> Rows:
    """Product and begin -> end, title, category and price of each span without a change; `history` is by time."""
    runs: dict[str, list[Stated]] = defaultdict(list)
    for stated in history:
        run = runs[stated.product_id]
        if not run or run[-1][2:] != stated[2:]:
            run.append(stated)
    return {
        (product, one.at): (following.at if following else None, *one[2:])
        for product, run in runs.items()
        for one, following in zip(run, [*run[1:], None], strict=True)
    }


def ids(stated: Iterable[str], named: Iterable[str | None]) -> dict[str, bool]:
    """Id -> whether it is inferred: named by other rows alone."""
    known = set(stated)
    return dict.fromkeys(known, False) | dict.fromkeys({each for each in named if each is not None} - known, True)


def customers(facts: Facts) -> dict[str, bool]:
    return ids(facts.customers, facts.users)


def products(facts: Facts) -> dict[str, bool]:
    bought, seen = (line.product_id for line in facts.lines), (event.product_id for event in facts.events)
    return ids(facts.products, [*bought, *seen])


def categories(facts: Facts) -> dict[str, bool]:
    named = [product.category_id for product in facts.products.values()]
    above = [top for path in facts.paths.values() for top in path.split(" > ")] if facts.name == "retailrocket" else []
    return ids(facts.paths, [*named, *above])


def _by(facts: Iterable[Any], key: Callable[[Any], Key]) -> dict[Key, list[Any]]:
    found: dict[Key, list[Any]] = defaultdict(list)
    for fact in facts:
        found[key(fact)].append(fact)
    return found


def _orders(lines: Sequence[Line]) -> int:
    return len({line.order_id for line in lines})


def _customers(lines: Sequence[Line]) -> int:
    return len({line.customer_id for line in lines} - {None})


def _units(lines: Sequence[Line]) -> int:
    return sum(line.quantity for line in lines)


def _sales(lines: Sequence[Line]) -> Decimal:
    return sum((line.amount for line in lines), Decimal(0))


# The marts


def daily_sales(facts: Facts, as_of: date) -> Rows:
    found: Rows = {}
    for (day,), lines in _by(facts.lines, lambda line: (line.day,)).items():
        sales = [line for line in lines if line.is_sale]
        cancelled = _sales([line for line in lines if line.is_cancelled])
        net = _sales([line for line in lines if not line.is_cancelled or line.amount < 0])
        found[day, facts.currency] = (
            _orders(sales),
            _customers(sales),
            _units(sales),
            len(lines),
            _sales(sales),
            cancelled,
            net,
            ratio(_sales(sales), _orders(sales)),
        )
    return found


def product_sales(facts: Facts, as_of: date) -> Rows:
    found: Rows = {}
    for (product,), sales in _by(facts.sales, lambda line: (line.product_id,)).items():
        known = facts.products.get(product, Product(frozenset({None}), None))
        times = [line.at for line in sales]
        totals = (_orders(sales), _customers(sales), _units(sales), _sales(sales))
        found[product, facts.currency] = (known.titles, known.is_merchandise, *totals, min(times), max(times))
    return found


def country_sales(facts: Facts, as_of: date) -> Rows:
    by_country = _by(facts.sales, lambda line: (line.country or UNKNOWN, facts.currency))
    return {key: (_orders(sales), _customers(sales), _units(sales), _sales(sales)) for key, sales in by_country.items()}


def _value(facts: Facts, as_of: date) -> dict[str, list[Line]]:
    """The sales to each known customer up to as_of."""
    closed = [line for line in facts.sales if line.customer_id is not None and line.day <= as_of]
    return {str(customer): sales for (customer,), sales in _by(closed, lambda line: (line.customer_id,)).items()}


def customer_value(facts: Facts, as_of: date) -> Rows:
    by_customer = _value(facts, as_of)
    recency = {customer: (as_of - max(line.day for line in sales)).days for customer, sales in by_customer.items()}
    frequency = {customer: _orders(sales) for customer, sales in by_customer.items()}
    monetary = {customer: _sales(sales) for customer, sales in by_customer.items()}
    last = {customer: max(line.at for line in sales) for customer, sales in by_customer.items()}
    scores = (
        fifths(last),
        fifths(frequency),
        fifths(monetary),
    )
    found: Rows = {}
    for customer, sales in by_customer.items():
        times = [line.at for line in sales]
        r, f, m = (score[customer] for score in scores)
        values = (recency[customer], frequency[customer], monetary[customer])
        found[customer, facts.currency] = (min(times), max(times), *values, r, f, m, 100 * r + 10 * f + m)
    return found


def fifths(values: dict[str, Any]) -> dict[str, int]:
    """Each one's fifth, 5 for the highest values. Ties stand in the order of ids; the lower fifths are the larger."""
    in_order = sorted(values, key=lambda each: (values[each], each))
    size, over = divmod(len(in_order), 5)
    places = iter(in_order)
    return {next(places): fifth for fifth in range(1, 6) for _ in range(size + (fifth <= over))}


def daily_funnel(facts: Facts, as_of: date) -> Rows:
    found: Rows = {}
    for (day,), events in _by(facts.events, lambda event: (event.day,)).items():
        kinds = Counter(event.kind for event in events)
        found[(day,)] = (
            len({event.session for event in events}),
            len({event.actor_id for event in events}),
            kinds["view"],
            kinds["cart"],
            kinds["purchase"],
            ratio(kinds["cart"], kinds["view"]),
            ratio(kinds["purchase"], kinds["cart"]),
        )
    return found


def daily_reviews(facts: Facts, as_of: date) -> Rows:
    found: Rows = {}
    for (day,), reviews in _by(facts.reviews, lambda review: (review.day,)).items():
        scores = [review.score for review in reviews]
        with_text = sum(review.has_text for review in reviews)
        low = sum(score <= 2 for score in scores)
        found[(day,)] = (len(reviews), ratio(sum(scores), len(scores)), with_text, low)
    return found


def category_sales(facts: Facts, as_of: date) -> Rows:
    def category(line: Line) -> str:
        known = facts.products.get(line.product_id)
        return known.category_id if known is not None and known.category_id is not None else NONE

    found: Rows = {}
    for (name,), sales in _by(facts.sales, lambda line: (category(line),)).items():
        path = NONE if name == NONE else facts.paths.get(str(name), name)
        found[name, facts.currency] = (path, _orders(sales), _customers(sales), _units(sales), _sales(sales))
    return found


def product_funnel(facts: Facts, as_of: date) -> Rows:
    found: Rows = {}
    counted = interactions(facts)
    for (product,), seen in _by(counted, lambda each: (each.product_id,)).items():
        views = sum(counted[each] for each in seen if each.kind == "view")
        carts = sum(counted[each] for each in seen if each.kind == "cart")
        purchases = sum(each.kind == "purchase" for each in seen)
        times = [each.at for each in seen]
        found[(product,)] = (
            views,
            carts,
            purchases,
            len({each.actor_id for each in seen}),
            ratio(carts, views),
            ratio(purchases, views),
            min(times),
            max(times),
        )
    return found


def customer_cohorts(facts: Facts, as_of: date) -> Rows:
    def month(day: date) -> int:
        return day.year * 12 + day.month - 1

    def first(number: int) -> date:
        return date(number // 12, number % 12 + 1, 1)

    cohorts: dict[int, dict[str, list[Line]]] = defaultdict(dict)
    for customer, sales in _value(facts, as_of).items():
        cohorts[month(min(line.day for line in sales))][customer] = sales
    found: Rows = {}
    for cohort, members in cohorts.items():
        everything = [line for sales in members.values() for line in sales]
        for number in range(cohort, month(as_of) + 1):
            sales = [line for line in everything if month(line.day) == number]
            found[facts.currency, first(cohort), number - cohort] = (
                len(members),
                _customers(sales),
                _orders(sales),
                _sales(sales),
                ratio(_customers(sales), len(members)),
                as_of >= first(number + 1) - timedelta(days=1),
            )
    return found


def hourly_activity(facts: Facts, as_of: date) -> Rows:
    events = _by(facts.events, lambda event: (event.day, event.hour))
    sales = _by(facts.sales, lambda line: (line.day, line.hour))
    found: Rows = {}
    for day, hour in events.keys() | sales.keys():
        here, sold = events.get((day, hour), []), sales.get((day, hour), [])
        found[day, hour, facts.currency] = (
            day.isoweekday(),
            len(here),
            len({event.actor_id for event in here}),
            _orders(sold),
            _units(sold),
            _sales(sold),
        )
    return found


class Mart(NamedTuple):
    """How a mart is recounted and read."""

    recount: Callable[[Facts, date], Rows]
    key: str
    columns: str
    needs: frozenset[str]
    """A shop has rows in it where it provides one of these."""


_ORDERS = frozenset({"orders"})

MARTS: dict[str, Mart] = {
    "mart_daily_sales": Mart(
        daily_sales,
        "order_date, currency",
        "orders, customers, units, lines, gross_sales, cancelled_amount, net_sales, average_order_value",
        _ORDERS,
    ),
    "mart_product_sales": Mart(
        product_sales,
        "product_id, currency",
        "title, is_merchandise, orders, customers, units, sales, first_sold_at, last_sold_at",
        _ORDERS,
    ),
    "mart_country_sales": Mart(country_sales, "country, currency", "orders, customers, units, sales", _ORDERS),
    "mart_customer_value": Mart(
        customer_value,
        "customer_id, currency",
        "first_order_at, last_order_at, recency_days, frequency, monetary,"
        " recency_score, frequency_score, monetary_score, rfm_score",
        _ORDERS,
    ),
    "mart_daily_funnel": Mart(
        daily_funnel,
        "event_date",
        "sessions, actors, views, carts, purchases, view_to_cart_rate, cart_to_purchase_rate",
        frozenset({"events"}),
    ),
    "mart_daily_reviews": Mart(
        daily_reviews, "review_date", "reviews, average_score, with_text, low_scores", frozenset({"reviews"})
    ),
    "mart_category_sales": Mart(
        category_sales, "category_id, currency", "path, orders, customers, units, sales", _ORDERS
    ),
    "mart_product_funnel": Mart(
        product_funnel,
        "product_id",
        "views, carts, purchases, actors, view_to_cart_rate, view_to_purchase_rate, first_at, last_at",
        frozenset({"orders", "events"}),
    ),
    "mart_customer_cohorts": Mart(
        customer_cohorts,
        "currency, cohort_month, months_since",
        "cohort_customers, customers, orders, sales, retained_share, is_whole_month",
        _ORDERS,
    ),
    "mart_hourly_activity": Mart(
        hourly_activity,
        "activity_date, hour, currency",
        "day_of_week, events, actors, orders, units, sales",
        frozenset({"orders", "events"}),
    ),
}


def differences(expected: Rows, found: Rows, mart: Mart, most: int = 5) -> str:
    """What differs, in words, the first few of each kind; empty where all rows are equal."""

    def order(key: Key) -> str:
        return str(tuple(map(str, key)))

    columns = mart.columns.replace(" ", "").split(",")
    missing = sorted(expected.keys() - found.keys(), key=order)
    beyond = sorted(found.keys() - expected.keys(), key=order)
    changed = []
    for key in sorted(expected.keys() & found.keys(), key=order):
        parts = [
            f"{name}: {got!r} in the mart, {want!r} recounted"
            for name, want, got in zip(columns, expected[key], found[key], strict=True)
            if (got not in want if isinstance(want, frozenset) else got != want)
        ]
        if parts:
            changed.append(f"  {order(key)}: {'; '.join(parts)}")
    said = []
    for title, keys, rows in (("missing from the mart", missing, expected), ("only in the mart", beyond, found)):
        if keys:
            said.append(f"{len(keys)} rows {title}:")
            said += [f"  {order(key)}: {rows[key]}" for key in keys[:most]]
    if changed:
        said += [f"{len(changed)} of {len(expected)} rows differ:", *changed[:most]]
    return "\n".join(said)
