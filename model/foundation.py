"""A trained model as a library: a folder loads in a line; days go in as they are measured, gaps and all.

::

    from model.foundation import FoundationModel

    from simulator.dataset import open_dataset

    model = FoundationModel.load("models/first")
    vectors = model.embed(open_dataset("data/others"))

``days`` are float32 [days, 26, minutes] in the units of ``simulator.signals``, minute 0 at midnight, NaN where nothing
was measured; or recordings: an opened dataset folder (``everywear simulate`` or ``import`` writes one), some of its
people (``dataset.select(...)``), or a list of its days (``[dataset[0], dataset[7]]``), which come back in that order,
that of ``dataset.index``. What lies under a gap of a recording changes nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.autoencoder import MaskedAutoencoder
from model.training import load_model
from model.windows import WINDOW_STRIDE_MINUTES, Batch, Normaliser, fill_gaps
from simulator.recording import DataError, Recording
from simulator.signals import MINUTES_PER_DAY, N_SIGNALS, SIGNALS

Measured = NDArray[np.float32] | Iterable[Recording]
AT_ONCE: Final = 16  # days, to bound memory
GROUPS: Final = 4  # of partly observed places, hidden in turn
_SLOTS: Final = MINUTES_PER_DAY // WINDOW_STRIDE_MINUTES


class FoundationModel:
    """A masked autoencoder with the constants of its normaliser.

    Attributes:
        network: The autoencoder, in evaluation mode; its device is where the work is done.
        normaliser: From the signals' units to z-scores and back.
    """

    def __init__(self, network: MaskedAutoencoder, normaliser: Normaliser) -> None:
        self.network = network.eval()
        self.normaliser = normaliser

    @classmethod
    def load(cls, folder: Path | str) -> "FoundationModel":
        """The model of a folder that ``everywear train`` or ``federate`` wrote.

        Raises:
            DataError: If a file is missing, damaged or not of this shape; the message names it.
        """
        return cls(*load_model(Path(folder)))

    @property
    def window_minutes(self) -> int:
        """Minutes that the model sees at once."""
        return self.network.architecture.window_minutes

    def embed(self, days: Measured) -> NDArray[np.float32]:
        """One vector a day, for probes and clustering: float32 [days, width], no unit.

        The mean over the day's windows, weighted by their observed cells, of the mean over each window's seen patches.
        A day with nothing in it gets the model's summary of an empty window.

        Raises:
            DataError: If days are not [days, 26, at least a window of minutes].
        """
        return np.concatenate([self._embed(*part) for part in self._parts(days)])

    def impute(self, days: Measured) -> NDArray[np.float32]:
        """The same days with every gap filled: float32 [days, 26, minutes], in the signals' units and ranges.

        Measured cells come back as they are. A patch that lacks some minutes is predicted without its own cells, which
        is what the model was trained for, and the prediction is then bent to meet them. Signals that the watch does
        not have are filled, too.

        Raises:
            DataError: If days are not [days, 26, at least a window of minutes].
        """
        return np.concatenate([self._impute(*part) for part in self._parts(days)])

    def forecast(self, days: Measured, minutes: int) -> NDArray[np.float32]:
        """What comes after the days: float32 [days, 26, ``minutes``], in the signals' units and ranges.

        Each day is continued from its own last minute, midnight or any earlier multiple of ten, by what the model makes
        of the minutes before it: a window less ``minutes``. What lies before the day's first minute is a gap.

        Args:
            days: As everywhere; may be shorter than a window, at least ten minutes.
            minutes: How far, at least 1; a patch of the window must be left to look at.

        Raises:
            DataError: If days are not [days, 26, multiple of ten minutes].
            ValueError: If ``minutes`` is too many or too few.
        """
        grain = np.lcm(WINDOW_STRIDE_MINUTES, self.network.architecture.patch_minutes)
        ahead = int(-(-minutes // grain) * grain)
        if minutes < 1 or ahead > self.window_minutes - grain:
            raise ValueError(f"{minutes=} is not in [1, {self.window_minutes - grain}], a window less a patch")
        parts = [self._forecast(z, observed, ahead)[..., :minutes] for _, z, observed in self._parts(days, least=10)]
        return np.concatenate(parts)

    @torch.no_grad()
    def _embed(self, _: NDArray[np.float32], z: Tensor, observed: Tensor) -> NDArray[np.float32]:
        total = torch.zeros(1)
        weight = torch.zeros(1)
        for start in self._starts(z.shape[-1], self.window_minutes):
            batch = self._batch(z, observed, start)
            cells = batch.observed.sum((1, 2), keepdim=True)[..., 0].float().clamp(min=1e-3)  # so that none is no 0 / 0
            total = total.to(cells.device) + cells * self.network.embed_windows(batch).float()
            weight = weight.to(cells.device) + cells
        return (total / weight).cpu().numpy()

    @torch.no_grad()
    def _impute(self, values: NDArray[np.float32], z: Tensor, observed: Tensor) -> NDArray[np.float32]:
        filled, best = z.clone(), torch.full((z.shape[-1],), -1)
        inside = torch.minimum(torch.arange(self.window_minutes), torch.arange(self.window_minutes).flip(0))
        for start in self._starts(z.shape[-1], self.window_minutes // 2):
            span = slice(start, start + self.window_minutes)
            better = inside > best[span]  # each minute from the window in which it lies furthest from an end
            found = self._fill(self._batch(z, observed, start)).cpu()
            filled[..., span] = torch.where(better, found, filled[..., span])
            best[span] = torch.where(better, inside, best[span])
        return np.where(observed.numpy(), values, self._in_units(filled))

    def _fill(self, batch: Batch) -> Tensor:
        """A window's cells, [n, 26, minutes]: observed as they are, others predicted."""
        network, a = self.network, self.network.architecture
        missing = ~network.places_of(batch.observed)
        partly = network.places_of(~batch.observed) & ~missing
        place = torch.arange(a.grid.places, device=partly.device)
        group = (place // a.grid.columns + place % a.grid.columns) % GROUPS  # neighbours stay seen
        predicted = network.reconstruct(replace(batch, hidden=missing))
        for turn in range(GROUPS):
            asked = partly & (group == turn)
            if asked.any():
                found = network.reconstruct(replace(batch, hidden=missing | asked))
                predicted = torch.where(network.hidden_cells(asked), found, predicted)
        grid = (a.grid.columns, a.patch_minutes)
        known = torch.unflatten(batch.observed, -1, grid)
        missed = fill_gaps(torch.unflatten(batch.values - predicted, -1, grid), known).flatten(-2)
        return torch.where(batch.observed, batch.values, predicted + missed)

    @torch.no_grad()
    def _forecast(self, z: Tensor, observed: Tensor, ahead: int) -> NDArray[np.float32]:
        a = self.network.architecture
        n, _, length = z.shape
        start = length + ahead - self.window_minutes
        values = torch.zeros(n, N_SIGNALS, self.window_minutes)
        there = torch.zeros(values.shape, dtype=torch.bool)
        seen = min(length, self.window_minutes - ahead)
        span = slice(self.window_minutes - ahead - seen, self.window_minutes - ahead)
        values[..., span], there[..., span] = z[..., length - seen :], observed[..., length - seen :]
        hidden = torch.zeros(n, a.grid.rows, a.grid.columns, dtype=torch.bool)
        hidden[..., -(ahead // a.patch_minutes) :] = True
        slot = torch.full((n,), start // WINDOW_STRIDE_MINUTES % _SLOTS)
        batch = Batch(values, there, slot, hidden.flatten(1)).to(self._device)
        return self._in_units(self.network.reconstruct(batch)[..., -ahead:].cpu())

    def _batch(self, z: Tensor, observed: Tensor, start: int) -> Batch:
        """The window that begins at a minute, nothing hidden."""
        span = slice(start, start + self.window_minutes)
        slot = torch.full((len(z),), start // WINDOW_STRIDE_MINUTES)
        hidden = torch.zeros(len(z), self.network.architecture.grid.places, dtype=torch.bool)
        return Batch(z[..., span], observed[..., span], slot, hidden).to(self._device)

    def _starts(self, length: int, stride: int) -> list[int]:
        """First minutes of windows that cover a day, every ``stride`` minutes, and the last that fits."""
        stride = max(stride // WINDOW_STRIDE_MINUTES, 1) * WINDOW_STRIDE_MINUTES
        last = length - self.window_minutes
        return sorted({*range(0, last + 1, stride), last})

    def _parts(self, days: Measured, least: int = 0) -> Iterator[tuple[NDArray[np.float32], Tensor, Tensor]]:
        """Values as measured (NaN: nothing was), z-scores and observed, so many days at once."""
        least = least or self.window_minutes
        empty = True
        for values in _arrays(days):
            minutes = values.shape[-1]
            if values.shape[1:-1] != (N_SIGNALS,) or not least <= minutes <= MINUTES_PER_DAY or minutes % 10:
                expected = f"[days, {N_SIGNALS}, minutes], a multiple of 10 from {least} to {MINUTES_PER_DAY}"
                raise DataError(f"days have the shape {values.shape}, expected {expected}")
            observed = np.isfinite(values)
            z = self.normaliser.apply(np.where(observed, values, np.float32(0)), observed)
            yield values, torch.from_numpy(z), torch.from_numpy(observed)
            empty = False
        if empty:
            raise DataError("no days: expected at least one")

    def _in_units(self, z: Tensor) -> NDArray[np.float32]:
        low, high = (np.array([[getattr(s, end)] for s in SIGNALS], np.float32) for end in ("low", "high"))
        return np.clip(self.normaliser.invert(z.float().numpy()), low, high)

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device


def _arrays(days: Measured) -> Iterator[NDArray[np.float32]]:
    """Days in arrays of at most ``AT_ONCE``, NaN where missing."""
    if isinstance(days, np.ndarray):
        if days.ndim != 3:
            raise DataError(f"days have the shape {days.shape}, expected [days, {N_SIGNALS}, minutes]")
        for start in range(0, len(days), AT_ONCE):
            yield days[start : start + AT_ONCE].astype(np.float32)
        return
    left = iter(days)
    while recordings := list(islice(left, AT_ONCE)):
        yield np.stack([np.where(r.observed, r.values, np.float32(np.nan)) for r in recordings])
