"""The shops of `config/shops.yaml`, typed and checked; errors name the file, the line and the remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from resources.yaml_file import line_of, read_yaml, repeated_keys

Capability = Literal["orders", "events", "reviews", "products", "product_text", "prices", "categories"]
CAPABILITIES: tuple[str, ...] = get_args(Capability)
API, API_EVENTS = "api", "api_events"
"""What is of every shop: the source of its events that came through the API, and the raw table of them."""


class ShopsError(ValueError):
    """`shops.yaml` cannot be used; each line of the message names the file, the line and the remedy."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Table(_Strict):
    """One raw table of a shop and what fills it. Its column types stand in the shop's `_sources.yml`."""

    objects: list[str] = Field(default=[], min_length=1)
    """Patterns on an object's name, such as `*.csv`; the first table that matches takes the object. Only tables of an
    object source have them: those of a table source are found by their own name."""
    stream: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")] | None = None
    """The stream whose records fill the table, whatever the kind of the shop's source."""
    cursor: str | None = None
    """The column that says when a row happened; the days of its values are what dbt makes again. A table of a table
    source without one is read whole."""
    key: list[str] = []
    """The columns that identify a row, where the source has such a key."""
    restate_days: Annotated[int, Field(ge=0, le=36_500)] | None = None
    """For tables that change without a column that says when: so many last days are read again in each run, and all of
    the table is compared once a week. Without it, what was read once is taken to stay as it is."""
    encoding: str = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    sheet: str | None = None
    """The sheet to read from a workbook; without it, a workbook must have exactly one."""
    max_rejected_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """An object with a larger share of unreadable rows than this is refused whole."""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        import codecs

        try:
            "x".encode(value)  # refuses those that are no encodings of text, such as base64
            return codecs.lookup(value).name
        except LookupError:
            raise ValueError(f"unknown encoding {value!r}; use a name such as utf-8, latin-1 or cp1252") from None


class ObjectSource(_Strict):
    """Files in a folder or objects under a prefix."""

    kind: Literal["objects"]
    location: str | None = None
    """A folder or an `s3://` URL; without it, the shop's folder in the home's inbox."""


class BigQuerySource(_Strict):
    """A BigQuery dataset, or a folder in its place that holds one folder of files per table."""

    kind: Literal["bigquery"]
    dataset: str
    """The dataset as `project.dataset`."""
    location: str | None = None
    """A folder or an `s3://` URL that holds `<table>/`, read in BigQuery's place."""
    max_gb_billed: Annotated[float, Field(gt=0)] = 50.0
    """So many gigabytes (10^9 bytes) may one extract of one table read, as BigQuery bills them; it is refused before it
    reads more."""

    @field_validator("dataset")
    @classmethod
    def _with_project(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9.:-]*\.[A-Za-z0-9_]+", value):
            raise ValueError("write project.dataset, such as bigquery-public-data.thelook_ecommerce")
        return value


SOURCES: dict[str, type[BaseModel]] = {"objects": ObjectSource, "bigquery": BigQuerySource}
"""The kinds of sources."""


class Shop(_Strict):
    """One shop: a partition of everything behind the contract."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
    title: str
    timezone: str
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    language: Annotated[str, Field(pattern=r"^[a-z]{2}$")]
    live: bool
    """True where new data is expected to arrive: only then is its age held against the wall clock."""
    provides: Annotated[list[Capability], Field(min_length=1)]
    source: Annotated[ObjectSource | BigQuerySource, Field(discriminator="kind")]
    tables: Annotated[dict[str, Table], Field(min_length=1)]

    @property
    def has_interactions(self) -> bool:
        """Whether somebody looks at or buys something there: what a recommender learns from."""
        return bool({"orders", "events"} & set(self.provides))

    @property
    def has_days(self) -> bool:
        """Whether something of it is dated, so that its days can be told of."""
        return bool({"orders", "events", "reviews"} & set(self.provides))

    @property
    def has_text(self) -> bool:
        """Whether its products have words by which they can be found."""
        return "product_text" in self.provides

    @field_validator("name")
    @classmethod
    def _not_of_all(cls, value: str) -> str:
        if value == API:
            raise ValueError("this name stands for what comes through the API, of all shops; name the shop otherwise")
        return value

    @field_validator("tables")
    @classmethod
    def _its_own(cls, value: dict[str, Table]) -> dict[str, Table]:
        if API_EVENTS in value:
            raise ValueError(f"every shop has the table {API_EVENTS!r} of itself; give this one another name")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        if value not in available_timezones():
            near = difflib.get_close_matches(value, available_timezones(), n=1, cutoff=0.5)
            raise ValueError(
                f"timezone {value!r} does not exist; use an IANA name" + (f", perhaps {near[0]!r}" if near else "")
            )
        return value

    @field_validator("provides")
    @classmethod
    def _once(cls, value: list[str]) -> list[str]:
        twice = sorted({item for item in value if value.count(item) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}; name each once")
        return value

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def raw_schema(self) -> str:
        return f"raw_{self.name}"


def load_shops(path: Path) -> dict[str, Shop]:
    """The shops of a file by name, in the file's order.

    Raises:
        ShopsError: the file is missing or cannot be used.
    """
    root, data = read_yaml(path, ShopsError, "Set CARTOGRAPH_SHOPS_FILE, or restore config/shops.yaml.")
    if not isinstance(root, yaml.MappingNode) or not isinstance(data, dict) or not isinstance(data.get("shops"), dict):
        raise ShopsError(f"{path}:1: the file must be a mapping with the key `shops`, and under it one entry a shop.")
    problems = [
        f"{path}:{line}: {key!r} stands twice; each shop, table and key may stand once. Rename or remove one."
        for line, key in repeated_keys(root)
    ]
    shops: dict[str, Shop] = {}
    for name, entry in data["shops"].items():
        if not isinstance(entry, dict):
            problems.append(f"{path}:{line_of(root, ('shops', name))}: shop {name!r} must be a mapping of settings.")
            continue
        try:
            shop = Shop(name=name, **entry)
        except ValidationError as error:
            for problem in error.errors():
                problems.append(_explain(path, root, str(name), problem))
        else:
            shops[name] = shop
            for keys, message in _misfits(shop):
                where = ("shops", name, *keys)
                problems.append(f"{path}:{line_of(root, where)}: {'.'.join((str(name), *keys))}: {message}")
    if problems:
        raise ShopsError("\n".join(problems))
    if not shops:
        raise ShopsError(f"{path}:1: no shop is configured. Add one under `shops`; the README shows how.")
    return shops


def _misfits(shop: Shop) -> Iterator[tuple[tuple[str, ...], str]]:
    """What the kind of a shop's source does not go with, in its tables: the keys of the place, and what to do."""
    kind = shop.source.kind
    for name, table in shop.tables.items():
        place = ("tables", name)
        if table.stream is not None:
            for key in ("objects", "restate_days", "key"):
                if getattr(table, key):
                    yield (*place, key), f"a table with a `stream` is filled by its records alone; remove `{key}`."
            if table.cursor is None:
                yield (
                    place,
                    "a table with a `stream` needs a `cursor`, the column that says when a row happened; add it.",
                )
            continue
        if kind == "objects":
            if not table.objects:
                yield (
                    place,
                    "`objects` is missing; add it: the patterns on the names of its files; or name a `stream`.",
                )
            if table.restate_days is not None:
                yield (
                    (*place, "restate_days"),
                    "files are read again when their bytes change, so there is nothing to restate in a source of kind "
                    "objects; remove it.",
                )
            continue
        if table.objects:
            yield (
                (*place, "objects"),
                f"in a source of kind {kind} a table is found by its own name, {name}; remove it.",
            )
        if table.cursor is None and not table.key:
            yield place, "a table without `cursor` is read whole and compared by `key`; add one of the two."
        if table.cursor is None and table.restate_days is not None:
            yield (
                (*place, "restate_days"),
                "it counts days of `cursor`, which this table does not have; add `cursor`, or remove `restate_days`: "
                "without a cursor the table is compared whole in each run.",
            )


def _explain(path: Path, root: yaml.MappingNode, shop: str, problem: Any) -> str:
    """One pydantic error as a line that names the file, the line, the key and the remedy."""
    where = tuple(part for part in problem["loc"] if part != "[key]")
    kind = where[1] if where[:1] == ("source",) and len(where) > 1 else None
    if kind is not None:  # pydantic puts the kind of the source between its key and those below it
        where = ("source", *where[2:])
    if problem["type"] in ("union_tag_invalid", "union_tag_not_found"):
        where = ("source", "kind")
    keys = ("shops", shop, *where) if where[:1] != ("name",) else ("shops", shop)
    dotted = ".".join(map(str, keys[1:]))
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        known = _known_keys(where, kind)
        near = difflib.get_close_matches(str(where[-1]), known, n=1)
        message = f"unknown key; {f'did you mean {near[0]!r}?' if near else 'known: ' + ', '.join(known)}"
    elif problem["type"] == "missing":
        message = "this key is missing; add it"
    elif problem["type"] == "union_tag_not_found":
        message = f"this key is missing; add it: {' or '.join(SOURCES)}"
    elif problem["type"] == "union_tag_invalid":
        near = difflib.get_close_matches(problem["ctx"]["tag"], SOURCES, n=1)
        message = f"{problem['ctx']['tag']!r} is not known; use {' or '.join(SOURCES)}" + (
            f", perhaps {near[0]!r}" if near else ""
        )
    elif problem["type"] == "literal_error":
        near = difflib.get_close_matches(str(problem["input"]), CAPABILITIES, n=1)
        message = f"{problem['input']!r} is not known; {problem['msg']}" + (f", perhaps {near[0]!r}" if near else "")
    else:
        message = f"{problem['input']!r}: {message}"
    return f"{path}:{line_of(root, keys)}: {dotted}: {message}{'' if message.endswith('?') else '.'}"


def _known_keys(where: tuple[Any, ...], kind: str | None) -> list[str]:
    model = SOURCES[kind] if kind is not None else Table if where[0] == "tables" else Shop
    return [name for name in model.model_fields if (model, name) != (Shop, "name")]
