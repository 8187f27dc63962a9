"""Every check accepts right answers, and gives known mistakes their own hints and no others."""

import importlib
import inspect
import json
import pkgutil
import re
import time
from pathlib import Path

import numpy as np
import pytest

import mflib.exercises
from mflib.exercises.base import Exercise, alike, equal, results

EXERCISES = {
    f"{module.name}.{name}": exercise
    for module in pkgutil.iter_modules(mflib.exercises.__path__)
    if module.name.startswith("lesson")
    for name, exercise in vars(importlib.import_module(f"mflib.exercises.{module.name}")).items()
    if isinstance(exercise, Exercise)
}
FUNCTIONS = {name: exercise for name, exercise in EXERCISES.items() if exercise.draw}
each = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
each_function = pytest.mark.parametrize("exercise", FUNCTIONS.values(), ids=FUNCTIONS)
POWER_STEP = EXERCISES["lesson_01.power_step"]


def seeds(exercise, n=3):
    return range(n if exercise.draw else 1)


def after(exercise, change):
    """Return the right answer with a change: to the value, or to what the function returns."""
    if exercise.draw is None:
        return change(exercise.solution)
    return lambda *arguments: change(exercise.solution(*arguments))


@each
def test_right_answers_are_accepted(exercise):
    assert len(exercise.variants) >= 2
    for answer in [exercise.solution, *exercise.variants]:
        for seed in seeds(exercise):
            verdict = exercise.check(answer, seed)
            assert verdict.status == "right", verdict.message
            assert verdict.message == f"Right. {exercise.praise}"


@each
def test_each_mistake_gets_its_own_hint(exercise):
    assert len(exercise.mistakes) >= 3
    for mistake in exercise.mistakes:
        for seed in seeds(exercise):
            verdict = exercise.check(mistake.answer, seed)
            assert verdict.status == "wrong"
            assert verdict.message.endswith(mistake.hint)


def as_object(answer):
    return np.array(answer, dtype=object)


@each
@pytest.mark.parametrize(
    "form", [np.float32, np.longdouble, np.asarray, as_object, np.ndarray.tolist]
)
def test_numbers_may_come_in_any_form(exercise, form):
    def change(right):
        if isinstance(right, str):
            return np.str_(right).upper()
        if isinstance(right, tuple):
            return [form(np.asarray(part)) for part in right]
        return form(np.asarray(right))

    for seed in seeds(exercise):
        verdict = exercise.check(after(exercise, change), seed)
        assert verdict.status == "right", verdict.message


@each
@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: (x,), lambda x: np.array([[x]])])
def test_one_number_may_come_in_a_list_or_an_array(exercise, wrap):
    def change(right):
        numeric = not isinstance(right, str | tuple) and np.ndim(right) == 0
        return wrap(right) if numeric else right

    verdict = exercise.check(after(exercise, change), seed=0)
    assert verdict.status == "right", verdict.message


@each
@pytest.mark.parametrize("size", [1e-3, 1e-4, 2e-5])
def test_no_number_is_wrong_and_printed_as_the_right_one(exercise, size):
    def change(right):
        if isinstance(right, str):
            return right + "s"
        if isinstance(right, tuple):
            return tuple(map(change, right))
        return np.asarray(right) * (1 + size) + size

    message = exercise.check(after(exercise, change), seed=0).message
    told = re.search(r" gives (.*), and (.*) is right", message)
    assert not told or told[1] != told[2]
    off = re.search(r", which is off by (\S+)", message)
    assert not off or float(off[1].rstrip(".")) > 0


@each
def test_no_answer_is_no_mistake(exercise):
    stub = ... if exercise.draw is None else lambda *arguments: ...
    for empty in (stub, None, ...):
        assert exercise.check(empty).status == "unanswered"


@each
@pytest.mark.parametrize(
    "nonsense",
    ["text", [], {"a": 1}, np.zeros((2, 2)), np.nan, (np.nan, 1, 1), ("a", "b", "c"), (1, ..., 2)],
)
def test_nonsense_gets_one_sentence(exercise, nonsense):
    answers = [nonsense] if exercise.draw is None else [nonsense, lambda *arguments: nonsense]
    for answer in answers:
        verdict = exercise.check(answer)
        assert verdict.status == "wrong"
        assert "\n" not in verdict.message


@each_function
def test_inputs_are_random_and_their_seed_repeats_them(exercise):
    def draw(seed):
        return list(exercise.draw(np.random.default_rng(seed)))

    first, again, other = draw(1), draw(1), draw(2)
    assert all(
        np.array_equal(a, b, equal_nan=False) or a is b or str(a) == str(b)
        for one, two in zip(first, again, strict=True)
        for a, b in zip(one, two, strict=True)
    )
    assert str(first) != str(other)
    shapes = {tuple(map(np.shape, case)) for case in first}
    assert len(shapes) > 1 or exercise is EXERCISES["lesson_03.matching_loss"]


@each_function
def test_what_the_solution_gives_is_no_mistake_on_all_inputs(exercise):
    """Each mistake differs from the truth somewhere, at every seed: else no hint could be true."""
    for seed in seeds(exercise):
        cases = [*exercise.cases, *exercise.draw(np.random.default_rng(seed))]
        wanted = list(results(exercise.solution, cases))
        assert not any(isinstance(right, Exception) for right in wanted)
        for mistake in exercise.mistakes:
            got = results(mistake.answer, cases)
            assert not all(map(alike, got, wanted)), mistake.hint


@each_function
def test_nan_an_error_and_nothing_are_told_with_the_input(exercise):
    def stops(*arguments):
        raise ValueError("two\nlines")

    def once_nothing(*arguments):
        return exercise.solution(*arguments) if next(calls) else None

    assert "stops with ValueError: two lines" in exercise.check(stops).message
    calls = iter([False] + [True] * 1000)
    assert "returns nothing, and" in exercise.check(once_nothing).message
    names = ", ".join(f"{name}=" for name in inspect.signature(exercise.solution).parameters)
    pattern = "stops\\(" + ".*".join(map(re.escape, names.split(", ")))
    assert re.search(pattern, exercise.check(stops).message)
    assert " gives nan, and " in exercise.check(lambda *arguments: np.nan).message


@each_function
def test_a_function_may_spoil_its_input_and_print(exercise, capsys):
    def spoils(*arguments):
        result = exercise.solution(*arguments)
        for argument in arguments:
            if isinstance(argument, np.ndarray):
                argument[...] = 7
        print("here I am")
        return result

    assert exercise.check(spoils).status == "right"
    assert exercise.check(exercise.solution).status == "right"
    assert not capsys.readouterr().out


def test_what_is_printed_on_the_failing_input_is_told():
    def prints(A, x):
        print("the norm is", np.linalg.norm(x))

    assert POWER_STEP.check(prints).status == "unanswered"
    message = POWER_STEP.check(lambda A, x: prints(A, x) or x).message
    assert "; it prints 'the norm is 1.0'. Hint: " in message


def test_an_endless_loop_is_stopped():
    def loops(A, x):
        while len(x) != 1:
            x = A @ x / np.linalg.norm(A @ x)

    start = time.monotonic()
    verdict = POWER_STEP.check(loops, seconds=0.3)
    assert time.monotonic() - start < 10
    assert verdict.status == "wrong"
    assert "loops(A=[[3., 2.], [2., 3.]], x=[1., 0.]) was stopped" in verdict.message


def test_a_random_input_is_told_with_its_seed(capsys):
    def for_two(A, x):
        return POWER_STEP.solution(A, x) if len(x) == 2 else x

    POWER_STEP(for_two)
    told = capsys.readouterr().out
    seed = int(re.search(r"a random input, of seed=(\d+)", told)[1])
    POWER_STEP(for_two, seed=seed)
    assert capsys.readouterr().out == told
    POWER_STEP(lambda A, x: x)
    assert "seed" not in capsys.readouterr().out


def test_a_function_called_too_early_is_no_function():
    message = POWER_STEP.check(np.array([0.6, 0.8])).message
    assert message == "Not yet: [0.6, 0.8] is not a function."


def test_real_numbers_of_complex_type_are_right():
    """From NumPy 2.5 on `np.linalg.eigvals` is complex whatever the eigenvalues are."""
    exercise = EXERCISES["lesson_04.critical_rate"]

    def rate(U, V, which=max):
        return 2 / which(np.linalg.eigvals(U.T @ U).astype(complex), key=abs)

    assert exercise.check(rate).status == "right"
    assert "smallest eigenvalue" in exercise.check(lambda U, V: rate(U, V, min)).message
    assert not equal(1 + 1e-3j, 1.0)


def stubs():
    """Yield for each check in a lesson its name, and the arguments of the stub before it."""
    for path in sorted((Path(__file__).parents[1] / "notebooks").glob("0*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if called := re.search(r"^check\.(\w+)\((\w+)\)$", source, re.M):
                stub = re.search(rf"^def {called[2]}\((.*)\):$", source, re.M)
                yield f"lesson_{path.name[:2]}.{called[1]}", stub and stub[1].split(", ")


def test_every_exercise_has_a_stub_with_the_names_of_its_solution():
    found = dict(stubs())
    assert found.keys() == EXERCISES.keys()
    for name, arguments in found.items():
        solution = EXERCISES[name].solution
        assert arguments == (list(inspect.signature(solution).parameters) if arguments else None)
        assert callable(solution) == bool(arguments)
