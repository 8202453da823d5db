"""Gaps: each for its reason, in its order, the same seen from either day, and never more for being worn more."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator import missingness
from simulator.missingness import AWAKE_OFF_MINUTES, RR_VALID_THRESHOLD_PERCENT, find_gaps, worn
from simulator.population import POPULATIONS, Person
from simulator.randomness import stream
from simulator.recording import Reason
from simulator.routine import Routine, Stage, live, live_through
from simulator.signals import INDEX, RR_STATISTICS, SIGNALS, Sensor
from simulator.vendors import VENDORS, Vendor

MONDAY = date(2024, 3, 4)
LSM2 = POPULATIONS["lsm2"]
SENSE_2 = VENDORS["fitbit-sense-2"]
HEART_RATE, RR_VALID, ON_WRIST, STEPS, SCL = (INDEX[n] for n in ("heart_rate", "rr_valid", "on_wrist", "steps", "scl"))
SPOILT = [INDEX[name] for name in RR_STATISTICS if name != "rr_valid"]
HANDLED = [Reason.CHARGING, Reason.OFF_WRIST, Reason.BATTERY_EMPTY]
seeds = st.integers(0, 2**32 - 1)
days = st.integers(-100, 1000)
vendors = st.sampled_from(list(VENDORS.values()))
few = settings(max_examples=30, deadline=None)


def measured(routine: Routine, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Something like the valid share and the motion that a device reports for a day."""
    rng = stream(seed, "measured")
    moving = routine.cadence[routine.lead_in_minutes :] / 200 + 0.1 * routine.arm_motion[routine.lead_in_minutes :]
    valid = np.clip(90 - 250 * moving + 15 * rng.standard_normal(1440), 0, 100)
    return valid.astype(np.float32), moving.astype(np.float32)


def gaps(person: Person, vendor: Vendor, day: int, seed: int = 0) -> tuple[NDArray[np.uint8], Routine]:
    routine = live(person, day, MONDAY)
    return find_gaps(person, vendor, routine, *measured(routine, seed), day), routine


def devoted(person: Person) -> Person:
    """The same person, who takes the watch off for charging only."""
    return replace(person, worn_nights=1.0, off_wrist_per_day=0.0, off_in_water=False, unworn_days=0.0, forgetful=0.0)


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
    assert set(np.unique(reason)) <= {int(r) for r in Reason if r < Reason.NOT_RECORDED}


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
    on = worn(person, vendor, routine, day)
    present = [row for row, signal in enumerate(SIGNALS) if signal.sensor in vendor.sensors]
    others = [row for row in present if row != ON_WRIST]
    np.testing.assert_array_equal(reason[STEPS] == Reason.OBSERVED, on)
    assert np.isin(reason[STEPS][~on], HANDLED).all()
    assert (reason[others][:, ~on] == reason[STEPS][~on]).all()
    assert not np.isin(reason[present][:, on], HANDLED).any()
    # oracle, minute by minute: on_wrist stays observed for the first minutes of a run that is not an empty battery
    since = AWAKE_OFF_MINUTES if not on[0] else 0
    said = reason[ON_WRIST] == Reason.OBSERVED
    for minute in range(1440):
        since = 0 if on[minute] else since + 1
        if since != minute + 1 + AWAKE_OFF_MINUTES:  # not the run that midnight cuts
            says = on[minute] or (since <= AWAKE_OFF_MINUTES and reason[STEPS][minute] != Reason.BATTERY_EMPTY)
            assert said[minute] == says, minute


@few
@given(seeds, days)
def test_skin_is_switched_off_in_sleep_and_exercise_only(seed: int, day: int) -> None:
    person = devoted(LSM2.person(seed, 0))
    reason, routine = gaps(person, SENSE_2, day)
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
    person = LSM2.person(seed, 0)
    routine = live(person, day, MONDAY)
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
    "off_in_water": lambda value, u: value and u < 0.5,
}


@settings(max_examples=60, deadline=None)
@given(seeds, days, vendors, st.sampled_from(sorted(MORE_WEAR)), st.floats(0, 1))
@example(4, 3, SENSE_2, "worn_nights", 1.0)
def test_more_wear_never_yields_less_data(seed: int, day: int, vendor: Vendor, habit: str, u: float) -> None:
    person = replace(LSM2.person(seed, 0), off_wrist_per_day=2.5, worn_nights=0.5, unworn_days=0.3)
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


@settings(max_examples=60, deadline=None)
@given(seeds, days, vendors, st.sampled_from(["evening", "morning", "overnight", "desk"]))
@example(0, 5, VENDORS["pixel-watch-2"], "evening")
def test_two_days_agree_about_midnight(seed: int, day: int, vendor: Vendor, habit: str) -> None:
    """The minutes before midnight, as the later day sees them, are those that the earlier day recorded."""
    person = replace(LSM2.person(seed, 0), charging_habit=habit, worn_nights=0.6, off_wrist_per_day=3.0, forgetful=0.5)
    lead = missingness._LEAD
    before = missingness._handling(person, vendor, live(person, day - 1, MONDAY), day - 1)
    after = missingness._handling(person, vendor, live(person, day, MONDAY), day)
    np.testing.assert_array_equal(after[:lead], before[-lead:])


def statuses(person: Person, vendor: Vendor, number: int) -> NDArray[np.uint8]:
    """What the whole watch was missing for, over consecutive days, uint8 [number * 1440]."""
    full, still = np.full(1440, 100, dtype=np.float32), np.zeros(1440, dtype=np.float32)
    lived = enumerate(live_through(person, range(number), MONDAY))
    return np.concatenate([find_gaps(person, vendor, routine, full, still, day)[STEPS] for day, routine in lived])


def runs(flag: NDArray[np.bool_]) -> NDArray[np.int64]:
    """First minute and first minute after of every run, [n, 2]."""
    return np.flatnonzero(np.diff(flag.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)


@pytest.mark.parametrize(
    ("device", "low", "high"),
    [("fitbit-sense-2", 0.12, 0.40), ("pixel-watch-2", 0.80, 1.60), ("garmin-venu-3", 0.06, 0.25)],
)
def test_charges_come_as_often_as_the_battery_asks_and_last_as_long(device: str, low: float, high: float) -> None:
    vendor = VENDORS[device]
    per_day, lengths = [], []
    for i in range(12):
        person = replace(devoted(LSM2.person(8, i)), charging_habit=("evening", "morning", "desk")[i % 3])
        charges = runs(statuses(person, vendor, 30) == Reason.CHARGING)
        per_day.append(len(charges) / 30)
        lengths += list(charges[:, 1] - charges[:, 0])
    assert low < np.mean(per_day) < high  # norms charge_rate_*
    assert 30 < np.median(lengths) < 150  # minutes, norms charge_gap


def test_an_overnight_charger_sleeps_without_the_watch() -> None:
    person = replace(devoted(LSM2.person(8, 1)), charging_habit="overnight")
    for day, routine in enumerate(live_through(person, range(5), MONDAY)):
        on = worn(person, VENDORS["pixel-watch-2"], routine, day)
        assert not on[max(routine.nights[0][0], 0) : routine.nights[0][1]].any()
        assert on[routine.nights[0][1] + 60 :].mean() > 0.5


def test_a_devoted_wearer_misses_nothing_but_charges() -> None:
    for i in range(5):
        status = statuses(devoted(LSM2.person(9, i)), SENSE_2, 10)
        assert set(np.unique(status)) <= {Reason.OBSERVED, Reason.CHARGING}
        assert (status == Reason.OBSERVED).mean() > 0.9


def test_forgetful_people_run_flat_and_others_never() -> None:
    flat = statuses(replace(LSM2.person(9, 0), forgetful=1.0), VENDORS["pixel-watch-2"], 10) == Reason.BATTERY_EMPTY
    assert flat.mean() > 0.05
    never = statuses(replace(LSM2.person(9, 0), forgetful=0.0), VENDORS["pixel-watch-2"], 10)
    assert not (never == Reason.BATTERY_EMPTY).any()


def test_nights_and_showers_without_the_watch() -> None:
    person = devoted(LSM2.person(10, 0))
    bare = replace(person, worn_nights=0.0, off_in_water=True)
    for day, routine in enumerate(live_through(person, range(7), MONDAY)):
        on = worn(bare, SENSE_2, routine, day)
        assert not on[max(routine.nights[0][0], 0) : routine.nights[0][1]].any()
        wet = routine.water[routine.lead_in_minutes :]
        assert not on[wet].any()


def test_a_shower_before_midnight_is_dried_off_alike_on_both_days() -> None:
    lead = missingness._LEAD
    for day in range(25):
        person = replace(devoted(LSM2.person(10, 2)), off_in_water=True)
        before, after = live(person, day - 1, MONDAY), live(person, day, MONDAY)
        for routine, midnight in ((before, routine_end(before)), (after, after.lead_in_minutes)):
            routine.water[:] = False
            routine.water[midnight - 16 : midnight - 8] = True
        earlier = missingness._handling(person, SENSE_2, before, day - 1)
        later = missingness._handling(person, SENSE_2, after, day)
        np.testing.assert_array_equal(later[:lead], earlier[-lead:])
        assert (later[lead - 10 : lead - 6] == Reason.OFF_WRIST).all()


def routine_end(routine: Routine) -> int:
    return routine.lead_in_minutes + 1440


def test_the_watch_is_put_aside_as_often_as_the_habit_says_and_rather_in_the_evening() -> None:
    starts = []
    for i in range(20):
        person = replace(devoted(LSM2.person(13, i)), off_wrist_per_day=0.5, off_wrist_minutes=20.0)
        off = runs(statuses(person, VENDORS["garmin-venu-3"], 20) == Reason.OFF_WRIST)
        starts += list(off[:, 0] % 1440 / 60)
    assert len(starts) / 400 == pytest.approx(0.5, abs=0.12)
    assert 14 < np.median(starts) < 21
    assert np.ptp(starts) > 12


def test_some_firmware_measures_less_by_day() -> None:
    apple, person = VENDORS["apple-watch-9"], devoted(LSM2.person(14, 0))
    routine = live(person, 2, MONDAY)
    full, still = np.full(1440, 100, dtype=np.float32), np.zeros(1440, dtype=np.float32)
    observed = find_gaps(person, apple, routine, full, still, 2) == Reason.OBSERVED
    on = worn(person, apple, routine, 2)
    asleep = routine.stage[routine.lead_in_minutes :] != Stage.AWAKE
    noon = on & ~routine.exercising[routine.lead_in_minutes :]
    noon[:660], noon[1200:] = False, False  # nobody's night reaches 11 to 20 h
    noon &= ~asleep
    assert noon.sum() > 300
    assert observed[HEART_RATE][noon].mean() == pytest.approx(1 / apple.heart_rate_interval_minutes, abs=0.02)
    for name in ("rmssd", "skin_temperature"):
        assert not observed[INDEX[name]][noon].any()
        assert observed[INDEX[name]][on & asleep].all()
    assert observed[HEART_RATE][on & asleep].all()


def test_an_unworn_day_runs_from_rising_to_rising() -> None:
    person = replace(devoted(LSM2.person(10, 1)), unworn_days=0.2)
    away = [missingness._away(person, day) for day in range(-1, 40)]
    assert 0 < sum(away) < len(away)
    garmin = VENDORS["garmin-venu-3"]
    for day, routine in enumerate(live_through(person, range(40), MONDAY)):
        rise = routine.nights[0][1]
        on = worn(person, garmin, routine, day)
        assert (on[:rise].mean() < 0.05) == away[day]  # away[day] is the day before
        assert (on[rise:].mean() < 0.05) == away[day + 1]


def test_unworn_days_come_as_often_as_the_habit_says() -> None:
    person = replace(devoted(LSM2.person(10, 1)), unworn_days=0.15)
    share = np.mean([missingness._away(replace(person, index=i), day) for i in range(60) for day in range(70)])
    assert share == pytest.approx(0.15, abs=0.03)


def test_a_cohort_misses_about_as_much_as_lsm_2() -> None:
    """LSM-2 reports a mean of 49 % (SD 15 %) over days missing less than 80 %; night and day wear as in LifeSnaps."""
    missing, hours, long_starts, nights = [], [], [], []
    for i in range(60):
        person, vendor = LSM2.person(12, i), LSM2.vendor(12, i)
        for day, routine in enumerate(live_through(person, range(10), MONDAY)):
            reason = find_gaps(person, vendor, routine, *measured(routine, i), day)
            on = worn(person, vendor, routine, day)
            missing.append((reason != Reason.OBSERVED).mean())
            hours.append(on.mean() * 24)
            nights.append(on[max(routine.nights[0][0], 0) : routine.nights[0][1]].mean() > 0.5)
            long_starts += [start / 60 for start, end in runs(~on) if end - start > 300]
    share = np.array(missing)
    assert share.min() > 0.0  # no day of 1.6 million was complete
    kept = share[share < 0.8]
    assert 0.36 < kept.mean() < 0.56
    assert 0.10 < kept.std() < 0.22
    assert 17.0 < np.mean(hours) < 21.8  # 19.1 h/day with heart rate, LifeSnaps
    assert 0.60 < np.mean(nights) < 0.90  # 0.735
    clock = np.array(long_starts)
    assert ((clock >= 19) | (clock < 1)).mean() > 0.65  # 0.81 of gaps over 5 h, Fitabase
