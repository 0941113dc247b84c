"""The simulated Online Retail shop: a seeded generator of invoice lines shaped like UCI's sheet, and its file writers.

`rows` makes a given number of lines over a given span. `write` makes a shop that grows day by day: its assortment,
customers and volume per day follow from the scale alone, so that a day is the same however far the simulation runs.

One row is one line of an invoice, with the eight columns of the sheet (`COLUMNS`). No row, product name or product code
of the real sheet is in here: only its proportions, faults, service codes and countries. The default is its own span,
thirteen months, in 6,000 lines.

What is planted, for tests to find again (`truth` gives the values of one seed):

- Volume per day = weekday x season x trend x noise of +-12 %. Thursday is the peak, Sunday weak; Saturdays and
  24 December to 3 January are closed. Rise from September to November; trend +20 % a year of the volume at the start.
- Customers in four segments: `wholesaler` (often, long baskets, dozens of a product), `loyal` (often), `occasional`
  (two or three times) and `one_off` (once). `SEGMENTS` has the figures.
- Popularity of products falls as 1 / (10 + rank), rank from 1. Each product is of one category, which a word of its
  name implies (`CATEGORIES`); six of ten lines of a known customer come from that customer's three favourite
  categories. Christmas goods sell from September to December, garden goods from March to July.
- The faults of the real sheet at its shares (`SHARES`), at least a few of each from 3,000 lines on: cancellations,
  missing customers, duplicates, service lines, odd and lower-case codes, zero prices, write-offs, bad debt, missing
  or varying descriptions, blanks, commas and quotes in them, one price of three decimals, two orders of some 75,000
  pieces that are cancelled within the hour, customers in two countries, invoices over two minutes.

In a shop that grows there are also, with the truth in `truth.json` (see `write`):

- Promotions, one a month: three to five days on which four of the twelve categories cost 15 to 30 % less. Lines of a
  category with a price cut by the share c are (1 - c) ** -e times as many, e as in `PRICE_SENSITIVITY`.
- Customers who lapse: after a year the oldest no longer come, and new ones take their place.
- Late invoices: one of 200 reaches the source one to three days after its date (`LATE_SHARE`).
- Drift of `DRIFTS`: tastes (each favourite category becomes another), prices (+25 % on four products of ten), volume.

`queries.csv` has searches with judgements by noun, colour, motif and category of the products that were sold.

Sizes: with fewer than 1,700 lines a day baskets are shorter than the real ones (a third at 20 a day), so that a small
sheet still has hundreds of invoices. Memory holds one day, a sample of 1,000 past invoices and the customers.

Determinism: only `random.Random.random`, seeded by text, and plain arithmetic are used. Python promises that sequence
for all versions, which numpy does not for its distributions: promotions alone use one, and `rows` has none. Floats are
summed by `math.fsum` or `accumulate`, as the built-in `sum` rounds otherwise from Python 3.12 on.
"""

from __future__ import annotations

import csv
import gzip
import heapq
import io
import json
import math
import sys
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import accumulate, chain, groupby
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import xlsxwriter

from simulator.plan import (
    BROKEN,
    EXACT,
    FITS,
    NEAR,
    PLAIN,
    QUERIES,
    WORDS,
    Asked,
    Drift,
    Plan,
    Say,
    Written,
    misspelt,
    other_number,
    write_queries,
)
from simulator.world import (
    PRICE_SHIFT,
    check_drifts,
    days,
    drifted,
    price_shift,
    promotion_of_month,
    promotion_on,
    volume,
    whole,
)

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")

Row = tuple[str, str, str | None, int, datetime, Decimal, str | None, str]
_Item = tuple[str, str | None, int, Decimal]  # stock code, description, quantity, unit price
_Draw = Callable[[], float]

START, END = date(2010, 12, 1), date(2011, 12, 9)
PUBLIC_DAYS, PUBLIC_LINES = 373, 541_909
DRIFTS = ("tastes", "prices", "volume")
LATE_SHARE = 0.005  # of the invoices, in a shop that grows
FULL_DAY = 1_700.0  # lines a day at which baskets are as long as the real ones
MAX_SHEET_LINES = 1_048_575  # what one xlsx sheet holds below its header

WEEKDAYS = (1.0, 1.1, 1.0, 1.3, 0.85, 0.0, 0.65)  # Monday first
MONTHS = (0.85, 0.80, 0.85, 0.85, 0.90, 0.90, 0.90, 0.90, 1.20, 1.45, 2.00, 1.50)  # at mid-month, January first
TREND = 0.20  # a year, of the volume at the start
_OPENING = (2, 3, 62, 182, 296, 316, 396, 337, 314, 307, 195, 120, 33, 22, 3)  # invoices per hour from 6 to 20


class Segment(NamedTuple):
    """One kind of customer: share of customers, mean invoices in 13 months, mean lines a basket, usual quantities."""

    share: float
    invoices: float
    basket: float
    quantities: tuple[int, ...]


SEGMENTS = {
    "wholesaler": Segment(0.03, 22.0, 34.0, (6, 12, 12, 12, 24, 24, 24, 24, 36, 48, 48, 72, 96, 144)),
    "loyal": Segment(0.18, 10.0, 22.0, (1, 2, 2, 3, 4, 4, 6, 6, 6, 8, 10, 12, 12, 12, 12, 24, 24)),
    "occasional": Segment(0.45, 2.8, 18.0, (1, 1, 1, 2, 2, 2, 3, 4, 4, 5, 6, 6, 8, 10, 12, 12)),
    "one_off": Segment(0.34, 1.0, 13.0, (1, 1, 1, 1, 2, 2, 2, 3, 4, 6, 6, 12)),
}
_WEB_QUANTITIES = (1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 8, 10, 24)
_BASKET_SHAPE = (0.05, 0.15, 0.28, 0.42, 0.58, 0.77, 1.0, 1.28, 1.65, 2.3, 4.6)  # deciles over the mean

# Share of all lines, as in the real sheet, and the least number to plant in 3,000 lines.
SHARES: dict[str, tuple[float, int]] = {
    "cancellation": (0.01714, 30),
    "duplicate": (0.00990, 20),
    "lower_case_code": (0.00358, 5),
    "write_off": (0.00247, 5),
    "found_stock": (0.00137, 4),
    "free_line": (0.00105, 3),
    "POST": (0.00208, 5),
    "DOT": (0.00131, 3),
    "M": (0.00060, 3),
    "M cancelled": (0.00045, 3),
    "C2": (0.00026, 3),
    "D": (0.00014, 3),
    "S": (0.00012, 3),
    "BANK CHARGES": (0.00007, 4),
    "AMAZONFEE": (0.00006, 3),
    "CRUK": (0.00003, 3),
    "gift": (0.00006, 5),
    "party_bag": (0.00006, 4),
    "two_minutes": (0.00008, 3),
    "two_countries": (0.00002, 3),
}
NO_CUSTOMER_SHARE = 0.2493
FOREIGN_SHARE = 0.086
# What happens a fixed number of times, at these shares of the lines.
_ONCE = ((0.13, "huge"), (0.31, "three_decimals"), (0.66, "bad_debt"), (0.96, "huge"))
_SERVICE_CANCELLATIONS = ("M cancelled", "D", "S", "BANK CHARGES", "AMAZONFEE", "CRUK")
# Planted into an ordinary invoice; the rest are invoices of their own.
_IN_OTHERS = frozenset(
    {
        *("duplicate", "lower_case_code", "free_line", "two_minutes", "three_decimals"),
        *("POST", "DOT", "M", "C2", "gift", "party_bag"),
    }
)

# About the numbers of customers in the real sheet.
_COUNTRIES = {
    "Germany": 95, "France": 87, "Spain": 31, "Belgium": 25, "Switzerland": 21, "Portugal": 19, "Italy": 15,
    "Finland": 12, "Austria": 11, "Norway": 10, "Netherlands": 9, "Australia": 9, "Channel Islands": 9, "Denmark": 9,
    "Cyprus": 8, "Sweden": 8, "Japan": 8, "Poland": 6, "EIRE": 30, "Unspecified": 4, "Greece": 4, "Israel": 4,
    "USA": 4, "Canada": 4, "Hong Kong": 2, "Malta": 2, "Bahrain": 2, "United Arab Emirates": 2, "Singapore": 1,
    "Iceland": 1, "Lebanon": 1, "Lithuania": 1, "RSA": 1, "Brazil": 1, "Czech Republic": 1, "European Community": 1,
    "Saudi Arabia": 1,
}  # fmt: skip
_HOME = "United Kingdom"

# A category's nouns are in no other category.
CATEGORIES: dict[str, tuple[str, ...]] = {
    "lighting": ("LANTERN", "TEALIGHT GLASS", "CANDLE POT", "FAIRY LIGHTS", "TABLE LAMP", "CANDLESTICK", "NIGHT LIGHT"),
    "kitchen": ("MUG", "CAKE STAND", "MIXING BOWL", "JAM JAR", "TEAPOT", "EGG CUP", "BISCUIT BARREL", "BREAD CROCK"),
    "bags": ("SHOPPER BAG", "LUNCH BAG", "TOTE BAG", "WASH BAG", "RUCKSACK", "PURSE", "PICNIC BAG"),
    "christmas": ("BAUBLE", "ADVENT GARLAND", "FESTIVE WREATH", "STOCKING", "SNOW GLOBE", "SLEIGH BELL", "REINDEER"),
    "garden": ("PLANTER", "WATERING CAN", "BIRD TABLE", "SEED TRAY", "TROWEL", "WINDMILL", "GARDEN STAKE"),
    "stationery": ("NOTEBOOK", "GREETINGS CARD", "PENCIL CASE", "GIFT TAG", "WRAPPING SHEET", "STICKERS", "ERASER"),
    "toys": ("SKIPPING ROPE", "RAG DOLL", "JIGSAW", "SPINNING TOP", "YO-YO", "GLOVE PUPPET", "BUILDING BLOCKS"),
    "jewellery": ("NECKLACE", "BRACELET", "EARRINGS", "BROOCH", "TRINKET DISH", "BANGLE", "KEYRING CHARM"),
    "textiles": ("CUSHION", "DOORMAT", "QUILT", "TEA TOWEL", "APRON", "OVEN GLOVE", "HOT BOTTLE COVER"),
    "party": ("BUNTING", "PAPER NAPKINS", "PARTY HORN", "PAPER CUPS", "BALLOONS", "CAKE CASES", "STRAWS"),
    "storage": ("DRAWER CHEST", "TRUNK", "WIRE BASKET", "COAT HOOK", "HAT BOX", "SHOE RACK", "CRATE"),
    "wall": ("METAL PLAQUE", "WALL CLOCK", "PHOTO FRAME", "CHALKBOARD", "HANGING MIRROR", "DOOR KNOB", "THERMOMETER"),
}  # fmt: skip
_SEASONAL = {
    "christmas": (0.1, 0.1, 0.1, 0.1, 0.1, 0.2, 0.4, 0.8, 2.0, 3.5, 5.0, 4.0),
    "garden": (0.3, 0.6, 1.8, 2.5, 2.8, 2.4, 1.8, 1.0, 0.6, 0.3, 0.2, 0.2),
}
# Elasticity of the number of lines, in a shop that grows.
PRICE_SENSITIVITY = {
    "lighting": 1.6, "kitchen": 1.2, "bags": 2.2, "christmas": 1.0, "garden": 1.4, "stationery": 0.6, "toys": 2.0,
    "jewellery": 2.6, "textiles": 1.6, "party": 0.8, "storage": 1.8, "wall": 2.4,
}  # fmt: skip
# Where a customer's favourites go with the drift `tastes`.
_MOVED = dict(zip(CATEGORIES, (*list(CATEGORIES)[6:], *list(CATEGORIES)[:6]), strict=True))
_FAVOURITE_LINES = 0.45  # of all lines: 0.6 of those of known customers
_COLOURS = (
    "CORAL", "OATMEAL", "TEAL", "MUSTARD", "DUCK EGG", "PLUM", "CHARCOAL", "SAGE", "LILAC", "BRICK", "NAVY", "MINT",
)  # fmt: skip
_MOTIFS = (
    "BRAMBLE", "HARE", "FOXGLOVE", "SKYLARK", "HARBOUR", "PADDOCK", "THISTLE", "OTTER", "GINGHAM", "REGATTA", "BUMBLE",
    "WILLOWHERB", "CAROUSEL", "LIGHTHOUSE", "ACORN", "PUFFIN", "HEDGEROW", "KITE", "CLOVER", "TARTAN", "PEONY",
    "MAGPIE", "FERN", "BADGER", "SEASHELL", "DAMSON",
)  # fmt: skip
# What people search for who do not know the shop's words: none of these is in the names that they stand for.
_PLAIN_NOUNS: dict[str, str] = {
    "LANTERN": "portable lamp for the porch", "TEALIGHT GLASS": "little vessel for a candle",
    "CANDLE POT": "wax with a wick in a tub", "FAIRY LIGHTS": "string of tiny bulbs", "TABLE LAMP": "desk light",
    "CANDLESTICK": "holder for tapers", "NIGHT LIGHT": "dim glow for a child's bedroom",
    "MUG": "big cup for coffee", "CAKE STAND": "tiered plate for pastries", "MIXING BOWL": "basin to stir dough in",
    "JAM JAR": "pot for preserves", "TEAPOT": "jug to brew a cuppa", "EGG CUP": "breakfast holder for a boiled one",
    "BISCUIT BARREL": "cookie tin", "BREAD CROCK": "bin for loaves",
    "SHOPPER BAG": "carrier for groceries", "LUNCH BAG": "cool carrier for sandwiches", "TOTE BAG": "shoulder carrier",
    "WASH BAG": "toiletries pouch", "RUCKSACK": "backpack", "PURSE": "wallet for coins",
    "PICNIC BAG": "insulated carrier for a meal outdoors",
    "BAUBLE": "ball for the xmas tree", "ADVENT GARLAND": "december chain of greenery",
    "FESTIVE WREATH": "ring of fir for the front door at xmas", "STOCKING": "long sock for santa",
    "SNOW GLOBE": "shaken ball with flakes", "SLEIGH BELL": "santa's jingle", "REINDEER": "rudolph figure",
    "PLANTER": "flower pot", "WATERING CAN": "sprinkler to carry to the beds",
    "BIRD TABLE": "feeder for robins and tits", "SEED TRAY": "pan for sowing", "TROWEL": "little hand shovel",
    "WINDMILL": "toy that spins in a breeze", "GARDEN STAKE": "support stick for tomatoes",
    "NOTEBOOK": "writing pad", "GREETINGS CARD": "birthday wishes in an envelope", "PENCIL CASE": "pouch for pens",
    "GIFT TAG": "label for a present", "WRAPPING SHEET": "paper for presents", "STICKERS": "adhesive pictures",
    "ERASER": "rubber",
    "SKIPPING ROPE": "jump cord", "RAG DOLL": "soft cloth figure for girls", "JIGSAW": "puzzle of many pieces",
    "SPINNING TOP": "toy that twirls on its tip", "YO-YO": "toy that runs up and down a string",
    "GLOVE PUPPET": "hand theatre figure", "BUILDING BLOCKS": "wooden bricks for toddlers",
    "NECKLACE": "pendant on a chain", "BRACELET": "beads for the wrist", "EARRINGS": "ear studs",
    "BROOCH": "pin to wear",
    "TRINKET DISH": "saucer for rings", "BANGLE": "stiff hoop for the wrist", "KEYRING CHARM": "fob for keys",
    "CUSHION": "pillow for the sofa", "DOORMAT": "rug to wipe shoes on", "QUILT": "padded bedspread",
    "TEA TOWEL": "cloth to dry dishes", "APRON": "pinafore for cooks", "OVEN GLOVE": "mitt for hot pans",
    "HOT BOTTLE COVER": "cosy sleeve for a bed warmer",
    "BUNTING": "string of pennants", "PAPER NAPKINS": "disposable serviettes", "PARTY HORN": "noisy blower",
    "PAPER CUPS": "disposable beakers", "BALLOONS": "inflatable decoration", "CAKE CASES": "muffin liners",
    "STRAWS": "tubes for drinking",
    "DRAWER CHEST": "cabinet with compartments", "TRUNK": "big travel chest", "WIRE BASKET": "metal mesh container",
    "COAT HOOK": "peg for jackets", "HAT BOX": "round carton for headwear", "SHOE RACK": "shelf for footwear",
    "CRATE": "slatted wooden container",
    "METAL PLAQUE": "tin sign", "WALL CLOCK": "timepiece to hang", "PHOTO FRAME": "border for a picture",
    "CHALKBOARD": "slate to write on", "HANGING MIRROR": "looking glass", "DOOR KNOB": "handle to pull",
    "THERMOMETER": "temperature gauge",
}  # fmt: skip
_PLAIN_COLOURS: dict[str, str] = {
    "CORAL": "pinkish orange", "OATMEAL": "beige", "TEAL": "bluish green", "MUSTARD": "dark yellow",
    "DUCK EGG": "pale blue", "PLUM": "dark purple", "CHARCOAL": "nearly black", "SAGE": "greyish green",
    "LILAC": "pale violet", "BRICK": "reddish brown", "NAVY": "dark blue", "MINT": "light green",
}  # fmt: skip
_PLAIN_MOTIFS: dict[str, str] = {
    "BRAMBLE": "blackberries", "HARE": "long-eared animal", "FOXGLOVE": "poisonous bell flowers",
    "SKYLARK": "songbird", "HARBOUR": "ships at the quay", "PADDOCK": "ponies in a field", "THISTLE": "prickly flower",
    "OTTER": "river animal", "GINGHAM": "little squares", "REGATTA": "sailing race", "BUMBLE": "bees",
    "WILLOWHERB": "fireweed", "CAROUSEL": "merry-go-round", "LIGHTHOUSE": "beacon on the cliff", "ACORN": "oak nut",
    "PUFFIN": "seabird", "HEDGEROW": "country lane", "KITE": "bird of prey", "CLOVER": "lucky leaf",
    "TARTAN": "scottish plaid", "PEONY": "showy bloom of the border",
    "MAGPIE": "black and white bird", "FERN": "fronds",
    "BADGER": "striped animal of the woods", "SEASHELL": "beach finds", "DAMSON": "fruit of the orchard",
}  # fmt: skip
# A need for each category.
_NEEDS: dict[str, str] = {
    "lighting": "brighten a dark room", "kitchen": "for baking and breakfast at home",
    "bags": "something to carry my things in", "christmas": "december decoration for the tree and fireplace",
    "garden": "for somebody who grows plants outdoors", "stationery": "for writing letters and schoolwork",
    "toys": "keep little ones busy", "jewellery": "something sparkling to wear",
    "textiles": "soft furnishings made of cloth", "party": "supplies for a child's birthday celebration",
    "storage": "put the clutter away", "wall": "decorate an empty hallway",
}  # fmt: skip
_SIZES = ("", "", "", "SMALL ", "LARGE ", "MINI ", "SET OF 3 ", "SET OF 6 ", "PACK OF 12 ", "BOX OF 4 ")
_PENCE = (
    29, 39, 42, 55, 65, 85, 85, 125, 125, 125, 145, 165, 165, 195, 210, 255, 295, 295, 375, 425, 495, 595, 675, 795,
    850, 995, 1275, 1495, 1795,
)  # fmt: skip
_CHEAPEST = {"stationery": 0, "party": 0, "christmas": 3, "toys": 5, "textiles": 11, "storage": 13, "wall": 9}
_WRITE_OFF_NOTES = (
    "damages", "damaged", "?", "lost", "check", "thrown away", "??", "Damaged", "missing", "wet", "faulty",
)  # fmt: skip
_FOUND_NOTES = ("found", "check", "adjustment", "Found", "amazon", "?")
_LETTERS = "ABCDEF"
_ZERO, _PENNY = Decimal("0.00"), Decimal("0.01")
_DEARER = Decimal(str(PRICE_SHIFT))


class _Look(NamedTuple):
    """What a product's name is made of; an empty text is left out of it."""

    size: str
    colour: str
    motif: str
    noun: str

    @property
    def name(self) -> str:
        return self.size + " ".join(word for word in self[1:] if word)


class _Product(NamedTuple):
    code: str
    name: str
    other_name: str | None  # a second spelling, for one product in six
    rename_at: float  # share of the span after which the second spelling holds; infinite: used now and then
    price: Decimal
    bulk_price: Decimal
    web_price: Decimal
    divisor: int  # dear goods are bought in smaller numbers
    category: str
    look: _Look


class _Customer(NamedTuple):
    id: str
    segment: str
    country: str
    favourites: tuple[str, ...]


class _Invoice(NamedTuple):
    minute: int  # of the day
    order: int
    prefix: str  # "", "C" or "A"
    customer: str | None
    country: str
    items: list[_Item]
    split: int  # number of the line from which the next minute holds; 0: none


class _Table:
    """Draws an index by weight; `upto` restricts the draw to the first entries, `after` leaves so many of them out."""

    def __init__(self, weights: Iterable[float]) -> None:
        self.sums = list(accumulate(weights))

    def extend(self, weights: Iterable[float]) -> None:
        self.sums += list(accumulate(weights, initial=self.sums.pop()))

    def draw(self, u: float, upto: int | None = None, after: int = 0) -> int:
        last = (len(self.sums) if upto is None else upto) - 1
        low = self.sums[after - 1] if after else 0.0
        return min(bisect(self.sums, low + u * (self.sums[last] - low)), last)


def _money(pence: int) -> Decimal:
    return Decimal(pence).scaleb(-2)


def _check(seed: int, lines: int, start: date, end: date) -> None:
    for name, value in (("seed", seed), ("lines", lines)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{name} must be an int, not {value!r}")
    for name, day in (("start", start), ("end", end)):
        if isinstance(day, datetime) or not isinstance(day, date):
            raise ValueError(f"{name} must be a date, not {day!r}")
    if lines < 1:
        raise ValueError(f"lines must be at least 1, not {lines}")
    if end < start:
        raise ValueError(f"end ({end}) is before start ({start})")


def _is_open(day: date) -> bool:
    return WEEKDAYS[day.weekday()] > 0 and (1, 3) < (day.month, day.day) < (12, 24)


def _season(day: date) -> float:
    """The yearly factor: straight lines between the values at mid-month."""
    position = (day.month - 1 + (day.day - 15.5) / 31.0) % 12.0
    low = int(position)
    share = position - low
    return MONTHS[low] * (1.0 - share) + MONTHS[(low + 1) % 12] * share


def _basket(u: float, mean: float) -> int:
    """A basket of at least one line, right-skewed like the real ones, from a uniform number."""
    position = u * (len(_BASKET_SHAPE) - 1)
    low = int(position)
    step = _BASKET_SHAPE[low + 1] - _BASKET_SHAPE[low]
    return max(1, int(mean * (_BASKET_SHAPE[low] + step * (position - low)) + 0.5))


def _look(draw: _Draw, category: str, seen: set[str]) -> _Look:
    nouns = CATEGORIES[category]
    while True:
        colour, motif = _COLOURS[int(draw() * len(_COLOURS))], _MOTIFS[int(draw() * len(_MOTIFS))]
        size, noun = _SIZES[int(draw() * len(_SIZES))], nouns[int(draw() * len(nouns))]
        kind = draw()
        look = _Look(size, colour if kind < 0.4 or kind >= 0.7 else "", motif if kind < 0.7 else "", noun)
        if look.name not in seen and len(look.name) <= 35:
            seen.add(look.name)
            return look


def _family(draw: _Draw, category: str, seen: set[str]) -> list[_Look]:
    """Two to five looks that differ in the colour."""
    nouns = CATEGORIES[category]
    while True:
        motif, noun = _MOTIFS[int(draw() * len(_MOTIFS))], nouns[int(draw() * len(nouns))]
        first = int(draw() * len(_COLOURS))
        colours = [_COLOURS[(first + i) % len(_COLOURS)] for i in range(2 + int(draw() * 4))]
        looks = [_Look("", colour, motif, noun) for colour in colours]
        names = [look.name for look in looks]
        if seen.isdisjoint(names):
            seen.update(names)
            return looks


def _price(draw: _Draw, category: str) -> int:
    """A list price in pence, from the category's part of the usual prices."""
    return _PENCE[_CHEAPEST.get(category, 4) + int(draw() * 16)]


def _products(draw: _Draw, count: int) -> list[_Product]:
    """The assortment, most popular first. Faults of names and codes go by rank, so that their shares hold."""
    seen: set[str] = set()
    categories = list(CATEGORIES)
    products: list[_Product] = []
    order: list[str] = []
    number, family, relatives, relation, level = 52_000, 0, list[_Look](), "", 0
    for rank in range(count):
        if not order:  # a round holds each category once
            left = categories.copy()
            order = [left.pop(int(draw() * len(left))) for _ in categories]
        number += 1 + int(draw() * 5)
        if rank % 10 == 4:
            # Members of a family share the number and differ in the colour, and so in the letter.
            if not relatives:
                family, relation = number, order.pop()
                relatives, level = _family(draw, relation, seen), _price(draw, relation)
            category, pence, look = relation, level, relatives.pop()
            code = f"{family}{_LETTERS[len(relatives)]}"
        else:
            category, code = order.pop(), str(number)
            look, pence = _look(draw, category, seen), _price(draw, category)
        name = look.name
        if rank % 113 == 20:
            first, _, rest = name.partition(" ")
            name = f"{first} , {rest}"
        if rank % 240 == 100:
            name = f'{name} 9"'
        other, rename_at = None, math.inf
        if rank % 6 == 1:
            other = name.replace(" OF ", "/") if " OF " in name else f"{name}."
            rename_at = 0.6 if rank % 12 == 1 else math.inf
        if rank % 5 == 2:
            name += " "
        elif rank % 307 == 51:
            name = f" {name}"
        elif rank % 25 == 8:
            name = name.replace(" ", "  ", 1)
        divisor = 1 if pence < 300 else 2 if pence < 600 else 4
        bulk, web = max(1, pence * 85 // 100), pence * 166 // 100 + 1
        products.append(
            _Product(code, name, other, rename_at, _money(pence), _money(bulk), _money(web), divisor, category, look)
        )
    return products


def _customer(draw: _Draw, number: int, segment: str, country: str) -> _Customer:
    """A customer with three favourite categories of their own."""
    left = list(CATEGORIES)
    favourites = tuple(left.pop(int(draw() * len(left))) for _ in range(3))
    return _Customer(str(number), segment, country, favourites)


def _comes_back(customer: _Customer) -> float:
    """The weight of a customer from abroad among those who come again."""
    return 0.0 if customer.segment == "one_off" else SEGMENTS[customer.segment].invoices


class _Shop:
    """The state that the days hand on: assortment, customers, past invoices, counters. Days are made in order.

    With `grows`, `lines` are those of the first `PUBLIC_DAYS` days, before promotions and drift, and `end` is only
    where the days stop. Without, they are the lines of the whole span.
    """

    def __init__(
        self, seed: int, lines: int, start: date, end: date, grows: bool = False, drifts: tuple[Drift, ...] = ()
    ) -> None:
        self.seed, self.lines, self.start, self.grows, self.drifts = seed, lines, start, grows, drifts
        self.most = sys.maxsize if grows else lines
        draw = Random(f"online_retail/{seed}/days").random
        horizon = start + timedelta(days=PUBLIC_DAYS - 1) if grows else end
        self.days: list[tuple[date, float]] = []  # each open day with its weight
        self.open_days, weights = 0, []
        for day in days(start, max(end, horizon)):
            noise = 0.88 + 0.24 * draw()
            if _is_open(day):
                trend = 1.0 + TREND * (day - start).days / 365.0
                weight = WEEKDAYS[day.weekday()] * _season(day) * trend * noise
                if day <= horizon:
                    self.open_days += 1
                    weights.append(weight)
                if day <= end:
                    self.days.append((day, weight))
        if not self.days:
            raise ValueError(f"the shop is closed on all days from {start} to {end}: there is no day for a line")
        self.total = math.fsum(weights)

        rate = lines / self.open_days
        # The fourth root, of two square roots: these are exact on every machine.
        self.scale = min(1.0, max(0.25, math.sqrt(math.sqrt(rate / FULL_DAY))))
        self.products = _products(Random(f"online_retail/{seed}/products").random, min(3_600, max(600, lines // 150)))
        self.with_letter = [i for i, product in enumerate(self.products) if not product.code.isdigit()]
        self._make_tables()
        self._make_customers(Random(f"online_retail/{seed}/customers").random)
        self.shifted = price_shift(seed, "online_retail", np.arange(len(self.products))) > 1.0
        self.moved = self.dearer = False
        self.cut: dict[str, Decimal] = {}  # category -> what is left of its prices today
        self.pull: dict[str, float] = {}  # category -> how many times its lines, where there is a promotion today

        # What to plant next: (number of lines made at which it falls due, order, kind).
        once = [(at * lines, kind) for at, kind in _ONCE]
        self.shares = {kind: max(share, least / max(lines, 3_000)) for kind, (share, least) in SHARES.items()}
        services = math.fsum(self.shares[kind] for kind in _SERVICE_CANCELLATIONS)
        self.shares["cancellation"] = max(0.012, self.shares["cancellation"] - services)
        draw = Random(f"online_retail/{seed}/faults").random
        regular = [((0.05 + 0.7 * draw()) / share, kind) for kind, share in self.shares.items()]
        self.due = [(at, i, kind) for i, (at, kind) in enumerate(once + regular)]
        heapq.heapify(self.due)
        self.pending: Counter[str] = Counter()
        self.planted: Counter[str] = Counter()
        self.places: dict[str, list[str]] = {"huge": [], "bad_debt": [], "three_decimals": []}

        self.made = self.without_customer = self.abroad = 0
        self.number = 410_000 + int(draw() * 1_000)
        self.past: list[tuple[_Customer, str, list[_Item]]] = []
        self.bought: set[str] = set()
        self.two_countries: dict[str, tuple[str, str]] = {}

    def _make_tables(self) -> None:
        weights = [1.0 / (rank + 11) for rank in range(len(self.products))]
        self.month_tables = [
            _Table(
                weight * (_SEASONAL[product.category][month] if product.category in _SEASONAL else 1.0)
                for weight, product in zip(weights, self.products, strict=True)
            )
            for month in range(12)
        ]
        self.members = {
            name: [i for i, product in enumerate(self.products) if product.category == name] for name in CATEGORIES
        }
        self.category_tables = {name: _Table(weights[i] for i in members) for name, members in self.members.items()}
        self.hours = _Table(_OPENING)

    def _make_customers(self, draw: _Draw) -> None:
        mean_basket = math.fsum(s.share * s.invoices * s.basket for s in SEGMENTS.values())
        customers = self.lines * (1.0 - NO_CUSTOMER_SHARE) / (mean_basket * self.scale)
        at_home = {name: max(4, int(customers * 0.9 * s.share + 0.5)) for name, s in SEGMENTS.items()}
        at_home["one_off"] += at_home["one_off"] // 2  # they come in a queue that must not run out
        foreign = max(len(_COUNTRIES) + 3, int(customers * 0.095))
        self.first_counts, self.first_foreign = at_home, foreign
        self.renewals, self.next_id = 0, 12_001
        fresh = self._fresh_ids(draw, sum(at_home.values()) + foreign)

        self.at_home = {
            name: [_customer(draw, next(fresh), name, _HOME) for _ in range(count)] for name, count in at_home.items()
        }
        self.home_tables = {name: _Table(0.4 + 1.2 * draw() for _ in members) for name, members in self.at_home.items()}
        self.segment_names = list(SEGMENTS)
        self.segment_table = _Table(s.share * s.invoices for s in SEGMENTS.values())
        self.queue = 0  # the next one-off customer

        # Abroad: one customer of each country first, the others by the countries' sizes.
        self.foreign_segments = _Table(s.share for s in SEGMENTS.values())
        self.country_names = list(_COUNTRIES)
        self.country_sizes = _Table(_COUNTRIES.values())
        places = self.country_names.copy()
        for i in range(len(places) - 1, 0, -1):
            j = int(draw() * (i + 1))
            places[i], places[j] = places[j], places[i]
        places += [self.country_names[self.country_sizes.draw(draw())] for _ in range(foreign - len(places))]
        self.foreign = [self._from_abroad(draw, next(fresh), place) for place in places]
        self.foreign_table = _Table(map(_comes_back, self.foreign))
        self.arrived = 0

    def _fresh_ids(self, draw: _Draw, total: int) -> Iterator[int]:
        """Numbers that no customer has yet. They are shuffled: they tell nothing of when a customer came."""
        ids = list(range(self.next_id, self.next_id + total + total // 3))
        self.next_id += len(ids)
        for i in range(total):
            j = i + int(draw() * (len(ids) - i))
            ids[i], ids[j] = ids[j], ids[i]
        return iter(ids)

    def _from_abroad(self, draw: _Draw, number: int, country: str) -> _Customer:
        return _customer(draw, number, self.segment_names[self.foreign_segments.draw(draw())], country)

    def _renew(self) -> None:
        """Let another year's customers join, so that a shop that grows never runs out of new ones."""
        self.renewals += 1
        draw = Random(f"online_retail/{self.seed}/customers/{self.renewals}").random
        fresh = self._fresh_ids(draw, sum(self.first_counts.values()) + self.first_foreign)
        for name, count in self.first_counts.items():
            self.at_home[name] += [_customer(draw, next(fresh), name, _HOME) for _ in range(count)]
            self.home_tables[name].extend(0.4 + 1.2 * draw() for _ in range(count))
        newcomers = [
            self._from_abroad(draw, next(fresh), self.country_names[self.country_sizes.draw(draw())])
            for _ in range(self.first_foreign)
        ]
        self.foreign += newcomers
        self.foreign_table.extend(map(_comes_back, newcomers))

    # Making a day

    def run(self) -> Iterator[Row]:
        """Yield all rows, day by day."""
        sofar = 0.0
        for n, (day, weight) in enumerate(self.days, start=1):
            sofar += weight * self._prepare(day) if self.grows else weight
            is_last = n == len(self.days) and not self.grows
            yield from self.day(day, self.lines if is_last else int(self.lines * (sofar / self.total)))

    def _prepare(self, day: date) -> float:
        """Set the day's prices and tastes; returns how many times the ordinary lines it has."""
        while self.made >= 0.93 * self.lines * (self.renewals + 1):
            self._renew()
        self.moved = drifted(self.drifts, "tastes", day)
        self.dearer = drifted(self.drifts, "prices", day)
        promotion = promotion_on(self.seed, "online_retail", day, len(CATEGORIES))
        self.cut, self.pull = {}, {}
        if promotion is None:
            return volume(self.drifts, day)
        names = list(CATEGORIES)
        self.cut = {names[i]: 1 - Decimal(str(promotion.cut)) for i in promotion.categories}
        self.pull = {
            name: (1.0 - promotion.cut) ** -PRICE_SENSITIVITY[name] if name in self.cut else 1.0 for name in names
        }
        usual = self._usual_shares(day.month - 1)
        return volume(self.drifts, day) * math.fsum(usual[name] * self.pull[name] for name in names)

    def _usual_shares(self, month: int) -> dict[str, float]:
        """The share of the lines that each category has on a day without a promotion."""
        sums = self.month_tables[month].sums
        general = dict.fromkeys(CATEGORIES, 0.0)
        for i, product in enumerate(self.products):
            general[product.category] += (sums[i] - (sums[i - 1] if i else 0.0)) / sums[-1]
        liked = {
            name: _FAVOURITE_LINES / len(CATEGORIES) * min(1.0, _SEASONAL[name][month] if name in _SEASONAL else 1.0)
            for name in CATEGORIES
        }
        rest = 1.0 - math.fsum(liked.values())
        return {name: liked[name] + rest * general[name] for name in CATEGORIES}

    def day(self, day: date, until: int) -> Iterator[Row]:
        """Yield the rows of one open day, by time, such that about `until` lines have been made since the start."""
        self.draw = Random(f"online_retail/{self.seed}/{day.isoformat()}").random
        self.month = day.month - 1
        self.invoices: list[_Invoice] = []
        self.sold: list[tuple[_Customer, str, list[_Item]]] = []
        if self.made >= until and self.made < self.most and self.lines >= 3 * self.open_days:
            self._sale(most=2)  # an open day has a sale, even after one that overshot
        quota = until - self.made
        while self.made < until:
            # Cut what would run far over the day, or else a long basket would hide the weekday in a small sheet.
            self._sale(most=min(self.most - self.made, until - self.made + max(4, quota // 2)))
            while self.due[0][0] <= self.made < self.most:
                self._plant(heapq.heappop(self.due))
        yield from self._number(day)
        for sale in self.sold:  # only from tomorrow on, so that a cancellation is never before its sale
            if len(self.past) < 1_000:
                self.past.append(sale)
            else:
                self.past[int(self.draw() * 1_000)] = sale

    def _number(self, day: date) -> Iterator[Row]:
        parts: list[tuple[int, int, _Invoice, str, list[_Item]]] = []
        for invoice in sorted(self.invoices, key=lambda i: (i.minute, i.order)):
            gap = self.draw()
            self.number += 1 if gap < 0.88 else 2 if gap < 0.93 else 3 + int((gap - 0.93) * 60)
            number = f"{invoice.prefix}{self.number}"
            cut = invoice.split or len(invoice.items)
            parts.append((invoice.minute, invoice.order, invoice, number, invoice.items[:cut]))
            if invoice.split:
                parts.append((invoice.minute + 1, invoice.order, invoice, number, invoice.items[cut:]))
        parts.sort(key=lambda part: part[:2])
        midnight = datetime(day.year, day.month, day.day)
        for minute, _, invoice, number, items in parts:
            at = midnight + timedelta(minutes=minute)
            customer, country = invoice.customer, invoice.country
            for code, description, quantity, price in items:
                if quantity > 60_000 or quantity < -60_000:
                    self.places["huge"].append(number)
                elif invoice.prefix == "A":
                    self.places["bad_debt"].append(number)
                elif code == "PADS":
                    self.places["three_decimals"].append(number)
                yield (number, code, description, quantity, at, price, customer, country)

    def _add(
        self,
        items: list[_Item],
        customer: _Customer | None,
        country: str = _HOME,
        prefix: str = "",
        minute: int | None = None,
        split: int = 0,
    ) -> int:
        """Enter an invoice of the day and count its lines; returns its minute."""
        draw = self.draw
        if minute is None:
            minute = (6 + self.hours.draw(draw())) * 60 + int(draw() * 59)
        who = customer.id if customer else None
        self.invoices.append(_Invoice(minute, len(self.invoices), prefix, who, country, items, split))
        self.made += len(items)
        if who is None:
            self.without_customer += len(items)
        else:
            self.bought.add(who)
        if country != _HOME:
            self.abroad += len(items)
        return minute

    # Sales

    def _choose_customer(self) -> tuple[_Customer, bool]:
        """A known customer for the next sale, and whether a customer from abroad comes for the first time."""
        draw, progress = self.draw, self.made / self.lines
        expected = min(len(self.foreign), int(self.first_foreign * progress / 0.93) + 1)
        lacking = FOREIGN_SHARE * self.made - self.abroad
        if expected - self.arrived >= 2 or draw() < (0.25 if lacking > 10 else 0.10 if lacking > -10 else 0.01):
            none_back = self.arrived == 0 or self.foreign_table.sums[self.arrived - 1] == 0.0
            if self.arrived < (len(self.foreign) if none_back else expected):
                self.arrived += 1
                return self.foreign[self.arrived - 1], True
            return self.foreign[self.foreign_table.draw(draw(), self.arrived)], False
        segment = self.segment_names[self.segment_table.draw(draw())]
        members = self.at_home[segment]
        if segment == "one_off":
            if self.queue < len(members):
                self.queue += 1
                return members[self.queue - 1], False
            segment = "occasional"
            members = self.at_home[segment]
        first = self.first_counts[segment]
        there = min(len(members), max(1, int(first * (0.3 + 0.7 * progress))))
        return members[self.home_tables[segment].draw(draw(), there, max(0, there - first))], False

    def _goods(self, count: int, customer: _Customer | None) -> list[_Item]:
        """Up to `count` different products at the customer's quantities and prices; web prices without a customer."""
        draw, products = self.draw, self.products
        table, progress = self.month_tables[self.month], self.made / self.lines
        quantities = SEGMENTS[customer.segment].quantities if customer else _WEB_QUANTITIES
        chosen: set[int] = set()
        items: list[_Item] = []
        strongest = max(self.pull.values(), default=1.0)
        tries = int((count + count // 2 + 2) * strongest)
        while tries > 0 or not items:
            tries -= 1
            u = draw()
            index = -1
            if customer and u < 0.6:
                category = customer.favourites[int(u * 5.0)]
                if self.moved:
                    category = _MOVED[category]
                if category not in _SEASONAL or draw() < _SEASONAL[category][self.month]:
                    index = self.members[category][self.category_tables[category].draw(draw())]
            if index < 0:
                index = table.draw(draw())
            if index in chosen:
                continue
            code, name, other, rename_at, price, bulk_price, web_price, divisor, category, _ = products[index]
            if self.pull and draw() * strongest >= self.pull[category]:
                continue
            chosen.add(index)
            if other is not None and (progress > rename_at or u * 50.0 % 1.0 < 0.05):
                name = other
            quantity = quantities[int(draw() * len(quantities))]
            if divisor > 1:
                quantity = quantity // divisor or 1
            if customer is None:
                price = web_price
            elif quantity >= 24:
                price = bulk_price
            items.append((code, name, quantity, self._price_today(price, index, category)))
            if len(items) == count:
                break
        return items

    def _price_today(self, price: Decimal, index: int, category: str) -> Decimal:
        """A price with the drift and the promotion of the day."""
        if self.dearer and self.shifted[index]:
            price *= _DEARER
        if category in self.cut:
            price *= self.cut[category]
        return max(_PENNY, price.quantize(_PENNY))

    def _sale(self, most: int, customer: _Customer | None = None, country: str | None = None) -> None:
        """An ordinary invoice of at most `most` lines, with those faults that wait for one."""
        draw = self.draw
        small = customer is not None or most <= 2
        lacking = NO_CUSTOMER_SHARE * self.made - self.without_customer
        slack = 20 + 0.003 * self.made
        chance = 0.5 if lacking > slack else 0.02 if lacking < -slack else 0.11
        if not small and draw() < chance:
            mean = 3.0 if draw() < 0.5 else 110.0
            count = _basket(draw(), mean * self.scale)
            country = _HOME if draw() < 0.988 else ("EIRE", "Hong Kong", "Unspecified", "Switzerland")[int(draw() * 4)]
        else:
            if customer is None:
                customer, first = self._choose_customer()
                small = small or first
            count = _basket(draw(), SEGMENTS[customer.segment].basket * self.scale)
            if small:
                count = min(count, max(2, int(0.06 * self.lines / self.first_foreign)))
            country = country or customer.country
        items = self._goods(min(count, most), customer)
        split = self._faults_within(items, customer, country, most) if self.pending else 0
        if customer is not None and draw() < 0.6:
            self.sold.append((customer, country, [i for i in items[:8] if i[3] and i[0][0].isdigit()]))
        self._add(items, customer, country, split=split)

    def _faults_within(self, items: list[_Item], customer: _Customer | None, country: str, most: int) -> int:
        """Put those of the waiting faults into an invoice that suit it; returns where it is split, 0 if it is not."""
        draw, waiting = self.draw, self.pending
        split = 0
        for kind in sorted(waiting, key=lambda kind: (kind == "duplicate", kind)):  # a copy is of the final line
            room = most - len(items)
            position = int(draw() * len(items))
            code, name, quantity, _ = items[position]
            if kind == "duplicate":
                if split or (customer is None and draw() < 0.9):
                    continue
                goods = [item for item in items if item[0][0].isdigit()]
                for _ in range(min(waiting[kind], room, max(1, len(items) // 8)) if goods else 0):
                    items.append(goods[int(draw() * len(goods))])
                    self._planted(kind)
            elif kind == "two_minutes":
                if len(items) > 1:
                    split = 1 + int(draw() * (len(items) - 1))
                    self._planted(kind)
            elif kind == "lower_case_code":
                if customer is None:
                    for _ in range(min(waiting[kind], room, max(1, len(items) // 8))):
                        product = self.products[self.with_letter[int(draw() * len(self.with_letter))]]
                        items.append((product.code.lower(), product.name, 1 + int(draw() * 3), product.web_price))
                        self._planted(kind)
            elif kind == "free_line":
                if (customer is None or draw() < 0.05) and code[0].isdigit():
                    items[position] = (code, name, quantity, _ZERO)
                    self._planted(kind)
            elif room > 0:
                extra = self._service_line(kind, customer, country, len(items))
                if extra is not None:
                    items.append(extra)
                    self._planted(kind)
        return split

    def _service_line(self, kind: str, customer: _Customer | None, country: str, size: int) -> _Item | None:
        """The line that `kind` adds to an invoice, None where it does not suit."""
        draw = self.draw
        if kind == "POST" and country not in (_HOME, "EIRE"):
            return ("POST", "POSTAGE", 1 + int(draw() * 3), _money((1800, 1800, 1800, 1500, 2800)[int(draw() * 5)]))
        if kind == "DOT" and customer is None and size > 1:
            return ("DOT", "DOTCOM POSTAGE", 1, _money(int((400 + 60_000 * draw()) * self.scale)))
        if kind == "M" and customer is not None:
            code = "m" if self.planted["M"] == 1 else "M"
            return (code, "Manual", 1 + int(draw() * 2), _money(50 + int(30_000 * draw() * draw())))
        if kind == "C2" and (country == "EIRE" or draw() < 0.15):
            return ("C2", "CARRIAGE", 1, _money(5000))
        if kind == "gift" and customer is None:
            value = 10 * (1 + self.planted["gift"] % 5)
            return (f"gift_0001_{value}", f"Web Shop Gift Voucher £{value}.00", 1, _money(value * 500 // 6))
        if kind == "party_bag" and customer is None:
            who = ("GIRL", "BOY", "GIRL")[self.planted["party_bag"] % 3]
            return (f"DCGSS{who}", f"PARTY BAG FOR A {who}", 1 + int(draw() * 4), _money(329))
        if kind == "three_decimals" and customer is not None:
            return ("PADS", "PADS FOR ANY CUSHION", 1, Decimal("0.001"))
        return None

    # Faults

    def _planted(self, kind: str, count: int = 1) -> None:
        self.planted[kind] += count
        if kind in _IN_OTHERS:
            self.pending[kind] -= 1
            if not self.pending[kind]:
                del self.pending[kind]

    def _plant(self, due: tuple[float, int, str]) -> None:
        """Do what fell due and note when it does again. Some kinds only wait here for an invoice that suits them."""
        when, order, kind = due
        if kind in _IN_OTHERS:
            self.pending[kind] += 1
        else:
            self._planted(kind, self._own_invoice(kind, self.most - self.made))
        if kind in self.shares:
            count = self.planted[kind] + self.pending[kind]
            at = (count + 0.05 + 0.7 * self.draw()) / self.shares[kind]
            heapq.heappush(self.due, (max(at, self.made + 1.0), order, kind))
        elif self.grows:
            heapq.heappush(self.due, (when + self.lines, order, kind))

    def _own_invoice(self, kind: str, room: int) -> int:
        """Enter the invoice or invoices of this fault, of at most `room` lines; returns the number of lines."""
        before = self.made
        draw = self.draw
        product = self.products[self.month_tables[self.month].draw(draw())]
        if kind == "cancellation":
            self._cancel(room)
        elif kind == "write_off":
            note = _WRITE_OFF_NOTES[int(draw() * len(_WRITE_OFF_NOTES))] if self.planted[kind] % 3 == 1 else None
            self._add([(product.code, note, -1 - int(300 * draw() * draw() * draw()), _ZERO)], None)
        elif kind == "found_stock":
            note = None if draw() < 0.8 else _FOUND_NOTES[int(draw() * len(_FOUND_NOTES))]
            self._add([(product.code, note, 1 + int(120 * draw() * draw()), _ZERO)], None)
        elif kind in _SERVICE_CANCELLATIONS:
            self._service_cancellation(kind)
        elif kind == "two_countries":
            candidates = [
                c
                for c in self.foreign[: self.arrived]
                if c.segment != "one_off" and c.id in self.bought and c.id not in self.two_countries
            ]
            if candidates:
                customer = candidates[int(draw() * len(candidates))]
                names = [name for name in _COUNTRIES if name != customer.country]
                other = names[int(draw() * 8)]
                self._sale(min(room, 8), customer, other)
                self.two_countries[customer.id] = (customer.country, other)
                return 1
            return 0
        elif kind == "bad_debt" and room >= 3:
            amount = _money(int((200_000 + 900_000 * draw()) * self.scale))
            minute = 14 * 60 + int(draw() * 55)
            for i, price in enumerate((amount, -amount, -amount)):
                self._add([("B", "Adjust bad debt", 1, price)], None, prefix="A", minute=minute + i)
        elif kind == "huge" and room >= 2:
            customer = self._choose_customer()[0]
            quantity = 70_000 + int(draw() * 11_000)
            minute = self._add(
                [(product.code, product.name, quantity, product.bulk_price)],
                customer,
                customer.country,
                minute=9 * 60 + int(draw() * 300),
            )
            self._add(
                [(product.code, product.name, -quantity, product.bulk_price)],
                customer,
                customer.country,
                prefix="C",
                minute=minute + 10 + int(draw() * 20),
            )
        return self.made - before

    def _cancel(self, room: int) -> None:
        """Cancel lines of one past sale, whole or in part; one in ten is of a sale before the start."""
        draw = self.draw
        if self.past and draw() < 0.9:
            index = int(draw() * len(self.past))
            customer, country, sold = self.past[index]
            self.past[index] = self.past[-1]
            self.past.pop()
        else:
            customer = self._choose_customer()[0]
            country, sold = customer.country, self._goods(2, customer)
        count = min(room, 1 if draw() < 0.55 else 2 + int(draw() * draw() * 7))
        items: list[_Item] = []
        for code, name, quantity, price in sold[:count]:
            back = quantity if draw() < 0.4 else 1 + int(draw() * quantity)
            if all(code != item[0] for item in items):
                items.append((code, name, -back, price))
        if items:
            self._add(items, customer, country, prefix="C")

    def _service_cancellation(self, kind: str) -> None:
        draw = self.draw
        customer: _Customer | None = None
        pence = 100 + int(6_000 * draw())
        name, quantity, prefix = kind.upper(), -1, "C"
        if kind == "M cancelled":
            kind, name, pence = "M", "Manual", pence * (1 + int(8 * draw()))
            customer = self._choose_customer()[0] if draw() < 0.7 else None
        elif kind == "D":
            name, quantity = "Discount", -1 - int(4 * draw() * draw())
            customer = self._choose_customer()[0]
        elif kind == "S":
            name = "SAMPLES"
        elif kind == "CRUK":
            name, pence = "CRUK Commission", int((20_000 + 80_000 * draw()) * self.scale * self.scale)
            customer = self.at_home["loyal"][0]
        elif kind == "BANK CHARGES":
            name = "Bank Charges"
            if draw() < 0.3:
                quantity, prefix, pence, customer = 1, "", 1500, self._choose_customer()[0]
        else:
            name, pence = "AMAZON FEE", int((200_000 + 1_000_000 * draw()) * self.scale * self.scale)
        country = customer.country if customer else _HOME
        self._add([(kind, name, quantity, _money(pence))], customer, country, prefix=prefix)


# The public functions


def rows(seed: int = 7, lines: int = 6000, start: date = START, end: date = END) -> Iterator[Row]:
    """Yield exactly `lines` invoice lines from `start` to `end` (both included), by time, one day in memory at once.

    A row has the fields of `COLUMNS`: str, str, str or None, int, naive datetime of whole minutes, Decimal in pounds
    (two places, once three), str or None, str. The same arguments give the same rows on every Python.

    Raises ValueError, at the call, for a seed or a number of lines that is not an int, `lines` below 1, a `start` or
    `end` that is not a date, `end` before `start`, and a span in which the shop never opens.
    """
    _check(seed, lines, start, end)
    return _Shop(seed, lines, start, end).run()


def truth(seed: int = 7, lines: int = 6000, start: date = START, end: date = END) -> dict[str, Any]:
    """Return what `rows` with the same arguments plants. It makes all rows once to know it, and keeps none.

    - `segments`: customer id -> segment, of the customers who have a line; `favourites`: id -> three categories
    - `customer_countries`: id -> country; `two_countries`: id -> both countries
    - `categories`: stock code -> category, most popular first; `popularity`: stock code -> weight, of sum 1
    - `weekdays` (Monday first), `months` (January first), `trend` (a year): the factors of the volume
    - `counts`: kind of fault -> lines planted (invoices for `two_minutes` and `two_countries`)
    - `huge`, `bad_debt`, `three_decimals`: their invoice numbers
    - `no_customer`, `abroad`: numbers of lines

    Raises ValueError like `rows`.
    """
    _check(seed, lines, start, end)
    shop = _Shop(seed, lines, start, end)
    for _ in shop.run():
        pass
    return _planted_truth(shop)


def _planted_truth(shop: _Shop) -> dict[str, Any]:
    """What a shop has planted in the days it has made."""
    everyone = [c for members in shop.at_home.values() for c in members] + shop.foreign
    present = [c for c in everyone if c.id in shop.bought]
    weights = [1.0 / (rank + 11) for rank in range(len(shop.products))]
    total = math.fsum(weights)
    return {
        "segments": {c.id: c.segment for c in present},
        "favourites": {c.id: c.favourites for c in present},
        "customer_countries": {c.id: c.country for c in present},
        "two_countries": dict(shop.two_countries),
        "categories": {p.code: p.category for p in shop.products},
        "popularity": {p.code: w / total for p, w in zip(shop.products, weights, strict=True)},
        "weekdays": WEEKDAYS,
        "months": MONTHS,
        "trend": TREND,
        "counts": dict(shop.planted),
        **{name: list(numbers) for name, numbers in shop.places.items()},
        "no_customer": shop.without_customer,
        "abroad": shop.abroad,
    }


def _texts(source: Iterable[Row]) -> Iterator[Sequence[object]]:
    """The fields as the public CSV writes them: a price with one place at least and no zeros behind."""
    prices: dict[Decimal, str] = {}
    last, stamp = None, ""
    for number, code, description, quantity, at, price, customer, country in source:
        if at is not last:
            last, stamp = at, at.isoformat(" ")
        shown = prices.get(price)
        if shown is None:
            whole, _, places = f"{price:f}".partition(".")
            shown = prices[price] = f"{whole}.{places.rstrip('0') or '0'}"
        yield (number, code, description or "", quantity, stamp, shown, customer or "", country)


def _write(path: Path, source: Iterable[Row]) -> int:
    with whole(path) as part, open(part, "wb") as raw:
        zipped = gzip.GzipFile("", "wb", 6, raw, mtime=0) if path.name.endswith(".gz") else None
        with io.TextIOWrapper(zipped or raw, encoding="utf-8", newline="") as text:
            out = csv.writer(text, lineterminator="\n")
            out.writerow(COLUMNS)
            count = 0
            for fields in _texts(source):
                out.writerow(fields)
                count += 1
    return count


def write_csv(path: Path, seed: int = 7, lines: int = 6000, start: date = START, end: date = END) -> int:
    """Write `rows` as the public CSV (UTF-8, with a header), gzipped if the name ends in `.gz`; return their number.

    `InvoiceDate` is `YYYY-MM-DD HH:MM:SS`; a missing customer or description is empty. The file appears under its
    name only when it is whole, and the same arguments give the same bytes. Raises ValueError like `rows`.
    """
    return _write(Path(path), rows(seed, lines, start, end))


def write_monthly(folder: Path, seed: int = 7, lines: int = 6000, start: date = START, end: date = END) -> list[Path]:
    """Write `rows` as one CSV per calendar month, `online_retail_YYYY-MM.csv`, and return the paths by time.

    Each has the header; together they have the rows of `write_csv`. A month without a line has no file. Raises
    ValueError like `rows`.
    """
    paths = []
    for (year, month), group in groupby(rows(seed, lines, start, end), key=lambda row: (row[4].year, row[4].month)):
        path = Path(folder) / f"online_retail_{year:04}-{month:02}.csv"
        _write(path, group)
        paths.append(path)
    return paths


def write_xlsx(path: Path, seed: int = 7, lines: int = 6000, start: date = START, end: date = END) -> int:
    """Write `rows` as UCI's workbook, one sheet `Online Retail`, and return their number (the header is not counted).

    Invoice numbers, stock codes and customers of digits only are numbers, others text; dates are Excel dates; what is
    missing is an empty cell. Written and repeatable like the CSV. Raises ValueError like `rows`, and for more than
    1,048,575 lines, which a sheet cannot hold.
    """
    source = rows(seed, lines, start, end)
    if lines > MAX_SHEET_LINES:
        raise ValueError(f"a sheet holds {MAX_SHEET_LINES:,} lines below its header, not {lines:,}: write a CSV")
    return _write_book(Path(path), source)


def _write_book(path: Path, source: Iterable[Row]) -> int:
    with whole(path) as part:
        book = xlsxwriter.Workbook(str(part), {"constant_memory": True})
        book.set_properties({"created": datetime(2011, 12, 31)})
        try:
            sheet = book.add_worksheet("Online Retail")
            when = book.add_format({"num_format": "m/d/yy h:mm"})
            for column, title in enumerate(COLUMNS):
                sheet.write_string(0, column, title)
            sheet.set_column(4, 4, 15)

            def mixed(row: int, column: int, value: str) -> None:
                if value.isdigit():
                    sheet.write_number(row, column, int(value))
                else:
                    sheet.write_string(row, column, value)

            count = 0
            for count, (number, code, description, quantity, at, price, customer, country) in enumerate(
                source, start=1
            ):
                mixed(count, 0, number)
                mixed(count, 1, code)
                if description is not None:
                    sheet.write_string(count, 2, description)
                sheet.write_number(count, 3, quantity)
                sheet.write_datetime(count, 4, at, when)
                sheet.write_number(count, 5, float(price))
                if customer is not None:
                    sheet.write_number(count, 6, int(customer))
                sheet.write_string(count, 7, country)
        finally:
            book.close()  # after an error too: it removes its own temporary files
    return count


def write(folder: Path, truth: Path, plan: Plan, after: date | None, say: Say) -> list[Written]:
    """Write the sheet `Online Retail.xlsx`, or `.csv` above what a sheet holds; later the new lines as a CSV of a day.

    A later file is `Online Retail_<until>.csv`; there is none where no line is new. `truth.json` in `truth` has what
    the function `truth` returns, and of a shop that grows

    - `lines_a_year`: the lines of the first `PUBLIC_DAYS` days without promotions and drift
    - `price_sensitivity`: category -> elasticity; `promotions`: first and last day, cut, categories
    - `drifts`: kind and first day; `moved_favourites`: category -> what the drift `tastes` puts in its place;
      `dearer`: stock codes that the drift `prices` makes dearer
    - `late`: invoice number -> the day on which the source has it

    Raises ValueError for a drift that is not in `DRIFTS`, a scale at which there is no line, and a span in which the
    shop never opens.
    """
    check_drifts("online_retail", plan.drifts, DRIFTS)
    lines = round(plan.scale * PUBLIC_LINES)
    _check(plan.seed, lines, plan.start, plan.until)
    shop = _Shop(plan.seed, lines, plan.start, plan.until, grows=True, drifts=plan.drifts)
    late: dict[str, str] = {}
    sold: set[str] = set()
    arrived = _arrived(shop, plan, after, late, sold)
    if after is None:
        usual = lines / shop.total * math.fsum(weight * volume(plan.drifts, day) for day, weight in shop.days)
        is_book = usual * 1.15 <= MAX_SHEET_LINES  # promotions add less than that
        path = folder / f"Online Retail.{'xlsx' if is_book else 'csv'}"
        rows_written = _write_book(path, arrived) if is_book else _write(path, arrived)
        written = [Written("invoice_lines", path, rows_written)]
    else:
        path = folder / f"Online Retail_{plan.until}.csv"
        first = next(arrived, None)
        written = []
        if first is not None:
            written.append(Written("invoice_lines", path, _write(path, chain([first], arrived))))
    for each in written:
        say(f"{each.path.name}: {each.rows:,} lines")
    months = sorted({day.replace(day=1) for day in days(plan.start, plan.until)})
    found = [promotion_of_month(plan.seed, "online_retail", month, len(CATEGORIES)) for month in months]
    names = list(CATEGORIES)
    known = _planted_truth(shop) | {
        "lines_a_year": lines,
        "price_sensitivity": PRICE_SENSITIVITY,
        "promotions": [
            {
                "first": p.first.isoformat(),
                "last": p.last.isoformat(),
                "cut": p.cut,
                "categories": [names[i] for i in p.categories],
            }
            for p in found
        ],
        "drifts": [{"kind": drift.kind, "start": drift.start.isoformat()} for drift in plan.drifts],
        "moved_favourites": _MOVED,
        "dearer": [p.code for p, shifted in zip(shop.products, shop.shifted, strict=True) if shifted],
        "late": late,
    }
    with whole(truth / "truth.json") as part:
        part.write_text(json.dumps(known, indent=1))
    write_queries(truth, _searches(plan.seed, shop.products, sold))
    return written


def _arrived(shop: _Shop, plan: Plan, after: date | None, late: dict[str, str], sold: set[str]) -> Iterator[Row]:
    """The rows that reach the source after `after` and up to `plan.until`, by the day on which they do.

    `late` is filled with the late invoices and their day, and `sold` with the codes that were sold up to `plan.until`,
    those before `after` too.
    """
    waiting: dict[date, list[Row]] = {}
    made = groupby(shop.run(), key=lambda row: row[4].date())
    next_made = next(made, None)
    for day in days(plan.start, plan.until):
        arriving = waiting.pop(day, [])
        if next_made is not None and next_made[0] == day:
            draw = Random(f"online_retail/{plan.seed}/late/{day.isoformat()}").random
            lag: dict[str, int] = {}
            for row in next_made[1]:
                if row[0] not in lag:
                    lag[row[0]] = 1 + int(draw() * 3) if draw() < LATE_SHARE else 0
                    if lag[row[0]]:
                        late[row[0]] = (day + timedelta(days=lag[row[0]])).isoformat()
                if lag[row[0]]:
                    waiting.setdefault(day + timedelta(days=lag[row[0]]), []).append(row)
                else:
                    arriving.append(row)
            next_made = next(made, None)
        sold.update(code for _, code, _, quantity, _, price, *_ in arriving if quantity > 0 and price > 0)
        if after is None or day > after:
            yield from arriving


def _searches(seed: int, products: Sequence[_Product], sold: set[str]) -> Iterator[Asked]:
    """Searches made of products drawn at random from the whole assortment, and judgements of those that were sold.

    A code in lower case, which is a product of its own to those who read the sheet, is judged like the other.
    """
    draw = Random(f"online_retail/{seed}/queries")
    codes = [[code for code in dict.fromkeys((p.code, p.code.lower())) if code in sold] for p in products]

    def answers(wanted: _Look, category: str) -> dict[str, int]:
        """By the noun, and by colour and motif where they are asked for (not empty)."""
        grades: dict[str, int] = {}
        for product, known in zip(products, codes, strict=True):
            look = product.look
            same = [asked == own for asked, own in ((wanted.colour, look.colour), (wanted.motif, look.motif)) if asked]
            if look.noun == wanted.noun:
                grades |= dict.fromkeys(known, EXACT if all(same) else FITS)
            elif product.category == category and any(same):
                grades |= dict.fromkeys(known, NEAR)
        return grades

    def wanted(number: int) -> tuple[_Look, str]:
        """What is searched for, without the size and sometimes the colour, and its category."""
        product = products[int(draw.random() * len(products))]
        look = product.look._replace(size="")
        return look._replace(colour="") if look.motif and number % 3 == 0 else look, product.category

    for number in range(QUERIES):
        look, category = wanted(number)
        yield Asked(look.name.lower(), WORDS, answers(look, category))
    for number in range(QUERIES):
        look, category = wanted(number)
        noun = other_number(look.noun.lower())
        broken = misspelt(draw, look.name.lower()) if number % 2 else look._replace(noun=noun).name.lower()
        yield Asked(broken, BROKEN, answers(look, category))
    for category, need in _NEEDS.items():
        of = chain.from_iterable(known for p, known in zip(products, codes, strict=True) if p.category == category)
        yield Asked(need, PLAIN, dict.fromkeys(of, EXACT))
    for number in range(QUERIES - len(_NEEDS)):
        look, category = wanted(number)
        text = _PLAIN_NOUNS[look.noun]
        if look.colour:
            text = f"{_PLAIN_COLOURS[look.colour]} {text}"
        if look.motif:
            text += f", {_PLAIN_MOTIFS[look.motif]}"
        yield Asked(text, PLAIN, answers(look, category))
