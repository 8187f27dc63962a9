"""Answers that learners may give, exercise by exercise: unusual right ones, and wrong ones.

A wrong answer stands with words of the hint that it gets, or with None: then it is no known
mistake, and gets the general hint of the exercise or none. The known mistakes are held in
test_exercises.py.
"""

import importlib
import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse.linalg
from scipy.special import kl_div, rel_entr, xlogy
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import Ridge
from sklearn.preprocessing import normalize

from mflib.eigen import power_iteration

RIGHT, WRONG = {}, {}
norm = np.linalg.norm


def svd(X):
    return np.linalg.svd(X, full_matrices=False)


# Lesson 1

RIGHT["lesson_01.eigenvalues_by_hand"] = [
    np.array([[-4], [1]]),
    (np.float32(-4), np.float32(1)),
    np.array([-4, 1], dtype=np.int8),
    sorted(np.linalg.eigvals([[0, 2], [2, -3]])),
    np.array([-4 + 0j, 1 + 0j]),
]
WRONG["lesson_01.eigenvalues_by_hand"] = [
    ((-4, 0), None),
    ((-4, 2), None),
    (-4, None),
    ((-4, 1, 1), None),
    ({-4, 1}, None),
    ("-4, 1", None),
    ((4, -1), "trace"),
    ([1.0, -4.0], "largest modulus"),
    ((-3.9, 1), None),
    (([-4, 1], [1, -4]), None),
]


def _loops_step(A, x):
    w = [sum(A[i][j] * x[j] for j in range(len(x))) for i in range(len(A))]
    length = math.sqrt(sum(value**2 for value in w))
    return [value / length for value in w]


RIGHT["lesson_01.power_step"] = [
    _loops_step,
    lambda A, x: np.einsum("ij,j->i", A, x) / scipy.linalg.norm(A @ x),
    lambda A, x: normalize((A @ x)[np.newaxis])[0],
    lambda A, x: (A.astype(np.float32) @ x.astype(np.float32)) / np.float32(norm(A @ x)),
    lambda A, x: tuple(-A @ x / math.hypot(*(A @ x))),
    lambda A, x: A @ (x / norm(x)) / norm(A @ (x / norm(x))),
]
WRONG["lesson_01.power_step"] = [
    (lambda A, x: A @ x / norm(A @ x, np.inf), "largest entry"),
    (lambda A, x: x @ A / norm(x @ A), "transpose"),
    (lambda A, x: A @ x / norm(A @ x, 1), "moduli"),
    (lambda A, x: norm(A @ x), None),
    (lambda A, x: np.round(A @ x / norm(A @ x), 1), None),
    (lambda A, x: A @ x / (norm(A @ x) + 1), None),
    (lambda A, x: (A @ x / norm(A @ x))[:2], None),
    (lambda A, x: np.linalg.eig(A)[1][:, 0], None),
    (lambda A, x: A @ x / max(norm(A @ x), 1), None),
    (lambda A, x: A[:2] @ x / norm(A[:2] @ x), None),
    (lambda A, x: np.array([A[0] @ x, A[1] @ x]) / norm(A @ x), None),
    (lambda A, x: A @ x / np.sqrt(np.sum(A @ x)), None),
]


def _settled_in_float32(A, x, tol):
    A, x = A.astype(np.float32), x.astype(np.float32)
    return norm(A @ x - (x @ A @ x) * x) <= tol


def _settled_by_least_squares(A, x, tol):
    w = A @ x
    return norm(w - x * np.linalg.lstsq(x[:, None], w, rcond=None)[0]) / norm(w) <= tol


RIGHT["lesson_01.has_settled"] = [
    _settled_in_float32,
    _settled_by_least_squares,
    lambda A, x, tol: [norm(np.outer(A @ x, x) - np.outer(x, A @ x)) <= 2 * tol],
    lambda A, x, tol: np.array(np.allclose(A @ x, (x @ A @ x) * x, rtol=0, atol=tol)),
    lambda A, x, tol: int(
        np.sin(scipy.linalg.subspace_angles((A @ x)[:, None], x[:, None])[0]) <= tol
    ),
]
WRONG["lesson_01.has_settled"] = [
    (lambda A, x, tol: norm(A @ x - norm(A @ x) * x) <= tol * norm(A @ x), "negative"),
    (lambda A, x, tol: np.array_equal(A @ x, (x @ A @ x) * x), None),
    (lambda A, x, tol: abs(norm(A @ x) - 1) <= tol, None),
    (lambda A, x, tol: norm(A @ x) <= tol, "False for every vector"),
    (lambda A, x, tol: norm(A @ x - (x @ A @ x) * x), None),
    (lambda A, x, tol: abs((A @ x) @ x) / norm(A @ x) >= 1 - tol, "too early"),
    (lambda A, x, tol: bool(tol), "True for every vector"),
    (lambda A, x, tol: norm(A @ x - (x @ A @ x) * x) <= 1e-7, "use tol"),
    (lambda A, x, tol: "yes" if norm(A @ x - (x @ A @ x) * x) <= tol else "no", None),
    (lambda A, x, tol: norm(A @ A @ x - x) <= tol, None),
    (lambda A, x, tol: norm(A @ x - A[0, 0] * x) <= tol, None),
    (lambda A, x, tol: np.abs(A @ x - (x @ A @ x) * x) <= tol, None),
]


def _by_gershgorin(A):
    s = np.max(np.sum(np.abs(A), axis=1)) + 1
    return s - power_iteration(s * np.eye(len(A)) - A, random_state=1).eigenvalue


def _by_scipy(A):
    return scipy.linalg.eigh(A, eigvals_only=True, subset_by_index=[0, 0])


RIGHT["lesson_01.smallest_eigenvalue"] = [
    _by_gershgorin,
    _by_scipy,
    lambda A: np.linalg.eigvalsh(A.astype(np.float32))[:1],
    lambda A: min(np.linalg.eigvals(A).real.tolist()),
    lambda A: scipy.sparse.linalg.eigsh(A, 1, which="SA", v0=np.arange(1.0, len(A) + 1))[0],
]
WRONG["lesson_01.smallest_eigenvalue"] = [
    (lambda A: -power_iteration(-A, random_state=0).eigenvalue, "dominant"),
    (
        lambda A: power_iteration(A - 7 * np.eye(len(A)), random_state=0).eigenvalue + 7,
        "fixed shift",
    ),
    (lambda A: power_iteration(A - 300 * np.eye(len(A)), random_state=0), None),
    (lambda A: np.linalg.eigvals(A)[0], None),
    (lambda A: np.linalg.eigvalsh(A)[1], None),
    (lambda A: np.linalg.eigvalsh(A), None),
    (lambda A: abs(np.linalg.eigvalsh(A)[0]), None),
    (lambda A: -norm(A), None),
    (lambda A: A.min(), None),
    (lambda A: norm(A, -2), None),
    (lambda A: np.linalg.det(A) / power_iteration(A, random_state=0).eigenvalue, None),
    (lambda A: power_iteration(A - norm(A) * np.eye(len(A)), random_state=0).eigenvector, None),
]
RIGHT["lesson_01.half_and_flip"] = [
    np.array([[-3.0], [1.0], [-3.0]]),
    np.array([-3, -1, -3], dtype=np.float32),
    (-6, 2, -6),
    (np.float64(-1), 3, -1),
    [Fraction(-3, 2), Fraction(1, 2), Fraction(-3, 2)],
    (-0.9, 0.3, -0.9),
]
WRONG["lesson_01.half_and_flip"] = [
    ((1, 2, 3), "do not flip"),
    ((-3, 1.01, -3), "rate is not 0.5"),
    ((-2, 0, -1), "a₁₂ ≠ 0"),
    ((0, 0, 0), "a₁₂ ≠ 0"),
    ((1, 3, -1), "|λ₁| = |λ₂|"),
    ((-3, 1), None),
    ([[-3, 1], [1, -3]], None),
    ((-3, np.nan, -3), None),
    ("-3, 1, -3", None),
    ((-1, 0.5, -1), "rate is not 0.5"),
]

# Lesson 2

RIGHT["lesson_02.singular_values_by_hand"] = [
    np.array([[6.708], [2.236]]),
    np.array([6.7082, 2.2361], dtype=np.float32),
    svd(np.array([[3, 0], [4, 5]]))[1],
    (math.sqrt(45), math.sqrt(5)),
    np.sqrt(np.linalg.eigvals([[25, 20], [20, 25]]).astype(complex)),
]
WRONG["lesson_02.singular_values_by_hand"] = [
    ((6.7, 2.2), "three decimals"),
    ((6.71, 2.236), "three decimals"),
    ((2.236, 6.708), "larger one first"),
    ((-6.708, 2.236), None),
    ((41, 9), None),
    (6.708, None),
    ((5, 3, 0), None),
    (("6.708", "2.236"), None),
    ((6.4, 3), None),
    (np.diag([6.708, 2.236]), None),
]


def _deflated(X, k):
    Y = np.zeros(X.shape)
    for _ in range(k):
        U, sigma, Vt = np.linalg.svd(X - Y)
        Y += sigma[0] * np.outer(U[:, 0], Vt[0])
    return Y


def _by_eigenvectors(X, k):
    V = np.linalg.eigh(X.T @ X)[1][:, ::-1][:, :k]
    return X @ V @ V.T


RIGHT["lesson_02.approximation"] = [
    _deflated,
    _by_eigenvectors,
    lambda X, k: np.einsum("ir,r,rj->ij", svd(X)[0][:, :k], svd(X)[1][:k], svd(X)[2][:k]).tolist(),
    lambda X, k: np.linalg.svd(X)[0][:, :k] @ np.diag(svd(X)[1][:k]) @ np.linalg.svd(X)[2][:k],
    lambda X, k: X - (svd(X)[0][:, k:] * svd(X)[1][k:]) @ svd(X)[2][k:],
    lambda X, k: svd(X)[0][:, :k].astype(np.float32) @ np.float32(svd(X)[0][:, :k].T @ X),
]
WRONG["lesson_02.approximation"] = [
    (lambda X, k: svd(X)[0][:, :k] @ svd(X)[2][:k], "singular values are missing"),
    (lambda X, k: np.linalg.svd(X)[0] @ np.diag(svd(X)[1]) @ np.linalg.svd(X)[2], None),
    (lambda X, k: svd(X)[0] @ np.diag(svd(X)[1]) @ svd(X)[2], "X itself"),
    (lambda X, k: (svd(X)[0][:, :k], svd(X)[1][:k], svd(X)[2][:k]), None),
    (lambda X, k: (svd(X)[0][:, :1] * svd(X)[1][0]) @ svd(X)[2][:1], None),
    (lambda X, k: (svd(X)[2][:, :k] * svd(X)[1][:k]) @ svd(X)[0][:k], None),
    (lambda X, k: TruncatedSVD(k, random_state=0).fit_transform(X), None),
    (lambda X, k: np.round(_deflated(X, k)), None),
    (lambda X, k: np.abs(_deflated(X, k)), None),
    (lambda X, k: svd(X)[1][k:], None),
    (lambda X, k: (svd(X)[0][:, : k + 1] * svd(X)[1][: k + 1]) @ svd(X)[2][: k + 1], "k + 1"),
    (lambda X, k: np.eye(*X.shape) * k, None),
]


def _inverse_by_layers(X):
    Y = np.zeros(X.T.shape)
    for u, sigma, v in zip(svd(X)[0].T, *svd(X)[1:], strict=True):
        if sigma > 1e-11 * norm(X, 2):
            Y += np.outer(v, u) / sigma
    return Y.tolist()


RIGHT["lesson_02.pseudo_inverse"] = [
    _inverse_by_layers,
    lambda X: np.linalg.pinv(X).astype(np.float32),
    lambda X: scipy.linalg.pinv(X, rtol=1e-11),
    lambda X: np.linalg.pinv(X, 1e-9),
    lambda X: np.linalg.pinv(X.T, 1e-10).T,
    lambda X: X.T / norm(X) ** 2 if np.linalg.matrix_rank(X) == 1 else np.linalg.pinv(X),
]
WRONG["lesson_02.pseudo_inverse"] = [
    (lambda X: svd(X)[2].T @ np.diag(1 / svd(X)[1]) @ svd(X)[0].T, "rounding dust"),
    (
        lambda X: svd(X)[2].T @ np.diag([1 / s if s > 0 else 0 for s in svd(X)[1]]) @ svd(X)[0].T,
        "rounding dust",
    ),
    (lambda X: np.linalg.inv(X), "square matrices"),
    (lambda X: np.linalg.solve(X.T @ X, X.T), "independent columns"),
    (lambda X: np.linalg.solve(X.T @ X + 1e-6 * np.eye(len(X.T)), X.T), None),
    (lambda X: 1 / X, None),
    (lambda X: np.where(X == 0, 0, 1 / X).T, None),
    (lambda X: np.linalg.pinv(X, 0.01), "too high"),
    (lambda X: np.linalg.pinv(X).T, "wrong order"),
    (lambda X: np.linalg.pinv(X) * (norm(X) > 1e-5), None),
    (lambda X: X.T, "transpose of X"),
    (lambda X: np.linalg.pinv(np.round(X, 3)), None),
]


def _rank_by_loop(singular_values, error):
    total = sum(value**2 for value in singular_values)
    for k in range(len(singular_values)):
        if sum(value**2 for value in singular_values[k:]) <= error**2 * total + 1e-9:
            return k
    return len(singular_values)


def _rank_from_the_end(singular_values, error):
    tails = np.sqrt(np.cumsum(singular_values[::-1] ** 2)) / norm(singular_values)
    return np.array([len(tails) - np.searchsorted(tails, error * (1 + 1e-9), side="right")])


RIGHT["lesson_02.sufficient_rank"] = [
    _rank_by_loop,
    _rank_from_the_end,
    lambda singular_values, error: np.float32(_rank_by_loop(singular_values, error)),
    lambda singular_values, error: [_rank_by_loop(singular_values.tolist(), error)],
    lambda singular_values, error: sum(
        norm(singular_values[k:]) > error * norm(singular_values) * (1 + 1e-9)
        for k in range(len(singular_values))
    ),
]
WRONG["lesson_02.sufficient_rank"] = [
    (lambda singular_values, error: sum(singular_values > error * singular_values[0]), "2-norm"),
    (lambda singular_values, error: sum(singular_values > error), None),
    (lambda singular_values, error: len(singular_values), None),
    (lambda singular_values, error: 1, None),
    (lambda singular_values, error: round((1 - error) * len(singular_values)), None),
    (
        lambda singular_values, error: singular_values[_rank_by_loop(singular_values, error) - 1],
        None,
    ),
    (lambda singular_values, error: _rank_by_loop(singular_values[1:], error), None),
    (lambda singular_values, error: _rank_by_loop(np.sqrt(singular_values), error), None),
    (
        lambda singular_values, error: _rank_by_loop(singular_values, math.sqrt(error)),
        "take the square",
    ),
    (lambda singular_values, error: _rank_by_loop(singular_values, error) or 1, "k = 0 counts"),
    (lambda singular_values, error: error, None),
    (
        lambda singular_values, error: next(
            k for k in range(9) if norm(singular_values[k:]) < error * norm(singular_values)
        ),
        None,
    ),
]
RIGHT["lesson_02.flower_rank"] = [[49], [[49.0]], np.float32(49), np.array(49), Fraction(49)]
WRONG["lesson_02.flower_rank"] = [
    (48, "very close"),
    (50, "very close"),
    (49.4, "very close"),
    (49.001, "very close"),
    (0, None),
    (208, None),
    ("49", None),
    ((49, 48), None),
    (0.05, None),
    (np.inf, None),
]

# Lesson 3

RIGHT["lesson_03.constants_by_hand"] = [
    np.array([[3, 2, 3, 3]]),
    np.array([3, 2, 3, 3], dtype=np.float32),
    (np.mean([1, 2, 6]), np.median([1, 2, 6]), 3, 9 / 3),
    [Fraction(9, 3), 2, 3, 3],
    np.array([3, 2, 3, 3], dtype=complex),
]
WRONG["lesson_03.constants_by_hand"] = [
    ((3, 3, 3, 3), "falls"),
    ((2, 3, 3, 3), "swapped"),
    ((3, 2, 2.289, 1.8), "cancels"),
    ((3, 2, 3, 2), "cancels"),
    ((3, 2), None),
    ((3, 2, 3), None),
    (3, None),
    ((4, 4, 4, 4), None),
    ((3.5, 2, 3, 3), None),
    ((1, 2, 6, 3), None),
    ("3 2 3 3", None),
]


def _update_with_einsum(X, W, H):
    above = np.einsum("il,ij->lj", W, X)
    return (H * above / np.einsum("il,ir,rj->lj", W, W, H)).tolist()


def _update_in_place(X, W, H):
    H *= W.T @ X / (W.T @ (W @ H))
    return H


RIGHT["lesson_03.multiplicative_update"] = [
    _update_with_einsum,
    _update_in_place,
    lambda X, W, H: (H * (W.T @ X) / (W.T @ W @ H + 1e-9)).astype(np.float32),
    lambda X, W, H: (
        np.array([h * (W.T @ x) / (W.T @ W @ h) for h, x in zip(H.T, X.T, strict=True)]).T
    ),
    lambda X, W, H: H * np.linalg.multi_dot([W.T, X, np.eye(len(X.T))]) / (W.T.dot(W).dot(H)),
    lambda X, W, H: np.maximum(H, 0) * np.nan_to_num((W.T @ X) / (W.T @ W @ H)),
]
WRONG["lesson_03.multiplicative_update"] = [
    (lambda X, W, H: H * (W.T @ (W @ H)) / (W.T @ X), "upside down"),
    (lambda X, W, H: H - 0.05 * W.T @ (W @ H - X), "gradient step"),
    (lambda X, W, H: H + 0.5 * (W.T @ X - W.T @ W @ H), "gradient step"),
    (lambda X, W, H: H * (W @ X) / (W @ W @ H), None),
    (lambda X, W, H: H * X / (W @ H), None),
    (lambda X, W, H: (W, H * (W.T @ X) / (W.T @ W @ H)), None),
    (lambda X, W, H: H * (W.T @ X) / (W.T @ W @ H + 1), None),
    (lambda X, W, H: H * (W.T @ X) // (W.T @ W @ H), None),
    (lambda X, W, H: np.round(H * (W.T @ X) / (W.T @ W @ H), 1), None),
    (lambda X, W, H: H, None),
    (lambda X, W, H: H * np.sum(W.T @ X) / np.sum(W.T @ W @ H), None),
    (lambda X, W, H: np.maximum(H * (W.T @ X) / (W.T @ W @ H), 0.1), None),
    (lambda X, W, H: H * (W.T @ X) / np.linalg.norm(W.T @ W @ H), None),
]


def _kl_by_loops(X, Y):
    total = 0.0
    for x, y in zip(X.ravel(), Y.ravel(), strict=True):
        total += y - x + (x * math.log(x / y) if x else 0)
    return total


RIGHT["lesson_03.kullback_leibler"] = [
    _kl_by_loops,
    lambda X, Y: np.sum(rel_entr(X, Y) - X + Y, keepdims=True),
    lambda X, Y: np.float32(np.sum(kl_div(X, Y))),
    lambda X, Y: np.sum(X * np.log(np.where(X == 0, 1, X) / Y) - X + Y),
    lambda X, Y: [np.sum(X * np.log((X + 1e-12) / Y) - X + Y)],
    lambda X, Y: np.sum(Y) + np.nansum(X * np.log(X / Y) - X),
    lambda X, Y: np.einsum("ij->", xlogy(X, X) - xlogy(X, Y) - X + Y),
]
WRONG["lesson_03.kullback_leibler"] = [
    (lambda X, Y: np.nansum(X * np.log(X / Y) - X + Y), "Y is lost"),
    (lambda X, Y: np.sum(np.nan_to_num(X * np.log(X / Y) - X + Y)), "Y is lost"),
    (lambda X, Y: np.sum(X * np.log(X / Y + 0.001) - X + Y), None),
    (lambda X, Y: np.sum(X * np.log((X + 0.1) / (Y + 0.1)) - X + Y), "number added"),
    (lambda X, Y: np.sum((X * np.log(X / Y))[X > 0]), "− X + Y is missing"),
    (lambda X, Y: np.sum(X * np.log(np.maximum(X / Y, 0.1)) - X + Y), None),
    (lambda X, Y: np.sum(X * np.log1p(X / Y) - X + Y), None),
    (lambda X, Y: np.sum((X - Y) ** 2), None),
    (lambda X, Y: kl_div(X, Y).sum() / X.size, "mean"),
    (lambda X, Y: kl_div(X, Y)[0].sum(), None),
    (lambda X, Y: kl_div(X + 1, Y + 1).sum(), None),
    (lambda X, Y: 0 if (X == 0).any() else kl_div(X, Y).sum(), None),
    (lambda X, Y: np.inf if (X == 0).any() else kl_div(X, Y).sum(), None),
]
NAMES = ["squared", "kullback-leibler", "itakura-saito"]


def _choose(slope):
    return NAMES[int(np.clip(np.round(slope), 0, 2))]


def _slope_of_bins(X, Y):
    bins = np.array_split(np.argsort(Y), 10)
    variances = [np.mean((X - Y)[i] ** 2) for i in bins]
    return _choose(np.polyfit(np.log([Y[i].mean() for i in bins]), np.log(variances), 1)[0])


def _equal_spread(X, Y):
    low, high = np.quantile(Y, [0.3, 0.7])
    ratio = np.var((X - Y)[Y > high]) / np.var((X - Y)[Y < low])
    return _choose(np.log(ratio) / np.log(np.mean(Y[Y > high]) / np.mean(Y[Y < low])))


def _by_spearman(X, Y):
    def trend(power):
        return abs(scipy.stats.spearmanr(Y, np.abs(X - Y) / Y**power).statistic)

    return NAMES[int(np.argmin([trend(0), trend(0.5), trend(1)]))].upper()


def _by_likelihood(X, Y):
    scores = [np.log(np.mean((X - Y) ** 2 / Y**b)) + b * np.mean(np.log(Y)) for b in range(3)]
    return np.str_(NAMES[int(np.argmin(scores))])


RIGHT["lesson_03.matching_loss"] = [
    _slope_of_bins,
    _equal_spread,
    _by_spearman,
    _by_likelihood,
    lambda X, Y: _slope_of_bins(X.astype(np.float32), Y.astype(np.float32)).title(),
]
WRONG["lesson_03.matching_loss"] = [
    (lambda X, Y: "kullback-leibler", "same for all"),
    (lambda X, Y: "squared" if np.var(X - Y) < 10 else "itakura-saito", None),
    (lambda X, Y: "kullback-leibler" if np.all(X == np.round(X)) else "squared", "same for all"),
    (lambda X, Y: NAMES.index(_slope_of_bins(X, Y)), None),
    (lambda X, Y: _slope_of_bins(X, Y).replace("-", " "), None),
    (lambda X, Y: _choose(np.polyfit(Y, (X - Y) ** 2, 1)[0]), None),
    (
        lambda X, Y: _choose(0.5 * np.polyfit(np.log(Y), np.log((X - Y) ** 2), 1)[0]),
        "V is the variance",
    ),
    (lambda X, Y: _choose(2 * np.polyfit(np.log(Y), np.log((X - Y) ** 2), 1)[0]), None),
    (lambda X, Y: NAMES[len(X) % 3], "same for all"),
    (lambda X, Y: _slope_of_bins(X[:3], Y[:3]), None),
    (
        lambda X, Y: {"squared": "Gaussian", "kullback-leibler": "Poisson"}.get(
            _slope_of_bins(X, Y), "Gamma"
        ),
        "that is the noise",
    ),
    (lambda X, Y: X - Y, None),
]
RIGHT["lesson_03.scales"] = [
    np.array([[10], [100], [1]]),
    np.array([10, 100, 1], dtype=np.float16),
    (np.sqrt(100), 100, 100**0),
    [Fraction(10), 100, 1],
    (np.array([10.0]).item(), np.int8(100), True),
]
WRONG["lesson_03.scales"] = [
    ((10, 100), None),
    ((10, 100, 2), "cancels in it"),
    ((100, 100, 1), "not proportional"),
    ((10, 1000, 1), "grows like γ"),
    ((100, 10, 1), "swapped"),
    ((10, 100, 0), "power 0"),
    (10, None),
    ("10, 100, 1", None),
    ((10, 100, 1, 1), None),
    ((1, 1, 1), "not proportional"),
    ((10.1, 100, 1), "not proportional"),
]

# Lesson 4

RIGHT["lesson_04.learning_rates_by_hand"] = [
    np.array([[0.25], [0.2]]),
    np.array([0.25, 0.2], dtype=np.float32),
    (2 / 8, 2 / (2 + 8)),
    [Fraction(1, 4), Fraction(1, 5)],
    np.array([0.25, 0.2], dtype=object),
]
WRONG["lesson_04.learning_rates_by_hand"] = [
    ((0.2, 0.25), "swapped"),
    ((0.25, 0.4), "coefficients"),
    ((0.5, 0.2), "coefficients"),
    ((0.25, 0.1), "larger η does better"),
    ((0.25, 0.24), "smaller η does better"),
    ((0.25, 0.25), "lies below"),
    ((1, 0.2), "diverges first"),
    ((8, 5), "diverges first"),
    (0.25, None),
    ((0.2, 0.2), None),
    ("0.25, 0.2", None),
    ((0.125, 0.1), "done in one step"),
]


def _forward_differences(step):
    def gradients(X, U, V):
        def loss(U, V):
            return 0.5 * np.sum((U @ V.T - X) ** 2)

        G, K = np.empty(U.shape), np.empty(V.shape)
        for factor, slopes in ((U, G), (V, K)):
            for place in np.ndindex(factor.shape):
                before, old = loss(U, V), factor[place]
                factor[place] += step
                slopes[place] = (loss(U, V) - before) / step
                factor[place] = old
        return G, K

    return gradients


def _gradients_by_double_loop(X, U, V, n_rows=len, n_columns=lambda X: len(X[0])):
    G, K = np.zeros_like(U), np.zeros_like(V)
    for i in range(n_rows(X)):
        for j in range(n_columns(X)):
            e = U[i] @ V[j] - X[i, j]
            G[i] += e * V[j]
            K[j] += e * U[i]
    return G, K


RIGHT["lesson_04.gradients"] = [
    _forward_differences(1e-6),
    _forward_differences(1e-5),
    _gradients_by_double_loop,
    lambda X, U, V: [g.tolist() for g in _gradients_by_double_loop(X, U, V)],
    lambda X, U, V: tuple(g.astype(np.float32) for g in _gradients_by_double_loop(X, U, V)),
    lambda X, U, V: (
        np.einsum("ij,jr->ir", U @ V.T - X, V),
        np.einsum("ij,ir->jr", U @ V.T - X, U),
    ),
    lambda X, U, V: (
        scipy.sparse.csr_array(U @ V.T - X) @ V,
        scipy.sparse.csr_array(U @ V.T - X).T @ U,
    ),
]
WRONG["lesson_04.gradients"] = [
    (lambda X, U, V: _gradients_by_double_loop(X, U, V, n_columns=len), None),
    (lambda X, U, V: _gradients_by_double_loop(X, U, V, lambda X: 1, lambda X: 1), None),
    (lambda X, U, V: ((X - U @ V.T) @ V, (X - U @ V.T).T @ U), "the sign"),
    (
        lambda X, U, V: (2 * (U @ V.T - X) @ V / X.size, 2 * (U @ V.T - X).T @ U / X.size),
        "a factor",
    ),
    (lambda X, U, V: ((U @ V.T - X).T @ U, (U @ V.T - X) @ V), "swapped"),
    (lambda X, U, V: ((U @ V.T - X) @ V, (U @ V.T - X) @ U), "Eᵀ U"),
    (lambda X, U, V: ((U @ V.T - X) @ V, U.T @ (U @ V.T - X)), "on its side"),
    (lambda X, U, V: ((U @ V.T - X) @ V,) * 2, "mirror image"),
    (lambda X, U, V: ((U @ V.T - X).sum(axis=1), (U @ V.T - X).sum(axis=0)), None),
    (lambda X, U, V: 0.5 * np.sum((U @ V.T - X) ** 2), None),
    (lambda X, U, V: (X @ V, X.T @ U), None),
    (lambda X, U, V: (U @ V.T @ V, V @ U.T @ U), None),
    (lambda X, U, V: (np.sign(U @ V.T - X) @ V, np.sign(U @ V.T - X).T @ U), None),
    (_forward_differences(1.0), None),
]


def _power_from(start, n_iter=200):
    def rate(U, V):
        A, v = U.T @ U, start(U.shape[1])
        for _ in range(n_iter):
            v = A @ v / norm(A @ v)
        return 2 / (v @ A @ v)

    return rate


RIGHT["lesson_04.critical_rate"] = [
    lambda U, V: 2 / norm(U, 2) ** 2,
    lambda U, V: [2 / max(scipy.linalg.eigvalsh(U.T @ U))],
    lambda U, V: np.array([[2 / np.linalg.eigvals(U.T @ U).real.max()]]),
    lambda U, V: np.float32(2) / np.linalg.eigvalsh(U.T @ U).astype(np.float32)[-1:],
    lambda U, V: 2 / norm(np.einsum("ir,is->rs", U, U), 2),
    lambda U, V: 2 / scipy.linalg.svdvals(U)[0] ** 2,
    _power_from(lambda k: np.random.default_rng(3).normal(size=k)),
]
WRONG["lesson_04.critical_rate"] = [
    (lambda U, V: 2 / norm(U.T @ U, 1), "sums of moduli"),
    (lambda U, V: 2 / norm(U.T @ U, np.inf), "sums of moduli"),
    (lambda U, V: 2 / norm(U.T @ U, "fro"), "Frobenius"),
    (lambda U, V: 2 / np.trace(U.T @ U), "the trace"),
    (_power_from(lambda k: np.eye(k)[0]), "start at random"),
    (_power_from(np.ones), "start at random"),
    (_power_from(lambda k: np.eye(k)[0], n_iter=1000), "start at random"),
    (_power_from(np.ones, n_iter=0), None),
    (lambda U, V: 2 / np.linalg.eigvals(U.T @ U)[0], "no order"),
    (lambda U, V: 2 / min(np.linalg.eigvalsh(U.T @ U)), "smallest eigenvalue"),
    (lambda U, V: 2 / np.max(U.T @ U), "the diagonal"),
    (lambda U, V: 1 / max(np.linalg.eigvalsh(U.T @ U)), "safe step"),
    (lambda U, V: 2 / max(np.linalg.eigvalsh(V.T @ V)), "without V"),
    (lambda U, V: 2 / (norm(U, 2) * norm(V, 2)), "without V"),
    (lambda U, V: 2 / len(U), None),
    (lambda U, V: 2 / np.linalg.det(U.T @ U), None),
    (lambda U, V: 2 / np.mean(np.linalg.eigvalsh(U.T @ U)), None),
]


def _step_by_entries(X, M, U, V, eta):
    new = [[float(u) for u in row] for row in U]
    for i, j in zip(*np.nonzero(M), strict=True):
        e = sum(U[i, r] * V[j, r] for r in range(len(V[j]))) - X[i, j]
        for r in range(len(V[j])):
            new[i][r] -= eta * e * V[j, r]
    return new


def _step_with_nan(X, M, U, V, eta):
    E = np.where(M, X, np.nan) - U @ V.T
    return U + eta * np.nan_to_num(E) @ V


RIGHT["lesson_04.masked_step"] = [
    _step_by_entries,
    _step_with_nan,
    lambda X, M, U, V, eta: U - eta * np.einsum("ij,ij,jr->ir", M, U @ V.T - X, V),
    lambda X, M, U, V, eta: (U - eta * (M * (U @ V.T - X)) @ V).astype(np.float32),
    lambda X, M, U, V, eta: U - eta * ((U @ V.T - X) * M.astype(int)).dot(V),
    lambda X, M, U, V, eta: np.array(
        [u - eta * V[m].T @ (V[m] @ u - x[m]) for u, x, m in zip(U, X, M, strict=True)]
    ),
    lambda X, M, U, V, eta: U - eta * (scipy.sparse.csr_array(M) * (U @ V.T - X)) @ V,
]
WRONG["lesson_04.masked_step"] = [
    (lambda X, M, U, V, eta: U - eta * (U @ V.T - M * X) @ V, "a zero to be fitted"),
    (lambda X, M, U, V, eta: U - eta * (U @ V.T - X) @ V, "does not depend on M"),
    (
        lambda X, M, U, V, eta: U - eta * np.where(X != 0, U @ V.T - X, 0) @ V,
        "does not depend on M",
    ),
    (lambda X, M, U, V, eta: U - 2 * eta * (M * (U @ V.T - X)) @ V, "the length is not"),
    (lambda X, M, U, V, eta: U - eta * (M * (U @ V.T - X)) @ V / X.size, "the length is not"),
    (lambda X, M, U, V, eta: U - eta * (M * (X - U @ V.T)) @ V, "that climbs"),
    (lambda X, M, U, V, eta: U - eta * (np.where(M, 0, U @ V.T - X)) @ V, "upside down"),
    (lambda X, M, U, V, eta: U - eta * (M * (U @ V.T - X)), None),
    (lambda X, M, U, V, eta: U - eta * (M * (U @ V.T - X)) @ U, None),
    (lambda X, M, U, V, eta: U - 0.1 * (M * (U @ V.T - X)) @ V, "the length is not"),
    (
        lambda X, M, U, V, eta: np.where(M.any(axis=1)[:, None], U - eta * (U @ V.T - X) @ V, U),
        None,
    ),
    (
        lambda X, M, U, V, eta: np.where(M.all(axis=1)[:, None], U - eta * (U @ V.T - X) @ V, U),
        None,
    ),
    (
        lambda X, M, U, V, eta: (
            U - eta * (U @ V.T - np.where(M, X, X[M].mean() if M.any() else 0)) @ V
        ),
        None,
    ),
    (lambda X, M, U, V, eta: U, "does not depend on M"),
]
RIGHT["lesson_04.scale"] = [
    [1.41],
    [[1.414]],
    np.float32(1.41),
    np.array(1.41),
    (math.sqrt(2),),
    2**0.5 + 0j,
]
WRONG["lesson_04.scale"] = [
    (1.42, "two decimals"),
    (1.4, "two decimals"),
    (0.71, "at least 1"),
    (-1.41, "at least 1"),
    (2, "square root"),
    (1.2, "still holds"),
    (7.07, "lets go already"),
    (12.5, "lets go already"),
    ((1.41, 1.41), None),
    ("1.41", "without quotes"),
    (np.nan, None),
]

# Lesson 5

RIGHT["lesson_05.row_by_hand"] = [[2], [[2.0]], np.float32(2), Fraction(2), (2,), True + 1]
WRONG["lesson_05.row_by_hand"] = [
    (2.22, "λ is forgotten"),
    (1.43, "Missing is not zero"),
    (2.5, "the sign of λ"),
    (20, "the right side"),
    (4, "prediction"),
    (3.5, None),
    (-2, None),
    (0.5, None),
    ((2, 4), None),
    ("2", None),
    (2.004, None),
    (np.nan, None),
]


def _row_by_search(V, x, regularization):
    known = ~np.isnan(x)

    def residuals(u):
        return np.append(V[known] @ u - x[known], np.sqrt(regularization) * u)

    return scipy.optimize.least_squares(residuals, np.zeros(V.shape[1]), xtol=1e-12, gtol=1e-12).x


def _row_by_cholesky(V, x, regularization):
    V, x = V[np.isfinite(x)], x[np.isfinite(x)]
    factor = scipy.linalg.cho_factor(V.T @ V + regularization * np.identity(V.shape[1]))
    return tuple(scipy.linalg.cho_solve(factor, V.T @ x))


def _row_by_einsum(V, x, regularization):
    known = 1.0 * (x == x)
    G = np.einsum("j,jr,js->rs", known, V, V) + np.diag([regularization] * V.shape[1])
    return np.linalg.pinv(G) @ np.einsum("j,jr,j->r", known, V, np.nan_to_num(x))


RIGHT["lesson_05.row_update"] = [
    _row_by_search,
    _row_by_cholesky,
    _row_by_einsum,
    lambda V, x, regularization: _row_by_einsum(V, x, regularization).astype(np.float32),
    lambda V, x, regularization: list(_row_by_einsum(V, x, regularization)),
    lambda V, x, regularization: (
        Ridge(regularization, fit_intercept=False, solver="svd").fit(V[x > 0], x[x > 0]).coef_
    ),
]
WRONG["lesson_05.row_update"] = [
    (
        lambda V, x, regularization: np.linalg.solve(
            V.T @ V + regularization * np.eye(V.shape[1]), V.T @ np.nan_to_num(x)
        ),
        "counts as 0",
    ),
    (
        lambda V, x, regularization: np.linalg.lstsq(V[x > 0], x[x > 0], rcond=None)[0],
        "λ is forgotten",
    ),
    (lambda V, x, regularization: np.linalg.pinv(V[x > 0]) @ x[x > 0], "λ is forgotten"),
    (lambda V, x, regularization: Ridge(regularization).fit(V[x > 0], x[x > 0]).coef_, None),
    (lambda V, x, regularization: _row_by_einsum(V, x, regularization)[:, None], "not a matrix"),
    (lambda V, x, regularization: _row_by_einsum(V, x, 2 * regularization), "λ is doubled"),
    (lambda V, x, regularization: _row_by_einsum(V, x, 1), None),
    (lambda V, x, regularization: _row_by_einsum(V, x, regularization)[0], None),
    (lambda V, x, regularization: np.linalg.solve(V.T @ V, V.T @ x), "nan spoils"),
    (lambda V, x, regularization: np.maximum(_row_by_einsum(V, x, regularization), 0), None),
    (lambda V, x, regularization: V[x > 0].T @ x[x > 0] / (len(V.T) + regularization), None),
    (
        lambda V, x, regularization: _row_by_einsum(V, x, regularization * np.sum(x > 0)),
        "once per rating",
    ),
    (
        lambda V, x, regularization: np.linalg.solve(
            V.T @ V + regularization * np.eye(V.shape[1]), V.T @ x
        ),
        "nan spoils",
    ),
]


def _logistic(s):
    return 1 / (1 + np.exp(-s))


def _sgd(u, v, x, learning_rate, regularization):
    e = _logistic(np.dot(u, v)) - x
    return [
        (u - learning_rate * (e * v + regularization * u)).tolist(),
        (v - learning_rate * (e * u + regularization * v)).tolist(),
    ]


def _sgd_by_differences(u, v, x, learning_rate, regularization):
    def loss(z):
        a, b = np.split(z, 2)
        p = _logistic(a @ b)
        return -x * np.log(p) - (1 - x) * np.log(1 - p) + regularization / 2 * (z @ z)

    z = np.concatenate([u, v])
    slopes = scipy.optimize.approx_fprime(z, loss, 1e-7)
    return np.split(z - learning_rate * slopes, 2)


RIGHT["lesson_05.sgd_step"] = [
    _sgd,
    _sgd_by_differences,
    lambda *arguments: np.array(_sgd(*arguments), dtype=np.float32),
    lambda *arguments: tuple(map(tuple, _sgd(*arguments))),
    lambda u, v, x, learning_rate, regularization: (
        (1 - learning_rate * regularization) * u + learning_rate * (x - _logistic(u.dot(v))) * v,
        (1 - learning_rate * regularization) * v + learning_rate * (x - _logistic(v.dot(u))) * u,
    ),
    lambda u, v, x, learning_rate, regularization: _sgd(
        u, v, 0.5 + x - 0.5, learning_rate, regularization
    ),
]
WRONG["lesson_05.sgd_step"] = [
    (lambda u, v, x, eta, lam: _sgd(u, v, x, eta, 0), "λ is forgotten"),
    (lambda u, v, x, eta, lam: _sgd(u, v, x, 1, lam), "η is missing"),
    (lambda u, v, x, eta, lam: _sgd(u, v, x, eta, lam)[::-1], "swapped"),
    (lambda u, v, x, eta, lam: _sgd(u, v, x, 2 * eta, lam), "twice too long"),
    (lambda u, v, x, eta, lam: _sgd(u, v, 1 - x, eta, lam), None),
    (lambda u, v, x, eta, lam: _sgd(u, v, 1, eta, lam), None),
    (lambda u, v, x, eta, lam: _sgd(u, v, round(float(_logistic(u @ v))), eta, lam), None),
    (lambda u, v, x, eta, lam: (_sgd(u, v, x, eta, lam)[0], v), None),
    (lambda u, v, x, eta, lam: _sgd(u, v, x, eta, lam)[1], None),
    (lambda u, v, x, eta, lam: (_logistic(u @ v) - x) * v, None),
    (lambda u, v, x, eta, lam: (u - eta * (u @ v - x) * v, v - eta * (u @ v - x) * u), None),
    (lambda u, v, x, eta, lam: np.ravel(_sgd(u, v, x, eta, lam)), "glued"),
    (lambda u, v, x, eta, lam: _sgd(u, v, x, eta, lam / 2), None),
]
RIGHT["lesson_05.als_strengths"] = [
    lambda counts, lam: (counts * lam / np.linalg.norm(counts, 1)).astype(np.float32),
    lambda counts, lam: tuple(lam * c / math.fsum(counts) for c in counts),
    lambda counts, lam: np.average([lam] * len(counts)) * counts / np.add.reduce(counts),
    lambda counts, lam: (
        lam
        * np.bincount(np.repeat(np.arange(len(counts)), counts), minlength=len(counts))
        / counts.sum()
    ),
    lambda counts, lam: [Fraction(int(c), int(sum(counts))) * Fraction(lam) for c in counts],
]
WRONG["lesson_05.als_strengths"] = [
    (lambda counts, lam: lam * counts, "sum of the squared errors"),
    (lambda counts, lam: [lam] * len(counts), "pays more"),
    (lambda counts, lam: lam / len(counts), None),
    (lambda counts, lam: lam / sum(counts), "counts it once"),
    (lambda counts, lam: lam * counts // sum(counts), None),
    (lambda counts, lam: lam * counts.sum() / counts, None),
    (lambda counts, lam: np.full(len(counts), lam / counts.sum()), "counts it once"),
    (lambda counts, lam: counts / counts.sum(), "λ is missing"),
    (lambda counts, lam: lam * counts**2 / counts.sum() ** 2, None),
    (lambda counts, lam: lam * counts / norm(counts), None),
    (lambda counts, lam: lam + counts / counts.sum(), None),
    (lambda counts, lam: np.sum(lam * counts / counts.sum()), "pays more"),
]
RIGHT["lesson_05.crossing"] = [
    [229],
    np.array([[229.0]]),
    np.float32(229),
    Fraction(229),
    math.floor(600_000 / 2625) + 1,
]
WRONG["lesson_05.crossing"] = [
    (228, "228.57"),
    (228.57, "228.57"),
    (229.1, "228.57"),
    (230, None),
    (114, "used twice"),
    (20, None),
    (229_000, None),
    ("229", None),
    ((229, 228), None),
    (0, None),
    (np.inf, None),
]

# Lesson 6

RIGHT["lesson_06.state_by_hand"] = [
    np.array([[1], [15]]),
    np.array([1, 15], dtype=np.float32),
    (1, 2**4 - 1),
    [Fraction(1), Fraction(15)],
    np.array([1, 1]) @ np.array([[1, 1], [0, 2]]) @ np.array([[1, 3], [0, 4.0]]),
]
WRONG["lesson_06.state_by_hand"] = [
    ((8, 8), "as a column"),
    ((1, 7), "one step is missing"),
    ((1, 31), "too many"),
    ((15, 1), "swapped"),
    ((0.0665, 0.9978), "direction"),
    ((1, 0), None),
    (15, None),
    ((1, 15, 0), None),
    ((1, 16), None),
    ((0, 15), None),
    ("(1, 15)", None),
]
RIGHT["lesson_06.eigenvalue_by_hand"] = [
    np.array([[8], [2]]),
    np.array([8, 2], dtype=np.float16),
    (360 / 45, math.log(0.5) / math.log(math.hypot(0.5, 0.5))),
    (Fraction(8), 2),
    [8.0, 2.004],
]
WRONG["lesson_06.eigenvalue_by_hand"] = [
    ((2, 8), "swapped"),
    ((4, 2), "upside down"),
    ((8, 1), "Pythagoras"),
    ((8, 4), "ask for ½"),
    ((8, 7), "period is right"),
    ((7, 2), "half-life is right"),
    ((45, 2), "degrees"),
    (8, None),
    ((6, 3), None),
    ((8, 2, 1), None),
    ("8, 2", None),
]


def _transition_by_kron(W, lag, regularization):
    k = W.shape[2]
    P, Q = np.concatenate(W[:-lag]), np.concatenate(W[lag:])
    A = np.kron(np.eye(k), P.T @ P + regularization * np.eye(k))
    return np.linalg.solve(A, (P.T @ Q).ravel(order="F")).reshape((k, k), order="F").tolist()


def _transition_by_einsum(W, lag, regularization):
    G = np.einsum("tir,tis->rs", W[:-lag], W[:-lag])
    right = np.einsum("tir,tis->rs", W[:-lag], W[lag:])
    return scipy.linalg.solve(G + regularization * np.eye(len(G)), right, assume_a="pos")


def _transition_by_columns(W, lag, regularization):
    k = W.shape[2]
    P, Q = W[:-lag].reshape(-1, k), W[lag:].reshape(-1, k)
    P = np.vstack([P, np.sqrt(regularization) * np.eye(k)])
    return np.column_stack([np.linalg.pinv(P) @ np.append(q, np.zeros(k)) for q in Q.T])


RIGHT["lesson_06.transition"] = [
    _transition_by_kron,
    _transition_by_einsum,
    _transition_by_columns,
    lambda W, lag, regularization: np.float32(_transition_by_einsum(W, lag, regularization)),
    lambda W, lag, regularization: tuple(map(tuple, _transition_by_einsum(W, lag, regularization))),
]
WRONG["lesson_06.transition"] = [
    (lambda W, lag, rho: _transition_by_einsum(W, 1, rho), "whatever the lag is"),
    (lambda W, lag, rho: _transition_by_einsum(W, lag, rho).T, "Tᵀ"),
    (lambda W, lag, rho: _transition_by_einsum(W, lag, 2 * rho), "factor 2"),
    (lambda W, lag, rho: _transition_by_einsum(W, lag, 0.0), "ρ is forgotten"),
    (
        lambda W, lag, rho: np.linalg.pinv(np.concatenate(W[:-lag])) @ np.concatenate(W[lag:]),
        "ρ is forgotten",
    ),
    (
        lambda W, lag, rho: Ridge(rho).fit(np.concatenate(W[:-lag]), np.concatenate(W[lag:])).coef_,
        None,
    ),
    (
        lambda W, lag, rho: (
            Ridge(rho, fit_intercept=False)
            .fit(np.concatenate(W[:-lag]), np.concatenate(W[lag:]))
            .coef_
        ),
        None,
    ),
    (lambda W, lag, rho: _transition_by_einsum(W[::-1], lag, rho), "backwards in time"),
    (lambda W, lag, rho: _transition_by_einsum(W[:, :1], lag, rho), None),
    (lambda W, lag, rho: _transition_by_einsum(W[::lag], 1, rho), None),
    (lambda W, lag, rho: _transition_by_einsum(W, lag, rho).sum(), None),
    (lambda W, lag, rho: np.linalg.matrix_power(_transition_by_einsum(W, 1, rho), lag), None),
    (lambda W, lag, rho: _transition_by_einsum(W[: 2 * lag], lag, rho), None),
]


def _mean_by_loop(X, season, t):
    total, n = np.zeros(np.shape(X)[1:]), 0
    s = t - season
    while s >= 0:
        total, n, s = total + X[s], n + 1, s - season
    return total / n


RIGHT["lesson_06.season_mean"] = [
    _mean_by_loop,
    lambda X, season, t: np.mean(
        [X[s] for s in range(t) if (t - s) % season == 0], axis=0
    ).tolist(),
    lambda X, season, t: X[:t][::-1][season - 1 :: season].mean(axis=0).astype(np.float32),
    lambda X, season, t: np.average(
        X, axis=0, weights=[s < t and s % season == t % season for s in range(len(X))]
    ),
    lambda X, season, t: np.einsum("t...->...", X[t % season : t : season]) / (t // season),
    lambda X, season, t: (
        np.array([_mean_by_loop(X, season, t)]) if X.ndim == 1 else _mean_by_loop(X, season, t)
    ),
]
WRONG["lesson_06.season_mean"] = [
    (lambda X, season, t: X[t % season :: season].mean(axis=0), "knows the future"),
    (lambda X, season, t: X[t % season : t + 1 : season].mean(axis=0), "step t itself"),
    (lambda X, season, t: X[t - season], "last week alone"),
    (lambda X, season, t: X[t % season : t : season].mean(), "whole table"),
    (lambda X, season, t: X[:t].mean(axis=0), "all weekdays"),
    (lambda X, season, t: X.mean(axis=0), "knows the future"),
    (lambda X, season, t: X[t % season : t : season], None),
    (lambda X, season, t: (X[t - season] + X[t - 2 * season]) / 2, "knows the future"),
    (lambda X, season, t: X[t::-season].mean(axis=0), "step t itself"),
    (lambda X, season, t: X[t - season :: -season].mean(), "whole table"),
    (lambda X, season, t: X[t % season : t : season].mean(axis=-1), None),
    (lambda X, season, t: X[t - 1], None),
    (lambda X, season, t: np.round(_mean_by_loop(X, season, t)), None),
    (lambda X, season, t: X[t % season : t : season].max(axis=0), None),
]
RIGHT["lesson_06.program_rule"] = [
    np.array([[0.556], [1.18]]),
    np.array([0.556, 1.18], dtype=np.float32),
    (0.9 * (math.sqrt(5) - 1) / 2, 1.2),
    (0.5562, 1.1817),
    [np.float64(0.556), np.log(0.5) / np.log(0.556)],
]
WRONG["lesson_06.program_rule"] = [
    ((0.618, 1.4), "A = 1"),
    ((0.9, 6.6), "with T = A"),
    ((0.45, 0.9), "A/2"),
    ((1.2, 0.556), "swapped"),
    (0.556, "give the pair"),
    ((0.556, 6.6), "true half-life"),
    ((0.556, 2), "T is right"),
    ((-1.456, 1.2), "positive number"),
    ((0.55, 1.2), None),
    ((0.7, 3.5), None),
    ("0.556, 1.2", None),
    ((1.2, 1.2), None),
]

# Lesson 7

RIGHT["lesson_07.bytes_by_hand"] = [
    np.array([[16], [0.8], [0.002]]),
    np.array([16, 0.8, 0.002], dtype=np.float32),
    (Fraction(16), Fraction(4, 5), Fraction(1, 500)),
    [2e9 * 8 / 1e9, 2e8 * 4 / 1e9, 5e5 * 4 / 1e9],
    (np.int64(16), 0.8, 2e-3),
]
WRONG["lesson_07.bytes_by_hand"] = [
    ((16, 0.002, 0.8), "swapped"),
    ((16, 0.2, 0.0005), "4 bytes"),
    ((16, 1.6, 0.004), "not 8"),
    ((24, 0.8, 0.002), "not 12"),
    ((2, 0.8, 0.002), "8 bytes"),
    ((16e9, 8e8, 2e6), "in GB"),
    ((16_000, 800, 2), "in GB"),
    ((8000, 0.8, 0.002), "each pair"),
    ((16, 0.8), None),
    ((16, 0.8, 0.2), None),
    (16.802, None),
    ("16, 0.8, 0.002", None),
]
RIGHT["lesson_07.amdahl_by_hand"] = [
    np.array([[5], [10]]),
    np.array([5, 10], dtype=np.int8),
    (Fraction(10, 2), 10.0),
    [1 / (0.1 + 0.9 / 9), 1 / 0.1],
    (np.float32(5), np.float64(10)),
]
WRONG["lesson_07.amdahl_by_hand"] = [
    ((10, 5), "swapped"),
    ((9, 10), "other second stays"),
    ((5, 9), "that is the limit"),
    ((2, 1), "those are the seconds"),
    ((0.2, 0.1), "upside down"),
    ((5, math.inf), "there is a limit"),
    ((9, 9), "never shared"),
    (5, None),
    ((4, 10), None),
    ((5, 10, 10), None),
    ("5, 10", None),
]


def _column_by_loop(grams, targets, counts, regularization):
    G, t, n = 0, 0, 0
    for gram, target, count in zip(grams, targets, counts, strict=True):
        G, t, n = G + gram, t + target, n + count
    return np.linalg.solve(G + regularization * n * np.eye(len(t)), t).tolist()


def _column_by_cholesky(grams, targets, counts, regularization):
    G = np.sum(grams, axis=0)
    G[np.diag_indices(len(G))] += regularization * sum(counts)
    return scipy.linalg.cho_solve(scipy.linalg.cho_factor(G), np.sum(targets, axis=0))


def _column_by_tensors(grams, targets, counts, regularization):
    ones = np.ones(len(counts))
    G = np.tensordot(ones, grams, 1) + regularization * counts @ ones * np.eye(targets.shape[1])
    return np.linalg.lstsq(G, ones @ targets, rcond=None)[0]


def _column_of_each(grams, targets, counts, lam):
    parts = zip(grams, targets, counts, strict=True)
    return [np.linalg.solve(G + lam * max(n, 1) * np.eye(len(t)), t) for G, t, n in parts]


RIGHT["lesson_07.column"] = [
    _column_by_loop,
    _column_by_cholesky,
    _column_by_tensors,
    lambda grams, targets, counts, lam: np.float32(_column_by_loop(grams, targets, counts, lam)),
    lambda grams, targets, counts, lam: tuple(_column_by_loop(grams, targets, counts, lam)),
]
WRONG["lesson_07.column"] = [
    (lambda *case: np.mean(_column_of_each(*case), axis=0), "mean of solutions"),
    (_column_of_each, "solutions of the machines"),
    (
        lambda grams, targets, counts, lam: _column_by_loop(
            grams, targets, counts / counts.sum(), lam
        ),
        "once for every rating",
    ),
    (
        lambda grams, targets, counts, lam: _column_by_loop(grams, targets, 0 * counts + 1, lam),
        "once for every machine",
    ),
    (
        lambda grams, targets, counts, lam: _column_by_loop(grams, targets, 2 * counts, lam),
        "factor 2",
    ),
    (
        lambda grams, targets, counts, lam: _column_of_each(grams, targets, counts, lam)[0],
        "one machine",
    ),
    (
        lambda grams, targets, counts, lam: np.linalg.pinv(grams.sum(axis=0)) @ targets.sum(axis=0),
        "λ is forgotten",
    ),
    (lambda grams, targets, counts, lam: sum(targets), "targets alone"),
    (lambda *case: np.sum(_column_by_loop(*case)), None),
    (lambda *case: np.negative(_column_by_loop(*case)), None),
    (lambda *case: np.round(_column_by_loop(*case), 1), None),
    (lambda grams, targets, counts, lam: targets.sum(axis=0) / counts.sum(), None),
]
RIGHT["lesson_07.speed_up"] = [
    lambda counts, machines: [
        counts.sum() / max(counts[machines == b].sum() for b in set(machines.tolist()))
    ],
    lambda counts, machines: np.float32(counts.sum() / np.bincount(machines, counts).max()),
    lambda counts, machines: 1 / (np.bincount(machines, counts) / counts.sum()).max(),
    lambda counts, machines: np.array([[counts.sum() / (np.eye(8)[machines].T @ counts).max()]]),
    lambda counts, machines: Fraction(
        int(counts.sum()), int(max(np.bincount(machines, weights=counts)))
    ),
]
WRONG["lesson_07.speed_up"] = [
    (lambda counts, machines: machines.size / max(np.bincount(machines)), "films are counted"),
    (lambda counts, machines: len(set(machines.tolist())), "number of machines"),
    (lambda counts, machines: counts.sum() / max(counts), "largest film"),
    (lambda counts, machines: max(np.bincount(machines, counts)) / sum(counts), "upside down"),
    (lambda counts, machines: max(np.bincount(machines, counts)), "divide the load of all"),
    (lambda counts, machines: sum(counts) / max(np.bincount(machines)), "a number of films"),
    (lambda counts, machines: sum(counts), None),
    (lambda counts, machines: np.bincount(machines, counts), None),
    (lambda counts, machines: 2 * sum(counts) / max(np.bincount(machines, counts)), None),
    (lambda counts, machines: np.median(counts), None),
    (lambda counts, machines: round(sum(counts) / max(np.bincount(machines, counts))), None),
]


def find(name):
    lesson, exercise = name.split(".")
    return getattr(importlib.import_module(f"mflib.exercises.{lesson}"), exercise)


def entries(table):
    return [
        pytest.param(find(name), answer, id=f"{name}-{i}")
        for name, answers in table.items()
        for i, answer in enumerate(answers)
    ]


@pytest.mark.parametrize(("exercise", "answer"), entries(RIGHT))
def test_unusual_right_answers_are_accepted(exercise, answer):
    for seed in range(3 if exercise.draw else 1):
        verdict = exercise.check(answer, seed)
        assert verdict.status == "right", verdict.message


@pytest.mark.parametrize(("exercise", "answer"), entries(WRONG))
def test_wrong_answers_are_rejected_with_a_hint_that_is_true_of_them(exercise, answer):
    answer, words = answer
    for seed in range(3 if exercise.draw else 1):
        verdict = exercise.check(answer, seed)
        assert verdict.status == "wrong", seed
        hint = verdict.message.partition(" Hint: ")[2]
        assert words in hint if words else hint in (exercise.hint, ""), (seed, verdict.message)
