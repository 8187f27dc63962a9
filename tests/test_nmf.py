"""Lesson 3: NMF descends at every step, agrees with scikit-learn, and keeps its contract."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.optimize import nnls
from sklearn.decomposition import NMF as SklearnNMF
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

from mflib.iteration import nth, take
from mflib.losses import find_loss
from mflib.nmf import (
    NMF,
    Factors,
    NMFProblem,
    Penalty,
    coordinate_sweep,
    entries_of_product,
    initial_factors,
    nmf_steps,
)

KL, IS = "kullback-leibler", "itakura-saito"
SOLVERS = [("squared", "cd"), ("squared", "mu"), ("absolute", "mu"), (KL, "mu"), (IS, "mu")]
SHARED = [pair for pair in SOLVERS if pair[0] != "absolute"]


def problem(seed=0, shape=(12, 9), k=3, noise=0.3):
    """Return noisy data of rank k and a positive random start."""
    rng = np.random.default_rng(seed)
    X = rng.gamma(1, 1, (shape[0], k)) @ rng.gamma(1, 1, (k, shape[1]))
    X *= rng.gamma(1 / noise**2, noise**2, shape)
    return X + 1e-6, 0.1 + rng.random((shape[0], k)), 0.1 + rng.random((k, shape[1]))


def run(X, W0, H0, solver="auto", *, update_H=True, **options):
    return nmf_steps(NMFProblem(X, **options), (W0, H0), solver=solver, update_H=update_H)


def assert_descent(steps, n_iter):
    for before, after in pairwise(take(steps, n_iter + 1)):
        assert after.objective <= before.objective * (1 + 1e-12) + 1e-12  # false for NaN
        assert min(after.W.min(), after.H.min()) >= 0


@pytest.mark.parametrize(("loss", "solver"), SOLVERS)
@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 12), st.integers(1, 9)),
    st.integers(1, 4),
    st.sampled_from([0.1, 1, 5]),
    st.lists(st.sampled_from([0, 0.1, 10]), min_size=4, max_size=4),
)
@settings(max_examples=60)
def test_no_step_increases_the_objective(loss, solver, seed, shape, k, noise, strengths):
    X, W0, H0 = problem(seed, shape, k, noise)
    if loss != "itakura-saito":
        X[np.random.default_rng(seed).random(X.shape) < 0.3] = 0
    penalties = {"penalty_W": Penalty(*strengths[:2]), "penalty_H": Penalty(*strengths[2:])}
    assert_descent(run(X, W0, H0, loss=loss, solver=solver, **penalties), 15)
    one_sided = run(X, W0, H0, loss=loss, solver=solver, update_H=False, **penalties)
    assert_descent(one_sided, 5)
    assert_array_equal(next(one_sided).H, H0)


@pytest.mark.parametrize(("loss", "solver"), SOLVERS)
def test_it_descends_for_long_and_through_several_blocks_of_rows(loss, solver):
    X, W0, H0 = problem(1, (700, 100), 3)
    assert_descent(run(X, W0, H0, loss=loss, solver=solver), 60)
    X, W0, H0 = problem(1)
    assert_descent(run(X, W0, H0, loss=loss, solver=solver), 2000)


@pytest.mark.parametrize(("loss", "solver"), SOLVERS)
def test_an_iterate_is_a_start_for_its_own_and_for_other_losses(loss, solver):
    X, W0, H0 = problem()
    step = nth(run(X, W0, H0, solver, loss=loss), 5)
    again = next(nmf_steps(NMFProblem(X, loss=loss), step, solver=solver))
    assert (again.n_iter, again.loss) == (0, step.loss)
    assert isinstance(again.factors, Factors)
    for other, its_solver in SOLVERS:
        assert_descent(nmf_steps(NMFProblem(X, loss=other), step, solver=its_solver), 2)
    numbers = f"loss {step.loss:.4g}, objective {step.objective:.4g}"
    assert repr(step) == f"<NMF step 5: {numbers}, W 12×3, H 3×9>"
    with pytest.raises(ValueError, match="read-only"):
        step.H[0] = 0


def test_a_component_that_a_penalty_switched_off_in_one_factor_may_come_back():
    X, W0, H0 = problem()
    H0[1] = 0
    first = nth(run(X, W0, H0, penalty_W=(0.1, 0)), 1)
    assert_allclose(first.W[:, 1], W0[:, 1])  # though W would cost less without it
    assert first.H[1].max() > 0


@pytest.mark.parametrize(("loss", "solver"), SOLVERS)
def test_loss_and_objective_are_those_of_the_factors(loss, solver):
    X, W0, H0 = problem()
    penalties = {"penalty_W": (0.1, 0.2), "penalty_H": (0.3, 0.4)}
    step = nth(run(X, W0, H0, loss=loss, solver=solver, **penalties), 3)
    assert step.n_iter == 3
    assert step.loss == pytest.approx(find_loss(loss).value(X, step.W @ step.H))
    extra = 0.1 * step.W.sum() + 0.1 * (step.W**2).sum() + 0.3 * step.H.sum()
    assert step.objective == pytest.approx(step.loss + extra + 0.2 * (step.H**2).sum())
    of_H = 0.3 * step.H.sum() + 0.2 * (step.H**2).sum()
    rows = step.problem.row_objectives(step.factors)
    assert rows.shape == (12,)
    assert step.objective == pytest.approx(rows.sum() + of_H)


@pytest.mark.parametrize(("loss", "solver"), SOLVERS)
def test_an_exact_factorization_stays_and_is_found(loss, solver):
    _, W, H = problem(4)
    step = nth(run(W @ H, W, H, loss=loss, solver=solver), 5)
    assert_allclose(step.W, W, rtol=1e-8)
    assert_allclose(step.H, H, rtol=1e-8)
    rank_one = np.outer(W[:, 0], H[0])
    found = nth(run(rank_one, W[:, 1:2], H[1:2], loss=loss, solver=solver), 1500)
    assert_allclose(found.W @ found.H, rank_one, rtol=1e-3)


def sklearn_factors(X, W0, H0, loss, solver, n_iter, **options):
    name = "frobenius" if loss == "squared" else loss
    model = SklearnNMF(
        len(H0), init="custom", solver=solver, beta_loss=name, tol=0, max_iter=n_iter, **options
    )
    return model.fit_transform(X, W=W0.copy(), H=H0.copy()), model.components_


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.csc_matrix])
@pytest.mark.parametrize(("loss", "solver"), SHARED[:3])
def test_iterates_are_those_of_scikit_learn(loss, solver, kind):
    X, W0, H0 = problem(2, (40, 30))
    X[X < 1] = 0
    W, H = sklearn_factors(X, W0, H0, loss, solver, 30)
    step = nth(run(kind(X), W0, H0, loss=loss, solver=solver), 30)
    assert_allclose(step.W, W, rtol=1e-7, atol=1e-9)
    assert_allclose(step.H, H, rtol=1e-7, atol=1e-9)
    assert step.loss == pytest.approx(find_loss(loss).value(X, step.W @ step.H))


@pytest.mark.parametrize("l1_ratio", [0, 0.5, 1])
@pytest.mark.parametrize(("loss", "solver"), SHARED)
def test_penalties_mean_what_they_mean_in_scikit_learn(loss, solver, l1_ratio):
    X, W0, H0 = problem(5)
    options = {"alpha_W": 0.02, "alpha_H": 0.01, "l1_ratio": l1_ratio}
    W0, H0 = sklearn_factors(X, W0, H0, loss, solver, 300)  # near one of the minima
    W, H = sklearn_factors(X, W0, H0, loss, solver, 3000, **options)
    model = NMF(3, loss=loss, solver=solver, init="custom", tol=0, max_iter=3000, **options)
    factors = model.fit_transform(X, W=W0, H=H0), model.components_
    penalties = [Penalty(a * l1_ratio, a * (1 - l1_ratio)) for a in (9 * 0.02, 12 * 0.01)]
    theirs, ours = (
        next(run(X, *pair, loss=loss, penalty_W=penalties[0], penalty_H=penalties[1]))
        for pair in ((W, H), factors)
    )
    assert model.reconstruction_err_ == pytest.approx(np.sqrt(2 * ours.loss))
    assert ours.objective <= theirs.objective * (1 + 1e-6)
    if loss != "itakura-saito":  # it is still on its way
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-4)


@pytest.mark.parametrize(("loss", "solver"), SOLVERS)
def test_transform_minimises_over_w_with_h_fixed(loss, solver):
    X, _, _ = problem(6, (30, 12))
    model = NMF(3, loss=loss, solver=solver, tol=1e-7, max_iter=20_000).fit(X)
    H = model.components_
    W = model.transform(X)
    assert_array_equal(model.components_, H)
    loss = find_loss(loss)
    best = loss.value(X, W @ H)
    assert np.sqrt(2 * best) == pytest.approx(model.reconstruction_err_, rel=0.02)
    rng = np.random.default_rng(0)
    for _ in range(20):  # the problem is convex in W, so no small change helps
        change = np.exp(0.05 * rng.standard_normal(W.shape))
        assert loss.value(X, (W * change) @ H) >= best * (1 - 1e-3)
    if solver == "cd":
        assert_allclose(W, [nnls(H.T, x)[0] for x in X], atol=1e-3)


@pytest.mark.parametrize(("loss", "solver"), [pair for pair in SOLVERS if pair[1] == "mu"])
def test_multiplicative_updates_keep_zeros(loss, solver):
    X, W0, H0 = problem(7)
    W0[2:5, 1] = 0
    H0[0, 3:6] = 0
    step = nth(run(X, W0, H0, loss=loss, solver=solver), 20)
    assert_array_equal(step.W == 0, W0 == 0)
    assert_array_equal(step.H == 0, H0 == 0)
    assert nth(run(X, 0 * W0, H0), 1).W.max() > 0  # coordinate descent leaves them


@pytest.mark.parametrize(("loss", "solver"), SOLVERS[:4])
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_rows_columns_and_components_of_zeros_give_no_nan(loss, solver, kind):
    if kind is sparse.csr_array and loss == "absolute":
        return
    X, W0, H0 = problem(8)
    X[3], X[:, 2] = 0, 0
    W0[5], H0[1] = 0, 0
    for data in (X, np.zeros_like(X)):
        assert_descent(run(kind(data), W0, H0, loss=loss, solver=solver), 100)
    nothing = nth(run(kind(X), 0 * W0, 0 * H0, loss=loss, solver="mu"), 3)
    assert np.isfinite(nothing.loss)
    model = NMF(2, loss=loss, solver=solver).fit(kind(np.zeros((4, 3))))
    assert model.reconstruction_err_ < 1e-45
    new = np.ones((1, 3))  # a feature that was always zero appears
    assert np.isfinite(model.transform(kind(new))).all()


@pytest.mark.parametrize(("loss", "solver"), SOLVERS)
@pytest.mark.parametrize("c", [1e-46, 1e47])
def test_at_both_ends_of_the_range_the_factors_are_right(loss, solver, c):
    X = problem(15)[0]
    X /= X.max()
    scaled = np.array([1e-40, 1, 1])  # unbalanced factors too
    W0, H0 = initial_factors(X, 3, init="random", random_state=0)
    once = nth(run(X, W0, H0, solver, loss=loss), 30)
    step = nth(run(c * X, c * W0 / scaled, (H0.T * scaled).T, solver, loss=loss), 30)
    assert_allclose(step.W * scaled / c, once.W, rtol=1e-6, atol=1e-12)
    assert_allclose(step.H.T / scaled, once.H.T, rtol=1e-6, atol=1e-12)


def test_the_absolute_loss_recovers_data_with_wild_entries():
    rng = np.random.default_rng(0)
    truth = rng.gamma(1, 1, (60, 2)) @ rng.gamma(1, 1, (2, 40))
    X = np.where(rng.random(truth.shape) < 0.1, 50.0, truth)
    errors = {}
    for loss in ("squared", "absolute"):
        model = NMF(2, loss=loss, init="random", random_state=0, max_iter=1000)
        errors[loss] = np.abs(model.fit_transform(X) @ model.components_ - truth).mean()
    assert errors["absolute"] < 0.02 < 2 < errors["squared"]


def test_nndsvd_takes_the_larger_signed_part_of_each_singular_triple():
    X = problem(9)[0]
    W, H = initial_factors(X, 3, init="nndsvd", random_state=0)
    U, sizes, Vt = np.linalg.svd(X)
    for j in range(3):
        positive, negative = (
            sizes[j] * np.outer(np.maximum(sign * U[:, j], 0), np.maximum(sign * Vt[j], 0))
            for sign in (1, -1)
        )
        best = max(positive, negative, key=np.linalg.norm)
        assert_allclose(np.outer(W[:, j], H[j]), best, atol=1e-5)
    filled = initial_factors(X, 3, init="nndsvda", random_state=0)
    for factor, other in zip(filled, (W, H), strict=True):
        assert_array_equal(factor, np.where(other == 0, np.sqrt(X.mean() / 3), other))
    on_sparse = initial_factors(sparse.csr_array(X), 3, init="nndsvd", random_state=0)
    assert_allclose(on_sparse[0] @ on_sparse[1], W @ H, atol=1e-6)


def test_random_starts_have_the_scale_of_the_data():
    X = problem(10, (300, 200))[0]
    W, H = initial_factors(X, 5, init="random", random_state=0)
    # The mean of |z| is √(2/π), so that of W H is k · mean(X)/k · 2/π.
    assert (W @ H).mean() == pytest.approx(X.mean() * 2 / np.pi, rel=0.1)


# Multiplicative updates approach a zero as 1/n: W of a fit and W of `transform` differ by more than
# the hundredth that scikit-learn allows.
SLOW = dict.fromkeys(
    ("check_transformer_general", "check_transformer_data_not_an_array"),
    "multiplicative updates approach the zeros of W slowly",
)
# The data of these checks are shifted until their smallest entry is 0.
WITH_ZEROS = dict.fromkeys(
    (
        "check_dict_unchanged",
        "check_dont_overwrite_parameters",
        "check_dtype_object",
        "check_estimators_dtypes",
        "check_estimators_fit_returns_self",
        "check_estimators_nan_inf",
        "check_estimators_overwrite_params",
        "check_estimators_pickle",
        "check_f_contiguous_array_estimator",
        "check_fit2d_1feature",
        "check_fit2d_1sample",
        "check_fit2d_predict1d",
        "check_fit_check_is_fitted",
        "check_fit_idempotent",
        "check_fit_score_takes_y",
        "check_methods_sample_order_invariance",
        "check_methods_subset_invariance",
        "check_n_features_in",
        "check_n_features_in_after_fitting",
        "check_pipeline_consistency",
        "check_readonly_memmap_input",
        "check_transformer_data_not_an_array",
        "check_transformer_general",
        "check_transformer_n_iter",
        "check_transformer_preserve_dtypes",
    ),
    "the data have a zero, which the Itakura-Saito loss refuses",
)


class WithoutZeros(NMF):
    """The same, on data one higher: so the checks whose data have a zero can be made."""

    def _problem(self, X, reset):
        X = validate_data(self, X, reset=reset, ensure_non_negative=True)
        return super()._problem(X + 1, reset)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (NMF(2), {}),
        (NMF(2, solver="mu"), SLOW),
        (NMF(2, loss="absolute"), SLOW),
        (NMF(2, loss=KL), SLOW),
        (NMF(2, loss=IS), WITH_ZEROS),
        (WithoutZeros(2, loss=IS), SLOW),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_it_keeps_the_contract_of_scikit_learn(model, expected):
    check_estimator(model, on_skip=None, on_fail="raise", expected_failed_checks=expected)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:the start has zeros")
@pytest.mark.parametrize("init", ["nndsvd", "nndsvda", "random"])
@pytest.mark.parametrize(("loss", "solver"), SOLVERS)
def test_the_unit_of_the_data_does_not_matter(loss, solver, init):
    X = problem(13, (15, 12))[0]
    degree, options = find_loss(loss).degree, {"loss": loss, "solver": solver, "init": init}
    for strength, l1_ratio in ((0, 0), (0.01, 1), (0.01, 0)):
        # As W has the unit √c, a penalty l1 ΣW has that of the loss, cᵈ, if l1 has c^(d − ½).
        exponent = degree - (0.5 if l1_ratio else 1)
        fits = {}
        for c in (1, 4.0**10, 1e-6, 255, 1e8):
            alpha = strength * c**exponent
            model = NMF(3, alpha_W=alpha, l1_ratio=l1_ratio, random_state=0, **options)
            W = model.fit_transform(c * X) / np.sqrt(c)
            rows = model.transform(c * X[:3]) / np.sqrt(c)
            error = model.reconstruction_err_ / c ** (degree / 2)
            fits[c] = W, model.components_ / np.sqrt(c), rows, error, model.n_iter_
        for c, fit in fits.items():
            for found, expected in zip(fit, fits[1], strict=True):
                if c == 4.0**10:  # no digit changes
                    assert_array_equal(found, expected)
                assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("penalty", [0, 0.01])
@pytest.mark.parametrize(("loss", "solver"), SOLVERS)
def test_the_transform_of_a_row_does_not_depend_on_the_other_rows(loss, solver, penalty, kind):
    if kind is sparse.csr_array and loss in ("absolute", IS):
        return
    X = problem(14, (20, 12))[0]
    model = NMF(3, loss=loss, solver=solver, alpha_W=penalty, alpha_H=0).fit(kind(X))
    sizes = 10.0 ** np.random.default_rng(0).integers(-12, 9, (20, 1))
    batch = sizes * X
    if loss != IS:
        batch[7] = 0
    together = model.transform(kind(batch))
    alone = np.vstack([model.transform(kind(row[None])) for row in batch])
    assert_allclose(together, alone, rtol=1e-9, atol=1e-300)
    if penalty == 0:
        assert_allclose(together, sizes * model.transform(kind(batch / sizes)), rtol=1e-6)


@pytest.mark.parametrize(("loss", "solver"), SHARED)
def test_it_stops_by_its_rule_or_says_that_it_did_not(loss, solver):
    X, W0, H0 = problem(12)
    model = NMF(3, loss=loss, solver=solver, init="custom", tol=1e-3).fit(X, W=W0, H=H0)
    steps = run(X, W0, H0, loss=loss, solver=solver)
    errors = [np.sqrt(2 * step.objective) for step in take(steps, model.n_iter_ + 1)][::10]
    size = np.sqrt((X ** find_loss(loss).degree).sum())  # of the data: the start does not matter
    stops = [bool(before - after <= 1e-3 * size) for before, after in pairwise(errors)]
    assert stops == [False] * (len(stops) - 1) + [True]
    assert model.reconstruction_err_ == pytest.approx(errors[-1])
    assert model.n_components_ == 3
    assert model.converged_
    assert model.message_.startswith("converged after")
    with pytest.warns(ConvergenceWarning, match="^not converged after 5 steps"):
        model = NMF(3, loss=loss, solver=solver, max_iter=5).fit(X)
    assert not model.converged_
    assert model.n_iter_ == 5


X, W0, H0 = problem()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: run(-X, W0, H0), "X has 108 negative entries; NMF needs X >= 0"),
        (
            lambda: run(X, W0.T, H0),
            r"the start has factors of shapes \(3, 12\) and \(3, 9\); \(12, k\) and \(k, 9\)",
        ),
        (lambda: run(X, W0, sparse.csr_array(H0)), "the start has factors of shapes"),
        (lambda: run(X, -W0, H0), "W has 36 negative entries; NMF needs W >= 0"),
        (lambda: run(X, W0, H0, loss="logistic"), "loss is 'logistic'; use one of 'squared', 'abs"),
        (
            lambda: run(X, W0, H0, solver="als"),
            "solver for the squared loss is 'als'; use one of 'auto', ",
        ),
        (
            lambda: run(X, W0, H0, loss=KL, solver="cd"),
            "solver for the kullback-leibler loss is 'cd'; use one of",
        ),
        (lambda: run(0 * X, W0, H0, loss=IS), "X has 108 entries outside the domain: the"),
        (lambda: run(sparse.csr_array(X), W0, H0, loss=IS), "X is sparse; the itakura-saito"),
        (lambda: run(X, W0, H0, penalty_W=(-1, 0)), "l1 of penalty_W is -1; at least 0 is"),
        (
            lambda: NMFProblem(1e-150 * X, loss=KL),
            "the largest entry of X is .*; 1e-50 to 1e",
        ),
        (
            lambda: NMF(2, loss=KL).fit(5e-324 * np.ones((4, 3))),
            "the largest entry of X is 4.9e-324",
        ),
        (
            lambda: NMF(2).fit(1e290 * X),
            r"the largest entry of X is .*e\+29.; 1e-50 to 1e\+50 is needed",
        ),
        (
            lambda: NMF(2, loss=IS).fit(np.where(X < X.max(), X, 1e-60)),
            "the smallest entry of X is",
        ),
        (lambda: run(X, 1e200 * W0, H0), "the largest entry of W is .*; 1e-100 to 1e"),
        (lambda: run(X, W0, 1e-200 * H0), "the largest entry of H is .*; 1e-100 to 1e"),
        (lambda: initial_factors(X, 2, init="svd"), "init is 'svd'; use one of 'nndsvd', 'nnd"),
        (lambda: NMF(2).fit(-X), "Negative values in data"),
        (lambda: NMF(0).fit(X), "n_components is 0; at least 1 is needed"),
        (lambda: NMF(2, init="custom").fit(X), "init is 'custom'; pass W and H to fit if it is"),
        (lambda: NMF(2, init="custom").fit(X, W=W0, H=H0), r"H has shape \(3, 9\); \(2, 9\)"),
        (lambda: NMF(2, loss=IS).fit(sparse.csr_array(X)), "X is sparse; the itakura-saito loss"),
        (lambda: initial_factors(X, 10), "k is 10; at most 9 is needed"),
        (
            lambda: NMF(2).fit(X, W=W0, H=H0),
            "init is None; pass W and H to fit if it is",
        ),
        (lambda: NMF(2, l1_ratio=2).fit(X), "l1_ratio is 2; a number from 0 to 1 is needed"),
    ],
)
def test_bad_input_is_refused(call, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        call()


def test_a_start_with_zeros_for_multiplicative_updates_is_warned_of():
    with pytest.warns(UserWarning, match="^the start has zeros"):
        NMF(2, loss="kullback-leibler", init="nndsvd").fit(X)
    with pytest.warns(UserWarning, match="^the start has zeros"):
        NMF(2, solver="mu", init="custom", tol=0).fit(
            X, W=np.eye(len(X), 2), H=np.ones((2, X.shape[1]))
        )
    NMF(2, init="custom", tol=0).fit(
        X, W=np.eye(len(X), 2), H=np.ones((2, X.shape[1]))
    )  # no warning


def sweep_one_by_one(G, t, w, l1, lower):
    """Do as `coordinate_sweep` says, entry by entry of one row."""
    w = w.copy()
    for j in range(len(w)):
        slope = G[j] @ w - t[j]
        if G[j, j] == 0:
            w[j] = np.clip(0, lower[j], None) if l1 > 0 else w[j]
            continue
        free = w[j] - slope / G[j, j]
        w[j] = max(lower[j], np.sign(free) * max(abs(free) - l1 / G[j, j], 0))
    return w


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3]), st.booleans(), st.booleans())
def test_a_sweep_sets_every_entry_to_its_best(seed, l1, shared, bounded):
    rng = np.random.default_rng(seed)
    m, k = 4, 3
    A = rng.standard_normal((1 if shared else m, 5, k))
    A[:, :, 1] *= rng.random() < 0.7  # sometimes nothing depends on an entry
    grams, W = A.transpose(0, 2, 1) @ A, np.abs(rng.standard_normal((m, k)))
    targets = np.einsum("mni,mn->mi", np.broadcast_to(A, (m, 5, k)), rng.standard_normal((m, 5)))
    lower = np.array([0.0, 0.0, 0.0 if bounded else -np.inf])
    expected = [
        sweep_one_by_one(G, t, w, l1, lower)
        for G, t, w in zip(np.broadcast_to(grams, (m, k, k)), targets, W, strict=True)
    ]
    for dtype, layout in ((np.float64, "F"), (np.float64, "C"), (np.float32, "C")):
        swept = np.array(W, dtype, order=layout)
        G = (grams[0] if shared else grams).astype(dtype)
        coordinate_sweep(G, targets.astype(dtype), swept, l1=l1, lower=lower)
        accuracy = 1e-12 if dtype == np.float64 else 1e-3 * (1 + np.abs(expected).max())
        assert_allclose(swept, expected, atol=accuracy)


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.float32, np.float64]))
def test_entries_of_a_product_are_those_of_the_product(seed, dtype):
    rng = np.random.default_rng(seed)
    U, V = rng.normal(size=(7, 3)).astype(dtype), rng.normal(size=(3, 5)).astype(dtype).T
    rows, columns = rng.integers(0, (7, 5), (30_000, 2)).T  # more than one block
    entries = entries_of_product(U, V, rows, columns)
    assert entries.dtype == dtype
    assert_allclose(entries, (U @ V.T)[rows, columns], rtol=1e-4, atol=1e-5)
    assert entries_of_product(np.full((1, 2), 1e300), np.full((1, 2), 1e300), [0], [0]) == np.inf
