"""A watch maker behind its own door: its people's days, its ledger, its key, and what it may say.

Everything of a maker lies in one folder, its *site*; nothing of it is read by anybody else. What leaves is a model
vector, after the ledger was charged. Losses, counts and norms of private people are releases too and never leave
(rule R10); the weight in the average is a public constant.

The server is not trusted: what a maker does is what it agreed to (``agreed.json``: experiment and normaliser), and a
message that says otherwise is refused, so that nobody can talk a maker out of its noise. An answer is kept before it is
sent, and a lost one is sent again as it was.

A site belongs to one run here, because its people are simulated for it. A maker with people of its own keeps one site,
and so one ledger, for life, and names it in its node's config (``client_app``).
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from federated.experiment import Experiment, Maker
from federated.parameters import Theta, pack, touchable, unpack
from model.autoencoder import MaskedAutoencoder
from model.masking import draw_masks
from model.training import read_safetensors, run_steps
from model.windows import Batch, Days, Normaliser
from privacy.ledger import Ledger, Release, code_digest, private_digest
from privacy.mechanism import make_private
from privacy.noise import KeyedStream, load_or_create_key, rehearsal_key
from privacy.plan import PrivacyError
from simulator.cohort import Cohort
from simulator.dataset import Dataset, open_dataset
from simulator.files import write_json, write_whole
from simulator.generating import Engine, simulate
from simulator.randomness import stream_key

AGREED: Final = "agreed.json"
ROOMS: Final = tuple(Path(__file__).parents[1] / room for room in ("model", "federated", "simulator"))
MICRO_BATCH_PEOPLE: Final = 64  # people per forward pass: bounds memory, changes nothing else


@dataclass(frozen=True, slots=True)
class Site:
    """One maker's folder.

    Attributes:
        folder: Where the maker keeps ``data/``, ``ledger.jsonl`` and, for release, ``noise.key``.
        experiment: The run that the maker is asked to take part in.
        number: Its place among the experiment's makers.
    """

    folder: Path
    experiment: Experiment
    number: int

    @property
    def maker(self) -> Maker:
        """Who this is."""
        return self.experiment.makers[self.number]

    @property
    def settled(self) -> bool:
        """Whether the maker has its people."""
        return (self.folder / "data").exists()

    def dataset(self) -> Dataset:
        """The maker's people."""
        return open_dataset(self.folder / "data")

    def ledger(self) -> Ledger:
        """The maker's ledger; its budget is what the experiment promises. A rehearsal's is never a release's."""
        protection = self.experiment.protection
        rehearsed = "" if protection.noise == "release" else f" ({protection.noise})"
        return Ledger.open(
            self.folder / "ledger.jsonl",
            vendor=self.maker.name + rehearsed,
            delta=protection.delta,
            epsilon_budget=protection.epsilon,
        )

    def key(self) -> bytes:
        """What the maker's noise and draws are keyed by: secret for release, public for a rehearsal."""
        if self.experiment.protection.noise == "release":
            return load_or_create_key(self.folder / "noise.key")
        return rehearsal_key(self.experiment.seed, self.maker.name)


def sites_of(run: Path, experiment: Experiment) -> list[Site]:
    """All makers' sites of a run folder, where they live on one machine, in the experiment's order."""
    return [Site(run / "vendors" / maker.name, experiment, i) for i, maker in enumerate(experiment.makers)]


def people_of(experiment: Experiment, maker: Maker) -> Cohort:
    """The maker's simulated people; nobody else's streams are theirs, so people are disjoint over makers."""
    return Cohort(
        population=replace(maker.population, name=maker.name, vendor_shares={maker.device: 1.0}),
        people=maker.people,
        days=maker.days,
        seed=stream_key(experiment.seed, "maker", maker.name) % 2**63,
    )


def settle(site: Site, *, engine: Engine | None = None, progress: Callable[[int], None] | None = None) -> None:
    """Give the maker its simulated people, unless it has people.

    Args:
        site: Where.
        engine: Who simulates; None: this process.
        progress: Told how many person-days there are.
    """
    if site.settled:
        return
    simulate(
        people_of(site.experiment, site.maker),
        site.folder / "data",
        engine=engine,
        truth=False,
        reasons=False,
        noted={"simulated_for": site.maker.name},
        progress=progress,
    )


def agree(site: Site, normaliser: Normaliser) -> None:
    """The maker's consent: from now on it answers to this experiment and normaliser, and to no other.

    Raises:
        PrivacyError: If noise is not "release" although the people were not simulated, or it agreed to something else.
    """
    noise = site.experiment.protection.noise
    if noise != "release" and "simulated_for" not in site.dataset().manifest.made_by:
        raise PrivacyError(f"{site.folder}: noise {noise!r} protects nobody, and these people were not simulated")
    path = site.folder / AGREED
    if path.exists():
        _check_agreed(site, normaliser)
    else:
        write_json(path, _terms(site, normaliser))


def makers_of_one_person(sites: Sequence[Site]) -> int:
    """At how many makers somebody is at most, as far as a rehearsal, where all sites lie together, can see (rule R18).

    People are compared by salted digests of their names and of their first recording, so that somebody who goes by two
    names is seen as well; nobody's name or minute is kept.
    """
    at: Counter[bytes] = Counter()
    for site in sites:
        marks = site.dataset().marks()
        salt = site.experiment.digest.encode()
        known = {f"name {person}" for person in marks} | {f"mark {mark}" for mark in marks.values()}
        at.update(hashlib.blake2b(text.encode(), key=salt).digest() for text in known)
    return max(at.values(), default=1)


def _terms(site: Site, normaliser: Normaliser) -> dict[str, object]:
    return {
        "experiment": json.loads(site.experiment.to_json()),
        "normaliser": json.loads(json.dumps(asdict(normaliser))),
    }


def _check_agreed(site: Site, normaliser: Normaliser) -> None:
    path = site.folder / AGREED
    if not path.exists() or json.loads(path.read_text()) != _terms(site, normaliser):
        raise PrivacyError(f"{path}: the maker did not agree to experiment {site.experiment.digest} as it was sent")


def train_round(site: Site, theta: Theta, normaliser: Normaliser, round_number: int) -> Theta:
    """The model after this maker's local steps of a round, once its price is in the ledger.

    The answer belongs to everything it was made of: data, incoming model, terms, round and, for release, code. Asked
    for the same again, after a crash or a lost reply, the maker sends what it kept, and it costs nothing (rule R19).

    Args:
        site: The maker.
        theta: The incoming model.
        normaliser: Public constants.
        round_number: From 0.

    Raises:
        PrivacyError: If the maker did not agree to these terms, or there is no such round.
        BudgetExceeded: If the round would spend more than the budget; nothing is written or sent then.
        LedgerError: If the ledger is damaged.
        DataError: If the site's data cannot be read or the model does not fit.
    """
    experiment, rounds, key = site.experiment, site.experiment.rounds, site.key()
    _check_agreed(site, normaliser)
    if not 0 <= round_number < rounds.rounds:
        raise PrivacyError(f"round {round_number} is not one of the {rounds.rounds} agreed to")
    model = MaskedAutoencoder(experiment.architecture)
    unpack(model, theta)
    days = Days.load(site.dataset(), normaliser)
    steps = range(round_number * rounds.steps, (round_number + 1) * rounds.steps)
    plan = experiment.plan(site.maker)
    terms = json.dumps(_terms(site, normaliser), sort_keys=True).encode()
    code = (
        code_digest(*ROOMS) if experiment.protection.noise == "release" else b""
    )  # a rehearsal repeats after any change
    held = (days.values.tobytes(), days.observed.tobytes(), "\n".join(days.person).encode())
    release = Release.of(
        plan,
        steps=len(steps),
        run=experiment.digest,
        round=round_number,
        purpose="train",
        content=private_digest(key, theta.tobytes(), terms, code, *held),
    )
    if experiment.protection.noise != "off":
        site.ledger().charge(release)
    kept = site.folder / "answers" / f"round-{round_number}-{release.content}.safetensors"
    if kept.exists():
        return np.asarray(read_safetensors(kept)[0]["theta"].numpy(), dtype=np.float32)
    people = PeopleWindows(days, experiment, plan.windows_per_person)
    private_steps(model, people, people.people, experiment, site.maker, release.stream(key), steps)
    answer = pack(model)
    write_whole(kept, save({"theta": torch.from_numpy(answer)}))
    return answer


def private_steps(
    model: MaskedAutoencoder,
    people: "PeopleWindows",
    names: Sequence[str],
    experiment: Experiment,
    maker: Maker,
    streams: KeyedStream,
    steps: range,
) -> None:
    """A maker's local steps under its plan; changes the model in place, and charges nothing.

    Args:
        model: Where the steps begin.
        people: Whose windows there are.
        names: Who of them takes part.
        experiment: The terms.
        maker: Whose sensors decide what is frozen.
        streams: The release's randomness.
        steps: Which of the plan's steps.
    """
    plan, rounds = experiment.plan(maker), experiment.rounds
    module, optimiser, loader = make_private(
        model,
        torch.optim.SGD(model.parameters(), lr=rounds.learning_rate, momentum=rounds.momentum),
        plan,
        people=names,
        draw=people.draw,
        collate=people.collate,
        streams=streams,
        steps=steps,
        micro_batch=MICRO_BATCH_PEOPLE,
        frozen={name: ~mask for name, mask in touchable(model, maker.vendor.signals).items() if not mask.all()},
        learning_rate=lambda step: rounds.learning_rate * 0.5 * (1 + math.cos(math.pi * step / plan.steps)),
    )
    run_steps(module, optimiser, loader, mixed_precision=False)


class PeopleWindows:
    """Draws a person's windows and masks: [k * masks, ...] a person, from that person's days alone."""

    def __init__(self, days: Days, experiment: Experiment, windows_per_person: int) -> None:
        self.days = days
        self._experiment = experiment
        self._k = windows_per_person
        self._masks = experiment.protection.masks_per_window
        usable = days.usable(experiment.window_minutes)
        owner = np.asarray(days.person)[usable[:, 0]]
        self._windows: dict[str, NDArray[np.int64]] = {
            str(person): usable[owner == person] for person in np.unique(owner)
        }
        self.people = sorted(set(days.person))

    def draw(self, person: str, step: int, stream: KeyedStream) -> Batch | None:
        """``k`` windows of one person, each under as many masks as agreed; None if the person has no usable window."""
        own = self._windows.get(person)
        if own is None:
            return None
        rng = stream.generator()
        windows = np.repeat(own[rng.integers(len(own), size=self._k)], self._masks, axis=0)
        architecture = self._experiment.architecture
        hidden = draw_masks(self._experiment.public.warm_up.masks, architecture.grid, len(windows), rng)
        return self.days.batch(windows, architecture.window_minutes, hidden)

    @staticmethod
    def collate(people: list[Batch]) -> Batch:
        """People as the first dimension: [people, k, ...]."""
        fields = ("values", "observed", "slot", "hidden")
        return Batch(*(torch.stack([getattr(person, field) for person in people]) for field in fields))
