"""What is done to a sequence of tables before it is factorized, and undone after (lesson 6).

    Zₜ = (Xₜ − P_{t mod s}) / c

P is the profile: the mean table, or for a season of s steps one mean table per phase, such as one
per weekday. c is a scale, the root mean square of what is left: one number, or one for each row or
each column of a table. Missing entries stay missing.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_is_fitted

from mflib import _validation as check
from mflib._validation import NEGLIGIBLE
from mflib.iteration import all_or_nothing

# Sums of entries up to this size, and forecasts a million times as large, do not overflow.
_LARGEST_ENTRY = 1e290


class Preparation:
    """A profile and a scale, measured on a sequence of tables.

    Parameters
    ----------
    X : (n_steps, m, n) array, NaN where missing
    season : int or None
        None: no profile. 1: the mean table. 7: one mean table for each day of the week.
    scale : {None, "rows", "columns"}
        Whether one number is the scale, or one per row or per column of a table. A row or column
        that holds nothing but its profile is divided by the largest entry of X.

    Attributes
    ----------
    profile : (season, m, n) array, or one zero for none
    scale : array that divides a table (m, n)
    """

    def __init__(self, X: np.ndarray, season: int | None, scale: str | None):
        axes = {None: (0, 1, 2), "rows": (0, 2), "columns": (0, 1)}
        check.choice(scale, axes, "scale")
        self.profile = np.zeros((1, 1, 1)) if season is None else seasonal_profile(X, season)
        largest = np.nanmax(np.abs(X)) or 1.0  # squares of entries relative to it cannot overflow
        rest = (X - in_phase(self.profile, 0, len(X))) / largest
        size = np.sqrt(_mean(rest**2, axes[scale], 0.0))[0]
        self.scale = largest * np.where(size > NEGLIGIBLE, size, 1.0)  # rounding has no size

    def apply(self, X: np.ndarray) -> np.ndarray:
        """Return Z for tables X from the first step on."""
        return (X - in_phase(self.profile, 0, len(X))) / self.scale

    def undo(self, Z: np.ndarray, start: int = 0) -> np.ndarray:
        """Return X for tables Z that begin `start` steps after the first step."""
        return Z * self.scale + in_phase(self.profile, start, len(Z))


def seasonal_profile(X: np.ndarray, season: int) -> np.ndarray:
    """Return the mean table of each phase of the season, an array (season, m, n).

    An entry that was never observed in a phase gets its mean over all phases; one that was never
    observed at all gets the mean of its row, or of everything if the row is empty too.
    """
    overall = _mean(X, (0, 1, 2), 0.0)
    everyday = _mean(X, 0, _mean(X, (0, 2), overall))
    whole_seasons = np.pad(X, [(0, -len(X) % season), (0, 0), (0, 0)], constant_values=np.nan)
    return _mean(whole_seasons.reshape(-1, season, *X.shape[1:]), 0, everyday)[0]


def in_phase(profile: np.ndarray, start: int, n_steps: int) -> np.ndarray:
    """Return the table of a profile for each of n steps, the first of which is number `start`."""
    return profile[np.arange(start, start + n_steps) % len(profile)]


def check_sequence(X: ArrayLike) -> np.ndarray:
    """Return a sequence of tables as floats (n_steps, m, n), NaN where missing.

    A sequence of vectors (n_steps, n) becomes tables of one row. A masked array is missing where
    its mask is True.
    """
    check.need(not sparse.issparse(X), "X is sparse", "an array, NaN where one is missing,")
    X = check.with_gaps(X, "X") if np.ma.is_masked(X) else check.array(X, "X")
    needed = "(n_steps, m, n) or (n_steps, n), such as X[:, np.newaxis] for one number per step,"
    check.need(X.ndim in (2, 3), f"X has shape {X.shape}", needed)
    if X.dtype.kind not in "biufO":
        why = "Complex data not supported: " if X.dtype.kind == "c" else ""
        raise ValueError(f"{why}X holds entries of type {X.dtype}; real numbers are needed")
    options = {"ensure_all_finite": False, "ensure_2d": False, "allow_nd": True}
    X = check_array(X, dtype=np.float64, order="C", **options)
    largest = np.fmax.reduce(np.abs(X), axis=None, initial=np.nan)  # NaN if all entries are
    check.need(not np.isnan(largest), "X has no observed entry", "one at least")
    needed = f"at most {_LARGEST_ENTRY:.0e}, or NaN for a missing one,"
    check.need(largest <= _LARGEST_ENTRY, f"X has an entry of size {largest:.2g}", needed)
    return X if X.ndim == 3 else X[:, np.newaxis, :]


def check_steps(steps: ArrayLike, n_steps: int) -> None:
    """Refuse numbers of steps that are not consecutive."""
    steps = check.shaped(check.floats(steps, "steps"), (n_steps,), "steps")
    jumps = np.flatnonzero(np.diff(steps) != 1)
    if jumps.size:
        before, after = steps[jumps[0] :][:2]
        raise ValueError(
            f"step {after:.0f} follows step {before:.0f}: training steps must be consecutive. A "
            "random split would learn from the future of what it forecasts; split by time "
            "instead, as X[:start], and put NaN where a table is missing"
        )


class Forecaster(BaseEstimator):
    """What all forecasters share: they keep the tables they were fitted to, and go on from them."""

    def fit(self, X: ArrayLike, y=None, *, steps=None):
        """Fit a sequence of tables.

        Parameters
        ----------
        X : (n_steps, m, n) array, NaN where missing (or a masked array)
            A sequence of tables. A sequence of vectors (n_steps, n) has tables of one row.
        y : None
            Not used.
        steps : (n_steps,) array of int, optional
            The numbers of the tables. If they are not consecutive, as what a random split selects,
            they are refused.

        Returns
        -------
        self
        """
        tables = check_sequence(X)
        if steps is not None:
            check_steps(steps, len(tables))
        with all_or_nothing(self):
            self.X_, self.n_dims_, self.n_features_in_ = tables.copy(), np.ndim(X), tables.shape[2]
            self._fit(self.X_)
        return self

    def forecast(self, steps: int, X: ArrayLike | None = None) -> np.ndarray:
        """Forecast the tables that follow those that were fitted, or those that follow X.

        X begins with the fitted tables and goes on with what followed them.
        """
        check_is_fitted(self)
        check.count(steps, "steps")
        tables = self.X_ if X is None else check_sequence(X)
        fits = len(tables) >= len(self.X_) and tables.shape[1:] == self.X_.shape[1:]
        found, fitted = (f"{len(A)} tables of shape {A.shape[1:]}" for A in (tables, self.X_))
        check.need(fits, f"X has {found}", f"a start with the {fitted} that were fitted")
        return self._as_given(self._forecast(tables, steps))

    def __sklearn_tags__(self):
        """Say what data it takes: vectors or tables, with NaN where an entry is missing."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.three_d_array = True
        return tags

    def _as_given(self, tables):
        """Return tables as the data were: vectors, if they were vectors."""
        return tables if self.n_dims_ == 3 else tables[:, 0]


def _mean(X, axis, default):
    """Return the mean of the observed entries with dimensions kept, `default` where none is."""
    n_observed = (~np.isnan(X)).sum(axis=axis, keepdims=True)
    total = np.nansum(X, axis=axis, keepdims=True)
    return np.where(n_observed > 0, total / np.maximum(n_observed, 1), default)
