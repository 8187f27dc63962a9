"""What is accepted, and the one sentence for what is refused (matrices and vectors: test_eigen)."""

import re
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator

from mflib import _validation as check
from mflib.completion import (
    ALS,
    SGD,
    BayesianALS,
    ImplicitALS,
    ObservedEntries,
)
from mflib.descent import (
    Quadratic,
    classify_losses,
    critical_learning_rate,
    descent_steps,
    gradient_descent,
    largest_curvature,
)
from mflib.factorization import FactorizationProblem, joint_critical_learning_rate
from mflib.iteration import Iterate, record
from mflib.losses import find_loss
from mflib.nmf import NMF, NMFProblem
from mflib.sequential import (
    JointMF,
    LastValue,
    MeanValue,
    RolloutMF,
    ScalarAutoregression,
    TwoStageMF,
)
from mflib.sequential.preparation import check_sequence
from mflib.svd import truncated_svd


class Pair(NamedTuple):
    U: np.ndarray
    V: np.ndarray


@record
class Step(Iterate):
    factors: Pair


SHAPES = {"U": (2, "k"), "V": (3, "k")}
U, V = np.ones((2, 4)), np.zeros((3, 4))


def factors(*start):
    return check.factors(start, Pair, SHAPES)


REFUSALS = {
    "x is None; a finite real number is needed": lambda: check.number(None, "x"),
    "x is '3'; a finite real number is needed": lambda: check.number("3", "x"),
    "x is True; a finite real number is needed": lambda: check.number(True, "x"),
    "x is nan; a finite real number is needed": lambda: check.positive(np.nan, "x"),
    "x is -inf; a finite real number is needed": lambda: check.share(-np.inf, "x"),
    "x is 1e+308; a number of size 1e+300 at most is needed": lambda: check.number(1e308, "x"),
    "x is -1e+308; a number of size 1e+300 at most": lambda: check.number(-1e308, "x"),
    "x has shape (1,); a single number is needed": lambda: check.non_negative([1], "x"),
    "learning_rate is 0; a number above 0 is needed": lambda: check.positive(0, "learning_rate"),
    "noise is -0.5; at least 0 is needed": lambda: check.non_negative(-0.5, "noise"),
    "damping is 1.5; a number from 0 to 1 is needed": lambda: check.share(1.5, "damping"),
    "damping is -1; a number from 0 to 1 is needed": lambda: check.share(-1, "damping"),
    "rank is 0; at least 1 is needed": lambda: check.count(0, "rank"),
    "rank is 2.0; a whole number is needed": lambda: check.count(2.0, "rank"),
    "rank is True; a whole number is needed": lambda: check.count(True, "rank"),
    "rank is '2'; a whole number is needed": lambda: check.count("2", "rank"),
    "rank is None; a whole number is needed": lambda: check.count(None, "rank"),
    "k is 4; at most 3 is needed": lambda: check.count(4, "k", largest=3),
    "k is -1; at least 0 is needed": lambda: check.count(-1, "k", smallest=0, largest=3),
    f"n is {10**30}; a smaller number is needed": lambda: check.count(10**30, "n"),
    f"n is {10**18}; a smaller number is needed": lambda: check.count(10**18, "n"),
    "n is array([[1., 0... [0., 1.]]); a whole number": lambda: check.count(np.eye(2), "n"),
    "shape is 3; a tuple of 2 whole numbers is needed": lambda: check.sides(3, 2),
    "shape is (); a tuple of whole numbers is needed": lambda: check.sides(()),
    "a side of shape is 2.5; a whole number is needed": lambda: check.sides((4, 2.5)),
    "penalty is (1,); a pair is needed": lambda: check.items((1,), 2, "penalty", "a pair"),
    "problem is a list; a Problem is needed": lambda: check.kind(False, [], "problem", "a Problem"),
    "mask holds entries of type int64; bool is needed": lambda: FactorizationProblem(
        [[1, 2]], mask=np.ones((1, 2), "i8")
    ),
    "b has shape (2,); (3,) is needed": lambda: check.shaped(np.ones(2), (3,), "b"),
    "tol is -1; at least 0 is needed": lambda: check.limits(-1, 9),
    "max_iter is -1; at least 0 is needed": lambda: check.limits(0, -1),
    "max_iter is 2.5; a whole number is needed": lambda: check.limits(0, 2.5),
    "solver is 'x'; use one of 'numpy', 'compiled'": lambda: check.choice(
        "x", ("numpy", "compiled"), "solver"
    ),
    "init is None; use one of 'a', 'b'": lambda: check.choice(None, ("a", "b"), "init"),
    "init is ['a']; use one of 'a', None": lambda: check.choice(["a"], ("a", None), "init"),
    "biases is 1; True or False is needed": lambda: check.flag(1, "biases"),
    "biases is 'no'; True or False is needed": lambda: check.flag("no", "biases"),
    "H is sparse or an operator; an array is needed": lambda: check.dense(sparse.eye_array(2), "H"),
    "X has 1 negative entry; NMF needs X >= 0": lambda: check.no_negative(
        np.array([[1, -2]]), "X", "NMF"
    ),
    "X has 2 negative entries; NMF needs X >= 0": lambda: check.no_negative(
        sparse.csr_array([[-1, 0, -2]]), "X", "NMF"
    ),
    "X is an operator; an array or a sparse matrix is needed": lambda: check.no_negative(
        aslinearoperator(np.eye(2)), "X", "NMF"
    ),
    "the start is no sequence of arrays U, V": lambda: check.factors(None, Pair, SHAPES),
    "the start has factors of shapes (2, 4); (2, k) and (3, k) are needed for U, V": lambda: (
        factors(U)
    ),
    "the start has factors of shapes (2, 4) and (3, 4) and (2, 4); (2, k)": lambda: factors(
        U, V, U
    ),
    "the start has factors of shapes (3, 4) and (2, 4); (2, k) and (3, k)": lambda: factors(V, U),
    "the start has factors of shapes (2, 4) and (3, 1); (2, k) and (3, k)": lambda: factors(
        U, V[:, :1]
    ),
    "the start has factors of shapes (2, 0) and (3, 0); (2, k) and (3, k)": lambda: factors(
        U[:, :0], V[:, :0]
    ),
    "the start has factors of shapes (2,) and (3, 4); (2, k) and (3, k)": lambda: factors(
        U[:, 0], V
    ),
    "V is complex; only real numbers are supported": lambda: factors(U, 1j * V),
    "U holds entries of type <U1; real numbers are needed": lambda: factors(U.astype("<U1"), V),
    "U has 8 entries that are NaN or infinite": lambda: factors(U * np.nan, V),
}


@pytest.mark.parametrize("sentence", REFUSALS)
def test_a_refusal_says_what_is_wrong_and_what_is_needed(sentence):
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + r"[^\n]*$"):
        REFUSALS[sentence]()


@pytest.mark.parametrize("kind", [int, float, np.int8, np.float32, np.array])
def test_a_number_of_any_real_type_becomes_a_float(kind):
    for read in (check.number, check.positive, check.non_negative, check.share):
        assert type(read(kind(1), "x")) is float
    assert check.number(kind(-2), "x") == -2.0
    assert (check.non_negative(kind(0), "x"), check.share(kind(0), "x")) == (0.0, 0.0)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_a_count_lies_between_its_limits(value, smallest, largest):
    if smallest <= value <= largest:
        found = check.count(np.int64(value), "n", smallest=smallest, largest=largest)
        assert type(found) is int
        assert found == value
    else:
        with pytest.raises(ValueError, match=rf"^n is {value}; at (least|most) \d is needed$"):
            check.count(value, "n", smallest=smallest, largest=largest)


def test_limits_choices_and_flags_are_returned():
    assert check.limits(0, np.int64(7)) == (0.0, 7)
    assert check.choice("b", ("a", "b"), "init") == "b"
    assert check.choice(None, ("a", None), "init") is None
    assert check.flag(np.True_, "biases") is True


def test_an_array_is_compared_with_choices_without_an_error():
    with pytest.raises(ValueError, match=r"use one of 'a'$"):
        check.choice(np.array(["a", "b"]), ("a",), "init")


def test_what_has_no_negative_entries_is_returned_as_it_is():
    for X in (np.zeros((2, 2)), sparse.csr_array((2, 2)), sparse.csr_array([[0, 3.0]])):
        assert check.no_negative(X, "X", "NMF") is X


@pytest.mark.parametrize("W", [[1e301], [-1e301], [np.inf], [np.nan], [1.0, np.nan]])
def test_a_product_that_overflows_is_refused(W):
    with pytest.raises(FloatingPointError, match=r"exceeds 1e\+300; scale A down first"):
        check.product(np.array(W))


def test_a_start_is_copied_and_the_copy_may_be_written_to():
    start = Step(5, Pair(U, V))
    for found in (check.factors(start, Pair, SHAPES), factors(U, V), factors(U.tolist(), V)):
        assert isinstance(found, Pair)
        for mine, given_ in zip(found, (U, V), strict=True):
            assert_array_equal(mine, given_)
            assert not np.shares_memory(mine, given_)
            mine[:] = 7
    assert (U == 1).all()
    assert (V == 0).all()


def test_a_start_may_be_anything_that_has_factors():
    assert_array_equal(check.factors(SimpleNamespace(factors=[U, V]), Pair, SHAPES).V, V)


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [("f4", "f4", "f4"), ("f4", "f8", "f8"), ("i8", "i8", "f8"), ("?", "f4", "f8")],
)
def test_factors_are_single_only_if_all_are(one, other, wanted):
    found = factors(U.astype(one), V.astype(other))
    assert [block.dtype for block in found] == [wanted, wanted]


def test_what_a_mask_hides_is_no_data():
    hidden = np.ma.masked_equal([[5, -1, 3], [1, 4, -1], [5, 1, -1]], -1)
    for use in (
        check.matrix,
        FactorizationProblem,
        NMFProblem,
        NMF(1).fit,
        ALS(1).fit,
        lambda y: ALS(1).fit(np.argwhere(np.ones((3, 3))), np.ma.ravel(y)),
        lambda X: truncated_svd(X, 1),
        lambda X: truncated_svd(list(X), 1),
        lambda X: find_loss("squared").entries(X, 1),
    ):
        with pytest.raises(ValueError, match=r"^[AXy] has masked entries; values for all of them"):
            use(hidden)
    assert_array_equal(check.matrix(np.ma.array([[1.0, 2.0]])), [[1, 2]])
    entries = ObservedEntries.from_dense(hidden)
    assert len(entries) == 6
    assert entries.values.min() == 1
    tables = [np.ma.masked_equal([[1.0, 2.0]], 2.0), np.ma.masked_equal([[3.0, 4.0]], 3.0)]
    assert_array_equal(np.isnan(check_sequence(np.ma.stack(tables))).ravel(), [0, 1, 1, 0])
    with pytest.raises(ValueError, match=r"^X has masked entries; values for all of them"):
        check_sequence(tables)


# Every public function of lesson 4, and what none of them may take

PROBLEM = FactorizationProblem([[1.0, 2.0], [3.0, 4.0]])
START = [[1.0], [2.0]], [[1.0], [1.0]]
MATRICES = [
    5,
    "ab",
    {"a": 1},
    [[1, 2], [3]],
    [["a", "b"], ["c", "d"]],
    [["2026-01-01", "2026-01-02"]] * 2,
    np.array([[1, None], [2, 3]]),
    1j * np.eye(2),
    sparse.csr_array(1j * np.eye(2)),
    np.ma.masked_equal(np.eye(2), 1),
    np.full((2, 2), np.nan),
    np.array([[1, 2], [2, np.inf]]),
    np.full((2, 2), np.longdouble(2) ** 2000),
    np.zeros((0, 2)),
    np.ones((3, 2, 2)),
]
TAKERS = {
    "X": FactorizationProblem,
    "X, masked": lambda X: FactorizationProblem(X, mask=np.ones((2, 2), bool)),
    "mask": lambda mask: FactorizationProblem(np.eye(2), mask=mask),
    "H": lambda H: Quadratic(H, [1, 2]),
    "b": lambda b: Quadratic(np.eye(2), b),
    "curvature": largest_curvature,
    "critical": critical_learning_rate,
    "joint": joint_critical_learning_rate,
    "start": lambda U: descent_steps(PROBLEM, (U, np.ones((2, 2)))),
    "both": lambda start: gradient_descent(PROBLEM, start),
    "loss": lambda U: PROBLEM.loss((U, np.ones((2, 2)))),
    "problem": lambda problem: descent_steps(problem, START),
    "losses": classify_losses,
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("i", range(len(MATRICES)))
def test_no_awkward_matrix_is_taken_or_changed(i, taker):
    before = repr(MATRICES[i])
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        TAKERS[taker](MATRICES[i])
    assert repr(MATRICES[i]) == before


@pytest.mark.parametrize(
    "value", ["1", b"1", [1.0], [[1], [1, 2]], np.nan, -np.inf, 1j, True, -1, np.ma.masked, 10**400]
)
def test_no_awkward_number_is_taken(value):
    for use in (
        lambda: FactorizationProblem(np.eye(2), regularization=value),
        lambda: descent_steps(PROBLEM, START, value),
        lambda: gradient_descent(PROBLEM, START, 0.1, tol=value),
        lambda: gradient_descent(PROBLEM, START, 0.1, max_iter=value),
        lambda: largest_curvature(np.eye(2), tol=value),
    ):
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            use()


def test_a_mask_may_cover_what_is_not_finite_and_nothing_else():
    X, mask = [[1.0, np.nan]], [[True, False]]
    assert FactorizationProblem(X, mask=mask).X.tolist() == [[1, 0]]
    with pytest.raises(ValueError, match="X has 1 entry that is NaN or infinite"):
        FactorizationProblem(X, mask=[[True, True]])


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_symmetry_is_asked_whatever_the_unit(scale):
    Quadratic(scale * np.array([[2.0, 1.0], [1.0 + 1e-12, 2.0]]), [0, 0])
    with pytest.raises(ValueError, match="H is not symmetric"):
        Quadratic(scale * np.array([[2.0, 1.0], [1.1, 2.0]]), [0, 0])


PAIRS, TABLES = np.argwhere(np.ones((4, 4))), np.arange(1.0, 109).reshape(9, 2, 6)
FITS = {
    completion: (PAIRS, PAIRS.sum(axis=1) + 1.0)
    for completion in (ALS, SGD, BayesianALS, ImplicitALS)
}
FITS |= {sequence: (TABLES,) for sequence in (TwoStageMF, JointMF, RolloutMF, LastValue, MeanValue)}
FITS |= {ScalarAutoregression: (TABLES,), NMF: (TABLES[0],)}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("estimator", FITS, ids=lambda estimator: estimator.__name__)
def test_a_fit_that_is_refused_changes_nothing(estimator):
    X, *y = FITS[estimator]
    model, refused = estimator().fit(X, *y), 0
    for name, value in model.get_params().items():
        before = vars(model.set_params(**{name: "nonsense"})).copy()
        try:
            model.fit(X[:-1], *(values[:-1] for values in y))
        except ValueError:
            refused += 1
            assert vars(model).keys() == before.keys(), name
            assert all(vars(model)[key] is before[key] for key in before), name
        model.set_params(**{name: value})
    assert refused >= len(model.get_params()) - 1
