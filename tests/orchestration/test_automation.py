"""The condition of the domains: a run that failed is asked for again, after a while and until it succeeds."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from assets.marts.assets import SHOP_READY
from orchestration.automation import on_new_version

BEGIN = datetime(2026, 3, 2, 12, 1, tzinfo=UTC)
SHOPS = ("first", "second")


class Domain:
    """Two shops that are ready, and an asset behind them that fails for the first while `is_away` is set."""

    def __init__(self) -> None:
        self.is_away = True
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor: dg.AssetDaemonCursor | None = None
        partitions = dg.StaticPartitionsDefinition(list(SHOPS))

        @dg.asset(key=SHOP_READY, partitions_def=partitions)
        def ready() -> dg.MaterializeResult[None]:
            return dg.MaterializeResult(data_version=dg.DataVersion("1"))

        @dg.asset(deps=[SHOP_READY], partitions_def=partitions, automation_condition=on_new_version())
        def domain(context: dg.AssetExecutionContext) -> None:
            if self.is_away and context.partition_key == SHOPS[0]:
                raise RuntimeError("the registry is away")

        self.ready, self.domain = ready, domain
        self.defs = dg.Definitions(assets=[ready, domain])

    def requested(self, minutes: int) -> list[str]:
        """What is requested so many minutes after the beginning, with what was asked for up to then."""
        result = dg.evaluate_automation_conditions(
            defs=self.defs,
            instance=self.instance,
            asset_selection=dg.AssetSelection.assets(self.domain),
            evaluation_time=BEGIN + timedelta(minutes=minutes),
            cursor=self.cursor,
        )
        self.cursor = result.cursor
        return sorted(map(str, result.get_requested_partitions(self.domain.key)))

    def run(self, asset: dg.AssetsDefinition, *shops: str) -> None:
        for shop in shops:
            dg.materialize(
                [self.ready, self.domain],
                selection=[asset],
                partition_key=shop,
                instance=self.instance,
                raise_on_error=False,
            )


@pytest.fixture
def domain() -> Domain:
    return Domain()


def test_what_failed_is_asked_for_again_at_the_next_quarter_of_an_hour(domain: Domain) -> None:
    assert domain.requested(0) == []
    domain.run(domain.ready, *SHOPS)
    assert domain.requested(1) == list(SHOPS)
    domain.run(domain.domain, *SHOPS)
    # Not at once, and the other shop's never.
    assert domain.requested(2) == []
    assert domain.requested(15) == [SHOPS[0]]
    domain.run(domain.domain, SHOPS[0])
    assert domain.requested(16) == []
    domain.is_away = False
    assert domain.requested(30) == [SHOPS[0]]
    domain.run(domain.domain, SHOPS[0])
    assert domain.requested(45) == domain.requested(60) == []
