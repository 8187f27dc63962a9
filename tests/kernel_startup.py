"""Runs first in every kernel of the tests: a cell that draws without a seed says so.

What it prints would differ from run to run, if only where two numbers are close.
"""

import sys

from IPython import get_ipython


def _global_state():
    """Return the state of NumPy's global generator, or nothing while NumPy is not imported."""
    return repr(sys.modules["numpy"].random.get_state()) if "numpy" in sys.modules else None


def _remember(info):
    global _before
    _before = _global_state()


def _compare(result):
    if _before and _before != _global_state():
        print("This cell draws random numbers without a seed.")


_before = None
get_ipython().events.register("pre_run_cell", _remember)
get_ipython().events.register("post_run_cell", _compare)
