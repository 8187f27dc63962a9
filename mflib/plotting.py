"""The figure style of the course and the drawings that lessons share.

One colour keeps one meaning through the whole course (the palette of Okabe and Ito, safe for
colour-blind readers): `DATA` what is given, `MODEL` what a method computes, `ERROR` how far off it
is, `PREDICTION` what theory says in advance. `OTHER` is for a second method beside the first.
"""

import base64
import io

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
    """Set the course's figure style; call it once at the top of a notebook."""
    plt.rcParams.update(STYLE)


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


def to_png(fig: Figure, *, fast: bool = False) -> bytes:
    """Return what a drawn figure shows, as PNG: 256 colours in a small file, or all at once."""
    picture = Image.fromarray(np.asarray(fig.canvas.buffer_rgba())).convert("RGB")
    file = io.BytesIO()
    if fast:
        picture.save(file, "png", compress_level=1)
    else:
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
