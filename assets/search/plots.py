"""Figures of a shop's products as the embedder sees them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 8
"""So many kinds have a colour of their own; the others share one."""


def plane(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Vectors in the two directions in which they differ most (principal components), of shape (vectors, 2)."""
    if len(vectors) < 2:
        return np.zeros((len(vectors), 2))
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    # Of the small square matrix, for there may be many vectors.
    _, directions = np.linalg.eigh(centred.T @ centred)
    return np.asarray(centred @ directions[:, :-3:-1])


def embedding_map(vectors: NDArray[np.float32], kinds: Sequence[str | None]) -> Figure:
    """The products in two dimensions, coloured by what kind they are; `kinds` has one entry a vector."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5))
    axes = figure.add_subplot()
    places = plane(vectors)
    common = [kind for kind, _ in Counter(kind for kind in kinds if kind).most_common(SHOWN)]
    of_kind = np.array([common.index(kind) if kind in common else -1 for kind in kinds])
    rest = places[of_kind == -1]
    axes.scatter(rest[:, 0], rest[:, 1], s=4, color="0.8", label="others" if common and len(rest) else None)
    for number, kind in enumerate(common):
        own = places[of_kind == number]
        axes.scatter(own[:, 0], own[:, 1], s=6, color=f"C{number}", label=kind)
    if common:
        axes.legend(frameon=False, fontsize="small", markerscale=2, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"{len(vectors):,} texts in the two directions in which they differ most", fontsize="medium")
    axes.spines[:].set_visible(False)
    return figure
