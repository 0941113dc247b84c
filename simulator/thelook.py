"""The simulated theLook shop: the seven tables of a clothes shop, as Parquet folders with the types of BigQuery.

Written are `<table>/<YYYY-MM>.parquet` by the month of `created_at` (UTC), and one file for `products` and
`distribution_centers`, with every row as it is at the end of `plan.until`. No name or product is of the public set.

What is planted, and where its truth stands (in the truth folder, rewritten by each call):

- `users.parquet`: each user's taste group, style and segment. A group owns four of the 24 categories
  (`categories.parquet`), which pull its members `TASTE_PULL` times as much; seven of ten products are of the user's
  style (`products.parquet`), which also decides the brands. The same holds for visitors, whose taste is not kept.
  Four orders of five are of the user's own department.
- `SEGMENTS` differ in how often they buy, for how long, and how much at once.
- `world.json`: factors of weekdays, months and trend; the promotions (three to five days a month, a cut on eight
  categories); drifts and shares. Popularity falls as 1 / (20 + rank) ** 0.8.
- `categories.parquet`: price elasticity. A product's pull is popularity x (price / usual price) ** elasticity, and the
  day's volume follows the sum of the pulls. Prices of products move about every 200 days.
- Drift: `tastes` (each group takes over another's), `prices` (x 1.25 on four products of ten), `volume` (x 1.8).
- `queries.csv`: searches with judgements by noun, adjective, brand, category and department of the products.

The faults of the real set: cancelled and returned orders; order and stock rows that change without a change column;
shelves that are sold from after more than 60 days, and returns as late; visitors without a user, and first events
before the log-in; sessions across midnight; purchase events before their order's `created_at`; events that land a day
or two late (`LATE_SHARE`); the city 'null'; products without brand or name.

A buying session is one order and has one purchase event. Where the plan is shorter than `PUBLIC_DAYS`, it is the
beginning of the public length: the volume of a day does not depend on the end, and grows by `TREND` a year.

Memory holds the orders, items and stock as numbers (some 60 MB at scale 1), and one month of rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from simulator.plan import (
    BROKEN,
    EXACT,
    FITS,
    NEAR,
    PLAIN,
    QUERIES,
    WORDS,
    Asked,
    Plan,
    Say,
    Written,
    misspelt,
    other_number,
    write_queries,
)
from simulator.world import (
    Calendar,
    Choice,
    Floats,
    Ints,
    check_plan,
    counting,
    days,
    drifted,
    long_tail,
    parquet_file,
    price_shift,
    promotion_of_month,
    promotion_on,
    ranks,
    stream,
    taste_groups,
    tastes_after_drift,
    uniform,
    volume,
    whole,
)

SHOP = "thelook"
PUBLIC_DAYS = 2500
DRIFTS = ("tastes", "prices", "volume")

USERS, ORDERS, PRODUCTS = 100_000, 125_000, 29_120  # rows of the public set
VISITS_AN_ORDER = 5.2  # sessions of visitors to one of a buyer
ARRIVALS_AN_ORDER = 3.15  # units that come to the shelf for an order

WEEKDAYS = (0.95, 0.92, 0.94, 0.98, 1.06, 1.12, 1.03)  # Monday first
MONTHS = (0.88, 0.84, 0.92, 0.95, 0.98, 0.96, 0.95, 0.97, 0.99, 1.04, 1.20, 1.32)  # at mid-month, January first
TREND = 0.5  # a year, of the volume at the start
CALENDAR = Calendar(WEEKDAYS, MONTHS, TREND)
_HOURS = (3, 2, 1, 1, 1, 1, 2, 4, 5, 6, 7, 7, 8, 8, 7, 7, 7, 8, 9, 11, 12, 11, 8, 5)

GROUPS, STYLES = 6, 4
TASTE_PULL = 6.0
STYLE_SHARE = 0.7
OWN_DEPARTMENT_SHARE = 0.8
SAME_CATEGORY_SHARE = 0.5  # of further items and views in a session: of the category of its first
LATE_SHARE = 0.005
LATE_LOGIN_SHARE = 0.2
EARLY_PURCHASE_SHARE = 0.4
NO_CITY_SHARE = 0.009

STATUS_SHARES = {"Processing": 0.20, "Shipped": 0.30, "Complete": 0.25, "Returned": 0.10, "Cancelled": 0.15}
STATUSES = tuple(STATUS_SHARES)
_PROCESSING, _SHIPPED, _COMPLETE, _RETURNED, _CANCELLED = range(5)


class Segment(NamedTuple):
    """One kind of user: share of users, pull to buy, days in which they do, shares of baskets of one to four items."""

    share: float
    pull: float
    lifetime: int
    baskets: tuple[float, float, float, float]


SEGMENTS = {
    "loyal": Segment(0.06, 0.8, 1200, (0.52, 0.28, 0.11, 0.09)),
    "regular": Segment(0.25, 0.3, 600, (0.74, 0.19, 0.04, 0.03)),
    "occasional": Segment(0.49, 0.15, 250, (0.90, 0.08, 0.01, 0.01)),
    "never": Segment(0.20, 0.0, 0, (1.0, 0.0, 0.0, 0.0)),
}

# A category's nouns, its usual price and how its sales answer to the price.
CATEGORIES: dict[str, tuple[tuple[str, ...], float, float]] = {
    "Anoraks": (("Anorak", "Cagoule", "Windbreaker"), 82, -1.6),
    "Base Layers": (("Vest Top", "Long Johns", "Thermal Top"), 24, -0.8),
    "Beachwear": (("Beach Shorts", "Rash Top", "Sarong"), 36, -2.2),
    "Caps & Scarves": (("Cap", "Beanie", "Scarf", "Snood"), 19, -1.9),
    "Chinos": (("Slim Chinos", "Straight Chinos", "Cropped Chinos"), 58, -1.3),
    "Cords": (("Needlecord Trousers", "Jumbo Cords"), 54, -1.1),
    "Denim": (("Straight Leg Denim", "Bootleg Denim", "Denim Jacket"), 88, -1.0),
    "Dungarees": (("Dungarees", "Boiler Suit"), 76, -1.5),
    "Formalwear": (("Suit Jacket", "Suit Trousers", "Waistcoat"), 132, -0.7),
    "Gymwear": (("Training Top", "Training Tights", "Track Top"), 44, -1.7),
    "Hoods": (("Zip Hoodie", "Hooded Sweat"), 49, -1.8),
    "Knitwear": (("Crew Neck Jumper", "Cable Knit", "Cardigan"), 66, -1.2),
    "Leather Goods": (("Belt", "Wallet", "Gloves", "Satchel"), 47, -0.9),
    "Nightwear": (("Pyjama Set", "Dressing Gown", "Nightshirt"), 41, -1.4),
    "Overcoats": (("Wool Overcoat", "Trench", "Duffle"), 165, -1.0),
    "Polos": (("Pique Polo", "Rugby Polo"), 34, -2.0),
    "Rainwear": (("Mac", "Waxed Coat", "Poncho"), 96, -1.1),
    "Running": (("Running Vest", "Running Shorts", "Running Jacket"), 46, -1.5),
    "Shirts": (("Oxford Shirt", "Linen Shirt", "Flannel Shirt"), 52, -1.3),
    "Slippers": (("Slippers", "Moccasins"), 28, -1.6),
    "Socks": (("Ankle Socks", "Boot Socks", "Walking Socks"), 12, -2.4),
    "Tees": (("Crew Tee", "Pocket Tee", "Striped Tee", "Long Sleeve Tee"), 22, -2.3),
    "Underwear": (("Briefs", "Boxers", "Camisole"), 18, -1.2),
    "Vests & Gilets": (("Padded Gilet", "Fleece Gilet"), 62, -1.7),
}
# What people search for who do not know the shop's words: none of these is in the products' names and categories.
_PLAIN_NOUNS: dict[str, str] = {
    "Anorak": "hooded outdoor shell", "Cagoule": "fold-away shower protection", "Windbreaker": "shell against gales",
    "Vest Top": "sleeveless undershirt", "Long Johns": "underpants down to the feet",
    "Thermal Top": "undershirt that keeps heat in",
    "Beach Shorts": "swimming trunks", "Rash Top": "shirt for surfers", "Sarong": "cloth to wrap around the hips",
    "Cap": "baseball hat with a peak", "Beanie": "woolly hat", "Scarf": "something to wind around the neck",
    "Snood": "tube for neck and chin",
    "Slim Chinos": "narrow cotton pants", "Straight Chinos": "even-legged cotton pants",
    "Cropped Chinos": "cotton pants that end above the foot",
    "Needlecord Trousers": "finely ridged velvety pants", "Jumbo Cords": "pants with broad velvety ridges",
    "Straight Leg Denim": "even-cut blue jeans", "Bootleg Denim": "jeans that flare at the bottom",
    "Denim Jacket": "jeans blouson",
    "Dungarees": "bib and brace", "Boiler Suit": "mechanic's one-piece overall",
    "Suit Jacket": "blazer for the office", "Suit Trousers": "pants for a business meeting",
    "Waistcoat": "sleeveless layer beneath a dinner blazer",
    "Training Top": "shirt for working out", "Training Tights": "leggings for exercise",
    "Track Top": "sports blouson",
    "Zip Hoodie": "sweater that closes at the front", "Hooded Sweat": "cowled pullover",
    "Crew Neck Jumper": "round-collared woollen pullover", "Cable Knit": "pullover with a braided pattern",
    "Cardigan": "woollen pullover with buttons",
    "Belt": "strap to hold pants up", "Wallet": "billfold for cash and cards", "Gloves": "hand covers",
    "Satchel": "shoulder bag",
    "Pyjama Set": "two-piece for sleeping", "Dressing Gown": "bathrobe", "Nightshirt": "loose thing to sleep in",
    "Wool Overcoat": "thick winter outer layer of fleecy cloth", "Trench": "belted long outer layer for spring",
    "Duffle": "winter outer layer with toggles",
    "Pique Polo": "collared cotton tennis top", "Rugby Polo": "collared top of a scrum player",
    "Mac": "raincoat", "Waxed Coat": "oiled jacket for downpours", "Poncho": "cape to throw over in a shower",
    "Running Vest": "sleeveless jogging top", "Running Shorts": "brief pants for joggers",
    "Running Jacket": "jogging blouson",
    "Oxford Shirt": "button-down blouse for business", "Linen Shirt": "flaxen blouse for hot weather",
    "Flannel Shirt": "lumberjack blouse",
    "Slippers": "house shoes", "Moccasins": "indoor loafers",
    "Ankle Socks": "short hosiery", "Boot Socks": "thick hosiery", "Walking Socks": "hiking hosiery",
    "Briefs": "close underpants", "Boxers": "loose underpants", "Camisole": "lingerie with thin straps",
    "Crew Tee": "round-collared T-shirt", "Pocket Tee": "T-shirt with a pouch on the chest",
    "Striped Tee": "T-shirt with bars across", "Long Sleeve Tee": "T-shirt that covers the arms",
    "Padded Gilet": "sleeveless down bodywarmer", "Fleece Gilet": "sleeveless fluffy bodywarmer",
}  # fmt: skip
_PLAIN_ADJECTIVES: dict[str, str] = {
    "Classic": "timeless", "Everyday": "for daily use", "Lightweight": "thin and airy", "Relaxed": "loose fitting",
    "Tailored": "cut to the figure", "Brushed": "with a fuzzy surface", "Washed": "faded",
    "Quilted": "stitched in squares",
    "Ribbed": "with fine ridges", "Soft": "gentle on the skin", "Heritage": "old-fashioned",
    "Weekend": "for days off", "Coastal": "seaside style", "Alpine": "for the mountains",
    "Studio": "for the dance class", "Harbour": "maritime", "Textured": "with an uneven surface",
    "Checked": "chequered", "Two-Tone": "of two colours", "Organic": "grown without pesticides",
}  # fmt: skip
_PLAIN_DEPARTMENTS = ("for a lady", "for a gentleman")
# A need, the categories that meet it, and those that would do.
_NEEDS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("something warm for winter nights", ("Nightwear",), ("Base Layers", "Slippers")),
    ("stay dry in a downpour", ("Rainwear",), ("Anoraks",)),
    ("what to put on for a wedding", ("Formalwear",), ("Shirts",)),
    ("outfit for a marathon", ("Running",), ("Gymwear",)),
    ("clothes for lifting weights", ("Gymwear",), ("Running",)),
    ("packing for a holiday by the sea", ("Beachwear",), ("Tees",)),
    ("keep ears and throat from freezing", ("Caps & Scarves",), ("Hoods",)),
    ("thick outer layer for snow and frost", ("Overcoats",), ("Anoraks", "Vests & Gilets")),
    ("cosy thing for bare feet indoors", ("Slippers",), ("Socks",)),
    ("small present made of cowhide", ("Leather Goods",), ()),
    ("cosy pullover for autumn", ("Knitwear",), ("Hoods",)),
    ("blue jeans", ("Denim",), ("Dungarees",)),
)  # fmt: skip
DEPARTMENTS = ("Women", "Men")
_BRANDS = tuple(
    first + second
    for second in ("by", "ow", "wick", "sted", "ine", "mere")
    for first in ("Bram", "Cald", "Dels", "Fenn", "Garr", "Hest", "Kesk", "Lorn", "Marr", "Tals")
)
_ADJECTIVES = (
    "Classic", "Everyday", "Lightweight", "Relaxed", "Tailored", "Brushed", "Washed", "Quilted", "Ribbed", "Soft",
    "Heritage", "Weekend", "Coastal", "Alpine", "Studio", "Harbour", "Textured", "Checked", "Two-Tone", "Organic",
)  # fmt: skip
# Name, latitude, longitude.
_CENTERS = (
    ("Denver CO", 39.7392, -104.9903), ("Columbus OH", 39.9612, -82.9988), ("Reno NV", 39.5296, -119.8138),
    ("Kansas City MO", 39.0997, -94.5786), ("Richmond VA", 37.5407, -77.436), ("Tacoma WA", 47.2529, -122.4443),
    ("Tucson AZ", 32.2226, -110.9747), ("Omaha NE", 41.2565, -95.9345), ("Nashville TN", 36.1627, -86.7816),
    ("Albany NY", 42.6526, -73.7562),
)  # fmt: skip
# Share of users in per mille, country, state, city, form of a postal code, latitude, longitude.
_PLACES = (
    (74, "China", "Guangdong", "Guangzhou", "51####", 23.13, 113.26),
    (62, "China", "Shanghai", "Shanghai", "20####", 31.23, 121.47),
    (58, "China", "Beijing", "Beijing", "10####", 39.9, 116.4),
    (52, "China", "Sichuan", "Chengdu", "61####", 30.57, 104.07),
    (48, "China", "Zhejiang", "Hangzhou", "31####", 30.27, 120.15),
    (46, "China", "Hubei", "Wuhan", "43####", 30.59, 114.3),
    (42, "United States", "California", "San Diego", "921##", 32.72, -117.16),
    (38, "United States", "Texas", "Austin", "787##", 30.27, -97.74),
    (36, "United States", "New York", "Buffalo", "142##", 42.89, -78.88),
    (34, "United States", "Florida", "Tampa", "336##", 27.95, -82.46),
    (26, "United States", "Illinois", "Peoria", "616##", 40.69, -89.59),
    (26, "United States", "Washington", "Spokane", "992##", 47.66, -117.43),
    (23, "United States", "Georgia", "Macon", "312##", 32.84, -83.63),
    (62, "Brasil", "São Paulo", "Campinas", "130##-###", -22.91, -47.06),
    (34, "Brasil", "Minas Gerais", "Belo Horizonte", "301##-###", -19.92, -43.94),
    (28, "Brasil", "Bahia", "Salvador", "402##-###", -12.97, -38.5),
    (22, "Brasil", "Paraná", "Curitiba", "800##-###", -25.43, -49.27),
    (32, "South Korea", "Gyeonggi-do", "Suwon", "164##", 37.26, 127.03),
    (21, "South Korea", "Busan", "Busan", "477##", 35.18, 129.08),
    (27, "France", "Île-de-France", "Paris", "750##", 48.86, 2.35),
    (20, "France", "Auvergne-Rhône-Alpes", "Lyon", "690##", 45.76, 4.84),
    (28, "United Kingdom", "England", "Leeds", "LS# #AB", 53.8, -1.55),
    (18, "United Kingdom", "Scotland", "Glasgow", "G# #XQ", 55.86, -4.25),
    (24, "Germany", "Nordrhein-Westfalen", "Köln", "506##", 50.94, 6.96),
    (18, "Germany", "Bayern", "Nürnberg", "904##", 49.45, 11.08),
    (22, "España", "Andalucía", "Sevilla", "410##", 37.39, -5.99),
    (18, "España", "Comunidad Valenciana", "Valencia", "460##", 39.47, -0.38),
    (24, "Japan", "Aichi", "Nagoya", "460-####", 35.18, 136.91),
    (21, "Australia", "Queensland", "Brisbane", "40##", -27.47, 153.03),
    (12, "Belgium", "Oost-Vlaanderen", "Gent", "90##", 51.05, 3.72),
    (3, "Poland", "Małopolskie", "Kraków", "30-###", 50.06, 19.94),
    (1, "Colombia", "Antioquia", "Medellín", "0500##", 6.25, -75.56),
)
_FIRST_NAMES = {
    "F": (
        "Ada", "Bianca", "Carla", "Daniela", "Edith", "Farah", "Gwen", "Hana", "Ines", "Joan", "Keiko", "Leila",
        "Mei", "Nadia", "Olga", "Priya", "Rosa", "Selma", "Tamar", "Uma", "Vera", "Wanda", "Yasmin", "Zoe",
    ),
    "M": (
        "Anton", "Bruno", "Carlos", "Diego", "Emil", "Felix", "Goran", "Hugo", "Ivan", "Jonas", "Kenji", "Luca",
        "Mateo", "Nils", "Omar", "Pablo", "Quentin", "Rafael", "Stefan", "Tom", "Umar", "Viktor", "Wei", "Yusuf",
    ),
}  # fmt: skip
_LAST_NAMES = (
    "Abara", "Becker", "Castro", "Dubois", "Eklund", "Ferrari", "Gomez", "Hoffman", "Ito", "Jansen", "Kowalski",
    "Lopez", "Moreau", "Novak", "Okafor", "Pereira", "Quinn", "Rossi", "Silva", "Tanaka", "Ueda", "Varga", "Walsh",
    "Xu", "Young", "Zhang", "Almeida", "Baker", "Chen", "Duarte", "Evans", "Fischer", "Green", "Huang", "Kim", "Li",
)  # fmt: skip
_STREETS = ("Mill Lane", "High Street", "Station Road", "Park Avenue", "Church Walk", "River View", "Oak Drive")
_USER_SOURCES = ("Search", "Organic", "Facebook", "Email", "Display")
_USER_SOURCE_SHARES = (0.70, 0.15, 0.06, 0.05, 0.04)
_EVENT_SOURCES = ("Email", "Adwords", "Facebook", "YouTube", "Organic")
_EVENT_SOURCE_SHARES = (0.45, 0.30, 0.10, 0.10, 0.05)
_BROWSERS = ("Chrome", "Firefox", "Safari", "IE", "Other")
_BROWSER_SHARES = (0.50, 0.20, 0.20, 0.05, 0.05)

_SECOND, _DAY = 1_000_000, 86_400_000_000  # in microseconds
_NEVER = np.iinfo(np.int64).max
_HOME, _DEPARTMENT, _PRODUCT, _CART, _PURCHASE, _CANCEL = range(6)
EVENT_TYPES = ("home", "department", "product", "cart", "purchase", "cancel")

_AT = pa.timestamp("us", tz="UTC")
_INT, _TEXT, _FLOAT = pa.int64(), pa.string(), pa.float64()


def _schema(columns: str, **types: pa.DataType) -> pa.Schema:
    return pa.schema([(name, types.get(name, _TEXT)) for name in columns.split()])


SCHEMAS: dict[str, pa.Schema] = {
    "users": _schema(
        "id first_name last_name email age gender state street_address postal_code city country latitude longitude "
        "traffic_source created_at",
        id=_INT, age=_INT, latitude=_FLOAT, longitude=_FLOAT, created_at=_AT,
    ),
    "orders": _schema(
        "order_id user_id status gender created_at returned_at shipped_at delivered_at num_of_item",
        order_id=_INT, user_id=_INT, created_at=_AT, returned_at=_AT, shipped_at=_AT, delivered_at=_AT,
        num_of_item=_INT,
    ),
    "order_items": _schema(
        "id order_id user_id product_id inventory_item_id status created_at shipped_at delivered_at returned_at "
        "sale_price",
        id=_INT, order_id=_INT, user_id=_INT, product_id=_INT, inventory_item_id=_INT, created_at=_AT, shipped_at=_AT,
        delivered_at=_AT, returned_at=_AT, sale_price=_FLOAT,
    ),
    "products": _schema(
        "id cost category name brand retail_price department sku distribution_center_id",
        id=_INT, cost=_FLOAT, retail_price=_FLOAT, distribution_center_id=_INT,
    ),
    "inventory_items": _schema(
        "id product_id created_at sold_at cost product_category product_name product_brand product_retail_price "
        "product_department product_sku product_distribution_center_id",
        id=_INT, product_id=_INT, created_at=_AT, sold_at=_AT, cost=_FLOAT, product_retail_price=_FLOAT,
        product_distribution_center_id=_INT,
    ),
    "distribution_centers": _schema("id name latitude longitude", id=_INT, latitude=_FLOAT, longitude=_FLOAT),
    "events": _schema(
        "id user_id sequence_number session_id created_at ip_address city state postal_code browser traffic_source "
        "uri event_type",
        id=_INT, user_id=_INT, sequence_number=_INT, created_at=_AT,
    ),
}  # fmt: skip


def _midnight(day: date) -> int:
    """Microseconds since 1970 at which the day begins in UTC."""
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * _DAY


def _month_of(day: date) -> date:
    return day.replace(day=1)


def _next_month(month: date) -> date:
    return _month_of(month + timedelta(days=31))


_TIME_OF_DAY = Choice(_HOURS)


def _times(draw: np.random.Generator, day: date, count: int) -> Ints:
    """Sorted instants of a day, by the usual hours."""
    hours = _TIME_OF_DAY.draw(draw, count)
    within = (draw.random(count) * 3600 * _SECOND).astype(np.int64)
    return np.sort(_midnight(day) + hours * 3600 * _SECOND + within)


class _Market(NamedTuple):
    """What a day's customers find."""

    listed: Floats  # list price by product
    asked: Floats  # what is paid today, with the cut of a promotion
    pulls: Floats  # running sums over the products in shelf order, from 0
    categories: Floats  # running sums by row (taste group x department), each row from its own number up to the next
    demand: float  # sum of the pulls beside that at the usual prices


class _Assortment:
    """The products of a seed and scale, with the prices and pulls of any day."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.count = max(2 * len(CATEGORIES) * STYLES, round(PRODUCTS * plan.scale))
        draw = stream(plan.seed, SHOP, "products")
        size = self.count
        # A shelf is one department, category and style; shelves are about equally long.
        self.shelf = draw.permutation(np.arange(size) % (2 * len(CATEGORIES) * STYLES))
        self.style = self.shelf % STYLES
        self.category = self.shelf // STYLES % len(CATEGORIES)
        self.department = self.shelf // STYLES // len(CATEGORIES)
        self.popularity = long_tail(size, 0.8, 20.0)[draw.permutation(size)]
        usual = np.array([price for _, price, _ in CATEGORIES.values()], dtype=np.float64)
        self.usual = np.round(usual[self.category] * np.exp(draw.normal(0.0, 0.35, size)), 2)
        self.elasticity = np.array([value for *_, value in CATEGORIES.values()])[self.category]
        self.cost = np.round(self.usual * (0.35 + 0.25 * draw.random(size)), 4)
        self.center = draw.integers(1, len(_CENTERS) + 1, size)
        ids = np.arange(1, size + 1, dtype=np.int64)
        self.ids = ids
        self._phase = (uniform(plan.seed, "thelook price phase", ids) * 200).astype(np.int64)
        self._shift = price_shift(plan.seed, SHOP, ids)
        self._owner = np.arange(len(CATEGORIES)) % GROUPS
        self.order = np.argsort(self.shelf, kind="stable")
        shelves = np.arange(2 * len(CATEGORIES) * STYLES + 1)
        self.bounds = np.searchsorted(self.shelf[self.order], shelves).astype(np.int64)
        self._pull_at_usual = float(self.popularity.sum())
        self._name(draw)

    def _name(self, draw: np.random.Generator) -> None:
        names, brands = [], []
        categories = list(CATEGORIES.values())
        self.brand = draw.integers(0, len(_BRANDS) // STYLES, self.count) * STYLES + self.style
        self.adjective = draw.integers(0, len(_ADJECTIVES), self.count)
        lengths = np.array([len(nouns) for nouns, *_ in categories])
        self.noun = (draw.random(self.count) * lengths[self.category]).astype(np.int64)  # among those of its category
        for category, brand_number, adjective, noun, department in zip(
            self.category.tolist(),
            self.brand.tolist(),
            self.adjective.tolist(),
            self.noun.tolist(),
            self.department.tolist(),
            strict=True,
        ):
            brand = _BRANDS[brand_number]
            brands.append(brand)
            names.append(
                f"{brand} {DEPARTMENTS[department]}'s {_ADJECTIVES[adjective]} {categories[category][0][noun]}"
            )
        self.uris = [
            f"/department/{DEPARTMENTS[department].lower()}/category/{name.lower().replace(' ', '')}"
            f"/brand/{brand.lower()}"
            for department, name, brand in zip(
                self.department.tolist(),
                (list(CATEGORIES)[number] for number in self.category.tolist()),
                brands,
                strict=True,
            )
        ]
        gone = draw.permutation(self.count)
        nameless = gone[: max(1, round(0.00007 * self.count))]
        brandless = gone[len(nameless) : len(nameless) + max(2, round(0.0008 * self.count))]
        self.nameless = nameless
        self.names = _without(names, nameless)
        self.brands = _without(brands, brandless)
        hexes = _hex(draw.integers(0, 256, (self.count, 16), dtype=np.uint8))
        self.skus = pc.utf8_upper(_texts(hexes))

    def listed(self, day: date) -> Floats:
        """List prices of a day. A product keeps a level for 200 days, from a day of its own on."""
        period = (day.toordinal() + self._phase) // 200
        level = 0.86 + 0.28 * uniform(self.plan.seed, "thelook price level", self.ids * 65_536 + period)
        shift = self._shift if drifted(self.plan.drifts, "prices", day) else 1.0
        return np.round(self.usual * level * shift, 2)

    def market(self, day: date) -> _Market:
        listed = self.listed(day)
        asked = listed
        promotion = promotion_on(self.plan.seed, SHOP, day, len(CATEGORIES))
        if promotion is not None:
            cut = np.isin(self.category, promotion.categories)
            asked = np.where(cut, np.round(listed * (1.0 - promotion.cut), 2), listed)
        pull = self.popularity * (asked / self.usual) ** self.elasticity
        sums = np.r_[0.0, np.cumsum(pull[self.order])]
        # Running sums at every fourth shelf bound part the categories of the two departments.
        by_category = np.diff(sums[self.bounds[::STYLES]]).reshape(2, len(CATEGORIES))
        liking = np.where(self._owner == np.arange(GROUPS)[:, None], TASTE_PULL, 1.0)
        rows = (liking[:, None, :] * by_category[None, :, :]).reshape(GROUPS * 2, len(CATEGORIES))
        running = np.cumsum(rows, axis=1)
        running = running / running[:, -1:] + np.arange(GROUPS * 2)[:, None]
        return _Market(listed, asked, sums, running.ravel(), float(pull.sum()) / self._pull_at_usual)

    def categories(self, market: _Market, uniforms: Floats, group: Ints, department: Ints) -> Ints:
        row = group * 2 + department
        found = np.searchsorted(market.categories, row + uniforms, side="right") - row * len(CATEGORIES)
        return np.clip(found, 0, len(CATEGORIES) - 1)

    def choose(self, market: _Market, draw: np.random.Generator, department: Ints, category: Ints, style: Ints) -> Ints:
        """Indexes of products of a department and category, seven of ten of the style."""
        size = len(category)
        first = (department * len(CATEGORIES) + category) * STYLES
        styled = draw.random(size) < STYLE_SHARE
        low = market.pulls[self.bounds[np.where(styled, first + style, first)]]
        high = market.pulls[self.bounds[np.where(styled, first + style + 1, first + STYLES)]]
        found = np.searchsorted(market.pulls, low + draw.random(size) * (high - low), side="right") - 1
        return self.order[np.clip(found, 0, self.count - 1)]


def _without(values: Sequence[str], gone: Ints) -> pa.Array:
    missing = np.zeros(len(values), dtype=bool)
    missing[gone] = True
    return pa.array(values, _TEXT, mask=missing)


_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def _hex(raw: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bytes of shape (n, m) as hexadecimal characters of shape (n, 2 m)."""
    return _HEX[np.stack([raw >> 4, raw & 15], axis=2).reshape(len(raw), -1)]


def _texts(characters: NDArray[np.uint8]) -> pa.Array:
    """Texts of one length from their ASCII characters, shape (n, length)."""
    count, length = characters.shape
    offsets = np.arange(count + 1, dtype=np.int32) * length
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(characters)))


def _uuids(raw: NDArray[np.uint8]) -> pa.Array:
    """Texts such as 8-4-4-4-12 from 16 bytes each."""
    characters = np.full((len(raw), 36), ord("-"), dtype=np.uint8)
    places = [place for place in range(36) if place not in (8, 13, 18, 23)]
    characters[:, places] = _hex(raw)
    return _texts(characters)


class _Shelf:
    """Units in stock by product: the newest are sold first, and what has lain longest is forgotten at the end."""

    LONGEST = 75 * _DAY  # a unit that lies longer is not sold any more
    _DEPTH = 16

    def __init__(self, products: int) -> None:
        self._units = np.zeros((products, self._DEPTH), dtype=np.int64)
        self._since = np.zeros((products, self._DEPTH), dtype=np.int64)
        self._top = np.zeros(products, dtype=np.int64)
        self._count = np.zeros(products, dtype=np.int64)

    def put(self, product: Ints, unit: Ints, since: Ints) -> None:
        slot = (self._top[product] + ranks(product)) % self._DEPTH
        self._units[product, slot] = unit
        self._since[product, slot] = since
        added = np.bincount(product, minlength=len(self._top))
        self._top += added
        self._count = np.minimum(self._count + added, self._DEPTH)

    def take(self, product: Ints, now: int) -> Ints:
        """A unit for each product asked for, or -1."""
        rank = ranks(product)
        slot = (self._top[product] - 1 - rank) % self._DEPTH
        fresh = self._since[product, slot] >= now - self.LONGEST
        there = (rank < self._count[product]) & fresh
        taken = np.bincount(product[there], minlength=len(self._top))
        self._top -= taken
        self._count -= taken
        return np.where(there, self._units[product, slot], -1)


@dataclass(frozen=True)
class _Books:
    """Orders, items, stock and users up to a day, as numbers. Instants are microseconds since 1970; `_NEVER` is none.

    Indexes count from 0, and the ids of the tables are one more. `orders_until[d]` is how many orders had their
    session on one of the first d days; `users_until` likewise.
    """

    users_until: Ints
    user_created: Ints
    orders_until: Ints
    user: Ints
    started: Ints
    created: Ints
    shipped: Ints
    delivered: Ints
    returned: Ints
    cancelled: Ints
    size: Ints
    first_item: Ints
    item_order: Ints
    item_product: Ints
    item_unit: Ints
    item_price: Floats
    unit_product: Ints
    unit_created: Ints
    unit_price: Floats
    unit_sold: Ints

    def status(self, at: int) -> Ints:
        """Each order's status, as an index of `STATUSES`, for who looks at `at`."""
        found = np.full(len(self.created), _PROCESSING, dtype=np.int64)
        for instants, status in (
            (self.shipped, _SHIPPED),
            (self.delivered, _COMPLETE),
            (self.returned, _RETURNED),
            (self.cancelled, _CANCELLED),
        ):
            found[instants < at] = status
        return found


_SEGMENT = Choice([segment.share for segment in SEGMENTS.values()])
_PULLS = np.array([segment.pull for segment in SEGMENTS.values()])
_LIFETIMES = np.array([segment.lifetime for segment in SEGMENTS.values()])
_BASKETS = np.cumsum(np.array([segment.baskets for segment in SEGMENTS.values()]), axis=1)


class _People:
    """What users are like, from their index alone."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def of(self, name: str, user: Ints) -> Floats:
        return uniform(self.seed, f"thelook {name}", user)

    def segment(self, user: Ints) -> Ints:
        return _SEGMENT.pick(self.of("segment", user))

    def group(self, user: Ints, day: date, drifts: Sequence[Any]) -> Ints:
        group = taste_groups(self.seed, SHOP, user, GROUPS)
        return tastes_after_drift(group, GROUPS) if drifted(drifts, "tastes", day) else group

    def style(self, user: Ints) -> Ints:
        return (self.of("style", user) * STYLES).astype(np.int64)

    def man(self, user: Ints) -> Ints:
        return (self.of("gender", user) < 0.5).astype(np.int64)

    def lifetime(self, user: Ints) -> Floats:
        """Days in which the user may buy, from the first visit on."""
        return _LIFETIMES[self.segment(user)] * (0.3 + 1.4 * self.of("lifetime", user))


def _buyers(draw: np.random.Generator, people: _People, users_until: Ints, count: int) -> Ints:
    """Who buys today: of 32 candidates, two of five newly come, the first who is in the mood."""
    known, today = int(users_until[-1]), len(users_until) - 1
    newly = int(users_until[max(0, today - 45)])
    low = np.where(draw.random((count, 32)) < 0.4, min(newly, known - 1), 0)
    candidate = low + (draw.random((count, 32)) * (known - low)).astype(np.int64)
    came = np.searchsorted(users_until, candidate, side="right") - 1
    pull = _PULLS[people.segment(candidate)] * (today - came <= people.lifetime(candidate))
    ready = draw.random((count, 32)) < pull
    best = np.where(ready.any(axis=1), np.argmax(ready, axis=1), np.argmax(pull, axis=1))
    return candidate[np.arange(count), best]


class _Pace:
    """Expected rows of a day: the public size at scale 1 over the public length, where the calendar alone acts."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._usual = plan.scale / PUBLIC_DAYS / CALENDAR.mean(plan.start, PUBLIC_DAYS)

    def of(self, rows: float, day: date) -> float:
        return rows * self._usual * CALENDAR.factor(day, self._plan.start) * volume(self._plan.drifts, day)


def _keep_books(plan: Plan, goods: _Assortment, people: _People) -> _Books:
    parts: dict[str, list[NDArray[Any]]] = {}

    def note(**columns: NDArray[Any]) -> None:
        for name, values in columns.items():
            parts.setdefault(name, []).append(values)

    pace = _Pace(plan)
    shelf = _Shelf(goods.count)
    users_until, orders_until = [0], [0]
    items = units = 0
    for day in days(plan.start, plan.until):
        market = goods.market(day)
        came = int(stream(plan.seed, SHOP, "users", day).poisson(pace.of(USERS, day)))
        note(user_created=_times(stream(plan.seed, SHOP, "user times", day), day, came))

        draw = stream(plan.seed, SHOP, "orders", day)
        count = int(draw.poisson(pace.of(ORDERS, day) * market.demand)) if users_until[-1] else 0
        started = _times(draw, day, count)
        user = _buyers(draw, people, np.array(users_until), count)
        size = 1 + (draw.random(count)[:, None] >= _BASKETS[people.segment(user)][:, :3]).sum(axis=1)
        minutes = np.maximum(3.0, (2.5 + 3.0 * size) * np.exp(draw.normal(0.0, 0.5, count)))
        created = started + (minutes * 60 * _SECOND).astype(np.int64)
        note(user=user, started=started, created=created, size=size, first_item=items + np.cumsum(size) - size)
        note(**_course(draw, created))

        order = np.repeat(np.arange(count), size)
        man = people.man(user)
        department = np.where(draw.random(count) < OWN_DEPARTMENT_SHARE, man, 1 - man)
        group, style = people.group(user, day, plan.drifts), people.style(user)
        category = goods.categories(market, draw.random(len(order)), group[order], department[order])
        leading = np.cumsum(size) - size
        stays = draw.random(len(order)) < SAME_CATEGORY_SHARE
        category = np.where(stays, category[leading][order], category)
        product = goods.choose(market, draw, department[order], category, style[order])
        unit = shelf.take(product, _midnight(day))
        # What is out of stock comes to the shelf in the night before it is sold.
        hurried = unit < 0
        short = int(hurried.sum())
        unit[hurried] = units + np.arange(short)
        draw = stream(plan.seed, SHOP, "stock", day)
        wanted = int(draw.poisson(pace.of(ORDERS * ARRIVALS_AN_ORDER, day)))
        sums = market.pulls
        found = np.searchsorted(sums, draw.random(wanted) * sums[-1], side="right") - 1
        arrived = goods.order[np.clip(found, 0, goods.count - 1)]
        since = _midnight(day) + np.sort((6 + 12 * draw.random(wanted)) * 3600 * _SECOND).astype(np.int64)
        shelf.put(arrived, units + short + np.arange(wanted), since)
        new = np.r_[product[hurried], arrived]
        note(
            item_order=orders_until[-1] + order,
            item_product=product,
            item_unit=unit,
            item_price=market.asked[product],
            unit_product=new,
            unit_created=np.r_[np.full(short, _midnight(day)), since],
            unit_price=market.listed[new],
        )
        items, units = items + len(order), units + len(new)
        users_until.append(users_until[-1] + came)
        orders_until.append(orders_until[-1] + count)
    joined: dict[str, Any] = {name: np.concatenate(values) for name, values in parts.items()}
    sold = np.full(units, _NEVER, dtype=np.int64)
    sold[joined["item_unit"]] = joined["created"][joined["item_order"]]
    return _Books(users_until=np.array(users_until), orders_until=np.array(orders_until), unit_sold=sold, **joined)


_OUTCOME = Choice(list(STATUS_SHARES.values()))


def _course(draw: np.random.Generator, created: Ints) -> dict[str, NDArray[Any]]:
    """When each order is shipped, delivered, returned or cancelled; many stay where they are for ever."""
    count = len(created)
    outcome = _OUTCOME.draw(draw, count)

    def after(instants: Ints, low: float, high: float) -> Ints:
        return instants + ((low + (high - low) * draw.random(count)) * _DAY).astype(np.int64)

    shipped = after(created, 0.2, 3.0)
    delivered = after(shipped, 0.5, 5.0)
    returned = after(delivered, 1.0, 28.0)
    late = draw.random(count) < 0.03
    returned = np.where(late, after(delivered, 60.0, 75.0), returned)
    cancelled = after(created, 0.05, 3.0)
    goes_out = (outcome == _SHIPPED) | (outcome == _COMPLETE) | (outcome == _RETURNED)
    return {
        "shipped": np.where(goes_out, shipped, _NEVER),
        "delivered": np.where(goes_out & (outcome != _SHIPPED), delivered, _NEVER),
        "returned": np.where(outcome == _RETURNED, returned, _NEVER),
        "cancelled": np.where(outcome == _CANCELLED, cancelled, _NEVER),
    }


class _Events(NamedTuple):
    """The events of the sessions that begin on one day or more. Users are indexes, -1 for visitors."""

    id: Ints
    user: Ints
    sequence: Ints
    session: Ints  # number among these sessions
    created: Ints
    lands: Ints
    kind: Ints
    product: Ints  # -1 where the page shows none
    token: NDArray[np.uint8]  # 16 bytes for each session
    address: NDArray[np.uint8]  # 4 bytes for each session
    browser: Ints  # for each session
    source: Ints  # for each session
    resident: Ints  # for each session: the user's index, or a number below 0 of the visitor


def _sessions(plan: Plan, pace: _Pace, goods: _Assortment, people: _People, books: _Books, day: date) -> _Events:
    """All events of the sessions of a day, and so some of the morning after."""
    number = (day - plan.start).days
    first, last = int(books.orders_until[number]), int(books.orders_until[number + 1])
    buyers = last - first
    market = goods.market(day)
    draw = stream(plan.seed, SHOP, "sessions", day)
    guests = int(draw.poisson(pace.of(ORDERS * VISITS_AN_ORDER, day) * market.demand))
    total = buyers + guests
    size = books.size[first:last]
    buys = np.arange(total) < buyers

    # Tastes: a buyer's own, a visitor's by chance.
    buyer = books.user[first:last]
    group = np.r_[people.group(buyer, day, plan.drifts), draw.integers(0, GROUPS, guests)]
    style = np.r_[people.style(buyer), draw.integers(0, STYLES, guests)]
    items = slice(int(books.first_item[first]), int(books.first_item[first]) + int(size.sum())) if buyers else slice(0)
    bought = books.item_product[items]
    lead = goods.department[bought[np.cumsum(size) - size]] if buyers else np.zeros(0, dtype=np.int64)
    department = np.r_[lead, draw.integers(0, 2, guests)]

    # Visits of product pages: those before a purchase, then those of what is bought.
    looks = np.where(buys, draw.geometric(0.62, total) - 1, draw.geometric(0.72, total) - (draw.random(total) < 0.12))
    looks = np.minimum(looks, 8)
    lengths = looks + np.r_[size, np.zeros(guests, dtype=np.int64)]
    session = np.repeat(np.arange(total), lengths)
    visit = counting(lengths)
    category = goods.categories(market, draw.random(len(session)), group[session], department[session])
    starts = np.cumsum(lengths) - lengths
    stays = (draw.random(len(session)) < SAME_CATEGORY_SHARE) & (visit > 0)
    category = np.where(stays, category[starts[session]], category)
    product = goods.choose(market, draw, department[session], category, style[session])
    carted = visit >= looks[session]
    product[carted] = bought
    carted |= ~buys[session] & (draw.random(len(session)) < 0.16)

    # Each visit has up to four events: department, product, the product again, cart.
    shown = np.stack(
        [
            draw.random(len(session)) < 0.45,
            np.ones(len(session), dtype=bool),
            draw.random(len(session)) < 0.12,
            carted,
        ],
        axis=1,
    )
    slots = np.array([_DEPARTMENT, _PRODUCT, _PRODUCT, _CART])
    key = (session * 64 + 1 + visit * 4)[:, None] + np.arange(4)
    has_cart = np.bincount(session[carted], minlength=total) > 0
    home = draw.random(total) < np.where(lengths == 0, 1.0, np.where(buys, 0.3, 0.1))
    leaves = ~buys & has_cart & (draw.random(total) < 0.9)
    numbers = np.arange(total)
    keys = np.r_[numbers[home] * 64, key[shown], numbers[buys | leaves] * 64 + 63]
    kinds = np.r_[
        np.full(int(home.sum()), _HOME),
        np.broadcast_to(slots, shown.shape)[shown],
        np.where(buys, _PURCHASE, _CANCEL)[buys | leaves],
    ]
    on_page = np.repeat(product[:, None], 4, axis=1)[shown]
    on_page = np.r_[np.full(int(home.sum()), -1), on_page, np.full(int((buys | leaves).sum()), -1)]
    order = np.argsort(keys, kind="stable")
    session, kind, on_page = keys[order] // 64, kinds[order], on_page[order]
    on_page = np.where((kind == _DEPARTMENT) | (kind == _PRODUCT), on_page, -1)
    events = np.bincount(session, minlength=total)
    sequence = counting(events) + 1

    # Time: gaps of about a minute; a buyer's events fill the time up to the purchase.
    begins = np.r_[books.started[first:last], _times(draw, day, guests)]
    early = draw.random(buyers) < EARLY_PURCHASE_SHARE
    seconds = np.where(early, -(1 + 89 * draw.random(buyers)), 4 * draw.random(buyers))
    purchase = books.created[first:last] + (seconds * _SECOND).astype(np.int64)
    gap = np.where(sequence == 1, 0.0, 2.0 + draw.exponential(55.0, len(session)))
    passed = np.cumsum(gap)
    ends = np.cumsum(events)
    passed -= passed[ends - events][session] if total else 0.0
    span = passed[ends - 1] if total else passed
    wanted = np.r_[(purchase - begins[:buyers]) / _SECOND, span[buyers:]]
    stretch = np.divide(wanted, span, out=np.zeros(total), where=span > 0)
    created = begins[session] + np.round(passed * stretch[session] * _SECOND).astype(np.int64)

    user = np.where(buys, np.r_[buyer, np.zeros(guests, dtype=np.int64)], -1)[session]
    late_login = np.where(draw.random(total) < LATE_LOGIN_SHARE, draw.integers(1, 4, total), 0)
    user = np.where((sequence <= late_login[session]) & (kind < _CART), -1, user)
    late = draw.random(len(session)) < LATE_SHARE
    lands = created + np.where(late, draw.integers(1, 3, len(session)) * _DAY, 0)
    by_time = np.argsort(created, kind="stable")
    ids = np.empty(len(session), dtype=np.int64)
    ids[by_time] = number * 1_000_000 + np.arange(1, len(session) + 1)
    visitors = -1 - number * 1_000_000 - np.arange(guests)
    return _Events(
        ids, user, sequence, session, created, lands, kind, on_page,
        draw.integers(0, 256, (total, 16), dtype=np.uint8),
        draw.integers(1, 255, (total, 4), dtype=np.uint8),
        Choice(_BROWSER_SHARES).draw(draw, total),
        Choice(_EVENT_SOURCE_SHARES).draw(draw, total),
        np.r_[buyer, visitors],
    )  # fmt: skip


def _joined(parts: Sequence[_Events]) -> _Events:
    sessions = np.cumsum([0, *(len(part.resident) for part in parts)])
    moved = [part._replace(session=part.session + int(first)) for part, first in zip(parts, sessions, strict=False)]
    return _Events(*(np.concatenate(columns) for columns in zip(*moved, strict=True)))


_PLACE = Choice([share for share, *_ in _PLACES])
_POSTAL_CODES = [
    [form.replace("#", "{}").format(*f"{code * 7919 % 100_000:05}") for code in range(64)] for *_, form, _, _ in _PLACES
]


def _taken(values: Sequence[Any], numbers: Ints) -> pa.Array:
    return pa.array(values).take(pa.array(numbers))


def _residence(people: _People, who: Ints) -> dict[str, pa.Array]:
    """City, state, country and postal code of users, or of visitors by numbers below 0."""
    place = _PLACE.pick(people.of("place", who))
    code = (people.of("postal code", who) * 64).astype(np.int64)
    cities = pa.array([city for _, _, _, city, *_ in _PLACES])
    lost = people.of("no city", who) < NO_CITY_SHARE
    return {
        "city": pc.if_else(pa.array(lost), "null", cities.take(pa.array(place))),
        "state": _taken([state for _, _, state, *_ in _PLACES], place),
        "country": _taken([country for _, country, *_ in _PLACES], place),
        "postal_code": _taken([code for codes in _POSTAL_CODES for code in codes], place * 64 + code),
    }


def _instants(values: Ints, at: int) -> pa.Array:
    """Instants, null where they are not before `at`."""
    return pa.array(values, pa.int64(), mask=values >= at).cast(_AT)


class _Pages:
    """Renders rows of the books as the public tables, as they are at an instant."""

    def __init__(self, goods: _Assortment, people: _People, books: _Books, at: int) -> None:
        self.goods, self.people, self.books, self.at = goods, people, books, at
        self._status = _taken(STATUSES, books.status(at))
        plain = ["/home", "/cart", "/purchase", "/cancel"]
        pages = [f"/product/{number}" for number in goods.ids.tolist()]
        self._uris = pa.array(plain + goods.uris + pages)

    def users(self, rows: Ints) -> pa.Table:
        people = self.people
        residence = _residence(people, rows)
        place = _PLACE.pick(people.of("place", rows))
        man = people.man(rows)
        names = [*_FIRST_NAMES["F"], *_FIRST_NAMES["M"]]
        count = len(_FIRST_NAMES["F"])
        first = _taken(names, man * count + (people.of("first name", rows) * count).astype(np.int64))
        last = _taken(_LAST_NAMES, (people.of("last name", rows) * len(_LAST_NAMES)).astype(np.int64))
        domains = _taken(["@example.com", "@example.org", "@example.net"], (people.of("mail", rows) * 3).astype(int))
        ids = pa.array(rows + 1)
        who = pc.utf8_lower(pc.binary_join_element_wise(first, last, ""))
        house = pa.array((1 + people.of("house", rows) * 9_999).astype(np.int64)).cast(_TEXT)
        street = _taken(_STREETS, (people.of("street", rows) * len(_STREETS)).astype(np.int64))
        north = np.array([place[-2] for place in _PLACES])[place] + 0.4 * (people.of("north", rows) - 0.5)
        east = np.array([place[-1] for place in _PLACES])[place] + 0.4 * (people.of("east", rows) - 0.5)
        columns = {
            **residence,
            "id": ids,
            "first_name": first,
            "last_name": last,
            "email": pc.binary_join_element_wise(who, ids.cast(_TEXT), domains, ""),
            "age": pa.array((12 + people.of("age", rows) * 59).astype(np.int64)),
            "gender": _taken(["F", "M"], man),
            "street_address": pc.binary_join_element_wise(house, street, " "),
            "latitude": np.round(north, 6),
            "longitude": np.round(east, 6),
            "traffic_source": _taken(_USER_SOURCES, Choice(_USER_SOURCE_SHARES).pick(people.of("source", rows))),
            "created_at": _instants(self.books.user_created[rows], _NEVER),
        }
        return _table("users", columns)

    def _course(self, orders: Ints) -> dict[str, pa.Array]:
        books = self.books
        return {
            "status": self._status.take(pa.array(orders)),
            "created_at": _instants(books.created[orders], _NEVER),
            "shipped_at": _instants(books.shipped[orders], self.at),
            "delivered_at": _instants(books.delivered[orders], self.at),
            "returned_at": _instants(books.returned[orders], self.at),
            "user_id": pa.array(books.user[orders] + 1),
            "order_id": pa.array(orders + 1),
        }

    def orders(self, rows: Ints) -> pa.Table:
        gender = _taken(["F", "M"], self.people.man(self.books.user[rows]))
        return _table(
            "orders", {**self._course(rows), "gender": gender, "num_of_item": pa.array(self.books.size[rows])}
        )

    def order_items(self, rows: Ints) -> pa.Table:
        books = self.books
        columns = {
            **self._course(books.item_order[rows]),
            "id": pa.array(rows + 1),
            "product_id": pa.array(books.item_product[rows] + 1),
            "inventory_item_id": pa.array(books.item_unit[rows] + 1),
            "sale_price": books.item_price[rows],
        }
        return _table("order_items", columns)

    def inventory_items(self, rows: Ints) -> pa.Table:
        books, goods = self.books, self.goods
        product = books.unit_product[rows]
        index = pa.array(product)
        columns = {
            "id": pa.array(rows + 1),
            "product_id": pa.array(product + 1),
            "created_at": _instants(books.unit_created[rows], _NEVER),
            "sold_at": _instants(books.unit_sold[rows], self.at),
            "cost": goods.cost[product],
            "product_category": _taken(list(CATEGORIES), goods.category[product]),
            "product_name": goods.names.take(index),
            "product_brand": goods.brands.take(index),
            "product_retail_price": books.unit_price[rows],
            "product_department": _taken(DEPARTMENTS, goods.department[product]),
            "product_sku": goods.skus.take(index),
            "product_distribution_center_id": pa.array(goods.center[product]),
        }
        return _table("inventory_items", columns)

    def products(self, day: date) -> pa.Table:
        goods = self.goods
        columns = {
            "id": pa.array(goods.ids),
            "cost": goods.cost,
            "category": _taken(list(CATEGORIES), goods.category),
            "name": goods.names,
            "brand": goods.brands,
            "retail_price": goods.listed(day),
            "department": _taken(DEPARTMENTS, goods.department),
            "sku": goods.skus,
            "distribution_center_id": pa.array(goods.center),
        }
        return _table("products", columns)

    def events(self, events: _Events, rows: NDArray[np.bool_]) -> pa.Table:
        session = events.session[rows]
        which = pa.array(session)
        kind, product = events.kind[rows], events.product[rows]
        page = np.array([0, 0, 0, 1, 2, 3])[kind]
        page = np.where(kind == _DEPARTMENT, 4 + product, page)
        page = np.where(kind == _PRODUCT, 4 + self.goods.count + product, page)
        user = events.user[rows]
        residence = _residence(self.people, events.resident)
        octets = [pa.array(events.address[:, place].astype(np.int64)).cast(_TEXT) for place in range(4)]
        columns = {
            "id": pa.array(events.id[rows]),
            "user_id": pa.array(user + 1, mask=user < 0),
            "sequence_number": pa.array(events.sequence[rows]),
            "session_id": _uuids(events.token).take(which),
            "created_at": _instants(events.created[rows], _NEVER),
            "ip_address": pc.binary_join_element_wise(*octets, ".").take(which),
            **{name: residence[name].take(which) for name in ("city", "state", "postal_code")},
            "browser": _taken(_BROWSERS, events.browser[session]),
            "traffic_source": _taken(_EVENT_SOURCES, events.source[session]),
            "uri": self._uris.take(pa.array(page)),
            "event_type": _taken(EVENT_TYPES, kind),
        }
        return _table("events", columns)


def _table(name: str, columns: dict[str, Any]) -> pa.Table:
    schema = SCHEMAS[name]
    return pa.table({field.name: columns[field.name] for field in schema}, schema=schema)


class _Folder:
    """Writes the table files of a shop that came or changed between two instants."""

    def __init__(self, folder: Path, plan: Plan, after: date | None, say: Say) -> None:
        self.folder, self.plan, self.say = folder, plan, say
        self.since = _midnight(after + timedelta(days=1)) if after else 0
        self.at = _midnight(plan.until + timedelta(days=1))
        self.written: list[Written] = []

    def add(self, table: str, name: str, rows: pa.Table) -> None:
        path = self.folder / table / f"{name}.parquet"
        with parquet_file(path, SCHEMAS[table]) as append:
            append(rows)
        self.written.append(Written(table, path, rows.num_rows))

    def by_month(self, table: str, created: Ints, changes: Sequence[Ints], render: Callable[[Ints], pa.Table]) -> None:
        """Write the months of `created` in which a row came, or one of `changes` happened, since the last time."""
        touched = np.zeros(len(created), dtype=bool)
        for instants in (created, *changes):
            touched |= (instants >= self.since) & (instants < self.at)
        there = created < self.at
        month = (created // _SECOND).astype("datetime64[s]").astype("datetime64[M]")
        for value in np.unique(month[touched & there]):
            self.add(table, str(value), render(np.flatnonzero((month == value) & there)))


def write(folder: Path, truth: Path, plan: Plan, after: date | None, say: Say) -> list[Written]:
    """Write the shop as it is at the end of `plan.until`; see `simulator.plan.Writer`.

    Every file with a row that came or changed after `after` is written anew, whole. Raises ValueError for a plan that
    cannot be.
    """
    check_plan(SHOP, plan, after, DRIFTS)
    if after == plan.until:
        return []
    goods, people = _Assortment(plan), _People(plan.seed)
    books = _keep_books(plan, goods, people)
    out = _Folder(folder, plan, after, say)
    pages = _Pages(goods, people, books, out.at)
    course = (books.shipped, books.delivered, books.returned, books.cancelled)
    out.by_month("users", books.user_created, (), pages.users)
    out.by_month("orders", books.created, course, pages.orders)
    line = books.item_order
    out.by_month("order_items", books.created[line], [instants[line] for instants in course], pages.order_items)
    out.by_month("inventory_items", books.unit_created, (books.unit_sold,), pages.inventory_items)
    if after is None or not np.array_equal(goods.listed(after), goods.listed(plan.until)):
        out.add("products", "products", pages.products(plan.until))
    if after is None:
        names, north, east = zip(*_CENTERS, strict=True)
        centers = {"id": range(1, len(_CENTERS) + 1), "name": names, "latitude": north, "longitude": east}
        out.add("distribution_centers", "distribution_centers", _table("distribution_centers", centers))
    _write_events(out, pages, plan, after)
    _write_truth(truth, plan, goods, people, books)
    return out.written


def _write_events(out: _Folder, pages: _Pages, plan: Plan, after: date | None) -> None:
    # An event lands at most two days late, in a session that began at most a day before it.
    pace = _Pace(plan)
    month = _month_of(max(plan.start, after - timedelta(days=3)) if after else plan.start)
    while month <= plan.until:
        begins, ends = _midnight(month), _midnight(_next_month(month))
        parts = []
        for day in days(max(plan.start, month - timedelta(days=1)), min(plan.until, _next_month(month) - timedelta(1))):
            parts.append(_sessions(plan, pace, pages.goods, pages.people, pages.books, day))
        events = _joined(parts)
        rows = (events.created >= begins) & (events.created < ends) & (events.lands < out.at)
        if (events.lands[rows] >= out.since).any():
            table = pages.events(events, rows)
            out.add("events", f"{month:%Y-%m}", table)
            out.say(f"{SHOP}: {table.num_rows:,} events of {month:%Y-%m}")
        month = _next_month(month)


def _write_truth(truth: Path, plan: Plan, goods: _Assortment, people: _People, books: _Books) -> None:
    def save(name: str, columns: dict[str, Any]) -> None:
        table = pa.table(columns)
        with parquet_file(truth / f"{name}.parquet", table.schema) as append:
            append(table)

    users = np.arange(len(books.user_created), dtype=np.int64)
    save(
        "users",
        {
            "user_id": users + 1,
            "taste_group": taste_groups(plan.seed, SHOP, users, GROUPS),
            "style": people.style(users),
            "segment": _taken(list(SEGMENTS), people.segment(users)),
        },
    )
    save(
        "products",
        {
            "product_id": goods.ids,
            "category": _taken(list(CATEGORIES), goods.category),
            "style": goods.style,
            "popularity": goods.popularity,
            "usual_price": goods.usual,
        },
    )
    numbers = np.arange(len(CATEGORIES))
    elasticities = [value for *_, value in CATEGORIES.values()]
    save("categories", {"category": list(CATEGORIES), "taste_group": numbers % GROUPS, "elasticity": elasticities})
    months = sorted({_month_of(day) for day in days(plan.start, plan.until)})
    promotions = [promotion_of_month(plan.seed, SHOP, month, len(CATEGORIES)) for month in months]
    world = {
        "weekdays": WEEKDAYS,
        "months": MONTHS,
        "trend": TREND,
        "status_shares": STATUS_SHARES,
        "late_share": LATE_SHARE,
        "promotions": [
            {
                "first": promotion.first.isoformat(),
                "last": promotion.last.isoformat(),
                "cut": promotion.cut,
                "categories": [list(CATEGORIES)[number] for number in promotion.categories],
            }
            for promotion in promotions
        ],
        "drifts": [{"kind": drift.kind, "start": drift.start.isoformat()} for drift in plan.drifts],
    }
    with whole(truth / "world.json") as part:
        part.write_text(json.dumps(world, indent=1))
    write_queries(truth, _searches(plan.seed, goods))


def _searches(seed: int, goods: _Assortment) -> Iterator[Asked]:
    """Searches made of products drawn at random. Those without a name are neither drawn nor judged."""
    draw = Random(f"{SHOP}/{seed}/queries")
    named = np.ones(goods.count, dtype=bool)
    named[goods.nameless] = False
    candidates = np.flatnonzero(named)
    categories = list(CATEGORIES)

    def a_product() -> int:
        return int(candidates[int(draw.random() * len(candidates))])

    def answers(grade: Ints) -> Mapping[str, int]:
        there = np.flatnonzero((grade > 0) & named)
        return {str(goods.ids[at]): int(grade[at]) for at in there}

    def judged(at: int, same: NDArray[np.bool_]) -> Mapping[str, int]:
        """Answers to a search for a product's noun, department and a property that `same` products share with it."""
        category = goods.category == goods.category[at]
        noun = category & (goods.noun == goods.noun[at])
        own = goods.department == goods.department[at]
        near = same & (noun | (category & own))
        return answers(np.select([noun & own & same, noun & own, near], [EXACT, FITS, NEAR], 0))

    def noun_of(at: int) -> str:
        return CATEGORIES[categories[goods.category[at]]][0][goods.noun[at]]

    def in_words(is_by_brand: bool) -> tuple[str, str, Mapping[str, int]]:
        """A search, the noun in it, and its answers."""
        at = a_product()
        noun = noun_of(at).lower()
        number, words = (goods.brand, _BRANDS) if is_by_brand else (goods.adjective, _ADJECTIVES)
        text = f"{words[number[at]]} {noun} {DEPARTMENTS[goods.department[at]]}".lower()
        return text, noun, judged(at, number == number[at])

    for number in range(QUERIES):
        text, _, grades = in_words(number % 2 == 1)
        yield Asked(text, WORDS, grades)
    for number in range(QUERIES):
        text, noun, grades = in_words(number // 2 % 2 == 1)
        broken = misspelt(draw, text) if number % 2 else text.replace(noun, other_number(noun))
        yield Asked(broken, BROKEN, grades)
    for need, meet, would_do in _NEEDS:
        of = np.isin(goods.category, [categories.index(name) for name in meet])
        near = np.isin(goods.category, [categories.index(name) for name in would_do])
        who = int(draw.random() * 2)
        own = goods.department == who
        yield Asked(
            f"{need} {_PLAIN_DEPARTMENTS[who]}",
            PLAIN,
            answers(np.select([of & own, near & own], [EXACT, NEAR], 0)),
        )
    for _ in range(QUERIES - len(_NEEDS)):
        at = a_product()
        text = f"{_PLAIN_NOUNS[noun_of(at)]}, {_PLAIN_ADJECTIVES[_ADJECTIVES[goods.adjective[at]]]}"
        department = _PLAIN_DEPARTMENTS[goods.department[at]]
        yield Asked(f"{text}, {department}", PLAIN, judged(at, goods.adjective == goods.adjective[at]))
