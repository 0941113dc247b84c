"""Where collections lie: folders of this home, or a Qdrant server; `open_store` chooses by the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from resources.far import Say
from resources.settings import Settings
from resources.vectors.collection import Content, Manifest

if TYPE_CHECKING:
    from resources.vectors.reader import Reader


class Store(Protocol):
    """Publishes versions of collections and opens readers on them; `FolderStore` tells what each call does."""

    def manifest(self, shop: str) -> Manifest | None: ...

    def reader(self, shop: str) -> Reader: ...

    def publish(self, wanted: Manifest, content: Content, say: Say) -> Manifest: ...

    def weigh(self, shop: str, weights: Mapping[str, float]) -> None: ...


def open_store(settings: Settings) -> Store:
    """The store of a home: the server of QDRANT_URL, where that is set, else folders."""
    if settings.qdrant_url is not None:
        from resources.vectors.server import ServerStore, connect_server

        return ServerStore(connect_server(settings), settings)
    from resources.vectors.folder import FolderStore

    return FolderStore(settings.home / "vectors")
