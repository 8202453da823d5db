"""Injecting into what lies on disk: a table, an array or a dataset folder in, the same with gaps out.

What comes out is of the kind that went in, and the same but for the cells that were hidden: a CSV file keeps the text
of every other cell, a Parquet file its types, an .npz file its other arrays, a dataset folder its truth and events.
"""

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simulator.dataset import Dataset, open_dataset, write_dataset
from simulator.dataset_layout import ORIGINAL_MARK, reading
from simulator.files import check_writable, write_whole
from simulator.importing import clock_times, numbers, read_table
from simulator.injecting import Injected, Progress, inject
from simulator.randomness import stream_key
from simulator.recording import DataError, Reason, Recording
from simulator.scenarios import Scenario
from simulator.signals import INDEX, MINUTES_PER_DAY, N_SIGNALS, NAMES

TABLES: Final = (".csv", ".parquet")
ARRAYS: Final = (".npy", ".npz")
BLOCK_DAYS: Final = 400  # person-days of a dataset folder that meet the rate together; about 0.4 GB
_KEYS: Final = ("person", "timestamp")


@dataclass(frozen=True, slots=True)
class Done:
    """What was hidden.

    Attributes:
        cells: Cells that were there.
        hidden: Of them, those that are hidden now.
        by_cause: The same by reason.
    """

    cells: int
    hidden: int
    by_cause: Mapping[str, int]

    def __add__(self, other: "Done") -> "Done":
        causes = {name: self.by_cause.get(name, 0) + other.by_cause.get(name, 0) for name in _NAMES[1:]}
        both = {name: count for name, count in causes.items() if count}
        return Done(self.cells + other.cells, self.hidden + other.hidden, both)


_NAMES: Final = tuple(reason.name.lower() if reason else "" for reason in Reason)
_NOTHING: Final = Done(0, 0, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for; fields as ``inject`` has them."""

    scenario: str | Scenario = "natural"
    rate: float | None = None
    severity: float | None = None
    seed: int = 0
    signals: Mapping[str, str] | Sequence[str] | None = None
    start: datetime | str | None = None
    step_minutes: int = 1

    def of(self, values: Any, **other: Any) -> Injected:
        """``inject`` with it; ``other`` takes precedence."""
        asked = {"rate": self.rate, "severity": self.severity, "seed": self.seed, "step_minutes": self.step_minutes}
        return inject(values, self.scenario, **{**asked, "signals": self.signals, "start": self.start, **other})


def inject_file(
    source: Path, out: Path, request: Request, *, reasons: Path | None = None, progress: Progress | None = None
) -> Done:
    """Hide cells of a file or dataset folder.

    Args:
        source: ``.csv`` or ``.parquet``, a row a minute with a column "timestamp" (local clock time) and, if it holds
            more than one person, "person"; ``.npy`` or ``.npz`` (one array, or the one called "values") of [rows,
            signals] or [people, rows, signals]; or a dataset folder.
        out: What is written, of the same kind; must not exist yet.
        request: What to hide.
        reasons: File for the reason of each hidden cell: of a table, a table of names beside its keys, "" where nothing
            was hidden; of an array, ``.npy`` with codes of ``Reason``. A dataset folder holds its reasons itself.
        progress: As for ``inject``.

    Returns:
        What was hidden.

    Raises:
        DataError: If the source is not as described, a target exists or is of another kind, or the rate cannot be met.
        ValueError: If the request is out of range.
    """
    source, out = Path(source), Path(out)
    folder = source.is_dir()
    if not source.exists():
        raise DataError(f"{source}: no such file or folder")
    if not folder and source.suffix not in TABLES + ARRAYS:
        raise DataError(f"{source}: expected a {', '.join(TABLES + ARRAYS)} file or a dataset folder")
    _check_target(out, "" if folder else source.suffix, f"like {source.name}")
    if folder:
        if source.resolve() in out.resolve().parents:
            raise DataError(f"{out}: lies inside {source}, expected a folder beside it")
        if reasons is not None:
            raise DataError(f"{reasons}: not for a dataset folder, which holds its reasons itself")
        if not isinstance(request.signals, type(None)):
            raise DataError(f"{source}: a dataset folder names its signals itself, expected no other names")
        return _inject_dataset(open_dataset(source), out, request, progress)
    if reasons is not None:
        suffix = source.suffix if source.suffix in TABLES else ".npy"
        _check_target(reasons, suffix, f"for the reasons of {source.name}")
        if reasons.resolve() == out.resolve():
            raise DataError(f"{reasons}: is where the data go, expected another file for the reasons")
    write = _inject_table if source.suffix in TABLES else _inject_array
    try:
        return write(source, out, request, reasons, progress)
    except DataError as error:
        raise error if str(error).startswith(str(source)) else DataError(f"{source}: {error}") from error
    except OSError:  # both or neither
        out.unlink(missing_ok=True)
        raise


def _check_target(path: Path, suffix: str, what: str) -> None:
    """Refuse a target of another kind, one that is there, or one that cannot be written."""
    if path.suffix != suffix and suffix:
        raise DataError(f"{path}: expected a {suffix} file, {what}")
    if path.exists():
        raise DataError(f"{path}: exists, expected a new name")
    check_writable(path)


def _counted(spoilt: Injected, there: int) -> Done:
    counts = {name: round(share * there) for name, share in spoilt.by_cause.items()}
    return Done(there, round(spoilt.met * there), counts)


# ---------------------------------------------------------------------------------------------------------- tables


def _inject_table(source: Path, out: Path, request: Request, reasons: Path | None, progress: Progress | None) -> Done:
    found = _column_names(source)
    if isinstance(request.signals, Sequence):
        raise DataError(f"{source}: expected its signals as column=name pairs")
    called = {name: name for name in found if name in (*INDEX, *_KEYS)} | dict(request.signals or {})
    keys = {ours: theirs for theirs, ours in called.items() if ours in _KEYS}
    signals = {theirs: ours for theirs, ours in called.items() if ours not in _KEYS}
    listed = ", ".join(name if name.isprintable() else repr(name) for name in found) or "none"
    for name in (*called, keys.get("timestamp", "timestamp")):
        if name not in found:
            raise DataError(f"{source}: no column {name!r}; found {listed}")
    if not signals:
        raise DataError(f"{source}: none of its columns is named like a signal, say which are one: {listed}")
    table = read_table(source, [*keys.values(), *signals])
    lines: dict[Any, pd.Series] = {"timestamp": clock_times(source, table[keys["timestamp"]])}
    lines["person"] = table[keys["person"]] if "person" in keys else pd.Series("", table.index)
    cells: dict[int, pd.Series] = {i: numbers(source, name, table[name]) for i, name in enumerate(signals)}
    names = dict(enumerate(signals.values()))
    spoilt = request.of(pd.DataFrame(lines | cells), signals=names, start=None, progress=progress)
    hidden = dict(zip(signals, spoilt.mask.to_numpy().T, strict=True))
    _write_table(out, _without(source, hidden))
    if reasons is not None:
        why = pd.DataFrame(np.array(_NAMES, dtype=object)[spoilt.reasons.to_numpy()], columns=list(signals))
        whole = _text(source) if source.suffix == ".csv" else pq.read_table(source).to_pandas()
        _write_table(reasons, pd.concat([whole[list(keys.values())], why], axis=1))
    return _counted(spoilt, int(sum(np.isfinite(column).sum() for column in cells.values())))


def _column_names(source: Path) -> list[str]:
    """The columns of a table, each once."""
    if source.suffix == ".parquet":
        with reading(source):
            names = list(pq.read_schema(source).names)
    else:
        with source.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            names = next(csv.reader(file), [])
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"{source}: column {twice!r} stands twice")
    return names


def _text(source: Path) -> pd.DataFrame:
    """Every cell of a CSV file as it is written."""
    return pd.read_csv(source, dtype=str, keep_default_na=False, encoding="utf-8-sig")


def _without(source: Path, hidden: Mapping[str, NDArray[np.bool_]]) -> pd.DataFrame | pa.Table:
    """The table of a file with some cells of some columns empty."""
    if source.suffix == ".csv":
        text = _text(source)
        for name, cells in hidden.items():
            text.loc[cells, name] = ""
        return text
    with reading(source):
        table = pq.read_table(source)
    for name, cells in hidden.items():
        place, field = table.column_names.index(name), table.field(name).with_nullable(True)
        table = table.set_column(place, field, pc.if_else(pa.array(cells), pa.scalar(None, field.type), table[name]))
    return table


def _write_table(out: Path, table: pd.DataFrame | pa.Table) -> None:
    if out.suffix == ".csv":
        write_whole(out, table.to_csv(index=False).encode())
        return
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(table) if isinstance(table, pd.DataFrame) else table, content)
    write_whole(out, content.getvalue())


# ---------------------------------------------------------------------------------------------------------- arrays


def _inject_array(source: Path, out: Path, request: Request, reasons: Path | None, progress: Progress | None) -> Done:
    arrays = _load_arrays(source)
    name = "values" if "values" in arrays else next(iter(arrays))
    if len(arrays) > 1 and name != "values":
        raise DataError(f"{source}: holds arrays {', '.join(arrays)}, expected one, or one called 'values'")
    if isinstance(request.signals, Mapping):
        raise DataError(f"{source}: expected its signals as names, one a column of the array")
    values = arrays[name]
    spoilt = request.of(values, progress=progress)
    arrays[name] = spoilt.values.astype(values.dtype if values.dtype.kind == "f" else np.float64)
    content = io.BytesIO()
    if source.suffix == ".npy":
        np.save(content, arrays[name], allow_pickle=False)
    else:
        np.savez_compressed(content, allow_pickle=False, **arrays)
    write_whole(out, content.getvalue())
    if reasons is not None:
        codes = io.BytesIO()
        np.save(codes, spoilt.reasons, allow_pickle=False)
        write_whole(reasons, codes.getvalue())
    return _counted(spoilt, int(np.isfinite(values.astype(np.float64)).sum()))


def _load_arrays(source: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file by name; nothing in it is executed."""
    try:
        loaded = np.load(source, allow_pickle=False)
        if source.suffix == ".npz":
            with loaded:
                arrays = {name: loaded[name] for name in loaded.files}
        else:
            arrays = {"values": loaded}
    except (ValueError, EOFError, OSError, AttributeError, zipfile.BadZipFile) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{source}: cannot be read as {source.suffix} without pickle ({said})") from error
    if not arrays or not all(isinstance(array, np.ndarray) for array in arrays.values()):
        raise DataError(f"{source}: holds no array")
    return arrays


# --------------------------------------------------------------------------------------------------- dataset folders


def _inject_dataset(dataset: Dataset, out: Path, request: Request, progress: Progress | None) -> Done:
    done: list[Done] = []

    def recordings() -> Iterator[Recording]:
        before = 0
        for number, block in enumerate(_blocks(dataset)):
            told = None if progress is None else _after(before, len(dataset.people), progress)
            days = sorted(dataset.select(block), key=lambda recording: (recording.person, recording.day))
            seed = stream_key(request.seed, "inject", "block", number)
            spoilt, count = inject_recordings(days, replace(request, seed=seed), told)
            done.append(count)
            before += len(block)
            yield from spoilt

    asked = {"rate": request.rate, "severity": request.severity, "seed": request.seed}
    made_by = dataset.manifest.made_by | {"injected": {"scenario": str(request.scenario), **asked}}
    marks = dataset.people["person"].map(dataset.marks()).astype("string")  # a model knows its people by them
    write_dataset(out, recordings(), dataset.people.assign(**{ORIGINAL_MARK: marks}), made_by=made_by)
    return sum(done, _NOTHING)


def _blocks(dataset: Dataset) -> Iterator[list[str]]:
    """People with recordings, some at a time, of at most ``BLOCK_DAYS`` together unless one alone has more."""
    block: list[str] = []
    total = 0
    for person, days in dataset.index["person"].value_counts(sort=False).items():
        if block and total + days > BLOCK_DAYS:
            yield block
            block, total = [], 0
        block.append(str(person))
        total += days
    yield block


def _after(before: int, everybody: int, progress: Progress) -> Progress:
    """Tells of people of a block as of people of all."""
    return lambda done, people, life: progress(before + done, everybody, life)


def inject_recordings(
    days: Sequence[Recording], request: Request, progress: Progress | None = None
) -> tuple[list[Recording], Done]:
    """Hide cells of person-days; a stand-in lives through all days of a person.

    Args:
        days: Sorted by person and day.
        request: What to hide; its signals and start are not used.
        progress: As for ``inject``.

    Returns:
        The same recordings with more gaps, and what was hidden.

    Raises:
        DataError: If the rate cannot be met.
    """
    first: dict[str, Recording] = {}
    for recording in days:
        first.setdefault(recording.person, recording)
    place = {person: i for i, person in enumerate(first)}
    spans = [1 + max(d.day for d in days if d.person == person) - began.day for person, began in first.items()]
    cells = np.full((len(first), max(spans), MINUTES_PER_DAY, N_SIGNALS), np.nan, dtype=np.float32)
    where = [(place[recording.person], recording.day - first[recording.person].day) for recording in days]
    for at, recording in zip(where, days, strict=True):
        cells[at] = np.where(recording.observed, recording.values, np.float32(np.nan)).T
    starts = [datetime.combine(began.date, datetime.min.time()) for began in first.values()]
    there = int(np.isfinite(cells).sum())
    whole = cells.reshape(len(first), -1, N_SIGNALS)
    spoilt = request.of(whole, signals=NAMES, start=starts, progress=progress)
    codes = spoilt.reasons.reshape(cells.shape)
    changed = []
    for at, recording in zip(where, days, strict=True):
        code = codes[at].T
        reason = np.where(code > 0, code, recording.reason).astype(np.uint8)
        changed.append(replace(recording, observed=recording.observed & (code == 0), reason=reason))
    return changed, _counted(spoilt, there)
