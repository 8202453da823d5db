"""Accuracy, F1, AUROC, mean average precision, correlation: weighted, each with a 95 % interval over people.

Every figure is a function of scores, targets and weights, where weights may be a row for each resampled set of people;
so a figure and its bootstrap are one computation. Figures of several classes are plain means over the classes that are
there (scikit-learn's "macro").
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.evaluation.metrics import COVERAGE, LEAST_PEOPLE, RESAMPLES
from simulator.randomness import stream

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
_AT_ONCE: Final = 2**22  # cells of a table of weights, to bound memory


def accuracy(shares: Floats, target: Floats, weight: Floats) -> Floats:
    """Share of examples whose largest class is the right one.

    Args:
        shares: [n, classes].
        target: [n], place of the right class.
        weight: [resamples, n].

    Returns:
        [resamples]; NaN without examples.
    """
    return _ratio(weight @ (shares.argmax(axis=1) == target), weight.sum(axis=1))


def f1(shares: Floats, target: Floats, weight: Floats) -> Floats:
    """Mean over classes of 2 TP / (2 TP + FP + FN), of the largest class; arguments as ``accuracy``."""
    guess = shares.argmax(axis=1)
    each = []
    for k in range(shares.shape[1]):
        both = weight @ ((guess == k) & (target == k))
        either = weight @ (guess == k).astype(np.float64) + weight @ (target == k).astype(np.float64)
        each.append(_ratio(2 * both, either))
    return _mean_there(each)


def auroc(shares: Floats, target: Floats, weight: Floats) -> Floats:
    """Mean over classes of the area under one-against-the-rest's curve, ties counted half; as ``accuracy``."""
    each = []
    for k in range(shares.shape[1]):
        positive, negative = _by_score(shares[:, k], target == k, weight)
        below = np.cumsum(negative, axis=1) - negative
        area = (positive * (below + negative / 2)).sum(axis=1)
        each.append(_ratio(area, positive.sum(axis=1) * negative.sum(axis=1)))
    return _mean_there(each)


def mean_average_precision(shares: Floats, target: Floats, weight: Floats) -> Floats:
    """Mean over classes of average precision: precision at each distinct score, by the recall it adds."""
    each = []
    for k in range(shares.shape[1]):
        positive, negative = (table[:, ::-1] for table in _by_score(shares[:, k], target == k, weight))
        found = np.cumsum(positive, axis=1)
        precision = _ratio(found, found + np.cumsum(negative, axis=1))
        each.append(_ratio((positive * np.nan_to_num(precision)).sum(axis=1), positive.sum(axis=1)))
    return _mean_there(each)


def correlation(predicted: Floats, target: Floats, weight: Floats) -> Floats:
    """Pearson's correlation of predictions [n] with targets [n]: [resamples]; NaN where either does not vary."""
    total = weight.sum(axis=1)
    x, y = predicted - predicted.mean(), target - target.mean()
    mean_x, mean_y = _ratio(weight @ x, total), _ratio(weight @ y, total)
    covariance = _ratio(weight @ (x * y), total) - mean_x * mean_y
    variance = [_ratio(weight @ z**2, total) - mean**2 for z, mean in ((x, mean_x), (y, mean_y))]
    varies = (variance[0] > 1e-12 * (x**2).mean()) & (variance[1] > 1e-12 * (y**2).mean())
    scale = np.sqrt(np.where(varies, variance[0] * variance[1], 0))
    return _ratio(covariance, scale)


def mean_absolute_error(predicted: Floats, target: Floats, weight: Floats) -> Floats:
    """Mean distance of predictions [n] from targets [n], in their unit: [resamples]."""
    return _ratio(weight @ np.abs(predicted - target), weight.sum(axis=1))


Metric = Callable[[Floats, Floats, Floats], Floats]
OF_CLASSES: Final[dict[str, Metric]] = {
    "accuracy": accuracy,
    "map": mean_average_precision,
    "f1": f1,
    "auroc": auroc,
}
OF_NUMBERS: Final[dict[str, Metric]] = {
    "correlation": correlation,
    "mae": mean_absolute_error,
}


def with_interval(
    metric: Metric,
    predicted: Floats,
    target: Floats,
    weight: Floats,
    person: Integers,
    seed: int,
) -> tuple[float, tuple[float, float] | None]:
    """A figure and its 95 % bootstrap interval over people.

    Args:
        metric: One of those above.
        predicted: Scores [n, classes], or numbers [n].
        target: [n].
        weight: float64 [n].
        person: [n], whose each example is.
        seed: Of the resampled people.

    Returns:
        The figure, NaN where it cannot be told, and its interval; None where one person or nobody stands behind it.
    """
    value = float(metric(predicted, target, weight[None])[0])
    people, of = np.unique(person, return_inverse=True)
    if len(people) < LEAST_PEOPLE:
        return value, None
    counts = stream(seed, "bootstrap", len(people)).multinomial(
        len(people), np.full(len(people), 1 / len(people)), size=RESAMPLES
    )
    parts = np.array_split(counts, max(1, -(-RESAMPLES * len(person) // _AT_ONCE)))
    found = np.concatenate([metric(predicted, target, part[:, of] * weight) for part in parts])
    found = found[np.isfinite(found)]
    if not len(found):
        return value, None
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return value, (float(low), float(high))


def _by_score(score: Floats, positive: NDArray[np.bool_], weight: Floats) -> tuple[Floats, Floats]:
    """Weight of positives and of negatives at each distinct score, ascending: [resamples, scores] each."""
    order = np.argsort(score, kind="stable")
    first = np.flatnonzero(np.diff(score[order], prepend=-np.inf) > 0)
    table, is_positive = weight[:, order], positive[order]
    both = [np.add.reduceat(np.where(side, table, 0.0), first, axis=1) for side in (is_positive, ~is_positive)]
    return both[0], both[1]


def _mean_there(each: list[Floats]) -> Floats:
    """Mean over classes, without those that are not there."""
    table = np.stack(each)
    there = np.isfinite(table)
    return _ratio(np.where(there, table, 0).sum(axis=0), there.sum(axis=0).astype(np.float64))


def _ratio(a: Floats, b: Floats) -> Floats:
    """Quotient of two tables; NaN where the second is 0."""
    return np.asarray(np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b > 0))
