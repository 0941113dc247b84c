"""Reading the simulated shops' files into plain rows, by the public schemas alone: nothing of the load path is used."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

Record = dict[str, Any]

_DATED = re.compile(r"_(\d{4}-\d{2}-\d{2})$")
_SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_EXCEL_BEGINS = datetime(1899, 12, 30)


def day_of_growth(path: Path) -> str | None:
    """The day up to which a later file of a table goes; None for one of the first write."""
    dated = _DATED.search(path.stem)
    return dated[1] if dated else None


def files_of(folder: Path, pattern: str) -> list[Path]:
    """The files of a table in the order in which they came: those of the first write, then growth day by day."""
    found = (path for path in folder.glob(pattern) if not path.name.endswith(".part"))
    return sorted(found, key=lambda path: (day_of_growth(path) or "", path.name))


def csv_records(folder: Path, pattern: str) -> Iterator[Record]:
    """The lines of all files of a table as texts by header, oldest file first; an empty field is None."""
    for path in files_of(folder, pattern):
        with path.open(encoding="utf-8-sig", newline="") as text:
            for fields in csv.DictReader(text):
                yield {name: value or None for name, value in fields.items()}


def parquet_records(folder: Path) -> list[Record]:
    """The rows of a table that is a folder of Parquet files."""
    import pyarrow.parquet as pq

    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def newest(records: Iterable[Record], *key: str) -> dict[Any, Record]:
    """By key the version that came last."""
    return {tuple(row[name] for name in key) if len(key) > 1 else row[key[0]]: row for row in records}


def sheet_records(path: Path) -> Iterator[Record]:
    """The rows of a workbook's first sheet as texts by header, its dates as Excel counts them."""
    with zipfile.ZipFile(path) as book:
        shared = []
        if "xl/sharedStrings.xml" in book.namelist():
            for item in ElementTree.fromstring(book.read("xl/sharedStrings.xml")):
                shared.append("".join(part.text or "" for part in item.iter(f"{_SHEET}t")))
        with book.open("xl/worksheets/sheet1.xml") as sheet:
            header: dict[str, str] = {}
            for _, row in ElementTree.iterparse(sheet):
                if row.tag == f"{_SHEET}row":
                    cells = {str(cell.get("r")).rstrip("0123456789"): _text_of(cell, shared) for cell in row}
                    if header:
                        yield {name: cells.get(column) or None for column, name in header.items()}
                    else:
                        header = {column: str(text) for column, text in cells.items()}


def _text_of(cell: ElementTree.Element, shared: list[str]) -> str | None:
    if cell.get("t") == "inlineStr":
        return "".join(part.text or "" for part in cell.iter(f"{_SHEET}t"))
    value = cell.find(f"{_SHEET}v")
    if value is None or value.text is None:
        return None
    return shared[int(value.text)] if cell.get("t") == "s" else value.text


def excel_instant(serial: str) -> datetime:
    """A day number of Excel as an instant without zone, to the second."""
    return _EXCEL_BEGINS + timedelta(seconds=round(float(serial) * 86_400))


def invoice_records(folder: Path) -> Iterator[Record]:
    """The lines of Online Retail out of its workbook and its later CSV files, `InvoiceDate` as naive datetime."""
    for path in files_of(folder, "*"):
        if path.suffix == ".xlsx":
            for row in sheet_records(path):
                yield {**row, "InvoiceDate": excel_instant(row["InvoiceDate"])}
        else:
            for row in csv_records(folder, path.name):
                yield {**row, "InvoiceDate": datetime.fromisoformat(row["InvoiceDate"])}
