"""Skin: temperature and conductance at the wrist, from heat, sleep, sweat and the sympathetic nerves.

Temperature: the wrist is a distal site; its vessels open before and during sleep (+2 to 2.5 degC [1]), close when
exercise starts, and its surface follows the air. Conductance: a person's log-normal tonic level, raised by warm
air, arousal and the evening, multiplied by exercise sweat that dries over tens of minutes, with storms of activity
in deep sleep [2].

[1] Wei & Boger, JMIR mHealth uHealth 9:e26462, 2021, Table 5.
[2] Sano, Picard & Stickgold, Int. J. Psychophysiology, 2014.
"""

from typing import Final

import numpy as np

from simulator.kinetics import relax
from simulator.noise import Floats, Key, uniform, wander, white
from simulator.population import Person
from simulator.routine import Activity, Routine, Stage

_AWAKE_CELSIUS: Final = 32.1  # degC, seated indoors at 22 degC; between 31.2 (Stress-Predict) and 32.5 [1]
_INDOORS_CELSIUS: Final = 22.0  # degC, where the ambient effects are zero while awake
_IN_BED_CELSIUS: Final = 28.5  # degC, and while asleep: the air between wrist and blanket; judgement
_SLEEP_RISE_CELSIUS: Final = 2.3  # degC, asleep over awake: 2.48 young, 2.04 older [1]
_SLEEP_RISE_PER_YEAR: Final = -0.010  # degC a year of age from 40 on [1]
_REST_RISE_CELSIUS: Final = 0.7  # degC, lying or sitting quietly: half of the rise that precedes sleep (0.6 in 10 min)
_EXERCISE_DROP_CELSIUS: Final = 2.6  # degC per unit of new intensity: -0.8 in 15 min (thermoregulation literature)
_EXERCISE_WARMTH_CELSIUS: Final = 1.2  # degC per unit of sustained intensity: the rebound
_AMBIENT_SLOPE_AWAKE: Final = 0.25  # degC per degC of air, awake (thermal physiology literature)
_AMBIENT_SLOPE_ASLEEP: Final = 0.10  # degC per degC of air, under a blanket; judgement
_WATER_CELSIUS: Final = 1.5  # degC, warm shower; judgement
_CIRCADIAN_CELSIUS: Final = 0.25  # degC, cosine half amplitude apart from sleep; judgement
_CIRCADIAN_PEAK_HOURS: Final = 3.6  # clock time, acrophase 4.1 young and 3.05 older [1]
_TEMPERATURE_MINUTES: Final = 12.0  # min, skin's time constant; 10 to 15 for a strapped sensor, judgement

_HEAT_LOG_PER_CELSIUS: Final = 0.08  # ln(uS) per degC of air (thermal sweating literature)
_EVENING_LOG: Final = 0.18  # ln(uS), cosine half amplitude: 17-20 h over 8-10 h is 1.4 (ambulatory EDA literature)
_EVENING_PEAK_HOURS: Final = 19.0  # clock time of its peak; same source
_AROUSAL_LOG: Final = 0.30  # ln(uS) per unit of arousal; judgement
_SWEAT_LOG: Final = 2.6  # ln(uS) per unit of sustained intensity: factor 5 ten minutes after vigorous exercise
_SWEAT_RISE_MINUTES: Final = 8.0  # min; judgement
_SWEAT_DRY_MINUTES: Final = 25.0  # min; judgement
_MOISTURE_MINUTES: Final = 2.0  # min, skin takes up and gives off water: slope's lag-1 autocorrelation .45 (E4)
_SATURATION_MICROSIEMENS: Final = 45.0  # uS, that no sweating exceeds; palms reach 40 (ambulatory EDA literature)
_STORM_LOG: Final = 1.2  # ln(uS) at a storm's peak in deep sleep; judgement after [2]
_STORMS_PER_MINUTE: Final = 0.02  # in deep sleep, a quarter of it in light sleep; judgement after [2]


class _Lane:
    """Noise sequences of the skin under a person's key. Plain numbers: an enum costs Numba 25 us a call."""

    TEMPERATURE_FAST = 200
    TEMPERATURE_SLOW = 201
    TEMPERATURE_DAY = 202
    CONDUCTANCE_FAST = 203
    CONDUCTANCE_SLOW = 204
    CONDUCTANCE_DAY = 205
    CONDUCTANCE_WHITE = 206
    STORM = 207


def skin_temperature(person: Person, routine: Routine, key: Key, clock_hours: Floats, first_minute: int) -> Floats:
    """Temperature of the skin under the watch, degC, float64 [lead_in + 1440]."""
    n = clock_hours.size
    asleep = routine.stage != Stage.AWAKE
    resting = ~asleep & (routine.activity == Activity.REST)
    rise = _SLEEP_RISE_CELSIUS + _SLEEP_RISE_PER_YEAR * max(person.age_years - 40.0, 0.0)
    slope = np.where(asleep, _AMBIENT_SLOPE_ASLEEP, _AMBIENT_SLOPE_AWAKE)
    intensity = routine.intensity.astype(np.float64)
    sustained = relax(intensity, np.array([20.0]), np.array([20.0]))
    target = (
        _AWAKE_CELSIUS
        + person.skin_temperature_offset_celsius
        + rise * asleep
        + _REST_RISE_CELSIUS * resting * (1.0 - routine.upright)
        + slope * (routine.ambient_celsius - np.where(asleep, _IN_BED_CELSIUS, _INDOORS_CELSIUS))
        + _WATER_CELSIUS * routine.water
        - _EXERCISE_DROP_CELSIUS * np.maximum(intensity - sustained, 0.0)
        + _EXERCISE_WARMTH_CELSIUS * sustained
        - 0.3 * routine.arousal
    )
    followed = relax(target, np.array([_TEMPERATURE_MINUTES]), np.array([_TEMPERATURE_MINUTES]))
    circadian = _CIRCADIAN_CELSIUS * np.cos((clock_hours - _CIRCADIAN_PEAK_HOURS) * (np.pi / 12.0))
    drift = (
        0.26 * wander(key, _Lane.TEMPERATURE_FAST, 10.0, first_minute, n)  # degC: SD of 55 min 0.44, Stress-Predict
        + 0.42 * wander(key, _Lane.TEMPERATURE_SLOW, 60.0, first_minute, n)
        + 0.42 * wander(key, _Lane.TEMPERATURE_DAY, 700.0, first_minute, n)  # degC: night to night SD 0.51, lag 1 0.15
    )
    return np.clip(followed + circadian + drift, 16.0, 40.5)


def skin_conductance(
    person: Person, routine: Routine, key: Key, clock_hours: Floats, first_minute: int
) -> tuple[Floats, Floats]:
    """Tonic level, uS, and its slope, uS/min, of the day; float64 [1440] each.

    The level at the end of each minute is the trailing five-minute median of the log level (LSM-1 section 3.1); a
    minute's value is the centre of the line between two such levels and its slope is their difference.
    """
    n = clock_hours.size
    day = slice(routine.lead_in_minutes, None)
    deep = routine.stage == Stage.DEEP
    odds = _STORMS_PER_MINUTE * (deep + 0.25 * (routine.stage == Stage.LIGHT))
    storm = (uniform(key, _Lane.STORM, first_minute, n) < odds) * (4.0 * _STORM_LOG)
    sweat = relax(
        np.maximum(routine.intensity - 0.25, 0.0) * (_SWEAT_LOG / 0.75),
        np.array([_SWEAT_RISE_MINUTES]),
        np.array([_SWEAT_DRY_MINUTES]),
    )
    log_level = (
        np.log(person.scl_level_microsiemens)
        + _HEAT_LOG_PER_CELSIUS * (routine.ambient_celsius - _INDOORS_CELSIUS)
        + _EVENING_LOG * np.cos((clock_hours - _EVENING_PEAK_HOURS) * (np.pi / 12.0))
        + relax(_AROUSAL_LOG * routine.arousal + storm, np.array([3.0]), np.array([10.0]))
        + sweat
        + 0.40 * wander(key, _Lane.CONDUCTANCE_FAST, 8.0, first_minute, n)  # ln(uS): SD of 55 min 0.42, Stress-Predict
        + 0.52 * wander(key, _Lane.CONDUCTANCE_SLOW, 60.0, first_minute, n)
        + 0.55 * wander(key, _Lane.CONDUCTANCE_DAY, 900.0, first_minute, n)
        + 0.08 * white(key, _Lane.CONDUCTANCE_WHITE, first_minute, n)
    )
    damp = relax(log_level, np.array([_MOISTURE_MINUTES]), np.array([_MOISTURE_MINUTES]))
    unbounded = np.exp(np.maximum(trailing_median(damp), np.log(0.01)))
    level = unbounded / (1.0 + unbounded / _SATURATION_MICROSIEMENS)
    before = level[routine.lead_in_minutes - 1 : -1]
    return 0.5 * (level[day] + before), np.clip(level[day] - before, -9.5, 9.5)


def trailing_median(values: Floats) -> Floats:
    """Median of each value and the four before it; the first four repeat the first value as their past.

    >>> trailing_median(np.array([1.0, 9.0, 2.0, 3.0, 8.0, 4.0])).tolist()
    [1.0, 1.0, 1.0, 2.0, 3.0, 4.0]
    """
    padded = np.concatenate([np.repeat(values[:1], 4), values])
    five = [padded[i : i + values.size] for i in range(5)]
    # The median of five from minima and maxima, six times as fast as sorting: drop the extremes of the first four.
    low = np.maximum(np.minimum(five[0], five[1]), np.minimum(five[2], five[3]))
    high = np.minimum(np.maximum(five[0], five[1]), np.maximum(five[2], five[3]))
    median: Floats = np.maximum(np.minimum(low, high), np.minimum(np.maximum(low, high), five[4]))
    return median
