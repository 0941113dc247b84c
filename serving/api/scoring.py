"""Work that needs a processor: done in threads, so many at once, a few more waiting, the rest refused."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_THREADS = min(4, os.cpu_count() or 1)
ADMITTED = 8 * _THREADS
"""So many are worked on or wait: beyond, an answer would come too late for anybody to be there to read it."""


class BusyError(Exception):
    """So much is being computed that this was not begun."""


class Scoring:
    """The threads of one process for one kind of work."""

    def __init__(self, name: str = "scoring", most: int = ADMITTED) -> None:
        """
        Args:
            most: so many are worked on or wait.
        """
        self._threads = ThreadPoolExecutor(_THREADS, name)
        self._most = most
        self._admitted = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Do it in a thread.

        Raises:
            BusyError: too much is under way.
        """
        if self._admitted >= self._most:
            raise BusyError
        self._admitted += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._admitted -= 1

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
