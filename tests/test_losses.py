"""Lesson 3: each loss is the negative log-likelihood of its noise model, and behaves as it says."""

import subprocess
import sys
from decimal import Decimal, localcontext
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from mflib._compiled import compiled
from mflib.losses import CANONICAL, LOSSES, beta_divergence, error_at, find_loss, loss_at

NAMES = list(LOSSES)
KL, IS, LOGISTIC, POISSON = (find_loss(name) for name in NAMES[2:])
DIVERGENCES = ["squared", "kullback-leibler", "itakura-saito"]
POSITIVE = st.floats(0.01, 100)
REAL = st.floats(-100, 100)
NOISE = st.floats(0.5, 3)  # SciPy's Laplace density underflows 700 scales out
REFERENCE = {  # SciPy's densities
    "squared": lambda X, Y, s: stats.norm.logpdf(X, Y, s),
    "absolute": lambda X, Y, s: stats.laplace.logpdf(X, Y, s),
    "kullback-leibler": lambda X, Y, s: stats.poisson.logpmf(X, Y),
    "itakura-saito": lambda X, Y, s: stats.gamma.logpdf(X, 1 / s**2, scale=Y * s**2),
    "logistic": lambda X, Y, s: stats.bernoulli.logpmf(X, 1 / (1 + np.exp(-Y))),
    "poisson": lambda X, Y, s: stats.poisson.logpmf(X, np.exp(Y)),
}


def noise_of(loss, s):
    return s if loss.noise_power else 1.0


def data_for(name):
    if name == "logistic":
        return st.sampled_from([0.0, 1.0])
    if name in ("kullback-leibler", "poisson"):
        return st.integers(0, 100).map(float)
    return POSITIVE if name == "itakura-saito" else REAL


def reconstructions_for(name):
    """Draw matrices Y; log-odds beyond ±10 leave few digits in SciPy's 1 − p."""
    entries = POSITIVE if name in ("kullback-leibler", "itakura-saito") else st.floats(-10, 10)
    return arrays(float, (3, 2), elements=entries)


@pytest.mark.parametrize("name", NAMES)
@given(st.data(), NOISE)
def test_loss_and_negative_log_likelihood_differ_by_terms_without_the_reconstruction(name, data, s):
    loss = find_loss(name)
    s = noise_of(loss, s)
    X = data.draw(arrays(float, (3, 2), elements=data_for(name)))
    Y, Z = (data.draw(reconstructions_for(name)) for _ in range(2))
    densities = [loss.negative_log_density(X, A, s) for A in (Y, Z)]
    assert_allclose(densities[0], -REFERENCE[name](X, Y, s), rtol=1e-9, atol=1e-9)
    assert loss.negative_log_likelihood(X, Y, s) == pytest.approx(densities[0].sum())
    rests = [
        density - loss.entries(X, A) / loss.dispersion(s)
        for density, A in zip(densities, (Y, Z), strict=True)
    ]
    assert_allclose(*rests, rtol=0, atol=1e-12 * (1 + np.abs(densities).max()))


@pytest.mark.parametrize("name", NAMES)
@given(st.data())
def test_the_gradient_agrees_with_finite_differences(name, data):
    loss = find_loss(name)
    X = data.draw(data_for(name))
    Y = data.draw(reconstructions_for(name))
    if name == "absolute":
        Y = np.where(np.abs(X - Y) < 1e-3, Y + 1, Y)  # away from the kink
    h = 1e-5 * (Y if name in ("kullback-leibler", "itakura-saito") else 1)
    slope = (loss.entries(X, Y + h) - loss.entries(X, Y - h)) / (2 * h)
    rounding = 1e-14 * (1 + np.abs(loss.entries(X, Y))) / h
    assert_allclose(loss.gradient(X, Y), slope, rtol=1e-6, atol=1e-7 + rounding.max())
    if name in DIVERGENCES:
        assert_allclose(loss.gradient(X, Y), (Y - X) / loss.variance(Y), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("s", [0.3, 1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_samples_have_the_mean_and_the_variance_of_the_model(name, s):
    loss = find_loss(name)
    s, n = noise_of(loss, s), 200_000
    Y = np.array([-2, 0, 1.0]) if loss.takes_scores else np.array([0.5, 2, 20])
    sample = loss.sample(np.tile(Y, (n, 1)), s, random_state=0)
    variance = loss.variance(Y, s)
    assert_allclose(sample.mean(axis=0), loss.mean(Y), atol=5 * np.sqrt(variance.max() / n))
    spread = np.sqrt(((sample - sample.mean(axis=0)) ** 2).var(axis=0) / n)
    assert np.all(np.abs(sample.var(axis=0) - variance) <= 5 * spread)
    loss.entries(sample, Y)  # samples lie in the domain
    assert_array_equal(loss.sample(Y, s, random_state=3), loss.sample(Y, s, random_state=3))


@pytest.mark.parametrize("name", NAMES[:4])
@given(POSITIVE, POSITIVE, st.sampled_from([1e-3, 0.5, 7, 1e4]))
def test_the_loss_scales_by_its_degree_and_is_smallest_at_the_data(name, x, y, gamma):
    loss = find_loss(name)
    expected = gamma**loss.degree * loss.entries(x, y)
    size = gamma**loss.degree * (1 + x + y + x / y)
    assert_allclose(loss.entries(gamma * x, gamma * y), expected, rtol=1e-9, atol=1e-13 * size)
    assert loss.value(x, x) == loss.gradient(x, x) == 0
    assert loss.value(x, y) >= -1e-14 * (1 + x + y)
    if abs(x - y) > 1e-3 * y:
        assert loss.value(x, y) > 0


def test_degrees_and_variances_are_those_of_the_table():
    assert [loss.degree for loss in LOSSES.values()] == [2, 1, 1, 0, None, None]
    Y = np.array([0.5, 3])
    tables = [loss.variance(Y) for loss in LOSSES.values()]
    odds = np.exp(Y)
    assert_allclose(tables, [[1, 1], [2, 2], Y, Y**2, odds / (1 + odds) ** 2, odds])
    assert find_loss("itakura-saito").variance(4, noise=0.5) == pytest.approx(4)
    assert find_loss("absolute").variance(4, noise=3) == pytest.approx(18)


@pytest.mark.parametrize("name", NAMES[:4])
@given(st.lists(POSITIVE, min_size=3, max_size=9).filter(lambda x: len(x) % 2))
def test_for_a_constant_model_the_mean_is_best_and_for_the_absolute_loss_the_median(name, data):
    loss = find_loss(name)
    best = np.median(data) if name == "absolute" else np.mean(data)
    assert loss.best_constant(np.array(data)) == pytest.approx(best, rel=1e-14)
    found = minimize_scalar(lambda y: loss.value(data, y), bounds=(0.005, 200), method="bounded")
    assert loss.value(data, best) <= found.fun + 1e-12 * (1 + abs(found.fun))
    if name != "absolute":
        sizes = np.abs(loss.gradient(data, best)).sum()
        assert abs(loss.gradient(data, best).sum()) <= 1e-12 * (1 + sizes)


def test_the_constant_model_of_binary_data_has_the_log_odds_of_their_mean():
    loss = find_loss("logistic")
    X = np.array([1, 1, 0, 1])
    assert loss.best_constant(X) == pytest.approx(np.log(3))
    assert loss.gradient(X, np.log(3)).sum() == pytest.approx(0)
    Y = np.array([-2, 0.5, 0, 3])
    assert loss.value(X, Y) == pytest.approx(log_loss(X, loss.mean(Y), normalize=False))
    assert loss.value([0, 1], [-800, 800]) == 0  # no overflow
    assert loss.value([0, 1], [800, -800]) == 1600


@given(arrays(float, 5, elements=st.integers(0, 100).map(float)), st.floats(-10, 10))
def test_the_poisson_loss_is_the_kullback_leibler_loss_of_the_exponential(X, y):
    loss, mean = find_loss("poisson"), np.exp(y)
    assert_allclose(loss.entries(X, y), KL.entries(X, mean), rtol=1e-9, atol=1e-9)
    if X.any():
        assert np.exp(loss.best_constant(X)) == pytest.approx(KL.best_constant(X))


def test_data_without_a_finite_best_constant_count_as_one_more_entry_of_the_other_kind():
    zeros, ones = np.zeros(3), np.ones(3)
    log_odds = [find_loss("logistic").best_constant(X) for X in (zeros, ones)]
    assert_allclose(log_odds, [-np.log(3), np.log(3)])
    assert find_loss("poisson").best_constant(zeros) == pytest.approx(-np.log(4))


@pytest.mark.parametrize("name", CANONICAL)
def test_scores_that_overflow_have_a_mean_and_a_loss_in_either_precision(name):
    loss = find_loss(name)
    for dtype in (np.float32, np.float64):
        X, Y = np.ones(3, dtype), np.array([0, 1e30, np.inf], dtype)
        means = loss.mean(Y)
        assert means.dtype == dtype
        assert_array_equal(
            means[1:] == (1 if name == "logistic" else np.inf), [name != "squared", 1]
        )
        assert not np.isfinite(loss.total(X, Y))
        assert loss.total(X, Y[:1]) == pytest.approx(loss.value(X, Y[:1]))


@pytest.mark.parametrize("name", CANONICAL)
@given(st.data(), st.floats(-700, 700))
def test_in_a_loop_over_entries_a_loss_is_what_it_is_of_arrays(name, data, y):
    x, number = data.draw(data_for(name)), CANONICAL.index(name)
    X, Y = np.array([x]), np.array([y])
    loss = find_loss(name)
    size = 1e-14 * (1 + abs(x * y))
    for value_at, slope_at in ((loss_at, error_at), (loss_at.__wrapped__, error_at.__wrapped__)):
        assert_allclose(value_at(y, x, number), loss.entries(X, Y)[0], rtol=1e-12, atol=size)
        assert_allclose(slope_at(y, x, number), loss.gradient(X, Y)[0], rtol=1e-12, atol=1e-14)
        assert_allclose(slope_at(y, x, number), (loss.mean(Y) - X)[0], rtol=1e-12, atol=1e-14)


def test_numba_is_imported_at_the_first_compiled_call_and_not_before():
    code = """
import sys, mflib.losses, mflib.completion, mflib.nmf, mflib.sequential
assert "numba" not in sys.modules
mflib.losses.loss_at(0.5, 1.0, 0)
assert "numba" in sys.modules
"""
    pytest.importorskip("numba")
    subprocess.run([sys.executable, "-c", code], check=True)


@compiled
def twice(x):
    return 2 * x


@compiled
def four_times(x):
    return twice(twice(x))


def test_a_compiled_function_may_call_others_and_runs_as_it_stands_without_numba(monkeypatch):
    assert four_times(3.0) == four_times.__wrapped__(3.0) == 12
    monkeypatch.setitem(sys.modules, "numba", None)  # importing it fails
    plain = compiled(four_times.__wrapped__)
    assert plain(3.0) == 12
    assert plain.ready().__code__ is four_times.__wrapped__.__code__


def test_without_a_folder_for_machine_code_it_is_not_kept(monkeypatch):
    def njit(cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: lambda *arguments: (function(*arguments), options)

    monkeypatch.setitem(sys.modules, "numba", SimpleNamespace(njit=njit))
    result, options = compiled(twice.__wrapped__)(3)
    assert result == 6
    assert "nnan" not in options["fastmath"]  # NaN keeps its meaning


@pytest.mark.parametrize("x", [1e-310, 1e-200, 1e-150, 1.0, 1e150, 1e200, 1e300])
@pytest.mark.parametrize("y", [1e-310, 1e-200, 1e-150, 1.0, 1e150, 1e200, 1e300])
def test_losses_and_gradients_are_right_over_the_whole_range_of_numbers(x, y):
    with localcontext(prec=60, Emax=10**6, Emin=-(10**6)):
        a, b = Decimal(x), Decimal(y)
        for loss, value, slope in (
            (KL, a * (a / b).ln() + (b - a), 1 - a / b),
            (IS, a / b - (a / b).ln() - 1, (b - a) / b / b),
        ):
            for found, exact in ((loss.value(x, y), value), (loss.gradient(x, y), slope)):
                expected = float(exact)  # infinite where it exceeds the range
                assert_allclose(found, expected, rtol=1e-12, atol=1e-323)
        assert_allclose(IS.entries([x, y], [x, y]), 0)


@pytest.mark.parametrize("size", [1e3, 1e5, 1e9, 1e15])
def test_densities_of_large_counts_and_of_small_noise_keep_their_digits(size):
    # log n! by Stirling's series, in which the next term is below 1/(360 n³)
    constant = np.log(2 * np.pi * size) / 2 + 1 / (12 * size)
    assert KL.negative_log_density(size, size) == pytest.approx(constant, rel=1e-7)
    noise = 1 / np.sqrt(size)  # nearly Gaussian, with standard deviation s
    density = IS.negative_log_density(1, 1, noise)
    assert density == pytest.approx(np.log(noise * np.sqrt(2 * np.pi)) + noise**2 / 12, rel=1e-7)
    assert IS.sample(np.full(9, 1e-310), 0.1, random_state=0).max() < 2e-310


@given(arrays(float, 5, elements=POSITIVE), arrays(float, 5, elements=POSITIVE))
def test_the_kullback_leibler_loss_is_the_divergence_of_the_shares_and_the_loss_of_the_totals(X, Y):
    P, Q = X / X.sum(), Y / Y.sum()
    divergence = np.sum(P * np.log(P / Q))
    assert_allclose(KL.value(P, Q), divergence, atol=1e-12)
    parts = X.sum() * divergence + KL.value(X.sum(), Y.sum())
    assert_allclose(KL.value(X, Y), parts, rtol=1e-8, atol=1e-8)


@given(POSITIVE, POSITIVE)
def test_three_losses_are_the_distance_of_a_convex_function_from_its_tangent(x, y):
    convex = {
        "squared": (lambda t: t**2 / 2, lambda t: t),
        "kullback-leibler": (lambda t: t * np.log(t), lambda t: np.log(t) + 1),
        "itakura-saito": (lambda t: -np.log(t), lambda t: -1 / t),
    }
    for name, (function, slope) in convex.items():
        gap = function(x) - function(y) - slope(y) * (x - y)
        assert_allclose(find_loss(name).entries(x, y), gap, rtol=1e-8, atol=1e-9)


def test_zeros_in_the_kullback_leibler_loss():
    loss = find_loss("kullback-leibler")
    assert_array_equal(loss.entries([0, 0, 2], [3, 0, 0]), [3, 0, np.inf])  # 0 log 0 = 0
    assert_array_equal(loss.gradient([0, 0, 2], [3, 0, 0]), [1, 1, -np.inf])
    assert_array_equal(loss.negative_log_density([0, 2], [0, 0]), [0, np.inf])
    tiny = loss.entries([1e-300, 1e-12], [3, 3])
    assert_allclose(tiny, 3, rtol=1e-9)  # the value at 0 is the limit
    assert_array_equal(loss.sample([0, 0], random_state=0), [0, 0])
    very_noisy = find_loss("itakura-saito").sample(np.ones(1000), 30, random_state=0)
    assert very_noisy.min() > 0


@given(POSITIVE, POSITIVE, st.floats(-2, 4), st.floats(0.1, 10))
def test_the_beta_divergence_is_homogeneous_positive_and_joins_three_losses(x, y, beta, gamma):
    for named, name in ((2, "squared"), (1, "kullback-leibler"), (0, "itakura-saito")):
        expected = find_loss(name).entries(x, y)
        size = 1 + x**named + y**named + x / y
        assert beta_divergence(x, y, named) == expected
        near = beta_divergence(x, y, named + 1e-6)
        assert_allclose(near, expected, rtol=1e-4, atol=1e-8 * size)
    if min(abs(beta), abs(beta - 1)) > 1e-2:
        terms = x**beta + y**beta + x * y ** (beta - 1)
        value = beta_divergence(x, y, beta)
        assert value >= -1e-12 * terms
        scaled = beta_divergence(gamma * x, gamma * y, beta)
        assert_allclose(scaled, gamma**beta * value, rtol=1e-8, atol=1e-11 * gamma**beta * terms)
        h = 1e-5 * y
        slope = (beta_divergence(x, y + h, beta) - beta_divergence(x, y - h, beta)) / (2 * h)
        assert_allclose(slope, (y - x) * y ** (beta - 2), rtol=1e-5, atol=1e-6 * terms / y)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: find_loss("hinge"), "loss is 'hinge'; use one of 'squared', 'absolute', 'kull"),
        (lambda: KL.value([-1, -2], 1), "X has 2 entries outside the domain: the Kullback–Leibler"),
        (lambda: KL.gradient(1, [[-1]]), "Y has 1 entry outside the domain: the Kullback–Leibler"),
        (
            lambda: IS.value([0, 1], 1),
            "X has 1 entry outside the domain: the Itakura–Saito loss ne",
        ),
        (lambda: IS.variance(0), "Y has 1 entry outside the domain: the Itakura–Saito loss needs"),
        (lambda: LOGISTIC.value([0.5, 1], -1), "X has 1 entry outside the domain: the logistic"),
        (
            lambda: KL.sample(1, noise=2),
            "noise is 2.0, but Poisson noise has no parameter; 1 is needed",
        ),
        (lambda: IS.sample(1, noise=0), "noise is 0; a number above 0 is needed"),
        (lambda: POISSON.value(-1, 0), "X has 1 entry outside the domain: the Poisson loss needs"),
        (lambda: KL.value([[1, 2]], [1, 2, 3]), r"X has shape \(1, 2\) and Y has shape \(3,\)"),
        (lambda: KL.value(np.nan, 1), "X has 1 entry that is NaN or infinite"),
        (lambda: beta_divergence(-1, 1, 1.5), "X or Y is outside the domain for beta = 1.5"),
        (lambda: beta_divergence(1, 0, 0.5), "X or Y is outside the domain for beta = 0.5"),
        (lambda: beta_divergence(0, 1, -1), "X or Y is outside the domain for beta = -1"),
    ],
)
def test_bad_input_is_refused(call, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        call()


@pytest.mark.parametrize("shape", [(), (0,), (2, 3, 4)])
def test_arrays_may_have_any_shape(shape):
    X = np.full(shape, 2.0)
    for loss in (KL, IS):
        assert_allclose(loss.entries(X, 3), np.full(shape, loss.value(2, 3)))
        assert loss.value(X, 3) == pytest.approx(X.size * loss.value(2, 3))
    assert beta_divergence(X, 3, 0.5).shape == shape


def test_what_exceeds_the_range_of_numbers_is_infinite_and_not_nan():
    assert find_loss("kullback-leibler").value(1.0, -0.0) == np.inf
    assert find_loss("poisson").value([1.0, 2.0], [1e308, 0.0]) == np.inf
    assert find_loss("poisson").value(1e308, 1.0) == np.inf
    assert find_loss("absolute").negative_log_likelihood([1e308, 1e308], 0.0) == np.inf
    assert find_loss("itakura-saito").variance(1e200) == np.inf


def test_counts_too_large_to_draw_are_refused():
    with pytest.raises(ValueError, match="Y has 1 entry with a mean too large to draw counts"):
        find_loss("poisson").sample([1.0, 1e3])


@pytest.mark.parametrize("noise", [1e-200, 1e200])
def test_a_noise_without_a_square_is_refused(noise):
    with pytest.raises(ValueError, match="1e-150 to 1e150 is needed"):
        find_loss("itakura-saito").sample(1.0, noise)
