"""What are the factors of a photograph, and how many numbers do they store? (lesson 0).

The picture is drawn pixel by pixel, and so is every number of its factors: U stands to the left of
their product, which it has all rows in common with, and Vᵀ above it, with the same columns.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mflib.datasets import load_photograph
from mflib.explore.base import Choice, Explorer, Pixels, Slider, coloured, even
from mflib.plotting import DATA, MODEL
from mflib.svd import truncated_svd

ROWS, COLUMNS = 213, 320
PICTURES = ("temple", "flower", "multiplication table")
WIDTH, HEIGHT = 1090, 462  # of the drawing, in pixels
LEFT, BELOW, GAP = 620, 28, 8  # corner of the product; space between it and its factors
LIMITS = {"U": 0.2, "Vᵀ": 0.2, "Σ": 3}  # where the colours end
VIOLET, ORANGE = "#542788", "#B35806"  # of the map PuOr
BAR = 180  # the length for the numbers of X
TWO, THREE = "two: U Vᵀ", "three: U Σ Vᵀ"


@dataclass(frozen=True)
class Factored:
    """A picture X (m, n), its factors of rank k, and their product.

    `weights` (k,) is the diagonal of Σ, or None if there are two factors; `stored` counts the
    numbers in the factors.
    """

    X: np.ndarray
    U: np.ndarray
    weights: np.ndarray | None
    Vt: np.ndarray
    product: np.ndarray
    stored: int
    state: str
    message: str


@lru_cache
def decompose(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return a picture and its U, singular values and Vᵀ, those beyond its rank as zeros."""
    if name == "multiplication table":
        X = np.outer(np.arange(1, ROWS + 1), np.arange(1, COLUMNS + 1)) / (ROWS * COLUMNS)
    else:
        X = load_photograph(name)
    U, sigma, Vt = truncated_svd(X, ROWS, method="full")
    counts = sigma > 1e-9 * sigma[0]
    return X, U * counts, sigma * counts, Vt * counts[:, np.newaxis]


def factor_picture(k: int, factors: str, picture: str) -> Factored:
    """Factor a picture of 213×320 pixels, and count what is stored.

    Parameters
    ----------
    k : int
        Rank, 0 to 213.
    factors : {TWO, THREE}
        U Vᵀ, with the roots of the singular values in both, or U Σ Vᵀ with a diagonal Σ, of which
        only the diagonal is stored.
    picture : {"temple", "flower", "multiplication table"}
    """
    X, U, sigma, Vt = decompose(picture)
    U, sigma, Vt, left = U[:, :k], sigma[:k], Vt[:k], sigma[k:]
    product = (U * sigma) @ Vt
    if factors == THREE:
        names, count = "U, Σ and V hold", f"{k} × ({ROWS} + {COLUMNS} + 1)"
        weights, stored = sigma, k * (ROWS + COLUMNS + 1)
    else:
        names, count = "U and V hold", f"{k} × ({ROWS} + {COLUMNS})"
        U, Vt = U * np.sqrt(sigma), Vt * np.sqrt(sigma)[:, np.newaxis]
        weights, stored = None, k * (ROWS + COLUMNS)
    message = f"{names} {count} = {stored:,} numbers, {stored / X.size:.1%} of the {X.size:,} in X"
    if k == 0:
        message += "; their product is all zeros, black"
    elif not left.any():
        message += "; their product is X, up to rounding"
        if k > (rank := np.count_nonzero(sigma)):
            message += f", as it was at rank {rank}"
    return Factored(
        X=X,
        U=U,
        weights=weights,
        Vt=Vt,
        product=product,
        stored=stored,
        state="Nothing stored" if k == 0 else "Smaller" if stored < X.size else "Larger",
        message=message,
    )


class FactorizationExplorer(Explorer):
    """Watch a picture come out of its factors as they grow (lesson 0)."""

    controls = {
        "k": Slider("Rank k", even(0, ROWS, 1), 20),
        "factors": Choice("Factors", (TWO, THREE), TWO),
        "picture": Choice("Picture", PICTURES, "temple"),
    }
    size = (10.0, 4.24)
    sharpness = 1.09  # with this size, a pixel of the drawing is one of the picture
    alt = (
        "A picture X, and beside it the product of its factors, with U along its left side and V "
        "transposed along its top; each number of the factors is a pixel, violet if positive, "
        "orange if negative. Two bars compare the numbers stored in X and in the factors."
    )
    grid = {
        "k": (*range(11), 15, 20, 30, 40, 60, 80, 100, 127, 128, 160, ROWS),
        "factors": (TWO, THREE),
        "picture": ("temple", "multiplication table"),
    }
    compute = staticmethod(factor_picture)

    def draw(self, fig):
        """Make places for X, the product and its factors, and their names."""
        for picture in PICTURES:
            decompose(picture)  # now, so that no move of a control waits for it
        fig.set_layout_engine("none")  # the picture reaches from edge to edge
        ax = fig.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, HEIGHT))
        ax.set_axis_off()
        self._matrices = {name: ax.add_artist(Pixels()) for name in ("X", "product", *LIMITS)}
        centred, middle = {"ha": "center", "va": "center"}, BELOW / 2
        ax.text(COLUMNS / 2, middle, f"X: {ROWS} × {COLUMNS}", **centred)
        ax.text(360, BELOW + ROWS / 2, "≈", fontsize=30, **centred)
        ax.text(LEFT + COLUMNS / 2, middle, "their product", **centred)
        right, half = LEFT + COLUMNS + GAP, BELOW + ROWS / 2
        ax.text(right, half, "violet: > 0", color=VIOLET, va="bottom")
        ax.text(right, half, "orange: < 0", color=ORANGE, va="top")
        for y, text in ((446, "numbers stored"), (418, "in X"), (390, "factors")):
            ax.text(0, y, text, va="center")
        ax.barh(418, BAR, 16, 80, color=DATA)
        (self._bar,) = ax.barh(390, 0, 16, 80, color=MODEL, animated=True)
        # Each text that moves takes as long as all the images: these stand still, and name k.
        ax.text(LEFT - GAP, middle, f"U: {ROWS} × k", ha="right", va="center")
        ax.text(right, BELOW + ROWS + GAP, f"Vᵀ: k × {COLUMNS}", va="bottom")
        self._name = ax.text(0, BELOW + ROWS + GAP, "Σ: k × k", ha="right", animated=True)

    def update(self, result):
        """Let the factors reach from the product outwards."""
        k, three = len(result.Vt), result.weights is not None
        left, above = LEFT - GAP - k, BELOW + ROWS + GAP
        self._place("X", result.X, 0, BELOW)
        self._place("product", result.product, LEFT, BELOW)
        self._place("U", result.U, left, BELOW)
        self._place("Vᵀ", result.Vt, LEFT, above)
        self._place("Σ", np.diag(result.weights) if three else np.empty((0, 0)), left, above)
        self._name.set(x=left - GAP, visible=three)
        self._bar.set_width(BAR * result.stored / result.X.size)

    def _place(self, name, numbers, left, bottom):
        """Colour the numbers of a matrix, and put its lower left corner in its place."""
        if name in LIMITS:
            pixels = coloured(numbers, "PuOr", -LIMITS[name], LIMITS[name])
        else:
            pixels = coloured(numbers, "gray", 0, 1)
        self._matrices[name].set(pixels=pixels, corner=(left, bottom))
