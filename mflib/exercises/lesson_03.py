"""Exercises of lesson 3: NMF losses as likelihoods."""

from itertools import product

import numpy as np
from scipy.special import kl_div, xlogy

from mflib.exercises.base import (
    Exercise,
    Mistake,
    as_floats,
    equal,
    mistakes_with,
    on_each,
    one_decimal,
    results,
)
from mflib.losses import find_loss

# 1. By hand


def _begins_with(answer, *numbers):
    """Tell whether an answer of four numbers begins with these."""
    return np.shape(answer) == (4,) and equal(answer[: len(numbers)], numbers)


constants_by_hand = Exercise(
    solution=(3, 2, 3, 3),
    praise="Three noise models, one mean: they differ when entries are weighed against each other.",
    hint="give four numbers, in the order of the losses. The first loss has its minimum where "
    "Σ(y − x) = 0.",
    mistakes=[
        Mistake(
            (2, 3, 2, 2),
            "median and mean are swapped: Σ(y − x) = 0 is solved by the mean, and the median has "
            "as many numbers below as above.",
            lambda answer: _begins_with(answer, 2, 3),
        ),
        Mistake(
            (3, 3, 3, 3),
            "move y from 3 to 2: it comes closer to two of the numbers and leaves only one, so "
            "the absolute loss falls.",
            lambda answer: _begins_with(answer, 3, 3),
        ),
        Mistake(
            (3, 2, 12 ** (1 / 3), 1.8),
            "the derivative Σ(y − x)/V(y) has one y for all numbers, so V(y) cancels. (Geometric "
            "and harmonic mean solve it if you exchange x and y in the loss.)",
            lambda answer: _begins_with(answer, 3, 2),
        ),
    ],
    variants=[[3.0, 2.0, 3.0, 3.0], np.array([3, 2, 3, 3])],
)


# 2. A multiplicative update

_W = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 2.0]])
_H = np.array([[1.0, 2.0], [3.0, 1.0]])
_H_WITH_ZERO = np.array([[0.0, 2.0], [3.0, 1.0]])
_X = np.array([[3.0, 1.0], [4.0, 5.0], [4.0, 6.0]])


def _update(X, W, H):
    return H * (W.T @ X) / (W.T @ W @ H)


def _update_by_loops(X, W, H):
    new = np.zeros(H.shape)
    for i, j in np.ndindex(H.shape):
        new[i, j] = H[i, j] * (W[:, i] @ X[:, j]) / (W[:, i] @ (W @ H[:, j]))
    return new


def _draw_updates(rng):
    """Yield tables with zeros of every shape, and a denominator without."""
    for m, n, k in ((1, 1, 1), (3, 3, 3), (2, 2, 1), (4, 3, 2), (2, 4, 3), (3, 1, 2), (4, 4, 4)):
        X, W, H = np.zeros((m, n)), np.zeros((m, k)), np.zeros((k, n))
        while np.min(W.T @ W @ H) < 0.1:
            X, W, H = (np.abs(one_decimal(rng, *Z.shape)) for Z in (X, W, H))
        yield X, W, H
        yield 30 * X, W, H


def _is_gradient_step(function, cases):
    """Tell whether H changes by a fixed multiple of the gradient, for any step size."""
    downhill = [W.T @ (X - W @ H) for X, W, H in cases]
    changes = [got - H for got, (_, _, H) in zip(results(function, cases), cases, strict=True)]
    rate = np.vdot(downhill[1], changes[1]) / np.vdot(downhill[1], downhill[1])
    return rate != 0 and all(
        equal(got, rate * gradient, 1e-4) for got, gradient in zip(changes, downhill, strict=True)
    )


multiplicative_update = Exercise(
    solution=_update,
    praise="No step size, no entry below zero. And a zero stays zero, even where it is wrong.",
    hint="H * (W.T @ X) / (W.T @ W @ H), product and quotient entry by entry.",
    cases=[
        (np.array([[6.0]]), np.array([[2.0]]), np.array([[2.0]])),
        (_X, _W, _H),
        (_X, _W, _H_WITH_ZERO),
        (_W @ _H, _W, _H),
        (100 * _X, _W, _H),
    ],
    draw=_draw_updates,
    mistakes=[
        Mistake(
            lambda X, W, H: H * (W.T @ W @ H) / (W.T @ X),
            "the quotient is upside down: where W H is too small, H must grow.",
        ),
        Mistake(
            lambda X, W, H: H * (W.T @ X) / (W.T @ W),
            "the denominator lacks H: it compares WᵀX with WᵀY, and Y = W H.",
        ),
        Mistake(
            lambda X, W, H: H * (W.T @ X),
            "the division is missing: where W H equals X, H must stay.",
        ),
        Mistake(
            lambda X, W, H: (W.T @ X) / (W.T @ W @ H),
            "that is the factor alone; multiply H by it.",
        ),
        Mistake(
            lambda X, W, H: H + (W.T @ X) / (W.T @ W @ H),
            "the quotient multiplies H, entry by entry; it is not added.",
        ),
        Mistake(
            lambda X, W, H: H + 0.01 * (W.T @ (X - W @ H)),
            "that is a gradient step of fixed size; here each entry has its own, H / (WᵀW H).",
            _is_gradient_step,
        ),
        Mistake(
            lambda X, W, H: H @ ((W.T @ X) / (W.T @ W @ H)),
            "H @ (…) is the product of matrices; multiply entry by entry, with *.",
        ),
        Mistake(
            lambda X, W, H: H * (X.T @ W) / (W.T @ W @ H),
            "XᵀW is the transpose of WᵀX; it fits only where H is square.",
        ),
        Mistake(
            lambda X, W, H: H * np.sqrt((W.T @ X) / (W.T @ W @ H)),
            "the quotient comes without a root.",
        ),
        Mistake(
            lambda X, W, H: H * (W.T @ (X / (W @ H))) / W.sum(axis=0)[:, np.newaxis],
            "that is the update for the Kullback–Leibler loss; this one is for the squared loss.",
        ),
        Mistake(
            lambda X, W, H: np.linalg.lstsq(W, X)[0],
            "that is the best H of all signs; an update multiplies each entry by a factor.",
        ),
        Mistake(
            lambda X, W, H: H * (W.T @ X) / (H @ W.T @ W),
            "the order of a matrix product matters: WᵀW stands on the left of H.",
        ),
        Mistake(
            lambda X, W, H: W * (X @ H.T) / (W @ H @ H.T),
            "that is the update of W; update H.",
        ),
    ],
    variants=[
        _update_by_loops,
        lambda X, W, H: np.multiply(H, np.divide(W.T @ X, W.T @ (W @ H) + 1e-12)),
        lambda X, W, H: H + H / (W.T @ W @ H) * (W.T @ (X - W @ H)),
    ],
)


# 3. Find the bug

_POSITIVE_COUNTS = np.array([[2.0, 1.0], [3.0, 4.0]]), np.array([[1.0, 2.0], [3.0, 3.0]])
_COUNTS = np.array([[0.0, 3.0, 1.0], [5.0, 0.0, 2.0]]), np.array([[0.5, 2.0, 1.0], [6.0, 0.1, 2.0]])


def _kullback_leibler(X, Y):
    return np.sum(kl_div(X, Y))


def _with_addend(X, Y, above, below):
    return np.sum(X * np.log((X + above) / (Y + below)) - X + Y)


def _draw_counts(rng):
    for shape in ((1, 1), (1, 4), (3, 1), (2, 2), (3, 4)):
        for mean in (0.5, 2, 20):
            Y = mean * 10 ** rng.uniform(-1, 1.5, shape)
            yield rng.poisson(mean, shape) * 1.0, np.maximum(np.round(Y, 1), 0.1)


def _adds_a_number(function, cases):
    """Tell whether a number was added inside the logarithm: above, below or to both."""
    got = [as_floats(result).item() for result in results(function, cases)]
    with np.errstate(all="ignore"):
        return any(
            equal(got, [_with_addend(*case, *addends) for case in cases])
            for addends in product((0, *10.0 ** -np.arange(9)), repeat=2)
        )


kullback_leibler = Exercise(
    solution=_kullback_leibler,
    praise="0 log 0 counts as 0, its limit. What is left of the entry is Y: a count was expected.",
    hint="return one number, the sum over all entries; an entry with X = 0 adds Y.",
    cases=[
        (np.array([[0.0, 2.0]]), np.array([[3.0, 2.0]])),
        _POSITIVE_COUNTS,
        _COUNTS,
        (np.zeros((1, 2)), np.array([[0.25, 4.0]])),
    ],
    draw=_draw_counts,
    mistakes=[
        Mistake(
            lambda X, Y: np.sum(X * np.log(X / Y) - X + Y),
            "NumPy makes nan of 0 · log 0, and one nan spoils the sum; the limit of x log x is 0.",
            on_each(lambda got, X, Y: bool(np.isnan(got).any()) != bool(X.all())),
        ),
        Mistake(
            lambda X, Y: np.nansum(X * np.log(X / Y) - X + Y),
            "an entry with X = 0 is left out, or its nan made 0, and its Y is lost. Only "
            "X log(X/Y) is 0 there.",
        ),
        Mistake(
            lambda X, Y: np.sum(xlogy(X, X / Y)),
            "− X + Y is missing: without it the loss falls for ever as Y grows.",
        ),
        Mistake(
            lambda X, Y: _with_addend(X, Y, 1e-3, 1e-3),
            "a number added inside the logarithm changes the loss everywhere; only the zeros of X "
            "need care.",
            _adds_a_number,
        ),
        Mistake(
            lambda X, Y: np.mean(kl_div(X, Y)),
            "that is the mean over entries; take the sum.",
        ),
        Mistake(kl_div, "those are the losses of the entries; take their sum."),
        *mistakes_with(
            "one sum over all entries is asked for, not one for each row or column.",
            lambda X, Y: kl_div(X, Y).sum(axis=0),
            lambda X, Y: kl_div(X, Y).sum(axis=1),
        ),
        *mistakes_with(
            "the logarithm is the natural one, np.log.",
            lambda X, Y: np.sum(xlogy(X, X / Y) / np.log(2) - X + Y),
            lambda X, Y: np.sum(xlogy(X, X / Y) / np.log(10) - X + Y),
        ),
        Mistake(
            lambda X, Y: np.sum(xlogy(X, X / Y) + X - Y),
            "the signs after the logarithm are − X + Y.",
        ),
        Mistake(
            lambda X, Y: _kullback_leibler(np.maximum(X, 1), Y),
            "a count of 0 is made 1: the data stay as they are, and only 0 log 0 is 0.",
        ),
        Mistake(
            lambda X, Y: np.sum(kl_div(Y, X)),
            "X and Y are exchanged: the data X stand before the logarithm.",
        ),
    ],
    variants=[
        lambda X, Y: np.sum(xlogy(X, X / Y) - X + Y),
        lambda X, Y: np.sum(np.where(X > 0, X * np.log(X / Y), 0) - X + Y),
        lambda X, Y: np.sum(X[X > 0] * np.log(X[X > 0] / Y[X > 0])) - X.sum() + Y.sum(),
        lambda X, Y: np.sum(np.nan_to_num(X * np.log(X / Y)) - X + Y),
    ],
)


# 4. Which noise was it?

_NAMES = ("squared", "kullback-leibler", "itakura-saito")


def _draw_datasets(rng):
    """Yield X and Y of each noise, of unknown strength and in an unknown unit, in random order."""
    for i, name in enumerate(rng.permutation(_NAMES * 5)):
        low, unit = 10 ** rng.uniform(1, 2), 10 ** rng.uniform(*((-4, -3), (-2, 0), (1, 3))[i % 3])
        factor = 10 ** rng.uniform(0, 1.5)
        noise = {"squared": factor * low / 300, "itakura-saito": factor / 100}.get(name, 1)
        Y = low * np.exp(rng.uniform(0, np.log(rng.uniform(20, 50)), 3000))
        X = find_loss(name).sample(Y, noise, int(rng.integers(2**31)))
        yield unit * X, unit * Y


def _standardised(X, Y, name):
    return (X - Y) ** 2 / find_loss(name).variance(Y)


def _best(badness):
    """Return a function of X and Y that chooses the loss of the smallest `badness`."""
    return lambda X, Y: min(_NAMES, key=lambda name: badness(X, Y, name))


def _difference(Y, values):
    """Return by which factor the means at small and at large Y differ, as a logarithm."""
    small = Y < np.median(Y)
    return abs(np.log(values[small].mean() / values[~small].mean()))


def _trend(X, Y, name):
    return _difference(Y, _standardised(X, Y, name))


def _correlation(Y, values):
    return abs(np.corrcoef(Y, values)[0, 1])


def _gaussian_likelihood(X, Y, name):
    """Return twice the negative log-likelihood per entry of normal noise with variance ∝ V(Y)."""
    return np.log(_standardised(X, Y, name).mean()) + np.log(find_loss(name).variance(Y)).mean()


def _by_slope(X, Y):
    slope = np.polyfit(np.log(Y), np.log((X - Y) ** 2), 1)[0]
    return _NAMES[round(slope)]


def _is_constant(function, cases):
    names = set(results(function, cases))
    return len(names) == 1 and names <= set(_NAMES)


def _divides_by_squared_variance(function, cases):
    """Tell whether it takes Y² for the variance of Kullback–Leibler: Itakura–Saito is lost."""
    taken_for = {"squared": "squared", "itakura-saito": "kullback-leibler"}
    rights = results(_best(_trend), cases)
    both = zip(rights, results(function, cases), strict=True)
    return all(equal(got, taken_for[right]) for right, got in both if right in taken_for)


def _names_noise(function, cases):
    noises = {find_loss(name).noise_model for name in _NAMES} | {"Gamma"}
    return set(results(function, cases)) <= noises


matching_loss = Exercise(
    solution=_best(_trend),
    praise="The spread of the residuals tells the loss, even if strength and unit are not known.",
    hint='divide (X − Y)² by 1, Y and Y², see which does not depend on Y, and return "squared", '
    '"kullback-leibler" or "itakura-saito".',
    draw=_draw_datasets,
    mistakes=[
        Mistake(
            lambda X, Y: "squared",
            "the answer is the same for all data; let it depend on X and Y.",
            _is_constant,
        ),
        *mistakes_with(
            "losses have different units, so the smallest says nothing: measure in another unit, "
            "and another one is the smallest.",
            _best(lambda X, Y, name: find_loss(name).value(X, Y)),
        ),
        *mistakes_with(
            "that takes the noise strength for 1, and it is not known: the size of the residuals "
            "tells how strong the noise is, not which. Compare small Y with large Y.",
            _best(lambda X, Y, name: find_loss(name).negative_log_likelihood(X, Y)),
            _best(lambda X, Y, name: abs(_standardised(X, Y, name).mean() - 1)),
            _best(lambda X, Y, name: abs(np.log(_standardised(X, Y, name).mean()))),
        ),
        *mistakes_with(
            "the residuals themselves have mean 0 for every Y in all three models; look at their "
            "squares.",
            _best(
                lambda X, Y, name: _correlation(Y, (X - Y) / np.sqrt(find_loss(name).variance(Y)))
            ),
            _best(lambda X, Y, name: _correlation(Y, (X - Y) / find_loss(name).variance(Y))),
        ),
        Mistake(
            _best(
                lambda X, Y, name: _difference(
                    Y, _standardised(X, Y, name) / find_loss(name).variance(Y)
                )
            ),
            "V is the variance: divide (X − Y)² by V(Y), or X − Y by the root of V(Y).",
            _divides_by_squared_variance,
        ),
        *mistakes_with(
            "that is the loss with the largest dependence on Y; take the smallest.",
            _best(lambda X, Y, name: -_trend(X, Y, name)),
        ),
        Mistake(
            lambda X, Y: _NAMES[(_NAMES.index(_best(_trend)(X, Y)) + 1) % 3],
            "the names are shifted: V = 1 belongs to squared, y to Kullback–Leibler, y² to "
            "Itakura–Saito.",
        ),
        Mistake(
            lambda X, Y: find_loss(_best(_trend)(X, Y)).noise_model,
            "that is the noise; return the name of the loss that belongs to it.",
            _names_noise,
        ),
    ],
    variants=[
        _by_slope,
        _best(lambda X, Y, name: _correlation(Y, _standardised(X, Y, name))),
        _best(lambda X, Y, name: _correlation(np.log(Y), np.log(_standardised(X, Y, name)))),
        _best(lambda X, Y, name: _correlation(Y, _standardised(X, Y, name) ** 0.5)),
        _best(_gaussian_likelihood),
    ],
)


# 5. Explore


def _place_differs(place, wanted):
    """Return a condition: three numbers, and the one at this place is not the wanted one."""
    return lambda answer: np.shape(answer) == (3,) and not equal(answer[place], wanted)


scales = Exercise(
    solution=(10, 100, 1),
    praise="γ², γ and 1. The Itakura–Saito loss knows ratios only: quiet passages count like loud.",
    hint="give three numbers: γ for the squared loss, γ for Kullback–Leibler, and a factor.",
    mistakes=[
        Mistake(
            (100, 10, 1),
            "the first two are swapped: the squared loss grows with γ², Kullback–Leibler with γ.",
        ),
        Mistake(
            (2, 1, 0),
            "those are the degrees, the exponents of γ; you want γ itself, and a factor.",
        ),
        Mistake(
            (10000, 100, 1),
            "those are the factors at γ = 100; for the first two you want the γ that gives 100.",
        ),
        Mistake(
            (0.1, 0.01, 1),
            "there the losses are 100 times as small; move γ to the other side of 1.",
        ),
        Mistake(
            (10, 100, 0),
            "0 is the exponent; γ to the power 0 is the factor.",
        ),
        Mistake(
            (100, 100, 100),
            "the squared loss is not proportional to γ: doubling γ makes it four times as large.",
            _place_differs(0, 10),
        ),
        Mistake(
            (10, 10, 1),
            "the Kullback–Leibler loss grows like γ, not like its square.",
            _place_differs(1, 100),
        ),
        Mistake(
            (10, 100, 100),
            "the Itakura–Saito loss sees only the ratio of X and Y, and γ cancels in it.",
            _place_differs(2, 1),
        ),
    ],
    variants=[[10.0, 100.0, 1.0], np.array([10, 100, 1])],
)
