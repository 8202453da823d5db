"""Motion: the ten accelerometer features and the altimeter's spread, from what the arm does in a minute.

``movement`` says what that is: gait, gestures and rest, each with an energy, a rhythm and a share of the minute. All
features follow from these in closed form, so that they agree with one another: variances add; the lag-1
autocorrelation is their weighted mean, and its arc cosine the rate of zero crossings [1], stretch by stretch (a still
wrist crosses at the rate of tremor however hard the next gesture is); parts that act in a share of the minute make
kurtosis; the three axes are gravity's, the swing's and a third, so the largest variance is the principal component's.
``reference.acceleration`` computes the same features sample by sample, and tests hold these to those.

Where LSM-1 (Table 18, section 3.1) is silent: 25 Hz, windows of a minute, high-pass from 0.25 Hz, band-pass 0.25 to
10 Hz, Y towards twelve o'clock, bins of the sleep coefficient from 0.03 g up in steps of 0.42 in the logarithm.
Levels are therefore a convention; relations between features are the claim.

[1] Kedem, "Spectral analysis and discrimination by zero-crossings", Proc. IEEE 74 (1986) 1477,
    doi:10.1109/PROC.1986.13663: cos(pi times the expected share of crossings) is the lag-1 autocorrelation.
"""

from typing import Final

import numpy as np

from simulator.movement import (
    GAIT_THIRD,
    SAMPLE_HZ,
    SWING_SHARE,
    TURN_SLOWER,
    Codes,
    Singles,
    air_drift,
    move,
)
from simulator.noise import Key, compiled
from simulator.routine import Routine

SAMPLES_PER_MINUTE: Final = 60.0 * SAMPLE_HZ  # log energy sums over them
NOISE_CORRELATION: Final = 0.22  # lag-1 autocorrelation of white noise at 25 Hz behind the band-pass (computed)
_NOISE_KEPT: Final = 0.74  # share of its variance that the band-pass lets through (computed)
RANGE_BINS: Final = 16  # Table 18: sleep coefficient
RANGE_FIRST_G: Final = 0.03  # g, upper edge of the lowest bin; E4 minutes span 0.03 to 11 g
RANGE_STEP: Final = 0.42  # ln(g) per bin: 16 of them reach 25 g
_SLANT: Final = 0.8  # of the range that three equal axes would sum to
_STILL_PEAK: Final = 3.4  # largest of a minute's samples over their SD (normal noise at 25 Hz)
_BEAT_KURTOSIS: Final = 1.05  # fourth moment of gait over that of noise of its energy: near-periodic, with impacts
_HARMONIC_1, _HARMONIC_2, _HARMONIC_3 = 0.84, 0.14, 0.02  # GAIT_HARMONICS as the band-pass shows them in running
_RINGING_SECONDS: Final = 0.64  # s, time constant of the high-pass, which rings on alone after each gesture
_RINGING_SHARE: Final = 0.08  # of a gesture's SD, with which it does
BURSTS_PER_SECOND: Final = 0.25  # 1/s, bursts of gestures when half of the time is theirs; judgement
_IRREGULAR: Final = 1.4  # mean squared interval between crossings over the squared mean, in gestures
_EVEN: Final = 1.4  # the same of rest
_GESTURE_PEAK: Final = 3.46  # largest of a gesture's samples over their SD
_GAIT_PEAK: Final = 2.9  # largest sample of gait over its SD
_HECTOPASCAL_PER_METRE: Final = 0.12  # hPa/m (hydrostatic relation)
_ROLLING_SHARE: Final = 0.7  # of a climb's square: ups and downs of the ground within minutes; judgement
_ROLLING_MINUTES: Final = 6.0  # min over which the ground is alike; judgement
_WALKING_HECTOPASCALS: Final = 0.00022  # hPa per step a minute: swinging arm; 0.03 when walking on the flat (norm)
_LIFTING_HECTOPASCALS: Final = 0.028  # hPa at arm motion 1: a hand that moves 0.5 m up and down, getting up
_AIR_HECTOPASCALS: Final = 0.007  # hPa, spread of still indoor air: 0.015 measured less the sensor's noise

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

_LOGS: Final = tuple(  # rows of those that are logarithms: jerk_ratio, log_energy to log_energy_ratio, ...
    slice(FEATURES.index(first), FEATURES.index(last) + 1)
    for first, last in (
        ("jerk_ratio", "jerk_ratio"),
        ("log_energy", "log_energy_ratio"),
        ("arm_tilt", "arm_tilt"),
        ("sleep_coefficient", "sleep_coefficient"),
    )
)
_SPAN: Final = FEATURES.index("sleep_coefficient")


def accelerometer(routine: Routine, key: Key, first_minute: int, rows: Singles) -> Singles:
    """The accelerometer's features of the day and what they come from.

    Args:
        routine: The person's day.
        key: The person's, from ``noise.time_key``.
        first_minute: Absolute minute of the day's midnight.
        rows: Filled with a row for each of ``FEATURES``, float32 [10, 1440].

    Returns:
        The SD of the wrist's acceleration magnitude, g, float32 [1440].
    """
    moves = move(routine, key, first_minute)
    motion_g = np.empty(moves.shape[1], dtype=np.float32)
    _features(moves, rows, motion_g)
    _take_logarithms(rows)
    return motion_g


def _take_logarithms(rows: Singles) -> None:
    """Of the features that are logarithms, in single precision, which NumPy takes in no time; and bin the range."""
    for row in _LOGS:
        np.log(rows[row], out=rows[row])
    _bin(rows[_SPAN])


@compiled
def _bin(span: Singles) -> None:
    """Turn the logarithm of a range, g, into the sleep coefficient, in place."""
    for i in range(span.size):
        place = np.floor((span[i] - np.float32(np.log(RANGE_FIRST_G))) / np.float32(RANGE_STEP))
        span[i] = min(max(place, np.float32(0.0)), np.float32(RANGE_BINS - 1))


_LEAST_CORRELATION: Final = 4e-4  # just above the bottom of jerk_ratio's range, exp(-8)


@compiled
def _correlation(hertz: float) -> float:
    """Lag-1 autocorrelation at 25 Hz of noise with this root mean square frequency.

    Its spectrum is a gamma density of shape 4, whose mean square is 20 times its squared scale and whose transform is
    the real part of (1 - iy)^-4.
    """
    turn = 2.0 * np.pi * hertz / SAMPLE_HZ
    y = turn * turn / 20.0
    spread = (1.0 + y) * (1.0 + y)
    return (1.0 - 6.0 * y + y * y) / (spread * spread)


@compiled
def _cosine(x: float) -> float:
    """The cosine of 0 <= x <= 1.6, to 1e-4."""
    y = x * x
    return 1.0 - y * (0.5 - y * (1.0 / 24.0 - y * (1.0 / 720.0 - y / 40320.0)))


@compiled
def _crossings(correlation: float) -> float:
    """Zero crossings a second: 25 / pi times the arc cosine of the lag-1 autocorrelation (to 0.3 % above 0)."""
    y = 1.0 - correlation
    angle = np.sqrt(2.0 * y) * (1.0 + y * (1.0 / 12.0 + y * (3.0 / 160.0 + y * 5.0 / 896.0)))
    return float(SAMPLE_HZ / np.pi * angle)


@compiled
def _turned(energy: float, ratio: float, share: float) -> float:
    """Energy across gravity, g^2, of turns by angles of mean square ``energy * ratio`` that take ``share`` of the time.

    The mean squared sine of a normal angle of variance v is (1 - exp(-2v)) / 2; this is within 4 % of it up to 2.
    """
    turns, share = energy * ratio, max(share, 1e-3)
    return turns * share * share / (share * share + turns * (share + 0.3 * turns))


@compiled
def _sine(x: float) -> float:
    """The sine of -1.4 <= x <= 1.4, to 1e-4."""
    y = x * x
    return float(x * (1.0 - y * (1.0 / 6.0 - y * (1.0 / 120.0 - y / 5040.0))))


@compiled
def _rhythm_of_gait(pace: float, upright: bool) -> tuple[float, float]:
    """Lag-1 autocorrelation of gait, and that of a wave which crosses zero as often, along gravity or across it."""
    turn = 2.0 * np.pi / 60.0 / SAMPLE_HZ * pace
    step = _cosine(turn)
    if not upright:
        swing = SWING_SHARE * _cosine(0.5 * turn) + (1.0 - SWING_SHARE) * step
        return swing, swing
    twice = 2.0 * step * step - 1.0
    return _HARMONIC_1 * step + _HARMONIC_2 * twice + _HARMONIC_3 * step * (2.0 * twice - 1.0), step


@compiled
def _intervals(
    gait: float, beat: float, walked: float, arm: float, of_arm: float, moved: float, rest: float, of_rest: float
) -> tuple[float, float]:
    """Mean and SD of the time between zero crossings, s: stretches of steps, of gestures alone, and still ones.

    After each burst of gestures the filters ring on, and nothing crosses zero until rest shows through again.
    """
    alone = 1.0 - walked
    swung = 4.0 * moved * (1.0 - moved)
    bursts = BURSTS_PER_SECOND * swung * (1.28 - 0.28 * swung) * alone  # 1/s, Rice's formula
    arm_now = arm / (1.0 - (1.0 - moved) * alone)
    moving = arm_now + rest
    moving_sum = arm_now * of_arm + rest * of_rest
    tail = _RINGING_SECONDS * np.log(1.0 + _RINGING_SHARE * np.sqrt(arm_now / rest))  # s without a crossing
    still = (1.0 - moved) * alone
    silent = min(bursts * tail, 0.8 * still)
    still -= silent
    move_rate, still_rate = _crossings(moving_sum / moving), _crossings(of_rest)
    acting = moved * alone
    count = acting * move_rate + still * still_rate + bursts
    squares = (acting * _IRREGULAR * still_rate + still * _EVEN * move_rate) / (move_rate * still_rate)
    squares += silent * silent / max(bursts, 1e-6)
    if walked > 0.0:
        gait_now = gait / walked
        whole = gait_now + moving
        walk_rate = _crossings((gait_now * beat + moving_sum) / whole)
        count += walked * walk_rate
        squares += walked / walk_rate * (_IRREGULAR - 0.15 * gait_now / whole)
    mean = 1.0 / count
    return mean, np.sqrt(max(squares * mean - mean * mean, 1e-6))


@compiled
def _features(moves: Singles, rows: Singles, motion_g: Singles) -> None:
    """Fill ``rows`` [10, n], in the order of ``FEATURES`` and before logarithms, and ``motion_g`` [n]."""
    for i in range(rows.shape[1]):
        pace, walked, gait = float(moves[1, i]), float(moves[2, i]), float(moves[3, i])
        arm, arm_hz, moved = float(moves[5, i]), float(moves[8, i]), float(moves[9, i])
        rest, of_rest = float(moves[10, i]), _correlation(float(moves[11, i]))

        # energy along gravity (what the magnitude sees), across it, and along the third axis
        along = gait + arm + rest
        arm_turns = _turned(arm, float(moves[6, i]), moved)
        arm_third = _turned(arm, float(moves[7, i]), moved)
        walk_across = _turned(gait, float(moves[4, i]), walked) if walked > 0.0 else 0.0
        across = walk_across + arm_turns + rest
        aside = 1.0 - min(walk_across + arm_turns, 0.7)  # of gravity that swings leave for the third axis
        third = (GAIT_THIRD * gait + arm_third) * aside + rest

        # rhythm of the principal component, which is the larger one
        upright = along > across
        first = along if upright else across
        of_arm = _correlation(arm_hz if upright else arm_hz * TURN_SLOWER)
        of_gait, beat = _rhythm_of_gait(pace, upright) if walked > 0.0 else (0.0, 0.0)
        gait_first, arm_first = (gait, arm) if upright else (walk_across, arm_turns)
        mean, sd = _intervals(gait_first, beat, walked, arm_first, of_arm, moved, rest, of_rest)

        # fourth moments: each part acts in a share of the minute, alone or over the others
        gait_now = gait / max(walked, 0.02) if walked > 0.0 else 0.0
        fourth = _BEAT_KURTOSIS * gait * gait_now + arm * arm / moved + rest * rest
        crossed = 2.0 * (gait * (arm + rest) + arm * rest)
        # range, summed over axes: what rest, a gesture and a step reach
        gesture = (arm + arm_turns + arm_third) * _GESTURE_PEAK**2 / (moved + 0.05)
        stride = gait_now * (1.0 + GAIT_THIRD + float(moves[4, i])) * _GAIT_PEAK**2
        # gravity's share on Y, less what gestures lay across
        lift = _sine(min(max(float(moves[12, i]), -1.35), 1.35)) ** 2
        turned = min(across + third - 2.0 * rest, 0.5)
        level = lift * (1.0 - turned) + 0.5 * (1.0 - lift) * turned

        # vibration above a quarter of the sample rate correlates negatively; the feature is the size
        per_energy = 1.0 / along
        lagged = gait_first * of_gait + arm_first * of_arm + rest * of_rest
        rows[0, i] = max(abs(lagged) / first, _LEAST_CORRELATION)
        rows[2, i] = SAMPLES_PER_MINUTE * along
        rows[3, i] = max(first, third) / min(min(along, across), third)
        rows[4, i] = first * per_energy
        rows[7, i] = np.sqrt((1.0 + along) * (1.0 - level))
        rows[9, i] = 2.0 * _SLANT * np.sqrt(3.0 * (3.0 * rest * _STILL_PEAK**2 + gesture + stride))
        rows[1, i] = moves[0, i]
        rows[5, i] = sd
        rows[6, i] = mean
        rows[8, i] = min(max(3.0 * (fourth + crossed) * per_energy * per_energy, 1.5), 400.0)
        motion_g[i] = np.sqrt(along)


def add_sensor_noise(rows: Singles, motion_g: Singles, noise_g: float) -> None:
    """Make of features what an accelerometer with white noise of ``noise_g`` (root mean square, g) would report.

    Noise adds the same variance along every axis and pulls each feature towards that of noise; none leaves them as
    they are.

    Args:
        rows: From ``accelerometer``, float32 [10, n]; changed in place.
        motion_g: SD of the acceleration's magnitude, g, float32 [n].
        noise_g: Of one axis.
    """
    span = rows[_SPAN]
    span *= np.float32(RANGE_STEP)  # the middle of each bin, as a logarithm
    span += np.float32(np.log(RANGE_FIRST_G) + 0.5 * RANGE_STEP)
    for row in _LOGS:
        np.exp(rows[row], out=rows[row])
    _add_noise(rows, motion_g, float(noise_g))
    _take_logarithms(rows)


@compiled
def _add_noise(rows: Singles, motion_g: Singles, noise_g: float) -> None:
    """Change ``rows``, before logarithms, into those of the same minutes with white noise on every axis."""
    white = noise_g * noise_g
    noise = _NOISE_KEPT * white
    noise_rate = _crossings(NOISE_CORRELATION)
    reach = 36.0 * white * (_STILL_PEAK * _SLANT) ** 2
    for i in range(rows.shape[1]):
        energy = motion_g[i] * motion_g[i]
        first = rows[4, i] * energy
        share = first / (first + noise)
        along = energy / (energy + white)
        mean = rows[6, i]
        rate = np.sqrt(share / (mean * mean) + (1.0 - share) * noise_rate * noise_rate)
        rows[0, i] = share * rows[0, i] + (1.0 - share) * NOISE_CORRELATION
        rows[2, i] = rows[2, i] * (1.0 + white / energy)
        rows[3, i] = (first + noise) / (first / rows[3, i] + noise)
        rows[4, i] = (first + noise) / (energy + white)
        rows[7, i] = np.sqrt(rows[7, i] * rows[7, i] + 2.0 * white)
        rows[9, i] = np.sqrt(rows[9, i] * rows[9, i] + reach)
        rows[5, i] = rows[5, i] / (rate * mean)
        rows[6, i] = 1.0 / rate
        rows[8, i] = 3.0 + (rows[8, i] - 3.0) * along * along


def altimeter_spread(routine: Routine, key: Key, first_minute: int) -> Singles:
    """Standard deviation of air pressure within each minute of the day, hPa, float32 [1440].

    A steady climb is a ramp, whose SD is its range over the square root of 12.
    """
    r, lead_in = routine, routine.lead_in_minutes
    unrest = np.exp(air_drift(key, first_minute, routine.stage.size - lead_in))
    out = np.empty_like(unrest)
    _spread(r.activity, r.climb, r.cadence, r.arm_motion, r.pressure_noise, lead_in, unrest, out)
    return out


@compiled
def _spread(
    activity: Codes,
    climb: Singles,
    cadence: Singles,
    arm_motion: Singles,
    pressure_noise: Singles,
    lead_in: int,
    unrest: Singles,
    out: Singles,
) -> None:
    """Fill ``out`` [n] with the spread of pressure, hPa, from what moves the wrist or the air."""
    rolling = 0.0
    for j in range(climb.size):
        climbed = climb[j] * climb[j]
        if j == 0 or activity[j] != activity[j - 1]:
            rolling = climbed
        rolling += (climbed - rolling) / _ROLLING_MINUTES
        if j < lead_in:
            continue
        ramp = _HECTOPASCAL_PER_METRE**2 / 12.0 * ((1.0 - _ROLLING_SHARE) * climbed + _ROLLING_SHARE * rolling)
        air = _AIR_HECTOPASCALS * unrest[j - lead_in]
        around = pressure_noise[j] * unrest[j - lead_in]
        walking = _WALKING_HECTOPASCALS * cadence[j]
        lifting = _LIFTING_HECTOPASCALS * min(arm_motion[j], 2.0)
        spread = np.sqrt(ramp + air * air + walking * walking + lifting * lifting + around * around)
        out[j - lead_in] = min(spread, 19.0)
