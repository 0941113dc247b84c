"""`make bench`: measures what docs/benchmarks.md reports, and prints it as the tables of that page.

Speeds are ratios taken side by side in one run; times are of this machine and this moment.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import time
from pathlib import Path

from benchmarks.measure import cartograph, scratch, writes
from resources.settings import PROJECT_ROOT, load_settings

SHOP, TABLE = "online_retail", "invoice_lines"


def whole_file(home: Path, file: Path) -> None:
    """The full file: load, build and test; again with nothing new; then with one more day."""
    from resources.embedded_postgres import ensure, release

    ensure(home)
    print("| what | seconds | peak MB |\n| --- | ---: | ---: |")
    cartograph(home, "upload", SHOP, str(file))
    seconds, peak, _ = cartograph(home, "materialize", "group:raw")
    print(f"| {file.name}: extract alone | {seconds:.1f} | {peak:.0f} |")
    seconds, peak, _ = cartograph(home, "materialize")
    print(f"| contract, marts, tests, shop_ready | {seconds:.1f} | {peak:.0f} |")
    before = writes(home)
    seconds, peak, _ = cartograph(home, "materialize")
    print(f"| again, nothing new: {writes(home) - before} rows written | {seconds:.1f} | {peak:.0f} |")
    day = home / "one_day.csv"
    day.write_text(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        + "".join(
            f"9{n:05d},22423,REGENCY CAKESTAND,1,2011-12-08 10:{n % 60:02d}:00,12.75,17850,United Kingdom\n"
            for n in range(500)
        )
    )
    cartograph(home, "upload", SHOP, str(day))
    seconds, peak, _ = cartograph(home, "materialize")
    print(f"| inbox to mart: 500 more lines of one day | {seconds:.1f} | {peak:.0f} |")
    release(home)


def against_copy(home: Path, file: Path) -> None:
    """The load of the committed lake file beside a bare COPY of the same rows into a table of the same columns."""
    from assets.extracts.ledger import active_extracts
    from resources.lake import Lake
    from resources.warehouse import Warehouse

    settings = load_settings(home=home)
    text = file.read_bytes() if file.suffix != ".gz" else gzip.decompress(file.read_bytes())
    with Warehouse(settings).connect() as connection:
        extract = max(active_extracts(connection, SHOP, TABLE), key=lambda item: item.rows)
        lake = Lake(settings.lake_location)
        connection.execute(f"create temp table bare (like raw_{SHOP}.{TABLE})")
        connection.execute("alter table bare drop column _extract_id")
        connection.execute(f"create table public.ours (like raw_{SHOP}.{TABLE})")
        ratios = []
        for _ in range(3):
            connection.execute("truncate bare")
            began = time.perf_counter()
            with connection.cursor() as cursor, cursor.copy("copy bare from stdin (format csv, header)") as copy:
                for start in range(0, len(text), 1 << 20):
                    copy.write(text[start : start + (1 << 20)])
            bare = time.perf_counter() - began
            began = time.perf_counter()
            copy_lake_file(connection, lake, extract.lake_name)
            ours = time.perf_counter() - began
            ratios.append((bare / ours, bare, ours))
            connection.execute("truncate public.ours")
        connection.execute("drop table public.ours")
    ratio, bare, ours = sorted(ratios)[1]
    print("\n| load into Postgres | seconds | of the bare COPY's speed |\n| --- | ---: | ---: |")
    print(f"| bare COPY of the CSV, bytes in memory | {bare:.2f} | 1 |")
    print(f"| lake file to raw table, checked and with its extract id | {ours:.2f} | {ratio:.2f} |")


def copy_lake_file(connection: object, lake: object, name: str) -> None:
    """The load path's own COPY, into the scratch table."""
    from assets.extracts.declared import declared_table
    from assets.extracts.extract import copy_into

    columns = list(declared_table(SHOP, TABLE).columns)
    copy_into(connection, lake, name, ("public", "ours"), columns, 1)  # type: ignore[arg-type]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--file", type=Path, help="The Online Retail file; default: the real one where it is, else a simulated one."
    )
    arguments = parser.parse_args()
    real = (
        Path(os.environ.get("CARTOGRAPH_REAL_DATA", PROJECT_ROOT.parent / "shared" / "data"))
        / "online_retail"
        / "OnlineRetail.csv.gz"
    )
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    with scratch() as folder:
        file = arguments.file or real
        if not file.exists():
            from simulator.online_retail import write_csv

            file = folder / "OnlineRetail.csv.gz"
            write_csv(file, lines=541_909)
        home = folder / "home"
        whole_file(home, file)
        against_copy(home, file)
        seconds, peak, _ = cartograph(folder / "demo", "demo")
        print("\n| the demo | seconds | peak MB |\n| --- | ---: | ---: |")
        print(f"| `cartograph demo` with the environment there | {seconds:.1f} | {peak:.0f} |")


if __name__ == "__main__":
    main()
