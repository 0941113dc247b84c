"""The rules of objects: each record of a source is in its raw table once, however often it came."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from assets.extracts.declared import DeclarationError
from assets.extracts.extract import plan
from assets.extracts.ledger import Extract
from resources.objects import ObjectInfo
from resources.settings import PROJECT_ROOT
from tests.rig import NAME, TABLE, Rig, row, rows, sheet


def days_of(lines: list[str]) -> set[date]:
    return {date.fromisoformat(line.split(",")[4][:10]) for line in lines}


def numbers(rig: Rig) -> list[int]:
    """Which of the made rows are in the raw table."""
    return sorted(int(number) - 536365 for (number,) in rig.table("invoice_no"))


def changes_since(rig: Rig, change: int) -> set[date | None]:
    return {
        day for (day,) in rig.query("select day from ledger.changes where shop = %s and change_id > %s", NAME, change)
    }


def last_change(rig: Rig) -> int:
    return rig.query("select coalesce(max(change_id), 0) from ledger.changes")[0][0]  # type: ignore[no-any-return]


def consistent(rig: Rig) -> None:
    """The ledger says of the raw table what is true, and points to lake files that are whole."""
    active = rig.query(
        "select extract_id, rows, rejected, lake_name from ledger.extracts where shop = %s and removed_at is null", NAME
    )
    counts = dict(rig.query(f"select _extract_id, count(*) from raw_{NAME}.{TABLE} group by 1"))
    rejects = dict(rig.query(f"select extract_id, count(*) from raw_{NAME}.rejects group by 1"))
    assert {key: rows for key, rows, _, _ in active if rows} == counts
    assert {key: rejected for key, _, rejected, _ in active if rejected} == rejects
    for _, rows_, _, lake_name in active:
        assert rig.lake.open(lake_name).metadata.num_rows == rows_
    assert {day for (day,) in rig.query(f"select distinct invoice_date::date from raw_{NAME}.{TABLE}")} <= rig.days()


# ---- names and bytes -------------------------------------------------------------------------------------------------


def test_a_first_load_and_a_second_run(rig: Rig) -> None:
    report = rig.load("a.csv", rows(50))
    assert (report.loaded[0].rows, report.loaded[0].bytes) == (50, len(sheet(rows(50))))
    assert (report.totals["rows"], report.totals["cursor_low"][:10]) == (50, "2010-12-01")
    assert rig.days() == days_of(rows(50))
    assert report.sample and "invoice_no" in report.sample[0]
    consistent(rig)
    again = rig.run()
    assert again.is_unchanged and not again.skipped and not again.failed
    assert again.data_version == report.data_version


def test_the_same_bytes_under_a_new_name_are_skipped_and_said(rig: Rig) -> None:
    version = rig.load("a.csv", rows(20)).data_version
    change = last_change(rig)
    report = rig.load("copy of a.csv", rows(20))
    reason = f"the same bytes as {rig.inbox}/a.csv, which is loaded"
    assert report.skipped == {f"{rig.inbox}/copy of a.csv": reason}
    assert f"skipped copy of a.csv: {reason}" in rig.said
    assert report.is_unchanged and report.data_version == version and last_change(rig) == change
    assert numbers(rig) == list(range(20))


def test_new_bytes_under_a_known_name_replace_the_old_rows(rig: Rig) -> None:
    rig.load("b.csv", rows(10, 100))
    version = rig.load("a.csv", rows(20)).data_version
    change = last_change(rig)
    report = rig.load("a.csv", rows(10, 15))
    assert (report.loaded[0].rows, report.loaded[0].removed) == (10, 20)
    assert any("20 earlier rows replaced" in line for line in rig.said)
    assert numbers(rig) == [*range(15, 25), *range(100, 110)]
    assert changes_since(rig, change) == days_of(rows(20)) | days_of(rows(10, 15))
    assert report.data_version != version
    consistent(rig)


def test_rows_that_two_names_hold_stay_while_one_of_them_does(rig: Rig) -> None:
    rig.put("a.csv", rows(20))
    rig.load("b.csv", rows(20))
    assert rig.load("a.csv", rows(5, 50)).loaded[0].removed == 0
    assert numbers(rig) == [*range(20), *range(50, 55)]
    assert rig.load("b.csv", rows(5, 60)).loaded[0].removed == 20
    assert numbers(rig) == [*range(50, 55), *range(60, 65)]
    consistent(rig)


def test_a_renamed_file_is_known(rig: Rig) -> None:
    path = rig.put("a.csv", rows(20))
    rig.run()
    path.rename(rig.inbox / "b.csv")
    assert rig.run().is_unchanged and numbers(rig) == list(range(20))
    # Its rows go when new bytes come under the new name.
    rig.load("b.csv", rows(5, 50))
    assert numbers(rig) == list(range(50, 55))


def test_a_file_that_was_taken_away_is_no_deletion(rig: Rig) -> None:
    version = rig.load("a.csv", rows(20)).data_version
    (rig.inbox / "a.csv").unlink()
    report = rig.run()
    assert report.is_unchanged and report.data_version == version and report.objects == 0
    assert numbers(rig) == list(range(20))
    shutil.rmtree(rig.inbox)
    assert rig.run().data_version == version
    rig.inbox.mkdir()
    assert rig.load("a.csv", rows(20)).is_unchanged


def test_a_touched_file_is_nothing_new(rig: Rig) -> None:
    rig.load("a.csv", rows(20))
    before = rig.everything()
    os.utime(rig.inbox / "a.csv", (1, 1))
    assert rig.run().is_unchanged
    assert rig.everything()[:3] == before[:3]
    assert not rig.said


def test_overwritten_with_the_bytes_of_another_object(rig: Rig) -> None:
    rig.put("a.csv", rows(20))
    rig.load("b.csv", rows(5, 50))
    change = last_change(rig)
    report = rig.load("a.csv", rows(5, 50))
    assert sum(item.removed for item in report.loaded) == 20 and not report.is_unchanged
    assert numbers(rig) == list(range(50, 55))
    assert changes_since(rig, change) == days_of(rows(20))
    consistent(rig)
    assert rig.run().is_unchanged


def test_two_files_that_swap_their_names(rig: Rig) -> None:
    rig.put("a.csv", rows(20))
    version = rig.load("b.csv", rows(5, 50)).data_version
    (rig.inbox / "a.csv").rename(rig.inbox / "c")
    (rig.inbox / "b.csv").rename(rig.inbox / "a.csv")
    (rig.inbox / "c").rename(rig.inbox / "b.csv")
    report = rig.run()
    assert report.is_unchanged and report.data_version == version and len(rig.table()) == 25


def test_the_earlier_bytes_come_back(rig: Rig) -> None:
    first = rig.load("a.csv", rows(20)).data_version
    rig.load("a.csv", rows(5, 50))
    report = rig.load("a.csv", rows(20))
    assert report.data_version == first and numbers(rig) == list(range(20))
    consistent(rig)


def test_other_bytes_of_the_same_size_and_time(rig: Rig) -> None:
    rig.load("a.csv", rows(20))
    path = rig.inbox / "a.csv"
    status = path.stat()
    other = sheet(rows(20)).replace(b"LANTERN 7", b"LANTERN 0")
    path.write_bytes(other)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_mtime_ns == status.st_mtime_ns and path.stat().st_size == status.st_size
    assert rig.run().loaded[0].removed == 20
    assert ("LANTERN 7",) not in rig.table("description")


def test_refused_bytes_under_two_names_remove_nothing(rig: Rig) -> None:
    """The second name had rows; they must not go for bytes that were refused under the first."""
    rig.load("b.csv", rows(20))
    rig.put("a.csv", b"%PDF-1.7")
    rig.put("b.csv", b"%PDF-1.7")
    before = rig.everything()
    report = rig.run()
    assert [Path(error.uri or "").name for error in report.failed] == ["a.csv", "b.csv"]
    assert not report.skipped and rig.everything() == before and numbers(rig) == list(range(20))
    rig.put("a.csv", rows(3, 30))
    rig.put("b.csv", rows(3, 40))
    assert rig.run().loaded[1].removed == 20


def test_rows_of_two_names_stay_while_what_replaced_them_under_one_is_refused(rig: Rig) -> None:
    for good, bad in (("a.csv", "b.csv"), ("b.csv", "a.csv")):
        rig.put("a.csv", rows(20))
        rig.load("b.csv", rows(20))
        rig.put(good, rows(3, 30))
        rig.put(bad, b"%PDF")
        report = rig.run()
        assert len(report.failed) == 1 and report.loaded[0].removed == 0
        assert numbers(rig) == [*range(20), *range(30, 33)]
        assert rig.load(bad, rows(3, 40)).loaded[0].removed == 20
        assert numbers(rig) == [*range(30, 33), *range(40, 43)]


def test_an_overwrite_that_is_refused_leaves_the_old_rows(rig: Rig) -> None:
    rig.load("a.csv", rows(20))
    rig.refusal("a.csv", [row(number, Quantity="x") for number in range(20)])
    assert numbers(rig) == list(range(20))


def test_good_and_bad_files_together(rig: Rig) -> None:
    rig.put("1.csv", rows(5))
    rig.put("2.csv", b"\x89PNG")
    rig.put("3.csv", rows(5, 10))
    rig.put("4.csv", b"a,b\n1,2\n")
    rig.put("5.csv", rows(5, 20))
    report = rig.run()
    assert [Path(item.uri).name for item in report.loaded] == ["1.csv", "3.csv", "5.csv"]
    assert [Path(error.uri or "").name for error in report.failed] == ["2.csv", "4.csv"]
    assert len(rig.table()) == 15
    assert len([line for line in rig.said if line.startswith("refused: ")]) == 2
    again = rig.run()
    assert again.is_unchanged and len(again.failed) == 2, "the next run tries them again"
    rig.put("2.csv", rows(5, 30))
    report = rig.run()
    assert len(report.failed) == 1 and report.loaded[0].rows == 5
    consistent(rig)


def test_hidden_and_unfinished_files_are_left_alone(rig: Rig) -> None:
    for name in (".DS_Store", ".uploads/a.csv", "b.csv.part"):
        rig.put(name, b"%PDF")
    rig.put("deep/er/c.csv", rows(3))
    assert not rig.run().failed and len(rig.table()) == 3


def test_only_the_objects_of_the_table_are_taken(rig: Rig) -> None:
    rig.configure(objects=["lines_*.csv"])
    rig.put("lines_1.csv", rows(3))
    rig.put("sub/lines_2.csv", rows(3, 3))
    rig.put("orders.csv", b"%PDF")
    report = rig.run()
    assert report.objects == 2 and not report.failed and len(rig.table()) == 6


def test_plan_against_all_small_histories() -> None:
    """Every way in which two names can go from and to four contents, held against what the rules say in plain words."""
    names, contents = ("u", "v"), ("A", "B", "C", None)
    for u0 in contents:
        for v0 in contents:
            for u1 in contents:
                for v1 in contents:
                    old, new = {"u": u0, "v": v0}, {"u": u1, "v": v1}
                    known = {name: (f"{content} old", content) for name, content in old.items() if content}
                    active = {content: extract(name, content) for name, content in reversed(old.items()) if content}
                    items = [
                        ObjectInfo(name, name, 1, f"{new[name]} {'old' if new[name] == old[name] else 'new'}")
                        for name in names
                        if new[name]
                    ]
                    sha_of = {item.uri: str(new[item.name]) for item in items}
                    table, taken_in = set(active), dict(old)
                    for step in plan(items, sha_of, known, active):
                        if step.replaces and step.replaces not in {taken_in[uri] for uri in step.holders}:
                            table.remove(step.replaces)
                        if step.load:
                            assert step.sha256 not in table
                            table.add(step.sha256)
                        taken_in[step.item.uri] = step.sha256
                    there = {content for content in new.values() if content}
                    overwritten = {old[name] for name in names if old[name] and new[name] not in (None, old[name])}
                    kept = {content for content in old.values() if content and content not in overwritten}
                    assert table == there | kept, (old, new)


def extract(uri: str, sha256: str) -> Extract:
    return Extract(1, uri, sha256, "", 1, 0, 1, None, None, None)  # type: ignore[arg-type]


# ---- while files and tables change -----------------------------------------------------------------------------------


def test_a_file_that_changes_while_it_is_read(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from assets.extracts import extract as module

    path = rig.put("a.csv", rows(20))
    read = module.typed_batches

    def growing(*arguments: Any) -> Iterator[Any]:
        yield from read(*arguments)
        with path.open("ab") as file:
            file.write((row(20) + "\n").encode())

    monkeypatch.setattr(module, "typed_batches", growing)
    before = rig.everything()
    report = rig.run()
    assert "the file changed while it was read" in str(report.failed[0])
    assert "write it under another name and rename it" in str(report.failed[0])
    assert [part for part in rig.everything() if part] == [part for part in before if part]
    assert not list((rig.home / "lake").rglob("*.parquet*"))
    monkeypatch.undo()
    assert rig.run().loaded[0].rows == 21


@pytest.mark.parametrize("moment", ["digest", "read"])
def test_a_file_that_vanishes(rig: Rig, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    rig.put("a.csv", rows(3))
    rig.put("b.csv", rows(3, 10))
    opened, seen = rig.store.open, Counter[str]()

    def vanishing(item: ObjectInfo) -> Any:
        seen[item.name] += 1
        if item.name == "a.csv" and seen["a.csv"] == (1 if moment == "digest" else 2):
            (rig.inbox / "a.csv").unlink()
        return opened(item)

    monkeypatch.setattr(rig.store, "open", vanishing)
    report = rig.run()
    assert "the file is gone since the source was listed" in str(report.failed[0]) and len(rig.table()) == 3


@pytest.mark.parametrize("place", ["write_batch", "close"])
def test_a_full_disk_leaves_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    import pyarrow.parquet as pq

    rig.load("a.csv", rows(20))
    before = rig.everything()
    rig.put("a.csv", rows(30))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, place, full)
    with pytest.raises(OSError, match="No space left") as caught:
        rig.run()
    assert any(f"file {rig.inbox}/a.csv" in note for note in caught.value.__notes__)
    monkeypatch.undo()
    assert rig.everything() == before and not list((rig.home / "lake").rglob("*.part"))
    assert rig.run().loaded[0].rows == 30
    consistent(rig)


def test_a_lake_that_cannot_be_written_says_why(rig: Rig) -> None:
    rig.put("a.csv", rows(3))
    (rig.home / "lake").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="lake"):
        rig.run()
    assert not rig.table()


def test_a_part_left_by_a_kill_is_no_obstacle(rig: Rig) -> None:
    rig.load("a.csv", rows(20))
    [whole] = (rig.home / "lake").rglob("*.parquet")
    rig.load("a.csv", rows(3, 50))
    Path(f"{whole}.part").write_bytes(b"PAR1 half")
    whole.write_bytes(b"PAR1 half")
    rig.load("a.csv", rows(20))
    consistent(rig)
    assert not list((rig.home / "lake").rglob("*.part"))


def test_a_reader_never_sees_half_an_object(rig: Rig) -> None:
    size = 60_000
    rig.load("a.csv", [row(number, Country="one") for number in range(size)])
    seen: Counter[tuple[int, int, int]] = Counter()
    stop = threading.Event()

    def look() -> None:
        with rig.warehouse.connect(autocommit=True) as connection:
            while not stop.is_set():
                found = connection.execute(
                    "select count(*), count(distinct country),"
                    f" (select sum(rows) from ledger.extracts where shop = '{NAME}' and removed_at is null)::bigint"
                    f" from raw_{NAME}.{TABLE}"
                ).fetchone()
                seen[found] += 1  # type: ignore[index]

    reader = threading.Thread(target=look)
    reader.start()
    try:
        rig.load("a.csv", [row(number, Country="two") for number in range(size + 1)])
        rig.load("b.csv", [row(number, Country="three") for number in range(size)])
    finally:
        stop.set()
        reader.join()
    assert set(seen) <= {(size, 1, size), (size + 1, 1, size + 1), (2 * size + 1, 2, 2 * size + 1)}, seen
    assert len(seen) >= 2


def test_a_second_run_writes_nothing(rig: Rig) -> None:
    rig.load("a.csv", [*rows(20), row(20, Quantity="x")])
    rig.load("b.csv", rows(20))
    before = written(rig)
    assert before[f"raw_{NAME}.{TABLE}"][0] == 40 and before["ledger.extracts"][0] >= 2
    for _ in range(2):
        assert rig.run().is_unchanged
    assert written(rig) == before


def written(rig: Rig) -> dict[str, tuple[int, int, int]]:
    """Rows inserted, updated and deleted so far in each table of the raw schemas and the ledger."""
    # A backend hands in its counts at its end, or when it is idle for a moment; ours of before have ended.
    for _ in range(100):
        others = rig.query(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            " and backend_type = 'client backend'"
        )
        if others == [(0,)]:
            break
        rig.query("select pg_sleep(0.05)")
    else:
        raise AssertionError("connections were left open")
    rig.query("select pg_stat_force_next_flush()")
    rig.query("select pg_stat_clear_snapshot()")
    found = rig.query(
        "select schemaname || '.' || relname, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables"
        " where schemaname like 'raw%' or schemaname = 'ledger'"
    )
    return {name: (ins, upd, del_) for name, ins, upd, del_ in found}


def test_equal_contents_have_equal_versions(rig: Rig) -> None:
    versions = []
    for names in (("a", "b"), ("y", "x")):
        rig.clear()
        shutil.rmtree(rig.inbox)
        rig.inbox.mkdir()
        rig.load(names[0], rows(5))
        versions.append(rig.load(names[1], rows(5, 10)).data_version)
    assert versions[0] == versions[1]
    assert rig.load("z", rows(5, 20)).data_version != versions[0]


def test_two_processes_at_once(rig: Rig) -> None:
    for number in range(6):
        rig.put(f"{number}.csv", rows(500, number * 500))
    processes = [drive(rig) for _ in range(3)]
    outputs = [process.communicate(timeout=180)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert numbers(rig) == list(range(3000))
    assert sum(output.count("committed") for output in outputs) == 6
    consistent(rig)


def drive(rig: Rig, **environment: str) -> subprocess.Popen[str]:
    """An extract of the rig's shop in a process of its own."""
    command = [sys.executable, "-m", "tests.drive", str(rig.warehouse.settings.home), str(rig.home)]
    return subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


# ---- parts and the whole ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_monthly_parts_in_any_order_equal_the_whole(rig: Rig, seed: int) -> None:
    """Thirteen months, one given twice under another name, one first wrong and then overwritten, in several runs."""
    dice = random.Random(seed)
    months: dict[str, list[str]] = {}
    for number in range(1300):
        number -= number % 100 == 7  # some true duplicates
        day = date(2010, 12, 1) + timedelta(days=number * 390 // 1300)
        line = row(number, InvoiceDate=f"{day} 09:{number % 60:02d}:00")
        months.setdefault(f"{day:%Y-%m}", []).append(line)
    assert len(months) == 13
    whole = [line for lines in months.values() for line in lines]
    rig.load("whole.csv", whole)
    expected = rig.content()
    rig.clear()
    (rig.inbox / "whole.csv").unlink()

    parts = [(f"{month}.csv", sheet(lines)) for month, lines in months.items()]
    twice, overwritten = dice.sample(parts, 2)
    parts.append(("again " + twice[0], twice[1]))
    parts.remove(overwritten)
    wrong = overwritten[1].replace(b"LANTERN", b"WRONG").split(b"\n", 3)
    parts.append((overwritten[0], b"\n".join(wrong[:1] + wrong[2:])))
    dice.shuffle(parts)
    while parts:
        for _ in range(min(len(parts), dice.randrange(1, 6))):
            rig.put(*parts.pop())
        assert not rig.run().failed
    assert rig.content() != expected
    rig.load(*overwritten)
    assert rig.content() == expected and expected.total() == 1300 and len(expected) < 1300
    consistent(rig)


# ---- configuration ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cursor", "problem"), [("quantity", "declared as bigint"), ("orderd_at", "not declared")])
def test_a_cursor_must_be_a_declared_date(rig: Rig, cursor: str, problem: str) -> None:
    rig.configure(cursor=cursor)
    with pytest.raises(DeclarationError, match=f"_sources.yml: {TABLE}.{cursor}: .* is {problem}"):
        rig.run()


def test_a_table_without_cursor_says_that_any_day_changed(rig: Rig) -> None:
    rig.configure(cursor=None)
    rig.load("a.csv", rows(5))
    rig.load("a.csv", rows(6))
    assert rig.days() == {None}


def test_rows_without_a_date_are_a_day_of_their_own(rig: Rig) -> None:
    import dataclasses

    columns = [dataclasses.replace(column, not_null=False) for column in rig.declared.columns]
    rig.declare(*columns, cursor="invoice_date")
    rig.load("a.csv", [row(0, InvoiceDate=""), row(1)])
    assert rig.days() == {None, date(2010, 12, 2)}
    rig.load("all null.csv", [row(2, InvoiceDate="")])
    change = last_change(rig)
    rig.load("all null.csv", [row(3)])
    assert changes_since(rig, change) == {None, date(2010, 12, 4)}


# ---- memory ----------------------------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_table(rig: Rig) -> None:
    lines = ("\n".join(rows(50_000)) + "\n").encode()
    peaks = []
    for times in (6, 30):
        with (rig.inbox / "big.csv").open("wb") as file:
            file.write(sheet([]))
            for _ in range(times):
                file.write(lines)
        process = drive(rig)
        output = process.communicate(timeout=120)[0]
        assert process.returncode == 0, output
        assert f"{50_000 * times:,} rows" in output
        peaks.append(float(output.rsplit("peak ", 1)[1].split()[0]))
    small, large = peaks
    assert large < 1.2 * small, f"300,000 rows: {small:.0f} MB, 1,500,000 rows: {large:.0f} MB"
