"""Alternating least squares: with V fixed, every row of U is a ridge regression (lesson 5).

With V fixed, J splits into one small problem per row i, over its observed columns Ωᵢ only:

    uᵢ = argmin ½ Σ_{j∈Ωᵢ} (uᵀvⱼ − xᵢⱼ)² + ½ λᵢ ‖u‖²
    (Gᵢ + λᵢ I) uᵢ = Σ_{j∈Ωᵢ} xᵢⱼ vⱼ        normal equations, k×k, Gᵢ = Σ_{j∈Ωᵢ} vⱼ vⱼᵀ

All Gram matrices Gᵢ are one sparse product: row i of M (V⊗V), where M is the mask (1 where an entry
is observed) and row j of V⊗V holds the products of pairs of entries of vⱼ. The half step for V is
the same with everything transposed. No half step increases J (theorem: each is an exact minimum).

Cost of a half step: O(|Ω| k² + m k³) operations; the rows are independent.

Biases are two more columns of the factors, one of them fixed at 1: [uᵢ, bᵢ, 1]ᵀ[vⱼ, 1, cⱼ].

References
----------
Y. Zhou, D. Wilkinson, R. Schreiber and R. Pan, Large-scale parallel collaborative filtering for the
Netflix prize, AAIM, 2008.
"""

from collections.abc import Iterator
from itertools import count

import numpy as np
from scipy import sparse

from mflib.completion.compiled import compiled
from mflib.completion.entries import ObservedEntries
from mflib.completion.model import CompletionStep, Factors, Objective, check_choice, check_start

# Gram matrices are made and solved for blocks of rows and columns of about this many numbers.
_BLOCK = 1 << 22

_MOST_SWEEPS = 1000


def solve_rows(
    values: sparse.csr_array,
    mask: sparse.csr_array,
    V: np.ndarray,
    regularization: float | np.ndarray,
) -> np.ndarray:
    """Solve the ridge regressions of all rows, with V fixed.

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
        Row i minimises ½ Σ_{j∈Ωᵢ} (uᵀvⱼ − xᵢⱼ)² + ½ λᵢ ‖u‖². It is NaN where Gᵢ overflows.

    Examples
    --------
    >>> X = sparse.csr_array([[2.0, 4.0], [0.0, 3.0]])
    >>> solve_rows(X, X.astype(bool), np.array([[1.0], [2.0]]), 0.0)
    array([[2. ],
           [1.5]])
    """
    V = np.asarray(V)
    V = V.astype(np.result_type(V, np.float32), copy=False)  # whole numbers become float64
    U = np.full((mask.shape[0], V.shape[1]), np.nan, dtype=V.dtype)
    for rows, grams, targets, strengths in _normal_equations(values, mask, V, regularization):
        sizes = np.trace(grams, axis1=1, axis2=2)  # at least the largest eigenvalue
        ridge = strengths > V.shape[1] * np.finfo(V.dtype).eps * sizes
        bare = ~ridge & np.isfinite(sizes)
        U[rows][ridge] = np.linalg.solve(grams[ridge], targets[ridge, :, None])[..., 0]
        U[rows][bare] = _smallest_solution(grams[bare], targets[bare])
    return U


def solve_rows_non_negative(
    values: sparse.csr_array,
    mask: sparse.csr_array,
    V: np.ndarray,
    regularization: float | np.ndarray,
    start: np.ndarray,
    n_free: int = 0,
) -> np.ndarray:
    """Solve the ridge regressions of all rows under U ≥ 0, by coordinate descent.

    It goes through the columns of U, setting each to its minimum with the others fixed, until
    nothing moves, or 1,000 times. No move increases J: the result is never worse than the start.

    Parameters
    ----------
    values, mask, V, regularization : as for `solve_rows`
    start : (m, k) array
    n_free : int
        The last so many columns of U may be negative.

    Returns
    -------
    (m, k) array

    Examples
    --------
    >>> X = sparse.csr_array([[2.0, -1.0]])
    >>> solve_rows_non_negative(X, X.astype(bool), np.eye(2), 0.0, np.ones((1, 2)))
    array([[2., 0.]])
    """
    U = start.copy()
    smallest = np.zeros(V.shape[1])
    smallest[len(smallest) - n_free :] = -np.inf
    settled = max(1e-9, 10 * np.finfo(U.dtype).eps)
    for rows, grams, targets, _ in _normal_equations(values, mask, V, regularization):
        for _ in range(_MOST_SWEEPS):
            before = U[rows].copy()
            _sweep(grams, targets, U[rows], smallest)
            if np.abs(U[rows] - before).max() <= settled * np.abs(before).max():
                break
    return U


def _sweep(grams, targets, U, smallest):
    """Set each column of U in turn to its best, in place."""
    for f in range(U.shape[1]):
        curvature = grams[:, f, f]
        slope = np.einsum("ij,ij->i", grams[:, f], U) - targets[:, f]
        newton = U[:, f] - np.divide(slope, curvature, out=U[:, f].copy(), where=curvature > 0)
        U[:, f] = np.maximum(smallest[f], newton)


def _normal_equations(values, mask, V, regularization):
    """Yield slices of rows with their Gᵢ + λᵢ I, their right sides, and λᵢ."""
    m, k = mask.shape[0], V.shape[1]
    strengths = np.broadcast_to(np.asarray(regularization, dtype=V.dtype), (m,))
    if not strengths.min() >= 0:
        raise ValueError(f"regularization is {strengths.min()}; at least 0 is needed")
    height = max(1, _BLOCK // k**2)
    for start in range(0, m, height):
        rows = slice(start, start + height)
        grams = _gram_matrices(mask[rows], V)
        np.einsum("ijj->ij", grams)[...] += strengths[rows, None]
        yield rows, grams, values[rows] @ V, strengths[rows]


def _gram_matrices(mask, V):
    """Return Gᵢ = Σ_{j∈Ωᵢ} vⱼ vⱼᵀ of every row, an array (m, k, k): the sparse product M (V⊗V)."""
    k = V.shape[1]
    first, second = np.triu_indices(k)  # Gᵢ is symmetric: one of each two products will do
    sums, height = 0, max(1, _BLOCK // first.size)
    for start in range(0, len(V), height):
        columns = slice(start, start + height)
        part = mask if height >= len(V) else mask[:, columns]
        sums = sums + part @ (V[columns, first] * V[columns, second])
    place = np.empty((k, k), dtype=np.intp)
    place[first, second] = place[second, first] = np.arange(first.size)
    return np.take(sums, place, axis=1)


def _smallest_solution(grams, targets):
    """Solve by eigenpairs, leaving out directions whose eigenvalue is zero up to rounding."""
    sizes, Q = np.linalg.eigh(grams)
    negligible = sizes[:, -1:] * sizes.shape[1] * np.finfo(sizes.dtype).eps
    coordinates = np.einsum("ifg,if->ig", Q, targets)
    kept = sizes > negligible
    coordinates = np.divide(coordinates, sizes, out=np.zeros_like(sizes), where=kept)
    return np.einsum("ifg,ig->if", Q, coordinates)


@compiled
def solve_rows_one_by_one(data, indices, starts, V, strengths, U):
    """Do as `solve_rows`, row by row by Cholesky's factorization; write to U. All λᵢ > 0.

    `data`, `indices` and `starts` are those of the CSR array of values. Rows without entries give
    zeros.
    """
    k = V.shape[1]
    G = np.empty((k, k), V.dtype)
    for i in range(len(U)):
        u, entries = U[i], slice(starts[i], starts[i + 1])
        seen = V[indices[entries]]
        if len(seen) == 0:
            u[:] = 0
            continue
        np.dot(seen.T, seen, G)
        u[:] = np.dot(data[entries], seen)
        for f in range(k):
            G[f, f] += strengths[i]
        for f in range(k):  # G = RᵀR, R above the diagonal; at once Rᵀ z = u
            pivot = np.sqrt(G[f, f])
            for h in range(f, k):
                G[f, h] /= pivot
            u[f] /= pivot
            for g in range(f + 1, k):
                u[g] -= G[f, g] * u[f]
                for h in range(g, k):
                    G[g, h] -= G[f, g] * G[f, h]
        for f in range(k - 1, -1, -1):  # R u = z
            for g in range(f + 1, k):
                u[f] -= G[f, g] * u[g]
            u[f] /= G[f, f]


def als_steps(
    entries: ObservedEntries,
    start: Factors,
    *,
    regularization: float = 0.1,
    weighting: str = "count",
    non_negative: bool = False,
    solver: str = "numpy",
) -> Iterator[CompletionStep]:
    """Yield the iterates of alternating least squares, for ever.

    Parameters
    ----------
    entries : ObservedEntries
    start : Factors
        As from `initial_factors`; biases are fitted if it has some. Its type, float32 or float64,
        is that of the arithmetic. Of the factors only V matters.
    regularization : float
        λ, at least 0. With 0, rows take their smallest solution where they have many.
    weighting : {"constant", "count"}
        Whether row i is penalised by λ or by λ |Ωᵢ|.
    non_negative : bool
        Whether to keep U and V at least 0 (biases stay free).
    solver : {"numpy", "compiled"}
        "compiled" solves the rows one by one in machine code (where numba is installed; it compiles
        for seconds when it is first used). It needs no constraint, and a λ that is not lost in
        rounding beside ‖vⱼ‖².

    Yields
    ------
    CompletionStep
        `n_iter` counts from 0 (the start). Every later iterate has a new U and then a new V, and an
        `objective` that is no larger.

    Examples
    --------
    >>> entries = ObservedEntries.from_dense([[1, 2], [2, np.nan]])
    >>> start = Factors(np.ones((2, 1)), np.ones((2, 1)))
    >>> steps = als_steps(entries, start, regularization=0.01)
    >>> [round(next(steps).loss, 4) for _ in range(3)]
    [1.0, 0.0801, 0.0193]
    """
    check_choice(solver, ("numpy", "compiled"), "solver")
    check_start(entries, start)
    entries = entries.astype(start.V.dtype)
    objective = Objective(entries, regularization, weighting)
    if solver == "compiled" and (non_negative or regularization == 0):
        raise ValueError("solver='compiled' needs regularization > 0 and non_negative=False")
    kind = "non-negative" if non_negative else solver
    rows = _HalfStep(entries.by_row, objective.strengths(entries.row_counts), kind)
    columns = _HalfStep(entries.by_column, objective.strengths(entries.column_counts), kind)

    def iterate(U, V, mean, b, c):
        for n_iter in count():
            yield CompletionStep(U, V, mean, b, c, n_iter, objective)
            U, b = rows(U, b, V, c, mean)
            V, c = columns(V, c, U, b, mean)

    return iterate(*vars(start).values())


class _HalfStep:
    """The minimum over the rows' factors and biases, with those of the columns fixed."""

    def __init__(self, values, strengths, kind):
        self.values, self.kind = values, kind
        self.strengths = strengths.astype(values.dtype)
        self.mask = _with_data(values, np.ones_like(values.data))

    @np.errstate(over="ignore", invalid="ignore")  # what overflows is not finite in the next step
    def __call__(self, U, b, V, c, mean):
        if b is None:
            return self._solve(self.values, V, U, 0), None
        residuals = _with_data(self.values, self.values.data - mean - c.take(self.values.indices))
        U, V = np.column_stack([U, b]), np.column_stack([V, np.ones_like(c)])
        U = self._solve(residuals, V, U, 1)
        return np.ascontiguousarray(U[:, :-1]), np.ascontiguousarray(U[:, -1])

    def _solve(self, values, V, U, n_free):
        if self.kind == "numpy":
            return solve_rows(values, self.mask, V, self.strengths)
        if self.kind == "non-negative":
            return solve_rows_non_negative(values, self.mask, V, self.strengths, U, n_free)
        V = np.ascontiguousarray(V)
        U = np.empty_like(U)
        solve_rows_one_by_one(values.data, values.indices, values.indptr, V, self.strengths, U)
        return U


def _with_data(X, data):
    """Return a sparse array with the places of X and other values."""
    return sparse.csr_array((data.astype(X.dtype), X.indices, X.indptr), shape=X.shape)
