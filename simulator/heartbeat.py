"""Beats: autonomic tone in, every heartbeat of a day and the ten RR statistics of each minute out.

An RR interval is the minute's mean interval, in ramps from minute to minute, plus four parts whose strengths the
autonomic nervous system sets [1]: breathing (respiratory sinus arrhythmia, high frequency), Mayer waves (the
baroreflex's resonance near 0.1 Hz [2], low frequency), a slow part that remembers a minute (very low frequency: what
makes one minute's heart rate differ from the next at rest) and a white part. Breathing and Mayer waves are damped
oscillators driven by noise, autoregressions of order two, so that each has a spectral peak and no wave repeats another.
Now and then a ventricular beat comes early and is followed by a full compensatory pause. Every beat's noise is
addressed by its minute, so neighbouring days agree on the minutes they share. Intervals are whole sixteenths of a
millisecond, finer than any device's.

Statistics are those of LSM-1 [3] section 3.1 over the trailing five minutes: once over all intervals between normal
beats, as a perfect sensor would have it, and once over those that a device found, where successive differences count
only between intervals that follow one another. They are sums of per-minute sums of whole numbers, and percentiles and
entropies of a window's histogram that one minute enters and another leaves; so a day comes out the same to the bit
whatever the processor's vector width. What a device's caller would drop, since too small a share is valid, is not
computed.

[1] Task Force of ESC and NASPE, "Heart rate variability", Circulation 93:1043-1065, 1996.
[2] Julien, "The enigma of Mayer waves", Cardiovasc. Res. 70:12-21, 2006.
[3] Narayanswamy, Liu et al., arXiv:2410.13638.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.noise import Floats, Key, bits, compiled, compiled_fused, lane_key, quantile_normal, scrambled, unit
from simulator.signals import MINUTES_PER_DAY

WARM_UP_MINUTES: Final = 10
"""Beats before midnight: the first window needs 5 minutes of them, the oscillators settle in the rest."""
WINDOW_MINUTES: Final = 5  # LSM-1 section 3.1
BIN_MS: Final = 8.0  # width of histogram bins; LSM-1 prints none, other widths shift entropy by ln(width / 8)
BREATH_KEPT: Final = 0.97  # of the breathing oscillation per beat: a spectral peak about 0.01 Hz wide
MAYER_HZ: Final = 0.1  # Hz, centre of the low-frequency peak (Julien 2006)
MAYER_SECONDS: Final = 14.0  # s, memory of a Mayer wave: half width 0.011 Hz, within the band of 0.04 to 0.15 Hz [1]
SLOW_SECONDS: Final = 90.0  # s, memory of the slow part: still minutes of Fitbit wearers correlate so
SHORTEST_RR_MS: Final = 255.0  # 235 bpm
LONGEST_RR_MS: Final = 2300.0  # 26 bpm
PREMATURE: Final = (
    0.36  # of an interval by which an ectopic beat comes early; below Malik's 20 % it would not stand out
)
FEWEST_INTERVALS: Final = 10  # in a window for its statistics to be renewed; fewer and the last ones stand
_RUN_KEPT: Final = 0.7  # chance that a beat shares its neighbour's fate: found and lost beats come in runs; judgement
_BEATS_PER_MINUTE: Final = 256  # addresses kept for one minute's beats, above 60,000 / SHORTEST_RR_MS
_PARTS_PER_MS: Final = 16  # intervals are whole sixteenths of a millisecond
_HALF_MINUTE_PARTS: Final = 480_000  # sixteenths of a millisecond in half a minute
_BIN_SHIFT: Final = 7  # halvings of a sixteenth that make a bin's number of it
_LARGE_PARTS: Final = 480  # 30 ms: differences above it count for pNN30
_BYTES_SD: Final = 147.80  # of the sum of four independent bytes, whose mean is 510
_REFERENCE_PARTS: Final = 12_800  # 800 ms, subtracted before squaring, against overflow
_BINS: Final = 320  # of a histogram: 0 to 2,552 ms, or -1,024 to 1,024 ms where the ends take what lies beyond
_NO_BIN: Final = 312  # from here on eight take in turn what is not found, and are never read
_DIFFERENCE_BINS: Final = 256
_BLOCK: Final = 16  # bins of a histogram that are added at a time
_RING: Final = WINDOW_MINUTES + 1  # minutes whose histograms are kept: a window's and the one that leaves it
_LOG_PARTS: Final = 65536  # n ln n is added in whole 1/65536 nats, exactly and in any order
_MOST_IN_WINDOW: Final = WINDOW_MINUTES * _BEATS_PER_MINUTE
_N_LOG_N: Final = np.round(
    np.arange(_MOST_IN_WINDOW + 1) * np.log(np.maximum(np.arange(_MOST_IN_WINDOW + 1), 1)) * _LOG_PARTS
).astype(np.int32)

Singles = NDArray[np.float32]
Parts = NDArray[np.uint16]


@dataclass(frozen=True, slots=True, eq=False)
class Tone:
    """What the nervous system asks of the heart, minute by minute; arrays float32 [WARM_UP_MINUTES + 1440].

    Attributes:
        rr_ms: Mean interval.
        breath_hz: Breaths per second.
        breath_ms: Standard deviation that breathing adds to the interval.
        mayer_ms: Standard deviation of the Mayer waves.
        slow_ms: Standard deviation of the slow part, which remembers ``SLOW_SECONDS``.
        white_ms: Standard deviation of the white part.
        ectopic_per_hour: Ventricular ectopic beats to expect; the person's, one number.
    """

    rr_ms: Singles
    breath_hz: Singles
    breath_ms: Singles
    mayer_ms: Singles
    slow_ms: Singles
    white_ms: Singles
    ectopic_per_hour: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Beats:
    """The heartbeats of a day and of the ``WARM_UP_MINUTES`` before it.

    Attributes:
        parts: uint16 [n], interval that each beat ends, in sixteenths of a millisecond.
        found: bool [n], True where the interval lies between normal beats (neither an ectopic beat's nor its pause)
            and, of a device's beats, where the device holds it valid.
        first: int64 [WARM_UP_MINUTES + 1441]; beats ``first[m]`` to ``first[m + 1]`` end in minute m.
    """

    parts: NDArray[np.uint16]
    found: NDArray[np.bool_]
    first: NDArray[np.int64]

    @property
    def rr_ms(self) -> Singles:
        """The intervals in milliseconds, float32 [n], exactly."""
        return self.parts * np.float32(1.0 / _PARTS_PER_MS)


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
    seconds = tone.rr_ms * np.float32(1e-3)
    turns = np.stack([tone.breath_hz, np.full_like(tone.breath_hz, MAYER_HZ)]) * (np.float32(2.0 * np.pi) * seconds)
    cosines = np.cos(turns)  # NumPy's single precision is several times as fast as one number at a time
    kept = np.exp(np.array([[-1.0 / MAYER_SECONDS], [-1.0 / SLOW_SECONDS]], dtype=np.float32) * seconds)
    waves = _waves(cosines, kept, tone.breath_ms, tone.mayer_ms, tone.slow_ms, tone.white_ms)
    parts, first, rate = _beat(key, first_minute, tone.rr_ms, waves)
    found = _early_beats(key, first_minute, parts, first, min(tone.ectopic_per_hour / 60.0, 1.0))
    return Beats(parts, found, first), rate[WARM_UP_MINUTES:-1]


def find_beats(
    beats: Beats, found_share: Singles, jitter_ms: Singles, gross_share: Singles, gross_ms: float, key: Key, day: int
) -> Beats:
    """The beats as a device found them.

    Args:
        beats: The heart's.
        found_share: Expected share of valid intervals, 0 to 1, float32 [WARM_UP_MINUTES + 1440]; 1 finds every beat.
        jitter_ms: Standard deviation of a found beat's place, same shape; 0 leaves intervals as they are.
        gross_share: Share of beats that are placed grossly wrong and yet pass the outlier filter, same shape.
        gross_ms: Standard deviation of those beats' place.
        key: The person's and device's, from ``noise.time_key``.
        day: Which day.

    Returns:
        Beats with the same ``first``, with intervals as measured and ``found`` where valid.
    """
    first_minute = day * MINUTES_PER_DAY - WARM_UP_MINUTES
    normal = beats.found.view(np.uint8)
    parts, found = _find(
        key, first_minute, beats.parts, normal, beats.first, found_share, jitter_ms, gross_share, gross_ms
    )
    return Beats(parts, found.view(np.bool_), beats.first)


def rr_statistics(beats: Beats, least_valid_percent: float = 0.0) -> NDArray[np.float32]:
    """The ten statistics of ``signals.RR_STATISTICS`` over the trailing five minutes of each minute.

    A successive difference belongs to its later interval and counts if both are found. Percentiles are linear within
    their 8 ms bin. Where fewer than ``FEWEST_INTERVALS`` are found, all but the valid share stay as they were.

    Args:
        beats: Of the heart, or of a device.
        least_valid_percent: Valid share of a window from which on its other statistics are wanted; where it is lower,
            they too stay as they were, and cost nothing.

    Returns:
        float32 [10, 1440].
    """
    found = beats.found.view(np.uint8)  # bytes load many at a time, bools do not
    return _statistics(beats.parts, found, beats.first, least_valid_percent)


@compiled
def seen_by_differences(cosine: float, kept: float) -> float:
    """Mean square of an oscillator's successive differences over its variance: 2 (1 - lag-1 autocorrelation).

    Args:
        cosine: Of the turn per beat.
        kept: Share of the amplitude that a beat leaves.
    """
    return 2.0 - 4.0 * kept * cosine / (1.0 + kept * kept)


@compiled
def _waves(
    cosines: Singles, kept: Singles, breath_ms: Singles, mayer_ms: Singles, slow_ms: Singles, white_ms: Singles
) -> Singles:
    """What ``_beat`` multiplies by, float32 [minutes, 9], in sixteenths of a millisecond.

    Of breathing and Mayer waves each: the weights of the last value and of the one before, and of the noise; of the
    slow part: of the last value and of the noise; the white noise's.
    """
    n = breath_ms.size
    out = np.empty((n, 9), dtype=np.float32)
    for m in range(n):
        for wave in range(2):
            cosine = np.float64(cosines[wave, m])
            share = BREATH_KEPT if wave == 0 else np.float64(kept[0, m])
            sd = breath_ms[m] if wave == 0 else mayer_ms[m]
            square = share * share
            double = 2.0 * cosine * cosine - 1.0
            unit_drive = np.sqrt((1.0 - square) * (1.0 + square * square - 2.0 * square * double) / (1.0 + square))
            out[m, 3 * wave] = 2.0 * share * cosine
            out[m, 3 * wave + 1] = -square
            out[m, 3 * wave + 2] = _PARTS_PER_MS * sd * unit_drive
        out[m, 6] = kept[1, m]
        out[m, 7] = _PARTS_PER_MS * slow_ms[m] * np.sqrt(1.0 - np.float64(kept[1, m]) * np.float64(kept[1, m]))
        out[m, 8] = _PARTS_PER_MS * white_ms[m]
    return out


@compiled_fused
def _beat(key: Key, first_minute: int, rr_ms: Singles, waves: Singles) -> tuple[Parts, NDArray[np.int64], Floats]:
    """Intervals, the first beat of each minute, and each minute's mean of instantaneous rate (one minute more).

    Time is counted in sixteenths of a millisecond.
    """
    n_minutes = rr_ms.size
    parts = np.empty(n_minutes * _BEATS_PER_MINUTE, dtype=np.uint16)
    first = np.zeros(n_minutes + 1, dtype=np.int64)
    rate = np.zeros(n_minutes + 1)
    own = lane_key(key, 1)
    shortest, longest = np.int64(_PARTS_PER_MS * SHORTEST_RR_MS), np.int64(_PARTS_PER_MS * LONGEST_RR_MS)
    span = np.uint64(longest - shortest)
    breath = breath_before = mayer = mayer_before = slow = np.float32(0.0)
    n = np.uint64(0)
    now = np.int64(0)  # into the minute at which the last beat fell
    for m in range(n_minutes):
        # Two ramps between the minutes' edges, bent in the middle such that the minute's mean is as asked.
        here = _PARTS_PER_MS * np.float64(rr_ms[m])
        begin = 0.5 * (_PARTS_PER_MS * np.float64(rr_ms[max(m - 1, 0)]) + here)
        end = 0.5 * (here + _PARTS_PER_MS * np.float64(rr_ms[min(m + 1, n_minutes - 1)]))
        middle = min(max(2.0 * here - 0.5 * (begin + end), shortest), longest)
        breath_1, breath_2, breath_drive = waves[m, 0], waves[m, 1], waves[m, 2]
        mayer_1, mayer_2, mayer_drive = waves[m, 3], waves[m, 4], waves[m, 5]
        slow_1, slow_drive, white = waves[m, 6], waves[m, 7], waves[m, 8]
        address = np.uint64((first_minute + m) * _BEATS_PER_MINUTE)
        begun = n
        interval = np.int64(1)
        for half in range(2):
            slope = ((middle - begin) if half == 0 else (end - middle)) / _HALF_MINUTE_PARTS
            since = now - half * _HALF_MINUTE_PARTS
            level = np.float32((begin if half == 0 else middle) + slope * since + 0.5)  # the half rounds what is cut
            growth = np.float32(1.0 + slope)
            until = (half + 1) * _HALF_MINUTE_PARTS
            while now < until:
                word = bits(own, address)
                address += np.uint64(1)
                breath_now = breath_1 * breath + (
                    breath_2 * breath_before + breath_drive * np.float32(quantile_normal(word, 0))
                )
                mayer_now = mayer_1 * mayer + (
                    mayer_2 * mayer_before + mayer_drive * np.float32(quantile_normal(word, 1))
                )
                slow = slow_1 * slow + slow_drive * np.float32(quantile_normal(word, 2))
                breath_before, breath = breath, breath_now
                mayer_before, mayer = mayer, mayer_now
                variation = (breath_now + mayer_now) + (slow + white * np.float32(quantile_normal(word, 3)))
                interval = np.int64(level + variation)
                if np.uint64(interval - shortest) > span:  # as unsigned numbers, below the shortest is far above
                    interval = min(max(interval, shortest), longest)
                level *= growth
                parts[n] = np.uint16(interval)
                n += np.uint64(1)
                now += interval
        now -= 2 * _HALF_MINUTE_PARTS
        beyond = np.float64(now) / np.float64(interval)  # share of the last interval that lies in the next minute
        rate[m] += np.float64(n - begun) - beyond
        rate[m + 1] += beyond
        first[m + 1] = n - np.uint64(1)  # the beat that crossed ends in the next minute
    return parts[: n - np.uint64(1)], first, rate


@compiled
def _early_beats(
    key: Key, first_minute: int, parts: Parts, first: NDArray[np.int64], chance: float
) -> NDArray[np.bool_]:
    """Make a beat of a minute come early with ``chance``, in place; True for the intervals between normal beats.

    The pause after it is full (the sinus node keeps its own time), so no other beat moves.
    """
    normal = np.ones(parts.size, dtype=np.bool_)
    shortest, longest = _PARTS_PER_MS * SHORTEST_RR_MS, _PARTS_PER_MS * LONGEST_RR_MS
    own = lane_key(key, 3)
    for m in range(first.size - 1):
        word = bits(own, np.uint64(first_minute + m))
        if unit(word) < chance:
            place = unit(bits(own, ~np.uint64(first_minute + m)))
            i = first[m] + int(place * (first[m + 1] - 1 - first[m]))
            most = min(np.float64(parts[i]) - shortest, longest - np.float64(parts[i + 1]))
            early = np.uint16(min(np.float64(np.float32(PREMATURE) * np.float32(parts[i])), most))
            parts[i] -= early
            parts[i + 1] += early
            normal[i] = normal[i + 1] = False
    return normal


_LOST, _FOUND, _AS_BEFORE = np.uint8(0), np.uint8(1), np.uint8(2)
_BYTE_ONES: Final = np.uint64(0x0101_0101_0101_0101)


@compiled
def _fates(
    word: np.uint64,
    beats: int,
    lucky: np.uint32,
    gross: np.uint32,
    fine_parts: np.float32,
    gross_parts: np.float32,
    fates: NDArray[np.uint8],
    misplaced: NDArray[np.int32],
) -> None:
    """Whether each beat of a minute is found, and by how many sixteenths of a millisecond it is misplaced.

    Of a scrambled number 16 bits say a beat's fate and 16 whether it is grossly wrong; scrambled once more, its four
    bytes add up to a nearly normal number. No step depends on the one before, so that many are done at a time.
    """
    key, other = np.uint32(word & np.uint64(0xFFFFFFFF)), np.uint32(word >> np.uint64(32))
    shared = np.uint32(_RUN_KEPT * 65536.0)
    byte = np.uint32(255)
    for i in range(np.uint64(beats)):
        x = scrambled(np.uint32(i), key, other)
        y = np.uint32(np.uint32(np.uint32(x ^ np.uint32(x >> np.uint32(16))) * np.uint32(0x85EBCA6B)) + other)
        y = np.uint32(y ^ np.uint32(y >> np.uint32(13)))
        luck = np.uint32(x & np.uint32(0xFFFF))
        fates[i] = _AS_BEFORE if luck < shared else _FOUND if luck < lucky else _LOST
        low = np.int32(np.uint32(y & byte)) + np.int32(np.uint32(np.uint32(y >> np.uint32(8)) & byte))
        high = np.int32(np.uint32(np.uint32(y >> np.uint32(16)) & byte)) + np.int32(np.uint32(y >> np.uint32(24)))
        size = gross_parts if np.uint32(x >> np.uint32(16)) < gross else fine_parts
        misplaced[i] = np.int32(size * np.float32(np.int32(low + high - np.int32(510))))


@compiled
def _settle(fates: NDArray[np.uint64], blocks: int, state: np.uint64) -> None:
    """Replace each beat's fate by 1 if it is found and by 0 if not, where "as before" takes the last other fate.

    A carry does that for eight beats in one addition: a byte that is found sends one on (255 + 1), one that is lost
    stops it (0 + 0), and one that is as before passes on what it got (255 + 0).

    Args:
        fates: A byte a beat, eight to a word.
        blocks: How many words.
        state: 1 if the beat before the first was found, else 0.
    """
    for block in range(np.uint64(blocks)):
        one = fates[block] & _BYTE_ONES
        through = (one | ((fates[block] >> np.uint64(1)) & _BYTE_ONES)) * np.uint64(255)
        total = through + one + state
        into = total ^ through ^ one  # the lowest bit of each byte: what it got
        state = ((through & one) | ((through | one) & ~total)) >> np.uint64(63)
        fates[block] = ((into >> np.uint64(8)) & _BYTE_ONES) | (state << np.uint64(56))


@compiled
def _find(
    key: Key,
    first_minute: int,
    parts: Parts,
    normal: NDArray[np.uint8],
    first: NDArray[np.int64],
    found_share: Singles,
    jitter_ms: Singles,
    gross_share: Singles,
    gross_ms: float,
) -> tuple[Parts, NDArray[np.uint8]]:
    """Intervals as measured and whether they were found."""
    measured = np.empty_like(parts)
    found = np.empty(parts.size, dtype=np.uint8)
    words = np.empty(_BEATS_PER_MINUTE // 8, dtype=np.uint64)
    fates = words.view(np.uint8)
    misplaced = np.zeros(_BEATS_PER_MINUTE + 1, dtype=np.int32)  # the first: of the last minute's last beat
    own = lane_key(key, 2)
    to_parts = _PARTS_PER_MS / _BYTES_SD
    state = np.uint64(1)
    least, most = np.int32(SHORTEST_RR_MS * _PARTS_PER_MS), np.int32(LONGEST_RR_MS * _PARTS_PER_MS)
    for m in range(found_share.size):
        begin, n = np.uint64(first[m]), np.uint64(first[m + 1] - first[m])
        lucky = np.uint32((_RUN_KEPT + (1.0 - _RUN_KEPT) * found_share[m]) * 65536.0)
        gross = np.uint32(gross_share[m] * 65536.0)
        word = bits(own, np.uint64(first_minute + m))
        sizes = np.float32(jitter_ms[m] * to_parts), np.float32(gross_ms * to_parts)
        _fates(word, int(n), lucky, gross, sizes[0], sizes[1], fates, misplaced[1:])
        for i in range(n):
            moved = np.int32(misplaced[i + np.uint64(1)] - misplaced[i])
            measured[begin + i] = np.uint16(min(max(np.int32(np.int32(parts[begin + i]) + moved), least), most))
        _settle(words, int(n + np.uint64(7)) // 8, state)
        for i in range(n):
            found[begin + i] = fates[i] & normal[begin + i]
        if n > 0:
            state = np.uint64(fates[n - np.uint64(1)])
        misplaced[0] = misplaced[n]
    return measured, found


@compiled
def _cover(parts: Parts, found: NDArray[np.uint8], first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each minute how many intervals were found, the time that they take, and all time; [3, minutes].

    Times are in sixteenths of a millisecond. The day's very first interval, which is in no window, is left out.
    """
    sums = np.empty((3, first.size - 1), dtype=np.int64)
    for m in range(first.size - 1):
        begin = np.uint64(max(first[m], 1))
        count = covered = whole = np.int32(0)
        for i in range(np.uint64(first[m + 1]) - begin):
            interval = np.int32(parts[begin + i])
            is_found = np.int32(-np.int32(found[begin + i]))  # all bits or none: a mask
            # Numba widens sums of 32-bit integers to 64 bits, which halves what one instruction does; hence the casts.
            count = np.int32(count - is_found)
            covered = np.int32(covered + np.int32(interval & is_found))
            whole = np.int32(whole + interval)
        sums[0, m], sums[1, m], sums[2, m] = count, covered, whole
    return sums


@compiled
def _count_minute(
    parts: Parts,
    found: NDArray[np.uint8],
    begin: int,
    end: int,
    sums: NDArray[np.int64],
    row: int,
    rr_bin: NDArray[np.int32],
    difference_bin: NDArray[np.int32],
) -> None:
    """The sums of a minute's beats into ``sums[row]``, and each beat's bins; no step depends on the one before.

    Sums, in sixteenths of a millisecond and their squares: the square sum of found intervals less the reference; of
    differences the number, their square sum, and those over 30 ms; lowest and highest bins of both.
    """
    zero, far = np.int32(0), np.int32(_NO_BIN)
    reference = np.int32(_REFERENCE_PARTS)
    n_differences = n_large = zero
    square_low = square_high = step_low = step_high = zero
    half = np.int32(0xFFFF)
    low = low_difference = far
    high = high_difference = zero
    n = np.int32(end - begin)
    padded = min((end - begin + 7) // 8 * 8, parts.size - begin)
    for i in range(np.uint64(padded)):
        inside = np.int32(-np.int32(np.int32(i) < n))
        interval = np.int32(parts[np.uint64(begin) + i])
        difference = np.int32(interval - np.int32(parts[np.uint64(begin - 1) + i]))
        is_found = np.int32(inside & np.int32(-np.int32(found[np.uint64(begin) + i])))
        is_pair = np.int32(is_found & np.int32(-np.int32(found[np.uint64(begin - 1) + i])))
        off = np.int32(np.int32(interval - reference) & is_found)
        step = np.int32(difference & is_pair)
        squared = np.int32(off * off)
        square_low = np.int32(square_low + np.int32(squared & half))
        square_high = np.int32(square_high + np.int32(squared >> np.int32(16)))
        n_differences = np.int32(n_differences - is_pair)
        squared = np.int32(step * step)
        step_low = np.int32(step_low + np.int32(squared & half))
        step_high = np.int32(step_high + np.int32(squared >> np.int32(16)))
        n_large = np.int32(n_large + np.int32(squared > np.int32(_LARGE_PARTS * _LARGE_PARTS)))
        k = np.int32(np.int32(interval & is_found) >> np.int32(_BIN_SHIFT))
        j = np.int32(np.int32(step >> np.int32(_BIN_SHIFT)) + np.int32(_DIFFERENCE_BINS // 2))
        j = min(max(j, zero), np.int32(_DIFFERENCE_BINS - 1))
        nowhere = np.int32(far + np.int32(np.int32(i) & np.int32(7)))  # one after the other into one bin would wait
        k = np.int32(k | np.int32(nowhere & ~is_found))
        j = np.int32(np.int32(j & is_pair) | np.int32(nowhere & ~is_pair))
        rr_bin[i] = k
        difference_bin[i] = j
        low = min(low, k)
        high = max(high, np.int32(k & is_found))
        low_difference = min(low_difference, j)
        high_difference = max(high_difference, np.int32(j & is_pair))
    sums[row, 0] = square_low + 65536 * np.int64(square_high)
    sums[row, 1], sums[row, 2], sums[row, 3] = n_differences, step_low + 65536 * np.int64(step_high), n_large
    sums[row, 4], sums[row, 5], sums[row, 6], sums[row, 7] = low, high, low_difference, high_difference


@compiled
def _entropy(window: NDArray[np.int32], low: int, high: int, n: int) -> float:
    """Shannon entropy of a histogram of ``n`` counts between two bins, nats."""
    total = np.int32(0)
    for k in range(np.uint64(low), np.uint64(high + 1)):
        total = np.int32(total + _N_LOG_N[np.uint32(window[k])])
    return max(float(_N_LOG_N[n] - total), 0.0) / (n * float(_LOG_PARTS))


@compiled
def _percentiles(
    window: NDArray[np.int32], low: int, high: int, n: float, cumulated: NDArray[np.int32]
) -> tuple[float, float, float]:
    """The values below which 20, 50 and 80 % of ``n`` counted values lie, linear within their bin, ms.

    All bins are in turn added up, into ``cumulated``, and compared, which costs less than stopping at the right ones.
    """
    begin, bins = np.uint64(low), np.uint64(high + 1 - low)
    below = np.int32(0)
    for k in range(bins):
        cumulated[k] = below
        below = np.int32(below + window[begin + k])
    low_share, half_share, high_share = 0.2 * n, 0.5 * n, 0.8 * n
    low_count, half_count = np.int32(np.ceil(low_share)), np.int32(np.ceil(half_share))
    high_count = np.int32(np.ceil(high_share))
    first = middle = last = np.int32(0)
    for k in range(np.uint64(1), bins):
        first = np.int32(first + np.int32(cumulated[k] < low_count))
        middle = np.int32(middle + np.int32(cumulated[k] < half_count))
        last = np.int32(last + np.int32(cumulated[k] < high_count))
    return (
        _within(window, low, int(first), low_share, cumulated),
        _within(window, low, int(middle), half_share, cumulated),
        _within(window, low, int(last), high_share, cumulated),
    )


@compiled
def _within(window: NDArray[np.int32], low: int, k: int, count: float, cumulated: NDArray[np.int32]) -> float:
    """The value below which ``count`` counted values lie, in the ``k``-th bin after ``low``, ms."""
    place = np.uint64(k)
    inside = (count - cumulated[place]) / np.float64(window[np.uint64(low) + place])
    return float(BIN_MS * (np.float64(low + k) + inside))


@compiled
def _slide(
    window: NDArray[np.int32], ring: NDArray[np.int32], enters: np.uint64, leaves: np.uint64, low: int, high: int
) -> None:
    """Add the minute that enters to a window's histogram, take off the one that leaves, and empty that.

    Neither has any in bins below ``low`` and above ``high``.
    """
    begin, end = np.uint64(low) & ~np.uint64(_BLOCK - 1), (np.uint64(high) | np.uint64(_BLOCK - 1)) + np.uint64(1)
    for k in range(begin, end):
        window[k] += ring[enters, k] - ring[leaves, k]
        ring[leaves, k] = np.int32(0)


@compiled
def _in_windows(cover: NDArray[np.int64], least_valid_percent: float) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """``cover`` summed over the window that ends with each minute, and which minutes are in one that counts.

    Where a window has too few intervals, or too small a share of its time is covered, its number of them becomes 0.
    """
    sums = np.zeros_like(cover)
    wanted = np.zeros(cover.shape[1], dtype=np.bool_)
    count = covered = whole = 0
    for m in range(cover.shape[1]):
        count, covered, whole = count + cover[0, m], covered + cover[1, m], whole + cover[2, m]
        if m >= WINDOW_MINUTES:
            gone = m - WINDOW_MINUTES
            count, covered, whole = count - cover[0, gone], covered - cover[1, gone], whole - cover[2, gone]
        sums[1, m], sums[2, m] = covered, whole
        if m >= WARM_UP_MINUTES and count >= FEWEST_INTERVALS and 100.0 * covered >= least_valid_percent * whole:
            sums[0, m] = count
            for earlier in range(m - WINDOW_MINUTES + 1, m + 1):
                wanted[earlier] = True
    return sums, wanted


@compiled
def _statistics(
    parts: Parts, found: NDArray[np.uint8], first: NDArray[np.int64], least_valid_percent: float
) -> Singles:
    n_minutes = first.size - 1
    out = np.empty((10, n_minutes - WARM_UP_MINUTES), dtype=np.float32)
    cover, wanted = _in_windows(_cover(parts, found, first), least_valid_percent)
    rr_bin = np.empty(_BEATS_PER_MINUTE + 8, dtype=np.int32)
    difference_bin = np.empty(_BEATS_PER_MINUTE + 8, dtype=np.int32)
    rr_ring = np.zeros((_RING, _BINS), dtype=np.int32)
    difference_ring = np.zeros((_RING, _BINS), dtype=np.int32)
    rr_window = np.zeros(_BINS, dtype=np.int32)
    difference_window = np.zeros(_BINS, dtype=np.int32)
    cumulated = np.empty(_BINS, dtype=np.int32)
    sums = np.zeros((WINDOW_MINUTES + n_minutes, 8), dtype=np.int64)  # before the first minute nothing leaves a window
    sums[:, 4] = sums[:, 6] = _NO_BIN
    run = np.zeros(4, dtype=np.int64)  # of the window: the first four sums
    last = np.full(10, np.nan)
    for m in range(n_minutes):
        enters, leaves = np.uint64(m % _RING), np.uint64((m + 1) % _RING)
        new, old = m + WINDOW_MINUTES, m
        if wanted[m]:
            begin = max(first[m], 1)  # the very first beat has none before it, and is in no window
            _count_minute(parts, found, begin, first[m + 1], sums, new, rr_bin, difference_bin)
            for i in range(np.uint64(first[m + 1] - begin)):
                rr_ring[enters, np.uint64(rr_bin[i])] += np.int32(1)
                difference_ring[enters, np.uint64(difference_bin[i])] += np.int32(1)
        low, high = min(sums[new, 4], sums[old, 4]), max(sums[new, 5], sums[old, 5])
        _slide(rr_window, rr_ring, enters, leaves, low, high)
        low, high = min(sums[new, 6], sums[old, 6]), max(sums[new, 7], sums[old, 7])
        _slide(difference_window, difference_ring, enters, leaves, low, high)
        for j in range(4):
            run[j] += sums[new, j] - sums[old, j]
        if m < WARM_UP_MINUTES:
            continue
        last[0] = 100.0 * cover[1, m] / cover[2, m]
        n, pairs = int(cover[0, m]), int(run[1])
        if n > 0 and pairs > 0:
            low = low_difference = np.int64(_NO_BIN)
            high = high_difference = np.int64(0)
            for row in range(old + 1, new + 1):
                low, high = min(low, sums[row, 4]), max(high, sums[row, 5])
                low_difference = min(low_difference, sums[row, 6])
                high_difference = max(high_difference, sums[row, 7])
            last[2], last[3], last[1] = _percentiles(rr_window, int(low), int(high), float(n), cumulated)
            off = (cover[1, m] - n * _REFERENCE_PARTS) / n
            last[4] = (_REFERENCE_PARTS + off) / _PARTS_PER_MS
            last[5] = _entropy(rr_window, int(low), int(high), n)
            last[6] = _entropy(difference_window, int(low_difference), int(high_difference), pairs)
            last[7] = 100.0 * run[3] / pairs
            last[8] = np.sqrt(run[2] / pairs) / _PARTS_PER_MS
            last[9] = np.sqrt(max(run[0] / n - off * off, 0.0)) / _PARTS_PER_MS
        for row in range(10):
            out[row, m - WARM_UP_MINUTES] = last[row]
    return out
