"""Exercises of lesson 4: gradient descent and learning rates."""

import numpy as np

from mflib.descent import critical_learning_rate
from mflib.exercises.base import (
    Exercise,
    Mistake,
    alike,
    as_floats,
    equal,
    mistakes_with,
    number_mistakes,
    on_each,
    one_decimal,
    pair,
    results,
    right_where,
    rounds_to,
    same_where,
)


def _is_multiple(got, wanted, sign):
    """Tell whether `got` is `wanted` times some number of this sign, up to the digits we know."""
    factor = np.vdot(wanted, got) / (np.vdot(wanted, wanted) or 1)
    return (factor * sign > 0 or not np.any(wanted)) and equal(got, factor * wanted, 1e-4)


# 1. By hand


learning_rates_by_hand = Exercise(
    solution=(0.25, 0.2),
    praise="2/8, and 2/(8 + 2). At 0.2 each step leaves 0.6 of both errors; the steep one flips.",
    hint="give the pair (critical, fastest). A step multiplies the errors by 1 − 2η and 1 − 8η.",
    mistakes=[
        Mistake((0.2, 0.25), "the two are swapped: give the critical learning rate first."),
        Mistake(
            (0.5, 0.4),
            "the curvatures are the second derivatives, 2 and 8, not the coefficients 1 and 4.",
            pair(lambda critical, fastest: equal(critical, 0.5) or equal(fastest, 0.4)),
        ),
        Mistake(
            (0.125, 0.2),
            "at 1/8 the steep direction is done in one step; it diverges when 1 − 8η passes −1.",
            pair(lambda critical, _: equal(critical, 0.125)),
        ),
        Mistake(
            (1, 0.2),
            "the steep direction diverges first; the limit is 2 divided by its curvature.",
            pair(lambda critical, _: critical > 0.25),
        ),
        Mistake(
            (0.25, 0.125),
            "there the flat direction is the slower one, with 1 − 2η; a larger η does better.",
            pair(lambda critical, fastest: equal(critical, 0.25) and 0 < fastest < 0.2),
        ),
        Mistake(
            (0.25, 0.22),
            "there the steep direction is the slower one, with 1 − 8η; a smaller η does better.",
            pair(lambda critical, fastest: equal(critical, 0.25) and 0.2 < fastest < 0.25),
        ),
        Mistake(
            (0.25, 0.25),
            "the fastest η lies below the critical one, where the steep error flips for ever.",
            pair(lambda critical, fastest: equal(critical, 0.25) and fastest >= 0.25),
        ),
    ],
    variants=[[0.25, 0.2], np.array([1 / 4, 1 / 5])],
)


# 2. The gradients

_PROBLEMS = [
    (np.array([[6.0, 4.0]]), np.array([[1.0]]), np.array([[2.0], [3.0]])),
    (np.array([[6.0]]), np.array([[1.0]]), np.array([[2.0]])),
    (
        np.array([[4.0, 1.0], [0.0, 2.0]]),
        np.array([[1.0, 2.0], [0.0, 1.0]]),
        np.array([[1.0, 1.0], [3.0, 0.0]]),
    ),
]


def _draw_problems(rng):
    """Yield problems of every shape, not at a minimum: there the gradient is rounding alone."""
    for m, n, k in ((1, 3, 1), (3, 1, 2), (2, 2, 2), (3, 3, 3), (4, 2, 2), (2, 4, 3), (4, 3, 1)):
        for size in (1, 10):
            X, U, V = np.zeros((m, n)), np.zeros((m, k)), np.zeros((n, k))
            while min(np.max(np.abs(gradient)) for gradient in _gradients(X, U, V)) < 1:
                X, U, V = (
                    size * one_decimal(rng, m, n),
                    one_decimal(rng, m, k),
                    one_decimal(rng, n, k),
                )
            yield X, U, V


def _gradients(X, U, V):
    E = U @ V.T - X
    return E @ V, E.T @ U


def _glued(X, U, V):
    return np.concatenate([gradient.ravel() for gradient in _gradients(X, U, V)])


def _times(factor):
    return lambda X, U, V: tuple(factor * gradient for gradient in _gradients(X, U, V))


def _gradients_by_loops(X, U, V):
    G, K = np.zeros(U.shape), np.zeros(V.shape)
    for i, j in np.ndindex(X.shape):
        error = U[i] @ V[j] - X[i, j]
        G[i] += error * V[j]
        K[j] += error * U[i]
    return [G, K]


def _gradients_by_differences(X, U, V, step=1e-5):
    def loss(U, V):
        return np.sum((U @ V.T - X) ** 2) / 2

    G, K = np.zeros(U.shape), np.zeros(V.shape)
    for place in np.ndindex(U.shape):
        D = np.zeros(U.shape)
        D[place] = step
        G[place] = (loss(U + D, V) - loss(U, V)) / step
    for place in np.ndindex(V.shape):
        D = np.zeros(V.shape)
        D[place] = step
        K[place] = (loss(U, V + D) - loss(U, V)) / step
    return G, K


def _gradients_around_a_step(X, U, V):
    G = _gradients(X, U, V)[0]
    return G, _gradients(X, U - 0.1 * G, V)[1]


def _each_gradient(condition):
    """Return a test: the condition holds for both results and the gradients they should be."""
    return on_each(
        lambda got, *case: (
            len(got) == 2 and all(map(condition, map(as_floats, got), _gradients(*case)))
        )
    )


def _by_the_same_factor(sign):
    """Return a test: both results are a multiple of the gradients, by a number of this sign."""
    return _each_gradient(lambda got, wanted: _is_multiple(got, wanted, sign))


gradients = Exercise(
    solution=_gradients,
    praise="Both come from one residual E, so a step costs three products of matrices.",
    hint="with E = U @ V.T - X, the gradient of U is E times the other factor. It has the shape "
    "of U. For V, transpose E.",
    cases=_PROBLEMS,
    draw=_draw_problems,
    accepts=lambda got, wanted: equal(got, wanted, 1e-3),  # differences will do
    mistakes=[
        Mistake(
            _times(-2),
            "the sign: E is U Vᵀ − X. With X − U Vᵀ it points downhill, and subtracting it climbs.",
            _by_the_same_factor(-1),
        ),
        Mistake(
            _times(2),
            "a factor: the 2 of the square and the ½ cancel, and the loss is a sum, not a mean.",
            _by_the_same_factor(1),
        ),
        Mistake(
            lambda X, U, V: _gradients(X, U, V)[::-1],
            "the two are swapped: give the gradient of U first.",
        ),
        Mistake(
            lambda X, U, V: ((U @ V.T - X) @ V, U.T @ (U @ V.T - X)),
            "a gradient lies on its side: that of U has the shape of U, that of V the shape of V.",
            _each_gradient(lambda got, wanted: equal(got, wanted) or equal(got, wanted.T)),
        ),
        Mistake(
            lambda X, U, V: (U - 0.1 * _gradients(X, U, V)[0], V - 0.1 * _gradients(X, U, V)[1]),
            "those are the factors after a step; return the gradients alone.",
            on_each(lambda got, X, U, V: _is_multiple(got[0] - U, _gradients(X, U, V)[0], -1)),
        ),
        *mistakes_with(
            "the product of the factors is U Vᵀ; U V and Uᵀ V fit only where all is square.",
            lambda X, U, V: ((U @ V - X) @ V, (U @ V - X).T @ U),
            lambda X, U, V: ((U.T @ V - X) @ V, (U.T @ V - X).T @ U),
        ),
        Mistake(
            lambda X, U, V: ((U @ V.T - X) @ U, (U @ V.T - X).T @ V),
            "the factors are exchanged, and the shapes fit only where X is square: U meets X "
            "through V, so its gradient is E V.",
        ),
        Mistake(
            lambda X, U, V: ((U @ V.T - X) @ V, (U @ V.T - X) @ U),
            "E U fits only where X is square. A row of V belongs to a column of X: Eᵀ U.",
        ),
        Mistake(
            lambda X, U, V: ((U @ V.T - X) * V, (U @ V.T - X).T * U),
            "* multiplies entry by entry; the product of matrices is @.",
        ),
        Mistake(
            lambda X, U, V: _gradients(X, U, V)[0],
            "that is the gradient of U alone; return both, as a pair.",
        ),
        Mistake(
            lambda X, U, V: U @ V.T - X,
            "that is the residual E; each gradient is a product of E and a factor.",
        ),
        Mistake(
            lambda X, U, V: tuple(part.ravel() for part in _gradients(X, U, V)),
            "the numbers are right; each gradient has the shape of its factor.",
            on_each(
                lambda got, *case: equal(
                    np.concatenate(list(map(np.ravel, got))), _glued(*case), 1e-3
                )
            ),
        ),
        Mistake(
            _gradients_around_a_step,
            "U's is right; V's is its mirror image, for Xᵀ ≈ V Uᵀ, with the same E and the U that "
            "was given, before any step.",
            on_each(lambda got, *case: len(got) == 2 and equal(got[0], _gradients(*case)[0], 1e-3)),
        ),
    ],
    variants=[
        _gradients_by_loops,
        lambda X, U, V: (U @ (V.T @ V) - X @ V, V @ (U.T @ U) - X.T @ U),
        lambda X, U, V: (-(X - U @ V.T) @ V, (U.T @ (U @ V.T - X)).T),
        _gradients_by_differences,
    ],
)


# 3. The critical learning rate of a half step

_FACTORS = [
    (np.array([[1.0], [2.0], [2.0]]), np.array([[1.0], [1.0]])),
    (np.diag([1.0, 3.0]), np.diag([2.0, 5.0])),  # the largest eigenvalue comes last,
    (np.diag([3.0, 1.0]), np.diag([2.0, 5.0])),  # and first,
    (np.array([[1.0, 1.0], [1.0, 2.0]]), np.eye(2)),  # and so in what eigvals lists
    (np.array([[2.0, 1.0], [1.0, 1.0]]), np.eye(2)),
    (np.eye(4) + np.outer([1, -1, 1, -1], [1, -1, 1, -1]), np.eye(4)),  # orthogonal to ones
]


def _draw_factors(rng):
    """Yield factors of every shape, with λ_max well above the other eigenvalues of UᵀU."""
    for m, n, k in ((1, 2, 1), (3, 1, 2), (2, 3, 2), (3, 3, 3), (4, 3, 2), (2, 4, 3), (6, 5, 4)):
        for size in (1, 10):
            sigma = np.ones(2)
            while sigma[0] < 1 or sigma[1] > 0.7 * sigma[0]:
                U = one_decimal(rng, m, k)
                sigma = np.append(np.linalg.svd(U, compute_uv=False), 0)
            yield size * U, one_decimal(rng, n, k)


def _critical_rate(U, V):
    return 2 / np.linalg.eigvalsh(U.T @ U)[-1]


def _iterated(U, v):
    for _ in range(100):
        w = U.T @ (U @ v)
        v = w / np.linalg.norm(w)
    return 2 / (v @ U.T @ U @ v)


def _from_first_axis(U, V):
    return _iterated(U, np.eye(U.shape[1])[0])


def _from_ones(U, V):
    return _iterated(U, np.ones(U.shape[1]))


def _from_anywhere(U, V):
    return _iterated(U, np.random.default_rng().normal(size=U.shape[1]))


def _is_seen_from(start):
    """Return whether a start has a share of the eigenvector of λ_max; None if hardly any."""

    def condition(U, V):
        share = abs(np.linalg.svd(U)[2][0] @ start(U))
        return share > 1e-9 if abs(share - 1e-5) > 1e-5 else None

    return condition


def _without_zero(U, V):
    """Tell whether 0 is no eigenvalue of UᵀU: what comes out for it is anything."""
    return np.linalg.matrix_rank(U) == U.shape[1]


def _by_smallest(U, V):
    return 2 / np.linalg.eigvalsh(U.T @ U)[0]


def _uses_v(function, cases):
    once, again = (list(results(function, cases)) for _ in range(2))
    others = results(function, [(U, 9 * V + 1) for U, V in cases])
    return all(map(alike, once, again)) and not all(map(alike, once, others))


critical_rate = Exercise(
    solution=_critical_rate,
    praise="Neither X nor V is in it: how steep the half step is follows from the other factor.",
    hint="2 / λ_max(UᵀU): np.linalg.eigvalsh lists the eigenvalues, the largest one last.",
    cases=_FACTORS,
    draw=_draw_factors,
    accepts=lambda got, wanted: equal(got, wanted, 1e-3),
    mistakes=[
        Mistake(
            lambda U, V: 2 / np.linalg.eigvalsh(U.T @ U),
            "give one number: of all the eigenvalues only the largest counts.",
            lambda function, cases: any(np.size(got) > 1 for got in results(function, cases)),
        ),
        Mistake(
            lambda U, V: 1 / np.linalg.norm(U @ V.T, 2),
            "1/σ₁ of U Vᵀ limits steps of both factors at once; here only V moves.",
        ),
        Mistake(
            lambda U, V: 2 / np.linalg.norm(V, 2) ** 2,
            "VᵀV is the Hessian of U's half step; that of V's is UᵀU, without V.",
            _uses_v,
        ),
        *(
            Mistake(
                answer,
                "np.linalg.eigvals lists the eigenvalues in no order; np.linalg.eigvalsh from the "
                "smallest to the largest.",
                same_where(_without_zero, answer),
            )
            for answer in (
                lambda U, V: 2 / np.linalg.eigvals(U.T @ U)[0],
                lambda U, V: 2 / np.linalg.eigvals(U.T @ U)[-1],
            )
        ),
        Mistake(
            _by_smallest,
            "that is the smallest eigenvalue; the largest sets the limit.",
            same_where(_without_zero, _by_smallest),
        ),
        *(
            Mistake(
                answer,
                "the start of that iteration has no share of the eigenvector of λ_max for some U; "
                "start at random.",
                right_where(_is_seen_from(start), _critical_rate, 1e-3),
            )
            for answer, start in (
                (_from_first_axis, lambda U: np.eye(U.shape[1])[0]),
                (
                    lambda U, V: _iterated(U, np.eye(U.shape[1])[-1]),
                    lambda U: np.eye(U.shape[1])[-1],
                ),
                (_from_ones, lambda U: np.ones(U.shape[1])),
            )
        ),
        Mistake(
            lambda U, V: 2 / np.sum(np.linalg.eigvalsh(U.T @ U)[[0, -1]]),
            "2/(λ_max + λ_min) is the fastest learning rate; the limit is 2/λ_max.",
        ),
        *mistakes_with(
            "np.linalg.norm(…, 1) and (…, np.inf) are sums of moduli, no less than λ_max and "
            "mostly more; (…, 2) is λ_max.",
            lambda U, V: 2 / np.linalg.norm(U.T @ U, 1),
            lambda U, V: 2 / np.linalg.norm(U, 1) ** 2,
            lambda U, V: 2 / np.linalg.norm(U, np.inf) ** 2,
        ),
        Mistake(
            lambda U, V: 1 / np.linalg.norm(U, 2) ** 2,
            "1/λ_max is the safe step; the step diverges above twice that.",
        ),
        *mistakes_with(
            "that divides by σ₁(U); the largest eigenvalue of UᵀU is its square.",
            lambda U, V: 2 / np.linalg.norm(U, 2),
            lambda U, V: 1 / np.linalg.norm(U, 2),
        ),
        *mistakes_with(
            "the trace and np.linalg.norm of a matrix (its Frobenius norm) count all eigenvalues; "
            "only the largest sets the limit.",
            lambda U, V: 2 / np.linalg.norm(U.T @ U),
            lambda U, V: 2 / np.linalg.norm(U) ** 2,
            lambda U, V: 2 / np.linalg.norm(U),
        ),
        Mistake(
            lambda U, V: 2 / np.max(np.diag(U.T @ U)),
            "the diagonal of UᵀU holds its eigenvalues only if the columns of U are orthogonal.",
        ),
        *mistakes_with(
            "that is upside down: λ_max is the largest curvature, and the limit is 2/λ_max.",
            lambda U, V: np.linalg.norm(U, 2) ** 2,
            lambda U, V: np.linalg.norm(U, 2) ** 2 / 2,
        ),
    ],
    variants=[
        _from_anywhere,
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


_RATINGS = [
    (
        np.array([[3.0, 9.0], [9.0, 5.0]]),
        np.array([[True, False], [False, True]]),
        np.array([[1.0], [1.0]]),
        np.array([[2.0], [1.0]]),
        0.1,
    ),
    (
        np.array([[5.0, 3.0], [-1.0, 9.0]]),
        np.array([[True, True], [False, False]]),
        np.array([[1.0, 0.0], [2.0, 1.0]]),
        np.array([[1.0, 2.0], [0.0, 3.0]]),
        0.01,
    ),
]


def _draw_ratings(rng):
    """Yield tables of every shape: with few ratings, with all, and with a row without any."""
    for m, n, k in ((1, 3, 1), (3, 1, 2), (2, 2, 2), (3, 3, 3), (4, 3, 2), (2, 4, 3)):
        for share in (0.3, 0.6, 1):
            X, U, V = one_decimal(rng, m, n), one_decimal(rng, m, k), one_decimal(rng, n, k)
            M = rng.random((m, n)) < share
            if share < 0.5 and m > 1:
                M[rng.integers(m)] = False
            gaps = rng.choice([0, 1, 1000]) * one_decimal(rng, m, n)
            yield np.where(M, X, gaps), M, U, V, round(rng.uniform(0.01, 0.2), 2)


def _ignores_mask(function, cases):
    others = results(function, [(X, ~M, *rest) for X, M, *rest in cases])
    return all(map(alike, results(function, cases), others))


def _step_is_multiple(sign):
    """Return a test: the answer moves U along the right step, times some number of this sign."""

    def condition(got, X, M, U, V, eta):
        step = _masked_step(X, M, U, V, eta) - U
        return not step.any() or _is_multiple(got - U, step, sign)

    return on_each(condition)


masked_step = Exercise(
    solution=_masked_step,
    praise="A missing entry pulls at nothing: a row without any observation stays where it is.",
    hint="where M is False, the residual is zero, whatever U Vᵀ and X are: M * (U @ V.T - X).",
    cases=_RATINGS,
    draw=_draw_ratings,
    mistakes=[
        Mistake(
            lambda X, M, U, V, eta: U - eta * np.where(X > 0, U @ V.T - X, 0) @ V,
            "the result does not depend on M, and only M tells a rating from a gap.",
            _ignores_mask,
        ),
        Mistake(
            lambda X, M, U, V, eta: U - eta * (U @ V.T - M * X) @ V,
            "the mask is on X only, so every missing entry counts as a zero to be fitted.",
        ),
        Mistake(
            lambda X, M, U, V, eta: U - eta * (M * (U @ V.T) - X) @ V,
            "the mask is on U Vᵀ only, and what X holds in the gaps comes in as a residual.",
        ),
        Mistake(
            lambda X, M, U, V, eta: U - eta * (~M * (U @ V.T - X)) @ V,
            "the mask is upside down: M is True where X was observed.",
        ),
        *mistakes_with(
            "M has the shape of X and masks the residual entry by entry, before the product with "
            "V: M * (…), neither M @ (…) nor (…)[M].",
            lambda X, M, U, V, eta: U - eta * (M @ (U @ V.T - X)) @ V,
            lambda X, M, U, V, eta: U - eta * (U @ V.T - X)[M] @ V,
            lambda X, M, U, V, eta: U - eta * M * ((U @ V.T - X) @ V),
        ),
        Mistake(
            lambda X, M, U, V, eta: U + eta * (M * (U @ V.T - X)) @ V,
            "that climbs: subtract the gradient.",
            _step_is_multiple(-1),
        ),
        Mistake(
            lambda X, M, U, V, eta: U - eta * (M * (U @ V.T - X)) @ V / M.sum(),
            "the direction is right, the length is not: η times the gradient of half the sum, "
            "without a 2 and without dividing by the number of ratings.",
            _step_is_multiple(1),
        ),
        *mistakes_with(
            "that is a part of the step; return the new U, U − η E V.",
            lambda X, M, U, V, eta: M * (U @ V.T - X),
            lambda X, M, U, V, eta: (M * (U @ V.T - X)) @ V,
            lambda X, M, U, V, eta: eta * (M * (U @ V.T - X)) @ V,
        ),
        Mistake(
            lambda X, M, U, V, eta: V - eta * (M * (U @ V.T - X)).T @ U,
            "that is the step of V; return the new U.",
        ),
        Mistake(
            lambda X, M, U, V, eta: (_masked_step(X, M, U, V, eta), V),
            "the new U is right; return it alone.",
            on_each(lambda got, *case: len(got) == 2 and equal(got[0], _masked_step(*case))),
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


scale = Exercise(
    solution=np.sqrt(2),
    praise="c² = 2. Unbalanced minima are steeper, so large steps end nearer to balance.",
    hint="give one number. The minimum u = c√5, v = √5/c holds while u² + v² is below 2/η.",
    accepts=rounds_to,
    mistakes=[
        Mistake("1.41", "give a number, without quotes.", lambda c: isinstance(c, str)),
        Mistake(1.4, "close, but not to two decimals.", lambda c: abs(c - np.sqrt(2)) < 0.05),
        *number_mistakes((2, "that is c²; take the square root.")),
        Mistake(
            np.sqrt(0.5),
            "c is at least 1, so that u grows. (The minimum at 1/c is as steep as that at c.)",
            lambda c: c < 1,
        ),
        Mistake(
            1.25,
            "η = 0.16 still holds that minimum: u = c√5, v = √5/c, and u² + v² is below 2/η.",
            lambda c: 1 <= c < np.sqrt(2),
        ),
        Mistake(
            1.5,
            "a smaller c lets go already: u = c√5, v = √5/c, and u² + v² is above 2/η.",
            lambda c: c > np.sqrt(2),
        ),
    ],
    variants=[1.41, 1.414, 2**0.5],
)
