"""Summaries of a person: their own days alone, public bins, and "none" wherever something cannot be told."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.cohort import Cohort
from simulator.population import POPULATIONS
from simulator.recording import Reason, Recording
from simulator.signals import INDEX, MINUTES_PER_DAY, N_SIGNALS
from simulator.summaries import (
    BINS,
    N_SUMMARIES,
    PAIRS,
    PLACE,
    SUMMARIES,
    Floats,
    Period,
    encode,
    informative_pairs,
    summarise,
)

PERIOD = Period(start=date(2024, 2, 29), days=5)  # Thursday to Monday
NOBODY = np.array(BINS) - 1


def day(place: int, **signals: object) -> Recording:
    """A day with these signals and no others."""
    values = np.zeros((N_SIGNALS, MINUTES_PER_DAY), dtype=np.float32)
    observed = np.zeros(values.shape, dtype=np.bool_)
    for name, minutes in signals.items():
        row = np.broadcast_to(np.asarray(minutes, dtype=np.float32), MINUTES_PER_DAY)
        observed[INDEX[name]] = np.isfinite(row)
        values[INDEX[name]] = np.nan_to_num(row)
    reason = np.where(observed, np.uint8(0), np.uint8(Reason.NOT_RECORDED))
    when = PERIOD.start + timedelta(days=place)
    return Recording(
        person="a", vendor="fitbit-sense-2", day=place, date=when, values=values, observed=observed, reason=reason
    )


def told(values: Floats, name: str) -> float:
    return float(values[PLACE[name]])


def test_bins_are_public_constants_that_make_sense() -> None:
    assert len({summary.name for summary in SUMMARIES}) == N_SUMMARIES == 36
    for summary in SUMMARIES:
        assert list(summary.edges) == sorted(set(summary.edges))
        assert bool(summary.edges) != bool(summary.keys)
        assert summary.labels[-1] == "none"
    assert len(set(PAIRS)) == len(PAIRS) == 28
    assert all(PLACE[a] < PLACE[b] for a, b in PAIRS)


def test_nobody_and_nothing_is_none_throughout() -> None:
    assert (encode(summarise((), {}, PERIOD)[None]) == NOBODY).all()
    elsewhere = replace(day(0, heart_rate=60.0), date=PERIOD.start - timedelta(days=1))
    assert (encode(summarise([elsewhere], {"sex": "unknown", "age_years": None}, PERIOD)[None]) == NOBODY).all()


def test_a_sensor_that_is_not_there_is_none_and_not_a_number() -> None:
    values = summarise([day(i, heart_rate=60.0) for i in range(5)], {}, PERIOD)
    for name in ("steps_per_day", "rmssd_night", "scl", "scl_missing", "temperature", "rest_hours", "charging_hour"):
        assert np.isnan(told(values, name)), name
    assert told(values, "resting_hr") == 60.0
    assert told(values, "wear_hours") == 24.0
    assert np.isnan(told(values, "hr_lag1"))  # a constant has no autocorrelation


def test_numbers_are_those_of_a_life_that_is_known() -> None:
    minute = np.arange(MINUTES_PER_DAY)
    asleep = (minute < 7 * 60) | (minute >= 23 * 60)
    walks = (minute >= 18 * 60) & (minute < 19 * 60)
    steps = np.where(walks, 110.0, 0.0)
    life = {
        "heart_rate": np.where(asleep, 50.0, np.where(walks, 100.0, 70.0)),
        "steps": steps,
        "sleep_coefficient": np.where(asleep, 3.0, 9.0),
        "skin_temperature": np.where(asleep, 34.0, 33.0),
        "scl": np.where(asleep, np.nan, 1.0),
    }
    values = summarise([day(i, **life) for i in range(5)], {"age_years": 44, "sex": "male"}, PERIOD)
    expected = {
        "age": 44,
        "sex": 1,
        "device": 0,
        "resting_hr": 50,
        "day_hr": (11 * 70 + 100) / 12,
        "hr_walking_rise": 30,
        "steps_per_day": 6600,
        "steps_day_sd": 0,
        "brisk_minutes": 60,
        "exercise_minutes": 60,
        "still_share": 11 / 12,
        "steps_midpoint": 18.5,
        "steps_stability": 1,
        "weekend_steps": 0,
        "rest_hours": 8,
        "rest_midpoint": 3,
        "rest_midpoint_sd": 0,
        "rest_weekend_shift": 0,
        "longest_gap": 0,
        "days_worn": 1,
        "scl": 0,
        "scl_missing": 1 / 3,
        "temperature_missing": 0,
        "temperature_night": 1,
    }
    for name, value in expected.items():
        assert told(values, name) == pytest.approx(value, abs=0.6 if name.startswith("rest_") else 1e-6), name
    assert np.isnan(told(values, "charging_minutes"))  # nobody wrote down why anything is missing


def test_days_come_in_any_order_and_gaps_count_as_gaps() -> None:
    cohort = Cohort(population=POPULATIONS["vendors"], people=2, days=5, seed=8, start=PERIOD.start, with_truth=False)
    for person in range(2):
        days = list(cohort.of_person(person))
        np.testing.assert_array_equal(summarise(days, {}, PERIOD), summarise(days[::-1], {}, PERIOD))
        fewer = summarise(days[:3], {}, PERIOD)
        assert told(fewer, "wear_hours") < told(summarise(days, {}, PERIOD), "wear_hours")
        assert told(fewer, "longest_gap") >= 48.0


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=N_SUMMARIES, max_size=N_SUMMARIES))
@settings(max_examples=100, deadline=None)
def test_whatever_the_numbers_a_person_has_one_bin_of_each(values: list[float]) -> None:
    (codes,) = encode(np.array([values]))
    assert (codes < np.array(BINS)).all()
    for summary, value, code in zip(SUMMARIES, values, codes, strict=True):
        if not np.isfinite(value):
            assert summary.labels[code] == "none"
        elif summary.edges:
            assert code == sum(value >= edge for edge in summary.edges)


def test_pairs_that_hang_together_are_found() -> None:
    rng = np.random.default_rng(2)
    codes = np.stack([rng.integers(0, bins, 3000) for bins in BINS], axis=1).astype(np.uint8)
    codes[:, PLACE["scl"]] = codes[:, PLACE["bmi"]]
    codes[:, PLACE["rest_hours"]] = (codes[:, PLACE["day_hr"]] + (rng.random(3000) < 0.3)) % 7
    found = informative_pairs(codes, 2)
    assert found == ((PLACE["bmi"], PLACE["scl"]), (PLACE["day_hr"], PLACE["rest_hours"]))
    few = informative_pairs(codes, 30)
    assert max(sum(i in pair for pair in few) for i in range(N_SUMMARIES)) <= 3
    assert not any(PLACE["device"] in pair for pair in few)


def test_a_period_is_days_that_can_be() -> None:
    with pytest.raises(ValueError, match="days=0"):
        Period(start=PERIOD.start, days=0)
    assert PERIOD.place(PERIOD.start + timedelta(days=4)) == 4
    assert PERIOD.place(PERIOD.start + timedelta(days=5)) is None
