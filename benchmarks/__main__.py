"""`make bench`: measures what docs/benchmarks.md reports, and prints it as the tables of that page.

Speeds are ratios taken side by side in one run; times are of this machine and this moment.
"""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

from benchmarks import answers, api, llm, loading, recommender, streaming, summaries, summary_faults
from benchmarks.measure import cartograph, one_shop, scratch, writes
from resources.settings import PROJECT_ROOT

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
        folder.chmod(0o755)
        file = arguments.file or real
        if not file.exists():
            from simulator.online_retail import write_csv

            file = folder / "OnlineRetail.csv.gz"
            write_csv(file, lines=541_909)
        home = folder / "home"
        with one_shop(folder, SHOP):
            whole_file(home, file)
        seconds, peak, _ = cartograph(folder / "demo", "demo")
        print("\n| the demo | seconds | peak MB |\n| --- | ---: | ---: |")
        print(f"| `cartograph demo` with the environment there | {seconds:.1f} | {peak:.0f} |\n")
        summaries.measure(folder / "demo")
        print()
        summary_faults.measure()
        print()
        answers.measure(answers.made(folder / "answers"))
        print()
        loading.measure(folder, rounds=5, dlt=True)
        print()
        streaming.measure(folder)
        print()
        recommender.measure()
        print()
        place = folder / "llm"
        place.mkdir(mode=0o755)
        llm.measure(place)
        print()
        # The last, for it keeps this process to one core.
        place = folder / "api"
        place.mkdir(mode=0o755)
        api.measure(place)


if __name__ == "__main__":
    main()
