"""The dataset folder: recordings in plain Parquet, written whole or not at all, read back with every fault named.

::

    people.parquet                             one row a person; the column ``person`` is the key, ``original_mark``
                                               says whom a folder with changed cells holds
    recordings/vendor=NAME/part-00000.parquet  one row a person-day: person, day, date and, for each of the 26
                                               signals, a fixed-size list of 1440 float32; null = not observed
    events.parquet                             person, day, kind, label, start_minute, end_minute
    truth/  reasons/                           the same parts and rows as ``recordings/``; optional
    dataset.json                               format, counts, files, sha256 of the content, how it was made

In: an iterable of ``Recording`` and a table of people. Out: a folder that DuckDB, ``pyarrow.dataset`` (hive
partitions), pandas and ``datasets.load_dataset`` read as it lies, and a ``Dataset`` over it. Memory stays flat both
ways: person-days are written and read in groups of 32, events in groups of 8,192.
"""

import hashlib
import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import TypeAdapter

from simulator.dataset_layout import (
    EVENTS,
    FORMAT,
    MANIFEST,
    ORIGINAL_MARK,
    PEOPLE,
    VERSION,
    EventFile,
    Manifest,
    checked,
    digest,
    people_content,
    reading,
    schema_of,
    to_arrays,
)
from simulator.dataset_writing import Summary, write_dataset
from simulator.files import parse_json
from simulator.randomness import stream_key
from simulator.recording import DataError, Reason, Recording
from simulator.signals import MINUTES_PER_DAY, N_SIGNALS, NAMES, SIGNALS

__all__ = ["Dataset", "Summary", "open_dataset", "write_dataset"]

_OBJECT: Final = TypeAdapter(dict[str, Any])
_MANIFEST: Final = TypeAdapter(Manifest)
_KEY_BITS: Final = 128  # of a stream key
_KEYS: Final = ("person", "day", "date")


@dataclass(frozen=True, slots=True)
class _Part:
    """One part file: its path below ``recordings/``, its vendor, and the rows of each of its row groups."""

    name: str
    vendor: str
    group_rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Source:
    """What every view of one opened folder shares."""

    folder: Path
    manifest: Manifest
    parts: tuple[_Part, ...]
    events: EventFile

    @property
    def has_truth(self) -> bool:
        return self.manifest.truth

    @property
    def has_reasons(self) -> bool:
        return self.manifest.reasons


class Dataset:
    """The recordings of a dataset folder, or of some of its people; read from disk when asked for.

    Recordings keep one order everywhere (``ds[i]``, iteration, ``index``, ``arrays``): vendor, part, row. Iterating
    reads each row group once; ``ds[i]`` reads the whole row group around it, so use iteration for many.

    Attributes:
        folder: Where it lies.
        people: One row a person; column ``person`` is the key, the others are what the maker knew.
        index: One row a person-day: person, vendor, day, date.
    """

    def __init__(self, source: _Source, people: pd.DataFrame, index: pd.DataFrame, places: NDArray[np.int64]) -> None:
        self._source = source
        self._places = places  # [recordings, 3]: part, row group, row in it
        self.folder = source.folder
        self.people = people
        self.index = index

    @property
    def vendors(self) -> tuple[str, ...]:
        """Names of the vendors with a recording here, sorted."""
        return tuple(sorted(self.index["vendor"].unique()))

    @property
    def has_truth(self) -> bool:
        """Whether recordings carry the truth under the gaps."""
        return self._source.has_truth

    @property
    def manifest(self) -> Manifest:
        """What ``dataset.json`` says of the whole folder."""
        return self._source.manifest

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, i: int) -> Recording:
        if not -len(self) <= i < len(self):
            raise IndexError(f"recording {i} of a dataset of {len(self)}")
        part, group, row = self._places[i]
        return next(self._recordings(int(part), int(group), [int(row)]))

    def __iter__(self) -> Iterator[Recording]:
        for part, group, rows in self._groups():
            yield from self._recordings(part, group, rows)

    def select(self, people: Collection[str]) -> "Dataset":
        """The same dataset with only these people in it; nothing is copied on disk.

        Raises:
            DataError: If one of them is not in the dataset.
        """
        wanted = set(people)
        unknown = sorted(wanted - set(self.people["person"]))
        if unknown:
            raise DataError(f"{self.folder}: no person {unknown[0]!r} ({len(unknown)} of {len(wanted)} are unknown)")
        rows = self.index["person"].isin(wanted).to_numpy()
        table = self.people[self.people["person"].isin(wanted)].reset_index(drop=True)
        return Dataset(self._source, table, self.index[rows].reset_index(drop=True), self._places[rows])

    def split(self, seed: int, test_share: float, validation_share: float = 0.0) -> dict[str, "Dataset"]:
        """Disjoint by person, together everybody: "train", "test" and, if it has a share, "validation".

        A person's side depends on ``(seed, person)`` alone, so that another person moves nobody from one side to the
        other. The price is that shares hold on average only; of a handful of people a side may get none.

        Raises:
            ValueError: If a share is negative or they leave nothing to train on.
        """
        if min(test_share, validation_share) < 0 or test_share + validation_share >= 1:
            raise ValueError(f"{test_share=} and {validation_share=}: expected both >= 0 and their sum below 1")
        place = [stream_key(seed, "split", person) / 2.0**_KEY_BITS for person in self.people["person"]]
        side = np.digitize(np.asarray(place, dtype=np.float64), [test_share, test_share + validation_share])
        sides = {"train": 2, "test": 0} | ({"validation": 1} if validation_share > 0 else {})
        return {name: self.select(list(self.people["person"][side == number])) for name, number in sides.items()}

    def marks(self) -> dict[str, str]:
        """A short hash of each person's first recording that holds anything, by person, as measured.

        The same person of the same cohort has the same mark in any folder and under any name; two people share one by
        chance only (64 bits). Where cells were changed afterwards, as by ``everywear inject``, the mark is that of the
        original, which ``people`` then carries. Whoever has no observed cell at all has none.
        """
        marks: dict[str, str] = {}
        if ORIGINAL_MARK in self.people:
            told = self.people[["person", ORIGINAL_MARK]].dropna()
            marks.update(zip(told["person"], told[ORIGINAL_MARK], strict=True))
        order = self.index.groupby("person", sort=False)["day"].rank(method="first").astype(int) - 1
        for number in range(int(order.max()) + 1 if len(order) else 0):
            rows = np.sort(order.index[(order == number) & ~self.index["person"].isin(marks)].to_numpy())
            if not len(rows):
                break
            days = Dataset(self._source, self.people, self.index.iloc[rows].reset_index(drop=True), self._places[rows])
            for recording in days:
                if recording.observed.any():
                    seen = np.where(recording.observed, recording.values, np.float32(np.nan))
                    marks[recording.person] = hashlib.blake2b(seen.tobytes(), digest_size=8).hexdigest()
        return marks

    def arrays(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Everything in memory, 187 kB a person-day.

        Returns:
            Values float32 [recordings, 26, 1440], 0 where not observed, and observed bool of the same shape.
        """
        values = np.zeros((len(self), N_SIGNALS, MINUTES_PER_DAY), dtype=np.float32)
        observed = np.zeros(values.shape, dtype=np.bool_)
        for i, recording in enumerate(self):
            values[i], observed[i] = recording.values, recording.observed
        return values, observed

    def minutes(self, signals: Sequence[str] | None = None) -> pd.DataFrame:
        """The long table: one row a minute with person, vendor, local timestamp and a column a signal.

        Args:
            signals: Names of the signals wanted; None means all 26.

        Returns:
            1440 rows a person-day, float32 columns with NaN where not observed.

        Raises:
            DataError: If a name is not one of the 26 signals.
        """
        names = list(NAMES if signals is None else signals)
        for name in names:
            if name not in NAMES:
                raise DataError(f"no signal {name!r}; expected some of {', '.join(NAMES)}")
        blocks = [np.zeros((0, len(names), MINUTES_PER_DAY), dtype=np.float32)]
        for part, group, rows in self._groups():
            where = self._where("recordings", part)
            cells, present = to_arrays(self._table("recordings", part, group, names), names, where)
            blocks.append(np.where(present, cells, np.float32(np.nan))[rows])
        cells = np.concatenate(blocks).transpose(0, 2, 1).reshape(-1, len(names))
        midnight = self.index["date"].to_numpy().astype("datetime64[s]")
        clock = np.arange(MINUTES_PER_DAY).astype("timedelta64[m]")
        table = pd.DataFrame(cells, columns=names)
        table.insert(0, "person", np.repeat(self.index["person"].to_numpy(), MINUTES_PER_DAY))
        table.insert(1, "vendor", np.repeat(self.index["vendor"].to_numpy(), MINUTES_PER_DAY))
        table.insert(2, "timestamp", (midnight[:, None] + clock).reshape(-1))
        return table

    def verify(self) -> None:
        """Read everything and compare it with the hash that ``dataset.json`` promises.

        Raises:
            DataError: If a cell cannot be read or is out of range, or if the content is not what was written.
            ValueError: If this is a selection, of which nothing was promised.
        """
        if len(self) != self.manifest.person_days or len(self.people) != self.manifest.people:
            raise ValueError(f"{len(self)} of {self.manifest.person_days} recordings: only a whole dataset has a hash")
        promised = self.manifest.sha256
        truth, reasons = self._source.has_truth, self._source.has_reasons
        with reading(self.folder / PEOPLE):
            content = people_content(pq.read_table(self.folder / PEOPLE))
        for recording in self:
            content.add(digest(recording, truth=truth, reasons=reasons))
        if content.sha256 != promised:
            raise DataError(f"{self.folder}: content has sha256 {content.sha256}, expected {promised} ({MANIFEST})")

    def _groups(self) -> Iterator[tuple[int, int, list[int]]]:
        """Row groups with a recording in this view, in order: part, group, rows."""
        for (part, group), places in itertools.groupby(self._places.tolist(), key=lambda place: tuple(place[:2])):
            yield part, group, [row for _, _, row in places]

    def _where(self, kind: str, part: int) -> str:
        return str(self.folder / kind / self._source.parts[part].name)

    def _table(self, kind: str, part: int, group: int, names: Sequence[str]) -> pa.Table:
        path = Path(self._where(kind, part))
        with reading(path), pq.ParquetFile(path) as file:
            return file.read_row_group(group, columns=[*_KEYS, *names])

    def _recordings(self, part: int, group: int, rows: Sequence[int]) -> Iterator[Recording]:
        """Recordings of a row group, checked on the way."""
        table = self._table("recordings", part, group, NAMES)
        values, observed = to_arrays(table, NAMES, self._where("recordings", part))
        reason = np.where(observed, np.uint8(Reason.OBSERVED), np.uint8(Reason.NOT_RECORDED))
        if self._source.has_reasons:
            reason, _ = to_arrays(self._table("reasons", part, group, NAMES), NAMES, self._where("reasons", part))
        truth = None
        if self._source.has_truth:
            truth, _ = to_arrays(self._table("truth", part, group, NAMES), NAMES, self._where("truth", part))
        people, days, dates = (table.column(key).to_pylist() for key in _KEYS)
        for row in rows:
            recording = Recording(
                person=people[row],
                vendor=self._source.parts[part].vendor,
                day=days[row],
                date=dates[row],
                values=values[row],
                observed=observed[row],
                reason=reason[row],
                truth=None if truth is None else truth[row],
                events=self._source.events.of(people[row], days[row]),
            )
            place = f"{self._where('recordings', part)}: person {people[row]!r}, day {days[row]}"
            yield checked(recording, place)


def open_dataset(folder: Path) -> Dataset:
    """Open a dataset folder, refusing one that is damaged or not ours.

    Looked at here: every file's presence, readability, columns and types, counts, keys, and the ranges that Parquet
    keeps in its footers. Cells are checked again whenever they are read; ``Dataset.verify`` reads them all.

    Args:
        folder: As ``write_dataset`` left it.

    Raises:
        DataError: Naming the file, the column and what was expected.
    """
    folder = Path(folder)
    manifest = open_manifest(folder)
    people = _people(folder / PEOPLE)
    names = _part_names(folder, manifest)
    kinds = ["recordings"] + [kind for kind, kept in (("truth", manifest.truth), ("reasons", manifest.reasons)) if kept]
    parts, tables = [], []
    for name in names:
        rows = {kind: _check_part(folder / kind / name, kind) for kind in kinds}
        for kind in kinds[1:]:
            if rows[kind] != rows["recordings"]:
                raise DataError(f"{folder / kind / name}: rows {rows[kind]}, expected {rows['recordings']} as recorded")
        vendor = Path(name).parent.name.removeprefix("vendor=")
        parts.append(_Part(name, vendor, rows["recordings"]))
        tables.append(_keys(folder, kinds, parts[-1]))
    index, places = _index(parts, tables)
    _check_keys(folder, people, index, manifest)
    source = _Source(folder, manifest, tuple(parts), EventFile(folder / EVENTS))
    return Dataset(source, people, index, places)


def open_manifest(folder: Path) -> Manifest:
    """What the folder says that it holds, if it is one of ours.

    Raises:
        DataError: If it is not, or was not written to its end.
    """
    path = folder / MANIFEST
    if folder.is_file():
        raise DataError(f"{folder}: is a file, expected a dataset folder; `everywear import` makes one of recordings")
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder, expected a dataset folder")
    if not path.is_file():
        raise DataError(f"{path}: missing; {folder} is not a dataset folder of ours or was not written to its end")
    content = path.read_bytes()
    found = parse_json(content, _OBJECT, path)
    if found.get("format") != FORMAT:
        raise DataError(f"{path}: format is {found.get('format')!r:.80}, expected {FORMAT!r}")
    if found.get("version") != VERSION:
        raise DataError(f"{path}: format version {found.get('version')!r:.80}, expected {VERSION}")
    return parse_json(content, _MANIFEST, path)


def _people(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"{path}: missing, expected one row a person")
    with reading(path):
        table = pq.read_table(path)
    if "person" not in table.column_names:
        raise DataError(f"{path}: no column 'person'; found {', '.join(table.column_names)}")
    kind = table.schema.field("person").type
    if kind not in (pa.string(), pa.large_string()):
        raise DataError(f"{path}, column 'person': type {kind}, expected string")
    if ORIGINAL_MARK in table.column_names:
        kind = table.schema.field(ORIGINAL_MARK).type
        if kind not in (pa.string(), pa.large_string(), pa.null()):
            raise DataError(f"{path}, column {ORIGINAL_MARK!r}: type {kind}, expected string")
    people: pd.DataFrame = table.to_pandas()
    if people["person"].isna().any():
        raise DataError(f"{path}, column 'person': a null, expected an identifier in every row")
    twice = people["person"][people["person"].duplicated()]
    if len(twice):
        raise DataError(f"{path}, column 'person': {twice.iloc[0]!r} stands twice, expected each person once")
    return people


def _part_names(folder: Path, manifest: Manifest) -> list[str]:
    """Names of the parts below ``recordings/``, the same as promised and as found."""
    root = folder / "recordings"
    found = sorted(path.relative_to(root).as_posix() for path in root.glob("**/*.parquet"))
    promised = sorted(manifest.parts)
    missing, foreign = sorted(set(promised) - set(found)), sorted(set(found) - set(promised))
    if missing:
        raise DataError(f"{root / missing[0]}: missing, expected by {MANIFEST}")
    if foreign:
        raise DataError(f"{root / foreign[0]}: not listed in {MANIFEST}, expected only the parts that it names")
    return promised


def _check_part(path: Path, kind: str) -> tuple[int, ...]:
    """Rows of each row group of a part whose columns, types and ranges are as they should be."""
    if not path.is_file():
        raise DataError(f"{path}: missing, expected beside the part of recordings with the same name")
    with reading(path), pq.ParquetFile(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
    expected = schema_of(kind)
    for column in expected:
        if column.name not in schema.names:
            raise DataError(f"{path}: no column {column.name!r}; found {', '.join(schema.names)}")
        if not schema.field(column.name).type.equals(column.type):
            found = schema.field(column.name).type
            raise DataError(f"{path}, column {column.name!r}: type {found}, expected {column.type}")
    if kind != "reasons":
        _check_footer(path, metadata)
    return tuple(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))


def _check_footer(path: Path, metadata: Any) -> None:
    """Refuse a part whose footer tells of a value outside its signal's range."""
    signals = {signal.name: signal for signal in SIGNALS}
    for group in range(metadata.num_row_groups):
        for i in range(metadata.num_columns):
            column = metadata.row_group(group).column(i)
            signal = signals.get(column.path_in_schema.split(".")[0])
            statistics = column.statistics
            if signal is None or statistics is None or not statistics.has_min_max:
                continue
            for value in (statistics.min, statistics.max):
                if not signal.low <= value <= signal.high:
                    raise DataError(
                        f"{path}, column {signal.name!r}: value {value} is outside the physical range "
                        f"[{signal.low:g}, {signal.high:g}] {signal.unit}"
                    )


def _keys(folder: Path, kinds: Sequence[str], part: _Part) -> pd.DataFrame:
    """Person, day and date of a part's rows, the same in every kind of it."""
    tables = []
    for kind in kinds:
        path = folder / kind / part.name
        with reading(path):
            tables.append(pq.read_table(path, columns=list(_KEYS), partitioning=None))
        if not tables[-1].equals(tables[0]):
            raise DataError(f"{path}: other persons or days than in recordings/{part.name}, expected the same rows")
        for key in _KEYS:
            if tables[-1].column(key).null_count:
                raise DataError(f"{path}, column {key!r}: a null, expected a value in every row")
    keys: pd.DataFrame = tables[0].to_pandas()
    return keys


def _index(parts: Sequence[_Part], tables: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    places = [
        (number, group, row)
        for number, part in enumerate(parts)
        for group, rows in enumerate(part.group_rows)
        for row in range(rows)
    ]
    vendors = [part.vendor for part, table in zip(parts, tables, strict=True) for _ in range(len(table))]
    index = pd.concat(tables, ignore_index=True)
    index.insert(1, "vendor", vendors)
    index["date"] = pd.to_datetime(index["date"]).astype("datetime64[s]")
    return index, np.array(places, dtype=np.int64).reshape(-1, 3)


def _check_keys(folder: Path, people: pd.DataFrame, index: pd.DataFrame, manifest: Manifest) -> None:
    root = folder / "recordings"
    strangers = index["person"][~index["person"].isin(people["person"])]
    if len(strangers):
        raise DataError(f"{root}, column 'person': {strangers.iloc[0]!r} is not in {folder / PEOPLE}")
    twice = index[index.duplicated(["person", "day"])]
    if len(twice):
        person, day = twice.iloc[0][["person", "day"]]
        raise DataError(f"{root}: person {person!r}, day {day} stands twice, expected each person-day once")
    counts = (
        ("people", len(people), manifest.people, PEOPLE),
        ("person_days", len(index), manifest.person_days, "recordings"),
    )
    for name, found, promised, where in counts:
        if found != promised:
            raise DataError(f"{folder / where}: {found} {name}, expected {promised} as {MANIFEST} says")
