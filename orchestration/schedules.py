"""The schedules: the daily extraction of every shop. What it brings is built by the sensors that watch the ledger."""

from collections.abc import Iterator

import dagster as dg

from assets.extracts.assets import raw_key
from orchestration.environments import SWITCHES, schedule_status
from orchestration.jobs import EXTRACT
from resources.settings import Settings
from resources.shops import Shop


def build_schedules(settings: Settings, shops: dict[str, Shop]) -> list[dg.ScheduleDefinition]:
    """All schedules, switched as `orchestration/environments.py` says."""

    @dg.schedule(
        name="daily_extract",
        job_name=EXTRACT,
        cron_schedule="0 5 * * *",
        execution_timezone="UTC",
        default_status=schedule_status(SWITCHES[settings.environment].daily_extract),
        description="Take in what is new in every shop's source, each day at 05:00 UTC, in a run for each shop.",
    )
    def daily_extract(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        day = context.scheduled_execution_time.date().isoformat()
        for shop in shops.values():
            yield dg.RunRequest(
                run_key=f"daily:{shop.name}:{day}",
                asset_selection=[raw_key(shop.name, table) for table in shop.tables],
                tags={"shop": shop.name, "cause": "daily"},
            )

    return [daily_extract]
