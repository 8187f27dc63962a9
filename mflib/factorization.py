"""A factorization as a problem for gradient descent: gradients, Hessians, limits (lesson 4).

The formulas of this room, for f(U, V) = ½‖M ∘ (U Vᵀ − X)‖² + ½λ(‖U‖² + ‖V‖²), where M is 1 at the
observed entries and 0 elsewhere, ∘ is the product entry by entry, and E = M ∘ (U Vᵀ − X):

    ∂f/∂U = E V + λU,    ∂f/∂V = Eᵀ U + λV                      gradients
    (M ∘ (D Vᵀ)) V + λD                                         Hessian of U ↦ f(U, V), applied to D
    (M ∘ (C Vᵀ + U Dᵀ)) V + E D + λC,                           Hessian of f, applied to (C, D)
    (M ∘ (C Vᵀ + U Dᵀ))ᵀ U + Eᵀ C + λD

While one factor stays, f is a quadratic of the other, and the limit of the learning rate is exact:

    2 / λ_max       for each of the two blocks while the other stays;
    1 / σ₁(X)       concerns both blocks together, fully observed, without λ: above it every global
                    minimum is unstable, as λ_max ≥ 2σ₁(X) at each of them.
"""

from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import norm
from scipy.sparse import sparray
from scipy.sparse.linalg import LinearOperator

from mflib import _validation as check
from mflib.descent import SmoothProblem, critical_learning_rate, total_length
from mflib.svd import truncated_svd


class Factors(NamedTuple):
    """The factors U (m, k) and V (n, k) of X ≈ U Vᵀ, or the gradient with respect to them."""

    U: np.ndarray
    V: np.ndarray


class FactorizationProblem(SmoothProblem):
    """The function ½‖M ∘ (U Vᵀ − X)‖² + ½λ(‖U‖² + ‖V‖²) of the factors U (m, k) and V (n, k).

    Parameters
    ----------
    X : (m, n) array
        Large data with few entries are for `CompletionProblem` (lesson 5), which visits no others.
    mask : (m, n) array of bool, optional
        M: True where X is observed. What X holds elsewhere is never looked at; it may be NaN.
        By default all entries are observed.
    regularization : float
        λ, at least 0.

    Attributes
    ----------
    X : (m, n) array
        M ∘ X.

    Examples
    --------
    >>> f = FactorizationProblem([[6.0, 4.0]])
    >>> f.loss(([[1.0]], [[2.0], [3.0]]))  # UVᵀ = [[2, 3]]
    8.5
    >>> f.gradient(([[1.0]], [[2.0], [3.0]])).U  # -4 · 2 - 1 · 3
    array([[-11.]])
    """

    def __init__(self, X: ArrayLike, *, mask: ArrayLike | None = None, regularization: float = 0.0):
        if mask is not None:
            X = check.floats(X, "X")
            mask = check.shaped(check.array(mask, "mask"), X.shape, "mask")
            check.need(mask.dtype == bool, f"mask holds entries of type {mask.dtype}", "bool")
            X = np.where(mask, X, 0.0)
        self.X, self.mask = check.dense(check.matrix(X, "X"), "X"), mask
        self.regularization = check.non_negative(regularization, "regularization")
        self._size = norm(self.X)

    def as_factors(self, start) -> Factors:
        """Return a start as `Factors(U, V)`."""
        m, n = self.X.shape
        factors = check.factors(start, Factors, {"U": (m, "k"), "V": (n, "k")})
        return Factors(*(factor.astype(np.float64, copy=False) for factor in factors))

    def masked_product(self, U: np.ndarray, V: np.ndarray) -> np.ndarray:
        """Return M ∘ (U Vᵀ)."""
        product = U @ V.T
        if self.mask is not None:
            np.putmask(product, ~self.mask, 0.0)
        return product

    def residual(self, factors) -> np.ndarray:
        """Return E = M ∘ (U Vᵀ − X)."""
        E = self.masked_product(*self._read(factors))
        E -= self.X
        return E

    def loss(self, factors) -> float:
        """Return ½‖E‖²."""
        return _half_square(self.residual(factors))

    def penalty(self, factors) -> float:
        """Return ½λ(‖U‖² + ‖V‖²)."""
        return self.regularization * sum(map(_half_square, self._read(factors)))

    def loss_and_gradient(self, factors) -> tuple[float, Factors]:
        """Return ½‖E‖² and (E V + λU, Eᵀ U + λV)."""
        factors = self._read(factors)
        E, strength = self.residual(factors), self.regularization
        return _half_square(E), factor_gradient(E, factors, strength, strength)

    def block_gradient(self, factors, block: int) -> np.ndarray:
        """Return one of the two gradients, for half the work."""
        E = self.residual(factors)
        pull = E.T @ factors.U if block else E @ factors.V
        return pull + self.regularization * factors[block]

    def block_hessian(self, factors, block: int) -> np.ndarray | LinearOperator:
        """Return the Hessian with respect to U (block 0) or V (block 1), while the other stays.

        It does not depend on the block itself, in which the objective is quadratic.

        Returns
        -------
        (k, k) array, if every entry is observed
            VᵀV + λI: each row of U has this Hessian. (For V it is UᵀU + λI.)
        LinearOperator of shape (mk, mk), otherwise
            It acts on U, raveled row by row. (For V its shape is (nk, nk).)
        """
        U, V = self._read(factors)
        moving, other = (V, U) if block else (U, V)
        if self.mask is None:
            return other.T @ other + self.regularization * np.eye(other.shape[1])

        def product(d):
            D = d.reshape(moving.shape)
            change = self.masked_product(other, D).T if block else self.masked_product(D, other)
            return (change @ other + self.regularization * D).ravel()

        return LinearOperator((moving.size,) * 2, product, dtype=np.float64)

    def hessian(self, factors) -> LinearOperator:
        """Return the Hessian, which acts on U and V, raveled one after the other."""
        U, V = factors = self._read(factors)
        E, strength = self.residual(factors), self.regularization

        def product(d):
            C, D = d[: U.size].reshape(U.shape), d[U.size :].reshape(V.shape)
            change = self.masked_product(np.hstack([C, U]), np.hstack([V, D]))  # of E, along (C, D)
            upper = change @ V + E @ D + strength * C
            lower = change.T @ U + E.T @ C + strength * D
            return np.concatenate([upper.ravel(), lower.ravel()])

        return LinearOperator((U.size + V.size,) * 2, product, dtype=np.float64)

    def gradient_scale(self, step, start=None) -> float:
        """Return (‖M ∘ X‖ + λ) √(‖U‖² + ‖V‖²), which has the unit of a gradient."""
        return (self._size + self.regularization) * total_length(step.factors)

    def broken_limit(self, step, learning_rate, updates) -> tuple[float, str]:
        """Return 1/σ₁ or 2/λ_max at this step, or 2/λ_max of the half step that broke it."""
        factors = step.factors
        if updates == "simultaneous":
            critical = joint_critical_learning_rate(self.X, random_state=0)
            here = critical_learning_rate(self.hessian(factors), random_state=0)
            # 1/σ₁ is not what broke it where λ_max is over twice the 2σ₁ of a balanced minimum.
            if learning_rate <= critical or here < critical / 2:
                return here, f"critical 2/λ_max at step {step.n_iter}"
            exact = self.mask is None and not self.regularization
            return critical, "critical 1/σ₁" if exact else "first guess 1/σ₁(M∘X)"
        # A half step below its limit cannot raise the objective: η is above one of the two.
        for block in (0, 1):
            critical = critical_learning_rate(self.block_hessian(factors, block), random_state=0)
            if learning_rate > critical:
                break
            factors = factors._replace(U=factors.U - learning_rate * self.gradient(factors).U)
        where = f"{factors._fields[block]}'s half step {step.n_iter + 1}"
        return critical, f"critical 2/λ_max of {where}"

    def _read(self, factors):
        """Return factors as they are, and anything else checked."""
        return factors if isinstance(factors, Factors) else self.as_factors(factors)


def factor_gradient(
    E: np.ndarray | sparray, factors: Any, row_strength: ArrayLike, column_strength: ArrayLike
) -> Factors:
    """Return E V + λU and Eᵀ U + λV, for the derivatives E of a loss by the entries of U Vᵀ.

    Parameters
    ----------
    E : (m, n) array or sparse matrix
        For half the squared error, the residual, 0 where X is missing.
    factors : Factors, or another named tuple with U and V
    row_strength, column_strength : floats, or arrays (m,) and (n,)
        λ, one for all or one per row of U (of V).
    """
    U, V = factors.U, factors.V
    return Factors(E @ V + (row_strength * U.T).T, E.T @ U + (column_strength * V.T).T)


def joint_critical_learning_rate(X: ArrayLike, *, random_state=None) -> float:
    """Return 1/σ₁(X), for gradient descent on both factors at once.

    What holds, for X fully observed and no regularization: at every global minimum of
    ½‖UVᵀ − X‖², whatever the rank, λ_max is at least 2σ₁(X) (a theorem; equality for balanced
    factors). So above 1/σ₁(X) every global minimum is unstable. It does not follow that the loss
    explodes there (it may stay bounded), nor that every smaller learning rate works (from a large
    start the loss can explode before). With missing entries, 1/σ₁(M ∘ X) is a first guess and no
    more: a factorization that fits few entries closely may have steeper minima.

    Parameters
    ----------
    X : (m, n) array
    random_state : int, RandomState or None
        Chooses the start of the iteration for σ₁.

    Examples
    --------
    >>> round(joint_critical_learning_rate([[3, 2], [2, 3]], random_state=0), 4)
    0.2
    """
    X = check.dense(check.matrix(X, "X"), "X")
    sigma = float(truncated_svd(X, 1, random_state=random_state).singular_values[0])
    return 1 / sigma if sigma > 0 else inf


def _half_square(A):
    """Return ½‖A‖²."""
    return float(np.vdot(A, A)) / 2
