"""The estimators of lesson 6: a sequence of tables with one shared basis, and its forecast."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from mflib import _validation as check
from mflib._validation import NEGLIGIBLE
from mflib.iteration import drive, report
from mflib.sequential.joint import JointProblem, joint_steps, two_stages
from mflib.sequential.preparation import Forecaster, Preparation
from mflib.sequential.rollout import RolloutProblem, rollout_steps
from mflib.sequential.transitions import companion_eigenvalues, forecast_states, predict_gaps

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

    lags, non_negative = (1,), False  # parameters of some

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

    def _fit(self, X):
        self._check(X)
        self.preparation_ = Preparation(X, self.season, self.scale)
        problem, losses = self._problem(X), []

        def watch(step):
            W, _, T = self._as_sequence(step)
            losses.append((step.loss, problem.transition_loss(W, T)))

        run = self._go_on(problem, two_stages(problem, self.rank, self._drive), watch)
        self.states_, self.basis_, self.transitions_ = self._as_sequence(run.step)
        self.history_ = dict(zip(("compression", "transition"), np.transpose(losses), strict=True))
        report(self, run, stacklevel=4)

    def _forecast(self, tables, steps):
        W = self.states_
        if len(tables) > len(W):
            later = self._problem(tables).encode(self.basis_, first=len(W))
            W = predict_gaps(np.concatenate([W, later]), self.transitions_, self.lags)
        states = forecast_states(W, self.transitions_, self.lags, steps)
        return self.preparation_.undo(states @ self.basis_, start=len(tables))

    def _go_on(self, problem, run, watch):
        """Go on from the run of the two stages, handing on the iterates: here it is the last."""
        watch(run.step)
        return run

    def _as_sequence(self, step):
        """Return the states W, the basis H and the transitions T of an iterate."""
        k = len(step.H)
        return step.factors.states(len(self.X_)), step.H, step.T.reshape(-1, k, k)

    def _check(self, X):
        missing = np.isnan(X)
        n_rows = np.count_nonzero(~missing.all(axis=2))
        check.count(self.rank, "rank", largest=min(n_rows, X.shape[2]))
        check.limits(self.tol, self.max_iter)
        fits = self.season is None or check.count(self.season, "season") < len(X)
        check.need(fits, f"season is {self.season}", f"less than the {len(X)} steps of X")
        if check.flag(self.non_negative, "non_negative"):
            # what a profile leaves has both signs
            check.need(self.season is None, "non_negative is True", "season=None")
            check.no_negative(X, "X", "non_negative=True")
        for axes, name in (((0, 2), "row"), ((0, 1), "column")):
            empty = missing.all(axis=axes)
            found = f"{name} {empty.argmax()} of the tables is never observed"
            check.need(self.season is not None or not empty.any(), found, "a mean, by season=1,")

    def _problem(self, X):
        """Return the problem of the joint fit, which has the parameters of this estimator."""
        given = self.get_params()
        options = {f.name: given[f.name] for f in fields(JointProblem) if f.name in given}
        return JointProblem(self.preparation_.apply(X), **options)

    def _drive(self, steps, watch=None):
        """Go on until the root mean square of the objective settles."""
        size, error = np.count_nonzero(~np.isnan(self.X_)) ** 0.5, np.inf

        def settled(step):
            nonlocal error
            before, error = error, (2 * step.objective) ** 0.5
            return before - error <= max(self.tol * size, NEGLIGIBLE * error)

        return drive(steps, self.max_iter, settled, watch=watch)


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
        of the fit alone).
    n_iter_ : int
    converged_ : bool
    message_ : str
        Why the fit stopped.

    Notes
    -----
    A gap is no zero: a row of a table without any entry takes what the transitions predict, bent to
    meet the next table that has it, and at the first steps what comes next. Behind the last table
    that has it, it is a forecast, and as such may fade. A row or a column that is never observed is
    refused, unless a profile tells how large it is.

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


@_parameters
class JointMF(TwoStageMF):
    """Factorize a sequence of tables, with basis, states and transitions fitted together.

    See `joint_steps`. Its sweeps are slow and move the basis little, so that it starts from the two
    stages.

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
    Three days are missing:

    >>> X = np.full((9, 3), 50.0) + [0, 10, 20]
    >>> X[3:6] = np.nan
    >>> model = JointMF(1, season=None, regularization=1e-4, transition_regularization=1e-4)
    >>> model.fit(X).impute()[4].round(1)
    array([50., 60., 70.])
    """

    transition_weight: float = 1.0

    def _go_on(self, problem, run, watch):
        check.positive(self.transition_weight, "transition_weight")
        return self._drive(joint_steps(problem, run.step), watch)


@_parameters
class RolloutMF(_SequenceMF):
    """Factorize a sequence of tables by one state and the powers of one transition, Wₜ = W₀ Tᵗ.

    See `rollout_steps`; it starts from two stages, with the one lag 1.

    Parameters
    ----------
    rank, season, scale, tol, max_iter : as for `TwoStageMF`
    regularization : float
        λ ≥ 0, the ridge on the states and H.

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

    def _go_on(self, problem, run, watch):
        W, H, T = run.step.factors
        # so that no power overflows
        start = W[0], H, T[0] / max(np.abs(np.linalg.eigvals(T[0])).max(), 1.0)
        steps = rollout_steps(RolloutProblem(problem.X, self.regularization), start)
        return self._drive(steps, watch)
