"""The lean decoder against the papers': same encoder, people, windows, masks and steps; loss and time side by side.

    python benchmarks/decoders.py [--steps N] [--seeds N] [--minutes 300] [--json]

Both are trained from the same seed on the same batches and scored on held-out people. Time is CPU time of the training
steps, interleaved in blocks, so that a busy machine is busy for both. Also shown: the lean decoder without anchors.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from federated.study.records import commit, machine
from model.autoencoder import SIZES, MaskedAutoencoder
from model.training import TrainingPlan, adamw, batches, run_steps, validation_loss
from model.windows import Days, Normaliser
from simulator.cohort import Cohort
from simulator.population import POPULATIONS

BLOCK_STEPS = 10
VARIANTS: dict[str, dict[str, Any]] = {
    "lean": {"decoder": "lean"},
    "full (papers')": {"decoder": "full"},
    "lean, no anchors": {"decoder": "lean", "anchor_minutes": ()},
    "full, no anchors": {"decoder": "full", "anchor_minutes": ()},
}


def cohort(people: int, first: int) -> Cohort:
    """People of the paper's mix; held-out ones come after."""
    return Cohort(population=POPULATIONS["lsm1"], people=people, days=1, seed=1, first_person=first, with_truth=False)


def compare(size: str, minutes: int, plan: TrainingPlan, seed: int, train: Days, held_out: Days) -> dict[str, Any]:
    """Train all variants in turns of ``BLOCK_STEPS`` steps; held-out loss and CPU seconds a step of each."""
    shapes = {name: replace(SIZES[size], window_minutes=minutes, **options) for name, options in VARIANTS.items()}
    models = {name: MaskedAutoencoder(shape, seed) for name, shape in shapes.items()}
    optimisers = {name: adamw(model, plan) for name, model in models.items()}
    seconds = dict.fromkeys(models, 0.0)
    for start in range(0, plan.steps, BLOCK_STEPS):
        steps = range(start, min(start + BLOCK_STEPS, plan.steps))
        for name, model in models.items():
            began = time.process_time()
            loader = batches(train, model.architecture, plan, seed, steps, optimisers[name])
            run_steps(model, optimisers[name], loader, plan.clip_norm)
            seconds[name] += time.process_time() - began
    losses = {name: validation_loss(model, held_out, plan, seed=0, n_batches=12) for name, model in models.items()}
    return {"loss": losses, "cpu_seconds_a_step": {name: s / plan.steps for name, s in seconds.items()}}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="xxs")
    parser.add_argument("--minutes", type=int, default=300)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--batch-windows", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--people", type=int, default=150)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    people = list(cohort(asked.people, 0))
    normaliser = Normaliser.fit(people)
    train, held_out = Days.load(people, normaliser), Days.load(cohort(40, asked.people), normaliser)
    plan = TrainingPlan(steps=asked.steps, batch_windows=asked.batch_windows, learning_rate=3e-3)
    runs = [compare(asked.size, asked.minutes, plan, seed, train, held_out) for seed in range(asked.seeds)]
    losses = {name: [run["loss"][name] for run in runs] for name in VARIANTS}
    times = {name: float(np.median([run["cpu_seconds_a_step"][name] for run in runs])) for name in VARIANTS}
    record = {
        "asked": vars(asked),
        "loss": losses,
        "cpu_seconds_a_step": times,
        "commit": commit(),
        "machine": machine(),
    }
    if asked.json:
        sys.stdout.write(json.dumps(record) + "\n")
        return 0
    sys.stdout.write(
        f"{'decoder':18s} {'held-out loss':>14s} {'range over seeds':>20s} {'CPU s/step':>11s} {'x lean':>7s}\n"
    )
    for name in VARIANTS:
        span = f"{min(losses[name]):.3f} to {max(losses[name]):.3f}"
        ratio = times[name] / times["lean"]
        sys.stdout.write(f"{name:18s} {np.mean(losses[name]):14.3f} {span:>20s} {times[name]:11.3f} {ratio:7.2f}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
