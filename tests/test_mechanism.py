"""The private triple against a slow oracle, its invariants, and a loop that misbehaves."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from privacy import mechanism
from privacy.mechanism import clip_scales
from privacy.noise import KeyedStream
from privacy.plan import PrivacyError
from tests.private_toy import KEY, Tiny, flat, loop, make_people, make_plan, own_windows, triple, update

SEEDS = st.integers(0, 2**20)


def person_gradient(module: nn.Module, windows: Tensor) -> Tensor:
    """The gradient of one person's mean loss, flat, by plain autograd on that person alone."""
    gradients = torch.autograd.grad(module(windows[None]).mean(), list(module.parameters()))
    return torch.cat([g.flatten() for g in gradients])


def slow_update(module: nn.Module, plan: Any, people: dict[str, Tensor], streams: KeyedStream, step: int) -> Tensor:
    """The update written down from its definition, person after person."""
    coins = streams.child("join", step)
    total = torch.cat(
        [
            plan.noise_multiplier
            * plan.clip_norm
            * torch.from_numpy(streams.child("noise", step, name).normal(p.numel()))
            for name, p in module.named_parameters()
        ]
    )
    draw = own_windows(people, plan.windows_per_person)
    for person in people:
        if coins.chance(person) < plan.sampling_rate:
            g = person_gradient(module, draw(person, step, streams.child("windows", step, person)))
            total = total + g * min(1.0, plan.clip_norm / float(g.norm()))
    mean: Tensor = total / (plan.sampling_rate * plan.nominal_people)
    return mean


@settings(deadline=None, max_examples=15)
@given(
    seed=SEEDS,
    n=st.integers(0, 9),
    k=st.integers(1, 3),
    rate=st.sampled_from([0.2, 0.6, 1.0]),
    noise=st.sampled_from([0.0, 1.3]),
    clip=st.sampled_from([0.01, 0.5, 100.0]),
    micro_batch=st.integers(1, 10),
    step=st.integers(0, 99),
    mode=st.sampled_from(["auto", "keep", "recompute"]),
)
def test_update_is_the_definition(
    seed: int, n: int, k: int, rate: float, noise: float, clip: float, micro_batch: int, step: int, mode: str
) -> None:
    plan = make_plan(noise_multiplier=noise, clip_norm=clip, sampling_rate=rate, windows_per_person=k)
    people, streams = make_people(n, seed), KeyedStream(KEY, seed)
    expected = slow_update(Tiny(seed), plan, people, streams, step)
    moved = update(
        Tiny(seed), plan, people, streams=streams, steps=range(step, step + 1), micro_batch=micro_batch, mode=mode
    )
    torch.testing.assert_close(moved, expected, rtol=1e-10, atol=1e-12)


def test_float32_model_gets_the_same_update() -> None:
    plan, people = make_plan(noise_multiplier=1.0, sampling_rate=1.0), make_people(6)
    narrow = {name: windows.float() for name, windows in people.items()}
    expected = update(Tiny(), plan, people)
    moved = update(Tiny().float(), plan, narrow)
    assert moved.dtype == torch.float32
    torch.testing.assert_close(moved.double(), expected, rtol=0, atol=3e-7)


def test_several_steps_are_single_steps_in_a_row() -> None:
    plan, people = make_plan(noise_multiplier=0.5), make_people(6)
    once, in_a_row = Tiny(), Tiny()
    update(once, plan, people, steps=range(4))
    for step in range(4):
        update(in_a_row, plan, people, steps=range(step, step + 1))
    assert torch.equal(flat(once), flat(in_a_row))


def test_the_same_step_again_is_the_same_release() -> None:
    plan, people = make_plan(noise_multiplier=1.0), make_people(6)
    assert torch.equal(update(Tiny(), plan, people), update(Tiny(), plan, people))


@pytest.mark.parametrize("mode", ["keep", "recompute"])
def test_the_loop_may_look_without_gradient_and_zero_late(mode: str) -> None:
    plan, people = make_plan(sampling_rate=1.0), make_people(3)
    expected = update(Tiny(), plan, people)
    module = Tiny().eval()  # evaluation mode makes no difference
    before = flat(module)
    _, optimizer, loader = triple(module, plan, people, mode=mode)
    for batch in loader:
        loss = module(batch).mean()
        with torch.no_grad():
            module(batch)
        optimizer.zero_grad()
        loss.backward()
        assert module.embed.weight.grad is None, "the gradient of everybody together is nowhere"
        optimizer.step()
    torch.testing.assert_close(before - flat(module), expected, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=10)
@given(seed=SEEDS, scale=st.sampled_from([1.0, 1e6]), who=st.integers(0, 5))
def test_a_person_moves_the_update_by_at_most_the_clip_norm(seed: int, scale: float, who: int) -> None:
    plan = make_plan(noise_multiplier=1.0, sampling_rate=1.0)
    people = make_people(6, seed)
    people[f"p{who}"] *= scale
    others = {name: windows for name, windows in people.items() if name != f"p{who}"}
    difference = update(Tiny(), plan, people) - update(Tiny(), plan, others)
    assert 0 < float(difference.norm()) * plan.divisor <= plan.clip_norm * (1 + 1e-9)


def test_a_person_is_clipped_alone_whatever_the_others_hold() -> None:
    plan = make_plan(sampling_rate=1.0)
    people = make_people(4)
    shuffled = {**people, "p3": people["p2"].flip(0), "p2": people["p3"] * 7}

    def share_of_p0(data: dict[str, Tensor]) -> Tensor:
        without = {name: windows for name, windows in data.items() if name != "p0"}
        return update(Tiny(), plan, data) - update(Tiny(), plan, without)

    torch.testing.assert_close(share_of_p0(people), share_of_p0(shuffled), rtol=0, atol=1e-15)


def test_clip_scales() -> None:
    gradients = [
        torch.tensor([[3.0], [0.3], [0.0], [torch.nan], [1.0]]),
        torch.tensor([[4.0], [0.4], [0], [1], [torch.inf]]),
    ]
    torch.testing.assert_close(
        clip_scales(gradients, 1.0), torch.tensor([0.2, 1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    )
    huge = [torch.full((1, 4), 3e38)]
    assert 0 < float(clip_scales(huge, 1.0)) < 1e-38, "a finite float32 gradient must not overflow to a zero weight"


@pytest.mark.parametrize("mode", ["keep", "recompute"])
@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.AdamW])
def test_frozen_entries_stay_without_gradient_and_noise(make: Any, mode: str) -> None:
    plan, people = make_plan(noise_multiplier=2.0), make_people(6)
    module = Tiny()
    mask = torch.zeros_like(module.place.weight, dtype=torch.bool)
    mask[2:4] = True
    before = module.place.weight.detach().clone()
    optimizer = make(module.parameters(), lr=1.0, weight_decay=0.1)
    frozen = {"place.weight": mask, "head.weight": torch.ones_like(module.head.weight, dtype=torch.bool)}
    head = module.head.weight.detach().clone()
    loop(*triple(module, plan, people, optimizer=optimizer, frozen=frozen, steps=range(3), mode=mode))
    moved = module.place.weight != before
    assert torch.equal(moved, ~mask)
    assert torch.equal(module.head.weight, head)


@settings(deadline=None, max_examples=15)
@given(
    seed=SEEDS,
    scale=st.sampled_from([1e-6, 1.0, 1e6]),
    grid=st.sampled_from([16, 64, 2**20]),
    mode=st.sampled_from(["keep", "recompute"]),
    micro_batch=st.integers(1, 5),
)
def test_on_the_grid_a_person_moves_the_sum_by_integers_within_the_norm(
    seed: int, scale: float, grid: int, mode: str, micro_batch: int
) -> None:
    plan = make_plan(noise_multiplier=1.0, sampling_rate=1.0, arithmetic="grid")
    people = {name: scale * windows for name, windows in make_people(4, seed).items()}
    others = {name: windows for name, windows in people.items() if name != "p1"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mechanism, "GRID", grid)
        with_p1, without = (update(Tiny(), plan, data, mode=mode, micro_batch=micro_batch) for data in (people, others))
    steps = (with_p1 - without) * plan.divisor * grid / plan.clip_norm
    assert float((steps - steps.round()).abs().max()) < 1e-5
    assert float(steps.round().square().sum()) <= grid**2


def test_a_grid_too_coarse_or_noise_too_large_is_refused() -> None:
    for changes in ({"noise_multiplier": 2e4}, {"arithmetic": "grid"}):
        plan = make_plan(**{"arithmetic": "grid", **changes})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mechanism, "GRID", 2**20 if "noise_multiplier" in changes else 4)
            with pytest.raises(PrivacyError, match="too much for the grid"):
                triple(Tiny(), plan, make_people(2))


@pytest.mark.parametrize("mode", ["keep", "recompute"])
def test_frozen_entries_do_not_count_in_the_norm(mode: str) -> None:
    plan, people = make_plan(sampling_rate=1.0), make_people(1)
    module = Tiny()
    frozen = {n: torch.ones_like(p, dtype=torch.bool) for n, p in module.named_parameters() if n != "head.bias"}
    moved = update(module, plan, people, frozen=frozen, mode=mode)
    assert float(moved.norm()) * plan.divisor == pytest.approx(plan.clip_norm)


def test_a_wholly_frozen_branch_may_be_unused_but_no_other() -> None:
    module = Tiny()
    module.unused = nn.Linear(2, 2).double()
    plan, people = make_plan(sampling_rate=1.0), make_people(2)
    with pytest.raises(PrivacyError, match=r"unused\.weight got no gradient"):
        update(module, plan, people)
    frozen = {f"unused.{n}": torch.ones_like(p, dtype=torch.bool) for n, p in module.unused.named_parameters()}
    assert float(update(module, plan, people, frozen=frozen).norm()) > 0


def test_state_dict_keeps_its_names_and_the_module_is_ordinary_again() -> None:
    module = Tiny()
    names = list(module.state_dict())
    plan, people = make_plan(), make_people(4)
    private, optimizer, loader = triple(module, plan, people)
    assert private is module
    assert list(private.state_dict()) == names
    loop(private, optimizer, loader)
    assert "forward" not in vars(module.embed)
    assert not module._forward_hooks
    module(torch.stack(list(people.values()))).mean().backward()
    assert module.embed.weight.grad is not None
    update(module, plan, people)  # and can be private again


def test_the_module_is_ordinary_again_when_the_loop_breaks() -> None:
    module = Tiny()
    _, _, loader = triple(module, make_plan(sampling_rate=1.0), make_people(4))
    iterator = iter(loader)
    next(iterator)
    iterator.close()
    assert "forward" not in vars(module.embed)
    assert not module._forward_hooks


def test_somebody_without_windows_gives_nothing() -> None:
    plan, people = make_plan(noise_multiplier=1.0, sampling_rate=1.0), make_people(5)
    own = own_windows(people, 2)
    silent = {"p1", "p2"}
    moved = update(Tiny(), plan, people, draw=lambda p, t, s: None if p in silent else own(p, t, s), micro_batch=1)
    others = {name: windows for name, windows in people.items() if name not in silent}
    torch.testing.assert_close(moved, update(Tiny(), plan, others), rtol=0, atol=1e-12)


def test_an_unknown_reduction_cannot_break_the_bound() -> None:
    """A loop that sums instead of averaging gets larger gradients, clipped all the same."""
    plan = make_plan(sampling_rate=1.0)
    module = Tiny()
    before = flat(module)
    private, optimizer, loader = triple(module, plan, make_people(3))
    for batch in loader:
        private(batch).sum().backward()
        optimizer.step()
    assert float((before - flat(module)).norm()) * plan.divisor <= 3 * plan.clip_norm * (1 + 1e-9)


class TestMisuse:
    def test_a_batch_left_out(self) -> None:
        _, _, loader = triple(Tiny(), make_plan(sampling_rate=1.0), make_people(4))
        iterator = iter(loader)
        next(iterator)
        with pytest.raises(RuntimeError, match="3 people was not passed"):
            next(iterator)

    def test_a_step_too_many(self) -> None:
        module, optimizer, loader = triple(Tiny(), make_plan(sampling_rate=1.0), make_people(2))
        for batch in loader:
            module(batch).mean().backward()
            optimizer.step()
            with pytest.raises(RuntimeError, match="without a new batch"):
                optimizer.step()

    def test_two_backward_passes(self) -> None:
        module, optimizer, loader = triple(Tiny(), make_plan(sampling_rate=1.0), make_people(2))
        batch = next(iter(loader))
        module(batch).mean().backward()
        module(batch).mean().backward()
        with pytest.raises(PrivacyError, match="exactly one backward pass"):
            optimizer.step()

    def test_the_same_loader_twice(self) -> None:
        made = triple(Tiny(), make_plan(), make_people(2))
        loop(*made)
        with pytest.raises(RuntimeError, match="each step once"):
            loop(*made)

    def test_a_closure(self) -> None:
        _, optimizer, _ = triple(Tiny(), make_plan(), make_people(2))
        with pytest.raises(ValueError, match="closure"):
            optimizer.step(lambda: 0.0)

    def test_two_private_loops_over_one_module(self) -> None:
        module = Tiny()
        triple(module, make_plan(), make_people(2))
        with pytest.raises(PrivacyError, match="in a private loop already"):
            triple(module, make_plan(), make_people(2))

    def test_the_same_graph_backward_twice(self) -> None:
        module, optimizer, loader = triple(Tiny(), make_plan(sampling_rate=1.0), make_people(2))
        loss = module(next(iter(loader))).mean()
        loss.backward(retain_graph=True)
        loss.backward()
        with pytest.raises(PrivacyError, match="exactly one backward pass"):
            optimizer.step()

    def test_windows_as_the_first_axis(self) -> None:
        class Flattening(Tiny):
            def forward(self, x: Tensor) -> Tensor:
                return super().forward(x.flatten(0, 1)[:, None])

        module, optimizer, loader = triple(Flattening(), make_plan(sampling_rate=1.0), make_people(3))
        with pytest.raises(PrivacyError, match=r"person gradients of shape \[6, 4, 3\], expected \[3, 4, 3\]"):
            loop(module, optimizer, loader)


class WithParameter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(3))


def other_optimizer(module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(list(module.parameters())[1:])


def richer_optimizer(module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD([*module.parameters(), nn.Parameter(torch.zeros(1))])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"people": ["a", "b", "a"]}, "1 of 3 people are listed twice"),
        ({"micro_batch": 0}, "micro_batch=0 is not at least 1"),
        ({"steps": range(99, 101)}, r"range\(99, 101\) does not lie in the plan's range\(0, 100\)"),
        ({"steps": range(0, 4, 2)}, "does not lie in"),
        ({"module": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))}, "BatchNorm1d, which mixes people"),
        ({"module": nn.BatchNorm1d(2, affine=False)}, "mixes people"),
        ({"module": nn.InstanceNorm1d(2, track_running_stats=True)}, "keeps running averages of people"),
        ({"module": WithParameter()}, "WithParameter owns parameters but has no person gradients"),
        ({"optimizer": other_optimizer}, r"embed\.weight is trainable but not in the optimiser"),
        ({"optimizer": richer_optimizer}, "1 parameters not in the module"),
        ({"frozen": {"nowhere": torch.ones(1, dtype=torch.bool)}}, "'nowhere', which is no trainable parameter"),
        ({"frozen": {"norm.bias": torch.ones(4)}}, r"torch\.float32 \[4\], expected torch\.bool \[4\]"),
        ({"frozen": {"norm.bias": torch.ones(3, dtype=torch.bool)}}, r"torch\.bool \[3\], expected torch\.bool \[4\]"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    module = changes.pop("module", None) or Tiny()
    if "optimizer" in changes:
        changes["optimizer"] = changes["optimizer"](module)
    elif not list(module.parameters()):
        changes["optimizer"] = torch.optim.SGD([nn.Parameter(torch.zeros(1))])
    with pytest.raises(PrivacyError, match=message):
        triple(module, make_plan(), make_people(2), **changes)
