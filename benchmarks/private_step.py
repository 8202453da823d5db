"""What a private step costs over the same step without privacy: time and memory, side by side.

    python -m benchmarks.private_step [--sizes xxs xs s] [--tokens 180 750 1500] [--turns 9] [--json]

Every variant takes steps over the same people, windows and masks: draw and collate, forward, backward, update. The
private ones also clip each person, add noise and divide. Time is the median and the least CPU time of a step, all
variants taking turns step by step in one process with one thread, so that a busy machine is busy for all; where other
work shares the caches, the least says more. Memory is of a process of its own for each variant: the largest resident
set over two steps, and how much of it came after the model and data were there.

Variants: ``none`` is not private. ``keep`` and ``recompute`` are the two ways of ``privacy/person_gradients.py``,
``auto`` chooses between them, and ``grid`` is ``auto`` with sums and noise as integers (rule R16). Not offered, for
comparison: ``hooks`` is Opacus' hooks and float64 copies, as this project had them at first; ``ghost`` takes norms from
Gram matrices and clips within one summed product. Functional transforms (vmap of grad) cannot run this model, whose
sequence lengths follow from what is seen.

Tokens are the places of a window: 26 signals by 7, 29 and 58 patches of ten minutes are 182, 754 and 1,508. The values
are random and all there, of which no time depends.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from model.autoencoder import SIZES, MaskedAutoencoder
from model.masking import MaskMix, draw_masks
from model.windows import Batch
from privacy import mechanism
from privacy.mechanism import PrivateOptimizer
from privacy.noise import KeyedStream
from privacy.person_gradients import Factors, PersonGradients, in_blocks
from privacy.plan import PrivacyPlan
from simulator.signals import N_SIGNALS

MINUTES = {180: 70, 750: 290, 1500: 580}  # of a window of so many tokens, about
PEOPLE = {180: 32, 750: 16, 1500: 8}  # of a step
WINDOWS = 2  # of a person
VARIANTS = ("none", "keep", "recompute", "auto", "grid", "hooks", "ghost")


class OpacusHooks:
    """Stands in for `PersonGradients`."""

    def __init__(self, module: nn.Module, mode: str) -> None:
        from opacus.grad_sample.grad_sample_module import GradSampleHooks

        del mode
        self._module = module
        self._hooks = GradSampleHooks(module, batch_first=True, loss_reduction="mean", strict=True)

    def begin(self) -> None:
        """Forget the last pass."""
        for parameter in self._module.parameters():
            parameter.grad_sample = None  # type: ignore[attr-defined]

    zero = begin

    def of(self, parameter: Tensor) -> Tensor:
        """Where Opacus puts it."""
        return parameter.grad_sample  # type: ignore[attr-defined, no-any-return]

    def detach(self) -> None:
        """Take the hooks off."""
        self._hooks.cleanup()


def step_with_copies(self: Any, closure: Any = None) -> None:
    """`PrivateOptimizer.step` as it was first: all gradients once more in float64."""
    del closure
    gradients = {name: self._person_gradients(name, p) for name, p in self._parameters.items()}
    squares = [g.flatten(1).to(torch.float64).square().sum(1) for g in gradients.values()]
    scales = self._plan.clip_norm / torch.stack(squares).sum(0).sqrt().clamp(min=self._plan.clip_norm)
    for name, gradient in gradients.items():
        self._sums[name] += torch.tensordot(scales, gradient.to(torch.float64), dims=1)
    self._awaited = None
    self.zero_grad()


def step_by_ghosts(self: Any, closure: Any = None) -> None:
    """Norms of Linear weights by Gram matrices, their sum as one product; float32, so the bound holds less exactly."""
    del closure
    gradients = {name: self._person_gradients(name, p) for name, p in self._parameters.items()}
    squares = []
    for gradient in gradients.values():
        if isinstance(gradient, Factors):
            ((x, g),) = gradient._uses
            squares.append((torch.bmm(x, x.transpose(1, 2)) * torch.bmm(g, g.transpose(1, 2))).sum((1, 2)).double())
        else:
            squares.append(torch.cat([block.square().sum(1) for _, block in in_blocks(gradient)]))
    scales = self._plan.clip_norm / torch.stack(squares).sum(0).clamp(min=0).sqrt().clamp(min=self._plan.clip_norm)
    for name, gradient in gradients.items():
        if isinstance(gradient, Factors):
            ((x, g),) = gradient._uses
            self._sums[name] += (g * scales.to(g.dtype)[:, None, None]).flatten(0, 1).t() @ x.flatten(0, 1)
        else:
            mechanism.add_weighted(self._sums[name], gradient, scales)
    self._awaited = None
    self.zero_grad()


def collate(people: list[Batch]) -> Batch:
    """People as the first dimension."""
    return Batch(*(torch.stack([getattr(person, field.name) for person in people]) for field in fields(Batch)))


def random_people(size: str, tokens: int) -> tuple[MaskedAutoencoder, list[Batch]]:
    """A model, and two windows of each person with masks."""
    architecture = replace(SIZES[size], window_minutes=MINUTES[tokens])
    rng = np.random.default_rng(1)
    people = []
    for _ in range(PEOPLE[tokens]):
        values = torch.from_numpy(rng.normal(size=(WINDOWS, N_SIGNALS, architecture.window_minutes)).astype(np.float32))
        hidden = torch.from_numpy(draw_masks(MaskMix(), architecture.grid, WINDOWS, rng))
        slot = torch.zeros(WINDOWS, dtype=torch.long)
        people.append(Batch(values, torch.ones_like(values, dtype=torch.bool), slot, hidden))
    return MaskedAutoencoder(architecture, 1), people


def stepping(variant: str, size: str, tokens: int) -> Iterator[None]:
    """Takes a step whenever it is asked for the next."""
    model, people = random_people(size, tokens)
    wrapped = torch.optim.SGD(model.parameters(), lr=1e-3)
    if variant == "none":
        while True:
            wrapped.zero_grad()
            model(collate(people)).mean().backward()
            wrapped.step()
            yield
    plan = PrivacyPlan(
        noise_multiplier=1.0,
        clip_norm=0.05,
        sampling_rate=1.0,
        nominal_people=len(people),
        steps=10**6,
        windows_per_person=WINDOWS,
        delta=1e-5,
        epsilon_budget=float("inf"),
        arithmetic="grid" if variant == "grid" else "float",
    )
    named = {f"p{i}": person for i, person in enumerate(people)}
    made = PersonGradients if variant != "hooks" else OpacusHooks
    vars(mechanism)["PersonGradients"] = made
    module, optimizer, loader = mechanism.make_private(
        model,
        wrapped,
        plan,
        people=list(named),
        draw=lambda person, step, stream: named[person],
        collate=collate,
        streams=KeyedStream(bytes(32), "benchmark"),
        steps=range(10**6),
        micro_batch=len(people),
        learning_rate=lambda _: 1e-3,
        mode={"keep": "keep", "recompute": "recompute", "ghost": "recompute"}.get(variant, "auto"),  # type: ignore[arg-type]
    )
    vars(mechanism)["PersonGradients"] = PersonGradients
    gather: Callable[[PrivateOptimizer], None] = {"hooks": step_with_copies, "ghost": step_by_ghosts}.get(
        variant, PrivateOptimizer.step
    )
    for number, batch in enumerate(loader):
        if number:
            yield  # the step before was closed on the way here
        optimizer.zero_grad()
        module(batch).mean().backward()
        gather(optimizer)


def resident_mb(which: str) -> float:
    """This process's resident set, ``VmRSS`` now or ``VmHWM`` at its largest; rusage would count its parent's, too."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(which)) / 1024


def memory(variant: str, size: str, tokens: int) -> dict[str, float]:
    """Largest resident set of this process over two steps, and what was there before them."""
    if variant == "hooks":
        import opacus  # noqa: F401 - its code is no memory of a step
    next(stepping(variant, "xxs", 180))  # libraries load their code and get their buffers
    steps = stepping(variant, size, tokens)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the largest resident set is that from now on
    before = resident_mb("VmRSS")
    next(steps)
    next(steps)
    return {"peak_mb": resident_mb("VmHWM"), "before_mb": before}


def measure(size: str, tokens: int, variants: tuple[str, ...], turns: int) -> dict[str, Any]:
    """Median CPU seconds a step of each variant, and its memory."""
    steps = {variant: stepping(variant, size, tokens) for variant in variants}
    seconds: dict[str, list[float]] = {variant: [] for variant in variants}
    for turn in range(turns + 1):
        for variant in variants:
            began = time.process_time()
            next(steps[variant])
            if turn:  # the first is for warming up
                seconds[variant].append(time.process_time() - began)
    found: dict[str, Any] = {"size": size, "tokens": tokens, "people": PEOPLE[tokens], "windows": WINDOWS}
    found["cpu_seconds"] = {variant: statistics.median(each) for variant, each in seconds.items()}
    found["least_cpu_seconds"] = {variant: min(each) for variant, each in seconds.items()}
    found["memory"] = {}
    for variant in variants:
        asked = [sys.executable, "-m", "benchmarks.private_step", "--memory-of", variant, size, str(tokens)]
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
        found["memory"][variant] = json.loads(done.stdout)
    return found


def as_text(rows: list[dict[str, Any]]) -> Iterator[str]:
    """One line a size, number of tokens and variant."""
    heads = ("CPU s/step", "x none", "least", "x none", "peak MB", "x none", "own MB", "x none")
    yield f"{'size':5s} {'tokens':>6s} {'variant':10s} " + " ".join(f"{head:>10s}" for head in heads)
    for row in rows:
        base = row["memory"]["none"]
        for variant, seconds in row["cpu_seconds"].items():
            used = row["memory"][variant]
            own, own_base = used["peak_mb"] - used["before_mb"], base["peak_mb"] - base["before_mb"]
            yield (
                f"{row['size']:5s} {row['tokens']:6d} {variant:10s} {seconds:10.3f} "
                f"{seconds / row['cpu_seconds']['none']:10.2f} {row['least_cpu_seconds'][variant]:10.3f} "
                f"{row['least_cpu_seconds'][variant] / row['least_cpu_seconds']['none']:10.2f} {used['peak_mb']:10.0f} "
                f"{used['peak_mb'] / base['peak_mb']:10.2f} {own:10.0f} {own / own_base:10.2f}"
            )


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["xxs", "xs", "s"], choices=SIZES)
    parser.add_argument("--tokens", nargs="+", type=int, default=list(MINUTES), choices=list(MINUTES))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--memory-of", nargs=3, metavar=("VARIANT", "SIZE", "TOKENS"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.memory_of:
        variant, size, tokens = asked.memory_of
        sys.stdout.write(json.dumps(memory(variant, size, int(tokens))) + "\n")
        return 0
    variants = tuple(dict.fromkeys(["none", *asked.variants]))
    rows = [measure(size, tokens, variants, asked.turns) for size in asked.sizes for tokens in asked.tokens]
    if asked.json:
        from federated.study.records import commit, machine  # here, since it loads much that a step does not need

        record = {
            "asked": {**vars(asked), "variants": variants},
            "rows": rows,
            "commit": commit(),
            "machine": machine(),
        }
        sys.stdout.write(json.dumps(record) + "\n")
    else:
        sys.stdout.write("\n".join(as_text(rows)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
