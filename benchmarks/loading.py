"""The load path: Parquet to raw beside a bare COPY of the same rows, and beside dlt; and its peak memory."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from benchmarks.measure import Memory, scratch
from resources.settings import PROJECT_ROOT, load_settings

if TYPE_CHECKING:
    import pyarrow as pa

    from assets.extracts.declared import Declared
    from resources.shops import Shop

SHOP = "bench"
DLT = ("dlt[postgres,filesystem]==1.31.0", "pyarrow>=25,<26", "adbc-driver-postgresql==1.13.0", "adbc-driver-manager")
"""What the comparison with dlt installs, into an environment of its own."""
BLOCK = 250_000
"""Rows that are made at a time."""


@dataclass(frozen=True)
class Kind:
    """A kind of table that is loaded."""

    name: str
    rows: int
    columns: tuple[tuple[str, str], ...]
    """Names and Postgres types."""
    cursor: str

    def block(self, first: int, rows: int) -> pa.Table:
        """Some rows, the same ones for the same arguments."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        dice = np.random.default_rng(first)
        micros = 1_430_000_000_000_000 + (first + np.arange(rows)) * 4_000_000 + dice.integers(0, 999_999, rows)
        at = pa.array(micros, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
        if self.name == "events":
            kinds = dice.choice(3, rows, p=[0.967, 0.025, 0.008])
            bought = pa.array(np.where(kinds == 2, dice.integers(0, 17_672, rows), 0), mask=kinds != 2)
            return pa.table(
                {
                    "timestamp": at,
                    "visitorid": dice.integers(0, 1_407_580, rows),
                    "event": pa.array(["view", "addtocart", "transaction"]).take(pa.array(kinds)),
                    "itemid": dice.integers(0, 466_867, rows),
                    "transactionid": bought.cast(pa.int64()),
                }
            )
        words = np.array(
            ['a lamp of "glass"', "it's, well, blue", "two\nlines", "C:\\new", "naïve 茶碗", "plain", "", "\\N"]
        )
        columns: dict[str, Any] = {"id": np.arange(first, first + rows), "at": at}
        for number in range(10):
            picked = dice.integers(0, len(words), (3, rows))
            text = pc.binary_join_element_wise(*(pa.array(words[row]) for row in picked), " / ")
            columns[f"text_{number}"] = pc.if_else(
                pa.array(dice.random(rows) < 0.1), pa.scalar(None, pa.string()), text
            )
        for number in range(4):
            cents = pa.array(dice.integers(0, 10**9, rows)).cast(pa.decimal128(23, 4))
            columns[f"amount_{number}"] = cents.cast(pa.decimal128(18, 4))
        columns["flag"] = dice.random(rows) < 0.5
        return pa.table(columns)

    def write(self, path: Path, rows: int) -> None:
        """Write a Parquet file of so many rows."""
        import pyarrow.parquet as pq

        schema = self.block(0, 1).schema
        with pq.ParquetWriter(path, schema) as writer:
            for first in range(0, rows, BLOCK):
                writer.write_table(self.block(first, min(BLOCK, rows - first)).cast(schema))

    def declared(self) -> tuple[Shop, Declared]:
        """The shop and the declaration under which the file is loaded."""
        from assets.extracts.declared import Column, Declared
        from resources.shops import Shop

        shop = Shop(
            name=SHOP,
            title="Benchmark",
            timezone="UTC",
            currency="USD",
            language="en",
            live=False,
            provides=["events"],
            source={"kind": "objects"},  # type: ignore[arg-type]
            tables={self.name: {"objects": ["*"], "cursor": self.cursor}},  # type: ignore[dict-item]
        )
        columns = tuple(Column(name, kind, not_null=name == self.cursor) for name, kind in self.columns)
        return shop, Declared(SHOP, self.name, columns, Path("_sources.yml"))


EVENTS = Kind(
    "events",
    2_750_000,
    (
        ("timestamp", "timestamptz"),
        ("visitorid", "bigint"),
        ("event", "text"),
        ("itemid", "bigint"),
        ("transactionid", "bigint"),
    ),
    "timestamp",
)
WIDE = Kind(
    "wide",
    500_000,
    (
        ("id", "bigint"),
        ("at", "timestamptz"),
        *((f"text_{number}", "text") for number in range(10)),
        *((f"amount_{number}", "numeric(18,4)") for number in range(4)),
        ("flag", "boolean"),
    ),
    "at",
)


def bare_copy(connection: Any, kind: Kind, data: bytes, form: str) -> float:
    """Seconds of a COPY of what lies in memory, into a new table of the same columns, committed."""
    from psycopg import sql

    connection.execute("drop table if exists public.bare")
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in kind.columns
    )
    connection.execute(sql.SQL("create table public.bare ({})").format(columns))
    connection.commit()
    statement = sql.SQL("copy public.bare from stdin (format {})").format(sql.SQL(form))
    began = time.perf_counter()
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for start in range(0, len(data), 1 << 20):
            copy.write(data[start : start + (1 << 20)])
    connection.commit()
    return time.perf_counter() - began


def as_csv(file: Path) -> bytes:
    """The rows as a COPY of text takes them."""
    import io

    import pyarrow.csv as csv
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    csv.write_csv(pq.read_table(file), sink, csv.WriteOptions(include_header=False))
    return sink.getvalue()


def as_binary(kind: Kind, file: Path) -> bytes:
    """The rows as a binary COPY takes them: what a client that has nothing else to do would have ready."""
    import pgpq
    import pyarrow as pa
    import pyarrow.parquet as pq

    _, declared = kind.declared()
    schema = pa.schema([(column.name, column.arrow_type) for column in declared.columns])
    encoder = pgpq.ArrowToPostgresBinaryEncoder(schema)
    batches = pq.read_table(file).cast(schema).to_batches(max_chunksize=65_536)
    return b"".join([encoder.write_header(), *map(encoder.write_batch, batches), encoder.finish()])


def extract(home: Path, kind: Kind, file: Path) -> tuple[float, int]:
    """Seconds of the whole extract of a file into a raw table that was not there, and its rows."""
    from psycopg import sql

    from assets.extracts.extract import extract_table
    from resources.lake import Lake
    from resources.objects import ObjectStore
    from resources.warehouse import Warehouse

    warehouse = Warehouse(load_settings(home=home))
    shop, declared = kind.declared()
    with warehouse.connect() as connection:
        connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(shop.raw_schema)))
        if connection.execute("select to_regclass('ledger.extracts')").fetchone() != (None,):
            for table in ("extracts", "objects", "changes"):
                connection.execute(
                    sql.SQL("delete from {} where shop = %s").format(sql.Identifier("ledger", table)), [SHOP]
                )
    began = time.perf_counter()
    report = extract_table(
        warehouse, Lake(str(home / "lake")), ObjectStore(str(file.parent)), shop, kind.name, str, declared
    )
    seconds = time.perf_counter() - began
    if report.failed:
        raise SystemExit(str(report.failed[0]))
    return seconds, report.totals["rows"]


def against_copy(home: Path, folder: Path, kind: Kind, rounds: int) -> None:
    """One line of the table: the bare COPYs and the extract in turn, and the ratio of each pair."""
    from resources.warehouse import Warehouse

    file = folder / kind.name / "part.parquet"
    file.parent.mkdir()
    kind.write(file, kind.rows)
    text, binary = as_csv(file), as_binary(kind, file)
    found = []
    with Warehouse(load_settings(home=home)).connect() as connection:
        for _ in range(rounds):
            bare = bare_copy(connection, kind, text, "csv")
            best = bare_copy(connection, kind, binary, "binary")
            ours, _ = extract(home, kind, file)
            found.append((bare / ours, bare, best, ours))
    ratio, bare, best, ours = sorted(found)[len(found) // 2]
    every = ", ".join(f"{each[0]:.2f}" for each in found)
    print(
        f"| {kind.name}: {kind.rows:,} rows x {len(kind.columns)} | {bare:.2f} | {best:.2f} | {ours:.2f} "
        f"| {kind.rows / ours:,.0f} | {ratio:.2f} ({every}) | {best / ours:.2f} |",
        flush=True,
    )
    shutil.rmtree(file.parent)


def against_dlt(home: Path, folder: Path, kind: Kind, rows_by_default: int) -> None:
    """The same rows through dlt: on its fast path all of them, by its defaults fewer, for it takes minutes."""
    from urllib.parse import parse_qs, urlsplit

    from resources.warehouse import Warehouse

    environment = folder / "dlt"
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
    installed = environment / "bin" / "python"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(installed), *DLT], check=True)
    warehouse = Warehouse(load_settings(home=home))
    socket = parse_qs(urlsplit(warehouse.url()).query)["host"][0]
    url = f"postgresql://postgres:none@localhost/cartograph?host={socket}"
    print("\n| Parquet to Postgres | rows | seconds | rows/s | our speed is |\n| --- | ---: | ---: | ---: | ---: |")
    for way, rows in (("fast", kind.rows), ("defaults", rows_by_default)):
        file = folder / f"{kind.name}_{way}" / "part.parquet"
        file.parent.mkdir()
        kind.write(file, rows)
        with warehouse.connect() as connection:
            connection.execute("drop schema if exists dlt_fast cascade")
            connection.execute("drop schema if exists dlt_defaults cascade")
        command = [str(installed), str(PROJECT_ROOT / "benchmarks" / "dlt_load.py"), str(file.parent), url, way]
        theirs = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
        ours, _ = extract(home, kind, file)
        print(f"| dlt 1.31.0, {way} | {rows:,} | {theirs:.1f} | {rows / theirs:,.0f} | {theirs / ours:.1f} times |")
        print(f"| extract | {rows:,} | {ours:.1f} | {rows / ours:,.0f} | |", flush=True)
        shutil.rmtree(file.parent)


def _extract_alone(home: Path, kind: Kind, file: Path) -> None:
    extract(home, kind, file)


def memory(home: Path, folder: Path, kind: Kind, sizes: list[int]) -> None:
    """The peak memory of a process of its own that extracts a file, for files of some sizes."""
    context = multiprocessing.get_context("spawn")
    print("\n| extract in a process of its own | peak MB | seconds |\n| --- | ---: | ---: |")
    for rows in sizes:
        file = folder / f"{kind.name}_{rows}" / "part.parquet"
        file.parent.mkdir()
        kind.write(file, rows)
        process = context.Process(target=_extract_alone, args=(home, kind, file))
        process.start()
        began = time.perf_counter()
        with Memory(psutil.Process(process.pid)) as measured:
            process.join()
        if process.exitcode:
            raise SystemExit(f"the extract of {rows:,} rows failed")
        print(f"| {kind.name}, {rows:,} rows | {measured.peak:.0f} | {time.perf_counter() - began:.1f} |", flush=True)
        file.unlink()


def measure(folder: Path, rounds: int, dlt: bool) -> None:
    """All tables of the load path.

    Args:
        rounds: how often each pair is run; the median counts.
        dlt: whether dlt is measured too, which is installed for it.
    """
    from resources.embedded_postgres import ensure, release

    home = folder / "loading"
    ensure(home)
    print("| Parquet to raw | COPY of CSV s | of binary s | extract s | rows/s | of CSV's speed | of binary's |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind in (EVENTS, WIDE):
        against_copy(home, folder, kind, rounds)
    if dlt:
        against_dlt(home, folder, EVENTS, 300_000)
    memory(home, folder, EVENTS, [500_000, 5_000_000])
    release(home)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="How often each pair is run; the median counts.")
    parser.add_argument("--no-dlt", action="store_true", help="Leave out dlt, which is installed for it.")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    with scratch() as folder:
        folder.chmod(0o755)
        measure(folder, arguments.rounds, not arguments.no_dlt)


if __name__ == "__main__":
    main()
