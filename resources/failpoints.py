"""Named places in the code at which a test can kill the process, to prove that nothing is lost there.

`CARTOGRAPH_FAILPOINT=name` (or `name:3` for the third passage) makes the process kill itself with SIGKILL when it
reaches that place: no handler runs, as in a power cut.
"""

import os
import signal
from collections import Counter

EXTRACT = (
    "extract.planned",
    "extract.read",
    "extract.lake_writing",
    "extract.lake_written",
    "extract.lake_published",
    "extract.transaction_begun",
    "extract.old_rows_deleted",
    "extract.copying",
    "extract.copied",
    "extract.ledger_written",
    "extract.committed",
)
"""The failpoints of an extract, in the order in which it passes them."""

PROMOTION = ("promotion.written", "promotion.moved")
"""Those of a move of a champion: it is written down and not made; it is made and not written down as made."""

PUBLISH = (
    "publish.begun",
    "publish.copying",
    "publish.written",
    "publish.indexed",
    "publish.checked",
    "publish.sealed",
    "publish.switched",
    "publish.removing",
)
"""Those of the publication of a collection: the last version is copied where little changed, old ones are removed."""

_passed: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """Kill this process if `CARTOGRAPH_FAILPOINT` asks for it here."""
    wanted = os.environ.get("CARTOGRAPH_FAILPOINT")
    if wanted is None:
        return
    place, _, times = wanted.partition(":")
    if place == name:
        _passed[name] += 1
        if _passed[name] >= int(times or 1):
            os.kill(os.getpid(), signal.SIGKILL)
