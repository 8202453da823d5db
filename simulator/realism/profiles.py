"""Pictures in numbers: the day by the clock, the hours around activities, and how the 26 signals go together.

What LSM-1 shows in Fig. 10 (correlation of signals) and Fig. 14 (average features by activity), and what a physiologist
looks at first: heart rate, steps, skin temperature and skin conductance through the day, with their spread over people.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.recording import Recording
from simulator.signals import INDEX, MINUTES_PER_DAY, N_SIGNALS

CLOCK_SIGNALS: Final = ("heart_rate", "steps", "skin_temperature", "scl", "rmssd", "log_energy")
ACTIVITY_SIGNALS: Final = ("heart_rate", "steps", "log_energy", "rmssd")  # those of LSM-1, Fig. 14
CLOCK_BINS: Final = 48  # of half an hour
BEFORE_MINUTES: Final = 60  # of an activity's start
AFTER_MINUTES: Final = 150
STEP_MINUTES: Final = 3  # of the curves; averaged within
BANDS: Final = ("p10", "p50", "p90")  # over people
LEAST_BOUTS: Final = 5  # below which an average curve is noise; judgement

_CLOCK: Final = [INDEX[name] for name in CLOCK_SIGNALS]
_ACTIVITY: Final = [INDEX[name] for name in ACTIVITY_SIGNALS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiles:
    """What the plots are drawn from.

    Attributes:
        clock: By signal and "p10", "p50" or "p90" over people, 48 half hours; None where nobody has any.
        activities: By label: "bouts", and by signal a value every ``STEP_MINUTES`` from ``BEFORE_MINUTES`` before the
            start to ``AFTER_MINUTES`` after it; None where nobody has any.
        correlation: [26][26], Pearson's, of minutes where both signals are there; None where undefined.
    """

    clock: Mapping[str, Mapping[str, list[float | None]]]
    activities: Mapping[str, Mapping[str, list[float | None] | int]]
    correlation: list[list[float | None]]


@dataclass(slots=True)
class ProfileSums:
    """Sums on their way to ``Profiles``.

    Attributes:
        clock: By person, [2, signals, 48]: count and sum.
        activities: By label, [2, signals, points]: count and sum.
        bouts: By label.
    """

    clock: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    activities: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    bouts: dict[str, int] = field(default_factory=dict)

    def add(self, recording: Recording, code: int) -> None:
        """Add a day."""
        there = recording.observed[_CLOCK].reshape(len(_CLOCK), CLOCK_BINS, -1)
        values = np.where(there, recording.values[_CLOCK].reshape(there.shape), np.float32(0))
        sums = self.clock.setdefault(code, np.zeros((2, len(_CLOCK), CLOCK_BINS)))
        sums += [there.sum(axis=2), values.sum(axis=2, dtype=np.float64)]
        for event in recording.events:
            begin = event.start_minute - BEFORE_MINUTES
            if event.kind == "activity" and begin >= 0 and event.start_minute + AFTER_MINUTES <= MINUTES_PER_DAY:
                self._around(recording, event.label, slice(begin, event.start_minute + AFTER_MINUTES))

    def _around(self, recording: Recording, label: str, cut: slice) -> None:
        there = recording.observed[_ACTIVITY, cut]
        values = np.where(there, recording.values[_ACTIVITY, cut], np.float32(0))
        points = (len(_ACTIVITY), (BEFORE_MINUTES + AFTER_MINUTES) // STEP_MINUTES, STEP_MINUTES)
        sums = self.activities.setdefault(label, np.zeros((2, *points[:2])))
        sums += [there.reshape(points).sum(axis=2), values.reshape(points).sum(axis=2, dtype=np.float64)]
        self.bouts[label] = self.bouts.get(label, 0) + 1

    def profiles(self, windows: NDArray[np.float32]) -> Profiles:
        """The pictures.

        Args:
            windows: float32 [n, 26, 300], NaN where missing, from which signals are correlated.
        """
        clock: dict[str, dict[str, list[float | None]]] = {}
        everybody = np.array(list(self.clock.values())).reshape(-1, 2, len(_CLOCK), CLOCK_BINS)
        count, total = everybody[:, 0], everybody[:, 1]
        means = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        for i, name in enumerate(CLOCK_SIGNALS):
            columns = [column[~np.isnan(column)] for column in means[:, i].T]
            clock[name] = {
                band: [float(np.quantile(column, int(band[1:]) / 100)) if len(column) else None for column in columns]
                for band in BANDS
            }
        activities: dict[str, dict[str, list[float | None] | int]] = {}
        for label, sums in sorted(self.activities.items(), key=lambda pair: -self.bouts[pair[0]]):
            if self.bouts[label] < LEAST_BOUTS:
                continue
            curves: dict[str, list[float | None] | int] = {"bouts": self.bouts[label]}
            for i, name in enumerate(ACTIVITY_SIGNALS):
                curves[name] = [
                    round(float(t / n), 4) if n else None for n, t in zip(sums[0, i], sums[1, i], strict=True)
                ]
            activities[label] = curves
        return Profiles(clock=clock, activities=activities, correlation=correlations(windows))


def correlations(windows: NDArray[np.float32]) -> list[list[float | None]]:
    """Pearson's correlation of every two signals over the minutes where both are there.

    Args:
        windows: float32 [n, 26, minutes], NaN where missing.

    Returns:
        [26][26]; None where fewer than two minutes hold both, or one of them does not vary.
    """
    n, x, xx, xy = (np.zeros((N_SIGNALS, N_SIGNALS)) for _ in range(4))
    level = np.array([float(np.nanmean(w)) if not np.isnan(w).all() else 0.0 for w in windows.swapaxes(0, 1)])
    for window in windows:  # a few thousand of them
        there = (~np.isnan(window)).astype(np.float64)
        values = np.nan_to_num(window.astype(np.float64) - level[:, None])
        n += there @ there.T
        x += values @ there.T
        xx += values**2 @ there.T
        xy += values @ values.T
    with np.errstate(divide="ignore", invalid="ignore"):  # signals that are never there together become None
        mean = x / n
        spread = np.sqrt(np.maximum(xx / n - mean**2, 0))
        found = (xy / n - mean * mean.T) / (spread * spread.T)
    return [[round(float(r), 4) if np.isfinite(r) else None for r in row] for row in found]
