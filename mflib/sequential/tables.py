"""Tables with gaps, and one half of a factorization when the other is given (lesson 6).

    ½ Σ_Ω (Wₜ H − Xₜ)²          loss, over the observed entries

With the states W fixed every column of H is a ridge regression of lesson 5, and with H fixed every
row of every Wₜ. The states stand below each other as one matrix of n_steps·m rows: all tables share
the basis.
"""

from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from mflib import _validation as check
from mflib.iteration import MEMORY, Problem, blocks_of_rows
from mflib.least_squares import gram_matrices, minimise_rows, solve_rows
from mflib.sequential.preparation import check_sequence

# Rows need not be at their minimum before the next block is looked at.
_SWEEPS = 100


class TableProblem(Problem):
    """What the problems of this lesson have in common: tables (n_steps, m, n), NaN where missing.

    `observed` says where X has an entry, `filled` is X with zeros elsewhere.
    """

    l1, non_negative = 0.0, False

    def __init__(self, X: ArrayLike, regularization: float):
        self.X = check_sequence(X)
        self.regularization = check.non_negative(regularization, "regularization")
        self.observed = ~np.isnan(self.X)
        self.is_complete = bool(self.observed.all())
        self.filled = self.X if self.is_complete else np.where(self.observed, self.X, 0.0)

    def errors(self, W: np.ndarray, H: np.ndarray) -> np.ndarray:
        """Return Wₜ H − Xₜ, and 0 where an entry is missing."""
        E = W @ H - self.filled
        return E if self.is_complete else np.where(self.observed, E, 0.0)

    def entries_per_component(self, k: int) -> float:
        """Return c."""
        return self.X.size / k

    def best_basis(self, W: np.ndarray, H: np.ndarray) -> np.ndarray:
        """Return the best H for these states, a ridge regression for each column, or a better one.

        (A better one than the present H, if the minimum is found by iterations.)
        """
        k, n = H.shape
        rows, c = W.reshape(-1, k), self.entries_per_component(k)
        grams = gram_matrices(self.observed.reshape(-1, n).T, rows)
        targets = self.filled.reshape(-1, n).T @ rows
        return self._solve(grams, targets, self.regularization * c, H.T, self.l1_strengths(k)[1]).T

    def best_rows(self, H: np.ndarray, W: np.ndarray, first: int = 0) -> np.ndarray:
        """Return the best states of the tables from `first` on, for this basis: zeros in a gap.

        (Or better ones than W, if the minimum is found by iterations.)
        """
        k, n = H.shape
        observed, filled = (A[first:].reshape(-1, n) for A in (self.observed, self.filled))
        rows, l1 = W.reshape(-1, k).copy(), self.l1_strengths(k)[0]
        for some in blocks_of_rows(len(rows), k**2, MEMORY):
            grams, targets = gram_matrices(observed[some], H.T), filled[some] @ H.T
            rows[some] = self._solve(grams, targets, self.regularization, rows[some], l1)
        return rows.reshape(W.shape)

    @property
    def is_ridge(self) -> bool:
        """Whether nothing is asked of W and H beyond small squares."""
        return not (self.l1 or self.non_negative)

    def encode(self, H: np.ndarray, first: int = 0) -> np.ndarray:
        """Return the states of the tables from `first` on, for a basis found before.

        With ridges alone it is orthonormal, and a complete row x has the state x Hᵀ.
        """
        W = self.filled[first:] @ H.T
        exact = self.observed[first:].all(axis=2) & self.is_ridge
        if exact.all():
            return W
        return np.where(exact[..., np.newaxis], W, self.best_rows(H, np.zeros_like(W), first))

    def l1_strengths(self, k: int) -> tuple[float, float]:
        """Return the penalties on |W| and |H|, in proportion to the size of their entries."""
        n, c = self.X.shape[2], self.entries_per_component(k)
        return self.l1 * sqrt(n / k), self.l1 * c / sqrt(n)

    def _solve(self, grams, targets, strengths, start, l1):
        """Return the rows that minimise ½ w (G + sI) wᵀ − t wᵀ, with what else is asked of them."""
        grams = grams + np.asarray(strengths)[..., None, None] * np.eye(targets.shape[1])
        if self.is_ridge:
            return solve_rows(grams, targets, strengths)
        lower = 0.0 if self.non_negative else -np.inf
        return minimise_rows(grams, targets, start, l1=l1, lower=lower, max_iter=_SWEEPS)
