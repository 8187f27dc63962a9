"""Implicit feedback: clicks and counts, where nothing says what is disliked (lesson 5).

All entries count, with a preference p and a confidence c:

    pᵢⱼ = 1, cᵢⱼ = 1 + αxᵢⱼ     where something was observed
    pᵢⱼ = 0, cᵢⱼ = 1            everywhere else

    J = ½ Σᵢⱼ cᵢⱼ (uᵢᵀvⱼ − pᵢⱼ)² + ½ λ (‖U‖² + ‖V‖²)

The matrix of row i's equations would be a sum over all columns. But what all rows share, VᵀV, is
computed once, and the rest is a sum over Ωᵢ, as in `mflib.completion.als`:

    (VᵀV + Vᵀ(Cᵢ − I)V + λI) uᵢ = VᵀCᵢpᵢ,    Vᵀ(Cᵢ − I)V = Σ_{j∈Ωᵢ} αxᵢⱼ vⱼvⱼᵀ

References
----------
Y. Hu, Y. Koren and C. Volinsky, Collaborative filtering for implicit feedback datasets, ICDM, 2008.
"""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from mflib import _validation as check
from mflib.completion.als import ALSStep, alternations
from mflib.completion.entries import ObservedEntries
from mflib.completion.estimators import CompletionEstimator, estimator
from mflib.completion.problem import EntriesProblem
from mflib.least_squares import normal_equations, solve_rows
from mflib.nmf import entries_of_product


class ImplicitProblem(EntriesProblem):
    """The objective J of factors, given what was observed and how often.

    Parameters
    ----------
    entries : ObservedEntries
        Values above 0: counts, minutes, or 1. Those of duplicates are summed.
    regularization : float
        λ, at least 0.
    confidence : float
        α: how much more than an empty entry an observed one says, for each unit of its value.

    Examples
    --------
    >>> entries = ObservedEntries([[0, 0], [1, 1]], [1, 2])
    >>> problem = ImplicitProblem(entries, regularization=0.0, confidence=10.0)
    >>> problem.loss((np.zeros((2, 1)), np.zeros((2, 1))))  # (11 + 21)/2
    16.0
    """

    constant = 0.0  # what is expected where nothing is known

    def __init__(
        self, entries: ObservedEntries, *, regularization: float = 10.0, confidence: float = 3.0
    ):
        super().__init__(entries, regularization)
        least = entries.values.min()
        check.need(least > 0, f"values holds {least}", "a count above 0 in each place")
        rows, columns, sums = sparse.find(entries.by_row)  # which sums duplicates
        self.entries = ObservedEntries(np.column_stack([rows, columns]), sums, entries.shape)
        self.confidence = check.positive(confidence, "confidence")

    @np.errstate(over="ignore", invalid="ignore")  # a divergence shows in the loss
    def loss(self, factors) -> float:
        """Return ½ Σᵢⱼ cᵢⱼ (uᵢᵀvⱼ − pᵢⱼ)², without a visit to empty entries."""
        U, V = factors
        scores = entries_of_product(U, V, self.entries.rows, self.entries.columns)
        weights = 1 + self.confidence * self.entries.values
        observed = weights * (scores - 1) ** 2 - scores**2
        return float(observed.sum(dtype=np.float64) + np.sum((U.T @ U) * (V.T @ V))) / 2


def implicit_als_steps(problem: ImplicitProblem, start) -> Iterator[ALSStep]:
    """Yield the iterates of alternating least squares on all entries, for ever.

    Parameters
    ----------
    problem : ImplicitProblem
    start : iterate or factors, as from `initial_factors`

    Yields
    ------
    ALSStep
        None has a larger `objective` than the one before, up to rounding.

    Examples
    --------
    >>> problem = ImplicitProblem(ObservedEntries([[0, 0], [1, 1]], [1, 2]), regularization=1.0)
    >>> steps = implicit_als_steps(problem, (np.ones((2, 1)), np.ones((2, 1))))
    >>> [round(next(steps).objective, 2) for _ in range(3)]
    [3.0, 2.36, 2.34]
    """
    check.kind(isinstance(problem, ImplicitProblem), problem, "problem", "an ImplicitProblem")
    factors = problem.as_factors(start)
    entries, strength = problem.entries.astype(factors.U.dtype), problem.regularization

    def solve(side, values, mask, U, V):
        shared, extra = V.T @ V, problem.confidence * values
        blocks = normal_equations(mask + extra, extra, V, strength)
        return np.concatenate([solve_rows(shared + G, t, s) for _, G, t, s in blocks])

    return alternations(problem, entries, factors, solve)


@estimator
class ImplicitALS(CompletionEstimator):
    """Recommendation from implicit feedback, by alternating least squares on all entries.

    y holds counts above 0 (how often, how long, or 1 everywhere), of the pairs in X. What `predict`
    returns is a preference, about 1 for what is liked and 0 for what is not, and 0 where the row or
    the column was never seen. See `implicit_als_steps`.

    Parameters
    ----------
    rank : int
        k, the number of columns of U and V.
    regularization : float
        λ, at least 0.
    confidence : float
        α: an observed entry counts 1 + α y times as much as an empty one.
    max_iter, tol, dtype, random_state : as for `ALS`

    Attributes
    ----------
    U_, V_ : (m, k) and (n, k) arrays
    row_counts_, column_counts_, row_labels_, column_labels_, n_features_in_
        As for `ALS`.
    n_iter_, converged_, message_
        As for `ALS`.

    Examples
    --------
    >>> heard = [["Ann", "Bach"], ["Ann", "Verdi"], ["Bob", "Abba"], ["Eve", "Bach"]]
    >>> model = ImplicitALS(2, regularization=0.1, random_state=0).fit(heard, [1, 1, 1, 1])
    >>> model.recommend("Eve", 1)[0].tolist()
    ['Verdi']
    """

    _positive_values = True

    regularization: float = 10.0
    confidence: float = 3.0
    tol: float = 0.0

    def _pose(self, entries):
        options = {"regularization": self.regularization, "confidence": self.confidence}
        return ImplicitProblem(entries, **options)

    def _steps(self, problem, start):
        return implicit_als_steps(problem, start)
