"""Gaps: each for its reason, in its order, the same seen from either day, and never more for being worn more."""

from bisect import bisect_left
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator import missingness
from simulator.missingness import AWAKE_OFF_MINUTES, RR_VALID_THRESHOLD_PERCENT, find_gaps, worn
from simulator.population import Person
from simulator.recording import Reason
from simulator.routine import Stage, live, live_through
from simulator.signals import INDEX, SIGNALS, Sensor
from simulator.vendors import VENDORS, Vendor
from tests.wearers import (
    HANDLED,
    HEART_RATE,
    IMPORTED,
    LSM2,
    MONDAY,
    ON_WRIST,
    RR_VALID,
    SAID,
    SCL,
    SENSE_2,
    SPOILT,
    STEPS,
    days,
    devoted,
    few,
    gaps,
    lived,
    measured,
    runs,
    seeds,
    statuses,
    vendors,
)


@few
@given(seeds, days, vendors)
def test_the_reason_of_a_day_is_a_pure_function(seed: int, day: int, vendor: Vendor) -> None:
    person = LSM2.person(seed, 0)
    reason, _ = gaps(person, vendor, day)
    gaps(LSM2.person(seed, 1), vendor, day)
    again, _ = gaps(person, vendor, day)
    np.testing.assert_array_equal(reason, again)
    assert reason.shape == (26, 1440)
    assert reason.dtype == np.uint8
    assert set(np.unique(reason)) <= {int(r) for r in Reason if r not in IMPORTED}


@few
@given(seeds, days, vendors)
def test_a_sensor_that_is_absent_is_never_observed_and_no_other_is_called_absent(
    seed: int, day: int, vendor: Vendor
) -> None:
    reason, _ = gaps(LSM2.person(seed, 0), vendor, day)
    for row, signal in enumerate(SIGNALS):
        absent = reason[row] == Reason.SENSOR_ABSENT
        assert absent.all() if signal.sensor not in vendor.sensors else not absent.any()


@few
@given(seeds, days, vendors)
def test_off_the_wrist_all_channels_blank_together_after_the_watch_has_said_so(
    seed: int, day: int, vendor: Vendor
) -> None:
    person = LSM2.person(seed, 0)
    reason, routine = gaps(person, vendor, day)
    assume(not (reason == Reason.SENSOR_FAILED).any())
    on = worn(person, vendor, routine, day)
    present = [row for row, signal in enumerate(SIGNALS) if signal.sensor in vendor.sensors]
    others = [row for row in present if row != ON_WRIST]
    np.testing.assert_array_equal(reason[STEPS] == Reason.OBSERVED, on)
    assert np.isin(reason[STEPS][~on], HANDLED).all()
    saving = reason[ON_WRIST] == Reason.POWER_SAVING
    assert (reason[others][:, ~on] == reason[STEPS][~on]).all()
    assert not np.isin(reason[present][:, on], HANDLED).any()
    if Sensor.PPG not in vendor.sensors:
        return
    # oracle, minute by minute: on_wrist stays observed for the first minutes of a run that is not an empty battery
    since = AWAKE_OFF_MINUTES if not on[0] else 0
    said = reason[ON_WRIST] == Reason.OBSERVED
    for minute in range(1440):
        since = 0 if on[minute] else since + 1
        if since != minute + 1 + AWAKE_OFF_MINUTES:  # not the run that midnight cuts
            says = on[minute] or (since <= AWAKE_OFF_MINUTES and reason[STEPS][minute] in SAID)
            assert said[minute] == (says and not saving[minute]), minute


@few
@given(seeds, days)
def test_skin_is_switched_off_in_sleep_and_exercise_only(seed: int, day: int) -> None:
    person = devoted(LSM2.person(seed, 0))
    reason, routine = gaps(person, SENSE_2, day)
    assume(not (reason == Reason.SENSOR_FAILED).any())
    asleep = routine.stage[routine.lead_in_minutes :] != Stage.AWAKE
    exercising = routine.exercising[routine.lead_in_minutes :]
    in_night = np.zeros(1440, dtype=bool)
    for event in routine.events:
        if event.kind == "sleep":
            in_night[max(event.start_minute, 0) : max(event.end_minute, 0)] = True
    on = worn(person, SENSE_2, routine, day)
    for name in ("scl", "scl_slope", "skin_temperature"):
        off = reason[INDEX[name]] == Reason.SENSOR_OFF
        assert off[on & (asleep | exercising)].all()
        assert not off[on & ~(in_night | exercising)].any()
    assert not (reason[STEPS] == Reason.SENSOR_OFF).any()
    always = replace(SENSE_2, eda_and_temperature_in_sleep_and_exercise=True)
    assert not (gaps(person, always, day)[0] == Reason.SENSOR_OFF).any()


@few
@given(seeds, days)
def test_too_few_valid_beats_cost_the_nine_statistics_but_not_their_share(seed: int, day: int) -> None:
    person = replace(LSM2.person(seed, 0), loose_fit=0.0, forgetful=0.0, wear_and_tear=0.0)
    routine = live(person, day, MONDAY)
    routine.water[:] = False
    routine.ambient_celsius[:] = 20.0
    valid, motion = measured(routine, seed)
    reason = find_gaps(person, SENSE_2, routine, valid, motion, day)
    on = worn(person, SENSE_2, routine, day)
    for row in SPOILT:
        np.testing.assert_array_equal(reason[row] == Reason.MOTION, on & (valid < RR_VALID_THRESHOLD_PERCENT))
    assert not (reason[RR_VALID] == Reason.MOTION).any()
    still = find_gaps(person, SENSE_2, routine, np.full_like(valid, 100), np.zeros_like(motion), day)
    assert not (still == Reason.MOTION).any()


@pytest.mark.parametrize(("motion", "share"), [(1.0, 1.0), (0.26, 0.5), (0.11, 0.0)])
def test_strong_motion_sometimes_hides_the_pulse(motion: float, share: float) -> None:
    person = devoted(LSM2.person(1, 1))
    routine = live(person, 0, MONDAY)
    routine.ambient_celsius[:] = 20.0
    full, moving = np.full(1440, 100, dtype=np.float32), np.full(1440, motion, dtype=np.float32)
    days = [find_gaps(person, SENSE_2, routine, full, moving, day)[HEART_RATE] == Reason.MOTION for day in range(40)]
    expected = missingness.HEART_RATE_LOSS_SHARE * 0.6 * share  # a loss lasts 5 of 8 minutes on average
    assert 0.7 * expected <= np.mean(days) <= 1.2 * expected
    if share > 0:  # each day has its own losses, independent of another's
        assert np.mean(days[0] & days[1]) < 0.7 * np.mean(days)


MORE_WEAR = {
    "worn_nights": lambda value, u: value + u * (1 - value),
    "off_wrist_per_day": lambda value, u: value * (1 - u),
    "off_wrist_minutes": lambda value, u: value * (1 - u),
    "unworn_days": lambda value, u: value * (1 - u),
    "weeks_off_per_year": lambda value, u: value * (1 - u),
    "quits_per_year": lambda value, u: value * (1 - u),
    "phone_away_per_year": lambda value, u: value * (1 - u),
    "loose_fit": lambda value, u: value * (1 - u),
    "off_in_water": lambda value, u: value and u < 0.5,
}


@settings(max_examples=60, deadline=None)
@given(seeds, days, vendors, st.sampled_from(sorted(MORE_WEAR)), st.floats(0, 1))
@example(4, 3, SENSE_2, "worn_nights", 1.0)
def test_more_wear_never_yields_less_data(seed: int, day: int, vendor: Vendor, habit: str, u: float) -> None:
    person = replace(
        LSM2.person(seed, 0),
        off_wrist_per_day=2.5,
        worn_nights=0.5,
        unworn_days=0.3,
        weeks_off_per_year=3.0,
        quits_per_year=0.5,
        phone_away_per_year=6.0,
        loose_fit=0.3,
    )
    keener = replace(person, **{habit: MORE_WEAR[habit](getattr(person, habit), u)})
    before, _ = gaps(person, vendor, day)
    after, _ = gaps(keener, vendor, day)
    assert not ((before == Reason.OBSERVED) & (after != Reason.OBSERVED)).any()


@few
@given(seeds, days, st.sampled_from(sorted(Sensor)))
def test_one_more_sensor_adds_its_signals_and_changes_no_other(seed: int, day: int, sensor: Sensor) -> None:
    person = LSM2.person(seed, 0)
    more, _ = gaps(person, SENSE_2, day)
    fewer, _ = gaps(person, replace(SENSE_2, sensors=SENSE_2.sensors - {sensor}), day)
    kept = [row for row, signal in enumerate(SIGNALS) if signal.sensor != sensor]
    np.testing.assert_array_equal(more[kept], fewer[kept])


def test_some_firmware_measures_less_by_day() -> None:
    oura, person = VENDORS["oura-ring-3"], devoted(LSM2.person(14, 0))
    observed, noon, asleep = by_firmware(oura, person)
    assert observed[HEART_RATE][noon].mean() == pytest.approx(1 / oura.heart_rate_interval_minutes, abs=0.02)
    assert not observed[INDEX["rmssd"]][noon].any()
    assert observed[INDEX["rmssd"]][asleep].mean() == pytest.approx(1 / oura.beats_interval_minutes, abs=0.02)
    assert observed[HEART_RATE][asleep].all()
    assert observed[INDEX["skin_temperature"]][noon | asleep].all()


def test_an_apple_watch_reads_the_heart_now_and_then_and_its_beats_a_few_times_a_day() -> None:
    apple, person = VENDORS["apple-watch-9"], devoted(LSM2.person(14, 0))
    observed, noon, asleep = by_firmware(apple, person)
    for still in (noon, asleep):
        assert observed[HEART_RATE][still].mean() == pytest.approx(1 / 6, abs=0.02)
    assert 3 <= observed[INDEX["rmssd"]].sum() <= 6
    assert not observed[INDEX["skin_temperature"]][noon].any()
    assert observed[INDEX["skin_temperature"]][asleep].all()


def test_a_polar_watch_evaluates_beats_in_the_first_hours_of_sleep_only() -> None:
    polar, person = VENDORS["polar-ignite-3"], devoted(LSM2.person(14, 0))
    routine = live(person, 2, MONDAY)
    observed, _, _ = by_firmware(polar, person)
    onset = next(e.start_minute for e in routine.events if e.kind == "sleep" and e.label == "main")
    minutes = np.flatnonzero(observed[INDEX["rmssd"]][: routine.nights[0][1]])
    assert len(minutes) > 10
    assert minutes.max() <= max(onset, 0) + polar.beats_sleep_minutes


def by_firmware(vendor: Vendor, person: Person) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """What is observed of a still day with every beat found, the waking minutes around noon, and those asleep."""
    routine = live(person, 2, MONDAY)
    routine.ambient_celsius[:] = 20.0
    full, still = np.full(1440, 100, dtype=np.float32), np.zeros(1440, dtype=np.float32)
    observed = find_gaps(person, vendor, routine, full, still, 2) == Reason.OBSERVED
    on = worn(person, vendor, routine, 2)
    asleep = routine.stage[routine.lead_in_minutes :] != Stage.AWAKE
    noon = on & ~routine.exercising[routine.lead_in_minutes :]
    noon[:660], noon[1200:] = False, False  # nobody's night reaches 11 to 20 h
    noon &= ~asleep
    assert noon.sum() > 300
    return observed, noon, on & asleep


def test_a_cohort_misses_as_much_as_lsm_2() -> None:
    """LSM-2: a mean of 49 % (SD 15 %) over days missing less than 80 %, none of 1.6 million complete."""
    days = [((reason != Reason.OBSERVED).mean(), hours) for _, reason, hours in lived(LSM2, 110, 7)]
    share, hours = np.array(days).T
    assert share.min() > 0.0
    kept = share < 0.8
    # standard errors over people 0.014 and 0.01
    assert share[kept].mean() == pytest.approx(0.49, abs=0.05)
    assert share[kept].std() == pytest.approx(0.15, abs=0.04)
    assert 17.0 < hours[kept].mean() < 21.8  # of days that count; LifeSnaps has 19.1
    assert 14.0 < hours.mean() < 18.5  # of all: ordinary owners, 15.1 of Fitabase's


def test_swimmers_and_cold_wrists_lose_the_pulse() -> None:
    person = devoted(LSM2.person(15, 1))
    full, still = np.full(1440, 100, dtype=np.float32), np.full(1440, 0.01, dtype=np.float32)
    swum, cold, warm = [], [], []
    for day, routine in enumerate(live_through(person, range(30), MONDAY)):
        on = worn(person, SENSE_2, routine, day)
        routine.ambient_celsius[:] = 20.0
        warm.append((find_gaps(person, SENSE_2, routine, full, still, day)[HEART_RATE][on] != 0).mean())
        routine.ambient_celsius[:] = -5.0
        cold.append((find_gaps(person, SENSE_2, routine, full, still, day)[HEART_RATE] == Reason.TOO_COLD)[on].mean())
        routine.ambient_celsius[:] = 20.0
        routine.exercising[:] = routine.water[:] = True
        swum.append((find_gaps(person, SENSE_2, routine, full, still, day)[HEART_RATE] == Reason.MOTION)[on].mean())
        dry = find_gaps(person, replace(SENSE_2, heart_rate_in_water=False), routine, full, still, day)
        assert (dry[HEART_RATE][on] == Reason.SENSOR_OFF).all()
    assert np.mean(warm) < 0.02  # showers taken for exercise do not exist
    assert np.mean(cold) == pytest.approx(0.5 * 0.57, rel=0.15)
    assert np.mean(swum) == pytest.approx(0.20, rel=0.15)  # norm hr_dropout_water: 0.3, 0.05 to 0.8


def test_a_watch_colder_than_it_works_in_records_nothing_until_it_is_warm() -> None:
    apple, person = VENDORS["apple-watch-9"], devoted(LSM2.person(15, 2))
    routine = live(person, 0, MONDAY)
    routine.ambient_celsius[:] = 20.0
    outside = slice(routine.lead_in_minutes + 700, routine.lead_in_minutes + 900)
    routine.ambient_celsius[outside] = -25.0
    full, still = np.full(1440, 100, dtype=np.float32), np.zeros(1440, dtype=np.float32)
    frozen = (find_gaps(person, apple, routine, full, still, 0) == Reason.TOO_COLD)[STEPS]
    assert frozen[760:900].all()
    assert not frozen[:705].any()
    assert not frozen[960:].any()
    hardier = find_gaps(person, replace(apple, coldest_celsius=-40.0), routine, full, still, 0)
    assert not (hardier[STEPS] == Reason.TOO_COLD).any()


def test_a_sensor_that_fails_stays_silent_and_takes_no_other_with_it() -> None:
    failing = 0
    for i in range(60):
        person = replace(devoted(LSM2.person(16, i)), wear_and_tear=10.0)

        def silent(day: int, person: Person = person) -> NDArray[np.bool_]:
            return np.asarray(gaps(person, SENSE_2, day)[0][SCL] == Reason.SENSOR_FAILED)

        if not silent(300).any():
            continue
        failing += 1
        first = bisect_left(range(300), True, key=lambda day: bool(silent(day).any()))
        for day in (first, first + 1, first + 40):
            reason, _ = gaps(person, SENSE_2, day)
            dead = reason[SCL] == Reason.SENSOR_FAILED
            since = int(dead.argmax()) if day == first else 0
            assert (dead | np.isin(reason[SCL], HANDLED))[since:].all()
            assert not (reason[STEPS] == Reason.SENSOR_FAILED).any()
    expected = 60 * (1 - np.exp(-0.03 * 10 * 300 / 365.25))  # 0.03 a year for electrodes, ten times as worn
    assert failing == pytest.approx(expected, abs=3 * np.sqrt(expected))


def test_a_battery_that_nobody_charges_saves_power_and_then_dies() -> None:
    person = replace(devoted(LSM2.person(18, 0)), forgetful=1.0, charging_habit="evening")
    pixel = VENDORS["pixel-watch-2"]
    full, still = np.full(1440, 100, dtype=np.float32), np.zeros(1440, dtype=np.float32)
    days = [find_gaps(person, pixel, r, full, still, d) for d, r in enumerate(live_through(person, range(8), MONDAY))]
    reason = np.concatenate(days, axis=1)
    saving = reason[HEART_RATE] == Reason.POWER_SAVING
    assert saving.any()
    assert (reason[STEPS][saving] == Reason.OBSERVED).all()
    assert (reason[[ON_WRIST, SCL, INDEX["skin_temperature"]]][:, saving] == Reason.POWER_SAVING).all()
    ends = runs(saving)[:, 1]
    assert (reason[STEPS][ends[ends < saving.size]] == Reason.BATTERY_EMPTY).mean() > 0.7
    assert not (statuses(person, replace(pixel, power_saving_below=0.0), 8) == Reason.POWER_SAVING).any()
