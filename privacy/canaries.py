"""One-run audit: two thousand canary people, half of them in by secret coins, go through the private path itself.

A canary is a person whose data make the model's gradient a direction of its own; all directions are at right angles.
So nothing of a step is replaced by a stand-in: hooks, clipping, sampling, noise and divisor are those that
`make_private` gives, and the epsilon that is doubted is what a ledger says of the same releases. The attacker sees all
noised sums (more than a server ever does), adds them up, and scores each direction by its share of the total.

The attacker's people are chosen to be hard to hide, as the guarantee is for *any* people:

* their gradients are ten times the clip norm, so that missing clipping shows;
* they bring several windows that all push the same way, so that clipping by window shows;
* their direction turns around from step to step and from release to release, and is of opposite sign in the two halves
  of the model. The attacker turns it back. With independent noise that changes nothing; noise that repeats over steps,
  releases or parameters cancels itself, and what remains is the people.

What the two bounds of ``privacy.bounds`` assume here. Counting: nothing. Gaussian: given who joined, a score is the
number of joined steps plus a sum of the mechanism's own Gaussian noise, independent between directions. At sampling
rate 1 the scores are exactly normal with one deviation, and the bound is exact. Below 1 the scores of included people
carry the binomial spread of joining as well; the bound is then an estimate of a bound, and `CanaryAudit.limit` says
what it tends to for a correct mechanism, if one has ever so many canaries. While that lies below the claim, a bound
*above* the claim has at most the stated chance of error.

[1] Nasr et al., "Adversary instantiation: lower bounds for differentially private machine learning", arXiv:2101.04535.
[2] Andrew et al., "One-shot empirical privacy estimation for federated learning", arXiv:2302.03098.
"""

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dct, idct
from torch import Tensor, nn

from privacy import mechanism
from privacy.bounds import Counting, Gaussian, counting_bound, gaussian_bound, gaussian_epsilon
from privacy.ledger import Ledger, Release
from privacy.noise import KeyedStream, rehearsal_key
from privacy.plan import PrivacyError, PrivacyPlan

MakePrivate = Callable[..., tuple[nn.Module, Any, Any]]
Progress = Callable[[int, int], None]

RELEASES = 2  # an even number each, so that whatever repeats cancels itself
LOUDNESS = 10.0  # a canary's gradient in clip norms, before clipping
WINDOWS = 4  # of a canary
MICRO_BATCH = 64  # canaries per forward pass


@dataclass(frozen=True, kw_only=True)
class CanaryDesign:
    """What is audited, and how hard.

    Attributes:
        epsilon: The claim: the noise is calibrated to it, over all releases.
        delta: Of the claim.
        canaries: People with coins.
        dimensions: Parameters of the model, even.
        sampling_rate: Probability with which an included canary joins a step.
        steps: Steps of each of the two releases, even.
        clip_norm: Bound on a person.
        confidence: One-sided, of both bounds together.
        arithmetic: "float" or "grid", as in a plan.
    """

    epsilon: float = 4.0
    delta: float = 1e-5
    canaries: int = 2000
    dimensions: int = 20_000
    sampling_rate: float = 0.8
    steps: int = 8
    clip_norm: float = 0.5
    confidence: float = 0.99
    arithmetic: str = "float"

    def __post_init__(self) -> None:
        if self.dimensions % 2 or self.steps % 2:
            raise PrivacyError(f"dimensions={self.dimensions} and steps={self.steps} are not both even")
        if not 4 <= self.canaries <= self.dimensions // 2 - 2:
            raise PrivacyError(f"canaries={self.canaries} is not in [4, {self.dimensions // 2 - 2}]")
        if not 0.5 < self.confidence < 1:
            raise PrivacyError(f"confidence={self.confidence} is not in (0.5, 1)")

    def plan(self) -> PrivacyPlan:
        """The plan of one release whose noise keeps the claim over both."""
        facts: dict[str, Any] = {
            "clip_norm": self.clip_norm,
            "sampling_rate": self.sampling_rate,
            "nominal_people": self.canaries,
            "windows_per_person": WINDOWS,
            "delta": self.delta,
            "arithmetic": self.arithmetic,
        }
        both = PrivacyPlan.calibrated(epsilon=self.epsilon, steps=RELEASES * self.steps, **facts)
        return PrivacyPlan(
            noise_multiplier=both.noise_multiplier, steps=self.steps, epsilon_budget=self.epsilon, **facts
        )


@dataclass(frozen=True, kw_only=True)
class CanaryAudit:
    """What an audit found.

    Attributes:
        claimed: Epsilon by the ledger.
        delta: Of all epsilons.
        gaussian: The Gaussian bound.
        counting: The counting bound, and its ceiling.
        limit: What the Gaussian bound tends to for the mechanism that is claimed, with ever more canaries.
        canaries: People with coins.
        included: Of them.
        confidence: Of both bounds together.
        seed: Of coins, directions and noise.
        seconds: How long it took.
    """

    claimed: float
    delta: float
    gaussian: Gaussian
    counting: Counting
    limit: float
    canaries: int
    included: int
    confidence: float
    seed: int
    seconds: float

    @property
    def lower_bound(self) -> float:
        """The larger of the two bounds."""
        return max(self.gaussian.epsilon, self.counting.epsilon)

    @property
    def red(self) -> bool:
        """Whether more leaked than is claimed."""
        return self.lower_bound > self.claimed


class Gauge(nn.Module):
    """Two linear layers whose gradient is the input in one and its negative in the other; a loss per window."""

    def __init__(self, half: int) -> None:
        """Of ``2 * half`` parameters."""
        super().__init__()
        self.plus = nn.utils.skip_init(nn.Linear, half, 1, bias=False)
        self.minus = nn.utils.skip_init(nn.Linear, half, 1, bias=False)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """[people, windows, half] -> [people, windows]."""
        loss: Tensor = (self.plus(x) - self.minus(x)).squeeze(-1)
        return loss


class Recorder(torch.optim.Optimizer):
    """An optimiser that notes what it would have moved by, and moves nothing.

    Attributes:
        updates: One flat float64 vector a step: the learning rate times the gradient it was given.
    """

    def __init__(self, module: nn.Module) -> None:
        """Of the module's trainable parameters."""
        super().__init__([p for p in module.parameters() if p.requires_grad], {"lr": 1.0})
        self.updates: list[Tensor] = []

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Notes one step."""
        del closure
        moved = [
            group["lr"] * (torch.zeros_like(p) if p.grad is None else p.grad).double().flatten()
            for group in self.param_groups
            for p in group["params"]
        ]
        self.updates.append(torch.cat(moved))


def audit_canaries(
    design: CanaryDesign, seed: int, make: MakePrivate | None = None, progress: Progress | None = None
) -> CanaryAudit:
    """Train once on canary people, attack what was released, and say how much epsilon that proves.

    Args:
        design: What is audited.
        seed: Of the coins, the directions and, as in a rehearsal, the noise.
        make: What makes training private; `privacy.mechanism.make_private` unless a test plants a fault.
        progress: Told of the steps that are done, and of how many there are.
    """
    started = time.monotonic()
    plan, half = design.plan(), design.dimensions // 2
    coins = KeyedStream(rehearsal_key(seed, "canaries"), "coins")
    included = coins.uniform(design.canaries) < 0.5
    flips = np.where(coins.uniform(half) < 0.5, -1.0, 1.0)
    people = {f"canary {i}": _direction(int(i), flips) for i in np.flatnonzero(included)}
    scores, claimed = np.zeros(half), 0.0
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger.open(
            Path(folder) / "ledger.jsonl", vendor="audit", delta=plan.delta, epsilon_budget=2 * design.epsilon
        )
        for number in range(RELEASES):
            release = Release.of(plan, steps=plan.steps, run=f"audit {number}", round=0, purpose="audit", content="")
            ledger.charge(release)
            updates = _train(plan, people, release.stream(rehearsal_key(seed, "audited")), number, make)
            for step, update in enumerate(updates):
                scores += _turn(step, number) * _shares(update.numpy(), flips)
            if progress is not None:
                progress((number + 1) * plan.steps, RELEASES * plan.steps)
        claimed = ledger.epsilon()
    scores *= plan.divisor / plan.clip_norm
    each = (1 + design.confidence) / 2  # of two bounds, either may err
    tossed, never = scores[: design.canaries], scores[design.canaries :]  # a direction nobody has is somebody out
    return CanaryAudit(
        claimed=claimed,
        delta=plan.delta,
        gaussian=gaussian_bound(tossed[included], np.concatenate([tossed[~included], never]), plan.delta, each),
        counting=counting_bound(tossed, included, plan.delta, each),
        limit=expected_epsilon(plan),
        canaries=design.canaries,
        included=int(included.sum()),
        confidence=design.confidence,
        seed=seed,
        seconds=time.monotonic() - started,
    )


def expected_epsilon(plan: PrivacyPlan) -> float:
    """What the Gaussian bound tends to if the mechanism is the plan's: joined steps over the deviation of a score."""
    q, steps = plan.sampling_rate, RELEASES * plan.steps
    deviation = math.sqrt(steps * (plan.noise_multiplier**2 + q * (1 - q)))
    return gaussian_epsilon(steps * q / deviation, plan.delta)


def _train(
    plan: PrivacyPlan, people: dict[str, Tensor], streams: KeyedStream, number: int, make: MakePrivate | None
) -> list[Tensor]:
    """The noised means of every step of a release, as an ordinary loop over the private triple gives them."""

    def draw(person: str, step: int, stream: KeyedStream) -> Tensor:
        del stream
        loud = LOUDNESS * plan.clip_norm / math.sqrt(2) * _turn(step, number)
        return (loud * people[person]).expand(plan.windows_per_person, -1)

    gauge = Gauge(len(next(iter(people.values()))))
    recorder = Recorder(gauge)
    module, optimizer, loader = (make or mechanism.make_private)(
        gauge,
        recorder,
        plan,
        people=sorted(people),
        draw=draw,
        collate=torch.stack,
        streams=streams,
        steps=range(plan.steps),
        micro_batch=MICRO_BATCH,
        learning_rate=lambda _: 1.0,
    )
    for batch in loader:
        optimizer.zero_grad()
        module(batch).mean().backward()
        optimizer.step()
    return recorder.updates


def _direction(i: int, flips: NDArray[np.float64]) -> Tensor:
    """The i-th of a set of vectors of norm 1 at right angles: a cosine with the signs of its entries flipped."""
    unit = np.zeros(len(flips))
    unit[i] = 1.0
    return torch.from_numpy((flips * idct(unit, norm="ortho")).astype(np.float32))


def _shares(update: NDArray[np.float64], flips: NDArray[np.float64]) -> NDArray[np.float64]:
    """An update's inner product with every person's direction, [half]."""
    half = len(flips)
    both = (update[:half] - update[half:]) / math.sqrt(2)
    return np.asarray(dct(flips * both, norm="ortho"), dtype=np.float64)


def _turn(step: int, number: int) -> int:
    """The sign of everybody's direction at a step of a release."""
    return 1 if (step + number) % 2 == 0 else -1
