"""The Dagster layer of search: documents, embeddings, collection and its evaluation, a partition a shop."""

import dagster as dg

from assets import markdown
from assets.columns import columns
from assets.marts.assets import SHOP_READY
from assets.search.config import load_search_config
from resources.dagster_resources import EmbedderResource, VectorsResource, WarehouseResource
from resources.models import SETTINGS, config_hash
from resources.shops import Shop
from resources.vectors.collection import alias_of

DOMAIN = "search"
OWNER = "team:ml"
DOCUMENTS, EMBEDDINGS, COLLECTION, EVALUATION = (
    dg.AssetKey([DOMAIN, name]) for name in ("documents", "embeddings", "collection", "evaluation")
)
LINEAGE = [
    *(dg.AssetKey(["contract", name]) for name in ("dim_product", "dim_category", "fct_order_items", "shop_clock")),
    dg.AssetKey(["marts", "mart_product_sales"]),
]
"""What the documents are read from. Automation looks at `shop_ready` alone."""
EXAMPLES = 5


DOCUMENT_COLUMNS = columns(
    ("shop", "text", "The shop."),
    ("product_id", "text", "The product."),
    ("text", "text", "What is embedded: title, brand, category path, keywords, description."),
    ("text_hash", "text", "A hash of the text, under which its vector is kept."),
    ("payload", "jsonb", "What filters and answers use; what a product does not have is left out."),
    ("hash", "text", "A hash of text and payload."),
)
EMBEDDING_COLUMNS = columns(
    ("embedder", "text", "The model and its weights."),
    ("text_hash", "text", "A hash of the text."),
    ("vector", "bytea", "The unit vector: float32, little-endian."),
    ("made_at", "timestamptz", "When it was made."),
)


def shops_with_text(shops: dict[str, Shop]) -> list[str]:
    """The shops whose products can be searched."""
    return [name for name, shop in shops.items() if shop.has_text]


def build_search_assets(shops: dict[str, Shop]) -> list[dg.AssetsDefinition]:
    """The assets of search, none where no shop has text of its products."""
    names = shops_with_text(shops)
    if not names:
        return []
    partitions = dg.StaticPartitionsDefinition(names)
    same_shop = dg.IdentityPartitionMapping()

    @dg.asset(
        key=DOCUMENTS,
        partitions_def=partitions,
        deps=[dg.AssetDep(SHOP_READY, partition_mapping=same_shop), *LINEAGE],
        group_name=DOMAIN,
        owners=[OWNER],
        kinds={"postgres"},
        description=(
            "One partition is the merchandise of one shop that has a title or a text; one row of "
            "features.product_documents is one product: the text that is embedded, made of what changes slowly (title, "
            "brand, category path, keywords, description), and the payload that filters use (price, countries, sales). "
            "The data version changes with the rows, and with nothing else."
        ),
        metadata={"dagster/table_name": "features.product_documents", "dagster/column_schema": DOCUMENT_COLUMNS},
    )
    def documents(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult:
        from assets.search.documents import ensure_documents, keep, read

        with warehouse.client().connect() as connection:
            ensure_documents(connection)
            snapshot = read(connection, context.partition_key)
            changes = keep(connection, snapshot)
        found = snapshot.documents
        words = [len(one.text.split()) for one in found]
        return dg.MaterializeResult(
            metadata={
                "shop": snapshot.shop,
                "as of": str(snapshot.as_of or "no dates"),
                "dagster/partition_row_count": len(found),
                "new": changes.new,
                "changed": changes.changed,
                "gone": changes.gone,
                "words of a text": round(sum(words) / len(words), 1) if words else 0,
                "examples": dg.MetadataValue.md(
                    markdown.table([{"product": one.product_id, "text": one.text} for one in found[:EXAMPLES]])
                ),
            },
            data_version=dg.DataVersion(snapshot.version),
        )

    @dg.asset(
        key=EMBEDDINGS,
        partitions_def=partitions,
        deps=[DOCUMENTS],
        group_name=DOMAIN,
        owners=[OWNER],
        kinds={"postgres", "onnx"},
        description=(
            "One partition is the vectors of one shop's documents; one row of features.embeddings is the unit vector "
            "of one text by one embedder, made once, whichever product has it. Texts that did not change are not "
            "embedded again."
        ),
        metadata={"dagster/table_name": "features.embeddings", "dagster/column_schema": EMBEDDING_COLUMNS},
    )
    def embeddings(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, embedder: EmbedderResource
    ) -> dg.MaterializeResult:
        import numpy as np

        from assets.search.documents import kept, version_of
        from assets.search.embeddings import embed_missing, vectors_of
        from assets.search.plots import embedding_map

        shop = context.partition_key
        model = embedder.client(load_search_config(shop).embedder)
        with warehouse.client().connect() as connection:
            found = kept(connection, shop)
        made = embed_missing(warehouse.client(), model, found, context.log.info)
        with warehouse.client().connect() as connection:
            vectors = vectors_of(connection, model.identity, found)
        kinds = [(one.payload.get("category") or [None])[0] for one in found]
        drawn = embedding_map(
            np.array([vectors[one.text_hash] for one in found], np.float32).reshape(len(found), model.dimension), kinds
        )
        return dg.MaterializeResult(
            metadata={
                "shop": shop,
                "embedder": model.identity,
                "dimension": model.dimension,
                "dagster/partition_row_count": made.texts,
                "embedded in this run": made.made,
                "texts a second": round(made.made / made.seconds, 1) if made.made else 0,
                "forgotten, of texts that are gone": made.dropped,
                "map": dg.MetadataValue.md(markdown.picture(drawn)),
            },
            data_version=dg.DataVersion(f"{model.identity} {version_of(found)}"),
        )

    @dg.asset(
        key=COLLECTION,
        partitions_def=partitions,
        deps=[EMBEDDINGS, DOCUMENTS],
        group_name=DOMAIN,
        owners=[OWNER],
        kinds={"qdrant"},
        description=(
            "One partition is the Qdrant collection of one shop; one point is one product, with a dense vector of its "
            "text, a sparse one of its words (BM25) and its payload. A new version is written beside the one that is "
            "read, checked (every product there once, the index finds what brute force finds) and switched to at once; "
            "the last two stay."
        ),
    )
    def collection(
        context: dg.AssetExecutionContext,
        warehouse: WarehouseResource,
        embedder: EmbedderResource,
        vectors: VectorsResource,
    ) -> dg.MaterializeResult:
        from assets.search.documents import as_of, kept
        from assets.search.publishing import publish

        shop = context.partition_key
        config = load_search_config(shop)
        client, store = warehouse.client(), vectors.client()
        with client.connect() as connection:
            found, day = kept(connection, shop), as_of(connection, shop)
        manifest, is_new = publish(
            client,
            store,
            shop,
            shops[shop].language,
            found,
            day,
            embedder.client(config.embedder),
            config,
            context.log.info,
        )
        return dg.MaterializeResult(
            metadata={
                "shop": shop,
                "as of": manifest.as_of or "no dates",
                "collection": manifest.name,
                "alias": alias_of(shop),
                "published": is_new,
                "dagster/partition_row_count": manifest.points,
                "recall of the index": manifest.recall,
                "embedder": manifest.embedder,
                "words of": manifest.language,
                "weights": dict(manifest.weights),
                "fields": dict(manifest.fields),
                SETTINGS: config_hash(config),
                "made at": manifest.made_at,
            },
            data_version=dg.DataVersion(str(manifest.version)),
        )

    @dg.asset(
        key=EVALUATION,
        partitions_def=partitions,
        deps=[COLLECTION, DOCUMENTS],
        group_name=DOMAIN,
        owners=[OWNER],
        kinds={"qdrant"},
        description=(
            "One partition is how well one shop's collection answers: judged queries (`queries/<shop>.csv` of the "
            "home, or what the simulator planted) and such as its catalogue gives, by recall, MRR and nDCG, for words "
            "alone, meaning alone and both. The weights of both are chosen on one half of the judged queries, reported "
            "on the other, and used from then on."
        ),
    )
    def evaluation(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, vectors: VectorsResource
    ) -> dg.MaterializeResult:
        from assets.search.assess import assess
        from assets.search.documents import kept
        from assets.search.evaluate import ratio

        shop, client = context.partition_key, warehouse.client()
        with client.connect() as connection:
            found = kept(connection, shop)
        made = assess(client, vectors.client(), vectors.settings, shop, found, load_search_config(shop))
        context.log.info(f"searches by dense:bm25 {ratio(made.evaluation.weights)}")
        return dg.MaterializeResult(
            metadata={
                "shop": shop,
                "collection": made.manifest.name,
                "queries": len(made.queries),
                "weights": dict(made.evaluation.weights),
                "choice": made.evaluation.said,
                "reached": dg.MetadataValue.md(markdown.table(made.evaluation.rows())),
                "tried": dg.MetadataValue.md(markdown.table(made.evaluation.choice_rows())),
                "figures": dg.MetadataValue.md(markdown.picture(made.evaluation.figure())),
            },
            data_version=dg.DataVersion(made.version),
        )

    return [documents, embeddings, collection, evaluation]
