"""The formula Wₜ = W₀ Tᵗ taken at its word: gradients through the powers of T (lesson 6).

    f(W₀, H, T) = ½ Σ_Ω (Sₜ H − Xₜ)² + ½λ (Σₜ ‖Sₜ‖² + c ‖H‖²),     Sₜ = W₀ Tᵗ

λ does not apply to the states of tables without entries: a gap would draw W₀ to zero, and T would
grow to make up for it. With the errors Eₜ (0 where Xₜ is missing), the chain rule runs backwards in
time:

    Bₜ = Eₜ Hᵀ + λSₜ + B_{t+1} Tᵀ                 from the last step, after which B is 0
    ∂f/∂W₀ = B₀,   ∂f/∂H = Σₜ Sₜᵀ Eₜ + λcH,   ∂f/∂T = Σₜ Sₜᵀ B_{t+1}

f is quadratic in W₀ and in H: these blocks are ridge regressions. In T it is a polynomial of degree
2(n_steps − 1). Along an eigenvector of T with eigenvalue θ states grow like |θ|ᵗ, and their errors
once they are large; ∂f/∂T multiplies the two, so that its terms grow like t |θ|²ᵗ. A learning rate
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
        return np.concatenate([start, roll_forward(start, self.T[np.newaxis], (1,), n_steps - 1)])


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

    @np.errstate(over="ignore", invalid="ignore")
    def loss_and_gradient(self, factors) -> tuple[float, RolloutFactors]:
        """Return the loss, and the derivatives of f with respect to W₀, H and T."""
        S, E, B = self._through_time(factors)
        by_H = _products(S, E) + self.strengths(len(factors.H))[1][0] * factors.H
        return float(np.vdot(E, E)) / 2, RolloutFactors(B[0], by_H, _products(S[:-1], B[1:]))

    def block_hessian(self, factors, block: int = 2) -> LinearOperator:
        """Return the Hessian with respect to T, block 2, raveled; W₀ and H need no descent.

        Its product with a direction D is the change of the gradient along D:

            dSₜ = dSₜ₋₁ T + Sₜ₋₁ D
            dBₜ = dSₜ (Gₜ + λI) + B_{t+1} Dᵀ + dB_{t+1} Tᵀ
            HD = Σₜ dSₜᵀ B_{t+1} + Sₜᵀ dB_{t+1}

        Tables take no part in it, only their Gram matrices: the cost does not grow with n.
        """
        if block != 2:
            return super().block_hessian(factors, block)
        T, grams, (S, _, B) = factors.T, self._grams(factors.H), self._through_time(factors)

        def product(d):
            D, dS = d.reshape(T.shape), np.zeros_like(S)
            for t in range(1, len(S)):
                dS[t] = dS[t - 1] @ T + S[t - 1] @ D
            source = np.einsum("...f,...fg->...g", dS, grams)
            source[:-1] += B[1:] @ D.T
            return _products(dS[:-1], B[1:]) + _products(S[:-1], _backwards(source, T)[1:])

        return LinearOperator((T.size,) * 2, lambda d: product(d).ravel(), dtype=np.float64)

    def best_initial(self, factors) -> np.ndarray:
        """Return the W₀ that minimises f for these H and T: a ridge regression for each row.

        Its Gram matrix is Σₜ Tᵗ (Gₜ + λI) (Tᵗ)ᵀ, with Gₜ that of the columns of H observed at t,
        its target Σₜ xₜ Hᵀ (Tᵗ)ᵀ.
        """
        H, powers = factors.H, factors._replace(W0=np.eye(len(factors.H))).states(len(self.X))
        grams = np.sum(powers[:, None] @ self._grams(H) @ powers[:, None].mT, axis=0)
        targets = np.sum(self.filled @ H.T @ powers.mT, axis=0)
        # the λI of step 0, where Tᵗ = I
        return solve_rows(grams, targets, self.regularization * self.shrunk[0])

    def _through_time(self, factors):
        """Return the states S, the errors E and what flows back, B."""
        _, H, T = factors
        S = factors.states(len(self.X))
        E = self.errors(S, H)
        return S, E, _backwards(E @ H.T + self.regularization * self.shrunk[:, None, None] * S, T)

    def _grams(self, H):
        """Return Gₜ + λI of each row of each table, (n_steps, m, k, k), or one (k, k) for all."""
        k, n = H.shape
        grams = gram_matrices(self.observed.reshape(-1, n), H.T) + self.regularization * np.eye(k)
        if grams.ndim == 3:
            grams = grams.reshape(*self.known.shape, k, k) * self.shrunk[:, None, None, None]
        return grams


@record
class RolloutStep(ProblemIterate):
    """One iterate of the rollout: the factors W0, H, T, and f."""

    algorithm = "rollout"


def rollout_steps(problem: RolloutProblem, start: Any) -> Iterator[RolloutStep]:
    """Yield iterates that take the best H, the best W₀, then a safe gradient step in T, for ever.

    The safe step is 1/λ_max of the present Hessian, by power iteration, halved until the objective
    does not rise: f is no quadratic in T. (Plain gradient descent on all three, with a learning
    rate of your own, is `gradient_descent` of lesson 4.)

    Parameters
    ----------
    problem : RolloutProblem
    start : iterate, or arrays (W0, H, T)

    Yields
    ------
    RolloutStep
        `n_iter` counts from 0 (the start); `objective` never increases.

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

    def iterate(factors):
        for n_iter in count():
            yield RolloutStep(n_iter, factors, problem)
            factors = _better(problem, factors)

    return iterate(problem.as_factors(start))


@np.errstate(over="ignore", invalid="ignore")  # where the start overflows, so does what follows
def _better(problem, factors):
    """Return the factors after the best H, the best W₀, and a safe step of T."""
    factors = factors._replace(H=problem.best_basis(factors.states(len(problem.X)), factors.H))
    factors = factors._replace(W0=problem.best_initial(factors))
    slope, before = problem.gradient(factors).T, problem.objective(factors)
    curvature = largest_curvature(problem.block_hessian(factors, 2), tol=0.1, random_state=0)
    longest = 1 / curvature if curvature > 0 else 1.0
    for eta in longest * 0.5 ** np.arange(60):
        moved = factors._replace(T=factors.T - eta * slope)
        if problem.objective(moved) <= before:
            return moved
    return factors


def _products(A, B):
    """Return Σₜ Aₜᵀ Bₜ."""
    return A.reshape(-1, A.shape[2]).T @ B.reshape(-1, B.shape[2])


def _backwards(B, T):
    """Add B_{t+1} Tᵀ to each Bₜ, from the last step but one, and return B."""
    for t in range(len(B) - 2, -1, -1):
        B[t] += B[t + 1] @ T.T
    return B
