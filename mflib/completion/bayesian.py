"""ALS plus noise, averaged: Bayesian matrix factorization by Gibbs sampling (lesson 5).

    xᵢⱼ ~ N(uᵢᵀvⱼ, s²),    uᵢ ~ N(ν, P⁻¹),    vⱼ likewise
    (ν, P) ~ Gaussian–Wishart,    1/s² ~ Gamma        one prior for all rows, one for all columns

Given all the rest, uᵢ is Gaussian: its mean solves a ridge regression, and its covariance is the
inverse of the same matrix,

    Aᵢ = Gᵢ/s² + P,    E uᵢ = Aᵢ⁻¹ (tᵢ/s² + Pν),    cov uᵢ = Aᵢ⁻¹

with Gᵢ and tᵢ of `mflib.least_squares`. Every half step of ALS becomes a draw from that, so that no
λ has to be chosen: P is drawn as well, and s. The predictions of many draws are averaged, and their
spread says how far to trust the average. (With biases, read [uᵢ, bᵢ] for uᵢ.)

References
----------
R. Salakhutdinov and A. Mnih, Bayesian probabilistic matrix factorization using Markov chain Monte
Carlo, ICML, 2008.
"""

from collections.abc import Iterator
from dataclasses import field
from itertools import count

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import wishart
from sklearn.utils import check_random_state

from mflib import _validation as check
from mflib.completion.als import alternate
from mflib.completion.entries import ObservedEntries
from mflib.completion.estimators import CompletionEstimator, estimator
from mflib.completion.problem import CompletionProblem, scores_of
from mflib.iteration import ProblemIterate, record
from mflib.least_squares import normal_equations


@record
class BayesianStep(ProblemIterate):
    """One draw of the factors, and `noise`, the standard deviation s that led to it."""

    algorithm = "Bayesian ALS"

    noise: float


def bayesian_als_steps(
    problem: CompletionProblem, start, *, random_state=None
) -> Iterator[BayesianStep]:
    """Yield the draws of a Gibbs sampler, for ever.

    Every step draws s and the priors given the factors, then all rows, then all columns. All
    constants follow the unit of the data: c times the values give √c times the factors.

    Parameters
    ----------
    problem : CompletionProblem
        With the squared loss. Its penalties are not used: the priors are drawn.
    start : iterate or factors, as from `initial_factors`
        Draws from a start of another algorithm soon forget it.
    random_state : int, RandomState or None

    Yields
    ------
    BayesianStep
        `n_iter` counts from 0 (the start).

    Examples
    --------
    >>> from mflib.completion import ObservedEntries
    >>> entries = ObservedEntries.from_dense(np.outer(np.arange(6), np.arange(5)))
    >>> start = np.ones((6, 1)), np.ones((5, 1))
    >>> steps = bayesian_als_steps(CompletionProblem(entries), start, random_state=0)
    >>> [round(next(steps).loss) for _ in range(5)]
    [690, 248, 119, 57, 20]
    """
    check.kind(isinstance(problem, CompletionProblem), problem, "problem", "a CompletionProblem")
    if problem.entry_loss.name != "squared" or problem.non_negative:
        raise ValueError("draws need the squared loss and factors that may be negative")
    factors = problem.as_factors(start)
    if not np.isfinite(problem.loss(factors)):
        raise ValueError("the loss of the start overflows; scale the values or the start down")
    random_state = check_random_state(random_state)
    entries = problem.entries.astype(factors.U.dtype)
    variance = spread(problem)
    # c times the values are √c times the factors, so c times their variance, and c times the biases
    variances = [variance**0.5] * factors.U.shape[1] + [variance] * problem.biases

    def iterate(factors, noise):
        def draw(side, values, mask, U, V):
            prior = draw_prior(U, variances, random_state)
            return draw_rows(values, mask, V, prior, noise, random_state)

        for n_iter in count():
            yield BayesianStep(n_iter, factors, problem, noise)
            # 1/s² ~ Gamma(1, rate `variance`) before the data; an entry adds ½ and ½e² to the two.
            rate = variance + problem.loss(factors)
            noise = float(rate / random_state.gamma(1 + len(entries) / 2)) ** 0.5
            factors = alternate(entries, factors, problem.mean, draw)

    return iterate(factors, np.nan)


@np.errstate(over="ignore")
def spread(problem: CompletionProblem) -> float:
    """Return the mean square of the values around μ, or 1 if it is 0."""
    square = float(np.mean((problem.entries.values.astype(np.float64) - problem.mean) ** 2))
    if not np.isfinite(square):
        raise ValueError("the squares of the values overflow; scale the values down")
    return square or 1.0


def draw_prior(
    rows: np.ndarray, variances: list[float], random_state
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the mean ν (k,) and the precision P (k, k) that rows (m, k) may have come from.

    P ~ Wishart(k, D⁻¹) and ν ~ N(0, (2P)⁻¹) before the rows are known, where D is diagonal and
    holds the `variances` that entries of a row may have. After, with x̄ the mean of the rows and S
    their scatter around it, P ~ Wishart(k + m, (D + S + 2m/(m+2) x̄x̄ᵀ)⁻¹) and
    ν ~ N(m/(m+2) x̄, ((m+2)P)⁻¹).
    """
    m, k = rows.shape
    mean = rows.mean(axis=0, dtype=np.float64)
    scatter = (rows - mean).T @ (rows - mean) + 2 * m / (2 + m) * np.outer(mean, mean)
    scale = np.linalg.inv(np.diag(variances) + scatter)
    P = np.atleast_2d(wishart.rvs(k + m, (scale + scale.T) / 2, random_state=random_state))
    L = np.linalg.cholesky((2 + m) * P)
    return m / (2 + m) * mean + np.linalg.solve(L.T, random_state.standard_normal(k)), P


def draw_rows(values, mask, V: np.ndarray, prior, noise, random_state) -> np.ndarray:
    """Draw all rows from their Gaussian, given V, ν, P and s; many at a time.

    With Aᵢ = LLᵀ and z standard normal, Aᵢ⁻¹(t + Lz) has the covariance Aᵢ⁻¹L Lᵀ Aᵢ⁻¹ = Aᵢ⁻¹.

    Parameters
    ----------
    values, mask : (m, n) sparse arrays
        The observed entries, and 1 in the same places.
    V : (n, k) array
    prior : tuple (ν, P)
    noise : float

    Returns
    -------
    (m, k) array
    """
    (mean, P), weight = prior, noise**-2
    pull, P = (P @ mean).astype(V.dtype), P.astype(V.dtype)
    # z, until a block of rows is drawn in its place
    U = random_state.standard_normal((mask.shape[0], V.shape[1])).astype(V.dtype)
    for rows, G, t, _ in normal_equations(values, mask, V, 0.0):
        A = weight * G + P
        t = weight * t + pull + np.einsum("ifg,ig->if", np.linalg.cholesky(A), U[rows])
        U[rows] = np.linalg.solve(A, t[..., None])[..., 0]
    return U


@estimator
class BayesianALS(CompletionEstimator):
    """Matrix completion by Bayesian alternating least squares: draws instead of minima, averaged.

    There is no λ to choose, and more columns than needed do little harm. See `bayesian_als_steps`.
    A `start` of `fit` has one row and one column more than the table, for strangers (`samples_`).

    Parameters
    ----------
    rank : int
        k, the number of columns of U and V.
    max_iter : int
        Number of draws, at least 1.
    burn_in : float
        Share of them, the first ones, that is not averaged: they still depend on the start.
    biases : bool
        Whether to draw μ + bᵢ + cⱼ + uᵢᵀvⱼ; if not, uᵢᵀvⱼ alone.
    init_scale : float
        Standard deviation of the factors at the start, for values of variance 1.
    dtype, verbose : as for `ALS`
    random_state : int, RandomState or None
        Chooses the start and all draws.

    Attributes
    ----------
    samples_ : list of Factors or BiasedFactors
        The draws that are averaged, in single precision; one row and one column more than the table
        has stand for all strangers.
    noise_ : float
        s, root mean square over these draws.
    U_, V_, row_bias_, column_bias_
        Those of the last draw, with the strangers.
    mean_, row_counts_, column_counts_, row_labels_, column_labels_, n_iter_, n_features_in_
        As for `ALS`.
    history_, converged_, message_
        As for `ALS`; the losses are those of each draw, not of the average.

    Examples
    --------
    >>> pairs = np.argwhere(np.ones((9, 8)))
    >>> model = BayesianALS(1, random_state=0).fit(pairs, pairs.sum(axis=1))
    >>> values, deviations = model.predict([[4, 4], [900, 4]], return_std=True)
    >>> values.round(), deviations.round(1)  # 4 + 4, and a stranger, of whom less is known
    (array([8., 7.]), array([0.8, 2.9]))
    """

    rank: int = field(default=15, kw_only=False)
    max_iter: int = 100
    burn_in: float = 0.1
    biases: bool = True
    init_scale: float = 0.3

    def predict(self, X: ArrayLike, return_std: bool = False):
        """Return the expected values of entries, of any rows and columns.

        Of rows and columns that were never seen the prior is known, and is what counts.

        Parameters
        ----------
        X : (n_entries, 2) array
            Positions, or labels if the model was fitted to labels.
        return_std : bool
            Whether to return standard deviations too: those of a new value, noise included.

        Returns
        -------
        values : (n_entries,) array
        deviations : (n_entries,) array
            If asked for.
        """
        values, variances = self._moments(*self._places(X))
        return (values, np.sqrt(variances + self.noise_**2)) if return_std else values

    def _pose(self, entries):
        m, n = entries.shape  # and one row and one column that nothing is known of, for strangers
        return super()._pose(ObservedEntries(entries.pairs, entries.values, (m + 1, n + 1)))

    def _start(self, problem):
        return super()._start(problem, unit=spread(problem) ** 0.25)

    def _steps(self, problem, start):
        first = check.share(self.burn_in, "burn_in") * check.count(self.max_iter, "max_iter")
        self.samples_, variances = [], []
        for step in bayesian_als_steps(problem, start, random_state=self._random_state):
            if step.n_iter > first or step.n_iter == self.max_iter:
                factors = (factor.astype(np.float32) for factor in step.factors)
                self.samples_.append(step.factors._make(factors))
                variances.append(step.noise**2)
                self.noise_ = float(np.sqrt(np.mean(variances)))
            yield step

    def _expectations(self, rows, columns):
        return self._moments(rows, columns)[0]

    def _scores(self, factors, rows, columns):
        places = map(np.minimum, (rows, columns), self._seen.shape)  # all strangers are the last
        return scores_of(factors, self.mean_, *places)

    def _moments(self, rows, columns):
        """Return mean and variance of the scores over the draws, one draw after the other."""
        mean, squares = np.zeros((2, len(rows)))
        for n, sample in enumerate(self.samples_, 1):
            scores = self._scores(sample, rows, columns)
            change = scores - mean
            mean += change / n
            squares += change * (scores - mean)
        return mean, squares / len(self.samples_)
