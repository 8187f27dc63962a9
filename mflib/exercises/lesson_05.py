"""Exercises of lesson 5: alternating least squares versus stochastic gradient descent."""

import numpy as np
from scipy import sparse
from scipy.special import expit
from sklearn.linear_model import Ridge

from mflib.exercises.base import (
    Exercise,
    Mistake,
    equal,
    number_mistakes,
    on_each,
    one_decimal,
    results,
    same_where,
)
from mflib.least_squares import ridge_rows

# 1. By hand

row_by_hand = Exercise(
    solution=2,
    praise="20/(9 + 1), and the fourth film is predicted at 2 · 2 = 4. With k = 1, ALS is this "
    "division for every row, then for every column, and again.",
    hint="the derivative is Σ (u vⱼ − xⱼ) vⱼ + λ u over the rated films. Where is it zero?",
    mistakes=number_mistakes(
        (20 / 9, "λ is forgotten: its term adds λ u to the derivative."),
        (
            20 / 14,
            "the fourth film counts as rated 0. Missing is not zero: leave it out of both sums.",
        ),
        (
            20 / 12,
            "λ is counted once per rating, or the sum of squares was made a mean. Here λ counts "
            "once.",
        ),
        (
            20 / 13,
            "λ is counted once per film, or the missing rating is taken for 0 without any λ.",
        ),
        (
            20 / 6,
            "vⱼ stands in the error u vⱼ − xⱼ and once more in front of it: the sum is Σ vⱼ².",
        ),
        (20 / 11, "λ is doubled: both terms carry a ½, so no factor 2 is left."),
        (20 / 8, "the sign of λ: the penalty makes u smaller, so λ adds to Σ vⱼ²."),
        (
            13 / 6,
            "13/6 answers the example of section 2. Here it is the mean of xⱼ/vⱼ, which weighs all "
            "films alike; least squares listens more to a large vⱼ.",
        ),
        (
            11 / 5,
            "Σ xⱼ / Σ vⱼ makes the errors sum to zero; the derivative weighs each error by vⱼ.",
        ),
        (11 / 6, "the weights vⱼ are missing, above and below: Σ vⱼ xⱼ and Σ vⱼ²."),
        (20, "that is Σ vⱼ xⱼ, the right side; divide by Σ vⱼ² + λ."),
        (4, "that is the prediction for the fourth film; give u."),
    ),
    variants=[2.0, np.float64(20 / 10), np.array(2)],
)


# 2. One row of ALS

_NAN = np.nan
_ROWS = [
    (np.array([[2.0], [1.0]]), np.array([3.0, _NAN]), 1.0),
    (np.array([[1.0, 0.0], [1.0, 1.0], [2.0, 1.0]]), np.array([4.0, _NAN, 2.0]), 1.0),
    (np.array([[3.0, -1.0], [1.0, 2.0]]), np.array([5.0, 3.0]), 0.5),
]


def _draw_rows(rng):
    """Yield rows with one rating to all; fewer ratings than columns of V, as many, and more."""
    for n, k in ((1, 1), (3, 1), (2, 2), (3, 3), (4, 2), (6, 3), (3, 4)):
        for n_known in sorted({1, (n + 1) // 2, n}):
            x = np.full(n, _NAN)
            x[rng.choice(n, n_known, replace=False)] = rng.integers(1, 11, n_known) / 2
            yield one_decimal(rng, n, k) + 0.1, x, rng.choice([0.1, 0.3, 2.0, 5.0])


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
    return ridge_rows(values, mask, V, regularization)[0]


def _of_seen(function):
    """Return a function of (V, x, λ) that passes on the rated films alone."""
    return lambda V, x, lam: function(*_seen(V, x), lam)


def _ridge_with_transposed_gram(V, x, strength):
    return np.linalg.solve(V @ V.T + strength * np.eye(len(V)), V.T @ x)


def _ridge_with_identity_of_ratings(V, x, strength):
    return np.linalg.solve(V.T @ V + strength * np.eye(len(x)), V.T @ x)


def _spoilt_by_nan(function, cases):
    """Tell whether one missing rating makes the result nan."""
    got = list(results(function, cases))
    return all(
        np.isnan(u).all()
        for u, (_, x, _) in zip(got, cases, strict=True)
        if np.isnan(x).any() and not isinstance(u, Exception)
    ) and any(not isinstance(u, Exception) and np.isnan(u).all() for u in got)


def _well_determined(V, x, _):
    V, _ = _seen(V, x)
    return np.linalg.matrix_rank(V) == V.shape[1] and np.linalg.cond(V) < 1e3


row_update = Exercise(
    solution=_row_update,
    praise="Any other row is computed in the same way and needs nothing of this one: ALS runs in "
    "parallel.",
    hint="keep the rows of V whose rating is known. Then solve (VᵀV + λI) u = Vᵀx with those.",
    cases=_ROWS,
    draw=_draw_rows,
    mistakes=[
        Mistake(
            _ridge,
            "one nan spoils every sum. Keep only the films with a rating: known = ~np.isnan(x). "
            "(x != nan is True everywhere.)",
            _spoilt_by_nan,
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
            lambda *arguments: _row_update(*arguments)[np.newaxis],
            "return the vector u, not a matrix of one row or column.",
            on_each(lambda u, *case: np.ndim(u) == 2 and equal(np.ravel(u), _row_update(*case))),
        ),
        Mistake(
            _of_seen(lambda V, x, lam: np.linalg.lstsq(V, x)[0]),
            "λ is forgotten. With fewer ratings than columns of V there would be no single answer.",
            same_where(_well_determined, _of_seen(lambda V, x, lam: np.linalg.lstsq(V, x)[0])),
        ),
        Mistake(
            _of_seen(lambda V, x, lam: _ridge(V, x, lam * len(x))),
            "λ is counted once per rating, or the sums were made means. Here it counts once.",
        ),
        Mistake(
            lambda V, x, lam: _row_update(V, x, lam * len(x)),
            "λ is counted once per film, even for those without a rating. Here it counts once.",
        ),
        Mistake(
            lambda V, x, lam: _row_update(V, x, lam / 2),
            "λ is halved: data and penalty both carry a ½, so it cancels.",
        ),
        Mistake(
            lambda V, x, lam: _row_update(V, x, -lam),
            "the sign of λ: the penalty pulls u towards zero, so λI is added to VᵀV.",
        ),
        Mistake(
            _of_seen(lambda V, x, lam: np.linalg.solve(V.T @ V + lam, V.T @ x)),
            "VᵀV + λ adds λ to every entry; λI adds it to the diagonal: "
            "regularization * np.eye(k).",
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
            "VVᵀ has a row and a column per film, and fits only where there are as many ratings as "
            "columns; the Gram matrix is VᵀV.",
        ),
        Mistake(
            _of_seen(lambda V, x, lam: V.T @ x / (np.sum(V**2, axis=0) + lam)),
            "that treats each column of V as if it were alone; VᵀV has more than its diagonal.",
        ),
        Mistake(
            lambda V, x, lam: V @ _row_update(V, x, lam),
            "those are the predictions V u of the whole row; return u.",
        ),
        Mistake(
            _of_seen(_ridge_with_identity_of_ratings),
            "the identity has the size of VᵀV, the number of columns of V, not that of ratings: "
            "regularization * np.eye(V.shape[1]).",
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


# 3. One step of SGD, for likes


def _step(u, v, error, learning_rate, regularization):
    """Return the new pair, given the error."""
    return (
        u - learning_rate * (error * v + regularization * u),
        v - learning_rate * (error * u + regularization * v),
    )


def _excess(u, v, x):
    """Return the probability of a like, minus x."""
    return 1 / (1 + np.exp(-(u @ v))) - x


def _sgd_step(u, v, x, learning_rate, regularization):
    return _step(u, v, _excess(u, v, x), learning_rate, regularization)


def _sgd_in_place(u, v, x, learning_rate, regularization):
    e = x - expit(u @ v)
    old = u.copy()
    u += learning_rate * (e * v - regularization * u)
    v += learning_rate * (e * old - regularization * v)
    return u, v


def _sgd_by_entries(u, v, x, learning_rate, regularization):
    growth = np.exp(u @ v)
    e = growth / (1 + growth) - x
    new_u, new_v = u.copy(), v.copy()
    for f in range(len(u)):
        new_u[f] -= learning_rate * (e * v[f] + regularization * u[f])
        new_v[f] -= learning_rate * (e * u[f] + regularization * v[f])
    return [new_u, new_v]


def _sgd_by_sign(u, v, x, learning_rate, regularization):
    sign = 2 * x - 1
    pull = learning_rate * sign / (1 + np.exp(sign * (u @ v)))
    shrink = 1 - learning_rate * regularization
    return np.array([shrink * u + pull * v, shrink * v + pull * u])


def _sgd_with_new_u(u, v, x, learning_rate, regularization):
    e = _excess(u, v, x)
    u = u - learning_rate * (e * v + regularization * u)
    return u, v - learning_rate * (e * u + regularization * v)


def _sgd_with_new_v(u, v, x, learning_rate, regularization):
    return _sgd_with_new_u(v, u, x, learning_rate, regularization)[::-1]


def _sgd_with_new_error(u, v, x, learning_rate, regularization):
    u = _sgd_step(u, v, x, learning_rate, regularization)[0]
    return u, _sgd_step(u, v, x, learning_rate, regularization)[1]


def _sgd_of_squares(u, v, x, learning_rate, regularization):
    e = _excess(u, v, x)
    return _step(u, v, e * (e + x) * (1 - e - x), learning_rate, regularization)


_LIKES = [
    (np.array([0.0]), np.array([2.0]), 1.0, 0.5, 0.1),
    (np.array([1.0, 2.0]), np.array([3.0, -1.0]), 1.0, 0.1, 0.5),
    (np.array([1.0, -1.0, 2.0]), np.array([1.0, 3.0, 0.0]), 0.0, 0.1, 0.2),
]


def _draw_likes(rng):
    for k in (1, 1, 2, 3, 5):
        for x in (0.0, 1.0, 1):
            u, v = one_decimal(rng, k) / 2, one_decimal(rng, k) / 2
            yield u, v, x, round(rng.uniform(0.05, 0.6), 2), round(rng.uniform(0.05, 0.6), 2)


def _steps_mistake(hint, new_u, new_v=None):
    """Return the mistake of wrong steps of (e, own vector, other vector, η, λ), for v as for u."""

    def answer(u, v, x, eta, lam):
        e = _excess(u, v, x)
        return new_u(e, u, v, eta, lam), (new_v or new_u)(e, v, u, eta, lam)

    return Mistake(answer, hint)


def _right(e, own, other, eta, lam):
    return own - eta * (e * other + lam * own)


def _unpenalised(e, own, other, eta, lam):
    return own - eta * e * other


sgd_step = Exercise(
    solution=_sgd_step,
    praise="From ratings to likes only the error changed: expected value minus x. So one loop "
    "serves the squared, the logistic and the Poisson loss.",
    hint="the error e is one number, expected value minus x. Each vector goes down its gradient: "
    "e times the other vector, plus λ times itself.",
    cases=_LIKES,
    draw=_draw_likes,
    mistakes=[
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, u @ v - x, eta, lam),
            "u·v − x is the error of the squared loss. Here the expected value is the probability "
            "1/(1 + exp(−u·v)).",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, 1 / (1 + np.exp(u @ v)) - x, eta, lam),
            "the minus in the exponent is missing: a large u·v must make a like probable.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, np.exp(u @ v) - x, eta, lam),
            "exp(u·v) is the expected value of a count; of a like it is 1/(1 + exp(−u·v)).",
        ),
        Mistake(
            _sgd_of_squares,
            "the factor p(1 − p) belongs to the squared error of p. In the logistic loss the "
            "logarithm cancels it.",
        ),
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
            lambda u, v, x, eta, lam: _step(u, v, -_excess(u, v, x), eta, lam),
            "the sign of the error: e is p − x if you subtract the step.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, _excess(u, v, x), -eta, lam),
            "that climbs. With e = p − x subtract η(e v + λ u); with e = x − p add η(e v − λ u).",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, _excess(u, v, x), eta, -lam),
            "the sign of λ: the penalty pulls u and v towards zero.",
        ),
        _steps_mistake(
            "λ is forgotten: its term adds λ u to one gradient, and λ v to the other.",
            _unpenalised,
        ),
        _steps_mistake("λ is forgotten in the step of v.", _right, _unpenalised),
        _steps_mistake("λ is forgotten in the step of u.", _unpenalised, _right),
        _steps_mistake(
            "λ stands alone; the derivative of ½ λ ‖u‖² is the vector λ u.",
            lambda e, own, other, eta, lam: own - eta * (e * other + lam),
        ),
        _steps_mistake(
            "the penalties are swapped: λ u belongs to the step of u, and λ v to that of v.",
            lambda e, own, other, eta, lam: own - eta * (e + lam) * other,
        ),
        _steps_mistake(
            "e stands alone; the derivative of u·v with respect to u is the vector v: e v.",
            lambda e, own, other, eta, lam: own - eta * (e + lam * own),
        ),
        _steps_mistake(
            "the derivative of u·v with respect to u is v, and with respect to v it is u.",
            lambda e, own, other, eta, lam: own - eta * (e + lam) * own,
        ),
        _steps_mistake(
            "twice too long: there is no square in the loss, and the ½ of the penalty cancels "
            "its 2.",
            lambda e, own, other, eta, lam: own - 2 * eta * (e * other + lam * own),
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, 2 * _excess(u, v, x), eta, lam),
            "the error counts double: there is no square in the logistic loss, and so no 2.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, _excess(u, v, x), eta, 2 * lam),
            "λ counts double: the ½ before the penalty cancels the 2.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, _excess(u, v, x) / eta, eta, lam),
            "η is missing before the error; it multiplies the whole gradient, e v + λ u.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, _excess(u, v, x), eta, lam / eta),
            "η is missing before λ; it multiplies the whole gradient, e v + λ u.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, _excess(u, v, x), 1, lam),
            "η is missing.",
        ),
        Mistake(
            lambda u, v, x, eta, lam: _step(u, v, expit(u * v) - x, eta, lam),
            "u * v is a vector; the error is one number, from the product u @ v.",
        ),
        _steps_mistake(
            "those are the gradients; return the new u and v, the old ones minus η times these.",
            lambda e, own, other, eta, lam: e * other + lam * own,
        ),
        Mistake(
            lambda *arguments: _sgd_step(*arguments)[::-1],
            "the two are swapped: return u first.",
        ),
        Mistake(
            lambda *arguments: _sgd_step(*arguments)[0],
            "that is the new u alone; return both, as a pair.",
        ),
        Mistake(
            lambda *arguments: np.concatenate(_sgd_step(*arguments)),
            "the two are glued into one vector; return a pair: return new_u, new_v.",
        ),
    ],
    variants=[_sgd_in_place, _sgd_by_entries, _sgd_by_sign],
)


# 4. Find the bug

_COUNTS = [
    (np.array([1, 3]), 0.1),
    (np.array([1, 3, 8]), 0.1),
    (np.array([20, 1, 1, 2, 737]), 0.02),
]


def _draw_counts(rng):
    for m in (1, 2, 3, 5, 8):
        for most in (4, 300):
            counts = rng.integers(0, most, m)  # nothing is rated by some
            counts[rng.integers(m)] += 2
            yield counts, round(rng.uniform(0.01, 0.5), 2)


def _als_strengths(counts, sgd_regularization):
    return sgd_regularization * counts / counts.sum()


def _strengths_mistake(answer, hint):
    """Return the mistake of giving the same numbers, or one number for all rows."""
    return Mistake(
        answer,
        hint,
        on_each(
            lambda got, *case: equal(np.broadcast_to(got, case[0].shape), _spread(answer, *case))
        ),
    )


def _spread(answer, counts, sgd_regularization):
    with np.errstate(divide="ignore"):
        return np.broadcast_to(answer(counts, sgd_regularization), counts.shape)


als_strengths = Exercise(
    solution=_als_strengths,
    praise="Now both aim at the same function (SGD with a falling η), and a difference in loss is "
    "one between the algorithms.",
    hint="return one number for each row. Over an epoch SGD goes down a sum over all ratings. By "
    "which factor does it differ from the mean?",
    cases=_COUNTS,
    draw=_draw_counts,
    mistakes=[
        _strengths_mistake(
            lambda counts, lam: lam * counts,
            "those match SGD beside the sum of the squared errors. The mean is smaller, so they "
            "are too strong beside it.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam,
            "SGD applies λ to row i at each of its ratings, so a row with many ratings pays more.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam / counts.sum(),
            "SGD applies λ to row i at each of its ratings, and this counts it once.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam / counts,
            "upside down: SGD visits a row with many ratings often, and applies λ at every visit.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam * counts * counts.sum(),
            "the wrong way: the mean is the sum divided by |Ω|, so the penalties are divided too.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam * counts.sum(),
            "a visit touches one row: what row i pays depends on its own ratings. And the mean of "
            "the errors asks for smaller penalties, not larger ones.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam * counts / len(counts),
            "that divides by the number of rows; the mean is over ratings.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam * counts / counts.mean(),
            "that divides by the ratings of a mean row; the mean is over all ratings.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam * counts / counts.max(),
            "that divides by the largest count; the mean is over all ratings.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam * counts / (2 * counts.sum()),
            "no factor 2: |Ω| counts each rating once, and all terms carry the same ½.",
        ),
        _strengths_mistake(
            lambda counts, lam: 2 * lam * counts / counts.sum(),
            "no factor 2: at each visit row i pays λ once, and the column pays its own.",
        ),
        _strengths_mistake(
            lambda counts, lam: lam * np.sqrt(counts),
            "no root: penalties add up like errors, one for each rating.",
        ),
        _strengths_mistake(
            lambda counts, lam: counts / counts.sum(),
            "λ is missing.",
        ),
    ],
    variants=[
        lambda counts, lam: [lam * count / sum(counts) for count in counts],
        lambda counts, lam: np.multiply(counts, lam) / np.sum(counts),
    ],
)


# 5. Think

crossing = Exercise(
    solution=229,
    praise="That is three times the mean number of ratings per row or column. At the usual k of "
    "10 to 100 most of the work is in the Gram matrices, not in the systems.",
    hint="how often does a round use each rating, and how many systems does it solve?",
    mistakes=number_mistakes(
        (600_000 / 2625, "the costs are equal at k = 228.57; which is the first whole k beyond?"),
        (
            300_000 / 2625,
            "every rating is used twice: in the Gram matrix of its row, and in that of its column.",
        ),
        (
            300_000 / 943,
            "that is the half step of the rows alone; a round also solves for 1682 columns.",
        ),
        (
            300_000 / 1682,
            "that is the half step of the columns alone; a round also solves for 943 rows.",
        ),
        (200_000 / 2625, "the ⅓ of k³/3 is lost."),
        (1_800_000 / 2625, "the ⅓ of k³/3 came in twice: multiply the 200,000 k² by 3 once."),
        (
            1_200_000 / 2625,
            "that takes 2k² operations a rating; the half of a symmetric matrix is enough, k².",
        ),
        (
            6 * 943 * 1682 / 2625,
            "that counts all 943 · 1682 pairs; only the 100,000 ratings enter the Gram matrices.",
        ),
        # Rounded up or down, a number shows the same mistake.
        shows=lambda answer, number: np.shape(answer) == () and abs(answer - number) < 1,
        answer=np.floor,
    ),
    variants=[229.0, np.int64(229)],
)
