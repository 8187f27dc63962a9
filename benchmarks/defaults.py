"""The defaults of ALS and SGD, chosen by cross-validation on several sets of ratings.

For each data set and each setting of a grid: the held-out error (RMSE over three folds), relative
to the best of the grid. Chosen is the setting whose worst case over the data sets is best. Peers'
defaults stand beside it.

    python benchmarks/defaults.py
"""

import sys

import numpy as np
from sklearn.model_selection import KFold, ParameterGrid, cross_val_score

from mflib.completion import ALS, SGD
from mflib.datasets import fetch_movielens_100k, make_film_club

GRIDS = {
    "ALS": (
        ALS,
        {
            "rank": [5, 10, 20, 50],
            "regularization": [0.05, 0.07, 0.1, 0.15, 0.2],
            "max_iter": [10, 20],
        },
    ),
    "SGD": (
        SGD,
        {
            "rank": [10, 20, 50, 100],
            "regularization": [0.02, 0.05, 0.07, 0.1],
            "max_iter": [20, 40, 60],
            "learning_rate": [0.01, 0.02],
        },
    ),
}


def data_sets():
    yield "film club, 300×120", make_film_club(random_state=0)
    yield "film club, 943×1682", make_film_club(943, 1682, 100_000, random_state=0)
    yield "MovieLens 100K", fetch_movielens_100k()


def error(model, data):
    folds = KFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(
        model, data.pairs, data.ratings, cv=folds, scoring="neg_root_mean_squared_error"
    )
    return -scores.mean()


def main(names):
    sets = dict(data_sets())
    for name in names:
        kind, grid = GRIDS[name]
        settings = [{}, *ParameterGrid(grid)]
        models = [kind(**s, dtype=np.float32, random_state=0) for s in settings]
        errors = np.array([[error(model, data) for data in sets.values()] for model in models])
        excess = (errors / errors.min(axis=0)).max(axis=1) - 1
        print(f"\n{name}: {', '.join(sets)}; worst excess over the best")
        for i in [0, *np.argsort(excess[1:], kind="stable")[:12] + 1]:
            words = ", ".join(f"{k} {v}" for k, v in settings[i].items()) or "today's defaults"
            print(
                "  ".join(f"{e:.4f}" for e in errors[i]), f" {excess[i]:6.2%}  {words}", flush=True
            )


if __name__ == "__main__":
    main(sys.argv[1:] or list(GRIDS))
