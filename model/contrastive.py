"""SimCLR, DINO and MSN on the masked autoencoder's own encoder: what LSM-1 was compared with (appendix F.1).

Each looks at two views of a window (flipped, stretched, noisy) and wants them to be told alike. The batch that they
take is a pair, leading dimensions [2, windows]; the loss is one number a window, so that the same loop trains them. Who
learns without a negative has a teacher, a slow average of the student, moved at the beginning of every training step.
A model folder is made of their encoder as of any other; its decoder has learnt nothing. Widths, temperatures, momenta
are those of the methods' papers, as far as a batch of few windows allows; LSM-1 tells learning rates (Table 15) only.

[1] SimCLR: Chen et al., ICML 2020, arXiv:2002.05709. [2] DINO: Caron et al., ICCV 2021, arXiv:2104.14294.
[3] MSN: Assran et al., ECCV 2022, arXiv:2204.07141.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.augmenting import Augmentation, augment
from model.autoencoder import Architecture, MaskedAutoencoder, initialise
from model.masking import draw_masks
from model.training import TrainingPlan, set_learning_rate, usable_windows
from model.windows import Batch, Days
from simulator.randomness import stream

PROJECTION_WIDTH: Final = 128  # [1], section 2.1
SIMCLR_TEMPERATURE: Final = 0.1  # [1], Table 5
DINO_PROTOTYPES: Final = 1024  # [2] has 65,536 for ImageNet's batches; judgement
DINO_TEMPERATURE: Final = 0.1  # [2], section 3.1: of the student
DINO_TEACHER_TEMPERATURE: Final = 0.04  # [2], section 3.1
CENTRE_MOMENTUM: Final = 0.9  # [2], section 5.3
MSN_PROTOTYPES: Final = 128  # [3] has 1,024 for ImageNet's batches; judgement
MSN_TEMPERATURE: Final = 0.1  # [3], section 4
MSN_TARGET_TEMPERATURE: Final = 0.025  # [3], section 4
TEACHER_MOMENTUM: Final = 0.996  # [2, 3]: where their schedules begin; held here


class TwoViews(nn.Module, ABC):
    """What the three have in common: an encoder, a projection, and two views of every window.

    Attributes:
        network: The model whose encoder learns.
        projection: From an embedding to where views are compared.
    """

    def __init__(self, architecture: Architecture, seed: int = 0) -> None:
        """Fresh weights.

        Raises:
            ValueError: If the architecture drops places by number; a view that hides nothing has none to drop.
        """
        super().__init__()
        if architecture.drop_ratio is not None:
            raise ValueError(f"drop_ratio={architecture.drop_ratio} is for masked autoencoders, expected none")
        self.architecture = architecture
        self.network = MaskedAutoencoder(architecture, seed)
        width = architecture.width
        with torch.random.fork_rng(devices=[]):  # layers draw first weights of their own, which are not used
            self.projection = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, PROJECTION_WIDTH))
        initialise(self.projection, seed)

    def forward(self, pair: Batch) -> Tensor:
        """Loss of each window, [n]; leading dimensions of ``pair`` are [2, n]."""
        return self.losses(pair)

    @abstractmethod
    def losses(self, pair: Batch) -> Tensor:
        """Loss of each window, [n]."""


class SimCLR(TwoViews):
    """Of all views in the batch, a view's other half should be the most alike [1]."""

    def losses(self, pair: Batch) -> Tensor:
        """Mean over both views of the cross entropy of finding the other among all 2n - 1."""
        n = pair.slot.shape[1]
        z = F.normalize(self.projection(self.network.embed_windows(_flat(whole(pair)))), dim=-1)
        alike = (z @ z.T / SIMCLR_TEMPERATURE).fill_diagonal_(-torch.inf)
        other = torch.arange(2 * n, device=z.device).roll(n)
        return F.cross_entropy(alike, other, reduction="none").view(2, n).mean(0)


class _Taught(TwoViews):
    """A student and its teacher, who say which of many prototypes a view is like."""

    def __init__(self, architecture: Architecture, prototypes: int, seed: int = 0) -> None:
        super().__init__(architecture, seed)
        self.prototypes = nn.Embedding(prototypes, PROJECTION_WIDTH)
        initialise(self.prototypes, seed)
        self.teacher_network = copy.deepcopy(self.network).requires_grad_(False)
        self.teacher_projection = copy.deepcopy(self.projection).requires_grad_(False)

    def forward(self, pair: Batch) -> Tensor:
        """Loss of each window, [n]; in training the teacher moves first."""
        if self.training:
            self._move_teacher()
        return self.losses(pair)

    @torch.no_grad()
    def _move_teacher(self) -> None:
        for teacher, student in (
            (self.teacher_network, self.network),
            (self.teacher_projection, self.projection),
        ):
            for slow, quick in zip(teacher.parameters(), student.parameters(), strict=True):
                slow.lerp_(quick, 1 - TEACHER_MOMENTUM)

    def likeness(self, pair: Batch) -> Tensor:
        """Cosine of what the student makes of each view with each prototype, [2, n, prototypes]."""
        return self._cosine(self.projection(self.network.embed_windows(_flat(pair))), pair)

    @torch.no_grad()
    def taught(self, pair: Batch) -> Tensor:
        """The same of the teacher, without gradient."""
        return self._cosine(self.teacher_projection(self.teacher_network.embed_windows(_flat(pair))), pair)

    def _cosine(self, z: Tensor, pair: Batch) -> Tensor:
        likeness = F.normalize(z, dim=-1) @ F.normalize(self.prototypes.weight, dim=-1).T
        return torch.unflatten(likeness, 0, (2, pair.slot.shape[1]))


class DINO(_Taught):
    """The student should say of one view what the teacher says of the other, centred over batches and sharpened [2]."""

    centre: Tensor

    def __init__(self, architecture: Architecture, seed: int = 0) -> None:
        super().__init__(architecture, DINO_PROTOTYPES, seed)
        self.register_buffer("centre", torch.zeros(DINO_PROTOTYPES))

    def losses(self, pair: Batch) -> Tensor:
        """Mean over both ways of the cross entropy of the student's shares with the teacher's."""
        pair = whole(pair)
        taught = self.taught(pair)
        wanted = ((taught - self.centre) / DINO_TEACHER_TEMPERATURE).softmax(-1)
        if self.training:
            self.centre.lerp_(taught.mean((0, 1)), 1 - CENTRE_MOMENTUM)
        said = (self.likeness(pair) / DINO_TEMPERATURE).log_softmax(-1)
        return -(wanted.flip(0) * said).sum(-1).mean(0)


class MSN(_Taught):
    """The student, who sees one view in part, should say what the teacher says of the whole other one [3].

    That all prototypes are used is asked for by the entropy of their mean share over the batch.
    """

    def __init__(self, architecture: Architecture, seed: int = 0) -> None:
        super().__init__(architecture, MSN_PROTOTYPES, seed)

    def losses(self, pair: Batch) -> Tensor:
        """Mean over both ways of the cross entropy, less the entropy of the mean."""
        wanted = (self.taught(whole(pair)) / MSN_TARGET_TEMPERATURE).softmax(-1)
        said = (self.likeness(pair) / MSN_TEMPERATURE).log_softmax(-1)
        mean = said.exp().mean((0, 1))
        return -(wanted.flip(0) * said).sum(-1).mean(0) + (mean * mean.clamp(min=1e-12).log()).sum()


METHODS: Final[dict[str, type[SimCLR] | type[DINO] | type[MSN]]] = {"simclr": SimCLR, "dino": DINO, "msn": MSN}


def paper_plan(method: str) -> TrainingPlan:
    """LSM-1's Table 15 for "simclr", "dino" or "msn"; what MSN hides is not told: the masks are the plan's."""
    rate = {"simclr": 1e-3, "dino": 4e-3, "msn": 1e-3}[method]
    return TrainingPlan(
        steps=50_000,
        batch_windows=4096,
        learning_rate=rate,
        warmup_share=2_500 / 50_000,
        weight_decay=1e-4,
        clip_norm=3.0,
        second_momentum=0.99,
        augment=Augmentation(),
    )


def pairs(
    days: Days,
    architecture: Architecture,
    plan: TrainingPlan,
    seed: int,
    steps: range,
    optimiser: torch.optim.Optimizer | None = None,
) -> Iterator[Batch]:
    """Two views of windows drawn evenly over all usable ones, [2, n]; step i is the same in every run.

    Each view is bent in its own way and hides places of its own, which only MSN's student leaves out.
    """
    usable = usable_windows(days, architecture)
    for step in steps:
        set_learning_rate(optimiser, plan, step)
        rng = stream(seed, "pair", step)
        windows = usable[rng.integers(len(usable), size=plan.batch_windows)]
        hidden = draw_masks(plan.masks, architecture.grid, 2 * len(windows), rng)
        both = days.batch(np.concatenate([windows, windows]), architecture.window_minutes, hidden)
        both = augment(both, plan.augment or Augmentation(), rng)
        shape = (2, len(windows))
        yield Batch(*(torch.unflatten(t, 0, shape) for t in (both.values, both.observed, both.slot, both.hidden)))


def whole(batch: Batch) -> Batch:
    """The same windows with nothing hidden."""
    return replace(batch, hidden=torch.zeros_like(batch.hidden))


def _flat(pair: Batch) -> Batch:
    """[2, n] -> [2 n]."""
    return Batch(*(t.flatten(0, 1) for t in (pair.values, pair.observed, pair.slot, pair.hidden)))
