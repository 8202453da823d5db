"""Faults of federations, evaluation and arithmetic, each planted for the length of one test.

Every function takes pytest's monkeypatch and breaks one rule; ``tests/test_rules_of_rounds.py`` says which.
"""

import os
import sys
import tempfile
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Error, MetricRecord
from torch import Tensor

import federated.run as run_module
from federated import client_app, maker, server_app
from federated.parameters import touchable
from federated.strategy import MakerAverage
from model.autoencoder import MaskedAutoencoder
from privacy import mechanism, person_gradients, probe
from privacy.ledger import Ledger, Release
from privacy.noise import KeyedStream
from simulator.dataset import open_dataset
from simulator.files import write_whole
from simulator.randomness import stream_key
from simulator.signals import NAMES


def people_in_the_reply(patch: pytest.MonkeyPatch) -> None:
    """Flower's FedAvg: a client says how many examples it has."""
    patch.setattr(client_app, "MetricRecord", lambda told: MetricRecord({**told, "num-examples": 12}))


def errors_in_the_reply(patch: pytest.MonkeyPatch) -> None:
    """What went wrong is told in full."""
    patch.setattr(client_app, "Error", lambda code, reason: Error(code, f"{reason}: {traceback.format_exc()}"))


def the_server_asks(patch: pytest.MonkeyPatch) -> None:
    """Federated evaluation: every maker is asked for its people's loss."""
    patch.setattr(MakerAverage, "configure_evaluate", lambda *_: ["evaluate"])


def makers_people_are_watched(patch: pytest.MonkeyPatch) -> None:
    """The loss over the rounds is that of a maker's people."""
    patch.setattr(
        server_app, "open_dataset", lambda path: open_dataset(path.parent.parent / "vendors" / "aurora" / "data")
    )


def batch_norm_is_let_in(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(person_gradients, "_BatchNorm", type("Never", (), {}))


def loss_relative_to_the_batch(patch: pytest.MonkeyPatch) -> None:
    """Losses are normalised by the batch's, as in contrastive methods and batch-quantile losses."""
    real = MaskedAutoencoder.forward

    def forward(self: Any, batch: Any) -> Tensor:
        loss = real(self, batch)
        return loss / loss.mean()

    patch.setattr(MaskedAutoencoder, "forward", forward)


def norm_follows_the_gradients(patch: pytest.MonkeyPatch) -> None:
    """Adaptive clipping whose quantile nobody pays for (opacus #779)."""
    real = mechanism.clip_scales

    def scales(gradients: Any, clip_norm: float) -> Tensor:
        held = list(gradients)
        square = sum(g.flatten(1).double().square().sum(1) for g in held)
        return real(held, max(clip_norm, float(square.sqrt().median())))

    patch.setattr(mechanism, "clip_scales", scales)


def sensors_as_seen(patch: pytest.MonkeyPatch) -> None:
    """A signal that nobody recorded is left out."""

    def seen(model: Any, signals: Any) -> Any:
        days = sys._getframe(1).f_locals["people"].days
        recorded = [name for i, name in enumerate(NAMES) if days.observed[:, i].any()]
        return touchable(model, [name for name in signals if name in recorded])

    patch.setattr(maker, "touchable", seen)


def noise_in_float32(patch: pytest.MonkeyPatch) -> None:
    real = KeyedStream.normal
    patch.setattr(KeyedStream, "normal", lambda self, n: real(self, n).astype(np.float32).astype(np.float64))


def noise_on_a_coarse_grid(patch: pytest.MonkeyPatch) -> None:
    """Sixteen random bits a draw."""
    real = KeyedStream.normal
    patch.setattr(KeyedStream, "normal", lambda self, n: np.round(real(self, n) * 2.0**12) / 2.0**12)


def nobody_looks(patch: pytest.MonkeyPatch) -> None:
    """People are taken to be disjoint."""
    patch.setattr(run_module, "makers_of_one_person", lambda _: 1)


def the_same_people(patch: pytest.MonkeyPatch) -> None:
    """The experiment's seed simulates every maker's people."""
    patch.setattr(maker, "stream_key", lambda seed, *_: stream_key(seed))


def charged_when_done(patch: pytest.MonkeyPatch) -> None:
    """The ledger learns of a round when its answer is there."""
    waiting: list[Any] = []
    real_charge = Ledger.charge

    def write(*arguments: Any) -> None:
        for ledger, release in waiting:
            real_charge(ledger, release)
        waiting.clear()
        write_whole(*arguments)

    patch.setattr(Ledger, "charge", lambda self, release: waiting.append((self, release)))
    patch.setattr(maker, "write_whole", write)


def new_noise_on_retry(patch: pytest.MonkeyPatch) -> None:
    """A generator that nobody restored."""
    real = Release.stream
    patch.setattr(Release, "stream", lambda self, key: real(self, os.urandom(len(key))))


def probe_not_charged(patch: pytest.MonkeyPatch) -> None:
    real = Ledger.charge
    patch.setattr(
        Ledger, "charge", lambda self, release: not release.purpose.startswith("probe") and real(self, release)
    )


def probe_with_own_ledger(patch: pytest.MonkeyPatch) -> None:
    """Every analysis begins to count anew."""
    real = probe.private_probe

    def own(*data: Any, ledger: Ledger, **rest: Any) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            other = Ledger.open(Path(folder) / "l", vendor="a", delta=ledger.delta, epsilon_budget=8.0)
            return real(*data, ledger=other, **rest)

    patch.setattr(probe, "private_probe", own)


def probe_without_noise(patch: pytest.MonkeyPatch) -> None:
    """The embeddings are private already, so the head is trained as usual."""
    real = mechanism.make_private

    def plain(module: Any, optimizer: Any, plan: Any, **rest: Any) -> Any:
        return real(module, optimizer, replace(plan, noise_multiplier=0.0), **rest)

    patch.setattr(mechanism, "make_private", plain)
