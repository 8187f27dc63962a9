"""How many days ahead is a low-rank forecast worth its trouble? (lesson 6).

Every forecast knows the same number of days before it, and so does every baseline. The seven
origins lie eight days apart: each weekday is the first once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mflib.datasets import make_metro
from mflib.explore.base import Choice, Explorer, Slider, even
from mflib.plotting import MODEL, OTHER, QUIET
from mflib.sequential import LastValue, MeanValue, RollingForecast, TwoStageMF

STATIONS, INTERVALS = 20, 18
HIGHEST_RANK = 6
HORIZON = 14  # days
REMOVED, KEPT = "removed", "kept"
LAGS = {"1": (1,), "1, 7, 8": (1, 7, 8)}
DAYS = ("14", "28", "56")  # that a forecast knows
ORIGINS = int(DAYS[-1]) + 8 * np.arange(7)
LAST_VALUE, LAST_WEEK, WEEKDAY_MEAN = "last value", "last week", "weekday mean"
BASELINES = {LAST_VALUE: LastValue(), LAST_WEEK: LastValue(7), WEEKDAY_MEAN: MeanValue(7)}
LEVEL = 0.02  # errors that differ by less than this share count as equal


@dataclass(frozen=True)
class ForecastErrors:
    """Root mean square errors in passengers, the chosen rank and the chosen number of days ahead.

    `model` (6, 14) has a row for each rank from 1 and a column for each number of days ahead from
    1; `baselines` holds such a row (14,) by name.
    """

    model: np.ndarray
    baselines: dict[str, np.ndarray]
    rank: int
    horizon: int
    state: str
    message: str


def forecast_errors(
    rank: int, horizon: int, lags: str, weekday_mean: str, days: str
) -> ForecastErrors:
    """Forecast the tables of a metro, and compare a rank and a horizon with simple baselines.

    Parameters
    ----------
    rank : int
        1 to 6.
    horizon : int
        Days ahead, 1 to 14.
    lags : {"1", "1, 7, 8"}
        Which days before predict the state of a day.
    weekday_mean : {REMOVED, KEPT}
        Whether the mean table of each weekday is removed before the factorization.
    days : {"14", "28", "56"}
        How many days a forecast knows.
    """
    model = _model_errors(LAGS[lags], 7 if weekday_mean == REMOVED else None, int(days))
    baselines = _baseline_errors(int(days))
    state, message = _describe(model[rank - 1], baselines, rank, horizon)
    return ForecastErrors(
        model=model,
        baselines=baselines,
        rank=rank,
        horizon=horizon,
        state=state,
        message=message,
    )


@lru_cache(maxsize=1)
def metro_tables() -> np.ndarray:
    """Return the tables of the metro: days, stations, intervals."""
    n_days = int(ORIGINS[-1]) + HORIZON
    return make_metro(n_days, STATIONS, INTERVALS, innovation=0.08, random_state=1).counts


@lru_cache(maxsize=12)
def _model_errors(lags: Sequence[int], season: int | None, days: int) -> np.ndarray:
    ranks = range(1, HIGHEST_RANK + 1)
    return np.stack([_errors(TwoStageMF(k, lags=lags, season=season), days) for k in ranks])


@lru_cache(maxsize=3)
def _baseline_errors(days):
    return {name: _errors(baseline, days) for name, baseline in BASELINES.items()}


def _errors(model, days):
    """Return the error 1, 2, …, 14 days ahead over all origins."""
    X = metro_tables()
    forecasts = [model.fit(X[origin - days : origin]).forecast(HORIZON) for origin in ORIGINS]
    actual = [X[origin : origin + HORIZON] for origin in ORIGINS]
    return RollingForecast(ORIGINS, np.stack(forecasts), np.stack(actual)).rmse_by_horizon


def _describe(model, baselines, rank, horizon):
    """Tell who wins at the chosen horizon, and how far ahead the model is of use."""
    error = model[horizon - 1]
    at_horizon = {name: errors[horizon - 1] for name, errors in baselines.items()}
    best = min(at_horizon, key=at_horizon.get)
    change = error / at_horizon[best] - 1
    percent = f"{100 * abs(change):.0f} %"
    if abs(change) < LEVEL:
        state, relation = "Level", "within 2 % of"
    elif change < 0:
        state, relation = "Model wins", f"{percent} below"
    else:
        state, relation = "Baseline wins", f"{percent} above"
    return state, (
        f"Rank {rank}, {_days(horizon)} ahead: the model's error of {error:.1f} passengers is "
        f"{relation} the best baseline's ({best}, {at_horizon[best]:.1f}). "
        f"{_reach(model, baselines)}"
    )


def _reach(model, baselines):
    """Tell up to which horizon the model is of more use than the weekday mean."""
    gains = model < (1 - LEVEL) * baselines[WEEKDAY_MEAN]
    first = int(np.argmin([*gains, False]))  # without a gain
    if 0 < first < HORIZON and not gains[first:].any():
        return f"Beyond {_days(first)} it gains less than 2 % on the {WEEKDAY_MEAN}"
    number = gains.sum() or "none"
    return f"It gains 2 % or more on the {WEEKDAY_MEAN} at {number} of {HORIZON} horizons"


def _days(n):
    return "1 day" if n == 1 else f"{n} days"


class HorizonExplorer(Explorer):
    """Compare low-rank forecasts with baselines, by horizon and by rank (lesson 6)."""

    controls = {
        "rank": Slider("Rank k", even(1, HIGHEST_RANK, 1), 3),
        "horizon": Slider("Days ahead", even(1, HORIZON, 1), 1),
        "lags": Choice("Lags (days)", tuple(LAGS), "1"),
        "weekday_mean": Choice("Weekday mean", (REMOVED, KEPT), REMOVED),
        "days": Choice("Days known", DAYS, "28"),
    }
    size = (10.6, 3.7)
    alt = (
        "Forecast errors of the model and of three baselines: last value, last week, weekday mean. "
        "Left: by days ahead at the chosen rank. Right: by rank at the chosen number of days "
        "ahead. Cursors mark the choice."
    )
    grid = {
        "rank": range(1, HIGHEST_RANK + 1),
        "horizon": (1, 2, 3, 4, 5, 6, 7, 8, 10, HORIZON),
        "lags": tuple(LAGS),
        "weekday_mean": (REMOVED, KEPT),
    }
    compute = staticmethod(forecast_errors)

    def draw(self, fig):
        """Make the curves of the model and of the baselines, twice, with cursors."""
        left, right = fig.subplots(1, 2, sharey=True, width_ratios=[1.4, 1])
        left.set(title="Error at the chosen rank", xlabel="days ahead")
        left.set(ylabel="error (RMSE, passengers)", ylim=(10, 50))
        left.set(xlim=(0.5, HORIZON + 0.5), xticks=range(1, HORIZON + 1))
        right.set(title="Error at the chosen day", xlabel="rank k")
        right.set(xlim=(0.5, HIGHEST_RANK + 0.5), xticks=range(1, HIGHEST_RANK + 1))
        moving = {"animated": True}
        self._cursors = [ax.axvline(1, color=QUIET, lw=1.2, **moving) for ax in (left, right)]
        kinds = {
            LAST_VALUE: {"color": QUIET, "marker": "^", "ls": "--"},
            LAST_WEEK: {"color": QUIET, "marker": "v", "ls": ":"},
            WEEKDAY_MEAN: {"color": OTHER, "marker": "s", "ls": "-."},
            "model": {"color": MODEL, "marker": "o", "ls": "-"},
        }
        self._lines = {
            name: [
                ax.plot([], [], lw=1.5, ms=6, label=label, **kind, **moving)[0]
                for ax, label in ((left, name), (right, None))
            ]
            for name, kind in kinds.items()
        }
        ring = {"color": MODEL, "ms": 14, "mfc": "none", "mew": 2}
        self._rings = [ax.plot([], [], "o", **ring, **moving)[0] for ax in (left, right)]
        fig.legend(loc="outside lower center", ncols=4)

    def update(self, result):
        """Move the curves, the cursors and the rings."""
        days, ranks = np.arange(1, HORIZON + 1), np.arange(1, HIGHEST_RANK + 1)
        row, column = result.model[result.rank - 1], result.model[:, result.horizon - 1]
        for name, errors in result.baselines.items():
            by_day, by_rank = self._lines[name]
            by_day.set_data(days, errors)
            by_rank.set_data(ranks, np.full(ranks.shape, errors[result.horizon - 1]))
        by_day, by_rank = self._lines["model"]
        by_day.set_data(days, row)
        by_rank.set_data(ranks, column)
        for x, cursor, ring in zip(
            (result.horizon, result.rank), self._cursors, self._rings, strict=True
        ):
            cursor.set_xdata([x] * 2)
            ring.set_data([x], [row[result.horizon - 1]])
