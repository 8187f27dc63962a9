"""Gradient descent, and the learning rate at which it diverges (lesson 4).

The formulas of this room, for f(U, V) = ½‖M ∘ (U Vᵀ − X)‖² + ½λ(‖U‖² + ‖V‖²), where M is 1 at the
observed entries and 0 elsewhere, ∘ is the product entry by entry, and E = M ∘ (U Vᵀ − X):

    ∂f/∂U = E V + λU,    ∂f/∂V = Eᵀ U + λV                      gradients
    U ← U − η ∂f/∂U,     V ← V − η ∂f/∂V                        a step, with learning rate η
    (M ∘ (D Vᵀ)) V + λD                                         Hessian of U ↦ f(U, V), applied to D
    (M ∘ (C Vᵀ + U Dᵀ)) V + E D + λC,                           Hessian of f, applied to (C, D)
    (M ∘ (C Vᵀ + U Dᵀ))ᵀ U + Eᵀ C + λD

On a quadratic, a step multiplies the error along the eigenvector of curvature λᵢ by 1 − ηλᵢ. Hence

    2 / λ_max       is exact for a quadratic without negative curvature, and so for each of the two
                    blocks while the other stays;
    1 / σ₁(X)       concerns both blocks together, fully observed, without λ: above it every global
                    minimum is unstable, as λ_max ≥ 2σ₁(X) at each of them.

λ_max comes from power iteration: only products with the Hessian are needed.

References
----------
Y. Nesterov, Introductory Lectures on Convex Optimization, 2004, section 1.2.3.
J. Bolte, S. Sabach and M. Teboulle, Proximal alternating linearized minimization for nonconvex and
nonsmooth problems, Mathematical Programming, 2014.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, islice
from math import hypot, inf, isfinite, sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.linalg import norm
from scipy.sparse.linalg import LinearOperator
from sklearn.utils import check_random_state

from mflib._validation import Matrix, check_count, check_matrix, check_number, check_square
from mflib.eigen import power_iteration

# A loss that has grown this many times over is not coming back.
EXPLOSION = 1e6

Updates = Literal["simultaneous", "alternating"]


@dataclass(frozen=True)
class QuadraticStep:
    """One iterate of gradient descent on a quadratic."""

    n_iter: int
    x: np.ndarray
    loss: float


@dataclass(frozen=True)
class DescentStep:
    """One iterate: both factors, their loss and the length of the gradient there.

    `learning_rates` holds the rates of the two half steps (U, V) that led here.
    """

    n_iter: int
    U: np.ndarray
    V: np.ndarray
    loss: float
    gradient_norm: float
    learning_rates: tuple[float, float] | None


@dataclass(frozen=True)
class DescentResult:
    """Where gradient descent stopped, and why (`message`).

    `U` and `V` are the last finite iterate. `losses` has the loss of the start and of every step;
    after divergence its last entry is the loss that gave it away, infinite if it was NaN.
    `critical_learning_rate` is set after divergence: a limit that η broke.
    """

    U: np.ndarray
    V: np.ndarray
    losses: np.ndarray
    n_iter: int
    state: Literal["converged", "not converged", "diverged"]
    learning_rate: float | None
    critical_learning_rate: float | None
    message: str

    @property
    def converged(self) -> bool:
        """Whether the gradient met the tolerance."""
        return self.state == "converged"


class FactorizationLoss:
    """The function ½‖M ∘ (U Vᵀ − X)‖² + ½λ(‖U‖² + ‖V‖²) of the factors U (m, k) and V (n, k).

    Parameters
    ----------
    X : (m, n) array or sparse matrix
        Of a sparse matrix the stored entries count as observed (a stored zero too), all others as
        missing.
    mask : (m, n) array of bool, optional
        M: True where X is observed. What X holds elsewhere is never looked at; it may be NaN.
        By default all entries of an array are observed. Not for sparse X.
    regularization : float
        λ, at least 0.

    Examples
    --------
    >>> f = FactorizationLoss([[6.0, 4.0]])
    >>> f([[1.0]], [[2.0], [3.0]])  # UVᵀ = [[2, 3]]
    8.5
    >>> f.gradients([[1.0]], [[2.0], [3.0]])[0]  # -4 · 2 - 1 · 3
    array([[-11.]])
    """

    def __init__(
        self,
        X: ArrayLike | Matrix,
        *,
        mask: ArrayLike | None = None,
        regularization: float = 0.0,
    ):
        self.mask = None
        if mask is not None:
            X, self.mask = _check_mask(X, mask)
        self.X = check_matrix(X, "X")
        if isinstance(self.X, LinearOperator):
            raise ValueError("X is an operator; an array or a sparse matrix is needed")
        self.regularization = check_number(regularization, "regularization")
        if self.regularization < 0:
            raise ValueError(f"regularization is {regularization}; at least 0 is needed")

    @cached_property
    def T(self) -> "FactorizationLoss":
        """The same loss with rows and columns exchanged: f.T(V, U) = f(U, V)."""
        transposed = FactorizationLoss.__new__(FactorizationLoss)
        transposed.X = self.X.T.tocsr() if sparse.issparse(self.X) else self.X.T
        transposed.mask = None if self.mask is None else self.mask.T
        transposed.regularization = self.regularization
        return transposed

    @property
    def at_zero(self) -> float:
        """The loss of zero factors, ½‖M∘X‖²: what counts as a large loss."""
        return self._value(self.X, 0.0, 0.0)

    @property
    def is_complete(self) -> bool:
        """Whether every entry is observed."""
        return not sparse.issparse(self.X) and self.mask is None

    def masked_product(self, U: ArrayLike, V: ArrayLike) -> np.ndarray | sparse.csr_array:
        """Return M ∘ (U Vᵀ), computed at the observed entries only if X is sparse."""
        U, V = np.asarray(U, dtype=float), np.asarray(V, dtype=float)
        if not sparse.issparse(self.X):
            product = U @ V.T
            return product if self.mask is None else np.where(self.mask, product, 0.0)
        rows, columns = self._observed
        values = np.einsum("ij,ij->i", U[rows], V[columns])
        return sparse.csr_array((values, self.X.indices, self.X.indptr), shape=self.X.shape)

    def residual(self, U: ArrayLike, V: ArrayLike) -> np.ndarray | sparse.csr_array:
        """Return E = M ∘ (U Vᵀ − X)."""
        _check_shapes(self.X, U, V)
        E = self.masked_product(U, V)
        if sparse.issparse(E):
            E.data -= self.X.data
        else:
            E -= self.X
        return E

    def __call__(self, U: ArrayLike, V: ArrayLike) -> float:
        """Return the loss."""
        return self._value(self.residual(U, V), U, V)

    def gradients(self, U: ArrayLike, V: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Return ∂f/∂U (m, k) and ∂f/∂V (n, k)."""
        return self._gradients(self.residual(U, V), np.asarray(U), np.asarray(V))

    def block_hessian(self, V: ArrayLike) -> np.ndarray | LinearOperator:
        """Return the Hessian of U ↦ f(U, V), which does not depend on U: the block is quadratic.

        (That of V ↦ f(U, V) is `f.T.block_hessian(U)`.)

        Returns
        -------
        (k, k) array, if every entry is observed
            VᵀV + λI: each row of U has this Hessian.
        LinearOperator of shape (mk, mk), otherwise
            It acts on U, raveled row by row.
        """
        V = np.asarray(V, dtype=float)
        if self.is_complete:
            return V.T @ V + self.regularization * np.eye(V.shape[1])
        shape = (self.X.shape[0], V.shape[1])

        def product(d):
            D = d.reshape(shape)
            return (self.masked_product(D, V) @ V + self.regularization * D).ravel()

        return LinearOperator((shape[0] * shape[1],) * 2, product, dtype=np.float64)

    def hessian(self, U: ArrayLike, V: ArrayLike) -> LinearOperator:
        """Return the Hessian of f at (U, V), which acts on U and V, raveled one after the other."""
        U, V = np.asarray(U, dtype=float), np.asarray(V, dtype=float)
        E = self.residual(U, V)

        def product(d):
            C, D = d[: U.size].reshape(U.shape), d[U.size :].reshape(V.shape)
            change = self.masked_product(np.hstack([C, U]), np.hstack([V, D]))  # of E, along (C, D)
            upper = change @ V + E @ D + self.regularization * C
            lower = change.T @ U + E.T @ C + self.regularization * D
            return np.concatenate([upper.ravel(), lower.ravel()])

        return LinearOperator((U.size + V.size,) * 2, product, dtype=np.float64)

    @cached_property
    def _observed(self):
        """The rows and columns of the stored entries of a sparse X."""
        return np.repeat(np.arange(self.X.shape[0]), np.diff(self.X.indptr)), self.X.indices

    def _value(self, E, U, V):
        entries = E.data if sparse.issparse(E) else E.ravel()
        penalty = np.vdot(U, U) + np.vdot(V, V) if self.regularization else 0.0
        return float(np.vdot(entries, entries) + self.regularization * penalty) / 2

    def _gradients(self, E, U, V):
        return E @ V + self.regularization * U, E.T @ U + self.regularization * V


def largest_curvature(
    H: Matrix, *, tol: float = 1e-4, max_iter: int = 10_000, random_state=None
) -> float:
    """Return the largest eigenvalue of a Hessian, by power iteration.

    Power iteration finds the eigenvalue of largest modulus. Where that is negative, or as large as
    another one of opposite sign (as at the start U = V = 0 of a factorization, where they are
    ±σᵢ(X)), a second power iteration runs on H + sI, with s their modulus.

    Parameters
    ----------
    H : (n, n) array, sparse matrix or LinearOperator
        Symmetric.
    tol : float
        Relative size of the residual at which to stop. The eigenvalue is then at least as accurate;
        its error falls by the square, unless another one is very close.
    max_iter : int
        Largest number of steps, for each power iteration.
    random_state : int, RandomState or None
        Chooses the random start.

    Raises
    ------
    numpy.linalg.LinAlgError
        If power iteration does not converge.

    Examples
    --------
    >>> round(largest_curvature([[3, 2], [2, 3]], random_state=0), 4)
    5.0
    >>> round(largest_curvature([[-7, 0], [0, 3]], random_state=0), 4)
    3.0
    """
    H = check_square(H, "H")
    options = {"tol": tol, "max_iter": max_iter, "random_state": check_random_state(random_state)}
    pair = power_iteration(H, **options)
    if pair.converged and pair.eigenvalue >= 0:
        return pair.eigenvalue
    shift = hypot(pair.eigenvalue, pair.residual)  # ‖Hv‖: the modulus, for a negative one and ±
    shifted = LinearOperator(H.shape, lambda x: H @ x + shift * x, dtype=np.float64)
    pair = power_iteration(shifted, **options)
    if not pair.converged:
        raise np.linalg.LinAlgError(f"the largest curvature was not found: {pair.message}")
    return pair.eigenvalue - shift


def critical_learning_rate(H: Matrix, *, random_state=None) -> float:
    """Return 2/λ_max, the learning rate above which gradient descent on a quadratic diverges.

    Exact for a quadratic with the Hessian H, if H has no negative eigenvalue, and so for each block
    of a factorization while the other stays (`FactorizationLoss.block_hessian`). For
    0 < η < 2/λ_max gradient descent then converges from every start, if there is a minimum at all;
    above, it diverges from every start with some error along the steepest direction. With a
    negative eigenvalue there is no minimum, and every η diverges from almost every start.

    Of a function that is not quadratic it says what happens close to a minimum with this Hessian,
    and nothing about other places.

    Parameters
    ----------
    H : (n, n) array, sparse matrix or LinearOperator
        Symmetric.
    random_state : int, RandomState or None
        Chooses the start of power iteration.

    Returns
    -------
    float
        Infinite if no direction curves upwards (for H = 0, say).

    Examples
    --------
    >>> round(critical_learning_rate([[3, 2], [2, 3]], random_state=0), 4)
    0.4
    """
    curvature = largest_curvature(H, random_state=random_state)
    return 2 / curvature if curvature > 0 else inf


def joint_critical_learning_rate(X: Matrix, *, random_state=None) -> float:
    """Return 1/σ₁(X), for gradient descent on both factors at once.

    What holds, for X fully observed and no regularization: at every global minimum of
    ½‖UVᵀ − X‖², whatever the rank, λ_max is at least 2σ₁(X) (a theorem; equality for balanced
    factors). So above 1/σ₁(X) every global minimum is unstable. It does not follow that the loss
    explodes there (it may stay bounded), nor that every smaller learning rate works (from a large
    start the loss can explode before). With missing entries, 1/σ₁(M ∘ X) is a first guess and no
    more: a factorization that fits few entries closely may have steeper minima.

    Parameters
    ----------
    X : (m, n) array or sparse matrix
    random_state : int, RandomState or None
        Chooses the start of power iteration.

    Examples
    --------
    >>> round(joint_critical_learning_rate([[3, 2], [2, 3]], random_state=0), 4)
    0.2
    """
    X = check_matrix(X, "X")
    if not isinstance(X, LinearOperator):
        scale = abs(X).max()
        if scale == 0:
            return inf
        X = X / scale  # the squares shall neither overflow nor vanish
    else:
        scale = 1.0
    # σ₁² is an eigenvalue of the smaller of XXᵀ and XᵀX, applied factor by factor.
    A = X if X.shape[0] < X.shape[1] else X.T
    gram = LinearOperator((A.shape[0],) * 2, lambda x: A @ (A.T @ x), dtype=np.float64)
    curvature = largest_curvature(gram, random_state=random_state)
    return float(curvature**-0.5 / scale) if curvature > 0 else inf


def quadratic_steps(
    H: ArrayLike, b: ArrayLike, x0: ArrayLike, learning_rate: float
) -> Iterator[QuadraticStep]:
    """Yield the iterates of gradient descent on ½xᵀHx − bᵀx, for ever: x ← x − η(Hx − b).

    Parameters
    ----------
    H : (n, n) array, symmetric
    b, x0 : (n,) arrays
    learning_rate : float
        η.

    Yields
    ------
    QuadraticStep
        `n_iter` counts from 0 (the start).

    Examples
    --------
    >>> steps = quadratic_steps([[4.0]], [0.0], [1.0], 0.25)  # η = 1/λ: there in one step
    >>> [next(steps).x.item() for _ in range(3)]
    [1.0, 0.0, 0.0]
    """
    H = check_square(H, "H")
    if not np.allclose(H, H.T):
        raise ValueError("H is not symmetric; a Hessian equals its transpose")
    b, x = (np.asarray(v, dtype=float) for v in (b, x0))
    if not b.shape == x.shape == H.shape[:1]:
        raise ValueError(f"b and x0 have shapes {b.shape} and {x.shape}; both need {H.shape[:1]}")
    eta = _check_learning_rate(learning_rate)

    def iterate(x):
        for n_iter in count():
            with np.errstate(over="ignore", invalid="ignore"):
                Hx = H @ x
                yield QuadraticStep(n_iter, x, float(x @ Hx / 2 - b @ x))
                x = x - eta * (Hx - b)

    return iterate(x)


def descent_steps(
    loss: FactorizationLoss,
    U0: ArrayLike,
    V0: ArrayLike,
    learning_rate: float | None = None,
    *,
    updates: Updates = "alternating",
    random_state=None,
) -> Iterator[DescentStep]:
    """Yield the iterates of gradient descent on a factorization, for ever.

    They are left to grow to infinity and to become NaN; `gradient_descent` watches over that.

    Parameters
    ----------
    loss : FactorizationLoss
    U0 : (m, k) array
    V0 : (n, k) array
        The start.
    learning_rate : float, optional
        η. By default the safe step of each half step, 1/λ_max of its block, by power iteration: the
        loss never increases (Bolte, Sabach and Teboulle 2014).
    updates : {"alternating", "simultaneous"}
        Whether the step of V already uses the new U. The safe step is for alternating updates.
    random_state : int, RandomState or None
        Chooses the starts of power iteration, for the safe step.

    Yields
    ------
    DescentStep
        `n_iter` counts from 0 (the start).

    Examples
    --------
    >>> steps = descent_steps(FactorizationLoss([[6.0]]), [[1.0]], [[2.0]])
    >>> [round(next(steps).loss, 6) for _ in range(3)]
    [8.0, 0.0, 0.0]
    """
    U, V = _check_start(loss, U0, V0)
    _check_updates(updates, learning_rate)
    eta = None if learning_rate is None else _check_learning_rate(learning_rate)
    random_state = check_random_state(random_state)

    def iterate(U, V):
        rates = None
        for n_iter in count():
            with np.errstate(over="ignore", invalid="ignore"):
                E = loss.residual(U, V)
                G, K = loss._gradients(E, U, V)
                size = hypot(*(norm(g, check_finite=False) for g in (G, K)))
                yield DescentStep(n_iter, U, V, loss._value(E, U, V), size, rates)
                if updates == "simultaneous":
                    U, V, rates = U - eta * G, V - eta * K, (eta, eta)
                    continue
                eta_U = _safe_rate(loss, V, G, random_state) if eta is None else eta
                U = U - eta_U * G
                K = loss.gradients(U, V)[1]
                eta_V = _safe_rate(loss.T, U, K, random_state) if eta is None else eta
                V = V - eta_V * K
                rates = (eta_U, eta_V)

    return iterate(U, V)


def gradient_descent(
    loss: FactorizationLoss,
    U0: ArrayLike,
    V0: ArrayLike,
    learning_rate: float | None = None,
    *,
    updates: Updates = "alternating",
    tol: float = 1e-6,
    max_iter: int = 1000,
    random_state=None,
) -> DescentResult:
    """Minimise a factorization loss by gradient descent, and stop when it converges or diverges.

    Converged: the gradient is shorter than `tol` (‖M∘X‖ + λ) √(‖U‖² + ‖V‖²), which has its unit. So
    it is at a saddle, too: zero factors never move.
    Diverged: the loss is NaN, infinite, or more than a million times the larger one of the losses
    of the start and of zero factors. The result then names the learning rate that η exceeded, and
    holds the last finite iterate.

    Parameters
    ----------
    loss, U0, V0, learning_rate, updates, random_state
        As for `descent_steps`.
    tol : float
        At least 0.
    max_iter : int
        Largest number of steps.

    Returns
    -------
    DescentResult

    Examples
    --------
    >>> f = FactorizationLoss([[5.0]])
    >>> gradient_descent(f, [[1.0]], [[0.5]], 0.19, updates="simultaneous").converged
    True
    >>> result = gradient_descent(f, [[1.0]], [[0.5]], 0.45, updates="simultaneous")
    >>> print(result.message)
    diverged at step 8: η = 0.45 is 2.25 × the critical 1/σ₁ = 0.2
    """
    if not tol >= 0:
        raise ValueError(f"tol is {tol}; a number of at least 0 is needed")
    max_iter = check_count(max_iter, np.iinfo(int).max, "max_iter", smallest=0)
    steps = descent_steps(loss, U0, V0, learning_rate, updates=updates, random_state=random_state)
    unit = sqrt(2 * loss.at_zero) + loss.regularization
    losses, last, before_rise = [], None, None
    state, message, critical = "not converged", f"not converged after {max_iter} steps", None
    for step in islice(steps, max_iter + 1):
        value = step.loss if isfinite(step.loss) else inf
        if before_rise is None and losses and value > losses[-1]:
            before_rise = last
        losses.append(value)
        if has_exploded(value, max(losses[0], loss.at_zero)):
            critical, reason = _broken_limit(loss, learning_rate, updates, before_rise)
            state, message = "diverged", f"diverged at step {step.n_iter}: {reason}"
            break
        last = step
        if step.gradient_norm <= tol * unit * hypot(norm(step.U), norm(step.V)):
            state, message = "converged", f"converged after {step.n_iter} steps"
            break
    return DescentResult(
        last.U, last.V, np.array(losses), step.n_iter, state, learning_rate, critical, message
    )


def has_exploded(loss: float, reference: float) -> bool:
    """Tell whether a loss is NaN, infinite, or more than a million times its reference.

    Examples
    --------
    >>> has_exploded(2e6, reference=1.0), has_exploded(float("nan"), 1.0), has_exploded(10.0, 1.0)
    (True, True, False)
    """
    return not loss <= min(EXPLOSION * reference, np.finfo(float).max)  # NaN compares as False


def classify_losses(
    losses: Sequence[float], *, reference: float | None = None
) -> Literal["converging", "oscillating", "diverged"]:
    """Tell from the losses of a run, start first, what it does.

    "diverged": the loss exploded (see `has_exploded`), or rose at every step of the second half and
    doubled there. "oscillating": it still rises in the last quarter, and its swings (highest minus
    lowest loss, in seven parts of the second half) do not fall steadily towards zero. "converging":
    otherwise. It says what was seen: what is very slow needs a long run to show.

    Parameters
    ----------
    losses : sequence of at least 32 numbers, not negative
        Or fewer, if they exploded. NaN and infinity count as exploded.
    reference : float, optional
        A loss that is large for this problem. By default the first one.

    Examples
    --------
    >>> classify_losses([1 + 4.0**-i for i in range(40)])
    'converging'
    >>> classify_losses([1.0, 2.0] * 20)
    'oscillating'
    >>> classify_losses([1.1**i for i in range(40)])
    'diverged'
    """
    losses = np.asarray(losses, dtype=float)
    if losses.ndim == 1 and losses.size:
        reference = losses[0] if reference is None else reference
        if any(has_exploded(loss, reference) for loss in losses):
            return "diverged"
    if losses.ndim != 1 or losses.size < 32:
        raise ValueError(f"losses has shape {losses.shape}; at least 32 losses are needed")
    rises = np.diff(losses) > 1e-12 * losses.max()  # more than rounding
    half = losses[losses.size // 2 :]
    if rises[-half.size + 1 :].all() and half[-1] > 2 * half[0]:
        return "diverged"
    still_rising = rises[-(losses.size // 4) :].any()
    return "oscillating" if still_rising and not _fade(half) else "converging"


def _fade(losses):
    """Tell whether the swings fall steadily, and towards zero rather than towards a cycle."""
    swings = np.array([np.ptp(part) for part in np.array_split(losses, 7)])
    if not (np.diff(swings) < 0).all():
        return False
    first, middle, last = swings[[0, 3, 6]]
    # Aitken: the limit of L + c rⁿ from three equally distant members.
    limit = last - (last - middle) ** 2 / ((last - middle) - (middle - first) or inf)
    return limit < last / 2


def _broken_limit(loss, eta, updates, step):
    """Return a limit that η broke, in numbers and in words; `step` is the last before the rise."""
    if updates == "simultaneous":
        name, critical = "critical 1/σ₁", joint_critical_learning_rate(loss.X, random_state=0)
        if loss.regularization or not loss.is_complete:
            name = "first guess 1/σ₁(M∘X)"
        here = critical_learning_rate(loss.hessian(step.U, step.V), random_state=0)
        if eta <= critical or here < critical / 2:  # the place was steeper than it needs to be
            name, critical = f"critical 2/λ_max at step {step.n_iter}", here
    else:  # a half step below its limit cannot raise the loss, so η is above one of the two
        name = f"critical 2/λ_max of U's half step {step.n_iter + 1}"
        critical = critical_learning_rate(loss.block_hessian(step.V), random_state=0)
        if eta <= critical:
            U = step.U - eta * loss.gradients(step.U, step.V)[0]
            name = name.replace("U's", "V's")
            critical = critical_learning_rate(loss.T.block_hessian(U), random_state=0)
    return critical, f"η = {eta:.4g} is {eta / critical:.4g} × the {name} = {critical:.3g}"


def _safe_rate(loss, V, G, random_state):
    """Return 1/λ_max of the U-block, for a step along the gradient G.

    A rough λ_max will do, as the loss falls for all η < 2/q, where q = ⟨G, HG⟩/⟨G, G⟩ ≤ λ_max is
    the curvature along G. Power iteration may by chance settle on a smaller eigenvalue; q, taken as
    a lower limit, makes the step safe even then.
    """
    H = loss.block_hessian(V)
    curvature = largest_curvature(H, tol=0.1, random_state=random_state)
    if G.any():
        G = G / np.abs(G).max()  # its square shall not underflow
        HG = G @ H if loss.is_complete else (H @ G.ravel()).reshape(G.shape)
        curvature = max(curvature, np.vdot(G, HG) / np.vdot(G, G))
    return 1 / curvature if curvature > 0 else 0.0


def _check_mask(X, mask):
    if sparse.issparse(X):
        raise ValueError("X is sparse, where the stored entries are the observed ones; mask is not")
    X, mask = np.asarray(X, dtype=float), np.asarray(mask)
    if mask.shape != X.shape or mask.dtype != bool:
        raise ValueError(
            f"mask has shape {mask.shape} and type {mask.dtype}; bool of shape {X.shape} is needed"
        )
    return np.where(mask, X, 0.0), mask


def _check_shapes(X, U, V):
    (m, n), U, V = X.shape, np.shape(U), np.shape(V)
    if len(U) != 2 or len(V) != 2 or U[0] != m or V[0] != n or U[1] != V[1]:
        raise ValueError(f"U and V have shapes {U} and {V}; ({m}, k) and ({n}, k) are needed")


def _check_start(loss, U0, V0):
    """Return the start as two float arrays whose product fits X."""
    U, V = check_matrix(U0, "U0"), check_matrix(V0, "V0")
    _check_shapes(loss.X, U, V)
    with np.errstate(over="ignore", invalid="ignore"):
        if not isfinite(loss(U, V)):
            raise ValueError("the loss of the start overflows; scale U0 and V0 down")
    return U, V


def _check_updates(updates, learning_rate):
    if updates not in ("simultaneous", "alternating"):
        raise ValueError(f"updates is {updates!r}; 'simultaneous' or 'alternating' is needed")
    if learning_rate is None and updates == "simultaneous":
        raise ValueError("simultaneous updates have no safe step; give a learning_rate")


def _check_learning_rate(learning_rate):
    learning_rate = check_number(learning_rate, "learning_rate")
    if learning_rate <= 0:
        raise ValueError(f"learning_rate is {learning_rate}; a positive number is needed")
    return learning_rate
