"""The estimator of lesson 6: a sequence of tables with one shared basis, and its forecast."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from math import sqrt
from typing import Literal
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from mflib._validation import NEGLIGIBLE, check_count
from mflib.completion.model import check_choice, check_nonnegative
from mflib.descent import has_exploded
from mflib.nmf import initial_factors
from mflib.sequential.joint import JointProblem, joint_steps, update_states
from mflib.sequential.preparation import (
    LARGEST_COUNT,
    check_later,
    check_like,
    check_sequence,
    check_steps,
    prepare,
)
from mflib.sequential.rollout import RolloutBlocks, RolloutLoss, rollout_steps
from mflib.sequential.transitions import (
    check_lags,
    companion_eigenvalues,
    fit_transitions,
    forecast_states,
    predictions,
    roll_forward,
    usable_rows,
)

HISTORY = ("compression", "transition", "validation_compression", "validation_transition")


class SequentialMF(BaseEstimator):
    """Factorize a sequence of tables, Xₜ ≈ Wₜ H with Wₜ ≈ Σ_l W_{t−l} T_l, and forecast it.

    Parameters
    ----------
    rank : int
        k, the number of rows of the shared basis H.
    lags : sequence of int
        Which earlier states predict a state. (1, 7) for daily tables: yesterday, a week ago.
    season : int, optional
        Length of a season in steps, less than n_steps. Its profile, one mean table per phase, is
        removed first: with 7 and daily tables, one for each weekday. 1 removes the mean table. By
        default nothing.
    scale : {None, "rows", "columns"}
        Divide rows (or columns) by their root mean square, so that large ones do not decide alone.
        By default one number divides everything.
    method : {"two_stage", "joint", "rollout"}
        "two_stage": first the basis (by SVD; with missing entries by alternating least squares, as
        in lesson 5), then the transitions by ridge regression. "joint": both at once, see
        `joint_steps`. "rollout": Wₜ = W₀ Tᵗ exactly, see `rollout_steps`; it has the one lag 1.
    regularization : float
        λ ≥ 0, the ridge on W and H. "two_stage" needs none, and uses none, for complete data.
    transition_weight : float
        μ ≥ 0, what the transition loss counts for in "joint".
    transition_regularization : float
        ρ ≥ 0, the ridge on T, as a share of the sum of squares that a component of the lagged
        states would have if all had the same. Not for "rollout".
    l1 : float
        Strength of the penalty on |W| and |H|, as a share of the size of their entries. Not for
        "rollout".
    nonnegative : bool
        Whether W, H and T are to be at least 0. Needs X ≥ 0 without a season. Not for "rollout".
    learning_rate : float, optional
        η of gradient descent on W₀, T and H, for "rollout", taken as it is: it may diverge. By
        default T takes safe steps, and W₀ and H are least-squares solutions.
    tol : float
        Where iterations stop: when one changes the root mean square error (of the prepared data,
        penalties included) by `tol` or less.
    max_iter : int
        Largest number of iterations.

    Attributes
    ----------
    basis_ : (k, n) array
        H. For "two_stage" without l1 and nonnegative its rows are orthonormal.
    states_ : (n_steps, m, k) array
        Wₜ. These, and H, are of the data without their profile and divided by their scale.
    transitions_ : (n_lags, k, k) array
    eigenvalues_ : array of complex
        Those of the companion matrix of the transitions; see `describe_eigenvalues`.
    preparation_ : Preparation
        The profile and the scale.
    history_ : dict of arrays
        For every iterate "compression" and "transition", the two losses of the prepared data (for
        "rollout" the second is 0), and for validation steps "validation_compression" and
        "validation_transition".
    n_iter_ : int
    converged_ : bool
    message_ : str
        Why the fit stopped.

    Notes
    -----
    λ, μ and ρ mean the same for data of any size and unit, because the prepared data have entries
    of size 1 on average.

    Examples
    --------
    Tables that turn by a sixth of a circle per step:

    >>> t, i = np.arange(20)[:, None, None], np.arange(5)[:, None]
    >>> X = np.cos(2 * np.pi * t / 6 + i) * [1, 2, 3] + np.sin(2 * np.pi * t / 6 + i) * [3, 1, 0]
    >>> model = SequentialMF(rank=2, transition_regularization=0).fit(X[:18])
    >>> np.allclose(model.forecast(2), X[18:])
    True
    >>> from mflib.sequential import describe_eigenvalues
    >>> print(describe_eigenvalues(model.eigenvalues_).period.round(6))
    [6. 6.]
    """

    def __init__(
        self,
        rank: int = 5,
        *,
        lags: Sequence[int] = (1,),
        season: int | None = None,
        scale: Literal["rows", "columns"] | None = None,
        method: Literal["two_stage", "joint", "rollout"] = "two_stage",
        regularization: float = 1e-2,
        transition_weight: float = 1.0,
        transition_regularization: float = 1e-2,
        l1: float = 0.0,
        nonnegative: bool = False,
        learning_rate: float | None = None,
        tol: float = 1e-5,
        max_iter: int = 200,
    ):
        self.rank = rank
        self.lags = lags
        self.season = season
        self.scale = scale
        self.method = method
        self.regularization = regularization
        self.transition_weight = transition_weight
        self.transition_regularization = transition_regularization
        self.l1 = l1
        self.nonnegative = nonnegative
        self.learning_rate = learning_rate
        self.tol = tol
        self.max_iter = max_iter

    def fit(self, X: ArrayLike, y=None, *, steps=None, validation=None) -> "SequentialMF":
        """Fit basis, states and transitions.

        Parameters
        ----------
        X : (n_steps, m, n) array, NaN where missing (or a masked array)
            A sequence of tables. A sequence of vectors (n_steps, n) has tables of one row.
        y : None
            Not used.
        steps : (n_steps,) array of int, optional
            The numbers of the tables, consecutive; by default from 0. Phases of the season are
            counted from them. What a random split selects is refused.
        validation : (n_later_steps, m, n) array, optional
            The tables that follow. They are not fitted: their losses are added to `history_`.

        Returns
        -------
        self
        """
        tables = check_sequence(X)
        self._check_parameters(tables)
        self.n_dims_, self.X_ = np.ndim(X), tables
        self.preparation_ = prepare(
            tables, season=self.season, scale=self.scale, first_step=check_steps(steps, len(tables))
        )
        Z = self.preparation_.apply(tables)
        followed, history = Z, []
        if validation is not None:
            tables = np.concatenate([tables, check_like(validation, tables, "validation")])
            followed = self.preparation_.apply(tables)

        def record(factors):
            history.append(self._losses(followed, *factors))

        fitted = self._two_stages(Z)
        if self.method == "two_stage":
            record(fitted)
        else:
            iterates = self._joint if self.method == "joint" else self._rollout
            fitted = self._run(iterates(Z, *fitted), record)
        self.states_, self.basis_, self.transitions_ = fitted
        self.history_ = dict(zip(HISTORY, np.transpose(history), strict=False))
        if not self.converged_:
            warn(self.message_, ConvergenceWarning, stacklevel=2)
        return self

    def forecast(self, steps: int, X: ArrayLike | None = None) -> np.ndarray:
        """Forecast the tables that follow.

        Parameters
        ----------
        steps : int
            How many.
        X : (n_later, m, n) array, optional
            The sequence that was fitted and what followed it: the forecast is then of what follows
            X, with H and T as they were fitted. To "rollout" what followed tells nothing: all its
            states come from W₀.

        Returns
        -------
        (steps, m, n) array, or (steps, n) if a sequence of vectors was fitted
            Where |λ| > 1 lets it grow to more than a million times the states, it is cut off: the
            steps from there on are NaN, with a `ConvergenceWarning`.
        """
        check_is_fitted(self)
        steps = check_count(steps, LARGEST_COUNT, "steps")
        W = self.states_
        if X is not None:
            Z = self.preparation_.apply(check_later(X, self.X_))
            W = self._continue_states(Z, W, self.basis_, self.transitions_)
        states = forecast_states(W, self.transitions_, self.lags, steps)
        forecast = self.preparation_.undo(states @ self.basis_, start=len(W))
        return forecast if self.n_dims_ == 3 else forecast[:, 0]

    def impute(self) -> np.ndarray:
        """Return the data that were fitted, with Wₜ H in place of missing entries.

        (A row or a column that was never observed has nothing but the profile, or zeros.)
        """
        check_is_fitted(self)
        fitted = self.preparation_.undo(self.states_ @ self.basis_)
        X = np.where(np.isnan(self.X_), fitted, self.X_)
        return X if self.n_dims_ == 3 else X[:, 0]

    @property
    def eigenvalues_(self) -> np.ndarray:
        """The eigenvalues of the companion matrix of the transitions, largest modulus first."""
        check_is_fitted(self)
        return companion_eigenvalues(self.transitions_, self.lags)

    def _joint(self, Z, W, H, T):
        """Yield the objective and the factors of every iterate."""
        for step in joint_steps(self._problem(Z), W, H, T):
            yield step.objective, (step.states, step.basis, step.transitions)

    def _rollout(self, Z, W, H, T):
        """Yield the loss and the factors of every iterate."""
        radius = np.abs(np.linalg.eigvals(T[0])).max()
        start = RolloutBlocks(W[0], T[0] / max(radius, 1.0), H)  # so that no power overflows
        loss = RolloutLoss(Z, self.regularization)
        solver = "alternating" if self.learning_rate is None else "gradient"
        for step in rollout_steps(loss, start, self.learning_rate, solver=solver):
            W0, T, H = step.blocks
            yield step.loss, (loss.states(W0, T), H, T[np.newaxis])

    def _two_stages(self, Z):
        """Return W, H and T: the basis first, then the transitions."""
        problem = replace(self._problem(Z), transition_weight=0.0)
        if _is_projection(problem) and problem.observed.all():
            self._finish(0, True, "the SVD gives the basis at once")
            H = _leading_rows(Z.reshape(-1, Z.shape[2]), self.rank)
        else:
            H = self._basis_by_sweeps(problem)
        W, known = _encode(problem, H), problem.observed.any(axis=2)
        if self.method == "joint" and not usable_rows(known, self.lags).any():
            known = np.ones_like(known)  # a poor start is better than none
        T = fit_transitions(W, self.lags, problem.ridge, known=known, nonnegative=self.nonnegative)
        return _fill_unknown(W, known, T, self.lags), H, T

    def _basis_by_sweeps(self, problem):
        """Return the basis that alternating least squares finds, as in lesson 5."""
        stacked = problem.filled.reshape(-1, problem.X.shape[2])
        if self.nonnegative:
            W, H = initial_factors(stacked, self.rank, init="nndsvda", random_state=0)
        else:
            # This is rows of length 1 and one λ√c for both factors, as lesson 5 starts. Other
            # starts end in other local minima.
            small = problem.entries_per_component**-0.25
            H = small * _leading_rows(stacked, self.rank)
            W = stacked @ H.T / small**2
        T = np.zeros((len(self.lags), self.rank, self.rank))
        steps = joint_steps(problem, W.reshape(*problem.X.shape[:2], -1), H, T)
        last = self._run((step.objective, step) for step in steps)
        if not _is_projection(problem):
            return last.basis
        triangle = np.linalg.qr(last.states.reshape(-1, self.rank))[1]
        return _leading_rows(triangle @ last.basis, self.rank)

    def _run(self, iterates, record=lambda factors: None):
        """Return the factors where the objective settles, or the last finite ones."""
        size = np.count_nonzero(~np.isnan(self.X_))  # the sum of squares of the prepared data
        factors, error = None, np.inf
        for n_iter, (objective, found) in enumerate(islice(iterates, self.max_iter + 1)):
            if n_iter == 0:
                reference = max(size, objective)
            if has_exploded(objective, reference):
                message = (
                    f"diverged: after {n_iter} steps the loss is not finite, or a million times "
                    f"that of the start; lower the learning rate {self.learning_rate:g}"
                )
                self._finish(n_iter, False, message)
                return factors
            record(found)
            factors, previous, error = found, error, sqrt(2 * objective)
            # A learning rate that is too large raises the loss: that is not settled.
            if abs(previous - error) <= max(self.tol * sqrt(size), NEGLIGIBLE * error):
                self._finish(n_iter, True, f"converged after {n_iter} iterations")
                return factors
        message = f"not converged after {self.max_iter} iterations; allow more or a larger tol"
        self._finish(self.max_iter, False, message)
        return factors

    def _finish(self, n_iter, converged, message):
        self.n_iter_, self.converged_, self.message_ = n_iter, converged, message

    def _losses(self, followed, W, H, T):
        """Return both losses of the steps that were fitted, and of those that follow if any."""
        n_fitted = len(W)
        problem = self._problem(followed[:n_fitted])
        losses = problem.compression(W, H), problem.transition(W, T)
        if len(followed) == n_fitted:
            return losses
        everything = self._problem(followed)
        W = self._continue_states(followed, W, H, T)
        later = slice(n_fitted, None)
        with np.errstate(over="ignore", invalid="ignore"):  # a learning rate that is too large
            errors = everything.errors(W, H, later)
            residuals = W[later] - predictions(W, T, self.lags)[-len(errors) :]
            return *losses, np.sum(errors**2) / 2, np.sum(residuals**2) / 2

    def _continue_states(self, Z, W, H, T):
        """Return the states W of the first steps, and after them those of the later steps of Z."""
        n_fitted, n_later = len(W), len(Z) - len(W)
        if n_later == 0:
            return W
        if self.method == "rollout":
            return np.concatenate([W, roll_forward(W, T, self.lags, n_later)])
        if self.method == "two_stage":
            problem = replace(self._problem(Z[n_fitted:]), transition_weight=0.0)
            known = np.concatenate([np.ones(W.shape[:2], dtype=bool), problem.observed.any(axis=2)])
            return _fill_unknown(np.concatenate([W, _encode(problem, H)]), known, T, self.lags)
        W, longest = np.concatenate([W, np.empty((n_later, *W.shape[1:]))]), max(self.lags)
        for t in range(n_fitted, len(Z)):
            recent = slice(t - longest, t + 1)
            W[t] = roll_forward(W[:t], T, self.lags, 1)[0]
            W[recent] = update_states(self._problem(Z[recent]), W[recent], H, T, start=longest)
        return W

    def _problem(self, Z):
        return JointProblem(
            Z,
            self.rank,
            tuple(self.lags),
            self.regularization,
            self.transition_weight,
            self.transition_regularization,
            self.l1,
            self.nonnegative,
        )

    def _check_parameters(self, X):
        n_steps, m, n = X.shape
        check_choice(self.method, ("two_stage", "joint", "rollout"), "method")
        check_lags(self.lags, n_steps)
        check_count(self.rank, min(n_steps * m, n), "rank")
        check_count(self.max_iter, LARGEST_COUNT, "max_iter")
        strengths = "regularization", "transition_weight", "transition_regularization", "l1", "tol"
        for name in strengths:
            check_nonnegative(getattr(self, name), name)
        if self.season is not None and check_count(self.season, LARGEST_COUNT, "season") >= n_steps:
            raise ValueError(
                f"season is {self.season} and X has {n_steps} steps; more are needed, or the "
                "profile takes up all of X"
            )
        if self.method == "rollout":
            if tuple(self.lags) != (1,):
                raise ValueError(f"lags is {self.lags}; 'rollout' has the one lag 1")
            if self.l1 or self.nonnegative:
                raise ValueError("'rollout' takes neither l1 nor nonnegative")
        elif self.learning_rate is not None:
            raise ValueError(f"learning_rate is for 'rollout'; method is {self.method!r}")
        if self.nonnegative and self.season is not None:
            raise ValueError(
                "nonnegative needs season=None: what is left without a profile has both signs"
            )
        negative = np.count_nonzero(X < 0)
        if self.nonnegative and negative:
            raise ValueError(f"X has {negative} negative entries; nonnegative needs X >= 0")


def _is_projection(problem):
    """Tell whether the basis is orthonormal, so that a complete row x has the state x Hᵀ."""
    return not (problem.l1 or problem.nonnegative)


def _leading_rows(X, k):
    """Return the k leading right singular vectors of X, as rows."""
    return np.linalg.svd(X, full_matrices=False)[2][:k]


def _encode(problem, H):
    """Return the states of tables for a given basis: projections, else ridge regressions."""
    projected = problem.filled @ H.T
    exact = problem.observed.all(axis=2) & _is_projection(problem)
    if exact.all():
        return projected
    W = update_states(problem, np.zeros_like(projected), H, ())
    return np.where(exact[:, :, np.newaxis], projected, W)


def _fill_unknown(W, known, T, lags):
    """Put predictions in place of rows without observed entries; zeros at the first steps."""
    if known.all():
        return W
    W, longest = np.where(known[:, :, np.newaxis], W, 0.0), max(lags)
    for t in range(longest, len(W)):
        predicted = roll_forward(W[:t], T, lags, 1)[0]
        W[t] = np.where(known[t][:, np.newaxis], W[t], predicted)
    return W
