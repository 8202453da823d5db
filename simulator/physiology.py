"""Latent: the body under the watch; a routine drives heart rate, autonomic tone, skin and motion.

Heart rate is a resting level with a circadian swing, plus what posture, sleep stage, arousal and work ask for,
which the heart follows with first-order kinetics: quickly up, more slowly down, the more slowly the harder the
effort and the less fit the person; long efforts drift upwards, and all is overlaid by slow autonomic wander of
minutes to days. Vagal tone falls as heart rate rises, and with it the parts of the beat-to-beat variability
(``heartbeat``). Each number that describes a body carries unit and source on its line; "norm" is a row of the
project's table of norms.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.heartbeat import BREATH_KEPT, MAYER_SECONDS, WARM_UP_MINUTES, Beats, Tone, beat, rr_statistics
from simulator.kinetics import relax
from simulator.motion import accelerometer, altimeter_spread
from simulator.noise import Floats, Key, time_key, wander, white
from simulator.population import Person
from simulator.routine import Routine, Stage
from simulator.signals import INDEX, MINUTES_PER_DAY, N_SIGNALS, RR_STATISTICS, SIGNALS
from simulator.skin import skin_conductance, skin_temperature

_CIRCADIAN_BPM: Final = 3.6  # bpm, half amplitude free of activity: 4 (Bowman 2021; norm hr_circ_amp)
_CIRCADIAN_PEAK_HOURS: Final = 15.5  # clock time (norm hr_circ_acro)
_RESTING_CLOCK_HOURS: Final = 7.0  # clock time at which ``resting_hr_bpm`` is defined: awake, before rising
_STAGE_BPM: Final = (0.0, -3.0, -4.4, -0.8)  # bpm awake, light, deep, REM: 3-4 below resting, REM 3 above deep (norms)
_SEATED_BPM: Final = 3.5  # bpm over lying (Fenland: seated 67, supine 64)
_STANDING_BPM: Final = 3.5  # bpm over seated; light activity lies 20 over resting (norm hr_over_rhr_light)
_AROUSAL_BPM: Final = 5.0  # bpm per unit of arousal: interview 5, public speaking 18 (norms stress_hr, stress_tsst)
_DRIFT_SHARE: Final = 0.12  # of reserve per unit of sustained intensity: 3 to 15 bpm in 30 min (Coyle 2001)
_DRIFT_MINUTES: Final = 20.0  # min, time constant of drift and of its slow recovery
_ON_SECONDS: Final = (35.0, 25.0)  # s at rest, added at full intensity: 35 moderate, 55 vigorous (VO2 kinetics)
_OFF_SECONDS: Final = (50.0, 95.0)  # s after light, added after full effort: 55 light (Wang 2006), 100-180 vigorous
_FIT_VO2MAX: Final = 33.0  # ml/kg/min, at which _OFF_SECONDS hold; fit people recover faster
_DAY_TO_DAY_BPM: Final = 2.0  # bpm, SD of resting rate between days 2.2 (LifeSnaps)
_SLOWEST_BPM: Final = 34.0  # bpm, floor of a minute's mean; lowest person mean 39.7 (Quer 2020)

_VAGAL_LOG_PER_BPM: Final = 0.030  # ln(RMSSD) per bpm: night over awake sedentary 1.5 at 13 bpm
_VAGAL_FLOOR_MS: Final = 4.5  # ms, RMSSD in vigorous exercise: median 6 (exercise HRV literature)
_STAGE_VAGAL: Final = (1.0, 1.0, 1.08, 0.88)  # factor by stage: deep over REM; judgement
_AROUSAL_VAGAL_LOG: Final = -0.12  # ln(RMSSD) per unit of arousal: Stroop over rest 0.93 (Stress-Predict)
_NIGHT_TO_NIGHT_LOG: Final = 0.19  # ln(RMSSD): CV between nights 0.21, lag 1 0.24 (LifeSnaps)
_WHITE_SHARE: Final = 0.16  # of squared RMSSD that is white; judgement
_MAYER_MS: Final = 46.0  # ms at RMSSD 30: 5-min SDNN 52 awake, 62 asleep (ambulatory literature)
_MAYER_POWER: Final = 0.55  # SDNN falls less than RMSSD does with age and effort; judgement
_BREATHS_HZ: Final = 0.235  # Hz, 14 a minute at rest (physiology textbooks)
_BREATHS_EFFORT_HZ: Final = 0.45  # Hz added at full effort: 40 a minute (exercise physiology)


class _Lane:
    """Noise sequences of the heart under a person's key. Plain numbers: an enum costs Numba 25 us a call."""

    RATE_MINUTES = 100
    RATE_HOUR = 101
    RATE_HOURS = 102
    RATE_DAYS = 103
    VAGAL_MINUTES = 104
    VAGAL_HOURS = 105
    BREATH = 106
    RATE_WHITE = 107
    BREATH_WHITE = 108


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
    np.clip(truth, LOW, HIGH, out=truth)
    return Latent(truth=truth, motion_g=motion_g.astype(np.float32), beats=beats)


LOW: Final = np.array([[signal.low] for signal in SIGNALS], dtype=np.float32)
HIGH: Final = np.array([[signal.high] for signal in SIGNALS], dtype=np.float32)


def heart_rate(person: Person, routine: Routine, key: Key, clock_hours: Floats, first_minute: int) -> Floats:
    """Minute means of heart rate, bpm, float64 [lead_in + 1440].

    Posture, arousal and sleep add to the resting level and fade as exercise takes over; exercise adds its share
    of heart rate reserve (one for one with the share of oxygen uptake reserve: Swain & Leutholtz 1997).
    """
    n = clock_hours.size
    awake = routine.stage == Stage.AWAKE
    intensity = routine.intensity.astype(np.float64)
    reserve = person.max_hr_bpm - person.resting_hr_bpm
    calm = awake * (_SEATED_BPM + _STANDING_BPM * routine.upright + _AROUSAL_BPM * routine.arousal)
    calm = calm + np.array(_STAGE_BPM)[routine.stage]
    effort = relax(intensity, np.array([5.0]), np.array([5.0]))
    tired = relax(intensity, np.array([_DRIFT_MINUTES]), np.array([_DRIFT_MINUTES]))
    recovery = np.clip(np.sqrt(_FIT_VO2MAX / person.vo2max_ml_kg_min), 0.65, 1.6)
    followed = relax(
        (1.0 - intensity) * calm + intensity * reserve,
        (_ON_SECONDS[0] + _ON_SECONDS[1] * intensity) / 60.0,
        (_OFF_SECONDS[0] + _OFF_SECONDS[1] * effort) / 60.0 * recovery,
    )
    drift = _DRIFT_SHARE * reserve * tired
    level = np.cos((np.array([_RESTING_CLOCK_HOURS]) - _CIRCADIAN_PEAK_HOURS) * (np.pi / 12.0))
    circadian = np.cos((clock_hours - _CIRCADIAN_PEAK_HOURS) * (np.pi / 12.0)) - level
    free = (1.0 - intensity) * np.where(awake, 1.0, np.where(routine.stage == Stage.REM, 0.75, 0.5))
    wandering = free * (
        2.8 * wander(key, _Lane.RATE_MINUTES, 4.0, first_minute, n)  # bpm: seated minutes SD 3 to 8.6, lag 1 0.56
        + 2.4 * wander(key, _Lane.RATE_HOUR, 40.0, first_minute, n)  # bpm: autocorrelation .67 at 10 min, .37 at 60 min
        + 0.4 * white(key, _Lane.RATE_WHITE, first_minute, n)
    )
    rate = person.resting_hr_bpm + _CIRCADIAN_BPM * circadian + followed + drift + wandering
    rate += 1.5 * wander(key, _Lane.RATE_HOURS, 300.0, first_minute, n)  # bpm: meals, mood; judgement
    rate += _DAY_TO_DAY_BPM * wander(key, _Lane.RATE_DAYS, 3000.0, first_minute, n)
    return np.clip(rate, _SLOWEST_BPM, min(person.max_hr_bpm + 6.0, 222.0))


def autonomic_tone(person: Person, routine: Routine, key: Key, rate_bpm: Floats, first_minute: int) -> Tone:
    """Strengths of the parts of beat-to-beat variability, such that a window's RMSSD is what vagal tone allows.

    The share of a part's variance that successive differences see follows from its autocorrelation at one beat:
    2 for white noise, 2 (1 - exp(-RR/tau)) for the slow part, 2 (1 - kept cos(breath angle)) for breathing.
    Breathing takes what the other two leave of the wanted RMSSD.
    """
    cut = slice(routine.lead_in_minutes - WARM_UP_MINUTES, None)
    start = first_minute + routine.lead_in_minutes - WARM_UP_MINUTES
    rate, stage = rate_bpm[cut], routine.stage[cut]
    intensity = routine.intensity[cut].astype(np.float64)
    n = rate.size
    wandering = _NIGHT_TO_NIGHT_LOG * wander(key, _Lane.VAGAL_HOURS, 900.0, start, n)
    wandering += 0.16 * wander(key, _Lane.VAGAL_MINUTES, 15.0, start, n)  # ln: minutes of one night; judgement
    asleep_bpm = person.resting_hr_bpm - 3.0
    log_factor = _VAGAL_LOG_PER_BPM * np.maximum(rate - asleep_bpm, -12.0) - _AROUSAL_VAGAL_LOG * routine.arousal[cut]
    tone = person.rmssd_night_ms * np.exp(wandering - log_factor) * np.array(_STAGE_VAGAL)[stage]
    wanted = np.minimum(np.sqrt(tone**2 + _VAGAL_FLOOR_MS**2), 220.0)
    rr_ms = 60_000.0 / rate
    breath = 1.0 + 0.08 * wander(key, _Lane.BREATH, 60.0, start, n) + 0.05 * white(key, _Lane.BREATH_WHITE, start, n)
    breath_hz = np.clip((_BREATHS_HZ + _BREATHS_EFFORT_HZ * intensity) * breath, 0.12, 1.0)
    white_ms = wanted * np.sqrt(0.5 * _WHITE_SHARE)
    mayer_seen = 2.0 * (1.0 - np.exp(-rr_ms * 1e-3 / MAYER_SECONDS))
    mayer_ms = np.minimum(_MAYER_MS * (wanted / 30.0) ** _MAYER_POWER, wanted * np.sqrt(0.5 / mayer_seen))
    breath_seen = np.maximum(2.0 * (1.0 - BREATH_KEPT * np.cos(2.0 * np.pi * breath_hz * rr_ms * 1e-3)), 0.35)
    left = wanted**2 * (1.0 - _WHITE_SHARE) - mayer_seen * mayer_ms**2
    return Tone(rr_ms, breath_hz, np.sqrt(left / breath_seen), mayer_ms, white_ms)
