"""Exercises of lesson 2: the singular value decomposition."""

import numpy as np

from mflib.datasets import load_photograph
from mflib.exercises.base import (
    Exercise,
    Mistake,
    mistakes_with,
    one_decimal,
    results,
    right_where,
    rounds_to,
)

# 1. By hand


def _to_three_decimals(got, wanted):
    return np.shape(got) == (2,) and all(map(rounds_to, got, wanted, (3, 3)))


singular_values_by_hand = Exercise(
    solution=(np.sqrt(45), np.sqrt(5)),
    praise="XᵀX has the rows (25, 20) and (20, 25), with the eigenvalues 45 and 5.",
    hint="form XᵀX, find its two eigenvalues, and take their square roots.",
    accepts=_to_three_decimals,
    mistakes=[
        Mistake((45, 5), "those are the eigenvalues of XᵀX; take the square roots."),
        Mistake((5, 3), "those are the eigenvalues of X; the singular values come from XᵀX."),
        Mistake(
            (np.sqrt(5), np.sqrt(45)),
            "give the larger one first.",
            lambda answer: _to_three_decimals(answer, (np.sqrt(5), np.sqrt(45))),
        ),
        Mistake(
            (6.71, 2.24),
            "three decimals, please.",
            lambda answer: np.allclose(answer, (np.sqrt(45), np.sqrt(5)), rtol=0, atol=0.05),
        ),
        Mistake((5, 5), "those are the lengths of the columns; the columns are not orthogonal."),
    ],
    variants=[(6.708, 2.236), [3 * np.sqrt(5), np.sqrt(5)]],
)


# 2. The best approximation


def _layers(X, weights):
    """Return U W Vᵀ with other weights than the singular values."""
    U, sigma, Vt = np.linalg.svd(X, full_matrices=False)
    return (U * weights(sigma)) @ Vt


def _approximation(X, k):
    return _layers(X, lambda sigma: sigma * (np.arange(len(sigma)) < k))


def _the_smallest(X, k):
    return _layers(X, lambda sigma: sigma * (np.arange(len(sigma)) >= len(sigma) - k))


def _columns_of_Vt(X, k, full_matrices=True):
    U, sigma, Vt = np.linalg.svd(X, full_matrices)
    return (U[:, :k] * sigma[:k]) @ Vt[:, :k].T


def _rows_of_U(X, k):
    U, sigma, Vt = np.linalg.svd(X, full_matrices=False)
    return (U[:k] * sigma) @ Vt


def _cuts_the_matrix(X, k):
    cut = np.zeros_like(X)
    cut[:k, :k] = X[:k, :k]
    return cut


def _of_centred(X, k):
    return _approximation(X - X.mean(axis=0), k) + X.mean(axis=0)


def _draw_approximations(rng):
    """Yield X and k such that there is one best answer: σₖ is well above σₖ₊₁."""
    for m, n in ((1, 3), (4, 1), (2, 2), (3, 3), (4, 4), (3, 5), (5, 3)):
        for k in range(1, min(m, n) + 1):
            sigma = np.zeros(k)
            while len(sigma) <= k or sigma[k] > 0.8 * sigma[k - 1]:
                X = one_decimal(rng, m, n)
                sigma = np.append(np.linalg.svd(X, compute_uv=False), 0)
            yield X, k
    yield np.outer(rng.integers(1, 4, 3), rng.integers(1, 4, 4)).astype(float), 2  # of rank 1


_WIDE = np.array([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], [1.0, 0.0, 1.0, 0.0]])

approximation = Exercise(
    solution=_approximation,
    praise="Eckart and Young: no matrix of rank k is closer.",
    hint="take the first k columns of U, the first k values and the first k rows of Vt.",
    cases=[(np.diag([1.0, 2.0]), 1), (_WIDE, 1), (_WIDE, 2), (_WIDE.T, 2)],
    draw=_draw_approximations,
    mistakes=[
        Mistake(
            lambda X, k: _layers(X, lambda sigma: np.arange(len(sigma)) < k),
            "the singular values are missing between U and Vt.",
        ),
        *mistakes_with(
            "each layer has its singular value once: neither its root nor its square.",
            lambda X, k: _layers(X, lambda sigma: sigma**0.5 * (np.arange(len(sigma)) < k)),
            lambda X, k: _layers(X, lambda sigma: sigma**2 * (np.arange(len(sigma)) < k)),
        ),
        Mistake(
            lambda X, k: _approximation(X, k + 1), "those are k + 1 layers; [:k] takes the first k."
        ),
        Mistake(
            lambda X, k: _approximation(X, k - 1),
            "those are k − 1 layers; [:k] takes the first k, from 0 to k − 1.",
        ),
        Mistake(_the_smallest, "those are the k smallest singular values; they come last."),
        Mistake(
            lambda X, k: _approximation(X, k) - _approximation(X, k - 1),
            "that is layer k alone; add the layers 1 to k.",
        ),
        *mistakes_with(
            "NumPy returns Vᵀ, not V: take its first k rows.",
            _columns_of_Vt,
            lambda X, k: _columns_of_Vt(X, k, full_matrices=False),
        ),
        Mistake(_rows_of_U, "a layer takes a column of U: U[:, :k], not U[:k]."),
        Mistake(_cuts_the_matrix, "cut the factors U, Σ and Vt, not the matrix itself."),
        Mistake(
            _of_centred, "the mean was subtracted, as PCA does; the best of rank k is that of X."
        ),
        Mistake(
            lambda X, k: X @ np.linalg.svd(X, full_matrices=False)[2][:k].T,
            "those are the coordinates, U Σ; multiply by the first k rows of Vt.",
        ),
        Mistake(
            lambda X, k: _approximation(X, k).T, "it lies on its side: U stands left, and Vt right."
        ),
        Mistake(lambda X, k: X.copy(), "that is X itself, for every k."),
    ],
    variants=[
        lambda X, k: sum(
            sigma * np.outer(u, v)
            for u, sigma, v in list(zip(*_columns_and_rows(X), strict=True))[:k]
        ),
        lambda X, k: X @ _projector(X, k),
    ],
)


def _columns_and_rows(X):
    U, sigma, Vt = np.linalg.svd(X, full_matrices=False)
    return U.T, sigma, Vt


def _projector(X, k):
    Vt = np.linalg.svd(X, full_matrices=False)[2]
    return Vt[:k].T @ Vt[:k]


# 3. Find the bug


def _pseudo_inverse(X):
    return _inverted(X, 1e-10)


def _with_weights(X, weights):
    return _layers(X, weights).T


def _inverted(X, share, limit=0):
    """Invert the singular values above a share of the largest, and above a limit."""

    def weights(sigma):
        large = (sigma > share * sigma[0]) & (sigma > limit)
        return np.divide(1, sigma, out=np.zeros_like(sigma), where=large)

    return _with_weights(X, weights)


_RANK_ONE = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])


def _draw_for_inversion(rng):
    """Yield matrices of every shape and rank: small and large, also close to a lower rank."""
    for m, n in ((1, 1), (1, 3), (3, 1), (2, 2), (3, 3), (4, 2), (2, 4)):
        for rank in range(1, min(m, n) + 1):
            X = np.zeros((m, n))
            while np.linalg.matrix_rank(X) < rank:
                X = rng.integers(-2, 3, (m, rank)) @ rng.integers(-2, 3, (rank, n)) * 1.0
            yield (X * rng.choice([1.0, 1.0, 1e-12, 1e8]),)
    Q, sigma = np.linalg.qr(rng.normal(size=(3, 3)))[0], np.array([1, 0.1, 1e-6])
    yield (Q * rng.uniform(0.5, 1, 3) * sigma @ Q.T,)


def _full_rank(X):
    return np.linalg.matrix_rank(X) == min(X.shape)


def _explodes(function, cases):
    """Tell whether it gives huge numbers or nan at a lower rank, and is right at a full one."""
    lower = [case for case in cases if not _full_rank(*case) and case[0].any()]
    return right_where(lambda X: _full_rank(X) or None, _pseudo_inverse)(function, cases) and any(
        not np.all(np.abs(got) < 1e6 * np.abs(wanted).max())
        for got, wanted in zip(
            results(function, lower), results(_pseudo_inverse, lower), strict=True
        )
    )


def _independent_columns(X):
    if np.linalg.matrix_rank(X) < len(X.T):
        return False
    return np.linalg.cond(X) < 1e3 or None


pseudo_inverse = Exercise(
    solution=_pseudo_inverse,
    praise="What the matrix sends to zero cannot be brought back; its weight is 0.",
    hint="use 1/σ where σ > 1e-12 σ₁, and 0 elsewhere (all 0 for the zero matrix).",
    cases=[
        (np.diag([2.0, 4.0]),),
        (_WIDE[:2],),
        (_RANK_ONE,),
        (1e-20 * np.diag([1.0, 2.0]),),
        (1e8 * _RANK_ONE,),
        (np.diag([1.0, 1e-6]),),
        (np.zeros((2, 3)),),
    ],
    draw=_draw_for_inversion,
    mistakes=[
        Mistake(
            lambda X: _pseudo_inverse(X) if X.any() else X.T / 0,
            "only the zero matrix fails: there every σ is 0, and so is the limit; compare with >.",
            right_where(np.any, _pseudo_inverse),
        ),
        Mistake(
            lambda X: np.linalg.inv(X.T @ X) @ X.T,
            "(XᵀX)⁻¹Xᵀ needs independent columns, and squares what is small; use the SVD.",
            right_where(_independent_columns, _pseudo_inverse),
        ),
        Mistake(
            np.linalg.inv,
            "np.linalg.inv is for square matrices of full rank; use the SVD.",
            right_where(lambda X: _full_rank(X) and len(X) == len(X.T), _pseudo_inverse),
        ),
        Mistake(
            lambda X: _with_weights(X, lambda sigma: 1 / sigma),
            "dividing by a singular value that is only rounding dust gives anything.",
            _explodes,
        ),
        *mistakes_with(
            "a fixed limit kills small matrices; compare with the largest value.",
            *(
                lambda X, limit=10.0**-power: _inverted(X, 0, limit)
                for power in (1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 14, 15)
            ),
        ),
        *mistakes_with(
            "that limit is too high: a value of 1e-6 σ₁ is no rounding dust (1e-12 σ₁ would be).",
            *(lambda X, share=10.0**-power: _inverted(X, share) for power in (1, 2, 3, 4, 5, 6)),
        ),
        Mistake(
            lambda X: _pseudo_inverse(X).T,
            "the factors stand in the wrong order: it is V Σ⁺ Uᵀ.",
        ),
        Mistake(
            lambda X: X.T.copy(),
            "that is the transpose of X; the singular values must be inverted.",
        ),
        *mistakes_with(
            "each singular value is inverted once: 1/σ, neither 1/σ² nor 1/√σ.",
            lambda X: _with_weights(X, lambda sigma: _inverses(sigma) ** 2),
            lambda X: _with_weights(X, lambda sigma: _inverses(sigma) ** 0.5),
        ),
        Mistake(
            lambda X: _with_weights(X, lambda sigma: 1.0 * (_inverses(sigma) > 0)),
            "the values are left out: it is V Σ⁺ Uᵀ, with 1/σ in Σ⁺.",
        ),
    ],
    variants=[np.linalg.pinv, lambda X: np.linalg.lstsq(X, np.eye(len(X)))[0]],
)


def _inverses(sigma):
    return np.divide(1, sigma, out=np.zeros_like(sigma), where=sigma > 1e-10 * sigma[0])


# 4. A rank for an error


def _sufficient_rank(singular_values, error):
    squares = np.append(np.cumsum(np.square(singular_values)[::-1])[::-1], 0)
    return int(np.argmax(squares <= (error * (1 + 1e-12)) ** 2 * squares[0]))


def _rank_by(shares, error):
    return int(np.argmax(np.append(shares, 0) <= error * (1 + 1e-12)))


def _tails(values):
    return np.cumsum(values[::-1])[::-1] / np.sum(values)


def _below(values, error):
    """Return the first rank whose error is below the given one, and not equal to it."""
    return int(np.argmax(np.append(_tails(values**2), -1) < error**2 * (1 - 1e-12)))


def _draw_values(rng):
    """Yield falling values and an error that is no close call."""
    for n in (1, 2, 3, 4, 6, 8):
        for spread in (0.3, 1, 3):
            values = np.sort(np.round(20 * rng.random(n) ** spread + 0.1, 1))[::-1]
            values = values / rng.choice([1, 20, 50])
            errors = np.append(np.sqrt(_tails(values**2)), 0)
            k = rng.integers(n)
            share = rng.uniform(0.05, 0.95)
            yield values, round(share * errors[k] + (1 - share) * errors[k + 1], 6)


sufficient_rank = Exercise(
    solution=_sufficient_rank,
    praise="You know the error of every rank before computing a single approximation.",
    hint="the error of rank k is √(σ²ₖ₊₁ + σ²ₖ₊₂ + …), divided by the same root over all values.",
    cases=[
        (np.array([4.0, 3.0]), 0.6),
        (np.array([10.0, 5.0, 2.0, 1.0]), 0.3),
        (np.array([10.0, 5.0, 2.0, 1.0]), 0.15),
        (np.array([3.0, 2.0, 1.0]), 0.0),
        (np.array([3.0, 2.0, 1.0]), 1.0),
        (np.full(10, 1.0), 0.5),
        (np.array([0.5, 0.4, 0.3]), 0.6),
    ],
    draw=_draw_values,
    mistakes=[
        Mistake(
            lambda singular_values, error: _rank_by(_tails(singular_values), error),
            "the squares of the singular values add up, not the values themselves.",
        ),
        Mistake(
            lambda singular_values, error: _rank_by(_tails(singular_values**2), error),
            "that compares the squared error with `error`; take the square root first.",
        ),
        Mistake(
            lambda singular_values, error: _rank_by(singular_values / singular_values[0], error),
            "that is the error in the 2-norm, σₖ₊₁/σ₁; the Frobenius norm counts all the rest.",
        ),
        Mistake(
            lambda singular_values, error: _rank_by(
                np.sqrt(_tails(singular_values**2) * np.sum(singular_values**2)), error
            ),
            "that is the error itself; divide it by the norm of X, the root of the sum over all.",
        ),
        Mistake(
            lambda singular_values, error: max(_sufficient_rank(singular_values, error), 1),
            "k = 0 counts, too: nothing is kept, and the error is 1.",
        ),
        Mistake(
            lambda singular_values, error: _sufficient_rank(singular_values, error) + 1,
            "one too many: with k = 0 nothing is kept, and the error is 1.",
        ),
        Mistake(
            lambda singular_values, error: _sufficient_rank(singular_values, error) - 1,
            "one too few: rank k leaves out σₖ₊₁ and all below it, which are singular_values[k:].",
        ),
        Mistake(
            _below, "an error of just `error` is allowed: compare with <=, and forgive rounding."
        ),
    ],
    variants=[
        lambda singular_values, error: next(
            k
            for k in range(len(singular_values) + 1)
            if np.linalg.norm(singular_values[k:])
            <= error * np.linalg.norm(singular_values) * (1 + 1e-12)
        ),
        lambda singular_values, error: float(_sufficient_rank(singular_values, error)),
    ],
)


# 5. Explore


def _first_rank_below(name, error):
    squares = np.linalg.svd(load_photograph(name), compute_uv=False) ** 2
    return int(np.argmax(np.sqrt(_tails(squares)) < error))


_FLOWER = _first_rank_below("flower", 0.05)

flower_rank = Exercise(
    solution=_FLOWER,
    praise="The blurred background needs few layers; that is why the flower is cheap.",
    hint="choose the flower, and read the error in the sentence below the sliders.",
    mistakes=[
        Mistake(
            _first_rank_below("temple", 0.05), "that is the temple; choose the flower in the list."
        ),
        Mistake(
            _FLOWER - 1,
            "very close: take the first rank that shows less than 5.00 %.",
            lambda answer: 0 < abs(answer - _FLOWER) <= 3,
        ),
        Mistake(_first_rank_below("flower", 0.1), "there the error is below 10 %; go on to 5 %."),
    ],
    variants=[float(_FLOWER), np.int64(_FLOWER)],
)
