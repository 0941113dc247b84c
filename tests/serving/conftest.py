"""A home with an embedded warehouse, and an API that serves it, for all tests of a process."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.embedded_postgres import release
from resources.settings import Settings, load_settings
from resources.warehouse import Warehouse
from tests.serving.rig import Api, Client, write_shops
from tests.shared_home import server_is_gone


@pytest.fixture(scope="session")
def settings() -> Iterator[Settings]:
    """Those of a home of its own: other tests make and drop the same schemas in theirs."""
    home = Path(tempfile.mkdtemp(prefix="cga-"))
    home.chmod(0o755)
    made = load_settings(home=home, shops_file=write_shops(home / "shops.yaml"), environment="test")
    with Warehouse(made).connect(autocommit=True) as connection:
        # The API must not lean on the database's default.
        connection.execute("alter database cartograph set synchronous_commit = off")
    yield made
    release(home)
    server_is_gone(home)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def home_warehouse(settings: Settings) -> Warehouse:
    return Warehouse(settings)


@pytest.fixture(scope="session")
def api(settings: Settings) -> Iterator[Api]:
    """A running API that is ready."""
    running = Api(settings.home, settings.shops_file)
    try:
        yield running.wait()
    finally:
        running.stop()


@pytest.fixture
def client(api: Api) -> Iterator[Client]:
    made = api.client()
    yield made
    made.connection.close()
