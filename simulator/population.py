"""Person: a body, its conditions and its habits; Population: how such people are distributed.

Marginals follow Table 2(a) of LSM-1 (arXiv:2410.13638); each further number carries its source on its line.
"""

from dataclasses import dataclass


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
    works: bool  # has a weekday job
    work_start_hours: float  # clock time
    activity_level: float  # log-normal factor on walking, 1 is average
    exercise_per_week: float  # expected deliberate bouts
    favourite_activity: str  # the label of most of them
    worn_nights: float  # probability of wearing the watch in a night
    off_wrist_per_day: float  # expected times it is taken off, charging aside
    charging_habit: str  # "evening", "morning", "overnight" or "desk"
