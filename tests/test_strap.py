"""Straps: loose for as long as the habit says, by what people do; the seal breaks as in real recordings."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from simulator import strap
from simulator.missingness import find_gaps
from simulator.noise import uniform
from simulator.population import Person
from simulator.realism.gaps import Heard
from simulator.recording import Reason
from simulator.routine import Routine, live_through
from simulator.signals import INDEX
from simulator.vendors import VENDORS
from simulator.wearing import wear_key
from tests.wearers import HEART_RATE, LSM2, MONDAY, OWNERS, SCL, SENSE_2, STEPS, devoted, measured, runs

Flags = NDArray[np.bool_]


def test_a_loose_strap_loses_the_pulse_and_the_electrodes_for_as_long_as_the_habit_says() -> None:
    tight, lost, skin, beats = devoted(LSM2.person(15, 0)), [], [], []
    for day, routine in enumerate(live_through(replace(tight, loose_fit=0.2), range(60), MONDAY)):
        routine.ambient_celsius[:] = 20.0
        full, motion = np.full(1440, 100, dtype=np.float32), np.full(1440, 0.05, dtype=np.float32)
        reason = find_gaps(replace(tight, loose_fit=0.2), SENSE_2, routine, full, motion, day)
        assert not (reason[STEPS] == Reason.LOOSE_FIT).any()
        lost.append((reason[HEART_RATE] == Reason.LOOSE_FIT).mean())
        skin.append((reason[SCL] == Reason.LOOSE_FIT).mean())
        beats.append((reason[INDEX["rmssd"]] == Reason.LOOSE_FIT).mean())
        none = find_gaps(tight, SENSE_2, routine, full, motion, day)
        assert not (none == Reason.LOOSE_FIT).any()
    assert 0.12 < np.mean(beats) < 0.25  # of the time, charges and overlaps off
    halfway = 0.675 * 0.475  # between still and moving; a loss lasts 9.5 of a spell's 20 minutes on average
    assert np.mean(lost) == pytest.approx(halfway * np.mean(beats), rel=0.1)
    assert 0.2 * np.mean(beats) < np.mean(skin) < 0.6 * np.mean(beats)  # not while firmware has switched them off


def test_owners_lack_heart_rate_as_long_as_fitabase() -> None:
    """Four wearers of a Fitbit: 38 % of the span, lengths 2, 7, 29 and 294 min at 25, 50, 75 and 90 %; wide bands."""
    heard, charge = Heard(), VENDORS["fitbit-charge-5"]
    for i in range(60):
        person, days = OWNERS.person(13, i), {}
        for day, routine in enumerate(live_through(person, range(14), MONDAY)):
            reason = find_gaps(person, charge, routine, *measured(routine, i), day)
            days[day] = reason[HEART_RATE] == Reason.OBSERVED
        heard.add(days)
    found = heard.summary()
    of_a_minute = [(minutes == 1).sum() * 1440 / span for minutes, span in zip(heard.minutes, heard.span, strict=True)]
    assert 0.29 < np.mean(of_a_minute) < 1.27  # a day, by person; mean 0.72
    assert np.percentile(of_a_minute, 75) > 1.5 * np.percentile(of_a_minute, 25)
    for name, low, high in [
        ("share", 0.18, 0.58),  # intervals of the four people
        ("minutes_25", 2.0, 4.0),
        ("minutes_50", 5.0, 13.0),
        ("minutes_75", 15.0, 58.0),
        ("minutes_90", 50.0, 503.0),
        ("long_begin_in_evening", 0.40, 0.81),
    ]:
        figure = found[name]
        assert isinstance(figure, dict)
        assert low <= figure["value"] <= high, (name, figure)


def loose_days(person: Person, number: int, air_celsius: float | None = None) -> list[tuple[Routine, Flags]]:
    found = []
    for day, routine in enumerate(live_through(person, range(number), MONDAY)):
        if air_celsius is not None:
            routine.ambient_celsius[:] = air_celsius
        found.append((routine, strap.loosened(person, routine, wear_key(person), day)))
    return found


@pytest.mark.parametrize("loose_fit", [0.05, 0.2, 0.4])
def test_a_strap_is_loose_for_the_share_of_time_that_its_wearer_s_habit_says(loose_fit: float) -> None:
    days = [loose_days(replace(LSM2.person(5, i), loose_fit=loose_fit), 30) for i in range(5)]
    assert np.mean([loose for person in days for _, loose in person]) == pytest.approx(loose_fit, rel=0.25)


def test_a_slip_in_bed_lasts_until_getting_up_and_cold_and_sport_bring_more() -> None:
    person = replace(LSM2.person(5, 1), loose_fit=0.1, exercise_per_week=5.0)
    nights = 0
    for routine, loose in loose_days(person, 40, 20.0):
        _, rise = routine.nights[0]
        if loose[rise - 1]:
            nights += 1
            assert not loose[rise]
            assert loose[np.flatnonzero(~loose[: rise - 1]).max(initial=-1) + 1 : rise].all()
    assert nights > 3
    warm, cold = (np.mean([loose for _, loose in loose_days(person, 40, air)]) for air in (20.0, -5.0))
    assert 1.2 * warm < cold < 2.0 * warm
    shares = {}
    for name, flag in (("none", np.zeros(10)), ("all day", np.ones(10)), ("by turns", np.repeat([1, 0], 5))):
        found = []
        for day, routine in enumerate(live_through(person, range(20), MONDAY)):
            routine.exercising[:] = np.resize(flag, routine.exercising.size)
            found.append(strap.loosened(person, routine, wear_key(person), day))
        shares[name] = np.mean(found)
    assert shares["all day"] > 1.5 * shares["none"]
    assert shares["by turns"] < 0.7 * shares["none"]  # fastened at every start, but for the nights


def test_days_made_alone_join_at_midnight() -> None:
    """Against a walk through all minutes of a fortnight at once, from each slip to what ends it."""
    person, number = replace(LSM2.person(5, 2), loose_fit=0.3), 14
    days, key = loose_days(person, number), wear_key(person)
    lead, total = days[0][0].lead_in_minutes, number * 1440
    exercising, cadence, air = (
        np.concatenate([getattr(routine, name)[lead:] for routine, _ in days])
        for name in ("exercising", "cadence", "ambient_celsius")
    )
    nights = [(bed + 1440 * day, rise + 1440 * day) for day, (r, _) in enumerate(days) for bed, rise in r.nights[:1]]
    hazard, drawn = -np.log(0.7) / strap.LOOSE_MINUTES, uniform(key, 505, 0, 2 * total)
    expected = np.zeros(total, dtype=np.bool_)
    ends = {minute for night in nights for minute in night}
    ends |= set((np.flatnonzero(exercising[1:] & ~exercising[:-1]) + 1).tolist())
    for m in range(total):
        in_bed = next((rise for bed, rise in nights if bed <= m < rise), None)
        likelier = 3.0 if exercising[m] else 1.5 if cadence[m] > 0 else 1.0
        likelier *= 1.0 + min(max((15.0 - air[m]) / 20.0, 0.0), 1.0)
        if drawn[2 * m] < hazard * (likelier if in_bed is None else 0.5):
            until = in_bed or m + int(15.0 + 160.0 * drawn[2 * m + 1])
            if in_bed is None:
                until = min([until, *(end for end in ends if end > m)])
            expected[m:until] = True
    found = np.concatenate([loose for _, loose in days])
    assert found[1440 * np.arange(2, number)].any()  # loose at midnight
    last = nights[-1][1]  # the night after the last day is not among them
    np.testing.assert_array_equal(found[1440:last], expected[1440:last])


def test_the_seal_breaks_as_often_and_as_long_as_in_real_recordings_and_only_while_still() -> None:
    key, still = wear_key(LSM2.person(6, 0)), np.full(1440, 0.01, dtype=np.float32)
    usual = [strap.breaks(strap.USUAL_LOOSE_FIT, still, key, day) for day in range(300)]
    broken = np.concatenate(usual)
    spans = runs(broken)
    minutes = spans[:, 1] - spans[:, 0]
    assert len(spans) / 300 == pytest.approx(strap.BREAKS_A_DAY, rel=0.1)
    assert [(minutes == n).mean() for n in (1, 2, 3)] == pytest.approx([0.50, 0.29, 0.11], abs=0.05)
    soon = (spans[1:, 0] - spans[:-1, 1] <= 3).mean()
    assert soon == pytest.approx(strap.BREAKS_AGAIN, abs=0.05)
    looser = np.concatenate([strap.breaks(0.2, still, key, day) for day in range(300)])
    assert not (broken & ~looser).any()
    assert looser.sum() > 2 * broken.sum()
    walking = np.full(1440, 0.2, dtype=np.float32)
    assert not strap.breaks(0.2, walking, key, 0).any()
    assert not strap.breaks(0.0, still, key, 0).any()


def test_a_break_of_the_seal_costs_heart_rate_alone() -> None:
    person = replace(devoted(LSM2.person(6, 0)), loose_fit=1e-6)
    full, still = np.full(1440, 100, dtype=np.float32), np.full(1440, 0.01, dtype=np.float32)
    seen = 0
    for day, routine in enumerate(live_through(person, range(90), MONDAY)):
        routine.ambient_celsius[:] = 20.0
        reason = find_gaps(person, SENSE_2, routine, full, still, day)
        lost = reason[HEART_RATE] == Reason.LOOSE_FIT
        seen += lost.sum()
        assert not (np.delete(reason, HEART_RATE, axis=0) == Reason.LOOSE_FIT).any()
        assert not (lost & ~strap.breaks(1e-6, still, wear_key(person), day)).any()
    assert seen > 0
