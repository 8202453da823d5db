"""Wearing: when a watch is on the wrist, on its charger, flat, in a drawer, or out of its owner's life.

Habits come first (``traits.draw_wear``): one trait, how attached somebody is to the watch, runs through all of them,
so that some people wear it nearly always and charge it in an hour, while others leave it off every night, forget it,
and give up. ``handling`` then turns a person's habits, routine and device into a reason for every minute of one day.

Which episodes exist is drawn by nested thresholds, so that a person who wears the watch more, all else equal, never
yields less data. Episodes belong to the day (week, month) in which they begin and their draws are addressed by it, so
two calendar days agree about a charge that crosses midnight.
"""

import math
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.activities import Activity
from simulator.battery import spells
from simulator.noise import Key, bits, compiled, lane_key, time_key, uniform, unit
from simulator.population import Person
from simulator.recording import Reason, runs_of
from simulator.routine import Routine
from simulator.signals import MINUTES_PER_DAY
from simulator.vendor import Vendor

LEAD_MINUTES: Final = 40
"""Minutes before midnight that ``handling`` begins with: longer than a watch off the wrist takes to fall asleep."""
OFF_CANDIDATES: Final = 8  # most times a day that a watch is taken off, charging and water aside
LEFT_AFTER_NIGHT_OFF: Final = 2.5  # chance of leaving it at home in a morning over ``forgetful``: judgement; 81 % of
LEFT_AFTER_NIGHT_ON: Final = 0.3  # Fitabase's gaps over 5 h begin from 19 to 1 h, so most such mornings follow a night
LONGEST_EPISODE_MINUTES: Final = 1180  # minutes: episodes end on the day after they began, before 20 h
USUALLY_LOOKS: Final = 0.12  # share of days on which somebody looks why nothing arrives from the watch: judgement
USUALLY_FORGETFUL, LOOKS_POWER = 0.022, 0.4  # the median of ``forgetful`` (traits), and how that share falls with it:
LOOKS_A_DAY: Final = (0.05, 0.6)  # judgement; and its bounds
MOST_DAYS_APART: Final = 45  # days until an app has complained to anybody: judgement
LATELY_DAYS: Final = 14  # days whose wear tells how likely it is that somebody gives up: judgement
QUITS_WORN, QUITS_UNWORN = 0.6, 0.5  # on ``quits_per_year``: if all were worn, and added for each that was not: so that
# the mean is about 1 (0.9 of 14 days are not worn); size: judgement
UPDATE_DAYS: Final = 28.0  # days after which the last wearer has new firmware; half have it in a week: judgement
LIFTING: Final = (int(Activity.WEIGHTLIFTING), int(Activity.STRENGTH))  # for which rings come off

_HANDLING_LANE, _AWAY_LANE, _PHONE_LANE, _QUIT_LANE = 500, 501, 503, 504  # noise sequences under a person's key
_HOLIDAY_LANE: Final = 508  # 502, 506 and 507 are those of ``missingness``, 505 and 516 of straps, 509 to 513 of
_UPDATE_LANE: Final = 514  # batteries, clocks and faults; 515 is of batteries again
_NIGHT, _LATE, _EARLY = range(3)  # what each number of a day's draw decides
_BEDSIDE: Final = 3  # two of them: how long before lights out, and after getting up, it lies on its charger
_WATER, _LEFT, _BACK = range(9, 12)
_OFF: Final = 16  # where the three rows of off-wrist draws begin: exists, clock, length
_DRAWS: Final = _OFF + 3 * OFF_CANDIDATES
_SAVING, _OFF_WRIST = int(Reason.POWER_SAVING), int(Reason.OFF_WRIST)  # plain numbers: an enum is slow to compare
_FLAT, _CHARGING, _NOT_SYNCED = int(Reason.BATTERY_EMPTY), int(Reason.CHARGING), int(Reason.NOT_SYNCED)
_WEEK, _SEASON = 7, 56  # days within which at most one run of unworn days, or of unworn weeks, falls
_DAYS_PER_YEAR: Final = 365.25

Draws = dict[int, list[float]]
"""Uniform numbers of yesterday, today and tomorrow."""
Span = tuple[float, float]
"""First minute and first minute after, relative to midnight of the day in question."""


def wear_key(person: Person) -> Key:
    """The key under which everything about a person's watch is drawn."""
    return time_key(person.seed, person.index, "wear")


def handling(person: Person, vendor: Vendor, routine: Routine, day: int, key: Key) -> NDArray[np.uint8]:
    """Why the watch as a whole does not measure, minute by minute.

    Args:
        person: Whose habits.
        vendor: The device; its battery asks for charges, its memory waits for the phone.
        routine: Day ``day`` of that person's life.
        day: Days since the cohort's start.
        key: ``wear_key`` of the person.

    Returns:
        uint8 [LEAD_MINUTES + 1440] of ``Reason`` from just before midnight: 0 on the wrist and measuring,
        POWER_SAVING where it is worn but keeps to its accelerometer. Of several reasons the strongest holds: dropped
        out, not synced, charging, flat, off the wrist.
    """
    numbers = uniform(key, _HANDLING_LANE, (day - 1) * _DRAWS, 3 * _DRAWS).tolist()
    draws = {day - 1 + i: numbers[i * _DRAWS : (i + 1) * _DRAWS] for i in range(3)}
    out = np.zeros(LEAD_MINUTES + MINUTES_PER_DAY, dtype=np.uint8)
    off = [*_not_put_on(person, routine, day, draws, key), *_in_water(person, routine, day, draws)]
    if vendor.taken_off_for_lifting:
        off += _stretches(np.isin(routine.activity, LIFTING), routine)
    for d in (day - 1, day):
        off += _taken_off(person, MINUTES_PER_DAY * (d - day), draws[d])
    battery = _battery(person, vendor, routine, day, draws, key)
    _paint(out, [(begin, end) for begin, end, why in battery if why == _SAVING], _SAVING)
    _paint(out, off, _OFF_WRIST)
    for strong in (_FLAT, _CHARGING):
        _paint(out, [(begin, end) for begin, end, why in battery if why == strong], strong)
    _paint(out, _unsynced(person, vendor, day, key), _NOT_SYNCED)
    quits = _last_minute(person, day, key) - day * MINUTES_PER_DAY + LEAD_MINUTES
    if quits < out.size:
        out[max(round(quits), 0) :] = Reason.DROPPED_OUT
    return out


def _paint(out: NDArray[np.uint8], spans: Iterable[Span], why: int) -> None:
    """Set a reason over spans, in place."""
    for begin, end in spans:
        out[max(round(begin) + LEAD_MINUTES, 0) : max(round(end) + LEAD_MINUTES, 0)] = why


def _not_put_on(person: Person, routine: Routine, day: int, draws: Draws, key: Key) -> Iterator[Span]:
    """Nights without the watch, and whole days; relative to midnight of ``day``."""
    if not routine.nights:
        return
    loose_hold = 3.0 - 2.0 * person.worn_nights  # who never sleeps with it wears it to go out, rather than at home
    for d, (bed, rise) in zip((day, day + 1), routine.nights, strict=True):
        u_night, u_late, u_early = draws[d][_NIGHT], draws[d][_LATE], draws[d][_EARLY]
        if u_night >= person.worn_nights:  # off from some time in the evening until after breakfast: judgement
            latest = (d - day + 1) * MINUTES_PER_DAY - LEAD_MINUTES  # the day after looks no further back
            yield bed - loose_hold * 150.0 * u_late**2, min(rise + 10.0 + loose_hold * 90.0 * u_early**2, latest)
    _, rise = routine.nights[0]
    unworn_night = draws[day][_NIGHT] >= person.worn_nights  # who took it off for the night forgets it more easily
    if draws[day][_LEFT] < person.forgetful * (LEFT_AFTER_NIGHT_OFF if unworn_night else LEFT_AFTER_NIGHT_ON):
        yield rise + 20.0, min(rise + 320.0 + 420.0 * draws[day][_BACK], float(MINUTES_PER_DAY - LEAD_MINUTES))
    yield from _put_away(person, routine, day, key)


def _put_away(person: Person, routine: Routine, day: int, key: Key) -> Iterator[Span]:
    """The times of a day, and of the day before, in which the watch lies where it was put for days or weeks."""
    if not routine.nights:
        return
    (bed, rise), (next_bed, next_rise) = routine.nights
    if away(person, day - 1, key):
        yield -float(MINUTES_PER_DAY), rise
    if away(person, day, key):
        yield bed, next_rise
    if away(person, day + 1, key):
        yield next_bed, float(MINUTES_PER_DAY)


def away(person: Person, day: int, key: Key) -> bool:
    """True if the watch, put away the evening before, stays there on ``day``: in runs of one to five days, or weeks."""
    return bool(_lies_away(*_put_away_chances(person), day, key))


def _put_away_chances(person: Person) -> tuple[float, float]:
    """Of a run of unworn days in a week, and of a run of unworn weeks in a season."""
    return person.unworn_days * _WEEK / 3.0, person.weeks_off_per_year * _SEASON / _DAYS_PER_YEAR


@compiled
def _lies_away(chance_days: float, chance_weeks: float, day: int, key: Key) -> bool:
    days = _within(chance_days, day, _WEEK, 1, 5, key, _AWAY_LANE)
    return days or _within(chance_weeks, day, _SEASON, 7, 28, key, _HOLIDAY_LANE)


@compiled
def _within(chance: float, day: int, block: int, shortest: int, longest: int, key: Key, lane: int) -> bool:
    """True if ``day`` lies in the one run of days that a block of days has by ``chance``."""
    number, place = day // block, day % block
    u_any, u_length, u_offset = uniform(key, lane, 3 * number, 3)
    length = shortest + int((longest - shortest + 1) * u_length)
    offset = int((block + 1 - length) * u_offset)
    return bool(u_any < chance and offset <= place < offset + length)


def _in_water(person: Person, routine: Routine, day: int, draws: Draws) -> Iterator[Span]:
    """Showers and swims of people who take the watch off, until it is dry and found again (gap median 22 min)."""
    if not person.off_in_water:
        return
    for begin, end in _stretches(routine.water, routine):
        yield begin, end + 4.0 + 22.0 * draws[day - 1 if end <= 0 else day][_WATER]


def _stretches(flag: NDArray[np.bool_], routine: Routine) -> list[tuple[int, int]]:
    """First minute and first minute after, relative to midnight, of every run of True in a routine's array."""
    return [(begin, end) for begin, end in (runs_of(flag) - routine.lead_in_minutes).tolist()]


def _taken_off(person: Person, midnight: float, draw: list[float]) -> Iterator[Span]:
    """Times at which the watch is put aside during one day, charging and water apart; evenings more often."""
    chance = person.off_wrist_per_day / OFF_CANDIDATES
    for i in range(_OFF, _OFF + OFF_CANDIDATES):
        if draw[i] >= chance:
            continue
        clock, length = draw[i + OFF_CANDIDATES], draw[i + 2 * OFF_CANDIDATES]
        begin = midnight + 420.0 + 990.0 * clock**0.7
        # log-logistic about the person's median; within-person spread of Fitabase off-wrist bouts
        minutes = person.off_wrist_minutes * (length / (1.0 - length)) ** 0.55
        yield begin, begin + min(max(minutes, 2.0), LONGEST_EPISODE_MINUTES)


def _battery(
    person: Person, vendor: Vendor, routine: Routine, day: int, draws: Draws, key: Key
) -> list[tuple[float, float, int]]:
    """What the battery brings: begin, end, reason.

    Charges overnight are moved into the nights as they were, and a watch that is flat, or saves power, waits for them.
    Nobody charges a watch that is put away.
    """
    found = []
    moved: dict[float, float] = {}  # begin of a charge overnight by the chain, and as it was
    put_away = list(_put_away(person, routine, day, key))
    every = spells(person, vendor, day, key)
    for begin, end, why, due in every:
        if why != _CHARGING or vendor.charges_on_wrist:
            continue
        starts, ends = begin, end
        if person.charging_habit == "overnight" and due in (-1, 0) and routine.nights:
            bed, rise = routine.nights[due + 1]
            u_late, u_early = draws[day + due][_BEDSIDE : _BEDSIDE + 2]
            starts, ends = bed - 20.0 * u_late, max(rise + 5.0 + 20.0 * u_early, begin)
            moved[begin] = starts
        if not any(first <= starts < after for first, after in put_away):
            found.append((starts, ends, why))
    for begin, end, why, _ in every:
        if why != _CHARGING:
            found.append((begin, max(end, moved.get(end, end)), why))
    return found


def installed(person: Person, vendor: Vendor, today: date, key: Key) -> Vendor:
    """The device with the firmware that its wearer has installed by a date; updates reach people over some weeks."""
    if not vendor.updates:
        return vendor
    (u,) = uniform(key, _UPDATE_LANE, 0, 1).tolist()
    return vendor.on(today - timedelta(days=int(UPDATE_DAYS * u * u)))


def _unsynced(person: Person, vendor: Vendor, day: int, key: Key) -> Iterator[Span]:
    """What the watch overwrote while no phone fetched its minutes: all but the last ``memory_days`` of that time."""
    if person.phone_away_per_year <= 0.0:
        return
    breaks = person.phone_away_per_year / _DAYS_PER_YEAR
    low, high = LOOKS_A_DAY
    looks = min(max(USUALLY_LOOKS * (USUALLY_FORGETFUL / max(person.forgetful, 1e-9)) ** LOOKS_POWER, low), high)
    for begin, end in _overwritten(breaks, looks, vendor.memory_days, key, day).tolist():
        yield begin * MINUTES_PER_DAY, end * MINUTES_PER_DAY


@compiled
def _overwritten(breaks: float, looks: float, memory_days: float, key: Key, day: int) -> NDArray[np.float64]:
    """What of the times apart from the phone is lost in the end: begin and end in days from ``day``'s midnight, [n, 2].

    The link breaks on a day by chance, and is mended on the first day thereafter on which its owner looks.
    """
    own = lane_key(key, _PHONE_LANE)
    lost = np.empty((MOST_DAYS_APART + 2, 2))
    n = 0
    for d in range(day - 1 - MOST_DAYS_APART, day + 1):
        u = unit(bits(own, np.uint64(3 * d)))
        if u >= breaks:
            continue
        mended = d + 1
        while mended < d + MOST_DAYS_APART and unit(bits(own, np.uint64(3 * mended + 1))) >= looks:
            mended += 1
        begin, end = d + u / breaks - day, mended + unit(bits(own, np.uint64(3 * mended + 2))) - memory_days - day
        if begin < end and end > -1.0:
            lost[n, 0], lost[n, 1] = begin, end
            n += 1
    return lost[:n]


def _last_minute(person: Person, day: int, key: Key) -> float:
    """Minutes from the cohort's start after which the watch is never worn again; inf where that is after ``day``.

    Who has left it in the drawer of late is likelier to give it up.
    """
    if person.quits_per_year <= 0.0 or day < 0:
        return math.inf
    return _given_up(person.quits_per_year / _DAYS_PER_YEAR, *_put_away_chances(person), day, key)


@compiled
def _given_up(quits_a_day: float, chance_days: float, chance_weeks: float, day: int, key: Key) -> float:
    """The minute at which the hazard, summed up day by day, has reached what was drawn for the person."""
    left = -np.log(uniform(key, _QUIT_LANE, 0, 1)[0])
    unworn = 0
    for d in range(-LATELY_DAYS, day + 1):
        if d >= 0:
            hazard = quits_a_day * (QUITS_WORN + QUITS_UNWORN * unworn)
            if hazard >= left:
                return float((d + left / hazard) * 1440.0)
            left -= hazard
            unworn -= _lies_away(chance_days, chance_weeks, d - LATELY_DAYS, key)
        unworn += _lies_away(chance_days, chance_weeks, d, key)
    return np.inf
