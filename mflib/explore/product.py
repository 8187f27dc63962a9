"""What does gradient descent do on x ≈ u·v, the smallest factorization of all? (lesson 4)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mflib.descent import classify_losses, gradient_descent
from mflib.explore.base import Explorer, LogSlider, Slider
from mflib.factorization import FactorizationProblem, joint_critical_learning_rate
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
    state: str
    message: str


def product_path(learning_rate: float, u: float, v: float) -> ProductPath:
    """Follow gradient descent on ½(uv − 5)², both numbers at once.

    Parameters
    ----------
    learning_rate : float
    u, v : float
        The start.
    """
    path = []
    result = gradient_descent(
        PROBLEM,
        ([[u]], [[v]]),
        learning_rate,
        updates="simultaneous",
        tol=0,
        max_iter=STEPS,
        watch=lambda step: path.append((step.U.item(), step.V.item())),
    )
    state, message = _describe(result, learning_rate, path)
    rates, products = bifurcation(u, v)
    return ProductPath(
        path=np.array(path),
        losses=result.objectives,
        learning_rate=learning_rate,
        rates=rates,
        products=products,
        state=state,
        message=message,
    )


def _describe(result, eta, path):
    """Tell what happens, and why."""
    if result.state == "diverged":
        return f"Diverged at step {len(path) - 1}", result.message.partition(": ")[2]
    ratio = f"η = {eta:.4g} is {eta / CRITICAL:.4g} × the critical 1/σ₁ = {CRITICAL:.3g}"
    (u, v), loss, losses = path[-1], result.loss, result.objectives
    if max(abs(u), abs(v)) < 1e-3:
        return "Stuck", (
            f"at the saddle u = v = 0 the gradient is zero, and the loss {loss:.3g}: from u = −v, "
            "and only from there, gradient descent never leaves the line to it"
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
    between = (
        f"in the last {tail.size} steps the loss was between {tail.min():.2g} and {tail.max():.3g}"
    )
    above = "no minimum holds it, but " if eta > CRITICAL * (1 + 1e-9) else ""
    large = max(losses[0], PROBLEM.loss_at_zero())
    if classify_losses(losses, reference=large) == "oscillating":
        return "Oscillating", f"{ratio}: {above}{between}"
    return ("Not settling" if above else "Converging"), f"{ratio}: {above}{between}"


@lru_cache(maxsize=64)
def bifurcation(u, v):
    """Return learning rates and the products on which runs from this start end."""
    eta = RATES.copy()
    u, v = np.full_like(eta, u), np.full_like(eta, v)
    products = []
    with np.errstate(over="ignore", invalid="ignore"):
        for n in range(600):  # the last 40 steps count
            e = u * v - X
            u, v = u - eta * e * v, v - eta * e * u
            if n >= 560:
                products.append(u * v)
    products = np.array(products)
    bounded = np.isfinite(products) & (np.abs(products) < 1e3)
    return np.broadcast_to(eta, products.shape)[bounded], products[bounded]


class ProductExplorer(Explorer):
    """Follow u and v, watch the loss, and see where every learning rate leads (lesson 4)."""

    controls = {
        "learning_rate": LogSlider("Learning rate η", LOWEST, HIGHEST, 0.252),
        "u": Slider("Start u", -4, 4, 0.1, 1.0),
        "v": Slider("Start v", -4, 4, 0.1, 0.5),
    }
    size = (10.6, 3.9)
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

        middle.set(title="Loss", xlabel="step", yscale="log", xlim=(-1, SHOWN + 1))
        middle.set(ylim=(1e-9, 1e9), yticks=[1e-8, 1e-4, 1, 1e4, 1e8])
        (self._losses,) = middle.plot([], [], ".-", color=ERROR, lw=1, ms=6, **moving)

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
        path = np.clip(result.path[: SHOWN + 1], -1e3, 1e3)
        self._path.set_data(*path.T)
        self._start.set_data(*path[:1].T)
        losses = np.clip(result.losses[: SHOWN + 1], 1e-12, 1e12)
        self._losses.set_data(np.arange(losses.size), losses)
        self._ends.set_data(result.rates, result.products)
        self._cursor.set_xdata([result.learning_rate] * 2)
