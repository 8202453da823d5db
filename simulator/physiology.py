"""Latent: the body under the watch; a routine drives heart rate, autonomic tone, skin and motion.

Heart rate is a resting level with a circadian swing, raised by alcohol and fever, plus what posture, sleep stage,
arousal, meals and work ask for, which the heart follows with first-order kinetics: quickly up, more slowly down, the
more slowly the harder the effort and the less fit the person; long efforts drift upwards, and all is overlaid by slow
autonomic wander of minutes to days. Vagal tone falls as heart rate rises, and with it the parts of the beat-to-beat
variability (``heartbeat``). Each number that describes a body carries unit and source on its line; "norm" is a row of
the project's table of norms.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.heartbeat import (
    BREATH_KEPT,
    MAYER_HZ,
    MAYER_SECONDS,
    SLOW_SECONDS,
    WARM_UP_MINUTES,
    Beats,
    Singles,
    Tone,
    beat,
    seen_by_differences,
)
from simulator.kinetics import approach
from simulator.motion import FEATURES, accelerometer, altimeter_spread
from simulator.noise import Floats, Key, add_wander, compiled, time_key, white
from simulator.population import Person
from simulator.routine import Routine, Stage
from simulator.signals import INDEX, MINUTES_PER_DAY, N_SIGNALS, RR_STATISTICS, SIGNALS
from simulator.skin import skin_conductance, skin_temperature
from simulator.variability import rr_statistics

_CIRCADIAN_BPM: Final = 3.2  # bpm, half amplitude free of activity: 4 (Bowman 2021; norm hr_circ_amp)
_CIRCADIAN_PEAK_HOURS: Final = 15.5  # clock time (norm hr_circ_acro)
_RESTING_CLOCK_HOURS: Final = 7.0  # clock time at which ``resting_hr_bpm`` is defined: awake, before rising
_STAGE_BPM: Final = (0.0, -5.6, -7.0, -3.4)  # bpm awake, light, deep, REM, before stirring; REM 3 above deep (norms)
_NIGHT_BPM: Final = -3.0  # bpm over resting, a night's mean with all that stirs in it (norm hr_over_rhr_sleep)
_SEATED_BPM: Final = 3.4  # bpm over lying, beside what stirring adds (Fenland: seated 67, supine 64)
_STANDING_BPM: Final = 1.8  # bpm over seated that standing adds beside its light work and stirring; judgement
_AROUSAL_BPM: Final = 5.0  # bpm per unit of arousal: interview 5, public speaking 18 (norms stress_hr, stress_tsst)
_MEAL_BPM: Final = 7.0  # bpm at the height of a large meal: 6 to 9 (Waaler & Eriksen 1992; Kearney 1995)
_ALCOHOL_BPM: Final = 18.0  # bpm at the peak of a heavy evening: 8.7 over the first 3 h asleep (norm hr_alcohol_high)
_FEVER_BPM: Final = 21.0  # bpm at 39.5 degC: 8.5 a degree over 37 (norm hr_fever)
_DRIFT_SHARE: Final = 0.12  # of reserve per unit of sustained intensity: 3 to 15 bpm in 30 min (Coyle 2001)
_DRIFT_MINUTES: Final = 20.0  # min, time constant of drift and of its slow recovery
_ON_SECONDS: Final = (35.0, 25.0)  # s at rest, added at full intensity: 35 moderate, 55 vigorous (VO2 kinetics)
_OFF_SECONDS: Final = (20.0, 135.0)  # s after light, added after full effort: 55 light (Wang 2006), 100-180 vigorous
_EFFORT_MINUTES: Final = 5.0  # min over which the effort counts that slows recovery; judgement
_FIT_VO2MAX: Final = 33.0  # ml/kg/min, at which _OFF_SECONDS hold; fit people recover faster
_SLOWEST_BPM: Final = 34.0  # bpm, floor of a minute's mean; lowest person mean 39.7 (Quer 2020)
# Wander of a resting heart, by time constant. The quickest is the slow part of the beats (``heartbeat.SLOW_SECONDS``):
# still minutes of Fitbit wearers differ by 2.7 bpm from the next, by 4.8 from the fifth, and hardly more after an hour.
_QUICK_BPM: Final = 2.95  # bpm awake at rest, RMSSD of a night _USUAL_RMSSD_MS
_QUICK_LOG, _QUICK_MINUTES = 0.9, 3.0  # ln, min: unrest comes in bursts; sizes of changes correlate .25 at 1, .08 at 5
_STAGE_QUICK: Final = (1.0, 0.36, 0.25, 0.46)  # factor by stage: sleepers' minutes change by 1.0 bpm, others' by 1.8
_RATE_MINUTES_BPM, _RATE_MINUTES = 4.1, 8.0  # bpm, min: hardly more after an hour than after 10 min (same wearers)
_RATE_HOUR_BPM, _RATE_HOUR_MINUTES = 4.7, 100.0  # bpm, min: within 5 h without steps SD 7.4, r .19 at 30 min (same)
_RATE_HOURS_BPM, _RATE_HOURS_MINUTES = 1.0, 300.0  # bpm, min: mood, what one has drunk; judgement
_DAY_TO_DAY_BPM, _RATE_DAYS_MINUTES = 2.7, 8000.0  # bpm, min: SD of resting rate between days 2.2 (norm rhr_day_sd)
_STAGE_WANDER: Final = (1.0, 0.5, 0.4, 0.7)  # factor by stage of the slower wander; judgement
_STIR_BPM: Final = (1.8, 18.0, 18.0, 18.0)  # bpm by stage, at arm motion 1: stirring arouses a sleeper; judgement

_USUAL_RMSSD_MS: Final = 38.0  # ms, RMSSD of a night at which _QUICK_BPM holds
_QUICK_VAGAL_POWER: Final = 0.7  # of a night's RMSSD that goes into the quick wander: SDNN over RMSSD rises with age
_VAGAL_LOG_PER_BPM: Final = 0.017  # ln(RMSSD) per bpm: a factor 1.25 at 13 bpm (norm rmssd_night_day_ratio 1.15 to 2)
_VAGAL_FLOOR_MS: Final = 4.5  # ms, RMSSD in vigorous exercise: median 6 (exercise HRV literature)
_MOST_RMSSD_MS: Final = 220.0  # ms, ceiling; judgement
_STAGE_VAGAL: Final = (1.0, 1.0, 1.08, 0.88)  # factor by stage: deep over REM; judgement
_AROUSAL_VAGAL_LOG: Final = -0.12  # ln(RMSSD) per unit of arousal: Stroop over rest 0.93 (Stress-Predict)
_ALCOHOL_VAGAL_LOG: Final = -0.24  # ln(RMSSD) at a heavy peak, beside what heart rate does (norm rmssd_alcohol_high)
# Wander of vagal tone, ln(RMSSD) and min: nights differ by 0.21, lag 1 0.24 (norms rmssd_night_cv, rmssd_night_lag1);
# within a window tone forgets in minutes, as LSM-1's do (Table 3a) and the RMSSD of seated E4 wearers.
_VAGAL_DAYS_LOG, _VAGAL_DAYS_MINUTES = 0.19, 1800.0
_VAGAL_HOURS_LOG, _VAGAL_HOURS_MINUTES = 0.15, 120.0
_VAGAL_MINUTES_LOG, _VAGAL_MINUTES = 0.33, 5.0
_MOST_SLOW_MS: Final = 160.0  # ms, ceiling of the slow part; judgement
_WHITE_SHARE: Final = 0.16  # of squared RMSSD that is white; judgement
_STAGE_LOW_OVER_HIGH: Final = (1.9, 1.1, 0.6, 1.9)  # LF/HF by stage: lying 1.5 to 2 [1]; deep sleep least, REM as awake
_LOW_OVER_HIGH_LOG_STANDING: Final = 0.7  # ln(LF/HF) on the feet: twice (tilt studies in [1])
_LOW_OVER_HIGH_LOG_AROUSAL: Final = 0.3  # ln(LF/HF) per unit of arousal: mental load raises it; judgement
_STAGE_BREATHS_HZ: Final = (0.245, 0.235, 0.235, 0.25)  # Hz, 14 to 15 a minute at rest (physiology textbooks)
_BREATHS_EFFORT_HZ: Final = 0.45  # Hz added at full effort: 40 a minute (exercise physiology)
_ECTOPIC_PER_HOUR: Final = 0.15  # median at 45 years: 39 % of healthy people have one in 24 h or more (Kostis 1981)
_ECTOPIC_LOG_SD: Final = 1.9  # ln: 4 % of healthy people have more than 100 in 24 h (Kostis 1981)
_ECTOPIC_LOG_PER_YEAR: Final = 0.035  # ln per year of age: twice as many in 20 years; judgement


_AWAKE: Final = int(Stage.AWAKE)
_RR_ROWS: Final = slice(INDEX[RR_STATISTICS[0]], INDEX[RR_STATISTICS[-1]] + 1)
_MOTION_ROWS: Final = slice(INDEX[FEATURES[0]], INDEX[FEATURES[-1]] + 1)


class _Lane:
    """Noise sequences of the heart under a person's key. Plain numbers: an enum costs Numba 25 us a call."""

    RATE_MINUTES = 100
    RATE_HOUR = 101
    RATE_HOURS = 102
    RATE_DAYS = 103
    VAGAL_MINUTES = 104
    VAGAL_DAYS = 105
    VAGAL_HOUR = 106
    BREATH = 107
    BREATH_FAST = 108
    ECTOPIC = 109
    QUICK = 110


@dataclass(frozen=True, slots=True, eq=False)
class Latent:
    """One person-day of truth, midnight to midnight.

    Attributes:
        truth: float32 [26, 1440], what a perfect watch never taken off would record.
        motion_g: float32 [1440], standard deviation of wrist acceleration, g; what spoils optical sensing.
        beats: The heartbeats behind the RR statistics, from ``heartbeat.WARM_UP_MINUTES`` before midnight on.
    """

    truth: NDArray[np.float32]
    motion_g: NDArray[np.float32]
    beats: Beats


def embody(person: Person, routine: Routine, day: int) -> Latent:
    """What a routine does to a body on one day.

    A pure function; neighbouring days agree at midnight, since all noise is addressed by absolute minute and the
    lead-in replays the evening before.

    Args:
        person: Whose body it is.
        routine: The day with its lead-in.
        day: Days since the dataset's first; addresses the noise.

    Raises:
        ValueError: If the lead-in is shorter than ``heartbeat.WARM_UP_MINUTES``.
    """
    lead_in = routine.lead_in_minutes
    if lead_in < WARM_UP_MINUTES:
        raise ValueError(f"{lead_in=} minutes is below {WARM_UP_MINUTES}: the first window needs beats before midnight")
    key = time_key(person.seed, person.index, "body")
    midnight = day * MINUTES_PER_DAY
    first_minute = midnight - lead_in
    clock_hours = _clock_hours(lead_in)
    rate = heart_rate(person, routine, key, clock_hours, first_minute)
    beats, beaten = beat(autonomic_tone(person, routine, key, rate, first_minute), key, day)
    truth = np.empty((N_SIGNALS, MINUTES_PER_DAY), dtype=np.float32)
    motion_g = accelerometer(routine, key, midnight, truth[_MOTION_ROWS])
    scl, slope = skin_conductance(person, routine, key, clock_hours, first_minute)
    truth[INDEX["heart_rate"]] = beaten
    truth[_RR_ROWS] = rr_statistics(beats)
    truth[INDEX["on_wrist"]] = 1.0
    truth[INDEX["scl"]] = scl
    truth[INDEX["scl_slope"]] = slope
    truth[INDEX["skin_temperature"]] = skin_temperature(person, routine, key, clock_hours, first_minute)[lead_in:]
    truth[INDEX["altimeter_sd"]] = altimeter_spread(routine, key, midnight)
    keep_in_range(truth)
    return Latent(truth=truth, motion_g=motion_g, beats=beats)


@lru_cache(maxsize=4)  # lengths of lead-in there are one or two of
def _clock_hours(lead_in_minutes: int) -> Floats:
    """Clock time of each minute from the lead-in on, hours; shared, so not to be changed."""
    return np.arange(-lead_in_minutes, MINUTES_PER_DAY) % MINUTES_PER_DAY / 60.0


_LOW: Final = np.array([signal.low for signal in SIGNALS], dtype=np.float32)
_HIGH: Final = np.array([signal.high for signal in SIGNALS], dtype=np.float32)


@compiled
def keep_in_range(values: NDArray[np.float32]) -> None:
    """Clip each of the 26 signals to what it may physically be, in place; [26, minutes]."""
    for row in range(values.shape[0]):
        low, high = _LOW[row], _HIGH[row]
        for m in range(values.shape[1]):
            values[row, m] = min(max(values[row, m], low), high)


def heart_rate(person: Person, routine: Routine, key: Key, clock_hours: Floats, first_minute: int) -> Singles:
    """Minute means of heart rate but for what the beats add of their own, bpm, float32 [lead_in + 1440].

    Posture, stirring, arousal, sleep and digestion add to the resting level and fade as exercise takes over; exercise
    adds its share of heart rate reserve (one for one with the share of oxygen uptake reserve: Swain & Leutholtz 1997).
    Alcohol and fever raise the level itself.
    """
    wandering = np.zeros(clock_hours.size, dtype=np.float32)
    add_wander(wandering, _RATE_MINUTES_BPM, key, _Lane.RATE_MINUTES, _RATE_MINUTES, first_minute)
    add_wander(wandering, _RATE_HOUR_BPM, key, _Lane.RATE_HOUR, _RATE_HOUR_MINUTES, first_minute)
    level = np.cos((clock_hours - _CIRCADIAN_PEAK_HOURS).astype(np.float32) * np.float32(np.pi / 12.0))
    level -= np.float32(np.cos((_RESTING_CLOCK_HOURS - _CIRCADIAN_PEAK_HOURS) * np.pi / 12.0))
    level *= np.float32(_CIRCADIAN_BPM)
    add_wander(level, _RATE_HOURS_BPM, key, _Lane.RATE_HOURS, _RATE_HOURS_MINUTES, first_minute)
    add_wander(level, _DAY_TO_DAY_BPM, key, _Lane.RATE_DAYS, _RATE_DAYS_MINUTES, first_minute)
    return _follow(
        routine.stage,
        routine.intensity,
        routine.upright,
        routine.arousal,
        routine.digesting,
        routine.arm_motion,
        routine.alcohol_arousal,
        routine.fever,
        wandering,
        level,
        person.resting_hr_bpm,
        person.max_hr_bpm,
        min(max(math.sqrt(_FIT_VO2MAX / person.vo2max_ml_kg_min), 0.65), 1.6),
    )


@compiled
def _follow(
    stages: NDArray[np.uint8],
    intensities: Singles,
    upright: Singles,
    arousal: Singles,
    digesting: Singles,
    arm_motion: Singles,
    alcohol_arousal: Singles,
    fever: Singles,
    wandering: Singles,
    level: Singles,
    resting_bpm: float,
    max_bpm: float,
    recovery: float,
) -> Singles:
    """What the heart makes of what is asked of it, on top of ``level``; one pass over the minutes."""
    out = np.empty(level.size, dtype=np.float32)
    effort = tired = followed = 0.0
    effort_step, tired_step = 1.0 - np.exp(-1.0 / _EFFORT_MINUTES), 1.0 - np.exp(-1.0 / _DRIFT_MINUTES)
    reserve = max_bpm - resting_bpm
    highest = min(max_bpm + 6.0, 222.0)
    for m in range(level.size):
        stage, intensity = stages[m], float(intensities[m])
        stir = np.sqrt(min(float(arm_motion[m]), 3.0))  # harder work costs less per swing; judgement
        calm = _STAGE_BPM[stage] + _MEAL_BPM * digesting[m] + _STIR_BPM[stage] * stir
        if stage == _AWAKE:
            calm += _SEATED_BPM + _STANDING_BPM * upright[m] + _AROUSAL_BPM * arousal[m]
        asked = (1.0 - intensity) * calm + intensity * reserve
        if m == 0:
            effort = tired = intensity
            followed = asked
        seconds = _ON_SECONDS[0] + _ON_SECONDS[1] * intensity
        if asked < followed:
            seconds = (_OFF_SECONDS[0] + _OFF_SECONDS[1] * effort) * recovery
        effort += effort_step * (intensity - effort)
        tired += tired_step * (intensity - tired)
        mean, followed = approach(followed, asked, seconds / 60.0)
        rate = resting_bpm + level[m] + mean + _DRIFT_SHARE * reserve * tired
        rate += _ALCOHOL_BPM * alcohol_arousal[m] + _FEVER_BPM * fever[m]
        rate += (1.0 - intensity) * _STAGE_WANDER[stage] * wandering[m]
        out[m] = min(max(rate, _SLOWEST_BPM), highest)
    return out


def autonomic_tone(person: Person, routine: Routine, key: Key, rate_bpm: Singles, first_minute: int) -> Tone:
    """Strengths of the parts of beat-to-beat variability, such that a window's RMSSD is what vagal tone allows.

    The share of a part's variance that successive differences see follows from its autocorrelation at one beat:
    2 for white noise, ``seen_by_differences`` for Mayer waves and breathing. White noise takes a fixed share of the
    wanted squared RMSSD, the slow part what it takes; the other two share the rest such that their variances stand in
    the ratio of low to high frequency power that posture, stage and arousal ask for [1].

    [1] Task Force of ESC and NASPE, "Heart rate variability", Circulation 93:1043-1065, 1996.
    """
    cut = slice(routine.lead_in_minutes - WARM_UP_MINUTES, None)
    start = first_minute + routine.lead_in_minutes - WARM_UP_MINUTES
    n = WARM_UP_MINUTES + MINUTES_PER_DAY
    # Row by row: vagal tone, LF/HF, memory of a Mayer wave, memory of the slow part, unrest; logarithms at first.
    logs = np.zeros((5, n), dtype=np.float32)
    add_wander(logs[0], _VAGAL_DAYS_LOG, key, _Lane.VAGAL_DAYS, _VAGAL_DAYS_MINUTES, start)
    add_wander(logs[0], _VAGAL_HOURS_LOG, key, _Lane.VAGAL_HOUR, _VAGAL_HOURS_MINUTES, start)
    add_wander(logs[0], _VAGAL_MINUTES_LOG, key, _Lane.VAGAL_MINUTES, _VAGAL_MINUTES, start)
    add_wander(logs[4], _QUICK_LOG, key, _Lane.QUICK, _QUICK_MINUTES, start)
    breath_hz = np.ones(n, dtype=np.float32)
    add_wander(breath_hz, 0.08, key, _Lane.BREATH, 60.0, start)
    add_wander(breath_hz, 0.05, key, _Lane.BREATH_FAST, 2.0, start)
    rate = rate_bpm[cut]
    stage, intensity = routine.stage[cut], routine.intensity[cut]
    turns = np.empty((2, n), dtype=np.float32)
    asleep_bpm = person.resting_hr_bpm + _NIGHT_BPM
    upright, arousal, drunk = routine.upright[cut], routine.arousal[cut], routine.alcohol_arousal[cut]
    _ask(stage, intensity, upright, arousal, drunk, rate, asleep_bpm, logs, breath_hz, turns)
    # Exponentials and cosines by NumPy in single precision, many at once; then one pass over the minutes.
    sizes, cosines = np.exp(logs, out=logs), np.cos(turns, out=turns)
    quick_bpm = _QUICK_BPM * (person.rmssd_night_ms / _USUAL_RMSSD_MS) ** _QUICK_VAGAL_POWER
    parts = _share(stage, intensity, rate, sizes, cosines, person.rmssd_night_ms, quick_bpm)
    return Tone(np.float32(60_000.0) / rate, breath_hz, *parts, ectopic_per_hour=_ectopic_per_hour(person, key))


@compiled
def _ask(
    stages: NDArray[np.uint8],
    intensity: Singles,
    upright: Singles,
    arousal: Singles,
    drunk: Singles,
    rate: Singles,
    asleep_bpm: float,
    logs: Singles,
    breath_hz: Singles,
    turns: Singles,
) -> None:
    """Fill in the logarithms of ``autonomic_tone``, breaths per second, and how far waves turn in a beat."""
    for m in range(rate.size):
        above = max(rate[m] - asleep_bpm, -12.0)
        logs[0, m] += _AROUSAL_VAGAL_LOG * arousal[m] + _ALCOHOL_VAGAL_LOG * drunk[m] - _VAGAL_LOG_PER_BPM * above
        logs[1, m] = _LOW_OVER_HIGH_LOG_STANDING * upright[m] + _LOW_OVER_HIGH_LOG_AROUSAL * arousal[m]
        seconds = 60.0 / rate[m]
        logs[2, m] = -seconds / MAYER_SECONDS
        logs[3, m] = -seconds / SLOW_SECONDS
        logs[0, m] -= 0.5 * (_VAGAL_HOURS_LOG * _VAGAL_HOURS_LOG + _VAGAL_MINUTES_LOG * _VAGAL_MINUTES_LOG)  # mean
        logs[4, m] -= _QUICK_LOG * _QUICK_LOG  # variance stays as stated
        hertz = (_STAGE_BREATHS_HZ[stages[m]] + _BREATHS_EFFORT_HZ * intensity[m]) * breath_hz[m]
        breath_hz[m] = min(max(hertz, 0.12), 1.0)
        turns[0, m] = 2.0 * np.pi * breath_hz[m] * seconds
        turns[1, m] = 2.0 * np.pi * MAYER_HZ * seconds


@compiled
def _share(
    stages: NDArray[np.uint8],
    intensity: Singles,
    rate: Singles,
    sizes: Singles,
    cosines: Singles,
    rmssd_ms: float,
    quick_bpm: float,
) -> tuple[Singles, Singles, Singles, Singles]:
    """Standard deviations of breathing, Mayer waves, the slow part and white noise, ms, each [minutes]."""
    breath_ms, mayer_ms, slow_ms, white_ms = (
        np.empty_like(rate),
        np.empty_like(rate),
        np.empty_like(rate),
        np.empty_like(rate),
    )
    for m in range(rate.size):
        stage = stages[m]
        tone = rmssd_ms * sizes[0, m] * _STAGE_VAGAL[stage]
        squared = min(tone * tone + _VAGAL_FLOOR_MS * _VAGAL_FLOOR_MS, _MOST_RMSSD_MS * _MOST_RMSSD_MS)
        slow = quick_bpm * _STAGE_QUICK[stage] * sizes[4, m] * (1.0 - intensity[m]) * 60_000.0 / (rate[m] * rate[m])
        slow = min(slow, _MOST_SLOW_MS)
        mayer_seen = seen_by_differences(cosines[1, m], sizes[2, m])
        breath_seen = seen_by_differences(cosines[0, m], BREATH_KEPT)
        low_over_high = _STAGE_LOW_OVER_HIGH[stage] * (sizes[1, m] if stage == _AWAKE else 1.0)
        rest = max(squared * (1.0 - _WHITE_SHARE) - 2.0 * (1.0 - sizes[3, m]) * slow * slow, 0.3 * squared)
        high = rest / (max(breath_seen, 0.35) + low_over_high * mayer_seen)
        breath_ms[m] = np.sqrt(high)
        mayer_ms[m] = np.sqrt(low_over_high * high)
        slow_ms[m] = slow
        white_ms[m] = np.sqrt(0.5 * _WHITE_SHARE * squared)
    return breath_ms, mayer_ms, slow_ms, white_ms


def _ectopic_per_hour(person: Person, key: Key) -> float:
    """How often this person's heart beats early; log-normal between people, more with age."""
    own = white(key, _Lane.ECTOPIC, 0, 1)[0]
    log_rate = np.log(_ECTOPIC_PER_HOUR) + _ECTOPIC_LOG_PER_YEAR * (person.age_years - 45.0) + _ECTOPIC_LOG_SD * own
    return float(min(np.exp(log_rate), 60.0))
