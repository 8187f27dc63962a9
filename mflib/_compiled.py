"""One decorator for textbook loops: compiled by numba where it is installed, else left as they are.

The loops do the same arithmetic either way, up to rounding: compiled code may reorder a sum
(`fastmath` "reassoc") and fuse a product with a sum ("contract"), so that it works on several
numbers at a time. Measured on stochastic gradient descent, that makes it 1.7 times (k = 20) to 2.7
times (k = 100) faster. Nothing else of fast mathematics is allowed: NaN and infinity keep their
meaning. Compiled loops of two threads run at the same time.
"""

import inspect
from collections.abc import Callable
from functools import cache, wraps
from types import FunctionType
from zlib import crc32

_OPTIONS = {"fastmath": {"reassoc", "contract"}, "error_model": "numpy", "nogil": True}


def compiled(function: Callable) -> Callable:
    """Compile a function when it is first called with arguments of new types.

    Nothing is imported before the first call. The function may call others that are `compiled`, by
    names of its module. The machine code is kept on disk for the next session, where some folder
    can be written to. The function as it was written is the attribute `__wrapped__`.
    """

    @cache
    def ready():
        return _compile(_with_ready_functions(function))

    @wraps(function)
    def call(*arguments):
        return ready()(*arguments)

    call.ready = ready
    return call


def _with_ready_functions(function):
    """Return a copy of a function that calls others as they are after compilation.

    The compiler reads global names once and for all, and knows no function that is to be compiled
    later.
    """
    names = {name: function.__globals__.get(name) for name in function.__code__.co_names}
    called = {name: value for name, value in names.items() if hasattr(value, "ready")}
    ready = {name: value.ready() for name, value in called.items()}
    copy = FunctionType(function.__code__, function.__globals__ | ready)
    # Code kept on disk is looked up by this name. It must not outlive a change of what is called,
    # which may stand in another file.
    sources = "".join(inspect.getsource(value.__wrapped__) for value in called.values())
    copy.__qualname__ = f"{function.__qualname__}_{crc32(sources.encode()):x}"
    return copy


def _compile(function):
    try:
        from numba import njit

        return njit(cache=True, **_OPTIONS)(function)
    except ImportError:
        return function
    except RuntimeError:  # numba found no folder to keep the code in
        return njit(**_OPTIONS)(function)
