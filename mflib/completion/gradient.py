"""Batch gradient descent on all factors at once (lesson 5).

With E the residuals x̂ᵢⱼ − xᵢⱼ on Ω and zero elsewhere, a sparse matrix, and D = diag(λᵢ):

    ∂J/∂U = E V + D U        ∂J/∂V = Eᵀ U + D V        ∂J/∂bᵢ = Σⱼ eᵢⱼ + λᵢ bᵢ

It visits all entries before it moves once, where stochastic gradient descent moves |Ω| times.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import numpy as np
from scipy import sparse

from mflib.completion.entries import ObservedEntries
from mflib.completion.model import (
    CompletionStep,
    Factors,
    Objective,
    check_nonnegative,
    check_start,
    expectation,
)


def objective_gradient(objective: Objective, factors: Factors) -> Factors:
    """Return the derivatives of J with respect to U and V (and b and c), at the factors.

    Parameters
    ----------
    objective : Objective
    factors : Factors

    Returns
    -------
    Factors
        Of the same shapes; its `mean` is 0, because μ is not fitted.

    Examples
    --------
    >>> entries = ObservedEntries.from_dense([[1, 2], [2, np.nan]])
    >>> objective_gradient(Objective(entries, 0.0), Factors(np.ones((2, 1)), np.ones((2, 1)))).U
    array([[-1.],
           [-1.]])
    """
    entries, dtype = objective.entries, factors.U.dtype
    scores = factors.scores(entries.rows, entries.columns)
    errors = expectation(scores, objective.loss) - entries.values
    E = sparse.csr_array((errors, (entries.rows, entries.columns)), shape=entries.shape)
    row_strengths = objective.strengths(entries.row_counts, dtype)
    column_strengths = objective.strengths(entries.column_counts, dtype)
    dU = E @ factors.V + row_strengths[:, None] * factors.U
    dV = E.T @ factors.U + column_strengths[:, None] * factors.V
    if factors.row_bias is None:
        return Factors(dU, dV)
    db = E.sum(axis=1) + row_strengths * factors.row_bias
    dc = E.sum(axis=0) + column_strengths * factors.column_bias
    return Factors(dU, dV, 0.0, db, dc)


def gradient_steps(
    entries: ObservedEntries,
    start: Factors,
    *,
    learning_rate: float = 1e-3,
    regularization: float = 0.1,
    weighting: str = "count",
    loss: str = "squared",
    non_negative: bool = False,
) -> Iterator[CompletionStep]:
    """Yield the iterates of gradient descent, for ever.

    Parameters
    ----------
    entries : ObservedEntries
    start : Factors
        As from `initial_factors`; biases are fitted if it has some.
    learning_rate : float
        η.
    regularization, weighting : as for `als_steps`
    loss : {"squared", "logistic", "poisson"}
    non_negative : bool
        Whether to set negative entries of U and V to 0 after each step.

    Yields
    ------
    CompletionStep
        `n_iter` counts from 0 (the start).

    Examples
    --------
    >>> entries = ObservedEntries.from_dense([[1, 2], [2, np.nan]])
    >>> start = Factors(np.ones((2, 1)), np.ones((2, 1)))
    >>> steps = gradient_steps(entries, start, learning_rate=0.1, regularization=0)
    >>> [round(next(steps).loss, 3) for _ in range(4)]
    [1.0, 0.646, 0.446, 0.337]
    """
    check_nonnegative(learning_rate, "learning_rate")
    check_start(entries, start)
    entries = entries.astype(start.U.dtype)
    objective = Objective(entries, regularization, weighting, loss)

    def iterate(factors):
        for n_iter in count():
            yield CompletionStep(**vars(factors), n_iter=n_iter, _objective=objective)
            with np.errstate(over="ignore", invalid="ignore"):
                factors = _descend(factors, objective_gradient(objective, factors), learning_rate)
            if non_negative:
                U, V = np.maximum(factors.U, 0), np.maximum(factors.V, 0)
                factors = replace(factors, U=U, V=V)

    return iterate(start)


def _descend(factors, slope, learning_rate):
    moved = (p - learning_rate * d for p, d in zip(factors.parts, slope.parts, strict=True))
    U, V, *biases = moved
    return Factors(U, V, factors.mean, *biases)
