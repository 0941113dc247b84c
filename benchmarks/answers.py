"""Answers: below which threshold a product is none to answer from, what is published of what.

Without a HOME, `python -m benchmarks.answers` makes one: three simulated shops at a tenth of their size. Questions are
judged queries of the shops in the words of a customer, those of other shops, and `off_topic.txt`, of which no shop
sells anything. A threshold is chosen on one half of them, and reported on the other.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from assets.search import relevance
from assets.search.answering import load_answers_config
from assets.search.config import load_search_config
from assets.search.fresh import read_fresh
from assets.search.grounding import Grounding, Sentences, cleaned
from assets.search.judged import Query, read
from assets.search.material import Shown, shown_of
from assets.search.metrics import FITS
from assets.search.narration import narrate
from assets.search.retrieve import Searcher
from assets.search.vocabulary import vocabulary_of
from benchmarks.measure import cartograph, scratch
from resources.embedded_postgres import release
from resources.embedder import Embedder
from resources.settings import Settings, load_settings
from resources.vectors.collection import BM25, DENSE
from resources.vectors.store import open_store
from resources.warehouse import Warehouse

SHOPS = ("thelook", "online_retail", "anime")
OWN, OTHERS = 200, 60
"""So many queries of a shop itself, and of each other one."""
LEAST_REFUSED = 0.97
"""A threshold has to refuse such a share of the questions off topic; of those that do, the lowest is taken."""
FORMS = (
    "{}",
    "Do you have {}?",
    "I am looking for {}",
    "What {} can you recommend?",
    "Which {} do you sell, and what do they cost?",
)
TRUE = "true"
ATTRIBUTES = (
    "waterproof", "handmade", "vegan", "dishwasher safe", "organic", "fireproof", "bestselling", "Italian", "heated",
    "unbreakable", "award-winning", "washable", "wireless", "sugar-free", "luxurious", "recycled", "foldable",
)  # fmt: skip
PROMISES = (
    "with free delivery", "at a discount", "with a lifetime guarantee", "and it is in stock", "if you call us",
    "with a refund at any time", "for free", "and only 2 pieces are left", "with a gift voucher", "and it ships today",
)  # fmt: skip
MAKERS = ("Wedgwood", "Sony", "Adidas", "Toei")
COUNTS = (
    "has {0} pieces", "comes in {0} colours", "is rated {0}", "has {1} pieces", "goes up to {1} USD", "holds {0} ml",
    "has {0} pockets", "is for {0} people", "weighs {0} g", "is number {0}",
)  # fmt: skip
CONDITIONS = ("or less", "less than before", "each month", "for two", "from tomorrow", "off", "with a code", "plus tax")
PLAIN = (
    "{} is available in all sizes and colours, and is on offer now.", "{} costs nothing.", "{} includes a gift.",
    "{} is the last one.", "{} costs the least of all.", "We have offers on {}.", "We have no {}.", "There is no {}.",
    "{} weighs less than most.", "There is only {}.", "{} comes with another one.", "Yes, there is {}.",
    "{} is like new.",
)  # fmt: skip
UNKNOWN = (
    "{} is in stock, the data does not say how many.", "{} is {}, but the data does not say more.",
    "{} causes cancer, the data does not say how often.", "{} has 20 pockets, but I do not know more.",
    "{} is worse than at Amazon, but I do not know why.", "As it is {1}, {0} fits.", "For something {1}, there is {0}.",
)  # fmt: skip
MEASURES = {
    "cosine": lambda one: one.cosine,
    "cosine + words / 40": lambda one: one.relevance,
    "cosine + words / 20": lambda one: 2 * one.relevance - one.cosine,
    "score of the search": lambda one: one.score,
}


@dataclass(frozen=True)
class Best:
    """What the product that fits a question best reaches, by each measure."""

    kind: str
    """own, other shop, off topic."""
    is_kept: bool
    is_answerable: bool
    cosine: float
    relevance: float
    score: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", type=Path, nargs="?", help="One with these shops, simulated, whose search was made.")
    home = parser.parse_args().home
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    with scratch() as folder:
        folder.chmod(0o755)
        measure(home or made(folder / "home"))


def made(home: Path) -> Path:
    """Make a home with all that is asked for here."""
    cartograph(home, "simulate", *SHOPS, "--scale", "0.1")
    cartograph(home, "materialize", "not (group:recommender or group:monitoring or group:summaries)")
    return home


def measure(home: Path) -> None:
    """All of it; nothing of the home is changed."""
    settings = load_settings(home=home)
    embedder = Embedder(settings=settings)
    store = open_store(settings)
    searchers = {shop: Searcher(store.reader(shop), embedder, load_search_config(shop).candidates) for shop in SHOPS}
    queries = {shop: read(settings.home / "simulated" / shop / "queries.csv") for shop in SHOPS}
    off_topic = Path(__file__).with_name("off_topic.txt").read_text(encoding="utf-8").splitlines()
    best = {shop: reached(shop, searchers, queries, off_topic) for shop in SHOPS}
    thresholds(best)
    print()
    narrated(settings, searchers, queries)
    print()
    planted(settings, searchers, queries)
    release(home)


def reached(
    shop: str,
    searchers: Mapping[str, Searcher],
    queries: Mapping[str, Sequence[Query]],
    off_topic: Sequence[str],
) -> list[Best]:
    """Ask a shop questions of all kinds."""
    draw, asked = Random(f"answers/{shop}"), list[tuple[str, str, Mapping[str, int]]]()
    for name in SHOPS:
        some = draw.sample(list(queries[name]), min(OWN if name == shop else OTHERS, len(queries[name])))
        kind = "own" if name == shop else "other shop"
        asked += [(kind, as_asked(query.text), query.grades if name == shop else {}) for query in some]
    asked += [("off topic", text, {}) for text in off_topic]
    made = []
    top = load_answers_config(shop).products
    for kind, text, grades in asked:
        found = relevance.find(searchers[shop], text, top)
        if not found:
            continue
        cosines = {
            hit.product_id: hit.score
            for hit in searchers[shop].search(
                text, {"product_id": [one.product_id for one in found]}, top, {DENSE: 1.0, BM25: 0.0}
            )
        }
        made.append(
            Best(
                kind,
                is_kept(text),
                any(grades.get(one.product_id, 0) >= FITS for one in found),
                max(cosines.values()),
                max(one.relevance for one in found),
                max(one.score for one in found),
            )
        )
    return made


def as_asked(text: str) -> str:
    """A query in one of the forms that customers use."""
    return FORMS[int(hashlib.sha256(text.encode()).hexdigest(), 16) % len(FORMS)].format(text)


def is_kept(text: str) -> bool:
    """Whether a question is one to report on; it hangs on its text alone."""
    return int(hashlib.sha256(f"half {text}".encode()).hexdigest(), 16) % 2 == 1


def thresholds(best: Mapping[str, Sequence[Best]]) -> None:
    """Print how well each measure parts the questions, and what the threshold chosen on one half does on the other."""
    every = [one for ones in best.values() for one in ones]
    print("| measure | AUC, own / off topic | AUC, own / other shop |\n| --- | ---: | ---: |")
    for name, measure in MEASURES.items():
        own = [measure(one) for one in every if one.is_answerable]
        parts = [area(own, [measure(one) for one in every if one.kind == kind]) for kind in ("off topic", "other shop")]
        print(f"| {name} | {parts[0]:.3f} | {parts[1]:.3f} |")
    tuned = np.array([one.relevance for one in every if one.kind == "off topic" and not one.is_kept])
    chosen = next(value for value in np.arange(0.2, 1.0, 0.01) if (tuned < value).mean() >= LEAST_REFUSED)
    print(f"\nchosen on one half: {chosen:.2f}; set: {load_answers_config(SHOPS[0]).threshold}\n")
    print(
        "| shop, half to report on | own, answerable: answered | off topic: refused | other shop: refused | questions |"
    )
    print("| --- | ---: | ---: | ---: | ---: |")
    for shop, ones in {**best, "all": every}.items():
        limit = load_answers_config(shop).threshold
        kept = [one for one in ones if one.is_kept]
        own = [one.relevance >= limit for one in kept if one.is_answerable]
        refused = {
            kind: [one.relevance < limit for one in kept if one.kind == kind] for kind in ("off topic", "other shop")
        }
        print(
            f"| {shop} | {np.mean(own):.3f} | {np.mean(refused['off topic']):.3f} | "
            f"{np.mean(refused['other shop']):.3f} | {len(own)}, {len(refused['off topic'])}, "
            f"{len(refused['other shop'])} |"
        )


def area(above: Sequence[float], below: Sequence[float]) -> float:
    """The share of pairs in which the first is above the second (area under the curve)."""
    one, other = np.array(above)[:, None], np.array(below)[None]
    return float((one > other).mean() + (one == other).mean() / 2)


def narrated(settings: Settings, searchers: Mapping[str, Searcher], queries: Mapping[str, Sequence[Query]]) -> None:
    """Print how many answers of the narrator hold, and the seconds of the stages without a model."""
    warehouse = Warehouse(settings)
    print("| shop | narrator's answers | refused | milliseconds p50: search | fresh | check |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for shop in SHOPS:
        config, searcher = load_answers_config(shop), searchers[shop]
        asked = refused = 0
        seconds = list[tuple[float, float, float]]()
        for query in Random(f"narrated/{shop}").sample(list(queries[shop]), min(OWN, len(queries[shop]))):
            began = time.perf_counter()
            found = relevance.find(searcher, as_asked(query.text), config.products)
            fitting = [one for one in found if one.relevance >= config.threshold]
            searched = time.perf_counter()
            shown = shown_of(fitting, read_fresh(warehouse, shop, [one.product_id for one in fitting]))
            fresh = time.perf_counter()
            if not shown:
                continue
            cutter, checker = Sentences(shown), Grounding(shown, "en")
            sentences = [*cutter.feed(narrate(shown, "en")), *cutter.end()]
            faults = [fault for sentence in sentences for fault in checker.check(cleaned(sentence))]
            seconds.append((searched - began, fresh - searched, time.perf_counter() - fresh))
            asked += 1
            refused += bool(faults) or not checker.cited
            if faults:
                print(f"<!-- {query.text}: {faults[0]} -->")
        middle = np.median(seconds, axis=0) * 1000
        print(f"| {shop} | {asked} | {refused} | {middle[0]:.1f} | {middle[1]:.1f} | {middle[2]:.1f} |")


def planted(settings: Settings, searchers: Mapping[str, Searcher], queries: Mapping[str, Sequence[Query]]) -> None:
    """Print how many false sentences are published, and how many true ones are not."""
    warehouse, published, refused = Warehouse(settings), Counter[str](), Counter[str]()
    of_kind: Counter[str] = Counter()
    for shop in SHOPS:
        config, searcher = load_answers_config(shop), searchers[shop]
        draw = Random(f"planted/{shop}")
        for query in draw.sample(list(queries[shop]), min(OWN, len(queries[shop]))):
            found = relevance.find(searcher, query.text, config.products + 4)
            fresh = read_fresh(warehouse, shop, [one.product_id for one in found])
            every = [one for one in shown_of(found, fresh) if len(one.title.split()) > 1]
            shown, others = every[: config.products], every[config.products :]
            if len(shown) < 2 or not others:
                continue
            for kind, text in told(draw, shown, others):
                checker = Grounding(shown, "en")
                of_kind[kind] += 1
                is_published = not checker.check(cleaned(text))
                published[kind] += is_published and kind != TRUE
                refused[kind] += not is_published and kind == TRUE
                if is_published != (kind == TRUE):
                    print(f"<!-- {kind}: {text} -->")
    print("| sentences | all | published |\n| --- | ---: | ---: |")
    for kind, every_one in of_kind.items():
        print(f"| {kind} | {every_one} | {every_one - refused[kind] if kind == TRUE else published[kind]} |")
    false = sum(of_kind.values()) - of_kind[TRUE]
    print(
        f"\n{published.total()} of {false} false sentences published, {refused[TRUE]} of {of_kind[TRUE]} true refused"
    )


def told(draw: Random, shown: Sequence[Shown], others: Sequence[Shown]) -> Iterator[tuple[str, str]]:
    """True sentences on products that were found, in the forms of the prompt, and false ones."""
    one, two = draw.sample(list(shown), 2)
    other = draw.choice(list(others))
    named, second = f"{one.title} [{one.product_id}]", f"{two.title} [{two.product_id}]"

    yield (
        TRUE,
        draw.choice(("There is {}.", "The catalogue has the {}.", "I found {}.", "You might like {}.")).format(named),
    )
    yield TRUE, f"There are {named} and {second}."
    for level in one.categories:
        yield TRUE, f"{named} is in the category {level}."
    if one.brand:
        yield TRUE, f"The {named} is by {one.brand}."
        yield "brand", f"The {named} is by {draw.choice(MAKERS)}."
    if one.keywords:
        yield TRUE, f"{named} has the keywords {' and '.join(one.keywords)}."
    yield from described(draw, one, named)
    if one.price is not None:
        yield from priced(draw, one, two)
    yield "made-up id", f"There is {one.title} [{draw.randrange(10**7, 10**8)}]."
    yield "product that was not found, cited", f"There is {other.title} [{other.product_id}]."
    yield "product that was not found, named", f"There are {named} and {other.title}."
    if one.title != two.title:
        yield "citation of another product", f"There is {one.title} [{two.product_id}]."
    yield "number", f"There is {named} from {draw.randrange(1950, 1990)}."
    yield "number", f"{named} {draw.choice(COUNTS).format(draw.randrange(2, 99), one.product_id)}."
    word = draw.choice([word for word in ATTRIBUTES if word not in one.text.casefold()])
    yield "attribute", f"{named} is {word}."
    yield "attribute before it", f"There is a {word} {named}."
    yield "maker", f"There is {named}, made by {draw.choice(MAKERS)}."
    yield "promise", f"There is {named} {draw.choice(PROMISES)}."
    yield "address", f"There is {named}, see {draw.choice(('https://a.example/b', 'www.shop.test', 'help@a.example'))}."
    yield "plain words", draw.choice(PLAIN).format(named)
    yield "not known", draw.choice(UNKNOWN).format(named, word)


def described(draw: Random, one: Shown, named: str) -> Iterator[tuple[str, str]]:
    """What a description says, whole, and pieces of it."""
    sentences = [part for part in re.split(r"(?<=[.!?])\s+", one.description) if part.endswith(".")]
    if not sentences:
        return
    whole = draw.choice(sentences)
    said = whole.rstrip(".")
    if not vocabulary_of("en").unsaid.search(said):
        yield TRUE, f'The description of {named} says: "{said}".'
        yield TRUE, f"{named} is described as {said}."
    words = said.split()
    if len(words) > 4:
        start = draw.randrange(1, len(words) - 2)
        yield "piece of the description", f"{named} is {' '.join(words[start:])}."
        yield "piece of the description", f'The description of {named} says: "{" ".join(words[:-2])}".'
        place = draw.randrange(1, len(words))
        yield (
            "description, denied",
            f'The description of {named} says: "{" ".join((*words[:place], "not", *words[place:]))}".',
        )


def priced(draw: Random, one: Shown, two: Shown) -> Iterator[tuple[str, str]]:
    """Prices and comparisons."""
    assert one.price is not None
    named, second = f"{one.title} [{one.product_id}]", f"{two.title} [{two.product_id}]"
    yield TRUE, f"The {named} costs {one.said_price}."
    yield TRUE, f"There is {named}, {one.said_price}."
    yield TRUE, f"I found {named}, which costs {one.said_price}."
    yield "changed price", f"{named} costs {one.price + 1:.2f} {one.currency}."
    yield "other currency", f"{named} costs {one.price:.2f} EUR."
    yield "price with a condition", f"{named} costs {one.said_price} {draw.choice(CONDITIONS)}."
    if two.price is None or two.price == one.price:
        return
    yield TRUE, f"{named} costs {one.said_price}, and {second} costs {two.said_price}."
    yield "swapped prices", f"{named} costs {two.said_price} and {second} costs {one.said_price}."
    yield "price of another", f"{named} and {second} costs {one.said_price}."
    (dear, cheap) = (named, second) if one.price > two.price else (second, named)
    yield TRUE, f"{cheap} {draw.choice(('is cheaper than', 'costs less than'))} {dear}."
    yield TRUE, f"{dear} {draw.choice(('is more expensive than', 'costs more than'))} {cheap}."
    yield "false comparison", f"{dear} is {draw.choice(('', 'not dearer but ', 'much '))}cheaper than {cheap}."
    yield "false comparison", f"{cheap} is not cheaper than {dear}."
    yield "false comparison", f"{dear} is the cheapest of these."
    yield "false comparison", f"{cheap} is the most expensive of the shop."
    yield "false comparison", f"{named} costs the same as {second}."


if __name__ == "__main__":
    main()
