"""How much memory does a half step need that reads so many ratings at a time? (lesson 7).

    peak = 4 k (m + n) + c min(b, |Ω|)      bytes

    b    ratings read at a time
    c    bytes of each of them, with all that is computed for it     measured

U and V have k = 16 numbers a row, m and n rows, of 4 bytes each.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from mflib.datasets import load_cluster_times
from mflib.explore.base import Choice, Explorer, Slider, follow
from mflib.explore.cluster import MEASURED_RANK, RATINGS, table_of
from mflib.plotting import DATA, ERROR, MODEL, OTHER, PREDICTION

READ = 1e6  # ratings at a time, when it was measured
MILLIONS = (*(lead * 10**e / 1000 for e in range(6) for lead in (1, 2, 5)), 1000)
SIZES = [1e6 * millions for millions in MILLIONS]
FITS, LARGE, HOPELESS = "It fits", "The block is too large", "U and V alone are too large"


@cache
def measured(engine: str) -> dict[float, float]:
    """Return the megabytes that an engine took, by the number of ratings."""
    times = load_cluster_times()
    rows = times.engine == engine
    return dict(zip(times.ratings[rows], times.megabytes[rows], strict=True))


def of_factors(ratings: float) -> float:
    """Return the megabytes of U and V."""
    return 4e-6 * MEASURED_RANK * sum(table_of(ratings))


def of_a_rating() -> float:
    """Return c in megabytes, from the table that was one block."""
    return (measured("disk")[READ] - of_factors(READ)) / READ


@dataclass(frozen=True)
class Peak:
    """Megabytes at the peak: of `factors` and of the `block`.

    `peaks` are their sums for each of `SIZES`; `all_of_it` is what a fit in memory takes, and
    `measured` (2, n) what was measured from disk, at how many ratings read at a time.
    """

    size: float
    factors: float
    block: float
    memory: float
    all_of_it: float
    peaks: np.ndarray
    measured: np.ndarray
    state: str
    message: str


def peak_memory(millions: float, memory: float, ratings: str) -> Peak:
    """Predict the memory of a half step from disk.

    Parameters
    ----------
    millions : float
        b, in millions.
    memory : float
        The megabytes that there are.
    ratings : one of RATINGS
    """
    size, total = 1e6 * millions, RATINGS[ratings]
    factors, each = of_factors(total), of_a_rating()
    block = each * min(size, total)
    most, taken = max(measured("laptop").items())
    points = [(READ, peak) for n, peak in measured("disk").items() if n == total]
    state, message = _describe(factors, block, memory, (memory - factors) / each, total)
    return Peak(
        size=size,
        factors=factors,
        block=block,
        memory=memory,
        all_of_it=taken * total / most,
        peaks=factors + each * np.minimum(SIZES, total),
        measured=np.array(points).reshape(-1, 2).T,
        state=state,
        message=message,
    )


def _describe(factors, block, memory, largest, total):
    """Tell whether it fits, and the largest block that does."""
    sums = f"U and V {factors:.3g} MB + block {block:.3g} MB = {factors + block:.3g} MB"
    if largest < 1:
        return HOPELESS, f"{sums}; there are {memory:.3g} MB, and no block is small enough"
    state = FITS if factors + block <= memory else LARGE
    fitting = "all ratings fit at once" if largest >= total else f"about {largest:.2g} would fit"
    return state, f"{sums} of {memory:.3g} MB; {fitting}"


class BlockExplorer(Explorer):
    """Read some ratings at a time from a disk, and see the peak of the memory (lesson 7)."""

    controls = {
        "millions": Slider("Million ratings at a time b", MILLIONS, 1.0),
        "memory": Slider("Memory (MB)", (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000), 300),
        "ratings": Choice("Ratings", tuple(RATINGS), "10⁷"),
    }
    alt = (
        "Memory against the number of ratings read at a time, on logarithmic axes: the peak rises "
        "from what U and V take until all are read at once; the memory that there is, what a fit "
        "in memory takes, and, where it was measured, the peak with a million ratings at a time."
    )
    play = "millions"
    grid = {
        "millions": (0.001, 0.01, 0.1, 10, 100, 1000),
        "memory": (10, 1000, 10_000),
        "ratings": tuple(RATINGS),
    }
    compute = staticmethod(peak_memory)

    def draw(self, fig):
        """Make the curve, the levels and the points."""
        ax = fig.subplots()
        moving = {"animated": True}
        ax.set(xscale="log", yscale="log", xlim=(SIZES[0] / 1.3, 1.3 * SIZES[-1]))
        ax.set(xlabel="ratings read at a time")
        ax.set_title("Memory of a half step from disk (megabytes)")
        ax.minorticks_off()
        self._axis = ax.yaxis
        self._axis.set_animated(True)
        ax.set_ylim(1e-2, 1e5)
        ax.set_yticks([1e-2, 1e5], ["100000", "100000"])  # leaves room
        (self._peaks,) = ax.plot([], [], color=PREDICTION, label="predicted", **moving)
        (self._here,) = ax.plot([], [], "o", color=PREDICTION, ms=10, **moving)
        (self._points,) = ax.plot([], [], "D", color=MODEL, label="measured", **moving)
        (self._memory,) = ax.plot([], [], "--", color=DATA, label="memory", **moving)
        (self._whole,) = ax.plot([], [], "-.", color=ERROR, label="fit in memory", **moving)
        (self._factors,) = ax.plot([], [], ":", color=OTHER, label="U and V", **moving)
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))

    def update(self, result):
        """Set the curve, the levels and the points, and the axis."""
        ends = [SIZES[0], SIZES[-1]]
        self._peaks.set_data(SIZES, result.peaks)
        self._here.set_data([result.size], [result.factors + result.block])
        self._points.set_data(*result.measured)
        levels = result.memory, result.all_of_it, result.factors
        for line, level in zip((self._memory, self._whole, self._factors), levels, strict=True):
            line.set_data(ends, [level, level])
        everything = np.array([*result.peaks, *levels, *result.measured[1]])
        follow(self._axis, everything.min(), everything.max())
