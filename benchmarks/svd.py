"""Time the truncated SVDs of mflib against scikit-learn and SciPy, in one run.

Two matrices, of each 20 triples: an array of 4000×2000 with singular values 1/i and random singular
vectors, and a sparse table of ratings, 20000×5000, in which few rows and columns hold most of the
entries. Every round runs each method once, so that a busy machine slows all of them alike; the
table shows the median of the processor time on one thread. The error is the largest relative error
of a singular value.

    python benchmarks/svd.py [rounds]
"""

import sys
from functools import partial
from statistics import median
from time import process_time

import numpy as np
from scipy import sparse
from scipy.linalg import svd
from scipy.sparse.linalg import svds
from sklearn.utils.extmath import randomized_svd as sklearn_randomized_svd
from threadpoolctl import threadpool_limits

from mflib.svd import block_krylov_svd, randomized_svd, truncated_svd

K = 20


def make_array(rng, m=4000, n=2000):
    """Return an array and its singular values."""
    U, V = (np.linalg.qr(rng.standard_normal((side, n)))[0] for side in (m, n))
    return (U / np.arange(1, n + 1)) @ V.T, 1 / np.arange(1, K + 1)


def make_ratings(rng, m=20_000, n=5_000, entries=440_000):
    """Return a sparse matrix and its singular values, popularity falling as a power of the rank."""
    rows, columns = (
        rng.choice(side, entries, p=(p := np.arange(1, side + 1.0) ** -decay) / p.sum())
        for side, decay in ((m, 0.6), (n, 0.8))
    )
    A = sparse.coo_array((np.ones(entries), (rows, columns)), shape=(m, n)).tocsr()
    A.data = rng.integers(1, 6, A.nnz).astype(float)
    return A, np.sort(svds(A, K, tol=0, v0=np.ones(n))[1])[::-1]


def methods(A):
    """Name each method, the baseline first, and return its singular values in any order."""
    peers = {"scikit-learn randomized_svd": lambda: sklearn_randomized_svd(A, K, random_state=0)[1]}
    if sparse.issparse(A):
        peers["scikit-learn, n_iter=20"] = lambda: sklearn_randomized_svd(
            A, K, n_iter=20, random_state=0
        )[1]
    ours = {
        "truncated_svd": truncated_svd,
        "truncated_svd, tol=1e-6": partial(truncated_svd, tol=1e-6),
        "block_krylov_svd": block_krylov_svd,
        "randomized_svd": randomized_svd,
    }
    for name, method in ours.items():
        peers[f"mflib {name}"] = lambda method=method: method(A, K, random_state=0).singular_values
    v0 = np.random.default_rng(0).standard_normal(min(A.shape))
    for tol in (0, 1e-4):
        peers[f"SciPy svds, ARPACK, tol={tol:g}"] = lambda tol=tol: svds(A, K, v0=v0, tol=tol)[1]
    if not sparse.issparse(A):
        peers["SciPy svd, full"] = lambda: svd(A, full_matrices=False)[1]
    return peers


def measure(A, exact, rounds):
    """Return the time and the error of each method; the full SVD runs in the first two rounds."""
    times, errors = {}, {}
    for i in range(rounds):
        for name, compute in methods(A).items():
            if "full" in name and i >= 2:
                continue
            begin = process_time()
            singular_values = compute()
            times.setdefault(name, []).append(process_time() - begin)
            found = np.sort(singular_values)[::-1][:K]
            errors[name] = max(errors.get(name, 0), abs(found / exact - 1).max())
    return {name: median(values) for name, values in times.items()}, errors


def report(title, times, errors):
    """Print one line for each method; above 1, a ratio says how many times faster it is."""
    baseline = next(iter(times.values()))
    print(f"\n{title}")
    print(f"{'method':32}{'seconds':>9}{'× baseline':>12}{'σ-error':>10}")
    for name, seconds in times.items():
        print(f"{name:32}{seconds:9.3f}{baseline / seconds:12.2f}{errors[name]:10.0e}")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    print(f"k = {K}; speed relative to the first line")
    with threadpool_limits(1):
        for title, make in (
            ("Array 4000×2000, σᵢ = 1/i", make_array),
            ("Sparse 20000×5000, ratings", make_ratings),
        ):
            report(title, *measure(*make(np.random.default_rng(0)), rounds))


if __name__ == "__main__":
    main()
