"""Jobs that judge models and whatever else fills gaps: evaluate, robustness."""

import contextlib
import dataclasses
import functools
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from tyro.conf import Positional

from commandline import (
    MAP,
    Job,
    Result,
    UsageError,
    at_least_one,
    checked,
    in_words,
    names_in,
    numbers_in,
    output_folder,
    pairs_in,
    progress_bar,
    written_folder,
)

MODEL = ("model.json", "a model folder as everywear train writes one")
RUN = ("experiment.json", "a run folder as everywear federate writes one")
"""By kind of folder: the file that tells it, and its name in messages."""


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
        if self.out is not None:
            output_folder(self.out, "evaluate", ("scores.json", "scores.txt", "*.png"), apart=self.data)
        for folder in (self.model, *self.beside):
            written_folder(folder, *MODEL)
        if self.run is not None and self.beside:
            raise UsageError("--run has models of its own; leave --beside or --run out")
        if self.run is not None:
            written_folder(self.run, *RUN)
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
        signals: Of a table, columns that are called otherwise, as "column=signal", comma-separated; "person" and
            "timestamp" can be named so, too: "Id=person,ActivityMinute=timestamp,HeartRate=heart_rate".
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
    signals: Annotated[str, MAP] = ""
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
        ours = (f"{name}.{kind}" for name in ("robustness", "ablation") for kind in ("txt", "csv", "json", "png"))
        output_folder(self.out, "robustness", ("records.jsonl", *ours), apart=self.data)
        for folder in self.model:
            written_folder(folder, *MODEL)
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


def _simulated_for(made_by: Mapping[str, Any]) -> str | None:
    """The maker whose people are in a dataset, also where it was merged with others."""
    within = (_simulated_for(part) for part in made_by.get("merged", ()))
    return made_by.get("simulated_for") or next((maker for maker in within if maker is not None), None)


def strangers(dataset: Any, model: Path) -> Any:
    """The people of a dataset whom the model was not trained on.

    Raises:
        UsageError: If there are none, or they are a maker's people, whom a federated model was trained on.
    """
    from model.training import describe_model

    origin = describe_model(model).made_by
    maker = _simulated_for(dataset.manifest.made_by)
    if origin.experiment is not None and maker is not None:
        raise UsageError(f"{dataset.folder} holds the people of {maker}, on whom makers train; expected other people")
    trained_on = set(origin.people)
    marks = dataset.marks()
    others = [person for person in dataset.people["person"] if marks.get(person) not in trained_on]
    if not others:
        raise UsageError(f"{model} was trained on everybody in {dataset.folder}; expected other people or another seed")
    return dataset.select(others)
