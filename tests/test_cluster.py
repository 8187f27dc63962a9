"""Half steps from disk, and Apache Spark: the same minimum, whoever computes it.

The tests of Spark are skipped without pyspark or Java; if the variable JAVA names one, they fail.
"""

import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import root_mean_squared_error as rmse

from mflib import completion, datasets
from mflib.completion import cluster
from mflib.iteration import nth

STRENGTH = 0.1
# The oldest pyspark leaves a socket to the interpreter to close.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)


def random_entries(seed, m=30, n=20, n_entries=200):
    """Return entries with rows that are empty, and a row that many entries share."""
    rng = np.random.default_rng(seed)
    rows = np.where(rng.random(n_entries) < 0.3, 1, rng.integers(m // 2, m - 2, n_entries))
    pairs = np.column_stack([rows, rng.integers(n, size=n_entries)])
    return completion.ObservedEntries(pairs, rng.normal(3, 1, n_entries), (m, n))


@given(seed=st.integers(0, 99), block=st.integers(1, 300), strength=st.sampled_from([0, 0.1]))
def test_a_half_step_from_disk_is_the_one_in_memory(seed, block, strength, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    entries = random_entries(seed)
    problem = completion.CompletionProblem(entries, regularization=strength)
    start = completion.initial_factors(problem, 3, scale=1, random_state=seed)
    cluster.save_rows(entries.by_row, folder)
    U = cluster.half_step_from_disk(folder, start.V, strength, block=block)
    assert np.allclose(U, nth(completion.als_steps(problem, start), 1).U, rtol=1e-9)
    assert not U[0].any()  # nobody knows that row


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_fit_from_disk_is_the_one_in_memory(dtype, tmp_path):
    entries = random_entries(0)
    problem = completion.CompletionProblem(entries, regularization=STRENGTH)
    start = completion.initial_factors(problem, 3, dtype=dtype, random_state=0)
    for name, rows in (("rows", entries.by_row), ("columns", entries.by_column)):
        cluster.save_rows(rows, tmp_path / name)
    V = start.V
    for _ in range(5):
        U = cluster.half_step_from_disk(tmp_path / "rows", V, STRENGTH, block=50)
        V = cluster.half_step_from_disk(tmp_path / "columns", U, STRENGTH, block=50)
    wanted = nth(completion.als_steps(problem, start), 5)
    assert U.dtype == V.dtype == dtype
    assert np.allclose(U @ V.T, wanted.U @ wanted.V.T, rtol=1e-5 if dtype == np.float64 else 1e-2)


def peak(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_reader_sets_the_peak_of_the_memory(tmp_path):
    """A tenth of the ratings at a time needs a sixth of the memory, or less."""
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, (8000, 400), (800_000, 2), dtype=np.int32)
    entries = completion.ObservedEntries(pairs, rng.normal(3, 1, 800_000))
    problem = completion.CompletionProblem(entries, regularization=STRENGTH)
    start = completion.initial_factors(problem, 2, random_state=0)
    cluster.save_rows(entries.by_row, tmp_path)
    whole = peak(lambda: nth(completion.als_steps(problem, start), 1))
    peaks = [
        peak(lambda b=block: cluster.half_step_from_disk(tmp_path, start.V, STRENGTH, block=b))
        for block in (80_000, 800_000)
    ]
    assert peaks[0] < peaks[1] / 3
    assert peaks[0] < whole / 6


def test_what_is_no_table_on_disk_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="CSR format is needed"):
        cluster.save_rows(np.eye(2), tmp_path)
    cluster.save_rows(sparse.csr_array(np.eye(2)), tmp_path)
    V = np.ones((2, 1))
    with pytest.raises(ValueError, match="block is 0; at least 1 is needed"):
        cluster.half_step_from_disk(tmp_path, V, STRENGTH, block=0)
    with pytest.raises(ValueError, match=r"V has shape \(1, 1\); a row for each column of the"):
        cluster.half_step_from_disk(tmp_path, V[:1], STRENGTH)
    with pytest.raises(ValueError, match="regularization is -1; at least 0 is needed"):
        cluster.half_step_from_disk(tmp_path, V, -1)


def test_a_model_takes_factors_that_were_found_elsewhere():
    entries = random_entries(0)
    model = completion.ALS(2, biases=False, random_state=0).fit(entries)
    factors = completion.Factors(model.U_, model.V_)
    rng = np.random.RandomState(0)
    taken = completion.ALS(2, biases=False, max_iter=0, random_state=rng)
    taken.fit(entries, start=factors)
    assert rng.randint(1000) == np.random.RandomState(0).randint(1000)  # nothing was drawn
    assert np.array_equal(taken.predict(entries.pairs), model.predict(entries.pairs))
    assert np.array_equal(taken.recommend(1)[0], model.recommend(1)[0])
    assert np.array_equal(taken.similar(3)[0], model.similar(3)[0])
    onward = completion.ALS(2, biases=False, max_iter=1).fit(entries, start=factors)
    problem = completion.CompletionProblem(entries, regularization=0.12)
    assert np.array_equal(onward.V_, nth(completion.als_steps(problem, factors), 1).V)
    with pytest.raises(ValueError, match="rank is 3, but the start has rank 2"):
        completion.ALS(3, biases=False).fit(entries, start=factors)


@pytest.mark.parametrize(
    ("missing", "named"), [("find_spec", "make cluster"), ("which", "Java 17")]
)
def test_what_is_missing_is_said_in_one_sentence(missing, named, monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: name)
    monkeypatch.setattr(cluster, missing, lambda name: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(OSError, match=named):
        cluster.start_spark()


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    try:
        session = cluster.start_spark()
    except OSError as reason:
        if "JAVA" in os.environ:
            raise
        pytest.skip(str(reason))
    session.sparkContext.setCheckpointDir(str(tmp_path_factory.mktemp("checkpoints")))
    yield session
    session.stop()


@pytest.fixture(scope="module")
def club():
    club = datasets.make_film_club(400, 100, 12_000, random_state=0)
    return club.pairs[:10_000], club.ratings[:10_000], club.pairs[10_000:], club.ratings[10_000:]


@pytest.fixture(scope="module")
def fit(spark, club, tmp_path_factory):
    from pyspark.ml.recommendation import ALS

    path = tmp_path_factory.mktemp("spark") / "ratings.csv"
    np.savetxt(path, np.column_stack(club[:2]), fmt="%d,%d,%g", delimiter=",")
    frame = spark.read.csv(str(path), "row int, column int, value float").cache()
    assert frame.count() == 10_000

    def fit(**options):
        columns = {"userCol": "row", "itemCol": "column", "ratingCol": "value"}
        als = ALS(rank=4, regParam=STRENGTH, numUserBlocks=4, numItemBlocks=4, **columns)
        return cluster.factors_from_spark(als.setParams(**options).fit(frame), (400, 100))

    return fit


@pytest.fixture(scope="module")
def problem(club):
    entries = completion.ObservedEntries(*club[:2], (400, 100))
    return completion.CompletionProblem(entries, regularization=STRENGTH)


def test_spark_takes_the_half_step_of_the_course(fit, problem, tmp_path):
    """Its last half step is that of U, so U is the exact minimum for its V: one objective."""
    U, V = fit(maxIter=3, seed=0)
    cluster.save_rows(problem.entries.by_row, tmp_path)
    wanted = cluster.half_step_from_disk(tmp_path, V.astype(float), STRENGTH)
    assert np.abs(U - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_spark_and_the_course_predict_alike(fit, problem, club):
    """The held-out errors differ by no more than from seed to seed, and J by a hundredth."""
    entries, (pairs, ratings) = problem.entries, club[2:]
    found = {"spark": [], "course": []}
    for seed in range(2):
        factors = fit(maxIter=30, seed=seed)
        ours = completion.initial_factors(problem, 4, random_state=seed)
        found["spark"].append(factors)
        found["course"].append(nth(completion.als_steps(problem, ours), 30).factors)
    models = completion.ALS(4, biases=False, max_iter=0)
    errors = {
        name: [rmse(ratings, models.fit(entries, start=f).predict(pairs)) for f in factors]
        for name, factors in found.items()
    }
    spread = max(map(np.ptp, errors.values()))
    assert abs(np.mean(errors["spark"]) - np.mean(errors["course"])) < spread + 0.002
    least = min(problem.objective(factors) for factors in found["course"])
    assert all(problem.objective(factors) < 1.01 * least for factors in found["spark"])


def test_a_worker_that_is_killed_changes_nothing(fit, spark):
    calm = fit(maxIter=8, seed=0)
    with cluster.a_worker_is_killed(spark):
        troubled = fit(maxIter=8, seed=0)
    for factors, same in zip(calm, troubled, strict=True):
        assert np.allclose(factors, same, atol=1e-4)


def test_who_kills_too_late_is_told(spark):
    late = pytest.raises(RuntimeError, match="the work was done before 6 stages")
    with late, cluster.a_worker_is_killed(spark):
        pass
