"""One ridge regression per row: the half step that alternating methods share (lessons 5 and 6).

With V fixed, row i of U answers to its observed columns Ωᵢ only:

    uᵢ = argmin ½ Σ_{j∈Ωᵢ} (uᵀvⱼ − xᵢⱼ)² + ½ λᵢ ‖u‖²
    (Gᵢ + λᵢ I) uᵢ = tᵢ            normal equations, k×k

    Gᵢ = Σ_{j∈Ωᵢ} vⱼ vⱼᵀ           Gram matrix
    tᵢ = Σ_{j∈Ωᵢ} xᵢⱼ vⱼ           target

All Gram matrices are one product: row i of M (V⊗V), where M is the mask (1 where an entry is
observed) and row j of V⊗V holds the products of pairs of entries of vⱼ. The rows are independent;
together they cost O(|Ω| k² + m k³) operations.

References
----------
Y. Zhou, D. Wilkinson, R. Schreiber and R. Pan, Large-scale parallel collaborative filtering for the
Netflix prize, AAIM, 2008.
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from mflib import _validation as check
from mflib._compiled import compiled
from mflib.iteration import MEMORY, blocks_of_rows
from mflib.nmf import coordinate_sweep

LOST = 30  # times eps and √(1 + n/100): below it an eigenvalue of a sum of n products is rounding


@compiled
def eliminate_rows(data, indices, starts, V, strengths, U):
    """Solve the normal equations of one row after the other, and write to U.

    `data`, `indices` and `starts` are those of a CSR array: the values of row i, and their columns,
    stand from `starts[i]` to `starts[i + 1]`. A row of U whose λ is lost in rounding stays.
    """
    lost = V.shape[1] * np.finfo(V.dtype).eps
    for i in range(len(U)):
        row = slice(starts[i], starts[i + 1])
        seen = V[indices[row]]
        gram, target = np.dot(seen.T, seen), np.dot(data[row], seen)
        if strengths[i] > lost * np.trace(gram):
            for f in range(len(gram)):
                gram[f, f] += strengths[i]
            solve_by_elimination(gram, target)
            for f in range(len(target)):  # `U[i] = target` takes twice as long to compile
                U[i, f] = target[f]


@compiled
def solve_by_elimination(G, u):
    """Return the solution of G u = t, in place of t. G is symmetric and positive definite.

    Such a matrix needs no exchange of rows, and half of it is enough: what remains after each
    elimination is symmetric again. Up to k = 50 this is faster than calling LAPACK.
    """
    k = len(u)
    for f in range(k):
        for g in range(f + 1, k):
            ratio = G[f, g] / G[f, f]
            u[g] -= ratio * u[f]
            for h in range(g, k):
                G[g, h] -= ratio * G[f, h]
    for f in range(k - 1, -1, -1):
        for g in range(f + 1, k):
            u[f] -= G[f, g] * u[g]
        u[f] /= G[f, f]
    return u


def ridge_rows(
    values: sparse.csr_array, mask: sparse.csr_array, V: np.ndarray, regularization: ArrayLike
) -> np.ndarray:
    """Solve the ridge regressions of all rows, many at a time.

    Parameters
    ----------
    values, mask : (m, n) sparse arrays in CSR format
        The observed entries, and 1 in the same places.
    V : (n, k) array
    regularization : float or (m,) array
        λ of each row, at least 0. Where it is 0, or lost in rounding, the least-squares solution of
        smallest length is taken, so that rows with fewer than k entries have one too. A row without
        entries gives zeros.

    Returns
    -------
    (m, k) array
        It is NaN where Gᵢ overflows.

    Examples
    --------
    >>> X = sparse.csr_array([[2.0, 4.0], [0.0, 3.0]])
    >>> ridge_rows(X, X.astype(bool), np.array([[1.0], [2.0]]), 0.0)
    array([[2. ],
           [1.5]])
    """
    blocks = normal_equations(values, mask, V, regularization)
    found = [solve_rows(G, t, s, np.diff(mask.indptr)[rows]) for rows, G, t, s in blocks]
    return np.concatenate(found)


def ridge_rows_one_by_one(values, mask, V, regularization):
    """Return what `ridge_rows` does with the λ of each row, by compiled elimination."""
    U = np.full((len(regularization), V.shape[1]), np.nan, V.dtype)
    eliminate_rows(values.data, values.indices, values.indptr, V, regularization, U)
    left = np.isnan(U).any(axis=1)
    if left.any():
        U[left] = ridge_rows(values[left], mask[left], V, regularization[left])
    return U


def ridge_rows_non_negative(
    values: sparse.csr_array,
    mask: sparse.csr_array,
    V: np.ndarray,
    regularization: ArrayLike,
    start: np.ndarray,
    n_free: int = 0,
) -> np.ndarray:
    """Solve the ridge regressions of all rows under U ≥ 0, by coordinate descent.

    The result is never worse than the start.

    Parameters
    ----------
    values, mask, V, regularization : as for `ridge_rows`
    start : (m, k) array
    n_free : int
        The last so many columns of U may be negative.

    Returns
    -------
    (m, k) array

    Examples
    --------
    >>> X = sparse.csr_array([[2.0, -1.0]])
    >>> ridge_rows_non_negative(X, X.astype(bool), np.eye(2), 0.0, np.ones((1, 2)))
    array([[2., 0.]])
    """
    lower = np.repeat([0.0, -np.inf], [start.shape[1] - n_free, n_free])
    blocks = normal_equations(values, mask, V, regularization)
    found = [minimise_rows(G, t, start[rows], lower=lower) for rows, G, t, _ in blocks]
    return np.concatenate(found)


def normal_equations(values, mask, V, regularization):
    """Yield slices of rows with their Gᵢ + λᵢ I, tᵢ and λᵢ, as many at a time as fit in memory."""
    V = np.atleast_1d(check.floats(V, "V"))
    if not (sparse.issparse(values) and sparse.issparse(mask) and values.shape == mask.shape):
        raise ValueError("values and mask are not two sparse arrays of one shape")
    check.floats(values.data, "values")
    strengths = check.floats(regularization, "regularization").astype(V.dtype)
    check.need(strengths.min() >= 0, f"regularization is {strengths.min()}", "at least 0")
    strengths = np.broadcast_to(strengths, mask.shape[:1])
    for rows in blocks_of_rows(len(strengths), V.shape[-1] ** 2, MEMORY):
        whole = rows == slice(0, len(strengths))  # a slice is a copy
        part, places = (values, mask) if whole else (values[rows], mask[rows])
        grams = gram_matrices(places, V)
        np.einsum("ijj->ij", grams)[...] += strengths[rows, None]  # a view of the diagonals
        yield rows, grams, part @ V, strengths[rows]


def gram_matrices(mask: np.ndarray | sparse.csr_array, V: np.ndarray) -> np.ndarray:
    """Return Gᵢ = Σ_{j∈Ωᵢ} vⱼ vⱼᵀ of every row of the mask.

    Parameters
    ----------
    mask : (m, n) array of bool, or sparse array with 1 where an entry is observed
    V : (n, k) array

    Returns
    -------
    (m, k, k) array, or one (k, k) array for all rows if a dense mask is True everywhere

    Examples
    --------
    >>> gram_matrices(np.array([[True, False], [True, True]]), np.array([[1.0], [2.0]])).ravel()
    array([1., 5.])
    """
    if mask.ndim != 2 or V.shape[:-1] != mask.shape[1:]:
        raise ValueError(f"V has shape {V.shape}, which does not fit a mask of shape {mask.shape}")
    if isinstance(mask, np.ndarray):
        if mask.all():
            return V.T @ V
        mask = mask.astype(V.dtype)
    first, second, place = _one_of_each_two(V.shape[1])
    sums = 0
    for columns in blocks_of_rows(len(V), first.size, MEMORY):
        part = mask if columns == slice(0, len(V)) else mask[:, columns]
        sums = sums + part @ (V[columns, first] * V[columns, second])
    return np.take(sums, place, axis=1)


@cache
def _one_of_each_two(k):
    """Return the places (first, second) of one triangle of a symmetric matrix, and the way back."""
    first, second = np.triu_indices(k)
    place = np.empty((k, k), dtype=np.intp)
    place[first, second] = place[second, first] = np.arange(first.size)
    return first, second, place


def solve_rows(
    grams: np.ndarray, targets: np.ndarray, strengths: ArrayLike = 0.0, counts: ArrayLike = 1e5
) -> np.ndarray:
    """Return the uᵢ with Gᵢ uᵢ = tᵢ; where Gᵢ is singular, the smallest that comes closest.

    Parameters
    ----------
    grams : (m, k, k) array, or (k, k) for one that all rows share
        Gᵢ (λᵢI included, unlike in the head). Symmetric, no eigenvalue negative.
    targets : (m, k) array
    strengths : float or (m,) array
        What the smallest eigenvalue of Gᵢ cannot be below: the λᵢ that it contains. Where that is
        0, or lost in rounding, the system may be singular. One for one shared Gram matrix.
    counts : float or (m,) array
        Of how many products each Gᵢ is a sum: the more, the larger an eigenvalue that is rounding.

    Returns
    -------
    (m, k) array
        It is NaN where Gᵢ or tᵢ is not finite.

    Examples
    --------
    >>> solve_rows(np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([[4.0, 0.0]]))
    array([[2., 0.]])
    """
    k, eps = targets.shape[1], np.finfo(targets.dtype).eps
    grams = grams.reshape(-1, k, k)  # of each row, or one for all: then these are one system
    columns = targets.reshape(len(grams), -1, k).swapaxes(1, 2)
    sizes = np.trace(grams, axis1=1, axis2=2)  # at least the largest eigenvalue
    regular = strengths > k * eps * sizes
    if regular.all():
        solutions = np.linalg.solve(grams, columns)
    else:
        solutions = np.full_like(columns, np.nan)
        solutions[regular] = np.linalg.solve(grams[regular], columns[regular])
        singular = ~regular & np.isfinite(sizes)
        lost = LOST * eps * np.sqrt(1 + np.broadcast_to(counts, singular.shape)[singular] / 100)
        inverses = np.linalg.pinv(grams[singular], lost, hermitian=True)
        solutions[singular] = inverses @ columns[singular]
    return solutions.swapaxes(1, 2).reshape(targets.shape)


def minimise_rows(
    grams: np.ndarray, targets: np.ndarray, start: np.ndarray, *, max_iter: int = 1000, **options
) -> np.ndarray:
    """Return rows that minimise ½ uᵀGᵢu − tᵢᵀu + l1 Σ|u|, by coordinate descent.

    Every sweep sets each entry in turn to its minimum with the others fixed, so no sweep makes a
    row worse. The last one is that which moves no entry by more than rounding.

    Parameters
    ----------
    grams, targets : as for `solve_rows`
    start : (m, k) array
        Of real numbers; it stays as it is.
    max_iter : int
        Largest number of sweeps.
    l1, lower : as for `coordinate_sweep`
        By default no penalty, and u ≥ 0.

    Returns
    -------
    (m, k) array

    Examples
    --------
    >>> minimise_rows(np.eye(2), np.array([[2.0, -1.0]]), np.ones((1, 2)))
    array([[2., 0.]])
    """
    small_change, rows = max(1e-9, 10 * np.finfo(targets.dtype).eps), start.copy()
    for _ in range(max_iter):
        before = rows.copy()
        coordinate_sweep(grams, targets, rows, **options)
        # written so that it stops at NaN, which would stay
        if not np.abs(rows - before).max() > small_change * np.abs(before).max():
            break
    return rows
