"""The autoencoder sees what is observed and not hidden, and nothing else; the cheap way equals the plain way."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.autoencoder import SIZES, Architecture, MaskedAutoencoder, gather_first, take
from model.masking import MaskMix, draw_masks
from model.windows import Batch, Days
from simulator.randomness import stream
from tests.conftest import wavy_days
from tests.strategies import seeds

MINUTES = 100
DAYS = wavy_days(6)
TINY = Architecture(
    window_minutes=MINUTES, width=16, depth=2, heads=2, decoder_width=16, decoder_depth=2, decoder_heads=2
)
decoders = st.sampled_from(["lean", "full"])
patches = st.sampled_from([1, 5])


def batch_of(architecture: Architecture, seed: int, n: int = 4, days: Days = DAYS) -> Batch:
    rng = stream(seed, "batch")
    usable = days.usable(architecture.window_minutes)
    windows = usable[rng.integers(len(usable), size=n)]
    return days.batch(windows, architecture.window_minutes, draw_masks(MaskMix(), architecture.grid, n, rng))


def model_of(architecture: Architecture, seed: int = 0) -> MaskedAutoencoder:
    return MaskedAutoencoder(architecture, seed).eval()


def scored_cells(model: MaskedAutoencoder, batch: Batch) -> Tensor:
    """bool [n, 26, minutes]: observed and artificially hidden."""
    cells = model.architecture.cells
    return model.windows(batch.hidden[..., None].expand(*batch.hidden.shape, cells)) & batch.observed


@settings(max_examples=12, deadline=None)
@given(seed=seeds, decoder=decoders, rows=patches)
@torch.no_grad()
def test_hidden_and_missing_cells_change_neither_loss_nor_output(seed: int, decoder: str, rows: int) -> None:
    model = model_of(replace(TINY, decoder=decoder, patch_signals=rows))  # type: ignore[arg-type]
    batch = batch_of(model.architecture, seed)
    unseen = scored_cells(model, batch) | ~batch.observed
    other = torch.where(unseen, batch.values + 7, batch.values)
    changed = replace(batch, values=other)
    hidden = model.windows(batch.hidden[..., None].expand(*batch.hidden.shape, model.architecture.cells))
    before, after = model.reconstruct(batch)[hidden], model.reconstruct(changed)[hidden]
    torch.testing.assert_close(after, before)
    missing_only = replace(batch, values=torch.where(batch.observed, batch.values, batch.values - 5))
    torch.testing.assert_close(model(missing_only), model(batch))


@settings(max_examples=12, deadline=None)
@given(seed=seeds, decoder=decoders, rows=patches)
@torch.no_grad()
def test_a_batch_equals_its_singles(seed: int, decoder: str, rows: int) -> None:
    model = model_of(replace(TINY, decoder=decoder, patch_signals=rows))  # type: ignore[arg-type]
    batch = batch_of(model.architecture, seed)
    singles = [
        Batch(batch.values[i, None], batch.observed[i, None], batch.slot[i, None], batch.hidden[i, None])
        for i in range(4)
    ]
    torch.testing.assert_close(torch.cat([model(one) for one in singles]), model(batch), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        torch.cat([model.embed_windows(one) for one in singles]), model.embed_windows(batch), rtol=1e-4, atol=1e-5
    )


@settings(max_examples=8, deadline=None)
@given(seed=seeds, decoder=decoders)
@torch.no_grad()
def test_the_loss_is_the_mean_squared_error_of_the_scored_cells(seed: int, decoder: str) -> None:
    model = model_of(replace(TINY, decoder=decoder))  # type: ignore[arg-type]
    batch = batch_of(model.architecture, seed)
    scored = scored_cells(model, batch)
    error = (model.reconstruct(batch) - batch.values).square() * scored
    expected = error.sum((1, 2)) / scored.sum((1, 2)).clamp(min=1)
    torch.testing.assert_close(model(batch), expected)


@torch.no_grad()
@pytest.mark.parametrize("decoder", ["lean", "full"])
def test_gathering_and_padding_equal_a_plain_encoder_over_all_places(decoder: str) -> None:
    """Slow oracle: keep every place, mask the unseen ones in attention, as AIM does without any dropping."""
    model = model_of(replace(TINY, decoder=decoder))  # type: ignore[arg-type]
    batch = batch_of(model.architecture, 3)
    values, observed = model.patches(batch)
    visible = observed.any(-1) & ~batch.hidden
    places = torch.arange(model.architecture.grid.places).repeat(4, 1)
    tokens = model.embed(torch.cat([values * observed, observed.float()], -1))
    tokens = tokens + model.position(*model._row_and_slot(places, batch.slot))
    tokens = torch.cat([model.summary(torch.zeros(4, 1, dtype=torch.long)), tokens], 1)
    keep = torch.cat([torch.ones(4, 1, dtype=torch.bool), visible], 1)
    for block in model.encoder:
        tokens = block(tokens, keep)
    plain = model.norm(tokens)
    seen = model.encode(batch, values, observed)
    gathered = take(plain[:, 1:], seen.place)
    keep_seen = seen.keep[:, 1:]
    torch.testing.assert_close(seen.tokens[:, 1:][keep_seen], gathered[keep_seen], rtol=1e-4, atol=1e-5)
    assert keep_seen.sum() == visible.sum()  # no visible token is lost
    assert seen.place.shape[1] == int(visible.sum(1).max())  # and none is wasted


@torch.no_grad()
@pytest.mark.parametrize("decoder", ["lean", "full"])
def test_a_window_with_nothing_in_it_is_finite(decoder: str) -> None:
    model = model_of(replace(TINY, decoder=decoder))  # type: ignore[arg-type]
    batch = batch_of(model.architecture, 0)
    empty = replace(batch, values=torch.zeros_like(batch.values), observed=torch.zeros_like(batch.observed))
    assert (model(empty) == 0).all()
    assert torch.isfinite(model.reconstruct(empty)).all()
    assert torch.isfinite(model.embed_windows(empty)).all()


@settings(max_examples=6, deadline=None)
@given(seed=seeds)
@example(seed=8)  # a gap longer than the shortest reach's weights last in float32
@torch.no_grad()
def test_anchors_are_weighted_means_of_what_is_seen(seed: int) -> None:
    """Slow oracle in float64, place by place; the endless reach is the mean of the signal's seen cells."""
    model = model_of(replace(TINY, window_minutes=300))
    batch = batch_of(model.architecture, seed, n=1)
    values, observed = model.patches(batch)
    there = (observed & ~batch.hidden[..., None])[0].double()
    found = model.anchors(batch, values, observed)[0]
    columns = model.architecture.grid.columns
    for place in (0, 7, 13 * columns + 4, 25 * columns + 9):
        row = slice(place // columns * columns, (place // columns + 1) * columns)
        lag = 10.0 * (torch.arange(columns).double() - place % columns).abs()[:, None]
        for i, reach in enumerate(TINY.anchor_minutes):
            weight = there[row] * torch.exp(-lag / reach)
            expected = (values[0, row] * weight).sum() / weight.sum() if weight.sum() > 0 else 0.0
            assert float(found[place, i]) == pytest.approx(float(expected), abs=2e-4)


@torch.no_grad()
def test_anchors_carry_a_constant_across_any_gap() -> None:
    model = model_of(replace(TINY, window_minutes=1440))
    batch = batch_of(model.architecture, 1, n=1)
    hidden = torch.zeros_like(batch.hidden).reshape(1, 26, 144)
    hidden[..., 3:140] = True
    constant = replace(batch, values=torch.full_like(batch.values, 2.0), observed=torch.ones_like(batch.observed))
    constant = replace(constant, hidden=hidden.flatten(1))
    assert torch.allclose(model.anchors(constant, *model.patches(constant)), torch.tensor(2.0))


@pytest.mark.parametrize("decoder", ["lean", "full"])
def test_the_mask_token_is_learnt(decoder: str) -> None:
    model = model_of(replace(TINY, decoder=decoder))  # type: ignore[arg-type]
    model(batch_of(model.architecture, 1)).mean().backward()
    assert model.mask_token.weight.grad is not None
    assert float(model.mask_token.weight.grad.abs().max()) > 0


@torch.no_grad()
def test_patches_and_windows_are_inverse() -> None:
    for rows in (1, 5):
        model = model_of(replace(TINY, patch_signals=rows))
        batch = batch_of(model.architecture, 1)
        values, _ = model.patches(batch)
        assert torch.equal(model.windows(values), batch.values)


@torch.no_grad()
def test_people_as_an_extra_leading_dimension_change_nothing() -> None:
    model = model_of(TINY)
    batch = batch_of(TINY, 5, n=6)
    people = Batch(*(torch.unflatten(t, 0, (3, 2)) for t in (batch.values, batch.observed, batch.slot, batch.hidden)))
    torch.testing.assert_close(model(people).flatten(), model(batch))


@torch.no_grad()
def test_the_clock_matters() -> None:
    model = model_of(TINY)
    batch = batch_of(TINY, 2)
    later = replace(batch, slot=batch.slot + 30)
    assert (model(later) - model(batch)).abs().max() > 1e-4


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_gather_first_finds_all_true_places_in_order(seed: int) -> None:
    chosen = torch.from_numpy(stream(seed).random((3, 17)) < 0.3)
    place, keep = gather_first(chosen)
    for row in range(3):
        assert place[row][keep[row]].tolist() == torch.nonzero(chosen[row]).flatten().tolist()


@pytest.mark.parametrize(
    ("size", "millions", "tolerance"),
    [
        ("xxs", 0.1, 0.1),
        ("lsm2", 25, 0.05),  # lsm-facts 1.2: 25 M
        ("lsm1-tiny", 2.2, 0.05),  # LSM-1 Table 8 as printed: "2M", "7M", "110M", "328M"
        ("lsm1-small", 7.4, 0.05),
        ("lsm1-base", 110, 0.05),
        ("lsm1-large", 328, 0.05),
    ],
)
def test_named_sizes_are_what_they_are_called(size: str, millions: float, tolerance: float) -> None:
    count = _count(SIZES[size]) / 1e6
    assert abs(count - millions) <= tolerance * millions


def _count(a: Architecture) -> int:
    """Parameters by arithmetic, independent of the module."""

    def block(width: int, crosses: bool) -> int:
        return 4 * (width * width + width) + 8 * width * width + 5 * width + (6 if crosses else 4) * width

    slots = 1440 // a.patch_minutes
    encoder = 2 * a.cells * a.width + a.width + a.width + (a.grid.rows + slots) * a.width + 2 * a.width
    encoder += a.depth * block(a.width, False)
    decoder = a.width * a.decoder_width + a.decoder_width + a.decoder_width + (a.grid.rows + slots) * a.decoder_width
    decoder += a.decoder_depth * block(a.decoder_width, a.decoder == "lean") + 2 * a.decoder_width
    blend = (a.decoder_width + 1) * len(a.anchor_minutes)
    return encoder + decoder + a.decoder_width * a.cells + a.cells + blend


def test_the_count_by_arithmetic_is_the_modules() -> None:
    for size in ("xxs", "xs", "lsm1-tiny"):
        assert sum(p.numel() for p in MaskedAutoencoder(SIZES[size]).parameters()) == _count(SIZES[size])


def test_the_seed_decides_the_weights_and_torch_s_own_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    one, same, other = MaskedAutoencoder(TINY, 1), MaskedAutoencoder(TINY, 1), MaskedAutoencoder(TINY, 2)
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.head.weight, other.head.weight)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    "bad", [{"window_minutes": 305}, {"window_minutes": 1450}, {"patch_minutes": 7}, {"width": 50, "heads": 4}]
)
def test_impossible_shapes_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(bad.values())))):
        replace(TINY, **bad)


def test_the_full_decoder_reads_hidden_places_as_mask_tokens_only() -> None:
    """Gradients of the loss with respect to inputs vanish outside visible cells."""
    model = model_of(replace(TINY, decoder="full"))
    batch = batch_of(model.architecture, 8)
    values = batch.values.clone().requires_grad_()
    model.reconstruct(replace(batch, values=values))[scored_cells(model, batch)].sum().backward()
    assert values.grad is not None
    unseen = scored_cells(model, batch) | ~batch.observed
    assert float(values.grad[unseen].abs().max()) == 0
    assert float(values.grad[~unseen].abs().max()) > 0
    assert np.isfinite(values.grad.numpy()).all()
