"""Lessons 5 and 6: every row is a ridge regression, however it is solved."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import lsq_linear
from sklearn.linear_model import Ridge

from mflib import least_squares
from mflib.completion import CompletionProblem, ObservedEntries, als_steps
from mflib.iteration import nth
from mflib.least_squares import (
    gram_matrices,
    minimise_rows,
    ridge_rows,
    ridge_rows_non_negative,
    ridge_rows_one_by_one,
    solve_by_elimination,
    solve_rows,
)

seeds = st.integers(0, 2**32 - 1)
M, N = 12, 9


def problem(seed=0, n_entries=60, k=3, dtype=np.float64):
    """Return values and mask at random places (some twice, some rows empty), and a V."""
    rng = np.random.default_rng(seed)
    rows, columns = np.sort(rng.integers(0, M, n_entries)), rng.integers(0, N, n_entries)
    starts = np.searchsorted(rows, np.arange(M + 1))
    data = rng.normal(3, 1, n_entries).astype(dtype)
    values, mask = (
        sparse.csr_array((x, columns, starts), shape=(M, N)) for x in (data, np.ones_like(data))
    )
    return values, mask, rng.standard_normal((N, k)).astype(dtype)


def one_by_one(*arguments):
    """Return what the compiled loop gives, and what the loop as it is written gives."""
    compiled = ridge_rows_one_by_one(*arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(least_squares, "eliminate_rows", least_squares.eliminate_rows.__wrapped__)
        return compiled, ridge_rows_one_by_one(*arguments)


def entries_of(values, i):
    """Return the columns and the values of a row."""
    row = slice(*values.indptr[i : i + 2])
    return values.indices[row], values.data[row]


@given(seeds, st.sampled_from([0.01, 1.0]), st.integers(1, 12), st.integers(1, 80))
def test_every_row_is_the_ridge_regression_on_its_entries(seed, strength, k, n_entries):
    values, mask, V = problem(seed, n_entries, k)
    strengths = strength * (1 + np.arange(M))
    U = ridge_rows(values, mask, V, strengths)
    for i in range(M):
        columns, x = entries_of(values, i)
        if not columns.size:
            assert_array_equal(U[i], 0)
            continue
        ridge = Ridge(strengths[i], fit_intercept=False, solver="svd").fit(V[columns], x)
        assert_allclose(U[i], ridge.coef_, rtol=1e-6, atol=1e-8)


@given(seeds, st.integers(1, 12))
def test_without_regularization_rows_take_their_smallest_solution(seed, k):
    values, mask, V = problem(seed, 40, k)
    U = ridge_rows(values, mask, V, 0.0)
    for i in range(M):
        columns, x = entries_of(values, i)
        design = V[columns]
        expected = np.linalg.lstsq(design, x)[0] if columns.size else np.zeros(k)
        assert_allclose(design @ U[i], design @ expected, atol=1e-3)
        if columns.size and np.linalg.cond(design) < 1e3:
            assert_allclose(U[i], expected, atol=1e-6)
            assert np.linalg.norm(U[i]) <= np.linalg.norm(expected) + 1e-6


def test_two_observations_in_one_place_pull_more_strongly():
    once = sparse.csr_array([[2.0], [5.0]])
    twice = sparse.csr_array((np.array([1.0, 3.0, 5.0]), [0, 0, 0], [0, 2, 3]), shape=(2, 1))
    mask = sparse.csr_array((np.ones(3), twice.indices, twice.indptr), shape=(2, 1))
    V = np.ones((1, 1))
    assert_allclose(ridge_rows(twice, mask, V, 0.0), [[2], [5]])  # their mean
    # (1 + 3)/(2 + λ) against 2/(1 + λ)
    assert_allclose(ridge_rows(twice, mask, V, 1.0), [[4 / 3], [5 / 2]])
    assert_allclose(ridge_rows(once, once.astype(bool), V, 1.0), [[1], [5 / 2]])


@given(seeds, st.integers(1, 40))
def test_blocks_of_rows_and_columns_do_not_change_the_solution(seed, numbers):
    values, mask, V = problem(seed)
    whole = ridge_rows(values, mask, V, 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(least_squares, "MEMORY", numbers)
        assert_allclose(ridge_rows(values, mask, V, 0.5), whole, rtol=1e-9, atol=1e-9)


@given(seeds, st.integers(1, 12), st.sampled_from([np.float32, np.float64]))
def test_one_row_after_the_other_gives_what_all_at_once_do(seed, k, dtype):
    values, mask, V = problem(seed, k=k, dtype=dtype)
    strengths = np.linspace(0.5, 2, M).astype(dtype)
    expected = ridge_rows(values, mask, V, strengths)
    for U in one_by_one(values, mask, V, strengths):
        assert U.dtype == dtype
        assert_allclose(U, expected, rtol=1e-6, atol=1e4 * np.finfo(dtype).eps)


@given(seeds, st.integers(2, 8), st.sampled_from([0.0, 1e-30, 1e-20]), st.sampled_from("fd"))
def test_what_is_singular_has_the_same_smallest_solution_one_by_one(seed, k, strength, dtype):
    """The columns of V are alike, so that elimination would divide by zero."""
    values, mask, V = problem(seed, k=k, dtype=dtype)
    V[:] = V[:, :1]
    strengths = np.full(M, strength, dtype)
    expected = ridge_rows(values, mask, V, strengths)
    tol = np.sqrt(np.finfo(dtype).eps)
    assert_allclose(expected, np.repeat(expected[:, :1], k, axis=1), rtol=tol, atol=tol)
    for U in one_by_one(values, mask, V, strengths):
        assert_allclose(U, expected, rtol=tol, atol=tol)


@given(seeds, st.integers(3, 12))
def test_a_weak_direction_of_a_short_row_counts_in_single_precision(seed, n):
    """It is a twenty thousandth of the Gram matrix, far above the rounding of a few products."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(2, 2)))[0]
    V = np.linalg.qr(rng.normal(size=(n, 2)))[0] * [1, 0.007] @ directions.T
    x, V = (V @ directions @ [1, 100]).astype(np.float32), V.astype(np.float32)
    X, M = sparse.csr_array(x[np.newaxis]), sparse.csr_array(np.ones((1, n), np.float32))
    for found in (ridge_rows(X, M, V, 0.0), *one_by_one(X, M, V, np.zeros(1, np.float32))):
        assert np.linalg.norm(V @ found[0] - x) < 0.05 * np.linalg.norm(x)


@pytest.mark.parametrize("regularization", [1e-30, 1e-16])
def test_a_regularization_lost_in_rounding_breaks_no_solver(regularization):
    pairs = np.argwhere(np.random.default_rng(0).random((12, 9)) < 0.5)
    entries = ObservedEntries(pairs, pairs.sum(axis=1) % 5)
    completion = CompletionProblem(entries, regularization=regularization)
    start = np.ones((12, 3)), np.ones((9, 3))  # three columns alike, and so they stay
    ends = [nth(als_steps(completion, start, solver=solver), 9) for solver in ("numpy", "compiled")]
    assert ends[0].loss == pytest.approx(ends[1].loss)
    assert np.isfinite(ends[1].V).all()


@pytest.mark.parametrize("strength", [0.0, 1e-20, 1.0])
def test_a_gram_matrix_that_overflows_gives_nan_and_the_other_rows_stay_right(strength):
    values = sparse.csr_array([[2.0, 0.0], [0.0, 3.0]])
    V, strengths = np.array([[1e200], [1.0]]), np.full(2, strength)
    arguments = values, values.astype(bool), V, strengths
    with np.errstate(over="ignore"):
        for U in (ridge_rows(*arguments), *one_by_one(*arguments)):
            assert np.isnan(U[0, 0])
            assert_allclose(U[1], 3 / (1 + strength))


@given(seeds, st.integers(1, 12))
def test_elimination_solves_a_positive_definite_system(seed, k):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((k + 3, k))
    G, t = A.T @ A + 0.1 * np.eye(k), rng.standard_normal(k)
    for solve in (solve_by_elimination, solve_by_elimination.__wrapped__):
        assert_allclose(G @ solve(G.copy(), t.copy()), t, atol=1e-9)


@given(seeds, st.integers(1, 12), st.booleans())
def test_gram_matrices_are_sums_over_the_observed_columns(seed, k, dense):
    _, mask, V = problem(seed, k=k)
    mask = mask.toarray() > 0 if dense else mask
    grams = gram_matrices(mask, V)
    for i in range(M):
        columns = np.flatnonzero(mask[i]) if dense else entries_of(mask, i)[0]
        assert_allclose(grams[i], V[columns].T @ V[columns], atol=1e-12)


def test_complete_rows_share_one_gram_matrix():
    V = np.random.default_rng(0).standard_normal((N, 2))
    assert_allclose(gram_matrices(np.ones((M, N), dtype=bool), V), V.T @ V)


@given(seeds, st.integers(1, 5), st.sampled_from([0.0, 0.3]), st.integers(1, 5))
def test_rows_that_share_a_matrix_are_solved_as_if_each_had_its_own(seed, k, strength, rank):
    rng = np.random.default_rng(seed)
    A, u = rng.standard_normal((rank, k)), rng.standard_normal((M, k))
    G = A.T @ A + strength * np.eye(k)
    targets = u @ G
    together = solve_rows(G, targets, strength)
    each = solve_rows(np.repeat(G[None], M, axis=0), targets, np.full(M, strength))
    assert_allclose(together, each, rtol=1e-6, atol=1e-6 * np.linalg.cond(A) ** 2)
    assert_allclose(together @ G, targets, atol=1e-6)


def test_where_gram_matrices_overflow_the_rows_are_nan():
    values, mask, _ = problem(n_entries=200)  # no row is empty
    V = np.full((N, 2), 1e200)
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(ridge_rows(values, mask, V, 1.0)).all()
        assert np.isnan(solve_rows(V.T @ V, np.ones((M, 2)), 1.0)).all()
        found = ridge_rows_non_negative(values, mask, V, 1.0, np.ones((M, 2)))
    assert not np.isfinite(found).all()


def test_whole_numbers_are_taken():
    X = sparse.csr_array([[2, 4], [0, 3]])
    assert_allclose(ridge_rows(X, X.astype(bool), np.array([[1], [2]]), 0.0), [[2], [1.5]])


def test_a_regularization_lost_in_rounding_counts_as_none():
    values, mask, V = problem(9, n_entries=30, k=8, dtype=np.float32)
    found, none = (ridge_rows(values, mask, V, strength) for strength in (1e-12, 0))
    assert_allclose(found, none, rtol=1e-5)
    assert np.isfinite(found).all()


VALUES, MASK, V = problem()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((VALUES, MASK, V, -1), "regularization is -1.0; at least 0 is needed"),
        ((VALUES, MASK, V, np.nan), "regularization is nan; at least 0 is needed"),
        ((VALUES, MASK, V, "1"), "regularization holds entries of type <U1; real numbers"),
        ((VALUES, MASK, 1j * V, 1), "V is complex; only real numbers are supported"),
        ((VALUES, MASK, V.astype(object), 1), "V holds entries of type object"),
        ((VALUES, MASK, np.ma.masked_less(V, 0), 1), "V has masked entries"),
        ((VALUES, MASK, V[1:], 1), r"V has shape \(8, 3\), which does not fit a mask of"),
        ((VALUES, MASK, V[:, 0], 1), r"V has shape \(9,\), which does not fit a mask of"),
        ((VALUES.astype(complex), MASK, V, 1), "values is complex"),
        ((VALUES, MASK[1:], V, 1), "values and mask are not two sparse arrays of one shape"),
        ((VALUES.toarray(), MASK, V, 1), "values and mask are not two sparse arrays"),
    ],
)
def test_bad_input_is_refused(arguments, sentence):
    start = np.ones((M, 3))
    for solve in (ridge_rows, lambda *args: ridge_rows_non_negative(*args, start)):
        with pytest.raises(ValueError, match="^" + sentence):
            solve(*arguments)


# Under constraints


@given(seeds, st.sampled_from([0.1, 1.0]))  # at 0.01 a rare row needs more than 1,000 sweeps
@settings(max_examples=30)
def test_the_non_negative_rows_are_the_best_of_all(seed, strength):
    values, mask, V = problem(seed, n_entries=90)
    values.data -= 3
    start = np.ones((M, 3))
    U = ridge_rows_non_negative(values, mask, V, strength, start, n_free=1)
    root = np.sqrt(strength) * np.eye(3)
    for i in range(M):
        columns, x = entries_of(values, i)
        design, target = np.vstack([V[columns], root]), np.append(x, np.zeros(3))
        exact = lsq_linear(design, target, ([0, 0, -np.inf], np.inf), tol=1e-14).x
        found, best = (np.sum((design @ u - target) ** 2) for u in (U[i], exact))
        assert found <= best * (1 + 1e-4) + 1e-9
        assert U[i, :2].min() >= 0


@given(seeds, st.sampled_from([0.0, 0.5]), st.sampled_from([-np.inf, 0.0]), st.booleans())
@settings(max_examples=30)
def test_no_sweep_makes_a_row_worse(seed, l1, lower, shared):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((5, 4) if shared else (M, 5, 4))
    grams, targets = np.swapaxes(A, -1, -2) @ A, rng.standard_normal((M, 4))
    options, sweeps = {"l1": l1, "lower": lower}, [np.ones((M, 4))]
    for _ in range(5):
        sweeps.append(minimise_rows(grams, targets, sweeps[-1], max_iter=1, **options))
    each = np.broadcast_to(grams, (M, 4, 4))
    curved = [np.einsum("if,ifg,ig->i", U, each, U) / 2 for U in sweeps]
    linear = [l1 * np.abs(U).sum(axis=1) - (targets * U).sum(axis=1) for U in sweeps]
    values = np.add(curved, linear)
    assert (np.diff(values, axis=0) <= 1e-9 * np.abs(values).max()).all()
    assert min(U.min() for U in sweeps) >= lower
    at_once = minimise_rows(grams, targets, sweeps[0], max_iter=5, **options)
    assert_allclose(at_once, sweeps[-1], rtol=1e-7, atol=1e-8)  # it may have stopped before


def test_sweeps_without_bounds_end_at_the_solution():
    values, mask, V = problem(3)
    grams = gram_matrices(mask, V) + np.eye(3)
    targets = values @ V
    found = minimise_rows(grams, targets, np.zeros((M, 3)), lower=-np.inf)
    assert_allclose(found, solve_rows(grams, targets, 1.0), atol=1e-6)


def test_the_start_is_left_as_it_was_and_zeros_may_stay():
    start = np.zeros((1, 2))
    settled = minimise_rows(np.eye(2), np.array([[-1.0, -2.0]]), start, lower=0)
    assert_array_equal(settled, [[0, 0]])
    minimise_rows(np.eye(2), np.array([[1.0, 2.0]]), start, lower=0)
    assert_array_equal(start, [[0, 0]])


@pytest.mark.parametrize("n", [10, 100_000])
def test_the_smallest_solution_is_exact_however_many_entries_a_row_has(n):
    """The rounding of a sum of n products is no second direction of V."""
    rng = np.random.default_rng(0)
    V = np.outer(rng.random(n), rng.random(4))  # rank 1
    x = 2 * V[:, 0]
    X, M = sparse.csr_array(x[np.newaxis]), sparse.csr_array(np.ones((1, n)))
    for U in (ridge_rows(X, M, V, 0.0), ridge_rows_one_by_one(X, M, V, np.zeros(1))):
        assert_allclose(V @ U[0], x, rtol=1e-9)
