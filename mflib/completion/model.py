"""The model of lesson 5, what it is fitted to, and where it starts.

    x̂ᵢⱼ = uᵢᵀvⱼ                       the factors alone
    x̂ᵢⱼ = μ + bᵢ + cⱼ + uᵢᵀvⱼ         with a mean and biases

    J = ½ Σ_Ω (x̂ᵢⱼ − xᵢⱼ)² + ½ Σᵢ λᵢ (‖uᵢ‖² + bᵢ²) + ½ Σⱼ λⱼ (‖vⱼ‖² + cⱼ²)

    λᵢ = λ                             weighting="constant"
    λᵢ = λ |Ωᵢ|,  λⱼ = λ |Ωʲ|          weighting="count"

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

from dataclasses import dataclass, field
from functools import cached_property
from math import log

import numpy as np
from scipy.special import expit, xlogy
from sklearn.utils import check_random_state

from mflib._validation import check_count, check_number
from mflib.completion.entries import ObservedEntries

# Entries are worked off in blocks of about this many numbers, which stay in the processor's cache.
_BLOCK = 1 << 16

LOSSES = ("squared", "logistic", "poisson")


@dataclass(frozen=True)
class Factors:
    """The factors U (m, k) and V (n, k); with biases also μ, b (m,) and c (n,)."""

    U: np.ndarray
    V: np.ndarray
    mean: float = 0.0
    row_bias: np.ndarray | None = None
    column_bias: np.ndarray | None = None

    @property
    def parts(self) -> tuple[np.ndarray, ...]:
        """What is fitted: (U, V), or (U, V, b, c)."""
        if self.row_bias is None:
            return self.U, self.V
        return self.U, self.V, self.row_bias, self.column_bias

    @np.errstate(over="ignore", invalid="ignore")  # a divergence shows in the loss
    def scores(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return x̂ᵢⱼ for pairs of a row i and a column j, without any other entry."""
        result = np.empty(len(rows), dtype=self.U.dtype)
        height = max(1, _BLOCK // self.U.shape[1])
        for start in range(0, len(rows), height):
            part = slice(start, start + height)
            u, v = self.U.take(rows[part], axis=0), self.V.take(columns[part], axis=0)
            np.einsum("ij,ij->i", u, v, out=result[part])
        result += self.U.dtype.type(self.mean)
        if self.row_bias is not None:
            result += self.row_bias[rows]
            result += self.column_bias[columns]
        return result


@dataclass(frozen=True)
class Objective:
    """J, for the squared loss or another: see the head of this module."""

    entries: ObservedEntries
    regularization: float
    weighting: str = "count"
    loss: str = "squared"

    def __post_init__(self):
        """Refuse what has no meaning."""
        check_nonnegative(self.regularization, "regularization")
        check_choice(self.weighting, ("constant", "count"), "weighting")
        check_choice(self.loss, LOSSES, "loss")
        check_domain(self.entries.values, self.loss)

    def strengths(self, counts: np.ndarray, dtype=np.float64) -> np.ndarray:
        """Return λᵢ of each row, given |Ωᵢ| (or of each column)."""
        weights = counts if self.weighting == "count" else np.ones(len(counts))
        return (self.regularization * weights).astype(dtype)

    def penalty(self, factors: Factors) -> float:
        """Return the part of J that does not depend on the data."""
        counts = self.entries.row_counts, self.entries.column_counts
        strengths = [self.strengths(c) for c in counts]
        tables = [part.reshape(len(part), -1) for part in factors.parts]
        sizes = [np.einsum("if,if->i", table, table, dtype=np.float64) for table in tables]
        return float(sum(strengths[i % 2] @ size for i, size in enumerate(sizes))) / 2

    def data_loss(self, factors: Factors) -> float:
        """Return the loss of the observed entries, ½ Σ_Ω (x̂ᵢⱼ − xᵢⱼ)² if squared."""
        entries = self.entries
        return loss_of(entries.values, factors.scores(entries.rows, entries.columns), self.loss)

    def value(self, factors: Factors) -> float:
        """Return J."""
        return self.data_loss(factors) + self.penalty(factors)


@dataclass(frozen=True)
class CompletionStep(Factors):
    """One iterate: the factors, `loss` (of the observed entries) and `objective` (J).

    The last two are computed when they are first asked for.
    """

    n_iter: int = 0
    _objective: Objective = field(default=None, repr=False)

    @cached_property
    def loss(self) -> float:
        """The loss of the observed entries, without penalties."""
        return self._objective.data_loss(self)

    @cached_property
    def objective(self) -> float:
        """J, the loss plus the penalties."""
        return self.loss + self._objective.penalty(self)


def initial_factors(
    entries: ObservedEntries,
    k: int,
    *,
    biases: bool = False,
    scale: float = 0.01,
    loss: str = "squared",
    non_negative: bool = False,
    dtype=np.float64,
    random_state=None,
) -> Factors:
    """Return a random start: independent normal factors, of zero mean and standard deviation scale.

    Parameters
    ----------
    entries : ObservedEntries
    k : int
        Number of columns of U and V. It may exceed m and n.
    biases : bool
        Whether the model has a mean and biases. If so μ is the mean of the values (its logarithm if
        `loss` is "poisson", its log-odds if it is "logistic"), and biases start at 0.
    scale : float
        Small is good: the factors then grow along the directions that the data ask for.
    loss : {"squared", "logistic", "poisson"}
    non_negative : bool
        Whether to take the absolute values of the factors.
    dtype : float32 or float64
    random_state : int, RandomState or None

    Examples
    --------
    >>> entries = ObservedEntries([[0, 0], [0, 2], [1, 1]], [5, 3, 4])
    >>> start = initial_factors(entries, 2, biases=True, random_state=0)
    >>> start.U.shape, start.V.shape, start.mean
    ((2, 2), (3, 2), 4.0)
    """
    k = check_count(k, 10**9, "k")
    check_choice(loss, LOSSES, "loss")
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype is {dtype!r}; float32 or float64 is needed")
    scale = check_nonnegative(scale, "scale")
    random_state = check_random_state(random_state)
    m, n = entries.shape
    U, V = (scale * random_state.standard_normal((size, k)) for size in (m, n))
    if non_negative:
        U, V = np.abs(U), np.abs(V)
    U, V = U.astype(dtype), V.astype(dtype)
    if not biases:
        return Factors(U, V)
    mean = central_score(entries.values, loss)
    return Factors(U, V, mean, np.zeros(m, dtype), np.zeros(n, dtype))


def expectation(scores: np.ndarray, loss: str) -> np.ndarray:
    """Return the mean of the data where the score is y: y, 1/(1 + e⁻ʸ) or eʸ."""
    if loss == "squared":
        return scores
    with np.errstate(over="ignore"):
        return expit(scores) if loss == "logistic" else np.exp(scores)


def loss_of(values: np.ndarray, scores: np.ndarray, loss: str) -> float:
    """Return Σ ℓ(x, y) of data x and scores y.

        squared      ½ (y − x)²
        logistic     log(1 + eʸ) − x y                 x of 0 or 1, y the log-odds
        poisson      eʸ − x y − x + x log x            x of at least 0, y the logarithm of the mean

    In all three the derivative with respect to y is the expected value minus x.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        if loss == "squared":
            error = np.subtract(scores, values, dtype=np.float64)
            return float(np.vdot(error, error)) / 2
        if loss == "logistic":
            return float((np.logaddexp(0, scores) - values * scores).sum())
        deviance = np.exp(scores) - values * scores - values + xlogy(values, values)
        return float(deviance.sum())


def central_score(values: np.ndarray, loss: str) -> float:
    """Return the score whose expectation is the mean of the values."""
    mean = float(values.mean(dtype=np.float64))
    if loss == "squared":
        return mean
    smallest = 1 / (len(values) + 1)  # all zeros, or all ones, still have a finite score
    if loss == "poisson":
        return log(max(mean, smallest))
    mean = min(max(mean, smallest), 1 - smallest)
    return log(mean / (1 - mean))


def check_nonnegative(value: float, name: str) -> float:
    """Return a number of at least 0."""
    number = check_number(value, name)
    if number < 0:
        raise ValueError(f"{name} is {value}; a number of at least 0 is needed")
    return number


def check_choice(value: str, choices: tuple[str, ...], name: str) -> str:
    """Return one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}; use {' or '.join(map(repr, choices))}")
    return value


def check_domain(values: np.ndarray, loss: str) -> None:
    """Refuse values for which the loss has no meaning."""
    outside = {
        "squared": np.zeros(len(values), dtype=bool),
        "logistic": (values != 0) & (values != 1),
        "poisson": values < 0,
    }[loss]
    if outside.any():
        needed = {"logistic": "0 or 1 is", "poisson": "numbers of at least 0 are"}[loss]
        plural = "entry" if outside.sum() == 1 else "entries"
        raise ValueError(
            f"values has {outside.sum()} {plural} outside the domain: {needed} needed for the "
            f"{loss} loss"
        )


def check_start(entries: ObservedEntries, start: Factors) -> None:
    """Refuse factors that do not belong to a matrix of the shape of the entries, or together."""
    shapes, (m, n) = [np.shape(part) for part in start.parts], entries.shape
    k = (shapes[0] or (0,))[-1]
    if k == 0 or shapes != [(m, k), (n, k), (m,), (n,)][: len(shapes)]:
        raise ValueError(
            f"the start has factors of shapes {' and '.join(map(str, shapes[:2]))}; "
            f"({m}, k) and ({n}, k) are needed, and biases to match"
        )
    types = {np.asarray(part).dtype for part in start.parts}
    if types not in ({np.dtype(np.float32)}, {np.dtype(np.float64)}):
        raise ValueError(
            f"the start has factors of type {' and '.join(sorted(map(str, types)))}; "
            "float32 or float64 is needed, the same for all"
        )
    if start.row_bias is None and start.mean != 0:
        raise ValueError(f"the start has the mean {start.mean} without biases; it needs biases too")
