"""Exercises of lesson 5: alternating least squares versus stochastic gradient descent."""

import numpy as np
from scipy import sparse
from sklearn.linear_model import Ridge

from mflib.completion import solve_rows
from mflib.exercises.base import Exercise, Mistake, about, number_mistake, results

# 1. By hand

row_by_hand = Exercise(
    solution=2,
    praise="20/(9 + 1), and the fourth film is predicted at 2 · 2 = 4. With k = 1, ALS is this "
    "division for every row, then for every column, and again.",
    hint="the derivative is Σ (u vⱼ − xⱼ) vⱼ + λ u over the rated films. Where is it zero?",
    accepts=about,
    mistakes=[
        number_mistake(
            20 / 9,
            "λ is forgotten: its term adds λ u to the derivative.",
        ),
        number_mistake(
            20 / 14,
            "the fourth film counts as rated 0. Missing is not zero: leave it out of both sums.",
        ),
        number_mistake(
            20 / 12,
            "λ is counted once per rating, or the sum of squares was made a mean. Here λ counts "
            "once.",
        ),
        number_mistake(
            20 / 13,
            "λ is counted once per film, or the missing rating is taken for 0 without any λ.",
        ),
        number_mistake(
            20 / 6,
            "vⱼ stands in the error u vⱼ − xⱼ and once more in front of it: the sum is Σ vⱼ².",
        ),
        number_mistake(
            20 / 11,
            "λ is doubled: both terms carry a ½, so no factor 2 is left.",
        ),
        number_mistake(
            20 / 8,
            "the sign of λ: the penalty makes u smaller, so λ adds to Σ vⱼ².",
        ),
        number_mistake(
            13 / 6,
            "the mean of xⱼ/vⱼ weighs all films alike; least squares listens more to a large vⱼ.",
        ),
        number_mistake(
            11 / 5,
            "Σ xⱼ / Σ vⱼ makes the errors sum to zero; the derivative weighs each error by vⱼ.",
        ),
        number_mistake(
            11 / 6,
            "the weights vⱼ are missing, above and below: Σ vⱼ xⱼ and Σ vⱼ².",
        ),
        number_mistake(
            20,
            "that is Σ vⱼ xⱼ, the right side; divide by Σ vⱼ² + λ.",
        ),
        number_mistake(
            4,
            "that is the prediction for the fourth film; give u.",
        ),
    ],
    variants=[2.0, np.float64(20 / 10), np.array(2)],
)


# 2. One row of ALS

# Each row has k ratings, so that VVᵀ in place of VᵀV runs and can get its hint.
_NAN = np.nan
_ROWS = [
    (np.array([[1.0], [2.0]]), np.array([3.0, _NAN]), 1.0),
    (np.array([[1.0, 0.0], [1.0, 1.0], [2.0, 1.0]]), np.array([4.0, _NAN, 2.0]), 1.0),
    (np.array([[3.0, -1.0], [1.0, 2.0]]), np.array([5.0, 3.0]), 0.5),
    (
        np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 1.0], [1.0, 1.0, 1.0], [3.0, 0.0, 1.0]]),
        np.array([1.0, 4.0, _NAN, 5.0]),
        0.1,
    ),
]


def _seen(V, x):
    known = ~np.isnan(x)
    return V[known], x[known]


def _ridge(V, x, strength):
    return np.linalg.solve(V.T @ V + strength * np.eye(V.shape[1]), V.T @ x)


def _row_update(V, x, regularization):
    return _ridge(*_seen(V, x), regularization)


def _row_by_lstsq(V, x, regularization):
    V, x = _seen(V, x)
    k = V.shape[1]
    A = np.vstack([V, np.sqrt(regularization) * np.eye(k)])
    return np.linalg.lstsq(A, np.concatenate([x, np.zeros(k)]), rcond=None)[0]


def _row_by_loops(V, x, regularization):
    G, right = regularization * np.eye(V.shape[1]), np.zeros(V.shape[1])
    for v, rating in zip(V, x, strict=True):
        if not np.isnan(rating):
            G += np.outer(v, v)
            right += rating * v
    return np.linalg.inv(G) @ right


def _row_by_dual(V, x, regularization):
    V, x = _seen(V, x)
    return V.T @ np.linalg.solve(V @ V.T + regularization * np.eye(len(x)), x)


def _row_by_mask(V, x, regularization):
    W = V * ~np.isnan(x)[:, np.newaxis]
    return _ridge(W, np.nan_to_num(x), regularization)


def _row_by_library(V, x, regularization):
    mask = sparse.csr_array(~np.isnan(x)[np.newaxis])
    values = sparse.csr_array(np.nan_to_num(x)[np.newaxis])
    return solve_rows(values, mask, V, regularization)[0]


def _of_seen(function):
    """Return a function of (V, x, λ) that passes on the rated films alone."""
    return lambda V, x, lam: function(*_seen(V, x), lam)


def _ridge_with_transposed_gram(V, x, strength):
    return np.linalg.solve(V @ V.T + strength * np.eye(len(V)), V.T @ x)


def _any_nan(function):
    return any(np.isnan(u).any() for u in results(function, _ROWS))


row_update = Exercise(
    solution=_row_update,
    praise="Any other row is computed in the same way and needs nothing of this one: ALS runs in "
    "parallel.",
    hint="keep the rows of V whose rating is known. Then solve (VᵀV + λI) u = Vᵀx with those.",
    cases=_ROWS,
    mistakes=[
        Mistake(
            _ridge,
            "one nan spoils every sum. Keep only the films with a rating: known = ~np.isnan(x). "
            "(x != nan is True everywhere.)",
            _any_nan,
        ),
        Mistake(
            lambda V, x, lam: _ridge(V, np.nan_to_num(x), lam),
            "a missing rating counts as 0. In Vᵀx a zero does no harm, but the film must also be "
            "left out of VᵀV.",
        ),
        Mistake(
            lambda V, x, lam: _ridge(V, np.where(np.isnan(x), np.nanmean(x), x), lam),
            "the mean stands in for the missing rating, and u is fitted to it as if it were known.",
        ),
        Mistake(
            _of_seen(lambda V, x, lam: _ridge(V, x, 0)),
            "λ is forgotten. With fewer ratings than columns of V there would be no answer at all.",
        ),
        Mistake(
            _of_seen(lambda V, x, lam: _ridge(V, x, lam * len(x))),
            "λ is counted once per rating, or the sums were made means. Here it counts once.",
        ),
        Mistake(
            _of_seen(lambda V, x, lam: np.linalg.solve(V.T @ V + lam, V.T @ x)),
            "VᵀV + λ adds λ to every entry; λI adds it to the diagonal: λ * np.eye(k).",
        ),
        Mistake(
            _of_seen(lambda V, x, lam: _ridge(V, x, 2 * lam)),
            "λ is doubled: both terms carry a ½, so no factor 2 is left.",
        ),
        Mistake(
            _of_seen(lambda V, x, lam: _ridge(V, x, lam**2)),
            "λ comes in squared. As extra rows below V, the penalty is √λ I.",
        ),
        Mistake(
            _of_seen(lambda V, x, lam: V.T @ x),
            "that is the right side Vᵀx alone; the system with VᵀV + λI is still to be solved.",
        ),
        Mistake(
            _of_seen(lambda V, x, lam: V.T @ V @ (V.T @ x) + lam * (V.T @ x)),
            "that multiplies by VᵀV + λI; solve with it.",
        ),
        Mistake(
            _of_seen(_ridge_with_transposed_gram),
            "VVᵀ has a row and a column per film, and fits only because here are as many ratings "
            "as columns; the Gram matrix is VᵀV.",
        ),
        Mistake(
            _of_seen(lambda V, x, lam: V.T @ x / (np.sum(V**2, axis=0) + lam)),
            "that treats each column of V as if it were alone; VᵀV has more than its diagonal.",
        ),
        Mistake(
            lambda V, x, lam: V @ _row_update(V, x, lam),
            "those are the predictions V u of the whole row; return u.",
        ),
    ],
    variants=[
        _row_by_lstsq,
        _row_by_loops,
        _row_by_dual,
        _row_by_mask,
        _row_by_library,
        _of_seen(lambda V, x, lam: Ridge(lam, fit_intercept=False).fit(V, x).coef_),
    ],
)


# 3. One step of SGD


def _step(u, v, error, learning_rate, regularization):
    """Return the new pair, given the error."""
    return (
        u - learning_rate * (error * v + regularization * u),
        v - learning_rate * (error * u + regularization * v),
    )


def _sgd_step(u, v, x, learning_rate, regularization):
    return _step(u, v, u @ v - x, learning_rate, regularization)


def _sgd_in_place(u, v, x, learning_rate, regularization):
    e = x - u @ v
    old = u.copy()
    u += learning_rate * (e * v - regularization * u)
    v += learning_rate * (e * old - regularization * v)
    return u, v


def _sgd_by_entries(u, v, x, learning_rate, regularization):
    e = u @ v - x
    new_u, new_v = u.copy(), v.copy()
    for f in range(len(u)):
        new_u[f] -= learning_rate * (e * v[f] + regularization * u[f])
        new_v[f] -= learning_rate * (e * u[f] + regularization * v[f])
    return [new_u, new_v]


def _sgd_shrink_first(u, v, x, learning_rate, regularization):
    shrink, pull = 1 - learning_rate * regularization, learning_rate * (u @ v - x)
    return np.array([shrink * u - pull * v, shrink * v - pull * u])


def _sgd_with_new_u(u, v, x, learning_rate, regularization):
    e = u @ v - x
    u = u - learning_rate * (e * v + regularization * u)
    return u, v - learning_rate * (e * u + regularization * v)


def _sgd_with_new_v(u, v, x, learning_rate, regularization):
    return _sgd_with_new_u(v, u, x, learning_rate, regularization)[::-1]


def _sgd_with_new_error(u, v, x, learning_rate, regularization):
    u = _sgd_step(u, v, x, learning_rate, regularization)[0]
    return u, _sgd_step(u, v, x, learning_rate, regularization)[1]


sgd_step = Exercise(
    solution=_sgd_step,
    praise="Both moved from the same old place. An epoch is this step once for every rating, and "
    "no system is solved.",
    hint="with e = u @ v - x, subtract η(e v + λ u) from u, and η(e u + λ v) from v.",
    cases=[
        (np.array([1.0]), np.array([2.0]), 4.0, 0.1, 0.0),
        (np.array([1.0, 2.0]), np.array([3.0, 1.0]), 3.0, 0.1, 0.5),
        (np.array([2.0, -1.0, 0.0]), np.array([1.0, 1.0, 4.0]), 1.0, 0.1, 0.2),
    ],
    mistakes=[
        Mistake(
            _sgd_with_new_u,
            "the step of v uses the new u. Both are moved down the gradient at the old place: keep "
            "the old u.",
        ),
        Mistake(
            _sgd_with_new_v,
            "the step of u uses the new v. Both are moved down the gradient at the old place: keep "
            "the old v.",
        ),
        Mistake(
            _sgd_with_new_error,
            "the step of v uses the new u, even for its error. One error, from the old u and v, "
            "serves both.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, x - u @ v, eta, lam),
            "the sign of the error: e is u·v − x if you subtract the step.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, u @ v - x, -eta, lam),
            "that climbs: subtract η times the gradient.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, u @ v - x, eta, -lam),
            "the sign of λ: the penalty pulls u and v towards zero.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, u @ v - x, eta, 0),
            "λ is forgotten: its term adds λ u to one gradient, and λ v to the other.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, u @ v - x, 2 * eta, lam),
            "twice too long: the ½ before both terms cancels the 2 of the squares.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, 2 * (u @ v - x), eta, lam),
            "the error counts double: the ½ before its square cancels the 2.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, u @ v - x, eta, 2 * lam),
            "λ counts double: the ½ before the penalty cancels the 2.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, (u @ v - x) / eta, eta, lam),
            "η is missing before the error; it multiplies the whole gradient, e v + λ u.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, u @ v - x, eta, lam / eta),
            "η is missing before λ; it multiplies the whole gradient, e v + λ u.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, u @ v - x, 1, lam),
            "η is missing.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, u * v - x, eta, lam),
            "u * v is a vector; the error is one number, with the product u @ v.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: (
                u - eta * ((u @ v - x) * u + lam * u),
                v - eta * ((u @ v - x) * v + lam * v),
            ),
            "the derivative of u·v with respect to u is v, and with respect to v it is u.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: ((u @ v - x) * v + lam * u, (u @ v - x) * u + lam * v),
            "those are the gradients; return the new u and v, the old ones minus η times these.",
        ),
        Mistake(
            lambda *arguments: _sgd_step(*arguments)[::-1],
            "the two are swapped: return u first.",
        ),
        Mistake(
            lambda *arguments: _sgd_step(*arguments)[0],
            "that is the new u alone; return both, as a pair.",
        ),
    ],
    variants=[_sgd_in_place, _sgd_by_entries, _sgd_shrink_first],
)


# 4. Find the bug

_COUNTS = [
    (np.array([4]), 0.1),
    (np.array([1, 3, 8]), 0.1),
    (np.array([20, 1, 1, 2, 737]), 0.02),
]


def _als_strengths(counts, sgd_regularization):
    return sgd_regularization * counts


def _strengths_mistake(answer, hint):
    """Return the mistake of giving the same numbers, or one number for all rows."""

    def matches(function):
        pairs = zip(results(function, _COUNTS), results(answer, _COUNTS), strict=True)
        return all(np.allclose(got, wrong) for got, wrong in pairs)

    return Mistake(answer, hint, matches)


als_strengths = Exercise(
    solution=_als_strengths,
    praise="Now both minimise the same function, and a difference in loss is one between the "
    "algorithms.",
    hint="return one number for each row. In one epoch, how often does SGD apply λ to row i?",
    cases=_COUNTS,
    mistakes=[
        _strengths_mistake(
            lambda counts, lam: lam,
            "in one epoch SGD applies λ to row i once for each of its ratings, not once.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam / counts,
            "upside down: SGD visits a row with many ratings often, and applies λ at every visit.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam * counts.sum(),
            "a visit touches one row: what row i pays depends on its own ratings, not on all.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam * counts.mean(),
            "that is right on average only; each row has its own number of ratings.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam * counts / counts.sum(),
            "the shares belong to a mean of squared errors; this objective is their sum.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam * counts / counts.mean(),
            "that keeps the ratios between the rows and loses the size: do not divide.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam * np.sqrt(counts),
            "no root: penalties add up like errors, one for each rating.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam * counts / 2,
            "both objectives carry the ½ already.",
        ),
        _strengths_mistake(
            lambda counts, lam: 2 * lam * counts,
            "no factor 2: at each visit row i pays λ once, and the column pays its own.",
        ),
        _strengths_mistake(
            lambda counts, lam: counts,
            "λ is missing.",
        ),
    ],
    variants=[
        lambda counts, lam: [lam * count for count in counts],
        lambda counts, lam: np.full(len(counts), lam) * counts,
    ],
)


# 5. Think


def _whole_number_mistake(number, hint):
    """Return the mistake of finding this number, as it is or rounded up or down."""
    return Mistake(
        np.floor(number),
        hint,
        lambda answer: np.shape(answer) == () and abs(answer - number) < 1,
    )


crossing = Exercise(
    solution=229,
    praise="That is three times the mean number of ratings per row or column. At the usual k of "
    "10 to 100 most of the work is in the Gram matrices, not in the systems.",
    hint="compare 2 · 100,000 · k² with (943 + 1682) · k³/3.",
    accepts=about,
    mistakes=[
        _whole_number_mistake(
            600_000 / 2625,
            "the costs are equal at k = 228.57; which is the first whole k beyond?",
        ),
        _whole_number_mistake(
            300_000 / 2625,
            "every rating is used twice: in the Gram matrix of its row, and in that of its column.",
        ),
        _whole_number_mistake(
            300_000 / 943,
            "that is the half step of the rows alone; a round also solves for 1682 columns.",
        ),
        _whole_number_mistake(
            300_000 / 1682,
            "that is the half step of the columns alone; a round also solves for 943 rows.",
        ),
        _whole_number_mistake(
            200_000 / 2625,
            "the ⅓ of k³/3 is lost.",
        ),
        _whole_number_mistake(
            1_800_000 / 2625,
            "the ⅓ of k³/3 came in twice: multiply the 200,000 k² by 3 once.",
        ),
        _whole_number_mistake(
            6 * 943 * 1682 / 2625,
            "that counts all 943 · 1682 pairs; only the 100,000 ratings enter the Gram matrices.",
        ),
    ],
    variants=[229.0, np.int64(229)],
)
