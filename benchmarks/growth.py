"""How time and memory grow from ten thousand to ten million ratings.

Each cell is a process of its own: it makes the ratings (100 a row, 500 a column), fits k = 16
factors twice, for one step and for some more, and prints the CPU time of a step (from the
difference, so that nothing done once counts) and how far the peak of its memory lies above the
ratings.

    python benchmarks/growth.py [largest number of ratings]
"""

import resource
import subprocess
import sys
from time import process_time

import numpy as np
from threadpoolctl import threadpool_limits

from mflib import completion
from mflib.descent import gradient_descent

K = 16


def estimator(kind, **options):
    """Return a function that fits an estimator in so many steps."""
    options |= {"dtype": np.float32, "random_state": 0}
    return lambda n_steps, *entries: kind(K, max_iter=n_steps, **options).fit(*entries)


def descend(n_steps, pairs, values):
    entries = completion.ObservedEntries(pairs, values)
    problem = completion.CompletionProblem(entries, biases=True)
    start = completion.initial_factors(problem, K, random_state=0)
    how = {"updates": "simultaneous", "tol": 0, "max_iter": n_steps}
    gradient_descent(problem, start, 1e-3, **how)


METHODS = {
    "ALS": estimator(completion.ALS),
    "ALS, compiled": estimator(completion.ALS, solver="compiled"),
    "SGD": estimator(completion.SGD),
    "implicit ALS": estimator(completion.ImplicitALS),
    "Bayesian ALS": estimator(completion.BayesianALS),
    "gradient descent": descend,
}


def ratings(n):
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, (max(2, n // 100), max(2, n // 500)), (n, 2), dtype=np.int32)
    return pairs, np.abs(rng.normal(3, 1, n)).astype(np.float32)  # ImplicitALS takes no others


def peak():
    """Return the peak of this process's memory in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cell(name, n):
    """Print seconds a step and megabytes above the ratings."""
    fit = METHODS[name]
    fit(1, [[0, 0], [1, 1], [1, 2]], [1.0, 2.0, 3.0])  # compiles
    pairs, values = ratings(n)
    before, seconds, more = peak(), [], max(2, min(100, 10**6 // n))
    for n_steps in (1, 1, 1 + more):  # the first one meets cold memory
        begin = process_time()
        fit(n_steps, pairs, values)
        seconds.append(process_time() - begin)
    print((seconds[2] - seconds[1]) / more, peak() - before)


def table(largest=10**7):
    sizes = [n for n in (10**4, 10**5, 10**6, 10**7) if n <= largest]
    yield "| method | " + " | ".join(f"{n:,} ratings" for n in sizes) + " |"
    yield "|---|" + "--:|" * len(sizes)
    for name in METHODS:
        cells = []
        for n in sizes:
            command = [sys.executable, __file__, name, str(n)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds, megabytes = map(float, done.stdout.split())
            cells.append(f"{1e9 * seconds / n:.0f} ns a rating, {megabytes:.0f} MB")
        yield f"| {name} | " + " | ".join(cells) + " |"


def main():
    with threadpool_limits(1):
        if len(sys.argv) == 3:
            cell(sys.argv[1], int(sys.argv[2]))
            return
        for line in table(int(sys.argv[1]) if len(sys.argv) > 1 else 10**7):
            print(line, flush=True)


if __name__ == "__main__":
    main()
