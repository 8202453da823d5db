"""Augmentations that a matrix of signals by minutes bears: flip, stretch, noise (LSM-1, appendix E.2).

Cropping and resizing, as for images, would cut off signals. The paper names the three and no size of theirs; the sizes
here are judgement.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from model.windows import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far windows are bent.

    Attributes:
        flip: Probability that a window runs backwards.
        stretch: Largest factor by which time is stretched; a window is then cut out of it at a random place. 1 is none.
        noise_z: Standard deviation of Gaussian noise on observed cells, z.
    """

    flip: float = 0.5
    stretch: float = 1.5
    noise_z: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.flip <= 1:
            raise ValueError(f"augmentation: flip={self.flip} is not in [0, 1]")
        if not 1 <= self.stretch < math.inf:
            raise ValueError(f"augmentation: stretch={self.stretch} is not in [1, inf)")
        if not 0 <= self.noise_z < math.inf:
            raise ValueError(f"augmentation: noise_z={self.noise_z} is not in [0, inf)")


NOISE = Augmentation(flip=0.0, stretch=1.0)  # all that probes and supervised training get (Tables 16, 17)


def augment(batch: Batch, how: Augmentation, rng: np.random.Generator) -> Batch:
    """Windows [n, 26, minutes], each bent in its own way; places hidden and times of day stay.

    A stretched minute lies between two measured ones and is observed where both are; no cell that was not observed is
    read.
    """
    n, _, minutes = batch.values.shape
    factor = 1 + (how.stretch - 1) * rng.random((n, 1))
    start = rng.random((n, 1)) * (minutes - 1) * (1 - 1 / factor)
    position = start + np.arange(minutes) / factor
    position = np.where(rng.random((n, 1)) < how.flip, minutes - 1 - position, position).clip(0, minutes - 1)
    low = np.floor(position).astype(np.int64)
    share = torch.from_numpy((position - low).astype(np.float32))[:, None]
    left, right = (
        torch.from_numpy(at)[:, None].expand(batch.values.shape) for at in (low, (low + 1).clip(max=minutes - 1))
    )
    observed = batch.observed.gather(-1, left) & (batch.observed.gather(-1, right) | (share == 0))
    values = batch.values.gather(-1, left) * (1 - share) + batch.values.gather(-1, right) * share
    if how.noise_z:
        values = values + torch.from_numpy(rng.normal(0, how.noise_z, values.shape).astype(np.float32))
    return replace(batch, values=torch.where(observed, values, 0.0), observed=observed)
