"""The Dagster layer of summaries: the facts of each day and what is written of them, a partition a shop."""

import warnings

import dagster as dg

from assets import markdown
from assets.columns import columns
from assets.marts.assets import SHOP_READY
from assets.summaries.config import load_summaries_config
from resources.dagster_resources import LLMResource, WarehouseResource
from resources.models import SETTINGS
from resources.shops import Shop

DOMAIN = "summaries"
OWNER = "team:ml"
DAILY_FACTS, DAILY_SUMMARY = (dg.AssetKey([DOMAIN, name]) for name in ("daily_facts", "daily_summary"))
LINEAGE = [
    *(dg.AssetKey(["contract", name]) for name in ("fct_order_items", "dim_product", "dim_category", "shop_clock")),
    *(dg.AssetKey(["marts", name]) for name in ("mart_daily_sales", "mart_daily_funnel", "mart_daily_reviews")),
]
"""What the facts are read from. Automation looks at `shop_ready` alone."""

FACT_COLUMNS = columns(
    ("shop", "text", "The shop."),
    ("day", "date", "The day, in the shop's timezone."),
    ("place", "integer", "The order in which people read them."),
    ("fact_id", "text", "What a text writes in braces."),
    ("kind", "text", "count, money, percent, points, rating, difference, product, country or date."),
    ("value", "text", "Changes are signed, shares are fractions, dates are in ISO 8601."),
    ("metric", "text", "The metric that it is of."),
    ("against", "text", "What it compares the day with: day_before, week_before or trend."),
    ("currency", "text", "Of money."),
    ("said", "text", "What it is, in English."),
    ("product_id", "text", "The product, of what is said of one."),
    ("anomaly", "text", "high or low: the value lies outside its seasonal band."),
    ("facts_hash", "text", "A hash of all facts of the day."),
    may_be_null=("metric", "against", "currency", "product_id", "anomaly"),
)
SUMMARY_COLUMNS = columns(
    ("shop", "text", "The shop."),
    ("day", "date", "The day, in the shop's timezone."),
    ("language", "text", "The language in which it is written."),
    ("text", "text", "The text, with the ids of facts in braces."),
    ("rendered", "text", "The text, with the facts."),
    ("entry", "text", "The entry of config/models.yaml that wrote it."),
    ("model", "text", "The model that wrote it."),
    ("asked", "text", "The model that was to write it."),
    ("prompt_version", "text", "A hash of the prompt."),
    ("rules_version", "text", "A hash of the rules by which texts were judged, and of the narrator."),
    ("facts_hash", "text", "A hash of the facts of the day."),
    ("tokens_in", "bigint", "Tokens of all attempts that models read."),
    ("tokens_out", "bigint", "Tokens of all attempts that models wrote."),
    ("cost", "double precision", "Dollars of all attempts; null where no price is known."),
    ("seconds", "double precision", "How long it took."),
    ("attempts", "integer", "Texts that models wrote for it."),
    ("is_grounded", "boolean", "False where no model's text passed, and the narrator's stands in its place."),
    ("faults", "text[]", "What was wrong with the refused texts."),
    ("failure", "text", "Why no model answered."),
    ("run_id", "text", "The run that wrote it."),
    ("written_at", "timestamptz", "When it was written."),
    may_be_null=("cost", "failure", "run_id"),
)


def shops_with_days(shops: dict[str, Shop]) -> list[str]:
    """The shops of which something is dated, and so can be summarised by the day."""
    return [name for name, shop in shops.items() if shop.has_days]


def build_summaries_assets(shops: dict[str, Shop]) -> list[dg.AssetsDefinition | dg.AssetChecksDefinition]:
    """The assets of summaries, none where no shop has orders, events or reviews."""
    names = shops_with_days(shops)
    if not names:
        return []
    partitions = dg.StaticPartitionsDefinition(names)
    same_shop = dg.IdentityPartitionMapping()
    # Without partitions on the check itself one shop's pass would clear another's failure. They are a preview.
    warnings.filterwarnings("ignore", "Specifying a partitions_def on an AssetCheckSpec", dg.PreviewWarning)

    @dg.asset(
        key=DAILY_FACTS,
        partitions_def=partitions,
        deps=[dg.AssetDep(SHOP_READY, partition_mapping=same_shop), *LINEAGE],
        group_name=DOMAIN,
        owners=[OWNER],
        kinds={"postgres"},
        description=(
            "One partition is the last closed days of one shop; one row of features.daily_facts is one fact of one "
            "day: orders, revenue, customers, visits, reviews and their changes against the day before, the same "
            "weekday a week before and what was to be expected; products that moved most; what lies outside its "
            "seasonal band. No fact is of a person. The data version changes with the facts, and with nothing else."
        ),
        metadata={"dagster/table_name": "features.daily_facts", "dagster/column_schema": FACT_COLUMNS},
    )
    def daily_facts(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult:
        from assets.summaries.facts import closed_days, read, version_of
        from assets.summaries.plots import days_and_band
        from assets.summaries.store import ensure_facts, keep_facts

        shop = shops[context.partition_key]
        config = load_summaries_config(shop.name)
        with warehouse.client().connect() as connection:
            ensure_facts(connection)
            span = closed_days(connection, shop.name, config.days)
            if span is None:
                return _nothing(shop.name)
            snapshot = read(connection, shop, *span)
            changes = keep_facts(connection, snapshot)
        odd = [
            {"day": one.day, "what": fact.said, "is": fact.anomaly, "value": fact.value}
            for one in snapshot.days
            for fact in one.facts.values()
            if fact.anomaly is not None
        ]
        return dg.MaterializeResult(
            metadata={
                "shop": shop.name,
                "as of": str(snapshot.last),
                "dagster/partition_row_count": sum(len(one.facts) for one in snapshot.days),
                "days": len(snapshot.days),
                "new": changes.new,
                "changed": changes.changed,
                "gone": changes.gone,
                "outside the usual range": dg.MetadataValue.md(markdown.table(odd)),
                "main metric": dg.MetadataValue.md(markdown.picture(days_and_band(snapshot))),
            },
            data_version=dg.DataVersion(version_of(snapshot.days)),
        )

    @dg.asset(
        key=DAILY_SUMMARY,
        partitions_def=partitions,
        deps=[DAILY_FACTS],
        group_name=DOMAIN,
        owners=[OWNER],
        kinds={"postgres", "llm"},
        description=(
            "One partition is the summaries of one shop's last closed days; one row of serving.daily_summaries is one "
            "day's. A language model writes the text with the ids of facts, code puts in figures, names and dates, and "
            "a text is published only where the checker finds nothing in it that the facts do not say: else the "
            "narrator's stands in its place. Written are the days that miss one and those whose facts, prompt, model "
            "or rules changed."
        ),
        metadata={"dagster/table_name": "serving.daily_summaries", "dagster/column_schema": SUMMARY_COLUMNS},
    )
    def daily_summary(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, llm: LLMResource
    ) -> dg.MaterializeResult:
        from assets.summaries.filling import fill, settings_hash
        from assets.summaries.formatting import formatted
        from assets.summaries.narration import note
        from assets.summaries.store import over_all_shops, summaries, version_of
        from resources.llm.narrator import MODEL

        shop, client, models = shops[context.partition_key], warehouse.client(), llm.client()
        settings = settings_hash(models, shop)
        config = load_summaries_config(shop.name, models.watched.models_file)
        filled = fill(client, models, shop, config, context.log.info, run_id=context.run.run_id)
        if not filled.days:
            return _nothing(shop.name)
        with client.connect() as connection:
            stored = summaries(connection, shop.name, filled.days[0].day, filled.days[-1].day, len(filled.days))
            overview = over_all_shops(connection)
        last, facts = stored[0], filled.days[-1]
        for one in filled.written:
            if one.failure is not None:
                context.log.warning(f"{one.facts.day}: no model answered, the narrator wrote: {one.failure}")
            for text in one.refused:
                context.log.warning(f"{one.facts.day}: refused what {text.model} wrote: {'; '.join(text.said)}")
        asked = [one for one in filled.written if not one.is_cached]
        costs = [one.cost for one in asked if one.cost is not None]
        by = note(shop.language) if last.model == MODEL else f"Written by {last.model}."
        rows = [
            {
                "fact": f"`{fact.id}`",
                "value": formatted(fact, last.language),
                "direction": {1: "up", -1: "down", 0: "unchanged"}[fact.sign] if fact.is_change else fact.anomaly,
                "what it is": fact.said,
            }
            for fact in facts.facts.values()
        ]
        return dg.MaterializeResult(
            metadata={
                "shop": shop.name,
                "as of": str(facts.day),
                "dagster/partition_row_count": len(stored),
                "last day": dg.MetadataValue.md(f"{last.rendered}\n\n*{by}*"),
                "its facts": dg.MetadataValue.md(markdown.table(rows)),
                "written in this run": len(filled.written),
                "taken from the cache": len(filled.written) - len(asked),
                "seconds": round(filled.seconds, 2),
                "grounded": round(sum(one.is_grounded for one in stored) / len(stored), 3),
                "tokens": sum(one.tokens_in + one.tokens_out for one in asked),
                "cost in dollars": round(sum(costs), 4) if costs else "not known",
                "refused texts": sum(len(one.refused) for one in filled.written),
                "days without an answer": sum(one.failure is not None for one in filled.written),
                "model": last.model,
                "prompt version": last.prompt_version,
                "rules version": last.rules_version,
                "facts hash": last.facts_hash,
                SETTINGS: settings,
                "all shops": dg.MetadataValue.md(markdown.table(overview)),
            },
            data_version=dg.DataVersion(version_of(stored)),
        )

    @dg.asset_check(
        asset=DAILY_SUMMARY,
        name="every_day_has_a_summary_of_its_facts",
        partitions_def=partitions,
        description="Each day of which there are facts has a summary, and it was written of these facts.",
    )
    def every_day_has_a_summary_of_its_facts(
        context: dg.AssetCheckExecutionContext, warehouse: WarehouseResource
    ) -> dg.AssetCheckResult:
        from assets.summaries.facts import closed_days
        from assets.summaries.store import unsummarised

        shop = context.partition_key
        with warehouse.client().connect() as connection:
            span = closed_days(connection, shop, load_summaries_config(shop).days)
            missing = [] if span is None else unsummarised(connection, shop, *span)
        return dg.AssetCheckResult(
            passed=not missing, metadata={"shop": shop, "days without one": ", ".join(map(str, missing)) or "none"}
        )

    return [daily_facts, daily_summary, every_day_has_a_summary_of_its_facts]


def _nothing(shop: str) -> dg.MaterializeResult:
    """What is said of a shop that has no closed day, and so nothing to tell of."""
    return dg.MaterializeResult(
        metadata={"shop": shop, "dagster/partition_row_count": 0, "reason": "the shop has no closed day yet"},
        data_version=dg.DataVersion("no day"),
    )
