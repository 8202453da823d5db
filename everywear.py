"""everywear: synthetic people who wear watches, and foundation models trained on them, across vendors, in private.

The front door: one command, one subcommand a job. Every job has --help with an example, and --json, which prints one
JSON object on standard output; progress and everything else goes to standard error. Exit codes: 0 done, 2 bad input
(one line on standard error), 1 a fault of ours, 130 interrupted (the line says whether the same command goes on).

Each job loads only the room that it needs, so that `everywear simulate` never waits for PyTorch.
"""

import contextlib
import dataclasses
import functools
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Literal

try:
    from tyro.conf import Positional

    from commandline import (
        Job,
        Result,
        UsageError,
        at_least_one,
        checked,
        do_job,
        in_words,
        known,
        names_in,
        numbers_in,
        pairs_in,
        plain,
        progress_bar,
        stage_bars,
    )
except ModuleNotFoundError as missing:
    if __name__ != "__main__":
        raise
    sys.stderr.write(f"everywear: {missing.name} is not installed; run `make install`, then .venv/bin/everywear\n")
    sys.exit(2)

HELD_OUT_SHARE = 0.1  # of a dataset's people, kept by `train` for validation


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
        seconds = time.monotonic() - started
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
    """Merge dataset folders, such as the shards of one cohort, into one; nothing is read again.

    Example: everywear merge data/shard-1 data/shard-2 --out data/whole

    Attributes:
        folders: Finished dataset folders; of a sharded cohort, all its shards.
        out: Folder to write; must not exist yet.
    """

    folders: Positional[tuple[Path, ...]]
    out: Path

    def do(self) -> Result:
        """Do the job."""
        from simulator.merging import merge_datasets

        return dataclasses.asdict(merge_datasets(self.folders, self.out)) | {"path": str(self.out)}


@dataclass(frozen=True, kw_only=True)
class Import(Job):
    """Import real minute recordings into a dataset folder.

    Example: everywear import fitabase.parquet --format fitabase --out data/fitabase

    Attributes:
        source: Parquet or CSV file, one row a person and minute.
        out: Folder to write; must not exist yet.
        format: minutes (columns named like the 26 signals), fitabase, e4 or welltory.
        map: Further columns as "column=signal", comma-separated.
    """

    source: Positional[Path]
    out: Path
    format: str = "minutes"
    map: str = ""

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

        dataset = open_dataset(self.data)
        real = None if self.against is None else open_dataset(self.against)
        others = [open_dataset(folder) for folder in self.beside]
        home = self.data.resolve()
        out = self.out or home.with_name(f"{home.name}-realism")
        if out.resolve().is_relative_to(home):
            raise UsageError(f"--out {out}: lies in the dataset, whose files are its own; choose a folder beside it")
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
    signals: str = ""
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


@dataclass(frozen=True, kw_only=True)
class Train(Job):
    """Train a masked autoencoder on a dataset, without privacy.

    Example: everywear train data/hundred --out models/first --size xs --steps 500

    Attributes:
        data: Dataset folder; a tenth of its people is kept for validation.
        out: Model folder to write; going on where it stopped if it was interrupted.
        size: xxs, xs, s, m, lsm2, lsm2-aim (the papers' way), lsm1-tiny, lsm1-small, lsm1-base or lsm1-large.
        window_minutes: 1440, or less; LSM-1's sizes take 300.
        patch: Minutes by signals of a patch, such as 10x5; the size's own by default.
        signal_order: Of the rows that patches are cut from: clustered by sensor, shuffled, or apart (signals that
            correlate little side by side).
        decoder: lean or full.
        drop_ratio: The papers' share of places that are dropped by number; by default every unseen one is.
        method: mae (masked autoencoder), simclr, dino or msn; of the last three the encoder is of use, for probes.
        plan: small, or lsm1 (LSM-1's Table 15, for a cluster); the next four options change it.
        masks: aim, random, structured-temporal, structured-sensor, temporal-interpolation or temporal-extrapolation.
        steps: Optimiser steps.
        batch_windows: Windows a step.
        learning_rate: Peak rate.
    """

    goes_on: ClassVar[bool] = True

    data: Positional[Path]
    out: Path
    size: str = "xxs"
    window_minutes: int = 300
    patch: str = ""
    signal_order: Literal["clustered", "shuffled", "apart"] = "clustered"
    decoder: Literal["lean", "full", "as-named"] = "as-named"
    drop_ratio: float | None = None
    method: Literal["mae", "simclr", "dino", "msn"] = "mae"
    plan: str = "small"
    masks: str = ""
    steps: int | None = None
    batch_windows: int | None = None
    learning_rate: float | None = None

    def do(self) -> Result:
        """Do the job."""
        from model.autoencoder import MaskedAutoencoder
        from model.training import Origin, batches, check_masks, parameters, save_model, train, validation_loss
        from model.windows import Days, Normaliser
        from simulator.dataset import open_dataset

        with checked():
            shape, plan = self._shape(), self._plan()
            check_masks(shape, plan)
        if self.method != "mae" and shape.drop_ratio is not None:
            raise UsageError(f"drop-ratio {shape.drop_ratio} is for method mae; {self.method} hides nothing to drop")
        dataset = open_dataset(self.data)
        _model_folder(self.out)
        parts = dataset.split(self.seed, test_share=HELD_OUT_SHARE)
        started = time.monotonic()
        normaliser = Normaliser.fit(parts["train"])
        days = Days.load(parts["train"], normaliser)
        shape = dataclasses.replace(shape, signal_order=self._signal_order(days))
        model: Any = MaskedAutoencoder(shape, self.seed)
        loader: Any = batches
        if self.method != "mae":
            from model.contrastive import METHODS, pairs

            model, loader = METHODS[self.method](shape, self.seed), pairs
        with progress_bar("steps", plan.steps) as bar:
            losses = train(
                model,
                days,
                plan,
                seed=self.seed,
                checkpoint=self.out / "checkpoint.safetensors",
                progress=lambda step, loss: bar(step + 1, f"loss {loss:.3f}"),
                loader=loader,
            )
        loss = None
        model = model if self.method == "mae" else model.network
        if len(parts["test"]) and self.method == "mae":
            held_out = Days.load(parts["test"], normaliser)
            if len(held_out.usable(self.window_minutes)):
                loss = validation_loss(model, held_out, plan, seed=self.seed)
        save_model(
            self.out,
            model,
            normaliser,
            Origin(
                seed=self.seed,
                data=dataset.manifest.sha256,
                people=tuple(sorted(parts["train"].marks().values())),
                plan=plan,
                method=self.method,
                loss=losses[-1],
                held_out_loss=loss,
            ),
        )
        (self.out / "checkpoint.safetensors").unlink(missing_ok=True)
        return {
            "parameters": parameters(model),
            "steps": len(losses),
            "loss": losses[-1],
            "validation_loss": loss,
            "seconds": round(time.monotonic() - started, 3),
            "path": str(self.out),
        }

    def _shape(self) -> Any:
        """The architecture that is asked for, but for the order of signals, which may need the data."""
        from model.autoencoder import SIZES

        known("size", self.size, SIZES)
        changes: dict[str, Any] = {"window_minutes": self.window_minutes}
        if self.decoder != "as-named":
            changes["decoder"] = self.decoder
        if self.drop_ratio is not None:
            changes["drop_ratio"] = self.drop_ratio
        if self.patch:
            found = re.fullmatch(r"(\d{1,4})x(\d{1,2})", self.patch)
            if not found:
                raise UsageError(f"patch {self.patch!r} is not minutes x signals, such as 10x5")
            changes |= {"patch_minutes": int(found[1]), "patch_signals": int(found[2])}
        return dataclasses.replace(SIZES[self.size], **changes)

    def _plan(self) -> Any:
        """The plan by name, with what was asked otherwise."""
        from model.masking import MASKS
        from model.training import PLANS

        known("plan", self.plan, PLANS)
        plan = PLANS[self.plan]
        if self.method != "mae" and self.plan == "lsm1":
            from model.contrastive import paper_plan

            plan = paper_plan(self.method)
        changes = {name: getattr(self, name) for name in ("steps", "batch_windows", "learning_rate")}
        changes = {name: value for name, value in changes.items() if value is not None}
        if self.masks:
            known("masks", self.masks, MASKS)
            changes["masks"] = MASKS[self.masks]
        return dataclasses.replace(plan, **changes)

    def _signal_order(self, days: Any) -> tuple[str, ...]:
        from model.ordering import CLUSTERED, apart, correlations, shuffled

        if self.signal_order == "apart":
            return apart(correlations(zip(days.values, days.observed, strict=True)))
        return shuffled(self.seed) if self.signal_order == "shuffled" else CLUSTERED


@dataclass(frozen=True, kw_only=True)
class Evaluate(Job):
    """Score models and the simple methods on a dataset's people.

    Example: everywear evaluate runs/demo/model data/fitabase --run runs/demo

    Attributes:
        model: Model folder.
        data: Dataset folder. People whom a model was trained on are left out.
        beside: Further model folders, such as LSM-1 beside AIM: the same windows, as long as the shortest, and the
            same gaps, scored in the first model's z-scores. Rows have the folders' names.
        imputers: Further methods of the first kind of tasks, comma-separated: mice (chained equations, fitted on all
            windows as they are left), mice_alone (on each window, as LSM-1's), knn.
        tasks: Comma-separated: random_imputation, temporal_interpolation, temporal_extrapolation, sensor_imputation
            (those by default); exercise, activity, activity20, sex, age, mood, hypertension, anxiety, age_years, bmi.
        windows_per_person: Scored windows of each person; of conditions, age in years and BMI.
        methods: Of the second kind of tasks, comma-separated: linear_probe, convolutional_probe, fine_tune, supervised
            (the same network from scratch), logistic_regression, random_forest, gradient_boosting.
        shots: Also probe and fine-tune with so many examples of each class: comma-separated numbers.
        mix: Of classes in those tasks: as found, as the paper sampled them, or natural (LSM-1 Table 19).
        run: Run folder: its federated model and its warm start are scored too, and its records, and so its report,
            get the rows under the dataset folder's name.
        out: Folder for tables, rows as JSON and, of tasks with classes, confusion matrices, t-SNE maps of the frozen
            embeddings by class, person, sex and age, and figures of their clusters.
    """

    model: Positional[Path]
    data: Positional[Path]
    beside: tuple[Path, ...] = ()
    tasks: str = ""
    imputers: str = ""
    windows_per_person: int = 8
    run: Path | None = None
    out: Path | None = None
    methods: str = "linear_probe,logistic_regression,random_forest,gradient_boosting"
    shots: str = ""
    mix: Literal["found", "sampled", "natural"] = "sampled"

    def do(self) -> Result:
        """Do the job."""
        from model.evaluation.generative import KINDS, Contender, evaluate, tasks
        from model.evaluation.imputers import BY_MINUTE
        from model.evaluation.labels import TASKS
        from model.evaluation.probes import METHODS
        from model.training import load_model
        from model.windows import Days
        from simulator.dataset import open_dataset

        names = names_in("task", self.tasks, (*KINDS, *TASKS)) if self.tasks else list(KINDS)
        kinds, labelled = [name for name in names if name in KINDS], [name for name in names if name in TASKS]
        at_least_one(windows_per_person=self.windows_per_person)
        methods, shots = names_in("method", self.methods, METHODS), _counts("shots", self.shots)
        imputers = names_in("imputer", self.imputers, BY_MINUTE) if self.imputers else []
        if labelled and self.run is not None:
            raise UsageError(f"task {labelled[0]!r} is not part of a run's report; leave --run out")
        if labelled and self.beside:
            raise UsageError(f"task {labelled[0]!r} is asked of one model at a time; leave --beside out")
        if self.out is not None and self.out.exists() and not self.out.is_dir():
            raise UsageError(f"{self.out}: is a file, expected a folder")
        if self.out is not None and self.out.resolve().is_relative_to(self.data.resolve()):
            raise UsageError(
                f"--out {self.out}: lies in the dataset, whose files are its own; choose a folder beside it"
            )
        loaded = self._models()
        model, normaliser = load_model(self.model)
        everybody = open_dataset(self.data)
        dataset = everybody
        for folder in (self.model, *self.beside):
            dataset = strangers(dataset, folder)
        result: dict[str, Any] = {"rows": [], "people": len(dataset.people)}
        started = time.monotonic()
        if kinds:
            chosen = tasks(kinds)
            days = Days.load(dataset, normaliser)
            with progress_bar("tasks", len(chosen)) as bar:
                done = iter(range(len(chosen)))
                rows = evaluate(
                    {name: Contender.of(net, own, dataset, normaliser, days) for name, (net, own) in loaded.items()},
                    days,
                    minutes=min(net.architecture.window_minutes for net, _ in loaded.values()),
                    windows_per_person=self.windows_per_person,
                    seed=self.seed,
                    chosen=chosen,
                    imputers={name: BY_MINUTE[name](self.seed) for name in imputers},
                    progress=lambda task: bar(next(done), task),
                )
            result["rows"] += [row.as_json() for row in rows]
        if labelled:
            found = self._labels(model, normaliser, dataset, labelled, methods, shots)
            result["rows"] += [row.as_json() for row in found.rows]
            result["not_asked"] = list(found.left_out)
            result["confusions"] = [confusion.as_json() for confusion in found.confusions]
            if self.out is not None:
                result["clusters"] = self._draw(found, self.out)
        result["left_out"] = len(everybody.people) - len(dataset.people)
        result["data"] = self.data.resolve().name
        if self.run is not None:
            from federated.experiment import load
            from federated.study.records import Records
            from federated.study.report import write_report

            experiment = load(self.run / "experiment.json")
            records = Records(self.run / "records.jsonl", experiment.digest, experiment.seed)
            records.add("rows", result["data"], result, time.monotonic() - started)
            result["report"] = str(write_report(self.run))
        if self.out is not None:
            from simulator.files import write_json, write_whole

            self.out.mkdir(parents=True, exist_ok=True)
            write_json(self.out / "scores.json", result)
            write_whole(self.out / "scores.txt", f"{self.words(result)}\n".encode())
            result["path"] = str(self.out)
        return result

    def words(self, result: Result) -> str:
        """The scores over all signals as a table."""
        from model.evaluation import discriminative
        from model.evaluation.generative import Row, table

        filled = [Row(**row) for row in result["rows"] if "signal" in row]
        told = tuple(discriminative.Row(**row) for row in result["rows"] if "metric" in row)
        tables = [table(filled)] if filled else []
        if told:
            tables.append(discriminative.Table(told, tuple(result["not_asked"])).text())
        if result.get("clusters"):
            from model.evaluation import embeddings

            tables.append(embeddings.table([embeddings.Clusters(**row) for row in result["clusters"]]))
        facts = {name: result[name] for name in ("people", "left_out", "data", "report", "path") if name in result}
        return "\n".join([*tables, in_words(facts)])

    def _labels(
        self, model: Any, normaliser: Any, dataset: Any, tasks: list[str], methods: list[str], shots: list[int]
    ) -> Any:
        """The table of the discriminative tasks."""
        from model.evaluation.discriminative import evaluate

        with progress_bar("tasks", len(tasks) * len(methods)) as bar:
            done = iter(range(10**6))
            return evaluate(
                model,
                normaliser,
                dataset,
                tasks=tasks,
                methods=methods,
                shots=(None, *shots),
                mix=self.mix,
                windows_per_person=self.windows_per_person,
                seed=self.seed,
                keep_embeddings=self.out is not None,
                progress=lambda task: bar(next(done), task),
            )

    def _draw(self, found: Any, out: Path) -> list[dict[str, Any]]:
        """Pictures of the discriminative tasks, and the clusters of their embeddings as far as there are any."""
        from model.evaluation.discriminative_figures import draw_confusion, draw_maps
        from model.evaluation.embeddings import clusters
        from simulator.recording import DataError

        out.mkdir(parents=True, exist_ok=True)
        for confusion in found.confusions:
            draw_confusion(confusion, out / f"confusion-{confusion.task}-{confusion.method}.png")
        rows = []
        for embedded in found.embedded:
            with contextlib.suppress(DataError):  # too few windows for a map or for so many clusters
                draw_maps(embedded, self.seed, out / f"tsne-{embedded.task}.png")
            for by in embedded.labels:
                with contextlib.suppress(DataError):
                    rows.append(clusters(embedded, by, self.seed).as_json())
        return rows

    def _models(self) -> dict[str, Any]:
        """Models and their constants by the name of their rows.

        Raises:
            UsageError: If two have a name, or those of a run have different windows.
        """
        from model.training import load_model

        if self.run is not None and self.beside:
            raise UsageError("--run has models of its own; leave --beside or --run out")
        folders = by_name((self.model, *self.beside)) if self.run is None else self._of_run(self.run)
        loaded = {name: load_model(folder) for name, folder in folders.items()}
        lengths = {name: network.architecture.window_minutes for name, (network, _) in loaded.items()}
        if self.run is not None and len(set(lengths.values())) > 1:
            raise UsageError(f"models of different windows cannot share a run's table: {lengths} minutes")
        return loaded

    def _of_run(self, run: Path) -> dict[str, Path]:
        """A finished run's two models, and the model asked for if it is neither.

        Raises:
            DataError: If the run is not finished, or has rows of a dataset of this name.
        """
        from federated.study.findings import findings

        name = self.data.resolve().name
        if name in findings(run).tables:
            raise UsageError(f"{run} has rows of a dataset named {name!r}; expected a dataset folder of another name")
        folders = {"federated": run / "model", "public only": run / "public" / "model"}
        if self.model.resolve() not in {folder.resolve() for folder in folders.values()}:
            folders["model"] = self.model
        return folders


@dataclass(frozen=True, kw_only=True)
class Export(Job):
    """Write a model as ONNX files, embed.onnx and reconstruct.onnx, after checking them against PyTorch.

    Example: everywear export models/first --out models/first-onnx

    Attributes:
        model: Model folder.
        out: Folder to write to.
    """

    model: Positional[Path]
    out: Path

    def do(self) -> Result:
        """Do the job."""
        from model.exporting import export

        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"{self.out}: is a file, expected a folder")
        return {"differences": export(self.model, self.out), "path": str(self.out)}

    def words(self, result: Result) -> str:
        """Each file with its largest difference."""
        told = [f"{name}: within {apart:.1g} of PyTorch" for name, apart in result["differences"].items()]
        return "\n".join([*told, f"path: {result['path']}"])


@dataclass(frozen=True, kw_only=True)
class Robustness(Job):
    """Score imputers where a watch leaves gaps, beside random masks: table and figure. Goes on where it stopped.

    Example: everywear robustness minutes.csv --signals "pulse=heart_rate" --methods mean,linear,mice --out runs/mine

    Attributes:
        data: Dataset folder, or your own CSV or Parquet table: a row a minute with timestamp (local clock), person if
            there are several, and signals. Gaps are put into what it holds; of simulated people, whose truth is kept,
            their own gaps are scored, too.
        out: Folder for records, table, figure; of the same data and seed, more methods and scenarios are added.
        model: Model folders, scored by their names (one alone as "model") in the first one's z-scores; people whom they
            were trained on are left out.
        methods: Comma-separated: mean, nearest, last, linear, kernel, mice, knn; with PyPOTS also saits, brits.
        scenarios: Comma-separated; everywear inject --list names them.
        severities: Comma-separated shares, in (0, 1], of the scenarios' episodes that happen.
        learn: Dataset folder that networks (saits, brits) learn from; without it, half of the people, or days, are.
        days_per_person: Days of each person, at most; people's first ones.
        signals: Of a table, further columns as "column=signal", comma-separated.
        classify: Of a dataset folder, comma-separated: sex, exercise. Two classifiers tell it from whole days, and then
            without each sensor and part of the day, and on each device that they never saw.
    """

    goes_on: ClassVar[bool] = True

    data: Positional[Path]
    out: Path
    model: tuple[Path, ...] = ()
    methods: str = "mean,linear,kernel,mice"
    scenarios: str = "natural,nights_off,daily_charger,sparse_firmware"
    severities: str = "1"
    learn: Path | None = None
    days_per_person: int = 7
    signals: str = ""
    classify: str = ""

    def do(self) -> Result:
        """Do the job."""
        from federated.study.records import Records
        from model.evaluation.ablation import TASKS
        from model.evaluation.imputers import METHODS
        from model.evaluation.robustness import Piece, Worn, cases, piece_key, pieces, write_tables
        from model.evaluation.robustness import Robustness as Found
        from model.evaluation.robustness_figure import draw_robustness
        from simulator.scenarios import SCENARIOS

        tasks = names_in("classification", self.classify, TASKS) if self.classify else []
        names = names_in("method", self.methods, METHODS)
        scenarios = names_in("scenario", self.scenarios, SCENARIOS)
        severities = numbers_in("severities", self.severities)
        at_least_one(days_per_person=self.days_per_person)
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"{self.out}: is a file, expected a folder")
        if tasks and not (self.data / "dataset.json").is_file():
            raise UsageError(
                f"--classify needs a dataset folder, whose people and diary hold the labels; found {self.data}"
            )
        normaliser, judged, makers, identity = self._sides(names)
        worn = Worn.of(judged, normaliser)
        with checked():
            chosen = cases(worn, scenarios, severities)
        self.out.mkdir(parents=True, exist_ok=True)
        records = Records(self.out / "records.jsonl", identity, self.seed)
        if any(record.experiment != identity for record in records):
            raise UsageError(f"{self.out} holds what was found on other data, people or model; expected another folder")
        done = {record.key for record in records if record.kind == "robustness"}
        begun = time.monotonic()
        with progress_bar("scores", len(chosen) * len(makers)) as bar:
            for piece in pieces(makers, worn, chosen, self.seed, done, bar):
                records.add("robustness", piece.key, piece.as_json(), time.monotonic() - begun)
                begun = time.monotonic()
            bar(len(chosen) * len(makers))
        order = {piece_key(case, name): None for case in chosen for name in makers}
        by_key = {record.key: record.content for record in records if record.kind == "robustness"}
        found = Found(tuple(Piece.from_json(by_key[key]) for key in order), self.seed)
        write_tables(found, self.out)
        draw_robustness(found, self.out / "robustness.png")
        overall = [dataclasses.asdict(row) for row in found.rows() if row.signal == "all"]
        agreements = [dataclasses.asdict(agreement) for agreement in found.agreements()]
        people, days = len({r.person for r in judged}), len({(r.person, r.day) for r in judged})
        lives = len(set(worn.days.person))
        return {
            "people": people,
            "days": days,
            "lives": lives,
            "rows": overall,
            "rankings": agreements,
            "removed": self._ablate(tasks, records, judged) if tasks else [],
            "path": str(self.out),
        }

    def words(self, result: Result) -> str:
        """The table over all signals."""
        tables = [(self.out / "robustness.txt").read_text()]
        if self.classify:
            tables.append((self.out / "ablation.txt").read_text())
        head = f"people: {result['people']}, days: {result['days']}"
        if result["lives"] > result["people"]:
            head += f", lived through by {result['lives']} stand-ins"
        return "\n".join([*tables, f"{head}; by signal, and the figure: {result['path']}"])

    def _ablate(self, tasks: Sequence[str], records: Any, judged: Sequence[Any]) -> list[dict[str, Any]]:
        """What is lost without sensors, parts of the day and devices; recorded, and written as a table and figure."""
        from model.evaluation.ablation import Row, ablate, classifiers, gather, summary
        from model.evaluation.ablation_figure import draw_ablation
        from simulator.dataset import open_dataset
        from simulator.files import write_whole

        makers = classifiers(self.seed)
        keys = {(task, name): f"{task}, {name}" for task in tasks for name in makers}
        with progress_bar("classifiers", len(keys)) as bar:
            for number, ((task, name), key) in enumerate(keys.items()):
                bar(number, key)
                if not records.has("ablation", key):
                    begun = time.monotonic()
                    examples = gather(judged, open_dataset(self.data).people, task)
                    rows = ablate(makers[name], name, examples, task, self.seed)
                    records.add(
                        "ablation", key, {"rows": [dataclasses.asdict(row) for row in rows]}, time.monotonic() - begun
                    )
            bar(len(keys))
        found = {record.key: record.content["rows"] for record in records if record.kind == "ablation"}
        every = [row for key in keys.values() for row in found[key]]
        removed = [Row(**row) for row in every]
        write_whole(self.out / "ablation.txt", f"{summary(removed)}\n".encode())
        draw_ablation(removed, self.out / "ablation.png")
        return every

    def _sides(self, names: Sequence[str]) -> tuple[Any, Any, dict[str, Callable[[], Any]], str]:
        """Constants, days to be judged on, what makes each method, and a hash of all that decides what is found."""
        from model.evaluation.imputers import LEARNED, METHODS, Autoencoder, Learning, pypots_networks
        from model.evaluation.robustness import Worn
        from model.evaluation.robustness_data import acquaintances, digest, first_days, halves, without
        from model.training import load_model
        from model.windows import Normaliser

        if set(names) & set(LEARNED):
            pypots_networks()
        days = self.days_per_person
        judged = first_days(self.data, days, pairs_in(self.signals, "signals"))
        learn = [] if self.learn is None else first_days(self.learn, days)
        if self.learn is not None:
            judged = without(judged, learn)
            if all((folder / "dataset.json").is_file() for folder in (self.data, self.learn)):
                taught = acquaintances(self.data, self.learn)
                judged = [recording for recording in judged if recording.person not in taught]
            if not judged:
                raise UsageError(f"{self.learn} holds everybody in {self.data}; expected other people to learn from")
        elif set(names) & set(LEARNED):
            learn, judged = halves(judged, self.seed)
        trained = {name: load_model(folder) for name, folder in by_name(self.model).items()}
        normaliser = next((own for _, own in trained.values()), None) or Normaliser.fit(learn or judged)
        for folder in self.model:
            if (self.data / "dataset.json").is_file():
                from simulator.dataset import open_dataset

                others = set(strangers(open_dataset(self.data), folder).people["person"])
                judged = [recording for recording in judged if recording.person in others]
        learning = None
        if learn:
            source = Worn.of(learn, normaliser).days
            learning = Learning(source.values, source.observed, self.seed)

        def maker(name: str) -> Callable[[], Any]:
            return lambda: METHODS[name](learning, self.seed)

        makers: dict[str, Callable[[], Any]] = {name: maker(name) for name in names}
        for name, (network, own) in trained.items():
            makers[name] = functools.partial(Autoencoder, network, own, normaliser)
        weights = {name: (folder / "model.safetensors").read_bytes() for name, folder in by_name(self.model).items()}
        identity = digest(normaliser, self.seed, weights, days=[*judged, *learn])
        return normaliser, judged, makers, identity


@dataclass(frozen=True, kw_only=True)
class Federate(Job):
    """Run an experiment: warm start, private rounds over makers, score, report. Goes on where it stopped.

    Example: everywear federate demo --out runs/demo

    Attributes:
        preset: demo, tiny, or the path of an experiment's JSON file, which has its own seed.
        out: Run folder.
        back_end: in-process, or flower for Flower's own simulation engine.
        epsilon: What training may spend per person and maker; the preset's by default.
        noise: rehearsal (keys from the seed; simulated people only), release (secret keys) or off.
        workers: Processes that simulate; all cores by default.
        print_experiment: Print the experiment as JSON and do nothing.
    """

    goes_on: ClassVar[bool] = True

    preset: Positional[str]
    out: Path = Path("runs/demo")
    back_end: Literal["in-process", "flower"] = "in-process"
    epsilon: float | None = None
    noise: Literal["rehearsal", "release", "off"] | None = None
    workers: int | None = None
    print_experiment: bool = False

    def do(self) -> Result:
        """Do the job."""
        from federated.experiment import load
        from federated.presets import PRESETS
        from federated.run import run
        from federated.study.report import write_report

        if self.workers is not None:
            at_least_one(workers=self.workers)
        if self.preset in PRESETS:
            experiment = dataclasses.replace(PRESETS[self.preset], seed=self.seed)
        elif Path(self.preset).suffix == ".json":
            experiment = load(Path(self.preset))
            if self.seed not in (1, experiment.seed):
                raise UsageError(f"seed {self.seed} is not that of {self.preset}, {experiment.seed}: change it there")
        else:
            raise UsageError(f"preset {self.preset!r} is unknown, expected one of {', '.join(PRESETS)} or a .json file")
        protection = dataclasses.replace(
            experiment.protection,
            epsilon=experiment.protection.epsilon if self.epsilon is None else self.epsilon,
            noise=self.noise or experiment.protection.noise,
            noise_multiplier=experiment.protection.noise_multiplier if self.epsilon is None else 0.0,
        )
        experiment = dataclasses.replace(experiment, protection=protection)
        if self.print_experiment:
            return json.loads(experiment.to_json())  # type: ignore[no-any-return]
        with stage_bars() as watch:
            outcome = run(experiment, self.out, back_end=self.back_end, workers=self.workers, watch=watch)
        report = write_report(self.out)
        return {
            "rounds": outcome.rounds,
            "noise": outcome.noise,
            "epsilon": outcome.epsilon,
            "federation": outcome.federation,
            "delta": outcome.delta,
            "rows": outcome.rows,
            "report": str(report),
        }

    def words(self, result: Result) -> str:
        """The report's headline, and its name last."""
        from federated.study.report import as_text

        if self.print_experiment:
            return json.dumps(result, indent=2)
        return f"{as_text(self.out)}\n\nreport: {result['report']}"


@dataclass(frozen=True, kw_only=True)
class Budget(Job):
    """Tell the epsilon of a plan, or the noise that an epsilon needs, by two accountants.

    Example: everywear budget --people 5000 --rate 0.05 --steps 500 --epsilon 3 --delta 1e-5

    Attributes:
        people: Published number of people of the maker.
        rate: Probability with which a person joins a step.
        steps: Steps over the whole run.
        delta: Probability with which the guarantee may fail.
        epsilon: What may be spent; the answer is the noise.
        noise: Noise multiplier; the answer is the epsilon.
    """

    people: int
    rate: float
    steps: int
    delta: float = 1e-5
    epsilon: float | None = None
    noise: float | None = None

    def do(self) -> Result:
        """Do the job."""
        from privacy.plan import budget_table

        return budget_table(
            people=self.people,
            rate=self.rate,
            steps=self.steps,
            delta=self.delta,
            epsilon=self.epsilon,
            noise=self.noise,
        )


@dataclass(frozen=True, kw_only=True)
class Report(Job):
    """Draw the report of a run from its records.

    Example: everywear report runs/demo

    Attributes:
        run: Run folder.
    """

    run: Positional[Path]

    def do(self) -> Result:
        """Do the job."""
        from federated.study.report import write_report

        return {"path": str(write_report(self.run))}

    def words(self, result: Result) -> str:
        """The report's headline."""
        from federated.study.report import as_text

        return as_text(self.run)


JOBS: dict[str, Callable[..., Any]] = {
    "simulate": Simulate,
    "merge": Merge,
    "import": Import,
    "realism": Realism,
    "inject": Inject,
    "train": Train,
    "evaluate": Evaluate,
    "export": Export,
    "robustness": Robustness,
    "federate": Federate,
    "budget": Budget,
    "report": Report,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one job; the exit code."""
    return do_job(JOBS, __doc__ or "", list(sys.argv[1:] if arguments is None else arguments))


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


def _counts(what: str, text: str) -> list[int]:
    """Numbers from 1 on, separated by commas; none if empty.

    Raises:
        UsageError: If one is not.
    """
    words = [word.strip() for word in text.split(",")] if text else []
    for word in words:
        if not re.fullmatch(r"[1-9]\d{0,5}", word):
            raise UsageError(f"{what} {word!r} is not a number from 1 to 999999")
    return [int(word) for word in words]


def _shard(shard: str, people: int) -> tuple[int, int]:
    """The numbers of shard "i/n"."""
    found = re.fullmatch(r"(\d+)/(\d+)", shard)
    if not found or not 1 <= int(found[1]) <= int(found[2]) <= people:
        raise UsageError(f"shard {shard!r} is not i/n with 1 <= i <= n <= {people} people")
    return int(found[1]), int(found[2])


def by_name(models: Sequence[Path]) -> dict[str, Path]:
    """Model folders by the names of their rows: their own, or "model" for one alone.

    Raises:
        UsageError: If two have a name.
    """
    if len(models) == 1:
        return {"model": models[0]}
    names = [folder.resolve().name for folder in models]
    if len(set(names)) < len(names):
        raise UsageError(f"models named {', '.join(names)}: expected folders of different names")
    return dict(zip(names, models, strict=True))


def strangers(dataset: Any, model: Path) -> Any:
    """The people of a dataset whom the model was not trained on.

    Raises:
        UsageError: If there are none, or they are a maker's people, whom a federated model was trained on.
    """
    from model.training import describe_model

    origin = describe_model(model).made_by
    if origin.experiment is not None and "simulated_for" in dataset.manifest.made_by:
        maker = dataset.manifest.made_by["simulated_for"]
        raise UsageError(f"{dataset.folder} holds the people of {maker}, on whom makers train; expected other people")
    trained_on = set(origin.people)
    marks = dataset.marks()
    others = [person for person in dataset.people["person"] if marks.get(person) not in trained_on]
    if not others:
        raise UsageError(f"{model} was trained on everybody in {dataset.folder}; expected other people or another seed")
    return dataset.select(others)


def _model_folder(out: Path) -> None:
    """Make a folder for a model, or find an interrupted training's there.

    Raises:
        UsageError: If it is a file, or holds anything else.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file, expected a new folder")
    if (out / "model.safetensors").exists():
        raise UsageError(f"{out}: holds a finished model; expected a new folder or an interrupted run's")
    ours = ("checkpoint.safetensors", "model.json", "README.md")
    foreign = sorted(path.name for path in out.glob("*") if path.name not in ours and path.name[0] != ".")
    if foreign:
        raise UsageError(f"{out}: holds {foreign[0]}; expected a new folder or an interrupted run's")
    out.mkdir(parents=True, exist_ok=True)


if __name__ == "__main__":
    sys.exit(main())
