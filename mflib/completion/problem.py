"""What all three algorithms of lesson 5 lower, and where they start.

    x̂ᵢⱼ = uᵢᵀvⱼ                       the factors alone
    x̂ᵢⱼ = μ + bᵢ + cⱼ + uᵢᵀvⱼ         with a mean and biases

    J = ½ Σ_Ω (x̂ᵢⱼ − xᵢⱼ)² + ½ Σᵢ λᵢ (‖uᵢ‖² + bᵢ²) + ½ Σⱼ λⱼ (‖vⱼ‖² + cⱼ²)

    λᵢ = λ                             weighting="constant"
    λᵢ = λ |Ωᵢ|,  λⱼ = λ |Ωʲ|          weighting="count"

With E the derivatives of the loss by x̂ᵢⱼ (x̂ᵢⱼ − xᵢⱼ if it is squared) on Ω, and zero elsewhere:

    ∂J/∂uᵢ = Σⱼ eᵢⱼ vⱼ + λᵢ uᵢ         ∂J/∂bᵢ = Σⱼ eᵢⱼ + λᵢ bᵢ         and so for the columns

J is a negative log-posterior, up to a factor and a constant: for Gaussian noise of variance s² and
independent Gaussian factors of variance s²/λ, its minimum is the most probable factorization (MAP).
"count" tightens the prior of a row the more is known of it, which no prior fixed beforehand does;
but it is what stochastic gradient descent lowers, because it applies λ at every entry.

References
----------
R. Salakhutdinov and A. Mnih, Probabilistic matrix factorization, NIPS, 2008.
Y. Koren, R. Bell and C. Volinsky, Matrix factorization techniques for recommender systems, IEEE
Computer, 2009.
Y. Zhou, D. Wilkinson, R. Schreiber and R. Pan, Large-scale parallel collaborative filtering for the
Netflix prize, AAIM, 2008 (λ weighted by counts).
"""

from functools import cached_property
from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from mflib import _validation as check
from mflib.completion.entries import ObservedEntries, check_float_type
from mflib.descent import SmoothProblem
from mflib.factorization import Factors, factor_gradient
from mflib.iteration import Problem
from mflib.losses import CANONICAL, find_loss
from mflib.nmf import entries_of_product, with_data


class BiasedFactors(NamedTuple):
    """The factors U (m, k) and V (n, k), and the biases b (m,) and c (n,)."""

    U: np.ndarray
    V: np.ndarray
    row_bias: np.ndarray
    column_bias: np.ndarray


class EntriesProblem(Problem):
    """What problems on observed entries share: how factors are read, and their penalty.

    `ImplicitProblem` is the other one. Its factors have no biases and no bounds.
    """

    biases = non_negative = False
    weighting = "constant"
    mean = 0.0

    def __init__(self, entries: ObservedEntries, regularization: float):
        check.kind(isinstance(entries, ObservedEntries), entries, "entries", "ObservedEntries")
        self.entries = entries
        self.regularization = check.non_negative(regularization, "regularization")

    def as_factors(self, start) -> Factors | BiasedFactors:
        """Return a start as `Factors`, or with biases as `BiasedFactors`; float32 stays float32."""
        m, n = self.entries.shape
        shapes = {"U": (m, "k"), "V": (n, "k"), "row_bias": (m,), "column_bias": (n,)}
        kind = BiasedFactors if self.biases else Factors
        return check.factors(start, kind, {name: shapes[name] for name in kind._fields})

    @np.errstate(over="ignore", invalid="ignore")
    def penalty(self, factors) -> float:
        """Return the part of J that does not depend on the data."""
        tables = [factor.reshape(len(factor), -1) for factor in factors]
        sizes = [np.einsum("if,if->i", table, table, dtype=np.float64) for table in tables]
        strengths = (*self.strengths, *self.strengths)  # rows, columns, twice: as U, V, b, c
        return float(sum(map(np.dot, strengths, sizes))) / 2

    @cached_property
    def strengths(self) -> tuple[np.ndarray, np.ndarray]:
        """The λᵢ of the rows, shape (m,), and the λⱼ of the columns, shape (n,)."""
        counts = self.entries.row_counts, self.entries.column_counts
        weights = counts if self.weighting == "count" else map(np.ones, self.entries.shape)
        return tuple(self.regularization * weight for weight in weights)


class CompletionProblem(EntriesProblem, SmoothProblem):
    """The objective J of factors, given the observed entries.

    Parameters
    ----------
    entries : ObservedEntries
    regularization : float
        λ, at least 0.
    weighting : {"count", "constant"}
        Whether row i is penalised by λ |Ωᵢ| or by λ.
    loss : {"squared", "logistic", "poisson"}
        For numbers, for 0 and 1, and for counts. What the factors give is then the score: x̂ᵢⱼ
        itself, its log-odds, or its logarithm.
    biases : bool
        Whether the model has a mean and biases.
    non_negative : bool
        Whether U and V are kept at least 0 (biases stay free).

    Attributes
    ----------
    entry_loss : Loss
        The loss of one entry, see `mflib.losses`.
    constant : float
        The score of smallest loss among those that are the same everywhere.
    mean : float
        μ: this constant with biases, and 0 without.

    Examples
    --------
    >>> entries = ObservedEntries.from_dense([[1, 2], [2, np.nan]])
    >>> problem = CompletionProblem(entries, regularization=1.0, weighting="constant")
    >>> factors = Factors(np.ones((2, 1)), np.ones((2, 1)))
    >>> problem.loss(factors), problem.objective(factors)
    (1.0, 3.0)
    >>> problem.gradient(factors).U  # Σⱼ eᵢⱼ vⱼ is −1 in both rows, and λ uᵢ is 1
    array([[0.],
           [0.]])
    """

    def __init__(
        self,
        entries: ObservedEntries,
        *,
        regularization: float = 0.1,
        weighting: str = "count",
        loss: str = "squared",
        biases: bool = False,
        non_negative: bool = False,
    ):
        super().__init__(entries, regularization)
        self.weighting = check.choice(weighting, ("count", "constant"), "weighting")
        self.entry_loss = find_loss(check.choice(loss, CANONICAL, "loss"))
        self.entry_loss.check_data(entries.values, "values")
        self.biases = check.flag(biases, "biases")
        self.non_negative = check.flag(non_negative, "non_negative")
        self.constant = self.entry_loss.best_constant(entries.values)
        self.mean = self.constant if self.biases else 0.0

    def scores(self, factors, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the scores x̂ᵢⱼ of pairs of a row i and a column j."""
        return scores_of(factors, self.mean, rows, columns)

    def loss(self, factors) -> float:
        """Return the loss of the observed entries, ½ Σ_Ω (x̂ᵢⱼ − xᵢⱼ)² if squared."""
        entries = self.entries
        scores = self.scores(factors, entries.rows, entries.columns)
        return self.entry_loss.total(entries.values, scores)

    @np.errstate(over="ignore", invalid="ignore")
    def loss_and_gradient(self, factors) -> tuple[float, Factors | BiasedFactors]:
        """Return the loss, and the derivatives of J with respect to the factors (and biases)."""
        if self.non_negative:
            raise ValueError("gradient descent keeps no factor non-negative; ALS and SGD do")
        X = self.entries.by_row
        rows = np.repeat(np.arange(X.shape[0]), self.entries.row_counts)
        scores = self.scores(factors, rows, X.indices)
        loss = self.entry_loss.total(X.data, scores)
        # ∂ℓ/∂y = E[x | y] − x holds for all three losses (lesson 3).
        E = with_data(X, (self.entry_loss.mean(scores) - X.data).astype(scores.dtype, copy=False))
        row_strengths, column_strengths = (s.astype(scores.dtype) for s in self.strengths)
        gradient = factor_gradient(E, factors, row_strengths, column_strengths)
        if self.biases:
            b = E.sum(axis=1) + row_strengths * factors.row_bias
            c = E.sum(axis=0) + column_strengths * factors.column_bias
            gradient = BiasedFactors(*gradient, b, c)
        return loss, gradient


@np.errstate(over="ignore", invalid="ignore")  # a divergence shows in the loss
def scores_of(factors, mean: float, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return x̂ᵢⱼ of pairs of a row i and a column j; μ is added only where there are biases."""
    U, V, *biases = factors
    scores = entries_of_product(U, V, rows, columns)
    if biases:
        row_bias, column_bias = biases
        scores += mean
        scores += row_bias[rows]
        scores += column_bias[columns]
    return scores


def initial_factors(
    problem: CompletionProblem,
    rank: int,
    *,
    scale: float = 0.01,
    dtype=np.float64,
    random_state=None,
) -> Factors | BiasedFactors:
    """Return a random start: independent normal factors, of zero mean and standard deviation scale.

    Biases start at 0. Of factors that shall not be negative the absolute values are taken.

    Parameters
    ----------
    problem : CompletionProblem
    rank : int
        k, the number of columns of U and V. It may exceed m and n.
    scale : float
        Small is good: the factors then grow along the directions that the data ask for.
    dtype : float32 or float64
        The type of the arithmetic of all algorithms that start here.
    random_state : int, RandomState or None

    Examples
    --------
    >>> entries = ObservedEntries([[0, 0], [0, 2], [1, 1]], [5, 3, 4])
    >>> problem = CompletionProblem(entries, biases=True)
    >>> [factor.shape for factor in initial_factors(problem, 2, random_state=0)]
    [(2, 2), (3, 2), (2,), (3,)]
    """
    check.kind(isinstance(problem, EntriesProblem), problem, "problem", "a CompletionProblem")
    rank, scale = check.count(rank, "rank"), check.non_negative(scale, "scale")
    dtype, random_state = check_float_type(dtype), check_random_state(random_state)
    sizes = problem.entries.shape
    factors = [scale * random_state.standard_normal((size, rank)) for size in sizes]
    if problem.non_negative:
        factors = [np.abs(factor) for factor in factors]
    if problem.biases:
        factors += [np.zeros(size) for size in sizes]
    return problem.as_factors([factor.astype(dtype) for factor in factors])
