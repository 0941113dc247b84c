"""Collections on a Qdrant server: a collection a version, an alias a shop, and one call that moves the alias."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from resources.failpoints import failpoint
from resources.far import Say
from resources.settings import Settings
from resources.vectors.collection import (
    BM25,
    DENSE,
    KEPT,
    CollectionError,
    Content,
    Manifest,
    alias_of,
    batches,
    check_recall,
    point_id,
    unpublished,
)
from resources.vectors.reader import ServerReader, answered

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

UPLOADED = 500
"""Points in one request."""
INDEXED_FROM = 10_000
"""Kilobytes of vectors in a segment from which on the server builds an index, as is its default."""
WAIT_SECONDS = 3600.0
"""So long may a server take to build the index of a version."""
SAMPLE, NEAREST = 64, 10


def connect_server(settings: Settings) -> QdrantClient:
    from qdrant_client import QdrantClient

    key = settings.qdrant_api_key
    return QdrantClient(
        url=settings.qdrant_url,
        api_key=None if key is None else key.get_secret_value(),
        timeout=30,
        # It would ask the server at once, and warn where that is away; the first call says it better.
        check_compatibility=False,
    )


class ServerStore:
    """The collections of a server, or of the engine of `QdrantClient` that stands in for it in tests."""

    def __init__(self, client: QdrantClient, settings: Settings) -> None:
        self.client, self.settings = client, settings

    @answered()
    def manifest(self, shop: str) -> Manifest | None:
        name = self._published(shop)
        if name is None:
            return None
        metadata = self.client.get_collection(name).config.metadata or {}
        if "manifest" not in metadata:
            raise CollectionError(
                f"{name}: this collection was not published by Cartograph. Remedy: remove the alias {alias_of(shop)} "
                "from the server"
            )
        try:
            return Manifest.from_json(metadata["manifest"])
        except ValueError as error:
            raise CollectionError(
                f"{name}: the metadata of this collection hold no manifest ({error}). Remedy: remove the alias "
                f"{alias_of(shop)} from the server, and publish again"
            ) from error

    def reader(self, shop: str) -> ServerReader:
        def newest() -> Manifest:
            manifest = self.manifest(shop)
            if manifest is None:
                raise unpublished(shop)
            return manifest

        return ServerReader(self.client, newest)

    @answered()
    def publish(self, wanted: Manifest, content: Content, say: Say) -> Manifest:
        shop, last = wanted.shop, self.manifest(wanted.shop)
        # A number is not given twice: a reader may still ask for the one that has it.
        made = wanted.with_(version=1 + max(self._versions(shop).values(), default=0))
        self._clear(shop, last)
        if last is not None and last.is_like(wanted) and last.content == wanted.content:
            return last
        self._create(made)
        failpoint("publish.begun")
        written = 0
        for batch in batches(content, sorted(content.hashes), made.dimension):
            self._upload(made.name, batch)
            written += len(batch)
            if written % 10_000 < len(batch):
                say(f"{written:,} of {len(content.hashes):,} points uploaded")
        failpoint("publish.written")
        self._index(made.name, say)
        failpoint("publish.indexed")
        done = self._checked(made, content)
        failpoint("publish.checked")
        self._describe(done)
        failpoint("publish.sealed")
        self._point(done)
        failpoint("publish.switched")
        for name in sorted(self._versions(shop))[:-KEPT]:
            self.client.delete_collection(name)
            failpoint("publish.removing")
        return done

    @answered()
    def weigh(self, shop: str, weights: Mapping[str, float]) -> None:
        manifest = self.manifest(shop)
        if manifest is None:
            raise unpublished(shop)
        if dict(weights) != dict(manifest.weights):
            self._describe(manifest.with_(weights=dict(weights)))

    def _published(self, shop: str) -> str | None:
        for alias in self.client.get_aliases().aliases:
            if alias.alias_name == alias_of(shop):
                return alias.collection_name
        return None

    def _versions(self, shop: str) -> dict[str, int]:
        prefix = f"{alias_of(shop)}_"
        names = [one.name for one in self.client.get_collections().collections]
        return {
            name: int(name.removeprefix(prefix))
            for name in names
            if name.startswith(prefix) and name.removeprefix(prefix).isdigit()
        }

    def _clear(self, shop: str, last: Manifest | None) -> None:
        """Remove what a publisher that was killed has left: nobody reads it."""
        for name, number in self._versions(shop).items():
            if last is None or number > last.version:
                self.client.delete_collection(name)

    def _create(self, made: Manifest) -> None:
        from qdrant_client import models

        settings = self.settings
        quantized = None
        if settings.qdrant_quantization == "int8":
            quantized = models.ScalarQuantization(
                scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
            )
        self.client.create_collection(
            made.name,
            vectors_config={DENSE: models.VectorParams(size=made.dimension, distance=models.Distance.COSINE)},
            sparse_vectors_config={BM25: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            shard_number=settings.qdrant_shards,
            replication_factor=settings.qdrant_replicas,
            quantization_config=quantized,
            # The index is built once, when all is there.
            optimizers_config=models.OptimizersConfigDiff(indexing_threshold=0),
        )
        if self._is_server:
            for name, kind in made.fields.items():
                self.client.create_payload_index(made.name, name, models.PayloadSchemaType(kind), wait=True)

    @property
    def _is_server(self) -> bool:
        """Not the engine inside the client, which has no indexes, and warns where it is asked for one."""
        from qdrant_client.qdrant_remote import QdrantRemote

        return isinstance(self.client._client, QdrantRemote)

    def _upload(self, name: str, batch: Any) -> None:
        from qdrant_client import models

        points = [
            models.PointStruct(
                id=point_id(point.id),
                vector={
                    DENSE: [float(number) for number in point.dense],
                    BM25: models.SparseVector(
                        indices=[int(n) for n in point.sparse[0]], values=[float(n) for n in point.sparse[1]]
                    ),
                },
                payload=dict(point.payload),
            )
            for point in batch
        ]
        self.client.upload_points(name, points, batch_size=UPLOADED, max_retries=3, wait=True)

    def _index(self, name: str, say: Say) -> None:
        from qdrant_client import models

        self.client.update_collection(
            name, optimizers_config=models.OptimizersConfigDiff(indexing_threshold=INDEXED_FROM)
        )
        end = time.monotonic() + WAIT_SECONDS
        greens = 0
        while greens < 2:  # a server is green for a moment before it begins
            status = self.client.get_collection(name).status
            greens = greens + 1 if status == models.CollectionStatus.GREEN else 0
            if time.monotonic() > end:
                raise CollectionError(f"{name}: the server has not built the index within {WAIT_SECONDS:.0f} s")
            if self._is_server:
                time.sleep(1.0)

    def _checked(self, made: Manifest, content: Content) -> Manifest:
        there, offset = set(), None
        shares = []
        while True:
            records, offset = self.client.scroll(made.name, limit=1000, offset=offset, with_payload=["product_id"])
            there |= {record.payload["product_id"] for record in records if record.payload}
            if offset is None:
                break
        if there != content.hashes.keys():
            raise CollectionError(
                f"{made.name}: {len(there - content.hashes.keys())} points too many and "
                f"{len(content.hashes.keys() - there)} missing on the server. Remedy: publish again"
            )
        from qdrant_client import models

        # The engine that stands in for a server looks at all points in any case, and warns where it is asked to.
        exactly = models.SearchParams(exact=True) if self._is_server else None
        chosen = sorted(there)[:: max(1, len(there) // SAMPLE)]
        for product in chosen:
            found, exact = (
                {
                    point.id
                    for point in self.client.query_points(
                        made.name, point_id(product), using=DENSE, limit=NEAREST, search_params=params
                    ).points
                }
                for params in (None, exactly)
            )
            shares.append(len(found & exact) / len(exact) if exact else 1.0)
        recall = check_recall(made.name, sum(shares) / len(shares) if shares else 1.0)
        return made.with_(points=len(there), recall=recall, made_at=datetime.now(UTC).isoformat(timespec="seconds"))

    def _describe(self, manifest: Manifest) -> None:
        self.client.update_collection(manifest.name, metadata={"manifest": manifest.to_json()})

    def _point(self, manifest: Manifest) -> None:
        from qdrant_client import models

        alias = alias_of(manifest.shop)
        moves: list[Any] = []
        if self._published(manifest.shop) is not None:
            moves.append(models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)))
        moves.append(
            models.CreateAliasOperation(
                create_alias=models.CreateAlias(collection_name=manifest.name, alias_name=alias)
            )
        )
        self.client.update_collection_aliases(change_aliases_operations=moves)
