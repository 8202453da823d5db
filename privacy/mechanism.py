"""From a plan to private training: a (module, optimiser, loader) triple that an ordinary training loop can use.

`make_private` takes an ordinary triple's parts and returns one that trains under person-level differential privacy.
The loop does not change and cannot break the guarantee; it never sees the noise, an empty step or who is drawn:

    for batch in loader:
        optimizer.zero_grad()
        module(batch).mean().backward()      # the module returns one loss per window, [people, windows]
        optimizer.step()

The protocol. The *loader* walks through the public range of steps. For each it draws the people (Poisson: everybody by
a coin of their own), hands out their windows in micro-batches, and then closes the step. The optimiser's ``step`` only
gathers: it clips every person's gradient and adds it to the step's sum. Closing adds the noise, once, divides by the
public constant and lets the wrapped optimiser move the parameters. A step that drew nobody is closed like any other,
noise and all (rule R4), and the loop never hears of it. So the loop runs once per micro-batch, a number that depends
on secret draws and must not be what a schedule counts: the learning rate is a public function of the step's number
that closing applies, also to a step that the loop never saw (rule R2).

The update is exactly ``(sum_p clip(g_p, C) + N(0, (sigma C)^2 I)) / (q * nominal_people)``, where ``g_p`` is the
gradient of person p's mean loss (``privacy/person_gradients.py``). Clipping, the sum and the noise are in float64; the
result is rounded to the parameter's type.

With the plan's arithmetic "grid" (rule R16) the sum holds integers only, in units of ``C / GRID``. A person is clipped
to ``C (1 - sqrt(numbers) / (2 GRID) - 1e-6)`` and rounded to the grid, which moves every number by at most half a unit
and so the norm by at most ``sqrt(numbers) / 2`` units: it stays below ``GRID``. That is looked at again in integers,
and whoever were beyond would count as zero, so that the sensitivity rests on no floating-point argument. Noise is a
Gaussian of deviation ``sigma GRID`` rounded to integers, exactly (``privacy/noise.py``), hence the accounted event is
the same. Integers are held in float64, which adds them exactly below 2**53.

``C`` is a public constant: there is no adaptive clipping, which would need a
count of its own in the ledger (rule R14).

Why not Opacus' `make_private` and optimiser: they take rate and divisor from the private count (rule R2), let one
person's NaN into every weight (R5), draw noise from a generator that cannot repeat a step after a crash (R6, R19), and
work out every gradient of a weight twice.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from privacy.noise import KeyedStream
from privacy.person_gradients import Mode, PersonGradient, PersonGradients, check_module, in_blocks
from privacy.plan import PrivacyError, PrivacyPlan

GRID: Final = 2**20  # steps of the grid in a clip norm
GRID_SLACK: Final = 1e-6  # share of the clip norm left for what float64 does to a norm, which is far less
GRID_NOISE: Final = 1e4  # largest noise multiplier on the grid; sums stay far below 2**53

Item = TypeVar("Item")  # one person's windows
Batch = TypeVar("Batch")  # several people's, as the module takes them


def make_private(
    module: nn.Module,
    optimizer: Optimizer,
    plan: PrivacyPlan,
    *,
    people: Sequence[str],
    draw: Callable[[str, int, KeyedStream], Item | None],
    collate: Callable[[list[Item]], Batch],
    streams: KeyedStream,
    steps: range,
    micro_batch: int,
    learning_rate: Callable[[int], float],
    frozen: Mapping[str, Tensor] | None = None,
    mode: Mode = "auto",
) -> tuple[nn.Module, "PrivateOptimizer", "PersonLoader[Item, Batch]"]:
    """A triple that trains ``module`` under ``plan`` in an ordinary loop.

    Args:
        module: Returns a loss per window, [people, windows]. The first axis of every layer's input is the person. It
            is returned itself, and leaves person gradients until the loader is through; its state dict does not change.
        optimizer: Of exactly the module's trainable parameters; it only ever sees noised gradients.
        plan: Public facts.
        people: Identifiers of the vendor's people. Order and number influence nothing that is public.
        draw: ``draw(person, step, stream)`` gives the person's ``k`` windows, as a function of this person's data
            alone, or None if the person has none to give.
        collate: Puts people together.
        streams: The release's randomness, as `Release.stream` gives it.
        steps: Which of the plan's steps to take.
        micro_batch: People per forward pass; changes memory and nothing else.
        learning_rate: The wrapped optimiser's learning rate at each step, a public schedule.
        frozen: By parameter name, a boolean tensor of the parameter's shape: True where the vendor's public schema
            (sensors that it lacks) keeps the entry as it is, without gradient and without noise.
        mode: How person gradients are held, see `PersonGradients`; changes memory and time only.

    Raises:
        PrivacyError: If the parts do not fit together or the module mixes people.
    """
    if len(set(people)) != len(people):
        raise PrivacyError(f"{len(people) - len(set(people))} of {len(people)} people are listed twice")
    if micro_batch < 1:
        raise PrivacyError(f"{micro_batch=} is not at least 1")
    if steps.step != 1 or steps.start < 0 or steps.stop > plan.steps:
        raise PrivacyError(f"{steps=} does not lie in the plan's range(0, {plan.steps})")
    if plan.most_people and len(people) > plan.nominal_people:
        raise PrivacyError(
            f"{len(people)} people are more than the plan's nominal_people={plan.nominal_people}: truncation to "
            f"most_people={plan.most_people} is counted for at most so many"
        )
    check_module(module)
    private_optimizer = PrivateOptimizer(module, optimizer, plan, streams, learning_rate, frozen or {}, mode)
    loader = PersonLoader(private_optimizer, plan, people, draw, collate, streams, steps, micro_batch)
    return module, private_optimizer, loader


class PersonLoader(Generic[Item, Batch]):
    """Iterates once over a range of private steps: draws people, yields their micro-batches, closes each step."""

    def __init__(
        self,
        optimizer: "PrivateOptimizer",
        plan: PrivacyPlan,
        people: Sequence[str],
        draw: Callable[[str, int, KeyedStream], Item | None],
        collate: Callable[[list[Item]], Batch],
        streams: KeyedStream,
        steps: range,
        micro_batch: int,
    ) -> None:
        """See `make_private`."""
        self._optimizer = optimizer
        self._rate = plan.sampling_rate
        self._most = plan.most_people or len(people)
        self._people = people
        self._draw = draw
        self._collate = collate
        self._streams = streams
        self._steps = steps
        self._micro_batch = micro_batch
        self._begun = False

    def __iter__(self) -> Iterator[Batch]:
        """Yields micro-batches, and closes each step behind its last one.

        Raises:
            RuntimeError: The second time: it would put the same noise on other gradients, which reveals them.
        """
        if self._begun:
            raise RuntimeError("a private loader gives each step once; make a new triple for new steps")
        self._begun = True
        try:
            for step in self._steps:
                for items in self._micro_batches(step):
                    self._optimizer.expect(len(items))
                    yield self._collate(items)
                self._optimizer.close_step(step)
        finally:
            self._optimizer.release_module()

    def joining(self, step: int) -> list[str]:
        """Who is in ``step``: each person independently with probability ``q``, by a coin named after the person.

        The coin knows neither the person's place in the list nor the other people, so one person more or less changes
        nobody else's draws (rules R1 and R3). Of more than ``most_people``, that many stay by lots, which are coins of
        another kind: a uniformly random subset, in which one person more pushes out one at most.
        """
        coins = self._streams.child("join", step)
        joining = [person for person in self._people if coins.chance(person) < self._rate]
        if len(joining) > self._most:
            lots = self._streams.child("stay", step)
            staying = set(sorted(joining, key=lots.chance)[: self._most])
            joining = [person for person in joining if person in staying]
        return joining

    def _micro_batches(self, step: int) -> Iterator[list[Item]]:
        joining = self.joining(step)
        for start in range(0, len(joining), self._micro_batch):
            chunk = joining[start : start + self._micro_batch]
            drawn = [self._draw(person, step, self._streams.child("windows", step, person)) for person in chunk]
            items = [item for item in drawn if item is not None]
            if items:
                yield items


class PrivateOptimizer(Optimizer):
    """Gathers clipped person gradients and, when the loader closes a step, moves the parameters by their noised sum.

    Learning-rate schedulers and checkpoints see the wrapped optimiser's groups and state.

    Attributes:
        steps_taken: Steps closed so far; public.
    """

    def __init__(
        self,
        module: nn.Module,
        optimizer: Optimizer,
        plan: PrivacyPlan,
        streams: KeyedStream,
        learning_rate: Callable[[int], float],
        frozen: Mapping[str, Tensor],
        mode: Mode = "auto",
    ) -> None:
        """See `make_private`; `Optimizer.__init__` is left out because the wrapped optimiser holds groups and state."""
        self.steps_taken = 0
        self._wrapped = optimizer
        self._plan = plan
        self._streams = streams
        self._learning_rate = learning_rate
        self._parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self._check_same_parameters()
        self._frozen = self._checked_masks(frozen)
        self._sums = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in self._parameters.items()}
        self._awaited: int | None = None
        self._on_grid = plan.arithmetic == "grid"
        self._unit = plan.clip_norm / GRID if self._on_grid else 1.0  # of the sums
        numbers = sum(p.numel() for p in self._parameters.values())
        if self._on_grid and (room_to_round(numbers) < 0.5 or plan.noise_multiplier > GRID_NOISE):
            raise PrivacyError(
                f"{numbers} numbers and noise_multiplier={plan.noise_multiplier:g} are too much for the grid, "
                f"whose {GRID} steps a clip norm hold {GRID**2} numbers and a noise multiplier of {GRID_NOISE:g}"
            )
        self._clip_norm = plan.clip_norm * (room_to_round(numbers) if self._on_grid else 1.0)
        self._gradients = PersonGradients(module, mode)

    def expect(self, people: int) -> None:
        """Announces a micro-batch of so many people; the loop has to pass it through before anything else happens.

        Raises:
            RuntimeError: If the micro-batch before was left out: leaving people out by what they are is not private.
        """
        self._refuse_leftover()
        self._awaited = people
        self._gradients.begin()

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # it has no loss to give back
        """Gathers the micro-batch's gradients, one a person, each clipped to norm ``C`` as a whole.

        A person with any gradient that is not finite counts as zero (rule R5).

        Raises:
            RuntimeError: If there is no new micro-batch.
            PrivacyError: If a parameter's gradient is not there for each person.
        """
        if closure is not None:
            raise ValueError("a closure would see raw gradients: call backward in the loop")
        if self._awaited is None:
            raise RuntimeError("step() was called without a new batch from the private loader")
        gradients = {name: self._person_gradients(name, p) for name, p in self._parameters.items()}
        scales = clip_scales(gradients.values(), self._clip_norm) / self._unit
        if self._on_grid:
            scales = scales.masked_fill(~within_grid(gradients.values(), scales), 0.0)
        for name, gradient in gradients.items():
            add_weighted(self._sums[name], gradient, scales, self._on_grid)
        self._awaited = None
        self._gradients.begin()

    def close_step(self, step: int) -> None:
        """Adds the step's noise to the sum, divides by the public constant, and moves the parameters."""
        self._refuse_leftover()
        kept = {name: self._parameters[name].detach().clone() for name in self._frozen}
        for name, parameter in self._parameters.items():
            total = (self._sums[name] + self._noise(step, name)) * self._unit / self._plan.divisor
            if name in self._frozen:
                total = total.masked_fill(self._frozen[name], 0.0)
            parameter.grad = total.to(parameter.dtype)
            self._sums[name].zero_()
        for group in self._wrapped.param_groups:
            group["lr"] = self._learning_rate(step)
        self._wrapped.step()
        self._wrapped.zero_grad()
        with torch.no_grad():
            for name, before in kept.items():  # weight decay moves entries without a gradient, too
                self._parameters[name].copy_(torch.where(self._frozen[name], before, self._parameters[name]))
        self.steps_taken += 1

    def release_module(self) -> None:
        """Makes the module an ordinary one again."""
        self._gradients.detach()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the last backward pass; what was gathered for the step stays."""
        self._gradients.zero()
        self._wrapped.zero_grad(set_to_none)

    def _noise(self, step: int, name: str) -> Tensor:
        """Gaussian noise for one parameter's sum, float64, at an address that no other parameter or step has.

        In the sum's units: integers on the grid.
        """
        parameter = self._parameters[name]
        stream = self._streams.child("noise", step, name)
        if self._on_grid:
            steps = stream.rounded_normal(parameter.numel(), self._plan.noise_multiplier * GRID)
            draws = torch.from_numpy(steps).to(torch.float64)
        else:
            scale = self._plan.noise_multiplier * self._plan.clip_norm
            draws = scale * torch.from_numpy(stream.normal(parameter.numel()))
        return draws.view(parameter.shape).to(parameter.device)

    def _person_gradients(self, name: str, parameter: nn.Parameter) -> PersonGradient:
        """One parameter's gradients, [people, *shape], zero where frozen."""
        gradient = self._gradients.of(parameter)
        frozen = self._frozen.get(name)
        expected = (self._awaited, *parameter.shape)
        if gradient is None and frozen is not None and bool(frozen.all()):
            return parameter.new_zeros(expected)
        if gradient is None:
            raise PrivacyError(f"{name} got no gradient in exactly one backward pass: is it used in every one?")
        if tuple(gradient.shape) != expected:
            raise PrivacyError(
                f"{name} has person gradients of shape {list(gradient.shape)}, expected {list(expected)}"
            )
        return gradient if frozen is None else gradient.masked_fill_(frozen, 0.0)

    def _refuse_leftover(self) -> None:
        if self._awaited is not None:
            raise RuntimeError(f"a batch of {self._awaited} people was not passed to optimizer.step()")

    def _check_same_parameters(self) -> None:
        held = {id(p) for group in self._wrapped.param_groups for p in group["params"] if p.requires_grad}
        missing = [name for name, p in self._parameters.items() if id(p) not in held]
        if missing:
            raise PrivacyError(f"{missing[0]} is trainable but not in the optimiser")
        if len(held) != len(self._parameters):
            raise PrivacyError(f"the optimiser holds {len(held) - len(self._parameters)} parameters not in the module")

    def _checked_masks(self, frozen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        masks = {}
        for name, mask in frozen.items():
            if name not in self._parameters:
                raise PrivacyError(f"frozen names {name!r}, which is no trainable parameter")
            parameter = self._parameters[name]
            if mask.dtype != torch.bool or mask.shape != parameter.shape:
                raise PrivacyError(
                    f"the frozen mask of {name} is {mask.dtype} {list(mask.shape)}, "
                    f"expected torch.bool {list(parameter.shape)}"
                )
            masks[name] = mask.to(parameter.device)
        return masks

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The wrapped optimiser's groups."""
        return self._wrapped.param_groups

    @property
    def state(self) -> Any:  # type: ignore[override]
        """The wrapped optimiser's state."""
        return self._wrapped.state

    @property
    def defaults(self) -> dict[str, Any]:  # type: ignore[override]
        """The wrapped optimiser's defaults."""
        return self._wrapped.defaults

    def state_dict(self) -> dict[str, Any]:
        """The wrapped optimiser's state: made from noised gradients only, so post-processing."""
        return self._wrapped.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the wrapped optimiser's state."""
        self._wrapped.load_state_dict(state_dict)


def room_to_round(numbers: int) -> float:
    """The share of the clip norm to which people are clipped on the grid, so that rounding so many stays within it."""
    return 1 - math.sqrt(numbers) / (2 * GRID) - GRID_SLACK


def clip_scales(gradients: Iterable[PersonGradient], clip_norm: float) -> Tensor:
    """What each person's gradient is to be multiplied by so that its norm is at most ``clip_norm``.

    Args:
        gradients: One a parameter, [people, *shape]; the norm runs over all of them together.
        clip_norm: ``C``.

    Returns:
        float64 [people] in [0, 1]; 0 for a person with any value that is not finite.
    """
    squares = []
    for gradient in gradients:
        norms = [torch.linalg.vector_norm(block, dim=1) for _, block in in_blocks(gradient)]
        squares.append(torch.cat(norms).square() if norms else torch.zeros(0, dtype=torch.float64))
    square = torch.stack(squares).sum(0)
    return torch.where(square.isfinite(), clip_norm / square.sqrt().clamp(min=clip_norm), 0.0)


def within_grid(gradients: Iterable[PersonGradient], scales: Tensor) -> Tensor:
    """Whose rounded ``scales[p] gradient[p]`` has a norm of at most ``GRID``, bool [people].

    Squares of integers up to 2**20 add up exactly in float64 as long as the answer can be yes.
    """
    square = torch.zeros_like(scales)
    for gradient in gradients:
        for people, block in in_blocks(gradient):
            square[people] += block.mul_(scales[people][:, None]).round_().square_().sum(1)
    return square <= GRID**2  # what is not finite is not


def add_weighted(total: Tensor, gradient: PersonGradient, scales: Tensor, rounded: bool = False) -> None:
    """Adds ``sum_p scales[p] gradient[p]`` to the float64 ``total``; people of scale 0 are not looked at.

    With ``rounded`` each person's part is rounded to integers first.
    """
    flat, everybody = total.view(-1), bool((scales > 0).all())
    for people, block in in_blocks(gradient):
        weight = scales[people]
        if not everybody:  # 0 times a value that is not finite would not be 0
            weight, block = weight[weight > 0], block[weight > 0]
        if rounded:
            flat += block.mul_(weight[:, None]).round_().sum(0)
        else:
            flat.addmv_(block.t(), weight)
