"""Lesson 2: the singular value decomposition."""

import re
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.linalg import hilbert
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import randomized_svd as sklearn_randomized_svd

from mflib.iteration import nth, take
from mflib.svd import (
    SVD,
    block_krylov_svd,
    block_power_steps,
    break_even_rank,
    eckart_young_error,
    left_vectors,
    low_rank_approximation,
    marchenko_pastur_median,
    optimal_hard_threshold,
    pseudo_inverse,
    randomized_svd,
    storage,
    truncated_svd,
)

SLIDE = np.array([[1, 2, 3, 4, 3, 3], [1, 2, 3, 4, 3, 3], [3, 3, 3, 1, 4, 5], [3, 3, 3, 1, 4, 5]])


def random_matrix(m, n, rank, seed=0, decay=0.7):
    """Return a matrix with singular values 1, decay, decay², …, `rank` of them."""
    rng = np.random.default_rng(seed)
    U, V = (np.linalg.qr(rng.standard_normal((side, rank)))[0] for side in (m, n))
    return (U * decay ** np.arange(rank)) @ V.T


def lauchli(n, epsilon):
    return np.vstack([np.ones(n), epsilon * np.eye(n)])


MATRICES = {
    "tall": random_matrix(60, 25, 25),
    "wide": random_matrix(25, 60, 25),
    "square": random_matrix(30, 30, 30),
    "noise": np.random.default_rng(1).standard_normal((40, 30)),
    "rank 3, tall": random_matrix(50, 20, 3),
    "rank 3, wide": random_matrix(20, 50, 3),
    "Läuchli": lauchli(5, 1e-5),
    "zero": np.zeros((7, 4)),
    "ones": np.ones((4, 9)),
    "identity": np.eye(12),
    "Hilbert": hilbert(12),
    "graded": random_matrix(60, 40, 40, decay=0.5),
    "one column": np.arange(5.0)[:, None],
    "one entry": np.array([[-3.0]]),
    "tiny": 1e-200 * random_matrix(30, 20, 20),
    "huge": 1e200 * random_matrix(30, 20, 20),
    "slide": SLIDE.astype(float),
}
METHODS = {
    "full": partial(truncated_svd, method="full"),
    "auto": truncated_svd,
    "Davidson": lambda A, k, **options: truncated_svd(sparse.csr_array(A), k, tol=1e-9, **options),
    "randomized": partial(randomized_svd, n_iter=60),
    "Krylov": partial(block_krylov_svd, n_iter=20),
}
SEEDS = st.integers(0, 10**6)


def assert_is_svd(A, triples, k, rtol=1e-8):
    """The definition: orthonormal vectors, falling σ as from LAPACK, Av = σu and Aᵀu = σv."""
    U, singular_values, Vt = triples
    size = np.linalg.svd(A, compute_uv=False)
    assert (U.shape, Vt.shape) == ((A.shape[0], k), (k, A.shape[1]))
    assert_allclose(U.T @ U, np.eye(k), atol=1e-12)
    assert_allclose(Vt @ Vt.T, np.eye(k), atol=1e-12)
    assert_allclose(singular_values, size[:k], atol=rtol * size[0], rtol=0)
    assert (np.diff(singular_values) <= 0).all()
    assert (singular_values >= 0).all()
    assert_allclose(A @ Vt.T, U * singular_values, atol=rtol * size[0], rtol=0)
    assert_allclose(A.T @ U, Vt.T * singular_values, atol=rtol * size[0], rtol=0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MATRICES)
def test_every_method_finds_the_singular_triples(name, method):
    A = MATRICES[name]
    for k in sorted({1, min(3, *A.shape), min(A.shape)}):
        assert_is_svd(A, METHODS[method](A, k, random_state=0), k)


@pytest.mark.parametrize("form", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_matrices_and_operators_give_what_arrays_give(form):
    S = form(sparse.random_array((80, 50), density=0.1, rng=np.random.default_rng(0)))
    expected = truncated_svd(S.toarray(), 4, method="full")
    operator = aslinearoperator(S)
    for A in (S, S.T, operator, operator.T):
        result = truncated_svd(A, 4, tol=1e-9, max_iter=2000, random_state=0)
        assert_allclose(result.singular_values, expected.singular_values, rtol=1e-9)
    result = truncated_svd(S, 4, tol=1e-9, max_iter=2000, random_state=0)
    assert_is_svd(S.toarray(), result, 4)
    assert_allclose(low_rank_approximation(S, 4, tol=1e-9), expected.approximation(), atol=1e-7)


def test_an_operator_needs_no_more_than_products_with_vectors():
    A, zero = MATRICES["tall"], np.zeros((60, 25))
    for M in (A, zero):
        operator = LinearOperator(M.shape, lambda x, M=M: M @ x, lambda x, M=M: M.T @ x)
        for k in (3, 25):
            assert_is_svd(M, truncated_svd(operator, k, tol=1e-10, random_state=0), k)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("copies", [(1, 3), (3, 5), (10, 1)])
def test_copies_of_a_singular_value_and_close_ones_are_all_found(copies, turned, seed):
    sigma = np.repeat([1, 0.99, *np.linspace(0.9, 0.1, 90)], [*copies, *90 * [1]])
    places = np.random.default_rng(seed).permutation(400)[: len(sigma)]
    A = sparse.coo_array((sigma, (places, np.arange(len(sigma)))), shape=(400, 150))
    for k in (1, 2, 3, 4, 10):
        result = truncated_svd(A.T if turned else A, k, random_state=seed)
        assert result.converged
        assert_allclose(result.singular_values, sigma[:k], atol=1e-6)


@pytest.mark.parametrize("scale", [1e-250, 1e-160, 1e160, 1e250])
def test_the_scale_of_a_sparse_matrix_does_not_matter(scale):
    A = sparse.random_array((80, 50), density=0.1, rng=0, format="csr")
    expected = truncated_svd(A, 3, random_state=0)
    result = truncated_svd(scale * A, 3, random_state=0)
    assert result.converged
    assert_allclose(result.singular_values / scale, expected.singular_values)
    assert_allclose(result.Vt, expected.Vt, atol=1e-8)


def test_digits_that_the_squares_lose_come_back():
    """With σ from 1 to 1e-9 the eigenvalues of AᵀA reach down to 1e-18, below rounding."""
    A = random_matrix(80, 50, 50, decay=10**-0.5)
    for kind in (aslinearoperator(A), aslinearoperator(A.T), sparse.csr_array(A)):
        result = truncated_svd(kind, 19, tol=1e-11, random_state=0)
        assert result.converged
        assert_allclose(result.singular_values, 10 ** (-0.5 * np.arange(19)), atol=1e-12)


@settings(max_examples=60)
@given(m=st.integers(1, 40), n=st.integers(1, 40), data=st.data(), seed=SEEDS)
def test_krylov_ends_with_the_exact_triples_whatever_shape_rank_and_block(m, n, data, seed):
    rank = data.draw(st.integers(1, min(m, n)))
    k = data.draw(st.integers(1, min(m, n)))
    n_oversamples = data.draw(st.integers(0, 5))
    A = random_matrix(m, n, rank, seed)
    options = {"n_oversamples": n_oversamples, "n_iter": 100, "random_state": seed}
    assert_is_svd(A, block_krylov_svd(A, k, **options), k, rtol=1e-10)


def test_krylov_ends_at_once_where_all_is_zero():
    result = block_krylov_svd(np.zeros((4, 3)), 2)
    assert result.n_iter == 0
    assert_is_svd(np.zeros((4, 3)), result, 2)


@settings(max_examples=40)
@given(seed=SEEDS, k=st.integers(1, 8), n_oversamples=st.integers(0, 6))
def test_iterates_grow_towards_the_singular_values_and_krylov_leads(seed, k, n_oversamples):
    A = np.random.default_rng(seed).standard_normal((40, 25))
    exact = np.linalg.svd(A, compute_uv=False)[:k]
    options = {"n_oversamples": n_oversamples, "random_state": seed}
    power = take(block_power_steps(A, k, **options), 8)
    krylov = [block_krylov_svd(A, k, n_iter=q, **options) for q in range(8)]
    for steps in (power, krylov):
        values = np.array([step.singular_values for step in steps])
        assert (np.diff(values, axis=0) >= -1e-12).all()
        assert (values <= exact + 1e-12).all()
        for step in steps:
            residuals = np.linalg.norm(A @ step.Vt.T - step.U * step.singular_values, axis=0)
            assert_allclose(step.residuals, residuals, atol=1e-12)
            assert_allclose(A.T @ step.U, step.Vt.T * step.singular_values, atol=1e-12)
    for leader, follower in zip(krylov, power, strict=False):
        assert (leader.singular_values >= follower.singular_values - 1e-12).all()


def test_block_power_iteration_converges_at_the_rate_of_its_docstring():
    A, k = random_matrix(60, 40, 40, decay=0.9), 4
    exact = truncated_svd(A, k, method="full")
    steps = take(block_power_steps(A, k, n_oversamples=2, random_state=0), 40)
    sines = np.array(
        [np.linalg.norm(step.U - exact.U @ (exact.U.T @ step.U), axis=0)[-1] for step in steps]
    )
    assert_allclose((sines[35] / sines[20]) ** (1 / 15), 0.9 ** (2 * 3), rtol=1e-2)


def test_randomized_svd_is_as_accurate_as_scikit_learns():
    A = random_matrix(300, 200, 200, decay=0.97)
    exact = np.linalg.svd(A, compute_uv=False)[:10]
    for n_iter in (0, 1, 4):
        theirs, ours = [], []
        for seed in range(5):
            options = {"n_iter": n_iter, "random_state": seed}
            theirs.append(abs(sklearn_randomized_svd(A, 10, **options)[1] - exact).max())
            ours.append(abs(randomized_svd(A, 10, **options).singular_values - exact).max())
        assert 0.5 < np.median(ours) / np.median(theirs) < 2


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-8])
@pytest.mark.parametrize("kind", [np.asarray, aslinearoperator])
def test_truncated_svd_keeps_its_promise_of_accuracy(kind, tol):
    A = random_matrix(400, 300, 300, decay=0.95)
    result = truncated_svd(kind(A), 8, tol=tol, random_state=0)
    U, singular_values, Vt = result
    assert result.converged
    assert result.residuals.max() <= tol * singular_values[0]
    exact = np.linalg.svd(A, compute_uv=False)
    assert np.linalg.norm(A @ Vt.T - U * singular_values, axis=0).max() <= tol * exact[0]
    assert abs(singular_values - exact[:8]).max() <= tol * exact[0]


def test_auto_falls_back_to_the_full_decomposition_where_krylov_would_be_slow():
    A = np.random.default_rng(0).standard_normal((300, 250))
    fast = truncated_svd(A, 20, tol=1e-10)
    full = truncated_svd(A, 20, method="full")
    assert all(np.array_equal(a, b) for a, b in zip(fast, full, strict=True))
    assert fast.message == full.message == "decomposed in full"
    assert full.converged


@pytest.mark.parametrize("max_iter", [0, 1, 2])
def test_it_takes_no_more_steps_than_allowed(max_iter):
    A = sparse.csr_array(np.random.default_rng(0).standard_normal((60, 50)))
    result = truncated_svd(A, 3, tol=1e-14, max_iter=max_iter, random_state=0)
    assert not result.converged
    assert result.n_iter == max_iter


def test_a_result_says_how_it_ended():
    A = np.random.default_rng(0).standard_normal((300, 250))
    S = sparse.csr_array(A)
    short = truncated_svd(S, 20, max_iter=2)
    assert not short.converged
    assert re.match(r"not converged after 2 steps: a residual is .* σ₁, above tol", short.message)
    with pytest.warns(ConvergenceWarning, match="not converged after 2 steps"):
        low_rank_approximation(S, 20, max_iter=2)
    done = truncated_svd(S, 3, tol=1e-2)
    assert done.converged
    assert done.message == f"converged after {done.n_iter} steps"
    assert randomized_svd(A, 3, n_iter=4).message == "stopped as planned after 4 steps"
    exact = block_krylov_svd(np.eye(5), 2, n_iter=9)  # nothing is left after the first block
    assert exact.message == f"stopped as planned after {exact.n_iter} steps"


@settings(max_examples=30)
@given(seed=SEEDS, k=st.integers(1, 8), n=st.integers(0, 5), n_oversamples=st.integers(0, 3))
def test_an_iterate_is_a_start(seed, k, n, n_oversamples):
    A = np.random.default_rng(seed).standard_normal((40, 25))
    exact = np.linalg.svd(A, compute_uv=False)[:k]
    begin = nth(block_power_steps(A, k, random_state=seed), n)
    options = {"n_oversamples": n_oversamples, "random_state": seed}
    first, second = take(block_power_steps(A, begin, **options), 2)
    assert (first.singular_values >= begin.singular_values - 1e-12).all()
    assert (second.singular_values >= first.singular_values - 1e-12).all()
    assert (second.singular_values <= exact + 1e-12).all()
    same = take(block_power_steps(A, k, n_oversamples=0, random_state=seed), n + 2)[n:]
    again = take(block_power_steps(A, same[0], n_oversamples=0), 2)
    for one, step in zip(same, again, strict=True):  # without random columns it is the same run
        assert_allclose(one.singular_values, step.singular_values, atol=1e-10)
        assert_allclose(one.approximation(), step.approximation(), atol=1e-6)


def test_results_and_factors_are_starts_whatever_their_rank():
    A = MATRICES["rank 3, tall"]
    for begin in (truncated_svd(A, 5), tuple(truncated_svd(A, 5)), block_krylov_svd(A, 5)):
        assert_is_svd(A, next(block_power_steps(A, begin)), 5)
    for begin in (truncated_svd(np.zeros((7, 4)), 3), truncated_svd(np.zeros((7, 4)), 4)):
        assert_allclose(next(block_power_steps(np.zeros((7, 4)), begin)).singular_values, 0)


def test_an_iterate_cannot_be_written_to_and_says_in_one_line_what_it_is():
    result = truncated_svd(SLIDE, 2, method="full")
    for array in (*result, result.residuals):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    step = next(block_power_steps(SLIDE, 2))
    assert repr(step) == "<SVD step 0: residuals 2, U 4×2, singular_values 2, Vt 2×6>"


@pytest.mark.parametrize("method", METHODS)
def test_results_are_reproducible_and_signs_follow_one_rule(method):
    A = MATRICES["tall"]
    U, singular_values, Vt = METHODS[method](A, 5, random_state=0)
    again = METHODS[method](A, 5, random_state=0)
    assert all(np.array_equal(a, b) for a, b in zip((U, singular_values, Vt), again, strict=True))
    assert (Vt[np.arange(5), abs(Vt).argmax(axis=1)] > 0).all()
    assert_allclose(Vt, truncated_svd(A, 5, method="full").Vt, atol=1e-6)
    flipped = METHODS[method](-A, 5, random_state=0)
    assert_allclose(flipped.U, -U, atol=1e-6)
    assert_allclose(flipped.Vt, Vt, atol=1e-6)


def test_rounding_noise_does_not_break_ties_of_the_sign_rule():
    u, v = np.array([3.0, 4.0]) / 5, np.array([-1.0, 1.0, 1.0, -1.0]) / 2
    rng = np.random.default_rng(0)
    for _ in range(20):
        A = np.outer(u, v) + 1e-14 * rng.standard_normal((2, 4))
        for triples in (truncated_svd(A, 1), block_krylov_svd(A, 1)):
            assert_allclose(triples.Vt[0], -v, atol=1e-10)
            assert_allclose(triples.U[:, 0], -u, atol=1e-10)


def test_the_source_example_to_three_decimals():
    for triples in (truncated_svd(SLIDE, 4), block_krylov_svd(SLIDE, 4)):
        assert_allclose(triples.singular_values.round(2), [14.74, 4.10, 0, 0])
        assert_allclose(triples.approximation(2).round(3) + 0.0, SLIDE)
        assert_allclose(triples.U.T @ triples.U, np.eye(4), atol=1e-12)
    assert_allclose(low_rank_approximation(SLIDE, 2), SLIDE, atol=1e-12)


def test_dividing_by_a_zero_singular_value_is_a_wreck_and_left_vectors_is_not():
    squares, V = np.linalg.eigh(SLIDE.T @ SLIDE)
    V, singular_values = V[:, ::-1][:, :4], np.sqrt(abs(squares[::-1][:4]))
    singular_values[2:] = 1e-30  # what a rounded zero may be
    wreck = SLIDE @ V / singular_values
    assert abs(wreck).max() > 1e12
    U = left_vectors(SLIDE, V, singular_values)
    assert_allclose(U.T @ U, np.eye(4), atol=1e-12)
    assert_allclose((U * singular_values) @ V.T, SLIDE, atol=1e-12)


def test_singular_values_below_the_root_of_the_precision_keep_their_digits():
    A = lauchli(3, 1e-9)  # σ = √(3 + 1e-18), 1e-9, 1e-9: lost in AᵀA
    for direct in (truncated_svd, block_krylov_svd, randomized_svd):
        singular_values = direct(A, 3).singular_values
        assert_allclose(singular_values, [np.sqrt(3), 1e-9, 1e-9], rtol=1e-5)


@settings(max_examples=50)
@given(m=st.integers(1, 15), n=st.integers(1, 15), data=st.data(), seed=SEEDS)
def test_eckart_young(m, n, data, seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((m, n))
    k = data.draw(st.integers(1, min(m, n)))
    singular_values = np.linalg.svd(A, compute_uv=False)
    best = low_rank_approximation(A, k)
    assert np.linalg.matrix_rank(best, tol=1e-10) == k
    other = A @ (P := np.linalg.qr(rng.standard_normal((n, k)))[0]) @ P.T
    tail = np.append(singular_values[k:], 0)
    for ord, error in (("fro", eckart_young_error(singular_values, k)), (2, tail[0])):
        assert_allclose(np.linalg.norm(A - best, ord), error, atol=1e-12)
        assert np.linalg.norm(A - other, ord) >= error - 1e-12
    assert_allclose(eckart_young_error(singular_values, 0), np.linalg.norm(A))
    assert eckart_young_error(singular_values, min(m, n)) == 0


@pytest.mark.parametrize("name", sorted(MATRICES.keys() - {"Hilbert", "graded", "tiny"}))
def test_pseudo_inverse_satisfies_penroses_four_equations_and_agrees_with_numpy(name):
    A = MATRICES[name]
    X = pseudo_inverse(A)
    size = abs(A).max() or 1
    assert_allclose(A @ X @ A, A, atol=1e-9 * size)
    assert_allclose(X @ A @ X, X, atol=1e-9 * (abs(X).max() or 1))
    assert_allclose(A @ X, (A @ X).T, atol=1e-9)
    assert_allclose(X @ A, (X @ A).T, atol=1e-9)
    assert_allclose(X, np.linalg.pinv(A), atol=1e-8 * (abs(X).max() or 1))


def test_of_no_triples_the_sum_is_zero():
    triples = SVD(np.eye(2), np.array([3.0, 1]), np.eye(2))
    assert_allclose(triples.approximation(0), np.zeros((2, 2)))


@given(m=st.integers(1, 500), n=st.integers(1, 500))
def test_storage_pays_below_the_break_even_rank(m, n):
    k = break_even_rank(m, n)
    assert storage(m, n, k) >= m * n > storage(m, n, k - 1)
    U, singular_values, Vt = SVD(np.empty((m, k)), np.empty(k), np.empty((k, n)))
    assert storage(m, n, k) == U.size + singular_values.size + Vt.size


def test_hard_thresholds_are_the_published_ones():
    assert_allclose(optimal_hard_threshold((50, 50), noise=2), 4 / np.sqrt(3) * np.sqrt(50) * 2)
    assert_allclose(
        optimal_hard_threshold((1000, 1), noise=1) / np.sqrt(1000), np.sqrt(2), rtol=1e-2
    )
    for beta, published in ((0.05, 1.5194), (0.25, 1.8371), (0.5, 2.1711), (1.0, 2.8582)):
        m, n = int(100 * beta), 100
        for shape in ((m, n), (n, m)):
            values = np.append(9, np.ones(m - 1))  # their median is 1
            omega = optimal_hard_threshold(shape, singular_values=values)
            assert_allclose(omega, published, atol=1e-3)
    cubic = 0.56 * 0.3**3 - 0.95 * 0.3**2 + 1.82 * 0.3 + 1.43  # the paper's approximation of ω
    omega = optimal_hard_threshold((30, 100), singular_values=np.ones(30))
    assert_allclose(omega, cubic, atol=0.02)


def test_the_median_is_that_of_the_quarter_circle_law_and_of_simulated_noise():
    root = np.sqrt(marchenko_pastur_median(1))
    assert_allclose(root * np.sqrt(4 - root**2) / 2 + 2 * np.arcsin(root / 2), np.pi / 2)
    rng = np.random.default_rng(0)
    for beta in (0.05, 0.3, 1):
        noise = rng.standard_normal((10, int(400 * beta), 400)) / np.sqrt(400)
        simulated = np.median(np.linalg.svd(noise, compute_uv=False) ** 2)
        assert_allclose(simulated, marchenko_pastur_median(beta), rtol=2e-2)


@pytest.mark.parametrize("shape", [(120, 120), (80, 200), (200, 80)])
def test_the_threshold_finds_the_true_rank_and_the_smallest_error(shape):
    s, true_rank, rng = 0.1, 4, np.random.default_rng(0)
    factors = [np.linalg.qr(rng.standard_normal((side, true_rank)))[0] for side in shape]
    truth = 6 * s * np.sqrt(max(shape)) * factors[0] @ factors[1].T
    noisy = truth + s * rng.standard_normal(shape)
    triples = truncated_svd(noisy, min(shape), method="full")
    errors = [np.linalg.norm(triples.approximation(k) - truth) for k in range(min(shape))]
    known = {"noise": s}, {"singular_values": triples.singular_values}
    for threshold in (optimal_hard_threshold(shape, **what) for what in known):
        assert np.count_nonzero(triples.singular_values > threshold) == true_rank
    assert np.argmin(errors) == true_rank


A = np.ones((4, 3))
OPERATOR = LinearOperator((4, 3), lambda x: A @ x, dtype=float)
REFUSALS = {
    "k is 0; at least 1 is needed": lambda: truncated_svd(A, 0),
    "k is 4; at most 3 is needed": lambda: randomized_svd(A, 4),
    "k is 1.5; a whole number": lambda: block_krylov_svd(A, 1.5),
    "method is 'lanczos'; use one of 'auto'": lambda: truncated_svd(A, 1, method="lanczos"),
    "A is sparse or an operator; an array is needed": lambda: truncated_svd(
        sparse.csr_array(A), 1, method="full"
    ),
    "tol is -1; at least 0 is needed": lambda: truncated_svd(A, 1, tol=-1),
    "tol is nan; a finite real number": lambda: truncated_svd(A, 1, tol=float("nan")),
    "max_iter is -1; at least 0": lambda: truncated_svd(A, 1, max_iter=-1),
    "n_iter is -1; at least 0": lambda: randomized_svd(A, 1, n_iter=-1),
    "n_oversamples is -1; at least 0": lambda: randomized_svd(A, 1, n_oversamples=-1),
    "A has 1 entry that is NaN": lambda: pseudo_inverse([[1, np.nan]]),
    "A has shape (3,); a matrix": lambda: pseudo_inverse([1, 2, 3]),
    "A is sparse or an operator": lambda: pseudo_inverse(sparse.eye_array(3)),
    "A is an operator without a transpose": lambda: truncated_svd(OPERATOR, 1),
    "V has shape (3, 1); (3, 2) is needed": lambda: left_vectors(A, A[:3, :1], [1, 0]),
    "the number of columns of V is 6; at most 4": lambda: left_vectors(
        SLIDE, np.eye(6), np.ones(6)
    ),
    "V is sparse or an operator; an array": lambda: left_vectors(A, sparse.eye_array(3), [1, 0, 0]),
    "shape is 3; a tuple of 2 whole numbers is needed": lambda: optimal_hard_threshold(3, noise=1),
    "shape is (3, 4, 5); a tuple of 2": lambda: optimal_hard_threshold((3, 4, 5), noise=1),
    "a side of shape is 2.5; a whole number": lambda: optimal_hard_threshold((2.5, 2), noise=1),
    "singular_values has masked entries": lambda: eckart_young_error(
        np.ma.masked_less([2, 1], 2), 1
    ),
    "singular_values is not an array": lambda: eckart_young_error([[2], 1], 1),
    "singular_values has 1 entry that is NaN": lambda: eckart_young_error([np.nan], 1),
    "singular_values must be at least 0": lambda: eckart_young_error([1, 2], 1),
    "pass either noise (if known)": lambda: optimal_hard_threshold((3, 4)),
    "noise is -1; at least 0 is needed": lambda: optimal_hard_threshold((3, 4), noise=-1),
    "singular_values has shape (2,); (3,) is needed": lambda: optimal_hard_threshold(
        (3, 4), singular_values=[2, 1]
    ),
    "beta is 2.0; a number from 0 to 1": lambda: marchenko_pastur_median(2),
    "beta is 0; a number above 0": lambda: marchenko_pastur_median(0),
    "the start has factors of shapes (4, 1) and (1,) and (1, 9); (4, k)": lambda: block_power_steps(
        A, truncated_svd(np.ones((4, 9)), 1)
    ),
    "the start is no sequence of arrays U, singular_values, Vt": lambda: block_power_steps(A, None),
    "k is 5; at most 3 is needed": lambda: storage(3, 5, 5),
    "m is 0; at least 1": lambda: break_even_rank(0, 5),
}


@pytest.mark.parametrize("message", REFUSALS)
def test_refusals_say_what_is_wrong(message):
    with pytest.raises(ValueError, match="^" + re.escape(message) + r"[^\n]*$"):
        REFUSALS[message]()


def test_overflow_is_refused():
    with pytest.raises(FloatingPointError, match=r"exceeds 1e\+300; scale A down first"):
        randomized_svd(np.full((3, 3), 1e308), 1)


def test_an_overflowing_inverse_is_refused():
    with pytest.raises(ValueError, match="pseudo-inverse of A overflows; a larger A is needed"):
        pseudo_inverse(np.diag([1e-310, 1e-311]))
