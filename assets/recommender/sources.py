"""Where recommended products come from: popularity, factors (ALS) and neighbours of products, each fitted by itself."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from assets.recommender.config import AlsConfig
from assets.recommender.histories import Histories
from assets.recommender.interactions import DAY, Floats, Interactions, Ints, Longs

if TYPE_CHECKING:
    import scipy.sparse as sp

STEPS = 3
"""How many instants apart two products of one actor are still taken to be visited together."""
TOGETHER_DAYS = 1.0
"""Two visits so many days apart count half as much as two at once."""
EASE_PRODUCTS = 5_000
"""EASE inverts a dense matrix of products x products; beyond this it takes minutes and gigabytes."""
EASE_REGULARIZATION = 500.0
FOLD_BLOCK = 4096
_PADDED = 1 << 21
_SMALL = 20_000


@dataclass(frozen=True)
class Flat:
    """Scored pairs of a row and a product, in no order; no pair twice."""

    row: Ints
    product: Ints
    score: Floats


def popularity(interactions: Interactions, weights: Floats, since: int | None = None) -> Floats:
    """[products] the sum of the weights [n] of a product's rows, of those since an instant (microseconds) if given."""
    if since is not None:
        weights = np.where(interactions.occurred_at >= since, weights, 0)
    return np.bincount(interactions.product, weights, minlength=len(interactions.product_ids)).astype(np.float32)


def fit_als(matrix: sp.csr_matrix, config: AlsConfig, seed: int) -> Floats:
    """Item factors [products, factors] of weighted alternating least squares.

    Y. Hu, Y. Koren, C. Volinsky, Collaborative Filtering for Implicit Feedback Datasets, ICDM 2008: preference 1 with
    confidence 1 + alpha x weight where there is a weight, else 0 with confidence 1. Solved by `implicit`.

    Args:
        matrix: actors x products, weights above zero. The same matrix and seed give the same factors.
    """
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    if not matrix.nnz:
        return np.zeros((matrix.shape[1], config.factors), np.float32)
    confidence = matrix.copy()
    confidence.data = 1 + config.alpha * confidence.data
    # Threads of BLAS beside those of implicit make both slow.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=config.factors,
            regularization=config.regularization,
            alpha=1.0,
            iterations=config.iterations,
            random_state=seed,
            num_threads=_threads(matrix),
        )
        model.fit(confidence, show_progress=False)
    factors: Floats = np.ascontiguousarray(model.item_factors, np.float32)
    return factors


def _threads(matrix: sp.csr_matrix) -> int:
    """One a processor; of a small matrix one alone, for which starting and awaiting others takes longer."""
    return (os.cpu_count() or 1) if matrix.nnz > _SMALL else 1


class Folding:
    """User factors of histories by given item factors: the step of ALS that solves one user, for many at once."""

    def __init__(self, factors: Floats, config: AlsConfig) -> None:
        self.factors, self.config = factors, config
        gram = factors.T.astype(np.float64) @ factors
        gram[np.diag_indices(len(gram))] += config.regularization
        self.gram = gram
        self.inverse = np.linalg.inv(gram)
        self.turned = factors @ self.inverse.astype(np.float32)

    def fold(self, histories: Histories) -> Floats:
        """[rows, factors]; zeros for a row without products. Its products are places in the factors."""
        users = np.zeros((len(histories), self.factors.shape[1]), np.float32)
        sizes = histories.sizes
        small = 32
        for size in np.unique(sizes[(sizes > 0) & (sizes <= small)]):
            rows = np.flatnonzero(sizes == size)
            for low in range(0, len(rows), FOLD_BLOCK):
                users[rows[low : low + FOLD_BLOCK]] = self._few(histories, rows[low : low + FOLD_BLOCK], int(size))
        for row in np.flatnonzero(sizes > small):
            entries = slice(histories.starts[row], histories.starts[row + 1])
            items = self.factors[histories.product[entries]].astype(np.float64)
            extra = self.config.alpha * histories.weight[entries].astype(np.float64)
            users[row] = np.linalg.solve(self.gram + (items.T * extra) @ items, items.T @ (1 + extra))
        return users

    def _few(self, histories: Histories, rows: Longs, size: int) -> Floats:
        """Rows of one small size k: by the identity of Woodbury a system of k x k in place of one of factors."""
        entries = histories.starts[rows][:, None] + np.arange(size)
        products = histories.product[entries]
        extra = self.config.alpha * histories.weight[entries].astype(np.float64)
        turned = self.turned[products]  # [rows, k, f]
        inner = np.einsum("rif,rjf->rij", turned, self.factors[products]).astype(np.float64)
        system = extra[:, :, None] * inner
        system[:, np.arange(size), np.arange(size)] += 1
        share = np.linalg.solve(system, (1 + extra)[:, :, None])[:, :, 0]
        made: Floats = np.einsum("rif,ri->rf", turned, share.astype(np.float32))
        return made


def fit_cosine(matrix: sp.csr_matrix, neighbours: int) -> sp.csr_matrix:
    """Products x products: of each its nearest by the cosine of their columns, without itself (item-kNN).

    B. Sarwar et al., Item-based Collaborative Filtering Recommendation Algorithms, WWW 2001.
    """
    from implicit.nearest_neighbours import all_pairs_knn, normalize

    lengthless = normalize(matrix.T.tocsr()).T.tocsr()
    found = all_pairs_knn(lengthless, neighbours + 1, show_progress=False, num_threads=_threads(matrix)).tocsr()
    return strongest(found, neighbours)


def fit_ease(matrix: sp.csr_matrix) -> Floats:
    """Products x products, dense: how much each product of a history speaks for each other one; zeros on the diagonal.

    H. Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019: a linear model in closed form.

    Raises:
        ValueError: the catalogue is too large.
    """
    products = matrix.shape[1]
    if products > EASE_PRODUCTS:
        raise ValueError(
            f"EASE on {products} products inverts a matrix of {products**2 * 8 / 1e9:.1f} GB: leave it out."
        )
    gram = (matrix.T @ matrix).toarray().astype(np.float64)
    gram[np.diag_indices(products)] += EASE_REGULARIZATION
    inverse = np.linalg.inv(gram)
    linear = -inverse / np.diag(inverse)
    linear[np.diag_indices(products)] = 0
    made: Floats = linear.astype(np.float32)
    return made


def fit_similar(matrix: sp.csr_matrix, neighbours: int) -> sp.csr_matrix:
    """Products x products: of each its nearest, by the positive weights of EASE where the catalogue is small enough for
    it, else by the cosine."""
    import scipy.sparse as sp

    if matrix.shape[1] > EASE_PRODUCTS:
        return fit_cosine(matrix, neighbours)
    return strongest(sp.csr_matrix(fit_ease(matrix.sqrt())), neighbours)


def fit_covisits(interactions: Interactions, weights: Floats, neighbours: int) -> sp.csr_matrix:
    """Products x products: what the same actors touched at the same instant or at one of the next `STEPS`, both ways.

    An instant is a row whose products share a length of 1: a basket of a hundred lines does not outweigh a view. A pair
    counts the product of both weights, halved with every step and with every `TOGETHER_DAYS` between them. A row's
    counts are divided by the root of both products' weights, as the cosine does. No product is its own neighbour.

    Args:
        weights: [n] decayed weights of the rows.
    """
    import scipy.sparse as sp

    count = len(interactions.product_ids)
    if not len(interactions):
        return sp.csr_matrix((count, count), dtype=np.float32)
    begins = np.ones(len(interactions), bool)
    begins[1:] = (np.diff(interactions.actor) != 0) | (np.diff(interactions.occurred_at) != 0)
    group = (np.cumsum(begins) - 1).astype(np.int32)
    actor, at = interactions.actor[begins], interactions.occurred_at[begins]
    rows = sp.csr_matrix((np.sqrt(weights), (group, interactions.product)), shape=(len(actor), count), dtype=np.float32)
    rows.sum_duplicates()
    per_row = np.diff(rows.indptr)
    rows.data /= np.repeat(np.sqrt(per_row), per_row).astype(np.float32)
    together = (rows.T @ rows).tocsr()
    for step in range(1, STEPS + 1):
        same = np.flatnonzero(actor[step:] == actor[:-step])
        share = 0.5**step * np.exp2(-(at[same + step] - at[same]) / (TOGETHER_DAYS * DAY))
        later = rows[same + step]
        later.data *= np.repeat(share, np.diff(later.indptr)).astype(np.float32)
        follows = (rows[same].T @ later).tocsr()
        together = together + follows + follows.T
    together = together.tocsr().astype(np.float32)
    roots = np.sqrt(np.maximum(np.bincount(interactions.product, weights, minlength=count), np.finfo(np.float32).tiny))
    together.data /= (np.repeat(roots, np.diff(together.indptr)) * roots[together.indices]).astype(np.float32)
    return strongest(together, neighbours)


def strongest(matrix: sp.csr_matrix, count: int) -> sp.csr_matrix:
    """Of each row the `count` largest values above zero off the diagonal; among equal ones those that stand first."""
    import scipy.sparse as sp

    row = np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
    keep = (matrix.data > 0) & (matrix.indices != row)
    flat = best_of_rows(
        Flat(row[keep], matrix.indices[keep].astype(np.int32), matrix.data[keep].astype(np.float32)), count
    )
    made = sp.csr_matrix((flat.score, (flat.row, flat.product)), shape=matrix.shape, dtype=np.float32)
    made.sort_indices()
    return made


def best_of_rows(flat: Flat, count: int) -> Flat:
    """Of each row the `count` best, sorted by row, then score; among equal ones the lower product first."""
    if len(flat.row) and np.any(np.diff(flat.row) < 0):
        flat = _taken(flat, np.argsort(flat.row, kind="stable"))
    # Sorting is dear, so what is below a row's count-th score is left out first.
    flat = _taken(flat, np.flatnonzero(flat.score >= _last_of_rows(flat, count)[flat.row]))
    order = np.lexsort((flat.product, -flat.score, flat.row))
    row = flat.row[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    return _taken(flat, order[rank < count])


def _last_of_rows(flat: Flat, count: int) -> Floats:
    """[rows] the `count`-th largest score of each row, -inf of one with fewer; `flat` is sorted by row."""
    sizes = np.bincount(flat.row)
    ends = np.cumsum(sizes)
    last = np.full(len(sizes), -np.inf, np.float32)
    long = np.flatnonzero(sizes > count)
    # Rows of like length together, for they are padded to the longest.
    long = long[np.argsort(sizes[long], kind="stable")]
    low = 0
    while low < len(long):
        high = min(len(long), low + max(1, _PADDED // int(sizes[long[min(low + 255, len(long) - 1)]])), low + 256)
        rows = long[low:high]
        width = int(sizes[rows].max())
        places = (ends - sizes)[rows][:, None] + np.arange(width)
        there = np.arange(width) < sizes[rows][:, None]
        padded = np.where(there, flat.score[np.minimum(places, len(flat.score) - 1)], -np.inf)
        last[rows] = np.partition(padded, width - count, axis=1)[:, width - count]
        low = high
    return last


def _taken(flat: Flat, entries: Longs) -> Flat:
    return Flat(flat.row[entries], flat.product[entries], flat.score[entries])


def lists_of(flat: Flat, rows: int, top: int) -> tuple[Ints, Floats]:
    """The best of each row as lists: products [rows, top], -1 where there are fewer, and scores, -inf there."""
    best = best_of_rows(flat, top)
    rank = np.arange(len(best.row)) - np.searchsorted(best.row, best.row)
    chosen = np.full((rows, top), -1, np.int32)
    scores = np.full((rows, top), -np.inf, np.float32)
    chosen[best.row, rank] = best.product
    scores[best.row, rank] = best.score
    return chosen, scores


def flat_of(matrix: sp.csr_matrix) -> Flat:
    """The stored entries of a sparse matrix."""
    row = np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
    return Flat(row, matrix.indices.astype(np.int32, copy=False), matrix.data.astype(np.float32, copy=False))


def keys_of(row: Ints, product: Ints, products: int) -> npt.NDArray[np.int64]:
    """Numbers that order pairs by row, then product."""
    return row.astype(np.int64) * products + product
