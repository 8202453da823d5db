"""The tasks hide what they say, the simple methods fill as a slow loop would, the figures are scikit-learn's."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_error, mean_squared_error

from model.autoencoder import LSM1, Architecture, MaskedAutoencoder
from model.evaluation.baselines import FILLS, diurnal, usual_course
from model.evaluation.generative import (
    Contender,
    Row,
    Task,
    _hide_patches,
    evaluate,
    hide,
    reconstruct,
    sample_windows,
    table,
    tasks,
)
from model.evaluation.imputers import BY_MINUTE
from model.evaluation.metrics import errors
from model.masking import Grid
from model.windows import Batch, Days, Normaliser
from simulator.randomness import stream
from simulator.recording import DataError, Recording
from simulator.signals import INDEX, N_SIGNALS, NAMES, SIGNALS
from tests.conftest import wavy_days
from tests.strategies import seeds

GRID = Grid(rows=N_SIGNALS, columns=30)
SHAPE = Architecture(window_minutes=300, width=16, depth=1, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)


def slow_fill(method: str, values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """One signal, minute by minute, as one would say it."""
    where = np.flatnonzero(known)
    filled = values.astype(np.float64).copy()
    for minute in np.flatnonzero(~known):
        if not len(where):
            filled[minute] = 0
        elif method == "mean":
            filled[minute] = values[where].astype(np.float64).mean()
        elif method == "last":
            before = where[where < minute]
            filled[minute] = values[before[-1] if len(before) else where[0]]
        elif method == "kernel":
            weight = np.exp(-np.abs(where - minute) / 30)
            filled[minute] = (weight * values[where]).sum() / weight.sum()
        elif method == "nearest":
            filled[minute] = values[where[np.abs(where - minute).argmin()]]  # argmin takes the earlier one on a tie
        else:
            filled[minute] = np.interp(minute, where, values[where])
    return filled


@settings(max_examples=25, deadline=None)
@given(seed=seeds, share=st.floats(0, 1), method=st.sampled_from(sorted(FILLS)))
def test_simple_methods_equal_a_slow_loop(seed: int, share: float, method: str) -> None:
    rng = stream(seed)
    values = rng.normal(size=(2, 3, 25)).astype(np.float32)
    known = rng.random(values.shape) < share
    filled = FILLS[method](np.where(known, values, np.float32(99)), known)
    for i in range(2):
        for s in range(3):
            expected = slow_fill(method, np.where(known, values, np.float32(99))[i, s], known[i, s])
            np.testing.assert_allclose(filled[i, s], expected, rtol=1e-5, atol=1e-5)


def test_diurnal_is_the_mean_of_the_person_s_other_days_around_the_minute() -> None:
    days = wavy_days(2, 3)
    windows = np.array([[1, 200], [5, 500]])
    usual = usual_course(days, windows, 60, smoothing_minutes=5)
    for i, (day, start) in enumerate(windows):
        others = [d for d in range(6) if days.person[d] == days.person[day] and d != day]
        for s, minute in ((0, start + 30), (25, start)):
            around = slice(minute - 2, minute + 3)
            cells = np.concatenate([days.values[d, s, around][days.observed[d, s, around]] for d in others])
            expected = cells.mean() if len(cells) else np.nan
            assert usual[i, s, minute - start] == pytest.approx(expected, abs=1e-5, nan_ok=True)


def test_the_usual_course_is_moved_to_what_is_known() -> None:
    usual = np.array([[[1, 2, 3, np.nan]]], np.float32)
    values = np.array([[[11, 0, 0, 0]]], np.float32)
    known = np.array([[[True, False, False, False]]])
    assert diurnal(values, known, usual).tolist() == [[[11, 12, 13, 11]]]  # the mean where there is no usual course


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_errors_are_scikit_learn_s(seed: int) -> None:
    rng = stream(seed)
    truth, predicted = (rng.normal(size=(6, N_SIGNALS, 20)).astype(np.float32) for _ in range(2))
    scored = rng.random(truth.shape) < 0.4
    scored[:, 3] = False
    table = errors(truth, predicted, scored, ["b", "a", "b", "c", "a", "a"])
    by_signal = []
    for s in range(N_SIGNALS):
        if s == 3:
            assert np.isnan(table.mse()[s])
            continue
        t, p = truth[:, s][scored[:, s]], predicted[:, s][scored[:, s]]
        assert table.mse()[s] == pytest.approx(mean_squared_error(t, p), rel=1e-5)
        assert table.mae()[s] == pytest.approx(mean_absolute_error(t, p), rel=1e-5)
        by_signal.append(mean_squared_error(t, p))
    assert table.mse()[-1] == pytest.approx(np.mean(by_signal), rel=1e-5)
    assert table.cells.sum() == scored.sum()


def test_the_interval_holds_the_spread_over_people() -> None:
    """The bootstrap's width is that of the textbook's standard error of a mean over people."""
    rng = stream(4)
    people, level = 60, 1 + stream(5).random(60)
    truth = np.zeros((people, N_SIGNALS, 50), np.float32)
    predicted = (np.sqrt(level)[:, None, None] * rng.choice([-1, 1], truth.shape)).astype(np.float32)
    table = errors(truth, predicted, np.ones(truth.shape, bool), [f"{i:02d}" for i in range(people)])
    low, high = table.mse_intervals(seed=0)[:, -1]
    expected = 2 * 1.96 * level.std() / np.sqrt(people)
    assert low < table.mse()[-1] < high
    assert high - low == pytest.approx(expected, rel=0.15)


@settings(max_examples=20, deadline=None)
@given(seed=seeds, task=st.sampled_from(tasks()))
def test_tasks_hide_what_they_say(seed: int, task: Task) -> None:
    observed = np.ones((5, N_SIGNALS, 300), bool)
    observed[:, INDEX["scl"] :] = False  # no EDA, temperature or altimeter
    hidden = hide(task, GRID, observed, stream(seed)).reshape(5, 26, 30)
    if task.horizon is None:
        assert (hidden.sum((1, 2)) == round(0.8 * 780)).all()
        return
    columns = np.asarray(hidden.any(1))
    assert (columns.sum(1) == task.horizon // 10).all()
    if task.kind == "temporal_extrapolation":
        assert columns[:, -1].all()
    else:
        assert not columns[:, 0].any()
        assert not columns[:, -1].any()
    if task.kind == "sensor_imputation":
        for window in hidden:
            rows = np.flatnonzero(window.any(1))
            sensors = {SIGNALS[row].sensor for row in rows}
            assert len(sensors) == 1
            assert len(rows) == sum(signal.sensor in sensors for signal in SIGNALS)
            assert observed[0, rows].any()
    else:
        assert (hidden == columns[:, None]).all()


def test_a_perfect_and_a_worse_method_are_told_apart() -> None:
    days = wavy_days(8, 2)
    rows = evaluate({}, days, minutes=300, windows_per_person=2, seed=0, chosen=tasks(["temporal_interpolation"], [60]))
    overall = {row.method: row for row in rows if row.signal == "all"}
    assert overall["linear"].saving == 0
    assert overall["linear"].saving_interval == (0, 0)
    for row in rows:
        assert row.interval is not None
        assert row.interval[0] <= row.mse <= row.interval[1]
        assert row.mae <= np.sqrt(row.mse) + 1e-9
    assert {row.signal for row in rows} <= {*NAMES, "all"}


def test_only_observed_hidden_cells_are_scored() -> None:
    """What the missing cells hold cannot matter."""
    days = wavy_days(4, 2)
    other = Days(np.where(days.observed, days.values, np.float32(50)), days.observed, days.person, days.date_index)
    model = {"model": MaskedAutoencoder(SHAPE, 0)}
    chosen = tasks(["random_imputation", "temporal_extrapolation"], [30])
    args = {"minutes": 300, "windows_per_person": 2, "seed": 0, "chosen": chosen}
    one, two = (evaluate(model, d, **args) for d in (days, other))  # type: ignore[arg-type]
    for a, b in zip(one, two, strict=True):
        assert a.mse == pytest.approx(b.mse, rel=1e-5)


@pytest.mark.parametrize("rows", [1, 5])
def test_a_model_never_sees_what_it_is_asked_for(rows: int) -> None:
    model = MaskedAutoencoder(replace(SHAPE, patch_signals=rows), 0)
    days = wavy_days(3)
    windows = sample_windows(days, 300, 1, 0)
    for task in (Task("random_imputation"), Task("sensor_imputation", 60)):
        hidden = hide(task, GRID, np.ones((3, 26, 300), bool), stream(1))
        gap = np.repeat(hidden.reshape(3, 26, 30), 10, axis=2)
        other = Days(days.values.copy(), days.observed, days.person, days.date_index)
        for (day, start), cells in zip(windows, gap, strict=True):
            other.values[day, :, start : start + 300][cells] += 7
        before, after = reconstruct(model, days, windows, hidden), reconstruct(model, other, windows, hidden)
        np.testing.assert_allclose(after[gap], before[gap], atol=1e-5)


@pytest.mark.parametrize("kind", ["random_imputation", "sensor_imputation"])
def test_lsm1_is_asked_fairly(kind: str) -> None:
    """Random imputation hides whole patches of the largest model's, so that a fifth stays seen; scored cells are those
    observed and hidden, though it sees filled ones; and beside a model of small patches it has the same gaps.
    """
    days = wavy_days(4, 2)
    shape = replace(SHAPE, **LSM1)
    models = {"small": MaskedAutoencoder(SHAPE, 0), "lsm1": MaskedAutoencoder(shape, 0)}
    chosen = tasks([kind], [60])
    rows = evaluate(models, days, minutes=300, windows_per_person=2, seed=0, chosen=chosen)
    cells = {row.method: row.n for row in rows if row.signal == "all"}
    assert len(set(cells.values())) == 1
    windows = sample_windows(days, 300, 2, 0)
    _, observed = days.cut(windows, 300)
    if kind == "random_imputation":
        places = _hide_patches(models.values(), GRID, len(windows), stream(0, "gaps", kind, 0))
        by_patch = np.pad(places.reshape(len(windows), 26, 30), ((0, 0), (0, 4), (0, 0)), mode="edge")
        by_patch = by_patch.reshape(len(windows), 6, 5, 30)
        assert (by_patch == by_patch[:, :, :1]).all()
        assert (by_patch[:, :, 0].sum(axis=(1, 2)) == 144).all()  # 80 % of 180
        gap = np.repeat(places.reshape(-1, 26, 30), 10, axis=2)
        assert cells["lsm1"] == (gap & observed).sum()


def overall(rows: list[Row]) -> dict[str, Row]:
    return {row.method: row for row in rows if row.signal == "all"}


def test_a_model_of_longer_windows_gets_the_window_alone_at_its_time_of_day() -> None:
    """The rest of the day is a gap to it, and its answer is that of its own window with the cells in their place."""
    shape = replace(SHAPE, window_minutes=1440)
    model, days = MaskedAutoencoder(shape, 3), wavy_days(2)
    windows = np.array([[0, 200], [1, 1140]])
    hidden = hide(Task("temporal_interpolation", 60), GRID, np.ones((2, 26, 300), bool), stream(0))
    filled = reconstruct(model, days, windows, hidden)
    gap = np.repeat(hidden.reshape(2, 26, 30), 10, axis=2)
    for i, (day, start) in enumerate(windows):
        span = slice(start, start + 300)
        values, observed = np.zeros((26, 1440), np.float32), np.zeros((26, 1440), bool)
        values[:, span], observed[:, span] = days.values[day, :, span], days.observed[day, :, span]
        places = np.zeros((26, 144), bool)
        places[:, start // 10 : start // 10 + 30] = hidden[i].reshape(26, 30)
        parts = (values, observed, np.array(0), places.ravel())
        with torch.no_grad():
            expected = model.reconstruct(Batch(*(torch.from_numpy(np.asarray(part))[None] for part in parts)))
        np.testing.assert_allclose(filled[i][gap[i]], expected[0, :, span].numpy()[gap[i]], atol=1e-5)
    outside = Days(days.values.copy(), days.observed, days.person, days.date_index)
    outside.values[0, :, :200] += 3
    outside.values[0, :, 500:] -= 3
    np.testing.assert_array_equal(reconstruct(model, outside, windows[:1], hidden[:1]), filled[:1])


def test_a_table_says_that_one_person_has_no_interval() -> None:
    facts: dict[str, Any] = {
        "task": "random_imputation",
        "horizon": None,
        "signal": "all",
        "mae": 1.0,
        "n": 9,
        "people": 1,
    }
    row = Row(**facts, method="model", mse=0.79, interval=None, saving=0.21, saving_interval=None)
    assert "21 % (no interval: one person)" in table([row])
    assert "21 % (10 to 30)" in table([replace(row, saving_interval=(0.1, 0.3))])


def test_lsm1_and_a_model_of_days_share_a_table() -> None:
    days = wavy_days(4, 2)
    models = {
        "aim": MaskedAutoencoder(replace(SHAPE, window_minutes=1440, patch_signals=6), 0),
        "lsm1": MaskedAutoencoder(replace(SHAPE, **LSM1), 0),
    }
    chosen = tasks(["random_imputation", "temporal_extrapolation"], [60])
    rows = evaluate(models, days, minutes=300, windows_per_person=2, seed=0, chosen=chosen)
    for task in chosen:
        found = overall([row for row in rows if row.task == task.kind])
        assert {"aim", "lsm1"} <= set(found)
        assert len({row.n for row in found.values()}) == 1
    assert [name for name in table(rows).splitlines()[0].split() if name in models] == ["aim", "lsm1"]
    with pytest.raises(ValueError, match="lsm1 sees 300 minutes, fewer than minutes=600"):
        evaluate(models, days, minutes=600, windows_per_person=2, seed=0, chosen=chosen)


def test_models_of_other_z_scores_are_scored_in_the_table_s(planted_recordings: list[Recording]) -> None:
    """A model that says the window's mean scores as "mean" does, whatever its own constants; so does one that is
    given constants that differ in scale and level from the table's.
    """
    shape = replace(SHAPE, anchor_minutes=(1e6,), patch_minutes=10)
    network = MaskedAutoencoder(shape, 0)
    assert network.blend is not None
    for weight in (network.head.weight, network.blend.weight):
        torch.nn.init.zeros_(weight)  # what is left are the anchors
    both_sides = torch.tensor([50.0, 0.0, 0.0, 0.0]).repeat(10)  # and of these the mean of what is seen
    network.blend.bias.data.copy_(both_sides)
    normaliser = Normaliser.fit(planted_recordings)
    other = Normaliser(tuple(m + 0.3 * s for m, s in zip(normaliser.mean, normaliser.sd, strict=True)), normaliser.sd)
    other = replace(other, sd=tuple(1.7 * s for s in other.sd), clip_z=1e3)
    normaliser = replace(normaliser, clip_z=1e3)
    days = Days.load(planted_recordings, normaliser)
    models = {
        name: Contender.of(network, own, planted_recordings, normaliser, days)
        for name, own in (("own", normaliser), ("other", other))
    }
    assert models["own"].days is days
    chosen = tasks(["temporal_interpolation"], [60])
    rows = evaluate(models, days, minutes=300, windows_per_person=2, seed=0, chosen=chosen)
    mse = {(row.method, row.signal): row.mse for row in rows}
    for signal in (*NAMES, "all"):
        if ("mean", signal) in mse:
            for name in models:
                assert mse[name, signal] == pytest.approx(mse["mean", signal], rel=1e-3, abs=1e-6)


def test_chained_equations_tell_a_sensor_from_the_others_and_a_lost_minute_from_nothing() -> None:
    """Where only a sensor is hidden, signals that go with it tell it; where all are, a window alone has its mean."""
    days = wavy_days(4)  # two waves beneath 26 signals: five others tell each
    imputers = {name: BY_MINUTE[name](1) for name in ("mice", "mice_alone")}
    args = {"minutes": 300, "windows_per_person": 1, "seed": 0, "imputers": imputers}
    sensor = overall(evaluate({}, days, chosen=[Task("sensor_imputation", 120)], **args))  # type: ignore[arg-type]
    for name in imputers:
        assert sensor[name].mse < 0.4 * sensor["mean"].mse
        assert sensor[name].n == sensor["mean"].n
    whole = overall(evaluate({}, days, chosen=[Task("temporal_interpolation", 60)], **args))  # type: ignore[arg-type]
    assert whole["mice_alone"].mse == pytest.approx(whole["mean"].mse, rel=0.1)


def test_one_person_has_no_interval() -> None:
    one = evaluate({}, wavy_days(1, 3), minutes=300, windows_per_person=2, seed=0, chosen=tasks(["random_imputation"]))
    assert {row.interval for row in one} == {None}
    assert {row.saving_interval for row in one} == {None}


def test_windows_are_the_same_whoever_else_is_there() -> None:
    few, many = wavy_days(3, 2), wavy_days(6, 2)
    observed = many.observed.copy()
    observed[:6] = few.observed
    many = Days(many.values, observed, many.person, many.date_index)
    one = sample_windows(few, 300, 3, seed=1)
    both = sample_windows(many, 300, 3, seed=1)
    assert one.tolist() == both[both[:, 0] < 6].tolist()


def test_patches_of_five_signals_are_asked_for_the_same_gap() -> None:
    model = MaskedAutoencoder(replace(SHAPE, patch_signals=5), 0)
    days = wavy_days(2)
    windows = sample_windows(days, 300, 1, 0)
    hidden = hide(Task("temporal_interpolation", 30), GRID, np.ones((2, 26, 300), bool), stream(0))
    filled = reconstruct(model, days, windows, hidden)
    kept = ~np.repeat(hidden.reshape(2, 26, 30), 10, axis=2)
    values, _ = days.cut(windows, 300)
    assert (filled[kept] == values[kept]).all()


def test_unknown_tasks_and_unusable_people_are_errors() -> None:
    with pytest.raises(ValueError, match="task 'x' is unknown"):
        tasks(["x"])
    days = wavy_days(1)
    days.observed[:] = False
    with pytest.raises(DataError, match="nobody has a window"):
        evaluate({}, days, minutes=300, windows_per_person=1, seed=0)
