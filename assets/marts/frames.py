"""Contract tables and marts as pandas frames, for notebooks and analysis: read-only, typed, with errors that help.

    warehouse = open_warehouse(".cartograph/demo")
    items = frame("fct_order_items", shop="thelook", columns=["order_date", "amount"], warehouse=warehouse)

Types of the columns:

    PostgreSQL             pandas
    text                   str (pandas' own StringDtype on Arrow); missing is NaN
    boolean                bool; boolean (nullable) where a value is missing
    integer, bigint        int64; Int64 (nullable) where a value is missing
    numeric                float64: some 15 digits, so a sum of many amounts may differ from SQL's in the last ones;
                           with exact=True Python's Decimal, as exact as SQL and far slower
    date                   datetime64[ns], at midnight, without a zone
    timestamptz            datetime64[ns] in the shop's timezone; in UTC where no shop is named

Rows come in no particular order.
"""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.settings import PROJECT_ROOT, get_settings, load_settings
from resources.shops import Capability, load_shops
from resources.warehouse import Warehouse

if TYPE_CHECKING:
    import pandas as pd
    import psycopg
    import pyarrow as pa
    from psycopg import sql

SCHEMAS = ("contract", "marts")
_ROWS_OF: dict[Capability, str] = {
    "orders": "fct_order_items",
    "events": "fct_events",
    "reviews": "fct_reviews",
    "products": "dim_product",
    "product_text": "dim_product",
    "prices": "dim_product",
    "categories": "dim_category",
}
_BLOCK = 64 * 2**20  # bytes; a row must fit into one


class FrameError(LookupError):
    """What was asked for is not there or cannot be read; the message names it and what comes near."""


def open_warehouse(home: str | Path | None = None) -> Warehouse:
    """The warehouse of a home that is there already; nothing is created.

    Args:
        home: the folder, where relative from the project's. None: what CARTOGRAPH_HOME says. Where `WAREHOUSE_URL` is
            set, that server is read, whatever the home.

    Raises:
        FrameError: there is no such home, or nothing has been loaded into it.
    """
    settings = get_settings() if home is None else load_settings(home=PROJECT_ROOT / Path(home).expanduser())
    warehouse = Warehouse(settings)
    if warehouse.is_embedded and not (settings.home / "postgres").is_dir():
        raise FrameError(
            f"{settings.home} holds no warehouse. Make one with `make demo` (its home is .cartograph/demo) or with "
            "`cartograph materialize`, or name another home."
        )
    return warehouse


def catalog(warehouse: Warehouse | None = None) -> pd.DataFrame:
    """What there is to read: one row a column, with `schema`, `table`, `column`, `type` and `meaning`.

    Tables and types are those of the warehouse; the meanings are from the dbt project. `meaning` of a table itself
    stands in the rows whose `column` is empty.
    """
    import pandas as pd

    told = _meanings()
    rows = []
    with _reading(warehouse) as connection:
        for (schema, table), columns in _tables(connection).items():
            rows.append((schema, table, "", "", told.get((table, ""), "")))
            rows += [(schema, table, name, kind, told.get((table, name), "")) for name, kind in columns.items()]
    return pd.DataFrame(rows, columns=["schema", "table", "column", "type", "meaning"])


def frame(
    table: str,
    shop: str | None = None,
    columns: Sequence[str] | None = None,
    *,
    since: date | str | None = None,
    until: date | str | None = None,
    sample: int | None = None,
    exact: bool = False,
    warehouse: Warehouse | None = None,
) -> pd.DataFrame:
    """A contract table or mart, or a part of it. The types are those of this module's docstring.

    Args:
        table: its name, such as `fct_orders`; a schema before it may be left out.
        shop: only the rows of this shop; None: of all, and of a table without shops.
        columns: which, in this order; None: all, in the table's.
        since: the first day, and
        until: the last day, by the table's column of type date. Only a table with exactly one can be asked so.
        sample: at most so many rows, drawn by a hash of their content: the same rows give the same sample.
        exact: numeric columns as Decimal.
        warehouse: None: that of the settings.

    Raises:
        FrameError: there is no such table, column or shop, or the table cannot be asked so.
    """
    from psycopg import sql

    if sample is not None and sample < 1:
        raise FrameError(f"a sample of {sample} rows: ask for 1 or more.")
    with _reading(warehouse) as connection:
        schema, name, there = _find(connection, table)
        chosen = list(there) if columns is None else list(columns)
        for column in chosen:
            if column not in there:
                raise FrameError(f"{schema}.{name} has no column {column!r}{_near(column, there)}")
        if not chosen or len(set(chosen)) < len(chosen):
            raise FrameError(f"columns of {schema}.{name}: {chosen}: name at least one, and each once.")
        conditions: list[sql.Composable] = []
        zone = "UTC"
        if shop is not None:
            if "shop" not in there:
                raise FrameError(f"{schema}.{name} is of no shop: ask for it without one.")
            zone = _zone(connection, shop)
            conditions.append(sql.SQL("rows.shop = {}").format(sql.Literal(shop)))
        for bound, operator in ((since, ">="), (until, "<=")):
            if bound is not None:
                day = sql.Identifier("rows", _day_of(schema, name, there))
                literal = sql.Literal(_as_day(bound))
                conditions.append(sql.SQL("{} {} {}").format(day, sql.SQL(operator), literal))
        statement = sql.SQL("select {} from {} as rows").format(
            sql.SQL(", ").join(sql.Identifier("rows", column) for column in chosen), sql.Identifier(schema, name)
        )
        if conditions:
            statement += sql.SQL(" where ") + sql.SQL(" and ").join(conditions)
        if sample is not None:
            statement += sql.SQL(" order by hashtextextended(rows::text, 0) limit {}").format(sql.Literal(sample))
        return _read(connection, statement.as_string(connection), zone, exact)


def query(
    statement: str,
    parameters: Mapping[str, Any] | Sequence[Any] | None = None,
    *,
    shop: str | None = None,
    exact: bool = False,
    warehouse: Warehouse | None = None,
) -> pd.DataFrame:
    """The rows of one SQL query, with the types of this module's docstring.

    Names without a schema are looked up in contract, then marts.

    Args:
        statement: one SELECT; values as `%s` or `%(name)s`. A percent sign is written twice where there are parameters.
        parameters: the values. Where a shop is named, `%(shop)s` stands for it.
        shop: whose timezone the instants are given in; None: UTC.
        exact: numeric columns as Decimal.
        warehouse: None: that of the settings.

    Raises:
        FrameError: the server refuses the query, or it gives no rows; with what the server says.
    """
    import psycopg

    with _reading(warehouse) as connection:
        values = parameters
        zone = "UTC"
        if shop is not None:
            zone = _zone(connection, shop)
            if parameters is None or isinstance(parameters, Mapping):
                values = {**(parameters or {}), "shop": shop}
        text = statement if values is None else psycopg.ClientCursor(connection).mogrify(statement, values)
        return _read(connection, text.strip().rstrip(";"), zone, exact)


@dataclass(frozen=True)
class About:
    """What is known of a shop before any of its rows are read."""

    name: str
    title: str
    timezone: str
    currency: str
    language: str
    provides: tuple[Capability, ...]
    """What its entry in the shops file says that it has."""
    first_day: date | None
    """The first day with a fact; None where the shop has no fact that is dated."""
    as_of: date | None
    """The last closed day: the shop's clock, in place of today. None where the shop has no fact that is dated."""
    rows: Mapping[str, int]
    """Contract table or mart -> rows of this shop."""

    def lacks(self, *wanted: Capability) -> str | None:
        """None where the shop has all of this, loaded; else a sentence for the reader that says what is missing."""
        absent = [each for each in wanted if each not in self.provides]
        if absent:
            return f"{self.title} provides no {' and no '.join(map(_spoken, absent))}."
        empty = [each for each in wanted if not self.rows.get(_ROWS_OF[each])]
        if empty:
            return f"{self.title} provides {' and '.join(map(_spoken, empty))}, but none is loaded yet."
        return None


def about(shop: str, warehouse: Warehouse | None = None) -> About:
    """A shop's settings, clock and row counts.

    Raises:
        FrameError: the warehouse does not hold this shop, or the shops file does not name it.
    """
    from psycopg import sql

    path = (warehouse.settings if warehouse else get_settings()).shops_file
    with _reading(warehouse) as connection:
        clock = _clock(connection, shop)
        tables = [key for key, columns in _tables(connection).items() if "shop" in columns]
        counts = sql.SQL(" union all ").join(
            sql.SQL("select {}, count(*) from {} where shop = {}").format(
                sql.Literal(name), sql.Identifier(schema, name), sql.Literal(shop)
            )
            for schema, name in tables
        )
        rows: dict[str, int] = dict(connection.execute(counts).fetchall())
    configured = load_shops(path)
    if shop not in configured:
        raise FrameError(
            f"the warehouse holds {shop!r}, and {path} does not name it: point CARTOGRAPH_SHOPS_FILE at the file that "
            "this home was made with."
        )
    entry = configured[shop]
    return About(
        name=shop,
        title=entry.title,
        timezone=entry.timezone,
        currency=entry.currency,
        language=entry.language,
        provides=tuple(entry.provides),
        first_day=clock["first_day"],
        as_of=clock["as_of"],
        rows=rows,
    )


def _reading(warehouse: Warehouse | None) -> psycopg.Connection:
    """A connection whose transaction cannot write; its dates and instants are text that Arrow reads."""
    connection = (warehouse or Warehouse(get_settings())).connect(application="cartograph frames")
    connection.read_only = True
    for name, value in (("search_path", "contract, marts"), ("timezone", "UTC"), ("datestyle", "ISO")):
        connection.execute("select set_config(%s, %s, true)", [name, value])
    return connection


def _tables(connection: psycopg.Connection) -> dict[tuple[str, str], dict[str, str]]:
    """Schema and table -> column -> type, of contract and marts, in the order of their columns.

    Raises:
        FrameError: there is none.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    for schema, table, column, kind in connection.execute(
        "select nspname, relname, attname, format_type(atttypid, atttypmod) from pg_attribute"
        " join pg_class on pg_class.oid = attrelid join pg_namespace on pg_namespace.oid = relnamespace"
        " where relkind in ('r', 'p', 'v', 'm') and nspname = any(%s) and attnum > 0 and not attisdropped"
        " order by nspname, relname, attnum",
        [list(SCHEMAS)],
    ):
        columns = found.setdefault((schema, table), {})
        columns[column] = kind.replace("timestamp with time zone", "timestamptz")
    if not found:
        raise FrameError("the warehouse holds no table of contract or marts yet: run `cartograph materialize`.")
    return found


def _find(connection: psycopg.Connection, table: str) -> tuple[str, str, dict[str, str]]:
    tables = _tables(connection)
    for (schema, name), columns in tables.items():
        if table in (name, f"{schema}.{name}"):
            return schema, name, columns
    names = [name for _, name in tables]
    raise FrameError(f"contract and marts have no table {table!r}{_near(table.split('.')[-1], names)}")


def _clock(connection: psycopg.Connection, shop: str) -> dict[str, Any]:
    """The shop's row in `shop_clock`, which every shop has that was built.

    Raises:
        FrameError: there is none.
    """
    from psycopg.rows import dict_row

    _find(connection, "shop_clock")
    cursor = connection.cursor(row_factory=dict_row)
    clocks = {row["shop"]: row for row in cursor.execute("select * from contract.shop_clock")}
    if shop not in clocks:
        raise FrameError(
            f"the warehouse holds no shop {shop!r}{_near(shop, clocks)} A shop is there once `cartograph materialize` "
            "has built it."
        )
    return clocks[shop]


def _zone(connection: psycopg.Connection, shop: str) -> str:
    zone: str = _clock(connection, shop)["timezone"]
    return zone


def _near(name: str, known: Collection[str]) -> str:
    """The end of a message about a name that is not known."""
    near = difflib.get_close_matches(name, known, n=3)
    if near:
        return f"; did you mean {' or '.join(map(repr, near))}?"
    return f"; there are: {', '.join(sorted(known))}."


def _day_of(schema: str, table: str, columns: Mapping[str, str]) -> str:
    days = [name for name, kind in columns.items() if kind == "date"]
    if len(days) != 1:
        told = f"the columns {', '.join(days)}" if days else "none"
        raise FrameError(f"since and until need one column of type date, and {schema}.{table} has {told}: use query().")
    return days[0]


def _as_day(bound: date | str) -> date:
    try:
        return bound if isinstance(bound, date) else date.fromisoformat(bound)
    except ValueError as error:
        raise FrameError(f"{bound!r} is not a day; write it as 2026-01-31.") from error


def _spoken(capability: str) -> str:
    return capability.replace("_", " ")


def arrow_query(
    statement: str,
    parameters: Mapping[str, Any],
    *,
    encoded: Collection[str] = (),
    warehouse: Warehouse | None = None,
) -> pa.Table:
    """The rows of one SQL query as they are in Arrow, for code that needs millions of them and no pandas.

    Args:
        statement: one SELECT; values as `%(name)s`, and a percent sign written twice.
        parameters: the values.
        encoded: columns of text to read as dictionaries, each value once.
        warehouse: None: that of the settings.

    Raises:
        FrameError: the server refuses the query, or it gives no rows; with what the server says.
    """
    import psycopg

    with _reading(warehouse) as connection:
        text = psycopg.ClientCursor(connection).mogrify(statement, parameters)
        rows, names, kinds = _copied(connection, text)
    return _as_table(rows, names, kinds, exact=False, encoded=encoded)


def _read(connection: psycopg.Connection, text: str, zone: str, exact: bool) -> pd.DataFrame:
    """Run one query and read its rows."""
    rows, names, kinds = _copied(connection, text)
    return _as_frame(_as_table(rows, names, kinds, exact=exact), kinds, zone, exact)


def _copied(connection: psycopg.Connection, text: str) -> tuple[io.BytesIO, list[str], list[int]]:
    """Run one query through COPY, which is many times faster than rows one by one: CSV, names and type ids.

    Raises:
        FrameError: the server refuses it, or it gives no rows.
    """
    import psycopg

    try:
        names, kinds = _described(connection, text)
        rows = io.BytesIO()
        with connection.cursor().copy(f"copy (\n{text}\n) to stdout (format csv, header)".encode()) as copy:
            for block in copy:
                rows.write(block)
    except psycopg.Error as error:
        raise FrameError(f"{str(error).strip()}\nThe query was:\n{text}") from error
    return rows, names, kinds


def _described(connection: psycopg.Connection, text: str) -> tuple[list[str], list[int]]:
    """The names and type ids of what a query gives. The protocol takes no second statement here.

    Raises:
        FrameError: it gives nothing, or two columns of one name.
        psycopg.Error: the server refuses it.
    """
    import psycopg

    answer = connection.pgconn.prepare(b"", text.encode())
    if answer.status == psycopg.pq.ExecStatus.COMMAND_OK:
        answer = connection.pgconn.describe_prepared(b"")
    if answer.status != psycopg.pq.ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(answer)
    names = [(answer.fname(number) or b"").decode() for number in range(answer.nfields)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        problem = f"two columns named {', '.join(twice)}; rename one with `as`" if twice else "no rows; write a SELECT"
        raise FrameError(f"the query gives {problem}.\nThe query was:\n{text}")
    return names, [answer.ftype(number) for number in range(answer.nfields)]


def _as_table(
    rows: io.BytesIO, names: list[str], kinds: list[int], *, exact: bool, encoded: Collection[str] = ()
) -> pa.Table:
    """The CSV of a COPY as a table. NULL is an empty field, an empty text a quoted one."""
    import pyarrow as pa
    from pyarrow import csv

    types = [
        pa.dictionary(pa.int32(), pa.string()) if name in encoded else _arrow_type(kind, exact)
        for name, kind in zip(names, kinds, strict=True)
    ]
    rows.seek(0)
    return csv.read_csv(
        rows,
        read_options=csv.ReadOptions(block_size=_BLOCK),
        # A NULL in the only column is an empty line.
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=dict(zip(names, types, strict=True)),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )


def _as_frame(table: pa.Table, kinds: list[int], zone: str, exact: bool) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    made: dict[str, pd.Series[Any]] = {}
    for name, kind, arrow_type in zip(table.column_names, kinds, table.schema.types, strict=True):
        column = table[name]
        if exact and kind == _NUMERIC:
            made[name] = _decimals(column)
        elif pa.types.is_timestamp(arrow_type):
            instants = column.cast(pa.timestamp("ns", arrow_type.tz)).to_pandas()
            made[name] = instants.dt.tz_convert(zone) if arrow_type.tz else instants
        elif pa.types.is_date(arrow_type):
            made[name] = column.cast(pa.timestamp("ns")).to_pandas()
        else:
            made[name] = column.to_pandas(types_mapper=_pandas_type if column.null_count else _pandas_text)
    return pd.DataFrame(made, columns=table.column_names)


_NUMERIC = 1700  # the type id of PostgreSQL; those below too, which no version changes


def _arrow_type(kind: int, exact: bool) -> pa.DataType:
    import pyarrow as pa

    known = {
        16: pa.bool_(),
        20: pa.int64(),
        21: pa.int64(),
        23: pa.int64(),
        700: pa.float64(),
        701: pa.float64(),
        1082: pa.date32(),
        1114: pa.timestamp("us"),
        1184: pa.timestamp("us", "UTC"),
        _NUMERIC: pa.string() if exact else pa.float64(),
    }
    return known.get(kind, pa.string())


def _pandas_text(kind: pa.DataType) -> Any:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    return pd.StringDtype("pyarrow", na_value=np.nan) if kind == pa.string() else None


def _pandas_type(kind: pa.DataType) -> Any:
    """The type of a column in which a value is missing."""
    import pandas as pd
    import pyarrow as pa

    return {pa.bool_(): pd.BooleanDtype(), pa.int64(): pd.Int64Dtype()}.get(kind, _pandas_text(kind))


def _decimals(column: pa.ChunkedArray) -> pd.Series[Any]:
    from decimal import Decimal

    import pandas as pd

    return pd.Series([None if value is None else Decimal(value) for value in column.to_pylist()], dtype=object)


def _meanings() -> dict[tuple[str, str], str]:
    """Table and column ('' for the table) -> its description in the dbt project, in plain words."""
    import yaml

    models = get_settings().dbt_project / "models"
    blocks = dict(
        re.findall(r"{% docs (\w+) %}\s*(.*?)\s*{% enddocs %}", (models / "_docs.md").read_text("utf-8"), re.DOTALL)
    )

    def plain(text: str) -> str:
        filled = re.sub(r"""{{ *doc\(["'](\w+)["']\) *}}""", lambda match: blocks[match[1]], text)
        return " ".join(filled.split())

    told: dict[tuple[str, str], str] = {}
    for schema in SCHEMAS:
        described: Iterable[dict[str, Any]] = yaml.safe_load((models / schema / "_models.yml").read_text("utf-8"))[
            "models"
        ]
        for model in described:
            told[model["name"], ""] = plain(model["description"])
            for column in model["columns"]:
                told[model["name"], column["name"]] = plain(column["description"])
    return told
