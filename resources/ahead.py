"""Work ahead of a consumer: an iterator that is run in a thread of its own, a few items in front."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()


@contextmanager
def ahead(items: Generator[T, None, None], size: int) -> Iterator[Iterator[T]]:
    """Run a generator in a thread, at most `size` items ahead of whoever takes them from the iterator given.

    An error of the generator is raised where its items are taken. When the block is left early, the generator is closed
    in its thread, so that what it holds open is given up there; the thread has ended when the block has.
    """
    waiting: queue.Queue[Any] = queue.Queue(maxsize=size)
    left = threading.Event()
    errors: list[BaseException] = []

    def put(item: object) -> bool:
        while not left.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    break
        except BaseException as error:  # raised again by the consumer
            errors.append(error)
        finally:
            items.close()
            put(_END)

    def taken() -> Iterator[T]:
        while (item := waiting.get()) is not _END:
            yield item
        if errors:
            raise errors[0]

    thread = threading.Thread(target=work, name="ahead", daemon=True)
    thread.start()
    try:
        yield taken()
    finally:
        left.set()
        thread.join()
