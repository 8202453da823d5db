"""Beats: autonomic tone in, every heartbeat of a day and the ten RR statistics of each minute out.

An RR interval is the minute's mean interval, ramped from minute to minute (which carries what is slower than a minute:
the very low frequencies), plus three parts whose strengths the autonomic nervous system sets [1]: breathing
(respiratory sinus arrhythmia, high frequency), Mayer waves (the baroreflex's resonance near 0.1 Hz [2], low frequency)
and a white part. Breathing and Mayer waves are rotations by their angle per beat, damped and driven by noise, so that
each has a spectral peak and no wave repeats another. Now and then a ventricular beat comes early and is followed by a
full compensatory pause. Every beat's noise is addressed by its minute, so neighbouring days agree on the minutes they
share.

Statistics are those of LSM-1 [3] section 3.1 over the trailing five minutes: once over all intervals between normal
beats, as a perfect sensor would have it, and once over those that a device found, where successive differences count
only between intervals that follow one another. They are sums of per-minute sums, taken in whole sixteenths of a
millisecond, and percentiles and entropies of a window's histogram that one minute enters and another leaves; so a day
costs less than half a millisecond, and the same bits whatever the processor's vector width.

[1] Task Force of ESC and NASPE, "Heart rate variability", Circulation 93:1043-1065, 1996.
[2] Julien, "The enigma of Mayer waves", Cardiovasc. Res. 70:12-21, 2006.
[3] Narayanswamy, Liu et al., arXiv:2410.13638.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.noise import Floats, Key, bits, compiled, compiled_fused, lane_key, quantile_normal, unit
from simulator.signals import MINUTES_PER_DAY

WARM_UP_MINUTES: Final = 10
"""Beats before midnight: the first window needs 5 minutes of them, the oscillators settle in the rest."""
WINDOW_MINUTES: Final = 5  # LSM-1 section 3.1
BIN_MS: Final = 8.0  # width of histogram bins; LSM-1 prints none, other widths shift entropy by ln(width / 8)
BREATH_KEPT: Final = 0.97  # of the breathing oscillation per beat: a spectral peak about 0.01 Hz wide
MAYER_HZ: Final = 0.1  # Hz, centre of the low-frequency peak (Julien 2006)
MAYER_SECONDS: Final = 14.0  # s, memory of a Mayer wave: half width 0.011 Hz, within the band of 0.04 to 0.15 Hz [1]
SHORTEST_RR_MS: Final = 255.0  # 235 bpm
LONGEST_RR_MS: Final = 2300.0  # 26 bpm
PREMATURE: Final = (
    0.36  # of an interval by which an ectopic beat comes early; below Malik's 20 % it would not stand out
)
FEWEST_INTERVALS: Final = 10  # in a window for its statistics to be renewed; fewer and the last ones stand
_RUN_KEPT: Final = 0.7  # chance that a beat shares its neighbour's fate: found and lost beats come in runs; judgement
_GROSS_FACTOR: Final = (
    6.0  # how much worse one found beat of 128 is placed that yet passes the outlier filter; judgement
)
_BEATS_PER_MINUTE: Final = 256  # addresses kept for one minute's beats, above 60,000 / SHORTEST_RR_MS
_MINUTE_MS: Final = 60_000.0
_PARTS_PER_MS: Final = 16  # sums are taken in sixteenths of a millisecond
_REFERENCE_MS: Final = 800.0  # subtracted before squaring, against overflow
_BINS: Final = 320  # of a histogram: 0 to 2,552 ms, or -1,024 to 1,024 ms where the ends take what lies beyond
_NO_BIN: Final = 319  # takes what is not found, and is never read
_DIFFERENCE_BINS: Final = 256
_RING: Final = WINDOW_MINUTES + 1  # minutes whose histograms are kept: a window's and the one that leaves it
_LOG_PARTS: Final = 65536  # n ln n is added in whole 1/65536 nats, exactly and in any order
_MOST_IN_WINDOW: Final = WINDOW_MINUTES * _BEATS_PER_MINUTE
_N_LOG_N: Final = np.round(
    np.arange(_MOST_IN_WINDOW + 1) * np.log(np.maximum(np.arange(_MOST_IN_WINDOW + 1), 1)) * _LOG_PARTS
).astype(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Tone:
    """What the nervous system asks of the heart, minute by minute; arrays float64 [WARM_UP_MINUTES + 1440].

    Attributes:
        rr_ms: Mean interval.
        breath_hz: Breaths per second.
        breath_ms: Standard deviation that breathing adds to the interval.
        mayer_ms: Standard deviation of the Mayer waves.
        white_ms: Standard deviation of the white part.
        ectopic_per_hour: Ventricular ectopic beats to expect; the person's, one number.
    """

    rr_ms: Floats
    breath_hz: Floats
    breath_ms: Floats
    mayer_ms: Floats
    white_ms: Floats
    ectopic_per_hour: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Beats:
    """The heartbeats of a day and of the ``WARM_UP_MINUTES`` before it.

    Attributes:
        rr_ms: float32 [n], interval that each beat ends.
        found: bool [n], True where the interval lies between normal beats (neither an ectopic beat's nor its pause)
            and, of a device's beats, where the device holds it valid.
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
    breath = _oscillator(tone.breath_ms, tone.breath_hz * tone.rr_ms, np.full(tone.rr_ms.size, BREATH_KEPT))
    kept = np.exp(tone.rr_ms * (-1e-3 / MAYER_SECONDS))
    mayer = _oscillator(tone.mayer_ms, MAYER_HZ * tone.rr_ms, kept)
    rr, first, rate = _beat(key, first_minute, tone.rr_ms, breath, mayer, tone.white_ms)
    found = _early_beats(key, first_minute, rr, first, min(tone.ectopic_per_hour / 60.0, 1.0))
    return Beats(rr, found, first), rate[WARM_UP_MINUTES:-1]


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
    rr, found = _find(key, first_minute, beats.rr_ms, beats.found, beats.first, found_share, jitter_ms)
    return Beats(rr, found, beats.first)


def rr_statistics(beats: Beats) -> NDArray[np.float32]:
    """The ten statistics of ``signals.RR_STATISTICS`` over the trailing five minutes of each minute.

    A successive difference belongs to its later interval and counts if both are found. Percentiles are linear within
    their 8 ms bin. Where fewer than ``FEWEST_INTERVALS`` are found, all but the valid share stay as they were.

    Returns:
        float32 [10, 1440].
    """
    return _statistics(beats.rr_ms, beats.found.view(np.uint8), beats.first)  # bytes load many at a time, bools do not


def _oscillator(sd_ms: Floats, thousand_turns: Floats, kept: Floats) -> Floats:
    """Cosine, sine and drive of a rotation that a beat advances, damped to ``kept``; float64 [3, minutes].

    The drive enters the first coordinate and has the strength at which that has standard deviation ``sd_ms``.
    """
    turn = ((2e-3 * np.pi) * thousand_turns).astype(np.float32)  # NumPy's single precision is several times as fast
    return _damped(np.cos(turn), np.sin(turn), kept, sd_ms)


@compiled
def _damped(cosine: NDArray[np.float32], sine: NDArray[np.float32], kept: Floats, sd_ms: Floats) -> Floats:
    out = np.empty((3, cosine.size))
    for m in range(cosine.size):
        square = kept[m] * kept[m]
        double = square * (2.0 * cosine[m] * cosine[m] - 1.0)
        round_part = 1.0 / (1.0 - square)
        oval_part = (1.0 - double) / (1.0 - 2.0 * double + square * square)
        out[0, m] = kept[m] * cosine[m]
        out[1, m] = kept[m] * sine[m]
        out[2, m] = sd_ms[m] * np.sqrt(2.0 / (round_part + oval_part))
    return out


@compiled
def seen_by_differences(cosine: float, sine: float, kept: float) -> float:
    """Mean square of the successive differences of such a rotation, over its variance: 2 (1 - lag-1 autocorrelation).

    With z the rotation as a complex number, x its real part and r = kept exp(i turn): E|z|^2 = s / (1 - kept^2) and
    E z^2 = s / (1 - r^2), and the two together give the moments of x.

    Args:
        cosine: Of the turn per beat.
        sine: Of the turn per beat.
        kept: Share of the amplitude that a beat leaves.
    """
    square = kept * kept
    round_part = 1.0 / (1.0 - square)
    double = square * (2.0 * cosine * cosine - 1.0)
    size = 1.0 - 2.0 * double + square * square
    real, imaginary = (1.0 - double) / size, 2.0 * square * sine * cosine / size
    return float(2.0 * (1.0 - kept * (cosine * (round_part + real) - sine * imaginary) / (round_part + real)))


@compiled_fused
def _beat(
    key: Key, first_minute: int, rr_ms: Floats, breath: Floats, mayer: Floats, white_ms: Floats
) -> tuple[NDArray[np.float32], NDArray[np.int64], Floats]:
    """Intervals, the first beat of each minute, and each minute's mean of instantaneous rate (one minute more)."""
    n_minutes = rr_ms.size
    rr = np.empty(n_minutes * _BEATS_PER_MINUTE, dtype=np.float32)
    first = np.zeros(n_minutes + 1, dtype=np.int64)
    rate = np.zeros(n_minutes + 1)
    own = lane_key(key, 1)
    breath_x = breath_y = mayer_x = mayer_y = 0.0
    n = np.uint64(0)
    now = 0.0  # ms into the minute at which the last beat fell
    for m in range(n_minutes):
        begin = 0.5 * (rr_ms[max(m - 1, 0)] + rr_ms[m])
        end = 0.5 * (rr_ms[m] + rr_ms[min(m + 1, n_minutes - 1)])
        slope = (end - begin) / _MINUTE_MS
        breath_cosine, breath_sine, breath_drive = breath[0, m], breath[1, m], breath[2, m]
        mayer_cosine, mayer_sine, mayer_drive = mayer[0, m], mayer[1, m], mayer[2, m]
        white = white_ms[m]
        # Bounding the variation, not the interval, keeps the bound out of the chain from beat to beat.
        least = SHORTEST_RR_MS - min(begin, end)
        most = LONGEST_RR_MS - max(begin, end)
        address = np.uint64((first_minute + m) * _BEATS_PER_MINUTE)
        begun = n
        interval = 1.0
        while now < _MINUTE_MS:
            word = bits(own, address)
            address += np.uint64(1)
            push = breath_drive * quantile_normal(word, 0)
            pull = mayer_drive * quantile_normal(word, 1)
            breath_x, breath_y = (
                (breath_cosine * breath_x + push) - breath_sine * breath_y,
                breath_cosine * breath_y + breath_sine * breath_x,
            )
            mayer_x, mayer_y = (
                (mayer_cosine * mayer_x + pull) - mayer_sine * mayer_y,
                mayer_cosine * mayer_y + mayer_sine * mayer_x,
            )
            variation = min(max(breath_x + mayer_x + white * quantile_normal(word, 2), least), most)
            interval = (begin + variation) + slope * now
            rr[n] = interval
            n += np.uint64(1)
            now += interval
        now -= _MINUTE_MS
        beyond = now / interval  # share of the last interval that lies in the next minute
        rate[m] += np.float64(n - begun) - beyond
        rate[m + 1] += beyond
        first[m + 1] = n - np.uint64(1)  # the beat that crossed ends in the next minute
    return rr[: n - np.uint64(1)], first, rate


@compiled
def _early_beats(
    key: Key, first_minute: int, rr: NDArray[np.float32], first: NDArray[np.int64], chance: float
) -> NDArray[np.bool_]:
    """Make a beat of a minute come early with ``chance``, in place; True for the intervals between normal beats.

    The pause after it is full (the sinus node keeps its own time), so no other beat moves.
    """
    normal = np.ones(rr.size, dtype=np.bool_)
    own = lane_key(key, 3)
    for m in range(first.size - 1):
        word = bits(own, np.uint64(first_minute + m))
        if unit(word) < chance:
            place = unit(bits(own, ~np.uint64(first_minute + m)))
            i = first[m] + int(place * (first[m + 1] - 1 - first[m]))
            early = min(np.float32(PREMATURE) * rr[i], rr[i] - np.float32(SHORTEST_RR_MS))
            early = min(early, np.float32(LONGEST_RR_MS) - rr[i + 1])
            rr[i] -= early
            rr[i + 1] += early
            normal[i] = normal[i + 1] = False
    return normal


@compiled
def _find(
    key: Key,
    first_minute: int,
    rr: NDArray[np.float32],
    normal: NDArray[np.bool_],
    first: NDArray[np.int64],
    found_share: Floats,
    jitter_ms: Floats,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Intervals as measured and whether they were found; of a word's halves each serves one beat.

    Of the 32 bits, 16 say whether the beat shares its neighbour's fate and, if not, its own; 12 where it is placed;
    3 of the former and the last 4 whether that is grossly wrong.
    """
    measured = np.empty_like(rr)
    found = np.empty(rr.size, dtype=np.bool_)
    own = lane_key(key, 2)
    shared = np.uint64(_RUN_KEPT * 65536.0)
    state = True
    before = np.float32(0.0)
    for m in range(found_share.size):
        address = np.uint64((first_minute + m) * _BEATS_PER_MINUTE)
        lucky = np.uint64((_RUN_KEPT + (1.0 - _RUN_KEPT) * found_share[m]) * 65536.0)
        jitter = jitter_ms[m]
        word = np.uint64(0)
        begin = np.uint64(first[m])
        for i in range(begin, np.uint64(first[m + 1])):
            word >>= np.uint64(32)
            if (i - begin) & np.uint64(1) == np.uint64(0):
                word = bits(own, address)
                address += np.uint64(1)
            luck = word & np.uint64(0xFFFF)
            state = bool(luck < lucky) if luck >= shared else state
            found[i] = state & normal[i]
            gross = (word & np.uint64(0xF0000007)) == np.uint64(0)
            error = np.float32(jitter * (_GROSS_FACTOR if gross else 1.0) * quantile_normal(word >> np.uint64(16), 0))
            interval = rr[i] + (error - before)
            measured[i] = min(max(interval, np.float32(SHORTEST_RR_MS)), np.float32(LONGEST_RR_MS))
            before = error
    return measured, found


@compiled
def _count_minute(
    rr: NDArray[np.float32],
    found: NDArray[np.uint8],
    begin: int,
    end: int,
    sums: NDArray[np.int64],
    m: int,
    rr_bin: NDArray[np.int32],
    difference_bin: NDArray[np.int32],
) -> None:
    """The sums of a minute's beats into ``sums[m]``, and each beat's bins; no step depends on the one before.

    Sums, in sixteenths of a millisecond and their squares: found intervals, their sum and square sum less the
    reference; differences, their square sum, those over 30 ms; found and all time; lowest and highest bins of both.
    """
    zero, far = np.int32(0), np.int32(_NO_BIN)
    reference = np.int32(_REFERENCE_MS * _PARTS_PER_MS)
    n_found = n_differences = n_large = total = valid = whole = zero
    square_low = square_high = step_low = step_high = zero
    half = np.int32(0xFFFF)
    low = low_difference = far
    high = high_difference = zero
    n = np.int32(end - begin)
    padded = min((end - begin + 7) // 8 * 8, rr.size - begin)
    for i in range(np.uint64(padded)):
        inside = np.int32(-np.int32(np.int32(i) < n))
        interval = rr[np.uint64(begin) + i]
        earlier = rr[np.uint64(begin - 1) + i]
        difference = interval - earlier
        # Numba widens sums of 32-bit integers to 64 bits, which halves what one instruction does; hence the casts.
        is_found = np.int32(inside & np.int32(-np.int32(found[np.uint64(begin) + i])))  # all bits or none: a mask
        is_pair = np.int32(is_found & np.int32(-np.int32(found[np.uint64(begin - 1) + i])))
        parts = np.int32(interval * np.float32(_PARTS_PER_MS) + np.float32(0.5))
        off = np.int32(np.int32(parts - reference) & is_found)
        parts_earlier = np.int32(earlier * np.float32(_PARTS_PER_MS) + np.float32(0.5))
        step = np.int32(np.int32(parts - parts_earlier) & is_pair)
        n_found = np.int32(n_found - is_found)
        total = np.int32(total + off)
        squared = np.int32(off * off)
        square_low = np.int32(square_low + np.int32(squared & half))
        square_high = np.int32(square_high + np.int32(squared >> np.int32(16)))
        n_differences = np.int32(n_differences - is_pair)
        squared = np.int32(step * step)
        step_low = np.int32(step_low + np.int32(squared & half))
        step_high = np.int32(step_high + np.int32(squared >> np.int32(16)))
        is_large = np.int32(-np.int32(np.abs(difference) > np.float32(30.0)))
        n_large = np.int32(n_large - np.int32(is_large & is_pair))
        valid = np.int32(valid + np.int32(parts & is_found))
        whole = np.int32(whole + np.int32(parts & inside))
        k = np.int32(interval * np.float32(1.0 / BIN_MS))
        j = np.int32(difference * np.float32(1.0 / BIN_MS) + np.float32(_DIFFERENCE_BINS // 2))
        j = min(max(j, zero), np.int32(_DIFFERENCE_BINS - 1))
        k = np.int32(np.int32(k & is_found) | np.int32(far & ~is_found))
        j = np.int32(np.int32(j & is_pair) | np.int32(far & ~is_pair))
        rr_bin[i] = k
        difference_bin[i] = j
        low = min(low, k)
        high = max(high, np.int32(k & is_found))
        low_difference = min(low_difference, j)
        high_difference = max(high_difference, np.int32(j & is_pair))
    sums[m, 0], sums[m, 1], sums[m, 2] = n_found, total, square_low + 65536 * np.int64(square_high)
    sums[m, 3], sums[m, 4], sums[m, 5] = n_differences, step_low + 65536 * np.int64(step_high), n_large
    sums[m, 6], sums[m, 7] = valid, whole
    sums[m, 8], sums[m, 9], sums[m, 10], sums[m, 11] = low, high, low_difference, high_difference


@compiled
def _entropy(window: NDArray[np.int16], low: int, high: int, n: float) -> float:
    """Shannon entropy of a histogram of ``n`` counts between two bins, nats."""
    total = np.int32(0)
    for k in range(np.uint64(low), np.uint64(high + 1)):
        total += _N_LOG_N[np.uint16(window[k])]
    return float(max(np.log(n) - total / (n * _LOG_PARTS), 0.0))


@compiled
def _percentiles(window: NDArray[np.int16], low: int, n: float) -> tuple[float, float, float]:
    """The values below which 20, 50 and 80 % of ``n`` counted values lie, linear within their bin, ms."""
    k = np.uint64(low)
    below = 0
    count = int(window[k])
    while below + count < 0.2 * n:
        below += count
        k += np.uint64(1)
        count = int(window[k])
    p20 = BIN_MS * (np.float64(k) + (0.2 * n - below) / count)
    while below + count < 0.5 * n:
        below += count
        k += np.uint64(1)
        count = int(window[k])
    median = BIN_MS * (np.float64(k) + (0.5 * n - below) / count)
    while below + count < 0.8 * n:
        below += count
        k += np.uint64(1)
        count = int(window[k])
    return p20, median, BIN_MS * (np.float64(k) + (0.8 * n - below) / count)


@compiled
def _statistics(rr: NDArray[np.float32], found: NDArray[np.uint8], first: NDArray[np.int64]) -> NDArray[np.float32]:
    n_minutes = first.size - 1
    out = np.empty((10, n_minutes - WARM_UP_MINUTES), dtype=np.float32)
    rr_bin = np.empty(_BEATS_PER_MINUTE + 8, dtype=np.int32)
    difference_bin = np.empty(_BEATS_PER_MINUTE + 8, dtype=np.int32)
    rr_ring = np.zeros((_RING, _BINS), dtype=np.int16)
    difference_ring = np.zeros((_RING, _BINS), dtype=np.int16)
    rr_window = np.zeros(_BINS, dtype=np.int16)
    difference_window = np.zeros(_BINS, dtype=np.int16)
    sums = np.zeros((n_minutes, 12), dtype=np.int64)
    last = np.full(10, np.nan)
    for m in range(n_minutes):
        begin = max(first[m], 1)  # the very first beat has none before it, and is in no window
        _count_minute(rr, found, begin, first[m + 1], sums, m, rr_bin, difference_bin)
        enters, leaves = np.uint64(m % _RING), np.uint64((m + 1) % _RING)
        for i in range(np.uint64(first[m + 1] - begin)):
            rr_ring[enters, np.uint64(rr_bin[i])] += np.int16(1)
            difference_ring[enters, np.uint64(difference_bin[i])] += np.int16(1)
        for k in range(np.uint64(_BINS)):
            rr_window[k] += rr_ring[enters, k] - rr_ring[leaves, k]
            rr_ring[leaves, k] = np.int16(0)
        for k in range(np.uint64(_BINS)):
            difference_window[k] += difference_ring[enters, k] - difference_ring[leaves, k]
            difference_ring[leaves, k] = np.int16(0)
        if m < WARM_UP_MINUTES:
            continue
        intervals = total = square = pairs = difference_square = large = valid = whole = np.int64(0)
        low = low_difference = np.int64(_NO_BIN)
        high = high_difference = np.int64(0)
        for earlier in range(m - WINDOW_MINUTES + 1, m + 1):
            intervals += sums[earlier, 0]
            total += sums[earlier, 1]
            square += sums[earlier, 2]
            pairs += sums[earlier, 3]
            difference_square += sums[earlier, 4]
            large += sums[earlier, 5]
            valid += sums[earlier, 6]
            whole += sums[earlier, 7]
            low = min(low, sums[earlier, 8])
            high = max(high, sums[earlier, 9])
            low_difference = min(low_difference, sums[earlier, 10])
            high_difference = max(high_difference, sums[earlier, 11])
        last[0] = 100.0 * valid / whole
        if intervals >= FEWEST_INTERVALS and pairs > 0:
            n, n_pairs = float(intervals), float(pairs)
            last[2], last[3], last[1] = _percentiles(rr_window, int(low), n)
            mean = total / (n * _PARTS_PER_MS)
            last[4] = _REFERENCE_MS + mean
            last[5] = _entropy(rr_window, int(low), int(high), n)
            last[6] = _entropy(difference_window, int(low_difference), int(high_difference), n_pairs)
            last[7] = 100.0 * large / n_pairs
            last[8] = np.sqrt(difference_square / n_pairs) / _PARTS_PER_MS
            last[9] = np.sqrt(max(square / (n * _PARTS_PER_MS * _PARTS_PER_MS) - mean * mean, 0.0))
        for row in range(10):
            out[row, m - WARM_UP_MINUTES] = last[row]
    return out
