"""Who is first at the minimum: ALS, SGD or batch gradient descent? (lesson 5).

All three start from the same factors and lower the same objective, with λ weighted by counts. What
an epoch of each costs in its tidiest form, in multiplications:

    gradient   3 |Ω| k + 2 (m + n) k                             residuals, E V, Eᵀ U; then λ and η
    SGD        5 |Ω| k                                           e; (1 − ηλ) u − (ηe) v, same for v
    ALS        |Ω| k (k + 3) + (m + n) (k³/6 + 3k²/2)            Gᵢ and right sides; then Cholesky

Divided by |Ω| k they are the work of an epoch, in predictions of all ratings. It is counted and not
timed, because a second is another amount of work on every machine.

Batch gradient descent has the η of SGD. That is fair for small η: the |Ω| small steps of an epoch
of SGD add up to one step of batch gradient descent, up to terms of order η².
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mflib.completion import CompletionProblem, Factors, ObservedEntries, als_steps, sgd_steps
from mflib.datasets import make_film_club
from mflib.descent import descent_steps
from mflib.explore.base import Explorer, LogSlider, Slider
from mflib.iteration import Iterate, drive, has_exploded
from mflib.plotting import MODEL, OTHER, QUIET

PEOPLE, FILMS, RATINGS = 60, 40, 1200
EPOCHS = 30
HIGHEST_RANK = 8
ALS, SGD, GRADIENT = "ALS", "SGD", "gradient descent"
LEVEL = 1.01  # objectives within this factor count as equal


@dataclass(frozen=True)
class Race:
    """What each method reached, and at what cost.

    `objectives` holds J after each epoch, start first, and ends where it exploded; `work` the work
    of one epoch, in predictions of all ratings; `equal_work` that of all epochs of the
    cheapest method.
    """

    objectives: dict[str, np.ndarray]
    work: dict[str, float]
    equal_work: float
    state: str
    message: str


def work_per_epoch(k: int) -> dict[str, float]:
    """Return the work of one epoch at rank k, in predictions of all ratings."""
    sides = (PEOPLE + FILMS) / RATINGS
    return {ALS: k + 3 + sides * (k**2 / 6 + 3 * k / 2), SGD: 5.0, GRADIENT: 3 + 2 * sides}


@lru_cache(maxsize=1)
def _ratings():
    """Return the ratings minus their mean, and a start of the highest rank."""
    club = make_film_club(PEOPLE, FILMS, RATINGS, random_state=2)
    ratings = club.ratings - club.ratings.mean()
    start = 0.3 * np.random.default_rng(0).standard_normal((PEOPLE + FILMS, HIGHEST_RANK))
    return ObservedEntries(club.pairs, ratings, (PEOPLE, FILMS)), start


def race_problem(regularization: float, k: int) -> tuple[CompletionProblem, Factors]:
    """Return what the three methods minimise, and where they start."""
    entries, start = _ratings()
    problem = CompletionProblem(entries, regularization=regularization)
    return problem, Factors(start[:PEOPLE, :k], start[PEOPLE:, :k])


def race(learning_rate: float, regularization: float, k: int) -> Race:
    """Let the three methods run from the same start.

    Parameters
    ----------
    learning_rate : float
        η of SGD and of batch gradient descent; ALS has none.
    regularization : float
        λ, applied at every rating.
    k : int
        Rank, 1 to 8.
    """
    problem, start = race_problem(regularization, k)
    sgd = sgd_steps(problem, start, learning_rate=learning_rate, random_state=0)
    objectives = {
        ALS: _als_objectives(regularization, k),
        SGD: _objectives(sgd),
        GRADIENT: _objectives(descent_steps(problem, start, learning_rate, updates="simultaneous")),
    }
    work = work_per_epoch(k)
    equal_work = EPOCHS * min(work.values())
    state, message = _describe(objectives, work, equal_work, learning_rate)
    return Race(
        objectives=objectives, work=work, equal_work=equal_work, state=state, message=message
    )


@lru_cache(maxsize=64)
def _als_objectives(regularization, k):
    return _objectives(als_steps(*race_problem(regularization, k)))


def _objectives(steps: Iterator[Iterate]) -> np.ndarray:
    """Return J of each step, to the last epoch or to the first that exploded."""
    objectives = []

    def explosion(step):
        return "exploded" if has_exploded(step.objective, reference=objectives[0]) else ""

    drive(steps, EPOCHS, broken=explosion, watch=lambda step: objectives.append(step.objective))
    return np.array(objectives)


def _describe(objectives, work, equal_work, eta):
    """Tell who is ahead at equal work, and who diverged or is above the start."""
    start = objectives[ALS][0]
    lost = {name: len(J) - 1 for name, J in objectives.items() if has_exploded(J[-1], start)}
    reached = {
        name: J[min(int(equal_work / work[name] + 1e-9), EPOCHS)] / start
        for name, J in objectives.items()
        if name not in lost
    }
    above = [name for name, ratio in reached.items() if ratio > 1]
    leaders = [name for name, ratio in reached.items() if ratio <= LEVEL * min(reached.values())]
    if lost or above:
        fates = ((lost, "diverged"), (above, "above its start"))
        state = ", ".join(f"{' and '.join(names)} {fate}" for names, fate in fates if names)
    elif len(leaders) == 3:
        state = "all level"
    else:
        state = f"{' and '.join(leaders)} ahead"
    values = ", ".join(f"{_short(ratio)} by {name}" for name, ratio in reached.items())
    message = f"η = {eta:.3g}: at equal work J has gone from 1 to {values}"
    if lost:
        ends = " and ".join(f"{name} in epoch {n}" for name, n in lost.items())
        message = f"{message}; exploded: {ends}"
    epochs = ", ".join(f"{equal_work / work[name]:.3g} by {name}" for name in objectives)
    return state[0].upper() + state[1:], f"{message}. Epochs in this work: {epochs}"


def _short(ratio):
    return f"{ratio:.3f}" if ratio < 10 else f"{ratio:,.0f}"


class RaceExplorer(Explorer):
    """Race three methods to the minimum, by epochs and by work (lesson 5)."""

    controls = {
        "learning_rate": LogSlider("Learning rate η", 0.001, 10, 0.0501),
        "regularization": LogSlider("Regularization λ", 0.001, 1, 0.1),
        "k": Slider("Rank k", 1, HIGHEST_RANK, 1, 4),
    }
    size = (9.4, 4.2)
    alt = (
        "Objective of alternating least squares, stochastic and batch gradient descent, as a share "
        "of its value at the start. Left: after each epoch. Right: against the work done so far, "
        "up to equal work."
    )
    compute = staticmethod(race)

    def draw(self, fig):
        """Make the three curves, twice."""
        left, right = fig.subplots(1, 2, sharey=True)
        left.set(title="Objective after each epoch", xlabel="epoch", ylabel="J / J at the start")
        left.set(xlim=(-0.5, EPOCHS + 0.5), ylim=(0, 1.5))
        equal_work = EPOCHS * work_per_epoch(1)[GRADIENT]
        right.set(title="Objective against work", xlim=(-1.5, equal_work + 1.5))
        right.set(xlabel="work (1 = predicting every rating once)")
        kinds = {
            ALS: {"color": MODEL, "marker": "o"},
            SGD: {"color": OTHER, "marker": "s"},
            GRADIENT: {"color": QUIET, "marker": "^", "ls": "--"},
        }
        self._lines = {
            name: [
                ax.plot([], [], lw=1.5, ms=5, label=label, animated=True, **kind)[0]
                for ax, label in ((left, name), (right, None))
            ]
            for name, kind in kinds.items()
        }
        fig.legend(loc="outside lower center", ncols=3)

    def update(self, result):
        """Move the curves."""
        for name, lines in self._lines.items():
            J = np.minimum(np.nan_to_num(result.objectives[name], nan=1e12), 1e12)
            J = J / J[0]
            epochs = np.arange(J.size)
            lines[0].set_data(epochs, J)
            lines[1].set_data(result.work[name] * epochs, J)
