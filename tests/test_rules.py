"""The rules that carry the guarantee, one test each, and proof that each test goes red when its rule is broken.

Every rule is a plain function that asserts it. The table at the end pairs the rules with the faults of
``tests/mutants.py``, plants each for the length of one test, and demands that the rule's check fails. The numbers are
those of the project's list of twenty rules; the missing ones stand in ``tests/test_rules_of_rounds.py``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from dp_accounting.pld import PLDAccountant
from torch import Tensor

from privacy import ledger as ledger_module
from privacy import mechanism, noise, plan
from privacy.ledger import BudgetExceeded, Ledger, LedgerError, Release
from privacy.noise import KeyedStream
from privacy.plan import PrivacyError, PrivacyPlan, gaussian_event, gaussian_rows
from tests import mutants
from tests.outcomes import measured, went_red
from tests.private_toy import Tiny, Wide, make_people, make_plan, triple, update

Z = 5.0  # standard errors that a statistic may be off; a sound build fails one in two million
DELTA = 1e-5


# The rules


def check_r01() -> str:
    """Unit: however much a person has and however many windows are drawn, the person moves the sum by at most C."""
    people = {name: 50 * windows for name, windows in make_people(6).items()}
    less = {name: windows for name, windows in people.items() if name != "p2"}
    for k in (1, 4):
        planned = make_plan(sampling_rate=1.0, windows_per_person=k)
        difference = update(Tiny(), planned, people) - update(Tiny(), planned, less)
        moved = float(difference.norm()) * planned.divisor / planned.clip_norm
        assert moved <= 1 + 1e-9, f"one person moves the sum by {moved:.3g} C"
    for step in range(20):
        joining = [loader_of(people_now, step) for people_now in (people, less)]
        assert [name for name in joining[0] if name != "p2"] == joining[1], "one person's coin moved another's"
    assert refuses(lambda: triple(Tiny(), make_plan(), people, people=["p0", "p1", "p0"]), PrivacyError)
    return f"one person moves the sum by {moved:.3f} C"


def check_r02() -> str:
    """Divisor, rate and schedule are public: somebody who is not drawn leaves no trace, the scale is the plan's."""
    planned = make_plan(noise_multiplier=1.0)
    people = make_people(8)
    _, _, loader = triple(Tiny(), planned, people)
    drawn = set(loader.joining(0))
    bystander = next(name for name in people if name not in drawn)
    less = {name: windows for name, windows in people.items() if name != bystander}
    assert torch.equal(update(Tiny(), planned, people), update(Tiny(), planned, less))
    alone = make_plan(sampling_rate=1.0, nominal_people=40, clip_norm=1e-6)  # one clipped person has norm C exactly
    for n in (1, 2):
        norm = float(
            update(Tiny(), alone, dict.fromkeys(list(make_people(n)), make_people(1)["p0"]), draw=first).norm()
        )
        assert norm * 40 == pytest.approx(n * 1e-6, rel=1e-6)
    for n in (0, 7):
        assert rates_of(make_people(n)) == [1.0, 0.5, 0.25], "the learning rate followed the data"
    return "rates 1, 0.5, 0.25 with 0 people and with 7"


def check_r03() -> str:
    """Everybody joins every step by an independent coin of probability q, and q is the rate that is accounted."""
    planned, people, steps = make_plan(sampling_rate=0.3), make_people(40), 400
    assert set(gaussian_rows(planned.event())) == {(0.3, planned.noise_multiplier)}
    _, _, loader = triple(Tiny(), planned, people)
    joined = np.array([[name in set(names) for name in people] for names in map(loader.joining, range(steps))])
    total = joined.size * 0.3
    assert abs(joined.sum() - total) < Z * math.sqrt(total * 0.7)
    for axis, n in ((0, steps), (1, len(people))):  # Poisson: counts by person and by step spread like binomials
        spread = joined.sum(axis).var(ddof=1) / (n * 0.3 * 0.7)
        assert abs(spread - 1) < Z * math.sqrt(2 / joined.shape[1 - axis])
    repeats = (joined[1:] == joined[:-1]).mean()  # the next step forgets the last
    assert abs(repeats - (0.3**2 + 0.7**2)) < Z * math.sqrt(0.25 / joined.size)
    check_truncation()
    return f"joined {joined.mean():.3f} of 16,000 coins of probability 0.3"


def check_truncation() -> None:
    """A cap is kept by a random subset, one person more pushes out one at most, and its price is the cap's."""
    planned, people, steps = make_plan(sampling_rate=0.5, most_people=7, noise_multiplier=2.0), make_people(16), 400
    for counted in (planned.event(), release_of(planned).event):
        assert set(gaussian_rows(counted)) == {(0.5, 2.0, 16, 7)}
    assert planned.epsilon() > 1.3 * plan.epsilon(gaussian_event(0.5, 2.0, planned.steps), planned.delta)
    free, loader = (triple(Tiny(), p, people)[2] for p in (make_plan(), planned))
    less = triple(Tiny(), planned, {name: x for name, x in people.items() if name != "p3"})[2]
    stayed = dict.fromkeys(people, 0)
    for step in range(steps):
        joined, kept, without = (set(each.joining(step)) for each in (free, loader, less))
        assert kept <= joined
        assert len(kept) == min(7, len(joined)), "a cap is no cut below it"
        assert len(kept - without) <= 1
        assert len(without - kept) <= 1
        for name in kept:
            stayed[name] += 1
    share = np.array(list(stayed.values())) / steps
    assert np.abs(share - share.mean()).max() < Z * math.sqrt(0.25 / steps), "everybody stays equally often"
    assert refuses(lambda: triple(Tiny(), planned, make_people(17)), PrivacyError)


def check_r04() -> str:
    """A step that drew nobody is noised like any other, and counted."""
    planned = make_plan(noise_multiplier=1.5)
    moved = update(Wide(), planned, {})
    assert_noise(moved, planned)
    module, optimizer, loader = triple(Tiny(), planned, {}, steps=range(3))
    assert list(loader) == []
    assert optimizer.steps_taken == 3
    del module
    return "3 empty steps taken, noise within 5 standard errors"


def check_r05() -> str:
    """Somebody whose gradient is not finite counts as zero and spoils nobody else."""
    planned = make_plan(noise_multiplier=1.0, sampling_rate=1.0)
    people = make_people(5)
    expected = update(Tiny(), planned, {name: windows for name, windows in people.items() if name != "p3"})
    for poison in (math.nan, math.inf, 1e200):
        people["p3"] = people["p3"].clone()
        people["p3"][:, 2, 1] = poison
        moved = update(Tiny(), planned, people)
        assert moved.isfinite().all()
        torch.testing.assert_close(moved, expected, rtol=0, atol=1e-12)
    return f"others' sum is off by {float((moved - expected).abs().max()):.0e}"


def check_r06() -> str:
    """Noise is independent over vendors, releases, steps and parameters, and of the right size in each."""
    planned = make_plan(noise_multiplier=1.5)
    releases = [release(round=number) for number in (0, 1)] + [release(content="another model")]
    streams = [made.stream(key) for key in (noise.new_key(), noise.new_key()) for made in releases]
    draws = []
    for stream in streams:
        for step in (0, 1):
            moved = update(Wide(), planned, {}, streams=stream, steps=range(step, step + 1))
            assert_noise(moved, planned)
            draws += [moved[:15_000], moved[20_000:35_000]]  # the two weights
    correlations = np.corrcoef(torch.stack(draws).numpy())[np.triu_indices(len(draws), 1)]
    largest = float(np.abs(correlations).max())
    assert largest < 6 / math.sqrt(15_000), f"draws are correlated by {largest:.2f}"  # of 276, and the keys are new
    return f"largest of {len(correlations)} correlations is {largest:.2f}"


def check_r07() -> str:
    """A vendor has one ledger for life: rounds and restarts add up, and starting again is an error."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.jsonl"
        for number in range(3):
            open_ledger(path).charge(release(round=number))
        assert open_ledger(path).epsilon() == plan.epsilon(gaussian_event(1.0, 30.0, 60), DELTA)
        assert refuses(lambda: open_ledger(path.with_name("second.jsonl")), LedgerError)
        assert refuses(lambda: fill_up(path, 2.0 * 8.0), BudgetExceeded)
        path.unlink()
        assert refuses(lambda: open_ledger(path), LedgerError)
    return "3 rounds after 3 restarts cost what 60 steps cost; second ledgers refused"


def check_r08() -> str:
    """The federation's epsilon is the largest of its vendors', and composed where people are shared."""
    with TemporaryDirectory() as folder:
        ledgers = []
        for vendor, sigma in {"a": 30.0, "b": 20.0, "c": 60.0}.items():
            ledgers.append(open_ledger(Path(folder) / f"{vendor}.jsonl", vendor=vendor))
            for number in range(3):
                ledgers[-1].charge(release(round=number, noise_multiplier=sigma))
        worst = plan.epsilon(gaussian_event(1.0, 20.0, 60), DELTA)
        assert ledger_module.federation_epsilon(ledgers) == worst
        shared = ledger_module.federation_epsilon(ledgers[:2], True)
        precise = plan.epsilon(gaussian_event(1.0, (30.0**-2 + 20.0**-2) ** -0.5, 60), DELTA)
        assert shared == pytest.approx(precise, rel=1e-3)
    return f"epsilon {worst:.2f} of the worst, {shared:.2f} of two that share people"


def check_r09(config: type = PrivacyPlan) -> str:
    """The plan holds public constants only: plain values that cannot change and cannot carry data."""
    assert config.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert {str(getattr(f.type, "__name__", f.type)) for f in fields(config)} <= {"int", "float", "str"}
    return f"{len(fields(config))} fields, all numbers or text, frozen"


def check_r13() -> str:
    """Noise is added once per step, and the size of a micro-batch changes memory and nothing else."""
    planned = make_plan(noise_multiplier=1.5, sampling_rate=1.0, clip_norm=0.01)
    people = make_people(7)
    updates = [update(Tiny(), planned, people, micro_batch=size) for size in (1, 2, 3, 7, 100)]
    for other in updates[1:]:
        torch.testing.assert_close(other, updates[0], rtol=0, atol=1e-12)
    little = make_plan(noise_multiplier=1.5, sampling_rate=1.0, clip_norm=1.0)
    tiny = {name: 1e-9 * windows for name, windows in people.items()}  # next to no gradient: only noise is left
    wide = Wide()
    for parameter in wide.parameters():
        parameter.data.mul_(1e-9)
    assert_noise(update(wide, little, tiny, micro_batch=1), little)
    return "the same update at 1, 2, 3, 7 and 100 people at a time"


def check_grid() -> str:
    """On the grid everything that is summed is an integer, noise too, and nobody's part is longer than a clip norm."""
    planned = make_plan(noise_multiplier=1.5, sampling_rate=1.0, arithmetic="grid")
    unit = planned.clip_norm / mechanism.GRID / planned.divisor
    people = {name: 50 * windows for name, windows in make_people(6).items()}
    for data in (people, {}):
        moved = update(Tiny(), planned, data) / unit
        assert float((moved - moved.round()).abs().max()) < 1e-4
        assert float(moved.abs().max()) > 100, "the grid is fine beside the noise"
        assert torch.equal(update(Tiny(), planned, data) / unit, moved)
    assert_noise(update(Wide(), planned, {}), planned)
    silent = make_plan(sampling_rate=1.0, arithmetic="grid")
    for name, windows in people.items():
        steps = (update(Tiny(), silent, {name: windows}) / unit).round()
        assert 0.999 * mechanism.GRID**2 < float(steps.square().sum()) <= mechanism.GRID**2
    assert release_of(planned).arithmetic == "grid"
    return "on the grid integers only, and a person's steps below its share"


def check_r17() -> str:
    """Two accountants agree, and the one that counts never rounds down."""
    for rate, sigma, steps in ((0.064, 1.12, 500), (0.3, 6.0, 40), (1.0, 6.0, 20)):
        event = gaussian_event(rate, sigma, steps)
        spent, prv, renyi = (plan.epsilon(event, DELTA, name) for name in ("pld", "prv", "rdp"))
        assert spent == pytest.approx(prv, rel=0.03)
        assert spent <= renyi
        fine = finely(event)
        assert fine * (1 - 1e-6) <= spent <= fine * 1.001
    return f"PLD {spent:.4f}, PRV {prv:.4f}, exact {fine:.4f}"


# What the checks are made of


def loader_of(people: dict[str, Tensor], step: int) -> list[str]:
    joining: list[str] = triple(Tiny(), make_plan(), people)[2].joining(step)
    return joining


def first(person: str, step: int, stream: KeyedStream) -> Tensor:
    """The same two windows for everybody."""
    del person, step, stream
    return make_people(1)["p0"][:2]


def rates_of(people: dict[str, Tensor]) -> list[float]:
    """The learning rates at which three steps were taken, though the loop meddles."""
    module = Tiny()
    wrapped = torch.optim.SGD(module.parameters(), lr=9.0)
    seen: list[float] = []
    wrapped.register_step_pre_hook(lambda optimizer, *_: seen.append(optimizer.param_groups[0]["lr"]))
    _, optimizer, loader = triple(
        module,
        make_plan(sampling_rate=1.0),
        people,
        optimizer=wrapped,
        steps=range(3),
        micro_batch=2,
        learning_rate=lambda step: 0.5**step,
    )
    for number, batch in enumerate(loader):
        optimizer.param_groups[0]["lr"] = 100.0 + number
        module(batch).mean().backward()
        optimizer.step()
    return seen


def assert_noise(moved: Tensor, planned: PrivacyPlan) -> None:
    """Chi-square: the sum of squares is that of noise with the plan's deviation and nothing else."""
    scale = planned.noise_multiplier * planned.clip_norm / planned.divisor
    n = moved.numel()
    z = (float((moved / scale).square().sum()) - n) / math.sqrt(2 * n)
    assert abs(z) < Z, f"noise is off by {z:.1f} standard errors"


def release(**changes: Any) -> Release:
    asked: dict[str, Any] = {"run": "r", "round": 0, "purpose": "train", "content": "c"}
    return Release(**{**asked, "sampling_rate": 1.0, "noise_multiplier": 30.0, "steps": 20, **changes})


def release_of(planned: PrivacyPlan) -> Release:
    return Release.of(planned, steps=20, run="r", round=0, purpose="train", content="c")


def open_ledger(path: Path, vendor: str = "a") -> Ledger:
    return Ledger.open(path, vendor=vendor, delta=DELTA, epsilon_budget=8.0)


def fill_up(path: Path, target: float) -> None:
    """Charge, in rounds and restarts, more than the budget."""
    steps, charged = 0, 0
    while plan.epsilon(gaussian_event(1.0, 8.0, steps), DELTA) < target:
        steps, charged = steps + 20, charged + 1
        open_ledger(path).charge(release(run="second", round=charged, noise_multiplier=8.0))


def finely(event: Any) -> float:
    """The epsilon of a discretisation so fine that its error does not matter."""
    accountant = PLDAccountant(value_discretization_interval=1e-4)
    return float(accountant.compose(event).get_epsilon(DELTA))


def refuses(action: Callable[[], object], error: type[Exception]) -> bool:
    try:
        action()
    except error:
        return True
    return False


# One test a rule


def test_r01_the_unit_is_the_person() -> None:
    assert measured("r01", check_r01)


def test_r02_divisor_and_schedule_are_public() -> None:
    assert measured("r02", check_r02)


def test_r03_sampling_is_poisson_at_the_accounted_rate() -> None:
    assert measured("r03", check_r03)


def test_r04_an_empty_step_is_noised_and_counted() -> None:
    assert measured("r04", check_r04)


def test_r05_what_is_not_finite_counts_as_zero() -> None:
    assert measured("r05", check_r05)


def test_r06_noise_is_independent_everywhere() -> None:
    assert measured("r06", check_r06)


def test_r07_one_ledger_for_life() -> None:
    assert measured("r07", check_r07)


def test_r08_the_federation_has_its_worst_vendor() -> None:
    assert measured("r08", check_r08)


@pytest.mark.parametrize("config", [PrivacyPlan, Release])
def test_r09_configs_hold_public_facts_only(config: type) -> None:
    check_r09(config)


def test_r13_noise_once_a_step() -> None:
    assert measured("r13", check_r13)


def test_r16_the_grid_holds_integers_only() -> None:
    assert check_grid()


def test_r17_two_accountants_agree_and_round_up() -> None:
    assert measured("r17", check_r17)


# The mutants

MUTANTS: dict[str, tuple[Callable[[], str], Callable[[pytest.MonkeyPatch], None]]] = {
    "r01 clip each window": (check_r01, mutants.clip_each_window),
    "r01 clip each parameter": (check_r01, mutants.clip_each_parameter),
    "r01 no clipping": (check_r01, mutants.no_clipping),
    "r01 coins by place in the list": (check_r01, mutants.coins_by_place),
    "r01 people listed twice": (check_r01, mutants.people_listed_twice),
    "r02 divisor from the data": (check_r02, mutants.divisor_from_data),
    "r02 divide by the realised batch": (check_r02, mutants.divide_by_batch),
    "r02 learning rate from the loop": (check_r02, mutants.rate_from_the_loop),
    "r03 batches of fixed size": (check_r03, mutants.shuffled_batches),
    "r03 another rate than accounted": (check_r03, mutants.another_rate),
    "r03 the same people every step": (check_r03, mutants.the_same_people_every_step),
    "r03 a cap that is not accounted": (check_r03, mutants.cap_without_event),
    "r03 the first ones stay": (check_r03, mutants.first_ones_stay),
    "r04 no noise when empty": (check_r04, mutants.no_noise_when_empty),
    "r04 no step when empty": (check_r04, mutants.no_step_when_empty),
    "r05 clip without looking": (check_r05, mutants.clip_without_looking),
    "r05 leave out the whole batch": (check_r05, mutants.leave_out_the_batch),
    "r06 the same key for all": (check_r06, mutants.the_same_key_for_all),
    "r06 noise repeats over releases": (check_r06, mutants.noise_without("release")),
    "r06 noise repeats over steps": (check_r06, mutants.noise_without("step")),
    "r06 noise repeats over parameters": (check_r06, mutants.noise_without("parameter")),
    "r06 noise 4 % low": (check_r06, mutants.noise_times(0.96)),
    "r07 fresh ledger each round": (check_r07, mutants.fresh_ledger_each_round),
    "r07 a lost ledger begins again": (check_r07, mutants.second_life),
    "r07 no gate": (check_r07, mutants.no_gate),
    "r08 mean over vendors": (check_r08, mutants.federation_of(lambda e: sum(e) / len(e))),
    "r08 sum over vendors": (check_r08, mutants.federation_of(sum)),
    "r08 never composed": (check_r08, mutants.federation_of(max)),
    "r08 last round only": (check_r08, mutants.last_round_only),
    "r13 noise each micro-batch": (check_r13, mutants.noise_each_micro_batch),
    "r13 a step each micro-batch": (check_r13, mutants.step_each_micro_batch),
    "r16 noise off the grid": (check_grid, mutants.noise_off_the_grid),
    "r16 no room to round": (check_grid, mutants.no_room_to_round),
    "r16 gradients off the grid": (check_grid, mutants.gradients_off_the_grid),
    "r17 accountant 4 % low": (check_r17, mutants.accountant_times("pld", 0.96)),
    "r17 accountant 0.1 % low": (check_r17, mutants.accountant_times("pld", 0.999)),
    "r17 second accountant 4 % low": (check_r17, mutants.accountant_times("prv", 0.96)),
    "r17 rounding down": (check_r17, mutants.rounding_down),
    "r17 too coarse": (check_r17, mutants.coarse_grid),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_planted_fault_turns_its_rule_red(mutant: str) -> None:
    check, plant = MUTANTS[mutant]
    assert went_red(mutant, check, plant) is not None


@dataclass
class Mutable:
    """A plan that can be changed on the way."""

    noise_multiplier: float


@dataclass(frozen=True)
class WithData:
    """A plan that carries what it should protect."""

    noise_multiplier: float
    people: list[str]


@pytest.mark.parametrize("config", [Mutable, WithData])
def test_a_config_that_is_no_public_fact_turns_r09_red(config: type) -> None:
    with pytest.raises(AssertionError):
        check_r09(config)
