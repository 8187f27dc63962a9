"""Observed entries of a matrix: which were seen, and their values (lesson 5).

    Ω     the set of pairs (i, j) that were observed
    Ωᵢ    the columns observed in row i; Ωʲ the rows observed in column j

Missing is not zero: a pair outside Ω says nothing.

Rows and columns have positions, counted from 0. Names, dates and large ids are labels: they are
numbered here in sorted order, and kept.
"""

from copy import copy
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from mflib import _validation as check

# Rows and columns are numbered with 32 bits in the sparse matrices.
_LARGEST = np.int64(np.iinfo(np.int32).max - 1)

# A table may have so many more rows (or columns) than entries: beyond it, ids are no positions.
_MOST_EMPTY = 10**6
_CURE = "Large ids are labels: hand them over as words, pairs.astype(str)"


class ObservedEntries:
    """Pairs (row, column) and their values, the observed part of a matrix.

    Duplicate pairs are separate observations: a film rated twice by one person counts twice, in the
    loss and in |Ωᵢ|.

    Parameters
    ----------
    pairs : (n_entries, 2) array
        Row and column of each entry. Whole numbers are positions, counted from 0; anything else
        (names, dates) is a label. Ids with gaps are labels too, as words: `pairs.astype(str)`.
    values : (n_entries,) array
        Finite. Of type float32 if they come so, else float64.
    shape : tuple of two int, optional
        Shape of the matrix. By default as small as the pairs allow, and refused if nearly all of it
        would be empty.

    Attributes
    ----------
    rows, columns, values : (n_entries,) arrays
        Positions, and the values there.
    shape : tuple of two int
    row_counts, column_counts : (m,) and (n,) arrays of int
        The numbers of entries, |Ωᵢ| and |Ωʲ|.
    row_labels, column_labels : arrays, or None
        The different labels, sorted, if pairs are labels.

    Examples
    --------
    >>> entries = ObservedEntries([[0, 0], [0, 2], [1, 1]], [5, 3, 4])
    >>> entries.shape, entries.row_counts, entries.column_counts
    ((2, 3), array([2, 1]), array([1, 1, 1]))
    >>> entries = ObservedEntries([["Eve", "Up"], ["Ann", "Up"]], [4, 5])
    >>> entries.pairs.tolist(), entries.row_labels.tolist()
    ([[1, 0], [0, 0]], ['Ann', 'Eve'])
    """

    def __init__(self, pairs: ArrayLike, values: ArrayLike, shape: tuple[int, int] | None = None):
        pairs = as_pairs(pairs)
        self.row_labels = self.column_labels = None
        if pairs.dtype.kind not in "biufc":
            (self.row_labels, rows), (self.column_labels, columns) = map(_numbered, pairs.T)
            pairs = np.column_stack([rows, columns])
        pairs = check_positions(pairs)
        values = np.array(check.floats(as_table(values, "values"), "values"))
        self.values = check.finite(check.shaped(values, (len(pairs),), "values"), "values")
        self.shape = m, n = _smallest_shape(pairs) if shape is None else _check_shape(shape, pairs)
        self.rows, self.columns = np.ascontiguousarray(pairs.T, dtype=np.int32)
        self.row_counts = np.bincount(self.rows, minlength=m)
        self.column_counts = np.bincount(self.columns, minlength=n)

    @classmethod
    def from_dense(cls, X: ArrayLike) -> "ObservedEntries":
        """Take the entries of a matrix that are not NaN, and of a masked array not masked.

        Examples
        --------
        >>> ObservedEntries.from_dense([[5, np.nan, 3], [np.nan, 4, np.nan]]).pairs.tolist()
        [[0, 0], [0, 2], [1, 1]]
        """
        X = check.with_gaps(X, "X")
        check.matrix(np.nan_to_num(X, nan=0, posinf=np.inf, neginf=-np.inf), "X")
        pairs = np.argwhere(~np.isnan(X))
        return cls(pairs, X[tuple(pairs.T)], X.shape)

    def __len__(self) -> int:
        """Return the number of observed entries, |Ω|."""
        return self.values.size

    def __repr__(self) -> str:
        """Say how many entries of how large a matrix were observed."""
        m, n = self.shape
        return f"<{len(self):,} observed entries of a {m}×{n} matrix ({len(self) / m / n:.2%})>"

    def astype(self, dtype) -> "ObservedEntries":
        """Return the same entries with values of type float32 or float64."""
        if self.values.dtype == check_float_type(dtype):
            return self
        if np.abs(self.values).max() > np.finfo(dtype).max:
            raise ValueError(f"values are too large for {np.dtype(dtype)}; scale them down")
        other = copy(self)
        other.values = self.values.astype(dtype)
        for view in ("by_row", "by_column"):  # they hold the old values
            vars(other).pop(view, None)
        return other

    @property
    def pairs(self) -> np.ndarray:
        """The pairs (row, column) of positions, shape (n_entries, 2)."""
        return np.column_stack([self.rows, self.columns])

    @cached_property
    def by_row(self) -> sparse.csr_array:
        """The entries row by row, a sparse matrix of shape (m, n) that keeps duplicates."""
        return self._as_coo().tocsr()

    @cached_property
    def by_column(self) -> sparse.csr_array:
        """The entries column by column: the transposed matrix, of shape (n, m)."""
        return self._as_coo().tocsc().T

    def _as_coo(self):
        entries = sparse.coo_array((self.values, (self.rows, self.columns)), shape=self.shape)
        entries.has_canonical_format = True  # SciPy would sum duplicates
        return entries


def as_table(X: ArrayLike, name: str) -> np.ndarray:
    """Return an array: of numbers, if all are, and else of objects as they are."""
    table = check.array(X, name)
    if table.dtype.kind in "OUS":
        objects = np.array(X, dtype=object)
        numbers = check.array(objects.tolist(), name)
        table = numbers if numbers.dtype.kind in "biuf" else objects
    return table


def as_pairs(pairs: ArrayLike) -> np.ndarray:
    """Return an array (n_entries, 2) of numbers or of labels, refusing other shapes."""
    X = as_table(pairs, "pairs")
    check.need(X.shape[1:] == (2,), f"pairs has shape {X.shape}", "shape (n_entries, 2)")
    check.need(len(X) > 0, "pairs is empty", "one observed entry at least")
    return X


def places(labels: np.ndarray | None, wanted: np.ndarray) -> np.ndarray:
    """Return the positions of wanted labels, one too high where there is no such label.

    Without labels, positions are wanted, and returned.
    """
    if labels is None:
        return check_positions(wanted)
    known = {label: place for place, label in enumerate(labels.tolist())}
    return np.array([known.get(label, len(labels)) for label in wanted.tolist()])


def check_positions(positions: np.ndarray) -> np.ndarray:
    """Return positions as integers, refusing all else in one sentence."""
    kind = positions.dtype.kind
    if kind not in "iu" and not (kind in "bf" and (positions == np.floor(positions)).all()):
        raise ValueError("pairs holds entries that are no whole numbers; positions are")
    if positions.min() < 0:
        raise ValueError(f"pairs holds {positions.min()}; rows and columns count from 0")
    if positions.max() > _LARGEST:
        raise ValueError(f"pairs holds {positions.max()}; positions end at {_LARGEST}. {_CURE}")
    return positions.astype(np.int64)


def check_float_type(dtype):
    """Return float32 or float64, one of the types of arithmetic."""
    fits = isinstance(dtype, type | np.dtype) and dtype in (np.float32, np.float64)
    return check.need_value(fits, dtype, "dtype", "float32 or float64")


def _numbered(labels):
    """Return the different labels, sorted, and the place of each among them."""
    try:
        if not any(label is None or label != label for label in labels.tolist()):
            return np.unique(labels, return_inverse=True)
    except TypeError:  # they have no order, or are missing in pandas' own way
        pass
    # in words that scikit-learn's own checks look for
    raise TypeError(
        "pairs holds labels that are missing or have no order; each column of this argument must "
        "be all strings, all numbers or all dates"
    )


def _smallest_shape(positions):
    """Return the smallest shape for these positions, refusing one that cannot be meant."""
    m, n = (positions.max(axis=0) + 1).tolist()
    if max(m, n) > len(positions) + _MOST_EMPTY:
        raise ValueError(f"pairs holds {max(m, n) - 1}, but only {len(positions)} entries. {_CURE}")
    return m, n


def _check_shape(shape, positions):
    shape, needed = check.sides(shape, 2, largest=_LARGEST + 1), positions.max(axis=0) + 1
    fits = np.less_equal(needed, shape).all()
    check.need(fits, f"shape is {shape}", f"at least {tuple(needed.tolist())}")
    return shape
