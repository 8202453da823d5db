"""Circumstances: what a day brings before anything is planned; duty, sport, drinks, spirits, now and then illness.

Nights and waking days are planned apart and must agree: who trains before work sets the alarm earlier, who worked
through the night sleeps by day, who drank goes to bed late. So what both have to know is drawn here, from noise
addressed by person and day.
"""

from datetime import date
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.activities import OF_LABEL, SPORTS, Activity, Sport, liking
from simulator.noise import Key, bits, compiled, lane_key, normal_at, time_key, unit
from simulator.population import Person
from simulator.traits import pick

WORK_MINUTES: Final = 505.0  # minutes with the lunch break: US ATUS 8-8.5 h on days worked
DAYS_OFF: Final = 0.06  # share of working days off: judgement after 15 days of leave a year
ROTATING: Final = ("early", "early", "late", "late", "night", "night", "", "", "", "")  # a common forward roster
NIGHTS: Final = ("night", "night", "night", "night", "", "", "", "")  # four on, four off
SHIFTS: Final = {"early": (360.0, 840.0), "late": (840.0, 1320.0), "night": (1320.0, 1800.0), "": (0.0, 0.0)}
"""Begin and end, minutes from midnight: three shifts of eight hours."""
DRINKING_BY_WEEKDAY: Final = (0.6, 0.6, 0.7, 0.9, 1.7, 1.7, 0.8)  # Monday first: judgement after diary studies
TOO_ILL_TO_WORK: Final = 0.30  # of ``Routine.fever``: judgement
SWING_DAYS: Final = 4  # days over which activity stays up or down: lag-1 0.14 (norm steps_lag1)
ILL_DAYS: Final = 7  # days after which an illness is over
_FEVER_RISE_HOURS, _FEVER_TURN_HOURS, _FEVER_FALL_HOURS = 8.0, 30.0, 22.0  # influenza's course: judgement
_ILLNESS, _ON_DAY = 1, 2  # lanes


class Circumstances(NamedTuple):
    """What one day brings to one person.

    Attributes:
        weekday: Monday is 0.
        duty: Begin and end of work or classes, minutes from midnight; equal if there are none.
        sport: What is trained today, if anything.
        early: True if it is trained before work, or in the morning of a free day.
        drinks: Peak of the evening's alcohol in [0, 1]; 0 on most evenings.
        fever: At noon; see ``Routine.fever``.
        spirits: Standard normal: high on a good day.
        swing: Standard normal: high in a lively stretch of days; the same for ``SWING_DAYS`` or so.
    """

    weekday: int
    duty: tuple[float, float]
    sport: Activity | None
    early: bool
    drinks: float
    fever: float
    spirits: float
    swing: float

    @property
    def works(self) -> bool:
        """True if there is work or a class today."""
        return self.duty[1] > self.duty[0]


def weekday_of(day: int, start: date) -> int:
    """Weekday of day ``day`` after ``start``; Monday is 0.

    >>> weekday_of(1, date(2024, 3, 4))
    1
    """
    return (start.weekday() + day) % 7


def life_key(person: Person) -> Key:
    """The key under which all of a person's days and nights are drawn; a hash, so made once and handed on."""
    return time_key(person.seed, person.index, "life")


def key_of(life: Key, lane: int, day: int) -> Key:
    """The key of one day's noise of a kind, under the life's."""
    return np.uint64(_first_word(life, lane, day)), life[1]


@compiled
def _first_word(life: Key, lane: int, day: int) -> np.uint64:
    return bits(lane_key(life, lane), np.uint64(day))


def circumstances(person: Person, day: int, start: date, key: Key) -> Circumstances:
    """What day ``day`` brings: a pure function of person, day and weekday.

    Args:
        person: To whom.
        day: Days since ``start``.
        start: The first day's date.
        key: The person's ``life_key``.
    """
    weekday = weekday_of(day, start)
    u, z = _drawn(key, day)
    fever = fever_at(key, person.ill_per_year / 365.0, 1440 * day + 720)
    duty = _duty(person, day, weekday, u[0], z[0], z[1]) if fever < TOO_ILL_TO_WORK else (0.0, 0.0)
    works = duty[1] > duty[0]
    sport, early = _training(person, works, u) if fever < 0.5 * TOO_ILL_TO_WORK else (None, False)
    drinks = 0.0
    if u[6] < person.drinks_per_week / 7.0 * DRINKING_BY_WEEKDAY[weekday] and fever < TOO_ILL_TO_WORK:
        drinks = min(0.28 * float(np.exp(0.55 * z[2])), 1.0)  # of five drinks: most evenings see one or two
    return Circumstances(weekday, duty, sport, early, drinks, fever, z[3], z[4])


def fever(person: Person, first_minute: int, n: int, key: Key) -> NDArray[np.float32]:
    """``Routine.fever`` of ``n`` minutes from absolute minute ``first_minute`` on, under the ``life_key``."""
    return _fever(key, person.ill_per_year / 365.0, first_minute, n)


def fever_at(key: Key, onsets_a_day: float, minute: int) -> float:
    """``Routine.fever`` at one absolute minute."""
    return float(_fever(key, onsets_a_day, minute, 1)[0])


def _duty(person: Person, day: int, weekday: int, u_off: float, z_begin: float, z_length: float) -> tuple[float, float]:
    """Begin and end of the day's work or classes."""
    if person.work in {"shift", "night"}:
        roster = ROTATING if person.work == "shift" else NIGHTS
        begin, end = SHIFTS[roster[(day + int(person.roster_phase * len(roster))) % len(roster)]]
        return (begin + 5.0 * z_begin, end + 8.0 * z_length) if end > begin and u_off > DAYS_OFF else (0.0, 0.0)
    rotates = person.work == "feet" and person.roster_phase > 0.6  # shops and kitchens: any five days of seven
    free = (weekday + int(70.0 * person.roster_phase)) % 7 >= 5 if rotates else weekday >= 5
    if not person.works or free or u_off < DAYS_OFF:
        return (0.0, 0.0)
    if person.work == "student":  # minutes: classes begin at different hours and fill half a day; judgement
        begin = 60.0 * person.work_start_hours + 55.0 * z_begin
        return (begin, begin + max(270.0 + 80.0 * z_length, 60.0)) if u_off > 0.15 else (0.0, 0.0)
    begin = 60.0 * person.work_start_hours + 10.0 * z_begin
    return begin, begin + WORK_MINUTES + 40.0 * z_length


def _training(person: Person, works: bool, u: list[float]) -> tuple[Activity | None, bool]:
    """The day's sport and whether it is for the morning."""
    if u[1] >= person.exercise_per_week / 7.0 * _MOST_OFTEN:  # not today, whatever the sport
        return None, False
    label = person.favourite_activity
    if u[2] > 0.65:  # share of bouts that are something else: judgement
        male = {"male": 1.0, "female": 0.0}.get(person.sex, 0.5)
        label = pick(liking(male, person.age_years), u[3])
    activity = OF_LABEL[label]
    sport = SPORTS[activity]
    rate = _on_such_days(sport, works)
    if u[1] >= min(person.exercise_per_week / 7.0 * rate, 0.95):
        return None, False
    early = sport.early if works else sport.early + 0.22
    taste = person.trains_early if u[4] < 0.75 else u[5]  # three bouts in four at one's usual time: judgement
    return activity, taste < early


@compiled
def draws_sport(key: Key, day: int, exercise_per_week: float) -> bool:
    """True on days that chance gives to sport, all else left aside: the weekday, work and illness.

    For what has to know of many days at once (a battery); whether somebody trains says ``circumstances``.
    """
    return unit(bits(lane_key(key, 1000 + _ON_DAY), np.uint64(16 * day + 1))) < exercise_per_week / 7.0


def _on_such_days(sport: Sport, works: bool) -> float:
    """How much likelier a sport is on a working day, or on a free one, than on the average day of a week."""
    return (1.0 if works else sport.weekend) * 7.0 / (5.0 + 2.0 * sport.weekend)


_MOST_OFTEN: Final = max(_on_such_days(sport, works) for sport in SPORTS.values() for works in (False, True))


@compiled
def _day_numbers(key: Key, day: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    own = lane_key(key, 1000 + _ON_DAY)
    uniforms, normals = np.empty(8), np.zeros(5)
    for i in range(8):
        uniforms[i] = unit(bits(own, np.uint64(16 * day + i)))
    for i in range(4):
        normals[i] = normal_at(own, np.uint64(16 * day + 8 + i))
    for back in range(SWING_DAYS):
        normals[4] += normal_at(own, np.uint64(16 * (day - back) + 12)) / np.sqrt(SWING_DAYS)
    return uniforms, normals


def _drawn(key: Key, day: int) -> tuple[list[float], list[float]]:
    uniforms, normals = _day_numbers(key, day)
    return uniforms.tolist(), normals.tolist()


@compiled
def _fever(key: Key, onsets_a_day: float, first_minute: int, n: int) -> NDArray[np.float32]:
    """The course of every illness that began within ``ILL_DAYS``: up in hours, down in days, worse in the evening."""
    own = lane_key(key, 1000 + _ILLNESS)
    out = np.zeros(n, dtype=np.float32)
    first_day, last_day = first_minute // 1440 - ILL_DAYS, (first_minute + n - 1) // 1440
    for day in range(first_day, last_day + 1):
        if unit(bits(own, np.uint64(4 * day))) >= onsets_a_day:
            continue
        onset = 1440 * day + int(1440.0 * unit(bits(own, np.uint64(4 * day + 1))))
        worst = 0.12 + 1.1 * unit(bits(own, np.uint64(4 * day + 2))) ** 2  # most are colds with hardly any fever
        for i in range(max(0, onset - first_minute), n):
            hours = (first_minute + i - onset) / 60.0
            if hours >= 24.0 * ILL_DAYS:
                break
            course = (1.0 - np.exp(-hours / _FEVER_RISE_HOURS)) * (1.0 - hours / (24.0 * ILL_DAYS))
            course *= np.exp(-max(hours - _FEVER_TURN_HOURS, 0.0) / _FEVER_FALL_HOURS)
            clock = (first_minute + i) % 1440 / 1440.0
            course *= 1.0 + 0.2 * np.cos(2.0 * np.pi * (clock - 0.75))
            out[i] = min(max(out[i], worst * course), 1.0)
    return out
