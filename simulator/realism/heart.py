"""How heart rate moves: its correlation with itself, its mean by the steps of the minute, and how fast it settles.

All are gathered day by day in sums, so that a dataset of any size is read once.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

LAGS_MINUTES: Final = (1, 10, 60)
STEP_BINS: Final = ("0", "1-20", "21-60", "61-100", ">100")  # those of the real recordings' notes
_STEP_EDGES: Final = (1, 21, 61, 101)
SETTLING_MINUTES: Final = 15  # of rest that are looked at; norm hr_settle_time says that 4 are enough
_SETTLED: Final = 0.1  # of what heart rate falls by in them, below which it is called stable; judgement
_LEVEL_MINUTES: Final = 6  # at the end of them, whose mean is the stable level; judgement
LEAST_MINUTES: Final = 20  # pairs of minutes below which a correlation says nothing


def lag_sums(minutes: NDArray[np.float32], lag: int) -> NDArray[np.float64]:
    """Count, sums, squares and product of minutes ``lag`` apart that are both there (NaN: not there)."""
    now, then = minutes[:-lag].astype(np.float64), minutes[lag:].astype(np.float64)
    both = ~np.isnan(now) & ~np.isnan(then)
    now, then = now[both], then[both]
    return np.array([len(now), now.sum(), then.sum(), now @ now, then @ then, now @ then])


def correlation_of(sums: NDArray[np.float64]) -> float:
    """Pearson's correlation from ``lag_sums``; NaN if undefined."""
    n, x, y, xx, yy, xy = sums
    if n < LEAST_MINUTES:
        return float("nan")
    spread = (xx - x * x / n) * (yy - y * y / n)
    return float((xy - x * y / n) / np.sqrt(spread)) if spread > 0 else float("nan")


@dataclass(slots=True)
class HeartSums:
    """One person's sums, to which days are added.

    Attributes:
        by_lag: ``lag_sums`` of all days, by lag in minutes; pairs of minutes do not reach over midnight.
        by_steps: [5, 2], count and sum of heart rate by bin of steps in the minute.
        by_rest: [SETTLING_MINUTES, 2], count and sum by minutes since the last step, in rests at least that long.
    """

    by_lag: dict[int, NDArray[np.float64]] = field(default_factory=lambda: {lag: np.zeros(6) for lag in LAGS_MINUTES})
    by_steps: NDArray[np.float64] = field(default_factory=lambda: np.zeros((len(STEP_BINS), 2)))
    by_rest: NDArray[np.float64] = field(default_factory=lambda: np.zeros((SETTLING_MINUTES, 2)))

    def add(self, heart_rate: NDArray[np.float32], steps: NDArray[np.float32]) -> None:
        """Add a day, NaN where not observed."""
        for lag, sums in self.by_lag.items():
            sums += lag_sums(heart_rate, lag)
        both = ~np.isnan(heart_rate) & ~np.isnan(steps)
        band = np.digitize(steps[both], _STEP_EDGES)
        self.by_steps[:, 0] += np.bincount(band, minlength=len(STEP_BINS))
        self.by_steps[:, 1] += np.bincount(band, heart_rate[both], minlength=len(STEP_BINS))
        self._add_rest(heart_rate, steps)

    def _add_rest(self, heart_rate: NDArray[np.float32], steps: NDArray[np.float32]) -> None:
        at = np.arange(len(steps))
        stepping = ~(steps == 0)  # a minute without a count ends a rest too
        last = np.maximum.accumulate(np.where(stepping, at, -len(at)))
        following = np.minimum.accumulate(np.where(stepping, at, len(at))[::-1])[::-1]
        since = at - last
        counted = (since <= SETTLING_MINUTES) & (since > 0) & (following - last > SETTLING_MINUTES)
        counted &= ~np.isnan(heart_rate) & (steps[np.maximum(last, 0)] > 0)
        place = since[counted] - 1
        self.by_rest[:, 0] += np.bincount(place, minlength=SETTLING_MINUTES)
        self.by_rest[:, 1] += np.bincount(place, heart_rate[counted], minlength=SETTLING_MINUTES)

    def settling_minutes(self) -> float:
        """Minutes of rest until heart rate is within a tenth of its fall from its level; NaN if it does not tell."""
        count, total = self.by_rest.T
        if count.min() < LEAST_MINUTES:
            return float("nan")
        mean = total / count
        above = mean - mean[-_LEVEL_MINUTES:].mean()
        return float(np.argmax(above <= _SETTLED * above[0]) + 1) if above[0] > 0 else float("nan")

    def autocorrelation(self, lag: int) -> float:
        """Correlation of heart rate with itself ``lag`` minutes later; NaN if there is too little of it."""
        return correlation_of(self.by_lag[lag])


def summary(people: list[HeartSums]) -> dict[str, dict[str, float | None] | float | None]:
    """``autocorrelation`` by lag (the median of people), mean ``heart_rate_by_steps``, and the ``stepless_share``.

    None where nobody tells.
    """
    count, total = sum((person.by_steps for person in people), np.zeros((len(STEP_BINS), 2))).T
    found: dict[str, dict[str, float | None] | float | None] = {
        "autocorrelation": {str(lag): _median([p.autocorrelation(lag) for p in people]) for lag in LAGS_MINUTES},
        "heart_rate_by_steps": {
            name: float(total[i] / count[i]) if count[i] else None for i, name in enumerate(STEP_BINS)
        },
        "stepless_share": float(count[0] / count.sum()) if count.sum() else None,
    }
    return found


def _median(values: list[float]) -> float | None:
    there = [value for value in values if np.isfinite(value)]
    return float(np.median(there)) if there else None
