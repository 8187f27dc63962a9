"""Matrix completion from observed entries, by several algorithms (lesson 5).

Only some entries of X are known, those of the pairs (i, j) in Ω. Find U (m×k) and V (n×k) with
xᵢⱼ ≈ uᵢᵀvⱼ there, and predict the others. The rooms, in the order of reading:

    entries       Ω and its values, by row and by column
    problem       factors, biases, and the objective J that three algorithms lower
    als           exact least squares for U, then for V, and so on
    sgd           one entry at a time
    estimators    `ALS` and `SGD` with fit, predict and recommend
    bayesian      ALS plus noise, averaged
    implicit      ALS on clicks and counts, where all entries count
    cluster       half steps from disk, and factors from Apache Spark (lesson 7)

The third algorithm, all entries at once, is lesson 4's `descent_steps`. Each of the three starts
from any iterate of the others.
"""

from mflib.completion.als import ALSStep, als_steps
from mflib.completion.bayesian import BayesianALS, BayesianStep, bayesian_als_steps
from mflib.completion.entries import ObservedEntries
from mflib.completion.estimators import ALS, SGD
from mflib.completion.implicit import ImplicitALS, ImplicitProblem, implicit_als_steps
from mflib.completion.problem import BiasedFactors, CompletionProblem, initial_factors
from mflib.completion.sgd import SGDStep, sgd_steps
from mflib.factorization import Factors

__all__ = ["ALS", "SGD", "ALSStep", "BayesianALS", "BayesianStep", "ImplicitALS", "SGDStep"]
__all__ += ["als_steps", "bayesian_als_steps", "implicit_als_steps", "initial_factors", "sgd_steps"]
__all__ += ["BiasedFactors", "CompletionProblem", "Factors", "ImplicitProblem", "ObservedEntries"]
