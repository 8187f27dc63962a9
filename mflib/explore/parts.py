"""At which rank does NMF find the parts of a set of pictures? (lesson 3).

The swimmers are 256 pictures: four limbs, each in one of four positions, so sixteen parts. As the
four positions of each limb add up to the same in every picture, three of these are not needed for
the rank: it is 13, and from there on the SVD is exact. With W, H ≥ 0 it takes all sixteen.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mflib.datasets import make_swimmer
from mflib.explore.base import Choice, Explorer, Slider, coloured, even
from mflib.nmf import NMF
from mflib.plotting import ERROR, MODEL, PREDICTION
from mflib.svd import SVDResult, truncated_svd

HIGHEST_RANK = 20
COLUMNS = 7  # of small pictures
SIZE = 32  # pixels of a side
LIMB = 0.99  # a part that has this cosine with a limb is one
SWIMMER = 120  # the picture that is rebuilt
NMF_PARTS, SVD_PARTS = "W, H ≥ 0 (NMF)", "any sign (SVD)"


@dataclass(frozen=True)
class Parts:
    """A factorization of the swimmers at one rank, and what it found.

    `parts` (k, 1024) are the rows of H, scaled to a largest entry of 1 in size, `limbs` (k,) tells
    which of them are single limbs, `rebuilt` (1024,) is one picture as a sum of them, `error` is
    ‖X − WH‖/‖X‖, and `least` the least of any matrix of rank k.
    """

    parts: np.ndarray
    limbs: np.ndarray
    rebuilt: np.ndarray
    error: float
    k: int
    state: str
    message: str


@lru_cache(maxsize=1)
def swimmers() -> tuple[np.ndarray, np.ndarray, SVDResult, np.ndarray]:
    """Return the pictures (256, 1024), their parts (16, 1024), and their SVD with its errors."""
    data = make_swimmer(torso=False)
    svd = truncated_svd(data.images, HIGHEST_RANK, method="full")
    squares = np.append(0, np.cumsum(svd.singular_values**2))
    least = np.sqrt(np.maximum(1 - squares / np.sum(data.images**2), 0))
    return data.images, data.parts, svd, least.round(7)  # zero from 13 on, but for rounding


@lru_cache(maxsize=2 * HIGHEST_RANK)
def factor(k: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Return W (256, k) and H (k, 1024)."""
    X, _, svd, _ = swimmers()
    if method == SVD_PARTS:
        return svd.U[:, :k] * svd.singular_values[:k], svd.Vt[:k]
    used = X.any(axis=0)  # where no picture has a limb, no part has
    model = NMF(k, init="random", random_state=0, max_iter=1000, tol=1e-5)
    W, H = model.fit_transform(X[:, used]), np.zeros((k, X.shape[1]))
    H[:, used] = model.components_
    return W, H


def find_parts(k: int, method: str) -> Parts:
    """Factor the swimmers, and count the limbs among the parts.

    Parameters
    ----------
    k : int
        Rank, 1 to 20.
    method : {NMF_PARTS, SVD_PARTS}
    """
    X, true, _, least = swimmers()
    W, H = factor(k, method)
    size = np.abs(H).max(axis=1, keepdims=True)
    parts = H / np.where(size > 0, size, 1)
    lengths = np.linalg.norm(parts, axis=1)[:, None] * np.linalg.norm(true, axis=1)
    cosines = parts @ true.T / np.where(lengths > 0, lengths, 1)
    limbs = cosines.max(axis=1) > LIMB
    found = np.count_nonzero(cosines.max(axis=0) > LIMB)
    error = float(np.linalg.norm(X - W @ H) / np.linalg.norm(X))
    message = f"Rank {k}, {method}: the error is {error:.1%}, and "
    message += (
        f"the best of this rank has {least[k]:.1%}" if least[k] else "with any sign 0 is possible"
    )
    if negative := np.count_nonzero((H < -1e-9).any(axis=1)):
        message += f"; {negative} parts have negative pixels, which take away what others add"
    return Parts(
        parts=parts,
        limbs=limbs,
        rebuilt=W[SWIMMER] @ H,
        error=error,
        k=k,
        state=f"{found or 'None'} of 16 limbs found",
        message=message,
    )


class PartsExplorer(Explorer):
    """Raise the rank, and see the parts of the swimmers appear (lesson 3)."""

    controls = {
        "k": Slider("Rank k", even(1, HIGHEST_RANK, 1), 10),
        "method": Choice("Factors", (NMF_PARTS, SVD_PARTS), NMF_PARTS),
    }
    play = "k"
    grid = {"k": range(1, HIGHEST_RANK + 1), "method": (NMF_PARTS, SVD_PARTS)}
    alt = (
        "Above: the parts, as small pictures, with a frame around each that is a single limb. "
        "Below: one swimmer and its sum of parts; the error at the chosen rank, with the least "
        "possible at every rank."
    )
    compute = staticmethod(find_parts)

    def draw(self, fig):
        """Make the small pictures with their frames, a swimmer twice, and the error."""
        shape = [["parts", "original", "rebuilt"], ["parts", "error", "error"]]
        axes = fig.subplot_mosaic(shape, width_ratios=[5, 1, 1])
        X, _, _, least = swimmers()
        rows = -(-HIGHEST_RANK // COLUMNS)
        self._tiles = np.zeros((rows, COLUMNS, SIZE + 2, SIZE + 2, 4), np.uint8)
        self._parts = axes["parts"].imshow(self._mosaic(), animated=True)
        axes["parts"].set(title="The parts, rows of H; framed: a single limb")
        (self._frames,) = axes["parts"].plot([], [], color=MODEL, lw=2, animated=True)
        picture = self._coloured(X[SWIMMER])
        axes["original"].imshow(picture)
        axes["original"].set(title="Swimmer")
        self._rebuilt = axes["rebuilt"].imshow(picture, animated=True)
        axes["rebuilt"].set(title="W H")
        for name in ("parts", "original", "rebuilt"):
            axes[name].set(xticks=[], yticks=[])
            axes[name].grid(False)
        for side in ("left", "bottom"):
            axes["parts"].spines[side].set_visible(False)
        error = axes["error"]
        error.set(xlabel="rank k", xlim=(0, HIGHEST_RANK + 1), ylim=(-0.05, 1), yticks=[0, 0.5, 1])
        error.set(title="Error; least possible", xticks=(1, 5, 10, 13, 16, 20))
        error.plot(np.arange(1, HIGHEST_RANK + 1), least[1:], ".--", color=PREDICTION, lw=1)
        (self._error,) = error.plot([], [], "o", color=ERROR, ms=9, animated=True)

    def _mosaic(self):
        """Return the tiles as one picture."""
        return self._tiles.swapaxes(1, 2).reshape(-1, COLUMNS * (SIZE + 2), 4)

    @staticmethod
    def _coloured(pixels):
        return coloured(pixels.reshape(*pixels.shape[:-1], SIZE, SIZE), "PuOr", -1, 1)

    def update(self, result):
        """Show the parts, the frames, the sum and the error."""
        tiles = self._tiles.reshape(-1, SIZE + 2, SIZE + 2, 4)
        tiles[...] = 0
        tiles[: result.k, 1:-1, 1:-1] = self._coloured(result.parts)
        self._parts.set_data(self._mosaic())
        side = SIZE + 2
        square = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0], [np.nan] * 2]) * side - 0.5
        corners = [(n % COLUMNS, n // COLUMNS) for n in np.flatnonzero(result.limbs)]
        frames = [square + side * np.array(corner) for corner in corners] or [square * np.nan]
        self._frames.set_data(*np.concatenate(frames).T)
        self._rebuilt.set_data(self._coloured(result.rebuilt))
        self._error.set_data([result.k], [result.error])
