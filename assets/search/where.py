"""Conditions on products as people write them, such as `price<20`, and as the API takes them, made into filters."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from resources.embedder import readable
from resources.vectors.collection import FieldKind

if TYPE_CHECKING:
    from qdrant_client import models

OPERATORS = {"<=": "lte", ">=": "gte", "<": "lt", ">": "gt"}
_WRITTEN = re.compile(r"\s*(?P<field>[A-Za-z_]+)\s*(?P<operator><=|>=|!=|<|>|=)\s*(?P<value>.*?)\s*")


class WhereError(ValueError):
    """A condition cannot be used; the message names it and the remedy."""


def parse(written: Sequence[str]) -> dict[str, Any]:
    """Conditions as they are written on a command line, in the form that `filter_of` takes.

    `price<20`, `price>=5`, `brand=Acme`, `country=France,Germany` (one of both), `brand!=Acme`.

    Raises:
        WhereError: a condition has no field, operator or value.
    """
    made: dict[str, Any] = {}
    for condition in written:
        found = _WRITTEN.fullmatch(condition)
        if found is None or not found["value"]:
            raise WhereError(f"{condition!r} is no condition; write a field, an operator and a value, such as price<20")
        field, operator, value = found["field"], found["operator"], found["value"]
        values = [part.strip() for part in value.split(",") if part.strip()]
        if operator in OPERATORS:
            addition: Any = {OPERATORS[operator]: value}
        elif operator == "!=":
            addition = {"not": values}
        else:
            addition = {"any": values}
        entry = made.setdefault(field, {})
        if twice := entry.keys() & addition.keys():
            raise WhereError(f"{condition!r}: {field} has {min(twice)!r} twice; name several values with commas")
        entry.update(addition)
    return made


def filter_of(where: Mapping[str, Any], fields: Mapping[str, FieldKind]) -> models.Filter | None:
    """A filter of conditions that must all hold; None where there is none.

    Args:
        where: for each field a value, a list of values of which one must be there, or a mapping with some of `any` and
            `not` (lists), `lt`, `lte`, `gt`, `gte`.
        fields: the fields that there are, with their kinds.

    Raises:
        WhereError: a field is not there, or a value does not fit it.
    """
    from qdrant_client import models

    must: list[Any] = []
    must_not: list[Any] = []
    for field, condition in where.items():
        if field not in fields:
            near = difflib.get_close_matches(field, fields, n=1)
            raise WhereError(
                f"{field!r} is no field; " + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(fields)}")
            )
        kind = fields[field]
        if not isinstance(condition, Mapping):
            condition = {"any": condition if isinstance(condition, list | tuple) else [condition]}
        ends = {name: condition[name] for name in OPERATORS.values() if name in condition}
        unknown = condition.keys() - ends.keys() - {"any", "not"}
        if unknown:
            raise WhereError(f"{field}: {min(unknown)!r} is not known; use any, not, {', '.join(OPERATORS.values())}")
        if ends:
            must.append(models.FieldCondition(key=field, range=_range(field, kind, ends)))
        for name, group in (("any", must), ("not", must_not)):
            if name in condition:
                group.extend(_one_of(field, kind, condition[name]))
    return models.Filter(must=must or None, must_not=must_not or None) if must or must_not else None


def _range(field: str, kind: FieldKind, ends: Mapping[str, Any]) -> Any:
    from qdrant_client import models

    if kind == "datetime":
        return models.DatetimeRange(**{name: _moment(field, value) for name, value in ends.items()})
    if kind in ("float", "integer"):
        return models.Range(**{name: _number(field, value) for name, value in ends.items()})
    raise WhereError(f"{field}: it is no number and no time, and cannot be less or more; use = or a list of values")


def _one_of(field: str, kind: FieldKind, values: Any) -> list[Any]:
    from qdrant_client import models

    values = list(values) if isinstance(values, list | tuple) else [values]
    if not values or len(values) > 1000:
        raise WhereError(f"{field}: give one to 1000 values, not {len(values)}")
    if kind == "datetime":
        raise WhereError(f"{field}: a time is compared with <, <=, > and >=")
    for value in values:
        if isinstance(value, str) and not value.isascii() and readable(value) != value:
            raise WhereError(f"{field}: {value!r:.100} has half a character; leave it out")
    if kind == "text":
        if any(not isinstance(value, str) or not value.strip() for value in values):
            raise WhereError(f"{field}: give words that must be in it, as text")
        conditions: list[Any] = [
            models.FieldCondition(key=field, match=models.MatchText(text=value)) for value in values
        ]
        return conditions if len(conditions) == 1 else [models.Filter(should=conditions)]
    if kind == "float":
        # An engine compares whole numbers and texts alone for equality.
        numbers = [_number(field, value) for value in values]
        ranges: list[Any] = [models.FieldCondition(key=field, range=models.Range(gte=one, lte=one)) for one in numbers]
        return ranges if len(ranges) == 1 else [models.Filter(should=ranges)]
    if kind == "integer":
        return [models.FieldCondition(key=field, match=models.MatchAny(any=[_whole(field, value) for value in values]))]
    for value in values:
        if not isinstance(value, str):
            raise WhereError(f"{field}: {value!r} is no text; put it in quotes")
    return [models.FieldCondition(key=field, match=models.MatchAny(any=values))]


def _number(field: str, value: Any) -> float:
    import math

    if not isinstance(value, bool) and isinstance(value, str | int | float):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise WhereError(f"{field}: {value!r:.100} is no number; write it with a point, such as 19.90")


def _whole(field: str, value: Any) -> int:
    number = _number(field, value)
    if number != int(number) or abs(number) >= 2**63:
        raise WhereError(f"{field}: {value!r:.100} is no whole number")
    return int(number)


def _moment(field: str, value: Any) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise WhereError(f"{field}: {value!r:.100} is no time; write a day or an instant, such as 2026-11-22") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
