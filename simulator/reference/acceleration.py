"""Three-axis wrist acceleration at sensor rate, and LSM-1's ten features computed on it sample by sample.

In: what the arm does in each minute (``movement``), the same numbers from which ``motion`` derives its features in
closed form. Out: acceleration in g along the watch's axes (X towards the hand, Y towards twelve o'clock, Z out of the
glass), and from it the features by their definitions [1]. This path is for a few hours at a time: it says what the
closed form means, and tests hold one to the other, signal by signal.

A wrist at rest feels gravity, tremor and pulse; a gesture turns gravity between the axes and shakes the arm along it;
steps shake it at the step rate with harmonics, and the arm swings at half that rate; turns in bed are single
gestures, strokes and pedalling are gestures that take much of the minute.

Definitions that [1] leaves open, chosen here: windows of a whole minute with one principal component each (the paper
updates it every 25 s and resamples 51 s windows); high-pass from 0.25 Hz and band-pass 0.25 to 10 Hz, Butterworth of
second order; a lag of 40 ms, one sample at 25 Hz, at any rate; energy counted per 25 Hz sample; the range taken
before filtering.

[1] Narayanswamy, Liu et al., "Scaling Wearable Foundation Models", arXiv:2410.13638, section 3.1 and Table 18.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from simulator.motion import BURSTS_PER_SECOND, RANGE_BINS, RANGE_FIRST_G, RANGE_STEP
from simulator.movement import GAIT_HARMONICS, GAIT_THIRD, SAMPLE_HZ, SWING_SHARE, TURN_SLOWER, Movement, move
from simulator.noise import time_key
from simulator.population import Person
from simulator.randomness import stream
from simulator.routine import Routine
from simulator.signals import MINUTES_PER_DAY

Floats = NDArray[np.float64]

HIGH_PASS_HZ: Final = 0.25  # Hz, corner below which posture lies: judgement
LOW_PASS_HZ: Final = 10.0  # Hz, upper corner of the band-pass: judgement, wrist movement ends near 8
LAG_SECONDS: Final = 0.04  # s, one sample at 25 Hz
_ONSET_SECONDS: Final = 0.4  # s, in which a gesture begins and ends; judgement
_BOUT_HZ: Final = 0.06  # Hz, the same of bouts of steps; judgement
_STRIDE_JITTER: Final = 0.02  # share of the step rate by which it wavers within a minute; gait variability 2-3 %
_STEP_G: Final = 0.04  # g, least height of a step's peak
_STEP_BAND_HZ: Final = (0.7, 3.5)  # Hz, where steps of walking and running lie
_STEP_ALIKE: Final = 0.35  # share by which the intervals before and after a step may differ


def wrist_acceleration(
    person: Person, routine: Routine, day: int, minutes: range, *, sample_hz: float = SAMPLE_HZ, noise_g: float = 0.0
) -> Floats:
    """What a three-axis accelerometer at the wrist reads, g, float64 [3, len(minutes) * 60 * sample_hz].

    Args:
        person: Whose wrist.
        routine: Day ``day`` of that person's life.
        day: Days since the dataset's first; addresses the noise.
        minutes: Consecutive minutes of the day, from midnight.
        sample_hz: 25 or 50; any rate above twice 10 Hz that has whole samples in a minute.
        noise_g: Root mean square of the sensor's white noise along each axis, g.

    Raises:
        ValueError: If ``minutes`` are not consecutive minutes of the day, or the rate is too low.
    """
    if not len(minutes) or minutes.step != 1 or minutes[0] < 0 or minutes[-1] >= MINUTES_PER_DAY:
        raise ValueError(f"{minutes=} are not consecutive minutes of a day, 0 to {MINUTES_PER_DAY - 1}")
    if sample_hz <= 2.0 * LOW_PASS_HZ or not float(60.0 * sample_hz).is_integer():
        raise ValueError(f"{sample_hz=} is not above {2.0 * LOW_PASS_HZ} Hz with whole samples in a minute")
    rows = move(routine, time_key(person.seed, person.index, "body"), day * MINUTES_PER_DAY)
    moves = Movement(*rows[:, minutes.start : minutes.stop])
    rng = stream(person.seed, person.index, day, "acceleration", minutes.start, len(minutes))
    return accelerate(moves, rng, sample_hz=sample_hz, noise_g=noise_g)


def accelerate(
    moves: Movement, rng: np.random.Generator, *, sample_hz: float = SAMPLE_HZ, noise_g: float = 0.0
) -> Floats:
    """Play minutes of movement as acceleration, g, float64 [3, minutes * 60 * sample_hz].

    Args:
        moves: What the arm does, each array [minutes].
        rng: Draws what a minute's numbers leave open: when gestures come, phases, the wrist's bearing.
        sample_hz: Samples a second.
        noise_g: Root mean square of white noise along each axis, g.
    """
    shape = (moves.steps.size, round(60.0 * sample_hz))
    along, swing, third = _gait(moves, rng, sample_hz)
    here = ndimage.uniform_filter1d(
        _on(moves.moved, BURSTS_PER_SECOND, rng, sample_hz).astype(np.float64),
        round(_ONSET_SECONDS * sample_hz),
        mode="nearest",
    )
    for out, hertz, energy in (
        (along, moves.arm_hz, moves.arm),
        (swing, moves.arm_hz * TURN_SLOWER, moves.arm * moves.arm_across),
        (third, moves.arm_hz * TURN_SLOWER, moves.arm * moves.arm_third),
    ):
        out += _scaled(here * _coloured(hertz, shape, rng, sample_hz), energy)
    # gestures and swings turn gravity: what lies across it is the sine of an angle, and the magnitude stays
    down = np.stack([np.cos(swing) * np.cos(third), np.sin(swing), np.cos(swing) * np.sin(third)]) * (1.0 + along)
    for axis in down:
        axis += _scaled(_coloured(moves.rest_hz, shape, rng, sample_hz), moves.rest)
    watch: Floats = np.einsum("ijms,jms->ims", _axes(moves.roll, shape[1], rng), down).reshape(3, -1)
    watch += noise_g * rng.standard_normal(watch.shape)
    return watch


def _coloured(hertz: NDArray[np.float32], shape: tuple[int, int], rng: np.random.Generator, sample_hz: float) -> Floats:
    """Gaussian noise [minutes, samples] whose spectrum is f^3 exp(-f / scale), root mean square frequency ``hertz``.

    A gamma density of shape 4 has the mean square 20 times its squared scale, and an autocorrelation in closed form
    (``motion``).
    """
    frequency = np.fft.rfftfreq(shape[1], 1.0 / sample_hz)
    scale = hertz.astype(np.float64)[:, None] / np.sqrt(20.0)
    amplitude = np.sqrt((frequency / scale) ** 3 * np.exp(-frequency / scale))
    white = rng.standard_normal((2, shape[0], frequency.size))
    noise: Floats = np.fft.irfft(amplitude * (white[0] + 1j * white[1]), n=shape[1])
    return noise


def _scaled(parts: Floats, energy: NDArray[np.float32]) -> Floats:
    """Rows of ``parts`` scaled to a mean square of ``energy``; a row of zeros stays."""
    found = (parts**2).mean(axis=1)
    factor = np.sqrt(np.divide(energy, found, out=np.zeros_like(found), where=found > 0.0))
    scaled: Floats = parts * factor[:, None]
    return scaled


def _on(share: NDArray[np.float32], hertz: float, rng: np.random.Generator, sample_hz: float) -> NDArray[np.bool_]:
    """When in each minute something goes on, bool [minutes, samples]: in spells that together take ``share`` of it."""
    shape = (share.size, round(60.0 * sample_hz))
    urge = _coloured(np.full(share.size, hertz, dtype=np.float32), shape, rng, sample_hz)
    rank = np.argsort(np.argsort(urge, axis=1), axis=1)
    return rank >= np.round(shape[1] * (1.0 - share.astype(np.float64)))[:, None]


def _gait(moves: Movement, rng: np.random.Generator, sample_hz: float) -> tuple[Floats, Floats, Floats]:
    """Acceleration along gravity from steps, g, and the arm's swing and sway, rad, each [minutes, samples]."""
    walking = _on(moves.walked, _BOUT_HZ, rng, sample_hz)
    waver = _coloured(np.full(moves.pace.size, 0.3, dtype=np.float32), walking.shape, rng, sample_hz)
    waver *= _STRIDE_JITTER / waver.std()
    turn = 2.0 * np.pi / 60.0 / sample_hz * moves.pace.astype(np.float64)[:, None] * (1.0 + waver)
    phase = np.cumsum(turn.ravel()).reshape(turn.shape)
    beat = sum(weight * np.cos((k + 1) * phase) for k, weight in enumerate(np.sqrt(GAIT_HARMONICS)))
    swing = np.sqrt(SWING_SHARE) * np.cos(0.5 * phase + 0.7) + np.sqrt(1.0 - SWING_SHARE) * np.sin(phase)
    vigour = np.exp(0.15 * waver / _STRIDE_JITTER) * walking  # some steps are harder than others: judgement
    sway = np.cos(1.5 * phase + 0.3)
    return (
        _scaled(vigour * beat, moves.gait),
        _scaled(vigour * swing, moves.gait * moves.gait_across),
        _scaled(vigour * sway, moves.gait * np.float32(GAIT_THIRD)),
    )


def _axes(roll: NDArray[np.float32], samples: int, rng: np.random.Generator) -> Floats:
    """Where gravity, the swing and the third direction lie in the watch's axes, [3, 3, minutes, samples].

    The Y axis rises by the roll, which moves steadily from the middle of one minute to that of the next; how the
    forearm points besides, and in which plane it swings, is drawn once an hour.
    """
    minutes = np.arange(roll.size)
    at = (np.arange(roll.size * samples) + 0.5) / samples - 0.5
    rise = np.interp(at, minutes, roll.astype(np.float64)).reshape(roll.size, samples)
    hours = np.arange(0, roll.size + 60, 60)
    bearing, plane = (np.interp(at, hours, rng.uniform(-1.5, 1.5, hours.size)).reshape(rise.shape) for _ in range(2))
    zero = np.zeros_like(rise)
    down = np.stack([np.cos(rise) * np.cos(bearing), np.sin(rise), np.cos(rise) * np.sin(bearing)])
    level = np.stack([-np.sin(bearing), zero, np.cos(bearing)])
    other = np.cross(down, level, axis=0)
    swing = np.cos(plane) * level + np.sin(plane) * other
    return np.stack([down, swing, np.cross(down, swing, axis=0)], axis=1)


def lsm1_features(acceleration: Floats, sample_hz: float = SAMPLE_HZ) -> dict[str, Floats]:
    """The ten accelerometer features of each minute, sample by sample, by name, float64 [minutes].

    Args:
        acceleration: g, [3, samples], whole minutes.
        sample_hz: Samples a second.

    Raises:
        ValueError: If the samples do not make whole minutes.
    """
    a_minute = round(60.0 * sample_hz)
    if acceleration.shape[1] % a_minute or not acceleration.shape[1]:
        raise ValueError(f"{acceleration.shape[1]} samples are not whole minutes of {a_minute}")
    band = signal.butter(1, (HIGH_PASS_HZ, LOW_PASS_HZ), "bandpass", fs=sample_hz, output="sos")  # order 2 in all
    high = signal.butter(2, HIGH_PASS_HZ, "highpass", fs=sample_hz, output="sos")
    magnitude = np.sqrt((acceleration**2).sum(axis=0))

    def by_minute(values: Floats) -> Floats:
        return values.reshape(*values.shape[:-1], -1, a_minute)

    shaken = by_minute(_filtered(high, magnitude))
    axes = by_minute(_filtered(band, acceleration))
    covariance = np.einsum("ims,jms->mij", axes, axes) / a_minute
    spread, directions = np.linalg.eigh(covariance)
    component = np.einsum("mi,ims->ms", directions[:, :, -1], axes)
    lag = round(LAG_SECONDS * sample_hz)
    own = (component**2).sum(axis=1)
    lagged = (component[:, lag:] * component[:, :-lag]).sum(axis=1)
    crossing_mean, crossing_sd = _crossing_intervals(component, sample_hz)
    banded = by_minute(_filtered(band, magnitude))
    banded = banded - banded.mean(axis=1, keepdims=True)
    raw = by_minute(acceleration)
    span = np.ptp(raw, axis=2).sum(axis=0)
    bins = np.floor(np.log(span / RANGE_FIRST_G) / RANGE_STEP)
    return {
        "jerk_ratio": np.log(np.abs(lagged) / own),
        "steps": np.add.reduceat(_step_marks(magnitude, sample_hz), np.arange(0, magnitude.size, a_minute)),
        "log_energy": np.log((shaken**2).sum(axis=1) * SAMPLE_HZ / sample_hz),
        "covariance_condition": np.log(spread[:, 2] / spread[:, 0]),
        "log_energy_ratio": np.log(own / (shaken**2).sum(axis=1)),
        "zero_crossing_sd": crossing_sd,
        "zero_crossing_mean": crossing_mean,
        "arm_tilt": 0.5 * np.log((raw[0] ** 2 + raw[2] ** 2).mean(axis=1)),
        "kurtosis": (banded**4).mean(axis=1) / (banded**2).mean(axis=1) ** 2,
        "sleep_coefficient": np.clip(bins, 0.0, RANGE_BINS - 1.0),
    }


def _filtered(sections: Floats, values: Floats) -> Floats:
    """Values passed through a filter that has long seen the first of them."""
    settled = signal.sosfilt_zi(sections).reshape(len(sections), *(1,) * (values.ndim - 1), 2) * values[..., :1]
    passed, _ = signal.sosfilt(sections, values, axis=-1, zi=settled)
    return np.asarray(passed, dtype=np.float64)


def _crossing_intervals(component: Floats, sample_hz: float) -> tuple[Floats, Floats]:
    """Mean and standard deviation of the time between zero crossings of each row, s, [minutes]."""
    minute, sample = np.nonzero(np.diff(component >= 0.0, axis=1))
    same = np.diff(minute) == 0
    interval, row = np.diff(sample)[same] / sample_hz, minute[1:][same]
    n = len(component)
    count = np.maximum(np.bincount(row, minlength=n), 1)
    mean = np.bincount(row, interval, n) / count
    variance = np.bincount(row, interval**2, n) / count - mean**2
    return mean, np.sqrt(np.maximum(variance, 0.0))


def _step_marks(magnitude: Floats, sample_hz: float) -> Floats:
    """1 at each sample that is a step, else 0: a peak among peaks that follow one another evenly."""
    sections = signal.butter(2, _STEP_BAND_HZ, "bandpass", fs=sample_hz, output="sos")
    swings = signal.sosfiltfilt(sections, magnitude)
    peaks, _ = signal.find_peaks(swings, height=_STEP_G, distance=round(0.25 * sample_hz))
    marks = np.zeros(magnitude.size)
    if peaks.size < 4:
        return marks
    interval = np.diff(peaks).astype(np.float64)
    even = np.abs(np.diff(interval)) < _STEP_ALIKE * interval[1:]
    close = np.maximum(interval[1:], interval[:-1]) < 1.2 * sample_hz
    marks[peaks[1:-1][even & close]] = 1.0
    return marks
