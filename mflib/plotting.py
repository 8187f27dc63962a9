"""The figure style of the course and the drawings that lessons share.

One colour keeps one meaning through the whole course (the palette of Okabe and Ito, safe for
colour-blind readers): `DATA` what is given, `MODEL` what a method computes, `ERROR` how far off it
is, `PREDICTION` what theory says in advance. `OTHER` is for a second method beside the first.
"""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

DATA, MODEL, ERROR, PREDICTION, OTHER = "#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7"
QUIET = "#8C8C8C"  # axes crosses, guide lines, what is only context

STYLE = {
    "axes.grid": True,
    "axes.labelsize": 13,
    "axes.prop_cycle": mpl.cycler(color=[MODEL, ERROR, OTHER, DATA, PREDICTION]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 14,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "figure.figsize": (9.0, 4.0),
    "font.size": 13,
    "grid.alpha": 0.25,
    "image.cmap": "cividis",
    "image.interpolation": "nearest",
    "legend.fontsize": 12,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.markersize": 7,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
}

PIXELS_PER_INCH = 100  # in the page
SHARPNESS = 1.5  # picture pixels per page pixel: crisp on a projector, small in the file


def use_style() -> None:
    """Set the course's figure style, whatever was set before; call it at the top of a notebook."""
    mpl.style.use(["default", STYLE])


def show(fig: Figure, alt: str) -> None:
    """Show a figure in the page together with a text that says what it shows.

    The text stays in the notebook file, and becomes the alternative text of an exported page.

    Parameters
    ----------
    fig : Figure
        It is closed afterwards.
    alt : str
        One or two sentences on what there is to see.
    """
    fig.set_dpi(PIXELS_PER_INCH * SHARPNESS)
    fig.canvas.draw()
    data, metadata = picture_bundle(to_png(fig), fig, alt)
    display(data, metadata=metadata, raw=True)
    plt.close(fig)


def to_png(fig: Figure) -> bytes:
    """Return what a drawn figure shows, as PNG in 256 colours: a small file."""
    picture = Image.fromarray(np.asarray(fig.canvas.buffer_rgba())).convert("RGB")
    file = io.BytesIO()
    picture.quantize(256).save(file, "png", optimize=True)
    return file.getvalue()


def picture_bundle(png: bytes, fig: Figure, alt: str) -> tuple[dict, dict]:
    """Return the data and the metadata with which a notebook stores a picture."""
    width = round(fig.get_figwidth() * PIXELS_PER_INCH)
    data = {"image/png": base64.b64encode(png).decode(), "text/plain": alt}
    return data, {"image/png": {"alt": alt, "width": width}}


def plane(ax: Axes, limit: float) -> Axes:
    """Prepare axes for vectors in the plane: a square from −limit to limit with its cross."""
    ax.axhline(0, color=QUIET, lw=0.8)
    ax.axvline(0, color=QUIET, lw=0.8)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    return ax


def arrow(ax: Axes, v, color: str = MODEL, label: str = "", **kwargs) -> None:
    """Draw v as an arrow from the origin, with its label just beyond the tip."""
    v = np.asarray(v, dtype=float)
    ax.annotate(
        "",
        v,
        (0, 0),
        arrowprops={"arrowstyle": "-|>", "color": color, "lw": 2, "shrinkA": 0, "shrinkB": 0}
        | kwargs,
    )
    if label:
        tip = v + 0.06 * np.diff(ax.get_xlim())[0] * v / np.hypot(*v)
        ax.text(*tip, label, color=color, ha="center", va="center")


def circle(points: int = 200) -> np.ndarray:
    """Return points on the unit circle, one a column."""
    angle = np.linspace(0, 2 * np.pi, points)
    return np.array([np.cos(angle), np.sin(angle)])


def pictures(
    images: Iterable[np.ndarray],
    titles: Sequence[str] = (),
    *,
    alt: str,
    columns: int | None = None,
    brightest: float | None = None,
    signed: bool = False,
) -> None:
    """Show matrices as grey pictures in a grid.

    Parameters
    ----------
    images : matrices, all of one shape
    titles : one for each, if any
    alt : str
        What there is to see: see `show`.
    columns : int
        How many stand in a row; by default all.
    brightest : float
        The value that is white; by default the largest of each picture.
    signed : bool
        Whether the sign counts: violet is positive, orange negative, white is zero.
    """
    images = list(images)
    columns = columns or len(images)
    n_rows = -(-len(images) // columns)
    side = min(9.6 / columns, 4.2)
    height = side * images[0].shape[0] / images[0].shape[1] + (0.4 if titles else 0.05)
    fig, axes = plt.subplots(
        n_rows, columns, figsize=(side * columns, n_rows * height), squeeze=False
    )
    for ax in axes.flat[len(images) :]:
        ax.axis("off")
    for i, (ax, image) in enumerate(zip(axes.flat, images, strict=False)):
        limit = brightest or np.abs(image).max() or 1.0
        ax.imshow(image, "PuOr" if signed else "gray", vmin=-limit if signed else 0, vmax=limit)
        ax.set(xticks=[], yticks=[], title=titles[i] if i < len(titles) else "")
    show(fig, alt)


def table(values: np.ndarray, *, title: str, alt: str) -> None:
    """Show a small matrix with its numbers written on their colours; NaN is an empty place."""
    values = np.asarray(values)
    m, n = values.shape
    fig, ax = plt.subplots(figsize=(min(9.0, 0.55 * n + 0.6), 0.45 * m + 0.6))
    ax.imshow(values, alpha=0.6, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            ax.text(j, i, f"{value:g}", ha="center", va="center")
    ax.set(title=title, xticks=[], yticks=[])
    ax.grid(False)
    show(fig, alt)


def curves(
    values: Mapping[str, Sequence[float]],
    *,
    title: str,
    alt: str,
    xlabel: str = "step",
    ylabel: str = "",
    x: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    scale: str = "log",
    levels: Mapping[str, float] | None = None,
    at: Mapping[str, float] | None = None,
    **limits,
) -> None:
    """Draw curves with their names at their ends.

    Parameters
    ----------
    values : name of each curve and its values
    title, alt, xlabel, ylabel : str
    x : sequence, or one for each name
        Where the values belong; by default 0, 1, 2, …
    scale : {"log", "linear"}
        Of the vertical axis.
    levels, at : name and value of each
        Horizontal and vertical lines to compare with.
    **limits
        More for `Axes.set`, such as ``ylim=(0, 1)``.
    """
    fig, ax = plt.subplots()
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel, yscale=scale, **limits)
    lines = {}
    for name, y in values.items():
        places = x[name] if isinstance(x, Mapping) else range(len(y)) if x is None else x
        (lines[name],) = ax.plot(places, y)
    ends = ax.dataLim.intervalx
    for name, level in (levels or {}).items():
        (lines[name],) = ax.plot(ends, [level, level], "--", color=DATA, lw=1.5)
    for name, place in (at or {}).items():
        ax.axvline(place, color=QUIET, lw=1.5)
        ax.annotate(name, (place, 1), (5, -5), ("data", "axes fraction"), "offset points", va="top")
    name_ends(ax, lines)
    show(fig, alt)


def decay(
    errors: Mapping[str, Sequence[float]],
    rates: Sequence[float],
    *,
    title: str,
    alt: str,
    ylabel: str = "error",
    xlabel: str = "step",
    since: int = 0,
) -> None:
    """Draw errors as points on a logarithmic axis, and dashed what theory predicts for them.

    Parameters
    ----------
    errors : name and values of each
    rates : the factor by which each should fall in a step
    title, alt, ylabel, xlabel : str
    since : int
        The step through whose error the dashed lines pass.
    """
    fig, ax = plt.subplots()
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel, yscale="log")
    points = {}
    for (name, found), rate, marker in zip(errors.items(), rates, "os^D", strict=False):
        steps = np.arange(len(found))
        (points[name],) = ax.plot(steps, found, marker, ms=5)
        predicted = found[since] * rate ** (steps - float(since))
        ax.plot(steps, predicted, "--", color=PREDICTION, lw=1.5, zorder=1)
    name_ends(ax, points)
    ax.text(0.02, 0.04, "dashed: predicted", color=PREDICTION, transform=ax.transAxes)
    show(fig, alt)


def bars(
    values: Mapping[str, float],
    *,
    title: str,
    alt: str,
    xlabel: str,
    color: str = ERROR,
    marks: Mapping[str, float] | None = None,
    **limits,
) -> None:
    """Draw named values as horizontal bars, the first on top, and named marks across them."""
    fig, ax = plt.subplots(figsize=(9, 1.0 + 0.42 * len(values)))
    ax.barh(list(values), list(values.values()), color=color)
    ax.set(title=title, xlabel=xlabel, **limits)
    for name, mark in (marks or {}).items():
        ax.axvline(mark, color=DATA, ls="--", lw=1.5)
        ax.annotate(name, (mark, len(values) - 1), (6, 0), textcoords="offset points", va="center")
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    show(fig, alt)


def carried_circles(
    matrices: Mapping[str, np.ndarray], vectors: Mapping[str, Sequence[float]], *, alt: str
) -> None:
    """Draw what each 2×2 matrix makes of the unit circle and of some vectors, side by side.

    Parameters
    ----------
    matrices : title of each drawing and its matrix
    vectors : name of each vector and its two entries
    alt : str
    """
    side = min(9.6 / len(matrices), 4.2)
    fig, axes = plt.subplots(
        1, len(matrices), figsize=(side * len(matrices), side + 0.4), squeeze=False
    )
    limit = 1.25 * max(1, *(np.linalg.norm(M, 2) for M in matrices.values()))
    for ax, (title, M) in zip(axes.flat, matrices.items(), strict=True):
        plane(ax, limit).plot(*(M @ circle()), color=QUIET)
        for (name, v), color in zip(vectors.items(), (MODEL, ERROR, OTHER), strict=False):
            arrow(ax, M @ v, color, name)
        ax.set(title=title, xticks=[], yticks=[])
    show(fig, alt)


def flow(columns: Sequence[Sequence[str]], *, title: str, alt: str, colors: Sequence[str]) -> None:
    """Draw what goes where: boxes in columns, with arrows from each column to the next.

    Parameters
    ----------
    columns : what is written in the boxes of each column, from the top
        To a column with as many boxes each box sends one arrow, to any other one for each box.
    title, alt : str
    colors : one for each column
    """
    fig, ax = plt.subplots(figsize=(9, 3.4))
    before, pointed = [], {"arrowstyle": "-|>"}
    for x, (names, color) in enumerate(zip(columns, colors, strict=True)):
        places = np.arange(len(names)) - (len(names) - 1) / 2
        boxes = ax.barh(places, 0.74, 0.84, x - 0.37, color=color)
        ax.bar_label(boxes, names, label_type="center", color="white")
        for start in before:
            ends = [start] if len(before) == len(names) else places
            for end in ends:
                ax.annotate("", (x - 0.36, end), (x - 0.64, start), arrowprops=pointed)
        before = places
    ax.set_title(title)
    ax.axis("off")
    ax.invert_yaxis()
    show(fig, alt)


def name_ends(ax: Axes, lines: Mapping[str, mpl.lines.Line2D]) -> None:
    """Write each line's name beside its last point in sight, in its colour, none over another."""
    ax.figure.draw_without_rendering()
    ends = {name: _last_in_sight(ax, line) for name, line in lines.items()}
    points = 72 / ax.figure.dpi
    taken = []
    for name, end in sorted(ends.items(), key=lambda item: item[1][1]):
        x, y = ax.transData.transform(end) * points
        above_axis = ax.bbox.y0 * points + 10 - y
        lift = max([0.0, above_axis, *(top - y for right, top in taken if abs(right - x) < 150)])
        taken.append((x, y + lift + 17))
        ax.annotate(
            name,
            end,
            (8, lift),
            textcoords="offset points",
            color=lines[name].get_color(),
            va="center",
            annotation_clip=False,
        )


def _last_in_sight(ax, line):
    points = np.column_stack(line.get_data())
    inside = ax.bbox.padded(1).contains
    seen = [point for point in points if inside(*ax.transData.transform(point))]
    return tuple((seen or [points[0]])[-1])
