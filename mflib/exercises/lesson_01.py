"""Exercises of lesson 1: eigendecomposition and power iteration."""

import numpy as np

from mflib.eigen import line_angle, power_iteration
from mflib.exercises.base import (
    Exercise,
    Mistake,
    as_floats,
    equal,
    mistakes_with,
    one_decimal,
    results,
)

# 1. By hand

eigenvalues_by_hand = Exercise(
    solution=(-4, 1),
    praise="λ² + 3λ − 4 = (λ + 4)(λ − 1). The dominant one is negative: every step flips the sign.",
    mistakes=[
        Mistake((1, -4), "the dominant eigenvalue is the one of largest modulus; give it first."),
        *mistakes_with(
            "check the signs: the eigenvalues must add up to the trace, 0 + (−3).",
            (4, -1),
            (-1, 4),
            (4, 1),
            (-4, -1),
        ),
        Mistake((-3, 0), "the diagonal holds the eigenvalues only if the other entries are zero."),
    ],
    variants=[[-4, 1], np.array([-4.0, 1.0])],
    hint="solve (0 − λ)(−3 − λ) − 2·2 = 0 and give the pair as (dominant, other).",
)


# 2. One step

_SYMMETRIC = np.array([[3.0, 2.0], [2.0, 3.0]])
_ONE_WAY = np.array([[1.0, 2.0], [0.0, 3.0]])


def _power_step(A, x):
    w = A @ x
    return w / np.linalg.norm(w)


def _draw_steps(rng):
    for n in (1, 2, 2, 3, 4, 4):
        for size in (1, 0.1, 20):
            A, x = np.zeros((n, n)), np.zeros(n)
            while np.linalg.norm(A @ x) < 0.5 * size:
                A, x = size * one_decimal(rng, n, n), one_decimal(rng, n)
            yield A, x


def _on_the_line(got, wanted):
    return equal(got, wanted) or equal(-as_floats(got), wanted)


power_step = Exercise(
    solution=_power_step,
    praise="In a loop this finds the dominant eigenvector of any matrix that has one.",
    hint="one product, w = A @ x, and one division by its length, np.linalg.norm(w).",
    cases=[
        (_SYMMETRIC, np.array([1.0, 0.0])),
        (_SYMMETRIC, np.array([0.6, -0.8])),
        (_ONE_WAY, np.array([0.0, 1.0])),
    ],
    draw=_draw_steps,
    accepts=_on_the_line,
    mistakes=[
        Mistake(lambda A, x: A @ x, "the result must have length 1: divide by its norm."),
        Mistake(
            lambda A, x: A @ x / np.linalg.norm(x),
            "that makes x a unit vector and not the result; A x has another length.",
        ),
        Mistake(lambda A, x: x / np.linalg.norm(x), "that is x at length 1, without a step."),
        Mistake(
            lambda A, x: A @ x / np.sum(np.abs(A @ x)),
            "that divides by the sum of the moduli; the length is np.linalg.norm.",
        ),
        Mistake(
            lambda A, x: A @ x / np.sum(A @ x),
            "that divides by the sum of the entries; the length is np.linalg.norm.",
        ),
        *mistakes_with(
            "that divides by the largest entry; the length is np.linalg.norm.",
            lambda A, x: A @ x / np.max(np.abs(A @ x)),
            lambda A, x: A @ x / np.max(A @ x),
        ),
        Mistake(
            lambda A, x: A @ x / np.sum((A @ x) ** 2),
            "that divides by the square of the length: take the root.",
        ),
        Mistake(
            lambda A, x: A @ x / (x @ A @ x),
            "that divides by xᵀA x; the length is np.linalg.norm.",
        ),
        Mistake(
            lambda A, x: A @ x / np.linalg.norm(A),
            "divide by the length of A x, not by the norm of the matrix A.",
        ),
        Mistake(
            lambda A, x: A.T @ x / np.linalg.norm(A.T @ x),
            "that multiplies by the transpose (x @ A does too); it shows where A is not symmetric.",
        ),
        Mistake(
            lambda A, x: A * x / np.linalg.norm(A * x),
            "A * x multiplies entry by entry; the product of matrix and vector is A @ x.",
        ),
        Mistake(
            lambda A, x: _power_step(A, _power_step(A, x)), "those are two steps; one is asked for."
        ),
        Mistake(
            lambda A, x: np.abs(_power_step(A, x)),
            "without the signs of its entries a vector lies on another line.",
        ),
    ],
    variants=[
        lambda A, x: -(A @ x) / np.linalg.norm(A @ x),
        lambda A, x: A.dot(x) / np.sqrt(np.sum(A.dot(x) ** 2)),
    ],
)


# 3. Find the bug

_FLIPS = np.array([[1.0, 2.0], [2.0, -2.0]])  # eigenvalues −3 and 2
_DOMINANT = np.array([1.0, -2.0]) / np.sqrt(5)


def _residual(A, x):
    return np.linalg.norm(A @ x - (x @ A @ x) * x)


def _has_settled(A, x, tol):
    return bool(_residual(A, x) <= tol * np.linalg.norm(A @ x))


_SPECTRA = [(2,), (3, 1), (1, 2), (-3, 2), (2, -2), (-1, 3), (-4, 2, 0), (1, -1, 4), (5, -2, 3, 1)]


def _draw_settled(rng):
    """Yield vectors on, close to and far from an eigenvector; close as compared with tol."""
    for i, spectrum in enumerate(_SPECTRA * 2):
        n = len(spectrum)
        S = np.linalg.qr(rng.normal(size=(n, n)))[0]
        if i % 3 == 1:
            S = S @ (np.eye(n) + np.triu(rng.uniform(-0.5, 0.5, (n, n)), 1))  # not symmetric
        if i % 3 == 2:
            S = np.eye(n)  # zero entries
        S = S / np.linalg.norm(S, axis=0)
        A = S * np.array(spectrum) @ np.linalg.inv(S)
        tol = (1e-5, 1e-2)[i % 2] * rng.uniform(0.5, 1)
        for off in (0, tol**2 / 20, tol / 20, 10 * tol, 1):
            if n > 1 or off == 0:
                x = S[:, 0] + off * S[:, -1]
                yield A, rng.choice([-1, 1]) * x / np.linalg.norm(x), tol


def _step_apart(A, x, sign=1):
    return np.linalg.norm(_power_step(A, x) - sign * x)


def _compares_moduli(A, x, tol):
    return np.linalg.norm(np.abs(_power_step(A, x)) - np.abs(x)) <= tol


def _compares_two_steps(A, x, tol):
    return np.linalg.norm(_power_step(A, A @ x) - x) <= tol


has_settled = Exercise(
    solution=_has_settled,
    praise="The residual ‖Ax − ρx‖ does not care about the sign of x. mflib stops by it.",
    hint="return True or False: is A x within tol of the line through x, on either side of 0?",
    cases=[
        (_SYMMETRIC, np.array([1.0, 1.0]) / np.sqrt(2), 1e-6),
        (_SYMMETRIC, np.array([1.0, 0.0]), 1e-6),
        (_FLIPS, _DOMINANT, 1e-6),
        (_FLIPS, np.array([1.0, 0.0]), 1e-6),
        (np.array([[3.0, 4.0], [4.0, -3.0]]), np.array([1.0, 0.0]), 1e-6),
        (np.diag([1.0, -1.0]), np.ones(2) / np.sqrt(2), 1e-6),
    ],
    draw=_draw_settled,
    mistakes=[
        Mistake(
            lambda A, x, tol: True, "it says True for every vector, and most are no eigenvectors."
        ),
        Mistake(
            lambda A, x, tol: False, "it says False for every vector, even for an eigenvector."
        ),
        Mistake(
            lambda A, x, tol: _step_apart(A, x) <= tol,
            "where λ is negative, A x points the other way, so x and the next iterate never agree.",
        ),
        Mistake(
            lambda A, x, tol: _step_apart(A, x, -1) <= tol,
            "that is True for negative λ alone: A x may point along x or the other way.",
        ),
        Mistake(
            _compares_moduli,
            "a vector and its mirror image have entries of the same moduli, on different lines.",
        ),
        Mistake(
            _compares_two_steps,
            "after two steps every vector is back if the eigenvalues are opposite numbers.",
        ),
        Mistake(
            lambda A, x, tol: np.linalg.norm(A @ x - x) <= tol,
            "A x = x holds only for the eigenvalue 1: compare A x with ρ x.",
        ),
        Mistake(
            lambda A, x, tol: _residual(A, x) > tol,
            "it says True where it should say False: settled means that the residual is small.",
        ),
        *mistakes_with(
            "use tol: the caller decides how close is close enough.",
            *(
                lambda A, x, tol, own=own: _residual(A, x) <= own
                for own in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8, 1e-10, 1e-12)
            ),
        ),
        Mistake(
            lambda A, x, tol: 1 - abs(_power_step(A, x) @ x) <= tol,
            "the cosine of a small angle differs from 1 by half of its square only: that says True "
            "too early.",
        ),
        Mistake(
            lambda A, x, tol: _residual(A, x) ** 2 <= tol,
            "that compares the square of the residual with tol: it says True too early.",
        ),
        Mistake(
            lambda A, x, tol: _residual(A, x) <= tol**2,
            "that compares the residual with the square of tol: it says True too late.",
        ),
        Mistake(
            lambda A, x, tol: np.ptp((A @ x) / x) <= tol,
            "an eigenvector may have zero entries, and 0/0 is nan: compare without dividing by x.",
        ),
    ],
    variants=[
        lambda A, x, tol: line_angle(A @ x, x) <= tol,
        lambda A, x, tol: _residual(A, x) <= tol,
        lambda A, x, tol: min(_step_apart(A, x), _step_apart(A, x, -1)) <= tol,
    ],
)


# 4. The lowest eigenvalue


def _smallest_eigenvalue(A):
    s = np.linalg.norm(A)  # no eigenvalue is larger, so A − sI has none above zero
    return _shifted(A, s)


def _shifted(A, s):
    return power_iteration(A - s * np.eye(len(A)), random_state=0).eigenvalue + s


def _two_searches(A):
    one_end = power_iteration(A, random_state=0).eigenvalue
    return min(one_end, _shifted(A, one_end))


def _draw_symmetric(rng):
    """Yield matrices whose lowest eigenvalue is dominant, or the other end, or neither of both."""
    for n, size in ((2, 1), (3, 1), (4, 1), (3, 100)):
        for low in (-9, -4, 1):
            Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
            A = np.round(Q * np.array([low, *rng.uniform(low + 2, 5, n - 2), 6]) @ Q.T, 1)
            yield (size * (A + A.T) / 2,)


def _by_modulus(A):
    return sorted(np.linalg.eigvalsh(A), key=abs)


def _other_end(A):
    """Return the eigenvalue that lies farthest from the dominant one."""
    return max(np.linalg.eigvalsh(A), key=lambda value: abs(value - _by_modulus(A)[-1]))


def _fixed_shift(function, cases):
    """Tell whether it is right just where the middle of the spectrum lies below some number."""
    ends = [np.linalg.eigvalsh(A)[[0, -1]] for (A,) in cases]
    both = zip(results(function, cases), ends, strict=True)
    held = [(equal(got, low, 1e-3), (low + high) / 2) for got, (low, high) in both]
    return max(m for right, m in held if right) < min(m for right, m in held if not right)


smallest_eigenvalue = Exercise(
    solution=_smallest_eigenvalue,
    praise="A shift moves the whole spectrum, so power iteration reaches either end of it.",
    hint="return a number: the .eigenvalue of A − s·np.eye(len(A)), moved back by s.",
    cases=[
        (np.diag([4.0, 1.0, -2.0]),),
        (np.diag([5.0, 2.0, 1.0]),),
        (np.array([[3.0, 2.0], [2.0, 3.0]]),),
        (np.diag([-6.0, 1.0, 3.0]),),
        (np.diag([400.0, 50.0, 10.0]),),
    ],
    draw=_draw_symmetric,
    accepts=lambda got, wanted: equal(got, wanted, 1e-3),
    mistakes=[
        Mistake(
            lambda A: _by_modulus(A)[-1],
            "that is the dominant eigenvalue; shift A so that it becomes 0, and search again.",
        ),
        Mistake(
            lambda A: max(np.linalg.eigvalsh(A)),
            "that is the highest eigenvalue; the shift goes the other way.",
        ),
        Mistake(
            lambda A: _other_end(A) - _by_modulus(A)[-1],
            "that belongs to A − λ₁I; add λ₁ to come back to A.",
        ),
        *mistakes_with(
            "that belongs to A − sI; add s to come back to A.",
            lambda A: np.linalg.eigvalsh(A)[0] - np.linalg.norm(A),
            lambda A: np.linalg.eigvalsh(A)[0] - np.linalg.norm(A, 2),
        ),
        Mistake(
            lambda A: _by_modulus(A)[0],
            "that is the eigenvalue of smallest modulus; the lowest may be negative and large.",
        ),
        Mistake(
            lambda A: _by_modulus(A)[-2],
            "deflation gives the second largest modulus; a shift reaches the other end.",
        ),
        Mistake(
            lambda A: min(_by_modulus(A)[-2:]),
            "the lowest eigenvalue need not be among the two of largest modulus; a shift makes it "
            "dominant.",
        ),
        Mistake(
            _other_end,
            "the other end of the spectrum is the highest one if the dominant eigenvalue is the "
            "lowest: return the smaller of the two.",
        ),
        Mistake(
            lambda A: np.trace(A) - _by_modulus(A)[-1],
            "the trace is the sum of all eigenvalues: without the dominant one, the sum of the "
            "others is left.",
        ),
        Mistake(
            lambda A: min(np.diag(A)),
            "the diagonal holds the eigenvalues only if the other entries are zero.",
        ),
        Mistake(
            lambda A: _shifted(A, 10),
            "a fixed shift is too small for some matrices: choose it by A, as large as its norm.",
            _fixed_shift,
        ),
    ],
    variants=[_two_searches, lambda A: np.linalg.eigvalsh(A)[0]],
)


# 5. Explore


def _eigenvalues(answer):
    """Return the eigenvalues of ((a, b), (b, d)) by rising modulus."""
    a, b, d = np.asarray(answer, dtype=float)
    return _by_modulus([[a, b], [b, d]])


def _halves_and_flips(answer, _):
    other, dominant = _eigenvalues(answer)
    return answer[1] != 0 and dominant < 0 and abs(abs(other / dominant) - 0.5) < 5e-4


half_and_flip = Exercise(
    solution=(-3, 1, -3),
    praise="The sign of λ₁ decides about flipping, |λ₂/λ₁| alone about the speed.",
    hint="give three numbers (a₁₁, a₁₂, a₂₂).",
    accepts=_halves_and_flips,
    mistakes=[
        Mistake(
            (-4, 0, -2),
            "a₁₂ = 0 makes the axes the eigenvectors; choose a₁₂ ≠ 0.",
            lambda answer: len(_eigenvalues(answer)) and answer[1] == 0,
        ),
        Mistake(
            (0, 2, 0),
            "|λ₁| = |λ₂|: these arrows jump between two lines and never converge.",
            lambda answer: np.isclose(*np.abs(_eigenvalues(answer))),
        ),
        Mistake(
            (3, 1, 3),
            "the arrows do not flip: the dominant eigenvalue must be negative.",
            lambda answer: _eigenvalues(answer)[1] > 0,
        ),
        Mistake(
            (-3, 2, -3),
            "the arrows flip, and the rate is not 0.5: read it in the state line.",
            lambda answer: _eigenvalues(answer)[1] < 0,
        ),
    ],
    variants=[(-1.5, 0.5, -1.5), (-1, 3, -1), [-3.0, 1.0, -3.0]],
)
