"""Which singular values are signal, and which are noise? (lesson 2)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mflib.explore.base import Choice, Explorer, Slider, even, follow, log
from mflib.plotting import DATA, ERROR, MODEL, OTHER, PREDICTION, QUIET
from mflib.svd import optimal_hard_threshold, truncated_svd

ROWS, COLUMNS = 80, 100
MOST = 20  # largest true rank
KNOWN, UNKNOWN = "known", "estimated by median"


@dataclass(frozen=True)
class NoisyMatrix:
    """A low-rank matrix in noise: its singular values, the threshold, and the errors.

    `errors[k]` is ‖X_k − S‖ for the signal S and the best rank-k approximation X_k of the noisy X.
    """

    true_values: np.ndarray
    noisy_values: np.ndarray
    threshold: float
    noise_edge: float
    errors: np.ndarray
    kept: int
    guess: int
    best: int
    state: str
    message: str


@lru_cache
def signal_and_noise() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return left and right directions of a signal, and noise of standard deviation 1."""
    rng = np.random.default_rng(0)
    U, _ = np.linalg.qr(rng.standard_normal((ROWS, MOST)))
    V, _ = np.linalg.qr(rng.standard_normal((COLUMNS, MOST)))
    return U, V, rng.standard_normal((ROWS, COLUMNS))


def add_noise(rank: int, noise: float, guess: int, knowledge: str = KNOWN) -> NoisyMatrix:
    """Hide a signal of known rank in noise, and count the singular values above the threshold.

    Parameters
    ----------
    rank : int
        True rank, 0 to 20. The signal's singular values fall evenly from 20 to 5.
    noise : float
        Standard deviation of the noise in each entry.
    guess : int
        A rank chosen by eye.
    knowledge : {KNOWN, UNKNOWN}
        Whether the threshold may use the true noise level.
    """
    U, V, unit_noise = signal_and_noise()
    true_values = np.linspace(20, 5, max(rank, 2))[:rank]
    signal = (U[:, :rank] * true_values) @ V[:, :rank].T
    svd = truncated_svd(signal + noise * unit_noise, ROWS, method="full")
    if knowledge == KNOWN:
        threshold = optimal_hard_threshold((ROWS, COLUMNS), noise=noise)
    else:
        threshold = optimal_hard_threshold((ROWS, COLUMNS), singular_values=svd.singular_values)
    kept = int(np.sum(svd.singular_values > threshold))
    errors = _errors(svd, signal)
    best = int(np.argmin(errors))
    if kept == rank:
        state, found = "Rank found", f"{kept}, the true rank"
    elif kept < rank:
        state, found = "Components dropped", f"{kept} of the true rank {rank}"
    else:
        state, found = "Noise kept", f"{kept}, more than the true rank {rank}"
    message = (
        f"The threshold {threshold:.2g} keeps {found}: {errors[kept]:.3g} from the signal. Your "
        f"rank {guess} is {errors[guess]:.3g} from it; the nearest is rank {best}, "
        f"{errors[best]:.3g}"
    )
    edge = noise * (np.sqrt(ROWS) + np.sqrt(COLUMNS))
    return NoisyMatrix(
        true_values=true_values,
        noisy_values=svd.singular_values,
        threshold=threshold,
        noise_edge=float(edge),
        errors=errors,
        kept=kept,
        guess=guess,
        best=best,
        state=state,
        message=message,
    )


def _errors(svd, signal):
    """Return ‖X_k − S‖_F for every k, adding one singular triple at a time.

    ‖X_k − S‖² = ‖S‖² + Σ_{i≤k} (σᵢ² − 2 σᵢ uᵢᵀSvᵢ), because the triples of X are orthonormal.
    """
    overlap = np.sum(svd.U * (signal @ svd.Vt.T), axis=0)
    change = svd.singular_values**2 - 2 * svd.singular_values * overlap
    squares = np.sum(signal**2) + np.concatenate([[0], np.cumsum(change)])
    return np.sqrt(np.maximum(squares, 0))


class NoiseExplorer(Explorer):
    """Find the rank of a matrix in noise, by eye and by the optimal threshold (lesson 2)."""

    controls = {
        "rank": Slider("True rank", even(0, MOST, 1), 8),
        "noise": Slider("Noise level", log(0.01, 5), 0.2),
        "guess": Slider("Your rank", even(0, ROWS, 1), 12),
        "knowledge": Choice("Noise is", (KNOWN, UNKNOWN), KNOWN),
    }
    size = (10.6, 3.7)
    alt = (
        "Left: singular values of the noisy matrix and of the signal, with the optimal hard "
        "threshold and the edge of the noise. Right: distance from the signal at each rank."
    )
    grid = {
        "rank": (2, 8, 14, MOST),
        "noise": (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0),
        "guess": (8, 12, 24),
        "knowledge": (KNOWN, UNKNOWN),
    }
    compute = staticmethod(add_noise)

    def draw(self, fig):
        """Make the two spectra with their lines, and the error curve with its marks."""
        left, right = fig.subplots(1, 2)
        left.set(xlabel="number", title="Singular values", yscale="log", ylim=(0.05, 200))
        right.set(xlabel="rank kept", title="Distance from the signal", yscale="log")
        right.yaxis.set_animated(True)
        follow(right.yaxis, 10, 50)
        for ax in (left, right):
            ax.set_xlim(-1, ROWS + 1)
        moving = {"animated": True}
        (self._noisy,) = left.plot([], [], ".", color=DATA, label="of X, noisy", **moving)
        (self._true,) = left.plot(
            [], [], "o", mfc="none", ms=9, color=MODEL, label="of the signal", **moving
        )
        self._threshold = left.axhline(
            1, color=PREDICTION, ls="--", label="optimal threshold", **moving
        )
        self._edge = left.axhline(1, color=QUIET, ls=":", label="edge of the noise", **moving)
        (self._errors,) = right.plot([], [], color=ERROR, **moving)
        marks = (("kept", PREDICTION, "D", "threshold"), ("guess", OTHER, "s", "your rank"))
        self._marks = {
            name: right.plot([], [], marker, color=color, ms=9, label=label, **moving)[0]
            for name, color, marker, label in marks
        }
        fig.legend(loc="outside lower center", ncols=6, fontsize=11, columnspacing=1.2)

    def update(self, result):
        """Move the spectra, the lines and the marks."""
        self._noisy.set_data(np.arange(1, ROWS + 1), result.noisy_values)
        self._true.set_data(np.arange(1, len(result.true_values) + 1), result.true_values)
        self._threshold.set_ydata([result.threshold] * 2)
        self._edge.set_ydata([result.noise_edge] * 2)
        errors = np.maximum(result.errors, 0.01)  # zero has no place on a logarithmic axis
        follow(self._errors.axes.yaxis, errors.min(), errors.max())
        self._errors.set_data(np.arange(ROWS + 1), errors)
        for name, mark in self._marks.items():
            rank = getattr(result, name)
            mark.set_data([rank], [errors[rank]])
