"""What every exercise is made of: a solution, the inputs to try, and the mistakes people make.

A mistake is a wrong answer that can be run, with the hint that helps whoever gave it. So the tests
can hold every check to its word: the solution and its variants are accepted, and each mistake is
rejected with its own hint.

A function is tried on the examples of the exercise and on random inputs of every shape that the
task allows, drawn afresh at each check; a wrong answer is told the seed that draws them again.
"""

import _thread
import inspect
import io
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Mistake:
    """A wrong answer and the hint for it.

    By default a learner's answer is this mistake when it equals `answer`; for a function, when it
    does the same on every input, be it a result or an error. `matches(answer)`, for a function
    `matches(function, cases)`, replaces that where one hint is true of a whole family of answers.
    """

    answer: Any
    hint: str
    matches: Callable[..., bool] | None = None


@dataclass(frozen=True)
class Verdict:
    """The result of a check: "unanswered", "wrong" or "right", with what to tell the learner."""

    status: str
    message: str


def as_floats(answer: Any) -> np.ndarray:
    """Return numbers as an array of floats, those of fewer digits as they are.

    Complex numbers without an imaginary part are real: from NumPy 2.5 on, `eigvals` makes them.

    Raises
    ------
    TypeError, ValueError
        If the answer is something else.
    """
    answer = np.asarray(answer)
    if answer.dtype.kind == "c" and not answer.imag.any():
        answer = answer.real
    if answer.dtype.kind not in "biufO":
        raise TypeError("no numbers")
    return answer if answer.dtype in (np.float16, np.float32) else answer.astype(float)


def equal(got: Any, wanted: Any, tolerance: float = 1e-5) -> bool:
    """Tell whether two answers have the same shape and the same numbers.

    They may differ by `tolerance` times the largest number, or by half of the digits that their
    type has, if that is more. One number in a list or array is a number, and the parts of a tuple
    are compared one by one. Strings are equal in upper or lower case.
    """
    try:
        if isinstance(wanted, str):
            return isinstance(got, str) and got.lower() == wanted.lower()
        if isinstance(wanted, tuple):
            return (
                isinstance(got, tuple | list | np.ndarray)
                and len(got) == len(wanted)
                and all(map(equal, got, wanted, [tolerance] * len(got)))
            )
        got, wanted = as_floats(got), as_floats(wanted)
    except (TypeError, ValueError):
        return False
    if wanted.ndim == 0 and got.size == 1:
        got = got.reshape(())
    if got.shape != wanted.shape:
        return False
    tolerance = max(tolerance, *(np.finfo(x.dtype).eps ** 0.5 for x in (got, wanted)))
    largest = np.max(np.abs(wanted), where=np.isfinite(wanted), initial=0) or 1
    limit = tolerance * largest + 1e-14  # where all should be zero, rounding is no mistake
    return np.allclose(got.astype(float), wanted, 0, limit, equal_nan=True)


def about(got: Any, wanted: float) -> bool:
    """Tell whether an answer is one number, and within 0.01 of another."""
    return np.shape(got) == () and abs(got - wanted) < 0.01


def rounds_to(got: Any, wanted: float, decimals: int = 2) -> bool:
    """Tell whether an answer is right to so many decimals, once both are rounded."""
    return abs(np.round(float(as_floats(got)), decimals) - np.round(wanted, decimals)) < 1e-9


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


def one_decimal(rng: np.random.Generator, *shape: int, zeros: float = 0.2) -> np.ndarray:
    """Return random numbers of one decimal, a share of them zero: short to print, and to type."""
    return np.where(rng.random(shape) < zeros, 0, np.round(rng.normal(0, 2, shape), 1)) + 0.0


def on_each(condition: Callable[..., bool]) -> Callable[..., bool]:
    """Return a test of functions: `condition(result, *case)` holds on each case."""
    return lambda function, cases: all(
        condition(got, *case) for got, case in zip(results(function, cases), cases, strict=True)
    )


def same_where(condition: Callable[..., bool], answer: Callable) -> Callable[..., bool]:
    """Return a test: a function gives what `answer` gives where `condition(*case)` holds."""

    def test(function, cases):
        cases = [case for case in cases if condition(*case)]
        both = zip(results(function, cases), results(answer, cases), strict=True)
        return bool(cases) and all(alike(*pair) for pair in both)

    return test


def right_where(
    condition: Callable[..., bool | None], solution: Callable, tolerance: float = 1e-5
) -> Callable[..., bool]:
    """Return a test: a function is right just where `condition(*case)` holds.

    Where the condition is None, it may be either.

    Examples
    --------
    >>> cases = [(1,), (-2,), (3,)]
    >>> forgets_minus = right_where(lambda x: x > 0, solution=abs)
    >>> forgets_minus(lambda x: x, cases), forgets_minus(lambda x: 1, cases)
    (True, False)
    """

    def test(function, cases):
        both = zip(results(function, cases), results(solution, cases), strict=True)
        return all(
            (expected := condition(*case)) is None or expected == equal(*pair, tolerance)
            for pair, case in zip(both, cases, strict=True)
        )

    return test


def results(function: Callable, cases: Iterable[tuple]) -> Iterator[Any]:
    """Yield what a function gives on each case: a result, or the error with which it stops.

    What it does to its arguments, and prints, is lost.
    """
    return (_result(function, case) for case in cases)


def _result(function, case, printed=None):
    with (
        np.errstate(all="ignore"),
        warnings.catch_warnings(action="ignore"),
        redirect_stdout(printed or io.StringIO()),
    ):
        try:
            return function(*deepcopy(case))
        except Exception as error:
            return error


def alike(got: Any, wanted: Any) -> bool:
    """Tell whether two results are equal, or errors of one type."""
    return type(got) is type(wanted) if isinstance(wanted, Exception) else equal(got, wanted)


@dataclass(frozen=True)
class Exercise:
    """A check that a learner calls with an answer, and that prints its verdict.

    Parameters
    ----------
    solution
        The right answer: a function with the argument names of the stub, or a value.
    praise : str
        What a right answer shows; printed with it.
    hint : str
        For wrong answers that are no known mistake.
    cases : sequence of tuples
        Arguments to try a function with: the example of the exercise first, then simple ones.
    draw : function (numpy.random.Generator) -> tuples
        Random arguments of every shape that the task allows. None if the answer is a value.
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
    cases: Sequence[tuple] = ()
    draw: Callable[[np.random.Generator], Iterable[tuple]] | None = None
    accepts: Callable[[Any, Any], bool] = equal
    mistakes: Sequence[Mistake] = ()
    variants: Sequence[Any] = ()

    def __call__(self, answer: Any, seed: int | None = None) -> None:
        """Print the verdict on an answer; a seed repeats the random inputs of another check."""
        print(self.check(answer, seed).message)

    def check(self, answer: Any, seed: int | None = None, seconds: float = 20) -> Verdict:
        """Return the verdict on an answer; a function that runs longer is stopped."""
        if answer is None or answer is ...:
            return Verdict("unanswered", "Not answered yet: put your answer in place of the dots.")
        if self.draw is None:
            return self._check_value(answer)
        if not callable(answer):
            return _wrong(f"{_text(answer)} is not a function")
        if seed is None:
            seed = int(np.random.default_rng().integers(10_000))
        return self._check_function(answer, seed, seconds)

    def _check_value(self, answer):
        got = _in_the_form_of(self.solution, answer)
        if _holds(self.accepts, got, self.solution):
            return self._praise()
        hint = self._hint(lambda m: m.matches(got) if m.matches else equal(got, m.answer))
        return _wrong(f"{_text(answer, 10)} is not right", hint or self.hint)

    def _check_function(self, function, seed, seconds):
        cases, got = [*self.cases, *self.draw(np.random.default_rng(seed))], []
        try:
            with _time_limit(seconds):
                for case in cases:
                    got.append(_result(function, case))
        except KeyboardInterrupt:
            called = self._call_text(function, cases[len(got)])
            return _wrong(f"{called} was stopped, for it ran too long; does its loop ever end?")
        if all(result is None or result is ... for result in got):
            missing = f"{_name(function)} returns nothing so far (a forgotten `return`?)."
            return Verdict("unanswered", f"Not answered yet: {missing}")
        both = enumerate(zip(got, results(self.solution, cases), strict=True))
        wrong = ((n, wanted) for n, (g, wanted) in both if not _holds(self.accepts, g, wanted))
        first, wanted = next(wrong, (None, None))
        if first is None:
            return self._praise()
        told = self._told(function, cases[first], got[first], wanted)
        drawn = f" (a random input, of seed={seed})" if first >= len(self.cases) else ""
        hint = self._hint(
            lambda m: (
                m.matches(function, cases)
                if m.matches
                else all(map(alike, got, results(m.answer, cases)))
            )
        )
        if not hint and not isinstance(got[first], Exception):
            hint = self.hint
        return _wrong(told + drawn, hint)

    def _told(self, function, case, got, wanted):
        """Return what a function does on a case, and what it should have done."""
        _result(function, case, printed := io.StringIO())
        told = f"{self._call_text(function, case)} {_deviation(got, wanted)}"
        if printed.getvalue():
            told += f"; it prints {shorten(printed.getvalue(), 200)!r}"
        return told

    def _praise(self):
        return Verdict("right", f"Right. {self.praise}")

    def _hint(self, is_made):
        return next((m.hint for m in self.mistakes if _holds(is_made, m)), "")

    def _call_text(self, function, case):
        names = inspect.signature(self.solution).parameters
        arguments = ", ".join(f"{n}={_text(a)}" for n, a in zip(names, case, strict=True))
        return f"{_name(function)}({arguments})"


def _name(function):
    return getattr(function, "__name__", "your function")


@contextmanager
def _time_limit(seconds):
    """Interrupt what runs longer, as the stop button of a notebook does."""
    timer = threading.Timer(seconds, _thread.interrupt_main)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _holds(condition, *arguments):
    try:
        return bool(condition(*arguments))
    except Exception:  # an answer of another kind or shape, or a function that stops
        return False


def _in_the_form_of(solution, answer):
    """Return as many numbers as the solution has in its shape, and anything else as it is."""
    try:
        return as_floats(answer).reshape(np.shape(solution))[()]
    except (TypeError, ValueError):
        return answer


def _wrong(sentence, hint=""):
    end = "" if sentence.endswith("?") else "."
    return Verdict("wrong", f"Not yet: {sentence}{end}" + (f" Hint: {hint}" if hint else ""))


def _deviation(got, wanted):
    """Return how a result differs from the right one, in words."""
    if isinstance(got, Exception):
        return shorten(f"stops with {type(got).__name__}: {got}", 300)
    if got is None:
        return f"returns nothing, and {_text(wanted)} is right"
    try:
        parts = zip(got, wanted, strict=True) if isinstance(wanted, tuple) else [(got, wanted)]
        parts = [
            (as_floats(part) if np.ndim(right) else _in_the_form_of(right, part), right)
            for part, right in parts
        ]
        if all(_text(part) == _text(right) for part, right in parts):
            largest = max(np.max(np.abs(part - right)) for part, right in parts)
            return f"gives {_text(got)}, which is off by {largest:.1g}"
    except (TypeError, ValueError):
        pass  # of another kind: that shows
    return f"gives {_text(got)}, and {_text(wanted)} is right"


def _text(value, digits=4):
    """Return a value as short text on one line; what is only rounding beside the rest is 0."""
    if isinstance(value, tuple | list) and value:
        inner = ", ".join(_text(part, digits) for part in value)
        text = f"[{inner}]" if isinstance(value, list) else f"({inner})"
    elif isinstance(value, np.ndarray) and value.ndim:
        if value.dtype.kind == "f":
            largest = np.max(np.abs(value), where=np.isfinite(value), initial=0)
            value = np.where(np.abs(value) < 1e-13 * largest, 0, value)
        text = np.array2string(value, precision=digits, separator=", ")
    elif isinstance(value, np.generic | np.ndarray):
        text = _text(value.item(), digits)
    elif isinstance(value, float):
        text = f"{value:.{digits}g}"
    else:
        text = getattr(value, "__name__", None) or repr(value)
    return shorten(text, 300, placeholder=" …")
