"""Readers: `query_points`, `scroll` and `count` in the types of `qdrant_client.models`, the same for both engines."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

from resources.vectors.checks import check_filter, check_id, check_order, check_page, check_query
from resources.vectors.collection import CollectionError, Manifest
from resources.vectors.translate import QueryError, Translator, filter_of, ids_of, order_by, params, without

if TYPE_CHECKING:
    import qdrant_edge
    from qdrant_client import QdrantClient, models
    from qdrant_client.http.models import QueryResponse


IDS = "have ids that point_id() makes from products; give that of one that is there"


class Reader(ABC):
    """A published version of a shop's collection, asked as one of `QdrantClient`, less the name of the collection.

    `using` is `dense` or `bm25`. A query may be a vector, a SparseVector, the id of a point (its neighbours, without
    itself) or one of the queries of `qdrant_client.models`.
    """

    manifest: Manifest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def query_points(
        self,
        query: Any = None,
        using: str | None = None,
        prefetch: Any = None,
        query_filter: models.Filter | None = None,
        search_params: models.SearchParams | None = None,
        limit: int = 10,
        offset: int | None = None,
        with_payload: bool | Sequence[str] = True,
        with_vectors: bool | Sequence[str] = False,
        score_threshold: float | None = None,
    ) -> QueryResponse:
        """The points that fit a query best.

        Raises:
            QueryError: the query names a field, vector or point that is not there, or cannot be read.
            CollectionError: the reader was closed, or no server answers.
        """
        check_page(limit, offset)
        check_query(self.manifest, query, using, prefetch, query_filter)
        return self._query_points(
            query=query,
            using=using,
            prefetch=prefetch,
            query_filter=query_filter,
            search_params=search_params,
            limit=limit,
            offset=offset,
            with_payload=with_payload,
            with_vectors=with_vectors,
            score_threshold=score_threshold,
        )

    def scroll(
        self,
        scroll_filter: models.Filter | None = None,
        limit: int = 10,
        order_by: Any = None,
        offset: Any = None,
        with_payload: bool | Sequence[str] = True,
        with_vectors: bool | Sequence[str] = False,
    ) -> tuple[list[models.Record], Any]:
        """Points page by page, in the order of their ids or of a field, and where the next page begins.

        Raises:
            QueryError: a value cannot be meant.
            CollectionError: the reader was closed, or no server answers.
        """
        check_filter(self.manifest, scroll_filter)
        check_page(limit)
        if offset is not None:
            check_id(self.manifest, offset)
        if order_by is not None:
            check_order(self.manifest, order_by)
            if offset is not None:
                raise QueryError("points in the order of a field have no offset; go on with OrderBy(start_from=...)")
        return self._scroll(
            scroll_filter=scroll_filter,
            limit=limit,
            order_by=order_by,
            offset=offset,
            with_payload=with_payload,
            with_vectors=with_vectors,
        )

    def count(self, count_filter: models.Filter | None = None, exact: bool = True) -> models.CountResult:
        """How many points fit a filter.

        Raises:
            QueryError: a condition cannot be fulfilled as it was meant.
            CollectionError: the reader was closed, or no server answers.
        """
        check_filter(self.manifest, count_filter)
        return self._count(count_filter=count_filter, exact=exact)

    @abstractmethod
    def close(self) -> None:
        """Let go of the version, so that it may be removed."""

    # What an engine answers to what was checked; `asked` has each parameter of the public method.

    @abstractmethod
    def _query_points(self, **asked: Any) -> QueryResponse: ...

    @abstractmethod
    def _scroll(self, **asked: Any) -> tuple[list[models.Record], Any]: ...

    @abstractmethod
    def _count(self, **asked: Any) -> models.CountResult: ...


class EdgeReader(Reader):
    """A version in a folder, asked in this process; it holds the version until it is closed."""

    def __init__(self, manifest: Manifest, shard: qdrant_edge.EdgeShard, held: contextlib.ExitStack) -> None:
        self.manifest, self._shard, self._held, self._is_closed = manifest, shard, held, False
        self._translator = Translator(self._vector_of)

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._shard.close()
            self._held.close()

    def _query_points(self, **asked: Any) -> QueryResponse:
        import qdrant_edge as edge
        from qdrant_client import models
        from qdrant_client.http.models import QueryResponse

        query = asked["query"]
        with self._asked():
            found = self._shard.query(
                edge.QueryRequest(
                    limit=asked["limit"],
                    offset=asked["offset"],
                    query=self._translator.query(query, asked["using"]),
                    prefetches=self._translator.prefetch(asked["prefetch"]),
                    filter=without(filter_of(asked["query_filter"]), ids_of(query)),
                    params=params(asked["search_params"]),
                    score_threshold=asked["score_threshold"],
                    with_payload=_payload(asked["with_payload"]),
                    with_vector=_vectors(asked["with_vectors"]),
                )
            )
        return QueryResponse(
            points=[
                models.ScoredPoint(
                    id=str(point.id),
                    version=point.version,
                    score=point.score,
                    payload=point.payload if asked["with_payload"] else None,
                    vector=_vector(point.vector),
                    order_value=point.order_value,
                )
                for point in found
            ]
        )

    def _scroll(self, **asked: Any) -> tuple[list[models.Record], Any]:
        import qdrant_edge as edge
        from qdrant_client import models

        with self._asked():
            found, following = self._shard.scroll(
                edge.ScrollRequest(
                    offset=asked["offset"],
                    limit=asked["limit"],
                    filter=filter_of(asked["scroll_filter"]),
                    with_payload=_payload(asked["with_payload"]),
                    with_vector=_vectors(asked["with_vectors"]),
                    order_by=None if asked["order_by"] is None else order_by(asked["order_by"]),
                )
            )
        records = [
            models.Record(
                id=str(point.id),
                payload=point.payload if asked["with_payload"] else None,
                vector=_vector(point.vector),
                order_value=point.order_value,
            )
            for point in found
        ]
        return records, None if following is None else str(following)

    def _count(self, **asked: Any) -> models.CountResult:
        import qdrant_edge as edge
        from qdrant_client import models

        with self._asked():
            found = self._shard.count(edge.CountRequest(exact=asked["exact"], filter=filter_of(asked["count_filter"])))
        return models.CountResult(count=found)

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        """
        Raises:
            CollectionError: the reader was closed.
            QueryError: the engine refuses what was asked.
        """
        if self._is_closed:
            raise CollectionError(f"{self.manifest.name}: this reader was closed. Remedy: open another with connect()")
        try:
            yield
        except Exception as error:
            if type(error) is not Exception:  # the engine raises just this
                raise
            raise QueryError(f"{self.manifest.name}: the engine refuses this query: {error}") from error

    def _vector_of(self, id: Any, using: str | None) -> Any:
        found = self._shard.retrieve([id], with_payload=False, with_vector=True)
        if not found:
            raise QueryError(f"{self.manifest.name} has no point {id!r}. Points of {self.manifest.name} {IDS}")
        vectors: Any = found[0].vector
        return vectors[using]


def _payload(given: Any) -> Any:
    import qdrant_edge as edge
    from qdrant_client import models

    if isinstance(given, models.PayloadSelectorInclude):
        return edge.PayloadSelector.Include(list(given.include))
    if isinstance(given, models.PayloadSelectorExclude):
        return edge.PayloadSelector.Exclude(list(given.exclude))
    return given if isinstance(given, bool) else list(given)


def _vectors(given: Any) -> Any:
    return given if isinstance(given, bool) else list(given)


def _vector(given: Any) -> Any:
    """Vectors of a point as the client gives them."""
    from qdrant_client import models

    if not isinstance(given, dict):
        return given
    return {
        name: models.SparseVector(indices=list(value.indices), values=list(value.values))
        if hasattr(value, "indices")
        else value
        for name, value in given.items()
    }


class ServerReader(Reader):
    """A version on a server. Once it was removed, for two newer ones were published, the newest takes its place."""

    def __init__(self, client: QdrantClient, newest: Callable[[], Manifest]) -> None:
        """
        Args:
            newest: the manifest of the published version.
        """
        self._client, self._newest = client, newest
        self.manifest = newest()

    def close(self) -> None:
        """Nothing is held: the client is its store's, and other readers ask it too."""

    def _query_points(self, **asked: Any) -> QueryResponse:
        found: QueryResponse = self._ask("query_points", **asked)
        return found

    def _scroll(self, **asked: Any) -> tuple[list[models.Record], Any]:
        records, following = self._ask("scroll", **asked)
        return records, following

    def _count(self, **asked: Any) -> models.CountResult:
        found: models.CountResult = self._ask("count", **asked)
        return found

    def _ask(self, call: str, **values: Any) -> Any:
        """
        Raises:
            CollectionError: no server answers.
            QueryError: the query names a point that is not there, or the server refuses it.
        """
        with answered():
            try:
                return getattr(self._client, call)(self.manifest.name, **values)
            except Exception as error:
                if is_refused(error):
                    raise QueryError(f"{self.manifest.name}: the server refuses this query: {error}") from error
                if not is_missing(error):
                    raise
                if self._client.collection_exists(self.manifest.name):
                    raise QueryError(f"{error}. Points of {self.manifest.name} {IDS}") from error
            self.manifest = self._newest()
            return getattr(self._client, call)(self.manifest.name, **values)


def is_missing(error: Exception) -> bool:
    """Whether a server, or the engine that stands in for it in tests, says that it has no such collection or point."""
    from qdrant_client.http.exceptions import UnexpectedResponse

    if isinstance(error, UnexpectedResponse):
        return error.status_code == 404
    return isinstance(error, ValueError) and "not found" in str(error)


def is_refused(error: Exception) -> bool:
    """Whether a server says that it cannot read what was asked."""
    from qdrant_client.http.exceptions import UnexpectedResponse

    return isinstance(error, UnexpectedResponse) and error.status_code in (400, 422)


@contextlib.contextmanager
def answered() -> Iterator[None]:
    """Around what is asked of a server.

    Raises:
        CollectionError: it is away, or does not know us.
    """
    from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

    try:
        yield
    except ResponseHandlingException as error:
        raise CollectionError(
            f"no Qdrant server answers: {error}. Remedy: start the one that QDRANT_URL names, or unset QDRANT_URL "
            "for the engine in this process"
        ) from error
    except UnexpectedResponse as error:
        if error.status_code not in (401, 403):
            raise
        raise CollectionError(
            f"the Qdrant server refuses us: {error}. Remedy: set QDRANT_API_KEY to a key that may read and write"
        ) from error
