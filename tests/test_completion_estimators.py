"""Lesson 5: the estimators keep scikit-learn's contract and say what they cannot know."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.utils.estimator_checks import check_estimator

from mflib.completion import ALS, SGD, GradientDescent, ObservedEntries, estimators

MODELS = [ALS, SGD, GradientDescent]


def ratings(seed=0, shape=(40, 30), n_entries=500):
    """Return different pairs and values of rank 2 with biases and noise."""
    rng = np.random.default_rng(seed)
    m, n = shape
    X = 3 + 0.5 * rng.standard_normal((m, 1)) + 0.5 * rng.standard_normal(n)
    X = X + rng.standard_normal((m, 2)) @ rng.standard_normal((2, n))
    pairs = np.argwhere(np.ones(shape))[rng.permutation(m * n)[:n_entries]]
    return pairs, X[tuple(pairs.T)] + 0.1 * rng.standard_normal(n_entries)


PAIRS, VALUES = ratings()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("options", [{}, {"biases": False}, {"non_negative": True}])
def test_predictions_are_those_of_the_formula(model, options):
    model = model(3, random_state=0, **options).fit(PAIRS, VALUES)
    rows, columns = PAIRS.T
    expected = np.sum(model.U_[rows] * model.V_[columns], axis=1)
    if options != {"biases": False}:
        assert model.mean_ == pytest.approx(VALUES.mean())
        expected += model.mean_ + model.row_bias_[rows] + model.column_bias_[columns]
    assert_allclose(model.predict(PAIRS), expected)
    assert model.history_["loss"][-1] < model.history_["loss"][0]
    if options == {"non_negative": True}:
        assert min(model.U_.min(), model.V_.min()) >= 0


@pytest.mark.parametrize(
    "model",
    [
        ALS(2, regularization=0.03),
        ALS(2, regularization=0.03, solver="compiled", dtype=np.float32),
        SGD(2, learning_rate=0.03, regularization=0.03, max_iter=200),
        GradientDescent(2, learning_rate=0.02, regularization=0.03, max_iter=1000),
    ],
)
def test_held_out_entries_are_predicted(model):
    scores = cross_validate(
        model.set_params(random_state=0),
        PAIRS,
        VALUES,
        scoring="neg_root_mean_squared_error",
        error_score="raise",
    )
    assert -scores["test_score"].mean() < 0.35 * VALUES.std()


def test_a_grid_search_finds_the_rank():
    grid = {"rank": [1, 2, 8], "regularization": [0.03, 3.0]}
    search = GridSearchCV(ALS(random_state=0), grid, scoring="neg_mean_squared_error")
    search.fit(PAIRS, VALUES)
    assert search.best_params_ == {"rank": 2, "regularization": 0.03}


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_gives_the_same_model_also_after_pickling(model):
    model = model(3, random_state=1).fit(PAIRS, VALUES)
    again = clone(model).fit(PAIRS, VALUES)
    assert_array_equal(model.predict(PAIRS), again.predict(PAIRS))
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(PAIRS), model.predict(PAIRS))
    assert not np.array_equal(
        clone(model).set_params(random_state=2).fit(PAIRS, VALUES).U_, model.U_
    )


# Cold start


@pytest.mark.parametrize("model", MODELS)
def test_what_was_never_seen_is_predicted_from_what_is_known(model):
    keep = (PAIRS[:, 0] != 5) & (PAIRS[:, 1] != 7)  # inside the table, and beyond it
    fitted = model(2, random_state=0).fit(PAIRS[keep], VALUES[keep])
    mean, b, c = fitted.mean_, fitted.row_bias_, fitted.column_bias_
    found = fitted.predict([[5, 3], [900, 3], [3, 7], [3, 900], [5, 7], [900, 900]])
    expected = [mean + c[3], mean + c[3], mean + b[3], mean + b[3], mean, mean]
    assert_allclose(found, expected)
    bare = model(2, biases=False, random_state=0).fit(PAIRS[keep], VALUES[keep])
    assert_allclose(bare.predict([[5, 3], [3, 900], [900, 900]]), VALUES[keep].mean())


@pytest.mark.parametrize("model", MODELS)
def test_recommendations_are_the_highest_unseen_predictions(model):
    keep = PAIRS[:, 1] != 7
    model = model(2, random_state=0).fit(PAIRS[keep], VALUES[keep])
    columns, predictions = model.recommend(4, n=6)
    everything = model.predict([[4, j] for j in range(30)])
    barred = set(PAIRS[PAIRS[:, 0] == 4, 1]) | {7}
    expected = [j for j in np.argsort(-everything) if j not in barred][:6]
    assert columns.tolist() == expected
    assert_allclose(predictions, everything[expected])
    seen_too, _ = model.recommend(4, n=100, exclude_seen=False)
    assert sorted(seen_too) == [j for j in range(30) if j != 7]
    popular = [j for j in np.argsort(-model.column_bias_) if j != 7]
    assert model.recommend(999, n=5)[0].tolist() == popular[:5]


def test_a_recommendation_reads_the_ratings_of_its_row_alone():
    model = SGD(2, random_state=0).fit(PAIRS, VALUES)
    assert (np.diff(model._seen) > 0).all()  # in order, so that a row is a slice
    for row in (0, 4, 39, 40, 2**40):
        seen = set(PAIRS[PAIRS[:, 0] == row, 1])
        assert set(model.recommend(row, n=30)[0]) == set(range(30)) - seen


def test_similar_columns_have_small_angles():
    model = ALS(2, random_state=0).fit(PAIRS, VALUES)
    columns, cosines = model.similar(3, n=29)
    expected = [model.V_[3] @ v / np.linalg.norm(model.V_[3]) / np.linalg.norm(v) for v in model.V_]
    assert sorted(columns) == [j for j in range(30) if j != 3]
    assert_allclose(cosines, np.array(expected)[columns])
    assert (np.diff(cosines) <= 0).all()


def test_duplicates_of_all_entries_change_nothing_when_weighted_by_count():
    once = ALS(2, random_state=0).fit(PAIRS, VALUES)
    twice = ALS(2, random_state=0).fit(np.vstack([PAIRS, PAIRS]), np.append(VALUES, VALUES))
    assert_allclose(once.predict(PAIRS), twice.predict(PAIRS))


# Stopping


@pytest.mark.parametrize("model", MODELS)
def test_it_stops_at_its_tolerance_or_warns(model):
    stopped = model(2, tol=0.02, max_iter=500, random_state=0).fit(PAIRS, VALUES)
    assert stopped.converged_
    assert stopped.message_ == f"converged after {stopped.n_iter_} steps"
    assert 2 <= stopped.n_iter_ < 500
    assert len(stopped.history_["loss"]) == stopped.n_iter_
    with pytest.warns(ConvergenceWarning, match="^not converged after 3 steps$"):
        hasty = model(2, tol=1e-9, max_iter=3, random_state=0).fit(PAIRS, VALUES)
    assert not hasty.converged_
    asked = model(2, max_iter=3, random_state=0).fit(PAIRS, VALUES)
    assert asked.converged_
    assert asked.message_ == "stopped as planned after 3 steps"


@pytest.mark.parametrize(
    "model",
    [
        SGD(2, learning_rate=3.0),
        SGD(2, learning_rate=0.5),
        SGD(2, learning_rate=1e300),
        SGD(2, learning_rate=3.0, dtype=np.float32),
        SGD(2, learning_rate=1e300, dtype=np.float32),
        SGD(2, learning_rate=50.0, loss="poisson"),
        GradientDescent(2, learning_rate=0.2),
        GradientDescent(2, learning_rate=5.0, loss="poisson"),
        GradientDescent(2, learning_rate=0.2, dtype=np.float32),
    ],
)
def test_divergence_keeps_the_last_finite_iterate_and_says_so(model):
    values = np.abs(VALUES)
    sentence = rf"^diverged in step \d+: .*learning_rate={model.learning_rate:g} is too large"
    with pytest.warns(ConvergenceWarning, match=sentence.replace("+300", r"\+300")):
        model.set_params(random_state=0).fit(PAIRS, values)
    assert not model.converged_
    assert model.n_iter_ < model.max_iter
    assert np.isfinite(model.predict(PAIRS)).all()
    assert np.isfinite(model.history_["loss"]).all()


def test_the_history_follows_held_out_entries():
    train, test = np.arange(400), np.arange(400, 500)
    model = ALS(2, regularization=0.03, random_state=0)
    model.fit(PAIRS[train], VALUES[train], validation=(PAIRS[test], VALUES[test]))
    for part, name in ((train, "loss"), (test, "validation_loss")):
        assert len(model.history_[name]) == model.n_iter_ == 10
        error = model.predict(PAIRS[part]) - VALUES[part]
        assert model.history_[name][-1] == pytest.approx(np.mean(error**2) / 2)


def test_a_progress_bar_is_shown_if_asked_for(capsys):
    ALS(1, max_iter=2).fit(PAIRS, VALUES)
    assert capsys.readouterr().err == ""
    ALS(1, max_iter=2, verbose=True).fit(PAIRS, VALUES)
    assert "2/2" in capsys.readouterr().err


# Other losses, and entries that arrive over time


def test_probabilities_and_counts():
    rng = np.random.default_rng(0)
    U, V = rng.standard_normal((60, 1)), rng.standard_normal((50, 1))
    pairs = np.argwhere(rng.random((60, 50)) < 0.7)
    scores = np.sum(U[pairs[:, 0]] * V[pairs[:, 1]], axis=1)
    chances = 1 / (1 + np.exp(-2 * scores))
    clicks = SGD(1, loss="logistic", learning_rate=0.1, regularization=0.02, max_iter=100)
    found = clicks.set_params(random_state=0).fit(pairs, rng.binomial(1, chances)).predict(pairs)
    assert 0 < found.min() < found.max() < 1
    assert np.corrcoef(found, chances)[0, 1] > 0.85
    counts = SGD(1, loss="poisson", learning_rate=0.01, regularization=0.02, max_iter=100)
    means = np.exp(1.5 + scores / 2)
    found = counts.set_params(random_state=0).fit(pairs, rng.poisson(means)).predict(pairs)
    assert np.corrcoef(np.log(found), scores)[0, 1] > 0.85
    assert np.exp(counts.mean_) == pytest.approx(rng.poisson(means).mean(), rel=0.1)


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("loss", ["logistic", "poisson"])
def test_values_that_are_all_the_same_leave_no_infinite_score(loss, value):
    model = SGD(1, loss=loss, random_state=0).fit(PAIRS, np.full(len(PAIRS), value))
    assert_allclose(model.predict(PAIRS), value, atol=0.02)


def test_partial_fit_learns_new_rows_and_columns_and_forgets_nothing():
    order = np.argsort(PAIRS[:, 0] >= 20, kind="stable")
    pairs, values = PAIRS[order], VALUES[order]
    first = np.count_nonzero(pairs[:, 0] < 20)
    model = SGD(2, learning_rate=0.03, regularization=0.03, random_state=0)
    for _ in range(100):
        model.partial_fit(pairs[:first], values[:first])
    assert model.U_.shape == (20, 2)
    assert model.n_iter_ == len(model.history_["loss"]) == 100
    for _ in range(100):
        model.partial_fit(pairs[first:], values[first:])
    assert model.U_.shape == (40, 2)
    assert model.row_counts_.sum() == 100 * len(pairs)
    assert model.score(pairs, values) > 0.9
    seen = set(pairs[pairs[:, 0] == 2, 1])
    assert not seen & set(model.recommend(2, n=30)[0])


def test_partial_fit_remembers_each_pair_once():
    model = SGD(2, random_state=0).partial_fit(PAIRS, VALUES)
    size = len(pickle.dumps(model))
    for _ in range(3):
        model.partial_fit(PAIRS, VALUES)
    assert len(pickle.dumps(model)) < 1.1 * size


def test_partial_fit_on_values_far_from_the_first_is_no_divergence():
    model = SGD(2, learning_rate=0.1, random_state=0).partial_fit(PAIRS, np.full(len(PAIRS), 3.0))
    for _ in range(100):
        model.partial_fit(PAIRS, np.zeros(len(PAIRS)))
    assert model.converged_
    assert np.abs(model.predict(PAIRS)).max() < 1


def test_partial_fit_has_no_tolerance_to_meet():
    assert SGD(2, tol=1e-9, random_state=0).partial_fit(PAIRS, VALUES).converged_


@pytest.mark.parametrize("options", [{"rank": 3}, {"biases": False}])
def test_partial_fit_refuses_another_model(options):
    model = SGD(2, random_state=0).partial_fit(PAIRS, VALUES).set_params(**options)
    with pytest.raises(ValueError, match=r"^rank or biases changed since the first call;"):
        model.partial_fit(PAIRS, VALUES)


def test_warnings_point_at_the_line_of_the_caller():
    model = SGD(2, learning_rate=1e9, random_state=0)
    for call in (model.partial_fit, model.partial_fit, model.fit):
        with pytest.warns(ConvergenceWarning) as caught:
            call(PAIRS, VALUES)
        assert caught[0].filename == __file__


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("size", "dtype"), [(1e200, np.float64), (1e30, np.float32)])
def test_values_whose_squares_overflow_are_reported(model, size, dtype):
    model = model(2, dtype=dtype, random_state=0)
    if isinstance(model, GradientDescent) and size > 1e150:  # not one step can be taken
        with pytest.raises(ValueError, match="overflows; scale the"):
            model.fit(PAIRS, size * VALUES)
        return
    with pytest.warns(ConvergenceWarning, match="^(diverged|overflow) in step 1: "):
        model.fit(PAIRS, size * VALUES)
    assert np.isfinite(model.predict(PAIRS)).all()


def test_the_first_partial_fit_is_one_epoch_of_fit():
    by_part = SGD(2, random_state=0).partial_fit(PAIRS, VALUES)
    at_once = SGD(2, max_iter=1, random_state=0).fit(PAIRS, VALUES)
    assert_array_equal(by_part.U_, at_once.U_)


# The contract


def as_pairs(X):
    """Make pairs of what the checks of scikit-learn pass as X, a table of any real numbers."""
    return np.abs(np.rint(5 * X[:, [0, -1]].astype(float))).astype(int)


# Whole numbers alone would leave most checks no input, so `as_pairs` stands in for the refusal of
# all else; that refusal is tested below.
@pytest.mark.parametrize("model", [ALS(1), SGD(1), GradientDescent(1, max_iter=30)])
@pytest.mark.filterwarnings("ignore")
def test_it_keeps_the_contract_of_scikit_learn(model, monkeypatch):
    monkeypatch.setattr(estimators, "check_pairs", as_pairs)
    monkeypatch.setattr(
        estimators,
        "ObservedEntries",
        lambda X, y, *shape: ObservedEntries(X if shape else as_pairs(X), y, *shape),
    )
    check_estimator(model, on_skip=None)


@pytest.mark.parametrize("model", MODELS)
def test_pairs_and_values_go_by_the_names_of_scikit_learn(model):
    by_name = model(2, random_state=0).fit(X=PAIRS, y=VALUES)
    assert_array_equal(
        by_name.predict(X=PAIRS), model(2, random_state=0).fit(PAIRS, VALUES).predict(PAIRS)
    )


@pytest.mark.parametrize("model", MODELS)
def test_the_rank_alone_goes_by_its_place(model):
    assert model(3).get_params()["rank"] == 3
    assert repr(model(3, tol=0.1)) == f"{model.__name__}(rank=3, tol=0.1)"
    assert model(3) != model(3)
    with pytest.raises(TypeError, match="positional"):
        model(3, 0.1)


def test_a_frame_of_pairs_is_taken():
    frame = pd.DataFrame(PAIRS, columns=["person", "film"])
    model = ALS(2, random_state=0).fit(frame, VALUES)
    assert model.feature_names_in_.tolist() == ["person", "film"]
    assert_array_equal(
        model.predict(frame), ALS(2, random_state=0).fit(PAIRS, VALUES).predict(PAIRS)
    )
    model.recommend(0)  # no warning of missing names


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: ALS(0).fit(PAIRS, VALUES), "rank is 0; at least 1 is needed"),
        (lambda: ALS(2, max_iter=-1).fit(PAIRS, VALUES), "max_iter is -1; at least 0 is needed"),
        (lambda: ALS(2, tol=-1).fit(PAIRS, VALUES), "tol is -1; at least 0 is needed"),
        (lambda: ALS(2, dtype=int).fit(PAIRS, VALUES), "dtype is <class 'int'>; float32 or fl"),
        (lambda: ALS(2).fit(-PAIRS, VALUES), "pairs holds -39; rows and columns count from 0"),
        (lambda: ALS(2).fit(PAIRS[:, :1], VALUES), r"pairs has shape \(500, 1\); shape \(n_en"),
        (lambda: ALS(2).fit(PAIRS, np.full(500, np.nan)), "Input y contains NaN"),
        (lambda: SGD(2, loss="logistic").fit(PAIRS, VALUES), "values has 500 entries outside the"),
        (lambda: SGD(2, learning_rate="a").fit(PAIRS, VALUES), "learning_rate is 'a'; a finite re"),
        (lambda: SGD(2, learning_rate=0).fit(PAIRS, VALUES), "learning_rate is 0; a number above"),
        (lambda: SGD(2, decay=-1).fit(PAIRS, VALUES), "decay is -1; at least 0 is needed"),
        (
            lambda: GradientDescent(2, learning_rate=0).fit(PAIRS, VALUES),
            "learning_rate is 0; a number above 0",
        ),
        (
            lambda: SGD(2, loss="poisson").fit(PAIRS, VALUES**2, validation=(PAIRS, VALUES - 99)),
            "values has 500 entries outside the domain",
        ),
        (lambda: ALS(2).fit(PAIRS, VALUES).predict([[0, -1]]), "pairs holds -1; rows and columns"),
        (lambda: ALS(2).fit(PAIRS, VALUES).recommend(-1), "row is -1; at least 0 is needed"),
        (lambda: ALS(2).fit(PAIRS, VALUES).similar(30), "column is 30; at most 29 is needed"),
        (lambda: ALS(2).fit(PAIRS[:1] + 3, [1]).similar(0), "column 0 was never seen in training"),
    ],
)
def test_bad_input_is_refused(call, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        call()


def test_before_fit_there_is_nothing_to_predict():
    with pytest.raises(NotFittedError):
        ALS(2).predict(PAIRS)
