"""Stores to publish in: folders, the engine of the Qdrant client, and the server of QDRANT_URL where that is set."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from resources.settings import Settings, load_settings
from resources.vectors.folder import FolderStore
from resources.vectors.server import ServerStore, connect_server
from resources.vectors.store import Store
from tests.vectors.made import SHOP, made, publish

KEPT = "CARTOGRAPH_TEST_"
"""Before the variables that name the server to these tests alone."""
SERVERS = ("memory", "server") if os.environ.get(f"{KEPT}QDRANT_URL") else ("memory",)


def settings_of(home: Path) -> Settings:
    given = {name.lower(): os.environ.get(KEPT + name) for name in ("QDRANT_URL", "QDRANT_API_KEY")}
    return load_settings(_env_file=None, home=home, environment="test", **given)


def forget(client: QdrantClient) -> None:
    for one in client.get_collections().collections:
        if one.name.startswith(f"{SHOP}_products_"):
            client.delete_collection(one.name)


def server_store(kind: str, home: Path) -> Iterator[ServerStore]:
    settings = settings_of(home)
    if kind == "memory":
        yield ServerStore(QdrantClient(":memory:"), settings)
        return
    client = connect_server(settings)
    forget(client)
    yield ServerStore(client, settings)
    forget(client)


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServerStore]:
    yield from server_store(request.param, tmp_path)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> FolderStore:
    """Folders with 40 products, which each test leaves as they were."""
    store = FolderStore(tmp_path_factory.mktemp("whole"))
    publish(store, made(40))
    return store


@pytest.fixture
def begun(whole: FolderStore, tmp_path: Path) -> FolderStore:
    """Folders with 40 products, as the first version."""
    # cp leaves the holes of files out, which shutil would write.
    subprocess.run(["cp", "-a", whole.root, tmp_path / "begun"], check=True)
    return FolderStore(tmp_path / "begun")


@pytest.fixture(params=("folder", *SERVERS))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "folder":
        yield FolderStore(tmp_path / "vectors")
    else:
        yield from server_store(request.param, tmp_path)
