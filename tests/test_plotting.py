"""The figure style and the drawings that lessons share: they name things and hide nothing."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from mflib import plotting
from mflib.explore.factorization import FactorizationExplorer


@pytest.fixture
def figures(monkeypatch):
    """Collect what would be shown, open."""
    shown = []
    monkeypatch.setattr(plotting, "show", lambda fig, alt: shown.append(fig))
    plotting.use_style()
    yield shown
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_pictures_stand_in_a_grid_and_the_rest_of_it_is_empty(figures):
    plotting.pictures([np.eye(3) * i for i in range(5)], ["a", "b"], columns=3, alt="")
    axes = figures[0].axes
    assert [ax.get_title("left") for ax in axes] == ["a", "b", "", "", "", ""]
    assert [bool(ax.images) for ax in axes] == [True] * 5 + [False]
    np.testing.assert_array_equal(axes[4].images[0].get_array(), 4 * np.eye(3))


def test_signed_pictures_are_white_at_zero(figures):
    plotting.pictures([np.array([[-3.0, 1.0]])], alt="", signed=True)
    assert figures[0].axes[0].images[0].get_clim() == (-3, 3)


def test_curves_are_named_at_their_ends_in_their_colours(figures):
    plotting.curves({"one": [1, 2], "two": [3, 4]}, title="t", alt="", x=[5, 6], ylim=(1, 9))
    (ax,) = figures[0].axes
    assert texts(ax) == ["one", "two"]
    for text, line in zip(ax.texts, ax.lines, strict=True):
        assert text.get_color() == line.get_color()
        assert text.xy == (line.get_xdata()[-1], line.get_ydata()[-1])
    assert ax.get_ylim() == (1, 9)
    assert ax.get_yscale() == "log"


def test_a_curve_that_leaves_the_axes_is_named_where_it_is_last_seen(figures):
    curves = {"stays": [1.0] * 5, "explodes": [1, 10, 1e3, 1e9, 1e99]}
    plotting.curves(curves, title="", alt="", ylim=(0.1, 1e6))
    where = {text.get_text(): text.xy for text in figures[0].axes[0].texts}
    assert where == {"stays": (4, 1), "explodes": (2, 1e3)}


@pytest.mark.parametrize("gap", [0, 1e-9, 0.3])
def test_names_of_curves_that_end_together_do_not_overlap(figures, gap):
    ends = {"first": [1, 2], "second": [3, 2 + gap], "third": [0, 2]}
    plotting.curves(ends, title="", alt="", scale="linear")
    figures[0].draw_without_rendering()
    boxes = sorted((t.get_window_extent() for t in figures[0].axes[0].texts), key=lambda b: b.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in zip(boxes, boxes[1:], strict=False))


def test_a_decay_at_its_rate_lies_on_the_dashed_line(figures):
    plotting.decay({"error": 7 * 0.3 ** np.arange(9)}, [0.3], since=4, title="", alt="")
    points, dashed = figures[0].axes[0].lines
    np.testing.assert_allclose(points.get_ydata(), dashed.get_ydata())


def test_curves_have_places_of_their_own_and_lines_to_compare_with(figures):
    curves = {"one": [1, 2], "two": [3, 4, 5]}
    places = {"one": [0, 9], "two": [1, 2, 3]}
    plotting.curves(curves, title="", alt="", x=places, levels={"goal": 2.5}, at={"here": 4.0})
    one, two, level, mark = figures[-1].axes[0].get_lines()
    assert list(one.get_xdata()) == [0, 9]
    assert list(two.get_xdata()) == [1, 2, 3]
    assert set(level.get_ydata()) == {2.5}
    assert set(mark.get_xdata()) == {4.0}
    assert {"goal", "here"} <= {text.get_text() for text in figures[-1].axes[0].texts}


def test_bars_may_be_crossed_by_marks(figures):
    plotting.bars({"a": 1, "b": 3}, title="", xlabel="", alt="", marks={"peer": 2.0}, xlim=(0.5, 4))
    (ax,) = figures[-1].axes
    assert set(ax.get_lines()[0].get_xdata()) == {2.0}
    assert ax.get_xlim() == (0.5, 4)
    assert [text.get_text() for text in ax.texts] == ["peer"]


def test_bars_stand_in_order_from_the_top(figures):
    plotting.bars({"a": 1, "b": 3}, title="", xlabel="", alt="")
    (ax,) = figures[0].axes
    assert [bar.get_width() for bar in ax.patches] == [1, 3]
    assert ax.yaxis_inverted()


@pytest.mark.parametrize(("ends", "n_arrows"), [(["d"], 2), (["d", "e"], 2), (["d", "e", "f"], 6)])
def test_boxes_send_one_arrow_each_or_one_to_each_box(ends, n_arrows, figures):
    plotting.flow([["b", "c"], ends], title="", alt="", colors=["red", "blue"])
    (ax,) = figures[-1].axes
    arrows = [text.arrow_patch for text in ax.texts if getattr(text, "arrow_patch", None)]
    assert len(arrows) == n_arrows
    assert {text.get_text() for text in ax.texts} == {"", "b", "c", *ends}
    assert len(ax.patches) == 2 + len(ends)
    assert ax.yaxis_inverted()


def test_circles_are_carried_by_their_matrix(figures):
    M = np.array([[2.0, 1.0], [0.0, 3.0]])
    plotting.carried_circles({"before": np.eye(2), "after": M}, {"v": [1.0, 0.0]}, alt="")
    before, after = figures[0].axes
    carried = np.array(after.lines[-1].get_data())
    np.testing.assert_allclose(carried, M @ np.array(before.lines[-1].get_data()))
    assert "v" in texts(after)
    assert all(
        np.abs(carried).max() < limit for limit in (after.get_xlim()[1], after.get_ylim()[1])
    )


def test_a_table_shows_its_numbers_and_leaves_gaps_empty(figures):
    plotting.table([[1, 2.5], [np.nan, -3]], title="", alt="")
    assert texts(figures[0].axes[0]) == ["1", "2.5", "-3"]


def picture():
    """Draw a little of everything that a style can colour, and return its pixels."""
    fig, (ax, image) = plt.subplots(1, 2, figsize=(5, 2))
    ax.plot([0, 1], label="model")
    ax.plot([1, 0], color=plotting.DATA, label="data")
    ax.scatter([0.5], [0.2])
    ax.hist([0.1, 0.1, 0.2], hatch="/")
    ax.text(0.5, 0.5, "words and $x^2$")
    ax.legend(title="key")
    ax.set(title="title", xlabel="x", ylabel="y")
    fig.colorbar(image.imshow(np.eye(3)))
    fig.suptitle("above")
    fig.canvas.draw()
    pixels = np.asarray(fig.canvas.buffer_rgba()).copy()
    plt.close(fig)
    return pixels


@pytest.fixture
def fresh():
    with mpl.rc_context():
        plt.rcdefaults()
        yield


@pytest.fixture(scope="module")
def expected():
    with mpl.rc_context():
        plt.rcdefaults()
        plotting.use_style()
        return picture()


RED = {
    name: "red"
    for name, value in mpl.rcParamsDefault.items()
    if name.endswith("color") and isinstance(value, str)
}
WILD = RED | {
    "lines.linewidth": 9,
    "font.family": "serif",
    "grid.linestyle": ":",
    "hatch.color": "g",
}


@pytest.mark.parametrize("style", ["classic", "dark_background", "ggplot", WILD])
def test_a_figure_looks_the_same_after_any_other_style(fresh, expected, style):
    plt.style.use(style)
    plotting.use_style()
    np.testing.assert_array_equal(picture(), expected)


@pytest.mark.parametrize("style", plt.style.library)
def test_no_style_that_comes_with_matplotlib_shines_through(fresh, style):
    plotting.use_style()
    clean = mpl.rcParams.copy()
    plt.style.use(style)
    plotting.use_style()
    assert mpl.rcParams == clean


def test_data_are_dark_on_a_light_ground_after_a_dark_style(fresh):
    plt.style.use("dark_background")
    plotting.use_style()
    light, dark = mpl.colors.to_rgb(mpl.rcParams["figure.facecolor"]), mpl.colors.to_rgb("black")
    assert light == mpl.colors.to_rgb(mpl.rcParams["axes.facecolor"]) == (1, 1, 1)
    assert mpl.colors.to_rgb(plotting.DATA) == dark
    for name in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"):
        assert mpl.colors.to_rgb(mpl.rcParams[name]) == dark, name


def test_an_explorer_looks_the_same_after_a_dark_style(fresh):
    pictures = []
    for style in ("default", "dark_background"):
        plt.style.use(style)
        explorer = FactorizationExplorer()
        explorer.figure.canvas.draw()
        pictures.append(np.asarray(explorer.figure.canvas.buffer_rgba()).copy())
    np.testing.assert_array_equal(*pictures)


def test_the_style_leaves_the_backend_alone(fresh):
    backend = mpl.get_backend()
    plotting.use_style()
    assert mpl.get_backend() == backend
    assert not [name for name in plotting.STYLE if name.startswith(("backend", "interactive"))]
