"""Artificial masks: what is hidden on purpose, so that the model has something to reconstruct.

AIM [1] unites the inherited mask (really missing) with an artificial one. This file draws the artificial part, over
*places*: the grid of patches, [rows, columns] = [signal groups, time slots], flattened row by row. The united mask is
formed in the encoder, and a cell is scored exactly where it is hidden here and was observed.

[1] LSM-2: Learning from Incomplete Wearable Sensor Data, Google Research 2025: 80 % random patches, 50 % of the time,
    50 % of the signals, one kind drawn per sample.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Patches of a window: ``rows`` groups of signals by ``columns`` stretches of time."""

    rows: int
    columns: int

    @property
    def places(self) -> int:
        """Number of patches."""
        return self.rows * self.columns


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskMix:
    """How much each kind hides, and how often it is drawn.

    Attributes:
        random: Share of places that a random mask hides.
        time: Share of columns that a time slice hides, all signals, one contiguous stretch.
        signal: Share of rows that a signal slice hides, all the time.
        weights: Odds of (random, time, signal).
    """

    random: float = 0.8
    time: float = 0.5
    signal: float = 0.5
    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        for name in ("random", "time", "signal"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"mask share {name}={getattr(self, name)} is not in (0, 1)")
        if min(self.weights) < 0 or sum(self.weights) <= 0:
            raise ValueError(f"mask weights {self.weights} are not non-negative with a positive sum")


def draw_masks(mix: MaskMix, grid: Grid, n: int, rng: np.random.Generator) -> Places:
    """Hidden places of ``n`` windows, bool [n, places]; each window draws one kind of mask.

    >>> masks = draw_masks(MaskMix(weights=(1, 0, 0)), Grid(rows=26, columns=30), 4, np.random.default_rng(0))
    >>> masks.shape, masks.mean(axis=1).tolist()
    ((4, 780), [0.8, 0.8, 0.8, 0.8])
    """
    kind = rng.choice(3, size=n, p=np.asarray(mix.weights) / sum(mix.weights))
    drawn = np.stack(
        [
            random_places(mix.random, grid, n, rng),
            time_slice(mix.time, grid, n, rng),
            signal_slice(mix.signal, grid, n, rng),
        ]
    )
    hidden: Places = drawn[kind, np.arange(n)]
    return hidden


def random_places(share: float, grid: Grid, n: int, rng: np.random.Generator) -> Places:
    """Exactly ``round(share x places)`` places anywhere."""
    return _smallest(rng.random((n, grid.places)), round(share * grid.places))


def time_slice(share: float, grid: Grid, n: int, rng: np.random.Generator) -> Places:
    """One contiguous stretch of ``round(share x columns)`` columns, at any place in the window, all rows."""
    length = round(share * grid.columns)
    start = rng.integers(0, grid.columns - length + 1, size=(n, 1))
    return stretch(grid, start, length)


def signal_slice(share: float, grid: Grid, n: int, rng: np.random.Generator) -> Places:
    """``round(share x rows)`` whole rows."""
    rows = _smallest(rng.random((n, grid.rows)), round(share * grid.rows))
    return np.repeat(rows, grid.columns, axis=1)


def stretch(grid: Grid, start: NDArray[np.int64], length: int) -> Places:
    """Columns ``start`` to ``start + length`` of every row; ``start`` is int [n, 1]."""
    column = np.arange(grid.columns)
    return np.tile((column >= start) & (column < start + length), (1, grid.rows))


def _smallest(scores: NDArray[np.float64], k: int) -> Places:
    """True at the k smallest scores of each row."""
    chosen = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(chosen, np.argpartition(scores, max(k - 1, 0), axis=1)[:, :k], True, axis=1)
    return chosen
