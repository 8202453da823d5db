"""Artificial masks hide what they say, in the shape they say."""

import numpy as np
import pytest
from hypothesis import given, settings

from model.masking import (
    LONGEST_GAP,
    MASKS,
    Grid,
    MaskMix,
    draw_masks,
    end_slice,
    gaps,
    random_places,
    scattered_columns,
    signal_gaps,
    signal_slice,
    time_slice,
)
from simulator.randomness import stream
from tests.strategies import grids, mixes, seeds, shares


@settings(max_examples=30, deadline=None)
@given(grid=grids, share=shares, seed=seeds)
def test_random_places_hide_exactly_their_share(grid: Grid, share: float, seed: int) -> None:
    hidden = random_places(share, grid, 5, stream(seed))
    assert (hidden.sum(axis=1) == round(share * grid.places)).all()


@settings(max_examples=30, deadline=None)
@given(grid=grids, share=shares, seed=seeds)
def test_time_slices_are_one_contiguous_stretch_of_all_signals(grid: Grid, share: float, seed: int) -> None:
    hidden = time_slice(share, grid, 5, stream(seed)).reshape(5, grid.rows, grid.columns)
    assert (hidden == hidden[:, :1]).all()
    column = hidden[:, 0].astype(int)
    length = round(share * grid.columns)
    assert (column.sum(axis=1) == length).all()
    starts = np.maximum(np.diff(column, axis=1, prepend=0), 0).sum(axis=1)
    assert (starts == (1 if length else 0)).all()


@settings(max_examples=30, deadline=None)
@given(grid=grids, share=shares, seed=seeds)
def test_signal_slices_are_whole_rows(grid: Grid, share: float, seed: int) -> None:
    hidden = signal_slice(share, grid, 5, stream(seed)).reshape(5, grid.rows, grid.columns)
    assert (hidden == hidden[:, :, :1]).all()
    assert (hidden[:, :, 0].sum(axis=1) == round(share * grid.rows)).all()


@settings(max_examples=30, deadline=None)
@given(grid=grids, share=shares, seed=seeds)
def test_scattered_columns_are_whole_and_the_end_is_the_end(grid: Grid, share: float, seed: int) -> None:
    length = round(share * grid.columns)
    scattered = scattered_columns(share, grid, 5, stream(seed)).reshape(5, grid.rows, grid.columns)
    assert (scattered == scattered[:, :1]).all()
    assert (scattered[:, 0].sum(axis=1) == length).all()
    end = end_slice(share, grid, 5, stream(seed)).reshape(5, grid.rows, grid.columns)
    assert end[:, :, grid.columns - length :].all()
    assert not end[:, :, : grid.columns - length].any()


def test_scattered_columns_lie_anywhere() -> None:
    grid, n = Grid(rows=2, columns=30), 2000
    hidden = scattered_columns(0.8, grid, n, stream(1)).reshape(n, 2, 30)[:, 0]
    assert np.abs(hidden.mean(axis=0) - 0.8).max() < 5 * np.sqrt(0.8 * 0.2 / n)
    together = (hidden[:, 1:] & hidden[:, :-1]).mean()  # of neighbours, as of any two columns: 24/30 x 23/29
    assert together == pytest.approx(24 / 30 * 23 / 29, abs=0.01)


@settings(max_examples=30, deadline=None)
@given(grid=grids, share=shares, seed=seeds)
def test_gaps_are_stretches_of_all_signals_and_leave_something(grid: Grid, share: float, seed: int) -> None:
    hidden = gaps(share, grid, 20, stream(seed)).reshape(20, grid.rows, grid.columns)
    assert (hidden == hidden[:, :1]).all()
    for columns in hidden[:, 0]:
        lengths = [len(run) for run in "".join("#" if c else "." for c in columns).split(".") if run]
        assert max(lengths, default=0) <= min(LONGEST_GAP, grid.columns - 1)


def test_gaps_have_all_lengths_and_hide_what_they_say() -> None:
    grid, n = Grid(rows=2, columns=144), 2000
    column = gaps(0.65, grid, n, stream(1)).reshape(n, 2, 144)[:, 0]
    assert column.mean() == pytest.approx(0.65, abs=0.02)
    text = "".join("#" if c else "." for c in column.ravel())
    lengths = np.bincount([len(run) for run in text.split(".") if run])
    assert (lengths[1 : LONGEST_GAP + 1] > 0).all()
    assert lengths[1] > lengths[4] > lengths[10]  # short ones as often as long ones, on a logarithmic scale


def test_signal_gaps_are_the_same_gaps_in_some_signals() -> None:
    grid, n = Grid(rows=26, columns=30), 500
    hidden = signal_gaps(0.65, grid, n, stream(2)).reshape(n, 26, 30)
    rows = np.asarray(hidden.any(axis=2))
    for window, own in zip(hidden, rows, strict=True):
        assert (window[own] == window[own][:1]).all()
    count = rows.sum(axis=1)[rows.any(axis=1)]
    assert (count.min(), count.max()) == (9, 25)
    assert rows.mean() == pytest.approx(17 / 26, abs=0.03)
    together = (rows[:, 1:] == rows[:, :-1]).sum(axis=1) >= 23  # one run of neighbours has at most two ends
    assert 0.5 < together.mean() < 0.75


@pytest.mark.parametrize("name", [name for name in MASKS if name not in ("aim", "tasks")])
@pytest.mark.parametrize("grid", [Grid(rows=6, columns=30), Grid(rows=26, columns=30)], ids=str)
def test_lsm1_s_strategies_hide_four_fifths(name: str, grid: Grid) -> None:
    """Fig. 5: "all strategies employ a masking ratio of 0.8", to the nearest row; each in its own shape."""
    hidden = draw_masks(MASKS[name], grid, 50, stream(2)).reshape(50, grid.rows, grid.columns)
    assert np.abs(hidden.mean(axis=(1, 2)) - 0.8).max() <= 0.5 / grid.rows
    whole_columns, whole_rows = (hidden == hidden[:, :1]).all(), (hidden == hidden[:, :, :1]).all()
    assert whole_columns == (name in ("structured-temporal", "temporal-interpolation", "temporal-extrapolation"))
    assert whole_rows == (name == "structured-sensor")
    if whole_columns:
        begins = (np.diff(hidden[:, 0].astype(int), axis=1, prepend=0) > 0).sum(axis=1)
        assert (begins == 1).all() == (name != "structured-temporal")
        assert hidden[:, 0, -1].all() == (name == "temporal-extrapolation")


@settings(max_examples=30, deadline=None)
@given(mix=mixes, grid=grids, seed=seeds)
def test_no_mask_hides_less_than_the_mix_says(mix: MaskMix, grid: Grid, seed: int) -> None:
    hidden = draw_masks(mix, grid, 60, stream(seed)).sum(axis=1)
    assert hidden.min() >= mix.least_hidden(grid)
    if mix.weights.count(0) == len(mix.weights) - 1 and not any(mix.weights[5:]):
        assert (hidden == mix.least_hidden(grid)).all()


@settings(max_examples=10, deadline=None)
@given(mix=mixes, seed=seeds)
def test_the_same_stream_gives_the_same_masks(mix: MaskMix, seed: int) -> None:
    grid = Grid(rows=26, columns=30)
    assert (draw_masks(mix, grid, 7, stream(seed)) == draw_masks(mix, grid, 7, stream(seed))).all()


def test_each_kind_is_drawn_as_often_as_its_weight_says() -> None:
    grid, n = Grid(rows=26, columns=30), 3000
    hidden = draw_masks(MaskMix(weights=(2, 1, 1)), grid, n, stream(1)).reshape(n, grid.rows, grid.columns)
    is_time = (hidden == hidden[:, :1]).all(axis=(1, 2))
    is_signal = (hidden == hidden[:, :, :1]).all(axis=(1, 2))
    for kind in (is_time, is_signal):
        assert abs(kind.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / n)


@pytest.mark.parametrize(
    "bad",
    [
        {"random": 1.0},
        {"time": 0.0},
        {"weights": (0.0, 0.0, 0.0)},
        {"weights": (1, -1, 1)},
        {"weights": ()},
        {"weights": (1,) * 8},
        {"end": 1.5},
    ],
)
def test_impossible_mixes_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="mask"):
        MaskMix(**bad)  # type: ignore[arg-type]
