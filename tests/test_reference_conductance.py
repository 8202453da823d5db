"""The fast skin signals against small steps at sensor rate, and the bursts of the reference against what is known."""

from datetime import date
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.noise import Floats, time_key
from simulator.population import POPULATIONS, Person
from simulator.reference.conductance import (
    MEDIAN_MINUTES,
    SAMPLES_PER_MINUTE,
    RawSkin,
    conductance_minutes,
    fitted_lines,
    raw_skin,
    temperature_minutes,
)
from simulator.routine import Routine, Stage, live
from simulator.signals import MINUTES_PER_DAY
from simulator.skin import skin_conductance, skin_temperature

START = date(2024, 3, 1)
DAY = 2
PEOPLE = 12


@cache
def lived(index: int) -> tuple[Person, Routine, RawSkin]:
    """A person's whole day at sensor rate."""
    person = POPULATIONS["lsm1"].person(5, index)
    routine = live(person, DAY, START)
    return person, routine, raw_skin(person, routine, DAY, 0, MINUTES_PER_DAY)


def fast(person: Person, routine: Routine) -> tuple[Floats, Floats, Floats]:
    """The fast path's conductance, slope and temperature of the same day."""
    lead_in = routine.lead_in_minutes
    hours = np.arange(-lead_in, MINUTES_PER_DAY) % MINUTES_PER_DAY / 60.0
    where = time_key(person.seed, person.index, "body"), hours, DAY * MINUTES_PER_DAY - lead_in
    value, slope = skin_conductance(person, routine, *where)
    return value, slope, skin_temperature(person, routine, *where)[lead_in:]


@pytest.mark.parametrize("index", range(PEOPLE))
def test_fast_conductance_equals_the_reference(index: int) -> None:
    """Level without bias, 3 % from minute to minute (bursts, storms' sharp fronts); slopes within 25 % of their SD."""
    person, routine, raw = lived(index)
    value, slope, _ = fast(person, routine)
    raw_value, raw_slope = conductance_minutes(raw)
    error = np.log(value / raw_value)
    assert abs(error.mean()) < 0.004
    assert error.std() < 0.03
    assert np.percentile(np.abs(error), 95) < 0.05
    assert np.corrcoef(slope, raw_slope)[0, 1] > 0.98
    assert np.std(slope - raw_slope) < 0.25 * np.std(raw_slope)


@pytest.mark.parametrize("index", range(PEOPLE))
def test_fast_temperature_equals_the_reference(index: int) -> None:
    """0.05 degC where air changes by tens of degrees, 0.005 else: a second's step, and readings each ten seconds."""
    person, routine, raw = lived(index)
    error = fast(person, routine)[2] - temperature_minutes(raw)
    assert np.abs(error).max() < 0.05
    assert error.std() < 0.005


def test_a_burst_is_a_bateman_response() -> None:
    """Its height apart, each burst that stands alone has the course of a difference of two exponentials."""
    _, _, raw = lived(0)
    phasic = raw.conductance_microsiemens - raw.tonic_microsiemens
    onsets = np.round((raw.burst_minutes + MEDIAN_MINUTES) * SAMPLES_PER_MINUTE).astype(int)
    alone = (np.diff(onsets, prepend=-1000) > 120) & (np.diff(onsets, append=phasic.size + 1000) > 60)
    seconds = np.arange(48) * 60.0 / SAMPLES_PER_MINUTE
    course = np.exp(-seconds / 2.0) - np.exp(-seconds / 0.75)
    courses = np.stack([phasic[onset : onset + 48] / phasic[onset : onset + 48].max() for onset in onsets[alone]])
    assert len(courses) > 100
    np.testing.assert_allclose(courses, np.broadcast_to(course / course.max(), courses.shape), atol=1e-3)
    heights = np.array([(phasic / raw.tonic_microsiemens)[onset : onset + 48].max() for onset in onsets[alone]])
    assert 0.045 < np.median(heights) < 0.075


def test_nights_have_as_many_bursts_as_students_wrists_and_mostly_in_non_rem_sleep() -> None:
    per_night, in_nrem = [], 0
    for index in range(PEOPLE):
        _, routine, raw = lived(index)
        stage = routine.stage[routine.lead_in_minutes :]
        begun = stage[raw.burst_minutes[raw.burst_minutes >= 0].astype(int)]
        asleep = begun[begun != Stage.AWAKE]
        per_night.append(asleep.size)
        in_nrem += np.isin(asleep, [Stage.LIGHT, Stage.DEEP]).sum()
    assert 20 < np.median(per_night) < 200  # norm scl_sleep_peaks
    assert 0.7 < in_nrem / np.sum(per_night) < 0.97  # norm scl_sleep_nrem


def test_the_median_keeps_sparse_bursts_out_of_the_tonic_level() -> None:
    _, _, raw = lived(1)
    phasic = raw.conductance_microsiemens - raw.tonic_microsiemens
    assert phasic.min() > -1e-9
    mean_lift = (phasic / raw.tonic_microsiemens).mean()
    value, _ = conductance_minutes(raw)
    tonic = raw.tonic_microsiemens.reshape(-1, SAMPLES_PER_MINUTE).mean(axis=1)
    lift = np.median(value / np.convolve(tonic, np.ones(5) / 5, "valid")[:-1][: value.size]) - 1.0
    assert lift < 0.8 * mean_lift


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1200), st.integers(1, 240), st.integers(0, PEOPLE - 1))
def test_a_stretch_equals_that_part_of_the_day(first: int, minutes: int, index: int) -> None:
    person, routine, whole = lived(index)
    part = raw_skin(person, routine, DAY, first, minutes)
    cut = slice(first * SAMPLES_PER_MINUTE, (first + minutes + MEDIAN_MINUTES) * SAMPLES_PER_MINUTE)
    np.testing.assert_array_equal(part.conductance_microsiemens, whole.conductance_microsiemens[cut])
    assert part.temperature_celsius.size == 60 * (minutes + MEDIAN_MINUTES)
    for mine, days in zip(conductance_minutes(part), conductance_minutes(whole), strict=True):
        np.testing.assert_allclose(mine, days[first : first + minutes], atol=1e-9)


def test_lines_equal_polyfit() -> None:
    samples = np.random.default_rng(3).normal(size=(20, 240))
    time = (np.arange(240) + 0.5) / 240 - 0.5
    expected = np.polyfit(time, samples.T, 1)
    centre, slope = fitted_lines(samples)
    np.testing.assert_allclose(slope, expected[0], atol=1e-9)
    np.testing.assert_allclose(centre, expected[1], atol=1e-9)


@pytest.mark.parametrize(("first", "minutes"), [(-1, 10), (0, 0), (1400, 41)])
def test_a_stretch_outside_the_day_is_refused(first: int, minutes: int) -> None:
    person, routine, _ = lived(0)
    with pytest.raises(ValueError, match=f"first_minute={first} and minutes={minutes}"):
        raw_skin(person, routine, DAY, first, minutes)
