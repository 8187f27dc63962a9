"""Gradient descent, and the learning rate at which it diverges (lesson 4).

    x ← x − η ∇f(x)             a step, with learning rate η
    f(x) = ½xᵀHx − bᵀx          a quadratic: its gradient is Hx − b, its Hessian H

On a quadratic, a step multiplies the error along the eigenvector of curvature λᵢ by 1 − ηλᵢ. Hence

    2 / λ_max                   is exact for a quadratic without negative curvature: below it the
                                error dies out, above it grows.

λ_max comes from power iteration: only products with the Hessian are needed. A factorization is not
quadratic, but it is in each factor while the other stays: see `factorization.py`.

Read `Quadratic`, the smallest problem; `descent_steps`, the algorithm; `gradient_descent`, which
drives it and explains how it ended; and `largest_curvature`.

References
----------
Y. Nesterov, Introductory Lectures on Convex Optimization, 2004, section 1.2.3.
J. Bolte, S. Sabach and M. Teboulle, Proximal alternating linearized minimization for nonconvex and
nonsmooth problems, Mathematical Programming, 2014.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, count
from math import hypot, inf, isfinite
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import blas, norm
from scipy.sparse.linalg import LinearOperator
from sklearn.utils import check_random_state

from mflib import _validation as check
from mflib._validation import NEGLIGIBLE, Matrix
from mflib.eigen import power_iteration
from mflib.iteration import Iterate, Problem, drive, has_exploded, record, warn_unless_converged

Updates = Literal["alternating", "simultaneous"]
Verdict = Literal["converging", "oscillating", "diverged"]


class Point(NamedTuple):
    """A vector x (n,), alone: what a function of one vector depends on."""

    x: np.ndarray


@record
class DescentStep(Iterate):
    """One iterate of gradient descent, with the numbers that are known there.

    `loss` is that of the data, `objective` what is minimised, `gradient_norm` the length of the
    objective's gradient.
    """

    algorithm = "descent"

    factors: tuple[np.ndarray, ...]
    loss: float
    objective: float
    gradient_norm: float


@record
class DescentResult(DescentStep):
    """The last finite iterate of gradient descent, and why it stopped there (`message`).

    `objectives` has the objective of the start and of every step; after divergence its last entry
    is the one that gave it away, infinite if it was NaN.
    """

    converged: bool
    message: str
    objectives: np.ndarray


class SmoothProblem(Problem):
    """A problem with a gradient: all that gradient descent asks, on factors of any kind.

    A problem must define `as_factors`, `penalty` if it has one, and `loss_and_gradient(factors)`,
    which returns the loss of the data, and the gradient of the objective as a tuple like the
    factors. The rest has an answer here, and those who know a better one override it.
    """

    def loss(self, factors) -> float:
        """Return the misfit of the data, without penalties."""
        return self.loss_and_gradient(factors)[0]

    def gradient(self, factors) -> tuple[np.ndarray, ...]:
        """Return the derivatives of the objective, in the shape of the factors."""
        return self.loss_and_gradient(factors)[1]

    def block_gradient(self, factors, block: int) -> np.ndarray:
        """Return the derivatives with respect to `factors[block]` alone."""
        return self.gradient(factors)[block]

    def block_hessian(self, factors, block: int) -> np.ndarray | LinearOperator:
        """Return the Hessian with respect to `factors[block]` alone, for the safe step.

        An operator acts on the raveled factor, an array on each of its rows.
        """
        raise ValueError(f"{type(self).__name__} has no safe step; give a learning_rate")

    def gradient_scale(self, step: DescentStep, start: DescentStep) -> float:
        """Return the length that a small gradient is small against: here that at the start."""
        return start.gradient_norm

    def broken_limit(
        self, step: DescentStep, learning_rate: float, updates: Updates
    ) -> tuple[float | None, str]:
        """Return a limit that the learning rate broke and its name, or None and what is known.

        `step` has the least objective of the run: from there it rose.
        """
        return None, f"η = {learning_rate:.4g} is too large for this start"


class Quadratic(SmoothProblem):
    """The function ½xᵀHx − bᵀx, whose gradient is Hx − b.

    Parameters
    ----------
    H : (n, n) array, symmetric
    b : (n,) array

    Examples
    --------
    >>> steps = descent_steps(Quadratic([[4.0]], [0.0]), ([1.0],), 0.25)  # η = 1/λ: one step
    >>> [next(steps).x.item() for _ in range(3)]
    [1.0, 0.0, 0.0]
    """

    def __init__(self, H: ArrayLike, b: ArrayLike):
        self.H = check.dense(check.square(H, "H"), "H")
        if not np.abs(self.H - self.H.T).max() <= 1e-5 * np.abs(self.H).max():
            raise ValueError("H is not symmetric; a Hessian equals its transpose")
        self.b = check.finite(check.shaped(check.floats(b, "b"), (len(self.H),), "b"), "b")

    def as_factors(self, start) -> Point:
        """Return a start as `Point(x)`."""
        return check.factors(start, Point, {"x": (len(self.H),)})

    @np.errstate(over="ignore", invalid="ignore")
    def loss_and_gradient(self, factors) -> tuple[float, Point]:
        """Return ½xᵀHx − bᵀx and Hx − b."""
        gradient = self.H @ factors.x - self.b
        return float(factors.x @ (gradient - self.b)) / 2, Point(gradient)

    def block_hessian(self, factors=None, block: int = 0) -> np.ndarray:
        """Return H."""
        return self.H

    def gradient_scale(self, step, start) -> float:
        """Return the larger one of the gradients' lengths at the start and at 0."""
        return max(start.gradient_norm, norm(self.b))

    def broken_limit(self, step, learning_rate, updates) -> tuple[float | None, str]:
        """Return 2/λ_max, unless no learning rate would do."""
        if largest_curvature(-self.H, random_state=0) > NEGLIGIBLE * norm(self.H):
            return None, "H has a negative eigenvalue, so that there is no minimum"
        return critical_learning_rate(self.H, random_state=0), "critical 2/λ_max"


def descent_steps(
    problem: SmoothProblem,
    start: Any,
    learning_rate: float | None = None,
    *,
    updates: Updates = "alternating",
    random_state=None,
) -> Iterator[DescentStep]:
    """Yield the iterates of gradient descent, for ever.

    They are left to grow to infinity and to become NaN; `gradient_descent` watches over that.

    Parameters
    ----------
    problem : SmoothProblem
        `Quadratic`, `FactorizationProblem`, or those of later lessons.
    start : iterate, or arrays in the order of the problem's factors
        Such as (U, V).
    learning_rate : float, optional
        η. By default the safe step of each factor in turn, 1/λ_max of its block, by power
        iteration: where the objective is quadratic in each block, it never increases (Bolte,
        Sabach and Teboulle 2014).
    updates : {"alternating", "simultaneous"}
        Whether the step of a factor already uses the new ones before it. The safe step is for
        alternating updates.
    random_state : int, RandomState or None
        Chooses the starts of power iteration, for the safe step.

    Yields
    ------
    DescentStep
        `n_iter` counts from 0 (the start).

    Examples
    --------
    >>> from mflib.factorization import FactorizationProblem
    >>> steps = descent_steps(FactorizationProblem([[6.0]]), ([[1.0]], [[2.0]]))
    >>> [round(next(steps).loss, 6) for _ in range(3)]
    [8.0, 0.0, 0.0]
    """
    check.kind(isinstance(problem, SmoothProblem), problem, "problem", "a SmoothProblem")
    factors, random_state = problem.as_factors(start), check_random_state(random_state)
    alternating = check.choice(updates, get_args(Updates), "updates") == "alternating"
    with np.errstate(over="ignore", invalid="ignore"):
        if not isfinite(problem.loss_and_gradient(factors)[0] + problem.penalty(factors)):
            raise ValueError("the loss of the start overflows; scale the start down")
        if learning_rate is not None:
            learning_rate, vectors = check.positive(learning_rate, "learning_rate"), None
        elif alternating:  # power iteration starts from a random vector for each block
            hessians = [problem.block_hessian(factors, i) for i in range(len(factors))]
            vectors = [random_state.standard_normal(H.shape[1]) for H in hessians]
        else:
            raise ValueError("simultaneous updates have no safe step; give a learning_rate")

    def iterate(factors):
        for n_iter in count():
            with np.errstate(over="ignore", invalid="ignore"):
                loss, gradient = problem.loss_and_gradient(factors)
                objective = loss + problem.penalty(factors)
            yield DescentStep(n_iter, factors, loss, objective, total_length(gradient))
            factors = _move(problem, factors, gradient, learning_rate, vectors, alternating)

    return iterate(factors)


def total_length(factors: tuple[np.ndarray, ...]) -> float:
    """Return the length of all factors (or gradients), taken as one long vector."""
    return hypot(*[blas.dnrm2(factor.ravel()) for factor in factors])


@np.errstate(over="ignore", invalid="ignore")
def _move(problem, factors, gradient, learning_rate, vectors, alternating):
    """Return the factors after a step against their gradient, by default a safe one."""
    for block, G in enumerate(gradient):
        if alternating and block:  # the gradient where the others are by now
            G = problem.block_gradient(factors, block)
        rate = learning_rate or _safe_rate(problem, factors, block, vectors[block], G)
        factors = factors._replace(**{factors._fields[block]: factors[block] - rate * G})
    return factors


def _safe_rate(problem, factors, block, v, G):
    """Return about 1/λ_max of a block, for a step along its gradient G, and improve v.

    The Hessian changes little from step to step. So one step of power iteration, v ← Hv/‖Hv‖, for
    each step of descent keeps up with it, and ‖Hv‖ comes close to λ_max.

    A rough λ_max will do, as the objective falls for all η < 2/q, where q = ⟨G, HG⟩/⟨G, G⟩ ≤ λ_max
    is the curvature along G. That q is taken as a lower limit makes every step safe, the first one
    from a random v, too.
    """
    H = problem.block_hessian(factors, block)
    v /= blas.dnrm2(v)
    Hv = H @ v
    curvature = blas.dnrm2(Hv)
    if 0 < curvature < inf:
        v[:] = Hv
    if G.any():
        G = G / np.abs(G).max()  # its square shall not underflow
        HG = G @ H if isinstance(H, np.ndarray) else (H @ G.ravel()).reshape(G.shape)
        curvature = max(curvature, np.vdot(G, HG) / np.vdot(G, G))
    return float(1 / curvature) if curvature > 0 else 0.0


def gradient_descent(
    problem: SmoothProblem,
    start: Any,
    learning_rate: float | None = None,
    *,
    updates: Updates = "alternating",
    tol: float = 1e-6,
    max_iter: int = 1000,
    random_state=None,
    watch: Callable[[DescentStep], None] | None = None,
) -> DescentResult:
    """Minimise by gradient descent, and stop when it converges or diverges.

    Converged: the gradient is shorter than `tol` times what the problem calls long
    (`gradient_scale`; for a factorization (‖M∘X‖ + λ) √(‖U‖² + ‖V‖²), which has its unit). So it
    is at a saddle, too: zero factors never move.
    Diverged: the objective is NaN, infinite, or more than a million times the larger one of that of
    the start and of the loss of zero factors. The result then names the learning rate that η
    exceeded, if it is known, and holds the last finite iterate.

    Parameters
    ----------
    problem, start, learning_rate, updates, random_state
        As for `descent_steps`.
    tol : float
        At least 0.
    max_iter : int
        Largest number of steps.
    watch : function of an iterate, optional
        It is handed every iterate, as they come.

    Returns
    -------
    DescentResult

    Examples
    --------
    >>> from mflib.factorization import FactorizationProblem
    >>> f, start = FactorizationProblem([[5.0]]), ([[1.0]], [[0.5]])
    >>> gradient_descent(f, start, 0.19, updates="simultaneous").converged
    True
    >>> result = gradient_descent(f, start, 0.45, updates="simultaneous")
    >>> print(result.message)
    diverged at step 8: η = 0.45 is 2.25 × the critical 1/σ₁ = 0.2
    """
    tol, max_iter = check.limits(tol, max_iter)
    check.kind(watch is None or callable(watch), watch, "watch", "a function of an iterate")
    steps = descent_steps(problem, start, learning_rate, updates=updates, random_state=random_state)
    first = lowest = next(steps)
    zeros = first.factors._make(map(np.zeros_like, first.factors))
    large = max(abs(first.objective), problem.loss(zeros))
    objectives = []

    def settled(step):
        return step.gradient_norm <= tol * problem.gradient_scale(step, first)

    def broken(step):
        nonlocal lowest
        objectives.append(step.objective if isfinite(step.objective) else inf)
        if not has_exploded(step.objective, large):
            lowest = step if step.objective <= lowest.objective else lowest
            return ""
        if learning_rate is None:
            reason = "even with the safe steps the numbers overflow; scale the start"
        else:
            limit, reason = problem.broken_limit(lowest, learning_rate, updates)
            if limit is not None:
                times = f"{learning_rate / limit:.4g} × the {reason} = {limit:.3g}"
                reason = f"η = {learning_rate:.4g} is {times}"
        return f"diverged at step {step.n_iter}: {reason}"

    run = drive(chain([first], steps), max_iter, settled, broken, watch=watch)
    return run.result(DescentResult, objectives=np.array(objectives))


def largest_curvature(H: Matrix, *, tol: float = 1e-4, random_state=None) -> float:
    """Return the largest eigenvalue of a Hessian, by power iteration.

    Power iteration finds the eigenvalue of largest modulus. Where that is negative, or as large as
    another one of opposite sign (as at the start U = V = 0 of a factorization, where they are
    ±σᵢ(X)), a second power iteration runs on H + sI, with s their modulus.

    Parameters
    ----------
    H : (n, n) array, sparse matrix or LinearOperator
        Symmetric.
    tol : float
        Relative size of the residual at which to stop. The eigenvalue is then at least as accurate;
        its error falls by the square, unless another one is very close.
    random_state : int, RandomState or None
        Chooses the random start.

    Warns
    -----
    ConvergenceWarning
        If power iteration does not converge in 10,000 steps; the number is then a rough one.

    Examples
    --------
    >>> round(largest_curvature([[3, 2], [2, 3]], random_state=0), 4)
    5.0
    >>> round(largest_curvature([[-7, 0], [0, 3]], random_state=0), 4)
    3.0
    """
    H = check.square(H, "H")
    options = {"tol": tol, "max_iter": 10_000, "random_state": check_random_state(random_state)}
    pair = power_iteration(H, **options)
    if pair.converged and pair.eigenvalue >= 0:
        return pair.eigenvalue
    shift = pair.image  # ‖Hv‖: the modulus, for a negative one and ±
    shifted = LinearOperator(H.shape, lambda x: H @ x + shift * x, dtype=np.float64)
    pair = power_iteration(shifted, **options)
    warn_unless_converged(pair)
    return pair.eigenvalue - shift


def critical_learning_rate(H: Matrix, *, random_state=None) -> float:
    """Return 2/λ_max, the learning rate above which gradient descent on a quadratic diverges.

    Exact for a quadratic with the Hessian H, if H has no negative eigenvalue, and so for each block
    of a factorization while the other stays (`FactorizationProblem.block_hessian`). For
    0 < η < 2/λ_max gradient descent then converges from every start, if there is a minimum at all;
    above, it diverges from every start with some error along the steepest direction. With a
    negative eigenvalue there is no minimum, and every η diverges from almost every start.

    Of a function that is not quadratic it says what happens close to a minimum with this Hessian,
    and nothing about other places.

    Parameters
    ----------
    H : (n, n) array, sparse matrix or LinearOperator
        Symmetric.
    random_state : int, RandomState or None
        Chooses the start of power iteration.

    Returns
    -------
    float
        Infinite if no direction curves upwards (for H = 0, say).

    Examples
    --------
    >>> round(critical_learning_rate([[3, 2], [2, 3]], random_state=0), 4)
    0.4
    """
    curvature = largest_curvature(H, random_state=random_state)
    return 2 / curvature if curvature > 0 else inf


def classify_losses(losses: Sequence[float], *, reference: float | None = None) -> Verdict:
    """Tell from the losses of a run, start first, what it does.

    "diverged": the loss exploded (see `has_exploded`), or rose at every step of the second half and
    doubled there. "oscillating": it still rises in the last quarter, and its swings (highest minus
    lowest loss, in seven parts of the second half) do not fall steadily towards zero. "converging":
    otherwise. It says what was seen: what is very slow needs a long run to show.

    Parameters
    ----------
    losses : sequence of at least 32 numbers, not negative
        Or fewer, if they exploded. NaN and infinity count as exploded.
    reference : float, optional
        A loss that is large for this problem. By default the first one.

    Examples
    --------
    >>> classify_losses([1 + 4.0**-i for i in range(40)])
    'converging'
    >>> classify_losses([1.0, 2.0] * 20)
    'oscillating'
    >>> classify_losses([1.1**i for i in range(40)])
    'diverged'
    """
    losses = check.floats(losses, "losses")
    if losses.ndim == 1 and losses.size:
        reference = float(losses[0]) if reference is None else check.number(reference, "reference")
        if any(has_exploded(loss, reference) for loss in losses):
            return "diverged"
    fits = losses.ndim == 1 and losses.size >= 32
    check.need(fits, f"losses has shape {losses.shape}", "a vector of at least 32 losses")
    check.no_negative(losses, "losses", "this")
    rises = np.diff(losses) > 1e-12 * losses.max()  # more than rounding
    half = losses[losses.size // 2 :]
    if rises[-half.size + 1 :].all() and half[-1] > 2 * half[0]:
        return "diverged"
    still_rising = rises[-(losses.size // 4) :].any()
    return "oscillating" if still_rising and not _fade(half) else "converging"


def _fade(losses):
    """Tell whether the swings fall steadily, and towards zero rather than towards a cycle."""
    swings = np.array([np.ptp(part) for part in np.array_split(losses, 7)])
    if not (np.diff(swings) < 0).all():
        return False
    middle, last = swings[[3, 6]] / swings[0]
    # Three swings at equal distances, 1, middle and last, tell where L + crⁿ ends (Aitken's rule):
    # L = (last − middle²) / (1 + last − 2 middle). They fade if L < last/2, asked without division.
    return last - middle**2 < (1 + last - 2 * middle) * last / 2
