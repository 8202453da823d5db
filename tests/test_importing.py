"""Importing: tables of other devices become recordings, and whatever is odd about them is handled or named."""

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.dataset import open_dataset
from simulator.importing import (
    E4_BIN_MS,
    ENTROPY_BIN_MS,
    FORMATS,
    HEART_RATE_GAP_MINUTES,
    STEPLESS_MINUTES,
    import_folder,
    import_minutes,
)
from simulator.randomness import stream
from simulator.recording import DataError, Reason, Recording
from simulator.signals import INDEX, NAMES, SIGNALS, Sensor

REAL = Path(__file__).parents[2] / "shared" / "realdata"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real recordings are not on this machine")


def clock(count: int, start: str = "2024-05-06 00:00") -> pd.DatetimeIndex:
    return pd.date_range(start, periods=count, freq="min")


def minutes(count: int = 3, person: str = "a", start: str = "2024-05-06 00:00", **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"person": person, "timestamp": clock(count, start), **columns})


def fitabase(count: int, **columns: Any) -> pd.DataFrame:
    table = pd.DataFrame({"person_id": "a", "timestamp": clock(count), "heart_rate": np.nan, "hr_source": None})
    return table.assign(steps=0.0, intensity=0.0).assign(**columns)


def stored(table: pd.DataFrame, tmp_path: Path, name: str = "in.parquet") -> Path:
    path = tmp_path / name
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return path


def imported(table: pd.DataFrame, tmp_path: Path, format_name: str = "minutes") -> list[Recording]:
    recordings, _, _ = import_minutes(stored(table, tmp_path), None, format_name)
    return [recording.check() for recording in recordings]


# ------------------------------------------------------------------------------------------------ what comes in


def test_a_hand_made_table(tmp_path: Path) -> None:
    first = minutes(3, start="2024-05-06 23:58", heart_rate=[60, np.nan, 70.5], steps=[0, 5, 300], diary="x")
    second = minutes(1, person="b", start="2024-05-09 12:00", heart_rate=[80], steps=[np.nan])
    lost = minutes(2, person="nobody", heart_rate=np.nan, steps=[-1, np.inf])
    source = stored(pd.concat([first, second, lost]), tmp_path)
    iterator, people, report = import_minutes(source)
    a0, a1, b = list(iterator)
    assert (report.people, report.person_days) == (2, 3)
    assert report.observed == {"heart_rate": 3, "steps": 2}
    assert report.skipped == [{"person": "nobody", "reason": "no usable value of any signal"}]
    assert report.ignored_columns == ["diary"]
    assert list(people["person"]) == ["a", "b"]
    assert [(r.person, r.day, str(r.date)) for r in (a0, a1, b)] == [
        ("a", 0, "2024-05-06"),
        ("a", 1, "2024-05-07"),
        ("b", 3, "2024-05-09"),
    ]
    heart_rate, steps = INDEX["heart_rate"], INDEX["steps"]
    assert a0.values[heart_rate, 1438] == 60
    assert a1.values[heart_rate, 0] == np.float32(70.5)
    assert b.values[heart_rate, 720] == 80
    assert [int(r.observed.sum()) for r in (a0, a1, b)] == [3, 1, 1]
    assert a1.reason[steps, 0] == Reason.OUT_OF_RANGE
    assert a0.reason[heart_rate, 1439] == Reason.NOT_RECORDED
    assert a0.truth is None
    for name in NAMES:
        sensor = SIGNALS[INDEX[name]].sensor
        absent = sensor not in (Sensor.PPG, Sensor.ACC)
        assert (a0.reason[INDEX[name], 5] == Reason.SENSOR_ABSENT) == absent, name


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 2000), st.floats(0, 0.9), st.booleans())
def test_order_form_and_repeats_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, missing: float, as_csv: bool
) -> None:
    random = stream(seed, "table")
    table = minutes(count, heart_rate=np.round(random.uniform(40, 180, count), 2), steps=random.integers(0, 200, count))
    table["heart_rate"] = table["heart_rate"].mask(random.random(count) < missing)
    tmp_path = tmp_path_factory.mktemp("any")
    plain = imported(table, tmp_path)
    mixed = pd.concat([table, table.iloc[: count // 3]]).iloc[random.permutation(count + count // 3)]
    iterator, _, report = import_minutes(stored(mixed, tmp_path, "mixed.csv" if as_csv else "mixed.parquet"))
    assert report.dropped_rows == count // 3
    for left, right in zip(plain, iterator, strict=True):
        np.testing.assert_array_equal(left.values, right.values)
        np.testing.assert_array_equal(left.reason, right.reason)
    seen = sum(int(r.observed[INDEX["heart_rate"]].sum()) for r in plain)
    assert seen == int(table["heart_rate"].notna().sum()) == report.observed.get("heart_rate", 0)


def test_a_mapping_renames_and_comes_first(tmp_path: Path) -> None:
    table = minutes(2, heart_rate=[1e9, 1e9], pulse=[61, 62]).rename(columns={"person": "who"})
    source = stored(table, tmp_path)
    iterator, _, report = import_minutes(source, {"who": "person", "pulse": "heart_rate"})
    assert next(iterator).values[INDEX["heart_rate"], 1] == 62
    assert report.ignored_columns == ["heart_rate"]


def test_clock_time_counts_whatever_the_zone(tmp_path: Path) -> None:
    table = minutes(2, heart_rate=60.0)
    plain = imported(table, tmp_path)[0]
    zoned = imported(table.assign(timestamp=table["timestamp"].dt.tz_localize("America/New_York")), tmp_path)[0]
    written = table.assign(timestamp=["2024-05-06T00:00:00-04:00", "2024-05-06T00:01:00-04:00"])
    np.testing.assert_array_equal(plain.observed, zoned.observed)
    np.testing.assert_array_equal(plain.observed, imported(written, tmp_path)[0].observed)


def test_numbered_people_and_a_folder_of_files(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    stored(minutes(2, heart_rate=60.0).assign(person=7), tmp_path / "in", "a.csv")
    stored(minutes(2, heart_rate=60.0).assign(person=8.0), tmp_path / "in", "b.parquet")
    _, people, report = import_minutes(tmp_path / "in")
    assert list(people["person"]) == ["7", "8"]
    assert report.person_days == 2


# ------------------------------------------------------------------------------------------------ named formats


def test_fitabase_leaves_out_what_was_filled_or_not_worn(tmp_path: Path) -> None:
    count, off = 600, slice(100, 100 + HEART_RATE_GAP_MINUTES)
    table = fitabase(count, heart_rate=70.0, hr_source="raw")
    table.loc[10:19, "hr_source"] = "filled"  # 10 minutes without a beat: worn
    table.loc[off.start : off.stop - 1, "hr_source"] = "filled"  # 20 minutes: off
    table.loc[300:399, "heart_rate"] = np.nan
    table.loc[300:399, "steps"] = 50.0  # no heart rate, but walking: worn
    (recording,) = imported(table, tmp_path, "fitabase")
    beats, steps = recording.observed[INDEX["heart_rate"], :count], recording.observed[INDEX["steps"], :count]
    assert not beats[10:20].any()
    assert not beats[off].any()
    assert beats.sum() == count - 10 - HEART_RATE_GAP_MINUTES - 100
    assert steps[10:20].all()
    assert not steps[off].any()
    assert steps.sum() == count - HEART_RATE_GAP_MINUTES


@pytest.mark.parametrize(("zeros", "worn"), [(STEPLESS_MINUTES - 1, True), (STEPLESS_MINUTES, False)])
def test_fitabase_without_heart_rate_goes_by_long_rest(tmp_path: Path, zeros: int, worn: bool) -> None:
    steps = np.full(1440, 7.0)
    steps[200 : 200 + zeros] = 0
    (recording,) = imported(fitabase(1440, steps=steps), tmp_path, "fitabase")
    assert recording.observed[INDEX["steps"], 200 : 200 + zeros].all() == worn
    assert recording.observed[INDEX["steps"]].sum() == 1440 - (0 if worn else zeros)


def test_e4_columns_mean_what_ours_mean(tmp_path: Path) -> None:
    layout = FORMATS["e4"]
    table = pd.DataFrame({theirs: [800.0] * 3 for theirs in layout.columns})
    table = table.assign(person_id="a", timestamp=clock(3), temp_mean=31.0, rr_pct_valid=80.0, pnn30=40.0)
    table = table.assign(heart_rate=70.0, scl=1.5, scl_slope=-0.1, rmssd=40.0, sdnn=50.0)
    table = table.assign(rr_entropy=2.5, rr_diff_entropy=2.25, worn_guess=[1, 1, 0], acc_kurtosis=9.0)
    (recording,) = imported(table, tmp_path, "e4")
    assert recording.values[INDEX["skin_temperature"], 0] == 31
    assert recording.values[INDEX["rr_valid"], 0] == 80
    assert recording.values[INDEX["rr_entropy"], 0] == pytest.approx(2.5 + np.log(E4_BIN_MS / ENTROPY_BIN_MS))
    assert recording.values[INDEX["rr_diff_entropy"], 0] == pytest.approx(2.25 + np.log(E4_BIN_MS / ENTROPY_BIN_MS))
    assert not recording.observed[:, 2].any()
    assert (recording.reason[INDEX["kurtosis"]] == Reason.SENSOR_ABSENT).all()


def test_spot_measurements_go_into_their_minute(tmp_path: Path) -> None:
    table = pd.DataFrame({theirs: [800.0] * 2 for theirs in FORMATS["welltory"].columns})
    table = table.assign(person_id="a", timestamp=pd.to_datetime(["2024-05-06 07:00:41", "2024-05-06 07:00:08"]))
    table = table.assign(rmssd=[41.0, 8.0], pnn30=1.0, sdnn=9.0, rr_pct_valid=99.0)
    iterator, _, report = import_minutes(stored(table, tmp_path), None, "welltory")
    (recording,) = iterator
    assert recording.observed[INDEX["rmssd"]].sum() == 1
    assert recording.values[INDEX["rmssd"], 420] == 41  # the later of the two
    assert report.dropped_rows == 1


def test_a_file_without_persons_is_one_person_s(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("ann", "bob"):
        stored(minutes(2, heart_rate=60.0).drop(columns="person"), tmp_path / "in", f"{name}.csv")
    iterator, people, _ = import_minutes(tmp_path / "in")
    assert list(people["person"]) == [recording.person for recording in iterator] == ["ann", "bob"]


def test_american_times_are_read_where_am_or_pm_tells_them(tmp_path: Path) -> None:
    """The form of Fitbit's raw exports: April 12, not December 4; noon and midnight are 12."""
    written = ["4/12/2016 12:00:00 AM", "4/12/2016 12:01:00 PM", "4/12/2016 1:02 pm"]
    table = GOOD.drop(columns="person").assign(timestamp=written)
    recording = next(import_minutes(stored(table, tmp_path, "one.csv"))[0])
    assert recording.date == date(2016, 4, 12)
    assert np.flatnonzero(recording.observed[INDEX["heart_rate"]]).tolist() == [0, 12 * 60 + 1, 13 * 60 + 2]
    path = stored(table.assign(timestamp=["4/12/2016 12:00:00"] * 3), tmp_path, "either.csv")
    with pytest.raises(
        DataError, match="row 1 below the header: timestamp '4/12/2016 12:00:00', expected a local date"
    ):
        import_minutes(path)


def test_several_people_without_their_column_are_told_what_is_missing(tmp_path: Path) -> None:
    two = pd.concat([GOOD, GOOD.assign(person="b", heart_rate=70.0)]).rename(columns={"person": "Id"})
    path = stored(two, tmp_path, "two.csv")
    with pytest.raises(DataError, match=r"two.csv: no column 'person', and two different rows .* --map Id=person"):
        import_minutes(path)
    assert list(import_minutes(path, {"Id": "person"})[1]["person"]) == ["a", "b"]
    path = stored(two.rename(columns={"timestamp": "when"}), tmp_path, "times.csv")
    with pytest.raises(DataError, match=r"'timestamp'; found Id, when, heart_rate; say .* --map COLUMN=timestamp"):
        import_minutes(path)  # a column that is not in the file is not said to be


def test_a_folder_that_is_there_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(DataError, match="out: exists and is not an empty folder"):
        import_folder(tmp_path / "missing.csv", tmp_path / "out")


# ------------------------------------------------------------------------------------------------ what is refused

GOOD = minutes(3, heart_rate=[60.0, 61.0, 62.0])
REFUSED: dict[str, tuple[pd.DataFrame, str]] = {
    "no timestamp": (GOOD.drop(columns="timestamp"), r"no column 'timestamp'; found person"),
    "no signal": (GOOD.rename(columns={"heart_rate": "hr"}), r"no column is one of the 26 signals; found .*hr"),
    "null person": (GOOD.assign(person=pd.Series(["a", None, "a"])), r"row 2 below the header: no person"),
    "bad time": (
        GOOD.assign(timestamp=["2024-05-06 00:00", "soon", ""]),
        r"row 2 below the header: timestamp 'soon', expected",
    ),
    "epoch": (GOOD.assign(timestamp=[1, 2, 3]), r"timestamps are numbers \(1 in the first row\), expected"),
    "off grid": (GOOD.assign(timestamp=clock(3) + pd.to_timedelta([0, 0, 5], "s")), r"row 3 .*00:02:05 is off the min"),
    "words": (GOOD.assign(heart_rate=["60", "fast", "61"]), r"column 'heart_rate', row 2 .*'fast', expected a number"),
    "two rows": (GOOD.assign(timestamp=clock(1)[0]), r"person 'a' has two different rows for 2024-05-06 00:00:00"),
    "nothing usable": (GOOD.assign(heart_rate=np.nan), r"no usable value of any signal for any of 1 people"),
    "nothing in range": (GOOD.assign(heart_rate=1e300), r"no usable value"),
    "no rows": (GOOD.iloc[:0], r"no usable value|timestamps are"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_imported(name: str, tmp_path: Path) -> None:
    table, message = REFUSED[name]
    source = stored(table, tmp_path, "in.csv")
    with pytest.raises(DataError, match=message):
        import_folder(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 nonsense")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "binary.csv").write_bytes(bytes(range(128, 256)) * 9)
    (tmp_path / "folder").mkdir()
    for name, message in {
        "bad.parquet": "cannot be read",
        "empty.csv": "cannot be read",
        "binary.csv": "cannot be read",
        "nowhere.csv": "no such file or folder",
        "folder": r"no .parquet or .csv file in it",
    }.items():
        with pytest.raises(DataError, match=f"{name}: {message}"):
            import_minutes(tmp_path / name)
    source = stored(GOOD, tmp_path)
    with pytest.raises(DataError, match="format 'garmin' is unknown, expected one of minutes, fitabase"):
        import_minutes(source, None, "garmin")
    with pytest.raises(DataError, match=r"no column 'person_id'; found person, timestamp, heart_rate"):
        import_minutes(source, None, "fitabase")
    with pytest.raises(DataError, match="'pulse' is none of person, timestamp, heart_rate"):
        import_minutes(source, {"heart_rate": "pulse"})
    with pytest.raises(DataError, match="no column 'hr'; found person"):
        import_minutes(source, {"hr": "heart_rate"})
    with pytest.raises(DataError, match="two columns for 'steps'"):
        import_minutes(stored(GOOD.assign(b=1), tmp_path), {"heart_rate": "steps", "b": "steps"})


# ------------------------------------------------------------------------------------------------ real recordings


@needs_real
def test_real_fitabase(tmp_path: Path) -> None:
    report = import_folder(REAL / "fitabase.parquet", tmp_path / "ds", "fitabase")
    table = pd.read_parquet(REAL / "fitabase.parquet")
    assert (report.people, report.person_days, report.skipped) == (17, 546, [])
    assert report.observed["heart_rate"] == int((table["hr_source"] == "raw").sum())
    assert 0.6 < report.observed["steps"] / table["steps"].notna().sum() < 0.8
    ds = open_dataset(tmp_path / "ds")
    minute_table = ds.minutes(["heart_rate", "steps"])
    assert minute_table["steps"].sum() == table["steps"].sum()  # only zeros were left out
    assert minute_table["heart_rate"].notna().sum() == report.observed["heart_rate"]


@needs_real
@pytest.mark.parametrize(("file", "name"), [("stress_predict_e4", "e4"), ("welltory_rr_spot", "welltory")])
def test_other_real_recordings(tmp_path: Path, file: str, name: str) -> None:
    table = pd.read_parquet(REAL / f"{file}.parquet").iloc[:400]
    report = import_folder(stored(table, tmp_path), tmp_path / "ds", name)
    assert report.people == table["person_id"].nunique()
    open_dataset(tmp_path / "ds").verify()
