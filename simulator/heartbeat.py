"""Beats: autonomic tone in, every heartbeat of a day out, and which of them a device finds.

An RR interval is the minute's mean interval, in ramps from minute to minute, plus four parts whose strengths the
autonomic nervous system sets [1]: breathing (respiratory sinus arrhythmia, high frequency), Mayer waves (the
baroreflex's resonance near 0.1 Hz [2], low frequency), a slow part that remembers a minute (very low frequency: what
makes one minute's heart rate differ from the next at rest) and a white part. Breathing and Mayer waves are damped
oscillators driven by noise, autoregressions of order two, so that each has a spectral peak and no wave repeats another.
Now and then a ventricular beat comes early and is followed by a full compensatory pause. Every beat's noise is
addressed by its minute, so neighbouring days agree on the minutes they share. Intervals are whole sixteenths of a
millisecond, finer than any device's.

[1] Task Force of ESC and NASPE, "Heart rate variability", Circulation 93:1043-1065, 1996.
[2] Julien, "The enigma of Mayer waves", Cardiovasc. Res. 70:12-21, 2006.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.noise import Floats, Key, bits, compiled, compiled_fused, lane_key, quantile_normal, scrambled, unit
from simulator.signals import MINUTES_PER_DAY

WARM_UP_MINUTES: Final = 10
"""Beats before midnight: the first window needs 5 minutes of them, the oscillators settle in the rest."""
BREATH_KEPT: Final = 0.97  # of the breathing oscillation per beat: a spectral peak about 0.01 Hz wide
MAYER_HZ: Final = 0.1  # Hz, centre of the low-frequency peak (Julien 2006)
MAYER_SECONDS: Final = 14.0  # s, memory of a Mayer wave: half width 0.011 Hz, within the band of 0.04 to 0.15 Hz [1]
SLOW_SECONDS: Final = 90.0  # s, memory of the slow part: still minutes of Fitbit wearers correlate so
SHORTEST_RR_MS: Final = 255.0  # 235 bpm
LONGEST_RR_MS: Final = 2300.0  # 26 bpm
PREMATURE: Final = 0.36  # of an interval by which an ectopic beat comes early; filters (Malik) begin at 0.20
_RUN_KEPT: Final = 0.7  # chance that a beat shares its neighbour's fate: found and lost beats come in runs; judgement
BEATS_PER_MINUTE: Final = 256  # addresses kept for one minute's beats, above 60,000 / SHORTEST_RR_MS
PARTS_PER_MS: Final = 16  # intervals are whole sixteenths of a millisecond
_HALF_MINUTE_PARTS: Final = 480_000  # sixteenths of a millisecond in half a minute
_BYTES_SD: Final = 147.80  # of the sum of four independent bytes, whose mean is 510

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
        return self.parts * np.float32(1.0 / PARTS_PER_MS)


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
            out[m, 3 * wave + 2] = PARTS_PER_MS * sd * unit_drive
        out[m, 6] = kept[1, m]
        out[m, 7] = PARTS_PER_MS * slow_ms[m] * np.sqrt(1.0 - np.float64(kept[1, m]) * np.float64(kept[1, m]))
        out[m, 8] = PARTS_PER_MS * white_ms[m]
    return out


@compiled_fused
def _beat(key: Key, first_minute: int, rr_ms: Singles, waves: Singles) -> tuple[Parts, NDArray[np.int64], Floats]:
    """Intervals, the first beat of each minute, and each minute's mean of instantaneous rate (one minute more).

    Time is counted in sixteenths of a millisecond.
    """
    n_minutes = rr_ms.size
    parts = np.empty(n_minutes * BEATS_PER_MINUTE, dtype=np.uint16)
    first = np.zeros(n_minutes + 1, dtype=np.int64)
    rate = np.zeros(n_minutes + 1)
    own = lane_key(key, 1)
    shortest, longest = np.int64(PARTS_PER_MS * SHORTEST_RR_MS), np.int64(PARTS_PER_MS * LONGEST_RR_MS)
    span = np.uint64(longest - shortest)
    breath = breath_before = mayer = mayer_before = slow = np.float32(0.0)
    n = np.uint64(0)
    now = np.int64(0)  # into the minute at which the last beat fell
    for m in range(n_minutes):
        # Two ramps between the minutes' edges, bent in the middle such that the minute's mean is as asked.
        here = PARTS_PER_MS * np.float64(rr_ms[m])
        begin = 0.5 * (PARTS_PER_MS * np.float64(rr_ms[max(m - 1, 0)]) + here)
        end = 0.5 * (here + PARTS_PER_MS * np.float64(rr_ms[min(m + 1, n_minutes - 1)]))
        middle = min(max(2.0 * here - 0.5 * (begin + end), shortest), longest)
        breath_1, breath_2, breath_drive = waves[m, 0], waves[m, 1], waves[m, 2]
        mayer_1, mayer_2, mayer_drive = waves[m, 3], waves[m, 4], waves[m, 5]
        slow_1, slow_drive, white = waves[m, 6], waves[m, 7], waves[m, 8]
        address = np.uint64((first_minute + m) * BEATS_PER_MINUTE)
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
    shortest, longest = PARTS_PER_MS * SHORTEST_RR_MS, PARTS_PER_MS * LONGEST_RR_MS
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
    words = np.empty(BEATS_PER_MINUTE // 8, dtype=np.uint64)
    fates = words.view(np.uint8)
    misplaced = np.zeros(BEATS_PER_MINUTE + 1, dtype=np.int32)  # the first: of the last minute's last beat
    own = lane_key(key, 2)
    to_parts = PARTS_PER_MS / _BYTES_SD
    state = np.uint64(1)
    least, most = np.int32(SHORTEST_RR_MS * PARTS_PER_MS), np.int32(LONGEST_RR_MS * PARTS_PER_MS)
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
