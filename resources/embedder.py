"""Texts as unit vectors: all-MiniLM-L6-v2, made at set-up and run in this process, or any model of fastembed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from resources import minilm
from resources.settings import Settings, get_settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
BATCH, CHARACTERS = 64, 4000
"""At most so many texts of like length, and with so many characters, are embedded together: more leave the processor's
cache, fewer keep it less busy."""
SORTED = 4096
"""So many texts are sorted by their length at once; it bounds the memory."""
THREADS = 2


class EmbedderError(Exception):
    """A model of embeddings cannot be used; the message names it and the remedy."""


class Embedder:
    """Embeds texts with one model, which is loaded at the first text.

    Args:
        model: a name that fastembed knows. All but the default are fetched from the hub, once.
        form: of the default model, `int8` or `float`; without it, `int8` where this machine gives the same vectors
            with it (a cosine of at least 0.99 to `float`), which takes half the time.
        threads: processors that a batch may use.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        form: minilm.Form | None = None,
        settings: Settings | None = None,
        threads: int = THREADS,
    ) -> None:
        self.model, self.threads, self._form = model, threads, form
        self._settings = settings or get_settings()
        self._lock = threading.Lock()
        self._engine: Any = None

    @classmethod
    def of(cls, identity: str, settings: Settings | None = None) -> Embedder:
        """The embedder that made a collection.

        Raises:
            EmbedderError: this code has other weights under that name.
        """
        made = cls(identity.partition("@")[0], settings=settings)
        if made.identity != identity:
            raise EmbedderError(
                f"the vectors were made by {identity}, and this code has {made.identity}. Remedy: publish anew: "
                "cartograph materialize 'group:search'"
            )
        return made

    @property
    def identity(self) -> str:
        """What the vectors depend on: two embedders with the same identity give comparable vectors.

        Both forms of the default model have the same: their vectors may stand in one collection.
        """
        return f"{self.model}@{minilm.SHA256[:12]}" if self.model == DEFAULT_MODEL else self.model

    @property
    def dimension(self) -> int:
        """The length of a vector.

        Raises:
            EmbedderError: fastembed knows no such model.
        """
        if self.model == DEFAULT_MODEL:
            return minilm.WIDTH
        return int(self._described()["dim"])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The unit vectors of texts, float32 of shape (texts, dimension), in their order.

        A text beyond the model's length (256 tokens for the default) is cut there.

        Raises:
            EmbedderError: the model cannot be loaded.
        """
        import numpy as np

        made = np.empty((len(texts), self.dimension), dtype=np.float32)
        for start in range(0, len(texts), SORTED):
            part = [readable(text) for text in texts[start : start + SORTED]]
            order = sorted(range(len(part)), key=lambda place: len(part[place]))
            for places in _batches(order, [len(text) for text in part]):
                with self._lock:
                    vectors = self._load().embed([part[place] for place in places], batch_size=len(places))
                    made[[start + place for place in places]] = np.stack(list(vectors))
        # Other models of fastembed do not all give unit vectors.
        made /= np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
        return made

    def _load(self) -> Any:
        if self._engine is None:
            self._engine = self._local() if self.model == DEFAULT_MODEL else self._from_hub()
        return self._engine

    def _local(self) -> Any:
        try:
            folder = minilm.prepare(self._settings.models_dir, self._form)
        except minilm.WeightsError as error:
            raise EmbedderError(str(error)) from error
        return minilm.open_engine(folder, self.threads)

    def _from_hub(self) -> Any:
        from fastembed import TextEmbedding

        self._described()
        folder = self._settings.models_dir / "hub"
        values: dict[str, Any] = {"model_name": self.model, "cache_dir": str(folder), "threads": self.threads}
        with contextlib.suppress(ValueError):  # it is not there; a hub that is away would be asked for 39 seconds
            return TextEmbedding(local_files_only=True, **values)
        try:
            return TextEmbedding(**values)
        except Exception as error:
            raise EmbedderError(
                f"the model {self.model} is not in {folder}, and cannot be fetched from the hub: {error}. Remedy: "
                "see to the network or to HF_HUB_OFFLINE, or name another model in config/models.yaml"
            ) from error

    def _described(self) -> dict[str, Any]:
        """What fastembed says of the model."""
        import difflib

        from fastembed import TextEmbedding

        known = {entry["model"].lower(): entry for entry in TextEmbedding.list_supported_models()}
        if self.model.lower() not in known:
            near = difflib.get_close_matches(self.model, [entry["model"] for entry in known.values()], n=1, cutoff=0.4)
            raise EmbedderError(
                f"fastembed knows no model {self.model!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
        return known[self.model.lower()]


def _batches(order: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places in the order of their lengths, in parts that are padded to their longest."""
    part: list[int] = []
    for place in order:
        if part and (len(part) == BATCH or (len(part) + 1) * lengths[place] > CHARACTERS):
            yield part
            part = []
        part.append(place)
    if part:
        yield part


def readable(text: str) -> str:
    """A text without halves of characters, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode("utf-8")
