"""Artificial masks hide what they say, in the shape they say."""

import numpy as np
import pytest
from hypothesis import given, settings

from model.masking import Grid, MaskMix, draw_masks, random_places, signal_slice, time_slice
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


@pytest.mark.parametrize("bad", [{"random": 1.0}, {"time": 0.0}, {"weights": (0.0, 0.0, 0.0)}, {"weights": (1, -1, 1)}])
def test_impossible_mixes_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="mask"):
        MaskMix(**bad)  # type: ignore[arg-type]
