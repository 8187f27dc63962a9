"""The formula Wₜ = W₀ Tᵗ taken at its word: gradients through the powers of T (lesson 6).

    f(W₀, H, T) = ½ Σ_Ω (Sₜ H − Xₜ)² + ½λ (Σₜ ‖Sₜ‖² + c ‖H‖²),     Sₜ = W₀ Tᵗ

λ does not apply to the states of tables without entries: a gap would draw W₀ to zero, and T would
grow to make up for it. With the errors Eₜ (0 where Xₜ is missing), the chain rule runs backwards in
time:

    Bₜ = Eₜ Hᵀ + λSₜ + B_{t+1} Tᵀ                 from the last step, after which B is 0
    ∂f/∂W₀ = B₀,   ∂f/∂H = Σₜ Sₜᵀ Eₜ + λcH,   ∂f/∂T = Σₜ Sₜᵀ B_{t+1}

f is quadratic in W₀ and in H: these blocks are ridge regressions. In T it is a polynomial of degree
2(n_steps − 1). Along an eigenvector of T with eigenvalue λ states grow like |λ|ᵗ, and their errors
once they are large; ∂f/∂T multiplies the two, so that its terms grow like t |λ|²ᵗ. A learning rate
that is safe at one T explodes at another.

c is as for the joint fit.
"""

from collections.abc import Iterator
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse.linalg import LinearOperator

from mflib import _validation as check
from mflib.descent import SmoothProblem, largest_curvature
from mflib.iteration import ProblemIterate, record
from mflib.least_squares import gram_matrices, solve_rows
from mflib.sequential.joint import TableProblem
from mflib.sequential.transitions import roll_forward


class RolloutFactors(NamedTuple):
    """The start W₀ (m, k), the basis H (k, n) and the transition T (k, k); or gradients by them."""

    W0: np.ndarray
    H: np.ndarray
    T: np.ndarray

    def states(self, n_steps: int) -> np.ndarray:
        """Return W₀ Tᵗ for every step, (n_steps, m, k)."""
        start = self.W0[np.newaxis]
        return np.concatenate([start, roll_forward(start, [self.T], (1,), n_steps - 1)])


class RolloutProblem(TableProblem, SmoothProblem):
    """The function f of W₀, H and T.

    Parameters
    ----------
    X : (n_steps, m, n) array, NaN where missing
    regularization : float
        λ.

    Examples
    --------
    >>> f = RolloutProblem(np.array([1.0, 2, 5]).reshape(3, 1, 1))
    >>> f.loss(RolloutFactors(np.ones((1, 1)), np.ones((1, 1)), 2 * np.ones((1, 1))))  # 1, 2, 4
    0.5
    """

    def as_factors(self, start: Any) -> RolloutFactors:
        """Return W₀, H and T as arrays that fit the tables."""
        _, m, n = self.X.shape
        shapes = {"W0": (m, "k"), "H": ("k", n), "T": ("k", "k")}
        return check.factors(start, RolloutFactors, shapes)

    def loss(self, factors) -> float:
        """Return ½ Σ_Ω (W₀ Tᵗ H − Xₜ)²; infinite or NaN where Tᵗ overflows."""
        with np.errstate(over="ignore", invalid="ignore"):
            E = self.errors(factors.states(len(self.X)), factors.H)
            return float(np.vdot(E, E)) / 2

    def penalty(self, factors) -> float:
        """Return ½λ (Σₜ ‖W₀ Tᵗ‖² + c ‖H‖²), over the tables with an entry."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self.squares(factors.states(len(self.X)), factors.H)

    def loss_and_gradient(self, factors) -> tuple[float, RolloutFactors]:
        """Return the loss, and the derivatives of f with respect to W₀, H and T."""
        with np.errstate(over="ignore", invalid="ignore"):
            S, E, B = self._through_time(factors)
            strength = self.regularization * self.entries_per_component(len(factors.H))
            by_H = _products(S, E) + strength * factors.H
            slopes = RolloutFactors(B[0], by_H, _products(S[:-1], B[1:]))
            return float(np.vdot(E, E)) / 2, slopes

    def block_hessian(self, factors, block: int = 2) -> LinearOperator:
        """Return the Hessian with respect to T, block 2, raveled; W₀ and H need no descent.

        Its product with a direction D is the change of the gradient along D. Tables take no part in
        it, only their Gram matrices: the cost does not grow with n.
        """
        if block != 2:
            return super().block_hessian(factors, block)
        T, grams, (S, _, B) = factors.T, self._grams(factors.H), self._through_time(factors)

        def product(d):
            D, dS = d.reshape(T.shape), np.zeros_like(S)
            for t in range(1, len(S)):
                dS[t] = dS[t - 1] @ T + S[t - 1] @ D
            source = np.einsum("tif,tifg->tig", dS, grams)
            source[:-1] += B[1:] @ D.T
            return _products(dS[:-1], B[1:]) + _products(S[:-1], _backwards(source, T)[1:])

        return LinearOperator((T.size,) * 2, lambda d: product(d).ravel(), dtype=np.float64)

    def best_initial(self, factors) -> np.ndarray:
        """Return the W₀ that minimises f for these H and T: a ridge regression for each row.

        Its Gram matrix is Σₜ Tᵗ (Gₜ + λI) (Tᵗ)ᵀ, with Gₜ that of the columns of H observed at t.
        """
        _, H, T = factors
        grams = np.zeros_like(T)
        for at_step in self._grams(H)[::-1]:
            grams = at_step + T @ grams @ T.T
        targets = _backwards(self.filled @ H.T, T)[0]
        return solve_rows(grams, targets, self.regularization * self.shrunk[0])

    def _through_time(self, factors):
        """Return the states S, the errors E and what flows back, B."""
        _, H, T = factors
        S = factors.states(len(self.X))
        E = self.errors(S, H)
        return S, E, _backwards(E @ H.T + self.regularization * self.shrunk[..., None] * S, T)

    def _grams(self, H):
        """Return Gₜ + λI for each row of each table, (n_steps, m, k, k)."""
        shape = (*self.X.shape[:2], len(H), len(H))
        if self.is_complete:
            return np.broadcast_to(H @ H.T + self.regularization * np.eye(len(H)), shape)
        grams = gram_matrices(self.observed.reshape(-1, H.shape[1]), H.T).reshape(shape)
        return grams + self.regularization * self.shrunk[..., None, None] * np.eye(len(H))


@record
class RolloutStep(ProblemIterate):
    """One iterate of the rollout: the factors W0, H, T, and the learning rate that led here."""

    algorithm = "rollout"

    learning_rate: float | None


def rollout_steps(
    problem: RolloutProblem, start: Any, learning_rate: float | None = None
) -> Iterator[RolloutStep]:
    """Yield iterates that take the best H, the best W₀, then a gradient step in T alone, for ever.

    (Plain gradient descent on all three is `descent_steps` of lesson 4.)

    Parameters
    ----------
    problem : RolloutProblem
    start : iterate, or arrays (W0, H, T)
    learning_rate : float, optional
        η. By default the safe step 1/λ_max of the present Hessian, by power iteration, halved until
        the objective does not rise: f is no quadratic in T. A given η is taken as it is; the
        iterates may then grow to infinity and become NaN.

    Yields
    ------
    RolloutStep
        `n_iter` counts from 0 (the start).

    Examples
    --------
    >>> from mflib.iteration import nth
    >>> problem = RolloutProblem(np.array([1.0, 2, 4]).reshape(3, 1, 1))
    >>> steps = rollout_steps(problem, [np.ones((1, 1))] * 3)
    >>> print(next(steps))
    <rollout step 0: loss 5, objective 5, W0 1×1, H 1×1, T 1×1>
    >>> last = nth(steps, 200)
    >>> last.loss < 1e-6, last.T.round(2).item()
    (True, 2.0)
    """
    check.kind(isinstance(problem, RolloutProblem), problem, "problem", "a RolloutProblem")
    if learning_rate is not None:
        check.positive(learning_rate, "learning_rate")

    def iterate(factors):
        eta = None
        for n_iter in count():
            yield RolloutStep(n_iter, factors, problem, eta)
            S = factors.states(len(problem.X))
            with np.errstate(over="ignore", invalid="ignore"):  # the next loss is not finite
                factors = factors._replace(H=problem.best_basis(S, factors.H))
                factors = factors._replace(W0=problem.best_initial(factors))
                factors, eta = _step_in_T(problem, factors, learning_rate)

    return iterate(problem.as_factors(start))


def _step_in_T(problem, factors, eta):
    """Return the factors after a step of T against its gradient, and the learning rate."""
    slope = problem.gradient(factors).T

    def moved(eta):
        return factors._replace(T=factors.T - eta * slope)

    if eta is not None:
        return moved(eta), eta
    curvature = largest_curvature(problem.block_hessian(factors, 2), tol=0.1, random_state=0)
    before, eta = problem.objective(factors), 1 / curvature if curvature > 0 else 1.0
    for _ in range(60):
        if problem.objective(moved(eta)) <= before:
            return moved(eta), eta
        eta /= 2
    return factors, 0.0


def _products(A, B):
    """Return Σₜ Aₜᵀ Bₜ."""
    return A.reshape(-1, A.shape[2]).T @ B.reshape(-1, B.shape[2])


def _backwards(source, T):
    """Return B with Bₜ = sourceₜ + B_{t+1} Tᵀ, from the last step."""
    B = np.array(source)
    for t in range(len(B) - 2, -1, -1):
        B[t] += B[t + 1] @ T.T
    return B
