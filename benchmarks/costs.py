"""What must not cost much more: gaps in a sequence, one reader among many, sparse counts.

Here the peer is mflib itself where nothing is missing, or where there is little to read; of NMF it
is scikit-learn.

A metro of 60 days, 40 stations and 36 intervals, complete and with a tenth of the tables missing,
in 10 steps. `recommend` for one row of 10,000,000 ratings beside one of 100,000, with 2,000 columns
each. Word counts of 5,000 pages and 20,000 words, 1 % of them above zero, k = 10, 20 iterations;
memory is the most that a fit holds at a time, besides the counts.
"""

import tracemalloc
import warnings

import numpy as np
from measure import Row, peer, race, show
from scipy import sparse
from sklearn import decomposition
from sklearn.exceptions import ConvergenceWarning

from mflib.completion import SGD
from mflib.datasets import make_metro
from mflib.nmf import NMF
from mflib.sequential import JointMF, RolloutMF, TwoStageMF


def gaps():
    """Yield the fits of incomplete sequences beside those of complete ones."""
    X = make_metro(60, 40, 36, random_state=0).counts.astype(float)
    incomplete = X.copy()
    incomplete[np.random.default_rng(0).choice(60, 6, replace=False)] = np.nan
    for model in (
        TwoStageMF(5, lags=(1, 7)),
        JointMF(5, lags=(1, 7), max_iter=10, tol=0),
        RolloutMF(5, max_iter=10, tol=0),
    ):
        fits = {
            "incomplete": lambda model=model: model.fit(incomplete),
            "complete": lambda model=model: model.fit(X),
        }
        seconds, _ = race(fits)
        name = f"{type(model).__name__}, a tenth of the tables missing"
        yield Row(name, "mflib, no table missing", *seconds.values(), "")


def one_row():
    """Yield a recommendation from many ratings beside one from few."""
    calls, rng = {}, np.random.default_rng(0)
    for n in (10_000_000, 100_000):
        pairs = np.column_stack([rng.integers(0, n // 50, n), rng.integers(0, 2000, n)])
        model = SGD(8, max_iter=1, dtype=np.float32, random_state=0)
        model.fit(pairs.astype(np.int32), np.ones(n, dtype=np.float32))
        calls[n] = lambda m=model: [m.recommend(i) for i in range(200)]
    seconds, _ = race(calls)
    what = "200 times recommend, 10,000,000 ratings"
    yield Row(what, "mflib, 100,000 ratings", *seconds.values(), "")


def counts():
    rng = np.random.default_rng(0)
    X = sparse.random_array((5_000, 20_000), density=0.01, format="csr", rng=rng)
    X.data = 1.0 + rng.poisson(1, X.nnz)
    return X


def peak(action):
    """Return the largest number of megabytes that an action holds at a time."""
    tracemalloc.start()
    action()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 2**20


def sparse_counts():
    """Yield NMF of sparse counts: time and memory."""
    X = counts()
    options = {"n_components": 10, "init": "random", "max_iter": 20, "tol": 0, "random_state": 0}
    for loss, name, solver in (
        ("squared", "frobenius", "cd"),
        ("kullback-leibler", "kullback-leibler", "mu"),
    ):
        ours = NMF(loss=loss, solver=solver, **options)
        theirs = decomposition.NMF(beta_loss=name, solver=solver, **options)
        fits = {"ours": lambda m=ours: m.fit(X), "theirs": lambda m=theirs: m.fit(X)}
        seconds, _ = race(fits, 3)
        memory = " / ".join(f"{peak(fit):.0f}" for fit in fits.values())
        what = f"NMF of sparse counts, {loss}"
        yield Row(what, peer("scikit-learn"), *seconds.values(), f"memory {memory} MB")


def rows():
    warnings.simplefilter("ignore", ConvergenceWarning)
    yield from gaps()
    yield from one_row()
    yield from sparse_counts()


if __name__ == "__main__":
    show(rows())
