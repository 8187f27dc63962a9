"""At which rank does a completion stop learning and start to memorize? (lesson 5)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mflib.completion import ALSStep, CompletionProblem, ObservedEntries, als_steps
from mflib.datasets import make_film_club
from mflib.explore.base import Explorer, Slider, coloured, even, log
from mflib.iteration import nth
from mflib.plotting import DATA, ERROR, PREDICTION, QUIET

PEOPLE, FILMS, RATINGS = 60, 40, 1200
HELD_OUT = 300
HIGHEST_RANK = 8
STEPS = 4  # of ALS; from the start used here, more change little (they overfit where λ is small)


@dataclass(frozen=True)
class RankFit:
    """Errors at every rank after four steps of ALS, and the reconstruction at the chosen one.

    `training` and `held_out` (9,) are root mean squared errors in stars at ranks 0 to 8;
    `reconstruction` (60, 40) holds the predicted ratings; `best` is the smallest of the ranks with
    the least held-out error, to two digits.
    """

    training: np.ndarray
    held_out: np.ndarray
    reconstruction: np.ndarray
    rank: int
    best: int
    state: str
    message: str


@dataclass(frozen=True)
class _Problem:
    """The split ratings; the matrix of truth; singular triples to start from; an order to show."""

    training: ObservedEntries
    held_out: ObservedEntries
    truth: np.ndarray
    start: tuple[np.ndarray, np.ndarray]
    people: np.ndarray
    films: np.ndarray


@lru_cache(maxsize=1)
def _problem():
    """Make the film club, and starts of all ranks: the SVD of what the biases leave, gaps zero."""
    club = make_film_club(PEOPLE, FILMS, RATINGS, random_state=2)
    shape = club.truth.shape
    seen, held_out = slice(HELD_OUT, None), slice(HELD_OUT)  # the pairs come in random order
    training = ObservedEntries(club.pairs[seen], club.ratings[seen], shape)
    held_out = ObservedEntries(club.pairs[held_out], club.ratings[held_out], shape)
    biases = _fit(training, np.zeros((PEOPLE, 1)), np.zeros((FILMS, 1)), 0.03)
    gaps_zero = np.zeros(shape)
    gaps_zero[training.rows, training.columns] = -_errors(biases, training)
    left, values, right = np.linalg.svd(gaps_zero, full_matrices=False)
    start = left * np.sqrt(values), right.T * np.sqrt(values)
    people = np.argsort(np.argmax(club.U, axis=1), kind="stable")  # by favourite genre
    films = np.argsort(np.argmax(club.V, axis=1), kind="stable")
    return _Problem(training, held_out, club.truth, start, people, films)


def _fit(entries, U, V, regularization):
    """Return factors and biases after a few steps of ALS."""
    problem = CompletionProblem(entries, regularization=regularization, biases=True)
    return nth(als_steps(problem, (U, V, np.zeros(PEOPLE), np.zeros(FILMS))), STEPS)


@lru_cache(maxsize=64)
def fits_of_all_ranks(regularization: float) -> tuple[list[ALSStep], np.ndarray, np.ndarray]:
    """Return the fits at all ranks, and their errors on ratings seen and held out.

    At rank 0 the factors start, and stay, at zero.
    """
    problem = _problem()
    U, V = problem.start
    fits = [_fit(problem.training, 0 * U[:, :1], 0 * V[:, :1], regularization)]
    for k in range(1, HIGHEST_RANK + 1):
        fits.append(_fit(problem.training, U[:, :k], V[:, :k], regularization))
    training, held_out = (
        np.array([np.sqrt(np.mean(_errors(fit, entries) ** 2)) for fit in fits])
        for entries in (problem.training, problem.held_out)
    )
    return fits, training, held_out


def _errors(fit, entries):
    return fit.problem.scores(fit.factors, entries.rows, entries.columns) - entries.values


def fit_ranks(rank: int, regularization: float) -> RankFit:
    """Complete the ratings at every rank, with biases, and look at one.

    Each fit is four steps of ALS: it is stopped early, not run to the minimum.

    Parameters
    ----------
    rank : int
        The rank to look at, 0 (biases only) to 8.
    regularization : float
        λ, weighted by counts.
    """
    fits, training, held_out = fits_of_all_ranks(regularization)
    fit = fits[rank]
    rows, columns = np.indices((PEOPLE, FILMS)).reshape(2, -1)
    best = int(np.argmin(held_out.round(2)))
    state, message = _describe(training, held_out, rank, best, regularization)
    return RankFit(
        training=training,
        held_out=held_out,
        reconstruction=fit.problem.scores(fit.factors, rows, columns).reshape(PEOPLE, FILMS),
        rank=rank,
        best=best,
        state=state,
        message=message,
    )


def _describe(training, held_out, rank, best, regularization):
    """Compare the chosen rank with the best."""
    known, new = training[rank], held_out[rank]
    where = f"Rank {rank}: error {known:.2f} on the ratings it has seen, {new:.2f} on held-out ones"
    least = f"the best rank for λ = {regularization:.3g} is {best}, held-out error"
    least = f"{least} {held_out[best]:.2f}"
    if training[0] - training[-1] < 0.01:
        return "No factors left", (
            f"{where}. λ = {regularization:.3g} shrinks all factors to zero, so that biases alone "
            "are left at every rank"
        )
    if rank == best:
        return "Best rank", f"{where}, the least for λ = {regularization:.3g}"
    if rank < best:
        return "Too simple", f"{where}; {least}"
    if new < 1.02 * held_out[best]:
        return "No gain", f"{where}; {least}: λ keeps the other factors small"
    return "Overfitting", f"{where}; {least}"


class CompletionRankExplorer(Explorer):
    """See the training error fall with the rank, and the held-out error turn (lesson 5)."""

    controls = {
        "rank": Slider("Rank k", even(0, HIGHEST_RANK, 1), 6),
        "regularization": Slider("Regularization λ", log(0.001, 1), 0.01),
    }
    size = (10.6, 3.8)
    alt = (
        "Left: training and held-out error at ranks 0 to 8, each after four steps of alternating "
        "least squares, with a cursor at the chosen rank. "
        "Right: three tables of people and films, coloured by rating: the ratings to learn from, "
        "with gaps, the reconstruction at the chosen rank, and the truth."
    )
    grid = {"rank": range(9), "regularization": (0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.5, 1.0)}
    compute = staticmethod(fit_ranks)

    def draw(self, fig):
        """Make two error curves and three tables."""
        problem = _problem()
        left, *tables = fig.subplots(1, 4, width_ratios=[2.2, 1, 1, 1])
        left.set(title="Error at each rank", xlabel="rank k", ylabel="error (RMSE, stars)")
        left.set(xlim=(-0.5, HIGHEST_RANK + 0.5), ylim=(0, 1.7), xticks=range(0, 9, 2))
        moving = {"animated": True}
        self._cursor = left.axvline(0, color=QUIET, lw=1.5, **moving)
        (self._training,) = left.plot([], [], "o-", color=DATA, label="training", **moving)
        (self._held_out,) = left.plot([], [], "s-", color=ERROR, label="held out", **moving)
        (self._best,) = left.plot(
            [], [], "D", color=PREDICTION, ms=14, mfc="none", mew=2, label="best rank", **moving
        )
        fig.legend(loc="outside lower left", ncols=3)
        shown = np.full((PEOPLE, FILMS), np.nan)
        shown[problem.training.rows, problem.training.columns] = problem.training.values
        pictures = {"Given": shown, "Reconstruction": problem.truth, "Truth": problem.truth}
        for ax, (title, table) in zip(tables, pictures.items(), strict=True):
            image = ax.imshow(self._sorted(table), vmin=1, vmax=5, aspect="auto")
            ax.set(title=title, xticks=[], yticks=[], xlabel=f"{FILMS} films")
            ax.grid(False)
            if title == "Reconstruction":
                self._reconstruction = image
                image.set_animated(True)
        tables[0].set_ylabel(f"{PEOPLE} people")
        fig.colorbar(image, ax=tables, label="rating (stars)", ticks=range(1, 6), aspect=30)

    @staticmethod
    def _sorted(table):
        """Put people by favourite genre, films by genre."""
        problem = _problem()
        return table[np.ix_(problem.people, problem.films)]

    def update(self, result):
        """Move the curves and the cursor, show the reconstruction."""
        ranks = np.arange(HIGHEST_RANK + 1)
        self._training.set_data(ranks, result.training)
        self._held_out.set_data(ranks, result.held_out)
        self._best.set_data([result.best], [result.held_out[result.best]])
        self._cursor.set_xdata([result.rank] * 2)
        self._reconstruction.set_data(
            coloured(self._sorted(result.reconstruction), "cividis", 1, 5)
        )
