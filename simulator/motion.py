"""Motion: the ten accelerometer features and the altimeter's spread, from what the arm does in a minute.

A minute of wrist acceleration is a sum of three independent parts, each with a variance, a frequency and a share of
the minute in which it acts, from which every feature follows, so that they agree with one another:

- gait: a near-sinusoid at the step rate, while walking;
- arm: broad-band gestures in bursts;
- rest: tremor, pulse and breath, always there.

Variances are those of the magnitude (what log energy and noise see); a part's three-axis energy is larger, since
turning the wrist moves gravity between axes without changing the magnitude much. Features: Rice's formula gives
zero crossings from the variance-weighted mean square frequency, the lag-1 autocorrelation is a weighted cosine, a
mixture of scales gives kurtosis. LSM-1 publishes neither filter corners nor sample rate; 25 Hz and minute-long
windows are taken here, so levels are a convention and relations between features the claim.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.noise import Key, wander, white
from simulator.routine import Activity, Routine, Stage

Singles = NDArray[np.float32]
SAMPLES_PER_MINUTE: Final = 1500.0  # 25 Hz, a convention; log energy sums over them
REST_G: Final = (
    0.0035  # g, magnitude SD of a still wrist: tremor and pulse; seated 5th percentile 5 mg with sensor noise
)
NOISE_HZ: Final = 5.0  # Hz, root mean square frequency of broad-band noise behind the band-pass filter
NOISE_CORRELATION: Final = 0.45  # lag-1 autocorrelation of such noise at 25 Hz behind the filter
_WALK_G: Final = 0.20  # g, magnitude SD of walking at 105 steps/min: 0.15 to 0.25 (ENMO 130 mg)
_WALK_CADENCE: Final = 105.0  # steps/min, at which _WALK_G holds
_RUN_G: Final = 0.85  # g, magnitude SD of running at 160 steps/min (ENMO 650 mg)
_RUN_CADENCE: Final = 160.0  # steps/min, at which _RUN_G holds
_ARM_G: Final = 0.085  # g, magnitude SD per unit of arm motion (typical chores); seated median 0.029
_ARM_HZ: Final = 2.8  # Hz, root mean square frequency of gestures; E4 minutes cross zero every 0.14 to 0.2 s
_ARM_CORRELATION: Final = 0.84  # lag-1 autocorrelation of gestures at 25 Hz
_HECTOPASCAL_PER_METRE: Final = 0.12  # hPa/m (hydrostatic relation)
_AIR_HECTOPASCALS: Final = 0.006  # hPa, spread of still indoor air: 0.015 measured less the sensor's noise
_RANGE_BINS: Final = 16  # Table 18: sleep coefficient
_RANGE_FIRST_G: Final = 0.03  # g, upper edge of the lowest bin; E4 minutes span 0.03 to 11 g
_RANGE_STEP: Final = 0.42  # ln(g) per bin: 16 of them reach 25 g


class _Lane:
    """Noise sequences of motion under a person's key. Plain numbers: an enum costs Numba 25 us a call."""

    GAIT = 300
    ARM_FAST = 301
    ARM_SLOW = 302
    REST = 303
    SHAPE = 304
    SPREAD = 305
    POSTURE_SLOW = 306
    POSTURE_FAST = 307
    AIR = 308
    CROSSING = 309
    TOSS = 310
    TWITCH = 311


_FRESH_LANES: Final = (_Lane.GAIT, _Lane.POSTURE_FAST, _Lane.TOSS)
_MANNER_LANES: Final = (_Lane.ARM_FAST, _Lane.REST, _Lane.SHAPE, _Lane.SPREAD, _Lane.CROSSING, _Lane.TWITCH)
_MANNER_OF_DAYS: Final = 100  # added to a lane: how this person moves and wears the strap these days
_MANNER_OF_MINUTES: Final = 200  # added to a lane: what the hand is doing just now


FEATURES: Final[tuple[str, ...]] = (
    "jerk_ratio",
    "steps",
    "log_energy",
    "covariance_condition",
    "log_energy_ratio",
    "zero_crossing_sd",
    "zero_crossing_mean",
    "arm_tilt",
    "kurtosis",
    "sleep_coefficient",
)
"""The accelerometer's signals in canonical order."""


def accelerometer(routine: Routine, key: Key, first_minute: int) -> tuple[dict[str, Singles], Singles]:
    """The accelerometer's features of the day and what they come from.

    Args:
        routine: The person's day.
        key: The person's, from ``noise.time_key``.
        first_minute: Absolute minute of the day's midnight.

    Returns:
        Each of ``FEATURES`` as float32 [1440], and the SD of the wrist's acceleration magnitude, g, float32 [1440].
    """
    n = routine.stage.size - routine.lead_in_minutes
    day = slice(routine.lead_in_minutes, None)
    asleep = routine.stage[day] != Stage.AWAKE
    # Single precision: NumPy's exponentials and logarithms of it are several times as fast.
    noise = {lane: white(key, lane, first_minute, n).astype(np.float32) for lane in _FRESH_LANES}
    noise |= {lane: _manner(key, lane, first_minute, n) for lane in _MANNER_LANES}
    steps = np.floor(routine.cadence[day] + 0.5)
    pace, walked, gait = _gait(steps, routine.activity[day] == Activity.RUNNING, noise[_Lane.GAIT])
    slow = wander(key, _Lane.ARM_SLOW, 5.0, first_minute, n).astype(np.float32)
    effort = routine.arm_motion[day] * np.exp(0.35 * noise[_Lane.ARM_FAST] + 0.35 * slow - 0.12)
    # A sleeper's rare turns: the toss of the wrist makes a few minutes of an hour move as much as a seated arm does.
    tossed = asleep & (noise[_Lane.TOSS] > 1.9)
    effort = effort + np.where(tossed, 0.25 * np.exp(0.6 * noise[_Lane.SHAPE]), 0.0)
    rest = (REST_G * np.exp(0.22 * noise[_Lane.REST])) ** 2
    twitch = rest * 0.4 * np.exp(0.8 * noise[_Lane.TWITCH])  # g^2: a second of small movement in an else still minute
    arm = np.maximum((_ARM_G * effort) ** 2, twitch)
    moved = np.clip(0.015 + 0.5 * effort, 0.0, 0.9)  # share of the minute in which the arm moves
    features = _features(steps, pace, walked, gait, arm, moved, rest, noise)
    features["arm_tilt"] = _arm_tilt(routine, key, first_minute, steps > 60, noise[_Lane.POSTURE_FAST], n)
    return features, np.sqrt(gait + arm + rest)


def _manner(key: Key, lane: int, first_minute: int, n: int) -> Singles:
    """Noise of unit variance with a part of its own in every minute, one of a few minutes and one of days.

    Seated E4 minutes are nearly independent (lag-1 autocorrelation .2 to .4) about a level that differs by person.
    """
    days = wander(key, lane + _MANNER_OF_DAYS, 4000.0, first_minute, n)
    minutes = wander(key, lane + _MANNER_OF_MINUTES, 4.0, first_minute, n)
    mixed: Singles = (0.55 * white(key, lane, first_minute, n) + 0.5 * minutes + 0.67 * days).astype(np.float32)
    return mixed


def _gait(steps: Singles, running: NDArray[np.bool_], noise: Singles) -> tuple[Singles, Singles, Singles]:
    """Steps per minute while stepping, share of the minute spent so, and the minute's variance from it, g^2.

    Twenty steps in a minute are ten seconds at walking pace, not a minute of very slow walking.
    """
    usual = np.where(
        running, np.float32(150.0), np.float32(95.0)
    )  # steps/min, slowest pace at which the feet keep going; judgement
    pace = np.maximum(steps, usual)
    walked: Singles = (steps / pace).astype(np.float32)
    walking = _WALK_G * (pace / _WALK_CADENCE) ** 1.8
    sway = np.where(running, _RUN_G * (pace / _RUN_CADENCE) ** 1.5, np.minimum(walking, 0.45))
    variance: Singles = walked * (sway * np.exp(0.12 * noise)) ** 2
    return pace, walked, variance


def _features(
    steps: Singles,
    pace: Singles,
    walked: Singles,
    gait: Singles,
    arm: Singles,
    moved: Singles,
    rest: Singles,
    noise: dict[int, Singles],
) -> dict[str, Singles]:
    """Features of a minute from the variances of its parts (g^2), the step rate and the shares of time they act in."""
    total = gait + arm + rest
    gait_hz = pace / 60.0 * 0.85  # Hz: arm swing at half the step rate mixes with the step itself
    square_hz = (gait * gait_hz**2 + arm * _ARM_HZ**2 + rest * NOISE_HZ**2) / total
    crossing = 0.5 / np.sqrt(square_hz) * np.exp(0.05 * noise[_Lane.CROSSING])
    rhythm = gait / total
    correlation = (
        gait * np.cos(2.0 * np.pi * gait_hz / 25.0) + arm * _ARM_CORRELATION + rest * NOISE_CORRELATION
    ) / total
    # Three-axis energy over magnitude energy, and share of the first component, by part.
    three_axis = gait * 2.0 + arm * 5.0 + rest * 3.0
    first_share = (gait * 2.0 * 0.66 + arm * 5.0 * 0.62 + rest * 3.0 * 0.42) / three_axis
    first_share = np.clip(first_share * np.exp(0.10 * noise[_Lane.SPREAD]), 0.36, 0.97)
    third_share = np.clip((1.0 - first_share) * 0.32 * np.exp(0.45 * noise[_Lane.SHAPE]), 0.004, 0.32)
    # Kurtosis of a mixture of scales: each part acts in a share of the minute, alone or over the others.
    fourth = 1.05 * gait**2 / np.maximum(walked, 0.02) + arm**2 / moved + rest**2
    cross = 2.0 * (gait * arm + gait * rest + arm * rest)
    kurtosis = np.maximum(3.0 * (fourth + cross) / total**2, 1.6) * np.exp(0.18 * noise[_Lane.SHAPE])
    peak = 3.2 * np.clip(kurtosis / 3.0, 0.7, 40.0) ** 0.3  # largest deviation over SD in 1,500 samples
    span = 2.0 * peak * np.sqrt(three_axis / 3.0) * 3.0
    burst = 1.15 * (1.0 - rhythm) + 0.32 * rhythm
    return {
        "jerk_ratio": np.log(correlation),
        "steps": steps,
        "log_energy": np.log(SAMPLES_PER_MINUTE * total),
        "covariance_condition": np.log(first_share / third_share),
        "log_energy_ratio": np.log(first_share * three_axis / total),
        "zero_crossing_sd": crossing * burst * np.exp(0.15 * noise[_Lane.SPREAD]),
        "zero_crossing_mean": crossing,
        "kurtosis": np.clip(kurtosis, 1.5, 180.0),
        "sleep_coefficient": np.clip(np.floor(np.log(span / _RANGE_FIRST_G) / _RANGE_STEP), 0.0, _RANGE_BINS - 1.0),
    }


def _arm_tilt(
    routine: Routine, key: Key, first_minute: int, walking: NDArray[np.bool_], fast: Singles, n: int
) -> Singles:
    """Log of the root mean square of gravity's share on X and Z, from the angle between the Y axis and the horizon."""
    day = slice(routine.lead_in_minutes, None)
    slow = wander(key, _Lane.POSTURE_SLOW, 35.0, first_minute, n).astype(np.float32)
    asleep = routine.stage[day] != Stage.AWAKE
    restless = np.clip(routine.arm_motion[day], 0.0, 1.5)
    angle = np.where(asleep, 0.55 * slow, 0.30 * slow + 0.18 * restless * fast)  # rad; judgement, E4 seated -0.06
    angle = np.where(walking, 0.12 + 0.4 * angle, angle)
    across = np.sin(np.clip(angle, -1.5, 1.5))
    tilt: Singles = 0.5 * np.log(1.0 - across**2 + 0.02 * restless**2)
    return tilt


def with_sensor_noise(features: dict[str, Singles], motion_g: Singles, noise_g: float) -> dict[str, Singles]:
    """The features as an accelerometer with white noise of ``noise_g`` (root mean square, g) would report them.

    Noise adds to the variance and pulls each feature towards that of noise; none leaves them as they are.
    """
    share = motion_g**2 / (motion_g**2 + noise_g**2)
    correlation = share * np.exp(features["jerk_ratio"]) + (1.0 - share) * NOISE_CORRELATION
    rate = np.sqrt(share / features["zero_crossing_mean"] ** 2 + (1.0 - share) * (2.0 * NOISE_HZ) ** 2)
    stretch = 1.0 / (rate * features["zero_crossing_mean"])
    return features | {
        "jerk_ratio": np.log(correlation),
        "log_energy": features["log_energy"] - np.log(share),
        "covariance_condition": features["covariance_condition"] * share,
        "zero_crossing_mean": features["zero_crossing_mean"] * stretch,
        "zero_crossing_sd": features["zero_crossing_sd"] * stretch,
        "kurtosis": 3.0 + (features["kurtosis"] - 3.0) * share**2,
    }


def altimeter_spread(routine: Routine, key: Key, first_minute: int) -> Singles:
    """Standard deviation of air pressure within each minute of the day, hPa, float32 [1440].

    A steady climb is a ramp, whose SD is its range over the square root of 12.
    """
    day = slice(routine.lead_in_minutes, None)
    ramp = _HECTOPASCAL_PER_METRE * routine.climb[day].astype(np.float64) / np.sqrt(12.0)
    air = _AIR_HECTOPASCALS * np.exp(0.4 * white(key, _Lane.AIR, first_minute, ramp.size))
    walking = 0.00022 * routine.cadence[day]  # hPa: swinging arm, doors and wind; 0.03 when walking on the flat
    lifting = 0.015 * np.minimum(routine.arm_motion[day], 2.0)  # hPa: a hand that moves 0.4 m up and down
    spread = np.sqrt(ramp**2 + air**2 + walking**2 + lifting**2 + routine.pressure_noise[day].astype(np.float64) ** 2)
    bounded: Singles = np.minimum(spread, 19.0).astype(np.float32)
    return bounded
