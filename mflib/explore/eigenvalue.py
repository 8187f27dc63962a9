"""What does an eigenvalue of the transition T do to the states w₀Tᵗ? (lesson 6).

    T = r [[cos θ, sin θ], [−sin θ, cos θ]]      eigenvalues r exp(±iθ)
    w₀ = (1, 0),   w₀Tᵗ = rᵗ (cos tθ, sin tθ)    states are rows: W_{t+1} = Wₜ T

For θ = 0° and 180° both eigenvalues are the real number r or −r.
"""

from dataclasses import dataclass

import numpy as np

from mflib.explore.base import Choice, Explorer, Slider, even, place
from mflib.plotting import DATA, MODEL, PREDICTION, QUIET, circle, plane
from mflib.sequential import describe_eigenvalues
from mflib.sequential.transitions import roll_forward

STEPS = 40
BY_SLIDER, STEADY, WEEKLY, FLIPPING = "angle slider", "none: 0°", "a week: 360°/7", "flip: 180°"
ANGLES = {STEADY: 0.0, WEEKLY: 360 / 7, FLIPPING: 180.0}


@dataclass(frozen=True)
class StatePath:
    """The states for one pair of eigenvalues.

    `transition` (2, 2) has the eigenvalues `eigenvalue` and its conjugate; `path` (steps + 1, 2)
    holds the states, start first.
    """

    transition: np.ndarray
    eigenvalue: complex
    path: np.ndarray
    state: str
    message: str


def state_path(modulus: float, angle: float, rhythm: str, steps: int) -> StatePath:
    """Follow the states of a transition with the eigenvalues r exp(±iθ).

    Parameters
    ----------
    modulus : float
        r.
    angle : float
        θ in degrees, for the rhythm `BY_SLIDER`.
    rhythm : {BY_SLIDER, STEADY, WEEKLY, FLIPPING}
        Where the angle comes from: the others are 0°, 360°/7 and 180°.
    steps : int
        How many steps to take.
    """
    angle = ANGLES.get(rhythm, angle)
    x, y = modulus * np.cos(np.radians(angle)), modulus * np.sin(np.radians(angle))
    T = np.array([[x, y], [-y, x]])
    start = np.array([[[1.0, 0.0]]])
    path = np.concatenate([start, roll_forward(start, T[np.newaxis], (1,), steps)])[:, 0]
    state, message = _describe(modulus, angle, complex(x, y), path)
    return StatePath(
        transition=T, eigenvalue=complex(x, y), path=path, state=state, message=message
    )


def _describe(modulus, angle, eigenvalue, path):
    """Tell what the modulus and the angle do, and how long the last state is."""
    if modulus == 0:
        return "Gone at once", "λ = 0: T is zero, and so is every state after the start w₀"
    modes = describe_eigenvalues(eigenvalue)
    if modulus < 1:
        state = "Fades"
        size = f"|λ| = {modulus:.3g} < 1: half-life ln 2/(−ln |λ|) = {modes.half_life:.3g} steps"
    elif modulus == 1:
        state, size = "Stays", "|λ| = 1: the length of the state never changes"
    else:
        state = "Explodes"
        size = f"|λ| = {modulus:.3g} > 1: doubling time ln 2/ln |λ| = {-modes.half_life:.3g} steps"
    if angle == 0:
        turn = "arg λ = 0°: no oscillation"
    elif angle == 180:
        state = f"{state} and flips sign"
        turn = "arg λ = 180°: the sign flips at every step, period 2 steps"
    else:
        state = f"{state} and oscillates"
        turn = f"arg λ = {angle:.3g}°: period 360°/{angle:.3g}° = {modes.period:.3g} steps"
    n = len(path) - 1
    length = f"After {n} {'step' if n == 1 else 'steps'} the length is {np.hypot(*path[-1]):.3g}"
    return state, f"{size}; {turn}. {length}"


class EigenvalueExplorer(Explorer):
    """Drag an eigenvalue of T through the complex plane, see where the states go (lesson 6)."""

    controls = {
        "modulus": Slider("Modulus |λ|", even(0.0, 1.5, 0.01), 0.8),
        "angle": Slider("Angle arg λ (°)", even(0.0, 180.0, 1.0), 72.0),
        "rhythm": Choice("Rhythm", (BY_SLIDER, STEADY, WEEKLY, FLIPPING), BY_SLIDER),
        "steps": Slider("Steps", even(1, STEPS, 1), 20),
    }
    size = (10.6, 3.8)
    alt = (
        "Left: an eigenvalue of T and its conjugate in the complex plane, with the unit circle. "
        "Middle: the path of the states in the plane. Right: the first component of the state at "
        "each step, between its envelopes ±|λ|ᵗ."
    )
    play = "steps"
    grid = {
        "modulus": (0.0, 0.5, 0.8, 1.0, 1.05, 1.5),
        "angle": (0.0, 36.0, 72.0, 90.0, 120.0, 180.0),
        "steps": (1, 2, 3, 5, 10, 20, 30, 40),
    }
    compute = staticmethod(state_path)

    def draw(self, fig):
        """Make the two planes and the curve with its envelopes."""
        left, middle, right = fig.subplots(1, 3, width_ratios=[1, 1, 1.25])
        plane(left, 1.6)
        left.set(title="Eigenvalues of T", xlabel="real part", ylabel="imaginary part")
        left.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        left.plot(*circle(), color=QUIET, lw=1.2)
        plane(middle, 1)
        middle.set(title="States w₀Tᵗ")
        right.set(title="First component", xlabel="step t", xlim=(-1, STEPS + 1))
        right.set_box_aspect(0.8)  # as high as the planes
        right.axhline(0, color=QUIET, lw=0.8)

        moving = {"animated": True}
        self._axes = [middle.xaxis, middle.yaxis, right.yaxis]
        for axis in self._axes:
            axis.set_animated(True)
            axis.set_ticks([-1, 0, 1], ["−2 · 10⁷", "0", "2 · 10⁷"])  # leaves room for these
        (self._eigenvalue,) = left.plot([], [], "o", color=DATA, ms=10, mew=2, **moving)
        (self._conjugate,) = left.plot([], [], "o", color=DATA, ms=10, mew=2, mfc="none", **moving)
        self._name = left.text(0, 0, "λ", ha="center", va="center", **moving)
        (self._path,) = middle.plot([], [], ".-", color=MODEL, lw=1, **moving)
        middle.plot([1], [0], "o", color=MODEL, ms=12, mfc="none", mew=2, **moving)
        self._start = middle.text(0, 0, "w₀", color=MODEL, va="top", **moving)
        self._envelopes = [
            right.plot([], [], "--", color=PREDICTION, lw=1.5, **moving)[0] for _ in range(2)
        ]
        right.text(0.97, 0.93, "±|λ|ᵗ", color=PREDICTION, ha="right", transform=right.transAxes)
        (self._component,) = right.plot([], [], ".-", color=MODEL, lw=1, **moving)

    def update(self, result):
        """Move the eigenvalues, the path, the curve and its envelopes, and the axes with them."""
        x, y = result.eigenvalue.real, result.eigenvalue.imag
        self._eigenvalue.set_data([x], [y])
        self._conjugate.set_data([x], [-y])
        self._name.set_position((x + 0.22 if x < 1.2 else x - 0.22, y))
        farthest = np.abs(result.path).max()
        size = 10.0 ** np.floor(np.log10(farthest))
        limit = next(size * rung for rung in (1, 2, 5, 10) if farthest <= size * rung * (1 + 1e-9))
        for axis in self._axes:
            place(axis, -1.2 * limit, 1.2 * limit, [-limit, 0, limit])
        self._path.set_data(*result.path.T)
        self._start.set_position((1 + 0.08 * limit, -0.02 * limit))
        self._component.set_data(np.arange(len(result.path)), result.path[:, 0])
        t = np.arange(STEPS + 1)
        envelope = abs(result.eigenvalue) ** t
        for sign, line in zip((1, -1), self._envelopes, strict=True):
            line.set_data(t, sign * envelope)
