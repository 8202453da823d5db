"""How recordings lie in Parquet: the schemas, the way there and back, and the digest of what they hold.

A recording is a row; each of its 26 signals is one fixed-size list of 1440 elements. ``recordings`` holds float32
with null where nothing was observed, ``truth`` float32, ``reasons`` uint8 of ``Reason``, both without nulls, which
their schemas say: that spares Parquet a tenth of its work.
"""

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simulator.content import Content
from simulator.noise import compiled
from simulator.recording import SHAPE, DataError, Event, Reason, Recording
from simulator.signals import MINUTES_PER_DAY, N_SIGNALS, NAMES, SIGNALS

FORMAT: Final = "everywear dataset"
VERSION: Final = 4
MANIFEST: Final = "dataset.json"
PEOPLE: Final = "people.parquet"
EVENTS: Final = "events.parquet"
ORIGINAL_MARK: Final = "original_mark"
"""Column of ``people.parquet`` in a folder whose cells were changed: each person's mark before (``Dataset.marks``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """``dataset.json``: what the folder promises to hold.

    Attributes:
        format: "everywear dataset".
        version: Of the format.
        people: Rows of ``people.parquet``.
        person_days: Recordings.
        sha256: Of the content, whatever the order, the parts or the workers.
        content: Sums that the hash is of (``Content.text``), by which folders are joined without being read.
        truth: Whether the truth under the gaps was kept.
        reasons: Whether the gaps' reasons were kept.
        parts: Paths of the part files below ``recordings/``.
        made_by: What made it; free.
    """

    format: str = FORMAT
    version: int = VERSION
    people: int
    person_days: int
    sha256: str
    content: str
    truth: bool
    reasons: bool
    parts: tuple[str, ...]
    made_by: dict[str, Any] = field(default_factory=dict)


_ELEMENTS: Final = {"recordings": pa.float32(), "truth": pa.float32(), "reasons": pa.uint8()}
_LAST_REASON: Final = int(max(Reason))
_EVERY_CELL: Final = np.ones(SHAPE, dtype=np.bool_)
_CELLS: Final = {"recordings": np.float32, "truth": np.float32, "reasons": np.uint8}
_LOW: Final = np.array([signal.low for signal in SIGNALS], dtype=np.float32)[:, None]
_HIGH: Final = np.array([signal.high for signal in SIGNALS], dtype=np.float32)[:, None]

EVENT_SCHEMA: Final = pa.schema(
    [
        ("person", pa.string()),
        ("day", pa.int32()),
        ("kind", pa.string()),
        ("label", pa.string()),
        ("start_minute", pa.int32()),
        ("end_minute", pa.int32()),
    ]
)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what PyArrow says of a file that it cannot read into a DataError that names it."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: cannot be read as Parquet ({reason})") from error


class EventFile:
    """``events.parquet``, of which only the places of each person-day's events are kept in memory.

    Events lie together for each person-day, in the order of people; the last few row groups that were read are kept,
    so that going through a dataset, each of whose vendors has its people in that order, reads each a few times.
    """

    def __init__(self, path: Path) -> None:
        """Look at the columns and at whose each row is.

        Raises:
            DataError: If the file is missing, cannot be read, or has other columns.
        """
        if not path.is_file():
            raise DataError(f"{path}: missing, expected the events of all recordings")
        with reading(path), pq.ParquetFile(path, read_dictionary=["person"]) as file:
            found, self._metadata = file.schema_arrow, file.metadata
            for column in EVENT_SCHEMA:
                if column.name not in found.names or not _same_type(found.field(column.name).type, column.type):
                    raise DataError(f"{path}: expected column {column.name!r} of type {column.type}; found {found}")
            owners = file.read(columns=["person", "day"]).unify_dictionaries()
        self._path = path
        self._groups: dict[int, list[list[Any]]] = {}  # read last, oldest first
        rows = [self._metadata.row_group(group).num_rows for group in range(self._metadata.num_row_groups)]
        self._firsts = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
        person, day = owners["person"].combine_chunks(), owners["day"]
        self._code = {name: code for code, name in enumerate(person.dictionary.to_pylist())}
        code, number = (column.fill_null(-1).to_numpy() for column in (person.indices, day))
        self._index(_owner_key(code, number))

    def _index(self, key: NDArray[np.int64]) -> None:
        """Note where each run of rows of one owner begins and ends, sorted by owner, then row."""
        edges = np.flatnonzero(np.diff(key)) + 1
        starts = np.concatenate([np.zeros(min(1, len(key)), dtype=np.int64), edges])
        order = np.argsort(key[starts], kind="stable")
        self._starts, self._keys = starts[order], key[starts][order]
        self._ends = np.append(edges, len(key))[: len(starts)][order]

    def of(self, person: str, day: int) -> tuple[Event, ...]:
        """A person-day's events, in the order of the file."""
        if person not in self._code:
            return ()
        key = _owner_key(np.int64(self._code[person]), np.int64(day))
        runs = range(*np.searchsorted(self._keys, [key, key + 1]).tolist())
        return tuple(event for run in runs for event in self._between(int(self._starts[run]), int(self._ends[run])))

    def _between(self, start: int, end: int) -> Iterator[Event]:
        """The events of some rows."""
        while start < end:
            group = int(np.searchsorted(self._firsts, start, side="right")) - 1
            first, last = int(self._firsts[group]), int(self._firsts[group + 1])
            inside = slice(start - first, min(end, last) - first)
            yield from map(Event, *(column[inside] for column in self._columns(group)))
            start = last

    def _columns(self, group: int) -> list[list[Any]]:
        """Kind, label, start and end of a row group's events."""
        if group not in self._groups:
            while len(self._groups) >= _EVENT_GROUPS_KEPT:
                del self._groups[next(iter(self._groups))]
            with reading(self._path), pq.ParquetFile(self._path, metadata=self._metadata) as file:
                table = file.read_row_group(group, columns=_OF_EVENT)
            self._groups[group] = [table.column(name).to_pylist() for name in _OF_EVENT]
        return self._groups[group]


_OF_EVENT: Final = ["kind", "label", "start_minute", "end_minute"]
_EVENT_GROUPS_KEPT: Final = 4  # of 8,192 events, about a megabyte each


def _owner_key(person: NDArray[np.integer[Any]] | np.int64, day: NDArray[np.int32] | np.int64) -> NDArray[np.int64]:
    """One number for a person's code and a day, which may be negative."""
    return np.asarray(person, dtype=np.int64) * 2**32 + day


def _same_type(found: pa.DataType, expected: pa.DataType) -> bool:
    """Whether a column has the type asked for, be it stored as a dictionary or not."""
    return bool((found.value_type if pa.types.is_dictionary(found) else found) == expected)


def schema_of(kind: str) -> pa.Schema:
    """The columns of a part of ``recordings``, ``truth`` or ``reasons``."""
    nullable = kind == "recordings"
    minutes = pa.list_(pa.field("element", _ELEMENTS[kind], nullable=nullable), MINUTES_PER_DAY)
    keys = [("person", pa.string()), ("day", pa.int32()), ("date", pa.date32())]
    return pa.schema([*keys, *(pa.field(name, minutes, nullable=nullable) for name in NAMES)])


def to_table(kind: str, recordings: Sequence[Recording]) -> pa.Table:
    """Recordings as rows of a part of ``kind``, in the order given; cells are copied once."""
    schema, n = schema_of(kind), len(recordings)
    cells = np.empty((N_SIGNALS, n, MINUTES_PER_DAY), dtype=_CELLS[kind])
    present = np.empty((N_SIGNALS, n, MINUTES_PER_DAY // 8), dtype=np.uint8)
    for row, recording in enumerate(recordings):
        if kind == "recordings":
            cells[:, row] = recording.values
            present[:, row] = np.packbits(recording.observed, axis=1, bitorder="little")
        else:
            cells[:, row] = recording.truth if kind == "truth" else recording.reason
    columns: list[pa.Array] = [
        pa.array([recording.person for recording in recordings], pa.string()),
        pa.array([recording.day for recording in recordings], pa.int32()),
        pa.array([recording.date for recording in recordings], pa.date32()),
    ]
    for i, name in enumerate(NAMES):
        validity = pa.py_buffer(present[i]) if kind == "recordings" else None
        buffers = [validity, pa.py_buffer(cells[i])]
        elements = pa.Array.from_buffers(_ELEMENTS[kind], n * MINUTES_PER_DAY, buffers)
        columns.append(pa.FixedSizeListArray.from_arrays(elements, type=schema.field(name).type))
    return pa.Table.from_arrays(columns, schema=schema)


def to_arrays(table: pa.Table, names: Sequence[str], where: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """The cells of some signals of a table read back.

    Args:
        table: Rows of a part.
        names: The signals wanted.
        where: What the table is, for messages.

    Returns:
        The cells [rows, signals, 1440], 0 where null, and whether each was there.

    Raises:
        DataError: If a whole list is null.
    """
    cells, present = [], []
    for name in names:
        column = table.column(name).combine_chunks()
        if column.null_count:
            raise DataError(f"{where}, column {name!r}: {column.null_count} null lists, expected lists of 1440")
        elements = column.flatten()
        present.append(elements.is_valid().to_numpy(zero_copy_only=False).reshape(-1, MINUTES_PER_DAY))
        cells.append(elements.fill_null(0).to_numpy(zero_copy_only=False).reshape(-1, MINUTES_PER_DAY))
    return np.stack(cells, axis=1), np.stack(present, axis=1)


def check_range(values: NDArray[np.float32], used: NDArray[np.bool_], where: str) -> None:
    """Refuse values that no signal can take.

    Args:
        values: float32 [26, 1440].
        used: bool [26, 1440]; the cells to look at.
        where: What the values are, for the message.

    Raises:
        DataError: If a used value is not finite or outside its signal's physical range; names signal and minute.
    """
    if _outside(values, used, _LOW, _HIGH):
        wrong = used & ~((values >= _LOW) & (values <= _HIGH))  # NaN is neither
        i, minute = (int(k) for k in np.argwhere(wrong)[0])
        signal = SIGNALS[i]
        raise DataError(
            f"{where}, column {signal.name!r}, minute {minute}: {values[i, minute]} is outside the physical range "
            f"[{signal.low:g}, {signal.high:g}] {signal.unit}"
        )


@compiled
def _outside(
    values: NDArray[np.float32], used: NDArray[np.bool_], low: NDArray[np.float32], high: NDArray[np.float32]
) -> int:
    """Number of used cells that are not between their row's ``low`` and ``high`` [26, 1]; NaN is not."""
    count = 0
    for i in range(values.shape[0]):
        for minute in range(values.shape[1]):
            cell = values[i, minute]
            count += used[i, minute] & ((cell < low[i, 0]) | (cell > high[i, 0]) | (cell != cell))  # no branch: vectors
    return count


def checked(recording: Recording, where: str) -> Recording:
    """Itself, if it keeps the contract and every value is physically possible.

    Raises:
        DataError: As ``Recording.check`` and ``check_range`` say.
    """
    if recording.values.shape == recording.observed.shape == SHAPE:
        check_range(recording.values, recording.observed, where)
    recording.check()
    if recording.reason.max() > _LAST_REASON:
        raise DataError(f"{where}: reason {recording.reason.max()}, expected at most {_LAST_REASON}")
    if recording.truth is not None:
        check_range(recording.truth, _EVERY_CELL, f"{where}, truth")
    return recording


def digest(recording: Recording, *, truth: bool, reasons: bool) -> bytes:
    """SHA-256 of what the folder keeps of a recording.

    Unobserved values, which are lost, do not count: those observed stand one after the other behind what tells where
    they were (the reasons, 0 exactly there, or else a bit a cell), a fifth fewer bytes than with zeros between them.
    """
    events = itertools.chain.from_iterable(recording.events)  # four fields each, so nothing else reads the same
    head = ["recording", recording.person, recording.vendor, recording.day, recording.date.isoformat(), *events]
    sha = hashlib.sha256(json.dumps(head).encode())
    sha.update(np.ascontiguousarray(recording.reason if reasons else np.packbits(recording.observed)).data)
    sha.update(recording.values[recording.observed].astype("<f4", copy=False).data)
    if truth and recording.truth is not None:
        sha.update(np.ascontiguousarray(recording.truth, dtype="<f4").data)
    return sha.digest()


def people_content(people: pa.Table) -> Content:
    """The content of a table of people: a row an element, whatever their order and the order of the columns."""
    content = Content()
    for row in people.to_pylist():
        content.add(json.dumps(["person", row], sort_keys=True, default=str).encode())
    return content
