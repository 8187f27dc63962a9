"""Eigenpairs by power iteration (lesson 1).

The formulas of this room, for a square matrix A:

    v ← A v / ‖A v‖              power iteration; the error falls by |λ₂/λ₁| per step
    ρ(v) = vᵀ A v / vᵀ v         Rayleigh quotient, the eigenvalue that fits v best
    A − λ v vᵀ                   deflation: the eigenvalue λ becomes 0, the others stay
    Q, R = qr(A Q)               orthogonal iteration: power iteration on a block of vectors

A may be an array, a SciPy sparse matrix or a `scipy.sparse.linalg.LinearOperator`: only products
with A are ever needed.

References
----------
G. H. Golub and C. F. Van Loan, Matrix Computations, 4th ed., sections 7.3 and 8.2.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from math import hypot, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.linalg import norm
from scipy.sparse.linalg import LinearOperator
from sklearn.utils import check_random_state

from mflib._validation import (
    NEGLIGIBLE,
    Matrix,
    check_count,
    check_direction,
    check_matrix,
    check_number,
    check_product,
    check_square,
    check_vector,
)


@dataclass(frozen=True)
class PowerStep:
    """One iterate of power iteration: a unit vector and how well it fits as an eigenvector."""

    n_iter: int
    vector: np.ndarray
    eigenvalue: float
    residual: float


@dataclass(frozen=True)
class PowerResult:
    """Where power iteration stopped, and why (`message`)."""

    eigenvalue: float
    eigenvector: np.ndarray
    residual: float
    n_iter: int
    converged: bool
    message: str


@dataclass(frozen=True)
class BlockStep:
    """One iterate of orthogonal iteration: Ritz values, Ritz vectors (columns) and residuals."""

    n_iter: int
    vectors: np.ndarray
    eigenvalues: np.ndarray
    residuals: np.ndarray


@dataclass(frozen=True)
class BlockResult:
    """Where orthogonal iteration stopped, and why (`message`)."""

    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    residuals: np.ndarray
    n_iter: int
    converged: bool
    message: str


def rayleigh_quotient(A: Matrix, v: ArrayLike) -> float:
    """Return vᵀAv / vᵀv, the number ρ for which ‖Av − ρv‖ is smallest.

    Parameters
    ----------
    A : (n, n) array, sparse matrix or LinearOperator
    v : (n,) array, not zero

    Examples
    --------
    >>> rayleigh_quotient([[3, 2], [2, 3]], [1, 1])
    5.0
    """
    A = check_square(A)
    v = check_vector(v, A.shape[0], "v")
    return float(v @ _apply(A, v) / (v @ v))


def line_angle(u: ArrayLike, v: ArrayLike) -> float:
    """Return the angle between the lines through u and v, in radians from 0 to π/2.

    Lines, not vectors: u and −u give the same angle. Small angles keep their digits, which they
    would lose in the arc cosine of uᵀv (W. Kahan's formula 2 atan2(‖u − v‖, ‖u + v‖)).

    Parameters
    ----------
    u, v : (n,) arrays, not zero

    Examples
    --------
    >>> line_angle([1, 1], [-1, -1])
    0.0
    """
    u = check_direction(u, None, "u")
    v = check_direction(v, u.size, "v")
    v = v if u @ v >= 0 else -v
    return float(2 * np.arctan2(norm(u - v), norm(u + v)))


def power_steps(
    A: Matrix, v0: ArrayLike | None = None, *, random_state=None
) -> Iterator[PowerStep]:
    """Yield the iterates of power iteration, v ← Av / ‖Av‖, for ever.

    The generator ends only if Av is exactly zero, because the next direction is then 0/0.

    Parameters
    ----------
    A : (n, n) array, sparse matrix or LinearOperator
        Real. Symmetric or not.
    v0 : (n,) array, optional
        The start, of any length but zero. By default a random direction.
    random_state : int, RandomState or None
        Chooses the random start.

    Yields
    ------
    PowerStep
        `n_iter` counts from 0 (the start), `vector` has length 1, `eigenvalue` is its Rayleigh
        quotient ρ, and `residual` is ‖Av − ρv‖.

    Examples
    --------
    >>> steps = power_steps([[3, 2], [2, 3]], [1, 0])
    >>> [round(next(steps).eigenvalue, 3) for _ in range(4)]
    [3.0, 4.846, 4.994, 5.0]
    """
    A = check_square(A)
    start = _check_start(v0, A.shape[0], random_state)

    def iterate(v):
        for n_iter in count():
            w = _apply(A, v)
            eigenvalue = v @ w
            yield PowerStep(n_iter, v, float(eigenvalue), float(norm(w - eigenvalue * v)))
            length = norm(w)
            if length == 0:
                return
            v = w / length

    return iterate(start)


def power_iteration(
    A: Matrix,
    v0: ArrayLike | None = None,
    *,
    tol: float = 1e-10,
    max_iter: int = 1000,
    random_state=None,
) -> PowerResult:
    """Find the eigenvalue of largest modulus and its eigenvector by power iteration.

    It stops when the residual ‖Av − ρv‖ is at most `tol` ‖Av‖. The residual, unlike the change from
    one iterate to the next, settles for negative eigenvalues too, where every step flips the sign
    of v. For symmetric A some eigenvalue lies within the residual of ρ.

    Parameters
    ----------
    A : (n, n) array, sparse matrix or LinearOperator
        Real. Symmetric or not.
    v0 : (n,) array, optional
        The start. By default a random direction, which is safer: a start without any share of the
        dominant eigenvector leads to another eigenpair.
    tol : float
        Relative size of the residual at which to stop.
    max_iter : int
        Largest number of steps.
    random_state : int, RandomState or None
        Chooses the random start.

    Returns
    -------
    PowerResult
        `converged` tells whether the residual met the tolerance. If not, `message` says why: the
        start lies in the null space of A (breakdown), two eigenvalues share the largest modulus,
        or the iteration is too slow for `max_iter`.

    Examples
    --------
    >>> result = power_iteration([[3, 2], [2, 3]], [1, 0])
    >>> round(result.eigenvalue, 6), result.converged
    (5.0, True)
    >>> print(power_iteration([[0, 1], [1, 0]], [1, 0]).message)
    not converging: the eigenvalues 1 and -1 have the same modulus, so no single direction wins
    """
    return _drive(check_square(A), v0, tol, max_iter, random_state)


def _drive(A, v0, tol, max_iter, random_state, floor=0.0) -> PowerResult:
    """Run power iteration to the residual `tol` ‖Av‖, or to `floor` if that is larger."""
    _check_limits(tol, max_iter)
    size = _size(A)
    recent: deque[PowerStep] = deque(maxlen=3)
    converged, message = False, ""
    for step in islice(power_steps(A, v0, random_state=random_state), max_iter + 1):
        recent.append(step)
        image = hypot(step.eigenvalue, step.residual)  # ‖Av‖: the two parts are orthogonal
        if size > 0 and image <= NEGLIGIBLE * size:
            message = (
                f"breakdown: A v is zero up to rounding (length {image:.0e}), so v lies in the "
                "null space of A and says nothing about the dominant eigenvector; "
                "start from a random vector"
            )
        elif step.residual <= max(tol * image, floor):
            converged, message = True, f"converged after {step.n_iter} steps"
        elif len(recent) == 3 and (pair := _equal_modulus_pair(*recent)):
            message = (
                f"not converging: the eigenvalues {pair[0]} and {pair[1]} have the same modulus, "
                "so no single direction wins"
            )
        if message:
            break
    message = message or f"not converged after {max_iter} steps" + _speed(recent)
    return PowerResult(step.eigenvalue, step.vector, step.residual, step.n_iter, converged, message)


def convergence_rate(A: ArrayLike) -> float:
    """Return |λ₂/λ₁|, the factor by which power iteration shrinks its error per step.

    It is 1 when two eigenvalues share the largest modulus (no convergence, unless they are the same
    eigenvalue with two eigenvectors). All eigenvalues are computed: for small matrices.

    Parameters
    ----------
    A : (n, n) array

    Raises
    ------
    ValueError
        If all eigenvalues are zero, when no direction dominates.

    Examples
    --------
    >>> round(convergence_rate([[3, 2], [2, 3]]), 6)
    0.2
    """
    A = _check_dense(check_square(A))
    moduli = np.sort(np.abs(np.linalg.eigvals(A)))[::-1]
    if moduli[0] == 0:
        raise ValueError("all eigenvalues of A are zero, so the ratio |λ₂/λ₁| does not exist")
    return float(moduli[1] / moduli[0]) if moduli.size > 1 else 0.0


def deflate(A: Matrix, eigenvalue: float, eigenvector: ArrayLike) -> np.ndarray | LinearOperator:
    """Return A − λ v vᵀ, in which the eigenvalue λ of v has become 0.

    For symmetric A all other eigenpairs stay. (Without symmetry the other eigenvalues stay and
    their eigenvectors change.)

    Parameters
    ----------
    A : (n, n) array, sparse matrix or LinearOperator
    eigenvalue : float
    eigenvector : (n,) array
        Of any length but zero; it is normalised here.

    Returns
    -------
    (n, n) array, or a LinearOperator if A is sparse or a LinearOperator
        The operator subtracts λ v (vᵀx) from Ax: a sparse matrix is never filled.

    Examples
    --------
    >>> deflate([[3, 2], [2, 3]], 5, [1, 1]).round(12)
    array([[ 0.5, -0.5],
           [-0.5,  0.5]])
    """
    A = check_square(A)
    eigenvalue = check_number(eigenvalue, "eigenvalue")
    v = check_direction(eigenvector, A.shape[0], "eigenvector")
    if isinstance(A, np.ndarray):
        return A - eigenvalue * np.outer(v, v)

    def product(x):
        return A @ x - eigenvalue * np.multiply.outer(v, v @ x).reshape(x.shape)

    def transposed_product(x):
        return A.T @ x - eigenvalue * np.multiply.outer(v, v @ x).reshape(x.shape)

    return LinearOperator(
        A.shape, product, rmatvec=transposed_product, matmat=product, dtype=np.float64
    )


def top_eigenpairs(
    A: Matrix, k: int, *, tol: float = 1e-10, max_iter: int = 10_000, random_state=None
) -> tuple[np.ndarray, np.ndarray]:
    """Find the k eigenpairs of largest modulus of a symmetric matrix, one after the other.

    Power iteration finds one, deflation removes it, and so on, each search from a fresh random
    start. Deflation is done here by keeping the search orthogonal to all vectors found, which for
    exact eigenpairs is A − λ v vᵀ again; the formula itself would multiply the error of the first
    vectors by |λ₁/λᵢ|. `orthogonal_iteration` finds all pairs together and also copes with
    eigenvalues of opposite sign and equal modulus.

    Parameters
    ----------
    A : (n, n) array, sparse matrix or LinearOperator
        Real and symmetric.
    k : int
        Number of eigenpairs, 1 to n.
    tol, max_iter, random_state
        As for `power_iteration`, for each pair. A residual at the level of rounding, 1e-13 of the
        size of A, is small enough whatever `tol` says.

    Returns
    -------
    eigenvalues : (k,) array
        In order of falling modulus.
    eigenvectors : (n, k) array
        Unit columns.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a pair does not converge.

    Examples
    --------
    >>> eigenvalues, _ = top_eigenpairs([[3, 2], [2, 3]], 2, random_state=0)
    >>> eigenvalues.round(6)
    array([5., 1.])
    """
    A = _check_symmetric(A)
    k = check_count(k, A.shape[0], "k")
    random_state = check_random_state(random_state)
    negligible = NEGLIGIBLE * _size(A)
    eigenvalues, eigenvectors = np.zeros(k), np.zeros((A.shape[0], k))
    for i in range(k):
        rest = _project_out(A, eigenvectors[:, :i])
        if _size(rest) <= negligible:  # nothing but zero eigenvalues is left
            fresh = random_state.standard_normal((A.shape[0], k - i))
            Q, _ = np.linalg.qr(np.column_stack([eigenvectors[:, :i], fresh]))
            eigenvectors[:, i:] = Q[:, i:]
            break
        pair = _drive(rest, None, tol, max_iter, random_state, floor=negligible)
        if not pair.converged:
            raise np.linalg.LinAlgError(f"eigenpair {i + 1} of {k}: {pair.message}")
        eigenvalues[i], eigenvectors[:, i] = pair.eigenvalue, pair.eigenvector
    return eigenvalues, eigenvectors


def _project_out(A, V) -> LinearOperator:
    """Return PAP, where P = I − VVᵀ projects to the complement of the orthonormal columns of V."""

    def product(x):
        y = A @ (x - V @ (V.T @ x))
        return y - V @ (V.T @ y)

    return LinearOperator(A.shape, product, dtype=np.float64)


def orthogonal_steps(
    A: Matrix, k: int, *, Q0: ArrayLike | None = None, random_state=None
) -> Iterator[BlockStep]:
    """Yield the iterates of orthogonal iteration, Q, R = qr(AQ), for ever.

    Parameters
    ----------
    A : (n, n) array, sparse matrix or LinearOperator
        Real and symmetric.
    k : int
        Number of vectors in the block, 1 to n.
    Q0 : (n, k) array of rank k, optional
        The start. By default random.
    random_state : int, RandomState or None
        Chooses the random start.

    Yields
    ------
    BlockStep
        The best eigenpairs that the block contains: the eigenpairs (θ, s) of the k×k matrix QᵀAQ
        give Ritz values θ and Ritz vectors Qs, in order of falling |θ|, with residuals ‖AQs − θQs‖.

    Examples
    --------
    >>> next(orthogonal_steps([[3, 2], [2, 3]], 2)).eigenvalues.round(6)
    array([5., 1.])
    """
    A = _check_symmetric(A)
    k = check_count(k, A.shape[0], "k")
    start = _check_block(Q0, A.shape[0], k, random_state)

    def iterate(Q):
        for n_iter in count():
            AQ = _apply(A, Q)
            theta, S = np.linalg.eigh(Q.T @ AQ)
            order = np.argsort(-np.abs(theta), kind="stable")
            theta, S = theta[order], S[:, order]
            # SciPy's norm, column by column: NumPy's squares the entries, which may underflow to 0.
            residuals = np.array([norm(r) for r in (AQ @ S - (Q @ S) * theta).T])
            yield BlockStep(n_iter, Q @ S, theta, residuals)
            Q, _ = np.linalg.qr(AQ)

    return iterate(start)


def orthogonal_iteration(
    A: Matrix,
    k: int,
    *,
    Q0: ArrayLike | None = None,
    tol: float = 1e-10,
    max_iter: int = 1000,
    random_state=None,
) -> BlockResult:
    """Find the k eigenpairs of largest modulus of a symmetric matrix together.

    The i-th pair of the block converges at the rate |λ_{k+1}/λ_i| per step, whatever lies between
    them: equal moduli inside the block do no harm. It stops when every residual is at most `tol`
    times the largest |θ|.

    Parameters
    ----------
    A : (n, n) array, sparse matrix or LinearOperator
        Real and symmetric.
    k : int
        Number of eigenpairs, 1 to n.
    Q0, random_state
        As for `orthogonal_steps`.
    tol : float
        Relative size of the residuals at which to stop.
    max_iter : int
        Largest number of steps.

    Returns
    -------
    BlockResult
        `eigenvalues` (k,) in order of falling modulus, `eigenvectors` (n, k) with orthonormal
        columns, `residuals` (k,), `n_iter`, `converged`, `message`.

    Examples
    --------
    >>> result = orthogonal_iteration([[0, 1], [1, 0]], 2, random_state=0)
    >>> sorted(result.eigenvalues.round(6).tolist()), result.converged
    ([-1.0, 1.0], True)
    """
    _check_limits(tol, max_iter)
    for step in islice(orthogonal_steps(A, k, Q0=Q0, random_state=random_state), max_iter + 1):
        converged = bool(step.residuals.max() <= tol * abs(step.eigenvalues[0]))
        if converged:
            break
    if converged:
        message = f"converged after {step.n_iter} steps"
    elif step.residuals.max() <= NEGLIGIBLE * abs(step.eigenvalues[0]):
        message = f"not converged after {max_iter} steps: rounding keeps the residuals above tol"
    else:
        message = (
            f"not converged after {max_iter} steps: |λ_{k + 1}| may be too close to |λ_{k}|, "
            "try another k"
        )
    return BlockResult(
        step.eigenvalues, step.vectors, step.residuals, step.n_iter, converged, message
    )


def characteristic_polynomial(A: ArrayLike) -> np.ndarray:
    """Return the coefficients of det(λI − A), highest power first.

    By the Faddeev–LeVerrier recursion, which needs only products and traces and is exact for small
    whole numbers. It loses accuracy as n grows, as does every method that goes through the
    polynomial: eigenvalues of real problems are not computed this way.

    Parameters
    ----------
    A : (n, n) array, n at most 10

    Returns
    -------
    (n + 1,) array
        The first coefficient is 1.

    Examples
    --------
    >>> characteristic_polynomial([[3, 2], [2, 3]])  # λ² − 6λ + 5
    array([ 1., -6.,  5.])
    """
    A = _check_dense(check_square(A))
    n = A.shape[0]
    if n > 10:
        raise ValueError(
            f"A is {n}×{n}; the characteristic polynomial is too inaccurate beyond 10×10"
        )
    coefficients = np.ones(n + 1)
    M = np.eye(n)
    for i in range(1, n + 1):
        AM = _apply(A, M)
        coefficients[i] = -np.trace(AM) / i
        M = AM + coefficients[i] * np.eye(n)
    return coefficients


def google_matrix(links: ArrayLike | Matrix, damping: float = 0.85) -> LinearOperator:
    """Return the matrix whose dominant eigenvector is PageRank, as an operator.

    It moves a distribution v of surfers by one click: a surfer on page i follows one of the links
    of i with probability `damping` and otherwise jumps to any page; on a page without links the
    surfer always jumps. Columns sum to 1, so the dominant eigenvalue is 1.

    Parameters
    ----------
    links : (n, n) array or sparse matrix
        `links[i, j] > 0` if page i links to page j; all entries at least 0.
    damping : float
        From 0 to 1 (below 1 the eigenvector is unique, and |λ₂| is at most `damping`).

    Returns
    -------
    LinearOperator of shape (n, n)

    References
    ----------
    S. Brin and L. Page, The anatomy of a large-scale hypertextual Web search engine, 1998.

    Examples
    --------
    >>> G = google_matrix([[0, 1], [1, 0]])
    >>> (G @ [1, 0]).round(3)
    array([0.075, 0.925])
    """
    links = check_square(links, "links")
    if isinstance(links, LinearOperator):
        raise ValueError("links is an operator; an array or a sparse matrix is needed")
    links = sparse.csr_array(links)
    if links.nnz and links.data.min() < 0:
        raise ValueError("links has negative entries; a link weight must be at least 0")
    if not 0 <= damping <= 1:
        raise ValueError(f"damping is {damping}; it must lie between 0 and 1")
    n = links.shape[0]
    out = links.sum(axis=1)
    follow = (sparse.diags_array(1 / np.where(out > 0, out, 1)) @ links).T.tocsr()
    no_links = out == 0

    def click(v):
        v = np.ravel(v)
        lost = damping * v[no_links].sum() + (1 - damping) * v.sum()
        return damping * (follow @ v) + lost / n

    return LinearOperator((n, n), click, dtype=np.float64)


def _apply(A, V):
    """Return A @ V, or refuse it."""
    with np.errstate(over="ignore", invalid="ignore"):
        return check_product(A @ V)


def _size(A) -> float:
    """Estimate the Frobenius norm by ‖Az‖ with one standard normal z: needs only a product."""
    return float(norm(_apply(A, np.random.default_rng(0).standard_normal(A.shape[1]))))


def _equal_modulus_pair(first: PowerStep, second: PowerStep, third: PowerStep):
    """Return two eigenvalues of equal modulus, as text, if the iterates move in their plane.

    When A²v = αAv + βv, the plane of v and Av is invariant and its eigenvalues are the roots of
    z² − αz − β: opposite numbers or a complex pair have the same modulus. With unit iterates
    v, v', v'' the unit v'' = av' + bv, so α = a‖Av'‖ and β = b‖Av'‖‖Av‖. To be safe from overflow
    the roots are found in units of ‖Av'‖.
    """
    v, w = first.vector, second.vector
    if 1 - (v @ w) ** 2 < 1e-8:  # v and v' are almost the same line: converging, slowly perhaps
        return None
    plane = np.column_stack([w, v])
    (a, b), *_ = np.linalg.lstsq(plane, third.vector, rcond=None)
    if norm(plane @ [a, b] - third.vector) > 1e-10:
        return None
    unit = hypot(second.eigenvalue, second.residual)
    beta = b * (hypot(first.eigenvalue, first.residual) / unit)
    discriminant = a**2 / 4 + beta
    modulus = sqrt(abs(beta))  # the product of the two roots is −β
    if discriminant < -1e-6 * modulus**2:
        real, imaginary = unit * a / 2 + 0.0, unit * sqrt(-discriminant)
        return f"{real:.4g} + {imaginary:.4g}i", f"{real:.4g} - {imaginary:.4g}i"
    if beta > 0 and abs(a) <= 1e-8 * modulus:
        return f"{unit * modulus:.4g}", f"{-unit * modulus:.4g}"
    return None


def _speed(recent) -> str:
    """Tell how fast the residual was still changing."""
    if len(recent) < 2 or recent[-2].residual == 0:
        return ""
    factor = recent[-1].residual / recent[-2].residual
    return f": the last step multiplied the residual by {factor:.4g}"


def _check_limits(tol, max_iter):
    if not tol >= 0:
        raise ValueError(f"tol is {tol}; a number of at least 0 is needed")
    if not isinstance(max_iter, (int, np.integer)) or max_iter < 0:
        raise ValueError(f"max_iter is {max_iter!r}; a whole number of at least 0 is needed")


def _check_dense(A, name="A"):
    if not isinstance(A, np.ndarray):
        raise ValueError(f"{name} is sparse or an operator; an array is needed here")
    return A


def _check_symmetric(A):
    A = check_square(A)
    x, y = np.random.default_rng(0).standard_normal((2, A.shape[0]))
    Ax, Ay = _apply(A, x), _apply(A, y)
    if abs(x @ Ay - y @ Ax) > 1e-10 * (norm(x) * norm(Ay) + norm(y) * norm(Ax)):
        raise ValueError("A is not symmetric; this method needs A equal to its transpose")
    return A


def _check_start(v0, n, random_state):
    if v0 is None:
        v0 = check_random_state(random_state).standard_normal(n)
    return check_direction(v0, n, "v0")


def _check_block(Q0, n, k, random_state):
    """Return an orthonormal basis of the columns of Q0."""
    if Q0 is None:
        Q0 = check_random_state(random_state).standard_normal((n, k))
    Q0 = _check_dense(check_matrix(Q0, "Q0"), "Q0")
    if Q0.shape != (n, k):
        raise ValueError(f"Q0 has shape {Q0.shape}; ({n}, {k}) is needed")
    if np.linalg.matrix_rank(Q0) < k:
        raise ValueError("the columns of Q0 are linearly dependent; independent ones are needed")
    return np.linalg.qr(Q0)[0]
