"""Gaps in files: the kind that went in comes out, untouched but for what was hidden, and every fault has its line."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import everywear
from model.evaluation.robustness_data import acquaintances
from simulator import injecting_files
from simulator.dataset import Dataset, open_dataset, write_dataset
from simulator.files import write_whole
from simulator.injecting import TOLERANCE, inject
from simulator.injecting_files import Request, inject_file
from simulator.recording import DataError, Reason

MINUTES = 2 * 1440
HALF = Request(rate=0.5, seed=3, signals={"pulse": "heart_rate"})


def written(tmp_path: Path, name: str) -> Path:
    """Two people's two days: a pulse with odd decimals and holes, steps, and a note that looks like a missing cell."""
    clock = pd.date_range("2024-05-06", periods=MINUTES, freq="min").astype(str)
    parts = []
    for person in ("007", "b"):
        pulse = [f"{60 + i % 40}.{i % 7}0" for i in range(MINUTES)]
        pulse[5] = ""
        parts.append(pd.DataFrame({"person": person, "timestamp": clock, "pulse": pulse, "steps": "3", "note": "NA"}))
    table = pd.concat(parts, ignore_index=True)
    path = tmp_path / name
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    else:
        typed = table.assign(pulse=pd.to_numeric(table["pulse"]), steps=table["steps"].astype("int16"))
        typed["timestamp"] = pd.to_datetime(typed["timestamp"])
        pq.write_table(pa.Table.from_pandas(typed).replace_schema_metadata({"made": "by hand"}), path)
    return path


def test_a_csv_file_keeps_the_text_of_every_other_cell(tmp_path: Path) -> None:
    source, out, why = written(tmp_path, "in.csv"), tmp_path / "out.csv", tmp_path / "why.csv"
    done = inject_file(source, out, HALF, reasons=why)
    before, after, reasons = (pd.read_csv(p, dtype=str, keep_default_na=False) for p in (source, out, why))
    assert list(after) == list(before)
    hidden = 0
    for name in ("pulse", "steps"):
        gone = (reasons[name] != "").to_numpy()
        assert (after[name][gone] == "").all()
        assert (before[name][gone] != "").all()
        assert (after[name][~gone] == before[name][~gone]).all()
        hidden += int(gone.sum())
    assert after[["person", "timestamp", "note"]].equals(before[["person", "timestamp", "note"]])
    assert reasons[["person", "timestamp"]].equals(before[["person", "timestamp"]])
    assert done.hidden == hidden == sum(done.by_cause.values())
    assert done.cells == 4 * MINUTES - 2
    assert abs(hidden / done.cells - 0.5) <= TOLERANCE
    assert set(reasons["pulse"]) - {""} <= {reason.name.lower() for reason in Reason}


def test_a_parquet_file_keeps_types_and_metadata(tmp_path: Path) -> None:
    source, out, why = written(tmp_path, "in.parquet"), tmp_path / "out.parquet", tmp_path / "why.parquet"
    inject_file(source, out, HALF, reasons=why)
    before, after = pq.read_table(source), pq.read_table(out)
    assert after.schema.metadata == before.schema.metadata
    assert [(f.name, f.type) for f in after.schema] == [(f.name, f.type) for f in before.schema]
    reasons = pq.read_table(why).to_pandas()
    gone = (reasons["steps"] != "").to_numpy()
    assert after["steps"].null_count == gone.sum()
    kept = after["steps"].to_pandas()[~gone]
    assert (kept == 3).all()


def test_a_table_gets_the_gaps_of_the_library_call(tmp_path: Path) -> None:
    source, out = written(tmp_path, "in.parquet"), tmp_path / "out.parquet"
    inject_file(source, out, HALF)
    direct = inject(pd.read_parquet(source), rate=0.5, seed=3, signals={"pulse": "heart_rate"})
    after = pd.read_parquet(out)
    for name in ("pulse", "steps"):
        assert (after[name].isna() == direct.values[name].isna()).all()


@pytest.mark.parametrize("name", ["in.npy", "in.npz"])
def test_arrays_come_back_as_they_were(name: str, tmp_path: Path) -> None:
    values = np.full((2, MINUTES, 2), 70, np.float32)
    source, out, why = tmp_path / name, tmp_path / f"out{name[2:]}", tmp_path / "why.npy"
    if name == "in.npy":
        np.save(source, values)
    else:
        np.savez(source, values=values, other=np.arange(3))
    done = inject_file(source, out, Request(rate=0.3, signals=["heart_rate", "scl"]), reasons=why)
    found = np.load(out)
    after = found if name == "in.npy" else found["values"]
    codes = np.load(why)
    assert after.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(after), codes > 0)
    assert done.hidden == (codes > 0).sum()
    if name == "in.npz":
        assert found["other"].tolist() == [0, 1, 2]


def test_a_dataset_folder_gets_more_gaps_and_keeps_the_rest(planted_dataset: Dataset, tmp_path: Path) -> None:
    done = inject_file(planted_dataset.folder, tmp_path / "out", Request(scenario="off_wrist", rate=0.2))
    spoilt = open_dataset(tmp_path / "out")
    spoilt.verify()
    there = hidden = 0
    for before, after in zip(planted_dataset, spoilt, strict=True):
        assert (before.person, before.day, before.events) == (after.person, after.day, after.events)
        gone = before.observed & ~after.observed
        assert not (after.observed & ~before.observed).any()
        assert (after.reason[gone] == Reason.OFF_WRIST).all()
        assert (after.reason[~gone] == before.reason[~gone]).all()
        assert (after.values[after.observed] == before.values[after.observed]).all()
        assert (after.truth is None) == (before.truth is None)
        there, hidden = there + int(before.observed.sum()), hidden + int(gone.sum())
    assert (done.cells, done.hidden) == (there, hidden)
    assert abs(hidden / there - 0.2) <= TOLERANCE
    assert spoilt.manifest.made_by["injected"]["scenario"] == "off_wrist"


def test_a_folder_is_not_written_into_the_one_it_comes_from(planted_dataset: Dataset) -> None:
    inside = planted_dataset.folder / "recordings" / "gappy"
    with pytest.raises(DataError, match=r"gappy: lies inside .*, expected a folder beside it"):
        inject_file(planted_dataset.folder, inside, Request(rate=0.2))
    assert not inside.exists()


def test_gaps_change_nobody_into_somebody_else(planted_dataset: Dataset, tmp_path: Path) -> None:
    few = list(planted_dataset.people["person"][:3])
    days = [r for r in planted_dataset.select(few) if r.day < 2]
    nobody = pd.DataFrame({"person": ["nothing"], "sex": ["male"]})
    write_dataset(tmp_path / "before", days, pd.concat([planted_dataset.select(few).people, nobody]))
    before = open_dataset(tmp_path / "before").marks()
    assert set(before) == set(few)
    source = tmp_path / "before"
    for turn, scenario in enumerate(("off_wrist", "nights_off")):  # once, and what has gaps once more
        inject_file(source, tmp_path / str(turn), Request(scenario=scenario, rate=0.3, seed=turn))
        source = tmp_path / str(turn)
        spoilt = open_dataset(source)
        spoilt.verify()
        anew = Dataset.marks(_forgetful(spoilt))
        assert all(anew[person] != before[person] for person in few[:2])  # all else would be proved of the same days
        assert spoilt.marks() == before
        assert spoilt.select(few[:1]).marks() == {few[0]: before[few[0]]}
    assert acquaintances(source, tmp_path / "before") == set(few)


def _forgetful(dataset: Dataset) -> Dataset:
    """The same, without what its people carry."""
    bare = dataset.select(list(dataset.people["person"]))
    bare.people = bare.people[["person"]]
    return bare


def test_the_command_says_what_was_asked_and_met(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["inject", str(written(tmp_path, "in.csv")), "--signals", "pulse=PPG,steps=ACC", "--rate", "0.2"]
    assert everywear.main([*command, "--out", str(tmp_path / "out.csv"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["asked"] == 0.2
    assert said["met"] == pytest.approx(0.2, abs=TOLERANCE)
    assert sum(said["by_cause"].values()) == pytest.approx(said["met"], abs=1e-4)
    assert everywear.main(["inject", "--list"]) == 0
    assert "daily_charger" in capsys.readouterr().out


def test_what_cannot_be_spoilt_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    csv, out = written(tmp_path, "in.csv"), tmp_path / "out.csv"
    objects, text = tmp_path / "objects.npy", tmp_path / "text.npy"
    np.save(objects, np.array([{}]), allow_pickle=True)
    text.write_text("no array")
    two = tmp_path / "two.npz"
    np.savez(two, a=np.ones(3), b=np.ones(3))
    twice = tmp_path / "twice.csv"
    twice.write_text("timestamp,steps,steps\n2024-05-06 00:00,1,2\n")
    gap = tmp_path / "gap.csv"
    gap.write_text("timestamp,steps\n2024-05-06 00:00,1\n2024-05-06 00:02,2\n")
    nameless = tmp_path / "nameless.csv"
    nameless.write_text("timestamp,glucose\n2024-05-06 00:00,1\n")
    words = tmp_path / "words.csv"
    words.write_text("timestamp,steps\n2024-05-06 00:00,many\n")
    names = Request(signals=["heart_rate"])
    for source, target, request, told in (
        (csv, tmp_path / "out.parquet", HALF, r"out.parquet: expected a .csv file, like in.csv"),
        (csv, csv, HALF, r"in.csv: exists, expected a new name"),
        (csv, out, Request(signals={"puls": "heart_rate"}), r"in.csv: no column 'puls'; found person, timestamp"),
        (csv, out, Request(signals={"pulse": "glucose"}), r"in.csv: column 'glucose' is neither a signal nor"),
        (csv, out, Request(scenario="motion", rate=0.99), r"in.csv: rate=0.99 cannot be met"),
        (csv, out, names, r"in.csv: expected its signals as column=name pairs"),
        (objects, tmp_path / "out.npy", names, r"objects.npy: cannot be read as .npy without pickle"),
        (text, tmp_path / "out.npy", names, r"text.npy: cannot be read as .npy without pickle"),
        (two, tmp_path / "out.npz", names, r"two.npz: holds arrays a, b, expected one"),
        (twice, out, Request(), r"twice.csv: column 'steps' stands twice"),
        (gap, out, Request(), r"gap.csv: row 1: .* expected 1 min later"),
        (nameless, out, Request(), r"none of its columns is named like a signal, .*: timestamp, glucose"),
        (words, out, Request(), r"words.csv, column 'steps', row 1 .*'many', expected a number"),
    ):
        with pytest.raises(DataError, match=told) as caught:
            inject_file(source, target, request)
        assert "\n" not in str(caught.value)
        assert target == csv or not target.exists()
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b'\x00\x01,"a\nb"\n')
    with pytest.raises(DataError, match=r"binary.csv: no column 'timestamp'; found '\\x00\\x01', 'a\\nb'$"):
        inject_file(binary, out, Request())
    with pytest.raises(DataError, match=r"empty.csv: no column 'timestamp'; found none"):
        inject_file(empty, out, Request())
    with pytest.raises(DataError, match=r"out.csv: is where the data go"):
        inject_file(csv, out, HALF, reasons=out)


@pytest.mark.parametrize("name", ["in.csv", "in.npy"])
def test_reasons_that_cannot_be_written_leave_no_data_behind(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, kind = tmp_path / name, Path(name).suffix
    if kind == ".csv":
        written(tmp_path, name)
    else:
        np.save(source, np.full((1440, 1), 70.0))
    request = HALF if kind == ".csv" else Request(rate=0.2, signals=["heart_rate"])
    out, why = tmp_path / f"out{kind}", tmp_path / f"why{kind}"
    with pytest.raises(DataError, match=rf"why{kind}: .*{name} is no folder"):
        inject_file(source, out, request, reasons=source / why.name)
    with pytest.raises(DataError, match=rf"out{kind}: .*{name} is no folder"):
        inject_file(source, source / out.name, request, reasons=why)

    def full(path: Path, content: bytes) -> None:
        if path == why:
            raise OSError("no space left on device")
        write_whole(path, content)

    monkeypatch.setattr(injecting_files, "write_whole", full)
    with pytest.raises(OSError, match="no space"):
        inject_file(source, out, request, reasons=why)
    assert [path.name for path in tmp_path.iterdir()] == [name]
