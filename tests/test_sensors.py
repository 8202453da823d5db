"""Sensors: a perfect one is the identity, each error has the size its vendor states, and motion spoils beats."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.noise import Floats
from simulator.physiology import Latent, embody
from simulator.recording import SHAPE, Reason
from simulator.routine import Routine
from simulator.sensors import found_share, measure, take_off
from simulator.signals import INDEX, MINUTES_PER_DAY, RR_STATISTICS, SIGNALS, Sensor
from simulator.strap import loosened
from simulator.vendors import VENDORS, Vendor
from simulator.wearing import wear_key
from tests.bodies import LEAD_IN, PERSON, full_day, quiet_day

PERFECT = Vendor(
    name="perfect",
    sensors=frozenset(Sensor),
    battery_days=10.0,
    charge_minutes=60.0,
    heart_rate_error_bpm=0.0,
    heart_rate_motion_error_bpm=0.0,
    valid_beats=1.0,
    accelerometer_noise_g=0.0,
    pressure_noise_hectopascals=0.0,
    source="imagined",
)


@cache
def bodied() -> tuple[Routine, Latent]:
    routine = full_day()
    return routine, embody(PERSON, routine, 2)


def seen(vendor: Vendor) -> dict[str, Floats]:
    routine, latent = bodied()
    values = measure(PERSON, vendor, routine, latent, 2)
    return {name: values[i].astype(np.float64) for name, i in INDEX.items()}


def truth(name: str) -> Floats:
    values: Floats = bodied()[1].truth[INDEX[name]].astype(np.float64)
    return values


def test_a_perfect_sensor_is_the_identity() -> None:
    routine, latent = bodied()
    assert measure(PERSON, PERFECT, routine, latent, 2).tobytes() == latent.truth.tobytes()


@pytest.mark.parametrize(
    ("change", "spoilt"),
    [
        ({"heart_rate_error_bpm": 2.0}, {"heart_rate", *RR_STATISTICS}),
        ({"heart_rate_motion_error_bpm": 3.0}, {"heart_rate"}),
        ({"heart_rate_step_bpm": 1.0}, {"heart_rate"}),
        ({"valid_beats": 0.9}, set(RR_STATISTICS)),
        ({"step_count_factor": 1.2}, {"steps"}),
        ({"skin_temperature_bias_celsius": 0.4}, {"skin_temperature"}),
        ({"temperature_step_celsius": 0.1}, {"skin_temperature"}),
        ({"pressure_noise_hectopascals": 0.02}, {"altimeter_sd"}),
    ],
)
def test_each_error_touches_its_own_signals(change: dict[str, float], spoilt: set[str]) -> None:
    found = seen(replace(PERFECT, **change))  # type: ignore[arg-type]
    differ = {name for name in INDEX if not np.array_equal(found[name], truth(name))}
    assert differ == spoilt


def test_measuring_leaves_the_truth_alone_and_repeats_itself() -> None:
    routine, latent = bodied()
    before = latent.truth.tobytes()
    vendor = VENDORS["fitbit-sense-2"]
    first = measure(PERSON, vendor, routine, latent, 2)
    assert latent.truth.tobytes() == before
    assert measure(PERSON, vendor, routine, latent, 2).tobytes() == first.tobytes()


def test_heart_rate_error_is_as_stated_and_grows_with_motion() -> None:
    vendor = replace(PERFECT, heart_rate_error_bpm=1.5, heart_rate_motion_error_bpm=6.0)
    off = seen(vendor)["heart_rate"] - truth("heart_rate")
    assert off[30:400].std() == pytest.approx(1.5, rel=0.15)
    run = embody(PERSON, quiet_day(cadence=np.full(LEAD_IN + MINUTES_PER_DAY, 160.0, dtype=np.float32)), 2)
    moving = measure(PERSON, vendor, quiet_day(), run, 2)[INDEX["heart_rate"]] - run.truth[INDEX["heart_rate"]]
    assert moving.std() == pytest.approx(np.hypot(1.5, 6.0), rel=0.15)


def test_errors_of_motion_last_some_minutes_and_a_few_are_gross() -> None:
    vendor = replace(PERFECT, heart_rate_motion_error_bpm=6.0)
    off = []
    for day in range(8):
        run = embody(PERSON, quiet_day(cadence=np.full(LEAD_IN + MINUTES_PER_DAY, 160.0, dtype=np.float32)), day)
        found = measure(PERSON, vendor, quiet_day(), run, day)[INDEX["heart_rate"]]
        off.append(found.astype(np.float64) - run.truth[INDEX["heart_rate"]])
    errors = np.concatenate(off)
    assert 0.5 < np.corrcoef(errors[1:], errors[:-1])[0, 1] < 0.75
    assert np.mean(errors**4) / np.mean(errors**2) ** 2 > 6.0


def test_how_it_sits_decides_for_some_minutes_what_is_found() -> None:
    routine, latent = quiet_day(), embody(PERSON, quiet_day(), 2)
    still = replace(latent, motion_g=np.full(MINUTES_PER_DAY, 0.02, dtype=np.float32))
    valid = measure(PERSON, VENDORS["fitbit-sense-2"], routine, still, 2)[INDEX["rr_valid"]].astype(np.float64)
    assert 8.0 < valid.std() < 20.0  # at the same motion all day; of beats drawn one by one 4
    correlation = [np.corrcoef(valid[lag:], valid[:-lag])[0, 1] for lag in (1, 5, 30)]
    assert correlation[0] > 0.9
    assert 0.15 < correlation[1] < 0.5
    assert abs(correlation[2]) < 0.25


def test_motion_inflates_successive_differences_of_what_is_found() -> None:
    latent = embody(PERSON, quiet_day(), 2)
    true = latent.truth[INDEX["rmssd"]].mean()
    ratio = []
    for motion_g in (0.004, 0.025, 0.1):
        moved = replace(latent, motion_g=np.full(MINUTES_PER_DAY, motion_g, dtype=np.float32))
        ratio.append(measure(PERSON, VENDORS["fitbit-sense-2"], quiet_day(), moved, 2)[INDEX["rmssd"]].mean() / true)
    assert 1.0 < ratio[0] < 1.15 < ratio[1] < 1.4 < ratio[2] < 2.5


def test_the_same_draws_reach_every_device() -> None:
    off = [seen(replace(PERFECT, heart_rate_error_bpm=size))["heart_rate"] - truth("heart_rate") for size in (1.0, 2.0)]
    np.testing.assert_allclose(off[1], 2.0 * off[0], atol=1e-3)


def test_quantisation_bias_and_step_factor() -> None:
    vendor = replace(PERFECT, heart_rate_step_bpm=1.0, temperature_step_celsius=0.5, skin_temperature_bias_celsius=0.7)
    found = seen(replace(vendor, step_count_factor=1.1))
    np.testing.assert_array_equal(found["heart_rate"], np.round(truth("heart_rate")))
    np.testing.assert_allclose(found["skin_temperature"] % 0.5, 0.0, atol=1e-5)
    assert np.abs(found["skin_temperature"] - truth("skin_temperature") - 0.7).max() <= 0.2501
    np.testing.assert_array_equal(found["steps"], np.floor(found["steps"]))
    assert found["steps"].sum() == pytest.approx(1.1 * truth("steps").sum(), rel=0.01)


def test_valid_share_falls_from_sleep_to_running() -> None:
    valid = seen(VENDORS["fitbit-sense-2"])["rr_valid"]
    asleep, seated, walking, running = (
        np.median(valid[s]) for s in (slice(30, 400), slice(500, 700), slice(726, 740), slice(1026, 1060))
    )
    assert 75.0 < asleep < 98.0  # norm rrvalid_sleep
    assert 40.0 < seated < 82.0  # norm rrvalid_awake_still
    assert 5.0 < walking < 45.0  # norm rrvalid_walking
    assert 0.0 <= running < 30.0  # norm rrvalid_vigorous_exercise
    assert asleep > seated > walking > running


def test_found_share_bounds() -> None:
    motion_g, dry = np.array([0.0, 0.1, 5.0], dtype=np.float32), np.zeros(3, dtype=np.bool_)
    assert found_share(PERFECT, motion_g, dry).tolist() == [1.0, 1.0, 1.0]
    assert found_share(replace(PERFECT, valid_beats=0.0), motion_g, dry).tolist() == [0.0, 0.0, 0.0]
    usual = VENDORS["fitbit-sense-2"]
    assert found_share(usual, motion_g, dry)[0] == pytest.approx(usual.valid_beats)
    assert (found_share(usual, motion_g, ~dry) < found_share(usual, motion_g, dry)).all()


@settings(max_examples=10, deadline=None)
@given(name=st.sampled_from(sorted(VENDORS)), valid=st.sampled_from([0.0, 0.02, 0.5, 1.0]), error=st.floats(0.0, 20.0))
def test_whatever_the_device_values_stay_in_range(name: str, valid: float, error: float) -> None:
    vendor = replace(
        VENDORS[name], valid_beats=valid, heart_rate_error_bpm=error, heart_rate_motion_error_bpm=3.0 * error
    )
    routine, latent = bodied()
    values = measure(PERSON, vendor, routine, latent, 2)
    assert values.dtype == np.float32
    assert values.shape == SHAPE
    for known, row in zip(SIGNALS, values, strict=True):
        assert known.low <= row.min(), known.name
        assert row.max() <= known.high, known.name


def test_errors_grow_with_darker_skin_as_the_device_says_and_not_below_type_iii() -> None:
    routine, latent = bodied()
    vendor = replace(PERFECT, heart_rate_error_bpm=2.0, heart_rate_motion_error_bpm=4.0, skin_tone_error=0.1)

    def off(skin_tone: int, device: Vendor = vendor) -> Floats:
        found = measure(replace(PERSON, skin_tone=skin_tone), device, routine, latent, 2)[INDEX["heart_rate"]]
        error: Floats = found.astype(np.float64) - latent.truth[INDEX["heart_rate"]]
        return error

    np.testing.assert_array_equal(off(1), off(3))
    np.testing.assert_allclose(off(6), 1.3 * off(3), atol=1e-3)
    np.testing.assert_array_equal(off(6, replace(vendor, skin_tone_error=0.0)), off(3))
    usual = replace(VENDORS["fitbit-sense-2"], skin_tone_error=0.1)
    valid = [measure(replace(PERSON, skin_tone=t), usual, routine, latent, 2)[INDEX["rr_valid"]].mean() for t in (3, 6)]
    assert valid[1] < valid[0] - 1.0


def test_a_loose_strap_misreads_heart_and_skin_for_its_stretches_only() -> None:
    routine, latent = bodied()
    vendor = replace(PERFECT, heart_rate_error_bpm=2.0)
    loose = replace(PERSON, loose_fit=0.4)
    day = next(day for day in range(2, 40) if loosened(loose, routine, wear_key(loose), day).any())
    tight, slack = (measure(person, vendor, routine, latent, day).astype(np.float64) for person in (PERSON, loose))
    inside = loosened(loose, routine, wear_key(loose), day)
    off = [found[INDEX["heart_rate"]] - latent.truth[INDEX["heart_rate"]] for found in (tight, slack)]
    np.testing.assert_allclose(off[1][inside], 1.5 * off[0][inside], atol=1e-3)
    np.testing.assert_array_equal(tight[:, ~inside], slack[:, ~inside])
    air = routine.ambient_celsius[routine.lead_in_minutes :]
    skin = INDEX["skin_temperature"]
    nearer = np.abs(slack[skin] - air)[inside] / np.abs(tight[skin] - air)[inside]
    np.testing.assert_allclose(nearer, 0.88, atol=1e-3)


def test_off_wrist_is_reported_as_zero_only_where_it_is_delivered() -> None:
    values = np.ones(SHAPE, dtype=np.float32)
    reason = np.zeros(SHAPE, dtype=np.uint8)
    reason[:, 100:200] = Reason.OFF_WRIST
    reason[INDEX["on_wrist"], 100:104] = Reason.OBSERVED
    reason[:, 300:400] = Reason.CHARGING
    reason[INDEX["on_wrist"], 300:302] = Reason.OBSERVED
    reason[INDEX["heart_rate"], 500:600] = Reason.MOTION
    take_off(values, reason)
    zero = np.flatnonzero(values[INDEX["on_wrist"]] == 0.0)
    assert zero.tolist() == [100, 101, 102, 103, 300, 301]
    assert (np.delete(values, INDEX["on_wrist"], axis=0) == 1.0).all()
