"""What does the wrong loss cost, and what does the scale of the data change? (lesson 3)."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np
from scipy import stats

from mflib.explore.base import Choice, Explorer, Slider, log
from mflib.iteration import nth
from mflib.losses import find_loss
from mflib.nmf import NMFProblem, nmf_steps
from mflib.plotting import DATA, ERROR, MODEL, PREDICTION

NOISES = {
    "Gaussian": "squared",
    "Laplace": "absolute",
    "Poisson": "kullback-leibler",
    "Gamma": "itakura-saito",
}
LOSSES = tuple(NOISES.values())
FLOOR = 1e-3  # stands for entries that the noise made negative or zero
EDGES = np.linspace(-4, 6, 41)
ROWS, COLUMNS, ITERATIONS = 40, 30, 150


@dataclass(frozen=True)
class LossFit:
    """A fit of noisy data, and how it compares with the truth and with the other losses.

    `histogram` holds the density of the standardised residuals between `EDGES`, `density` what the
    loss expects at `grid`; `parts` and `true_parts` the rows of H, scaled to sum 1; `value` the
    loss of the data and `scaled_value` that of γ times the data; `errors` the distance of each
    loss's fit from the noiseless matrix, relative.
    """

    histogram: np.ndarray
    grid: np.ndarray
    density: np.ndarray
    parts: np.ndarray
    true_parts: np.ndarray
    degree: int
    gamma: float
    value: float
    scaled_value: float
    errors: dict[str, float]
    state: str
    message: str


@lru_cache
def truth() -> tuple[np.ndarray, np.ndarray]:
    """Return W (40, 2) and H (2, 30), two overlapping bumps; the mean of W H is 1."""
    columns = np.arange(COLUMNS)
    H = np.exp(-(((columns - np.array([[9], [19]])) / 5) ** 2)) + 0.05
    W = np.random.default_rng(0).gamma(0.8, size=(ROWS, 2)) + 0.05
    return W / (W @ H).mean(), H


def draw(noise: str, strength: float) -> np.ndarray:
    """Draw data around the true W H, with a relative spread of `strength` at the mean level 1."""
    W, H = truth()
    Y = W @ H
    loss = find_loss(NOISES[noise])
    if noise == "Poisson":  # counts of mean Y/strength², brought back to the level of Y
        return strength**2 * loss.sample(Y / strength**2, random_state=0)
    return loss.sample(Y, strength / np.sqrt(2) if noise == "Laplace" else strength, 0)


@lru_cache(maxsize=64)
def _fit(noise: str, strength: float, loss: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit one draw with one loss; return W, H and the relative distance from the truth."""
    X = np.maximum(draw(noise, strength), FLOOR)
    rng = np.random.default_rng(1)
    start = rng.uniform(0.5, 1.5, (ROWS, 2)), rng.uniform(0.5, 1.5, (2, COLUMNS))
    step = nth(nmf_steps(NMFProblem(X, loss=loss), start, solver="mu"), ITERATIONS)
    true_W, true_H = truth()
    distance = np.linalg.norm(step.W @ step.H - true_W @ true_H)
    return step.W, step.H, float(distance / np.linalg.norm(true_W @ true_H))


def compare(noise: str, strength: float, loss: str, gamma: float) -> LossFit:
    """Fit noisy data with one loss and compare with the truth, the other losses and γ times all.

    Parameters
    ----------
    noise : {"Gaussian", "Laplace", "Poisson", "Gamma"}
    strength : float
        Relative spread of the data at their mean level.
    loss : str
        As in `mflib.losses.find_loss`.
    gamma : float
        Factor on data and reconstruction.
    """
    raw = draw(noise, strength)
    X = np.maximum(raw, FLOOR)
    W, H, _ = _fit(noise, strength, loss)
    errors = {name: _fit(noise, strength, name)[2] for name in LOSSES}
    model = find_loss(loss)
    value, scaled = model.value(X, W @ H), model.value(gamma * X, gamma * (W @ H))
    state, message = _describe(noise, loss, errors)
    power = ("γ⁰", "γ", "γ²")[model.degree]
    message += f". γ = {gamma:g} multiplies the loss by {scaled / value:.3g} = {power}"
    clipped = np.count_nonzero(raw < FLOOR)
    if clipped:
        message += f"; {clipped} of {X.size} entries were below {FLOOR} and set to it"
    histogram, grid, density = _standardised(X, W @ H, loss)
    true_parts = truth()[1] / truth()[1].sum(axis=1, keepdims=True)
    return LossFit(
        histogram,
        grid,
        density,
        _matched(H / H.sum(axis=1, keepdims=True), true_parts),
        true_parts,
        model.degree,
        gamma,
        value,
        scaled,
        errors,
        state,
        message,
    )


def _describe(noise, loss, errors):
    """Tell how far the fit is from the truth, and the fits by the other losses."""
    matching = NOISES[noise]
    others = ", ".join(f"{name} {errors[name]:.1%}" for name in LOSSES if name != loss)
    message = (
        f"{noise} noise, {loss} loss: {ITERATIONS} updates end {errors[loss]:.1%} from the truth"
    )
    message = f"{message} ({others})"
    if loss == matching:
        return "Matching loss", message
    ratio = errors[loss] / errors[matching]
    return f"{ratio:.2f} times the error of the matching loss", message


def _standardised(X, Y, loss):
    """Return the histogram of (x − y)/(s√V(y)) and the density that the loss expects of it."""
    z = (X - Y) / np.sqrt(find_loss(loss).variance(Y))
    spread = np.mean(np.abs(z)) * np.sqrt(2) if loss == "absolute" else np.sqrt(np.mean(z**2))
    histogram, _ = np.histogram(np.clip(z / spread, -3.99, 5.99), EDGES)
    grid = np.linspace(EDGES[0], EDGES[-1], 301)
    if loss == "absolute":
        density = stats.laplace(scale=1 / np.sqrt(2)).pdf(grid)
    elif loss == "itakura-saito":  # y·Gamma with mean 1 and standard deviation `spread`
        density = spread * stats.gamma(1 / spread**2, scale=spread**2).pdf(1 + spread * grid)
    else:
        density = stats.norm.pdf(grid)  # for Poisson: the limit of large counts
    return histogram / (X.size * np.diff(EDGES)), grid, np.minimum(density, 5)


def _matched(parts, true_parts):
    """Return the parts in the order that fits the true ones best."""
    orders = permutations(range(len(parts)))
    return min(
        (parts[list(order)] for order in orders), key=lambda p: np.sum((p - true_parts) ** 2)
    )


class LossExplorer(Explorer):
    """Choose noise and loss; see residuals, parts, and what a change of unit does (lesson 3)."""

    controls = {
        "noise": Choice("Noise", tuple(NOISES), "Gamma"),
        "strength": Slider("Strength", log(0.01, 2), 0.3),
        "loss": Choice("Loss", LOSSES, "squared"),
        "gamma": Slider("Scale γ", log(0.01, 100), 3.0),
    }
    size = (10.6, 3.7)
    alt = (
        "Left: histogram of the standardised residuals and the density that the loss expects. "
        "Middle: the two parts, true and recovered. Right: the loss against the scale γ."
    )
    grid = {
        "noise": tuple(NOISES),
        "loss": LOSSES,
        "strength": (0.05, 0.1, 0.3, 1.0),
        "gamma": (0.1, 1.0, 3.0, 100.0),
    }
    compute = staticmethod(compare)

    def draw(self, fig):
        """Make the histogram, the parts and the line of the loss."""
        left, middle, right = fig.subplots(1, 3)
        left.set(title="Residuals, standardised", xlim=(-4, 6), ylim=(0, 1.1), yticks=[])
        middle.set(title="The two parts", xlim=(0, COLUMNS - 1), ylim=(0, 0.16), yticks=[])
        middle.set_xlabel("column")
        right.set(title="Loss and scale", xlabel="γ", xscale="log", yscale="log")
        right.set(xlim=(0.008, 125), ylim=(1e-5, 1e5), ylabel="loss / loss at γ = 1")
        moving = {"animated": True}
        self._histogram = left.stairs(
            np.zeros(EDGES.size - 1), EDGES, fill=True, color=ERROR, alpha=0.6, **moving
        )
        label = "density expected by the loss"
        (self._density,) = left.plot([], [], color=PREDICTION, label=label, **moving)
        self._true = [
            middle.plot([], [], color=DATA, lw=1.5, label=label, **moving)[0]
            for label in ("true parts", None)
        ]
        self._parts = [
            middle.plot([], [], "--", color=MODEL, label=label, **moving)[0]
            for label in ("found parts", None)
        ]
        fig.legend(loc="outside lower center", ncols=3)
        (self._line,) = right.plot([], [], "--", color=PREDICTION, **moving)
        (self._point,) = right.plot([], [], "o", color=ERROR, ms=10, **moving)

    def update(self, result):
        """Set the histogram, the parts, the line and its point."""
        self._histogram.set_data(result.histogram, EDGES)
        self._density.set_data(result.grid, result.density)
        columns = np.arange(COLUMNS)
        for lines, parts in ((self._true, result.true_parts), (self._parts, result.parts)):
            for line, part in zip(lines, parts, strict=True):
                line.set_data(columns, part)
        ends = np.array([0.008, 125])
        self._line.set_data(ends, ends**result.degree)
        self._point.set_data([result.gamma], [result.scaled_value / result.value])
