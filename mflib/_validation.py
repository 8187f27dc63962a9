"""What every room asks of its input, and one sentence for what it refuses."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.linalg import norm
from scipy.sparse.linalg import LinearOperator

Matrix = np.ndarray | sparse.sparray | sparse.spmatrix | LinearOperator


def check_matrix(A: ArrayLike | Matrix, name: str = "A") -> Matrix:
    """Return A as a float array, a float CSR array or the operator that it is."""
    if not isinstance(A, LinearOperator) and not sparse.issparse(A):
        try:
            A = np.asarray(A)
        except ValueError:
            raise ValueError(f"{name} is not a matrix: its rows differ in length") from None
    if A.ndim != 2:
        raise ValueError(f"{name} has shape {A.shape}; a matrix with two dimensions is needed")
    if 0 in A.shape:
        raise ValueError(f"{name} is empty (shape {A.shape}); it needs a row and a column at least")
    _check_real(A.dtype, name)
    if isinstance(A, LinearOperator):
        return A
    if sparse.issparse(A):
        A = sparse.csr_array(A, dtype=np.float64)
        _check_finite(A.data, name)
    else:
        A = A.astype(np.float64)
        _check_finite(A, name)
    return A


def check_square(A: ArrayLike | Matrix, name: str = "A") -> Matrix:
    """Return A as `check_matrix` does, refusing it if it is not square."""
    A = check_matrix(A, name)
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"{name} has shape {A.shape}; a square matrix is needed")
    return A


def check_direction(v: ArrayLike, n: int, name: str) -> np.ndarray:
    """Return v / ‖v‖ for a real vector with n entries that is not zero."""
    v = np.asarray(v)
    if v.shape != (n,):
        raise ValueError(f"{name} has shape {v.shape}; a vector of shape ({n},) is needed")
    _check_real(v.dtype, name)
    _check_finite(v, name)
    length = norm(v)
    if length == 0:
        raise ValueError(f"{name} is the zero vector, which has no direction")
    return v / length


def check_count(value: int, largest: int, name: str) -> int:
    """Return a whole number from 1 to `largest`."""
    if not isinstance(value, (int, np.integer)) or not 1 <= value <= largest:
        raise ValueError(f"{name} is {value!r}; a whole number from 1 to {largest} is needed")
    return int(value)


def _check_real(dtype, name):
    kind = np.dtype(dtype).kind
    if kind == "c":
        raise ValueError(f"{name} is complex; only real numbers are supported")
    if kind not in "biuf":
        raise ValueError(f"{name} holds entries of type {dtype}; real numbers are needed")


def _check_finite(values, name):
    bad = np.count_nonzero(~np.isfinite(values))
    if bad:
        plural = "entry that is" if bad == 1 else "entries that are"
        raise ValueError(f"{name} has {bad} {plural} NaN or infinite")
