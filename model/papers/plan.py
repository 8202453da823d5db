"""How large the tables are re-made: people, windows, steps; and what is trained for them, at which compute.

Two rules. The models that are held against each other (AIM, LSM-1, SimCLR, DINO, MSN) get the same number of
multiply-adds, counted in a real step with its backward pass, so that who has cheaper steps takes more of them. The
variants of LSM-1's ablations take the same number of steps, as in its appendix A, where only one thing is changed.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model.autoencoder import AIM, LSM1, SIZES, Architecture, MaskedAutoencoder
from model.contrastive import METHODS
from model.masking import MASKS, MaskMix, draw_masks
from model.ordering import CLUSTERED, shuffled
from model.training import TrainingPlan
from model.windows import Batch
from simulator.randomness import stream
from simulator.signals import N_SIGNALS

MINUTES: Final = 300  # LSM-1 section 3.1; all models see as much, so that they know the same
TABLES: Final = {
    "3a": "Filling gaps: the four generative tasks",
    "gains": "What a model saves against linear interpolation",
    "3bc": "Exercise and eight activities",
    "14": "Sex, age and mood",
    "11": "Few examples of each class",
    "10": "Exercise and activities by hours of pretraining",
    "4": "Masking ratios",
    "5": "Five masking strategies",
    "6": "Patch sizes: errors",
    "6-cost": "Patch sizes: multiply-adds of LSM-Base",
    "7": "Signal orders",
    "8": "Sizes of LSM-1",
    "9": "Hours of pretraining by model size",
    "12": "Clusters of embeddings",
    "19": "Class mixes",
    "lsm2": "Conditions, twenty activities, age and BMI by AIM",
    "lsm2-margins": "What AIM saves against LSM-1 at equal compute",
    "robust": "Accuracy lost without a sensor or an hour",
    "natural": "Cells that are really missing, whose truth is known",
}
"""By key, in the order of the page; those of digits are LSM-1's own numbers."""

RATIOS: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # LSM-1 Table 4
PATCHES: Final = ((5, 5), (10, 5), (20, 5), (30, 5), (10, 1), (10, 2), (10, 10), (10, 26))  # minutes, signals; Table 6
STRATEGIES: Final = (
    "random",
    "structured-temporal",
    "structured-sensor",
    "temporal-interpolation",
    "temporal-extrapolation",
)
BASE: Final = "lsm1-ablation"  # LSM-1 with the ablations' number of steps
Method = Literal["mae", "simclr", "dino", "msn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The size of everything.

    Attributes:
        train_people, train_days: Who models are trained on, and days of each.
        test_people, test_days: Who is filled in.
        label_people, label_days: Whose activities, moods, sex, age and conditions are told.
        windows_per_person: Filled in, of each.
        mice_people: Of the test people, whose windows chained equations are fitted on one by one, as LSM-1 does.
        natural_people: Of the test people, whose real gaps are filled.
        most_windows: Labelled windows of each kind (activities, moods, any), rare classes first.
        person_windows: Of each person, for what is asked about people.
        size: Of all trained models, a key of ``SIZES``; LSM-1's differences are put on it.
        larger: The second size of Table 9.
        aim_steps: Of AIM; its multiply-adds are what the other main models get.
        ablation_steps: Of every variant of LSM-1.
        batch_windows: A step.
        learning_rate: Peak; contrastive methods take the paper's proportion of it (Table 15).
        tune_steps, tune_windows, tune_rate: Of fine-tuning and of training from scratch; the paper has 300 steps of 128
            windows at 5e-5 to 5e-3.
        shots: Examples of each class.
        epochs: Of the learned imputer.
    """

    train_people: int
    train_days: int
    test_people: int
    test_days: int
    label_people: int
    label_days: int
    windows_per_person: int
    mice_people: int
    natural_people: int
    most_windows: int
    person_windows: int
    size: str
    larger: str
    aim_steps: int
    ablation_steps: int
    batch_windows: int
    learning_rate: float
    tune_steps: int
    tune_windows: int
    tune_rate: float
    shots: tuple[int, ...]
    epochs: int

    def digest(self, seed: int) -> str:
        """A short hash of the plan, the seed and the sizes by name."""
        shapes = [repr(shape(size, **changes)) for size in (self.size, self.larger) for changes in ({}, LSM1, AIM)]
        facts = asdict(self) | {"seed": seed, "shapes": shapes}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


_HOUR: Final = Plan(
    train_people=400,
    train_days=3,
    test_people=80,
    test_days=3,
    label_people=260,
    label_days=10,
    windows_per_person=3,
    mice_people=16,
    natural_people=24,
    most_windows=1000,
    person_windows=4,
    size="xxs",
    larger="xs",
    aim_steps=400,
    ablation_steps=200,
    batch_windows=32,
    learning_rate=3e-3,
    tune_steps=60,
    tune_windows=24,
    tune_rate=1e-3,
    shots=(5, 10, 15, 20),
    epochs=8,
)
PRESETS: Final[dict[str, Plan]] = {
    "hour": _HOUR,
    "short": replace(  # a third of it
        _HOUR,
        train_people=200,
        test_people=60,
        label_people=200,
        label_days=8,
        windows_per_person=2,
        mice_people=5,
        natural_people=10,
        most_windows=500,
        aim_steps=160,
        ablation_steps=60,
        tune_steps=40,
        tune_windows=16,
        epochs=4,
    ),
    "tiny": replace(
        _HOUR,
        train_people=4,
        train_days=2,
        test_people=5,
        test_days=2,
        label_people=24,
        label_days=3,
        windows_per_person=1,
        mice_people=2,
        natural_people=3,
        most_windows=24,
        person_windows=1,
        size="tiny",
        larger="tiny",
        aim_steps=3,
        ablation_steps=1,
        batch_windows=2,
        tune_steps=2,
        tune_windows=2,
        shots=(2,),
        epochs=1,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A model to be trained.

    Attributes:
        name: Its name, and its folder's.
        architecture: Its shape; "apart" orders are found in the data, which ``apart`` asks for.
        training: How.
        method: What it is trained for.
        people_share: Of the people to train on.
        apart: Whether signals that correlate little are set side by side.
        weights_seed: Added to the run's seed.
        step_operations: Multiply-adds of a step; 0 where nobody counted yet.
    """

    name: str
    architecture: Architecture
    training: TrainingPlan
    method: Method = "mae"
    people_share: float = 1.0
    apart: bool = False
    weights_seed: int = 0
    step_operations: int = 0

    def counted(self) -> "Recipe":
        """The same with its operations counted."""
        if self.step_operations:
            return self
        return replace(self, step_operations=step_operations(self.architecture, self.method, self.training))


def shape(size: str, **options: Any) -> Architecture:
    """A size of five-hour windows; "tiny" is for tests."""
    small: dict[str, Any] = {
        "width": 8,
        "depth": 1,
        "heads": 1,
        "decoder_width": 8,
        "decoder_depth": 1,
        "decoder_heads": 1,
    }
    base = Architecture(**small) if size == "tiny" else SIZES[size]
    return replace(base, **({"window_minutes": MINUTES} | options))


def recipes(plan: Plan, seed: int) -> list[Recipe]:
    """Everything that is trained, the main models first."""
    found = {recipe.name: recipe for recipe in (*_main(plan, seed), *_ablations(plan, seed))}
    return list(found.values())  # of few people two shares may be the same


def _main(plan: Plan, seed: int) -> Iterator[Recipe]:
    base = _training(plan, plan.aim_steps)
    aim, lsm1 = shape(plan.size), shape(plan.size, **LSM1)
    first = Recipe(name="aim", architecture=aim, training=base).counted()
    yield first
    quarter = max(1, plan.aim_steps // 4)
    yield replace(first, name="aim-quarter", training=replace(base, steps=quarter))
    compute = base.steps * first.step_operations
    random = replace(base, masks=MASKS["random"])
    others: tuple[tuple[str, Architecture, TrainingPlan, Method, float], ...] = (
        ("aim-papers", shape(plan.size, **AIM), base, "mae", 1.0),
        ("lsm1", lsm1, random, "mae", 1.0),
        ("simclr", lsm1, random, "simclr", 1 / 5),  # Table 15: 0.001 where MAE has 0.005
        ("dino", lsm1, random, "dino", 4 / 5),
        ("msn", lsm1, random, "msn", 1 / 5),
    )
    for name, architecture, training, method, rate in others:
        if method != "mae":
            training = replace(training, clip_norm=3.0, second_momentum=0.99)  # Table 15
        training = replace(training, learning_rate=rate * plan.learning_rate)
        recipe = Recipe(name=name, architecture=architecture, training=training, method=method).counted()
        steps = max(1, round(compute / recipe.step_operations))
        yield replace(recipe, training=replace(training, steps=steps, checkpoint_every=max(1, steps // 4)))


def _ablations(plan: Plan, seed: int) -> Iterator[Recipe]:
    lsm1 = shape(plan.size, **LSM1)
    base = replace(_training(plan, plan.ablation_steps), masks=MASKS["random"])
    for again in range(3):  # what weights and batches alone change
        name = BASE if not again else f"{BASE}-{again + 1}"
        yield Recipe(name=name, architecture=lsm1, training=base, weights_seed=1000 * again)
    for ratio in RATIOS:
        if ratio != MASKS["random"].random:
            masks = MaskMix(random=ratio, weights=(1,))
            yield Recipe(name=f"ratio-{ratio}", architecture=lsm1, training=replace(base, masks=masks))
    for name in STRATEGIES[1:]:
        yield Recipe(name=f"masks-{name}", architecture=lsm1, training=replace(base, masks=MASKS[name]))
    for minutes, signals in PATCHES:
        if (minutes, signals) != (10, 5):
            cut = replace(lsm1, patch_minutes=minutes, patch_signals=signals)
            yield Recipe(name=f"patch-{minutes}x{signals}", architecture=cut, training=base)
    for again in range(2):
        order = shuffled(seed + again)
        yield Recipe(name=f"order-shuffled-{again + 1}", architecture=replace(lsm1, signal_order=order), training=base)
    yield Recipe(name="order-apart", architecture=replace(lsm1, signal_order=CLUSTERED), training=base, apart=True)
    for size in (plan.size, plan.larger):
        for share in SHARES:
            if (size, share) != (plan.size, 1.0):
                yield Recipe(
                    name=scaled(size, share, plan),
                    architecture=shape(size, **LSM1),
                    training=base,
                    people_share=share,
                )


SHARES: Final = (1 / 64, 1 / 8, 1.0)  # of the people to train on; the paper's data differ by tens, too


def scaled(size: str, share: float, plan: Plan) -> str:
    """The model of Table 9 of a size and a share of the people."""
    if (size, share) == (plan.size, 1.0):
        return BASE
    return f"scale-{'larger' if size == plan.larger else 'smaller'}-{people_of(share, plan)}"


def people_of(share: float, plan: Plan) -> int:
    """How many people a share is."""
    return max(1, round(share * plan.train_people))


def _training(plan: Plan, steps: int) -> TrainingPlan:
    return TrainingPlan(
        steps=steps,
        batch_windows=plan.batch_windows,
        learning_rate=plan.learning_rate,
        checkpoint_every=max(1, steps // 4),
    )


def step_operations(architecture: Architecture, method: str, training: TrainingPlan) -> int:
    """Multiply-adds of one training step with its backward pass, counted while it is done on made-up windows.

    A third of the signals is missing for a third of the time.
    """
    rng = stream(0, "papers", "operations")
    views = 1 if method == "mae" else 2
    n = 2
    observed = torch.ones(views * n, N_SIGNALS, architecture.window_minutes, dtype=torch.bool)
    observed[:, ::3, architecture.window_minutes // 3 : 2 * architecture.window_minutes // 3] = False
    values = torch.from_numpy(rng.normal(size=observed.shape).astype(np.float32)) * observed
    hidden = torch.from_numpy(draw_masks(training.masks, architecture.grid, views * n, rng))
    batch = Batch(values, observed, torch.zeros(views * n, dtype=torch.long), hidden)
    model: Any = (MaskedAutoencoder if method == "mae" else METHODS[method])(architecture, 0)
    if views == 2:
        batch = Batch(
            *(torch.unflatten(t, 0, (2, n)) for t in (batch.values, batch.observed, batch.slot, batch.hidden))
        )
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:  # it cannot count the fused form
        model(batch).mean().backward()
    return int(counter.get_total_flops()) // 2 * training.batch_windows // n
