"""How many numbers does a factorization store? (lesson 0)."""

from dataclasses import dataclass

from matplotlib.patches import Rectangle

from mflib.explore.base import Explorer, Slider
from mflib.plotting import DATA, MODEL


@dataclass(frozen=True)
class Storage:
    """Numbers stored by X (m×n) and by its factors U (m×k) and V (n×k)."""

    m: int
    n: int
    k: int
    full: int
    factored: int
    state: str
    message: str


def count_storage(m: int, n: int, k: int) -> Storage:
    """Count the numbers in an m×n matrix and in two factors of rank k.

    Parameters
    ----------
    m, n : int
        Rows and columns of X.
    k : int
        Rank; more than min(m, n) is never needed.
    """
    full, factored = m * n, k * (m + n)
    sizes = f"X holds {m} × {n} = {full:,} numbers; U and V hold {k} × ({m} + {n}) = {factored:,}"
    if factored < full:
        state, end = "Smaller", f"{factored / full:.0%} of it"
    elif factored == full:
        state, end = "Even", "exactly as many"
    else:
        state, end = "Larger", f"{factored / full:.1f} times as many"
    if k > min(m, n):
        end += f"; a rank above min(m, n) = {min(m, n)} is never needed"
    return Storage(m, n, k, full, factored, state, f"{sizes}, {end}.")


class FactorizationExplorer(Explorer):
    """Draw X ≈ U Vᵀ as blocks, to scale."""

    controls = {
        "m": Slider("Rows m", 1, 80, 1, 60),
        "n": Slider("Columns n", 1, 100, 1, 90),
        "k": Slider("Rank k", 1, 60, 1, 5),
    }
    size = (9.0, 3.0)
    alt = "A matrix X drawn as a block, beside its two factors, a tall U and a flat V transposed."
    compute = staticmethod(count_storage)

    def draw(self, fig):
        """Make three rectangles with their names."""
        ax = fig.subplots()
        ax.set(xlim=(-12, 348), ylim=(-82, 14), aspect="equal")
        ax.set_axis_off()
        self._blocks = [
            ax.add_patch(Rectangle((0, 0), 1, 1, fc=color, alpha=0.75, animated=True))
            for color in (DATA, MODEL, MODEL)
        ]
        text = {"ha": "center", "va": "center", "fontsize": 14, "animated": True}
        self._names = [ax.text(0, 0, "", **text) for _ in self._blocks]
        self._equals = ax.text(0, 0, "≈", **text | {"fontsize": 24})

    def update(self, result):
        """Place the blocks side by side, their tops on one line."""
        m, n, k = result.m, result.n, result.k
        left = 0
        shapes = (("X", m, n), ("U", m, k), ("Vᵀ", k, n))
        for block, text, (name, height, width) in zip(
            self._blocks, self._names, shapes, strict=True
        ):
            block.set(x=left, y=-height, width=width, height=height)
            text.set(x=left + width / 2, text=f"{name}: {height} × {width}", y=7)
            left += width + 42
        self._equals.set_position((n + 21, -m / 2))
