"""Five-hour windows as LSM-1 cut them, and how far simple rules miss a gap blanked in them.

Narayanswamy, Liu et al., arXiv:2410.13638, as the text has it:

* section 3.2: ten windows a person, at random times; none is left out for what it lacks. Here: any with some data.
* section 3.1: all signals z-scored over the set; then, "as the masked autoencoder cannot process missing data, we
  imputed minutes that had missing values": "missing data between valid data points was linearly interpolated, and
  leading missing minutes were backfilled". What trails after a signal's last value is not mentioned.
* appendix F.2: a gap blanked in all signals is filled by the mean of what the window has, the nearest value, or a
  straight line, which without a far side is the nearest value; "in the rare cases where the sensor feature is
  completely missing, the feature values are replaced with zeros". Its truth then is 0 too, as the model saw it.

Not told: where an interpolation gap lies (here: at random, a minute or more from either end), whether minutes that
were filled count (here: they do), and what was done with those that trail. An error is a mean over all cells that
count. Signals that no window of a set has, as with other devices, are left out.

Were trailing minutes held at the last value, as ``pandas.interpolate`` does, and scored? The paper's numbers say no.
Write D(l) for the mean of (x(t + l) - x(t))^2. Inside a gap of 2 T minutes the nearest value is 1 to T minutes away on
either side, at the end of a window it is 1 to T minutes away from a gap of T. So for windows at random times, with
every minute scored, "nearest" errs by the mean of D(1), ..., D(T) in both, whatever the signals are. In the table those
at the end are 1.2 to 1.4 times those inside, and no curve D meets both within 16 %. Where minutes without a value of
their own are not scored, windows end with the signals that are moving just then, and the two may differ. That they were
not is inferred from the table, not read; ``READINGS`` keeps the other ways beside it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.randomness import stream
from simulator.realism.statistics import NotComputableError, Sample, sample
from simulator.recording import Recording
from simulator.signals import INDEX, MINUTES_PER_DAY, N_SIGNALS

WINDOW_MINUTES: Final = 300  # section 3.1
WINDOWS_EACH: Final = 10  # section 3.2
METHODS: Final = ("mean", "nearest", "linear")
METRICS: Final = ("mae", "mse")
READINGS: Final = {
    "unscored": "minutes after a signal's last value in the window are neither known nor scored",
    "lacking": "as unscored; nor is a signal scored, as zeros, in a window that lacks it",
    "held": "minutes after it hold that value, and are scored",
    "horizon": "as held; at the end of a window, the gap's last minute alone is scored",
}
"""What the paper's errors may be of; the first is the one that norms are held against."""
READING: Final = next(iter(READINGS))
PLACES: Final = 4  # of the gap inside each window, averaged; the paper's one place, with less noise
_AT_ONCE: Final = 256  # windows worked on together, to bound memory

Windows = NDArray[np.float32]


@dataclass(slots=True)
class PersonWindows:
    """Random windows of one person, gathered day by day; they may reach over midnight.

    Attributes:
        each: Most that are kept.
        days: How many days there are of the person.
        kept: (rank, float32 [26, 300] with NaN where missing); those of the lowest ranks among all that hold data.
    """

    each: int
    days: int
    kept: list[tuple[float, Windows]] = field(default_factory=list)
    _day: int = field(default=-2, init=False)  # of ``_last``
    _last: Windows | None = field(default=None, init=False)
    _open: list[tuple[float, int]] = field(default_factory=list, init=False)

    def add(self, recording: Recording) -> None:
        """Look at one more day; days come in order."""
        now = np.where(recording.observed, recording.values, np.float32(np.nan))
        latest = MINUTES_PER_DAY - WINDOW_MINUTES
        if self._last is not None and recording.day == self._day + 1:
            for rank, start in self._open:
                self._offer(rank, np.hstack([self._last[:, start:], now[:, : start - latest]]))
        self._open = []
        drawn = stream(0, "realism", "window", recording.person, recording.day)
        for rank, place in drawn.random((2 * self.each // self.days + 2, 2)):
            start = int(place * MINUTES_PER_DAY)
            if start <= latest:
                self._offer(rank, now[:, start : start + WINDOW_MINUTES])
            else:
                self._open.append((rank, start))
        self._last, self._day = now, recording.day

    def _offer(self, rank: float, window: Windows) -> None:
        if len(self.kept) == self.each and rank >= self.kept[-1][0]:
            return
        there = ~np.isnan(window)
        there[INDEX["on_wrist"]] = False  # that it is off the wrist is no data of a person
        if there.any():
            self.kept.append((rank, window.copy()))
            self.kept.sort(key=lambda pair: pair[0])
            del self.kept[self.each :]


def filled(windows: Windows) -> Windows:
    """Gaps of each row replaced by a straight line, at the ends by the nearest value; rows without a value stay NaN.

    Args:
        windows: float32 [..., minutes], NaN where missing.
    """
    minutes = windows.shape[-1]
    there = ~np.isnan(windows)
    at = np.arange(minutes, dtype=np.int32)
    before = np.maximum.accumulate(np.where(there, at, -1), axis=-1)
    after = np.minimum.accumulate(np.where(there, at, minutes)[..., ::-1], axis=-1)[..., ::-1]
    left = np.where(before < 0, np.minimum(after, minutes - 1), before)
    right = np.where(after == minutes, left, after)
    a, b = np.take_along_axis(windows, left, -1), np.take_along_axis(windows, right, -1)
    share = (at - left) / np.maximum(right - left, 1)
    line: Windows = np.where(there, windows, a + (b - a) * np.clip(share, 0, 1)).astype(np.float32)
    return line


def standardised_windows(windows: Windows) -> Windows:
    """Windows z-scored by signal over all minutes that are there, then filled; a signal that a window lacks is 0.

    Args:
        windows: float32 [n, signals, minutes], NaN where missing.

    Returns:
        The same shape; NaN for a signal that no window has.
    """
    count, total, square = (np.zeros(windows.shape[1]) for _ in range(3))
    for part in _parts(windows):
        there = ~np.isnan(part)
        values = np.where(there, part, 0).astype(np.float64)
        count += there.sum(axis=(0, 2))
        total += values.sum(axis=(0, 2))
    level = total / np.maximum(count, 1)
    for part in _parts(windows):
        square += np.nansum((part - level[:, None]) ** 2, axis=(0, 2))
    spread = np.sqrt(square / np.maximum(count, 1))
    scale = np.where(spread > 0, spread, 1)
    scaled = np.empty_like(windows)
    for i, part in enumerate(_parts(windows)):
        z = filled(((part - level[:, None]) / scale[:, None]).astype(np.float32))
        scaled[i * _AT_ONCE : (i + 1) * _AT_ONCE] = np.nan_to_num(z)
    scaled[:, count == 0] = np.nan
    return scaled


def _parts(windows: Windows) -> Iterator[Windows]:
    for start in range(0, len(windows), _AT_ONCE):
        yield windows[start : start + _AT_ONCE]


def gap_places(n: int, gap: int, minutes: int, place: int) -> NDArray[np.int64]:
    """Where the gap begins in each of ``n`` windows: at least a minute from either end; another for each ``place``."""
    return stream(0, "realism", "gap", gap, n, place).integers(1, minutes - gap, n)


def gap_errors(
    windows: Windows, start: NDArray[np.int64], gap: int, last: NDArray[np.int64] | None = None
) -> dict[str, Windows]:
    """What each rule of ``METHODS`` puts into a blanked gap, less what was there.

    Args:
        windows: [n, signals, minutes], minutes after the last value holding it.
        start: [n], the first minute blanked in each; a gap that reaches the end has no far side.
        gap: Minutes blanked, the same for all signals of a window.
        last: [n, signals], the last minute that may be known; None: all may.

    Returns:
        [n, signals, gap] by rule: "mean" of the rest of the window, "nearest" value, "linear" between both sides.
    """
    n, signals, minutes = windows.shape
    if last is None:
        last = np.full((n, signals), minutes - 1)
    hidden = np.empty((n, signals, gap), dtype=np.float32)
    before, after = (np.empty((n, signals, 1), dtype=np.float32) for _ in range(2))
    for at in np.unique(start):
        rows = start == at
        hidden[rows] = windows[rows, :, at : at + gap]
        before[rows] = windows[rows, :, at - 1 : at]
        after[rows] = windows[rows, :, min(at + gap, minutes - 1)][:, :, None]
    end = start[:, None] + gap
    after = np.where((end <= last)[:, :, None], after, before)
    place = ((np.arange(gap) + 1) / (gap + 1)).astype(np.float32)
    unknown = minutes - 1 - last - np.clip(end - np.maximum(start[:, None], last + 1), 0, gap)  # outside the gap
    trailing = np.take_along_axis(windows, last[:, :, None], axis=2)[:, :, 0] * unknown
    known = minutes - gap - unknown
    level = (windows.sum(axis=2) - hidden.sum(axis=2) - trailing) / np.maximum(known, 1)
    level = np.where(known > 0, level, 0).astype(np.float32)[:, :, None]
    return {
        "mean": level - hidden,
        "nearest": np.where(place <= 0.5, before, after) - hidden,
        "linear": before + (after - before) * place - hidden,
    }


def last_minutes(windows: Windows) -> NDArray[np.int64]:
    """The last minute at which each signal of each window has a value; the window's last for one that has none.

    Args:
        windows: float32 [n, signals, minutes], NaN where missing.

    Returns:
        [n, signals].
    """
    there = ~np.isnan(windows)
    last: NDArray[np.int64] = windows.shape[-1] - 1 - np.argmax(there[..., ::-1], axis=-1)
    return last


@dataclass(slots=True)
class GapScores:
    """Errors of the rules by gap, each computed when first asked for.

    Attributes:
        windows: As ``standardised_windows`` gives them.
        last: [n, signals], as ``last_minutes`` gives them for the windows before they were filled.
        lacks: bool [n, signals], True where a window has no value of a signal.
    """

    windows: Windows
    last: NDArray[np.int64]
    lacks: NDArray[np.bool_]
    _known: dict[tuple[int, bool], dict[tuple[str, str], NDArray[np.float64]]] = field(default_factory=dict, init=False)

    @classmethod
    def of_windows(cls, windows: Windows) -> "GapScores":
        """Of windows as they were cut, NaN where missing."""
        lacks = np.asarray(np.isnan(windows).all(axis=2))
        return cls(standardised_windows(windows), last_minutes(windows), lacks)

    def of(self, gap: int, method: str, *, inside: bool, reading: str = READING) -> NDArray[np.float64]:
        """Sums of a rule's absolute and squared errors, and how many minutes they are of, by window and signal.

        Args:
            gap: Minutes blanked.
            method: See ``gap_errors``.
            inside: True blanks somewhere within, at ``PLACES`` places; False blanks the end.
            reading: One of ``READINGS``.

        Returns:
            [3, n, signals]; zeros where no minute counts, and for a signal that no window has.

        Raises:
            NotComputableError: If the rule is unknown.
        """
        if method not in METHODS:
            raise NotComputableError(f"fill {method!r} is not known, expected mean, nearest or linear")
        if (gap, inside) not in self._known:
            self._known[gap, inside] = self._scores(gap, inside=inside)
        return self._known[gap, inside][method, reading]

    def _scores(self, gap: int, *, inside: bool) -> dict[tuple[str, str], NDArray[np.float64]]:
        n, signals, minutes = self.windows.shape
        places = PLACES if inside else 1
        sums = {(method, reading): np.zeros((3, n, signals)) for method in METHODS for reading in READINGS}
        for place in range(places):
            start = gap_places(n, gap, minutes, place) if inside else np.full(n, minutes - gap)
            order = np.argsort(start, kind="stable")  # windows blanked at the same place are worked on together
            for i in range(0, n, _AT_ONCE):
                rows = order[i : i + _AT_ONCE]
                last = self.last[rows]
                told = (start[rows, None] + np.arange(gap))[:, None, :] <= last[:, :, None]
                for method, errors in gap_errors(self.windows[rows], start[rows], gap, last).items():
                    sums[method, "unscored"][:, rows] += _added(np.where(told, errors, 0), told.sum(axis=2))
                for method, errors in gap_errors(self.windows[rows], start[rows], gap).items():
                    sums[method, "held"][:, rows] += _added(errors)
                    sums[method, "horizon"][:, rows] += _added(errors if inside else errors[:, :, -1:])
        for method in METHODS:
            sums[method, "lacking"] = np.where(self.lacks, 0, sums[method, "unscored"])
        nowhere = self.lacks.all(axis=0)
        for table in sums.values():
            table[:, :, nowhere] = 0
        return sums


def _added(errors: Windows, count: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Sums of absolute and squared errors over minutes, and how many they are of (None: all): [3, n, signals]."""
    absolute, square = np.abs(errors).sum(axis=2), np.einsum("ijk,ijk->ij", errors, errors)
    return np.stack([absolute, square, np.full(absolute.shape, errors.shape[2]) if count is None else count])


def error_of_windows(scores: NDArray[np.float64], metric: str, person: NDArray[np.int64]) -> Sample:
    """The error of each window over its cells that count, which it stands for in a mean over windows.

    Args:
        scores: [3, n, signals] of ``GapScores.of``, or some of its signals.
        metric: One of ``METRICS``.
        person: [n], whose the windows are.
    """
    sums = scores.sum(axis=2)
    with np.errstate(invalid="ignore"):  # a window that is over before the gap
        return sample(sums[METRICS.index(metric)] / sums[2], person, weight=sums[2])


def changes(windows: Windows, lags: Sequence[int]) -> NDArray[np.float64]:
    """D(l): how far a signal moves in ``l`` minutes, squared, on average.

    Args:
        windows: As ``standardised_windows`` gives them.
        lags: In minutes, shorter than a window.

    Returns:
        [lags, signals].
    """
    found = np.zeros((len(lags), windows.shape[1]))
    for part in _parts(windows):
        for i, lag in enumerate(lags):
            moved = part[:, :, lag:] - part[:, :, :-lag]
            found[i] += np.einsum("ijk,ijk->j", moved, moved) / (moved.shape[2] * len(windows))
    return found


def no_windows() -> Windows:
    """An empty set."""
    return np.zeros((0, N_SIGNALS, WINDOW_MINUTES), dtype=np.float32)
