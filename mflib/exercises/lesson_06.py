"""Exercises of lesson 6: sequential matrix factorization."""

import numpy as np
from sklearn.linear_model import Ridge

from mflib.exercises.base import (
    Exercise,
    Mistake,
    about,
    alike,
    mistakes_with,
    number_mistakes,
    one_decimal,
    pair,
    results,
    rounds_to,
    same_where,
)
from mflib.sequential import MeanValue, fit_transitions

# 1. By hand

state_by_hand = Exercise(
    solution=(1, 15),
    praise="It is (1, −1) + 2ᵗ (0, 2) at step t. Both rows are eigenvectors, with wT = w and "
    "wT = 2w; after many steps the second is all one sees.",
    hint="give the pair w₃. One step: (a, b) T = (1·a + 0·b, 1·a + 2·b).",
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
        Mistake(
            (0, 1),
            "that is a direction; w₃ itself is asked for, with its length.",
            pair(lambda a, b: about(np.hypot(a, b), 1) and b > 0.99),
        ),
    ],
    variants=[
        [1.0, 15.0],
        np.array([[1, 15]]),
        np.array([1, 1]) @ np.linalg.matrix_power([[1, 1], [0, 2]], 3),
    ],
)


# 2. What an eigenvalue says

eigenvalue_by_hand = Exercise(
    solution=(8, 2),
    praise="|λ|² = ½ and 8 · 45° = 360°. A period is four half-lives, so 1/16 is left after one: "
    "λ⁸ = 1/16.",
    hint="give the pair (period, half-life), in steps. λ is a point in the plane: how long is it, "
    "and at which angle?",
    accepts=lambda got, wanted: np.shape(got) == (2,) and all(map(rounds_to, got, wanted)),
    mistakes=[
        Mistake((2, 8), "the two are swapped: give the period first."),
        *number_mistakes(
            (4, "λ⁴ = −¼: after 4 steps the state is upside down, half a turn."),
            (np.pi / 4, "that is the angle of one step; how many make 2π?"),
            (45, "that is the angle of one step in degrees; how many make 360°?"),
            (1 / 8, "that is the share of a turn in one step; the period is 1 over it."),
            (4 * np.pi, "½ is the imaginary part; the angle is that of the point, arctan(½ / ½)."),
            (2**1.5 * np.pi, "that divides by |λ|; the period is 2π divided by the angle."),
            shows=pair(lambda period, _, number: about(period, number)),
            answer=lambda number: (number, 2),
        ),
        *number_mistakes(
            (1, "that takes the real part, or |λ|², for |λ|. Pythagoras: |λ|² = ¼ + ¼."),
            (4, "after 4 steps ¼ is left; ask for ½."),
            (-2, "the sign: |λ| < 1, so this fades. log ½ and log |λ| are negative."),
            (0.5, "upside down: that is half-lives per step."),
            (
                -1 / np.log(np.sqrt(0.5)),
                "that is when 1/e is left; ½ is asked for: log ½ / log |λ|.",
            ),
            (np.sqrt(0.5), "that is |λ|, what one step leaves; how many leave ½?"),
            (0.25, "that is in periods; give steps."),
            shows=pair(lambda _, half_life, number: about(half_life, number)),
            answer=lambda number: (8, number),
        ),
        Mistake(
            (8, 3),
            "the period is right. Each step leaves |λ| of the swing; how many leave ½?",
            pair(lambda period, _: rounds_to(period, 8)),
        ),
        Mistake(
            (6, 2),
            "the half-life is right. Each step turns by the angle of λ; how many are a full turn?",
            pair(lambda _, half_life: rounds_to(half_life, 2)),
        ),
    ],
    variants=[
        [8.0, 2.0],
        np.array([2 * np.pi / np.angle(0.5 + 0.5j), np.log(0.5) / np.log(abs(0.5 + 0.5j))]),
    ],
)


# 3. The transition

_ONE_STATION = (np.array([1.0, 2.0, 4.0, 3.0]).reshape(4, 1, 1), 2, 3.0)
# Two pairs of steps, two rows and two columns: so that even products of three axes run.
_CUBE = (np.array([[[1, 0], [2, 1]], [[0, 2], [1, 1]], [[3, 1], [0, -1.0]]]), 1, 0.5)


def _draw_states(rng):
    """Yield states of one station and many, with more rows than columns and fewer."""
    for m, k in ((1, 1), (3, 1), (1, 3), (2, 2), (4, 2), (2, 3)):
        for lag in (1, 2, 3):
            n_steps = lag + int(rng.integers(1, 4)) * (1 + k)
            W = np.zeros((n_steps, m, k))
            while np.max(np.abs(_transition(W, lag, 1.0))) < 0.05:
                W = one_decimal(rng, n_steps, m, k)
            yield W, lag, rng.choice([0.1, 0.5, 2.0, 8.0])


def _pairs(W, lag):
    """Return the rows of all states but the last, and the rows that follow `lag` steps later."""
    k = W.shape[2]
    return W[:-lag].reshape(-1, k), W[lag:].reshape(-1, k)


def _ridge(P, Q, strength):
    return np.linalg.solve(P.T @ P + strength * np.eye(P.shape[1]), P.T @ Q)


def _transition(W, lag, regularization):
    return _ridge(*_pairs(W, lag), regularization)


def _transition_by_loops(W, lag, regularization):
    k = W.shape[2]
    A, B = regularization * np.eye(k), np.zeros((k, k))
    for t in range(lag, len(W)):
        A += W[t - lag].T @ W[t - lag]
        B += W[t - lag].T @ W[t]
    return np.linalg.inv(A) @ B


def _transition_by_lstsq(W, lag, regularization):
    P, Q = _pairs(W, lag)
    k = W.shape[2]
    P = np.vstack([P, np.sqrt(regularization) * np.eye(k)])
    return np.linalg.lstsq(P, np.vstack([Q, np.zeros((k, k))]), rcond=None)[0]


def _transition_by_sklearn(W, lag, regularization):
    P, Q = _pairs(W, lag)
    coefficients = Ridge(regularization, fit_intercept=False).fit(P, Q).coef_
    return coefficients.reshape(W.shape[2], -1).T


def _of_pairs(function):
    """Return a function of (W, lag, ρ) that passes on the paired rows."""
    return lambda W, lag, rho: function(*_pairs(W, lag), rho)


def _rows_one_after_another(W, lag, rho):
    rows = W.reshape(-1, W.shape[2])
    return _ridge(rows[:-lag], rows[lag:], rho)


def _with_gram_of(choose):
    """Return the mistake of taking other states for the Gram matrix than for the right side."""

    def function(W, lag, rho):
        (P, Q), rows = _pairs(W, lag), choose(W).reshape(-1, W.shape[2])
        return np.linalg.solve(rows.T @ rows + rho * np.eye(W.shape[2]), P.T @ Q)

    return function


def _on_its_side(W, lag, rho):
    """Take W Wᵀ for WᵀW everywhere."""
    P, Q = W[:-lag], W[lag:]
    A = sum(p @ p.T for p in P) + rho * np.eye(W.shape[2])
    return np.linalg.solve(A, sum(p @ q.T for p, q in zip(P, Q, strict=True)))


def _mean_of_transitions(W, lag, rho):
    return np.mean([_ridge(p, q, rho) for p, q in zip(W, W[lag:], strict=False)], axis=0)


def _with_three_axes(W, lag, rho):
    P, Q = W[:-lag], W[lag:]
    return np.linalg.solve(P.T @ P + rho * np.eye(W.shape[2]), P.T @ Q)


def _unpenalised(W, lag, rho):
    return np.linalg.lstsq(*_pairs(W, lag), rcond=None)[0]


def _well_determined(W, lag, rho):
    return np.linalg.cond(_pairs(W, lag)[0]) < 1e3 and W.shape[1] * (len(W) - lag) >= W.shape[2]


transition = Exercise(
    solution=_transition,
    praise="It is the ridge regression of lesson 5: the unknowns are the columns of T, and every "
    "station and step is a row of the data.",
    hint="with P the rows of W[:-lag] and Q those of W[lag:], below each other, T solves "
    "(PᵀP + ρI) T = PᵀQ.",
    cases=[_ONE_STATION, _CUBE],
    draw=_draw_states,
    mistakes=[
        Mistake(
            lambda W, lag, rho: _transition(W, 1, rho),
            "that pairs each step with the next, whatever the lag is: use W[:-lag] and W[lag:].",
        ),
        Mistake(
            lambda W, lag, rho: _transition(W, lag, rho).T,
            "that is Tᵀ, for states that are columns. Here a row is multiplied from the right: "
            "W_{t−l} T ≈ Wₜ.",
        ),
        Mistake(
            _of_pairs(lambda P, Q, rho: _ridge(Q, P, rho)),
            "backwards in time: this T goes from today to the past. P is W[:-lag], Q is W[lag:].",
        ),
        Mistake(
            _unpenalised,
            "ρ is forgotten: add ρI to the Gram matrix.",
            same_where(_well_determined, _unpenalised),
        ),
        Mistake(
            _of_pairs(lambda P, Q, rho: _ridge(P, Q, -rho)),
            "the sign of ρ: the penalty makes T smaller, so ρI is added to the Gram matrix.",
        ),
        Mistake(
            lambda W, lag, rho: _transition(W.transpose(1, 0, 2), lag, rho),
            "the pairs run over the stations: the first axis of W holds the steps, W[:-lag] and "
            "W[lag:].",
        ),
        Mistake(
            _rows_one_after_another,
            "after the reshape, the next row is another station of the same step. Shift by the "
            "lag first, then put the rows below each other.",
        ),
        *mistakes_with(
            "the Gram matrix sums over the states that have a partner in Q, those of W[:-lag].",
            _with_gram_of(lambda W: W),
            _with_gram_of(lambda W: W[:-1]),
        ),
        *mistakes_with(
            "that uses one pair of steps. Sum over all t that have a step t − l.",
            lambda W, lag, rho: _ridge(W[0], W[lag], rho),
            lambda W, lag, rho: _ridge(W[-1 - lag], W[-1], rho),
        ),
        Mistake(
            _of_pairs(lambda P, Q, rho: _ridge(P - P.mean(axis=0), Q - Q.mean(axis=0), rho)),
            "the means are taken off, as an intercept does. W_{t−l} T has none: leave the rows as "
            "they are (fit_intercept=False).",
        ),
        Mistake(
            _of_pairs(lambda P, Q, rho: np.linalg.solve(P.T @ P + rho, P.T @ Q)),
            "PᵀP + ρ adds ρ to every entry; ρI adds it to the diagonal: "
            "regularization * np.eye(k).",
        ),
        Mistake(
            lambda W, lag, rho: _transition(W, lag, rho * (len(W) - lag)),
            "ρ is counted once per step, or the sums over t were made means. It counts once.",
        ),
        Mistake(
            _of_pairs(lambda P, Q, rho: _ridge(P, Q, rho * len(P))),
            "ρ is counted once per row, or the sums over rows were made means. It counts once.",
        ),
        Mistake(
            _mean_of_transitions,
            "that is the mean of a T for every step. One T serves all: sum first, solve once.",
        ),
        *mistakes_with(
            "ρ has a factor 2 or ½ too many: both terms carry a ½, and it cancels.",
            lambda W, lag, rho: _transition(W, lag, 2 * rho),
            lambda W, lag, rho: _transition(W, lag, rho / 2),
        ),
        *mistakes_with(
            "ρ comes in squared, or as its root. As extra rows below P, the penalty is √ρ I; in "
            "the Gram matrix it is ρI.",
            lambda W, lag, rho: _transition(W, lag, rho**2),
            lambda W, lag, rho: _transition(W, lag, np.sqrt(rho)),
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
            lambda W, lag, rho: W[:-lag] @ _transition(W, lag, rho),
            "those are the predictions W_{t−l} T; return T.",
        ),
        Mistake(
            _with_three_axes,
            "W has three axes: reshape to rows first, W[:-lag].reshape(-1, k), or sum the products "
            "of single steps.",
            lambda function, cases: np.ndim(next(results(function, [_CUBE]))) == 3,
        ),
    ],
    variants=[
        _transition_by_loops,
        _transition_by_lstsq,
        _transition_by_sklearn,
        lambda W, lag, rho: fit_transitions(W, (lag,), rho)[0],
    ],
)


# 4. Find the bug

_HISTORIES = [
    (np.array([1.0, 6.0, 3.0, 8.0, 7.0, 22.0, 9.0, 40.0, 5.0, 44.0]), 2, 7),
    (np.arange(22.0).reshape(11, 2) ** 2 % 13, 3, 6),
    (np.array([2.0, 9.0, 4.0, 1.0, 8.0, 5.0]), 1, 4),
]


def _draw_histories(rng):
    """Yield numbers, vectors and tables of some weeks, and a step t after the first week."""
    for shape in ((), (2,), (3, 2)):
        for season in (1, 2, 3, 4, 7):
            n_steps = int(rng.integers(3, 6)) * season + int(rng.integers(season)) + 1
            X = rng.integers(0, 50, (n_steps, *shape)).astype(float)
            yield X, season, int(rng.integers(season, n_steps))


def _season_mean(X, season, t):
    return X[t % season : t : season].mean(axis=0)


def _season_mean_backwards(X, season, t):
    return np.mean([X[s] for s in range(t - season, -1, -season)], axis=0)


def _season_mean_by_mask(X, season, t):
    before = np.arange(len(X)) < t
    return X[before & (np.arange(len(X)) % season == t % season)].mean(axis=0)


def _season_mean_by_library(X, season, t):
    past = X[:t].reshape(t, -1)
    return MeanValue(season).fit(past).forecast(1).reshape(X.shape[1:])


def _others_of_weekday(X, season, t):
    return np.mean([X[s] for s in range(t % season, len(X), season) if s != t], axis=0)


def _knows_the_future(function, cases):
    """Tell whether results change with the step that is forecast, or with later ones."""
    changed = [(np.concatenate([X[:t], X[t:] + 1000]), season, t) for X, season, t in cases]
    return not all(map(alike, results(function, cases), results(function, changed)))


season_mean = Exercise(
    solution=_season_mean,
    praise="Nothing from step t on can change it. Over four weeks the leak made every error of the "
    "last week smaller by a quarter, exactly.",
    hint="average the steps t − season, t − 2·season, … down to the first.",
    cases=_HISTORIES,
    draw=_draw_histories,
    mistakes=[
        Mistake(
            lambda X, season, t: X[t % season : t + 1 : season].mean(axis=0),
            "step t itself is in its mean. A slice stops before its end: [… : t : …].",
        ),
        Mistake(
            _others_of_weekday,
            "step t is left out, and later steps are not: nobody knew them when it was forecast.",
        ),
        Mistake(
            lambda X, season, t: X[t % season :: season].mean(axis=0),
            "it changes if X[t:] is changed, so it knows the future: use X[:t] alone.",
            _knows_the_future,
        ),
        Mistake(
            lambda X, season, t: X[t - season],
            "that is last week alone; average all earlier steps of the same weekday.",
        ),
        Mistake(
            lambda X, season, t: X[:t].mean(axis=0),
            "that averages all weekdays; keep every step that is whole weeks before t.",
        ),
        Mistake(
            lambda X, season, t: X[t - season : t].mean(axis=0),
            "that is the mean of the week before t; keep one step of every week.",
        ),
        Mistake(
            lambda X, season, t: X[:t:season].mean(axis=0),
            "that is the weekday of step 0; begin at t % season.",
        ),
        Mistake(
            lambda X, season, t: X[t - 1 :: -season].mean(axis=0),
            "that is the weekday of the day before; begin at t − season.",
        ),
        Mistake(
            lambda X, season, t: X[t % season : t - season : season].mean(axis=0),
            "the step t − season was known, and is left out.",
        ),
        Mistake(
            lambda X, season, t: X[t % season : t - 1 : season].mean(axis=0),
            "a slice stops before its end, so end it at t: with season = 1, t − 1 is left out.",
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
    variants=[_season_mean_backwards, _season_mean_by_mask, _season_mean_by_library],
)


# 5. Think

_FACTOR = 0.9  # from one step to the next, in truth
_FITTED = _FACTOR * (np.sqrt(5) - 1) / 2


def _half_life(factor):
    return np.log(0.5) / np.log(factor)


def _near(got, wanted):
    """Tell whether an answer is about a half-life; to one decimal, as it is asked for."""
    return abs(got - wanted) < 0.06


program_rule = Exercise(
    solution=(_FITTED, _half_life(_FITTED)),
    praise="The true half-life is 6.6 steps. For any A the rule holds with T = 0.618 A, and who "
    "reads that T as the transition sees everything fade too fast.",
    hint="give the pair (T, half-life). With W_{t−2} = w, the two states after it are 0.9 w and "
    "0.81 w: put them into the rule.",
    accepts=lambda got, wanted: np.shape(got) == (2,) and all(map(rounds_to, got, wanted, (2, 1))),
    mistakes=[
        *number_mistakes(
            (
                _FITTED / _FACTOR,
                "that is T if nothing changes, A = 1. Here each state is 0.9 of the one before.",
            ),
            (_FACTOR, "with T = A both terms are the next state, and the rule gives it twice."),
            (_FACTOR / 2, "½ + ½² is ¾: with T = A/2 the rule gives too little, for it has T²."),
            (-_FACTOR - _FITTED, "that meets the rule, too; the positive number is asked for."),
            (
                _FACTOR + _FITTED,
                "the signs are those of T² − 0.9 T − 0.81 = 0; the rule says "
                "T² + 0.9 T − 0.81 = 0.",
            ),
            *(
                (
                    max(np.roots(equation).real),
                    "the three states are not the same: if W_{t−2} is w, then W_{t−1} is 0.9 w, "
                    "and Wₜ is 0.81 w.",
                )
                for equation in ([1, 1, -0.9], [1, 1, -0.81], [0.9, 1, -0.9])
            ),
            shows=pair(lambda factor, _, number: about(factor, number)),
            answer=lambda number: (number, 2),
        ),
        *number_mistakes(
            (
                _half_life(_FACTOR),
                "that is the true half-life, that of A. The reader takes T for the transition.",
            ),
            (1 / _half_life(_FITTED), "upside down: that is half-lives per step."),
            (-_half_life(_FITTED), "the sign: T < 1, so this fades. ln ½ and ln T are negative."),
            (-1 / np.log(_FITTED), "that is when 1/e is left; ½ is asked for: ln ½ / ln T."),
            (
                0.5 / (1 - _FITTED),
                "each step takes 44 % of what is left, not of the start: ln ½ / ln T.",
            ),
            shows=pair(
                lambda factor, half_life, number: (
                    about(factor, _FITTED) and _near(half_life, number)
                )
            ),
            answer=lambda number: (_FITTED, number),
        ),
        Mistake(
            (_half_life(_FITTED), _FITTED),
            "the two are swapped: give T first.",
            pair(lambda a, b: _near(a, _half_life(_FITTED)) and about(b, _FITTED)),
        ),
        Mistake(
            (_FITTED, 3),
            "T is right. After how many steps is half left, if each step leaves T? ln ½ / ln T.",
            pair(lambda factor, _: rounds_to(factor, _FITTED)),
        ),
        Mistake(
            _FITTED,
            "that is T; give the pair, with the half-life in steps.",
            lambda answer: rounds_to(answer, _FITTED),
        ),
    ],
    variants=[
        [0.556, 1.2],
        (0.56, 1.18),
        np.array([max(np.roots([1, 0.9, -0.81]).real), np.log(2) / -np.log(_FITTED)]),
    ],
)
