"""How many numbers does a factorization store? (lesson 0)."""

from dataclasses import dataclass

from matplotlib.patches import Rectangle

from mflib.explore.base import Choice, Explorer, Slider, even
from mflib.plotting import DATA, MODEL, OTHER

TWO, THREE = "two: U Vᵀ", "three: U Σ Vᵀ"


@dataclass(frozen=True)
class Storage:
    """The factors of an m×n matrix as (name, rows, columns), and the numbers that they store."""

    m: int
    n: int
    blocks: tuple[tuple[str, int, int], ...]
    factored: int
    state: str
    message: str


def count_storage(m: int, n: int, k: int, factors: str = TWO) -> Storage:
    """Count the numbers in an m×n matrix and in its factors of rank k.

    Parameters
    ----------
    m, n : int
        Rows and columns of X.
    k : int
        Rank; more than min(m, n) is never needed.
    factors : {TWO, THREE}
        U Vᵀ, or U Σ Vᵀ with a diagonal Σ, of which only the diagonal is stored.
    """
    blocks = [("U", m, k), ("Vᵀ", k, n)]
    names, count, factored = "U and V", f"{k} × ({m} + {n})", k * (m + n)
    if factors == THREE:
        blocks.insert(1, ("Σ", k, k))
        names, count, factored = "U, Σ and V", f"{k} × ({m} + {n} + 1)", k * (m + n + 1)
    full = m * n
    if factored < full:
        state, end = "Smaller", f"{factored / full:.0%} of it"
    elif factored == full:
        state, end = "Even", "exactly as many"
    else:
        state, end = "Larger", f"{factored / full:.1f} times as many"
    if k > min(m, n):
        end += f"; a rank above min(m, n) = {min(m, n)} is never needed"
    message = f"X holds {m} × {n} = {full:,} numbers; {names} hold {count} = {factored:,}, {end}"
    return Storage(m=m, n=n, blocks=tuple(blocks), factored=factored, state=state, message=message)


class FactorizationExplorer(Explorer):
    """Draw X ≈ U Vᵀ or X ≈ U Σ Vᵀ as blocks, to scale (lesson 0)."""

    controls = {
        "m": Slider("Rows m", even(1, 80, 1), 60),
        "n": Slider("Columns n", even(1, 100, 1), 90),
        "k": Slider("Rank k", even(1, 60, 1), 5),
        "factors": Choice("Factors", (TWO, THREE), TWO),
    }
    size = (9.0, 2.6)
    alt = "A matrix X drawn as a block, beside its factors, a tall U and a flat V transposed."
    grid = {"m": (20, 60), "n": (30, 90), "k": range(1, 61, 3), "factors": (TWO, THREE)}
    compute = staticmethod(count_storage)

    def draw(self, fig):
        """Make four rectangles with their names."""
        ax = fig.subplots()
        ax.set(xlim=(-28, 486), ylim=(-82, 14), aspect="equal")
        ax.set_axis_off()
        text = {"ha": "center", "va": "center", "fontsize": 13, "animated": True}
        self._blocks = [
            (ax.add_patch(Rectangle((0, 0), 1, 1, fc=color, alpha=0.75, animated=True)),
             ax.text(0, 0, "", **text))
            for color in (DATA, MODEL, OTHER, MODEL)
        ]  # fmt: skip
        self._equals = ax.text(0, 0, "≈", **text | {"fontsize": 24})

    def update(self, result):
        """Place the blocks side by side, their tops on one line; Σ hides if there is none."""
        shapes = [("X", result.m, result.n), *result.blocks]
        if len(shapes) == 3:
            shapes.insert(2, ("", 0, 0))
        left = 0
        for (block, text), (name, height, width) in zip(self._blocks, shapes, strict=True):
            block.set(x=left, y=-height, width=width, height=height)
            text.set(x=left + width / 2, y=7, text=f"{name}: {height} × {width}" if name else "")
            left += width + 54 if name else 0
        self._equals.set_position((result.n + 27, -result.m / 2))
