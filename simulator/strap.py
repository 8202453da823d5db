"""Strap: when it is too loose, and when the light's seal on the skin breaks for a minute or two.

How tight somebody wears a watch is a habit (``Person.loose_fit``). From there the strap slips by chance, likelier in
exercise, on the walk and on wrists that the cold has made thin; in bed, where no arm swings, it slips less often, but
nobody notices before getting up. Awake, whoever wears it notices within three hours; bed time, getting up and the start
of exercise have it fastened anew in any case.

Besides, the seal breaks for moments, mostly of a minute or two, while the arm is still: in four wearers of a Fitbit
(Fitabase, Furberg et al. 2016), 1.8 gaps of heart rate a day last three minutes at most, 0.8 to 3.0 by person, only one
in fifteen of their minutes has a step, and one in four is followed by the next within three minutes.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.noise import Key, bits, compiled, lane_key, normal_at, unit
from simulator.population import Person
from simulator.routine import Routine
from simulator.signals import MINUTES_PER_DAY

LOOSE_MINUTES: Final = 95.0  # min that a slip costs on average; makes ``Person.loose_fit`` the share of time
NOTICED_MINUTES: Final = (15.0, 175.0)  # min awake until a loose strap is noticed; below a routine's lead-in; judgement
IN_BED: Final = 0.5  # on the hazard of a slip; judgement
IN_EXERCISE: Final = 3.0  # the same; judgement
ON_THE_WALK: Final = 1.5  # the same; judgement
IN_THE_COLD: Final = 2.0  # the same, from ``COLD_CELSIUS``'s second on; judgement
COLD_CELSIUS: Final = (15.0, -5.0)  # degC of air: wrists begin to shrink, and are at their thinnest; judgement
BREAKS_A_DAY: Final = 3.0  # breaks of the seal in a day of wearing it still, as loose as the median: Fitabase
USUAL_LOOSE_FIT: Final = 0.012  # median of ``Person.loose_fit`` (``traits.draw_wear``)
BREAKS_POWER: Final = 0.4  # of ``loose_fit`` in the rate of breaks: 0.8 to 3.0 a day by person in Fitabase
BREAK_MINUTES: Final = 1.0  # min, median of a break: Fitabase has 0.72, 0.65, 0.36, 0.22, 0.13 gaps a day of 1 to 5
BREAK_LOG_SD: Final = 0.85  # of ln(minutes): minutes; those of other causes have two or more
BREAKS_AGAIN: Final = 0.25  # share of breaks that are followed by another within three minutes: Fitabase
STILL_G: Final = 0.05  # g, SD of wrist acceleration below which hardly anybody walks (norms acc_sd)
_LONGEST_BREAK: Final = 15  # min
_MOST_IN_A_ROW: Final = 4
_LOOSE_LANE, _BREAK_LANE = 505, 516  # noise sequences under the wear's key; see ``wearing``


def loosened(person: Person, routine: Routine, key: Key, day: int) -> NDArray[np.bool_]:
    """The minutes of a day in which the strap is too loose.

    Args:
        person: Who wears it.
        routine: Day ``day`` of that person's life.
        key: ``wear_key`` of the person.
        day: Days since the cohort's start.

    Returns:
        bool [1440]. Two days agree about a strap that is loose at midnight.
    """
    if person.loose_fit <= 0.0:
        return np.zeros(MINUTES_PER_DAY, dtype=np.bool_)
    hazard = -np.log(1.0 - min(person.loose_fit, 0.99)) / LOOSE_MINUTES
    nights = np.array(routine.nights, dtype=np.int64).reshape(-1, 2)
    return _loose(hazard, nights, routine.exercising, routine.cadence, routine.ambient_celsius, key, day)


@compiled
def _loose(
    hazard: float,
    nights: NDArray[np.int64],
    exercising: NDArray[np.bool_],
    cadence: NDArray[np.float32],
    air_celsius: NDArray[np.float32],
    key: Key,
    day: int,
) -> NDArray[np.bool_]:
    """As ``loosened``; arrays begin before midnight, as in a routine."""
    own = lane_key(key, _LOOSE_LANE)
    lead = exercising.size - 1440
    loose = np.zeros(1440, dtype=np.bool_)
    short, long = NOTICED_MINUTES
    first = -lead if len(nights) == 0 else min(-lead, nights[0, 0])  # before the lead-in nothing counts but the night
    for m in range(first, 1440):
        at = np.uint64(2 * (day * 1440 + m))
        u = unit(bits(own, at))
        if u >= IN_EXERCISE * IN_THE_COLD * hazard:  # as in most minutes
            continue
        end = m + int(short + (long - short) * unit(bits(own, at + np.uint64(1))))
        in_bed = False
        for bed, rise in nights:
            if bed <= m < rise:
                in_bed, end = True, rise
            elif m < bed:
                end = min(end, bed)
        if in_bed:
            slips = u < IN_BED * hazard
        else:
            likelier = IN_EXERCISE if exercising[m + lead] else ON_THE_WALK if cadence[m + lead] > 0 else 1.0
            cold = (air_celsius[m + lead] - COLD_CELSIUS[0]) / (COLD_CELSIUS[1] - COLD_CELSIUS[0])
            slips = u < likelier * (1.0 + (IN_THE_COLD - 1.0) * min(max(cold, 0.0), 1.0)) * hazard
            for i in range(m + 1, min(end, 1440)):
                if exercising[i + lead] and not exercising[i + lead - 1]:
                    end = i
                    break
        if slips:
            loose[max(m, 0) : max(end, 0)] = True
    return loose


@compiled
def breaks(loose_fit: float, motion_g: NDArray[np.float32], key: Key, day: int) -> NDArray[np.bool_]:
    """The minutes of a day in which the light's seal is broken for a moment, bool [1440].

    Args:
        loose_fit: ``Person.loose_fit``.
        motion_g: float32 [1440], standard deviation of wrist acceleration; breaks begin where it is small.
        key: ``wear_key`` of the person.
        day: Days since the cohort's start.
    """
    own = lane_key(key, _BREAK_LANE)
    hazard = BREAKS_A_DAY / 1440.0 * (1.0 - BREAKS_AGAIN) * (loose_fit / USUAL_LOOSE_FIT) ** BREAKS_POWER
    broken = np.zeros(motion_g.size, dtype=np.bool_)
    for m in range(motion_g.size):
        at = np.uint64((2 * _MOST_IN_A_ROW + 1) * (day * 1440 + m))
        if unit(bits(own, at)) >= hazard or motion_g[m] >= STILL_G:
            continue
        begin = m
        for _ in range(_MOST_IN_A_ROW):
            lasts = np.ceil(BREAK_MINUTES * np.exp(BREAK_LOG_SD * normal_at(own, at + np.uint64(1))))
            end = begin + int(min(lasts, _LONGEST_BREAK))
            broken[begin:end] = True
            again = unit(bits(own, at + np.uint64(2))) / BREAKS_AGAIN
            if again >= 1.0:
                break
            begin = end + 1 + int(3.0 * again)
            at += np.uint64(2)
    return broken
