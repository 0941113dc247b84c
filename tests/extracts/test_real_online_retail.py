"""The real Online Retail file: as it is, in its months, and as the workbook that UCI ships."""

from __future__ import annotations

import csv
import gzip
import random
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import xlsxwriter

from tests.rig import NAME, TABLE, Rig

pytestmark = pytest.mark.real_data

FINGERPRINT = f"""
select count(*), count(distinct invoice_no), count(distinct customer_id), sum(quantity * unit_price),
       sum(hashtextextended(concat_ws('|', invoice_no, stock_code, description, quantity, invoice_date, unit_price,
                                      coalesce(customer_id, '-'), country), 0)::numeric)
from raw_{NAME}.{TABLE}"""
"""Equal for equal multisets of rows, whatever their order."""


@pytest.fixture(scope="module")
def source(real_data_folder: Path) -> Path:
    return real_data_folder / "online_retail" / "OnlineRetail.csv.gz"


@pytest.fixture(scope="module")
def lines(source: Path) -> list[list[str]]:
    with gzip.open(source, "rt", encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_the_csv_the_workbook_and_the_months(rig: Rig, source: Path, lines: list[list[str]], tmp_path: Path) -> None:
    report = rig.load("OnlineRetail.csv.gz", source.read_bytes())
    assert (report.totals["rows"], report.totals["rejected"]) == (541_909, 0)
    truth = rig.query(FINGERPRINT)
    assert truth[0][:3] == (541_909, 25_900, 4_372) and str(truth[0][3]).startswith("9747747.934")

    rig.clear()
    (rig.inbox / "OnlineRetail.csv.gz").unlink()
    write_workbook(rig.inbox / "Online Retail.xlsx", lines)
    began = time.monotonic()
    report = rig.run()
    assert not report.failed and report.loaded[0].format == "xlsx" and report.totals["rejected"] == 0
    print(f"workbook of {len(lines) - 1:,} lines loaded in {time.monotonic() - began:.1f} s")
    assert rig.query(FINGERPRINT) == truth

    rig.clear()
    (rig.inbox / "Online Retail.xlsx").unlink()
    load_in_months(rig, lines)
    assert rig.query(FINGERPRINT) == truth


def write_workbook(path: Path, lines: list[list[str]]) -> None:
    """UCI's sheet: numbers as numbers, dates as dates, codes that look like numbers as numbers."""
    with xlsxwriter.Workbook(str(path), {"constant_memory": True}) as book:
        tab = book.add_worksheet("Online Retail")
        instant = book.add_format({"num_format": "m/d/yyyy h:mm"})
        tab.write_row(0, 0, lines[0])
        for row, line in enumerate(lines[1:], start=1):
            for column, value in enumerate(line):
                if column == 4:
                    tab.write_datetime(row, column, datetime.fromisoformat(value), instant)
                elif column in (3, 5) or (column != 2 and value.isdigit() and not value.startswith("0")):
                    tab.write_number(row, column, float(value))
                elif value:
                    tab.write_string(row, column, value)


def load_in_months(rig: Rig, lines: list[list[str]]) -> None:
    """In any order, one given twice under another name, one first in a wrong form and then corrected."""
    dice = random.Random(1)
    months: dict[str, list[list[str]]] = {}
    for line in lines[1:]:
        months.setdefault(line[4][:7], []).append(line)
    assert len(months) == 13
    names = list(months)
    dice.shuffle(names)
    for name in names[:-1]:
        write_csv(rig.inbox / f"{name}.csv", [lines[0], *months[name]])
    write_csv(rig.inbox / "again.csv", [lines[0], *months[names[0]]])
    write_csv(
        rig.inbox / f"{names[-1]}.csv", [lines[0], *(["X" + line[0], *line[1:]] for line in months[names[-1]][9:])]
    )
    report = rig.run()
    assert not report.failed and len(report.skipped) == 1 and len(report.loaded) == 13
    write_csv(rig.inbox / f"{names[-1]}.csv", [lines[0], *months[names[-1]]])
    assert rig.run().loaded[0].removed == len(months[names[-1]]) - 9


def write_csv(path: Path, lines: list[list[str]] | Iterator[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(lines)
