"""What does gradient descent do on x ≈ u·v, the smallest factorization of all? (lesson 4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np

from mflib.descent import classify_losses, gradient_descent
from mflib.explore.base import Explorer, Slider, even, follow, log
from mflib.factorization import FactorizationProblem, joint_critical_learning_rate
from mflib.iteration import has_exploded
from mflib.plotting import DATA, ERROR, MODEL, PREDICTION, QUIET, plane

X = 5.0
LOWEST, HIGHEST = 0.02, 1.0  # learning rates
STEPS = 400
SHOWN = 60  # steps drawn as a path and as losses
LIMIT = 4.0  # of u and v in the picture
# Of the bifurcation diagram, closer together where it is rich.
RATES = np.concatenate([np.geomspace(LOWEST, 0.19, 60), np.geomspace(0.19, 0.41, 340)])

PROBLEM = FactorizationProblem([[X]])
CRITICAL = joint_critical_learning_rate([[X]], random_state=0)


@dataclass(frozen=True)
class ProductPath:
    """Gradient descent on ½(uv − 5)²: the iterates, their losses, and where each η leads.

    `path` (steps, 2) holds u and v, `losses` (steps,) ends where it exploded. `rates` and
    `products` (same length) are the points of the bifurcation diagram: for each learning rate the
    last products u·v of a long run.
    """

    path: np.ndarray
    losses: np.ndarray
    learning_rate: float
    rates: np.ndarray
    products: np.ndarray
    step: int
    state: str
    message: str


def product_path(learning_rate: float, u: float, v: float, step: int) -> ProductPath:
    """Follow gradient descent on ½(uv − 5)², both numbers at once.

    Parameters
    ----------
    learning_rate : float
    u, v : float
        The start.
    step : int
        The iterate to mark, 0 to `SHOWN`.
    """
    path = np.array(list(islice(descend(u, v, learning_rate), STEPS + 1)))
    with np.errstate(over="ignore", invalid="ignore"):
        losses = (path[:, 0] * path[:, 1] - X) ** 2 / 2
    reference = max(losses[0], X**2 / 2)
    exploded = [n for n, loss in enumerate(losses) if has_exploded(loss, reference)]
    if exploded:
        path, losses = path[: exploded[0] + 1], losses[: exploded[0] + 1]
        state, message = _diagnose(learning_rate, u, v)
    else:
        state, message = _describe(path, losses, reference, learning_rate)
    rates, products = bifurcation(u, v)
    return ProductPath(
        path=path,
        losses=losses,
        learning_rate=learning_rate,
        rates=rates,
        products=products,
        step=min(step, len(path) - 1),
        state=state,
        message=message,
    )


def descend(u: Any, v: Any, eta: Any) -> Iterator[tuple[Any, Any]]:
    """Yield u and v, for one or for many η at once: `descent_steps`, only faster."""
    with np.errstate(over="ignore", invalid="ignore"):
        while True:
            yield u, v
            e = u * v - X
            u, v = u - eta * e * v, v - eta * e * u


def _diagnose(eta, u, v):
    """Tell where it diverged, and which limit η broke."""
    start = ([[u]], [[v]])
    result = gradient_descent(PROBLEM, start, eta, updates="simultaneous", tol=0, max_iter=STEPS)
    return f"Diverged at step {result.objectives.size - 1}", result.message.partition(": ")[2]


def _describe(path, losses, reference, eta):
    """Tell what happens to a run that stays bounded, and why."""
    ratio = f"η = {eta:.4g} is {eta / CRITICAL:.4g} × the critical 1/σ₁ = {CRITICAL:.3g}"
    (u, v), loss = path[-1], losses[-1]
    on_the_line = np.flatnonzero(path[:, 0] == -path[:, 1])
    if on_the_line.size:
        n = on_the_line[0]
        return "Stuck", (
            f"{f'step {n}' if n else 'the start'} is on the line u = −v to the saddle u = v = 0; "
            f"exactly on it, gradient descent never leaves, and the loss ends at {loss:.3g}"
        )
    if loss < 1e-12:
        curvature = u**2 + v**2
        holds = "which holds it:" if curvature < 2 / eta else "which does not hold it:"
        relation = "below" if curvature < 2 / eta else "not below"
        return "Converged", (
            f"{ratio}; at the minimum u = {u:.3g}, v = {v:.3g}, {holds} its curvature u² + v² = "
            f"{curvature:.3g} is {relation} 2/η = {2 / eta:.3g}"
        )
    tail = losses[-STEPS // 4 :]
    between = f"in the last {tail.size} of {STEPS} steps the loss was between {tail.min():.2g} and "
    above = "no minimum holds it, but " if eta > CRITICAL * (1 + 1e-9) else ""
    message = f"{ratio}: {above}{between}{tail.max():.3g}"
    if classify_losses(losses, reference=reference) == "oscillating":
        return "Oscillating", message
    if abs(eta / CRITICAL - 1) < 1e-9:
        return "On the border", message  # it converges, but ever more slowly
    return ("Not settling" if above else "Converging"), message


@lru_cache(maxsize=64)
def bifurcation(u, v):
    """Return learning rates and the products, to hundredths, on which runs from here end."""
    eta = RATES
    run = descend(np.full_like(eta, u), np.full_like(eta, v), eta)
    products = np.array([u * v for u, v in islice(run, 561, 601)])
    bounded = np.where(np.abs(products) < 1e3, products, np.nan)
    products = np.sort(bounded.round(2), axis=0)  # of equal ones the eye sees one: a pixel is 0.04
    seen = np.isfinite(products) & (np.diff(products, axis=0, prepend=np.nan) != 0)
    return np.broadcast_to(eta, products.shape)[seen], products[seen]


class ProductExplorer(Explorer):
    """Follow u and v, watch the loss, and see where every learning rate leads (lesson 4)."""

    controls = {
        "learning_rate": Slider("Learning rate η", log(LOWEST, HIGHEST), 0.25),
        "u": Slider("Start u", even(-4.0, 4.0, 0.1), 1.0),
        "v": Slider("Start v", even(-4.0, 4.0, 0.1), 0.5),
        "step": Slider("Step", even(0, SHOWN, 1), SHOWN),
    }
    play = "step"
    grid = {
        "learning_rate": (0.1, 0.16, 0.25, 0.3, 0.35, 0.45),
        "u": (1.0, 2.9, 3.5, 4.0),
        "v": (-4.0, 0.5, 1.4, 1.7),
        "step": (1, 10, SHOWN),
    }
    size = (10.6, 3.7)
    alt = (
        "Left: path of (u, v) with the curve uv = 5 of all minima. Middle: loss per step. Right: "
        "the products on which long runs end, for every learning rate, with a line at the chosen "
        "one."
    )
    compute = staticmethod(product_path)

    def draw(self, fig):
        """Make the plane with the minima, the loss curve and the bifurcation diagram."""
        left, middle, right = fig.subplots(1, 3, width_ratios=[1, 0.8, 1.2])
        plane(left, LIMIT + 0.2)
        left.set(title="Path; minima uv = 5", xlabel="u", ylabel="v")
        side = np.linspace(X / (LIMIT + 1), LIMIT + 1, 100)
        for sign in (1, -1):
            left.plot(sign * side, sign * X / side, color=DATA, lw=1.5)
        moving = {"animated": True}
        (self._path,) = left.plot([], [], ".-", color=MODEL, lw=0.9, ms=5, **moving)
        (self._start,) = left.plot([], [], "o", color=MODEL, ms=10, mfc="none", mew=2, **moving)

        middle.set(title="Loss", xlabel="step", yscale="log", xlim=(-2, SHOWN + 3))
        middle.yaxis.set_animated(True)
        follow(middle.yaxis, 1e-9, 1e9)  # leaves room for its widest labels
        (self._losses,) = middle.plot([], [], ".-", color=ERROR, lw=1, ms=6, **moving)
        (self._now,) = middle.plot([], [], "o", color=ERROR, ms=11, mfc="none", mew=2, **moving)

        right.set(title="Where long runs end: uv", xlabel="learning rate η", xscale="log")
        right.set(xlim=(LOWEST, HIGHEST), ylim=(-1, 11), yticks=[0, 5, 10])
        ticks = [0.02, 0.05, 0.1, 0.2, 0.4, 1]
        right.set_xticks(ticks, map(str, ticks))
        right.minorticks_off()
        right.axvline(CRITICAL, color=PREDICTION, ls="--")
        right.text(0.19, -0.4, "1/σ₁", color=PREDICTION, ha="right")
        (self._ends,) = right.plot([], [], "o", ms=1.2, mew=0, color=MODEL, **moving)
        self._cursor = right.axvline(1, color=QUIET, lw=1.5, **moving)

    def update(self, result):
        """Move the path, the losses, the diagram and its cursor."""
        path = np.clip(result.path[: result.step + 1], -1e3, 1e3)
        self._path.set_data(*path.T)
        self._start.set_data(*path[:1].T)
        losses = np.clip(result.losses[: SHOWN + 1], 1e-9, 1e9)
        follow(self._losses.axes.yaxis, losses.min(), losses.max())
        self._losses.set_data(np.arange(result.step + 1), losses[: result.step + 1])
        self._now.set_data([result.step], [losses[result.step]])
        self._ends.set_data(result.rates, result.products)
        self._cursor.set_xdata([result.learning_rate] * 2)
