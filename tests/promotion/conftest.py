"""The tracking of the warehouse that the tests of a process share."""

from __future__ import annotations

import pytest

from resources.tracking import Tracking
from resources.warehouse import Warehouse


@pytest.fixture(scope="session")
def tracking(warehouse: Warehouse) -> Tracking:
    return Tracking(warehouse.settings)
