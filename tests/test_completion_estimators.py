"""Lesson 5: the estimators keep scikit-learn's contract and say what they cannot know."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import ndcg_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.utils.estimator_checks import check_estimator

from mflib.completion import (
    ALS,
    SGD,
    BayesianALS,
    ImplicitALS,
    ObservedEntries,
    estimators,
)
from mflib.completion.entries import as_pairs

MODELS = [ALS, SGD]


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
    if options == {"non_negative": True}:
        assert min(model.U_.min(), model.V_.min()) >= 0


@pytest.mark.parametrize(
    "model",
    [
        ALS(2, regularization=0.03),
        ALS(2, regularization=0.03, solver="compiled", dtype=np.float32),
        SGD(2, learning_rate=0.03, regularization=0.03, max_iter=200),
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


@pytest.mark.parametrize("model", [*MODELS, BayesianALS])
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
    expected = [j for j in np.argsort(-everything, kind="stable") if j not in barred][:6]
    assert columns.tolist() == expected
    assert_allclose(predictions, everything[expected])
    assert sorted(model.recommend(4, n=100)[0]) == sorted(set(range(30)) - barred)
    popular = [j for j in np.argsort(-model.column_bias_, kind="stable") if j != 7]
    assert model.recommend(999, n=5)[0].tolist() == popular[:5]


def test_a_recommendation_reads_the_ratings_of_its_row_alone():
    model = SGD(2, random_state=0).fit(PAIRS, VALUES)
    assert_array_equal(np.diff(model._seen.indptr), model.row_counts_)  # a row is a slice
    for row in (0, 4, 39, 40, 2**30):
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
    with pytest.warns(ConvergenceWarning, match=r"^not converged after 3 steps$"):
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


# Other losses


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


def test_warnings_point_at_the_line_of_the_caller():
    with pytest.warns(ConvergenceWarning) as caught:
        SGD(2, learning_rate=1e9, random_state=0).fit(PAIRS, VALUES)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("size", "dtype"), [(1e200, np.float64), (1e30, np.float32)])
def test_values_whose_squares_overflow_are_reported(model, size, dtype):
    model = model(2, dtype=dtype, random_state=0)
    with pytest.warns(ConvergenceWarning, match="^(diverged|overflow) in step 1: "):
        model.fit(PAIRS, size * VALUES)
    assert np.isfinite(model.predict(PAIRS)).all()


def test_values_whose_squares_overflow_are_reported_by_the_others():
    with pytest.warns(ConvergenceWarning, match=r"^overflow in step 1: "):
        model = ImplicitALS(2, random_state=0).fit(PAIRS, np.full(len(PAIRS), 1e308))
    assert np.isfinite(model.predict(PAIRS)).all()
    with pytest.raises(ValueError, match=r"^the loss of the start is inf; a finite real numb"):
        BayesianALS(2, random_state=0).fit(PAIRS, 1e200 * VALUES)


# Labels


PEOPLE = np.array(["Ann", "Bob", "Cleo", "Dan", "Eve"])
TITLES = np.array(["Alien", "Brazil", "Cabaret", "Dune"])
NAMES = {
    "names": (PEOPLE, TITLES),
    "ids": (np.array(["7", "1500000000", "12", "4711", "99"]), np.array([3.5, 4, 2**40, 5])),
    "dates and numbers": (
        np.array(["2020-01-01", "2021-05-04", "2021-05-05", "2023-01-01", "2024-02-29"], "M8[ns]"),
        np.array([1.5, 2.5, 3.5, 4.5]),
    ),
}


def club(kind="names", seed=0):
    """Return a frame of ratings by label, and the positions of the sorted labels."""
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(rng.random((5, 4)) < 0.8)
    who, film = (
        np.asarray(names)[places] for names, places in zip(NAMES[kind], pairs.T, strict=True)
    )
    frame = pd.DataFrame({"who": who, "film": film, "stars": rng.integers(1, 6, len(pairs))})
    return frame, np.column_stack([np.unique(x, return_inverse=True)[1] for x in (who, film)])


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("model", [*MODELS, BayesianALS])
def test_labels_change_the_names_and_nothing_else(model, kind):
    frame, positions = club(kind)
    pairs = frame[["who", "film"]].to_numpy()
    labelled = model(2, random_state=0).fit(pairs, frame["stars"])
    plain = model(2, random_state=0).fit(positions, frame["stars"])
    assert_array_equal(labelled.U_, plain.U_)
    assert_array_equal(labelled.predict(pairs), plain.predict(positions))
    assert_array_equal(labelled.predict(pairs.tolist()), plain.predict(positions))
    for name, places in zip(("row", "column"), positions.T, strict=True):
        found = getattr(labelled, f"{name}_labels_")[places]
        assert found.tolist() == frame[{"row": "who", "column": "film"}[name]].tolist()
    films, stars = plain.recommend(1, 3)
    assert_array_equal(
        labelled.recommend(labelled.row_labels_[1], 3)[0], labelled.column_labels_[films]
    )
    assert_array_equal(labelled.recommend(labelled.row_labels_[1], 3)[1], stars)
    films, cosines = plain.similar(2)
    found = labelled.similar(labelled.column_labels_[2])
    assert_array_equal(found[0], labelled.column_labels_[films])
    assert_array_equal(found[1], cosines)
    assert plain.row_labels_ is None


def test_names_are_taken_as_they_stand_also_by_model_selection():
    frame, positions = club()
    pairs, stars = frame[["who", "film"]], frame["stars"]
    model = ALS(2, random_state=0)
    by_name = cross_validate(model, pairs, stars, cv=3, scoring="r2", error_score="raise")
    by_place = cross_validate(model, positions, stars, cv=3, scoring="r2", error_score="raise")
    assert np.isfinite(by_name["test_score"]).all()
    assert len(by_place["test_score"]) == 3
    search = GridSearchCV(model, {"rank": [1, 2]}, cv=3).fit(pairs, stars)
    assert search.best_estimator_.recommend("Zoe", 1)[0][0] in TITLES
    assert_array_equal(
        model.fit(pairs, stars).predict(pairs),
        clone(model).fit(ObservedEntries(pairs, stars)).predict(pairs.to_numpy()),
    )


def test_strangers_are_predicted_by_what_is_known_and_named_where_they_must_be_known():
    frame, _ = club()
    model = ALS(2, random_state=0).fit(frame[["who", "film"]].to_numpy(), frame["stars"])
    found = model.predict([["Zoe", "Dune"], ["Ann", "Zorro"]])
    dune, ann = model.column_bias_[-1], model.row_bias_[0]
    assert_allclose(found, [model.mean_ + dune, model.mean_ + ann])
    popular = TITLES[np.argsort(-model.column_bias_, kind="stable")]
    assert_array_equal(model.recommend("Zoe")[0], popular)
    with pytest.raises(ValueError, match=r"^column 'Zorro' was never seen in training$"):
        model.similar("Zorro")


def test_ids_given_to_a_model_of_positions_are_noticed():
    frame, positions = club("ids")
    model = ALS(2, random_state=0).fit(positions, frame["stars"])
    with pytest.warns(
        UserWarning, match=r"^no row and no column was seen in training; are these l"
    ):
        found = model.predict([[1_500_000_000, 3_000_000]])
    assert_allclose(found, model.mean_)
    with pytest.raises(
        ValueError, match=r"^pairs holds 1500000000, but only .*as words, pairs.astype"
    ):
        model.fit([[1_500_000_000, 3]], [1])
    with pytest.raises(ValueError, match=r"^pairs holds entries that are no whole numbers; "):
        model.predict([["Ann", "Dune"]])


def test_values_come_with_the_entries_or_apart():
    entries = ObservedEntries(PAIRS, VALUES)
    found, expected = ALS(2, random_state=0).fit(entries), ALS(2, random_state=0).fit(PAIRS, VALUES)
    assert_array_equal(found.U_, expected.U_)
    assert found.n_features_in_ == 2
    with pytest.raises(ValueError, match=r"^y is given beside ObservedEntries, which hold"):
        found.fit(entries, VALUES)
    wide = ObservedEntries(PAIRS, VALUES, (50, 60))
    assert ALS(2).fit(wide).V_.shape == (60, 2)


# Draws, averaged


def low_rank(seed, shape=(60, 50), noise=0.5, share=0.4, rank=2):
    """Return a table of known rank, mean and noise, and which of its entries are observed."""
    rng = np.random.default_rng(seed)
    m, n = shape
    truth = 3 + 0.5 * rng.standard_normal((m, 1)) + 0.5 * rng.standard_normal(n)
    truth = truth + rng.standard_normal((m, rank)) @ rng.standard_normal((rank, n))
    return truth, truth + noise * rng.standard_normal(shape), rng.random(shape) < share


@pytest.mark.parametrize("rank", [2, 8])
def test_the_average_recovers_the_table_and_knows_its_error(rank):
    inside, errors = [], []
    for seed in range(4):
        truth, X, seen = low_rank(seed)
        model = BayesianALS(rank, random_state=seed).fit(np.argwhere(seen), X[seen])
        values, deviations = model.predict(np.argwhere(~seen), return_std=True)
        assert_array_equal(values, model.predict(np.argwhere(~seen)))
        inside.append(np.abs(values - X[~seen]) < 1.645 * deviations)
        errors.append(values - truth[~seen])
        assert np.mean([s.noise for s in model.samples_]) == pytest.approx(0.5, rel=0.06 * rank)
    assert np.concatenate(inside).mean() == pytest.approx(0.9, abs=0.02)
    assert np.concatenate(errors).std() < 0.35  # of 1.6: the table's own deviation


def test_the_average_is_ahead_of_the_best_optimum():
    truth, X, seen = low_rank(5, noise=1.0, share=0.2)
    pairs, hidden = np.argwhere(seen), np.argwhere(~seen)
    drawn = BayesianALS(8, random_state=0).fit(pairs, X[seen]).predict(hidden)
    errors = [
        np.std(
            ALS(8, regularization=λ, random_state=0).fit(pairs, X[seen]).predict(hidden)
            - truth[~seen]
        )
        for λ in (0.05, 0.1, 0.2, 0.4, 0.8)
    ]
    assert np.std(drawn - truth[~seen]) < 0.95 * min(errors)


def test_strangers_are_less_certain_than_others():
    model = BayesianALS(2, random_state=0).fit(PAIRS, VALUES)
    _, known = model.predict(PAIRS, return_std=True)
    values, deviations = model.predict([[999, 3], [3, 999], [999, 999]], return_std=True)
    assert deviations.min() > known.max()
    assert deviations[2] > deviations[:2].max()
    assert np.abs(values - VALUES.mean()).max() < VALUES.std()
    assert len(model.recommend(999, 5)[0]) == 5


def test_the_first_draws_are_not_averaged():
    for max_iter, kept in ((20, 18), (9, 9), (1, 1)):
        model = BayesianALS(1, max_iter=max_iter, random_state=0).fit(PAIRS, VALUES)
        assert len(model.samples_) == kept
    with pytest.raises(ValueError, match=r"^max_iter is 0; at least 1 is needed"):
        BayesianALS(1, max_iter=0).fit(PAIRS, VALUES)


# Implicit feedback


def test_implicit_recommendations_are_ahead_of_popularity():
    rng = np.random.default_rng(0)
    taste = rng.standard_normal((200, 3)) @ rng.standard_normal((3, 100)) + rng.standard_normal(100)
    clicks = rng.random(taste.shape) < 1 / (1 + np.exp(4 - 2 * taste))
    hidden = clicks & (rng.random(taste.shape) < 0.3)
    seen = np.argwhere(clicks & ~hidden)
    model = ImplicitALS(3, regularization=3.0, random_state=0).fit(seen, np.ones(len(seen)))
    popular = np.broadcast_to((clicks & ~hidden).sum(axis=0), taste.shape)
    someone = hidden.any(axis=1)
    ndcg, precision = [], []
    for scores in (model.predict(np.argwhere(clicks | True)).reshape(taste.shape), popular):
        scores = np.where(clicks & ~hidden, -1, scores)[someone]
        best = np.argsort(-scores, axis=1, kind="stable")[:, :10]
        ndcg.append(ndcg_score(hidden[someone], scores, k=10))
        precision.append(np.take_along_axis(hidden[someone], best, axis=1).mean())
    assert ndcg[0] > 1.2 * ndcg[1]
    assert precision[0] > 1.2 * precision[1]


def test_an_implicit_model_prefers_what_was_seen_and_expects_nothing_of_strangers():
    model = ImplicitALS(3, random_state=0).fit(PAIRS, np.ones(len(PAIRS)))
    unseen = np.argwhere(~np.isin(np.arange(1200), PAIRS @ [30, 1]).reshape(40, 30))
    assert model.predict(PAIRS).mean() > 1.05 * model.predict(unseen).mean()
    assert_array_equal(model.predict([[900, 3], [3, 900]]), 0)


# The contract


def two_columns(X):
    """Make pairs of what the checks of scikit-learn pass as X, a table of any width."""
    return as_pairs(np.asarray(X)[:, [0, -1]])


class Likes(ObservedEntries):
    """Entries 0 and 1, made of any numbers: no tag tells the checks that others are refused."""

    def __init__(self, pairs, values, *shape, **labels):
        super().__init__(pairs, values > np.median(values), *shape, **labels)


# The tags say that X holds whole numbers of at least 0, but none can say that it has two columns:
# `two_columns` stands in for the refusal of all else, which is tested below.
EVERY_KIND = [
    ALS(1),
    ALS(1, solver="compiled", dtype=np.float32),
    ALS(1, non_negative=True, biases=False, weighting="constant"),
    SGD(1),
    SGD(1, loss="logistic"),
    SGD(1, loss="poisson", dtype=np.float32),
    SGD(1, non_negative=True, biases=False),
    ImplicitALS(1),
    BayesianALS(1, max_iter=20),
    BayesianALS(1, max_iter=20, biases=False, dtype=np.float32),
]


@pytest.mark.parametrize("model", EVERY_KIND, ids=repr)
@pytest.mark.filterwarnings("ignore")
def test_it_keeps_the_contract_of_scikit_learn(model, monkeypatch):
    monkeypatch.setattr(estimators, "as_pairs", two_columns)
    if model.loss == "logistic":
        monkeypatch.setattr(estimators, "ObservedEntries", Likes)
    own_words = {"check_positive_only_tag_during_fit": "negative positions have our own sentence"}
    check_estimator(model, on_skip=None, expected_failed_checks=own_words)


@pytest.mark.parametrize("model", [*MODELS, BayesianALS])
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
        (lambda: ALS(2).fit(PAIRS, VALUES).predict([[0, -1]]), "pairs holds -1; rows and columns"),
        (lambda: ALS(2).fit(PAIRS, VALUES).recommend(-1), "row is -1; at least 0 is needed"),
        (lambda: ALS(2).fit(PAIRS, VALUES).similar(30), "column 30 was never seen in training"),
        (lambda: ALS(2).fit(PAIRS[:1] + 3, [1]).similar(0), "column 0 was never seen in training"),
    ],
)
def test_bad_input_is_refused(call, sentence):
    with pytest.raises(ValueError, match="^" + sentence):
        call()


def test_before_fit_there_is_nothing_to_predict():
    with pytest.raises(NotFittedError):
        ALS(2).predict(PAIRS)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint64])
def test_the_largest_position_of_a_small_type_is_a_position(kind):
    last = min(np.iinfo(kind).max, 255)
    model = ALS(1).fit(np.array([[last, 0], [0, 1]], dtype=kind), [1.0, 2.0])
    assert len(model.U_) == last + 1
