"""Markdown for the metadata of assets: tables of rows, and pictures, which the Dagster UI draws."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table, with the columns of the first; "none" where there are no rows."""

    def cell(value: Any) -> str:
        return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")[:80]

    if not rows:
        return "none"
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([cell(row[name]) for name in head] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def picture(drawn: Figure | bytes) -> str:
    """A figure, or the bytes of a PNG, as a Markdown image that holds its own bytes."""
    if not isinstance(drawn, bytes):
        held = io.BytesIO()
        drawn.savefig(held, format="png", dpi=90, bbox_inches="tight")
        drawn = held.getvalue()
    return f"![plot](data:image/png;base64,{base64.b64encode(drawn).decode()})"
