"""The dataset folder: what goes in comes out, whole or not at all, and every damage has a name."""

import dataclasses
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.dataset import Dataset, open_dataset, write_dataset
from simulator.dataset_layout import EVENT_SCHEMA, EventFile
from simulator.randomness import stream
from simulator.recording import SHAPE, DataError, Event, Reason, Recording
from simulator.signals import INDEX, NAMES, SIGNALS

LOW = np.array([signal.low for signal in SIGNALS], dtype=np.float32)[:, None]
HIGH = np.array([signal.high for signal in SIGNALS], dtype=np.float32)[:, None]
FIRST_DAY = date(2024, 3, 30)


def made_up(person: int, day: int, *, missing: float = 0.4, vendor: str | None = None, seed: int = 0) -> Recording:
    """A recording of random cells inside their ranges with random reasons."""
    random = stream(seed, person, day)
    truth = np.clip(LOW + (HIGH - LOW) * random.random(SHAPE, dtype=np.float32), LOW, HIGH)
    reason = (random.random(SHAPE) < missing) * random.integers(1, max(Reason) + 1, SHAPE)
    return Recording(
        person=f"p{person:03d}",
        vendor=vendor or ("acme", "beta-2")[person % 2],
        day=day,
        date=FIRST_DAY + timedelta(days=day),
        values=truth.copy(),
        observed=reason == 0,
        reason=reason.astype(np.uint8),
        truth=truth,
        events=(Event("sleep", "main", -40, 400), Event("mood", "calm", 600, 601))[: person % 3],
    )


def people_of(count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "person": [f"p{i:03d}" for i in range(count)],
            "age_years": [20.0 + 0.1 * i for i in range(count)],
            "hypertension": [i % 3 == 0 for i in range(count)],
        }
    )


def same(left: Recording, right: Recording) -> bool:
    """Equal in everything that a folder keeps."""
    kept = ("person", "vendor", "day", "date", "events")
    return (
        all(getattr(left, name) == getattr(right, name) for name in kept)
        and np.array_equal(left.observed, right.observed)
        and np.array_equal(left.reason, right.reason)
        and np.array_equal(left.values[left.observed], right.values[right.observed])
        and (left.truth is None) == (right.truth is None)
        and (left.truth is None or right.truth is None or np.array_equal(left.truth, right.truth))
    )


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return [made_up(person, day) for person in range(5) for day in range(3)]


@pytest.fixture
def folder(tmp_path: Path, recordings: list[Recording]) -> Path:
    write_dataset(tmp_path / "ds", recordings, people_of(5), made_by={"seed": 7}, rows_per_part=4)
    return tmp_path / "ds"


# ------------------------------------------------------------------------------------------------ round trip


def test_what_is_written_is_read(folder: Path, recordings: list[Recording]) -> None:
    ds = open_dataset(folder)
    assert len(ds) == len(recordings)
    by_key = {(r.person, r.day): r for r in recordings}
    for i, found in enumerate(ds):
        assert same(found, by_key[found.person, found.day])
        assert same(found, ds[i])
        assert tuple(ds.index.iloc[i][["person", "vendor", "day"]]) == (found.person, found.vendor, found.day)
    assert same(ds[-1], ds[len(ds) - 1])
    with pytest.raises(IndexError):
        ds[len(ds)]
    pd.testing.assert_frame_equal(ds.people, people_of(5))
    assert ds.vendors == ("acme", "beta-2")
    ds.verify()


@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 3),
    st.floats(0, 1),
    st.integers(1, 5),
    st.integers(0, 2**32),
    st.booleans(),
    st.booleans(),
)
def test_round_trip_of_any_size_and_mask(
    tmp_path_factory: pytest.TempPathFactory,
    people: int,
    days: int,
    missing: float,
    rows_per_part: int,
    seed: int,
    truth: bool,
    reasons: bool,
) -> None:
    folder = tmp_path_factory.mktemp("any") / "ds"
    given_ = [made_up(p, d, missing=missing, seed=seed) for p in range(people) for d in range(days)]
    summary = write_dataset(
        folder, given_, people_of(people), rows_per_part=rows_per_part, truth=truth, reasons=reasons
    )
    ds = open_dataset(folder)
    assert (summary.people, summary.person_days) == (people, people * days) == (len(ds.people), len(ds))
    assert summary.bytes == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    by_key = {(r.person, r.day): r for r in given_}
    for found in ds:
        expected = by_key[found.person, found.day]
        if not truth:
            expected = dataclasses.replace(expected, truth=None)
        if not reasons:
            unknown = np.where(expected.observed, np.uint8(0), np.uint8(Reason.NOT_RECORDED))
            expected = dataclasses.replace(expected, reason=unknown)
        assert same(found, expected)
    ds.verify()


def test_the_hash_is_of_the_content(tmp_path: Path, recordings: list[Recording]) -> None:
    def sha(name: str, given_: Sequence[Recording], people: pd.DataFrame, **options: Any) -> str:
        return write_dataset(tmp_path / name, given_, people, **options).sha256

    people = people_of(5)
    plain = sha("plain", recordings, people)
    assert sha("parts", recordings, people, rows_per_part=1) == plain
    assert sha("order", recordings[::-1], people.iloc[::-1], rows_per_part=2) == plain
    shards = [people.iloc[:2], people.iloc[2:]]
    for i, shard in enumerate(shards):
        sha(f"shard{i}", [r for r in recordings if r.person in set(shard["person"])], shard)
    joined = itertools.chain(open_dataset(tmp_path / "shard1"), open_dataset(tmp_path / "shard0"))
    assert sha("joined", list(joined), people) == plain
    unseen = dataclasses.replace(recordings[0], values=np.where(recordings[0].observed, recordings[0].values, -1))
    assert sha("unseen", [unseen, *recordings[1:]], people) == plain
    changed = recordings[0].values.copy()
    changed[np.nonzero(recordings[0].observed)[0][0], np.nonzero(recordings[0].observed)[1][0]] += 0.25
    assert sha("value", [dataclasses.replace(recordings[0], values=changed), *recordings[1:]], people) != plain
    assert sha("events", [dataclasses.replace(recordings[0], events=()), *recordings[1:]], people) == plain
    assert sha("event", [dataclasses.replace(recordings[4], events=()), *recordings[1:]][1:], people) != plain
    assert sha("people", recordings, people.assign(age_years=30.0)) != plain
    assert sha("truth", recordings, people, truth=False) != plain


def test_it_is_plain_parquet(folder: Path, recordings: list[Recording]) -> None:
    table = pads.dataset(folder / "recordings", partitioning="hive").to_table().to_pandas()
    row = table[(table["person"] == "p003") & (table["day"] == 1)].iloc[0]
    expected = next(r for r in recordings if (r.person, r.day) == ("p003", 1))
    assert row["vendor"] == "beta-2"
    assert row["date"] == expected.date
    i = INDEX["heart_rate"]
    np.testing.assert_array_equal(row["heart_rate"], np.where(expected.observed[i], expected.values[i], np.nan))


def test_arrays_and_minutes_agree_with_the_recordings(folder: Path) -> None:
    ds = open_dataset(folder)
    values, observed = ds.arrays()
    assert values.shape == observed.shape == (len(ds), *SHAPE)
    assert (values[~observed] == 0).all()
    minutes = ds.minutes(["steps", "scl"])
    assert list(minutes.columns) == ["person", "vendor", "timestamp", "steps", "scl"]
    assert len(minutes) == len(ds) * 1440
    for i, recording in enumerate(ds):
        assert np.array_equal(values[i], recording.values)
        assert np.array_equal(observed[i], recording.observed)
        rows = minutes.iloc[i * 1440 : (i + 1) * 1440]
        assert rows["timestamp"].iloc[61] == pd.Timestamp(recording.date) + pd.Timedelta(minutes=61)
        for name in ("steps", "scl"):
            k = INDEX[name]
            expected = np.where(recording.observed[k], recording.values[k], np.nan)
            np.testing.assert_array_equal(rows[name].to_numpy(), expected)
    assert list(ds.select(["p001"]).minutes().columns[3:]) == list(NAMES)
    with pytest.raises(DataError, match="no signal 'pulse'"):
        ds.minutes(["pulse"])


def test_a_person_without_any_value(tmp_path: Path) -> None:
    write_dataset(tmp_path / "ds", [made_up(0, 0, missing=1.0)], people_of(1))
    values, observed = open_dataset(tmp_path / "ds").arrays()
    assert not observed.any()
    assert np.isfinite(values).all()


# ------------------------------------------------------------------------------------------------ splits


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**63), st.integers(1, 60), st.floats(0, 0.6), st.floats(0, 0.39))
def test_splits_are_disjoint_and_stable(seed: int, count: int, test_share: float, validation_share: float) -> None:
    whole = bare(count).split(seed, test_share, validation_share)
    sides = {name: set(side.people["person"]) for name, side in whole.items()}
    assert set.union(*sides.values()) == set(people_of(count)["person"])
    assert sum(len(side) for side in sides.values()) == count
    assert sum(len(side) for side in whole.values()) == count
    for name, side in bare(count + 3).split(seed, test_share, validation_share).items():
        assert sides[name] == set(side.people["person"]) & set(people_of(count)["person"])


def bare(count: int) -> Dataset:
    """A dataset whose recordings cannot be read: enough to be split."""
    people = people_of(count)
    index = pd.DataFrame({"person": people["person"], "vendor": "acme", "day": 0, "date": pd.Timestamp(FIRST_DAY)})
    source: Any = type("NoSource", (), {"folder": Path("nowhere")})()
    return Dataset(source, people, index, np.zeros((count, 3), dtype=np.int64))


def test_split_shares_hold_on_average() -> None:
    sides = bare(4000).split(3, 0.25, 0.1)
    for name, share in (("test", 0.25), ("validation", 0.1), ("train", 0.65)):
        assert abs(len(sides[name]) / 4000 - share) < 4 * (share * (1 - share) / 4000) ** 0.5
    assert set(bare(5).split(3, 0.25)) == {"train", "test"}
    with pytest.raises(ValueError, match="sum below 1"):
        bare(5).split(3, 0.5, 0.5)


def test_a_selection_reads_only_its_people(folder: Path) -> None:
    ds = open_dataset(folder)
    part = ds.select(["p003", "p001"])
    assert [(r.person, r.day) for r in part] == [(p, d) for p in ("p001", "p003") for d in range(3)]
    assert [r.person for r in (part[i] for i in range(6))] == ["p001"] * 3 + ["p003"] * 3
    assert part.vendors == ("beta-2",)
    with pytest.raises(DataError, match="no person 'nobody'"):
        ds.select(["nobody"])
    with pytest.raises(ValueError, match="only a whole dataset"):
        part.verify()


# ------------------------------------------------------------------------------------------------ writing refuses


def test_what_cannot_be_written(tmp_path: Path) -> None:
    good = made_up(0, 0)
    nan, far = good.values.copy(), good.values.copy()
    cell = tuple(np.argwhere(good.observed)[0])
    nan[cell], far[cell] = np.nan, 1e6
    assert good.truth is not None
    bad_reason = np.where(good.observed, 0, 99).astype(np.uint8)
    cases: dict[str, list[Recording]] = {
        "stands twice": [good, good],
        "not in people": [made_up(1, 0)],
        "nan is outside the physical range": [dataclasses.replace(good, values=nan)],
        r"column 'heart_rate', minute \d+: 1000000": [dataclasses.replace(good, values=far)],
        "truth, column 'heart_rate'": [dataclasses.replace(good, truth=np.full(SHAPE, 1e6, np.float32))],
        "no folder name": [dataclasses.replace(good, vendor="../a b")],
        "without truth, unlike": [good, dataclasses.replace(good, day=1, truth=None)],
        "with truth, unlike": [dataclasses.replace(good, day=1, truth=None), good],
        "reason 99": [dataclasses.replace(good, reason=bad_reason)],
        "expected float32": [dataclasses.replace(good, values=good.values.astype(np.float64))],
        "no recordings": [],
    }
    for message, given_ in cases.items():
        with pytest.raises(DataError, match=message):
            write_dataset(tmp_path / "ds", given_, people_of(1))
        assert list(tmp_path.iterdir()) == [], message
    for people, message in (
        (people_of(1).rename(columns={"person": "id"}), "no column 'person'"),
        (pd.DataFrame({"person": [1]}), "not every value is a string"),
        (pd.DataFrame({"person": ["p000", "p000"]}), "stands twice"),
    ):
        with pytest.raises(DataError, match=message):
            write_dataset(tmp_path / "ds", [good], people)


def test_a_target_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ds").mkdir()
    (tmp_path / "ds" / "thesis.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("ds", "file"):
        with pytest.raises(DataError, match="not an empty folder"):
            write_dataset(tmp_path / name, [made_up(0, 0)], people_of(1))
    assert (tmp_path / "ds" / "thesis.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    write_dataset(tmp_path / "empty", [made_up(0, 0)], people_of(1))
    open_dataset(tmp_path / "empty")


def test_an_interrupted_write_leaves_nothing_and_can_be_repeated(tmp_path: Path, recordings: list[Recording]) -> None:
    def interrupted() -> Iterator[Recording]:
        yield from recordings[:9]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "ds", interrupted(), people_of(5), rows_per_part=2)
    assert list(tmp_path.iterdir()) == []
    killed = tmp_path / ".ds.partial" / "recordings" / "vendor=old"  # as a kill leaves it
    killed.mkdir(parents=True)
    (killed / "part-00000.parquet").write_bytes(b"half")
    counts: list[int] = []
    write_dataset(tmp_path / "ds", recordings, people_of(5), progress=counts.append)
    assert counts == list(range(1, len(recordings) + 1))
    assert [path.name for path in tmp_path.iterdir()] == ["ds"]
    open_dataset(tmp_path / "ds").verify()


def test_two_writers_of_one_target(tmp_path: Path) -> None:
    def nested() -> Iterator[Recording]:
        yield made_up(0, 0)
        with pytest.raises(DataError, match="another process is writing"):
            write_dataset(tmp_path / "ds", [made_up(0, 1)], people_of(1))

    write_dataset(tmp_path / "ds", nested(), people_of(1))
    assert len(open_dataset(tmp_path / "ds")) == 1


# ------------------------------------------------------------------------------------------------ reading refuses

PART = "recordings/vendor=acme/part-00000.parquet"
Damage = Callable[[Path], object]


def edit(name: str, change: Callable[[pa.Table], pa.Table]) -> Damage:
    """Rewrite one Parquet file of the folder."""

    def damage(folder: Path) -> None:
        table = pq.read_table(folder / name, partitioning=None)
        pq.write_table(change(table), folder / name)

    return damage


def manifest(**changes: object) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "dataset.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def column(name: str, make: Callable[[list[Any]], Any]) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        i = table.column_names.index(name)
        new = make(table.column(name).to_pylist())
        return table.set_column(i, name, pa.array(new, table.schema.field(name).type) if isinstance(new, list) else new)

    return change


def with_cell(value: float | None) -> Callable[[list[Any]], Any]:
    return lambda rows: [[value, *rows[0][1:]], *rows[1:]]


def cut(name: str) -> Damage:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-100])


def flip(folder: Path) -> None:
    """Change the last row's steps within their range: only the hash can know."""
    edit(PART, column("steps", lambda rows: [*rows[:-1], [3.0] * 1440]))(folder)
    edit(PART.replace("recordings", "reasons"), column("steps", lambda rows: [*rows[:-1], [0] * 1440]))(folder)


LISTS = pa.array([[1.0] * 1440] * 4, pa.list_(pa.float32()))
SHORT = pa.array([[1.0] * 1439] * 4, pa.list_(pa.float32(), 1439))

DAMAGES: dict[str, tuple[Damage, str]] = {
    "no manifest": (lambda f: (f / "dataset.json").unlink(), r"dataset.json: missing"),
    "not json": (lambda f: (f / "dataset.json").write_text("{"), r"dataset.json: Invalid JSON"),
    "not text": (lambda f: (f / "dataset.json").write_bytes(b"\xff\xfe"), r"dataset.json: Invalid JSON"),
    "deep json": (lambda f: (f / "dataset.json").write_text("[" * 10**5), r"dataset.json: Invalid JSON"),
    "foreign json": (lambda f: (f / "dataset.json").write_text("{}"), r"format is None, expected 'everywear dataset'"),
    "a list": (lambda f: (f / "dataset.json").write_text("[]"), r"dataset.json: Input should be an object"),
    "odd parts": (manifest(parts=["a", 1]), r"parts.1: Input should be a valid string, found 1"),
    "odd hash": (manifest(sha256=[1]), r"sha256: Input should be a valid string"),
    "version": (manifest(version=1), r"format version 1, expected 4"),
    "field": (manifest(parts=None), r"parts: Input should be a valid array, found None"),
    "no people": (lambda f: (f / "people.parquet").unlink(), r"people.parquet: missing"),
    "people count": (manifest(people=6), r"5 people, expected 6"),
    "day count": (manifest(person_days=16), r"15 person_days, expected 16"),
    "people type": (
        edit("people.parquet", column("person", lambda r: pa.array(range(len(r))))),
        r"column 'person': type int64, expected string",
    ),
    "people twice": (edit("people.parquet", column("person", lambda r: ["p000"] * len(r))), r"'p000' stands twice"),
    "people key": (
        edit("people.parquet", lambda t: t.drop_columns(["person"])),
        r"no column 'person'; found age_years",
    ),
    "stranger": (
        edit("people.parquet", column("person", lambda r: ["x", *r[1:]])),
        r"recordings, column 'person': 'p000' is not in",
    ),
    "mark type": (
        edit("people.parquet", lambda t: t.append_column("original_mark", pa.array(range(len(t))))),
        r"people.parquet, column 'original_mark': type int64, expected string",
    ),
    "no events": (lambda f: (f / "events.parquet").unlink(), r"events.parquet: missing"),
    "event column": (edit("events.parquet", lambda t: t.drop_columns(["label"])), r"expected column 'label'"),
    "part missing": (lambda f: (f / PART).unlink(), r"part-00000.parquet: missing"),
    "part foreign": (
        lambda f: (f / PART).with_name("part-00009.parquet").write_bytes((f / PART).read_bytes()),
        r"part-00009.parquet: not listed",
    ),
    "truth missing": (lambda f: (f / PART.replace("recordings", "truth")).unlink(), r"truth/.*: missing"),
    "truncated": (cut(PART), r"part-00000.parquet: cannot be read as Parquet"),
    "truncated people": (cut("people.parquet"), r"people.parquet: cannot be read as Parquet"),
    "no column": (edit(PART, lambda t: t.drop_columns(["rmssd"])), r"no column 'rmssd'; found person"),
    "column type": (
        edit(PART, column("scl", lambda r: pa.array([1.0] * len(r)))),
        r"column 'scl': type double, expected fixed_size_list<element: float>\[1440\]",
    ),
    "open lists": (edit(PART, column("scl", lambda _: LISTS)), r"column 'scl': type list<.*expected fixed_size_list"),
    "list length": (edit(PART, column("scl", lambda _: SHORT)), r"\[1439\], expected .*\[1440\]"),
    "too large": (edit(PART, column("steps", with_cell(300.0))), r"column 'steps': value 300.0 is outside .* steps"),
    "infinite": (edit(PART, column("steps", with_cell(np.inf))), r"column 'steps': value inf is outside"),
    "nan": (edit(PART, column("steps", with_cell(np.nan))), r"column 'steps', minute 0: nan is outside"),
    "null list": (edit(PART, column("steps", lambda r: [None, *r[1:]])), r"column 'steps': 1 null lists"),
    "null person": (edit(PART, column("person", lambda r: [None, *r[1:]])), r"other persons or days|a null"),
    "twice": (
        lambda f: [
            edit(PART.replace("recordings", k), column("day", lambda r: [0] * len(r)))(f)
            for k in ("recordings", "truth", "reasons")
        ],
        r"person 'p000', day 0 stands twice",
    ),
    "rows apart": (edit(PART, column("day", lambda r: [9, *r[1:]])), r"other persons or days than in recordings"),
    "rows lost": (edit(PART.replace("recordings", "truth"), lambda t: t.slice(1)), r"rows \(3,\), expected \(4,\)"),
    "contradiction": (
        edit(PART.replace("recordings", "reasons"), column("steps", with_cell(7))),
        r"reason is not 0 exactly where observed|^$",
    ),
    "bit flip": (flip, r"content has sha256"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_has_its_message(name: str, folder: Path) -> None:
    damage, message = DAMAGES[name]
    if name == "contradiction":  # make sure that the cell was observed
        edit(PART, column("steps", with_cell(3.0)))(folder)
    damage(folder)
    with pytest.raises(DataError, match=message):
        open_dataset(folder).verify()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        open_dataset(tmp_path / "nowhere")


def test_where_you_stand_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="cannot be replaced"):
        write_dataset(Path(), [], pd.DataFrame({"person": ["a"]}))
    assert tmp_path.is_dir()


def test_marks_know_a_person_in_any_folder_and_pass_over_empty_days(tmp_path: Path) -> None:
    empty, full = made_up(0, 0, missing=1.0), made_up(0, 1)
    people = pd.DataFrame({"person": ["p000", "p001", "renamed"]})
    write_dataset(tmp_path / "one", [empty, full, made_up(0, 2), made_up(1, 0, missing=1.0)], people)
    write_dataset(tmp_path / "other", [dataclasses.replace(full, person="renamed"), made_up(1, 3)], people)
    one, other = open_dataset(tmp_path / "one").marks(), open_dataset(tmp_path / "other").marks()
    assert set(one) == {"p000"}  # nothing could tell the other two
    assert other["renamed"] == one["p000"] != other["p001"]


def test_marks_do_not_depend_on_who_else_is_in_the_folder(tmp_path: Path) -> None:
    wearers = {0: "zeta", 1: "acme", 2: "beta-2", 3: "acme"}  # other days each, and not in the order of their names
    days = [made_up(person, day, vendor=vendor) for person, vendor in wearers.items() for day in range(4 - person)]
    people = pd.DataFrame({"person": [f"p{person:03d}" for person in wearers]})
    write_dataset(tmp_path / "all", days, people)
    together = open_dataset(tmp_path / "all").marks()
    alone: dict[str, str] = {}
    for person in people["person"]:
        write_dataset(tmp_path / person, [day for day in days if day.person == person], people)
        alone |= open_dataset(tmp_path / person).marks()
    assert together == alone


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(["p1", "p2", "Zoë"]), st.integers(-2, 3), st.integers(0, 99)), max_size=60),
    rows_per_group=st.integers(1, 20),
)
def test_events_are_found_wherever_they_lie(rows: list[tuple[str, int, int]], rows_per_group: int) -> None:
    """Against going through all rows: any order, any cut into row groups, nobody's, none at all."""
    written = [(person, day, "mood", f"number {i}", start, start + i) for i, (person, day, start) in enumerate(rows)]
    columns = zip(zip(*written, strict=True), EVENT_SCHEMA.types, strict=True) if written else ()
    arrays = [pa.array(cells, kind) for cells, kind in columns]
    table = pa.table(arrays, EVENT_SCHEMA) if written else EVENT_SCHEMA.empty_table()
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(table, Path(folder) / "events.parquet", row_group_size=rows_per_group)
        events = EventFile(Path(folder) / "events.parquet")
        for person, day in itertools.product(["p1", "p2", "Zoë", "stranger"], range(-3, 5)):
            expected = tuple(Event(*row[2:]) for row in written if row[:2] == (person, day))
            assert events.of(person, day) == expected
