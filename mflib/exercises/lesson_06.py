"""Exercises of lesson 6: sequential matrix factorization."""

import numpy as np
from sklearn.linear_model import Ridge

from mflib.exercises.base import Exercise, Mistake, about, equal, results
from mflib.sequential import MeanValue, fit_transitions


def _pair(condition):
    """Return a test: the answer is a pair, and the condition holds."""
    return lambda answer: np.shape(answer) == (2,) and condition(*answer)


# 1. By hand

state_by_hand = Exercise(
    solution=(1, 15),
    praise="It is (1, −1) + 2ᵗ (0, 2) at step t. Both rows are eigenvectors, with wT = w and "
    "wT = 2w; after many steps the second is all one sees.",
    hint="give the pair w₃. One step: (a, b) T = (1·a + 0·b, 1·a + 2·b).",
    accepts=lambda got, wanted: equal(np.ravel(got), wanted),
    mistakes=[
        Mistake((8, 8), "that is T w, with w as a column. Here a row stands on the left: w T."),
        Mistake((1, 31), "that is w₄, one step too many: w₀ is the start, w₁ = (1, 3)."),
        Mistake((1, 7), "that is w₂; one step is missing."),
        Mistake((1, 3), "that is w₁; go on with two more steps."),
        Mistake((1, -0.75), "that goes back in time: three steps with T⁻¹."),
        Mistake((1, 9), "T³ is T T T; the cubes of the entries are something else."),
        Mistake((3, 9), "three steps multiply by T three times, not by 3 T."),
        Mistake((1, 8), "the 1 beside the diagonal is lost: the first number feeds the second."),
        Mistake((15, 1), "the two numbers are swapped."),
        Mistake([[1, 7], [0, 8]], "that is T³; now multiply it by w₀ from the left."),
    ],
    variants=[
        [1.0, 15.0],
        np.array([[1, 15]]),
        np.array([1, 1]) @ np.linalg.matrix_power([[1, 1], [0, 2]], 3),
    ],
)


# 2. What an eigenvalue says


def _period_mistake(number, hint):
    """Return the mistake of giving about this period."""
    return Mistake((number, 2), hint, _pair(lambda period, _: about(period, number)))


def _half_life_mistake(number, hint):
    """Return the mistake of giving about this half-life."""
    return Mistake((8, number), hint, _pair(lambda _, half_life: about(half_life, number)))


eigenvalue_by_hand = Exercise(
    solution=(8, 2),
    praise="|λ|² = ½ and 8 · 45° = 360°. A period is four half-lives, so 1/16 is left after one: "
    "λ⁸ = 1/16.",
    hint="give the pair (period, half-life), in steps. λ is a point in the plane: how long is it, "
    "and at which angle?",
    accepts=lambda got, wanted: np.shape(got) == (2,) and all(map(about, got, wanted)),
    mistakes=[
        Mistake((2, 8), "the two are swapped: give the period first."),
        _period_mistake(4, "λ⁴ = −¼: after 4 steps the state is upside down, half a turn."),
        _period_mistake(np.pi / 4, "that is the angle of one step; how many make 2π?"),
        _period_mistake(45, "that is the angle of one step in degrees; how many make 360°?"),
        _period_mistake(1 / 8, "that is the share of a turn in one step; the period is 1 over it."),
        _period_mistake(
            4 * np.pi, "½ is the imaginary part; the angle is that of the point, arctan(½ / ½)."
        ),
        _period_mistake(
            2**1.5 * np.pi, "that divides by |λ|; the period is 2π divided by the angle."
        ),
        _half_life_mistake(
            1, "that takes the real part, or |λ|², for |λ|. Pythagoras: |λ|² = ¼ + ¼."
        ),
        _half_life_mistake(4, "after 4 steps ¼ is left; ask for ½."),
        _half_life_mistake(-2, "the sign: |λ| < 1, so this fades. log ½ and log |λ| are negative."),
        _half_life_mistake(
            0.5, "upside down: in one step half a half-life goes by. How many steps make a whole?"
        ),
        _half_life_mistake(
            -1 / np.log(np.sqrt(0.5)), "that is when 1/e is left; ½ is asked for: log ½ / log |λ|."
        ),
        _half_life_mistake(np.sqrt(0.5), "that is |λ|, what one step leaves; how many leave ½?"),
        _half_life_mistake(0.25, "that is in periods; give steps."),
        Mistake(
            (8, 3),
            "the period is right. Each step leaves |λ| of the swing; how many leave ½?",
            _pair(lambda period, _: about(period, 8)),
        ),
        Mistake(
            (6, 2),
            "the half-life is right. Each step turns by the angle of λ; how many are a full turn?",
            _pair(lambda _, half_life: about(half_life, 2)),
        ),
    ],
    variants=[
        [8.0, 2.0],
        np.array([2 * np.pi / np.angle(0.5 + 0.5j), np.log(0.5) / np.log(abs(0.5 + 0.5j))]),
    ],
)


# 3. The transition

# One row, more rows than columns, and as many: so that wrong products run and get their hints.
_STATES = [
    (np.array([1.0, 2.0, 4.0]).reshape(3, 1, 1), 5.0),
    (
        np.array([[1, 2, 0], [2, 1, 1], [0, 1, 3], [4, 1, 1], [1, 0, 2.0]]).reshape(5, 3, 1),
        2.0,
    ),
    (
        np.array(
            [[[1, 0], [2, 1]], [[0, 2], [1, 1]], [[3, 1], [0, -1]], [[1, 5], [2, 4.0]]],
        ),
        0.5,
    ),
]


def _pairs(W):
    """Return the rows of all states but the last, and the rows that follow them."""
    k = W.shape[2]
    return W[:-1].reshape(-1, k), W[1:].reshape(-1, k)


def _ridge(P, Q, strength):
    return np.linalg.solve(P.T @ P + strength * np.eye(P.shape[1]), P.T @ Q)


def _transition(W, regularization):
    return _ridge(*_pairs(W), regularization)


def _transition_by_loops(W, regularization):
    k = W.shape[2]
    A, B = regularization * np.eye(k), np.zeros((k, k))
    for now, following in zip(W[:-1], W[1:], strict=True):
        A += now.T @ now
        B += now.T @ following
    return np.linalg.inv(A) @ B


def _transition_by_lstsq(W, regularization):
    P, Q = _pairs(W)
    k = W.shape[2]
    P = np.vstack([P, np.sqrt(regularization) * np.eye(k)])
    return np.linalg.lstsq(P, np.vstack([Q, np.zeros((k, k))]), rcond=None)[0]


def _transition_by_sklearn(W, regularization):
    P, Q = _pairs(W)
    coefficients = Ridge(regularization, fit_intercept=False).fit(P, Q).coef_
    return coefficients.reshape(W.shape[2], -1).T


def _of_pairs(function):
    """Return a function of (W, ρ) that passes on the paired rows."""
    return lambda W, rho: function(*_pairs(W), rho)


def _rows_one_after_another(W, rho):
    rows = W.reshape(-1, W.shape[2])
    return _ridge(rows[:-1], rows[1:], rho)


def _across_stations(W, rho):
    return _transition(W.transpose(1, 0, 2), rho)


def _gram_of_all_states(W, rho):
    P, Q = _pairs(W)
    rows = W.reshape(-1, W.shape[2])
    return np.linalg.solve(rows.T @ rows + rho * np.eye(W.shape[2]), P.T @ Q)


def _on_its_side(W, rho):
    """Take W Wᵀ for WᵀW everywhere."""
    A = sum(now @ now.T for now in W[:-1]) + rho * np.eye(W.shape[2])
    return np.linalg.solve(A, sum(a @ b.T for a, b in zip(W[:-1], W[1:], strict=True)))


transition = Exercise(
    solution=_transition,
    praise="It is the ridge regression of lesson 5: the unknowns are the columns of T, and every "
    "station and step is a row of the data.",
    hint="with P the rows of W[:-1] and Q those of W[1:], below each other, T solves "
    "(PᵀP + ρI) T = PᵀQ.",
    cases=_STATES,
    mistakes=[
        Mistake(
            lambda W, rho: _transition(W, rho).T,
            "that is Tᵀ, for states that are columns. Here a row is multiplied from the right: "
            "W_{t+1} ≈ Wₜ T.",
        ),
        Mistake(
            _of_pairs(lambda P, Q, rho: _ridge(Q, P, rho)),
            "backwards in time: this T predicts yesterday from today. P is W[:-1], Q is W[1:].",
        ),
        Mistake(
            _of_pairs(lambda P, Q, rho: np.linalg.lstsq(P, Q, rcond=None)[0]),
            "ρ is forgotten: add ρI to the Gram matrix.",
        ),
        Mistake(
            _across_stations,
            "the pairs run over the stations: the first axis of W holds the steps, W[:-1] and "
            "W[1:].",
        ),
        Mistake(
            _rows_one_after_another,
            "after the reshape, the next row is another station of the same step. Shift by a step "
            "first, then put the rows below each other.",
        ),
        Mistake(
            _gram_of_all_states,
            "the Gram matrix sums over the states that have a next one, without the last.",
        ),
        Mistake(
            _of_pairs(lambda P, Q, rho: np.linalg.solve(P.T @ P + rho, P.T @ Q)),
            "PᵀP + ρ adds ρ to every entry; ρI adds it to the diagonal: ρ * np.eye(k).",
        ),
        Mistake(
            lambda W, rho: _transition(W, rho * (len(W) - 1)),
            "ρ is counted once per step, or the sums over t were made means. It counts once.",
        ),
        Mistake(
            _of_pairs(lambda P, Q, rho: _ridge(P, Q, rho * len(P))),
            "ρ is counted once per row, or the sums over rows were made means. It counts once.",
        ),
        Mistake(
            lambda W, rho: np.mean(
                [_ridge(a, b, rho) for a, b in zip(W, W[1:], strict=False)], axis=0
            ),
            "that is the mean of a T for every step. One T serves all: sum first, solve once.",
        ),
        Mistake(
            lambda W, rho: _transition(W, 2 * rho),
            "ρ is doubled: both terms carry a ½, so no factor 2 is left.",
        ),
        Mistake(
            lambda W, rho: _transition(W, rho**2),
            "ρ comes in squared. As extra rows below P, the penalty is √ρ I.",
        ),
        Mistake(
            _of_pairs(
                lambda P, Q, rho: P.T @ Q @ np.linalg.inv(P.T @ P + rho * np.eye(P.shape[1]))
            ),
            "the inverse stands on the left: (PᵀP + ρI)⁻¹ PᵀQ.",
        ),
        Mistake(
            _of_pairs(
                lambda P, Q, rho: np.linalg.solve(P.T @ P + rho * np.eye(P.shape[1]), Q.T @ P)
            ),
            "the right side is on its side: PᵀQ, not QᵀP.",
        ),
        Mistake(
            _on_its_side,
            "Wₜ Wₜᵀ has a row and a column per station; the Gram matrix is WₜᵀWₜ, k×k.",
        ),
        Mistake(
            _of_pairs(lambda P, Q, rho: P.T @ Q),
            "that is PᵀQ alone; the system with PᵀP + ρI is still to be solved.",
        ),
        Mistake(
            lambda W, rho: W[:-1] @ _transition(W, rho),
            "those are the predictions Wₜ T; return T.",
        ),
    ],
    variants=[
        _transition_by_loops,
        _transition_by_lstsq,
        _transition_by_sklearn,
        lambda W, rho: fit_transitions(W, (1,), rho)[0],
    ],
)


# 4. Find the bug

# Before every t are two steps of its phase at least, and after it one. One phase is that of step 0.
_HISTORIES = [
    (np.array([1.0, 6.0, 3.0, 8.0, 7.0, 22.0, 9.0, 40.0, 5.0, 44.0]), 2, 7),
    (np.arange(22.0).reshape(11, 2) ** 2 % 13, 3, 6),
    (np.arange(24.0).reshape(12, 1, 2) ** 2 % 17, 3, 8),
]


def _season_mean(X, season, t):
    return X[t % season : t : season].mean(axis=0)


def _season_mean_backwards(X, season, t):
    return np.mean([X[s] for s in range(t - season, -1, -season)], axis=0)


def _season_mean_by_phase(X, season, t):
    before = np.arange(len(X)) < t
    return X[before & (np.arange(len(X)) % season == t % season)].mean(axis=0)


def _season_mean_by_library(X, season, t):
    past = X[:t].reshape(t, -1)
    return MeanValue(season).fit(past).forecast(1).reshape(X.shape[1:])


def _others_of_phase(X, season, t):
    return np.mean([X[s] for s in range(t % season, len(X), season) if s != t], axis=0)


def _knows_the_future(function):
    """Tell whether results change with the step that is forecast, or with later ones."""
    changed = [(np.concatenate([X[:t], X[t:] + 1000]), season, t) for X, season, t in _HISTORIES]
    return not all(map(equal, results(function, _HISTORIES), results(function, changed)))


season_mean = Exercise(
    solution=_season_mean,
    praise="Nothing from step t on can change it. Over four weeks the leak made every error of the "
    "last week smaller by a quarter, exactly.",
    hint="average the steps t − season, t − 2·season, … down to the first.",
    cases=_HISTORIES,
    mistakes=[
        Mistake(
            lambda X, season, t: X[t % season : t + 1 : season].mean(axis=0),
            "step t itself is in its mean. A slice stops before its end: [… : t : …].",
        ),
        Mistake(
            _others_of_phase,
            "step t is left out, and later steps are not: nobody knew them when it was forecast.",
        ),
        Mistake(
            lambda X, season, t: X[t % season :: season].mean(axis=0),
            "it changes if X[t:] is changed, so it knows the future: use X[:t] alone.",
            _knows_the_future,
        ),
        Mistake(
            lambda X, season, t: X[t - season],
            "that is the last season alone; average all earlier steps of the phase.",
        ),
        Mistake(
            lambda X, season, t: X[:t].mean(axis=0),
            "that averages all phases; keep every step that is whole seasons before t.",
        ),
        Mistake(
            lambda X, season, t: X[t - season : t].mean(axis=0),
            "that is the mean of the season before t; keep one step of every season.",
        ),
        Mistake(
            lambda X, season, t: X[:t:season].mean(axis=0),
            "that is the phase of step 0; begin at t % season.",
        ),
        Mistake(
            lambda X, season, t: X[t - 1 :: -season].mean(axis=0),
            "that is the phase of the day before; t − season is the nearest in the phase of t.",
        ),
        Mistake(
            lambda X, season, t: X[t % season : t - season : season].mean(axis=0),
            "the step t − season was known, and is left out.",
        ),
        Mistake(
            lambda X, season, t: X[t - season : 0 : -season].mean(axis=0),
            "step 0 is left out: a slice down to 0 stops before it.",
        ),
        Mistake(
            lambda X, season, t: X[t % season : t : season].mean(),
            "that is one number for the whole table; average over the steps alone: axis=0.",
        ),
        Mistake(
            lambda X, season, t: X[t % season : t : season].sum(axis=0),
            "that is the sum; divide it by the number of steps in it.",
        ),
        Mistake(
            lambda X, season, t: np.median(X[t % season : t : season], axis=0),
            "that is the median. It is honest too, but the mean is asked for.",
        ),
    ],
    variants=[_season_mean_backwards, _season_mean_by_phase, _season_mean_by_library],
)


# 5. Think

_ROOT = (np.sqrt(5) - 1) / 2


def _contains(number):
    """Return a test: the number is the answer, or one of its numbers."""
    return lambda answer: any(about(part, number) for part in np.ravel(answer))


constant_rule = Exercise(
    solution=(_ROOT, -1 - _ROOT),
    praise="And whenever W_{t+1} = Wₜ A, the rule holds with T = 0.618 A. Who reads that T as the "
    "transition sees everything fade by 0.618 per step.",
    hint="put the same w for all three states: w = t w + t² w. For the order of the two, try "
    "wₜ = μᵗ in the rule.",
    accepts=lambda got, wanted: np.shape(got) == (2,) and all(map(about, got, wanted)),
    mistakes=[
        Mistake(
            (-1 - _ROOT, _ROOT),
            "both keep w, but the order is the other: with t = −1.618 the rule has μ = −2.618, "
            "and a disturbance explodes.",
            _pair(lambda first, second: about(first, -1 - _ROOT) and about(second, _ROOT)),
        ),
        Mistake(
            (1, -1),
            "t = 1 gives w + w, twice too much. That would be the answer for wₜ = t w_{t−1}.",
            _contains(1),
        ),
        Mistake(
            0.5,
            "½ + ½² is ¾. The second term has t².",
            _contains(0.5),
        ),
        Mistake(
            (1 + _ROOT, -_ROOT),
            "the signs are those of t² − t − 1 = 0; the rule says t² + t − 1 = 0.",
            _contains(1 + _ROOT),
        ),
        Mistake(
            0,
            "with t = 0 the next state is 0, whatever w is.",
            _contains(0),
        ),
        Mistake(
            _ROOT,
            "that one is right; a quadratic equation has two solutions. Give both.",
            lambda answer: about(answer, _ROOT),
        ),
        Mistake(
            -1 - _ROOT,
            "that one keeps w, and a quadratic equation has another solution. Give it first.",
            lambda answer: about(answer, -1 - _ROOT),
        ),
    ],
    variants=[[0.618, -1.618], np.roots([1, 1, -1])[::-1]],
)
