"""The body: kinetics, continuity at midnight, physical ranges for anybody, and the published norms."""

import json
import os
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator.kinetics import relax
from simulator.noise import Floats, time_key
from simulator.physiology import Latent, autonomic_tone, embody, heart_rate
from simulator.population import POPULATIONS
from simulator.routine import Routine, Stage, live, live_through
from simulator.signals import INDEX, MINUTES_PER_DAY, NAMES, SIGNALS
from simulator.skin import skin_conductance, skin_temperature
from tests.bodies import LEAD_IN, PERSON, full_day, quiet_day

START = date(2024, 3, 1)
KEY = time_key(PERSON.seed, PERSON.index, "body")
GOLDEN = Path(__file__).with_name("golden_body.json")


def clock(routine: Routine) -> Floats:
    return np.arange(-routine.lead_in_minutes, MINUTES_PER_DAY) % MINUTES_PER_DAY / 60.0


def signal(latent: Latent, name: str) -> Floats:
    values: Floats = latent.truth[INDEX[name]].astype(np.float64)
    return values


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**63),
    index=st.integers(0, 10**7),
    day=st.integers(0, 4000),
    name=st.sampled_from(sorted(POPULATIONS)),
)
def test_anybody_stays_inside_the_physical_ranges(seed: int, index: int, day: int, name: str) -> None:
    person = POPULATIONS[name].person(seed, index)
    latent = embody(person, live(person, day, START), day)
    assert latent.truth.dtype == np.float32
    for known, values in zip(SIGNALS, latent.truth, strict=True):
        assert known.low <= values.min(), known.name
        assert values.max() <= known.high, known.name
    inner = {"heart_rate", "rr_mean", "rr_median", "rmssd", "sdnn", "skin_temperature", "scl", "log_energy", "kurtosis"}
    for known, values in zip(SIGNALS, latent.truth, strict=True):
        if known.name in inner:
            assert known.low < values.min(), f"{known.name} is cut at its range"
            assert values.max() < known.high, f"{known.name} is cut at its range"


def test_the_same_address_gives_the_same_bytes() -> None:
    first = embody(PERSON, full_day(), 3)
    embody(PERSON, full_day(), 4)
    again = embody(PERSON, full_day(), 3)
    assert first.truth.tobytes() == again.truth.tobytes()
    assert first.motion_g.tobytes() == again.motion_g.tobytes()
    for other in (embody(PERSON, full_day(), 4), embody(replace(PERSON, index=4), full_day(), 3)):
        for name in ("heart_rate", "rmssd", "scl", "skin_temperature", "log_energy", "arm_tilt", "altimeter_sd"):
            assert not np.array_equal(signal(first, name), signal(other, name)), name


def test_too_short_a_lead_in_is_refused() -> None:
    short = quiet_day()
    arrays = ["stage", "activity", "intensity", "cadence", "arm_motion", "upright", "climb", "pressure_noise"]
    arrays += ["arousal", "ambient_celsius", "water", "exercising"]
    short = replace(short, lead_in_minutes=5, **{name: getattr(short, name)[LEAD_IN - 5 :] for name in arrays})
    with pytest.raises(ValueError, match="lead_in=5 minutes is below 10"):
        embody(PERSON, short, 0)


def test_two_days_agree_about_the_hour_before_midnight() -> None:
    person = POPULATIONS["lsm1"].person(3, 1)
    key = time_key(person.seed, person.index, "body")
    today, tomorrow = live_through(person, range(5, 7), START)
    days = []
    for day, routine in ((5, today), (6, tomorrow)):
        first = day * MINUTES_PER_DAY - routine.lead_in_minutes
        hours = clock(routine)
        rate = heart_rate(person, routine, key, hours, first)
        tone = autonomic_tone(person, routine, key, rate, first)
        level, _ = skin_conductance(person, routine, key, hours, first)
        days.append((routine.lead_in_minutes, rate, skin_temperature(person, routine, key, hours, first), tone, level))
    (_, rate, celsius, tone, level), (lead, next_rate, next_celsius, next_tone, next_level) = days
    hour = slice(lead - 60, lead)
    np.testing.assert_allclose(next_rate[hour], rate[-60:], atol=0.05)
    np.testing.assert_allclose(next_celsius[hour], celsius[-60:], atol=0.03)
    for name in ("rr_ms", "breath_hz", "breath_ms", "mayer_ms", "slow_ms", "white_ms"):
        np.testing.assert_allclose(getattr(next_tone, name)[:10], getattr(tone, name)[-10:], rtol=0.01)
    jump = abs(np.log(next_level[0] / level[-1]))
    assert jump < 3.0 * np.abs(np.diff(np.log(level))).mean() + 0.1


def test_midnight_is_a_minute_like_any_other() -> None:
    ranks: dict[str, list[float]] = {}
    for index in range(24):
        person = POPULATIONS["lsm1"].person(9, index)
        latents = [embody(person, routine, 2 + i) for i, routine in enumerate(live_through(person, range(2, 4), START))]
        for name in ("heart_rate", "rr_mean", "rmssd", "sdnn", "rr_entropy", "skin_temperature", "scl"):
            before, after = (signal(latent, name) for latent in latents)
            usual = np.concatenate([np.abs(np.diff(before[-45:])), np.abs(np.diff(after[:45]))])
            ranks.setdefault(name, []).append(np.mean(usual < abs(after[0] - before[-1])))
    for name, rank in ranks.items():
        assert np.mean(rank) < 0.5 + 4.5 * 0.29 / np.sqrt(len(rank)), name


def test_relaxation_equals_small_steps() -> None:
    rng = np.random.default_rng(0)
    target = np.repeat(rng.normal(size=20), 7)
    rise, fall = np.full(target.size, 0.6), np.full(target.size, 2.5)
    state, expected, parts = target[0], [], 4000
    for asked, up, down in zip(target, rise, fall, strict=True):
        path = []
        for _ in range(parts):
            path.append(state)
            state += (asked - state) / ((up if asked > state else down) * parts)
        expected.append(np.mean(path))
    np.testing.assert_allclose(relax(target, rise, fall), expected, atol=2e-3)


def test_heart_rate_rises_fast_and_recovers_slowly() -> None:
    n = LEAD_IN + MINUTES_PER_DAY
    running = np.zeros(n, dtype=np.float32)
    running[LEAD_IN + 600 : LEAD_IN + 640] = 0.75
    rest, effort = (
        heart_rate(PERSON, quiet_day(**c), KEY, clock(quiet_day()), -LEAD_IN) for c in ({}, {"intensity": running})
    )
    extra = (effort - rest)[LEAD_IN + 600 :]
    plateau = extra[10:40].mean()
    reserve = PERSON.max_hr_bpm - PERSON.resting_hr_bpm
    assert 0.6 * reserve < plateau < 0.9 * reserve
    assert 0.7 * plateau < extra[2] < plateau  # three minutes in
    assert 3.0 < extra[39] - extra[5] < 15.0  # drift over 35 minutes
    assert 12.0 < extra[39] - extra[40:42].mean() < 45.0  # the first minute of recovery, on its way
    assert extra[50:55].mean() < 0.25 * plateau
    fit = replace(PERSON, vo2max_ml_kg_min=55.0)
    faster = heart_rate(fit, quiet_day(intensity=running), KEY, clock(quiet_day()), -LEAD_IN)[LEAD_IN + 600 :]
    assert faster[41] < effort[LEAD_IN + 641]


def test_arousal_speeds_the_heart_and_damps_vagal_tone() -> None:
    stressed = quiet_day(arousal=np.ones(LEAD_IN + MINUTES_PER_DAY, dtype=np.float32))
    calm, tense = embody(PERSON, quiet_day(), 1), embody(PERSON, stressed, 1)
    assert 2.0 < (signal(tense, "heart_rate") - signal(calm, "heart_rate")).mean() < 10.0
    assert 0.65 < np.median(signal(tense, "rmssd")) / np.median(signal(calm, "rmssd")) < 0.97
    assert np.median(signal(tense, "scl")) > 1.1 * np.median(signal(calm, "scl"))


@pytest.mark.parametrize(
    ("name", "bpm"),
    [
        ("digesting", (5.0, 9.0)),
        ("alcohol_arousal", (12.0, 21.0)),
        ("fever", (15.0, 30.0)),
    ],  # norms hr_alcohol_high, hr_fever
)
def test_meals_drink_and_fever_speed_the_heart(name: str, bpm: tuple[float, float]) -> None:
    full = np.ones(LEAD_IN + MINUTES_PER_DAY, dtype=np.float32)
    plain, changed = embody(PERSON, quiet_day(), 1), embody(PERSON, quiet_day(**{name: full}), 1)
    assert bpm[0] < (signal(changed, "heart_rate") - signal(plain, "heart_rate")).mean() < bpm[1]
    assert np.median(signal(changed, "rmssd") / signal(plain, "rmssd")) < 0.95


def test_a_few_steps_are_followed_with_the_hearts_own_delay() -> None:
    walk = np.zeros(LEAD_IN + MINUTES_PER_DAY, dtype=np.float32)
    walk[LEAD_IN + 600 : LEAD_IN + 603] = 0.25
    rest, moved = (
        heart_rate(PERSON, quiet_day(**c), KEY, clock(quiet_day()), -LEAD_IN) for c in ({}, {"intensity": walk})
    )
    extra = (moved - rest)[LEAD_IN + 600 :]
    asked = 0.25 * (PERSON.max_hr_bpm - PERSON.resting_hr_bpm)
    assert 0.25 * asked < extra[0] < 0.6 * asked  # half of a first minute goes by before the heart has followed
    assert extra[0] < extra[1] < extra[2] < asked
    assert 0.15 * asked < extra[3] < 0.7 * asked  # and the first minute of rest still shows the walk
    assert abs(extra[10]) < 0.05 * asked


@cache
def people() -> dict[str, Floats]:
    """Truth of 40 people's days with what they did, pooled: arrays [40, 1440] by name."""
    population = POPULATIONS["lsm1"]
    pooled: dict[str, list[Floats]] = {}
    for index in range(40):
        person = population.person(21, index)
        routine = live(person, 4, START)
        latent = embody(person, routine, 4)
        day = slice(routine.lead_in_minutes, None)
        facts = {name: latent.truth[i] for i, name in enumerate(NAMES)}
        for name in ("stage", "intensity", "upright", "cadence"):
            facts[name] = getattr(routine, name)[day]
        facts["resting"] = np.full(MINUTES_PER_DAY, person.resting_hr_bpm)
        facts["rmssd_night"] = np.full(MINUTES_PER_DAY, person.rmssd_night_ms)
        for name, values in facts.items():
            pooled.setdefault(name, []).append(values)
    return {name: np.array(rows, dtype=np.float64) for name, rows in pooled.items()}


def autocorrelation(rows: Floats, lag: int) -> float:
    centred = rows - rows.mean(axis=1, keepdims=True)
    return float(np.median((centred[:, lag:] * centred[:, :-lag]).mean(axis=1) / centred.var(axis=1)))


def test_norms_of_heart_rate() -> None:
    p = people()
    rate, steps, asleep = p["heart_rate"], p["steps"], p["stage"] != Stage.AWAKE
    still = ~asleep & (steps == 0) & (p["upright"] < 0.3) & (p["intensity"] < 0.08)
    over = rate - p["resting"]
    assert 9.0 < over.mean() < 15.5  # norm hr_24h_minus_rhr
    assert -7.0 < over[asleep].mean() < 1.0  # norm hr_over_rhr_sleep
    assert 5.0 < over[still].mean() < 16.0  # norm hr_over_rhr_sed
    assert 20.0 < over[(steps > 80) & (steps < 125)].mean() < 46.0  # norm hr_over_rhr_walk
    assert 0.72 < rate[asleep].mean() / rate[~asleep].mean() < 0.87  # norm hr_sleep_dip
    assert 1.0 < rate[p["stage"] == Stage.REM].mean() - rate[p["stage"] == Stage.DEEP].mean() < 6.0  # norm hr_n3_vs_rem
    steps_to_rate = [
        rate[(steps >= low) & (steps <= high)].mean()
        for low, high in ((0, 0), (1, 20), (21, 60), (61, 100), (101, 300))
    ]
    for found, real in zip(steps_to_rate, (69.0, 82.0, 89.0, 98.0, 118.0), strict=True):  # Fitabase
        assert abs(found - real) < 12.0
    assert steps_to_rate == sorted(steps_to_rate)
    for lag, low, high in ((1, 0.90, 0.985), (10, 0.60, 0.80), (60, 0.28, 0.56)):  # Fitabase .935, .669, .369
        assert low < autocorrelation(rate, lag) < high, lag


def half_squared_change(rate: Floats, still: NDArray[np.bool_], lag: int) -> float:
    """Over stretches in which every minute is still, bpm squared."""
    unbroken = np.lib.stride_tricks.sliding_window_view(still, lag + 1, axis=1).all(axis=2)
    return float(0.5 * np.mean((rate[:, lag:] - rate[:, :-lag])[unbroken] ** 2))


def test_still_minutes_change_as_fitbit_wearers_do() -> None:
    p = people()
    hour = np.arange(MINUTES_PER_DAY) // 60 + np.zeros_like(p["steps"])
    night, still = (hour >= 1) & (hour < 5), p["steps"] == 0
    day = {lag: half_squared_change(p["heart_rate"], still & ~night, lag) for lag in (1, 2, 5, 30)}
    # Of four Fitabase wearers: 6.4 to 9.6, 10.4 to 15.8, 15.3 to 22.3, 17.9 to 41, sensor error of some 2 in them.
    assert 4.0 < day[1] < 9.0
    assert 7.0 < day[2] < 14.0
    assert 12.0 < day[5] < 22.0
    assert 15.0 < day[30] < 32.0
    asleep = half_squared_change(p["heart_rate"], still & night, 1)
    assert 1.5 < asleep < 0.7 * day[1]  # of the wearers 2.5 to 6.7
    change = np.diff(p["heart_rate"], axis=1)[(still & ~night)[:, 1:] & (still & ~night)[:, :-1]]
    assert np.mean(change**4) / np.mean(change**2) ** 2 > 6.0  # 8.4 to 48


def test_norms_of_variability() -> None:
    p = people()
    asleep = p["stage"] != Stage.AWAKE
    still = ~asleep & (p["steps"] == 0) & (p["upright"] < 0.3) & (p["intensity"] < 0.08)
    night = np.array([row[mask].mean() for row, mask in zip(p["rmssd"], asleep, strict=True) if mask.any()])
    wanted = np.array([row[0] for row, mask in zip(p["rmssd_night"], asleep, strict=True) if mask.any()])
    assert 0.9 < np.median(night / wanted) < 1.1
    day = np.array([row[mask].mean() for row, mask in zip(p["rmssd"], still, strict=True) if mask.any()])
    assert 1.15 < np.median(night) / np.median(day) < 2.0  # norm rmssd_night_day_ratio
    ratio = np.median(p["sdnn"][still]) / np.median(p["rmssd"][still])
    assert 1.2 < ratio < 2.2  # norm sdnn_rmssd_ratio, for sensors, which inflate RMSSD; lab 1.6, without unrest
    at_40 = (p["rmssd"] > 37.0) & (p["rmssd"] < 43.0) & (still | asleep)
    assert 33.0 < np.median(p["pnn30"][at_40]) < 54.0  # norm pnn30_at_rmssd40
    spread = ((p["rr_p80"] - p["rr_p20"]) / p["sdnn"])[still | asleep]
    assert 1.35 < np.median(spread) < 1.85  # norm rr_spread_identity
    assert np.median(p["rr_mean"] * p["heart_rate"]) / 60_000.0 == pytest.approx(1.0, abs=0.03)  # norm rr_mean_identity
    hard = embody(PERSON, quiet_day(intensity=np.full(LEAD_IN + MINUTES_PER_DAY, 0.75, dtype=np.float32)), 0)
    assert 2.0 < np.median(signal(hard, "rmssd")) < 15.0  # norm rmssd_exercise


def test_golden_numbers_of_a_day_made_by_hand() -> None:
    """Means and spreads of every signal. ``EVERYWEAR_WRITE_GOLDEN=1`` writes them anew, after a wanted change."""
    latent = embody(PERSON, full_day(), 3)
    found = {
        name: {"mean": round(float(row.mean(dtype=np.float64)), 4), "sd": round(float(row.std(dtype=np.float64)), 4)}
        for name, row in zip(NAMES, latent.truth, strict=True)
    }
    if os.environ.get("EVERYWEAR_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
    golden = json.loads(GOLDEN.read_text())
    assert list(golden) == list(found)
    for name, numbers in golden.items():
        assert found[name] == pytest.approx(numbers, rel=2e-3, abs=2e-3), name
