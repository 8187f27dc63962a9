"""How much of a photograph survives in a few singular triples? (lesson 2)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mflib.datasets import load_photograph
from mflib.explore.base import Choice, Explorer, Pixels, Slider, coloured, even
from mflib.plotting import DATA, ERROR, MODEL, PREDICTION
from mflib.svd import SVDResult, break_even_rank, eckart_young_error, storage, truncated_svd

ROWS, COLUMNS = 213, 320
BREAK_EVEN = break_even_rank(ROWS, COLUMNS)
TITLES = {"picture": "Rank-k approximation", "residual": "What it misses"}


@dataclass(frozen=True)
class RankChoice:
    """A picture, its best approximation of rank k, and what that costs.

    `errors[k]` is the relative Frobenius error of rank k by the theorem of Eckart and Young,
    `error` the one measured from the pixels.
    """

    picture: np.ndarray
    approximation: np.ndarray
    singular_values: np.ndarray
    errors: np.ndarray
    k: int
    error: float
    state: str
    message: str


@lru_cache
def decompose(name: str) -> tuple[np.ndarray, SVDResult, np.ndarray]:
    """Return a picture, its whole SVD and its error at every rank; once per picture."""
    if name == "random noise":
        picture = np.random.default_rng(0).uniform(size=(ROWS, COLUMNS))
    else:
        picture = load_photograph(name)
    svd = truncated_svd(picture, ROWS, method="full")
    errors = [eckart_young_error(svd.singular_values, k) for k in range(ROWS + 1)]
    return picture, svd, np.array(errors) / np.linalg.norm(picture)


def approximate(name: str, k: int) -> RankChoice:
    """Approximate a picture with rank k.

    Parameters
    ----------
    name : {"temple", "flower", "random noise"}
    k : int
        Rank, 0 to 213.
    """
    picture, svd, errors = decompose(name)
    approximation = svd.approximation(k)
    error = np.linalg.norm(picture - approximation) / np.linalg.norm(picture)
    stored = storage(ROWS, COLUMNS, k)
    share = f"{stored:,} of {picture.size:,} numbers ({stored / picture.size:.0%})"
    if k == 0:
        state, end = "Nothing kept", "the approximation is zero"
    elif k == ROWS:
        state, end = "Exact", "every singular value is kept, and more numbers than the pixels"
    elif k >= BREAK_EVEN:
        state, end = "No saving", f"from rank {BREAK_EVEN} on the factors hold more than the pixels"
    else:
        state, end = "Compressed", f"the next singular value is {svd.singular_values[k]:.3g}"
    return RankChoice(
        picture=picture,
        approximation=approximation,
        singular_values=svd.singular_values,
        errors=errors,
        k=k,
        error=float(error),
        state=state,
        message=f"Rank {k}: error {error:.2%} (theory {errors[k]:.2%}), stored {share}; {end}",
    )


class RankExplorer(Explorer):
    """Cut the singular values of a picture, see what is left and what is lost (lesson 2)."""

    controls = {
        "k": Slider("Rank k", even(0, ROWS, 1), 10),
        "name": Choice("Picture", ("temple", "flower", "random noise"), "temple"),
    }
    size = (10.6, 3.4)
    sharpness = 1.0  # a pixel of the photograph is one of the picture
    alt = (
        "The picture at rank k, and what is missing from it. On the right, the singular values "
        "with the cut, and the relative error at each rank, by theory and measured."
    )

    grid = {
        "k": (*range(21), *range(25, 214, 10), ROWS),
        "name": ("temple", "flower", "random noise"),
    }

    @staticmethod
    def compute(k, name):
        """Approximate the chosen picture."""
        return approximate(name, k)

    def draw(self, fig):
        """Make two images and two curves."""
        shape = [["picture", "residual", "spectrum"], ["picture", "residual", "error"]]
        axes = fig.subplot_mosaic(shape, width_ratios=[1.25, 1.25, 1])
        self._images = {name: axes[name].add_artist(Pixels()) for name in TITLES}
        for name, title in TITLES.items():
            axes[name].set(title=title, xticks=[], yticks=[])
            axes[name].spines[:].set_visible(False)
        words = "purple: too dark, orange: too bright"
        below = {"xytext": (0, -ROWS - 10), "textcoords": "offset pixels", "va": "top"}
        axes["residual"].annotate(words, (0, 1), xycoords="axes fraction", **below)
        spectrum, error = axes["spectrum"], axes["error"]
        spectrum.set(title="Singular values", yscale="log", ylim=(0.1, 300), yticks=[1, 100])
        error.set(title="Relative error", xlabel="rank", yscale="log", ylim=(0.004, 1.5))
        error.set_yticks(ticks := [0.01, 0.1, 1], map(str, ticks))
        for ax in (spectrum, error):
            ax.set_xlim(-3, ROWS + 3)
            ax.minorticks_off()
        (self._kept,) = spectrum.plot([], [], color=MODEL, lw=4, animated=True)
        (self._cut,) = spectrum.plot([], [], color=DATA, lw=1.2, animated=True)
        spectrum.text(ROWS, 80, "thick: kept", color=MODEL, ha="right")
        (self._theory,) = error.plot([], [], "--", color=PREDICTION, animated=True)
        (self._error,) = error.plot([], [], "o", color=ERROR, animated=True)
        error.text(ROWS, 0.45, "√(σ²ₖ₊₁ + …) / ‖X‖", color=PREDICTION, ha="right")

    def update(self, result):
        """Show the approximation, the residual and the cut."""
        missed = result.picture - result.approximation
        self._show("picture", coloured(result.approximation, "gray", 0, 1))
        self._show("residual", coloured(missed, "PuOr", -0.4, 0.4))
        numbers = np.arange(1, ROWS + 1)
        self._kept.set_data(numbers[: result.k], result.singular_values[: result.k])
        self._cut.set_data(numbers[result.k :], result.singular_values[result.k :])
        self._theory.set_data(np.arange(ROWS + 1), result.errors)
        self._error.set_data([result.k], [max(result.error, 0.004)])  # zero: at the edge

    def _show(self, name, pixels):
        """Set an image right under its title, a pixel of the picture a number."""
        left, top = np.round(self._images[name].axes.bbox.corners()[1])
        self._images[name].set(pixels=pixels, corner=(left, top - ROWS))
