"""`cartograph simulate`: shops written into the home's inbox, or grown to yesterday, and what was written."""

from __future__ import annotations

import difflib
import shlex
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table as RichTable

from orchestration.cli.session import SIMULATED, CommandError, claim_home, console, shown
from resources.days import day_of
from resources.settings import Settings, get_settings

if TYPE_CHECKING:
    from simulator.simulate import Profile


def run_simulate(
    shops: Sequence[str],
    days: int | None,
    scale: float | None,
    seed: int | None,
    until: str | None,
    drifts: Sequence[str],
    starts: Sequence[str],
) -> int:
    """Simulate, and show the files by shop.

    Raises:
        CommandError: something was asked for that cannot be simulated.
    """
    from simulator.plan import Drift
    from simulator.simulate import SHOPS, SimulationError, simulate

    last = _day(until, "--until") if until else None
    wanted = [Drift(kind, start) for kind, start in _drifts(drifts, starts)]  # type: ignore[arg-type]
    names = list(dict.fromkeys(shops)) or _able(SHOPS, drifts)
    settings = get_settings()
    refuse_other_inbox(settings)
    out = console()
    claim_home(settings, SIMULATED)
    try:
        with out.status("") as status:  # one line that changes, where there is a screen
            done = simulate(
                names,
                settings.inbox,
                settings.home / "simulated",
                days,
                scale,
                seed,
                last,
                wanted,
                say=lambda line: status.update(escape(line)),
            )
    except SimulationError as error:
        raise CommandError(str(error)) from error

    table = RichTable(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for name, justify in (("shop", "left"), ("last day", "left"), ("files", "right"), ("rows", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for name in ("MB", "rows/s"):
        table.add_column(name, justify="right")
    for each in done:
        table.add_row(
            each.shop,
            each.plan.until.isoformat() if SHOPS[each.shop].days else "-",
            f"{len(each.files):,}",
            f"{each.rows:,}",
            f"{each.size / 1e6:,.1f}",
            f"{each.rows_per_second:,.0f}" if each.rows else "-",
        )
    out.print(table)
    out.print()
    if not any(each.files for each in done):
        out.print("Nothing was new: the shops are there up to their last day.")
    out.print(f"The files are in {shown(settings.inbox)}.", soft_wrap=True)
    _say_what_next(settings)
    return 0


def refuse_other_inbox(settings: Settings) -> None:
    """See that what is simulated will be found.

    Raises:
        CommandError: extracts look for files elsewhere.
    """
    if settings.inbox_url is not None:
        raise CommandError(
            f"INBOX_URL is {settings.inbox_url}, and simulated files are written to {shown(settings.inbox)} alone, "
            "where no extract would look for them. Unset INBOX_URL; or simulate without it, copy the folder there with "
            "`aws s3 sync`, and set it again."
        )


def _drifts(kinds: Sequence[str], starts: Sequence[str]) -> list[tuple[str, date]]:
    """Pair each --drift with its --from; one --from serves them all.

    Raises:
        CommandError: a kind that does not exist, or numbers that do not match.
    """
    from simulator.plan import DRIFT_KINDS

    for kind in kinds:
        if kind not in DRIFT_KINDS:
            near = difflib.get_close_matches(kind, DRIFT_KINDS, n=1)
            raise CommandError(
                f"no drift is named {kind!r}"
                + (f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(DRIFT_KINDS)}.")
            )
    if kinds and not starts:
        raise CommandError(f"--drift {kinds[0]} needs --from DATE, the first day on which it holds.")
    if starts and not kinds:
        raise CommandError(f"--from {starts[0]} needs --drift KIND: {', '.join(DRIFT_KINDS)}.")
    if len(starts) not in (1, len(kinds)) and kinds:
        raise CommandError(
            f"{len(kinds)} --drift and {len(starts)} --from: give one --from for all, or one after each --drift."
        )
    days = [_day(start, "--from") for start in starts]
    return list(zip(kinds, days * len(kinds) if len(days) == 1 else days, strict=True))


def _day(text: str, option: str) -> date:
    try:
        return day_of(text)
    except ValueError as error:
        raise CommandError(f"{option} {text!r}: {error}.") from error


def _able(profiles: dict[str, Profile], kinds: Sequence[str]) -> list[str]:
    """All shops, or of them those that can show every drift asked for."""
    able = [name for name, profile in profiles.items() if set(kinds) <= set(profile.drifts)]
    if not able:
        raise CommandError(f"no shop can show all of {', '.join(kinds)}: ask for them one after the other.")
    left = [name for name in profiles if name not in able]
    if left:
        console().print(f"Left out, for they cannot show {', '.join(kinds)}: {', '.join(left)}.", soft_wrap=True)
    return able


def _say_what_next(settings: Settings) -> None:
    command = shlex.quote(shown(Path(sys.executable).parent / "cartograph"))
    there = f"{command} --home {shlex.quote(shown(settings.home))}"
    console().print(f"Next: `{there} materialize`, then `{there} up` to look at it all.", soft_wrap=True)
    console().print(f"To let the shops grow to yesterday on another day: `{there} simulate`", soft_wrap=True)
