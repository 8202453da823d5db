"""Conductance: skin at sensor rate, single sweat bursts and all, and LSM-1's minute values computed on it.

The fast path (``simulator.skin``) solves a minute at a time and knows no bursts. Here the same causes are integrated
in small steps, 4 Hz for conductance and 1 Hz for temperature, and on the tonic level lie the bursts that the
sympathetic nerve sends: each a biexponential (Bateman) response [1], sparse when calm, dense under arousal and in the
storms of deep sleep, where a student's wrist shows some 74 of them a night, four fifths in non-REM sleep [2].

The minute values are what LSM-1 [3] computes on a device: a five-minute median as low-pass, then a line through each
minute of it; temperature is read every ten seconds. Tests hold the fast values to these.

[1] Alexander et al., J. Neurosci. Methods 146:116, 2005. [2] Taylor, Sano & Picard 2016; Sano, Picard & Stickgold,
Int. J. Psychophysiology, 2014. [3] Narayanswamy, Liu et al., arXiv:2410.13638, section 3.1 and Table 18.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.noise import Floats, Key, bits, compiled, lane_key, normal_at, time_key, unit
from simulator.population import Person
from simulator.routine import Routine, Stage
from simulator.signals import MINUTES_PER_DAY
from simulator.skin import (
    HEAT_FALL_MINUTES,
    HEAT_RISE_MINUTES,
    NERVE_MINUTES,
    SEATED_FLOW,
    SKIN_MINUTES,
    STIR_FALL_MINUTES,
    STIR_RISE_MINUTES,
    Balance,
    Drive,
    heat_balance,
    level_of,
    sweat_drive,
)

SAMPLES_PER_MINUTE: Final = 240  # 4 Hz, Empatica E4; LSM-1's 25 Hz sees no more of bursts that last seconds
MEDIAN_MINUTES: Final = 5  # min, width of the tonic low-pass [3]
READING_SECONDS: Final = 10  # s between readings of temperature [3]
_RISE_SECONDS: Final = 0.75  # s, Bateman's fast time constant [1]
_RECOVERY_SECONDS: Final = 2.0  # s, Bateman's slow time constant [1]
_CALM_BURSTS: Final = 0.8  # a minute, awake and calm; the wrist shows fewer than the palm's 1 to 3: judgement
_SLEEP_BURSTS: Final = 0.03  # a minute asleep outside storms; judgement
_STIRRED_BURSTS: Final = 1.6  # a minute per ln(uS) of moisture stirred up: 74 a night (norm scl_sleep_peaks)
_WARM_BURSTS: Final = 0.05  # a minute per degC of warmth above neutral; judgement
_BURST_SHARE: Final = 0.06  # of the tonic level, median height of a burst; judgement
_BURST_LOG_SD: Final = 0.7  # ln, SD of their heights; judgement
_BURST_LANE, _HEIGHT_LANE = 208, 209  # noise sequences under a person's key, beside those of ``simulator.skin``


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawSkin:
    """A stretch of one day at sensor rate, with ``MEDIAN_MINUTES`` before it for the median to start from.

    Attributes:
        first_minute: Where the stretch begins, minutes from midnight; the arrays begin ``MEDIAN_MINUTES`` earlier.
        minutes: Its length.
        conductance_microsiemens: float64 [(MEDIAN_MINUTES + minutes) * 240], at 4 Hz.
        tonic_microsiemens: The same without bursts.
        burst_minutes: Onset of each burst, minutes from midnight, float64.
        temperature_celsius: float64 [(MEDIAN_MINUTES + minutes) * 60], under the watch, at 1 Hz.
    """

    first_minute: int
    minutes: int
    conductance_microsiemens: Floats
    tonic_microsiemens: Floats
    burst_minutes: Floats
    temperature_celsius: Floats


def raw_skin(person: Person, routine: Routine, day: int, first_minute: int, minutes: int) -> RawSkin:
    """Skin of a stretch of day ``day`` at sensor rate.

    Bursts are addressed by absolute time, so stretches that overlap agree where they do.

    Args:
        person: Whose skin.
        routine: Day ``day`` of that person's life.
        day: Days since the cohort's start.
        first_minute: Of the stretch, from midnight.
        minutes: Its length.

    Raises:
        ValueError: If the stretch is empty or leaves the day.
    """
    if not (first_minute >= 0 and 1 <= minutes <= MINUTES_PER_DAY - first_minute):
        raise ValueError(f"{first_minute=} and {minutes=} are not a stretch of minutes 0 to {MINUTES_PER_DAY}")
    key = time_key(person.seed, person.index, "body")
    lead_in = routine.lead_in_minutes
    clock_hours = np.arange(-lead_in, MINUTES_PER_DAY) % MINUTES_PER_DAY / 60.0
    start = day * MINUTES_PER_DAY - lead_in
    drive = sweat_drive(person, routine, key, clock_hours, start)
    tonic, total, burst = _sweat(drive, routine.stage != Stage.AWAKE, key, start)
    celsius = _warm(heat_balance(person, routine, key, clock_hours, start))
    begin, end = first_minute + lead_in - MEDIAN_MINUTES, first_minute + lead_in + minutes
    samples = slice(begin * SAMPLES_PER_MINUTE, end * SAMPLES_PER_MINUTE)
    return RawSkin(
        first_minute=first_minute,
        minutes=minutes,
        conductance_microsiemens=total[samples],
        tonic_microsiemens=tonic[samples],
        burst_minutes=np.flatnonzero(burst[samples]) / SAMPLES_PER_MINUTE + (first_minute - MEDIAN_MINUTES),
        temperature_celsius=celsius[begin * 60 : end * 60],
    )


def conductance_minutes(raw: RawSkin) -> tuple[Floats, Floats]:
    """LSM-1's skin conductance value, uS, and slope, uS/min, by minute: a line fitted to the five-minute median.

    Returns:
        float64 [minutes] each.
    """
    width = MEDIAN_MINUTES * SAMPLES_PER_MINUTE
    median = pd.Series(raw.conductance_microsiemens).rolling(width).median().to_numpy()[width:]
    return fitted_lines(median.reshape(raw.minutes, SAMPLES_PER_MINUTE))


def temperature_minutes(raw: RawSkin) -> Floats:
    """LSM-1's skin temperature value by minute, degC: the centre of the line through six readings; [minutes]."""
    readings = raw.temperature_celsius[MEDIAN_MINUTES * 60 + READING_SECONDS // 2 :: READING_SECONDS]
    return fitted_lines(readings.reshape(raw.minutes, 60 // READING_SECONDS))[0]


def fitted_lines(samples: Floats) -> tuple[Floats, Floats]:
    """Centre and slope per minute of the least-squares line through each row of evenly spaced samples of a minute.

    >>> centre, slope = fitted_lines(np.array([[1.0, 2.0, 3.0, 4.0]]))
    >>> float(centre[0]), float(slope[0])
    (2.5, 4.0)
    """
    n = samples.shape[1]
    time = (np.arange(n) + 0.5) / n - 0.5  # minutes from the centre
    slope: Floats = samples @ time / (time @ time)
    return samples.mean(axis=1), slope


@compiled
def _sweat(
    drive: Drive, asleep: NDArray[np.bool_], key: Key, first_minute: int
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Tonic level and conductance, uS, at 4 Hz, and where bursts begin, by small steps from the lead-in on."""
    steady, nerve, stirred, warmth = drive
    n = steady.size * SAMPLES_PER_MINUTE
    tonic, total, burst = np.empty(n), np.empty(n), np.zeros(n, dtype=np.bool_)
    arrivals, heights = lane_key(key, _BURST_LANE), lane_key(key, _HEIGHT_LANE)
    minute = 1.0 / SAMPLES_PER_MINUTE
    second = 60.0 * minute
    kept_fast, kept_slow = np.exp(-second / _RISE_SECONDS), np.exp(-second / _RECOVERY_SECONDS)
    spread = _RISE_SECONDS * np.log(_RECOVERY_SECONDS / _RISE_SECONDS) / (_RECOVERY_SECONDS - _RISE_SECONDS)
    peak = np.exp(-spread) - np.exp(-spread * _RECOVERY_SECONDS / _RISE_SECONDS)  # of the difference of exponentials
    tone, moist, warm = nerve[0], stirred[0], warmth[0]
    fast = slow = 0.0
    for k in range(n):
        i = k // SAMPLES_PER_MINUTE
        tone += (nerve[i] - tone) * minute / NERVE_MINUTES
        moist += (stirred[i] - moist) * minute / (STIR_FALL_MINUTES if moist > stirred[i] else STIR_RISE_MINUTES)
        warm += (warmth[i] - warm) * minute / (HEAT_FALL_MINUTES if warm > warmth[i] else HEAT_RISE_MINUTES)
        place = (k + 1) * minute - 1.0  # the hours' level moves from the end of one minute to that of the next
        before = min(max(int(np.floor(place)), 0), steady.size - 2)
        hours = steady[before] + (steady[before + 1] - steady[before]) * max(place - before, 0.0)
        tonic[k] = level_of(hours + tone + moist, warm)
        rate = _SLEEP_BURSTS if asleep[i] else _CALM_BURSTS + _WARM_BURSTS * max(warm, 0.0)
        rate += _STIRRED_BURSTS * max(moist, 0.0)
        address = np.uint64(first_minute * SAMPLES_PER_MINUTE + k)
        fast, slow = fast * kept_fast, slow * kept_slow
        if unit(bits(arrivals, address)) < rate * minute:
            burst[k] = True
            height = _BURST_SHARE * np.exp(_BURST_LOG_SD * normal_at(heights, address)) * tonic[k] / peak
            fast, slow = fast + height, slow + height
        total[k] = tonic[k] + slow - fast
    return tonic, total, burst


@compiled
def _warm(balance: Balance) -> Floats:
    """Temperature under the watch, degC, at 1 Hz: heat in from blood, heat out to what is around, second by second."""
    blood, air, flow, cooling, strap = balance
    out = np.empty(flow.size * 60)
    state = (flow[0] * blood[0] + cooling[0] * air[0]) / (flow[0] + cooling[0])
    capacity = SKIN_MINUTES * 60.0 * (1.0 + SEATED_FLOW)
    for k in range(out.size):
        i = k // 60
        state += (flow[i] * (blood[i] - state) + cooling[i] * (air[i] - state)) / capacity
        out[k] = state + strap[i]
    return out
