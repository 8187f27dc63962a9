"""Lesson 5: three algorithms lower the same objective, and each starts where another stopped."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import subspace_angles
from scipy.optimize import approx_fprime

from mflib.completion import (
    BiasedFactors,
    CompletionProblem,
    ImplicitProblem,
    ObservedEntries,
    als_steps,
    bayesian_als_steps,
    implicit_als_steps,
    initial_factors,
    sgd,
    sgd_steps,
)
from mflib.completion.bayesian import draw_prior, draw_rows
from mflib.descent import descent_steps
from mflib.eigen import orthogonal_steps
from mflib.factorization import FactorizationProblem
from mflib.iteration import nth, take
from mflib.least_squares import eliminate_rows
from mflib.losses import CANONICAL, find_loss

seeds = st.integers(0, 2**32 - 1)


def observe(seed=0, shape=(12, 9), n_entries=60, loss="squared"):
    """Return entries at random places, some twice, some rows empty."""
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, shape, (n_entries, 2))
    values = {
        "squared": rng.normal(3, 1, n_entries),
        "logistic": rng.integers(0, 2, n_entries),
        "poisson": rng.poisson(2, n_entries),
    }[loss]
    return ObservedEntries(pairs, values, shape)


def begin(entries, k=3, *, dtype=np.float64, scale=0.5, random_state=0, **options):
    """Return a problem and a random start."""
    problem = CompletionProblem(entries, **options)
    return problem, initial_factors(problem, k, scale=scale, dtype=dtype, random_state=random_state)


def gradient_steps(problem, start, learning_rate=1e-3):
    return descent_steps(problem, start, learning_rate, updates="simultaneous")


METHODS = [als_steps, sgd_steps, gradient_steps]  # of an optimum

# Observed entries


@given(seeds, st.integers(1, 40))
def test_both_views_hold_every_entry(seed, n_entries):
    entries = observe(seed, n_entries=n_entries)
    expected = sorted(zip(entries.rows, entries.columns, entries.values, strict=True))
    for X, order in ((entries.by_row, (0, 1)), (entries.by_column, (1, 0))):
        index = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), X.indices
        found = sorted(zip(index[order[0]], index[order[1]], X.data, strict=True))
        assert found == expected
    assert_array_equal(entries.row_counts, np.diff(entries.by_row.indptr))
    assert_array_equal(entries.column_counts, np.diff(entries.by_column.indptr))


def test_a_table_with_gaps_gives_the_entries_that_it_has():
    X = np.array([[1, np.nan, 0], [np.nan, 2, np.nan]])
    for table in (X, pd.DataFrame(X), np.ma.masked_invalid(X)):
        entries = ObservedEntries.from_dense(table)
        assert entries.pairs.tolist() == [[0, 0], [0, 2], [1, 1]]
        assert_array_equal(entries.by_row.toarray(), np.nan_to_num(X))
    assert repr(entries) == "<3 observed entries of a 2×3 matrix (50.00%)>"


def test_a_change_of_type_leaves_the_old_entries():
    entries = observe()
    view = entries.by_row
    single = entries.astype(np.float32)
    assert single.by_row.dtype == np.float32
    assert entries.by_row is view
    assert_allclose(single.values, entries.values, rtol=1e-6)


@given(seeds)
def test_labels_are_numbered_in_their_order(seed):
    rng = np.random.default_rng(seed)
    pairs = rng.integers(-9, 9, (20, 2))
    names = pairs.astype(str)
    entries = ObservedEntries(names, np.arange(20.0))
    assert (np.sort(entries.row_labels) == entries.row_labels).all()
    assert_array_equal(entries.row_labels[entries.rows], names[:, 0])
    assert_array_equal(entries.column_labels[entries.columns], names[:, 1])


PAIRS = [[0, 0], [1, 2]]
ENTRIES = observe()
PROBLEM, START = begin(ENTRIES)
SHORT = np.ones((2, 1)), np.ones((9, 1))


def refuse_loss(loss):
    return als_steps(*begin(observe(loss=loss), loss=loss))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: ObservedEntries([0, 1], [1]), r"pairs has shape \(2,\); shape \(n_entries, 2\)"),
        (lambda: ObservedEntries(np.empty((0, 2)), []), "pairs is empty; one observed entry"),
        (lambda: ObservedEntries([[0, -1]], [1]), "pairs holds -1; rows and columns count from 0"),
        (lambda: ObservedEntries([[0, 0.5]], [1]), "pairs holds entries that are no whole numbers"),
        (lambda: ObservedEntries([[0, np.nan]], [1]), "pairs holds entries that are no whole"),
        (
            lambda: ObservedEntries([["a"]], [1]),
            r"pairs has shape \(1, 1\); shape \(n_entries, 2\)",
        ),
        (lambda: ObservedEntries([[0, 2**40]], [1]), "pairs holds 1099511627776; positions end at"),
        (
            lambda: ObservedEntries([[0, 1], [1_500_000_000, 1], [2, 2]], [1, 2, 3]),
            r"pairs holds 1500000000, but only 3 entries. Large ids are labels: hand",
        ),
        (lambda: ObservedEntries(PAIRS, [1]), r"values has shape \(1,\); \(2,\) is needed"),
        (lambda: ObservedEntries(PAIRS, [1, np.nan]), "values has 1 entry that is NaN or infinite"),
        (lambda: ObservedEntries(PAIRS, [1, 2], (2, 2)), r"shape is \(2, 2\); at least \(2, 3\)"),
        (
            lambda: ObservedEntries(PAIRS, np.ma.masked_equal([1, -1], -1)),
            "values has masked entries; values for all of them are needed here",
        ),
        (lambda: ObservedEntries(PAIRS, ["a", "b"]), "values holds entries of type object; real n"),
        (lambda: ObservedEntries(PAIRS, [1, 2], 3), "shape is 3; a tuple of 2 whole numbers"),
        (lambda: ObservedEntries(PAIRS, [1, 2], (2.5, 3)), "a side of shape is 2.5; a whole"),
        (lambda: ObservedEntries(PAIRS, [1, 1e50]).astype(np.float32), "values are too large for"),
        (lambda: ObservedEntries.from_dense([[1, np.inf]]), "X has 1 entry that is NaN or infin"),
        (lambda: ObservedEntries.from_dense([[np.nan]]), "pairs is empty"),
        (lambda: CompletionProblem(PAIRS), "entries is a list; ObservedEntries is needed"),
        (lambda: begin(ENTRIES, regularization=-1), "regularization is -1; at least 0 is needed"),
        (lambda: begin(ENTRIES, weighting="n"), "weighting is 'n'; use one of 'count', 'constant'"),
        (lambda: begin(ENTRIES, loss="hinge"), "loss is 'hinge'; use one of 'squared', 'log"),
        (lambda: begin(ENTRIES, loss="absolute"), "loss is 'absolute'; use one of 'squared', 'log"),
        (lambda: begin(ENTRIES, loss="logistic"), "values has 60 entries outside the domain"),
        (lambda: begin(ENTRIES, biases=2), "biases is 2; True or False is needed"),
        (lambda: begin(ENTRIES, 0), "rank is 0; at least 1 is needed"),
        (lambda: begin(ENTRIES, dtype=int), "dtype is <class 'int'>; float32 or float64"),
        (lambda: ENTRIES.astype(int), "dtype is <class 'int'>; float32 or float64"),
        (lambda: als_steps(PROBLEM, START, solver="c"), "solver is 'c'; use one of 'numpy', 'co"),
        (
            lambda: als_steps(*begin(ENTRIES, regularization=0), solver="compiled"),
            "solver='compiled' needs regularization > 0",
        ),
        (lambda: refuse_loss("poisson"), "loss is 'poisson'; least squares need 'squared'"),
        (lambda: sgd_steps(PROBLEM, START, learning_rate=0), "learning_rate is 0; a number above"),
        (lambda: sgd_steps(PROBLEM, START, decay=-1), "decay is -1; at least 0 is needed"),
        (
            lambda: gradient_steps(*begin(ENTRIES, non_negative=True)),
            "gradient descent keeps no factor non-negative; ALS and SGD do",
        ),
        (
            lambda: sgd_steps(*begin(ENTRIES, weighting="constant")),
            "weighting is 'constant'; SGD applies λ at every entry, which is 'count'",
        ),
        (
            lambda: als_steps(PROBLEM, SHORT),
            r"the start has factors of shapes \(2, 1\) and \(9, 1\)",
        ),
        (
            lambda: sgd_steps(PROBLEM, begin(ENTRIES, biases=True)[1]),
            r"the start has factors of shapes \(12, 3\) and \(9, 3\) and \(12,\) and \(9,\)",
        ),
    ],
)
def test_bad_input_is_refused_when_it_is_handed_in(call, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        call()


@pytest.mark.parametrize("odd", [None, pd.NA, np.nan, pd.NaT, 2, {"a": 1}])
def test_labels_have_an_order(odd):
    with pytest.raises(TypeError, match=r"^pairs holds labels that are missing or have no order; "):
        ObservedEntries([["Ann", "Up"], [odd, "Up"]], [1, 2])


# An iterate is a start


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("before", METHODS)
@pytest.mark.parametrize("after", METHODS)
def test_each_method_goes_on_where_another_stopped(before, after, dtype, biases):
    problem, start = begin(observe(4, (30, 20), 400), dtype=dtype, biases=biases)
    reached = nth(before(problem, start), 3)
    iterates = take(after(problem, reached), 3)
    for found, factor in zip(iterates[0].factors, reached.factors, strict=True):
        assert_array_equal(found, factor)
        assert found.dtype == dtype
    assert iterates[0].objective == pytest.approx(reached.objective, rel=1e-5)
    assert iterates[2].objective < reached.objective
    assert all(type(step.factors) is type(start) for step in iterates)
    assert {factor.dtype for factor in iterates[2].factors} == {np.dtype(dtype)}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("biases", [False, True])
def test_the_start_and_every_iterate_stay_as_they_were(method, biases):
    problem, start = begin(ENTRIES, biases=biases)
    before = flat(start)
    iterates = take(method(problem, start), 3)
    copies = [flat(step.factors) for step in iterates]
    assert_array_equal(copies[0], before)
    assert not np.array_equal(copies[1], copies[2])
    nth(method(problem, iterates[1]), 2)
    for step, copy in zip(iterates, copies, strict=True):
        assert_array_equal(flat(step.factors), copy)
        with pytest.raises(ValueError, match="read-only"):
            step.V[:] = 0


def test_a_step_says_in_one_line_what_it_is():
    assert repr(nth(als_steps(PROBLEM, START), 2)).startswith("<ALS step 2: loss ")
    step = nth(sgd_steps(*begin(ENTRIES, biases=True)), 1)
    assert "learning_rate 0.01" in repr(step)
    assert "row_bias 12, column_bias 9" in repr(step)


# Alternating least squares


@pytest.mark.parametrize("weighting", ["constant", "count"])
@pytest.mark.parametrize("solver", ["numpy", "compiled", "non-negative"])
@given(seeds, st.booleans(), st.sampled_from([0.01, 1.0]), st.integers(1, 12))
@settings(max_examples=15)
def test_no_step_of_als_increases_the_objective(solver, weighting, seed, biases, strength, k):
    non_negative = solver == "non-negative"
    options = {"biases": biases, "non_negative": non_negative, "weighting": weighting}
    problem, start = begin(
        observe(seed), k, random_state=seed % 2**31, regularization=strength, **options
    )
    steps = take(als_steps(problem, start, solver="numpy" if non_negative else solver), 7)
    for before, after in pairwise(steps):
        assert after.objective <= before.objective * (1 + 1e-10)
    if non_negative:
        assert min(steps[-1].U.min(), steps[-1].V.min()) >= 0


@given(seeds, st.sampled_from([np.float32, np.float64]), st.booleans())
@settings(max_examples=15)
def test_both_solvers_do_the_same(seed, dtype, biases):
    problem, start = begin(observe(seed), dtype=dtype, biases=biases, regularization=0.5)
    found, expected = (
        flat(nth(als_steps(problem, start, solver=solver), 3).factors)
        for solver in ("compiled", "numpy")
    )
    assert_allclose(found, expected, rtol=1e-4, atol=1e5 * np.finfo(dtype).eps)


def test_the_compiled_solver_is_compiled_once_for_a_type():
    compiler = pytest.importorskip("numba").core.dispatcher.Dispatcher
    problem, start = begin(ENTRIES)
    step = nth(als_steps(problem, start, solver="compiled"), 2)
    solve = eliminate_rows.ready()
    assert isinstance(solve, compiler)
    known = len(solve.signatures)
    nth(als_steps(problem, step, solver="compiled"), 2)  # from arrays that cannot be written to
    nth(als_steps(problem, map(np.asfortranarray, start), solver="compiled"), 2)
    nth(als_steps(*begin(ENTRIES, biases=True), solver="compiled"), 2)
    assert len(solve.signatures) == known


@given(seeds, st.integers(1, 5))
@settings(max_examples=30)
def test_on_complete_data_als_is_orthogonal_iteration(seed, k):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((9, 7))
    problem = CompletionProblem(ObservedEntries.from_dense(X), regularization=0)
    V = rng.standard_normal((7, k))
    steps = zip(
        als_steps(problem, (np.zeros((9, k)), V)), orthogonal_steps(X.T @ X, V), strict=False
    )
    previous = V
    for step, block in take(steps, 8):
        assert subspace_angles(step.V, block.eigenvectors).max() < 1e-5
        if step.n_iter:
            assert subspace_angles(step.U, X @ previous).max() < 1e-5
        previous = step.V


def test_als_finds_the_best_rank_k_approximation_of_complete_data():
    X = np.random.default_rng(0).standard_normal((10, 8))
    problem, start = begin(ObservedEntries.from_dense(X), regularization=0)
    step = nth(als_steps(problem, start), 300)
    sizes = np.linalg.svd(X, compute_uv=False)
    assert step.loss == pytest.approx((sizes[3:] ** 2).sum() / 2, rel=1e-8)


def test_als_recovers_an_exactly_low_rank_matrix():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((40, 2)) @ rng.standard_normal((2, 30))
    entries = ObservedEntries.from_dense(np.where(rng.random(X.shape) < 0.4, X, np.nan))
    problem, start = begin(entries, 2, regularization=0.01)
    near = nth(als_steps(problem, start), 30)
    step = nth(als_steps(CompletionProblem(entries, regularization=1e-12), near), 100)
    assert_allclose(step.U @ step.V.T, X, atol=1e-5)


@pytest.mark.parametrize("solver", ["numpy", "compiled", "non-negative"])
def test_single_precision_gives_the_same_factors_to_rounding(solver):
    results, entries = [], observe(3, (30, 20), 400)
    for dtype in (np.float32, np.float64):
        problem, start = begin(
            entries, biases=True, dtype=dtype, non_negative=solver == "non-negative"
        )
        step = nth(als_steps(problem, start, solver=solver.replace("non-negative", "numpy")), 5)
        assert {factor.dtype for factor in step.factors} == {np.dtype(dtype)}
        results.append(problem.scores(step.factors, entries.rows, entries.columns))
    assert_allclose(results[0], results[1], rtol=5e-3)


@example(15421, np.float32, -5.0, 2)  # of two directions one counts a ten thousandth
@given(seeds, st.sampled_from([np.float32, np.float64]), st.floats(-18, -4), st.integers(1, 15))
def test_als_descends_however_small_the_regularization(seed, dtype, exponent, k):
    options = {"regularization": 10**exponent, "weighting": "constant"}
    problem, start = begin(
        observe(seed, n_entries=40), k, dtype=dtype, random_state=seed % 2**31, **options
    )
    steps = take(als_steps(problem, start), 8)
    objectives = [step.objective for step in steps]
    # Where λ is hardly above the rounding of the Gram matrices, the solutions have half the digits,
    # and so have predictions from large factors, whose products cancel.
    largest = max(np.linalg.norm(step.U) * np.linalg.norm(step.V) for step in steps)
    assert np.diff(objectives).max() <= np.finfo(dtype).eps ** 0.5 * (objectives[0] + largest)


# The objective and its gradient


def flat(factors):
    return np.concatenate([factor.ravel() for factor in factors])


def unflat(numbers, like):
    cuts = np.cumsum([factor.size for factor in like])[:-1]
    pieces = zip(np.split(numbers, cuts), like, strict=True)
    return like._make(piece.reshape(factor.shape) for piece, factor in pieces)


@pytest.mark.parametrize("loss", CANONICAL)
@pytest.mark.parametrize("weighting", ["constant", "count"])
@pytest.mark.parametrize("biases", [False, True])
def test_the_gradient_agrees_with_finite_differences(loss, weighting, biases):
    options = {"regularization": 0.7, "weighting": weighting, "biases": biases}
    problem, start = begin(observe(1, loss=loss), loss=loss, **options)
    numbers = flat(start) + 0.1
    value, gradient = problem.loss_and_gradient(unflat(numbers, start))
    expected = approx_fprime(numbers, lambda z: problem.objective(unflat(z, start)), 1e-7)
    assert_allclose(flat(gradient), expected, rtol=1e-4, atol=1e-4)
    assert value == pytest.approx(problem.loss(unflat(numbers, start)))
    assert type(gradient) is type(start)


def test_with_a_constant_penalty_and_no_duplicates_it_is_the_problem_of_lesson_4():
    X = np.where(np.random.default_rng(0).random((6, 5)) < 0.7, np.arange(30).reshape(6, 5), np.nan)
    options = {"weighting": "constant", "regularization": 0.3}
    problem, start = begin(ObservedEntries.from_dense(X), 2, **options)
    dense = FactorizationProblem(X, mask=~np.isnan(X), regularization=0.3)
    assert problem.loss(start) == pytest.approx(dense.loss(start))
    assert problem.objective(start) == pytest.approx(dense.objective(start))
    assert_allclose(flat(problem.gradient(start)), flat(dense.gradient(start)))


@pytest.mark.parametrize("loss", CANONICAL)
def test_the_model_is_the_formula(loss):
    problem, start = begin(observe(2, loss=loss), loss=loss, biases=True)
    U, V, b, c = factors = BiasedFactors(*(factor + 0.1 for factor in start))
    entries = problem.entries
    scores = problem.mean + b[:, None] + c + U @ V.T
    observed = scores[entries.rows, entries.columns]
    assert_allclose(problem.scores(factors, entries.rows, entries.columns), observed)
    assert problem.loss(factors) == pytest.approx(find_loss(loss).value(entries.values, observed))
    at_mean = find_loss(loss).mean(problem.mean)
    assert at_mean == pytest.approx(entries.values.mean())


@pytest.mark.parametrize(("weighting", "share"), [("count", 1), ("constant", 0)])
def test_the_penalty_is_weighted_by_counts_if_asked_for(weighting, share):
    problem, (U, V, b, c) = begin(ENTRIES, biases=True, regularization=0.3, weighting=weighting)
    b, c = b + 0.2, c - 0.3
    rows, columns = (
        np.maximum(counts, 0) ** share for counts in (ENTRIES.row_counts, ENTRIES.column_counts)
    )
    expected = rows @ ((U**2).sum(axis=1) + b**2) + columns @ ((V**2).sum(axis=1) + c**2)
    assert problem.penalty(BiasedFactors(U, V, b, c)) == pytest.approx(0.15 * expected)


# Stochastic gradient descent


@pytest.mark.parametrize("loss", CANONICAL)
@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("non_negative", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_epoch_is_the_formula_entry_by_entry(loss, biases, non_negative, dtype):
    rate, strength = 0.05, 0.2
    entries, entry_loss = observe(3, loss=loss), find_loss(loss)
    options = {"biases": biases, "non_negative": non_negative, "regularization": strength}
    problem, start = begin(entries, loss=loss, dtype=dtype, **options)
    step = nth(sgd_steps(problem, start, learning_rate=rate, random_state=5), 1)
    U, V = start.U.astype(float), start.V.astype(float)
    b, c = np.zeros(12), np.zeros(9)
    running_loss = 0
    for n in np.random.RandomState(5).permutation(len(entries)):
        i, j, x = entries.rows[n], entries.columns[n], entries.values[n]
        score = problem.mean + b[i] + c[j] + U[i] @ V[j]
        error = entry_loss.mean(score) - x
        running_loss += entry_loss.value(x, score)
        u = U[i] - rate * (error * V[j] + strength * U[i])
        V[j] = V[j] - rate * (error * U[i] + strength * V[j])
        U[i] = u
        if non_negative:
            U[i], V[j] = np.maximum(U[i], 0), np.maximum(V[j], 0)
        if biases:
            b[i] -= rate * (error + strength * b[i])
            c[j] -= rate * (error + strength * c[j])
    tolerance = float(1e3 * np.finfo(dtype).eps)
    for found, factor in zip(step.factors, (U, V, b, c), strict=False):
        assert found.dtype == dtype
        assert_allclose(found, factor, rtol=tolerance, atol=tolerance)
    assert step.running_loss == pytest.approx(running_loss, rel=tolerance)
    assert step.learning_rate == rate


@pytest.mark.parametrize("loss", CANONICAL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_compiled_loop_and_the_plain_one_agree(monkeypatch, loss, dtype):
    problem, start = begin(observe(4, loss=loss), loss=loss, biases=True, dtype=dtype)
    compiled = nth(sgd_steps(problem, start, random_state=0), 4)
    for name in ("visit_entries", "error_at", "loss_at"):
        monkeypatch.setattr(sgd, name, getattr(sgd, name).__wrapped__)
    slow = nth(sgd_steps(problem, start, random_state=0), 4)
    found, expected = flat(compiled.factors), flat(slow.factors)
    assert_allclose(found, expected, rtol=1e-4, atol=100 * np.finfo(dtype).eps)
    assert compiled.running_loss == pytest.approx(slow.running_loss, rel=1e-5)


def test_the_learning_rate_follows_its_schedule():
    steps = take(sgd_steps(PROBLEM, START, learning_rate=0.1, decay=0.5), 4)
    assert [step.learning_rate for step in steps][1:] == pytest.approx([0.1, 0.1 / 1.5, 0.05])


# All three together


@pytest.mark.parametrize("biases", [False, True])
def test_all_three_reach_the_same_objective(biases):
    rng = np.random.default_rng(0)
    X = 1 + 1.5 * rng.standard_normal((30, 2)) @ rng.standard_normal((2, 20))
    X += 0.3 * rng.standard_normal(X.shape)
    entries = ObservedEntries.from_dense(np.where(rng.random(X.shape) < 0.6, X, np.nan))
    problem, start = begin(entries, 2, biases=biases, scale=0.3)
    exact = nth(als_steps(problem, start), 100)
    batch = nth(gradient_steps(problem, start, 0.01), 2000)
    steps = sgd_steps(problem, start, learning_rate=0.02, decay=0.02, random_state=0)
    one_by_one = nth(steps, 2000)
    assert batch.objective == pytest.approx(exact.objective, rel=1e-6)
    assert one_by_one.objective == pytest.approx(exact.objective, rel=1e-4)
    assert one_by_one.loss == pytest.approx(exact.loss, rel=2e-3)

    # The catch: with λ as it stands, not times the counts, least squares ends elsewhere.
    constant = CompletionProblem(entries, biases=biases, weighting="constant")
    assert nth(als_steps(constant, start), 100).loss < 0.98 * exact.loss


@pytest.mark.parametrize("loss", ["logistic", "poisson"])
def test_gradient_and_stochastic_descent_agree_for_other_losses(loss):
    problem, start = begin(observe(7, (30, 20), 400, loss), 2, loss=loss, biases=True)
    batch = nth(gradient_steps(problem, start, 0.02), 3000)
    steps = sgd_steps(problem, start, learning_rate=0.05, decay=0.02, random_state=0)
    assert nth(steps, 3000).objective == pytest.approx(batch.objective, rel=1e-2)


@pytest.mark.parametrize("method", [als_steps, sgd_steps])
def test_factors_stay_non_negative_if_they_shall(method):
    problem, start = begin(observe(5), non_negative=True, biases=True)
    steps = take(method(problem, start), 20)
    assert min(min(step.U.min(), step.V.min()) for step in steps) >= 0
    assert steps[-1].objective < steps[0].objective


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("biases", [False, True])
def test_more_columns_than_the_matrix_has_are_no_trouble(method, biases):
    problem, start = begin(observe(8, (3, 2), 5), 7, biases=biases)
    steps = take(method(problem, start), 21)
    assert np.isfinite(steps[-1].objective)
    assert steps[-1].objective < steps[0].objective


# Bayesian: draws instead of minima


def is_mean(draws, expected):
    """Tell whether draws average to what is expected, within five standard errors."""
    errors = draws.std(axis=0) / len(draws) ** 0.5
    return (np.abs(draws.mean(axis=0) - expected) <= 5 * errors).all()


@pytest.mark.parametrize("seed", range(3))
def test_rows_are_drawn_from_their_exact_conditional(seed):
    rng = np.random.default_rng(seed)
    n_draws, n, k, noise = 20_000, 5, 3, 0.7
    V, prior_mean = rng.standard_normal((n, k)), rng.standard_normal(k)
    root = rng.standard_normal((k, k))
    precision = root @ root.T + np.eye(k)
    columns, x = [0, 2, 3], rng.standard_normal(3)
    table = np.tile(columns, n_draws), 3 * np.arange(n_draws + 1)
    values, mask = (
        sparse.csr_array((np.tile(data, n_draws), *table), shape=(n_draws, n))
        for data in (x, np.ones(3))
    )
    draws = draw_rows(values, mask, V, (prior_mean, precision), noise, np.random.RandomState(seed))
    seen = V[columns]
    A = seen.T @ seen / noise**2 + precision
    mean = np.linalg.solve(A, seen.T @ x / noise**2 + precision @ prior_mean)
    assert is_mean(draws, mean)
    centred = draws - mean
    assert is_mean(centred[:, :, None] * centred[:, None, :], np.linalg.inv(A))


def test_priors_are_drawn_from_their_exact_conditional():
    rng = np.random.default_rng(0)
    m, k, units = 6, 2, [0.5, 2.0]
    rows = rng.standard_normal((m, k)) @ [[2.0, 0.3], [0.0, 0.5]] + [1.0, -2.0]
    random_state = np.random.RandomState(0)
    means, precisions = map(
        np.array, zip(*(draw_prior(rows, units, random_state) for _ in range(4000)), strict=True)
    )
    mean = rows.mean(axis=0)
    scatter = (
        np.cov(rows.T, bias=True) * m + np.diag(units) + 2 * m / (2 + m) * np.outer(mean, mean)
    )
    assert is_mean(precisions, (m + k) * np.linalg.inv(scatter))
    assert is_mean(means, rows.sum(axis=0) / (2 + m))
    centred = means - rows.sum(axis=0) / (2 + m)
    covariance = scatter / (m - 1) / (2 + m)  # the mean of an inverse Wishart matrix
    assert is_mean(centred[:, :, None] * centred[:, None, :], covariance)


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("size", [1e-6, 1e6])
def test_draws_follow_the_unit_of_the_data(biases, size):
    entries = observe(3, (15, 12), 120)
    problem, start = begin(entries, 2, biases=biases)
    scaled = ObservedEntries(entries.pairs, size * entries.values, entries.shape)
    sizes = (size**0.5, size**0.5, size, size)
    other = [c * factor for c, factor in zip(sizes, start, strict=False)]
    found = nth(bayesian_als_steps(problem, start, random_state=0), 5)
    steps = bayesian_als_steps(CompletionProblem(scaled, biases=biases), other, random_state=0)
    step = nth(steps, 5)
    assert step.noise == pytest.approx(size * found.noise)
    for c, factor, expected in zip(sizes, step.factors, found.factors, strict=False):
        assert_allclose(factor, c * expected, rtol=1e-6)


def test_draws_are_refused_for_other_models():
    with pytest.raises(
        ValueError, match=r"^draws need the squared loss and factors that may be ne"
    ):
        bayesian_als_steps(*begin(ENTRIES, non_negative=True))
    with pytest.raises(ValueError, match=r"^draws need the squared loss"):
        bayesian_als_steps(*begin(observe(loss="poisson"), loss="poisson"))
    with pytest.raises(ValueError, match=r"^the loss of the start is (inf|nan); a finite"):
        bayesian_als_steps(PROBLEM, [1e200 * factor for factor in START])


# Implicit feedback: all entries count


def counts(seed=0, shape=(9, 7), n_entries=25):
    rng = np.random.default_rng(seed)
    return ObservedEntries(
        rng.integers(0, shape, (n_entries, 2)), rng.uniform(0.1, 3, n_entries), shape
    )


def preferences(problem):
    """Return the dense tables p and c, with the values of duplicates summed."""
    X = problem.entries.by_row.toarray()
    return (X > 0).astype(float), 1 + problem.confidence * X


@given(seeds, st.floats(0.1, 50), st.integers(1, 4))
@settings(max_examples=25)
def test_an_implicit_step_is_the_dense_weighted_ridge_regression(seed, confidence, k):
    problem = ImplicitProblem(counts(seed), regularization=0.3, confidence=confidence)
    P, C = preferences(problem)
    start = initial_factors(problem, k, scale=1, random_state=seed % 2**31)
    step = nth(implicit_als_steps(problem, start), 1)
    dense = ((P, C, start.V, step.U), (P.T, C.T, step.U, step.V))
    for table, weights, fixed, found in dense:
        for p, c, row in zip(table, weights, found, strict=True):
            A = fixed.T @ (c[:, None] * fixed) + 0.3 * np.eye(k)
            assert_allclose(row, np.linalg.solve(A, fixed.T @ (c * p)), rtol=1e-6, atol=1e-9)


@given(seeds)
def test_the_implicit_loss_is_that_of_the_whole_table(seed):
    problem = ImplicitProblem(counts(seed), regularization=0.7, confidence=4.0)
    P, C = preferences(problem)
    U, V = factors = initial_factors(problem, 3, scale=1, random_state=seed % 2**31)
    assert problem.loss(factors) == pytest.approx((C * (U @ V.T - P) ** 2).sum() / 2)
    assert problem.penalty(factors) == pytest.approx(0.35 * ((U**2).sum() + (V**2).sum()))


@given(seeds, st.sampled_from([np.float32, np.float64]), st.sampled_from([0.0, 0.01, 10.0]))
@settings(max_examples=25)
def test_no_step_of_implicit_als_increases_the_objective(seed, dtype, strength):
    entries = counts(seed).astype(dtype)
    problem = ImplicitProblem(entries, regularization=strength)
    start = initial_factors(problem, 3, dtype=dtype, scale=0.5, random_state=seed % 2**31)
    steps = take(implicit_als_steps(problem, start), 8)
    for before, after in pairwise(steps):
        assert after.objective <= before.objective * (1 + 1e4 * np.finfo(dtype).eps)
        assert after.U.dtype == dtype


def test_counts_are_above_zero():
    with pytest.raises(ValueError, match=r"^values holds 0.0; a count above 0 in each place"):
        ImplicitProblem(ObservedEntries([[0, 0]], [0]))
    with pytest.raises(ValueError, match=r"^confidence is 0; a number above 0 is needed"):
        ImplicitProblem(counts(), confidence=0)


class Counted(float):
    """A number that counts the multiplications and divisions it takes part in."""

    done = 0

    def _times(self, other):
        if isinstance(other, np.ndarray):
            return NotImplemented  # NumPy goes through the entries
        Counted.done += 1
        return Counted(float(self) * float(other))

    __mul__ = __rmul__ = _times

    def __truediv__(self, other):
        Counted.done += 1
        return Counted(float(self) / float(other))

    def __add__(self, other):
        return Counted(float(self) + float(other))

    def __sub__(self, other):
        return Counted(float(self) - float(other))


def counted(*shape):
    rng = np.random.default_rng(0)
    numbers = np.empty(shape, dtype=object)
    for place in np.ndindex(shape):
        numbers[place] = Counted(rng.uniform(1, 2))
    return numbers


def multiplications(function, *arguments):
    Counted.done = 0
    function(*arguments)
    return Counted.done


@pytest.mark.parametrize("k", [1, 2, 5, 8, 20])
def test_an_epoch_costs_the_multiplications_that_the_lesson_counts(k):
    """5|Ω|k for SGD, |Ω|k(k + 3) and about k³/6 + 3k²/2 a system for ALS."""

    def visit_by_sgd(u, v, x):
        pull = (u @ v - x) * 0.1
        return u * 0.99 - v * pull, v * 0.99 - u * pull

    def visit_by_als(gram, target, v, x):
        for f in range(k):  # the lower half of a symmetric matrix
            gram[f, : f + 1] = gram[f, : f + 1] + v[f] * v[: f + 1]
        return target + x * v

    def solve(gram, target):  # LDLᵀ: elimination on the lower half
        for p in range(k):
            for r in range(p + 1, k):
                share = gram[r, p] / gram[p, p]
                gram[r, p + 1 : r + 1] = gram[r, p + 1 : r + 1] - share * gram[p + 1 : r + 1, p]
                target[r] = target[r] - share * target[p]
        for p in reversed(range(k)):
            rest = gram[p + 1 :, p] @ target[p + 1 :] if p + 1 < k else Counted(0)
            target[p] = (target[p] - rest) / gram[p, p]
        return target

    u, v, x = counted(k), counted(k), counted(1)[0]
    assert multiplications(visit_by_sgd, u, v, x) == 5 * k + 1
    assert 2 * multiplications(visit_by_als, counted(k, k), u, v, x) == k * (k + 3)
    A = counted(k, k)
    A = A + A.T
    A = A + np.diag(counted(k) * (10.0 * k))  # dominant: no pivoting is needed
    expected = np.linalg.solve(A.astype(float), v.astype(float))
    steps = multiplications(solve, A, v)
    np.testing.assert_allclose(v.astype(float), expected)
    assert abs(steps - (k**3 / 6 + 1.5 * k**2)) <= k
