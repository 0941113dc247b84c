"""The sensor `drift`: starts the retraining of a shop whose champion drift fired on.

Whether it fired is told by the recorded windows (`assets/monitoring/drift.py`), with hysteresis. What is decided here
is when to ask: once it fired, again after a cool-down while it lasts, at most so many times for a champion, and then
there is an alert instead. The cool-down is counted in the shop's days: without new days another training would see the
same data.
"""

from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import dagster as dg

from assets.monitoring.assets import DRIFT, monitored
from assets.monitoring.drift import COOL_DOWN, State, past_windows, state_of
from assets.monitoring.statistics import Rules
from orchestration.jobs import RETRAIN
from orchestration.sensors import read_cursor, write_cursor
from resources.dagster_resources import TrackingResource, WarehouseResource
from resources.shops import Shop
from resources.tracking import TrackingError, model_name

CURSOR_VERSION = 1
MAX_REQUESTS = 3


@dataclass(frozen=True)
class Memory:
    """What is remembered of one shop between ticks."""

    version: int
    """Of the champion that was asked about."""
    requests: int = 0
    last: str | None = None
    """The shop's day of the window of the last request."""
    alerted: bool = False


@dataclass(frozen=True)
class Decision:
    """What to do about one shop now."""

    window: date | None
    """The day of the window for which to request; None: do not."""
    alert: bool
    reason: str
    memory: Memory


def decide(state: State, memory: Memory) -> Decision:
    """Whether to request the retraining of a champion, to alert, or to wait."""
    if state.latest is None:
        return Decision(None, False, "no window with enough data yet", memory)
    if state.fired is None:
        since = f", drifted since {state.since}, one window is not two" if state.since else ""
        return Decision(None, False, f"no drift fired up to {state.latest}{since}", Memory(memory.version))
    shown = f"drift fired on {state.fired} and lasts up to {state.latest}"
    if memory.last is not None:
        waited = state.latest - date.fromisoformat(memory.last)
        if waited < COOL_DOWN:
            left = (COOL_DOWN - waited).days
            return Decision(
                None, False, f"{shown}; requested at {memory.last}, {left} of the shop's days to wait", memory
            )
    if memory.requests < MAX_REQUESTS:
        after = replace(memory, requests=memory.requests + 1, last=state.latest.isoformat())
        return Decision(state.latest, False, f"{shown}; request {after.requests} of {MAX_REQUESTS}", after)
    if not memory.alerted:
        text = f"{shown}, and {memory.requests} requests brought no better model: somebody must look"
        return Decision(None, True, text, replace(memory, alerted=True))
    return Decision(None, False, f"{shown}; alerted, waiting for somebody", memory)


def evaluate_drift(
    context: dg.SensorEvaluationContext,
    warehouse: WarehouseResource,
    tracking: TrackingResource,
    shops: dict[str, Shop],
) -> dg.SensorResult:
    """One tick of the drift sensor."""
    before = read_cursor(context.cursor, CURSOR_VERSION)
    after: dict[str, Any] = {}
    requests, alerts, reasons = [], [], []
    for shop in monitored(shops):
        model = model_name("recommender", shop)
        try:
            champion = tracking.client().champion(model)
        except TrackingError as error:  # what was asked for must not be forgotten, nor asked again
            context.log.error(f"{shop}: its champion cannot be asked for: {error}")
            reasons.append(f"{shop}: its champion cannot be asked for ({error})")
            after |= {shop: before[shop]} if shop in before else {}
            continue
        if champion is None:
            reasons.append(f"{shop}: no champion yet")
            continue
        with warehouse.client().connect() as connection:
            state = state_of(past_windows(connection, shop, model, champion.version), Rules())
        known = before.get(shop, {})
        memory = Memory(**known) if known.get("version") == champion.version else Memory(champion.version)
        decision = decide(state, memory)
        after[shop] = asdict(decision.memory)
        reason = f"{shop}, version {champion.version}: {decision.reason}"
        reasons.append(reason)
        if decision.alert:
            context.log.error(reason)
            alerts.append(
                dg.AssetObservation(
                    DRIFT, partition=shop, metadata={"shop": shop, "alert": reason}, description="Drift alert"
                )
            )
        if decision.window is not None:
            context.log.info(reason)
            requests.append(
                dg.RunRequest(
                    run_key=f"drift:{shop}:{model}:{champion.version}:{decision.window}",
                    partition_key=shop,
                    tags={"shop": shop, "cause": "drift"},
                )
            )
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else "; ".join(reasons) or "no shop has orders or events",
        asset_events=alerts,
        cursor=write_cursor(after, CURSOR_VERSION),
    )


def build_drift_sensor(shops: dict[str, Shop], status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """The sensor; the job `retrain` must be among the definitions."""

    @dg.sensor(
        name="drift",
        job_name=RETRAIN,
        minimum_interval_seconds=30,
        default_status=status,
        description=(
            "Requests the retraining of a shop whose champion drift fired on: two drifted windows at least three days "
            "apart, again after a week of the shop's days while it lasts, and after three requests an alert."
        ),
    )
    def drift_sensor(
        context: dg.SensorEvaluationContext, warehouse: WarehouseResource, tracking: TrackingResource
    ) -> dg.SensorResult:
        return evaluate_drift(context, warehouse, tracking, shops)

    return drift_sensor
