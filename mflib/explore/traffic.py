"""Which learning rate would have worked on the traffic speeds? (lesson 4)."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import numpy as np

from mflib.datasets import make_traffic
from mflib.descent import (
    DescentStep,
    FactorizationLoss,
    classify_losses,
    descent_steps,
    gradient_descent,
    joint_critical_learning_rate,
    largest_curvature,
)
from mflib.explore.base import Choice, Explorer, LogSlider
from mflib.plotting import ERROR, PREDICTION, QUIET

SENSORS, DAYS, INTERVAL = 40, 7, 30
RANK = 6
STEPS = 150
FIRST = 4  # steps that are predicted
ALTERNATING, SIMULTANEOUS = "alternating", "simultaneous"
HIGHEST = 1e100  # error, in the picture


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


@lru_cache(maxsize=1)
def _problem():
    """Return the loss, its critical learning rate and the least error."""
    X = make_traffic(SENSORS, DAYS, INTERVAL, random_state=0).speeds
    least = np.sqrt(np.sum(np.linalg.svd(X, compute_uv=False)[RANK:] ** 2))
    return FactorizationLoss(X), joint_critical_learning_rate(X, random_state=0), float(least)


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
    loss, critical, least = _problem()
    rng = np.random.default_rng(1)
    start = [scale * rng.random((side, RANK)) for side in loss.X.shape]
    eta = ratio * critical
    result = gradient_descent(loss, *start, eta, updates=updates, tol=0, max_iter=STEPS)
    first = list(islice(descent_steps(loss, *start, eta, updates=updates), FIRST + 1))
    first = [s for s in first if s.loss < HIGHEST**2 / 2]  # those within the picture
    predicted = np.array([error_bound(loss, s, eta, updates) for s in first[:-1]])
    errors = np.sqrt(2 * result.losses)
    state, message = _describe(loss, result, ratio, eta, updates, errors, least)
    return TrafficRun(
        np.sqrt([2 * s.loss for s in first]), predicted, errors, least, state, message
    )


def error_bound(loss: FactorizationLoss, step: DescentStep, eta: float, updates: str) -> float:
    """Return a bound on ‖E‖ after the next step, from the largest curvatures of the two blocks.

    A half step of U turns E into E (I − ηVVᵀ), so it multiplies ‖E‖ by max(1, ηλ_max(VᵀV) − 1) at
    most, and that of V likewise. Both halves at once turn E into E − η(E VVᵀ + UUᵀ E) + η² E VUᵀ E.
    """
    error = np.sqrt(2 * step.loss)
    curvature_U = largest_curvature(loss.block_hessian(step.V), random_state=0)
    if updates == SIMULTANEOUS:
        curvature_V = largest_curvature(loss.T.block_hessian(step.U), random_state=0)
        linear = max(1, eta * (curvature_U + curvature_V) - 1)
        return error * (linear + eta**2 * np.sqrt(curvature_U * curvature_V) * error)
    U = step.U - eta * loss.gradients(step.U, step.V)[0]
    curvature_V = largest_curvature(loss.T.block_hessian(U), random_state=0)
    return error * max(1, eta * curvature_U - 1) * max(1, eta * curvature_V - 1)


def _describe(loss, result, ratio, eta, updates, errors, least):
    """Tell what happened, and why."""
    if result.state == "diverged":
        return f"Diverged at step {result.n_iter}", result.message.partition(": ")[2]
    where = f"η = {eta:.3g} is {ratio:.3g}/σ₁. After {STEPS} steps the error is {errors[-1]:.4g}"
    if (
        classify_losses(result.losses, reference=max(result.losses[0], loss.at_zero))
        != "converging"
    ):
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
    """Find a learning rate for traffic speeds, from far too small to far too large."""

    controls = {
        "ratio": LogSlider("η in units of 1/σ₁", 0.01, 10_000, 1000.0),
        "updates": Choice("Updates", (ALTERNATING, SIMULTANEOUS), ALTERNATING),
        "scale": LogSlider("Start from U(0, …)", 0.01, 10, 1.0),
    }
    size = (9.4, 4.0)
    alt = (
        "Left: error of the first steps, measured and predicted from two largest curvatures. "
        "Right: error over the whole run, with the least error that the rank allows."
    )
    compute = staticmethod(traffic_run)

    def draw(self, fig):
        """Make the two error curves."""
        *_, least = _problem()
        left, right = fig.subplots(1, 2)
        moving = {"animated": True}
        left.set(title="First steps", xlabel="step", ylabel="error ‖UVᵀ − X‖", yscale="log")
        left.set(
            xlim=(-0.3, FIRST + 0.3), ylim=(1e1, HIGHEST), yticks=10.0 ** np.arange(5, 100, 15)
        )
        (self._predicted,) = left.plot([], [], "D", color=PREDICTION, ms=11, mfc="none", **moving)
        (self._first,) = left.plot([], [], "o-", color=ERROR, lw=1, **moving)
        right.set(title="The whole run", xlabel="step", yscale="log")
        right.set(xlim=(-2, STEPS + 2), ylim=(200, 1e6))
        right.axhline(least, color=QUIET, ls="--")
        right.text(STEPS, 0.93 * least, f"least at rank {RANK}", color=QUIET, ha="right", va="top")
        (self._errors,) = right.plot([], [], ".-", color=ERROR, lw=1, ms=4, **moving)
        left.plot([], [], "D", color=PREDICTION, ms=11, mfc="none", label="predicted, at most")
        left.plot([], [], "o-", color=ERROR, lw=1, label="measured")
        fig.legend(loc="outside lower center", ncols=2)

    def update(self, result):
        """Move the curves."""
        self._first.set_data(np.arange(result.first.size), result.first)
        self._predicted.set_data(1 + np.arange(result.predicted.size), result.predicted)
        errors = np.minimum(result.errors, 1e12)  # far above the picture
        self._errors.set_data(np.arange(errors.size), errors)
