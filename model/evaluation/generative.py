"""The generative tasks of LSM-1 (section 4.1): random imputation, interpolation, extrapolation, sensor imputation.

A task hides places of held-out windows; a method fills them; the score counts cells that were observed and hidden,
nothing else, in z units, people disjoint from those trained on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from model.autoencoder import MaskedAutoencoder
from model.evaluation.baselines import FILLS, Values, diurnal, usual_course
from model.evaluation.metrics import Errors, errors
from model.masking import Grid, Places, random_places, stretch
from model.windows import Days
from simulator.randomness import stream
from simulator.recording import DataError
from simulator.signals import N_SIGNALS, NAMES, SIGNALS

Kind = Literal["random_imputation", "temporal_interpolation", "temporal_extrapolation", "sensor_imputation"]
KINDS: Final[tuple[Kind, ...]] = (
    "random_imputation",
    "temporal_interpolation",
    "temporal_extrapolation",
    "sensor_imputation",
)
HORIZONS_MINUTES: Final = (10, 20, 30, 60, 120)  # LSM-1 Table 3(a)
RANDOM_SHARE: Final = 0.8  # LSM-1 section 5.1
REFERENCE: Final = "linear"  # LSM-1 Table 3(a) holds its model against it; a kernel or the mean is often better
MODEL_BATCH_WINDOWS: Final = 64


@dataclass(frozen=True, slots=True)
class Task:
    """One task at one horizon; ``horizon`` is minutes, or None where the task has none."""

    kind: Kind
    horizon: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        task: Kind of task.
        horizon: Minutes of the gap; None for random imputation.
        signal: A signal's name, or "all" for the average over signals.
        method: Who filled the gap.
        mae: Mean absolute error, z.
        mse: Mean squared error, z^2.
        interval: 95 % bootstrap interval of ``mse`` over people.
        saving: 1 - mse / mse of linear interpolation; None where that makes no error.
        saving_interval: Its 95 % interval over the same resampled people.
        n: Cells scored.
        people: People they come from.
    """

    task: str
    horizon: int | None
    signal: str
    method: str
    mae: float
    mse: float
    interval: tuple[float, float] | None
    saving: float | None
    saving_interval: tuple[float, float] | None
    n: int
    people: int

    def as_json(self) -> dict[str, object]:
        """Plain values for a record."""
        return asdict(self)


def tasks(kinds: Sequence[str] = KINDS, horizons: Sequence[int] = HORIZONS_MINUTES) -> list[Task]:
    """All tasks of these kinds; each but random imputation at every horizon.

    Raises:
        ValueError: If a kind is unknown.
    """
    chosen: list[Task] = []
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f"task {kind!r} is unknown, expected one of {', '.join(KINDS)}")
        chosen += [Task(kind)] if kind == "random_imputation" else [Task(kind, horizon) for horizon in horizons]
    return chosen


def evaluate(
    models: Mapping[str, MaskedAutoencoder],
    days: Days,
    *,
    minutes: int,
    windows_per_person: int,
    seed: int,
    chosen: Sequence[Task] | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Row]:
    """Score models and the simple methods on the same windows and the same gaps.

    Args:
        models: By the name they get in the table; may be empty.
        days: People not trained on, normalised with the models' constants.
        minutes: Window length, that of the models.
        windows_per_person: Windows drawn of each person.
        seed: Seed of windows and gaps.
        chosen: Tasks; all by default.
        progress: Told each task's name.

    Returns:
        Rows by task, method and signal; signals without a scored cell are left out.

    Raises:
        DataError: If nobody has a usable window.
    """
    windows = sample_windows(days, minutes, windows_per_person, seed)
    values, observed = days.cut(windows, minutes)
    person = [days.person[day] for day in windows[:, 0]]
    usual = usual_course(days, windows, minutes)
    grid = Grid(rows=N_SIGNALS, columns=minutes // 10)
    rows: list[Row] = []
    for task in chosen if chosen is not None else tasks():
        if task.horizon is not None and task.horizon + 20 > minutes:
            continue
        if progress is not None:
            progress(f"{task.kind} {task.horizon or ''}".strip())
        rng = stream(seed, "gaps", task.kind, task.horizon or 0)
        random = task.horizon is None
        hidden = _hide_patches(models.values(), grid, len(windows), rng) if random else hide(task, grid, observed, rng)
        gap = np.repeat(hidden.reshape(-1, grid.rows, grid.columns), 10, axis=2)
        by_method = {
            method: errors(values, filled, gap & observed, person)
            for method, filled in _fill(models, days, windows, hidden, values, observed & ~gap, usual)
        }
        rows += _rows(task, by_method, seed)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Mean squared errors over all signals as text: a line a task and horizon, a column a method."""
    overall = {(row.task, row.horizon, row.method): row for row in rows if row.signal == "all"}
    methods = list(dict.fromkeys(row.method for row in rows))
    methods.sort(key=lambda method: method in FILLS or method == "diurnal")  # models first
    lines = [
        f"{'mean squared error, z':<32}" + "".join(f"{method:>12}" for method in methods) + f"{'saved (95 %)':>24}"
    ]
    for task, horizon in dict.fromkeys((row.task, row.horizon) for row in rows):
        name = task.replace("_", " ") + (f", {horizon} min" if horizon else "")
        found = [overall.get((task, horizon, method)) for method in methods]
        line = f"{name:<32}" + "".join(f"{row.mse:12.3f}" if row else f"{'-':>12}" for row in found)
        first = found[0]
        if first is not None and first.saving is not None:
            low, high = (f"{100 * bound:.0f}" for bound in first.saving_interval or (np.nan, np.nan))
            line += f"{f'{100 * first.saving:.0f} % ({low} to {high})':>24}"
        lines.append(line)
    lines.append(f"saved: by {methods[0]}, against {REFERENCE} interpolation")
    return "\n".join(lines)


def sample_windows(days: Days, minutes: int, per_person: int, seed: int) -> NDArray[np.int64]:
    """``per_person`` usable windows of everybody who has that many, else all of theirs: int64 [n, 2]."""
    usable = days.usable(minutes)
    owner = np.asarray(days.person)[usable[:, 0]]
    order = np.argsort(owner, kind="stable")
    chosen = [
        stream(seed, "windows", str(owner[own[0]])).permutation(own)[:per_person]
        for own in np.split(order, np.flatnonzero(owner[order][1:] != owner[order][:-1]) + 1)
        if len(own)
    ]
    if not chosen:
        raise DataError(f"nobody has a window of {minutes} minutes with a fifth of its cells observed")
    return np.asarray(usable[np.sort(np.concatenate(chosen))])


def hide(task: Task, grid: Grid, observed: NDArray[np.bool_], rng: np.random.Generator) -> Places:
    """Places that a task hides in windows ``observed`` [n, 26, minutes]: bool [n, places]."""
    n = len(observed)
    if task.horizon is None:
        return random_places(RANDOM_SHARE, grid, n, rng)
    length = task.horizon // 10
    if task.kind == "temporal_extrapolation":
        return stretch(grid, np.full((n, 1), grid.columns - length), length)
    # at least one column stays known on either side of the gap
    gap = stretch(grid, rng.integers(1, grid.columns - length, size=(n, 1)), length)
    if task.kind == "temporal_interpolation":
        return gap
    return gap & np.repeat(_one_sensor(observed, rng), grid.columns, axis=1)


def _hide_patches(models: Iterable[MaskedAutoencoder], grid: Grid, n: int, rng: np.random.Generator) -> Places:
    """Random imputation for models that may have larger patches: whole patches of the one with the largest.

    Hiding places of one signal at random would hide nearly every patch of five, and so be another task for LSM-1.
    """
    largest = max(models, key=lambda model: model.architecture.cells, default=None)
    if largest is None or largest.architecture.cells <= 10:
        return random_places(RANDOM_SHARE, grid, n, rng)
    places = torch.from_numpy(random_places(RANDOM_SHARE, largest.architecture.grid, n, rng))
    cells = largest.hidden_cells(places.to(next(largest.parameters()).device)).cpu()
    hidden: Places = torch.unflatten(cells, -1, (grid.columns, 10)).any(-1).flatten(1).numpy()
    return hidden


def _one_sensor(observed: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Rows of one sensor a window, drawn among those that delivered anything in it: bool [n, 26]."""
    sensors = list(dict.fromkeys(signal.sensor for signal in SIGNALS))
    member = np.array([[signal.sensor == sensor for signal in SIGNALS] for sensor in sensors])
    present = (observed.any(-1) @ member.T) > 0
    score = np.where(present, rng.random(present.shape), -1.0)
    rows: NDArray[np.bool_] = member[score.argmax(axis=1)]
    return rows


def _fill(
    models: Mapping[str, MaskedAutoencoder],
    days: Days,
    windows: NDArray[np.int64],
    hidden: Places,
    values: Values,
    known: NDArray[np.bool_],
    usual: Values,
) -> Iterator[tuple[str, Values]]:
    """Every method's filled windows [n, 26, minutes], by name."""
    for name, fill in FILLS.items():
        yield name, fill(values, known)
    yield "diurnal", diurnal(values, known, usual)
    for name, model in models.items():
        yield name, reconstruct(model, days, windows, hidden)


@torch.no_grad()
def reconstruct(model: MaskedAutoencoder, days: Days, windows: NDArray[np.int64], hidden: Places) -> Values:
    """The model's filling of windows [n, 2]: [n, 26, minutes], z units.

    ``hidden`` are places of one signal by ten minutes, bool [n, 26 x minutes / 10]; a patch of the model that holds any
    of them is hidden as a whole.
    """
    model.eval()
    device = next(model.parameters()).device
    minutes = model.architecture.window_minutes
    parts = []
    for part in np.array_split(np.arange(len(windows)), max(1, -(-len(windows) // MODEL_BATCH_WINDOWS))):
        gap = torch.from_numpy(np.repeat(hidden[part].reshape(len(part), N_SIGNALS, -1), 10, axis=2)).to(device)
        batch = replace(days.batch(windows[part], minutes, hidden[part]).to(device), hidden=model.places_of(gap))
        parts.append(model.reconstruct(batch).float().cpu().numpy())
    return np.concatenate(parts)


def _rows(task: Task, by_method: Mapping[str, Errors], seed: int) -> Iterator[Row]:
    reference = by_method[REFERENCE]
    for method, error in by_method.items():
        mae, mse, interval = error.mae(), error.mse(), error.mse_intervals(seed)
        saving, saving_interval = error.saving(reference), error.saving_intervals(reference, seed)
        cells, people = error.cells.sum(0), (error.cells > 0).sum(0)
        for i, signal in enumerate((*NAMES, "all")):
            if not np.isfinite(mse[i]):
                continue
            whole = signal == "all"
            yield Row(
                task=task.kind,
                horizon=task.horizon,
                signal=signal,
                method=method,
                mae=float(mae[i]),
                mse=float(mse[i]),
                interval=_pair(interval[:, i]),
                saving=float(saving[i]) if np.isfinite(saving[i]) else None,
                saving_interval=_pair(saving_interval[:, i]),
                n=int(cells.sum() if whole else cells[i]),
                people=int((error.cells.sum(1) > 0).sum() if whole else people[i]),
            )


def _pair(bounds: NDArray[np.float64]) -> tuple[float, float] | None:
    """Bounds as plain numbers; None where there are none."""
    return (float(bounds[0]), float(bounds[1])) if np.isfinite(bounds).all() else None
