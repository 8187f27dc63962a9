"""A loss is a negative log-likelihood: six losses, each with its noise model (lesson 3).

For data x and a reconstruction y of one entry:

    loss               ℓ(x, y)                  noise model                   variance     degree
    squared            (x − y)²/2               Gaussian N(y, s²)             s²           2
    absolute           |x − y|                  Laplace(y, s)                 2s²          1
    Kullback–Leibler   x log(x/y) − x + y       Poisson(y)                    y            1
    Itakura–Saito      x/y − log(x/y) − 1       y · Gamma, mean 1, std s      s²y²         0
    logistic           log(1 + eʸ) − xy         Bernoulli(p), p = 1/(1+e⁻ʸ)   p(1 − p)     none
    poisson            eʸ − xy − x + x log x    Poisson(eʸ)                   eʸ           none

Exact statements, for every x and y of the domain:

    −log p(x | y) = ℓ(x, y)/d(s) + terms without y      d = s², s, 1, s², 1, 1: dispersion
    ℓ(γx, γy) = γ^degree ℓ(x, y)                        for γ > 0
    ℓ(x, y) ≥ ℓ(x, x) = 0                               all but the last two
    ∂ℓ/∂y = (y − x)/V(y)                                V = 1, y, y²: squared, Kullback–Leibler and
                                                        Itakura–Saito, where V(y) is the variance
                                                        for s = 1
    ∂ℓ/∂y = E[x | y] − x                                squared, logistic, poisson

The last line but one holds the difference between its three losses: the same residual weighs less
where the noise model expects more noise. In the last two losses y is a score, any real number: the
log-odds, or the logarithm of the mean ("poisson" is Kullback–Leibler at eʸ). The losses sum over
entries: the noise is independent.

References
----------
C. Févotte, N. Bertin and J.-L. Durrieu, Nonnegative matrix factorization with the Itakura–Saito
divergence, Neural Computation, 2009.
C. Févotte and J. Idier, Algorithms for nonnegative matrix factorization with the β-divergence,
Neural Computation, 2011.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, gammaln, logit, xlogy
from sklearn.utils import check_random_state

from mflib import _validation as check
from mflib._compiled import compiled

_SMALLEST = np.finfo(float).smallest_subnormal

# A loss that exceeds the range of numbers is infinite; 0 log 0 is seen to where it occurs.
_quietly = np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore")


class Loss:
    """A loss and the noise model whose negative log-likelihood it is.

    `noise` is the parameter s of the noise model, where it has one.

    Each loss defines the attributes, `_entries`, `_variance` and `_sample`, and overrides
    `_gradient`, `_mean`, `_rest`, `_score` or `_outside` where its formula is another.

    Attributes
    ----------
    name : str
        As in `find_loss`.
    noise_model : str
    noise_power : int
        The dispersion is this power of s: 0 for a noise model without a parameter.
    degree : int or None
        The degree of homogeneity: scaling data and reconstruction by γ scales the loss by γ^degree.
    domain : str
        What the loss needs, in a sentence.
    takes_scores : bool
        Whether the reconstruction is any real number, and only the data must lie in the domain.
    """

    name: str
    noise_model: str
    noise_power: int = 0
    degree: int | None = None
    domain: str = "all real numbers will do"
    takes_scores: bool = False

    @_quietly
    def entries(self, X: ArrayLike, Y: ArrayLike) -> np.ndarray:
        """Return the loss of each entry.

        Parameters
        ----------
        X, Y : arrays of the same shape, or shapes that broadcast
            Data and reconstruction.

        Returns
        -------
        array of the common shape

        Raises
        ------
        ValueError
            If X or Y lies outside the domain.

        Examples
        --------
        >>> find_loss("squared").entries([1, 2, 4], 2)
        array([0.5, 0. , 2. ])
        """
        return self._entries(*self._check(X, Y))

    def value(self, X: ArrayLike, Y: ArrayLike) -> float:
        """Return the loss, the sum over entries.

        Parameters
        ----------
        X, Y : as for `entries`

        Examples
        --------
        >>> find_loss("squared").value([1, 2, 4], 2)
        2.5
        """
        return self.total(*self._check(X, Y))

    @_quietly
    def total(self, X: np.ndarray, Y: np.ndarray, axis: int | None = None) -> float | np.ndarray:
        """Return what `value` does, of arrays that were checked before, or the sums along an axis.

        Where Y overflowed, in an iteration that diverges, it is infinite or NaN.
        """
        total = self._entries(X, Y).sum(axis, dtype=np.float64)
        return float(total) if axis is None else total

    @_quietly
    def gradient(self, X: ArrayLike, Y: ArrayLike) -> np.ndarray:
        """Return the derivative of the loss with respect to each entry of Y.

        Parameters
        ----------
        X, Y : as for `entries`

        Returns
        -------
        array of the common shape

        Examples
        --------
        >>> find_loss("itakura-saito").gradient([1, 2, 4], 2)  # (y − x)/y²
        array([ 0.25,  0.  , -0.5 ])
        """
        return self._gradient(*self._check(X, Y))

    @_quietly
    def negative_log_density(self, X: ArrayLike, Y: ArrayLike, noise: float = 1.0) -> np.ndarray:
        """Return −log p(x | y) of each entry (a density, or a probability for counts).

        It is `entries(X, Y) / dispersion(noise)` plus terms without Y.

        Parameters
        ----------
        X, Y : as for `entries`
        noise : float
            The parameter s of the noise model.

        Returns
        -------
        array of the common shape

        Examples
        --------
        >>> np.exp(-find_loss("kullback-leibler").negative_log_density([0, 1, 2], 1)).round(4)
        array([0.3679, 0.3679, 0.1839])
        """
        X, Y = self._check(X, Y)
        return self._entries(X, Y) / self.dispersion(noise) + self._rest(X, noise)

    def negative_log_likelihood(self, X: ArrayLike, Y: ArrayLike, noise: float = 1.0) -> float:
        """Return −log p(X | Y), the sum of `negative_log_density` over entries.

        Parameters
        ----------
        X, Y, noise : as for `negative_log_density`

        Examples
        --------
        >>> round(find_loss("absolute").negative_log_likelihood([1, 3], 2), 4)  # 2 + 2 log 2
        3.3863
        """
        with np.errstate(over="ignore"):
            return float(self.negative_log_density(X, Y, noise).sum())

    def dispersion(self, noise: float = 1.0) -> float:
        """Return d(s): the negative log-likelihood is loss/d plus terms without Y.

        Examples
        --------
        >>> [loss.dispersion(3) for loss in map(find_loss, ("squared", "absolute"))]
        [9.0, 3.0]
        """
        return self._check_noise(noise) ** self.noise_power

    @_quietly
    def variance(self, Y: ArrayLike, noise: float = 1.0) -> np.ndarray:
        """Return the variance of the data around the reconstruction Y, entry by entry.

        Parameters
        ----------
        Y : array
        noise : float
            The parameter s of the noise model.

        Examples
        --------
        >>> [find_loss(name).variance([1, 10]).tolist() for name in LOSSES][:4]
        [[1.0, 1.0], [2.0, 2.0], [1.0, 10.0], [1.0, 100.0]]
        """
        Y = self._check_reconstruction(_finite(Y, "Y"))
        return np.asarray(self._variance(Y, self._check_noise(noise)))

    @_quietly
    def mean(self, Y: ArrayLike) -> np.ndarray:
        """Return the mean of the data around Y: Y itself, p if logistic, eʸ if poisson.

        It keeps single precision, and takes infinite numbers.
        """
        return self._mean(self._check_reconstruction(check.floats(Y, "Y")))

    @_quietly
    def best_constant(self, X: np.ndarray) -> float:
        """Return the y of smallest loss among the reconstructions that are y everywhere.

        That is the y whose mean is the mean of the data, but their median for the absolute loss. It
        is finite: n zeros have the log-odds, or the logarithm, of the mean 1/(n + 1).

        Examples
        --------
        >>> [find_loss(name).best_constant(np.array([0, 1.0])) for name in ("squared", "logistic")]
        [0.5, 0.0]
        """
        X = self.check_data(np.asarray(X))
        return self._score(float(X.mean(dtype=np.float64)), 1 / (X.size + 1))

    @_quietly
    def sample(self, Y: ArrayLike, noise: float = 1.0, random_state=None) -> np.ndarray:
        """Draw data around the reconstruction Y.

        Parameters
        ----------
        Y : array
        noise : float
            The parameter s of the noise model.
        random_state : int, RandomState or None

        Returns
        -------
        array of the shape of Y

        Examples
        --------
        >>> find_loss("kullback-leibler").sample([0, 3, 1000], random_state=0)
        array([  0.,   5., 994.])
        """
        Y = self._check_reconstruction(_finite(Y, "Y"))
        random_state = check_random_state(random_state)
        return np.asarray(self._sample(Y, self._check_noise(noise), random_state), dtype=float)

    def _gradient(self, X, Y):
        return self._mean(Y) - X

    def _mean(self, Y):
        return Y

    def _rest(self, X, s):
        """Return the terms of the negative log-density that do not depend on Y."""
        return 0.0

    def _score(self, mean, smallest):
        """Return the y of that mean, a finite one for a mean at an end of the domain."""
        return mean

    def check_data(self, X: np.ndarray, name: str = "X") -> np.ndarray:
        """Return the array X, refusing it in one sentence if it lies outside the domain."""
        outside = f"outside the domain: {self.domain}"
        check.no_entries(self._outside(X), name, f"entry {outside}", f"entries {outside}")
        return X

    def _check_reconstruction(self, Y):
        return Y if self.takes_scores else self.check_data(Y, "Y")

    def _outside(self, A):
        """Return which entries lie outside the domain."""
        return False

    def _check(self, X, Y):
        X = self.check_data(_finite(X, "X"))
        return _broadcast(X, self._check_reconstruction(_finite(Y, "Y")))

    def _check_noise(self, noise):
        noise = check.positive(noise, "noise")
        check.need(1e-150 <= noise <= 1e150, f"noise is {noise}", "1e-150 to 1e150")
        fits = self.noise_power > 0 or noise == 1
        check.need(fits, f"noise is {noise}, but {self.noise_model} noise has no parameter", "1")
        return noise


class SquaredLoss(Loss):
    """ℓ = (x − y)²/2, the loss of Gaussian noise with standard deviation s."""

    name = "squared"
    noise_model = "Gaussian"
    noise_power = 2
    degree = 2

    def _entries(self, X, Y):
        error = np.subtract(Y, X, dtype=np.float64)
        return error * (error / 2)

    def _rest(self, X, s):
        return np.log(s * np.sqrt(2 * np.pi))

    def _variance(self, Y, s):
        return np.full_like(Y, s**2)

    def _sample(self, Y, s, random_state):
        return random_state.normal(Y, s)


class AbsoluteLoss(Loss):
    """ℓ = |x − y|, the loss of Laplace noise with scale s (standard deviation √2 s).

    At x = y the loss has a kink; the gradient there is given as 0, one of its subgradients.
    """

    name = "absolute"
    noise_model = "Laplace"
    noise_power = 1
    degree = 1

    def _entries(self, X, Y):
        return np.abs(X - Y)

    def _gradient(self, X, Y):
        return np.sign(Y - X)

    def _rest(self, X, s):
        return np.log(2 * s)

    def _variance(self, Y, s):
        return np.full_like(Y, 2 * s**2)

    def _sample(self, Y, s, random_state):
        return random_state.laplace(Y, s)

    def best_constant(self, X: np.ndarray) -> float:
        """Return the median of the data."""
        return float(np.median(X))


class KullbackLeiblerLoss(Loss):
    """ℓ = x log(x/y) − x + y for x, y ≥ 0, the loss of Poisson noise.

    Zeros: 0 log 0 = 0, its limit, so ℓ(0, y) = y. Where y = 0 < x the loss is infinite, because a
    Poisson variable of mean 0 is never positive. The likelihood is a probability for whole x; for
    others the same formula is used, with Γ(x + 1) in place of x!.
    """

    name = "kullback-leibler"
    noise_model = "Poisson"
    degree = 1
    domain = "the Kullback–Leibler loss needs numbers of at least 0"

    def _entries(self, X, Y):
        return np.where(X == 0, 0, X * _log_ratio(X, Y)) - X + Y

    def _gradient(self, X, Y):
        return 1 - np.where(X == 0, 0, X / Y)

    def _rest(self, X, s):
        return _beyond_stirling(X)

    def _variance(self, Y, s):
        return self._mean(Y)

    def _sample(self, Y, s, random_state):
        mean, why = self._mean(Y), "with a mean too large to draw counts"
        check.no_entries(mean > np.iinfo("l").max / 2, "Y", f"entry {why}", f"entries {why}")
        return random_state.poisson(mean)

    def _outside(self, A):
        return A < 0


class ItakuraSaitoLoss(Loss):
    """ℓ = x/y − log(x/y) − 1 for x, y > 0, the loss of multiplicative Gamma noise.

    The data are y times a Gamma variable of mean 1 and standard deviation s (shape 1/s²); s = 1 is
    the exponential distribution. Zeros are refused: 0/y has no logarithm.
    """

    name = "itakura-saito"
    noise_model = "multiplicative Gamma"
    noise_power = 2
    degree = 0
    domain = "the Itakura–Saito loss needs numbers above 0, because it takes the logarithm of X/Y"

    def _entries(self, X, Y):
        return X / Y - _log_ratio(X, Y) - 1

    def _gradient(self, X, Y):
        return (Y - X) / Y / Y  # Y² may leave the range of numbers

    def _rest(self, X, s):
        # with a = 1/s²: log Γ(a) − a log a + a + log x, where log Γ(a) = log Γ(a + 1) − log a
        return _beyond_stirling(1 / s**2) + 2 * np.log(s) + np.log(X)

    def _variance(self, Y, s):
        return s**2 * Y**2

    def _sample(self, Y, s, random_state):
        # For large s a draw may underflow to 0, which the loss would refuse.
        return np.maximum(Y * random_state.gamma(1 / s**2, s**2, Y.shape), _SMALLEST)

    def _outside(self, A):
        return A <= 0


class LogisticLoss(Loss):
    """ℓ = log(1 + eʸ) − xy for x in {0, 1} and any real y, the loss of Bernoulli noise.

    The reconstruction y is the log-odds of a 1: the mean of the data is p = 1/(1 + e⁻ʸ) and not y.
    The loss equals the negative log-likelihood, without further terms. It has no minimum: it falls
    to 0 as y → ∞ for x = 1 and as y → −∞ for x = 0. It has no degree of homogeneity.
    """

    name = "logistic"
    noise_model = "Bernoulli"
    domain = "the logistic loss needs data of 0 or 1"
    takes_scores = True

    def _entries(self, X, Y):
        return np.logaddexp(0, Y) - X * Y

    def _variance(self, Y, s):
        return expit(Y) * expit(-Y)

    def _mean(self, Y):
        return expit(Y)

    def _score(self, mean, smallest):
        return float(logit(np.clip(mean, smallest, 1 - smallest)))

    def _sample(self, Y, s, random_state):
        return random_state.binomial(1, expit(Y))

    def _outside(self, A):
        return (A != 0) & (A != 1)


class PoissonLoss(KullbackLeiblerLoss):
    """ℓ = eʸ − xy − x + x log x for x ≥ 0 and any real y, the loss of Poisson noise of mean eʸ.

    It is the Kullback–Leibler loss of x and eʸ: the reconstruction y is the logarithm of the mean,
    so that no constraint is needed to keep the mean above 0.
    """

    name = "poisson"
    degree = None
    domain = "the Poisson loss needs data of at least 0"
    takes_scores = True

    def _entries(self, X, Y):
        loss = np.exp(Y) - X * Y - X + xlogy(X, X)
        return np.where(np.isnan(loss), np.inf, loss)  # ∞ − ∞: eʸ or x log x wins

    _gradient = Loss._gradient

    def _mean(self, Y):
        return np.exp(Y)

    def _score(self, mean, smallest):
        return float(np.log(max(mean, smallest)))


_KINDS = SquaredLoss, AbsoluteLoss, KullbackLeiblerLoss, ItakuraSaitoLoss, LogisticLoss, PoissonLoss

LOSSES: dict[str, Loss] = {kind.name: kind() for kind in _KINDS}

# The losses whose derivative is E[x | y] − x, and their numbers in compiled loops.
CANONICAL = ("squared", "logistic", "poisson")
LOGISTIC, POISSON = CANONICAL.index("logistic"), CANONICAL.index("poisson")


@compiled
def loss_at(y, x, loss):
    """Return the loss of one entry; `loss` is a number, the place in `CANONICAL`."""
    if loss == LOGISTIC:
        return np.log1p(np.exp(-abs(y))) + max(y, 0) - x * y
    if loss == POISSON:
        return np.exp(y) - x * y - x + (x * np.log(x) if x > 0 else 0)
    return (y - x) ** 2 / 2


@compiled
def error_at(y, x, loss):
    """Return the derivative of `loss_at` by y: the mean of the data around y, minus x."""
    if loss == LOGISTIC:
        return type(x)(1 / (1 + np.exp(-y))) - x  # in the precision of x
    if loss == POISSON:
        return np.exp(y) - x
    return y - x


def find_loss(loss: str | Loss) -> Loss:
    """Return the loss of that name, one of `LOSSES`; a `Loss` is returned as it is.

    Examples
    --------
    >>> find_loss("kullback-leibler").noise_model
    'Poisson'
    """
    return loss if isinstance(loss, Loss) else LOSSES[check.choice(loss, LOSSES, "loss")]


def beta_divergence(X: ArrayLike, Y: ArrayLike, beta: float) -> np.ndarray:
    """Return the β-divergence of each entry, the family that joins three losses.

        d(x, y) = (x^β + (β − 1) y^β − β x y^(β−1)) / (β(β − 1))

    At β = 2 this is the squared loss, and its limits are the Kullback–Leibler loss for β → 1 and
    the Itakura–Saito loss for β → 0. For all β it is homogeneous of degree β, and its gradient is
    (y − x) y^(β−2): the variance function is y^(2−β).

    Parameters
    ----------
    X, Y : arrays of the same shape, or shapes that broadcast
        At least 0 (any real numbers if β = 2); Y above 0 if β < 1; X above 0 too if β ≤ 0.
    beta : float
        The values 2, 1 and 0 give the three losses. As close to 1 or 0 as 1e-n, but not equal, the
        formula loses n digits.

    Returns
    -------
    array of the common shape
        Its sum is the divergence of the matrices.

    Raises
    ------
    ValueError
        If X or Y lies outside the domain, or at other β than 2, 1 and 0 a power of them overflows.

    Examples
    --------
    >>> [round(float(beta_divergence(3, 2, beta)), 4) for beta in (2, 1.5, 1, 0.5, 0)]
    [0.5, 0.3285, 0.2164, 0.1429, 0.0945]
    """
    beta = check.number(beta, "beta")
    named = {0: "itakura-saito", 1: "kullback-leibler", 2: "squared"}
    if beta in named:
        return LOSSES[named[beta]].entries(X, Y)
    X, Y = _broadcast(_finite(X, "X"), _finite(Y, "Y"))
    outside = (X < 0) | (Y < 0) | ((Y == 0) & (beta < 1)) | ((X == 0) & (beta < 0))
    needed = "X, Y >= 0, and Y > 0 if beta < 1, and X > 0 if beta <= 0,"
    check.need(not outside.any(), f"X or Y is outside the domain for beta = {beta:g}", needed)
    with np.errstate(over="ignore", invalid="ignore"):
        d = X**beta + (beta - 1) * Y**beta - beta * X * Y ** (beta - 1)
    return check.finite(d / (beta * (beta - 1)), "the β-divergence")


def _log_ratio(X, Y):
    """Return log(X / Y), also where the quotient leaves the range of numbers."""
    (x, power_of_x), (y, power_of_y) = np.frexp(X), np.frexp(Y)
    # abs: a zero may be −0
    return np.log(abs(x / y)) + (power_of_x - power_of_y) * np.log(2)


def _beyond_stirling(x):
    """Return log Γ(x + 1) − x log x + x; for large x these terms leave no digit of each other."""
    series = np.log(2 * np.pi * np.maximum(x, 1)) / 2 + 1 / (12 * np.maximum(x, 1))
    return np.where(x > 1e4, series, gammaln(x + 1) - xlogy(x, x) + x)


def _finite(X, name):
    return check.finite(check.floats(X, name).astype(np.float64, copy=False), name)


def _broadcast(X, Y):
    try:
        return np.broadcast_arrays(X, Y)
    except ValueError:
        shapes = f"X has shape {X.shape} and Y has shape {Y.shape}"
        raise ValueError(f"{shapes}; the same shape is needed") from None
