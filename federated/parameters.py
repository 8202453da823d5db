"""A model as one flat vector, and which of its entries a maker's sensors can touch.

One vector rather than a tensor a layer: one network object a message (measured: fewer objects, 3 times faster rounds in
a deployed Flower, and no lock trouble in its database).
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.autoencoder import MaskedAutoencoder, Position
from simulator.recording import DataError
from simulator.signals import NAMES

Theta = NDArray[np.float32]


def pack(model: nn.Module) -> Theta:
    """All parameters, in order of their names' registration: float32 [parameters]."""
    return np.concatenate([p.detach().cpu().numpy().ravel() for p in model.parameters()]).astype(np.float32)


@torch.no_grad()
def unpack(model: nn.Module, theta: Theta) -> None:
    """Put ``pack``'s vector back.

    Raises:
        DataError: If the length does not fit, or an entry is not finite.
    """
    expected = sum(p.numel() for p in model.parameters())
    if theta.shape != (expected,):
        raise DataError(f"model vector has shape {theta.shape}, expected ({expected},)")
    if not np.isfinite(theta).all():
        raise DataError(f"model vector has {int((~np.isfinite(theta)).sum())} entries that are not finite")
    start = 0
    for p in model.parameters():
        p.copy_(torch.from_numpy(theta[start : start + p.numel()].copy()).view_as(p))
        start += p.numel()


def touchable(model: MaskedAutoencoder, signals: Sequence[str]) -> dict[str, Tensor]:
    """Per parameter, True where a maker that records ``signals`` may learn; False in rows of signals it has not.

    A public fact of the maker's schema. There it adds neither gradient nor noise, and the average is over the
    makers that have the signal.
    """
    a = model.architecture
    have = np.isin(NAMES, list(signals))
    padded = np.pad(have, (0, a.grid.rows * a.patch_signals - len(NAMES)))
    rows = torch.from_numpy(padded.reshape(a.grid.rows, a.patch_signals).any(1))
    masks = {name: torch.ones_like(p, dtype=torch.bool) for name, p in model.named_parameters()}
    for name, module in model.named_modules():
        if isinstance(module, Position):
            masks[f"{name}.row.weight"] &= rows[:, None]
    return masks


def touchable_vector(model: MaskedAutoencoder, signals: Sequence[str]) -> NDArray[np.bool_]:
    """``touchable`` in the order of ``pack``: bool [parameters]."""
    masks = touchable(model, signals)
    return np.concatenate([masks[name].numpy().ravel() for name, _ in model.named_parameters()])
