"""How the API refuses: the shape of a refusal, and the answers to faults that a request did not cause."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

LISTED = 20
"""So many problems of one request are listed."""


class Sent(BaseModel):
    """What a client sends: it has no other keys than those that are described."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _few_unknown(cls, value: Any) -> Any:
        # Each unknown key becomes an error of its own: a body full of them would hold up the loop for seconds.
        if not isinstance(value, dict) or len(value) <= len(cls.model_fields) + LISTED:
            return value
        unknown = islice((name for name in value if name not in cls.model_fields), LISTED)
        return {name: value[name] for name in (*cls.model_fields, *unknown) if name in value}


class Problem(BaseModel):
    """Why a request was refused, in words."""

    detail: str = Field(examples=["no shop is named 'shopp'; there are: online_retail, olist."])


class BadValue(BaseModel):
    """One value of a request that cannot be used."""

    loc: list[str | int] = Field(description="Where it stands in the request.", examples=[["body", "events", 17]])
    msg: str = Field(description="What is wrong with it.", examples=["customer_id or visitor_id must be given"])
    type: str = Field(description="The kind of fault.", examples=["missing"])


class BadValues(BaseModel):
    """The values of a request that cannot be used, at most 20 of them."""

    detail: list[BadValue]


RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is no valid UTF-8, too deeply nested, or has too long a number."},
    404: {"model": Problem, "description": "There is no such shop."},
    408: {"model": Problem, "description": "The body did not come to its end in time."},
    413: {"model": Problem, "description": "The body is too large."},
    422: {"model": BadValues, "description": "Values that cannot be used, and where they stand."},
    503: {"model": Problem, "description": "Not now: try again after the seconds in `Retry-After`."},
}
"""What the routes that take a body can refuse with."""


def bad_values(problems: Sequence[tuple[Sequence[str | int], str]]) -> RequestValidationError:
    """A 422 for values whose types are right: pairs of the place in the body and what is wrong."""
    return RequestValidationError(
        [{"loc": ("body", *place), "msg": message, "type": "value_error"} for place, message in problems]
    )


def not_now(reason: str, seconds: int) -> HTTPException:
    """A 503 with its reason and the seconds after which to try again."""
    return HTTPException(503, reason, headers={"Retry-After": str(seconds)})


async def refuse_values(_request: Request, error: Exception) -> JSONResponse:
    """The answer to values that cannot be used. It does not repeat them: they may be long, secret or no valid text."""
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    listed = [
        {"loc": [_shown(part) for part in problem["loc"]], "msg": _text(problem["msg"]), "type": problem["type"]}
        for problem in problems[:LISTED]
    ]
    if len(problems) > LISTED:
        listed.append({"loc": ["body"], "msg": f"and {len(problems) - LISTED} more", "type": "more"})
    return JSONResponse({"detail": listed}, 422)


def _shown(part: str | int) -> str | int:
    """A part of a place. An unknown key of a request stands in it as it was sent."""
    return part if isinstance(part, int) else _text(part)[:100]


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()
