"""Gaps as the judge tells them: shares add up, each cause stands where it was planted, lengths run over midnight."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator.gallery import tint
from simulator.gap_looks import LOOKS
from simulator.randomness import stream
from simulator.realism.gaps import BINS, Heard, Missingness
from simulator.recording import SHAPE, Event, Reason, Recording
from simulator.signals import INDEX, NAMES

LACKS = np.zeros(SHAPE, dtype=np.uint8)
LACKS[INDEX["scl"]] = Reason.SENSOR_ABSENT
LACKS[:, 120:180] = Reason.CHARGING
LACKS[INDEX["heart_rate"], 720:750] = Reason.MOTION
FAULTY = (Event("fault", "frozen_heart_rate", 10, 90), Event("sleep", "main", 0, 400))


def recording(reason: NDArray[np.uint8], vendor: str = "fitbit-sense-2", day: int = 0) -> Recording:
    values = np.zeros(SHAPE, dtype=np.float32)
    return Recording("p", vendor, day, date(2024, 3, 4), values, reason == 0, reason, events=FAULTY)


def test_each_cause_is_told_by_signal_hour_device_and_day() -> None:
    missing = Missingness()
    whole = np.zeros(SHAPE, dtype=np.uint8)
    for reason, vendor in ((LACKS, "a"), (LACKS, "b"), (whole, "b")):
        missing.add(recording(reason, vendor))
    told = missing.summary(Heard())
    cells = np.stack([LACKS, LACKS, whole])
    assert told["share"] == pytest.approx((cells > 0).mean())
    by_signal, by_hour, by_vendor = (told[k] for k in ("by_signal_and_reason", "by_reason_and_hour", "by_vendor"))
    assert isinstance(by_signal, dict)
    assert isinstance(by_hour, dict)
    assert isinstance(by_vendor, dict)
    assert by_signal["heart_rate"]["motion"] == pytest.approx(2 * 30 / (3 * 1440))
    assert by_signal["scl"]["sensor_absent"] == pytest.approx(2 * 1380 / (3 * 1440))
    assert by_hour["charging"][2] == pytest.approx(2 / 3)
    assert sum(by_hour["charging"]) == pytest.approx(2 / 3)
    assert by_vendor["a"]["share"] == pytest.approx((LACKS > 0).mean())
    assert by_vendor["b"]["share"] == pytest.approx((LACKS > 0).mean() / 2)
    assert (by_vendor["a"]["person_days"], by_vendor["b"]["person_days"]) == (1, 2)
    for facts in by_vendor.values():
        assert sum(facts["by_reason"].values()) == pytest.approx(facts["share"])
    days = told["day_windows"]
    assert isinstance(days, dict)
    assert days["complete"] == 1
    assert days["max"] == pytest.approx((LACKS > 0).mean())
    assert days["mean"] == pytest.approx(told["share"])
    assert len(days["histogram"]) == BINS
    assert sum(days["histogram"]) == pytest.approx(1.0)
    assert told["faults"] == {"frozen_heart_rate": 1.0}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_counts_are_those_of_a_loop_over_cells(seed: int, n: int) -> None:
    random, missing = stream(seed, "reasons"), Missingness()
    reasons = [random.integers(0, len(Reason), SHAPE).astype(np.uint8) for _ in range(n)]
    for day, reason in enumerate(reasons):
        missing.add(recording(reason, day=day))
    (table,) = missing.cells.values()
    for signal, hour, reason in random.integers(0, (len(NAMES), 24, len(Reason)), (20, 3)).tolist():
        expected = sum((each[signal, 60 * hour : 60 * hour + 60] == reason).sum() for each in reasons)
        assert table[signal, hour, reason] == expected
    assert table.sum() == n * np.prod(SHAPE)


def test_gaps_of_heart_rate_run_over_midnight_and_lost_days_and_end_with_the_readings() -> None:
    told = {day: np.ones(1440, dtype=np.bool_) for day in (0, 1, 3)}
    told[0][:600] = False  # before the first reading
    told[0][1400:] = told[1][:100] = False  # 140 min from 23.3 h
    told[1][700:705] = False
    told[3][1000:] = False  # after the last
    heard = Heard()
    heard.add(told)
    heard.add({0: np.zeros(1440, dtype=np.bool_)})  # nobody's watch
    assert [sorted(each.tolist()) for each in heard.minutes] == [[5, 140, 1440]]
    assert sorted(heard.clock[0].round(2).tolist()) == [0.0, 11.67, 23.33]
    found = heard.summary()
    share, evening = found["share"], found["long_begin_in_evening"]
    assert isinstance(share, dict)
    assert isinstance(evening, dict)
    assert share["value"] == pytest.approx(1585 / (3 * 1440 + 1000 - 600))
    assert evening["value"] == 1.0  # the lost day begins at midnight
    assert found["people"] == 1
    nobody = Heard().summary()
    assert nobody["share"] is None
    assert nobody["people"] == 0


def test_more_people_are_told_with_an_interval_that_holds_the_figure() -> None:
    heard, random = Heard(), stream(1, "gaps")
    for _ in range(12):
        heard.add({0: random.random(1440) < random.random()})
    for name, figure in heard.summary().items():
        if name in ("people", "gaps_per_day", "long_begin_in_evening"):
            continue
        assert isinstance(figure, dict)
        low, high = figure["interval"]
        assert low <= figure["value"] <= high


def test_an_event_of_another_kind_is_no_fault() -> None:
    missing = Missingness()
    missing.add(replace(recording(LACKS), events=FAULTY[1:]))
    assert missing.summary(Heard())["faults"] == {}


def test_every_reason_has_a_name_and_a_colour_of_its_own() -> None:
    assert set(LOOKS) == set(Reason) - {Reason.OBSERVED}
    assert len({look.name for look in LOOKS.values()}) == len({look.colour for look in LOOKS.values()}) == len(LOOKS)


def test_common_reasons_are_told_apart_in_every_kind_of_colour_vision() -> None:
    """As dichromats see them, by colour alone (saving power has a hatch), after Viénot et al. 1999."""
    common = ("CHARGING", "OFF_WRIST", "SENSOR_OFF", "MOTION", "BATTERY_EMPTY", "LOOSE_FIT")
    colours = np.array([tint(Reason[name]) for name in common]) ** 2.2
    red_blind = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
    green_blind = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
    for sight in (np.eye(3), red_blind, green_blind):
        seen = np.clip(colours @ sight.T, 0, 1) ** (1 / 2.2)
        apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)[np.triu_indices(len(common), 1)]
        assert apart.min() > 0.12
