"""Batteries: what is left goes on from day to day, and charges, saving and flat watches follow from it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.battery import Spell, spells, use_a_day
from simulator.circumstances import circumstances, draws_sport, life_key
from simulator.population import POPULATIONS, Person
from simulator.recording import Reason
from simulator.vendor import Vendor
from simulator.vendors import VENDORS
from simulator.wearing import wear_key
from tests.wearers import MONDAY

SENSE_2, PIXEL_2 = VENDORS["fitbit-sense-2"], VENDORS["pixel-watch-2"]
LSM1 = POPULATIONS["lsm1"]


def through(person: Person, vendor: Vendor, days: range) -> list[Spell]:
    """All spells that begin within some days, in minutes from day 0, each told by the day on which it begins."""
    found = []
    for day in days:
        for spell in spells(person, vendor, day, wear_key(person)):
            if 0.0 <= spell.begin < 1440.0:
                found.append(spell._replace(begin=spell.begin + 1440.0 * day, end=spell.end + 1440.0 * day))
    return sorted(found)


def joined(found: list[Spell]) -> list[Spell]:
    """Spells of one reason in order, those that go on from where the last ended made one."""
    whole: list[Spell] = []
    for spell in found:
        if whole and spell.begin - whole[-1].end < 1e-6:
            whole[-1] = whole[-1]._replace(end=spell.end)
        else:
            whole.append(spell)
    return whole


def plain(index: int, **changed: object) -> Person:
    """A person who forgets nothing, goes on no outings and charges in the evening, but for what is changed."""
    quiet = {"forgetful": 0.0, "exercise_per_week": 0.0, "always_on_display": False, "charging_habit": "evening"}
    return replace(LSM1.person(31, index), **(quiet | changed))  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(-600, 2000),
    st.sampled_from(list(VENDORS.values())),
    st.floats(0, 1),
    st.floats(0, 7),
)
def test_neighbouring_days_tell_the_same_of_the_night_between(
    seed: int, day: int, vendor: Vendor, forgetful: float, exercise: float
) -> None:
    person = replace(LSM1.person(seed, 0), forgetful=min(forgetful, 0.8), exercise_per_week=exercise)
    seen = []
    for origin in (day, day + 1):
        midnight = 1440.0 * (day + 1 - origin)
        near = [
            s for s in spells(person, vendor, origin, wear_key(person)) if s.end > midnight - 60 and s.begin < midnight
        ]
        seen.append(sorted((round(s.begin - midnight, 3), round(s.end - midnight, 3), s.why) for s in near))
    assert seen[0] == seen[1]


@pytest.mark.parametrize(("device", "low", "high"), [("fitbit-sense-2", 4.0, 6.0), ("garmin-venu-3", 9.0, 14.0)])
def test_charges_are_as_far_apart_as_the_battery_lasts(device: str, low: float, high: float) -> None:
    apart = [np.diff([s.begin for s in through(plain(i), VENDORS[device], range(60))]) / 1440 for i in range(20)]
    assert low * 0.7 < np.mean(np.concatenate(apart)) < high  # some are made out of habit, sooner
    assert np.concatenate(apart).max() < high + 2.0  # and none later than it lasts


def test_an_always_on_display_and_positions_of_outings_use_the_battery_up() -> None:
    def charges(**changed: object) -> int:
        return sum(len(through(plain(i, **changed), SENSE_2, range(40))) for i in range(15))

    usual = charges()
    assert charges(always_on_display=True) > 1.5 * usual
    outdoors = {"exercise_per_week": 5.0, "favourite_activity": "hiking"}
    assert charges(**outdoors) > 1.15 * usual
    assert charges(**(outdoors | {"favourite_activity": "yoga"})) == usual  # a mat needs no satellites


def test_outings_are_on_days_that_chance_gives_to_sport() -> None:
    person = replace(LSM1.person(32, 1), exercise_per_week=3.0, ill_per_year=0.0)
    key = life_key(person)
    drawn = np.array([draws_sport(key, day, 3.0) for day in range(400)])
    trained = np.array([circumstances(person, day, MONDAY, key).sport is not None for day in range(400)])
    assert drawn.mean() == pytest.approx(3 / 7, abs=0.08)
    assert (drawn == trained).mean() > 0.85  # the weekday sways a few


def test_a_forgotten_watch_saves_power_runs_flat_and_is_charged_when_found() -> None:
    flat_minutes = 0.0
    for i in range(10):
        found = through(plain(i, forgetful=1.0), replace(PIXEL_2, power_saving_below=0.15), range(30))
        by_why = {why: [s for s in found if s.why == why] for why in (Reason.CHARGING, Reason.BATTERY_EMPTY)}
        ends = {round(s.end, 3) for s in by_why[Reason.BATTERY_EMPTY]}
        whole = [s for s in by_why[Reason.CHARGING] if s.end - s.begin > 0.8 * 0.9 * PIXEL_2.charge_minutes]
        assert sum(round(s.begin, 3) in ends for s in whole) >= len(whole) - 2  # never charged before it is flat
        saving = joined([s for s in found if s.why == Reason.POWER_SAVING])
        begins = [s.begin for s in found if s.why != Reason.POWER_SAVING]
        assert all(min(abs(s.end - b) for b in begins) < 1e-6 for s in saving if s.end < 1440.0 * 29)
        flat_minutes += sum(s.end - s.begin for s in by_why[Reason.BATTERY_EMPTY])
    assert flat_minutes / (10 * 30 * 1440) > 0.05
    never = [s for i in range(10) for s in through(plain(i), SENSE_2, range(30)) if s.why == Reason.BATTERY_EMPTY]
    assert len(never) <= 3


def test_who_cannot_get_through_the_day_tops_up() -> None:
    def top_ups(lit: bool) -> int:
        count = 0
        for i in range(15):
            found = through(plain(i, always_on_display=lit), PIXEL_2, range(20))
            flat = {round(s.end, 3) for s in found if s.why == Reason.BATTERY_EMPTY}
            count += sum(s.why == Reason.CHARGING and s.day is None and round(s.begin, 3) not in flat for s in found)
        return count

    assert use_a_day(plain(0), PIXEL_2) < 0.7 < use_a_day(plain(0, always_on_display=True), PIXEL_2)
    assert top_ups(lit=True) > 3 * top_ups(lit=False) > 0


def test_the_shortest_life_has_fewer_spells_than_there_is_room_for() -> None:
    brief = replace(PIXEL_2, display_off_days=0.25, power_saving_below=0.2, positioning_hours=0.1, charge_minutes=10.0)
    hiking = {"exercise_per_week": 7.0, "favourite_activity": "hiking", "forgetful": 0.9}
    most = max(len(through(plain(i, **hiking), brief, range(day, day + 1))) for i in range(10) for day in range(20))
    assert 3 < most <= 16  # of 32


def test_a_charge_takes_as_long_as_what_is_missing() -> None:
    """Who charges a long-lived watch out of habit, half full, has it back sooner."""
    garmin = VENDORS["garmin-venu-3"]
    rows = [through(plain(i), garmin, range(120)) for i in range(20)]
    gaps = np.concatenate([np.diff([s.begin for s in each]) / 1440 for each in rows])
    lasts = np.concatenate([[s.end - s.begin for s in each[1:]] for each in rows])
    assert np.corrcoef(gaps, lasts)[0, 1] > 0.8
