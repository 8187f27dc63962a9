"""The formula Wₜ = W₀ Tᵗ taken at its word: gradients through the powers of T (lesson 6).

    f(W₀, T, H) = ½ Σ_Ω (W₀ Tᵗ H − Xₜ)² + ½λ (n_steps ‖W₀‖² + c ‖H‖²)

With Sₜ = W₀ Tᵗ and the errors Eₜ (0 where Xₜ is missing), the chain rule runs backwards in time:

    Bₜ = Eₜ Hᵀ + B_{t+1} Tᵀ                       from the last step, after which B is 0
    ∂f/∂W₀ = B₀ + λ n_steps W₀,   ∂f/∂T = Σₜ Sₜᵀ B_{t+1},   ∂f/∂H = Σₜ Sₜᵀ Eₜ + λcH

f is quadratic in W₀ and in H: these blocks are ridge regressions. In T it is a polynomial of degree
2(n_steps − 1). Along an eigenvector of T with eigenvalue λ states grow like |λ|ᵗ, and their errors
once they are large; ∂f/∂T multiplies the two, so that its terms grow like t |λ|²ᵗ. A learning rate
that is safe at one T explodes at another.

c is n_steps·m·n / k, as for the joint fit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Literal, NamedTuple

import numpy as np
from scipy.sparse.linalg import LinearOperator

from mflib._validation import check_number
from mflib.completion.model import check_choice
from mflib.descent import largest_curvature
from mflib.sequential.joint import check_blocks, gram_matrices
from mflib.sequential.transitions import minimise_rows, roll_forward


class RolloutBlocks(NamedTuple):
    """The start W₀ (m, k), the transition T (k, k) and the basis H (k, n); or gradients by them."""

    initial: np.ndarray
    transition: np.ndarray
    basis: np.ndarray


@dataclass(frozen=True)
class RolloutStep:
    """One iterate, its loss f and the learning rate that led here (None at the start)."""

    n_iter: int
    blocks: RolloutBlocks
    loss: float
    learning_rate: float | None


class RolloutLoss:
    """The function f of W₀, T and H.

    Parameters
    ----------
    X : (n_steps, m, n) array, NaN where missing
    regularization : float
        λ.

    Examples
    --------
    >>> f = RolloutLoss(np.array([1.0, 2, 5]).reshape(3, 1, 1))
    >>> f(np.ones((1, 1)), 2 * np.ones((1, 1)), np.ones((1, 1)))  # 1, 2, 4
    0.5
    """

    def __init__(self, X: np.ndarray, regularization: float = 0.0):
        self.X, self.regularization = X, regularization
        self.observed = ~np.isnan(X)
        self._filled = np.where(self.observed, X, 0.0)

    def states(self, W0: np.ndarray, T: np.ndarray) -> np.ndarray:
        """Return W₀ Tᵗ for every step, (n_steps, m, k)."""
        later = roll_forward(W0[np.newaxis], T[np.newaxis], (1,), len(self.X) - 1)
        return np.concatenate([W0[np.newaxis], later])

    def __call__(self, W0: np.ndarray, T: np.ndarray, H: np.ndarray) -> float:
        """Return the loss; infinite or NaN where Tᵗ overflows."""
        with np.errstate(over="ignore", invalid="ignore"):
            E = self._errors(self.states(W0, T), H)
            strengths = self._strengths(len(H))
            penalty = strengths[0] * np.vdot(W0, W0) + strengths[1] * np.vdot(H, H)
            return float(np.vdot(E, E) + penalty) / 2

    def gradients(self, W0: np.ndarray, T: np.ndarray, H: np.ndarray) -> RolloutBlocks:
        """Return ∂f/∂W₀, ∂f/∂T and ∂f/∂H."""
        with np.errstate(over="ignore", invalid="ignore"):
            S = self.states(W0, T)
            E = self._errors(S, H)
            B = _backwards(E @ H.T, T)
            by_W0, by_H = self._strengths(len(H))
            return RolloutBlocks(
                B[0] + by_W0 * W0, _products(S[:-1], B[1:]), _products(S, E) + by_H * H
            )

    def hessian(self, W0: np.ndarray, T: np.ndarray, H: np.ndarray) -> LinearOperator:
        """Return the Hessian at W₀, T, H, which acts on the three raveled one after the other.

        Its products are the derivative of the gradients along a direction.
        """
        S = self.states(W0, T)
        E = self._errors(S, H)
        B = _backwards(E @ H.T, T)
        by_W0, by_H = self._strengths(len(H))
        ends = np.cumsum([W0.size, T.size])

        def product(direction):
            parts = np.split(np.ravel(direction), ends)
            dW0, dT, dH = (p.reshape(a.shape) for p, a in zip(parts, (W0, T, H), strict=True))
            dS = np.concatenate([dW0[np.newaxis], S[:-1] @ dT])
            for t in range(1, len(S)):
                dS[t] += dS[t - 1] @ T
            dE = np.where(self.observed, dS @ H + S @ dH, 0.0)
            source = dE @ H.T + E @ dH.T
            source[:-1] += B[1:] @ dT.T
            dB = _backwards(source, T)
            changes = (
                dB[0] + by_W0 * dW0,
                _products(dS[:-1], B[1:]) + _products(S[:-1], dB[1:]),
                _products(dS, E) + _products(S, dE) + by_H * dH,
            )
            return np.concatenate([change.ravel() for change in changes])

        return LinearOperator((W0.size + T.size + H.size,) * 2, product, dtype=np.float64)

    def transition_hessian(self, W0: np.ndarray, T: np.ndarray, H: np.ndarray) -> LinearOperator:
        """Return the Hessian of T ↦ f(W₀, T, H), which acts on T, raveled."""
        full = self.hessian(W0, T, H)
        block = slice(W0.size, W0.size + T.size)

        def product(d):
            direction = np.zeros(full.shape[0])
            direction[block] = np.ravel(d)
            return (full @ direction)[block]

        return LinearOperator((T.size,) * 2, product, dtype=np.float64)

    def best_basis(self, W0: np.ndarray, T: np.ndarray, H: np.ndarray) -> np.ndarray:
        """Return the H that minimises f for these W₀ and T: a ridge regression for each column."""
        k, n = H.shape
        S = self.states(W0, T).reshape(-1, k)
        A = gram_matrices(self.observed.reshape(-1, n).T, S) + self._strengths(k)[1] * np.eye(k)
        return minimise_rows(A, self.gradients(W0, T, H).basis.T, H.T).T

    def best_initial(self, W0: np.ndarray, T: np.ndarray, H: np.ndarray) -> np.ndarray:
        """Return the W₀ that minimises f for these T and H: a ridge regression for each row.

        Its Gram matrix is Σₜ Tᵗ Gₜ (Tᵗ)ᵀ, with Gₜ that of the columns of H observed at step t.
        """
        k = len(H)
        A = np.zeros((k, k))
        for observed in self.observed[::-1]:
            A = gram_matrices(observed, H.T) + T @ A @ T.T
        A = A + self._strengths(k)[0] * np.eye(k)
        return minimise_rows(A, self.gradients(W0, T, H).initial, W0)

    def _errors(self, S, H):
        return np.where(self.observed, S @ H - self._filled, 0.0)

    def _strengths(self, k):
        """Return what the penalties on ‖W₀‖² and ‖H‖² are multiplied by."""
        return self.regularization * len(self.X), self.regularization * self.X.size / k


def rollout_steps(
    loss: RolloutLoss,
    start: RolloutBlocks,
    learning_rate: float | None = None,
    *,
    solver: Literal["alternating", "gradient"] = "alternating",
) -> Iterator[RolloutStep]:
    """Yield the iterates of a descent on f, for ever.

    Parameters
    ----------
    loss : RolloutLoss
    start : RolloutBlocks
    learning_rate : float, optional
        η. By default the safe step 1/λ_max of the present Hessian, by power iteration, halved until
        the loss does not rise: f is no quadratic in T. A given η is taken as it is; the iterates
        may then grow to infinity and become NaN.
    solver : {"alternating", "gradient"}
        "gradient": a step against the gradient of all three blocks. "alternating": the best H, the
        best W₀, then a gradient step in T alone.

    Yields
    ------
    RolloutStep
        `n_iter` counts from 0 (the start).

    Examples
    --------
    >>> loss = RolloutLoss(np.array([1.0, 2, 4]).reshape(3, 1, 1))
    >>> start = RolloutBlocks(np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)))
    >>> steps = rollout_steps(loss, start)
    >>> losses = [next(steps).loss for _ in range(200)]
    >>> losses[0], losses[-1] < 1e-6, next(steps).blocks.transition.round(2).item()
    (5.0, True, 2.0)
    """
    check_choice(solver, ("alternating", "gradient"), "solver")
    if learning_rate is not None and check_number(learning_rate, "learning_rate") <= 0:
        raise ValueError(f"learning_rate is {learning_rate}; a positive number is needed")
    (_, m, n), k = loss.X.shape, len(start.basis)
    check_blocks(start, ((m, k), (k, k), (k, n)))

    def iterate(blocks):
        eta = None
        for n_iter in count():
            yield RolloutStep(n_iter, blocks, loss(*blocks), eta)
            if solver == "alternating":
                blocks = blocks._replace(basis=loss.best_basis(*blocks))
                blocks = blocks._replace(initial=loss.best_initial(*blocks))
            blocks, eta = _gradient_step(loss, blocks, learning_rate, solver == "alternating")

    return iterate(start)


def _gradient_step(loss, blocks, learning_rate, only_transition):
    """Return the blocks after a step against the gradient, and its learning rate."""
    gradients = loss.gradients(*blocks)
    if only_transition:
        zeros = (np.zeros_like(g) for g in gradients)
        gradients = RolloutBlocks(*zeros)._replace(transition=gradients.transition)
    if learning_rate is not None:
        return _move(blocks, gradients, learning_rate), learning_rate
    hessian = (loss.transition_hessian if only_transition else loss.hessian)(*blocks)
    curvature = largest_curvature(hessian, tol=1e-2, random_state=0)
    before = loss(*blocks)
    eta = 1 / curvature if curvature > 0 else 1.0
    for _ in range(60):
        moved = _move(blocks, gradients, eta)
        if loss(*moved) <= before:
            return moved, eta
        eta /= 2
    return blocks, 0.0


def _move(blocks, gradients, eta):
    with np.errstate(over="ignore", invalid="ignore"):
        moved = (block - eta * g for block, g in zip(blocks, gradients, strict=True))
        return RolloutBlocks(*moved)


def _products(A, B):
    """Return Σₜ Aₜᵀ Bₜ."""
    return A.reshape(-1, A.shape[2]).T @ B.reshape(-1, B.shape[2])


def _backwards(source, T):
    """Return B with Bₜ = sourceₜ + B_{t+1} Tᵀ, from the last step."""
    B = np.array(source)
    for t in range(len(B) - 2, -1, -1):
        B[t] += B[t + 1] @ T.T
    return B
