"""What an algorithm is: iterates that nobody can spoil, and the one loop that drives them."""

import copy
import linecache
import pickle
import warnings
import weakref
from itertools import count
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from mflib.iteration import (
    CACHE,
    EXPLOSION,
    MEMORY,
    Iterate,
    Problem,
    ProblemIterate,
    blocks_of_rows,
    drive,
    has_exploded,
    nth,
    record,
    report,
    take,
    warn_unless_converged,
)


class Pair(NamedTuple):
    U: np.ndarray
    V: np.ndarray


class Fit(Problem):
    """½ ‖U − V‖² + ½ λ ‖U‖², which counts how often it is asked."""

    def __init__(self, strength=0.0):
        self.strength = strength
        self.asked = 0

    def loss(self, factors):
        self.asked += 1
        return 0.5 * np.sum((factors.U - factors.V) ** 2)

    def penalty(self, factors):
        return 0.5 * self.strength * np.sum(factors.U**2)


@record
class Halved(Iterate):
    algorithm = "halving"

    x: np.ndarray
    size: float


@record
class HalvedResult(Halved):
    converged: bool
    message: str
    halvings: int


@record
class FitStep(ProblemIterate):
    algorithm = "fit"


def halving_steps(x):
    x = np.array(x, dtype=float)
    for n_iter in count():
        yield Halved(n_iter, x, float(np.abs(x).max()))
        x = x / 2


def fit_step(strength=2.0):
    return FitStep(3, Pair(np.ones((4, 1)), np.zeros((4, 1))), Fit(strength))


# What an iterate is


def test_nobody_can_write_to_an_iterate():
    step, fit = next(halving_steps([1, 2])), fit_step()
    for array in (step.x, fit.U, fit.factors.V):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    for iterate in (step, fit):
        with pytest.raises(AttributeError):
            iterate.n_iter = 7
    with pytest.raises(AttributeError):
        fit.U = np.zeros((4, 1))


def test_the_array_behind_an_iterate_stays_the_runs_own():
    x = np.ones(3)
    step = Halved(0, x, 1.0)
    assert np.shares_memory(step.x, x)  # a view, no copy
    x[0] = 5  # whoever owns it can still write
    assert x.flags.writeable
    assert not step.x.flags.writeable


def test_an_iterate_prints_as_one_line():
    assert repr(next(halving_steps([1, 2]))) == "<halving step 0: size 2, x 2>"
    assert repr(fit_step()) == "<fit step 3: loss 2, objective 6, U 4×1, V 4×1>"
    result = HalvedResult(9, np.zeros((2, 3)), 0.123456, True, "converged after 9 steps", 9)
    assert repr(result) == "<halving step 9: size 0.1235, halvings 9, x 2×3>"


def test_iterates_are_equal_only_if_they_are_the_same():
    one, other = next(halving_steps([1, 2])), next(halving_steps([1, 2]))
    assert one == one
    assert one != other
    assert one in [one]
    assert len({one, other, one}) == 2


def test_a_factor_is_an_attribute_and_nothing_else_is():
    fit = fit_step()
    assert np.shares_memory(fit.U, fit.factors[0])
    assert fit.U is fit.factors.U
    assert isinstance(fit.factors, Pair)
    assert {"U", "V"} <= set(dir(fit))  # so that a notebook completes them
    with pytest.raises(AttributeError, match="'FitStep' object has no attribute 'W'"):
        _ = fit.W
    with pytest.raises(AttributeError, match="'Halved' object has no attribute 'factors'"):
        _ = next(halving_steps([1])).factors


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda step: pickle.loads(pickle.dumps(step))]
)
def test_an_iterate_can_be_copied_and_stored(duplicate):
    for step in (fit_step(), next(halving_steps([1, 2]))):
        twin = duplicate(step)
        assert twin is not step
        assert repr(twin) == repr(step)
    assert np.array_equal(duplicate(fit_step()).U, fit_step().U)


def test_loss_and_objective_are_computed_when_asked_and_once():
    fit = fit_step(strength=2.0)
    assert fit.problem.asked == 0
    assert (fit.loss, fit.objective, fit.loss) == (2.0, 6.0, 2.0)
    assert fit.problem.asked == 1
    assert fit.problem.objective(fit.factors) == 6.0
    assert Problem().penalty(fit.factors) == 0.0


# Taking iterates


def test_take_and_nth_go_on_where_they_stopped():
    steps = halving_steps([1])
    assert [step.n_iter for step in take(steps, 3)] == [0, 1, 2]
    assert nth(steps, 0).n_iter == 3
    assert nth(steps, 2).n_iter == 6
    assert take(steps, 0) == []
    assert nth(halving_steps([1]), 10).n_iter == 10


def test_take_and_nth_stop_with_the_last_iterate_there_is():
    assert len(take(iter(take(halving_steps([1]), 4)), 9)) == 4
    assert nth(iter(take(halving_steps([1]), 4)), 9).n_iter == 3
    with pytest.raises(ValueError, match="the steps have come to their end"):
        nth(iter([]), 0)


@pytest.mark.parametrize("ask", [take, nth])
def test_a_number_of_steps_is_a_whole_number(ask):
    for n, words in ((-1, "at least 0"), (2.0, "a whole number"), ("2", "a whole number")):
        with pytest.raises(ValueError, match=f"^n is .*; {words} is needed$"):
            ask(halving_steps([1]), n)


def test_only_the_last_iterate_is_kept_on_the_way_to_the_nth():
    alive = weakref.WeakSet()

    def steps():
        for step in halving_steps([1]):
            alive.add(step)
            yield step

    assert nth(steps(), 50).n_iter == 50
    assert len(alive) <= 2


# The one loop


@given(st.integers(0, 12), st.integers(0, 12))
def test_it_ends_at_the_first_iterate_that_settles_or_after_max_iter(enough, max_iter):
    seen = []
    run = drive(
        halving_steps([1]), max_iter, lambda step: step.size <= 2.0**-enough, watch=seen.append
    )
    assert run.converged == (enough <= max_iter)
    assert run.state == ("settled" if run.converged else "enough")
    assert run.step.n_iter == min(enough, max_iter)
    assert [step.n_iter for step in seen] == list(range(run.step.n_iter + 1))
    assert seen[-1] is run.step
    steps = "1 step" if run.step.n_iter == 1 else f"{run.step.n_iter} steps"
    assert run.message == f"{'' if run.converged else 'not '}converged after {steps}"


def test_without_a_stopping_rule_all_steps_are_done_as_planned():
    run = drive(halving_steps([1]), 5)
    assert (run.state, run.converged, run.step.n_iter) == ("settled", True, 5)
    assert run.message == "stopped as planned after 5 steps"
    short = drive(iter(take(halving_steps([1]), 2)), 5)  # the steps ended by themselves
    assert short.message == "stopped as planned after 1 step"
    never = drive(iter(take(halving_steps([1]), 2)), 5, lambda step: False)
    assert (never.state, never.message) == ("enough", "not converged after 1 step")


def test_a_broken_iterate_ends_it_and_the_last_good_one_is_kept():
    seen = []

    def broken(step):
        return f"too small at step {step.n_iter}" if step.size < 0.2 else ""

    run = drive(halving_steps([1]), 50, lambda step: False, broken, watch=seen.append)
    assert (run.state, run.converged, run.step.n_iter) == ("broken", False, 2)
    assert run.message == "too small at step 3"
    assert [step.n_iter for step in seen] == [0, 1, 2, 3]  # the broken one was watched, too


def test_broken_is_asked_before_settled_and_a_broken_start_is_all_there_is():
    run = drive(halving_steps([1]), 50, lambda step: True, lambda step: "bad from the start")
    assert (run.state, run.step.n_iter, run.message) == ("broken", 0, "bad from the start")


def test_no_more_is_computed_than_is_asked_for():
    computed = []

    def steps():
        for step in halving_steps([1]):
            computed.append(step.n_iter)
            yield step

    drive(steps(), 3)
    assert computed == [0, 1, 2, 3]
    computed.clear()
    drive(steps(), 0, lambda step: False)
    assert computed == [0]


def test_a_result_has_the_fields_of_the_last_step_and_how_it_ended():
    run = drive(halving_steps([8, -4]), 2, lambda step: step.size < 1)
    result = run.result(HalvedResult, halvings=2)
    assert isinstance(result, Halved)  # so that it is a start, too
    assert (result.n_iter, result.size, result.halvings) == (2, 2.0, 2)
    assert np.array_equal(result.x, [2, -1])
    assert not result.converged
    assert result.message == "not converged after 2 steps"


# Telling how it ended


class Estimator:
    def fit(self, run):
        return report(self, run)


def test_an_estimator_tells_how_its_fit_ended():
    run = drive(halving_steps([1]), 9, lambda step: step.size < 0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = Estimator()
        assert model.fit(run) is model
    assert (model.n_iter_, model.converged_) == (2, True)
    assert model.message_ == "converged after 2 steps"


def test_an_estimator_warns_where_it_was_called():
    run = drive(halving_steps([1]), 1, lambda step: False)
    with pytest.warns(ConvergenceWarning, match="not converged after 1 step") as caught:
        model = Estimator().fit(run)
    assert (model.n_iter_, model.converged_) == (1, False)
    line = linecache.getline(caught[0].filename, caught[0].lineno)
    assert line.strip() == "model = Estimator().fit(run)"


def test_a_number_without_a_flag_comes_with_a_warning():
    warn_unless_converged(SimpleNamespace(converged=True, message=""))
    with pytest.warns(ConvergenceWarning, match="too slow"):
        warn_unless_converged(SimpleNamespace(converged=False, message="too slow"))


def test_an_explosion_is_nan_infinite_or_a_million_times_the_reference():
    for loss in (np.nan, np.inf, 2 * EXPLOSION, 1e308):
        assert has_exploded(loss, 1.0)
    for loss in (0.0, 1.0, EXPLOSION):
        assert not has_exploded(loss, 1.0)
    assert has_exploded(np.inf, 1e307)  # the limit itself must not overflow
    assert not has_exploded(1e308, 1e307)
    assert has_exploded(1.0, 0.0)


# Blocks


@given(st.integers(0, 200), st.integers(0, 50), st.integers(1, 400))
def test_blocks_cover_the_rows_once_and_fit(n_rows, row_size, numbers):
    blocks = list(blocks_of_rows(n_rows, row_size, numbers))
    assert [i for block in blocks for i in range(n_rows)[block]] == list(range(n_rows))
    for block in blocks:
        height = block.stop - block.start
        assert height == 1 or height * row_size <= numbers


def test_a_block_fits_the_cache_by_default():
    first = next(blocks_of_rows(10**6, 64))
    assert 0.9 * CACHE <= first.stop * 64 <= CACHE < MEMORY
