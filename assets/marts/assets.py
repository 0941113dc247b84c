"""The Dagster layer of staging, contract and marts: the dbt models as assets, and `contract/shop_ready` behind them."""

import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import dagster as dg
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliInvocation,
    DbtCliResource,
    DbtProject,
    dbt_assets,
)

from assets.extracts.raw import ensure_raw
from assets.marts import readiness
from assets.marts.project import broken_staging, data_tests, dbt_variables, reuse_parsed
from resources.dagster_resources import WarehouseResource
from resources.environment import environment
from resources.settings import get_settings
from resources.shops import Shop
from resources.warehouse import Warehouse

OWNER = "team:data"
SHOP_READY = dg.AssetKey(["contract", "shop_ready"])
LIVE_SHOP_MAX_AGE = timedelta(hours=26)
"""A live shop whose last news is older than a day and a grace of two hours is late."""


class Translator(DagsterDbtTranslator):
    """Names, groups and checks of the dbt nodes: keys are `[schema, model]` and `[raw, shop, table]`."""

    def __init__(self) -> None:
        super().__init__(settings=DagsterDbtTranslatorSettings(enable_code_references=False))

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest["nodes"].get(unique_id) or manifest["sources"][unique_id]
        if node["resource_type"] == "source":
            return spec.replace_attributes(
                key=dg.AssetKey(["raw", node["source_name"], node["name"]]), group_name="raw"
            )
        return spec.replace_attributes(
            key=dg.AssetKey([node["schema"], node["name"]]),
            group_name=node["schema"],
            owners=[OWNER],
            kinds={"dbt", "postgres"},
            # The default appends the SQL, which Dagster shows beside it anyway.
            description=node["description"],
            automation_condition=None,
        )

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        # A model holds all shops: were its tests to block, one shop's bad day would stop the others.
        # `contract/shop_ready` blocks instead, shop by shop.
        if spec is None:
            return None
        return spec._replace(blocking=False, description=manifest["nodes"][unique_id]["description"])


def build_marts_assets(
    shops: dict[str, Shop], manifest: dict[str, Any]
) -> list[dg.AssetsDefinition | dg.AssetChecksDefinition]:
    """The dbt models of all shops and `contract/shop_ready` with its checks."""
    models = readiness.tracked_models(manifest)
    tests = data_tests(manifest, severity="error")
    all_tests = data_tests(manifest)
    variables = dbt_variables(shops)
    folder = get_settings().dbt_project

    @dbt_assets(
        manifest=manifest,
        project=DbtProject(folder, profiles_dir=folder),
        name="dbt_models",
        dagster_dbt_translator=Translator(),
        pool="dbt",
    )
    def dbt_models(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, dbt: DbtCliResource
    ) -> Iterator[Any]:
        client = warehouse.client()
        ensure_raw(client, shops)
        with client.advisory_lock(
            "dbt", waiting=lambda: context.log.info("another dbt run is at work; waiting for it")
        ):
            with client.connect() as connection:
                behind = readiness.behind(connection, shops, models)
                reshaped = readiness.reshaped(connection, manifest)
                has_new_code = readiness.has_new_code(connection, shops)
            if not behind and not reshaped:
                context.log.info("Nothing changed since the last build, and it was tested: dbt has nothing to do.")
                return
            context.log.info("To build: %s", "; ".join(f"{name}: {len(late)} models" for name, late in behind.items()))
            if reshaped:
                context.log.warning("Made anew, whole, as their columns changed: %s", ", ".join(reshaped))
            # Only the SQL of this project sees these variables; nothing of them is written to run config.
            with environment({**client.dbt_environment(), "DBT_ENV_CUSTOM_ENV_CARTOGRAPH_TESTS": "changed"}):
                # One target folder for the home: dbt parses only what changed since the last call of the same home.
                reuse_parsed(shops, client.settings.dbt_target)
                call = partial(dbt.cli, context=context, target_path=client.settings.dbt_target, raise_on_error=False)
                if has_new_code:
                    # A staging model whose SQL breaks the contract is found before a table that stands is touched.
                    staging = ["run", "--select", "path:models/staging", "--vars", variables]
                    _raise_if_broken(
                        dbt.cli(staging, target_path=client.settings.dbt_target, raise_on_error=False).wait(), manifest
                    )
                # `dbt build` would skip the models behind a failing test for every shop, not for the one that fails.
                whole = ["--full-refresh"] if reshaped else []
                running = call(["run", *whole, "--vars", variables])
                yield from _with_row_counts(running.stream(), context, client)
                _raise_if_broken(running, manifest)
                with client.connect() as connection:
                    made_id = readiness.begin_tests(connection, shops, models, all_tests)
                    idle = readiness.idle_tests(connection, manifest)
                without = ["--exclude", " ".join(idle)] if idle else []
                testing = call(["test", *without, "--exclude-resource-type", "unit_test", "--vars", variables])
                yield from testing.stream()
            _raise_where_a_test_broke(testing)
            with client.connect() as connection:
                if not context.is_subset:
                    for shop in shops.values():
                        readiness.mark_tested(connection, shop, made_id)

    tables = {
        node["name"]: node["schema"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["schema"] in ("contract", "marts") and "shop" in node["columns"]
    }
    return [dbt_models, *_shop_ready(shops, models, tests, tables, sorted(dbt_models.keys))]


def _with_row_counts(events: Iterator[Any], context: dg.AssetExecutionContext, warehouse: Warehouse) -> Iterator[Any]:
    """The events of a dbt run, those of tables with their rows.

    dagster-dbt would count too, with an adapter of its own whose start takes longer than all counts together.
    """
    from psycopg import sql

    with warehouse.connect(autocommit=True) as connection:
        for event in events:
            if (
                not isinstance(event, dg.Output)
                or (path := context.asset_key_for_output(event.output_name).path)[0] == "staging"
            ):
                yield event
                continue
            row = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(*path))).fetchone()
            metadata = {**event.metadata, **({"dagster/row_count": row[0]} if row else {})}
            yield dg.Output(event.value, event.output_name, metadata=metadata, data_version=event.data_version)


def _raise_if_broken(invocation: DbtCliInvocation, manifest: dict[str, Any]) -> None:
    """A staging model that breaks the contract is said in a line; another fault in dbt's own words."""
    if invocation.is_successful():
        return
    try:
        results = invocation.get_artifact("run_results.json")["results"]
    except FileNotFoundError:  # dbt did not come as far as a model
        results = []
    if problems := broken_staging(manifest, results):
        raise dg.Failure("\n".join(problems), allow_retries=False)
    error = invocation.get_error()
    raise error if error is not None else dg.Failure("dbt failed without a word.", allow_retries=False)


def _raise_where_a_test_broke(invocation: DbtCliInvocation) -> None:
    """A failing test is a finding, stored and shown; a test that could not run at all is a fault of ours."""
    artifact = invocation.get_artifact("run_results.json")
    if artifact["args"]["which"] != "test":  # it is still that of the models: dbt did not come as far as a test
        error = invocation.get_error()
        raise error if error is not None else dg.Failure("dbt ran no test and said nothing.", allow_retries=False)
    broken = [result for result in artifact["results"] if result["status"] in ("error", "runtime error")]
    if broken:
        first = "\n".join(f"{result['unique_id']}: {result['message']}" for result in broken[:5])
        raise dg.Failure(f"{len(broken)} dbt tests could not run:\n{first}", allow_retries=False)


def _shop_ready(
    shops: dict[str, Shop],
    models: readiness.Models,
    tests: dict[str, str],
    tables: dict[str, str],
    upstream: list[dg.AssetKey],
) -> list[dg.AssetsDefinition | dg.AssetChecksDefinition]:
    partitions = dg.StaticPartitionsDefinition(list(shops))
    # Without partitions on the check itself one shop's pass would clear another's failure. They are a preview.
    warnings.filterwarnings("ignore", "Specifying a partitions_def on an AssetCheckSpec", dg.PreviewWarning)

    @dg.asset(
        key=SHOP_READY,
        partitions_def=partitions,
        deps=[key for key in upstream if key.path[0] in ("contract", "marts")],
        group_name="contract",
        owners=[OWNER],
        kinds={"postgres"},
        description=(
            "One partition is one shop whose contract tables and marts are built from all of its committed extracts. "
            "Every domain stands on this asset and looks at it alone: its data version changes exactly when the shop's "
            "extracts or the code of the models behind them change, and its blocking check fails while the shop has "
            "stored failures."
        ),
    )
    def shop_ready(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult:
        shop = shops[context.partition_key]
        with warehouse.client().connect() as connection:
            if not readiness.has_data(connection, shop):
                raise dg.Failure(f"{shop.name} has no data yet: extract some first.", allow_retries=False)
            late = readiness.unbuilt(connection, shop, models)
            if late:
                raise dg.Failure(
                    f"{len(late)} models do not hold all committed changes of {shop.name} yet ({', '.join(late[:5])}"
                    f"{', ...' if len(late) > 5 else ''}): materialize contract and marts first.",
                    allow_retries=False,
                )
            ready = readiness.describe(connection, shop, tables)
            version = readiness.data_version(connection, shop)
        return dg.MaterializeResult(
            metadata={
                "shop": shop.name,
                "as of": str(ready.as_of),
                "first day": str(ready.first_day),
                "dagster/partition_row_count": ready.rows.get("fct_order_items", 0) + ready.rows.get("fct_events", 0),
                "rows": dg.MetadataValue.md(
                    "| table | rows |\n| --- | ---: |\n"
                    + "\n".join(f"| {tables[name]}.{name} | {count:,} |" for name, count in ready.rows.items())
                ),
            },
            data_version=dg.DataVersion(version),
        )

    @dg.asset_check(
        asset=SHOP_READY,
        name="no_stored_failures",
        blocking=True,
        partitions_def=partitions,
        description="Every dbt test that must not fail ran over what is built and stored no failing row of this shop.",
    )
    def no_stored_failures(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> dg.AssetCheckResult:
        shop = shops[context.partition_key]
        with warehouse.client().connect() as connection:
            stale = readiness.untested(connection, shop)
            failures = readiness.stored_failures(connection, shop, tests)
        metadata: dict[str, Any] = {
            "shop": shop.name,
            "tests": len(tests),
            "failing tests": len(failures),
            "expected": 0,
        }
        if stale:
            metadata["reason"] = "something was built since the tests were last run"
        if failures:
            metadata["failures"] = dg.MetadataValue.md(
                "| test | failing rows | look at |\n| --- | ---: | --- |\n"
                + "\n".join(
                    f"| {test} | {count:,} | `select * from test_failures.{tests[test]} where shop = '{shop.name}'` |"
                    for test, count in sorted(failures.items(), key=lambda item: -item[1])[:20]
                )
            )
        return dg.AssetCheckResult(passed=not stale and not failures, metadata=metadata)

    @dg.asset_check(
        asset=SHOP_READY,
        name="is_recent",
        partitions_def=partitions,
        description="A live shop had news within a day and two hours; a shop that is not live is not judged.",
    )
    def is_recent(context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource) -> dg.AssetCheckResult:
        shop = shops[context.partition_key]
        with warehouse.client().connect() as connection:
            age = readiness.age_of_news(connection, shop, datetime.now(UTC))
        late = shop.live and (age is None or age > LIVE_SHOP_MAX_AGE)
        return dg.AssetCheckResult(
            passed=not late,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "shop": shop.name,
                "live": shop.live,
                "hours since the last news": "never" if age is None else round(age.total_seconds() / 3600, 1),
                "allowed hours": LIVE_SHOP_MAX_AGE.total_seconds() / 3600 if shop.live else "any",
            },
        )

    return [shop_ready, no_stored_failures, is_recent]
