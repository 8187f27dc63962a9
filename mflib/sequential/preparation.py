"""What is done to a sequence of tables before it is factorized, and undone after (lesson 6).

    Zₜ = (Xₜ − P_{t mod s}) / c

P is the profile: the mean table, or for a season of s steps one mean table per phase, such as one
per weekday. c is a scale, the root mean square of what is left: one number, or one for each row or
each column of a table. Missing entries stay missing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from mflib import _validation as check
from mflib._validation import NEGLIGIBLE

# Sums of entries up to this size, and forecasts a million times as large, do not overflow.
_LARGEST_ENTRY = 1e290


@dataclass(frozen=True)
class Preparation:
    """A profile (season, m, n) or None, and a scale that divides a table (m, n)."""

    profile: np.ndarray | None
    scale: np.ndarray
    first_step: int

    def apply(self, X: np.ndarray) -> np.ndarray:
        """Return Z for tables X that begin at the first step."""
        return (X - self._profiles(0, len(X))) / self.scale

    def undo(self, Z: np.ndarray, start: int = 0) -> np.ndarray:
        """Return X for tables Z that begin `start` steps after the first step."""
        return Z * self.scale + self._profiles(start, len(Z))

    def _profiles(self, start, n_steps):
        if self.profile is None:
            return 0.0
        return self.profile[phases(self.first_step + start, n_steps, len(self.profile))]


def prepare(X: np.ndarray, season: int | None, scale: str | None, first_step: int) -> Preparation:
    """Measure the profile and the scale of a sequence of tables.

    Parameters
    ----------
    X : (n_steps, m, n) array, NaN where missing
    season : int or None
        None: no profile. 1: the mean table. 7: one mean table for each day of the week.
    scale : {None, "rows", "columns"}
        Whether one number is the scale, or one per row or per column of a table. A row or column
        that holds nothing but its profile is divided by the largest entry of X.
    first_step : int
        The number of the first table, from which phases of the season are counted.
    """
    axes = {None: (0, 1, 2), "rows": (0, 2), "columns": (0, 1)}
    check.choice(scale, axes, "scale")
    profile = None if season is None else seasonal_profile(X, season, first_step)
    Z = Preparation(profile, np.ones(()), first_step).apply(X)
    largest = np.nanmax(np.abs(X)) or 1.0  # the squares of entries relative to it cannot overflow
    size = np.sqrt(_mean((Z / largest) ** 2, axes[scale], 0.0))[0]
    size = largest * np.where(size > NEGLIGIBLE, size, 1.0)  # rounding has no size of its own
    return Preparation(profile, size, first_step)


def seasonal_profile(X: np.ndarray, season: int, first_step: int = 0) -> np.ndarray:
    """Return the mean table of each phase of the season, an array (season, m, n).

    An entry that was never observed in a phase gets its mean over all phases; one that was never
    observed at all gets the mean of its row, or of everything if the row is empty too.
    """
    check.count(season, "season")
    overall = _mean(X, (0, 1, 2), 0.0)
    everyday = _mean(X, 0, _mean(X, (0, 2), overall))[0]
    phase = phases(first_step, len(X), season)
    return np.stack([_mean(X[phase == p], 0, everyday)[0] for p in range(season)])


def phases(first_step: int, n_steps: int, season: int) -> np.ndarray:
    """Return the phase, 0 to season − 1, of each of n consecutive steps."""
    return np.arange(first_step, first_step + n_steps) % season


def check_sequence(X: ArrayLike, name: str = "X") -> np.ndarray:
    """Return a sequence of tables as floats (n_steps, m, n), NaN where missing.

    A sequence of vectors (n_steps, n) becomes tables of one row. A masked array, or a list of
    them, is missing where its mask is True.
    """
    if sparse.issparse(X):
        raise TypeError(f"{name} is sparse; dense data are needed, with NaN where one is missing")
    try:
        if isinstance(X, (list, tuple)) and any(map(np.ma.is_masked, X)):
            X = np.ma.stack(X)
        mask, X = np.ma.getmask(X), np.asarray(X)
    except ValueError:
        raise ValueError(f"{name} is not a sequence of tables: their shapes differ") from None
    if X.ndim not in (2, 3):
        raise ValueError(
            f"{name} has shape {X.shape}; (n_steps, m, n) or (n_steps, n) is needed. Reshape your "
            "data: one number per step is a column, X[:, np.newaxis]"
        )
    if X.size == 0:
        which = "feature(s)" if len(X) else "sample(s)"
        raise ValueError(
            f"{name} has 0 {which} (shape={X.shape}) while a minimum of 1 is required."
        )
    if X.dtype.kind not in "biufO":
        why = "Complex data not supported: " if X.dtype.kind == "c" else ""
        raise ValueError(f"{why}{name} holds entries of type {X.dtype}; real numbers are needed")
    try:
        X = np.asarray(X, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} holds objects that are no numbers: {error}") from None
    X = np.where(mask, np.nan, X)
    largest = np.fmax.reduce(np.abs(X), axis=None)  # of the entries that are not NaN
    if np.isnan(largest):
        raise ValueError(f"{name} has no observed entry")
    if np.isinf(largest):
        raise ValueError(f"{name} has infinite entries; mark missing ones with NaN")
    if largest > _LARGEST_ENTRY:
        raise ValueError(f"{name} has entries above {_LARGEST_ENTRY:.0e}; scale it down first")
    return X if X.ndim == 3 else X[:, np.newaxis, :]


def check_like(X: ArrayLike, fitted: np.ndarray, name: str) -> np.ndarray:
    """Return X as `check_sequence` does, refusing tables that are not shaped as those fitted."""
    X = check_sequence(X, name)
    found, needed = X.shape[1:], fitted.shape[1:]
    check.need(found == needed, f"{name} has tables of shape {found}", f"{needed} as in fit")
    return X


def check_steps(steps: ArrayLike | None, n_steps: int) -> int:
    """Return the number of the first step, refusing steps that are not consecutive."""
    if steps is None:
        return 0
    steps = check.array(steps, "steps")
    if steps.shape != (n_steps,) or steps.dtype.kind not in "iu":
        raise ValueError(f"steps must be {n_steps} whole numbers, one for each table")
    jumps = np.flatnonzero(np.diff(steps) != 1)
    if jumps.size:
        before, after = steps[jumps[0]], steps[jumps[0] + 1]
        raise ValueError(
            f"step {after} follows step {before}: training steps must be consecutive. A random "
            "split would learn from the future of what it forecasts; split by time instead, as "
            "X[:start], and put NaN where a table is missing"
        )
    return int(steps[0])


class Forecaster(BaseEstimator):
    """What all forecasters share: they keep the tables they were fitted to, and go on from them."""

    def fit(self, X: ArrayLike, y=None, *, steps=None):
        """Fit the tables X (n_steps, m, n) or vectors (n_steps, n), NaN where missing.

        `steps` are their numbers, consecutive, by default from 0.
        """
        self._fit(self._keep(X, steps))
        return self

    def forecast(self, steps: int, X: ArrayLike | None = None) -> np.ndarray:
        """Forecast the tables that follow those that were fitted, or those that follow X.

        X begins with the fitted tables and goes on with what followed them.
        """
        check_is_fitted(self)
        check.count(steps, "steps")
        tables = self.X_ if X is None else check_like(X, self.X_, "X")
        fits, needed = len(tables) >= len(self.X_), f"a start with the {len(self.X_)} fitted ones"
        check.need(fits, f"X has {len(tables)} steps", needed)
        return self._as_given(self._forecast(tables, steps))

    def _keep(self, X, steps):
        """Check the data and their steps, keep them, and return the tables."""
        tables = check_sequence(X)
        self.first_step_ = check_steps(steps, len(tables))
        self.X_, self.n_dims_, self.n_features_in_ = tables, np.ndim(X), tables.shape[2]
        return tables

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
