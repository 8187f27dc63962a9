"""Non-negative matrix factorization X ≈ W H with W, H ≥ 0, for four losses (lesson 3).

The formulas of this room, for the half step that improves W while H stays. Y = W H; products ∘ and
quotients of matrices are entry by entry. The half step for H is the same, everything transposed.

    wⱼ ← max(0, (X hⱼᵀ − Σ_{i≠j} wᵢ hᵢ hⱼᵀ) / hⱼ hⱼᵀ)         coordinate descent, column by column
    W ← W ∘ (X Hᵀ) / (Y Hᵀ)                                    multiplicative, squared loss
    W ← W ∘ ((X / Y) Hᵀ) / (1 Hᵀ)                              Kullback–Leibler
    W ← W ∘ (((X / Y²) Hᵀ) / ((1 / Y) Hᵀ))^γ, γ = 1 or ½       Itakura–Saito
    W ← W ∘ ((Ω ∘ X) Hᵀ) / ((Ω ∘ Y) Hᵀ), Ω = 1 / |X − Y|       absolute (iterative reweighting)

No half step increases the loss plus its penalties (theorems, or checked while it runs: each update
says which). A multiplicative update needs no step size and keeps W positive, and what is zero stays
zero for ever, even where that is wrong: start without zeros. Coordinate descent can leave a zero.

Where (W H)ᵢⱼ = 0 < Xᵢⱼ, the Kullback–Leibler and Itakura–Saito losses are infinite. There Y counts
as 1e-100, so that the loss is large but finite, and nothing is divided by zero.

References
----------
D. D. Lee and H. S. Seung, Algorithms for non-negative matrix factorization, NIPS, 2000.
A. Cichocki and A.-H. Phan, Fast local algorithms for large scale nonnegative matrix and tensor
factorizations, IEICE Transactions on Fundamentals, 2009.
C. Févotte and J. Idier, Algorithms for nonnegative matrix factorization with the β-divergence,
Neural Computation, 2011.
C. Boutsidis and E. Gallopoulos, SVD based initialization: a head start for nonnegative matrix
factorization, Pattern Recognition, 2008.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count, islice
from math import sqrt
from typing import NamedTuple
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import norm
from scipy.sparse.linalg import LinearOperator
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from mflib._validation import Matrix, check_count, check_matrix, check_number
from mflib.losses import Loss, find_loss
from mflib.svd import randomized_svd

# Stands for a zero in a denominator. Its inverse can still be squared.
_FLOOR = 1e-100

# Losses that need WH only where X is not zero, or only through small products.
_SPARSE = ("squared", "kullback-leibler")

# Rows are worked off in blocks of about this many entries, which stay in the processor's cache.
_BLOCK = 1 << 15


class Penalty(NamedTuple):
    """The penalty l1 ΣW + l2/2 ΣW² on a factor W (or H)."""

    l1: float = 0.0
    l2: float = 0.0

    def rows(self, W: np.ndarray) -> np.ndarray:
        """Return the penalty of each row of W, an array of shape (m,)."""
        if not any(self):
            return np.zeros(len(W))
        return self.l1 * W.sum(axis=1) + self.l2 / 2 * (W**2).sum(axis=1)


@dataclass(frozen=True)
class _Problem:
    """What `nmf_steps` minimises."""

    X: Matrix
    loss: Loss
    penalty_W: Penalty
    penalty_H: Penalty


@dataclass(frozen=True)
class NMFStep:
    """One iterate: W (m, k), H (k, n), `loss`, and `objective`, the loss plus the penalties.

    The last two are computed when they are first asked for: a solver that does not look at every
    loss does not pay for it.
    """

    n_iter: int
    W: np.ndarray
    H: np.ndarray
    _problem: _Problem = field(repr=False)

    @cached_property
    def loss(self) -> float:
        """The loss of W H, summed over entries."""
        return _loss(self._problem.X, self.W, self.H, self._problem.loss)

    @cached_property
    def objective(self) -> float:
        """The loss plus the penalties on W and H; no step increases it."""
        problem = self._problem
        penalties = problem.penalty_W.rows(self.W).sum() + problem.penalty_H.rows(self.H).sum()
        return self.loss + float(penalties)


def nmf_steps(
    X: Matrix,
    W0: ArrayLike,
    H0: ArrayLike,
    *,
    loss: str | Loss = "squared",
    solver: str = "auto",
    penalty_W: Penalty | tuple[float, float] = (0.0, 0.0),
    penalty_H: Penalty | tuple[float, float] = (0.0, 0.0),
    update_H: bool = True,
) -> Iterator[NMFStep]:
    """Yield the iterates of non-negative matrix factorization, for ever.

    Parameters
    ----------
    X : (m, n) array, or sparse matrix for the squared and the Kullback–Leibler loss
        At least 0; above 0 for the Itakura–Saito loss.
    W0, H0 : (m, k) and (k, n) arrays, at least 0
        The start. Multiplicative updates keep its zeros.
    loss : {"squared", "absolute", "kullback-leibler", "itakura-saito"} or Loss
    solver : {"auto", "cd", "mu"}
        Coordinate descent, for the squared loss, or multiplicative updates. "auto" takes
        coordinate descent where it can.
    penalty_W, penalty_H : Penalty
        Pairs (l1, l2): l1 ΣW + l2/2 ΣW² is added to what is minimised.
    update_H : bool
        If False, H stays as it is and only W is fitted.

    Yields
    ------
    NMFStep
        `n_iter` counts from 0 (the start). Every later iterate has a new W and then a new H.

    Examples
    --------
    >>> steps = nmf_steps([[1, 2], [2, 4]], [[1], [1]], [[1, 1]])
    >>> [round(next(steps).loss, 3) for _ in range(3)]
    [5.5, 0.0, 0.0]
    """
    loss = _check_loss(loss)
    update = _find_update(loss, solver)
    X = _check_data(X, loss)
    W0 = _check_factor(W0, (X.shape[0], None), "W0")
    H0 = _check_factor(H0, (W0.shape[1], X.shape[1]), "H0")
    penalty_W = _check_penalty(penalty_W, "penalty_W")
    problem = _Problem(X, loss, penalty_W, _check_penalty(penalty_H, "penalty_H"))
    # Updates that go through the entries of X want them in a row; BLAS does not mind.
    transposed = np.ascontiguousarray(X.T) if loss.name != "squared" and _is_dense(X) else X.T

    def iterate(W, H):
        for n_iter in count():
            yield NMFStep(n_iter, W, H, problem)
            W = update(X, W, H, problem.penalty_W, n_iter)
            if update_H:
                H = update(transposed, H.T, W.T, problem.penalty_H, n_iter).T

    return iterate(np.asfortranarray(W0), np.ascontiguousarray(H0))


def initial_factors(
    X: Matrix, k: int, *, init: str = "nndsvda", random_state=None
) -> tuple[np.ndarray, np.ndarray]:
    """Return a start W (m, k), H (k, n) for non-negative matrix factorization.

    "nndsvd" takes of each singular triple σ u vᵀ the positive or the negative parts of u and v,
    whichever pair is larger: it has many zeros, good for coordinate descent, a trap for
    multiplicative updates. "nndsvda" puts the mean of X in place of the zeros. "random" draws all
    entries as √(mean(X) / k) |z|, z standard normal.

    Parameters
    ----------
    X : (m, n) array or sparse matrix, at least 0
    k : int
        Number of components; at most min(m, n) unless `init` is "random".
    init : {"nndsvd", "nndsvda", "random"}
    random_state : int, RandomState or None
        Chooses the random factors, or the start of the randomized SVD.

    References
    ----------
    Boutsidis and Gallopoulos (2008).

    Examples
    --------
    >>> W, H = initial_factors([[4, 0], [0, 1]], 2, init="nndsvd", random_state=0)
    >>> (W @ H).round(6)
    array([[4., 0.],
           [0., 1.]])
    """
    X = _check_nonnegative(check_matrix(X, "X"))
    if init == "random":
        k = check_count(k, 10**9, "k")
        random_state = check_random_state(random_state)
        scale = sqrt(X.mean() / k)
        H = scale * np.abs(random_state.standard_normal((k, X.shape[1])))
        return scale * np.abs(random_state.standard_normal((X.shape[0], k))), H
    if init not in ("nndsvd", "nndsvda"):
        raise ValueError(f"init is {init!r}; use 'nndsvd', 'nndsvda' or 'random'")
    k = check_count(k, min(X.shape), "k")
    U, singular_values, Vt = randomized_svd(X, k, random_state=random_state)
    W, H = np.zeros((X.shape[0], k)), np.zeros((k, X.shape[1]))
    for j, (u, size, v) in enumerate(zip(U.T, singular_values, Vt, strict=True)):
        parts = [(np.maximum(sign * u, 0), np.maximum(sign * v, 0)) for sign in (1, -1)]
        u, v = max(parts, key=lambda pair: norm(pair[0]) * norm(pair[1]))
        if size > 0 and u.any() and v.any():
            W[:, j] = sqrt(size * norm(v) / norm(u)) * u
            H[j] = sqrt(size * norm(u) / norm(v)) * v
    for factor in (W, H):
        factor[factor < 1e-6 * factor.max()] = X.mean() if init == "nndsvda" else 0
    return W, H


class NMF(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Non-negative matrix factorization with a choice of loss, in scikit-learn's conventions.

    It minimises, over W ≥ 0 and H ≥ 0,

        loss(X, W H) + n α_W (ρ ΣW + (1 − ρ)/2 ΣW²) + m α_H (ρ ΣH + (1 − ρ)/2 ΣH²)

    with X of m rows (samples) and n columns (features), ρ = `l1_ratio`. The problem has many local
    minima: another start may end in another one.

    Parameters
    ----------
    n_components : int or "auto"
        k. "auto" takes it from the start if `init` is "custom", else n.
    loss : {"squared", "absolute", "kullback-leibler", "itakura-saito"} or Loss
    solver : {"auto", "cd", "mu"}
        As for `nmf_steps`.
    init : {"nndsvd", "nndsvda", "random", "custom"} or None
        As for `initial_factors`; "custom" takes W and H from the call of `fit`. None takes
        "nndsvda" if k is at most min(m, n), else "random".
    tol : float
        Stop when ten iterations lower √(2 objective) by at most `tol` times its value at the start.
        0 never stops early. For the absolute loss it never stops before iteration 460, when its
        smoothing has fallen to a hundredth of the mean of X.
    max_iter : int
    random_state : int, RandomState or None
        For the start.
    alpha_W : float
    alpha_H : float or "same"
        "same" takes `alpha_W`.
    l1_ratio : float, 0 to 1

    Attributes
    ----------
    components_ : (k, n) array
        H.
    n_components_ : int
        k.
    reconstruction_err_ : float
        √(2 loss), without penalties: ‖X − W H‖ for the squared loss.
    n_iter_ : int
        Iterations done.
    n_features_in_ : int
        n.

    Examples
    --------
    >>> model = NMF(1, loss="kullback-leibler")
    >>> W = model.fit_transform([[1, 2], [2, 4], [3, 6]])
    >>> (W @ model.components_).round(6)
    array([[1., 2.],
           [2., 4.],
           [3., 6.]])
    """

    def __init__(
        self,
        n_components="auto",
        *,
        loss="squared",
        solver="auto",
        init=None,
        tol=1e-4,
        max_iter=500,
        random_state=None,
        alpha_W=0.0,
        alpha_H="same",
        l1_ratio=0.0,
    ):
        self.n_components = n_components
        self.loss = loss
        self.solver = solver
        self.init = init
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.alpha_W = alpha_W
        self.alpha_H = alpha_H
        self.l1_ratio = l1_ratio

    def fit(self, X, y=None, W=None, H=None):
        """Find W and H and keep H.

        Parameters
        ----------
        X : (m, n) array or sparse matrix, at least 0
        y : ignored
        W, H : (m, k) and (k, n) arrays
            The start, if `init` is "custom".

        Returns
        -------
        self
        """
        self.fit_transform(X, W=W, H=H)
        return self

    def fit_transform(self, X, y=None, W=None, H=None):
        """Find W and H, keep H and return W.

        Parameters
        ----------
        X, y, W, H : as for `fit`

        Returns
        -------
        (m, k) array
        """
        X = self._check_X(X, reset=True)
        last = self._run(X, *self._start(X, W, H), update_H=True)
        self.components_ = last.H
        self.n_components_ = len(last.H)
        self.n_iter_ = last.n_iter
        self.reconstruction_err_ = _root(last.loss)
        return np.ascontiguousarray(last.W)

    def transform(self, X):
        """Return the W that fits X best with the H found before.

        Parameters
        ----------
        X : (m, n) array or sparse matrix, at least 0

        Returns
        -------
        (m, k) array
        """
        check_is_fitted(self)
        X = self._check_X(X, reset=False)
        start = 0 if self._can_leave_zeros() else sqrt(X.mean() / self.n_components_)
        W = np.full((X.shape[0], self.n_components_), float(start))
        return np.ascontiguousarray(self._run(X, W, self.components_, update_H=False).W)

    def inverse_transform(self, W):
        """Return W H.

        Parameters
        ----------
        W : (m, k) array or sparse matrix

        Returns
        -------
        (m, n) array
        """
        check_is_fitted(self)
        W = check_matrix(W, "W")
        if W.shape[1] != self.n_components_:
            raise ValueError(f"W has {W.shape[1]} columns; {self.n_components_} are needed")
        return W @ self.components_

    def _can_leave_zeros(self):
        return _find_update(_check_loss(self.loss), self.solver) is _coordinate_descent

    def _takes_sparse(self):
        return getattr(self.loss, "name", self.loss) in _SPARSE

    def _check_X(self, X, reset):
        return validate_data(
            self,
            X,
            accept_sparse=("csr", "csc") if self._takes_sparse() else False,
            dtype=np.float64,
            ensure_non_negative=True,
            reset=reset,
        )

    def _start(self, X, W, H):
        """Return the start of W and H, with a warning if its zeros would stay for ever."""
        W, H = self._choose_start(X, W, H)
        has_zeros = self.init in ("custom", "nndsvd") and not (W.all() and H.all())
        if has_zeros and not self._can_leave_zeros():
            warn(
                "the start has zeros, and multiplicative updates keep them; use init='nndsvda', or "
                "add a small number to W and H",
                UserWarning,
                stacklevel=4,
            )
        return W, H

    def _choose_start(self, X, W, H):
        if self.init == "custom":
            if W is None or H is None:
                raise ValueError("init is 'custom', so W and H must be passed to fit")
            k = None if self.n_components == "auto" else self.n_components
            W = _check_factor(W, (X.shape[0], k), "W")
            return W, _check_factor(H, (W.shape[1], X.shape[1]), "H")
        if W is not None or H is not None:
            raise ValueError(f"W and H are passed, but init is {self.init!r}; 'custom' uses them")
        k = X.shape[1] if self.n_components == "auto" else self.n_components
        k = check_count(k, 10**9, "n_components")
        init = self.init or ("nndsvda" if k <= min(X.shape) else "random")
        return initial_factors(X, k, init=init, random_state=self.random_state)

    def _penalties(self, X):
        """Return the penalties on W and H, scaled as in scikit-learn."""
        alpha_H = self.alpha_W if self.alpha_H == "same" else self.alpha_H
        l1_ratio = _check_nonnegative_number(self.l1_ratio, "l1_ratio", largest=1)
        strengths = (
            X.shape[1] * _check_nonnegative_number(self.alpha_W, "alpha_W"),
            X.shape[0] * _check_nonnegative_number(alpha_H, "alpha_H"),
        )
        return [Penalty(l1_ratio * s, (1 - l1_ratio) * s) for s in strengths]

    def _run(self, X, W, H, update_H):
        """Return the iterate at which the stopping rule holds, or the last one."""
        tol = _check_nonnegative_number(self.tol, "tol")
        max_iter = check_count(self.max_iter, 10**9, "max_iter")
        penalty_W, penalty_H = self._penalties(X)
        steps = nmf_steps(
            X,
            W,
            H,
            loss=self.loss,
            solver=self.solver,
            penalty_W=penalty_W,
            penalty_H=penalty_H,
            update_H=update_H,
        )
        smoothed = _check_loss(self.loss).name == "absolute"
        start = error = _root(next(steps).objective)
        for step in islice(steps, max_iter):
            if tol > 0 and step.n_iter % 10 == 0:
                previous, error = error, _root(step.objective)
                settled = not smoothed or _smoothing(step.n_iter) <= 0.01
                if settled and previous - error <= tol * start:
                    return step
        if tol > 0:
            warn(
                f"not converged after {max_iter} iterations; allow more or a larger tol",
                ConvergenceWarning,
                stacklevel=3,
            )
        return step

    def __sklearn_tags__(self):
        """Tell scikit-learn which data this estimator takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = self._takes_sparse()
        return tags

    @property
    def _n_features_out(self):
        return self.n_components_


# Each update takes X, W, H, the penalty on W and the number of iterations done, and returns a
# better W. Arrays W are kept so that their transpose is C-ordered: then both factors have k long
# rows. Products and quotients that meet a zero denominator have a zero numerator too.


def _coordinate_descent(X, W, H, penalty, n_iter):
    """Set each column of W to its minimiser, given the other columns. Never increases (theorem).

    A component whose row of H is zero does not matter to the loss; without an l2 penalty its
    column of W stays.
    """
    gram, target = H @ H.T, _product(X, H).T - penalty.l1
    curvature = gram.diagonal() + penalty.l2
    np.fill_diagonal(gram, 0)
    movable = np.flatnonzero(curvature > 0)
    gram[movable] /= curvature[movable, None]
    target[movable] /= curvature[movable, None]
    columns, column = W.T.copy(), np.empty(len(W))
    for j in movable:
        np.dot(gram[j], columns, out=column)
        np.subtract(target[j], column, out=column)
        np.maximum(column, 0, out=columns[j])
    return columns.T


def _squared(X, W, H, penalty, n_iter):
    """Multiply W by its factor for the squared loss. Never increases (Lee and Seung 2000).

    With penalties too: l1 w and l2 w²/2 lie below the parabola l1 (w²/w₀ + w₀)/2 + l2 w²/2, which
    adds l1 + l2 w₀ to the denominator.
    """
    denominator = ((H @ H.T) @ W.T).T  # W H Hᵀ, in the memory order of W
    return W * _factor(_product(X, H), denominator, W, penalty)


def _kullback_leibler(X, W, H, penalty, n_iter):
    """Multiply W by its factor for the Kullback–Leibler loss. Never increases (Lee and Seung 2000).

    The auxiliary function −a log w + b w + l2 w²/2, with a = w₀ ∘ ((X / Y) Hᵀ) and b = 1 Hᵀ + l1,
    has its minimum at the root of l2 w² + b w = a. (The usual a / (b + l2 w₀) may increase it.)
    """
    if _is_dense(X):
        a = np.empty_like(W)
        for rows, (Y,) in _blocks(X, 1):
            _reconstruct(W[rows], H, out=Y)
            a[rows] = np.divide(X[rows], Y, out=Y) @ H.T
    else:
        ratio = X.copy()
        ratio.data /= np.maximum(_at_nonzeros(X, W, H), _FLOOR)
        a = ratio @ H.T
    a = a * W
    b = H.sum(axis=1) + penalty.l1
    if penalty.l2 > 0:
        b = (b + np.sqrt(b**2 + 4 * penalty.l2 * a)) / 2
    return a / np.maximum(b, _FLOOR)


def _itakura_saito(X, W, H, penalty, n_iter):
    """Multiply W by its factor for the Itakura–Saito loss, or by the root of it. Never increases.

    The root of the factor never increases the loss (Févotte and Idier 2011; with penalties too).
    The factor itself needs about half as many iterations and hardly ever increases it: it is tried
    first, and in each row of W where the loss would increase the root is taken.
    """
    result = np.empty_like(W)
    for rows, (inverse, ratio, change) in _blocks(X, 3):
        old = W[rows]
        np.divide(1, _reconstruct(old, H, out=inverse), out=inverse)
        np.multiply(X[rows], inverse, out=ratio)
        numerator = np.multiply(ratio, inverse, out=change) @ H.T
        factor = _factor(numerator, inverse @ H.T, old, penalty)
        new = old * factor
        # With q = Y_new / Y the loss changes by x/(yq) − x/y + log q.
        increase = penalty.rows(new) - penalty.rows(old) - ratio.sum(axis=1)
        growth = np.multiply(_reconstruct(new, H, out=change), inverse, out=change)
        increase += np.log(growth, out=inverse).sum(axis=1)
        increase += np.divide(ratio, growth, out=ratio).sum(axis=1)
        worse = increase > 0
        new[worse] = old[worse] * np.sqrt(factor[worse])
        result[rows] = new
    return result


def _smoothing(n_iter):
    """Return the threshold ε of `_absolute`, relative to the mean of X."""
    return max(0.99**n_iter, 1e-4)


def _absolute(X, W, H, penalty, n_iter):
    """Multiply W by its factor for a weighted squared loss. Never increases (checked).

    For every t > 0, |e| ≤ e²/(2t) + t/2, with equality at t = |e|. With t = max(|e₀|, ε) for the
    present error e₀ the right side is a weighted squared loss, and the multiplicative update for it
    never increases Σ h(e), h(e) = |e| where |e| ≥ ε and e²/(2ε) + ε/2 below (theorem). For a small
    ε the entries that fit already hold everything in place, so ε starts at the mean of X and falls
    by 1 % per iteration to a ten-thousandth of it: h falls too, to within ε/2 of |e|. In between
    Σ |e| itself may increase: a row of W where it would keeps its old values.
    """
    threshold = max(X.mean() * _smoothing(n_iter), _FLOOR)
    result = np.empty_like(W)
    for rows, (Y, error, weight) in _blocks(X, 3):
        data, old = X[rows], W[rows]
        np.matmul(old, H, out=Y)
        np.abs(np.subtract(data, Y, out=error), out=error)
        np.divide(1, np.maximum(error, threshold, out=weight), out=weight)
        denominator = np.multiply(Y, weight, out=Y) @ H.T
        numerator = np.multiply(data, weight, out=Y) @ H.T
        new = old * _factor(numerator, denominator, old, penalty)
        increase = penalty.rows(new) - penalty.rows(old) - error.sum(axis=1)
        np.subtract(data, np.matmul(new, H, out=Y), out=Y)
        increase += np.abs(Y, out=Y).sum(axis=1)
        worse = increase > 0
        new[worse] = old[worse]
        result[rows] = new
    return result


_UPDATES = {
    ("squared", "cd"): _coordinate_descent,
    ("squared", "mu"): _squared,
    ("absolute", "mu"): _absolute,
    ("kullback-leibler", "mu"): _kullback_leibler,
    ("itakura-saito", "mu"): _itakura_saito,
}


def _is_dense(X):
    return isinstance(X, np.ndarray)


def _product(X, H):
    """Return X Hᵀ, with a C-ordered transpose."""
    return (H @ X.T).T if _is_dense(X) else np.asfortranarray(X @ H.T)


def _reconstruct(W, H, out):
    """Write W H to `out`, with `_FLOOR` in place of zeros."""
    np.matmul(W, H, out=out)
    return np.maximum(out, _FLOOR, out=out) if out.min() < _FLOOR else out


def _factor(numerator, denominator, W, penalty):
    """Return what W is multiplied by, numerator / (denominator + l1 + l2 W), in their memory."""
    if any(penalty):
        denominator += penalty.l1 + penalty.l2 * W
    np.maximum(denominator, _FLOOR, out=denominator)
    return np.divide(numerator, denominator, out=numerator)


def _blocks(X, n_buffers):
    """Yield slices of the rows of X, each with arrays of the shape of that block to write to."""
    height = max(1, _BLOCK // X.shape[1])
    buffers = np.empty((n_buffers, min(height, X.shape[0]), X.shape[1]))
    for start in range(0, X.shape[0], height):
        rows = slice(start, min(start + height, X.shape[0]))
        yield rows, buffers[:, : rows.stop - start]


def _at_nonzeros(X, W, H):
    """Return the entries of W H where the sparse matrix X stores one, in the same order."""
    rows, columns = X.tocoo().coords
    entries = np.empty(X.nnz)
    for start in range(0, X.nnz, _BLOCK):
        part = slice(start, start + _BLOCK)
        entries[part] = np.einsum("ij,ij->i", W[rows[part]], H.T[columns[part]])
    return entries


def _loss(X, W, H, loss):
    """Return the loss of W H; for sparse X without forming W H."""
    if _is_dense(X):
        return loss.value(X, np.maximum(W @ H, _FLOOR))
    if loss.name == "squared":  # ‖X‖² − 2 ⟨XHᵀ, W⟩ + ⟨WᵀW, HHᵀ⟩
        products = np.vdot(X @ H.T, W), np.vdot(W.T @ W, H @ H.T)
        return max(0.0, float(X.data @ X.data - 2 * products[0] + products[1]) / 2)
    everywhere = float(W.sum(axis=0) @ H.sum(axis=1))  # the sum of Y; where X is zero, ℓ = y
    if X.nnz == 0:
        return everywhere
    Y = np.maximum(_at_nonzeros(X, W, H), _FLOOR)
    return loss.value(X.data, Y) + everywhere - float(Y.sum())


def _root(loss):
    return sqrt(2 * max(loss, 0))


def _check_loss(loss):
    loss = find_loss(loss)
    if loss.name == "logistic":
        raise ValueError(
            "loss is 'logistic'; NMF takes squared, absolute, kullback-leibler or itakura-saito"
        )
    return loss


def _find_update(loss, solver):
    if solver not in ("auto", "cd", "mu"):
        raise ValueError(f"solver is {solver!r}; use 'auto', 'cd' or 'mu'")
    if solver == "auto":
        solver = "cd" if loss.name == "squared" else "mu"
    if (loss.name, solver) not in _UPDATES:
        raise ValueError(f"coordinate descent needs the squared loss; use 'mu' for {loss.name}")
    return _UPDATES[loss.name, solver]


def _check_data(X, loss):
    X = _check_nonnegative(check_matrix(X, "X"))
    if _is_dense(X):
        loss.check_data(X)
    elif loss.name not in _SPARSE:
        raise ValueError(f"X is sparse; the {loss.name} loss needs an array")
    return X


def _check_nonnegative(X, name="X"):
    if isinstance(X, LinearOperator):
        raise ValueError(f"{name} is an operator; an array or a sparse matrix is needed")
    negative = np.count_nonzero((X if _is_dense(X) else X.data) < 0)
    if negative:
        entries = "entry" if negative == 1 else "entries"
        raise ValueError(f"{name} has {negative} negative {entries}; NMF needs {name} >= 0")
    return X


def _check_factor(W, shape, name):
    """Return a factor as an array, refusing it if its shape is not `shape` (None: any number)."""
    W = _check_nonnegative(check_matrix(W, name), name)
    if not _is_dense(W):
        raise ValueError(f"{name} is sparse; an array is needed")
    if any(side not in (None, actual) for side, actual in zip(shape, W.shape, strict=True)):
        needed = ", ".join("k" if side is None else str(side) for side in shape)
        raise ValueError(f"{name} has shape {W.shape}; ({needed}) is needed")
    return W


def _check_nonnegative_number(value, name, largest=np.inf):
    number = check_number(value, name)
    if not 0 <= number <= largest:
        limit = "of at least 0" if largest == np.inf else f"from 0 to {largest}"
        raise ValueError(f"{name} is {value}; a number {limit} is needed")
    return number


def _check_penalty(penalty, name):
    penalty = Penalty(*penalty)
    for key, strength in penalty._asdict().items():
        _check_nonnegative_number(strength, f"{key} of {name}")
    return penalty
