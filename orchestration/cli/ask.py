"""`cartograph ask`: a question about the products of a shop, answered from what is found of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.markup import escape
from rich.table import Table

from assets.search.answer import Answer, Answerer, Done, Replaced, Said, Source, Sources
from assets.search.answering import AnswersConfig
from assets.search.config import load_search_config
from assets.search.retrieve import Searcher
from orchestration.cli.search import searchable
from orchestration.cli.session import console
from resources.embedder import Embedder
from resources.llm.client import Llm
from resources.llm.engine import FAILED, Asker
from resources.settings import get_settings
from resources.shops import Shop
from resources.vectors import connect
from resources.warehouse import Warehouse


def run_ask(question: str, shop_name: str | None) -> int:
    """Answer a question on the screen, as it is written; 1 where the answer is a refusal.

    Which models were to answer and did not is said on standard error.
    """
    shop = searchable(shop_name)
    out = console()
    with answerer(shop) as asked:
        began = time.monotonic()
        sources: Sequence[Source] = ()
        asker = Asker()
        for event in asked.answer(question, asker=asker):
            match event:
                case Sources(products):
                    sources = products
                case Said(text):
                    out.print(text, end="", markup=False, soft_wrap=True)
                case Replaced(reason):
                    out.print(f"\n({reason})", markup=False, soft_wrap=True)
                case Done(answer):
                    out.print("\n")
                    show_sources(answer, sources)
                    for line in failures_of(asker):
                        print(line, file=sys.stderr)
                    out.print(said_of(answer, time.monotonic() - began), markup=False, soft_wrap=True)
                    return 1 if answer.refused else 0
    raise AssertionError("an answer ends with Done")


@contextmanager
def answerer(shop: Shop) -> Iterator[Answerer]:
    """What answers questions on a shop, by the settings of this home."""
    settings = get_settings()
    warehouse = Warehouse(settings)
    llm = Llm(settings, warehouse=warehouse)
    config = llm.watched.config("answers", AnswersConfig, shop.name)
    with connect(shop.name) as reader:
        candidates = load_search_config(shop.name).candidates
        searcher = Searcher(reader, Embedder.of(reader.manifest.embedder), candidates)
        yield Answerer(llm, searcher, shop, warehouse, config, settings.home / "logs" / "answers.jsonl")


def show_sources(answer: Answer, sources: Sequence[Source]) -> None:
    """The products that an answer speaks of, or where it is a refusal those that were found."""
    shown = [source for source in sources if answer.refused or source.product_id in answer.cited]
    if not shown:
        return
    table = Table(box=None)
    for name in ("product", "title", "price"):
        table.add_column(name, justify="right" if name == "price" else "left")
    for source in shown:
        price = "" if source.price is None else f"{source.price:,.2f} {source.currency or ''}".rstrip()
        table.add_row(escape(source.product_id), escape(source.title), price)
    console().print(table)


def failures_of(asker: Asker) -> list[str]:
    """A line for each entry of config/models.yaml that was to answer and did not, with its reason."""
    return [f"{tried.entry} did not answer: {tried.reason}" for tried in asker.tried if tried.outcome in FAILED]


def said_of(answer: Answer, seconds: float) -> str:
    """Who answered, and how long it took."""
    who = "no model was asked" if answer.model is None else f"{answer.model}, prompt {answer.prompt_version}"
    refused = f"refused: {answer.reason}; " if answer.refused else ""
    return f"{refused}{who}; {seconds:.1f} s"
