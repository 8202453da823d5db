"""SimCLR, DINO and MSN score what they say, teachers follow slowly, and embeddings learn to find their other half."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from model.augmenting import Augmentation
from model.autoencoder import AIM, LSM1, Architecture, MaskedAutoencoder
from model.contrastive import (
    DINO,
    DINO_PROTOTYPES,
    METHODS,
    MSN,
    SIMCLR_TEMPERATURE,
    TEACHER_MOMENTUM,
    SimCLR,
    TwoViews,
    _flat,
    pairs,
    paper_plan,
    whole,
)
from model.masking import MASKS
from model.training import TrainingPlan, adamw, train
from model.windows import Batch, Days
from tests.conftest import wavy_days
from tests.strategies import seeds

SHAPE = Architecture(
    window_minutes=100,
    patch_signals=5,
    width=16,
    depth=1,
    heads=2,
    decoder_width=16,
    decoder_depth=1,
    decoder_heads=2,
    anchor_minutes=(),
)
PLAN = TrainingPlan(steps=6, batch_windows=6, checkpoint_every=2, masks=MASKS["random"], augment=Augmentation())


def pair_of(seed: int = 1, n: int = 6) -> Batch:
    plan = replace(PLAN, batch_windows=n)
    return next(pairs(wavy_days(4), SHAPE, plan, seed, range(1)))


@pytest.mark.parametrize("method", METHODS)
def test_a_loss_a_window_from_every_encoder(method: str) -> None:
    for options in ({}, LSM1 | {"window_minutes": 100}):
        model = METHODS[method](replace(SHAPE, **options))
        losses = model(pair_of())
        assert losses.shape == (6,)
        assert torch.isfinite(losses).all()
        losses.mean().backward()
        assert all(p.grad is None for name, p in model.named_parameters() if name.startswith("teacher"))
        assert float(model.network.embed.weight.grad.abs().max()) > 0  # type: ignore[union-attr]


@settings(max_examples=8, deadline=None)
@given(seed=seeds)
@torch.no_grad()
def test_simclr_is_a_slow_loop(seed: int) -> None:
    model, pair = SimCLR(SHAPE).eval(), pair_of(seed)
    z = model.projection(model.network.embed_windows(_flat(whole(pair)))).double().numpy()
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    for i in range(6):
        terms = []
        for a, b in ((i, i + 6), (i + 6, i)):
            others = [np.exp(z[a] @ z[j] / SIMCLR_TEMPERATURE) for j in range(12) if j != a]
            terms.append(-np.log(np.exp(z[a] @ z[b] / SIMCLR_TEMPERATURE) / sum(others)))
        assert float(model(pair)[i]) == pytest.approx(np.mean(terms), rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
@torch.no_grad()
def test_missing_cells_and_unshown_places_change_nothing(method: str) -> None:
    """What the student of MSN leaves out, its teacher sees; the other two hide nothing from anybody."""
    model, pair = METHODS[method](SHAPE).eval(), pair_of()
    other = replace(pair, values=torch.where(pair.observed, pair.values, 9.0))
    assert torch.equal(model(other), model(pair))
    unhidden = model(whole(pair))
    assert torch.equal(unhidden, model(pair)) == (method != "msn")


@pytest.mark.parametrize("method", ["dino", "msn"])
def test_a_teacher_follows_slowly(method: str) -> None:
    model = METHODS[method](SHAPE)
    teacher = dict(model.named_parameters())["teacher_network.embed.weight"]
    before = teacher.clone()
    with torch.no_grad():
        model.network.embed.weight += 1.0
    model.eval()(pair_of())
    assert torch.equal(teacher, before)
    model.train()(pair_of())
    torch.testing.assert_close(teacher - before, torch.full_like(before, 1 - TEACHER_MOMENTUM), rtol=1e-3, atol=1e-5)


@torch.no_grad()
def test_dino_centres_what_is_taught_and_learns_the_other_view() -> None:
    model, pair = DINO(SHAPE), pair_of()
    model.train()(pair)
    taught = model.taught(whole(pair)).mean((0, 1))
    torch.testing.assert_close(model.centre, 0.1 * taught, rtol=1e-2, atol=1e-4)
    model.centre.zero_()
    wanted = (model.taught(whole(pair)) / 0.04).softmax(-1)
    said = (model.likeness(whole(pair)) / 0.1).softmax(-1)
    for i in range(6):
        expected = sum(-(wanted[1 - v, i] * said[v, i].log()).sum() for v in range(2)) / 2
        assert float(model.eval()(pair)[i]) == pytest.approx(float(expected), rel=1e-4)


@torch.no_grad()
def test_msn_asks_that_every_prototype_is_used() -> None:
    """All views alike, one prototype theirs: the entropy that is missing is what it costs, against a spread."""
    model, pair = MSN(SHAPE).eval(), pair_of()
    spread = float(model(pair).mean())
    for projection in (model.projection, model.teacher_projection):
        last = projection[-1]
        assert isinstance(last, torch.nn.Linear)
        last.weight.zero_()
        last.bias.copy_(model.prototypes.weight[0])
    collapsed = model(pair)
    said = (model.likeness(pair) / 0.1).softmax(-1)[0, 0]
    expected = -said[0].log() + (said * said.log()).sum()  # the target is sure of the first
    torch.testing.assert_close(collapsed, expected.expand(6), rtol=1e-3, atol=1e-3)
    assert np.isfinite(spread)


@pytest.mark.parametrize("method", METHODS)
def test_embeddings_learn_to_find_their_other_half(method: str) -> None:
    """Among windows of many times of many people, and better than the weights began with; nothing collapses."""
    days = wavy_days(8)
    plan = replace(PLAN, steps=60, batch_windows=16, learning_rate=3e-3, clip_norm=3.0)
    model, fresh = METHODS[method](SHAPE, 1), METHODS[method](SHAPE, 1)
    losses = train(model, days, plan, seed=1, loader=pairs)
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    held = next(pairs(wavy_days(8, seed=2), SHAPE, replace(plan, batch_windows=60), 9, range(1)))
    assert found_halves(model, held) > found_halves(fresh, held)
    with torch.no_grad():
        z = torch.nn.functional.normalize(model.projection(model.network.embed_windows(_flat(whole(held)))), dim=-1)
    assert float((z @ z.T).mean()) < 0.98


@torch.no_grad()
def found_halves(model: TwoViews, pair: Batch) -> float:
    """Mean share of other windows that are less alike than the other half."""
    z = torch.nn.functional.normalize(model.projection(model.network.embed_windows(_flat(whole(pair)))), dim=-1)
    first, second = z.chunk(2)
    alike = first @ second.T
    return float((alike.diagonal()[:, None] > alike).float().mean())


class KilledError(Exception):
    """Stands for kill -9."""


@pytest.mark.parametrize("method", ["dino", "msn"])
def test_a_killed_run_ends_with_the_same_student_and_teacher(method: str, days: Days, tmp_path: Path) -> None:
    whole_run, halves = METHODS[method](SHAPE), METHODS[method](SHAPE)
    expected = train(whole_run, days, PLAN, seed=3, loader=pairs)
    file = tmp_path / "checkpoint.safetensors"

    def kill(step: int, _: float) -> None:
        if step == 4:
            raise KilledError

    with pytest.raises(KilledError):
        train(halves, days, PLAN, seed=3, checkpoint=file, progress=kill, loader=pairs)
    again = METHODS[method](SHAPE, 99)
    assert train(again, days, PLAN, seed=3, checkpoint=file, loader=pairs) == expected
    for name, tensor in whole_run.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_the_two_views_differ_and_are_of_the_same_window() -> None:
    still = replace(PLAN, augment=Augmentation(flip=0.0, stretch=1.0, noise_z=0.0))
    pair = next(pairs(wavy_days(4), SHAPE, still, 1, range(1)))
    assert torch.equal(pair.values[0], pair.values[1])
    assert torch.equal(pair.slot[0], pair.slot[1])
    assert not torch.equal(pair.hidden[0], pair.hidden[1])
    bent = pair_of()
    assert not torch.equal(bent.values[0], bent.values[1])


def test_plans_are_table_15() -> None:
    for method, rate in (("simclr", 0.001), ("dino", 0.004), ("msn", 0.001)):
        plan = paper_plan(method)
        assert (plan.learning_rate, plan.clip_norm, plan.steps, plan.batch_windows) == (rate, 3.0, 50_000, 4_096)
        assert adamw(MaskedAutoencoder(SHAPE), plan).defaults["betas"] == (0.9, 0.99)


def test_dropping_by_number_is_refused() -> None:
    assert DINO(SHAPE).prototypes.num_embeddings == DINO_PROTOTYPES
    with pytest.raises(ValueError, match=r"drop_ratio=0.5 is for masked autoencoders"):
        SimCLR(replace(SHAPE, **AIM))
