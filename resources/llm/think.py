"""What reasoning models think aloud between <think> and </think>, cut out of streams."""

from __future__ import annotations

import re

_TAGS = ("<think>", "</think>", "<thinking>", "</thinking>")
_TAG = re.compile("|".join(_TAGS), re.IGNORECASE)


class Cutter:
    """Cuts what is thought out of a stream, whose pieces may end within a tag.

    A passage that is not closed goes to the end; before a </think> that nothing opened, all was thought.
    """

    def __init__(self) -> None:
        self.voided = 0
        """How often a </think> that nothing opened has made void what was given before."""
        self._depth = 0
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be shown of the text up to here, beyond what was given before.

        Where `voided` grows, all that was given before, without what this call gives, was thought.
        """
        text, self._held = self._held + piece, ""
        said, start = "", 0
        for tag in _TAG.finditer(text):
            if not self._depth:
                said += text[start : tag.start()]
            start = tag.end()
            if not tag[0].startswith("</"):
                self._depth += 1
            elif self._depth:
                self._depth -= 1
            else:
                self.voided += 1
                said = ""
        rest = text[start:]
        opened = rest.rfind("<")
        if opened >= 0 and any(tag.startswith(rest[opened:].lower()) for tag in _TAGS):
            rest, self._held = rest[:opened], rest[opened:]
        return said if self._depth else said + rest

    def end(self) -> str:
        """What was held back, since it could have become a tag."""
        held, self._held = self._held, ""
        return "" if self._depth else held
