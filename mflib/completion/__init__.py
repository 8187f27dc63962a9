"""Matrix completion from observed entries, by three algorithms (lesson 5).

Only some entries of X are known, those of the pairs (i, j) in Ω. Find U (m×k) and V (n×k) with
xᵢⱼ ≈ uᵢᵀvⱼ there, and predict the others. The rooms, in the order of reading:

    entries       Ω and its values, by row and by column
    model         factors, biases, and the objective J that all three algorithms lower
    als           exact least squares for U, then for V, and so on
    compiled      one decorator: textbook loops in machine code, where numba is installed
    sgd           one entry at a time
    gradient      all entries at once
    estimators    `ALS`, `SGD` and `GradientDescent` with fit, predict and recommend
"""

from mflib.completion.als import als_steps, solve_rows
from mflib.completion.entries import ObservedEntries
from mflib.completion.estimators import ALS, SGD, GradientDescent
from mflib.completion.gradient import gradient_steps, objective_gradient
from mflib.completion.model import CompletionStep, Factors, Objective, initial_factors
from mflib.completion.sgd import SGDStep, sgd_steps

__all__ = [
    "ALS",
    "SGD",
    "CompletionStep",
    "Factors",
    "GradientDescent",
    "Objective",
    "ObservedEntries",
    "SGDStep",
    "als_steps",
    "gradient_steps",
    "initial_factors",
    "objective_gradient",
    "sgd_steps",
    "solve_rows",
]
