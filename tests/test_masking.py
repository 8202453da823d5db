"""Artificial masks hide what they say, in the shape they say."""

import numpy as np
import pytest
from hypothesis import given, settings

from model.masking import (
    MASKS,
    Grid,
    MaskMix,
    draw_masks,
    end_slice,
    random_places,
    scattered_columns,
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


@pytest.mark.parametrize("name", [name for name in MASKS if name != "aim"])
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
    if mix.weights.count(0) == len(mix.weights) - 1:
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
        {"weights": (1,) * 6},
        {"end": 1.5},
    ],
)
def test_impossible_mixes_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="mask"):
        MaskMix(**bad)  # type: ignore[arg-type]
