"""An epoch of SGD by two threads, in elapsed seconds.

Entries that share no row and no column commute. So rows and columns are halved, and two threads
visit the two blocks on the diagonal at once, then the two beside it. That gives, to the last bit,
what one thread finds that visits the four blocks one after the other: it is the peer.

k = 16, 100 ratings a row and 500 a column, compiled.
"""

from concurrent.futures import ThreadPoolExecutor
from statistics import median
from time import perf_counter

import numpy as np
from growth import K, ratings
from measure import Row, show

from mflib.completion.sgd import visit_entries

RATE, STRENGTH = np.float32(0.01), np.float32(0.1)
ROUNDS = 5


def blocks(n):
    """Return the four blocks of n shuffled ratings in two pairs that share no row or column."""
    pairs, values = ratings(n)
    halves = pairs >= (pairs.max(axis=0) + 1) // 2
    which = 2 * halves[:, 0] + halves[:, 1]
    rows, columns = pairs.astype(np.uint32).T

    def block(number):
        chosen = which == number
        return rows[chosen], columns[chosen], values[chosen]

    return (pairs.max(axis=0) + 1), [[block(0), block(3)], [block(1), block(2)]]


def epoch(run, phases, U, V):
    """Visit all entries, the blocks of a phase by `run`, and return how long it took."""

    def visit(block):
        visit_entries(*block, U, V, np.float32(0), None, None, RATE, STRENGTH, 0, False)

    begin = perf_counter()
    for phase in phases:
        list(run(visit, phase))
    return perf_counter() - begin


def rows():
    for n in (10**5, 10**6, 10**7):
        sides, phases = blocks(n)
        rng = np.random.default_rng(0)
        start = [rng.normal(0, 0.1, (side, K)).astype(np.float32) for side in sides]
        seconds, found = {1: [], 2: []}, {}
        with ThreadPoolExecutor(2) as pool:
            epoch(map, phases, *(factor.copy() for factor in start))  # compiles
            for _ in range(ROUNDS):
                for threads, run in ((2, pool.map), (1, map)):
                    found[threads] = [factor.copy() for factor in start]
                    seconds[threads].append(epoch(run, phases, *found[threads]))
        same = all(np.array_equal(a, b) for a, b in zip(found[1], found[2], strict=True))
        yield Row(
            f"an epoch of SGD, {n:,} ratings, 2 threads",
            "mflib, 1 thread",
            median(seconds[2]),
            median(seconds[1]),
            f"the same factors: {'yes' if same else 'no'}",
        )


if __name__ == "__main__":
    show(rows())
