"""What is switched on in which environment: every environment stands in every row, and nothing falls back."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from resources.settings import Environment


@dataclass(frozen=True)
class Switches:
    """The default status of each automation, which a person may change in the UI afterwards."""

    daily_extract: bool
    inbox: bool
    streams: bool
    build: bool
    readiness: bool
    freshness: bool
    automation: bool
    drift: bool


SWITCHES: dict[Environment, Switches] = {
    Environment.LOCAL: Switches(
        daily_extract=True,
        inbox=True,
        streams=True,
        build=True,
        readiness=True,
        freshness=True,
        automation=True,
        drift=True,
    ),
    Environment.TEST: Switches(
        daily_extract=False,
        inbox=False,
        streams=False,
        build=False,
        readiness=False,
        freshness=False,
        automation=False,
        drift=False,
    ),
    Environment.STAGING: Switches(
        daily_extract=True,
        inbox=True,
        streams=True,
        build=True,
        readiness=True,
        freshness=False,
        automation=True,
        drift=True,
    ),
    Environment.PRODUCTION: Switches(
        daily_extract=True,
        inbox=True,
        streams=True,
        build=True,
        readiness=True,
        freshness=True,
        automation=True,
        drift=True,
    ),
}


def schedule_status(on: bool) -> dg.DefaultScheduleStatus:
    return dg.DefaultScheduleStatus.RUNNING if on else dg.DefaultScheduleStatus.STOPPED


def sensor_status(on: bool) -> dg.DefaultSensorStatus:
    return dg.DefaultSensorStatus.RUNNING if on else dg.DefaultSensorStatus.STOPPED
