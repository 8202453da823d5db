"""First-order kinetics: how the body follows what is asked of it.

Heart rate after standing up, skin temperature after stepping outside and sweat after a run all approach their target
exponentially, with one time constant on the way up and another on the way down.
"""

import numpy as np

from simulator.noise import Floats, compiled


@compiled
def relax(target: Floats, rise_minutes: Floats, fall_minutes: Floats) -> Floats:
    """Minute means of a state that approaches ``target``, starting at its first value.

    The target is constant within a minute, for which the exponential is solved exactly, so time constants may be
    shorter than a minute.

    Args:
        target: float64 [n].
        rise_minutes: Time constant while the target lies above the state, [n] or [1], positive.
        fall_minutes: Time constant while it lies below, [n] or [1], positive.

    >>> relax(np.array([0.0, 1.0, 1.0]), np.array([1.0]), np.array([1.0])).round(4).tolist()
    [0.0, 0.3679, 0.7675]
    """
    out = np.empty(target.size)
    state = target[0]
    rise_changes = rise_minutes.size > 1
    fall_changes = fall_minutes.size > 1
    minutes = kept = 0.0
    for i in range(target.size):
        gap = state - target[i]
        before = minutes
        minutes = fall_minutes[i * fall_changes] if gap > 0.0 else rise_minutes[i * rise_changes]
        if minutes != before:
            kept = np.exp(-1.0 / minutes)
        out[i] = target[i] + gap * minutes * (1.0 - kept)
        state = target[i] + gap * kept
    return out


@compiled
def approach(state: float, target: float, minutes: float) -> tuple[float, float]:
    """A minute's mean, and the state at its end, of what approaches ``target`` with a time constant of ``minutes``.

    >>> approach(0.0, 1.0, 1.0)
    (0.36787944117144233, 0.6321205588285577)
    """
    gap = state - target
    if gap == 0.0:
        return target, target
    kept = np.exp(-1.0 / minutes)
    return target + gap * minutes * (1.0 - kept), target + gap * kept
