"""A small shop whose products are searched and answered from, with a language model over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.search.answer import Answer, Answerer, AnswersConfig, Done, Event, Replaced, Said, Source, Sources, Turn
from assets.search.documents import FIELDS, text_of
from assets.search.retrieve import Searcher
from resources.embedder import Embedder
from resources.llm.client import Llm
from resources.llm.prompts import PROMPTS_DIR
from resources.shops import load_shops
from resources.vectors.bm25 import Bm25, average_length
from resources.vectors.collection import Content, Manifest, Point
from resources.vectors.folder import FolderStore
from resources.warehouse import Warehouse
from tests.conftest import ALL_SHOPS
from tests.standins.llm import LlmServer, models_yaml

SHOP = load_shops(ALL_SHOPS)["online_retail"]
CONFIG = AnswersConfig(threshold=0.45, products=6, turns=4)
DDL = """
create schema if not exists contract;
drop table if exists contract.dim_product;
create table contract.dim_product (
    shop text, product_id text, price numeric(18,4), currency text, is_merchandise boolean, is_inferred boolean
);
"""


@dataclass(frozen=True)
class Good:
    """One product of the shop."""

    title: str
    price: float
    description: str = ""
    category: str = "Home"
    brand: str = ""


GOODS: Mapping[str, Good] = {
    "22423": Good("REGENCY CAKESTAND 3 TIER", 12.75, "Cake stand of white china with three tiers and a gold rim."),
    "85123A": Good("WHITE HANGING HEART T-LIGHT HOLDER", 2.95, "Holder of glass for one tealight, with a white heart."),
    "21034": Good("REX CASH+CARRY JUMBO SHOPPER", 0.95, "Large shopping bag, not for the washing machine."),
    "1": Good("CERAMIC MUG WITH A ROBIN", 3.5, "Red mug of glazed ceramic. Holds 300 ml. Not suitable for microwaves."),
    "2": Good("BLUE ENAMEL MUG", 6.25, "Mug of steel with blue enamel, 350 ml."),
    "3": Good("GARDEN SPADE", 19.0, "Spade with an ash handle.", "Garden"),
    "4": Good("WATERING CAN, ZINC", 14.0, "Watering can of zinc, 5 l.", "Garden"),
    "5": Good("ALARM CLOCK BAKELIKE GREEN", 3.75, "Green alarm clock that ticks."),
    "6": Good("HOT WATER BOTTLE KNITTED", 5.45, "Bottle with a knitted cover."),
}


class Counter:
    """A shop's collection and contract, and those who answer from them."""

    def __init__(self, warehouse: Warehouse, home: Path, goods: Mapping[str, Good] = GOODS) -> None:
        self.warehouse, self.home, self.goods = warehouse, home, dict(goods)
        self.embedder = Embedder()
        self.server: LlmServer
        with warehouse.connect() as connection:
            connection.execute(DDL)
            connection.execute("drop table if exists monitoring.answers")
        self.publish()

    def publish(self) -> None:
        """Let the collection and the contract hold the goods as they are."""
        store = FolderStore(self.home / "vectors")
        texts = {
            product: text_of(good.title, [good.category], good.brand, [], good.description)
            for product, good in self.goods.items()
        }
        vectors = dict(zip(texts, self.embedder.embed(list(texts.values())).tolist(), strict=True))
        average = average_length(list(texts.values()))
        words = Bm25("english", average)

        def read(products: Sequence[str]) -> Iterator[list[Point]]:
            yield [
                Point(product, vectors[product], words.document(texts[product]), self._payload(product))
                for product in products
            ]

        content = json.dumps({product: vars(good) for product, good in self.goods.items()})
        wanted = Manifest(
            shop=SHOP.name,
            version=0,
            embedder=self.embedder.identity,
            dimension=self.embedder.dimension,
            language="english",
            average_length=average,
            fields=FIELDS,
            as_of="2026-01-31",
            content=content,
            weights={"dense": 1.0, "bm25": 2.0},
        )
        hashes = {product: f"{good} {texts[product]}" for product, good in self.goods.items()}
        store.publish(wanted, Content(hashes, read), lambda line: None)
        self.searcher = Searcher(store.reader(SHOP.name), self.embedder, 50)
        self.stock({product: good.price for product, good in self.goods.items()})

    def _payload(self, product: str) -> dict[str, Any]:
        good = self.goods[product]
        made = {
            "product_id": product,
            "title": good.title,
            "description": good.description,
            "category": [good.category],
            "brand": good.brand,
            "price": good.price,
            "currency": "GBP",
        }
        return {name: value for name, value in made.items() if value not in ("", [])}

    def stock(self, prices: Mapping[str, float | None]) -> None:
        """Let the contract hold these products alone, at these prices."""
        with self.warehouse.connect() as connection, connection.cursor() as cursor:
            cursor.execute("truncate contract.dim_product")
            cursor.executemany(
                "insert into contract.dim_product values (%s, %s, %s, 'GBP', true, false)",
                [(SHOP.name, product, price) for product, price in prices.items()],
            )

    def answerer(self, models_file: Path, language: str = "en", warehouse: Warehouse | None = None) -> Answerer:
        """
        Args:
            warehouse: where prices are read and answers are recorded.
        """
        return Answerer(
            Llm(self.warehouse.settings, models_file, PROMPTS_DIR),
            self.searcher,
            SHOP.model_copy(update={"language": language}),
            warehouse,
            CONFIG,
            self.home / "logs" / "answers.jsonl",
        )

    def asker(self, folder: Path, server: LlmServer, **settings: Any) -> Answerer:
        """One who asks the server."""
        return self.answerer(models_yaml(folder, server.url, **settings), warehouse=self.warehouse)

    def rows(self) -> list[dict[str, Any]]:
        """The records, in their order."""
        from psycopg.rows import dict_row

        with self.warehouse.connect() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute("select * from monitoring.answers order by id").fetchall()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.home / "logs" / "answers.jsonl").read_text().splitlines()]


@dataclass(frozen=True)
class Heard:
    """What came of a question."""

    sources: tuple[Source, ...]
    shown: str
    """What a customer has before the eyes at the end."""
    ever: str
    """All that a customer had before the eyes at any time."""
    replaced: tuple[str, ...]
    answer: Answer


def ask(answerer: Answerer, question: str, *history: Turn) -> Heard:
    return heard(answerer.answer(question, history))


def heard(events: Iterator[Event]) -> Heard:
    sources: list[Sources] = []
    shown, ever, replaced, done = "", "", list[str](), list[Answer]()
    for event in events:
        assert not done, "nothing comes behind the end"
        match event:
            case Sources():
                sources.append(event)
            case Said(text):
                assert sources, "the sources come first"
                shown += text
                ever += text
            case Replaced(reason):
                replaced.append(reason)
                shown = ""
            case Done(answer):
                done.append(answer)
    [found], [answer] = sources, done
    assert shown == answer.text
    return Heard(found.products, shown, ever, tuple(replaced), answer)


@contextmanager
def changed(counter: Counter, **goods: Good) -> Iterator[Counter]:
    """The shop with other goods, for a block."""
    before = counter.goods
    counter.goods = {**before, **{product.removeprefix("p"): good for product, good in goods.items()}}
    counter.publish()
    try:
        yield counter
    finally:
        counter.goods = before
        counter.publish()
