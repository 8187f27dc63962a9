"""Every explorer without a browser: all extreme settings, words, pictures, reset, errors."""

import importlib
import io
import itertools
import pkgutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import mflib.explore
from mflib.explore.base import Choice, Explorer, LogSlider, Slider
from mflib.explore.factorization import THREE, TWO, FactorizationExplorer, count_storage
from mflib.explore.loss import EDGES, LOSSES, NOISES, _truth, compare, draw
from mflib.explore.noise import KNOWN, UNKNOWN, _directions, add_noise
from mflib.explore.power_iteration import STEPS, PowerIterationExplorer, power_path
from mflib.explore.product import _bifurcation, product_path
from mflib.explore.quadratic import quadratic_path
from mflib.explore.rank import RankExplorer, approximate
from mflib.explore.traffic import ALTERNATING, SIMULTANEOUS, traffic_run
from mflib.losses import find_loss

for module in pkgutil.iter_modules(mflib.explore.__path__):
    importlib.import_module(f"mflib.explore.{module.name}")
each = pytest.mark.parametrize(
    "explorer_type", Explorer.__subclasses__(), ids=lambda cls: cls.__name__
)


def ends(control):
    return control.options if isinstance(control, Choice) else (control.low, control.high)


def pixels(explorer):
    return np.asarray(Image.open(io.BytesIO(explorer._png)))


@each
def test_every_corner_of_the_settings_has_a_state_in_words(explorer_type):
    explorer = explorer_type()
    names = list(explorer_type.controls)
    assert 1 <= len(names) <= 5
    for corner in itertools.product(*map(ends, explorer_type.controls.values())):
        explorer.set(**dict(zip(names, corner, strict=True)))
        assert explorer.settings == dict(zip(names, corner, strict=True))
        assert explorer.state
        assert explorer.message
        assert "nan" not in explorer.message
        assert "\n" not in explorer.message


@each
def test_every_control_changes_the_picture_and_reset_returns(explorer_type):
    explorer = explorer_type()
    start, words = pixels(explorer), explorer.message
    for name, control in explorer_type.controls.items():
        assert control.label
        seen = []
        for value in ends(control):
            explorer.set(**{name: value})
            seen.append(pixels(explorer))
        assert any((picture != start).any() for picture in seen), name
        explorer._reset.click()
        assert np.array_equal(pixels(explorer), start)
        assert explorer.message == words


@each
def test_the_words_tell_the_picture_to_those_who_cannot_see_it(explorer_type):
    explorer = explorer_type()
    data, metadata = explorer._bundle(explorer._png)
    assert len(explorer_type.alt) > 20
    assert metadata["image/png"]["alt"] == data["text/plain"]
    assert explorer.message in data["text/plain"]
    assert 'role="status"' in explorer._status.value


class Fragile(Explorer):
    """Fails where its control is 0."""

    controls = {"x": Slider("x", -1, 1, 0.5, 1.0)}
    alt = "Nothing."

    @staticmethod
    def compute(x):
        return type("Result", (), {"state": "Fine", "message": f"<{1 / x:.1f}>"})

    def draw(self, fig):
        fig.subplots().plot([], [], animated=True)

    def update(self, result):
        pass


def test_an_error_in_a_callback_is_raised_in_tests_and_told_in_the_page(monkeypatch):
    explorer = Fragile()
    with pytest.raises(ZeroDivisionError):
        explorer.set(x=0)
    explorer.set(x=1)
    monkeypatch.setattr(Explorer, "raise_errors", False)
    explorer.set(x=0)
    assert explorer.state == "Error"
    assert "ZeroDivisionError" in explorer._status.value
    explorer.set(x=0.5)
    assert explorer.state == "Fine"
    assert "&lt;2.0&gt;" in explorer._status.value  # words are text, never markup


@pytest.mark.parametrize(("step", "moved", "shown"), [(0.1, 0.1 + 0.2, 0.3), (0.25, 0.75, 0.75)])
def test_a_slider_shows_round_numbers(step, moved, shown):
    box, row = Slider("x", 0, 1, step, 0.5).build()
    slider = row.children[1]
    slider.value = moved
    assert box.value == shown
    box.value = 0.5
    assert slider.value == 0.5
    slider.value = 1.0
    assert box.value == 1.0


def test_a_log_slider_moves_by_factors_and_stays_within_its_limits():
    box, row = LogSlider("η", 1e-3, 10, 0.1).build()
    slider = row.children[1]
    slider.value = 10**-1.5
    assert box.value == 0.0316
    box.value = 5
    assert slider.value == 5
    box.value = 1e9
    assert box.value == slider.value == 10
    slider.value = 1e-3
    assert box.value == 1e-3


@each
def test_a_log_slider_starts_on_one_of_its_steps(explorer_type):
    for control in explorer_type.controls.values():
        if isinstance(control, LogSlider):
            steps = round(100 * np.log10(control.start / control.low))
            assert float(f"{control.low * 10 ** (steps / 100):.3g}") == control.start


def test_a_choice_keeps_its_name():
    box, row = Choice("Noise", ("normal", "Poisson"), "Poisson").build()
    assert box.value == "Poisson"
    assert box.description == "Noise"
    assert row.children == (box,)


@given(m=st.integers(1, 99), n=st.integers(1, 99), k=st.integers(1, 99), three=st.booleans())
def test_storage_is_that_of_the_factors(m, n, k, three):
    result = count_storage(m, n, k, THREE if three else TWO)
    product = np.eye(m)
    for name, rows, columns in result.blocks:
        product = product @ np.ones((rows, columns))  # the shapes fit together
        assert name in ("U", "Σ", "Vᵀ")
    assert product.shape == (m, n)
    assert result.factored == k * m + k * n + (k if three else 0)
    assert (result.state == "Smaller") == (result.factored < m * n)
    assert ("never needed" in result.message) == (k > min(m, n))


@given(k=st.integers(0, 213), name=st.sampled_from(RankExplorer.controls["name"].options))
def test_the_error_of_a_picture_is_that_of_eckart_and_young(k, name):
    result = approximate(name, k)
    assert np.isclose(result.error, result.errors[k], atol=1e-12)
    assert np.linalg.matrix_rank(result.approximation) == k
    assert (result.state == "Compressed") == (0 < k * (213 + 320 + 1) < 213 * 320)


@given(rank=st.integers(0, 20), noise=st.floats(0.01, 5), k=st.integers(0, 80))
def test_the_distance_from_the_signal_is_computed_without_forming_it(rank, noise, k):
    result = add_noise(rank, noise, 0)
    U, V, unit_noise = _directions()
    signal = (U[:, :rank] * result.true_values) @ V[:, :rank].T
    left, values, right = np.linalg.svd(signal + noise * unit_noise, full_matrices=False)
    distance = np.linalg.norm((left[:, :k] * values[:k]) @ right[:k] - signal)
    assert np.isclose(result.errors[k], distance, atol=1e-6)
    assert result.kept == np.sum(values > result.threshold)
    assert result.errors[result.best] <= result.errors[result.kept]


@pytest.mark.parametrize("knowledge", [KNOWN, UNKNOWN])
@pytest.mark.parametrize(
    ("rank", "noise", "state"),
    [(8, 0.1, "Rank found"), (0, 1, "Rank found"), (8, 1, "Components dropped")],
)
def test_the_noise_explorer_names_each_state(rank, noise, state, knowledge):
    assert add_noise(rank, noise, 0, knowledge).state == state


@given(
    noise=st.sampled_from(list(NOISES)),
    strength=st.sampled_from([0.05, 0.3, 1.5]),
    loss=st.sampled_from(LOSSES),
    gamma=st.floats(0.01, 100),
)
def test_the_loss_explorer_scales_by_the_degree_and_expects_a_density(noise, strength, loss, gamma):
    result = compare(noise, strength, loss, gamma)
    assert np.isclose(result.scaled_value / result.value, gamma**result.degree, rtol=1e-6)
    assert np.isclose(np.sum(result.histogram * np.diff(EDGES)), 1)
    if strength < 1:  # beyond, much of the Gamma density lies in its peak at zero
        assert 0.95 < np.trapezoid(result.density, result.grid) < 1.02
    assert np.allclose(result.parts.sum(axis=1), 1)
    assert (result.state == "Matching loss") == (NOISES[noise] == loss)


@pytest.mark.parametrize("noise", NOISES)
def test_the_matching_loss_comes_closest_to_the_truth(noise):
    errors = compare(noise, 0.3, "squared", 1).errors
    assert min(errors, key=errors.get) == NOISES[noise]


@pytest.mark.parametrize("noise", NOISES)
def test_the_data_of_the_loss_explorer_spread_as_its_slider_says(noise):
    W, H = _truth()
    Y = W @ H
    residuals = (draw(noise, 0.2) - Y) / np.sqrt(find_loss(NOISES[noise]).variance(Y))
    scale = 2 if noise == "Laplace" else 1  # the variance of Laplace noise is 2s²
    assert np.isclose(np.mean(residuals**2) * scale, 0.2**2, rtol=0.15)


entries = st.integers(-40, 40).map(lambda i: i / 10)


@given(a=entries, b=entries, d=entries, angle=st.integers(0, 180), step=st.integers(0, STEPS))
def test_the_prediction_of_the_explorer_is_exact(a, b, d, angle, step):
    """In two dimensions tan θ_k = |λ₂/λ₁|^k tan θ₀ is a theorem: it holds to rounding."""
    result = power_path(a, b, d, angle, step)
    assert result.state
    if result.predicted.size and result.angles[0] < 89.9:
        n = len(result.angles)
        assert np.allclose(result.angles, result.predicted[:n], rtol=1e-6, atol=1e-11)


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ((3, 2, 3, 0, 0), "Start"),
        ((3, 2, 3, 0, 2), "Converging"),
        ((3, 2, 3, 0, 30), "Converged"),
        ((4, 0.1, 4, 0, 2), "Converging slowly"),
        ((0, 2, 0, 0, 9), "Not converging"),
        ((0, 2, 0, 45, 9), "Settled at once"),
        ((2, 0, 2, 10, 9), "Settled at once"),
        ((0, 0, 0, 10, 9), "Breakdown"),
        ((2, 2, 2, 135, 9), "Breakdown"),
        ((3, 2, 3, 135, 9), "On the wrong line"),
        ((3, 2, 3, 135, 22), "Leaving the wrong line"),
        ((3, 2, 3, 135, 30), "Rescued by rounding"),
        ((1, 0, 3, 0, 30), "On the wrong line"),
        ((1e-6, 0, 1e-7, 30, 5), "Converging"),
        ((1, 0, 0.999999, 30, 5), "Converging slowly"),
    ],
)
def test_power_iteration_names_each_state(settings, state):
    assert power_path(*settings).state == state


def test_base_and_start_state_are_those_of_the_lesson():
    assert FactorizationExplorer().state == "Smaller"
    assert "|1/5| = 0.2" in PowerIterationExplorer().message


@given(eta=st.floats(0.01, 1), condition=st.floats(1, 100))
def test_the_quadratic_explorer_predicts_its_errors_exactly(eta, condition):
    path = quadratic_path(eta, condition, 0)
    size = path.predicted.max(axis=1, keepdims=True)  # rounding mixes the directions
    np.testing.assert_allclose(path.errors / size, path.predicted / size, atol=1e-9)


@pytest.mark.parametrize(
    ("eta", "condition", "state"),
    [
        (0.1, 2, "Converging"),
        (0.1, 100, "Converging slowly"),
        (0.195, 10, "Converging slowly"),
        (0.2, 10, "On the border"),
        (0.2, 1.001, "On the border"),
        (0.202, 10, "Diverging"),
        (0.4, 10, "Diverged at step 7"),  # the loss grows 9-fold per step
    ],
)
def test_the_quadratic_explorer_names_each_state(eta, condition, state):
    assert quadratic_path(eta, condition, 0).state == state


@pytest.mark.parametrize(
    ("eta", "u", "v", "state", "words"),
    [
        (0.1, 1.0, 0.5, "Converged", "0.5 × the critical 1/σ₁ = 0.2"),
        (0.252, 1.0, 0.5, "Oscillating", "1.26 × the critical 1/σ₁ = 0.2"),
        (0.45, 1.0, 0.5, "Diverged at step 8", "2.25 × the critical 1/σ₁ = 0.2"),
        (0.1, 4.0, -4.0, "Diverged at step 4", "2/λ_max at step 0"),
        (0.1, 1.0, -1.0, "Stuck", "saddle"),
        (0.1, 0.0, 0.0, "Stuck", "saddle"),
        (0.1, 2.5, 2.0, "Converged", "which holds it"),
        (0.252, 2.5, 2.0, "Converged", "which does not hold it"),
        (0.199, 1.0, 0.5, "Converging", "0.995 ×"),
        (0.2001, 1.0, 0.5, "Oscillating", "no minimum holds it"),
    ],
)
def test_the_product_explorer_names_each_state(eta, u, v, state, words):
    path = product_path(eta, u, v)
    assert path.state == state
    assert words in path.message


def test_the_bifurcation_diagram_splits_at_one_over_sigma_and_ends_at_two():
    rates, products = _bifurcation(1.0, 0.5)
    np.testing.assert_allclose(products[rates < 0.19], 5, atol=1e-6)
    assert np.ptp(products[(rates > 0.21) & (rates < 0.22)]) > 0.5
    assert 0.39 < rates.max() < 0.4
    assert 0 <= products.min()
    assert products.max() <= 10


@pytest.mark.parametrize(
    ("ratio", "updates", "scale", "state"),
    [
        (1.5, ALTERNATING, 1.0, "Converging"),
        (0.1, ALTERNATING, 1.0, "Converging slowly"),
        (1.5, SIMULTANEOUS, 1.0, "Oscillating"),
        (1000.0, ALTERNATING, 1.0, "Diverged at step 1"),
        (1000.0, SIMULTANEOUS, 1.0, "Diverged at step 1"),
        (0.9, ALTERNATING, 10.0, "Diverged at step 2"),
    ],
)
def test_the_traffic_explorer_names_each_state(ratio, updates, scale, state):
    assert traffic_run(ratio, updates, scale).state == state


@settings(max_examples=30)
@given(
    exponent=st.floats(-2, 4),
    updates=st.sampled_from([ALTERNATING, SIMULTANEOUS]),
    scale=st.floats(0.01, 10),
)
def test_the_predicted_errors_of_the_traffic_explorer_are_bounds(exponent, updates, scale):
    run = traffic_run(10**exponent, updates, scale)
    assert run.predicted.size == run.first.size - 1
    assert (run.first[1:] <= run.predicted * (1 + 1e-6)).all()


@pytest.mark.parametrize("updates", [ALTERNATING, SIMULTANEOUS])
def test_the_predicted_explosion_is_close(updates):
    run = traffic_run(1000.0, updates, 1.0)
    assert run.predicted[0] < 2 * run.first[1]
