"""The jobs: `extract` brings raw tables up to date, `build` makes contract and marts, `ready` declares a shop ready.

They are three, joined by the ledger and not by a run: a source that is away, or a test that fails, stops its own shop.
`retrain` takes one shop's models the whole way, from the interactions to what is recommended.
"""

from typing import Any

import dagster as dg

from assets.marts.assets import SHOP_READY

EXTRACT, BUILD, READY, RETRAIN = "extract", "build", "ready", "retrain"


def build_jobs() -> list[Any]:
    """All jobs."""
    built = dg.AssetSelection.groups("staging", "contract", "marts") - dg.AssetSelection.assets(SHOP_READY)
    return [
        dg.define_asset_job(
            EXTRACT, dg.AssetSelection.groups("raw"), description="Take in what is new in the sources of the shops."
        ),
        dg.define_asset_job(
            BUILD, built, description="Make contract tables and marts for the shops that changed, and test them."
        ),
        dg.define_asset_job(
            READY,
            dg.AssetSelection.assets(SHOP_READY),
            description="Check one shop's contract and marts and declare the shop ready for the domains behind it.",
        ),
        dg.define_asset_job(
            RETRAIN,
            dg.AssetSelection.groups("recommender"),
            description="Train one shop's recommender if there is a reason to, decide on it, and publish.",
        ),
    ]
