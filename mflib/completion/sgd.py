"""Stochastic gradient descent: one observed entry at a time (lesson 5).

    e  = x̂ᵢⱼ − xᵢⱼ
    uᵢ ← uᵢ − η (e vⱼ + λ uᵢ)
    vⱼ ← vⱼ − η (e uᵢ + λ vⱼ)          with the old uᵢ
    bᵢ ← bᵢ − η (e + λ bᵢ),  cⱼ ← cⱼ − η (e + λ cⱼ)

One epoch visits every entry once. Each visit goes down the gradient of
½ e² + ½ λ (‖uᵢ‖² + ‖vⱼ‖² + bᵢ² + cⱼ²). Summed over the entries these are J with λ |Ωᵢ| for row i
(weighting="count"), not with λ: a row pays λ once per entry.

For the logistic and the Poisson loss, e is the expected value at the score x̂ᵢⱼ, minus xᵢⱼ; the rest
stays as it is.

References
----------
S. Funk, Netflix update: try this at home, 2006.
Y. Koren, R. Bell and C. Volinsky, Matrix factorization techniques for recommender systems, IEEE
Computer, 2009.
"""

from collections.abc import Iterator
from itertools import count

import numpy as np
from sklearn.utils import check_random_state

from mflib import _validation as check
from mflib._compiled import compiled
from mflib.completion.problem import CompletionProblem
from mflib.iteration import CACHE, ProblemIterate, record
from mflib.losses import CANONICAL, error_at, loss_at


@record
class SGDStep(ProblemIterate):
    """One iterate; `learning_rate` is the η that led to it.

    `running_loss` is the loss summed over the epoch, each entry with the factors that it met: it
    costs nothing, and follows `loss`. NaN at the start.
    """

    algorithm = "SGD"

    learning_rate: float
    running_loss: float


def sgd_steps(
    problem: CompletionProblem,
    start,
    *,
    learning_rate: float = 0.01,
    decay: float = 0.0,
    random_state=None,
) -> Iterator[SGDStep]:
    """Yield the iterates of stochastic gradient descent, one epoch each, for ever.

    The entries are shuffled once. (In the order of the rows, a step has to wait for the one before,
    which changed the same uᵢ.) In a large table, blocks of rows × columns whose factors fit the
    cache follow one another, in random order, and the entries of each are shuffled.

    Parameters
    ----------
    problem : CompletionProblem
        With `weighting="count"`. If its factors shall not be negative, negative entries of uᵢ and
        vⱼ are set to 0 after each visit.
    start : iterate or factors, as from `initial_factors`
        The type, float32 or float64, is that of the arithmetic.
    learning_rate : float
        η of the first epoch, above 0.
    decay : float
        Epoch t, counted from 0, has the learning rate η / (1 + decay · t).
    random_state : int, RandomState or None
        Chooses the order of the entries.

    Yields
    ------
    SGDStep
        `n_iter` counts epochs from 0 (the start).

    Examples
    --------
    >>> from mflib.completion import ObservedEntries
    >>> entries = ObservedEntries.from_dense([[1, 2], [2, np.nan]])
    >>> problem = CompletionProblem(entries, regularization=0)
    >>> start = np.ones((2, 1)), np.ones((2, 1))
    >>> steps = sgd_steps(problem, start, learning_rate=0.1, random_state=0)
    >>> [round(next(steps).loss, 3) for _ in range(4)]
    [1.0, 0.678, 0.476, 0.353]
    """
    check.kind(isinstance(problem, CompletionProblem), problem, "problem", "a CompletionProblem")
    check.positive(learning_rate, "learning_rate")
    check.non_negative(decay, "decay")
    if problem.weighting != "count":
        raise ValueError("weighting is 'constant'; SGD applies λ at every entry, which is 'count'")
    factors = problem.as_factors(start)
    entries, dtype = problem.entries.astype(factors.U.dtype), factors.U.dtype.type
    order = _shuffled(entries, factors.U.shape[1], check_random_state(random_state))
    # Compiled code need not ask whether an index without sign counts from the end.
    rows, columns = (x.astype(np.uint32)[order] for x in (entries.rows, entries.columns))
    data = rows, columns, entries.values[order]
    mean, regularization = dtype(problem.mean), dtype(problem.regularization)
    options = CANONICAL.index(problem.entry_loss.name), problem.non_negative

    def iterate(factors):
        rate = running_loss = np.nan
        for n_iter in count():
            yield SGDStep(n_iter, factors, problem, rate, running_loss)
            rate = learning_rate / (1 + decay * n_iter)
            factors = factors._make(factor.copy() for factor in factors)
            U, V, b, c = (*factors, None, None)[:4]
            with np.errstate(over="ignore", invalid="ignore"):
                strengths = dtype(rate), regularization
                running_loss = float(visit_entries(*data, U, V, mean, b, c, *strengths, *options))

    return iterate(factors)


def _shuffled(entries, k, random_state):
    """Return an order of the entries, block by block.

    A stable sort of a shuffle, by random ranks of the blocks, keeps each block shuffled.
    """
    order, height = random_state.permutation(len(entries)), max(1, CACHE // k)
    n_across = -(-entries.shape[1] // height)  # rounded up
    blocks = entries.rows // height * n_across + entries.columns // height
    ranks = random_state.permutation(int(blocks.max()) + 1)
    return order[np.argsort(ranks[blocks[order]], kind="stable")]


@compiled
def visit_entries(
    rows, columns, values, U, V, mean, b, c, learning_rate, regularization, loss, non_negative
):
    """Do one epoch: change U, V, b and c in place and return the running loss."""
    k = U.shape[1]
    running_loss = 0.0
    for n in range(len(values)):
        i, j, x = rows[n], columns[n], values[n]
        score = mean
        if b is not None:
            score += b[i] + c[j]
        for f in range(k):
            score += U[i, f] * V[j, f]

        error = error_at(score, x, loss)
        running_loss += loss_at(score, x, loss)

        if b is not None:
            b[i] -= learning_rate * (error + regularization * b[i])
            c[j] -= learning_rate * (error + regularization * c[j])
        for f in range(k):
            u, v = U[i, f], V[j, f]
            U[i, f] = u - learning_rate * (error * v + regularization * u)
            V[j, f] = v - learning_rate * (error * u + regularization * v)
        if non_negative:
            for f in range(k):
                U[i, f] = max(U[i, f], 0)
                V[j, f] = max(V[j, f], 0)
    return running_loss
