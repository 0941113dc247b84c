"""Turns files of the stream archive into one CSV, which Cartograph takes as a file of the shop."""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

RECORD_ID = "record_id"
"""What a producer puts into each record, so that one that was sent twice is known."""
_SHOWN = 20


class NotARecord(ValueError):
    """A line of the archive is no record; the message names the file and the line."""


def convert(paths: list[Path], out: TextIO) -> list[NotARecord]:
    """Write the records of archive files as CSV, each once, and return the lines that are none.

    Args:
        paths: gzipped files of JSON objects, one a line.
    """
    headers: dict[str, None] = {}
    for record in _records(paths):
        if isinstance(record, dict):
            headers.update(dict.fromkeys(record))
    headers.pop(RECORD_ID, None)
    writer = csv.DictWriter(out, list(headers), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    seen: set[str] = set()
    unread = []
    for record in _records(paths):
        if isinstance(record, NotARecord):
            unread.append(record)
            continue
        identity = record.get(RECORD_ID)
        if identity is not None and identity in seen:
            continue
        if identity is not None:
            seen.add(identity)
        writer.writerow({name: _text(value) for name, value in record.items()})
    return unread


def _records(paths: list[Path]) -> Iterator[dict[str, object] | NotARecord]:
    for path in paths:
        with gzip.open(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.strip():
                    continue
                try:
                    # Numbers keep the digits that they were written with.
                    record = json.loads(line, parse_int=str, parse_float=str)
                except ValueError as error:
                    yield NotARecord(f"{path}:{number}: this is not JSON ({error}): {line[:100]!r}")
                    continue
                yield (
                    record
                    if isinstance(record, dict)
                    else NotARecord(f"{path}:{number}: this is no JSON object: {line[:100]!r}")
                )


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} FILE... > day.csv (files of stream-archive/, as Firehose wrote them)")
    unread = convert([Path(name) for name in sys.argv[1:]], sys.stdout)
    for problem in unread[:_SHOWN]:
        print(problem, file=sys.stderr)
    if unread:
        sys.exit(f"{len(unread):,} lines of the archive are no records; they are not in the CSV, all others are.")


if __name__ == "__main__":
    main()
