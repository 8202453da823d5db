"""Latent: the body under the watch; a routine drives heart rate, autonomic tone, skin and motion.

Heart rate is a resting level with a circadian swing, raised by alcohol and fever, plus what posture, sleep stage,
arousal, meals and work ask for, which the heart follows with first-order kinetics: quickly up, more slowly down, the
more slowly the harder the effort and the less fit the person; long efforts drift upwards, and all is overlaid by slow
autonomic wander of minutes to days. Vagal tone falls as heart rate rises, and with it the parts of the beat-to-beat
variability (``heartbeat``). Each number that describes a body carries unit and source on its line; "norm" is a row of
the project's table of norms.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.heartbeat import (
    BREATH_KEPT,
    MAYER_HZ,
    MAYER_SECONDS,
    WARM_UP_MINUTES,
    Beats,
    Tone,
    beat,
    rr_statistics,
    seen_by_differences,
)
from simulator.kinetics import approach
from simulator.motion import accelerometer, altimeter_spread
from simulator.noise import Floats, Key, compiled, time_key, wander, white
from simulator.population import Person
from simulator.routine import Routine, Stage
from simulator.signals import INDEX, MINUTES_PER_DAY, N_SIGNALS, RR_STATISTICS, SIGNALS
from simulator.skin import skin_conductance, skin_temperature

_CIRCADIAN_BPM: Final = 3.2  # bpm, half amplitude free of activity: 4 (Bowman 2021; norm hr_circ_amp)
_CIRCADIAN_PEAK_HOURS: Final = 15.5  # clock time (norm hr_circ_acro)
_RESTING_CLOCK_HOURS: Final = 7.0  # clock time at which ``resting_hr_bpm`` is defined: awake, before rising
_STAGE_BPM: Final = (0.0, -5.0, -6.4, -2.8)  # bpm awake, light, deep, REM, before stirring; REM 3 above deep (norms)
_NIGHT_BPM: Final = -3.0  # bpm over resting, a night's mean with all that stirs in it (norm hr_over_rhr_sleep)
_SEATED_BPM: Final = 1.6  # bpm over lying, beside what stirring adds (Fenland: seated 67, supine 64)
_STANDING_BPM: Final = 1.5  # bpm over seated; light activity lies 20 over resting (norm hr_over_rhr_light)
_AROUSAL_BPM: Final = 5.0  # bpm per unit of arousal: interview 5, public speaking 18 (norms stress_hr, stress_tsst)
_MEAL_BPM: Final = 7.0  # bpm at the height of a large meal: 6 to 9 (Waaler & Eriksen 1992; Kearney 1995)
_ALCOHOL_BPM: Final = 11.0  # bpm at the peak of a heavy evening: 8.7 over the first 3 h asleep (norm hr_alcohol_high)
_FEVER_BPM: Final = 21.0  # bpm at 39.5 degC: 8.5 a degree over 37 (norm hr_fever)
_DRIFT_SHARE: Final = 0.12  # of reserve per unit of sustained intensity: 3 to 15 bpm in 30 min (Coyle 2001)
_DRIFT_MINUTES: Final = 20.0  # min, time constant of drift and of its slow recovery
_ON_SECONDS: Final = (35.0, 25.0)  # s at rest, added at full intensity: 35 moderate, 55 vigorous (VO2 kinetics)
_OFF_SECONDS: Final = (50.0, 95.0)  # s after light, added after full effort: 55 light (Wang 2006), 100-180 vigorous
_EFFORT_MINUTES: Final = 5.0  # min over which the effort counts that slows recovery; judgement
_FIT_VO2MAX: Final = 33.0  # ml/kg/min, at which _OFF_SECONDS hold; fit people recover faster
_SLOWEST_BPM: Final = 34.0  # bpm, floor of a minute's mean; lowest person mean 39.7 (Quer 2020)
# Wander of a resting heart, by time constant; with the day's doings it autocorrelates as free-living Fitbit minutes do.
_RATE_QUICK_BPM, _RATE_QUICK_MINUTES = 4.4, 1.5  # bpm, min: still minutes of Fitbit wearers autocorrelate .91, .82, .76
_RATE_MINUTES_BPM, _RATE_MINUTES = 3.6, 8.0  # bpm, min: .58 at 10 min
_RATE_HOUR_BPM, _RATE_HOUR_MINUTES = 2.4, 50.0  # bpm, min: .37 at 30 min; SD of seated minutes 8.6 (norm)
_RATE_HOURS_BPM, _RATE_HOURS_MINUTES = 1.5, 300.0  # bpm, min: mood, what one has drunk; judgement
_DAY_TO_DAY_BPM, _RATE_DAYS_MINUTES = 2.0, 3000.0  # bpm, min: SD of resting rate between days 2.2 (norm rhr_day_sd)
_BURST_LOG, _BURST_MINUTES = 0.6, 30.0  # ln, min: quick wander comes in bursts, its changes are heavy-tailed (Fitbit)
_STAGE_WANDER: Final = (1.0, 0.45, 0.35, 0.7)  # factor by stage: sleepers' minutes change by 1.0 bpm, others' by 2.6
_STAGE_QUICK: Final = (1.0, 0.25, 0.2, 0.4)  # the same of the quick part alone
_STIR_BPM: Final = (3.0, 18.0, 18.0, 18.0)  # bpm by stage, at arm motion 1: stirring arouses a sleeper; judgement

_VAGAL_LOG_PER_BPM: Final = 0.030  # ln(RMSSD) per bpm: night over awake sedentary 1.5 at 13 bpm
_VAGAL_FLOOR_MS: Final = 4.5  # ms, RMSSD in vigorous exercise: median 6 (exercise HRV literature)
_MOST_RMSSD_MS: Final = 220.0  # ms, ceiling; judgement
_STAGE_VAGAL: Final = (1.0, 1.0, 1.08, 0.88)  # factor by stage: deep over REM; judgement
_AROUSAL_VAGAL_LOG: Final = -0.12  # ln(RMSSD) per unit of arousal: Stroop over rest 0.93 (Stress-Predict)
_ALCOHOL_VAGAL_LOG: Final = -0.15  # ln(RMSSD) at a heavy peak, beside what heart rate does (norm rmssd_alcohol_high)
# Wander of vagal tone, ln(RMSSD) and min: nights differ by 0.21, lag 1 0.24 (norms rmssd_night_cv, rmssd_night_lag1);
# within a day tone drifts for hours, as LSM-1's five-hour windows do (Table 3a): sizes by hour and minutes judgement.
_VAGAL_DAYS_LOG, _VAGAL_DAYS_MINUTES = 0.14, 1800.0
_VAGAL_HOURS_LOG, _VAGAL_HOURS_MINUTES = 0.30, 120.0
_VAGAL_MINUTES_LOG, _VAGAL_MINUTES = 0.10, 12.0
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
    RATE_QUICK = 110
    RATE_BURSTS = 111


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
    clock_hours = np.arange(-lead_in, MINUTES_PER_DAY) % MINUTES_PER_DAY / 60.0
    rate = heart_rate(person, routine, key, clock_hours, first_minute)
    beats, beaten = beat(autonomic_tone(person, routine, key, rate, first_minute), key, day)
    features, motion_g = accelerometer(routine, key, midnight)
    scl, slope = skin_conductance(person, routine, key, clock_hours, first_minute)
    truth = np.empty((N_SIGNALS, MINUTES_PER_DAY), dtype=np.float32)
    truth[INDEX["heart_rate"]] = beaten
    truth[INDEX[RR_STATISTICS[0]] : INDEX[RR_STATISTICS[-1]] + 1] = rr_statistics(beats)
    truth[INDEX["on_wrist"]] = 1.0
    for name, values in features.items():
        truth[INDEX[name]] = values
    truth[INDEX["scl"]] = scl
    truth[INDEX["scl_slope"]] = slope
    truth[INDEX["skin_temperature"]] = skin_temperature(person, routine, key, clock_hours, first_minute)[lead_in:]
    truth[INDEX["altimeter_sd"]] = altimeter_spread(routine, key, midnight)
    keep_in_range(truth)
    return Latent(truth=truth, motion_g=motion_g.astype(np.float32), beats=beats)


_LOW: Final = np.array([signal.low for signal in SIGNALS], dtype=np.float32)
_HIGH: Final = np.array([signal.high for signal in SIGNALS], dtype=np.float32)


@compiled
def keep_in_range(values: NDArray[np.float32]) -> None:
    """Clip each of the 26 signals to what it may physically be, in place; [26, minutes]."""
    for row in range(values.shape[0]):
        low, high = _LOW[row], _HIGH[row]
        for m in range(values.shape[1]):
            values[row, m] = min(max(values[row, m], low), high)


def heart_rate(person: Person, routine: Routine, key: Key, clock_hours: Floats, first_minute: int) -> Floats:
    """Minute means of heart rate, bpm, float64 [lead_in + 1440].

    Posture, stirring, arousal, sleep and digestion add to the resting level and fade as exercise takes over; exercise
    adds its share of heart rate reserve (one for one with the share of oxygen uptake reserve: Swain & Leutholtz 1997).
    Alcohol and fever raise the level itself.
    """
    n = clock_hours.size
    quick = _RATE_QUICK_BPM * wander(key, _Lane.RATE_QUICK, _RATE_QUICK_MINUTES, first_minute, n)
    bursts = wander(key, _Lane.RATE_BURSTS, _BURST_MINUTES, first_minute, n).astype(np.float32)
    quick *= np.exp(np.float32(_BURST_LOG) * bursts - np.float32(_BURST_LOG**2))  # variance stays as stated
    wandering = _RATE_MINUTES_BPM * wander(key, _Lane.RATE_MINUTES, _RATE_MINUTES, first_minute, n)
    wandering += _RATE_HOUR_BPM * wander(key, _Lane.RATE_HOUR, _RATE_HOUR_MINUTES, first_minute, n)
    level = _RATE_HOURS_BPM * wander(key, _Lane.RATE_HOURS, _RATE_HOURS_MINUTES, first_minute, n)
    level += _DAY_TO_DAY_BPM * wander(key, _Lane.RATE_DAYS, _RATE_DAYS_MINUTES, first_minute, n)
    angle = (clock_hours - _CIRCADIAN_PEAK_HOURS).astype(np.float32) * np.float32(np.pi / 12.0)
    level += _CIRCADIAN_BPM * np.cos(angle)
    level -= _CIRCADIAN_BPM * np.cos((_RESTING_CLOCK_HOURS - _CIRCADIAN_PEAK_HOURS) * np.pi / 12.0)
    level += _ALCOHOL_BPM * routine.alcohol_arousal + _FEVER_BPM * routine.fever
    level += person.resting_hr_bpm
    reserve = person.max_hr_bpm - person.resting_hr_bpm
    recovery = float(np.clip(np.sqrt(_FIT_VO2MAX / person.vo2max_ml_kg_min), 0.65, 1.6))
    stir = np.sqrt(np.minimum(routine.arm_motion, np.float32(3.0)))  # harder work costs less per swing; judgement
    rate = _follow(
        routine.stage,
        routine.intensity,
        routine.upright,
        routine.arousal,
        routine.digesting,
        stir,
        quick,
        wandering,
        level,
        reserve,
        recovery,
    )
    return np.clip(rate, _SLOWEST_BPM, min(person.max_hr_bpm + 6.0, 222.0), out=rate)


@compiled
def _follow(
    stages: NDArray[np.uint8],
    intensities: NDArray[np.float32],
    upright: NDArray[np.float32],
    arousal: NDArray[np.float32],
    digesting: NDArray[np.float32],
    stir: NDArray[np.float32],
    quick: Floats,
    wandering: Floats,
    level: Floats,
    reserve: float,
    recovery: float,
) -> Floats:
    """What the heart makes of what is asked of it, added to ``level``; one pass over the minutes."""
    out = np.empty(level.size)
    effort = tired = followed = 0.0
    effort_step, tired_step = 1.0 - np.exp(-1.0 / _EFFORT_MINUTES), 1.0 - np.exp(-1.0 / _DRIFT_MINUTES)
    for m in range(level.size):
        stage, intensity = stages[m], float(intensities[m])
        calm = float(_STAGE_BPM[stage] + _MEAL_BPM * digesting[m] + _STIR_BPM[stage] * stir[m])
        if stage == _AWAKE:
            calm += float(_SEATED_BPM + _STANDING_BPM * upright[m] + _AROUSAL_BPM * arousal[m])
        asked = (1.0 - intensity) * calm + intensity * reserve
        if m == 0:
            effort = tired = intensity
            followed = asked
        seconds = _ON_SECONDS[0] + _ON_SECONDS[1] * intensity
        if asked < followed:
            seconds = (_OFF_SECONDS[0] + _OFF_SECONDS[1] * effort) * recovery
        effort += float(effort_step * (intensity - effort))
        tired += float(tired_step * (intensity - tired))
        mean, followed = approach(followed, asked, seconds / 60.0)
        free = _STAGE_WANDER[stage] * wandering[m] + _STAGE_QUICK[stage] * quick[m]
        out[m] = level[m] + mean + _DRIFT_SHARE * reserve * tired + (1.0 - intensity) * free
    return out


def autonomic_tone(person: Person, routine: Routine, key: Key, rate_bpm: Floats, first_minute: int) -> Tone:
    """Strengths of the parts of beat-to-beat variability, such that a window's RMSSD is what vagal tone allows.

    The share of a part's variance that successive differences see follows from its autocorrelation at one beat:
    2 for white noise, ``seen_by_differences`` for Mayer waves and breathing. White noise takes a fixed share of the
    wanted squared RMSSD; the other two share the rest such that their variances stand in the ratio of low to high
    frequency power that posture, stage and arousal ask for [1].

    [1] Task Force of ESC and NASPE, "Heart rate variability", Circulation 93:1043-1065, 1996.
    """
    cut = slice(routine.lead_in_minutes - WARM_UP_MINUTES, None)
    start = first_minute + routine.lead_in_minutes - WARM_UP_MINUTES
    n = WARM_UP_MINUTES + MINUTES_PER_DAY
    wandering = _VAGAL_DAYS_LOG * wander(key, _Lane.VAGAL_DAYS, _VAGAL_DAYS_MINUTES, start, n)
    wandering += _VAGAL_HOURS_LOG * wander(key, _Lane.VAGAL_HOUR, _VAGAL_HOURS_MINUTES, start, n)
    wandering += _VAGAL_MINUTES_LOG * wander(key, _Lane.VAGAL_MINUTES, _VAGAL_MINUTES, start, n)
    wandering -= 0.25 * _VAGAL_HOURS_LOG**2  # half of it averages out within a night, whose mean stays so
    breath = 1.0 + 0.08 * wander(key, _Lane.BREATH, 60.0, start, n)
    breath += 0.05 * wander(key, _Lane.BREATH_FAST, 2.0, start, n)
    rate = rate_bpm[cut].astype(np.float32)
    stage, intensity, upright = routine.stage[cut], routine.intensity[cut], routine.upright[cut]
    arousal, alcohol = routine.arousal[cut], routine.alcohol[cut]
    # Functions by NumPy in single precision, where many are computed at once; then one pass over the minutes.
    asleep_bpm = np.float32(person.resting_hr_bpm + _NIGHT_BPM)
    log_factor = np.float32(_VAGAL_LOG_PER_BPM) * np.maximum(rate - asleep_bpm, np.float32(-12.0))
    log_factor -= np.float32(_AROUSAL_VAGAL_LOG) * arousal + np.float32(_ALCOHOL_VAGAL_LOG) * alcohol
    tone_ms = np.float32(person.rmssd_night_ms) * np.exp(wandering.astype(np.float32) - log_factor)
    stand = np.float32(_LOW_OVER_HIGH_LOG_STANDING) * upright + np.float32(_LOW_OVER_HIGH_LOG_AROUSAL) * arousal
    beat_seconds = np.float32(60.0) / rate
    resting_hz = np.array(_STAGE_BREATHS_HZ, dtype=np.float32)[stage]
    breath_hz = (resting_hz + np.float32(_BREATHS_EFFORT_HZ) * intensity) * breath.astype(np.float32)
    breath_hz = np.clip(breath_hz, np.float32(0.12), np.float32(1.0))
    breath_turn = np.float32(2.0 * np.pi) * breath_hz * beat_seconds
    mayer_turn = np.float32(2.0 * np.pi * MAYER_HZ) * beat_seconds
    breath_ms, mayer_ms, white_ms = _share(
        stage,
        tone_ms,
        np.exp(stand),
        np.cos(breath_turn),
        np.sin(breath_turn),
        np.cos(mayer_turn),
        np.sin(mayer_turn),
        np.exp(beat_seconds * np.float32(-1.0 / MAYER_SECONDS)),
    )
    rr_ms = 60_000.0 / rate_bpm[cut]
    return Tone(rr_ms, breath_hz.astype(np.float64), breath_ms, mayer_ms, white_ms, _ectopic_per_hour(person, key))


@compiled
def _share(
    stages: NDArray[np.uint8],
    tone_ms: NDArray[np.float32],
    standing: NDArray[np.float32],
    breath_cosine: NDArray[np.float32],
    breath_sine: NDArray[np.float32],
    mayer_cosine: NDArray[np.float32],
    mayer_sine: NDArray[np.float32],
    mayer_kept: NDArray[np.float32],
) -> Floats:
    """Standard deviations of breathing, Mayer waves and white noise, ms, float64 [3, minutes]."""
    out = np.empty((3, tone_ms.size))
    for m in range(tone_ms.size):
        stage = stages[m]
        tone = tone_ms[m] * _STAGE_VAGAL[stage]
        squared = min(tone * tone + _VAGAL_FLOOR_MS * _VAGAL_FLOOR_MS, _MOST_RMSSD_MS * _MOST_RMSSD_MS)
        mayer_seen = seen_by_differences(mayer_cosine[m], mayer_sine[m], mayer_kept[m])
        breath_seen = seen_by_differences(breath_cosine[m], breath_sine[m], BREATH_KEPT)
        low_over_high = _STAGE_LOW_OVER_HIGH[stage] * (standing[m] if stage == _AWAKE else 1.0)
        high = squared * (1.0 - _WHITE_SHARE) / (max(breath_seen, 0.35) + low_over_high * mayer_seen)
        out[0, m] = np.sqrt(high)
        out[1, m] = np.sqrt(low_over_high * high)
        out[2, m] = np.sqrt(0.5 * _WHITE_SHARE * squared)
    return out


def _ectopic_per_hour(person: Person, key: Key) -> float:
    """How often this person's heart beats early; log-normal between people, more with age."""
    own = white(key, _Lane.ECTOPIC, 0, 1)[0]
    log_rate = np.log(_ECTOPIC_PER_HOUR) + _ECTOPIC_LOG_PER_YEAR * (person.age_years - 45.0) + _ECTOPIC_LOG_SD * own
    return float(min(np.exp(log_rate), 60.0))
