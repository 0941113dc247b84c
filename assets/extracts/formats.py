"""The bytes of an object as batches of source columns: CSV, Parquet and xlsx, plain or in gzip or zip.

What an object is follows from its first bytes, never from its name. Memory is bounded by the batch, except for
workbooks, whose sheets are read whole (a sheet ends at 1,048,576 rows).
"""

from __future__ import annotations

import csv
import gzip
import io
import posixpath
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from assets.extracts.convert import cell_text
from assets.extracts.errors import ExtractError
from resources.shops import Table

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

BATCH_ROWS = 65_536
_BLOCK_BYTES = 4 << 20
_SPOOL_BYTES = 32 << 20
_OPEN_QUOTE_LINES = 200
_KINDS = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"SQLite format 3", "a SQLite database"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"<!DOCTYPE", "an HTML page"),
    (b"<!doctype", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
    (b"{", "JSON"),
    (b"[", "JSON"),
)
_READABLE = "CSV, Parquet or xlsx, plain or in gzip or zip"


@dataclass
class Rejected:
    """A row that could not even be cut into columns."""

    line: int
    reason: str
    raw: str


@dataclass
class Chunk:
    """Some rows of an object: its columns by header, as text (string or binary) or typed, and each row's line."""

    columns: dict[str, pa.Array]
    lines: np.ndarray
    rejected: list[Rejected] = field(default_factory=list)


@dataclass
class Reading:
    """An object that is being read: its format, its headers, and its rows in chunks."""

    format: str
    headers: list[str]
    chunks: Iterator[Chunk]
    types: dict[str, pa.DataType] = field(default_factory=dict)
    """The Arrow types of the headers, where the format states types."""


def read_object(stream: IO[bytes], name: str, table: Table) -> Reading:
    """Begin to read an object.

    Args:
        stream: its bytes, seekable, at their begin.
        name: its name, for messages.

    Raises:
        ExtractError: it is of another kind, cut short, empty, or lacks the sheet; also while the chunks are taken.
    """
    head = stream.read(1 << 16)
    stream.seek(0)
    if not head:
        raise ExtractError("the file is empty (0 bytes)", "upload it again, whole")
    if head.startswith(b"\x1f\x8b"):
        return _read_gzip(stream, name, table)
    if head.startswith(b"PK"):
        return _read_zip(stream, name, table)
    if head.startswith(b"PAR1"):
        return _read_parquet(stream)
    for magic, kind in _KINDS:
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(magic):
            raise ExtractError(f"this is {kind}, not a table", f"give the data as {_READABLE}")
    if b"\x00" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")) and "utf-16" not in table.encoding:
        raise ExtractError("this is a binary file of an unknown kind, not text", f"give the data as {_READABLE}")
    return _read_csv(stream, head, table)


# ---- compressed ------------------------------------------------------------------------------------------------------


def _read_gzip(stream: IO[bytes], name: str, table: Table) -> Reading:
    whole = gzip.GzipFile(fileobj=stream)
    try:
        head = whole.read(8)
        whole.seek(0)
        if head.startswith((b"PK", b"PAR1")):
            inner = read_object(_spool(whole), name.removesuffix(".gz"), table)
        else:
            # Text is read as it is unpacked; a cut end shows only there, so every chunk is guarded.
            inner = _read_csv(_Buffered(whole), _peek(whole), table)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _cut_short("gzip", error) from error
    inner.chunks = _guarded(inner.chunks, "gzip")
    inner.format = f"{inner.format} in gzip"
    return inner


def _peek(whole: gzip.GzipFile) -> bytes:
    head = whole.read(1 << 16)
    whole.seek(0)
    if not head:
        raise ExtractError("the gzip holds an empty file", "upload it again, whole")
    for magic, kind in _KINDS:
        if head.startswith(magic):
            raise ExtractError(f"the gzip holds {kind}, not a table", f"give the data as {_READABLE}")
    return head


class _Buffered(io.BufferedReader):
    """Larger reads: the gzip module unpacks 8 KB at a time otherwise."""

    def __init__(self, raw: gzip.GzipFile) -> None:
        super().__init__(raw, 1 << 20)  # type: ignore[arg-type]


def _guarded(chunks: Iterator[Chunk], kind: str) -> Iterator[Chunk]:
    try:
        yield from chunks
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise _cut_short(kind, error) from error


def _cut_short(kind: str, error: Exception) -> ExtractError:
    return ExtractError(f"the {kind} is cut short or damaged ({error})", "upload it again and compare its size with the original's")


def _spool(stream: Any) -> IO[bytes]:
    """A seekable copy: in memory while small, else in a temporary file that has no name."""
    copy: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # type: ignore[assignment]  # noqa: SIM115
    shutil.copyfileobj(stream, copy, 1 << 20)
    copy.seek(0)
    return copy


def _read_zip(stream: IO[bytes], name: str, table: Table) -> Reading:
    try:
        archive = zipfile.ZipFile(stream)
        members = [item for item in archive.infolist() if not item.is_dir() and not _is_litter(item.filename)]
    except zipfile.BadZipFile as error:
        raise _cut_short("zip" if not name.endswith(".xlsx") else "workbook", error) from error
    names = [item.filename for item in members]
    if "[Content_Types].xml" in names:
        stream.seek(0)
        return _read_workbook(stream, table)
    if len(members) != 1:
        some = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        raise ExtractError(
            f"the zip holds {len(members)} files{f' ({some})' if some else ''}, and it must hold one", "unpack it and upload the files"
        )
    if members[0].flag_bits & 1:
        raise ExtractError("the zip is encrypted", "unpack it with its password and upload the file")
    try:
        with archive.open(members[0]) as member:
            inner = read_object(_spool(member), names[0], table)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _cut_short("zip", error) from error
    inner.format = f"{inner.format} in zip"
    return inner


def _is_litter(name: str) -> bool:
    return name.startswith("__MACOSX/") or posixpath.basename(name).startswith(".")


# ---- CSV -------------------------------------------------------------------------------------------------------------


def _read_csv(stream: Any, head: bytes, table: Table) -> Reading:
    import pyarrow as pa
    import pyarrow.csv as pc

    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else table.encoding
    headers = _csv_headers(head, encoding, table)
    broken: list[tuple[int, int, str]] = []

    def keep(row: Any) -> str:
        broken.append((row.number, row.actual_columns, row.text))
        return "skip"

    try:
        reader = pc.open_csv(
            stream,
            # Threads would lose the row numbers of broken rows.
            read_options=pc.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES, encoding=encoding),
            parse_options=pc.ParseOptions(
                delimiter=table.delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=keep
            ),
            # Bytes, because one byte that is not UTF-8 would fail the whole file.
            convert_options=pc.ConvertOptions(
                default_column_type=pa.binary(), null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise _csv_error(error, table) from error
    except UnicodeError as error:
        raise _encoding_error(error, encoding) from error
    return Reading("CSV", headers, _csv_chunks(reader, headers, broken, encoding, table))


def _csv_headers(head: bytes, encoding: str, table: Table) -> list[str]:
    text = head.decode("utf-8-sig" if encoding == "utf-8" else encoding, errors="replace")
    headers = next(csv.reader(io.StringIO(text, newline=""), delimiter=table.delimiter), [])
    twice = sorted({name for name in headers if headers.count(name) > 1})
    if twice:
        raise ExtractError(f"the header names {', '.join(map(repr, twice))} twice", "give each column a name of its own", line=1)
    if len(headers) == 1:
        for other in (",", ";", "\t", "|"):
            if other != table.delimiter and other in headers[0]:
                raise ExtractError(
                    f"the columns seem to be separated by {other!r}, and {table.delimiter!r} is configured",
                    f"set `delimiter: {other!r}` for this table in config/shops.yaml, or save the file with {table.delimiter!r}",
                    line=1,
                )
    return headers


def _csv_chunks(reader: Any, headers: list[str], broken: list[tuple[int, int, str]], encoding: str, table: Table) -> Iterator[Chunk]:
    import pyarrow as pa
    import pyarrow.compute as pc

    position = _Lines()
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            break
        except pa.ArrowInvalid as error:
            raise _csv_error(error, table, position.line) from error
        except UnicodeError as error:
            raise _encoding_error(error, encoding) from error
        for start in range(0, max(len(batch), 1), BATCH_ROWS):
            rows = batch.slice(start, BATCH_ROWS)
            breaks = _embedded_newlines(rows)
            lines, rejected = position.take(len(rows), breaks, broken, len(headers))
            if breaks is not None and breaks.max(initial=0) > _OPEN_QUOTE_LINES:
                line = int(lines[int(breaks.argmax())])
                raise ExtractError(
                    f"one value runs over {int(breaks.max()):,} lines: a quote is opened and not closed",
                    'close the quote, or write "" for a quote inside a value',
                    line=line,
                )
            columns = dict(zip(headers, rows.columns, strict=True))
            empty = _all_null(rows)
            if pc.any(empty).as_py():  # blank lines
                kept = pc.invert(empty)
                columns = {name: values.filter(kept) for name, values in columns.items()}
                lines = lines[kept.to_numpy(zero_copy_only=False)]
            yield Chunk(columns, lines, rejected)
    _, rejected = position.take(0, None, broken, len(headers), last=True)
    if rejected:
        yield Chunk({name: pa.array([], pa.binary()) for name in headers}, position.none, rejected)


class _Lines:
    """Gives rows their line numbers, with the broken rows and the line breaks inside values counted in."""

    def __init__(self) -> None:
        import numpy as np

        self.record = 2  # the header is record 1
        self.line = 2
        self.none = np.zeros(0, dtype="int64")

    def take(
        self, count: int, breaks: np.ndarray | None, broken: list[tuple[int, int, str]], expected: int, last: bool = False
    ) -> tuple[np.ndarray, list[Rejected]]:
        """Lines of the next `count` good rows, and the broken rows among and before them."""
        import numpy as np

        lines = np.empty(count, dtype="int64")
        rejected = []
        done = 0
        while done < count or (broken and (last or broken[0][0] == self.record)):
            if broken and (broken[0][0] == self.record or last):
                _, actual, text = broken.pop(0)
                if text.count("\n") > _OPEN_QUOTE_LINES:
                    raise ExtractError(
                        f"a quote is opened and not closed: it takes in the next {text.count(chr(10)):,} lines",
                        'close the quote, or write "" for a quote inside a value',
                        line=self.line,
                    )
                reason = f"{actual} columns where the header has {expected}"
                if last and count == 0 and not broken:
                    reason += "; the file may be cut short here"
                rejected.append(Rejected(self.line, reason, text))
                self.record += 1
                self.line += 1 + text.count("\n")
                continue
            run = min(count - done, (broken[0][0] - self.record) if broken else count - done)
            offsets = np.arange(run)
            extra = breaks[done : done + run] if breaks is not None else None
            if extra is not None:
                lines[done : done + run] = self.line + offsets + np.concatenate([[0], np.cumsum(extra)[:-1]])
                self.line += int(extra.sum())
            else:
                lines[done : done + run] = self.line + offsets
            self.line += run
            self.record += run
            done += run
        return lines, rejected


def _embedded_newlines(rows: pa.RecordBatch) -> np.ndarray | None:
    """How many line breaks stand inside the values of each row; None where there are none at all."""
    import pyarrow.compute as pc

    total = None
    for values in rows.columns:
        counts = pc.count_substring(values, "\n")
        if pc.max(counts).as_py():
            here = pc.fill_null(counts, 0).to_numpy(zero_copy_only=False).astype("int64")
            total = here if total is None else total + here
    return total


def _all_null(rows: pa.RecordBatch) -> pa.Array:
    import pyarrow.compute as pc

    empty = pc.is_null(rows.columns[0])
    for values in rows.columns[1:]:
        empty = pc.and_(empty, pc.is_null(values))
    return empty


def _csv_error(error: Exception, table: Table, line: int | None = None) -> ExtractError:
    return ExtractError(
        f"this is not CSV with the delimiter {table.delimiter!r} ({str(error).splitlines()[0]})",
        f"give the data as {_READABLE}; set `delimiter` or `encoding` for this table in config/shops.yaml if they differ",
        line=line,
    )


def _encoding_error(error: Exception, encoding: str) -> ExtractError:
    return ExtractError(
        f"the text is not {encoding} ({error})", "set `encoding` for this table in config/shops.yaml to what the file has"
    )


# ---- Parquet and workbooks -------------------------------------------------------------------------------------------


def _read_parquet(stream: Any) -> Reading:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(stream)
    except (pa.ArrowInvalid, OSError) as error:
        raise _cut_short("Parquet file", error) from error
    schema = file.schema_arrow
    return Reading("Parquet", list(schema.names), _parquet_chunks(file), dict(zip(schema.names, schema.types, strict=True)))


def _parquet_chunks(file: Any) -> Iterator[Chunk]:
    import numpy as np
    import pyarrow as pa

    row = 1
    try:
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            columns = dict(zip(batch.schema.names, batch.columns, strict=True))
            yield Chunk(columns, np.arange(row, row + len(batch), dtype="int64"))
            row += len(batch)
    except (pa.ArrowInvalid, OSError) as error:
        raise _cut_short("Parquet file", error) from error


def _read_workbook(stream: Any, table: Table) -> Reading:
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_filelike(stream)
    except Exception as error:  # calamine raises a class of its own for each part of a workbook
        raise _cut_short("workbook", error) from error
    sheets = book.sheet_names
    if table.sheet is not None and table.sheet not in sheets:
        raise ExtractError(
            f"the workbook has no sheet {table.sheet!r}; it has {', '.join(map(repr, sheets))}",
            f"name the sheet {table.sheet!r}, or set `sheet` for this table in config/shops.yaml",
        )
    if table.sheet is None and len(sheets) != 1:
        raise ExtractError(
            f"the workbook has {len(sheets)} sheets: {', '.join(map(repr, sheets))}",
            "set `sheet` for this table in config/shops.yaml to the one to read",
        )
    sheet = book.get_sheet_by_name(table.sheet or sheets[0])
    if sheet.start is None:
        raise ExtractError(f"the sheet {sheet.name!r} is empty", "upload a workbook with data in it")
    rows = sheet.iter_rows()
    first = next(rows)
    headers = [(cell_text(value) or "").strip() for value in first]
    while headers and not headers[-1]:
        headers.pop()
    line = sheet.start[0] + 1
    if not all(headers):
        raise ExtractError("a column of the sheet has no header", "name every column in the first row", line=line)
    if len(set(headers)) < len(headers):
        raise ExtractError("the header names a column twice", "give each column a name of its own", line=line)
    return Reading("xlsx", headers, _sheet_chunks(rows, headers, line + 1))


def _sheet_chunks(rows: Iterator[list[Any]], headers: list[str], line: int) -> Iterator[Chunk]:
    import numpy as np
    import pyarrow as pa

    lines: list[int] = []
    texts: list[list[str | None]] = []
    rejected: list[Rejected] = []
    width = len(headers)

    def chunk() -> Chunk:
        columns = {name: pa.array([row[index] for row in texts], pa.string()) for index, name in enumerate(headers)}
        return Chunk(columns, np.array(lines, dtype="int64"), list(rejected))

    for number, cells in enumerate(rows, start=line):
        row = [cell_text(value) for value in cells]
        if any(value is not None for value in row[width:]):
            rejected.append(Rejected(number, f"a value to the right of the last header ({headers[-1]!r})", ",".join(v or "" for v in row)))
        elif any(value is not None for value in row):
            lines.append(number)
            texts.append(row[:width] + [None] * (width - len(row)))
        if len(texts) >= BATCH_ROWS:
            yield chunk()
            lines.clear(), texts.clear(), rejected.clear()
    if texts or rejected:
        yield chunk()
