"""Which learning rate would have worked on the traffic speeds? (lesson 4)."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.linalg import norm

from mflib.datasets import make_traffic
from mflib.descent import (
    DescentStep,
    classify_losses,
    descent_steps,
    gradient_descent,
)
from mflib.explore.base import Choice, Explorer, Slider, even, follow, log
from mflib.factorization import FactorizationProblem, joint_critical_learning_rate
from mflib.iteration import take
from mflib.plotting import ERROR, PREDICTION, QUIET

SENSORS, DAYS, INTERVAL = 40, 7, 60
RANK = 6
STEPS = 100
FIRST = 4  # steps that are predicted
ALTERNATING, SIMULTANEOUS = "alternating", "simultaneous"
HIGHEST = 1e100  # error, in the picture
# Closest together where the question is: which of them still converge?
RATIOS = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    *even(0.9, 2.2, 0.01),
    *(2.5, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0, 50.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0),
)


@dataclass(frozen=True)
class TrafficRun:
    """Gradient descent on traffic speeds: errors ‖UVᵀ − X‖ per step, and those predicted.

    `first` and `predicted` belong to the first steps only, and go on where the loss explodes;
    `predicted[i]` is the bound for step i that the curvatures at step i − 1 give. `errors` ends
    where the run exploded. `least` is the error of the best factorization of this rank.
    """

    first: np.ndarray
    predicted: np.ndarray
    errors: np.ndarray
    least: float
    state: str
    message: str


class TrafficData(NamedTuple):
    """What is minimised, 1/σ₁ of the data, and the least error at this rank."""

    problem: FactorizationProblem
    critical: float
    least: float


@lru_cache(maxsize=1)
def traffic_data() -> TrafficData:
    """Return the speeds of the explorer, as a problem; made once."""
    X = make_traffic(SENSORS, DAYS, INTERVAL, random_state=0).speeds
    least = np.sqrt(np.sum(np.linalg.svd(X, compute_uv=False)[RANK:] ** 2))
    critical = joint_critical_learning_rate(X, random_state=0)
    return TrafficData(FactorizationProblem(X), critical, float(least))


@lru_cache(maxsize=128)
def traffic_run(ratio: float, updates: str = ALTERNATING, scale: float = 1.0) -> TrafficRun:
    """Factor traffic speeds by gradient descent from factors drawn from U(0, scale).

    Parameters
    ----------
    ratio : float
        η, as a multiple of 1/σ₁(X).
    updates : {ALTERNATING, SIMULTANEOUS}
    scale : float
        The largest entry of the start.
    """
    problem, critical, least = traffic_data()
    rng = np.random.default_rng(1)
    start = [scale * rng.random((side, RANK)) for side in problem.X.shape]
    eta, path = ratio * critical, []
    result = gradient_descent(
        problem, start, eta, updates=updates, tol=0, max_iter=STEPS, watch=path.append
    )
    if len(path) <= FIRST and path[-1].loss < HIGHEST**2 / 2:  # exploded: go on from there
        _, *more = take(
            descent_steps(problem, path[-1], eta, updates=updates), FIRST + 2 - len(path)
        )
        path += more
    first = [s for s in path[: FIRST + 1] if s.loss < HIGHEST**2 / 2]  # within the picture
    errors = np.sqrt(2 * result.objectives)
    state, message = _describe(result, ratio, eta, updates, errors)
    return TrafficRun(
        first=np.sqrt([2 * s.loss for s in first]),
        predicted=np.array([error_bound(problem, s, eta, updates) for s in first[:-1]]),
        errors=errors,
        least=least,
        state=state,
        message=message,
    )


def error_bound(
    problem: FactorizationProblem, step: DescentStep, eta: float, updates: str
) -> float:
    """Return a bound on ‖E‖ after the next step, from the largest curvatures of the two blocks.

    A half step of U turns E into E (I − ηVVᵀ), so it multiplies ‖E‖ by max(1, ηλ_max(VᵀV) − 1) at
    most, and that of V likewise. Both halves at once turn E into E − η(E VVᵀ + UUᵀ E) + η² E VUᵀ E.
    (The largest curvature is the 2-norm of a block's Hessian VᵀV or UᵀU.)
    """
    error = np.sqrt(2 * step.loss)
    curvature_U = norm(problem.block_hessian(step.factors, 0), 2)
    if updates == SIMULTANEOUS:
        curvature_V = norm(problem.block_hessian(step.factors, 1), 2)
        linear = max(1, eta * (curvature_U + curvature_V) - 1)
        return error * (linear + eta**2 * np.sqrt(curvature_U * curvature_V) * error)
    half = step.factors._replace(U=step.U - eta * problem.gradient(step.factors).U)
    curvature_V = norm(problem.block_hessian(half, 1), 2)
    return error * max(1, eta * curvature_U - 1) * max(1, eta * curvature_V - 1)


def _describe(result, ratio, eta, updates, errors):
    """Tell what happened, and why."""
    problem, _, least = traffic_data()
    if result.message.startswith("diverged"):
        return f"Diverged at step {errors.size - 1}", result.message.partition(": ")[2]
    where = f"η = {eta:.3g} is {ratio:.3g}/σ₁. After {STEPS} steps the error is {errors[-1]:.4g}"
    large = max(result.objectives[0], norm(problem.X) ** 2 / 2)  # the loss of zero factors
    if classify_losses(result.objectives, reference=large) != "converging":
        tail = errors[-STEPS // 4 :]
        return "Oscillating", (
            f"{where}; it goes up and down between {tail.min():.4g} and {tail.max():.4g}, so far"
        )
    if updates == SIMULTANEOUS and ratio > 1:
        return "Not settling", f"{where} and still falls, but above 1/σ₁ no global minimum holds it"
    share = f"{errors[-1] / least:.3g} times the least possible at rank {RANK}, {least:.4g}"
    slow = errors[-1] > 1.1 * least
    return "Converging slowly" if slow else "Converging", f"{where}, {share}"


class TrafficExplorer(Explorer):
    """Find a learning rate for traffic speeds, from far too small to too large (lesson 4)."""

    controls = {
        "ratio": Slider("η in units of 1/σ₁", RATIOS, 1000.0),
        "updates": Choice("Updates", (ALTERNATING, SIMULTANEOUS), ALTERNATING),
        "scale": Slider("Start from U(0, …)", log(0.01, 10), 1.0),
    }
    size = (10.6, 3.8)
    alt = (
        "Left: error of the first steps, measured and predicted from two largest curvatures. "
        "Right: error over the whole run, with the least error that the rank allows."
    )
    grid = {"ratio": RATIOS[::4], "updates": (ALTERNATING, SIMULTANEOUS), "scale": (0.1, 1.0, 10.0)}
    compute = staticmethod(traffic_run)

    def draw(self, fig):
        """Make the two error curves."""
        least = traffic_data().least
        left, right = fig.subplots(1, 2)
        moving = {"animated": True}
        left.set(title="Error ‖UVᵀ − X‖, first steps", xlabel="step", yscale="log")
        left.set(xlim=(-0.3, FIRST + 0.3), xticks=range(FIRST + 1))
        bound = {"ms": 11, "mfc": "none", "label": "predicted, at most"}
        (self._predicted,) = left.plot([], [], "D", color=PREDICTION, **bound, **moving)
        (self._first,) = left.plot([], [], "o-", color=ERROR, lw=1, label="measured", **moving)
        right.set(title="The whole run", xlabel="step", yscale="log", xlim=(-2, STEPS + 2))
        right.axhline(least, color=QUIET, ls="--", **moving)
        text = {"color": QUIET, "ha": "right", "va": "top", **moving}
        right.text(STEPS, 0.9 * least, f"least at rank {RANK}", **text)
        (self._errors,) = right.plot([], [], ".-", color=ERROR, lw=1, ms=4, **moving)
        for ax in (left, right):
            ax.yaxis.set_animated(True)
            follow(ax.yaxis, 1e-9, 1e9)  # leaves room for its widest labels
        fig.legend(loc="outside lower center", ncols=2)

    def update(self, result):
        """Move the curves, and the axes with them."""
        self._first.set_data(np.arange(result.first.size), result.first)
        self._predicted.set_data(1 + np.arange(result.predicted.size), result.predicted)
        highest = min(max(result.first.max(), result.predicted.max(initial=0)), HIGHEST)
        follow(self._first.axes.yaxis, result.first.min(), highest)
        errors = np.minimum(result.errors, 1e12)  # far above the picture
        self._errors.set_data(np.arange(errors.size), errors)
        follow(self._errors.axes.yaxis, traffic_data().least / 1.3, min(errors.max(), 1e6))
