"""The pulse at sensor rate, and the fast statistics and heart rate held to LSM-1's definitions on it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from simulator.noise import Floats
from simulator.physiology import Latent, embody
from simulator.reference.pulse import Intervals, Pulse, entropy, find, heart_rate, pulse, statistics, true_intervals
from simulator.signals import INDEX, MINUTES_PER_DAY, RR_STATISTICS
from tests.bodies import PERSON, full_day

STILL = np.zeros(MINUTES_PER_DAY, dtype=np.float32)
FIRST, MINUTES = 100, 120  # asleep
CHECKED = range(FIRST + 5, FIRST + MINUTES - 1, 6)
BIN_OF = {"rr_p20", "rr_median", "rr_p80"}  # known to within their bin of 8 ms


@cache
def latent() -> Latent:
    return embody(PERSON, full_day(), 2)


@cache
def recorded() -> Pulse:
    return pulse(latent().beats, STILL, FIRST, MINUTES)


def truth(name: str) -> Floats:
    values: Floats = latent().truth[INDEX[name]].astype(np.float64)
    return values


def test_the_fast_statistics_are_those_of_the_definitions() -> None:
    heart = true_intervals(latent().beats)
    for minute in (0, 3, 200, 601, 1035, 1439):  # asleep, seated, running
        for name, expected in statistics(heart, minute).items():
            bound = 8.0 if name in BIN_OF else 2e-3 * abs(expected) + 0.05
            # A beat within a hundredth of a millisecond of a minute's edge may be filed on its other side.
            assert abs(truth(name)[minute] - expected) <= bound, (name, minute)


def test_heart_rate_is_the_mean_over_every_instant() -> None:
    heart = true_intervals(latent().beats)
    for minute in (0, 200, 601, 1035, 1438):
        assert truth("heart_rate")[minute] == pytest.approx(heart_rate(heart, minute), abs=0.05)


def test_beats_found_in_the_curve_are_the_hearts() -> None:
    found = find(recorded())
    beats = recorded().beat_seconds
    assert found.valid.mean() > 0.99
    assert abs(found.rr_ms.size - beats.size) <= 0.005 * beats.size
    # The steepest rise follows the beat by a time that changes little: intervals agree to a few milliseconds.
    nearest = np.abs(beats[None, :] + 60.0 * FIRST + 0.15 - found.end_seconds[:, None]).argmin(axis=1)
    inner = slice(10, -10)
    off = found.end_seconds[inner] - 60.0 * FIRST - beats[nearest[inner]]
    assert np.percentile(np.abs(off - np.median(off)), 95) < 0.015


def test_the_fast_truth_is_what_a_good_sensor_would_compute_from_the_curve() -> None:
    found = find(recorded())
    off: dict[str, list[float]] = {name: [] for name in ("heart_rate", *RR_STATISTICS)}
    for minute in CHECKED:
        for name, value in (statistics(found, minute) | {"heart_rate": heart_rate(found, minute)}).items():
            off[name].append(value - truth(name)[minute])
    bounds = {"heart_rate": 0.5, "rr_valid": 2.0, "rr_mean": 5.0, "rr_p20": 8.0, "rr_median": 8.0, "rr_p80": 8.0}
    bounds |= {"rr_entropy": 0.12, "rr_diff_entropy": 0.15, "pnn30": 6.0, "rmssd": 3.0, "sdnn": 3.0}
    for name, bound in bounds.items():
        assert abs(np.median(off[name])) <= bound, name
        assert np.percentile(np.abs(off[name]), 90) <= 2.0 * bound, name


def test_motion_spoils_beats_and_early_beats_are_not_valid() -> None:
    shaken = find(pulse(latent().beats, STILL + np.float32(0.1), FIRST, 30))
    assert shaken.valid.mean() < 0.8 * find(recorded()).valid.mean()
    often = embody(replace(PERSON, age_years=40.0), full_day(), 2).beats
    rr_ms = often.rr_ms.copy()
    middle = int(often.first[10 + FIRST + 5])
    rr_ms[middle], rr_ms[middle + 1] = 0.64 * rr_ms[middle], rr_ms[middle + 1] + 0.36 * rr_ms[middle]
    normal = often.found.copy()
    normal[middle : middle + 2] = False
    seen = find(pulse(replace(often, parts=np.round(16.0 * rr_ms).astype(np.uint16), found=normal), STILL, FIRST, 15))
    near = np.abs(seen.end_seconds - 60.0 * (FIRST + 5)) < 3.0
    assert not seen.valid[near].all()
    assert seen.valid[~near].mean() > 0.98


def test_plain_definitions_by_hand() -> None:
    assert entropy(np.array([801.0, 802.0, 809.0, 815.0])) == pytest.approx(np.log(2.0))
    rr_ms = np.array([800.0, 840.0, 800.0, 810.0])
    listed = Intervals(end_seconds=np.cumsum(rr_ms) / 1e3, rr_ms=rr_ms, valid=np.array([True, True, False, True]))
    found = statistics(listed, 0)
    assert found["rr_valid"] == pytest.approx(100.0 * 2450.0 / 3250.0)
    assert found["pnn30"] == 100.0  # one pair in a row, 40 ms apart
    assert found["rmssd"] == 40.0
    with pytest.raises(ValueError, match="minute=0"):
        statistics(replace(listed, valid=np.array([True, False, True, False])), 0)


def test_a_stretch_outside_the_day_is_refused() -> None:
    with pytest.raises(ValueError, match="first_minute=1400"):
        pulse(latent().beats, STILL, 1400, 60)
