"""Lesson 6: transitions are recovered, losses descend, gradients are right, forecasts honest."""

import pickle
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import block_diag
from scipy.optimize import approx_fprime, nnls
from scipy.sparse import csr_array
from scipy.stats import ortho_group
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils.estimator_checks import check_estimator

from mflib.datasets import fetch_hangzhou_metro
from mflib.datasets._download import cache_folder
from mflib.datasets.downloaded import HANGZHOU
from mflib.descent import descent_steps, gradient_descent
from mflib.iteration import nth, take
from mflib.least_squares import ridge_rows
from mflib.sequential import (
    JointMF,
    JointProblem,
    LastValue,
    MeanValue,
    RolloutFactors,
    RolloutMF,
    RolloutProblem,
    ScalarAutoregression,
    TwoStageMF,
    block_missing,
    describe_eigenvalues,
    fit_transitions,
    joint_steps,
    random_missing,
    rmse,
    rolling_forecast,
    rollout_steps,
)
from mflib.sequential.transitions import companion_eigenvalues, fill_gaps, roll_forward

FORECASTERS = [
    LastValue(),
    LastValue(3),
    MeanValue(),
    MeanValue(3),
    ScalarAutoregression((1, 3)),
    TwoStageMF(2, lags=(1, 3)),
    JointMF(2, lags=(1, 3), season=3, scale="rows"),
    RolloutMF(2, season=1, scale="columns", tol=1e-2),
]


def rotation(modulus, period):
    angle = 2 * np.pi / period
    c, s = np.cos(angle), np.sin(angle)
    return modulus * np.array([[c, -s], [s, c]])


def exact_sequence(seed=0, n_steps=30, m=8, n=12, *, T=None):
    """Return Xₜ = W₀ Tᵗ H without noise, and T in a random basis."""
    rng = np.random.default_rng(seed)
    T = block_diag(rotation(0.99, 7), 0.95) if T is None else T
    G = np.linalg.qr(rng.standard_normal(T.shape))[0] * rng.uniform(0.5, 2, len(T))
    T = np.linalg.inv(G) @ T @ G
    W = [rng.standard_normal((m, len(T)))]
    for _ in range(n_steps - 1):
        W.append(W[-1] @ T)
    return np.stack(W) @ rng.standard_normal((len(T), n)), T


def noisy_sequence(seed=0, shape=(12, 4, 6), missing=0.0, k=2):
    rng = np.random.default_rng(seed)
    W = np.cumsum(rng.standard_normal((*shape[:2], k)), axis=0)
    X = W @ rng.standard_normal((k, shape[2])) + 0.3 * rng.standard_normal(shape)
    if missing == "blocks":
        X[rng.random(shape[:2]) < 0.4] = np.nan
        X[0, 0], X[1, 1] = np.nan, 1.0
    else:
        X[rng.random(shape) < missing] = np.nan
    return X


def sorted_eigenvalues(T):
    values = np.linalg.eigvals(T)
    return values[np.lexsort((values.imag, -np.abs(values).round(6)))]


# Transitions


def test_two_stage_recovers_the_transition_up_to_a_change_of_basis():
    X, T = exact_sequence()
    model = TwoStageMF(3, season=None, transition_regularization=0).fit(X[:25])
    assert_allclose(sorted_eigenvalues(model.transitions_[0]), sorted_eigenvalues(T), atol=1e-9)
    assert_allclose(model.forecast(5), X[25:], atol=1e-8)
    assert_allclose(model.basis_ @ model.basis_.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("estimator", [TwoStageMF, JointMF])
def test_it_recovers_the_transition_where_entries_are_missing(estimator):
    X, T = exact_sequence(1, n_steps=40, m=8, n=15)
    incomplete = np.where(random_missing(X.shape, 0.3, random_state=0), np.nan, X)
    model = estimator(
        3, season=None, regularization=0, transition_regularization=0, tol=1e-9, max_iter=2000
    ).fit(incomplete)
    assert_allclose(sorted_eigenvalues(model.transitions_[0]), sorted_eigenvalues(T), atol=1e-4)
    assert rmse(X, model.impute()) < 1e-3 * X.std()


def test_rollout_recovers_the_transition():
    X, T = exact_sequence(2, n_steps=10)
    rng = np.random.default_rng(0)
    two_stage = TwoStageMF(3, season=None, transition_regularization=0).fit(X)
    start = RolloutFactors(
        two_stage.states_[0],
        two_stage.basis_,
        two_stage.transitions_[0] + 0.02 * rng.standard_normal((3, 3)),
    )
    problem = RolloutProblem(two_stage.preparation_.apply(X))
    last = nth(rollout_steps(problem, start), 499)
    assert last.loss < 1e-3 * problem.loss(start)
    assert_allclose(sorted_eigenvalues(last.T), sorted_eigenvalues(T), atol=0.02)


def test_transitions_with_several_lags_solve_their_ridge_regression():
    W, lags = noisy_sequence(3, (15, 2, 3)), (1, 4)
    T = fit_transitions(W, lags, 0.5)
    P = np.vstack([np.hstack([W[t - 1], W[t - 4]]) for t in range(4, 15)])
    Q = np.vstack(list(W[4:]))
    assert_allclose(T.reshape(6, 3), np.linalg.solve(P.T @ P + 0.5 * np.eye(6), P.T @ Q))
    assert_allclose(fit_transitions(W, lags).reshape(6, 3), np.linalg.lstsq(P, Q, rcond=None)[0])
    columns = [nnls(P, q)[0] for q in Q.T]
    non_negative = fit_transitions(W, lags, non_negative=True).reshape(6, 3)
    assert_allclose(non_negative, np.column_stack(columns), atol=1e-6)


def test_rows_that_are_not_known_take_no_part():
    W = np.array([1.0, 2, 4, np.nan, 16, 32]).reshape(6, 1, 1)
    assert_allclose(fit_transitions(W, (1,)), [[[2.0]]])
    W[3:] = np.nan
    with pytest.raises(ValueError, match=r"^nothing is observed"):
        fit_transitions(W, (3,))


@given(st.integers(0, 2**32 - 1), st.sampled_from([(1,), (1, 2), (2, 5)]), st.integers(1, 3))
def test_the_companion_matrix_rolls_states_forward(seed, lags, k):
    rng = np.random.default_rng(seed)
    T, W = rng.standard_normal((len(lags), k, k)) / 3, rng.standard_normal((max(lags), 2, k))
    eigenvalues = companion_eigenvalues(T, lags)
    assert eigenvalues.size == k * max(lags)
    assert (np.diff(np.abs(eigenvalues)) <= 1e-12).all()
    # Every eigenvalue λ solves det(λᴸ I − Σ_l λ^{L−l} T_l) = 0.
    for value in eigenvalues:
        A = value ** max(lags) * np.eye(k) - sum(
            value ** (max(lags) - lag) * T_l for lag, T_l in zip(lags, T, strict=True)
        )
        sizes = np.linalg.svd(A, compute_uv=False)
        assert sizes[-1] <= 1e-4 * max(1, sizes[0])
    states = np.concatenate([W, roll_forward(W, T, lags, 3)])
    for t in range(max(lags), len(states)):
        expected = sum(states[t - lag] @ T_l for lag, T_l in zip(lags, T, strict=True))
        assert_allclose(states[t], expected)


def test_eigenvalues_in_words():
    modes = describe_eigenvalues([0.5, -0.5, 0.9 * np.exp(0.2j * np.pi), 1.0, 2.0, 0.0])
    assert_allclose(modes.modulus, [0.5, 0.5, 0.9, 1, 2, 0])
    assert_allclose(modes.period, [np.inf, 2, 10, np.inf, np.inf, np.inf])
    assert_allclose(modes.half_life, [1, 1, np.log(0.5) / np.log(0.9), np.inf, -1, 0])


# The joint fit


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(1,), (1, 2), (2, 5)]),
    st.sampled_from([0.0, 0.4, "blocks"]),
    st.sampled_from([0.0, 0.1, 10.0]),
    st.sampled_from([(0.0, False), (0.1, False), (0.0, True), (0.1, True)]),
)
@settings(max_examples=40)
def test_no_sweep_increases_the_joint_objective(seed, lags, missing, weight, constraint):
    l1, non_negative = constraint
    X = noisy_sequence(seed, missing=missing)
    X = np.abs(X) if non_negative else X
    rng = np.random.default_rng(seed)
    problem = JointProblem(X, lags, transition_weight=weight, l1=l1, non_negative=non_negative)
    start = [rng.random(s) for s in ((12, 4, 2), (2, 6), (len(lags), 2, 2))]
    for before, after in pairwise(take(joint_steps(problem, start), 12)):
        assert after.objective <= before.objective * (1 + 1e-10)
        if non_negative:
            assert min(factor.min() for factor in after.factors) >= 0


@pytest.mark.parametrize("missing", [0.3, "blocks"])
def test_the_joint_objective_has_no_slope_where_it_settles(missing):
    X = noisy_sequence(4, missing=missing)
    problem = JointProblem(
        X, (1, 3), regularization=0.05, transition_weight=2.0, transition_regularization=0.05
    )
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(s) for s in ((12, 4, 2), (2, 6), (2, 2, 2))]
    last = nth(joint_steps(problem, start), 2999)
    for name, block in last.factors._asdict().items():

        def value(x, name=name, block=block):
            return problem.objective(last.factors._replace(**{name: x.reshape(block.shape)}))

        slope = approx_fprime(block.ravel(), value, 1e-6).reshape(block.shape)
        if name == "W":  # at the first steps, tables without entries stay as they are
            still = np.isnan(X[:3]).all(axis=(1, 2))
            assert still.any() == (missing == "blocks")
            assert_array_equal(last.W[:3][still], start[0][:3][still])
            slope[:3][still] = 0
        assert np.abs(slope).max() < 2e-3
    assert last.objective == pytest.approx(value(last.T))
    assert last.objective == pytest.approx(last.loss + problem.penalty(last.factors))


def test_an_iterate_is_a_start_and_cannot_be_written_to():
    problem = JointProblem(noisy_sequence(5, missing=0.3), (1, 2))
    rng = np.random.default_rng(0)
    steps = joint_steps(problem, [rng.random(s) for s in ((12, 4, 2), (2, 6), (2, 2, 2))])
    second = nth(steps, 2)  # the sweeps run forwards from it, as from a start
    assert_array_equal(next(steps).H, nth(joint_steps(problem, second), 1).H)
    with pytest.raises(ValueError, match="read-only"):
        second.W[0] = 0
    assert str(second).startswith("<joint step 2: loss ")
    rollout = RolloutProblem(noisy_sequence(5), 0.01)
    start = [0.5 * rng.random(s) for s in ((4, 2), (2, 6), (2, 2))]
    step = nth(rollout_steps(rollout, start), 3)
    descent = nth(descent_steps(rollout, step, 1e-6, updates="simultaneous"), 2)
    assert nth(rollout_steps(rollout, descent), 1).objective < descent.objective < step.objective


def test_without_transitions_the_sweep_is_alternating_least_squares():
    X = noisy_sequence(5, missing=0.3)
    problem = JointProblem(X, regularization=0.1, transition_weight=0.0)
    rng = np.random.default_rng(0)
    H = rng.standard_normal((2, 6))
    start = rng.standard_normal((12, 4, 2)), H, np.zeros((1, 2, 2))
    after = nth(joint_steps(problem, start), 1)
    stacked = X.reshape(-1, 6)
    mask = csr_array((~np.isnan(stacked)).astype(float))
    values = csr_array(np.nan_to_num(stacked))
    W = ridge_rows(values, mask, H.T, 0.1)
    assert_allclose(after.W.reshape(-1, 2), W, atol=1e-9)
    c = X.size / 2
    V = ridge_rows(csr_array(values.T), csr_array(mask.T), W, 0.1 * c)
    assert_allclose(after.H, V.T, atol=1e-9)


def test_a_large_transition_weight_makes_the_states_obey_their_transition():
    X = noisy_sequence(6, (20, 3, 6))
    soft, hard = (
        JointMF(2, season=None, transition_weight=mu, max_iter=500).fit(X) for mu in (0.1, 10)
    )
    assert hard.history_["transition"][-1] < soft.history_["transition"][-1]
    assert hard.history_["compression"][-1] > soft.history_["compression"][-1]


# Gauge: H → QH, W → WQ⁻¹, T → QTQ⁻¹ is the same model


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_forecasts_do_not_depend_on_the_basis(seed):
    X = noisy_sequence(seed, (20, 3, 6))
    model = TwoStageMF(2, season=None, lags=(1, 2), transition_regularization=0).fit(X)
    Q = np.random.default_rng(seed).standard_normal((2, 2)) + 3 * np.eye(2)
    W, H = model.states_ @ np.linalg.inv(Q), Q @ model.basis_
    T = fit_transitions(W, (1, 2))
    assert_allclose(T, Q @ model.transitions_ @ np.linalg.inv(Q), rtol=1e-6, atol=1e-8)
    forecast = roll_forward(W, T, (1, 2), 3) @ H
    assert_allclose(model.preparation_.undo(forecast, 20), model.forecast(3), atol=1e-8)


def test_the_joint_sweeps_commute_with_rotations_of_the_basis():
    problem = JointProblem(noisy_sequence(7, missing=0.3), (1, 2))
    rng = np.random.default_rng(0)
    W, H, T = (rng.standard_normal(s) for s in ((12, 4, 3), (3, 6), (2, 3, 3)))
    Q = ortho_group.rvs(3, random_state=0)
    plain = joint_steps(problem, (W, H, T))
    turned = joint_steps(problem, (W @ Q.T, Q @ H, Q @ T @ Q.T))
    for a, b in zip(take(plain, 5), take(turned, 5), strict=True):
        assert_allclose(a.W @ a.H, b.W @ b.H, atol=1e-8)
        assert a.objective == pytest.approx(b.objective)


# Rollout


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.4]), st.sampled_from([0.0, 0.3]))
@settings(max_examples=20)
def test_rollout_gradient_and_hessian_against_finite_differences(seed, missing, regularization):
    X = noisy_sequence(seed, (6, 3, 4), missing)
    X[2] = np.nan if missing else X[2]
    problem, rng = RolloutProblem(X, regularization), np.random.default_rng(seed)
    factors = problem.as_factors([rng.standard_normal(s) for s in ((3, 2), (2, 4), (2, 2))])
    x, ends = np.concatenate([f.ravel() for f in factors]), np.cumsum([6, 8])

    def unravel(x):
        parts = np.split(x, ends)
        return RolloutFactors(*(p.reshape(f.shape) for p, f in zip(parts, factors, strict=True)))

    def gradient(x):
        return np.concatenate([g.ravel() for g in problem.gradient(unravel(x))])

    numeric = [
        (problem.objective(unravel(x + h)) - problem.objective(unravel(x - h))) / 2e-5
        for h in 1e-5 * np.eye(x.size)
    ]
    assert_allclose(gradient(x), numeric, rtol=1e-4, atol=1e-4 * (1 + np.abs(numeric).max()))
    assert problem.loss_and_gradient(factors)[0] == problem.loss(factors)
    H = problem.block_hessian(factors, 2) @ np.eye(4)
    slopes = [(gradient(x + h) - gradient(x - h))[14:] / 2e-5 for h in 1e-5 * np.eye(18)[14:]]
    assert_allclose(H, slopes, atol=1e-5 * (1 + np.abs(slopes).max()))


@pytest.mark.parametrize("regularization", [0.0, 0.2])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_linear_blocks_of_the_rollout_are_least_squares(missing, regularization):
    problem = RolloutProblem(noisy_sequence(8, (6, 3, 4), missing), regularization)
    rng = np.random.default_rng(0)
    factors = RolloutFactors(
        rng.standard_normal((3, 2)), rng.random((2, 4)), 0.5 * rng.standard_normal((2, 2))
    )
    H = problem.best_basis(factors.states(6), factors.H)
    assert_allclose(problem.gradient(factors._replace(H=H)).H, 0, atol=1e-8)
    W0 = problem.best_initial(factors)
    assert_allclose(problem.gradient(factors._replace(W0=W0)).W0, 0, atol=1e-8)


def test_safe_steps_never_increase_the_rollout_objective():
    problem = RolloutProblem(noisy_sequence(9, (10, 3, 5), 0.2), 0.01)
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(s) for s in ((3, 2), (2, 5), (2, 2))]
    objectives = [step.objective for step in take(rollout_steps(problem, start), 60)]
    assert (np.diff(objectives) <= 0).all()
    assert objectives[-1] < 0.8 * objectives[0]


def test_gradient_descent_through_large_powers_explodes_and_says_so():
    X, _ = exact_sequence(3, n_steps=25, T=np.diag([1.05, 0.9]))
    model = RolloutMF(2, season=None, max_iter=1, tol=1).fit(X)
    problem = RolloutProblem(model.preparation_.apply(X), 0.01)
    start = model.states_[0], model.basis_, model.transitions_[0]
    result = gradient_descent(problem, start, 0.05, updates="simultaneous")
    assert result.message.startswith("diverged at step ")
    assert result.message.endswith("η = 0.05 is too large for this start")
    assert all(np.isfinite(factor).all() for factor in result.factors)


def test_the_rollout_takes_safe_steps_where_a_learning_rate_would_explode():
    X, _ = exact_sequence(3, n_steps=25, T=np.diag([1.05, 0.9]))
    model = RolloutMF(2, season=None, regularization=1e-6, max_iter=500).fit(X)
    assert (np.diff(model.history_["compression"]) <= 0).all()
    assert_allclose(sorted_eigenvalues(model.transitions_[0]), [1.05, 0.9], atol=0.01)


@pytest.mark.parametrize(
    "model",
    [TwoStageMF(1, season=None, transition_regularization=0), ScalarAutoregression()],
    ids=str,
)
def test_a_forecast_that_explodes_is_cut_off_with_a_warning(model):
    X = 2.0 ** np.arange(8)[:, np.newaxis, np.newaxis] * np.ones((2, 3))
    model = clone(model).fit(X)
    assert_allclose(model.forecast(3)[:, 0, 0], [256, 512, 1024])
    with pytest.warns(ConvergenceWarning, match=r"explodes: after 20 steps .* \|λ\| > 1"):
        forecast = model.forecast(2000)
    assert_allclose(forecast[18], 2.0**26)
    assert np.isnan(forecast[19:]).all()


# The estimator


@pytest.mark.parametrize("model", FORECASTERS, ids=str)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_forecasters_share_an_interface(model, missing):
    X = noisy_sequence(10, (24, 3, 6), missing)
    model = clone(model).fit(X[:20])
    forecast = model.forecast(4)
    assert forecast.shape == (4, 3, 6)
    assert np.isfinite(forecast).all()
    assert_allclose(model.forecast(4, X[:20]), forecast)
    assert_allclose(model.forecast(2, X)[0].shape, (3, 6))
    vectors = clone(model).set_params(**({"rank": 1} if "rank" in model.get_params() else {}))
    assert vectors.fit(X[:20, 0]).forecast(4).shape == (4, 6)
    masked = np.ma.masked_invalid(X[:20])
    assert_array_equal(clone(model).fit(masked).forecast(4), forecast)


ONE_STEP = "a state needs a table before it: the sentence speaks of steps and lags, not of a sample"


@pytest.mark.parametrize("model", FORECASTERS, ids=str)
@pytest.mark.filterwarnings("ignore")
def test_it_keeps_the_contract_of_scikit_learn(model):
    # The checks bring vectors, and so few that neither a long lag nor rank 2 has a meaning.
    few = {"rank": 1, "lags": (1,), "season": 1}
    model = clone(model).set_params(**{k: v for k, v in few.items() if k in model.get_params()})
    needs_two = not isinstance(model, (LastValue, MeanValue))
    failing = {"check_fit2d_1sample": ONE_STEP} if needs_two else {}
    check_estimator(model, on_skip=None, expected_failed_checks=failing)


@pytest.mark.parametrize("model", FORECASTERS, ids=str)
def test_fits_do_not_change_their_input_and_are_the_same_for_every_kind_of_it(model):
    X = np.round(4 * noisy_sequence(18, (20, 3, 6)))
    before = X.copy()
    forecast = clone(model).fit(X).forecast(3)
    assert_array_equal(X, before)
    kinds = X.astype(np.float32), X.astype(int), X.astype(object), X.tolist(), list(X)
    for same in (*kinds, np.asfortranarray(X), np.ma.asarray(X)):
        assert_array_equal(clone(model).fit(same).forecast(3), forecast)
    fitted = clone(model).fit(X)
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).forecast(3), forecast)
    assert_array_equal(fitted.fit(X).forecast(3), forecast)
    assert fitted.n_features_in_ == 6


@pytest.mark.parametrize("model", FORECASTERS, ids=str)
def test_a_forecast_knows_nothing_of_its_future(model):
    X = noisy_sequence(11, (20, 3, 6))
    changed = X.copy()
    changed[15:] += 100
    for refit in (True, False):
        results = [rolling_forecast(model, Y, 12, 2, refit=refit) for Y in (X, changed)]
        early = results[0].origins <= 15
        assert_array_equal(results[0].forecasts[early], results[1].forecasts[early])


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([None, 1, 4]),
    st.sampled_from([None, "rows", "columns"]),
    st.sampled_from([0.0, 0.5]),
)
@settings(max_examples=40)
def test_preparation_is_undone(seed, season, scale, missing):
    X = 5 + noisy_sequence(seed, (10, 3, 4), missing)
    X[:, 1] = 7.0  # a row that never changes
    model = TwoStageMF(1, season=season, scale=scale, max_iter=1000).fit(X, steps=range(3, 13))
    prepared = model.preparation_.apply(X)
    assert_allclose(model.preparation_.undo(prepared), X)
    assert_array_equal(np.isnan(prepared), np.isnan(X))
    assert_allclose(model.preparation_.undo(prepared[6:], start=6), X[6:])
    if season == 1 and not missing:
        assert_allclose(prepared.mean(axis=0), 0, atol=1e-12)
    if scale is None and not missing:
        assert np.mean(prepared**2) == pytest.approx(1)


def test_a_forecast_does_not_depend_on_the_unit_of_the_data():
    X = noisy_sequence(12, (20, 3, 6), 0.2)
    for estimator, scale in product((TwoStageMF, JointMF), (None, "rows")):
        model = estimator(2, season=1, scale=scale, tol=1e-6, max_iter=1000)
        one, small, large = (clone(model).fit(u * X).forecast(3) for u in (1, 1e-180, 1e180))
        assert_allclose(small, 1e-180 * one, rtol=1e-6)
        assert_allclose(large, 1e180 * one, rtol=1e-6)


def test_the_season_goes_on_from_the_first_table():
    X = np.tile(np.arange(4.0)[:, np.newaxis], (5, 3)) + np.arange(3)
    X += 1e-9 * noisy_sequence(0, (20, 1, 3))[:, 0]
    model = TwoStageMF(1, season=4).fit(X[3:], steps=range(3, 20))
    assert_allclose(model.forecast(5), X[:5], atol=1e-6)
    assert_allclose(MeanValue(4).fit(X[3:], steps=range(3, 20)).forecast(5), X[:5], atol=1e-6)
    assert_allclose(TwoStageMF(1, season=4).fit(X[3:]).forecast(5), X[:5], atol=1e-6)


def test_rows_without_entries_are_filled_by_prediction():
    X, _ = exact_sequence(5, n_steps=30)
    incomplete = X.copy()
    incomplete[12, 3] = incomplete[29, 5] = np.nan
    model = TwoStageMF(3, season=None, regularization=1e-9, transition_regularization=0)
    assert_allclose(model.fit(incomplete).impute(), X, atol=1e-4)


def test_the_joint_fit_imputes_blocks_from_both_sides():
    X, _ = exact_sequence(6, n_steps=40, T=block_diag(rotation(1, 9), rotation(1, 5)))
    missing = block_missing(X.shape, 0.4, random_state=0)
    incomplete = np.where(missing, np.nan, X)
    joint = JointMF(4, season=None, regularization=1e-6, tol=1e-6, max_iter=3000)
    joint.set_params(transition_regularization=1e-6).fit(incomplete)
    error = rmse(X[missing], joint.impute()[missing])
    assert error < 0.1 * rmse(X[missing], MeanValue().fit(incomplete).impute()[missing])
    assert_array_equal(joint.impute()[~missing], X[~missing])


@pytest.mark.parametrize("estimator", [TwoStageMF, JointMF, RolloutMF])
def test_some_row_is_needed_at_a_step_and_at_all_its_lags(estimator):
    X = noisy_sequence(17, (12, 2, 6))
    X[::2, 0] = X[1::2, 1] = np.nan
    with pytest.raises(ValueError, match=r"^nothing is observed .* fewer lags is needed$"):
        estimator(2).fit(X)


# A gap is never a zero

ONE_BASIS = np.full((12, 3, 4), 50.0) + np.arange(4)
GAPS = {
    "start": np.s_[:2],
    "middle": np.s_[5:7],
    "end": np.s_[-2:],
    "every second": np.s_[::2],
    "a row every second": np.s_[1::2, 1],
}


@pytest.mark.parametrize("season", [None, 1])
@pytest.mark.parametrize("gap", GAPS.values(), ids=GAPS)
@pytest.mark.parametrize(
    "estimator",
    [
        TwoStageMF(1),
        TwoStageMF(1, lags=(1, 2)),
        JointMF(1),
        JointMF(1, lags=(1, 2)),
        JointMF(1, l1=1e-3),
        RolloutMF(1),
    ],
    ids=str,
)
def test_missing_tables_are_imputed_at_the_level_of_the_data_or_refused(estimator, gap, season):
    X = ONE_BASIS.copy()
    X[gap] = np.nan
    model = clone(estimator).set_params(season=season)
    if np.isnan(X[::2]).all():
        with pytest.raises(ValueError, match=r"^nothing is observed .* fewer lags is needed$"):
            model.fit(X)
        return
    model.fit(X)
    assert_allclose(model.impute(), ONE_BASIS, rtol=0.1)
    assert_allclose(model.forecast(2), ONE_BASIS[:2], rtol=0.1)
    assert_allclose(
        model.forecast(1, np.concatenate([X, np.full((2, 3, 4), np.nan)]))[0, 0, 0], 50, rtol=0.12
    )
    positive = clone(model).set_params(
        **{"non_negative": True} if "l1" in model.get_params() else {}
    )
    if season is None:
        assert_allclose(positive.fit(X).impute(), ONE_BASIS, rtol=0.1)


LONG_GAPS = {"start": np.s_[:60], "middle": np.s_[10:70], "end": np.s_[20:]}


@pytest.mark.parametrize("gap", LONG_GAPS.values(), ids=LONG_GAPS)
@pytest.mark.parametrize(
    "estimator",
    [
        TwoStageMF(1),
        TwoStageMF(1, lags=(1, 2)),
        JointMF(1),
        JointMF(1, lags=(1, 7)),
        JointMF(1, non_negative=True, season=None),
        RolloutMF(1, max_iter=1000),
    ],
    ids=str,
)
def test_a_long_gap_keeps_the_level_of_the_data(estimator, gap):
    level = np.full((80, 3, 4), 50.0) + np.arange(4)
    X = level.copy()
    X[gap] = np.nan
    for season in {estimator.season, None}:
        model = clone(estimator).set_params(season=season).fit(X)
        known_behind = not np.isnan(X[-1]).any()
        if season == 1 or known_behind:  # else it is a forecast, which fades
            assert_allclose(model.impute(), level, rtol=0.2 if gap == np.s_[:60] else 0.06)


def test_a_long_gap_is_bridged_by_the_joint_fit():
    X = ONE_BASIS.copy()
    X[1:8] = np.nan
    for lags in ((1,), (1, 2), (3,)):
        model = JointMF(1, season=None, lags=lags).fit(X)
        assert_allclose(model.impute(), ONE_BASIS, rtol=0.2)


@given(st.integers(0, 2**32 - 1), st.sampled_from([(1,), (1, 2)]))
def test_a_bent_gap_leaves_exact_predictions_as_they_are(seed, lags):
    rng = np.random.default_rng(seed)
    T, start = rng.standard_normal((len(lags), 2, 2)) / 2, rng.standard_normal((2, 3, 2))
    W = np.concatenate([start, roll_forward(start, T, lags, 12)])
    known = rng.random((14, 3)) < 0.5
    known[:2] = True
    gappy = np.where(known[..., np.newaxis], W, np.nan)
    assert_allclose(fill_gaps(gappy, T, lags), W, atol=1e-9 * (1 + np.abs(W).max()))


@given(st.integers(0, 2**32 - 1), st.floats(0, 1.1))
def test_a_bent_gap_adds_to_the_prediction_a_line_to_what_follows(seed, factor):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((9, 2, 1))
    W[3:7, 1] = np.nan
    known = ~np.isnan(W)
    bent = fill_gaps(W, np.array([[[factor]]]), (1,))
    assert_array_equal(bent[known], W[known])
    faded = W[2, 1] * factor ** np.arange(1, 6)[:, np.newaxis]
    line = (W[7, 1] - faded[4]) * np.arange(1, 5)[:, np.newaxis] / 5
    assert_allclose(bent[3:7, 1], faded[:4] + line)


@pytest.mark.parametrize("estimator", [TwoStageMF, JointMF, RolloutMF])
def test_what_is_never_observed_needs_a_mean(estimator):
    for empty, words in ((np.s_[:, 1], "row 1"), (np.s_[:, :, 2], "column 2")):
        X = ONE_BASIS.copy()
        X[empty] = np.nan
        with pytest.raises(ValueError, match=f"^{words} of the tables is never observed"):
            estimator(1, season=None).fit(X)
        assert_allclose(estimator(1, season=1).fit(X).impute(), ONE_BASIS, rtol=0.05)


def test_the_first_steps_are_bridged_along_lines():
    W = np.array([[np.nan, 1], [2, np.nan], [np.nan, np.nan], [8, 5], [np.nan, np.nan]])[..., None]
    for lags in ((1,), (4,), (2, 5)):
        filled = fill_gaps(W, np.ones((len(lags), 1, 1)), lags)[..., 0]
        steps = 5 if lags == (1,) else max(lags)
        lines = np.array([[2, 2, 5, 8, 8], [1, 1 + 4 / 3, 1 + 8 / 3, 5, 5]]).T
        assert_allclose(filled[:steps], lines[:steps])
    assert_array_equal(
        fill_gaps(np.full((3, 1, 1), np.nan), np.ones((1, 1, 1)), (1,)), np.zeros((3, 1, 1))
    )


def test_history_has_both_losses_of_every_iterate():
    X = noisy_sequence(13, (20, 3, 6))
    model = JointMF(2, season=None).fit(X)
    assert {name: h.shape for name, h in model.history_.items()} == {
        "compression": (model.n_iter_ + 1,),
        "transition": (model.n_iter_ + 1,),
    }
    Z = model.preparation_.apply(X)
    errors = model.states_ @ model.basis_ - Z
    assert model.history_["compression"][-1] == pytest.approx(np.sum(errors**2) / 2)
    changes = model.states_[1:] - model.states_[:-1] @ model.transitions_[0]
    assert model.history_["transition"][-1] == pytest.approx(np.sum(changes**2) / 2)


def test_non_negative_and_sparse_fits():
    X = np.abs(noisy_sequence(14, (20, 4, 6)))
    for estimator in (TwoStageMF, JointMF):
        model = estimator(3, season=None, non_negative=True, max_iter=1000).fit(X)
        assert min(model.states_.min(), model.basis_.min(), model.transitions_.min()) >= 0
        assert model.forecast(5).min() >= 0
        # Perron and Frobenius: the eigenvalue of largest modulus of T ≥ 0 is real.
        assert model.eigenvalues_[0].imag == pytest.approx(0, abs=1e-12)
        dense, sparse = (estimator(3, season=None, l1=l1, max_iter=1000).fit(X) for l1 in (0, 0.1))
        assert np.count_nonzero(dense.basis_) == 18
        assert np.count_nonzero(sparse.basis_) < 18


def test_it_says_when_it_did_not_converge():
    X = noisy_sequence(15, missing=0.3)
    with pytest.warns(ConvergenceWarning, match="^not converged after 2 steps"):
        model = TwoStageMF(2, tol=0, max_iter=2).fit(X)
    assert not model.converged_


# Baselines, rolling origins, missing entries


def test_baselines_by_hand():
    X = np.array([[1.0, 10], [2, 20], [3, 30], [4, 50], [5, 10]])
    assert_array_equal(LastValue().fit(X).forecast(2), [[5, 10], [5, 10]])
    assert_array_equal(LastValue(2).fit(X).forecast(3), [[4, 50], [5, 10], [4, 50]])
    assert_array_equal(LastValue(2).fit(X[:1]).forecast(2), [[1, 10], [1, 10]])
    assert_array_equal(MeanValue().fit(X).forecast(1), [[3, 24]])
    assert_array_equal(MeanValue(2).fit(X).forecast(2), [[3, 35], [3, 50 / 3]])
    X[4, 0] = X[1, 1] = np.nan
    assert_array_equal(LastValue().fit(X).forecast(1), [[4, 10]])
    assert_array_equal(LastValue(2).fit(X).forecast(2), [[4, 50], [3, 10]])
    assert_array_equal(MeanValue(2).fit(X).forecast(2), [[3, 50], [2, 50 / 3]])
    assert_array_equal(MeanValue(2).fit(X).impute()[[4, 1], [0, 1]], [2, 50])


def test_scalar_autoregression_is_pooled_least_squares():
    X = noisy_sequence(16, (15, 2, 3), 0.1)
    model = ScalarAutoregression((1, 3)).fit(X)
    rows = [
        (X[t - 1, i, j], X[t - 3, i, j], X[t, i, j])
        for t in range(3, 15)
        for i in range(2)
        for j in range(3)
    ]
    table = np.array([row for row in rows if not np.isnan(row).any()])
    expected = np.linalg.lstsq(table[:, :2], table[:, 2], rcond=None)[0]
    assert_allclose(model.coefficients_, expected)
    X = np.array([[1.0, 10], [2, 20], [np.nan, 40], [np.nan, np.nan]])
    doubling = ScalarAutoregression().fit(X)
    assert_allclose(doubling.forecast(2), [[4, 80], [8, 160]])  # from the last observed values


def test_rolling_forecasts_use_all_that_is_known_at_their_origin():
    X = np.arange(12.0)[:, np.newaxis, np.newaxis] ** 2
    result = rolling_forecast(LastValue(), X, 8, 2)
    assert_array_equal(result.origins, [8, 9, 10])
    assert_array_equal(result.forecasts.ravel(), [49, 49, 64, 64, 81, 81])
    assert_array_equal(result.actual.ravel(), [64, 81, 81, 100, 100, 121])
    errors = (result.actual - result.forecasts)[:, :, 0, 0]
    assert result.rmse == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert_allclose(result.rmse_by_horizon, np.sqrt(np.mean(errors**2, axis=0)))
    blocks = rolling_forecast(LastValue(), X, 8, 2, stride=2)
    assert_array_equal(blocks.origins, [8, 10])
    counts = np.ma.masked_equal(X.astype(int), 81)
    masked = rolling_forecast(LastValue(), counts, 8)
    assert_array_equal(masked.forecasts.ravel(), [49, 64, 64, 100])
    assert_array_equal(masked.actual.ravel(), [64, np.nan, 100, 121])
    assert rmse(counts[8:], masked.forecasts[:, 0]) == masked.rmse
    grown = rolling_forecast(MeanValue(), X, 8)
    assert_allclose(grown.forecasts.ravel(), [np.mean(X[:t]) for t in range(8, 12)])


def test_without_refitting_only_the_states_follow():
    X, _ = exact_sequence(7)
    model = TwoStageMF(3, season=None, transition_regularization=0)
    assert rolling_forecast(model, X, 20, 3, refit=False).rmse < 1e-8
    broken = X.copy()
    broken[24, 2, 3:] = np.nan
    result = rolling_forecast(model.set_params(regularization=1e-8), broken, 20, 3, refit=False)
    assert result.rmse < 1e-4
    assert np.isfinite(result.forecasts).all()


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_masks_have_their_share(seed, share):
    shape = (7, 5, 4)
    entries = random_missing(shape, share, random_state=seed)
    blocks = block_missing(shape, share, random_state=seed)
    assert entries.sum() == round(share * 140)
    assert blocks.sum() == 4 * round(share * 35)
    assert_array_equal(blocks.any(axis=2), blocks.all(axis=2))


@pytest.mark.parametrize("model", FORECASTERS, ids=str)
def test_a_random_split_is_refused_with_its_reason(model):
    X = noisy_sequence(0, (20, 3, 6))
    training, _ = train_test_split(np.arange(20), random_state=0)
    for steps in (training, np.sort(training)):
        with pytest.raises(
            ValueError, match=r"^step .* A random split would learn from the future"
        ):
            clone(model).fit(X[steps], steps=steps)


@pytest.fixture(scope="module")
def hangzhou():
    if not (cache_folder() / HANGZHOU.name).is_file():
        pytest.skip("the Hangzhou metro data are not in the cache")
    return fetch_hangzhou_metro().counts


def test_the_metro_of_hangzhou_tomorrow(hangzhou):
    week_ago, scalar, model = (
        rolling_forecast(forecaster, hangzhou, 18).rmse
        for forecaster in (
            LastValue(7),
            ScalarAutoregression((1, 7, 8)),
            TwoStageMF(8, lags=(1, 7, 8), season=1, scale="rows"),
        )
    )
    assert week_ago == pytest.approx(34.3, abs=0.05)
    assert scalar == pytest.approx(31.6, abs=0.05)
    assert model < 28.1


def test_the_metro_of_hangzhou_in_the_next_hour(hangzhou):
    vectors = hangzhou.transpose(0, 2, 1).reshape(-1, 80)
    lags, start = (1, 2, 108, 109, 756, 757), 18 * 108
    model = TwoStageMF(10, lags=lags, season=108)  # chosen on the 5 days before
    for horizon, limit in ((2, 30.0), (4, 31.4), (6, 33.9)):
        result = rolling_forecast(model, vectors, start, horizon, stride=horizon, refit=False)
        counted = np.where(result.actual == 0, np.nan, result.actual)
        assert rmse(counted, result.forecasts) < limit


def test_the_metro_of_hangzhou_with_gaps(hangzhou):
    settings = {"season": 1, "scale": "rows"}
    for mask, limit in ((random_missing, 31), (block_missing, 48)):
        missing = mask(hangzhou.shape, 0.4, random_state=0)
        incomplete = np.where(missing, np.nan, hangzhou)
        model = JointMF(10, lags=(1, 7, 8), transition_weight=1.0, **settings)
        assert rmse(hangzhou[missing], model.fit(incomplete).impute()[missing]) < limit


X = noisy_sequence()


ILL_TYPED = {
    "rank": ["2", 2.0, True, None, (2,), 0],
    "lags": [None, 1.5, "17", 3, (), (1.5,), (True,), ("1",), (1, 1), (-1,), np.ones(2)],
    "season": [True, 1.5, "7", 0, (7,)],
    "scale": ["row", 1, True, ("rows",)],
    "regularization": ["1", None, -1, np.nan, np.inf, True, [0.1], 1j],
    "transition_weight": ["1", None, 0, np.nan, True],
    "transition_regularization": ["1", None, -1, np.inf, (1,)],
    "l1": ["1", None, -1, np.nan],
    "non_negative": [1, "yes", None],
    "tol": ["1", None, -1, np.nan],
    "max_iter": ["1", None, -1, 1.5, True],
}


@pytest.mark.parametrize("model", FORECASTERS, ids=str)
def test_ill_typed_parameters_are_refused_in_one_sentence(model):
    X = noisy_sequence(19, (12, 3, 6))
    for name in set(ILL_TYPED) & set(model.get_params()):
        for value in ILL_TYPED[name]:
            right = "(.* needed|use one of None, 'rows', 'columns')"
            sentence = rf"^(a lag|{name}) (is|has shape) .*; {right}$"
            with pytest.raises(ValueError, match=sentence):
                clone(model).set_params(**{name: value}).fit(X)


@pytest.mark.parametrize("model", FORECASTERS, ids=str)
@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (np.full((6, 2, 3), np.nan), "X has no observed entry"),
        (np.ma.masked_all((6, 2, 3)), "X has no observed entry"),
        (np.zeros((6, 2, 3), dtype=complex), "Complex data not supported: X holds entries of"),
        (np.full((6, 2, 3), "a"), "X holds entries of type <U1; real numbers are needed"),
        (
            np.full((6, 2, 3), {}, dtype=object),
            r"float\(\) argument must be a string or a real number",
        ),
        ([[[1, 2]], [[3]]], "X is not an array: its rows differ in length"),
        (
            np.zeros((0, 2, 3)),
            r"Found array with 0 sample\(s\) \(shape=\(0, 2, 3\)\) while a minimum of 1",
        ),
        (
            np.zeros((6, 0)),
            r"Found array with 0 feature\(s\) \(shape=\(6, 0\)\) while a minimum of 1",
        ),
        (np.zeros((1, 1, 2, 3)), r"X has shape \(1, 1, 2, 3\); \(n_steps, m, n\) or"),
        (5.0, r"X has shape \(\); \(n_steps, m, n\) or"),
        (csr_array(np.eye(6)), "X is sparse; an array, NaN where one is missing, is needed"),
    ],
)
def test_data_that_are_no_tables_are_refused_in_one_sentence(model, data, sentence):
    for use in (clone(model).fit, lambda X: clone(model).fit(np.ones((9, 2, 3))).forecast(1, X)):
        with pytest.raises((ValueError, TypeError), match="^" + sentence):
            use(data)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: TwoStageMF().fit(X[0, 0]), r"X has shape \(6,\); \(n_steps, m, n\) or"),
        (lambda: TwoStageMF().fit(X * np.nan), "X has no observed entry"),
        (lambda: TwoStageMF().fit(X / 0), "X has an entry of size inf; .* NaN for a missing one"),
        (lambda: TwoStageMF().fit(X.astype(str)), "X holds entries of type <U"),
        (lambda: TwoStageMF(7).fit(X), "rank is 7; at most 6 is needed"),
        (
            lambda: TwoStageMF(2, lags=(12,)).fit(X),
            "there are 12 steps; more than lag 12 is needed",
        ),
        (lambda: TwoStageMF(2, lags=1).fit(X), r"lags is 1; a sequence such as \(1, 7\)"),
        (lambda: TwoStageMF(2, lags=(0,)).fit(X), "a lag is 0; at least 1 is needed"),
        (lambda: TwoStageMF(2, lags=(1, 1)).fit(X), r"lags is \(1, 1\); each lag once"),
        (
            lambda: TwoStageMF(2, scale="all").fit(X),
            "scale is 'all'; use one of None, 'rows'",
        ),
        (lambda: TwoStageMF(2, season=0).fit(X), "season is 0; at least 1 is needed"),
        (lambda: TwoStageMF(2, season=12).fit(X), "season is 12; less than the 12 steps of X"),
        (lambda: TwoStageMF(2, max_iter=-1).fit(X), "max_iter is -1; at least 0 is needed"),
        (lambda: MeanValue().fit(1e300 * X), r"X has an entry of size .*; at most 1e\+290"),
        (lambda: LastValue().fit(X).forecast(1, X[:5]), "X has 5 tables .*; a start with the 12"),
        (lambda: fit_transitions(X[:3], (3,)), "there are 3 steps; more than lag 3"),
        (lambda: fit_transitions(X * np.nan, (1,)), "nothing is observed at a step"),
        (lambda: fit_transitions(X / 0, (1,)), "W has .* infinite entries"),
        (
            lambda: joint_steps(JointProblem(X), (X, X[0, :2], X[:1, :2, :2])),
            r"the start has factors of shapes \(12, 4, 6\) and \(2, 6\) and \(1, 2, 2\); \(12, 4,",
        ),
        (
            lambda: rollout_steps(RolloutProblem(X), (X[0], X[0, :2], X[0, :2, :2])),
            r"the start has factors of shapes \(4, 6\) and \(2, 6\) and \(2, 2\); \(4, k\)",
        ),
        (lambda: rmse([1.0, 2], [[1.0], [2]]), r"forecast has shape \(2, 1\); \(2,\) is"),
        (lambda: TwoStageMF(2, l1=-1).fit(X), "l1 is -1; at least 0 is needed"),
        (
            lambda: TwoStageMF(2, season=None, non_negative=True).fit(X),
            "X has .* entries; non_negative=True needs",
        ),
        (
            lambda: TwoStageMF(2, non_negative=True, season=1).fit(X),
            "non_negative is True; season=None",
        ),
        (lambda: JointMF(2, transition_weight=0).fit(X), "transition_weight is 0; a number above"),
        (lambda: TwoStageMF(2).fit(X, steps=[1, 2]), r"steps has shape \(2,\); \(12,\) is"),
        (lambda: TwoStageMF(2).fit(X).forecast(0), "steps is 0; at least 1 is needed"),
        (lambda: TwoStageMF(2).fit(X).forecast(1, X[:5]), "X has 5 tables .*; a start with the 12"),
        (
            lambda: TwoStageMF(2).fit(X).forecast(1, X[:, :2]),
            r"X has .* tables of shape \(2, 6\); .* \(4, 6\) that were fitted",
        ),
        (
            lambda: LastValue().fit(X).forecast(1, X[:, :2]),
            r"X has .* tables of shape \(2, 6\); .* \(4, 6\) that were fitted",
        ),
        (
            lambda: ScalarAutoregression((12,)).fit(X),
            "there are 12 steps; more than lag 12 is needed",
        ),
        (lambda: rolling_forecast(LastValue(), X, 12), "start is 12; at most 11 is needed"),
        (
            lambda: companion_eigenvalues(np.zeros((1, 5, 5)), (757,)),
            "the companion matrix is 3785×3785; at most 2000×2000",
        ),
        (lambda: random_missing((3, 3), 1.5), "share is 1.5; a number from 0 to 1"),
        (lambda: rmse([np.nan], [1]), "actual has no observed entry"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_bad_input_is_refused(call, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        call()


def test_a_known_state_stays_behind_a_gap_whose_prediction_overflows():
    W = np.full((60, 1, 1), np.nan)
    W[0] = W[1] = 1
    W[-1] = 5
    with np.errstate(over="ignore", invalid="ignore"):
        assert fill_gaps(W, np.full((1, 1, 1), 1e20), (1,))[-1] == 5
