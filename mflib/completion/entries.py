"""Observed entries of a matrix: which were seen, and their values (lesson 5).

    Ω     the set of pairs (i, j) that were observed
    Ωᵢ    the columns observed in row i; Ωʲ the rows observed in column j

Missing is not zero: a pair outside Ω says nothing.
"""

from copy import copy
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from mflib import _validation as check

# Rows and columns are numbered with 32 bits in the sparse matrices.
_LARGEST = np.iinfo(np.int32).max - 1


class ObservedEntries:
    """Pairs (row, column) and their values, the observed part of a matrix.

    Duplicate pairs are separate observations: a film rated twice by one person counts twice, in the
    loss and in |Ωᵢ|.

    Parameters
    ----------
    pairs : (n_entries, 2) array of whole numbers
        Row and column of each entry, counted from 0.
    values : (n_entries,) array
        Finite. Of type float32 if they come so, else float64.
    shape : tuple of two int, optional
        Shape of the matrix. By default as small as the pairs allow.
    row_labels, column_labels : sequences, optional
        Names of the m rows and of the n columns.

    Attributes
    ----------
    rows, columns, values : (n_entries,) arrays
    shape : tuple of two int

    Examples
    --------
    >>> entries = ObservedEntries([[0, 0], [0, 2], [1, 1]], [5, 3, 4])
    >>> entries.shape, entries.row_counts, entries.column_counts
    ((2, 3), array([2, 1]), array([1, 1, 1]))
    """

    def __init__(
        self,
        pairs: ArrayLike,
        values: ArrayLike,
        shape: tuple[int, int] | None = None,
        *,
        row_labels=None,
        column_labels=None,
    ):
        pairs = check_pairs(pairs)
        self.values = _check_values(values, len(pairs))
        self.rows, self.columns = np.ascontiguousarray(pairs.T, dtype=np.int32)
        needed = int(self.rows.max()) + 1, int(self.columns.max()) + 1
        self.shape = needed if shape is None else _check_shape(shape)
        if np.less(self.shape, needed).any():
            raise ValueError(f"shape is {self.shape}, but the pairs need {needed} at least")
        self.row_labels = _check_labels(row_labels, self.shape[0], "row_labels")
        self.column_labels = _check_labels(column_labels, self.shape[1], "column_labels")

    @classmethod
    def from_sparse(cls, X: sparse.sparray | sparse.spmatrix) -> "ObservedEntries":
        """Take the stored entries of a SciPy sparse matrix as the observed ones.

        Stored zeros are observed zeros. Duplicates are summed, as SciPy means them.

        Examples
        --------
        >>> from scipy.sparse import csr_array
        >>> ObservedEntries.from_sparse(csr_array([[5, 0, 3], [0, 4, 0]])).values
        array([5., 3., 4.])
        """
        if not sparse.issparse(X):
            raise ValueError(f"X is a {type(X).__name__}; a SciPy sparse matrix is needed")
        if X.dtype.kind in "biu":  # a sum of small whole numbers might not fit
            X = X.astype(np.float64)
        X = sparse.csr_array(X, copy=True)
        X.sum_duplicates()
        X = X.tocoo()
        return cls(np.column_stack(X.coords), X.data, X.shape)

    @classmethod
    def from_dense(cls, X: ArrayLike) -> "ObservedEntries":
        """Take the entries of a matrix that are not NaN, and of a masked array not masked.

        Examples
        --------
        >>> ObservedEntries.from_dense([[5, np.nan, 3], [np.nan, 4, np.nan]]).pairs.tolist()
        [[0, 0], [0, 2], [1, 1]]
        """
        if np.ma.is_masked(X):
            X = X.astype(np.float64).filled(np.nan)
        X = np.asarray(X)
        check.matrix(np.nan_to_num(X, nan=0, posinf=np.inf, neginf=-np.inf), "X")
        pairs = np.argwhere(~np.isnan(X))
        return cls(pairs, X[tuple(pairs.T)], X.shape)

    @classmethod
    def from_frame(cls, frame, *, row=None, column=None, value=None) -> "ObservedEntries":
        """Take the entries of a pandas frame, and keep its labels.

        Parameters
        ----------
        frame : pandas.DataFrame
            Either the matrix itself, with NaN for what is missing, or a list with an entry a line.
        row, column, value : names of columns
            For such a list: where its rows, columns and values stand. The labels are sorted.

        Examples
        --------
        >>> import pandas as pd
        >>> ratings = pd.DataFrame({"who": ["Eve", "Ann"], "film": ["Up", "Up"], "stars": [4, 5]})
        >>> entries = ObservedEntries.from_frame(ratings, row="who", column="film", value="stars")
        >>> entries.row_labels.tolist(), entries.pairs.tolist()
        (['Ann', 'Eve'], [[1, 0], [0, 0]])
        """
        names = (row, column, value)
        if names == (None, None, None):
            entries = cls.from_dense(frame.to_numpy())
            return cls(
                entries.pairs,
                entries.values,
                entries.shape,
                row_labels=frame.index,
                column_labels=frame.columns,
            )
        if None in names:
            raise ValueError("row, column and value are needed together, or none of them")
        labels = [frame[name].astype("category").cat for name in (row, column)]
        pairs = np.column_stack([label.codes for label in labels])
        if pairs.size and pairs.min() < 0:
            raise ValueError(f"the columns {row!r} and {column!r} must have no missing labels")
        row_labels, column_labels = (label.categories for label in labels)
        return cls(
            pairs,
            frame[value].to_numpy(),
            (len(row_labels), len(column_labels)),
            row_labels=row_labels,
            column_labels=column_labels,
        )

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
        """The pairs (row, column), shape (n_entries, 2)."""
        return np.column_stack([self.rows, self.columns])

    @cached_property
    def row_counts(self) -> np.ndarray:
        """The number of entries of each row, |Ωᵢ|, shape (m,)."""
        return np.bincount(self.rows, minlength=self.shape[0])

    @cached_property
    def column_counts(self) -> np.ndarray:
        """The number of entries of each column, |Ωʲ|, shape (n,)."""
        return np.bincount(self.columns, minlength=self.shape[1])

    @cached_property
    def by_row(self) -> sparse.csr_array:
        """The entries row by row, a sparse matrix of shape (m, n) that keeps duplicates."""
        return _compress(self.values, self.rows, self.columns, self.row_counts, self.shape)

    @cached_property
    def by_column(self) -> sparse.csr_array:
        """The entries column by column: the transposed matrix, of shape (n, m)."""
        return _compress(self.values, self.columns, self.rows, self.column_counts, self.shape[::-1])


def check_pairs(pairs: ArrayLike) -> np.ndarray:
    """Return pairs (row, column) as an array of integers, refusing all else in one sentence."""
    pairs = np.asarray(pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(
            f"pairs has shape {pairs.shape}; shape (n_entries, 2) is needed: row, column"
        )
    if len(pairs) == 0:
        raise ValueError("pairs is empty; one observed entry is needed at least")
    if pairs.dtype.kind not in "iu":
        numbers = pairs.astype(np.float64) if pairs.dtype.kind in "bf" else np.array(np.nan)
        if not (numbers == np.floor(numbers)).all():  # false for NaN too
            raise ValueError("pairs holds entries that are no whole numbers; rows and columns are")
    if pairs.min() < 0:
        raise ValueError(f"pairs holds {pairs.min()}; rows and columns count from 0")
    if pairs.max() > _LARGEST:
        raise ValueError(f"pairs holds {pairs.max()}; rows and columns end at {_LARGEST}")
    return pairs.astype(np.int64)


def check_float_type(dtype):
    """Return float32 or float64, one of the types of arithmetic."""
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype is {dtype!r}; float32 or float64 is needed")
    return dtype


def _check_shape(shape):
    if np.shape(shape) != (2,):
        raise ValueError(f"shape is {shape!r}; two whole numbers are needed: rows, columns")
    m, n = (check.count(size, "each number of shape", largest=_LARGEST + 1) for size in shape)
    return m, n


def _check_values(values, n):
    values = np.asarray(values)
    if values.shape != (n,):
        raise ValueError(f"values has shape {values.shape}; one per pair is needed, shape ({n},)")
    kept = values.dtype == np.float32
    values = check.matrix(values[None], "values")[0]
    return values.astype(np.float32) if kept else values.copy()


def _check_labels(labels, n, name):
    if labels is None:
        return None
    if len(labels) != n:
        raise ValueError(f"{name} has {len(labels)} labels; {n} are needed")
    return np.asarray(labels)


def _compress(values, rows, columns, counts, shape):
    """Return a CSR array that keeps duplicates, which SciPy's own conversion would sum."""
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)])
    return sparse.csr_array((values[order], columns[order], starts), shape=shape)
