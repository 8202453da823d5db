"""What an attack's success proves: lower bounds on epsilon.

An audit ends in scores of people who were in and of people who were out. Two bounds turn them into an epsilon:

* *counting* [1]: the attacker guesses the coins of the people with the highest and the lowest scores. How many right
  guesses a private mechanism permits holds whatever the scores are made of, so this bound assumes nothing but fair,
  independent coins. It has a ceiling, which is returned with it: even ``r`` right guesses of ``r`` may be luck.
* *Gaussian* [2, 3]: the scores of both groups are taken as normal with one deviation, so that the mechanism is
  ``mu``-GDP [2] with ``mu`` their distance in deviations. Its lower confidence bound inverts the noncentral t
  distribution, exactly, for independent normal scores. It extrapolates: nobody sees a tail of 1e-5 in a thousand
  scores. So it is a bound where the scores *are* normal, and an estimate anywhere else.

[1] Steinke, Nasr, Jagielski, "Privacy auditing with one (1) training run", NeurIPS 2023, arXiv:2305.08846, theorem 5.2.
[2] Dong, Roth, Su, "Gaussian differential privacy", JRSS-B 2022, arXiv:1905.02383.
[3] "Let's ask Gauss", arXiv:2606.12733: scores of canaries in gradient space are nearly normal in one run.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, log_ndtr, ndtr
from scipy.stats import beta, binom, nct, norm

GUESS_SHARES = (0.05, 0.1, 0.2, 0.4, 1.0)  # of the canaries that are guessed at; fixed before anybody looks
LARGEST_EPSILON = 1e5  # where a search ends


@dataclass(frozen=True, kw_only=True)
class Counting:
    """The counting bound.

    Attributes:
        epsilon: The lower bound, 0 if nothing is proved.
        ceiling: What it would have been, had every guess been right.
        guesses: Coins guessed at, of the split that proved the most.
        right: Of them.
    """

    epsilon: float
    ceiling: float
    guesses: int
    right: int


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """The Gaussian bound.

    Attributes:
        epsilon: The lower bound, 0 if nothing is proved.
        estimate: The epsilon of the distance as it was measured, without a margin.
        mu: That distance, in deviations.
        lower_mu: Its lower confidence bound.
    """

    epsilon: float
    estimate: float
    mu: float
    lower_mu: float


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The epsilon at ``delta`` of two normals of deviation 1 whose means are ``mu`` apart ([2], corollary 1).

    >>> round(gaussian_epsilon(1.0, 1e-5), 2)
    4.38
    """
    if mu <= 0:
        return 0.0

    def excess(epsilon: float) -> float:
        second = math.exp(min(0.0, epsilon + float(log_ndtr(-mu / 2 - epsilon / mu))))
        return float(ndtr(mu / 2 - epsilon / mu)) - second - delta

    if excess(0.0) <= 0:
        return 0.0
    high = mu * mu / 2 + mu * float(norm.isf(delta)) + 1.0  # the first term alone is below delta there
    return float(brentq(excess, 0.0, high, xtol=1e-6))


def gaussian_bound(
    scores_in: NDArray[np.float64], scores_out: NDArray[np.float64], delta: float, confidence: float
) -> Gaussian:
    """The Gaussian lower bound on epsilon at ``delta``.

    The deviation is the larger of the two groups', so that sampling, which widens only the scores of people who are in,
    makes the bound smaller and never larger.

    Args:
        scores_in: Of people who were in, at least two.
        scores_out: Of people who were out, at least two.
        delta: Of the guarantee that is doubted.
        confidence: One-sided, such as 0.95.
    """
    n = len(scores_in), len(scores_out)
    spread = max(float(scores_in.std(ddof=1)), float(scores_out.std(ddof=1)), 1e-300)
    mu = float(scores_in.mean() - scores_out.mean()) / spread
    error = math.sqrt(1 / n[0] + 1 / n[1])
    lower = _lower_distance(mu / error, n[0] - 1, confidence) * error
    return Gaussian(
        epsilon=gaussian_epsilon(lower, delta), estimate=gaussian_epsilon(mu, delta), mu=mu, lower_mu=max(0.0, lower)
    )


def _lower_distance(t: float, freedom: int, confidence: float) -> float:
    """The noncentrality below which a t as large as this one has a chance of less than ``1 - confidence``."""
    if t <= 0:
        return 0.0
    low = max(0.0, t - 10.0)
    if t > 30:  # where SciPy's noncentral t fails; the deviation's error dominates, and is chi-square's
        deviation = math.sqrt(1 + t * t / (2 * freedom))
        return t - float(norm.ppf(confidence)) * deviation
    if float(nct.cdf(t, freedom, low)) <= confidence:
        return 0.0
    return float(brentq(lambda shift: float(nct.cdf(t, freedom, shift)) - confidence, low, t + 1.0, xtol=1e-6))


def counting_bound(
    scores: NDArray[np.float64],
    included: NDArray[np.bool_],
    delta: float,
    confidence: float,
    shares: Sequence[float] = GUESS_SHARES,
) -> Counting:
    """The counting lower bound on epsilon at ``delta``; the error is shared out among the shares that are tried.

    Args:
        scores: One a canary; higher means that the attacker holds it for included.
        included: The coins.
        delta: Of the guarantee that is doubted.
        confidence: One-sided, such as 0.95.
        shares: How many of the canaries to guess at: half with the highest scores as in, half with the lowest as out.
    """
    order, m = np.argsort(scores, kind="stable"), len(scores)
    p = (1 - confidence) / len(shares)
    found = []
    for share in shares:
        half = max(1, round(share * m / 2))
        right = int(included[order[-half:]].sum() + (~included[order[:half]]).sum())
        bound, ceiling = (counting_epsilon(m, 2 * half, v, delta, p) for v in (right, 2 * half))
        found.append(Counting(epsilon=bound, ceiling=ceiling, guesses=2 * half, right=right))
    return max(found, key=lambda bound: (bound.epsilon, bound.ceiling))


def counting_epsilon(m: int, guesses: int, right: int, delta: float, p: float) -> float:
    """The largest epsilon that ``right`` right guesses refute at significance ``p`` ([1], theorem 5.2).

    Args:
        m: Canaries, guessed at or not.
        guesses: Of them.
        right: Of the guesses.
        delta: Of the guarantee that is doubted.
        p: Chance of refuting a true guarantee.
    """

    def chance(epsilon: float) -> float:
        rate = float(expit(epsilon))
        tail = float(binom.sf(right - 1, guesses, rate))
        below = np.cumsum(binom.pmf(np.arange(right - 1, -1, -1), guesses, rate))
        alpha = float((below / np.arange(1, right + 1)).max()) if right else 0.0
        return tail + 2 * m * delta * alpha

    if chance(0.0) >= p:
        return 0.0
    high = 1.0
    while chance(high) < p and high < LARGEST_EPSILON:
        high *= 2
    return float(brentq(lambda epsilon: chance(epsilon) - p, 0.0, high, xtol=1e-4))


def rate_interval(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Clopper and Pearson's two-sided interval of a rate; exact for independent trials."""
    if trials == 0:
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low = float(beta.ppf(tail, successes, trials - successes + 1)) if successes else 0.0
    high = float(beta.isf(tail, successes + 1, trials - successes)) if successes < trials else 1.0
    return low, high
