"""Simple ways to fill a gap (LSM-1 appendix F.2): mean, nearest, last value, linear, and a person's own usual day.

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


FILLS: Final[dict[str, Fill]] = {"mean": mean, "nearest": nearest, "last": last, "linear": linear}


def diurnal(days: Days, windows: NDArray[np.int64], minutes: int, smoothing_minutes: int = 31) -> Values:
    """What the same person showed at the same clock time on other days, [n, 26, minutes].

    The mean over the person's other days and ``smoothing_minutes`` around each minute; where the person has no other
    day with that signal at that time, 0.
    """
    people, person = np.unique(np.asarray(days.person), return_inverse=True)
    n_signals, length = days.values.shape[1:]
    total = np.zeros((len(people), n_signals, length), dtype=np.float32)
    count = np.zeros_like(total)
    np.add.at(total, person, days.values)
    np.add.at(count, person, days.observed)
    day = windows[:, 0]
    others_total = _box(total[person[day]] - days.values[day], smoothing_minutes)
    others_count = _box(count[person[day]] - days.observed[day], smoothing_minutes)
    usual = np.where(others_count > 0.5, others_total / np.maximum(others_count, 1), 0)
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
