"""Lesson 1: power iteration, deflation and orthogonal iteration do what the theorems say."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

from mflib.eigen import (
    convergence_rate,
    davidson_steps,
    deflate,
    google_matrix,
    line_angle,
    orthogonal_iteration,
    orthogonal_steps,
    power_iteration,
    power_steps,
    top_eigenpairs,
)
from mflib.iteration import nth, take

A = np.array([[3.0, 2.0], [2.0, 3.0]])  # eigenvalues 5 and 1
SWAP = np.array([[0.0, 1.0], [1.0, 0.0]])  # eigenvalues 1 and -1
DIAGONAL = np.array([1.0, 1.0]) / np.sqrt(2)
KINDS = [np.asarray, sparse.csr_array, sparse.coo_matrix, aslinearoperator]
SEEDS = st.integers(0, 2**32 - 1)


def basis(n, seed):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def symmetric(spectrum, seed=0):
    """Return a symmetric matrix with the given eigenvalues, and its eigenvectors as columns."""
    Q = basis(len(spectrum), seed)
    S = (Q * spectrum) @ Q.T
    return (S + S.T) / 2, Q


@st.composite
def symmetric_matrices(draw):
    """Draw a symmetric matrix with moduli that fall by 0.1 to 0.8, signs free, any size."""
    ratios = draw(st.lists(st.floats(0.1, 0.8), max_size=5))
    signs = draw(st.lists(st.sampled_from([-1, 1]), min_size=6, max_size=6))
    scale = 10.0 ** draw(st.integers(-3, 3))
    spectrum = scale * np.cumprod([1.0, *ratios]) * signs[: len(ratios) + 1]
    return symmetric(spectrum, draw(SEEDS))[0]


def by_modulus(S):
    """Return NumPy's eigenpairs in order of falling modulus."""
    eigenvalues, vectors = np.linalg.eigh(S)
    order = np.argsort(-np.abs(eigenvalues), kind="stable")
    return eigenvalues[order], vectors[:, order]


def assert_eigenpairs(S, eigenvalues, vectors, accuracy=1e-9):
    """Compare with NumPy; a small residual r bounds the angle: sin <= r / gap (Davis and Kahan)."""
    expected, directions = by_modulus(S)
    size = abs(expected[0])
    assert_allclose(eigenvalues, expected[: len(eigenvalues)], rtol=0, atol=accuracy * size)
    residuals = np.linalg.norm(S @ vectors - vectors * eigenvalues, axis=0)
    assert residuals.max() <= accuracy * size
    assert_allclose(vectors.T @ vectors, np.eye(len(eigenvalues)), atol=1e-12)
    for i, residual in enumerate(residuals):
        gap = np.abs(np.delete(expected, i) - eigenvalues[i]).min(initial=np.inf)
        angle = line_angle(vectors[:, i], directions[:, i])
        assert np.sin(angle) <= (residual + 1e-13 * size) / gap + 1e-13


@given(symmetric_matrices(), SEEDS)
def test_power_iteration_finds_the_dominant_eigenpair(S, seed):
    result = power_iteration(S, random_state=seed)
    assert result.converged
    assert_eigenpairs(S, np.array([result.eigenvalue]), result.eigenvector[:, None])


@given(symmetric_matrices(), SEEDS, st.data())
def test_both_methods_for_k_pairs_agree_with_eigh(S, seed, data):
    k = data.draw(st.integers(1, len(S)))
    for method in (top_eigenpairs, orthogonal_iteration):
        block = method(S, k, random_state=seed)
        assert block.converged
        assert_eigenpairs(S, block.eigenvalues, block.eigenvectors)
        errors = S @ block.eigenvectors - block.eigenvectors * block.eigenvalues
        actual = np.linalg.norm(errors, axis=0)
        assert_allclose(block.residuals, actual, atol=1e-14 * np.abs(S).max())


@given(symmetric_matrices(), SEEDS)
def test_an_eigenvalue_lies_within_the_residual_of_every_iterate(S, seed):
    eigenvalues = np.linalg.eigvalsh(S)
    rounding = 1e-13 * np.abs(S).max()
    for step in take(power_steps(S, random_state=seed), 12):
        assert np.linalg.norm(step.eigenvector) == pytest.approx(1)
        assert np.abs(eigenvalues - step.eigenvalue).min() <= step.residual + rounding
    for block in take(orthogonal_steps(S, 1, random_state=seed), 12):
        assert np.abs(eigenvalues - block.eigenvalues[0]).min() <= block.residuals[0] + rounding


@given(SEEDS, st.floats(-3, 3))
def test_the_rayleigh_quotient_fits_best(seed, change):
    M, v = np.random.default_rng(seed).standard_normal((2, 4, 4))
    step = next(power_steps(M, v[0]))
    v, quotient = step.eigenvector, step.eigenvalue
    other = np.linalg.norm(M @ v - (quotient + change) * v)
    assert other**2 == pytest.approx(step.residual**2 + change**2)  # Pythagoras


def error_ratios(M, start, eigenvector, eigenvalue, rate):
    """Return by how much one step shrinks the angle and the error of ρ, once the angle is 1e-3."""
    n_iter = int(np.ceil(np.log(1e-3) / np.log(rate)))
    steps = power_steps(M, start)
    before, after = nth(steps, n_iter), next(steps)
    return (
        line_angle(after.eigenvector, eigenvector) / line_angle(before.eigenvector, eigenvector),
        (after.eigenvalue - eigenvalue) / (before.eigenvalue - eigenvalue),
    )


@pytest.mark.parametrize("second", [0.3, -0.5, 0.8, -0.9])
@pytest.mark.parametrize("first", [2.0, -2.0])
def test_error_falls_by_the_rate_and_the_rayleigh_quotient_by_its_square(first, second):
    S, Q = symmetric([first, first * second, first * second / 10])
    rate = convergence_rate(S)
    assert rate == pytest.approx(abs(second))
    angle, quotient = error_ratios(S, Q.sum(axis=1), Q[:, 0], first, rate)
    assert angle == pytest.approx(rate, rel=1e-4)
    assert quotient == pytest.approx(rate**2, rel=1e-4)


def test_without_symmetry_the_rayleigh_quotient_is_no_faster_than_the_vector():
    angle, quotient = error_ratios(np.array([[1, 1], [0, 0.5]]), [1, -1], [1, 0], 1, 0.5)
    assert angle == pytest.approx(0.5, rel=1e-2)
    assert quotient == pytest.approx(0.5, rel=1e-2)


def test_the_block_converges_at_the_rate_of_the_first_eigenvalue_outside():
    S, _ = symmetric([4, 3.9, 2, 1])  # the pair 4, 3.9 alone would need a rate of 0.975
    steps = take(orthogonal_steps(S, 2, random_state=0), 14)[8:]
    for before, after in pairwise(steps):
        assert_allclose(after.residuals / before.residuals, [2 / 4, 2 / 3.9], rtol=0.05)


def test_convergence_rate_counts_multiplicity_and_complex_pairs():
    assert convergence_rate(np.diag([-2.0, 1, 2])) == 1
    assert convergence_rate([[0, -1, 0], [1, 0, 0], [0, 0, 4]]) == pytest.approx(0.25)
    assert convergence_rate([[7]]) == 0


def test_convergence_rate_is_the_same_if_numpy_returns_complex_eigenvalues(monkeypatch):
    rate = convergence_rate(A)
    found = np.linalg.eigvals(A).astype(complex)
    monkeypatch.setattr(np.linalg, "eigvals", lambda M: found)
    assert convergence_rate(A) == rate
    assert isinstance(rate, float)


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-10])
def test_it_stops_at_the_first_residual_within_the_tolerance(tol):
    result = power_iteration(A, [1, 0], tol=tol)
    steps = take(power_steps(A, [1, 0]), result.n_iter + 1)
    assert [step.n_iter for step in steps] == list(range(result.n_iter + 1))
    within = [step.residual <= tol * np.linalg.norm(A @ step.eigenvector) for step in steps]
    assert within == [False] * result.n_iter + [True]
    assert result.message == f"converged after {result.n_iter} steps"


@pytest.mark.parametrize("max_iter", [0, 1, 20])
def test_it_gives_up_after_max_iter(max_iter):
    slow = np.diag([1, 0.99, 0.5])
    for result in (
        power_iteration(slow, [1, 1, 1], max_iter=max_iter),
        orthogonal_iteration(slow, np.ones((3, 1)), max_iter=max_iter),
    ):
        assert not result.converged
        assert result.n_iter == max_iter
        steps = "1 step" if max_iter == 1 else f"{max_iter} steps"
        assert result.message.startswith(f"not converged after {steps}")


def test_the_message_tells_when_rounding_stands_in_the_way():
    S, _ = symmetric([5, 4, 3, 2, 1])
    result = orthogonal_iteration(S, 5, tol=0, max_iter=50, random_state=0)
    assert not result.converged
    assert "rounding keeps the residuals above tol" in result.message


def test_a_seed_makes_the_search_repeatable():
    first, second, other = (power_iteration(A, random_state=seed) for seed in (1, 1, 2))
    assert_array_equal(first.eigenvector, second.eigenvector)
    assert first.residual != other.residual


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_matrix_gives_the_same_iterates(kind):
    M = np.random.default_rng(3).standard_normal((6, 6))
    S = M + M.T
    for dense, other in zip(
        *(take(power_steps(X, np.ones(6)), 9) for X in (M, kind(M))), strict=True
    ):
        assert_allclose(other.eigenvector, dense.eigenvector, atol=1e-12)
        assert_allclose([other.eigenvalue, other.residual], [dense.eigenvalue, dense.residual])
    for method in (top_eigenpairs, orthogonal_iteration):
        block = method(kind(S), 3, random_state=0, max_iter=5000)
        assert_eigenpairs(S, block.eigenvalues, block.eigenvectors)


@given(symmetric_matrices(), st.data())
def test_deflation_moves_one_eigenvalue_to_zero_and_keeps_the_other_pairs(S, data):
    eigenvalues, Q = np.linalg.eigh(S)
    i = data.draw(st.integers(0, len(S) - 1))
    moved = eigenvalues.copy()
    moved[i] = 0
    deflated = deflate(S, eigenvalues[i], -3 * Q[:, i])  # length and sign of v do not matter
    assert_allclose(deflated @ Q, Q * moved, atol=1e-13 * np.abs(eigenvalues).max())


def test_without_symmetry_the_other_eigenvalues_stay():
    P = np.array([[1, 2, 0], [0, 1, 3], [1, 0, 1.0]])
    M = P @ np.diag([5, 3, 1.0]) @ np.linalg.inv(P)
    found = np.linalg.eigvals(deflate(M, 5, P[:, 0]))
    assert_allclose(np.sort(found.real), [0, 1, 3], atol=1e-12)
    assert_allclose(found.imag, 0, atol=1e-12)


@pytest.mark.parametrize("scale", [1, 1e200, 1e-200])
@pytest.mark.parametrize(
    "deflated", [[[0.5, -0.5], [-0.5, 0.5]], A - 5 * np.outer(DIAGONAL, DIAGONAL)]
)
def test_a_start_in_the_null_space_is_a_breakdown(deflated, scale):
    deflated = scale * np.array(deflated)
    result = power_iteration(deflated, [0.5, 0.5])
    assert not result.converged
    assert result.message.startswith("breakdown: A v is zero up to rounding")
    cured = power_iteration(deflated, random_state=0)
    assert cured.converged
    assert cured.eigenvalue == pytest.approx(scale)


def test_the_iterates_end_where_a_v_is_exactly_zero():
    assert len(list(power_steps([[0.5, -0.5], [-0.5, 0.5]], [0.5, 0.5]))) == 1
    assert len(list(power_steps([[0, 1], [0, 0]], [1, 1]))) == 2


def rotation(angle, *others):
    turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    M = np.diag([0, 0, *others]).astype(float)
    M[:2, :2] = turn
    return M


@pytest.mark.parametrize("scale", [1, 1e200, 1e-200])
@pytest.mark.parametrize(
    ("M", "pair"),
    [
        (SWAP, (1, -1)),
        (symmetric([2, -2, 1.8])[0], (2, -2)),
        (symmetric([2, -2, 2, -2, 1])[0], (2, -2)),
        (np.array([[1, 5], [0, -1]]), (1, -1)),
        (rotation(np.pi / 2), (1j, -1j)),
        (rotation(0.7), (np.exp(0.7j), np.exp(-0.7j))),
        (rotation(2.5, 0.5), (np.exp(2.5j), np.exp(-2.5j))),
        (rotation(0.01, -0.9), (np.exp(0.01j), np.exp(-0.01j))),
    ],
)
def test_equal_moduli_are_named(M, pair, scale):
    result = power_iteration(scale * M, np.arange(1, len(M) + 1))
    assert not result.converged
    assert result.n_iter < 1000
    assert result.message.startswith("not converging: the eigenvalues ")
    assert result.message.endswith("have the same modulus, so no single direction wins")
    words = result.message.split("eigenvalues ")[1].split(" have")[0].split(" and ")
    found = [complex(word.replace(" ", "").replace("i", "j")) for word in words]
    assert_allclose(np.array(found) / scale, pair, atol=1e-3)


@pytest.mark.parametrize(
    ("M", "eigenvalue"),
    [
        (symmetric([-3, 2, 1])[0], -3),
        (symmetric([-3, 2.9, 1])[0], -3),
        (symmetric([2, 2, 1])[0], 2),
        (symmetric([-2, -2, 1.5])[0], -2),
        (np.array([[1, 1e3], [0, -0.9]]), 1),
        (rotation(1, 1.1), 1.1),
    ],
)
def test_a_winner_is_found_whatever_its_sign_or_multiplicity(M, eigenvalue):
    result = power_iteration(M, random_state=0)
    assert result.converged
    assert result.eigenvalue == pytest.approx(eigenvalue)


@pytest.mark.parametrize(
    "M",
    [
        np.diag([1, 0.9999]),
        np.diag([1, -0.9999]),
        symmetric([1, -0.99999, 0.3])[0],
        symmetric([1, 0.99999, -0.9999])[0],
        np.array([[1, 1], [0, 1]]),
        np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1]]),
        np.array([[-1, 100], [0, -1]]),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_slow_convergence_is_no_false_alarm(M, seed):
    message = power_iteration(M, random_state=seed).message
    assert message.startswith("not converged after 1000 steps: the last step multiplied")


def test_a_start_orthogonal_to_the_dominant_eigenvector_finds_another_pair():
    exact = power_iteration(np.diag([3.0, 2, 1]), [0, 1, 1])
    assert exact.converged
    assert exact.eigenvalue == pytest.approx(2)


def test_rounding_rescues_a_start_orthogonal_to_the_dominant_eigenvector():
    S, Q = symmetric([3, 2, 1, 0.5])
    start = Q[:, 1]
    assert abs(Q[:, 0] @ start) < 1e-14
    first, *_, last = take(power_steps(S, start), 200)
    assert first.eigenvalue == pytest.approx(2)
    assert last.eigenvalue == pytest.approx(3)
    assert line_angle(last.eigenvector, Q[:, 0]) < 1e-12


@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e-300])
def test_the_scale_of_the_matrix_does_not_matter(scale):
    S, Q = symmetric([5, -3, 1])
    one = power_iteration(scale * S, random_state=0)
    pairs = top_eigenpairs(scale * S, 3, random_state=0)
    block = orthogonal_iteration(scale * S, 2, random_state=0)
    *_, davidson = davidson_steps(scale * S, 2, random_state=0)
    assert_allclose(davidson.eigenvalues / scale, [5, -3])
    assert one.converged
    assert pairs.converged
    assert block.converged
    assert_allclose(one.eigenvalue / scale, 5)
    assert_allclose(pairs.eigenvalues / scale, [5, -3, 1])
    assert_allclose(block.eigenvalues / scale, [5, -3])
    assert_allclose(np.abs(Q.T @ pairs.eigenvectors), np.eye(3), atol=1e-8)
    assert_allclose(np.abs(Q.T @ block.eigenvectors), np.eye(3, 2), atol=1e-8)


@pytest.mark.parametrize("scale", [1.5e308, 1e200, 1e-200, 1e-320])
def test_the_length_of_a_vector_does_not_matter(scale):
    v = np.array([scale, -scale])
    assert line_angle(v, [1, 0]) == pytest.approx(np.pi / 4)
    assert_allclose(next(power_steps(A, v)).eigenvector, [np.sqrt(0.5), -np.sqrt(0.5)])
    assert_allclose(deflate(A, 1, v), np.full((2, 2), 2.5))


@pytest.mark.parametrize(
    "method",
    [
        power_iteration,
        lambda M: top_eigenpairs(M, 1),
        lambda M: orthogonal_iteration(M, 2),
        google_matrix,
    ],
)
def test_overflow_is_refused(method):
    with pytest.raises(FloatingPointError, match=r"exceeds 1e\+300; scale A down first"):
        method(np.full((5, 5), 1e308))


def test_an_operator_that_returns_nan_is_refused():
    broken = LinearOperator((2, 2), matvec=lambda x: x * np.nan, dtype=float)
    with pytest.raises(FloatingPointError, match="a product with A is not a number"):
        power_iteration(broken)


@pytest.mark.parametrize("M", [np.zeros((3, 3)), [[0]], [[-4]], 2 * np.eye(3)])
def test_where_every_vector_is_an_eigenvector_the_start_is_the_answer(M):
    result = power_iteration(M, random_state=0)
    assert result.converged
    assert (result.n_iter, result.eigenvalue) == (0, pytest.approx(np.trace(M) / len(M)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "spectrum",
    [[0, 0, 0, 0], [4, 0, 0, 0], [3, -2, 0, 0], [1, 1e-8, 0, 0], [-1, 1e-4, 1e-11, 0]],
)
def test_top_eigenpairs_of_rank_deficient_and_widely_spread_spectra(spectrum, kind):
    S, _ = symmetric(np.array(spectrum, dtype=float))
    pairs = top_eigenpairs(kind(S), 4, random_state=0)
    V = pairs.eigenvectors
    assert pairs.converged
    assert_allclose(pairs.eigenvalues, spectrum, atol=1e-12)
    assert_allclose(V.T @ V, np.eye(4), atol=1e-12)
    assert_allclose(S @ V, V * pairs.eigenvalues, atol=1e-9)


def test_opposite_eigenvalues_inside_the_block_do_no_harm():
    S, _ = symmetric([3, 2, -2, 1, 0.5])
    block = orthogonal_iteration(S, 3, random_state=0)
    assert block.converged
    assert_allclose(np.sort(block.eigenvalues), [-2, 2, 3])
    assert_allclose(S @ block.eigenvectors, block.eigenvectors * block.eigenvalues, atol=1e-9)
    pairs = top_eigenpairs(S, 3, random_state=0)
    assert not pairs.converged
    assert re.match(r"eigenpair 2 of 3: not converging: .* -?2 and -?2 have", pairs.message)
    assert pairs.residuals[0] < 1e-9 < 0.1 < pairs.residuals[1]  # the first pair is found
    assert_allclose(pairs.eigenvectors.T @ pairs.eigenvectors, np.eye(3), atol=1e-12)


@given(symmetric_matrices(), SEEDS, st.integers(0, 9))
def test_an_iterate_is_a_start(S, seed, n):
    """From where a run stands, a new one goes on as the old one would have."""
    step = nth(power_steps(S, random_state=seed), n)
    result = power_iteration(S, step, max_iter=3)
    old, new = take(power_steps(S, step), 4), take(power_steps(S, result), 1)
    assert_allclose(old[0].eigenvector, step.eigenvector, atol=1e-14)
    assert_allclose(new[0].eigenvector, old[result.n_iter].eigenvector, atol=1e-14)
    k = min(2, len(S))
    blocks = take(orthogonal_steps(S, k, random_state=seed), n + 2)
    again = take(orthogonal_steps(S, blocks[n]), 2)
    size = np.abs(S).max()
    for one, other in zip(blocks[n:], again, strict=True):
        assert_allclose(one.eigenvalues, other.eigenvalues, atol=1e-10 * size)
    pairs = top_eigenpairs(S, k, random_state=seed)
    assert orthogonal_iteration(S, pairs, tol=1e-9).n_iter == 0


def test_an_iterate_cannot_be_written_to_and_says_in_one_line_what_it_is():
    step, block = next(power_steps(A, [1, 0])), orthogonal_iteration(A, 2)
    for array in (step.eigenvector, block.eigenvectors, block.eigenvalues, block.residuals):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    assert repr(step) == "<power step 0: eigenvalue 3, residual 2, eigenvector 2>"
    assert repr(block) == "<block step 0: eigenvectors 2×2, eigenvalues 2, residuals 2>"


def test_a_block_that_cuts_through_a_pair_does_not_converge():
    block = orthogonal_iteration(symmetric([3, 2, -2, 1])[0], 2, random_state=0, max_iter=200)
    assert not block.converged
    assert "|λ_3| may be too close to |λ_2|, try another k" in block.message
    assert block.residuals[0] < 1e-10 < 0.1 < block.residuals[1]  # the first pair is found


@given(symmetric_matrices(), SEEDS)
def test_a_full_block_is_solved_at_once(S, seed):
    block = next(orthogonal_steps(S, len(S), random_state=seed))
    assert_eigenpairs(S, block.eigenvalues, block.eigenvectors)


@given(symmetric_matrices(), SEEDS, st.data())
def test_davidson_ends_with_the_pairs_of_eigh(S, seed, data):
    k = data.draw(st.integers(1, len(S)))
    steps = list(davidson_steps(S, k, tol=1e-12, random_state=seed))
    assert_eigenpairs(S, steps[-1].eigenvalues, steps[-1].eigenvectors)
    for step in steps:
        errors = S @ step.eigenvectors - step.eigenvectors * step.eigenvalues
        atol = 1e-14 * np.abs(S).max()
        assert_allclose(step.residuals, np.linalg.norm(errors, axis=0), atol=atol)
    again = next(davidson_steps(S, steps[0]))
    assert_allclose(again.eigenvalues, steps[0].eigenvalues, atol=1e-13 * np.abs(S).max())


@pytest.mark.parametrize("k", [1, 4])
def test_davidson_beats_orthogonal_iteration_through_its_restarts(k):
    """With gaps of one percent both are slow, and Davidson's basis is restarted."""
    spectrum = 0.99 ** np.arange(150) * np.where(np.arange(150) % 7, 1, -1)
    S, _ = symmetric(spectrum)
    *_, last = davidson_steps(S, k, tol=1e-6, random_state=0)
    assert last.n_iter * k > 5 * k + 20
    assert_allclose(last.eigenvalues, spectrum[:k], rtol=1e-9)
    rival = nth(orthogonal_steps(S, k, random_state=0), last.n_iter)
    assert last.residuals.max() < 1e-6 < rival.residuals.max() / 100


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("copies", [(1, 3), (3, 5), (10, 1), (2, 2)])
def test_davidson_finds_all_copies_among_k_and_tells_close_ones_apart(copies, seed):
    spectrum = np.repeat([1, 0.99, *np.linspace(0.9, 0.1, 60)], [*copies, *60 * [1]])
    S, _ = symmetric(spectrum, seed)
    for k in (1, 2, 3, 4, 10):
        *_, last = davidson_steps(S, k, tol=1e-6, random_state=seed)
        assert_allclose(last.eigenvalues, spectrum[:k], rtol=1e-9)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_davidson_of_a_low_rank_or_of_no_matrix_ends(k):
    for spectrum in ([0.0] * 5, [2.0, 0, 0, 0, 0], [3.0, -3, 1, 0, 0], [1.0] * 5):
        S, _ = symmetric(np.array(spectrum))
        *_, last = davidson_steps(S, k, random_state=0)
        assert_allclose(np.abs(last.eigenvalues), np.abs(spectrum[:k]), atol=1e-12)
        assert_allclose(last.eigenvectors.T @ last.eigenvectors, np.eye(k), atol=1e-12)


@given(st.integers(1, 7), st.floats(0, 1), st.booleans(), SEEDS)
def test_google_matrix(n, damping, as_sparse, seed):
    rng = np.random.default_rng(seed)
    links = rng.integers(0, 3, (n, n)) * (rng.random((n, n)) < 0.4)
    links[rng.integers(n)] = 0  # a page without links
    follow = np.array([row / row.sum() if row.any() else np.full(n, 1 / n) for row in links]).T
    expected = damping * follow + (1 - damping) / n
    operator = google_matrix(sparse.csr_array(links) if as_sparse else links, damping)
    G = operator @ np.eye(n)
    assert_allclose(G, expected, atol=1e-14)
    assert_allclose(operator @ np.eye(n)[:, 0], expected[:, 0], atol=1e-14)
    assert_allclose(G.sum(axis=0), 1)
    if n > 1:  # a defective eigenvalue costs accuracy, hence the width of the margin
        assert np.sort(np.abs(np.linalg.eigvals(G)))[-2] <= damping + 1e-2
    if damping < 0.95:
        rank = np.linalg.solve(np.eye(n) - damping * follow, np.full(n, (1 - damping) / n))
        result = power_iteration(operator, np.ones(n))
        assert result.converged
        assert result.eigenvalue == pytest.approx(1)
        assert_allclose(result.eigenvector / result.eigenvector.sum(), rank, atol=1e-8)


@given(st.lists(st.floats(-300, 290), min_size=4, max_size=4), SEEDS)
def test_the_scale_of_each_row_of_links_does_not_matter(exponents, seed):
    links = np.random.default_rng(seed).integers(0, 3, (4, 4)).astype(float)
    scaled = links * 10.0 ** np.array(exponents)[:, None]
    expected, found = (
        google_matrix(kind(M)) @ np.eye(4)
        for kind, M in ((np.array, links), (sparse.csr_array, scaled))
    )
    assert_allclose(found, expected, atol=1e-12)


@given(st.floats(0, np.pi), st.sampled_from([-1e-9, -1.0, 1.0, 1e9]))
def test_line_angle_ignores_length_and_sign(angle, factor):
    v = factor * np.array([np.cos(angle), np.sin(angle)])
    assert line_angle([1, 0], v) == pytest.approx(min(angle, np.pi - angle), abs=1e-15)


@pytest.mark.parametrize("angle", [1e-4, 1e-9, 1e-16, 1e-100])
def test_line_angle_keeps_tiny_angles(angle):
    assert line_angle([2, 0], [-1, angle]) == pytest.approx(angle, rel=1e-7)


MATRICES = [
    ([[1, 2]], r"A has shape \(1, 2\); a square matrix is needed"),
    ([1, 2], r"A has shape \(2,\); a matrix with two dimensions is needed"),
    ([[1, np.nan], [0, 1]], "A has 1 entry that is NaN or infinite"),
    (sparse.csr_array([[np.inf, np.nan], [0, 1]]), "A has 2 entries that are NaN or infinite"),
    (np.empty((0, 0)), r"A is empty \(shape \(0, 0\)\)"),
    ([[1, 1j], [0, 1]], "A is complex; only real numbers are supported"),
    (aslinearoperator(1j * SWAP), "A is complex"),
    ([["a", "b"], ["c", "d"]], "A holds entries of type <U1; real numbers are needed"),
    ([[1, None], [2, 3]], "A holds entries of type object"),
    ([[1, 2], [3]], "A is not an array: its rows differ in length"),
]
TAKERS = [
    power_steps,
    power_iteration,
    convergence_rate,
    lambda M: deflate(M, 1, [1, 1]),
    lambda M: top_eigenpairs(M, 1),
    lambda M: orthogonal_steps(M, 1),
    lambda M: davidson_steps(M, 1),
    lambda M: orthogonal_iteration(M, 1),
]


@pytest.mark.parametrize(("M", "sentence"), MATRICES)
@pytest.mark.parametrize("taker", TAKERS)
def test_a_bad_matrix_is_refused(taker, M, sentence):
    with pytest.raises(ValueError, match=sentence):
        taker(M)


VECTORS = [
    ([1, 2, 3], r"(v|start) has shape \(3,\); a vector of shape \(2,\) is needed"),
    ([[1, 2]], r"(v|start) has shape \(1, 2\); a vector"),
    ([0, 0], "(v|start) is the zero vector, which has no direction"),
    ([1, np.inf], "(v|start) has 1 entry that is NaN or infinite"),
    ([1, 1j], "(v|start) is complex"),
    (["a", "b"], "(v|start) holds entries of type <U1"),
    ([1, [2]], "(v|start) is not an array: its rows differ in length"),
]


@pytest.mark.parametrize(("v", "sentence"), VECTORS)
@pytest.mark.parametrize(
    "taker",
    [
        lambda v: power_steps(A, v),
        lambda v: power_iteration(A, v),
        lambda v: line_angle([1, 1], v),
    ],
)
def test_a_bad_vector_is_refused(taker, v, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        taker(v)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: line_angle(3, [1]), r"u has shape \(\); a vector of shape \(n,\) is needed"),
        (lambda: line_angle([], []), "u is the zero vector"),
        (lambda: deflate(A, 5, [0, 0]), "eigenvector is the zero vector"),
        (lambda: deflate(A, 1j, [1, 1]), "eigenvalue is 1j; a finite real number is needed"),
        (lambda: deflate(A, np.nan, [1, 1]), "eigenvalue is nan; a finite real number is needed"),
        (lambda: deflate(A, [5, 1], [1, 1]), r"eigenvalue has shape \(2,\); a single number"),
        (lambda: top_eigenpairs(A, 0), "k is 0; at least 1 is needed"),
        (lambda: top_eigenpairs(A, 3), "k is 3; at most 2 is needed"),
        (lambda: orthogonal_iteration(A, 1.0), "k is 1.0; a whole number is needed"),
        (lambda: top_eigenpairs([[1, 2], [3, 4]], 1), "A is not symmetric"),
        (lambda: orthogonal_steps([[1, 2], [3, 4]], 1), "A is not symmetric"),
        (lambda: davidson_steps([[1, 2], [3, 4]], 1), "A is not symmetric"),
        (lambda: davidson_steps(A, 1, tol="small"), "tol is 'small'; a finite real number"),
        (lambda: orthogonal_steps(A, 3), "k is 3; at most 2 is needed"),
        (lambda: orthogonal_steps(A, True), "k is True; a whole number is needed"),
        (lambda: orthogonal_steps(A, [1, 0]), r"start has shape \(2,\); a matrix with two"),
        (lambda: orthogonal_steps(A, [[1, 0]]), r"start has shape \(1, 2\); \(2, 2\)"),
        (lambda: orthogonal_steps(A, np.ones((2, 2))), "columns of start are linearly dependent"),
        (lambda: orthogonal_steps(A, np.eye(2, 3)), "columns of start are linearly dependent"),
        (lambda: orthogonal_steps(A, sparse.eye_array(2)), "start is sparse or an operator"),
        (lambda: convergence_rate(sparse.eye_array(2)), "A is sparse or an operator"),
        (lambda: convergence_rate([[0, 1], [0, 0]]), "all eigenvalues of A are zero"),
        (
            lambda: deflate(sparse.eye_array(2), 1, [1, 0]),
            "A is sparse or an operator; an array is",
        ),
        (lambda: power_iteration(A, max_iter=-1), "max_iter is -1; at least 0 is needed"),
        (lambda: power_iteration(A, max_iter=2.5), "max_iter is 2.5; a whole number"),
        (lambda: orthogonal_iteration(A, 1, max_iter=-1), "max_iter is -1; at least 0"),
        (lambda: power_iteration(A, tol=np.nan), "tol is nan; a finite real number is needed"),
        (lambda: google_matrix(aslinearoperator(A)), "links is an operator; an array or a sparse"),
        (
            lambda: google_matrix([[0, -1], [1, 0]]),
            "links has 1 negative entry; google_mat",
        ),
        (lambda: google_matrix(A, 1.5), "damping is 1.5; a number from 0 to 1 is needed"),
        (lambda: line_angle([1, 2], np.ma.array([1, 2], mask=[1, 0])), "v has masked entries"),
        (lambda: google_matrix([[1, 2]]), r"links has shape \(1, 2\); a square matrix"),
    ],
)
def test_other_bad_input_is_refused(call, sentence):
    with pytest.raises(ValueError, match="^(the )?" + sentence):
        call()


def test_a_stored_zero_is_no_link():
    links = sparse.csr_array(([0.0, 1.0], ([0, 1], [1, 0])), shape=(2, 2))
    assert_array_equal(google_matrix(links) @ [1, 0], [0.5, 0.5])
    assert links.nnz == 2  # the caller's matrix is as it was
