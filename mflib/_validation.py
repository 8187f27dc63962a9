"""What every room asks of its input, and one sentence for what it refuses."""

from collections.abc import Callable, Collection, Mapping
from math import isfinite
from reprlib import repr as shortened
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

# Of rows, columns or steps: more than any memory holds, or anybody waits for.
_MOST = 10**15

Matrix = np.ndarray | sparse.sparray | sparse.spmatrix | LinearOperator


def need(fits: bool, found: str, needed: str) -> None:
    """Refuse what does not fit, in a sentence that says what it is and what is needed."""
    if not fits:
        raise ValueError(f"{found}; {needed} is needed")


def shown(value: Any) -> str:
    """Return a value in one short line, for a sentence about it."""
    return " ".join(shortened(value).split())


def need_value(fits: bool, value: Any, name: str, needed: str) -> Any:
    """Return a value that fits, refusing it and showing it otherwise."""
    if not fits:  # a large one takes long to show
        need(fits, f"{name} is {shown(value)}", needed)
    return value


def kind(fits: bool, value: Any, name: str, needed: str) -> None:
    """Refuse what is of another kind than it has to be."""
    need(fits, f"{name} is a {type(value).__name__}", needed)


def no_entries(bad: np.ndarray, name: str, one: str, several: str) -> None:
    """Refuse an array or sparse matrix if it has bad entries, and say how many."""
    if n := np.count_nonzero(bad):
        raise ValueError(f"{name} has {n} {one if n == 1 else several}")


def not_masked(A: ArrayLike, name: str) -> None:
    """Refuse a masked array: NumPy would hand on what its mask hides."""
    if any(map(np.ma.is_masked, A if isinstance(A, list | tuple) else [A])):
        raise ValueError(f"{name} has masked entries; values for all of them are needed here")


def array(A: ArrayLike, name: str) -> np.ndarray:
    """Return A as an array of any shape and type."""
    not_masked(A, name)
    try:
        return np.asarray(A)
    except ValueError:
        raise ValueError(f"{name} is not an array: its rows differ in length") from None


def floats(A: ArrayLike, name: str) -> np.ndarray:
    """Return real numbers in an array of any shape; they may be NaN or infinite.

    float32 and float64 stay as they are, all else becomes float64.
    """
    A = array(A, name)
    _check_real(A.dtype, name)
    with np.errstate(over="ignore"):  # a long double
        return A.astype(A.dtype.char if A.dtype.char in "fd" else "d", copy=False)


def with_gaps(A: ArrayLike, name: str) -> np.ndarray:
    """Return what `floats` does, NaN where a masked array hides its entries."""
    numbers = floats(np.ma.getdata(A) if np.ma.is_masked(A) else A, name)
    return np.where(np.ma.getmask(A), np.nan, numbers)


def matrix(A: ArrayLike | Matrix, name: str = "A") -> Matrix:
    """Return A as a float array, a float CSR array or the operator that it is."""
    if isinstance(A, LinearOperator) or sparse.issparse(A):
        _check_real(A.dtype, name)
    else:
        A = finite(floats(A, name).astype(np.float64, copy=False), name)
    need(A.ndim == 2, f"{name} has shape {A.shape}", "a matrix with two dimensions")
    need(0 not in A.shape, f"{name} is empty (shape {A.shape})", "a row and a column at least")
    if sparse.issparse(A):
        A = sparse.csr_array(A, dtype=np.float64)
        finite(A.data, name)
    return A


def finite(values: np.ndarray, name: str) -> np.ndarray:
    """Return numbers, refusing NaN and infinity."""
    bad = ~np.isfinite(values)
    no_entries(bad, name, "entry that is NaN or infinite", "entries that are NaN or infinite")
    return values


def shaped(A: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return an array, refusing it if its shape is another."""
    need(A.shape == shape, f"{name} has shape {A.shape}", f"{shape}")
    return A


def square(A: ArrayLike | Matrix, name: str = "A") -> Matrix:
    """Return A as `matrix` does, refusing it if it is not square."""
    A = matrix(A, name)
    need(A.shape[0] == A.shape[1], f"{name} has shape {A.shape}", "a square matrix")
    return A


def direction(v: ArrayLike, n: int | None, name: str) -> np.ndarray:
    """Return v / ‖v‖ for a real vector that is not zero, with n entries (None: any number)."""
    v = floats(v, name)
    needed = f"a vector of shape ({'n' if n is None else n},)"
    need(v.ndim == 1 and n in (None, v.size), f"{name} has shape {v.shape}", needed)
    if not finite(v, name).any():
        raise ValueError(f"{name} is the zero vector, which has no direction")
    # Divided by a power of 2 it keeps its digits, and no square overflows or vanishes.
    v = np.ldexp(v.astype(np.float64), -np.frexp(np.abs(v).max())[1])
    return v / norm(v)


def number(value: float, name: str, fits: Callable = isfinite, needed: str = "") -> float:
    """Return one real, finite number that fits."""
    x = array(value, name)
    need(x.ndim == 0, f"{name} has shape {x.shape}", "a single number")
    need_value(x.dtype.kind in "iuf" and isfinite(x), value, name, "a finite real number")
    x = float(x)
    need(abs(x) <= _LARGEST, f"{name} is {x}", f"a number of size {_LARGEST:.0e} at most")
    need(fits(x), f"{name} is {value}", needed)
    return x


def positive(value: float, name: str) -> float:
    """Return one number above 0."""
    return number(value, name, lambda x: x > 0, "a number above 0")


def non_negative(value: float, name: str) -> float:
    """Return one number of at least 0."""
    return number(value, name, lambda x: x >= 0, "at least 0")


def share(value: float, name: str) -> float:
    """Return one number from 0 to 1."""
    return number(value, name, lambda x: 0 <= x <= 1, "a number from 0 to 1")


def count(value: int, name: str, *, smallest: int = 1, largest: int | None = None) -> int:
    """Return a whole number of at least `smallest`, and at most `largest` if there is such."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    need_value(whole, value, name, "a whole number")
    need(value >= smallest, f"{name} is {value}", f"at least {smallest}")
    limit = "a smaller number" if largest is None else f"at most {largest}"
    need(value <= (_MOST if largest is None else largest), f"{name} is {value}", limit)
    return int(value)


def items(value: Any, n: int | None, name: str, needed: str) -> tuple | list:
    """Return a tuple or list of n items (None: any number but 0)."""
    fits = isinstance(value, tuple | list) and (len(value) == n if n else len(value) > 0)
    return need_value(fits, value, name, needed)


def sides(shape: Any, n: int | None = None, largest: int | None = None) -> tuple[int, ...]:
    """Return a shape of n sides (None: any number) as whole numbers of at least 1."""
    whole = items(shape, n, "shape", f"a tuple of {f'{n} ' if n else ''}whole numbers")
    return tuple(count(side, "a side of shape", largest=largest) for side in whole)


def limits(tol: float, max_iter: int) -> tuple[float, int]:
    """Return the tolerance and the largest number of steps of an iteration, both at least 0."""
    return non_negative(tol, "tol"), count(max_iter, "max_iter", smallest=0)


def choice(value: str, choices: Collection[str | None], name: str) -> str:
    """Return one of the choices."""
    if not isinstance(value, str | int | np.integer | tuple | None) or value not in choices:
        raise ValueError(f"{name} is {shown(value)}; use one of {', '.join(map(repr, choices))}")
    return value


def flag(value: bool, name: str) -> bool:
    """Return True or False."""
    return bool(need_value(isinstance(value, bool | np.bool_), value, name, "True or False"))


def product(W: np.ndarray) -> np.ndarray:
    """Return a product with A, refusing one that overflows, or nearly, or is not a number."""
    if not np.abs(W).max() <= _LARGEST:  # written so that NaN is refused too
        found = f"a product with A is not a number or exceeds {_LARGEST:.0e}"
        raise FloatingPointError(f"{found}; scale A down first")
    return W


def dense(A: Matrix, name: str = "A") -> np.ndarray:
    """Return A, refusing it if it is sparse or an operator."""
    need(isinstance(A, np.ndarray), f"{name} is sparse or an operator", "an array")
    return A


def no_negative(X: Matrix, name: str, who: str) -> np.ndarray | sparse.csr_array:
    """Return an array or sparse matrix, refusing it if it has negative entries."""
    need(not isinstance(X, LinearOperator), f"{name} is an operator", "an array or a sparse matrix")
    entries = X.data if sparse.issparse(X) else X
    needed = f"{who} needs {name} >= 0"
    no_entries(entries < 0, name, f"negative entry; {needed}", f"negative entries; {needed}")
    return X


def factors(
    start: Any, named: type, shapes: Mapping[str, tuple[int | str, ...]]
) -> tuple[np.ndarray, ...]:
    """Return a start as a named tuple of float arrays of its own, which may be written to.

    Parameters
    ----------
    start : an iterate, or arrays in the order of `named`
    named : type of named tuple
    shapes : for each field its shape; "k" stands for any number of at least 1, the same in all

    Examples
    --------
    >>> from collections import namedtuple
    >>> shapes = {"U": (2, "k"), "V": (3, "k")}
    >>> factors(([[1], [2]], [[3], [4], [5]]), namedtuple("Factors", "U V"), shapes).U
    array([[1.],
           [2.]])
    """
    names, wanted = ", ".join(shapes), list(shapes.values())
    try:
        arrays = [np.asanyarray(A) for A in getattr(start, "factors", start)]
    except (TypeError, ValueError):
        raise ValueError(f"the start is no sequence of arrays {names}") from None
    found = [A.shape for A in arrays]
    # both flattened; a size that stands at a "k"
    k = dict(zip(sum(wanted, ()), sum(found, ()), strict=False)).get("k")
    fitting = [tuple(k if side == "k" else side for side in shape) for shape in wanted]
    if found != fitting or k == 0:
        given, needed = (" and ".join(map(str, s)).replace("'", "") for s in (found, wanted))
        message = f"the start has factors of shapes {given}; {needed} are needed for {names}"
        raise ValueError(message)
    arrays = [finite(floats(A, name), name) for name, A in zip(shapes, arrays, strict=True)]
    dtype = np.result_type(*arrays)
    return named(*(A.astype(dtype, order="C") for A in arrays))


def _check_real(dtype, name):
    code = np.dtype(dtype).kind
    if code == "c":
        raise ValueError(f"{name} is complex; only real numbers are supported")
    if code not in "biuf":
        raise ValueError(f"{name} holds entries of type {dtype}; real numbers are needed")
