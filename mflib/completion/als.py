"""Alternating least squares: with V fixed, every row of U is a ridge regression (lesson 5).

With V fixed, J splits into one small problem per row i, over its observed columns Ωᵢ only:

    uᵢ = argmin ½ Σ_{j∈Ωᵢ} (uᵀvⱼ − xᵢⱼ)² + ½ λᵢ ‖u‖²

which `mflib.least_squares` solves. The half step for V is the same with everything transposed. No
half step increases J (theorem: each is an exact minimum).

Biases are two more columns of the factors, one of them fixed at 1: [uᵢ, bᵢ, 1]ᵀ[vⱼ, 1, cⱼ].

References
----------
Y. Zhou, D. Wilkinson, R. Schreiber and R. Pan, Large-scale parallel collaborative filtering for the
Netflix prize, AAIM, 2008.
"""

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np

from mflib import _validation as check
from mflib.completion.entries import ObservedEntries
from mflib.completion.problem import CompletionProblem
from mflib.iteration import ProblemIterate, record
from mflib.least_squares import ridge_rows, ridge_rows_non_negative, ridge_rows_one_by_one
from mflib.nmf import with_data


@record
class ALSStep(ProblemIterate):
    """One iterate of alternating least squares."""

    algorithm = "ALS"


def als_steps(problem: CompletionProblem, start, *, solver: str = "numpy") -> Iterator[ALSStep]:
    """Yield the iterates of alternating least squares, for ever.

    Parameters
    ----------
    problem : CompletionProblem
        With the squared loss. Without regularization, rows take their smallest solution where they
        have many.
    start : iterate or factors, as from `initial_factors`
        The type, float32 or float64, is that of the arithmetic. Of the factors only V and c matter
        (and with `non_negative` U and b, where coordinate descent starts).
    solver : {"numpy", "compiled"}
        "compiled" solves the rows one by one in machine code (where numba is installed; it compiles
        for seconds when it is first used). It needs regularization > 0 and no constraint.

    Yields
    ------
    ALSStep
        `n_iter` counts from 0 (the start). Every later iterate has a new U and then a new V, and an
        `objective` that is no larger, up to rounding.

    Examples
    --------
    >>> from mflib.completion import ObservedEntries
    >>> entries = ObservedEntries.from_dense([[1, 2], [2, np.nan]])
    >>> problem = CompletionProblem(entries, regularization=0.01)
    >>> steps = als_steps(problem, (np.ones((2, 1)), np.ones((2, 1))))
    >>> [round(next(steps).loss, 4) for _ in range(3)]
    [1.0, 0.0801, 0.0193]
    """
    check.kind(isinstance(problem, CompletionProblem), problem, "problem", "a CompletionProblem")
    check.choice(solver, ("numpy", "compiled"), "solver")
    if problem.entry_loss.name != "squared":
        raise ValueError(f"loss is {problem.entry_loss.name!r}; least squares need 'squared'")
    if solver == "compiled" and (problem.non_negative or problem.regularization == 0):
        raise ValueError("solver='compiled' needs regularization > 0 and non_negative=False")
    factors = problem.as_factors(start)
    entries = problem.entries.astype(factors.U.dtype)
    strengths = [side.astype(factors.U.dtype) for side in problem.strengths]

    def solve(side, values, mask, U, V):
        if problem.non_negative:
            return ridge_rows_non_negative(values, mask, V, strengths[side], U, int(problem.biases))
        rows = ridge_rows_one_by_one if solver == "compiled" else ridge_rows
        return rows(values, mask, V, strengths[side])

    return alternations(problem, entries, factors, solve)


def alternations(problem, entries: ObservedEntries, factors, solve: Callable) -> Iterator[ALSStep]:
    """Yield factors, and what `alternate` makes of them, for ever."""
    for n_iter in count():
        yield ALSStep(n_iter, factors, problem)
        with np.errstate(over="ignore", invalid="ignore"):  # the next loss is not finite
            factors = alternate(entries, factors, problem.mean, solve)


def alternate(entries: ObservedEntries, factors, mean: float, solve: Callable):
    """Return new factors: first all rows, with V and c fixed, and then all columns.

    Parameters
    ----------
    entries : ObservedEntries
        Of the type of the factors.
    factors : Factors or BiasedFactors
    mean : float
        μ, for a model with biases.
    solve : function of (side, values, mask, U, V) that returns the new U
        `side` is 0 for the rows of X and 1 for its columns; `values` and `mask` are sparse arrays
        of the entries that U Vᵀ is to meet, row by row, and of ones. With biases, the last column
        of U is b, and that of V is 1.
    """
    sides = [np.column_stack(side) for side in (factors[::2], factors[1::2])]  # [U, b] and [V, c]
    biased = len(factors) > 2
    for side, values in enumerate((entries.by_row, entries.by_column)):
        other = sides[1 - side]
        if biased:  # what is left for [u, b] to meet with [v, 1]
            values = with_data(values, values.data - mean - other[values.indices, -1])
            other = np.column_stack([other[:, :-1], np.ones(len(other), other.dtype)])
        mask = with_data(values, np.ones_like(values.data))
        sides[side] = solve(side, values, mask, sides[side], other)
    if biased:
        sides = [side[:, :-1].copy() for side in sides] + [side[:, -1].copy() for side in sides]
    return factors._make(sides)
