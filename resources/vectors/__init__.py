"""Collections of vectors: `connect(shop)` reads the products of a shop, embedded or on a Qdrant server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.settings import Settings
    from resources.vectors.reader import Reader


def connect(shop: str, settings: Settings | None = None) -> Reader:
    """The published collection of a shop's products.

    Args:
        settings: those of another home or server than this process's.

    Raises:
        CollectionError: nothing was published for the shop, or it cannot be read; the message says what to do.
    """
    from resources.settings import get_settings
    from resources.vectors.store import open_store

    return open_store(settings or get_settings()).reader(shop)
