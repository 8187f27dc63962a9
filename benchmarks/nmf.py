"""NMF solvers beside scikit-learn's, to the same loss.

From one random start scikit-learn does a fixed number of iterations. Then both are timed in turns:
scikit-learn again, and mflib on as many iterations as it needs to reach scikit-learn's final loss
(no solver looks at its loss meanwhile).

Data: the digits of scikit-learn (1797×64, k = 16); a random product with Gamma noise (2000×1000,
k = 20); the power spectrogram of a synthesised tune (513×300, k = 16).
"""

import warnings

import numpy as np
from measure import Row, peer, race, show
from scipy.signal import ShortTimeFFT
from sklearn.datasets import load_digits
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

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


def rows():
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = make_data(np.random.default_rng(0))
    for name, loss, solver, n_iter in CASES:
        X, k = data[name]
        start = make_start(X, k, np.random.default_rng(1))
        W, H = run_sklearn(X, *start, loss, solver, n_iter)
        target = find_loss(loss).value(X, np.maximum(W @ H, 1e-100))

        def steps(X=X, loss=loss, start=start, solver=solver):
            return nmf_steps(NMFProblem(X, loss=loss), start, solver=solver)

        needed = next(step.n_iter for step in steps() if step.loss <= target * (1 + 1e-9))
        seconds, found = race(
            {
                "ours": lambda steps=steps, needed=needed: nth(steps(), needed),
                "theirs": lambda case=(X, *start, loss, solver, n_iter): run_sklearn(*case),
            }
        )
        quality = f"{needed} / {n_iter} iterations, loss {found['ours'].loss / target:.4f} / 1"
        yield Row(
            f"NMF of the {name}, {loss}, {solver}", peer("scikit-learn"), *seconds.values(), quality
        )


if __name__ == "__main__":
    show(rows())
