"""Beats: autonomic tone in, every heartbeat of a day and the ten RR statistics of each minute out.

An RR interval is the minute's mean interval, ramped from minute to minute, plus three parts whose strengths the
autonomic nervous system sets [1]: breathing (respiratory sinus arrhythmia: a rotation by the breath's angle per
beat, damped and driven, so that breaths differ), a slow part around and below 0.1 Hz (Mayer waves: AR(1) with a
time constant in seconds) and a white part. Every beat's noise is addressed by its minute, so neighbouring days
agree on the minutes they share.

Statistics are those of LSM-1 [2] section 3.1 over the trailing five minutes: once over all beats, as a perfect
sensor would have it, and once over the beats that a device found, where successive differences count only between
intervals that follow one another. Per-minute partial sums give mean, SDNN, RMSSD and pNN30; beats that enter and
leave a histogram of 8 ms bins give percentiles and entropies, so that a day costs milliseconds.

[1] Task Force of ESC and NASPE, "Heart rate variability", Circulation 93:1043-1065, 1996.
[2] Narayanswamy, Liu et al., arXiv:2410.13638.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.noise import Floats, Key, bits, compiled, high_half, lane_key, low_half, normal
from simulator.signals import MINUTES_PER_DAY

WARM_UP_MINUTES: Final = (
    10  # beats before midnight: the first window needs 5 of them, the oscillators settle in the rest
)
WINDOW_MINUTES: Final = 5  # LSM-1 section 3.1
BIN_MS: Final = 8.0  # width of histogram bins; LSM-1 prints none, other widths shift entropy by ln(width / 8)
BREATH_KEPT: Final = 0.97  # of the breathing oscillation per beat: a spectral peak about 0.01 Hz wide
MAYER_SECONDS: Final = 15.0  # time constant of the slow part; corner near 0.01 Hz, most power below 0.1 Hz [1]
SHORTEST_RR_MS: Final = 255.0  # 235 bpm
LONGEST_RR_MS: Final = 2300.0  # 26 bpm
FEWEST_INTERVALS: Final = 10  # in a window for its statistics to be renewed; fewer and the last ones stand
_RUN_KEPT: Final = 0.7  # chance that a beat shares its neighbour's fate: found and lost beats come in runs
_GROSS_OF_256: Final = 2  # of 256 found beats that are placed grossly wrong yet pass the device's outlier filter
_GROSS_FACTOR: Final = 6.0  # how much worse these are placed
_BEATS_PER_MINUTE: Final = 256  # addresses kept for one minute's beats, above 60,000 / SHORTEST_RR_MS
_RR_BINS: Final = 300  # 0 to 2,400 ms
_DIFFERENCE_BINS: Final = 256  # -1,024 to 1,024 ms, the ends take what lies beyond
_REFERENCE_MS: Final = 800.0  # subtracted before squaring, against cancellation


@dataclass(frozen=True, slots=True, eq=False)
class Tone:
    """What the nervous system asks of the heart, minute by minute; arrays float64 [WARM_UP_MINUTES + 1440].

    Attributes:
        rr_ms: Mean interval.
        breath_hz: Breaths per second.
        breath_ms: Standard deviation that breathing adds to the interval.
        mayer_ms: Standard deviation of the slow part.
        white_ms: Standard deviation of the white part.
    """

    rr_ms: Floats
    breath_hz: Floats
    breath_ms: Floats
    mayer_ms: Floats
    white_ms: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Beats:
    """The heartbeats of a day and of the ``WARM_UP_MINUTES`` before it.

    Attributes:
        rr_ms: float32 [n], interval that each beat ends.
        found: bool [n], True where a device holds the interval valid; all True for the heart itself.
        first: int64 [WARM_UP_MINUTES + 1441]; beats ``first[m]`` to ``first[m + 1]`` end in minute m.
    """

    rr_ms: NDArray[np.float32]
    found: NDArray[np.bool_]
    first: NDArray[np.int64]


def beat(tone: Tone, key: Key, day: int) -> tuple[Beats, Floats]:
    """Let the heart beat for a day.

    Args:
        tone: Autonomic tone of the warm-up and the day.
        key: The person's, from ``noise.time_key``.
        day: Which day; sets the addresses of the noise.

    Returns:
        The beats, and the mean of instantaneous heart rate in each of the day's minutes, bpm, float64 [1440].
    """
    first_minute = day * MINUTES_PER_DAY - WARM_UP_MINUTES
    rr, first, rate = _beat(key, first_minute, tone.rr_ms, tone.breath_hz, tone.breath_ms, tone.mayer_ms, tone.white_ms)
    return Beats(rr, np.ones(rr.size, dtype=np.bool_), first), rate[WARM_UP_MINUTES:]


def find_beats(beats: Beats, found_share: Floats, jitter_ms: Floats, key: Key, day: int) -> Beats:
    """The beats as a device found them.

    Args:
        beats: The heart's.
        found_share: Expected share of valid intervals, 0 to 1, float64 [WARM_UP_MINUTES + 1440]; 1 finds every beat.
        jitter_ms: Standard deviation of a found beat's place, same shape; 0 leaves intervals as they are.
        key: The person's and device's, from ``noise.time_key``.
        day: Which day.

    Returns:
        Beats with the same ``first``, with intervals as measured and ``found`` where valid.
    """
    first_minute = day * MINUTES_PER_DAY - WARM_UP_MINUTES
    rr, found = _find(key, first_minute, beats.rr_ms, beats.first, found_share, jitter_ms)
    return Beats(rr, found, beats.first)


def rr_statistics(beats: Beats) -> NDArray[np.float32]:
    """The ten statistics of ``signals.RR_STATISTICS`` over the trailing five minutes of each minute.

    A successive difference belongs to its later interval and counts if both are found. Percentiles are linear within
    their 8 ms bin. Where fewer than ``FEWEST_INTERVALS`` are found, all but the valid share stay as they were.

    Returns:
        float32 [10, 1440].
    """
    return _statistics(beats.rr_ms, beats.found, beats.first)


@compiled
def _beat(
    key: Key, first_minute: int, rr_ms: Floats, breath_hz: Floats, breath_ms: Floats, mayer_ms: Floats, white_ms: Floats
) -> tuple[NDArray[np.float32], NDArray[np.int64], Floats]:
    n_minutes = rr_ms.size
    rr = np.empty(n_minutes * _BEATS_PER_MINUTE, dtype=np.float32)
    first = np.zeros(n_minutes + 1, dtype=np.int64)
    rate = np.zeros(n_minutes + 1)
    own = lane_key(key, 1)
    breath_x = breath_y = mayer = 0.0
    n = 0
    now = 0.0
    for m in range(n_minutes):
        begin = 0.5 * (rr_ms[max(m - 1, 0)] + rr_ms[m])
        end = 0.5 * (rr_ms[m] + rr_ms[min(m + 1, n_minutes - 1)])
        slope = (end - begin) / 60_000.0
        turn = 2.0 * np.pi * breath_hz[m] * rr_ms[m] * 1e-3
        cosine = BREATH_KEPT * np.cos(turn)
        sine = BREATH_KEPT * np.sin(turn)
        push = _unit_drive(turn)
        keep = np.exp(-rr_ms[m] * 1e-3 / MAYER_SECONDS)
        mayer_push = np.sqrt(1.0 - keep * keep)
        address = np.uint64((first_minute + m) * (2 * _BEATS_PER_MINUTE))
        minute_end = (m + 1) * 60_000.0
        offset = begin - slope * m * 60_000.0
        # Bounding the variation, not the interval, keeps the bound out of the chain from beat to beat.
        least = SHORTEST_RR_MS - min(begin, end)
        most = LONGEST_RR_MS - max(begin, end)
        breath_sd, mayer_sd, white_sd = breath_ms[m], mayer_ms[m], white_ms[m]
        while True:
            word = bits(own, address)
            other = bits(own, address + np.uint64(1))
            address += np.uint64(2)
            drive = push * normal(low_half(word), word)
            breath_x, breath_y = cosine * breath_x - sine * breath_y + drive, sine * breath_x + cosine * breath_y
            mayer = keep * mayer + mayer_push * normal(high_half(word), ~word)
            jump = white_sd * normal(low_half(other), other)
            variation = min(max(breath_sd * breath_x + mayer_sd * mayer + jump, least), most)
            interval = (offset + variation) + slope * now
            rr[n] = interval
            n += 1
            now += interval
            if now < minute_end:
                rate[m] += 1.0
                continue
            before = (minute_end - now + interval) / interval
            rate[m] += before
            rate[m + 1] += 1.0 - before
            break
        first[m + 1] = n - 1  # the beat that crossed ends in the next minute
    return rr[: n - 1].copy(), first, rate[:n_minutes]


@compiled
def _unit_drive(turn: float) -> float:
    """The strength of the drive at which the breathing rotation has variance 1 in its first coordinate."""
    kept = BREATH_KEPT * BREATH_KEPT
    double = kept * np.cos(2.0 * turn)
    round_part = 1.0 / (1.0 - kept)
    oval_part = (1.0 - double) / (1.0 - 2.0 * double + kept * kept)
    return float(np.sqrt(2.0 / (round_part + oval_part)))


@compiled
def _find(
    key: Key,
    first_minute: int,
    rr: NDArray[np.float32],
    first: NDArray[np.int64],
    found_share: Floats,
    jitter_ms: Floats,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    measured = np.empty_like(rr)
    found = np.empty(rr.size, dtype=np.bool_)
    own = lane_key(key, 2)
    state = True
    previous_error = 0.0
    for m in range(found_share.size):
        address = np.uint64((first_minute + m) * _BEATS_PER_MINUTE)
        share = found_share[m]
        jitter = jitter_ms[m]
        for i in range(first[m], first[m + 1]):
            word = bits(own, address)
            address += np.uint64(1)
            high = high_half(word)
            luck = (high >> 8) * 2.0**-24
            renewed = (luck - _RUN_KEPT) / (1.0 - _RUN_KEPT) < share
            state = renewed if luck >= _RUN_KEPT else state
            found[i] = state
            gross = _GROSS_FACTOR if (high & 255) < _GROSS_OF_256 else 1.0
            error = jitter * gross * normal(low_half(word), word)
            interval = rr[i] + (error - previous_error)
            measured[i] = min(max(interval, SHORTEST_RR_MS), LONGEST_RR_MS)
            previous_error = error
    return measured, found


@compiled
def _percentiles(histogram: NDArray[np.int32], lowest: int, n: int) -> tuple[float, float, float]:
    """The values below which 20, 50 and 80 % of ``n`` counted values lie, linear within their bin, ms."""
    k = lowest
    below = 0
    while below + histogram[k] < 0.2 * n:
        below += histogram[k]
        k += 1
    p20 = BIN_MS * (k + (0.2 * n - below) / histogram[k])
    while below + histogram[k] < 0.5 * n:
        below += histogram[k]
        k += 1
    median = BIN_MS * (k + (0.5 * n - below) / histogram[k])
    while below + histogram[k] < 0.8 * n:
        below += histogram[k]
        k += 1
    return p20, median, BIN_MS * (k + (0.8 * n - below) / histogram[k])


@compiled
def _entropy(histogram: NDArray[np.int32], lowest: int, n: int, n_log_n: Floats) -> float:
    """Shannon entropy of a histogram of ``n`` counts, nats."""
    total = 0.0
    seen = 0
    k = lowest
    while seen < n:
        seen += histogram[k]
        total += n_log_n[histogram[k]]
        k += 1
    return float(max((n_log_n[n] - total) / n, 0.0))


@compiled
def _statistics(rr: NDArray[np.float32], found: NDArray[np.bool_], first: NDArray[np.int64]) -> NDArray[np.float32]:
    n_minutes = first.size - 1
    out = np.empty((10, n_minutes - WARM_UP_MINUTES), dtype=np.float32)
    counts = np.arange(WINDOW_MINUTES * _BEATS_PER_MINUTE + 1).astype(np.float64)
    n_log_n = counts * np.log(np.maximum(counts, 1.0))
    rr_bin = np.empty(rr.size, dtype=np.uint16)
    difference_bin = np.empty(rr.size, dtype=np.uint16)
    rr_histogram = np.zeros(_RR_BINS + 1, dtype=np.int32)  # one bin more for what is not found
    difference_histogram = np.zeros(_DIFFERENCE_BINS + 1, dtype=np.int32)
    rr_lowest = difference_lowest = 0
    # Per minute: intervals, sum, square sum; differences, their square sum, those over 30 ms; valid ms, all ms.
    sums = np.zeros((n_minutes, 8))
    last = np.full(10, np.nan)
    previous = 0.0
    was_found = False
    for m in range(n_minutes):
        n_intervals = n_differences = n_large = 0
        total = square = difference_square = valid_ms = all_ms = 0.0
        for i in range(np.uint64(first[m]), np.uint64(first[m + 1])):
            interval = np.float64(rr[i])
            all_ms += interval
            k = _RR_BINS
            j = _DIFFERENCE_BINS
            if found[i]:
                off = interval - _REFERENCE_MS
                n_intervals += 1
                total += off
                square += off * off
                valid_ms += interval
                k = int(interval * (1.0 / BIN_MS))
                rr_lowest = min(rr_lowest, k)
                if was_found:
                    difference = interval - previous
                    n_differences += 1
                    difference_square += difference * difference
                    n_large += int(abs(difference) > 30.0)
                    j = int(difference * (1.0 / BIN_MS) + _DIFFERENCE_BINS / 2)
                    j = min(max(j, 0), _DIFFERENCE_BINS - 1)
                    difference_lowest = min(difference_lowest, j)
            rr_bin[i] = k
            rr_histogram[k] += 1
            difference_bin[i] = j
            difference_histogram[j] += 1
            previous = interval
            was_found = found[i]
        here = sums[m]
        here[0], here[1], here[2] = n_intervals, total, square
        here[3], here[4], here[5] = n_differences, difference_square, n_large
        here[6], here[7] = valid_ms, all_ms
        if m >= WINDOW_MINUTES:
            for i in range(np.uint64(first[m - WINDOW_MINUTES]), np.uint64(first[m - WINDOW_MINUTES + 1])):
                rr_histogram[rr_bin[i]] -= 1
                difference_histogram[difference_bin[i]] -= 1
        if m < WINDOW_MINUTES - 1:
            continue
        window = sums[m - WINDOW_MINUTES + 1]
        for earlier in range(m - WINDOW_MINUTES + 2, m + 1):
            window = window + sums[earlier]
        n = int(window[0])
        n_pairs = int(window[3])
        last[0] = 100.0 * window[6] / window[7]
        if n >= FEWEST_INTERVALS and n_pairs > 0:
            while rr_histogram[rr_lowest] == 0:
                rr_lowest += 1
            while difference_histogram[difference_lowest] == 0:
                difference_lowest += 1
            last[2], last[3], last[1] = _percentiles(rr_histogram, rr_lowest, n)
            mean = window[1] / n
            last[4] = _REFERENCE_MS + mean
            last[5] = _entropy(rr_histogram, rr_lowest, n, n_log_n)
            last[6] = _entropy(difference_histogram, difference_lowest, n_pairs, n_log_n)
            last[7] = 100.0 * window[5] / n_pairs
            last[8] = np.sqrt(window[4] / n_pairs)
            last[9] = np.sqrt(max(window[2] / n - mean * mean, 0.0))
        if m >= WARM_UP_MINUTES:
            out[:, m - WARM_UP_MINUTES] = last
    return out
