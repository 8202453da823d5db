"""RR statistics: beats in, the ten statistics of every minute's trailing five minutes out.

They are those of LSM-1 [1] section 3.1: once over all intervals between normal beats, as a perfect sensor would have
it, and once over those that a device found, where successive differences count only between intervals that follow one
another. They are sums of per-minute sums of whole numbers, and percentiles and entropies of a window's histogram that
one minute enters and another leaves; so a day comes out the same to the bit whatever the processor's vector width. What
a device's caller would drop, since too small a share is valid, is not computed.

[1] Narayanswamy, Liu et al., arXiv:2410.13638.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.heartbeat import BEATS_PER_MINUTE, PARTS_PER_MS, WARM_UP_MINUTES, Beats, Parts, Singles
from simulator.noise import compiled

WINDOW_MINUTES: Final = 5  # LSM-1 section 3.1
BIN_MS: Final = 8.0  # width of histogram bins; LSM-1 prints none, other widths shift entropy by ln(width / 8)
FEWEST_INTERVALS: Final = 10  # in a window for its statistics to be renewed; fewer and the last ones stand
_BIN_SHIFT: Final = 7  # halvings of a sixteenth that make a bin's number of it
_LARGE_PARTS: Final = 480  # 30 ms: differences above it count for pNN30
_REFERENCE_PARTS: Final = 12_800  # 800 ms, subtracted before squaring, against overflow
_BINS: Final = 320  # of a histogram: 0 to 2,552 ms, or -1,024 to 1,024 ms where the ends take what lies beyond
_NO_BIN: Final = 312  # from here on eight take in turn what is not found, and are never read
_DIFFERENCE_BINS: Final = 256
_BLOCK: Final = 16  # bins of a histogram that are added at a time
_RING: Final = WINDOW_MINUTES + 1  # minutes whose histograms are kept: a window's and the one that leaves it
_LOG_PARTS: Final = 65536  # n ln n is added in whole 1/65536 nats, exactly and in any order
_MOST_IN_WINDOW: Final = WINDOW_MINUTES * BEATS_PER_MINUTE
_N_LOG_N: Final = np.round(
    np.arange(_MOST_IN_WINDOW + 1) * np.log(np.maximum(np.arange(_MOST_IN_WINDOW + 1), 1)) * _LOG_PARTS
).astype(np.int32)


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
    rr_bin = np.empty(BEATS_PER_MINUTE + 8, dtype=np.int32)
    difference_bin = np.empty(BEATS_PER_MINUTE + 8, dtype=np.int32)
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
            last[4] = (_REFERENCE_PARTS + off) / PARTS_PER_MS
            last[5] = _entropy(rr_window, int(low), int(high), n)
            last[6] = _entropy(difference_window, int(low_difference), int(high_difference), pairs)
            last[7] = 100.0 * run[3] / pairs
            last[8] = np.sqrt(run[2] / pairs) / PARTS_PER_MS
            last[9] = np.sqrt(max(run[0] / n - off * off, 0.0)) / PARTS_PER_MS
        for row in range(10):
            out[row, m - WARM_UP_MINUTES] = last[row]
    return out
