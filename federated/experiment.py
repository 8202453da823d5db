"""Experiment: everything that decides a run, as one value; named presets; JSON in and out; a hash.

An experiment holds public facts only. Two rehearsals of the same experiment end with the same model, on whichever back
end and however often they were interrupted (a release has secret noise, and ends the same only if it goes on in its own
folder); where and how fast they ran is not part of it.
"""

import hashlib
import json
import math
import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError

from model.autoencoder import SIZES, Architecture
from model.training import TrainingPlan
from privacy.plan import PrivacyError, PrivacyPlan, noise_for
from simulator.cohort import MOST
from simulator.files import first_fault
from simulator.population import POPULATIONS, Population
from simulator.recording import DataError
from simulator.vendors import VENDORS, Vendor

Noise = Literal["release", "rehearsal", "off"]
NO_CLIP: Final = 1e6  # a norm that no gradient reaches


@dataclass(frozen=True, slots=True, kw_only=True)
class Public:
    """The simulated people that cost no privacy: they warm up the model and fix its normalisation.

    Attributes:
        population: Name in ``POPULATIONS``.
        people: Simulated people to learn from.
        validation_people: Further ones, for the loss that is watched over the rounds.
        days: Days of each.
        warm_up: How the model is trained on them.
    """

    population: str = "lsm1"
    people: int = 300
    validation_people: int = 40
    days: int = 2
    warm_up: TrainingPlan = field(default_factory=TrainingPlan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """One watch maker: a device, and people who differ from the public ones in ways stated here.

    Attributes:
        name: The maker's name in the federation, in small letters, digits and dashes.
        device: Name in ``VENDORS``; decides sensors, errors, battery and firmware habits.
        population: How its people are distributed.
        people: Published number of its people.
        days: Days of each.
    """

    name: str
    device: str
    population: Population
    people: int = 300
    days: int = 2

    @property
    def vendor(self) -> Vendor:
        """The device's facts."""
        return VENDORS[self.device]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What each person is promised; the noise follows from it.

    Attributes:
        noise: "release": keys from the operating system's entropy. "rehearsal": keys from the experiment's seed, so
            that a run over simulated people can be repeated; gives real people nothing. "off": no clipping, no noise.
        epsilon: What training may spend per person and maker, over all rounds.
        delta: Probability with which the guarantee may fail.
        clip_norm: Bound on one person's gradient.
        sampling_rate: Probability with which a person joins a step.
        windows_per_person: Windows of a joining person.
        masks_per_window: Masks under which each of these is seen; inside a person's gradient, so free in privacy.
        arithmetic: "float", or "grid": sums and noise are integers (rule R16).
        noise_multiplier: Noise over ``clip_norm``; 0 until ``Experiment.resolved`` has worked it out.
    """

    noise: Noise = "rehearsal"
    epsilon: float = 8.0
    delta: float = 1e-5
    clip_norm: float = 0.5
    sampling_rate: float = 0.12
    windows_per_person: int = 2
    masks_per_window: int = 1
    arithmetic: Literal["float", "grid"] = "float"
    noise_multiplier: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """The federation's rhythm.

    Attributes:
        rounds: Times the makers' models are averaged.
        steps: Local steps of each maker in a round.
        learning_rate: Peak rate of local steps; it falls along a cosine over the whole run.
        momentum: Of the local steps; the optimiser is fresh each round and sees noised gradients only.
        least_makers: Fewest makers whose replies make a round; with fewer it is an error, and going on later costs
            nothing again.
    """

    rounds: int = 5
    steps: int = 4
    learning_rate: float = 0.2
    momentum: float = 0.0
    least_makers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Held-out simulated people, drawn from the makers' populations and devices, equally many of each.

    Attributes:
        people_per_maker: People nobody trained on.
        days: Days of each.
        windows_per_person: Scored windows of each.
    """

    people_per_maker: int = 30
    days: int = 3
    windows_per_person: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A whole run.

    Attributes:
        name: For people to read.
        seed: Decides everything but release-mode noise.
        size: Name in ``SIZES``.
        window_minutes: Window of the model: 1440, or 300 where two cores must carry it.
        public: The simulated public cohort and the warm start.
        makers: The federation's members.
        protection: What each person is promised.
        rounds: The federation's rhythm.
        evaluation: How the result is scored.
    """

    name: str
    seed: int = 1
    size: str = "xxs"
    window_minutes: int = 300
    public: Public = field(default_factory=Public)
    makers: tuple[Maker, ...]
    protection: Protection = field(default_factory=Protection)
    rounds: Rounds = field(default_factory=Rounds)
    evaluation: Evaluation = field(default_factory=Evaluation)

    def __post_init__(self) -> None:
        _known("size", self.size, SIZES)
        _known("population", self.public.population, POPULATIONS)
        for maker in self.makers:
            _known(f"device of {maker.name}", maker.device, VENDORS)
        names = [maker.name for maker in self.makers]
        if not names or len(set(names)) != len(names):
            raise DataError(f"makers {names}: expected at least one, each with a name of its own")
        for name in names:
            if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
                raise DataError(f"maker's name {name!r}: expected small letters, digits and dashes")
        rounds = self.rounds
        if not 0 < rounds.learning_rate < math.inf or not 0 <= rounds.momentum < 1:
            raise DataError(
                f"learning rate {rounds.learning_rate} is not positive, or momentum {rounds.momentum} not in [0, 1)"
            )
        if not 1 <= rounds.least_makers <= len(names):
            raise DataError(f"least makers {rounds.least_makers}: expected 1 to {len(names)}")
        if self.protection.noise not in ("release", "rehearsal", "off"):
            raise DataError(f"noise {self.protection.noise!r}: expected release, rehearsal or off")
        if not 0 < self.protection.epsilon < math.inf:
            raise PrivacyError(f"epsilon={self.protection.epsilon} is not in (0, inf)")
        for name, count in _counts(self).items():
            if not 1 <= count <= MOST:
                raise DataError(f"{name} {count}: expected 1 to {MOST}")
        try:
            _ = self.architecture
        except ValueError as error:
            raise DataError(str(error)) from error

    @property
    def architecture(self) -> Architecture:
        """The model's shape."""
        return replace(SIZES[self.size], window_minutes=self.window_minutes)

    @property
    def steps(self) -> int:
        """Local steps of a maker over the whole run."""
        return self.rounds.rounds * self.rounds.steps

    def resolved(self) -> "Experiment":
        """With the least noise that keeps the promise; all makers need the same, since none of its facts is theirs.

        Raises:
            PrivacyError: If no noise keeps the promise or drowns everything, the noise given does not keep it, or a
                number is out of its range.
        """
        p = self.protection
        for maker in self.makers:  # the other numbers first: calibrating with an absurd one may take for ever
            replace(self, protection=replace(p, noise_multiplier=p.noise_multiplier or 1.0)).plan(maker)
        if p.noise == "off":
            return self
        if p.noise_multiplier != 0:
            spent = self.plan(self.makers[0]).epsilon()
            if spent > p.epsilon:
                raise PrivacyError(
                    f"noise_multiplier={p.noise_multiplier} spends epsilon {spent:.4g} over {self.steps} steps, more "
                    f"than the {p.epsilon:g} promised: give 0 to have it worked out"
                )
            return self
        noise = noise_for(p.epsilon, p.sampling_rate, self.steps, p.delta)
        for maker in self.makers:
            expected = p.sampling_rate * maker.people
            if noise > expected:
                raise PrivacyError(
                    f"epsilon {p.epsilon:g} over {self.steps} steps needs noise of {noise:.4g} clip norms a weight, "
                    f"more than all {expected:g} people that {maker.name} expects in a step can say together: "
                    "raise epsilon or people, or take fewer steps"
                )
        return replace(self, protection=replace(p, noise_multiplier=noise))

    def plan(self, maker: Maker) -> PrivacyPlan:
        """The maker's privacy plan, from public facts alone; with noise "off" one that protects nobody.

        Raises:
            PrivacyError: If a number is out of its range, or the experiment is not ``resolved``.
        """
        p, off = self.protection, self.protection.noise == "off"
        if not off and p.noise_multiplier <= 0:
            raise PrivacyError(f"noise_multiplier={p.noise_multiplier} is not positive: resolve the experiment first")
        return PrivacyPlan(
            noise_multiplier=0.0 if off else p.noise_multiplier,
            clip_norm=NO_CLIP if off else p.clip_norm,
            sampling_rate=p.sampling_rate,
            nominal_people=maker.people,
            steps=self.steps,
            windows_per_person=p.windows_per_person,
            delta=p.delta,
            epsilon_budget=math.inf if off else p.epsilon,
            arithmetic="float" if off else p.arithmetic,
        )

    def to_json(self) -> str:
        """Canonical JSON; ``from_json`` gives an equal experiment back."""
        return json.dumps(_ADAPTER.dump_python(self, mode="json"), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Experiment":
        """Read what ``to_json`` wrote.

        Raises:
            DataError: If a field is missing, unknown or of the wrong type; the message names it.
        """
        try:
            return _ADAPTER.validate_json(text, extra="forbid")
        except ValidationError as error:
            raise DataError(first_fault(error)) from error

    @property
    def digest(self) -> str:
        """Short hash of everything above; records of equal digest belong together."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]


_ADAPTER: Final = TypeAdapter(Experiment)


def _known(what: str, name: str, among: Collection[str]) -> None:
    if name not in among:
        raise DataError(f"{what} {name!r} is unknown, expected one of {', '.join(sorted(among))}")


def _counts(e: Experiment) -> dict[str, int]:
    counts = {f"people of {maker.name}": maker.people for maker in e.makers}
    counts |= {f"days of {maker.name}": maker.days for maker in e.makers}
    counts |= {"public people": e.public.people, "public days": e.public.days, "rounds": e.rounds.rounds}
    counts |= {"people held out": e.evaluation.people_per_maker, "days held out": e.evaluation.days}
    counts |= {"steps": e.rounds.steps, "validation people": e.public.validation_people}
    counts |= {"masks per window": e.protection.masks_per_window}
    return counts | {"windows per person": e.evaluation.windows_per_person}


def load(path: Path) -> Experiment:
    """The experiment of a run folder's ``experiment.json``.

    Raises:
        DataError: If it is missing or not an experiment.
    """
    try:
        return Experiment.from_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such file, expected an experiment as `federate --print-experiment` prints"
        ) from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
