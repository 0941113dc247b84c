"""The warnings that fail a test: uses in our modules of what Dagster will take away."""

from __future__ import annotations

import warnings

import dagster as dg
import pytest

USE = "import dagster as dg\ndef use(): return dg.AutoMaterializePolicy.eager()\n"


@pytest.mark.parametrize("module", ["assets.extracts.assets", "orchestration.sensors", "resources.dagster_resources"])
def test_a_deprecated_use_in_our_modules_is_an_error(module: str) -> None:
    namespace = {"__name__": module}
    exec(USE, namespace)
    with pytest.raises(DeprecationWarning, match="is deprecated and will be removed in"):
        namespace["use"]()  # type: ignore[operator]


def test_a_superseded_one_is_an_error_anywhere() -> None:
    with pytest.raises(dg.SupersessionWarning):
        warnings.warn("x is superseded and its usage is discouraged.", dg.SupersessionWarning, stacklevel=1)


def test_deprecations_of_others_are_not_ours() -> None:
    with pytest.warns(DeprecationWarning, match="x is deprecated"):
        warnings.warn("x is deprecated", DeprecationWarning, stacklevel=1)
