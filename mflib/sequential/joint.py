"""Basis, states and transitions fitted together, block by block (lesson 6).

    f = ½ Σ_Ω (Wₜ H − Xₜ)²                                       loss
        + ½λ (Σₜ ‖Wₜ‖² + c ‖H‖²)                                 penalties
        + μ (½ Σₜ ‖Wₜ − Σ_l W_{t−l} T_l‖² + ½ρ Σ_l ‖T_l‖²)       transition

Every block is a ridge regression. One sweep takes the tables Wₜ one after the other (forwards, the
next time backwards), then H, then the T_l; no step increases f (theorem: each is an exact minimum
over its block). With μ = 0 these are the steps of alternating least squares of lesson 5.

c is the number of entries for each component, n_steps·m·n / k. It makes λ mean the same for W and H
and for data of any size: for entries of size 1 the rows of H have length about 1, and λ = 0.01
moves a state towards zero by about 1 %. An l1 penalty, and W, H, T ≥ 0, are minimised entry by
entry, each exactly, so that f (with the penalty) still never increases.

A gap is no zero. λ does not apply to the states of tables without entries: the rule alone says what
they are. (Of a row without entries in a table that has some, λ still draws the guess to the mean,
which makes it better.) Where the rule says nothing, at the first max(lags) steps,
½μλ‖Wₜ − W_{t+1}‖² draws them to the next ones.

References
----------
H.-F. Yu, N. Rao and I. S. Dhillon, Temporal regularized matrix factorization for high-dimensional
time series prediction, NIPS, 2016.
"""

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mflib import _validation as check
from mflib.iteration import ProblemIterate, record
from mflib.least_squares import gram_matrices
from mflib.sequential.tables import TableProblem
from mflib.sequential.transitions import check_lags, fit_transitions, predictions


class SequenceFactors(NamedTuple):
    """States W (n_steps, m, k), basis H (k, n) and transitions T (n_lags, k, k)."""

    W: np.ndarray
    H: np.ndarray
    T: np.ndarray


@dataclass(eq=False, repr=False)
class JointProblem(TableProblem):
    """The function f of W, H and T.

    Parameters
    ----------
    X : (n_steps, m, n) array, NaN where missing
    lags : sequence of int
    regularization : float
        λ.
    transition_weight : float
        μ.
    transition_regularization : float
        ρ, as a share of the sum of squares that a component of the lagged states has.
    l1 : float
        Strength of the penalty on |W| and |H|, as a share of the size of their entries.
    non_negative : bool
        Whether W, H and T are to be at least 0.

    Examples
    --------
    >>> f = JointProblem(np.array([1.0, np.nan, 4]).reshape(3, 1, 1), (1,), regularization=0)
    >>> factors = f.as_factors((np.ones((3, 1, 1)), np.ones((1, 1)), np.ones((1, 1, 1))))
    >>> f.loss(factors)  # 1, 1, 1
    4.5
    """

    X: ArrayLike
    lags: Sequence[int] = (1,)
    _: KW_ONLY
    regularization: float = 1e-2
    transition_weight: float = 1.0
    transition_regularization: float = 1e-2
    l1: float = 0.0
    non_negative: bool = False

    def __post_init__(self):
        """Refuse what has no meaning."""
        super().__init__(self.X, self.regularization)
        check_lags(self.lags, len(self.X))
        for name in ("transition_weight", "transition_regularization", "l1"):
            check.non_negative(getattr(self, name), name)
        check.flag(self.non_negative, "non_negative")
        self.known = self.observed.any(axis=2)
        # Where λ applies: to all rows of a table that has an entry.
        self._shrunk = np.broadcast_to(self.known.any(axis=1, keepdims=True), self.known.shape)

    @cached_property
    def pulls(self) -> np.ndarray:
        """How much the squared surprises of each row of Wₜ count in the transition."""
        pulls = np.where(self.known, 0.0, self.regularization)
        pulls[max(self.lags) :] = 1.0
        return pulls

    @cached_property
    def strengths(self) -> list[float | np.ndarray]:
        """What multiplies ½‖w‖² for the rows of each Wₜ, one number where it is one for all."""
        pulls, first = self.pulls.copy(), max(self.lags)
        pulls[1 : first + 1] += self.pulls[:first]
        strengths = self.transition_weight * pulls + self.regularization * self._shrunk
        return [row[0] if (row == row[0]).all() else row for row in strengths]

    def as_factors(self, start: Any) -> SequenceFactors:
        """Return W, H and T as arrays that fit the tables and the lags."""
        n_steps, m, n = self.X.shape
        shapes = {"W": (n_steps, m, "k"), "H": ("k", n), "T": (len(self.lags), "k", "k")}
        return check.factors(start, SequenceFactors, shapes)

    def loss(self, factors) -> float:
        """Return ½ Σ_Ω (Wₜ H − Xₜ)²."""
        return float(np.sum(self.errors(factors.W, factors.H) ** 2)) / 2

    def surprises(self, W: np.ndarray, T: np.ndarray) -> np.ndarray:
        """Return Wₜ − Σ_l W_{t−l} T_l, and Wₜ − W_{t+1} at the first max(lags) steps."""
        first = max(self.lags)
        rest = W[first:] - predictions(W, T, self.lags)
        return np.concatenate([W[:first] - W[1 : first + 1], rest])

    def penalty(self, factors) -> float:
        """Return all of f but the loss: ridges, l1 penalties and the transition with its weight."""
        W, H, T = factors
        k, c = len(H), self.entries_per_component(len(H))
        ridge = np.sum(W[self._shrunk] ** 2) + c * np.vdot(H, H)
        transition = np.vdot(self.pulls, np.sum(self.surprises(W, T) ** 2, axis=2))
        transition += self.ridge_of_transitions(k) * np.vdot(T, T)
        l1_W, l1_H = self.l1_strengths(k)
        l1 = l1_W * np.abs(W).sum() + l1_H * np.abs(H).sum()
        squares = self.regularization * ridge + self.transition_weight * transition
        return float(squares / 2 + l1)

    def ridge_of_transitions(self, k: int) -> float:
        """Return ρ in the unit of the squares of those states that are more than a guess."""
        n_steps, m, n = self.X.shape
        share = self.transition_regularization * self.known.mean()
        return share * (n_steps - max(self.lags)) * m * n / k

    def best_transitions(
        self, W: np.ndarray, T: np.ndarray | None = None, known: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the transitions of these states; where T ≥ 0 is asked for, from T on."""
        ridge = self.ridge_of_transitions(W.shape[2])
        options = {"known": known, "non_negative": self.non_negative, "start": T}
        return fit_transitions(W, self.lags, ridge, **options)

    def best_states(self, factors, *, backwards: bool = False) -> np.ndarray:
        """Return states that minimise f over each table Wₜ, one after the other."""
        W, H, T = factors
        mu, longest = self.transition_weight, max(self.lags)
        if mu == 0:  # the tables do not depend on each other
            return self.best_rows(H, W)
        W, R, squares = W.copy(), self.surprises(W, T), T @ T.transpose(0, 2, 1)
        for t in range(len(W))[:: -1 if backwards else 1]:
            later = [(i, t + lag) for i, lag in enumerate(self.lags)]  # the tables that Wₜ predicts
            later = [(i, s) for i, s in later if longest <= s < len(W)]
            C = sum((squares[i] for i, _ in later), np.zeros_like(T[0]))
            said = sum((R[s] @ T[i].T for i, s in later), W[t] @ C)
            said += self.pulls[t, :, np.newaxis] * (W[t] - R[t])
            if 1 <= t <= longest:
                said += self.pulls[t - 1, :, np.newaxis] * (W[t] + R[t - 1])
            change = self.best_table(t, H, W[t], mu * said, mu * C) - W[t]
            W[t] += change
            R[t] += change
            if 1 <= t <= longest:
                R[t - 1] -= change
            for i, s in later:
                R[s] -= change @ T[i]
        return W

    def best_table(self, t, H, start, said, coupling=0.0) -> np.ndarray:
        """Minimise f over Wₜ alone, where other states say ½ Wₜ C Wₜᵀ − Wₜ Dᵀ, row by row.

        Parameters
        ----------
        t : int
        H : (k, n) array
        start : (m, k) array
        said : (m, k) array
            D.
        coupling : (k, k) array
            C, but for what is in proportion to the identity.
        """
        grams, targets = gram_matrices(self.observed[t], H.T) + coupling, self.filled[t] @ H.T
        l1 = self.l1_strengths(len(H))[0]
        return self._solve(grams, targets + said, self.strengths[t], start, l1)


@record
class JointStep(ProblemIterate):
    """One iterate of the joint fit: the factors W, H, T, and f."""

    algorithm = "joint"


def joint_steps(problem: JointProblem, start: Any) -> Iterator[JointStep]:
    """Yield the iterates of alternating least squares on f, for ever.

    Parameters
    ----------
    problem : JointProblem
    start : iterate, or arrays (W, H, T)
        At least 0 if `problem.non_negative`.

    Yields
    ------
    JointStep
        `n_iter` counts from 0 (the start); `objective` never increases.

    Examples
    --------
    >>> from mflib.iteration import take
    >>> X = np.array([1.0, 2, 4, np.nan, 16]).reshape(5, 1, 1)
    >>> problem = JointProblem(X, regularization=0.0, transition_regularization=0.0)
    >>> start = np.ones((5, 1, 1)), np.ones((1, 1)), np.ones((1, 1, 1))
    >>> steps = take(joint_steps(problem, start), 51)
    >>> steps[0].objective, steps[50].objective < 1e-3, round(steps[50].T.item(), 3)
    (117.5, True, 2.0)
    """

    def iterate(factors):
        for n_iter in count():
            yield JointStep(n_iter, factors, problem)
            W = problem.best_states(factors, backwards=n_iter % 2 == 1)
            H = problem.best_basis(W, factors.H)
            T = problem.best_transitions(W, factors.T)
            factors = SequenceFactors(W, H, T)

    return iterate(problem.as_factors(start))
