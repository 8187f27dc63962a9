"""Exercises of lesson 1: eigendecomposition and power iteration."""

import numpy as np

from mflib.eigen import line_angle, power_iteration
from mflib.exercises.base import Exercise, Mistake

# 1. By hand

eigenvalues_by_hand = Exercise(
    solution=(-4, 1),
    praise="λ² + 3λ − 4 = (λ + 4)(λ − 1). The dominant one is negative: every step flips the sign.",
    mistakes=[
        Mistake((1, -4), "the dominant eigenvalue is the one of largest modulus; give it first."),
        Mistake((4, -1), "check the signs: the eigenvalues must add up to the trace, 0 + (−3)."),
        Mistake((-3, 0), "the diagonal holds the eigenvalues only if the other entries are zero."),
    ],
    variants=[[-4, 1], np.array([-4.0, 1.0])],
    hint="solve (0 − λ)(−3 − λ) − 2·2 = 0 and give the pair as (dominant, other).",
)


# 2. One step

_SYMMETRIC = np.array([[3.0, 2.0], [2.0, 3.0]])
_ONE_WAY = np.array([[1.0, 2.0], [0.0, 3.0]])


def _power_step(A, v):
    w = A @ v
    return w / np.linalg.norm(w)


def _unit_on_the_line(got, wanted):
    return line_angle(got, wanted) < 1e-6 and abs(np.linalg.norm(got) - 1) < 1e-6


power_step = Exercise(
    solution=_power_step,
    praise="In a loop this finds the dominant eigenvector of any matrix that has one.",
    hint="one product, w = A @ v, and one division by its length, np.linalg.norm(w).",
    cases=[
        (_SYMMETRIC, np.array([1.0, 0.0])),
        (_SYMMETRIC, np.array([0.6, -0.8])),
        (_ONE_WAY, np.array([0.0, 1.0])),
    ],
    accepts=_unit_on_the_line,
    mistakes=[
        Mistake(lambda A, v: A @ v, "the result must have length 1: divide by its norm."),
        Mistake(
            lambda A, v: A @ v / np.sum(np.abs(A @ v)),
            "that divides by the sum of the moduli; the length is np.linalg.norm.",
        ),
        Mistake(
            lambda A, v: A @ v / np.sum(A @ v),
            "that divides by the sum of the entries; the length is np.linalg.norm.",
        ),
        Mistake(
            lambda A, v: A @ v / np.max(np.abs(A @ v)),
            "that divides by the largest entry; the length is np.linalg.norm.",
        ),
        Mistake(
            lambda A, v: A @ v / np.linalg.norm(A),
            "divide by the length of A v, not by the norm of the matrix A.",
        ),
        Mistake(
            lambda A, v: A.T @ v / np.linalg.norm(A.T @ v),
            "that multiplies by the transpose (v @ A does too); it shows where A is not symmetric.",
        ),
        Mistake(
            lambda A, v: A * v / np.linalg.norm(A * v),
            "A * v multiplies entry by entry; the product of matrix and vector is A @ v.",
        ),
    ],
    variants=[
        lambda A, v: -(A @ v) / np.linalg.norm(A @ v),
        lambda A, v: A.dot(v) / np.sqrt(np.sum(A.dot(v) ** 2)),
    ],
)


# 3. Find the bug

_FLIPS = np.array([[1.0, 2.0], [2.0, -2.0]])  # eigenvalues −3 and 2
_DOMINANT = np.array([1.0, -2.0]) / np.sqrt(5)
_NEARLY = np.array([np.cos(np.pi / 4 + 0.01), np.sin(np.pi / 4 + 0.01)])  # 0.01 off (1, 1)


def _has_settled(A, v, tol):
    w = A @ v
    rayleigh = v @ w
    return bool(np.linalg.norm(w - rayleigh * v) <= tol * np.linalg.norm(w))


def _compares_vectors(A, v, tol):
    w = A @ v / np.linalg.norm(A @ v)
    return np.linalg.norm(w - v) <= tol


def _compares_moduli(A, v, tol):
    w = A @ v / np.linalg.norm(A @ v)
    return np.linalg.norm(np.abs(w) - np.abs(v)) <= tol


def _compares_two_steps(A, v, tol):
    w = A @ (A @ v)
    return np.linalg.norm(w / np.linalg.norm(w) - v) <= tol


has_settled = Exercise(
    solution=_has_settled,
    praise="The residual ‖Av − ρv‖ does not care about the sign of v. mflib stops by it.",
    cases=[
        (_SYMMETRIC, np.array([1.0, 1.0]) / np.sqrt(2), 1e-6),
        (_SYMMETRIC, np.array([1.0, 0.0]), 1e-6),
        (_FLIPS, _DOMINANT, 1e-6),
        (_FLIPS, np.array([1.0, 0.0]), 1e-6),
        (np.array([[3.0, 4.0], [4.0, -3.0]]), np.array([1.0, 0.0]), 1e-6),
        (np.diag([1.0, -1.0]), np.ones(2) / np.sqrt(2), 1e-6),
        (_SYMMETRIC, _NEARLY, 0.1),
        (_SYMMETRIC, _NEARLY, 1e-3),
    ],
    mistakes=[
        Mistake(
            _compares_vectors,
            "λ = −3 flips the sign of v at every step, so consecutive iterates never agree.",
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
            lambda A, v, tol: np.linalg.norm(A @ v - v) <= tol,
            "A v = v holds only for the eigenvalue 1: compare A v with ρ v.",
        ),
        Mistake(
            lambda A, v, tol: np.linalg.norm(A @ v - (v @ A @ v) * v) > tol,
            "it says True where it should say False: settled means that the residual is small.",
        ),
        Mistake(
            lambda A, v, tol: np.linalg.norm(A @ v - (v @ A @ v) * v) <= 1e-6,
            "use tol: the caller decides how close is close enough.",
        ),
        Mistake(
            lambda A, v, tol: True,
            "it says True for every vector; v = (1, 0) is no eigenvector here.",
        ),
    ],
    variants=[
        lambda A, v, tol: line_angle(A @ v, v) <= tol,
        lambda A, v, tol: np.linalg.norm(A @ v - (v @ A @ v) * v) <= tol,
    ],
    hint="compare A v with ρ v, where ρ = vᵀAv.",
)


# 4. The other end of the spectrum


def _smallest_eigenvalue(A):
    s = np.linalg.norm(A)  # no eigenvalue is larger, so A − sI has none above zero
    return power_iteration(A - s * np.eye(len(A)), random_state=0).eigenvalue + s


def _two_searches(A):
    one_end = power_iteration(A, random_state=0).eigenvalue
    other_end = power_iteration(A - one_end * np.eye(len(A)), random_state=0).eigenvalue + one_end
    return min(one_end, other_end)


def _eigenvalues(A):
    return np.linalg.eigvalsh(A)


smallest_eigenvalue = Exercise(
    solution=_smallest_eigenvalue,
    praise="A shift moves the whole spectrum, so power iteration reaches either end of it.",
    cases=[
        (np.diag([5.0, 2.0, 1.0]),),
        (np.array([[3.0, 2.0], [2.0, 3.0]]),),
        (np.diag([4.0, 1.0, -2.0]),),
        (np.diag([-6.0, 1.0, 3.0]),),
        (np.diag([40.0, 5.0, 1.0]),),
    ],
    hint="return a number: the .eigenvalue of A − s·np.eye(len(A)), moved back by s.",
    accepts=lambda got, wanted: abs(got - wanted) < 1e-6,
    mistakes=[
        Mistake(
            lambda A: max(_eigenvalues(A), key=abs),
            "that is the dominant eigenvalue; shift A so that it becomes 0, and search again.",
        ),
        Mistake(
            lambda A: min(_eigenvalues(A) - max(_eigenvalues(A), key=abs), key=lambda x: -abs(x)),
            "that belongs to A − λ₁I; add λ₁ to come back to A.",
        ),
        Mistake(
            lambda A: min(_eigenvalues(A), key=abs),
            "that is the eigenvalue of smallest modulus; the lowest may be negative and large.",
        ),
        Mistake(
            lambda A: sorted(_eigenvalues(A), key=abs)[-2],
            "deflation gives the second largest modulus; a shift reaches the other end.",
        ),
        Mistake(
            lambda A: (
                min(_eigenvalues(A) - max(_eigenvalues(A), key=abs), key=lambda x: -abs(x))
                + max(_eigenvalues(A), key=abs)
            ),
            "the other end of the spectrum is the highest one if the dominant eigenvalue is the "
            "lowest: return the smaller of the two.",
        ),
    ],
    variants=[
        _two_searches,
        lambda A: _eigenvalues(A)[0],
    ],
)


# 5. Explore


def _halves_and_flips(answer, _):
    a, b, d = answer
    low, high = np.linalg.eigvalsh([[a, b], [b, d]])
    return b != 0 and low < 0 and abs(high) < abs(low) and abs(abs(high / low) - 0.5) < 1e-6


def _spectrum(answer):
    """Return the eigenvalues by rising modulus, or None for an answer of another shape."""
    numbers = np.asarray(answer)
    if numbers.shape != (3,) or numbers.dtype.kind not in "if" or not np.isfinite(numbers).all():
        return None
    a, b, d = answer
    return sorted(np.linalg.eigvalsh([[a, b], [b, d]]), key=abs)


half_and_flip = Exercise(
    solution=(-3, 1, -3),
    praise="The sign of λ₁ decides about flipping, |λ₂/λ₁| alone about the speed.",
    hint="give three numbers (a₁₁, a₁₂, a₂₂).",
    accepts=_halves_and_flips,
    mistakes=[
        Mistake(
            (-4, 0, -2),
            "a₁₂ = 0 makes the axes the eigenvectors; choose a₁₂ ≠ 0.",
            lambda answer: bool(_spectrum(answer)) and answer[1] == 0,
        ),
        Mistake(
            (0, 2, 0),
            "|λ₁| = |λ₂|: these arrows jump between two lines and never converge.",
            lambda answer: bool(s := _spectrum(answer)) and np.isclose(s[0], -s[1]),
        ),
        Mistake(
            (3, 1, 3),
            "the arrows do not flip: the dominant eigenvalue must be negative.",
            lambda answer: bool(s := _spectrum(answer)) and s[1] > 0,
        ),
        Mistake(
            (-3, 2, -3),
            "the arrows flip, and the rate is not 0.5: read it in the state line.",
            lambda answer: bool(_spectrum(answer)),
        ),
    ],
    variants=[(-1.5, 0.5, -1.5), (-1, 3, -1), [-3.0, 1.0, -3.0]],
)
