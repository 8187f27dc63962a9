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
from scipy.linalg import norm
from scipy.stats import wishart
from sklearn.utils import check_random_state

from mflib import _validation as check
from mflib.completion.als import alternate
from mflib.completion.entries import ObservedEntries
from mflib.completion.estimators import CompletionEstimator, estimator
from mflib.completion.problem import CompletionProblem
from mflib.iteration import ProblemIterate, record
from mflib.least_squares import normal_equations


@record
class BayesianStep(ProblemIterate):
    """One draw of the factors, and `noise`, the standard deviation s that led to it."""

    algorithm = "Bayesian ALS"

    noise: float

    def scores(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the scores x̂ᵢⱼ of pairs of a row i and a column j."""
        return self.problem.scores(self.factors, rows, columns)


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
    factors, random = problem.as_factors(start), check_random_state(random_state)
    entries, size = problem.entries.astype(factors.U.dtype), spread(problem)
    check.number(size * size + problem.loss(factors), "the loss of the start")
    # c times the values are √c times the factors, so c times their variance, and c times the biases
    variances = [size] * factors.U.shape[1] + [size * size] * problem.biases

    def iterate(factors, noise):
        def draw(side, values, mask, U, V):
            return draw_rows(values, mask, V, draw_prior(U, variances, random), noise, random)

        for n_iter in count():
            yield BayesianStep(n_iter, factors, problem, noise)
            # 1/s² ~ Gamma(1, rate size²) before the data; an entry adds ½ and ½e² to the two.
            rate = size * size + problem.loss(factors)
            noise = float(rate / random.gamma(1 + len(entries) / 2)) ** 0.5
            factors = alternate(entries, factors, problem.mean, draw)

    return iterate(factors, np.nan)


def spread(problem: CompletionProblem) -> float:
    """Return the root mean square of the values around μ, or 1 if its square is 0."""
    size = float(norm(problem.entries.values - problem.mean)) / len(problem.entries) ** 0.5
    return size if size * size > 0 else 1.0


def draw_prior(rows: np.ndarray, variances: list[float], random_state) -> tuple:
    """Draw the mean ν (k,) and the precision P (k, k) that rows (m, k) may have come from.

    P ~ Wishart(k, D⁻¹) and ν ~ N(0, (2P)⁻¹) before the rows are known, where D is diagonal and
    holds the `variances` that entries of a row may have. That says as much of ν as two rows of
    zeros. After, with these two among the rows, x̄ their mean and S their scatter around it,
    P ~ Wishart(k + m, (D + S)⁻¹) and ν ~ N(x̄, ((m+2)P)⁻¹).
    """
    freedom, rows = sum(rows.shape), np.vstack([rows, np.zeros((2, rows.shape[1]))])
    mean = rows.mean(axis=0)
    scale = np.linalg.inv(np.diag(variances) + (rows - mean).T @ (rows - mean))
    P = np.atleast_2d(wishart.rvs(freedom, (scale + scale.T) / 2, random_state=random_state))
    L = np.linalg.cholesky(len(rows) * P)
    return mean + np.linalg.solve(L.T, random_state.standard_normal(len(mean))), P


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
    mean, P = (part.astype(V.dtype) for part in prior)
    # z, until a block of rows is drawn in its place
    U = random_state.standard_normal((mask.shape[0], V.shape[1])).astype(V.dtype)
    for rows, G, t, _ in normal_equations(values, mask, V, 0.0):
        A = G / noise**2 + P
        t = t / noise**2 + P @ mean + np.einsum("ifg,ig->if", np.linalg.cholesky(A), U[rows])
        U[rows] = np.linalg.solve(A, t[..., None])[..., 0]
    return U


@estimator
class BayesianALS(CompletionEstimator):
    """Matrix completion by Bayesian alternating least squares: draws instead of minima, averaged.

    There is no λ to choose, and more columns than needed do little harm. See `bayesian_als_steps`.
    The first tenth of the draws is not averaged: they still depend on the start.
    A `start` of `fit` has one row and one column more than the table, for strangers (`samples_`).

    Parameters
    ----------
    rank : int
        k, the number of columns of U and V.
    max_iter : int
        Number of draws, at least 1.
    biases : bool
        Whether to draw μ + bᵢ + cⱼ + uᵢᵀvⱼ; if not, uᵢᵀvⱼ alone.
    dtype : as for `ALS`
    random_state : int, RandomState or None
        Chooses the start and all draws.

    Attributes
    ----------
    samples_ : list of BayesianStep
        The draws that are averaged; one row and one column more than the table has stand for all
        strangers.
    U_, V_, row_bias_, column_bias_
        Those of the last draw, with the strangers.
    mean_, row_counts_, column_counts_, row_labels_, column_labels_, n_features_in_
        As for `ALS`.
    n_iter_, converged_, message_
        As for `ALS`.

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
    biases: bool = True

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
        places = self._places(X)
        values = self._expectations(*places)
        squares = ((s.scores(*places) - values) ** 2 + s.noise**2 for s in self.samples_)
        return (values, np.sqrt(sum(squares) / len(self.samples_))) if return_std else values

    def _pose(self, entries):
        m, n = entries.shape  # and one row and one column that nothing is known of, for strangers
        return super()._pose(ObservedEntries(entries.pairs, entries.values, (m + 1, n + 1)))

    def _start(self, problem):
        return super()._start(problem, scale=0.3 * spread(problem) ** 0.5)

    def _steps(self, problem, start):
        burn_in = check.count(self.max_iter, "max_iter") // 10
        self.samples_ = []
        for step in bayesian_als_steps(problem, start, random_state=self._random_state):
            if step.n_iter > burn_in:
                self.samples_.append(step)
            yield step

    def _expectations(self, rows, columns):  # -1 is the stranger
        return sum(step.scores(rows, columns) for step in self.samples_) / len(self.samples_)
