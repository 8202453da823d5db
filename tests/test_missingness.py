"""Gaps: each for its reason, in its order, the same seen from either day, and never more for being worn more."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator import missingness, wearing
from simulator.activities import Activity
from simulator.battery import use_a_day
from simulator.missingness import AWAKE_OFF_MINUTES, RR_VALID_THRESHOLD_PERCENT, find_gaps, worn
from simulator.population import POPULATIONS, Person, Population
from simulator.randomness import stream
from simulator.realism.gaps import Heard
from simulator.recording import Reason
from simulator.routine import Routine, Stage, live, live_through
from simulator.signals import INDEX, RR_STATISTICS, SIGNALS, Sensor
from simulator.vendors import VENDORS, Vendor

MONDAY = date(2024, 3, 4)
LSM2, OWNERS = POPULATIONS["lsm2"], POPULATIONS["owners"]
SENSE_2 = VENDORS["fitbit-sense-2"]
HEART_RATE, RR_VALID, ON_WRIST, STEPS, SCL = (INDEX[n] for n in ("heart_rate", "rr_valid", "on_wrist", "steps", "scl"))
SPOILT = [INDEX[name] for name in RR_STATISTICS if name != "rr_valid"]
HANDLED = [Reason.CHARGING, Reason.OFF_WRIST, Reason.BATTERY_EMPTY, Reason.NOT_SYNCED, Reason.DROPPED_OUT]
SAID = [Reason.CHARGING, Reason.OFF_WRIST]
IMPORTED = {Reason.NOT_RECORDED, Reason.OUT_OF_RANGE}
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
    """The same person, who takes the watch off for charging only, wears it tight and keeps the phone near."""
    return replace(
        person,
        worn_nights=1.0,
        off_wrist_per_day=0.0,
        off_in_water=False,
        unworn_days=0.0,
        weeks_off_per_year=0.0,
        forgetful=0.0,
        loose_fit=0.0,
        phone_away_per_year=0.0,
        quits_per_year=0.0,
    )


def handled(person: Person, vendor: Vendor, routine: Routine, day: int) -> NDArray[np.uint8]:
    return wearing.handling(person, vendor, routine, day, wearing.wear_key(person))


def away(person: Person, day: int) -> bool:
    return wearing.away(person, day, wearing.wear_key(person))


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


@settings(max_examples=60, deadline=None)
@given(seeds, days, vendors, st.sampled_from(["evening", "morning", "overnight", "desk"]))
@example(0, 5, VENDORS["pixel-watch-2"], "evening")
def test_two_days_agree_about_midnight(seed: int, day: int, vendor: Vendor, habit: str) -> None:
    """The minutes before midnight, as the later day sees them, are those that the earlier day recorded."""
    person = replace(
        LSM2.person(seed, 0),
        charging_habit=habit,
        worn_nights=0.6,
        off_wrist_per_day=3.0,
        forgetful=0.5,
        phone_away_per_year=6.0,
        quits_per_year=1.0,
    )
    lead = wearing.LEAD_MINUTES
    before = handled(person, vendor, live(person, day - 1, MONDAY), day - 1)
    after = handled(person, vendor, live(person, day, MONDAY), day)
    np.testing.assert_array_equal(after[:lead], before[-lead:])


def statuses(person: Person, vendor: Vendor, number: int) -> NDArray[np.uint8]:
    """What the whole watch was missing for, over consecutive days, uint8 [number * 1440]."""
    full, still = np.full(1440, 100, dtype=np.float32), np.zeros(1440, dtype=np.float32)
    days = enumerate(live_through(person, range(number), MONDAY))
    return np.concatenate([find_gaps(person, vendor, routine, full, still, day)[STEPS] for day, routine in days])


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


def test_a_watch_is_full_when_its_owner_takes_it_from_the_bedside() -> None:
    """Hours from the charger to power saving are those that the battery gives, not fewer by a night."""
    apple = replace(VENDORS["apple-watch-9"], power_saving_below=0.5)  # before the day's end, and before most top-ups
    minutes, rated = [], []
    for i in range(12):
        person = replace(devoted(LSM2.person(8, i)), charging_habit="overnight", always_on_display=True)
        person = replace(person, exercise_per_week=0.0)
        for day, routine in enumerate(live_through(person, range(6), MONDAY)):
            today = handled(person, apple, routine, day)[wearing.LEAD_MINUTES :]
            risen = int(np.flatnonzero(today[:720] == Reason.CHARGING).max(initial=0))
            saving = np.flatnonzero(today[risen:] == Reason.POWER_SAVING)
            if risen and len(saving) and not (today[risen + 1 : risen + saving[0]] == Reason.CHARGING).any():
                minutes.append(saving[0])
                rated.append(1440 * (1 - apple.power_saving_below) / use_a_day(person, apple))
    assert len(minutes) > 10
    assert np.median(minutes) == pytest.approx(np.median(rated), rel=0.15)


def test_a_flat_watch_measures_nothing_until_it_is_charged() -> None:
    apple, charged = VENDORS["apple-watch-9"], 0
    for i in range(12):
        person = replace(devoted(LSM2.person(8, i)), charging_habit="overnight", forgetful=0.5, always_on_display=True)
        days = [handled(person, apple, r, d)[40:] for d, r in enumerate(live_through(person, range(12), MONDAY))]
        status = np.concatenate(days)
        for _, after in runs(status == Reason.BATTERY_EMPTY).tolist():
            if after < status.size:
                assert status[after] == Reason.CHARGING
                charged += 1
    assert charged > 5


def test_a_watch_that_is_put_away_is_not_charged() -> None:
    pixel, unworn = VENDORS["pixel-watch-2"], 0
    for habit in ("evening", "morning", "desk", "overnight"):
        person = replace(devoted(LSM2.person(10, 1)), unworn_days=0.3, charging_habit=habit)
        for day, routine in enumerate(live_through(person, range(30), MONDAY)):
            (_, rise), (next_bed, _) = routine.nights
            if away(person, day) and away(person, day - 1):  # not from the evening before, when it was still charged
                today = handled(person, pixel, routine, day)[wearing.LEAD_MINUTES :]
                assert not (today[rise : min(next_bed, 1440)] == Reason.CHARGING).any()
                unworn += 1
    assert unworn > 10


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
    lead = wearing.LEAD_MINUTES
    for day in range(25):
        person = replace(devoted(LSM2.person(10, 2)), off_in_water=True)
        before, after = live(person, day - 1, MONDAY), live(person, day, MONDAY)
        for routine, midnight in ((before, routine_end(before)), (after, after.lead_in_minutes)):
            routine.water[:] = False
            routine.water[midnight - 16 : midnight - 8] = True
        garmin = VENDORS["garmin-venu-3"]  # seldom on its charger
        earlier = handled(person, garmin, before, day - 1)
        later = handled(person, garmin, after, day)
        np.testing.assert_array_equal(later[:lead], earlier[-lead:])
        if (later[:lead] == Reason.CHARGING).any():
            continue
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


def test_an_unworn_day_runs_from_the_evening_before_to_the_morning_after() -> None:
    person = replace(devoted(LSM2.person(10, 1)), unworn_days=0.2)
    unworn = {day: away(person, day) for day in range(-1, 42)}
    assert 0 < sum(unworn.values()) < len(unworn)
    garmin = VENDORS["garmin-venu-3"]
    for day, routine in enumerate(live_through(person, range(40), MONDAY)):
        (bed, rise), (next_bed, _) = routine.nights
        on = worn(person, garmin, routine, day)
        assert (on[max(bed, 0) : rise].mean() < 0.05) == (unworn[day - 1] or unworn[day])
        assert (on[rise : min(next_bed, 1440)].mean() < 0.05) == unworn[day]


def test_unworn_days_come_as_often_as_the_habit_says() -> None:
    person = replace(devoted(LSM2.person(10, 1)), unworn_days=0.15)
    share = np.mean([away(replace(person, index=i), day) for i in range(60) for day in range(70)])
    assert share == pytest.approx(0.15, abs=0.03)


def lived(population: Population, people: int, number: int) -> Iterator[tuple[Routine, NDArray[np.uint8], float]]:
    """Days of a population: routine, reasons of gaps, and hours worn."""
    for i in range(people):
        person, vendor = population.person(12, i), population.vendor(12, i)
        for day, routine in enumerate(live_through(person, range(number), MONDAY)):
            reason = find_gaps(person, vendor, routine, *measured(routine, i), day)
            yield routine, reason, worn(person, vendor, routine, day).mean() * 24


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


def test_a_study_wears_its_watch_as_lifesnaps_did() -> None:
    hours, long_starts, nights = [], [], []
    for routine, reason, worn_hours in lived(POPULATIONS["lsm1"], 60, 10):
        on = reason[STEPS] == Reason.OBSERVED
        hours.append(worn_hours)
        nights.append(on[max(routine.nights[0][0], 0) : routine.nights[0][1]].mean() > 0.5)
        long_starts += [start / 60 for start, end in runs(~on) if end - start > 300]
    assert 17.0 < np.mean(hours) < 21.8  # 19.1 h/day with heart rate
    assert 0.60 < np.mean(nights) < 0.90  # 0.735
    clock = np.array(long_starts)
    assert ((clock >= 19) | (clock < 1)).mean() > 0.65  # 0.53 to 0.81 of gaps over 5 h, Fitabase


def test_owners_lack_heart_rate_as_long_as_fitabase() -> None:
    """Four wearers of a Fitbit: 38 % of the span, lengths 2, 7, 29 and 294 min at 25, 50, 75 and 90 %; wide bands."""
    heard, charge = Heard(), VENDORS["fitbit-charge-5"]
    for i in range(60):
        person, days = OWNERS.person(13, i), {}
        for day, routine in enumerate(live_through(person, range(14), MONDAY)):
            reason = find_gaps(person, charge, routine, *measured(routine, i), day)
            days[day] = reason[HEART_RATE] == Reason.OBSERVED
        heard.add(days)
    found = heard.summary()
    for name, low, high in [
        ("share", 0.18, 0.58),  # intervals of the four people
        ("minutes_25", 2.0, 4.0),
        ("minutes_50", 5.0, 13.0),
        ("minutes_75", 15.0, 58.0),
        ("minutes_90", 50.0, 503.0),
        ("long_begin_in_evening", 0.40, 0.81),
    ]:
        figure = found[name]
        assert isinstance(figure, dict)
        assert low <= figure["value"] <= high, (name, figure)


def test_a_loose_strap_loses_the_pulse_and_the_electrodes_for_as_long_as_the_habit_says() -> None:
    tight, lost, skin, beats = devoted(LSM2.person(15, 0)), [], [], []
    for day, routine in enumerate(live_through(replace(tight, loose_fit=0.2), range(60), MONDAY)):
        routine.ambient_celsius[:] = 20.0
        full, motion = np.full(1440, 100, dtype=np.float32), np.full(1440, 0.05, dtype=np.float32)
        reason = find_gaps(replace(tight, loose_fit=0.2), SENSE_2, routine, full, motion, day)
        assert not (reason[STEPS] == Reason.LOOSE_FIT).any()
        lost.append((reason[HEART_RATE] == Reason.LOOSE_FIT).mean())
        skin.append((reason[SCL] == Reason.LOOSE_FIT).mean())
        beats.append((reason[INDEX["rmssd"]] == Reason.LOOSE_FIT).mean())
        none = find_gaps(tight, SENSE_2, routine, full, motion, day)
        assert not (none == Reason.LOOSE_FIT).any()
    assert 0.12 < np.mean(beats) < 0.25  # of the time, charges and overlaps off
    halfway = 0.675 * 0.58  # between still and moving; a loss lasts 4.6 of a spell's 8 minutes on average
    assert np.mean(lost) == pytest.approx(halfway * np.mean(beats), rel=0.1)
    assert 0.2 * np.mean(beats) < np.mean(skin) < 0.6 * np.mean(beats)  # not while firmware has switched them off


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


def test_what_no_phone_fetches_in_time_is_lost_but_for_the_last_days() -> None:
    person = replace(devoted(LSM2.person(17, 0)), phone_away_per_year=365.25 / 28)
    week = VENDORS["fitbit-sense-2"]
    lost = runs(statuses(person, week, 56) == Reason.NOT_SYNCED)
    assert len(lost) >= 1
    forgetful = replace(week, memory_days=2.0)
    longer = runs(statuses(person, forgetful, 56) == Reason.NOT_SYNCED)
    assert (longer[:, 1] - longer[:, 0]).max() == pytest.approx((lost[:, 1] - lost[:, 0]).max() + 5 * 1440, abs=2)
    reason = [gaps(person, week, d)[0] for d in range(56)]
    for day in reason:
        whole = day[STEPS] == Reason.NOT_SYNCED
        assert (day[:, whole] == Reason.NOT_SYNCED).all()  # on_wrist too


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


def test_who_drops_out_never_comes_back() -> None:
    person = replace(devoted(LSM2.person(19, 0)), quits_per_year=10.0)
    gone = statuses(person, SENSE_2, 60) == Reason.DROPPED_OUT
    assert gone.any()
    assert gone[np.argmax(gone) :].all()
    assert not (statuses(replace(person, quits_per_year=0.0), SENSE_2, 60) == Reason.DROPPED_OUT).any()


def test_a_band_that_charges_on_the_wrist_has_no_charging_gap_and_a_ring_comes_off_for_weights() -> None:
    person = devoted(LSM2.person(20, 0))
    assert not (statuses(person, VENDORS["whoop-4"], 20) == Reason.CHARGING).any()
    routine = live(person, 3, MONDAY)
    routine.activity[routine.lead_in_minutes + 600 : routine.lead_in_minutes + 660] = Activity.WEIGHTLIFTING
    assert not worn(person, VENDORS["oura-ring-3"], routine, 3)[600:660].any()
    off = handled(person, replace(VENDORS["oura-ring-3"], taken_off_for_lifting=False), routine, 3) == Reason.OFF_WRIST
    assert not off.any()


def test_some_people_wear_it_nearly_always_and_others_leave_it_off_every_night() -> None:
    people = [POPULATIONS["lsm1"].person(21, i) for i in range(600)]
    nights = np.array([person.worn_nights for person in people])
    assert (nights > 0.97).mean() > 0.3
    assert (nights < 0.10).mean() > 0.05
    assert 0.70 < nights.mean() < 0.86  # 0.735 with charges and whole days off, LifeSnaps
    for habit in ("off_wrist_per_day", "unworn_days", "forgetful", "quits_per_year"):  # one trait runs through them
        rank = np.argsort(np.argsort([getattr(person, habit) for person in people]))
        assert np.corrcoef(np.argsort(np.argsort(nights)), rank)[0, 1] < -0.2, habit
