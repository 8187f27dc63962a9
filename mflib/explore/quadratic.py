"""At which learning rate does gradient descent on a quadratic diverge? (lesson 4).

    xₙ₊₁ = xₙ − η∇f(xₙ) + β(xₙ − xₙ₋₁)       with momentum β; without it, plain gradient descent

Along the eigenvector of curvature λ the error follows eₙ₊₁ = (1 + β − ηλ) eₙ − β eₙ₋₁, so that in
the long run it is multiplied by |z| per step, for the larger root z of z² − (1 + β − ηλ) z + β = 0.
Both roots are inside the unit circle exactly if 0 < ηλ < 2(1 + β), and at β = 0 |z| is |1 − ηλ|.
"""

from dataclasses import dataclass

import numpy as np

from mflib.descent import Point, Quadratic
from mflib.explore.base import Explorer, Slider, even, log
from mflib.iteration import has_exploded
from mflib.plotting import DATA, MODEL, OTHER, PREDICTION, QUIET, circle, plane

STEPS = 40
STEEPEST = 10.0  # λ_max: without momentum the critical learning rate is 2/10
ANGLE = np.radians(30)  # of the steepest direction
START = np.array([1.0, 1.0])  # error at the start along the steepest and the flattest direction


@dataclass(frozen=True)
class QuadraticPath:
    """Gradient descent on ½xᵀHx from a fixed start.

    `path` (steps + 1, 2) holds the iterates, `errors` (steps + 1, 2) the size of their parts along
    the steepest and the flattest eigenvector (the columns of `directions`), `predicted` what they
    would be if every step multiplied them by the factor of the long run.
    """

    curvatures: np.ndarray
    directions: np.ndarray
    path: np.ndarray
    errors: np.ndarray
    predicted: np.ndarray
    step: int
    state: str
    message: str


def quadratic_path(
    learning_rate: float, condition: float, momentum: float, step: int
) -> QuadraticPath:
    """Follow gradient descent on a quadratic with λ_max = 10 and λ_min = 10/condition.

    Parameters
    ----------
    learning_rate : float
    condition : float
        λ_max / λ_min, at least 1.
    momentum : float
        β, the share of the last move that is kept, from 0 to below 1.
    step : int
        The iterate to mark, 0 to `STEPS`.
    """
    curvatures = np.array([STEEPEST, STEEPEST / condition])
    directions = np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])
    problem = Quadratic((directions * curvatures) @ directions.T, np.zeros(2))
    path = [directions @ START] * 2  # at rest
    while len(path) < STEPS + 2:
        gradient = problem.gradient(Point(path[-1])).x
        path.append(path[-1] - learning_rate * gradient + momentum * (path[-1] - path[-2]))
    path = np.array(path[1:])
    factors = long_run_factors(learning_rate * curvatures, momentum)
    losses = [problem.loss(Point(x)) for x in path]
    state, message = _describe(learning_rate, momentum, factors, losses)
    return QuadraticPath(
        curvatures=curvatures,
        directions=directions,
        path=path,
        errors=np.abs(path @ directions),
        predicted=START * factors ** np.arange(STEPS + 1)[:, None],
        step=step,
        state=state,
        message=message,
    )


def long_run_factors(products: np.ndarray, momentum: float) -> np.ndarray:
    """Return the size of the larger root of z² − (1 + β − ηλ) z + β for each ηλ."""
    middle = (1 + momentum - products) / 2
    root = np.emath.sqrt(middle**2 - momentum)
    return np.abs(middle + np.where(middle < 0, -root, root))


def _describe(eta, momentum, factors, losses):
    """Tell what happens, and why."""
    critical = 2 * (1 + momentum) / STEEPEST
    name = "2(1 + β)/λ_max" if momentum else "2/λ_max"
    steep, flat = factors
    when = "in the long run a step" if momentum else "a step"
    why = (
        f"η = {eta:.4g} is {eta / critical:.4g} × the critical {name} = {critical:.3g}; {when} "
        f"multiplies the size of the error by {steep:.4g} along the steepest direction, by "
        f"{flat:.3g} along the flattest"
    )
    growth = max(factors)
    if abs(growth - 1) < 1e-12:
        return "On the border", f"{why}: the steepest error neither shrinks nor grows"
    if growth > 1:
        exploded = [i for i, loss in enumerate(losses) if has_exploded(loss, losses[0])]
        return (f"Diverged at step {exploded[0]}" if exploded else "Diverging"), why
    if growth > 0.9:
        which = "the steepest is" if steep > flat else "the flattest is"
        which = "both are" if abs(steep - flat) < 1e-12 else which
        return "Converging slowly", f"{why}: {which} slow"
    return "Converging", why


class QuadraticExplorer(Explorer):
    """Follow gradient descent on a quadratic, its error along each eigenvector (lesson 4)."""

    controls = {
        "learning_rate": Slider("Learning rate η", log(0.01, 1), 0.19),
        "condition": Slider("Condition κ", log(1, 100), 10.0),
        "momentum": Slider("Momentum β", even(0.0, 0.95, 0.01), 0.0),
        "step": Slider("Step", even(0, STEPS, 1), 12),
    }
    size = (10.6, 3.7)
    play = "step"
    grid = {
        "learning_rate": (0.05, 0.1, 0.182, 0.19, 0.2, 0.21, 0.3, 0.4),
        "condition": (1.0, 10.0, 100.0),
        "momentum": (0.0, 0.9),
        "step": (0, 2, 5, 12, 20, 40),
    }
    alt = (
        "Left: level lines of a quadratic with the path of gradient descent. Right: error along "
        "the steepest and the flattest direction per step, with the predicted straight lines."
    )
    compute = staticmethod(quadratic_path)

    def draw(self, fig):
        """Make the level lines with the path, and the two error curves."""
        left, right = fig.subplots(1, 2, width_ratios=[1, 1.6])
        plane(left, 2.0)
        left.set(title="Path to the minimum", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        moving = {"animated": True}
        self._levels = [left.plot([], [], color=QUIET, lw=1, **moving)[0] for _ in range(5)]
        (self._path,) = left.plot([], [], ".-", color=MODEL, lw=1.2, **moving)
        (self._now,) = left.plot([], [], "o", color=MODEL, ms=11, mfc="none", mew=2, **moving)
        left.plot(0, 0, "+", color=DATA, ms=12, mew=2)

        right.set(
            title="Size of the error along each eigenvector",
            xlabel="step",
            yscale="log",
            xlim=(-0.5, STEPS + 7),
            xticks=range(0, STEPS + 1, 10),
            ylim=(1e-9, 1e9),
            yticks=[1e-8, 1e-4, 1, 1e4, 1e8],
        )
        self._line = right.axvline(0, color=QUIET, lw=1, **moving)
        kinds = (("steepest", MODEL), ("flattest", OTHER))
        self._errors = [right.plot([], [], "o", ms=4, color=c, **moving)[0] for _, c in kinds]
        self._predicted = [
            right.plot([], [], "--", lw=1.5, color=PREDICTION, zorder=1, **moving)[0] for _ in kinds
        ]
        self._names = [
            right.text(STEPS + 0.8, 1, name, color=color, va="center", **moving)
            for name, color in kinds
        ]
        text = "dashed: the factor of the long run, step by step"
        right.text(STEPS, 3e7, text, color=PREDICTION, ha="right", fontsize=12)

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
        ends = np.log10(np.clip(result.predicted[-1], 1e-8, 1e8))
        if abs(ends[0] - ends[1]) < 1.2:  # keep the two names apart
            ends = ends.mean() + 0.6 * np.array([1, -1]) * (1 if ends[0] >= ends[1] else -1)
        for name, end in zip(self._names, ends, strict=True):
            name.set_y(10**end)
