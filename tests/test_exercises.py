"""Every check accepts the right answers and gives each known mistake its own hint."""

import importlib
import pkgutil

import numpy as np
import pytest

import mflib.exercises
from mflib.exercises.base import Exercise, equal

EXERCISES = {
    f"{module.name}.{name}": exercise
    for module in pkgutil.iter_modules(mflib.exercises.__path__)
    if module.name.startswith("lesson")
    for name, exercise in vars(importlib.import_module(f"mflib.exercises.{module.name}")).items()
    if isinstance(exercise, Exercise)
}
each = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)


@each
def test_right_answers_are_accepted(exercise):
    assert len(exercise.variants) >= 2
    for answer in [exercise.solution, *exercise.variants]:
        verdict = exercise.check(answer)
        assert verdict.status == "right", verdict.message
        assert verdict.message.endswith(exercise.praise)


@each
def test_each_mistake_gets_its_own_hint(exercise):
    assert len(exercise.mistakes) >= 3
    for mistake in exercise.mistakes:
        verdict = exercise.check(mistake.answer)
        assert verdict.status == "wrong"
        assert verdict.message.endswith(mistake.hint)


@each
def test_no_answer_is_no_mistake(exercise):
    stub = ... if exercise.cases is None else lambda *arguments: ...
    for empty in (stub, None, ...):
        assert exercise.check(empty).status == "unanswered"


@each
@pytest.mark.parametrize(
    "nonsense",
    ["text", [], {"a": 1}, np.zeros((2, 2)), np.nan, (np.nan, 1, 1), ("a", "b", "c"), (1, ..., 2)],
)
def test_nonsense_gets_one_sentence(exercise, nonsense):
    answers = [nonsense] if exercise.cases is None else [nonsense, lambda *arguments: nonsense]
    for answer in answers:
        verdict = exercise.check(answer)
        assert verdict.status == "wrong"
        assert "\n" not in verdict.message


def test_an_error_is_told_with_its_input(capsys):
    def divides(A, v):
        return 1 / 0

    EXERCISES["lesson_01.power_step"](divides)
    told = capsys.readouterr().out
    assert told.startswith("Not yet: divides(A=[[3., 2.], [2., 3.]], v=[1., 0.]) stops with ")
    assert "ZeroDivisionError" in told


def test_a_function_that_spoils_its_input_harms_only_itself():
    def in_place(A, v):
        A *= 2
        return A @ v / np.linalg.norm(A @ v)

    exercise = EXERCISES["lesson_01.power_step"]
    assert exercise.check(in_place).status == "right"
    assert exercise.check(exercise.solution).status == "right"


def test_real_numbers_of_complex_type_are_right():
    """From NumPy 2.5 on `np.linalg.eigvals` is complex whatever the eigenvalues are."""
    exercise = EXERCISES["lesson_04.critical_rate"]

    def rate(U, V, which=max):
        return 2 / which(np.linalg.eigvals(U.T @ U).astype(complex), key=abs)

    assert exercise.check(rate).status == "right"
    assert "eigvals lists them in no order" in exercise.check(lambda U, V: rate(U, V, min)).message
    assert not equal(1 + 1e-3j, 1.0)
