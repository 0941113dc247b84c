"""What is refused of a query before an engine is asked: the engines would find nothing, or differ, and not say why."""

from __future__ import annotations

import difflib
import math
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from resources.vectors.collection import BM25, DENSE, FieldKind, Manifest
from resources.vectors.translate import QueryError, each, is_id, is_other, numbers

NUMBERS: tuple[FieldKind, ...] = ("integer", "float")
ORDERED: tuple[FieldKind, ...] = (*NUMBERS, "datetime")


def check_query(manifest: Manifest, query: Any, using: str | None, prefetch: Any, given: Any) -> None:
    """Refuse a query that names what the collection does not have, at every depth.

    Args:
        given: its filter.

    Raises:
        QueryError: the message names the value and the remedy.
    """
    from qdrant_client import models

    parts = each(prefetch)
    match query:
        case None:
            if parts:
                raise QueryError("prefetches need a query that joins them; give one, such as an RrfQuery")
        case models.FusionQuery() | models.RrfQuery() | models.FormulaQuery():
            if not parts:
                raise QueryError(f"a {type(query).__name__} joins prefetches, and there are none; give some")
            weights = query.rrf.weights if isinstance(query, models.RrfQuery) else None
            if weights is not None and len(weights) != len(parts):
                raise QueryError(f"there are {len(weights)} weights for {len(parts)} prefetches; give each its own")
        case models.OrderByQuery():
            check_order(manifest, query.order_by)
        case models.NearestQuery():
            _check_vector(manifest, query.nearest, using)
        case models.RecommendQuery():
            for value in (*(query.recommend.positive or []), *(query.recommend.negative or [])):
                _check_vector(manifest, value, using)
        case _ if not is_other(query):
            _check_vector(manifest, query, using)
    check_filter(manifest, given)
    for one in parts:
        check_query(manifest, one.query, one.using, one.prefetch, one.filter)


def check_page(limit: int, offset: int | None = None) -> None:
    """
    Raises:
        QueryError: these are no numbers of points.
    """
    if limit < 1:
        raise QueryError(f"limit={limit}; ask for 1 point or more")
    if offset is not None and offset < 0:
        raise QueryError(f"offset={offset}; leave out 0 points or more")


def check_id(manifest: Manifest, value: Any) -> None:
    """
    Raises:
        QueryError: this can be no id of a point.
    """
    if isinstance(value, str):
        try:
            uuid.UUID(value)
        except ValueError as error:
            raise QueryError(
                f"{manifest.name} has no point {value!r}; ids of products are made by point_id()"
            ) from error


def check_order(manifest: Manifest, given: Any) -> None:
    """
    Raises:
        QueryError: points have no order by this field.
    """
    key = given if isinstance(given, str) else given.key
    _check_field(manifest, key)
    if manifest.fields[key] not in ORDERED:
        known = ", ".join(sorted(name for name, kind in manifest.fields.items() if kind in ORDERED))
        raise QueryError(f"{key!r} holds {manifest.fields[key]} values, which have no order here; order by: {known}")


def check_filter(manifest: Manifest, given: Any) -> None:
    """
    Raises:
        QueryError: a condition, at any depth, can never be fulfilled as it was meant.
    """
    for condition in conditions_of(given):
        _check_condition(manifest, condition)


def conditions_of(given: Any) -> Iterator[Any]:
    """The conditions of a filter, at every depth."""
    from qdrant_client import models

    if given is None:
        return
    at_least = [] if given.min_should is None else given.min_should.conditions
    for one in (*each(given.must), *each(given.should), *each(given.must_not), *at_least):
        if isinstance(one, models.Filter):
            yield from conditions_of(one)
        else:
            yield one


def _check_condition(manifest: Manifest, given: Any) -> None:
    from qdrant_client import models

    match given:
        case models.FieldCondition():
            _check_field(manifest, given.key)
            _check_comparison(given, manifest.fields[given.key])
        case models.IsEmptyCondition():
            _check_field(manifest, given.is_empty.key)
        case models.IsNullCondition():
            _check_field(manifest, given.is_null.key)
        case models.HasIdCondition():
            for value in given.has_id:
                check_id(manifest, value)
        case models.HasVectorCondition():
            _check_name(manifest, given.has_vector)
        case models.NestedCondition():
            raise QueryError(f"{given.nested.key}: no field holds objects; put the conditions into a Filter")
        case _:
            raise QueryError(f"{given!r:.100} is no condition of a filter; use those of qdrant_client.models")


def _check_comparison(given: Any, kind: FieldKind) -> None:
    """One condition says one thing: the engines take different ones of two."""
    from qdrant_client import models

    key = given.key
    said = [name for name in type(given).model_fields if name != "key" and getattr(given, name) is not None]
    if len(said) != 1:
        raise QueryError(f"{key}: a condition says one thing, and this says {said or 'nothing'}; give one for each")
    if said[0].startswith("geo"):
        raise QueryError(f"{key}: products have no places on a map; remove the condition")
    match given.match or given.range:
        case models.MatchValue(value=bool(value)):
            # The engines take it for a number, and would find nothing.
            raise QueryError(f"{key}: the payload holds no truth values such as {value}; compare with 1 or 0")
        case models.MatchPhrase():
            raise QueryError(f"{key}: words are indexed without their places; use MatchText instead of a phrase")
        case models.MatchValue() | models.MatchAny() | models.MatchExcept() if kind in ("float", "datetime"):
            raise QueryError(f"{key!r} holds {kind} values, which are not compared one by one; use a range")
        case models.Range() if kind not in NUMBERS:
            raise QueryError(f"{key!r} holds {kind} values, and the range is one of numbers; use another condition")
        case models.DatetimeRange() if kind != "datetime":
            raise QueryError(f"{key!r} holds {kind} values, and the range is one of times; use another condition")


def _check_field(manifest: Manifest, name: str) -> None:
    if name not in manifest.fields:
        near = difflib.get_close_matches(name, manifest.fields, n=1)
        known = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(manifest.fields))}."
        raise QueryError(f"{name!r} is no field of {manifest.name}; {known}")


def _check_name(manifest: Manifest, name: str | None) -> None:
    if name not in (DENSE, BM25):
        raise QueryError(f"{name!r} is no vector of {manifest.name}; name one with using={DENSE!r} or using={BM25!r}")


def _check_vector(manifest: Manifest, value: Any, using: str | None) -> None:
    from qdrant_client import models

    _check_name(manifest, using)
    if is_id(value):
        check_id(manifest, value)
        return
    if isinstance(value, models.SparseVector):
        if using != BM25:
            raise QueryError(f"a SparseVector asks {using!r}; ask using={BM25!r}, or give {manifest.dimension} numbers")
        if len(value.indices) != len(value.values) or not _is_finite(value.values):
            raise QueryError(f"{value!r:.100} is no vector; give one finite number for each index")
        return
    found = numbers(value)
    if found is None:
        raise QueryError(f"{value!r:.100} is no vector; give numbers, a SparseVector or the id of a point")
    if using != DENSE:
        raise QueryError(f"numbers ask {using!r}; ask using={DENSE!r}, or give a SparseVector")
    if len(found) != manifest.dimension:
        raise QueryError(
            f"the vector has {len(found)} numbers, and {manifest.name} has vectors of {manifest.dimension}; embed "
            f"with {manifest.embedder}"
        )
    if not _is_finite(found) or not any(found):
        raise QueryError(f"{value!r:.100} points nowhere; give finite numbers that are not all 0")


def _is_finite(values: Sequence[float]) -> bool:
    return all(math.isfinite(value) for value in values)
