"""Where do the iterates of power iteration go, and how fast? (lesson 1)."""

from dataclasses import dataclass

import numpy as np

from mflib.eigen import power_steps
from mflib.explore.base import Explorer, Slider, even
from mflib.iteration import take
from mflib.plotting import DATA, ERROR, MODEL, PREDICTION, QUIET, circle, plane

STEPS = 30  # iterates that are computed and plotted
SETTLED = 1e-6  # degrees; closer than this counts as arrived


@dataclass(frozen=True)
class PowerPath:
    """The iterates for one symmetric 2×2 matrix and one start, and what they do.

    `vectors` (steps + 1, 2) holds the unit iterates, `angles` their distance in degrees from the
    line of the dominant eigenvector, `predicted` the same by theory (empty where theory promises
    nothing), `eigenvalues` and `eigenvectors` (columns) the truth, dominant first.
    """

    matrix: np.ndarray
    eigenvalues: np.ndarray
    eigenvectors: np.ndarray
    vectors: np.ndarray
    angles: np.ndarray
    predicted: np.ndarray
    step: int
    state: str
    message: str


def power_path(a: float, b: float, d: float, angle: float, step: int) -> PowerPath:
    """Follow power iteration on [[a, b], [b, d]].

    Parameters
    ----------
    a, b, d : float
        The entries of the matrix.
    angle : float
        Direction of the start, degrees.
    step : int
        The iterate to describe in words, 0 to `STEPS`.
    """
    A = np.array([[a, b], [b, d]], dtype=float)
    values, vectors = np.linalg.eigh(A)
    order = np.argsort(-np.abs(values), kind="stable")
    values, vectors = values[order], vectors[:, order]
    start = [np.cos(np.radians(angle)), np.sin(np.radians(angle))]
    path = np.array([s.eigenvector for s in take(power_steps(A, start), STEPS + 1)])
    along, across = np.abs(path @ vectors).T
    angles = np.degrees(np.arctan2(across, along))
    step = min(step, len(path) - 1)
    rate = abs(values[1] / values[0]) if values[0] else 1.0
    if rate > 1 - 1e-14:  # equal up to rounding
        rate = 1.0
    predicted = np.array([])
    if rate < 1:
        tangent = np.tan(np.radians(angles[0]))
        predicted = np.degrees(np.arctan(tangent * rate ** np.arange(STEPS + 1)))
    state, message = _describe(values, rate, angles, step)
    return PowerPath(
        matrix=A,
        eigenvalues=values,
        eigenvectors=vectors,
        vectors=path,
        angles=angles,
        predicted=predicted,
        step=step,
        state=state,
        message=message,
    )


def _describe(values, rate, angles, step):
    """Tell the state at one step in words."""
    if values[0] == 0:
        return "Breakdown", "A is zero, so A x = 0 for every x and there is no direction to follow"
    values = np.where(np.abs(values) < 1e-14 * abs(values[0]), 0, values)
    first, second = (f"{v:.3g}" for v in values)
    both = f"λ₁ = {first}, λ₂ = {second}"
    if rate == 1 and values[0] * values[1] > 0:
        return "Settled at once", f"{both}: every vector is an eigenvector of this matrix"
    if rate == 1 and min(angles[0], 90 - angles[0]) < SETTLED:
        return "Settled at once", f"{both} have equal moduli, but the start is an eigenvector"
    if rate == 1:
        return "Not converging", (
            f"{both}: |λ₁| = |λ₂|, so the iterates jump between two lines for ever"
        )
    here = angles[step]
    if angles[0] > 90 - SETTLED:
        return _describe_orthogonal(both, rate, here)
    if here < SETTLED:
        return "Converged", (
            f"Step {step}: within a millionth of a degree of the eigenvector of λ₁ = {first}"
        )
    ratio = f"{rate:.3g}" if rate < 0.9995 else f"1 − {1 - rate:.1g}"
    theory = f"theory: |λ₂/λ₁| = |{second}/{first}| = {ratio}"
    if step == 0:
        return "Start", f"{here:.3g}° from the line of the eigenvector of λ₁ = {first}; {theory}"
    measured = np.tan(np.radians(here)) / np.tan(np.radians(angles[step - 1]))
    return "Converging slowly" if rate > 0.9 else "Converging", (
        f"Step {step}: {here:.3g}° from the line, with a tangent {measured:.3g} times that of the "
        f"step before ({theory})"
    )


def _describe_orthogonal(both, rate, here):
    """Tell what happens after a start without any share of the dominant eigenvector."""
    if rate < 1e-14:
        if here > 45:
            return "Breakdown", f"{both}: the start is in the null space, A x = 0 up to rounding"
        return "Breakdown", (
            f"{both}: the start is in the null space, and what you see is a rounding error, scaled "
            "up to length 1"
        )
    if here > 89:
        return "On the wrong line", (
            f"{both}: on paper the iterates stay here for ever; a rounding error can grow up to "
            f"{1 / rate:.3g}-fold per step and free them"
        )
    state = "Leaving the wrong line" if here > 45 else "Rescued by rounding"
    return state, f"{both}: a rounding error has grown {1 / rate:.3g}-fold per step"


class PowerIterationExplorer(Explorer):
    """Follow power iteration on the unit circle and on a logarithmic scale (lesson 1)."""

    controls = {
        "a": Slider("Entry a₁₁", even(-4, 4, 0.1), 3.0),
        "b": Slider("Entry a₁₂ = a₂₁", even(-4, 4, 0.1), 2.0),
        "d": Slider("Entry a₂₂", even(-4, 4, 0.1), 3.0),
        "angle": Slider("Start angle (°)", even(0.0, 180.0, 1.0), 0.0),
        "step": Slider("Step", even(0, STEPS, 1), 2),
    }
    size = (9.4, 3.7)
    alt = (
        "Left: iterates of power iteration as arrows in the unit circle, with the lines of both "
        "eigenvectors and the ellipse that A makes of the circle. Right: angle between iterate and "
        "dominant eigenvector per step, measured and predicted, on a logarithmic scale."
    )
    play = "step"
    grid = {
        "a": (-3.0, 0.0, 3.0),
        "b": (-2.0, 2.0),
        "d": (-3.0, 0.0, 3.0),
        "angle": (0.0, 135.0),
        "step": (0, 1, 2, 3, 4, 10, 20, 30),
    }
    compute = staticmethod(power_path)

    def draw(self, fig):
        """Make the circle with its lines and arrows, and the two curves."""
        left, right = fig.subplots(1, 2, width_ratios=[1, 1.35])
        plane(left, 1.25)
        left.set(title="Iterates x₀, x₁, …", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        left.plot(*circle(), color=QUIET, lw=1)
        moving = {"animated": True}
        (self._ellipse,) = left.plot([], [], color=QUIET, lw=1.2, ls="--", **moving)
        (self._dominant,) = left.plot([], [], color=DATA, lw=1.5, **moving)
        (self._other,) = left.plot([], [], color=DATA, lw=1.5, ls=":", **moving)
        (self._earlier,) = left.plot([], [], "-", color=MODEL, lw=1.2, alpha=0.4, **moving)
        (self._tips,) = left.plot([], [], "o", color=MODEL, ms=5, **moving)
        self._arrow = left.quiver(
            0,
            0,
            1,
            0,
            angles="xy",
            scale_units="xy",
            scale=1,
            color=MODEL,
            width=0.016,
            zorder=3,
            **moving,
        )
        text = {"ha": "center", "va": "center", "fontsize": 13, "animated": True}
        self._start_name = left.text(0, 0, "x₀", color=MODEL, **text)
        self._line_name = left.text(0, 0, "λ₁", color=DATA, **text)

        right.set(
            title="Angle to the dominant line",
            xlabel="step",
            ylabel="angle (degrees)",
            yscale="log",
            xlim=(-0.5, STEPS + 0.5),
            ylim=(3e-16, 1e8),  # room for the legend above 90 degrees
            yticks=[1e-15, 1e-10, 1e-5, 1e0],
        )
        label = "predicted from |λ₂/λ₁|"
        (self._predicted,) = right.plot([], [], "--", color=PREDICTION, label=label, **moving)
        (self._measured,) = right.plot([], [], "o", color=ERROR, ms=5, label="measured", **moving)
        (self._now,) = right.plot([], [], "o", color=ERROR, ms=11, mfc="none", mew=2, **moving)
        right.legend(handles=[self._measured, self._predicted], loc="upper right")

    def update(self, result):
        """Move arrows, lines and curves."""
        path, step = result.vectors, result.step
        image = result.matrix @ circle() / (abs(result.eigenvalues[0]) or 1)
        self._ellipse.set_data(*image)
        for line, v in zip((self._dominant, self._other), result.eigenvectors.T, strict=True):
            line.set_data(*np.outer(v, [-1.25, 1.25]))
        spokes = np.full((3 * step, 2), np.nan)  # centre, tip, gap
        spokes[0::3], spokes[1::3] = 0, path[:step]
        self._earlier.set_data(*spokes.T)
        self._tips.set_data(*path[:step].T)
        self._arrow.set_UVC(*path[step])
        self._start_name.set_position(1.14 * path[0])
        normal = result.eigenvectors[::-1, 0] * [-1, 1]
        self._line_name.set_position(1.1 * result.eigenvectors[:, 0] + 0.12 * normal)

        floor = 1e-15  # an angle of exactly zero has no place on a logarithmic axis
        measured = np.maximum(result.angles, floor)
        self._measured.set_data(np.arange(measured.size), measured)
        self._now.set_data([step], [measured[step]])
        predicted = np.where(result.predicted < floor, np.nan, result.predicted)
        self._predicted.set_data(np.arange(predicted.size), predicted)
