"""Source values to declared types, a batch at a time: what fits becomes Arrow of the declared type, what does not gets
a reason in words.

Text is held against a pattern of the whole column first, so that the casts behind it cannot fail on one value and the
work stays vectorised; only values of a batch in which a cast still failed are looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from assets.extracts.declared import EPOCH_MS, Column

if TYPE_CHECKING:
    import pyarrow as pa

FIRST_YEAR, LAST_YEAR = 1990, 2049
"""The years of `dim_date`; a date outside them is taken for a fault of the source."""

_ISO = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?)?$"
_ISO_ZONED = _ISO[:-1] + r"( ?UTC|Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
_WHOLE = r"^[+-]?0*\d{1,19}(\.0*)?$"
_REAL = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?$"
_SCIENTIFIC = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]{1,2}$"
_EPOCH_MS = r"^[0-9]{1,14}$"
_TRUE, _FALSE = ("true", "t", "yes", "y", "1"), ("false", "f", "no", "n", "0")


def convert(values: pa.Array, column: Column) -> tuple[pa.Array, pa.Array, str]:
    """A column of a source as its declared type.

    Args:
        values: one batch of the column: strings or binary as read from text, or typed values.

    Returns:
        The values as `column.arrow_type`, null where one does not fit; a boolean array that is true where a value does
        not fit; and what would have fitted, in words.

    Raises:
        TypeError: the values have a type from which the declared one cannot be made without loss.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), column.arrow_type), _none_bad(values), ""
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        values, undecodable = _decode(values)
        converted, bad, wanted = _from_text(values, column)
        return converted, pc.or_(bad, undecodable), f"{wanted} in UTF-8" if pc.any(undecodable).as_py() else wanted
    if pa.types.is_string(values.type):
        return _from_text(values, column)
    return _from_typed(values, column)


def _none_bad(values: pa.Array) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.array(np.zeros(len(values), dtype=bool))


def _decode(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Bytes as UTF-8 strings, and where they are not UTF-8."""
    import pyarrow as pa

    try:
        return values.cast(pa.string()), _none_bad(values)
    except pa.ArrowInvalid:
        texts: list[str | None] = []
        bad = []
        for value in values.to_pylist():
            try:
                texts.append(None if value is None else value.decode("utf-8"))
                bad.append(False)
            except UnicodeDecodeError:
                texts.append(None)
                bad.append(True)
        return pa.array(texts, pa.string()), pa.array(bad, pa.bool_())


def _from_text(values: pa.Array, column: Column) -> tuple[pa.Array, pa.Array, str]:
    import pyarrow as pa
    import pyarrow.compute as pc

    target = column.arrow_type
    if pa.types.is_string(target):
        # No text and an empty one are the same, or a CSV would differ from itself saved with all values quoted.
        if pc.any(pc.equal(values, "")).as_py():
            values = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
        # Postgres cannot store a NUL; one of them would fail the whole COPY.
        return values, _bad(pc.match_substring(values, "\x00")), "text without NUL bytes"
    trimmed = pc.utf8_trim_whitespace(values)
    trimmed = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.string()), trimmed)
    if pa.types.is_boolean(target):
        lower = pc.utf8_lower(trimmed)
        yes, no = pc.is_in(lower, pa.array(_TRUE)), pc.is_in(lower, pa.array(_FALSE))
        return pc.if_else(pc.or_(yes, no), yes, None), _bad(pc.invert(pc.or_(yes, no)), trimmed), "true or false"
    if pa.types.is_temporal(target):
        return _dates_from_text(trimmed, column)
    if pa.types.is_integer(target):
        return _whole_from_text(trimmed, target)
    if pa.types.is_decimal(target):
        whole, scale = target.precision - target.scale, target.scale
        before = rf"\d{{1,{whole}}}" if whole else "0"
        after = rf"\.\d{{1,{scale}}}0*" if scale else r"\.0+"
        pattern = rf"^[+-]?0*({before}({after}|\.)?|{after})$"
        wanted = f"a number with at most {whole} digits before and {scale} after the decimal point"
        if pc.any(pc.match_substring_regex(trimmed, _SCIENTIFIC)).as_py():
            trimmed = pa.array([_plain(text) for text in trimmed.to_pylist()], pa.string())
        fits = pc.match_substring_regex(trimmed, pattern)
        # The cast refuses zeros beyond the scale and more digits than any decimal has, though zeros change nothing.
        plain = pc.replace_substring_regex(pc.if_else(fits, trimmed, None), r"^([+-]?)0+(\d)", r"\1\2")
        plain = pc.replace_substring_regex(plain, rf"(\.\d{{{scale}}})0+$", r"\1")
        return plain.cast(target), _bad(pc.invert(fits), trimmed), wanted
    fits = pc.match_substring_regex(trimmed, _REAL)
    numbers = pc.if_else(fits, trimmed, None).cast(target)
    finite = pc.is_finite(numbers)
    return pc.if_else(finite, numbers, None), _bad(pc.invert(pc.and_(fits, finite)), trimmed), "a number"


def _whole_from_text(texts: pa.Array, target: pa.DataType) -> tuple[pa.Array, pa.Array, str]:
    import pyarrow as pa
    import pyarrow.compute as pc

    fits = pc.match_substring_regex(texts, _WHOLE)
    good = pc.replace_substring_regex(pc.if_else(fits, texts, None), r"^\+|\.0*$", "")
    try:
        numbers = good.cast(pa.int64())
    except pa.ArrowInvalid:  # 19 digits can be too many
        numbers = pc.replace_substring_regex(good, r"^(-?)0+(\d)", r"\1\2").cast(pa.decimal128(38, 0))
    bits = target.bit_width - 1
    inside = pc.and_(pc.less_equal(numbers, 2**bits - 1), pc.greater_equal(numbers, -(2**bits)))
    numbers = pc.if_else(inside, numbers, pa.scalar(None, numbers.type))
    return numbers.cast(target), _bad(pc.invert(pc.and_(fits, inside)), texts), "a whole number"


def _plain(text: str | None) -> str | None:
    """A number in scientific notation, as spreadsheets write small ones, in plain digits."""
    return format(Decimal(text), "f") if text is not None and re.match(_SCIENTIFIC, text) else text


def _dates_from_text(texts: pa.Array, column: Column) -> tuple[pa.Array, pa.Array, str]:
    import pyarrow as pa
    import pyarrow.compute as pc

    target = column.arrow_type
    zoned = getattr(target, "tz", None) is not None
    formats = tuple(item for item in column.formats if item != EPOCH_MS)
    wanted = " or ".join(("an ISO date and time" + (" with its UTC offset" if zoned else ""), *formats))
    given, counted = texts, None
    if EPOCH_MS in column.formats:
        wanted = f"milliseconds since 1970 or {wanted}"
        whole = pc.if_else(pc.match_substring_regex(texts, _EPOCH_MS), texts, pa.scalar(None, pa.string()))
        counted = whole.cast(pa.int64()).cast(pa.timestamp("ms", tz="UTC")).cast(pa.timestamp("us", tz="UTC"))
        texts = pc.if_else(pc.is_valid(whole), pa.scalar(None, pa.string()), texts)
    parsed: pa.Array | None = None
    if not zoned:
        iso = pc.if_else(pc.match_substring_regex(texts, _ISO), texts, pa.scalar(None, pa.string()))
        try:
            parsed = iso.cast(pa.timestamp("us"))
        except pa.ArrowInvalid:
            parsed = None  # a day such as 30 February: this batch goes the slow way
    if parsed is None or (formats and parsed.null_count > texts.null_count):
        # Arrow's strptime makes 2 March of 30 February, so Python's reads each distinct text once.
        encoded = texts.dictionary_encode()
        found = [_one_instant(text, formats, zoned) for text in encoded.dictionary.to_pylist()]
        instants = pa.array(found, pa.timestamp("us", tz="UTC") if zoned else pa.timestamp("us"))
        parsed = instants.take(encoded.indices)
    if counted is not None:
        parsed, texts = pc.coalesce(counted, parsed), given
    inside, note = _in_range(parsed)
    bad = _bad(pc.invert(pc.and_(pc.is_valid(parsed), inside)), texts)
    return _to_date(pc.if_else(inside, parsed, None), target), bad, wanted + note


def _one_instant(text: str | None, formats: tuple[str, ...], zoned: bool) -> datetime | None:
    if text is None:
        return None
    parsers: list[Callable[[str], datetime]] = [partial(_strptime, pattern) for pattern in formats]
    if re.match(_ISO_ZONED if zoned else _ISO, text):
        parsers.insert(0, _fromisoformat)
    for parse in parsers:
        try:
            value = parse(text)
            if (value.tzinfo is not None) == zoned:
                return value.astimezone(UTC) if zoned else value
        except (ValueError, OverflowError):
            continue
    return None


def _fromisoformat(text: str) -> datetime:
    return datetime.fromisoformat(re.sub(" ?UTC$", "Z", text))


def _strptime(pattern: str, text: str) -> datetime:
    return datetime.strptime(text, pattern)


def _in_range(instants: pa.Array) -> tuple[pa.Array, str]:
    import pyarrow as pa
    import pyarrow.compute as pc

    years = pc.year(instants)
    inside = pc.and_(pc.greater_equal(years, FIRST_YEAR), pc.less_equal(years, LAST_YEAR))
    inside = pc.fill_null(inside, pa.scalar(True))
    return inside, f", of the years {FIRST_YEAR} to {LAST_YEAR}"


def _to_date(instants: pa.Array, target: pa.DataType) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date(target):
        return pc.floor_temporal(instants, unit="day").cast(target)
    return instants.cast(target)


def _bad(condition: pa.Array, present: pa.Array | None = None) -> pa.Array:
    """A condition with its nulls as false; where `present` is given, only for values that are there."""
    import pyarrow as pa
    import pyarrow.compute as pc

    filled = pc.fill_null(condition, pa.scalar(present is not None))
    return filled if present is None else pc.and_(filled, pc.is_valid(present))


def _from_typed(values: pa.Array, column: Column) -> tuple[pa.Array, pa.Array, str]:
    """Typed values (of a Parquet file, or of a query) as the declared type, without loss or not at all."""
    import pyarrow as pa
    import pyarrow.compute as pc

    source, target = values.type, column.arrow_type
    if pa.types.is_timestamp(source) or pa.types.is_date(source):
        return _from_instants(values, column)
    if pa.types.is_floating(source):
        if source != pa.float64():  # by way of text: the single precision number 2.55 is 2.55, not 2.549999952316284
            values = values.cast(pa.float32()).cast(pa.string()).cast(pa.float64())
        # NaN is how pandas writes a number that is missing.
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
        if pa.types.is_floating(target):
            infinite = _bad(pc.is_inf(values))
            return pc.if_else(infinite, pa.scalar(None, target), values.cast(target)), infinite, "a number"
    elif source == target:
        return values, _none_bad(values), ""
    number = pa.types.is_integer(source) or pa.types.is_floating(source) or pa.types.is_decimal(source)
    if number and pa.types.is_floating(target):
        return values.cast(target, safe=False), _none_bad(values), "a number"
    exact = pa.types.is_string(target) or pa.types.is_decimal(target) or pa.types.is_integer(target)
    if number and (exact or EPOCH_MS in column.formats):
        # Numbers go by their decimal text: 2.55 is 2.55, and 17850.0, as pandas writes an id beside nulls, is 17850.
        if pa.types.is_integer(source) and not pa.types.is_decimal(target):
            texts = values.cast(pa.string())
        else:
            texts = pa.array([number_text(value) for value in values.to_pylist()], pa.string())
        return _from_text(texts, column)
    if pa.types.is_time(source) and pa.types.is_string(target):
        texts = pc.replace_substring_regex(values.cast(pa.string()), r"(\.\d*?)0+$", r"\1")
        return pc.replace_substring_regex(texts, r"\.$", ""), _none_bad(values), "a time of day"
    if pa.types.is_boolean(source) and pa.types.is_string(target):
        return pc.if_else(values, "true", "false"), _none_bad(values), "true or false"
    raise TypeError(f"the column is {source} in the source, and {column.data_type} is declared")


def _from_instants(values: pa.Array, column: Column) -> tuple[pa.Array, pa.Array, str]:
    import pyarrow as pa
    import pyarrow.compute as pc

    source, target = values.type, column.arrow_type
    if pa.types.is_string(target):
        return values.cast(pa.string()), _none_bad(values), "text"
    if not pa.types.is_temporal(target):
        raise TypeError(f"the column is {source} in the source, and {column.data_type} is declared")
    has_zone, wants_zone = getattr(source, "tz", None) is not None, getattr(target, "tz", None) is not None
    if has_zone != wants_zone:
        raise TypeError(
            f"the column is {source} in the source, {'with' if has_zone else 'without'} a time zone, "
            f"and {column.data_type} is declared"
        )
    inside, note = _in_range(values)
    bad = _bad(pc.invert(inside), values)
    micro = pa.timestamp("us", tz=getattr(source, "tz", None))
    return _to_date(pc.if_else(inside, values, None).cast(micro, safe=False), target), bad, "an instant" + note


def number_text(value: Any) -> str | None:
    """A number as plain decimal text, whole ones without a point.

    Of a double that is not whole, 15 digits: so many it can hold, and what stands behind them is noise of arithmetic.
    """
    if value is None or value != value:
        return None
    if isinstance(value, float):
        value = value if value.is_integer() else float(f"{value:.15g}")
        text = repr(value)
        if "e" in text or "E" in text:
            text = format(Decimal(text), "f")
        return text.removesuffix(".0")
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)


def cell_text(value: Any) -> str | None:
    """A cell of a workbook as the text that the same value has in a CSV; None where it is empty."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date):
        return value.isoformat()
    return number_text(value)
