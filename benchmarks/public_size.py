"""`make bench-public`: RetailRocket and theLook at their public sizes, loaded and modelled, then some days more."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measure import cartograph, one_shop, scratch, writes
from resources.embedded_postgres import ensure, release

SHOPS = ("retailrocket", "thelook")
MORE_DAYS = 2


def megabytes(folder: Path) -> int:
    """Disk that a folder takes."""
    return int(subprocess.run(["du", "-sm", str(folder)], capture_output=True, text=True, check=True).stdout.split()[0])


def measure(folder: Path, shop: str, scale: float) -> None:
    """One shop from nothing to its marts, again with nothing new, and with the days that came since."""
    home = folder / shop
    last = datetime.now(UTC).date() - timedelta(days=1 + MORE_DAYS)
    print(f"\n| {shop} at {scale:g} of its public size | seconds | peak MB |\n| --- | ---: | ---: |", flush=True)

    def line(what: str, *arguments: str) -> float:
        seconds, peak, _ = cartograph(home, *arguments)
        print(f"| {what} | {seconds:.1f} | {peak:.0f} |", flush=True)
        return seconds

    days = importlib.import_module(f"simulator.{shop}").PUBLIC_DAYS
    line("simulated", "simulate", shop, "--scale", str(scale), "--days", str(days), "--until", last.isoformat())
    ensure(home)
    try:
        extracted = line("extracted", "materialize", "group:raw")
        built = line("contract, marts, tests, `shop_ready`", "materialize")
        before = writes(home)
        empty = line("again, nothing new", "materialize")
        print(f"| rows written by it: {writes(home) - before} | | |")
        line(f"{MORE_DAYS} more days simulated", "simulate", shop)
        more = line(f"{MORE_DAYS} more days, extracted, built, tested", "materialize")
        ratio = (more - empty) / (extracted + built - empty)
        print(f"| (t1 - t0) / (t_full - t0) = {ratio:.3f} | | |")
    finally:
        release(home)
    parts = ", ".join(f"{part} {megabytes(home / part):,} MB" for part in ("inbox", "lake", "postgres"))
    print(f"| disk: {parts} | | |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shops", nargs="*", default=SHOPS, help=f"Default: {' '.join(SHOPS)}.")
    parser.add_argument("--scale", type=float, default=1.0, help="Share of the public size.")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with scratch() as folder:
        folder.chmod(0o755)
        for shop in arguments.shops:
            with one_shop(folder, shop):
                measure(folder, shop, arguments.scale)


if __name__ == "__main__":
    main()
