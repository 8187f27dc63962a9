"""How much of a photograph survives in a few singular triples? (lesson 2)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mflib.datasets import load_photograph
from mflib.explore.base import Choice, Explorer, Slider
from mflib.plotting import DATA, ERROR, MODEL, PREDICTION
from mflib.svd import SVDResult, break_even_rank, eckart_young_error, storage, truncated_svd

ROWS, COLUMNS = 213, 320
BREAK_EVEN = break_even_rank(ROWS, COLUMNS)


@dataclass(frozen=True)
class RankChoice:
    """A picture, its best approximation of rank k, and what that costs.

    `errors[k]` is the relative Frobenius error of rank k by the theorem of Eckart and Young,
    `error` the one measured from the pixels.
    """

    picture: np.ndarray
    approximation: np.ndarray
    singular_values: np.ndarray
    errors: np.ndarray
    k: int
    error: float
    state: str
    message: str


@lru_cache
def decompose(name: str) -> tuple[np.ndarray, SVDResult, np.ndarray]:
    """Return a picture, its whole SVD and its error at every rank; once per picture."""
    if name == "random noise":
        picture = np.random.default_rng(0).uniform(size=(ROWS, COLUMNS))
    else:
        picture = load_photograph(name)
    svd = truncated_svd(picture, ROWS, method="full")
    errors = [eckart_young_error(svd.singular_values, k) for k in range(ROWS + 1)]
    return picture, svd, np.array(errors) / np.linalg.norm(picture)


def approximate(name: str, k: int) -> RankChoice:
    """Approximate a picture with rank k.

    Parameters
    ----------
    name : {"temple", "flower", "random noise"}
    k : int
        Rank, 0 to 213.
    """
    picture, svd, errors = decompose(name)
    approximation = svd.approximation(k)
    error = np.linalg.norm(picture - approximation) / np.linalg.norm(picture)
    stored = storage(ROWS, COLUMNS, k)
    share = f"{stored:,} of {picture.size:,} numbers ({stored / picture.size:.0%})"
    if k == 0:
        state, end = "Nothing kept", "the approximation is zero"
    elif k == ROWS:
        state, end = "Exact", "every singular value is kept, and more numbers than the pixels"
    elif k >= BREAK_EVEN:
        state, end = "No saving", f"from rank {BREAK_EVEN} on the factors hold more than the pixels"
    else:
        state, end = "Compressed", f"the next singular value is {svd.singular_values[k]:.3g}"
    return RankChoice(
        picture=picture,
        approximation=approximation,
        singular_values=svd.singular_values,
        errors=errors,
        k=k,
        error=float(error),
        state=state,
        message=f"Rank {k}: error {error:.2%} (theory {errors[k]:.2%}), stored {share}; {end}",
    )


class RankExplorer(Explorer):
    """Cut the singular values of a picture, see what is left and what is lost (lesson 2)."""

    controls = {
        "k": Slider("Rank k", 0, ROWS, 1, 10),
        "name": Choice("Picture", ("temple", "flower", "random noise"), "temple"),
    }
    size = (9.4, 5.4)
    sharpness = 1.0  # photographs make large files
    alt = (
        "Above: the picture at rank k, and what is missing from it. Below: the singular values "
        "with the cut, and the relative error at each rank, by theory and measured."
    )

    @staticmethod
    def compute(k, name):
        """Approximate the chosen picture."""
        return approximate(name, k)

    def draw(self, fig):
        """Make two images and two curves."""
        (picture, residual), (spectrum, error) = fig.subplots(2, 2, height_ratios=[1.25, 1])
        blank = np.zeros((ROWS, COLUMNS))
        self._picture = picture.imshow(blank, "gray", vmin=0, vmax=1, animated=True)
        self._residual = residual.imshow(blank, "PuOr", vmin=-0.4, vmax=0.4, animated=True)
        fig.colorbar(self._residual, ax=residual, label="brightness lost")
        for ax, title in ((picture, "Rank-k approximation"), (residual, "What it misses")):
            ax.set(title=title, xticks=[], yticks=[])
            ax.grid(False)
        spectrum.set(xlabel="number", ylabel="singular value", yscale="log", ylim=(0.1, 300))
        error.set(xlabel="rank", ylabel="relative error", ylim=(-0.02, 1.02))
        for ax in (spectrum, error):
            ax.set_xlim(-3, ROWS + 3)
        (self._kept,) = spectrum.plot([], [], color=MODEL, lw=4, label="kept", animated=True)
        (self._cut,) = spectrum.plot([], [], color=DATA, lw=1.2, label="cut", animated=True)
        spectrum.legend(loc="upper right", ncols=2)
        label = "theory: √(σ²ₖ₊₁ + …) / ‖X‖"
        (self._theory,) = error.plot([], [], "--", color=PREDICTION, label=label, animated=True)
        (self._error,) = error.plot([], [], "o", color=ERROR, label="measured", animated=True)
        error.legend(loc="upper right")

    def update(self, result):
        """Show the approximation, the residual and the cut."""
        self._picture.set_data(result.approximation)
        self._residual.set_data(result.picture - result.approximation)
        numbers = np.arange(1, ROWS + 1)
        self._kept.set_data(numbers[: result.k], result.singular_values[: result.k])
        self._cut.set_data(numbers[result.k :], result.singular_values[result.k :])
        self._theory.set_data(np.arange(ROWS + 1), result.errors)
        self._error.set_data([result.k], [result.error])
