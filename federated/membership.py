"""Membership attack on final models: shadow trainings on simulated twins, with and without each of them (LiRA [1]).

The simulator gives as many people like a maker's as one likes, so an attacker needs nobody's data: it trains the run's
own model, from its public start, under its plan, on twins whom it leaves in or out by coins; every training is a whole
run of one maker. From the *final* model it takes, per twin, how much its loss fell (what anybody sees who can query the
model) and how far the weights went along its gradient (what a server sees), and learns from the other trainings how
both are distributed with the twin and without. Nobody else is in the cohort: an attacker who knows everybody else could
subtract them. Every second twin is a *canary*: its readings are replaced by noise of its own, which no model expects,
since the promise is made to anybody, however odd.

What so few trainings can show. They give some thousand scores of either kind, so a false positive rate of 1e-3 is a
handful of people, and even an attack that never errs could refute no epsilon above `Membership.ceiling`. The attack can
refute a claim; that it does not is no proof. Scores of a training share its noise, so the intervals, which take them as
independent, are somewhat too narrow; the verdict is red only where the whole interval lies above the limit.

[1] Carlini et al., "Membership inference attacks from first principles", IEEE S&P 2022, arXiv:2112.03570.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu
from torch import Tensor

from federated.auditing import least_equipped, twins
from federated.experiment import Experiment, Maker, load
from federated.maker import PeopleWindows, private_steps
from model.autoencoder import MaskedAutoencoder
from model.training import load_model
from model.windows import Batch, Days
from privacy.bounds import rate_interval
from privacy.noise import KeyedStream, rehearsal_key
from privacy.plan import attack_limit

Floats = NDArray[np.float64]
FALSE_POSITIVE_RATE = 1e-3
CONFIDENCE = 0.9875  # of each of four intervals, so that all of them hold with 0.95
CANARY_NOISE = 3.0  # deviation of a canary's readings, as z-scores
SEEN_WINDOWS = 4  # of a twin, by which it is recognised


@dataclass(frozen=True, kw_only=True)
class Membership:
    """What the attack reached with the best of its two scores on either kind of twin.

    Attributes:
        score: "loss" or "weights", of "twins" or of "canaries".
        auroc: Of members against others, over all twins and trainings.
        true_positive_rate: Of the threshold whose false positive rate is at most 1e-3.
        interval: Its two-sided interval.
        false_positive_rate: Of that threshold, as it came out.
        limit: The accountant's, at the upper end of the false positive rate's interval.
        limit_at_rate: The accountant's, at 1e-3.
        ceiling: The epsilon that so many scores could refute at the most.
        shadows: Trainings.
        twins: People who were in or out.
        seconds: How long it took.
    """

    score: str
    auroc: float
    true_positive_rate: float
    interval: tuple[float, float]
    false_positive_rate: float
    limit: float
    limit_at_rate: float
    ceiling: float
    shadows: int
    twins: int
    seconds: float

    @property
    def red(self) -> bool:
        """Whether more were found than the accountant permits."""
        return self.interval[0] > self.limit


def attack_membership(
    folder: Path,
    seed: int = 1,
    *,
    shadows: int = 64,
    people: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Membership:
    """Attack a run's plan and model, as its least equipped maker trains it.

    Args:
        folder: Run folder with a public model.
        seed: Of coins, windows and, as in a rehearsal, the noise.
        shadows: Trainings, at least 8.
        people: Twins, at least 8.
        progress: Told of the trainings that are done, and of how many there are.
    """
    if shadows < 8 or people < 8:
        raise ValueError(f"{shadows=} and {people=} are not both at least 8")
    started = time.monotonic()
    experiment = load(folder / "experiment.json")
    start, normaliser = load_model(folder / "public" / "model")
    maker = least_equipped(experiment)
    coins = KeyedStream(rehearsal_key(seed, "membership"))
    days, odd = _with_canaries(twins(experiment, maker, people, normaliser), coins)
    drawn = PeopleWindows(days, experiment, SEEN_WINDOWS)
    seen = {name: drawn.draw(name, 0, coins.child("seen", name)) for name in drawn.people}
    names = [name for name, batch in seen.items() if batch is not None]
    batches = [batch for batch in seen.values() if batch is not None]
    gradients = torch.stack([_gradient(start, batch) for batch in batches])
    together = PeopleWindows.collate(batches)
    before, origin = _losses(start, together), _flat(start)
    training = PeopleWindows(days, experiment, experiment.protection.windows_per_person)
    member = np.zeros((shadows, len(names)), dtype=bool)
    scores = {"loss": np.zeros(member.shape), "weights": np.zeros(member.shape)}
    for shadow in range(shadows):
        member[shadow] = coins.child("coins", shadow).uniform(len(names)) < 0.5
        inside = [name for name, is_in in zip(names, member[shadow], strict=True) if is_in]
        final = _trained(start, experiment, maker, training, inside, coins.child("training", shadow))
        scores["loss"][shadow] = before - _losses(final, together)
        scores["weights"][shadow] = (gradients @ (origin - _flat(final))).numpy()
        if progress is not None:
            progress(shadow + 1, shadows)
    event = experiment.plan(maker).event()
    limit_at_rate = attack_limit(event, FALSE_POSITIVE_RATE)
    found = []
    is_odd = np.array([name in odd for name in names])
    for (name, values), (kind, some) in product(scores.items(), {"twins": ~is_odd, "canaries": is_odd}.items()):
        likely, was_in = likelihood_ratios(values[:, some], member[:, some]), member[:, some]
        ratios = likely[was_in], likely[~was_in]
        rate, interval, false, worst_false, n_out = at_false_positive_rate(*ratios)
        found.append(
            Membership(
                score=f"{name} of {kind}",
                auroc=float(mannwhitneyu(*ratios).statistic) / (len(ratios[0]) * len(ratios[1])),
                true_positive_rate=rate,
                interval=interval,
                false_positive_rate=false,
                limit=attack_limit(event, worst_false),
                limit_at_rate=limit_at_rate,
                ceiling=-math.log(rate_interval(0, n_out, CONFIDENCE)[1]),
                shadows=shadows,
                twins=len(names),
                seconds=time.monotonic() - started,
            )
        )
    return max(found, key=lambda attack: (attack.red, attack.interval[0] / attack.limit, attack.auroc))


def likelihood_ratios(scores: Floats, member: NDArray[np.bool_]) -> Floats:
    """How much likelier each score is with the twin than without, by normals fitted to the *other* trainings.

    Args:
        scores: [shadows, twins].
        member: Who was in, of the same shape.

    Returns:
        Logarithms, of the same shape; 0 where all others are of one kind.
    """
    ratios = np.zeros(scores.shape)
    for shadow in range(len(scores)):
        rest = np.arange(len(scores)) != shadow
        inside = np.where(member[rest], scores[rest], np.nan)
        outside = np.where(member[rest], np.nan, scores[rest])
        known = (np.isfinite(inside).sum(0) >= 2) & (np.isfinite(outside).sum(0) >= 2)
        if not known.any():
            continue
        means = [np.nanmean(group[:, known], axis=0) for group in (inside, outside)]
        spread = [np.nanvar(group[:, known], axis=0, ddof=1) for group in (inside, outside)]
        variance = np.maximum((spread[0] + spread[1]) / 2, 1e-300)
        x = scores[shadow, known]
        ratios[shadow, known] = ((x - means[1]) ** 2 - (x - means[0]) ** 2) / (2 * variance)
    return ratios


def at_false_positive_rate(
    inside: Floats, outside: Floats, rate: float = FALSE_POSITIVE_RATE
) -> tuple[float, tuple[float, float], float, float, int]:
    """What a threshold reaches that takes at most a ``rate`` of outsiders for members.

    Returns:
        True positive rate, its interval, the false positive rate as it came out, the upper end of *its* interval, and
        how many outsiders there were.
    """
    allowed = math.floor(rate * len(outside))
    threshold = np.sort(outside)[::-1][allowed]  # strictly above it lie at most so many outsiders
    hits, false = int((inside > threshold).sum()), int((outside > threshold).sum())
    interval = rate_interval(hits, len(inside), CONFIDENCE)
    return (
        hits / max(1, len(inside)),
        interval,
        false / len(outside),
        rate_interval(false, len(outside), CONFIDENCE)[1],
        len(outside),
    )


def _with_canaries(days: Days, coins: KeyedStream) -> tuple[Days, set[str]]:
    """Days in which every second person's readings are noise, and who these are."""
    odd = set(sorted(set(days.person))[::2])
    values = days.values.copy()
    for row, person in enumerate(days.person):
        if person in odd:
            noise = CANARY_NOISE * coins.child("canary", person, row).normal(values[row].size)
            values[row] = np.where(days.observed[row], noise.reshape(values[row].shape), 0.0)
    return replace(days, values=values), odd


def _trained(
    start: MaskedAutoencoder,
    experiment: Experiment,
    maker: Maker,
    people: PeopleWindows,
    names: list[str],
    streams: KeyedStream,
) -> MaskedAutoencoder:
    """The final model of a run of this maker alone, with these people."""
    model = MaskedAutoencoder(experiment.architecture)
    model.load_state_dict(start.state_dict())
    each = experiment.rounds.steps
    for number in range(experiment.rounds.rounds):
        steps = range(number * each, (number + 1) * each)
        private_steps(model, people, names, experiment, maker, streams.child("round", number), steps)
    return model


@torch.no_grad()
def _losses(model: MaskedAutoencoder, batch: Batch) -> Floats:
    """Each twin's mean loss over its windows, [twins]."""
    model.eval()
    return np.asarray(model(batch).mean(1).double().numpy(), dtype=np.float64)


def _gradient(model: MaskedAutoencoder, batch: Batch) -> Tensor:
    """One twin's gradient at the public start, flat."""
    model.zero_grad()
    model(batch).mean().backward()
    gradient = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in model.parameters()])
    model.zero_grad()
    return gradient.double()


def _flat(model: MaskedAutoencoder) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()]).double()
