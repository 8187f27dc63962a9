"""What every room asks of its input, and one sentence for what it refuses."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

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


def matrix(A: ArrayLike | Matrix, name: str = "A") -> Matrix:
    """Return A as a float array, a float CSR array or the operator that it is."""
    if not isinstance(A, LinearOperator) and not sparse.issparse(A):
        not_masked(A, name)
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


def not_masked(A: ArrayLike, name: str) -> None:
    """Refuse a masked array: NumPy would hand on what its mask hides."""
    if np.ma.is_masked(A):
        raise ValueError(f"{name} has masked entries; values for all of them are needed here")


def square(A: ArrayLike | Matrix, name: str = "A") -> Matrix:
    """Return A as `matrix` does, refusing it if it is not square."""
    A = matrix(A, name)
    if A.shape[0] != A.shape[1]:
        raise ValueError(f"{name} has shape {A.shape}; a square matrix is needed")
    return A


def vector(v: ArrayLike, n: int | None, name: str) -> np.ndarray:
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


def direction(v: ArrayLike, n: int | None, name: str) -> np.ndarray:
    """Return v / ‖v‖ for a real vector that is not zero, with n entries (None: any number)."""
    v = vector(v, n, name)
    return v / norm(v)


def number(value: float, name: str) -> float:
    """Return one real, finite number."""
    number = np.asarray(value)
    if number.ndim != 0:
        raise ValueError(f"{name} has shape {number.shape}; a single number is needed")
    if number.dtype.kind not in "iuf" or not np.isfinite(number):
        raise ValueError(f"{name} is {value!r}; a finite real number is needed")
    return float(number)


def positive(value: float, name: str) -> float:
    """Return one number above 0."""
    x = number(value, name)
    if x <= 0:
        raise ValueError(f"{name} is {value}; a number above 0 is needed")
    return x


def non_negative(value: float, name: str) -> float:
    """Return one number of at least 0."""
    x = number(value, name)
    if x < 0:
        raise ValueError(f"{name} is {value}; at least 0 is needed")
    return x


def share(value: float, name: str) -> float:
    """Return one number from 0 to 1."""
    x = number(value, name)
    if not 0 <= x <= 1:
        raise ValueError(f"{name} is {value}; a number from 0 to 1 is needed")
    return x


def count(value: int, name: str, *, smallest: int = 1, largest: int | None = None) -> int:
    """Return a whole number of at least `smallest`, and at most `largest` if there is such."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} is {value!r}; a whole number is needed")
    if value < smallest:
        raise ValueError(f"{name} is {value}; at least {smallest} is needed")
    if value > (sys.maxsize if largest is None else largest):
        limit = "a smaller number" if largest is None else f"at most {largest}"
        raise ValueError(f"{name} is {value}; {limit} is needed")
    return int(value)


def limits(tol: float, max_iter: int) -> tuple[float, int]:
    """Return the tolerance and the largest number of steps of an iteration, both at least 0."""
    return non_negative(tol, "tol"), count(max_iter, "max_iter", smallest=0)


def choice(value: str, choices: Iterable[str | None], name: str) -> str:
    """Return one of the choices."""
    choices = tuple(choices)
    if not any(
        value is choice or (isinstance(value, str) and value == choice) for choice in choices
    ):
        raise ValueError(f"{name} is {value!r}; use one of {', '.join(map(repr, choices))}")
    return value


def flag(value: bool, name: str) -> bool:
    """Return True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name} is {value!r}; True or False is needed")
    return bool(value)


def product(W: np.ndarray) -> np.ndarray:
    """Return a product with A, refusing one that overflows, or nearly, or is not a number."""
    if not np.abs(W).max() <= _LARGEST:  # written so that NaN is refused too
        raise FloatingPointError(
            f"a product with A is not a number or exceeds {_LARGEST:.0e}; scale A down first"
        )
    return W


def dense(A: Matrix, name: str = "A") -> np.ndarray:
    """Return A, refusing it if it is sparse or an operator."""
    if not isinstance(A, np.ndarray):
        raise ValueError(f"{name} is sparse or an operator; an array is needed here")
    return A


def no_negative(X: Matrix, name: str, who: str) -> Matrix:
    """Return an array or sparse matrix, refusing it if it has negative entries."""
    if isinstance(X, LinearOperator):
        raise ValueError(f"{name} is an operator; an array or a sparse matrix is needed")
    negative = np.count_nonzero((X if isinstance(X, np.ndarray) else X.data) < 0)
    if negative:
        entries = "entry" if negative == 1 else "entries"
        raise ValueError(f"{name} has {negative} negative {entries}; {who} needs {name} >= 0")
    return X


def factors(
    start: Any, kind: type, shapes: Mapping[str, tuple[int | str, ...]]
) -> tuple[np.ndarray, ...]:
    """Return a start as a named tuple of float arrays of its own, which may be written to.

    Parameters
    ----------
    start : an iterate, or arrays in the order of `kind`
    kind : type of named tuple
    shapes : for each field its shape; a letter stands for any number of at least 1, the same in all

    Examples
    --------
    >>> from collections import namedtuple
    >>> shapes = {"U": (2, "k"), "V": (3, "k")}
    >>> factors(([[1], [2]], [[3], [4], [5]]), namedtuple("Factors", "U V"), shapes).U
    array([[1.],
           [2.]])
    """
    arrays = getattr(start, "factors", start)
    try:
        arrays = [np.array(array, order="C") for array in arrays]
    except (TypeError, ValueError):
        raise ValueError(f"the start is no sequence of arrays {', '.join(shapes)}") from None
    letters, found = {}, [array.shape for array in arrays]
    fits = len(arrays) == len(shapes)
    for shape, needed in zip(found, shapes.values(), strict=False):
        sides = [
            letters.setdefault(n, s) if isinstance(n, str) else n
            for n, s in zip(needed, shape, strict=False)
        ]
        fits = fits and 0 not in shape and len(shape) == len(needed) and list(shape) == sides
    if not fits:
        given, needed = (
            " and ".join(f"({', '.join(map(str, shape))})" for shape in listed)
            for listed in (found, shapes.values())
        )
        raise ValueError(
            f"the start has factors of shapes {given}; {needed} are needed for {', '.join(shapes)}"
        )
    for name, array in zip(shapes, arrays, strict=True):
        _check_real(array.dtype, name)
        _check_finite(array, name)
    single = all(array.dtype == np.float32 for array in arrays)
    return kind(*(array.astype(np.float32 if single else np.float64) for array in arrays))


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
