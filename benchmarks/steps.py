"""What a training step costs, and what it learns: ours against the papers', and against a plain transformer.

    python -m benchmarks.steps papers [--size xxs] [--steps 60] [--seeds 2] [--json]
    python -m benchmarks.steps transformer [--size m] [--turns 5] [--json]
    python -m benchmarks.steps additions [--steps 250] [--seeds 2] [--json]
    python -m benchmarks.steps loader [--json]
    python -m benchmarks.steps accelerator [--size lsm1-base] [--json]

``papers``: our step and the papers' (LSM-2: half of the places dropped by number, the rest masked in attention, every
place decoded by self-attention, nothing to start from) with the same encoder, people, windows and masks, on day-long
windows with the gaps of LSM-2's population. Both are scored on the same cells of the same held-out windows: those that
were observed and hidden by the papers' own masks. Reported are CPU seconds a step, the loss after the same number of
steps, and how much time and how many steps ours needs until it is no worse than the papers' at its end.

``transformer``: one step, forward and backward, beside PyTorch's own layers of the same size on the same number of
tokens: an encoder of ``nn.TransformerEncoderLayer``, then as many cross-attending blocks as ours has, made of
``nn.MultiheadAttention`` and the same MLP. (``nn.TransformerDecoderLayer`` would add self-attention between questions,
which ours does not have, and so be easier to keep up with.)

``additions``: what each part adds, five-hour windows, the same CPU seconds each: held-out errors of the papers' tasks.

``loader``: share of a step that making its batch takes. ``accelerator``: on a GPU, the share of the measured rate of
matrix products that a training step in bfloat16 reaches.

Whatever is compared takes turns in one process, so that a busy machine is busy for all; time is CPU time.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from federated.study.records import commit, machine
from model.autoencoder import AIM, SIZES, Architecture, MaskedAutoencoder
from model.evaluation.generative import Task, evaluate
from model.masking import MASKS, draw_masks
from model.training import TrainingPlan, adamw, batches, run_steps, validation_loss
from model.windows import Batch, Days, Normaliser
from simulator.cohort import Cohort
from simulator.population import POPULATIONS
from simulator.randomness import stream
from simulator.signals import MINUTES_PER_DAY, N_SIGNALS

BLOCK_STEPS = 5  # of a turn
HELD_OUT = 100_000  # index of the first person who is scored
PAPERS = AIM


def people(population: str, count: int, first: int = 0, days: int = 1) -> Cohort:
    """Simulated people of a named population."""
    return Cohort(
        population=POPULATIONS[population], people=count, days=days, seed=1, first_person=first, with_truth=False
    )


def split(population: str, train: int, held_out: int, days: int = 1) -> tuple[Days, Days]:
    """People to learn from and others, in the z-scores of the first."""
    recordings = list(people(population, train, days=days))
    normaliser = Normaliser.fit(recordings)
    return Days.load(recordings, normaliser), Days.load(people(population, held_out, HELD_OUT, days), normaliser)


class Contestant:
    """A model in training, with the CPU time that it has had."""

    def __init__(self, shape: Architecture, plan: TrainingPlan, seed: int) -> None:
        self.model, self.plan, self.seed = MaskedAutoencoder(shape, seed), plan, seed
        self.optimiser = adamw(self.model, plan)
        self.steps, self.cpu_seconds, self.loading_seconds = 0, 0.0, 0.0

    def go_on(self, days: Days, steps: int) -> None:
        """Train for some steps more."""
        began = time.process_time()
        span = range(self.steps, self.steps + steps)
        loader = batches(days, self.model.architecture, self.plan, self.seed, span, self.optimiser)
        run_steps(self.model, self.optimiser, self._timed(loader), self.plan.clip_norm, parts=self.plan.parts)
        self.cpu_seconds += time.process_time() - began
        self.steps += steps

    def _timed(self, loader: Iterator[Batch]) -> Iterator[Batch]:
        while True:
            began = time.process_time()
            batch = next(loader, None)
            self.loading_seconds += time.process_time() - began
            if batch is None:
                return
            yield batch


def against_papers(asked: argparse.Namespace) -> dict[str, Any]:
    """Our step and the papers', seed by seed."""
    train, held_out = split("lsm2", asked.people, max(10, asked.people // 5))
    encoder = replace(SIZES[asked.size], window_minutes=MINUTES_PER_DAY)
    shapes = {"ours": encoder, "papers": replace(encoder, **PAPERS)}
    plan = TrainingPlan(steps=asked.steps, batch_windows=asked.batch_windows, learning_rate=3e-3)
    runs = []
    for seed in range(asked.seeds):
        contestants = {name: Contestant(shape, plan, seed) for name, shape in shapes.items()}
        curve: dict[str, list[tuple[int, float, float]]] = {name: [] for name in shapes}
        while contestants["ours"].steps < plan.steps:
            for name, contestant in contestants.items():
                contestant.go_on(train, min(BLOCK_STEPS, plan.steps - contestant.steps))
                loss = validation_loss(contestant.model, held_out, plan, seed=0, n_batches=asked.scored_batches)
                curve[name].append((contestant.steps, contestant.cpu_seconds, loss))
        goal = curve["papers"][-1][2]
        reached = next((point for point in curve["ours"] if point[2] <= goal), None)
        runs.append(
            {
                "seed": seed,
                "cpu_seconds_a_step": {name: c.cpu_seconds / c.steps for name, c in contestants.items()},
                "loss": {name: points[-1][2] for name, points in curve.items()},
                "papers_loss_reached": None if reached is None else {"steps": reached[0], "cpu_seconds": reached[1]},
                "papers_cpu_seconds": curve["papers"][-1][1],
                "curve": curve,
            }
        )
    return {"runs": runs}


class Plain(nn.Module):
    """PyTorch's layers: an encoder over tokens, and questions that attend to what it says."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            a.width, a.heads, 4 * a.width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, a.depth, nn.LayerNorm(a.width), enable_nested_tensor=False)
        self.bridge = nn.Linear(a.width, a.decoder_width)
        self.crossing = nn.ModuleList(Crossing(a.decoder_width, a.decoder_heads) for _ in range(a.decoder_depth))
        self.embed, self.head = nn.Linear(2 * a.cells, a.width), nn.Linear(a.decoder_width, a.cells)

    def forward(self, tokens: Tensor, questions: Tensor) -> Tensor:
        """Tokens [n, m, 2 x cells] and questions [n, k, decoder width] -> patches [n, k, cells]."""
        memory = self.bridge(self.encoder(self.embed(tokens)))
        for block in self.crossing:
            questions = block(questions, memory)
        patches: Tensor = self.head(questions)
        return patches


class Crossing(nn.Module):
    """``nn.TransformerDecoderLayer`` without its self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.memory_norm, self.mlp_norm = (nn.LayerNorm(width) for _ in range(3))
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """Pre-norm, as ours."""
        context = self.memory_norm(memory)
        x = x + self.attention(self.norm(x), context, context, need_weights=False)[0]
        return x + self.mlp(self.mlp_norm(x))  # type: ignore[no-any-return]


def against_transformer(asked: argparse.Namespace) -> dict[str, Any]:
    """One step of ours on a whole day of which a fifth, 749 patches, is seen; and of plain layers on as many tokens."""
    shape = replace(SIZES[asked.size], window_minutes=MINUTES_PER_DAY)
    n, rng = asked.batch_windows, stream(0, "steps")
    hidden = draw_masks(MASKS["random"], shape.grid, n, rng)
    cells = (n, N_SIGNALS, MINUTES_PER_DAY)
    batch = Batch(
        torch.from_numpy(rng.normal(size=cells).astype(np.float32)),
        torch.ones(cells, dtype=torch.bool),
        torch.zeros(n, dtype=torch.long),
        torch.from_numpy(hidden),
    )
    seen = int((~batch.hidden).sum(1).max()) + 1  # with the window's summary
    questions = -(-int(batch.hidden.sum(1).max()) // shape.ask_every)
    ours, plain = MaskedAutoencoder(shape, 0).train(), Plain(shape).train()
    tokens = torch.randn(n, seen, 2 * shape.cells)
    asking = torch.randn(n, questions, shape.decoder_width)
    steps: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: ours(batch).mean(),
        "plain": lambda: plain(tokens, asking).square().mean(),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(asked.turns + 1):
        for name, step in steps.items():
            began = time.process_time()
            step().backward()
            times[name].append(time.process_time() - began)
    median = {name: float(np.median(seconds[1:])) for name, seconds in times.items()}  # the first of each warms up
    ratios = [a / b for a, b in zip(times["ours"][1:], times["plain"][1:], strict=True)]
    return {
        "parameters": {"ours": count(ours), "plain": count(plain)},
        "tokens": seen,
        "questions": questions,
        "cpu_seconds": median,
        "ratio": float(np.median(ratios)),
        "ratio_range": [min(ratios), max(ratios)],
    }


def count(module: nn.Module) -> int:
    """Parameters."""
    return sum(p.numel() for p in module.parameters())


ADDITIONS: dict[str, tuple[dict[str, Any], str]] = {
    "papers' AIM": (PAPERS, "aim"),
    "every unseen place dropped": ({**PAPERS, "drop_ratio": None}, "aim"),
    "lean decoder": ({**PAPERS, "drop_ratio": None, "decoder": "lean"}, "aim"),
    "half of the questions": ({**PAPERS, "drop_ratio": None, "decoder": "lean", "ask_every": 2}, "aim"),
    "anchors, told to the decoder's head": ({"views": 0}, "aim"),
    "and to questions, with all signals'": ({}, "aim"),
    "masks of the tasks": ({}, "tasks"),
}
"""By what is added to the row before: options of the architecture, and masks."""
TASKS = (
    Task("random_imputation"),
    Task("temporal_interpolation", 10),
    Task("temporal_interpolation", 60),
    Task("temporal_extrapolation", 60),
    Task("sensor_imputation", 60),
)


def additions(asked: argparse.Namespace) -> dict[str, Any]:
    """Each addition trained for as much CPU time as the last row's steps take, over seeds."""
    train, held_out = split("lsm1", asked.people, max(10, asked.people // 5), days=2)
    size = replace(SIZES[asked.size], window_minutes=300)
    rows = []
    for seed in range(asked.seeds):
        cost: dict[str, float] = {}
        for name, (options, masks) in ADDITIONS.items():  # a few steps of each tell what they cost
            plan = TrainingPlan(
                steps=asked.steps, batch_windows=asked.batch_windows, learning_rate=3e-3, masks=MASKS[masks]
            )
            probe = Contestant(replace(size, **options), plan, seed)
            probe.go_on(train, BLOCK_STEPS)
            cost[name] = probe.cpu_seconds / BLOCK_STEPS
        budget = asked.steps * cost["masks of the tasks"]
        models = {}
        for name, (options, masks) in ADDITIONS.items():
            steps = max(1, round(budget / cost[name]))
            plan = TrainingPlan(steps=steps, batch_windows=asked.batch_windows, learning_rate=3e-3, masks=MASKS[masks])
            contestant = Contestant(replace(size, **options), plan, seed)
            contestant.go_on(train, steps)
            models[name] = contestant
        found = evaluate(
            {name: contestant.model for name, contestant in models.items()},
            held_out,
            minutes=300,
            windows_per_person=4,
            seed=0,
            chosen=TASKS,
        )
        for row in found:
            if row.signal == "all" and row.method in {*models, "linear", "kernel"}:
                told = models.get(row.method)
                rows.append(
                    {
                        "seed": seed,
                        "method": row.method,
                        "task": row.task,
                        "horizon": row.horizon,
                        "mse": row.mse,
                        "saving": row.saving,
                        "steps": told.steps if told else None,
                        "cpu_seconds": told.cpu_seconds if told else None,
                    }
                )
    return {"rows": rows}


def loading(asked: argparse.Namespace) -> dict[str, Any]:
    """Share of CPU time that batches take, by length of window."""
    found = {}
    for minutes, population in ((300, "lsm1"), (MINUTES_PER_DAY, "lsm2")):
        train, _ = split(population, 40, 20)
        plan = TrainingPlan(steps=100, batch_windows=asked.batch_windows)
        contestant = Contestant(replace(SIZES[asked.size], window_minutes=minutes), plan, 0)
        contestant.go_on(train, asked.steps)
        found[str(minutes)] = contestant.loading_seconds / contestant.cpu_seconds
    return {"share": found}


def on_accelerator(asked: argparse.Namespace) -> dict[str, Any]:
    """Share of the measured rate of bfloat16 matrix products that a compiled training step reaches."""
    if not torch.cuda.is_available():
        return {"none": "this machine has no GPU: nothing was measured"}
    device, shape = torch.device("cuda"), SIZES[asked.size]
    square = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    rate = 2 * 8192**3 / _seconds(lambda: square @ square, 30)
    model = MaskedAutoencoder(shape, 0).to(device).train()
    optimiser = adamw(model, TrainingPlan())
    step = torch.compile(model, dynamic=False)
    n, rng = asked.batch_windows, stream(0, "steps")
    cells = (n, N_SIGNALS, shape.window_minutes)
    batch = Batch(
        torch.from_numpy(rng.normal(size=cells).astype(np.float32)),
        torch.ones(cells, dtype=torch.bool),
        torch.zeros(n, dtype=torch.long),
        torch.from_numpy(draw_masks(MASKS["random"], shape.grid, n, rng)),
    ).to(device)

    def train_once() -> None:
        optimiser.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            step(batch).mean().backward()
        optimiser.step()

    seconds = _seconds(train_once, 20)
    done = 3 * 2 * n * multiply_adds(shape, int((~batch.hidden).sum(1).max()), int(batch.hidden.sum(1).max()))
    return {
        "device": torch.cuda.get_device_name(),
        "matrix_products_flops": rate,
        "seconds_a_step": seconds,
        "flops": done / seconds,
        "share": done / seconds / rate,
    }


def multiply_adds(a: Architecture, seen: int, asked: int) -> int:
    """Multiplications with addition of the forward pass of one window; a backward pass is twice that."""

    def blocks(depth: int, width: int, tokens: int, context: int) -> int:
        projections = (10 * tokens + 2 * context) * width**2  # query and output, MLP; keys and values
        return depth * (projections + 2 * tokens * context * width)

    lean = a.decoder == "lean"
    questions = -(-asked // a.ask_every) if lean else a.grid.places
    encoder = blocks(a.depth, a.width, seen + 1, seen + 1) + seen * (1 if a.filled else 2) * a.cells * a.width
    decoder = blocks(a.decoder_depth, a.decoder_width, questions, seen + 1 if lean else questions)
    return encoder + decoder + (seen + 1) * a.width * a.decoder_width + questions * a.decoder_width * a.cells


def _seconds(call: Callable[[], object], times: int) -> float:
    """Median seconds of a call on a GPU, after three to warm up."""
    found = []
    for i in range(times + 3):
        torch.cuda.synchronize()
        began = time.perf_counter()
        call()
        torch.cuda.synchronize()
        if i >= 3:
            found.append(time.perf_counter() - began)
    return float(np.median(found))


JOBS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "papers": against_papers,
    "transformer": against_transformer,
    "additions": additions,
    "loader": loading,
    "accelerator": on_accelerator,
}
SIZE = {"papers": "xxs", "transformer": "m", "additions": "xxs", "loader": "xxs", "accelerator": "lsm1-base"}
WINDOWS = {"papers": 8, "transformer": 2, "additions": 32, "loader": 16, "accelerator": 256}
STEPS = {"papers": 60, "additions": 250, "loader": 10}


def words(job: str, found: dict[str, Any]) -> Iterator[str]:
    """A record as lines."""
    if job == "papers":
        yield "seed  ours s/step  papers s/step  ratio  our loss  papers  papers' loss reached"
        for run in found["runs"]:
            ours, theirs = run["cpu_seconds_a_step"]["ours"], run["cpu_seconds_a_step"]["papers"]
            reached, spent = run["papers_loss_reached"], run["papers_cpu_seconds"]
            told = "not" if reached is None else f"{spent / reached['cpu_seconds']:.0f} x cheaper"
            yield (
                f"{run['seed']:4d} {ours:12.3f} {theirs:14.3f} {theirs / ours:6.1f} {run['loss']['ours']:9.3f}"
                f" {run['loss']['papers']:7.3f}  {told}"
            )
    elif job == "transformer":
        low, high = found["ratio_range"]
        yield f"{found['tokens']} tokens, {found['questions']} questions, parameters {found['parameters']}"
        yield f"CPU seconds {found['cpu_seconds']}: ratio {found['ratio']:.2f} ({low:.2f} to {high:.2f})"
    elif job == "additions":
        tasks = list(dict.fromkeys((row["task"], row["horizon"]) for row in found["rows"]))
        yield f"{'mean squared error, z':38s}" + "".join(
            f"{t[9:21] if h else t[:9]:>14s} {h or '':<4}" for t, h in tasks
        )
        for method in [*ADDITIONS, "linear", "kernel"]:
            own = [row for row in found["rows"] if row["method"] == method]
            line = f"{method:38s}"
            for task in tasks:
                errors = [row["mse"] for row in own if (row["task"], row["horizon"]) == task]
                line += f"{np.mean(errors):9.3f}"
                line += f" ({min(errors):.3f}-{max(errors):.3f})"[:10].ljust(10)
            yield line + (f"{own[0]['steps']:6d} steps {own[0]['cpu_seconds']:5.0f} s" if own[0]["steps"] else "")
    elif job == "loader":
        yield from (f"{minutes} minutes: {share:.1%} of a step" for minutes, share in found["share"].items())
    else:
        yield json.dumps(found)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("job", choices=JOBS)
    parser.add_argument("--size", choices=SIZES)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch-windows", type=int)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--people", type=int, default=150)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--scored-batches", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    asked.size = asked.size or SIZE[asked.job]
    asked.batch_windows = asked.batch_windows or WINDOWS[asked.job]
    asked.steps = asked.steps or STEPS.get(asked.job, 0)
    torch.set_num_threads(1)
    found = JOBS[asked.job](asked)
    if asked.json:
        record = {"asked": vars(asked), **found, "commit": commit(), "machine": machine()}
        sys.stdout.write(json.dumps(record) + "\n")
    else:
        sys.stdout.write("\n".join(words(asked.job, found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
