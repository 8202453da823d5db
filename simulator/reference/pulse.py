"""Pulse: heartbeats as an optical sensor's curve, beats found in it, and LSM-1's ten RR statistics computed plainly.

The fast path (``simulator.heartbeat``) counts intervals as the heart makes them and never draws a curve. Here each beat
of a few hours sends a pulse wave, a systolic and a dicrotic Gaussian [1], deeper with each breath in, under the noise
that the arm's motion makes; the wave is sampled, its steepest rises are found as a watch would, and intervals come from
the times between them. On lists of intervals, the heart's or those found, the definitions of LSM-1 [2] section 3.1 and
Table 18 are computed one minute at a time: percentiles by sorting, entropies by counting, heart rate by asking at every
hundredth of a second how fast the heart beats. Tests hold the fast values to these.

[1] Tang, Chen, Ward & Elgendi, "Synthetic photoplethysmogram generation using two Gaussian functions",
    Sci. Rep. 10:13883, 2020. [2] Narayanswamy, Liu et al., arXiv:2410.13638.
[3] Malik et al. in Task Force of ESC and NASPE, "Heart rate variability", Circulation 93:1043-1065, 1996.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.heartbeat import LONGEST_RR_MS, SHORTEST_RR_MS, WARM_UP_MINUTES, Beats
from simulator.noise import Floats
from simulator.randomness import stream
from simulator.signals import MINUTES_PER_DAY
from simulator.variability import BIN_MS, WINDOW_MINUTES

SAMPLE_HZ: Final = 50.0  # Hz; wrist devices sample at 25 to 100
_SYSTOLIC: Final = (0.24, 0.09, 1.0)  # place and width, shares of an interval, and height (after [1])
_DICROTIC: Final = (0.52, 0.13, 0.45)  # of the reflected wave (after [1])
_BREATH_DEPTH: Final = 0.1  # of a pulse's height that goes with the interval's own excess, breathing in; judgement
_EARLY_HEIGHT: Final = 0.3  # of a pulse after too short a filling; an early beat hardly reaches the wrist; judgement
_NOISE: Final = 0.01  # of a pulse's height, white noise of a still sensor; judgement
_NOISE_PER_G: Final = 6.0  # of a pulse's height per g of the wrist's motion; judgement
_MALIK: Final = 0.2  # of an interval by which the next may differ and both be normal [3]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pulse:
    """A stretch of one day at sensor rate.

    Attributes:
        first_minute: Where the stretch begins, minutes from midnight.
        beat_seconds: float64 [beats], when each beat falls, from the beginning of the stretch.
        ppg: float64 [samples], light absorbed, 1 for the height of a usual pulse.
        sample_hz: Samples per second.
    """

    first_minute: int
    beat_seconds: Floats
    ppg: Floats
    sample_hz: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Intervals:
    """RR intervals in order.

    Attributes:
        end_seconds: float64 [n], when each ends, from midnight.
        rr_ms: float64 [n].
        valid: bool [n], True between normal beats that were found.
    """

    end_seconds: Floats
    rr_ms: Floats
    valid: NDArray[np.bool_]


def true_intervals(beats: Beats) -> Intervals:
    """The heart's own intervals with their times; a device's, if ``beats`` are a device's."""
    rr_ms = beats.rr_ms.astype(np.float64)
    elapsed = np.cumsum(rr_ms) / 1e3
    return Intervals(end_seconds=elapsed - 60.0 * WARM_UP_MINUTES, rr_ms=rr_ms, valid=beats.found.copy())


def pulse(
    beats: Beats, motion_g: NDArray[np.float32], first_minute: int, minutes: int, sample_hz: float = SAMPLE_HZ
) -> Pulse:
    """What an optical sensor on the wrist records of a heart.

    Args:
        beats: From ``embody(...).beats``.
        motion_g: From ``embody(...).motion_g``, [1440].
        first_minute: Beginning of the stretch, minutes from midnight.
        minutes: Its length.
        sample_hz: Samples per second.

    Raises:
        ValueError: If the stretch does not lie within the day.
    """
    if first_minute < 0 or minutes < 1 or first_minute + minutes > MINUTES_PER_DAY:
        raise ValueError(f"{first_minute=} and {minutes=} do not lie within the day's {MINUTES_PER_DAY} minutes")
    heart = true_intervals(beats)
    inside = (heart.end_seconds >= 60.0 * first_minute) & (heart.end_seconds < 60.0 * (first_minute + minutes))
    seconds = heart.end_seconds[inside] - 60.0 * first_minute
    rr_ms, normal = heart.rr_ms[inside], heart.valid[inside]
    usual = np.median(rr_ms)
    ppg = np.zeros(int(60.0 * minutes * sample_hz))
    for beat, beat_seconds in enumerate(seconds):
        lasts = (rr_ms[beat + 1] if beat + 1 < rr_ms.size else rr_ms[beat]) / 1e3
        height = 1.0 + _BREATH_DEPTH * (rr_ms[beat] - usual) / (0.1 * usual)
        if not normal[beat] and rr_ms[beat] < (1.0 - _MALIK) * usual:
            height = _EARLY_HEIGHT
        first = int(np.ceil((beat_seconds - 0.2 * lasts) * sample_hz))
        last = int(np.ceil((beat_seconds + 1.2 * lasts) * sample_hz))
        at = np.arange(max(first, 0), min(last, ppg.size))
        # A wave keeps its shape in time as the interval changes: its place follows the square root (Bazett).
        phase = (at / sample_hz - beat_seconds) / np.sqrt(lasts)
        for place, width, share in (_SYSTOLIC, _DICROTIC):
            ppg[at] += max(height, 0.1) * share * np.exp(-0.5 * ((phase - place) / width) ** 2)
    still = stream(0, "pulse", first_minute, minutes).standard_normal(ppg.size)
    shaken = np.repeat(motion_g[first_minute : first_minute + minutes], int(60.0 * sample_hz))
    ppg += still * (_NOISE + _NOISE_PER_G * shaken.astype(np.float64))
    return Pulse(first_minute=first_minute, beat_seconds=seconds, ppg=ppg, sample_hz=sample_hz)


def find(recorded: Pulse) -> Intervals:
    """The intervals that a watch finds in a curve: between its steepest rises, valid where they differ by under 20 %.

    The slope is smoothed over 0.1 s, as far as pulses allow; a rise counts where the slope is a local maximum above
    half of what is usual in its surroundings, and not within 0.25 s after another; its time is the vertex of a parabola
    through three samples.
    """
    hz = recorded.sample_hz
    width = max(int(0.1 * hz), 1)
    slope = np.gradient(np.convolve(recorded.ppg, np.ones(width) / width, mode="same"))
    around = int(5.0 * hz)
    rises: list[float] = []
    usual = np.array([slope[max(i - around, 0) : i + around].max() for i in range(0, slope.size, int(hz))])
    for i in range(1, slope.size - 1):
        left, here, right = slope[i - 1], slope[i], slope[i + 1]
        if here < left or here <= right or here < 0.5 * usual[int(i // int(hz))]:
            continue
        vertex = i + 0.5 * (left - right) / (left - 2.0 * here + right)
        if not rises or vertex - rises[-1] > 0.25 * hz:
            rises.append(vertex)
    times = np.array(rises) / hz
    rr_ms = 1e3 * np.diff(times)
    possible = (rr_ms >= SHORTEST_RR_MS) & (rr_ms <= LONGEST_RR_MS)
    steady = np.abs(np.diff(rr_ms)) < _MALIK * np.minimum(rr_ms[1:], rr_ms[:-1])
    valid = possible & np.append(True, steady) & np.append(steady, True)
    return Intervals(end_seconds=times[1:] + 60.0 * recorded.first_minute, rr_ms=rr_ms, valid=valid)


def heart_rate(intervals: Intervals, minute: int) -> float:
    """Mean of instantaneous heart rate over a minute, bpm: every hundredth of a second, that of its interval."""
    instants = 60.0 * minute + (np.arange(6000) + 0.5) / 100.0
    running = np.searchsorted(intervals.end_seconds, instants)
    return float(np.mean(60_000.0 / intervals.rr_ms[np.minimum(running, intervals.rr_ms.size - 1)]))


def statistics(intervals: Intervals, minute: int) -> dict[str, float]:
    """The ten RR statistics of ``signals.RR_STATISTICS`` over the five minutes that end with ``minute``.

    Raises:
        ValueError: If the window has fewer than two valid intervals that follow one another.
    """
    begin, end = 60.0 * (minute + 1 - WINDOW_MINUTES), 60.0 * (minute + 1)
    window = np.flatnonzero((intervals.end_seconds >= begin) & (intervals.end_seconds < end))
    rr = intervals.rr_ms[window[intervals.valid[window]]]
    later = [i for i in window if i > 0 and intervals.valid[i] and intervals.valid[i - 1]]
    if not later:
        raise ValueError(f"no two valid intervals in a row in the {WINDOW_MINUTES} minutes up to {minute=}")
    differences = np.array([intervals.rr_ms[i] - intervals.rr_ms[i - 1] for i in later])
    return {
        "rr_valid": 100.0 * rr.sum() / intervals.rr_ms[window].sum(),
        "rr_p80": float(np.percentile(rr, 80)),
        "rr_p20": float(np.percentile(rr, 20)),
        "rr_median": float(np.median(rr)),
        "rr_mean": float(rr.mean()),
        "rr_entropy": entropy(rr),
        "rr_diff_entropy": entropy(differences),
        "pnn30": 100.0 * float(np.mean(np.abs(differences) > 30.0)),
        "rmssd": float(np.sqrt(np.mean(differences**2))),
        "sdnn": float(rr.std()),
    }


def entropy(values_ms: Floats) -> float:
    """Shannon entropy of a histogram with bins of 8 ms, nats."""
    counts = np.unique(np.floor(values_ms / BIN_MS), return_counts=True)[1]
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum())
