"""The bytes of an object as batches of source columns: CSV, Parquet and xlsx, plain or in gzip or zip.

What an object is follows from its first bytes, never from its name. Memory is bounded by the batch, except for
workbooks, whose sheets are read whole (a sheet ends at 1,048,576 rows).
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import lzma
import posixpath
import re
import shutil
import tempfile
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from assets.extracts.convert import cell_text
from assets.extracts.errors import ExtractError
from resources.far import SourceError
from resources.shops import Table
from resources.tables import BATCH_ROWS, Part, Span

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_BLOCK_BYTES = 1 << 20
"""Arrow reads up to 32 of these ahead, on its own."""
_SPOOL_BYTES = 32 << 20
_HEAD_BYTES = 1 << 16
_TAIL_BYTES = 1 << 16
_OPEN_QUOTE_LINES = 200
_BROKEN_ROWS = 100_000
_KEPT = 0x10FF00
"""The first of the 256 characters, of no script, that stand for bytes which cannot be decoded."""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_KINDS = (
    (b"\x89png", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"gif8", "a GIF picture"),
    (b"%pdf", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"rar!", "a RAR archive"),
    (b"sqlite format 3", "a SQLite database"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"bzh91ay", "a bzip2 file"),
    (b"\xfd7zxz", "an xz file"),
    (b"<!doctype", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<", "an XML document"),
    (b"{", "JSON"),
    (b"[", "JSON"),
)
"""How files of other kinds begin, in lower case."""
_READABLE = "CSV, Parquet or xlsx, plain or in gzip or zip"


@dataclass
class Rejected:
    """A row that was set aside before its values were looked at."""

    line: int
    reason: str
    """What is wrong; the remedy, where there is one, after a semicolon."""
    raw: str
    header: str | None = None
    """The column in which the fault is, where it is in one."""


@dataclass
class Chunk:
    """Some rows of an object: its columns by header, as text (string or binary) or typed, and each row's line."""

    columns: dict[str, pa.Array]
    lines: np.ndarray
    """0 for rows that have no line."""
    rejected: list[Rejected] = field(default_factory=list)


@dataclass
class Reading:
    """An object that is being read: its format, its headers, and its rows in chunks."""

    format: str
    headers: list[str]
    chunks: Iterator[Chunk]
    types: dict[str, pa.DataType] = field(default_factory=dict)
    """The Arrow types of the headers, where the format states types."""
    line: int | None = 1
    """The line of the header, where it has one."""

    def __post_init__(self) -> None:
        twice = sorted({name for name in self.headers if self.headers.count(name) > 1})
        if twice:
            raise ExtractError(
                f"the header names {', '.join(map(repr, twice))} twice",
                "give each column a name of its own",
                line=self.line,
            )


def read_object(stream: IO[bytes], name: str, table: Table) -> Reading:
    """Begin to read an object.

    Args:
        stream: its bytes, seekable, at their begin.
        name: its name, for messages.

    Raises:
        ExtractError: it is of another kind, cut short, empty, or lacks the sheet; also while the chunks are taken.
    """
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    if not head:
        raise ExtractError("the file is empty (0 bytes)", "upload it again, whole")
    if head.startswith(b"\x1f\x8b"):
        return _read_gzip(stream, name, table)
    if head.startswith(_ZIP):
        return _read_zip(stream, name, table)
    if head.startswith(b"PAR1"):
        return _read_parquet(stream)
    return _read_csv(stream, head, table)


def read_part(part: Part, table: Table, cursor: str | None = None, span: Span | None = None) -> Reading:
    """Begin to read a part of a table: of one that can be sliced not much more than the span, of another all.

    Args:
        cursor: the header of the column that the span is of; None: all rows.

    Raises:
        ExtractError: it cannot be read; also while the chunks are taken.
        ReadAgain: while the chunks are taken: reading ended before the rows did.
    """
    import pyarrow as pa

    try:
        if not part.is_sliceable:
            return read_object(part.open(), part.name, table)
        schema = part.schema
    except SourceError as error:
        raise ExtractError(error.problem, error.remedy) from error
    except FileNotFoundError as error:
        raise ExtractError("the file is gone since the source was listed", "run again") from error
    except pa.ArrowException as error:
        raise _cut_short("Parquet file", error) from error
    except OSError as error:
        raise ExtractError(f"the file cannot be read ({error})", "make it readable for this user, and whole") from error
    types = dict(zip(schema.names, schema.types, strict=True))
    return Reading("Parquet", list(schema.names), _part_chunks(part, cursor, span or Span()), types, line=None)


def _part_chunks(part: Part, cursor: str | None, span: Span) -> Iterator[Chunk]:
    import numpy as np
    import pyarrow as pa

    try:
        # What a source holds open for its rows is given up at once when they are not taken to the end.
        with closing(part.scan(None, cursor, span)) as batches:
            for batch, lines in batches:
                columns = {
                    name: _as_bytes(values) for name, values in zip(batch.schema.names, batch.columns, strict=True)
                }
                yield Chunk(columns, np.zeros(len(batch), dtype="int64") if lines is None else lines)
    except SourceError as error:
        raise ExtractError(error.problem, error.remedy) from error
    except (pa.ArrowException, OSError) as error:
        raise _cut_short("Parquet file", error) from error


# ---- compressed ------------------------------------------------------------------------------------------------------


def _read_gzip(stream: IO[bytes], name: str, table: Table) -> Reading:
    whole = gzip.GzipFile(fileobj=stream)
    try:
        head = whole.read(_HEAD_BYTES)
        whole.seek(0)
        if not head:
            raise ExtractError("the gzip holds an empty file", "upload it again, whole")
        if head.startswith((*_ZIP, b"PAR1", b"\x1f\x8b")):
            inner = read_object(_spool(whole), name.removesuffix(".gz"), table)
        else:
            # Text is read as it is unpacked; a cut end shows only there, so every chunk is guarded.
            inner = _read_csv(whole, head, table)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _cut_short("gzip", error) from error
    inner.chunks = _guarded(inner.chunks)
    inner.format = f"{inner.format} in gzip"
    return inner


def _guarded(chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    try:
        yield from chunks
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _cut_short("gzip", error) from error


def _cut_short(kind: str, error: BaseException) -> ExtractError:
    return ExtractError(
        f"the {kind} is cut short or damaged ({error})", "upload it again and compare its size with the original's"
    )


def _spool(stream: Any) -> IO[bytes]:
    """A seekable copy: in memory while small, else in a temporary file that has no name."""
    copy: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES)  # noqa: SIM115
    shutil.copyfileobj(stream, copy, 1 << 20)
    copy.seek(0)
    return copy


def _read_zip(stream: IO[bytes], name: str, table: Table) -> Reading:
    kind = "workbook" if name.lower().endswith(".xlsx") else "zip"
    try:
        archive = zipfile.ZipFile(stream)
        members = [item for item in archive.infolist() if not item.is_dir() and not _is_litter(item.filename)]
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise _cut_short(kind, error) from error
    names = [item.filename for item in members]
    if "[Content_Types].xml" in names:
        stream.seek(0)
        return _read_workbook(stream, table)
    if len(members) != 1:
        some = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        raise ExtractError(
            f"the zip holds {len(members)} files{f' ({some})' if some else ''}, and it must hold one",
            "unpack it and upload the files",
        )
    if members[0].flag_bits & 1:
        raise ExtractError("the zip is encrypted", "unpack it with its password and upload the file")
    try:
        with archive.open(members[0]) as member:
            unpacked = _spool(member)
    except NotImplementedError as error:
        raise ExtractError(f"the zip cannot be unpacked here ({error})", "unpack it and upload the file") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        raise _cut_short(kind, error) from error
    inner = read_object(unpacked, names[0], table)
    inner.format = f"{inner.format} in zip"
    return inner


def _is_litter(name: str) -> bool:
    return name.startswith("__MACOSX/") or posixpath.basename(name).startswith(".")


# ---- CSV -------------------------------------------------------------------------------------------------------------


def _read_csv(stream: Any, head: bytes, table: Table) -> Reading:
    import pyarrow as pa
    import pyarrow.csv as pc

    encoding = _encoding(head, table)
    headers = _csv_headers(head, encoding, table)
    text = _Text(stream, encoding)
    broken: deque[_Broken] = deque()

    def keep(row: Any) -> str:
        broken.append(_Broken(row.number, row.actual_columns, row.text))
        # They wait for the next good row: without a bound, a file that has none would be held in memory whole.
        return "skip" if len(broken) < _BROKEN_ROWS else "error"

    chunks: Iterator[Chunk]
    try:
        reader = pc.open_csv(
            text,
            # Threads would lose the row numbers of broken rows.
            read_options=pc.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES),
            parse_options=pc.ParseOptions(
                delimiter=table.delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=keep
            ),
            convert_options=pc.ConvertOptions(
                default_column_type=pa.string(), null_values=[""], strings_can_be_null=True
            ),
        )
        headers = list(reader.schema.names)
        chunks = _csv_chunks(reader, headers, broken, text, table)
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):  # so it calls a header without a line break after it
            raise _csv_error(error, headers, broken, table, 1) from error
        chunks = iter(())
    except UnicodeError as error:
        raise _encoding_error(error, encoding) from error
    return Reading("CSV", headers, chunks)


def _encoding(head: bytes, table: Table) -> str:
    """The encoding of a text: what its byte order mark says, else what is configured."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    return "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else table.encoding


def _csv_headers(head: bytes, encoding: str, table: Table) -> list[str]:
    """The headers, if what begins so is text with this delimiter."""
    start = head.removeprefix(codecs.BOM_UTF8).lstrip(b" \t\r\n")[:64].lower()
    for magic, kind in _KINDS:
        if start.startswith(magic):
            raise ExtractError(f"this is {kind}, not a table", f"give the data as {_READABLE}")
    text = head.decode(encoding, errors="replace")
    if re.search(r"[\x00-\x08\x0e-\x1f]", text.partition("\n")[0]):
        raise ExtractError(
            "this is a binary file of an unknown kind, or a text in an encoding that it does not name",
            f"give the data as {_READABLE}; if it is UTF-16, set `encoding: utf-16-le` for this table in "
            "config/shops.yaml",
        )
    headers = next(csv.reader(io.StringIO(text, newline=""), delimiter=table.delimiter), [])
    if not headers:
        raise ExtractError("the first line is blank", "begin the file with its header", line=1)
    if len(headers) == 1:
        for other in (",", ";", "\t", "|"):
            if other != table.delimiter and other in headers[0]:
                raise ExtractError(
                    f"the columns seem to be separated by {other!r}, and {table.delimiter!r} is configured",
                    f"set `delimiter: {json.dumps(other)}` for this table in config/shops.yaml, or save the file with "
                    f"{table.delimiter!r}",
                    line=1,
                )
    return headers


def _keep_bytes(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(chr(_KEPT + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("cartograph.keep_bytes", _keep_bytes)


def shown(text: str) -> str:
    """A text, with each byte that could not be decoded written as `\\xe9`."""
    return re.sub(_KEPT_CLASS, lambda found: f"\\x{ord(found[0]) - _KEPT:02x}", text)


_KEPT_CLASS = f"[{chr(_KEPT)}-{chr(_KEPT + 255)}]"


class _Text(io.RawIOBase):
    """A text of any encoding as UTF-8 for Arrow, to which one wrong byte is an error of the whole file.

    Bytes that cannot be decoded go through as characters of no script, so that their rows can be told and shown.
    """

    def __init__(self, stream: Any, encoding: str) -> None:
        self.encoding = encoding.removesuffix("-sig")
        self.is_undecodable = False
        """True once such a byte was met. Arrow reads ahead, so this is before its row is seen."""
        self.tail = b""
        """The end of what was read so far."""
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._ready = bytearray()
        self._ended = False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self._ready) <= size and not self._ended:
            self._decode(self._stream.read(1 << 20))
        if self._ready[size - 1 : size] == b"\r" and len(self._ready) > size:
            size -= 1  # Arrow drops a line feed that begins a block after a carriage return, even inside quotes
        taken = bytes(self._ready[:size])
        del self._ready[:size]
        return taken

    def _decode(self, block: bytes) -> None:
        self._ended = not block
        try:
            text = self._decoder.decode(block, self._ended)
        except UnicodeDecodeError:
            self.is_undecodable, self._decoder.errors = True, "cartograph.keep_bytes"
            text = self._decoder.decode(block, self._ended)
        ready = text.encode()
        self._ready += ready
        self.tail = (self.tail + ready[-_TAIL_BYTES:])[-_TAIL_BYTES:]

    def ends_inside(self, value: str, delimiter: str) -> bool:
        """Whether the text ends inside the quotes of this last value. Arrow takes such a value as it is."""
        quoted = (delimiter + '"' + value.replace('"', '""')).encode()
        return len(quoted) <= _TAIL_BYTES and self.tail.endswith(quoted)


@dataclass
class _Broken:
    """A row with another number of columns than the header."""

    record: int
    columns: int
    text: str


def _csv_chunks(reader: Any, headers: list[str], broken: deque[_Broken], text: _Text, table: Table) -> Iterator[Chunk]:
    import pyarrow as pa
    import pyarrow.compute as pc

    position = _Lines(headers, broken)

    def read() -> pa.RecordBatch | None:
        try:
            return reader.read_next_batch()
        except StopIteration:
            return None
        except pa.ArrowInvalid as error:
            raise _csv_error(error, headers, broken, table, position.line) from error
        except UnicodeError as error:
            raise _encoding_error(error, text.encoding) from error

    batch = read()
    while batch is not None or broken:
        following = read() if batch is not None else None
        if batch is None:
            batch = pa.record_batch([pa.array([], pa.string())] * len(headers), headers)
        breaks = _embedded_newlines(batch)
        lines, rejected = position.take(len(batch), breaks, is_last=following is None)
        if breaks is not None and breaks.max(initial=0) > _OPEN_QUOTE_LINES:
            raise _open_quote(int(lines[int(breaks.argmax())]), int(breaks.max()))
        columns = dict(zip(headers, batch.columns, strict=True))
        aside = (
            []
            if breaks is None
            else [(headers[-1], _takes_in_rows(batch, table), f"{_OPEN_QUOTE}: it takes in whole lines")]
        )
        if text.is_undecodable:
            reason = f"not valid {text.encoding}; {_encoding_remedy(text.encoding)}"
            aside += [(name, pc.match_substring_regex(values, _KEPT_CLASS), reason) for name, values in columns.items()]
        if following is None and len(batch) and not (rejected and rejected[-1].line > lines[-1]):
            cut = text.ends_inside(batch.columns[-1][-1].as_py() or "", table.delimiter)
            is_cut = pa.array([False] * (len(batch) - 1) + [cut])
            aside.append((headers[-1], is_cut, f"{_OPEN_QUOTE}, perhaps the file is cut short here"))
        yield _without(Chunk(columns, lines, rejected), _all_null(batch), aside)
        batch = following


def _without(chunk: Chunk, blank: pa.Array, aside: list[tuple[str, pa.Array, str]]) -> Chunk:
    """A chunk without its blank lines, and with the rows that are to be set aside among its rejected ones."""
    import numpy as np
    import pyarrow as pa

    gone = blank.to_numpy(zero_copy_only=False)
    for header, where, reason in aside:
        here = where.fill_null(False).to_numpy(zero_copy_only=False) & ~gone
        for index in np.flatnonzero(here):
            row = [values[int(index)].as_py() for values in chunk.columns.values()]
            chunk.rejected.append(Rejected(int(chunk.lines[index]), reason, csv_line(row), header))
        gone = gone | here
    if not gone.any():
        return chunk
    kept = pa.array(~gone)
    columns = {name: values.filter(kept) for name, values in chunk.columns.items()}
    return Chunk(columns, chunk.lines[~gone], chunk.rejected)


def csv_line(values: list[str | None]) -> str:
    """Values as a line of CSV, to be read by people."""
    text = io.StringIO()
    csv.writer(text).writerow([shown(value or "") for value in values])
    return text.getvalue().removesuffix("\r\n")


class _Lines:
    """Gives rows their line numbers, with the broken rows and the line breaks inside values counted in."""

    def __init__(self, headers: list[str], broken: deque[_Broken]) -> None:
        self.expected, self.broken = len(headers), broken
        self.record = 2  # the header is record 1
        self.line = 2 + sum(header.count("\n") for header in headers)

    def take(self, count: int, breaks: np.ndarray | None, is_last: bool) -> tuple[np.ndarray, list[Rejected]]:
        """Lines of the next `count` good rows, and the broken rows among, before and, of the last, after them."""
        import numpy as np

        lines = np.empty(count, dtype="int64")
        rejected: list[Rejected] = []
        done = 0
        while done < count or (self.broken and (is_last or self.broken[0].record == self.record)):
            if self.broken and self.broken[0].record <= self.record:
                row = self.broken.popleft()
                within = row.text.count("\n")
                if within > _OPEN_QUOTE_LINES:
                    raise _open_quote(self.line, within)
                reason = f"{row.columns} columns where the header has {self.expected}"
                if is_last and done == count and not self.broken and row.columns < self.expected:
                    reason += ", perhaps the file is cut short here"
                rejected.append(Rejected(self.line, reason, shown(row.text)))
                self.record += 1
                self.line += 1 + within
                continue
            run = min(count - done, self.broken[0].record - self.record if self.broken else count)
            lines[done : done + run] = self.line + np.arange(run)
            if breaks is not None:
                extra = np.cumsum(breaks[done : done + run])
                lines[done + 1 : done + run] += extra[:-1]
                self.line += int(extra[-1])
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


_OPEN_QUOTE = "a quote is opened and not closed"


def _takes_in_rows(rows: pa.RecordBatch, table: Table) -> pa.Array:
    """Where the last value of a row goes on over a line of the file that has its quotes: the row ends in an open quote.

    Of all columns only the last can do so and leave the number of columns right.
    """
    import pyarrow.compute as pc

    last, delimiter = rows.columns[-1], f"\\x{{{ord(table.delimiter):x}}}"
    a_row = rf"\n(?:[^\n{delimiter}]*{delimiter}){{{min(max(rows.num_columns - 1, 1), 50)}}}"
    return pc.and_(pc.match_substring(last, '"'), pc.match_substring_regex(last, a_row))


def _all_null(rows: pa.RecordBatch) -> pa.Array:
    import pyarrow.compute as pc

    empty = pc.is_null(rows.columns[0])
    for values in rows.columns[1:]:
        empty = pc.and_(empty, pc.is_null(values))
    return empty


def _open_quote(line: int, lines: int) -> ExtractError:
    return ExtractError(
        f"{_OPEN_QUOTE}: one value runs over {lines:,} lines",
        'close the quote, or write "" for a quote inside a value',
        line=line,
    )


def _csv_error(error: Exception, headers: list[str], broken: deque[_Broken], table: Table, line: int) -> ExtractError:
    if len(broken) >= _BROKEN_ROWS:
        return ExtractError(
            f"{len(broken):,} rows one after the other do not have the {len(headers)} columns of the header; the first "
            f"has {broken[0].columns}",
            "check that this is the right file, and that its header belongs to it",
            line=line,
        )
    if "straddling" in str(error):
        return ExtractError(
            f"after this line comes a row of more than {_BLOCK_BYTES >> 20} MB; most likely {_OPEN_QUOTE}",
            'close the quote, or write "" for a quote inside a value',
            line=line,
        )
    return ExtractError(
        f"this is not CSV with the delimiter {table.delimiter!r} ({str(error).splitlines()[0]})",
        f"give the data as {_READABLE}; set `delimiter` or `encoding` for this table in config/shops.yaml if they "
        "differ",
        line=line,
    )


def _encoding_error(error: Exception, encoding: str) -> ExtractError:
    return ExtractError(f"the text is not {encoding} ({error})", _encoding_remedy(encoding))


def _encoding_remedy(encoding: str) -> str:
    if encoding == "utf-8":
        return "if the file is Latin-1, set `encoding: latin-1` for this table in config/shops.yaml"
    return "set `encoding` for this table in config/shops.yaml to what the file has"


# ---- Parquet and workbooks -------------------------------------------------------------------------------------------


def _read_parquet(stream: Any) -> Reading:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(stream)
        schema = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise _cut_short("Parquet file", error) from error
    types = dict(zip(schema.names, schema.types, strict=True))
    return Reading("Parquet", list(schema.names), _parquet_chunks(file), types, line=None)


def _parquet_chunks(file: Any) -> Iterator[Chunk]:
    import numpy as np
    import pyarrow as pa

    row = 1
    try:
        # Group by group: Arrow fetches, and keeps, all that one call is to read.
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group]):
                named = zip(batch.schema.names, batch.columns, strict=True)
                columns = {name: _as_bytes(values) for name, values in named}
                yield Chunk(columns, np.arange(row, row + len(batch), dtype="int64"))
                row += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise _cut_short("Parquet file", error) from error


def _as_bytes(values: pa.Array) -> pa.Array:
    """Strings as bytes: Arrow takes those of a Parquet file on trust, and Postgres does not."""
    import pyarrow as pa

    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_string(values.type):
        return values.cast(pa.binary())
    if pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type):
        return values.cast(pa.large_binary()).cast(pa.binary())
    return values


def _read_workbook(stream: Any, table: Table) -> Reading:
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_filelike(stream)
        sheets = book.sheet_names
        name = table.sheet or sheets[0]
        sheet = book.get_sheet_by_name(name) if name in sheets else None
    except SourceError:
        raise
    except Exception as error:  # calamine raises a class of its own for each part of a workbook
        raise _cut_short("workbook", error) from error
    if sheet is None:
        raise ExtractError(
            f"the workbook has no sheet {name!r}; it has {', '.join(map(repr, sheets))}",
            f"name the sheet {name!r}, or set `sheet` for this table in config/shops.yaml",
        )
    if table.sheet is None and len(sheets) != 1:
        raise ExtractError(
            f"the workbook has {len(sheets)} sheets: {', '.join(map(repr, sheets))}",
            "set `sheet` for this table in config/shops.yaml to the one to read",
        )
    rows = enumerate(sheet.iter_rows(), start=1)
    line, first = next(((line, cells) for line, cells in rows if any(cell != "" for cell in cells)), (1, []))
    headers = [(cell_text(value) or "").strip() for value in first]
    while headers and not headers[-1]:
        headers.pop()
    if not headers:
        raise ExtractError(f"the sheet {sheet.name!r} is empty", "upload a workbook with data in it")
    if not all(headers):
        raise ExtractError("a column of the sheet has no header", "name every column in the first row", line=line)
    return Reading("xlsx", headers, _sheet_chunks(rows, headers), line=line)


def _sheet_chunks(rows: Iterator[tuple[int, list[Any]]], headers: list[str]) -> Iterator[Chunk]:
    import numpy as np
    import pyarrow as pa

    lines: list[int] = []
    texts: list[list[str | None]] = []
    rejected: list[Rejected] = []
    width = len(headers)

    def chunk() -> Chunk:
        columns = {name: pa.array([row[index] for row in texts], pa.string()) for index, name in enumerate(headers)}
        return Chunk(columns, np.array(lines, dtype="int64"), list(rejected))

    for line, cells in rows:
        row = [cell_text(value) for value in cells]
        if any(value is not None for value in row[width:]):
            reason = f"a value to the right of the last header ({headers[-1]!r})"
            rejected.append(Rejected(line, reason, csv_line(row)))
        elif any(value is not None for value in row):
            lines.append(line)
            texts.append(row[:width] + [None] * (width - len(row)))
        if len(texts) + len(rejected) >= BATCH_ROWS:
            yield chunk()
            for done in (lines, texts, rejected):
                done.clear()
    if texts or rejected:
        yield chunk()
