"""Transitions of states, and what their eigenvalues say (lesson 6).

    Wₜ ≈ Σ_l W_{t−l} T_l                       lags l, each with a k×k matrix T_l
    T = argmin ½‖P T − Q‖² + ½ρ‖T‖²            P holds the lagged states side by side, Q the states
    [Wₜ, …, W_{t−L+1}] = [W_{t−1}, …, W_{t−L}] C      C is the companion matrix, L the longest lag

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

from mflib._validation import NEGLIGIBLE, check_count
from mflib.completion.model import check_nonnegative
from mflib.descent import EXPLOSION
from mflib.sequential.preparation import LARGEST_COUNT

# All eigenvalues of a companion matrix of this size take seconds.
_LARGEST = 2000


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
    eigenvalues = np.asarray(eigenvalues)
    modulus, angle = np.abs(eigenvalues), np.abs(np.angle(eigenvalues))
    with np.errstate(divide="ignore"):
        period = 2 * np.pi / angle
        rate = np.log2(modulus)
        half_life = np.where(rate == 0, np.inf, -1 / rate)
    return Modes(modulus, period, half_life + 0.0)


def companion_eigenvalues(transitions: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Return all k·max(lags) eigenvalues of C, largest modulus first; refuse a larger C."""
    k, size = transitions.shape[1], transitions.shape[1] * max(lags)
    if size > _LARGEST:
        raise ValueError(
            f"the companion matrix is {size}×{size}; eigenvalues are computed up to "
            f"{_LARGEST}×{_LARGEST}: use a smaller rank or shorter lags"
        )
    C = np.eye(size, k=k)
    for lag, T in zip(lags, transitions, strict=True):
        C[(lag - 1) * k : lag * k, :k] += T
    eigenvalues = np.linalg.eigvals(C)
    return eigenvalues[np.argsort(-np.abs(eigenvalues), kind="stable")].astype(complex)


def predictions(W: np.ndarray, transitions: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Return Σ_l W_{t−l} T_l for every step t from max(lags) on, an array (n_steps − L, m, k)."""
    longest, n_steps = max(lags), len(W)
    terms = (W[longest - lag : n_steps - lag] @ T for lag, T in zip(lags, transitions, strict=True))
    return sum(terms)


def roll_forward(
    W: np.ndarray, transitions: np.ndarray, lags: Sequence[int], n_steps: int
) -> np.ndarray:
    """Return the states of the next n steps, each predicted from those before it.

    Parameters
    ----------
    W : (at least max(lags), m, k) array
    transitions : (n_lags, k, k) array
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
            states[t] = sum(states[t - lag] @ T for lag, T in zip(lags, transitions, strict=True))
    return states[longest:]


def forecast_states(
    W: np.ndarray, transitions: np.ndarray, lags: Sequence[int], n_steps: int
) -> np.ndarray:
    """Return what `roll_forward` does, NaN from where it explodes on, with a warning.

    It explodes where an entry exceeds a million times the largest one of W.
    """
    states = roll_forward(W, transitions, lags, n_steps)
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
            stacklevel=3,
        )
    return states


def fit_transitions(
    W: np.ndarray,
    lags: Sequence[int],
    regularization: float = 0.0,
    *,
    known: np.ndarray | None = None,
    nonnegative: bool = False,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Return the transitions that predict states from earlier ones, by ridge regression.

    Parameters
    ----------
    W : (n_steps, m, k) array
    lags : sequence of int
    regularization : float
        ρ. With 0, the least-squares solution of smallest size.
    known : (n_steps, m) array of bool, optional
        Which rows of which states are known. A row takes part at the steps at which it and all its
        lagged rows are known.
    nonnegative : bool
        Whether T ≥ 0.
    start : (n_lags, k, k) array, optional
        Where the iterations for T ≥ 0 start; by default at zeros.

    Returns
    -------
    (n_lags, k, k) array

    Raises
    ------
    ValueError
        If no row is known at a step and at all its lags, or one that is has a NaN.

    Examples
    --------
    >>> fit_transitions(np.array([1.0, 2, 4, 8]).reshape(4, 1, 1), lags=(1,))
    array([[[2.]]])
    """
    W = np.asarray(W, dtype=float)
    if W.ndim != 3:
        raise ValueError(f"W has shape {W.shape}; (n_steps, m, k) is needed")
    check_lags(lags, len(W), "W")
    check_nonnegative(regularization, "regularization")
    P, Q = lagged_states(W, lags), W[max(lags) :].reshape(-1, W.shape[2])
    if known is not None:
        usable = usable_rows(known, lags)
        P, Q = P[usable], Q[usable]
        if not usable.any():
            raise ValueError(
                "no row of the tables is observed at a step and at all its lags; "
                "use fewer lags or method='joint'"
            )
    if not (np.isfinite(P).all() and np.isfinite(Q).all()):
        raise ValueError("W has entries that are NaN or infinite; pass which rows are `known`")
    A, b = P.T @ P + regularization * np.eye(P.shape[1]), (P.T @ Q).T
    if nonnegative:
        T = np.zeros_like(b) if start is None else start.reshape(b.T.shape).T
        T = minimise_rows(A, T @ A - b, T, nonnegative=True, max_sweeps=10_000)
    elif regularization > 0:
        T = np.linalg.solve(A, b.T).T
    else:
        T = np.linalg.lstsq(P, Q, rcond=None)[0].T
    return T.T.reshape(len(lags), W.shape[2], W.shape[2])


def check_lags(lags: Sequence[int], n_steps: int, name: str = "X") -> None:
    """Refuse lags that are not different whole numbers from 1, or too long for n steps."""
    if not np.iterable(lags) or len(lags) == 0:
        raise ValueError(f"lags is {lags!r}; a sequence such as (1, 7) is needed")
    for lag in lags:
        check_count(lag, LARGEST_COUNT, "a lag")
    if len(set(lags)) < len(lags):
        raise ValueError(f"lags is {lags!r}; each lag once is needed")
    if n_steps <= max(lags):
        raise ValueError(
            f"{name} has {n_steps} steps; lags up to {max(lags)} need {max(lags) + 1} at least"
        )


def usable_rows(known: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Tell which rows of `lagged_states` are known together with the row that they predict."""
    longest, n_steps = max(lags), len(known)
    parts = [known[longest - lag : n_steps - lag] for lag in (0, *lags)]
    return np.all(parts, axis=0).ravel()


def lagged_states(W: np.ndarray, lags: Sequence[int]) -> np.ndarray:
    """Return P: one row for each row of each state from max(lags) on, its lagged rows abreast."""
    longest, n_steps = max(lags), len(W)
    P = np.concatenate([W[longest - lag : n_steps - lag] for lag in lags], axis=2)
    return P.reshape(-1, P.shape[2])


def minimise_rows(
    A: np.ndarray,
    gradient: np.ndarray,
    W: np.ndarray,
    *,
    l1: float = 0.0,
    nonnegative: bool = False,
    max_sweeps: int = 100,
) -> np.ndarray:
    """Return rows that minimise a quadratic, with a penalty l1 Σ|w| and under w ≥ 0 if asked.

    Without either this is the exact minimum of every row. With them, entries are minimised exactly
    one after the other, in sweeps over the row that end when nothing moves.

    Parameters
    ----------
    A : (k, k) array, or (m, k, k) for one per row
        The Hessian of the quadratic, positive semidefinite.
    gradient : (m, k) array
        The gradient of the quadratic at W.
    W : (m, k) array
        The rows to start from.

    Returns
    -------
    (m, k) array
    """
    if l1 == 0 and not nonnegative:
        return W - _solve(A, gradient)
    W, gradient = W.copy(), gradient.copy()
    curvature = np.broadcast_to(np.einsum("...jj->...j", A), W.shape)
    curvature = np.where(curvature > 0, curvature, 1.0)  # a flat entry has gradient 0: it shrinks
    for _ in range(max_sweeps):
        largest = 0.0
        for j in range(W.shape[1]):
            target = W[:, j] - gradient[:, j] / curvature[:, j]
            new = _shrink(target, l1 / curvature[:, j], nonnegative)
            change = new - W[:, j]
            W[:, j] = new
            gradient += change[:, None] * A[..., j, :]
            largest = max(largest, np.abs(change).max())
        if largest <= 1e-9 * np.abs(W).max():
            break
    return W


def _shrink(values, threshold, nonnegative):
    """Move values towards zero by the threshold, at most to zero; or cut them off at zero."""
    if nonnegative:
        return np.maximum(values - threshold, 0)
    return np.sign(values) * np.maximum(np.abs(values) - threshold, 0)


def _solve(A, gradient):
    """Return A⁻¹ g for every row g; a trace of ridge keeps a singular A solvable."""
    k = A.shape[-1]
    size = np.einsum("...jj->...", A) / k
    floor = np.where(size > 0, NEGLIGIBLE * size, 1.0)
    A = A + floor[..., None, None] * np.eye(k)
    if A.ndim == 2:
        return np.linalg.solve(A, gradient.T).T
    return np.linalg.solve(A, gradient[..., None])[..., 0]
