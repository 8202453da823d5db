"""Person: a body, its conditions and its habits; Population: how such people are distributed.

Marginals of age, sex and BMI follow Table 2(a) of LSM-1 [1]; correlations between body, fitness, habits and conditions
follow published regressions (``simulator.traits``). ``Population.person`` is addressable: person ``index`` is drawn
from streams named by ``(seed, index)`` alone. A population is a value: ``dataclasses.replace`` makes people older,
fitter or nocturnal, ``to_json`` and ``from_json`` keep it.

[1] Narayanswamy, Liu et al., "Scaling Wearable Foundation Models", ICLR 2025, arXiv:2410.13638.
"""

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Final

from simulator.noise import time_key
from simulator.randomness import stream
from simulator.recording import DataError
from simulator.tilting import CANDIDATES, check_tilt, chosen
from simulator.traits import (
    Trait,
    age_bounds,
    draw_body,
    draw_conditions,
    draw_habits,
    draw_heart,
    draw_manners,
    draw_wear,
    drawn,
    pick,
)
from simulator.vendors import VENDORS, Vendor

SEX_SHARES: Final = {"female": 0.671, "male": 0.326, "not_specified": 0.003}  # LSM-1 Table 2(a)
AGE_SHARES: Final = {"18-39": 0.337, "40-59": 0.458, "60-79": 0.196, "80-94": 0.009}  # LSM-1 Table 2(a); 94: judgement
SKIN_TONE_SHARES: Final = {  # of Fitzpatrick types; US: I and II 35 %, III 48 % (StatPearls NBK557626); rest: judgement
    "I": 0.08,
    "II": 0.27,
    "III": 0.48,
    "IV": 0.09,
    "V": 0.05,
    "VI": 0.03,
}
SUMMER_TIME: Final = ("none", "us", "eu")
"""By whose rule clocks are put forward in spring; see ``simulator.clock``."""
_BOUNDS: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "bmi_median_kg_m2": (12.0, 60.0),
        "bmi_log_sd": (0.0, 0.6),
        "age_shift_years": (-80.0, 80.0),
        "bmi_factor": (0.4, 2.5),
        "activity_factor": (0.05, 10.0),
        "exercise_factor": (0.0, 10.0),
        "fitness_shift_ml_kg_min": (-30.0, 40.0),
        "mid_sleep_shift_hours": (-12.0, 12.0),
        "worn_nights_factor": (1e-3, 1e3),
        "off_wrist_factor": (0.0, 20.0),
        "attachment_shift": (-5.0, 5.0),
        "most_missing": (0.0, 1.0),
        "resting_hr_shift_bpm": (-40.0, 40.0),
        "rmssd_factor": (0.1, 10.0),
        "sleep_need_shift_minutes": (-240.0, 240.0),
    }
)
"""What every number of a ``Population`` may be; beyond, it is a slip of the keyboard."""
WORK: Final = ("none", "office", "feet", "shift", "night", "student")
"""What people do for a living: shops and wards (feet), rotating shifts, permanent nights, classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Everything about one person that stays the same from day to day.

    A person is drawn from streams named by ``(seed, index)`` alone, so nobody else's existence matters.
    """

    seed: int
    index: int
    # body
    age_years: float
    sex: str  # "female", "male" or "not_specified"
    height_cm: float
    bmi_kg_m2: float
    vo2max_ml_kg_min: float  # fitness
    resting_hr_bpm: float  # lying awake before rising, as vendors report it
    max_hr_bpm: float
    rmssd_night_ms: float  # vagal tone: mean RMSSD over a night's five-minute windows
    scl_level_microsiemens: float  # median tonic level, awake, seated, indoors
    skin_temperature_offset_celsius: float  # against the average wrist
    # conditions, self-reported
    hypertension: bool
    anxiety: bool
    # habits
    mid_sleep_free_days_hours: float  # chronotype: clock time of mid-sleep on free days
    sleep_need_minutes: float
    works: bool  # has a job or classes
    work_start_hours: float  # clock time
    activity_level: float  # log-normal factor on walking, 1 is average
    exercise_per_week: float  # expected deliberate bouts
    favourite_activity: str  # the label of most of them, walks apart
    worn_nights: float  # probability of wearing the watch in a night
    off_wrist_per_day: float  # expected times it is taken off, charging aside
    charging_habit: str  # "evening", "morning", "overnight" or "desk"
    # finer habits, with what most people do as defaults
    work: str = "office"  # one of ``WORK``
    roster_phase: float = 0.0  # where in the roster of shifts, or of days off, day 0 stands, in [0, 1)
    meal_shift_minutes: float = 0.0  # how much later than most people one eats
    drinks_per_week: float = 1.0  # expected evenings with alcohol
    ill_per_year: float = 2.0  # expected illnesses
    temper: float = 0.0  # standard normal: high is cheerful
    usual_mood: str = "calm"  # the one that is mostly told
    diligence: float = 0.0  # in logging exercise, on the log odds
    reactivity: float = 1.0  # factor on what moods do to the body
    trains_early: float = 0.5  # rank among people by how early they exercise; 0 is the earliest
    naps: float = 0.1  # share of days with a nap
    work_on_feet: float = 0.15  # share of working time standing or walking
    commute_by: str = "car"  # "car", "transit", "walk", "bike" or "home"
    commute_minutes: float = 26.0  # one way, door to door
    showers_in_evening: bool = False
    off_in_water: bool = False  # takes the watch off to shower or swim
    off_wrist_minutes: float = 45.0  # median length of taking it off
    unworn_days: float = 0.03  # probability that a day is not worn at all
    forgetful: float = 0.1  # probability that a due charge is forgotten, or the watch left at home in a morning
    always_on_display: bool = False  # leaves the display on where there is one that can be
    loose_fit: float = 0.0  # share of time in which the strap is too loose
    weeks_off_per_year: float = 0.0  # expected times the watch rests for one to four weeks
    phone_away_per_year: float = 0.0  # expected times the link to the phone breaks until somebody looks
    quits_per_year: float = 0.0  # hazard of never wearing the watch again, in usual wear
    wear_and_tear: float = 1.0  # factor on how often a sensor of the watch breaks
    skin_tone: int = 3  # Fitzpatrick type, 1 (always burns) to 6
    journeys_per_year: float = 0.0  # expected journeys to other time zones


@dataclass(frozen=True, kw_only=True)
class Population:
    """How people and their devices are distributed; a value that goes into every record as JSON.

    Two populations with different shifts share no code path but this one, so that a vendor's private people can be
    older, fitter or less patient with their watch than the public ones, by an amount that is written down.

    Attributes:
        name: Key in ``POPULATIONS`` and in records.
        sex_shares: Share of each value of ``Person.sex``.
        age_shares: Share of each age bracket, "first-last" in years.
        bmi_median_kg_m2: Median of the log-normal BMI; with ``bmi_log_sd`` it meets Table 2(a): 34.6 % below 25 and
            33.1 % from 30 kg/m2.
        bmi_log_sd: Standard deviation of its logarithm.
        vendor_shares: Share of each device, by key of ``VENDORS``.
        age_shift_years: Added to everybody's age; the result stays in 18 to 95.
        bmi_factor: On everybody's BMI.
        activity_factor: On everybody's walking.
        exercise_factor: On everybody's deliberate bouts.
        fitness_shift_ml_kg_min: Added to everybody's VO2max.
        mid_sleep_shift_hours: Added to everybody's chronotype.
        worn_nights_factor: On the odds of wearing the watch in a night.
        off_wrist_factor: On how often it is taken off.
        attachment_shift: Added to everybody's attachment to the watch, in standard deviations of it between people: all
            habits of wearing, charging and keeping it follow.
        work_shares: Share of each value of ``Person.work``; empty: by age.
        skin_tone_shares: Share of each Fitzpatrick type, "I" to "VI".
        summer_time: Whose rule clocks follow, one of ``SUMMER_TIME``.
        most_missing: Days that lack a larger share of their cells are left out of what a cohort gives.
        resting_hr_shift_bpm: Added to everybody's resting heart rate, bodies and fitness staying as they are.
        rmssd_factor: On everybody's vagal tone.
        sleep_need_shift_minutes: Added to everybody's need of sleep.
        tilt: How much likelier than here people with some traits are, as in ``simulator.tilting``; empty: not at all.
        source: Where these numbers come from; what a dataset's card says of them.

    Raises:
        ValueError: If shares do not sum to 1, a device or bracket is unknown, or a number lies outside its bounds.
    """

    name: str
    sex_shares: Mapping[str, float] = field(default_factory=lambda: dict(SEX_SHARES))
    age_shares: Mapping[str, float] = field(default_factory=lambda: dict(AGE_SHARES))
    bmi_median_kg_m2: float = 27.3
    bmi_log_sd: float = 0.22
    vendor_shares: Mapping[str, float] = field(default_factory=lambda: {"fitbit-sense-2": 0.6, "pixel-watch-2": 0.4})
    age_shift_years: float = 0.0
    bmi_factor: float = 1.0
    activity_factor: float = 1.0
    exercise_factor: float = 1.0
    fitness_shift_ml_kg_min: float = 0.0
    mid_sleep_shift_hours: float = 0.0
    worn_nights_factor: float = 1.0
    off_wrist_factor: float = 1.0
    attachment_shift: float = 0.0
    work_shares: Mapping[str, float] = field(default_factory=dict)
    skin_tone_shares: Mapping[str, float] = field(default_factory=lambda: dict(SKIN_TONE_SHARES))
    summer_time: str = "us"
    most_missing: float = 1.0
    resting_hr_shift_bpm: float = 0.0
    rmssd_factor: float = 1.0
    sleep_need_shift_minutes: float = 0.0
    tilt: Mapping[str, float] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        for shares in ("sex_shares", "age_shares", "vendor_shares", "work_shares", "skin_tone_shares"):
            values = getattr(self, shares)
            if shares == "work_shares" and not values:
                continue
            if any(not value >= 0 for value in values.values()) or not math.isclose(
                sum(values.values()), 1, abs_tol=0.01
            ):
                raise ValueError(f"Population.{shares}={dict(values)!r} is not a set of shares that sums to 1")
        for device in self.vendor_shares:
            if device not in VENDORS:
                raise ValueError(f"Population.vendor_shares names {device!r}, which is none of {', '.join(VENDORS)}")
        for bracket in self.age_shares:
            age_bounds(bracket)
        if self.summer_time not in SUMMER_TIME:
            raise ValueError(f"Population.summer_time={self.summer_time!r} is none of {', '.join(SUMMER_TIME)}")
        told = ((self.sex_shares, SEX_SHARES), (self.work_shares, WORK), (self.skin_tone_shares, SKIN_TONE_SHARES))
        for names, known in told:
            for name in names:
                if name not in known:
                    raise ValueError(f"Population has shares of {name!r}, which is none of {', '.join(known)}")
        check_tilt(self.tilt)
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"Population.{name}={value!r} is not in [{low:g}, {high:g}]")

    def vendor(self, seed: int, index: int) -> Vendor:
        """The device of person ``index``, by share.

        >>> POPULATIONS["lsm1"].vendor(7, 0).name in {"fitbit-sense-2", "pixel-watch-2"}
        True
        """
        return VENDORS[pick(self.vendor_shares, drawn(time_key(seed, index, "vendor"), Trait.VENDOR)[1][0])]

    def person(self, seed: int, index: int) -> Person:
        """Person ``index`` of the population that ``seed`` names.

        >>> POPULATIONS["lsm1"].person(7, 3) == POPULATIONS["lsm1"].person(7, 3)
        True
        """
        if not self.tilt:
            return self._drawn(seed, index, "person")
        candidates = [self._drawn(seed, index, "person", *([n] if n else [])) for n in range(CANDIDATES)]
        return candidates[chosen(self.tilt, candidates, stream(seed, index, "tilt"))]

    def _drawn(self, seed: int, index: int, *names: str | int) -> Person:
        """Person ``index`` with body, habits and heart from the streams of these names."""
        key = time_key(seed, index, *names)
        body = draw_body(self, drawn(key, Trait.BODY))
        conditions = draw_conditions(body, drawn(key, Trait.CONDITIONS))
        habits = draw_habits(self, body, conditions, drawn(key, Trait.HABITS))
        manners = draw_manners(body, conditions, habits["mid_sleep_free_days_hours"], drawn(key, Trait.MANNERS))
        heart = draw_heart(self, body, conditions, habits, drawn(key, Trait.HEART))
        wear = draw_wear(self, self.vendor(seed, index), stream(seed, index, "wear habits", *names[1:]))
        return Person(
            seed=seed,
            index=index,
            age_years=body.age_years,
            sex=body.sex,
            height_cm=body.height_cm,
            bmi_kg_m2=body.bmi_kg_m2,
            **conditions,
            **habits,
            **manners,
            **heart,
            **wear,
        )

    def to_json(self) -> str:
        """The population as one JSON object; ``from_json`` gives it back."""
        return json.dumps(
            {name: dict(v) if isinstance(v, Mapping) else v for name, v in asdict(self).items()}, indent=1
        )

    @staticmethod
    def from_json(text: str) -> "Population":
        """The population that ``to_json`` wrote, or somebody by hand: what is not said keeps its default.

        Raises:
            DataError: If it is no JSON object, names an unknown field, or says something that is not possible.

        >>> Population.from_json('{"name": "nurses", "work_shares": {"shift": 1.0}}').work_shares
        {'shift': 1.0}
        """
        try:
            told = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"a population is not JSON: {error}") from None
        if not isinstance(told, dict) or not isinstance(told.get("name"), str):
            raise DataError("a population is a JSON object with at least a 'name'")
        if not told["name"].strip() or not told["name"].isprintable():
            raise DataError(f"Population.name={told['name']!r} is empty or has characters that cannot be printed")
        defaults = Population(name="")
        known = {f.name: getattr(defaults, f.name) for f in fields(Population)}
        for name, value in told.items():
            if name not in known:
                raise DataError(f"a population has no field {name!r}; it has {', '.join(known)}")
            _check_kind(name, value, known[name])
        try:
            return Population(**told)
        except ValueError as error:
            raise DataError(str(error)) from None


def _check_kind(name: str, value: object, like: object) -> None:
    """Refuse a field of the wrong JSON type.

    Raises:
        DataError: Saying which was expected.
    """

    def is_number(x: object) -> bool:
        whole = isinstance(x, int) and not isinstance(x, bool) and abs(x) <= sys.maxsize
        return whole or isinstance(x, float)

    if isinstance(like, Mapping):
        if not (isinstance(value, dict) and all(is_number(share) for share in value.values())):
            raise DataError(f"Population.{name}={value!r} is not an object of shares")
    elif isinstance(like, str):
        if not isinstance(value, str):
            raise DataError(f"Population.{name}={value!r} is not a string")
    elif not is_number(value):
        raise DataError(f"Population.{name}={value!r} is not a number")


_FITBIT_AND_PIXEL: Final = {  # what people wore in spring 2024, older models with the nearest of the line-up: bands
    # and plain watches outsell the dear ones, and Pixel Watch 2 and Charge 6 were half a year old; judgement
    "fitbit-sense-2": 0.12,
    "pixel-watch-2": 0.08,
    "pixel-watch-1": 0.07,
    "fitbit-sense-1": 0.07,
    "fitbit-versa-4": 0.20,
    "fitbit-charge-6": 0.08,
    "fitbit-charge-5": 0.19,
    "fitbit-inspire-3": 0.19,
}
_OWNERS: Final = -0.6  # SD by which people who merely own a watch hold less to it than those of a study, whose habits
# ``traits.draw_wear`` has: 63 % of the time worn against 79 % (Fitabase, LifeSnaps); judgement on the size
_EVERY_MAKER: Final = {  # even between makers, so that each has people to learn from
    "fitbit-sense-2": 0.12,
    "fitbit-versa-4": 0.06,
    "fitbit-inspire-3": 0.06,
    "pixel-watch-2": 0.12,
    "pixel-watch-3": 0.04,
    "apple-watch-9": 0.15,
    "garmin-venu-3": 0.15,
    "samsung-galaxy-watch-6": 0.12,
    "oura-ring-3": 0.09,
    "empatica-embraceplus": 0.09,
}

POPULATIONS: Final[Mapping[str, Population]] = MappingProxyType(
    {
        "lsm1": Population(name="lsm1"),
        # LSM-2: days from 2 to 80 % missing
        "lsm2": Population(name="lsm2", vendor_shares=_FITBIT_AND_PIXEL, attachment_shift=_OWNERS, most_missing=0.8),
        "owners": Population(name="owners", vendor_shares=_FITBIT_AND_PIXEL, attachment_shift=_OWNERS),
        "vendors": Population(name="vendors", vendor_shares=_EVERY_MAKER),
        # undergraduates with a Fitbit, as in GLOBEM (Xu et al. 2022): three in five women, few over 25
        "students": Population(
            name="students",
            sex_shares={"female": 0.60, "male": 0.39, "not_specified": 0.01},
            age_shares={"18-19": 0.40, "20-22": 0.48, "23-29": 0.12},
            bmi_median_kg_m2=24.3,
            bmi_log_sd=0.17,
            work_shares={"student": 1.0},
        ),
        # hospitals, plants and depots around the clock
        "night-shift": Population(
            name="night-shift",
            age_shares={"18-39": 0.50, "40-59": 0.45, "60-64": 0.05},
            work_shares={"shift": 0.4, "night": 0.6},
        ),
    }
)
"""Named populations: ``lsm1`` (Sense 2 and Pixel Watch 2), ``lsm2`` (Fitbit and Pixel, less days of little wear),
``owners`` (the same with all days), ``vendors`` (every maker), ``students`` and ``night-shift``."""
