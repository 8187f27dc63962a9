"""Time and judge the completion engine of mflib beside Surprise, cornac and cmfrec, in one run.

Each contender is fitted to the training part of five folds, with one thread, on the same arrays.
Its predictions, clipped to 1–5, are judged on the held-out part. Whatever turns the arrays into a
peer's own data set is not timed. Each round has its own seed, the same for all contenders, and
rounds alternate between them. The table shows the median time over folds and rounds, the error
(mean over the folds, then mean and standard deviation over the rounds), and the time as a multiple
of the first. The peers are no part of the course:

    pip install --group benchmark
    python benchmarks/completion.py [rounds]

Data: MovieLens 100K with its official folds, where it can be downloaded; else a generated film club
of its size (943×1682, 100,000 ratings of 1–5) with five random folds.
"""

import os
import subprocess
import sys
import tempfile
import tracemalloc
from importlib.util import find_spec
from statistics import median
from time import perf_counter

import numpy as np
from scipy import sparse
from sklearn.model_selection import GridSearchCV, KFold
from threadpoolctl import threadpool_limits

from mflib.completion import ALS, SGD, ObservedEntries
from mflib.datasets import fetch_movielens_100k, make_film_club
from mflib.least_squares import ridge_rows

SHAPE = 943, 1682


def load():
    """Return pairs and values, sorted by person, and folds."""
    try:
        data = fetch_movielens_100k()
        print("MovieLens 100K, official folds")
        return data.pairs, data.ratings, data.folds
    except OSError as error:
        print(f"MovieLens 100K is missing ({type(error).__name__}); a generated film club instead")
    data = make_film_club(*SHAPE, 100_000, random_state=0)
    order = np.lexsort(data.pairs.T[::-1])
    folds = KFold(5, shuffle=True, random_state=0).split(order)
    return data.pairs[order], data.ratings[order], list(folds)


# A contender takes pairs, values and a seed and returns two functions: one that fits (it is timed)
# and one that predicts.


def mflib(estimator):
    def prepare(pairs, values, seed):
        estimator.set_params(random_state=seed)
        return lambda: estimator.fit(pairs, values), estimator.predict

    return prepare


def surprise_svd(k):
    import pandas as pd
    from surprise import SVD, Dataset, Reader

    def prepare(pairs, values, seed):
        frame = pd.DataFrame({"row": pairs[:, 0], "column": pairs[:, 1], "value": values})
        data = Dataset.load_from_df(frame, Reader(rating_scale=(1, 5))).build_full_trainset()
        model = SVD(n_factors=k, random_state=seed)
        return lambda: model.fit(data), lambda test: [model.predict(*pair).est for pair in test]

    return prepare


def cornac_mf(k):
    from cornac.data import Dataset
    from cornac.models import MF

    def prepare(pairs, values, seed):
        data = Dataset.from_uir(list(zip(*pairs.T.tolist(), values.tolist(), strict=True)))
        model = MF(
            k=k,
            max_iter=20,
            learning_rate=0.01,
            lambda_reg=0.02,
            use_bias=True,
            seed=seed,
            num_threads=1,
        )

        def predict(test):
            rows = np.array([data.uid_map.get(i, -1) for i in test[:, 0].tolist()])
            columns = np.array([data.iid_map.get(j, -1) for j in test[:, 1].tolist()])
            scores = model.global_mean + np.where(rows >= 0, model.u_biases[rows], 0)
            scores += np.where(columns >= 0, model.i_biases[columns], 0)
            dots = np.sum(model.u_factors[rows] * model.i_factors[columns], axis=1)
            return scores + np.where((rows >= 0) & (columns >= 0), dots, 0)

        return lambda: model.fit(data), predict

    return prepare


def cmfrec_als(k, strength):
    from cmfrec import CMF

    def prepare(pairs, values, seed):
        data = sparse.coo_array((values, pairs.T), shape=SHAPE)
        model = CMF(
            k=k,
            lambda_=strength,
            use_cg=False,
            nthreads=1,
            use_float=True,
            verbose=False,
            precompute_for_predictions=False,
            random_state=seed,
        )
        return lambda: model.fit(sparse.coo_matrix(data)), lambda test: model.predict(*test.T)

    return prepare


def contenders(k_sgd=(20, 100), k_als=(20, 50)):
    """Yield groups (title, {name: package, function to make the contender})."""
    single = {"dtype": np.float32}
    for k in k_sgd:
        options = {"regularization": 0.02, "max_iter": 20, **single}
        yield (
            f"SGD, k = {k}, η = 0.005, λ = 0.02, 20 epochs, start of scale 0.1 (Surprise's)",
            {
                "mflib": lambda k=k, o=options: mflib(
                    SGD(k, learning_rate=0.005, init_scale=0.1, **o)
                ),
                "surprise": lambda k=k: surprise_svd(k),
            },
        )
        yield (
            f"SGD, k = {k}, η = 0.01, λ = 0.02, 20 epochs, start of scale 0.01 (cornac's)",
            {
                "mflib": lambda k=k, o=options: mflib(SGD(k, **o)),
                "cornac": lambda k=k: cornac_mf(k),
            },
        )
    for k in k_als:
        for strength in (5, 14):
            options = {"regularization": strength, "weighting": "constant", **single}
            yield (
                f"ALS, k = {k}, λ = {strength} constant, 10 iterations",
                {
                    "mflib": lambda k=k, o=options: mflib(ALS(k, **o)),
                    "mflib compiled": lambda k=k, o=options: mflib(ALS(k, solver="compiled", **o)),
                    "mflib compiled, 6 it.": lambda k=k, o=options: mflib(
                        ALS(k, solver="compiled", max_iter=6, **o)
                    ),
                    "cmfrec": lambda k=k, s=strength: cmfrec_als(k, s),
                },
            )
        yield (
            f"ALS, k = {k}, λ = 0.1 weighted by counts, 10 iterations",
            {"mflib": lambda k=k: mflib(ALS(k, **single))},
        )


def available(group):
    """Return the contenders whose package is installed."""
    return {
        name: make()
        for name, make in group.items()
        if name.startswith("mflib") or find_spec(name) is not None
    }


def measure(group, pairs, values, folds, rounds):
    """Return for each contender its median seconds, and the mean and spread of its errors."""
    seconds, errors = ({name: [] for name in group} for _ in range(2))
    for prepare in group.values():  # compile and load before the clock runs
        prepare(pairs, values, 0)[0]()
    for turn in range(rounds):
        for train, test in folds:
            for name, prepare in sorted(group.items(), reverse=turn % 2 == 1):
                fit, predict = prepare(pairs[train], values[train], turn)
                begin = perf_counter()
                fit()
                seconds[name].append(perf_counter() - begin)
                found = np.clip(predict(pairs[test]), 1, 5)
                errors[name].append(np.sqrt(np.mean((found - values[test]) ** 2)))
    results = {}
    for name in group:
        by_round = np.reshape(errors[name], (rounds, -1)).mean(axis=1)
        results[name] = median(seconds[name]), by_round.mean(), by_round.std()
    return results


def best_settings(pairs, values, folds):
    """Choose settings by cross-validation inside each training part; return the mean error."""
    grid = {"regularization": [0.05, 0.07, 0.1], "max_iter": [20, 40, 60]}
    errors = []
    for train, test in folds:
        model = SGD(100, dtype=np.float32, random_state=0)
        inner = KFold(3, shuffle=True, random_state=0)
        search = GridSearchCV(model, grid, cv=inner, scoring="neg_mean_squared_error")
        search.fit(pairs[train], values[train])
        found = np.clip(search.predict(pairs[test]), 1, 5)
        errors.append(np.sqrt(np.mean((found - values[test]) ** 2)))
        print(f"    {search.best_params_}: {errors[-1]:.4f}")
    return np.mean(errors)


COMPILE = """
from time import perf_counter
import numpy as np
from mflib.completion import ALS, SGD
for model in (SGD(2, dtype=np.float32), ALS(2, solver="compiled", dtype=np.float32)):
    begin = perf_counter()
    model.fit([[0, 0], [1, 1], [1, 2]], [1.0, 2.0, 3.0])
    print(f"{type(model).__name__} {perf_counter() - begin:.2f} s", end="; ")
"""


def compile_times():
    """Return what the first fit takes with nothing compiled, and with machine code on disk."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", COMPILE]
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        return [
            subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            ).stdout.strip("; ")
            for _ in range(2)
        ]


def peak_memory(m=40_000, n=20_000, k=64, n_entries=1_000_000):
    """Return the peak of what a half step of ALS allocates, and the size of all Gram matrices."""
    rng = np.random.default_rng(0)
    pairs = np.column_stack([rng.integers(0, size, n_entries) for size in (m, n)])
    X = ObservedEntries(pairs, rng.random(n_entries), (m, n)).by_row
    mask = sparse.csr_array((np.ones(n_entries), X.indices, X.indptr), shape=X.shape)
    V = rng.random((n, k))
    tracemalloc.start()
    ridge_rows(X, mask, V, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20, m * k * k * 8 / 2**20


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    pairs, values, folds = load()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors; {rounds} rounds")
    for peer in ("surprise", "cornac", "cmfrec"):
        if find_spec(peer) is None:
            print(f"{peer} is not installed: skipped")
    for title, group in contenders():
        print(f"\n{title}\n{'':24}{'seconds':>9}{'RMSE':>18}{'ratio':>8}")
        results = measure(available(group), pairs, values, folds, rounds)
        ours = results["mflib"][0]
        for name, (seconds, error, spread) in results.items():
            print(f"    {name:22}{seconds:7.4f}  {error:.4f} ± {spread:.4f}{seconds / ours:8.2f}")
    print("\nSGD, k = 100, λ and epochs by cross-validation on the training parts")
    print(f"    mean RMSE {best_settings(pairs, values, folds):.4f}")
    first, cached = compile_times()
    print(f"\nFirst fit, nothing compiled: {first}\nFirst fit, code on disk: {cached}")
    peak, all_grams = peak_memory()
    print(f"\nHalf step of 40,000 rows, k = 64: {peak:.0f} MiB at its peak")
    print(f"(all Gram matrices at once: {all_grams:.0f} MiB)")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
