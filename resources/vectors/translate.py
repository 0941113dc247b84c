"""Queries in the types of `qdrant_client.models` as those of Qdrant Edge, so that both are asked in the same words."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import qdrant_edge as edge


class QueryError(ValueError):
    """A query cannot be answered; the message names the value and the remedy."""


class Translator:
    """Makes requests of Qdrant Edge out of what `checks` let pass.

    Args:
        vector_of: the stored vector of a point, by its id and the name of the vector; raises QueryError for a point
            that is not there.
    """

    def __init__(self, vector_of: Callable[[Any, str | None], Any]) -> None:
        self.vector_of = vector_of

    def query(self, query: Any, using: str | None) -> Any:
        """A scoring query; None where there is none, so that points come in the order of their ids."""
        import qdrant_edge as edge
        from qdrant_client import models

        match query:
            case None:
                return None
            case models.NearestQuery():
                if query.mmr is None:
                    return edge.Query.Nearest(self.vector(query.nearest, using), using)
                diversity = 0.5 if query.mmr.diversity is None else query.mmr.diversity
                return edge.Mmr(
                    self.vector(query.nearest, using), 1.0 - diversity, query.mmr.candidates_limit or 100, using
                )
            case models.FusionQuery():
                return edge.Fusion.Dbsf() if query.fusion == models.Fusion.DBSF else edge.Fusion.Rrf(2)
            case models.RrfQuery():
                rrf = query.rrf
                return edge.Fusion.Rrf(2 if rrf.k is None else rrf.k, rrf.weights)
            case models.FormulaQuery():
                return edge.Formula(expression(query.formula), query.defaults)
            case models.OrderByQuery():
                return order_by(query.order_by)
            case models.SampleQuery():
                return edge.Sample.Random
            case models.RecommendQuery():
                return self.recommend(query.recommend, using)
            case _ if is_other(query):
                raise QueryError(
                    f"a {type(query).__name__} is not asked of the embedded engine here; use nearest, fusion, MMR, "
                    "recommend, order by or sample, or a Qdrant server (QDRANT_URL)"
                )
        return edge.Query.Nearest(self.vector(query, using), using)

    def vector(self, value: Any, using: str | None) -> Any:
        """A vector, or that of the point that is named by its id."""
        import qdrant_edge as edge
        from qdrant_client import models

        if isinstance(value, models.SparseVector):
            return edge.SparseVector(list(value.indices), list(value.values))
        return self.vector_of(value, using) if is_id(value) else numbers(value)

    def recommend(self, wanted: Any, using: str | None) -> Any:
        import qdrant_edge as edge
        from qdrant_client import models

        examples = edge.RecommendQuery(
            [self.vector(value, using) for value in wanted.positive or []],
            [self.vector(value, using) for value in wanted.negative or []],
        )
        if wanted.strategy == models.RecommendStrategy.SUM_SCORES:
            return edge.Query.RecommendSumScores(examples, using)
        if wanted.strategy == models.RecommendStrategy.BEST_SCORE:
            return edge.Query.RecommendBestScore(examples, using)
        raise QueryError("recommend needs a strategy here: best_score or sum_scores; name one")

    def prefetch(self, prefetch: Any) -> list[edge.Prefetch]:
        import qdrant_edge as edge

        return [
            edge.Prefetch(
                limit=10 if one.limit is None else one.limit,
                query=self.query(one.query, one.using),
                prefetches=self.prefetch(one.prefetch),
                params=params(one.params),
                filter=without(filter_of(one.filter), ids_of(one.query)),
                score_threshold=one.score_threshold,
            )
            for one in each(prefetch)
        ]


def expression(given: Any) -> edge.Expression:
    """A formula on scores and payload, of sums, products, numbers and variables such as `$score[0]`."""
    import qdrant_edge as edge
    from qdrant_client import models

    match given:
        case str():
            return edge.Expression.Variable(given)
        case int() | float():
            return edge.Expression.Constant(float(given))
        case models.SumExpression():
            return edge.Expression.Sum([expression(one) for one in given.sum])
        case models.MultExpression():
            return edge.Expression.Mult([expression(one) for one in given.mult])
    raise QueryError(
        f"a {type(given).__name__} is not asked of the embedded engine here; use sums, products, numbers and variables"
    )


def each(given: Any) -> Sequence[Any]:
    """One thing, several or none, as `qdrant_client` takes them."""
    if given is None:
        return []
    return given if isinstance(given, list | tuple) else [given]


def is_id(value: Any) -> bool:
    return isinstance(value, str | int | uuid.UUID)


def is_other(query: Any) -> bool:
    """Whether this is a query of `qdrant_client.models` beside those that are known here."""
    from pydantic import BaseModel
    from qdrant_client import models

    return isinstance(query, BaseModel) and not isinstance(query, models.SparseVector)


def numbers(value: Any) -> list[float] | None:
    """A dense vector, None where this is none."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, list | tuple) or not all(isinstance(number, Real) for number in value):
        return None
    return [float(number) for number in value]


def ids_of(query: Any) -> list[str]:
    """The points that a query asks about."""
    from qdrant_client import models

    match query:
        case models.NearestQuery():
            named = [query.nearest]
        case models.RecommendQuery():
            named = [*(query.recommend.positive or []), *(query.recommend.negative or [])]
        case _:
            named = [query]
    return [str(value) for value in named if is_id(value)]


def without(given: edge.Filter | None, ids: Sequence[str]) -> edge.Filter | None:
    """A filter that leaves out points: a server does not answer with what was asked about."""
    import qdrant_edge as edge

    if not ids:
        return given
    return edge.Filter(must=None if given is None else [given], must_not=[edge.HasIdCondition(set(ids))])


def params(given: Any) -> edge.SearchParams | None:
    import qdrant_edge as edge

    if given is None:
        return None
    return edge.SearchParams(hnsw_ef=given.hnsw_ef, exact=bool(given.exact), indexed_only=bool(given.indexed_only))


def order_by(given: Any) -> edge.OrderBy:
    import qdrant_edge as edge
    from qdrant_client import models

    if isinstance(given, str):
        return edge.OrderBy(given)
    direction = edge.Direction.Desc if given.direction == models.Direction.DESC else edge.Direction.Asc
    start = given.start_from.isoformat() if isinstance(given.start_from, dt.datetime) else given.start_from
    return edge.OrderBy(given.key, direction, start)


def filter_of(given: Any) -> edge.Filter | None:
    """A filter, with all conditions in it."""
    import qdrant_edge as edge

    if given is None:
        return None
    at_least = None
    if given.min_should is not None:
        at_least = edge.MinShould(_conditions(given.min_should.conditions) or [], given.min_should.min_count)
    return edge.Filter(
        must=_conditions(given.must),
        should=_conditions(given.should),
        must_not=_conditions(given.must_not),
        min_should=at_least,
    )


def _conditions(given: Any) -> list[Any] | None:
    return None if given is None else [condition(one) for one in each(given)]


def condition(given: Any) -> Any:
    """One condition of a filter."""
    import qdrant_edge as edge
    from qdrant_client import models

    match given:
        case models.Filter():
            return filter_of(given)
        case models.FieldCondition():
            return edge.FieldCondition(
                key=given.key,
                match=None if given.match is None else match(given.key, given.match),
                range=None if given.range is None else range_of(given.range),
                values_count=None
                if given.values_count is None
                else edge.ValuesCount(**given.values_count.model_dump()),
                is_empty=given.is_empty,
                is_null=given.is_null,
            )
        case models.HasIdCondition():
            return edge.HasIdCondition(set(given.has_id))
        case models.HasVectorCondition():
            return edge.HasVectorCondition(given.has_vector)
        case models.IsEmptyCondition():
            return edge.IsEmptyCondition(given.is_empty.key)
        case models.IsNullCondition():
            return edge.IsNullCondition(given.is_null.key)
    raise QueryError(f"{given!r:.100} is no condition of a filter; use those of qdrant_client.models")


def match(key: str, given: Any) -> Any:
    import qdrant_edge as edge
    from qdrant_client import models

    match given:
        case models.MatchValue():
            return edge.MatchValue(given.value)
        case models.MatchAny():
            return edge.MatchAny(list(given.any))  # type: ignore[arg-type]
        case models.MatchExcept():
            return edge.MatchExcept(list(given.except_))  # type: ignore[arg-type]
        case models.MatchText():
            return edge.MatchText(given.text)
        case models.MatchTextAny():
            return edge.MatchTextAny(given.text_any)
    raise QueryError(
        f"{key}: {given!r:.100} is not asked of the embedded engine here; use MatchValue, MatchAny or text"
    )


def range_of(given: Any) -> Any:
    import qdrant_edge as edge
    from qdrant_client import models

    ends = {name: getattr(given, name) for name in ("gte", "gt", "lte", "lt")}
    if isinstance(given, models.DatetimeRange):
        return edge.RangeDateTime(**{name: None if end is None else _rfc3339(end) for name, end in ends.items()})
    return edge.RangeFloat(**ends)


def _rfc3339(moment: dt.datetime | dt.date) -> str:
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime.combine(moment, dt.time())
    return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).isoformat()
