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
from mflib.explore.base import Explorer, Slider, even, log
from mflib.iteration import Iterate, drive, has_exploded
from mflib.plotting import MODEL, OTHER, QUIET

PEOPLE, FILMS, RATINGS = 60, 40, 1200
EPOCHS = 30
WORK = 90  # shown of each run
HIGHEST_RANK = 8
ALS, SGD, GRADIENT = "ALS", "SGD", "gradient descent"
LEVEL = 1.01  # objectives within this factor count as equal


@dataclass(frozen=True)
class Race:
    """What each method reached, and at what cost.

    `objectives` holds J after each epoch, start first, and ends where the work is done or where it
    exploded; `work` the work of one epoch, in predictions of all ratings; `spent` the work at which
    they are compared; `leads` the names that led, each with the work from which on.
    """

    objectives: dict[str, np.ndarray]
    work: dict[str, float]
    spent: int
    leads: list[tuple[float, str]]
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


def race(learning_rate: float, regularization: float, k: int, spent: int) -> Race:
    """Let the three methods run from the same start.

    Parameters
    ----------
    learning_rate : float
        η of SGD and of batch gradient descent; ALS has none.
    regularization : float
        λ, applied at every rating.
    k : int
        Rank, 1 to 8.
    spent : int
        The work after which they are compared, 0 to `WORK`.
    """
    objectives = {
        ALS: _als_objectives(regularization, k),
        SGD: _sgd_objectives(learning_rate, regularization, k),
        GRADIENT: _gradient_objectives(learning_rate, regularization, k),
    }
    work = work_per_epoch(k)
    leads = leads_of(objectives, work)
    state, message = _describe(objectives, work, spent, leads)
    return Race(
        objectives=objectives, work=work, spent=spent, leads=leads, state=state, message=message
    )


def leads_of(objectives: dict[str, np.ndarray], work: dict[str, float]) -> list[tuple[float, str]]:
    """Return who leads, and from which work on.

    A method leads once its J, after an epoch, is the least so far by more than 1 %. It keeps the
    lead until another is ahead by as much.
    """
    events = sorted(
        (n * work[name], J[n], name) for name, J in objectives.items() for n in range(1, J.size)
    )
    leads, least = [], objectives[ALS][0]
    for spent, J, name in events:
        if spent <= WORK and J < least:
            if J * LEVEL < least and (not leads or leads[-1][1] != name):
                leads.append((spent, name))
            if leads and leads[-1][1] == name:
                least = J
    return leads


@lru_cache(maxsize=64)
def _als_objectives(regularization, k):
    return _objectives(als_steps(*race_problem(regularization, k)), work_per_epoch(k)[ALS])


@lru_cache(maxsize=64)
def _sgd_objectives(learning_rate, regularization, k):
    problem, start = race_problem(regularization, k)
    steps = sgd_steps(problem, start, learning_rate=learning_rate, random_state=0)
    return _objectives(steps, work_per_epoch(k)[SGD])


@lru_cache(maxsize=64)
def _gradient_objectives(learning_rate, regularization, k):
    problem, start = race_problem(regularization, k)
    steps = descent_steps(problem, start, learning_rate, updates="simultaneous")
    return _objectives(steps, work_per_epoch(k)[GRADIENT])


def _objectives(steps: Iterator[Iterate], work: float) -> np.ndarray:
    """Return J of each step, to the last one shown or to the first that exploded."""
    objectives = []

    def explosion(step):
        return "exploded" if has_exploded(step.objective, reference=objectives[0]) else ""

    epochs = min(EPOCHS, int(WORK / work) + 1)
    drive(steps, epochs, broken=explosion, watch=lambda step: objectives.append(step.objective))
    return np.array(objectives)


def _describe(objectives, work, spent, leads):
    """Tell who is ahead after the work spent, who diverged or is above the start, who led when."""
    start = objectives[ALS][0]
    epochs = {name: int(spent / work[name] + 1e-9) for name in objectives}
    ends = {name: J.size - 1 for name, J in objectives.items() if has_exploded(J[-1], start)}
    lost = [name for name, end in ends.items() if epochs[name] >= end]
    reached = {name: J[epochs[name]] / start for name, J in objectives.items() if name not in lost}
    above = [name for name, ratio in reached.items() if ratio > 1]
    ahead = [name for name, ratio in reached.items() if ratio <= LEVEL * min(reached.values())]
    if not max(epochs.values()):
        state = "at the start"
    elif lost or above:
        fates = ((lost, "diverged"), (above, "above its start"))
        state = ", ".join(f"{' and '.join(names)} {fate}" for names, fate in fates if names)
    elif len(ahead) == 3:
        state = "all level"
    else:
        state = f"{' and '.join(ahead)} ahead"
    values = [f"{_short(ratio)} by {name} ({epochs[name]})" for name, ratio in reached.items()]
    values += [f"exploded by {name} (in epoch {ends[name]})" for name in lost]
    lead = ", ".join(f"{name} from work {begin:.3g}" for begin, name in leads) or "nobody"
    message = (
        f"After work {spent} J has gone from 1 to {', '.join(values)}, with epochs in brackets"
    )
    return state[0].upper() + state[1:], f"{message}. In the lead: {lead}"


def _short(ratio):
    return f"{ratio:.3f}" if ratio < 10 else f"{ratio:,.0f}"


class RaceExplorer(Explorer):
    """Race three methods to the minimum, by epochs and by work (lesson 5)."""

    controls = {
        "learning_rate": Slider("Learning rate η", log(0.001, 10), 0.05),
        "regularization": Slider("Regularization λ", log(0.001, 1), 0.1),
        "k": Slider("Rank k", even(1, HIGHEST_RANK, 1), 4),
        "spent": Slider("Work", even(0, WORK, 2), 30),
    }
    size = (10.6, 3.7)
    lines = 3
    play = "spent"
    grid = {
        "learning_rate": (0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
        "k": (2, 4, 8),
        "spent": range(0, 91, 6),
    }
    alt = (
        "Objective of alternating least squares, stochastic and batch gradient descent, by how "
        "much it is above the best of all. Left: after each epoch. Right: against the work done so "
        "far, with a bar that tells who leads."
    )
    compute = staticmethod(race)

    def draw(self, fig):
        """Make the three curves, twice, and the bar of the lead."""
        left, right = fig.subplots(1, 2, sharey=True)
        left.set(title="J above the best, after each epoch", xlabel="epoch")
        left.set(xlim=(-0.5, EPOCHS + 0.5), yscale="log", ylim=(3e-4, 8))
        left.set_yticks(ticks := [1e-3, 1e-2, 1e-1, 1], [f"{100 * tick:g} %" for tick in ticks])
        left.minorticks_off()
        right.set(title="The same, against work", xlim=(-1, WORK + 1))
        right.set(xlabel="work (1 = predicting every rating once)")
        moving = {"animated": True}
        self._cursor = right.axvline(0, color=QUIET, lw=1.5, **moving)
        kinds = {
            ALS: {"color": MODEL, "marker": "o"},
            SGD: {"color": OTHER, "marker": "s"},
            GRADIENT: {"color": QUIET, "marker": "^", "ls": "--"},
        }
        self._lines = {
            name: [
                ax.plot([], [], lw=1.5, ms=5, label=label, **moving, **kind)[0]
                for ax, label in ((left, name), (right, None))
            ]
            for name, kind in kinds.items()
        }
        fig.legend(loc="outside lower center", ncols=3)
        bar = {"lw": 9, "solid_capstyle": "butt", **moving}
        self._leads = {
            name: right.plot([], [], color=kind["color"], **bar)[0] for name, kind in kinds.items()
        }
        text = {"fontsize": 12, "va": "bottom", "ha": "center", **moving}
        self._names = [right.text(0, 5e-4, "", **text) for _ in range(4)]

    def update(self, result):
        """Move the curves, the cursor and the bar."""
        best = min(np.nanmin(J) for J in result.objectives.values())
        for name, lines in self._lines.items():
            J = np.minimum(np.nan_to_num(result.objectives[name], nan=1e12), 1e12)
            above = np.maximum(J / best - 1, 1e-9)
            epochs = np.arange(J.size)
            lines[0].set_data(epochs, above)
            lines[1].set_data(result.work[name] * epochs, above)
        self._cursor.set_xdata([result.spent] * 2)
        begins = [begin for begin, _ in result.leads]
        spans = list(zip(result.leads, [*begins[1:], WORK], strict=True)) if begins else []
        for name, bar in self._leads.items():
            ends = [(begin, end, np.nan) for (begin, leader), end in spans if leader == name]
            bar.set_data(np.ravel(ends), np.full(3 * len(ends), 4e-4))
        for text in self._names:
            text.set_text("")
        wide = [span for span in spans if span[1] - span[0][0] > 2.5 * len(span[0][1])]
        for text, ((begin, leader), end) in zip(self._names, wide, strict=False):
            text.set(x=(begin + end) / 2, text=leader, color=self._leads[leader].get_color())
