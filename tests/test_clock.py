"""Clocks: summer time as the zones have it, journeys there and back, and what a series of local minutes keeps."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pytest

from simulator.clock import Change, change_to_summer_time, changes, rewrite
from simulator.cohort import Cohort
from simulator.population import POPULATIONS, SUMMER_TIME, Person
from simulator.recording import Event, Reason
from simulator.signals import INDEX
from simulator.wearing import wear_key

LSM1 = POPULATIONS["lsm1"]


def of_the_zone(zone: ZoneInfo, today: date) -> Change | None:
    """The change of a date, from the difference of its length to 24 hours and the first local hour that is odd."""
    midnight = datetime(today.year, today.month, today.day, tzinfo=zone)
    offsets = [(midnight + timedelta(hours=h)).replace(tzinfo=zone).utcoffset() for h in range(24)]
    for hour in range(1, 24):
        before, after = offsets[hour - 1], offsets[hour]
        assert before is not None
        assert after is not None
        shift = round((after - before).total_seconds() / 60)
        if shift > 0:
            return Change(60 * _first_skipped(zone, today), shift)
        if shift < 0:
            return Change(60 * hour, shift)
    return None


def _first_skipped(zone: ZoneInfo, today: date) -> int:
    for hour in range(24):
        local = datetime(today.year, today.month, today.day, hour, tzinfo=zone)
        if local.astimezone(ZoneInfo("UTC")).astimezone(zone).hour != hour:
            return hour
    raise AssertionError


@pytest.mark.parametrize(("rule", "name"), [("us", "America/New_York"), ("eu", "Europe/Berlin")])
def test_summer_time_is_that_of_the_zone(rule: str, name: str) -> None:
    try:
        zone = ZoneInfo(name)
    except ZoneInfoNotFoundError:
        pytest.skip("no time zones on this machine")
    day = date(2015, 1, 1)
    found = 0
    while day < date(2031, 1, 1):
        change = change_to_summer_time(rule, day)
        assert change == of_the_zone(zone, day), day
        assert change_to_summer_time("none", day) is None
        found += change is not None
        day += timedelta(days=1)
    assert found == 2 * 16


def test_skipped_minutes_are_missing_and_those_written_twice_are_not() -> None:
    reason = np.zeros((26, 1440), dtype=np.uint8)
    reason[INDEX["scl"]], reason[:2, 100:200] = Reason.SENSOR_ABSENT, Reason.OFF_WRIST
    before = reason.copy()
    events = rewrite(reason, [Change(120, 60), Change(900, -120)])
    assert events == [Event("fault", "clock_forward", 120, 180), Event("fault", "clock_back", 780, 900)]
    changed = np.zeros_like(reason, dtype=np.bool_)
    changed[:, 120:180] = True
    changed[INDEX["scl"]] = False
    np.testing.assert_array_equal(reason == Reason.CLOCK_CHANGED, changed)
    np.testing.assert_array_equal(reason[~changed], before[~changed])


def shifts(person: Person, days: range) -> list[tuple[int, Change]]:
    start = date(2024, 3, 1)
    key = wear_key(person)
    return [(day, c) for day in days for c in changes(person, "none", start + timedelta(days=day), day, key)]


def test_travellers_come_back_as_often_as_they_go() -> None:
    journeys, days_away = 0, set()
    for i in range(60):
        person = replace(LSM1.person(41, i), journeys_per_year=4.0)
        found = shifts(person, range(56 * 13))
        assert len(found) % 2 == 0
        for (out, gone), (back, returned) in zip(found[::2], found[1::2], strict=True):
            days_away.add(back - out)
            assert gone.shift_minutes == -returned.shift_minutes != 0
        for _, change in found:
            first, last = sorted((change.minute, change.minute + change.shift_minutes))
            assert 0 <= first < last <= 1440
        journeys += len(found) // 2
        assert not shifts(replace(person, journeys_per_year=0.0), range(60))
    assert days_away == set(range(2, 15))
    expected = 60 * 4.0 * 56 * 13 / 365.25
    assert journeys == pytest.approx(expected, abs=3 * np.sqrt(expected))


@pytest.mark.parametrize("rule", SUMMER_TIME)
def test_the_hour_that_no_clock_showed_is_in_no_recording(rule: str) -> None:
    cohort = Cohort(population=replace(LSM1, summer_time=rule), people=1, days=1, seed=4, start=date(2024, 3, 10))
    person = replace(cohort.person(0), journeys_per_year=0.0)
    assert changes(person, rule, date(2024, 3, 10), 0, wear_key(person)) == ([Change(120, 60)] if rule == "us" else [])
    recording = cohort[0, 0].check()
    skipped = recording.reason == Reason.CLOCK_CHANGED
    faults = [event for event in recording.events if event.label == "clock_forward"]
    if rule == "us":
        assert skipped[:, 120:180].all()
        assert skipped.sum() == 26 * sum(event.end_minute - event.start_minute for event in faults)
        assert Event("fault", "clock_forward", 120, 180) in faults
    else:
        assert not skipped[:, 120:180].any()


def test_a_traveller_s_recording_lacks_the_hours_that_the_clock_skipped() -> None:
    cohort = Cohort(population=replace(LSM1, summer_time="none"), people=200, days=56, seed=4)
    for i in range(200):
        person = cohort.person(i)
        east = [(day, change) for day, change in shifts(person, range(56)) if change.shift_minutes > 0]
        if not east:
            continue
        ((day, change),) = east
        recording, skipped = cohort[i, day].check(), slice(change.minute, change.minute + change.shift_minutes)
        there = [row for row in range(26) if (recording.reason[row] != Reason.SENSOR_ABSENT).all()]
        assert (recording.reason[there, skipped] == Reason.CLOCK_CHANGED).all()
        assert (recording.reason == Reason.CLOCK_CHANGED).sum() == len(there) * change.shift_minutes
        west = next(d for d, other in shifts(person, range(56)) if other.shift_minutes < 0)
        back = cohort[i, west]
        assert not (back.reason == Reason.CLOCK_CHANGED).any()
        assert "clock_back" in {event.label for event in back.events}
        return
    pytest.fail("nobody of 200 people went east within eight weeks")
