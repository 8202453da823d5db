"""Windows: the border where gaps turn into masks."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model.masking import Grid, MaskMix, draw_masks
from model.windows import CohortBatches, Days, Normaliser, WindowDataset
from simulator.cohort import Cohort
from simulator.dataset import open_dataset, write_dataset
from simulator.population import POPULATIONS
from simulator.randomness import stream
from simulator.recording import SHAPE, DataError, Reason, Recording
from simulator.signals import N_SIGNALS
from tests.conftest import wavy_days
from tests.strategies import seeds


def recording(seed: int, person: str = "a", scale: float = 3.0) -> Recording:
    rng = stream(seed, "recording")
    observed = rng.random(SHAPE) < 0.7
    values = (1000 + scale * rng.normal(size=SHAPE)).astype(np.float32)
    values[~observed] = np.nan  # "anything where not observed"
    reason = np.where(observed, Reason.OBSERVED, Reason.OFF_WRIST).astype(np.uint8)
    return Recording(person, "v", seed, dt.date(2024, 3, 1), values, observed, reason)


def test_normaliser_is_the_plain_mean_and_deviation_of_observed_cells() -> None:
    recordings = [recording(i) for i in range(3)]
    fitted = Normaliser.fit(recordings)
    for s in (0, 13, 25):
        cells = np.concatenate([r.values[s][r.observed[s]] for r in recordings]).astype(np.float64)
        assert fitted.mean[s] == pytest.approx(cells.mean(), rel=1e-9)
        assert fitted.sd[s] == pytest.approx(cells.std(), rel=1e-6)


def test_normaliser_inverts_and_zeroes_what_was_not_observed() -> None:
    r = recording(1)
    fitted = Normaliser.fit([r])
    z = fitted.apply(r.values, r.observed)
    assert np.isfinite(z).all()
    assert (z[~r.observed] == 0).all()
    np.testing.assert_allclose(fitted.invert(z)[r.observed], r.values[r.observed], rtol=1e-6)


def test_extreme_values_are_clipped() -> None:
    normaliser = Normaliser((0.0,) * N_SIGNALS, (2.0,) * N_SIGNALS)
    values = np.full((N_SIGNALS, 3), [-1e6, 4.0, 1e6], np.float32)
    assert normaliser.apply(values, np.ones(values.shape, bool))[0].tolist() == [-5, 2, 5]


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from([(), (3,), (2, 2)]), st.integers(1, 90), st.floats(0.5, 20.0))
def test_scores_are_those_of_plain_numpy(seed: int, leading: tuple[int, ...], minutes: int, clip_z: float) -> None:
    rng = stream(seed, "scores")
    normaliser = Normaliser(tuple(rng.normal(size=N_SIGNALS)), tuple(rng.uniform(0.01, 9, N_SIGNALS)), clip_z)
    values = (10 * rng.standard_cauchy((*leading, N_SIGNALS, 2 * minutes))).astype(np.float32)[..., ::2]
    observed = rng.random(values.shape) < 0.7
    values[~observed] = rng.choice(np.array([np.nan, np.inf, 0], np.float32))
    mean, sd = (np.array(numbers, np.float32)[:, None] for numbers in (normaliser.mean, normaliser.sd))
    with np.errstate(invalid="ignore"):
        expected = np.where(observed, np.clip((values - mean) / sd, -np.float32(clip_z), np.float32(clip_z)), 0)
    z = normaliser.apply(values, observed)
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z, expected)


def test_a_signal_never_seen_or_constant_is_left_as_it_is() -> None:
    r = recording(2)
    r.observed[3] = False
    r.reason[3] = Reason.SENSOR_ABSENT
    r.values[11] = 1.0
    fitted = Normaliser.fit([r])
    assert (fitted.mean[3], fitted.sd[3]) == (0, 1)
    assert (fitted.mean[11], fitted.sd[11]) == (1, 1)


@pytest.mark.parametrize("bad", [{"sd": (0.0,) * N_SIGNALS}, {"mean": (1.0,)}, {"mean": (np.nan,) * N_SIGNALS}])
def test_impossible_constants_are_refused(bad: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(DataError, match="normaliser"):
        Normaliser(bad.get("mean", (0.0,) * N_SIGNALS), bad.get("sd", (1.0,) * N_SIGNALS))


def test_nothing_observed_or_recorded_is_an_error() -> None:
    r = recording(1)
    r.observed[:] = False
    with pytest.raises(DataError, match="no observed cell"):
        Normaliser.fit([r])
    with pytest.raises(DataError, match="no recordings"):
        Days.load([], Normaliser((0.0,) * N_SIGNALS, (1.0,) * N_SIGNALS))


@settings(max_examples=10, deadline=None)
@given(seed=seeds, minutes=st.sampled_from([60, 300, 1440]))
def test_a_cut_equals_a_loop(seed: int, minutes: int) -> None:
    days = wavy_days(3)
    usable = days.usable(minutes)
    windows = usable[stream(seed).integers(len(usable), size=4)]
    values, observed = days.cut(windows, minutes)
    for i, (day, start) in enumerate(windows):
        assert (values[i] == days.values[day, :, start : start + minutes]).all()
        assert (observed[i] == days.observed[day, :, start : start + minutes]).all()


@settings(max_examples=10, deadline=None)
@given(minutes=st.sampled_from([30, 300, 1440]), least=st.floats(0.05, 0.99))
def test_usable_windows_are_those_a_loop_finds(minutes: int, least: float) -> None:
    days = wavy_days(2)
    found = {tuple(w) for w in days.usable(minutes, least).tolist()}
    for day in range(2):
        signals = days.observed[day].any(axis=1).sum()
        for start in range(0, 1440 - minutes + 1, 10):
            share = days.observed[day, :, start : start + minutes].sum() / (signals * minutes)
            assert ((day, start) in found) == (share >= least)


def test_a_device_with_two_signals_has_usable_windows() -> None:
    days = wavy_days(1)
    days.observed[:, 2:] = False
    assert len(days.usable(300)) > 0


def test_the_torch_view_serves_the_same_windows() -> None:
    days = wavy_days(2)
    view = WindowDataset(days, 300)
    hidden = draw_masks(MaskMix(), Grid(rows=26, columns=30), 1, stream(0))
    values, observed, slot = view[7]
    batch = days.batch(view.windows[7:8], 300, hidden)
    assert (batch.values[0] == values).all()
    assert (batch.observed[0] == observed).all()
    assert int(batch.slot[0]) == slot


COHORT = Cohort(population=POPULATIONS["lsm1"], people=5, days=2, seed=6)
NORMALISER = Normaliser((1.0,) * N_SIGNALS, (3.0,) * N_SIGNALS)


def hide(n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    return draw_masks(MaskMix(), Grid(rows=26, columns=30), n, rng)


def cohort_batches(**changes: Any) -> CohortBatches:
    asked: dict[str, Any] = {"steps": 5, "seed": 2, "minutes": 300, "windows": 12, "people": 2, "hide": hide}
    return CohortBatches(COHORT, NORMALISER, **(asked | changes))


def test_a_cohort_s_batches_hold_the_folder_s_windows(tmp_path: Path) -> None:
    write_dataset(tmp_path / "ds", COHORT, COHORT.people_table())
    dataset = open_dataset(tmp_path / "ds")
    batches = cohort_batches()
    for step in range(3):
        people = [COHORT.person_id(person) for person in batches.turn(step)]
        days = Days.load(dataset.select(people), NORMALISER)
        every = days.usable(300)
        there = {z.tobytes() + seen.tobytes() for z, seen in zip(*days.cut(every, 300), strict=True)}
        batch = batches[step]
        assert batch.values.shape == (12, N_SIGNALS, 300)
        assert batch.hidden.any()
        found = list(zip(batch.values.numpy(), batch.observed.numpy(), strict=True))
        assert {z.tobytes() + seen.tobytes() for z, seen in found} <= there
        for slot, (z, seen) in zip(batch.slot.tolist(), found, strict=True):
            same = [days.cut(window[None], 300) for window in every[every[:, 1] == 10 * slot]]
            assert any((z == values[0]).all() and (seen == observed[0]).all() for values, observed in same)


def test_a_batch_is_the_same_in_any_order_and_on_any_number_of_workers() -> None:
    batches = cohort_batches(steps=4)
    alone = [batches[step] for step in (3, 2, 1, 0)][::-1]
    loader = torch.utils.data.DataLoader(batches, batch_size=None, num_workers=2, multiprocessing_context="fork")
    for one, other in zip(alone, loader, strict=True):
        for name in ("values", "observed", "slot", "hidden"):
            assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_an_epoch_takes_everybody_once_in_an_order_of_its_own() -> None:
    batches = cohort_batches(steps=100, people=1)
    epochs = [[person for step in range(5 * e, 5 * e + 5) for person in batches.turn(step)] for e in range(6)]
    assert all(sorted(epoch) == list(range(5)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert [cohort_batches(people=1, seed=3).turn(step) for step in range(5)] != [
        batches.turn(step) for step in range(5)
    ]
    assert [len(cohort_batches(steps=9).turn(step)) for step in range(9)] == [2] * 9


def test_each_window_comes_once_before_any_comes_twice() -> None:
    batch = cohort_batches(minutes=1440, windows=6, people=3, hide=None)[0]
    distinct = {values.numpy().tobytes() for values in batch.values}
    usable = sum(len(Days.load(COHORT.of_person(p), NORMALISER).usable(1440)) for p in cohort_batches(people=3).turn(0))
    assert len(distinct) == min(6, usable)
    assert batch.hidden.shape == (6, 0)


def test_people_without_a_usable_window_give_their_turn_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    unworn, of_person = cohort_batches(people=1).turn(0), Cohort.of_person
    none: list[Recording] = []
    monkeypatch.setattr(Cohort, "of_person", lambda self, i: none if [i] == unworn else of_person(self, i))
    assert len(cohort_batches(people=1)[0].values) == 12
    monkeypatch.setattr(Cohort, "of_person", lambda self, i: none)
    with pytest.raises(DataError, match="no window of 300 minutes"):
        cohort_batches(people=1)[0]


def test_impossible_batches_are_refused() -> None:
    for wrong in ({"steps": 0}, {"windows": 0}, {"people": 0}, {"people": 6}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            cohort_batches(**wrong)
    for step in (-1, 5):
        with pytest.raises(IndexError, match=f"step={step} is not within 5"):
            cohort_batches()[step]
    with pytest.raises(ValueError, match="minutes=15"):
        cohort_batches(minutes=15)[0]


@pytest.mark.parametrize("minutes", [0, 15, 1450])
def test_windows_off_the_grid_are_refused(minutes: int) -> None:
    with pytest.raises(ValueError, match="minutes="):
        wavy_days(1).usable(minutes)
