"""First the basis and the states, then the transitions (lesson 6).

    H = argmin ½ Σ_Ω (Wₜ H − Xₜ)² + ½λ (Σₜ ‖Wₜ‖² + c ‖H‖²)       over W and H
    T = argmin ½ Σₜ ‖Wₜ − Σ_l W_{t−l} T_l‖² + ½ρ Σ_l ‖T_l‖²

Complete tables need no λ: stacked on top of each other they have the leading right singular vectors
for a basis, and Wₜ = Xₜ Hᵀ (Eckart and Young). With gaps, the first line is the alternating least
squares of lesson 5. T is one ridge regression.
"""

from collections.abc import Callable

import numpy as np

from mflib.iteration import Run
from mflib.nmf import initial_factors
from mflib.sequential.joint import JointProblem, JointStep, SequenceFactors, joint_steps
from mflib.sequential.transitions import bridge_gaps, fill_gaps, usable_rows


def two_stages(
    problem: JointProblem, rank: int, drive: Callable[..., Run], *, bridge: bool = False
) -> Run:
    """Fit the basis, then the transitions.

    Parameters
    ----------
    problem : JointProblem
        With `transition_weight` 0.
    rank : int
    drive : function of the steps of alternating least squares, which returns the run
    bridge : bool
        Whether gaps may be bridged, if no row is observed at a step and at all its lags. It is a
        poor start, but a start. By default that is refused.

    Returns
    -------
    Run
        Its step has W, H and T; its message says how the basis was found.
    """
    if problem.is_ridge and problem.is_complete:
        H = _leading_rows(problem.X.reshape(-1, problem.X.shape[2]), rank)
        run, n_iter = Run(None, "settled", "the SVD gives the basis at once"), 0
    else:
        run = drive(joint_steps(problem, _start(problem, rank)))
        H, n_iter = run.step.H, run.step.n_iter
        if problem.is_ridge:
            H = _leading_rows(np.linalg.qr(run.step.W.reshape(-1, rank))[1] @ H, rank)
    W, known = problem.encode(H), problem.known
    if bridge and not usable_rows(known, problem.lags).any():
        W, known = bridge_gaps(W, known), np.ones_like(known)
    T = problem.best_transitions(W, known=known)
    factors = SequenceFactors(fill_gaps(W, known, T, problem.lags), H, T)
    return run._replace(step=JointStep(n_iter, factors, problem))


def _start(problem, k):
    """Return where alternating least squares begins, for the basis."""
    stacked = problem.filled.reshape(-1, problem.X.shape[2])
    if problem.non_negative:
        W, H = initial_factors(stacked, k, init="nndsvda", random_state=0)
    else:
        # This is rows of length 1 and one λ√c for both factors, as lesson 5 starts. Other
        # starts end in other local minima.
        small = problem.entries_per_component(k) ** -0.25
        H = small * _leading_rows(stacked, k)
        W = stacked @ H.T / small**2
    return W.reshape(*problem.X.shape[:2], k), H, np.zeros((len(problem.lags), k, k))


def _leading_rows(X, k):
    """Return the k leading right singular vectors of X, as rows."""
    return np.linalg.svd(X, full_matrices=False)[2][:k]
