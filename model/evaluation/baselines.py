"""Simple ways to fill a gap: mean, nearest, last value, linear (LSM-1 appendix F.2), a kernel, a person's usual day.

Each takes z-scored windows [n, signals, minutes] and bool ``known`` of the same shape, and returns the windows with
every unknown cell filled; a signal with nothing known in a window is filled with 0, the population's mean.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.windows import Days

Values = NDArray[np.float32]
Known = NDArray[np.bool_]
Fill = Callable[[Values, Known], Values]


def mean(values: Values, known: Known) -> Values:
    """The mean of what is known of the signal in the window."""
    count = known.sum(-1, keepdims=True)
    average = np.where(known, values, 0).sum(-1, keepdims=True) / np.maximum(count, 1)
    return np.where(known, values, average.astype(np.float32))


def last(values: Values, known: Known) -> Values:
    """The last known value; before the first, the first (back-fill)."""
    previous, following = _neighbours(known)
    return _at(values, np.where(previous >= 0, previous, following))


def nearest(values: Values, known: Known) -> Values:
    """The nearest known value in time; the earlier one on a tie."""
    previous, following = _neighbours(known)
    minutes = known.shape[-1]
    minute = np.arange(minutes)
    back = np.where(previous >= 0, minute - previous, 2 * minutes)
    ahead = np.where(following >= 0, following - minute, 2 * minutes)
    return _at(values, np.where(back <= ahead, previous, following))


def linear(values: Values, known: Known) -> Values:
    """A straight line between the known values around the gap; flat beyond the first and last one."""
    previous, following = _neighbours(known)
    previous, following = np.where(previous >= 0, previous, following), np.where(following >= 0, following, previous)
    left, right = _at(values, previous), _at(values, following)
    position = (np.arange(known.shape[-1]) - previous) / np.maximum(following - previous, 1)
    return np.asarray(left + (right - left) * position, dtype=np.float32)


def kernel(values: Values, known: Known, reach_minutes: float = 30.0) -> Values:
    """Mean of the known values, weighted by exp(-lag / reach): what a smoother without training does.

    The masked autoencoder starts its predictions from such averages, so this is what it has to beat.
    """
    minute = np.arange(known.shape[-1])
    weight = np.exp(-np.abs(minute[:, None] - minute) / reach_minutes)
    count = known.astype(np.float64) @ weight
    average = (np.where(known, values, 0) @ weight) / np.maximum(count, 1e-300)
    return np.where(known, values, average.astype(np.float32))


FILLS: Final[dict[str, Fill]] = {"mean": mean, "nearest": nearest, "last": last, "linear": linear, "kernel": kernel}


def diurnal(values: Values, known: Known, usual: Values) -> Values:
    """The person's usual course, moved up or down to meet what is known of the window.

    Args:
        values: Windows, [n, signals, minutes].
        known: bool, same shape.
        usual: ``usual_course`` of the windows; NaN where there is none, where the window's mean is taken.
    """
    both = known & np.isfinite(usual)
    apart = np.where(both, values - usual, 0).sum(-1, keepdims=True) / np.maximum(both.sum(-1, keepdims=True), 1)
    moved = usual + apart
    return np.where(known, values, np.where(np.isfinite(moved), moved, mean(values, known))).astype(np.float32)


def usual_course(days: Days, windows: NDArray[np.int64], minutes: int, smoothing_minutes: int = 31) -> Values:
    """What the same person showed at the same clock time on other days, [n, 26, minutes].

    The mean over the person's other days and ``smoothing_minutes`` around each minute; NaN where the person has no
    other day with that signal at that time.
    """
    people, person = np.unique(np.asarray(days.person), return_inverse=True)
    n_signals, length = days.values.shape[1:]
    total = np.zeros((len(people), n_signals, length), dtype=np.float32)
    count = np.zeros_like(total)
    np.add.at(total, person, np.where(days.observed, days.values, np.float32(0)))
    np.add.at(count, person, days.observed)
    day = windows[:, 0]
    own = np.where(days.observed[day], days.values[day], np.float32(0))
    others_total = _box(total[person[day]] - own, smoothing_minutes)
    others_count = _box(count[person[day]] - days.observed[day], smoothing_minutes)
    usual = np.where(others_count > 0.5, others_total / np.maximum(others_count, 1), np.nan)
    columns = windows[:, 1, None] + np.arange(minutes)
    return np.take_along_axis(usual, columns[:, None, :], axis=2).astype(np.float32)


def _box(x: NDArray[np.float32], width: int) -> NDArray[np.float64]:
    """Moving sum of odd ``width`` along the last axis; the ends see less."""
    half = width // 2
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (half + 1, half)))
    sums = np.cumsum(padded, axis=-1)
    return np.asarray(sums[..., width:] - sums[..., :-width])


def _neighbours(known: Known) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Index of the last known minute up to each minute and of the next from it on; -1 where there is none."""
    minutes = known.shape[-1]
    minute = np.arange(minutes)
    previous = np.maximum.accumulate(np.where(known, minute, -1), axis=-1)
    following = np.minimum.accumulate(np.where(known, minute, minutes)[..., ::-1], axis=-1)[..., ::-1]
    return previous, np.where(following < minutes, following, -1)


def _at(values: Values, index: NDArray[np.int64]) -> Values:
    """Values at ``index`` along time; 0 where the index is -1."""
    return np.where(index >= 0, np.take_along_axis(values, np.maximum(index, 0), axis=-1), np.float32(0))
