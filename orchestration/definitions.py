"""The one `Definitions` of Cartograph. `build_defs` makes it for given settings; `defs` is what Dagster loads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from assets.extracts.assets import build_extract_assets
from assets.marts.assets import build_marts_assets
from assets.marts.project import read_manifest
from assets.marts.readiness import tracked_models
from assets.monitoring.assets import build_monitoring_assets
from assets.recommender.assets import build_recommender_assets
from assets.search.assets import build_search_assets
from assets.summaries.assets import build_summaries_assets
from orchestration.automation import apply_automation, automation_sensor
from orchestration.drift import build_drift_sensor
from orchestration.environments import SWITCHES, sensor_status
from orchestration.freshness import apply_freshness
from orchestration.jobs import build_jobs
from orchestration.schedules import build_schedules
from orchestration.sensors import build_sensors
from resources.dagster_resources import build_resources
from resources.settings import Settings, get_settings
from resources.shops import load_shops


def build_defs(settings: Settings, resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Everything, for some settings.

    Opens no connection. Parses the dbt project where its manifest is not of the code as it stands.

    Args:
        resource_overrides: resources to put in place of the settings' own, by key.

    Raises:
        ShopsError, DeclarationError, DbtProjectError: the configuration cannot be used; the message says where.
    """
    shops = load_shops(settings.shops_file)
    project = read_manifest(shops)
    made = [
        *build_extract_assets(shops),
        *build_marts_assets(shops, project),
        *build_recommender_assets(shops),
        *build_monitoring_assets(shops),
        *build_search_assets(shops),
        *build_summaries_assets(shops),
    ]
    assets = [item for item in made if not isinstance(item, dg.AssetChecksDefinition)]
    keys = [key for item in assets for key in item.keys]
    jobs = build_jobs()
    switches = SWITCHES[settings.environment]
    return dg.Definitions(
        assets=apply_automation(apply_freshness(assets, shops)),
        asset_checks=[item for item in made if isinstance(item, dg.AssetChecksDefinition)],
        jobs=jobs,
        schedules=build_schedules(settings, shops),
        sensors=[
            *build_sensors(settings, shops, tracked_models(project), keys, jobs),
            automation_sensor(sensor_status(switches.automation)),
            build_drift_sensor(shops, sensor_status(switches.drift)),
        ],
        resources={**build_resources(settings), **(resource_overrides or {})},
        executor=dg.in_process_executor,
    )


defs = build_defs(get_settings())
