"""Beats and their statistics against plain NumPy, and against what the tone asked for."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.heartbeat import (
    BREATH_KEPT,
    LONGEST_RR_MS,
    MAYER_HZ,
    MAYER_SECONDS,
    PREMATURE,
    SHORTEST_RR_MS,
    SLOW_SECONDS,
    WARM_UP_MINUTES,
    Beats,
    Singles,
    Tone,
    _settle,
    beat,
    find_beats,
    seen_by_differences,
)
from simulator.noise import Floats, time_key
from simulator.signals import MINUTES_PER_DAY, RR_STATISTICS
from simulator.variability import BIN_MS, FEWEST_INTERVALS, WINDOW_MINUTES, rr_statistics

KEY = time_key(8, "heart")
N = WARM_UP_MINUTES + MINUTES_PER_DAY


def full(value: float) -> Singles:
    return np.full(N, value, dtype=np.float32)


def steady(
    rr: float = 850.0,
    hz: float = 0.25,
    breath: float = 25.0,
    mayer: float = 30.0,
    slow: float = 0.0,
    white: float = 8.0,
) -> Tone:
    return Tone(full(rr), full(hz), full(breath), full(mayer), full(slow), full(white))


def measured(
    beats: Beats, share: float = 1.0, jitter: float = 0.0, gross: float = 0.0, gross_ms: float = 60.0
) -> Beats:
    return find_beats(beats, full(share), full(jitter), full(gross), gross_ms, KEY, day=1)


def seen(turn: float, kept: float) -> float:
    return seen_by_differences(float(np.cos(turn)), kept)


def entropy(bins: Floats) -> float:
    counts = np.unique(bins, return_counts=True)[1]
    share = counts / counts.sum()
    return float(-(share * np.log(share)).sum())


def slow_statistics(beats: Beats, minute: int) -> dict[str, float]:
    """The ten statistics of one minute from the list of beats, by their definitions."""
    last = minute + WARM_UP_MINUTES
    index = np.arange(beats.first[last - WINDOW_MINUTES + 1], beats.first[last + 1])
    rr = beats.rr_ms.astype(np.float64)
    valid = rr[index[beats.found[index]]]
    later = index[(index > 0) & beats.found[index] & beats.found[np.maximum(index - 1, 0)]]
    difference = rr[later] - rr[later - 1]
    return {
        "rr_valid": 100.0 * valid.sum() / rr[index].sum(),
        "rr_p80": float(np.percentile(valid, 80)),
        "rr_p20": float(np.percentile(valid, 20)),
        "rr_median": float(np.median(valid)),
        "rr_mean": valid.mean(),
        "rr_entropy": entropy(np.floor(valid / BIN_MS)),
        "rr_diff_entropy": entropy(np.floor(difference / BIN_MS)),
        "pnn30": 100.0 * float(np.mean(np.abs(difference) > 30.0)),
        "rmssd": float(np.sqrt(np.mean(difference**2))),
        "sdnn": valid.std(),
    }


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.1, 0.4, 0.8, 1.0]), rr=st.floats(350.0, 1600.0))
def test_sliding_statistics_equal_plain_numpy(seed: int, share: float, rr: float) -> None:
    key = time_key(seed, "oracle")
    beats, _ = beat(steady(rr=rr), key, day=2)
    found = find_beats(beats, full(share), full(4.0), full(0.02), 60.0, key, day=2)
    fast = dict(zip(RR_STATISTICS, rr_statistics(found), strict=True))
    for minute in (0, 1, 4, 700, 1439):
        index = slice(
            found.first[minute + WARM_UP_MINUTES - WINDOW_MINUTES + 1], found.first[minute + WARM_UP_MINUTES + 1]
        )
        if found.found[index].sum() < 3 * FEWEST_INTERVALS:
            continue
        for name, expected in slow_statistics(found, minute).items():
            bound = BIN_MS if name in ("rr_p80", "rr_p20", "rr_median") else 1e-4 * max(expected, 1.0) + 0.01
            assert abs(fast[name][minute] - expected) <= bound, (name, minute)


def test_percentiles_are_not_biased_by_their_bins() -> None:
    beats, _ = beat(steady(), KEY, day=0)
    fast = dict(zip(RR_STATISTICS, rr_statistics(beats), strict=True))
    minutes = range(0, MINUTES_PER_DAY, 30)
    for name in ("rr_p20", "rr_median", "rr_p80"):
        off = [fast[name][m] - slow_statistics(beats, m)[name] for m in minutes]
        assert abs(np.mean(off)) < 4.5 * np.std(off) / np.sqrt(len(off)) + 0.3, name


def test_beats_fall_in_the_minutes_they_are_filed_under() -> None:
    beats, rate = beat(steady(), KEY, day=1)
    ends = np.cumsum(beats.rr_ms.astype(np.float64))
    minute = np.searchsorted(beats.first, np.arange(beats.rr_ms.size), side="right") - 1
    np.testing.assert_allclose(np.floor(ends / 60_000.0), minute, atol=1e-9)
    counted = np.diff(beats.first)[WARM_UP_MINUTES:]
    assert np.abs(rate - counted).max() < 1.0
    assert abs(rate.mean() * 850.0 / 60_000.0 - 1.0) < 0.005


def test_heart_rate_times_mean_interval_is_a_minute() -> None:
    beats, rate = beat(steady(), KEY, day=1)
    mean = rr_statistics(beats)[RR_STATISTICS.index("rr_mean")]
    assert np.abs(mean * np.convolve(rate, np.ones(5) / 5)[: rate.size] / 60_000.0 - 1.0)[5:].max() < 0.03


def test_variability_is_what_the_tone_asks_for() -> None:
    tone = steady()
    beats, _ = beat(tone, KEY, day=1)
    rr = beats.rr_ms[beats.first[WARM_UP_MINUTES] :].astype(np.float64)
    assert abs(rr.std() / np.sqrt(25.0**2 + 30.0**2 + 8.0**2) - 1.0) < 0.03
    breath = 25.0**2 * seen(2.0 * np.pi * 0.25 * 0.85, BREATH_KEPT)
    mayer = 30.0**2 * seen(2.0 * np.pi * MAYER_HZ * 0.85, float(np.exp(-0.85 / MAYER_SECONDS)))
    expected = np.sqrt(breath + mayer + 2.0 * 8.0**2)
    assert abs(np.sqrt(np.mean(np.diff(rr) ** 2)) / expected - 1.0) < 0.03


def test_the_slow_part_remembers_what_it_should() -> None:
    beats, rate = beat(steady(breath=1.0, mayer=1.0, slow=40.0, white=1.0), KEY, day=1)
    rr = beats.rr_ms.astype(np.float64) - beats.rr_ms.mean(dtype=np.float64)
    n = rr.size * 0.85 / (2.0 * SLOW_SECONDS)  # independent values
    assert abs(rr.std() / 40.0 - 1.0) < 4.5 / np.sqrt(2.0 * n)
    lag = round(SLOW_SECONDS / 0.85)
    assert abs(np.mean(rr[lag:] * rr[:-lag]) / rr.var() - np.exp(-1.0)) < 4.5 / np.sqrt(n)
    # Minutes of heart rate differ by it: 40 ms of 850 are 3.3 bpm, of which an average over a minute leaves 88 %.
    assert rate.std() == pytest.approx(3.3 * 0.88, rel=0.12)


def test_intervals_are_whole_sixteenths_of_a_millisecond() -> None:
    beats, _ = beat(replace(steady(slow=30.0), ectopic_per_hour=20.0), KEY, day=1)
    for rr_ms in (beats.rr_ms, measured(beats, share=0.7, jitter=3.3, gross=0.1).rr_ms):
        np.testing.assert_array_equal(16.0 * rr_ms, np.round(16.0 * rr_ms))


def spectrum(tone: Tone) -> tuple[Floats, Floats]:
    """Frequencies, Hz, and mean power of the intervals in stretches of 256 beats."""
    beats, _ = beat(tone, KEY, day=1)
    rr = (beats.rr_ms - beats.rr_ms.mean()).astype(np.float64)
    segments = rr[: rr.size // 256 * 256].reshape(-1, 256) * np.hanning(256)
    power: Floats = (np.abs(np.fft.rfft(segments)) ** 2).mean(axis=0)
    return np.fft.rfftfreq(256, d=0.85).astype(np.float64), power


def test_breathing_and_mayer_waves_make_a_peak_each() -> None:
    hz, power = spectrum(steady(hz=0.3))
    low, high = (hz > 0.04) & (hz < 0.15), (hz > 0.15) & (hz < 0.4)  # bands of the Task Force
    assert abs(hz[low][power[low].argmax()] - MAYER_HZ) < 0.02
    assert abs(hz[high][power[high].argmax()] - 0.3) < 0.015
    assert power[np.abs(hz - 0.2) < 0.01].mean() < 0.3 * min(power[low].max(), power[high].max())
    assert power[hz < 0.02].mean() < 0.3 * power[low].max()  # what is slower comes from heart rate itself
    # A quarter of the Mayer waves' power lies outside their band, and white noise within that of breathing.
    assert 0.65 < power[low].sum() / power[high].sum() / (30.0**2 / 25.0**2) < 1.0


@settings(max_examples=25, deadline=None)
@given(turn=st.floats(0.05, 3.1), kept=st.floats(0.5, 0.99))
def test_differences_see_of_an_oscillator_what_its_moments_say(turn: float, kept: float) -> None:
    step = np.array([[2.0 * kept * np.cos(turn), -(kept**2)], [1.0, 0.0]])  # of the last value and the one before
    covariance = np.zeros((2, 2))
    for _ in range(3000):
        covariance = step @ covariance @ step.T + np.diag([1.0, 0.0])
    lagged = covariance[0, 1]
    assert seen(turn, kept) == pytest.approx(2.0 * (1.0 - lagged / covariance[0, 0]), rel=1e-6)


def test_early_beats_come_at_their_rate_and_nothing_else_moves() -> None:
    calm, _ = beat(steady(), KEY, day=1)
    often, _ = beat(replace(steady(), ectopic_per_hour=30.0), KEY, day=1)
    assert calm.found.all()
    early = np.flatnonzero(~often.found)[::2]
    assert early.size == pytest.approx(30.0 * N / 60.0, abs=4.5 * np.sqrt(30.0 * N / 60.0))
    np.testing.assert_array_equal(often.rr_ms[often.found], calm.rr_ms[often.found])
    np.testing.assert_allclose(often.rr_ms[early], (1.0 - PREMATURE) * calm.rr_ms[early], atol=1.0 / 16.0)
    pair = often.rr_ms[early] + often.rr_ms[early + 1]
    np.testing.assert_array_equal(pair, calm.rr_ms[early] + calm.rr_ms[early + 1])
    np.testing.assert_array_equal(often.first, calm.first)
    # Statistics are those of the normal intervals, as both a physician's and a watch's are.
    rmssd = RR_STATISTICS.index("rmssd")
    assert abs(rr_statistics(often)[rmssd].mean() / rr_statistics(calm)[rmssd].mean() - 1.0) < 0.02
    assert 97.0 < rr_statistics(often)[0].mean() < 99.5


@pytest.mark.parametrize("rr", [260.0, 2250.0])
def test_intervals_stay_possible_whatever_is_asked(rr: float) -> None:
    beats, rate = beat(steady(rr=rr, breath=200.0, mayer=300.0, white=150.0), KEY, day=1)
    assert beats.rr_ms.min() >= SHORTEST_RR_MS - 0.1
    assert beats.rr_ms.max() <= LONGEST_RR_MS + 0.1
    assert np.isfinite(rr_statistics(beats)).all()
    assert np.isfinite(rate).all()


def test_days_are_addressed_by_their_number() -> None:
    again, other = beat(steady(), KEY, day=4)[0], beat(steady(), KEY, day=5)[0]
    np.testing.assert_array_equal(beat(steady(), KEY, day=4)[0].rr_ms, again.rr_ms)
    n = min(again.rr_ms.size, other.rr_ms.size)
    assert abs(np.corrcoef(again.rr_ms[:n], other.rr_ms[:n])[0, 1]) < 0.05


def test_a_device_finds_the_share_it_should_in_runs() -> None:
    beats, _ = beat(steady(), KEY, day=1)
    found = measured(beats, share=0.6)
    assert abs(found.found.mean() - 0.6) < 0.01
    together = np.corrcoef(found.found[1:], found.found[:-1])[0, 1]
    assert abs(together - 0.7) < 0.02
    np.testing.assert_array_equal(found.rr_ms, beats.rr_ms)


@settings(max_examples=50, deadline=None)
@given(fates=st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=40), state=st.sampled_from([0, 1]))
def test_a_carry_settles_fates_as_one_by_one(fates: list[int], state: int) -> None:
    expected, last = [], state
    for fate in fates:
        last = last if fate == 2 else fate
        expected.append(last)
    words = np.zeros(-(-len(fates) // 8), dtype=np.uint64)
    words.view(np.uint8)[: len(fates)] = fates
    _settle(words, len(words), np.uint64(state))
    assert words.view(np.uint8)[: len(fates)].tolist() == expected


def test_jitter_moves_beats_and_cancels_over_time() -> None:
    beats, _ = beat(steady(breath=1.0, mayer=1.0, white=1.0), KEY, day=1)
    found = measured(beats, jitter=5.0)
    assert found.found.all()
    off = (found.rr_ms - beats.rr_ms).astype(np.float64)
    assert np.abs(np.cumsum(off)).max() < 5.0 * 6.0
    assert abs(off.std() / (5.0 * np.sqrt(2.0)) - 1.0) < 0.03
    assert abs(np.corrcoef(off[1:], off[:-1])[0, 1] + 0.5) < 0.02  # what one interval gains, the next one loses


def test_gross_errors_come_at_their_rate_with_their_size() -> None:
    beats, _ = beat(steady(breath=1.0, mayer=1.0, white=1.0), KEY, day=1)
    off = np.cumsum((measured(beats, gross=0.04, gross_ms=60.0).rr_ms - beats.rr_ms).astype(np.float64))
    moved = np.abs(off) > 0.03
    assert abs(moved.mean() - 0.04) < 4.5 * np.sqrt(0.04 / off.size) + 0.001
    assert abs(off[moved].std() / 60.0 - 1.0) < 0.05


def test_fate_and_misplacement_are_independent() -> None:
    beats, _ = beat(steady(breath=1.0, mayer=1.0, white=1.0), KEY, day=1)
    found = measured(beats, share=0.5, jitter=5.0)
    off = np.cumsum((found.rr_ms - beats.rr_ms).astype(np.float64))
    spread = 4.5 / np.sqrt(off.size)
    for value in (off, off**2, np.abs(off)):
        assert abs(np.corrcoef(value, found.found)[0, 1]) < 2.0 * spread  # found beats come in runs
        assert abs(np.corrcoef(value[1:], value[:-1])[0, 1]) < spread
    assert 2.5 < np.mean(off**4) / np.mean(off**2) ** 2 < 2.9  # of four bytes' sum: 2.7


def test_statistics_stand_still_where_no_beat_is_found() -> None:
    share = full(1.0)
    share[WARM_UP_MINUTES + 300 : WARM_UP_MINUTES + 400] = 0.0
    beats, _ = beat(steady(), KEY, day=1)
    valid, *others = rr_statistics(find_beats(beats, share, full(0.0), full(0.0), 0.0, KEY, day=1))
    assert valid[305:399].max() == 0.0
    for row in others:
        assert len(set(row[306:399].tolist())) == 1


def test_statistics_below_the_wanted_share_stand_still_and_the_others_are_the_same() -> None:
    found = measured(beat(steady(), KEY, day=1)[0], share=0.5, jitter=4.0)
    every, some = rr_statistics(found), rr_statistics(found, least_valid_percent=50.0)
    np.testing.assert_array_equal(some[0], every[0])
    wanted = every[0] >= 50.0
    assert 0.3 < wanted.mean() < 0.7
    np.testing.assert_array_equal(some[:, wanted], every[:, wanted])
    later = np.flatnonzero(~wanted[1:]) + 1
    np.testing.assert_array_equal(some[1:, later], some[1:, later - 1])


def test_a_watch_that_never_finds_a_beat_has_no_statistics() -> None:
    beats, _ = beat(steady(), KEY, day=1)
    statistics = rr_statistics(measured(beats, share=0.0))
    assert (statistics[0] < 1.0).all()
    assert np.isnan(statistics[1:]).all()


@pytest.mark.parametrize("change", [lambda rr: rr + 20.0, lambda rr: rr * 1.05])
def test_slower_hearts_have_longer_intervals(change: Callable[[float], float]) -> None:
    usual, slower = (rr_statistics(beat(steady(rr=rr), KEY, 1)[0]) for rr in (800.0, change(800.0)))
    for name in ("rr_p20", "rr_median", "rr_mean", "rr_p80"):
        row = RR_STATISTICS.index(name)
        assert slower[row].mean() > usual[row].mean() + 15.0
