"""Blocks, shards, engines, interrupts and merging: always the same bytes, and nothing is done twice."""

import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import dataset_writing, generating
from simulator.cohort import Cohort
from simulator.dataset import open_dataset, write_dataset
from simulator.engines import Processes, Ray, WorkerLostError
from simulator.generating import cut, simulate
from simulator.merging import merge_datasets
from simulator.population import POPULATIONS
from simulator.recording import DataError
from tests.odd_work import die, die_once

COHORT = Cohort(population=POPULATIONS["lsm1"], people=5, days=2, seed=6)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of two people, so that five people are three blocks."""
    monkeypatch.setattr(generating, "LEAST_PERSON_DAYS", 4)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process writes without an interrupt; look, but do not touch."""
    folder = tmp_path_factory.mktemp("whole") / "ds"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generating, "LEAST_PERSON_DAYS", 4)
        simulate(COHORT, folder)
    return folder


def files(folder: Path) -> dict[str, str]:
    """Hash of every file, hidden ones, too."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


# ------------------------------------------------------------------------------------------------ blocks


@settings(max_examples=60)
@given(st.integers(1, 3000), st.integers(1, 400), st.integers(1, 40))
def test_blocks_hold_everybody_once_and_shards_share_them_out(people: int, days: int, shards: int) -> None:
    shards = min(shards, people)
    blocks = [block for shard in range(1, shards + 1) for block in cut(people, days, shard, shards)]
    assert [person for block in blocks for person in block] == list(range(people))
    alone = cut(people, days)
    most = max(1, generating.MOST_PERSON_DAYS // days)
    assert all(len(block) <= most for block in alone)
    if shards <= len(alone):
        assert blocks == alone  # so part files are the same
        sizes = [len(cut(people, days, shard, shards)) for shard in range(1, shards + 1)]
        assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("shard", "shards"), [(0, 1), (2, 1), (1, 11)])
def test_shards_that_cannot_be_are_refused(shard: int, shards: int) -> None:
    with pytest.raises(ValueError, match="expected 1 <= shard <= shards <= 10 people"):
        cut(10, 1, shard, shards)


def test_the_folder_holds_the_cohort(whole: Path, tmp_path: Path) -> None:
    ds = open_dataset(whole)
    ds.verify()
    assert len(ds.manifest.parts) >= 3
    found = {(r.person, r.day): r.values[r.observed].tobytes() for r in ds}
    assert found == {(r.person, r.day): r.values[r.observed].tobytes() for r in COHORT}
    summary = write_dataset(tmp_path / "ds", COHORT, COHORT.people_table())
    assert summary.sha256 == ds.manifest.sha256


# ------------------------------------------------------------------------------------------------ who makes them


def test_workers_change_no_byte(whole: Path, tmp_path: Path) -> None:
    done: list[int] = []
    simulate(COHORT, tmp_path / "ds", engine=Processes(2), progress=done.append)
    assert files(tmp_path / "ds") == files(whole)
    assert done[-1] == 10
    assert done == sorted(done)


@pytest.mark.parametrize("shards", [2, 3])
def test_shards_merge_into_the_whole_s_bytes(shards: int, whole: Path, tmp_path: Path) -> None:
    folders = [tmp_path / f"{shard}" for shard in range(1, shards + 1)]
    for shard, folder in enumerate(folders, 1):
        simulate(COHORT, folder, shard=shard, shards=shards)
    with pytest.raises(DataError, match=f"shard 1/{shards} stands 0 times"):
        merge_datasets(folders[1:], tmp_path / "part")
    summary = merge_datasets(folders[::-1], tmp_path / "ds")
    assert files(tmp_path / "ds") == files(whole)
    assert summary.person_days == 10


def test_more_shards_than_blocks_have_the_same_content(whole: Path, tmp_path: Path) -> None:
    folders = [tmp_path / f"{shard}" for shard in range(1, 6)]
    for shard, folder in enumerate(folders, 1):
        assert simulate(COHORT, folder, shard=shard, shards=5).people == 1
    merge_datasets(folders, tmp_path / "ds")
    ds = open_dataset(tmp_path / "ds")
    ds.verify()
    assert ds.manifest.sha256 == open_dataset(whole).manifest.sha256


def test_a_killed_worker_s_task_is_done_again(tmp_path: Path) -> None:
    tasks = [(str(tmp_path), i) for i in range(5)]
    assert sorted(Processes(2).run(die_once, tasks)) == [0, 1, 2, 3, 4]
    with pytest.raises(WorkerLostError, match="killed 4 times"):
        list(Processes(1).run(die, [1]))


def test_workers_end_when_the_caller_has_enough(tmp_path: Path) -> None:
    results = Processes(2).run(die_once, [(str(tmp_path), i) for i in range(0, 40, 2)])
    assert next(results) % 2 == 0
    assert len(multiprocessing.active_children()) == 2
    results.close()
    assert multiprocessing.active_children() == []


KILLED = """
import multiprocessing, sys, time
from pathlib import Path
from simulator.cohort import Cohort
from simulator.engines import Processes
from simulator.generating import simulate
from simulator.population import POPULATIONS

def tell(done):
    if done:
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        time.sleep(60)

if __name__ == "__main__":
    cohort = Cohort(population=POPULATIONS["lsm1"], people=4000, days=2, seed=6)
    simulate(cohort, Path(sys.argv[1]), engine=Processes(2), progress=tell)
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    command = [sys.executable, str(script), str(tmp_path / "ds")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.kill()
    deadline = time.monotonic() + 20.0
    while any(_is_running(pid) for pid in workers):
        assert time.monotonic() < deadline, f"workers {workers} outlive their killed parent"
        time.sleep(0.05)


def _is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"  # ended, whether or not anybody has asked how


RAY = """
import contextlib, sys
from pathlib import Path
from simulator import generating
from simulator.engines import Ray
from tests.odd_work import die_once
from tests.test_generating import COHORT

generating.LEAST_PERSON_DAYS = 4
folder = sys.argv[1]
with contextlib.redirect_stdout(sys.stderr):  # Ray tells of lost workers
    running = Ray(2).run(die_once, [(folder, i) for i in range(9)])
    assert {next(running) for _ in range(6)} <= set(range(9))
listening = [line.split()[1] for line in Path("/proc/net/tcp6").read_text().splitlines()[1:] if line.split()[3] == "0A"]
print(*(address for address in listening if address.startswith("0" * 32)))
with contextlib.redirect_stdout(sys.stderr):
    running.close()  # as an interrupt does
generating.simulate(COHORT, Path(folder) / "ds", engine=Ray(2))
"""


@pytest.mark.slow
def test_ray_writes_the_same_bytes_does_lost_work_again_and_leaves_nothing(whole: Path, tmp_path: Path) -> None:
    listening, folders = _open_to_all(), set(Path("/tmp").glob("ew-ray-*"))
    mark = {"EVERYWEAR_TEST_RAY": str(tmp_path)}
    environment = os.environ | mark | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    command = [sys.executable, "-c", RAY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert set(done.stdout.split()) <= listening
    assert files(tmp_path / "ds") == files(whole)
    assert set(Path("/tmp").glob("ew-ray-*")) <= folders
    carrying = [p for p in Path("/proc").glob("[0-9]*/environ") if f"={tmp_path}\0".encode() in _bytes(p)]
    assert carrying == []


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999", "nowhere.invalid:6379"])
def test_an_address_without_a_cluster_is_refused_at_once(address: str) -> None:
    with pytest.raises(ConnectionError, match=f"no Ray cluster answers at {address}"):
        next(Ray(1, address).run(die_once, [("", 0)]))


@pytest.mark.parametrize("address", ["nonsense", "", "here:there"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConnectionError, match=f"Ray address '{address}' is neither host:port nor auto"):
        next(Ray(1, address).run(die_once, [("", 0)]))


def _open_to_all() -> set[str]:
    """Sockets that listen to other machines."""
    lines = Path("/proc/net/tcp6").read_text().splitlines()[1:]
    return {line.split()[1] for line in lines if line.split()[3] == "0A" and line.split()[1].startswith("0" * 32)}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


# ------------------------------------------------------------------------------------------------ going on


class KilledError(BaseException):
    """Stands for kill -9."""


def kill(*_: object, **__: object) -> None:
    raise KilledError


def stop_at(person_days: int) -> Callable[[int], None]:
    def stop(done: int) -> None:
        if done >= person_days:
            raise KilledError

    return stop


def test_finished_blocks_are_never_made_again(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, made = tmp_path / "ds", []
    with pytest.raises(KilledError):
        simulate(COHORT, folder, progress=stop_at(7))
    assert not folder.exists()
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / ".ds.partial" / "blocks").glob("*.json")}
    assert {path.stem for path in kept} == {"asked", "0000000"}

    def watched(block: generating.Block, progress: Callable[[int], None] | None = None) -> int:
        made.append(block.name)
        return write(block, progress)

    write = generating.write_block
    monkeypatch.setattr(generating, "write_block", watched)
    done: list[int] = []
    simulate(COHORT, folder, progress=done.append)
    assert made == ["0000002", "0000004"]
    assert done[0] == 4
    assert files(folder) == files(whole)


def test_an_end_at_any_place_changes_nothing(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ds"
    places = [(generating, "people_rows"), (generating, "sync_files"), (generating, "join_tables")]
    places += [(generating, "write_manifest"), (dataset_writing, "sync_folder"), (dataset_writing, "_to_disk")]
    for module, name in places:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, name, kill)
            with pytest.raises(KilledError):
                simulate(COHORT, folder)
        assert not folder.exists(), name
    simulate(COHORT, folder)
    assert files(folder) == files(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["ds"]


@pytest.mark.parametrize("change", ["seed", "simulator", "start", "damage"])
def test_blocks_of_anything_else_are_swept_away(change: str, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ds"
    other = {"seed": replace(COHORT, seed=7), "start": replace(COHORT, start=COHORT.start.replace(day=9))}
    with pytest.raises(KilledError):
        simulate(other.get(change, COHORT), folder, progress=stop_at(7))
    if change == "simulator":
        asked = tmp_path / ".ds.partial" / "blocks" / "asked.json"
        asked.write_text(json.dumps(json.loads(asked.read_text()) | {"first_day_sha256": "0"}))
        part = next((tmp_path / ".ds.partial").rglob("part-0000000.parquet"))
        part.write_bytes(b"of another version")
    if change == "damage":
        (tmp_path / ".ds.partial" / "blocks" / "asked.json").write_bytes(b"")
    simulate(COHORT, folder)
    assert files(folder) == files(whole)


def test_a_population_that_leaves_out_every_day_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    nobody = replace(COHORT, people=1, population=replace(COHORT.population, most_missing=0.0))
    with pytest.raises(DataError, match="no recordings to write"):
        simulate(nobody, tmp_path / "ds")
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------ merging


def test_folders_that_do_not_go_together_are_refused(whole: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    simulate(replace(COHORT, people=1, first_person=9, with_truth=False), bare)
    with pytest.raises(DataError, match="truth=False, unlike"):
        merge_datasets([whole, bare], tmp_path / "ds")
    twin = tmp_path / "twin"
    shutil.copytree(whole, twin)
    with pytest.raises(DataError, match="stands 2 times"):
        merge_datasets([whole, twin], tmp_path / "ds")
    simulate(replace(COHORT, days=1), tmp_path / "short")
    with pytest.raises(DataError, match=r"is in .*, too; if they are different people, --rename"):
        merge_datasets([whole, tmp_path / "short"], tmp_path / "ds")
    with pytest.raises(DataError, match="no such folder"):
        merge_datasets([tmp_path / "nowhere"], tmp_path / "ds")
    with pytest.raises(DataError, match="at least one"):
        merge_datasets([], tmp_path / "ds")
    assert not (tmp_path / "ds").exists()


def test_people_of_the_same_ids_are_told_apart_by_their_folders_names(whole: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    simulate(replace(COHORT, seed=COHORT.seed + 1, people=2), other)
    out = tmp_path / "out"
    merge_datasets([other, whole], out, rename=True)
    merged, parts = open_dataset(out), {folder.name: open_dataset(folder) for folder in (other, whole)}
    ids = [f"{name}-{person}" for name, part in parts.items() for person in part.people["person"]]
    assert merged.people["person"].tolist() == ids
    marks = {f"{name}-{person}": mark for name, part in parts.items() for person, mark in part.marks().items()}
    assert merged.marks() == marks  # whom a model was trained on is still known
    assert merged.people.drop(columns="person").equals(
        pd.concat([part.people.drop(columns="person") for part in parts.values()], ignore_index=True)
    )
    days = {(recording.person, recording.day): recording for recording in merged}
    assert len(days) == sum(map(len, parts.values()))
    for name, part in parts.items():
        for recording in part:
            found = days[f"{name}-{recording.person}", recording.day]
            np.testing.assert_array_equal(found.values, recording.values)
            np.testing.assert_array_equal(found.reason, recording.reason)
            assert found.events == recording.events
    simulate(replace(COHORT, days=COHORT.days, people=1), tmp_path / "again")  # somebody who is in both
    with pytest.raises(DataError, match="are the same person, expected different people"):
        merge_datasets([whole, tmp_path / "again"], tmp_path / "ds", rename=True)
    shutil.copytree(other, tmp_path / "deeper" / whole.name)
    with pytest.raises(DataError, match="two have the same name"):
        merge_datasets([whole, tmp_path / "deeper" / whole.name], tmp_path / "ds", rename=True)
    with pytest.raises(DataError, match="out: exists and is not an empty folder"):  # before anything else
        merge_datasets([tmp_path / "nowhere"], out)


def test_other_cohorts_and_parts_of_the_same_name_merge_too(whole: Path, tmp_path: Path) -> None:
    more = replace(COHORT, seed=7, first_person=0, people=2, population=replace(COHORT.population, name="more"))
    simulate(more, tmp_path / "more")
    merge_datasets([tmp_path / "more", whole], tmp_path / "ds")
    ds = open_dataset(tmp_path / "ds")
    ds.verify()
    assert len(ds) == 14
    assert len(ds.manifest.made_by["merged"]) == 2
    assert len(pq.read_table(tmp_path / "ds" / "people.parquet")) == 7


def test_merging_what_was_merged_changes_no_source(tmp_path: Path) -> None:
    sources = [tmp_path / name for name in "abc"]
    for folder in sources:  # parts of the same name in each
        other = replace(COHORT.population, name=folder.name)
        simulate(replace(COHORT, people=1, days=1, population=other, vendor="whoop-4"), folder)
    merge_datasets(sources[:2], tmp_path / "ab")
    before = {folder: files(folder) for folder in [*sources, tmp_path / "ab"]}
    merge_datasets([tmp_path / "ab", tmp_path / "c"], tmp_path / "abc")
    ds = open_dataset(tmp_path / "abc")
    ds.verify()
    assert sorted(ds.index["person"]) == ["a-0000000", "b-0000000", "c-0000000"]
    assert {folder: files(folder) for folder in before} == before


# ------------------------------------------------------------------------------------------------ memory

MEMORY = """
import resource, sys
from dataclasses import replace
from pathlib import Path
from simulator.cohort import Cohort
from simulator.generating import simulate
from simulator.population import POPULATIONS

cohort = Cohort(population=POPULATIONS["lsm1"], people=64, days=1, seed=6)
day = cohort[0, 0]
record = lambda self, person, vendor, *measured: replace(
    day, person=self.person_id(person.index - self.first_person), vendor=vendor.name, values=day.values.copy())
Cohort._record = record  # quick, and as large as any
for people in (64, 320):
    simulate(replace(cohort, people=people), Path(sys.argv[1]) / str(people))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_is_flat_in_the_number_of_people(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, env=environment, check=True
    )
    few, many = (int(kilobytes) for kilobytes in done.stdout.split())
    assert many - few < 25_000  # kB, of 96 MB that 256 more person-days would take
