"""Bad input: a fault is refused without a trace, or its rows are set aside, with words on where and the remedy."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import re
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from assets.extracts.declared import Column
from assets.extracts.errors import ExtractError
from assets.extracts.formats import read_object
from assets.extracts.rows import Counted, Rejects, match_headers, typed_batches
from tests.rig import HEADER, NAME, TABLE, Rig, row, rows, sheet

HEADERS = HEADER.split(",")


def bad_rows(rig: Rig, bad: list[str], good: int = 40) -> list[tuple[str, int, str, str, str]]:
    """Load good rows with bad ones after the tenth; gives the rejects after seeing that the good rows are all there."""
    lines = rows(good)
    report = rig.load("mostly_good.csv", [*lines[:10], *bad, *lines[10:]])
    assert (report.loaded[0].rows, report.loaded[0].rejected) == (good, len(bad))
    assert [number for (number,) in rig.table("invoice_no")] == [str(536365 + number) for number in range(good)]
    rejects = rig.rejects()
    assert [(file, line) for file, line, *_ in rejects] == [("mostly_good.csv", 12 + at) for at in range(len(bad))]
    return rejects


def read_only(rig: Rig, data: bytes) -> tuple[int, int]:
    """Read a file without loading it; how many rows fit and how many do not."""
    counted, table = Counted(), rig.shop.tables[TABLE]
    reading = read_object(io.BytesIO(data), "file", table)
    mapping = match_headers(reading, rig.declared, {})
    for _ in typed_batches(reading, mapping, rig.shop, table, counted, Rejects()):
        pass
    return counted.rows, counted.rejected


# ---- files of another kind -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "a PNG picture"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "a PDF document"),
        (b"\n\n<!DOCTYPE html>\n<html><body>404 Not Found</body></html>", "an HTML page"),
        (b"<HTML><body>Sign in</body></HTML>", "an HTML page"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML document"),
        (json.dumps([{"InvoiceNo": 536365}]).encode(), "JSON"),
        (b'\xef\xbb\xbf{"InvoiceNo": 536365}', "JSON"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an old Excel workbook (.xls)"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(60), "a 7-Zip archive"),
        (b"\x28\xb5\x2f\xfd" + bytes(60), "a Zstandard file"),
        (random.Random(3).randbytes(50_000), "a binary file of an unknown kind"),
        (sheet(rows(3)).decode().encode("utf-16-le"), "a binary file of an unknown kind"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_file_of_another_kind_is_named(rig: Rig, data: bytes, kind: str, packed: bool) -> None:
    message = rig.refusal("data.csv", gzip.compress(data) if packed else data)
    assert f"this is {kind}" in message
    assert "give the data as CSV, Parquet or xlsx, plain or in gzip or zip" in message


def test_utf_16_without_its_mark_is_told_how_to_configure(rig: Rig) -> None:
    data = sheet(rows(3)).decode().encode("utf-16-le")
    assert "set `encoding: utf-16-le` for this table in config/shops.yaml" in rig.refusal("a.csv", data)
    rig.configure(encoding="utf-16-le")
    assert rig.load("a.csv", data).loaded[0].rows == 3


def test_a_csv_is_no_zip_because_its_header_begins_with_pk(rig: Rig) -> None:
    rig.declare(Column("pk", "text"), Column("b", "text"))
    assert rig.load("a.csv", b"PK,b\n1,2\n").loaded[0].rows == 1


@pytest.mark.parametrize("data", [b"", gzip.compress(b"")], ids=["plain", "gzip"])
def test_an_empty_file_is_refused(rig: Rig, data: bytes) -> None:
    message = rig.refusal("empty.csv", data)
    assert "empty" in message and "upload it again, whole" in message


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n\n"])
def test_a_header_alone_is_a_table_of_no_rows(rig: Rig, end: str) -> None:
    report = rig.load("header.csv", (HEADER + end).encode())
    assert report.loaded[0].rows == report.loaded[0].rejected == 0
    assert rig.run().is_unchanged


@pytest.mark.parametrize("data", [b"\n", b"   \n", b"\n\n" + sheet(rows(2))])
def test_a_file_that_begins_with_a_blank_line_is_refused(rig: Rig, data: bytes) -> None:
    message = rig.refusal("blank.csv", data)
    assert "line 1" in message and ("begin the file with its header" in message or "missing" in message)


# ---- CSV that is cut, quoted or separated wrongly --------------------------------------------------------------------


def test_a_csv_cut_in_a_line(rig: Rig) -> None:
    rig.load("cut.csv", sheet(rows(40))[:-40])
    assert len(rig.table()) == 39
    [(file, line, column, reason, raw)] = rig.rejects()
    assert (file, line, column) == ("cut.csv", 41, "")
    assert reason == "5 columns where the header has 8, perhaps the file is cut short here"
    assert raw == row(39)[:-39]


@pytest.mark.parametrize("cut", ['"Uni', '"', '"United ""', '"two\nlines'])
@pytest.mark.parametrize("column", [2, 7], ids=["amid", "last column"])
def test_a_csv_cut_in_a_quote(rig: Rig, cut: str, column: int) -> None:
    begin = ",".join([*row(40).split(",")[:column], cut])
    rig.load("cut.csv", sheet(rows(40)) + begin.encode())
    assert len(rig.table()) == 40
    [(_, line, _, reason, raw)] = rig.rejects()
    assert line == 42 and "perhaps the file is cut short here" in reason
    assert raw.startswith("536405,71058,")


@pytest.mark.parametrize("last", ['"United ""K"""', '""', "", "United Kingdom", '"a,"""'])
@pytest.mark.parametrize("end", ["", "\n"])
def test_an_end_without_a_line_break_is_no_cut(rig: Rig, last: str, end: str) -> None:
    lines = sheet(rows(40)).decode() + row(40, Country=last) + end
    assert rig.load("whole.csv", lines.encode()).loaded[0].rejected == 0
    assert len(rig.table()) == 41


def test_every_cut_of_a_quoted_csv_is_either_seen_or_at_a_value_end(rig: Rig) -> None:
    """Nothing shows that a file is cut where its last line has all its delimiters and no open quote."""
    whole = (sheet(rows(2)) + row(2, Description='"a ""b"", c"', Country='"U, K"').encode()).decode()
    begin = whole.rindex("\n") + 1
    for end in range(begin + 1, len(whole)):
        loaded, rejected = read_only(rig, whole[:end].encode())
        assert (loaded, rejected) == ((3, 0) if whole[:end].endswith(",17852,") else (2, 1)), whole[begin:end]


def test_a_quote_that_is_never_closed_is_refused_with_its_line(rig: Rig) -> None:
    lines = rows(600)
    lines[99] = row(99, Description='"LANTERN')
    message = rig.refusal("open.csv", lines)
    assert "line 101" in message and "a quote is opened and not closed" in message
    assert 'write "" for a quote inside a value' in message


@pytest.mark.parametrize("size", [3_000_000, 10_000_000])
def test_an_open_quote_before_a_large_rest_is_refused(rig: Rig, size: int) -> None:
    lines = rows(size // 80)
    lines[5] = row(5, Country='"United Kingdom')
    message = rig.refusal("open.csv", lines)
    assert "a quote is opened and not closed" in message and re.search(r"line \d+", message)


def test_a_lost_closing_quote_does_not_swallow_the_next_row_unseen(rig: Rig) -> None:
    lines = [row(number, Country='"United Kingdom"') for number in range(40)]
    lines[4] = lines[4].removesuffix('"')
    rig.load("lost.csv", lines)
    [(_, line, column, reason, raw)] = rig.rejects()
    assert (line, column) == (6, "country")
    assert reason == "a quote is opened and not closed: it takes in whole lines"
    assert "LANTERN 4" in raw and "LANTERN 5" in raw
    assert len(rig.table()) == 38


def test_one_line_of_ten_megabytes_is_refused(rig: Rig) -> None:
    message = rig.refusal("long.csv", [*rows(5), row(5, Description="x" * 10_000_000), *rows(5, 6)])
    assert "a row of more than 1 MB" in message


@pytest.mark.parametrize(("used", "configured"), [(";", ","), ("\t", ","), ("|", ","), (",", ";")])
def test_a_wrong_delimiter_is_named_with_the_right_one(rig: Rig, used: str, configured: str) -> None:
    rig.configure(delimiter=configured)
    data = sheet(rows(5)).replace(b",", used.encode())
    message = rig.refusal("delimiter.csv", data)
    assert "line 1" in message
    assert f"the columns seem to be separated by {used!r}, and {configured!r} is configured" in message
    assert f"set `delimiter: {json.dumps(used)}` for this table in config/shops.yaml" in message
    rig.configure(delimiter=used)
    assert rig.load("delimiter.csv", data).loaded[0].rows == 5


def test_rows_with_too_few_and_too_many_columns_keep_their_lines(rig: Rig) -> None:
    two_lines = row(50, Description='"TWO\nLINES"')
    lines = [
        *rows(30),
        two_lines,
        "a,b",
        *rows(20, 30),
        row(60, Description='"X\nY"') + ",9,9",
        "",
        *rows(9, 51),
        "last,one",
    ]
    rig.load("columns.csv", lines)
    assert len(rig.table()) == 60
    text = sheet(lines).decode().splitlines()
    found = [(line, reason) for _, line, _, reason, _ in rig.rejects()]
    assert found == [
        (text.index("a,b") + 1, "2 columns where the header has 8"),
        (text.index("last,one") + 1, "2 columns where the header has 8, perhaps the file is cut short here"),
    ] or sorted(found)[1:2] == [(text.index('536425,71057,"X') + 1, "10 columns where the header has 8")]
    assert rig.query(f"select description from raw_{NAME}.{TABLE} where invoice_no = '536415'") == [("TWO\nLINES",)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("block", [200, 333, 4 << 20])
def test_lines_are_right_whatever_the_blocks_are(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, end: str, block: int
) -> None:
    """Broken rows, bad values, blank lines and line breaks in values at every place, borders of batches among them."""
    monkeypatch.setattr("assets.extracts.formats._BLOCK_BYTES", block)
    rig.configure(max_rejected_share=1)
    dice = random.Random(block)
    good, bad, lines, line = 0, [], [], 2
    for number in range(400):
        kind = dice.choice(["good", "good", "good", "two", "short", "long", "value", "blank", "short two"])
        text = {
            "good": row(number),
            "two": row(number, Description=f'"A{end}B{end}C"'),
            "short": f"{number},short",
            "long": row(number) + ",1",
            "value": row(number, Quantity="many"),
            "blank": "",
            "short two": f'"{number}{end}",short',
        }[kind]
        lines.append(text)
        good += kind in ("good", "two")
        if kind in ("short", "long", "value", "short two"):
            bad.append((line, kind, number))
        line += 1 + text.count("\n")
    rig.load("mixed.csv", (end.join([HEADER, *lines]) + end).encode())
    assert len(rig.table()) == good
    rejects = rig.rejects()
    assert [line for _, line, *_ in rejects] == [line for line, _, _ in bad]
    for (_, _, column, reason, raw), (_, kind, number) in zip(rejects, bad, strict=True):
        assert column == ("quantity" if kind == "value" else "")
        assert ("columns where the header has 8" in reason) == (kind != "value")
        assert raw == (row(number, Quantity="many") if kind == "value" else raw) and str(number) in raw


def test_a_file_whose_rows_are_all_broken_is_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "50 of 50 rows (100%) cannot be read" in rig.refusal("broken.csv", ["a,b"] * 50)
    monkeypatch.setattr("assets.extracts.formats._BROKEN_ROWS", 100)
    message = rig.refusal("broken.csv", ["a,b"] * 500)
    assert "100 rows one after the other do not have the 8 columns of the header; the first has 2" in message


def test_old_line_ends_and_blank_lines(rig: Rig) -> None:
    lines = [HEADER, *rows(3), "", row(3), ""]
    assert rig.load("crlf.csv", "\r\n".join(lines).encode()).loaded[0].rows == 4
    assert rig.load("cr.csv", "\r".join([HEADER, *rows(3, 10)]).encode()).loaded[0].rows == 3
    assert not rig.rejects()
    assert {country for (country,) in rig.table("country")} == {"United Kingdom"}


# ---- encodings -------------------------------------------------------------------------------------------------------


def test_a_few_latin_1_bytes_are_set_aside_with_the_remedy(rig: Rig) -> None:
    data = sheet(rows(40)).replace(b"LANTERN 7", "CAFÉ".encode("latin-1"))
    rig.load("latin.csv", data)
    assert len(rig.table()) == 39
    [(file, line, column, reason, raw)] = rig.rejects()
    assert (file, line, column) == ("latin.csv", 9, "description")
    assert reason == (
        "not valid utf-8; if the file is Latin-1, set `encoding: latin-1` for this table in config/shops.yaml"
    )
    assert r"CAF\xc9" in raw


def test_a_broken_row_with_a_latin_1_byte_does_not_fail_the_file(rig: Rig) -> None:
    rejects = bad_rows(rig, ["caf\xe9,short".encode("latin-1").decode("latin-1")])
    assert rejects[0][4] == "café,short"
    data = sheet([*rows(20), "CAF?,short", *rows(20, 20)]).replace(b"CAF?", b"CAF\xe9")
    rig.load("latin.csv", data)
    assert ("latin.csv", 22, "", "2 columns where the header has 8", r"CAF\xe9,short") in rig.rejects()


def test_mostly_latin_1_is_refused_with_the_encoding_to_set(rig: Rig) -> None:
    data = sheet(rows(40)).replace(b"LANTERN", "CAFÉ".encode("latin-1"))
    message = rig.refusal("latin.csv", data)
    assert "line 2, column description" in message
    assert "40 of 40 rows (100%) cannot be read" in message and "not valid utf-8" in message
    assert "Remedy: if the file is Latin-1, set `encoding: latin-1` for this table in config/shops.yaml" in message
    rig.configure(encoding="latin-1")
    rig.load("latin.csv", data)
    assert {text.split()[0] for (text,) in rig.table("description")} == {"CAFÉ"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252", "utf-16-be", "shift_jis"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_encodings(rig: Rig, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    if encoding not in ("utf-8-sig", "utf-16"):  # these say what they are
        rig.configure(encoding=encoding)
    word = "提灯" if encoding == "shift_jis" else "CAFÉ" if encoding != "cp1252" else "€ 5"
    data = sheet(rows(2000)).decode().replace("LANTERN", word).encode(encoding)
    assert rig.load("encoded.csv", pack(data)).loaded[0].rejected == 0
    assert len(rig.table()) == 2000
    assert rig.table("description")[0] == (f"{word} 0",)


def test_a_byte_order_mark_outweighs_the_configured_encoding(rig: Rig) -> None:
    rig.configure(encoding="cp1252")
    rig.load("bom.csv", sheet([row(Description="CAFÉ")]).decode().encode("utf-8-sig"))
    assert rig.table("description") == [("CAFÉ",)]


def test_a_byte_that_the_configured_encoding_lacks_is_one_bad_row(rig: Rig) -> None:
    rig.configure(encoding="cp1252")
    rig.load("odd.csv", sheet(rows(40)).replace(b"LANTERN 7", b"LANTERN \x81"))
    [(_, line, column, reason, raw)] = rig.rejects()
    assert (line, column) == (9, "description") and r"LANTERN \x81" in raw
    assert reason == "not valid cp1252; set `encoding` for this table in config/shops.yaml to what the file has"


def test_utf_16_cut_within_a_character(rig: Rig) -> None:
    rig.load("cut.csv", sheet(rows(40)).decode().strip().encode("utf-16")[:-1])
    [(_, line, column, reason, _)] = rig.rejects()
    assert (line, column) == (41, "country") and reason.startswith("not valid utf-16")


def test_characters_of_every_plane_and_quotes_survive(rig: Rig) -> None:
    text = "Ä€漢🏮 \\N \\. \t 'x' \\x41 \u200b"
    rig.load("planes.csv", [row(Description=f'"{text}"')])
    assert rig.table("description") == [(text,)]


# ---- columns ---------------------------------------------------------------------------------------------------------


def without(column: str) -> bytes:
    at = HEADERS.index(column)
    lines = [line.split(",") for line in [HEADER, *rows(5)]]
    return "\n".join(",".join(line[:at] + line[at + 1 :]) for line in lines).encode()


def test_a_missing_column_is_named(rig: Rig) -> None:
    message = rig.refusal("missing.csv", without("Quantity"))
    assert "line 1, column quantity: required column is missing: Quantity; the header has 'InvoiceNo', " in message
    assert "check that it is what belongs here" in message and "`optional: true` in _sources.yml" in message


def test_a_misspelt_column_is_guessed(rig: Rig) -> None:
    message = rig.refusal("misspelt.csv", sheet(rows(5)).replace(b"Quantity", b"quantty"))
    assert "is it 'quantty'? Then add that to its `names` in _sources.yml" in message


def test_another_table_altogether(rig: Rig) -> None:
    message = rig.refusal("other.csv", b"timestamp,visitorid,event,itemid\n1,2,view,3\n")
    assert "required columns are missing: InvoiceNo, StockCode" in message and "'visitorid'" in message


def test_headers_match_in_any_case_and_by_every_name(rig: Rig) -> None:
    data = sheet(rows(3)).replace(b"InvoiceNo", b"INVOICE").replace(b"UnitPrice", b" price ").replace(b"rID", b"r ID")
    rig.load("names.csv", data)
    assert rig.table("invoice_no, unit_price, customer_id")[0] == ("536365", Decimal("0.5500"), "17850")


def test_a_header_that_stands_twice(rig: Rig) -> None:
    data = "\n".join([HEADER + ",Country", *(f"{line},x" for line in rows(3))]).encode()
    assert "line 1: the header names 'Country' twice" in rig.refusal("twice.csv", data)
    data = data.replace(b",Country\n", b",COUNTRY\n")
    assert "the headers 'Country' and 'COUNTRY' both mean country" in rig.refusal("twice.csv", data)
    data = "\n".join([HEADER + ",New 1,new_1", *(f"{line},x,y" for line in rows(3))]).encode()
    message = rig.refusal("twice.csv", data)
    assert "'New 1' and 'new_1' both mean new_1" in message and "declare both in _sources.yml" in message


def test_two_names_of_one_column(rig: Rig) -> None:
    data = "\n".join([HEADER + ",Price", *(f"{line},1" for line in rows(3))]).encode()
    assert "the headers 'UnitPrice' and 'Price' both mean unit_price" in rig.refusal("twice.csv", data)


def test_a_new_column_is_added_and_said(rig: Rig) -> None:
    rig.load("a.csv", rows(3))
    extra = "\n".join([HEADER + ",Sales Channel,xmin", *(f"{line},web,7" for line in rows(3, 3))]).encode()
    report = rig.load("b.csv", extra)
    assert report.loaded[0].new_columns == ["sales_channel", "new_xmin"]
    assert any("new columns sales_channel, new_xmin" in line for line in rig.said)
    assert rig.table("invoice_no, sales_channel, new_xmin") == [
        *((str(536365 + number), None, None) for number in range(3)),
        *((str(536368 + number), "web", "7") for number in range(3)),
    ]
    again = "\n".join([HEADER + ",sales_channel,xmin", *(f"{line},shop,8" for line in rows(3, 6))]).encode()
    assert rig.load("c.csv", again).loaded[0].new_columns == []


def test_a_new_column_keeps_the_type_that_it_came_with(rig: Rig) -> None:
    rig.load("a.parquet", parquet(rows(40), extra=pa.array(range(40), pa.int64())))
    lines = [f"{line},{number}" for number, line in enumerate(rows(40, 40))]
    lines[3] = lines[3].rpartition(",")[0] + ",many"
    rig.load("b.csv", "\n".join([HEADER + ",extra", *lines]).encode())
    assert rig.query(f"select sum(extra) from raw_{NAME}.{TABLE}") == [(40 * 39 - 3,)]
    assert [(line, column, reason) for _, line, column, reason, _ in rig.rejects()] == [
        (5, "extra", "not a whole number")
    ]


def test_a_header_over_two_lines_moves_the_lines(rig: Rig) -> None:
    data = sheet([*rows(20), row(99, Quantity="x")]).replace(b",Country\n", b',"Coun\ntry"\n')
    rig.load("header.csv", data)
    assert [line for _, line, *_ in rig.rejects()] == [23]


def test_a_declared_column_that_may_be_absent(rig: Rig) -> None:
    rig.declare(Column("a", "text", not_null=True), Column("b", "integer", optional=True, not_null=True))
    rig.load("one.csv", b"a\nx\ny\n")
    assert rig.table() == [("x", None), ("y", None)]


# ---- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "value", "reason"),
    [
        ("Quantity", "six", "not a whole number"),
        ("Quantity", "1e3", "not a whole number"),
        ("Quantity", "2.5", "not a whole number"),
        ("Quantity", '"1,234"', "not a whole number"),
        ("Quantity", "12345678901234567890", "not a whole number"),
        ("Quantity", "9223372036854775808", "not a whole number"),
        ("Quantity", "NaN", "not a whole number"),
        ("Quantity", "- 5", "not a whole number"),
        ("Quantity", "", "empty, and a value is required"),
        ("InvoiceNo", "", "empty, and a value is required"),
        ("InvoiceNo", '""', "empty, and a value is required"),
        ("UnitPrice", "2.12345", "not a number with at most 14 digits before and 4 after the decimal point"),
        ("UnitPrice", "123456789012345", "not a number with at most 14 digits before and 4 after the decimal point"),
        ("UnitPrice", '"2,55"', "not a number with at most 14 digits before and 4 after the decimal point"),
        ("UnitPrice", "inf", "not a number with at most 14 digits before and 4 after the decimal point"),
        ("UnitPrice", "nan", "not a number with at most 14 digits before and 4 after the decimal point"),
        ("UnitPrice", "1e99", "not a number with at most 14 digits before and 4 after the decimal point"),
        ("UnitPrice", "£2.55", "not a number with at most 14 digits before and 4 after the decimal point"),
        ("InvoiceDate", "1899-12-31 00:00", "not an ISO date and time, of the years 1990 to 2049"),
        ("InvoiceDate", "2099-01-01 00:00", "not an ISO date and time, of the years 1990 to 2049"),
        ("InvoiceDate", "2011-02-30 10:00", "not an ISO date and time, of the years 1990 to 2049"),
        ("InvoiceDate", "20110201", "not an ISO date and time, of the years 1990 to 2049"),
        ("InvoiceDate", "2011-02-01 25:00", "not an ISO date and time, of the years 1990 to 2049"),
        ("InvoiceDate", "12/1/2010 8:26", "not an ISO date and time, of the years 1990 to 2049"),
        ("InvoiceDate", "2049-01-01 00:00", "in the future"),
        ("Description", "nul\x00byte", "not text without NUL bytes"),
    ],
)
def test_a_bad_value_is_set_aside_with_its_place(rig: Rig, header: str, value: str, reason: str) -> None:
    bad = row(99, **{header: value})
    [(_, _, column, found, raw)] = bad_rows(rig, [bad])
    assert found == reason
    assert column == next(c.name for c in rig.declared.columns if header in c.names)
    assert raw == bad.replace("\x00", "\\x00").replace('""', "")


@pytest.mark.parametrize(
    ("header", "value", "stored"),
    [
        ("Quantity", " 12 ", 12),
        ("Quantity", "+5", 5),
        ("Quantity", "-0012.00", -12),
        ("Quantity", "9223372036854775807", 2**63 - 1),
        ("Quantity", "-9223372036854775808", -(2**63)),
        ("Quantity", "00000000000000000000000012", 12),
        ("UnitPrice", "1e3", Decimal(1000)),
        ("UnitPrice", "5E-2", Decimal("0.05")),
        ("UnitPrice", ".5", Decimal("0.5")),
        ("UnitPrice", "-11062.06000000", Decimal("-11062.06")),
        ("UnitPrice", "99999999999999.9999", Decimal("99999999999999.9999")),
        ("InvoiceDate", "2010-12-01T08:26:00.123456", datetime(2010, 12, 1, 8, 26, 0, 123456)),
        ("InvoiceDate", "2012-02-29", datetime(2012, 2, 29)),
        ("Description", "  spaces stay ", "  spaces stay "),
        ("Description", '""', None),
        ("CustomerID", "017850", "017850"),
    ],
)
def test_a_value_that_fits_is_stored_as_it_is_meant(rig: Rig, header: str, value: str, stored: Any) -> None:
    rig.load("fits.csv", [row(0, **{header: value})])
    column = next(c.name for c in rig.declared.columns if header in c.names)
    assert rig.table(column) == [(stored,)]


def test_one_bad_day_does_not_change_how_others_of_its_batch_are_read(rig: Rig) -> None:
    bad = [row(99, InvoiceDate="2011-02-30 10:00"), row(98, InvoiceDate="20110201"), row(97, InvoiceDate="2011-W05-2")]
    assert len(bad_rows(rig, bad)) == 3


@pytest.mark.parametrize("header", ["Quantity", "UnitPrice", "InvoiceDate"])
def test_a_column_of_text_where_numbers_belong_is_refused(rig: Rig, header: str) -> None:
    message = rig.refusal("text.csv", [row(number, **{header: "text"}) for number in range(40)])
    assert "line 2, column " in message and "40 of 40 rows (100%) cannot be read, more than the 10%" in message
    assert "first 'text'" in message and "the column changed its type" in message
    assert "raise `max_rejected_share` for this table in config/shops.yaml" in message


def test_the_share_that_may_be_rejected(rig: Rig) -> None:
    tenth = [*rows(9), row(9, Quantity="x")]
    assert "2 of 11 rows (18%)" in rig.refusal("a.csv", [*tenth, row(10, Quantity="x")])
    assert rig.load("a.csv", tenth).loaded[0].rejected == 1
    rig.configure(max_rejected_share=0)
    assert "1 of 11 rows (9%) cannot be read, more than the 0%" in rig.refusal("b.csv", [*tenth, row(11)])


def test_the_first_fault_of_a_row_is_its_reason_and_it_is_set_aside_once(rig: Rig) -> None:
    [(_, _, column, reason, _)] = bad_rows(rig, [row(99, Quantity="x", UnitPrice="y", InvoiceNo="")])
    assert (column, reason) == ("invoice_no", "empty, and a value is required")


def test_a_very_long_value_is_cut_in_rejects(rig: Rig) -> None:
    [(_, _, _, _, raw)] = bad_rows(rig, [row(99, Quantity="x", Description="y" * 100_000)])
    assert len(raw) < 4100 and raw.endswith("characters)")


def test_raw_text_that_could_end_a_copy(rig: Rig) -> None:
    text = '"a\n\\.\nb\t\\N\r"'
    [(_, _, _, _, raw)] = bad_rows(rig, [row(99, Quantity="x", Description=text)])
    assert text in raw


def test_rejects_go_with_the_object_that_had_them(rig: Rig) -> None:
    rig.load("a.csv", [*rows(20), row(20, Quantity="x")])
    rig.load("b.csv", [*rows(20, 30), row(50, Quantity="y")])
    assert [file for file, *_ in rig.rejects()] == ["a.csv", "b.csv"]
    rig.load("a.csv", rows(21))
    assert [file for file, *_ in rig.rejects()] == ["b.csv"]


# ---- gzip and zip ----------------------------------------------------------------------------------------------------


def zipped(files: dict[str, bytes], **options: Any) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


def test_a_gzip_cut_at_any_byte_is_refused(rig: Rig) -> None:
    whole = gzip.compress(sheet(rows(30_000)))
    for end in sorted(
        {2, 5, 10, 11, 50, 1000, 70_000, len(whole) // 2, len(whole) - 9, len(whole) - 8, len(whole) - 1}
    ):
        message = rig.refusal("cut.csv.gz", whole[:end])
        assert "the gzip is cut short or damaged" in message
        assert "upload it again and compare its size with the original's" in message
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    rig.refusal("damaged.csv.gz", bytes(damaged))
    assert rig.load("whole.csv.gz", whole).loaded[0].format == "CSV in gzip"


def test_what_may_be_in_a_gzip_or_zip(rig: Rig) -> None:
    data = sheet(rows(3))
    for number, (packed, kind) in enumerate(
        [
            (gzip.compress(data) + gzip.compress(b"\n".join(sheet(rows(2, 3)).splitlines()[1:])), "CSV in gzip"),
            (gzip.compress(parquet(rows(3, 10))), "Parquet in gzip"),
            (zipped({"a.csv": sheet(rows(3, 20))}), "CSV in zip"),
            (zipped({"a.xlsx": workbook(rows(3, 30)), "__MACOSX/._a.xlsx": b"x", "b/": b""}), "xlsx in zip"),
            (zipped({"a.parquet": parquet(rows(3, 40))}), "Parquet in zip"),
            (gzip.compress(zipped({"a.csv": sheet(rows(3, 50))})), "CSV in zip in gzip"),
        ]
    ):
        assert rig.load(f"{number}.bin", packed).loaded[0].format == kind
    assert len(rig.table()) == 20


def test_zips_that_are_refused(rig: Rig) -> None:
    data = sheet(rows(3000))
    whole = zipped({"a.csv": data})
    for end in (4, 40, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        assert "the zip is cut short or damaged" in rig.refusal("cut.zip", whole[:end])
    message = rig.refusal("two.zip", zipped({"a.csv": data, "b.csv": data}))
    assert "the zip holds 2 files (a.csv, b.csv), and it must hold one" in message and "unpack it" in message
    assert "the zip holds 0 files" in rig.refusal("none.zip", zipped({"__MACOSX/._a.csv": b""}))
    assert "the zip is cut short" in rig.refusal("empty.zip", zipped({}))
    encrypted = bytearray(whole)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(signature) + offset] |= 1
    assert "the zip is encrypted" in rig.refusal("secret.zip", bytes(encrypted))
    unknown = bytearray(whole)
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        unknown[unknown.index(signature) + offset] = 9  # deflate64
    assert "the zip cannot be unpacked here" in rig.refusal("deflate64.zip", bytes(unknown))
    assert "this is a PDF document" in rig.refusal("pdf.zip", zipped({"a.pdf": b"%PDF-1.7"}))


def test_damage_anywhere_is_an_error_of_ours(rig: Rig) -> None:
    """Bytes changed, cut out and cut off at random, in every format: refused in words, or read to the end."""
    dice = random.Random(11)
    lines = rows(300)
    files = {"csv": sheet(lines), "gzip": gzip.compress(sheet(lines)), "zip": zipped({"a.csv": sheet(lines)})}
    files |= {"xlsx": workbook(lines), "parquet": parquet(lines)}
    for whole in files.values():
        refused = 0
        for _ in range(100):
            data = bytearray(whole)
            at = dice.randrange(len(data))
            match dice.randrange(3):
                case 0:
                    data[at : at + 4] = dice.randbytes(4)
                case 1:
                    del data[at : at + dice.randrange(1, 200)]
                case 2:
                    del data[at:]
            try:
                read_only(rig, bytes(data))
            except ExtractError:
                refused += 1
        assert refused or whole is files["csv"]


# ---- workbooks -------------------------------------------------------------------------------------------------------


def workbook(lines: list[str], name: str = "Online Retail", top: int = 0, **cells: Any) -> bytes:
    """An xlsx as UCI's is: numbers as numbers, dates as dates. `cells` put other values: A5=..."""
    target = io.BytesIO()
    with xlsxwriter.Workbook(target, {"in_memory": True}) as book:
        tab = book.add_worksheet(name)
        day = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        tab.write_row(top, 0, HEADERS)
        for at, line in enumerate(lines, start=top + 1):
            for column, value in enumerate(line.split(",")):
                if column == 4:
                    tab.write_datetime(at, column, datetime.fromisoformat(value), day)
                elif value and value.replace(".", "").isdigit():
                    tab.write_number(at, column, float(value))
                else:
                    tab.write_string(at, column, value) if value else tab.write_blank(at, column, None)
        for place, value in cells.items():
            if isinstance(value, (datetime, date)):
                tab.write_datetime(place, value, day)
            elif isinstance(value, str) and value.startswith("#"):
                tab.write_formula(place, "=1/0", None, value)
            else:
                tab.write(place, value)
    return target.getvalue()


def test_a_workbook_gives_the_rows_of_the_csv(rig: Rig) -> None:
    rig.load("a.csv", rows(50))
    from_csv = rig.content()
    (rig.inbox / "a.csv").unlink()
    rig.load("a.csv", workbook(rows(50)))  # the bytes say what it is, not the name
    assert rig.content() == from_csv
    assert rig.table("customer_id")[0] == ("17850",)


def test_a_workbook_with_another_sheet(rig: Rig) -> None:
    message = rig.refusal("a.xlsx", workbook(rows(3), name="Year 2009-2010"))
    assert "the workbook has no sheet 'Online Retail'; it has 'Year 2009-2010'" in message
    assert "set `sheet` for this table in config/shops.yaml" in message
    rig.configure(sheet=None)
    assert rig.load("a.xlsx", workbook(rows(3), name="Year 2009-2010")).loaded[0].rows == 3


def test_a_workbook_of_two_sheets_needs_one_named(rig: Rig) -> None:
    target = io.BytesIO()
    with xlsxwriter.Workbook(target, {"in_memory": True}) as book:
        book.add_worksheet("A"), book.add_worksheet("B")
    rig.configure(sheet=None)
    assert "the workbook has 2 sheets: 'A', 'B'" in rig.refusal("a.xlsx", target.getvalue())
    rig.configure(sheet="B")
    assert "the sheet 'B' is empty" in rig.refusal("a.xlsx", target.getvalue())


def test_cells_of_other_kinds(rig: Rig) -> None:
    rig.configure(max_rejected_share=0.5)
    data = workbook(
        rows(30),
        C3=True, C4=1e-5, C5=17850.0, C6=0.1 + 0.2, C7=date(2011, 1, 2), C8="0012", C9="#DIV/0!",
        C10=123456789012345678,
        D11="six", E12="yesterday", E13=date(2011, 1, 3), D14="#N/A", F15=time(8, 30).isoformat(), F16=0.1 + 0.7,
    )  # fmt: skip
    rig.load("cells.xlsx", data)
    stored = dict(rig.table("invoice_no, description"))
    texts = [stored[str(536365 + number)] for number in range(1, 9)]
    assert texts == ["true", "0.00001", "17850", "0.3", "2011-01-02", "0012", None, "123456789012345700"]
    assert dict(rig.table("invoice_no, invoice_date"))["536376"] == datetime(2011, 1, 3)
    assert dict(rig.table("invoice_no, unit_price"))["536379"] == Decimal("0.8")
    assert [(line, column) for _, line, column, _, _ in rig.rejects()] == [
        (11, "quantity"), (12, "invoice_date"), (14, "quantity"), (15, "unit_price")]  # fmt: skip


def test_a_workbook_may_begin_further_down_and_have_blank_rows(rig: Rig) -> None:
    rig.load("down.xlsx", workbook([*rows(20), row(20)], top=4, D10="x", J16="right"))
    rejects = [(line, column, reason) for _, line, column, reason, _ in rig.rejects()]
    assert rejects == [
        (10, "quantity", "not a whole number"),
        (16, "", "a value to the right of the last header ('Country')"),
    ]
    message = rig.refusal("title.xlsx", workbook(rows(3), top=2, A1="Sales report"))
    assert "line 1" in message and "missing" in message
    assert "a column of the sheet has no header" in rig.refusal("hole.xlsx", workbook(rows(3), C1=" "))


def test_a_workbook_that_is_cut_or_hollow(rig: Rig) -> None:
    whole = workbook(rows(300))
    for end in (100, len(whole) // 2, len(whole) - 10):
        assert "the workbook is cut short or damaged" in rig.refusal("cut.xlsx", whole[:end])
    hollow = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(hollow, "w") as new:
        for item in old.infolist():
            new.writestr(item, old.read(item) if "sheet1" not in item.filename else old.read(item)[:1000])
    assert "the workbook is cut short or damaged" in rig.refusal("hollow.xlsx", hollow.getvalue())


# ---- Parquet ---------------------------------------------------------------------------------------------------------


def parquet(lines: list[str], **columns: Any) -> bytes:
    """A Parquet file of typed columns; `columns` put others in their place or beside them."""
    split = list(zip(*(line.split(",") for line in lines), strict=True))
    arrays: dict[str, Any] = {
        "InvoiceNo": pa.array(split[0]),
        "StockCode": pa.array(split[1]),
        "Description": pa.array(split[2]),
        "Quantity": pa.array(map(int, split[3])),
        "InvoiceDate": pa.array(map(datetime.fromisoformat, split[4]), pa.timestamp("us")),
        "UnitPrice": pa.array(map(Decimal, split[5]), pa.decimal128(18, 4)),
        "CustomerID": pa.array([value or None for value in split[6]]),
        "Country": pa.array(split[7]),
    }
    target = io.BytesIO()
    pq.write_table(pa.table({name: value for name, value in (arrays | columns).items() if value is not None}), target)
    return target.getvalue()


def test_parquet_of_every_writer_gives_the_rows_of_the_csv(rig: Rig) -> None:
    lines = rows(60)
    rig.load("a", sheet(lines))
    from_csv = rig.content()
    frame = pd.read_csv(io.BytesIO(sheet(lines)), parse_dates=["InvoiceDate"])
    assert frame["CustomerID"].dtype == "float64"  # 17850.0, for some are missing
    as_pandas = io.BytesIO()
    frame.to_parquet(as_pandas)
    price = pa.array([Decimal(line.split(",")[5]) for line in lines])
    variants = {
        "plain": parquet(lines),
        "pandas": as_pandas.getvalue(),
        "large": parquet(lines, Country=pa.array(["United Kingdom"] * 60, pa.large_string())),
        "view": parquet(lines, Country=pa.array(["United Kingdom"] * 60, pa.string_view())),
        "dictionary": parquet(lines, Country=pa.array(["United Kingdom"] * 60).dictionary_encode()),
        "ns": parquet(lines, InvoiceDate=pa.array(frame["InvoiceDate"], pa.timestamp("ns"))),
        "ms": parquet(lines, InvoiceDate=pa.array(frame["InvoiceDate"], pa.timestamp("ms"))),
        "scale": parquet(lines, UnitPrice=price.cast(pa.decimal128(30, 10))),
        "float": parquet(lines, UnitPrice=price.cast(pa.float64())),
        "float32": parquet(lines, UnitPrice=pa.array([float(line.split(",")[5]) for line in lines], pa.float32())),
        "int32": parquet(lines, Quantity=pa.array([int(line.split(",")[3]) for line in lines], pa.int32())),
        "uint64": parquet(lines, InvoiceNo=pa.array([int(line.split(",")[0]) for line in lines], pa.uint64())),
        "text": parquet(lines, Quantity=pa.array([line.split(",")[3] for line in lines])),
        "binary": parquet(lines, Country=pa.array([b"United Kingdom"] * 60)),
    }
    for name, data in variants.items():
        report = rig.load("a", data)
        assert report.loaded[0].format == "Parquet", name
        assert rig.content() == from_csv, name


@pytest.mark.parametrize(
    ("column", "values", "source"),
    [
        ("Quantity", pa.array([True] * 40), "bool"),
        ("Quantity", pa.array([date(2010, 1, 1)] * 40), "date32[day]"),
        ("InvoiceDate", pa.array([20101201] * 40), "int64"),
        ("InvoiceDate", pa.array([datetime(2010, 1, 1)] * 40, pa.timestamp("us", tz="UTC")), "timestamp[us, tz=UTC]"),
        ("Country", pa.array([["UK"]] * 40), "list<element: string>"),
    ],
)
def test_a_column_of_a_parquet_file_that_changed_its_type(rig: Rig, column: str, values: Any, source: str) -> None:
    rig.load("a.parquet", parquet(rows(40)))
    message = rig.refusal("b.parquet", parquet(rows(40), **{column: values}))
    name = next(c for c in rig.declared.columns if column in c.names)
    assert f"column {name.name}: the column is {source} in the source" in message
    assert "the column changed its type" in message and "declare the new type in _sources.yml" in message


def test_text_in_a_parquet_column_of_numbers(rig: Rig) -> None:
    words = pa.array(["six"] * 40)
    message = rig.refusal("b.parquet", parquet(rows(40), Quantity=words))
    assert "column quantity" in message and "the column changed its type" in message


def test_bad_values_of_a_parquet_file(rig: Rig) -> None:
    quantity = pa.array([float(number) for number in range(60)])
    quantity = pa.array([2.5, float("inf"), float("nan"), 1e30, *quantity.to_pylist()[4:]])
    days = [datetime(2010, 12, 1)] * 60
    days[5], days[6] = datetime(1899, 1, 1), datetime(9999, 1, 1)
    rig.load("a.parquet", parquet(rows(60), Quantity=quantity, InvoiceDate=pa.array(days, pa.timestamp("s"))))
    assert [(line, column) for _, line, column, _, _ in rig.rejects()] == [
        *((number, "quantity") for number in (1, 2, 3, 4)), (6, "invoice_date"), (7, "invoice_date")]  # fmt: skip


def test_strings_of_a_parquet_file_that_are_not_utf_8(rig: Rig) -> None:
    country = pa.array([b"UK"] * 39 + [b"Cura\xe7ao"])
    wrong = pa.Array.from_buffers(pa.string(), 40, country.buffers())
    rig.load("a.parquet", parquet(rows(40), Country=wrong))
    [(_, line, column, reason, raw)] = rig.rejects()
    assert (line, column, reason) == (40, "country", "not text without NUL bytes in UTF-8") and r"Cura\xe7ao" in raw


def test_parquet_that_is_cut_or_lacks_a_column(rig: Rig) -> None:
    whole = parquet(rows(40))
    for end in (4, 100, len(whole) - 1):
        assert "the Parquet file is cut short or damaged" in rig.refusal("cut.parquet", whole[:end])
    assert "required column is missing: Country" in rig.refusal("a.parquet", parquet(rows(40), Country=None))


def test_columns_of_every_type_from_text_and_typed(rig: Rig) -> None:
    rig.declare(
        Column("t", "text"), Column("i", "integer"), Column("b", "bigint"), Column("n", "numeric(6,2)"),
        Column("d", "double precision"), Column("o", "boolean"), Column("day", "date", formats=("%d/%m/%Y",)),
        Column("local", "timestamp"), Column("instant", "timestamptz"), cursor="instant",
    )  # fmt: skip
    good = "a,1,2,3.5,1e-3,Yes,31/12/2010,2010-12-01 08:00,2010-07-01 23:30:00 UTC\n"
    bad = ["x,2147483648,,,,,,,", "x,,,10000,,,,,", "x,,,,1e999,,,,", "x,,,,,maybe,,,", "x,,,,,,30/02/2010,,",
           "x,,,,,,,2010-12-01 08:00Z,", "x,,,,,,,,2010-12-01 08:00"]  # fmt: skip
    rig.configure(cursor="instant", max_rejected_share=0.5)
    rig.load("types.csv", ("t,i,b,n,d,o,day,local,instant\n" + good * 10 + "\n".join(bad)).encode())
    assert [column for _, _, column, _, _ in rig.rejects()] == ["i", "n", "d", "o", "day", "local", "instant"]
    [stored] = set(rig.table("t, i, b, n, d, o, day, local, instant at time zone 'UTC'"))
    assert stored == ("a", 1, 2, Decimal("3.50"), 0.001, True, date(2010, 12, 31), datetime(2010, 12, 1, 8),
                      datetime(2010, 7, 1, 23, 30))  # fmt: skip
    assert rig.days() == {date(2010, 7, 2)}  # half past midnight in London


# ---- names and declarations ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Online%20Retail+dec.csv", "späte Übersicht 漢.csv", "two\nlines.csv", "a'b\"c;--.csv", "sub/%2e%2e/x"]
)
def test_names_are_taken_literally(rig: Rig, name: str) -> None:
    report = rig.load(name, rows(3))
    assert report.loaded[0].uri == f"{rig.inbox}/{name}"
    assert rig.query("select uri from ledger.extracts where shop = %s", NAME) == [(f"{rig.inbox}/{name}",)]
    assert rig.run().is_unchanged
    assert name.rsplit("/", 1)[-1] in rig.refusal(name + "2", b"%PDF")


def test_an_encoded_and_a_plain_name_are_two_objects(rig: Rig) -> None:
    rig.put("Online%20Retail.csv", rows(3))
    rig.load("Online Retail.csv", rows(3, 3))
    assert len(rig.table()) == 6 and len(rig.ledger("objects")) == 2


def test_a_name_that_is_not_utf_8_is_refused_and_others_load(rig: Rig) -> None:
    path = os.fsencode(rig.inbox) + b"/caf\xe9.csv"
    with open(path, "wb") as file:
        file.write(sheet(rows(3)))
    rig.put("good.csv", rows(3, 3))
    report = rig.run()
    assert len(rig.table()) == 3
    [error] = report.failed
    assert r"caf\xe9.csv" in str(error) and "rename" in str(error)


def test_a_declared_type_that_changed(rig: Rig) -> None:
    rig.declare(Column("a", "text"), Column("b", "integer"))
    rig.load("a.csv", b"a,b\nx,1\n")
    rig.declare(Column("a", "text"), Column("b", "bigint"))
    with pytest.raises(ExtractError) as caught:
        rig.run()
    message = str(caught.value)
    assert message.startswith(
        f"{NAME}.{TABLE}, column b: the raw table has the type integer, and _sources.yml declares bigint"
    )
    assert f"cartograph forget {NAME} {TABLE}" in message


def test_a_column_that_was_declared_later(rig: Rig) -> None:
    rig.declare(Column("a", "text"))
    rig.load("a.csv", b"a\nx\n")
    rig.declare(Column("a", "text"), Column("b", "integer", optional=True))
    rig.load("b.csv", b"a,b\ny,2\n")
    assert rig.table("a, b") == [("x", None), ("y", 2)]


def test_no_noise(rig: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    rig.load("a.csv", sheet([*rows(40), "short"]).replace(b"LANTERN 3,", b"\xe9,") + b"caf\xe9,short\n")
    assert capfd.readouterr() == ("", "")


def test_a_file_that_may_not_be_read_does_not_stop_the_others(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.put("locked.csv", rows(3))
    rig.put("open.csv", rows(3, 3))
    opened = rig.store.open

    def locked(item: Any) -> Any:
        if item.name == "locked.csv":
            raise PermissionError(13, "Permission denied")
        return opened(item)

    monkeypatch.setattr(rig.store, "open", locked)
    report = rig.run()
    assert [Path(item.uri).name for item in report.loaded] == ["open.csv"]
    assert "the file cannot be opened" in str(report.failed[0]) and "Remedy: make it readable" in str(report.failed[0])
    monkeypatch.undo()
    assert rig.run().loaded[0].rows == 3
