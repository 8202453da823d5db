"""Sensors: what a device makes of the truth; noise, bias, quantisation, motion artefact.

Every error is a number of ``Vendor``; where all of them are zero and every beat is found, the sensor is perfect and
returns the truth to the bit. Errors are drawn under the person's key, with the same draws whichever device is worn,
so that one day can be compared across devices.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.faults import dropouts, lose
from simulator.heartbeat import WARM_UP_MINUTES, Singles, find_beats
from simulator.motion import FEATURES, add_sensor_noise
from simulator.noise import Floats, Key, add_wander, bits, compiled, lane_key, quantile_normal, time_key, uniform
from simulator.physiology import Latent, keep_in_range
from simulator.population import Person
from simulator.recording import Reason
from simulator.routine import Routine
from simulator.signals import INDEX, MINUTES_PER_DAY, RR_STATISTICS
from simulator.strap import loosened
from simulator.variability import rr_statistics
from simulator.vendor import Vendor
from simulator.wearing import wear_key

_MISS_PER_G: Final = 380.0  # on the odds of missing a beat, per g of motion (norms rrvalid_*: .9 asleep, .22 walking)
_WET_MISS: Final = 12.0  # on the same odds in water: heart rate missing in 30 % of swimming minutes; judgement
_CONTACT_LOG, _CONTACT_MINUTES = 0.7, 3.0  # ln of odds and misplacement, min: how the watch sits, which shifts (E4)
_JITTER_MS_PER_BPM: Final = 1.6  # ms of a beat's place per bpm of ``heart_rate_error_bpm``; judgement
_JITTER_PER_G: Final = 12.0  # factor on jitter per g of motion; wrist RMSSD is inflated 1.5-2 times when seated (E4)
_JITTER_MOST_G: Final = np.float32(0.1)  # g, beyond which beats are lost rather than placed still worse; judgement
_GROSS_PER_G: Final = 0.4  # share of found beats taken for another rise of the pulse, per g of motion; the same (E4)
_MOST_GROSS: Final = np.float32(0.15)  # of found beats, in any motion; judgement
_GROSS_MS_PER_BPM: Final = 40.0  # ms of those beats' place per bpm of ``heart_rate_error_bpm``; the same (E4)
_LOOSE_ERROR: Final = 1.5  # factor on errors of heart rate while the strap is too loose; judgement
_LOOSE_AIR: Final = 0.12  # share of the air's temperature in what a thermometer reads then; judgement
_WHITE_ERROR: Final = 0.25  # of a still minute's squared error that is new each minute; judgement
_PLACE_MINUTES: Final = 15.0  # min over which the rest of it wanders, with placement and the pulse's shape; judgement
_STRONG_G: Final = 0.10  # g, motion from which ``heart_rate_motion_error_bpm`` holds in full: a slow walk; judgement
_STRIDE_MINUTES: Final = 2.0  # min for which the sensor follows the arm in place of the heart; judgement
_STRIDE_CUBE: Final = 0.2  # of those errors' cube is added to them, at the same variance: a few are gross; judgement

# Plain numbers stay bytes beside bytes; an enum widens them.
_PALE: Final = 3  # Fitzpatrick type up to which the tone of the skin makes no difference
_OBSERVED, _OFF_WRIST, _CHARGING = int(Reason.OBSERVED), int(Reason.OFF_WRIST), int(Reason.CHARGING)
_MOTION_ROWS: Final = slice(INDEX[FEATURES[0]], INDEX[FEATURES[-1]] + 1)
_RR_ROWS: Final = slice(INDEX[RR_STATISTICS[0]], INDEX[RR_STATISTICS[-1]] + 1)


class _Lane:
    """Noise sequences of the sensors under a person's key. Plain numbers: an enum costs Numba 25 us a call."""

    RATE_WHITE = 400
    RATE_SLOW = 401
    STEPS = 402
    RATE_PLACE = 403
    CONTACT = 404


def measure(
    person: Person, vendor: Vendor, routine: Routine, latent: Latent, day: int, least_valid_percent: float = 0.0
) -> NDArray[np.float32]:
    """All 26 signals as ``vendor`` would record them if it had every sensor and were always worn.

    Which of them are delivered is ``missingness``'s matter.

    Args:
        person: Who wears the watch.
        vendor: The device.
        routine: Day ``day`` of that person's life.
        latent: The body's truth on that day.
        day: Days since the dataset's first; addresses the noise.
        least_valid_percent: As for ``rr_statistics``; a caller who drops what lies below need not pay for it.

    Returns:
        float32 [26, 1440], finite and inside each signal's range.
    """
    key = time_key(person.seed, person.index, "watch")
    values = latent.truth.copy()
    heart_rate = latent.truth[INDEX["heart_rate"]]
    tone = 1.0 + vendor.skin_tone_error * max(person.skin_tone - _PALE, 0)
    values[INDEX["heart_rate"]] = _heart_rate(vendor, heart_rate, latent.motion_g, tone, key, day)
    values[_RR_ROWS] = _rr_statistics(person, vendor, routine, latent, tone, key, day, least_valid_percent)
    if vendor.accelerometer_noise_g > 0:
        add_sensor_noise(values[_MOTION_ROWS], latent.motion_g, vendor.accelerometer_noise_g)
    values[INDEX["steps"]] = _steps(vendor, latent.truth[INDEX["steps"]], key, day)
    temperature = latent.truth[INDEX["skin_temperature"]] + np.float32(vendor.skin_temperature_bias_celsius)
    if person.loose_fit > 0.0:
        loose = loosened(person, routine, wear_key(person), day)
        if loose.any():
            air = routine.ambient_celsius[routine.lead_in_minutes :]
            off = values[INDEX["heart_rate"]] - heart_rate
            values[INDEX["heart_rate"], loose] += np.float32(_LOOSE_ERROR - 1.0) * off[loose]
            temperature[loose] += np.float32(_LOOSE_AIR) * (air - temperature)[loose]
    values[INDEX["heart_rate"]] = _quantised(values[INDEX["heart_rate"]], vendor.heart_rate_step_bpm)
    values[INDEX["skin_temperature"]] = _quantised(temperature, vendor.temperature_step_celsius)
    if vendor.pressure_noise_hectopascals > 0:
        values[INDEX["altimeter_sd"]] = np.hypot(
            latent.truth[INDEX["altimeter_sd"]], vendor.pressure_noise_hectopascals
        )
    keep_in_range(values)
    return values


def take_off(values: NDArray[np.float32], reason: NDArray[np.uint8]) -> None:
    """Set ``on_wrist`` to 0, in place, where the watch still reports but is off the wrist or on its charger."""
    _take_off(values[INDEX["on_wrist"]], reason[INDEX["on_wrist"]], reason[INDEX["heart_rate"]])


@compiled
def _take_off(on_wrist: Singles, silent: NDArray[np.uint8], why: NDArray[np.uint8]) -> None:
    for m in range(on_wrist.size):
        if silent[m] == _OBSERVED and (why[m] == _OFF_WRIST or why[m] == _CHARGING):
            on_wrist[m] = 0.0


def found_share(vendor: Vendor, motion_g: Singles, water: NDArray[np.bool_]) -> Singles:
    """Share of RR intervals that the device holds valid where it sits as usual, 0 to 1.

    At rest it is ``vendor.valid_beats``; motion multiplies the odds of a miss, so that a sensor that never misses at
    rest never misses.

    >>> import numpy as np
    >>> from simulator.vendors import VENDORS
    >>> motion_g = np.array([0.004, 0.025, 0.1, 0.2, 0.8], dtype=np.float32)  # asleep, seated, light, walking, running
    >>> found_share(VENDORS["fitbit-sense-2"], motion_g, np.zeros(5, dtype=bool)).astype(float).round(2).tolist()
    [0.82, 0.52, 0.23, 0.13, 0.04]
    """
    shares = [_found(vendor.valid_beats, float(g), bool(wet), 1.0) for g, wet in zip(motion_g, water, strict=True)]
    return np.array(shares, dtype=np.float32)


@compiled
def _found(valid: float, motion_g: float, water: bool, contact: float) -> float:
    """``found_share`` of a minute in which the odds of a miss are ``contact`` times the usual."""
    odds = (1.0 - valid) * (1.0 + _MISS_PER_G * motion_g) * contact
    if water:
        odds *= _WET_MISS
    return float(valid / max(valid + odds, 1e-9))


@compiled
def _spoil(
    valid: float, jitter_ms: float, motion_g: Singles, water: NDArray[np.bool_], contact: Singles, out: Singles
) -> None:
    """Fill ``out`` [3, minutes]: share of intervals found, misplacement of a beat, ms, share that is grossly wrong.

    Before midnight the arm moves as just after it.
    """
    for m in range(out.shape[1]):
        motion = motion_g[max(m - WARM_UP_MINUTES, 0)]
        out[0, m] = _found(valid, motion, water[m], contact[m])
        jitter = np.float32(1.0) + np.float32(_JITTER_PER_G) * min(motion, _JITTER_MOST_G)
        out[1, m] = np.float32(jitter_ms) * contact[m] * jitter
        out[2, m] = min(np.float32(_GROSS_PER_G) * motion * contact[m], _MOST_GROSS)


def _heart_rate(vendor: Vendor, truth: Singles, motion_g: Singles, tone: float, key: Key, day: int) -> Singles:
    """Heart rate with an error that wanders, with placement and the pulse's shape, and by the stride in motion.

    ``tone`` is the factor on it by the skin's.
    """
    midnight = day * MINUTES_PER_DAY
    still, moving = np.zeros((2, MINUTES_PER_DAY), dtype=np.float32)
    place_bpm = tone * vendor.heart_rate_error_bpm * float(np.sqrt(1.0 - _WHITE_ERROR))
    add_wander(still, place_bpm, key, _Lane.RATE_PLACE, _PLACE_MINUTES, midnight)
    add_wander(moving, 1.0, key, _Lane.RATE_SLOW, _STRIDE_MINUTES, midnight)
    white_bpm = tone * vendor.heart_rate_error_bpm * float(np.sqrt(_WHITE_ERROR))
    motion_bpm = tone * vendor.heart_rate_motion_error_bpm
    return _misread(truth, motion_g, still, moving, white_bpm, motion_bpm, key, _Lane.RATE_WHITE, midnight)


@compiled
def _misread(
    truth: Singles,
    motion_g: Singles,
    still: Singles,
    moving: Singles,
    white_bpm: float,
    motion_bpm: float,
    key: Key,
    lane: int,
    midnight: int,
) -> Singles:
    """Heart rate with its errors: those of a still minute, and those of motion as far as there is any."""
    out = np.empty_like(truth)
    own = lane_key(key, lane)
    size_bpm = motion_bpm / np.sqrt(1.0 + 6.0 * _STRIDE_CUBE + 15.0 * _STRIDE_CUBE * _STRIDE_CUBE)
    for m in range(out.size):
        word = bits(own, np.uint64(midnight + m))
        lost = moving[m]
        follows = lost * (1.0 + _STRIDE_CUBE * lost * lost) * size_bpm * min(motion_g[m] / _STRONG_G, 1.0)
        out[m] = truth[m] + still[m] + white_bpm * quantile_normal(word, 0) + follows
    return out


def _rr_statistics(
    person: Person,
    vendor: Vendor,
    routine: Routine,
    latent: Latent,
    tone: float,
    key: Key,
    day: int,
    least_valid_percent: float,
) -> Singles:
    """The ten statistics over the beats that were found; the truth where the day begins with too few of them."""
    water = routine.water[routine.lead_in_minutes - WARM_UP_MINUTES :]
    contact = np.zeros(water.size, dtype=np.float32)
    first_minute = day * MINUTES_PER_DAY - WARM_UP_MINUTES
    add_wander(contact, _CONTACT_LOG, key, _Lane.CONTACT, _CONTACT_MINUTES, first_minute)
    contact = np.exp(contact, out=contact)
    contact *= np.float32(tone)
    usual_ms = _JITTER_MS_PER_BPM * vendor.heart_rate_error_bpm
    at_rest_ms = usual_ms * math.exp(-_CONTACT_LOG * _CONTACT_LOG)  # of usual size in the mean square
    found_share, jitter_ms, gross_share = spoilt = np.empty((3, water.size), dtype=np.float32)
    _spoil(vendor.valid_beats, at_rest_ms, latent.motion_g, water, contact, spoilt)
    found = find_beats(
        latent.beats,
        found_share,
        jitter_ms,
        gross_share,
        _GROSS_MS_PER_BPM * vendor.heart_rate_error_bpm,
        key,
        day,
    )
    if vendor.beats_dropped > 0.0:
        lose(found.found, found.first, dropouts(person, vendor, first_minute, water.size))
    measured = rr_statistics(found, least_valid_percent)
    if np.isnan(measured[:, 0]).any():  # they stand as they were once there are any
        measured = np.where(np.isfinite(measured), measured, latent.truth[_RR_ROWS])
    return measured


def _steps(vendor: Vendor, truth: Singles, key: Key, day: int) -> Floats | Singles:
    """Whole steps; a factor that is not 1 loses or invents some at random."""
    if vendor.step_count_factor == 1.0:
        return truth
    share = uniform(key, _Lane.STEPS, day * MINUTES_PER_DAY, MINUTES_PER_DAY)
    return np.floor(truth * np.float64(vendor.step_count_factor) + share)


def _quantised(values: Singles, step: float) -> Singles:
    """Values rounded to multiples of ``step``; as they are if it is 0."""
    return (np.round(values.astype(np.float64) / step) * step).astype(np.float32) if step > 0 else values
