"""What calls of language models leave behind: a record of each, the budget of a day, the cache of completions."""

from __future__ import annotations

import itertools
import logging
import threading
import weakref
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeVar

from resources.llm.config import Budget
from resources.warehouse import Warehouse, WarehouseError

if TYPE_CHECKING:
    import psycopg

DDL = """
create schema if not exists monitoring;
create schema if not exists features;

create table if not exists monitoring.llm_calls (
    call_id bigint generated always as identity primary key,
    called_at timestamptz not null default clock_timestamp(),
    shop text not null,
    purpose text not null,
    entry text not null,
    model text not null,
    prompt_name text not null,
    prompt_version text not null,
    input_hash text not null,
    status text not null check (status in ('asked', 'ok', 'failed', 'refused')),
    error text,
    attempts int not null,
    tokens_in bigint not null,
    tokens_out bigint not null,
    cost double precision,
    seconds double precision not null,
    first_token_seconds double precision,
    tokens_per_second double precision,
    is_cached boolean not null,
    run_id text
);
create index if not exists llm_calls_by_shop on monitoring.llm_calls (shop, called_at);
comment on table monitoring.llm_calls is
    'One row is one request that one entry of the section llm of config/models.yaml was asked, in all attempts.';
comment on column monitoring.llm_calls.status is
    'asked: under way, or its process died; refused: the budget was spent, and nobody was asked.';
comment on column monitoring.llm_calls.tokens_out is
    'Tokens of all attempts, as the provider counts them or, of a call that broke off, guessed; while asked, the most.';
comment on column monitoring.llm_calls.cost is 'In dollars; null where nobody knows the price of the model.';
comment on column monitoring.llm_calls.tokens_per_second is 'After the first token, of the last attempt.';

create table if not exists features.llm_cache (
    prompt_version text not null,
    model text not null,
    input_hash text not null,
    shop text not null,
    completion text not null,
    tokens_in bigint not null,
    tokens_out bigint not null,
    cost double precision,
    made_at timestamptz not null default clock_timestamp(),
    primary key (prompt_version, model, input_hash)
);
create index if not exists llm_cache_by_shop on features.llm_cache (shop, made_at);
comment on table features.llm_cache is
    'One row is what a model has said to an input under a prompt. The input itself is not kept, only its hash.';
"""
_SPENT = """
select coalesce(sum(tokens_in + tokens_out), 0)::bigint, coalesce(sum(cost), 0)::double precision
from monitoring.llm_calls
where shop = %s and not is_cached
    and called_at >= date_trunc('day', clock_timestamp() at time zone 'UTC') at time zone 'UTC'
"""
_OLD = "clock_timestamp() - make_interval(days => %s)"
# So much at a time that nobody waits for it, and no two processes for each other.
_FORGET_CALLS = f"""
delete from monitoring.llm_calls where call_id in (
    select call_id from monitoring.llm_calls where shop = %s and called_at < {_OLD}
    limit 1000 for update skip locked
)
"""
_FORGET_CACHED = f"""
delete from features.llm_cache where (prompt_version, model, input_hash) in (
    select prompt_version, model, input_hash from features.llm_cache where shop = %s and made_at < {_OLD}
    limit 1000 for update skip locked
)
"""
Result = TypeVar("Result")
_log = logging.getLogger("cartograph.llm")


class BudgetError(RuntimeError):
    """What a shop may use in a day is spent; the message says how much it is, and what to do."""


@dataclass(frozen=True)
class Asked:
    """What is known of a call before it is made."""

    shop: str
    purpose: str
    entry: str
    model: str
    prompt_name: str
    prompt_version: str
    input_hash: str
    run_id: str | None


@dataclass(frozen=True)
class Outcome:
    """What came of a call. `cost` is None where the model's price is not known."""

    status: Literal["asked", "ok", "failed", "refused"]
    error: str | None = None
    attempts: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None
    seconds: float = 0.0
    first_token_seconds: float | None = None
    tokens_per_second: float | None = None
    is_cached: bool = False

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out


_COLUMNS = [field.name for kind in (Asked, Outcome) for field in fields(kind)]
_INSERT = (
    f"insert into monitoring.llm_calls ({', '.join(_COLUMNS)}) values ({', '.join(['%s'] * len(_COLUMNS))})"
    " returning call_id"
)
_SETTLE = (
    f"update monitoring.llm_calls set {', '.join(f'{field.name} = %s' for field in fields(Outcome))} where call_id = %s"
)


class Cached(NamedTuple):
    """A completion that is kept, and what it has cost."""

    text: str
    tokens_in: int
    tokens_out: int
    cost: float | None


class Ledger(Protocol):
    """Where calls are written down."""

    def reserve(self, asked: Asked, most: Outcome, budget: Budget) -> int:
        """Set aside the most that a call may use; gives its number.

        Raises:
            BudgetError: it would be more than the shop may use today.
            WarehouseError: it cannot be known.
        """

    def settle(self, number: int, asked: Asked, outcome: Outcome) -> None:
        """Put what was used in the place of what was set aside. Never fails."""

    def write(self, asked: Asked, outcome: Outcome) -> None:
        """Write down a call that nothing was set aside for. Never fails."""

    def cached(self, asked: Asked) -> Cached | None:
        """What the model has said to this input before.

        Raises:
            WarehouseError: it cannot be known.
        """

    def keep(self, asked: Asked, cached: Cached) -> None:
        """Keep what the model has said. Never fails."""


class MemoryLedger:
    """The budget alone, of this process; nothing is recorded or cached."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._day = date.min
        self._used: dict[str, tuple[int, float]] = {}
        """By shop, the tokens and dollars that are used or set aside on this day."""
        self._aside: dict[int, tuple[date, int, float]] = {}
        """By call that is under way, its day and what is set aside for it."""

    def reserve(self, asked: Asked, most: Outcome, budget: Budget) -> int:
        day = datetime.now(UTC).date()
        with self._lock:
            if day != self._day:
                self._day, self._used = day, {}
            _hold(asked.shop, budget, *self._used.get(asked.shop, (0, 0.0)), most)
            number = next(self._numbers)
            self._aside[number] = day, most.tokens, most.cost or 0.0
            self._use(asked.shop, most.tokens, most.cost or 0.0)
            return number

    def settle(self, number: int, asked: Asked, outcome: Outcome) -> None:
        with self._lock:
            day, tokens, cost = self._aside.pop(number)
            if day == self._day:
                self._use(asked.shop, outcome.tokens - tokens, (outcome.cost or 0.0) - cost)

    def _use(self, shop: str, tokens: int, cost: float) -> None:
        before = self._used.get(shop, (0, 0.0))
        self._used[shop] = before[0] + tokens, before[1] + cost

    def write(self, asked: Asked, outcome: Outcome) -> None:
        return

    def cached(self, asked: Asked) -> Cached | None:
        return None

    def keep(self, asked: Asked, cached: Cached) -> None:
        return


class TableLedger:
    """The tables `monitoring.llm_calls` and `features.llm_cache` of a warehouse, which all processes share.

    What a call may use is set aside in its row before it is made: however many processes ask at once, together they
    keep the budget. The row of a process that was killed counts with the most that it may have used. What is older than
    `CARTOGRAPH_RECORDS_DAYS` goes with each new row; a stored summary has its model, prompt and cost in its own row.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._lock = threading.Lock()
        self._connection: psycopg.Connection | None = None

    def reserve(self, asked: Asked, most: Outcome, budget: Budget) -> int:
        def work(connection: psycopg.Connection) -> int | BudgetError:
            # To the commit, nobody else sets aside for this shop.
            connection.execute(
                "select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"cartograph llm budget {asked.shop}"]
            )
            tokens, cost = connection.execute(_SPENT, [asked.shop]).fetchone() or (0, 0.0)
            try:
                _hold(asked.shop, budget, tokens, cost, most)
            except BudgetError as error:
                self._insert(connection, asked, Outcome("refused", str(error)))
                return error
            return self._insert(connection, asked, most)

        made = self._run(work)
        if isinstance(made, BudgetError):
            raise made
        return made

    def settle(self, number: int, asked: Asked, outcome: Outcome) -> None:
        values = [*_values(outcome), number]
        self._try(lambda connection: connection.execute(_SETTLE, values), asked)

    def write(self, asked: Asked, outcome: Outcome) -> None:
        self._try(lambda connection: self._insert(connection, asked, outcome), asked)

    def cached(self, asked: Asked) -> Cached | None:
        row = self._run(
            lambda connection: connection.execute(
                "select completion, tokens_in, tokens_out, cost from features.llm_cache"
                " where prompt_version = %s and model = %s and input_hash = %s",
                [asked.prompt_version, asked.model, asked.input_hash],
            ).fetchone()
        )
        return None if row is None else Cached(*row)

    def keep(self, asked: Asked, cached: Cached) -> None:
        def work(connection: psycopg.Connection) -> None:
            connection.execute(
                "insert into features.llm_cache (prompt_version, model, input_hash, shop, completion, tokens_in,"
                " tokens_out, cost) values (%s, %s, %s, %s, %s, %s, %s, %s)"
                " on conflict (prompt_version, model, input_hash) do update set completion = excluded.completion,"
                " tokens_in = excluded.tokens_in, tokens_out = excluded.tokens_out, cost = excluded.cost,"
                " made_at = clock_timestamp()",
                # Postgres' text holds no NUL.
                [
                    asked.prompt_version,
                    asked.model,
                    asked.input_hash,
                    asked.shop,
                    cached.text.replace("\0", ""),
                    *cached[1:],
                ],
            )
            connection.execute(_FORGET_CACHED, [asked.shop, self._warehouse.settings.records_days])

        self._try(work, asked)

    def _insert(self, connection: psycopg.Connection, asked: Asked, outcome: Outcome) -> int:
        row = connection.execute(_INSERT, [*astuple(asked), *_values(outcome)]).fetchone()
        assert row is not None, "an insert gives its key"
        connection.execute(_FORGET_CALLS, [asked.shop, self._warehouse.settings.records_days])
        return int(row[0])

    def _try(self, work: Callable[[psycopg.Connection], object], asked: Asked) -> None:
        """Do without a record rather than without an answer that was paid for."""
        try:
            self._run(work)
        except WarehouseError as error:
            _log.error("a call of %s for %s could not be recorded: %s", asked.entry, asked.shop, error)

    def _run(self, work: Callable[[psycopg.Connection], Result]) -> Result:
        """One transaction, on a connection that is kept; on a new one where that has died meanwhile.

        Raises:
            WarehouseError: the server does not answer, or refuses.
        """
        import psycopg

        with self._lock:
            is_kept = self._connection is not None and not self._connection.closed
            try:
                try:
                    return self._transact(work)
                except (psycopg.OperationalError, psycopg.InterfaceError):
                    if not is_kept:
                        raise
                    self._hang_up()
                    return self._transact(work)
            except psycopg.Error as error:
                self._hang_up()
                raise WarehouseError(f"the records of language models: {str(error).strip()}") from error

    def _transact(self, work: Callable[[psycopg.Connection], Result]) -> Result:
        if self._connection is None or self._connection.closed:
            self._connection = self._warehouse.connect(
                application="cartograph llm",
                autocommit=True,
                # Nobody waits for a disk: what a power cut takes from the last second is a record, not an answer.
                options="-c synchronous_commit=off",
            )
            weakref.finalize(self, self._connection.close)
            _ensure(self._connection)
        with self._connection.transaction():
            return work(self._connection)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _ensure(connection: psycopg.Connection) -> None:
    row = connection.execute("select to_regclass('features.llm_cache')").fetchone()
    if row is not None and row[0] is not None:
        return
    with connection.transaction():
        # `if not exists` alone fails where two make the same table at once.
        connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph llm', 0))")
        connection.execute(DDL)


def _hold(shop: str, budget: Budget, tokens: int, cost: float, most: Outcome) -> None:
    more = most.tokens
    if tokens + more > budget.tokens:
        spent = f"{tokens} of {budget.tokens} tokens are used or set aside, and this call may take {more}"
        key = "tokens"
    elif most.cost is not None and most.cost > 0 and cost + most.cost > budget.cost:
        spent = f"${cost:.4f} of ${budget.cost:.4f} are used or set aside, and this call may take ${most.cost:.4f}"
        key = "cost"
    else:
        return
    raise BudgetError(
        f"the budget of {shop} for today (UTC) is spent: {spent}. Raise llm.defaults.budget.{key} in"
        " config/models.yaml, or wait for tomorrow."
    )


def _values(outcome: Outcome) -> tuple[object, ...]:
    # Postgres' text holds no NUL.
    return astuple(replace(outcome, error=outcome.error and outcome.error.replace("\0", "")))
