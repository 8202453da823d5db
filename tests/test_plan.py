"""Plans and accountants: published figures, monotone, two independent accountants, calibration as an inverse."""

import math
from dataclasses import FrozenInstanceError, asdict
from typing import Any

import dp_accounting
import pytest
from dp_accounting.pld import PLDAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from privacy.plan import (
    PrivacyError,
    PrivacyPlan,
    budget_table,
    epsilon,
    gaussian_event,
    gaussian_rows,
    noise_for,
)
from tests.private_toy import make_plan

RATES = st.sampled_from([0.01, 0.06, 0.3, 1.0])
NOISES = st.floats(0.7, 20.0)
STEPS = st.integers(1, 2000)
DELTA = 1e-5


@pytest.mark.parametrize(
    ("rate", "steps", "delta", "target", "noise"),
    [
        (0.128, 500, 1e-5, 1, 10.8),
        (0.128, 500, 1e-5, 8, 1.89),
        (256 / 5000, 500, 1e-5, 8, 0.98),
        (0.0256, 1000, 1e-5, 8, 0.8149),
    ],
)
def test_noise_of_known_plans(rate: float, steps: int, delta: float, target: float, noise: float) -> None:
    """Figures computed once with dp_accounting's PLD at its own fixed discretisation."""
    assert noise_for(target, rate, steps, delta) == pytest.approx(noise, rel=6e-3)


@pytest.mark.parametrize(("noise", "steps"), [(0.6, 1), (1.5, 20), (6.0, 600), (40.0, 5000)])
def test_without_sampling_it_is_the_gaussian_in_closed_form(noise: float, steps: int) -> None:
    """Balle and Wang, arXiv:1805.06530, theorem 8, for a Gaussian of sensitivity sqrt(steps) / noise."""
    mu = math.sqrt(steps) / noise

    def delta(eps: float) -> float:
        log_tail = eps + norm.logcdf(-eps / mu - mu / 2)
        return float(norm.cdf(mu / 2 - eps / mu) - math.exp(log_tail))

    exact = brentq(lambda eps: delta(eps) - DELTA, 1e-6, 200.0, xtol=1e-10)
    spent = epsilon(gaussian_event(1.0, noise, steps), DELTA)
    assert exact * (1 - 1e-7) <= spent <= exact * 1.001


@settings(deadline=None, max_examples=8)
@given(rate=RATES, noise=NOISES, steps=STEPS)
def test_two_accountants_agree_and_renyi_bounds_them(rate: float, noise: float, steps: int) -> None:
    event = gaussian_event(rate, noise, steps)
    renyi = epsilon(event, DELTA, "rdp")
    if not 0.01 < renyi < 100:
        return
    pld, prv = epsilon(event, DELTA), epsilon(event, DELTA, "prv")
    assert pld == pytest.approx(prv, rel=2e-3)
    assert pld <= renyi


@settings(deadline=None, max_examples=8)
@given(rate=RATES, noise=NOISES, steps=STEPS, more=st.integers(1, 500))
def test_epsilon_falls_with_noise_and_rises_with_steps_and_rate(
    rate: float, noise: float, steps: int, more: int
) -> None:
    spent = epsilon(gaussian_event(rate, noise, steps), DELTA)
    assert epsilon(gaussian_event(rate, noise * 1.1, steps), DELTA) < spent
    assert epsilon(gaussian_event(rate, noise, steps + more), DELTA) > spent
    assert epsilon(gaussian_event(rate * 0.8, noise, steps), DELTA) < spent


@settings(deadline=None, max_examples=4)
@given(target=st.floats(0.05, 30.0), rate=RATES, steps=STEPS)
def test_calibration_spends_what_was_asked_and_not_more(target: float, rate: float, steps: int) -> None:
    noise = noise_for(target, rate, steps, DELTA)
    assert float(f"{noise:.4g}") == noise
    assert epsilon(gaussian_event(rate, noise, steps), DELTA) <= target
    if noise > 0.05:
        assert epsilon(gaussian_event(rate, noise * (1 - 2e-3), steps), DELTA) > target


@pytest.mark.parametrize("accountant", ["pld", "prv", "rdp"])
def test_no_noise_is_infinite_and_no_steps_are_free(accountant: str) -> None:
    assert epsilon(gaussian_event(0.1, 0.0, 10), DELTA, accountant) == math.inf
    assert epsilon(gaussian_event(0.1, 1.0, 0), DELTA, accountant) == 0.0
    assert epsilon(gaussian_event(0.1, 0.0, 0), DELTA, accountant) == 0.0
    assert epsilon(dp_accounting.NoOpDpEvent(), DELTA, accountant) == 0.0
    assert noise_for(1.0, 0.1, 0, DELTA, accountant) == 0.0


@pytest.mark.parametrize("accountant", ["pld", "prv", "rdp"])
def test_rounds_compose_to_the_whole_in_any_order(accountant: str) -> None:
    a, b = gaussian_event(0.1, 1.5, 20), gaussian_event(0.2, 3.0, 10)
    whole = dp_accounting.ComposedDpEvent([gaussian_event(0.1, 1.5, 60), gaussian_event(0.2, 3.0, 20)])
    mixed = dp_accounting.ComposedDpEvent([b, a, dp_accounting.SelfComposedDpEvent(a, 2), b])
    assert epsilon(mixed, DELTA, accountant) == epsilon(whole, DELTA, accountant)
    parts = epsilon(gaussian_event(0.1, 1.5, 60), DELTA, accountant)
    assert parts < epsilon(whole, DELTA, accountant) < parts + epsilon(gaussian_event(0.2, 3.0, 20), DELTA, accountant)


def test_a_mixture_of_releases_agrees_too() -> None:
    """Training, twenty cheap evaluations and one statistic: the shape of a real ledger."""
    events = [gaussian_event(0.0512, 1.2, 600), gaussian_event(1.0, 60.0, 20), gaussian_event(1.0, 10.0, 1)]
    event = dp_accounting.ComposedDpEvent(events)
    assert epsilon(event, DELTA) == pytest.approx(epsilon(event, DELTA, "prv"), rel=2e-3)


@pytest.mark.parametrize(
    "event",
    [
        dp_accounting.LaplaceDpEvent(1.0),
        dp_accounting.NonPrivateDpEvent(),
        dp_accounting.PoissonSampledDpEvent(0.1, dp_accounting.LaplaceDpEvent(1.0)),
        dp_accounting.SampledWithoutReplacementDpEvent(10, 2, dp_accounting.GaussianDpEvent(1.0)),
        dp_accounting.ComposedDpEvent([dp_accounting.GaussianDpEvent(1.0), dp_accounting.LaplaceDpEvent(1.0)]),
    ],
)
def test_unknown_events_are_refused(event: Any) -> None:
    with pytest.raises(PrivacyError, match="is not made of Poisson-subsampled Gaussians"):
        epsilon(event, DELTA)


TRUNCATED = [(256, 1.0001), (192, 1.0001), (160, 1.5), (140, 4.0)]  # of 128 expected; epsilon over 8 at most so much


@pytest.mark.parametrize(("most", "times"), TRUNCATED)
def test_a_cap_costs_nothing_far_above_the_mean_and_much_near_it(most: int, times: float) -> None:
    people, rate, noise, steps = 5000, 128 / 5000, 0.8149, 1000
    plain = epsilon(gaussian_event(rate, noise, steps), DELTA)
    event = gaussian_event(rate, noise, steps, (people, most))
    spent = epsilon(event, DELTA)
    assert plain * (1 - 1e-9) <= spent <= plain * times
    assert spent >= plain * (1.3 if most <= 160 else 1), "people push each other out in every step"
    library = PLDAccountant(value_discretization_interval=1e-3).compose(event).get_epsilon(DELTA)
    assert spent >= library * 0.999, "never below the event's own distribution"
    assert spent <= epsilon(event, DELTA, "rdp")
    if most == 256:
        assert epsilon(event, DELTA, "prv") == pytest.approx(spent, rel=2e-3)
    else:
        with pytest.raises(PrivacyError, match="take rdp as second accountant"):
            epsilon(event, DELTA, "prv")


@settings(deadline=None, max_examples=12)
@given(
    people=st.integers(2, 30),
    rate=st.sampled_from([0.01, 0.2, 0.6]),
    noise=st.sampled_from([0.3, 1.0, 2.0]),
    data=st.data(),
)
def test_truncation_is_counted_for_any_number_of_people_up_to_the_nominal(
    people: int, rate: float, noise: float, data: Any
) -> None:
    """Above the cap the library's distribution for exactly so many people, below it a plain step's."""
    most = data.draw(st.integers(1, people))
    present = data.draw(st.integers(1, people))
    delta = data.draw(st.sampled_from([1e-3, 0.5 / people, 0.9 / people]))
    spent = epsilon(gaussian_event(rate, noise, 10, (people, most)), delta)
    assert spent >= epsilon(gaussian_event(rate, noise, 10), delta) * (1 - 1e-3), "nobody is ever pushed out"
    if present >= most:
        exact = dp_accounting.TruncatedSubsampledGaussianDpEvent(present, rate, most, noise)
        library = PLDAccountant(value_discretization_interval=1e-3).compose(exact, 10).get_epsilon(delta)
        assert spent >= library * (1 - 5e-3) - 1e-3, "the library's grid is coarser"


@pytest.mark.parametrize(
    ("people", "most", "rate", "noise", "delta"), [(1000, 1, 1e-3, 0.1, 9e-4), (2, 1, 0.5, 0.1, 0.45)]
)
def test_a_cap_never_makes_a_step_cheaper(people: int, most: int, rate: float, noise: float, delta: float) -> None:
    capped = epsilon(gaussian_event(rate, noise, 1, (people, most)), delta)
    assert capped >= epsilon(gaussian_event(rate, noise, 1), delta) > 20.0


def test_a_truncated_plan() -> None:
    plan = make_plan(noise_multiplier=2.0, most_people=12, steps=4)
    assert gaussian_rows(plan.event(3)) == {(0.5, 2.0, 16, 12): 3}
    facts = {name: value for name, value in asdict(plan).items() if name != "noise_multiplier"}
    calibrated = PrivacyPlan.calibrated(epsilon=4.0, **facts)
    assert calibrated.epsilon() <= 4.0
    assert epsilon(gaussian_event(0.5, calibrated.noise_multiplier, 4), plan.delta) < 0.99 * 4.0


def test_equal_rows_are_merged() -> None:
    plan = make_plan(noise_multiplier=2.0)
    event = dp_accounting.ComposedDpEvent([plan.event(3), dp_accounting.GaussianDpEvent(5.0), plan.event(4)])
    assert gaussian_rows(event) == {(0.5, 2.0): 7, (1.0, 5.0): 1}


def test_the_plan_binds_mechanism_and_event() -> None:
    plan = make_plan(noise_multiplier=1.7, sampling_rate=0.25, nominal_people=40)
    assert plan.divisor == 10.0
    assert gaussian_rows(plan.event()) == {(0.25, 1.7): 100}
    assert gaussian_rows(plan.event(3)) == {(0.25, 1.7): 3}
    assert plan.epsilon() == epsilon(plan.event(), plan.delta)
    assert plan.epsilon(10) < plan.epsilon()


def test_calibrated_plan() -> None:
    facts = {name: value for name, value in asdict(make_plan()).items() if name != "noise_multiplier"}
    plan = PrivacyPlan.calibrated(epsilon=4.0, **facts)
    assert 3.98 < plan.epsilon() <= 4.0
    assert plan.epsilon_budget == 8.0
    del facts["epsilon_budget"]
    assert PrivacyPlan.calibrated(epsilon=4.0, **facts).epsilon_budget == 4.0


def test_a_plan_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        make_plan().clip_norm = 2.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("field", "value", "bound"),
    [
        ("noise_multiplier", -0.1, r"\[0, inf\)"),
        ("noise_multiplier", math.nan, r"\[0, inf\)"),
        ("clip_norm", 0.0, r"\(0, inf\)"),
        ("clip_norm", math.inf, r"\(0, inf\)"),
        ("sampling_rate", 0.0, r"\(0, 1\]"),
        ("sampling_rate", 1.01, r"\(0, 1\]"),
        ("nominal_people", 0, ">= 1"),
        ("nominal_people", 10.5, ">= 1"),
        ("steps", -1, ">= 0"),
        ("steps", True, ">= 0"),
        ("windows_per_person", 0, ">= 1"),
        ("delta", 0.0, r"\(0, 1\)"),
        ("delta", 1 / 16, "below 1/people = 0.0625"),
        ("epsilon_budget", 0.0, r"\(0, inf\]"),
        ("epsilon_budget", math.nan, r"\(0, inf\]"),
        ("most_people", -1, "0 or a whole number of at most 16 people"),
        ("most_people", 17, "0 or a whole number of at most 16 people"),
        ("arithmetic", "integer", "one of float, grid"),
        ("unit", "window", "the only one there is"),
        ("adjacency", "replace one", "the only one there is"),
    ],
)
def test_impossible_plans_are_refused(field: str, value: Any, bound: str) -> None:
    with pytest.raises(PrivacyError, match=rf"^{field}={value!r} is not .*{bound}"):
        make_plan(**{field: value})


def test_impossible_questions_are_refused() -> None:
    event = gaussian_event(0.1, 1.0, 10)
    with pytest.raises(PrivacyError, match="accountant='gdp' is not one of pld, prv, rdp"):
        epsilon(event, DELTA, "gdp")
    with pytest.raises(PrivacyError, match=r"delta=1.0 is not in \(0, 1\)"):
        epsilon(event, 1.0)
    with pytest.raises(PrivacyError, match=r"epsilon=0 is not in \(0, inf\)"):
        noise_for(0, 0.1, 10, DELTA)
    with pytest.raises(PrivacyError, match="is not reachable with a noise multiplier below 1e"):
        noise_for(1e-4, 1.0, 1_000_000, 1e-12, "rdp")
    with pytest.raises(PrivacyError, match="is not at most 500, as far as prv can count"):
        epsilon(gaussian_event(0.5, 0.1, 1000), DELTA, "prv")


class TestBudgetTable:
    def test_noise_for_an_epsilon(self) -> None:
        table = budget_table(1000, 0.128, 500, DELTA, epsilon=8.0)
        assert table["noise"]["pld"] == pytest.approx(1.89, rel=5e-3)
        assert table["disagreement"] < 0.03
        assert table["noise_multiplier"] == max(table["noise"].values())
        assert 7.9 < table["epsilon"]["pld"] <= 8.0
        assert table["divisor"] == 128.0

    def test_epsilon_for_a_noise(self) -> None:
        table = budget_table(1000, 0.128, 500, DELTA, noise=1.89)
        assert table["epsilon"]["pld"] == pytest.approx(8.0, rel=5e-3)
        assert table["disagreement"] < 0.03
        assert table["noise"] == {"pld": 1.89, "prv": 1.89}

    def test_no_noise_protects_nobody(self) -> None:
        table = budget_table(1000, 0.128, 500, DELTA, noise=0.0)
        assert table["epsilon"] == {"pld": math.inf, "prv": math.inf}
        assert table["disagreement"] == 0.0

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({}, "exactly one of epsilon and noise"),
            ({"epsilon": 1.0, "noise": 1.0}, "exactly one of epsilon and noise"),
            ({"epsilon": -1.0}, r"epsilon=-1.0 is not in \(0, inf\)"),
            ({"noise": -1.0}, r"noise_multiplier=-1.0 is not in \[0, inf\)"),
            ({"noise": 1.0, "rate": 1.5}, r"sampling_rate=1.5 is not in \(0, 1\]"),
            ({"noise": 1.0, "people": 0}, "people=0 is not a whole number >= 1"),
            ({"noise": 1.0, "steps": -5}, "steps=-5 is not a whole number >= 0"),
            ({"noise": 1.0, "delta": 0.01}, "delta=0.01 is not below 1/people = 0.001"),
        ],
    )
    def test_impossible_options_are_refused(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(PrivacyError, match=message):
            budget_table(**{"people": 1000, "rate": 0.1, "steps": 10, "delta": DELTA, **changes})
