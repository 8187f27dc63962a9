"""The completion engine beside Surprise, cornac, cmfrec and implicit.

At matched settings first, then at everybody's defaults; at the end our best point estimate beside
`BayesianALS`, and implicit feedback.

MovieLens 100K where it is at hand, otherwise a generated film club of its size (943×1682, 100,000
ratings of 1–5). Everybody is fitted to the same arrays, those without the first of five random
folds, in single precision where there is a choice. Whatever turns the arrays into a peer's own
data set is not timed. Predictions, clipped to 1–5, are judged on the fold (RMSE).

The peers are no part of the course: `pip install --group benchmark`. Who is not installed is left
out.
"""

import numpy as np
from measure import Row, installed, peer, race, show
from scipy import sparse
from sklearn.model_selection import KFold

from mflib.completion import (
    ALS,
    SGD,
    BayesianALS,
    CompletionProblem,
    ImplicitALS,
    ObservedEntries,
    initial_factors,
)
from mflib.datasets import fetch_movielens_100k, make_film_club

SHAPE = 943, 1682
SINGLE = {"dtype": np.float32, "random_state": 0}


def load():
    """Return the training pairs and values, and those of the test fold."""
    try:
        data = fetch_movielens_100k()
    except OSError:
        data = make_film_club(*SHAPE, 100_000, random_state=0)
    train, test = next(KFold(5, shuffle=True, random_state=0).split(data.pairs))
    return data.pairs[train], data.ratings[train], data.pairs[test], data.ratings[test]


# A contender takes pairs and values, and returns a function that fits (it is timed) and returns
# another one that predicts.


def mflib(estimator, scale=None):
    """Fit an estimator, from a start of that scale or its own."""

    def prepare(pairs, values):
        start = None
        if scale is not None:
            problem = CompletionProblem(ObservedEntries(pairs, values), biases=True)
            start = initial_factors(problem, estimator.rank, scale=scale, **SINGLE)
        return lambda: estimator.fit(pairs, values, start=start).predict

    return prepare


def surprise_svd(k):
    def prepare(pairs, values):
        import pandas as pd
        from surprise import SVD, Dataset, Reader

        frame = pd.DataFrame({"row": pairs[:, 0], "column": pairs[:, 1], "value": values})
        data = Dataset.load_from_df(frame, Reader(rating_scale=(1, 5))).build_full_trainset()

        def fit():
            model = SVD(n_factors=k, random_state=0).fit(data)
            return lambda test: [model.predict(*pair).est for pair in test]

        return fit

    return prepare


def cornac_mf(k):
    def prepare(pairs, values):
        from cornac.data import Dataset
        from cornac.models import MF

        data = Dataset.from_uir(list(zip(*pairs.T.tolist(), values.tolist(), strict=True)))
        options = {"max_iter": 20, "learning_rate": 0.01, "lambda_reg": 0.02, "use_bias": True}

        def fit():
            model = MF(k=k, seed=0, num_threads=1, **options).fit(data)

            def predict(test):
                rows = np.array([data.uid_map.get(i, -1) for i in test[:, 0].tolist()])
                columns = np.array([data.iid_map.get(j, -1) for j in test[:, 1].tolist()])
                scores = model.global_mean + np.where(rows >= 0, model.u_biases[rows], 0)
                scores += np.where(columns >= 0, model.i_biases[columns], 0)
                dots = np.sum(model.u_factors[rows] * model.i_factors[columns], axis=1)
                return scores + np.where((rows >= 0) & (columns >= 0), dots, 0)

            return predict

        return fit

    return prepare


def cmfrec_als(k, strength, use_cg):
    def prepare(pairs, values):
        from cmfrec import CMF

        data = sparse.coo_matrix((values, pairs.T), shape=SHAPE)
        options = {"nthreads": 1, "use_float": True, "verbose": False, "random_state": 0}

        def fit():
            model = CMF(
                k=k, lambda_=strength, use_cg=use_cg, precompute_for_predictions=False, **options
            )
            model.fit(data.copy())
            return lambda test: model.predict(*test.T)

        return fit

    return prepare


def contenders():
    """Yield what is compared: title, package of the peer, our fit and the peer's."""
    for k in (20, 100):
        textbook = {"regularization": 0.02, "max_iter": 20, **SINGLE}
        ours = mflib(SGD(k, learning_rate=0.005, **textbook), scale=0.1)
        yield f"SGD, k = {k}, settings of Surprise", "scikit-surprise", ours, surprise_svd(k)
        ours = mflib(SGD(k, learning_rate=0.01, **textbook))
        yield f"SGD, k = {k}, settings of cornac", "cornac", ours, cornac_mf(k)
    for k in (20, 50):
        options = {"regularization": 14, "weighting": "constant", **SINGLE}
        ours = mflib(ALS(k, solver="compiled", max_iter=6, **options))
        yield (
            f"ALS, k = {k}, λ = 14, compiled, 6 iterations / 10, exact",
            "cmfrec",
            ours,
            cmfrec_als(k, 14, False),
        )
        yield (
            f"ALS, k = {k}, λ = 14, compiled, 6 iterations / 10, CG",
            "cmfrec",
            ours,
            cmfrec_als(k, 14, True),
        )

    yield "SGD at its defaults", "scikit-surprise", mflib(SGD(**SINGLE)), surprise_svd(100)
    yield "ALS at its defaults", "cmfrec", mflib(ALS(**SINGLE)), cmfrec_als(40, 10, True)


MODULES = {"scikit-surprise": "surprise"}


def implicit_als(k, strength, alpha):
    def prepare(pairs, values):
        from implicit.als import AlternatingLeastSquares

        table = sparse.csr_array((values, pairs.T), shape=SHAPE).astype(np.float32)
        confident = sparse.csr_matrix((1 + alpha * table.data, table.indices, table.indptr), SHAPE)

        def fit():
            model = AlternatingLeastSquares(
                factors=k, regularization=strength, iterations=10, num_threads=1, random_state=0
            )
            model.fit(confident, show_progress=False)
            return np.asarray(model.user_factors) @ np.asarray(model.item_factors).T

        return fit

    return prepare


def ndcg_at_10(scores, pairs, new_pairs):
    """Return the mean NDCG at 10 of the columns that a row has not seen, over rows with news."""
    scores = np.array(scores, dtype=float)
    scores[tuple(pairs.T)] = -np.inf
    news = np.zeros(scores.shape, dtype=bool)
    news[tuple(new_pairs.T)] = True
    best = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    discounts = 1 / np.log2(np.arange(2, 12))
    gains = np.take_along_axis(news, best, axis=1) @ discounts
    ideal = np.array([discounts[:n].sum() for n in news.sum(axis=1)])
    return np.mean(gains[ideal > 0] / ideal[ideal > 0])


def rows():
    pairs, values, new_pairs, new_values = load()

    def error(predict):
        found = np.clip(predict(new_pairs), 1, 5)
        return f"{np.sqrt(np.mean((found - new_values) ** 2)):.4f}"

    for title, package, ours, theirs in contenders():
        if not installed(MODULES.get(package, package)):
            print(f"{package} is not installed: left out")
            continue
        fits = {"ours": ours(pairs, values), "theirs": theirs(pairs, values)}
        seconds, found = race(fits)
        quality = " / ".join(error(predict) for predict in found.values())
        yield Row(title, peer(package), *seconds.values(), f"RMSE {quality}")
    fits = {
        "ours": mflib(BayesianALS(random_state=0))(pairs, values),
        "theirs": mflib(SGD(100, regularization=0.07, **SINGLE))(pairs, values),
    }
    seconds, found = race(fits, 1)
    quality = " / ".join(error(predict) for predict in found.values())
    yield Row("BayesianALS / SGD, k = 100", "mflib", *seconds.values(), f"RMSE {quality}")
    if installed("implicit"):
        likes, new_likes = pairs[values >= 4], new_pairs[new_values >= 4]
        counts = np.ones(len(likes))
        model = ImplicitALS(20, regularization=10.0, confidence=3.0, max_iter=10, random_state=0)

        def ours():
            fitted = model.fit(likes, counts)
            return fitted.U_ @ fitted.V_.T

        fits = {"ours": ours, "theirs": implicit_als(20, 10.0, 3.0)(likes, counts)}
        seconds, found = race(fits)
        n_seen = np.bincount(likes[:, 1], minlength=SHAPE[1])
        popular = ndcg_at_10(np.tile(n_seen, (SHAPE[0], 1)), likes, new_likes)
        quality = " / ".join(f"{ndcg_at_10(s, likes, new_likes):.3f}" for s in found.values())
        note = f"NDCG@10 {quality} (popularity {popular:.3f})"
        yield Row("ImplicitALS, k = 20", peer("implicit"), *seconds.values(), note)


if __name__ == "__main__":
    show(rows())
