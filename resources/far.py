"""What all far sources share: one error that says what to do, and retries that are bounded, jittered and announced."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

ATTEMPTS = 6
LONGEST_WAIT = 20.0
"""Seconds."""

T = TypeVar("T")
Say = Callable[[str], None]


class SourceError(Exception):
    """A far source cannot be read, and trying again at once would not help.

    Args:
        problem: what is wrong and where, as a sentence without its full stop.
        remedy: what the reader can do about it, likewise.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy

    def __str__(self) -> str:
        return f"{self.problem}. Remedy: {self.remedy}."


class ObjectError(SourceError):
    """One object of a far source cannot be read; the others may be.

    Args:
        uri: the object, which `problem` does not name.
    """

    def __init__(self, uri: str, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.uri = uri

    def __str__(self) -> str:
        return f"{self.uri}: {super().__str__()}"


class ReadAgain(Exception):
    """What was being read has ended for the source's own reasons, such as a session that expired: begin it again."""


def with_retries(
    call: Callable[[], T],
    what: str,
    is_passing: Callable[[BaseException], bool],
    say: Say,
    attempts: int = ATTEMPTS,
    longest_wait: float = LONGEST_WAIT,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """Call until it succeeds, at most `attempts` times, with waits that double and are cut at random.

    The waits are those of "full jitter" (Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015), so that
    many who were turned away at once do not come back at once.

    Args:
        what: what is being done, for the announcement of a wait.
        is_passing: whether a fault may be gone at the next attempt; any other is raised at once.
        say: told of every wait.
        sleep: waits; one that somebody can end lets the attempts end as well.

    Raises:
        Exception: that of the last attempt.
    """
    from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

    def announce(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        wait = state.next_action.sleep if state.next_action is not None else 0.0
        first = " ".join(str(error).split())[:200]
        say(f"{what}: {first}; attempt {state.attempt_number + 1} of {attempts} in {wait:.1f} s")

    def pause(seconds: float) -> None:
        sleep(seconds)

    retrying = Retrying(
        stop=stop_after_attempt(attempts),
        wait=wait_random_exponential(multiplier=0.5, max=longest_wait),
        retry=retry_if_exception(is_passing),
        before_sleep=announce,
        sleep=pause,
        reraise=True,
    )
    return retrying(call)
