"""Every explorer without a browser: all extreme settings, words, pictures, reset, errors."""

import asyncio
import base64
import functools
import gc
import importlib
import io
import itertools
import math
import pkgutil
import re
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axis import Axis
from PIL import Image
from scipy.ndimage import binary_dilation

import mflib.explore
from mflib import datasets
from mflib.explore import base
from mflib.explore.base import Choice, Explorer, Slider, even, log
from mflib.explore.block import FITS, HOPELESS, LARGE, peak_memory
from mflib.explore.cluster import (
    AWAY,
    BUSY,
    BY_SUMS,
    BY_U,
    BY_V,
    RATINGS,
    WAITING,
    half_step,
    measured_rates,
    table_of,
)
from mflib.explore.completion_rank import fit_ranks, fits_of_all_ranks
from mflib.explore.eigenvalue import ANGLES, BY_SLIDER, FLIPPING, STEADY, WEEKLY, state_path
from mflib.explore.embedding import (
    MOST_NEIGHBOURS,
    PLANES,
    EmbeddingExplorer,
    fitted_club,
    map_films,
    plane_axes,
)
from mflib.explore.factorization import (
    BELOW,
    COLUMNS,
    GAP,
    LEFT,
    PICTURES,
    ROWS,
    THREE,
    TWO,
    FactorizationExplorer,
    factor_picture,
)
from mflib.explore.horizon import (
    DAYS,
    HORIZON,
    KEPT,
    LAGS,
    LAST_VALUE,
    LAST_WEEK,
    ORIGINS,
    REMOVED,
    WEEKDAY_MEAN,
    HorizonExplorer,
    forecast_errors,
    metro_tables,
)
from mflib.explore.loss import EDGES, LOSSES, NOISES, compare, draw, truth
from mflib.explore.noise import KNOWN, UNKNOWN, add_noise, signal_and_noise
from mflib.explore.power_iteration import STEPS, PowerIterationExplorer, power_path
from mflib.explore.product import bifurcation, product_path
from mflib.explore.quadratic import quadratic_path
from mflib.explore.race import ALS, EPOCHS, GRADIENT, SGD, WORK, race, work_per_epoch
from mflib.explore.rank import RankExplorer, approximate
from mflib.explore.traffic import ALTERNATING, SIMULTANEOUS, traffic_run
from mflib.losses import find_loss
from mflib.sequential import TwoStageMF, rolling_forecast

for module in pkgutil.iter_modules(mflib.explore.__path__):
    importlib.import_module(f"mflib.explore.{module.name}")
each = pytest.mark.parametrize(
    "explorer_type", Explorer.__subclasses__(), ids=lambda cls: cls.__name__
)


def ends(control):
    values = control.values
    return values if isinstance(control, Choice) else (values[0], values[-1])


def pixels(explorer):
    return np.asarray(Image.open(io.BytesIO(explorer.picture)))


def shown_picture(panel):
    kind, png = panel.picture.split(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(png)))


@functools.cache
def made(explorer_type):
    return explorer_type()


def at_the_start(explorer_type):
    """Return the one that the tests share: to make one takes longer than to try it."""
    made(explorer_type).set(**explorer_type.start())
    return made(explorer_type)


@each
def test_every_corner_of_the_settings_has_a_state_in_words(explorer_type):
    explorer = at_the_start(explorer_type)
    names = list(explorer_type.controls)
    assert 1 <= len(names) <= 5
    for corner in itertools.product(*map(ends, explorer_type.controls.values())):
        explorer.set(**dict(zip(names, corner, strict=True)))
        assert explorer.settings == dict(zip(names, corner, strict=True))
        assert explorer.state
        assert explorer.message
        assert not explorer.message.endswith(".")  # the page sets it
        assert not re.search(r"\bnan\b", explorer.message)  # a Determinant may be in it
        assert not re.search(r"\de[+-]|(?<!\w)-\d|\d \d|\^", explorer.message)
        assert "\n" not in explorer.message


@each
def test_every_control_changes_the_picture_and_the_start_comes_back(explorer_type):
    explorer = at_the_start(explorer_type)
    start, words = pixels(explorer), explorer.message
    for name, control in explorer_type.controls.items():
        assert control.label
        seen = []
        for value in ends(control):
            explorer.set(**{name: value})
            seen.append(pixels(explorer))
        assert any((picture != start).any() for picture in seen), name
        explorer.set(**explorer_type.start())
        assert np.array_equal(pixels(explorer), start)
        assert explorer.message == words


@each
def test_a_control_starts_on_one_of_its_values(explorer_type):
    for control in explorer_type.controls.values():
        assert control.start in control.values
        assert isinstance(control, Choice) or np.all(np.diff(control.values) > 0)
    assert explorer_type.play in ("", *explorer_type.controls)


@each
def test_a_grid_of_settings_is_one_that_the_controls_know(explorer_type):
    for name, values in explorer_type.grid.items():
        control = explorer_type.controls[name]
        assert set(values) <= set(control.values)
    drawn = explorer_type.drawn()
    assert all(explorer_type.start()[name] in values for name, values in drawn.items())
    assert math.prod(map(len, drawn.values())) <= 300
    assert len(drawn.get(explorer_type.play, range(3))) >= 3  # a play button has somewhere to go
    corner = {name: values[-1] for name, values in drawn.items()}
    explorer = at_the_start(explorer_type)
    explorer.set(**corner)
    png, sentence = explorer.still()
    assert sentence == f"{explorer.state}. {explorer.message}"
    assert explorer.settings == corner
    assert len(png) < 200_000


def shown(explorer, monkeypatch):
    """Show an explorer; return the data of its display, their metadata, and its panel."""
    displayed = []
    monkeypatch.setattr(
        base, "display", lambda data, metadata, raw: displayed.append((data, metadata))
    )
    explorer.show()
    ((data, metadata),) = displayed
    return data, metadata, explorer._panel


@each
def test_the_words_tell_the_picture_to_those_who_cannot_see_it(explorer_type, monkeypatch):
    explorer = explorer_type()
    data, metadata, panel = shown(explorer, monkeypatch)
    assert len(explorer_type.alt) > 20
    assert metadata["image/png"]["alt"] == data["text/plain"]
    assert data["text/plain"] == f"{explorer.alt} {explorer.state}. {explorer.message}"
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == panel.model_id
    still = Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB")
    now = shown_picture(panel).convert("RGB")
    assert still.size == now.size
    difference = np.asarray(still).astype(int) - np.asarray(now)
    assert np.abs(difference).mean() < 1  # 256 colours are left


@each
def test_a_picture_is_as_fine_as_the_screen_whenever_it_is_seen(explorer_type, monkeypatch):
    explorer = explorer_type()
    *_, panel = shown(explorer, monkeypatch)
    width, height = (100 * inches for inches in explorer.size)
    fixed = explorer.sharpness

    for screen, sharpness in ((0.5, 1), (3, 1.5), (1.25, 1.25), (1, 1)):
        panel._handle_custom_msg({"settings": {}, "sharpness": screen}, [])
        size = np.array([width, height]) * (fixed or sharpness)
        np.testing.assert_allclose(shown_picture(panel).size, size, atol=1)

    corner = {name: values[-1] for name, values in explorer.drawn().items()}
    explorer.set(**corner)
    later = explorer_type()
    later.set(**corner)
    later.sharpen(1)
    later.set()
    assert later.picture == explorer.picture


@each
def test_an_axis_that_follows_looks_as_matplotlib_would_draw_it(explorer_type):
    explorer = at_the_start(explorer_type)
    canvas = explorer.figure.canvas
    for axis in explorer._axes:
        drawn = []
        for pen in (base._draw_axis, Axis.draw):
            canvas.restore_region(explorer._still)
            before = np.array(canvas.buffer_rgba())[..., 0]
            pen(axis, canvas.get_renderer())
            drawn.append(np.asarray(canvas.buffer_rgba())[..., 0] < before - 100.0)
        for ink, other in itertools.permutations(drawn):
            assert ink.any()
            assert not np.any(ink & ~binary_dilation(other, np.ones((7, 7))))  # 3 pixels away


class Fragile(Explorer):
    """Fails where its control is 0."""

    controls = {"x": Slider("x", even(-1.0, 1.0, 0.5), 1.0)}
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
    *_, panel = shown(explorer, monkeypatch)
    monkeypatch.setattr(Explorer, "raise_errors", False)
    for x, state in ((0, "Error"), (0.5, "Fine")):
        turn = panel.turn
        panel._handle_custom_msg({"settings": {"x": x}, "sharpness": 1}, [])  # as the page asks
        assert panel.words == [explorer.state, explorer.message]
        assert panel.settings == {"x": x}
        assert panel.turn == turn + 1
        assert explorer.state == state


def test_the_next_picture_is_drawn_while_the_reader_looks(monkeypatch):
    asked = []

    class Slow(Fragile):
        @staticmethod
        def compute(x):
            asked.append(x)
            return Fragile.compute(x)

    explorer = Slow()
    *_, panel = shown(explorer, monkeypatch)
    monkeypatch.setattr(Explorer, "raise_errors", False)

    async def move(*values):
        for x in values:
            asked.clear()
            panel._handle_custom_msg({"settings": {"x": x}, "sharpness": 1}, [])
        await asyncio.sleep(3 * base.PAUSE)
        assert panel.settings == explorer.settings == {"x": x}
        assert panel.words == [explorer.state, explorer.message]
        return asked

    async def walk():
        assert await move(0.5) == [0.5, 0]  # that fails, and nobody has asked for it
        assert explorer.state == "Fine"
        assert await move(0) == [0, -0.5]
        assert explorer.state == "Error"
        assert await move(-0.5) == [-1]
        assert explorer.message == "<−2.0>"
        assert await move(-1) == []  # the last value
        assert await move(-0.7) == [-0.7]  # typed
        assert await move(-0.5, 0.5, 1) == [1]  # a drag, which waits for nothing
        assert await move(0.5) == [0.5, 0]

    async def leave():
        panel._handle_custom_msg({"settings": {"x": 0.5}, "sharpness": 1}, [])
        explorer.close()
        asked.clear()
        await asyncio.sleep(3 * base.PAUSE)
        assert asked == []

    with ThreadPoolExecutor() as thread:  # a browser's driver may run a loop in this one
        for story in (walk, leave):
            thread.submit(lambda story=story: asyncio.run(story())).result()


@each
def test_what_is_drawn_ahead_is_what_would_be_drawn(explorer_type):
    explorer = explorer_type()
    for name, control in explorer_type.controls.items():
        at = control.values.index(control.start)
        walk = max(control.values[at : at + 3], control.values[at::-1][:3], key=len)
        first, second, *third = (explorer_type.start() | {name: value} for value in walk)
        explorer.set(**second)
        still = explorer.still()
        explorer._draw_ahead(first)
        for expected in third:
            result, picture = explorer._ahead[tuple(expected.values())]
            explorer.set()
            assert explorer.still() == still
            explorer._ahead.clear()
            explorer.set(**expected)
            assert explorer.picture == picture
            assert explorer.result.message == result.message
        assert not explorer._ahead


def test_an_answer_comes_in_one_message(monkeypatch):
    *_, panel = shown(explorer := Fragile(), monkeypatch)
    sent = []
    monkeypatch.setattr(panel, "_send", lambda message, buffers=None: sent.append(message))
    explorer.set(x=-1)
    (message,) = sent
    assert {"settings", "words", "turn"} <= set(message["state"])


def test_a_cell_that_runs_again_gives_the_memory_of_its_explorers_back(monkeypatch):
    class Shell:
        def run(self, cell, run):
            header = {"msg_id": run}
            self.get_parent = lambda: {"metadata": {"cellId": cell}, "header": header}
            shown(explorer := Fragile(), monkeypatch)
            return weakref.ref(explorer.figure)

    shell = Shell()
    monkeypatch.setattr(base, "get_ipython", lambda: shell)
    first, second = shell.run("a", "1"), shell.run("a", "1")  # two in one cell
    other = shell.run("b", "2")
    gc.collect()
    assert first()
    assert second()
    again = shell.run("a", "3")
    gc.collect()
    assert not first()
    assert not second()
    assert other()
    assert again()


def test_typed_values_keep_their_kind():
    assert Fragile.start() == {"x": 1.0}
    explorer = Fragile()
    explorer.set(x=-1)
    assert repr(explorer.settings) == "{'x': -1.0}"


@given(st.floats(1e-4, 1e4), st.floats(2, 1e4))
def test_a_logarithmic_slider_has_round_values_close_together(low, factor):
    values = np.array(log(low, low * factor))
    assert low <= values[0]
    assert values[-1] <= low * factor
    assert (values[1:] / values[:-1] <= 1.0251).all()
    assert all(float(f"{value:.3g}") == value for value in values)


def test_the_quick_picture_is_the_picture():
    noise = np.random.default_rng(0).integers(0, 256, (7, 5, 4), dtype=np.uint8)
    assert np.array_equal(Image.open(io.BytesIO(base.quick_png(noise))), noise)


@pytest.mark.parametrize("value", [1.1e2, 9.96e4, 1.25e-3, 3e-9, 1e15, -1.5e-3])
def test_numbers_in_print_are_the_numbers(value):
    words = base.in_print(f"about {value:.2g} or so")
    assert "e" not in words
    assert "-" not in words
    plain = words[6:-6].replace("−", "-").replace(" · 10", "e")
    assert np.isclose(
        float(plain.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))), float(f"{value:.2g}")
    )


@given(
    k=st.integers(0, ROWS), factors=st.sampled_from([TWO, THREE]), name=st.sampled_from(PICTURES)
)
def test_the_factors_of_a_picture_multiply_to_its_best_approximation(k, factors, name):
    result = factor_picture(k, factors, name)
    middle = np.eye(k) if factors == TWO else np.diag(result.weights)
    np.testing.assert_allclose(result.U @ middle @ result.Vt, result.product, atol=1e-12)
    left = np.linalg.svd(result.X, compute_uv=False)[k:]
    error = np.linalg.norm(result.X - result.product)
    assert np.isclose(error, np.linalg.norm(left), atol=1e-9)  # Eckart and Young
    assert result.stored == result.U.size + result.Vt.size + (k if factors == THREE else 0)


def test_a_number_is_a_pixel_and_a_factor_touches_what_it_shares_its_rows_with():
    """Read the matrices off the picture again."""
    explorer = FactorizationExplorer()
    for k in (1, 20, ROWS):
        explorer.set(k=k)
        picture, result = pixels(explorer)[::-1], explorer.result  # counted from below
        product = picture[BELOW : BELOW + ROWS, LEFT : LEFT + COLUMNS, 0][::-1] / 255
        assert np.abs(product - result.product.clip(0, 1)).max() < 0.02
        U = picture[BELOW : BELOW + ROWS, LEFT - GAP - k : LEFT - GAP][::-1]
        np.testing.assert_array_equal(U, base.coloured(result.U, "PuOr", -0.2, 0.2))
        above = BELOW + ROWS + GAP
        Vt = picture[above : above + k, LEFT : LEFT + COLUMNS][::-1]
        np.testing.assert_array_equal(Vt, base.coloured(result.Vt, "PuOr", -0.2, 0.2))


@given(k=st.integers(0, 213), name=st.sampled_from(RankExplorer.controls["name"].values))
def test_the_error_of_a_picture_is_that_of_eckart_and_young(k, name):
    result = approximate(name, k)
    assert np.isclose(result.error, result.errors[k], atol=1e-9)
    assert np.linalg.matrix_rank(result.approximation) == k
    assert (result.state == "Compressed") == (0 < k * (213 + 320 + 1) < 213 * 320)


@given(rank=st.integers(0, 20), noise=st.floats(0.01, 5), k=st.integers(0, 80))
def test_the_distance_from_the_signal_is_computed_without_forming_it(rank, noise, k):
    result = add_noise(rank, noise, 0)
    U, V, unit_noise = signal_and_noise()
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
    if result.state != "Matching loss":
        ratio = result.errors[loss] / result.errors[NOISES[noise]]
        assert result.state == f"{ratio:.2f} times the error of the matching loss"


@pytest.mark.parametrize("noise", NOISES)
def test_the_matching_loss_comes_closest_to_the_truth(noise):
    errors = compare(noise, 0.3, "squared", 1).errors
    assert min(errors, key=errors.get) == NOISES[noise]


@pytest.mark.parametrize("noise", NOISES)
def test_the_data_of_the_loss_explorer_spread_as_its_slider_says(noise):
    W, H = truth()
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
    path = quadratic_path(eta, condition, 0.0, 0)
    # Rounding mixes the directions, and keeps an error that should be zero from being it.
    size = np.maximum(path.predicted.max(axis=1, keepdims=True), 1e-6)
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
    assert quadratic_path(eta, condition, 0.0, 0).state == state


@pytest.mark.parametrize(
    ("eta", "u", "v", "state", "words"),
    [
        (0.1, 1.0, 0.5, "Converged", "0.5 × the critical 1/σ₁ = 0.2"),
        (0.252, 1.0, 0.5, "Oscillating", "1.26 × the critical 1/σ₁ = 0.2"),
        (0.45, 1.0, 0.5, "Diverged at step 8", "2.25 × the critical 1/σ₁ = 0.2"),
        (0.1, 4.0, -4.0, "Diverged at step 4", "2/λ_max at step 0"),
        (0.1, 1.0, -1.0, "Stuck", "the start is on the line u = −v"),
        (0.25, 3.0, 3.0, "Stuck", "step 1 is on the line u = −v"),
        (0.1, 0.0, 0.0, "Stuck", "saddle"),
        (0.1, 2.5, 2.0, "Converged", "which holds it"),
        (0.252, 2.5, 2.0, "Converged", "which does not hold it"),
        (0.199, 1.0, 0.5, "Converging", "0.995 ×"),
        (0.2001, 1.0, 0.5, "Oscillating", "no minimum holds it"),
    ],
)
def test_the_product_explorer_names_each_state(eta, u, v, state, words):
    path = product_path(eta, u, v, 0)
    assert path.state == state
    assert words in path.message


def test_the_bifurcation_diagram_splits_at_one_over_sigma_and_ends_at_two():
    rates, products = bifurcation(1.0, 0.5)
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


@pytest.mark.parametrize(
    ("eta", "regularization", "k", "state"),
    [
        (0.05, 0.1, 4, "ALS and gradient descent ahead"),
        (0.01, 0.1, 4, "ALS ahead"),
        (0.01, 1.0, 4, "All level"),
        (0.0631, 0.316, 8, "ALS and SGD ahead"),
        (0.1, 0.1, 4, "Gradient descent diverged"),
        (10.0, 0.1, 4, "SGD and gradient descent diverged"),
        (0.064, 0.1, 1, "Gradient descent above its start"),
        (0.066, 0.001, 7, "Gradient descent above its start"),
        (0.51, 0.3, 2, "Gradient descent diverged, SGD above its start"),
    ],
)
def test_the_race_explorer_names_each_state(eta, regularization, k, state):
    assert race(eta, regularization, k, WORK).state == state


def test_sgd_is_ahead_before_the_second_epoch_of_als_and_not_after_it():
    assert [name for _, name in race(0.2, 0.1, 8, 0).leads] == [SGD, ALS]
    assert "SGD ahead" in race(0.02, 0.1, 8, 4).state or race(0.2, 0.1, 8, 24).leads[0][0] == 5
    assert race(0.2, 0.1, 8, 2).state == "At the start"


@settings(max_examples=30)
@given(exponent=st.floats(-3, 1), strength=st.floats(-3, 0), k=st.integers(1, 8))
def test_the_race_is_fair_and_als_never_rises(exponent, strength, k):
    result = race(10**exponent, 10**strength, k, WORK)
    lost = result.state.lower().rpartition("diverged")[0]
    starts = [objective[0] for objective in result.objectives.values()]
    np.testing.assert_allclose(starts, starts[0], rtol=1e-12)
    assert (np.diff(result.objectives[ALS]) <= 1e-9 * starts[0]).all()
    for name, objective in result.objectives.items():
        exploded = f"exploded by {name} (in epoch {objective.size - 1})" in result.message
        assert exploded == (name.lower() in lost)
        assert exploded or objective.size == min(EPOCHS, int(WORK / result.work[name]) + 1) + 1
    last = min(int(WORK / result.work[GRADIENT]), result.objectives[GRADIENT].size - 1)
    above = result.objectives[GRADIENT][last] > starts[0] and GRADIENT not in lost
    assert above == (f"{GRADIENT} above its start" in result.state.lower())


@pytest.mark.parametrize("regularization", [0.01, 1.0])
def test_an_epoch_of_sgd_is_a_step_of_gradient_descent_up_to_the_square_of_eta(regularization):
    def gap(eta):
        objectives = race(eta, regularization, 3, 0).objectives
        return objectives[SGD][1] - objectives[GRADIENT][1]

    assert np.isclose(gap(5e-4) / gap(2.5e-4), 4, rtol=0.05)


@pytest.mark.parametrize("k", range(1, 9))
def test_the_work_of_the_race_is_that_of_the_loops(k):
    """Count what Cholesky multiplies and divides, and what SGD multiplies at one rating."""
    factorization = sum((k - f) + sum(k - g for g in range(f + 1, k)) for f in range(k))
    solutions = 2 * sum(k - f for f in range(k))
    counted = 2 * 1200 * (k * (k + 1) / 2 + k) + 100 * (factorization + solutions)
    work = work_per_epoch(k)
    assert np.isclose(work[ALS], counted / (1200 * k), rtol=0.03)
    error, two_factors_of_two_products = k, 2 * 2 * k
    assert work[SGD] == (error + two_factors_of_two_products) / k
    assert work[GRADIENT] < min(work[SGD], work[ALS])  # so its epochs are the equal work
    assert (work[ALS] < work[SGD]) == (k == 1)


@pytest.mark.parametrize(
    ("rank", "regularization", "state"),
    [
        (0, 0.01, "Too simple"),
        (3, 0.01, "Best rank"),
        (6, 0.01, "Overfitting"),
        (6, 0.3, "No gain"),
        (6, 1.0, "No factors left"),
    ],
)
def test_the_explorer_of_ranks_names_each_state(rank, regularization, state):
    assert fit_ranks(rank, regularization).state == state


@settings(max_examples=20)
@given(rank=st.integers(0, 8), exponent=st.floats(-3, 0))
def test_the_reconstruction_has_the_chosen_rank_beside_its_biases(rank, exponent):
    result = fit_ranks(rank, 10**exponent)
    R = result.reconstruction
    centred = R - R.mean(axis=0) - R.mean(axis=1, keepdims=True) + R.mean()
    assert np.linalg.matrix_rank(centred, tol=1e-9) <= rank
    assert (np.diff(result.training) < 1e-3).all()
    assert (result.training < result.held_out).all()
    assert (result.held_out[result.best] <= result.held_out + 0.01).all()


def test_without_factors_only_biases_are_left():
    fits, *_ = fits_of_all_ranks(0.1)
    assert not fits[0].U.any()
    assert not fits[0].V.any()


@pytest.mark.parametrize("film", [1, 60, 98, 120])
def test_a_map_keeps_the_variance_of_its_plane_and_the_neighbours_of_all_dimensions(film):
    V = fitted_club()[1].V_
    maps = {plane: map_films(plane, film, 4) for plane in PLANES}
    for plane, result in maps.items():
        directions, _ = plane_axes(plane)
        np.testing.assert_allclose(directions.T @ directions, np.eye(2), atol=1e-9)
        assert result.share <= maps[PLANES[0]].share  # largest of all planes
        sizes = np.linalg.norm(V[[film - 1]], axis=1) * np.linalg.norm(V[result.neighbours], axis=1)
        np.testing.assert_allclose(result.cosines, V[result.neighbours] @ V[film - 1] / sizes)
        assert film - 1 not in {*result.neighbours, *result.nearest}
    assert np.isclose(maps["factors 1 and 2"].share + maps["factors 3 and 4"].share, 1)


def test_the_neighbours_of_most_films_share_a_genre():
    states = [map_films(PLANES[0], film, 1).state for film in range(1, 121)]
    assert states.count("1 of 1 shares a genre") > 110


@pytest.mark.parametrize(
    ("plane", "names"),
    [
        ("principal 1 and 3", ["principal axis 1", "principal axis 3"]),
        ("factors 3 and 4", ["factor 3", "factor 4"]),
    ],
)
def test_the_axes_of_the_map_are_named_after_its_plane(plane, names):
    explorer = at_the_start(EmbeddingExplorer)
    explorer.set(plane=plane)
    ax = explorer.figure.axes[0]
    assert [ax.get_xlabel(), ax.get_ylabel()] == names
    boxes = [axis.label.get_window_extent() for axis in (ax.xaxis, ax.yaxis)]
    for left, bottom, right, top in (box.extents.round().astype(int) for box in boxes):
        assert min(left, bottom) >= 0
        assert (pixels(explorer)[-top:-bottom, left:right] < 128).any()


def test_no_label_of_the_map_is_cut_or_meets_another():
    explorer = at_the_start(EmbeddingExplorer)
    explorer.set(n_neighbours=MOST_NEIGHBOURS)
    width, height = explorer.figure.canvas.get_width_height()
    for film in range(1, 121, 7):
        explorer.set(film=film)
        boxes = [label.get_window_extent() for label in itertools.chain(*explorer._labels)]
        lines_end = explorer._list.get_window_extent().x0
        assert all(lines_end < box.x0 and box.x1 < width for box in boxes)
        assert all(0 < box.y0 and box.y1 < height for box in boxes)
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


@given(
    hundredths=st.integers(0, 150),
    angle=st.integers(0, 180),
    rhythm=st.sampled_from([BY_SLIDER, *ANGLES]),
    steps=st.integers(1, 40),
)
def test_the_states_follow_the_powers_of_a_transition_with_the_chosen_eigenvalue(
    hundredths, angle, rhythm, steps
):
    modulus = hundredths / 100
    result = state_path(modulus, angle, rhythm, steps)
    theta = np.radians(ANGLES.get(rhythm, angle))
    pair = modulus * np.exp([1j * theta, -1j * theta])
    np.testing.assert_allclose(np.poly(result.transition), np.poly(pair).real, atol=1e-9)
    assert np.isclose(result.eigenvalue, pair[0])
    assert result.path.shape == (steps + 1, 2)
    last = result.path[0] @ np.linalg.matrix_power(result.transition, steps)
    np.testing.assert_allclose(result.path[-1], last, rtol=1e-9, atol=1e-9)
    lengths = np.linalg.norm(result.path, axis=1)
    np.testing.assert_allclose(lengths, modulus ** np.arange(steps + 1), rtol=1e-12)


@pytest.mark.parametrize(
    ("modulus", "angle", "rhythm", "state", "words"),
    [
        (0.0, 72, BY_SLIDER, "Gone at once", "T is zero"),
        (0.8, 72, BY_SLIDER, "Fades and oscillates", "half-life ln 2/(−ln |λ|) = 3.11 steps"),
        (0.5, 0, BY_SLIDER, "Fades", "= 1 steps; arg λ = 0°: no oscillation"),
        (0.9, 72, FLIPPING, "Fades and flips sign", "period 2 steps"),
        (1.0, 72, STEADY, "Stays", "never changes"),
        (1.0, 72, WEEKLY, "Stays and oscillates", "= 7 steps"),
        (1.0, 180, BY_SLIDER, "Stays and flips sign", "never changes"),
        (1.01, 0, BY_SLIDER, "Explodes", "doubling time ln 2/ln |λ| = 69.7 steps"),
        (1.5, 90, BY_SLIDER, "Explodes and oscillates", "the length is 3.33e+03"),
        (1.5, 180, BY_SLIDER, "Explodes and flips sign", "period 2 steps"),
    ],
)
def test_the_eigenvalue_explorer_names_each_state(modulus, angle, rhythm, state, words):
    result = state_path(modulus, angle, rhythm, 20)
    assert result.state == state
    assert words in result.message


def test_a_weekly_rhythm_returns_after_a_week_and_a_flip_after_two_steps():
    assert np.allclose(state_path(1.0, 0, WEEKLY, 7).path[-1], [1, 0])
    assert np.allclose(state_path(1.0, 0, FLIPPING, 2).path[1:], [[-1, 0], [1, 0]])


@pytest.mark.parametrize("days", DAYS)
@pytest.mark.parametrize("weekday_mean", [REMOVED, KEPT])
@pytest.mark.parametrize("lags", LAGS)
def test_no_error_of_a_forecast_is_outside_the_picture(lags, weekday_mean, days):
    result = forecast_errors(1, 1, lags, weekday_mean, days)
    low, high = HorizonExplorer().figure.axes[0].get_ylim()
    for errors in (result.model, *result.baselines.values()):
        assert low < errors.min()
        assert errors.max() < high


def test_the_errors_of_the_horizon_explorer_are_those_of_rolling_forecasts():
    days, rank, errors = 28, 3, []
    for origin in ORIGINS:
        known = metro_tables()[origin - days : origin + HORIZON]
        model = TwoStageMF(rank, lags=(1, 7, 8), season=None)
        errors.append(rolling_forecast(model, known, days, HORIZON).rmse_by_horizon)
    result = forecast_errors(rank, 1, "1, 7, 8", KEPT, str(days))
    np.testing.assert_allclose(result.model[rank - 1], np.sqrt(np.mean(np.square(errors), axis=0)))


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ((3, 1, "1", REMOVED, "28"), "Model wins", "Beyond 6 days"),
        ((3, 10, "1", REMOVED, "28"), "Level", "within 2 % of the best baseline's"),
        ((3, 1, "1", KEPT, "28"), "Baseline wins", "at none of 14 horizons"),
        ((3, 1, "1, 7, 8", KEPT, "28"), "Model wins", "Beyond 1 day it"),
        ((3, 1, "1, 7, 8", REMOVED, "14"), "Baseline wins", "at none of 14 horizons"),
        ((3, 1, "1, 7, 8", KEPT, "14"), "Model wins", "at 3 of 14 horizons"),
    ],
)
def test_the_horizon_explorer_names_each_state(settings, state, words):
    result = forecast_errors(*settings)
    assert result.state == state
    assert words in result.message


@pytest.mark.parametrize("days", DAYS)
def test_far_ahead_a_forecast_without_weekday_means_becomes_the_weekday_mean(days):
    """All modes of T fade, so that what is left of the forecast is the profile alone."""
    result = forecast_errors(3, 1, "1", REMOVED, days)
    gaps = np.abs(result.model[2] / result.baselines[WEEKDAY_MEAN] - 1)
    assert gaps[0] > 0.1
    assert gaps[-1] < 0.01
    weeks = [6, 13]  # whole weeks ahead, the last value is that of the last week
    assert np.array_equal(result.baselines[LAST_VALUE][weeks], result.baselines[LAST_WEEK][weeks])


def test_ranks_above_that_of_the_data_gain_nothing():
    errors = forecast_errors(3, 1, "1", REMOVED, "56").model[:, 0]
    assert (errors[3:] > 0.99 * errors[2]).all()
    assert (errors[:2] > 1.1 * errors[2]).all()


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ((100, 100, 16, BY_V, "10⁹"), BUSY),
        ((100, 100, 16, BY_U, "10⁹"), AWAY),
        ((100, 100, 16, BY_SUMS, "10⁹"), BUSY),
        ((1000, 1000, 1, BY_V, "10⁵"), WAITING),
    ],
)
def test_the_cluster_explorer_names_each_state(settings, state):
    assert half_step(*settings).state == state


@given(
    workers=st.integers(1, 1000),
    bandwidth=st.floats(1, 1000),
    k=st.integers(1, 128),
    kind=st.sampled_from([BY_V, BY_U, BY_SUMS]),
    ratings=st.sampled_from(list(RATINGS)),
)
def test_more_machines_and_faster_networks_never_need_longer(workers, bandwidth, k, kind, ratings):
    result = half_step(workers, bandwidth, k, kind, ratings)
    alone = half_step(1, bandwidth, k, kind, ratings)
    assert alone.travel == 0
    assert result.computing <= alone.computing
    assert np.isclose(
        half_step(10**9, bandwidth, k, kind, ratings).seconds, result.limit, rtol=1e-3
    )
    faster = half_step(workers, 2 * bandwidth, k, kind, ratings)
    assert np.isclose(faster.travel, result.travel / 2)
    assert np.isclose(result.totals[0], alone.seconds)


@pytest.mark.parametrize("ratings", list(RATINGS))
def test_sums_are_fewer_than_rows_where_the_lesson_says(ratings):
    m, n = table_of(RATINGS[ratings])
    for k in (2, 8, 9, 16, 64, 128):
        rows, sums = (half_step(50, 10, k, kind, ratings).travel for kind in (BY_U, BY_SUMS))
        assert (sums < rows) == (m / n > (k + 3) / 2)


def test_the_model_of_a_cluster_meets_the_step_from_which_its_rates_come():
    rate, fixed = measured_rates()
    times = datasets.load_cluster_times()
    (largest,) = np.flatnonzero((times.engine == "Spark, 1 worker") & (times.ratings == 1e7))
    halves = [half_step(1, 100, 16, kind, "10⁷") for kind in (BY_V, BY_U)]
    assert np.isclose(sum(half.seconds for half in halves), times.step[largest], rtol=0.01)
    assert np.isclose(sum(half.fixed for half in halves), times.driver[largest])
    assert rate > 1e6
    assert fixed > 0


def test_the_measured_points_are_halves_of_the_steps_of_the_file():
    times = datasets.load_cluster_times()
    for ratings, n in RATINGS.items():
        took = [
            times.elapsed[(times.ratings == n) & (times.engine == f"Spark, {workers}")]
            for workers in ("1 worker", "2 workers")
        ]
        points = half_step(100, 100, 16, BY_V, ratings).measured
        assert np.array_equal(points[1], np.concatenate(took) / 2)
        assert set(points[0]) <= {1, 2}
        assert half_step(100, 100, 8, BY_V, ratings).measured.size == 0
        assert half_step(100, 100, 16, BY_SUMS, ratings).measured.size == 0


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ((1, 300, "10⁷"), FITS),
        ((1000, 300, "10⁷"), LARGE),
        ((1000, 300, "10⁵"), FITS),
        ((0.001, 300, "10⁹"), HOPELESS),
    ],
)
def test_the_explorer_of_a_block_names_each_state(settings, state):
    assert peak_memory(*settings).state == state


def test_the_memory_of_a_block_is_not_far_from_what_was_measured():
    """The table of a million ratings says what a rating takes; the one of ten is not used."""
    for ratings in ("10⁵", "10⁶", "10⁷"):
        result = peak_memory(1, 300, ratings)
        ((read, took),) = result.measured.T
        assert read == 10**6
        assert 0.5 < took / (result.factors + result.block) < 2
        assert took < 1.1 * result.all_of_it
