"""Wearing: charges, nights, drawers, phones and giving up, as habits and devices have them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator import wearing
from simulator.activities import Activity
from simulator.battery import use_a_day
from simulator.missingness import find_gaps, worn
from simulator.noise import uniform
from simulator.population import POPULATIONS, Person
from simulator.recording import Reason
from simulator.routine import Routine, live, live_through
from simulator.vendors import VENDORS, Vendor
from tests.wearers import (
    LSM2,
    MONDAY,
    SENSE_2,
    STEPS,
    away,
    days,
    devoted,
    handled,
    lived,
    runs,
    seeds,
    statuses,
    vendors,
)


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


def unsynced(person: Person, vendor: Vendor, number: int) -> NDArray[np.bool_]:
    """Minutes that were overwritten; they hang on no routine, so one does for all days."""
    routine = live(person, 0, MONDAY)
    days = [handled(person, vendor, routine, day)[wearing.LEAD_MINUTES :] for day in range(number)]
    lost: NDArray[np.bool_] = np.concatenate(days) == Reason.NOT_SYNCED
    return lost


def test_what_no_phone_fetches_in_time_is_lost_but_for_the_last_days() -> None:
    """As in a walk through the days: the link breaks, somebody looks, and a memory's worth is saved."""
    person = replace(devoted(LSM2.person(17, 0)), phone_away_per_year=12.0, forgetful=0.022)
    key, number = wearing.wear_key(person), 300
    breaks, drawn = 12.0 / 365.25, uniform(key, 503, -150, 3 * (number + 100)).reshape(-1, 3)
    for memory_days in (2.5, 7.0):
        expected = np.zeros(number * 1440, dtype=np.bool_)
        for day in range(-50, number):
            u = drawn[day + 50, 0]
            if u < breaks:
                mended = next((d for d in range(day + 1, day + 45) if drawn[d + 50, 1] < 0.12), day + 45)
                end = mended + drawn[mended + 50, 2] - memory_days
                expected[max(round(1440 * (day + u / breaks)), 0) : max(round(1440 * end), 0)] = True
        found = unsynced(person, replace(SENSE_2, memory_days=memory_days), number)
        np.testing.assert_array_equal(found, expected)
        assert 0.01 < found.mean() < 0.5
    reason = find_gaps(person, SENSE_2, live(person, 0, MONDAY), *still(), int(np.argmax(found)) // 1440)
    whole = reason[STEPS] == Reason.NOT_SYNCED
    assert whole.any()
    assert (reason[:, whole] == Reason.NOT_SYNCED).all()  # on_wrist too


def still() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Every beat valid, no motion."""
    return np.full(1440, 100, dtype=np.float32), np.zeros(1440, dtype=np.float32)


def test_who_forgets_looks_later_and_loses_more_and_a_larger_memory_loses_less() -> None:
    people = [replace(devoted(LSM2.person(17, i)), phone_away_per_year=6.0) for i in range(8)]
    shares = {}
    for forgetful in (0.0, 0.022, 0.3):
        for memory_days in (1.0, 7.0, 30.0):
            watch = replace(VENDORS["whoop-4"], memory_days=memory_days)
            lost = [unsynced(replace(person, forgetful=forgetful), watch, 120).mean() for person in people]
            shares[forgetful, memory_days] = np.mean(lost)
    for forgetful in (0.0, 0.022, 0.3):
        assert shares[forgetful, 1.0] > shares[forgetful, 7.0] >= shares[forgetful, 30.0]
    for memory_days in (1.0, 7.0):
        assert shares[0.0, memory_days] < shares[0.022, memory_days] < shares[0.3, memory_days]
    assert shares[0.0, 7.0] < 0.01


def test_who_drops_out_never_comes_back() -> None:
    person = replace(devoted(LSM2.person(19, 0)), quits_per_year=20.0)
    gone = statuses(person, SENSE_2, 60) == Reason.DROPPED_OUT
    assert gone.any()
    assert gone[np.argmax(gone) :].all()
    assert not (statuses(replace(person, quits_per_year=0.0), SENSE_2, 60) == Reason.DROPPED_OUT).any()


def test_who_left_the_watch_in_its_drawer_of_late_is_likelier_to_give_it_up() -> None:
    routine = live(devoted(LSM2.person(19, 0)), 0, MONDAY)

    def quits(unworn_days: float, number: int) -> list[bool]:
        people = [replace(devoted(LSM2.person(19, 0)), index=i, quits_per_year=2.0) for i in range(400)]
        people = [replace(person, unworn_days=unworn_days) for person in people]
        return [handled(person, VENDORS["whoop-4"], routine, number)[-1] == Reason.DROPPED_OUT for person in people]

    always, seldom = quits(0.0, 150), quits(0.2, 150)
    worn = 1 - np.exp(-2.0 * wearing.QUITS_WORN * 151 / 365.25)
    assert np.mean(always) == pytest.approx(worn, abs=0.06)
    lately = wearing.QUITS_WORN + wearing.QUITS_UNWORN * 0.2 * wearing.LATELY_DAYS
    assert np.mean(seldom) == pytest.approx(1 - np.exp(-2.0 * lately * 151 / 365.25), abs=0.08)
    assert not any(a and not b for a, b in zip(always, seldom, strict=True))


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
