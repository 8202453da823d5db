"""A tiny model and a few people for the tests of the privacy room, and one plain way to train them privately."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privacy import mechanism
from privacy.noise import KeyedStream
from privacy.plan import PrivacyPlan

KEY = bytes(range(32))
LENGTH, WIDTH = 5, 3  # of a window


class Tiny(nn.Module):
    """One of each layer of the real model: embedding of places, norm, linear, attention; a loss per window."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.embed = nn.Linear(WIDTH, 4)
            self.place = nn.Embedding(LENGTH, 4)
            self.norm = nn.LayerNorm(4)
            self.query = nn.Linear(4, 4)
            self.head = nn.Linear(4, WIDTH)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        """[people, windows, LENGTH, WIDTH] -> [people, windows]."""
        places = torch.arange(LENGTH).repeat(*x.shape[:2], 1)
        h = self.norm(self.embed(x) + self.place(places))
        attended = F.scaled_dot_product_attention(self.query(h), h, h)
        loss: Tensor = (self.head(attended) - x).square().mean((2, 3))
        return loss


class Wide(nn.Module):
    """Many parameters and next to no work: for the statistics of the noise."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, 5000).double()
        self.second = nn.Linear(WIDTH, 5000).double()

    def forward(self, x: Tensor) -> Tensor:
        loss: Tensor = (self.first(x) * self.second(x)).mean((2, 3))
        return loss


def make_plan(**changes: Any) -> PrivacyPlan:
    """A plan without noise that clips nearly everybody, with some fields changed."""
    facts: dict[str, Any] = {
        "noise_multiplier": 0.0,
        "clip_norm": 0.05,
        "sampling_rate": 0.5,
        "nominal_people": 16,
        "steps": 100,
        "windows_per_person": 2,
        "delta": 1e-3,
        "epsilon_budget": 8.0,
    }
    return PrivacyPlan(**{**facts, **changes})


def make_people(n: int, seed: int = 0) -> dict[str, Tensor]:
    """Windows [8, LENGTH, WIDTH] of ``n`` people; person i is the same whatever ``n`` is."""
    generator = torch.Generator()
    people = {}
    for i in range(n):
        generator.manual_seed(seed * 1000 + i)
        people[f"p{i}"] = torch.randn(8, LENGTH, WIDTH, generator=generator, dtype=torch.float64)
    return people


def own_windows(people: Mapping[str, Tensor], k: int) -> Any:
    """A ``draw`` that gives a person ``k`` windows by the person's own stream."""

    def draw(person: str, step: int, stream: KeyedStream) -> Tensor:
        del step
        return people[person][torch.from_numpy(stream.choice(len(people[person]), k))]

    return draw


def triple(module: nn.Module, plan: PrivacyPlan, data: Mapping[str, Tensor], **changes: Any) -> Any:
    """What `make_private` gives for plain gradient descent at rate 1 over the plan's first step."""
    arguments: dict[str, Any] = {
        "people": list(data),
        "draw": own_windows(data, plan.windows_per_person),
        "collate": torch.stack,
        "streams": KeyedStream(KEY, "toy"),
        "steps": range(1),
        "micro_batch": 3,
        "learning_rate": lambda _: 1.0,
    }
    arguments |= changes
    optimizer = arguments.pop("optimizer", None) or torch.optim.SGD(module.parameters(), lr=1.0)
    return mechanism.make_private(module, optimizer, plan, **arguments)


def loop(module: nn.Module, optimizer: torch.optim.Optimizer, loader: Any) -> None:
    """The loop that everybody writes."""
    for batch in loader:
        optimizer.zero_grad()
        module(batch).mean().backward()
        optimizer.step()


def update(module: nn.Module, plan: PrivacyPlan, data: Mapping[str, Tensor], **changes: Any) -> Tensor:
    """How far private training moved the parameters downhill, flat."""
    before = flat(module)
    loop(*triple(module, plan, data, **changes))
    return before - flat(module)


def flat(module: nn.Module) -> Tensor:
    """All parameters as one vector."""
    return torch.cat([p.detach().clone().flatten() for p in module.parameters()])
