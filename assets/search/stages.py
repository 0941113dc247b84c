"""What is written down of each answer, in `monitoring.answers` and in a file: stages, products, tokens, outcome."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assets.search.grounding import Fault
from assets.search.untrusted import impersonal, plain
from resources.warehouse import WarehouseError

if TYPE_CHECKING:
    import psycopg

    from resources.warehouse import Warehouse

DDL = """
create schema if not exists monitoring;
create table if not exists monitoring.answers (
    id bigint generated always as identity primary key,
    answered_at timestamptz not null,
    shop text not null,
    question_hash text not null,
    question_length int not null,
    turns int not null,
    query text not null,
    is_rewritten boolean not null,
    retrieved jsonb not null,
    seconds jsonb not null,
    tokens_in int not null,
    tokens_out int not null,
    cost double precision,
    entry text,
    model text,
    prompt_version text,
    rewrite_prompt_version text,
    outcome text not null check (outcome in ('answered', 'refused', 'left', 'failed')),
    reason text,
    cited text[] not null,
    left_out int not null,
    faults jsonb not null
);
create index if not exists answers_by_shop on monitoring.answers (shop, answered_at);
comment on table monitoring.answers is
    'One row is one question: what was searched for and found, how long each stage took, and what came of it.';
comment on column monitoring.answers.question_hash is
    'Questions that are the same have the same hash. Where nothing was said before, the query is the question itself.';
comment on column monitoring.answers.query is
    'What was searched for: the question, made one that stands for itself, without addresses of e-mail, telephone'
    ' numbers and numbers of cards, accounts and taxpayers. Names that a customer wrote stay.';
comment on column monitoring.answers.retrieved is
    'The products found, the most relevant first, each with its score, its relevance, and whether the model saw it.';
comment on column monitoring.answers.seconds is
    'Of each stage: rewrite, retrieve, fresh, write; first: until something was said; total.';
comment on column monitoring.answers.cost is 'In dollars; null where nobody knows the price.';
comment on column monitoring.answers.outcome is
    'answered; refused, for the reason given; left: whoever asked went away; failed: an error.';
comment on column monitoring.answers.left_out is 'Sentences that were not shown, in an answer that was.';
"""
_FORGET = """
delete from monitoring.answers where id in (
    select id from monitoring.answers
    where shop = %(shop)s and answered_at < clock_timestamp() - make_interval(days => %(days)s)
    limit 1000 for update skip locked
)
"""
_INSERT = """
insert into monitoring.answers (answered_at, shop, question_hash, question_length, turns, query, is_rewritten,
    retrieved, seconds, tokens_in, tokens_out, cost, entry, model, prompt_version, rewrite_prompt_version, outcome,
    reason, cited, left_out, faults)
values (%(answered_at)s, %(shop)s, %(question_hash)s, %(question_length)s, %(turns)s, %(query)s, %(is_rewritten)s,
    %(retrieved)s, %(seconds)s, %(tokens_in)s, %(tokens_out)s, %(cost)s, %(entry)s, %(model)s, %(prompt_version)s,
    %(rewrite_prompt_version)s, %(outcome)s, %(reason)s, %(cited)s, %(left_out)s, %(faults)s)
"""
LARGEST_FILE = 20_000_000
"""Bytes of the file of records; what is older is in one more of that size, `.1`, and then in the warehouse alone."""
_log = logging.getLogger("cartograph.answers")


@dataclass
class Record:
    """One question, filled in while it is answered."""

    shop: str
    question_hash: str
    question_length: int
    turns: int
    query: str = ""
    is_rewritten: bool = False
    retrieved: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = 0.0
    entry: str | None = None
    model: str | None = None
    prompt_version: str | None = None
    rewrite_prompt_version: str | None = None
    outcome: str = "failed"
    reason: str | None = None
    cited: list[str] = field(default_factory=list)
    left_out: int = 0
    faults: list[dict[str, Any]] = field(default_factory=list)
    answered_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _began: float = field(default_factory=time.perf_counter, repr=False)

    @classmethod
    def of(cls, shop: str, question: str, turns: int) -> Record:
        return cls(shop, hashlib.sha256(question.encode()).hexdigest()[:16], len(question), turns)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Take the time of a block; of several of one name, their sum."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

    def since(self, name: str) -> None:
        """Note the seconds since the beginning, once."""
        self.seconds.setdefault(name, time.perf_counter() - self._began)

    def spend(self, tokens_in: int, tokens_out: int, cost: float | None) -> None:
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.cost = None if cost is None or self.cost is None else self.cost + cost

    def blame(self, faults: Sequence[Fault]) -> None:
        self.faults += [{"kind": one.kind, "at": plain(impersonal(one.at), 200)} for one in faults]

    def to_row(self) -> dict[str, Any]:
        row = {name: value for name, value in asdict(self).items() if not name.startswith("_")}
        row["query"] = impersonal(self.query)
        row["seconds"] = {name: round(value, 6) for name, value in self.seconds.items()}
        return row


class Records:
    """Writes records down: a line of JSON in a file, a row in the warehouse. Any thread and process may write.

    Neither grows without end: the file has a size, and rows go when they are older than `CARTOGRAPH_RECORDS_DAYS`.

    An answer is not lost because its record is: what cannot be written is said in the log.
    """

    def __init__(self, warehouse: Warehouse | None, file: Path | None) -> None:
        self._warehouse, self._file = warehouse, file

    def write(self, record: Record) -> None:
        row = record.to_row()
        try:
            self._append(row)
        except OSError as error:
            _log.error(f"the record of an answer was not written to {self._file}: {error}")
        self._insert(row)

    def _append(self, row: dict[str, Any]) -> None:
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({**row, "answered_at": row["answered_at"].isoformat()}, ensure_ascii=False).encode() + b"\n"
        while not self._is_appended(self._file, line):
            pass

    @staticmethod
    def _is_appended(path: Path, line: bytes) -> bool:
        """Append a line, in a new file where this one is full; False where another process has put it aside."""
        with path.open("ab", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            held = os.fstat(file.fileno())
            if not path.exists() or not os.path.samestat(held, path.stat()):
                return False
            if held.st_size + len(line) > LARGEST_FILE and held.st_size:
                path.replace(path.with_name(f"{path.name}.1"))
                return False
            file.write(line)
            return True

    def _insert(self, row: dict[str, Any]) -> None:
        if self._warehouse is None:
            return
        import psycopg
        from psycopg.types.json import Jsonb

        row = {**row, **{name: Jsonb(row[name]) for name in ("retrieved", "seconds", "faults")}}
        try:
            with self._warehouse.connect(application="cartograph answers") as connection:
                self._ensure(connection)
                connection.execute(_INSERT, row)
                connection.execute(_FORGET, {"shop": row["shop"], "days": self._warehouse.settings.records_days})
        except (WarehouseError, psycopg.Error) as error:
            _log.error(f"the record of an answer was not written to monitoring.answers: {error}")

    def _ensure(self, connection: psycopg.Connection) -> None:
        """Make the table where it is absent."""
        found = connection.execute("select to_regclass('monitoring.answers')").fetchone()
        if found is None or found[0] is None:
            connection.execute("select pg_advisory_xact_lock(hashtextextended('cartograph ddl monitoring', 0))")
            connection.execute(DDL)
