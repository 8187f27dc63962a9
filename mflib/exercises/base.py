"""What every exercise is made of: a solution, the inputs to try, and the mistakes people make.

A mistake is a wrong answer that can be run, with the hint that helps whoever gave it. So the tests
can hold every check to its word: the solution and its variants are accepted, and each mistake is
rejected with its own hint.
"""

import inspect
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Mistake:
    """A wrong answer and the hint for it.

    `matches` tells whether a learner's answer is this mistake; by default, when it equals `answer`
    (for a function: when it gives the same on every case). It is asked about functions that stop
    with an error as well.
    """

    answer: Any
    hint: str
    matches: Callable[[Any], bool] | None = None


@dataclass(frozen=True)
class Verdict:
    """The result of a check: "unanswered", "wrong" or "right", with what to tell the learner."""

    status: str
    message: str


def as_floats(answer):
    """Return numbers as floats; from NumPy 2.5 on, `eigvals` makes real ones complex."""
    answer = np.asarray(answer)
    if answer.dtype.kind == "c" and not answer.imag.any():
        answer = answer.real
    return answer.astype(float, casting="same_kind" if answer.dtype.kind == "c" else "unsafe")


def equal(got: Any, wanted: Any) -> bool:
    """Tell whether two answers have the same shape and the same numbers to six digits.

    A pair of arrays of one shape will do as an answer.
    """
    try:
        got, wanted = as_floats(got), as_floats(wanted)
    except (TypeError, ValueError):
        return False
    return got.shape == wanted.shape and np.allclose(got, wanted, 1e-6, 1e-9, equal_nan=True)


def about(got: Any, wanted: float) -> bool:
    """Tell whether an answer is one number, right to two decimals."""
    return np.shape(got) == () and abs(got - wanted) < 0.01


def pair(condition: Callable[..., Any]) -> Callable[..., bool]:
    """Return a test: the answer is a pair, and the condition holds of its two parts.

    What the test is given after the answer is handed on to the condition.
    """
    return lambda answer, *more: np.shape(answer) == (2,) and condition(*answer, *more)


def number_mistakes(
    *rows: tuple[float, str],
    shows: Callable[[Any, float], bool] = about,
    answer: Callable[[float], Any] = float,
) -> list[Mistake]:
    """Return the mistakes of a table whose rows are a wrong number and its hint.

    Parameters
    ----------
    *rows : pairs (number, hint)
    shows : function (answer, number) -> bool
        Whether a learner's answer shows the number; by default, if it is about the number.
    answer : function of a number
        An answer that shows it; by default the number itself.

    Examples
    --------
    >>> doubled, halved = number_mistakes((4, "that is doubled."), (1, "that is halved."))
    >>> halved.answer, halved.hint, halved.matches(1.001), halved.matches(2)
    (1.0, 'that is halved.', True, False)
    """
    return [
        Mistake(answer(number), hint, lambda got, number=number: shows(got, number))
        for number, hint in rows
    ]


def mistakes_with(hint: str, *answers: Any) -> list[Mistake]:
    """Return mistakes that share a hint."""
    return [Mistake(answer, hint) for answer in answers]


def results(function: Callable, cases: Sequence[tuple]) -> list:
    """Return what a function gives on each case, without harm to the cases."""
    with np.errstate(all="ignore"):
        return [function(*deepcopy(case)) for case in cases]


@dataclass(frozen=True)
class Exercise:
    """A check that a learner calls with an answer, and that prints its verdict.

    Parameters
    ----------
    solution
        The right answer: a function, or a value.
    praise : str
        What a right answer shows; printed with it.
    hint : str
        For wrong answers that are no known mistake.
    cases : sequence of tuples
        Arguments to try a function with, simplest first. None if the answer is a value.
    accepts : function (got, wanted) -> bool
        Whether a result is right. By default `equal`.
    mistakes : sequence of Mistake
        The first that matches gives the hint.
    variants : sequence
        Other right answers, for the tests.
    """

    solution: Any
    praise: str
    hint: str
    cases: Sequence[tuple] | None = None
    accepts: Callable[[Any, Any], bool] = equal
    mistakes: Sequence[Mistake] = ()
    variants: Sequence[Any] = ()

    def __call__(self, answer: Any) -> None:
        """Print the verdict on an answer."""
        print(self.check(answer).message)

    def check(self, answer: Any) -> Verdict:
        """Return the verdict on an answer."""
        if answer is None or answer is ...:
            return _UNANSWERED
        return self._check_value(answer) if self.cases is None else self._check_function(answer)

    def _check_value(self, got):
        if self._holds(self.accepts, got, self.solution):
            return self._praise()
        sentence = f"{_text(got)} is not right"
        return self._wrong(sentence, lambda m: equal(got, m.answer), got, self.hint)

    def _check_function(self, function):
        if not callable(function):
            return Verdict("wrong", f"Not yet: {_text(function)} is not a function.")
        got = []
        for case in self.cases:
            called = self._call_text(function, case)
            try:
                with np.errstate(all="ignore"):
                    got.append(function(*deepcopy(case)))
            except Exception as error:
                sentence = f"{called} stops with {type(error).__name__}: {error}"
                return self._wrong(sentence, lambda m: False, function, hint=None)
        if all(result is None or result is ... for result in got):
            name = getattr(function, "__name__", "your function")
            return Verdict(
                "unanswered",
                f"Not answered yet: {name} returns nothing so far (a forgotten `return`?).",
            )
        wanted = results(self.solution, self.cases)
        for case, result, right in zip(self.cases, got, wanted, strict=True):
            if not self._holds(self.accepts, result, right):
                called = self._call_text(function, case)
                return self._wrong(
                    f"{called} gives {_text(result)}, and {_text(right)} is right",
                    lambda m: all(map(equal, got, results(m.answer, self.cases))),
                    function,
                    self.hint,
                )
        return self._praise()

    def _holds(self, condition, *arguments):
        try:
            return bool(condition(*arguments))
        except Exception:  # an answer of another kind or shape, or a function that stops
            return False

    def _praise(self):
        return Verdict("right", f"Right. {self.praise}")

    def _wrong(self, sentence, same_as, answer, hint):
        for mistake in self.mistakes:
            if self._holds(mistake.matches, answer) if mistake.matches else same_as(mistake):
                hint = mistake.hint
                break
        return Verdict("wrong", f"Not yet: {sentence}." + (f" Hint: {hint}" if hint else ""))

    def _call_text(self, function, case):
        names = inspect.signature(self.solution).parameters
        arguments = ", ".join(f"{n}={_text(a)}" for n, a in zip(names, case, strict=True))
        return f"{getattr(function, '__name__', 'your function')}({arguments})"


_UNANSWERED = Verdict("unanswered", "Not answered yet: put your answer in place of the dots.")


def _text(value):
    """Return a value as short text on one line."""
    if isinstance(value, tuple | list) and any(isinstance(v, np.ndarray) for v in value):
        return f"({', '.join(map(_text, value))})"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=4, separator=", ").replace("\n", "")
    if isinstance(value, float):
        return f"{value:.4g}"
    return repr(value)
