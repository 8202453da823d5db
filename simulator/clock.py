"""Clock: what summer time and journeys do to a series of local minutes.

A recording has the 1,440 minutes of a local calendar date, and a watch writes by the clock of its phone. Where that
clock is put forward, the minutes that it skips exist in no series: they are missing, for the reason CLOCK_CHANGED.
Where it is put back, an hour is lived twice and written twice, and the later value is kept: nothing is missing, and an
event says between which minutes the first writing was lost. Both are events of kind "fault".

Lives (``simulator.routine``) are lived by the local clock, and every day of theirs has 24 hours: in the hour that is
skipped nobody lived longer or shorter, and of the hour that is written twice they know the second passing alone. So
what the truth holds under a skipped hour was shown by no clock, and is there only to keep its shape.
"""

from datetime import date
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.noise import Key, bits, compiled, lane_key, unit
from simulator.population import Person
from simulator.recording import Event, Reason
from simulator.signals import MINUTES_PER_DAY

_LANE: Final = 510  # under the wear's key
_SEASON: Final = 56  # days within which at most one journey falls
_DAYS_PER_YEAR: Final = 365.25
_DAYS_AWAY: Final = (2, 14)  # days between going and coming back, fewest and most: judgement
_ZONES: Final = ((0.45, 1), (0.65, 2), (0.87, 3), (0.93, 5), (0.97, 7), (1.0, 9))  # share up to it, hours: judgement
_FIRST_LANDING: Final = 600  # minutes from midnight; nobody lands before: judgement
_KEPT: Final = (int(Reason.SENSOR_ABSENT), int(Reason.DROPPED_OUT))  # said rather than that the clock changed


class Change(NamedTuple):
    """A clock that is set anew.

    Attributes:
        minute: Minute of the day that the clock shows when it is set.
        shift_minutes: By how much it is put forward; below 0: back.
    """

    minute: int
    shift_minutes: int


def changes(person: Person, summer_time: str, today: date, day: int, key: Key) -> list[Change]:
    """The clock changes of one day of a person.

    Args:
        person: Who may be on a journey.
        summer_time: A key of ``population.SUMMER_TIME``.
        today: The local date.
        day: Days since the cohort's start.
        key: The ``wear_key`` of the person.
    """
    found = []
    season = change_to_summer_time(summer_time, today)
    if season is not None:
        found.append(season)
    if person.journeys_per_year > 0.0:
        hours, place = _journey(person.journeys_per_year * _SEASON / _DAYS_PER_YEAR, day, key)
        if hours:
            room = MINUTES_PER_DAY - _FIRST_LANDING - 60 * abs(hours)
            found.append(Change(_FIRST_LANDING + 60 * max(-hours, 0) + int(room * place), 60 * hours))
    return found


def change_to_summer_time(rule: str, today: date) -> Change | None:
    """The change that a rule of summer time has on a date.

    "us": from the second Sunday of March to the first of November, at 2 h (Energy Policy Act of 2005); "eu": from the
    last Sunday of March to the last of October, at 1 h UTC, here by the clock of Central Europe (Directive 2000/84/EC).

    >>> change_to_summer_time("us", date(2024, 3, 10)), change_to_summer_time("eu", date(2024, 10, 27))
    (Change(minute=120, shift_minutes=60), Change(minute=180, shift_minutes=-60))
    """
    if rule == "none" or today.month not in (3, 10, 11) or today.weekday() != 6:
        return None
    sunday, is_last = (today.day - 1) // 7, today.day > 24
    if today.month == 3:
        return Change(120, 60) if (sunday == 1 if rule == "us" else is_last) else None
    if rule == "us":
        return Change(120, -60) if today.month == 11 and sunday == 0 else None
    return Change(180, -60) if today.month == 10 and is_last else None


def rewrite(reason: NDArray[np.uint8], changed: list[Change]) -> list[Event]:
    """Mark the minutes that clocks skipped, in place.

    Args:
        reason: uint8 [26, 1440] of ``Reason``.
        changed: Of that day.

    Returns:
        An event a change: "clock_forward" over the minutes skipped, "clock_back" over those written twice.
    """
    events = []
    for minute, shift in changed:
        if shift > 0:
            skipped = reason[:, minute : minute + shift]
            skipped[~np.isin(skipped, _KEPT)] = Reason.CLOCK_CHANGED
            events.append(Event("fault", "clock_forward", minute, minute + shift))
        else:
            events.append(Event("fault", "clock_back", minute + shift, minute))
    return events


@compiled
def _journey(chance: float, day: int, key: Key) -> tuple[int, float]:
    """By how many hours the clock is put forward on ``day``, and a share of the day's landing times; 0 if not."""
    own = lane_key(key, _LANE)
    season = day // _SEASON
    first = np.uint64(8 * season)
    if unit(bits(own, first)) >= chance:
        return 0, 0.0
    away = _DAYS_AWAY[0] + int((_DAYS_AWAY[1] - _DAYS_AWAY[0] + 1) * unit(bits(own, first + np.uint64(1))))
    out = season * _SEASON + int((_SEASON - away) * unit(bits(own, first + np.uint64(2))))
    if day != out and day != out + away:
        return 0, 0.0
    far = unit(bits(own, first + np.uint64(3)))
    hours = 0
    for share, zones in _ZONES:
        if far < share:
            hours = zones
            break
    if unit(bits(own, first + np.uint64(4))) < 0.5:
        hours = -hours
    place = unit(bits(own, first + np.uint64(5 if day == out else 6)))
    return (hours, place) if day == out else (-hours, place)
