"""Days as people write them, for commands and the API alike."""

from __future__ import annotations

import re
from datetime import date

FORM = "write a day as YYYY-MM-DD, such as 2026-03-01"


def day_of(text: str) -> date:
    """A day that is written as YYYY-MM-DD, and in none of the other ways of ISO 8601.

    Raises:
        ValueError: it is no such text, or there is no such day; the message says how to write one.
    """
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(FORM)
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"there is no such day ({error}); {FORM}") from error
