"""Search: the embedder beside sentence-transformers, a collection beside `QdrantClient(path=…)`, and a small change.

`python -m benchmarks.search` takes about ten minutes; sentence-transformers and PyTorch are installed into an
environment of their own, which `--without-torch` leaves out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import scratch
from resources import minilm
from resources.embedder import Embedder
from resources.settings import get_settings
from resources.vectors.bm25 import Bm25
from resources.vectors.collection import BM25, DENSE, Content, Manifest, Point, point_id
from resources.vectors.folder import FolderStore

THREADS, BATCH, ROUNDS = 2, 16, 5
POINTS, QUERIES = 30_000, 1_000
SLOW_QUERIES = 10
"""Queries to the engine inside `QdrantClient`, of which each takes a second."""
TORCH = ("sentence-transformers==6.2.0", "torch==2.15.0", "numpy<3")
FIELDS = {"product_id": "keyword", "title": "text", "price": "float", "category": "keyword"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without-torch", action="store_true", help="leave out the comparison of embedders")
    parser.add_argument("--points", type=int, default=POINTS, help=f"points of the collection; default {POINTS:,}")
    given = parser.parse_args(arguments)
    with scratch() as folder:
        if not given.without_torch:
            embedders(folder)
        small_change(folder)
        collections(folder, given.points)


def embedders(folder: Path) -> None:
    """Texts a second of both forms and of sentence-transformers, in turns, and how far their vectors are apart."""
    texts = sample(240)
    words = sorted(len(text.split()) for text in texts)
    print(f"{len(texts)} texts of {words[0]} to {words[-1]} words, {words[len(words) // 2]} in the middle")
    theirs = _SentenceTransformers(folder, texts)
    forms: dict[str, Embedder] = {form: Embedder(form=form, threads=THREADS) for form in ("float", "int8")}
    for ours in forms.values():
        ours.embed(texts[:BATCH])
    seconds: dict[str, list[float]] = {"sentence-transformers": [], **{form: [] for form in forms}}
    vectors: dict[str, NDArray[np.float32]] = {}
    for _ in range(ROUNDS):
        seconds["sentence-transformers"].append(theirs.embed())
        for form, ours in forms.items():
            began = time.perf_counter()
            vectors[form] = ours.embed(texts)
            seconds[form].append(time.perf_counter() - began)
    reference = theirs.vectors()
    base = min(seconds["sentence-transformers"])
    print("| embedder | texts a second | times | worst cosine |\n| --- | ---: | ---: | ---: |")
    for name, taken in seconds.items():
        cosine = 1.0 if name not in vectors else float((vectors[name] * reference).sum(axis=1).min())
        print(f"| {name} | {len(texts) / min(taken):.0f} | {base / min(taken):.2f} | {cosine:.5f} |")
    print(f"\nused on this machine: {minilm.prepare(get_settings().models_dir).name}\n")
    theirs.end()


def sample(size: int) -> list[str]:
    """Texts of simulated shops: titles of clothes, and synopses."""
    from assets.search.documents import text_of
    from resources.sample_texts import TEXTS

    made = [text_of(text, [], None, [], None) for text in TEXTS]
    longer = [" ".join(TEXTS[(start + step) % len(TEXTS)] for step in range(3)) for start in range(len(TEXTS) * 2)]
    return list(islice(cycle([*made, *longer]), size))


class _SentenceTransformers:
    """sentence-transformers in a process and an environment of its own."""

    def __init__(self, folder: Path, texts: Sequence[str]) -> None:
        from importlib import resources

        environment = folder / "torch"
        uv = Path(sys.executable).parent / "uv"
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
        python = environment / "bin" / "python"
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *TORCH], check=True, cwd=folder)
        self.file, self.out = folder / "texts.json", folder / "vectors.npy"
        self.file.write_text(json.dumps(list(texts)), encoding="utf-8")
        model = Path(str(resources.files(minilm.PACKAGE))) / "model"
        worker = Path(__file__).with_name("st_embed.py")
        command: list[Any] = [python, worker, model, self.file, self.out, str(THREADS), str(BATCH)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def embed(self) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self._answer())

    def vectors(self) -> NDArray[np.float32]:
        return np.asarray(np.load(self.out), np.float32)

    def end(self) -> None:
        self.process.communicate()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


def small_change(folder: Path, size: int = 3_000) -> None:
    """Embedding a shop's texts, and again where one of a hundred changed, in the warehouse as the asset does it."""
    from assets.search.documents import Document, Snapshot, ensure_documents, keep
    from assets.search.embeddings import embed_missing
    from resources.settings import load_settings
    from resources.warehouse import Warehouse

    warehouse = Warehouse(load_settings(home=folder / "home"))
    embedder = Embedder()
    embedder.embed(["warm"])
    texts = sample(size)
    with warehouse.connect() as connection:
        ensure_documents(connection)
    taken = []
    for changed in (0, size // 100):
        documents = [
            Document(str(number), f"{text} {number}{' new' if number < changed else ''}", {})
            for number, text in enumerate(texts)
        ]
        with warehouse.connect() as connection:
            keep(connection, Snapshot("bench", None, documents, ""))
        taken.append(_seconds(lambda documents=documents: embed_missing(warehouse, embedder, documents, str)))  # type: ignore[misc]
    whole, part = taken
    print(f"{size:,} texts embedded and kept in {whole:.1f} s; with 1 % changed in {part:.2f} s, {part / whole:.1%}\n")


def collections(folder: Path, size: int) -> None:
    """Publishing and filtered hybrid queries, embedded and in `QdrantClient(path=…)`, on the same points."""
    from qdrant_client import QdrantClient, models

    made = _Points(size)
    store = FolderStore(folder / "vectors")
    seconds = _seconds(lambda: store.publish(made.manifest(), made.content(), lambda line: None))
    print(f"published {size:,} points in {seconds:.1f} s")
    changed = size // 100
    seconds = _seconds(lambda: store.publish(made.manifest(changed), made.content(changed), lambda line: None))
    print(f"published again with {changed:,} of them changed in {seconds:.1f} s")
    near = models.Filter(must=[models.FieldCondition(key="price", range=models.Range(lt=300.0))])

    def ask(query_points: Callable[..., Any], number: int) -> Any:
        dense, (indices, values) = made.query(number)
        return query_points(
            query=models.RrfQuery(rrf=models.Rrf(k=60)),
            prefetch=[
                models.Prefetch(query=dense, using=DENSE, limit=50, filter=near),
                models.Prefetch(
                    query=models.SparseVector(indices=list(indices), values=list(values)),
                    using=BM25,
                    limit=50,
                    filter=near,
                ),
            ],
            limit=10,
        )

    with store.reader("bench") as reader:
        ask(reader.query_points, 0)
        ours = [_seconds(lambda number=number: ask(reader.query_points, number)) for number in range(QUERIES)]  # type: ignore[misc]
    embedder = Embedder()
    embedder.embed(["warm"])
    alone = [
        _seconds(lambda number=number: embedder.embed([made.texts[number]]))  # type: ignore[misc]
        for number in range(QUERIES // 5)
    ]
    client = QdrantClient(path=str(folder / "local"))
    client.create_collection(
        "bench",
        vectors_config={DENSE: models.VectorParams(size=made.dimension, distance=models.Distance.COSINE)},
        sparse_vectors_config={BM25: models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )
    points = [
        models.PointStruct(
            id=point_id(point.id),
            vector={
                DENSE: list(point.dense),
                BM25: models.SparseVector(indices=list(point.sparse[0]), values=list(point.sparse[1])),
            },
            payload=dict(point.payload),
        )
        for batch in made.content().read(made.ids)
        for point in batch
    ]
    loading = _seconds(lambda: client.upload_points("bench", points))
    print(f"loaded into QdrantClient(path=…) in {loading:.1f} s\n")
    theirs = [
        _seconds(lambda number=number: ask(lambda **more: client.query_points("bench", **more), number))  # type: ignore[misc]
        for number in range(SLOW_QUERIES)
    ]
    print("| milliseconds | p50 | p99 | queries |\n| --- | ---: | ---: | ---: |")
    for name, taken in (
        ("filtered hybrid query, embedded", ours),
        ("the query's embedding", alone),
        ("filtered hybrid query, QdrantClient(path=…)", theirs),
    ):
        middle, last = np.percentile(taken, [50, 99]) * 1000
        print(f"| {name} | {middle:.2f} | {last:.2f} | {len(taken)} |")
    print(f"\nQdrantClient(path=…) takes {np.median(theirs) / np.median(ours):,.0f} times as long.")


class _Points:
    """Made points: 300 clusters of unit vectors, and texts of words that are as unequally frequent as in a language."""

    dimension = minilm.WIDTH

    def __init__(self, size: int) -> None:
        draw = np.random.default_rng(20260101)
        self.ids = [f"p{number}" for number in range(size)]
        centres = draw.normal(size=(300, self.dimension))
        made = centres[draw.integers(0, 300, size)] + 0.7 * draw.normal(size=(size, self.dimension))
        self.vectors = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
        words = [f"word{number}" for number in range(3000)]
        self.texts = [" ".join(words[number % 3000] for number in draw.zipf(1.3, 12)) for _ in range(size)]
        self.words = Bm25("english", 12.0)
        self.order = draw.permutation(size)

    def manifest(self, changed: int = 0) -> Manifest:
        return Manifest(
            shop="bench",
            version=0,
            embedder="made",
            dimension=self.dimension,
            language="english",
            average_length=12.0,
            fields=FIELDS,  # type: ignore[arg-type]
            as_of="",
            content=str(changed),
        )

    def content(self, changed: int = 0) -> Content:
        def read(products: Sequence[str]) -> Iterator[Sequence[Point]]:
            for start in range(0, len(products), 1000):
                yield [self.point(int(product[1:])) for product in products[start : start + 1000]]

        hashes = {
            product: hashlib.blake2b(f"{product} {number < changed}".encode(), digest_size=8).hexdigest()
            for number, product in enumerate(self.ids)
        }
        return Content(hashes, read)

    def point(self, number: int) -> Point:
        payload = {
            "product_id": self.ids[number],
            "title": self.texts[number],
            "price": float(number % 1000),
            "category": f"c{number % 20}",
        }
        return Point(self.ids[number], self.vectors[number].tolist(), self.words.document(self.texts[number]), payload)

    def query(self, number: int) -> tuple[list[float], tuple[Sequence[int], Sequence[float]]]:
        place = int(self.order[number % len(self.order)])
        return self.vectors[place].tolist(), self.words.query(self.texts[place])


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
