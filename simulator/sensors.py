"""Sensors: what a device makes of the truth; noise, bias, quantisation, motion artefact.

Every error is a number of ``Vendor``; where all of them are zero and every beat is found, the sensor is perfect and
returns the truth to the bit. Errors are drawn under the person's key, with the same draws whichever device is worn,
so that one day can be compared across devices.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.heartbeat import WARM_UP_MINUTES, find_beats, rr_statistics
from simulator.motion import FEATURES, with_sensor_noise
from simulator.noise import Floats, Key, time_key, uniform, wander, white
from simulator.physiology import Latent, keep_in_range
from simulator.population import Person
from simulator.recording import Reason
from simulator.routine import Routine
from simulator.signals import INDEX, MINUTES_PER_DAY, RR_STATISTICS
from simulator.vendors import Vendor

_MISS_PER_G: Final = 380.0  # on the odds of missing a beat, per g of motion (norms rrvalid_*: .9 asleep, .22 walking)
_WET_MISS: Final = 12.0  # on the same odds in water: heart rate missing in 30 % of swimming minutes; judgement
_JITTER_MS_PER_BPM: Final = 2.0  # ms of a beat's place per bpm of ``heart_rate_error_bpm``; judgement
_JITTER_PER_G: Final = 8.0  # factor on jitter per g of motion; wrist RMSSD is inflated 1.5-2 times when seated (E4)
_WHITE_ERROR: Final = (
    0.2  # of a still minute's squared error that is new each minute; sleepers' minutes change by 1 bpm
)
_STRONG_G: Final = 0.30  # g, motion from which ``heart_rate_motion_error_bpm`` holds in full; brisk walking

_RR_ROWS: Final = slice(INDEX[RR_STATISTICS[0]], INDEX[RR_STATISTICS[-1]] + 1)


class _Lane:
    """Noise sequences of the sensors under a person's key. Plain numbers: an enum costs Numba 25 us a call."""

    RATE_WHITE = 400
    RATE_SLOW = 401
    STEPS = 402
    RATE_PLACE = 403


def measure(person: Person, vendor: Vendor, routine: Routine, latent: Latent, day: int) -> NDArray[np.float32]:
    """All 26 signals as ``vendor`` would record them if it had every sensor and were always worn.

    Which of them are delivered is ``missingness``'s matter.

    Args:
        person: Who wears the watch.
        vendor: The device.
        routine: Day ``day`` of that person's life.
        latent: The body's truth on that day.
        day: Days since the dataset's first; addresses the noise.

    Returns:
        float32 [26, 1440], finite and inside each signal's range.
    """
    key = time_key(person.seed, person.index, "watch")
    motion_g = latent.motion_g.astype(np.float64)
    values = latent.truth.copy()
    values[INDEX["heart_rate"]] = _heart_rate(vendor, latent.truth[INDEX["heart_rate"]], motion_g, key, day)
    values[_RR_ROWS] = _rr_statistics(vendor, routine, latent, motion_g, key, day)
    if vendor.accelerometer_noise_g > 0:
        clean = {name: latent.truth[INDEX[name]] for name in FEATURES}
        for name, noisy in with_sensor_noise(clean, latent.motion_g, vendor.accelerometer_noise_g).items():
            values[INDEX[name]] = noisy
    values[INDEX["steps"]] = _steps(vendor, latent.truth[INDEX["steps"]], key, day)
    temperature = latent.truth[INDEX["skin_temperature"]] + np.float32(vendor.skin_temperature_bias_celsius)
    values[INDEX["skin_temperature"]] = _quantised(temperature, vendor.temperature_step_celsius)
    if vendor.pressure_noise_hectopascals > 0:
        values[INDEX["altimeter_sd"]] = np.hypot(
            latent.truth[INDEX["altimeter_sd"]], vendor.pressure_noise_hectopascals
        )
    keep_in_range(values)
    return values


def take_off(values: NDArray[np.float32], reason: NDArray[np.uint8]) -> None:
    """Set ``on_wrist`` to 0, in place, where the watch still reports but is off the wrist or on its charger."""
    row = INDEX["on_wrist"]
    why = reason[INDEX["heart_rate"]]
    away = (why == Reason.OFF_WRIST) | (why == Reason.CHARGING)
    values[row, away & (reason[row] == Reason.OBSERVED)] = 0.0


def found_share(vendor: Vendor, motion_g: Floats, water: NDArray[np.bool_]) -> Floats:
    """Expected share of RR intervals that the device holds valid, 0 to 1.

    At rest it is ``vendor.valid_beats``; motion multiplies the odds of a miss, so that a sensor that never misses at
    rest never misses.

    >>> import numpy as np
    >>> from simulator.vendors import VENDORS
    >>> motion_g = np.array([0.004, 0.025, 0.1, 0.2, 0.8])  # asleep, seated, light, walking, running
    >>> found_share(VENDORS["fitbit-sense-2"], motion_g, np.zeros(5, dtype=bool)).round(2).tolist()
    [0.82, 0.52, 0.23, 0.13, 0.04]
    """
    odds = (1.0 - vendor.valid_beats) * (1.0 + _MISS_PER_G * motion_g) * np.where(water, _WET_MISS, 1.0)
    return vendor.valid_beats / np.maximum(vendor.valid_beats + odds, 1e-9)


def _heart_rate(vendor: Vendor, truth: NDArray[np.float32], motion_g: Floats, key: Key, day: int) -> Floats:
    """Heart rate with an error that wanders, with placement and the pulse's shape, and by the stride in motion."""
    midnight = day * MINUTES_PER_DAY
    strong = np.minimum(motion_g / _STRONG_G, 1.0)
    still = np.sqrt(_WHITE_ERROR) * white(key, _Lane.RATE_WHITE, midnight, MINUTES_PER_DAY)
    still += np.sqrt(1.0 - _WHITE_ERROR) * wander(key, _Lane.RATE_PLACE, 15.0, midnight, MINUTES_PER_DAY)
    still *= vendor.heart_rate_error_bpm
    moving = vendor.heart_rate_motion_error_bpm * wander(key, _Lane.RATE_SLOW, 4.0, midnight, MINUTES_PER_DAY)
    return _quantised(truth + still + strong * moving, vendor.heart_rate_step_bpm)


def _rr_statistics(
    vendor: Vendor, routine: Routine, latent: Latent, motion_g: Floats, key: Key, day: int
) -> NDArray[np.float32]:
    """The ten statistics over the beats that were found; the truth where the day begins with too few of them."""
    motion = np.concatenate([np.full(WARM_UP_MINUTES, motion_g[0]), motion_g])  # before midnight: as just after it
    water = routine.water[routine.lead_in_minutes - WARM_UP_MINUTES :]
    jitter = _JITTER_MS_PER_BPM * vendor.heart_rate_error_bpm * (1.0 + _JITTER_PER_G * np.minimum(motion, 1.0))
    found = find_beats(latent.beats, found_share(vendor, motion, water), jitter, key, day)
    measured = rr_statistics(found)
    return np.where(np.isfinite(measured), measured, latent.truth[_RR_ROWS])


def _steps(vendor: Vendor, truth: NDArray[np.float32], key: Key, day: int) -> Floats:
    """Whole steps; a factor that is not 1 loses or invents some at random."""
    share = uniform(key, _Lane.STEPS, day * MINUTES_PER_DAY, MINUTES_PER_DAY)
    return np.floor(truth * np.float64(vendor.step_count_factor) + share)


def _quantised(values: Floats | NDArray[np.float32], step: float) -> Floats:
    """Values rounded to multiples of ``step``; as they are if it is 0."""
    exact = values.astype(np.float64)
    return np.round(exact / step) * step if step > 0 else exact
