"""The error of an extract: it names shop, table, file, line or column, and the remedy."""

_KINDS = {"bigquery": "table"}
"""What the URIs of a scheme are of, where it is no file."""


class ExtractError(Exception):
    """An extract was refused and nothing of it was committed.

    Args:
        problem: what is wrong, as a sentence without its full stop.
        remedy: what the reader can do about it, likewise.
        line: the line (or row, in workbooks and Parquet files), counted from 1, the header included where there is one.
    """

    def __init__(
        self,
        problem: str,
        remedy: str,
        *,
        shop: str | None = None,
        table: str | None = None,
        uri: str | None = None,
        line: int | None = None,
        column: str | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy
        self.shop, self.table, self.uri, self.line, self.column = shop, table, uri, line, column

    def at(self, *, shop: str, table: str, uri: str) -> "ExtractError":
        """The same error, with the place where it happened filled in."""
        self.shop, self.table, self.uri = self.shop or shop, self.table or table, self.uri or uri
        return self

    def elsewhere(self) -> "ExtractError":
        """The same error, of another object with the same bytes."""
        return ExtractError(self.problem, self.remedy, line=self.line, column=self.column)

    def __str__(self) -> str:
        places = [
            f"{self.shop}.{self.table}" if self.shop else None,
            f"{_KINDS.get(self.uri.partition('://')[0], 'file')} {self.uri}" if self.uri else None,
            f"line {self.line:,}" if self.line else None,
            f"column {self.column}" if self.column else None,
        ]
        where = ", ".join(place for place in places if place)
        return f"{where + ': ' if where else ''}{self.problem}. Remedy: {self.remedy}."
