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

The unit of X does not matter: ℓ(γx, γy) = γᵈ ℓ(x, y), so the best factors of γX are √γ times those
of X (with penalties l1 γ^(d−½) and l2 γ^(d−1)). The factors found are so too (checked): starts have
the unit √X, thresholds that of X, and a run ends by the share that the error has of the size of X.

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
from copy import copy
from dataclasses import KW_ONLY, dataclass
from itertools import count
from math import sqrt
from typing import Any, NamedTuple
from warnings import warn

import numpy as np
from scipy.linalg import norm
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, check_random_state, validate_data

from mflib import _validation as check
from mflib._validation import NEGLIGIBLE, Matrix
from mflib.iteration import (
    Problem,
    ProblemIterate,
    all_or_nothing,
    blocks_of_rows,
    drive,
    record,
    report,
)
from mflib.losses import Loss, find_loss
from mflib.svd import randomized_svd

# What stands for a zero of W H, and for zeros of other denominators, whose numerators are zero too.
_FLOOR, _TINIEST = 1e-100, np.finfo(float).tiny

# The largest entry of X, and of W and H, must lie within these bounds and their inverses: then what
# is computed from them neither overflows nor vanishes.
_X_BOUND, _FACTOR_BOUND = 1e50, 1e100

# Losses that need WH only where X is not zero, or only through small products.
_SPARSE = ("squared", "kullback-leibler")


class Factors(NamedTuple):
    """The factors W (m, k) and H (k, n)."""

    W: np.ndarray
    H: np.ndarray


class Penalty(NamedTuple):
    """The penalty l1 ΣW + l2/2 ΣW² on a factor W (or H)."""

    l1: float = 0.0
    l2: float = 0.0

    def rows(self, W: np.ndarray) -> np.ndarray:
        """Return the penalty of each row of W, an array of shape (m,)."""
        return self.l1 * W.sum(axis=1) + self.l2 / 2 * (W**2).sum(axis=1)


class NMFProblem(Problem):
    """What non-negative matrix factorization minimises: the loss of W H plus penalties.

    Parameters
    ----------
    X : (m, n) array, or sparse matrix for the squared and the Kullback–Leibler loss
        At least 0; above 0 for the Itakura–Saito loss.
    loss : {"squared", "absolute", "kullback-leibler", "itakura-saito"} or Loss
    penalty_W, penalty_H : Penalty
        Pairs (l1, l2): l1 ΣW + l2/2 ΣW² is added to what is minimised.

    Examples
    --------
    >>> problem = NMFProblem([[1, 2], [2, 4]], penalty_W=(0.5, 0))
    >>> start = problem.as_factors(([[1], [1]], [[1, 1]]))
    >>> problem.loss(start), problem.objective(start)
    (5.5, 6.5)
    """

    def __init__(
        self, X: Matrix, *, loss: str | Loss = "squared", penalty_W=(0.0, 0.0), penalty_H=(0.0, 0.0)
    ):
        self.entry_loss = find_loss(loss)
        check.choice(self.entry_loss.name, _UPDATES, "loss")
        self.X = check.no_negative(check.matrix(X, "X"), "X", "NMF")
        is_dense = isinstance(self.X, np.ndarray)
        if not is_dense and self.entry_loss.name not in _SPARSE:
            raise ValueError(f"X is sparse; the {self.entry_loss.name} loss needs an array")
        entries = self.entry_loss.check_data(self.X if is_dense else self.X.data)
        _check_size(entries.max(initial=0), "the largest entry of X", _X_BOUND)
        if self.entry_loss.name == "itakura-saito":  # which looks at ratios only
            _check_size(entries.min(), "the smallest entry of X", _X_BOUND)
        self.penalty_W = _check_penalty(penalty_W, "penalty_W")
        self.penalty_H = _check_penalty(penalty_H, "penalty_H")

    def as_factors(self, start) -> Factors:
        """Return a start as W and H, refusing negative entries."""
        m, n = self.X.shape
        W, H = check.factors(start, Factors, {"W": (m, "k"), "H": ("k", n)})
        for name, factor in (("W", W), ("H", H)):
            check.no_negative(factor, name, "NMF")
            _check_size(factor.max(), f"the largest entry of {name}", _FACTOR_BOUND)
        return Factors(W.astype(float, order="F"), H.astype(float, order="C"))

    def loss(self, factors: Factors) -> float:
        """Return the loss of W H, summed over entries; for sparse X without forming W H."""
        return float(_row_losses(self.X, *factors, self.entry_loss).sum())

    def penalty(self, factors: Factors) -> float:
        """Return the penalties on W and H."""
        return float(self.penalty_W.rows(factors.W).sum() + self.penalty_H.rows(factors.H).sum())

    def row_objectives(self, factors: Factors) -> np.ndarray:
        """Return what each row of W answers for: its loss and its penalty, an array (m,)."""
        return _row_losses(self.X, *factors, self.entry_loss) + self.penalty_W.rows(factors.W)


@record
class NMFStep(ProblemIterate):
    """One iterate: W (m, k), H (k, n), `loss`, and `objective`, which no step increases.

    The last two are computed when they are first asked for: a solver that does not look at every
    loss does not pay for it.
    """

    algorithm = "NMF"


def nmf_steps(
    problem: NMFProblem, start, *, solver: str = "auto", update_H: bool = True
) -> Iterator[NMFStep]:
    """Yield the iterates of non-negative matrix factorization, for ever.

    Parameters
    ----------
    problem : NMFProblem
    start : an iterate, or W (m, k) and H (k, n), at least 0
        Multiplicative updates keep its zeros.
    solver : {"auto", "cd", "mu"}
        Coordinate descent, for the squared loss, or multiplicative updates. "auto" takes
        coordinate descent where it can.
    update_H : bool
        If False, H stays as it is and only W is fitted.

    Yields
    ------
    NMFStep
        `n_iter` counts from 0 (the start). Every later iterate has a new W and then a new H.

    Examples
    --------
    >>> steps = nmf_steps(NMFProblem([[1, 2], [2, 4]]), ([[1], [1]], [[1, 1]]))
    >>> [round(next(steps).loss, 3) for _ in range(3)]
    [5.5, 0.0, 0.0]
    """
    check.kind(isinstance(problem, NMFProblem), problem, "problem", "an NMFProblem")
    update, X = _find_update(problem.entry_loss, solver), problem.X
    check.flag(update_H, "update_H")
    by_rows = isinstance(X, np.ndarray) and problem.entry_loss.name != "squared"
    # blocks of its rows shall be contiguous
    transposed = X.T.copy() if by_rows and update_H else X.T

    def iterate(W, H):
        for n_iter in count():
            yield NMFStep(n_iter, Factors(W, H), problem)
            W = update(X, W, H, problem.penalty_W, _smoothing(n_iter))
            if update_H:
                H = update(transposed, H.T, W.T, problem.penalty_H, _smoothing(n_iter)).T

    return iterate(*problem.as_factors(start))


def initial_factors(X: Matrix, k: int, *, init: str = "nndsvda", random_state=None) -> Factors:
    """Return a start W (m, k), H (k, n) for non-negative matrix factorization.

    "nndsvd" takes of each singular triple σ u vᵀ the positive or the negative parts of u and v,
    whichever pair is larger: it has many zeros, good for coordinate descent, a trap for
    multiplicative updates. "nndsvda" puts √(mean(X) / k) in place of the zeros, which has the unit
    of W and H (the mean of X itself has not). "random" draws all entries as √(mean(X) / k) |z|, z
    standard normal.

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
    X = check.no_negative(check.matrix(X, "X"), "X", "NMF")
    check.choice(init, ("nndsvd", "nndsvda", "random"), "init")
    k = check.count(k, "k", largest=None if init == "random" else min(X.shape))
    level = sqrt(X.mean() / k)  # with it everywhere, the mean of W H is that of X
    if init == "random":
        rng = check_random_state(random_state)
        H = level * np.abs(rng.standard_normal((k, X.shape[1])))
        return Factors(level * np.abs(rng.standard_normal((X.shape[0], k))), H)
    U, singular_values, Vt = randomized_svd(X, k, random_state=random_state)
    W, H = np.zeros((X.shape[0], k)), np.zeros((k, X.shape[1]))
    for j, (u, size, v) in enumerate(zip(U.T, singular_values, Vt, strict=True)):
        parts = [(np.maximum(sign * u, 0), np.maximum(sign * v, 0)) for sign in (1, -1)]
        u, v = max(parts, key=lambda pair: norm(pair[0]) * norm(pair[1]))
        if norm(u) * norm(v) > 0:
            W[:, j] = sqrt(size * norm(v) / norm(u)) * u
            H[j] = sqrt(size * norm(u) / norm(v)) * v
    for factor in (W, H):
        factor[factor < 1e-6 * factor.max()] = level if init == "nndsvda" else 0
    return Factors(W, H)


def entries_of_product(
    U: np.ndarray, V: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """Return the entries of U Vᵀ at pairs of a row and a column, without any other entry.

    Parameters
    ----------
    U, V : (m, k) and (n, k) arrays
    rows, columns : (n_pairs,) arrays of int

    Returns
    -------
    (n_pairs,) array
        Σ_f U[rows, f] V[columns, f], in the type of U and V; what overflows is infinite.

    Examples
    --------
    >>> entries_of_product(np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]]), [0, 1], [1, 1])
    array([4., 8.])
    """
    U, V, rows, columns = map(np.ascontiguousarray, (U, V, rows, columns))
    result = np.empty(len(rows), dtype=np.result_type(U, V))
    with np.errstate(over="ignore", invalid="ignore"):
        for part in blocks_of_rows(len(rows), U.shape[1]):
            u, v = U.take(rows[part], axis=0), V.take(columns[part], axis=0)
            np.einsum("ij,ij->i", u, v, out=result[part])
    return result


def coordinate_sweep(
    grams: np.ndarray, targets: np.ndarray, W: np.ndarray, *, l1=0.0, lower=0.0
) -> None:
    """Set each column of W in turn, in place, to its best with the others fixed.

    For every row w of W this lowers, or leaves,

        ½ wᵀGw − tᵀw + Σ l1ⱼ|wⱼ|  under  wⱼ ≥ lowerⱼ.

    An entry that the quadratic does not depend on stays, or with l1ⱼ > 0 goes to zero.

    Parameters
    ----------
    grams : (k, k) array G, or (m, k, k) for one per row
        Positive semidefinite.
    targets : (m, k) array, whose rows are t
    W : (m, k) array
        Within the bounds. With one G for all rows it is fastest in Fortran's order.
    l1 : float or (k,) array, at least 0
    lower : float or (k,) array
        -np.inf leaves an entry free.

    Examples
    --------
    >>> W = np.zeros((1, 2))
    >>> coordinate_sweep(np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([[4.0, 1.0]]), W)
    >>> W
    array([[2., 0.]])
    """
    curvature = np.einsum("...jj->j...", grams)
    flat = curvature <= 0
    curvature = np.where(flat, 1, curvature)  # the slope there is zero: any number will do
    l1, lower = (np.full(W.shape[1], value, dtype=W.dtype) for value in (l1, lower))
    for j, (w, target) in enumerate(zip(W.T, targets.T, strict=True)):
        Gw = np.dot(W, grams[j]) if grams.ndim == 2 else np.einsum("ij,ij->i", W, grams[:, j])
        # the minimum of the parabola, (tⱼ − Σ_{i≠j} wᵢ gᵢⱼ) / gⱼⱼ
        best = w - (Gw - target) / curvature[j]
        if l1[j] > 0:
            threshold = np.where(flat[j], np.inf, l1[j] / curvature[j])
            # soft threshold: the minimum of ½ gⱼⱼ (w − best)² + l1ⱼ |w|
            best -= np.clip(best, -threshold, threshold)
        np.maximum(best, lower[j], out=w)  # w is a view: this writes to W


# Each update takes X, W, H, the penalty on W and the smoothing of the absolute loss, and returns a
# better W. Arrays W are kept so that their transpose is C-ordered: then both factors have k long
# rows. Products and quotients that meet a zero denominator have a zero numerator too.


def _coordinate_descent(X, W, H, penalty, smoothing):
    """Set each column of W to its minimiser, given the other columns. Never increases (theorem).

    A component whose row of H is zero does not matter to the loss; without an l2 penalty its
    column of W stays, although l1 ΣW would be smaller without it: the row of H may come back.
    """
    new, gram = W.copy(order="F"), H @ H.T
    gram.flat[:: len(H) + 1] += penalty.l2  # the diagonal
    coordinate_sweep(gram, _product(X, H), new, l1=np.where(gram.diagonal() > 0, penalty.l1, 0))
    return new


def _squared(X, W, H, penalty, smoothing):
    """Multiply W by its factor for the squared loss. Never increases (Lee and Seung 2000).

    With penalties too: l1 w and l2 w²/2 lie below the parabola l1 (w²/w₀ + w₀)/2 + l2 w²/2, which
    adds l1 + l2 w₀ to the denominator.
    """
    return _times(W, _product(X, H), _product(W, H @ H.T), penalty)


def _by_rows(function):
    """Let a function work off the rows of an array X in blocks that stay in the processor's cache.

    Rows of W do not depend on each other. A sparse X is taken as a whole.
    """

    def whole(X, W, *options):
        if not isinstance(X, np.ndarray):
            return function(X, W, *options)
        blocks = blocks_of_rows(*X.shape)
        return np.concatenate([function(X[rows], W[rows], *options) for rows in blocks])

    return whole


@_by_rows
def _kullback_leibler(X, W, H, penalty, smoothing):
    """Multiply W by its factor for the Kullback–Leibler loss. Never increases (Lee and Seung 2000).

    The auxiliary function −a log w + b w + l2 w²/2, with a = w₀ ∘ ((X / Y) Hᵀ) and b = 1 Hᵀ + l1,
    has its minimum at the root of l2 w² + b w = a. (The usual a / (b + l2 w₀) may increase it.)
    """
    Y = _reconstruction(X, W, H)
    ratio = X / Y if isinstance(X, np.ndarray) else with_data(X, X.data / Y)
    a = W * (ratio @ H.T)
    b = H.sum(axis=1) + penalty.l1
    if penalty.l2 > 0:
        b = (b + np.sqrt(b**2 + 4 * penalty.l2 * a)) / 2
    return a / np.maximum(b, _TINIEST)


@_by_rows
def _itakura_saito(X, W, H, penalty, smoothing):
    """Multiply W by its factor for the Itakura–Saito loss, or by the root of it. Never increases.

    The root of the factor never increases the loss (Févotte and Idier 2011; with penalties too).
    The factor itself needs about half as many iterations and hardly ever increases it: it is tried
    first, and in each row of W where the loss would increase the root is taken.
    """
    inverse = 1 / _reconstruction(X, W, H)
    ratio = X * inverse
    new = _times(W, (ratio * inverse) @ H.T, inverse @ H.T, penalty)
    growth = inverse * _reconstruction(X, new, H)
    increase = (ratio / growth - ratio + np.log(growth)).sum(axis=1)
    return _unless_worse(W, new, np.sqrt(W * new), penalty, increase, ratio.sum(axis=1))


@_by_rows
def _absolute(X, W, H, penalty, smoothing):
    """Multiply W by its factor for a weighted squared loss. Never increases (checked).

    For every t > 0, |e| ≤ e²/(2t) + t/2, with equality at t = |e|. With t = max(|e₀|, ε) for the
    present error e₀ the right side is a weighted squared loss, and the multiplicative update for it
    never increases Σ h(e), h(e) = |e| where |e| ≥ ε and e²/(2ε) + ε/2 below (theorem). For a small
    ε the entries that fit already hold everything in place, so ε starts at twice the mean of the
    row of X and falls by 1 % per iteration to a ten-thousandth of that. Σ |e| itself may increase:
    a row of W where it would keeps its old values.
    """
    Y = W @ H
    error = np.abs(X - Y)
    weight = 1 / np.maximum(error, 2 * smoothing * X.mean(axis=1, keepdims=True) + _FLOOR)
    new = _times(W, (weight * X) @ H.T, (weight * Y) @ H.T, penalty)
    increase = (np.abs(X - new @ H) - error).sum(axis=1)
    return _unless_worse(W, new, W, penalty, increase, Y.sum(axis=1))


def _unless_worse(W, new, otherwise, penalty, increase, size):
    """Return the new rows, but the other ones where the objective would increase.

    An increase of the size of rounding decides nothing: else the rows beside it would, by the
    order in which sums are formed.
    """
    limit = penalty.rows(W) + NEGLIGIBLE * (size + penalty.rows(W))
    return np.where((increase + penalty.rows(new) > limit)[:, None], otherwise, new)


def _smoothing(n_iter):
    """Return the threshold ε of `_absolute`, as a share of what it starts at."""
    return max(0.99**n_iter, 1e-4)


_UPDATES = {
    "squared": {"auto": _coordinate_descent, "cd": _coordinate_descent, "mu": _squared},
    "absolute": {"auto": _absolute, "mu": _absolute},
    "kullback-leibler": {"auto": _kullback_leibler, "mu": _kullback_leibler},
    "itakura-saito": {"auto": _itakura_saito, "mu": _itakura_saito},
}


def _find_update(loss, solver):
    updates = _UPDATES[loss.name]
    return updates[check.choice(solver, updates, f"solver for the {loss.name} loss")]


@_by_rows
def _row_losses(X, W, H, loss):
    """Return the loss of each row of W H; for sparse X without forming W H."""
    if isinstance(X, np.ndarray):
        return loss.total(X, _reconstruction(X, W, H), axis=1)
    if loss.name == "squared":  # ‖x‖² − 2 ⟨xHᵀ, w⟩ + ⟨wHHᵀ, w⟩
        crossed = (W @ (H @ H.T) - 2 * (X @ H.T)) * W
        return np.maximum((X**2).sum(axis=1) + crossed.sum(axis=1), 0) / 2
    Y = _reconstruction(X, W, H)  # where X is zero, ℓ = y: there only the sum of Y counts
    extra = loss.total(X.data, Y, axis=()) - Y  # a sum along no axis
    return with_data(X, extra).sum(axis=1) + W @ H.sum(axis=1)


def _times(W, numerator, denominator, penalty):
    """Return W ∘ numerator / (denominator + l1 + l2 W)."""
    if any(penalty):
        denominator = denominator + penalty.l1 + penalty.l2 * W
    return W * numerator / np.maximum(denominator, _TINIEST)


def _product(X, H):
    """Return X Hᵀ, with a C-ordered transpose."""
    return (H @ X.T).T if isinstance(X, np.ndarray) else np.asfortranarray(X @ H.T)


def _reconstruction(X, W, H):
    """Return Y = W H, with `_FLOOR` in place of zeros; for sparse X its entries where X has one."""
    is_dense = isinstance(X, np.ndarray)
    Y = W @ H if is_dense else entries_of_product(W, H.T, *X.tocoo(copy=False).coords)
    return np.maximum(Y, _FLOOR, out=Y)


def with_data(X: Matrix, data: np.ndarray) -> Matrix:
    """Return a sparse array with the places of X, duplicates too, and other values."""
    other = copy(X)  # shares the places, which would be checked for as long as a product takes
    other.data = data
    return other


def _check_size(size, name, bound):
    fits = size == 0 or 1 / bound <= size <= bound
    check.need(fits, f"{name} is {size:.1e}", f"{1 / bound:.0e} to {bound:.0e}")


def _check_penalty(penalty, name):
    l1, l2 = check.items(penalty, 2, name, "a pair (l1, l2)")
    return Penalty(check.non_negative(l1, f"l1 of {name}"), check.non_negative(l2, f"l2 of {name}"))


@dataclass(eq=False, repr=False)
class NMF(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Non-negative matrix factorization with a choice of loss, in scikit-learn's conventions.

    It minimises, over W ≥ 0 and H ≥ 0,

        loss(X, W H) + n α_W (ρ ΣW + (1 − ρ)/2 ΣW²) + m α_H (ρ ΣH + (1 − ρ)/2 ΣH²)

    with X of m rows (samples) and n columns (features), ρ = `l1_ratio`. The problem has many local
    minima: another start may end in another one.

    Parameters
    ----------
    n_components : int
        k.
    loss : {"squared", "absolute", "kullback-leibler", "itakura-saito"} or Loss
    solver : {"auto", "cd", "mu"}
        As for `nmf_steps`.
    init : {"nndsvd", "nndsvda", "random", "custom"} or None
        As for `initial_factors`; "custom" takes W and H from the call of `fit`. None takes
        "nndsvda" if k is at most min(m, n), else "random".
    tol : float
        Stop when ten iterations lower √(2 objective) by at most `tol` times the size of X: that is
        √(Σ xᵈ) for a loss of degree d, so ‖X‖ for the squared one. In `transform` each row stops by
        itself, by this rule for the row. 0 never stops early. For the absolute loss it never stops
        before iteration 470, when its smoothing has fallen to a hundredth.
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
    converged_ : bool
        Whether the stopping rule held within `max_iter`; with `tol=0` always.
    message_ : str
        How it ended, in one sentence.
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

    n_components: int = 2
    _: KW_ONLY
    loss: str | Loss = "squared"
    solver: str = "auto"
    init: str | None = None
    tol: float = 1e-4
    max_iter: int = 500
    random_state: Any = None
    alpha_W: float = 0.0
    alpha_H: float | str = "same"
    l1_ratio: float = 0.0

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
        with all_or_nothing(self):
            problem = self._problem(X, reset=True)
            W, run = self._run(problem, self._start(problem, W, H))
            self.components_ = np.array(run.step.H)
            self.n_components_ = self._n_features_out = len(self.components_)
            self.reconstruction_err_ = float(_root(run.step.loss))
            report(self, run)
        return W

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
        problem, H = self._problem(X, reset=False), self.components_
        # A row begins with equal numbers, such that w H has the sum of x, and ends when it has
        # settled: nothing depends on the other rows.
        start = np.outer(problem.X.sum(axis=1) / (H.sum() or np.inf), np.ones(len(H)))
        W, run = self._run(problem, (start, H), by_row=True)
        if not run.converged:
            warn(run.message, ConvergenceWarning, stacklevel=2)
        return W

    def _problem(self, X, reset):
        """Return the problem, its penalties scaled as in scikit-learn."""
        check.not_masked(X, "X")
        X = validate_data(self, X, reset=reset, accept_sparse="csr", ensure_non_negative=True)
        alpha_W = check.non_negative(self.alpha_W, "alpha_W")
        alpha_H = alpha_W if str(self.alpha_H) == "same" else self.alpha_H
        l1_ratio = check.share(self.l1_ratio, "l1_ratio")
        strengths = X.shape[1] * alpha_W, X.shape[0] * check.non_negative(alpha_H, "alpha_H")
        penalty_W, penalty_H = [Penalty(l1_ratio * s, (1 - l1_ratio) * s) for s in strengths]
        return NMFProblem(X, loss=self.loss, penalty_W=penalty_W, penalty_H=penalty_H)

    def _run(self, problem, start, *, by_row=False):
        """Improve W and H until they have settled, or W alone until each row of it has.

        Returns W, in which a row stays as it was when it had settled, and how it ended.
        """
        loss, (tol, max_iter) = problem.entry_loss, check.limits(self.tol, self.max_iter)
        size = np.sqrt((problem.X**loss.degree).sum(1 if by_row else None))  # unit of √(2 loss)
        W, moving, error = np.empty(start[0].shape), np.ones(len(start[0]), dtype=bool), np.inf

        def watch(step):
            W[moving] = step.W[moving]

        def settled(step):
            nonlocal error, moving
            # It looks at every tenth iterate, and not while the smoothing is coarse.
            if step.n_iter % 10 or (loss.name == "absolute" and _smoothing(step.n_iter) > 0.01):
                return False
            objective = problem.row_objectives(step.factors) if by_row else step.objective
            before, error = error, _root(objective)
            moving = moving & (before - error > tol * size)
            return not moving.any()

        steps = nmf_steps(problem, start, solver=self.solver, update_H=not by_row)
        return W, drive(steps, max_iter, settled if tol > 0 else None, watch=watch)

    def _start(self, problem, W, H):
        """Return the start, with a warning if its zeros would stay for ever."""
        init = check.choice(self.init, ("nndsvd", "nndsvda", "random", "custom", None), "init")
        k = check.count(self.n_components, "n_components")
        custom = init == "custom"
        if (W is None) == custom or (H is None) == custom:
            raise ValueError(f"init is {init!r}; pass W and H to fit if it is 'custom', only then")
        if custom:
            start = problem.as_factors((W, H))
            check.shaped(start.H, (k, start.H.shape[1]), "H")
        else:
            init = init or ("nndsvda" if k <= min(problem.X.shape) else "random")
            start = initial_factors(problem.X, k, init=init, random_state=self.random_state)
        multiplies = _find_update(problem.entry_loss, self.solver) is not _coordinate_descent
        if multiplies and init in ("custom", "nndsvd") and not all(map(np.all, start)):
            cure = "use init='nndsvda', or add a small number to W and H"
            message = f"the start has zeros, and multiplicative updates keep them; {cure}"
            warn(message, stacklevel=3)
        return start

    def __sklearn_tags__(self):
        """Tell scikit-learn which data this estimator takes."""
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = str(getattr(self.loss, "name", self.loss)) in _SPARSE
        return tags


def _root(loss):
    return np.sqrt(2 * np.maximum(loss, 0))
