"""A whole run, stage by stage: public people, warm start, makers, rounds, evaluation. What is done is never redone.

A run folder::

    experiment.json            what is run
    public/train, validation   simulated public people; public/model: the warm start
    vendors/NAME               a maker's site: data, ledger, key
    server/round.safetensors   the model after the last finished round
    model/                     the federated model, and its privacy card
    test/                      held-out simulated people
    records.jsonl              what the report is made from

Each stage leaves its result whole or not at all, so a run that was killed goes on where it stopped, and ends with the
same model, ledgers and figures.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from itertools import accumulate, chain, count, pairwise
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from federated.experiment import Experiment, load
from federated.flower import through_flower
from federated.grid import InProcessGrid, drive
from federated.maker import Site, agree, makers_of_one_person, people_of, settle, sites_of
from federated.parameters import unpack
from federated.server_app import last_round
from federated.study.records import Records
from model.autoencoder import MaskedAutoencoder
from model.evaluation.generative import Row, evaluate
from model.training import (
    Origin,
    describe_model,
    load_model,
    load_weights,
    parameters,
    save_model,
    train,
    validation_loss,
)
from model.windows import Days, Normaliser
from privacy.card import Audited, PrivacyCard, as_markdown, facts, sign
from privacy.ledger import Ledger, federation_epsilon
from privacy.noise import load_or_create_key
from simulator.cohort import Cohort
from simulator.dataset import open_dataset
from simulator.engines import Processes
from simulator.files import write_json, write_whole
from simulator.generating import Engine, simulate
from simulator.merging import merge_datasets
from simulator.population import POPULATIONS
from simulator.recording import DataError, Reason, Recording
from simulator.signals import NAMES

WORTH_WORKERS_PERSON_DAYS = 200  # below, starting processes takes longer than the work
CARD = "privacy.json"  # the privacy card in a model folder
BackEnd = Literal["in-process", "flower"]
PACKAGES = ("torch", "flwr", "opacus", "dp-accounting", "numpy")  # whose versions a record names
SHOWN_SIGNALS = ("heart_rate", "steps", "rmssd", "scl", "skin_temperature", "altimeter_sd")


class Watch(Protocol):
    """Who is told how far a run is."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """``done`` of ``total`` of a stage."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished run says: ``everywear federate --json`` prints it."""

    noise: str
    rounds: int
    epsilon: Mapping[str, float]
    federation: float
    delta: float
    rows: list[dict[str, Any]]


def run(
    experiment: Experiment, folder: Path, *, back_end: BackEnd = "in-process", workers: int | None = None, watch: Watch
) -> Outcome:
    """Run an experiment from wherever its folder stands to its end.

    Raises:
        DataError: If the folder holds another experiment or something damaged.
        PrivacyError: If the plan is impossible or the budget does not suffice.
        FederationError: If a round failed.
    """
    experiment = begin(experiment, folder)
    with _alone(folder):
        _stages(experiment, folder, back_end, workers or os.cpu_count() or 1, watch)
    return outcome(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second process out of the folder; the system lets go of the lock when this one ends, however it ends."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"{folder}: another process is at work there") from error
        yield


def _stages(experiment: Experiment, folder: Path, back_end: BackEnd, workers: int, watch: Watch) -> None:
    records = Records(folder / "records.jsonl", experiment.digest, experiment.seed)
    sites = sites_of(folder, experiment)
    plans = {maker.name: asdict(experiment.plan(maker)) for maker in experiment.makers}
    content = {"experiment": experiment.name, "plans": _finite(plans), "versions": {p: version(p) for p in PACKAGES}}
    records.add("experiment", "", content, 0.0)
    normaliser = _warm_up(experiment, folder, records, workers, watch)
    _settle(sites, workers, watch)
    for site in sites:
        agree(site, normaliser)
    _rounds(experiment, folder, back_end, watch)
    _finish_model(experiment, folder, normaliser)
    _score(experiment, folder, records, workers, watch)
    if not records.has("privacy", ""):
        records.add("privacy", "", _spent(experiment, sites), 0.0)
    if experiment.protection.noise != "off" and not (folder / "model" / CARD).exists():
        issue_card(folder)


def begin(experiment: Experiment, folder: Path) -> Experiment:
    """Claim a folder for an experiment; the experiment with its noise worked out, before any work is done.

    Raises:
        DataError: If the folder holds another experiment, or things that are not a run.
        PrivacyError: If the experiment promises what no noise can keep.
    """
    path = folder / "experiment.json"
    if path.exists():
        found = load(path)
        asked = replace(experiment.protection, noise_multiplier=found.protection.noise_multiplier)
        if found != replace(experiment, protection=asked):
            field, there, here = _difference(found, replace(experiment, protection=asked))
            raise DataError(
                f"{folder}: holds another run, whose {field} is {there}, not {here}; expected a new folder, or the same"
            )
        return found
    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder}: is not empty and not a run folder; expected a new folder or one to go on with")
    experiment = experiment.resolved()
    write_whole(path, experiment.to_json().encode())
    return experiment


def _difference(found: Experiment, asked: Experiment) -> tuple[str, str, str]:
    """The first field of two experiments that is not the same, and what it is in each, as JSON."""
    one, other = json.loads(found.to_json()), json.loads(asked.to_json())
    path = ""
    while isinstance(one, dict) and isinstance(other, dict):
        name = next(name for name in sorted({*one, *other}) if one.get(name) != other.get(name))
        path, one, other = f"{path}.{name}".removeprefix("."), one.get(name), other.get(name)
    return path, f"{json.dumps(one):.60}", f"{json.dumps(other):.60}"


def outcome(folder: Path) -> Outcome:
    """What the records of a finished run say.

    Raises:
        DataError: If the run is not finished.
    """
    experiment = load(folder / "experiment.json")
    records = {(r.kind, r.key): r for r in Records(folder / "records.jsonl", experiment.digest, experiment.seed)}
    if ("privacy", "") not in records or ("rows", "simulated") not in records:
        raise DataError(f"{folder}: the run is not finished; run the same `everywear federate` again to go on")
    privacy = records["privacy", ""].content
    return Outcome(
        noise=experiment.protection.noise,
        rounds=experiment.rounds.rounds,
        epsilon=privacy["epsilon"],
        federation=privacy["federation"],
        delta=privacy["delta"],
        rows=records["rows", "simulated"].content["rows"],
    )


def _warm_up(experiment: Experiment, folder: Path, records: Records, workers: int, watch: Watch) -> Normaliser:
    """Public people, normaliser, warm start."""
    public, home = experiment.public, folder / "public"
    population = POPULATIONS[public.population]
    cohorts = {
        "train": Cohort(population=population, people=public.people, days=public.days, seed=experiment.seed),
        "validation": Cohort(
            population=population,
            people=public.validation_people,
            days=public.days,
            seed=experiment.seed,
            first_person=public.people,
        ),
    }
    for name, cohort in cohorts.items():
        if not (home / name).exists():
            _write(home / name, cohort, workers, f"public people ({name})", watch)
    if (home / "model" / "model.safetensors").exists():
        return load_model(home / "model")[1]
    started = time.monotonic()
    dataset = open_dataset(home / "train")
    normaliser = Normaliser.fit(dataset)
    days, validation = Days.load(dataset, normaliser), Days.load(open_dataset(home / "validation"), normaliser)
    model = MaskedAutoencoder(experiment.architecture, experiment.seed)
    plan = public.warm_up
    losses = train(
        model,
        days,
        plan,
        seed=experiment.seed,
        checkpoint=home / "checkpoint.safetensors",
        progress=lambda step, loss: watch("warm start", step + 1, plan.steps, f"loss {loss:.3f}"),
    )
    loss = validation_loss(model, validation, plan, seed=experiment.seed)
    content = {"losses": losses, "public_loss": loss, "parameters": parameters(model), "people": public.people}
    records.add("warm_up", "", content, time.monotonic() - started)
    examples = _examples(chain([dataset[0]], [dataset[len(dataset) // 2]]))
    records.add("examples", "public", {"days": examples}, 0.0)
    marks = tuple(sorted(dataset.marks().values()))
    origin = Origin(experiment=experiment.digest, seed=experiment.seed, people=marks)
    save_model(home / "model", model, normaliser, replace(origin, loss=losses[-1], held_out_loss=loss))
    return normaliser


def _settle(sites: list[Site], workers: int, watch: Watch) -> None:
    """Give every maker its people."""
    sizes = [len(people_of(site.experiment, site.maker)) for site in sites]
    for site, size, after in zip(sites, sizes, accumulate(sizes), strict=True):

        def progress(done: int, before: int = after - size, name: str = site.maker.name) -> None:
            watch("makers' people", before + done, sum(sizes), name)

        settle(site, engine=_engine(workers, size), progress=progress)
    watch("makers' people", sum(sizes), sum(sizes))


def _rounds(experiment: Experiment, folder: Path, back_end: BackEnd, watch: Watch) -> None:
    """Drive the Flower apps through the rounds that are left."""
    from federated.client_app import app as client_app
    from federated.server_app import app as server_app

    total = experiment.rounds.rounds * len(experiment.makers)
    if back_end == "flower":
        watch("rounds", 0, total, "Flower's simulation engine")
        through_flower(folder, len(experiment.makers))
    else:
        start, _ = last_round(folder, experiment, load_model(folder / "public" / "model")[0])
        answers = count(start * len(experiment.makers) + 1)
        run_config = {"run": str(folder.resolve())}
        grid = InProcessGrid(
            client_app,
            len(experiment.makers),
            run_config,
            on_answer=lambda: watch("rounds", next(answers), total),
        )
        drive(server_app, grid, run_config)
    watch("rounds", total, total)


def _finish_model(experiment: Experiment, folder: Path, normaliser: Normaliser) -> None:
    public = folder / "public" / "model"
    described = describe_model(public)
    model = load_weights(public, described)
    _, theta = last_round(folder, experiment, model)
    unpack(model, theta)
    save_model(folder / "model", model, normaliser, replace(described.made_by, loss=None, held_out_loss=None))


def _score(experiment: Experiment, folder: Path, records: Records, workers: int, watch: Watch) -> None:
    """The federated model, the warm start and the simple methods on held-out people of all makers."""
    if records.has("rows", "simulated"):
        return
    started, home = time.monotonic(), folder / "test"
    if not home.exists():
        _write_held_out(experiment, home, workers, watch)
    dataset = open_dataset(home)
    rows = score(folder, Days.load(dataset, load_model(folder / "model")[1]), experiment, watch)
    firsts = dataset.index.drop_duplicates("vendor").index
    examples = _examples(dataset[int(i)] for i in firsts)
    records.add("examples", "makers", {"days": examples}, 0.0)
    content = {"rows": [row.as_json() for row in rows], "people": len(dataset.people), "data": "simulated"}
    records.add("rows", "simulated", content, time.monotonic() - started)


def score(folder: Path, days: Days, experiment: Experiment, watch: Watch) -> list[Row]:
    """Rows of a run's two models and the simple methods on ``days``."""
    models = {"federated": load_model(folder / "model")[0], "public only": load_model(folder / "public" / "model")[0]}
    done = 0

    def progress(task: str) -> None:
        nonlocal done
        watch("evaluation", done, 16, task)
        done += 1

    rows = evaluate(
        models,
        days,
        minutes=experiment.window_minutes,
        windows_per_person=experiment.evaluation.windows_per_person,
        seed=experiment.seed,
        progress=progress,
    )
    watch("evaluation", 16, 16)
    return rows


def held_out(experiment: Experiment) -> list[Cohort]:
    """People of every maker's population whom nobody trained on: those after the maker's last."""
    evaluation = experiment.evaluation
    return [
        replace(
            people_of(experiment, maker),
            first_person=maker.people,
            people=evaluation.people_per_maker,
            days=evaluation.days,
        )
        for maker in experiment.makers
    ]


def _write_held_out(experiment: Experiment, home: Path, workers: int, watch: Watch) -> None:
    """The held-out people of all makers in one folder, simulated maker by maker and merged."""
    scratch, cohorts = home.with_name(f".{home.name}-by-maker"), held_out(experiment)
    total = sum(map(len, cohorts))
    for before, cohort in zip(accumulate(map(len, cohorts), initial=0), cohorts, strict=False):
        if not (scratch / cohort.population.name).exists():
            _write(scratch / cohort.population.name, cohort, workers, "held-out people", watch, before, total)
    merge_datasets([scratch / cohort.population.name for cohort in cohorts], home)
    shutil.rmtree(scratch)


def _write(
    folder: Path,
    cohort: Cohort,
    workers: int,
    stage: str,
    watch: Watch,
    before: int = 0,
    total: int | None = None,
) -> None:
    """Simulate people of a stage, ``before`` person-days of whose ``total`` were made earlier."""
    simulate(
        cohort,
        folder,
        engine=_engine(workers, len(cohort)),
        truth=False,
        progress=lambda done: watch(stage, before + done, total or len(cohort)),
    )


def _engine(workers: int, person_days: int) -> Engine | None:
    """Processes, where so many person-days keep them busy; None: this one."""
    return Processes(workers) if workers > 1 and person_days >= WORTH_WORKERS_PERSON_DAYS else None


def _examples(recordings: Iterable[Recording]) -> list[dict[str, Any]]:
    """Example days for the report: a few signals, rounded, None where missing, and the reason of each gap."""
    examples = []
    for recording in recordings:
        signals, reasons = {}, {}
        for name in SHOWN_SIGNALS:
            row = NAMES.index(name)
            values = np.where(recording.observed[row], recording.values[row], np.nan)
            signals[name] = [None if np.isnan(value) else round(float(value), 3) for value in values]
            reasons[name] = _runs(recording.reason[row])
        facts = {"person": recording.person, "vendor": recording.vendor, "day": recording.day}
        examples.append(facts | {"signals": signals, "reasons": reasons})
    return examples


def _runs(reason: np.ndarray[Any, np.dtype[np.uint8]]) -> list[tuple[int, int, str]]:
    """Gaps as (first minute, minute after the last, reason)."""
    edges = np.flatnonzero(np.diff(reason)) + 1
    bounds = [0, *edges.tolist(), len(reason)]
    return [(start, end, Reason(int(reason[start])).name) for start, end in pairwise(bounds) if reason[start]]


def _spent(experiment: Experiment, sites: list[Site]) -> dict[str, Any]:
    """What the ledgers say, by both accountants."""
    if experiment.protection.noise == "off":
        return {"noise": "off", "epsilon": {site.maker.name: None for site in sites}, "federation": None, "delta": None}
    ledgers: dict[str, Ledger] = {site.maker.name: site.ledger() for site in sites}
    return {
        "noise": experiment.protection.noise,
        "epsilon": {name: ledger.epsilon() for name, ledger in ledgers.items()},
        "second_accountant": {name: ledger.epsilon("prv") for name, ledger in ledgers.items()},
        "federation": federation_epsilon(list(ledgers.values()), shared_people=_shared_people(experiment, sites)),
        "delta": experiment.protection.delta,
        "releases": {name: len(ledger.entries) for name, ledger in ledgers.items()},
    }


def _shared_people(experiment: Experiment, sites: list[Site]) -> int:
    """At how many makers a person may be: one, by agreement; a rehearsal, whose people are public, looks (rule R18)."""
    return makers_of_one_person(sites) if experiment.protection.noise == "rehearsal" else 1


def issue_card(folder: Path, audit: Audited | None = None) -> Path:
    """Write the privacy card of a finished run beside its model, as signed JSON and as a page; the JSON's path.

    The issuer's key lies in ``server/card.key``, readable by its owner only; its public half stands on the card.

    Args:
        folder: The run.
        audit: What an audit found, if one was run.

    Raises:
        DataError: If the run is not finished.
        LedgerError: If a ledger is damaged.
    """
    experiment = load(folder / "experiment.json")
    weights = folder / "model" / "model.safetensors"
    if not weights.exists():
        raise DataError(f"{folder}: the run is not finished; run the same `everywear federate` again to go on")
    sites = sites_of(folder, experiment)
    ledgers = [Ledger.read(site.folder / "ledger.jsonl") for site in sites]  # a card never begins one
    shared = _shared_people(experiment, sites)
    card = PrivacyCard(
        model=hashlib.sha256(weights.read_bytes()).hexdigest(),
        experiment=experiment.digest,
        noise=experiment.protection.noise,
        trust="maker",
        makers=tuple(facts(experiment.plan(site.maker), ledger) for site, ledger in zip(sites, ledgers, strict=True)),
        federation=federation_epsilon(ledgers, shared_people=shared),
        shared_people=shared,
        delta=experiment.protection.delta,
        audit=audit,
    )
    signed = sign(card, load_or_create_key(folder / "server" / "card.key"))
    write_whole(folder / "model" / "PRIVACY.md", as_markdown(signed).encode())
    write_json(folder / "model" / CARD, signed)
    return folder / "model" / CARD


def _finite(plans: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Plans as JSON can hold them: infinity becomes None."""
    return {
        name: {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in plan.items()}
        for name, plan in plans.items()
    }
