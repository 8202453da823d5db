"""Audit of a run folder: is what it says of its privacy true, as far as its files can show?

Three kinds of question. *Books*: are the ledgers whole, does what they say by both accountants equal what the run
reports, were exactly the kept answers charged, and is the model made of these answers and nothing else? *Facts*: are
normaliser, watched people and frozen sensors public? *Mechanism*: the gray-box checks of ``privacy.audit``, with the
run's own architecture, plan and frozen sensors, on simulated people whom nobody trained on.

An audit reads. It changes nothing in the folder.
"""

import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from federated.experiment import Experiment, Maker, load
from federated.maker import PeopleWindows, Site, makers_of_one_person, sites_of
from federated.parameters import Theta, pack, touchable, touchable_vector
from federated.run import held_out
from federated.strategy import average
from federated.study.records import read
from model.autoencoder import MaskedAutoencoder
from model.training import load_model, read_safetensors
from model.windows import Batch, Days, Normaliser
from privacy.audit import FAIL, PASS, SKIPPED, Check, Subject
from privacy.ledger import BEGUN, Ledger, federation_epsilon
from privacy.plan import PrivacyError
from simulator.dataset import open_dataset
from simulator.generating import simulate
from simulator.recording import DataError

SAME_EPSILON = 1e-6  # relative: the accountant is deterministic
ACCOUNTANTS_DIFFER = 0.03  # relative
AUDITED_PEOPLE = 6  # simulated for the gray-box checks
ALLOWED_KINDS = {"experiment", "warm_up", "examples", "round", "rows", "privacy"}
ALLOWED_OF_ROUNDS = {"round", "public_loss", "failures"}


def audit_run(folder: Path) -> list[Check]:
    """The checks of a finished run's books and facts.

    Raises:
        DataError: If the folder holds no finished run.
    """
    experiment = load(folder / "experiment.json")
    if not (folder / "model" / "model.json").exists():
        raise DataError(f"{folder}: the run is not finished; run the same `everywear federate` again to go on")
    sites = sites_of(folder, experiment)
    checks = [_model(folder, experiment, sites), _normaliser(folder), _shared(folder), _watched(folder, sites)]
    if experiment.protection.noise == "off":
        return [_check("R7", "ledgers", None, 0.0, "noise is off: nothing was protected, and nothing charged"), *checks]
    try:
        ledgers = [_ledger(site) for site in sites]
    except PrivacyError as error:
        return [_check("R7", "ledgers", 1.0, 0.0, str(error)), *checks]
    n = sum(len(ledger.entries) for ledger in ledgers)
    books = [_check("R7", "ledgers", 0.0, 0.0, f"damaged lines among {n} entries of {len(ledgers)} ledgers")]
    return [*books, *_epsilons(folder, experiment, sites, ledgers), _answers(sites, ledgers), *checks]


def claimed(folder: Path) -> float:
    """The epsilon that a run reports; infinity without noise."""
    spent = _privacy(folder).get("federation")
    return math.inf if spent is None else float(spent)


def subject_of(folder: Path) -> Subject:
    """The run's own training, of the maker that lacks the most sensors, on simulated people nobody trained on."""
    experiment = load(folder / "experiment.json")
    model, normaliser = load_model(folder / "public" / "model")
    maker = least_equipped(experiment)
    days = twins(experiment, maker, AUDITED_PEOPLE, normaliser)
    plan = experiment.plan(maker)
    people = PeopleWindows(days, experiment, plan.windows_per_person)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def module() -> MaskedAutoencoder:
        fresh = MaskedAutoencoder(experiment.architecture)
        fresh.load_state_dict(state)
        return fresh

    def fill(batch: Batch, value: float) -> Batch:
        return replace(batch, values=torch.where(batch.observed, torch.full_like(batch.values, value), batch.values))

    return Subject(
        plan=plan,
        module=module,
        people=people.people,
        draw=people.draw,
        collate=people.collate,
        fill=fill,
        frozen={name: ~mask for name, mask in touchable(model, maker.vendor.signals).items() if not mask.all()},
    )


def least_equipped(experiment: Experiment) -> Maker:
    """The maker with the fewest signals, for whom the most entries are frozen."""
    return min(experiment.makers, key=lambda maker: len(maker.vendor.signals))


def twins(experiment: Experiment, maker: Maker, people: int, normaliser: Normaliser, days: int = 1) -> Days:
    """Simulated people of a maker's population and device, who are neither its people nor the held-out ones."""
    cohort = held_out(experiment)[experiment.makers.index(maker)]
    cohort = replace(cohort, first_person=cohort.first_person + cohort.people, people=people, days=days)
    with tempfile.TemporaryDirectory() as scratch:
        simulate(cohort, Path(scratch) / "data", truth=False, reasons=False)
        return Days.load(open_dataset(Path(scratch) / "data"), normaliser)


def _ledger(site: Site) -> Ledger:
    path = site.folder / "ledger.jsonl"
    if not path.exists() or not path.with_name(path.name + BEGUN).exists():
        raise PrivacyError(f"{path}: is missing, or the mark that it was begun")
    return Ledger.read(path)


def _privacy(folder: Path) -> dict[str, Any]:
    found = [line.content for line in read(folder / "records.jsonl") if line.kind == "privacy"]
    if not found:
        raise DataError(f"{folder}: its records say nothing of privacy; expected a finished run")
    return dict(found[-1])


def _epsilons(folder: Path, experiment: Experiment, sites: list[Site], ledgers: list[Ledger]) -> list[Check]:
    """What the ledgers' rows amount to, beside what is reported, promised, and said by the second accountant."""
    told, off, apart, over = _privacy(folder), 0.0, 0.0, 0.0
    for site, ledger in zip(sites, ledgers, strict=True):
        pld, prv = ledger.epsilon(), ledger.epsilon("prv")
        off = max(off, _relative(pld, told["epsilon"].get(site.maker.name, math.nan)))
        apart = max(apart, _relative(pld, prv))
        over = max(over, pld / experiment.protection.epsilon)
    most = makers_of_one_person(sites)
    federation = federation_epsilon(ledgers, shared_people=most)
    whole = _relative(federation, told["federation"])
    return [
        _check("R17", "reported epsilon", off, SAME_EPSILON, "relative distance from the ledgers' rows, counted anew"),
        _check("R17", "two accountants", apart, ACCOUNTANTS_DIFFER, "relative distance between PLD and PRV"),
        _check("R7", "budget", over, 1 + SAME_EPSILON, "largest share of the promised epsilon that was spent"),
        _check("R8", "federation", whole, SAME_EPSILON, f"distance of what is reported from epsilon {federation:.4f}"),
        _check("R18", "disjoint people", float(most), 1.0, "makers that one person is at, at most"),
    ]


def _answers(sites: list[Site], ledgers: list[Ledger]) -> Check:
    """Every kept answer was charged, and no round was answered twice."""
    odd, kept = 0, 0
    for site, ledger in zip(sites, ledgers, strict=True):
        charged = {f"round-{entry.release.round}-{entry.release.content}" for entry in ledger.entries}
        answers = [path.stem for path in sorted((site.folder / "answers").glob("*.safetensors"))]
        odd += sum(answer not in charged for answer in answers)
        kept += len(answers)
    return _check("R19", "answers", float(odd), 0.0, f"answers that were not charged, of {kept} kept")


def _model(folder: Path, experiment: Experiment, sites: list[Site]) -> Check:
    """The final model is the rounds' averages of the kept answers, from the public model on, and nothing else."""
    model = load_model(folder / "public" / "model")[0]
    theta, final = pack(model), pack(load_model(folder / "model")[0])
    weights = {i: float(maker.people) for i, maker in enumerate(experiment.makers)}
    masks = {i: touchable_vector(model, maker.vendor.signals) for i, maker in enumerate(experiment.makers)}
    for number in range(experiment.rounds.rounds):
        answers = {i: answer for i, site in enumerate(sites) if (answer := _answer(site, number)) is not None}
        if not answers:
            return _check("R10", "model", math.inf, 0.0, f"no maker kept its answer of round {number}")
        theta = average(theta, answers, weights, masks)
    off = float(np.abs(theta.astype(np.float64) - final).max())
    return _check("R10", "model", off, 1e-6, "distance of a weight from the averages of the charged answers")


def _answer(site: Site, number: int) -> Theta | None:
    paths = sorted((site.folder / "answers").glob(f"round-{number}-*.safetensors"))
    if not paths:
        return None
    newest: NDArray[np.float32] = read_safetensors(max(paths, key=lambda p: p.stat().st_mtime))[0]["theta"].numpy()
    return newest


def _normaliser(folder: Path) -> Check:
    """The normaliser is that of the simulated public people."""
    used = load_model(folder / "model")[1]
    expected = Normaliser.fit(open_dataset(folder / "public" / "train"))
    return _check("R9", "normaliser", float(used != expected), 0.0, "whether it is not the simulated public people's")


def _shared(folder: Path) -> Check:
    """Records, which everybody may read, hold nothing of private people but what was charged."""
    odd = 0
    for line in read(folder / "records.jsonl"):
        odd += line.kind not in ALLOWED_KINDS
        odd += line.kind == "round" and not set(line.content) <= ALLOWED_OF_ROUNDS
    return _check("R10", "records", float(odd), 0.0, "records that may tell of private people")


def _watched(folder: Path, sites: list[Site]) -> Check:
    """The people whose loss is watched are simulated, and no maker's."""
    watched = set(open_dataset(folder / "public" / "validation").people["person"])
    private = {person for site in sites if site.settled for person in site.dataset().people["person"]}
    return _check(
        "R11", "watched people", float(len(watched & private)), 0.0, f"private ones of {len(watched)} watched"
    )


def _relative(found: float, expected: float) -> float:
    return abs(found - expected) / max(abs(expected), 1e-12)


def _check(rule: str, name: str, figure: float | None, bound: float, note: str) -> Check:
    verdict = SKIPPED if figure is None else PASS if figure <= bound else FAIL
    return Check(rule=rule, name=name, verdict=verdict, figure=figure, bound=bound, note=note)
