"""At which learning rate does gradient descent on a quadratic diverge? (lesson 4)."""

from dataclasses import dataclass

import numpy as np

from mflib.descent import Quadratic, descent_steps
from mflib.explore.base import Explorer, LogSlider, Slider
from mflib.iteration import has_exploded, take
from mflib.plotting import DATA, MODEL, OTHER, PREDICTION, QUIET, circle, plane

STEPS = 40
STEEPEST = 10.0  # λ_max: the critical learning rate is 2/10
ANGLE = np.radians(30)  # of the steepest direction
START = np.array([1.0, 1.0])  # error at the start along the steepest and the flattest direction


@dataclass(frozen=True)
class QuadraticPath:
    """Gradient descent on ½xᵀHx from a fixed start.

    `path` (steps + 1, 2) holds the iterates, `errors` (steps + 1, 2) the size of their parts along
    the steepest and the flattest eigenvector (the columns of `directions`), `predicted` the same
    by theory.
    """

    curvatures: np.ndarray
    directions: np.ndarray
    path: np.ndarray
    errors: np.ndarray
    predicted: np.ndarray
    step: int
    state: str
    message: str


def quadratic_path(learning_rate: float, condition: float, step: int) -> QuadraticPath:
    """Follow gradient descent on a quadratic with λ_max = 10 and λ_min = 10/condition.

    Parameters
    ----------
    learning_rate : float
    condition : float
        λ_max / λ_min, at least 1.
    step : int
        The iterate to mark, 0 to `STEPS`.
    """
    curvatures = np.array([STEEPEST, STEEPEST / condition])
    directions = np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])
    H = (directions * curvatures) @ directions.T
    start = directions @ START
    steps = take(descent_steps(Quadratic(H, np.zeros(2)), (start,), learning_rate), STEPS + 1)
    path = np.array([s.x for s in steps])
    factors = 1 - learning_rate * curvatures
    predicted = np.abs(START * factors ** np.arange(STEPS + 1)[:, None])
    losses = [s.loss for s in steps]
    state, message = _describe(learning_rate, factors, losses)
    return QuadraticPath(
        curvatures=curvatures,
        directions=directions,
        path=path,
        errors=np.abs(path @ directions),
        predicted=predicted,
        step=step,
        state=state,
        message=message,
    )


def _describe(eta, factors, losses):
    """Tell what happens, and why."""
    why = (
        f"η = {eta:.4g} is {eta * STEEPEST / 2:.4g} × the critical 2/λ_max = {2 / STEEPEST:g}; per "
        f"step the error is multiplied by 1 − ηλ_max = {factors[0]:.4g} along the steepest "
        f"direction, by {factors[1]:.3g} along the flattest"
    )
    growth = np.abs(factors).max()  # per step, in the end
    if abs(growth - 1) < 1e-12:
        return "On the border", f"{why}: the steepest error neither shrinks nor grows"
    if growth > 1:
        exploded = [i for i, loss in enumerate(losses) if has_exploded(loss, losses[0])]
        return (f"Diverged at step {exploded[0]}" if exploded else "Diverging"), why
    if growth > 0.9:
        steep, flat = np.abs(factors)
        which = "both are" if abs(steep - flat) < 1e-12 else "the steepest is"
        which = "the flattest is" if flat > steep + 1e-12 else which
        return "Converging slowly", f"{why}: {which} slow"
    return "Converging", why


class QuadraticExplorer(Explorer):
    """Follow gradient descent on a quadratic, its error along each eigenvector (lesson 4)."""

    controls = {
        "learning_rate": LogSlider("Learning rate η", 0.01, 1, 0.191),
        "condition": LogSlider("Condition κ", 1, 100, 10.0),
        "step": Slider("Step", 0, STEPS, 1, 12),
    }
    size = (9.0, 4.1)
    alt = (
        "Left: level lines of a quadratic with the path of gradient descent. Right: error along "
        "the steepest and the flattest direction per step, with the predicted straight lines."
    )
    compute = staticmethod(quadratic_path)

    def draw(self, fig):
        """Make the level lines with the path, and the two error curves."""
        left, right = fig.subplots(1, 2, width_ratios=[1, 1.35])
        plane(left, 2.0)
        left.set(title="Path to the minimum", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        moving = {"animated": True}
        self._levels = [left.plot([], [], color=QUIET, lw=1, **moving)[0] for _ in range(5)]
        (self._path,) = left.plot([], [], ".-", color=MODEL, lw=1.2, **moving)
        (self._now,) = left.plot([], [], "o", color=MODEL, ms=11, mfc="none", mew=2, **moving)
        left.plot(0, 0, "+", color=DATA, ms=12, mew=2)

        right.set(
            title="Error along each eigenvector",
            xlabel="step",
            ylabel="size of the error",
            yscale="log",
            xlim=(-0.5, STEPS + 0.5),
            ylim=(1e-9, 1e9),
            yticks=[1e-8, 1e-4, 1, 1e4, 1e8],
        )
        names = {"along the steepest": MODEL, "along the flattest": OTHER}
        self._errors = [
            right.plot([], [], "o", ms=4, color=color, label=name, **moving)[0]
            for name, color in names.items()
        ]
        self._predicted = [
            right.plot([], [], "--", lw=1.5, color=PREDICTION, zorder=1, label=label, **moving)[0]
            for label in ("predicted |1 − ηλ|ⁿ", None)
        ]
        self._line = right.axvline(0, color=QUIET, lw=1, **moving)
        fig.legend(loc="outside lower center", ncols=3)

    def update(self, result):
        """Move the level lines, the path and the curves."""
        axes = result.directions / np.sqrt(result.curvatures)
        for level, line in zip((0.5, 2, 6, 14, 26), self._levels, strict=True):
            line.set_data(*(np.sqrt(level) * axes @ circle()))
        visible = np.clip(result.path[: result.step + 1], -1e6, 1e6)
        self._path.set_data(*visible.T)
        self._now.set_data(*visible[-1:].T)
        self._line.set_xdata([result.step] * 2)
        steps = np.arange(STEPS + 1)
        for curves, values in ((self._errors, result.errors), (self._predicted, result.predicted)):
            for curve, value in zip(curves, values.T, strict=True):
                curve.set_data(steps, np.where(value > 1e-12, value, np.nan))
