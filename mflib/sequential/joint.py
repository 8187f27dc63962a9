"""Basis, states and transitions: one problem, fitted in two stages or together (lesson 6).

    f = ½ Σ_Ω (Wₜ H − Xₜ)²                                       loss
        + ½λ (Σₜ ‖Wₜ‖² + c ‖H‖²)                                 penalties
        + μ (½ Σₜ ‖Wₜ − Σ_l W_{t−l} T_l‖² + ½ρ Σ_l ‖T_l‖²)       transition

Every block is a ridge regression of lesson 5: a column of H, a row of Wₜ, and all T_l at once. One
sweep takes the tables Wₜ one after the other (forwards, the next time backwards), then H, then the
T_l; no step increases f (theorem: each is an exact minimum over its block). With μ = 0 these are
the steps of alternating least squares of lesson 5, and T is left alone.

Two stages take μ = 0, and then one ridge regression for T. Complete rows need no λ there: stacked
on top of each other they have the leading right singular vectors for a basis, and Wₜ = Xₜ Hᵀ
(Eckart and Young). Rows that are missing whole say nothing about H, and are left out.

c is the number of entries for each component, n_steps·m·n / k; tables without any do not count. It
makes λ mean the same for W and H and for data of any size: for entries of size 1 the rows of H have
length about 1, and λ = 0.01 moves a state towards zero by about 1 %. An l1 penalty, and W, H,
T ≥ 0, are minimised entry by entry, each exactly, so that f (with the penalty) still never
increases.

A gap is no zero. λ does not apply to the states of tables without entries: the rule alone says what
they are. (Of a row without entries in a table that has some, λ still draws the guess to the mean,
which makes it better.) Where the rule says nothing, at the first max(lags) steps,
½μλ‖Wₜ − W_{t+1}‖² draws them to the next ones.

References
----------
H.-F. Yu, N. Rao and I. S. Dhillon, Temporal regularized matrix factorization for high-dimensional
time series prediction, NIPS, 2016.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mflib import _validation as check
from mflib.iteration import MEMORY, Problem, ProblemIterate, Run, blocks_of_rows, record
from mflib.least_squares import gram_matrices, minimise_rows, solve_rows
from mflib.nmf import initial_factors
from mflib.sequential.preparation import check_sequence
from mflib.sequential.transitions import (
    bridge_gaps,
    check_lags,
    fill_gaps,
    fit_transitions,
    predictions,
    roll_forward,
    usable_rows,
)

# Rows need not be at their minimum before the next block is looked at.
_SWEEPS, _SWEEPS_OF_A_TABLE = 100, 3


class SequenceFactors(NamedTuple):
    """States W (n_steps, m, k), basis H (k, n) and transitions T (n_lags, k, k)."""

    W: np.ndarray
    H: np.ndarray
    T: np.ndarray

    def states(self, n_steps: int) -> np.ndarray:
        """Return the states of the first n steps."""
        return self.W[:n_steps]


class TableProblem(Problem):
    """What the problems of this lesson have in common: tables (n_steps, m, n), NaN where missing.

    `observed` says where X has an entry, `known` which rows have one, `whole` which miss none,
    `shrunk` which rows λ applies to, and `filled` is X with zeros elsewhere. `is_ridge`: of W and H
    nothing is asked but small squares.
    """

    l1, non_negative = 0.0, False

    def __init__(self, X: ArrayLike, regularization: float = 0.0):
        self.X = check_sequence(X)
        self.regularization = check.non_negative(regularization, "regularization")
        self.observed = ~np.isnan(self.X)
        self.known, self.whole = self.observed.any(axis=2), self.observed.all(axis=2)
        self.is_complete, self.is_ridge = self.whole.all(), not (self.l1 or self.non_negative)
        self.filled = self.X if self.is_complete else np.where(self.observed, self.X, 0.0)
        # Where λ applies: to all rows of a table that has an entry.
        self.shrunk = np.broadcast_to(self.known.any(axis=1, keepdims=True), self.known.shape)

    def entries_per_component(self, k: int) -> float:
        """Return c."""
        return self.shrunk.sum() * self.X.shape[2] / k

    def errors(self, W: np.ndarray, H: np.ndarray) -> np.ndarray:
        """Return Wₜ H − Xₜ, and 0 where an entry is missing."""
        E = W @ H - self.filled
        return E if self.is_complete else np.where(self.observed, E, 0.0)

    @np.errstate(over="ignore", invalid="ignore")
    def loss(self, factors) -> float:
        """Return ½ Σ_Ω (Wₜ H − Xₜ)²; infinite or NaN where states overflow."""
        E = self.errors(factors.states(len(self.X)), factors.H)
        return float(np.vdot(E, E)) / 2

    @np.errstate(over="ignore", invalid="ignore")
    def penalty(self, factors) -> float:
        """Return ½λ (Σₜ ‖Wₜ‖² + c ‖H‖²), over the tables with an entry, and the l1 penalties."""
        W, H = factors.states(len(self.X)), factors.H
        squares = np.sum(W[self.shrunk] ** 2) + self.entries_per_component(len(H)) * np.vdot(H, H)
        l1_W, l1_H = self.l1_strengths(len(H))
        l1 = l1_W * np.abs(W).sum() + l1_H * np.abs(H).sum()
        return float(self.regularization * squares / 2 + l1)

    def l1_strengths(self, k: int) -> tuple[float, float]:
        """Return the penalties on |W| and |H|, in proportion to the size of their entries.

        Data of size 1 and rows of H of length 1 make |W| about √(n/k) and |H| about 1/√n; H counts
        c times, as in λ.
        """
        n, c = self.X.shape[2], self.entries_per_component(k)
        return self.l1 * np.sqrt(n / k), self.l1 * c / np.sqrt(n)

    def best_basis(self, W: np.ndarray, H: np.ndarray) -> np.ndarray:
        """Return the best H for these states, a ridge regression for each column, or a better one.

        (A better one than the present H, if the minimum is found by iterations.)
        """
        k, n = H.shape
        rows, strength = W.reshape(-1, k), self.regularization * self.entries_per_component(k)
        grams = gram_matrices(self.observed.reshape(-1, n).T, rows)
        targets = self.filled.reshape(-1, n).T @ rows
        return self._solve(grams, targets, strength, H.T, self.l1_strengths(k)[1]).T

    def best_rows(self, H: np.ndarray, W: np.ndarray, first: int = 0) -> np.ndarray:
        """Return the best states of the tables from `first` on, for this basis: zeros in a gap.

        (Or better ones than W, if the minimum is found by iterations.)
        """
        k, n = H.shape
        observed, filled = (A[first:].reshape(-1, n) for A in (self.observed, self.filled))
        rows, l1 = W.reshape(-1, k).copy(), self.l1_strengths(k)[0]
        for some in blocks_of_rows(len(rows), k**2, MEMORY):
            grams, targets = gram_matrices(observed[some], H.T), filled[some] @ H.T
            rows[some] = self._solve(grams, targets, self.regularization, rows[some], l1)
        return rows.reshape(W.shape)

    def encode(self, H: np.ndarray, first: int = 0) -> np.ndarray:
        """Return the states of the tables from `first` on, for a basis found before: NaN in a gap.

        With ridges alone it is orthonormal, and a complete row x has the state x Hᵀ.
        """
        W, known = self.filled[first:] @ H.T, self.known[first:]
        exact = self.whole[first:] & self.is_ridge
        if not (exact | ~known).all():
            W = np.where(exact[..., np.newaxis], W, self.best_rows(H, np.zeros_like(W), first))
        return np.where(known[..., np.newaxis], W, np.nan)

    def _solve(self, grams, targets, strengths, start, l1, max_iter=_SWEEPS):
        """Return the rows that minimise ½ w (G + sI) wᵀ − t wᵀ, with what else is asked of them."""
        grams = grams + np.asarray(strengths)[..., None, None] * np.eye(targets.shape[1])
        if self.is_ridge:
            return solve_rows(grams, targets, strengths)
        lower = 0.0 if self.non_negative else -np.inf
        return minimise_rows(grams, targets, start, l1=l1, lower=lower, max_iter=max_iter)


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

    @cached_property
    def pulls(self) -> np.ndarray:
        """How much the squared surprises of each row of Wₜ count in the transition."""
        # At the first steps nothing predicts Wₜ: λ draws unknown rows to W_{t+1} (see the head).
        pulls = np.where(self.known, 0.0, self.regularization)
        pulls[max(self.lags) :] = 1.0
        return pulls

    @cached_property
    def strengths(self) -> list[float | np.ndarray]:
        """What multiplies ½‖w‖² for the rows of each Wₜ, one number where it is one for all."""
        pulls, first = self.pulls.copy(), max(self.lags)
        # Wₜ stands in its own surprise, and as −Wₜ in that of step t − 1, if that is a first one.
        pulls[1 : first + 1] += self.pulls[:first]
        strengths = self.transition_weight * pulls + self.regularization * self.shrunk
        return [row[0] if (row == row[0]).all() else row for row in strengths]

    def as_factors(self, start: Any) -> SequenceFactors:
        """Return W, H and T as arrays that fit the tables and the lags."""
        n_steps, m, n = self.X.shape
        shapes = {"W": (n_steps, m, "k"), "H": ("k", n), "T": (len(self.lags), "k", "k")}
        return check.factors(start, SequenceFactors, shapes)

    def surprises(self, W: np.ndarray, T: np.ndarray) -> np.ndarray:
        """Return Wₜ − Σ_l W_{t−l} T_l, and Wₜ − W_{t+1} at the first max(lags) steps."""
        first = max(self.lags)
        rest = W[first:] - predictions(W, T, self.lags)
        return np.concatenate([W[:first] - W[1 : first + 1], rest])

    def transition_loss(self, W: np.ndarray, T: np.ndarray) -> float:
        """Return ½ Σₜ ‖Wₜ − Σ_l W_{t−l} T_l‖², without its weight."""
        return float(np.sum(self.surprises(W, T)[max(self.lags) :] ** 2)) / 2

    @np.errstate(over="ignore", invalid="ignore")
    def penalty(self, factors) -> float:
        """Return all of f but the loss: ridges, l1 penalties and the transition with its weight."""
        W, H, T = factors
        transition = np.vdot(self.pulls, np.sum(self.surprises(W, T) ** 2, axis=2))
        transition += self.ridge_of_transitions(len(H)) * np.vdot(T, T)
        return super().penalty(factors) + float(self.transition_weight * transition / 2)

    def ridge_of_transitions(self, k: int) -> float:
        """Return ρ in the unit of the squares of those states that are more than a guess."""
        n_steps, m, n = self.X.shape
        share = self.transition_regularization * self.known.mean()
        return share * (n_steps - max(self.lags)) * m * n / k

    def best_transitions(self, W: np.ndarray, **options) -> np.ndarray:
        """Return the transitions of these states, from a `start` of `fit_transitions`, if any."""
        ridge = self.ridge_of_transitions(W.shape[2])
        return fit_transitions(W, self.lags, ridge, non_negative=self.non_negative, **options)

    def best_states(self, factors, *, backwards: bool = False) -> np.ndarray:
        """Return states that minimise f over each table Wₜ, one after the other.

        Besides its own loss and penalties, f holds of Wₜ

            ½μ pₜ ‖Wₜ − Pₜ‖²        Pₜ = Wₜ − Rₜ is its prediction, with the surprises R
            ½μ p_s ‖Wₜ M − Q_s‖²    Q_s = R_s + Wₜ M, for each W_s that Wₜ helps to predict

        where p is `pulls`, and M is T_l, or I where s is one of the first steps. So `best_table`
        gets C = μ (pₜ I + Σ p_s M Mᵀ) and D = μ (pₜ Pₜ + Σ p_s Q_s Mᵀ).
        """
        W, H, T = factors
        mu, longest = self.transition_weight, max(self.lags)
        if mu == 0:  # the tables do not depend on each other
            return self.best_rows(H, W)
        W, R, pulls = W.copy(), self.surprises(W, T), self.pulls[..., np.newaxis]
        for t in range(len(W))[:: -1 if backwards else 1]:
            others = [(t + lag, T[i]) for i, lag in enumerate(self.lags)]  # that Wₜ predicts
            others = [(s, M) for s, M in others if longest <= s < len(W)]
            C = sum(M @ M.T for _, M in others)
            if 1 <= t <= longest:
                others.append((t - 1, np.eye(len(H))))
            said = pulls[t] * (W[t] - R[t])
            said += sum(pulls[s] * (R[s] + W[t] @ M) @ M.T for s, M in others)
            change = self.best_table(t, H, W[t], mu * said, mu * C, _SWEEPS_OF_A_TABLE) - W[t]
            W[t] += change
            R[t] += change
            for s, M in others:
                R[s] -= change @ M
        return W

    def best_table(self, t, H, start, said, coupling=0.0, max_iter=_SWEEPS) -> np.ndarray:
        """Minimise f over Wₜ alone, where other states say ½ Wₜ C Wₜᵀ − Wₜ Dᵀ, row by row.

        Parameters
        ----------
        t : int
        H : (k, n) array
        start : (m, k) array
        said : (m, k) array
            D.
        coupling : (k, k) array
            C, without its multiples of I, which stand in `strengths`.
        max_iter : int
            Largest number of sweeps over the entries of a row, where sweeps are needed.
        """
        grams, targets = gram_matrices(self.observed[t], H.T) + coupling, self.filled[t] @ H.T
        l1 = self.l1_strengths(len(H))[0]
        return self._solve(grams, targets + said, self.strengths[t], start, l1, max_iter)

    def follow(self, W: np.ndarray, H: np.ndarray, T: np.ndarray) -> np.ndarray:
        """Return states W of the first tables, and then those that are best given the ones before.

        A state depends on no later table.
        """
        n_known = len(W)
        W = np.concatenate([W, np.empty((len(self.X) - n_known, *W.shape[1:]))])
        for t in range(n_known, len(W)):
            predicted = roll_forward(W[:t], T, self.lags, 1)[0]
            W[t] = self.best_table(t, H, predicted, self.transition_weight * predicted)
        return W


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
    check.kind(isinstance(problem, JointProblem), problem, "problem", "a JointProblem")

    def iterate(factors):
        for n_iter in count():
            yield JointStep(n_iter, factors, problem)
            W = problem.best_states(factors, backwards=n_iter % 2 == 1)
            H = problem.best_basis(W, factors.H)
            T = factors.T
            if problem.transition_weight:
                T = problem.best_transitions(W, start=T)
            factors = SequenceFactors(W, H, T)

    return iterate(problem.as_factors(start))


def two_stages(problem: JointProblem, rank: int, finish: Callable, *, bridge: bool = False) -> Run:
    """Fit the basis, then the transitions.

    Parameters
    ----------
    problem : JointProblem
        With `transition_weight` 0.
    rank : int
    finish : function of the steps of alternating least squares, which returns the run
    bridge : bool
        Whether gaps may be bridged, if no row is observed at a step and at all its lags. It is a
        poor start, but a start. By default that is refused.

    Returns
    -------
    Run
        Its step has W, H and T; its message says how the basis was found.
    """
    known = problem.known
    if problem.is_ridge and (problem.whole | ~known).all():
        H, n_iter = _leading_rows(problem.X[known], rank), 0
        run = Run(None, "settled", "the SVD gives the basis at once")
    else:
        run = finish(joint_steps(problem, _start(problem, rank)))
        H, n_iter = run.step.H, run.step.n_iter
        if problem.is_ridge:
            H = _leading_rows(run.step.W.reshape(-1, rank) @ H, rank)
    W = problem.encode(H)
    if bridge and not usable_rows(W, problem.lags).any():
        W = bridge_gaps(W)
    T = problem.best_transitions(W)
    factors = SequenceFactors(fill_gaps(W, T, problem.lags), H, T)
    return run._replace(step=JointStep(n_iter, factors, problem))


def _start(problem, k):
    """Return where alternating least squares begins, for the basis."""
    stacked = problem.filled.reshape(-1, problem.X.shape[2])
    if problem.non_negative:
        W, H = initial_factors(stacked, k, init="nndsvda", random_state=0)
    else:
        # Rows of length 1, and then W · c^¼ and H / c^¼: λ(‖W‖² + c‖H‖²) becomes λ√c(‖·‖² + ‖·‖²),
        # one λ for both as in lesson 5. Other starts end in other local minima.
        small = problem.entries_per_component(k) ** -0.25
        H = small * _leading_rows(stacked, k)
        W = stacked @ H.T / small**2
    return W.reshape(*problem.X.shape[:2], k), H, np.zeros((len(problem.lags), k, k))


def _leading_rows(X, k):
    """Return the k leading right singular vectors of X, as rows; X = QR has those of R."""
    return np.linalg.svd(np.linalg.qr(X, mode="r"), full_matrices=False)[2][:k]
