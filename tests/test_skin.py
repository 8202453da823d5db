"""Skin: a heat balance and a sweat level that follow air, sleep, effort, drink and illness, held to slow oracles."""

from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator import skin
from simulator.noise import Floats, time_key
from simulator.population import POPULATIONS, Person
from simulator.routine import Routine, Stage, live_through
from simulator.signals import MINUTES_PER_DAY
from simulator.skin import five_minute_median, heat_balance, skin_conductance, skin_temperature, sweat_drive
from tests.bodies import LEAD_IN, PERSON, full_day, quiet_day

START = date(2024, 3, 1)
N = LEAD_IN + MINUTES_PER_DAY
HOUR = 50  # minutes; the real recordings last 55 or less
REAL = Path(__file__).parents[2] / "shared" / "realdata" / "stress_predict_e4.parquet"


def where(person: Person, day: int, lead_in: int = LEAD_IN) -> tuple[tuple[np.uint64, np.uint64], Floats, int]:
    """Key, clock hours and first minute of a day."""
    hours = np.arange(-lead_in, MINUTES_PER_DAY) % MINUTES_PER_DAY / 60.0
    return time_key(person.seed, person.index, "body"), hours, day * MINUTES_PER_DAY - lead_in


def celsius(routine: Routine, person: Person = PERSON, day: int = 1) -> Floats:
    """Skin temperature of the day's 1,440 minutes."""
    lead_in = routine.lead_in_minutes
    return skin_temperature(person, routine, *where(person, day, lead_in))[lead_in:]


def microsiemens(routine: Routine, person: Person = PERSON, day: int = 1) -> Floats:
    """Skin conductance of the day."""
    return skin_conductance(person, routine, *where(person, day, routine.lead_in_minutes))[0]


def between(first: int, last: int, value: float = 1.0) -> NDArray[np.float32]:
    """``value`` in the day's minutes from ``first`` to before ``last``, else 0."""
    minute = np.arange(N) - LEAD_IN
    return np.where((minute >= first) & (minute < last), np.float32(value), np.float32(0)).astype(np.float32)


# The median


def median_by_sorting(level: Floats, first: int) -> Floats:
    """Median of 2,500 points on the straight lines of five minutes, one window after the other."""
    at = (np.arange(2500) + 0.5) / 500.0
    ends = range(first - 1, level.size)
    return np.array([np.median(np.interp(at, np.arange(6), level[end - 5 : end + 1])) for end in ends])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(6, 9), st.integers(0, 20), st.sampled_from(["white", "walk", "steps"]))
def test_the_median_of_a_straight_course_equals_sorting(seed: int, first: int, more: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    level = rng.normal(size=first + more)
    if kind == "walk":
        level = np.cumsum(level)
    tolerance = 0.01 * np.ptp(level)
    if kind == "steps":  # level for minutes on end
        level = np.floor(level)
        tolerance = np.abs(np.diff(level)).max()  # anything within a jump may halve the minutes
    np.testing.assert_allclose(five_minute_median(level, first), median_by_sorting(level, first), atol=tolerance)


def test_the_median_of_a_level_course_is_that_level() -> None:
    np.testing.assert_allclose(five_minute_median(np.full(30, 0.7), 8), np.full(23, 0.7), atol=1e-8)


def test_a_short_spike_does_not_pass_the_median() -> None:
    level = np.ones(40)
    level[20] = 9.0  # two minutes up and down
    assert five_minute_median(level, 6).max() < 1.5


# Kinetics


def test_temperature_equals_small_steps_of_the_heat_balance() -> None:
    routine = full_day()
    balance = heat_balance(PERSON, routine, *where(PERSON, 2))
    parts, state = 200, None
    expected = np.empty(N)
    for i, (blood, air, flow, cooling, strap) in enumerate(zip(*balance, strict=True)):
        state = (flow * blood + cooling * air) / (flow + cooling) if state is None else state
        path = np.empty(parts)
        for k in range(parts):
            path[k] = state
            state += (flow * (blood - state) + cooling * (air - state)) / (
                skin.SKIN_MINUTES * (1 + skin.SEATED_FLOW) * parts
            )
        expected[i] = path.mean() + strap
        if i == 300:
            break
    np.testing.assert_allclose(skin_temperature(PERSON, routine, *where(PERSON, 2))[:301], expected[:301], atol=2e-3)


def test_sweat_rises_fast_and_dries_slowly() -> None:
    calm, stirred = quiet_day(), quiet_day(arousal=between(600, 660))
    ratio = np.log(microsiemens(stirred) / microsiemens(calm))
    assert ratio[599] == pytest.approx(0.0, abs=1e-9)
    peak = ratio[655]
    assert 0.2 < peak < 0.35
    assert ratio[600:].argmax() > 20
    half_up = int(np.flatnonzero(ratio > peak / 2)[0]) - 600
    half_down = int(np.flatnonzero(ratio[660:] < peak / 2)[0])
    assert 2 <= half_up <= 8  # with the median's two and a half minutes
    assert half_down > 1.5 * half_up


def test_value_and_slope_are_one_line() -> None:
    value, slope = skin_conductance(PERSON, full_day(), *where(PERSON, 1))
    np.testing.assert_allclose(np.diff(value), 0.5 * (slope[1:] + slope[:-1]), atol=1e-9)


# Causes


def test_skin_follows_air_and_sweat_outlasts_the_run() -> None:
    cool = quiet_day()
    hot = quiet_day(ambient_celsius=np.full(N, 30.0, dtype=np.float32))
    assert 0.1 * 8 < (celsius(hot) - celsius(cool)).mean() < 0.45 * 8  # norm tmp_ambient
    assert 0.02 * 8 < np.log(microsiemens(hot) / microsiemens(cool)).mean() < 0.2 * 8  # norm scl_heat
    ran = quiet_day(intensity=between(600, 640, 0.75))
    ratio = microsiemens(ran) / microsiemens(cool)
    assert ratio[590] == pytest.approx(1.0)
    assert 2.0 < ratio[650] < 25.0  # norm scl_postexercise
    assert ratio[760] < 1.3
    change = celsius(ran) - celsius(cool)
    assert -2.5 < change[615] < -0.2  # norm tmp_exercise_dip
    assert change[645:700].max() > 0.1  # the rebound


@pytest.mark.parametrize(
    ("what", "warmer", "wetter"), [("alcohol", 0.4, 0.1), ("fever", 1.0, 0.4), ("digesting", 0.08, 0.05)]
)
def test_drink_illness_and_meals_warm_and_moisten(what: str, warmer: float, wetter: float) -> None:
    plain, changed = quiet_day(), quiet_day(**{what: between(700, 900)})
    gained = celsius(changed) - celsius(plain)
    assert np.abs(gained[:700]).max() < 1e-9
    assert warmer < gained[760:900].mean() < 5 * warmer
    ratio = np.log(microsiemens(changed) / microsiemens(plain))
    assert wetter < ratio[760:900].mean() < 5 * wetter
    more = quiet_day(**{what: between(700, 900, 0.5)})
    assert (celsius(more) - celsius(plain))[760:900].mean() < gained[760:900].mean()


def test_water_takes_heat_and_wets_the_electrodes() -> None:
    swim = quiet_day(water=between(600, 630) > 0, ambient_celsius=np.where(between(600, 630) > 0, 27, 22).astype("f4"))
    assert (celsius(swim) - celsius(quiet_day()))[625:630].max() < -0.5
    assert np.log(microsiemens(swim) / microsiemens(quiet_day()))[620:630].min() > 0.6


def test_storms_belong_to_deep_and_light_sleep() -> None:
    counts = {}
    for stage in Stage:
        routine = quiet_day(stage=np.full(N, stage, dtype=np.uint8))
        drives = [sweat_drive(PERSON, routine, *where(PERSON, day)) for day in range(20)]
        counts[stage] = np.mean([(drive.stirred_log > 1.0).sum() for drive in drives]) / N
    assert counts[Stage.AWAKE] == counts[Stage.REM] == 0.0
    assert counts[Stage.DEEP] == pytest.approx(0.02, rel=0.2)  # 32,400 minutes: standard error 4 %
    assert counts[Stage.LIGHT] == pytest.approx(0.005, rel=0.35)


def test_people_differ_more_awake_than_asleep() -> None:
    warm, cold = (replace(PERSON, skin_temperature_offset_celsius=0.6 * sign) for sign in (1.0, -1.0))
    routine = full_day()
    apart = celsius(routine, warm) - celsius(routine, cold)
    asleep = routine.stage[LEAD_IN:] != Stage.AWAKE
    assert apart[asleep].mean() < 0.75 * apart[~asleep].mean()


def test_an_older_persons_wrist_warms_less_in_sleep() -> None:
    routine = full_day()
    asleep = routine.stage[LEAD_IN:] != Stage.AWAKE
    rises = []
    for age in (25.0, 75.0):
        warmth = celsius(routine, replace(PERSON, age_years=age))
        rises.append(warmth[asleep].mean() - warmth[~asleep].mean())
    assert rises[1] < rises[0] - 0.2


# Many people


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**63), st.integers(0, 10**7), st.integers(0, 4000), st.sampled_from(sorted(POPULATIONS)))
def test_two_days_agree_about_the_hour_before_midnight(seed: int, index: int, day: int, name: str) -> None:
    person = POPULATIONS[name].person(seed, index)
    today, tomorrow = live_through(person, range(day, day + 2), START)
    lead_in = today.lead_in_minutes
    first = skin_temperature(person, today, *where(person, day, lead_in))
    second = skin_temperature(person, tomorrow, *where(person, day + 1, lead_in))
    np.testing.assert_allclose(second[lead_in - 60 : lead_in], first[-60:], atol=0.03)
    late, _ = skin_conductance(person, today, *where(person, day, lead_in))
    lead = replace(tomorrow, lead_in_minutes=lead_in - 60)  # so that the hour before midnight is part of the day
    early, _ = skin_conductance(person, lead, *where(person, day + 1, lead_in))
    np.testing.assert_allclose(np.log(early[:60]), np.log(late[-60:]), atol=0.08)


@cache
def cohort() -> dict[str, Floats]:
    """Skin and stage of 40 people's two days each, [80, 1440]."""
    rows: dict[str, list[Floats]] = {}
    for index in range(40):
        person = POPULATIONS["lsm1"].person(11, index)
        for day, routine in enumerate(live_through(person, range(2), START)):
            lead_in = routine.lead_in_minutes
            scl, slope = skin_conductance(person, routine, *where(person, day, lead_in))
            still = (routine.upright < 0.3) & (routine.intensity < 0.08) & (routine.stage == Stage.AWAKE)
            found = {"celsius": celsius(routine, person, day), "scl": scl, "slope": slope, "still": still[lead_in:]}
            for name, values in (found | {"stage": routine.stage[lead_in:]}).items():
                rows.setdefault(name, []).append(values)
    return {name: np.stack(values) for name, values in rows.items()}


def autocorrelation(values: Floats, lag: int) -> float:
    """Within rows, about each row's mean."""
    centred = values - values.mean(axis=1, keepdims=True)
    return float((centred[:, lag:] * centred[:, :-lag]).mean() / (centred**2).mean())


def test_norms_of_temperature() -> None:
    p = cohort()
    asleep = p["stage"] != Stage.AWAKE
    means = [(row[m].mean(), row[~m].mean()) for row, m in zip(p["celsius"], asleep, strict=True) if m.any()]
    rise = np.mean([night - day for night, day in means])
    assert 1.6 < rise < 3.0  # norms tmp_diff_young, tmp_diff_older
    assert 34.0 < p["celsius"][asleep].mean() < 35.2  # norms tmp_night_goodale, tmp_young_sleep
    seated = np.array([np.median(row[m]) for row, m in zip(p["celsius"], p["still"], strict=True)])
    assert 31.2 < seated.mean() < 33.2  # norms tmp_seated_median, tmp_young_awake
    assert 0.9 < seated.std() < 2.0  # norm tmp_seated_sd
    assert 0.98 < autocorrelation(p["celsius"], 1) < 0.999  # .997 (real recordings)
    assert 0.8 < autocorrelation(p["celsius"], 10) < 0.96  # .90
    assert 0.4 < autocorrelation(p["celsius"], 60) < 0.75  # .55


def test_norms_of_conductance() -> None:
    p = cohort()
    awake = np.where(p["stage"] != Stage.AWAKE, np.nan, p["scl"])
    level = np.nanmedian(awake, axis=1)
    assert 0.2 < np.median(level) < 1.5  # norm scl_person_median
    assert 0.7 < np.log(level).std() < 1.4  # norm scl_lnsd_between, and days
    logs = np.log(p["scl"])
    assert 0.97 < autocorrelation(logs, 1) < 0.9965  # .98 (real recordings), norm scl_ac1
    assert 0.65 < autocorrelation(logs, 10) < 0.87  # .72
    assert 0.25 < autocorrelation(logs, 60) < 0.60  # .36
    slope = p["slope"][p["stage"] == Stage.AWAKE]
    low, middle, high = np.percentile(slope, [5, 50, 95])
    assert -0.6 < low < -0.05  # norm scl_slope_p5
    assert abs(middle) < 0.03  # norm scl_slope_median
    assert 0.05 < high < 0.6  # norm scl_slope_p95


# Real wrists


@pytest.mark.skipif(not REAL.exists(), reason="the real recordings lie beside the project, not in it")
def test_an_hour_seated_moves_as_a_real_wrist_does() -> None:
    """35 people with an E4, an hour each: how level and temperature move from minute to minute within the hour."""
    table = pd.read_parquet(REAL, columns=["person_id", "scl", "temp_mean", "worn_guess"])
    hours = [hour for _, hour in table[table["worn_guess"] == 1].groupby("person_id") if len(hour) >= HOUR]
    real = {
        "scl": np.stack([np.log(median_of_five(hour["scl"].to_numpy()))[: HOUR - 4] for hour in hours]),
        "celsius": np.stack([hour["temp_mean"].to_numpy()[: HOUR - 4] for hour in hours]),
    }
    p = cohort()
    ours: dict[str, list[Floats]] = {"scl": [], "celsius": []}
    for row, still in enumerate(p["still"].astype(bool)):
        for begin in range(540, 1260, HOUR):
            if still[begin : begin + HOUR].mean() > 0.9:
                ours["scl"].append(np.log(p["scl"][row, begin : begin + HOUR - 4]))
                ours["celsius"].append(p["celsius"][row, begin : begin + HOUR - 4])
    for name, tolerance in (("scl", 0.08), ("celsius", 0.12)):
        simulated = np.stack(ours[name])
        for lag in (1, 2, 3, 5, 10):  # standard error of the real ones at 10 min: 0.06
            wanted = autocorrelation(real[name], lag)
            assert autocorrelation(simulated, lag) == pytest.approx(wanted, abs=tolerance), (name, lag)
        spreads = [np.median(values.std(axis=1)) for values in (simulated, real[name])]
        assert 0.6 < spreads[0] / spreads[1] < 1.6, name


def median_of_five(values: Floats) -> Floats:
    """Of each value and the four before it, from the fifth on; what LSM-1's five minutes leave of the E4's level."""
    return np.median(np.lib.stride_tricks.sliding_window_view(values, 5), axis=1)
