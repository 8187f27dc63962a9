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
from itertools import count
from math import hypot, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.linalg import norm
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from sklearn.utils import check_random_state

from mflib import _validation as check
from mflib._validation import NEGLIGIBLE, Matrix
from mflib.iteration import Iterate, Run, drive, record


@record
class PowerStep(Iterate):
    """One iterate of power iteration: a unit vector and how well it fits as an eigenvector."""

    algorithm = "power"

    eigenvector: np.ndarray
    eigenvalue: float
    residual: float

    @property
    def image(self) -> float:
        """The length ‖Av‖: ρv and the residual, its two parts, stand at a right angle."""
        return hypot(self.eigenvalue, self.residual)


@record
class PowerResult(PowerStep):
    """Where power iteration stopped, and why (`message`)."""

    converged: bool
    message: str


@record
class BlockStep(Iterate):
    """One iterate of orthogonal iteration: Ritz vectors (columns), Ritz values and residuals."""

    algorithm = "block"

    eigenvectors: np.ndarray
    eigenvalues: np.ndarray
    residuals: np.ndarray


@record
class BlockResult(BlockStep):
    """Where a search for several eigenpairs stopped, and why (`message`)."""

    converged: bool
    message: str


# What power iteration may start from, and orthogonal iteration: an int is a number of columns.
Start = ArrayLike | PowerStep | None
Block = int | ArrayLike | BlockStep


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
    u = check.direction(u, None, "u")
    v = check.direction(v, u.size, "v")
    v = v if u @ v >= 0 else -v
    return float(2 * np.arctan2(norm(u - v), norm(u + v)))


def power_steps(A: Matrix, start: Start = None, *, random_state=None) -> Iterator[PowerStep]:
    """Yield the iterates of power iteration, v ← Av / ‖Av‖, for ever.

    The generator ends only if Av is exactly zero, because the next direction is then 0/0.

    Parameters
    ----------
    A : (n, n) array, sparse matrix or LinearOperator
        Real. Symmetric or not.
    start : (n,) array or an iterate, optional
        Of any length but zero. By default a random direction.
    random_state : int, RandomState or None
        Chooses the random start.

    Yields
    ------
    PowerStep
        `n_iter` counts from 0 (the start), `eigenvector` has length 1, `eigenvalue` is its Rayleigh
        quotient ρ, and `residual` is ‖Av − ρv‖.

    Examples
    --------
    >>> steps = power_steps([[3, 2], [2, 3]], [1, 0])
    >>> [round(next(steps).eigenvalue, 3) for _ in range(4)]
    [3.0, 4.846, 4.994, 5.0]
    """
    A = check.square(A)
    if start is None:
        start = check_random_state(random_state).standard_normal(A.shape[0])
    start = check.direction(getattr(start, "eigenvector", start), A.shape[0], "start")

    def iterate(v):
        for n_iter in count():
            w = multiply(A, v)
            eigenvalue = v @ w
            yield PowerStep(n_iter, v, float(eigenvalue), float(norm(w - eigenvalue * v)))
            length = norm(w)
            if length == 0:
                return
            v = w / length

    return iterate(start)


def power_iteration(
    A: Matrix, start: Start = None, *, tol: float = 1e-10, max_iter: int = 1000, random_state=None
) -> PowerResult:
    """Find the eigenvalue of largest modulus and its eigenvector by power iteration.

    It stops when the residual ‖Av − ρv‖ is at most `tol` ‖Av‖. The residual, unlike the change from
    one iterate to the next, settles for negative eigenvalues too, where every step flips the sign
    of v. For symmetric A some eigenvalue lies within the residual of ρ.

    Parameters
    ----------
    A : (n, n) array, sparse matrix or LinearOperator
        Real. Symmetric or not.
    start : (n,) array or an iterate, optional
        By default a random direction, which is safer: a start without any share of the dominant
        eigenvector leads to another eigenpair.
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
    return _search(check.square(A), start, tol, max_iter, random_state).result(PowerResult)


def _search(A, start, tol, max_iter, random_state=None, floor=0.0) -> Run:
    """Run power iteration to the residual `tol` ‖Av‖, or to `floor` if that is larger.

    What is smaller than a floor is known to be rounding, so that a breakdown is no surprise.
    """
    tol, max_iter = check.limits(tol, max_iter)
    size = rough_norm(A)
    recent: deque[PowerStep] = deque(maxlen=3)

    def settled(step):
        return step.residual <= max(tol * step.image, floor)

    def broken(step):
        # of A = 0 every v is an eigenvector
        if floor == 0 and size > 0 and step.image <= NEGLIGIBLE * size:
            found = f"breakdown: A v is zero up to rounding (length {step.image:.0e})"
            return f"{found}, so v lies in the null space of A; start from a random vector"
        return _equal_moduli(*recent) if len(recent) == 3 and not settled(step) else ""

    steps = power_steps(A, start, random_state=random_state)
    run = drive(steps, max_iter, settled, broken, watch=recent.append)
    if run.state == "enough" and len(recent) > 1:
        factor = recent[-1].residual / recent[-2].residual
        speed = f"the last step multiplied the residual by {factor:.4g}"
        return run._replace(message=f"{run.message}: {speed}")
    return run


def _equal_moduli(first, second, third):
    """Return a sentence that names two eigenvalues of equal modulus, if the iterates show them.

    If the unit iterates v, v', v'' lie in one plane, v'' = αv' + βv, then Av = ‖Av‖v' and
    Av' = ‖Av'‖v'' make A²v = α‖Av'‖ Av + β‖Av'‖‖Av‖ v, so the eigenvalues of A in that plane are
    the roots of z² = αz + β‖Av‖/‖Av'‖, in units of ‖Av'‖ to be safe from overflow.
    """
    v, w, unit = first.eigenvector, second.eigenvector, second.image
    if 1 - (v @ w) ** 2 < 1e-8:  # v and v' are almost the same line: converging, slowly perhaps
        return ""
    (alpha, beta), *_ = np.linalg.lstsq(np.column_stack([w, v]), third.eigenvector, rcond=None)
    if norm(alpha * w + beta * v - third.eigenvector) > 1e-10:  # another plane
        return ""
    p, q = np.sort(np.roots([1, -alpha, -beta * first.image / unit]).round(12))[::-1]
    if abs(p - q) < 1e-3 * abs(p) or abs(abs(p) - abs(q)) > 1e-8 * abs(p):
        return ""
    a, b = unit * p.real + 0.0, unit * p.imag  # no −0
    pair = f"{a:.4g} + {b:.4g}i and {a:.4g} - {b:.4g}i" if b else f"{a:.4g} and {-a:.4g}"
    moral = "have the same modulus, so no single direction wins"
    return f"not converging: the eigenvalues {pair} {moral}"


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
    moduli = np.sort(np.abs(np.linalg.eigvals(check.dense(check.square(A)))))[::-1]
    check.need(moduli[0] > 0, "all eigenvalues of A are zero", "one that |λ₂| can be divided by")
    return float(moduli[1] / moduli[0]) if moduli.size > 1 else 0.0


def deflate(A: ArrayLike, eigenvalue: float, eigenvector: ArrayLike) -> np.ndarray:
    """Return A − λ v vᵀ, in which the eigenvalue λ of v has become 0.

    For symmetric A all other eigenpairs stay. (Without symmetry the other eigenvalues stay and
    their eigenvectors change.) A sparse matrix would be filled: `top_eigenpairs` never does.

    Parameters
    ----------
    A : (n, n) array
    eigenvalue : float
    eigenvector : (n,) array
        Of any length but zero; it is normalised here.

    Returns
    -------
    (n, n) array

    Examples
    --------
    >>> deflate([[3, 2], [2, 3]], 5, [1, 1]).round(12)
    array([[ 0.5, -0.5],
           [-0.5,  0.5]])
    """
    A = check.dense(check.square(A))
    v = check.direction(eigenvector, A.shape[0], "eigenvector")
    return A - check.number(eigenvalue, "eigenvalue") * np.outer(v, v)


def top_eigenpairs(
    A: Matrix, k: int, *, tol: float = 1e-10, max_iter: int = 10_000, random_state=None
) -> BlockResult:
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
    BlockResult
        As from `orthogonal_iteration`, with the steps of all searches in `n_iter`. If a search does
        not converge, `message` names the first such pair, and the later ones are orthogonal to
        where it stopped; `residuals` tell how good each pair is.

    Examples
    --------
    >>> result = top_eigenpairs([[3, 2], [2, 3]], 2, random_state=0)
    >>> result.eigenvalues.round(6), result.converged
    (array([5., 1.]), True)
    """
    A = _check_symmetric(A)
    k = check.count(k, "k", largest=A.shape[0])
    random_state = check_random_state(random_state)
    V, runs, rounding = np.empty((A.shape[0], 0)), [], NEGLIGIBLE * rough_norm(A)

    def project(x):  # with V as it is by then
        return x - V @ (V.T @ x)

    rest = LinearOperator(A.shape, lambda x: project(A @ project(x)), dtype=np.float64)
    for _ in range(k):
        # Twice, so that rounding leaves no share of V even where almost nothing else is left.
        start = project(project(random_state.standard_normal(A.shape[0])))
        runs.append(_search(rest, start, tol, max_iter, floor=rounding))
        V = np.column_stack([V, runs[-1].step.eigenvector])
    AV = multiply(A, V)
    theta = np.sum(V * AV, axis=0)
    failed = [f"{i} of {k}: {run.message}" for i, run in enumerate(runs, 1) if not run.converged]
    message = f"eigenpair {failed[0]}" if failed else "all pairs converged"
    n_iter = sum(run.step.n_iter for run in runs)
    return BlockResult(n_iter, V, theta, column_lengths(AV - V * theta), not failed, message)


def orthogonal_steps(A: Matrix, start: Block, *, random_state=None) -> Iterator[BlockStep]:
    """Yield the iterates of orthogonal iteration, Q, R = qr(AQ), for ever.

    Parameters
    ----------
    A : (n, n) array, sparse matrix or LinearOperator
        Real and symmetric.
    start : int, (n, k) array of rank k, or an iterate
        A number k, 1 to n, stands for k random columns.
    random_state : int, RandomState or None
        Chooses the random columns.

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
    start = _as_block(start, A.shape[0], random_state)

    def iterate(Q):
        for n_iter in count():
            AQ = multiply(A, Q)
            theta, S = _eigh(Q.T @ AQ)
            V = Q @ S
            yield BlockStep(n_iter, V, theta, column_lengths(AQ @ S - V * theta))
            Q, _ = np.linalg.qr(AQ)

    return iterate(start)


def orthogonal_iteration(
    A: Matrix, start: Block, *, tol: float = 1e-10, max_iter: int = 1000, random_state=None
) -> BlockResult:
    """Find the k eigenpairs of largest modulus of a symmetric matrix together.

    The i-th pair of the block converges at the rate |λ_{k+1}/λ_i| per step, whatever lies between
    them: equal moduli inside the block do no harm. It stops when every residual is at most `tol`
    times the largest |θ|.

    Parameters
    ----------
    A : (n, n) array, sparse matrix or LinearOperator
        Real and symmetric.
    start, random_state
        As for `orthogonal_steps`; most often a number k.
    tol : float
        Relative size of the residuals at which to stop.
    max_iter : int
        Largest number of steps.

    Returns
    -------
    BlockResult
        `eigenvectors` (n, k) with orthonormal columns, `eigenvalues` (k,) in order of falling
        modulus, `residuals` (k,), `n_iter`, `converged`, `message`.

    Examples
    --------
    >>> result = orthogonal_iteration([[0, 1], [1, 0]], 2, random_state=0)
    >>> sorted(result.eigenvalues.round(6).tolist()), result.converged
    ([-1.0, 1.0], True)
    """
    tol, max_iter = check.limits(tol, max_iter)

    def settled(step, tol=tol):
        return step.residuals.max() <= tol * abs(step.eigenvalues[0])

    run = drive(orthogonal_steps(A, start, random_state=random_state), max_iter, settled)
    if not run.converged:
        k = run.step.eigenvalues.size
        reason = f"|λ_{k + 1}| may be too close to |λ_{k}|, try another k"
        if settled(run.step, NEGLIGIBLE):
            reason = "rounding keeps the residuals above tol"
        run = run._replace(message=f"{run.message}: {reason}")
    return run.result(BlockResult)


def davidson_steps(
    A: Matrix, start: Block, *, tol: float = 1e-10, width: int = 10, random_state=None
) -> Iterator[BlockStep]:
    """Yield the iterates of Davidson's method: orthogonal iteration that keeps what it has seen.

    The block is a basis that grows. The residuals Av − θv are what it lacks to be right, so those
    of the first pairs that are not found yet become its new directions. (Random numbers of the size
    of rounding are added: where the residuals depend on each other, they take over.) Before it
    exceeds 5k + 20 columns, the best two fifths of all Ritz vectors stay. A block of k columns
    finds up to k copies of an eigenvalue. With k new directions it is Lanczos' block method.

    The generator ends when every pair is found: when its residual is at most tol √(θ₁θᵢ), or at
    the level of rounding. For A = BᵀB, with θᵢ = σᵢ², that says ‖Bᵀuᵢ − σᵢvᵢ‖ ≤ tol σ₁, which is
    what `truncated_svd` asks.

    Parameters
    ----------
    A, start, random_state
        As for `orthogonal_steps`.
    tol : float
        Relative size of the residual at which a pair needs no further directions.
    width : int
        Largest number of new directions a step.

    Yields
    ------
    BlockStep

    References
    ----------
    E. R. Davidson, The iterative calculation of a few of the lowest eigenvalues, 1975. K. Wu and
    H. Simon, Thick-restart Lanczos method for large symmetric eigenvalue problems, 2000.

    Examples
    --------
    >>> steps = davidson_steps([[3, 2], [2, 3]], [[1], [0]])
    >>> [step.eigenvalues.round(6).tolist() for step in steps]
    [[3.0], [5.0]]
    """
    A, tol = _check_symmetric(A), check.non_negative(tol, "tol")
    width = check.count(width, "width")
    start = _as_block(start, A.shape[0], random_state)
    n, k = start.shape
    limit = min(5 * k + 20, n)

    def iterate(X):
        Q, AQ = (np.empty((n, limit), order="F") for _ in range(2))
        H, size, rng = np.zeros((limit, limit)), 0, np.random.default_rng(0)
        for n_iter in count():
            new = slice(size, size + X.shape[1])
            size = new.stop
            Q[:, new], AQ[:, new] = X, multiply(A, X)
            H[:size, new] = Q[:, :size].T @ AQ[:, new]  # the upper half, which _eigh reads
            theta, S = _eigh(H[:size, :size])
            V = Q[:, :size] @ S[:, :k]
            R = AQ[:, :size] @ S[:, :k] - V * theta[:k]
            step = BlockStep(n_iter, V, theta[:k], column_lengths(R))
            yield step
            roots, rounding = np.sqrt(abs(theta[:k])), NEGLIGIBLE * abs(theta[0])
            wanted = step.residuals > np.maximum(tol * roots[0] * roots, rounding)
            X = R[:, wanted][:, : min(width, n - size)]
            if not X.size:
                return
            X = X + rounding / sqrt(n) * (rng.random(X.shape) - 0.5)
            X, _ = np.linalg.qr(X)  # orthogonal to Q but for rounding, which this has blown up
            X, _ = np.linalg.qr(X - Q[:, :size] @ (Q[:, :size].T @ X))
            if size + k > limit < n:
                kept = S[:, : 2 * limit // 5]
                best = Q[:, :size] @ kept, AQ[:, :size] @ kept
                size = kept.shape[1]
                Q[:, :size], AQ[:, :size] = best
                H[:size, :size] = np.diag(theta[:size])

    return iterate(start)


def multiply(A: Matrix, X: np.ndarray) -> np.ndarray:
    """Return A @ X, or refuse it where it overflows.

    Examples
    --------
    >>> multiply(np.array([[3.0, 2.0], [2.0, 3.0]]), np.array([1.0, 1.0]))
    array([5., 5.])
    """
    if X.size == 0:
        return np.zeros((A.shape[0], 0))
    with np.errstate(over="ignore", invalid="ignore"):
        # BLAS takes (XᵀAᵀ)ᵀ up to twice as fast as the same AX, when X is thin and XᵀA large.
        turned = isinstance(A, np.ndarray) and X.ndim == 2
        return check.product((np.ascontiguousarray(X.T) @ A.T).T if turned else A @ X)


def column_lengths(R: np.ndarray) -> np.ndarray:
    """Return the length of each column, without squaring entries so small that it gives 0.

    Examples
    --------
    >>> column_lengths(np.array([[3e-200, 0], [4e-200, 1]]))
    array([5.e-200, 1.e+000])
    """
    return np.array([norm(column) for column in R.T])  # BLAS scales


def google_matrix(links: ArrayLike | Matrix, damping: float = 0.85) -> LinearOperator:
    """Return the matrix whose dominant eigenvector is PageRank, as an operator.

    It moves a distribution v of surfers by one click: a surfer on page i follows one of the links
    of i with probability `damping` and otherwise jumps to any page; on a page without links the
    surfer always jumps. Columns sum to 1, so the dominant eigenvalue is 1:

        G = damping Lᵀ + 1 jᵀ/n        L: the links, with rows of sum 1
                                       j: 1 − damping, or 1 at pages without links

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
    links = check.no_negative(check.square(links, "links"), "links", "google_matrix")
    damping, n = check.share(damping, "damping"), links.shape[0]
    with np.errstate(over="ignore"):
        out = check.product(links.sum(axis=1))
    links = sparse.coo_array(links, copy=True)
    links.eliminate_zeros()
    shares = links.data / out[links.row]  # not times 1 / out, which may overflow
    follow = sparse.csr_array((damping * shares, (links.col, links.row)), shape=(n, n))
    jump = np.where(out > 0, 1 - damping, 1.0)  # from each page, as a share
    anywhere = aslinearoperator(np.full((n, 1), 1 / n)) @ aslinearoperator(jump[None])
    return aslinearoperator(follow) + anywhere


def _eigh(H):
    """Return the eigenpairs of a symmetric matrix (its upper half), the largest modulus first."""
    theta, S = np.linalg.eigh(H, UPLO="U")
    order = np.argsort(-np.abs(theta), kind="stable")
    return theta[order], S[:, order]


def rough_norm(A: Matrix) -> float:
    """Estimate the Frobenius norm by ‖Az‖ with one standard normal z (E‖Az‖² = ‖A‖²).

    Examples
    --------
    >>> 0.1 < rough_norm(np.eye(100)) / 10 < 10
    True
    """
    return float(norm(multiply(A, np.random.default_rng(0).standard_normal(A.shape[1]))))


def _check_symmetric(A):
    """Refuse A unless xᵀAy = yᵀAx for random x, y: of an operator only products are known."""
    A = check.square(A)
    x, y = np.random.default_rng(0).standard_normal((2, A.shape[0]))
    Ax, Ay = multiply(A, x), multiply(A, y)
    if abs(x @ Ay - y @ Ax) > 1e-10 * (norm(x) * norm(Ay) + norm(y) * norm(Ax)):
        raise ValueError("A is not symmetric; this method needs A equal to its transpose")
    return A


def _as_block(start, n, random_state):
    """Return an orthonormal basis of the columns of a start (see `orthogonal_steps`)."""
    if np.isscalar(start):
        k = check.count(start, "k", largest=n)
        return np.linalg.qr(check_random_state(random_state).standard_normal((n, k)))[0]
    start = check.dense(check.matrix(getattr(start, "eigenvectors", start), "start"), "start")
    check.shaped(start, (n, start.shape[1]), "start")
    if np.linalg.matrix_rank(start) < start.shape[1]:
        raise ValueError("the columns of start are linearly dependent; independent ones are needed")
    return np.linalg.qr(start)[0]
