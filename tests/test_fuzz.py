"""Awkward input is refused in one sentence, or answered: for every public function of the library.

Each call below is valid. One argument at a time is spoiled: a number of the wrong size, a matrix
with another shape, type, layout or range, something that is no number at all. Whatever comes,

- no argument is modified;
- what is refused is refused on purpose, by a `raise` of ours (or of scikit-learn's checks), in one
  sentence: nothing breaks further inside, in the words of Python or NumPy;
- finite input gives no NaN without a warning, and no warning in NumPy's words.

A part of all combinations is tried every time, the same one; MFLIB_FUZZ=all tries them all.
"""

import contextlib
import copy
import inspect
import linecache
import os
import pickle
import signal
import warnings
import zlib
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning

import mflib
from mflib import completion, datasets, descent, factorization, losses, nmf, sequential
from mflib.completion import ObservedEntries
from mflib.iteration import Iterate, Problem

TRY_ALL = os.environ.get("MFLIB_FUZZ") == "all"
PART = 24  # combinations for each function, otherwise
HAS_CLOCK = hasattr(signal, "setitimer")  # to stop what never ends
ROOMS = ["completion", "datasets", "descent", "eigen", "factorization", "losses", "nmf"]
ROOMS += ["sequential", "svd"]

rng = np.random.default_rng(0)
S = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]])
v = np.array([1.0, 2.0, 3.0])
X = rng.uniform(1, 2, (6, 4))
U, V = rng.uniform(1, 2, (6, 2)), rng.uniform(1, 2, (4, 2))
MASK = rng.uniform(size=X.shape) < 0.8
PAIRS = np.argwhere(MASK)
VALUES = X[MASK]
TABLES = rng.uniform(1, 2, (8, 3, 4)) + np.arange(4)
STATES = rng.standard_normal((8, 3, 2))

OBSERVED = ObservedEntries(PAIRS, VALUES, X.shape)
PROBLEMS = {
    "completion": completion.CompletionProblem(OBSERVED),
    "implicit": completion.ImplicitProblem(OBSERVED),
    "factorization": factorization.FactorizationProblem(X),
    "joint": sequential.JointProblem(TABLES),
    "nmf": nmf.NMFProblem(X),
    "quadratic": descent.Quadratic(S, v),
    "rollout": sequential.RolloutProblem(TABLES),
}
JOINT = (STATES, rng.standard_normal((2, 4)), 0.1 * rng.standard_normal((1, 2, 2)))
ROLLOUT = (STATES[0], JOINT[1], JOINT[2][0])


def objective(problem, start):
    return problem.objective(problem.as_factors(start))


# What constructing an object leads to, so that its arguments meet the data.
USES = {
    "completion.ALS": lambda model: model.fit(PAIRS, VALUES),
    "completion.BayesianALS": lambda model: model.fit(PAIRS, VALUES),
    "completion.ImplicitALS": lambda model: model.fit(PAIRS, VALUES),
    "completion.ImplicitProblem": lambda problem: objective(problem, (U, V)),
    "completion.SGD": lambda model: model.fit(PAIRS, VALUES),
    "completion.CompletionProblem": lambda problem: objective(problem, (U, V)),
    "completion.ObservedEntries": lambda entries: (entries.by_row, entries.by_column),
    "descent.Quadratic": lambda problem: objective(problem, (v,)),
    "factorization.FactorizationProblem": lambda problem: problem.objective(
        problem.as_factors((U, V))
    ),
    "nmf.NMF": lambda model: model.fit(X),
    "nmf.NMFProblem": lambda problem: objective(problem, (U, V.T)),
    "sequential.JointProblem": lambda problem: objective(problem, JOINT),
    "sequential.RolloutProblem": lambda problem: objective(problem, ROLLOUT),
    **{
        f"sequential.{name}": lambda model: model.fit(TABLES).forecast(2)
        for name in ("JointMF", "LastValue", "MeanValue", "RolloutMF", "ScalarAutoregression")
    },
    "sequential.TwoStageMF": lambda model: model.fit(TABLES).forecast(2),
}
MODELS = {
    "completion.ALS": completion.ALS(2, random_state=0).fit(PAIRS, VALUES),
    "completion.SGD": completion.SGD(2, random_state=0).fit(PAIRS, VALUES),
    **{f"losses.{type(loss).__name__}": loss for loss in losses.LOSSES.values()},
    "nmf.NMF": nmf.NMF(2, random_state=0, max_iter=2000).fit(X),
    "sequential.JointMF": sequential.JointMF(2).fit(TABLES),
    "sequential.LastValue": sequential.LastValue().fit(TABLES),
    "sequential.MeanValue": sequential.MeanValue().fit(TABLES),
    "sequential.RolloutMF": sequential.RolloutMF(1, tol=1e-2).fit(TABLES),
    "sequential.ScalarAutoregression": sequential.ScalarAutoregression().fit(TABLES),
    "sequential.TwoStageMF": sequential.TwoStageMF(2).fit(TABLES),
}
PAIR = {"X": PAIRS, "y": VALUES}
TWO = {"X": X, "Y": X + 1}

CALLS = {
    "completion.ALS": {"rank": 2, "random_state": 0},
    "completion.ALS.fit": {
        **PAIR,
        "start": (U, V, np.zeros(6), np.zeros(4)),
    },
    "completion.ALS.predict": {"X": PAIRS},
    "completion.ALS.recommend": {"row": 1, "n": 2},
    "completion.ALS.similar": {"column": 1, "n": 2},
    "completion.BayesianALS": {"rank": 2, "max_iter": 3, "random_state": 0},
    "completion.CompletionProblem": {"entries": OBSERVED},
    "completion.ImplicitALS": {"rank": 2, "max_iter": 3, "random_state": 0},
    "completion.ImplicitProblem": {"entries": OBSERVED},
    "completion.bayesian_als_steps": {
        **{"problem": PROBLEMS["completion"], "start": (U, V), "random_state": 0},
    },
    "completion.implicit_als_steps": {"problem": PROBLEMS["implicit"], "start": (U, V)},
    "completion.ObservedEntries": {"pairs": PAIRS, "values": VALUES, "shape": (6, 4)},
    "completion.ObservedEntries.from_dense": {"X": np.where(MASK, X, np.nan)},
    "completion.SGD": {"rank": 2, "random_state": 0},
    "completion.SGD.fit": PAIR,
    "completion.als_steps": {"problem": PROBLEMS["completion"], "start": (U, V)},
    "completion.initial_factors": {"problem": PROBLEMS["completion"], "rank": 2},
    "completion.sgd_steps": {"problem": PROBLEMS["completion"], "start": (U, V)},
    "datasets.load_photograph": {},
    "datasets.make_faces": {"n_faces": 3},
    "datasets.make_film_club": {"n_people": 9, "n_films": 5, "n_ratings": 20},
    "datasets.make_metro": {"n_steps": 9, "n_stations": 4, "n_intervals": 5},
    "datasets.make_parking": {"n_steps": 9, "n_parks": 4, "n_intervals": 5},
    "datasets.make_swimmer": {},
    "datasets.make_traffic": {"n_sensors": 3, "n_days": 2, "interval": 60},
    "datasets.make_tune": {},
    "descent.Quadratic": {"H": S, "b": v},
    "descent.classify_losses": {"losses": list(0.5 ** np.arange(40))},
    "descent.critical_learning_rate": {"H": S, "random_state": 0},
    "descent.descent_steps": {
        **{"problem": PROBLEMS["factorization"], "start": (U, V)},
        **{"learning_rate": 0.01, "random_state": 0},
    },
    "descent.gradient_descent": {
        **{"problem": PROBLEMS["factorization"], "start": (U, V), "learning_rate": 0.01},
        **{"max_iter": 20, "random_state": 0},
    },
    "descent.largest_curvature": {"H": S, "random_state": 0},
    "eigen.convergence_rate": {"A": S},
    "eigen.davidson_steps": {"A": S, "start": 2, "random_state": 0},
    "eigen.deflate": {"A": S, "eigenvalue": 2.0, "eigenvector": v},
    "eigen.google_matrix": {"links": np.abs(S)},
    "eigen.line_angle": {"u": v, "v": v[::-1]},
    "eigen.orthogonal_iteration": {"A": S, "start": 2, "random_state": 0},
    "eigen.orthogonal_steps": {"A": S, "start": S[:, :2]},
    "eigen.power_iteration": {"A": S, "start": v, "random_state": 0},
    "eigen.power_steps": {"A": S, "start": v, "random_state": 0},
    "eigen.top_eigenpairs": {"A": S, "k": 2, "random_state": 0},
    "factorization.FactorizationProblem": {"X": X, "mask": MASK, "regularization": 0.1},
    "factorization.joint_critical_learning_rate": {"X": X, "random_state": 0},
    **{
        f"{model}.{method}": {"X": MASK * 1.0 if "Logistic" in model else X, "Y": X + 1}
        for model in MODELS
        for method in ("entries", "value", "gradient", "negative_log_likelihood")
        if model.startswith("losses.")
    },
    **{
        f"{model}.{method}": {"Y": X, **({"random_state": 0} if method == "sample" else {})}
        for model in MODELS
        for method in ("mean", "sample", "variance")
        if model.startswith("losses.")
    },
    "losses.SquaredLoss.negative_log_density": TWO,
    "losses.beta_divergence": {**TWO, "beta": 1.5},
    "losses.find_loss": {"loss": "squared"},
    "nmf.NMF": {"n_components": 2, "random_state": 0, "max_iter": 2000},
    "nmf.NMF.fit": {"X": X},
    "nmf.NMF.fit_transform": {"X": X},
    "nmf.NMF.transform": {"X": X},
    "nmf.NMFProblem": {"X": X, "penalty_W": (0.1, 0.1), "penalty_H": (0.1, 0.1)},
    "nmf.initial_factors": {"X": X, "k": 2, "random_state": 0},
    "nmf.nmf_steps": {"problem": PROBLEMS["nmf"], "start": (U, V.T)},
    "sequential.JointMF": {"rank": 2},
    "sequential.JointMF.fit": {"X": TABLES},
    "sequential.JointMF.forecast": {"steps": 2, "X": TABLES},
    "sequential.JointProblem": {"X": TABLES},
    "sequential.LastValue": {},
    "sequential.LastValue.fit": {"X": TABLES},
    "sequential.LastValue.forecast": {"steps": 2},
    "sequential.MeanValue": {},
    "sequential.MeanValue.fit": {"X": TABLES},
    "sequential.MeanValue.forecast": {"steps": 2},
    "sequential.RolloutMF": {"rank": 1, "tol": 1e-2},
    "sequential.RolloutMF.fit": {"X": TABLES},
    "sequential.RolloutMF.forecast": {"steps": 2},
    "sequential.RolloutProblem": {"X": TABLES},
    "sequential.ScalarAutoregression": {},
    "sequential.ScalarAutoregression.fit": {"X": TABLES},
    "sequential.ScalarAutoregression.forecast": {"steps": 2},
    "sequential.TwoStageMF": {"rank": 2},
    "sequential.TwoStageMF.fit": {"X": TABLES},
    "sequential.TwoStageMF.forecast": {"steps": 2, "X": TABLES},
    "sequential.block_missing": {"shape": (8, 3, 4), "share": 0.2, "random_state": 0},
    "sequential.describe_eigenvalues": {"eigenvalues": [0.9, 0.5j, -0.5j]},
    "sequential.fit_transitions": {"W": STATES, "lags": (1,)},
    "sequential.joint_steps": {"problem": PROBLEMS["joint"], "start": JOINT},
    "sequential.random_missing": {"shape": (8, 3, 4), "share": 0.2, "random_state": 0},
    "sequential.rmse": {"actual": TABLES, "forecast": TABLES + 1},
    "sequential.rolling_forecast": {"model": sequential.LastValue(), "X": TABLES, "start": 5},
    "sequential.rollout_steps": {"problem": PROBLEMS["rollout"], "start": ROLLOUT},
    "svd.block_krylov_svd": {"A": X, "k": 2, "random_state": 0},
    "svd.block_power_steps": {"A": X, "start": 2, "random_state": 0},
    "svd.break_even_rank": {"m": 6, "n": 4},
    "svd.eckart_young_error": {"singular_values": v[::-1], "k": 1},
    "svd.left_vectors": {"A": S, "V": np.eye(3), "singular_values": v[::-1]},
    "svd.low_rank_approximation": {"A": X, "k": 2},
    "svd.marchenko_pastur_median": {"beta": 0.5},
    "svd.optimal_hard_threshold": {"shape": (6, 4), "noise": 0.5},
    "svd.pseudo_inverse": {"A": X},
    "svd.randomized_svd": {"A": X, "k": 2, "random_state": 0},
    "svd.storage": {"m": 6, "n": 4, "k": 2},
    "svd.truncated_svd": {"A": X, "k": 2, "random_state": 0},
}

# Called in the innermost loops, with arrays that their callers have checked; or a base of classes.
INNER = {
    *("descent.SmoothProblem", "descent.total_length", "eigen.column_lengths", "eigen.multiply"),
    "eigen.rough_norm",
    *("factorization.factor_gradient", "losses.Loss", "losses.error_at", "losses.loss_at"),
    *("nmf.coordinate_sweep", "nmf.entries_of_product", "nmf.with_data"),
    "sequential.RollingForecast",
}

# A diverging descent goes on for ever; it is the loop that drives it which says that it broke.
DIVERGES = {"completion.bayesian_als_steps", "completion.implicit_als_steps"}
DIVERGES |= {"completion.sgd_steps", "descent.descent_steps"}


def public():
    """Return the names of what the rooms offer: functions, and classes that are constructed."""
    for room in ROOMS:
        module = import_module(f"mflib.{room}")
        listed = getattr(module, "__all__", None)
        for name, thing in vars(module).items():
            if name not in listed if listed else thing_is_of_another(thing, module, name):
                continue
            made_by_us = inspect.isclass(thing) and issubclass(thing, (Iterate, tuple))
            has_arguments = callable(thing) and inspect.signature(thing).parameters
            if has_arguments and not made_by_us:
                yield f"{room}.{name}"


def thing_is_of_another(thing, module, name):
    return name.startswith("_") or getattr(thing, "__module__", None) != module.__name__


def test_every_public_function_is_called():
    assert set(public()) - INNER - CALLS.keys() == set()


def resolve(name):
    """Return the function, the class or the method of a fitted model."""
    room, *path = name.split(",")[0].split(".")
    if len(path) == 2 and ".".join([room, path[0]]) in MODELS:
        return getattr(copy.deepcopy(MODELS[f"{room}.{path[0]}"]), path[1])
    thing = import_module(f"mflib.{room}")
    for part in path:
        thing = getattr(thing, part)
    return thing


class Thing:
    """What no function expects; the class can be called, as a function that watches is."""

    def __init__(self, *args):
        pass


WRONG = {
    "a word": "word",
    "a number as a word": "1",
    "bytes": b"1",
    "None": None,
    "a thing": Thing(),
    "a class": Thing,
    "True": True,
    "an empty list": [],
    "an empty tuple": (),
    "a dictionary": {"a": 1},
    "a set": {1, 2},
    "a ragged list": [[1.0, 2.0], [3.0]],
    "a list of words": ["a", "b"],
    "a complex number": 1 + 2j,
    "NaN": np.nan,
    "infinity": np.inf,
    "minus infinity": -np.inf,
    "0": 0,
    "-1": -1,
    "1": 1,
    "2.5": 2.5,
    "2.0": 2.0,
    "-0.0": -0.0,
    "1e308": 1e308,
    "5e-324": 5e-324,
    "10**18": 10**18,
    "2**70": 2**70,
    "np.int8(2)": np.int8(2),
    "np.float32(0.5)": np.float32(0.5),
    "an array without dimensions": np.array(2),
    "an array of one number": np.array([2.0]),
    "a range": range(3),
    "a generator": None,  # made anew for each call
    "(1, 2)": (1, 2),
    "(2.5, 3)": (2.5, 3),
    "(0, 3)": (0, 3),
    "an empty vector": np.empty(0),
    "no rows": np.empty((0, 3)),
    "no columns": np.empty((3, 0)),
    "four dimensions": np.ones((2, 2, 2, 2)),
    "one entry": np.array([[2.0]]),
    "a series": pd.Series([1.0, 2.0, 3.0]),
    "a date": np.datetime64("2020-01-01"),
    "another problem": PROBLEMS["quadratic"],
}


def put(value):
    """Return a function that puts a value into one entry of an array of floats."""

    def spoil(array):
        array = array.astype(float)
        array.flat[array.size // 2] = value
        return array

    return spoil


SPOILED = {
    "with NaN": put(np.nan),
    "with infinity": put(np.inf),
    "with minus infinity": put(-np.inf),
    "with 1e308": put(1e308),
    "with 1e160": put(1e160),
    "with 5e-324": put(5e-324),
    "with -1": put(-1),
    "zeros": np.zeros_like,
    "ones": np.ones_like,
    "all NaN": lambda a: np.full(a.shape, np.nan),
    "times 1e308": lambda a: a.astype(float) * 1e307,
    "times 1e200": lambda a: a.astype(float) * 1e200,
    "times 1e-200": lambda a: a.astype(float) * 1e-200,
    "times 1e-310": lambda a: a.astype(float) * 1e-310,
    "negative": np.negative,
    "one row more": lambda a: np.concatenate([a, a[:1]]),
    "one row less": lambda a: a[:-1],
    "one row": lambda a: a[:1],
    "transposed": lambda a: a.T,
    "one column": lambda a: a[..., :1],
    "one dimension more": lambda a: a[None],
    "one dimension less": lambda a: a[0],
    "flat": np.ravel,
    "as float32": lambda a: a.astype(np.float32),
    "as float16": lambda a: a.astype(np.float16),
    "as longdouble": lambda a: a.astype(np.longdouble),
    "as whole numbers": lambda a: a.astype(np.int64),
    "as int8": lambda a: a.astype(np.int8),
    "as bool": lambda a: a.astype(bool),
    "as objects": lambda a: a.astype(object),
    "as complex": lambda a: a + 0j,
    "as words": lambda a: a.astype(str),
    "as dates": lambda a: a.astype("timedelta64[s]"),
    "of the other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "by columns": np.asfortranarray,
    "read backwards": lambda a: a[::-1],
    "not writable": None,
    "as lists": np.ndarray.tolist,
    "as a frame": pd.DataFrame,
    "as a matrix": np.asmatrix,
    "masked": lambda a: np.ma.masked_array(a, np.arange(a.size).reshape(a.shape) == 1),
    "masked nowhere": np.ma.masked_array,
    "sparse by rows": sparse.csr_array,
    "sparse by columns": sparse.csc_matrix,
    "sparse in pairs": sparse.coo_array,
    "sparse of whole numbers": lambda a: sparse.csr_array(a.astype(int)),
    "sparse zeros": lambda a: sparse.csr_array(a.shape),
    "an operator": aslinearoperator,
}


def awkward(valid, label):
    """Return a spoiled argument, or the class `Thing` if it makes no sense of the valid one."""
    if label == "a generator":
        return (i for i in range(3))
    if label in WRONG:
        return copy.copy(WRONG[label])
    array = np.array(valid) if isinstance(valid, (np.ndarray, list)) else None
    if array is None and isinstance(valid, tuple) and isinstance(valid[0], np.ndarray):
        first = awkward(valid[0], label)
        return Thing if first is Thing else (first, *map(np.copy, valid[1:]))
    if array is None or not array.ndim:
        return Thing
    if label == "not writable":
        array.flags.writeable = False
        return array
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return SPOILED[label](array)
        except (IndexError, TypeError, ValueError):  # no such form of this array
            return Thing


def combinations(name):
    """Return all arguments of a function with all ways to spoil them, or a part of these."""
    parameters = inspect.signature(resolve(name)).parameters.values()
    names = [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    every = [
        (which, label)
        for which in names
        for label in [*WRONG, *SPOILED]
        if label != "10**18" or (HAS_CLOCK and which not in ("max_iter", "n_iter"))
    ]
    if TRY_ALL:
        return every
    order = np.random.default_rng(zlib.crc32(name.encode())).permutation(len(every))
    return [every[place] for place in order[:PART]]


def fingerprints(arguments):
    """Return a copy of everything in the arguments that a function could write to."""
    found = {}
    for name, value in arguments.items():
        if isinstance(value, (Problem, ObservedEntries)):
            found |= fingerprints({(name, part): content for part, content in vars(value).items()})
            continue
        if isinstance(value, LinearOperator):  # which keeps its transpose, once it was asked for it
            value = value @ np.eye(value.shape[-1])
        elif sparse.issparse(value):  # which notes down whether its indices are in order
            value = [part for part in vars(value).values() if isinstance(part, (np.ndarray, tuple))]
        try:
            found[name] = pickle.dumps(value)
        except (AttributeError, TypeError, pickle.PicklingError):
            found[name] = repr(value)
    return found


def numbers(value, depth=4):
    """Yield all arrays of floats in a result, in its fields, and in fitted attributes."""
    if isinstance(value, (float, complex, np.ndarray, np.generic)):
        value = np.asarray(value)
        if value.dtype.kind in "fc":
            yield value
    elif sparse.issparse(value):
        yield value.tocoo().data
    elif depth and isinstance(value, (list, tuple)):
        for part in value:
            yield from numbers(part, depth - 1)
    elif depth and isinstance(value, dict):
        yield from numbers(list(value.values()), depth - 1)
    elif depth and isinstance(value, (Iterate, BaseEstimator)):
        yield from numbers(vars(value), depth - 1)
        yield from numbers(getattr(value, "objective", None), depth - 1)


def is_finite(value):
    if np.ma.is_masked(value):
        return False
    return all(np.isfinite(array).all() for array in numbers(value))


def is_refusal(error):
    """Say whether the last line that was run is a `raise` of ours, with one sentence.

    What scikit-learn's checks say is left to scikit-learn.
    """
    if str(error) == "Seed must be between 0 and 2**32 - 1":  # NumPy's, and plain enough
        return True
    frame = error.__traceback__
    while frame.tb_next:
        frame = frame.tb_next
    file = frame.tb_frame.f_code.co_filename
    line = linecache.getline(file, frame.tb_lineno).strip()
    ours = line.startswith("raise ") and Path(file).is_relative_to(Path(mflib.__file__).parent)
    one_sentence = 10 < len(str(error)) < 400 and "\n" not in str(error)
    return (ours and one_sentence) or "sklearn" in Path(file).parts


@contextlib.contextmanager
def at_most(seconds):
    """Stop a call that takes so much of the processor, where the system has a clock for it."""
    if not HAS_CLOCK:
        yield
        return

    def stop(*args):
        raise TimeoutError(f"not done after {seconds} seconds")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def answer(name, function, arguments):
    """Return what a call returns, the first iterates of a generator, and what it is used for."""
    result = function(**arguments)
    if isinstance(result, Iterator):
        return list(islice(result, 3))
    return result, USES.get(name, lambda made: None)(result)


def fault(name, which, label):
    """Return what is wrong with a call with one spoiled argument, or ""."""
    function, arguments = resolve(name), copy.deepcopy(CALLS[name])
    default = inspect.signature(function).parameters[which].default
    spoiled = awkward(arguments.get(which, default), label)
    if spoiled is Thing and label != "a class":
        return ""
    arguments[which] = spoiled
    before = fingerprints(arguments)
    try:
        with warnings.catch_warnings(record=True) as caught, at_most(5):
            warnings.simplefilter("always")
            result = list(numbers(answer(name, function, arguments)))
    except (ValueError, TypeError, FloatingPointError) as error:
        if not is_refusal(error):
            return f"{type(error).__name__} from inside: {error}"
        caught, result = [], []
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    after = fingerprints(arguments)  # what is computed once and kept may have been added
    if changed := [name for name in before if after[name] != before[name]]:
        return f"modified: {', '.join(map(str, changed))}"
    told = [
        warning
        for warning in caught
        if issubclass(warning.category, (ConvergenceWarning, DataConversionWarning))
        or "sklearn" in Path(warning.filename).parts
    ]
    foreign = [warning for warning in caught if warning not in told]
    if foreign:
        return f"{foreign[0].category.__name__}: {foreign[0].message}"
    finite = all(map(is_finite, arguments.values())) and name not in DIVERGES
    if finite and not told and any(np.isnan(array).any() for array in result):
        return "a silent NaN"
    return ""


def modify(array):
    array[...] = 0


def lose(array):
    with np.errstate(all="ignore"):
        return np.asarray(array, dtype=float) * 0 / 0


def stumble(array):
    return array.no_such_thing


def add(array):
    return array + "1"


def shout(array):
    raise ValueError("No!\nNo!")


def warn(array):
    warnings.warn("overflow", RuntimeWarning, stacklevel=1)


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (modify, "modified: array"),
        (lambda array: array.sort(), "modified: array"),
        (lose, "a silent NaN"),
        (stumble, "AttributeError: 'numpy.ndarray' object has no attribute 'no_such_thing'"),
        (add, "UFuncTypeError from inside: "),
        (shout, "ValueError from inside: No!"),
        (warn, "RuntimeWarning: overflow"),
        (np.copy, ""),
    ],
)
def test_each_kind_of_fault_is_found(monkeypatch, function, found):
    monkeypatch.setattr(datasets, "tried", function, raising=False)
    which = next(iter(inspect.signature(function).parameters))
    monkeypatch.setitem(CALLS, "datasets.tried", {which: X})
    line = fault("datasets.tried", which, "negative")
    assert line.startswith(found)
    assert bool(line) == bool(found)


@pytest.mark.parametrize("name", CALLS)
def test_a_valid_call_is_answered(name):
    function = resolve(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        result = list(numbers(answer(name, function, copy.deepcopy(CALLS[name]))))
    # No step led to the start, so it has no learning rate, and no draw of the noise.
    no_rate_yet = name in ("completion.bayesian_als_steps", "completion.sgd_steps")
    assert any(np.isnan(array).any() for array in result) == no_rate_yet


@pytest.mark.parametrize("name", CALLS)
def test_awkward_input_is_refused_in_one_sentence_or_answered(name):
    faults = [
        f"{name}({which}={label}): {found}"
        for which, label in combinations(name)
        if (found := fault(name, which, label))
    ]
    assert not faults, "\n".join(faults)
