"""The audit: bounds that hold what they promise, green on what is sound, red on every way that it was broken."""

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from dp_accounting import GaussianDpEvent
from torch import Tensor

from privacy import plan as plan_module
from privacy.audit import FAIL, PASS, SKIPPED, Toy, gray_box, toy_subject
from privacy.bounds import (
    counting_bound,
    counting_epsilon,
    gaussian_bound,
    gaussian_epsilon,
    rate_interval,
)
from privacy.canaries import CanaryDesign, audit_canaries, expected_epsilon
from privacy.plan import PrivacyError, PrivacyPlan
from simulator.randomness import stream
from tests.broken_privacy import FAULTS

DELTA = 1e-5
SMALL = CanaryDesign(canaries=400, dimensions=2_000, steps=4)
PLAN = PrivacyPlan(
    noise_multiplier=1.2,
    clip_norm=0.5,
    sampling_rate=0.3,
    nominal_people=16,
    steps=40,
    windows_per_person=2,
    delta=1e-5,
    epsilon_budget=100.0,
)


@pytest.mark.parametrize("mu", [0.3, 1.0, 3.0, 30.0])
def test_the_gaussian_epsilon_is_the_accountants(mu: float) -> None:
    counted = plan_module.epsilon(GaussianDpEvent(1 / mu), DELTA)
    assert gaussian_epsilon(mu, DELTA) == pytest.approx(counted, rel=2e-3)


def test_the_gaussian_bound_is_above_the_truth_as_seldom_as_it_says() -> None:
    rng, trials, mu = stream(1, "bound"), 400, 0.9
    above = 0
    for _ in range(trials):
        bound = gaussian_bound(mu + rng.normal(size=60), rng.normal(size=500), DELTA, 0.9)
        assert bound.epsilon < bound.estimate
        above += bound.epsilon > gaussian_epsilon(mu, DELTA)
    assert above / trials < 0.1 + 3 * math.sqrt(0.1 * 0.9 / trials)
    assert above > 0, "so wide a margin proves too little"


def test_the_counting_bound_is_above_the_truth_as_seldom_as_it_says() -> None:
    rng, trials, epsilon = stream(1, "counting"), 60, 1.5
    above = 0
    for _ in range(trials):  # randomised response: exactly (1.5, 0)-private, and the best attack is to believe it
        included = rng.random(400) < 0.5
        told = np.where(rng.random(400) < 1 / (1 + math.exp(-epsilon)), included, ~included)
        above += counting_bound(told + 1e-9 * rng.random(400), included, DELTA, 0.95, (0.5,)).epsilon > epsilon
    assert above / trials < 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize("guesses", [50, 400])
def test_the_counting_bound_has_its_ceiling(guesses: int) -> None:
    p = 0.05 ** (1 / guesses)
    assert counting_epsilon(1000, guesses, guesses, 0.0, 0.05) == pytest.approx(math.log(p / (1 - p)), abs=1e-3)
    assert counting_epsilon(1000, guesses, guesses // 2, 0.0, 0.05) == 0.0


def test_the_counting_bound_falls_with_delta() -> None:
    values = [counting_epsilon(1000, 200, 180, delta, 0.05) for delta in (0.0, 1e-5, 1e-4)]
    assert values == sorted(values, reverse=True)


def test_a_rate_s_interval_holds_the_rate() -> None:
    assert rate_interval(3, 100, 0.95) == pytest.approx((0.0062, 0.0852), abs=1e-3)
    assert rate_interval(0, 10, 0.95)[0] == 0.0
    assert rate_interval(10, 10, 0.95)[1] == 1.0


@cache
def audited(fault: str) -> "tuple[float, float, float, bool]":
    found = audit_canaries(SMALL, 3, FAULTS[fault])
    return found.gaussian.epsilon, found.counting.epsilon, found.claimed, found.red


def test_canaries_find_a_sound_build_sound() -> None:
    gaussian, counting, claimed, red = audited("none")
    assert not red
    assert 0.5 * SMALL.epsilon < gaussian < claimed  # 400 canaries; 2,000 prove 0.7 of the claim and more
    assert 0 < counting < gaussian
    assert claimed == pytest.approx(4.0, rel=1e-3)
    assert gaussian < expected_epsilon(SMALL.plan()) < claimed


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ("none", "noise / 1.25")])
def test_canaries_find_a_fault(fault: str) -> None:
    assert audited(fault)[-1]


def test_an_audit_repeats_from_its_seed() -> None:
    design = CanaryDesign(canaries=20, dimensions=100, steps=2, epsilon=50.0)
    assert audit_canaries(design, 1).gaussian == audit_canaries(design, 1).gaussian
    assert audit_canaries(design, 1).gaussian != audit_canaries(design, 2).gaussian


@pytest.mark.parametrize("odd", [{"dimensions": 101}, {"steps": 3}, {"canaries": 10_000}, {"confidence": 0.4}])
def test_an_impossible_design_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(PrivacyError, match=next(iter(odd))):
        CanaryDesign(**odd)


def test_the_gray_box_finds_a_sound_build_sound() -> None:
    checks = gray_box(toy_subject(PLAN))
    assert {check.verdict for check in checks} == {PASS, SKIPPED}
    assert [check.rule for check in checks if check.verdict == SKIPPED] == ["R15"]  # the toy lacks no sensor
    assert len({check.name for check in checks}) == len(checks) == 14


def test_running_statistics_of_private_people_are_seen() -> None:
    """What a module of somebody else's keeps of what it saw shows only afterwards."""

    class Averages(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.get_buffer("seen").add_(x.detach().mean())
            return super().forward(x)

    (check,) = gray_box(replace(toy_subject(PLAN), module=Averages), names={"buffers"})
    assert (check.rule, check.verdict) == ("R12", FAIL)


SEEN_BY = {
    "noise / 1.25": {"noise where nobody joined"},
    "noise / 2": {"noise where nobody joined"},
    "no noise": {"noise where nobody joined", "independent noise", "noise in float64"},
    "no clipping": {"person gradients", "clipped norm", "neighbouring people", "constant clip norm"},
    "clipping by window": {"person gradients", "clipped norm", "neighbouring people"},
    "noise repeats over steps": {"independent noise"},
    "noise repeats over releases": {"independent noise"},
    "noise repeats over parameters": {"independent noise"},
}


@pytest.mark.parametrize("fault", SEEN_BY)
def test_the_gray_box_finds_a_fault(fault: str) -> None:
    checks = gray_box(toy_subject(PLAN), make=FAULTS[fault], names=SEEN_BY[fault])
    assert {check.name for check in checks if check.verdict == FAIL} == SEEN_BY[fault]
