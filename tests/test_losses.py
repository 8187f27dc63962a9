"""Lesson 3: each loss is the negative log-likelihood of its noise model, and behaves as it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.optimize import minimize_scalar
from sklearn.metrics import log_loss

from mflib.losses import LOSSES, beta_divergence, find_loss

NAMES = list(LOSSES)
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
}


def noise_of(loss, s):
    return s if loss.noise_parameter else 1.0


def data_for(name):
    if name == "logistic":
        return st.sampled_from([0.0, 1.0])
    if name == "kullback-leibler":
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
    Y = np.array([0.5, 2, 20]) if name != "logistic" else np.array([-2, 0, 1.0])
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
    assert [loss.degree for loss in LOSSES.values()] == [2, 1, 1, 0, None]
    Y = np.array([0.5, 3])
    tables = [loss.variance(Y) for loss in LOSSES.values()]
    odds = np.exp(Y)
    assert_allclose(tables, [[1, 1], [2, 2], Y, Y**2, odds / (1 + odds) ** 2])
    assert find_loss("itakura-saito").variance(4, noise=0.5) == pytest.approx(4)
    assert find_loss("absolute").variance(4, noise=3) == pytest.approx(18)


@pytest.mark.parametrize("name", NAMES[:4])
@given(st.lists(POSITIVE, min_size=3, max_size=9).filter(lambda x: len(x) % 2))
def test_for_a_constant_model_the_mean_is_best_and_for_the_absolute_loss_the_median(name, data):
    loss = find_loss(name)
    best = np.median(data) if name == "absolute" else np.mean(data)
    found = minimize_scalar(lambda y: loss.value(data, y), bounds=(0.005, 200), method="bounded")
    assert loss.value(data, best) <= found.fun + 1e-12 * (1 + abs(found.fun))
    if name != "absolute":
        sizes = np.abs(loss.gradient(data, best)).sum()
        assert abs(loss.gradient(data, best).sum()) <= 1e-12 * (1 + sizes)


def test_the_constant_model_of_binary_data_has_the_log_odds_of_their_mean():
    loss = find_loss("logistic")
    X = np.array([1, 1, 0, 1])
    assert loss.gradient(X, np.log(3)).sum() == pytest.approx(0)
    Y = np.array([-2, 0.5, 0, 3])
    assert loss.value(X, Y) == pytest.approx(log_loss(X, loss.mean(Y), normalize=False))
    assert loss.value([0, 1], [-800, 800]) == 0  # no overflow
    assert loss.value([0, 1], [800, -800]) == 1600


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


KL, IS, LOGISTIC = (find_loss(name) for name in NAMES[2:])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: find_loss("hinge"), "loss is 'hinge'; use one of squared, absolute, kullback-le"),
        (lambda: KL.value([-1, -2], 1), "X has 2 entries outside the domain: the Kullback–Leibler"),
        (lambda: KL.gradient(1, [[-1]]), "Y has 1 entry outside the domain: the Kullback–Leibler"),
        (
            lambda: IS.value([0, 1], 1),
            "X has 1 entry outside the domain: the Itakura–Saito loss ne",
        ),
        (lambda: IS.variance(0), "Y has 1 entry outside the domain: the Itakura–Saito loss needs"),
        (lambda: LOGISTIC.value([0.5, 1], -1), "X has 1 entry outside the domain: the logistic"),
        (lambda: KL.sample(1, noise=2), "noise is 2.0; Poisson noise has no parameter"),
        (lambda: IS.sample(1, noise=0), "noise is 0.0; the relative standard deviation must be ab"),
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
