"""What an algorithm is here: a generator of iterates, and the one loop that drives it (lesson 0).

    steps = power_steps(A, [1, 0])     nothing is computed yet
    next(steps)                        the start, then one iterate after the other: for ever, or
                                       until nothing is left to do
    take(steps, 11)                    the list of the next 11 iterates
    nth(steps, 10)                     the iterate 10 further on: from a fresh generator, number 10
    drive(steps, ...)                  go on until one is settled, one is broken, or it is enough

Every algorithm of the course has the shape `*_steps(problem, start, *, ...)`. An iterate holds its
number, its factors and what can be asked of it. Its arrays cannot be written to, so whoever looks
at an iterate cannot disturb the run; and it is a valid start, of the same algorithm and of others
for the same problem.

What is minimised is a problem, which answers `loss(factors)`, the misfit of the data alone, and
`objective(factors)`, the loss plus the penalties.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import islice
from math import inf
from numbers import Real
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar
from warnings import warn

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from mflib import _validation as check

# A loss that has grown this many times over is not coming back.
EXPLOSION = 1e6

# How many numbers a block of rows may hold: to stay in the processor's cache, or in memory.
CACHE, MEMORY = 1 << 16, 1 << 22

# Iterates are frozen, and two of them are equal only if they are the same.
record = dataclass(frozen=True, eq=False, repr=False)


@record
class Iterate:
    """One step of an algorithm; `n_iter` counts from 0, the start.

    Where an iterate has `factors`, each of them is an attribute too: `step.U` is `step.factors.U`.
    """

    algorithm: ClassVar[str] = "iteration"  # what it is called when it is printed
    shown: ClassVar[tuple[str, ...]] = ()  # numbers to print besides those that are fields

    n_iter: int

    def __post_init__(self):
        """Let nobody write to the arrays, and make each factor an attribute."""
        known = vars(self)  # the way past the record's own lock
        for name, value in known.items():
            if isinstance(value, np.ndarray):
                known[name] = _read_only(value)
        if "factors" in known:
            factors = known["factors"]._make(map(_read_only, known["factors"]))
            known.update(factors._asdict(), factors=factors)

    def __repr__(self) -> str:
        """Say in one line which iterate it is, its numbers, and the shapes of its arrays."""
        values = {name: getattr(self, name) for name in (*vars(self), *self.shown)}
        del values["n_iter"]
        numbers, arrays = [], []
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                arrays.append(f"{name} {'×'.join(map(str, value.shape))}")
            elif isinstance(value, Real) and not isinstance(value, bool):
                numbers.append(f"{name} {value:.4g}")
        return f"<{self.algorithm} step {self.n_iter}: {', '.join(numbers + arrays)}>"


@record
class ProblemIterate(Iterate):
    """One step towards the minimum of a problem: factors, and their loss when it is asked for."""

    shown = ("loss", "objective")

    factors: tuple[np.ndarray, ...]
    problem: "Problem"

    @cached_property
    def loss(self) -> float:
        """The misfit of the data, without penalties."""
        return self.problem.loss(self.factors)

    @cached_property
    def objective(self) -> float:
        """The loss plus the penalties: what is minimised."""
        return self.loss + self.problem.penalty(self.factors)


class Problem:
    """What is minimised over factors, which are a named tuple of arrays.

    A problem defines `as_factors(start)`, which returns a start (arrays or an iterate) as factors
    and refuses what does not fit; `loss(factors)`, the misfit of the data, without penalties; and
    where it has them `penalty` and `gradient`.
    """

    def penalty(self, factors) -> float:
        """Return what is added to the loss: a function of the factors alone."""
        return 0.0

    def objective(self, factors) -> float:
        """Return the loss plus the penalties."""
        return self.loss(factors) + self.penalty(factors)


class Run(NamedTuple):
    """How driving an algorithm ended: the last good iterate, and why in one sentence."""

    step: Any
    state: Literal["settled", "broken", "enough"]
    message: str

    @property
    def converged(self) -> bool:
        """Whether the iterates settled, or did the number of steps that was asked for."""
        return self.state == "settled"

    def result(self, kind: type, **more) -> Any:
        """Return the last iterate as a `kind`: its fields, `converged`, `message` and more."""
        found = {field.name: getattr(self.step, field.name) for field in fields(self.step)}
        return kind(**found, converged=self.converged, message=self.message, **more)


Step = TypeVar("Step", bound=Iterate)


def take(steps: Iterator[Step], n: int) -> list[Step]:
    """Return the next n iterates as a list.

    Examples
    --------
    >>> take(iter("abcdef"), 3)
    ['a', 'b', 'c']
    """
    return list(islice(steps, check.count(n, "n", smallest=0)))


def nth(steps: Iterator[Step], n: int) -> Step:
    """Return the iterate n further on (of a fresh run, number n), or the last one there is.

    Examples
    --------
    >>> nth(iter("abcdef"), 2)
    'c'
    """
    last = deque(islice(steps, check.count(n, "n", smallest=0) + 1), maxlen=1)
    if not last:
        raise ValueError("the steps have come to their end: there is no further iterate")
    return last.pop()


def drive(
    steps: Iterator[Step],
    max_iter: int,
    settled: Callable[[Step], bool] | None = None,
    broken: Callable[[Step], str] | None = None,
    *,
    watch: Callable[[Step], None] | None = None,
) -> Run:
    """Take iterates until one is settled, one is broken, or `max_iter` steps are done.

    Parameters
    ----------
    steps : iterator of iterates
    max_iter : int
        Largest number of steps, at least 0.
    settled : function of an iterate, optional
        Whether it is good enough to stop. Without it, all `max_iter` steps are done as planned.
    broken : function of an iterate, optional
        A sentence that says what is wrong with it, or "".
    watch : function of an iterate, optional
        It is handed every iterate, a broken one too: nobody need run a method twice to watch it.

    Returns
    -------
    Run
        `step` is the last iterate that is not broken (the start, if that is broken itself).

    Examples
    --------
    >>> from mflib.eigen import power_steps
    >>> run = drive(power_steps([[3, 2], [2, 3]], [1, 0]), 100, lambda step: step.residual < 1e-6)
    >>> run.message, round(run.step.eigenvalue, 6)
    ('converged after 10 steps', 5.0)
    """
    good = None
    state, how = ("enough", "not converged") if settled else ("settled", "stopped as planned")
    for step in islice(steps, max_iter + 1):
        if watch:
            watch(step)
        if broken and (reason := broken(step)):
            return Run(good or step, "broken", reason)
        good = step
        if settled and settled(step):
            state, how = "settled", "converged"
            break
    n = good.n_iter
    return Run(good, state, f"{how} after {n} step{'' if n == 1 else 's'}")


def report(estimator: Any, run: Run, *, stacklevel: int = 3) -> Any:
    """Tell on an estimator how its fit ended, warn if it did not converge, and return it."""
    estimator.n_iter_ = run.step.n_iter
    estimator.converged_, estimator.message_ = run.converged, run.message
    warn_unless_converged(run, stacklevel=stacklevel + 1)
    return estimator


@contextmanager
def all_or_nothing(estimator: Any) -> Iterator[None]:
    """Leave an estimator as it was if the fit in this context is refused or interrupted."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        estimator.__dict__ = before
        raise


def warn_unless_converged(run: Any, *, stacklevel: int = 3) -> None:
    """Warn where a flag may be overlooked: from an estimator, or beside a plain number or array."""
    if not run.converged:
        warn(run.message, ConvergenceWarning, stacklevel=stacklevel)


def has_exploded(loss: float, reference: float) -> bool:
    """Tell whether a loss is NaN, infinite, or more than a million times its reference.

    Examples
    --------
    >>> has_exploded(2e6, reference=1.0), has_exploded(float("nan"), 1.0), has_exploded(10.0, 1.0)
    (True, True, False)
    """
    return not (loss < inf and loss <= EXPLOSION * reference)  # NaN compares as False


def blocks_of_rows(n_rows: int, row_size: int, numbers: int = CACHE) -> Iterator[slice]:
    """Yield slices of rows, one after the other, that hold about so many numbers each.

    Examples
    --------
    >>> list(blocks_of_rows(5, row_size=10, numbers=20))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    height = max(1, numbers // max(1, row_size))
    for start in range(0, n_rows, height):
        yield slice(start, min(start + height, n_rows))


def _read_only(array):
    array = array.view()
    array.setflags(write=False)
    return array
