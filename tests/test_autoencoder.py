"""The autoencoder sees what is observed and not hidden, and nothing else; the cheap way equals the plain way."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model.autoencoder import LSM1, SIZES, Architecture, MaskedAutoencoder, every, gather_first, take
from model.evaluation.baselines import linear
from model.masking import MaskMix, draw_masks
from model.ordering import shuffled
from model.windows import Batch, Days
from simulator.randomness import stream
from simulator.signals import INDEX, NAMES
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
    return model.hidden_cells(batch.hidden) & batch.observed


@settings(max_examples=12, deadline=None)
@given(seed=seeds, decoder=decoders, rows=patches)
@torch.no_grad()
def test_hidden_and_missing_cells_change_neither_loss_nor_output(seed: int, decoder: str, rows: int) -> None:
    check_unseen(model_of(replace(TINY, decoder=decoder, patch_signals=rows)), seed)  # type: ignore[arg-type]


@settings(max_examples=12, deadline=None)
@given(seed=seeds, minutes=st.sampled_from([5, 10, 20]), rows=st.sampled_from([1, 2, 5, 10, 26]), clock=st.booleans())
@torch.no_grad()
def test_they_do_not_in_lsm1_either_whatever_its_patches(seed: int, minutes: int, rows: int, clock: bool) -> None:
    """Filling reads no hidden cell across a gap beside it, and no missing one."""
    shape = replace(TINY, decoder="full", filled=True, clock=clock, patch_minutes=minutes, patch_signals=rows)
    check_unseen(model_of(replace(shape, anchor_minutes=(), signal_order=shuffled(seed))), seed)


def check_unseen(model: MaskedAutoencoder, seed: int) -> None:
    """Cells that are hidden or missing change no prediction, and missing ones no loss."""
    batch = batch_of(model.architecture, seed)
    unseen = scored_cells(model, batch) | ~batch.observed
    other = torch.where(unseen, batch.values + 7, batch.values)
    changed = replace(batch, values=other)
    hidden = model.hidden_cells(batch.hidden)
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
    """Slow oracle in float64, minute by minute: both sides, before, after; the endless reach is the window's mean."""
    model = model_of(replace(TINY, window_minutes=300, anchor_minutes=(5.0, 1e6)))
    batch = batch_of(model.architecture, seed, n=1)
    found = model.anchors(batch, *model.patches(batch))
    assert found is not None
    seen = (batch.observed & ~model.hidden_cells(batch.hidden))[0].double()
    for place in (0, 7, 13 * 30 + 4, 25 * 30 + 9):
        x, there = batch.values[0, place // 30].double(), seen[place // 30]
        own = torch.arange(300) // 10 == place % 30
        earlier, later = torch.arange(300) < place % 30 * 10, torch.arange(300) > place % 30 * 10 + 9
        for minute in (0, 9):
            lag = (torch.arange(300) - (place % 30 * 10 + minute)).abs().double()
            for i, reach in enumerate((5.0, 1e6)):
                weight = there * torch.where(own, 0.0, -lag / reach).exp()
                both = _mean(x, weight)
                before, after = _mean(x, weight * earlier), _mean(x, weight * later)
                start = there * torch.where(own, 0.0, -(torch.arange(300) - place % 30 * 10).abs() / reach).exp()
                assert float(found.minutes[0, place, minute, i]) == pytest.approx(both or 0.0, abs=2e-4)
                if before is not None:
                    assert float(found.minutes[0, place, minute, 2 + i]) == pytest.approx(before, abs=2e-4)
                    alone = _mean(x, start * earlier)
                    assert alone == pytest.approx(before, abs=2e-4)  # a side's mean is the same at every minute
                if after is not None:
                    assert float(found.minutes[0, place, minute, 4 + i]) == pytest.approx(after, abs=2e-4)
                if before is not None and after is not None and not there[own].any():
                    since = place % 30 * 10 + minute - int(torch.nonzero(there * earlier).max())
                    until = int(torch.nonzero(there * later).min()) - place % 30 * 10 - minute
                    line = (until * before + since * after) / (since + until)
                    assert float(found.minutes[0, place, minute, 6 + i]) == pytest.approx(line, abs=2e-4)
                if before is None and after is not None:
                    assert float(found.minutes[0, place, minute, 2 + i]) == pytest.approx(after, abs=2e-4)


def _mean(x: Tensor, weight: Tensor) -> float | None:
    return float((x * weight).sum() / weight.sum()) if weight.sum() > 0 else None


@torch.no_grad()
def test_anchors_carry_a_constant_across_any_gap() -> None:
    model = model_of(replace(TINY, window_minutes=1440))
    batch = batch_of(model.architecture, 1, n=1)
    hidden = torch.zeros_like(batch.hidden).reshape(1, 26, 144)
    hidden[..., 3:140] = True
    constant = replace(batch, values=torch.full_like(batch.values, 2.0), observed=torch.ones_like(batch.observed))
    constant = replace(constant, hidden=hidden.flatten(1))
    found = model.anchors(constant, *model.patches(constant))
    assert found is not None
    assert torch.allclose(found.minutes, torch.tensor(2.0))


@torch.no_grad()
def test_questions_are_told_what_other_signals_do() -> None:
    """With nothing to attend to but the summary, a change of another signal beside the gap changes the prediction."""
    shape = replace(TINY, depth=1)
    told, untold = model_of(shape), model_of(replace(shape, views=0))
    batch = batch_of(shape, 3, n=1)
    hidden = torch.zeros_like(batch.hidden).reshape(1, 26, 10)
    hidden[:, 4, 3:7] = True
    batch = replace(batch, observed=torch.ones_like(batch.observed), hidden=hidden.flatten(1))
    moved = batch.values.clone()
    moved[:, 9, 20:30] += 3.0
    for model, changes in ((told, True), (untold, False)):
        questions = []
        for values in (batch.values, moved):
            other = replace(batch, values=values)
            place, _ = gather_first(other.hidden)
            questions.append(model._questions(place, other.slot, model.anchors(other, *model.inputs(other))))
        assert (not torch.equal(*questions)) == changes


@settings(max_examples=20, deadline=None)
@given(seed=seeds, k=st.integers(2, 4))
def test_asking_every_other_place_asks_each_as_often_as_any(seed: int, k: int) -> None:
    chosen = torch.from_numpy(stream(seed).random((3, 17)) < 0.5)
    place, asked = gather_first(chosen)
    some, still = every(k, place, asked)
    for row in range(3):
        whole = place[row][asked[row]].tolist()
        begins = sum(whole) % k
        assert some[row][still[row]].tolist() == whole[begins::k]


def test_a_loss_in_training_is_of_some_questions_and_in_evaluation_of_all() -> None:
    model = MaskedAutoencoder(replace(TINY, ask_every=2)).eval()
    batch = batch_of(TINY, 4)
    whole = model(batch)
    part = model.train()(batch)
    assert not torch.equal(whole, part)
    torch.testing.assert_close(MaskedAutoencoder(replace(TINY, ask_every=1)).train()(batch), whole)


@pytest.mark.parametrize("decoder", ["lean", "full"])
def test_the_mask_token_is_learnt(decoder: str) -> None:
    model = model_of(replace(TINY, decoder=decoder))  # type: ignore[arg-type]
    model(batch_of(model.architecture, 1)).mean().backward()
    assert model.mask_token.weight.grad is not None
    assert float(model.mask_token.weight.grad.abs().max()) > 0


@torch.no_grad()
@pytest.mark.parametrize("decoder", ["lean", "full"])
def test_the_papers_drop_ratio_costs_tokens_and_changes_nothing_else(decoder: str) -> None:
    plain = model_of(replace(TINY, decoder=decoder))  # type: ignore[arg-type]
    batch = batch_of(TINY, 4)
    for ratio in (0.0, 0.5):
        papers = model_of(replace(TINY, decoder=decoder, drop_ratio=ratio, ask_every=1)).train()  # type: ignore[arg-type]
        torch.testing.assert_close(papers(batch), plain(batch), rtol=1e-4, atol=1e-5)
        tokens = papers.encode(batch, *papers.inputs(batch)).place.shape[-1]
        assert tokens == 260 - round(ratio * 260) >= plain.encode(batch, *plain.inputs(batch)).place.shape[-1]
        papers.eval()  # evaluation drops nothing by number (LSM-2), so nothing seen can be lost
        nothing_hidden = replace(batch, hidden=torch.zeros_like(batch.hidden))
        torch.testing.assert_close(papers.embed_windows(nothing_hidden), plain.embed_windows(nothing_hidden))


def test_a_drop_ratio_that_would_lose_what_is_seen_is_refused() -> None:
    model = MaskedAutoencoder(replace(TINY, drop_ratio=0.5))
    batch = batch_of(TINY, 4)
    with pytest.raises(ValueError, match=r"seen places do not fit in the 130 of 260 that drop_ratio leaves"):
        model(replace(batch, hidden=torch.zeros_like(batch.hidden)))


@torch.no_grad()
def test_lsm1_sees_straight_lines_and_is_asked_for_them() -> None:
    """Its input is what the plain method of the table fills from seen cells; its targets fill from observed ones."""
    model = model_of(replace(TINY, **LSM1 | {"window_minutes": MINUTES}))
    batch = batch_of(model.architecture, 6)
    seen = batch.observed & ~model.hidden_cells(batch.hidden)
    for cut, known in ((model.inputs, seen), (model.filled_targets, batch.observed)):
        values, counted = cut(batch)
        expected = linear(batch.values.numpy(), known.numpy())
        np.testing.assert_allclose(model.windows(values), expected, atol=1e-5)
        assert model.windows(counted).all()
        assert not counted[:, -10:].reshape(4, 10, 5, 10)[:, :, 1:].any()  # the rows that pad 26 to 30


@torch.no_grad()
def test_lsm1_s_positions_know_no_clock() -> None:
    model = model_of(replace(TINY, **LSM1 | {"window_minutes": MINUTES}))
    batch = batch_of(model.architecture, 2)
    assert torch.equal(model(replace(batch, slot=batch.slot + 30)), model(batch))


@torch.no_grad()
def test_the_order_of_signals_decides_what_lies_together() -> None:
    order = shuffled(3)
    model = model_of(replace(TINY, patch_signals=5, signal_order=order))
    cells = torch.zeros(1, 26, MINUTES, dtype=torch.bool)
    cells[0, INDEX[order[7]], 42] = True  # the eighth row: second of the second group; fifth ten minutes
    places = model.places_of(cells)
    assert places.nonzero().tolist() == [[0, 10 + 4]]
    hidden = model.hidden_cells(places)[0]
    assert {NAMES[i] for i in hidden.any(1).nonzero().flatten()} == set(order[5:10])
    assert hidden.any(0).nonzero().flatten().tolist() == list(range(40, 50))


@torch.no_grad()
def test_patches_and_windows_are_inverse() -> None:
    for minutes, rows, order in ((10, 1, NAMES), (5, 5, shuffled(1)), (20, 10, shuffled(2)), (10, 26, NAMES)):
        model = model_of(replace(TINY, patch_minutes=minutes, patch_signals=rows, signal_order=order))
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


@pytest.mark.parametrize(("size", "millions"), [("xxs", 0.16), ("xs", 0.48), ("s", 1.1), ("m", 6.5), ("lsm2", 25)])
def test_named_sizes_are_what_they_are_called(size: str, millions: float) -> None:
    assert _count(SIZES[size]) / 1e6 == pytest.approx(millions, rel=0.05)


TABLE_8 = {"tiny": (2, 0.37), "small": (7, 1.28), "base": (110, 15.94), "large": (328, 56.10)}  # M parameters, gFLOPs


@pytest.mark.parametrize("size", TABLE_8)
def test_lsm1_s_sizes_are_those_of_table_8(size: str) -> None:
    """The paper prints parameters as whole millions: ours round to them, or lie within 5 %."""
    millions, gflops = TABLE_8[size]
    found = _count(SIZES[f"lsm1-{size}"]) / 1e6
    assert round(found) == millions or found == pytest.approx(millions, rel=0.05)
    assert SIZES[f"lsm1-{size}"].encoder_multiply_adds / 1e9 == pytest.approx(gflops, rel=0.05)


TABLE_6 = [(5, 5, 33.09), (10, 5, 15.94), (20, 5, 7.82), (30, 5, 5.18)]  # minutes, signals, gFLOPs
TABLE_6 += [(10, 1, 77.83), (10, 2, 36.07), (10, 10, 7.82), (10, 26, 2.58)]


@pytest.mark.parametrize(("minutes", "rows", "gflops"), TABLE_6)
def test_patch_sizes_cost_what_table_6_says(minutes: int, rows: int, gflops: float) -> None:
    shape = replace(SIZES["lsm1-base"], patch_minutes=minutes, patch_signals=rows)
    assert shape.encoder_multiply_adds / 1e9 == pytest.approx(gflops, rel=0.05)


def test_the_cost_by_arithmetic_is_what_torch_counts() -> None:
    for size in ("lsm1-tiny", "xs"):
        shape = replace(SIZES[size], window_minutes=300)
        batch = batch_of(shape, 1, n=1)
        whole = replace(batch, observed=torch.ones_like(batch.observed), hidden=torch.zeros_like(batch.hidden))
        model = model_of(shape)
        # attention without a mask, in the one kernel whose operations torch counts
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
            model.encode(whole, *model.inputs(whole))
        assert counter.get_total_flops() / 2 == pytest.approx(shape.encoder_multiply_adds, rel=0.01)


def _count(a: Architecture) -> int:
    """Parameters by arithmetic, independent of the module."""

    def block(width: int, crosses: bool) -> int:
        return 4 * (width * width + width) + 8 * width * width + 5 * width + (6 if crosses else 4) * width

    slots = 1440 // a.patch_minutes if a.clock else a.window_minutes // a.patch_minutes
    encoder = (
        (1 if a.filled else 2) * a.cells * a.width + a.width + a.width + (a.grid.rows + slots) * a.width + 2 * a.width
    )
    encoder += a.depth * block(a.width, False)
    decoder = a.width * a.decoder_width + a.decoder_width + a.decoder_width + (a.grid.rows + slots) * a.decoder_width
    decoder += a.decoder_depth * block(a.decoder_width, a.decoder == "lean") + 2 * a.decoder_width
    reaches = len(a.anchor_minutes)
    blend = (a.decoder_width + 1) * a.cells * 4 * reaches if reaches else 0
    if reaches and a.views:
        around = ((4 * reaches + 2) * a.patch_signals + 1) * a.decoder_width
        told = a.grid.rows * a.patch_signals * (a.patch_minutes + 1 + 2 * reaches)
        blend += around + (told + 1) * a.grid.rows * a.views + (a.views + 1) * a.decoder_width
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


BAD: list[dict[str, Any]] = [{"window_minutes": 305}, {"window_minutes": 1450}, {"patch_minutes": 7}]
BAD += [{"width": 50, "heads": 4}, {"drop_ratio": 1.0}, {"signal_order": ("steps",)}]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_impossible_shapes_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=re.escape(str(next(iter(bad.values()))))):
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
