"""Time the NMF solvers of mflib against scikit-learn's, in one run, to the same loss.

From one random start scikit-learn does a fixed number of iterations. Every round then times it
again and times mflib on as many iterations as it needs to reach scikit-learn's final loss (no
solver looks at its loss meanwhile). The table shows the medians over the rounds.

Data: the digits of scikit-learn (1797×64, k = 16); a random product with Gamma noise (2000×1000,
k = 20); the power spectrogram of a synthesised tune (513×300, k = 16).

    python benchmarks/nmf.py [rounds]
"""

import os
import sys
import warnings
from contextlib import nullcontext
from statistics import median
from time import perf_counter

import numpy as np
from scipy.signal import ShortTimeFFT
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from mflib.iteration import nth
from mflib.losses import find_loss
from mflib.nmf import NMFProblem, nmf_steps

# scikit-learn's name of each loss, which is "frobenius" for the squared one.
CASES = [
    ("digits", "squared", "cd", 100),
    ("digits", "squared", "mu", 100),
    ("digits", "kullback-leibler", "mu", 100),
    ("product", "squared", "cd", 50),
    ("product", "squared", "mu", 50),
    ("product", "kullback-leibler", "mu", 30),
    ("spectrogram", "squared", "cd", 100),
    ("spectrogram", "squared", "mu", 100),
    ("spectrogram", "kullback-leibler", "mu", 100),
    ("spectrogram", "itakura-saito", "mu", 100),
]


def make_spectrogram(rng, n_notes=16, frequency=8000):
    """Return the power spectrogram of decaying notes with harmonics, struck at random times."""
    times = np.arange(301 * 256) / frequency
    sound = 1e-3 * rng.standard_normal(times.size)
    for pitch in 110 * 2 ** (np.arange(n_notes) / 6):
        for onset in rng.uniform(0, times[-1], 6):
            age = np.maximum(times - onset, 0)
            tone = sum(np.sin(2 * np.pi * pitch * i * age) / i for i in range(1, 6))
            sound += tone * np.exp(-6 * age)
    transform = ShortTimeFFT(np.hanning(1024), hop=256, fs=frequency)
    return np.abs(transform.stft(sound)[:, 1:301]) ** 2 + 1e-10


def make_data(rng):
    product = rng.random((2000, 20)) @ rng.random((20, 1000))
    return {
        "digits": (load_digits().data, 16),
        "product": (product * rng.gamma(4, 1 / 4, product.shape), 20),
        "spectrogram": (make_spectrogram(rng), 16),
    }


def make_start(X, k, rng):
    scale = np.sqrt(X.mean() / k)
    return scale * (0.5 + rng.random((len(X), k))), scale * (0.5 + rng.random((k, X.shape[1])))


def run_sklearn(X, W0, H0, loss, solver, n_iter):
    name = "frobenius" if loss == "squared" else loss
    model = NMF(len(H0), init="custom", solver=solver, beta_loss=name, tol=0, max_iter=n_iter)
    W = model.fit_transform(X, W=W0.copy(), H=H0.copy())
    return W, model.components_


def run_mflib(X, W0, H0, loss, solver, n_iter):
    return nth(nmf_steps(NMFProblem(X, loss=loss), (W0, H0), solver=solver), n_iter)


def iterations_to(target, X, W0, H0, loss, solver):
    steps = nmf_steps(NMFProblem(X, loss=loss), (W0, H0), solver=solver)
    return next(step.n_iter for step in steps if step.loss <= target * (1 + 1e-9))


def measure(X, k, loss, solver, n_iter, rounds, rng):
    """Return the median times, the iterations of mflib and its loss relative to scikit-learn's."""
    W0, H0 = make_start(X, k, rng)
    W, H = run_sklearn(X, W0, H0, loss, solver, n_iter)
    target = find_loss(loss).value(X, np.maximum(W @ H, 1e-100))
    needed = iterations_to(target, X, W0, H0, loss, solver)
    runs = [
        lambda: run_sklearn(X, W0, H0, loss, solver, n_iter),
        lambda: run_mflib(X, W0, H0, loss, solver, needed),
    ]
    times = [[], []]
    for i in range(rounds):
        for which in (0, 1) if i % 2 else (1, 0):
            begin = perf_counter()
            result = runs[which]()
            times[which].append(perf_counter() - begin)
            if which:
                reached = result.loss / target
    return *map(median, times), needed, reached


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = make_data(np.random.default_rng(0))
    for title, limit in (
        ("One BLAS thread", threadpool_limits(1)),
        ("Default threads", nullcontext()),
    ):
        with limit:
            load = os.getloadavg()[0]
            print(f"\n{title}; load {load:.1f} on {os.cpu_count()} processors; {rounds} rounds")
            print(
                f"{'data':12} {'loss':17}{'solver':7}{'iterations':>12}"
                f"{'scikit-learn':>14}{'mflib':>10}{'speed':>7}{'loss ratio':>12}"
            )
            for name, loss, solver, n_iter in CASES:
                X, k = data[name]
                theirs, ours, needed, reached = measure(
                    X, k, loss, solver, n_iter, rounds, np.random.default_rng(1)
                )
                print(
                    f"{name:12} {loss:17}{solver:7}{n_iter:6}/{needed:<5}{1e3 * theirs:11.1f} ms"
                    f"{1e3 * ours:7.1f} ms{theirs / ours:7.2f}{reached:12.6f}"
                )


if __name__ == "__main__":
    main()
