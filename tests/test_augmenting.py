"""Windows are bent as they say, and no cell that was not observed is read."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from model.augmenting import NOISE, Augmentation, augment
from model.windows import Batch
from simulator.randomness import stream
from tests.conftest import wavy_days
from tests.strategies import seeds

MINUTES = 300
DAYS = wavy_days(3)
STILL = Augmentation(flip=0.0, stretch=1.0, noise_z=0.0)


def batch_of(n: int = 6) -> Batch:
    windows = DAYS.usable(MINUTES)[np.linspace(0, len(DAYS.usable(MINUTES)) - 1, n).astype(int)]
    return DAYS.batch(windows, MINUTES, np.zeros((n, 780), np.bool_))


def test_nothing_asked_is_nothing_done() -> None:
    batch = batch_of()
    same = augment(batch, STILL, stream(0))
    assert torch.equal(same.observed, batch.observed)
    assert torch.equal(same.values, torch.where(batch.observed, batch.values, 0.0))


def test_a_flip_runs_backwards() -> None:
    batch = batch_of()
    flipped = augment(batch, replace(STILL, flip=1.0), stream(0))
    assert torch.equal(flipped.observed, batch.observed.flip(-1))
    assert torch.equal(flipped.values, batch.values.flip(-1))
    twice = augment(flipped, replace(STILL, flip=1.0), stream(1))
    assert torch.equal(twice.values, batch.values)
    half = augment(batch_of(400), replace(STILL, flip=0.5), stream(2))
    changed = (half.values != batch_of(400).values).any(-1).any(-1).float().mean()
    assert abs(float(changed) - 0.5) < 5 * np.sqrt(0.25 / 400)


def test_a_stretch_slows_a_ramp_by_its_factor() -> None:
    """A ramp of slope one gets the slope 1 / factor, factors are spread up to the largest, and stay in the window."""
    n = 200
    ramp = torch.arange(MINUTES).float().expand(n, 26, MINUTES).clone()
    batch = replace(batch_of(n), values=ramp, observed=torch.ones_like(ramp, dtype=torch.bool))
    bent = augment(batch, replace(STILL, stretch=2.0), stream(3)).values
    slope = (bent[:, 0, -1] - bent[:, 0, 0]) / (MINUTES - 1)
    steps = bent[:, 0].diff(dim=-1)
    torch.testing.assert_close(steps, slope[:, None].expand(steps.shape), rtol=1e-3, atol=1e-3)
    factor = 1 / slope.double()
    assert 1 - 1e-5 <= float(factor.min()) < 1.05 < 1.95 < float(factor.max()) <= 2 + 1e-5
    assert float(bent.min()) >= 0
    assert float(bent.max()) <= MINUTES - 1


def test_noise_has_its_size_and_falls_on_observed_cells_only() -> None:
    batch = batch_of(40)
    noisy = augment(batch, replace(NOISE, noise_z=0.3), stream(4))
    added = (noisy.values - batch.values)[batch.observed]
    assert abs(float(added.std()) / 0.3 - 1) < 5 / np.sqrt(2 * len(added))
    assert (noisy.values[~batch.observed] == 0).all()


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_cells_that_were_not_observed_change_nothing(seed: int) -> None:
    batch = batch_of()
    other = replace(batch, values=torch.where(batch.observed, batch.values, 9.0))
    one, two = (augment(b, Augmentation(), stream(seed)) for b in (batch, other))
    assert torch.equal(one.observed, two.observed)
    assert torch.equal(one.values, two.values)
    assert torch.isfinite(one.values).all()


@pytest.mark.parametrize("bad", [{"flip": 1.5}, {"stretch": 0.5}, {"noise_z": -1.0}, {"noise_z": float("nan")}])
def test_impossible_sizes_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"augmentation: {next(iter(bad))}"):
        Augmentation(**bad)
