"""A question that leans on what was said before, made one that stands for itself, to search with."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assets.search.untrusted import gives_orders, plain

LONGEST = 300
"""Characters of a query."""
KNOWN = 0.6
"""Such a share of a query's words must come from the question or from what was said before."""

_LEANING = re.compile(
    r"\b(?:it|its|it's|they|them|their|theirs|this|that|these|those|ones?|others?|another|same|former|latter|cheaper|"
    r"dearer|bigger|smaller|larger|instead|first|second|third|last|"
    r"ele|ela|eles|elas|isso|isto|esse|essa|esses|essas|este|esta|estes|estas|mesm[oa]s?|outr[oa]s?|del[ea]s?|primeir[oa]|segund[oa])\b",
    re.IGNORECASE,
)
_ODD = re.compile(r"[\[\]{}<>|\\]|https?:|www\.|\S@\S")


@dataclass(frozen=True)
class Turn:
    """What was asked and answered before."""

    question: str
    answer: str


def joined(question: str, history: Sequence[Turn], stems: Callable[[str], frozenset[int]]) -> str:
    """What to search with, found without a model: the question, behind the last one where it leans on that."""
    if not history or (not _LEANING.search(question) and len(stems(question)) > 2):
        return question
    return f"{history[-1].question} {question}"


def is_usable(query: str, question: str, history: Sequence[Turn], stems: Callable[[str], frozenset[int]]) -> bool:
    """Whether what a model made of a question may be searched with: a short line of what was said, and no order."""
    if not query or len(query) > LONGEST or _ODD.search(query) or gives_orders(query):
        return False
    said = stems(" ".join([question, *(f"{turn.question} {turn.answer}" for turn in history)]))
    own = stems(query)
    return bool(own) and len(own & said) >= KNOWN * len(own)


def tidy(query: str) -> str:
    """A rewritten question without what models put around it."""
    return plain(query, 2 * LONGEST).strip(" \"'“”‘’`*").strip()
