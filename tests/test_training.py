"""Training learns, resumes to the same weights, and leaves whole files only."""

import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from model.augmenting import Augmentation
from model.autoencoder import AIM, LSM1, Architecture, MaskedAutoencoder
from model.masking import MaskMix
from model.training import (
    PLANS,
    Origin,
    Together,
    TrainingPlan,
    adamw,
    alike,
    batches,
    describe_model,
    load_model,
    parameters,
    read_safetensors,
    run_steps,
    save_model,
    train,
    validation_loss,
)
from model.windows import Batch, Days, Normaliser
from simulator.recording import DataError
from simulator.signals import N_SIGNALS, SIGNALS
from tests.conftest import wavy_days

SHAPE = Architecture(window_minutes=100, width=16, depth=1, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2)
PLAN = TrainingPlan(steps=6, batch_windows=4, checkpoint_every=2)
BENT = replace(PLAN, augment=Augmentation())
NORMALISER = Normaliser((0.0,) * N_SIGNALS, (1.0,) * N_SIGNALS)


class KilledError(Exception):
    """Stands for kill -9: whatever was not on disk is gone."""


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("options", [{}, LSM1 | {"window_minutes": 100}, AIM | {"drop_ratio": 0.2}], ids=str)
def test_one_window_can_be_learnt_by_heart(options: dict[str, Any]) -> None:
    days = wavy_days(1)
    days.observed[:, :, 100:] = False  # leaves a single usable stretch
    plan = TrainingPlan(steps=240, batch_windows=4, learning_rate=8e-3, masks=MaskMix(random=0.3, weights=(1, 0, 0)))
    losses = train(MaskedAutoencoder(replace(SHAPE, **options), 0), days, plan, seed=0)
    assert sum(losses[-10:]) < 0.2 * sum(losses[:10])


@pytest.mark.parametrize("killed_after", [1, 2, 3, 5])
def test_a_killed_run_ends_with_the_same_weights_and_losses(days: Days, tmp_path: Path, killed_after: int) -> None:
    whole, halves = MaskedAutoencoder(SHAPE, 0), MaskedAutoencoder(SHAPE, 0)
    expected = train(whole, days, PLAN, seed=3)
    file = tmp_path / "checkpoint.safetensors"

    def kill(step: int, _: float) -> None:
        if step == killed_after:
            raise KilledError

    with pytest.raises(KilledError):
        train(halves, days, PLAN, seed=3, checkpoint=file, progress=kill)
    fresh = MaskedAutoencoder(SHAPE, 99)  # its weights come from the checkpoint, if there is one
    if not file.exists():
        fresh = MaskedAutoencoder(SHAPE, 0)
    assert train(fresh, days, PLAN, seed=3, checkpoint=file) == expected
    assert same(fresh, whole)


def test_another_plan_s_checkpoint_is_refused(days: Days, tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.safetensors"
    train(MaskedAutoencoder(SHAPE, 0), days, PLAN, seed=3, checkpoint=file)
    with pytest.raises(DataError, match="made by another plan"):
        train(MaskedAutoencoder(SHAPE, 0), days, PLAN, seed=4, checkpoint=file)
    with pytest.raises(DataError, match="or data"):
        train(MaskedAutoencoder(SHAPE, 0), wavy_days(5), PLAN, seed=3, checkpoint=file)


def test_a_diverging_loss_ends_the_training(days: Days) -> None:
    with pytest.raises(DataError, match="lower learning rate"):
        train(MaskedAutoencoder(SHAPE, 0), days, replace(PLAN, learning_rate=1e30), seed=3)


def test_every_step_has_windows_and_masks_of_its_own_and_all_kinds_of_masks_are_drawn(days: Days) -> None:
    first, second = batches(days, SHAPE, replace(PLAN, batch_windows=60), 1, range(2))
    assert not torch.equal(first.values, second.values)
    assert not torch.equal(first.hidden, second.hidden)
    hidden = first.hidden.reshape(60, SHAPE.grid.rows, SHAPE.grid.columns)
    is_time, is_signal = (hidden == hidden[:, :1]).all((1, 2)), (hidden == hidden[:, :, :1]).all((1, 2))
    for share in (is_time, is_signal, ~is_time & ~is_signal):
        assert 0.1 < float(share.float().mean()) < 0.6


def test_gradients_are_clipped(days: Days) -> None:
    model = MaskedAutoencoder(SHAPE, 0)
    before = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
    loader = batches(days, SHAPE, PLAN, 1, range(1))
    run_steps(model, torch.optim.SGD(model.parameters(), lr=1.0), loader, clip_norm=0.01)
    moved = torch.cat([p.detach().flatten() for p in model.parameters()]) - before
    assert 0.009 < float(moved.norm()) <= 0.01 * (1 + 1e-3)


def test_a_batch_worked_off_in_parts_has_the_gradient_of_the_whole(days: Days) -> None:
    moved = []
    for parts in (1, 3):
        model = MaskedAutoencoder(SHAPE, 0)
        loader = batches(days, SHAPE, replace(PLAN, batch_windows=7), 1, range(1))
        losses: list[float] = []
        run_steps(model, torch.optim.SGD(model.parameters(), lr=1.0), loader, on_loss=losses.append, parts=parts)
        moved.append((torch.cat([p.detach().flatten() for p in model.parameters()]), losses[0]))
    torch.testing.assert_close(moved[0][0], moved[1][0], rtol=1e-4, atol=1e-5)
    assert moved[0][1] == pytest.approx(moved[1][1], rel=1e-5)


def test_parts_hold_every_window_once_and_the_like_together(days: Days) -> None:
    model = MaskedAutoencoder(SHAPE, 0)
    batch = next(iter(batches(days, SHAPE, replace(PLAN, batch_windows=7), 1, range(1))))
    parts = list(alike(model, batch, 3))
    assert sorted(float(part.values.sum()) for part in parts for part in _each(part)) == sorted(
        float(one.values.sum()) for one in _each(batch)
    )
    counts = [model.seen_places(part) for part in parts]
    assert all(int(a.max()) <= int(b.min()) for a, b in itertools.pairwise(counts))
    place = model.encode(batch, *model.inputs(batch)).place
    assert int(model.seen_places(batch).max()) == place.shape[-1]


def _each(batch: Batch) -> list[Batch]:
    return [
        Batch(batch.values[i, None], batch.observed[i, None], batch.slot[i, None], batch.hidden[i, None])
        for i in range(len(batch.slot))
    ]


TWO = """
import json, sys
from dataclasses import replace
from pathlib import Path
from model.autoencoder import MaskedAutoencoder
from model.training import Together, train
from tests.conftest import wavy_days
from tests.test_training import PLAN, SHAPE
together, folder = Together.started(), Path(sys.argv[1])
model = MaskedAutoencoder(SHAPE, 0)
losses = train(model, wavy_days(4), PLAN, seed=3, checkpoint=folder / f"{together.rank}.safetensors", together=together)
(folder / f"{together.rank}.json").write_text(json.dumps([losses, float(sum(p.sum() for p in model.parameters()))]))
"""


def test_two_processes_go_the_way_of_one_with_the_whole_batch(tmp_path: Path) -> None:
    """As ``torchrun --nproc-per-node 2`` starts them, over gloo; the first alone writes the checkpoint."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", TWO, str(tmp_path)],
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=Path(__file__).parents[1],
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    for process in started:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said.decode()[-2000:]
    alone = MaskedAutoencoder(SHAPE, 0)
    expected = train(alone, wavy_days(4), PLAN, seed=3)
    total = float(sum(p.detach().sum() for p in alone.parameters()))
    for rank in range(2):
        losses, found = json.loads((tmp_path / f"{rank}.json").read_text())
        assert losses == pytest.approx(expected, rel=1e-4)
        assert found == pytest.approx(total, rel=1e-3)
    assert (tmp_path / "0.safetensors").exists()
    assert not (tmp_path / "1.safetensors").exists()


def test_windows_that_cannot_be_shared_evenly_are_refused(days: Days) -> None:
    batch = next(iter(batches(days, SHAPE, PLAN, 1, range(1))))
    with pytest.raises(ValueError, match="4 windows a step cannot be shared evenly by 3 processes"):
        Together(0, 3).share(batch)


def test_the_learning_rate_rises_and_falls() -> None:
    plan = TrainingPlan(steps=100, learning_rate=1.0, warmup_share=0.1)
    rates = [plan.learning_rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == pytest.approx(1.0)
    assert rates[-1] < 0.001
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_the_plan_of_lsm1_is_table_15() -> None:
    plan = PLANS["lsm1"]
    assert (plan.steps, round(plan.warmup_share * plan.steps), plan.batch_windows) == (50_000, 2_500, 4_096)
    assert (plan.learning_rate, plan.weight_decay, plan.clip_norm) == (0.005, 0.0001, 1.0)
    assert (plan.masks.weights, plan.masks.random) == ((1,), 0.8)
    optimiser = adamw(MaskedAutoencoder(SHAPE), plan)
    assert optimiser.defaults["betas"] == (0.9, 0.95)
    assert plan.augment is not None
    assert plan.augment.flip > 0
    assert plan.augment.stretch > 1
    assert plan.augment.noise_z > 0


def test_augmented_batches_are_others_and_repeat(days: Days) -> None:
    plain, bent, again = (next(batches(days, SHAPE, p, 1, range(1))) for p in (PLAN, BENT, BENT))
    assert torch.equal(plain.hidden, bent.hidden)
    assert not torch.equal(plain.values, bent.values)
    assert torch.equal(again.values, bent.values)
    model = MaskedAutoencoder(SHAPE, 0)
    assert validation_loss(model, days, PLAN, seed=1) == validation_loss(model, days, BENT, seed=1)


def test_masks_that_hide_less_than_is_dropped_are_refused(days: Days) -> None:
    model = MaskedAutoencoder(replace(SHAPE, drop_ratio=0.6), 0)
    with pytest.raises(ValueError, match=r"drop_ratio=0.6 drops 156 of 260 places, masks hide 130"):
        train(model, days, PLAN, seed=0)


def test_validation_neither_trains_nor_varies(days: Days) -> None:
    model = MaskedAutoencoder(SHAPE, 0)
    before = [p.clone() for p in model.parameters()]
    one = validation_loss(model, days, PLAN, seed=1, n_batches=2)
    assert one == validation_loss(model, days, PLAN, seed=1, n_batches=2)
    assert all(torch.equal(p, q) for p, q in zip(before, model.parameters(), strict=True))


def test_a_model_folder_gives_the_same_model_back(tmp_path: Path) -> None:
    model = MaskedAutoencoder(SHAPE, 5)
    save_model(tmp_path, model, NORMALISER, Origin(seed=5))
    loaded, normaliser = load_model(tmp_path)
    assert same(model, loaded)
    assert normaliser == NORMALISER
    assert loaded.architecture == SHAPE


def test_damaged_model_folders_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"model\.json: no such file"):
        load_model(tmp_path)
    save_model(tmp_path, MaskedAutoencoder(SHAPE, 5), NORMALISER, Origin(seed=5))
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:200])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_model(tmp_path)
    weights.unlink()
    with pytest.raises(DataError, match=r"model\.safetensors: no such file"):
        read_safetensors(weights)


STRANGE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no object": (lambda _: [], "should be an object"),
    "no seed": (lambda d: d | {"made_by": {}}, r"made_by.seed: Field required"),
    "text for a number": (lambda d: _with(d, width="wide"), r"architecture.width: .*found 'wide'"),
    "no heads": (lambda d: _with(d, heads=0), r"heads=0 is not in \[1, 128\]"),
    "negative": (lambda d: _with(d, width=-48), r"width=-48 is not in"),
    "immense": (lambda d: _with(d, width=10**15), r"width=1000000000000000 is not in"),
    "infinite reach": (lambda d: _with(d, anchor_minutes=[1e999]), r"anchor_minutes"),
    "too few means": (lambda d: d | {"normaliser": {"mean": [0.0], "sd": [1.0]}}, r"normaliser: mean has 1 numbers"),
}


def _with(description: dict[str, Any], **changes: object) -> dict[str, Any]:
    return description | {"architecture": description["architecture"] | changes}


@pytest.mark.parametrize("what", STRANGE)
def test_a_strange_description_of_a_model_is_refused_by_field(what: str, tmp_path: Path) -> None:
    save_model(tmp_path, MaskedAutoencoder(SHAPE, 5), NORMALISER, Origin(seed=5))
    path = tmp_path / "model.json"
    change, said = STRANGE[what]
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=rf"model\.json: (?s:.*)({said})"):
        load_model(tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"{", b"[" * 100_000, b""])
def test_a_description_that_is_no_json_is_refused(content: bytes, tmp_path: Path) -> None:
    save_model(tmp_path, MaskedAutoencoder(SHAPE, 5), NORMALISER, Origin(seed=5))
    (tmp_path / "model.json").write_bytes(content)
    with pytest.raises(DataError, match=r"model\.json: Invalid JSON"):
        load_model(tmp_path)


def test_a_model_folder_has_a_card_of_what_its_description_says(tmp_path: Path) -> None:
    origin = Origin(seed=5, people=("a", "b"), plan=PLAN, data="f00d", method="dino", loss=0.51234, held_out_loss=0.625)
    model = MaskedAutoencoder(SHAPE, 5)
    save_model(tmp_path, model, NORMALISER, origin)
    text = (tmp_path / "README.md").read_text()
    assert f"{parameters(model):,} parameters" in text
    assert f"Windows of {SHAPE.window_minutes} minutes" in text
    assert f"{PLAN.steps} steps of {PLAN.batch_windows} windows" in text
    for told in ("DINO", "Seed: 5", "People: 2", "f00d", "last step: 0.5123", "held out: 0.6250", "`impute` and"):
        assert told in text
    for signal, mean, sd in zip(SIGNALS, NORMALISER.mean, NORMALISER.sd, strict=True):
        assert f"| {signal.name} | {signal.unit} | {mean:.4g} | {sd:.4g} |" in text
    assert describe_model(tmp_path).made_by == origin
    save_model(tmp_path, model, NORMALISER, Origin(seed=1, experiment="beef"))
    text = (tmp_path / "README.md").read_text()
    assert "experiment `beef`" in text
    for silent in ("Loss", "Plan", "Dataset", "People:", "`impute` and"):
        assert silent not in text


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    model = MaskedAutoencoder(SHAPE, 5)
    with torch.no_grad():
        model.head.bias[0] = torch.nan
    save_model(tmp_path, model, NORMALISER, Origin(seed=5))
    with pytest.raises(DataError, match=r"head\.bias holds a number that is not finite"):
        load_model(tmp_path)


def test_people_without_a_usable_window_are_an_error() -> None:
    days = wavy_days(1)
    days.observed[:] = False
    with pytest.raises(DataError, match="no window"):
        train(MaskedAutoencoder(SHAPE, 0), days, PLAN, seed=0)


IMPOSSIBLE = [
    {"steps": 0},
    {"learning_rate": -1.0},
    {"batch_windows": 0},
    {"batch_windows": 10**18},
    {"weight_decay": -1.0},
    {"warmup_share": float("nan")},
]


@pytest.mark.parametrize("bad", IMPOSSIBLE, ids=str)
def test_impossible_plans_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"training: {next(iter(bad))}"):
        TrainingPlan(**bad)  # type: ignore[arg-type]
