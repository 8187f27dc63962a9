"""The estimators of lesson 6: a sequence of tables with one shared basis, and its forecast."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from mflib import _validation as check
from mflib._validation import NEGLIGIBLE
from mflib.descent import descent_steps
from mflib.iteration import drive, has_exploded, report
from mflib.sequential.joint import JointProblem, SequenceFactors, joint_steps, two_stages
from mflib.sequential.preparation import Forecaster, check_like, prepare
from mflib.sequential.rollout import RolloutFactors, RolloutProblem, rollout_steps
from mflib.sequential.transitions import (
    companion_eigenvalues,
    forecast_states,
    predict_gaps,
    roll_forward,
)

HISTORY = ("compression", "transition", "validation_compression", "validation_transition")

_parameters = dataclass(eq=False, repr=False, kw_only=True)


@_parameters
class _SequenceMF(Forecaster):
    """What the three have in common: Xₜ ≈ Wₜ H, and Wₜ predicted from earlier states.

    All are fitted to data without their profile and divided by their scale. These have entries of
    size 1 on average, so that λ, μ and ρ mean the same for data of any size and unit.
    """

    rank: int = field(default=5, kw_only=False)
    season: int | None = 1
    scale: Literal["rows", "columns"] | None = None
    regularization: float = 1e-2
    tol: float = 1e-5
    max_iter: int = 200

    # These are parameters of some.
    lags = (1,)
    transition_weight, transition_regularization, l1, non_negative = 0.0, 1e-2, 0.0, False

    def fit(self, X: ArrayLike, y=None, *, steps=None, validation=None):
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

        Notes
        -----
        A gap is no zero: a row of a table without any entry takes what the transitions predict,
        bent to meet the next table that has it, and at the first steps what comes next. Behind the
        last table that has it, it is a forecast, and as such may fade. A row or a column that is
        never observed is refused, unless a profile tells how large it is.
        """
        tables = self._keep(X, steps)
        self._check(tables)
        self.preparation_ = prepare(tables, self.season, self.scale, self.first_step_)
        problem = everything = self._problem(self.preparation_.apply(tables))
        if validation is not None:
            tables = np.concatenate([tables, check_like(validation, tables, "validation")])
            everything = self._problem(self.preparation_.apply(tables))
        history = []
        run = self._run(problem, lambda step: history.append(self._losses(everything, step)))
        self.states_, self.basis_, self.transitions_ = self._as_sequence(run.step)
        losses = np.transpose(history[: run.step.n_iter + 1])
        self.history_ = dict(zip(HISTORY[: 2 if validation is None else 4], losses, strict=False))
        return report(self, run)

    def impute(self) -> np.ndarray:
        """Return the data that were fitted, with Wₜ H in place of missing entries."""
        check_is_fitted(self)
        fitted = self.preparation_.undo(self.states_ @ self.basis_)
        return self._as_given(np.where(np.isnan(self.X_), fitted, self.X_))

    @property
    def eigenvalues_(self) -> np.ndarray:
        """The eigenvalues of the companion matrix of the transitions, largest modulus first."""
        check_is_fitted(self)
        return companion_eigenvalues(self.transitions_, self.lags)

    def _forecast(self, tables, steps):
        W, H, T = factors = SequenceFactors(self.states_, self.basis_, self.transitions_)
        if len(tables) > len(W):
            W = self._follow(self._problem(self.preparation_.apply(tables)), factors)
        states = forecast_states(W, T, self.lags, steps)
        return self.preparation_.undo(states @ H, start=len(W))

    def _run(self, problem, watch):
        """Return the run that fits the prepared tables, handing on its iterates."""

    def _follow(self, problem, factors):
        """Return the states W of the first tables of a problem, and after them those of the rest.

        A state depends on no later table.
        """

    def _as_sequence(self, step):
        """Return the factors W, H and T of an iterate."""
        return step.factors

    def _check(self, X):
        n_steps, n_rows = len(X), (~np.isnan(X)).any(axis=2).sum()
        check.count(self.rank, "rank", largest=min(n_rows, X.shape[2]))
        check.limits(self.tol, self.max_iter)
        check.flag(self.non_negative, "non_negative")
        if self.season is not None and check.count(self.season, "season") >= n_steps:
            raise ValueError(
                f"season is {self.season} and X has {n_steps} steps; more are needed, or the "
                "profile takes up all of X"
            )
        if self.non_negative and self.season is not None:
            raise ValueError(
                "non_negative=True needs season=None: what is left without a profile has both signs"
            )
        if self.non_negative:
            check.no_negative(X, "X", "non_negative=True")
        for axes, name in (((0, 2), "row"), ((0, 1), "column")):
            empty = np.flatnonzero(np.isnan(X).all(axis=axes))
            if empty.size and self.season is None:
                raise ValueError(
                    f"{name} {empty[0]} of the tables is never observed, so nothing tells how "
                    "large it is; leave it out, or remove a mean with season=1"
                )

    def _problem(self, Z, **changed):
        """Return the problem of the joint fit, with the parameters of this estimator."""
        names = "regularization", "transition_weight", "transition_regularization", "l1"
        options = {name: getattr(self, name) for name in (*names, "non_negative")}
        return JointProblem(Z, self.lags, **options | changed)

    def _losses(self, problem, step):
        """Return both losses of the steps that were fitted, and of those that follow."""
        factors, first = self._as_sequence(step), max(self.lags)
        n, W = len(factors.W), self._follow(problem, factors)
        with np.errstate(over="ignore", invalid="ignore"):  # a learning rate that is too large
            E, R = problem.errors(W, factors.H), problem.surprises(W, factors.T)
            parts = E[:n], R[first:n], E[n:], R[n:]
            return [float(np.sum(part**2)) / 2 for part in parts]

    def _drive(self, steps, broken=None, watch=None):
        """Go on until the root mean square of the objective settles."""
        size, error = sqrt(np.count_nonzero(~np.isnan(self.X_))), np.inf

        def settled(step):
            nonlocal error
            before, error = error, sqrt(2 * step.objective)
            # A learning rate that is too large raises the loss: that is not settled.
            return abs(before - error) <= max(self.tol * size, NEGLIGIBLE * error)

        return drive(steps, self.max_iter, settled, broken, watch=watch)


@_parameters
class TwoStageMF(_SequenceMF):
    """Factorize a sequence of tables in two stages: first the basis, then the transitions.

    The basis comes from the SVD, or where entries are missing (or there is a penalty or constraint)
    from alternating least squares, as in lesson 5; the transitions from one ridge regression.

    Parameters
    ----------
    rank : int
        k, the number of rows of the shared basis H.
    lags : sequence of int
        Which earlier states predict a state. (1, 7) for daily tables: yesterday, a week ago.
    season : int or None
        Length of a season in steps, less than n_steps. Its profile, one mean table per phase, is
        removed first: by default, 1, the mean table; with 7 and daily tables, one for each weekday.
        A sequence that repeats asks for its season here, or in `lags`. None removes nothing.
    scale : {None, "rows", "columns"}
        Divide rows (or columns) by their root mean square, so that large ones do not decide alone.
        By default one number divides everything.
    regularization : float
        λ ≥ 0, the ridge on W and H. Complete data need none and use none.
    transition_regularization : float
        ρ ≥ 0, the ridge on T, as a share of the sum of squares that a component of the lagged
        states would have if all had the same.
    l1 : float
        Strength of the penalty on |W| and |H|, as a share of the size of their entries.
    non_negative : bool
        Whether W, H and T are to be at least 0. Needs X ≥ 0 and season=None.
    tol : float
        Where iterations stop: when one changes the root mean square error (of the prepared data,
        penalties included) by `tol` or less.
    max_iter : int
        Largest number of iterations.

    Attributes
    ----------
    basis_ : (k, n) array
        H. Without l1 and non_negative its rows are orthonormal.
    states_ : (n_steps, m, k) array
        Wₜ. These, and H, are of the data without their profile and divided by their scale.
    transitions_ : (n_lags, k, k) array
    eigenvalues_ : array of complex
        Those of the companion matrix of the transitions; see `describe_eigenvalues`.
    preparation_ : Preparation
        The profile and the scale.
    history_ : dict of arrays
        "compression" and "transition", the two losses of the prepared data, of every iterate (here
        of the fit alone); and for validation steps "validation_compression" and
        "validation_transition".
    n_iter_ : int
    converged_ : bool
    message_ : str
        Why the fit stopped.

    Examples
    --------
    Tables that turn by a sixth of a circle per step:

    >>> t, i = np.arange(20)[:, None, None], np.arange(5)[:, None]
    >>> X = np.cos(2 * np.pi * t / 6 + i) * [1, 2, 3] + np.sin(2 * np.pi * t / 6 + i) * [3, 1, 0]
    >>> model = TwoStageMF(rank=2, transition_regularization=0).fit(X[:18])
    >>> np.allclose(model.forecast(2), X[18:])
    True
    >>> from mflib.sequential import describe_eigenvalues
    >>> print(describe_eigenvalues(model.eigenvalues_).period.round(6))
    [6. 6.]
    """

    lags: Sequence[int] = (1,)
    transition_regularization: float = 1e-2
    l1: float = 0.0
    non_negative: bool = False

    def _run(self, problem, watch):
        run = two_stages(problem, self.rank, self._drive)
        watch(run.step)
        return run

    def _follow(self, problem, factors):
        W, H, T = factors
        known = problem.known.copy()
        known[: len(W)] = True
        W = np.concatenate([W, problem.encode(H, first=len(W))])
        return predict_gaps(W, known, T, self.lags)


@_parameters
class JointMF(_SequenceMF):
    """Factorize a sequence of tables, with basis, states and transitions fitted together.

    See `joint_steps`; it starts from the two stages. A later table that is given to `forecast` has
    the state that is best for it, given the states before it.

    Parameters
    ----------
    rank, lags, season, scale, l1, non_negative, tol, max_iter : as for `TwoStageMF`
    regularization : float
        λ ≥ 0, the ridge on W and H.
    transition_weight : float
        μ > 0, what the transition loss counts for. (Without it there are two stages.)
    transition_regularization : float
        ρ ≥ 0, as for `TwoStageMF`.

    Attributes
    ----------
    basis_, states_, transitions_, … : as for `TwoStageMF`

    Examples
    --------
    Every second day is missing:

    >>> X = np.full((9, 3), 50.0) + [0, 10, 20]
    >>> X[::2] = np.nan
    >>> model = JointMF(1, season=None, regularization=1e-4, transition_regularization=1e-4)
    >>> model.fit(X).impute()[4].round(1)
    array([50., 60., 70.])
    """

    lags: Sequence[int] = (1,)
    transition_weight: float = 1.0
    transition_regularization: float = 1e-2
    l1: float = 0.0
    non_negative: bool = False

    def _run(self, problem, watch):
        check.positive(self.transition_weight, "transition_weight")
        compression = self._problem(problem.X, transition_weight=0.0)
        start = two_stages(compression, self.rank, self._drive, bridge=True).step
        return self._drive(joint_steps(problem, start), watch=watch)

    def _follow(self, problem, factors):
        W, H, T = factors
        n_later = len(problem.X) - len(W)
        W = np.concatenate([W, np.empty((n_later, *W.shape[1:]))])
        for t in range(len(W) - n_later, len(W)):
            predicted = roll_forward(W[:t], T, self.lags, 1)[0]
            W[t] = problem.best_table(t, H, predicted, self.transition_weight * predicted)
        return W


@_parameters
class RolloutMF(_SequenceMF):
    """Factorize a sequence of tables by one state and the powers of one transition, Wₜ = W₀ Tᵗ.

    See `rollout_steps`; it starts from two stages, with the one lag 1. What followed the tables
    that were fitted tells it nothing: all its states come from W₀.

    Parameters
    ----------
    rank, season, scale, tol, max_iter : as for `TwoStageMF`
    regularization : float
        λ ≥ 0, the ridge on the states and H.
    learning_rate : float, optional
        η of gradient descent on W₀, H and T, taken as it is: it may diverge. By default T takes
        safe steps, and W₀ and H are least-squares solutions.

    Attributes
    ----------
    basis_, states_, transitions_, … : as for `TwoStageMF`
        The transition loss is 0.

    Examples
    --------
    >>> model = RolloutMF(1, season=None, regularization=0.0).fit([[8.0], [4], [2], [1]])
    >>> model.forecast(2).round(3)
    array([[0.5 ],
           [0.25]])
    """

    learning_rate: float | None = None

    def _run(self, problem, watch):
        W, H, T = two_stages(problem, self.rank, self._drive, bridge=True).step.factors
        radius = np.abs(np.linalg.eigvals(T[0])).max()
        start = RolloutFactors(W[0], H, T[0] / max(radius, 1.0))  # so that no power overflows
        problem = RolloutProblem(problem.X, self.regularization)
        if self.learning_rate is None:
            steps, cure = rollout_steps(problem, start), "regularization"
        else:
            steps = descent_steps(problem, start, self.learning_rate, updates="simultaneous")
            cure = f"the learning rate {self.learning_rate:g}"
        reference = max(np.count_nonzero(problem.observed), problem.objective(start))

        def broken(step):
            return has_exploded(step.objective, reference) and (
                f"diverged: after {step.n_iter} steps the loss is not finite, or a million times "
                f"that of the start; lower {cure}"
            )

        return self._drive(steps, broken, watch)

    def _follow(self, problem, factors):
        later = roll_forward(factors.W, factors.T, self.lags, len(problem.X) - len(factors.W))
        return np.concatenate([factors.W, later])

    def _as_sequence(self, step):
        W = step.factors.states(len(self.X_))
        return SequenceFactors(W, step.H, step.T[np.newaxis])
