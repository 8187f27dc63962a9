"""Lesson 4: gradients, curvature, and the learning rates that they allow."""

import sys
from math import inf, isfinite, sqrt
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import LinearOperator
from sklearn.exceptions import ConvergenceWarning

from mflib import _validation
from mflib import _validation as check
from mflib.completion import CompletionProblem, ObservedEntries
from mflib.datasets import make_traffic
from mflib.descent import (
    Quadratic,
    SmoothProblem,
    classify_losses,
    critical_learning_rate,
    descent_steps,
    gradient_descent,
    largest_curvature,
)
from mflib.factorization import (
    FactorizationProblem,
    Factors,
    factor_gradient,
    joint_critical_learning_rate,
)
from mflib.iteration import EXPLOSION, has_exploded, nth, take

seeds = st.integers(0, 2**32 - 1)
KINDS = ("dense", "masked")


def make_problem(seed, kind="dense", regularization=0.0, shape=None):
    """Return a random problem with a random point (U, V)."""
    rng = np.random.default_rng(seed)
    m, n = shape or rng.integers(1, 9, 2)
    k = rng.integers(1, 5)
    X = 3 * rng.standard_normal((m, n))
    observed = rng.random((m, n)) < 0.6
    mask = observed if kind == "masked" else None
    X = np.where(observed, X, np.nan) if kind == "masked" else X
    problem = FactorizationProblem(X, mask=mask, regularization=regularization)
    return problem, rng.standard_normal((m, k)), rng.standard_normal((n, k)), rng


def as_matrix(H):
    """Return a Hessian as an array."""
    return H @ np.eye(H.shape[0])


def eigenvalues(H):
    return np.linalg.eigvalsh(as_matrix(H))


class TestLoss:
    def test_by_hand(self):
        problem = FactorizationProblem([[6.0, 4.0]], regularization=2.0)
        U, V = np.array([[1.0]]), np.array([[2.0], [3.0]])
        assert problem.objective((U, V)) == (16 + 1) / 2 + (1 + 4 + 9)
        G, K = problem.gradient((U, V))
        assert G == (-4 * 2 - 1 * 3) + 2
        assert K.ravel().tolist() == [-4 + 4, -1 + 6]

    @given(seeds, st.sampled_from([0.0, 0.7]))
    def test_masked_it_is_the_problem_of_completion(self, seed, strength):
        masked, U, V, _ = make_problem(seed, "masked", strength)
        assume(masked.mask.any())
        entries = ObservedEntries.from_dense(np.where(masked.mask, masked.X, np.nan))
        options = {"regularization": strength, "weighting": "constant"}
        completion, factors = CompletionProblem(entries, **options), masked.as_factors((U, V))
        assert masked.objective(factors) == pytest.approx(completion.objective(factors))
        for G, K in zip(masked.gradient(factors), completion.gradient(factors), strict=True):
            np.testing.assert_allclose(G, K, atol=1e-12)

    def test_a_full_mask_is_no_mask(self):
        X = np.random.default_rng(0).standard_normal((4, 3))
        _, U, V, _ = make_problem(1, shape=(4, 3))
        full, masked = FactorizationProblem(X), FactorizationProblem(X, mask=np.full((4, 3), True))
        assert full.loss((U, V)) == masked.loss((U, V))
        each_row = np.kron(np.eye(4), full.block_hessian((U, V), 0))
        np.testing.assert_allclose(as_matrix(masked.block_hessian((U, V), 0)), each_row)

    @pytest.mark.parametrize("kind", KINDS)
    @given(seed=seeds, regularization=st.sampled_from([0.0, 0.7]))
    def test_gradients_are_finite_differences(self, kind, seed, regularization):
        problem, U, V, rng = make_problem(seed, kind, regularization)
        C, D = rng.standard_normal(U.shape), rng.standard_normal(V.shape)
        h = 1e-4  # along a line the loss is a polynomial of degree 4: five points are exact
        f = [problem.objective((U + t * h * C, V + t * h * D)) for t in (-2, -1, 1, 2)]
        slope = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h)
        G, K = problem.gradient((U, V))
        assert np.vdot(G, C) + np.vdot(K, D) == pytest.approx(slope, rel=1e-6, abs=1e-6)

    @pytest.mark.parametrize("kind", KINDS)
    @given(seed=seeds, regularization=st.sampled_from([0.0, 0.7]))
    def test_hessian_products_are_differences_of_gradients(self, kind, seed, regularization):
        problem, U, V, rng = make_problem(seed, kind, regularization)
        C, D = rng.standard_normal(U.shape), rng.standard_normal(V.shape)
        h = 1e-4
        ahead, back = (problem.gradient((U + t * C, V + t * D)) for t in (h, -h))
        wanted = np.concatenate([((a - b) / (2 * h)).ravel() for a, b in zip(ahead, back)])  # noqa: B905
        d = np.concatenate([C.ravel(), D.ravel()])
        np.testing.assert_allclose(problem.hessian((U, V)) @ d, wanted, rtol=1e-5, atol=1e-5)
        for block, H in (
            (slice(None, U.size), problem.block_hessian((U, V), 0)),
            (slice(U.size, None), problem.block_hessian((U, V), 1)),
        ):
            corner = as_matrix(problem.hessian((U, V)))[block, block]
            if not isinstance(H, LinearOperator):
                H = np.kron(np.eye(corner.shape[0] // H.shape[0]), H)
            np.testing.assert_allclose(as_matrix(H), corner, atol=1e-10)

    @pytest.mark.parametrize("kind", KINDS)
    def test_of_the_transpose(self, kind):
        problem, U, V, _ = make_problem(5, kind, 0.3)
        mask = None if problem.mask is None else problem.mask.T
        turned = FactorizationProblem(problem.X.T, mask=mask, regularization=0.3)
        assert turned.objective((V, U)) == pytest.approx(problem.objective((U, V)))
        np.testing.assert_allclose(turned.gradient((V, U)).U, problem.gradient((U, V)).V)
        hessians = turned.block_hessian((V, U), 0), problem.block_hessian((U, V), 1)
        np.testing.assert_allclose(*map(as_matrix, hessians))

    def test_strengths_may_differ_by_row(self):
        rng = np.random.default_rng(0)
        E, U, V = (rng.standard_normal(shape) for shape in ((4, 3), (4, 2), (3, 2)))
        rows, columns = rng.random(4), rng.random(3)
        found = factor_gradient(E, Factors(U, V), rows, columns)
        np.testing.assert_allclose(found.U, E @ V + np.diag(rows) @ U)
        np.testing.assert_allclose(found.V, E.T @ U + np.diag(columns) @ V)

    def test_what_is_masked_is_never_looked_at(self):
        problem = FactorizationProblem([[1.0, np.nan]], mask=[[True, False]])
        assert problem.loss(([[1.0]], [[1.0], [1e9]])) == 0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"X": [[1.0, np.nan]]}, "X has 1 entry that is NaN or infinite"),
            (
                {"X": [[1.0]], "mask": [[True, True]]},
                r"mask has shape \(1, 2\); \(1, 1\) is needed",
            ),
            ({"X": [[1.0]], "mask": [[1.0]]}, "type float64; bool"),
            ({"X": sparse.eye_array(2)}, "X is sparse or an operator; an array is needed"),
            ({"X": [[1.0]], "regularization": -1}, "regularization is -1; at least 0"),
        ],
    )
    def test_refuses(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            FactorizationProblem(**arguments)


class TestCurvature:
    # Not for any seed: from a rare start power iteration settles on a smaller eigenvalue.
    @pytest.mark.parametrize("seed", range(30))
    def test_is_the_largest_eigenvalue_of_an_indefinite_matrix(self, seed):
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((6, 6))
        H = A + A.T
        wanted = np.linalg.eigvalsh(H)[-1]
        size = np.linalg.norm(H, 2)
        assert largest_curvature(H, random_state=seed) == pytest.approx(wanted, abs=1e-3 * size)

    @given(seeds)
    def test_is_an_eigenvalue_whatever_the_start(self, seed):
        A = np.random.default_rng(seed).standard_normal((6, 6))
        values = np.linalg.eigvalsh(A + A.T)
        distances = np.abs(values - largest_curvature(A + A.T, random_state=seed))
        assert distances.min() <= 1e-3 * np.abs(values).max()

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("seed", range(10))
    def test_of_the_joint_problem(self, kind, seed):
        problem, U, V, _ = make_problem(seed, kind, 0.5)
        values = eigenvalues(problem.hessian((U, V)))
        curvature = largest_curvature(problem.hessian((U, V)), random_state=seed)
        assert curvature == pytest.approx(values[-1], abs=1e-3 * np.abs(values).max())

    def test_at_zero_factors_is_sigma_1(self):
        X = np.random.default_rng(0).standard_normal((5, 4))
        H = FactorizationProblem(X).hessian((np.zeros((5, 2)), np.zeros((4, 2))))
        sigma = np.linalg.norm(X, 2)
        assert largest_curvature(H, random_state=0) == pytest.approx(sigma, rel=1e-4)

    def test_no_curvature(self):
        assert largest_curvature(np.zeros((3, 3))) == 0
        assert critical_learning_rate(np.zeros((3, 3))) == inf
        assert critical_learning_rate(-np.eye(3)) == inf
        assert joint_critical_learning_rate(np.zeros((3, 2))) == inf

    def test_that_is_not_found_is_warned_of(self):
        H = np.diag([1.0, 1 - 1e-6])
        with pytest.warns(ConvergenceWarning, match="not converged after 10000 steps"):
            curvature = largest_curvature(H, tol=1e-9, random_state=0)
        assert 1 - 1e-6 < curvature < 1

    @pytest.mark.parametrize("shape", [(30, 20), (20, 30)])
    def test_joint_limit(self, shape):
        X = np.random.default_rng(0).standard_normal(shape)
        wanted = 1 / np.linalg.norm(X, 2)
        assert joint_critical_learning_rate(X, random_state=0) == pytest.approx(wanted, rel=1e-5)


def named_limit(result):
    """Return the limit that a message names."""
    return float(result.message.rpartition(" = ")[2])


def bisect(diverges, low, high):
    """Return the border between learning rates that converge and those that diverge."""
    assert not diverges(low)
    assert diverges(high)
    while high / low > 1.001:
        middle = sqrt(low * high)
        low, high = (low, middle) if diverges(middle) else (middle, high)
    return sqrt(low * high)


class TestQuadratic:
    @settings(max_examples=20)
    @given(seeds)
    def test_diverges_above_two_over_lambda_max(self, seed):
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((8, 5))
        H, b, x0 = A.T @ A, rng.standard_normal(5), rng.standard_normal(5)
        predicted = critical_learning_rate(H, random_state=seed)

        def diverges(eta):  # do the steps become longer in the end?
            steps = descent_steps(Quadratic(H, b), (x0,), eta)
            x = np.array([step.x for step in take(steps, 400)])
            lengths = np.linalg.norm(np.diff(x[-3:], axis=0), axis=1)
            return bool(lengths[1] > max(lengths[0], 1e-9 * np.linalg.norm(x[1] - x[0])))

        assert bisect(diverges, predicted / 1.5, predicted * 1.5) == pytest.approx(
            predicted, rel=0.01
        )

    @given(seeds, st.floats(0.01, 3))
    def test_error_along_each_eigenvector_is_multiplied_by_one_minus_eta_lambda(self, seed, eta):
        rng = np.random.default_rng(seed)
        A = rng.standard_normal((4, 3))
        H, x0 = A.T @ A, rng.standard_normal(3)
        values, vectors = np.linalg.eigh(H)
        b = H @ [1.0, 2.0, 3.0]
        for step in take(descent_steps(Quadratic(H, b), (x0,), eta), 6):
            error = vectors.T @ (step.x - [1, 2, 3])
            wanted = (1 - eta * values) ** step.n_iter * (vectors.T @ (x0 - [1, 2, 3]))
            np.testing.assert_allclose(error, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())

    @pytest.mark.parametrize("condition", [1.5, 9.0, 100.0])
    def test_fastest_rate(self, condition):
        """At 2/(λ_max + λ_min) the error shrinks by (κ − 1)/(κ + 1), and no other η is faster."""
        H, best = np.diag([1.0, condition]), 2 / (1 + condition)

        def rate(eta):
            steps = descent_steps(Quadratic(H, [0, 0]), ([1, 1],), eta)
            x = [step.x for step in take(steps, 181)]
            lengths = np.linalg.norm(x, axis=1)
            return (lengths[180] / lengths[80]) ** (1 / 100)

        assert rate(best) == pytest.approx((condition - 1) / (condition + 1), rel=1e-3)
        assert min(rate(0.97 * best), rate(1.03 * best)) > rate(best)

    def test_loss(self):
        (step,) = take(descent_steps(Quadratic([[2.0]], [1.0]), ([3.0],), 0.1), 1)
        assert step.loss == step.objective == 9 - 3
        assert step.gradient_norm == 6 - 1

    @pytest.mark.parametrize(
        ("H", "b", "start", "message"),
        [
            ([[1.0, 2.0], [0.0, 1.0]], [1.0, 2.0], [1.0, 2.0], "H is not symmetric"),
            (np.eye(2), [1.0], [1.0, 2.0], r"b has shape \(1,\); \(2,\) is needed"),
            (np.eye(2), [1.0, np.nan], [1.0, 2.0], "b has 1 entry that is NaN or infinite"),
            (np.eye(2), [1.0, 2.0], [1.0], r"shapes \(1,\); \(2,\) are needed for x"),
            (np.eye(2), [1.0, 2.0], [np.inf, 1.0], "x has 1 entry that is NaN or infinite"),
        ],
    )
    def test_refuses(self, H, b, start, message):
        with pytest.raises(ValueError, match=message):
            descent_steps(Quadratic(H, b), (start,), 0.1)

    def test_with_one_factor_alternating_is_simultaneous(self):
        problem, start = Quadratic([[3.0, 2.0], [2.0, 3.0]], [1.0, 2.0]), ([5.0, 1.0],)
        ends = [
            nth(descent_steps(problem, start, 0.3, updates=updates), 9).x
            for updates in ("alternating", "simultaneous")
        ]
        np.testing.assert_array_equal(*ends)

    @settings(max_examples=20)
    @given(seeds, st.booleans())
    def test_result(self, seed, at_zero):
        """Below 2/λ_max it finds the minimum, above it says so, from a start at 0 too."""
        rng = np.random.default_rng(seed)
        A, wanted = rng.standard_normal((8, 3)), rng.standard_normal(3)
        problem = Quadratic(A.T @ A, A.T @ (A @ wanted))
        start = (np.zeros(3) if at_zero else wanted + rng.standard_normal(3),)
        critical = critical_learning_rate(problem.H, random_state=0)
        safe = gradient_descent(problem, start, random_state=seed, max_iter=100_000)
        below = gradient_descent(problem, start, 0.9 * critical, max_iter=100_000)
        for found in (safe, below):
            assert found.converged
            condition = np.linalg.cond(problem.H)
            np.testing.assert_allclose(found.x, wanted, atol=1e-4 * condition)
        above = gradient_descent(problem, start, 1.5 * critical, max_iter=100_000)
        assert above.message.startswith("diverged")
        assert ": η = " in above.message
        assert above.message.endswith(f" is 1.5 × the critical 2/λ_max = {critical:.3g}")

    def test_without_a_minimum(self):
        saddle = Quadratic([[3.0, 4.0], [4.0, 3.0]], [1.0, 2.0])
        result = gradient_descent(saddle, ([0.0, 0.0],), 0.1, max_iter=100_000)
        assert result.message.startswith("diverged")
        assert result.message.endswith("H has a negative eigenvalue, so that there is no minimum")

    @settings(max_examples=10)
    @given(seeds, st.sampled_from(KINDS), st.booleans())
    def test_each_block_diverges_above_its_own_limit(self, seed, kind, second):
        problem, *factors, _ = make_problem(seed, kind, 0.1, shape=(6, 5))
        block = int(second)
        H = problem.block_hessian(factors, block)
        predicted = critical_learning_rate(H, random_state=seed)

        def diverges(eta):
            moving, lengths = list(factors), []
            for _ in range(200):
                step = eta * problem.gradient(moving)[block]
                moving[block] = moving[block] - step
                lengths.append(np.linalg.norm(step))
            return lengths[-1] > max(lengths[-2], 1e-9 * lengths[0])

        assert bisect(diverges, predicted / 1.5, predicted * 1.5) == pytest.approx(
            predicted, rel=0.01
        )


class TestJoint:
    """What holds for both factors together, fully observed, without regularization."""

    @given(seeds, st.booleans())
    def test_theorem_every_global_minimum_has_curvature_of_at_least_2_sigma_1(self, seed, repeated):
        rng = np.random.default_rng(seed)
        m, n, k = rng.integers(1, 7, 3)
        W, sigma, Zt = np.linalg.svd(rng.standard_normal((m, n)), full_matrices=False)
        if repeated:
            sigma[:2] = sigma[0]
        X = (W * sigma) @ Zt
        half = np.sqrt(sigma[:k])
        empty = max(0, k - sigma.size)  # columns beyond the rank are zero
        balanced = [np.pad(F[:, :k] * half, ((0, 0), (0, empty))) for F in (W, Zt.T)]
        G = rng.standard_normal((k, k)) + 2 * np.eye(k)  # any invertible change of basis
        unbalanced = balanced[0] @ G, balanced[1] @ np.linalg.inv(G).T
        problem = FactorizationProblem(X)
        for factors in (balanced, unbalanced):
            _assert_global_minimum(problem, factors, sigma[k:])
        assert eigenvalues(problem.hessian(balanced))[-1] == pytest.approx(2 * sigma[0])
        assert eigenvalues(problem.hessian(unbalanced))[-1] >= 2 * sigma[0] * (1 - 1e-9)

    @settings(max_examples=10)
    @given(seeds)
    def test_converges_just_below_one_over_sigma_1_and_not_above(self, seed):
        rng = np.random.default_rng(seed)
        m, n, k = rng.integers(3, 9), rng.integers(3, 9), 2
        X = rng.standard_normal((m, n))
        problem = FactorizationProblem(X)
        limit = joint_critical_learning_rate(X, random_state=0)
        start = 0.1 * rng.standard_normal((m, k)), 0.1 * rng.standard_normal((n, k))
        options = {"updates": "simultaneous"}
        below = gradient_descent(problem, start, 0.97 * limit, max_iter=20_000, **options)
        above = gradient_descent(problem, start, 1.03 * limit, max_iter=5_000, **options)
        assert not above.converged
        assert classify_losses(above.objectives) != "converging"
        assert classify_losses(below.objectives) == "converging"
        sigma = np.linalg.svd(X, compute_uv=False)
        # The slowest direction shrinks by 1 − η(σ₂ − σ₃) per step: equal values take for ever.
        if sigma[1] - sigma[2] > 0.05 * sigma[0]:
            assert below.converged
            _assert_global_minimum(problem, below, sigma[k:])
            H = problem.hessian(below)
            assert eigenvalues(H)[-1] >= 2 * sigma[0] * (1 - 1e-4)

    def test_product_of_two_numbers(self):
        """x = uv with σ₁ = 5: the critical rate is 0.2, and three things happen."""
        problem = FactorizationProblem([[5.0]])
        assert joint_critical_learning_rate([[5.0]], random_state=0) == pytest.approx(0.2)
        outcomes = {}
        for eta in (0.05, 0.19, 0.201, 0.21, 0.25, 0.39, 0.45):
            steps = descent_steps(problem, ([[1.0]], [[0.5]]), eta, updates="simultaneous")
            losses = [step.loss for step in take(steps, 4000)]
            outcomes[eta] = classify_losses(losses, reference=12.5)  # the loss of u = v = 0
            if outcomes[eta] == "oscillating":
                assert 0 < max(losses[-1000:]) <= 12.5  # ½x²: uv stays between 0 and 2x
        assert list(outcomes.values()) == ["converging"] * 2 + ["oscillating"] * 4 + ["diverged"]

    def test_curvature_of_an_unbalanced_minimum(self):
        """Scaling u by 4 and v by ¼ makes λ_max = u² + v² grow from 10 to 80.3."""
        problem, root = FactorizationProblem([[5.0]]), sqrt(5)
        for scale, wanted in ((1, 10.0), (4, 80.3125)):
            H = problem.hessian(([[scale * root]], [[root / scale]]))
            assert eigenvalues(H)[-1] == pytest.approx(wanted)

    @given(st.floats(0.01, 2), st.floats(0.05, 0.99))
    def test_balanced_orbits_stay_bounded_below_2_over_sigma(self, eta_sigma, share):
        """For u = v the step is u(1 + ησ − ηu²), which maps |u| ≤ √((2 + ησ)/η) into itself."""
        sigma = 5.0
        eta = eta_sigma / sigma
        bound = sqrt((2 + eta_sigma) / eta)
        start = [[share * bound]], [[share * bound]]
        problem = FactorizationProblem([[sigma]])
        for step in take(descent_steps(problem, start, eta, updates="simultaneous"), 500):
            assert abs(step.U.item()) <= bound * (1 + 1e-9)

    @given(st.floats(1.001, 20), st.floats(2.001, 10))
    def test_beyond_2_over_sigma_balanced_orbits_have_a_way_out(self, sigma, eta_sigma):
        """From u = v the step is g(u); past R it grows for ever, and g's maximum lies past R."""
        eta = eta_sigma / sigma
        R = sqrt((2 + eta_sigma) / eta)
        highest = sqrt((1 + eta_sigma) / (3 * eta))  # there g' = 0
        start = [[highest]], [[highest]]
        steps = descent_steps(FactorizationProblem([[sigma]]), start, eta, updates="simultaneous")
        u = [abs(step.U.item()) for step in take(steps, 4)]
        assert R < u[1] < u[2] < u[3]

    @given(st.floats(0.05, 0.99), st.floats(0.6, 4), st.floats(0.8, 0.97))
    def test_a_run_that_settles_ends_where_its_learning_rate_is_held(self, eta_sigma, scale, off):
        """The edge of stability: on ½(uv − 5)² no run ends with λ_max above 2/η."""
        problem, eta = FactorizationProblem([[5.0]]), eta_sigma / 5
        start = [[scale * sqrt(5)]], [[off * sqrt(5) / scale]]
        result = gradient_descent(
            problem, start, eta, updates="simultaneous", max_iter=5000, tol=1e-9
        )
        assume(result.converged and result.loss < 1e-6)
        curvature = largest_curvature(problem.hessian(result), random_state=0)
        assert curvature <= 2 / eta * (1 + 1e-3)


def _assert_global_minimum(problem, factors, discarded):
    G, K = problem.gradient(factors)
    assert max(np.abs(G).max(), np.abs(K).max()) < 1e-3
    assert problem.loss(factors) == pytest.approx((discarded**2).sum() / 2, rel=1e-4, abs=1e-8)


class TestDescent:
    def test_first_steps_by_hand(self):
        problem = FactorizationProblem([[6.0]])
        start = [[1.0]], [[2.0]]  # E = -4, gradients -8 and -4
        simultaneous = nth(descent_steps(problem, start, 0.1, updates="simultaneous"), 1)
        assert (simultaneous.U.item(), simultaneous.V.item()) == pytest.approx((1.8, 2.4))
        alternating = nth(descent_steps(problem, start, 0.1), 1)
        assert alternating.U.item() == pytest.approx(1.8)
        assert alternating.V.item() == pytest.approx(2 - 0.1 * (1.8 * 2 - 6) * 1.8)
        assert simultaneous.gradient_norm == pytest.approx(
            np.hypot(*(g.item() for g in problem.gradient(simultaneous)))
        )

    @settings(max_examples=500)
    @given(seeds, st.sampled_from(KINDS), st.sampled_from([0.0, 0.7]), st.floats(-3, 3))
    def test_the_safe_step_never_increases_the_loss(self, seed, kind, regularization, log_scale):
        problem, U, V, _ = make_problem(seed, kind, regularization)
        scale = 10**log_scale
        steps = descent_steps(problem, (scale * U, V / scale), random_state=seed)
        objectives = np.array([step.objective for step in take(steps, 12)])
        assert (np.diff(objectives) <= 1e-12 * objectives[0]).all()

    @pytest.mark.parametrize("regularization", [0.0, 2.0])
    def test_zero_factors_stay(self, regularization):
        problem = FactorizationProblem([[1.0, 2.0]], regularization=regularization)
        result = gradient_descent(problem, ([[0.0]], [[0.0], [0.0]]))
        assert result.converged
        assert result.n_iter == 0

    @pytest.mark.parametrize("kind", KINDS)
    def test_result_when_converged(self, kind):
        problem, U, V, _ = make_problem(3, kind, 0.5, shape=(6, 5))
        result = gradient_descent(problem, (U, V), max_iter=20_000, random_state=0)
        assert result.converged
        assert result.objectives.size == result.n_iter + 1
        assert result.objectives[-1] == result.objective == problem.objective(result)
        assert result.message == f"converged after {result.n_iter} steps"

    def test_result_when_the_steps_run_out(self):
        problem, U, V, _ = make_problem(3, shape=(6, 5))
        result = gradient_descent(problem, (U, V), max_iter=3)
        assert (result.converged, result.n_iter) == (False, 3)
        assert result.message == "not converged after 3 steps"

    @given(seeds, st.sampled_from(KINDS), st.sampled_from(["simultaneous", "alternating"]))
    def test_divergence_is_reported_and_the_last_iterate_is_finite(self, seed, kind, updates):
        problem, U, V, _ = make_problem(seed, kind, shape=(5, 4))
        eta = 10 * joint_critical_learning_rate(problem.X, random_state=0)
        if not isfinite(eta):
            return
        result = gradient_descent(problem, (10 * U, V), eta, updates=updates)
        assert result.message.startswith("diverged")
        assert not np.isnan(result.objectives).any()
        assert result.objectives.size == result.n_iter + 2
        assert result.objectives[-2] == problem.objective(result)
        assert has_exploded(result.objectives[-1], result.objectives[0])
        assert f"diverged at step {result.n_iter + 1}: η = {eta:.4g} is " in result.message
        assert named_limit(result) < eta

    def test_divergence_below_the_joint_limit_names_the_steep_place(self):
        """A large unbalanced start explodes at a rate that would suit the minima."""
        problem = FactorizationProblem([[5.0]])
        result = gradient_descent(problem, ([[12.0]], [[0.1]]), 0.1, updates="simultaneous")
        assert result.message.startswith("diverged")
        assert "the critical 2/λ_max at step " in result.message
        assert named_limit(result) < 0.1 < 0.2

    @pytest.mark.parametrize(
        ("start", "options", "message"),
        [
            (([[1.0]], [[1.0]]), {"learning_rate": 0}, "learning_rate is 0; a number above 0"),
            (([[1.0]], [[1.0]]), {"learning_rate": np.nan}, "learning_rate is nan; a finite"),
            (
                ([[1.0]], [[1.0]]),
                {"updates": "both"},
                "updates is 'both'; use one of",
            ),
            (([[1.0]], [[1.0]]), {"updates": "simultaneous"}, "have no safe step"),
            (([[1.0, 2.0]], [[1.0]]), {}, r"shapes \(1, 2\) and \(1, 1\); \(1, k\) and"),
            (([[1e200]], [[1e200]]), {}, "the loss of the start overflows"),
            (([[np.nan]], [[1.0]]), {}, "U has 1 entry that is NaN"),
        ],
    )
    def test_refuses(self, start, options, message):
        with pytest.raises(ValueError, match=message):
            descent_steps(FactorizationProblem([[1.0]]), start, **options)

    def test_refuses_limits(self):
        with pytest.raises(ValueError, match="tol is -1"):
            gradient_descent(FactorizationProblem([[1.0]]), ([[1.0]], [[1.0]]), tol=-1)
        with pytest.raises(ValueError, match="max_iter is -1; at least 0"):
            gradient_descent(FactorizationProblem([[1.0]]), ([[1.0]], [[1.0]]), max_iter=-1)


class Powers(NamedTuple):
    """Three factors, of different shapes."""

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray


class PowerProblem(SmoothProblem):
    """½(a·b c² − 6)² + ½‖a‖²: all that a problem must define."""

    def as_factors(self, start):
        return check.factors(start, Powers, {"a": (2,), "b": (2,), "c": (1, 1)})

    def loss_and_gradient(self, factors):
        a, b, c = factors
        error = a @ b * c**2 - 6
        loss = float(error.item() ** 2 / 2)
        return loss, Powers(
            (error * c**2 * b).ravel() + a, (error * c**2 * a).ravel(), error * 2 * c * (a @ b)
        )

    def penalty(self, factors):
        return float(factors.a @ factors.a) / 2


class TestAnyProblem:
    start = ([1.0, -0.5], [2.0, 1.0], [[1.0]])

    @pytest.mark.parametrize("updates", ["alternating", "simultaneous"])
    def test_descends(self, updates):
        seen = []
        result = gradient_descent(
            PowerProblem(), self.start, 0.01, updates=updates, max_iter=100, watch=seen.append
        )
        assert (np.diff(result.objectives) < 0).all()
        assert result.objective < 0.1 * result.objectives[0]
        assert result.objective == result.loss + (result.a @ result.a) / 2
        assert [step.n_iter for step in seen] == list(range(result.n_iter + 1))
        assert [step.objective for step in seen] == result.objectives.tolist()
        assert gradient_descent(PowerProblem(), result, 0.01, max_iter=1).objectives[0] == (
            result.objective
        )

    def test_alternating_uses_what_is_new(self):
        first = nth(descent_steps(PowerProblem(), self.start, 0.01), 1)
        a, b, c = map(np.array, self.start)
        a = a - 0.01 * ((a @ b * c**2 - 6).item() * b + a)
        b = b - 0.01 * (a @ b * c**2 - 6).item() * a
        c = c - 0.01 * (a @ b * c**2 - 6) * 2 * c * (a @ b)
        for found, wanted in zip(first.factors, (a, b, c), strict=True):
            np.testing.assert_allclose(found, wanted)

    def test_diverges_with_a_true_sentence(self):
        result = gradient_descent(PowerProblem(), self.start, 5)
        assert result.message.startswith("diverged")
        assert result.message.endswith(": η = 5 is too large for this start")

    def test_has_no_safe_step_unless_it_has_a_hessian(self):
        with pytest.raises(ValueError, match="PowerProblem has no safe step; give a learning_rate"):
            descent_steps(PowerProblem(), self.start)


class TestIterates:
    def test_are_starts(self):
        problem, U, V, _ = make_problem(3, shape=(6, 5))
        steps = descent_steps(problem, (U, V), 0.01)
        third = nth(steps, 3)
        (again,) = take(descent_steps(problem, third, 0.01), 1)
        assert again.objective == third.objective
        result = gradient_descent(problem, third, 0.01, max_iter=2)
        assert gradient_descent(problem, result, 0.01, max_iter=2).objectives[0] == result.objective

    def test_cannot_be_written_to(self):
        problem, U, V, _ = make_problem(3, shape=(6, 5))
        (step,) = take(descent_steps(problem, (U, V), 0.01), 1)
        with pytest.raises(ValueError, match="read-only"):
            step.U[:] = 0
        assert problem.as_factors(step).U.flags.writeable

    def test_say_what_they_are_in_one_line(self):
        (step,) = take(descent_steps(FactorizationProblem([[6.0]]), ([[1.0]], [[2.0]])), 1)
        assert repr(step) == (
            "<descent step 0: loss 8, objective 8, gradient_norm 8.944, U 1×1, V 1×1>"
        )

    @pytest.mark.parametrize("kind", KINDS)
    def test_are_checked_once(self, kind):
        problem, U, V, _ = make_problem(3, kind, shape=(6, 5))
        steps = descent_steps(problem, (U, V), random_state=0)
        take(steps, 2)  # power iteration has begun
        called = []

        def note(frame, event, _):
            files = frame.f_code.co_filename, frame.f_back and frame.f_back.f_code.co_filename
            if event == "call" and files[0] == _validation.__file__ != files[1]:
                called.append(frame.f_code.co_name)

        sys.setprofile(note)
        take(steps, 50)
        sys.setprofile(None)
        assert called == ["count"]  # by `take`, of its number; by the steps nothing

    def test_are_left_to_overflow_and_the_result_says_so(self):
        """UᵀU underflows, so that 1/λ_max overflows."""
        problem, start = FactorizationProblem([[1.7, 1.0]]), ([[1e-160]], [[0.0], [0.0]])
        assert not isfinite(nth(descent_steps(problem, start, random_state=0), 5).loss)
        result = gradient_descent(problem, start, random_state=0)
        assert result.n_iter == 0
        assert result.message == (
            "diverged at step 1: even with the safe steps the numbers overflow; scale the start"
        )


class TestScale:
    @pytest.mark.parametrize("scale", [1e-200, 1e-100, 1e100, 1e160])
    def test_the_joint_limit_scales_with_the_data(self, scale):
        limit = joint_critical_learning_rate(np.ones((2, 2)) * scale, random_state=0)
        assert limit == pytest.approx(0.5 / scale)

    @pytest.mark.parametrize("scale", [1e-100, 1.0, 1e100])
    def test_convergence_does_not_depend_on_the_unit(self, scale):
        problem = FactorizationProblem(scale * np.ones((3, 2)))
        start = np.full((3, 1), 0.5 * sqrt(scale)), np.full((2, 1), 2 * sqrt(scale))
        assert gradient_descent(problem, start, random_state=0).converged

    def test_wrong_shapes_are_refused(self):
        problem = FactorizationProblem([[1.0, 2.0]])
        with pytest.raises(
            ValueError, match=r"shapes \(1, 1\) and \(1, 1\); \(1, k\) and \(2, k\)"
        ):
            problem.loss(([[1.0]], [[1.0]]))


class TestClassification:
    n = np.arange(200)

    def test_of_known_sequences(self):
        n = self.n
        assert classify_losses(0.97**n) == "converging"
        assert classify_losses(np.r_[[5.0, 9.0, 3.0], np.full(100, 2.0)]) == "converging"
        assert classify_losses(2 - 0.97**n) != "diverged"  # it rises, to a limit
        assert classify_losses(3 + np.cos(n)) == "oscillating"
        assert classify_losses(1.01**n) == "diverged"
        assert classify_losses(np.r_[np.ones(9), 2 * EXPLOSION]) == "diverged"
        for bad in (np.nan, np.inf):
            assert classify_losses([1.0] * 8 + [bad]) == "diverged"

    @pytest.mark.parametrize("floor", [0.0, 10.0])
    def test_of_a_damped_swing_above_a_floor(self, floor):
        assert classify_losses(floor + 0.97**self.n * (1 + 0.5 * (-1.0) ** self.n)) == "converging"

    def test_of_a_slow_approach_to_a_cycle(self):
        swing = 1 + 0.99**self.n
        assert classify_losses(5 + swing * (-1.0) ** self.n) == "oscillating"

    @settings(max_examples=200)
    @given(st.floats(0.05, 0.95))
    def test_of_chaos(self, x):
        losses = []
        for _ in range(150):
            x = 3.9 * x * (1 - x)
            losses.append(x)
        assert classify_losses(losses) == "oscillating"

    @pytest.mark.parametrize(
        ("ratio", "wanted"), [(0.9, "converging"), (0.99, "converging"), (1.02, "oscillating")]
    )
    def test_of_gradient_descent_with_a_floor(self, ratio, wanted):
        """Rank 2 of random matrices: the loss settles far above zero, and swings near the limit."""
        right = 0
        for seed in range(10):
            rng = np.random.default_rng(seed)
            problem = FactorizationProblem(rng.standard_normal((6, 5)))
            eta = ratio / np.linalg.norm(problem.X, 2)
            start = 0.1 * rng.standard_normal((6, 2)), 0.1 * rng.standard_normal((5, 2))
            steps = descent_steps(problem, start, eta, updates="simultaneous")
            right += classify_losses([step.loss for step in take(steps, 1500)]) == wanted
        assert right >= 9

    def test_of_a_start_close_to_a_minimum(self):
        """Beside a tiny first loss everything is large: the reference tells what large means."""
        problem = FactorizationProblem([[5.0]])
        root = sqrt(5)
        steps = descent_steps(problem, ([[root + 1e-3]], [[root]]), 0.3, updates="simultaneous")
        losses = [step.loss for step in take(steps, 400)]
        assert classify_losses(losses) == "diverged"
        assert classify_losses(losses, reference=12.5) == "oscillating"  # of u = v = 0

    def test_rounding_is_no_oscillation(self):
        assert classify_losses([1.0, *[1e-30, 2e-30] * 20]) == "converging"

    def test_refuses_short_runs(self):
        with pytest.raises(ValueError, match="at least 32 losses"):
            classify_losses([1.0, 2.0])


@pytest.fixture(scope="module")
def published():
    X = make_traffic(random_state=0).speeds
    rng = np.random.default_rng(0)
    return FactorizationProblem(X), rng.random((323, 60)), rng.random((17568, 60))


class TestPublishedRun:
    """A published notebook: 323×17568 speeds, rank 60, factors from U(0, 1), η = 0.01."""

    def test_reproduced_and_predicted(self, published):
        problem, U, V = published
        eta = 0.01
        curvature = largest_curvature(problem.block_hessian((U, V), 0), random_state=0)
        n, k = V.shape
        assert curvature == pytest.approx(n * (k / 4 + 1 / 12), rel=0.01)
        first = take(descent_steps(problem, (U, V), eta), 4)
        norms = [sqrt(2 * step.loss) for step in first]
        assert 1e17 < norms[1] < 1e19
        assert 1e92 < norms[2] < 1e96
        assert not isfinite(norms[3])

        half = U - eta * problem.gradient((U, V)).U
        other = largest_curvature(problem.block_hessian((half, V), 1), random_state=0)
        predicted = (eta * curvature - 1) * (eta * other - 1) * norms[0]
        assert 1 / 2 < predicted / norms[1] < 2

    def test_reported(self, published):
        problem, U, V = published
        result = gradient_descent(problem, (U, V), 0.01)
        assert result.n_iter == 0
        assert named_limit(result) == pytest.approx(7.55e-6, rel=0.01)
        assert "of U's half step 1 = " in result.message
        np.testing.assert_array_equal(result.U, U)


class TestMomentum:
    """x ← x − η∇f + β(x − x_before): along curvature λ a step is the matrix below."""

    def growth(self, eta, beta, curvature):
        step = [[1 + beta - eta * curvature, -beta], [1.0, 0.0]]
        return np.abs(np.linalg.eigvals(step)).max()

    @given(st.floats(0, 0.99), st.floats(0.1, 10))
    def test_the_cliff_is_at_2_1_plus_beta_over_lambda_max(self, beta, curvature):
        limit = 2 * (1 + beta) / curvature
        assert self.growth(0.999 * limit, beta, curvature) < 1
        assert self.growth(1.001 * limit, beta, curvature) > 1

    @given(st.floats(1.1, 1e4))
    def test_the_best_rate_goes_with_the_root_of_the_condition_number(self, condition):
        low, high = 1.0, condition
        eta = 4 / (sqrt(high) + sqrt(low)) ** 2
        rate = (sqrt(condition) - 1) / (sqrt(condition) + 1)
        for curvature in np.linspace(low, high, 9):
            assert self.growth(eta, rate**2, curvature) == pytest.approx(rate, abs=1e-6)
