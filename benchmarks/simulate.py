"""How fast people are simulated: in memory, written, on several workers and as training data, beside simple yardsticks.

Seconds depend on the machine and its load, so the same run, in turns, lets NumPy draw one float32 normal for each of
94,000 beats, about a person-day's; ratios to that are what compares across machines. CPU time is counted, of this
process or of all workers, after everything has been compiled; wall time only where workers are compared.

    python benchmarks/simulate.py --people 40 --days 4
    python benchmarks/simulate.py --lsm-share 0.01 --workers 2     # a measured 1 % of the LSM corpus: two minutes, 2 GB
    python benchmarks/simulate.py --peers path/to/another/venv     # with pip install wearipedia vitalforge neurokit2
    python benchmarks/simulate.py --json
"""

import argparse
import io
import json
import math
import os
import resource
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pyarrow.parquet as pq
from pydantic import TypeAdapter
from tqdm import tqdm

from benchmarks import peers
from federated.study.records import commit, machine
from simulator.cohort import Cohort
from simulator.dataset_layout import checked, digest, to_table
from simulator.dataset_writing import ROWS_PER_GROUP
from simulator.engines import Processes
from simulator.files import read_json, write_json
from simulator.generating import LEAST_PERSON_DAYS, Engine, simulate
from simulator.missingness import RR_VALID_THRESHOLD_PERCENT, find_gaps
from simulator.physiology import embody
from simulator.population import POPULATIONS
from simulator.randomness import stream
from simulator.recording import Recording
from simulator.routine import live_through
from simulator.sensors import measure
from simulator.signals import INDEX

BEATS_PER_DAY = 94_000  # a day at 65 bpm
LSM_PERSON_DAYS = 1_670_000  # LSM-1, section 3.1: 40 million hours
LSM_DAYS = 14  # of a person, when a share of the corpus is written
PEOPLE_A_TURN = 10  # simulated before NumPy's turn: both run as they do in a long run, caches warm
KINDS = ("recordings", "truth", "reasons")
ADDRESSED = 60  # days asked for one by one
SHARE_OF_FREE_DISK = 0.5  # that a corpus, or a shard of it, may take
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class Stopwatch:
    """CPU seconds by name, of this process and of workers that have ended."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, name: str, work: Callable[_Given, _Result], *given: _Given.args, **named: _Given.kwargs) -> _Result:
        """What ``work`` returns; its CPU time is added under ``name``."""
        begin = cpu_seconds()
        result = work(*given, **named)
        self.seconds[name] = self.seconds.get(name, 0.0) + cpu_seconds() - begin
        return result

    def milliseconds(self, name: str, per: int) -> float:
        """All time under ``name`` divided by ``per``."""
        return 1e3 * self.seconds[name] / per


def cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def in_memory(cohort: Cohort) -> tuple[dict[str, float], dict[str, float]]:
    """The chain alone, some people at a time in turns with NumPy's normals; then its stages."""
    watch, rng, n = Stopwatch(), stream(cohort.seed, "benchmark"), len(cohort)
    for first in range(0, cohort.people, PEOPLE_A_TURN):
        turn = range(first, min(first + PEOPLE_A_TURN, cohort.people))
        watch.time("whole", deque, chain.from_iterable(map(cohort.of_person, turn)), maxlen=0)
        for _ in range(len(turn) * cohort.days):
            watch.time("normals", rng.standard_normal, BEATS_PER_DAY, dtype=np.float32)
    for person in range(cohort.people):
        _stages(watch, cohort, person)
    whole, normals = watch.milliseconds("whole", n), watch.milliseconds("normals", n)
    figures = {
        "person_days": n,
        "person_days_per_cpu_second": 1e3 / whole,
        "person_day_ms": whole,
        "normals_ms": normals,
        "ratio_to_normals": whole / normals,
    }
    stages = [name for name in watch.seconds if name not in ("whole", "normals")]
    return figures, {name: watch.milliseconds(name, n) for name in stages}


def _stages(watch: Stopwatch, cohort: Cohort, index: int) -> None:
    """One person's days again, stage by stage."""
    person = watch.time("person", cohort.person, index)
    vendor = cohort.vendor_of(index)
    routines = watch.time("routine", list, live_through(person, range(cohort.days), cohort.start))
    for day, routine in enumerate(routines):
        latent = watch.time("body and truth", embody, person, routine, day)
        values = watch.time("sensors", measure, person, vendor, routine, latent, day, RR_VALID_THRESHOLD_PERCENT)
        valid = values[INDEX["rr_valid"]]
        watch.time("gaps", find_gaps, person, vendor, routine, valid, latent.motion_g, day)


def written(cohort: Cohort, folder: Path) -> tuple[dict[str, float], dict[str, float]]:
    """The same people as a dataset folder; and what its steps cost beside plain Parquet of the same cells."""
    watch, n = Stopwatch(), len(cohort)
    simulate(replace(cohort, people=1, days=1), folder / "first-written")  # loads
    summary = watch.time("folder", simulate, cohort, folder / "written")
    whole = watch.milliseconds("folder", n)
    recordings = watch.time("in memory", list, cohort)
    for recording in recordings:
        watch.time("checks", checked, recording, "")
        watch.time("hash", digest, recording, truth=True, reasons=True)
    plain = [watch.time("to Arrow", to_table, kind, group) for group in _groups(recordings) for kind in KINDS]
    for table in plain:
        watch.time("plain Parquet", pq.write_table, table, io.BytesIO())
    ours = [pq.ParquetFile(path) for path in (folder / "written").glob("*/*/*.parquet")]
    figures = {
        "person_days_per_cpu_second": 1e3 / whole,
        "person_day_ms": whole,
        "writing_ms": whole - watch.milliseconds("in memory", n),
        "person_day_kilobytes": summary.bytes / n / 1e3,
        "plain_parquet_ms": watch.milliseconds("plain Parquet", n),
        "plain_parquet_kilobytes": sum(_plain_bytes(table) for table in plain) / n / 1e3,
        "parts": len(ours),
    }
    return figures, {name: watch.milliseconds(name, n) for name in ("checks", "hash", "to Arrow")}


def _groups(recordings: list[Recording]) -> Iterator[list[Recording]]:
    for first in range(0, len(recordings), ROWS_PER_GROUP):
        yield recordings[first : first + ROWS_PER_GROUP]


def _plain_bytes(table: Any) -> int:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return len(sink.getvalue())


def by_workers(cohort: Cohort, folder: Path, most: int) -> list[dict[str, float]]:
    """Wall and CPU time of writing on one worker, two, ...

    What workers take to start and load their code is measured on one block for each and taken off, so that small runs
    tell of large ones.
    """
    rows: list[dict[str, float]] = []
    _clocks(replace(cohort, people=1, days=1), folder / "first", 1)  # compiles, if nobody did
    for workers in range(1, most + 1):
        one = replace(cohort, people=LEAST_PERSON_DAYS * workers, days=1)
        start = _clocks(one, folder / f"start-{workers}", workers)
        whole = _clocks(cohort, folder / f"workers-{workers}", workers)
        days = len(cohort) - len(one)
        wall, cpu = (b - a if b > a else b for a, b in zip(start, whole, strict=True))  # a busy moment at the start
        rows.append(
            {
                "workers": workers,
                "start_seconds": start[0],
                "person_days_per_second": days / wall,
                "person_days_per_cpu_second": days / cpu,
            }
        )
    for row in rows:
        row["speed_up"] = row["person_days_per_second"] / rows[0]["person_days_per_second"]
        row["efficiency_of_cpu"] = row["person_days_per_cpu_second"] / rows[0]["person_days_per_cpu_second"]
    return rows


def _clocks(cohort: Cohort, folder: Path, workers: int) -> tuple[float, float]:
    """Wall and CPU seconds of writing a cohort."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    simulate(cohort, folder, engine=Processes(workers))
    return time.perf_counter() - wall, cpu_seconds() - cpu


def as_training_data(cohort: Cohort) -> dict[str, float]:
    """Batches of whole days and of five hours, made without a folder; one process."""
    from model.windows import CohortBatches, Normaliser  # workers read this file, too, and need not wait for PyTorch

    normaliser = Normaliser.fit(cohort.of_person(0))
    figures = {}
    for minutes, windows in ((1440, cohort.days), (300, 4 * cohort.days)):
        steps = cohort.people // 4
        batches = CohortBatches(
            cohort, normaliser, steps=steps, seed=cohort.seed, minutes=minutes, windows=4 * windows, people=4
        )
        watch = Stopwatch()
        for step in range(steps):
            watch.time("batch", batches.__getitem__, step)
            for person in batches.turn(step):
                watch.time("alone", deque, cohort.of_person(person), maxlen=0)
        figures[f"person_days_per_cpu_second_{minutes}"] = 4 * steps * cohort.days / watch.seconds["batch"]
        figures[f"share_of_simulator_speed_{minutes}"] = watch.seconds["alone"] / watch.seconds["batch"]
    return figures


@dataclass(frozen=True, kw_only=True)
class Clock:
    """What a corpus has cost so far, over all calls that it took.

    Attributes:
        shards: That the corpus is cut into, one after the other.
        finished: Of them.
        person_days: In these.
        gigabytes: Of them.
        wall_seconds: Since the first call began, less what lay between calls.
        cpu_seconds: Of all workers.
    """

    shards: int
    finished: int = 0
    person_days: int = 0
    gigabytes: float = 0.0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0


_CLOCK: Final = TypeAdapter(Clock)


def corpus(
    cohort: Cohort, folder: Path, kilobytes: float, seconds: float, engine: Engine | None = None
) -> dict[str, float]:
    """A measured share of the LSM corpus, written by all workers; going on where an earlier call was interrupted.

    Where the disk has no room for all of it, it is written in shards, each removed once it is measured.

    Args:
        cohort: The share.
        folder: Where to; what is there of an interrupted call is gone on with.
        kilobytes: A person-day's, as measured on few.
        seconds: That the engine will take for a person-day, as far as known.
        engine: Who makes them; None: this process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, room = folder / "clock.json", shutil.disk_usage(folder).free * SHARE_OF_FREE_DISK
    clock = Clock(shards=math.ceil(len(cohort) * kilobytes * 1e3 / room))
    if path.exists():
        clock = read_json(path, _CLOCK)
    left = len(cohort) - clock.person_days
    sys.stderr.write(f"{left} person-days of the LSM corpus: about {left * seconds:.0f} s\n")
    with tqdm(total=len(cohort), initial=clock.person_days, unit="day", file=sys.stderr, mininterval=1.0) as bar:
        while clock.finished < clock.shards:
            clock = _timed_shard(cohort, clock, engine, path, bar)
    shutil.rmtree(folder)
    return {
        "person_days": clock.person_days,
        "shards": clock.shards,
        "wall_seconds": clock.wall_seconds,
        "cpu_seconds": clock.cpu_seconds,
        "person_days_per_second": clock.person_days / clock.wall_seconds,
        "person_days_per_cpu_second": clock.person_days / clock.cpu_seconds,
        "gigabytes": clock.gigabytes,
        "whole_corpus_hours": clock.wall_seconds * LSM_PERSON_DAYS / clock.person_days / 3600,
    }


def _timed_shard(cohort: Cohort, clock: Clock, engine: Engine | None, path: Path, bar: "tqdm[Any]") -> Clock:
    """The clock after one more shard; what an interrupted one took is on the clock, too."""
    shard, before = clock.finished + 1, clock.person_days
    folder = path.with_name(f"shard-{shard}")

    def tell(done: int) -> None:
        bar.update(before + done - bar.n)

    wall, cpu, summary = time.perf_counter(), cpu_seconds(), None
    try:
        summary = simulate(cohort, folder, shard=shard, shards=clock.shards, engine=engine, progress=tell)
    finally:
        clock = replace(
            clock,
            wall_seconds=clock.wall_seconds + time.perf_counter() - wall,
            cpu_seconds=clock.cpu_seconds + cpu_seconds() - cpu,
        )
        if summary is not None:
            clock = replace(
                clock,
                finished=shard,
                person_days=before + summary.person_days,
                gigabytes=clock.gigabytes + summary.bytes / 1e9,
            )
        write_json(path, asdict(clock))
    shutil.rmtree(folder)
    return clock


def alone(cohort: Cohort) -> dict[str, float]:
    """One day of a person, asked for by its place: nothing is shared with the day before."""
    rng, watch = stream(cohort.seed, "benchmark places"), Stopwatch()
    places = [(int(rng.integers(cohort.people)), int(rng.integers(cohort.days))) for _ in range(ADDRESSED)]
    for place in places:
        watch.time("alone", cohort.__getitem__, place)
    return {"one_day_alone_ms": watch.milliseconds("alone", len(places))}


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """All figures as one record."""
    cohort = Cohort(population=POPULATIONS["lsm1"], people=asked.people, days=asked.days, seed=asked.seed)
    for _ in zip(cohort, range(2), strict=False):
        pass  # compiles
    asked.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=asked.scratch) as scratch:
        folder = Path(scratch)
        memory, stages = in_memory(cohort)
        folder_figures, folder_stages = written(cohort, folder)
        record: dict[str, Any] = {
            "command": " ".join(["python", "benchmarks/simulate.py", *sys.argv[1:]]),
            "commit": commit(),
            "machine": machine(),
            "seed": asked.seed,
            "in_memory": memory,
            "stages_ms": stages | folder_stages,
            "written": folder_figures,
            "workers": by_workers(
                replace(cohort, people=-(-asked.scaling_person_days // asked.days)), folder, asked.workers
            ),
            "training": alone(cohort) | as_training_data(cohort),
        }
    speed = folder_figures["person_days_per_cpu_second"]
    record["projection"] = {
        "person_days": LSM_PERSON_DAYS,
        "cpu_hours": LSM_PERSON_DAYS / speed / 3600,
        "hours_on_two_cores": LSM_PERSON_DAYS / speed / 7200,
        "gigabytes": LSM_PERSON_DAYS * folder_figures["person_day_kilobytes"] / 1e6,
    }
    if asked.lsm_share:
        people = max(1, round(asked.lsm_share * LSM_PERSON_DAYS / LSM_DAYS))
        share = replace(cohort, people=people, days=LSM_DAYS)
        home = asked.scratch / f"corpus-{people}-{asked.seed}"
        record["corpus"] = corpus(
            share,
            home,
            folder_figures["person_day_kilobytes"],
            1 / speed / asked.workers,
            Processes(asked.workers),
        )
    kilobytes = {who: resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)}
    record["peak_memory_megabytes"] = {
        "this_process": kilobytes[resource.RUSAGE_SELF] / 1024,
        "largest_worker": kilobytes[resource.RUSAGE_CHILDREN] / 1024,
    }
    if asked.peers:
        record["peers"] = peers.run(asked.peers, cohort)
    return record


def as_text(record: dict[str, Any]) -> str:
    """The record as a table for people."""
    memory, folder, projection = record["in_memory"], record["written"], record["projection"]
    lines = [
        f"{record['command']}   commit {record['commit']}   seed {record['seed']}   {record['machine']}",
        "",
        f"{memory['person_days_per_cpu_second']:9.1f} person-days per CPU-second in memory: 26 signals, gaps, truth",
        f"{memory['person_day_ms']:9.2f} ms a person-day, {memory['ratio_to_normals']:.1f} times what follows",
        f"{memory['normals_ms']:9.2f} ms for NumPy to draw {BEATS_PER_DAY} float32 normals, one a beat",
        f"{folder['person_days_per_cpu_second']:9.1f} person-days per CPU-second with the Parquet folder written",
        f"{folder['writing_ms']:9.2f} ms of it for writing, {folder['person_day_kilobytes']:.1f} kB a person-day",
        f"{folder['plain_parquet_ms']:9.2f} ms for plain Parquet of the same cells (pyarrow's defaults), "
        f"{folder['plain_parquet_kilobytes']:.1f} kB",
        "",
        *(f"{ms:9.3f} ms {name}" for name, ms in record["stages_ms"].items()),
        "",
        *(
            f"{row['workers']:9d} workers: {row['person_days_per_second']:.1f} person-days a second, "
            f"{row['speed_up']:.2f} times one's, {row['person_days_per_cpu_second']:.1f} per CPU-second "
            f"({row['start_seconds']:.1f} s to start and make a block each, not counted)"
            for row in record["workers"]
        ),
        "",
        *(f"{value:9.2f} {name.replace('_', ' ')} (training data)" for name, value in record["training"].items()),
        "",
        f"{projection['hours_on_two_cores']:9.2f} hours on two cores for LSM's {LSM_PERSON_DAYS} person-days, "
        f"{projection['gigabytes']:.0f} GB",
    ]
    if "corpus" in record:
        lines += _corpus_lines(record["corpus"])
    lines += [f"{megabytes:9.0f} MB, {who.replace('_', ' ')}" for who, megabytes in _megabytes(record)]
    return "\n".join([*lines, *(peers.as_text(record["peers"]) if "peers" in record else [])])


def _corpus_lines(found: dict[str, float]) -> list[str]:
    share = found["person_days"] / LSM_PERSON_DAYS
    return [
        f"{found['wall_seconds']:9.1f} s for {share:.2%} of it, {found['person_days']} person-days, "
        f"{found['gigabytes']:.2f} GB: {found['person_days_per_second']:.0f} a second, "
        f"{found['person_days_per_cpu_second']:.0f} per CPU-second, starts and all",
        f"{found['whole_corpus_hours']:9.2f} hours for all of it at that pace",
    ]


def _megabytes(record: dict[str, Any]) -> list[tuple[str, float]]:
    return list(record["peak_memory_megabytes"].items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=min(2, len(os.sched_getaffinity(0))))
    parser.add_argument("--scaling-person-days", type=int, default=600, help="to hold workers against each other")
    parser.add_argument(
        "--lsm-share", type=float, default=0.0, help="also write this share of 1.67 million person-days"
    )
    parser.add_argument(
        "--scratch", type=Path, default=Path("data/benchmark"), help="where folders are written and removed again"
    )
    parser.add_argument("--peers", type=Path, default=None, help="a virtual environment that has the peers")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    asked = parser.parse_args()
    if asked.people < 4:
        parser.error(f"--people {asked.people} is below 4, a batch's")
    least = 2 * LEAST_PERSON_DAYS * asked.workers
    if asked.scaling_person_days < least:
        parser.error(f"--scaling-person-days {asked.scaling_person_days} is below {least}, two blocks a worker")
    record = run(asked)
    sys.stdout.write((json.dumps(record) if asked.json else as_text(record)) + "\n")


if __name__ == "__main__":
    main()
