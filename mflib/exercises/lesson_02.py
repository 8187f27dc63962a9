"""Exercises of lesson 2: the singular value decomposition."""

import numpy as np

from mflib.datasets import load_photograph
from mflib.exercises.base import Exercise, Mistake

# 1. By hand


def _to_three_decimals(got, wanted):
    return np.shape(got) == (2,) and np.allclose(got, wanted, rtol=0, atol=2e-3)


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


def _approximation(X, k):
    U, sigma, Vt = np.linalg.svd(X, full_matrices=False)
    return (U[:, :k] * sigma[:k]) @ Vt[:k]


def _without_sigma(X, k):
    U, _, Vt = np.linalg.svd(X, full_matrices=False)
    return U[:, :k] @ Vt[:k]


def _one_more(X, k):
    return _approximation(X, k + 1)


def _the_smallest(X, k):
    U, sigma, Vt = np.linalg.svd(X, full_matrices=False)
    return (U[:, -k:] * sigma[-k:]) @ Vt[-k:]


def _the_next_layer(X, k):
    return _approximation(X, k) - _approximation(X, k - 1)


def _columns_of_Vt(X, k):
    U, sigma, Vt = np.linalg.svd(X)
    return (U[:, :k] * sigma[:k]) @ Vt[:, :k].T


def _cuts_the_matrix(X, k):
    cut = np.zeros_like(X)
    cut[:k, :k] = X[:k, :k]
    return cut


_WIDE = np.array([[1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], [1.0, 0.0, 1.0, 0.0]])

approximation = Exercise(
    solution=_approximation,
    praise="Eckart and Young: no matrix of rank k is closer.",
    hint="take the first k columns of U, the first k values and the first k rows of Vt.",
    cases=[(np.diag([1.0, 2.0]), 1), (_WIDE, 1), (_WIDE, 2), (_WIDE.T, 2)],
    mistakes=[
        Mistake(_without_sigma, "the singular values are missing between U and Vt."),
        Mistake(_one_more, "those are k + 1 layers; [:k] takes the first k."),
        Mistake(_the_smallest, "those are the k smallest singular values; they come last."),
        Mistake(_the_next_layer, "that is layer k alone; add the layers 1 to k."),
        Mistake(_columns_of_Vt, "NumPy returns Vᵀ, not V: take its first k rows."),
        Mistake(_cuts_the_matrix, "cut the factors U, Σ and Vt, not the matrix itself."),
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
    return _with_weights(X, lambda sigma: _invert(sigma, 1e-10 * max(sigma)))


def _with_weights(X, weights):
    U, sigma, Vt = np.linalg.svd(X, full_matrices=False)
    return (Vt.T * weights(sigma)) @ U.T


def _invert(sigma, limit):
    return np.divide(1, sigma, out=np.zeros_like(sigma), where=sigma > limit)


_RANK_ONE = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])

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
    mistakes=[
        Mistake(
            lambda X: _with_weights(X, lambda sigma: 1 / sigma),
            "dividing by a singular value that is only rounding dust gives anything.",
            lambda function: _explodes(function),
        ),
        Mistake(
            lambda X: _with_weights(X, lambda sigma: _invert(sigma, 1e-3)),
            "a fixed limit such as 0.001 kills small matrices; compare with the largest value.",
        ),
        Mistake(
            lambda X: _pseudo_inverse(X).T,
            "the factors stand in the wrong order: it is V Σ⁺ Uᵀ.",
        ),
        Mistake(
            lambda X: _with_weights(X, lambda sigma: sigma),
            "that is the transpose of X; the singular values must be inverted.",
        ),
    ],
    variants=[np.linalg.pinv, lambda X: np.linalg.lstsq(X, np.eye(len(X)))[0]],
)


def _explodes(function):
    with np.errstate(all="ignore"):
        return not np.all(np.abs(function(_RANK_ONE)) < 1e6)


# 4. A rank for an error


def _sufficient_rank(singular_values, error):
    squares = np.append(np.cumsum(np.square(singular_values)[::-1])[::-1], 0)
    return int(np.argmax(squares <= (error * (1 + 1e-12)) ** 2 * squares[0]))


def _rank_by(shares, error):
    return int(np.argmax(np.append(shares, 0) <= error * (1 + 1e-12)))


def _tails(values):
    return np.cumsum(values[::-1])[::-1] / np.sum(values)


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
    ],
    mistakes=[
        Mistake(
            lambda values, error: _rank_by(_tails(values), error),
            "the squares of the singular values add up, not the values themselves.",
        ),
        Mistake(
            lambda values, error: _rank_by(_tails(values**2), error),
            "that compares the squared error with `error`; take the square root first.",
        ),
        Mistake(
            lambda values, error: _rank_by(values / values[0], error),
            "that is the error in the 2-norm, σₖ₊₁/σ₁; the Frobenius norm counts all the rest.",
        ),
        Mistake(
            lambda values, error: max(_sufficient_rank(values, error), 1),
            "k = 0 counts, too: nothing is kept, and the error is 1.",
        ),
        Mistake(
            lambda values, error: _sufficient_rank(values, error) + 1,
            "one too many: with k = 0 nothing is kept, and the error is 1.",
        ),
    ],
    variants=[
        lambda values, error: next(
            k
            for k in range(len(values) + 1)
            if np.linalg.norm(values[k:]) <= error * np.linalg.norm(values) * (1 + 1e-12)
        ),
        lambda values, error: float(_sufficient_rank(values, error)),
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
            lambda answer: np.ndim(answer) == 0 and 0 < abs(answer - _FLOWER) <= 3,
        ),
        Mistake(_first_rank_below("flower", 0.1), "there the error is below 10 %; go on to 5 %."),
    ],
    variants=[float(_FLOWER), np.int64(_FLOWER)],
)
