"""Faults that real systems had, each planted in the privacy room for the length of one test.

Every function takes pytest's monkeypatch and breaks one rule; ``tests/test_rules.py`` says which check has to see it.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from typing import Any

import pytest
import torch
from dp_accounting.pld import privacy_loss_distribution as pld
from torch import Tensor

from privacy import ledger as ledger_module
from privacy import mechanism, noise, plan
from privacy.ledger import Ledger
from privacy.mechanism import PersonLoader, PrivateOptimizer
from privacy.noise import KeyedStream
from privacy.plan import PrivacyPlan, gaussian_event


def clip_each_window(patch: pytest.MonkeyPatch) -> None:
    """Every window is a unit of its own, as in sample-level DP."""
    real = PersonLoader._micro_batches

    def windows(self: Any, step: int) -> Iterator[Any]:
        for items in real(self, step):
            yield [window[None] for item in items for window in item]

    patch.setattr(PersonLoader, "_micro_batches", windows)


def clip_each_parameter(patch: pytest.MonkeyPatch) -> None:
    """Every layer has the whole clip norm to itself."""

    def gather(self: Any) -> None:
        for name, p in self._parameters.items():
            gradient = self._person_gradients(name, p)
            scale = mechanism.clip_scales([gradient], self._plan.clip_norm)
            mechanism.add_weighted(self._sums[name], gradient, scale)
        self._awaited = None
        self._gradients.begin()

    patch.setattr(PrivateOptimizer, "step", gather)


def no_clipping(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        mechanism, "clip_scales", lambda gradients, _: torch.ones(len(next(iter(gradients))), dtype=torch.float64)
    )


def coins_by_place(patch: pytest.MonkeyPatch) -> None:
    """A generator walks through the list of people."""

    def joining(self: Any, step: int) -> list[str]:
        coins = self._streams.child("join", step).uniform(len(self._people))
        return [person for person, coin in zip(self._people, coins, strict=True) if coin < self._rate]

    patch.setattr(PersonLoader, "joining", joining)


def people_listed_twice(patch: pytest.MonkeyPatch) -> None:
    """The list of people is taken as it comes."""
    patch.setattr(mechanism, "set", list, raising=False)


def divisor_from_data(patch: pytest.MonkeyPatch) -> None:
    """Opacus #571 and #819: the divisor is the rate times the number of rows."""
    real = mechanism.make_private

    def make(module: Any, optimizer: Any, planned: PrivacyPlan, **arguments: Any) -> Any:
        made = real(module, optimizer, planned, **arguments)
        counted = {**{f.name: getattr(planned, f.name) for f in fields(planned)}}
        made[1]._plan = PrivacyPlan(**{**counted, "nominal_people": max(1, len(arguments["people"]))})
        return made

    patch.setattr(mechanism, "make_private", make)


def divide_by_batch(patch: pytest.MonkeyPatch) -> None:
    """ViP's code: the realised number of people divides."""
    real_gather, real_close = PrivateOptimizer.step, PrivateOptimizer.close_step

    def gather(self: Any) -> None:
        self.realised = getattr(self, "realised", 0) + self._awaited
        real_gather(self)

    def close(self: Any, step: int) -> None:
        scale = self._plan.divisor / max(1, getattr(self, "realised", 0))
        for group in self._wrapped.param_groups:
            group["lr"] *= scale
        rate, self._learning_rate = self._learning_rate, lambda s: rate(s) * scale
        real_close(self, step)
        self._learning_rate, self.realised = rate, 0

    patch.setattr(PrivateOptimizer, "step", gather)
    patch.setattr(PrivateOptimizer, "close_step", close)


def rate_from_the_loop(patch: pytest.MonkeyPatch) -> None:
    """The learning rate is whatever the loop set last, so it counts micro-batches."""
    real = PrivateOptimizer.close_step

    def close(self: Any, step: int) -> None:
        rate = self._wrapped.param_groups[0]["lr"]
        self._learning_rate = lambda _: rate
        real(self, step)

    patch.setattr(PrivateOptimizer, "close_step", close)


def shuffled_batches(patch: pytest.MonkeyPatch) -> None:
    """Batches of fixed size, accounted as if they were Poisson."""

    def joining(self: Any, step: int) -> list[str]:
        chosen = self._streams.child("join", step).choice(len(self._people), round(self._rate * len(self._people)))
        return [self._people[i] for i in chosen]

    patch.setattr(PersonLoader, "joining", joining)


def another_rate(patch: pytest.MonkeyPatch) -> None:
    """People join more often than is accounted."""
    real = PersonLoader.__init__

    def init(self: Any, *arguments: Any) -> None:
        real(self, *arguments)
        self._rate *= 1.1

    patch.setattr(PersonLoader, "__init__", init)


def the_same_people_every_step(patch: pytest.MonkeyPatch) -> None:
    real = PersonLoader.joining
    patch.setattr(PersonLoader, "joining", lambda self, _: real(self, 0))


def cap_without_event(patch: pytest.MonkeyPatch) -> None:
    """Batches are cut to a largest size, and accounted as if they were plain Poisson."""
    patch.setattr(PrivacyPlan, "truncation", None)


def first_ones_stay(patch: pytest.MonkeyPatch) -> None:
    """``joining[:most]``: whoever stands at the top of the list is hardly sampled at all."""
    real = PersonLoader.joining

    def joining(self: Any, step: int) -> list[str]:
        most, self._most = self._most, len(self._people)
        joined = real(self, step)[:most]
        self._most = most
        return joined

    patch.setattr(PersonLoader, "joining", joining)


def no_noise_when_empty(patch: pytest.MonkeyPatch) -> None:
    """Noise is added to gradients, and without people there are none."""
    real = PrivateOptimizer._noise

    def noise_if_any(self: Any, step: int, name: str) -> Tensor:
        return real(self, step, name) * bool(self._sums[name].any())

    patch.setattr(PrivateOptimizer, "_noise", noise_if_any)


def no_step_when_empty(patch: pytest.MonkeyPatch) -> None:
    real = PrivateOptimizer.close_step

    def close(self: Any, step: int) -> None:
        if any(bool(total.any()) for total in self._sums.values()):
            real(self, step)

    patch.setattr(PrivateOptimizer, "close_step", close)


def clip_without_looking(patch: pytest.MonkeyPatch) -> None:
    """The textbook formula: NaN stays NaN."""

    def gather(self: Any) -> None:
        gradients = {name: self._person_gradients(name, p)[:] for name, p in self._parameters.items()}
        norm = torch.stack([g.flatten(1).square().sum(1) for g in gradients.values()]).sum(0).sqrt()
        scale = (self._plan.clip_norm / norm).clamp(max=1.0)
        for name, gradient in gradients.items():
            self._sums[name] += torch.tensordot(scale, gradient, dims=1)
        self._awaited = None
        self._gradients.begin()

    patch.setattr(PrivateOptimizer, "step", gather)


def leave_out_the_batch(patch: pytest.MonkeyPatch) -> None:
    """``if not loss.isfinite(): continue``: one person decides whether the others count."""
    real = mechanism.clip_scales

    def scales(gradients: Any, clip_norm: float) -> Tensor:
        found = real(gradients, clip_norm)
        return found * bool((found > 0).all())

    patch.setattr(mechanism, "clip_scales", scales)


def the_same_key_for_all(patch: pytest.MonkeyPatch) -> None:
    """Seed 42 everywhere: subtracting two vendors' messages removes the noise."""
    patch.setattr(noise, "new_key", lambda: bytes(32))


def noise_without(part: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Noise whose address leaves out the step, the parameter or the release: restored generators repeat it."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        def repeated(self: Any, step: int, name: str) -> Tensor:
            base = KeyedStream(self._streams._key) if part == "release" else self._streams
            address: tuple[str | int, ...] = (
                "noise",
                *([] if part == "step" else [step]),
                *([] if part == "parameter" else [name]),
            )
            draws = torch.from_numpy(base.child(*address).normal(self._parameters[name].numel()))
            scale = self._plan.noise_multiplier * self._plan.clip_norm
            scaled: Tensor = scale * draws.view(self._parameters[name].shape)
            return scaled

        patch.setattr(PrivateOptimizer, "_noise", repeated)

    return plant


def noise_times(factor: float) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        real = PrivateOptimizer._noise
        patch.setattr(PrivateOptimizer, "_noise", lambda self, step, name: factor * real(self, step, name))

    return plant


def fresh_ledger_each_round(patch: pytest.MonkeyPatch) -> None:
    """Flower's Opacus example: every round begins to count anew."""
    real = Ledger._read

    def read(self: Any, file: Any) -> str:
        last = real(self, file)
        self._entries = ()
        return last

    patch.setattr(Ledger, "_read", read)


def second_life(patch: pytest.MonkeyPatch) -> None:
    """A ledger that is not there is made."""
    patch.setattr(Ledger, "_refuse_second_life", lambda self, begun: begun.unlink(missing_ok=True))


def no_gate(patch: pytest.MonkeyPatch) -> None:
    """Epsilon is counted, and nobody looks."""
    patch.setattr(Ledger, "_epsilon_with", lambda self, release: 0.0)


def federation_of(combine: Callable[[list[float]], float]) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        def wrong(ledgers: list[Ledger], shared_people: bool | int = False) -> float:
            return combine([ledger.epsilon() for ledger in ledgers])

        patch.setattr(ledger_module, "federation_epsilon", wrong)

    return plant


def last_round_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "event", lambda self: self._entries[-1].release.event if self._entries else no_event())


def no_event() -> Any:
    return gaussian_event(1.0, 1.0, 0)


def noise_each_micro_batch(patch: pytest.MonkeyPatch) -> None:
    """Gradient accumulation that adds noise on every backward pass."""
    real = PrivateOptimizer.step

    def gather(self: Any) -> None:
        real(self)
        for name in self._parameters:
            self._sums[name] += self._noise(1_000_000 + self.steps_taken, name)

    patch.setattr(PrivateOptimizer, "step", gather)


def step_each_micro_batch(patch: pytest.MonkeyPatch) -> None:
    real = PrivateOptimizer.step

    def gather(self: Any) -> None:
        real(self)
        self.close_step(0)

    patch.setattr(PrivateOptimizer, "step", gather)


def noise_off_the_grid(patch: pytest.MonkeyPatch) -> None:
    """Integers plus a float: the last bits tell the integers."""

    def noise_in_floats(self: Any, step: int, name: str) -> Tensor:
        parameter = self._parameters[name]
        draws = torch.from_numpy(self._streams.child("noise", step, name).normal(parameter.numel()))
        found: Tensor = self._plan.noise_multiplier * mechanism.GRID * draws.view(parameter.shape)
        return found

    patch.setattr(PrivateOptimizer, "_noise", noise_in_floats)


def no_room_to_round(patch: pytest.MonkeyPatch) -> None:
    """Clip to C, round, and forget that rounding makes longer."""
    patch.setattr(mechanism, "room_to_round", lambda numbers: 1.0)
    patch.setattr(mechanism, "within_grid", lambda gradients, scales: torch.ones_like(scales, dtype=torch.bool))


def gradients_off_the_grid(patch: pytest.MonkeyPatch) -> None:
    real = mechanism.add_weighted
    patch.setattr(
        mechanism, "add_weighted", lambda total, gradient, scales, rounded=False: real(total, gradient, scales)
    )


def accountant_times(name: str, factor: float) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        real = plan.ACCOUNTANTS[name]
        patch.setitem(plan.ACCOUNTANTS, name, lambda rows, delta: factor * real(rows, delta))

    return plant


def rounding_down(patch: pytest.MonkeyPatch) -> None:
    """A privacy loss distribution that is discretised optimistically."""
    for name in ("identity", "from_gaussian_mechanism"):
        optimistic = partial(getattr(pld, name), pessimistic_estimate=False)
        patch.setattr(pld, name, optimistic)
    coarse_grid(patch)


def coarse_grid(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plan, "PLD_CELLS", (50, 0))
