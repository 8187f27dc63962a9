"""The singular value decomposition, whole and truncated (lesson 2).

The formulas of this room, for an m×n matrix A with singular values σ₁ ≥ σ₂ ≥ … ≥ 0:

    A = U Σ Vᵀ                        the singular value decomposition
    AᵀA = V Σ² Vᵀ,  AAᵀ = U Σ² Uᵀ     two eigenproblems; they square the condition number
    uᵢ = A vᵢ / σᵢ                    left from right vectors, where σᵢ > 0
    Q ← qr(A qr(AᵀQ))                 block power iteration: power iteration on AAᵀ, one block
    Q ← [Q, A AᵀQ]                    block Krylov: the same products, but no block is thrown away
    ‖A − Aₖ‖ = σₖ₊₁ or √Σ_{i>k} σᵢ²   Eckart–Young: the best rank-k approximation

Signs: (u, v) and (−u, −v) are equally right. Every function here turns each pair so that the entry
of largest modulus of the right vector v is positive. Among entries within a millionth of the
largest the first one decides, so that rounding noise does not break ties.

References
----------
N. Halko, P. G. Martinsson and J. A. Tropp, Finding structure with randomness, SIAM Review, 2011.
C. Musco and C. Musco, Randomized block Krylov methods for stronger and faster approximate singular
value decomposition, NIPS, 2015.
M. Gavish and D. L. Donoho, The optimal hard threshold for singular values is 4/√3, IEEE
Transactions on Information Theory, 2014.
"""

from collections.abc import Iterator
from math import cos, pi, sin, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.integrate import quad
from scipy.linalg import norm, pinv, svd
from scipy.optimize import brentq
from scipy.sparse.linalg import LinearOperator
from sklearn.utils import check_random_state

from mflib import _validation as check
from mflib._validation import Matrix
from mflib.eigen import column_lengths, davidson_steps, multiply, rough_norm
from mflib.iteration import Iterate, drive, nth, record, warn_unless_converged

# Below this size the full decomposition takes a few milliseconds.
_SMALL = 200


class SVD(NamedTuple):
    """U (m, k), singular values (k,) in falling order and Vᵀ (k, n): A ≈ U diag(σ) Vᵀ."""

    U: np.ndarray
    singular_values: np.ndarray
    Vt: np.ndarray

    def approximation(self, k: int | None = None) -> np.ndarray:
        """Return σ₁u₁v₁ᵀ + … + σₖuₖvₖᵀ, an (m, n) array (all terms by default)."""
        k = len(self.singular_values) if k is None else k
        k = check.count(k, "k", smallest=0, largest=len(self.singular_values))
        return (self.U[:, :k] * self.singular_values[:k]) @ self.Vt[:k]


@record
class SVDStep(Iterate):
    """One iterate: the k best singular triples in the block, and the residuals ‖Av − σu‖.

    Aᵀu = σv up to rounding, or the other way round with residuals ‖Aᵀu − σv‖. Like an `SVD` it
    unpacks as `U, singular_values, Vt`.
    """

    algorithm = "SVD"

    factors: SVD
    residuals: np.ndarray

    def __iter__(self) -> Iterator[np.ndarray]:
        """Go through U, the singular values and Vᵀ."""
        return iter(self.factors)

    def approximation(self, k: int | None = None) -> np.ndarray:
        """Return σ₁u₁v₁ᵀ + … + σₖuₖvₖᵀ, as an `SVD` does."""
        return self.factors.approximation(k)


@record
class SVDResult(SVDStep):
    """Where the search for singular triples stopped, and why (`message`).

    After a full decomposition the residuals are rounding alone: not measured, but set to 0.
    """

    converged: bool
    message: str


def left_vectors(A: Matrix, V: ArrayLike, singular_values: ArrayLike) -> np.ndarray:
    """Return U with columns uᵢ = A vᵢ / σᵢ, without dividing by zero.

    Where σᵢ is at most √(max(m, n) ε) σ₁, with ε = 2.2e-16 the machine precision, it may be zero
    (if it comes from AᵀA), and A vᵢ / σᵢ would keep fewer than half of its digits, or none. Those
    columns carry no part of A, so any unit vectors orthogonal to the others are right, and such
    vectors are put there.

    Parameters
    ----------
    A : (m, n) array, sparse matrix or LinearOperator
    V : (n, k) array, k at most m
        Right singular vectors, as columns.
    singular_values : (k,) array, in falling order

    Returns
    -------
    (m, k) array

    Examples
    --------
    >>> V = np.array([[0.6, 0.8], [0.8, -0.6]])
    >>> U = left_vectors([[3, 4], [0, 0], [0, 0]], V, [5, 0])
    >>> (U.T @ U).round(12) + 0.0
    array([[1., 0.],
           [0., 1.]])
    >>> (U * [5, 0] @ V.T).round(12) + 0.0
    array([[3., 4.],
           [0., 0.],
           [0., 0.]])
    """
    A, V = check.matrix(A), check.dense(check.matrix(V, "V"), "V")
    singular_values = _check_singular_values(singular_values)
    (m, n), k = A.shape, len(singular_values)
    check.shaped(V, (n, k), "V")  # a column for each σ
    check.count(k, "the number of columns of V", largest=m)  # there are m left vectors
    precision = sqrt(max(A.shape) * np.finfo(float).eps)
    rank = np.count_nonzero(singular_values > precision * singular_values[0])
    with np.errstate(over="ignore"):
        U = multiply(A, V[:, :rank]) / singular_values[:rank]
    U = check.finite(U, "A V / singular_values")
    extra = np.random.default_rng(0).standard_normal((m, k - rank))
    return np.hstack([U, np.linalg.qr(np.hstack([U, extra]))[0][:, rank:]])


def block_power_steps(
    A: Matrix, start: int | SVDStep, *, n_oversamples: int = 10, random_state=None
) -> Iterator[SVDStep]:
    """Yield the iterates of block power iteration, Q ← qr(A qr(AᵀQ)), for ever.

    Iterate q is the randomized SVD of Halko, Martinsson and Tropp with q power steps. The i-th
    singular vectors converge at the rate (σ_{b+1}/σᵢ)² per step, b = k + `n_oversamples`.

    Parameters
    ----------
    A : (m, n) array, sparse matrix or LinearOperator (with its transpose)
    start : int or an iterate
        A number k of singular triples, 1 to min(m, n), stands for Q = qr(AΩ), Ω a random Gaussian
        block. With an iterate of either method, its left vectors (of σᵢ > 0) lie in the span of Q.
    n_oversamples : int
        Extra columns of the block, which are not returned. They are random, after an iterate too.
    random_state : int, RandomState or None
        Chooses the random columns.

    Yields
    ------
    SVDStep
        The k best triples that the block contains: with AᵀQ = PR and the SVD Rᵀ = W Σ Zᵀ of a
        small matrix, U = QW and V = PZ.

    Examples
    --------
    >>> next(block_power_steps([[3, 0], [4, 5]], 2)).singular_values.round(6)
    array([6.708204, 2.236068])
    """
    A, k, start = _as_block(A, start, n_oversamples, random_state)
    return (_best_triples(n_iter, k, *found) for n_iter, found in enumerate(_power(A, start)))


def randomized_svd(
    A: Matrix, k: int, *, n_oversamples: int = 10, n_iter: int = 7, random_state=None
) -> SVDResult:
    """Compute k singular triples by a random block and a fixed number of power steps.

    This is iterate `n_iter` of `block_power_steps`. Without power steps the error of the singular
    values is of the size of what is left out, σₖ₊₁; each step multiplies it by about (σ_{b+1}/σₖ)⁴,
    with b = k + `n_oversamples`.

    Parameters
    ----------
    A : (m, n) array, sparse matrix or LinearOperator (with its transpose)
    k : int
        Number of singular triples, 1 to min(m, n).
    n_oversamples : int
        Extra columns of the block, which are not returned.
    n_iter : int
        Number of power steps; each multiplies the block by A and Aᵀ once and orthogonalises it.
    random_state : int, RandomState or None
        Chooses the random block.

    References
    ----------
    Halko, Martinsson and Tropp (2011), algorithms 4.4 and 5.1.

    Examples
    --------
    >>> randomized_svd([[3, 0], [4, 5]], 1, random_state=0).singular_values.round(6)
    array([6.708204])
    """
    A, k, X = _as_block(A, k, n_oversamples, random_state)
    n_iter = check.count(n_iter, "n_iter", smallest=0)
    last = _best_triples(n_iter, k, *nth(_power(A, X), n_iter))
    return drive([last], n_iter).result(SVDResult)


def block_krylov_svd(
    A: Matrix, k: int, *, n_oversamples: int = 10, n_iter: int = 3, random_state=None
) -> SVDResult:
    """Compute k singular triples from all blocks of a fixed number of power steps.

    It holds the best triples in the span of AΩ, (AAᵀ)AΩ, …, (AAᵀ)^q AΩ with q = `n_iter`, so it is
    at least as good as `randomized_svd`, for the same products with A and more memory. That is
    `davidson_steps` of lesson 1 on AAᵀ, which keeps the best of five blocks before it adds a sixth.

    Parameters
    ----------
    A, k, n_oversamples, n_iter, random_state
        As for `randomized_svd`; about half as many steps give the same accuracy.

    References
    ----------
    Musco and Musco (2015), algorithm 2.

    Examples
    --------
    >>> block_krylov_svd([[3, 0], [4, 5]], 1, random_state=0).singular_values.round(6)
    array([6.708204])
    """
    A, k, X = _as_block(A, k, n_oversamples, random_state)
    X, _ = np.linalg.qr(X)
    step = nth(davidson_steps(_gram(A), X, tol=0, width=X.shape[1]), n_iter)
    last = _best_triples(step.n_iter, k, *next(_power(A, step.eigenvectors)))
    return drive([last], step.n_iter).result(SVDResult)


def truncated_svd(
    A: Matrix,
    k: int,
    *,
    method: str = "auto",
    tol: float = 1e-4,
    max_iter: int = 1000,
    random_state=None,
) -> SVDResult:
    """Compute the k largest singular triples of a matrix.

    The iteration stops when every residual, the larger one of ‖Av − σu‖ and ‖Aᵀu − σv‖ (the other
    is rounding), is at most `tol` σ₁. Then each σ lies within `tol` σ₁ of a singular value of A
    (theorem); where that one has no close neighbour, the error is about the square of the residual,
    divided by the distance to the neighbour, and much smaller (rule of thumb). That they are the
    largest ones is almost sure, because the start is random, but no residual can prove it.

    Parameters
    ----------
    A : (m, n) array, sparse matrix or LinearOperator (with its transpose)
    k : int
        Number of singular triples, 1 to min(m, n).
    method : {"auto", "full"}
        "full" decomposes a whole array and keeps k triples. "auto" finds eigenvectors of AᵀA, or
        of AAᵀ if that is smaller, by `davidson_steps` of lesson 1, without forming it; but an array
        that is small, or needs more than a third of all directions, is decomposed in full.
    tol : float
        Relative size of the residuals at which to stop. Rounding may keep them above 1e-12.
    max_iter : int
        Largest number of steps.
    random_state : int, RandomState or None
        Chooses the random start block.

    Returns
    -------
    SVDResult
        It unpacks as `U, singular_values, Vt`. `converged` tells whether the residuals met the
        tolerance, and `message` what to do if not.

    Examples
    --------
    >>> U, singular_values, Vt = truncated_svd([[3, 0], [4, 5]], 1)
    >>> singular_values.round(6)
    array([6.708204])
    """
    A = _check_transposable(A)
    k = check.count(k, "k", largest=min(A.shape))
    tol, max_iter = check.limits(tol, max_iter)
    check.choice(method, ("auto", "full"), "method")
    is_array = isinstance(A, np.ndarray)
    if is_array:  # until the search has gone in a third of all directions
        max_iter = min(max_iter, min(A.shape) // (3 * k) - 1)
    if method == "full" or (is_array and (min(A.shape) <= _SMALL or max_iter < 1)):
        return _full_svd(check.dense(A), k)
    wide = A if A.shape[0] <= A.shape[1] else A.T

    def settled(step):
        return step.residuals.max() <= tol * step.singular_values[0]

    # Squares cost half of the digits. The first of these steps brings back those of the singular
    # values, and more of them, which are seldom needed, those of the vectors.
    block = nth(davidson_steps(_gram(wide), k, tol=tol, random_state=random_state), max_iter)
    bases = enumerate(_power(wide, block.eigenvectors), block.n_iter)
    steps = (_best_triples(n_iter, k, *both, turned=wide is not A) for n_iter, both in bases)
    run = drive(steps, max_iter - block.n_iter, settled)
    if is_array and not run.converged:
        return _full_svd(A, k)
    if not run.converged:
        residual = run.step.residuals.max() / run.step.singular_values[0]
        reason = f"a residual is {residual:.1e} σ₁, above tol = {tol:.1e}; allow more steps"
        run = run._replace(message=f"{run.message}: {reason}")
    return run.result(SVDResult)


def low_rank_approximation(A: Matrix, k: int, **options) -> np.ndarray:
    """Return the matrix of rank k that is closest to A, in the 2-norm and in the Frobenius norm.

    Parameters
    ----------
    A : (m, n) array, sparse matrix or LinearOperator (with its transpose)
    k : int
        The rank, 1 to min(m, n).
    **options
        `method`, `tol`, `max_iter`, `random_state` as for `truncated_svd`. By default an array is
        decomposed in full, which makes the result best up to rounding.

    Returns
    -------
    (m, n) array
        With a `ConvergenceWarning` if the iteration of a sparse matrix or operator did not settle.

    Examples
    --------
    >>> low_rank_approximation([[3, 0], [4, 5]], 1).round(6)
    array([[1.5, 1.5],
           [4.5, 4.5]])
    """
    if not isinstance(A, LinearOperator) and not sparse.issparse(A):
        options = {"method": "full"} | options
    result = truncated_svd(A, k, **options)
    warn_unless_converged(result)
    return result.approximation()


def eckart_young_error(singular_values: ArrayLike, k: int) -> float:
    """Return ‖A − Aₖ‖, the error of the best rank-k approximation, from the singular values of A.

    In the Frobenius norm it is √(σₖ₊₁² + σₖ₊₂² + …), in the 2-norm σₖ₊₁: no matrix of rank k comes
    closer.

    Parameters
    ----------
    singular_values : (r,) array, in falling order
        All of them.
    k : int
        The rank, 0 to r.

    References
    ----------
    C. Eckart and G. Young, The approximation of one matrix by another of lower rank, 1936.

    Examples
    --------
    >>> eckart_young_error([12, 4, 3], 1)
    5.0
    """
    singular_values = _check_singular_values(singular_values)
    k = check.count(k, "k", smallest=0, largest=len(singular_values))
    return float(norm(singular_values[k:]))


def pseudo_inverse(A: ArrayLike) -> np.ndarray:
    """Return A⁺ = V Σ⁺ Uᵀ, in which 1/σ stands for each σ above zero and 0 for each zero σ.

    A⁺b is the shortest of all x that make ‖Ax − b‖ smallest. Singular values up to max(m, n) times
    the machine precision times σ₁ count as zero, as in `numpy.linalg.matrix_rank`.

    Parameters
    ----------
    A : (m, n) array

    Returns
    -------
    (n, m) array

    Examples
    --------
    >>> pseudo_inverse([[2, 0], [0, 0]])
    array([[0.5, 0. ],
           [0. , 0. ]])
    """
    with np.errstate(over="ignore", invalid="ignore"):
        inverse = pinv(check.dense(check.matrix(A))) + 0.0  # no −0
    check.need(np.isfinite(inverse).all(), "the pseudo-inverse of A overflows", "a larger A")
    return inverse


def optimal_hard_threshold(
    shape: tuple[int, int], *, noise: float | None = None, singular_values: ArrayLike | None = None
) -> float:
    """Return the threshold that tells signal from noise among the singular values.

    For a low-rank matrix plus independent noise of standard deviation s in every entry, keeping
    exactly the singular values above it gives the smallest mean squared error of all hard
    thresholds, asymptotically for large matrices. With β = (shorter side)/(longer side):

        λ(β) √(longer side) s              if the noise s is known; λ(1) = 4/√3
        λ(β) / √(μ(β)) · median(σ)         if not; 2.858 median(σ) for a square matrix

    where λ(β) = √(2(β + 1) + 8β / (β + 1 + √(β² + 14β + 1))) and μ(β) is the median of the
    Marchenko–Pastur distribution. The second assumes that more than half of the singular values
    are noise.

    Parameters
    ----------
    shape : (m, n)
        Shape of the matrix.
    noise : float, optional
        The standard deviation s, if known.
    singular_values : (min(m, n),) array, optional
        All singular values of the noisy matrix, if s is not known.

    References
    ----------
    Gavish and Donoho (2014), equations 11 and 4.

    Examples
    --------
    >>> round(optimal_hard_threshold((100, 100), noise=0.1), 4)  # 4/√3 · √100 · 0.1
    2.3094
    >>> round(optimal_hard_threshold((3, 3), singular_values=[9, 1, 0.9]), 3)
    2.858
    """
    smaller, larger = sorted(check.sides(shape, 2))
    beta = smaller / larger
    factor = sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + sqrt(beta**2 + 14 * beta + 1)))
    if (noise is None) == (singular_values is None):
        raise ValueError("pass either noise (if known) or singular_values (if not), one of them")
    if noise is not None:
        return factor * sqrt(larger) * check.non_negative(noise, "noise")
    singular_values = _check_singular_values(singular_values)
    check.shaped(singular_values, (smaller,), "singular_values")  # the median needs all
    return factor / sqrt(marchenko_pastur_median(beta)) * float(np.median(singular_values))


def marchenko_pastur_median(beta: float) -> float:
    """Return the median of the Marchenko–Pastur distribution with ratio β, 0 < β ≤ 1.

    The distribution is the limit of the squared singular values of an m×n matrix of independent
    noise of variance 1/n, β = m/n. Its density √((b − x)(x − a)) / (2πβx) lives on a ≤ x ≤ b with
    a, b = (1 ∓ √β)². With x = 1 + β − 2√β cos φ the root becomes 2√β sin φ: a smooth integral.

    Parameters
    ----------
    beta : float

    Examples
    --------
    >>> round(marchenko_pastur_median(1), 4)
    0.6528
    """
    beta = check.share(check.positive(beta, "beta"), "beta")

    def x(angle):
        return 1 + beta - 2 * sqrt(beta) * cos(angle)

    def excess(angle):
        return quad(lambda t: 2 * sin(t) ** 2 / (pi * x(t)), 0, angle)[0] - 0.5

    return x(brentq(excess, 0.1, pi))  # the median lies above; at 0 the integrand is 0/0 for β = 1


def storage(m: int, n: int, k: int) -> int:
    """Return k(m + n + 1), the numbers that k singular triples of an m×n matrix hold.

    Examples
    --------
    >>> storage(4, 6, 2)
    22
    """
    m, n = check.count(m, "m"), check.count(n, "n")
    return check.count(k, "k", smallest=0, largest=min(m, n)) * (m + n + 1)


def break_even_rank(m: int, n: int) -> int:
    """Return the smallest k at which storing k triples does not pay: k(m + n + 1) ≥ mn.

    Examples
    --------
    >>> break_even_rank(427, 640)
    256
    """
    m, n = check.count(m, "m"), check.count(n, "n")
    return -(-m * n // (m + n + 1))  # rounded up


def _as_block(A, start, n_oversamples, random_state):
    """Return A, the number k of triples, and the first block of columns (see `block_power_steps`).

    A random block is AΩ, whose columns span most of what A does.
    """
    A = _check_transposable(A)
    m, n = A.shape
    extra, known = check.count(n_oversamples, "n_oversamples", smallest=0), np.empty((m, 0))
    if not np.isscalar(start):
        shapes = {"U": (m, "k"), "singular_values": ("k",), "Vt": ("k", n)}
        U, singular_values, _ = check.factors(start, SVD, shapes)
        start, known = len(singular_values), U * singular_values
    k = check.count(start, "k", largest=min(m, n))
    fresh = min(k + extra, m, n) - known.shape[1]
    random = check_random_state(random_state).standard_normal((n, fresh))
    return A, k, np.hstack([known, multiply(A, random)])


def _power(A, X):
    """Yield Q, P, R and AP, where Q is a basis of X and PR = AᵀQ, and go on with X = AP."""
    while True:
        Q, _ = np.linalg.qr(X)
        P, R = np.linalg.qr(multiply(A.T, Q))
        X = multiply(A, P)
        yield Q, P, R, X


def _best_triples(n_iter, k, Q, P, R, AP, turned=False):
    """Return the k best triples in the spans of Q and P (see `block_power_steps`), or of Aᵀ."""
    W, singular_values, Zt = np.linalg.svd(R.T)
    U, V, singular_values = Q @ W[:, :k], P @ Zt[:k].T, singular_values[:k]
    residuals = column_lengths(AP @ Zt[:k].T - U * singular_values)
    U, V = (V, U) if turned else (U, V)
    return SVDStep(n_iter, _signed(U, singular_values, V.T), residuals)


def _gram(A):
    """Return AAᵀ as an operator, in a unit in which squares neither overflow nor vanish."""
    size = rough_norm(A) or 1.0

    def product(x):
        return multiply(A, multiply(A.T, x) / size) / size

    return LinearOperator(2 * A.shape[:1], product, matmat=product, dtype=np.float64)


def _signed(U, singular_values, Vt):
    """Apply the sign rule of this room (see its opening)."""
    moduli = np.abs(Vt)
    first = np.argmax(moduli >= (1 - 1e-6) * moduli.max(axis=1, keepdims=True), axis=1)
    signs = np.sign(Vt[np.arange(len(Vt)), first])
    return SVD(U * signs, singular_values, Vt * signs[:, None])


def _full_svd(A, k):
    U, singular_values, Vt = svd(A, full_matrices=False)
    triples = _signed(U[:, :k], singular_values[:k], Vt[:k])
    return SVDResult(0, triples, np.zeros(k), True, "decomposed in full")


def _check_transposable(A):
    """Return A, refusing an operator that cannot be transposed."""
    A = check.matrix(A)
    if isinstance(A, LinearOperator):
        try:
            A.T @ np.zeros(A.shape[0])
        except NotImplementedError:
            raise ValueError("A is an operator without a transpose; give it rmatvec") from None
    return A


def _check_singular_values(singular_values):
    check.not_masked(singular_values, "singular_values")
    singular_values = check.matrix([singular_values], "singular_values")[0]
    if singular_values.min() < 0 or (np.diff(singular_values) > 0).any():
        raise ValueError("singular_values must be at least 0 and in falling order")
    return singular_values
