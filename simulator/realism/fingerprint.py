"""The fingerprint of real recordings: Table 3(a) of LSM-1, rule by rule and gap by gap, beside the paper's numbers.

Six simple rules say much about 26 signals together: filling by the mean errs by how much variance lies within five
hours, the nearest value and the straight line by how smoothly signals move, and the end against the middle of a window
by how slowly they drift. How windows are cut and filled is told in ``simulator.realism.windows``.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.realism.statistics import Counts, mean
from simulator.realism.windows import METHODS, METRICS, READING, READINGS, GapScores, Windows, changes, error_of_windows
from simulator.signals import NAMES

GAPS_MINUTES: Final = (10, 20, 30, 60, 120)
TASKS: Final = ("interpolation", "extrapolation")
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
LAGS_MINUTES: Final = (1, 2, 3, 5, 10, 15, 20, 30, 60, 120)
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
class Reading:
    """The table under another reading of the paper.

    Attributes:
        meaning: In words.
        within: How many of its 80 numbers are within tolerance.
        errors: By task, rule and metric, then by gap.
    """

    meaning: str
    within: int
    errors: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Table 3(a) of a dataset.

    Attributes:
        windows: How many it rests on.
        errors: By task, rule and metric ("mae", "mse"), then by gap in minutes.
        linear_to_mean: By task and metric, then by gap.
        by_signal: By signal, task, rule and metric, then by gap; the paper tells only the average over signals.
        change: By signal, and for their "average", the mean squared change over so many minutes (``windows.changes``):
            what "nearest" errs by, and so which signal is too smooth or too rough, and over which time.
        readings: By what else the paper may have scored (``windows.READINGS``), its errors and how many of the table's
            numbers would be within tolerance.
        lacking: By signal, the share of windows without a value of it, which count as 0.
    """

    windows: int
    errors: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Mark]]]]
    linear_to_mean: Mapping[str, Mapping[str, Mapping[str, Mark]]]
    by_signal: Mapping[str, Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]]
    change: Mapping[str, Mapping[str, float]]
    readings: Mapping[str, "Reading"]
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
        return "\n".join([*lines, *self._of_change(), *self._of_readings()]) + "\n"

    def _of_change(self) -> list[str]:
        """How far signals move, those first that move most in ten minutes."""
        names = sorted(NAMES, key=lambda name: -self.change[name]["10"])
        lines = ["", f"{'mean squared change over minutes':34}" + "".join(f"{lag:>7}" for lag in LAGS_MINUTES)]
        for name in ["average", *names]:
            lines.append(f"{name:34}" + "".join(f"{self.change[name][str(lag)]:7.2f}" for lag in LAGS_MINUTES))
        return lines

    def _of_readings(self) -> list[str]:
        lines = ["", "If the paper scored otherwise (windows.py says why one may ask):"]
        for name, reading in self.readings.items():
            lines.append(f"{name}: {reading.meaning}: {reading.within} of {len(self.marks())} within tolerance")
            for method in ("mean", "nearest"):
                found = reading.errors["extrapolation"][method]["mse"]
                papers = [mse for _, mse in PAPER["extrapolation", method]]
                pairs = zip(found.values(), papers, strict=True)
                cells = "".join(f"{f'{error:.2f} ({error / paper:.2f})  ':>14}" for error, paper in pairs)
                lines.append(f"{f'  extra. MSE {method}':28}{cells}".rstrip())
        return lines


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
    change = changes(scores.windows, LAGS_MINUTES)
    found = {
        (task, method, gap): scores.of(gap, method, inside=task == "interpolation")
        for task in TASKS
        for method in METHODS
        for gap in GAPS_MINUTES
    }
    rows = {
        (*key, metric): mean(error_of_windows(each, metric, person), counts)
        for key, each in found.items()
        for metric in METRICS
    }

    def error(task: str, method: str, metric: str, gap: int) -> Mark:
        return _mark(rows[task, method, gap, metric], _paper(task, method, gap, metric), ERROR_TOLERANCE)

    def ratio(task: str, metric: str, gap: int) -> Mark:
        ours = rows[task, "linear", gap, metric] / rows[task, "mean", gap, metric]
        return _mark(ours, _paper_ratio(task, gap, metric), RATIO_TOLERANCE)

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
                        metric: {str(g): _average(found[task, method, g][:, :, i], metric) for g in GAPS_MINUTES}
                        for metric in METRICS
                    }
                    for method in METHODS
                }
                for task in TASKS
            }
            for i, name in enumerate(NAMES)
        },
        change={"average": _by_lag(change.mean(axis=1))}
        | {name: _by_lag(change[:, i]) for i, name in enumerate(NAMES)},
        readings={name: _reading(scores, name) for name in READINGS if name != READING},
        lacking={name: float(share) for name, share in zip(NAMES, lacks.mean(axis=0), strict=True)},
    )


def _paper(task: str, method: str, gap: int, metric: str) -> float:
    return PAPER[task, method][GAPS_MINUTES.index(gap)][METRICS.index(metric)]


def _paper_ratio(task: str, gap: int, metric: str) -> float:
    """Of the error of a straight line to that of the mean."""
    return _paper(task, "linear", gap, metric) / _paper(task, "mean", gap, metric)


def _by_lag(change: NDArray[np.float64]) -> dict[str, float]:
    return {str(lag): float(value) for lag, value in zip(LAGS_MINUTES, change, strict=True)}


def _average(scores: NDArray[np.float64], metric: str) -> float:
    """An error over all cells that count, NaN if none does; ``scores`` as ``GapScores.of`` has them, or of a signal."""
    total, count = scores[METRICS.index(metric)].sum(), scores[2].sum()
    return float(total / count) if count else math.nan


def _reading(scores: GapScores, name: str) -> Reading:
    """The table under a reading."""
    found = {
        (task, method, gap, metric): _average(
            scores.of(gap, method, inside=task == "interpolation", reading=name), metric
        )
        for task, method, gap, metric in itertools.product(TASKS, METHODS, GAPS_MINUTES, METRICS)
    }
    within = sum(abs(error / _paper(*key) - 1) <= ERROR_TOLERANCE for key, error in found.items())
    for task, gap, metric in itertools.product(TASKS, GAPS_MINUTES, METRICS):
        ours = found[task, "linear", gap, metric] / found[task, "mean", gap, metric]
        within += abs(ours / _paper_ratio(task, gap, metric) - 1) <= RATIO_TOLERANCE
    errors = {
        task: {
            method: {metric: {str(g): found[task, method, g, metric] for g in GAPS_MINUTES} for metric in METRICS}
            for method in METHODS
        }
        for task in TASKS
    }
    return Reading(READINGS[name], within, errors)


def _mark(rows: NDArray[np.float64], paper: float, tolerance: float) -> Mark:
    low, high = np.quantile(rows[1:][np.isfinite(rows[1:])], [0.025, 0.975])
    ratio = float(rows[0]) / paper
    return Mark(float(rows[0]), (float(low), float(high)), paper, ratio, abs(ratio - 1) <= tolerance)
