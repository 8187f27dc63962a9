"""Truncated SVDs beside scikit-learn's and SciPy's, 20 triples, at named accuracies.

An array of 4000×2000 with singular values 1/i and random singular vectors; a sparse table of
ratings, 20000×5000, in which few rows and columns hold most of the 440,000 entries; and as many
normal numbers at random places, whose singular values hardly differ. The quality is the largest
relative error of a singular value.
"""

import numpy as np
from measure import Row, peer, race, show
from scipy import sparse
from scipy.sparse.linalg import svds
from sklearn.utils.extmath import randomized_svd

from mflib.svd import truncated_svd

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


def make_flat(rng, m=20_000, n=5_000, entries=440_000):
    """Return a sparse matrix of noise and its singular values, close to each other."""
    A = sparse.random_array((m, n), density=entries / m / n, format="csr", rng=rng)
    A.data = rng.standard_normal(A.nnz)
    return A, np.sort(svds(A, K, tol=0, v0=np.ones(n))[1])[::-1]


def peers(A):
    """Yield the name of each peer and a function that returns its singular values."""
    v0 = np.random.default_rng(0).standard_normal(min(A.shape))
    scikit = peer("scikit-learn")
    for n_iter in ("auto", 20) if sparse.issparse(A) else ("auto",):
        yield (
            f"{scikit}, n_iter={n_iter}",
            lambda n_iter=n_iter: randomized_svd(A, K, n_iter=n_iter, random_state=0)[1],
        )
    yield f"{peer('scipy')}, ARPACK", lambda: svds(A, K, v0=v0)[1]


def rows():
    rng = np.random.default_rng(0)
    for title, (A, exact) in {
        "SVD of an array, 4000×2000": make_array(rng),
        "SVD of sparse ratings, 20000×5000": make_ratings(rng),
        "SVD of sparse noise, 20000×5000": make_flat(rng),
    }.items():

        def error(found, exact=exact):
            return f"{abs(np.sort(found)[::-1] / exact - 1).max():.0e}"

        for name, theirs in peers(A):
            ours = {"ours": lambda A=A: truncated_svd(A, K, random_state=0).singular_values}
            seconds, found = race(ours | {"theirs": theirs})
            quality = " / ".join(map(error, found.values()))
            yield Row(title, name, *seconds.values(), f"error {quality}")


if __name__ == "__main__":
    show(rows())
