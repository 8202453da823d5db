"""The fingerprint of LSM-1's generative baselines: how far simple rules miss a blanked gap of a five-hour window.

Narayanswamy, Liu et al., arXiv:2410.13638, section 4: windows of 26 x 300 are filled linearly and z-scored, a gap is
blanked within or at the end, and filled by the window's mean, the nearest value or a straight line. The errors say how
much variance lies between windows and how smoothly signals move, all 26 together.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.randomness import stream
from simulator.realism.statistics import NotComputableError


def standardised_windows(windows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Five-hour windows filled as LSM-1 did (linearly, ends from the nearest value), then z-scored by signal.

    Args:
        windows: float32 [n, 26, 300], NaN where missing.

    Returns:
        The same shape; NaN only for a signal that a window has no value of.
    """
    n, signals, minutes = windows.shape
    table = pd.DataFrame(windows.reshape(n * signals, minutes).T.astype(np.float64))
    filled = table.interpolate(limit_direction="both").to_numpy().T.reshape(n, signals, minutes)
    there = np.isfinite(filled)
    count = np.maximum(there.sum(axis=(0, 2)), 1)
    level = np.where(there, filled, 0).sum(axis=(0, 2)) / count
    centred = filled - level[:, None]
    spread = np.sqrt(np.where(there, centred**2, 0).sum(axis=(0, 2)) / count)
    scaled: NDArray[np.float64] = centred / np.where(spread > 0, spread, np.nan)[:, None]
    return scaled


def gap_errors(windows: NDArray[np.float64], gap: int, method: str, *, inside: bool) -> NDArray[np.float64]:
    """What a rule puts into a blanked gap, less what was there.

    Args:
        windows: [n, signals, minutes].
        gap: Minutes blanked, the same for all signals of a window.
        method: "mean" of the rest of the window, "nearest" value, or "linear" between both sides.
        inside: True blanks somewhere within, at a place drawn for each window; False blanks the end.

    Returns:
        [n, signals, gap].

    Raises:
        NotComputableError: If the rule is unknown.
    """
    n, _, minutes = windows.shape
    start = np.full(n, minutes - gap)
    if inside:
        start = stream(0, "realism", "gap", gap, n).integers(1, minutes - gap, n)
    at = np.broadcast_to((start[:, None] + np.arange(gap))[:, None, :], (n, windows.shape[1], gap))
    hidden = np.take_along_axis(windows, at, axis=2)
    before = np.take_along_axis(windows, at[:, :, :1] - 1, axis=2)
    after = before if not inside else np.take_along_axis(windows, at[:, :, -1:] + 1, axis=2)
    place = (np.arange(gap) + 1) / (gap + 1)
    if method == "mean":
        guess = (windows.sum(axis=2) - hidden.sum(axis=2))[:, :, None] / (minutes - gap)
    elif method == "nearest":
        guess = np.where(place <= 0.5, before, after)
    elif method == "linear":
        guess = before + (after - before) * place
    else:
        raise NotComputableError(f"fill {method!r} is not known, expected mean, nearest or linear")
    errors: NDArray[np.float64] = guess - hidden
    return errors
