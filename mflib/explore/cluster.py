"""How long does a half step take on many machines, and what travels meanwhile? (lesson 7).

    T(p) = F + M / (p r) + 4 N (1 − 1/p) / B        seconds, on p machines

    M    multiplications, |Ω| k(k + 3)/2 + rows (k³/6 + 3k²/2)       lesson 5, one side
    r    multiplications a second of one machine                     measured
    F    what the engine computes for a half step, however small     measured
    N    numbers that reach every machine, 4 bytes each
    B    bytes a second that a machine receives, all at the same time

N is n k where V travels, and at most m k where rows of U do, all to the machine that owns a column.
Where each machine sends the sums of its own rows instead, N is n k(k + 3)/2.

With C = M/r and A = 4 N / B, T(p) = F + A + (C − A)/p goes from F + C to F + A, down or up.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from mflib.datasets import load_cluster_times
from mflib.explore.base import Choice, Explorer, Slider, follow
from mflib.plotting import DATA, ERROR, MODEL, OTHER, PREDICTION, QUIET

BY_V, BY_U, BY_SUMS = "U: V travels", "V: U travels", "V: sums travel"
RATINGS = {"10⁵": 1e5, "10⁶": 1e6, "10⁷": 1e7, "10⁸": 1e8, "10⁹": 1e9}
MOST = 1000  # machines
MACHINES = tuple(sorted({*map(round, np.geomspace(1, MOST, 61))}))
MEASURED_RANK = 16
BUSY, AWAY, WAITING = "Computing takes most", "Travel takes most", "The engine takes most"


def table_of(ratings: float) -> tuple[float, float]:
    """Return m and n: 100 ratings a person and 500 a film, but at most 100,000 films."""
    return ratings / 100, min(ratings / 500, 1e5)


def multiplications(ratings: float, rows: float, k: float) -> float:
    """Return M, the multiplications of one half step."""
    return ratings * k * (k + 3) / 2 + rows * (k**3 / 6 + 1.5 * k**2)


@cache
def measured_rates() -> tuple[float, float]:
    """Return r of the only worker of Spark on its largest table, and F: half its driver's step."""
    times = load_cluster_times()
    alone = times.engine == "Spark, 1 worker"
    columns = np.c_[times.ratings, times.busiest, times.driver]
    ratings, busiest, driver = max(columns[alone].tolist())
    total = sum(multiplications(ratings, side, MEASURED_RANK) for side in table_of(ratings))
    return total / busiest, driver / 2


@dataclass(frozen=True)
class HalfStep:
    """Seconds of a half step: of `computing`, of `travel` and of the engine, `fixed`.

    `totals` are the sums for each of `MACHINES`, which go to `limit`; `measured` (2, n) are numbers
    of workers and half of what a step with so many took from start to end, if it was measured.
    """

    workers: int
    fixed: float
    computing: float
    travel: float
    totals: np.ndarray
    limit: float
    measured: np.ndarray
    state: str
    message: str

    @property
    def seconds(self) -> float:
        """Return their sum."""
        return self.fixed + self.computing + self.travel


def half_step(workers: int, bandwidth: float, k: int, kind: str, ratings: str) -> HalfStep:
    """Predict the seconds of a half step on so many machines.

    Parameters
    ----------
    workers : int
        p.
    bandwidth : float
        What each machine receives, in MB a second.
    k : int
    kind : {BY_V, BY_U, BY_SUMS}
        Which factor is computed, and what travels for it.
    ratings : one of RATINGS
    """
    total, (m, n) = RATINGS[ratings], table_of(RATINGS[ratings])
    numbers = {BY_V: n * k, BY_U: m * k, BY_SUMS: n * k * (k + 3) / 2}[kind]
    rate, fixed = measured_rates()
    alone = multiplications(total, m if kind == BY_V else n, k) / rate
    all_of_it = 4 * numbers / (1e6 * bandwidth)

    def times(p):
        return alone / p, all_of_it * (1 - 1 / p)

    computing, travel = times(workers)
    measured = _measured(total, k, kind)
    least = fixed + min(alone, all_of_it)
    state, message = _describe(workers, fixed, computing, travel, fixed + alone, least, measured)
    return HalfStep(
        workers=workers,
        fixed=fixed,
        computing=computing,
        travel=travel,
        totals=fixed + sum(times(np.array(MACHINES))),
        limit=fixed + all_of_it,
        measured=measured,
        state=state,
        message=message,
    )


def _measured(ratings, k, kind):
    """Return numbers of workers, and half of what a step took, where all is as it was measured."""
    times = load_cluster_times()
    here = (times.ratings == ratings) & np.char.startswith(times.engine, "Spark")
    here &= (k == MEASURED_RANK) & (kind != BY_SUMS)
    workers = [float(name.split()[1]) for name in times.engine[here]]
    return np.array([workers, times.elapsed[here] / 2])


def _describe(workers, fixed, computing, travel, alone, least, measured):
    """Tell which part is the largest, the sum, what the model never goes below, and the truth."""
    parts = {BUSY: computing, AWAY: travel, WAITING: fixed}
    total = sum(parts.values())
    machines = "1 machine" if workers == 1 else f"{workers} machines"
    message = (
        f"{machines}: {computing:.2g} s computing + {travel:.2g} s travel + {fixed:.2g} s for the "
        f"engine = {total:.3g} s, {alone / total:.3g} times as fast as one; the model needs at "
        f"least {least:.2g} s"
    )
    if measured.size:
        told = ", ".join(f"{half:.2g} s with {n:.0f}" for n, half in measured.T)
        message += f"; half of a measured step: {told}"
    return max(parts, key=parts.get), message


class ClusterExplorer(Explorer):
    """Share a half step among machines, and see what takes the time (lesson 7)."""

    controls = {
        "workers": Slider("Machines p", MACHINES, 100),
        "bandwidth": Slider("Network (MB/s)", (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000), 100),
        "k": Slider("Rank k", (1, 2, 4, 8, 16, 32, 64, 128), 16),
        "kind": Choice("Half step", (BY_V, BY_U, BY_SUMS), BY_V),
        "ratings": Choice("Ratings", tuple(RATINGS), "10⁹"),
    }
    size = (10.6, 3.6)
    alt = (
        "Left: seconds of a half step against the number of machines on logarithmic axes, "
        "predicted and, where they were measured, for one worker and two; also if all were shared. "
        "Right: bars of computing, travel and the engine."
    )
    lines = 3
    play = "workers"
    grid = {
        "workers": (1, 2, 10, 100, 1000),
        "bandwidth": (10, 100, 1000),
        "kind": (BY_V, BY_U, BY_SUMS),
        "ratings": ("10⁵", "10⁷", "10⁹"),
    }
    compute = staticmethod(half_step)

    def draw(self, fig):
        """Make the curve, its parts and the points; and the bars."""
        left, right = fig.subplots(1, 2, width_ratios=[1.5, 1])
        moving = {"animated": True}
        left.set(xscale="log", yscale="log", xlim=(0.9, 1.1 * MOST), xlabel="machines p")
        left.set(title="Seconds of a half step", xticks=[1, 10, 100, 1000])
        left.set_xticklabels(["1", "10", "100", "1000"])
        left.minorticks_off()
        self._axis = left.yaxis
        self._axis.set_animated(True)
        left.set_ylim(1e-2, 1e2)
        left.set_yticks([1e-2, 1e2], ["10000", "10000"])  # leaves room
        self._ideal = left.plot([], [], ":", color=QUIET, label="if all were shared", **moving)[0]
        self._limit = left.plot([], [], "--", color=DATA, lw=1.2, label="limit", **moving)[0]
        self._total = left.plot([], [], color=PREDICTION, label="predicted", **moving)[0]
        self._here = left.plot([], [], "o", color=PREDICTION, ms=10, **moving)[0]
        self._points = left.plot([], [], "D", color=MODEL, label="measured", **moving)[0]
        left.legend(loc="upper right", ncols=2)
        right.set(title="What takes the time", xlim=(0, 1.0), ylim=(2.6, -0.6))
        right.set(yticks=range(3), xticks=[0, 0.5, 1], xlabel="share")
        right.set_yticklabels(["computing", "travel", "engine"])
        colors = MODEL, ERROR, OTHER
        self._bars = [right.barh(i, 1, color=c, **moving)[0] for i, c in enumerate(colors)]

    def update(self, result):
        """Set the curves and the points, the axis and the bars."""
        seconds = result.totals
        self._total.set_data(MACHINES, seconds)
        self._ideal.set_data(MACHINES, seconds[0] / np.array(MACHINES))
        self._limit.set_data([1, MOST], [result.limit] * 2)
        parts = np.array([result.computing, result.travel, result.fixed])
        self._here.set_data([result.workers], [parts.sum()])
        self._points.set_data(*result.measured)
        everything = np.concatenate([seconds, [result.limit], result.measured[1]])
        follow(self._axis, everything.min() / 3, 3 * everything.max())
        for bar, share in zip(self._bars, parts / parts.sum(), strict=True):
            bar.set_width(share)
