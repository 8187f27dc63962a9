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
which makes it better.) Where the rule says nothing, at the first max(lags) steps, the states of
tables without entries stay as they are at the start.

References
----------
H.-F. Yu, N. Rao and I. S. Dhillon, Temporal regularized matrix factorization for high-dimensional
time series prediction, NIPS, 2016.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mflib import _validation as check
from mflib.iteration import Problem, ProblemIterate, Run, record
from mflib.least_squares import gram_matrices, minimise_rows, solve_rows
from mflib.nmf import initial_factors
from mflib.sequential.preparation import check_sequence
from mflib.sequential.transitions import check_lags, fill_gaps, fit_transitions, predictions


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

    `observed` says where X has an entry, `known` which rows have one, `shrunk` which tables (λ
    applies to their states), and `filled` is X with zeros elsewhere. `is_ridge`: of W and H nothing
    is asked but small squares.
    """

    l1, non_negative = 0.0, False

    def __init__(self, X: ArrayLike, regularization: float = 0.0):
        self.X = check_sequence(X)
        self.regularization = check.non_negative(regularization, "regularization")
        self.observed = ~np.isnan(self.X)
        self.is_complete = self.observed.all()
        self.filled = self.X if self.is_complete else np.where(self.observed, self.X, 0.0)
        self.known = self.observed.any(axis=2)
        self.shrunk = self.known.any(axis=1)
        self.is_ridge = not (self.l1 or self.non_negative)

    def entries_per_component(self, k: int) -> float:
        """Return c."""
        return self.shrunk.sum() * self.X[0].size / k

    def errors(self, W: np.ndarray, H: np.ndarray) -> np.ndarray:
        """Return Wₜ H − Xₜ, and 0 where an entry is missing."""
        E = W @ H - self.filled
        return E if self.is_complete else self.observed * E

    @np.errstate(over="ignore", invalid="ignore")
    def loss(self, factors) -> float:
        """Return ½ Σ_Ω (Wₜ H − Xₜ)²; infinite or NaN where states overflow."""
        E = self.errors(factors.states(len(self.X)), factors.H)
        return float(np.vdot(E, E)) / 2

    @np.errstate(over="ignore", invalid="ignore")
    def penalty(self, factors) -> float:
        """Return ½λ (Σₜ ‖Wₜ‖² + c ‖H‖²), over the tables with an entry, and the l1 penalties."""
        W, H = factors.states(len(self.X)), factors.H
        (ridge_W, l1_W), (ridge_H, l1_H) = self.strengths(len(H))
        squares = ridge_W * np.sum(W[self.shrunk] ** 2) + ridge_H * np.vdot(H, H)
        return float(squares / 2 + l1_W * np.abs(W).sum() + l1_H * np.abs(H).sum())

    def strengths(self, k: int) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return what multiplies ½‖W‖² and |W|, and what multiplies ½‖H‖² and |H|.

        Data of size 1 and rows of H of length 1 make |W| about √(n/k) and |H| about 1/√n. The l1
        penalties are in proportion to these; that on H counts c times, as in λ.
        """
        n, c = self.X.shape[2], self.entries_per_component(k)
        of_W = self.regularization, self.l1 * np.sqrt(n / k)
        return of_W, (self.regularization * c, self.l1 * c / np.sqrt(n))

    def best_basis(self, W: np.ndarray, H: np.ndarray) -> np.ndarray:
        """Return the best H for these states, a ridge regression for each column, or a better one.

        (A better one than the present H, if the minimum is found by iterations.)
        """
        k, n = H.shape
        observed, filled = (A.reshape(-1, n).T for A in (self.observed, self.filled))
        return self._rows(observed, filled, W.reshape(-1, k), H.T, *self.strengths(k)[1]).T

    def best_rows(self, H: np.ndarray, W: np.ndarray, first: int = 0) -> np.ndarray:
        """Return the best states of the tables from `first` on, for this basis: zeros in a gap.

        (Or better ones than W, if the minimum is found by iterations.)
        """
        k, n = H.shape
        observed, filled = (A[first:].reshape(-1, n) for A in (self.observed, self.filled))
        rows = self._rows(observed, filled, H.T, W.reshape(-1, k), *self.strengths(k)[0])
        return rows.reshape(W.shape)

    def encode(self, H: np.ndarray, first: int = 0) -> np.ndarray:
        """Return the states of the tables from `first` on, for a basis found before: NaN in a gap.

        With ridges alone, a complete row needs none: its state is that of least squares.
        """
        W, known = self.filled[first:] @ np.linalg.pinv(H), self.known[first:]
        whole = self.observed[first:].all(axis=2) & self.is_ridge
        if (known & ~whole).any():
            W = np.where(whole[..., np.newaxis], W, self.best_rows(H, np.zeros_like(W), first))
        return np.where(known[..., np.newaxis], W, np.nan)

    def _rows(self, observed, filled, V, start, ridge, l1, coupling=0.0, said=0.0):
        """Return the rows w that minimise ½ Σ_Ω (w Vᵀ − x)² + ½ ridge ‖w‖² + l1 Σ|w|.

        To that is added ½ w C wᵀ − w dᵀ, with the coupling C and what is said of each row, d.
        """
        grams = gram_matrices(observed, V) + coupling + ridge * np.eye(V.shape[1])
        targets = filled @ V + said
        if self.is_ridge:
            return solve_rows(grams, targets, ridge)
        lower = 0.0 if self.non_negative else -np.inf
        return minimise_rows(grams, targets, start, l1=l1, lower=lower)


@dataclass(eq=False, repr=False, kw_only=True)
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

    X: ArrayLike = field(kw_only=False)
    lags: Sequence[int] = field(default=(1,), kw_only=False)
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

    def as_factors(self, start: Any) -> SequenceFactors:
        """Return W, H and T as arrays that fit the tables and the lags."""
        n_steps, m, n = self.X.shape
        shapes = {"W": (n_steps, m, "k"), "H": ("k", n), "T": (len(self.lags), "k", "k")}
        return check.factors(start, SequenceFactors, shapes)

    def surprises(self, W: np.ndarray, T: np.ndarray) -> np.ndarray:
        """Return Wₜ − Σ_l W_{t−l} T_l for every step t from max(lags) on."""
        return W[max(self.lags) :] - predictions(W, T, self.lags)

    def transition_loss(self, W: np.ndarray, T: np.ndarray) -> float:
        """Return ½ Σₜ ‖Wₜ − Σ_l W_{t−l} T_l‖², without its weight."""
        return float(np.sum(self.surprises(W, T) ** 2)) / 2

    @np.errstate(over="ignore", invalid="ignore")
    def penalty(self, factors) -> float:
        """Return all of f but the loss: ridges, l1 penalties and the transition with its weight."""
        W, H, T = factors
        ridge = self.ridge_of_transitions(len(H)) * np.vdot(T, T) / 2
        transition = self.transition_loss(W, T) + ridge
        return super().penalty(factors) + float(self.transition_weight * transition)

    def ridge_of_transitions(self, k: int) -> float:
        """Return ρ in the unit of the squares of those states that are more than a guess."""
        share = self.transition_regularization * self.known.mean()
        return share * self.X[max(self.lags) :].size / k

    def best_transitions(self, W: np.ndarray) -> np.ndarray:
        """Return the transitions of these states."""
        ridge = self.ridge_of_transitions(W.shape[2])
        return fit_transitions(W, self.lags, ridge, non_negative=self.non_negative)

    def best_states(self, factors, *, backwards: bool = False) -> np.ndarray:
        """Return states that minimise f over each table Wₜ, one after the other.

        Besides its own loss and penalties, f holds of Wₜ

            ½pₜ ‖Wₜ − Pₜ‖²         Pₜ = Wₜ − Rₜ is its prediction, with the surprises R
            ½p_s ‖Wₜ T_l − Q_s‖²   Q_s = R_s + Wₜ T_l, for each step s = t + l

        where p_s is μ for the steps with a prediction, and 0 for those before and after.
        """
        W, H, T = factors
        if self.transition_weight == 0:  # the tables do not depend on each other
            return self.best_rows(H, W)
        (ridge, l1), first, n_steps = self.strengths(len(H))[0], max(self.lags), len(W)
        W, p, R = W.copy(), np.zeros(n_steps + first), np.zeros((n_steps + first, *W.shape[1:]))
        p[first:n_steps], R[first:n_steps] = self.transition_weight, self.surprises(W, T)
        later = list(zip(self.lags, T, strict=True))
        free = [t for t in range(n_steps) if p[t] or self.shrunk[t]]
        for t in free[:: -1 if backwards else 1]:
            C = sum(p[t + lag] * T_l @ T_l.T for lag, T_l in later)
            D = sum(p[t + lag] * (R[t + lag] + W[t] @ T_l) @ T_l.T for lag, T_l in later)
            strength, D = p[t] + ridge * self.shrunk[t], D + p[t] * (W[t] - R[t])
            table = self.observed[t], self.filled[t], H.T, W[t]
            change = self._rows(*table, strength, l1, C, D) - W[t]
            W[t] += change
            R[t] += change
            for lag, T_l in later:
                R[t + lag] -= change @ T_l
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
            T = problem.best_transitions(W) if problem.transition_weight else factors.T
            factors = SequenceFactors(W, H, T)

    return iterate(problem.as_factors(start))


def two_stages(problem: JointProblem, rank: int, finish: Callable) -> Run:
    """Fit the basis, then the transitions.

    Parameters
    ----------
    problem : JointProblem
        Its transition weight does not count here.
    rank : int
    finish : function of the steps of alternating least squares, which returns the run

    Returns
    -------
    Run
        Its step has W, H and T; its message says how the basis was found.
    """
    if problem.is_ridge and (problem.observed == problem.known[..., np.newaxis]).all():
        H, n_iter = _leading_rows(problem.X[problem.known], rank), 0
        run = Run(None, "settled", "the SVD gives the basis at once")
    else:
        W, T = np.zeros((*problem.known.shape, rank)), np.zeros((len(problem.lags), rank, rank))
        compression = replace(problem, transition_weight=0.0)
        run = finish(joint_steps(compression, (W, _first_basis(problem, rank), T)))
        H, n_iter = run.step.H, run.step.n_iter
        if problem.is_ridge:
            H = _leading_rows(run.step.W.reshape(-1, rank) @ H, rank)
    W = problem.encode(H)
    T = problem.best_transitions(W)
    factors = SequenceFactors(fill_gaps(W, T, problem.lags), H, T)
    return run._replace(step=JointStep(n_iter, factors, problem))


def _first_basis(problem, k):
    """Return the basis from which alternating least squares begins."""
    stacked = problem.filled.reshape(-1, problem.X.shape[2])
    if problem.non_negative:
        return initial_factors(stacked, k, init="nndsvda", random_state=0).H
    # Rows of length c^-¼: with W · c^¼ and H / c^¼, λ(‖W‖² + c‖H‖²) becomes λ√c(‖·‖² + ‖·‖²), one λ
    # for both as in lesson 5. Other starts end in other local minima.
    return problem.entries_per_component(k) ** -0.25 * _leading_rows(stacked, k)


def _leading_rows(X, k):
    """Return the k leading right singular vectors of X, as rows; X = QR has those of R."""
    return np.linalg.svd(np.linalg.qr(X, mode="r"), full_matrices=False)[2][:k]
