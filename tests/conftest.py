"""Fixtures that several files share: small, and made once."""

from pathlib import Path

import numpy as np
import pytest
import torch

from federated.presets import PRESETS
from federated.run import run
from model.windows import Days
from simulator.dataset import Dataset, open_dataset, write_dataset
from simulator.randomness import stream
from simulator.recording import Recording
from simulator.signals import MINUTES_PER_DAY, N_SIGNALS
from tests.planted import DAYS, PEOPLE, planted, planted_people

TINY = PRESETS["tiny"].resolved()


def ignore(stage: str, done: int, total: int, note: str = "") -> None:
    """A watch that looks away."""


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Small tensors run faster, and the same on every machine, on one thread."""
    torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On several processes a file's tests stay together, for their fixtures; a group that a file names goes first."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


def wavy_days(n_people: int, days_each: int = 1, seed: int = 0) -> Days:
    """Normalised person-days with shared slow waves and gaps of all kinds; enough for a model to learn something."""
    rng = stream(seed, "wavy")
    n = n_people * days_each
    minute = np.arange(MINUTES_PER_DAY) / MINUTES_PER_DAY
    phase = rng.random((n, 1, 1)) * 2 * np.pi
    loading = rng.normal(size=(1, N_SIGNALS, 2))
    waves = np.stack([np.sin(2 * np.pi * 3 * minute + phase[:, 0]), np.cos(2 * np.pi * 11 * minute + phase[:, 0])], -1)
    values = np.einsum("nmw,zsw->nsm", waves, loading) + 0.1 * rng.normal(size=(n, N_SIGNALS, MINUTES_PER_DAY))
    observed = np.ones(values.shape, dtype=bool)
    observed[:, :, 100:163] = False  # taken off
    observed[:, 20:, 900:1200] = False  # sensors switched off
    observed[rng.random(values.shape) < 0.02] = False
    person = tuple(f"p{i // days_each:03d}" for i in range(n))
    return Days(np.where(observed, values, 0).astype(np.float32), observed, person, np.arange(n) % days_each)


@pytest.fixture(scope="session")
def days() -> Days:
    return wavy_days(12, 2)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the tiny preset; look, but do not touch. Files that do are one group, so it is made once."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run(TINY, folder, workers=1, watch=ignore)
    return folder


@pytest.fixture(scope="session")
def planted_recordings() -> list[Recording]:
    """Days of people of whom every number is known."""
    return [planted(person, day) for person in range(PEOPLE) for day in range(DAYS)]


@pytest.fixture(scope="session")
def planted_dataset(planted_recordings: list[Recording], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The same as a folder; look, but do not touch."""
    folder = tmp_path_factory.mktemp("planted") / "ds"
    write_dataset(folder, planted_recordings, planted_people())
    return open_dataset(folder)
