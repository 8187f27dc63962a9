"""Runs first in every kernel of the tests: a cell that draws without a seed says so.

What it prints would differ from run to run, if only where two numbers are close. No name is left
behind, which could stand in for an import that a lesson lacks.
"""


def _watch():
    import sys

    from IPython import get_ipython

    before = None

    def global_state():
        """Return the state of NumPy's global generator, or nothing while it is not imported."""
        return repr(sys.modules["numpy"].random.get_state()) if "numpy" in sys.modules else None

    def remember(info):
        nonlocal before
        before = global_state()

    def compare(result):
        if before and before != global_state():
            print("This cell draws random numbers without a seed.")

    get_ipython().events.register("pre_run_cell", remember)
    get_ipython().events.register("post_run_cell", compare)


_watch()
del _watch
