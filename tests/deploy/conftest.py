"""What the tests of deployments share: their code on the path, and the CDK on the Node.js of the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from resources.settings import PROJECT_ROOT

AWS = PROJECT_ROOT / "deploy" / "aws"


@pytest.fixture(scope="package", autouse=True)
def _deployable() -> Iterator[None]:
    """Let `provisioning` be imported as `cdk` does it: from the folder of the app."""
    sys.path.insert(0, str(AWS))
    before = os.environ.get("JSII_NODE")
    from provisioning.node import use_node_of_wheel

    use_node_of_wheel()
    yield
    sys.path.remove(str(AWS))
    if before is None:
        os.environ.pop("JSII_NODE", None)
