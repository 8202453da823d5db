"""A model folder as a library: shapes and units, gaps that say nothing, and predictions that are worth something."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from model.autoencoder import LSM1, Architecture, MaskedAutoencoder
from model.foundation import FoundationModel
from model.masking import MaskMix
from model.training import Origin, TrainingPlan, save_model, train
from model.windows import Days, Normaliser
from simulator.randomness import stream
from simulator.recording import DataError, Reason, Recording
from simulator.signals import INDEX, N_SIGNALS, SIGNALS
from tests.conftest import wavy_days
from tests.strategies import seeds

SHAPE = Architecture(window_minutes=300, width=16, depth=1, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)
SHAPES = {"aim": SHAPE, "full": replace(SHAPE, decoder="full"), "lsm1": replace(SHAPE, **LSM1)}
SHAPES["twenty"] = replace(SHAPE, patch_minutes=20, window_minutes=1440)
MIDDLE = tuple((signal.low + signal.high) / 2 for signal in SIGNALS)
SPREAD = tuple((signal.high - signal.low) / 20 for signal in SIGNALS)
UNITS = Normaliser(MIDDLE, SPREAD)


def library(shape: Architecture = SHAPE, seed: int = 0) -> FoundationModel:
    return FoundationModel(MaskedAutoencoder(shape, seed), UNITS)


def measured(days: Days) -> np.ndarray:
    return np.where(days.observed, UNITS.invert(days.values), np.float32(np.nan))


DAYS = measured(wavy_days(3))


def test_a_folder_loads_in_three_lines(tmp_path: Path) -> None:
    save_model(tmp_path, MaskedAutoencoder(SHAPE, 5), UNITS, Origin(seed=5))
    vectors = FoundationModel.load(tmp_path).embed(DAYS)
    assert vectors.shape == (3, 16)
    np.testing.assert_array_equal(FoundationModel.load(str(tmp_path)).embed(DAYS), vectors)


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_units_and_ranges(name: str) -> None:
    model = library(SHAPES[name])
    filled, ahead = model.impute(DAYS), model.forecast(DAYS, 45)
    assert (model.embed(DAYS).shape, filled.shape, ahead.shape) == ((3, 16), DAYS.shape, (3, N_SIGNALS, 45))
    there = np.isfinite(DAYS)
    np.testing.assert_array_equal(filled[there], DAYS[there])
    for answer in (filled, ahead):
        assert answer.dtype == np.float32
        for row, signal in enumerate(SIGNALS):
            assert answer[:, row].min() >= signal.low
            assert answer[:, row].max() <= signal.high


@pytest.mark.parametrize("name", SHAPES)
@settings(max_examples=3, deadline=None)
@given(seed=seeds)
def test_what_lies_under_a_gap_changes_nothing(name: str, seed: int) -> None:
    model = library(SHAPES[name])
    days = [recording(day, stream(seed)) for day in DAYS]
    other = [replace(day, values=np.where(day.observed, day.values, np.float32(7))) for day in days]
    for answer in (model.embed, model.impute, lambda d: model.forecast(d, 60)):
        np.testing.assert_array_equal(answer(days), answer(other))
    np.testing.assert_array_equal(model.embed(days), model.embed(DAYS))


def recording(day: np.ndarray, rng: np.random.Generator) -> Recording:
    """A day as a recording, with anything under its gaps."""
    observed = np.isfinite(day)
    values = np.where(observed, day, rng.normal(0, 1e4, day.shape)).astype(np.float32)
    reason = np.where(observed, 0, np.uint8(Reason.NOT_RECORDED)).astype(np.uint8)
    return Recording("p", "w", 0, date(2024, 3, 1), values, observed, reason)


def test_days_are_answered_one_by_one() -> None:
    """More than are worked on at once; each is what it is alone."""
    model, many = library(), measured(wavy_days(18))
    for answer, tolerance in ((model.embed, 1e-4), (model.impute, 1e-2), (lambda d: model.forecast(d, 60), 1e-2)):
        together = answer(many)
        assert len(together) == 18
        for i in (0, 15, 17):
            np.testing.assert_allclose(together[i], answer(many[i : i + 1])[0], rtol=1e-4, atol=tolerance)


def test_embedding_is_the_mean_over_windows_by_what_they_hold() -> None:
    model = library()
    day = DAYS[:1].copy()
    day[..., :600] = np.nan
    z = torch.from_numpy(UNITS.apply(np.nan_to_num(day), np.isfinite(day)))
    observed = torch.from_numpy(np.isfinite(day))
    starts = (600, 900, 1140)  # and two before in which nothing is
    batches = [model._batch(z, observed, start) for start in starts]
    with torch.no_grad():
        vectors = np.concatenate([model.network.embed_windows(batch).numpy() for batch in batches])
    cells = [int(batch.observed.sum()) for batch in batches]
    np.testing.assert_allclose(model.embed(day)[0], np.average(vectors, axis=0, weights=cells), rtol=1e-4, atol=1e-5)
    assert np.isfinite(model.embed(np.full((1, N_SIGNALS, 1440), np.nan, np.float32))).all()


def test_a_short_gap_meets_what_lies_around_it() -> None:
    """A model whose every patch is level fills a short gap with a straight line, and a lone minute with its patch's."""
    model = library(replace(SHAPE, anchor_minutes=()))
    torch.nn.init.zeros_(model.network.head.weight)
    day = DAYS[:1].copy()
    ramp = np.linspace(100.0, 109.0, 10)
    row = INDEX["heart_rate"]
    day[0, row, 600:620] = np.concatenate([ramp, np.full(10, np.nan)])
    day[0, row, 615] = 88.0
    expected = day[0, row, 600:620].copy()
    expected[10:] = 88.0
    day[0, row, [603, 604, 607]] = np.nan
    np.testing.assert_allclose(model.impute(day)[0, row, 600:620], expected, atol=1e-3)


def test_the_future_is_told_from_the_past_of_the_day_alone() -> None:
    """A day up to noon is continued from noon, at noon's time of day; what was before it is a gap."""
    model = library()
    morning = DAYS[..., :720]
    assert model.forecast(morning, 60).shape == (3, N_SIGNALS, 60)
    whole = DAYS.copy()
    whole[..., :480] = np.nan  # beyond the 240 minutes that a window of 300 leaves to look at
    np.testing.assert_array_equal(model.forecast(whole[..., :720], 60), model.forecast(morning, 60))
    early = model.forecast(DAYS[..., :10], 30)
    assert np.isfinite(early).all()
    at_noon, at_night = model.forecast(DAYS[..., 480:720], 60), model.forecast(morning, 60)
    assert np.abs(at_noon - at_night).max() > 1e-3  # the same four hours, said to have begun at midnight


def part(days: Days, start: int, end: int) -> Days:
    """Some of the days."""
    span = slice(start, end)
    return Days(days.values[span], days.observed[span], days.person[span], days.date_index[span])


def test_a_trained_model_fills_and_foresees_better_than_the_mean() -> None:
    everybody = wavy_days(9)  # all of one kind: signals hang together in the same way
    days, held = part(everybody, 0, 6), part(everybody, 6, 9)
    model = MaskedAutoencoder(SHAPE, 1)
    train(model, days, TrainingPlan(steps=120, batch_windows=8, learning_rate=8e-3, masks=MaskMix()), seed=1)
    library = FoundationModel(model, UNITS)
    complete = replace(held, observed=np.ones_like(held.observed))
    hidden = complete.observed.copy()
    hidden[:, 3:9, 500:560] = False
    hidden[:, 12, 700:1400:3] = False
    with_gaps = measured(replace(held, observed=held.observed & hidden))
    error = (library.impute(with_gaps) - UNITS.invert(held.values)) / np.asarray(SPREAD)[:, None]
    asked = held.observed & ~hidden
    plain = np.broadcast_to(np.nanmean(with_gaps, axis=2, keepdims=True), error.shape)
    mean_error = (plain - UNITS.invert(held.values)) / np.asarray(SPREAD)[:, None]
    print((error[asked] ** 2).mean(), (mean_error[asked] ** 2).mean())
    assert (error[asked] ** 2).mean() < 0.5 * (mean_error[asked] ** 2).mean()


@pytest.mark.parametrize("minutes", [0, -5, 300, 291])
def test_impossible_horizons_are_refused(minutes: int) -> None:
    with pytest.raises(ValueError, match=rf"minutes={minutes} is not in \[1, 290\]"):
        library().forecast(DAYS, minutes)


@pytest.mark.parametrize("shape", [(26, 1440), (1, 25, 1440), (1, 26, 1441), (1, 26, 290), (1, 26, 305), (0, 26, 1440)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="expected"):
        library().impute(np.zeros(shape, np.float32))
