"""Writing a dataset folder: whole or not at all, in flat memory, with a hash of what went in."""

import contextlib
import fcntl
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from simulator.content import Content
from simulator.dataset_layout import (
    EVENT_SCHEMA,
    EVENTS,
    MANIFEST,
    PEOPLE,
    Manifest,
    checked,
    digest,
    people_content,
    schema_of,
    to_table,
)
from simulator.files import sync_folder, write_json, write_whole
from simulator.recording import DataError, Event, Recording
from simulator.signals import NAMES

CARD: Final = "README.md"
ROWS_PER_PART: Final = 256
ROWS_PER_GROUP: Final = 32  # 12 MB of cells, truth and reasons in memory, for each vendor
_FLOATS: Final[dict[str, Any]] = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["person", "day", "date"],
    "write_statistics": ["person", "day", "date"],
    "column_encoding": {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in NAMES},
}
"""Measured values hardly repeat: a dictionary makes parts 1.5 times as large and writing 2 to 4 times as slow. Their
signs, exponents and first digits do: with the four bytes of all floats apart, zstd needs a tenth less room and two
thirds of the time. Levels above 1 gain nothing. Nobody looks for days by the least or largest of their minutes."""
_SMALL_INTEGERS: Final[dict[str, Any]] = {
    "compression": "zstd",
    "compression_level": 1,
    "use_dictionary": ["person", "day", "date"],
    "write_statistics": ["person", "day", "date"],
}
"""Reasons repeat for hours: zstd alone leaves 2 kB of a day, and a dictionary, which saves a half of one, would cost
as much as all other steps of writing them together."""
_ENCODING: Final = {"recordings": _FLOATS, "truth": _FLOATS, "reasons": _SMALL_INTEGERS}
EVENTS_PER_GROUP: Final = 8192
PEOPLE_PER_GROUP: Final = 8192
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
    table = people_rows(people)
    with growing(folder) as partial:
        with RecordingWriter(
            partial,
            partial / EVENTS,
            people["person"],
            truth=truth,
            reasons=reasons,
            part_name="part-{:05d}".format,
            rows_per_part=rows_per_part,
        ) as writer:
            for recording in recordings:
                writer.add(recording)
                if progress is not None:
                    progress(writer.person_days)
        if not writer.person_days:
            raise DataError(f"{folder}: no recordings to write, expected at least one")
        pq.write_table(table, partial / PEOPLE, compression="zstd")
        writer.content.join(people_content(table))
        manifest = write_manifest(
            partial,
            people=len(people),
            person_days=writer.person_days,
            content=writer.content,
            truth=writer.has_truth,
            reasons=reasons,
            parts=writer.parts,
            made_by=made_by or {},
        )
    return summary_of(folder, manifest)


class RecordingWriter:
    """Puts recordings into the parts and events of a growing folder, as they come; a context, closed to be complete.

    Attributes:
        person_days: How many recordings are in.
        has_truth: Whether their truth is kept: asked for, and carried by the first.
        content: Their content.
    """

    def __init__(
        self,
        root: Path,
        events: Path,
        people: Iterable[str],
        *,
        truth: bool,
        reasons: bool,
        part_name: Callable[[int], str],
        rows_per_part: int | None,
    ) -> None:
        """Open the file of events.

        Args:
            root: Where ``recordings/``, ``truth/`` and ``reasons/`` lie.
            events: The file of the events.
            people: Identifiers of all who may have a recording.
            truth: Keep the truth if recordings carry one.
            reasons: Keep the reason of every gap.
            part_name: The name of a vendor's part by its number, without extension.
            rows_per_part: Person-days in one part; None: all.
        """
        self.person_days = 0
        self.has_truth = False
        self.content = Content()
        self._root, self._truth, self._reasons = root, truth, reasons
        self._part_name, self._rows_per_part = part_name, rows_per_part
        self._days: dict[str, set[int]] = {person: set() for person in people}
        self._shelves: dict[str, _Shelf] = {}
        self._files = contextlib.ExitStack()
        self._events = self._files.enter_context(_EventWriter(events))

    @property
    def parts(self) -> list[str]:
        """Paths of the part files below ``recordings/``."""
        return [part for shelf in self._shelves.values() for part in shelf.parts]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._files.__exit__(kind, error, at)

    def add(self, recording: Recording) -> None:
        """Put a recording in.

        Raises:
            DataError: If it breaks the contract, is out of range, stands twice, belongs to nobody, or carries truth
                unlike those before it.
        """
        where = f"recording of person {recording.person!r}, day {recording.day}"
        self._check(recording, where)
        if not self.person_days:
            self.has_truth = self._truth and recording.truth is not None
        if self._truth and (recording.truth is not None) != self.has_truth:
            carried = "without" if recording.truth is None else "with"
            raise DataError(f"{where}: {carried} truth, unlike those before it")
        self.content.add(digest(recording, truth=self.has_truth, reasons=self._reasons))
        if recording.vendor not in self._shelves:
            kinds = ("recordings", *(["truth"] if self.has_truth else []), *(["reasons"] if self._reasons else []))
            shelf = _Shelf(self._root, recording.vendor, kinds, self._part_name, self._rows_per_part)
            self._shelves[recording.vendor] = self._files.enter_context(shelf)
        self._shelves[recording.vendor].add(recording)
        self._events.add(recording)
        self._days[recording.person].add(recording.day)
        self.person_days += 1

    def _check(self, recording: Recording, where: str) -> None:
        """Refuse a recording that does not belong in the folder being written."""
        checked(recording, where)
        if recording.person not in self._days:
            raise DataError(f"{where}: the person is not in people")
        if recording.day in self._days[recording.person]:
            raise DataError(f"{where}: stands twice, expected each person-day once")
        if not _VENDOR.fullmatch(recording.vendor):
            raise DataError(f"{where}: vendor {recording.vendor!r} is no folder name, expected letters, digits, . _ -")


def people_rows(people: pd.DataFrame) -> pa.Table:
    """The rows of ``people.parquet``.

    Raises:
        DataError: If there is no column ``person`` of strings, each once.
    """
    if "person" not in people.columns:
        raise DataError(f"people: no column 'person'; found {', '.join(map(str, people.columns))}")
    if not people["person"].map(lambda person: isinstance(person, str)).all():
        raise DataError("people, column 'person': not every value is a string")
    if people["person"].duplicated().any():
        raise DataError(f"people: {people['person'][people['person'].duplicated()].iloc[0]!r} stands twice")
    return pa.Table.from_pandas(people, preserve_index=False)


def write_manifest(
    folder: Path,
    *,
    people: int,
    person_days: int,
    content: Content,
    truth: bool,
    reasons: bool,
    parts: Iterable[str],
    made_by: Mapping[str, object],
) -> Manifest:
    """Say in ``dataset.json`` what the folder holds, as described in ``Manifest``; the last file to be written.

    Where the people's population says where it comes from, a card beside it says so to people.
    """
    sources = sorted(_sources(made_by))
    if sources:
        card = f"# Simulated people\n\n{people:,} people, {person_days:,} person-days, all simulated.\n"
        write_whole(folder / CARD, "\n".join([card, *(f"{source}\n" for source in sources)]).encode())
    manifest = Manifest(
        people=people,
        person_days=person_days,
        sha256=content.sha256,
        content=content.text,
        truth=truth,
        reasons=reasons,
        parts=tuple(sorted(parts)),
        made_by=dict(made_by),
    )
    write_json(folder / MANIFEST, asdict(manifest))
    return manifest


def _sources(made_by: Mapping[str, object]) -> set[str]:
    """What the populations of a folder, and of those that were merged into it, say of where they come from."""
    population, merged = made_by.get("population"), made_by.get("merged")
    own = {str(population["source"])} if isinstance(population, Mapping) and population.get("source") else set()
    parts = merged if isinstance(merged, list) else []
    return own.union(*(_sources(part) for part in parts if isinstance(part, Mapping)))


def summary_of(folder: Path, manifest: Manifest) -> Summary:
    """What was written to a finished folder."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return Summary(people=manifest.people, person_days=manifest.person_days, bytes=size, sha256=manifest.sha256)


@contextlib.contextmanager
def growing(folder: Path, *, keep: bool = False) -> Iterator[Path]:
    """A hidden folder beside the target that becomes the target on success.

    Args:
        folder: The target; must not exist, or be empty.
        keep: Leave the hidden folder as it is found, and on failure as it has become, to go on with it; otherwise it
            begins empty and becomes nothing on failure. Data that cannot be written always become nothing.

    Raises:
        DataError: If the target is in use, cannot be replaced, or another process is writing it.
    """
    folder = free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.parent / f".{folder.name}.partial"
    if partial.is_symlink():
        raise DataError(f"{partial}: is a link, and would be emptied; remove it or choose another name than {folder}")
    partial.mkdir(exist_ok=True)
    handle = os.open(partial, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"{folder}: another process is writing it") from error
        try:
            if not keep:
                sweep(partial)
            yield partial
            _to_disk(partial)
            partial.rename(folder)
        except BaseException as error:
            if not keep or isinstance(error, DataError):
                shutil.rmtree(partial, ignore_errors=True)
            raise
    finally:
        os.close(handle)
    sync_folder(folder.parent)


def free(folder: Path) -> Path:
    """Where a dataset folder of this name comes to lie, which a link may say.

    Raises:
        DataError: If something is there, or could not be replaced.
    """
    try:
        folder = folder.resolve()  # a link stays, what it points to is written
    except RuntimeError as error:
        raise DataError(f"{folder}: a link that leads to itself; choose another name") from error
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: exists and is not an empty folder; remove it or choose another name")
    if folder == Path.cwd() or folder.is_mount():
        raise DataError(f"{folder}: cannot be replaced, being where you stand or mounted; choose a folder below it")
    return folder


def sweep(folder: Path) -> None:
    """Remove everything in a folder."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def sync_files(paths: Iterable[Path]) -> None:
    """Wait until these files, and their names in their folders, have reached the disk."""
    folders = set()
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
        folders.add(path.parent)
    for folder in folders:
        sync_folder(folder)


def _to_disk(folder: Path) -> None:
    """Wait until every file and folder below, and the folder itself, has reached the disk."""
    paths = list(folder.rglob("*"))
    sync_files(path for path in paths if path.is_file())
    for path in [*(path for path in paths if path.is_dir()), folder]:
        sync_folder(path)


def join_tables(sources: Sequence[Path], target: Path, schema: pa.Schema, rows_per_group: int) -> int:
    """Write the rows of Parquet files one after the other into one, in flat memory.

    Row groups are of one size, so the bytes depend on the rows alone and not on how the sources were cut.

    Args:
        sources: Files, in order.
        target: The file to write.
        schema: Of the target; each source has its columns.
        rows_per_group: Rows in each row group but the last.

    Returns:
        Number of rows.
    """
    rows, waiting = 0, schema.empty_table()
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for source in sources:
            with pq.ParquetFile(source) as file:
                for batch in file.iter_batches(rows_per_group):
                    found = pa.Table.from_batches([batch]).select(schema.names).cast(schema)
                    waiting = pa.concat_tables([waiting, found])
                    rows += len(found)
                    while len(waiting) >= rows_per_group:
                        writer.write_table(waiting.slice(0, rows_per_group).combine_chunks(), rows_per_group)
                        waiting = waiting.slice(rows_per_group)
        if len(waiting):
            writer.write_table(waiting.combine_chunks(), rows_per_group)
    return rows


class _Shelf:
    """One vendor's parts: collects recordings, writes a row group at a time, begins a new part when one is full.

    A part grows under a hidden name, so that what has its name is complete.
    """

    def __init__(
        self,
        root: Path,
        vendor: str,
        kinds: tuple[str, ...],
        part_name: Callable[[int], str],
        rows_per_part: int | None,
    ) -> None:
        self._root, self._vendor, self._kinds = root, vendor, kinds
        self._part_name, self._rows_per_part = part_name, rows_per_part
        self._pending: list[Recording] = []
        self._writers: dict[Path, tuple[str, pq.ParquetWriter]] = {}
        self._rows = 0
        self.parts: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None and self._pending:
            self._flush()
        self._close(complete=kind is None)

    def add(self, recording: Recording) -> None:
        self._pending.append(recording)
        room = ROWS_PER_GROUP if self._rows_per_part is None else self._rows_per_part - self._rows
        if len(self._pending) == min(ROWS_PER_GROUP, room):
            self._flush()

    def _flush(self) -> None:
        if not self._writers:
            self._open()
        for kind, writer in self._writers.values():
            writer.write_table(to_table(kind, self._pending))
        self._rows += len(self._pending)
        self._pending.clear()
        if self._rows == self._rows_per_part:
            self._close(complete=True)

    def _open(self) -> None:
        name = f"vendor={self._vendor}/{self._part_name(len(self.parts))}.parquet"
        for kind in self._kinds:
            path = self._root / kind / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writers[path] = kind, pq.ParquetWriter(_hidden(path), schema_of(kind), **_ENCODING[kind])
        self.parts.append(name)

    def _close(self, *, complete: bool) -> None:
        for path, (_, writer) in self._writers.items():
            writer.close()
            if complete:
                _hidden(path).replace(path)
        self._writers, self._rows = {}, 0


def _hidden(path: Path) -> Path:
    """Where a file grows: nobody else's name, also not another machine's that does the same work again."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}")


class _EventWriter:
    """``events.parquet``, a row group for every few thousand events."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, EVENT_SCHEMA, compression="zstd")
        self._owners: list[tuple[str, int, int]] = []  # person, day, number of events
        self._events: list[Event] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._flush()
        self._writer.close()

    def add(self, recording: Recording) -> None:
        self._owners.append((recording.person, recording.day, len(recording.events)))
        self._events += recording.events
        if len(self._events) >= EVENTS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._events:
            *keys, counts = zip(*self._owners, strict=True)
            owner = np.repeat(np.arange(len(counts)), counts)
            kinds = iter(EVENT_SCHEMA.types)
            columns = [pa.array(cells, next(kinds)).take(owner) for cells in keys]
            columns += [pa.array(cells, next(kinds)) for cells in zip(*self._events, strict=True)]
            self._writer.write_table(pa.Table.from_arrays(columns, schema=EVENT_SCHEMA))
            self._owners.clear()
            self._events.clear()
