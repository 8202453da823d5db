"""The generative tasks of LSM-1 (section 4.1): random imputation, interpolation, extrapolation, sensor imputation.

A task hides places of held-out windows; a method fills them; the score counts cells that were observed and hidden,
nothing else, in z units, people disjoint from those trained on.

Models of different kinds share a table: all get the same windows and gaps and are scored in the same z units. A model
that was trained in other z-scores answers in its own (``Contender``); one that sees more minutes than the window gets
the window alone, at its time of day, in a window of its own that is empty around it. So every method knows the same.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from model.autoencoder import MaskedAutoencoder
from model.evaluation.baselines import FILLS, Values, diurnal, usual_course
from model.evaluation.imputers import BY_MINUTE, WindowImputer
from model.evaluation.metrics import Errors, errors, pair
from model.masking import Grid, Places, random_places, stretch
from model.windows import WINDOW_STRIDE_MINUTES, Days, Normaliser
from simulator.randomness import stream
from simulator.recording import DataError, Recording
from simulator.signals import MINUTES_PER_DAY, N_SIGNALS, NAMES, SIGNALS

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
NO_INTERVAL: Final = "no interval: one person"  # the bootstrap resamples people


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


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A model whose z-scores may be others than the table's.

    Attributes:
        network: The model.
        days: The table's days in the model's z-scores.
        own: The model's constants.
        table: The table's.
    """

    network: MaskedAutoencoder
    days: Days
    own: Normaliser
    table: Normaliser

    @classmethod
    def of(
        cls, network: MaskedAutoencoder, own: Normaliser, recordings: Iterable[Recording], table: Normaliser, days: Days
    ) -> "Contender":
        """``days`` are ``recordings`` in the table's z-scores; they are read again if the model has others."""
        return cls(network, days if own == table else Days.load(recordings, own), own, table)

    def reconstruct(self, windows: NDArray[np.int64], hidden: Places) -> Values:
        """``reconstruct``, in the table's z-scores."""
        filled = reconstruct(self.network, self.days, windows, hidden)
        if self.own == self.table:
            return filled
        return self.table.apply(self.own.invert(filled), np.ones(filled.shape, dtype=np.bool_))


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
    models: Mapping[str, MaskedAutoencoder | Contender],
    days: Days,
    *,
    minutes: int,
    windows_per_person: int,
    seed: int,
    chosen: Sequence[Task] | None = None,
    imputers: Mapping[str, WindowImputer] | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Row]:
    """Score models and the simple methods on the same windows and the same gaps.

    Args:
        models: By the name they get in the table; may be empty. A bare network has the table's z-scores.
        days: People not trained on, in the table's z-scores.
        minutes: Window length; no model's may be shorter.
        windows_per_person: Windows drawn of each person.
        seed: Seed of windows and gaps.
        chosen: Tasks; all by default.
        imputers: Further methods, by name; those of minutes are fitted for every task on what it leaves of all windows.
        progress: Told each task's name.

    Returns:
        Rows by task, method and signal; signals without a scored cell are left out.

    Raises:
        DataError: If nobody has a usable window.
        ValueError: If a model's window is shorter than ``minutes``.
    """
    networks = [model.network if isinstance(model, Contender) else model for model in models.values()]
    for name, network in zip(models, networks, strict=True):
        if network.architecture.window_minutes < minutes:
            raise ValueError(f"{name} sees {network.architecture.window_minutes} minutes, fewer than {minutes=}")
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
        hidden = _hide_patches(networks, grid, len(windows), rng) if random else hide(task, grid, observed, rng)
        gap = np.repeat(hidden.reshape(-1, grid.rows, grid.columns), 10, axis=2)
        known, asked = observed & ~gap, observed & gap
        by_method = {
            method: errors(values, filled, asked, person)
            for method, filled in _fill(models, days, windows, hidden, values, known, usual)
        }
        for method, imputer in (imputers or {}).items():
            by_method[method] = errors(values, imputer.fill(values, known, asked, windows[:, 1]), asked, person)
        rows += _rows(task, by_method, seed)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Mean squared errors over all signals as text: a line a task and horizon, a column a method."""
    overall = {(row.task, row.horizon, row.method): row for row in rows if row.signal == "all"}
    methods = list(dict.fromkeys(row.method for row in rows))
    methods.sort(key=lambda method: method in FILLS or method == "diurnal" or method in BY_MINUTE)  # models first
    width = max(12, *(len(method) + 2 for method in methods))
    lines = [
        f"{'mean squared error, z':<32}" + "".join(f"{method:>{width}}" for method in methods) + f"{'saved (95 %)':>24}"
    ]
    for task, horizon in dict.fromkeys((row.task, row.horizon) for row in rows):
        name = task.replace("_", " ") + (f", {horizon} min" if horizon else "")
        found = [overall.get((task, horizon, method)) for method in methods]
        line = f"{name:<32}" + "".join(f"{row.mse:{width}.3f}" if row else f"{'-':>{width}}" for row in found)
        first = found[0]
        if first is not None and first.saving is not None:
            within = " to ".join(f"{100 * bound:.0f}" for bound in first.saving_interval or ())
            line += f"{f'{100 * first.saving:.0f} % ({within or NO_INTERVAL})':>24}"
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
    a, minutes = largest.architecture, grid.columns * 10
    columns = -(-minutes // a.patch_minutes)
    within = random_places(RANDOM_SHARE, Grid(rows=a.grid.rows, columns=columns), n, rng)
    places = torch.zeros(n, a.grid.rows, a.grid.columns, dtype=torch.bool)
    places[..., :columns] = torch.from_numpy(within.reshape(n, a.grid.rows, columns))
    cells = largest.hidden_cells(places.flatten(1).to(next(largest.parameters()).device)).cpu()[..., :minutes]
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
    models: Mapping[str, MaskedAutoencoder | Contender],
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
        if isinstance(model, Contender):
            yield name, model.reconstruct(windows, hidden)
        else:
            yield name, reconstruct(model, days, windows, hidden)


@torch.no_grad()
def reconstruct(model: MaskedAutoencoder, days: Days, windows: NDArray[np.int64], hidden: Places) -> Values:
    """The model's filling of windows [n, 2]: [n, 26, minutes], z units.

    ``hidden`` are places of one signal by ten minutes, bool [n, 26 x minutes / 10]; a patch of the model that holds any
    of them is hidden as a whole. A model that sees more minutes than the windows have gets nothing of the others.
    """
    model.eval()
    device = next(model.parameters()).device
    minutes, seen = hidden.shape[1] // N_SIGNALS * 10, model.architecture.window_minutes
    parts = []
    for part in np.array_split(np.arange(len(windows)), max(1, -(-len(windows) // MODEL_BATCH_WINDOWS))):
        wider = _wider(windows[part], minutes, seen)
        column = (windows[part, 1] - wider[:, 1])[:, None, None] + np.arange(minutes)
        gap, inside = np.zeros((2, len(part), N_SIGNALS, seen), dtype=np.bool_)
        np.put_along_axis(gap, column, np.repeat(hidden[part].reshape(len(part), N_SIGNALS, -1), 10, axis=2), axis=2)
        np.put_along_axis(inside, column, np.True_, axis=2)
        batch = days.batch(wider, seen, hidden[part])
        there = torch.from_numpy(inside)
        batch = replace(batch, values=torch.where(there, batch.values, 0.0), observed=batch.observed & there).to(device)
        batch = replace(batch, hidden=model.places_of(torch.from_numpy(gap).to(device)))
        filled = model.reconstruct(batch).float().cpu().numpy()
        parts.append(np.take_along_axis(filled, column, axis=2))
    return np.concatenate(parts)


def _wider(windows: NDArray[np.int64], minutes: int, seen: int) -> NDArray[np.int64]:
    """Windows of ``seen`` minutes within the day that hold those of ``minutes``, in the middle where they can."""
    before = (seen - minutes) // 2 // WINDOW_STRIDE_MINUTES * WINDOW_STRIDE_MINUTES
    start = np.clip(windows[:, 1] - before, 0, MINUTES_PER_DAY - seen)
    return np.stack([windows[:, 0], start], axis=1)


def _rows(task: Task, by_method: Mapping[str, Errors], seed: int) -> Iterator[Row]:
    reference = by_method[REFERENCE]
    for method, error in by_method.items():
        saving, saving_interval = error.saving(reference), error.saving_intervals(reference, seed)
        for score in error.scores(seed):
            i = score.place
            yield Row(
                task=task.kind,
                horizon=task.horizon,
                signal=(*NAMES, "all")[i],
                method=method,
                mae=score.mae,
                mse=score.mse,
                interval=score.interval,
                saving=float(saving[i]) if np.isfinite(saving[i]) else None,
                saving_interval=pair(saving_interval[:, i]),
                n=score.n,
                people=score.people,
            )
