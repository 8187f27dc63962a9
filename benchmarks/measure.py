"""Measure methods side by side: CPU seconds of one thread, in turns, in one process.

A benchmark is a module with `rows()`, which yields one `Row` a comparison. A ratio above 1 means
that mflib is faster. Run one module to see its table, or `run.py` to write them all to RESULTS.md.
"""

import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from statistics import median
from time import process_time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits


@dataclass(frozen=True)
class Row:
    """One comparison: seconds of mflib and of its peer, and how good both results are."""

    what: str
    peer: str
    ours: float
    theirs: float
    quality: str


HEAD = """| what | peer | mflib | peer | ratio | quality: mflib / peer |
|---|---|--:|--:|--:|---|"""


def as_line(row: Row) -> str:
    ratio = row.theirs / row.ours
    times = f"{row.ours:.3g} s | {row.theirs:.3g} s"
    return f"| {row.what} | {row.peer} | {times} | **{ratio:.2f}** | {row.quality} |"


def race(methods: dict[str, Callable], rounds: int = 5) -> tuple[dict[str, float], dict[str, Any]]:
    """Run the methods in turns, each way round; return median CPU seconds and last results."""
    results = {name: method() for name, method in methods.items()}  # compile and load first
    times = {name: [] for name in methods}
    for turn in range(rounds):
        for name, method in list(methods.items())[:: -1 if turn % 2 else 1]:
            begin = process_time()
            results[name] = method()
            times[name].append(process_time() - begin)
    return {name: median(values) for name, values in times.items()}, results


def peer(package: str) -> str:
    """Return the name of an installed package with its version."""
    return f"{package} {version(package)}"


def installed(module: str) -> bool:
    return find_spec(module) is not None


def machine() -> str:
    """Return the machine in words."""
    model = ""
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":")[1].strip() for line in file if "model name" in line) + ", "
    except (OSError, StopIteration):
        pass
    return f"{model}{platform.system()}, Python {platform.python_version()}, NumPy {np.__version__}"


def show(rows: Iterable[Row]) -> list[str]:
    """Print the table of a benchmark line by line, and return its lines."""
    lines = HEAD.splitlines()
    print(HEAD)
    with threadpool_limits(1):
        for row in rows:
            lines.append(as_line(row))
            print(lines[-1], flush=True)
    return lines
