"""Time the truncated SVDs of mflib against scikit-learn and SciPy, in one run.

The matrix is 4000×2000 with singular values 1/i and random singular vectors; 20 triples are asked
for. Every round runs each method once, so that a busy machine slows all of them alike; the table
shows the median over the rounds. The error is the largest relative error of a singular value.

    python benchmarks/svd.py [rounds]
"""

import sys
from contextlib import nullcontext
from statistics import median
from time import perf_counter

import numpy as np
from scipy.linalg import svd
from scipy.sparse.linalg import svds
from sklearn.utils.extmath import randomized_svd as sklearn_randomized_svd
from threadpoolctl import threadpool_limits

from mflib.svd import block_krylov_svd, randomized_svd, truncated_svd

M, N, K = 4000, 2000, 20
BASELINE = "scikit-learn randomized_svd"


def make_matrix(rng):
    U, V = (np.linalg.qr(rng.standard_normal((side, N)))[0] for side in (M, N))
    return (U / np.arange(1, N + 1)) @ V.T


def methods(A):
    """Name each method and return its singular values, in any order."""
    start = np.random.default_rng(0).standard_normal(N)
    return {
        BASELINE: lambda: sklearn_randomized_svd(A, K, random_state=0)[1],
        "mflib truncated_svd": lambda: truncated_svd(A, K, random_state=0).singular_values,
        "mflib truncated_svd, tol=1e-6": lambda: (
            truncated_svd(A, K, tol=1e-6, random_state=0).singular_values
        ),
        "mflib block_krylov_svd": lambda: block_krylov_svd(A, K, random_state=0).singular_values,
        "mflib randomized_svd": lambda: randomized_svd(A, K, random_state=0).singular_values,
        "SciPy svds, PROPACK": lambda: svds(A, K, solver="propack", v0=np.ones(M), rng=0)[1],
        "SciPy svds, PROPACK, tol=1e-4": lambda: svds(
            A, K, solver="propack", v0=np.ones(M), tol=1e-4, rng=0
        )[1],
        "SciPy svds, ARPACK": lambda: svds(A, K, solver="arpack", v0=start)[1],
        "SciPy svds, ARPACK, tol=1e-4": lambda: svds(A, K, solver="arpack", v0=start, tol=1e-4)[1],
        "SciPy svd, full": lambda: svd(A, full_matrices=False)[1],
    }


def measure(A, rounds):
    """Return the time and the error of each method; the full SVD runs in the first two rounds."""
    exact = 1 / np.arange(1, K + 1)
    times, errors = {}, {}
    for i in range(rounds):
        for name, compute in methods(A).items():
            if "full" in name and i >= 2:
                continue
            begin = perf_counter()
            singular_values = compute()
            times.setdefault(name, []).append(perf_counter() - begin)
            found = np.sort(singular_values)[::-1][:K]
            errors[name] = max(errors.get(name, 0), abs(found / exact - 1).max())
    return {name: median(values) for name, values in times.items()}, errors


def report(title, times, errors):
    print(f"\n{title}")
    print(f"{'method':32}{'seconds':>9}{'× baseline':>12}{'× full':>9}{'σ-error':>10}")
    for name, seconds in times.items():
        ratios = times[BASELINE] / seconds, times["SciPy svd, full"] / seconds
        print(f"{name:32}{seconds:9.3f}{ratios[0]:12.2f}{ratios[1]:9.1f}{errors[name]:10.0e}")


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    A = make_matrix(np.random.default_rng(0))
    print(f"{M}×{N}, σᵢ = 1/i, k = {K}; speed relative to {BASELINE} and to the full SVD")
    for title, limit in (
        ("One BLAS thread", threadpool_limits(1)),
        ("Default threads", nullcontext()),
    ):
        with limit:
            report(title, *measure(A, rounds))


if __name__ == "__main__":
    main()
