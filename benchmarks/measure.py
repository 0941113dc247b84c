"""What the benchmarks share: commands run to their end with seconds and peak memory, scratch homes, counted writes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from resources.settings import load_settings


class Memory:
    """The peak memory of a process tree and of the database server, sampled while a block runs."""

    def __init__(self, process: psutil.Process) -> None:
        self.process = process
        self.peak = 0.0
        self.done = threading.Event()

    def __enter__(self) -> Memory:
        self.thread = threading.Thread(target=self._sample, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def _sample(self) -> None:
        while not self.done.wait(0.05):
            total = 0.0
            try:
                tree = [self.process, *self.process.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            for item in tree:
                # Postgres' workers share their buffers, which would be counted once for each: it is left out here.
                try:
                    if "postgres" not in item.name():
                        total += item.memory_full_info().uss
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
            self.peak = max(self.peak, total / 1e6)


def cartograph(home: Path, *arguments: str) -> tuple[float, float, str]:
    """Run the command; returns seconds, peak MB of its processes, and what it printed."""
    began = time.perf_counter()
    command = [str(Path(sys.executable).parent / "cartograph"), "--home", str(home), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with Memory(psutil.Process(process.pid)) as memory:
        output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{output}")
    return time.perf_counter() - began, memory.peak, output


@contextmanager
def scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="cgbench"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def writes(home: Path) -> int:
    """Inserts, updates and deletes that the server has counted on raw, staging, contract, marts and ledger."""
    from resources.warehouse import Warehouse

    with Warehouse(load_settings(home=home)).connect() as connection:
        row = connection.execute(
            "select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) from pg_stat_user_tables"
            " where schemaname like 'raw\\_%' or schemaname in ('staging', 'contract', 'marts', 'ledger')"
        ).fetchone()
    return int(row[0]) if row else 0


@contextmanager
def one_shop(folder: Path, shop: str) -> Iterator[None]:
    """Configure one shop alone while a block runs: its figures are not those of how many others there are."""
    import yaml

    from resources.environment import environment

    entry = yaml.safe_load(load_settings().shops_file.read_text(encoding="utf-8"))["shops"][shop]
    path = folder / f"{shop}.yaml"
    path.write_text(yaml.safe_dump({"shops": {shop: entry}}, sort_keys=False), encoding="utf-8")
    with environment({"CARTOGRAPH_SHOPS_FILE": str(path)}):
        yield
