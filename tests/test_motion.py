"""Motion: features agree with one another and with what was done, persist as habits do, and noise hides the small."""

from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.motion import FEATURES, altimeter_spread
from simulator.movement import Movement, move
from simulator.noise import Floats, time_key
from simulator.population import POPULATIONS
from simulator.routine import Activity, Stage, live
from simulator.signals import INDEX, MINUTES_PER_DAY, SIGNALS
from tests.bodies import LEAD_IN, PERSON, features_of, full_day, quiet_day, with_sensor_noise

KEY = time_key(PERSON.seed, PERSON.index, "body")
MINUTES = LEAD_IN + MINUTES_PER_DAY
START = date(2024, 3, 1)
REAL = Path(__file__).parents[2] / "shared" / "realdata" / "stress_predict_e4.parquet"


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**63), index=st.integers(0, 10**7), day=st.integers(0, 4000), noise_g=st.floats(0.0, 0.1))
def test_anybody_stays_inside_the_ranges_with_any_noise(seed: int, index: int, day: int, noise_g: float) -> None:
    person = POPULATIONS["lsm2"].person(seed, index)
    key = time_key(person.seed, person.index, "body")
    routine = live(person, day, START)
    features, motion_g = features_of(routine, key, day * MINUTES_PER_DAY)
    for found in (features, with_sensor_noise(features, motion_g, noise_g)):
        for name in FEATURES:
            known = SIGNALS[INDEX[name]]
            assert found[name].dtype == np.float32
            assert known.low <= found[name].min(), name
            assert found[name].max() <= known.high, name
    spread = altimeter_spread(routine, key, day * MINUTES_PER_DAY)
    assert spread.min() > 0.0
    assert spread.max() < 20.0


def test_a_minute_is_the_same_from_wherever_it_is_asked() -> None:
    """The drift of hours and days passes through midnight; only what is new each minute changes there."""
    rolls = [move(quiet_day(), KEY, day * MINUTES_PER_DAY)[12] for day in range(-2, 6)]
    usual = np.concatenate([np.abs(np.diff(roll)) for roll in rolls])
    for today, tomorrow in pairwise(rolls):
        assert abs(tomorrow[0] - today[-1]) < usual.max()
    again = move(quiet_day(), KEY, 3 * MINUTES_PER_DAY)
    assert again.tobytes() == move(quiet_day(), KEY, 3 * MINUTES_PER_DAY).tobytes()
    later = move(quiet_day(), KEY, 3 * MINUTES_PER_DAY + 60)
    np.testing.assert_allclose(later[12, :-60], again[12, 60:], rtol=1e-5, atol=1e-6)


def test_rows_of_movement_are_its_fields() -> None:
    moves = Movement(*move(full_day(), KEY, 0))
    walk = slice(722, 738)
    assert moves.steps[walk].tolist() == [105.0] * 16
    assert (moves.walked[walk] == 1.0).all()
    assert (moves.gait[walk] > moves.arm[walk]).all()
    for name in ("walked", "moved", "arm_third"):
        values = getattr(moves, name)
        assert 0.0 <= values.min() <= values.max() <= 1.0, name
    assert (np.abs(moves.roll) < np.pi).all()
    assert (moves.rest > 0.0).all()


def test_altimeter_sees_a_floor_a_minute() -> None:
    climb = np.full(MINUTES, 3.0, dtype=np.float32)
    still = np.zeros(MINUTES, dtype=np.float32)
    spread = altimeter_spread(quiet_day(climb=climb, arm_motion=still), KEY, 0)
    assert np.median(spread) == pytest.approx(3.0 * 0.12 / np.sqrt(12.0), rel=0.02)
    windy = altimeter_spread(quiet_day(pressure_noise=still + 0.5, arm_motion=still), KEY, 0)
    calm = altimeter_spread(quiet_day(arm_motion=still), KEY, 0)
    assert (windy > calm).all()


def test_accelerometer_features_agree_with_one_another() -> None:
    features, motion_g = features_of(full_day(), KEY, MINUTES_PER_DAY)
    assert set(features) == set(FEATURES)
    np.testing.assert_allclose(features["log_energy"], np.log(1500.0 * motion_g**2), atol=1e-4)
    walk, run, sleep, desk = slice(722, 738), slice(1022, 1058), slice(30, 400), slice(600, 700)
    energy = {name: np.median(features["log_energy"][at]) for name, at in
              {"walk": walk, "run": run, "sleep": sleep, "desk": desk}.items()}  # fmt: skip
    assert 5.0 < energy["walk"] - energy["sleep"] < 11.0  # norm logE_walk_sleep
    assert 1.6 < energy["run"] - energy["walk"] < 4.2  # norm logE_run_walk
    assert 0.22 < np.median(features["zero_crossing_mean"][walk]) < 0.6  # norm zc_walk
    assert 0.15 < np.median(features["zero_crossing_mean"][run]) < 0.4  # norm zc_run
    assert 2.2 < np.median(features["kurtosis"][walk]) < 7.0  # norm kurt_walk
    assert 6.0 < np.median(features["kurtosis"][sleep]) < 120.0  # norm kurt_sleep
    rhythm = features["zero_crossing_sd"] / features["zero_crossing_mean"]
    assert np.median(rhythm[walk]) < 0.6 < np.median(rhythm[desk])
    assert features["steps"][walk].tolist() == [105.0] * 16
    assert set(features["sleep_coefficient"].tolist()) <= set(range(16))


def test_desks_are_livelier_than_beds() -> None:
    apart = []
    for seed in range(20):
        energy = features_of(full_day(), time_key(seed, 7, "body"), MINUTES_PER_DAY)[0]["log_energy"]
        apart.append(np.median(energy[600:700]) - np.median(energy[30:400]))
    assert 1.8 < np.mean(apart) < 5.5  # norm logE_sed_sleep; one person's hour at the desk has SD 1.0 to 1.3


def test_more_motion_is_more_energy_and_less_noise() -> None:
    steps = [0.0, 0.1, 0.3, 1.0]  # beyond 1 there is more energy, but no quicker gesture
    rows = [features_of(quiet_day(arm_motion=np.full(MINUTES, level, dtype=np.float32)), KEY, 0) for level in steps]
    for (less, less_g), (more, more_g) in pairwise(rows):
        assert (more_g >= less_g).all()
        for name in ("log_energy", "zero_crossing_mean", "jerk_ratio"):  # gestures are slower than sensor noise
            assert np.median(more[name]) > np.median(less[name]), name


def test_sensor_noise_hides_small_movements_first() -> None:
    features, motion_g = features_of(full_day(), KEY, 0)
    same = with_sensor_noise(features, motion_g, 0.0)
    for name in FEATURES:
        np.testing.assert_allclose(same[name], features[name], rtol=1e-4, atol=1e-4)
    noisy = with_sensor_noise(features, motion_g, 0.02)
    gained = noisy["log_energy"] - features["log_energy"]
    assert (gained > 0.0).all()
    assert np.median(gained[30:400]) > 1.5
    assert np.median(gained[1022:1058]) < 0.01
    buried = with_sensor_noise(features, motion_g, 5.0)  # nothing but noise is left, which is alike along every axis
    for name, level in {"covariance_condition": 0.0, "log_energy_ratio": -0.3, "kurtosis": 3.0}.items():
        np.testing.assert_allclose(buried[name], level, atol=0.2, err_msg=name)
    assert np.ptp(buried["jerk_ratio"]) < 0.19  # over people 0.105, SD 0.027
    assert (noisy["sleep_coefficient"] >= features["sleep_coefficient"]).all()


@cache
def days() -> dict[str, Floats]:
    """Measured features of 40 people's days with what they did, pooled: arrays [40, 1440] by name."""
    pooled: dict[str, list[Floats]] = {}
    for index in range(40):
        person = POPULATIONS["lsm1"].person(21, index)
        key = time_key(person.seed, person.index, "body")
        routine = live(person, 4, START)
        features, motion_g = features_of(routine, key, 4 * MINUTES_PER_DAY)
        facts = with_sensor_noise(features, motion_g, 0.003) | {"motion_g": np.hypot(motion_g, np.float32(0.003))}
        facts["altimeter_sd"] = np.hypot(altimeter_spread(routine, key, 4 * MINUTES_PER_DAY), np.float32(0.013))
        for name in ("stage", "activity", "cadence"):
            facts[name] = getattr(routine, name)[routine.lead_in_minutes :]
        for name, values in facts.items():
            pooled.setdefault(name, []).append(values.astype(np.float64))
    return {name: np.array(rows) for name, rows in pooled.items()}


def test_norms_of_motion() -> None:
    d = days()
    asleep = d["stage"] != Stage.AWAKE
    seated = ~asleep & np.isin(d["activity"], (Activity.REST, Activity.DESK)) & (d["cadence"] == 0)
    walking = (d["activity"] == Activity.WALKING) & (d["cadence"] > 80)
    p5, median, p95 = np.percentile(d["motion_g"][seated], [5, 50, 95])
    assert 0.002 < p5 < 0.009  # norm accsd_seated_p5
    assert 0.015 < median < 0.05  # norm accsd_seated_median
    assert 0.08 < p95 < 0.2  # norm accsd_seated_p95
    assert 6.0 < np.median(d["kurtosis"][asleep]) < 120.0  # norm kurt_sleep
    assert 0.004 < np.median(d["altimeter_sd"][seated]) < 0.05  # norm alt_sd_still_indoor
    assert 0.003 < np.median(d["altimeter_sd"][asleep]) < 0.04  # norm alt_sd_sleep
    assert 0.01 < np.median(d["altimeter_sd"][walking]) < 0.08  # norm alt_sd_walking_flat
    assert 0.02 < np.median(d["altimeter_sd"][d["activity"] == Activity.VEHICLE]) < 0.2  # norm alt_sd_car_flat
    assert 0.04 < np.percentile(d["altimeter_sd"][~asleep], 90) < 0.35  # norm alt_p90_day


def test_habits_of_the_arm_persist() -> None:
    """LSM-1's windows of five hours hold 57 % of the variance between them."""
    d = days()
    for name in ("log_energy", "jerk_ratio", "covariance_condition", "log_energy_ratio", "arm_tilt"):
        blocks = d[name][:, :1200].reshape(40 * 4, 300)
        within = blocks.var(axis=1).mean() / blocks.var()
        assert within < 0.65, f"{name}: {within:.2f} of the variance lies within windows"
        rough = np.diff(blocks, axis=1).var() / 2.0 / blocks.var()
        assert rough < 0.22, f"{name}: {rough:.2f} of the variance is new in each minute"


def seated_hours(name: str) -> Floats:
    """A feature in stretches of 55 minutes that people spent sitting, [stretches, 55]."""
    d = days()
    return np.stack(
        [
            d[name][row, begin : begin + 55]
            for row in range(40)
            for begin in range(540, 1320, 55)
            if np.isin(d["activity"][row, begin : begin + 55], (Activity.REST, Activity.DESK)).mean() > 0.9
            and (d["stage"][row, begin : begin + 55] == Stage.AWAKE).all()
        ]
    )


def forgotten(hours: list[Floats] | Floats, lag: int) -> float:
    """Half the squared change over ``lag`` minutes, over the variance within hours: 1 where nothing is remembered."""
    within = np.mean([np.var(hour) for hour in hours])
    return float(np.mean([np.square(hour[lag:] - hour[:-lag]).mean() for hour in hours]) / 2.0 / within)


def test_hands_of_a_seated_hour_forget_within_minutes() -> None:
    """E4 wrists: energy forgets .73 .87 .98 of itself in 1, 2, 3 min, tilt .49 .70 .82."""
    energy, tilt = seated_hours("log_energy"), seated_hours("arm_tilt")
    assert len(energy) > 30
    assert 1.0 < np.sqrt(energy.var(axis=1).mean()) < 2.1  # E4: 1.8
    assert 0.06 < np.sqrt(tilt.var(axis=1).mean()) < 0.2  # E4: 0.11
    for hours, least in ((energy, (0.5, 0.65, 0.75)), (tilt, (0.35, 0.55, 0.7))):
        for lag, low in enumerate(least, 1):
            assert low < forgotten(hours, lag) < 1.05, lag


@pytest.mark.skipif(not REAL.exists(), reason="the real recordings lie beside the project, not in it")
def test_a_seated_hour_of_hands_moves_as_a_real_one() -> None:
    """35 people with an E4, an hour each; structure in time, not levels, which depend on the E4's filters."""
    table = pd.read_parquet(REAL)
    real = [hour for _, hour in table[table["worn_guess"] == 1].groupby("person_id") if len(hour) >= 50]
    for name, theirs in (("log_energy", "acc_log_energy"), ("arm_tilt", "acc_arm_tilt")):
        hours = [hour[theirs].dropna().to_numpy(np.float64) for hour in real]
        for lag in (1, 2, 3):  # standard error 0.05, and as much of ours in tilt, whose tails are heavy
            assert forgotten(seated_hours(name), lag) == pytest.approx(forgotten(hours, lag), abs=0.25), (name, lag)


def test_a_doing_lasts_a_minute_or_two_and_sleepers_do_nothing() -> None:
    roll = move(quiet_day(), KEY, 0)[12]
    begun = np.abs(np.diff(roll)) > 2e-3  # the drift of hours turns the forearm by less
    assert 0.38 < begun.mean() < 0.50  # 7 of 16; standard error 0.013
    asleep = move(quiet_day(stage=np.full(MINUTES, Stage.LIGHT, dtype=np.uint8)), KEY, 0)[12]
    assert np.abs(np.diff(asleep)).max() < 4e-3


def test_vibration_that_correlates_negatively_still_has_a_jerk_ratio() -> None:
    person = POPULATIONS["lsm1"].person(1, 163)  # drives at 18:19 over a road that shakes above a quarter of 25 Hz
    key = time_key(person.seed, person.index, "body")
    features, _ = features_of(live(person, 0, START), key, 0)
    assert np.isfinite(features["jerk_ratio"]).all()
    assert features["jerk_ratio"].min() >= SIGNALS[INDEX["jerk_ratio"]].low
