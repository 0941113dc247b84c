"""The same questions to the engine in this process and to a server get the same points, scores and refusals."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from qdrant_client import models as m

from resources.vectors.collection import point_id
from resources.vectors.folder import FolderStore
from resources.vectors.reader import Reader
from resources.vectors.translate import QueryError
from tests.vectors.conftest import SERVERS, server_store
from tests.vectors.made import FIELDS, SHOP, made, publish, sparse, unit

Pair = tuple[Reader, Reader]
ASKED = unit(1)
WORDS = m.SparseVector(indices=sparse("red lamp clock")[0], values=sparse("red lamp clock")[1])
LEGS = [m.Prefetch(query=ASKED, using="dense", limit=30), m.Prefetch(query=WORDS, using="bm25", limit=30)]
POINT, OTHER = point_id("p005"), point_id("p009")
# A weight that makes no rank of one leg count as much as a rank of the other.
SUM_OF_SCORES = m.FormulaQuery(
    formula=m.SumExpression(
        sum=[m.MultExpression(mult=[2.0, "$score[0]"]), m.MultExpression(mult=[0.05, "$score[1]"]), 0.25]
    )
)
RRF = m.RrfQuery(rrf=m.Rrf(k=60, weights=[3.0, 1.0]))
DBSF = m.FusionQuery(fusion=m.Fusion.DBSF)
BEST, SUM = m.RecommendStrategy.BEST_SCORE, m.RecommendStrategy.SUM_SCORES
UTC = dt.UTC


@pytest.fixture(scope="module", params=[(kind, way) for kind in SERVERS for way in ("new", "delta")], ids="-".join)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Readers of one content, which the folder has got at once or by a change of its last version."""
    kind, way = request.param
    home = tmp_path_factory.mktemp("parity")
    content = replace(made(120), fields=FIELDS)
    folder = FolderStore(home / "vectors")
    if way == "delta":
        earlier = content.changed({"p200": 1, "p201": 2, "p050": 7}, gone=["p011", "p077"])
        publish(folder, earlier)
    publish(folder, content)
    for server in server_store(kind, home):
        publish(server, content)
        with folder.reader(SHOP) as ours, server.reader(SHOP) as theirs:
            yield ours, theirs


def where(key: str, **condition: Any) -> m.FieldCondition:
    return m.FieldCondition(key=key, **condition)


def value(key: str, of: Any) -> m.FieldCondition:
    return where(key, match=m.MatchValue(value=of))


def all_of(*conditions: Any) -> m.Filter:
    return m.Filter(must=list(conditions))


CHEAP = where("price", range=m.Range(lt=60.25))
CHEAP_ONLY = all_of(CHEAP)
FILTERS: dict[str, m.Filter | None] = {
    "none": None,
    "empty": m.Filter(),
    "value": all_of(value("category", "lamp")),
    "value of a list": all_of(value("countries", "Chile")),
    "whole number": m.Filter(must=value("stock", 1)),
    "value nobody has": all_of(value("category", "submarine")),
    "any": all_of(where("countries", match=m.MatchAny(any=["France", "Chile"]))),
    "any number": all_of(where("stock", match=m.MatchAny(any=[0, 2]))),
    "any of nothing": all_of(where("stock", match=m.MatchAny(any=[]))),
    "except": all_of(where("brand", match=m.MatchExcept(**{"except": ["Acme"]}))),
    "except nothing": all_of(where("stock", match=m.MatchExcept(**{"except": []}))),
    "words": all_of(where("title", match=m.MatchText(text="LAMP red"))),
    "part of a word": all_of(where("title", match=m.MatchText(text="lam"))),
    "any word": all_of(where("title", match=m.MatchTextAny(text_any="red lamp"))),
    "range": all_of(where("price", range=m.Range(gte=10.25, lt=50.25))),
    "open range": all_of(where("price", range=m.Range(gt=10.25, lte=50.25))),
    "range of whole numbers": all_of(where("stock", range=m.Range(gte=1))),
    "times": all_of(
        where(
            "first_sold",
            range=m.DatetimeRange(gte=dt.datetime(2025, 3, 1, tzinfo=UTC), lt=dt.datetime(2025, 6, 1, tzinfo=UTC)),
        )
    ),
    "a time elsewhere": all_of(
        where(
            "first_sold",
            range=m.DatetimeRange(gt=dt.datetime(2025, 3, 15, 5, tzinfo=dt.timezone(-dt.timedelta(hours=5)))),
        )
    ),
    "a day": all_of(where("first_sold", range=m.DatetimeRange(gte=dt.date(2025, 3, 1)))),
    "ids": all_of(m.HasIdCondition(has_id=[POINT, OTHER, point_id("nobody")])),
    "not these ids": m.Filter(must_not=[m.HasIdCondition(has_id=[POINT])]),
    "vector": all_of(m.HasVectorCondition(has_vector="bm25")),
    "is empty": all_of(m.IsEmptyCondition(is_empty=m.PayloadField(key="brand"))),
    "is null": all_of(m.IsNullCondition(is_null=m.PayloadField(key="brand"))),
    "is not empty": all_of(where("brand", is_empty=False)),
    "is not null": all_of(where("brand", is_null=False)),
    "how many values": all_of(where("countries", values_count=m.ValuesCount(gte=2))),
    "should": m.Filter(should=[value("category", "lamp"), value("category", "mug")]),
    "must not": m.Filter(must_not=[value("category", "lamp"), value("stock", 1)]),
    "nested": m.Filter(
        should=[all_of(value("category", "lamp"), CHEAP), m.Filter(must_not=[CHEAP])],
        must_not=[m.Filter(must=[value("countries", "Chile"), value("stock", 0)])],
    ),
    "min should": m.Filter(
        min_should=m.MinShould(conditions=[value("stock", 0), value("countries", "Chile"), CHEAP], min_count=2)
    ),
}
QUERIES: dict[str, dict[str, Any]] = {
    "dense": {"query": ASKED, "using": "dense"},
    "sparse": {"query": WORDS, "using": "bm25"},
    "no word in common": {"query": m.SparseVector(indices=[3], values=[1.0]), "using": "bm25"},
    "no words": {"query": m.SparseVector(indices=[], values=[]), "using": "bm25"},
    "nearest": {"query": m.NearestQuery(nearest=ASKED), "using": "dense"},
    "weighted rrf": {"query": RRF, "prefetch": LEGS},
    "dbsf": {"query": DBSF, "prefetch": LEGS},
    "weighted sum": {"query": SUM_OF_SCORES, "prefetch": LEGS},
    "one leg": {"query": RRF.model_copy(update={"rrf": m.Rrf(k=60)}), "prefetch": LEGS[0]},
    "legs with filters": {
        "query": DBSF,
        "prefetch": [one.model_copy(update={"filter": FILTERS["any"]}) for one in LEGS],
    },
    "words, then dense": {"query": ASKED, "using": "dense", "prefetch": [LEGS[1]]},
    "legs within a leg": {"query": ASKED, "using": "dense", "prefetch": [m.Prefetch(query=DBSF, prefetch=LEGS)]},
    "leg above a score": {"query": DBSF, "prefetch": [LEGS[0].model_copy(update={"score_threshold": 0.2}), LEGS[1]]},
    "threshold": {"query": ASKED, "using": "dense", "score_threshold": 0.45},
    "threshold of a fusion": {"query": DBSF, "prefetch": LEGS, "score_threshold": 1.0},
    "offset": {"query": ASKED, "using": "dense", "offset": 3},
    "offset of a fusion": {"query": DBSF, "prefetch": LEGS, "offset": 3},
    "offset past the end": {"query": ASKED, "using": "dense", "offset": 500},
    "all": {"query": ASKED, "using": "dense", "limit": 500},
    "id": {"query": POINT, "using": "dense"},
    "id, words": {"query": POINT, "using": "bm25"},
    "id and filter": {"query": m.NearestQuery(nearest=POINT), "using": "dense", "query_filter": FILTERS["should"]},
    "id in legs": {
        "query": RRF,
        "prefetch": [m.Prefetch(query=POINT, using=using, limit=30) for using in ("dense", "bm25")],
    },
    "recommend best": {
        "query": m.RecommendQuery(recommend=m.RecommendInput(positive=[POINT], negative=[OTHER], strategy=BEST)),
        "using": "dense",
    },
    "recommend sum": {
        "query": m.RecommendQuery(recommend=m.RecommendInput(positive=[POINT, OTHER, ASKED], strategy=SUM)),
        "using": "dense",
    },
    "by price": {"query": m.OrderByQuery(order_by=m.OrderBy(key="price", direction=m.Direction.DESC))},
    "by nothing": {},
    "mmr": {
        "query": m.NearestQuery(nearest=ASKED, mmr=m.Mmr(diversity=0.5, candidates_limit=20)),
        "using": "dense",
    },
    "mmr of a point": {
        "query": m.NearestQuery(nearest=POINT, mmr=m.Mmr(diversity=0.2, candidates_limit=30)),
        "using": "dense",
    },
}


def hits(reader: Reader, **asked: Any) -> list[tuple[str, float]]:
    return [(str(hit.id), hit.score) for hit in reader.query_points(**{"limit": 8, **asked}).points]


def check_same(pair: Pair, **asked: Any) -> list[str]:
    ours, theirs = (hits(reader, **asked) for reader in pair)
    assert [id for id, _ in ours] == [id for id, _ in theirs]
    assert [score for _, score in ours] == pytest.approx([score for _, score in theirs], abs=5e-5)
    return [id for id, _ in ours]


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_finds_the_same_points_with_the_same_scores(pair: Pair, name: str) -> None:
    found = check_same(pair, **QUERIES[name])
    assert bool(found) != (name in {"no word in common", "no words", "offset past the end"})
    if name.startswith(("id", "recommend")) or name == "mmr of a point":
        assert POINT not in found


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_lets_the_same_points_pass(pair: Pair, name: str) -> None:
    given = FILTERS[name]
    ours, theirs = (reader.count(given).count for reader in pair)
    assert ours == theirs
    assert bool(ours) != (name in {"value nobody has", "any of nothing", "part of a word"})
    check_same(pair, query=DBSF, prefetch=LEGS, query_filter=given)
    pages = [sorted(str(record.id) for record in reader.scroll(given, limit=200)[0]) for reader in pair]
    assert pages[0] == pages[1] and len(pages[0]) == ours


@pytest.mark.parametrize("query", [m.FusionQuery(fusion=m.Fusion.RRF), m.RrfQuery(rrf=m.Rrf())], ids=["fusion", "rrf"])
def test_an_unweighted_rrf_scores_each_point_the_same(pair: Pair, query: Any) -> None:
    # The n-th of each leg tie, and come in any order.
    ours, theirs = (dict(hits(reader, query=query, prefetch=LEGS, limit=60)) for reader in pair)
    assert ours == pytest.approx(theirs, abs=5e-5) and len(ours) > 30


@pytest.mark.parametrize("diversity", [0.0, 0.1, 0.35, 0.6, 0.9, None])
def test_mmr_chooses_the_same_points(pair: Pair, diversity: float | None) -> None:
    for seed in range(5):
        query = m.NearestQuery(nearest=unit(seed), mmr=m.Mmr(diversity=diversity, candidates_limit=25))
        check_same(pair, query=query, using="dense")


def test_pages_of_a_scroll_follow_each_other(pair: Pair) -> None:
    pages: list[list[str]] = []
    for reader in pair:
        found, offset = [], None
        while True:
            records, offset = reader.scroll(CHEAP_ONLY, limit=17, offset=offset)
            found += [str(record.id) for record in records]
            if offset is None:
                break
            assert len(records) == 17
        pages.append(found)
    assert pages[0] == pages[1] == sorted(set(pages[0])) and len(pages[0]) == pair[0].count(CHEAP_ONLY).count


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("price", ["p000", "p001", "p002"]),
        (m.OrderBy(key="price", direction=m.Direction.DESC), ["p119", "p118", "p117"]),
        (m.OrderBy(key="price", start_from=20.0), ["p020", "p021", "p022"]),
    ],
    ids=["up", "down", "from"],
)
def test_a_scroll_goes_in_the_order_of_a_field(pair: Pair, order: Any, first: list[str]) -> None:
    for reader in pair:
        records, following = reader.scroll(limit=3, order_by=order)
        assert [record.payload["product_id"] for record in records if record.payload] == first and following is None


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        (False, None),
        (["price", "countries"], {"price", "countries"}),
        (["prise"], set()),
        (m.PayloadSelectorInclude(include=["title"]), {"title"}),
        (m.PayloadSelectorExclude(exclude=["title"]), {"product_id", "price", "stock", "category", "countries"}),
    ],
    ids=["none", "list", "unknown", "include", "exclude"],
)
def test_a_payload_holds_the_fields_that_are_wanted(pair: Pair, wanted: Any, fields: set[str] | None) -> None:
    found = []
    for reader in pair:
        hit = reader.query_points(ASKED, "dense", limit=1, with_payload=wanted).points[0]
        record = reader.scroll(all_of(m.HasIdCondition(has_id=[hit.id])), with_payload=wanted)[0][0]
        assert hit.payload == record.payload
        found.append(hit.payload)
    assert found[0] == found[1]
    assert fields is None if found[0] is None else fields <= found[0].keys()


@pytest.mark.parametrize("wanted", [True, ["dense"], ["bm25"]], ids=["all", "dense", "words"])
def test_vectors_come_where_they_are_wanted(pair: Pair, wanted: Any) -> None:
    ours, theirs = (
        reader.query_points(ASKED, "dense", limit=1, with_vectors=wanted).points[0].vector for reader in pair
    )
    assert isinstance(ours, dict) and isinstance(theirs, dict)
    assert ours.keys() == theirs.keys() == ({"dense", "bm25"} if wanted is True else set(wanted))
    if "dense" in ours:
        assert ours["dense"] == pytest.approx(theirs["dense"], abs=1e-6)
    if "bm25" in ours:
        pairs = [
            dict(zip(vector.indices, vector.values, strict=True))
            for vector in (ours["bm25"], theirs["bm25"])
            if isinstance(vector, m.SparseVector)
        ]
        assert pairs[0] == pytest.approx(pairs[1], abs=1e-6)
    assert pair[0].query_points(ASKED, "dense", limit=1).points[0].vector is None


def query(*given: Any, **named: Any) -> Callable[[Reader], object]:
    return lambda reader: reader.query_points(*given, **named)


def count(*conditions: Any) -> Callable[[Reader], object]:
    return lambda reader: reader.count(all_of(*conditions))


REFUSED: dict[str, tuple[Callable[[Reader], object], str]] = {
    "wrong dimension": (query([1.0, 2.0], "dense"), "the vector has 2 numbers, and .* has vectors of 16; embed with"),
    "wrong dimension in a leg": (query(DBSF, prefetch=m.Prefetch(query=[1.0], using="dense")), "the vector has 1 num"),
    "unknown vector": (query(ASKED, "image"), "'image' is no vector of .*; name one with using='dense'"),
    "no vector named": (query(ASKED), "None is no vector of .*; name one with using='dense'"),
    "numbers to words": (query(ASKED, "bm25"), "numbers ask 'bm25'; ask using='dense'"),
    "words to numbers": (query(WORDS, "dense"), "a SparseVector asks 'dense'; ask using='bm25'"),
    "no number": (query([float("nan")] * 16, "dense"), "points nowhere; give finite numbers"),
    "nothing but 0": (query([0.0] * 16, "dense"), "points nowhere"),
    "broken words": (query(m.SparseVector(indices=[1, 2], values=[1.0]), "bm25"), "one finite number for each index"),
    "no vector": (query([["lamp"]], "dense"), r"\[\['lamp'\]\] is no vector; give numbers"),
    "missing point": (query(point_id("nobody"), "dense"), "ids that point_id.. makes from products"),
    "product for a point": (query("p005", "dense"), "has no point 'p005'; ids of products are made by point_id"),
    "product in a filter": (count(m.HasIdCondition(has_id=["p005"])), "has no point 'p005'"),
    "product as offset": (lambda reader: reader.scroll(offset="p005"), "has no point 'p005'"),
    "no limit": (query(ASKED, "dense", limit=0), "limit=0; ask for 1 point or more"),
    "no limit of a scroll": (lambda reader: reader.scroll(limit=-1), "limit=-1"),
    "offset below 0": (query(ASKED, "dense", offset=-1), "offset=-1"),
    "unknown field": (count(value("prise", 3)), "'prise' is no field of .*; did you mean 'price'"),
    "unknown field without a like": (count(value("xyz", 3)), "'xyz' is no field of .*; known: brand, category"),
    "unknown field in a leg": (
        query(DBSF, prefetch=[m.Prefetch(prefetch=LEGS, query=DBSF, filter=all_of(value("brnd", "x")))]),
        "did you mean 'brand'",
    ),
    "unknown field at depth": (
        count(m.Filter(min_should=m.MinShould(conditions=[m.Filter(must_not=value("brnd", "x"))], min_count=1))),
        "did you mean 'brand'",
    ),
    "unknown field that is empty": (count(m.IsEmptyCondition(is_empty=m.PayloadField(key="brnd"))), "mean 'brand'"),
    "unknown field that is null": (count(m.IsNullCondition(is_null=m.PayloadField(key="brnd"))), "mean 'brand'"),
    "unknown field in an order": (lambda reader: reader.scroll(order_by="prise"), "did you mean 'price'"),
    "order without one": (lambda reader: reader.scroll(order_by="brand"), "order by: first_sold, price, stock"),
    "offset of an order": (lambda reader: reader.scroll(order_by="price", offset=POINT), "OrderBy.start_from"),
    "truth value": (count(value("stock", True)), "stock: the payload holds no truth values such as True; compare with"),
    "price as a value": (count(value("price", 3)), "'price' holds float values, .*; use a range"),
    "range of words": (count(where("brand", range=m.Range(lt=3))), "'brand' holds keyword values"),
    "times of numbers": (count(where("price", range=m.DatetimeRange(lt=dt.date(2025, 1, 1)))), "is one of times"),
    "phrase": (count(where("title", match=m.MatchPhrase(phrase="red lamp"))), "title: .* use MatchText"),
    "two conditions in one": (count(where("stock", match=m.MatchValue(value=1), range=m.Range(lt=3))), "one thing"),
    "no condition": (count(where("stock")), "this says nothing"),
    "place": (
        count(where("brand", geo_radius=m.GeoRadius(center=m.GeoPoint(lon=0, lat=0), radius=1))),
        "no places on a map",
    ),
    "objects": (
        count(m.NestedCondition(nested=m.Nested(key="countries", filter=m.Filter()))),
        "countries: no field holds objects",
    ),
    "vector that is not there": (count(m.HasVectorCondition(has_vector="image")), "'image' is no vector"),
    "fusion of nothing": (query(DBSF), "joins prefetches, and there are none"),
    "legs without a query": (query(prefetch=LEGS), "prefetches need a query that joins them"),
    "weights": (query(m.RrfQuery(rrf=m.Rrf(weights=[1.0])), prefetch=LEGS), "1 weights for 2 prefetches"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_with_the_remedy(pair: Pair, name: str) -> None:
    ask, message = REFUSED[name]
    for reader in pair:
        with pytest.raises(QueryError, match=message):
            ask(reader)


def test_the_embedded_engine_says_what_only_a_server_answers(pair: Pair) -> None:
    ours, _ = pair
    with pytest.raises(QueryError, match=r"Query is not asked of the embedded engine here; .*QDRANT_URL"):
        ours.query_points(m.ContextQuery(context=[]), using="dense", prefetch=LEGS)
    with pytest.raises(QueryError, match=r"a SqrtExpression is not asked of the embedded engine here; use sums"):
        ours.query_points(m.FormulaQuery(formula=m.SqrtExpression(sqrt="$score[0]")), prefetch=LEGS)
    with pytest.raises(QueryError, match="best_score or sum_scores"):
        ours.query_points(m.RecommendQuery(recommend=m.RecommendInput(positive=[POINT])), "dense")
