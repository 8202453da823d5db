"""How well the papers' gaps can be filled at all: the best linear prediction from everything that is visible.

    python -m benchmarks.bound [--horizons 10 60] [--people 600] [--json]

For each ten minutes of a gap, a ridge regression is fitted for each signal over many simulated people. It is told what
all 26 signals did before and after (means of four reaches), the time of day, and, of the signals that are visible in
the gap, how far they lie there from what their sides say. Where even this is little better than linear interpolation, a
wide margin is hardly in the data; a model may pass it, since signals are not Gaussian. People who are scored are other
people.

Besides the tasks of ``model.evaluation.generative``: ``signal_imputation``, a gap in 17 random signals of 26 (LSM-1's
Table 3 masks "67 % of the sensor modalities").
"""

import argparse
import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from federated.study.records import commit, machine
from model.evaluation.baselines import kernel, linear
from model.evaluation.generative import Task, hide
from model.masking import Grid
from model.windows import Days, Normaliser
from simulator.cohort import Cohort
from simulator.population import POPULATIONS
from simulator.randomness import stream
from simulator.signals import MINUTES_PER_DAY, N_SIGNALS, NAMES

Floats = NDArray[np.float64]
MINUTES = 300
GRID = Grid(rows=N_SIGNALS, columns=MINUTES // 10)
REACHES_MINUTES = (2.0, 10.0, 40.0, 1e6)
NEIGHBOURHOOD_MINUTES = 5
RIDGE = 0.01  # of the variances; judgement
MOST_Z = 5.0
KINDS = ("temporal_interpolation", "temporal_extrapolation", "sensor_imputation", "signal_imputation")
SIGNAL_SHARE = 0.67  # LSM-1, below Table 3


def people(count: int, first: int) -> Cohort:
    """People of LSM-1's mix, two days each."""
    return Cohort(population=POPULATIONS["lsm1"], people=count, days=2, seed=11, first_person=first, with_truth=False)


def hidden_minutes(kind: str, horizon: int, observed: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """What a task hides, bool [n, 26, minutes]."""
    task = Task("temporal_interpolation" if kind == "signal_imputation" else kind, horizon)  # type: ignore[arg-type]
    hidden = np.repeat(hide(task, GRID, observed, rng).reshape(-1, N_SIGNALS, GRID.columns), 10, axis=2)
    if kind == "signal_imputation":
        chosen = rng.random((len(hidden), N_SIGNALS)).argsort(axis=1) < round(SIGNAL_SHARE * N_SIGNALS)
        hidden &= chosen[:, :, None]
    return hidden


def numbers(values: Any, known: NDArray[np.bool_], minute: NDArray[np.int64], clock: NDArray[np.int64]) -> Any:
    """What a window shows around one minute of each: numbers [n, k], and what both sides say of it [n, 26]."""
    lag = minute[:, None] - np.arange(MINUTES)
    shown, counted = np.where(known, values, 0), known.astype(np.float32)

    def average(weight: Any) -> Any:
        weight = weight.astype(np.float32)[:, :, None]
        total, count = (shown @ weight)[..., 0], (counted @ weight)[..., 0]
        return np.where(count > 1e-30, total / np.maximum(count, 1e-30), np.nan)

    found = []
    for reach in REACHES_MINUTES:
        both, before, after = (
            average(np.where(side, np.exp(-np.abs(lag) / reach), 0)) for side in (lag != 0, lag > 0, lag < 0)
        )
        found += [np.nan_to_num(np.where(np.isnan(side), both, side)) for side in (before, after)]
    sides = np.mean(found[2:4], axis=0)
    for reach in (NEIGHBOURHOOD_MINUTES, 0):
        there = average(np.where(np.abs(lag) <= reach, 1.0, 0.0))
        found += [np.where(np.isnan(there), 0, there - sides), np.isfinite(there)]
    angle = 2 * np.pi * (clock + minute)[:, None] / MINUTES_PER_DAY
    found += [np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)]
    return np.concatenate(found, axis=1).astype(np.float32), sides


def regressed(x: Any, y: Any, asked: NDArray[np.bool_], new: Any) -> Floats:
    """Ridge regression of each column of ``y`` [n, 26] over the rows where it is asked: what it says of ``new``."""
    answer = np.zeros((len(new), y.shape[1]))
    for i in range(y.shape[1]):
        rows = np.flatnonzero(asked[:, i])
        if len(rows) < 50:
            continue
        mean, sd = x[rows].mean(0), x[rows].std(0) + 1e-3
        z = (x[rows] - mean) / sd
        gram = (z.T @ z / len(rows)).astype(np.float64) + RIDGE * np.eye(x.shape[1])
        level = y[rows, i].mean()
        weights = np.linalg.solve(gram, z.T @ (y[rows, i] - level) / len(rows))
        far = (new - mean) / sd  # a signal that is rarely there may lie far from where it was in these rows
        answer[:, i] = level + np.clip(far, -MOST_Z, MOST_Z) @ weights
    return answer


def drawn(days: Days, count: int, rng: np.random.Generator) -> tuple[Any, NDArray[np.bool_], NDArray[np.int64]]:
    """Values, observed and first minute of ``count`` windows."""
    usable = days.usable(MINUTES)
    windows = usable[rng.integers(len(usable), size=count)]
    return *days.cut(windows, MINUTES), windows[:, 1]


def bound(kind: str, horizon: int, counted: Days, scored: Days, windows: int) -> dict[str, list[float]]:
    """Mean squared error by signal of the best linear prediction, of linear interpolation and of a kernel."""
    squares, cells = np.zeros((3, N_SIGNALS)), np.zeros(N_SIGNALS)
    rng = stream(0, "bound", kind, horizon)
    for column in range(horizon // 10):

        def show(days: Days, n: int, column: int = column) -> tuple[Any, ...]:
            values, observed, clock = drawn(days, n, rng)
            gap = hidden_minutes(kind, horizon, observed, rng)
            first = gap.any(axis=1).argmax(axis=1)
            minute = first + 10 * column + rng.integers(0, 10, size=n)
            known = observed & ~gap
            at = minute[:, None, None]
            asked, truth = (np.take_along_axis(part, at, 2)[..., 0] for part in (observed & gap, values))
            plain = [np.take_along_axis(fill(values, known), at, 2)[..., 0] for fill in (linear, kernel)]
            return asked, truth, plain, *numbers(values, known, minute, clock)

        asked, truth, _, x, sides = show(counted, windows)
        scored_asked, scored_truth, plain, new, scored_sides = show(scored, windows // 4)
        best = scored_sides + regressed(x, truth - sides, asked, new)
        for i, guess in enumerate([best, *plain]):
            squares[i] += (np.where(scored_asked, guess - scored_truth, 0.0) ** 2).sum(axis=0)
        cells += scored_asked.sum(axis=0)
    errors = squares / np.maximum(cells, 1)
    return {name: row.tolist() for name, row in zip(("bound", "linear", "kernel"), errors, strict=True)}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--horizons", nargs="+", type=int, default=[10, 60])
    parser.add_argument("--people", type=int, default=600)
    parser.add_argument("--windows", type=int, default=6000, help="counted for each ten minutes of a gap")
    parser.add_argument("--signals", action="store_true", help="also print every signal")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    known = list(people(asked.people, 0))
    normaliser = Normaliser.fit(known)
    counted = Days.load(known, normaliser)
    scored = Days.load(people(max(20, asked.people // 5), 100_000), normaliser)
    found = {
        (kind, horizon): bound(kind, horizon, counted, scored, asked.windows)
        for horizon in asked.horizons
        for kind in asked.kinds
    }
    if asked.json:
        rows = [{"task": kind, "horizon": horizon, **errors} for (kind, horizon), errors in found.items()]
        record = {"asked": vars(asked), "signals": NAMES, "rows": rows, "commit": commit(), "machine": machine()}
        sys.stdout.write(json.dumps(record) + "\n")
        return 0
    sys.stdout.write(f"{'mean squared error, z':40s} bound linear kernel  bound saves  kernel saves\n")
    for (kind, horizon), errors in found.items():
        for place in range(N_SIGNALS + 1) if asked.signals else [N_SIGNALS]:
            at = [np.mean(row) if place == N_SIGNALS else row[place] for row in errors.values()]
            name = f"{kind.replace('_', ' ')}, {horizon} min" if place == N_SIGNALS else f"    {NAMES[place]}"
            saved = [f"{1 - at[i] / at[1]:12.0%}" if at[1] else f"{'-':>12s}" for i in (0, 2)]
            sys.stdout.write(f"{name:40s}" + "".join(f"{error:6.3f} " for error in at) + "".join(saved) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
