"""`ALS`, `SGD` and `GradientDescent` as estimators in scikit-learn's conventions (lesson 5).

X holds pairs (row, column) and y their values, so that `cross_validate` and `GridSearchCV` hold out
entries, which is what a completion is judged by. What all three minimise stands in
`mflib.completion.problem`.

Whole numbers in X are positions. Where X holds labels, or is `ObservedEntries` that have some, the
model speaks labels: `predict` and `recommend` take them, `recommend` and `similar` return them.
"""

from dataclasses import dataclass, field
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm.auto import tqdm

from mflib import _validation as check
from mflib.completion.als import als_steps
from mflib.completion.entries import ObservedEntries, as_pairs, as_table, places, table_shape
from mflib.completion.problem import CompletionProblem, initial_factors
from mflib.completion.sgd import sgd_steps
from mflib.descent import descent_steps
from mflib.iteration import all_or_nothing, drive, has_exploded, report
from mflib.losses import find_loss
from mflib.nmf import entries_of_product

Pairs = ArrayLike | ObservedEntries

# The parameters of an estimator are its fields; scikit-learn does the rest.
estimator = dataclass(eq=False, repr=False, kw_only=True)


@estimator
class CompletionEstimator(RegressorMixin, BaseEstimator):
    """What the estimators share: all but the problem they pose and the steps they take."""

    loss, weighting, non_negative = "squared", "count", False
    regularization = tol = 0.0
    # Of a step: the loss of the training data, and the number whose change ends the iteration.
    _followed = "loss", "objective"

    rank: int = field(default=20, kw_only=False)
    max_iter: int = 10
    init_scale: float = 0.01
    dtype: type = np.float64
    random_state: int | np.random.RandomState | None = None
    verbose: bool = False

    def fit(self, X: Pairs, y: ArrayLike | None = None, validation=None, start=None):
        """Fit the factors to observed entries.

        Parameters
        ----------
        X : (n_entries, 2) array, or ObservedEntries
            Pairs: row and column of each entry. Whole numbers are positions, counted from 0;
            anything else is a label. Duplicates count as often as they stand.
        y : (n_entries,) array
            The values. `ObservedEntries` hold their own.
        validation : tuple (X, y), optional
            Held-out entries, whose loss is followed in `history_`.
        start : iterate or factors, optional
            Where to start; with `max_iter=0` they become the model as they are. By default random.

        Returns
        -------
        self

        Warns
        -----
        ConvergenceWarning
            If the iteration diverged, or did not meet `tol` in `max_iter` steps.
        """
        with all_or_nothing(self):
            limits = check.limits(self.tol, self.max_iter)
            problem, random = self._begin(X, y)
            start = random if start is None else problem.as_factors(start)
            if start.U.shape != random.U.shape:
                raise ValueError(f"rank is {self.rank}, but the start has rank {start.U.shape[1]}")
            if validation is not None:
                validation = check.items(validation, 2, "validation", "a pair (X, y)")
                validation = self._entries(*validation, reset=False)
                problem.entry_loss.check_data(validation.values, "values")
                self.history_["validation_loss"] = []
            return self._run(problem, start, *limits, validation)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the expected values of entries, of any rows and columns.

        With biases, a row that was never seen is predicted by μ + cⱼ, a column that was not by
        μ + bᵢ, and both together by μ. Without biases, where one was never seen, there is the mean
        of the training data.

        Parameters
        ----------
        X : (n_entries, 2) array
            Positions, or labels if the model was fitted to labels.

        Returns
        -------
        (n_entries,) array

        Warns
        -----
        UserWarning
            If no row and no column in X was seen in training: such are labels, mostly, given to a
            model that was fitted to positions.
        """
        return self._expectations(*self._places(X))

    def recommend(self, row, n: int = 10, *, exclude_seen: bool = True) -> tuple:
        """Return the n columns of highest prediction in a row, best first.

        Columns without any entry in training are never recommended. In a row that was never seen
        the order is that of the column biases: what most people like. (Without biases, nothing is
        known of such a row, and all predictions are equal.)

        Parameters
        ----------
        row : position, or label
        n : int
            There may be fewer columns than that.
        exclude_seen : bool
            Whether to leave out the columns that were observed in that row.

        Returns
        -------
        columns : (n,) array of positions, or of labels
        predictions : (n,) array
        """
        check_is_fitted(self)
        row = self._place(row, "row")
        candidates = self.column_counts_ > 0
        if check.flag(exclude_seen, "exclude_seen"):
            candidates[self._seen[row : row + 1].indices] = False
        columns = np.flatnonzero(candidates)
        return self._best(columns, self._expectations(np.full_like(columns, row), columns), n)

    def similar(self, column, n: int = 10) -> tuple:
        """Return the n columns whose factors point most nearly the same way.

        Parameters
        ----------
        column : position, or label
            One that was seen in training.
        n : int
            There may be fewer columns than that.

        Returns
        -------
        columns : (n,) array of positions, or of labels
            Without the column itself, most similar first.
        cosines : (n,) array
            Of the angles between vⱼ and the others, from 1 (same direction) to −1.
        """
        check_is_fitted(self)
        place = self._place(column, "column")
        others = np.flatnonzero(self.column_counts_)
        if place not in others:
            raise ValueError(f"column {column!r} was never seen in training")
        others = others[others != place]
        return self._best(others, cosine_similarity(self.V_[others], self.V_[[place]])[:, 0], n)

    def __sklearn_tags__(self):
        """Tell scikit-learn that X holds whole numbers or labels, and that noise fits badly."""
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = tags.input_tags.positive_only = True
        tags.target_tags.positive_only = self.loss == "poisson"
        tags.regressor_tags.poor_score = True
        return tags

    def _steps(self, problem, start):
        """Return the iterates of the algorithm."""

    def _explosion(self, n):
        if not hasattr(self, "learning_rate"):
            return f"overflow in step {n}: scale the values, or raise regularization"
        seen = "the loss is not finite, or more than a million times what it was"
        cure = f"learning_rate={self.learning_rate:g} is too large, try a tenth"
        return f"diverged in step {n}: {seen}; {cure}"

    def _entries(self, X, y, reset=True):
        """Return observed entries, in a table that begins with the one of the last ones."""
        known = (0, 0) if reset else self._seen.shape
        if not isinstance(X, ObservedEntries):
            check.not_masked(y, "y")
            X = X if hasattr(X, "columns") or sparse.issparse(X) else as_table(X, "X")
            X, y = validate_data(self, X, y, reset=reset, dtype=None, y_numeric=True)
            X = as_pairs(X)
            shape = table_shape(X, known) if X.dtype.kind in "biuf" else None
            X = ObservedEntries(X, y, shape)
        elif y is not None:
            raise ValueError("y is given beside ObservedEntries, which hold their values")
        else:
            self.n_features_in_ = 2
        return X if reset else X.after((self.row_labels_, self.column_labels_), known)

    def _places(self, X):
        """Return the positions of rows and columns that someone asks for."""
        check_is_fitted(self)
        named = hasattr(X, "columns") and hasattr(self, "feature_names_in_")
        X = X if named or sparse.issparse(X) else as_table(X, "X")
        X = as_pairs(validate_data(self, X, reset=False, dtype=None))
        rows, columns = map(places, (self.row_labels_, self.column_labels_), X.T)
        known = _known(self.row_counts_, rows), _known(self.column_counts_, columns)
        if np.max(known) < 0:
            warn("no row and no column was seen in training; are these labels?", stacklevel=3)
        return rows, columns

    def _place(self, label, name):
        labels = getattr(self, f"{name}_labels_")
        if labels is None:
            return check.count(label, name, smallest=0)
        return int(places(labels, np.array([label]))[0])

    def _best(self, columns, values, n):
        """Return the n columns of largest values, by their labels, and the values."""
        best = np.argsort(-values, kind="stable")[: check.count(n, "n")]
        labels = self.column_labels_
        return columns[best] if labels is None else labels[columns[best]], values[best]

    def _begin(self, X, y):
        """Return the problem of these entries and a start, and forget what was before."""
        entries = self._entries(X, y)
        self._random_state = check_random_state(self.random_state)
        problem = self._pose(entries.astype(self.dtype))
        self.mean_ = problem.constant
        self.n_iter_, self.history_ = 0, {"loss": []}
        self._seen = sparse.csr_array((1, 1), dtype=np.int32)  # nothing yet
        self._remember(entries)
        return problem, self._start(problem)

    def _pose(self, entries):
        names = "regularization", "weighting", "loss", "biases", "non_negative"
        return CompletionProblem(entries, **{name: getattr(self, name) for name in names})

    def _start(self, problem, unit=1.0):
        scale = check.non_negative(self.init_scale, "init_scale") * unit
        options = {"dtype": self.dtype, "random_state": self._random_state}
        return initial_factors(problem, self.rank, scale=scale, **options)

    def _remember(self, entries):
        """Add up how often each pair was seen, and keep the labels."""
        ones = np.ones(len(entries), dtype=np.int32)
        seen = sparse.csr_array((ones, (entries.rows, entries.columns)), shape=entries.shape)
        before = self._seen.copy()  # a copy of this estimator keeps its own
        before.resize(entries.shape)
        self._seen = before + seen
        self.row_counts_, self.column_counts_ = (self._seen.sum(axis=axis) for axis in (1, 0))
        self.row_labels_, self.column_labels_ = entries.row_labels, entries.column_labels

    def _run(self, problem, start, tol, max_iter, validation=None):
        """Take steps until a stopping rule holds, keep the last good iterate, and say why."""
        steps, done = self._steps(problem, start), self.n_iter_
        # two NaN: nothing settles before two steps are known
        at_zero, objectives = problem.loss_at_zero(start), [np.nan, np.nan]

        def watch(step):
            if step.n_iter == 0:
                return
            progress.update()
            loss, objective = (getattr(step, name) for name in self._followed)
            objectives.append(objective)
            self.history_["loss"].append(loss / len(problem.entries))
            if validation is not None:
                scores = self._scores(step.factors, validation.rows, validation.columns)
                loss = problem.entry_loss.total(validation.values, scores)
                self.history_["validation_loss"].append(loss / len(validation))

        def broken(step):
            last = objectives[-1]
            bad = step.n_iter > 0 and (
                not all(np.isfinite(factor).all() for factor in step.factors)
                or (has_exploded(last, at_zero) and has_exploded(last, problem.objective(start)))
            )
            return self._explosion(done + step.n_iter) if bad else ""

        def settled(step):
            before, last = objectives[-2:]
            return abs(before - last) <= tol * last

        with tqdm(total=max_iter, disable=not check.flag(self.verbose, "verbose")) as progress:
            run = drive(steps, max_iter, settled if tol > 0 else None, broken, watch=watch)
        for losses in self.history_.values():
            del losses[done + run.step.n_iter :]  # that of a broken step
        self._factors = run.step.factors
        self.U_, self.V_, self.row_bias_, self.column_bias_ = (*self._factors, None, None)[:4]
        report(self, run, stacklevel=4)
        self.n_iter_ += done
        return self

    def _expectations(self, rows, columns):
        return find_loss(self.loss).mean(self._scores(self._factors, rows, columns))

    def _scores(self, factors, rows, columns):
        """Return the scores of entries, from what is known of their rows and columns."""
        rows, columns = _known(self.row_counts_, rows), _known(self.column_counts_, columns)
        U, V, *biases = factors
        products, both = entries_of_product(U, V, rows, columns), (rows >= 0) & (columns >= 0)
        scores = np.where(both, products, 0 if biases else self.mean_)
        if biases:
            scores += self.mean_
            scores += np.where(rows >= 0, factors.row_bias[rows], 0)
            scores += np.where(columns >= 0, factors.column_bias[columns], 0)
        return scores


@estimator
class PenalisedEstimator(CompletionEstimator):
    """What the estimators of an optimum share."""

    regularization: float = 0.1
    biases: bool = True
    non_negative: bool = False
    tol: float = 0.0


@estimator
class ALS(PenalisedEstimator):
    """Matrix completion by alternating least squares.

    Every half step is the exact minimum over U (or V) with the other fixed, and none increases the
    objective: see `als_steps`. The defaults of `ALS` and `SGD` suit ratings of about 1 to 5: among
    those that beat the defaults of other libraries on MovieLens 100K and on two generated film
    clubs, the worst case over the three is best (three-fold cross-validation).

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
    row_labels_, column_labels_ : (m,) and (n,) arrays, or None
        Labels of the rows and columns, if the model was fitted to labels.
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

    regularization: float = 0.12
    weighting: str = "count"
    solver: str = "numpy"

    def _steps(self, problem, start):
        return als_steps(problem, start, solver=self.solver)


@estimator
class SGD(PenalisedEstimator):
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

    _followed = "running_loss", "running_loss"

    learning_rate: float = 0.02
    decay: float = 0.0
    loss: str = "squared"
    max_iter: int = 40

    def partial_fit(self, X: Pairs, y: ArrayLike | None = None):
        """Do one epoch over some entries, starting from the factors as they are.

        Rows and columns that were not there before are added, with random factors. μ stays the mean
        of the first call. `history_` goes on with the training loss alone.

        Parameters
        ----------
        X, y : as for `fit`

        Returns
        -------
        self
        """
        with all_or_nothing(self):
            if not hasattr(self, "U_"):
                return self._run(*self._begin(X, y), tol=0, max_iter=1)
            entries = self._entries(X, y, reset=False)
            problem = self._pose(entries.astype(self.dtype))
            problem.mean = self.mean_ if problem.biases else 0.0  # that of the first call
            start = self._start(problem)
            if start.U.shape[1] != self.U_.shape[1] or len(start) != len(self._factors):
                raise ValueError(
                    "rank or biases changed since the first call; fit again to change it"
                )
            both = zip(self._factors, start, strict=True)
            start = [np.concatenate([old, new[len(old) :]]) for old, new in both]
            self._remember(entries)
            return self._run(problem, problem.as_factors(start), tol=0, max_iter=1)

    def _steps(self, problem, start):
        past = 1 + check.non_negative(self.decay, "decay") * self.n_iter_
        rate = check.positive(self.learning_rate, "learning_rate") / past
        options = {"decay": self.decay, "random_state": self._random_state}
        return sgd_steps(problem, start, learning_rate=rate, **options)


@estimator
class GradientDescent(PenalisedEstimator):
    """Matrix completion by gradient descent on all entries at once.

    It is here to be compared: an epoch moves the factors once. It is lesson 4's `descent_steps`.

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
    loss, biases, non_negative, init_scale, dtype, verbose : as for `SGD`
    random_state : as for `ALS`
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

    learning_rate: float = 1e-3
    weighting: str = "count"
    loss: str = "squared"
    max_iter: int = 300

    def _steps(self, problem, start):
        return descent_steps(problem, start, self.learning_rate, updates="simultaneous")


def _known(counts, places):
    """Return places of rows (or columns), and -1 for those that were never seen in training."""
    seen = (places < len(counts)) & (counts.take(places, mode="clip") > 0)
    return np.where(seen, places, -1)
