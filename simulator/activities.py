"""Activities: what a body can be doing, where, and what each class of exercise is like; one table, and all of it here.

A minute has one ``Activity`` and one ``Place``. What a minute of an activity feels like stands in ``FEELS``. The twenty
classes that a watch can log stand in ``SPORTS``: LSM-1's eight [1] first, then twelve that trackers commonly offer.

Two frequencies describe a class, since people do more than they log: LifeSnaps [2] and the American Time Use Survey
[3] say what is done, Table 19 of LSM-1 says what is logged. Most walks log themselves, weights hardly ever.

[1] Narayanswamy, Liu et al., "Scaling Wearable Foundation Models", ICLR 2025, arXiv:2410.13638, Table 19.
[2] Yfantidou et al., "LifeSnaps", Scientific Data 2022, doi:10.1038/s41597-022-01764-x.
[3] US Bureau of Labor Statistics, American Time Use Survey 2011-15, sports and exercise.
"""

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np


class Activity(IntEnum):
    """What the body does in a minute; the first eight exercise classes are LSM-1's."""

    REST = 0  # lying or sitting quietly
    DESK = 1  # seated, hands busy
    CHORES = 2  # on the feet, irregular arm movement
    VEHICLE = 3
    STAIRS = 4
    WALKING = 5
    RUNNING = 6
    BIKING = 7
    SWIMMING = 8
    ELLIPTICAL = 9
    HIIT = 10
    STRENGTH = 11
    WEIGHTLIFTING = 12
    HIKING = 13
    YOGA = 14
    PILATES = 15
    AEROBICS_DANCE = 16
    SPINNING = 17
    ROWING_MACHINE = 18
    STAIRCLIMBER = 19
    TENNIS = 20
    GOLF = 21
    SKIING = 22
    KAYAKING = 23
    MARTIAL_ARTS = 24

    @property
    def label(self) -> str:
        """The word in the diary.

        >>> Activity.MARTIAL_ARTS.label
        'martialarts'
        """
        return self.name.lower().replace("_", "")


class Place(IntEnum):
    """Where a minute is spent; it sets the air around the wrist and the pressure."""

    HOME = 0
    WORK = 1
    OUTDOORS = 2
    VEHICLE = 3
    SHOP = 4
    GYM = 5
    POOL = 6
    SHOWER = 7
    WATER = 8  # on a lake or river, the wrist wet now and then
    SNOW = 9


class Feel(NamedTuple):
    """What a minute of an activity is like before the person, the stretch and chance change it."""

    effort: float  # share of heart rate reserve, at least; exercise sets its own. Compendium: chores 2.5 MET
    arm: float  # movement of the wrist beyond gait, 1 is chores: judgement after MIMS by task
    upright: float  # share of the minute on the feet
    bout: float  # minutes, median bout of incidental steps; 0: none happen
    pause: float  # minutes, median pause between them
    spread: float  # SD of its logarithm; all three so that bouts are those of Fitabase (Furberg et al. 2016)
    hills: float  # SD of metres climbed in the minute: judgement


FEELS: Final = {
    Activity.REST: Feel(effort=0.0, arm=0.13, upright=0.02, bout=0.78, pause=3.6, spread=1.3, hills=0.0),
    Activity.DESK: Feel(effort=0.012, arm=0.34, upright=0.02, bout=0.88, pause=2.85, spread=1.3, hills=0.0),
    Activity.CHORES: Feel(effort=0.036, arm=1.0, upright=0.85, bout=1.6, pause=1.1, spread=1.0, hills=0.0),
    Activity.VEHICLE: Feel(effort=0.015, arm=0.22, upright=0.0, bout=0.5, pause=60.0, spread=0.8, hills=4.0),
    Activity.STAIRS: Feel(effort=0.30, arm=0.40, upright=1.0, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
    Activity.WALKING: Feel(effort=0.0, arm=0.25, upright=1.0, bout=0.0, pause=0.0, spread=0.0, hills=0.5),
    Activity.RUNNING: Feel(effort=0.0, arm=0.45, upright=1.0, bout=0.0, pause=0.0, spread=0.0, hills=1.1),
    Activity.BIKING: Feel(effort=0.0, arm=0.55, upright=0.2, bout=0.0, pause=0.0, spread=0.0, hills=2.5),
    Activity.SWIMMING: Feel(effort=0.0, arm=2.2, upright=0.0, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
    Activity.ELLIPTICAL: Feel(effort=0.0, arm=0.7, upright=1.0, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
    Activity.HIIT: Feel(effort=0.0, arm=2.4, upright=0.9, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
    Activity.STRENGTH: Feel(effort=0.0, arm=1.5, upright=0.8, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
    Activity.WEIGHTLIFTING: Feel(effort=0.0, arm=1.2, upright=0.7, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
    Activity.HIKING: Feel(effort=0.0, arm=0.35, upright=1.0, bout=0.0, pause=0.0, spread=0.0, hills=3.0),
    Activity.YOGA: Feel(effort=0.0, arm=0.5, upright=0.4, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
    Activity.PILATES: Feel(effort=0.0, arm=0.6, upright=0.2, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
    Activity.AEROBICS_DANCE: Feel(effort=0.0, arm=2.2, upright=1.0, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
    Activity.SPINNING: Feel(effort=0.0, arm=0.3, upright=0.2, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
    Activity.ROWING_MACHINE: Feel(effort=0.0, arm=2.0, upright=0.0, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
    Activity.STAIRCLIMBER: Feel(effort=0.0, arm=0.3, upright=1.0, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
    Activity.TENNIS: Feel(effort=0.0, arm=2.0, upright=1.0, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
    Activity.GOLF: Feel(effort=0.0, arm=0.8, upright=0.9, bout=0.0, pause=0.0, spread=0.0, hills=0.8),
    Activity.SKIING: Feel(effort=0.0, arm=0.9, upright=0.9, bout=0.0, pause=0.0, spread=0.0, hills=12.0),
    Activity.KAYAKING: Feel(effort=0.0, arm=1.8, upright=0.0, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
    Activity.MARTIAL_ARTS: Feel(effort=0.0, arm=2.4, upright=0.9, bout=0.0, pause=0.0, spread=0.0, hills=0.0),
}

CELSIUS: Final = {  # degC of the air by place; judgement, US homes 21-22. Outdoors is the day's own
    Place.HOME: 21.5,
    Place.WORK: 22.3,
    Place.OUTDOORS: 0.0,
    Place.VEHICLE: 21.5,
    Place.SHOP: 20.5,
    Place.GYM: 20.5,
    Place.POOL: 28.0,
    Place.SHOWER: 33.0,
    Place.WATER: 17.0,
    Place.SNOW: -2.0,
}
PRESSURE_NOISE: Final = {  # hPa, mean spread that is not climbing: norms alt_sd_* (still 0.015 with sensor, car 0.06)
    Place.HOME: 0.004,
    Place.WORK: 0.006,
    Place.OUTDOORS: 0.018,
    Place.VEHICLE: 0.05,
    Place.SHOP: 0.012,
    Place.GYM: 0.012,
    Place.POOL: 0.03,
    Place.SHOWER: 0.006,
    Place.WATER: 0.02,
    Place.SNOW: 0.03,
}


class Shape(IntEnum):
    """How effort runs through a bout."""

    STEADY = 0  # warming up, then rolling terrain
    INTERVALS = 1  # minutes hard and minutes easy
    SETS = 2  # a set and its pause
    RALLIES = 3  # irregular play


class Sport(NamedTuple):
    """A class of exercise.

    Medians after norms ``act_<Name>_dur``, ``_hrr`` and ``_steps``; clocks after ``actclock_*``; what has no row is
    judgement.
    """

    place: Place
    shape: Shape
    minutes: float  # median length of a bout
    effort: float  # mean share of heart rate reserve that the work asks for; heat, drift and nerves add a tenth of it
    cadence: float  # steps a minute that the feet, or the arm for them, show
    days: float  # share of person-days with a bout of it, done deliberately
    logged: float  # share of bouts that enter the diary
    female: float  # share of women among participants where women and men are equally many
    ageing: float  # change of ln(frequency) per year of age
    early: float  # share of bouts before work; on free days of those before noon a third more
    weekend: float  # how much likelier on a free day than on a working day


SPORTS: Final[dict[Activity, Sport]] = {
    #                                                 min   effort steps  days   logged women ageing early wkend
    Activity.WALKING: Sport(Place.OUTDOORS, Shape.STEADY, 30.0, 0.30, 104.0, 0.100, 0.69, 0.52, 0.010, 0.24, 1.2),
    Activity.RUNNING: Sport(Place.OUTDOORS, Shape.STEADY, 34.0, 0.71, 160.0, 0.026, 0.8, 0.45, -0.025, 0.44, 1.2),
    Activity.BIKING: Sport(Place.OUTDOORS, Shape.STEADY, 55.0, 0.51, 5.0, 0.022, 0.55, 0.36, -0.004, 0.26, 1.6),
    Activity.SWIMMING: Sport(Place.POOL, Shape.STEADY, 42.0, 0.49, 8.0, 0.012, 0.72, 0.55, 0.005, 0.36, 1.2),
    Activity.ELLIPTICAL: Sport(Place.GYM, Shape.STEADY, 32.0, 0.50, 120.0, 0.007, 0.02, 0.60, 0.0, 0.28, 1.0),
    Activity.HIIT: Sport(Place.GYM, Shape.INTERVALS, 32.0, 0.56, 50.0, 0.011, 0.20, 0.55, -0.025, 0.28, 0.9),
    Activity.STRENGTH: Sport(Place.GYM, Shape.SETS, 44.0, 0.30, 18.0, 0.018, 0.09, 0.50, -0.010, 0.27, 1.0),
    Activity.WEIGHTLIFTING: Sport(Place.GYM, Shape.SETS, 55.0, 0.27, 14.0, 0.027, 0.10, 0.38, -0.016, 0.24, 0.9),
    Activity.HIKING: Sport(Place.OUTDOORS, Shape.STEADY, 120.0, 0.38, 88.0, 0.007, 0.7, 0.50, 0.005, 0.3, 5.0),
    Activity.YOGA: Sport(Place.HOME, Shape.STEADY, 44.0, 0.09, 2.0, 0.0115, 0.5, 0.85, 0.0, 0.40, 1.1),
    Activity.PILATES: Sport(Place.GYM, Shape.STEADY, 44.0, 0.13, 3.0, 0.005, 0.5, 0.87, 0.005, 0.35, 0.8),
    Activity.AEROBICS_DANCE: Sport(Place.GYM, Shape.RALLIES, 50.0, 0.46, 80.0, 0.014, 0.45, 0.73, 0.0, 0.2, 1.0),
    Activity.SPINNING: Sport(Place.GYM, Shape.INTERVALS, 44.0, 0.58, 5.0, 0.008, 0.40, 0.62, 0.0, 0.33, 1.0),
    Activity.ROWING_MACHINE: Sport(Place.GYM, Shape.STEADY, 24.0, 0.55, 18.0, 0.004, 0.3, 0.40, 0.0, 0.3, 1.0),
    Activity.STAIRCLIMBER: Sport(Place.GYM, Shape.STEADY, 22.0, 0.58, 85.0, 0.004, 0.25, 0.60, -0.010, 0.3, 0.9),
    # and what is like it: courts and fields (norm act_ls_Sport)
    Activity.TENNIS: Sport(Place.OUTDOORS, Shape.RALLIES, 80.0, 0.46, 58.0, 0.018, 0.5, 0.40, 0.0, 0.2, 1.8),
    Activity.GOLF: Sport(Place.OUTDOORS, Shape.RALLIES, 190.0, 0.18, 42.0, 0.007, 0.6, 0.12, 0.025, 0.7, 3.5),
    Activity.SKIING: Sport(Place.SNOW, Shape.INTERVALS, 150.0, 0.31, 20.0, 0.001, 0.6, 0.42, -0.01, 0.5, 6.0),
    Activity.KAYAKING: Sport(Place.WATER, Shape.STEADY, 80.0, 0.27, 8.0, 0.001, 0.6, 0.42, 0.0, 0.4, 5.0),
    Activity.MARTIAL_ARTS: Sport(Place.GYM, Shape.RALLIES, 58.0, 0.50, 40.0, 0.005, 0.5, 0.33, -0.02, 0.1, 0.8),
}
"""The twenty classes that a watch logs."""

OF_LABEL: Final = {activity.label: activity for activity in SPORTS}
LOGGED_LABELS: Final = tuple(OF_LABEL)
"""The diary's words for them, LSM-1's eight among the first."""


_LIKED: Final = tuple(activity.label for activity in SPORTS if activity != Activity.WALKING)
_DAYS, _FEMALE, _AGEING = (
    np.array([getattr(SPORTS[OF_LABEL[label]], name) for label in _LIKED]) for name in ("days", "female", "ageing")
)


def liking(sex: float, age_years: float) -> dict[str, float]:
    """How likely each class but walking is to be somebody's sport, by label, summing to 1.

    Args:
        sex: 1 for men, 0 for women, 0.5 where not specified.
        age_years: Age.

    >>> round(sum(liking(0.0, 40.0).values()), 6), liking(0.0, 40.0)["yoga"] > 4 * liking(1.0, 40.0)["yoga"]
    (1.0, True)
    """
    weights = _DAYS * (_FEMALE * (1.0 - sex) + (1.0 - _FEMALE) * sex) * np.exp(_AGEING * (min(age_years, 80.0) - 45.0))
    return dict(zip(_LIKED, (weights / weights.sum()).tolist(), strict=True))
