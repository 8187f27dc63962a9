"""Sequences of tables that share a basis, and their forecast (lesson 6).

    Xₜ ≈ Wₜ H,   W_{t+1} ≈ Wₜ T       tables Xₜ (m, n), basis H (k, n), states Wₜ (m, k), T (k, k)

In the order of reading: `preparation` (profile and scale), `transitions` (T and its eigenvalues),
`joint` and `rollout` (fits), `model` (the estimator), `evaluation` (baselines, rolling origins).
"""

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
from mflib.sequential.joint import JointProblem, JointStep, joint_steps
from mflib.sequential.model import SequentialMF
from mflib.sequential.rollout import RolloutBlocks, RolloutLoss, RolloutStep, rollout_steps
from mflib.sequential.transitions import Modes, describe_eigenvalues, fit_transitions

__all__ = [
    "JointProblem",
    "JointStep",
    "LastValue",
    "MeanValue",
    "Modes",
    "RollingForecast",
    "RolloutBlocks",
    "RolloutLoss",
    "RolloutStep",
    "ScalarAutoregression",
    "SequentialMF",
    "block_missing",
    "describe_eigenvalues",
    "fit_transitions",
    "joint_steps",
    "random_missing",
    "rmse",
    "rolling_forecast",
    "rollout_steps",
]
