"""Summaries: seconds for a month of each shop's days with the narrator.

    python -m benchmarks.summaries --home HOME

The last month of the home's summaries is written anew, by the narrator. What the checker lets pass is told by
`python -m benchmarks.summary_faults`.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import yaml

from assets.summaries.assets import shops_with_days
from assets.summaries.config import SummariesConfig
from assets.summaries.facts import closed_days, read
from assets.summaries.filling import fill
from assets.summaries.store import ensure_facts, ensure_summaries, forget_summaries, keep_facts
from benchmarks.measure import scratch
from resources.embedded_postgres import release
from resources.llm.client import Llm
from resources.llm.engine import ready
from resources.models import MODELS_FILE
from resources.settings import load_settings
from resources.shops import load_shops
from resources.warehouse import Warehouse

MONTH = SummariesConfig(days=30, at_once=4, attempts=2)


def measure(home: Path) -> None:
    """Write the last month of each shop of a home: facts, then summaries, then again with nothing to do."""
    settings = load_settings(home=home)
    warehouse, shops = Warehouse(settings), load_shops(settings.shops_file)
    with scratch() as folder:
        data = yaml.safe_load(MODELS_FILE.read_text(encoding="utf-8"))
        data["llm"]["defaults"]["use"] = ["narrator"]
        models = folder / "models.yaml"
        models.write_text(yaml.safe_dump(data), encoding="utf-8")
        llm = Llm(settings, models, warehouse=warehouse)
        began = time.perf_counter()
        # What the first request of a process would wait for.
        ready(["narrator/v1"])
        print(f"litellm is imported, once in a process: {time.perf_counter() - began:.1f} s\n")
        print("| shop | days | facts | seconds: facts | summaries | again, nothing to do |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        total = 0.0
        for name in shops_with_days(shops):
            with warehouse.connect() as connection:
                ensure_facts(connection)
                ensure_summaries(connection)
                span = closed_days(connection, name, MONTH.days)
                if span is None:
                    continue
                connection.execute("delete from features.daily_facts where shop = %s", [name])
                began = time.perf_counter()
                snapshot = read(connection, shops[name], *span)
                keep_facts(connection, snapshot)
                forget_summaries(connection, name, [one.day for one in snapshot.days])
            facts = time.perf_counter() - began
            filled = [fill(warehouse, llm, shops[name], MONTH, lambda line: None) for _ in range(2)]
            assert len(filled[0].written) == len(snapshot.days)
            assert not filled[1].written
            number = sum(len(one.facts) for one in snapshot.days)
            row = f"| {name} | {len(snapshot.days)} | {number:,} | {facts:.2f} | {filled[0].seconds:.2f}"
            print(f"{row} | {filled[1].seconds:.2f} |")
            total += facts + filled[0].seconds
        print(f"| all | | | | {total:.1f} | |")
    release(home)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    measure(parser.parse_args().home)


if __name__ == "__main__":
    main()
