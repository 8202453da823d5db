"""Writing a dataset folder: whole or not at all, in flat memory, with a hash of what went in."""

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from simulator.dataset_layout import (
    EVENT_SCHEMA,
    EVENTS,
    MANIFEST,
    PEOPLE,
    Manifest,
    checked,
    content_hash,
    digest,
    schema_of,
    to_table,
)
from simulator.files import sync_folder
from simulator.recording import DataError, Recording

ROWS_PER_PART: Final = 256
ROWS_PER_GROUP: Final = 32  # 12 MB of cells, truth and reasons in memory, for each vendor
_ENCODING: Final[dict[str, Any]] = {"compression": "zstd", "use_dictionary": ["person", "day", "date"]}
"""Measured values hardly repeat: a dictionary made parts 1.5 times as large and writing 2 to 4 times as slow."""
_VENDOR: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class Summary:
    """What was written.

    Attributes:
        people: Rows of ``people.parquet``.
        person_days: Recordings.
        bytes: Size of all files.
        sha256: Of the content: the same whatever the order, the parts, the workers.
    """

    people: int
    person_days: int
    bytes: int
    sha256: str


def write_dataset(
    folder: Path,
    recordings: Iterable[Recording],
    people: pd.DataFrame,
    *,
    made_by: Mapping[str, object] | None = None,
    progress: Callable[[int], None] | None = None,
    truth: bool = True,
    reasons: bool = True,
    rows_per_part: int = ROWS_PER_PART,
) -> Summary:
    """Write recordings as a dataset folder that appears complete or not at all.

    The folder grows under a hidden name beside its target and is renamed at the end, after every file has reached
    the disk. What an interrupted run left behind is swept away by the next one with the same target.

    Args:
        folder: Where to; must not exist, or be empty.
        recordings: In any order; each person-day once. Taken one by one, so a generator is welcome.
        people: One row a person with a column ``person``; a person without recordings may stand in it.
        made_by: What made it (config, seed, commit), kept in ``dataset.json``; must survive JSON.
        progress: Called with the number of person-days written so far.
        truth: Keep the truth if recordings carry one.
        reasons: Keep the reason of every gap.
        rows_per_part: Person-days in one Parquet file.

    Raises:
        DataError: If the target is in use, a recording breaks the contract, is out of range, stands twice or belongs
            to nobody in ``people``, only some carry truth, or there are none.
    """
    folder = Path(folder)
    table = _people_table(people)
    with _growing(folder) as partial, contextlib.ExitStack() as stack:
        shelves: dict[str, _Shelf] = {}
        events = stack.enter_context(_EventWriter(partial / EVENTS))
        digests: dict[tuple[str, int], bytes] = {}
        known = set(people["person"])
        kinds: tuple[str, ...] = ()
        for recording in recordings:
            where = f"recording of person {recording.person!r}, day {recording.day}"
            if not digests:
                kinds = _kinds(truth=truth and recording.truth is not None, reasons=reasons)
            _check(recording, where, known, digests)
            if truth and (recording.truth is not None) != ("truth" in kinds):
                raise DataError(
                    f"{where}: {'with' if recording.truth is not None else 'without'} truth, unlike those before it"
                )
            digests[recording.person, recording.day] = digest(
                recording, truth="truth" in kinds, reasons="reasons" in kinds
            )
            if recording.vendor not in shelves:
                shelf = _Shelf(partial, recording.vendor, kinds, rows_per_part)
                shelves[recording.vendor] = stack.enter_context(shelf)
            shelves[recording.vendor].add(recording)
            events.add(recording)
            if progress is not None:
                progress(len(digests))
        if not digests:
            raise DataError(f"{folder}: no recordings to write, expected at least one")
        stack.close()
        pq.write_table(table, partial / PEOPLE, compression="zstd")
        sha256 = content_hash(table.to_pandas(), digests)
        manifest = Manifest(
            people=len(people),
            person_days=len(digests),
            sha256=sha256,
            truth="truth" in kinds,
            reasons="reasons" in kinds,
            parts=tuple(sorted(part for shelf in shelves.values() for part in shelf.parts)),
            made_by=dict(made_by or {}),
        )
        (partial / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1) + "\n")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Summary(people=len(people), person_days=len(digests), bytes=size, sha256=sha256)


def _kinds(*, truth: bool, reasons: bool) -> tuple[str, ...]:
    return ("recordings", *(["truth"] if truth else []), *(["reasons"] if reasons else []))


def _people_table(people: pd.DataFrame) -> pa.Table:
    if "person" not in people.columns:
        raise DataError(f"people: no column 'person'; found {', '.join(map(str, people.columns))}")
    if not people["person"].map(lambda person: isinstance(person, str)).all():
        raise DataError("people, column 'person': not every value is a string")
    if people["person"].duplicated().any():
        raise DataError(f"people: {people['person'][people['person'].duplicated()].iloc[0]!r} stands twice")
    return pa.Table.from_pandas(people, preserve_index=False)


def _check(recording: Recording, where: str, known: set[str], written: Mapping[tuple[str, int], bytes]) -> None:
    """Refuse a recording that does not belong in the folder being written."""
    checked(recording, where)
    if recording.person not in known:
        raise DataError(f"{where}: the person is not in people")
    if (recording.person, recording.day) in written:
        raise DataError(f"{where}: stands twice, expected each person-day once")
    if not _VENDOR.fullmatch(recording.vendor):
        raise DataError(f"{where}: vendor {recording.vendor!r} is no folder name, expected letters, digits, . _ -")


@contextlib.contextmanager
def _growing(folder: Path) -> Iterator[Path]:
    """A hidden folder beside the target that becomes the target on success and nothing on failure."""
    folder = folder.resolve()  # a link stays, what it points to is written
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: exists and is not an empty folder; remove it or choose another name")
    if folder == Path.cwd() or folder.is_mount():
        raise DataError(f"{folder}: cannot be replaced, being where you stand or mounted; choose a folder below it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.parent / f".{folder.name}.partial"
    partial.mkdir(exist_ok=True)
    handle = os.open(partial, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"{folder}: another process is writing it") from error
        try:
            _sweep(partial)
            yield partial
            _to_disk(partial)
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    finally:
        os.close(handle)
    sync_folder(folder.parent)


def _sweep(folder: Path) -> None:
    """Remove what an interrupted run left in its hidden folder."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _to_disk(folder: Path) -> None:
    """Wait until every file and folder below, and the folder itself, has reached the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(folder)


class _Shelf:
    """One vendor's parts: collects recordings, writes a row group at a time, begins a new part when one is full."""

    def __init__(self, root: Path, vendor: str, kinds: tuple[str, ...], rows_per_part: int) -> None:
        self._root, self._vendor, self._kinds, self._rows_per_part = root, vendor, kinds, rows_per_part
        self._pending: list[Recording] = []
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._rows = 0
        self.parts: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None and self._pending:
            self._flush()
        self._close()

    def add(self, recording: Recording) -> None:
        self._pending.append(recording)
        if len(self._pending) == min(ROWS_PER_GROUP, self._rows_per_part - self._rows):
            self._flush()

    def _flush(self) -> None:
        if not self._writers:
            self._open()
        for kind, writer in self._writers.items():
            writer.write_table(to_table(kind, self._pending))
        self._rows += len(self._pending)
        self._pending.clear()
        if self._rows == self._rows_per_part:
            self._close()

    def _open(self) -> None:
        name = f"vendor={self._vendor}/part-{len(self.parts):05d}.parquet"
        for kind in self._kinds:
            path = self._root / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writers[kind] = pq.ParquetWriter(path, schema_of(kind), **_ENCODING)
        self.parts.append(name)

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers, self._rows = {}, 0


class _EventWriter:
    """``events.parquet``, a row group for every few thousand events."""

    _ROWS: Final = 8192

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, EVENT_SCHEMA, compression="zstd")
        self._rows: list[dict[str, object]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._flush()
        self._writer.close()

    def add(self, recording: Recording) -> None:
        for event in recording.events:
            key = {"person": recording.person, "day": recording.day, "kind": event.kind, "label": event.label}
            self._rows.append({**key, "start_minute": event.start_minute, "end_minute": event.end_minute})
        if len(self._rows) >= self._ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, EVENT_SCHEMA))
            self._rows.clear()
