"""Battery: what is left in a watch from day to day, and so when it is charged, saves power, and runs flat.

A charge is drawn down by the hours, faster where the display is always on and in workouts that record positions.
People put the watch on its charger at their hour of the day when it would not last until tomorrow, now and then out of
habit although it would, and sometimes forget. A watch that is forgotten switches its optics off at
``Vendor.power_saving_below``, runs flat, and is charged once its owner finds it so. Who has a watch that cannot get
through the day tops it up in between.

The charge of day D hangs on all days before, yet D has to be had alone. But whoever charges out of habit fills the
battery whatever was left, so nothing before the last such day matters: the chain is run from there, a dozen days in
the middle and a few hundred at most, in compiled code.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.activities import OF_LABEL, SPORTS, Place
from simulator.circumstances import draws_sport, life_key
from simulator.night import GETTING_READY_MINUTES
from simulator.noise import Key, bits, compiled, lane_key, unit
from simulator.population import Person
from simulator.recording import Reason
from simulator.vendor import Vendor

ENOUGH: Final = (0.0, 0.12)  # share left tomorrow, least and most, below which people charge: at 15-30 % (norms)
DAILY: Final = 2.0  # days of life up to which a watch is charged every day, whatever is left; judgement
HABITUAL: Final = 0.25  # charges made out of habit over those that a longer-lived battery asks for: judgement
USE_LOG_SD: Final = 0.15  # of ln(use of a day): judgement
SAVING_USE: Final = 0.4  # use with optics and electrodes off over the usual: judgement
TOP_UP: Final = 0.4  # of a full charge: half an hour on the charger gives half a day (Mezha Media 2023)
TOP_UP_DAYS: Final = 0.15  # share of days on which a watch of a day's life is topped up: judgement
TOP_UP_NEED: Final = (0.65, 2.5)  # use of a day above which that share grows, and by how much: judgement
CHARGE_PACE: Final = 0.9  # of rated minutes: the last tenth of a charge is slow and rarely waited for; judgement
PUT_BACK_MINUTES: Final = (4.0, 30.0)  # minutes from full to the wrist: least, and at most on top; judgement
FOUND_MINUTES: Final = (30.0, 450.0)  # minutes until a flat watch is found: shortest, and at most on top; judgement
OUTING_CLOCK: Final = 1020.0  # minutes from midnight at which a workout's use is counted
POSITIONED: Final = 0.65  # share of bouts that are the favourite sport (``circumstances``)
HABIT_CLOCK: Final = {  # minutes from midnight between which a charge begins: norms charge_evening, charge_morning
    "evening": (1120.0, 1350.0),
    "morning": (390.0, 570.0),
    "desk": (570.0, 960.0),
    "overnight": (1330.0, 1430.0),
}

_LANE, _ENOUGH_LANE = 509, 515  # under the wear's key; the others are those of ``wearing`` and ``missingness``
_ROUTINE, _FORGET, _CLOCK, _LENGTH, _EMPTY, _TOP_UP, _TOP_UP_CLOCK, _USE = range(8)  # what a day's numbers decide
_FURTHEST: Final = 512  # days after which a chain without a habitual charge is begun anew
_CHARGING, _FLAT, _SAVING = int(Reason.CHARGING), int(Reason.BATTERY_EMPTY), int(Reason.POWER_SAVING)
_NONE: Final = -(2**30)  # the day of what is no due charge
_OUTDOORS: Final = (Place.OUTDOORS, Place.WATER, Place.SNOW)


class Spell(NamedTuple):
    """Something that the battery makes happen.

    Attributes:
        begin: First minute, from midnight of the day that was asked for.
        end: First minute after it.
        why: CHARGING, BATTERY_EMPTY or POWER_SAVING.
        day: Whose due charge it is, relative to the day asked for; None for top-ups and what else there is.
    """

    begin: float
    end: float
    why: int
    day: int | None


class _Habits(NamedTuple):
    """What the chain has to know of person and device; shares are of a full battery."""

    use_a_day: float
    outing_use: float
    exercise_per_week: float
    routine: float
    forgetful: float
    first_clock: float
    last_clock: float
    unplugged_clock: float  # minutes from midnight after a due charge began, before which it does not leave its charger
    charge_minutes: float
    top_ups: float
    saving_below: float


def spells(person: Person, vendor: Vendor, day: int, key: Key) -> list[Spell]:
    """What the battery brings on day ``day`` and the day before.

    Args:
        person: Who charges it.
        vendor: The device.
        day: Days since the cohort's start.
        key: The ``wear_key`` of the person.

    Returns:
        Spells that reach into the two days, in order; of charges also those made on the wrist.
    """
    rows = _chain(_habits(person, vendor), day, key, life_key(person)).tolist()
    return [Spell(begin, end, int(why), None if due == _NONE else int(due)) for begin, end, why, due in rows]


def use_a_day(person: Person, vendor: Vendor) -> float:
    """Share of a full battery that a day without outings takes.

    >>> from dataclasses import replace
    >>> from simulator.population import POPULATIONS
    >>> from simulator.vendors import VENDORS
    >>> dark = replace(POPULATIONS["lsm1"].person(1, 1), always_on_display=False)
    >>> lit = replace(dark, always_on_display=True)
    >>> [round(use_a_day(person, VENDORS["fitbit-sense-2"]), 3) for person in (dark, lit)]
    [0.167, 0.333]
    """
    life = vendor.display_on_days if person.always_on_display else vendor.display_off_days
    return 1.0 / (life or vendor.battery_days)


def _rises(person: Person) -> float:
    """Minutes from midnight at which somebody usually rises, and takes the watch from its charger by the bed."""
    rested = 60.0 * person.mid_sleep_free_days_hours + 0.5 * person.sleep_need_minutes
    leaves = 60.0 * person.work_start_hours - (0.0 if person.commute_by == "home" else person.commute_minutes)
    return min(rested, leaves - GETTING_READY_MINUTES) if person.works else rested


def _habits(person: Person, vendor: Vendor) -> _Habits:
    use = use_a_day(person, vendor)
    sport = SPORTS[OF_LABEL[person.favourite_activity]]
    outing = 0.0
    if vendor.positioning_hours > 0 and sport.place in _OUTDOORS:
        outing = POSITIONED * sport.minutes / 60.0 / vendor.positioning_hours
    daily = 1.0 / use <= DAILY
    first, last = HABIT_CLOCK[person.charging_habit]
    need, slope = TOP_UP_NEED
    return _Habits(
        use_a_day=use,
        outing_use=outing,
        exercise_per_week=person.exercise_per_week,
        routine=1.0 if daily else HABITUAL * use,
        forgetful=person.forgetful,
        first_clock=first,
        last_clock=last,
        unplugged_clock=_rises(person) if person.charging_habit == "overnight" else -np.inf,
        charge_minutes=vendor.charge_minutes,
        top_ups=min(max(TOP_UP_DAYS + slope * (use - need), TOP_UP_DAYS), 0.95) if daily else 0.0,
        saving_below=vendor.power_saving_below,
    )


@compiled
def _number(own: Key, day: int, which: int) -> float:
    return unit(bits(own, np.uint64(8 * day + which)))


@compiled
def _full_since(habits: _Habits, day: int, own: Key) -> int:
    """The last day before ``day`` on which the battery was surely filled, whatever was left in it."""
    anchor = (day // _FURTHEST - 1) * _FURTHEST
    for d in range(day - 1, anchor, -1):
        if _number(own, d, _ROUTINE) < habits.routine and _number(own, d, _FORGET) >= habits.forgetful:
            return d
    return anchor


@compiled
def _chain(habits: _Habits, day: int, key: Key, life: Key) -> NDArray[np.float64]:
    """Spells from the last surely filled day on: begin, end, reason, and day of a due charge, all relative to ``day``.

    The chain is run until the day after, since what happens then tells how the evening before ended.
    """
    own, enough = lane_key(key, _LANE), lane_key(key, _ENOUGH_LANE)
    begun = _full_since(habits, day - 1, own)
    rows = np.empty((32 * (day - begun + 2), 4))
    n = 0
    level, at = 1.0, -1e12  # what is left, and when it was so
    flat_since = found = np.inf
    for d in range(begun, day + 2):
        pace = habits.use_a_day / 1440.0 * np.exp(USE_LOG_SD * np.sqrt(12.0) * (_number(own, d, _USE) - 0.5))
        spare = PUT_BACK_MINUTES[0] + PUT_BACK_MINUTES[1] * _number(own, d, _LENGTH) ** 3
        due, top_up, outing = _events(habits, d, day, own, life)
        tomorrow = min(_events(habits, d + 1, day, own, life))
        if d == begun:  # filled then, and what came before is forgotten
            at = max(due + CHARGE_PACE * habits.charge_minutes, _unplugged(habits, d, day))
            top_up = top_up if top_up > due else np.inf
            outing = outing if outing > due else np.inf
            due = np.inf
        while True:
            when = min(due, top_up, outing, found)
            if when == np.inf or (when == found and found >= tomorrow):
                break
            if flat_since == np.inf and when > at:
                saves, empties = _runs_down(level, habits.saving_below, pace)
                if at + saves < min(at + empties, when):
                    n = _put(rows, n, at + saves, min(at + empties, when), _SAVING, _NONE)
                if at + empties < when:  # and what comes next may be that it is found
                    level, flat_since = 0.0, at + empties
                    found = flat_since + FOUND_MINUTES[0] + FOUND_MINUTES[1] * _number(own, d, _EMPTY)
                    continue
                level -= pace * (min(when - at, saves) + SAVING_USE * max(when - at - saves, 0.0))
                at = when
            charged, whose = 0.0, float(_NONE)
            if when == found:
                charged = 1.0
            elif when == outing:
                outing = np.inf
                level = max(level - habits.outing_use, 0.0) if at <= when else level
            elif when == top_up:
                top_up = np.inf
                charged = min(TOP_UP, 1.0 - level) if at <= when else 0.0
            else:
                due = np.inf
                low = ENOUGH[0] + (ENOUGH[1] - ENOUGH[0]) * unit(bits(enough, np.uint64(d)))
                habitual = _number(own, d, _ROUTINE) < habits.routine
                if (habitual or level - habits.use_a_day < low) and _number(own, d, _FORGET) >= habits.forgetful:
                    charged, whose = 1.0, float(d - day)
            if flat_since < np.inf and charged > 0.0:
                n = _put(rows, n, flat_since, when, _FLAT, _NONE)
                flat_since, found, at = np.inf, np.inf, when
            if charged > 0.0:
                missing = max(1.0 - level, 0.1) if charged == 1.0 else charged
                until = when + CHARGE_PACE * habits.charge_minutes * missing + spare
                level, at = min(level + charged, 1.0), when + CHARGE_PACE * habits.charge_minutes * charged
                if whose != _NONE:  # once full, it stays on its charger, which keeps it so
                    until, at = max(until, _unplugged(habits, d, day)), max(at, _unplugged(habits, d, day))
                n = _put(rows, n, when, until, _CHARGING, whose)
    if flat_since < np.inf:
        n = _put(rows, n, flat_since, 2880.0, _FLAT, _NONE)
    near = rows[:n, 1] > -1440.0
    return rows[:n][near]


@compiled
def _events(habits: _Habits, d: int, day: int, own: Key, life: Key) -> tuple[float, float, float]:
    """When, from midnight of ``day``, day ``d`` has its due charge, a top-up and an outing; inf for what it has not."""
    midnight = 1440.0 * (d - day)
    due = midnight + habits.first_clock + (habits.last_clock - habits.first_clock) * _number(own, d, _CLOCK)
    top_up = outing = np.inf
    if _number(own, d, _TOP_UP) < habits.top_ups:
        top_up = midnight + 420.0 + 840.0 * _number(own, d, _TOP_UP_CLOCK)
    if habits.outing_use > 0.0 and draws_sport(life, d, habits.exercise_per_week):
        outing = midnight + OUTING_CLOCK
    return due, top_up, outing


@compiled
def _unplugged(habits: _Habits, d: int, day: int) -> float:
    """When, from midnight of ``day``, the due charge of day ``d`` is left at the earliest."""
    return 1440.0 * (d + 1 - day) + habits.unplugged_clock


@compiled
def _put(rows: NDArray[np.float64], n: int, begin: float, end: float, why: int, due: float) -> int:
    """Set row ``n``; the number of rows thereafter."""
    rows[n, 0], rows[n, 1], rows[n, 2], rows[n, 3] = begin, end, why, due
    return n + 1


@compiled
def _runs_down(level: float, saving_below: float, pace: float) -> tuple[float, float]:
    """Minutes until power is saved and until nothing is left."""
    saves = max(level - saving_below, 0.0) / pace
    return saves, saves + min(level, saving_below) / (pace * SAVING_USE)
