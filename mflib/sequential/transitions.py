"""Transitions of states, and what their eigenvalues say (lesson 6).

    Wₜ ≈ Σ_l W_{t−l} T_l                       lags l, each with a k×k matrix T_l
    T = argmin ½‖P T − Q‖² + ½ρ‖T‖²            P holds the lagged states side by side, Q the states
    [Wₜ, …, W_{t−L+1}] = [W_{t−1}, …, W_{t−L}] C      C is the companion matrix, L the longest lag

A row of a state that is not known is NaN, here and in all that takes states.

With one lag of 1, C = T and W₀Tᵗ is power iteration: what is left of the start after many steps is
the share of the dominant eigenvectors. An eigenvalue λ of C belongs to a mode that is multiplied by
λ per step: it fades (|λ| < 1), stays (= 1) or explodes (> 1), with a period of 2π / |arg λ| steps.

References
----------
H. Lütkepohl, New Introduction to Multiple Time Series Analysis, 2005, section 2.1.
"""

from collections.abc import Sequence
from typing import NamedTuple
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from mflib import _validation as check
from mflib.iteration import EXPLOSION
from mflib.least_squares import minimise_rows, solve_rows


class Modes(NamedTuple):
    """What eigenvalues of a transition say, in steps: see `describe_eigenvalues`."""

    modulus: np.ndarray
    period: np.ndarray
    half_life: np.ndarray


def describe_eigenvalues(eigenvalues: ArrayLike) -> Modes:
    """Return modulus, period and half-life of eigenvalues of a transition.

    Parameters
    ----------
    eigenvalues : array of complex or real numbers

    Returns
    -------
    Modes
        Arrays of the same shape. `period` is 2π / |arg λ| steps: infinite for a positive number, 2
        for a negative one. `half_life` is log ½ / log |λ| steps: infinite for |λ| = 1, and negative
        for |λ| > 1, where its size is the time to double.

    Examples
    --------
    >>> modes = describe_eigenvalues([0.5, 1j, 2.0])
    >>> print(modes.modulus, modes.period, modes.half_life)
    [0.5 1.  2. ] [inf  4. inf] [ 1. inf -1.]
    """
    z = check.array(eigenvalues, "eigenvalues")
    z = z if z.dtype.kind == "c" else check.floats(z, "eigenvalues")
    modulus, angle = np.abs(z), np.abs(np.angle(z))
    with np.errstate(divide="ignore"):
        period, rate = 2 * np.pi / angle, np.log2(modulus)
        half_life = np.where(rate == 0, np.inf, -1 / rate)
    return Modes(modulus, period, half_life + 0.0)  # + 0.0 makes −0 a 0


def companion_eigenvalues(transitions: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Return all k·max(lags) eigenvalues of C, largest modulus first; refuse a larger C."""
    k, size = transitions.shape[1], transitions.shape[1] * max(lags)
    # All eigenvalues of a larger one take minutes.
    check.need(size <= 2000, f"the companion matrix is {size}×{size}", "at most 2000×2000")
    C = np.eye(size, k=k)  # ones k places right of the diagonal: every state moves one lag back
    for lag, T in zip(lags, transitions, strict=True):
        C[(lag - 1) * k : lag * k, :k] += T
    eigenvalues = np.linalg.eigvals(C).astype(complex)  # real ones too, in every NumPy
    return eigenvalues[np.argsort(-np.abs(eigenvalues), kind="stable")]


def lagged(A: np.ndarray, lags: Sequence[int]) -> list[np.ndarray]:
    """Return for each lag l the part A_{t−l} of a sequence, for every step t from max(lags) on."""
    return [A[max(lags) - lag : len(A) - lag] for lag in lags]


def predictions(W: np.ndarray, T: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Return Σ_l W_{t−l} T_l for every step t from max(lags) on, an array (n_steps − L, m, k)."""
    return sum(past @ T_l for past, T_l in zip(lagged(W, lags), T, strict=True))


def known_rows(W: np.ndarray) -> np.ndarray:
    """Tell which rows of which states are known, an array (n_steps, m): the others are NaN."""
    return ~np.isnan(W).any(axis=2)


def roll_forward(W: np.ndarray, T: np.ndarray, lags: Sequence[int], n_steps: int) -> np.ndarray:
    """Return the states of the next n steps, each predicted from those before it.

    Parameters
    ----------
    W : (at least max(lags), m, k) array
    T : (n_lags, k, k) array
    lags : sequence of int
    n_steps : int

    Returns
    -------
    (n_steps, m, k) array
        Where |λ| > 1 the entries may overflow to infinity.
    """
    longest = max(lags)
    states = np.concatenate([W[len(W) - longest :], np.empty((n_steps, *W.shape[1:]))])
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(longest, longest + n_steps):
            states[t] = predictions(states[t - longest : t + 1], T, lags)[0]
    return states[longest:]


def forecast_states(W: np.ndarray, T: np.ndarray, lags: Sequence[int], n_steps: int) -> np.ndarray:
    """Return what `roll_forward` does, NaN from where it explodes on, with a warning.

    It explodes where an entry exceeds a million times the largest one of W.
    """
    states = roll_forward(W, T, lags, n_steps)
    with np.errstate(invalid="ignore"):  # written so that NaN explodes too
        exploded = ~(np.abs(states).max(axis=(1, 2)) <= EXPLOSION * np.abs(W).max())
    if exploded.any():
        first = int(np.argmax(exploded))
        states[first:] = np.nan
        warn(
            f"the forecast explodes: after {first + 1} steps it exceeds a million times the "
            "states, and is NaN from there on, because the transitions have an eigenvalue with "
            "|λ| > 1; forecast fewer steps, or regularize the transitions more",
            ConvergenceWarning,
            stacklevel=4,  # whoever called `forecast`
        )
    return states


def predict_gaps(W: np.ndarray, T: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Return states with predictions from earlier states in place of unknown rows.

    Parameters
    ----------
    W : (n_steps, m, k) array
        NaN in rows that are not known; none at the first max(lags) steps.
    T : (n_lags, k, k) array
    lags : sequence of int
    """
    W, known = W.copy(), known_rows(W)
    for t in np.flatnonzero(~known.all(axis=1)):
        W[t, ~known[t]] = roll_forward(W[:t], T, lags, 1)[0, ~known[t]]
    return W


def fill_gaps(W: np.ndarray, T: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Return states with bent predictions in place of unknown rows.

    What the predictions miss the known row behind a gap by is spread over the gap, along a line. So
    exact predictions stay, and those that fade do not leave a hole.

    At the first max(lags) steps, lines lead from known rows to the next known ones, level before
    the first. A row that is known at no step is zero: nothing but its profile is known.

    Examples
    --------
    >>> W = np.array([np.nan, 1, np.nan, 3, np.nan]).reshape(5, 1, 1)
    >>> fill_gaps(W, np.ones((1, 1, 1)), (1,)).ravel()
    array([1., 1., 2., 3., 3.])
    """
    W, first = W.copy(), max(lags)
    W[0] = np.nan_to_num(W[known_rows(W).argmax(axis=0), np.arange(W.shape[1])])
    if first > 1:  # a prediction of "as before" is bent to a line
        W[:first] = fill_gaps(W, np.eye(W.shape[2])[np.newaxis], (1,))[:first]
    filled, known, steps = predict_gaps(W, T, lags), known_rows(W), np.arange(len(W))[:, None]
    before = np.maximum.accumulate(np.where(known, steps, 0))
    behind = np.minimum.accumulate(np.where(known, steps, len(W))[::-1])[::-1]
    share = (steps - before) / np.maximum(behind - before, 1)  # 0 at known rows
    missed = np.zeros((len(W) + 1, *W.shape[1:]))  # 0 where no known row is behind
    # NaN at unknown rows, which `behind` never names
    missed[first:-1] = W[first:] - predictions(filled, T, lags)
    bent = filled + share[..., np.newaxis] * missed[behind, np.arange(W.shape[1])]
    return np.where(known[..., np.newaxis], filled, bent)


def fit_transitions(
    W: np.ndarray, lags: Sequence[int], regularization: float = 0.0, *, non_negative: bool = False
) -> np.ndarray:
    """Return the transitions that predict states from earlier ones, by ridge regression.

    Parameters
    ----------
    W : (n_steps, m, k) array
        NaN in rows that are not known. A row takes part at the steps at which it and all its lagged
        rows are known.
    lags : sequence of int
    regularization : float
        ρ. With 0, the least-squares solution of smallest size.
    non_negative : bool
        Whether T ≥ 0.

    Returns
    -------
    (n_lags, k, k) array

    Raises
    ------
    ValueError
        If no row is known at a step and at all its lags, or an entry is infinite.

    Examples
    --------
    >>> fit_transitions(np.array([1.0, 2, 4, np.nan, 16, 32]).reshape(6, 1, 1), lags=(1,))
    array([[[2.]]])
    """
    W = check.floats(W, "W").astype(np.float64, copy=False)
    check.need(W.ndim == 3, f"W has shape {W.shape}", "(n_steps, m, k)")
    check_lags(lags, len(W))
    check.non_negative(regularization, "regularization")
    check.flag(non_negative, "non_negative")
    check.no_entries(np.isinf(W), "W", "infinite entry", "infinite entries")
    k, usable = W.shape[2], np.all(lagged(known_rows(W), (0, *lags)), axis=0)
    found = "nothing is observed at a step and at all its lags"
    check.need(usable.any(), found, "a choice of fewer lags")
    P, Q = np.concatenate(lagged(W, lags), axis=2)[usable], W[max(lags) :][usable]
    if regularization == 0 and not non_negative:  # more exact than through PᵀP
        return np.linalg.lstsq(P, Q, rcond=None)[0].reshape(-1, k, k)
    A, B = P.T @ P + regularization * np.eye(P.shape[1]), (P.T @ Q).T
    if non_negative:
        return minimise_rows(A, B, np.zeros_like(B), lower=0).T.reshape(-1, k, k)
    return solve_rows(A, B, regularization).T.reshape(-1, k, k)


def check_lags(lags: Sequence[int], n_steps: int) -> None:
    """Refuse lags that are not different whole numbers from 1, or too long for n steps."""
    fits = check.array(lags, "lags").ndim == 1 and len(lags) > 0
    check.need_value(fits, lags, "lags", "a sequence such as (1, 7)")
    for lag in lags:
        check.count(lag, "a lag")
    check.need_value(len(set(lags)) == len(lags), lags, "lags", "each lag once")
    check.need(n_steps > max(lags), f"there are {n_steps} steps", f"more than lag {max(lags)}")
