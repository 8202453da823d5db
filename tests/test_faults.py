"""Faults: heart rate that lingers off the wrist, beats lost in blocks; as often as said, found by events and truth."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator.cohort import Cohort
from simulator.faults import BLOCK_SECONDS, LAST_READING_MINUTES, LINGER_MINUTES, SETTLES_BPM, dropouts, linger
from simulator.missingness import worn
from simulator.physiology import embody
from simulator.population import POPULATIONS
from simulator.recording import SHAPE, Event, Reason
from simulator.routine import live
from simulator.sensors import measure
from simulator.signals import INDEX, MINUTES_PER_DAY
from simulator.vendor import Lingering
from simulator.vendors import VENDORS
from tests.bodies import PERSON, full_day

HEART_RATE, ON_WRIST, RR_VALID = (INDEX[name] for name in ("heart_rate", "on_wrist", "rr_valid"))
SENSE_2 = VENDORS["fitbit-sense-2"]
AWAY = slice(600, 1300)


def taken_off(**changed: object) -> tuple[NDArray[np.float32], NDArray[np.uint8], list[Event]]:
    """A day with the watch off from 10 h on, as it is reported: values, reasons, events."""
    vendor = replace(SENSE_2, **({"heart_rate_lingers": 1.0} | changed))  # type: ignore[arg-type]
    values = np.full(SHAPE, 77.0, dtype=np.float32)
    reason = np.zeros(SHAPE, dtype=np.uint8)
    reason[:, AWAY] = Reason.OFF_WRIST
    return values, reason, linger(PERSON, vendor, values, reason, 3)


def test_a_frozen_heart_rate_is_one_number_a_little_below_the_last() -> None:
    values, reason, (event,) = taken_off()
    assert (event.kind, event.label, event.start_minute) == ("fault", "frozen_heart_rate", 600)
    assert int(LINGER_MINUTES[0]) <= event.end_minute - 600 <= LINGER_MINUTES[1]
    told = values[HEART_RATE, 600 : event.end_minute]
    assert np.ptp(told) == 0.0
    assert 77.0 - SETTLES_BPM <= told[0] <= 77.0
    np.testing.assert_array_equal(np.flatnonzero(reason[HEART_RATE, AWAY] == 0) + 600, range(600, event.end_minute))
    assert (values[ON_WRIST, 600 : event.end_minute] == 1.0).all()
    others = np.delete(np.arange(26), [HEART_RATE, ON_WRIST])
    assert (reason[others, AWAY] == Reason.OFF_WRIST).all()


def test_a_phantom_wanders_and_is_no_heart_of_anybody() -> None:
    values, _, (event,) = taken_off(lingering=Lingering.PHANTOM, heart_rate_step_bpm=1.0)
    told = values[HEART_RATE, 600 : event.end_minute].astype(np.float64)
    assert event.label == "phantom_heart_rate"
    assert 2.0 < told.std() < 20.0
    assert np.corrcoef(told[1:], told[:-1])[0, 1] > 0.7
    assert (told == np.round(told)).all()


def test_a_sparse_watch_lingers_sparsely_and_one_that_notices_not_at_all() -> None:
    _, reason, (event,) = taken_off(heart_rate_interval_minutes=5)
    told = np.flatnonzero(reason[HEART_RATE, 600 : event.end_minute] == 0)
    np.testing.assert_array_equal(told % 5, 0)
    values, reason, events = taken_off(heart_rate_lingers=0.0)
    assert events == []
    assert (values == 77.0).all()
    assert (reason[:, AWAY] == Reason.OFF_WRIST).all()


def test_what_lingers_is_the_last_reading_that_was_delivered() -> None:
    vendor = replace(SENSE_2, heart_rate_lingers=1.0)

    def told(before: Reason, since: int) -> list[float]:
        """Heart rates off the wrist from minute 600 on, with a reason for silence from minute ``since`` on."""
        values = np.tile(np.arange(40.0, 200.0, 160 / 1440, dtype=np.float32), (26, 1))
        reason = np.zeros(SHAPE, dtype=np.uint8)
        reason[:, since:600] = before
        reason[:, AWAY] = Reason.OFF_WRIST
        linger(PERSON, vendor, values, reason, 3)
        heard = values[HEART_RATE, AWAY][reason[HEART_RATE, AWAY] == Reason.OBSERVED]
        return sorted(set((heard - np.float32(40.0) - np.float32((since - 1) / 9)).tolist()))

    for silent in (Reason.SENSOR_OFF, Reason.MOTION):
        (settles,) = told(silent, 591)
        assert -SETTLES_BPM <= settles <= 1e-3  # below the reading of minute 590, whatever was measured since
        assert told(silent, 600 - LAST_READING_MINUTES) == []
    for dead in (Reason.SENSOR_FAILED, Reason.BATTERY_EMPTY, Reason.POWER_SAVING, Reason.TOO_COLD, Reason.LOOSE_FIT):
        assert told(dead, 599) == [], dead


@pytest.mark.parametrize("share", [0.05, 0.4])
def test_it_lingers_as_often_as_said(share: float) -> None:
    vendor = replace(SENSE_2, heart_rate_lingers=share)
    times = 0
    for day in range(600):
        reason = np.zeros(SHAPE, dtype=np.uint8)
        reason[:, 300:320] = reason[:, 700:720] = Reason.CHARGING
        times += len(linger(PERSON, vendor, np.full(SHAPE, 70.0, dtype=np.float32), reason, day))
    assert times == pytest.approx(1200 * share, abs=3 * np.sqrt(1200 * share))


def test_every_heart_rate_off_the_wrist_lies_in_an_event() -> None:
    xiaomi = VENDORS["xiaomi-band-8"]
    cohort = Cohort(population=POPULATIONS["vendors"], people=6, days=6, seed=7, vendor=xiaomi.name)
    lingered = 0
    for i in range(6):
        for recording in cohort.of_person(i):
            person = cohort.person(i)
            on = worn(person, xiaomi, live(person, recording.day, cohort.start), recording.day)
            wrong = recording.observed[HEART_RATE] & ~on
            inside = np.zeros(MINUTES_PER_DAY, dtype=np.bool_)
            for event in recording.events:
                if event.kind == "fault" and event.label.endswith("heart_rate"):
                    inside[event.start_minute : event.end_minute] = True
            assert not (wrong & ~inside).any()
            assert (recording.values[ON_WRIST, inside & recording.observed[ON_WRIST]] == 1.0).all()
            lingered += int(wrong.sum())
    assert lingered > 0


@settings(max_examples=30, deadline=None)
@given(st.integers(-(10**5), 10**6), st.integers(1, 500), st.integers(1, 2000))
def test_blocks_of_lost_beats_are_the_same_whoever_asks(first: int, later: int, minutes: int) -> None:
    whoop = VENDORS["whoop-4"]
    whole = dropouts(PERSON, whoop, first, later + minutes)
    part = dropouts(PERSON, whoop, first + later, minutes) + later
    np.testing.assert_allclose(whole[whole[:, 0] >= later], part)
    length = 60.0 * (whole[:, 1] - whole[:, 0])
    assert ((length >= BLOCK_SECONDS[0] - 1e-6) & (length <= BLOCK_SECONDS[1] + 1e-6)).all()


def test_the_median_wearer_loses_the_share_that_the_device_says() -> None:
    whoop = VENDORS["whoop-4"]
    lost = [np.diff(dropouts(replace(PERSON, index=i), whoop, 0, 3 * 1440), axis=1).sum() / 4320 for i in range(201)]
    assert np.median(lost) == pytest.approx(whoop.beats_dropped, rel=0.25)
    assert (np.array(lost) > 0.14).mean() > 0.02  # such as the one wearer that was told of
    assert len(dropouts(PERSON, SENSE_2, 0, 10**4)) == 0


def test_lost_beats_lower_the_valid_share_by_as_much_and_the_truth_stays() -> None:
    routine = full_day()
    latent = embody(PERSON, routine, 2)
    person = replace(PERSON, loose_fit=0.0)
    vendor = replace(SENSE_2, beats_dropped=0.3)
    before = measure(person, SENSE_2, routine, latent, 2)
    after = measure(person, vendor, routine, latent, 2)
    blocks = dropouts(person, vendor, 2 * 1440, 1440)
    gone = (blocks[:, 1] - blocks[:, 0]).sum() / 1440
    assert gone > 0.05
    fallen = before[RR_VALID].astype(np.float64).mean() - after[RR_VALID].mean()
    assert fallen == pytest.approx(gone * before[RR_VALID].mean(), rel=0.12)  # overlapping blocks lose once
    np.testing.assert_array_equal(np.delete(before, range(1, 11), axis=0), np.delete(after, range(1, 11), axis=0))
    none = measure(person, replace(vendor, beats_dropped=0.0), routine, latent, 2)
    np.testing.assert_array_equal(none, before)


def test_faults_are_told_by_the_recording_on_its_day_alone() -> None:
    cohort = Cohort(population=POPULATIONS["vendors"], people=3, days=5, seed=8, start=date(2024, 3, 8))
    for i in range(3):
        for recording in cohort.of_person(i):
            alone = cohort[i, recording.day]
            assert alone.events == recording.events
            np.testing.assert_array_equal(alone.reason, recording.reason)
            np.testing.assert_array_equal(alone.values, recording.values)
            recording.check()
            starts = [event.start_minute for event in recording.events]
            assert starts == sorted(starts)
