"""The Dagster layer of the recommender: interactions, model, champion and recommendations, a partition a shop."""

import warnings
from typing import Any

import dagster as dg

from assets import markdown
from assets.columns import columns
from assets.marts.assets import SHOP_READY
from assets.recommender.config import load_recommender_config
from assets.recommender.training import DOMAIN
from resources.dagster_resources import LakeResource, TrackingResource, WarehouseResource
from resources.models import SETTINGS, config_hash
from resources.shops import Shop
from resources.tracking import CHALLENGER, ModelVersion, model_name

OWNER = "team:ml"
INTERACTIONS, MODEL, CHAMPION, RECOMMENDATIONS = (
    dg.AssetKey([DOMAIN, name]) for name in ("interactions", "model", "champion", "recommendations")
)
LINEAGE = [dg.AssetKey(["contract", name]) for name in ("fct_interactions", "dim_product", "shop_clock")]
"""What the interactions are read from. Automation looks at `shop_ready` alone."""
TABLE = "predictions.recommendations"
COLUMNS = columns(
    ("shop", "text", "The shop."),
    ("actor_id", "text", "The customer where known, else the visitor."),
    ("product_ids", "text[]", "The recommended products, best first."),
    ("scores", "real[]", "Their scores, comparable within one row alone."),
    ("model_version", "integer", "The version of the champion that made the row."),
    ("made_at", "timestamptz", "When it was made."),
)


def shops_with_interactions(shops: dict[str, Shop]) -> list[str]:
    """The shops that the recommender has a partition for."""
    return [name for name, shop in shops.items() if shop.has_interactions]


def build_recommender_assets(shops: dict[str, Shop]) -> list[dg.AssetsDefinition | dg.AssetChecksDefinition]:
    """The assets of the recommender, none where no shop has interactions."""
    names = shops_with_interactions(shops)
    if not names:
        return []
    partitions = dg.StaticPartitionsDefinition(names)
    same_shop = dg.IdentityPartitionMapping()
    # Without partitions on the check itself one shop's pass would clear another's failure. They are a preview.
    warnings.filterwarnings("ignore", "Specifying a partitions_def on an AssetCheckSpec", dg.PreviewWarning)

    @dg.asset(
        key=INTERACTIONS,
        partitions_def=partitions,
        deps=[dg.AssetDep(SHOP_READY, partition_mapping=same_shop), *LINEAGE],
        group_name=DOMAIN,
        owners=[OWNER],
        kinds={"postgres", "parquet"},
        description=(
            "One partition is one shop's interactions with merchandise up to the end of its last closed day, in the "
            "lake; one row is one view, cart or purchase of a product by an actor. The data version changes with the "
            "rows and the day, and with nothing else, so that nothing is trained in vain."
        ),
    )
    def interactions(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, lake: LakeResource
    ) -> dg.MaterializeResult:
        from assets.recommender import features
        from assets.recommender.plots import weekly_interactions

        taken = features.take(warehouse.client(), lake.client(context.log.info), context.partition_key)
        if taken is None:
            return _nothing(context.partition_key, **{"dagster/partition_row_count": 0})
        snapshot, rows = taken
        return dg.MaterializeResult(
            metadata={
                "shop": snapshot.shop,
                "as of": str(snapshot.as_of),
                "dagster/partition_row_count": snapshot.rows,
                "actors": snapshot.actors,
                "products": snapshot.products,
                "file": lake.client().path(snapshot.lake_name),
                "a week": dg.MetadataValue.md(markdown.picture(weekly_interactions(rows))),
            },
            data_version=dg.DataVersion(snapshot.version),
        )

    @dg.asset(
        key=MODEL,
        partitions_def=partitions,
        deps=[INTERACTIONS],
        group_name=DOMAIN,
        owners=[OWNER],
        kinds={"mlflow", "numpy"},
        description=(
            "One partition is the newest version of one shop's recommender in the MLflow registry: a blend of own "
            "past, factors (ALS), co-visits, neighbours and popularity, trained up to some days before the last closed "
            "one and compared with its baselines on these days. It is trained again when the shop's days, its settings "
            "or drift ask for it, and is the challenger until `recommender/champion` has decided."
        ),
    )
    def model(
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        lake: LakeResource,
        tracking: TrackingResource,
    ) -> dg.MaterializeResult:
        from assets.monitoring.drift import drifted_at
        from assets.recommender import features, training

        shop = context.partition_key
        config = load_recommender_config(shop)
        registry, name = tracking.client(), model_name(DOMAIN, shop)
        with warehouse.client().connect() as connection:
            snapshot = features.latest(connection, shop)
            fired = drifted_at(connection, shop, registry.champion(name))
        if snapshot is None:
            return _nothing(shop, trained=False)
        versions = registry.versions(name)
        should, reason = training.reason_to_train(snapshot, config, versions, fired)
        context.log.info(f"{'training' if should else 'not training'}: {reason}")
        if not should:
            with warehouse.client().connect() as connection:
                adopted = training.adopt(registry, connection, versions)
            if adopted is not None:
                reason += f"; version {adopted.version} was left without the alias {CHALLENGER}, and has it now"
            newest = versions[0] if versions else None
            return dg.MaterializeResult(
                metadata={
                    "shop": shop,
                    "trained": False,
                    "reason": reason,
                    SETTINGS: config_hash(config),
                    **({} if newest is None else _of_version(newest)),
                },
                # A version that was adopted is news to the champion, though it was there.
                data_version=dg.DataVersion(f"{_version(newest)}{' adopted' if adopted else ''}"),
            )
        snapshot, rows = features.read(warehouse.client(), lake.client(), shop)
        with tracking.run(
            context, DOMAIN, tags={"shop": shop, "reason": reason}, parameters=training.parameters_of(config)
        ) as run:
            made = training.train(snapshot, rows, config, context.log.info, is_drifted=fired is not None)
            training.log(run, made, config)
            version = training.register(registry, run, made.model, snapshot, config)
        return dg.MaterializeResult(
            metadata={
                "shop": shop,
                "trained": True,
                "reason": reason,
                SETTINGS: config_hash(config),
                "as of": str(snapshot.as_of),
                **_of_version(version),
                "MLflow run": dg.MetadataValue.url(run.url),
                **_of_training(made),
            },
            data_version=dg.DataVersion(_version(version)),
        )

    @dg.asset(
        key=CHAMPION,
        partitions_def=partitions,
        deps=[MODEL, INTERACTIONS],
        group_name=DOMAIN,
        owners=[OWNER],
        kinds={"mlflow"},
        description=(
            "One partition is the version of one shop's recommender that is in use, the alias `champion` of the "
            "registry. It moves only here (and by `cartograph rollback`): a champion has to beat the popular products, "
            "a later one its predecessor too, on days that neither was trained on and beyond chance; after drift, not "
            "being worse by a margin is enough. Each decision is written to monitoring.promotions."
        ),
    )
    def champion(
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        lake: LakeResource,
        tracking: TrackingResource,
    ) -> dg.MaterializeResult:
        from assets.monitoring.drift import drifted_at
        from assets.promotion.promote import apply, settle
        from assets.recommender import features
        from assets.recommender.champion import compare, decided

        shop = context.partition_key
        config = load_recommender_config(shop)
        registry, name = tracking.client(), model_name(DOMAIN, shop)
        with warehouse.client().connect() as connection:
            if features.latest(connection, shop) is None:
                return _nothing(shop, promoted=False)
            settle(registry, connection, name)
            held, challenger = registry.champion(name), registry.version_by_alias(name, CHALLENGER)
            is_drifted = drifted_at(connection, shop, held) is not None
            why_not = "there is no challenger" if challenger is None else None
            if challenger is not None:
                why_not = decided(connection, challenger, held, is_drifted)
        metadata: dict[str, Any] = {"shop": shop}
        if challenger is None or why_not is not None:
            metadata |= {"promoted": False, "reason": why_not}
        else:
            snapshot, rows = features.read(warehouse.client(), lake.client(), shop)
            with tracking.run(context, DOMAIN, tags={"shop": shop, "challenger": str(challenger.version)}) as run:
                trial = compare(registry, snapshot, rows, config, challenger, held, is_drifted)
                figures = trial.decision.figures
                run.log_metrics({key: float(value) for key, value in figures.items() if isinstance(value, int | float)})
                run.log_dict(
                    {"decision": trial.decision.code, "reason": trial.decision.reason, **figures}, "decision.json"
                )
                with warehouse.client().connect() as connection:
                    actor = f"{context.asset_key.to_user_string()}, run {context.run.run_id}"
                    apply(registry, connection, trial.decision, challenger, held, actor)
            context.log.info(trial.decision.reason)
            metadata |= {
                "promoted": trial.decision.promote,
                "decision": trial.decision.code,
                "reason": trial.decision.reason,
                "challenger": f"version {challenger.version}",
                "compared with": "the baseline" if held is None else f"version {held.version}",
                "window from": trial.window_start.isoformat(),
                "queries": trial.queries,
                **{
                    f"{key} (NDCG@10)": figures[key] for key in ("challenger", "champion", "baseline") if key in figures
                },
                "MLflow run": dg.MetadataValue.url(run.url),
            }
        now = registry.champion(name)
        metadata |= {"champion": "none yet"} if now is None else {"champion": f"version {now.version}"}
        return dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(_version(now)))

    @dg.asset(
        key=RECOMMENDATIONS,
        partitions_def=partitions,
        deps=[CHAMPION, INTERACTIONS],
        group_name=DOMAIN,
        owners=[OWNER],
        kinds={"postgres"},
        description=(
            "One partition is what the champion of one shop recommends to each of its actors, by all that it did up "
            "to the last closed day; one row of predictions.recommendations is one actor with its products, best "
            "first. "
            "All rows of the shop are swapped in one transaction. Of a shop without a champion the popular products "
            "alone are published, for everybody."
        ),
        metadata={"dagster/table_name": TABLE, "dagster/column_schema": COLUMNS},
    )
    def recommendations(
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        lake: LakeResource,
        tracking: TrackingResource,
    ) -> dg.MaterializeResult:
        from assets.monitoring.drift import remember_predictions
        from assets.recommender import features
        from assets.recommender.champion import over_all_shops
        from assets.recommender.publishing import publish_champion, publish_popular

        shop = context.partition_key
        config = load_recommender_config(shop)
        registry, name, client = tracking.client(), model_name(DOMAIN, shop), warehouse.client()
        with client.connect() as connection:
            if features.latest(connection, shop) is None:
                return _nothing(shop, **{"dagster/partition_row_count": 0})
        # One at a time from the look at the champion on: else a run that began before a rollback would end after it,
        # and put the lists of the version that went in place of the right ones.
        with client.advisory_lock(f"recommendations {shop}", lambda: context.log.info("waiting for another run")):
            held = registry.champion(name)
            snapshot, rows = features.read(client, lake.client(), shop)
            with client.connect() as connection:
                if held is None:
                    published = publish_popular(connection, snapshot, rows, config)
                else:
                    published = publish_champion(connection, registry, held, snapshot, rows, config)
                    remember_predictions(connection, shop, name, held.version)
                overview = over_all_shops(connection)
        return dg.MaterializeResult(
            metadata={
                "shop": shop,
                "as of": str(snapshot.as_of),
                "dagster/partition_row_count": published.actors,
                "model": published.model,
                "version": published.version,
                "products recommended": published.products,
                "popular": dg.MetadataValue.md(markdown.table(published.popular)),
                "all shops": dg.MetadataValue.md(markdown.table(overview)),
            },
            data_version=dg.DataVersion(f"{_version(held)}-{snapshot.version}"),
        )

    @dg.asset_check(
        asset=RECOMMENDATIONS,
        name="every_product_can_be_recommended",
        partitions_def=partitions,
        description="Nobody is recommended what is no merchandise, what the shop states no more, or one product twice.",
    )
    def every_product_can_be_recommended(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        from assets.recommender.publishing import faults

        with warehouse.client().connect() as connection:
            found = faults(connection, context.partition_key)
        return dg.AssetCheckResult(
            passed=not any(found.values()), metadata={"shop": context.partition_key, "expected": 0, **found}
        )

    return [interactions, model, champion, recommendations, every_product_can_be_recommended]


def _nothing(shop: str, **more: Any) -> dg.MaterializeResult:
    """What is said of a shop that has no closed day, and so nothing to learn from."""
    return dg.MaterializeResult(
        metadata={"shop": shop, **more, "reason": "the shop has no closed day yet"},
        data_version=dg.DataVersion("no day"),
    )


def _version(version: ModelVersion | None) -> str:
    return "none" if version is None else str(version.version)


def _of_version(version: ModelVersion) -> dict[str, Any]:
    return {"model": version.name, "version": version.version, "trained to": version.tags.get("trained_to", "")}


def _of_training(made: Any) -> dict[str, Any]:
    return {
        "seconds": round(made.seconds, 1),
        "evaluation": dg.MetadataValue.md(made.evaluation.markdown()),
        "compared": dg.MetadataValue.md(markdown.picture(made.evaluation.figure())),
    }
