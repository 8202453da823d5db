"""Days -> normalised windows: the one border between recordings and tensors.

A window is a stretch of one person-day, all 26 signals, aligned to ten minutes. Values are z-scores by constants
of a public cohort; what was not observed is 0 and says so in ``observed``. Nothing beyond this file meets a gap
in any other form.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from simulator.cohort import Cohort
from simulator.noise import compiled
from simulator.randomness import stream
from simulator.recording import DataError, Recording
from simulator.signals import MINUTES_PER_DAY, N_SIGNALS, NAMES

WINDOW_STRIDE_MINUTES = 10  # windows start on the grid of patches
_TURNS = 20  # of people without a usable window, before something must be wrong with all
MIN_OBSERVED_SHARE = 0.2  # LSM-2 leaves out days that lack more than 80 % of their cells (lsm-2 blog, range 2-80 %)


@dataclass(frozen=True, slots=True)
class Normaliser:
    """Global z-score per signal (LSM-1 section 3.1), clipped; constants come from a public cohort, never a private one.

    Skin conductance slope, kurtosis and pressure have tails of tens of standard deviations, which would otherwise be
    all that a squared error speaks of; SensorFM clips at 5, too (arXiv:2605.22759). All scores are in these units.

    Attributes:
        mean: One number a signal, in the signal's unit.
        sd: One positive number a signal, in the signal's unit.
        clip_z: Largest absolute z-score.
    """

    mean: tuple[float, ...]
    sd: tuple[float, ...]
    clip_z: float = 5.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(self.mean))  # JSON has lists
        object.__setattr__(self, "sd", tuple(self.sd))
        for field, numbers in (("mean", self.mean), ("sd", self.sd)):
            if len(numbers) != N_SIGNALS or not np.isfinite(numbers).all():
                raise DataError(f"normaliser: {field} has {len(numbers)} numbers, expected {N_SIGNALS} finite ones")
        if min(self.sd) <= 0:
            raise DataError(f"normaliser: sd {min(self.sd)} of {NAMES[int(np.argmin(self.sd))]} is not positive")
        if not self.clip_z > 0:
            raise DataError(f"normaliser: clip_z {self.clip_z} is not positive")

    @classmethod
    def fit(cls, recordings: Iterable[Recording]) -> Self:
        """Mean and standard deviation over all observed cells; a signal never seen gets 0 and 1.

        Sums are kept about the first day's mean, so that a large offset costs no digits.
        """
        count, first, total, squares = (np.zeros(N_SIGNALS) for _ in range(4))
        for recording in recordings:
            observed = recording.observed
            values = np.where(observed, recording.values, 0).astype(np.float64)
            n = observed.sum(axis=1)
            first = np.where((count == 0) & (n > 0), values.sum(axis=1) / np.maximum(n, 1), first)
            centred = np.where(observed, values - first[:, None], 0)
            count += n
            total += centred.sum(axis=1)
            squares += (centred**2).sum(axis=1)
        if not count.any():
            raise DataError("normaliser: no observed cell in any recording")
        seen = np.maximum(count, 1)
        variance = squares / seen - (total / seen) ** 2
        sd = np.sqrt(np.where(variance > 1e-12, variance, 1.0))
        return cls(tuple((first + total / seen).tolist()), tuple(sd.tolist()))

    def apply(self, values: NDArray[np.float32], observed: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Measured values [..., 26, minutes] -> clipped z-scores of the same shape, 0 where not observed."""
        z = np.empty(values.shape, np.float32)
        arrays = (values, np.broadcast_to(observed, values.shape), z)
        for day, known, out in zip(*(array.reshape(-1, N_SIGNALS, values.shape[-1]) for array in arrays), strict=True):
            self._write(day, known, out)
        return z

    def _write(
        self, values: NDArray[np.float32], observed: NDArray[np.bool_], z: NDArray[np.float32], start: int = 0
    ) -> None:
        """As ``apply``, of a day's minutes from ``start`` on, into ``z`` [26, minutes]: one pass and no copy."""
        mean, sd = self._columns()
        _standardise(values, observed, start, mean[:, 0], sd[:, 0], np.float32(self.clip_z), z)

    def invert(self, z: NDArray[np.float32]) -> NDArray[np.float32]:
        """Z-scores [..., 26, minutes] -> the signals' units; what was clipped stays so."""
        mean, sd = self._columns()
        return z * sd + mean

    def _columns(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and deviation as [26, 1]."""
        return np.asarray(self.mean, np.float32)[:, None], np.asarray(self.sd, np.float32)[:, None]


@compiled
def _standardise(
    values: NDArray[np.float32],
    observed: NDArray[np.bool_],
    start: int,
    mean: NDArray[np.float32],
    sd: NDArray[np.float32],
    most: np.float32,
    z: NDArray[np.float32],
) -> None:
    end = start + z.shape[1]
    for row in range(z.shape[0]):
        here, seen = values[row][start:end], observed[row][start:end]
        for m in range(z.shape[1]):
            score = (here[m] - mean[row]) / sd[row]
            score = most if score > most else score
            score = -most if score < -most else score
            z[row, m] = score if seen[m] else np.float32(0)


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Windows as the model takes them. Leading dimensions are free: [windows] or [people, windows per person].

    Attributes:
        values: float32 [..., 26, minutes], z-scores, 0 where not observed.
        observed: bool [..., 26, minutes].
        slot: int64 [...], ten-minute slot of the day with which the window begins.
        hidden: bool [..., places], patches hidden on purpose (the artificial mask); places run signal by signal.
    """

    values: Tensor
    observed: Tensor
    slot: Tensor
    hidden: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        return Batch(*(tensor.to(device) for tensor in (self.values, self.observed, self.slot, self.hidden)))


@dataclass(frozen=True, slots=True, eq=False)
class Days:
    """Normalised person-days in memory, with the windows that hold enough to learn from.

    Attributes:
        values: float32 [days, 26, 1440], z-scores, 0 where not observed.
        observed: bool [days, 26, 1440].
        person: Identifier of each day's wearer.
        date_index: int [days], day number within its dataset.
    """

    values: NDArray[np.float32]
    observed: NDArray[np.bool_]
    person: tuple[str, ...]
    date_index: NDArray[np.int64]

    @classmethod
    def load(
        cls, recordings: Iterable[Recording], normaliser: Normaliser, progress: Callable[[], object] | None = None
    ) -> Self:
        """Read recordings once, normalise, keep."""
        values, observed, people, day = [], [], [], []
        for recording in recordings:
            values.append(normaliser.apply(recording.values, recording.observed))
            observed.append(recording.observed)
            people.append(recording.person)
            day.append(recording.day)
            if progress is not None:
                progress()
        if not values:
            raise DataError("no recordings: expected at least one person-day")
        return cls(np.stack(values), np.stack(observed), tuple(people), np.asarray(day, dtype=np.int64))

    def __len__(self) -> int:
        return len(self.person)

    def usable(self, minutes: int, min_observed: float = MIN_OBSERVED_SHARE) -> NDArray[np.int64]:
        """Windows that hold at least ``min_observed`` of what they could: int64 [n, 2] of (day index, start minute).

        What they could hold are the signals that the day holds at all, so that a device with few sensors counts too.

        Raises:
            ValueError: If ``minutes`` is not a multiple of ten within a day.
        """
        return _usable(self.observed, minutes, min_observed)

    def cut(self, windows: NDArray[np.int64], minutes: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Windows [n, 2] of (day index, start minute) -> values and observed, each [n, 26, minutes]."""
        day, start = windows.T
        values = sliding_window_view(self.values, minutes, axis=2)
        observed = sliding_window_view(self.observed, minutes, axis=2)
        return values[day, :, start], observed[day, :, start]

    def batch(self, windows: NDArray[np.int64], minutes: int, hidden: NDArray[np.bool_]) -> Batch:
        """Windows [n, 2] and their hidden places [n, places] -> a ``Batch`` with one leading dimension."""
        values, observed = self.cut(windows, minutes)
        return Batch(
            torch.from_numpy(np.ascontiguousarray(values)),
            torch.from_numpy(np.ascontiguousarray(observed)),
            torch.from_numpy(windows[:, 1] // WINDOW_STRIDE_MINUTES),
            torch.from_numpy(hidden),
        )


def _usable(observed: Sequence[NDArray[np.bool_]] | NDArray[np.bool_], minutes: int, least: float) -> NDArray[np.int64]:
    """``Days.usable`` of days' ``observed``, each bool [26, 1440]."""
    if not 0 < minutes <= MINUTES_PER_DAY or minutes % WINDOW_STRIDE_MINUTES:
        raise ValueError(f"{minutes=} is not a multiple of {WINDOW_STRIDE_MINUTES} in (0, {MINUTES_PER_DAY}]")
    seen = np.zeros((len(observed), MINUTES_PER_DAY // WINDOW_STRIDE_MINUTES + 1), dtype=np.int64)
    signals = [_count(day, row) for day, row in zip(observed, seen, strict=True)]
    slots = minutes // WINDOW_STRIDE_MINUTES
    share = (seen[:, slots:] - seen[:, :-slots]) / (np.maximum(signals, 1)[:, None] * minutes)
    day, slot = np.nonzero(share >= least)
    return np.stack([day, slot * WINDOW_STRIDE_MINUTES], axis=1)


@compiled
def _count(observed: NDArray[np.bool_], seen: NDArray[np.int64]) -> int:
    """How many signals a day holds; ``seen`` [145] becomes its observed cells before each ten-minute slot."""
    signals, held = 0, np.zeros(observed.shape[1], dtype=np.uint8)
    for row in range(observed.shape[0]):
        for m in range(held.size):
            held[m] += observed[row, m]
        signals += observed[row].any()
    for slot in range(seen.size - 1):
        seen[slot + 1] = seen[slot] + held[slot * WINDOW_STRIDE_MINUTES : (slot + 1) * WINDOW_STRIDE_MINUTES].sum()
    return signals


def fill_gaps(values: Tensor, known: Tensor) -> Tensor:
    """Gaps along time as straight lines, level beyond the first and last known value; 0 where nothing is known.

    LSM-1's way (section 3.1, appendix F.2); only known cells are read.

    Args:
        values: float32 [..., minutes].
        known: bool, same shape.
    """
    minutes = known.shape[-1]
    minute = torch.arange(minutes, device=known.device).expand(known.shape)
    before = torch.where(known, minute, -1).cummax(-1).values
    after = torch.where(known, minute, minutes).flip(-1).cummin(-1).values.flip(-1)
    left = torch.where(before < 0, after, before)
    right = torch.where(after == minutes, before, after)
    share = (minute - left) / (right - left).clamp(min=1)
    low, high = (values.gather(-1, place.clamp(0, minutes - 1)) for place in (left, right))
    return torch.where(known.any(-1, keepdim=True), low + (high - low) * share, 0.0)


class WindowDataset(torch.utils.data.Dataset[tuple[Tensor, Tensor, int]]):
    """The torch view of a dataset folder or cohort: item i is (values, observed, slot) of one usable window."""

    def __init__(self, days: Days, minutes: int = MINUTES_PER_DAY) -> None:
        self.days = days
        self.minutes = minutes
        self.windows = days.usable(minutes)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor, int]:
        day, start = self.windows[i]
        span = slice(start, start + self.minutes)
        values, observed = self.days.values[day, :, span], self.days.observed[day, :, span]
        return torch.from_numpy(values.copy()), torch.from_numpy(observed.copy()), int(start) // WINDOW_STRIDE_MINUTES


class CohortBatches(torch.utils.data.Dataset[Batch]):
    """Batches of simulated people, made when they are asked for: no folder, and never the same window twice in a row.

    Batch i is a function of (cohort, seed, i) alone, so it is the same in any order and on any number of workers, and
    a training that was killed goes on with ``range(step, steps)``. People come in a new order every epoch; a person's
    days are simulated in one go, because nights are shared between them. With PyTorch's loader::

        DataLoader(CohortBatches(...), batch_size=None, num_workers=2)

    Attributes:
        cohort: People and days; few days of many people are the best mixture.
        normaliser: Constants of z-scores.
        minutes: Length of a window.
        steps: How many batches.
        windows: In each batch.
        people: Whose windows make up a batch; their days are simulated for it.
        hide: Draws the artificial masks, bool [windows, places], from their number and a generator; None: no places.
        seed: Decides order, windows and masks.
    """

    def __init__(
        self,
        cohort: Cohort,
        normaliser: Normaliser,
        *,
        steps: int,
        seed: int,
        minutes: int = MINUTES_PER_DAY,
        windows: int = 64,
        people: int = 4,
        hide: Callable[[int, np.random.Generator], NDArray[np.bool_]] | None = None,
    ) -> None:
        """Look at the arguments; nothing is simulated yet.

        Raises:
            ValueError: If a count is below 1, or ``people`` above the cohort's.
        """
        if min(steps, windows, people) < 1:
            raise ValueError(f"{steps=}, {windows=}, {people=}: expected at least 1 of each")
        if people > cohort.people:
            raise ValueError(f"{people=} in a batch is above the cohort's {cohort.people}")
        self.cohort = replace(cohort, with_truth=False)
        self.normaliser, self.minutes, self.hide, self.seed = normaliser, minutes, hide, seed
        self.steps, self.windows, self.people = steps, windows, people

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        """Batch number ``step``: windows drawn evenly over all usable ones of the people whose turn it is.

        Raises:
            IndexError: If ``step`` is not within ``steps``.
            DataError: If no window holds enough, nor in the turns of many others.
        """
        if not 0 <= step < self.steps:
            raise IndexError(f"{step=} is not within {self.steps} steps")
        recordings, usable = self._days(step)
        rng = stream(self.seed, "cohort batch", step)
        whole, rest = divmod(self.windows, len(usable))  # each once before any stands twice
        order = np.concatenate([np.tile(np.arange(len(usable)), whole), rng.permutation(len(usable))[:rest]])
        chosen = usable[rng.permutation(order)]
        hidden = np.zeros((len(chosen), 0), np.bool_) if self.hide is None else self.hide(len(chosen), rng)
        values = np.empty((len(chosen), N_SIGNALS, self.minutes), np.float32)
        observed = np.empty(values.shape, np.bool_)
        for (day, start), z, seen in zip(chosen.tolist(), values, observed, strict=True):
            seen[:] = recordings[day].observed[:, start : start + self.minutes]
            self.normaliser._write(recordings[day].values, recordings[day].observed, z, start)
        slot = torch.from_numpy(chosen[:, 1] // WINDOW_STRIDE_MINUTES)
        return Batch(torch.from_numpy(values), torch.from_numpy(observed), slot, torch.from_numpy(hidden))

    def _days(self, step: int) -> tuple[list[Recording], NDArray[np.int64]]:
        """The days of a batch's people and their usable windows; of the people of a later turn where there is none."""
        for turn in range(step, step + _TURNS * self.steps, self.steps):
            people = self.turn(turn)
            recordings = [recording for person in people for recording in self.cohort.of_person(person)]
            usable = _usable([recording.observed for recording in recordings], self.minutes, MIN_OBSERVED_SHARE)
            if len(usable):
                return recordings, usable
        raise DataError(f"no window of {self.minutes} minutes holds a fifth of its cells, with {self.people} people")

    def turn(self, step: int) -> list[int]:
        """The people of a batch, as places in the cohort; an epoch ends when too few are left for another."""
        epoch, place = divmod(step, self.cohort.people // self.people)
        order = stream(self.seed, "cohort epoch", epoch).permutation(self.cohort.people)
        return [int(person) for person in order[place * self.people : (place + 1) * self.people]]
