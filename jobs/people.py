"""Jobs that make people and look at them: simulate, merge, import, realism, inject."""

import contextlib
import dataclasses
import re
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from tyro.conf import Positional

from commandline import (
    MAP,
    SIGNALS,
    Job,
    Result,
    UsageError,
    at_least_one,
    checked,
    known,
    names_in,
    output_folder,
    pairs_in,
    plain,
    progress_bar,
    stage_bars,
)


@dataclass(frozen=True, kw_only=True)
class Simulate(Job):
    """Simulate people and write a dataset folder.

    Example: everywear simulate --people 100 --days 7 --out data/hundred

    Attributes:
        people: How many people.
        days: How many days of each.
        out: Folder to write; must not exist yet.
        population: lsm1, lsm2, owners, vendors, students or night-shift; or a JSON file of what is different from their
            people.
        vendors: Devices, comma-separated: people wear these in equal shares instead of the population's own.
        workers: Processes; the content does not depend on it.
        shard: "i/n": only the i-th of n equal parts of the people, counted from 1. Shards together are the whole.
        start: Date of the first day.
        engine: processes of this machine, or ray.
        ray_address: A running Ray cluster whose machines share the folder, as host:port; without it, Ray runs on this
            machine alone.
    """

    goes_on: ClassVar[bool] = True

    people: int
    days: int
    out: Path
    population: str = "lsm1"
    vendors: str = ""
    workers: int = 1
    shard: str = "1/1"
    start: date = date(2024, 3, 1)
    engine: Literal["processes", "ray"] = "processes"
    ray_address: str | None = None

    def do(self) -> Result:
        """Do the job."""
        from simulator.cohort import Cohort
        from simulator.generating import cut, simulate

        at_least_one(people=self.people, days=self.days, workers=self.workers)
        shard, shards = _shard(self.shard, self.people)
        with checked():
            cohort = Cohort(
                population=_population(self.population, self.vendors),
                people=self.people,
                days=self.days,
                seed=self.seed,
                start=self.start,
            )
        total = self.days * sum(len(block) for block in cut(self.people, self.days, shard, shards))
        started = time.monotonic()
        with (
            progress_bar("person-days", total) as bar,
            contextlib.redirect_stdout(sys.stderr),
        ):  # Ray tells of lost workers
            summary = simulate(cohort, self.out, shard=shard, shards=shards, engine=self._engine(), progress=bar)
        seconds = time.monotonic() - started - bar.waited
        return {
            "people": summary.people,
            "person_days": summary.person_days,
            "bytes": summary.bytes,
            "seconds": round(seconds, 3),
            "person_days_per_second": round(summary.person_days / seconds, 2),
            "sha256": summary.sha256,
            "path": str(self.out),
        }

    def _engine(self) -> Any:
        """Who makes the blocks; None: this process."""
        from simulator.engines import Processes, Ray

        if self.engine == "ray":
            return Ray(self.workers, self.ray_address)
        if self.ray_address is not None:
            raise UsageError(f"ray-address {self.ray_address!r} is of no use without --engine ray")
        return None if self.workers == 1 else Processes(self.workers)


@dataclass(frozen=True, kw_only=True)
class Merge(Job):
    """Merge dataset folders, such as the shards of one cohort, into one; nothing is read again, but with --rename.

    Example: everywear merge data/shard-1 data/shard-2 --out data/whole

    Attributes:
        folders: Finished dataset folders; of a sharded cohort, all its shards.
        out: Folder to write; must not exist yet.
        rename: Put the folders' names before the ids of their people, which different seeds of a population share.
    """

    folders: Positional[tuple[Path, ...]]
    out: Path
    rename: bool = False

    def do(self) -> Result:
        """Do the job."""
        from simulator.merging import merge_datasets

        return dataclasses.asdict(merge_datasets(self.folders, self.out, rename=self.rename)) | {"path": str(self.out)}


@dataclass(frozen=True, kw_only=True)
class Import(Job):
    """Import real minute recordings into a dataset folder.

    Example: everywear import fitabase.parquet --format fitabase --out data/fitabase

    Attributes:
        source: Parquet or CSV file, one row a person and minute: person, timestamp (local clock time, such as
            2024-03-01 07:45 or 3/1/2024 7:45:00 AM) and signals. Without a column of persons a file is one person's.
        out: Folder to write; must not exist yet.
        format: minutes (columns named like the 26 signals), fitabase, e4 or welltory.
        map: Columns that are called otherwise, as "column=signal", comma-separated; "person" and "timestamp" can be
            named so, too: "Id=person,ActivityMinute=timestamp,HeartRate=heart_rate".
    """

    source: Positional[Path]
    out: Path
    format: str = "minutes"
    map: Annotated[str, SIGNALS] = ""

    def do(self) -> Result:
        """Do the job."""
        from simulator.importing import FORMATS, import_folder

        known("format", self.format, FORMATS)
        report = import_folder(self.source, self.out, self.format, pairs_in(self.map))
        return dataclasses.asdict(report) | {"path": str(self.out)}


@dataclass(frozen=True, kw_only=True)
class Realism(Job):
    """Hold a dataset against published norms; writes a table and plots.

    Example: everywear realism data/hundred

    Attributes:
        data: Dataset folder.
        norms: CSV file with the columns of the norms that come with everywear; those by default.
        remarks: CSV file (id, sentence) of why norms are missed, shown where they are; everywear's own by default.
        beside: Dataset folders of other people (students, the very old) for the rows that are about such.
        out: Folder for table and plots; DATA-realism by default.
        against: Dataset folder of real people (see import): a classifier tries to tell the two apart by heart rate
            and steps.
    """

    data: Positional[Path]
    norms: Path | None = None
    remarks: Path | None = None
    beside: tuple[Path, ...] = ()
    against: Path | None = None
    out: Path | None = None

    def do(self) -> Result:
        """Do the job."""
        from simulator.dataset import open_dataset
        from simulator.files import write_json, write_whole
        from simulator.realism.judging import judge
        from simulator.realism.plots import draw

        home = self.data.resolve()
        out = self.out or home.with_name(f"{home.name}-realism")
        output_folder(out, "realism", ("realism.json", "realism.txt", "against.txt", "*.png"), apart=home)
        dataset = open_dataset(self.data)
        real = None if self.against is None else open_dataset(self.against)
        others = [open_dataset(folder) for folder in self.beside]
        out.mkdir(parents=True, exist_ok=True)
        with progress_bar("person-days", len(dataset)) as bar:
            found = judge(dataset, self.norms, progress=bar, beside=others, remarks=self.remarks)
        draw(found, dataset, out)
        result: dict[str, Any] = plain(found.as_json())
        if real is not None:
            from simulator.realism.against import compare

            comparison = compare(dataset, real, self.seed)
            result["against"] = plain(comparison.as_json()) | {"data": home.name, "real": str(self.against)}
            write_whole(out / "against.txt", comparison.table().encode())
        write_json(out / "realism.json", result)
        write_whole(out / "realism.txt", found.table().encode())
        return result | {"path": str(out)}

    def words(self, result: Result) -> str:
        """The table down to its last failing row."""
        lines = (Path(result["path"]) / "realism.txt").read_text().splitlines()
        shown = [line for line in lines if not line.startswith(("pass", "not computable"))]
        legend = (
            "a row passes if the 95 % interval over people touches the band; FOUND norms were read, RECALL recalled"
        )
        return "\n".join([*shown, "", legend, f"all rows and pictures: {result['path']}"])


@dataclass(frozen=True, kw_only=True)
class Inject(Job):
    """Put the gaps that a watch leaves into complete data, with a reason for each, at a rate that is met or refused.

    Example: everywear inject minutes.csv --scenario natural --rate 0.3 --out gappy.csv --reasons why.csv

    Attributes:
        source: CSV or Parquet table (a row a minute: timestamp, person if there are several, signals), .npy or .npz
            array ([rows, signals] or [people, rows, signals]), or dataset folder.
        out: What is written, of the same kind; must not exist yet.
        scenario: A named mix of causes, or a single cause; --list names all.
        rate: Share of the cells that are there to hide; met within a point or refused with how far it goes.
        severity: In place of a rate: share of the stand-ins' episodes that happen; without both, all of them do.
        signals: Of a table, further columns as "column=signal"; of an array, "signal,signal,...", one a column. A
            signal is one of the 26, or a sensor (PPG, ACC, EDA, TEMP, ALT) for any other quantity of it; "person" and
            "timestamp" can be named so, too.
        reasons: File for the reason of every hidden cell: a table like the source's, or .npy codes of an array.
        start: Local time of an array's first row, such as "2024-03-04 07:45".
        step_minutes: Minutes from row to row.
        list: Name the scenarios, and do nothing.
    """

    source: Positional[Path | None] = None
    out: Path | None = None
    scenario: str = "natural"
    rate: float | None = None
    severity: float | None = None
    signals: Annotated[str, MAP] = ""
    reasons: Path | None = None
    start: str | None = None
    step_minutes: int = 1
    list: bool = False

    def do(self) -> Result:
        """Do the job."""
        from simulator.injecting import Asked, time_of
        from simulator.injecting_files import ARRAYS, Request, inject_file
        from simulator.scenarios import SCENARIOS

        if self.list:
            return {"scenarios": {name: scenario.about for name, scenario in SCENARIOS.items()}}
        if self.source is None or self.out is None:
            raise UsageError(
                f"inject needs {'a source' if self.source is None else '--out'}; see everywear inject --help"
            )
        known("scenario", self.scenario, SCENARIOS)
        with checked():
            Asked(SCENARIOS[self.scenario], self.rate, self.severity, step_minutes=self.step_minutes)
            if self.start is not None:
                time_of(self.start)
        signals: Any = [name.strip() for name in self.signals.split(",")] if self.signals else None
        if self.source.suffix not in ARRAYS:
            signals = pairs_in(self.signals, "signals", several=True)
        request = Request(
            scenario=self.scenario,
            rate=self.rate,
            severity=self.severity,
            seed=self.seed,
            signals=signals,
            start=self.start,
            step_minutes=self.step_minutes,
        )
        with stage_bars() as watch:
            done = inject_file(
                self.source,
                self.out,
                request,
                reasons=self.reasons,
                progress=lambda done, people, life: watch("people", done, people, f"stand-in {life} of each"),
            )
        shares = {cause: round(count / done.cells, 6) for cause, count in done.by_cause.items()}
        return {
            "scenario": self.scenario,
            "asked": self.rate,
            "met": round(done.hidden / done.cells, 6),
            "by_cause": shares,
            "cells": done.cells,
            "hidden": done.hidden,
            "path": str(self.out),
        } | ({} if self.reasons is None else {"reasons": str(self.reasons)})

    def words(self, result: Result) -> str:
        """Shares in percent; or the scenarios, a line each."""
        if "scenarios" in result:
            return "\n".join(f"{name:<16} {about}" for name, about in result["scenarios"].items())
        asked = "" if result["asked"] is None else f", {100 * result['asked']:.1f} % asked"
        causes = [f"  {100 * share:6.2f} %  {cause}" for cause, share in result["by_cause"].items()]
        head = f"{100 * result['met']:.1f} % of {result['cells']:,} cells hidden{asked}"
        return "\n".join(
            [head, *causes, *(f"{name}: {result[name]}" for name in ("path", "reasons") if name in result)]
        )


def _population(name: str, devices: str) -> Any:
    from simulator.population import POPULATIONS, Population
    from simulator.vendors import VENDORS

    if name.endswith(".json"):
        try:
            population = Population.from_json(Path(name).read_text())
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from error
    else:
        known("population", name, POPULATIONS)
        population = POPULATIONS[name]
    if not devices:
        return population
    chosen = names_in("vendor", devices, VENDORS)
    return dataclasses.replace(population, vendor_shares={device: 1 / len(chosen) for device in chosen})


def _shard(shard: str, people: int) -> tuple[int, int]:
    """The numbers of shard "i/n"."""
    found = re.fullmatch(r"(\d+)/(\d+)", shard)
    if not found or not 1 <= int(found[1]) <= int(found[2]) <= people:
        raise UsageError(f"shard {shard!r} is not i/n with 1 <= i <= n <= {people} people")
    return int(found[1]), int(found[2])
