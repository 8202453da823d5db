"""Cohorts: the same bytes in any order and shard; every contract of a recording."""

import hashlib
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator.cohort import Cohort
from simulator.physiology import embody
from simulator.population import POPULATIONS
from simulator.recording import RESOLUTION_BITS, Reason, Recording, round_to_resolution
from simulator.routine import live
from simulator.sensors import measure
from simulator.signals import INDEX, RR_STATISTICS, SIGNALS
from simulator.vendor import Vendor
from simulator.vendors import VENDORS
from simulator.wearing import installed, wear_key

COHORT = Cohort(population=POPULATIONS["lsm1"], people=3, days=2, seed=6)


def digest(recording: Recording) -> str:
    parts = [recording.values, recording.observed, recording.reason]
    parts += [] if recording.truth is None else [recording.truth]
    facts = (recording.person, recording.vendor, recording.day, recording.date, recording.events)
    return hashlib.sha256(repr(facts).encode() + b"".join(part.tobytes() for part in parts)).hexdigest()


def test_iteration_is_canonical_and_equals_addressing() -> None:
    recordings = list(COHORT)
    assert len(recordings) == len(COHORT) == 6
    assert [(r.person, r.day) for r in recordings] == [(COHORT.person_id(i), d) for i in range(3) for d in range(2)]
    addressed = {place: digest(COHORT[place]) for place in [(2, 1), (0, 0), (1, 1), (2, 0), (0, 1), (1, 0)]}
    assert [digest(r) for r in recordings] == [addressed[i, d] for i in range(3) for d in range(2)]
    assert len(set(addressed.values())) == 6


def test_shards_and_more_people_change_nobody() -> None:
    whole = [digest(recording) for recording in COHORT]
    larger = [digest(recording) for recording in replace(COHORT, people=4)]
    shards = [replace(COHORT, people=1), replace(COHORT, people=2, first_person=1)]
    assert larger[: len(whole)] == whole
    assert [digest(recording) for shard in shards for recording in shard] == whole


def test_statistics_that_are_not_computed_would_not_have_been_delivered() -> None:
    person, vendor = COHORT.person(2), COHORT.vendor_of(2)
    routine, recording = live(person, 1, COHORT.start), COHORT[2, 1]
    values = measure(person, vendor, routine, embody(person, routine, 1), 1)
    round_to_resolution(values)
    rows = [INDEX[name] for name in RR_STATISTICS]
    observed = recording.observed[rows]
    np.testing.assert_array_equal(recording.values[rows][observed], values[rows][observed])
    assert 0.3 < observed[1:].mean() < 0.6 < observed[0].mean()


@settings(max_examples=10, deadline=None)
@given(
    name=st.sampled_from(sorted(POPULATIONS)),
    vendor=st.sampled_from([None, *sorted(VENDORS)]),
    seed=st.integers(0, 2**40),
    place=st.tuples(st.integers(0, 2), st.integers(0, 30)),
)
def test_every_recording_keeps_the_contract(name: str, vendor: str | None, seed: int, place: tuple[int, int]) -> None:
    cohort = Cohort(population=POPULATIONS[name], people=3, days=31, seed=seed, vendor=vendor)
    recording = cohort[place].check()
    assert recording.date == date(2024, 3, 1 + place[1])
    assert recording.vendor == cohort.vendor_of(place[0]).name
    assert vendor in (None, recording.vendor)
    assert not recording.values[~recording.observed].tobytes().strip(b"\0")
    assert recording.truth is not None
    for i, known in enumerate(SIGNALS):
        values = recording.values[i][recording.observed[i]]
        assert ((values >= known.low) & (values <= known.high)).all(), known.name
        absent = known.sensor not in VENDORS[recording.vendor].sensors
        assert (recording.reason[i] == Reason.SENSOR_ABSENT).all() == absent, known.name
    delivered = recording.values[INDEX["on_wrist"]][recording.observed[INDEX["on_wrist"]]]
    assert set(delivered.tolist()) <= {0.0, 1.0}


def test_truth_lies_under_the_gaps_and_can_be_left_out() -> None:
    recording = COHORT[0, 0]
    assert recording.truth is not None
    assert (~recording.observed).any()
    assert (recording.truth[INDEX["heart_rate"]] > 0).all()
    without = replace(COHORT, with_truth=False)[0, 0]
    assert without.truth is None
    assert without.values.tobytes() == recording.values.tobytes()


def test_cells_keep_their_resolution_and_no_further_digit() -> None:
    recording = COHORT[0, 0]
    assert recording.truth is not None
    for cells in (recording.values, recording.truth):
        mantissa, _ = np.frexp(cells)
        steps = mantissa * 2 ** (RESOLUTION_BITS + 1)
        assert (steps == np.round(steps)).all()


@settings(deadline=None)
@given(exact=st.floats(-1e6, 1e6, width=32), other=st.floats(-1e6, 1e6, width=32))
def test_rounding_moves_by_half_a_step_and_keeps_order_and_ranges(exact: float, other: float) -> None:
    ends = [end for known in SIGNALS for end in (known.low, known.high)]
    cells = np.array([exact, other, *ends], dtype=np.float32)
    rounded = cells.copy()
    round_to_resolution(rounded)
    assert (rounded[2:] == cells[2:]).all()
    assert (rounded[0] <= rounded[1]) == (cells[0] <= cells[1]) or rounded[0] == rounded[1]
    normal = np.abs(cells) > np.finfo(np.float32).tiny
    assert (np.abs(rounded - cells)[normal] <= np.abs(cells[normal]) * 2.0 ** -(RESOLUTION_BITS + 1)).all()


def test_the_device_changes_the_record_and_not_the_body() -> None:
    here, there = (replace(COHORT, vendor=name)[1, 0] for name in ("fitbit-sense-2", "pixel-watch-1"))
    assert here.truth is not None
    assert there.truth is not None
    assert here.truth.tobytes() == there.truth.tobytes()
    assert there.observed[INDEX["scl"]].sum() == 0
    assert not np.array_equal(here.observed, there.observed)


def test_people_table_has_a_row_a_person() -> None:
    table = COHORT.people_table()
    assert table["person"].tolist() == ["lsm1-0000000", "lsm1-0000001", "lsm1-0000002"]
    wanted = {"vendor", "age_years", "sex", "bmi_kg_m2", "height_cm", "vo2max_ml_kg_min", "resting_hr_bpm"}
    assert wanted | {"hypertension", "anxiety"} <= set(table.columns)
    assert not {"seed", "index"} & set(table.columns)
    assert table["age_years"].tolist() == [COHORT.person(i).age_years for i in range(3)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"people": 0}, "Cohort.people=0 is not in"),
        ({"days": -1}, "Cohort.days=-1 is not in"),
        ({"first_person": -1}, "Cohort.first_person=-1 is below 0"),
        ({"vendor": "sundial"}, "Cohort.vendor='sundial' is none of"),
    ],
)
def test_impossible_cohorts_are_refused(change: dict[str, int | str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(COHORT, **change)  # type: ignore[arg-type]


def test_places_outside_are_refused() -> None:
    for place in [(3, 0), (0, 2), (-1, 0)]:
        with pytest.raises(IndexError, match="is not within 3 people and 2 days"):
            COHORT[place]


def test_days_of_too_little_wear_are_left_out_and_nothing_else_changes() -> None:
    """LSM-2 leaves out days that lack more than 80 % of their cells."""
    everything = Cohort(population=replace(POPULATIONS["lsm2"], most_missing=1.0), people=12, days=4, seed=5)
    kept = replace(everything, population=replace(everything.population, most_missing=0.5))
    worn = [r for r in everything if 1 - r.observed.mean() <= 0.5]
    found = list(kept)
    assert 0 < len(found) == len(worn) < len(everything)
    for one, other in zip(found, worn, strict=True):
        assert (one.person, one.day) == (other.person, other.day)
        assert (one.values == other.values).all()


def test_firmware_comes_to_each_wearer_some_days_after_its_date_and_changes_what_it_says() -> None:
    samsung = VENDORS["samsung-galaxy-watch-6"]
    since = samsung.updates[0].since
    cohort = Cohort(
        population=POPULATIONS["vendors"],
        people=4,
        days=50,
        seed=3,
        start=since - timedelta(days=5),
        vendor=samsung.name,
    )
    lags = set()
    for i in range(4):
        person = cohort.person(i)
        firmware = [
            installed(person, samsung, cohort.start + timedelta(days=day), wear_key(person)) for day in range(50)
        ]
        changed = [device != samsung for device in firmware]
        assert changed == sorted(changed)  # once it is there it stays
        assert not any(changed[:5])
        assert changed[-1]
        lags.add(changed.index(True))
        for day in (changed.index(True) - 1, changed.index(True)):
            expected = measured_with(firmware[day], cohort, i, day)
            there = cohort[i, day].observed[INDEX["heart_rate"]]
            found = cohort[i, day].values[INDEX["heart_rate"], there]
            true_places = ~lingering(cohort[i, day])[there]
            np.testing.assert_array_equal(found[true_places], expected[there][true_places])
    assert len(lags) > 1


def measured_with(device: Vendor, cohort: Cohort, i: int, day: int) -> NDArray[np.float32]:
    """Heart rate of a day by a device, rounded as recordings are."""
    person = cohort.person(i)
    routine = live(person, day, cohort.start)
    values: NDArray[np.float32] = measure(person, device, routine, embody(person, routine, day), day)[
        INDEX["heart_rate"]
    ].copy()
    round_to_resolution(values)
    return values


def lingering(recording: Recording) -> NDArray[np.bool_]:
    """Where heart rate lingers off the wrist."""
    inside = np.zeros(1440, dtype=np.bool_)
    for event in recording.events:
        if event.kind == "fault" and event.label.endswith("heart_rate"):
            inside[event.start_minute : event.end_minute] = True
    return inside


def test_a_day_across_an_update_is_the_same_alone_and_in_a_run() -> None:
    garmin = VENDORS["garmin-venu-3"]
    start = garmin.updates[0].since - timedelta(days=1)
    cohort = Cohort(population=POPULATIONS["vendors"], people=1, days=30, seed=5, start=start, vendor=garmin.name)
    for recording in cohort.of_person(0):
        if recording.day % 7 == 0:
            alone = cohort[0, recording.day]
            np.testing.assert_array_equal(alone.values, recording.values)
            np.testing.assert_array_equal(alone.reason, recording.reason)
