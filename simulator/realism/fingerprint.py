"""The fingerprint of real recordings: Table 3(a) of LSM-1, rule by rule and gap by gap, beside the paper's numbers.

Six simple rules say much about 26 signals together: filling by the mean errs by how much variance lies within five
hours, the nearest value and the straight line by how smoothly signals move, and the end against the middle of a window
by how slowly they drift. How windows are cut and filled is told in ``simulator.realism.windows``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.realism.statistics import Counts, mean, sample
from simulator.realism.windows import METHODS, GapScores, Windows
from simulator.signals import NAMES

GAPS_MINUTES: Final = (10, 20, 30, 60, 120)
TASKS: Final = ("interpolation", "extrapolation")
METRICS: Final = ("mae", "mse")
PAPER: Final[Mapping[tuple[str, str], tuple[tuple[float, float], ...]]] = {  # (MAE, MSE) by gap; z units; Table 3(a)
    ("interpolation", "mean"): ((0.36, 0.42), (0.36, 0.43), (0.37, 0.44), (0.38, 0.46), (0.39, 0.49)),
    ("interpolation", "nearest"): ((0.21, 0.29), (0.26, 0.37), (0.28, 0.42), (0.33, 0.51), (0.38, 0.62)),
    ("interpolation", "linear"): ((0.19, 0.23), (0.23, 0.30), (0.26, 0.34), (0.30, 0.42), (0.36, 0.51)),
    ("extrapolation", "mean"): ((0.48, 0.66), (0.48, 0.65), (0.47, 0.65), (0.47, 0.64), (0.45, 0.64)),
    ("extrapolation", "nearest"): ((0.35, 0.52), (0.40, 0.62), (0.43, 0.68), (0.47, 0.76), (0.48, 0.81)),
    ("extrapolation", "linear"): ((0.35, 0.52), (0.40, 0.62), (0.43, 0.68), (0.47, 0.76), (0.48, 0.81)),
}
ERROR_TOLERANCE: Final = 0.15  # of the paper's error, within which ours passes
RATIO_TOLERANCE: Final = 0.07  # of the paper's ratio of linear to mean
LEAST_WINDOWS: Final = 50  # below which an average over windows says little; judgement


@dataclass(frozen=True, slots=True)
class Mark:
    """One number of the table, or one ratio of two.

    Attributes:
        simulated: The dataset's.
        interval: 95 %, from resampling people.
        paper: Of LSM-1.
        ratio: Simulated over paper.
        passes: Whether the ratio is within the tolerance of 1.
    """

    simulated: float
    interval: tuple[float, float]
    paper: float
    ratio: float
    passes: bool


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Table 3(a) of a dataset.

    Attributes:
        windows: How many it rests on.
        errors: By task, rule and metric ("mae", "mse"), then by gap in minutes.
        linear_to_mean: By task and metric, then by gap.
        by_signal: By signal, task, rule and metric, then by gap; the paper tells only the average over signals.
        lacking: By signal, the share of windows without a value of it, which count as 0.
    """

    windows: int
    errors: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Mark]]]]
    linear_to_mean: Mapping[str, Mapping[str, Mapping[str, Mark]]]
    by_signal: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]]
    lacking: Mapping[str, float]

    def marks(self) -> list[tuple[str, Mark]]:
        """Every number with its name, errors first."""
        errors = [
            (f"{task} {method} {metric} {gap} min", mark)
            for task, methods in self.errors.items()
            for method, metrics in methods.items()
            for metric, gaps in metrics.items()
            for gap, mark in gaps.items()
        ]
        ratios = [
            (f"{task} linear/mean {metric} {gap} min", mark)
            for task, metrics in self.linear_to_mean.items()
            for metric, gaps in metrics.items()
            for gap, mark in gaps.items()
        ]
        return errors + ratios

    def table(self) -> str:
        """As the paper prints it, the ratio to the paper beside each number."""
        passed = sum(mark.passes for _, mark in self.marks())
        lines = [
            f"Fingerprint (LSM-1, Table 3a), {self.windows} windows: {passed} of {len(self.marks())} within tolerance",
            f"{'simulated (over paper)':28}" + "".join(f"{f'{gap} min':>14}" for gap in GAPS_MINUTES),
        ]
        for task in TASKS:
            for metric in METRICS:
                rows = {method: self.errors[task][method][metric] for method in METHODS}
                rows["linear/mean"] = self.linear_to_mean[task][metric]
                for name, gaps in rows.items():
                    cells = "".join(
                        f"{f'{m.simulated:.2f} ({m.ratio:.2f})' + ' !'[not m.passes]:>14}" for m in gaps.values()
                    )
                    lines.append(f"{f'{task[:5]}. {metric.upper()} {name}':28}{cells}")
        return "\n".join(lines) + "\n"


def fingerprint(windows: Windows, scores: GapScores, person: NDArray[np.int64], counts: Counts) -> Fingerprint | None:
    """The table of a set of windows.

    Args:
        windows: float32 [n, 26, 300], NaN where missing.
        scores: Of the same windows, standardised.
        person: [n], whose they are.
        counts: [1 + resamples, people], from ``statistics.resampled_people``.

    Returns:
        None if there are fewer than ``LEAST_WINDOWS``, or a signal that none of them has: the paper's average is over
        all 26.
    """
    lacks = np.isnan(windows).all(axis=2) if len(windows) else np.ones((0, len(NAMES)), dtype=np.bool_)
    if len(windows) < LEAST_WINDOWS or lacks.all(axis=0).any():
        return None
    found = {
        (task, method, gap): scores.of(gap, method, inside=task == "interpolation")
        for task in TASKS
        for method in METHODS
        for gap in GAPS_MINUTES
    }
    rows = {
        (*key, metric): mean(sample(each[i].mean(axis=1), person), counts)
        for key, each in found.items()
        for i, metric in enumerate(METRICS)
    }

    def error(task: str, method: str, metric: str, gap: int) -> Mark:
        paper = PAPER[task, method][GAPS_MINUTES.index(gap)][METRICS.index(metric)]
        return _mark(rows[task, method, gap, metric], paper, ERROR_TOLERANCE)

    def ratio(task: str, metric: str, gap: int) -> Mark:
        linear, level = (PAPER[task, m][GAPS_MINUTES.index(gap)][METRICS.index(metric)] for m in ("linear", "mean"))
        ours = rows[task, "linear", gap, metric] / rows[task, "mean", gap, metric]
        return _mark(ours, linear / level, RATIO_TOLERANCE)

    return Fingerprint(
        windows=len(windows),
        errors={
            task: {
                method: {metric: {str(g): error(task, method, metric, g) for g in GAPS_MINUTES} for metric in METRICS}
                for method in METHODS
            }
            for task in TASKS
        },
        linear_to_mean={
            task: {metric: {str(g): ratio(task, metric, g) for g in GAPS_MINUTES} for metric in METRICS}
            for task in TASKS
        },
        by_signal={
            name: {
                task: {
                    method: {
                        metric: {str(g): float(found[task, method, g][m, :, i].mean()) for g in GAPS_MINUTES}
                        for m, metric in enumerate(METRICS)
                    }
                    for method in METHODS
                }
                for task in TASKS
            }
            for i, name in enumerate(NAMES)
        },
        lacking={name: float(share) for name, share in zip(NAMES, lacks.mean(axis=0), strict=True)},
    )


def _mark(rows: NDArray[np.float64], paper: float, tolerance: float) -> Mark:
    low, high = np.quantile(rows[1:][np.isfinite(rows[1:])], [0.025, 0.975])
    ratio = float(rows[0]) / paper
    return Mark(float(rows[0]), (float(low), float(high)), paper, ratio, abs(ratio - 1) <= tolerance)
