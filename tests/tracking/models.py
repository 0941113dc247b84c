"""Small models for tests of the registry, made of nothing but files of numbers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from resources.tracking import ModelVersion, Tracking

READER = "tests.tracking.reader"
TAGS = {
    "shop": "testshop",
    "domain": "testing",
    "trained_to": "2026-03-01T00:00:00+00:00",
    "data_version": "d",
    "code": "1",
}


def example() -> Any:
    import pandas as pd

    return pd.DataFrame({"row": [0.0, 2.0]})


def new_run(tracking: Tracking, domain: str = "testing") -> str:
    with tracking.client() as client:
        return str(client.create_run(tracking.experiment(domain), run_name="by hand").info.run_id)


def new_version(
    tracking: Tracking,
    name: str,
    numbers: tuple[float, ...] = (1.5, 2.5, 3.5),
    reader: str = READER,
    domain: str = "testing",
) -> ModelVersion:
    run = new_run(tracking, domain)  # opens MLflow before it is imported here
    from mlflow.models import infer_signature

    with tempfile.TemporaryDirectory() as place:
        np.savez(Path(place) / "numbers.npz", numbers=np.array(numbers))
        (Path(place) / "about.json").write_text('{"format": 1}')
        return tracking.register(
            run,
            name,
            Path(place),
            loader_module=reader,
            signature=infer_signature(example(), np.array([1.5, 3.5])),
            input_example=example(),
            tags=TAGS,
        )
