"""Injected gaps: at the rate asked for or refused, for the reasons asked for, in everything that a watch would miss."""

import math
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator.injecting import TOLERANCE, Injected, inject
from simulator.randomness import stream
from simulator.recording import DataError, Reason
from simulator.scenarios import CAUSES, SCENARIOS, Scenario
from simulator.signals import INDEX, NAMES, SIGNALS, Sensor

few = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 2**32 - 1)
columns = st.lists(st.sampled_from(NAMES), min_size=1, max_size=26, unique=True)
lived = st.sampled_from(["natural", "careless", "off_wrist", "charging", "motion"])
HANDLED = [Reason.CHARGING, Reason.OFF_WRIST, Reason.BATTERY_EMPTY, Reason.NOT_SYNCED, Reason.DROPPED_OUT]


def complete(seed: int, *shape: int) -> NDArray[np.float64]:
    """Values that are there."""
    return stream(seed, "complete").normal(20.0, 3.0, shape)


def table(days: int, seed: int = 0) -> pd.DataFrame:
    index = pd.date_range("2024-05-04 06:30", periods=days * 1440, freq="min")
    steps = stream(seed, "steps").poisson(5.0, len(index))
    return pd.DataFrame({"heart_rate": 70.0, "steps": steps, "scl": 2.0, "note": "kept"}, index=index)


@few
@given(seeds, columns, lived, st.floats(0.02, 0.6))
def test_the_rate_is_met_within_a_point_or_refused_with_how_far_it_goes(
    seed: int, names: list[str], scenario: str, rate: float
) -> None:
    values = complete(seed, 2, 3 * 1440, len(names))
    told = ""
    try:
        done = inject(values, scenario, rate=rate, seed=seed, signals=names)
    except DataError as refusal:
        told = str(refusal)
    if told:
        reach = float(told.rsplit(" ", 1)[1])
        assert "reach at most" in told
        assert reach < rate
        return
    assert abs(done.mask.mean() - rate) <= TOLERANCE
    assert done.met == pytest.approx(done.mask.mean())
    assert done.asked == rate
    assert sum(done.by_cause.values()) == pytest.approx(done.met)


@few
@given(seeds, columns, lived)
def test_mask_values_and_reasons_agree_and_nothing_else_is_touched(seed: int, names: list[str], scenario: str) -> None:
    values = complete(seed, 2 * 1440, len(names))
    values[100:130] = np.nan
    before = values.copy()
    done = inject(values, scenario, seed=seed, signals=names)
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(np.isnan(done.values), done.mask | np.isnan(values))
    np.testing.assert_array_equal(done.values[~done.mask], values[~done.mask])
    np.testing.assert_array_equal(done.reasons > 0, done.mask)
    assert not done.mask[100:130].any()
    assert set(np.unique(done.reasons)) <= {0, *map(int, SCENARIOS[scenario].causes)}
    assert math.isnan(done.asked)


@few
@given(seeds, lived, st.floats(0.02, 0.4), st.floats(0.02, 0.4))
@example(1, "charging", 0.05, 0.4)  # one life's charges do not reach so far
def test_a_higher_rate_hides_all_that_a_lower_one_does(seed: int, scenario: str, a: float, b: float) -> None:
    values = complete(seed, 4 * 1440, 26)
    try:
        less, more = (inject(values, scenario, rate=rate, seed=seed).mask for rate in sorted((a, b)))
    except DataError:
        return
    assert not (less & ~more).any()


@few
@given(seeds, st.floats(0.05, 0.95))
def test_a_higher_severity_hides_all_that_a_lower_one_does(seed: int, severity: float) -> None:
    values = complete(seed, 2 * 1440, 26)
    less, more = (inject(values, "careless", severity=s, seed=seed).mask for s in (severity * 0.5, severity))
    assert not (less & ~more).any()


@few
@given(seeds, columns)
def test_a_signal_misses_the_same_minutes_whichever_others_are_there(seed: int, names: list[str]) -> None:
    names = [name for name in names if name != "steps"] or ["scl"]  # steps tell of movement
    everything = [name for name in NAMES if name != "steps"]
    whole = inject(complete(seed, 1440, len(everything)), seed=seed, signals=everything)
    part = inject(complete(seed, 1440, len(names)), seed=seed, signals=names)
    places = [everything.index(name) for name in names]
    lost = whole.reasons[:, places] > 0
    np.testing.assert_array_equal(part.mask, lost)


@few
@given(seeds)
def test_a_watch_off_the_wrist_takes_all_channels_with_it(seed: int) -> None:
    names = [name for name in NAMES if name != "on_wrist"]
    done = inject(complete(seed, 3 * 1440, len(names)), "off_wrist", rate=0.15, seed=seed, signals=names)
    away = done.mask.any(axis=1)
    assert (done.mask.all(axis=1) == away)[:-1].all()
    lengths = np.diff(np.flatnonzero(np.diff(away.astype(int), prepend=0, append=0)))[::2]
    assert lengths.max() > 30  # minutes: takings-off are not scattered minutes


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_every_scenario_can_be_injected_and_gives_its_causes_alone(name: str) -> None:
    done = inject(complete(1, 4, 4 * 1440, 26), name, seed=3)
    assert set(done.by_cause) <= {cause.name.lower() for cause in SCENARIOS[name].causes}
    rate = {"too_cold": 0.005, "winter": 0.01, "power_saving": 0.03, "sensor_absent": 0.05}.get(name, 0.04)
    again = inject(complete(1, 4, 4 * 1440, 26), name, rate=rate, seed=3)
    assert again.met == pytest.approx(rate, abs=TOLERANCE)
    assert again.met > 0


def test_every_cause_has_a_scenario_of_its_name() -> None:
    for cause in CAUSES:
        assert SCENARIOS[cause.name.lower()].causes == {cause}


def test_the_same_seed_gives_the_same_gaps_and_another_gives_others() -> None:
    values = np.ones((2, 1440, 26))
    first, same, other = (inject(values, "careless", seed=seed).mask for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()
    assert (first[0] != first[1]).any()  # people differ
    alone = inject(values[:1], "careless", seed=5).mask  # and one more changes nobody
    np.testing.assert_array_equal(alone[0], first[0])


def test_a_table_is_treated_like_its_numbers_and_keeps_the_rest() -> None:
    given_table = table(2)
    before = given_table.copy()
    done = inject(given_table, "careless", rate=0.2, seed=4)
    pd.testing.assert_frame_equal(given_table, before)
    assert list(done.mask.columns) == ["heart_rate", "steps", "scl"]
    assert (done.values["note"] == "kept").all()
    assert done.values.index.equals(given_table.index)
    numbers = given_table[["heart_rate", "steps", "scl"]].to_numpy(dtype=float)
    start = datetime(2024, 5, 4, 6, 30)
    array = inject(numbers, "careless", rate=0.2, seed=4, signals=["heart_rate", "steps", "scl"], start=start)
    np.testing.assert_array_equal(done.mask.to_numpy(), array.mask)
    np.testing.assert_array_equal(done.values[done.mask.columns].to_numpy(), array.values)
    np.testing.assert_array_equal(done.reasons.to_numpy(), array.reasons)


def test_a_table_of_several_people_and_own_names_for_columns() -> None:
    one = table(1).rename(columns={"heart_rate": "pulse"}).rename_axis("timestamp").reset_index()
    people = pd.concat([one.assign(person="b"), one.assign(person="a")], ignore_index=True)
    shuffled = people.sort_values("timestamp", kind="stable").reset_index(drop=True)  # persons interleaved
    done = inject(shuffled, rate=0.3, seed=1, signals={"pulse": "PPG"})
    assert list(done.mask.columns) == ["steps", "scl", "pulse"] or set(done.mask.columns) == {"steps", "scl", "pulse"}
    assert done.met == pytest.approx(0.3, abs=TOLERANCE)
    masks = [done.mask[(shuffled["person"] == who).to_numpy()]["steps"].to_numpy() for who in "ab"]
    assert (masks[0] != masks[1]).any()


def test_nights_off_are_nights_and_motion_is_where_the_steps_are() -> None:
    days = pd.date_range("2024-05-06", periods=5 * 1440, freq="min")
    walking = (days.hour == 15).astype(float) * 110.0
    data = pd.DataFrame({"heart_rate": 70.0, "rmssd": 30.0, "steps": walking}, index=days)
    off = inject(data, "nights_off", severity=1.0, seed=2).mask["steps"]
    assert off[(days.hour >= 2) & (days.hour < 5)].mean() > 0.6
    assert off[(days.hour >= 13) & (days.hour < 17)].mean() < 0.3
    afternoon = days.hour == 15
    lost = [inject(data, "motion", severity=1.0, seed=seed).mask for seed in range(3, 8)]
    shares = [mask["rmssd"][afternoon].mean() for mask in lost]
    assert np.median(shares) > 0.8  # not all: the five-minute window lags, charges come first, and some wear it loosely
    rate = np.mean([mask["heart_rate"] for mask in lost], axis=0)
    assert rate[afternoon].mean() > 3 * rate[~afternoon].mean()
    assert not any(mask["steps"].any() for mask in lost)


def test_data_that_begin_later_in_the_day_miss_the_same_minutes_of_it() -> None:
    values = complete(0, 2 * 1440, 26)
    whole = inject(values, seed=3, start="2024-05-06 00:00")
    evening = inject(values[1080:], seed=3, start="2024-05-06 18:00")
    differ = whole.mask[1080:] != evening.mask
    assert not differ[500:].any()  # an episode that the beginning cuts may have another place in the order
    assert evening.mask.mean() > 0.05


def test_short_windows_begin_at_any_time_of_the_day() -> None:
    nights = inject(complete(0, 60, 300, 3), "nights_off", seed=1, signals=["heart_rate", "steps", "scl"]).mask
    share = nights.mean(axis=(1, 2))
    assert (share > 0.95).any()
    assert (share < 0.05).any()


def test_rows_may_be_further_apart() -> None:
    minute = inject(complete(0, 2 * 1440, 1), "off_wrist", seed=7, signals=["heart_rate"])
    quarter = inject(complete(0, 2 * 96, 1), "off_wrist", seed=7, signals=["heart_rate"], step_minutes=15)
    np.testing.assert_array_equal(quarter.mask, minute.mask[::15])


def test_sensors_are_absent_wholly_and_only_as_devices_lack_them() -> None:
    done = inject(complete(0, 20, 1440, 26), "sensor_absent", seed=1)
    for i in range(20):
        for sensor in Sensor:
            rows = [row for row, signal in enumerate(SIGNALS) if signal.sensor == sensor]
            gone = done.mask[i][:, rows]
            assert gone.all() or not gone.any()
    assert not done.mask[..., INDEX["steps"]].any()  # every maker's watch counts steps


def test_a_scenario_of_ones_own() -> None:
    mine = Scenario(
        about="shift workers' charges", causes=frozenset({Reason.CHARGING}), population="night-shift", vendor="whoop-4"
    )
    assert inject(complete(0, 1440, 26), mine).met == 0.0  # it charges on the wrist
    assert inject(complete(0, 3 * 1440, 26), replace(mine, vendor="pixel-watch-2")).met > 0.0


REFUSED = [
    ({"rate": 0.0}, "rate=0.0 is not in"),
    ({"rate": 1.0}, "rate=1.0 is not in"),
    ({"severity": 1.5}, "severity=1.5 is not in"),
    ({"rate": 0.1, "severity": 0.1}, "exclude each other"),
    ({"scenario": "gremlins"}, "scenario='gremlins' is none of natural"),
    ({"step_minutes": 7}, "step_minutes=7 does not divide"),
    ({"step_minutes": 1.5}, "step_minutes=1.5 is not a whole number"),
    ({"start": "some day"}, "start='some day' is no date and time"),
    ({"start": pd.NaT}, "start=NaT is no date and time"),
    ({"signals": ["heart_rate"]}, "26 columns, signals= names 1"),
    ({"signals": ["glucose"] * 26}, "'glucose' is neither a signal nor a sensor"),
    ({"scenario": "motion", "rate": 0.9}, r"rate=0.9 cannot be met: motion in 1 x 1440 rows reach at most 0\.\d"),
]


@pytest.mark.parametrize(("arguments", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_cannot_be_is_refused_in_one_line(arguments: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        inject(complete(0, 1440, 26), **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_tables_and_arrays_that_are_laid_out_otherwise_are_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(5,\)"):
        inject(np.zeros(5))
    with pytest.raises(DataError, match="no cell holds a finite value"):
        inject(np.full((1440, 26), np.nan))
    with pytest.raises(DataError, match="neither timestamps"):
        inject(table(1).reset_index(drop=True))
    with pytest.raises(DataError, match=r"row 10: .* expected 1 min later"):
        inject(table(1).drop(table(1).index[10]))
    with pytest.raises(DataError, match="no column of note"):
        inject(table(1)[["note"]])
    with pytest.raises(DataError, match="does not have: pulse"):
        inject(table(1), signals={"pulse": "PPG"})
    with pytest.raises(DataError, match=r"values: .*, expected numbers"):
        inject(np.full((1440, 26), 1j))
    with pytest.raises(DataError, match=r"column 'heart_rate': .*'high'; expected numbers"):
        inject(table(1).assign(heart_rate="high"))
    with pytest.raises(DataError, match=r"column 'heart_rate': datetime.*, expected numbers"):
        inject(table(1).assign(heart_rate=table(1).index))
    with pytest.raises(DataError, match="'heart_rate' stands twice"):
        inject(pd.concat([table(1)[["heart_rate"]]] * 2, axis=1))
    with pytest.raises(DataError, match="row 0: no timestamp"):
        inject(table(1).iloc[:1].set_index(pd.DatetimeIndex([pd.NaT])))
    long = table(1).rename_axis("timestamp").reset_index()
    with pytest.raises(DataError, match="row 7: no person"):
        inject(long.assign(person=pd.Series("a", long.index).where(long.index != 7)))
    with pytest.raises(ValueError, match="'hair', which is none of"):
        Scenario(about="", causes=frozenset({Reason.MOTION}), habits={"hair": 1})
    with pytest.raises(ValueError, match=r"-1\.0 for 'quits_per_year'"):
        Scenario(about="", causes=frozenset({Reason.MOTION}), per_span={"quits_per_year": -1.0})
    with pytest.raises(ValueError, match="nan is not finite"):
        Scenario(about="", causes=frozenset({Reason.MOTION}), air_shift_celsius=float("nan"))
    with pytest.raises(ValueError, match="SENSOR_ABSENT beside others"):
        Scenario(about="", causes=frozenset({Reason.SENSOR_ABSENT, Reason.MOTION}))
    with pytest.raises(ValueError, match="non-empty set of CAUSES"):
        Scenario(about="", causes=frozenset({Reason.NOT_RECORDED}))


def test_columns_may_be_called_by_numbers() -> None:
    named = inject(table(1)[["heart_rate"]], seed=3)
    numbered = inject(table(1)[["heart_rate"]].rename(columns={"heart_rate": 5}), seed=3, signals={5: "heart_rate"})
    assert (numbered.mask[5] == named.mask["heart_rate"]).all()


def test_the_result_says_what_was_done() -> None:
    done = inject(complete(0, 3 * 1440, 26), rate=0.25, seed=1)
    assert isinstance(done, Injected)
    assert list(done.by_cause) == [c.name.lower() for c in CAUSES if c.name.lower() in done.by_cause]
    for name, share in done.by_cause.items():
        assert share == pytest.approx((done.reasons == Reason[name.upper()]).mean())
