"""Orders of the 26 signals, from which patches of several signals are cut (LSM-1, appendix A.4, Table 7).

What lies together in a patch is seen or hidden together. The paper clusters signals by sensor, shuffles them, or sets
uncorrelated ones side by side ("maximum entropy").
"""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.randomness import stream
from simulator.signals import N_SIGNALS, NAMES

CLUSTERED: Final = NAMES  # by sensor, as in Table 18
LEAST_CELLS: Final = 2  # of a pair of signals, below which they are taken as uncorrelated


def shuffled(seed: int) -> tuple[str, ...]:
    """The signals in a random order."""
    return tuple(NAMES[i] for i in stream(seed, "signal order").permutation(N_SIGNALS))


def apart(correlation: NDArray[np.float64]) -> tuple[str, ...]:
    """The signals such that neighbours correlate little in absolute value: greedy, then pairs swapped while it helps.

    Args:
        correlation: [26, 26], as ``correlations`` gives it.
    """
    size = np.abs(correlation)
    order = [int(size.sum(axis=0).argmax())]  # the most entangled one first, while there is choice
    while len(order) < N_SIGNALS:
        left = [i for i in range(N_SIGNALS) if i not in order]
        order.append(min(left, key=lambda i: size[order[-1], i]))
    best, better = along(size, order), True
    while better:
        better = False
        for i in range(N_SIGNALS):
            for j in range(i + 1, N_SIGNALS):
                order[i], order[j] = order[j], order[i]
                found = along(size, order)
                if found < best - 1e-12:
                    best, better = found, True
                else:
                    order[i], order[j] = order[j], order[i]
    return tuple(NAMES[i] for i in order)


def along(size: NDArray[np.float64], order: list[int]) -> float:
    """Sum over neighbours in an order."""
    return float(size[order[:-1], order[1:]].sum())


def correlations(windows: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]]) -> NDArray[np.float64]:
    """Pearson's correlation of every pair of signals over minutes at which both are observed, [26, 26].

    Args:
        windows: Values and observed, each [26, minutes], z units; a day at a time, so that memory stays flat.

    Returns:
        0 for a pair never observed together or without variance.
    """
    n, x, xx, xy = (np.zeros((N_SIGNALS, N_SIGNALS)) for _ in range(4))
    for values, observed in windows:
        there = observed.astype(np.float64)
        seen = np.where(observed, values, 0).astype(np.float64)
        n += there @ there.T
        x += seen @ there.T  # of the row's signal, where the column's is observed too
        xx += seen**2 @ there.T
        xy += seen @ seen.T
    count = np.maximum(n, 1)
    covariance = xy / count - x / count * (x.T / count)
    variance = xx / count - (x / count) ** 2
    scale = np.sqrt(np.maximum(variance * variance.T, 0))
    known = (n >= LEAST_CELLS) & (scale > 1e-12)
    return np.divide(covariance, scale, out=np.zeros_like(scale), where=known).clip(-1, 1)
