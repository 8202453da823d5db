"""PrivacyPlan: the public facts of a private training run, and the epsilon that follows from them.

One plan is the single source of the sampling rate, the noise, the divisor *and* the accounted event, so that what is
done and what is reported cannot drift apart. It holds public facts only: nothing in it may be computed from the data.

The mechanism: in every step each person joins independently with probability ``q``; each joining person contributes
one gradient, the mean over ``k`` windows, clipped to norm ``C``; Gaussian noise of deviation ``sigma C`` is added to
the sum, which is divided by the public constant ``q * nominal_people``. Its privacy under adding or removing a person
is that of the Poisson-subsampled Gaussian, composed over the steps; ``k`` and ``C`` do not enter [1].

Truncation: with ``most_people`` set, a step that more people join is cut down to a random ``most_people`` of them. A
person who joins may then push another one out, which moves the sum by up to ``2 C``. Let ``p`` be the probability that
at least ``most_people`` of the other ``nominal_people - 1`` join. If they do not, which is no worse if it is known, the
person is a Poisson-subsampled Gaussian as before. If they do, the batch with the person is, with probability
``q most_people / (m + 1)`` for ``m`` others who joined, one without in which a random member was replaced; that is a
Gaussian of sensitivity 2 subsampled at less than ``q``. It is counted as a replacement at ``q``, which dominates the
first part: twice the distance, and both directions at once. The distribution composed is this mixture. It holds for any
number of people up to ``nominal_people``, because ``p`` grows with people and the second part dominates. That of
dp_accounting's `TruncatedSubsampledGaussianDpEvent` [5], which is the event, holds for exactly ``nominal_people``.

Three accountants: "pld" [2] is the truth that ledgers and budgets use: it rounds privacy loss up, so its epsilon is
never below the true one. "prv" [3] is an independent implementation by others (its central estimate, not a bound).
"rdp" [4] is a looser upper bound, kept because most of the literature quotes it. Truncated steps count "prv" as plain
ones whose ``delta`` pays for truncation ever happening; where it cannot, "rdp" is the second opinion.

[1] Charles et al., "Fine-tuning large language models with user-level differential privacy", arXiv:2407.07737.
[2] Doroshenko et al., "Connect the dots: tighter discrete approximations of privacy loss distributions",
    arXiv:2207.04380, as implemented in dp_accounting.
[3] Gopi et al., "Numerical composition of differential privacy", arXiv:2106.02848, as implemented in Opacus.
[4] Mironov et al., "Renyi differential privacy of the sampled Gaussian mechanism", arXiv:1908.10530.
[5] arXiv:2508.15089, as dp_accounting cites it.
"""

import math
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import dp_accounting
import numpy as np
from dp_accounting.pld import privacy_loss_distribution as pld
from dp_accounting.rdp import RdpAccountant, compute_epsilon
from scipy.optimize import brentq
from scipy.stats import binom

UNIT = "person"
ADJACENCY = "add or remove one person"
PLD_CELLS = (1_000, 130)  # cells of privacy loss per epsilon: at least, and per square root of the number of steps
PLD_FINEST_CELL = 2e-6  # of privacy loss
PRV_ERROR = (2e-4, 0.005)  # mesh of the second accountant: at least, and per epsilon; its estimate is far closer
PRV_LARGEST = 500.0  # epsilon beyond which its exponentials overflow; such a plan protects nobody
RDP_ORDERS = (*range(2, 64), 128, 256, 512, 1024)  # whole orders: the series for broken ones may not converge
NOISE_RANGE = (0.05, 1e6)  # noise multipliers among which a calibration looks
COUNTABLE = {  # what the accountants can count without running out of digits, memory or patience
    "noise_multiplier": (0.01, 1e6),
    "sampling_rate": (1e-9, 1.0),
    "steps": (0, 10**6),
    "delta": (1e-30, 1.0),
    "epsilon": (1e-4, math.inf),
}
ATTACK_POINTS = 200  # of the privacy curve that an attack's limit is the least over
ARITHMETICS = ("float", "grid")
TAIL_MARGIN = 1e-9  # relative: binomial tails are counted higher by it than they come out
NOISE_DIGITS = 4  # significant digits of a calibrated noise multiplier


class PrivacyError(ValueError):
    """A guarantee that cannot be given: the message names the value and the bound."""


@dataclass(frozen=True, kw_only=True)
class PrivacyPlan:
    """How one vendor's people are protected over the whole life of a run. Public facts only.

    Attributes:
        noise_multiplier: ``sigma``: the noise's standard deviation in units of ``clip_norm``; 0 protects nobody.
        clip_norm: ``C``: the largest Euclidean norm of one person's gradient.
        sampling_rate: ``q``: the probability with which each person joins each step.
        nominal_people: The vendor's published number of people, a constant of the config and never a count of data.
        steps: Training steps over the life of the run, all rounds together.
        windows_per_person: ``k``: windows drawn from a joining person per step.
        delta: The probability with which the guarantee may fail.
        epsilon_budget: What the vendor's ledger may never exceed, other releases included; a ledger wants it finite.
        most_people: Most people of a step, as if more had not joined; 0: as many as join. With it, ``nominal_people``
            has to be an upper bound on the vendor's people, and a loader refuses more.
        arithmetic: How sums and noise are added: "float", in float64; "grid", as integers (rule R16).
        unit: What is protected: all rows of a person.
        adjacency: Which data sets must look alike.

    Raises:
        PrivacyError: If a field is out of its bounds.
    """

    noise_multiplier: float
    clip_norm: float
    sampling_rate: float
    nominal_people: int
    steps: int
    windows_per_person: int
    delta: float
    epsilon_budget: float
    most_people: int = 0
    arithmetic: str = "float"
    unit: str = UNIT
    adjacency: str = ADJACENCY

    def __post_init__(self) -> None:
        check_mechanism(self.noise_multiplier, self.sampling_rate, self.steps)
        _require("clip_norm", self.clip_norm, "in (0, inf)", 0 < self.clip_norm < math.inf)
        _require("nominal_people", self.nominal_people, "a whole number >= 1", _is_count(self.nominal_people, 1))
        _require("windows_per_person", self.windows_per_person, ">= 1", _is_count(self.windows_per_person, 1))
        _require("epsilon_budget", self.epsilon_budget, "in (0, inf]", self.epsilon_budget > 0)
        _check_delta_protects(self.delta, self.nominal_people)
        check_truncation(self.most_people, self.nominal_people)
        check_arithmetic(self.arithmetic)
        _require("unit", self.unit, f"{UNIT!r}, the only one there is", self.unit == UNIT)
        _require("adjacency", self.adjacency, f"{ADJACENCY!r}, the only one there is", self.adjacency == ADJACENCY)

    @classmethod
    def calibrated(cls, *, epsilon: float, **facts: Any) -> "PrivacyPlan":
        """The plan with the least noise that spends at most ``epsilon`` over its steps.

        Args:
            epsilon: What training may spend; also the budget unless ``epsilon_budget`` is given.
            facts: All other fields but ``noise_multiplier``.
        """
        blank = cls(**{"epsilon_budget": epsilon, **facts, "noise_multiplier": 0.0})  # checks every other field
        noise = noise_for(epsilon, blank.sampling_rate, blank.steps, blank.delta, truncation=blank.truncation)
        return cls(**{**asdict(blank), "noise_multiplier": noise})

    @property
    def divisor(self) -> float:
        """What the noised sum is divided by: the expected number of joining people, by public constants (rule R2)."""
        return self.sampling_rate * self.nominal_people

    @property
    def truncation(self) -> "Truncation":
        """``(nominal_people, most_people)``, or None if nobody is ever left out."""
        return (self.nominal_people, self.most_people) if self.most_people else None

    def event(self, steps: int | None = None) -> Any:
        """The ``dp_accounting.DpEvent`` of ``steps`` steps, by default of all."""
        steps = self.steps if steps is None else steps
        return gaussian_event(self.sampling_rate, self.noise_multiplier, steps, self.truncation)

    def epsilon(self, steps: int | None = None, accountant: str = "pld") -> float:
        """What ``steps`` steps spend, by default all of them."""
        return epsilon(self.event(steps), self.delta, accountant)


Truncation = tuple[int, int] | None
"""People at most, and most people of a step; None where a step takes everybody who joins."""


def gaussian_event(sampling_rate: float, noise_multiplier: float, steps: int, truncation: Truncation = None) -> Any:
    """``steps`` Poisson-subsampled Gaussian releases, truncated or not, as a ``dp_accounting.DpEvent``."""
    if truncation is not None:
        people, most = truncation
        truncated = dp_accounting.TruncatedSubsampledGaussianDpEvent(people, sampling_rate, most, noise_multiplier)
        return dp_accounting.SelfComposedDpEvent(truncated, steps)
    gaussian = dp_accounting.GaussianDpEvent(noise_multiplier)
    return dp_accounting.SelfComposedDpEvent(dp_accounting.PoissonSampledDpEvent(sampling_rate, gaussian), steps)


def epsilon(event: Any, delta: float, accountant: str = "pld") -> float:
    """The epsilon at ``delta`` of everything in ``event``, under adding or removing one person.

    Args:
        event: Poisson-subsampled Gaussians, truncated or not, in any composition; whatever else is refused, never
            guessed at.
        delta: In (0, 1).
        accountant: "pld", "prv" or "rdp".

    Returns:
        0 for nothing at all, infinity if anything was released without noise.

    Raises:
        PrivacyError: If the event, ``delta`` or the accountant is unknown or out of bounds.
    """
    _require("accountant", accountant, f"one of {', '.join(ACCOUNTANTS)}", accountant in ACCOUNTANTS)
    _require("delta", delta, "in (0, 1)", 0 < delta < 1)
    return _total(event, delta, accountant)


def attack_limit(event: Any, false_positive_rate: float) -> float:
    """The highest true positive rate that any membership test on everything in ``event`` can have.

    A mechanism that is (epsilon, delta)-private for a whole curve of pairs allows at most the least over the curve of
    ``exp(epsilon) * fpr + delta`` and of ``1 - exp(-epsilon) * (1 - delta - fpr)`` (Kairouz et al., arXiv:1311.0776).

    Args:
        event: As for `epsilon`.
        false_positive_rate: Share of strangers that the test accuses, in (0, 1).

    Raises:
        PrivacyError: If the event is unknown or the rate out of bounds.
    """
    _require("false_positive_rate", false_positive_rate, "in (0, 1)", 0 < false_positive_rate < 1)
    rows = {row: steps for row, steps in sorted(gaussian_rows(event).items()) if steps}
    if not rows:
        return false_positive_rate
    if any(row[1] == 0 for row in rows):
        return 1.0
    loss = _pld(rows, false_positive_rate)
    limit = 1.0
    for power in np.linspace(0, -math.log(false_positive_rate), ATTACK_POINTS):  # beyond, exp(epsilon) * fpr is above 1
        delta = float(loss.get_delta_for_epsilon(float(power)))
        limit = min(limit, math.exp(power) * false_positive_rate + delta)
        limit = min(limit, 1 - math.exp(-power) * (1 - delta - false_positive_rate))
    return limit


def noise_for(
    epsilon_target: float,
    sampling_rate: float,
    steps: int,
    delta: float,
    accountant: str = "pld",
    truncation: Truncation = None,
) -> float:
    """The least noise multiplier, to four digits and rounded up, with which ``steps`` steps spend at most the target.

    Raises:
        PrivacyError: If an argument is out of bounds or no noise below 1e6 suffices.
    """
    check_mechanism(1.0, sampling_rate, steps)
    _require("delta", delta, "in (0, 1)", 0 < delta < 1)
    _require("epsilon", epsilon_target, "in (0, inf)", 0 < epsilon_target < math.inf)
    _check_countable(delta=delta, epsilon=epsilon_target)
    if steps == 0:
        return 0.0

    def spent(noise: float) -> float:
        return epsilon(gaussian_event(sampling_rate, noise, steps, truncation), delta, accountant)

    low, high = _bracket(spent, epsilon_target)
    if low == 0:
        return high
    log_noise = brentq(
        lambda x: math.log(max(spent(math.exp(x)), 1e-12) / epsilon_target), math.log(low), math.log(high), xtol=3e-5
    )
    noise = _round_up(math.exp(log_noise) * (1 - 1e-4))
    while spent(noise) > epsilon_target:
        noise = _round_up(noise * (1 + 1e-6))
    return noise


def budget_table(
    people: int, rate: float, steps: int, delta: float, *, epsilon: float | None = None, noise: float | None = None
) -> dict[str, Any]:
    """Noise for an epsilon or epsilon for a noise, by two independent accountants.

    Args:
        people: The vendor's public number of people.
        rate: The probability with which each joins each step.
        steps: Steps over the life of the run.
        delta: Below ``1 / people``.
        epsilon: The target, if the noise is asked for.
        noise: The noise multiplier, if the epsilon is asked for.

    Returns:
        ``epsilon`` and ``noise`` by accountant, the recommended ``noise_multiplier`` (the larger noise),
        ``disagreement`` (relative, of the one asked for), and what was asked. Infinity where nothing is protected.

    Raises:
        PrivacyError: If not exactly one of the two is given, or an option is impossible.
    """
    if (epsilon is None) == (noise is None):
        raise PrivacyError(f"give exactly one of epsilon and noise, not {epsilon=} and {noise=}")
    _require("people", people, "a whole number >= 1", _is_count(people, 1))
    check_mechanism(1.0 if noise is None else noise, rate, steps)
    _check_delta_protects(delta, people)
    pair = ("pld", "prv")
    if epsilon is not None:
        noises = {name: noise_for(epsilon, rate, steps, delta, name) for name in pair}
        recommended = max(noises.values())
    else:
        assert noise is not None
        noises = dict.fromkeys(pair, noise)
        recommended = noise
    event = gaussian_event(rate, recommended, steps)
    epsilons = {name: _total(event, delta, name) for name in pair}
    return {
        "epsilon": epsilons,
        "noise": noises,
        "noise_multiplier": recommended,
        "disagreement": _disagreement(noises if epsilon is not None else epsilons),
        "people": people,
        "rate": rate,
        "steps": steps,
        "delta": delta,
        "divisor": rate * people,
        "noise_on_mean_gradient": recommended / (rate * people),  # standard deviation, in clip norms
        "unit": UNIT,
        "adjacency": ADJACENCY,
    }


def _total(event: Any, delta: float, accountant: str) -> float:
    """`epsilon` without its checks of the user's numbers."""
    rows = {row: steps for row, steps in sorted(gaussian_rows(event).items()) if steps}  # sorted: equal to the last bit
    if not rows:
        return 0.0
    if any(row[1] == 0 for row in rows):
        return math.inf
    _check_countable(delta=delta, steps=sum(rows.values()))
    for rate, noise, *_ in rows:
        _check_countable(sampling_rate=rate, noise_multiplier=noise)
    return max(0.0, ACCOUNTANTS[accountant](rows, delta))


Row = tuple[float, float] | tuple[float, float, int, int]  # sampling rate, noise multiplier; people, most of a step
Rows = dict[Row, int]  # -> steps


def gaussian_rows(event: Any) -> Rows:
    """An event as how many steps were taken at which rate and noise; equal ones are merged, as order is irrelevant.

    Raises:
        PrivacyError: If the event holds anything but Poisson-subsampled Gaussians, truncated or not.
    """
    rows: Counter[Row] = Counter()
    match event:
        case dp_accounting.NoOpDpEvent():
            pass
        case dp_accounting.ComposedDpEvent():
            for part in event.events:
                rows.update(gaussian_rows(part))
        case dp_accounting.SelfComposedDpEvent():
            rows.update({row: steps * event.count for row, steps in gaussian_rows(event.event).items()})
        case dp_accounting.GaussianDpEvent():
            rows[1.0, float(event.noise_multiplier)] = 1
        case dp_accounting.PoissonSampledDpEvent() if isinstance(event.event, dp_accounting.GaussianDpEvent):
            rows[float(event.sampling_probability), float(event.event.noise_multiplier)] = 1
        case dp_accounting.TruncatedSubsampledGaussianDpEvent():
            people, most = int(event.dataset_size), int(event.truncated_batch_size)
            check_truncation(most, people)
            _require("truncated_batch_size", most, ">= 1", most >= 1)
            rows[float(event.sampling_probability), float(event.noise_multiplier), people, most] = 1
        case _:
            raise PrivacyError(f"{event=} is not made of Poisson-subsampled Gaussians")
    return dict(rows)


def _pld_epsilon(rows: Rows, delta: float) -> float:
    """The privacy loss distribution's epsilon: never too low (rule R17), and too high by less than 0.1 %.

    What the discretisation adds grows like steps x cell**2, so the grid follows the steps and the size of the answer:
    a fixed 1e-4 would take seconds for a large epsilon and lose percents of a small one over many steps.
    """
    return float(_pld(rows, delta).get_epsilon_for_delta(delta))


def _pld(rows: Rows, delta: float) -> Any:
    """The privacy loss distribution on a grid fine enough for the epsilon at ``delta``."""
    cells = max(PLD_CELLS[0], PLD_CELLS[1] * math.sqrt(sum(rows.values())))
    cell = max(_rdp_epsilon(rows, delta) / cells, PLD_FINEST_CELL)
    total = pld.identity(value_discretization_interval=cell)
    for row, steps in rows.items():
        total = total.compose(_step_pld(row, cell).self_compose(steps))
    return total


def _step_pld(row: Row, cell: float) -> Any:
    """The privacy loss distribution of one step: a Poisson-subsampled Gaussian, or the mixture of the docstring."""

    def gaussian(rate: float, noise: float, **more: Any) -> Any:
        return pld.from_gaussian_mechanism(noise, sampling_prob=rate, value_discretization_interval=cell, **more)

    plain = gaussian(row[0], row[1])
    chance, rate_then = _truncated(row)
    if not chance:
        return plain
    replaced = gaussian(rate_then, row[1] / 2, neighboring_relation=dp_accounting.NeighboringRelation.REPLACE_ONE)
    return replaced.compute_mixture(plain, chance)


def _truncated(row: Row) -> tuple[float, float]:
    """The probability that a person who joins meets a full step, at most, and the rate that is counted then."""
    if len(row) == 2:
        return 0.0, 0.0
    rate, _, people, most = row
    chance = float(binom.sf(most - 1, people - 1, rate)) if most < people else 0.0
    return min(1.0, chance * (1 + TAIL_MARGIN)), rate  # rate * most / (most + 1) would not dominate the plain part


def _rdp_epsilon(rows: Rows, delta: float) -> float:
    """The Renyi accountant's epsilon: an upper bound, usually 5 to 15 % above the truth."""

    def orders(rate: float, noise: float) -> Any:
        return RdpAccountant(orders=RDP_ORDERS).compose(gaussian_event(rate, noise, 1)).rdp

    total = np.zeros(len(RDP_ORDERS))
    less_one = np.array(RDP_ORDERS) - 1.0
    for row, steps in rows.items():
        one = orders(row[0], row[1])
        chance, rate_then = _truncated(row)
        if chance:
            full = orders(rate_then, row[1] / 2)
            with np.errstate(divide="ignore"):  # chance may be 1
                logs = (np.log1p(-chance) + less_one * one, np.log(chance) + less_one * full)
            one = np.logaddexp(*logs) / less_one
        total += steps * one
    return float(compute_epsilon(RDP_ORDERS, total, delta)[0])


def _prv_epsilon(rows: Rows, delta: float) -> float:
    """The central estimate of Opacus' privacy random variables: a second opinion, by other code and another method."""
    from opacus.accountants import PRVAccountant  # here, since it loads torch, which a ledger does not need

    rough = _rdp_epsilon(rows, delta)
    _require("epsilon", rough, f"at most {PRV_LARGEST:g}, as far as prv can count", rough <= PRV_LARGEST)
    ever = sum(steps * _truncated(row)[0] for row, steps in rows.items())
    if ever > delta * 1e-3:
        raise PrivacyError(f"prv cannot count steps of which {ever:.2g} are truncated: take rdp as second accountant")
    delta -= ever
    accountant = PRVAccountant()
    accountant.history = [(row[1], row[0], steps) for row, steps in rows.items()]
    error = max(PRV_ERROR[0], PRV_ERROR[1] * rough)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"), warnings.catch_warnings():  # log(1 - q), q = 1
        warnings.filterwarnings("ignore", message="Optimal order is the (small|larg)est alpha", category=UserWarning)
        composed = accountant._get_dprv(eps_error=error, delta_error=delta / 1000)
        _, estimate, _ = composed.compute_epsilon(delta, delta / 1000, error)
    return float(estimate)


ACCOUNTANTS: dict[str, Callable[[Rows, float], float]] = {"pld": _pld_epsilon, "prv": _prv_epsilon, "rdp": _rdp_epsilon}


def _bracket(spent: Callable[[float], float], target: float) -> tuple[float, float]:
    """Two noises with ``spent(low) > target >= spent(high)``; ``low`` is 0 if the least noise looked at suffices."""
    smallest, largest = NOISE_RANGE
    low = high = 1.0
    if spent(high) > target:
        while spent(high) > target:
            low, high = high, high * 2
            _require("epsilon", target, f"reachable with a noise multiplier below {largest:g}", high <= largest)
        return low, high
    while low > smallest:
        low, high = max(low / 2, smallest), low
        if spent(low) > target:
            return low, high
    return 0.0, smallest


def _round_up(noise: float) -> float:
    unit = 10.0 ** (math.floor(math.log10(noise)) - NOISE_DIGITS + 1)
    return float(f"{math.ceil(noise / unit - 1e-9) * unit:.{NOISE_DIGITS}g}")


def _disagreement(values: dict[str, float]) -> float:
    low, high = min(values.values()), max(values.values())
    return 0.0 if low == high else (high - low) / low


def check_mechanism(noise: float, rate: float, steps: int) -> None:
    """Refuses what no Poisson-subsampled Gaussian can be.

    Raises:
        PrivacyError: If the noise multiplier, the sampling rate or the number of steps is out of its bounds.
    """
    _require("noise_multiplier", noise, "in [0, inf)", 0 <= noise < math.inf)
    _require("sampling_rate", rate, "in (0, 1]", 0 < rate <= 1)
    _require("steps", steps, "a whole number >= 0", _is_count(steps, 0))


def check_truncation(most_people: int, people: int) -> None:
    """Refuses a cap on a step's people that is none.

    Raises:
        PrivacyError: If it is neither 0 nor a number of people up to all.
    """
    bound = f"0 or a whole number of at most {people} people"
    _require("most_people", most_people, bound, _is_count(most_people, 0) and most_people <= people)


def check_arithmetic(arithmetic: str) -> None:
    """Refuses an arithmetic that there is not.

    Raises:
        PrivacyError: If it is not one of ``ARITHMETICS``.
    """
    _require("arithmetic", arithmetic, f"one of {', '.join(ARITHMETICS)}", arithmetic in ARITHMETICS)


def _check_delta_protects(delta: float, people: int) -> None:
    """A delta of 1/n permits handing out one whole person in the clear, so it has to be smaller."""
    _require("delta", delta, "in (0, 1)", 0 < delta < 1)
    _require("delta", delta, f"below 1/people = {1 / people:g}", delta < 1 / people)


def _check_countable(**numbers: float) -> None:
    """Refuses numbers that the accountants cannot count with."""
    for name, value in numbers.items():
        low, high = COUNTABLE[name]
        _require(name, value, f"in [{low:g}, {high:g}], as far as the accountants can count", low <= value <= high)


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _require(name: str, value: Any, bound: str, holds: bool) -> None:
    if not holds:
        raise PrivacyError(f"{name}={value!r} is not {bound}")
