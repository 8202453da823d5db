"""One training loop over (module, optimiser, loader), the plain loader for it, checkpoints, and model folders.

The loop neither knows nor cares whether its triple was wrapped for privacy. What happens at a step is a function of
(seed, step) alone, so a run that was killed goes on where its last checkpoint stands and ends with the same weights.

Under ``torchrun`` every process takes its share of each batch's windows and gradients are averaged, so that several
processes go the way that one would go with the whole batch (``Together``).
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
import torch.distributed
from numpy.typing import NDArray
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from model.augmenting import Augmentation, augment
from model.autoencoder import Architecture, MaskedAutoencoder
from model.card import card
from model.masking import MASKS, MaskMix, draw_masks
from model.windows import Batch, Days, Normaliser
from simulator.files import read_json, write_json, write_whole
from simulator.randomness import stream
from simulator.recording import DataError

Progress = Callable[[int, float], None]
"""Called with (step, loss) after every step."""

MOST_WINDOWS = 10**6  # a step; more is a slip of the keyboard, and would end in no memory


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """How a model is trained without privacy; defaults follow LSM-1's Table 15 where a small batch allows.

    Attributes:
        steps: Optimiser steps.
        batch_windows: Windows a step.
        learning_rate: Peak, after the warm-up.
        warmup_share: Share of steps over which the rate rises linearly; then it falls to 0 along a cosine.
        weight_decay: AdamW's.
        clip_norm: Bound on the gradient's norm.
        second_momentum: AdamW's second beta.
        masks: The artificial masks.
        augment: How windows are bent before; None leaves them as they are.
        parts: Groups that a batch is worked off in, windows that show about as much together: they are padded to the
            largest of their group alone. The gradient is the whole batch's.
        checkpoint_every: Steps between checkpoints.
    """

    steps: int = 1000
    batch_windows: int = 64
    learning_rate: float = 2e-3
    warmup_share: float = 0.05
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    second_momentum: float = 0.95
    masks: MaskMix = field(default_factory=MaskMix)
    augment: Augmentation | None = None
    parts: int = 4
    checkpoint_every: int = 100

    def __post_init__(self) -> None:
        for name in ("steps", "batch_windows", "learning_rate", "clip_norm", "parts", "checkpoint_every"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"training: {name}={getattr(self, name)} is not positive and finite")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"training: weight_decay={self.weight_decay} is not in [0, inf)")
        if not 0 <= self.second_momentum < 1:
            raise ValueError(f"training: second_momentum={self.second_momentum} is not in [0, 1)")
        if not 0 <= self.warmup_share <= 1:
            raise ValueError(f"training: warmup_share={self.warmup_share} is not in [0, 1]")
        if self.batch_windows > MOST_WINDOWS:
            raise ValueError(f"training: batch_windows={self.batch_windows} is above {MOST_WINDOWS}")

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up, then a cosine to 0."""
        return learning_rate_at(step, self.steps, max(1, round(self.warmup_share * self.steps)), self.learning_rate)


def learning_rate_at(step: int, steps: int, warmup_steps: int, peak: float) -> float:
    """Linear warm-up to ``peak``, then a cosine to 0."""
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup_steps) / max(1, steps - warmup_steps)))


PLANS: Final[dict[str, TrainingPlan]] = {
    "small": TrainingPlan(  # what two cores do in minutes
        steps=1000, batch_windows=16, learning_rate=3e-3, masks=MASKS["tasks"]
    ),
    "lsm1": TrainingPlan(  # LSM-1 Table 15; its base learning rate read as the peak
        steps=50_000,
        batch_windows=4096,
        learning_rate=5e-3,
        warmup_share=2_500 / 50_000,
        weight_decay=1e-4,
        clip_norm=1.0,
        masks=MASKS["random"],
        augment=Augmentation(),
    ),
}


@dataclass(frozen=True, slots=True)
class Together:
    """Processes that train one model: the place of this one, and how many they are."""

    rank: int = 0
    processes: int = 1

    @classmethod
    def started(cls) -> "Together":
        """Join the processes that ``torchrun`` started; one alone if it started none."""
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        if processes == 1:
            return cls()
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return cls(torch.distributed.get_rank(), processes)

    def device(self) -> torch.device:
        """A GPU of its own where there are any."""
        if not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))

    def share(self, batch: Batch) -> Batch:
        """This process's windows.

        Raises:
            ValueError: If they cannot be shared evenly, so that a mean of means would be another mean.
        """
        if len(batch.slot) % self.processes:
            raise ValueError(f"{len(batch.slot)} windows a step cannot be shared evenly by {self.processes} processes")
        return _rows(batch, slice(self.rank, None, self.processes))

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace numbers by their mean over the processes, in one message."""
        if self.processes == 1:
            return
        own = list(tensors)
        whole = torch.cat([tensor.flatten() for tensor in own])
        torch.distributed.all_reduce(whole)
        parts = (whole / self.processes).split([tensor.numel() for tensor in own])
        for tensor, part in zip(own, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


ALONE: Final = Together()


def check_masks(architecture: Architecture, plan: TrainingPlan) -> None:
    """See that dropping by number drops no place that could be seen.

    Raises:
        ValueError: If the masks hide fewer places than the architecture drops.
    """
    ratio, places = architecture.drop_ratio or 0.0, architecture.grid.places
    dropped, hidden = round(ratio * places), plan.masks.least_hidden(architecture.grid)
    if dropped > hidden:
        raise ValueError(f"drop_ratio={ratio} drops {dropped} of {places} places, masks hide {hidden}")


def adamw(module: nn.Module, plan: TrainingPlan) -> torch.optim.AdamW:
    """The optimiser of the papers (LSM-1 Table 15: AdamW, first momentum 0.9)."""
    return torch.optim.AdamW(
        [p for p in module.parameters() if p.requires_grad],
        lr=plan.learning_rate,
        betas=(0.9, plan.second_momentum),
        weight_decay=plan.weight_decay,
    )


def run_steps(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    loader: Iterable[Batch],
    clip_norm: float | None = None,
    on_loss: Callable[[float], None] | None = None,
    mixed_precision: bool = True,
    parts: int = 1,
    together: Together = ALONE,
) -> None:
    """Descend once for every batch that the loader yields; the loader knows the steps and their learning rates.

    Args:
        module: Its ``forward(batch)`` gives a loss a window.
        optimiser: Plain, or one that clips and adds noise for each person.
        loader: Yields batches of windows.
        clip_norm: Bound on the whole gradient's norm; None with a private optimiser, which clips by person.
        on_loss: Told the mean loss of every batch; never of a private one, whose loss is a secret.
        mixed_precision: Use bfloat16 where the device is a GPU; off with a private optimiser, whose bound on a person
            is only as exact as the gradients.
        parts: See ``TrainingPlan``; 1 for modules other than a masked autoencoder, and for private ones.
        together: The processes that train; never with a private optimiser, whose gradients leave in releases alone.
    """
    module.train()
    device = next(module.parameters()).device
    for batch in loader:
        optimiser.zero_grad()
        loss = torch.zeros((), device=device)
        batch = together.share(batch)
        for part in (batch,) if parts == 1 else alike(module, batch, parts):
            with torch.autocast(device.type, torch.bfloat16, enabled=mixed_precision and device.type == "cuda"):
                share = module(part.to(device)).mean() * (len(part.slot) / len(batch.slot))
            share.backward()
            loss += share.detach()
        together.average([loss, *(p.grad for p in module.parameters() if p.grad is not None)])
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(module.parameters(), clip_norm)
        optimiser.step()
        if on_loss is not None:
            on_loss(float(loss))


def alike(module: nn.Module, batch: Batch, parts: int) -> Iterator[Batch]:
    """A batch's windows in ``parts`` groups, those that show the fewest patches first."""
    order = module.seen_places(batch).argsort(stable=True)  # type: ignore[operator]
    for rows in order.tensor_split(min(parts, len(order))):
        yield _rows(batch, rows)


def _rows(batch: Batch, rows: slice | Tensor) -> Batch:
    return Batch(*(getattr(batch, name)[rows] for name in ("values", "observed", "slot", "hidden")))


def batches(
    days: Days,
    architecture: Architecture,
    plan: TrainingPlan,
    seed: int,
    steps: range,
    optimiser: torch.optim.Optimizer | None = None,
) -> Iterator[Batch]:
    """Windows drawn evenly over all usable ones, each with an artificial mask; step i is the same in every run.

    With an optimiser, its learning rate is set to the step's before the step's batch is given out.
    """
    usable = usable_windows(days, architecture)
    for step in steps:
        set_learning_rate(optimiser, plan, step)
        rng = stream(seed, "batch", step)
        windows = usable[rng.integers(len(usable), size=plan.batch_windows)]
        hidden = draw_masks(plan.masks, architecture.grid, len(windows), rng)
        batch = days.batch(windows, architecture.window_minutes, hidden)
        yield batch if plan.augment is None else augment(batch, plan.augment, rng)


def usable_windows(days: Days, architecture: Architecture) -> NDArray[np.int64]:
    """Windows to draw from, [n, 2] of (day index, start minute).

    Raises:
        DataError: If there is none.
    """
    usable = days.usable(architecture.window_minutes)
    if not len(usable):
        raise DataError(f"no window of {architecture.window_minutes} minutes holds a fifth of its cells")
    return usable


def set_learning_rate(optimiser: torch.optim.Optimizer | None, plan: TrainingPlan, step: int) -> None:
    """Give an optimiser, if there is one, the rate of a step."""
    for group in optimiser.param_groups if optimiser is not None else ():
        group["lr"] = plan.learning_rate_at(step)


class Loader(Protocol):
    """Gives the batches of steps, and before each its learning rate to the optimiser; ``batches`` is one."""

    def __call__(
        self,
        days: Days,
        architecture: Architecture,
        plan: TrainingPlan,
        seed: int,
        steps: range,
        optimiser: torch.optim.Optimizer | None = None,
    ) -> Iterator[Batch]:
        """Batches of ``steps``; a function of (seed, step) alone."""


def train(
    model: nn.Module,
    days: Days,
    plan: TrainingPlan,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    loader: Loader = batches,
    together: Together = ALONE,
) -> list[float]:
    """Train from the last checkpoint, if there is one, to the plan's last step.

    Args:
        model: A masked autoencoder, or another module with an ``architecture``; changed in place.
        days: What it learns from.
        plan: How.
        seed: Seed of batches and masks.
        checkpoint: File to go on from and to write; None keeps nothing.
        progress: Told of every step.
        loader: Makes the batches.
        together: The processes that train; the first alone writes checkpoints and tells of steps.

    Returns:
        The loss of every step, those before a resume too.

    Raises:
        DataError: If the checkpoint is damaged or belongs to another plan, model, seed or data, or the loss diverged.
        ValueError: If the masks hide fewer places than the architecture drops.
    """
    architecture: Architecture = model.architecture  # type: ignore[assignment]
    check_masks(architecture, plan)
    optimiser = adamw(model, plan)
    losses: list[float] = []
    data = hashlib.blake2b(days.values.tobytes() + days.observed.tobytes(), digest_size=16).hexdigest()
    identity = {"plan": asdict(plan), "architecture": asdict(architecture), "seed": seed, "data": data}
    if checkpoint is not None and checkpoint.exists():
        losses = _resume(checkpoint, identity, model, optimiser)

    def on_loss(loss: float) -> None:
        if not math.isfinite(loss):
            raise DataError(f"the loss became {loss} at step {len(losses) + 1}: expected a lower learning rate")
        losses.append(loss)
        done = len(losses)
        if together.rank:
            return
        if checkpoint is not None and (done % plan.checkpoint_every == 0 or done == plan.steps):
            _save_checkpoint(checkpoint, identity, model, optimiser, losses)
        if progress is not None:
            progress(done - 1, loss)

    steps = loader(days, architecture, plan, seed, range(len(losses), plan.steps), optimiser)
    parts = plan.parts if isinstance(model, MaskedAutoencoder) else 1
    run_steps(model, optimiser, steps, plan.clip_norm, on_loss, parts=parts, together=together)
    return losses


@torch.no_grad()
def validation_loss(
    model: MaskedAutoencoder, days: Days, plan: TrainingPlan, *, seed: int, n_batches: int = 8
) -> float:
    """Mean training loss on fixed windows and masks of people not trained on, as they are: not augmented."""
    model.eval()
    loader = batches(days, model.architecture, replace(plan, augment=None), seed, range(n_batches))
    device = next(model.parameters()).device
    return float(torch.stack([model(batch.to(device)).mean() for batch in loader]).mean())


def _save_checkpoint(
    path: Path, identity: dict[str, object], model: nn.Module, optimiser: torch.optim.Optimizer, losses: list[float]
) -> None:
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for i, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{name}": torch.as_tensor(value) for name, value in state.items()}
    metadata = {"identity": json.dumps(identity, sort_keys=True), "losses": json.dumps(losses)}
    write_whole(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}, metadata))


def _resume(path: Path, identity: dict[str, object], model: nn.Module, optimiser: torch.optim.Optimizer) -> list[float]:
    tensors, metadata = read_safetensors(path)
    if metadata.get("identity") != json.dumps(identity, sort_keys=True):
        raise DataError(
            f"{path}: made by another plan, architecture, seed or data; expected the same, or another folder"
        )
    model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, i, field_name = name.split(".")
            state.setdefault(int(i), {})[field_name] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    losses: list[float] = json.loads(metadata["losses"])
    return losses


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors and the metadata of a file.

    Raises:
        DataError: If it is missing or not a whole safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (no dict)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file, expected model weights") from error
    except SafetensorError as error:
        raise DataError(f"{path}: not a whole safetensors file ({error})") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """How a model came about.

    Attributes:
        seed: Of weights, batches and masks.
        data: Hash of the dataset it was trained on; None if it was a run's.
        people: Marks of the people it was trained on (``Dataset.marks``), so that nobody is scored on whom it knows; of
            a federated model the public people, since what marks a private person is private.
        experiment: Digest of the federated run it comes from; None if it was none.
        plan: How it was trained; None if the experiment says so.
        method: "mae", or a contrastive one, which trains the encoder alone.
        loss: Of the last step; None where it is not told.
        held_out_loss: Of people not trained on; None where it was not measured.
    """

    seed: int
    data: str | None = None
    people: tuple[str, ...] = ()
    experiment: str | None = None
    plan: TrainingPlan | None = None
    method: str = "mae"
    loss: float | None = None
    held_out_loss: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """``model.json``: what weights alone do not tell.

    Attributes:
        architecture: The model's shape.
        normaliser: Constants of its inputs and outputs.
        made_by: How it came about.
    """

    architecture: Architecture
    normaliser: Normaliser
    made_by: Origin


_DESCRIPTION = TypeAdapter(Description)


def save_model(folder: Path, model: MaskedAutoencoder, normaliser: Normaliser, made_by: Origin) -> None:
    """Write a model folder: architecture, normaliser, how it came about, a card of these; the weights last."""
    description = Description(architecture=model.architecture, normaliser=normaliser, made_by=made_by)
    write_json(folder / "model.json", asdict(description))
    write_whole(folder / "README.md", card(description, parameters(model)).encode())
    write_whole(folder / "model.safetensors", save({k: v.contiguous() for k, v in model.state_dict().items()}))


def describe_model(folder: Path) -> Description:
    """Read a model folder's ``model.json``.

    Raises:
        DataError: If it is missing or not the description of a model.
    """
    path = folder / "model.json"
    try:
        return read_json(path, _DESCRIPTION)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file, expected a model folder written by `everywear train`") from error


def load_model(folder: Path) -> tuple[MaskedAutoencoder, Normaliser]:
    """Read a model folder.

    Raises:
        DataError: If a file is missing, damaged or not of this shape; the message names it.
    """
    description = describe_model(folder)
    return load_weights(folder, description), description.normaliser


def load_weights(folder: Path, description: Description) -> MaskedAutoencoder:
    """The model of a folder whose ``model.json`` was read.

    Raises:
        DataError: If the weights are missing, damaged or of another model; the message names the file.
    """
    weights = folder / "model.safetensors"
    model = MaskedAutoencoder(description.architecture)
    tensors, _ = read_safetensors(weights)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        said = str(error).splitlines()[-1].strip()
        raise DataError(
            f"{weights}: does not fit model.json ({said}); a folder of an earlier version has to be trained anew"
        ) from error
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise DataError(f"{weights}: {name} holds a number that is not finite")
    model.eval()
    return model


def parameters(model: nn.Module) -> int:
    """Number of trainable parameters."""
    return int(np.sum([p.numel() for p in model.parameters() if p.requires_grad]))
