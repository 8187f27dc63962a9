"""Honest forecasts: baselines, rolling origins, and entries that go missing (lesson 6).

Every forecaster here has `fit(X)` and `forecast(steps, X=None)`: the tables that follow those that
were fitted, or those that follow a longer X. A forecast of step t may use the steps before t only.

    X̂_{t+h} = X_t                     last value
    X̂_{t+h} = X_{t+h−s}               a season of s steps ago (a week ago, for s = 7 days)
    X̂_{t+h} = mean of Xᵤ              over all u, or over those in the same phase of the season
    x̂_t = Σ_l a_l x_{t−l}             scalar autoregression: the same numbers a_l for every entry

References
----------
R. J. Hyndman and G. Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 2021, chapter 5.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from mflib import _validation as check
from mflib.sequential.preparation import Forecaster, check_sequence, in_phase, seasonal_profile
from mflib.sequential.transitions import fit_transitions, forecast_states, predict_gaps


class _Seasonal(Forecaster):
    """A baseline that looks at one phase of a season at a time."""

    def __init__(self, season: int = 1):
        self.season = season

    def _fit(self, X):
        check.count(self.season, "season")


class LastValue(_Seasonal):
    """Forecast the last value, or with a season the last value of the same phase.

    Parameters
    ----------
    season : int
        1: the last value. 7, for daily tables: the value a week ago. A missing value is replaced by
        the last one that was observed in the phase; one that never was, by the mean.

    Examples
    --------
    >>> week = np.arange(14.0).reshape(14, 1)
    >>> print(LastValue().fit(week).forecast(2).ravel(), LastValue(7).fit(week).forecast(2).ravel())
    [13. 13.] [7. 8.]
    """

    def _forecast(self, X, steps):
        return in_phase(_fill_forward(X, self.season)[-self.season :], 0, steps)


class MeanValue(_Seasonal):
    """Forecast the mean over time, or with a season the mean of the same phase.

    Parameters
    ----------
    season : int
        1: the mean of all steps. 7, for daily tables: the mean of that weekday.

    Examples
    --------
    >>> days = np.array([1.0, 2, 3, 6]).reshape(4, 1)
    >>> print(MeanValue().fit(days).forecast(2).ravel(), MeanValue(2).fit(days).forecast(2).ravel())
    [3. 3.] [2. 4.]
    """

    def impute(self) -> np.ndarray:
        """Return the data that were fitted, with the mean of the phase for missing entries."""
        check_is_fitted(self)
        means = in_phase(seasonal_profile(self.X_, self.season), 0, len(self.X_))
        return self._as_given(np.where(np.isnan(self.X_), means, self.X_))

    def _forecast(self, X, steps):
        return in_phase(seasonal_profile(X, self.season), len(X), steps)


class ScalarAutoregression(Forecaster):
    """Forecast every entry from its own past: x̂_t = Σ_l a_l x_{t−l}, with one a_l for all entries.

    Parameters
    ----------
    lags : sequence of int

    Attributes
    ----------
    coefficients_ : (n_lags,) array
        By least squares over all entries and steps at which nothing is missing. To forecast, a
        missing entry takes its last observed value.

    Examples
    --------
    >>> model = ScalarAutoregression((1, 2)).fit([[1.0], [1], [2], [3], [5], [8]])
    >>> print(model.coefficients_.round(6), model.forecast(2).ravel().round(6))
    [1. 1.] [13. 21.]
    """

    def __init__(self, lags: Sequence[int] = (1,)):
        self.lags = lags

    def _fit(self, X):
        numbers = X.reshape(len(X), -1, 1)  # each entry is a state of its own, of one component
        self.coefficients_ = fit_transitions(numbers, self.lags).ravel()

    def _forecast(self, X, steps):
        numbers = _fill_forward(X, 1).reshape(-1, X[0].size, 1)
        T = self.coefficients_.reshape(-1, 1, 1)
        return forecast_states(numbers, T, self.lags, steps).reshape(-1, *X.shape[1:])


@dataclass(frozen=True)
class RollingForecast:
    """Forecasts from rolling origins, and what came.

    `forecasts` and `actual` have the shape (n_origins, horizon, m, n), or without m for a sequence
    of vectors. The first forecast of an origin is of the step `origins[i]`; it knows the steps
    before that.
    """

    origins: np.ndarray
    forecasts: np.ndarray
    actual: np.ndarray

    @property
    def rmse(self) -> float:
        """The root mean square error of all forecasts."""
        return rmse(self.actual, self.forecasts)

    @property
    def rmse_by_horizon(self) -> np.ndarray:
        """The root mean square error of the forecasts 1, 2, …, horizon steps ahead."""
        horizons = range(self.actual.shape[1])
        return np.array([rmse(self.actual[:, h], self.forecasts[:, h]) for h in horizons])


def rolling_forecast(
    model: Any, X: ArrayLike, start: int, horizon: int = 1, *, stride: int = 1, refit: bool = True
) -> RollingForecast:
    """Forecast again and again, each time from one origin later, with what was known then.

    Parameters
    ----------
    model : TwoStageMF, a baseline, or whatever has `fit(X)` and `forecast(steps, X)`
        A copy of it is fitted.
    X : (n_steps, m, n) or (n_steps, n) array, NaN where missing
    start : int
        The first step to be forecast.
    horizon : int
        How many steps to forecast from each origin.
    stride : int
        How many steps later the next origin is. With the horizon as stride, every step is forecast
        once.
    refit : bool
        Whether to fit X[:origin] at every origin. If not, X[:start] is fitted, and each forecast
        uses the parameters of that fit with the tables up to its origin.

    Returns
    -------
    RollingForecast

    Examples
    --------
    >>> X = np.array([0.0, 1, 2, 4]).reshape(4, 1)
    >>> result = rolling_forecast(LastValue(), X, start=2)
    >>> print(result.origins, result.forecasts.ravel(), round(result.rmse, 3))
    [2 3] [1. 2.] 1.581
    """
    X = check_sequence(X).reshape(np.shape(X))
    check.count(horizon, "horizon", largest=len(X) - 1)
    check.count(start, "start", largest=len(X) - horizon)
    check.count(stride, "stride")
    origins = np.arange(start, len(X) - horizon + 1, stride)
    if check.flag(refit, "refit"):
        forecasts = [clone(model).fit(X[:origin]).forecast(horizon) for origin in origins]
    else:
        fitted = clone(model).fit(X[:start])
        forecasts = [fitted.forecast(horizon, X[:origin]) for origin in origins]
    actual = [X[origin : origin + horizon] for origin in origins]
    return RollingForecast(origins, np.stack(forecasts), np.stack(actual))


@np.errstate(over="ignore", invalid="ignore")
def rmse(actual: ArrayLike, forecast: ArrayLike) -> float:
    """Return the root mean square error over the entries of `actual` that are not NaN or masked.

    A NaN in the forecast of such an entry makes the error NaN.

    Examples
    --------
    >>> rmse([1.0, np.nan, 3.0], [1.0, 9.0, -1.0])
    2.8284271247461903
    """
    actual = check.with_gaps(actual, "actual")
    forecast = check.shaped(check.floats(forecast, "forecast"), actual.shape, "forecast")
    observed = ~np.isnan(actual)
    check.need(observed.any(), "actual has no observed entry", "one at least")
    errors = np.subtract(forecast, actual, dtype=np.float64)[observed]
    return float(np.sqrt(np.mean(errors**2)))


def random_missing(shape: tuple[int, ...], share: float, *, random_state=None) -> np.ndarray:
    """Choose entries that go missing, each with the same probability.

    Parameters
    ----------
    shape : tuple of int
        The shape of the data.
    share : float
        From 0 to 1: how many of the entries, up to rounding.
    random_state : int, RandomState or None

    Returns
    -------
    array of bool
        True where an entry goes missing: `np.where(missing, np.nan, X)`.

    Examples
    --------
    >>> print(random_missing((10, 4, 5), 0.3, random_state=0).sum())
    60
    """
    shape = check.sides(shape)
    size, share = check.count(prod(shape), "the number of entries"), check.share(share, "share")
    places = np.argsort(check_random_state(random_state).permutation(size))  # in a random order
    return (places < round(share * size)).reshape(shape)


def block_missing(shape: tuple[int, ...], share: float, *, random_state=None) -> np.ndarray:
    """Choose rows of tables that go missing whole: a sensor is off for a day.

    Parameters
    ----------
    shape : tuple of int
        (n_steps, m, n).
    share, random_state
        As for `random_missing`.

    Returns
    -------
    array of bool, shape (n_steps, m, n)
        True where an entry goes missing.

    Examples
    --------
    >>> missing = block_missing((10, 4, 5), 0.3, random_state=0)
    >>> print(missing.sum(), missing.all(axis=2).sum())
    60 12
    """
    shape = check.sides(shape)
    rows = random_missing((*shape[:-1], 1), share, random_state=random_state)
    return np.broadcast_to(rows, shape).copy()


def _fill_forward(X, season):
    """Return X with missing entries replaced by the last observed ones of the phase.

    Where that takes values from before the first step, a season of means stands there.
    """
    if len(X) >= season and not np.isnan(X).any():
        return X
    numbers = np.concatenate([seasonal_profile(X, season), X]).reshape(season + len(X), -1, 1)
    return predict_gaps(numbers, np.ones((1, 1, 1)), (season,)).reshape(-1, *X.shape[1:])
