"""Real recordings in: minute tables of other people's devices become the same recordings as simulated ones.

In: Parquet or CSV, one row a person and minute, with a person, a local timestamp and any of the 26 signals. Out: a
dataset folder in which whatever the table does not hold is unobserved, with the reason that can be known: the sensor
is absent (no column of it), the value is out of its physical range, or nobody wrote down why.

A *format* says how a kind of export names its columns and what its numbers mean; ``FORMATS`` holds those known.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from simulator.dataset import write_dataset
from simulator.dataset_writing import free
from simulator.recording import SHAPE, DataError, Reason, Recording
from simulator.signals import INDEX, MINUTES_PER_DAY, NAMES, SIGNALS

HEART_RATE_GAP_MINUTES: Final = 20
"""Minutes without heart rate and without a step after which a band with optical sensor counts as off the wrist. In the
five Fitabase people with heart rate, 5 min would call 38 % of the time unworn, 60 min 36 %: little hangs on it."""

STEPLESS_MINUTES: Final = 420
"""Minutes without a step after which a band that delivers steps only counts as off the wrist. Non-wear rules for hip
accelerometers take 60 min (Troiano et al. 2008, doi:10.1249/mss.0b013e31815a51b3) or 90 min (Choi et al. 2011,
doi:10.1249/MSS.0b013e3181ed61a3), by day; a band worn by night is stepless for hours. In the five Fitabase people with
heart rate, runs of 3 to 7 h were worn for 85 % of their time (sleep), longer ones for 8 %, so the line is 7 h."""

E4_BIN_MS: Final = 15.625  # one sample of the E4's 64 Hz PPG clock, the bin of its entropies
ENTROPY_BIN_MS: Final = 8.0  # the bin of ``rr_entropy`` and ``rr_diff_entropy`` (simulator.signals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How one kind of export is laid out.

    Attributes:
        about: What it is and what is left out of it.
        vendor: Name of the device in the dataset folder.
        columns: Their column -> "person", "timestamp" or one of the 26 signals. All must be there.
        any_signal: Whether further columns named like a signal are taken.
        one_person_a_file: Whether a file without a column of persons is one person's, called like the file.
        to_minute: Whether timestamps off the minute grid are moved to the start of their minute; the last row of a
            minute then counts. Otherwise they are refused.
        extra: Further columns that ``clean`` needs.
        clean: Sets what was not really measured to NaN; sees ``columns`` renamed, and ``extra``.
    """

    about: str
    vendor: str
    columns: Mapping[str, str]
    any_signal: bool = False
    one_person_a_file: bool = False
    to_minute: bool = False
    extra: tuple[str, ...] = ()
    clean: Callable[[pd.DataFrame], pd.DataFrame] | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a table.

    Attributes:
        people: People imported.
        person_days: Their days with at least one row.
        observed: Cells observed, by signal that has any.
        skipped: People left out, each with "person" and "reason".
        ignored_columns: Columns that were not taken.
        dropped_rows: Rows that repeat a row or were superseded within their minute.
        out_of_range: Values left out because their signal cannot have them, by signal that has any.
    """

    people: int
    person_days: int
    observed: dict[str, int] = field(default_factory=dict)
    skipped: list[dict[str, str]] = field(default_factory=list)
    ignored_columns: list[str] = field(default_factory=list)
    dropped_rows: int = 0
    out_of_range: dict[str, int] = field(default_factory=dict)


def _clean_fitabase(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out filled heart rate, and steps of minutes in which the band was most likely off the wrist."""
    heart_rate = table["heart_rate"].where(table["hr_source"] != "filled")
    table = table.assign(heart_rate=heart_rate).sort_values(["person", "timestamp"], kind="stable")
    table["steps"] = table["steps"].mask(_unworn(table))
    return table.drop(columns=["hr_source"])


def _unworn(table: pd.DataFrame) -> "pd.Series[bool]":
    """Whether a row of a sorted table lies in a run too long without a sign of being worn.

    A sign is a step or, for people who have any, a heart rate. Rows further apart than a minute end a run.
    """
    has_heart_rate = table.groupby("person")["heart_rate"].transform("count") > 0
    lifeless = ~(table["steps"] > 0) & table["heart_rate"].isna()
    apart = table["timestamp"].diff() > pd.Timedelta(minutes=1)
    begins = (lifeless != lifeless.shift()) | (table["person"] != table["person"].shift()) | apart
    run_minutes = lifeless.groupby(begins.cumsum()).transform("size")
    limit = np.where(has_heart_rate, HEART_RATE_GAP_MINUTES, STEPLESS_MINUTES)
    unworn: pd.Series[bool] = lifeless & (run_minutes >= limit)
    return unworn


def _clean_e4(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out minutes off the wrist, and express entropies in our bins (a finer bin adds the log of the ratio)."""
    table = table[table["worn_guess"] == 1].copy()
    for name in ("rr_entropy", "rr_diff_entropy"):
        table[name] = table[name] + np.log(E4_BIN_MS / ENTROPY_BIN_MS)
    return table.drop(columns=["worn_guess"])


_KEY_COLUMNS: Final = {"person_id": "person", "timestamp": "timestamp"}
_RR_COLUMNS: Final = {name: name for name in ("rr_p80", "rr_p20", "rr_median", "rr_mean", "pnn30", "rmssd", "sdnn")} | {
    "rr_pct_valid": "rr_valid"
}

FORMATS: Final[Mapping[str, Format]] = {
    "minutes": Format(
        about="Columns person, timestamp and any of the 26 signals by their names; without persons, a person a file.",
        vendor="imported",
        columns={"person": "person", "timestamp": "timestamp"},
        any_signal=True,
        one_person_a_file=True,
    ),
    "fitabase": Format(
        about="Crowd-sourced Fitabase export (Furberg et al. 2016): heart rate and steps. Filled heart rate is left "
        "out, and so are the zero steps of a band that is off (they are 0 in the export).",
        vendor="fitabase",
        columns=_KEY_COLUMNS | {"heart_rate": "heart_rate", "steps": "steps"},
        extra=("hr_source",),
        clean=_clean_fitabase,
    ),
    "e4": Format(
        about="Empatica E4, Stress-Predict (Iqbal et al. 2022). Accelerometer features are left out: their levels "
        "depend on filter corners that LSM-1 does not publish. Entropies are moved from 15.6 ms to 8 ms bins.",
        vendor="empatica-e4",
        columns=_KEY_COLUMNS
        | _RR_COLUMNS
        | {name: name for name in ("heart_rate", "rr_entropy", "rr_diff_entropy", "scl", "scl_slope")}
        | {"temp_mean": "skin_temperature"},
        extra=("worn_guess",),
        clean=_clean_e4,
    ),
    "welltory": Format(
        about="Spot measurements of about 100 RR intervals (Welltory 2020), each put into the minute it began in.",
        vendor="welltory",
        columns=_KEY_COLUMNS | _RR_COLUMNS,
        to_minute=True,
    ),
}


def import_minutes(
    source: Path, mapping: Mapping[str, str] | None = None, format_name: str = "minutes"
) -> tuple[Iterator[Recording], pd.DataFrame, Report]:
    """Turn a minute table into recordings.

    Args:
        source: A Parquet (``.parquet``) or CSV file, or a folder of them. Timestamps are local clock time; of those
            with a time zone, the clock time counts.
        mapping: Further columns, theirs -> ours ("person", "timestamp" or a signal), before those of the format.
        format_name: Key in ``FORMATS``.

    Returns:
        The recordings, one a person and date with any row; the people's table; and the report.

    Raises:
        DataError: If a file, a column or a row is not what it should be (named, with what was found), or nobody is
            left.
    """
    if format_name not in FORMATS:
        raise DataError(f"format {format_name!r} is unknown, expected one of {', '.join(FORMATS)}")
    layout = FORMATS[format_name]
    loaded = [_load(path, layout, dict(mapping or {})) for path in _files(Path(source))]
    table = pd.concat([table for table, _ in loaded], ignore_index=True)
    ignored = sorted({column for _, columns in loaded for column in columns})
    rows = len(table)
    table = _each_minute_once(table, Path(source), last=layout.to_minute)
    dropped = rows - len(table)
    present = [name for name in NAMES if name in table.columns]
    wrong = {name: _out_of_range(table, name) for name in present}
    good = {name: table[name].notna() & ~wrong[name] for name in present}
    usable = np.logical_or.reduce([good[name].to_numpy() for name in present])
    used_people = set(table["person"][usable])
    skipped = sorted(set(table["person"]) - used_people)
    if not used_people:
        raise DataError(f"{source}: no usable value of any signal for any of {len(skipped)} people")
    kept = table["person"].isin(used_people)
    table = table[kept].reset_index(drop=True)
    outside = pd.DataFrame({name: wrong[name][kept].to_numpy() for name in present})
    days = table["timestamp"].dt.normalize()
    observed = {name: int(good[name][kept].sum()) for name in present}
    report = Report(
        people=len(used_people),
        person_days=len(pd.DataFrame({"person": table["person"], "date": days}).drop_duplicates()),
        observed={name: count for name, count in observed.items() if count},
        skipped=[{"person": person, "reason": "no usable value of any signal"} for person in skipped],
        ignored_columns=ignored,
        dropped_rows=dropped,
        out_of_range={name: int(bad.sum()) for name, bad in wrong.items() if bad.any()},
    )
    people = pd.DataFrame({"person": sorted(used_people), "vendor": layout.vendor})
    return _recordings(table, outside, present, layout.vendor), people, report


def import_folder(
    source: Path, out: Path, format_name: str = "minutes", mapping: Mapping[str, str] | None = None
) -> Report:
    """Import a minute table into a dataset folder.

    Args:
        source: As for ``import_minutes``.
        out: The folder; must not exist, or be empty.
        format_name: Key in ``FORMATS``.
        mapping: As for ``import_minutes``.

    Raises:
        DataError: As ``import_minutes`` and ``write_dataset`` say.
    """
    free(Path(out))
    recordings, people, report = import_minutes(source, mapping, format_name)
    made_by = {"import": Path(source).name, "format": format_name, "map": dict(mapping or {})}
    write_dataset(out, recordings, people, made_by=made_by)
    return report


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise DataError(f"{source}: no such file or folder")
    files = sorted(path for path in source.iterdir() if path.suffix in (".parquet", ".csv"))
    if not files:
        raise DataError(f"{source}: no .parquet or .csv file in it")
    return files


def _load(path: Path, layout: Format, mapping: Mapping[str, str]) -> tuple[pd.DataFrame, list[str]]:
    """One file with our column names and types, cleaned, and the names of the columns that were not taken."""
    table = read_table(path)
    found = list(table.columns)
    alone = layout.one_person_a_file and "person" not in (*found, *mapping.values())
    columns = _columns(path, found, layout, mapping, alone=alone)
    if alone:
        table["person"] = path.stem
    wanted = [*columns, *layout.extra]
    ignored = [str(column) for column in table.columns if column not in wanted]
    table = table[wanted].rename(columns=columns)
    table["person"] = _persons(path, table["person"])
    times = clock_times(path, table["timestamp"])
    table["timestamp"] = times.dt.floor("min").astype("datetime64[s]")
    off = (times != table["timestamp"]).to_numpy()
    if off.any() and not layout.to_minute:
        raise DataError(f"{path}, {_row(off)}: timestamp {times[off].iloc[0]} is off the minute grid")
    for theirs, ours in columns.items():
        if ours in INDEX:
            table[ours] = numbers(path, theirs, table[ours])
    if alone:
        _check_alone(path, table)
    table = table.iloc[np.argsort(times.to_numpy(), kind="stable")]
    return (layout.clean(table) if layout.clean else table), ignored


def read_table(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """A Parquet or CSV file, or some of its columns.

    Raises:
        DataError: If it is neither.
    """
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path, columns=columns)
        return pd.read_csv(path, low_memory=False, usecols=columns)
    except (OSError, ValueError, pa.ArrowException) as error:  # pandas' parser errors are ValueErrors
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: cannot be read as a Parquet or CSV table ({reason})") from error


def _check_alone(path: Path, table: pd.DataFrame) -> None:
    """Refuse rows of several people that no column tells apart."""
    twice = table.drop_duplicates().duplicated("timestamp")
    if twice.any():
        raise DataError(
            f"{path}: no column 'person', and two different rows for {table['timestamp'][twice[twice].index[0]]}; "
            "expected one person's, one a minute, or the column that names people, as in --map Id=person"
        )


def _columns(
    path: Path, found: list[str], layout: Format, mapping: Mapping[str, str], *, alone: bool
) -> dict[str, str]:
    """Their column -> ours, all present (but "person" of somebody ``alone``), each of ours once, with a signal."""
    targets = {"person", "timestamp", *NAMES}
    for theirs, ours in mapping.items():
        if ours not in targets:
            raise DataError(f"map {theirs}={ours}: {ours!r} is none of person, timestamp, {', '.join(NAMES)}")
    columns = dict(mapping) | {
        theirs: ours
        for theirs, ours in layout.columns.items()
        if ours not in mapping.values() and theirs not in mapping
    }
    if layout.any_signal:
        taken = set(columns.values())
        columns |= {name: name for name in found if name in INDEX and name not in taken and name not in columns}
    listed = ", ".join(map(str, found))
    for column in (*columns, *layout.extra):
        if column not in found and not (alone and column == "person"):
            hint = f"; say which it is with --map COLUMN={column}" if columns.get(column) == column else ""
            raise DataError(f"{path}: no column {column!r}; found {listed}{hint}")
    for ours in ("person", "timestamp"):
        if ours not in columns.values():
            raise DataError(f"{path}: no column for {ours!r}; found {listed}")
    twice = [ours for ours in columns.values() if list(columns.values()).count(ours) > 1]
    if twice:
        raise DataError(f"{path}: two columns for {twice[0]!r}, expected one")
    if not set(columns.values()) & set(NAMES):
        raise DataError(f"{path}: no column is one of the 26 signals; found {listed}")
    return columns


def _row(bad: NDArray[np.bool_]) -> str:
    return f"row {int(np.argmax(bad)) + 1} below the header"


def _persons(path: Path, column: pd.Series) -> pd.Series:
    bad = column.isna().to_numpy()
    if bad.any():
        raise DataError(f"{path}, {_row(bad)}: no person")
    if pd.api.types.is_float_dtype(column) and (column == column.round()).all():
        column = column.astype("int64")
    return column.astype(str)


def clock_times(path: Path, column: pd.Series) -> pd.Series:
    """Local clock times: ISO 8601 such as 2024-03-01 07:45, or, if AM or PM stands there, 3/1/2024 7:45:00 AM.

    Raises:
        DataError: If one is none; the message names its row, and what stands there.
    """
    if pd.api.types.is_numeric_dtype(column):
        found = f"{column.iloc[0]} in the first row" if len(column) else str(column.dtype)
        raise DataError(f"{path}: timestamps are numbers ({found}), expected {_A_TIME}")
    written = column
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_localize(None)
    elif not pd.api.types.is_datetime64_dtype(column):
        # the clock time counts, whatever zone is written behind it
        column = column.astype(str).str.replace(r"\s*(Z|[+-]\d{2}:?\d{2})$", "", regex=True)
        text, column = column, pd.to_datetime(column, errors="coerce", format="ISO8601")
        for american in ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p"):  # AM and PM tell whose month comes first
            if column.isna().any():
                column = column.fillna(pd.to_datetime(text, errors="coerce", format=american))
    bad = column.isna().to_numpy()
    if bad.any():
        raise DataError(f"{path}, {_row(bad)}: timestamp {str(written[bad].iloc[0])!r:.60}, expected {_A_TIME}")
    return column


_A_TIME: Final = "a local date and time such as 2024-03-01 07:45 or 3/1/2024 7:45:00 AM"


def numbers(path: Path, name: str, column: pd.Series) -> pd.Series:
    """A column as float32, NaN where it holds nothing.

    Raises:
        DataError: If a cell is no number; the message names its row.
    """
    numbers = pd.to_numeric(column, errors="coerce")
    bad = (numbers.isna() & column.notna()).to_numpy()
    if bad.any():
        found = column[bad].iloc[0]
        raise DataError(f"{path}, column {name!r}, {_row(bad)}: {found!r}, expected a number or nothing")
    with np.errstate(over="ignore"):  # too large for float32 is infinite, and so out of range
        return numbers.astype(np.float32)


def _each_minute_once(table: pd.DataFrame, source: Path, *, last: bool) -> pd.DataFrame:
    """Sorted by person and time; equal rows once, and of different ones in a minute the last or a refusal."""
    table = table.drop_duplicates().sort_values(["person", "timestamp"], kind="stable", ignore_index=True)
    twice = table.duplicated(["person", "timestamp"], keep="last")
    if not twice.any():
        return table
    if not last:
        person, timestamp = table["person"][twice].iloc[0], table["timestamp"][twice].iloc[0]
        raise DataError(f"{source}: person {person!r} has two different rows for {timestamp}, expected one a minute")
    return table[~twice].reset_index(drop=True)


def _out_of_range(table: pd.DataFrame, name: str) -> "pd.Series[bool]":
    signal = SIGNALS[INDEX[name]]
    outside: pd.Series[bool] = ~table[name].between(signal.low, signal.high) & table[name].notna()
    return outside


def _recordings(table: pd.DataFrame, outside: pd.DataFrame, present: list[str], vendor: str) -> Iterator[Recording]:
    """One recording a person and date with any row, from a sorted table."""
    sensors = {SIGNALS[INDEX[name]].sensor for name in present}
    background = np.array([Reason.NOT_RECORDED if s.sensor in sensors else Reason.SENSOR_ABSENT for s in SIGNALS])
    dates = table["timestamp"].dt.normalize()
    first = dates.min()
    minute = ((table["timestamp"] - dates) // pd.Timedelta(minutes=1)).to_numpy()
    cells = table[present].to_numpy(np.float32).T
    wrong = outside[present].to_numpy().T
    rows = [INDEX[name] for name in present]
    begins = (table["person"] != table["person"].shift()) | (dates != dates.shift())
    edges = [*np.flatnonzero(begins), len(table)]
    for start, end in itertools.pairwise(edges):
        at, stamp = slice(start, end), dates.iloc[start]
        values = np.zeros(SHAPE, dtype=np.float32)
        reason = np.repeat(background.astype(np.uint8)[:, None], MINUTES_PER_DAY, axis=1)
        place = np.ix_(rows, minute[at])
        here, bad = cells[:, at], wrong[:, at]
        seen = ~np.isnan(here) & ~bad
        values[place] = np.where(seen, here, np.float32(0))
        reason[place] = np.where(bad, Reason.OUT_OF_RANGE, np.where(seen, Reason.OBSERVED, Reason.NOT_RECORDED))
        yield Recording(
            person=str(table["person"].iloc[start]),
            vendor=vendor,
            day=(stamp - first).days,
            date=stamp.date(),
            values=values,
            observed=reason == Reason.OBSERVED,
            reason=reason,
        )
