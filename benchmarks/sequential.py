"""Measure the forecasts and the imputations of lesson 6 on the metro of Hangzhou, and time them.

1. Tomorrow's table (80 stations × 108 intervals): rolling, refitted every day, over the last 7 of
   25 days. What there is to choose is chosen on the 5 days before.
2. One vector of 80 stations every ten minutes, 2, 4 and 6 intervals ahead, over the last 7 days.
   Fitted once; what there is to choose is chosen on the 5 days before, too. Scored where passengers
   were counted (entries that are not 0), as published for temporal regularized matrix factorization
   (TRMF).
3. 40 % of all entries missing, at random or in whole station-days. What there is to choose is
   chosen by hiding a fifth of what is left, in the same way.

    python benchmarks/sequential.py
"""

import warnings
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ParameterGrid
from threadpoolctl import threadpool_limits

from mflib.completion import ALS
from mflib.datasets import fetch_hangzhou_metro
from mflib.sequential import (
    JointMF,
    LastValue,
    MeanValue,
    RolloutMF,
    ScalarAutoregression,
    TwoStageMF,
    block_missing,
    random_missing,
    rmse,
    rolling_forecast,
)

DAY = 108
LAGS = (1, 7, 8)
DAY_AHEAD = {
    "yesterday": [LastValue()],
    "a week ago": [LastValue(7)],
    "mean": [MeanValue()],
    "mean of the weekday": [MeanValue(7)],
    "scalar autoregression": [ScalarAutoregression(LAGS)],
    "rollout": [RolloutMF(k, season=s, scale="rows") for k in (2, 5) for s in (1, 7)],
    "first order": [
        TwoStageMF(**p, scale="rows", transition_regularization=0.1)
        for p in ParameterGrid({"rank": [2, 5, 8, 12], "season": [None, 1, 7]})
    ],
    "lags 1, 7, 8": [
        TwoStageMF(**p, lags=LAGS, transition_regularization=0.01)
        for p in ParameterGrid(
            {"rank": [3, 5, 8, 12, 20], "season": [None, 1], "scale": [None, "rows"]}
        )
    ],
    "lags 1, 7, 8, joint": [
        JointMF(k, lags=LAGS, season=1, scale="rows", transition_weight=mu)
        for k in (5, 8, 12)
        for mu in (0.1, 0.3, 1)
    ],
}


def seconds(action):
    begin = perf_counter()
    result = action()
    return result, perf_counter() - begin


def day_ahead(X):
    print(f"{'tomorrow':24}{'5 days before':>15}{'last 7 days':>13}{'one fit':>10}  chosen")
    for name, models in DAY_AHEAD.items():
        errors = [rolling_forecast(model, X[:18], 13).rmse for model in models]
        model = models[int(np.argmin(errors))]
        error = rolling_forecast(model, X, 18).rmse
        chosen = " ".join(str(model).split())
        _, time = seconds(lambda model=model: model.fit(X[:24]))
        print(f"{name:24}{min(errors):15.2f}{error:13.2f}{1e3 * time:7.0f} ms  {chosen}")


def errors_ahead(model, vectors, start):
    """Return the errors 2, 4 and 6 intervals ahead, where passengers were counted."""
    results = [
        rolling_forecast(model, vectors, start, horizon, stride=horizon, refit=False)
        for horizon in (2, 4, 6)
    ]
    return [rmse(np.where(r.actual == 0, np.nan, r.actual), r.forecasts) for r in results]


def ten_minutes(X):
    vectors = X.transpose(0, 2, 1).reshape(-1, X.shape[1])
    start, a_week = 18 * DAY, (1, 2, DAY, DAY + 1, 7 * DAY, 7 * DAY + 1)
    grid = list(ParameterGrid({"rank": [10, 20, 40], "transition_regularization": [0.01, 0.1, 1]}))
    candidates = {
        "yesterday, same time": [LastValue(DAY)],
        "a week ago, same time": [LastValue(7 * DAY)],
        "scalar autoregression": [ScalarAutoregression(a_week)],
        "lags of a day": [TwoStageMF(lags=(1, 2, 3, DAY), season=DAY, **p) for p in grid],
        "lags of a day and a week": [TwoStageMF(lags=a_week, season=DAY, **p) for p in grid],
    }
    print(f"\n{'intervals ahead':26}{'2':>8}{'4':>8}{'6':>8}{'fit':>11}{'forecasts':>12}  chosen")
    print(f"{'TRMF as published':26}{30.6:8}{32.6:8}{33.9:8}")
    for name, models in candidates.items():
        scores = [sum(errors_ahead(model, vectors[:start], 13 * DAY)) for model in models]
        model = models[int(np.argmin(scores))]
        _, fit_time = seconds(lambda model=model: model.fit(vectors[:start]))
        errors, time = seconds(lambda model=model: errors_ahead(model, vectors, start))
        numbers = "".join(f"{error:8.2f}" for error in errors)
        chosen = " ".join(str(model).split())
        print(f"{name:26}{numbers}{1e3 * fit_time:8.0f} ms{time:10.2f} s  {chosen}")


def impute_by_als(X, rank, regularization):
    """Complete the stations × (days · intervals) or (days · stations) × intervals matrix."""
    observed = ~np.isnan(X)
    model = ALS(rank, regularization=regularization, random_state=0)
    model.fit(np.argwhere(observed), X[observed])
    filled = X.copy()
    filled[~observed] = model.predict(np.argwhere(~observed))
    return filled


def imputers():
    """Yield a name and functions from incomplete to complete data, to choose among."""
    yield "mean", [lambda X: MeanValue().fit(X).impute()]
    yield "mean of the weekday", [lambda X: MeanValue(7).fit(X).impute()]
    grid = list(ParameterGrid({"rank": [5, 10, 20], "regularization": [0.1, 0.3, 1]}))
    yield (
        "ALS, a row per day",
        [lambda X, p=p: impute_by_als(X.reshape(-1, DAY), **p).reshape(X.shape) for p in grid],
    )
    yield (
        "ALS, a row per station",
        [
            lambda X, p=p: (
                impute_by_als(X.swapaxes(0, 1).reshape(80, -1), **p)
                .reshape(80, -1, DAY)
                .swapaxes(0, 1)
            )
            for p in grid
        ],
    )
    grid = ParameterGrid(
        {"rank": [5, 10, 15], "season": [None, 1], "transition_weight": [0.3, 1.0]}
    )
    yield (
        "joint, lags 1, 7, 8",
        [lambda X, p=p: JointMF(lags=LAGS, scale="rows", **p).fit(X).impute() for p in grid],
    )


def imputation(X):
    print(f"\n{'40 % missing':24}{'at random':>22}{'station-days':>24}")
    incomplete = {
        mask: [np.where(mask(X.shape, 0.4, random_state=i), np.nan, X) for i in range(3)]
        for mask in (random_missing, block_missing)
    }
    for name, candidates in imputers():
        print(f"{name:24}", end="")
        for mask, data in incomplete.items():
            errors = []
            hidden = mask(X.shape, 0.2, random_state=9)
            shown = np.where(hidden, np.nan, data[0])
            scores = [rmse(np.where(hidden, data[0], np.nan), f(shown)) for f in candidates]
            impute = candidates[int(np.argmin(scores))]
            for Y in data:
                errors.append(rmse(np.where(np.isnan(Y), X, np.nan), impute(Y)))
            print("   " + "".join(f"{error:7.2f}" for error in errors), end="", flush=True)
        print()


def main():
    warnings.simplefilter("ignore", ConvergenceWarning)
    X = fetch_hangzhou_metro().counts.astype(float)
    with threadpool_limits(1):
        day_ahead(X)
        ten_minutes(X)
        imputation(X)


if __name__ == "__main__":
    main()
