"""Sequences of tables that share a basis, and their forecast (lesson 6).

    Xₜ ≈ Wₜ H,   W_{t+1} ≈ Wₜ T       tables Xₜ (m, n), basis H (k, n), states Wₜ (m, k), T (k, k)

In the order of reading: `preparation` (profile and scale), `transitions` (T and its eigenvalues),
`joint` (basis, states and T: the problem, its two stages and its steps), `rollout` (the same with
Wₜ = W₀ Tᵗ), `estimators`, `evaluation` (baselines, rolling origins).
"""

from mflib.sequential.estimators import JointMF, RolloutMF, TwoStageMF
from mflib.sequential.evaluation import (
    LastValue,
    MeanValue,
    RollingForecast,
    ScalarAutoregression,
    block_missing,
    random_missing,
    rmse,
    rolling_forecast,
)
from mflib.sequential.joint import JointProblem, JointStep, SequenceFactors, joint_steps
from mflib.sequential.rollout import RolloutFactors, RolloutProblem, RolloutStep, rollout_steps
from mflib.sequential.transitions import Modes, describe_eigenvalues, fit_transitions

__all__ = ["JointMF", "LastValue", "MeanValue", "RolloutMF", "ScalarAutoregression", "TwoStageMF"]
__all__ += ["JointProblem", "JointStep", "SequenceFactors", "joint_steps"]
__all__ += ["RolloutFactors", "RolloutProblem", "RolloutStep", "rollout_steps"]
__all__ += ["Modes", "describe_eigenvalues", "fit_transitions"]
__all__ += ["RollingForecast", "block_missing", "random_missing", "rmse", "rolling_forecast"]
