"""Person gradients of every mode against a loop over single people, for every use that a layer can be put to."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from benchmarks.private_step import OpacusHooks
from model.autoencoder import SIZES, MaskedAutoencoder
from model.masking import MaskMix, draw_masks
from model.windows import Batch
from privacy.mechanism import clip_scales
from privacy.person_gradients import Factors, Mode, PersonGradients, in_blocks
from privacy.plan import PrivacyError
from tests.private_toy import Tiny

MODES: list[Mode] = ["auto", "keep", "recompute"]


def by_person(module: nn.Module, take: Callable[[slice], Any], people: int) -> dict[str, Tensor]:
    """Gradients of each person's mean loss by plain autograd on that person alone, [people, *shape]."""
    named = dict(module.named_parameters())
    rows = []
    for p in range(people):
        loss = module(take(slice(p, p + 1))).mean()
        rows.append(torch.autograd.grad(loss, list(named.values()), allow_unused=True))
    return {
        name: torch.stack([torch.zeros_like(named[name]) if row[i] is None else row[i] for row in rows])
        if rows
        else named[name].new_zeros((0, *named[name].shape))
        for i, name in enumerate(named)
    }


def at_once(module: nn.Module, batch: Any, mode: Mode) -> dict[str, Tensor]:
    """The same from one pass over all."""
    gradients = PersonGradients(module, mode)
    try:
        module(batch).mean().backward()
        found = {name: gradients.of(p) for name, p in module.named_parameters()}
        assert all(p.grad is None for p in module.parameters())
        return {name: gradient[:] for name, gradient in found.items() if gradient is not None}
    finally:
        gradients.detach()


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-11) -> None:
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=tolerance, atol=tolerance)


class Varied(nn.Module):
    """Layers used twice, shared weights, no bias, nothing but people and width, a norm over two axes."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.twice = nn.Linear(4, 4)
            self.plain = nn.Linear(4, 4, bias=False)
            self.shared = nn.Linear(4, 4)
            self.shared.weight = self.twice.weight
            self.table = nn.Embedding(3, 4)
            self.tied = nn.Linear(4, 3)
            self.tied.weight = self.table.weight
            self.norm = nn.LayerNorm((2, 4))
            self.biasless = nn.LayerNorm(4, bias=False)
            self.still = nn.LayerNorm(4, elementwise_affine=False)
            self.late = nn.Linear(4, 1)
        self.plain.weight.requires_grad_(False)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        """[people, k, 2, 4] -> [people, k]."""
        h = self.twice(x) + self.table((x[..., 0] > 0).long())
        h = self.shared(torch.tanh(self.twice(self.norm(h)))) + self.plain(h)
        h = self.biasless(h) + self.still(h) * self.table(torch.zeros_like(x[..., 0]).long())
        scores = self.tied(h)
        h = h + self.table(scores.argmax(-1)) + scores[..., :1]
        person = self.twice(h.mean((1, 2)))  # [people, 4]
        loss: Tensor = h.square().mean((2, 3)) + self.late(person)
        return loss


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 999), people=st.integers(0, 4), k=st.integers(1, 3), mode=st.sampled_from(MODES))
def test_one_pass_is_a_loop_over_people(seed: int, people: int, k: int, mode: Mode) -> None:
    module = Varied(seed)
    x = torch.randn(people, k, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    trained = {name for name, p in module.named_parameters() if p.requires_grad}
    module.plain.weight.requires_grad_(True)
    expected = by_person(module, lambda rows: x[rows], people)
    module.plain.weight.requires_grad_(False)
    assert_equal(at_once(module, x, mode), {name: expected[name] for name in trained})


@pytest.mark.parametrize("mode", ["keep", "recompute"])
@pytest.mark.parametrize("options", [{}, {"decoder": "full"}], ids=["lean", "full"])
def test_the_real_model(mode: Mode, options: dict[str, Any]) -> None:
    architecture = replace(SIZES["xxs"], window_minutes=30, width=8, decoder_width=8, **options)
    model = MaskedAutoencoder(architecture, 3).double()
    generator = torch.Generator().manual_seed(5)
    values = torch.randn(3, 2, 26, 30, generator=generator, dtype=torch.float64)
    rng = np.random.default_rng(1)
    hidden = torch.from_numpy(draw_masks(MaskMix(), architecture.grid, 6, rng)).view(3, 2, -1)
    observed = torch.rand(values.shape, generator=generator) > 0.3
    slot = torch.tensor([[0, 5], [7, 100], [143, 9]])

    def take(rows: slice) -> Batch:
        return Batch(values[rows], observed[rows], slot[rows], hidden[rows])

    assert_equal(at_once(model, take(slice(None)), mode), by_person(model, take, 3), 1e-9)


def test_what_is_held_is_what_is_smaller_by_shapes_alone() -> None:
    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide, self.narrow = nn.Linear(40, 40), nn.Linear(40, 3)

        def forward(self, x: Tensor) -> Tensor:
            loss: Tensor = self.narrow(self.wide(x)).mean((2, 3))
            return loss

    module = Wide()
    gradients = PersonGradients(module)
    module(torch.randn(2, 2, 5, 40)).mean().backward()
    wide, narrow = gradients.of(module.wide.weight), gradients.of(module.narrow.weight)
    assert isinstance(wide, Factors), "1,600 numbers a person against 10 x 80"
    assert isinstance(narrow, Tensor), "120 against 10 x 43"
    module(torch.randn(2, 2, 20, 40)).mean().backward()
    assert gradients.of(module.wide.weight) is None, "two passes are not one"
    gradients.begin()
    module(torch.randn(2, 2, 20, 40)).mean().backward()
    assert isinstance(gradients.of(module.wide.weight), Tensor), "1,600 against 40 x 80"


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_opacus_says_the_same() -> None:
    module, x = Tiny(4), torch.randn(3, 2, 5, 3, dtype=torch.float64)
    hooks = OpacusHooks(module, "auto")
    hooks.begin()
    module(x).mean().backward()
    expected = {name: hooks.of(p) for name, p in module.named_parameters()}
    hooks.detach()
    module.zero_grad()
    assert_equal(at_once(module, x, "auto"), expected)


@pytest.mark.parametrize("mode", ["keep", "recompute"])
def test_float32_clips_to_the_bound(mode: Mode) -> None:
    """Tokens that nearly cancel: 1e4 times the gradient that is left; each person's share still has norm C."""
    module = nn.Linear(300, 300)

    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = module

        def forward(self, x: Tensor) -> Tensor:
            sign = torch.where(torch.arange(x.shape[2]) % 2 == 0, 1e4, -1e4)[:, None]
            loss: Tensor = (self.layer(x) * sign).sum((2, 3))
            return loss

    x = torch.randn(4, 1, 1, 300).repeat(1, 1, 6, 1) + 1e-4 * torch.randn(4, 1, 6, 300)
    root = Root()
    gradients = PersonGradients(root, mode)
    root(x).mean().backward()
    found = [g for p in root.parameters() if (g := gradients.of(p)) is not None]
    scales = clip_scales(found, 0.5)
    square = sum(torch.cat([block.square().sum(1) for _, block in in_blocks(g)]) for g in found)
    assert isinstance(square, Tensor)
    clipped = scales * square.sqrt()
    assert float(clipped.max()) <= 0.5 * (1 + 1e-12)
    assert float(clipped.min()) >= 0.5 * (1 - 1e-12)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Embedding(4, 2, padding_idx=0), "Embedding with options"),
        (nn.Embedding(4, 2, scale_grad_by_freq=True), "Embedding with options"),
        (nn.Conv1d(2, 2, 1), "Conv1d owns parameters but has no person gradients"),
    ],
)
def test_layers_that_are_not_known_are_refused(layer: nn.Module, message: str) -> None:
    with pytest.raises(PrivacyError, match=message):
        PersonGradients(nn.Sequential(layer))


def test_a_layer_whose_output_is_dropped_is_seen() -> None:
    class Dropping(Tiny):
        def forward(self, x: Tensor) -> Tensor:
            self.query(x.mean() * torch.ones(len(x), 4, dtype=x.dtype))
            return super().forward(x)

    found = at_once(Dropping(), torch.randn(2, 1, 5, 3, dtype=torch.float64), "keep")
    assert "query.weight" not in found
    assert "head.weight" in found
