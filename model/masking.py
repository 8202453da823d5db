"""Artificial masks: what is hidden on purpose, so that the model has something to reconstruct.

AIM [1] unites the inherited mask (really missing) with an artificial one. This file draws the artificial part, over
*places*: the grid of patches, [rows, columns] = [signal groups, time slots], flattened row by row. The united mask is
formed in the encoder, and a cell is scored exactly where it is hidden here and was observed.

LSM-1 [2] compares five ways to hide 80 % (Fig. 5, Table 5), one for a whole training: random patches, structured by
time, structured by sensor, and its two temporal tasks, a gap and the end. ``MASKS`` has them by name.

[1] LSM-2: Learning from Incomplete Wearable Sensor Data, Google Research 2025: 80 % random patches, 50 % of the time,
    50 % of the signals, one kind drawn per sample.
[2] Narayanswamy, Liu et al., ICLR 2025, arXiv:2410.13638.
"""

import math
from dataclasses import dataclass
from typing import Final

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
        columns: Share of columns that scattered columns hide, all signals, each anywhere.
        end: Share of columns that the end hides, all signals, the last ones.
        gaps: Share of columns that gaps hide on average, all signals: of 1 to 12 columns each, short ones as often as
            long ones on a logarithmic scale, with something seen between them.
        signal_gaps: The same in a third of the signals to all but one, side by side or anywhere.
        weights: Odds of (random, time, signal, columns, end, gaps, signal_gaps); those left out are 0.
    """

    random: float = 0.8
    time: float = 0.5
    signal: float = 0.5
    columns: float = 0.8
    end: float = 0.8
    gaps: float = 0.65
    signal_gaps: float = 0.65
    weights: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        for name in KINDS:
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"mask share {name}={getattr(self, name)} is not in (0, 1)")
        object.__setattr__(self, "weights", tuple(self.weights))  # JSON has lists
        if not 1 <= len(self.weights) <= len(KINDS) or min(self.weights) < 0 or not 0 < sum(self.weights) < math.inf:
            raise ValueError(f"mask weights {self.weights} are not 1 to {len(KINDS)}, non-negative, of positive sum")

    def least_hidden(self, grid: Grid) -> int:
        """Places that any mask hides at least, of the kinds that are drawn."""
        whole = {"random": grid.places, "signal": grid.rows}
        hidden: dict[str, int] = {kind: round(getattr(self, kind) * whole.get(kind, grid.columns)) for kind in KINDS}
        hidden |= {"gaps": 0, "signal_gaps": 0}
        each = {"random": 1, "signal": grid.columns}
        drawn = [kind for kind, odds in zip(KINDS, self.weights, strict=False) if odds > 0]
        return min(hidden[kind] * each.get(kind, grid.rows) for kind in drawn)


KINDS: Final = ("random", "time", "signal", "columns", "end", "gaps", "signal_gaps")
LONGEST_GAP: Final = 12  # columns; two hours of ten-minute patches, the longest horizon of LSM-1's tasks
MASKS: Final[dict[str, MaskMix]] = {
    "aim": MaskMix(),
    "tasks": MaskMix(weights=(1, 0, 0, 0, 0, 1, 1)),
    "random": MaskMix(weights=(1,)),  # LSM-1 Fig. 5 (B)
    "structured-temporal": MaskMix(weights=(0, 0, 0, 1)),  # (C)
    "structured-sensor": MaskMix(signal=0.8, weights=(0, 0, 1)),  # (D)
    "temporal-extrapolation": MaskMix(weights=(0, 0, 0, 0, 1)),  # (E)
    "temporal-interpolation": MaskMix(time=0.8, weights=(0, 1)),  # (F)
}


def draw_masks(mix: MaskMix, grid: Grid, n: int, rng: np.random.Generator) -> Places:
    """Hidden places of ``n`` windows, bool [n, places]; each window draws one kind of mask.

    >>> masks = draw_masks(MASKS["random"], Grid(rows=26, columns=30), 4, np.random.default_rng(0))
    >>> masks.shape, masks.mean(axis=1).tolist()
    ((4, 780), [0.8, 0.8, 0.8, 0.8])
    """
    kind = rng.choice(len(mix.weights), size=n, p=np.asarray(mix.weights) / sum(mix.weights))
    draws = (random_places, time_slice, signal_slice, scattered_columns, end_slice, gaps, signal_gaps)
    hidden = np.zeros((n, grid.places), dtype=np.bool_)
    for i, (name, draw) in enumerate(zip(KINDS, draws, strict=True)):
        whose = np.flatnonzero(kind == i)
        if len(whose):
            hidden[whose] = draw(getattr(mix, name), grid, len(whose), rng)
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


def scattered_columns(share: float, grid: Grid, n: int, rng: np.random.Generator) -> Places:
    """``round(share x columns)`` columns anywhere, all rows."""
    return np.tile(_smallest(rng.random((n, grid.columns)), round(share * grid.columns)), (1, grid.rows))


def end_slice(share: float, grid: Grid, n: int, rng: np.random.Generator) -> Places:
    """The last ``round(share x columns)`` columns, all rows."""
    length = round(share * grid.columns)
    return stretch(grid, np.full((n, 1), grid.columns - length), length)


def gaps(share: float, grid: Grid, n: int, rng: np.random.Generator) -> Places:
    """Gaps of 1 to ``LONGEST_GAP`` columns in all rows, ``share`` of the columns on average."""
    return np.tile(_gap_columns(share, grid, n, rng), (1, grid.rows))


def signal_gaps(share: float, grid: Grid, n: int, rng: np.random.Generator) -> Places:
    """The same gaps in a third of the rows to all but one, neighbours in every other window, else any."""
    count = rng.integers(-(-grid.rows // 3), max(grid.rows, 2), size=(n, 1))
    first = rng.integers(0, grid.rows, size=(n, 1))
    side_by_side = (np.arange(grid.rows) - first) % grid.rows < count
    anywhere = rng.random((n, grid.rows)).argsort(axis=1) < count
    rows = np.where(rng.random((n, 1)) < 0.5, side_by_side, anywhere)
    hidden: Places = (rows[:, :, None] & _gap_columns(share, grid, n, rng)[:, None, :]).reshape(n, -1)
    return hidden


def _gap_columns(share: float, grid: Grid, n: int, rng: np.random.Generator) -> Places:
    """Columns of gaps, bool [n, columns]; gaps and what is seen between them come by turns, either one first."""
    longest = min(LONGEST_GAP, max(grid.columns - 1, 1))
    hidden = np.exp(rng.uniform(0.0, math.log(longest + 1), size=(n, grid.columns))).astype(np.int64)
    hidden[:, 0] *= rng.integers(0, 2, size=n)  # half of the windows begin with something seen
    mean = longest - math.lgamma(longest + 1) / math.log(longest + 1)  # of their lengths
    between = rng.geometric(min(1.0, share / (1 - share) / mean), size=hidden.shape)
    ends = np.stack([hidden, between], axis=2).reshape(n, -1).cumsum(axis=1)
    turn = (ends[:, :, None] <= np.arange(grid.columns)).sum(axis=1)
    columns: Places = turn % 2 == 0
    return columns


def stretch(grid: Grid, start: NDArray[np.int64], length: int) -> Places:
    """Columns ``start`` to ``start + length`` of every row; ``start`` is int [n, 1]."""
    column = np.arange(grid.columns)
    return np.tile((column >= start) & (column < start + length), (1, grid.rows))


def _smallest(scores: NDArray[np.float64], k: int) -> Places:
    """True at the k smallest scores of each row."""
    chosen = np.zeros(scores.shape, dtype=bool)
    np.put_along_axis(chosen, np.argpartition(scores, max(k - 1, 0), axis=1)[:, :k], True, axis=1)
    return chosen
