"""`ALS`, `SGD` and `GradientDescent` as estimators in scikit-learn's conventions (lesson 5).

X holds pairs (row, column) and y their values, so that `cross_validate` and `GridSearchCV` hold out
entries, which is what a completion is judged by. What all three minimise stands in
`mflib.completion.model`.
"""

from collections.abc import Iterator
from itertools import islice
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm.auto import tqdm

from mflib._validation import check_count
from mflib.completion.als import als_steps
from mflib.completion.entries import ObservedEntries, check_pairs
from mflib.completion.gradient import gradient_steps
from mflib.completion.model import (
    CompletionStep,
    Factors,
    central_score,
    check_domain,
    check_nonnegative,
    expectation,
    initial_factors,
    loss_of,
)
from mflib.completion.sgd import sgd_steps
from mflib.descent import has_exploded

_MANY = 10**9

_COLUMN = (1 << 32) - 1  # the digits of a packed pair that hold its column


class _Completion(RegressorMixin, BaseEstimator):
    """What the three estimators share: all but the steps they take."""

    loss = "squared"

    def fit(self, pairs: ArrayLike, values: ArrayLike, validation=None):
        """Fit the factors to observed entries.

        Parameters
        ----------
        pairs : (n_entries, 2) array of whole numbers
            Row and column of each entry, counted from 0. Duplicates count as often as they stand.
        values : (n_entries,) array
        validation : tuple (pairs, values), optional
            Held-out entries, whose loss is followed in `history_`.

        Returns
        -------
        self

        Warns
        -----
        ConvergenceWarning
            If the iteration diverged, or did not meet `tol` in `max_iter` steps.
        """
        n_steps = check_count(self.max_iter, _MANY, "max_iter")
        tol = check_nonnegative(self.tol, "tol")
        self._fit(pairs, values, n_steps, tol, validation)
        return self._report()

    def predict(self, pairs: ArrayLike) -> np.ndarray:
        """Return the expected values of entries, of any rows and columns.

        With biases, a row that was never seen is predicted by μ + cⱼ, a column that was not by
        μ + bᵢ, and both together by μ. Without biases, where one was never seen, there is the mean
        of the training data.

        Parameters
        ----------
        pairs : (n_entries, 2) array of whole numbers

        Returns
        -------
        (n_entries,) array
        """
        check_is_fitted(self)
        pairs = check_pairs(validate_data(self, pairs, reset=False, dtype=None))
        return expectation(self._scores(*pairs.T), self.loss)

    def recommend(
        self, row: int, n: int = 10, *, exclude_seen: bool = True
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the n columns of highest prediction in a row, best first.

        Columns without any entry in training are never recommended. In a row that was never seen
        the order is that of the column biases: what most people like. (Without biases, nothing is
        known of such a row, and all predictions are equal.)

        Parameters
        ----------
        row : int
        n : int
            There may be fewer columns than that.
        exclude_seen : bool
            Whether to leave out the columns that were observed in that row.

        Returns
        -------
        columns : (n,) array of int
        predictions : (n,) array
        """
        check_is_fitted(self)
        row = check_count(row, _MANY, "row", smallest=0)
        candidates = self.column_counts_ > 0
        if exclude_seen:
            candidates[self._seen[self._seen >> 32 == row] & _COLUMN] = False
        columns = np.flatnonzero(candidates)
        predictions = expectation(self._scores(np.full_like(columns, row), columns), self.loss)
        best = np.argsort(-predictions, kind="stable")[: check_count(n, _MANY, "n")]
        return columns[best], predictions[best]

    def similar(self, column: int, n: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Return the n columns whose factors point most nearly the same way.

        Parameters
        ----------
        column : int
            One that was seen in training.
        n : int
            There may be fewer columns than that.

        Returns
        -------
        columns : (n,) array of int
            Without the column itself, most similar first.
        cosines : (n,) array
            Of the angles between vⱼ and the others, from 1 (same direction) to −1.
        """
        check_is_fitted(self)
        seen = self.column_counts_ > 0
        column = check_count(column, len(seen) - 1, "column", smallest=0)
        if not seen[column]:
            raise ValueError(f"column {column} was never seen in training")
        lengths = np.linalg.norm(self.V_, axis=1)
        V = self.V_ / np.where(lengths > 0, lengths, 1)[:, None]
        cosines = V @ V[column]
        seen[column] = False
        others = np.flatnonzero(seen)
        best = others[np.argsort(-cosines[others], kind="stable")][: check_count(n, _MANY, "n")]
        return best, cosines[best]

    def __sklearn_tags__(self):
        """Tell scikit-learn that noise cannot be fitted well."""
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags

    def _steps(self, entries: ObservedEntries, start: Factors) -> Iterator[CompletionStep]:
        raise NotImplementedError

    def _losses(self, step):
        """Return the loss of the training data, and the number whose change ends the iteration."""
        return step.loss, step.objective

    def _fit(self, pairs, values, n_steps, tol, validation=None):
        entries = self._check_entries(pairs, values, reset=True)
        self._random_state = check_random_state(self.random_state)
        start = self._start(entries)
        self.mean_ = central_score(entries.values, self.loss)
        self.row_counts_, self.column_counts_ = entries.row_counts, entries.column_counts
        self._seen = _packed(entries)
        self.n_iter_, self.history_ = 0, {"loss": []}
        if validation is not None:
            validation = self._check_entries(*validation, reset=False)
            check_domain(validation.values, self.loss)
            self.history_["validation_loss"] = []
        self._run(entries, start, n_steps, tol, validation)

    def _start(self, entries):
        return initial_factors(
            entries,
            check_count(self.rank, _MANY, "rank"),
            biases=self.biases,
            scale=self.init_scale,
            loss=self.loss,
            non_negative=self.non_negative,
            dtype=self.dtype,
            random_state=self._random_state,
        )

    def _check_entries(self, pairs, values, reset):
        pairs, values = validate_data(self, pairs, values, reset=reset, dtype=None, y_numeric=True)
        return ObservedEntries(pairs, values)

    def _run(self, entries, start, n_steps, tol, validation=None):
        """Take steps until a stopping rule holds, and keep the last finite iterate."""
        steps = self._steps(entries, start)
        limit, previous = _size(entries, start, self.loss), np.inf
        self._keep(next(steps))
        self.converged_, self.message_ = tol == 0, f"not converged after {n_steps} steps"
        for step in tqdm(islice(steps, n_steps), total=n_steps, disable=not self.verbose):
            loss, monitored = self._losses(step)
            if has_exploded(monitored, limit) or not _is_finite(step):
                self.converged_, self.message_ = False, self._explosion()
                break
            self._keep(step)
            self.n_iter_ += 1
            self._record(loss / len(entries), validation)
            if tol > 0 and abs(previous - monitored) <= tol * monitored:
                self.converged_ = True
                break
            previous = monitored
        if self.converged_:
            self.message_ = f"stopped as planned after {self.n_iter_} steps"

    def _report(self):
        """Warn the caller of the caller, if there is reason to."""
        if not self.converged_:
            warn(self.message_, ConvergenceWarning, stacklevel=3)
        return self

    def _explosion(self):
        return (
            f"diverged in step {self.n_iter_ + 1}: the loss is not finite, or more than a million "
            f"times what it was; learning_rate={self.learning_rate:g} is too large, try a tenth"
        )

    def _keep(self, step):
        self.U_, self.V_ = step.U, step.V
        self.row_bias_, self.column_bias_ = step.row_bias, step.column_bias

    def _record(self, loss, validation):
        self.history_["loss"].append(loss)
        if validation is not None:
            scores = self._scores(validation.rows, validation.columns)
            held_out = loss_of(validation.values, scores, self.loss) / len(validation)
            self.history_["validation_loss"].append(held_out)

    def _scores(self, rows, columns):
        """Return x̂ᵢⱼ, from what is known."""
        row_known = _known(self.row_counts_, rows)
        column_known = _known(self.column_counts_, columns)
        both = row_known & column_known
        scores = np.full(len(rows), self.mean_, dtype=self.U_.dtype)
        products = Factors(self.U_, self.V_).scores(rows[both], columns[both])
        if self.row_bias_ is None:
            scores[both] = products
        else:
            scores[row_known] += self.row_bias_[rows[row_known]]
            scores[column_known] += self.column_bias_[columns[column_known]]
            scores[both] += products
        return scores


class ALS(_Completion):
    """Matrix completion by alternating least squares.

    Every half step is the exact minimum over U (or V) with the other fixed, and none increases the
    objective: see `als_steps`.

    Parameters
    ----------
    rank : int
        k, the number of columns of U and V.
    regularization : float
        λ, at least 0.
    weighting : {"count", "constant"}
        Whether a row is penalised by λ times its number of entries, as by SGD, or by λ.
    biases : bool
        Whether to fit μ + bᵢ + cⱼ + uᵢᵀvⱼ; if not, uᵢᵀvⱼ alone.
    non_negative : bool
        Whether to keep U and V at least 0 (biases stay free).
    solver : {"numpy", "compiled"}
        As for `als_steps`.
    max_iter : int
        Largest number of steps.
    tol : float
        Stop when a step changes the objective by at most this share. 0 does `max_iter` steps.
    init_scale : float
        Standard deviation of the factors at the start.
    dtype : float32 or float64
        The type of the arithmetic.
    random_state : int, RandomState or None
        Chooses the start.
    verbose : bool
        Whether to show a progress bar.

    Attributes
    ----------
    U_, V_ : (m, k) and (n, k) arrays
    mean_ : float
        μ: the mean of the training data.
    row_bias_, column_bias_ : (m,) and (n,) arrays, or None
    row_counts_, column_counts_ : (m,) and (n,) arrays of int
        Number of training entries in each row and column.
    n_iter_ : int
    history_ : dict of lists
        "loss", the mean loss ½ (x̂ − x)² of the training entries after each step, without penalties;
        and "validation_loss", that of the held-out entries, if some were given.
    converged_ : bool
        False if `tol` was not met.
    message_ : str
        Why the iteration ended.
    n_features_in_ : int
        2.

    Examples
    --------
    >>> model = ALS(1, regularization=1e-6, biases=False, max_iter=500, random_state=0)
    >>> model = model.fit([[0, 0], [0, 1], [1, 0]], [1, 2, 2])  # the table 1 2 / 2 ?
    >>> model.predict([[1, 1]]).round(1)
    array([4.])
    """

    def __init__(
        self,
        rank=20,
        *,
        regularization=0.1,
        weighting="count",
        biases=True,
        non_negative=False,
        solver="numpy",
        max_iter=10,
        tol=0.0,
        init_scale=0.01,
        dtype=np.float64,
        random_state=None,
        verbose=False,
    ):
        self.rank = rank
        self.regularization = regularization
        self.weighting = weighting
        self.biases = biases
        self.non_negative = non_negative
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.init_scale = init_scale
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def _steps(self, entries, start):
        return als_steps(
            entries,
            start,
            regularization=self.regularization,
            weighting=self.weighting,
            non_negative=self.non_negative,
            solver=self.solver,
        )

    def _explosion(self):
        return f"overflow in step {self.n_iter_ + 1}: scale the values, or raise regularization"


class SGD(_Completion):
    """Matrix completion by stochastic gradient descent, one entry at a time.

    It minimises the objective with `weighting="count"`, because λ acts at every entry: see
    `sgd_steps`.

    Parameters
    ----------
    rank : int
        k, the number of columns of U and V.
    learning_rate : float
        η. Sensible for values of size 1; ten times larger values need a smaller one.
    regularization : float
        λ, at least 0.
    decay : float
        Epoch t, counted from 0, has the learning rate η / (1 + decay · t).
    loss : {"squared", "logistic", "poisson"}
        For numbers, for 0 and 1, and for counts. `predict` returns expected values: probabilities
        for "logistic".
    biases : bool
        Whether to fit μ + bᵢ + cⱼ + uᵢᵀvⱼ; if not, uᵢᵀvⱼ alone.
    non_negative : bool
        Whether to keep U and V at least 0 (biases stay free).
    max_iter : int
        Largest number of epochs.
    tol : float
        Stop when an epoch changes the training loss by at most this share. 0 does `max_iter`
        epochs.
    init_scale, dtype, random_state, verbose : as for `ALS`
        `random_state` also chooses the order of the entries.

    Attributes
    ----------
    U_, V_, mean_, row_bias_, column_bias_, row_counts_, column_counts_, n_iter_, n_features_in_
        As for `ALS`; `mean_` is the logarithm of the mean if the loss is "poisson", and its
        log-odds if it is "logistic".
    history_ : dict of lists
        As for `ALS`, but the training loss of an epoch is the running one: each entry counts with
        the factors it met.
    converged_ : bool
        False if the iteration diverged, or `tol` was not met. The model is the last finite iterate.
    message_ : str
        Why the iteration ended.

    Examples
    --------
    >>> pairs = [[row, column] for row in range(8) for column in range(8)]
    >>> values = [row * column / 8 for row, column in pairs]
    >>> held_out = [[3, 3], [4, 6]]
    >>> keep = [i for i, pair in enumerate(pairs) if pair not in held_out]
    >>> model = SGD(2, learning_rate=0.02, regularization=0.001, max_iter=500, random_state=0)
    >>> model = model.fit([pairs[i] for i in keep], [values[i] for i in keep])
    >>> model.predict(held_out).round(1)  # 9/8 and 3
    array([1.1, 3. ])
    """

    def __init__(
        self,
        rank=20,
        *,
        learning_rate=0.01,
        regularization=0.1,
        decay=0.0,
        loss="squared",
        biases=True,
        non_negative=False,
        max_iter=30,
        tol=0.0,
        init_scale=0.01,
        dtype=np.float64,
        random_state=None,
        verbose=False,
    ):
        self.rank = rank
        self.learning_rate = learning_rate
        self.regularization = regularization
        self.decay = decay
        self.loss = loss
        self.biases = biases
        self.non_negative = non_negative
        self.max_iter = max_iter
        self.tol = tol
        self.init_scale = init_scale
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def partial_fit(self, pairs: ArrayLike, values: ArrayLike):
        """Do one epoch over some entries, starting from the factors as they are.

        Rows and columns that were not there before are added, with random factors. μ stays the mean
        of the first call. `history_` goes on with the training loss alone.

        Parameters
        ----------
        pairs, values : as for `fit`

        Returns
        -------
        self
        """
        if not hasattr(self, "U_"):
            self._fit(pairs, values, n_steps=1, tol=0)
            return self._report()
        entries = self._check_entries(pairs, values, reset=False)
        shape = np.maximum(entries.shape, (len(self.U_), len(self.V_)))
        entries = ObservedEntries(entries.pairs, entries.values, tuple(shape))
        start = self._grown(self._start(entries))
        m, n = len(self.row_counts_), len(self.column_counts_)
        self.row_counts_ = np.pad(self.row_counts_, (0, shape[0] - m)) + entries.row_counts
        self.column_counts_ = np.pad(self.column_counts_, (0, shape[1] - n)) + entries.column_counts
        self._seen = np.union1d(self._seen, _packed(entries))
        self._run(entries, start, n_steps=1, tol=0)
        return self._report()

    def _grown(self, start):
        """Return the factors as they are, and those of the start for new rows and columns."""
        if start.U.shape[1] != self.U_.shape[1] or (self.row_bias_ is None) == self.biases:
            raise ValueError("rank or biases changed since the first call; fit again to change it")
        fitted = (self.U_, self.V_, self.row_bias_, self.column_bias_)[: len(start.parts)]
        U, V, *biases = (
            np.concatenate([old, new[len(old) :]])
            for old, new in zip(fitted, start.parts, strict=True)
        )
        return Factors(U, V, self.mean_ if biases else 0.0, *biases)

    def _steps(self, entries, start):
        learning_rate = check_nonnegative(self.learning_rate, "learning_rate")
        decay = check_nonnegative(self.decay, "decay")
        return sgd_steps(
            entries,
            start,
            learning_rate=learning_rate / (1 + decay * self.n_iter_),
            regularization=self.regularization,
            decay=decay,
            loss=self.loss,
            non_negative=self.non_negative,
            random_state=self._random_state,
        )

    def _losses(self, step):
        return step.running_loss, step.running_loss


class GradientDescent(_Completion):
    """Matrix completion by gradient descent on all entries at once.

    It is here to be compared: an epoch moves the factors once. See `gradient_steps`.

    Parameters
    ----------
    rank : int
        k, the number of columns of U and V.
    learning_rate : float
        η. The largest that works falls as the entries of a row or column become more.
    regularization : float
        λ, at least 0.
    weighting : {"count", "constant"}
        As for `ALS`.
    loss, biases, non_negative, init_scale, dtype, random_state, verbose : as for `SGD`
    max_iter : int
        Largest number of steps.
    tol : float
        Stop when a step changes the objective by at most this share. 0 does `max_iter` steps.

    Attributes
    ----------
    U_, V_, mean_, row_bias_, column_bias_, row_counts_, column_counts_, n_iter_, n_features_in_
        As for `SGD`.
    history_, converged_, message_
        As for `SGD`; the training loss is that after each step.

    Examples
    --------
    >>> model = GradientDescent(1, learning_rate=0.1, regularization=0, biases=False)
    >>> model = model.set_params(random_state=0).fit([[0, 0], [0, 1], [1, 0]], [1, 2, 2])
    >>> model.predict([[1, 1]]).round(2)
    array([4.])
    """

    def __init__(
        self,
        rank=20,
        *,
        learning_rate=1e-3,
        regularization=0.1,
        weighting="count",
        loss="squared",
        biases=True,
        non_negative=False,
        max_iter=300,
        tol=0.0,
        init_scale=0.01,
        dtype=np.float64,
        random_state=None,
        verbose=False,
    ):
        self.rank = rank
        self.learning_rate = learning_rate
        self.regularization = regularization
        self.weighting = weighting
        self.loss = loss
        self.biases = biases
        self.non_negative = non_negative
        self.max_iter = max_iter
        self.tol = tol
        self.init_scale = init_scale
        self.dtype = dtype
        self.random_state = random_state
        self.verbose = verbose

    def _steps(self, entries, start):
        return gradient_steps(
            entries,
            start,
            learning_rate=self.learning_rate,
            regularization=self.regularization,
            weighting=self.weighting,
            loss=self.loss,
            non_negative=self.non_negative,
        )


def _is_finite(factors):
    return all(np.isfinite(part).all() for part in factors.parts)


def _known(counts, index):
    """Return which rows (or columns) were seen in training."""
    inside = index < len(counts)
    return inside & (counts[np.where(inside, index, 0)] > 0)


def _packed(entries):
    """Return each pair (row, column) as one number, row · 2³² + column."""
    return entries.rows.astype(np.int64) << 32 | entries.columns


def _size(entries, start, loss):
    """Return the loss of the zero matrix, plus what the start may add: what is large."""
    u, v, *biases = (
        np.linalg.norm(part.reshape(len(part), -1), axis=1).max() for part in start.parts
    )
    largest = abs(start.mean) + float(u * v + sum(biases))
    return loss_of(entries.values, np.zeros(len(entries)), loss) + len(entries) * largest * largest
