"""Errors by person and signal, and what they say with an interval over people.

A method's errors are kept as sums by person and signal, so that every figure (one signal, all signals, any set of
people) and its bootstrap come from the same small table. "All signals" is the plain average over signals, as in
LSM-1 Table 3(a).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.randomness import stream

Floats = NDArray[np.float64]
RESAMPLES: Final = 500
COVERAGE: Final = 0.95
LEAST_PEOPLE: Final = 2  # below, there is no spread over people to speak of


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a method's errors in one signal, or in all, come to.

    Attributes:
        place: Place of the signal; the number of signals for all of them.
        mae: Mean absolute error, z.
        mse: Mean squared error, z^2.
        interval: 95 % bootstrap interval of ``mse`` over people; None where there are too few.
        n: Cells scored.
        people: People they come from.
    """

    place: int
    mae: float
    mse: float
    interval: tuple[float, float] | None
    n: int
    people: int


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """Sums over scored cells, each float64 [people, signals].

    Attributes:
        absolute: Sum of absolute errors, z.
        squared: Sum of squared errors, z^2.
        cells: Number of scored cells.
    """

    absolute: Floats
    squared: Floats
    cells: Floats

    def mae(self) -> Floats:
        """Mean absolute error of each signal, then of all: [signals + 1]; NaN where nothing was scored."""
        return _means(self.absolute.sum(0), self.cells.sum(0))

    def mse(self) -> Floats:
        """Mean squared error of each signal, then of all: [signals + 1]; NaN where nothing was scored."""
        return _means(self.squared.sum(0), self.cells.sum(0))

    def mse_intervals(self, seed: int) -> Floats:
        """Bootstrap interval over people of ``mse``: [2, signals + 1]; NaN where fewer than two people were scored."""
        return self._where_people(_interval(self._resampled(seed)))

    def scores(self, seed: int) -> Iterator[Score]:
        """Of each signal that was scored, then of all."""
        mae, mse, interval = self.mae(), self.mse(), self.mse_intervals(seed)
        cells, people = self.cells.sum(0), (self.cells > 0).sum(0)
        for place in np.flatnonzero(np.isfinite(mse)).tolist():
            whole = place == len(cells)
            yield Score(
                place=place,
                mae=float(mae[place]),
                mse=float(mse[place]),
                interval=pair(interval[:, place]),
                n=int(cells.sum() if whole else cells[place]),
                people=int((self.cells.sum(1) > 0).sum() if whole else people[place]),
            )

    def saving(self, other: "Errors") -> Floats:
        """1 - mse / other's mse: [signals + 1]; NaN where the other makes no error."""
        return _saving(self.mse(), other.mse())

    def saving_intervals(self, other: "Errors", seed: int) -> Floats:
        """Interval of ``saving`` over the same resampled people: [2, signals + 1]; above 0 means better."""
        return self._where_people(_interval(_saving(self._resampled(seed), other._resampled(seed))))

    def _where_people(self, bounds: Floats) -> Floats:
        """Bounds, NaN where one person or nobody stands behind them."""
        people = np.append((self.cells > 0).sum(0), (self.cells.sum(1) > 0).sum())
        return np.where(people >= LEAST_PEOPLE, bounds, np.nan)

    def _resampled(self, seed: int) -> Floats:
        people = len(self.cells)
        rng = stream(seed, "bootstrap", people)
        weight = rng.multinomial(people, np.full(people, 1 / people), size=RESAMPLES).astype(np.float64)
        return _means(weight @ self.squared, weight @ self.cells)


def errors(
    truth: NDArray[np.float32], predicted: NDArray[np.float32], scored: NDArray[np.bool_], person: Sequence[str]
) -> Errors:
    """Collect errors of windows [n, signals, minutes] over ``scored`` cells by the person of each window."""
    people, row = np.unique(np.asarray(person), return_inverse=True)
    difference = np.where(scored, predicted - truth, 0).astype(np.float64)
    sums = []
    for by_window in (np.abs(difference).sum(-1), (difference**2).sum(-1), scored.sum(-1, dtype=np.float64)):
        total = np.zeros((len(people), truth.shape[1]))
        np.add.at(total, row, by_window)
        sums.append(total)
    return Errors(*sums)


def rank_agreement(
    one: Sequence[Errors], other: Sequence[Errors], seed: int
) -> tuple[float, tuple[float, float] | None]:
    """Kendall's tau-b between two rankings of the same methods by their error over all signals.

    Args:
        one: Errors of each method in one setting.
        other: Of the same methods, and the same people, in another.
        seed: Of the resampled people.

    Returns:
        The tau, 1 where both rank alike and NaN where a setting ranks nothing, and its 95 % bootstrap interval over
        people.
    """
    found = _tau(np.stack([e.mse()[-1:] for e in one], -1), np.stack([e.mse()[-1:] for e in other], -1))[0]
    a, b = (np.stack([e._resampled(seed)[:, -1] for e in errors], axis=-1) for errors in (one, other))
    bounds = one[0]._where_people(np.repeat(_interval(_tau(a, b)[:, None]), one[0].cells.shape[1] + 1, axis=1))
    return float(found), pair(bounds[:, -1])


def _tau(one: Floats, other: Floats) -> Floats:
    """Kendall's tau-b of rows [n, methods]: [n]."""
    i, j = np.triu_indices(one.shape[1], 1)
    a, b = (np.sign(each[:, i] - each[:, j]) for each in (one, other))
    scale = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.asarray(np.divide((a * b).sum(1), scale, out=np.full(len(a), np.nan), where=scale > 0))


def pair(bounds: Floats) -> tuple[float, float] | None:
    """Bounds as plain numbers; None where there are none."""
    return (float(bounds[0]), float(bounds[1])) if np.isfinite(bounds).all() else None


def _means(total: Floats, cells: Floats) -> Floats:
    """Per signal, then the average over signals that were scored, along the last axis."""
    by_signal = np.divide(total, cells, out=np.full(total.shape, np.nan), where=cells > 0)
    scored = np.isfinite(by_signal)
    n = scored.sum(-1, keepdims=True)
    average = np.divide(
        np.where(scored, by_signal, 0).sum(-1, keepdims=True), n, out=np.full(n.shape, np.nan), where=n > 0
    )
    return np.concatenate([by_signal, average], axis=-1)


def _saving(mine: Floats, theirs: Floats) -> Floats:
    return np.asarray(1 - np.divide(mine, theirs, out=np.full(mine.shape, np.nan), where=theirs > 0))


def _interval(resampled: Floats) -> Floats:
    tail = (1 - COVERAGE) / 2
    bounds = np.full((2, resampled.shape[1]), np.nan)
    complete = np.isfinite(resampled).any(axis=0)
    bounds[:, complete] = np.nanquantile(resampled[:, complete], [tail, 1 - tail], axis=0)
    return bounds
