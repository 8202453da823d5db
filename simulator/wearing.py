"""Wearing: when a watch is on the wrist, on its charger, flat, in a drawer, or out of its owner's life.

Habits come first (``draw_wear``): one trait, how attached somebody is to the watch, runs through all of them, so that
some people wear it nearly always and charge it in an hour, while others leave it off every night, forget it, and
give up. ``handling`` then turns a person's habits, routine and device into a reason for every minute of one day.

Which episodes exist is drawn by nested thresholds, so that a person who wears the watch more, all else equal, never
yields less data. Episodes belong to the day (week, month) in which they begin and their draws are addressed by it, so
two calendar days agree about a charge that crosses midnight.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from simulator.activities import Activity
from simulator.noise import Key, compiled, time_key, uniform
from simulator.recording import Reason, runs_of
from simulator.signals import MINUTES_PER_DAY
from simulator.traits import pick
from simulator.vendors import Vendor

if TYPE_CHECKING:
    from simulator.population import Person, Population
    from simulator.routine import Routine

LEAD_MINUTES: Final = 40
"""Minutes before midnight that ``handling`` begins with: longer than a watch off the wrist takes to fall asleep."""
NIGHT_LOG_ODDS: Final = 3.6  # of wearing it in a night, median person; 73.5 % of nights, median person 81 % (LifeSnaps)
NIGHT_SPREAD: Final = 4.0  # SD between people of these log odds: nearly always, or hardly ever (LifeSnaps, NHANES)
RECHARGE_AT: Final = 0.22  # share of battery left when people charge: 15-30 % (norms)
OFF_CANDIDATES: Final = 8  # most times a day that a watch is taken off, charging and water aside
LEFT_AFTER_NIGHT_OFF: Final = 2.5  # chance of leaving it at home in a morning over ``forgetful``: judgement; 81 % of
LEFT_AFTER_NIGHT_ON: Final = 0.3  # Fitabase's gaps over 5 h begin from 19 to 1 h, so most such mornings follow a night
LONGEST_EPISODE_MINUTES: Final = 1180  # minutes: episodes end on the day after they began, before 20 h
LIFTING: Final = (int(Activity.WEIGHTLIFTING), int(Activity.STRENGTH))  # for which rings come off

_HANDLING_LANE, _AWAY_LANE, _PHONE_LANE, _QUIT_LANE = 500, 501, 503, 504  # noise sequences under a person's key
_HOLIDAY_LANE: Final = 508  # the last: 502 and 505 to 507 are those of ``missingness``
_NIGHT, _LATE, _EARLY = range(3)  # what each number of a day's draw decides
_CHARGE_CLOCK, _CHARGE_LENGTH, _FORGET, _EMPTY, _TOP_UP, _TOP_UP_CLOCK, _WATER, _LEFT, _BACK = range(3, 12)
_OFF: Final = 16  # where the three rows of off-wrist draws begin: exists, clock, length
_DRAWS: Final = _OFF + 3 * OFF_CANDIDATES
_WEEK, _SEASON = 7, 56  # days within which at most one run of unworn days, or of unworn weeks, falls
_MONTH: Final = 28  # days within which a phone stays away at most once
_DAYS_PER_YEAR: Final = 365.25
_HABIT_CLOCK: Final = {  # minutes from midnight between which a charge begins: norms charge_evening, charge_morning
    "evening": (1120.0, 1350.0),
    "morning": (390.0, 570.0),
    "desk": (570.0, 960.0),
}

Draws = dict[int, list[float]]
"""Uniform numbers of yesterday, today and tomorrow."""
Span = tuple[float, float]
"""First minute and first minute after, relative to midnight of the day in question."""


def draw_wear(population: "Population", vendor: Vendor, rng: np.random.Generator) -> dict[str, Any]:
    """How somebody wears, charges and keeps the watch; habits differ more between people than their bodies do.

    Args:
        population: Whose ``worn_nights_factor`` and ``off_wrist_factor`` shift the habits.
        vendor: The device; a watch that lasts a day is charged overnight by more people.
        rng: The person's stream.

    Returns:
        The fields of ``Person`` that speak of the watch.
    """
    attachment, *own = rng.standard_normal(12).tolist()

    def habit(place: int, shared: float) -> float:
        """A standard normal number that correlates with attachment."""
        return float(shared * attachment + math.sqrt(1.0 - shared * shared) * own[place])

    nights = NIGHT_LOG_ODDS + NIGHT_SPREAD * habit(0, 0.9) + math.log(population.worn_nights_factor)
    # charging: evening 45, morning 25, overnight 28 % of daily chargers, overnight 7 % with days of battery (norms)
    overnight = 0.28 if vendor.battery_days <= 2 else 0.07
    shares = {"overnight": overnight, "evening": 0.45, "morning": 0.25, "desk": 0.30 - overnight}
    return {
        "worn_nights": 1.0 / (1.0 + math.exp(-nights)),
        # 0.1 to 1.0 bouts a day, median 25 min for one, 171 for another (Fitabase, Furberg et al. 2016)
        "off_wrist_per_day": population.off_wrist_factor * min(0.28 * math.exp(-1.25 * habit(1, 0.7)), 3.0),
        "charging_habit": pick(shares, _share_below(habit(2, 0.8))),
        "off_in_water": _share_below(habit(3, 0.5)) < 0.40,  # 30-50 % of wearers: judgement
        "off_wrist_minutes": min(max(45.0 * math.exp(0.85 * own[4]), 8.0), 360.0),
        # share of days: mean 0.05 (norm gap_multi 0.06 with weeks and nights of the same day), most people none
        "unworn_days": min(0.016 * math.exp(-1.5 * habit(5, 0.7)), 0.5),
        "forgetful": min(0.022 * math.exp(-1.7 * habit(6, 0.8)), 0.6),  # mean 0.06: judgement
        "charge_phase": float(rng.random()),
        "loose_fit": min(0.012 * math.exp(-1.4 * habit(7, 0.6)), 0.4),  # share of time, mean 0.03: judgement
        # times a year: two in three take a holiday from it every other year or so; judgement
        "weeks_off_per_year": min(0.25 * math.exp(-0.8 * habit(8, 0.5)), 4.0),
        "phone_away_per_year": min(0.25 * math.exp(0.8 * own[9]), 6.0),  # times a year beyond two days: judgement
        # hazard a year: mean 0.18; a third of owners stop within 6 to 12 months of buying one, fewer once in a study
        "quits_per_year": min(0.08 * math.exp(-1.3 * habit(10, 0.7)), 3.0),
    }


def _share_below(z: float) -> float:
    """Share of a standard normal distribution below ``z``."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def wear_key(person: "Person") -> Key:
    """The key under which everything about a person's watch is drawn."""
    return time_key(person.seed, person.index, "wear")


def handling(person: "Person", vendor: Vendor, routine: "Routine", day: int, key: Key) -> NDArray[np.uint8]:
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
    spans = [(begin, end, Reason.OFF_WRIST) for begin, end in off]
    battery: list[tuple[float, float, Reason]] = []
    for d in (day - 1, day):
        midnight = MINUTES_PER_DAY * (d - day)
        spans += [(begin, end, Reason.OFF_WRIST) for begin, end in _taken_off(person, midnight, draws[d])]
        night = routine.nights[d - day + 1] if routine.nights else None
        battery += _charges(person, vendor, d, night, midnight, draws[d])
    for why in (Reason.POWER_SAVING, Reason.OFF_WRIST, Reason.BATTERY_EMPTY, Reason.CHARGING):
        for begin, end, reason in battery if why != Reason.OFF_WRIST else spans:
            if reason == why:
                out[max(round(begin) + LEAD_MINUTES, 0) : max(round(end) + LEAD_MINUTES, 0)] = why
    for begin, end in _unsynced(person, vendor, day, key):
        out[max(round(begin) + LEAD_MINUTES, 0) : max(round(end) + LEAD_MINUTES, 0)] = Reason.NOT_SYNCED
    quits = _last_minute(person, key) - day * MINUTES_PER_DAY + LEAD_MINUTES
    if quits < out.size:
        out[max(round(quits), 0) :] = Reason.DROPPED_OUT
    return out


def _not_put_on(person: "Person", routine: "Routine", day: int, draws: Draws, key: Key) -> Iterator[Span]:
    """Nights without the watch, and whole days; relative to midnight of ``day``."""
    if not routine.nights:
        return
    loose_hold = 3.0 - 2.0 * person.worn_nights  # who never sleeps with it wears it to go out, rather than at home
    for d, (bed, rise) in zip((day, day + 1), routine.nights, strict=True):
        u_night, u_late, u_early = draws[d][_NIGHT], draws[d][_LATE], draws[d][_EARLY]
        if u_night >= person.worn_nights:  # off from some time in the evening until after breakfast: judgement
            yield bed - loose_hold * 150.0 * u_late**2, rise + 10.0 + loose_hold * 90.0 * u_early**2
    (bed, rise), (next_bed, next_rise) = routine.nights
    unworn_night = draws[day][_NIGHT] >= person.worn_nights  # who took it off for the night forgets it more easily
    if draws[day][_LEFT] < person.forgetful * (LEFT_AFTER_NIGHT_OFF if unworn_night else LEFT_AFTER_NIGHT_ON):
        yield rise + 20.0, min(rise + 320.0 + 420.0 * draws[day][_BACK], float(MINUTES_PER_DAY))
    if away(person, day - 1, key):
        yield -float(MINUTES_PER_DAY), rise
    if away(person, day, key):
        yield bed, next_rise
    if away(person, day + 1, key):
        yield next_bed, float(MINUTES_PER_DAY)


def away(person: "Person", day: int, key: Key) -> bool:
    """True if the watch, put away the evening before, stays there on ``day``: in runs of one to five days, or weeks."""
    return _within(person.unworn_days * _WEEK / 3.0, day, _WEEK, 1, 5, key, _AWAY_LANE) or _within(
        person.weeks_off_per_year * _SEASON / _DAYS_PER_YEAR, day, _SEASON, 7, 28, key, _HOLIDAY_LANE
    )


@compiled
def _within(chance: float, day: int, block: int, shortest: int, longest: int, key: Key, lane: int) -> bool:
    """True if ``day`` lies in the one run of days that a block of days has by ``chance``."""
    number, place = day // block, day % block
    u_any, u_length, u_offset = uniform(key, lane, 3 * number, 3)
    length = shortest + int((longest - shortest + 1) * u_length)
    offset = int((block + 1 - length) * u_offset)
    return bool(u_any < chance and offset <= place < offset + length)


def _in_water(person: "Person", routine: "Routine", day: int, draws: Draws) -> Iterator[Span]:
    """Showers and swims of people who take the watch off, until it is dry and found again (gap median 22 min)."""
    if not person.off_in_water:
        return
    for begin, end in _stretches(routine.water, routine):
        yield begin, end + 4.0 + 22.0 * draws[day - 1 if end <= 0 else day][_WATER]


def _stretches(flag: NDArray[np.bool_], routine: "Routine") -> list[tuple[int, int]]:
    """First minute and first minute after, relative to midnight, of every run of True in a routine's array."""
    return [(begin, end) for begin, end in (runs_of(flag) - routine.lead_in_minutes).tolist()]


def _taken_off(person: "Person", midnight: float, draw: list[float]) -> Iterator[Span]:
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


def _charges(
    person: "Person",
    vendor: Vendor,
    day: int,
    night: tuple[int, int] | None,
    midnight: float,
    draw: list[float],
) -> Iterator[tuple[float, float, Reason]]:
    """What day ``day`` brings for the battery; ``night`` (bed, rise) is the one that begins that evening."""
    u_top, u_top_clock = draw[_TOP_UP], draw[_TOP_UP_CLOCK]
    if u_top < (0.22 if vendor.battery_days <= 2 else 0.02) and not vendor.charges_on_wrist:
        begin = midnight + 420.0 + 840.0 * u_top_clock  # share of days with a low-battery top-up: judgement
        yield begin, begin + 0.3 * vendor.charge_minutes, Reason.CHARGING
    if not _is_due(person, vendor, day):
        return
    u_clock, u_length, u_forget, u_empty = draw[_CHARGE_CLOCK : _EMPTY + 1]
    needed = vendor.charge_minutes * (0.45 + 0.5 * u_length) + 30.0 * u_length**3  # and until it is put back on
    window = _HABIT_CLOCK.get(person.charging_habit)
    if window is None and night is not None:
        begin, end = night[0] - 20.0 * u_clock, night[1] + 5.0 + 20.0 * u_length
    else:
        first, last = window or _HABIT_CLOCK["evening"]
        begin = midnight + first + (last - first) * u_clock
        end = begin + needed
    if u_forget < person.forgetful:  # it runs flat some hours later and is found flat after a while
        flat = begin + 60.0 * (1.0 + 8.0 * u_empty)
        found = flat + 60.0 * (0.5 + 7.5 * u_length)
        if vendor.power_saving_below > 0:  # the charge falls evenly from RECHARGE_AT to nothing
            yield flat - (flat - begin) * min(vendor.power_saving_below / RECHARGE_AT, 1.0), flat, Reason.POWER_SAVING
        yield flat, found, Reason.BATTERY_EMPTY
        begin, end = found, found + needed
    if not vendor.charges_on_wrist:
        yield begin, end, Reason.CHARGING


def _is_due(person: "Person", vendor: Vendor, day: int) -> bool:
    """True on days on which the battery asks for its charge; daily for watches that last a day."""
    cycle = max(vendor.battery_days * (1.0 - RECHARGE_AT), 1.0)
    return math.floor(day / cycle + person.charge_phase) > math.floor((day - 1) / cycle + person.charge_phase)


def _unsynced(person: "Person", vendor: Vendor, day: int, key: Key) -> Iterator[Span]:
    """What the watch overwrote while no phone was near: all but the last ``memory_days`` of the time away."""
    month = day // _MONTH
    u_any, u_length, u_offset = uniform(key, _PHONE_LANE, 3 * month, 3).tolist()
    if u_any >= person.phone_away_per_year * _MONTH / _DAYS_PER_YEAR:
        return
    length = 2.0 + 24.0 * u_length**2  # days without the phone: judgement
    begin = month * _MONTH + (_MONTH - length) * u_offset - day
    end = begin + length - vendor.memory_days
    if begin < end:
        yield begin * MINUTES_PER_DAY, end * MINUTES_PER_DAY


def _last_minute(person: "Person", key: Key) -> float:
    """Minutes from the cohort's start after which the watch is never worn again."""
    if person.quits_per_year <= 0:
        return math.inf
    (u,) = uniform(key, _QUIT_LANE, 0, 1).tolist()
    return -math.log(u) / person.quits_per_year * _DAYS_PER_YEAR * MINUTES_PER_DAY
