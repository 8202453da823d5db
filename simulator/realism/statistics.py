"""Statistics of a population with intervals: every estimate is computed once as observed and once per resample.

A resample draws people, not minutes, with replacement: it gives each person a count. So a statistic is a function of
a sample (values, whose they are, weights) and of ``counts`` [1 + resamples, people], whose first row is all ones; it
returns one number a row. Estimate and 95 % interval come out of the same code.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from simulator.randomness import stream

Counts = NDArray[np.float32]
Rows = NDArray[np.float64]

RESAMPLES: Final = 200
_CELLS_AT_ONCE: Final = 4_000_000  # of the matrix of resamples x values; 16 MB


class NotComputableError(ValueError):
    """A statistic that this dataset cannot give, with the reason."""


class NobodyError(NotComputableError):
    """A statistic of people whom this dataset has too few of; another may have them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Values, the code of the person each belongs to, and how much each stands for.

    Attributes:
        values: [n], finite.
        person: [n], codes.
        weight: [n].
        row: [n], day rows where the values are of days; otherwise empty.
    """

    values: NDArray[np.float64]
    person: NDArray[np.int64]
    weight: NDArray[np.float64]
    row: NDArray[np.int64]

    def where(self, keep: NDArray[np.bool_]) -> "Sample":
        """The part of it that is kept."""
        row = self.row[keep] if len(self.row) else self.row
        return Sample(self.values[keep], self.person[keep], self.weight[keep], row)

    def of_people(self, keep: NDArray[np.bool_]) -> "Sample":
        """The part of it that belongs to some people; ``keep`` is by code."""
        return self.where(keep[self.person])


def sample(
    values: ArrayLike, person: ArrayLike, weight: ArrayLike | None = None, row: ArrayLike | None = None
) -> Sample:
    """A sample without the values that are not there."""
    numbers = np.asarray(values, dtype=np.float64)
    there = np.isfinite(numbers)
    weights = np.ones(len(numbers)) if weight is None else np.asarray(weight, dtype=np.float64)
    rows = np.zeros(0, dtype=np.int64) if row is None else np.asarray(row, dtype=np.int64)[there]
    return Sample(numbers[there], np.asarray(person, dtype=np.int64)[there], weights[there], rows)


def resampled_people(people: int) -> Counts:
    """Counts [1 + RESAMPLES, people] of a bootstrap over people; the first row is the population as it is."""
    random = stream(0, "realism", "bootstrap", people)
    drawn = random.multinomial(people, np.full(people, 1 / people), size=RESAMPLES)
    return np.concatenate([np.ones((1, people)), drawn]).astype(np.float32)


def person_means(days: Sample) -> Sample:
    """The mean of each person who has a value, one value a person."""
    people, inverse = np.unique(days.person, return_inverse=True)
    weight = np.bincount(inverse, days.weight)
    return sample(np.bincount(inverse, days.weight * days.values) / weight, people)


def person_spread(days: Sample, statistic: Callable[[NDArray[np.float64]], float], least: int) -> Sample:
    """A statistic of each person's own values, for those with at least ``least``."""
    order = np.argsort(days.person, kind="stable")
    people, starts = np.unique(days.person[order], return_index=True)
    groups = np.split(days.values[order], starts[1:])
    enough = [(person, statistic(group)) for person, group in zip(people, groups, strict=True) if len(group) >= least]
    return sample([value for _, value in enough], [person for person, _ in enough])


def lag1_of_days(days: Sample, day: NDArray[np.float64], least: int = 8) -> Sample:
    """Each person's correlation of consecutive days.

    Of n days it lies about (1 + 3 r) / n too low (Kendall 1954, Biometrika 41:403); this is added back.
    """
    people, found = [], []
    for person in np.unique(days.person):
        mine = days.person == person
        at, values = day[days.row[mine]], days.values[mine]
        order = np.argsort(at)
        at, values = at[order], values[order]
        next_day = np.diff(at) == 1
        if next_day.sum() < least or values.std() == 0:
            continue
        centred = values - values.mean()
        r = (centred[:-1] * centred[1:])[next_day].mean() / centred.var()
        people.append(person)
        found.append(r + (1 + 3 * r) / len(values))
    return sample(found, people)


# ----------------------------------------------------------------------------------------------------- reducers


def _by_rows(s: Sample, counts: Counts, reduce: Callable[[Rows], Rows]) -> Rows:
    """Apply ``reduce`` to weights [some rows, n], a bounded number of cells at a time; NaN where nobody is left."""
    if not len(s.values):
        return np.full(len(counts), np.nan)
    step = max(1, _CELLS_AT_ONCE // max(1, len(s.values)))
    found = []
    for start in range(0, len(counts), step):
        weights = counts[start : start + step][:, s.person] * s.weight
        empty = weights.sum(axis=1) <= 0
        with np.errstate(divide="ignore", invalid="ignore"):  # rows of nobody become NaN just below
            found.append(np.where(empty, np.nan, reduce(weights)))
    return np.concatenate(found)


def mean(s: Sample, counts: Counts) -> Rows:
    """Weighted mean."""
    return _by_rows(s, counts, lambda w: w @ s.values / w.sum(axis=1))


def _moment(s: Sample, w: Rows, power: int) -> Rows:
    total = w.sum(axis=1)
    centred = s.values - (w @ s.values / total)[:, None]
    moment: Rows = (w * centred**power).sum(axis=1) / total
    return moment


def sd(s: Sample, counts: Counts) -> Rows:
    """Standard deviation, corrected for the number of values."""
    n = len(s.values)
    if n < 2:
        return np.full(len(counts), np.nan)
    return _by_rows(s, counts, lambda w: np.sqrt(_moment(s, w, 2) * n / (n - 1)))


def skewness(s: Sample, counts: Counts) -> Rows:
    """Third standardised moment."""
    return _by_rows(s, counts, lambda w: _moment(s, w, 3) / _moment(s, w, 2) ** 1.5)


def quantile(s: Sample, counts: Counts, q: float) -> Rows:
    """Weighted quantile: halfway between the two values next to it, as their weights have it."""
    order = np.argsort(s.values)
    sorted_values = s.values[order]

    def reduce(w: Rows) -> Rows:
        cumulative = np.cumsum(w[:, order], axis=1)
        target = q * cumulative[:, -1:]
        below = np.argmax(cumulative >= target * (1 - 1e-6), axis=1)
        above = np.argmax(cumulative > target * (1 + 1e-6), axis=1)
        above = np.where(above < below, below, above)  # argmax of all False is 0: the last value
        return np.asarray((sorted_values[below] + sorted_values[above]) / 2, dtype=np.float64)

    return _by_rows(s, counts, reduce)


def smallest(s: Sample, counts: Counts) -> Rows:
    """Least value that anybody has."""
    return _by_rows(s, counts, lambda w: np.where(w > 0, s.values, np.inf).min(axis=1))


def largest(s: Sample, counts: Counts) -> Rows:
    """Greatest value that anybody has."""
    return _by_rows(s, counts, lambda w: np.where(w > 0, s.values, -np.inf).max(axis=1))


def mode_hour(s: Sample, counts: Counts) -> Rows:
    """Middle of the clock hour that most values lie in."""
    hours = np.stack([np.floor(s.values) % 24 == hour for hour in range(24)], axis=1).astype(np.float64)
    return _by_rows(s, counts, lambda w: np.argmax(w @ hours, axis=1) + 0.5)


def spearman(x: NDArray[np.float64], y: NDArray[np.float64], person: NDArray[np.int64], counts: Counts) -> Rows:
    """Correlation of ranks; the ranks stay those of the whole population in every resample."""
    ranks_x, ranks_y = rankdata(x), rankdata(y)
    both = sample(ranks_x, person)

    def reduce(w: Rows) -> Rows:
        total = w.sum(axis=1)
        mx, my = w @ ranks_x / total, w @ ranks_y / total
        xy = w @ (ranks_x * ranks_y) / total - mx * my
        xx, yy = w @ ranks_x**2 / total - mx**2, w @ ranks_y**2 / total - my**2
        return np.asarray(xy / np.sqrt(xx * yy), dtype=np.float64)

    return _by_rows(both, counts, reduce)


def slope(x: NDArray[np.float64], y: NDArray[np.float64], person: NDArray[np.int64], counts: Counts) -> Rows:
    """Slope of the least-squares line of ``y`` on ``x``."""

    def reduce(w: Rows) -> Rows:
        total = w.sum(axis=1)
        mx, my = w @ x / total, w @ y / total
        return np.asarray((w @ (x * y) / total - mx * my) / (w @ x**2 / total - mx**2), dtype=np.float64)

    return _by_rows(sample(y, person), counts, reduce)


def standardised_difference(a: Sample, b: Sample, counts: Counts) -> Rows:
    """Hedges' g of two groups: difference of means over the pooled standard deviation, corrected for their sizes."""
    n, m = len(a.values), len(b.values)
    if n < 2 or m < 2:
        return np.full(len(counts), np.nan)
    pooled = np.sqrt(((n - 1) * sd(a, counts) ** 2 + (m - 1) * sd(b, counts) ** 2) / (n + m - 2))
    return (mean(a, counts) - mean(b, counts)) / pooled * (1 - 3 / (4 * (n + m) - 9))


def adjusted_difference(s: Sample, group: NDArray[np.bool_], covariates: NDArray[np.float64], counts: Counts) -> Rows:
    """Difference between a group and the others at equal covariates, by weighted least squares.

    Args:
        s: One value a person.
        group: By person code.
        covariates: [people, k], by person code.
        counts: Resamples.
    """
    design = np.column_stack([group[s.person], np.ones(len(s.values)), covariates[s.person]]).astype(np.float64)
    found = np.full(len(counts), np.nan)
    for i, row in enumerate(counts):
        root = np.sqrt(row[s.person] * s.weight)[:, None]
        if (root[:, 0] > 0).sum() > design.shape[1]:
            found[i] = np.linalg.lstsq(design * root, s.values * root[:, 0])[0][0]
    return found


_LEVEL: Final = re.compile(r"(mean|median|sd|iqr|min|max|skewness|share|value|typical)")
_QUANTILE: Final = re.compile(r"p(\d{1,2}(?:\.\d+)?)")


def reducer(name: str) -> Callable[[Sample, Counts], Rows]:
    """The function of a plain statistic: mean, median, sd, iqr, min, max, skewness, p1 to p99, share, value, typical.

    Raises:
        NotComputableError: If there is none of that name.
    """
    if match := _QUANTILE.fullmatch(name):
        q = float(match[1]) / 100
        return lambda s, counts: quantile(s, counts, q)
    if not _LEVEL.fullmatch(name):
        raise NotComputableError(f"statistic {name!r} is not known here")
    known: dict[str, Callable[[Sample, Counts], Rows]] = {
        "median": lambda s, counts: quantile(s, counts, 0.5),
        "typical": lambda s, counts: quantile(s, counts, 0.5),
        "sd": sd,
        "iqr": lambda s, counts: quantile(s, counts, 0.75) - quantile(s, counts, 0.25),
        "min": smallest,
        "max": largest,
        "skewness": skewness,
    }
    return known.get(name, mean)


_CALLED: Final = {
    "sd_between_person": "sd",
    "median_ratio": "median",
    "mean_ratio": "mean",
    "mean_hour": "mean",
    "mean_difference": "mean",
    "share_of_minutes": "mean",
    "share_rule": "mean",
}


def person_estimates(name: str, values: Sample, counts: Counts) -> Rows:
    """A statistic of persons: a plain one, or "sd_of_ln" and "..._of_person_means", "..._shares" or "..._medians".

    Args:
        name: As norms write it.
        values: Averaged by person where there are several of one.
        counts: Resamples.

    Raises:
        NotComputableError: If it is not known.
    """
    means = person_means(values)
    if match := re.fullmatch(r"(.+)_of_person_(means|shares|medians)", name):
        name = match[1]
    if re.fullmatch(r"sd_of_ln(_between_person)?", name):
        return sd(sample(np.log(means.values), means.person), counts)
    return reducer(_CALLED.get(name, name))(means, counts)


def pair_statistic(sums: NDArray[np.float64], people: NDArray[np.int64], counts: Counts, kind: str) -> Rows:
    """Correlation or slope of y on x within people, from each person's moments.

    Args:
        sums: [n, 6]: count, sum of x, sum of y, of x^2, of y^2, of x y.
        people: [n], their codes.
        counts: Resamples.
        kind: "correlation" or "slope".
    """
    n, x, y, xx, yy, xy = sums.T
    within = np.stack([xx - x * x / n, yy - y * y / n, xy - x * y / n])  # each person's own mean taken out
    sxx, syy, sxy = within @ counts[:, people].T.astype(np.float64)
    return np.asarray(sxy / np.sqrt(sxx * syy) if kind == "correlation" else sxy / sxx)
