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
from dataclasses import dataclass
from itertools import count

import numpy as np
from sklearn.utils import check_random_state

from mflib.completion.compiled import compiled
from mflib.completion.entries import ObservedEntries
from mflib.completion.model import (
    LOSSES,
    CompletionStep,
    Factors,
    Objective,
    check_nonnegative,
    check_start,
)

LOGISTIC, POISSON = LOSSES.index("logistic"), LOSSES.index("poisson")


@dataclass(frozen=True)
class SGDStep(CompletionStep):
    """One iterate; `learning_rate` is the η that led to it.

    `running_loss` is the loss summed over the epoch, each entry with the factors that it met: it
    costs nothing, and follows `loss`. NaN at the start.
    """

    learning_rate: float = np.nan
    running_loss: float = np.nan


def sgd_steps(
    entries: ObservedEntries,
    start: Factors,
    *,
    learning_rate: float = 0.01,
    regularization: float = 0.1,
    decay: float = 0.0,
    loss: str = "squared",
    non_negative: bool = False,
    random_state=None,
) -> Iterator[SGDStep]:
    """Yield the iterates of stochastic gradient descent, one epoch each, for ever.

    The entries are shuffled once. (In the order of the rows, a step has to wait for the one before,
    which changed the same uᵢ.)

    Parameters
    ----------
    entries : ObservedEntries
    start : Factors
        As from `initial_factors`; biases are fitted if it has some. Its type, float32 or float64,
        is that of the arithmetic.
    learning_rate : float
        η of the first epoch.
    regularization : float
        λ, applied at every entry.
    decay : float
        Epoch t, counted from 0, has the learning rate η / (1 + decay · t).
    loss : {"squared", "logistic", "poisson"}
    non_negative : bool
        Whether to set negative entries of uᵢ and vⱼ to 0 after each visit.
    random_state : int, RandomState or None
        Chooses the order of the entries.

    Yields
    ------
    SGDStep
        `n_iter` counts epochs from 0 (the start).

    Examples
    --------
    >>> entries = ObservedEntries.from_dense([[1, 2], [2, np.nan]])
    >>> start = Factors(np.ones((2, 1)), np.ones((2, 1)))
    >>> steps = sgd_steps(entries, start, learning_rate=0.1, regularization=0, random_state=0)
    >>> [round(next(steps).loss, 3) for _ in range(4)]
    [1.0, 0.678, 0.476, 0.353]
    """
    check_nonnegative(learning_rate, "learning_rate")
    check_nonnegative(decay, "decay")
    check_start(entries, start)
    entries = entries.astype(start.U.dtype)
    objective = Objective(entries, regularization, "count", loss)
    order = check_random_state(random_state).permutation(len(entries))
    # Compiled code need not ask whether an index without sign counts from the end.
    rows, columns = (x.astype(np.uint32)[order] for x in (entries.rows, entries.columns))
    data = rows, columns, entries.values[order]
    options = LOSSES.index(loss), bool(non_negative)

    def iterate(factors):
        rate = running_loss = np.nan
        for n_iter in count():
            yield SGDStep(*factors, n_iter, objective, rate, running_loss)
            rate = learning_rate / (1 + decay * n_iter)
            factors, running_loss = _epoch(data, factors, (rate, regularization), options)

    return iterate(tuple(vars(start).values()))


def _epoch(data, factors, strengths, options):
    """Return new factors after one epoch, and the running loss."""
    U, V, mean, b, c = (f.copy() if isinstance(f, np.ndarray) else f for f in factors)
    with np.errstate(over="ignore", invalid="ignore"):
        center, rate, regularization = map(U.dtype.type, (mean, *strengths))
        loss = visit_entries(*data, U, V, center, b, c, rate, regularization, *options)
    return (U, V, mean, b, c), float(loss)


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


@compiled
def error_at(score, x, loss):
    """Return the expected value at a score, minus x: the derivative of the loss."""
    if loss == LOGISTIC:
        return type(x)(1 / (1 + np.exp(-score))) - x
    if loss == POISSON:
        return np.exp(score) - x
    return score - x


@compiled
def loss_at(score, x, loss):
    """Return the loss of one entry."""
    if loss == LOGISTIC:
        return np.log1p(np.exp(-abs(score))) + max(score, 0) - x * score
    if loss == POISSON:
        return np.exp(score) - x * score - x + (x * np.log(x) if x > 0 else 0)
    return (score - x) ** 2 / 2
