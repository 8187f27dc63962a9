"""Basis, states and transitions fitted together, block by block (lesson 6).

    f = ½ Σ_Ω (Wₜ H − Xₜ)² + ½λ (Σₜ ‖Wₜ‖² + c ‖H‖²)                     compression
        + μ (½ Σₜ ‖Wₜ − Σ_l W_{t−l} T_l‖² + ½ρ Σ_l ‖T_l‖²)                 transition

Every block is a ridge regression. One sweep takes the tables Wₜ one after the other (forwards, the
next time backwards), then H, then the T_l; no step increases f (theorem: each is an exact minimum
over its block). With μ = 0 these are the steps of alternating least squares of lesson 5.

c is the number of entries for each component, n_steps·m·n / k. It makes λ mean the same for W and H
and for data of any size: for entries of size 1 the rows of H have length about 1, and λ = 0.01
moves a state towards zero by about 1 %. An l1 penalty, and W, H, T ≥ 0, are minimised entry by
entry, each exactly, so that f (with the penalty) still never increases.

References
----------
H.-F. Yu, N. Rao and I. S. Dhillon, Temporal regularized matrix factorization for high-dimensional
time series prediction, NIPS, 2016.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from math import sqrt

import numpy as np

from mflib.sequential.transitions import fit_transitions, minimise_rows, predictions

# Gram matrices of rows with missing entries are made in blocks of about this many numbers.
_BLOCK = 1 << 22


@dataclass(frozen=True)
class JointProblem:
    """The tables (n_steps, m, n), NaN where missing, and what the loss f is made of."""

    X: np.ndarray
    rank: int
    lags: Sequence[int]
    regularization: float = 1e-2
    transition_weight: float = 1.0
    transition_regularization: float = 1e-2
    l1: float = 0.0
    nonnegative: bool = False

    @cached_property
    def observed(self) -> np.ndarray:
        """Where X has an entry."""
        return ~np.isnan(self.X)

    @cached_property
    def filled(self) -> np.ndarray:
        """X with zeros in place of missing entries."""
        return np.where(self.observed, self.X, 0.0)

    @property
    def entries_per_component(self) -> float:
        """The c of the loss."""
        return self.X.size / self.rank

    @property
    def ridge(self) -> float:
        """ρ, in proportion to the sum of squares that a component of the lagged states has."""
        n_steps, m, n = self.X.shape
        return self.transition_regularization * (n_steps - max(self.lags)) * m * n / self.rank

    def compression(self, W: np.ndarray, H: np.ndarray) -> float:
        """Return ½ Σ_Ω (Wₜ H − Xₜ)²."""
        return float(np.sum(self.errors(W, H) ** 2)) / 2

    def errors(self, W: np.ndarray, H: np.ndarray, steps: slice = slice(None)) -> np.ndarray:
        """Return Wₜ H − Xₜ, and 0 where an entry is missing."""
        return np.where(self.observed[steps], W[steps] @ H - self.filled[steps], 0.0)

    def transition(self, W: np.ndarray, T: np.ndarray) -> float:
        """Return ½ Σₜ ‖Wₜ − Σ_l W_{t−l} T_l‖²."""
        return float(np.sum((W[max(self.lags) :] - predictions(W, T, self.lags)) ** 2)) / 2

    def objective(self, W: np.ndarray, H: np.ndarray, T: np.ndarray) -> float:
        """Return f, with the l1 penalty."""
        l1_W, l1_H = self.l1_strengths
        c = self.entries_per_component
        penalty = self.regularization * (np.vdot(W, W) + c * np.vdot(H, H)) / 2
        penalty += l1_W * np.abs(W).sum() + l1_H * np.abs(H).sum()
        transition = self.transition(W, T) + self.ridge * np.vdot(T, T) / 2
        return float(self.compression(W, H) + penalty + self.transition_weight * transition)

    @property
    def l1_strengths(self) -> tuple[float, float]:
        """The penalties on |W| and |H|: in proportion to the size that their entries have."""
        n, c = self.X.shape[2], self.entries_per_component
        return self.l1 * sqrt(n / self.rank), self.l1 * c / sqrt(n)


@dataclass(frozen=True)
class JointStep:
    """One iterate: states W (n_steps, m, k), basis H (k, n), transitions T (n_lags, k, k).

    `compression` and `transition` are the two losses, `objective` is f.
    """

    n_iter: int
    states: np.ndarray
    basis: np.ndarray
    transitions: np.ndarray
    compression: float
    transition: float
    objective: float


def joint_steps(
    problem: JointProblem, W0: np.ndarray, H0: np.ndarray, T0: np.ndarray
) -> Iterator[JointStep]:
    """Yield the iterates of alternating least squares on f, for ever.

    Parameters
    ----------
    problem : JointProblem
    W0 : (n_steps, m, k) array
    H0 : (k, n) array
    T0 : (n_lags, k, k) array
        The start. At least 0 if `problem.nonnegative`.

    Yields
    ------
    JointStep
        `n_iter` counts from 0 (the start); `objective` never increases.

    Examples
    --------
    >>> X = np.array([1.0, 2, 4, np.nan, 16]).reshape(5, 1, 1)
    >>> problem = JointProblem(X, 1, (1,), regularization=0.0, transition_regularization=0.0)
    >>> steps = joint_steps(problem, np.ones((5, 1, 1)), np.ones((1, 1)), np.ones((1, 1, 1)))
    >>> objectives = [next(steps).objective for _ in range(50)]
    >>> [round(next(steps).transitions.item(), 3), objectives[0], objectives[-1] < 1e-3]
    [2.0, 117.5, True]
    """
    n_steps, m, n = problem.X.shape
    k, n_lags = problem.rank, len(problem.lags)
    check_blocks((W0, H0, T0), ((n_steps, m, k), (k, n), (n_lags, k, k)))

    def iterate(W, H, T):
        for n_iter in count():
            losses = problem.compression(W, H), problem.transition(W, T), problem.objective(W, H, T)
            yield JointStep(n_iter, W, H, T, *losses)
            W = update_states(problem, W, H, T, backwards=n_iter % 2 == 1)
            H = _update_basis(problem, W, H)
            T = fit_transitions(
                W, problem.lags, problem.ridge, nonnegative=problem.nonnegative, start=T
            )

    return iterate(W0, H0, T0)


def check_blocks(blocks: Sequence[np.ndarray], shapes: Sequence[tuple[int, ...]]) -> None:
    """Refuse a start whose blocks do not have the shapes that the data and the rank ask for."""
    found = [np.shape(block) for block in blocks]
    if found != list(shapes):
        found, needed = (", ".join(map(str, s)) for s in (found, shapes))
        raise ValueError(f"the start has blocks of shapes {found}; {needed} are needed")


def update_states(problem, W, H, T, *, start=0, backwards=False) -> np.ndarray:
    """Minimise f over each table Wₜ from step `start` on, one after the other."""
    W, longest, k = W.copy(), max(problem.lags), len(H)
    mu, n_steps = problem.transition_weight, len(W)
    residual = np.zeros_like(W)  # Wₜ − Σ_l W_{t−l} T_l, kept up to date
    if mu > 0:
        residual[longest:] = W[longest:] - predictions(W, T, problem.lags)
    for steps in _blocks(problem, start, backwards):
        old, t = W[steps], steps.start
        A = gram_matrices(problem.observed[steps].reshape(-1, H.shape[1]), H.T)
        A = A + problem.regularization * np.eye(k)
        gradient = problem.errors(W, H, steps) @ H.T + problem.regularization * old
        if mu > 0:  # Wₜ is predicted from earlier tables, and predicts later ones
            if t >= longest:
                A = A + mu * np.eye(k)
                gradient += mu * residual[steps]
            later = [
                (t + lag, T_l)
                for lag, T_l in zip(problem.lags, T, strict=True)
                if longest <= t + lag < n_steps
            ]
            for s, T_l in later:
                A = A + mu * T_l @ T_l.T
                gradient -= mu * residual[s] @ T_l.T
        new = _minimise(problem, A, gradient.reshape(-1, k), old.reshape(-1, k), 0)
        change = new.reshape(old.shape) - old
        W[steps] += change
        if mu > 0:
            residual[steps] += change if t >= longest else 0.0
            for s, T_l in later:
                residual[s] -= change[0] @ T_l
    return W


def gram_matrices(observed: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return Σ_{j observed} vⱼ vⱼᵀ of every row, (rows, k, k); one (k, k) if nothing is missing."""
    if observed.all():
        return V.T @ V
    n, k = V.shape
    products = (V[:, :, np.newaxis] * V[:, np.newaxis, :]).reshape(n, k * k)
    return (observed.astype(float) @ products).reshape(-1, k, k)


def _blocks(problem, start, backwards):
    """Return slices of steps that can be updated together: single ones unless μ = 0."""
    n_steps, m, _ = problem.X.shape
    height = 1 if problem.transition_weight > 0 else max(1, _BLOCK // (m * problem.rank**2))
    blocks = [slice(t, min(t + height, n_steps)) for t in range(start, n_steps, height)]
    return blocks[::-1] if backwards else blocks


def _update_basis(problem, W, H):
    k, n = H.shape
    stacked = W.reshape(-1, k)
    strength = problem.regularization * problem.entries_per_component
    errors = problem.errors(W, H).reshape(-1, n)
    A = gram_matrices(problem.observed.reshape(-1, n).T, stacked) + strength * np.eye(k)
    return _minimise(problem, A, (stacked.T @ errors + strength * H).T, H.T, 1).T


def _minimise(problem, A, gradient, rows, which):
    l1 = problem.l1_strengths[which]
    return minimise_rows(A, gradient, rows, l1=l1, nonnegative=problem.nonnegative)
