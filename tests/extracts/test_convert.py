"""Text to types, on many random strings, against plain Python that looks at one value at a time."""

from __future__ import annotations

import math
import random
import re
import string
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from typing import Any

import pyarrow as pa
import pytest

from assets.extracts.convert import cell_text, convert, number_text
from assets.extracts.declared import EPOCH_MS, Column

BAD = object()
PIECES = [
    *"0123456789", *"0099", "+", "-", ".", ",", "e", "E", "e5", "E-3", " ", "nan", "inf", "x", "²", "٣", "\u00a0", "_",
    "2011",
    "2011-02-28", "2012-02-29", "2011-02-30", "-12-31", "T10:20", " 23:59:59", ".5", ".123456", ":", "Z", "+01:00",
    " UTC", "1899-12-31", "2049-12-31", "9223372036854775807", "2147483648", "99999999", "true", "No", "00000000000000",
]  # fmt: skip


def texts(seed: int, count: int = 4000) -> list[str | None]:
    dice = random.Random(seed)
    made: list[str | None] = [None, "", " ", "0", "-0", "+0", ".", "-", "1.", ".1", "0.0000", "1e400", "1_000", "0x10"]
    made += ["9223372036854775808", "-9223372036854775809", "-2147483649", "2011-01-01 24:00", "2011-01-01 10:20:60"]
    for _ in range(count):
        kind = dice.randrange(5)
        if kind == 0:
            made.append("".join(dice.choices(PIECES, k=dice.randrange(1, 5))))
        elif kind == 1:
            made.append(f"{dice.uniform(-1e6, 1e6):.{dice.randrange(8)}f}")
        elif kind == 2:
            made.append(f"{dice.choice(['', '+', '-', '0'])}{dice.randrange(10 ** dice.randrange(1, 22))}")
        elif kind == 3:
            day = date(dice.randrange(1985, 2055), dice.randrange(1, 13), dice.randrange(1, 29)).isoformat()
            time = f"{dice.randrange(26):02d}:{dice.randrange(62):02d}"
            made.append(
                f"{day}{dice.choice([' ', 'T', '', 'x'])}{dice.choice(['', time, time + ':07', time + ':07.5'])}"
            )
        else:
            made.append("".join(dice.choices(string.printable, k=dice.randrange(6))))
    dice.shuffle(made)
    return made


def trimmed(text: str) -> str:
    return text.strip(" \t\n\r\x0b\x0c\u00a0\x1c\x1d\x1e\x1f\x85\u2003")


def whole(bits: int) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if not re.fullmatch(r"[+-]?[0-9]+(\.0*)?", text):
            return BAD
        value = int(text.partition(".")[0])
        return value if -(2 ** (bits - 1)) <= value < 2 ** (bits - 1) and len(text.lstrip("+-0")) < 40 else BAD

    return read


def fixed(precision: int, scale: int) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,2})?", text):
            return BAD
        with localcontext(prec=300):
            value = Decimal(text)
            return value if abs(value) < Decimal(10) ** (precision - scale) and value * 10**scale % 1 == 0 else BAD

    return read


def real(text: str) -> Any:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", text):
        return BAD
    return float(text) if math.isfinite(float(text)) else BAD


def truth(text: str) -> Any:
    yes, no = text.lower() in ("true", "t", "yes", "y", "1"), text.lower() in ("false", "f", "no", "n", "0")
    return yes if yes or no else BAD


def local(text: str) -> Any:
    form = r"(\d{4})-(\d\d)-(\d\d)([ T](\d\d):(\d\d)(:(\d\d)(\.(\d{1,6}))?)?)?"
    found = re.fullmatch(form, text, re.ASCII)
    if not found:
        return BAD
    micro = (found[10] or "").ljust(6, "0")
    try:
        value = datetime(*(int(found[i] or 0) for i in (1, 2, 3, 5, 6, 8)), int(micro))  # type: ignore[arg-type]
    except ValueError:
        return BAD
    return value if 1990 <= value.year <= 2049 else BAD


def day(text: str) -> Any:
    value = local(text)
    return value if value is BAD else value.date()


def instant(text: str) -> Any:
    found = re.fullmatch(r"(.{10}[ T]?.*?)( ?UTC|Z|([+-])(\d\d):?(\d\d)?)", text)
    value = local(found[1]) if found and len(found[1]) > 10 else BAD
    if value is BAD or not found:
        return BAD
    try:
        value = datetime.fromisoformat(f"{found[1]}{'+00:00' if not found[3] else found[2]}").astimezone(UTC)
    except ValueError:
        return BAD
    return value if 1990 <= value.year <= 2049 else BAD


@pytest.mark.parametrize(
    ("data_type", "oracle"),
    [
        ("integer", whole(32)), ("bigint", whole(64)), ("numeric(18,4)", fixed(18, 4)), ("numeric(6,2)", fixed(6, 2)),
        ("numeric(5,0)", fixed(5, 0)), ("numeric(4,4)", fixed(4, 4)), ("numeric(38,10)", fixed(38, 10)),
        ("double precision", real), ("boolean", truth), ("timestamp", local), ("date", day), ("timestamptz", instant),
    ],
)  # fmt: skip
@pytest.mark.parametrize("seed", range(3))
def test_text_against_plain_python(data_type: str, oracle: Callable[[str], Any], seed: int) -> None:
    column = Column("x", data_type)
    source = texts(seed)
    size = random.Random(seed).choice([7, 500, len(source)])  # what stands beside a value must not matter
    for start in range(0, len(source), size):
        part = source[start : start + size]
        values, bad, wanted = convert(pa.array(part, pa.string()), column)
        assert values.type == column.arrow_type and len(values) == len(bad) == len(part) and wanted
        for text, value, is_bad in zip(part, values.to_pylist(), bad.to_pylist(), strict=True):
            clean = trimmed(text or "")
            expected = oracle(clean) if clean else None
            assert is_bad == (expected is BAD), f"{text!r} as {data_type}"
            assert value == (None if expected is BAD else expected), f"{text!r} as {data_type}"


@pytest.mark.parametrize("seed", range(3))
def test_text_as_text(seed: int) -> None:
    source = [*texts(seed, 500), "a\x00b"]
    values, bad, _ = convert(pa.array(source, pa.string()), Column("x", "text"))
    assert bad.to_pylist() == ["\x00" in (text or "") for text in source]
    assert values.to_pylist()[:-1] == [text or None for text in source[:-1]]


def test_declared_formats_of_dates() -> None:
    column = Column("x", "timestamp", formats=("%d/%m/%Y %H:%M", "%d.%m.%Y"))
    source = [
        "31/12/2010 08:26",
        "1.2.2011",
        "2011-01-02",
        "30/02/2011 10:00",
        "12/31/2010 08:26",
        "1/1/1899 00:00",
        None,
    ]
    values, bad, wanted = convert(pa.array(source), column)
    assert values.to_pylist() == [
        datetime(2010, 12, 31, 8, 26),
        datetime(2011, 2, 1),
        datetime(2011, 1, 2),
        *[None] * 4,
    ]
    assert bad.to_pylist() == [False, False, False, True, True, True, False]
    assert wanted == "an ISO date and time or %d/%m/%Y %H:%M or %d.%m.%Y, of the years 1990 to 2049"


def test_instants_as_milliseconds_since_1970() -> None:
    column = Column("x", "timestamptz", formats=(EPOCH_MS,))
    good = ["1433221332117", " 1433116800000 ", "2015-06-01T12:00:00Z"]
    source = [*good, "0", "99999999999999", "-1", "14.5", "x", "", None]
    values, bad, wanted = convert(pa.array(source), column)
    expected = [
        datetime(2015, 6, 2, 5, 2, 12, 117000, tzinfo=UTC),
        datetime(2015, 6, 1, tzinfo=UTC),
        datetime(2015, 6, 1, 12, tzinfo=UTC),
    ]
    assert values.to_pylist() == [*expected, *[None] * 7]
    assert bad.to_pylist() == [False] * 3 + [True] * 5 + [False] * 2
    assert wanted == "milliseconds since 1970 or an ISO date and time with its UTC offset, of the years 1990 to 2049"
    for typed in (pa.array([1433221332117, None]), pa.array([1433221332117.0, None])):
        values, bad, _ = convert(typed, column)
        assert values.to_pylist() == [expected[0], None] and not any(bad.to_pylist())
    with pytest.raises(TypeError, match="int64 in the source, and timestamptz is declared"):
        convert(pa.array([1433221332117]), Column("x", "timestamptz"))


def test_typed_numbers_come_out_as_they_went_in() -> None:
    dice = random.Random(5)
    prices = [round(dice.uniform(-1e6, 1e6), dice.randrange(5)) for _ in range(5000)] + [0.1 + 0.2, 1e-4, 2.5e9, None]
    values, bad, _ = convert(pa.array(prices, pa.float64()), Column("x", "numeric(18,4)"))
    assert not any(bad.to_pylist())
    assert [value and float(value) for value in values.to_pylist()] == [p and float(f"{p:.15g}") for p in prices]
    ids = [float(dice.randrange(10**15)) for _ in range(1000)]
    values, bad, _ = convert(pa.array(ids), Column("x", "text"))
    assert values.to_pylist() == [str(int(value)) for value in ids]
    wide = [2**63 - 1, -(2**63), 0, None]
    for data_type in ("bigint", "text", "numeric(38,0)"):
        values, bad, _ = convert(pa.array(wide), Column("x", data_type))
        assert not any(bad.to_pylist())
        assert [None if value is None else int(value) for value in values.to_pylist()] == wide


@pytest.mark.parametrize(
    ("source", "data_type"),
    [(pa.int64(), "boolean"), (pa.bool_(), "bigint"), (pa.int64(), "timestamp"), (pa.date32(), "timestamptz"),
     (pa.timestamp("us"), "timestamptz"), (pa.timestamp("us", tz="UTC"), "date"), (pa.timestamp("us"), "bigint"),
     (pa.list_(pa.int64()), "text"), (pa.time64("us"), "timestamp")],
)  # fmt: skip
def test_types_that_cannot_become_each_other(source: pa.DataType, data_type: str) -> None:
    with pytest.raises(TypeError, match=r"is .* in the source, .* is declared"):
        convert(pa.nulls(3, source), Column("x", data_type))


@pytest.mark.parametrize(
    ("value", "text"),
    [(17850.0, "17850"), (2.55, "2.55"), (1e-5, "0.00001"), (1e20, "100000000000000000000"), (0.1 + 0.2, "0.3"),
     (-0.5, "-0.5"),
     (True, "true"), ("", None), (None, None), (" x", " x"), (float("nan"), None), (datetime(2010, 12, 1, 8, 26),
     "2010-12-01 08:26:00"), (date(2010, 12, 1), "2010-12-01"), (7, "7")],
)  # fmt: skip
def test_cells(value: Any, text: str | None) -> None:
    assert cell_text(value) == text


def test_decimals_as_text() -> None:
    assert [number_text(Decimal(text)) for text in ("2.5500", "1E+3", "0.00", "100")] == ["2.55", "1000", "0", "100"]
