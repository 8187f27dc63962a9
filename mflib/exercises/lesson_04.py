"""Exercises of lesson 4: gradient descent and learning rates."""

from copy import deepcopy

import numpy as np

from mflib.descent import critical_learning_rate
from mflib.exercises.base import Exercise, Mistake, equal

# 1. By hand


def _place_is(place, number):
    """Return a condition: two numbers, and the one at this place is this number."""
    return lambda answer: np.shape(answer) == (2,) and equal(answer[place], number)


learning_rates_by_hand = Exercise(
    solution=(0.25, 0.2),
    praise="2/8, and 2/(8 + 2). At 0.2 both errors shrink by 0.6 a step, and the steep one flips.",
    hint="give the pair (critical, fastest). A step multiplies the errors by 1 − 2η and 1 − 8η.",
    mistakes=[
        Mistake((0.2, 0.25), "the two are swapped: give the critical learning rate first."),
        Mistake(
            (0.5, 0.4),
            "the curvatures are the second derivatives, 2 and 8, not the coefficients 1 and 4.",
            _place_is(0, 0.5),
        ),
        Mistake(
            (0.125, 0.2),
            "at 1/8 the steep direction is done in one step; it diverges when 1 − 8η passes −1.",
            _place_is(0, 0.125),
        ),
        Mistake(
            (1, 0.2),
            "2/2 is the limit of the flat direction; the steep one diverges long before.",
            _place_is(0, 1),
        ),
        Mistake(
            (4, 5),
            "that is upside down: the steeper the valley, the smaller the step.",
            _place_is(0, 4),
        ),
        Mistake(
            (0.25, 0.125),
            "at 1/8 the flat direction keeps 1 − 2/8 = 0.75 of its error; a larger η does better.",
            _place_is(1, 0.125),
        ),
        Mistake(
            (0.25, 0.1),
            "at 0.1 the flat direction keeps 0.8 of its error and the steep one 0.2: both shrink "
            "alike where 1 − 2η = −(1 − 8η).",
            _place_is(1, 0.1),
        ),
        Mistake(
            (0.25, 0.25),
            "at the critical learning rate the steep error becomes −1 times itself, for ever.",
            _place_is(1, 0.25),
        ),
        Mistake(
            (0.25, 0.5),
            "the fastest η must lie below the critical one.",
            lambda answer: np.shape(answer) == (2,) and equal(answer[0], 0.25) and answer[1] > 0.25,
        ),
    ],
    variants=[[0.25, 0.2], np.array([1 / 4, 1 / 5])],
)


# 2. The gradients

# All matrices are square, so that a product in the wrong order runs and can get its hint.
_PROBLEMS = [
    (np.array([[6.0]]), np.array([[1.0]]), np.array([[2.0]])),
    (
        np.array([[4.0, 1.0], [0.0, 2.0]]),
        np.array([[1.0, 2.0], [0.0, 1.0]]),
        np.array([[1.0, 1.0], [3.0, 0.0]]),
    ),
    (
        np.array([[5.0, 3.0], [1.0, 1.0]]),
        np.array([[2.0, 0.0], [1.0, 1.0]]),
        np.array([[1.0, -1.0], [0.0, 2.0]]),
    ),
]


def _gradients(X, U, V):
    E = U @ V.T - X
    return E @ V, E.T @ U


def _times(factor):
    return lambda X, U, V: tuple(factor * gradient for gradient in _gradients(X, U, V))


def _mean_gradients(X, U, V):
    return _times(1 / X.size)(X, U, V)


def _gradients_by_loops(X, U, V):
    G, K = np.zeros(U.shape), np.zeros(V.shape)
    for i, j in np.ndindex(X.shape):
        error = U[i] @ V[j] - X[i, j]
        G[i] += error * V[j]
        K[j] += error * U[i]
    return [G, K]


def _equal_pairs(got, wanted):
    return len(got) == 2 and all(map(equal, got, wanted))


def _results(function):
    return [function(*deepcopy(problem)) for problem in _PROBLEMS]


def _pair_mistake(answer, hint):
    """Return the mistake of giving the same pairs as `answer`."""
    return Mistake(
        answer, hint, lambda function: all(map(_equal_pairs, _results(function), _results(answer)))
    )


gradients = Exercise(
    solution=_gradients,
    praise="Both come from one residual E, so a step costs three products of matrices.",
    hint="with E = U @ V.T - X, return the pair E @ V, E.T @ U.",
    cases=_PROBLEMS,
    accepts=_equal_pairs,
    mistakes=[
        _pair_mistake(
            _times(2),
            "the factor 2 of the square and the ½ before it cancel.",
        ),
        _pair_mistake(
            _times(-1),
            "the sign: E is U Vᵀ − X. With X − U Vᵀ it points downhill, and subtracting it climbs.",
        ),
        _pair_mistake(
            _times(-2),
            "the sign and a factor: E is U Vᵀ − X, and the 2 of the square cancels the ½.",
        ),
        _pair_mistake(
            _times(0.5),
            "the square gives a factor 2, which cancels the ½.",
        ),
        _pair_mistake(
            _mean_gradients,
            "that divides by the number of entries; this loss is a sum.",
        ),
        _pair_mistake(
            lambda X, U, V: ((U @ V.T - X) @ U, (U @ V.T - X).T @ V),
            "the factors are exchanged, and the shapes fit only because X is square: U meets X "
            "through V, so its gradient is E V.",
        ),
        _pair_mistake(
            lambda X, U, V: ((U @ V.T - X) @ V, (U @ V.T - X) @ U),
            "E U fits only because X is square. A row of V belongs to a column of X: Eᵀ U.",
        ),
        _pair_mistake(
            lambda X, U, V: ((U @ V.T - X) @ V, U.T @ (U @ V.T - X)),
            "Uᵀ E is the gradient lying on its side; it needs the shape of V.",
        ),
        _pair_mistake(
            lambda X, U, V: _gradients(X, U, V)[::-1],
            "the two are swapped: give the gradient of U first.",
        ),
        _pair_mistake(
            lambda X, U, V: ((U @ V - X) @ V, (U @ V - X).T @ U),
            "U V fits only because both are square here: the product of the factors is U Vᵀ.",
        ),
        _pair_mistake(
            lambda X, U, V: ((U.T @ V - X) @ V, (U.T @ V - X).T @ U),
            "Uᵀ V has k rows and k columns, and fits only because X is as small; E is U Vᵀ − X.",
        ),
        _pair_mistake(
            lambda X, U, V: ((U @ V.T - X) * V, (U @ V.T - X).T * U),
            "* multiplies entry by entry; the product of matrices is @.",
        ),
        Mistake(
            lambda X, U, V: _gradients(X, U, V)[0],
            "that is the gradient of U alone; return both, as a pair.",
            lambda function: all(
                equal(got, wanted[0])
                for got, wanted in zip(_results(function), _results(_gradients), strict=True)
            ),
        ),
    ],
    variants=[
        _gradients_by_loops,
        lambda X, U, V: (U @ (V.T @ V) - X @ V, V @ (U.T @ U) - X.T @ U),
        lambda X, U, V: (-(X - U @ V.T) @ V, (U.T @ (U @ V.T - X)).T),
    ],
)


# 3. The critical learning rate of a half step

_TALL = np.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0]])  # UᵀU has the eigenvalues 17 and 1


def _critical_rate(U, V):
    return 2 / np.linalg.eigvalsh(U.T @ U)[-1]


def _by_own_iteration(U, V):
    v = np.ones(U.shape[1])
    for _ in range(100):
        w = U.T @ (U @ v)
        v = w / np.linalg.norm(w)
    return 2 / (v @ U.T @ U @ v)


critical_rate = Exercise(
    solution=_critical_rate,
    praise="Neither X nor V is in it: how steep the half step is follows from the other factor.",
    hint="2 / λ_max(UᵀU): np.linalg.eigvalsh lists the eigenvalues, the largest one last.",
    cases=[
        (np.array([[1.0], [2.0], [2.0]]), np.array([[1.0], [1.0]])),
        (np.diag([3.0, 1.0]), np.diag([2.0, 5.0])),
        (_TALL, np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 3.0]])),
        (10 * _TALL, np.array([[1.0, 1.0]])),
    ],
    accepts=lambda got, wanted: np.size(got) == 1 and abs(got / wanted - 1) < 1e-3,
    mistakes=[
        Mistake(
            lambda U, V: 1 / np.linalg.norm(U, 2) ** 2,
            "1/λ_max is the safe step; the step diverges above twice that.",
        ),
        Mistake(
            lambda U, V: 2 / np.linalg.norm(U, 2),
            "that divides by σ₁(U); the largest eigenvalue of UᵀU is its square.",
        ),
        Mistake(
            lambda U, V: 1 / np.linalg.norm(U, 2),
            "1/σ₁ of X limits steps of both factors at once; here only V moves: 2/λ_max(UᵀU).",
        ),
        Mistake(
            lambda U, V: 2 / np.linalg.eigvalsh(U.T @ U)[0],
            "that is the smallest eigenvalue; the steepest direction diverges first.",
        ),
        Mistake(
            lambda U, V: 2 / np.linalg.norm(V, 2) ** 2,
            "VᵀV is the Hessian of U's half step; that of V's comes from U.",
        ),
        Mistake(
            lambda U, V: 2 / max(np.linalg.norm(U, 2), np.linalg.norm(V, 2)) ** 2,
            "that keeps both half steps stable; only V's is asked.",
        ),
        Mistake(
            lambda U, V: 2 / np.linalg.norm(U) ** 2,
            "that divides by the sum of all eigenvalues (the Frobenius norm squared, the trace); "
            "only the largest counts.",
        ),
        Mistake(
            lambda U, V: 2 / np.linalg.norm(U),
            "np.linalg.norm of a matrix is the Frobenius norm; take the largest eigenvalue of UᵀU.",
        ),
        Mistake(
            lambda U, V: 2 / np.max(np.diag(U.T @ U)),
            "the diagonal of UᵀU holds its eigenvalues only if the columns of U are orthogonal.",
        ),
        Mistake(
            lambda U, V: np.linalg.norm(U, 2) ** 2,
            "that is the largest curvature λ_max; the learning rate is 2/λ_max.",
        ),
        Mistake(
            lambda U, V: np.linalg.norm(U, 2) ** 2 / 2,
            "that is upside down: the steeper, the smaller the step.",
        ),
    ],
    variants=[
        _by_own_iteration,
        lambda U, V: critical_learning_rate(U.T @ U, random_state=0),
        lambda U, V: 2 / np.linalg.norm(U @ U.T, 2),
        lambda U, V: 2 / np.linalg.svd(U)[1][0] ** 2,
    ],
)


# 4. Find the bug


def _masked_step(X, M, U, V, eta):
    return U - eta * (M * (U @ V.T - X)) @ V


def _step_with_where(X, M, U, V, eta):
    U -= eta * np.where(M, U @ V.T - X, 0) @ V
    return U


def _step_by_loops(X, M, U, V, eta):
    new = U.copy()
    for i, j in np.argwhere(M):
        new[i] -= eta * (U[i] @ V[j] - X[i, j]) * V[j]
    return new


_RATINGS = np.array([[5.0, -1.0, 3.0], [-1.0, -1.0, -1.0], [2.0, 4.0, -1.0]])
_U = np.array([[1.0, 0.0], [2.0, 1.0], [1.0, 1.0]])
_V = np.array([[1.0, 2.0], [2.0, 1.0], [0.0, 3.0]])

masked_step = Exercise(
    solution=_masked_step,
    praise="A missing entry pulls at nothing: a row without any observation stays where it is.",
    hint="where M is False, the residual is zero, whatever U Vᵀ and X are: M * (U @ V.T - X).",
    cases=[
        (
            np.array([[3.0, -1.0]]),
            np.array([[True, False]]),
            np.array([[1.0]]),
            np.array([[2.0], [1.0]]),
            0.1,
        ),
        (_RATINGS, _RATINGS > 0, _U, _V, 0.1),
        (np.abs(_RATINGS), np.full((3, 3), True), _U, _V, 0.01),
    ],
    mistakes=[
        Mistake(
            lambda X, M, U, V, eta: U - eta * (U @ V.T - M * X) @ V,
            "the mask is on X only, so every missing entry counts as a zero to be fitted.",
        ),
        Mistake(
            lambda X, M, U, V, eta: U - eta * (M * (U @ V.T) - X) @ V,
            "the mask is on U Vᵀ only, and the −1 of the missing entries comes in as a residual.",
        ),
        Mistake(
            lambda X, M, U, V, eta: U - eta * (U @ V.T - X) @ V,
            "without the mask every missing entry counts as a rating of −1.",
        ),
        Mistake(
            lambda X, M, U, V, eta: U - eta * (~M * (U @ V.T - X)) @ V,
            "the mask is upside down: M is True where X was observed.",
        ),
        Mistake(
            lambda X, M, U, V, eta: U + eta * (M * (U @ V.T - X)) @ V,
            "that climbs: subtract the gradient.",
        ),
        Mistake(
            lambda X, M, U, V, eta: U - 2 * eta * (M * (U @ V.T - X)) @ V,
            "the ½ before the square cancels the 2; the step is twice too long.",
        ),
        Mistake(
            lambda X, M, U, V, eta: U - (M * (U @ V.T - X)) @ V,
            "η is missing.",
        ),
        Mistake(
            lambda X, M, U, V, eta: (M * (U @ V.T - X)) @ V,
            "that is the gradient; return the new U, U − η times the gradient.",
        ),
        Mistake(
            lambda X, M, U, V, eta: M * (U @ V.T - X),
            "that is the residual E; return the new U, U − η E V.",
        ),
        Mistake(
            lambda X, M, U, V, eta: V - eta * (M * (U @ V.T - X)).T @ U,
            "that is the step of V; return the new U.",
        ),
    ],
    variants=[
        _step_with_where,
        _step_by_loops,
        lambda X, M, U, V, eta: U - eta * (M * (U @ V.T) - M * X) @ V,
        lambda X, M, U, V, eta: U + eta * np.where(M, X - U @ V.T, 0) @ V,
    ],
)


# 5. Explore


def _about(got, wanted):
    return np.shape(got) == () and abs(got - wanted) < 0.01


def _number_mistake(number, hint):
    """Return the mistake of giving about this number."""
    return Mistake(number, hint, lambda answer: _about(answer, number))


scale = Exercise(
    solution=np.sqrt(2),
    praise="c² = 2. Unbalanced minima are steeper, so large steps end nearer to balance.",
    hint="at the limit u² + v² = 2/η, that is 5c² + 5/c² = 12.5. Give c to two decimals.",
    accepts=_about,
    mistakes=[
        _number_mistake(
            2,
            "that is c²; take the square root.",
        ),
        _number_mistake(
            np.sqrt(0.5),
            "that minimum is as steep, with small u and large v; c is above 1.",
        ),
        _number_mistake(
            np.sqrt(2.5),
            "5c² = 12.5 leaves out v: the curvature is u² + v² = 5c² + 5/c².",
        ),
        _number_mistake(
            np.sqrt(1.25),
            "10c² = 12.5 scales both: u grows by c, but v shrinks, so the curvature is 5c² + 5/c².",
        ),
        _number_mistake(
            1,
            "at c = 1 the curvature is 10, and η = 0.16 holds it: the limit is 2/η, not 1/η.",
        ),
        _number_mistake(
            np.sqrt(10),
            "that is u; c is u/√5.",
        ),
        _number_mistake(
            2.5,
            "2.5 is c² + 1/c² at the limit; solve for c.",
        ),
        _number_mistake(
            12.5,
            "12.5 is the curvature 2/η at the limit; which c has it?",
        ),
    ],
    variants=[1.41, 1.414, 2**0.5],
)
