"""What every room asks of its input, and one sentence for what it refuses."""

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.linalg import norm
from scipy.sparse.linalg import LinearOperator

# What counts as zero, as a share of the size of a matrix: rounding leaves a few units of 1e-16.
NEGLIGIBLE = 1e3 * np.finfo(float).eps

# Products up to this size leave room for sums and lengths below the overflow at 1.8e308.
_LARGEST = 1e300

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
        A = A.astype(np.float64, copy=False)
        _check_finite(A, name)
    return A


def check_square(A: ArrayLike | Matrix, name: str = "A") -> Matrix:
    """Return A as `check_matrix` does, refusing it if it is not square."""
    A = check_matrix(A, name)
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"{name} has shape {A.shape}; a square matrix is needed")
    return A


def check_vector(v: ArrayLike, n: int | None, name: str) -> np.ndarray:
    """Return v, divided by a power of 2 so that its largest entry lies between ½ and 1.

    That changes no digit, and squares of the entries can no longer overflow or underflow to zero.
    """
    try:
        v = np.asarray(v)
    except ValueError:
        raise ValueError(f"{name} is not a vector: its entries differ in length") from None
    if v.ndim != 1 or n not in (None, v.size):
        shape = "(n,)" if n is None else f"({n},)"
        raise ValueError(f"{name} has shape {v.shape}; a vector of shape {shape} is needed")
    _check_real(v.dtype, name)
    _check_finite(v, name)
    if not v.any():
        raise ValueError(f"{name} is the zero vector, which has no direction")
    v = v.astype(np.float64)
    return np.ldexp(v, -np.frexp(np.abs(v).max())[1])


def check_direction(v: ArrayLike, n: int | None, name: str) -> np.ndarray:
    """Return v / ‖v‖ for a real vector that is not zero, with n entries (None: any number)."""
    v = check_vector(v, n, name)
    return v / norm(v)


def check_number(value: float, name: str) -> float:
    """Return one real, finite number."""
    value = np.asarray(value)
    if value.ndim != 0:
        raise ValueError(f"{name} has shape {value.shape}; a single number is needed")
    _check_real(value.dtype, name)
    _check_finite(value, name)
    return float(value)


def check_product(W: np.ndarray) -> np.ndarray:
    """Return a product with A, refusing one that overflows, or nearly, or is not a number."""
    if not np.abs(W).max() <= _LARGEST:  # written so that NaN is refused too
        raise FloatingPointError(
            f"a product with A is not a number or exceeds {_LARGEST:.0e}; scale A down first"
        )
    return W


def check_count(value: int, largest: int, name: str, *, smallest: int = 1) -> int:
    """Return a whole number from `smallest` to `largest`."""
    if not isinstance(value, (int, np.integer)) or not smallest <= value <= largest:
        raise ValueError(
            f"{name} is {value!r}; a whole number from {smallest} to {largest} is needed"
        )
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
